"""A folder of unsorted pictures as an oracle: it is searched with the sentence of the query."""

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from desiderata.campaign.features import FeatureCache
from desiderata.campaign.images import UnreadableImage, digest_of, read_image
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError
from desiderata.formats import ONE_OF
from desiderata.oracles.zero_shot import looks_like
from desiderata.worlds.folder import image_files

if TYPE_CHECKING:
    from desiderata.foundation.encoder import Encoder

LEAST_SIMILARITY = 0.2
"""The smallest cosine of picture and sentence that counts as fitting, where nobody says otherwise."""

TOO_FAR = "Nothing in the archive is near enough"
"""How the reason begins where `least_similarity` was not reached."""

OTHER_CLASS = "Nothing in the archive that is near enough looks like"
"""How it begins where no picture that was near enough looked like the class asked for."""


class ArchiveOracle:
    """Brings the pictures whose embeddings are nearest to the sentence (cosine), each at most once.

    Nobody has labelled the archive, so a picture is taken for what was asked only if the sentence "a photo of a
    ..." of that class is nearer to it than those of all other classes, and than sentences about nothing in
    particular, which pictures of none of the classes are nearest to.

    How often that is right was measured with moji-clip on drawn scenes alone: of 1,000 pictures at large of its ten
    classes, 95 % were taken for what they are, 4 % for something else and 1 % for another class (89, 7 and 4 % where
    every picture holds three things); of 1,000 of other things at large, 77 % were taken for something else, and of
    400 typical photos of other things only 45 %: the rest passed for a class. For other CLIPs, those of photographs
    included, it is tested that the rule is kept, and not measured how often it is right: look at what was accepted,
    which `desiderata run` lists.

    Args:
        folder: Searched with its sub-folders. Embeddings are kept in `cache`, so that a second search is quick.
        encoder: Embeds pictures and sentences.
        classes: The classes of the campaign.
        taken: Gives the names (SHA-256 of pixels) of the pictures that must not be brought; `Campaign.taken`.
        n: Pictures for each query; fewer come when fewer fit.
        least_similarity: The smallest cosine that counts as fitting. With CLIP ViT-B/32, captions of a picture are
            said to lie above 0.25 mostly, and sentences about something else below 0.2; that was not measured here.
        check_class: Whether the class of a picture is checked as described.
        cache: Where embeddings are kept; the user's cache by default.
        progress: Called with the number of files dealt with and of all files, while the folder is read.

    Attributes:
        unreadable: Why files were left out, a sentence each.

    Raises:
        DesiderataError: The folder is missing or has no picture that can be read, or `n` is below 1.
    """

    name = "archive"

    def __init__(
        self,
        folder: str | Path,
        encoder: "Encoder",
        classes: Sequence[str],
        *,
        taken: Callable[[], Collection[str]] = tuple,
        n: int = 1,
        least_similarity: float = LEAST_SIMILARITY,
        check_class: bool = True,
        cache: FeatureCache | None = None,
        progress: Callable[[int, int], None] | None = None,
    ):
        if n < 1:
            raise DesiderataError(f"n is {n}, but at least one picture is brought for a query: try 1.")
        folder = Path(folder)
        if not folder.is_dir():
            raise DesiderataError(f"{folder} is not a folder: give the one that holds the archive.")
        files = image_files(folder)
        report = progress or (lambda _done, _all: None)
        found, unreadable = (cache or FeatureCache()).embed(encoder, files, lambda done: report(done, len(files)))
        if not found:
            raise DesiderataError(
                f"{folder} has no image that can be read, and {len(unreadable)} that cannot: give a folder "
                f"with {ONE_OF} images."
            )
        self.folder = folder
        self.unreadable = [str(error) for error in unreadable.values()]
        self.encoder = encoder
        self.n = n
        self.least_similarity = least_similarity
        self.check_class = check_class
        self._taken = taken
        first = {one.image: one for one in reversed(found)}  # of copies, the one whose name comes first
        self._files = [one for one in found if first[one.image] is one]
        self._features = np.stack([one.feature for one in self._files])
        self._looks_like = looks_like(self._features, classes, encoder)

    @property
    def settings(self) -> dict[str, str | int | float | bool]:
        """What it was told, for `Oracle`."""
        told = {"archive": str(self.folder.absolute()), "least_similarity": self.least_similarity}
        return told | {"check_class": self.check_class, "n": self.n}

    def __len__(self) -> int:
        return len(self._files)

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[Path, str | None]]:
        """Return the nearest pictures that are not in the campaign yet; `rng` is not drawn from.

        Raises:
            CannotAnswer: No picture is left, near enough, or of the class; the message says which and how near.
            DesiderataError: The archive itself is gone, which says nothing about the query.
        """
        self._check_there()
        similarity = self._features @ self.encoder.texts([query.text])[0]
        taken = set(self._taken())
        order = np.argsort(-similarity, kind="stable").tolist()
        left = [index for index in order if self._files[index].image not in taken]
        near = [index for index in left if similarity[index] >= self.least_similarity]
        fit = [index for index in near if not self.check_class or self._looks_like[index] == query.label]
        if not left:
            raise CannotAnswer(f"All {len(self)} pictures of the archive are in the campaign already.")
        if not near:
            raise CannotAnswer(
                f"{TOO_FAR}: the best similarity is {similarity[left[0]]:.2f}, and "
                f"{self.least_similarity:.2f} is the least that counts."
            )
        if not fit:
            raise CannotAnswer(
                f"{OTHER_CLASS} {query.label}: the nearest picture, "
                f"{self._files[near[0]].path.name}, looks like {self._looks_like[near[0]]}."
            )
        new = (index for index in fit if self._is_there(index) and self._shows(index) not in {None, *taken})
        there = [(self._files[index].path, None) for index in islice(new, self.n)]
        if not there:
            raise CannotAnswer(f"The pictures of {query.label} that would fit are in the archive no longer.")
        return there

    def _check_there(self) -> None:
        # Where a disk was taken away, its folder may stay behind, empty.
        if not any(self._is_there(index) for index in range(len(self))):
            raise DesiderataError(
                f"The archive {self.folder} is gone: put it back, and the same command goes on where it stopped."
            )

    def _shows(self, index: int) -> str | None:
        """Return the name of a picture as it is read now; None where it cannot be.

        What the cache says was read by an earlier version of the decoders, maybe, whose pixels were others.
        """
        try:
            return digest_of(read_image(self._files[index].path))
        except UnreadableImage:
            return None

    def _is_there(self, index: int) -> bool:
        try:
            return self._files[index].path.is_file()
        except OSError:
            return False

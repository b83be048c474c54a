"""A text-to-image model as an oracle: it draws what the sentence of a query says, and what it drew is looked at."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Query
from desiderata.describe.template import described
from desiderata.errors import DesiderataError
from desiderata.oracles.zero_shot import looks_like

if TYPE_CHECKING:
    from desiderata.foundation.encoder import Encoder
    from desiderata.foundation.generator import Generator

ALL_BLANKED = "The safety checker of the generator blanked every picture"
"""How the reason begins where nothing else came."""

ALL_FAILED = "No picture that the generator drew looks like what was asked for"
"""How the reason begins where pictures came, and none of the class."""


class GeneratorOracle:
    """Draws pictures for a query, and hands over those that show the class asked for.

    A generator does not always draw what it is told, and a wrong picture would be learnt under the label that was
    asked for. So every picture is embedded, and fails if the sentence "a photo of a ..." of another class, or a
    sentence about nothing in particular, is nearer to it. For one that fails another is drawn, a few times. What
    was drawn, what failed and what the safety checker blanked is counted; with `check_class` off, pictures that fail
    are counted all the same, but handed over, as in the experiments of the GenMQD paper.

    A generator is trained on captions, not on requests: it is given the description within the query's sentence,
    or all of the sentence where the description does not name the class.

    Args:
        generator: Draws the pictures.
        encoder: Embeds them; the campaign's own, so that what it cannot tell apart is not held against a picture.
        classes: The classes of the campaign.
        n: Pictures for each query; fewer come when fewer pass.
        tries: How often `n` pictures are drawn at most, until `n` have passed.
        check_class: Whether pictures that fail are kept out.

    Attributes:
        asked: Queries so far.
        drawn: Pictures drawn for them.
        failed: Those of them that do not look like the class asked for.
        blanked: Those of them that the generator's safety checker blacked out; they are never handed over.

    Raises:
        DesiderataError: `n` or `tries` is below 1.
    """

    name = "generator"

    def __init__(
        self,
        generator: "Generator",
        encoder: "Encoder",
        classes: Sequence[str],
        *,
        n: int = 1,
        tries: int = 4,
        check_class: bool = True,
    ):
        if n < 1 or tries < 1:
            raise DesiderataError(f"n is {n} and tries is {tries}, but each is at least 1: try n=1 and tries=4.")
        self.generator = generator
        self.encoder = encoder
        self.classes = tuple(classes)
        self.n = n
        self.tries = tries
        self.check_class = check_class
        self.asked = self.drawn = self.failed = self.blanked = 0

    @property
    def settings(self) -> dict[str, str | int | bool]:
        """What it was told, for `Oracle`."""
        return {"generator": self.generator.name, "check_class": self.check_class, "n": self.n, "tries": self.tries}

    @property
    def counts(self) -> dict[str, int]:
        """The four counts by name."""
        return {name: getattr(self, name) for name in ("asked", "drawn", "failed", "blanked")}

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[NDArray[np.uint8], str | None]]:
        """Return up to `n` pictures; `rng` gives the seeds of all that may be drawn, and nothing else.

        Raises:
            CannotAnswer: Every picture was blanked or failed; the message says how many, and what they look like.
        """
        text, kept, looks, blanked = prompt_of(query), [], [], 0
        self.asked += 1
        for seeds in rng.integers(2**63, size=(self.tries, self.n)).tolist():
            drawn = self.generator.sample([text] * self.n, seeds, batch=min(self.n, self.generator.sampling.batch))
            images = [one.image for one in drawn if not one.blanked]
            seen = looks_like(self.encoder.images(images), self.classes, self.encoder) if images else []
            kept += [image for image, look in zip(images, seen) if look == query.label or not self.check_class]
            looks += seen
            blanked += len(drawn) - len(images)
            if len(kept) >= self.n:
                break
        self.drawn += len(looks) + blanked
        self.failed += sum(look != query.label for look in looks)
        self.blanked += blanked
        if not kept:
            raise CannotAnswer(_reason(looks, blanked))
        return [(image, None) for image in kept[: self.n]]


def prompt_of(query: Query) -> str:
    """Return what a generator is asked to draw for a query; see `GeneratorOracle`."""
    description = described(query.text)
    return description if query.label.lower() in description.lower() else query.text


def _reason(looks: Sequence[str], blanked: int) -> str:
    """Say why nothing came; `skipped_because` puts reasons together by what stands before the colon.

    Returns:
        One sentence.
    """
    drawn = len(looks) + blanked
    if not looks:
        return f"{ALL_BLANKED}: {blanked} of {drawn}."
    like = ", ".join(f"{look} ({n})" for look, n in Counter(looks).most_common())
    also = f", {blanked} were blanked" if blanked else ""
    return f"{ALL_FAILED}: {len(looks)} of {drawn} failed{also}; they look like {like}."

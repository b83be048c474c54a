"""What a generator makes of every direction that is left, and how near it comes to what was asked (GAL, Eq. 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desiderata.personalize.anchors import Anchor
from desiderata.personalize.drawing import SEEDS, Easel, Report, Wanted
from desiderata.personalize.subject import Subject
from desiderata.randomness import stream

if TYPE_CHECKING:
    from desiderata.foundation.encoder import Encoder


@dataclass(frozen=True, eq=False)
class Candidates:
    """m pictures for each of n directions, seen through CLIP.

    Attributes:
        anchors: Length n, the directions that are left.
        features: Shape (n, m, d), embeddings; zero for a picture that was blacked out.
        usable: Shape (n, m), which pictures were not.
        named: Shape (n, d), embeddings of the anchor prompts.
        unedited: Shape (n, d), those of the anchor prompts without the placeholder.
        plain: Shape (s, d), those of the non-subject prompts.
    """

    anchors: tuple[Anchor, ...]
    features: NDArray[np.float64]
    usable: NDArray[np.bool_]
    named: NDArray[np.float64]
    unedited: NDArray[np.float64]
    plain: NDArray[np.float64]

    def to_anchor(self, placeholder: bool = True) -> NDArray[np.float64]:
        """Return the cosine of every picture to its anchor prompt, shape (n, m).

        Args:
            placeholder: Whether to the prompt with the placeholder in it, as in the authors' code.
        """
        return np.einsum("nmd,nd->nm", self.features, self.named if placeholder else self.unedited)

    def to_plain(self) -> NDArray[np.float64]:
        """Return the cosines of every picture to the non-subject prompts, shape (n, m, s)."""
        return self.features @ self.plain.T

    @property
    def blanked(self) -> int:
        """How many pictures the safety checker blacked out."""
        return int((~self.usable).sum())


def candidate_name(round: int, index: int, prompt: str, number: int) -> str:
    """Return the name of a picture without its ending: "rounds/003/candidates/02-a-sks-toy-in-the-snow/07"."""
    return f"rounds/{round:03d}/candidates/{slug(index, prompt)}/{number:02d}"


def slug(index: int, prompt: str) -> str:
    """Return a number and a sentence as the name of a folder: "02-a-sks-toy-in-the-snow"."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in prompt.lower()).split()
    return "-".join((f"{index:02d}", *words))[:80]


def candidate_seeds(seed: int, round: int, anchor: Anchor, m: int) -> list[int]:
    """Return the seeds of a direction's pictures; the first are the same, however many there are."""
    return stream(seed, round, "candidates", anchor.template).integers(SEEDS, size=m).tolist()


def draw_candidates(
    easel: Easel,
    encoder: "Encoder",
    subject: Subject,
    anchors: Sequence[Anchor],
    *,
    m: int,
    round: int,
    seed: int,
    report: Report | None = None,
) -> Candidates:
    """Draw and embed m pictures for every direction, all of them in one row of batches.

    Args:
        easel: Draws; what a killed call had drawn is not drawn again.
        encoder: Judges.
        subject: Says what the references show beside it.
        anchors: The directions, n of them.
        m: Pictures for each.
        round: The round about to be asked.
        seed: The campaign's.
        report: Called with the number of pictures that there are.

    Returns:
        Their embeddings, and those of all prompts.
    """
    wanted = [
        Wanted(candidate_name(round, anchor.index, anchor.prompt, number), anchor.prompt, one)
        for anchor in anchors
        for number, one in enumerate(candidate_seeds(seed, round, anchor, m))
    ]
    features, usable = easel.embed(wanted, encoder, f"rounds/{round:03d}/candidates.safetensors", report)
    return Candidates(
        tuple(anchors),
        features.reshape(len(anchors), m, -1),
        usable.reshape(len(anchors), m),
        encoder.texts([anchor.prompt for anchor in anchors]),
        encoder.texts([anchor.unedited for anchor in anchors]),
        encoder.texts(subject.non_subjects),
    )

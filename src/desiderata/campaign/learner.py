"""What a campaign asks of the thing that learns, whichever half of the library it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desiderata.campaign.images import read_image
from desiderata.campaign.records import Answer, Exchange, Features, Query


@dataclass(frozen=True, slots=True)
class Example:
    """One answer, ready to be learnt from.

    Attributes:
        query: What was asked.
        answer: What came back, with its label and weight.
        feature: Shape (d,), its embedding; for a synthesised point, the point.
        png: The stored file; empty for a synthesised point.
    """

    query: Query
    answer: Answer
    feature: NDArray[np.float64]
    png: bytes | Path

    def image(self) -> Image.Image:
        """Return the picture, RGB.

        Raises:
            UnreadableImage: The stored file is gone or damaged.
        """
        return read_image(self.png)


@dataclass(frozen=True, slots=True)
class Held:
    """A picture that the learner was given at the start. None of them is taken as an answer.

    Attributes:
        part: What it is for, such as "initial", "validation" or "test".
        name: Where it came from, for people to read.
        label: Its class.
        image: SHA-256 of its pixels, as in `Answer.image`.
        feature: Shape (d,), its embedding.
    """

    part: str
    name: str
    label: str
    image: str
    feature: NDArray[np.float64]


StateT_co = TypeVar("StateT_co", covariant=True)


class Learner(Protocol[StateT_co]):
    """Fits, measures itself, and tells strategies what they may know.

    Whether `fit` starts from scratch or from where the learner stands is the learner's to state; before the fit
    that closes a round, the campaign always puts it where the previous round had left it.

    One that keeps more than its weights while it fits, to go on after a kill, may have a method `tidy()`: it is
    called when the round is recorded.

    Attributes:
        classes: The labels that an answer may have.
        embedding: Names what `embed` computes; features are kept under the name that it had at the start.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def embedding(self) -> str: ...  # noqa: D102

    def held(self) -> Sequence[Held]:
        """Return what the learner was given at the start, to be recorded with the campaign."""
        ...

    def embed(self, images: Sequence[Image.Image]) -> Features:
        """Return the embeddings of `images`, shape (n, d).

        A campaign also embeds one fixed picture, by which it knows the encoder again.
        """
        ...

    def fit(self, examples: Sequence[Example], rng: np.random.Generator) -> None:
        """Fit on what was given at the start and on everything collected, in the order in which it was asked."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Return named, finite figures of the learner as it stands."""
        ...

    def state(self, exchanges: Sequence[Exchange], round: int) -> StateT_co:
        """Return what the strategy of this learner looks at when it decides on the queries of `round`."""
        ...

    def save(self) -> bytes:
        """Return the fitted weights, all that `load` needs, as the content of a safetensors file."""
        ...

    def load(self, weights: bytes, examples: Sequence[Example]) -> None:
        """Stand where `fit` on the same `examples` stood when `save` returned `weights`, to the last bit.

        Raises:
            Damaged: They are not whole.
            DesiderataError: They are those of something else.
        """
        ...

"""Oracles that understand sentences, made to answer queries."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError


class LabelledImage(Protocol):
    """A picture that knows what it shows: `image`, and `label`, None when it shows no class."""

    @property
    def image(self) -> NDArray[np.uint8]: ...  # noqa: D102

    @property
    def label(self) -> str | None: ...  # noqa: D102


class SentenceOracle(Protocol):
    """Such as `oracles.scene.SceneOracle`."""

    def answer(self, text: str, n: int, rng: np.random.Generator) -> Sequence[LabelledImage]:
        """Return `n` pictures of what `text` says."""
        ...


class ByText:
    """Answers a query by its sentence. Labels are what the pictures show, whatever was asked for.

    Args:
        inner: Understands sentences.
        name: Recorded as the source of the answers.
        cannot: The error by which `inner` says that it does not understand a sentence.
        n: Pictures for each query.
    """

    def __init__(self, inner: SentenceOracle, name: str, cannot: type[DesiderataError], n: int = 1):
        self.inner = inner
        self.name = name
        self.cannot = cannot
        self.n = n

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[NDArray[np.uint8], str | None]]:
        """Return `n` pictures, less those that show no class.

        Raises:
            CannotAnswer: The sentence is not understood, or no picture shows a class.
        """
        try:
            came = self.inner.answer(query.text, self.n, rng)
        except self.cannot as error:
            raise CannotAnswer(str(error)) from error
        shown: list[tuple[NDArray[np.uint8], str | None]] = [(one.image, one.label) for one in came if one.label]
        if not shown:
            raise CannotAnswer("What this sentence describes shows none of the classes.")
        return shown

"""What a campaign asks of whoever answers."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from desiderata.campaign.images import ImageLike
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError


class CannotAnswer(DesiderataError):
    """The oracle has nothing that fits, or does not understand the query; its message says which.

    The campaign records a skip with the message as its reason. It costs nothing.
    """


class Oracle(Protocol):
    """Brings images for a query.

    One that was told more than its name says, such as which folder to search, may have a mapping `settings`, whose
    values are such as JSON has: it is recorded beside its answers, so that people can make the campaign again.

    Attributes:
        name: Recorded as the source of its answers, such as "scene".
    """

    name: str

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[ImageLike, str | None]]:
        """Return one or more images with the class that each shows; None stands for the class asked for.

        The same query and the same state of `rng` must bring the same answer, also from a fresh oracle: a resumed
        run relies on it.

        Raises:
            CannotAnswer: It has nothing that fits, or does not understand the query.
        """
        ...

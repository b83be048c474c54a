"""Labelled points of the joint space: what a classifier starts from and is measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.learner import Held
from desiderata.campaign.records import Features
from desiderata.errors import DesiderataError


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Embeddings with their classes.

    Attributes:
        features: Shape (n, d), rows of unit length.
        labels: Shape (n,), indices into the classes.
        images: Length n, SHA-256 of each picture's pixels (`images.digest_of`), so that none of them is taken as an
            answer; empty when nobody needs that.
        names: Length n, where each picture came from; empty together with `images`.

    Raises:
        DesiderataError: The lengths do not agree.
    """

    features: Features
    labels: NDArray[np.int64]
    images: Sequence[str] = ()
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.features.ndim != 2 or len(self.features) != n or len(self.images) not in {0, n}:
            raise DesiderataError(
                f"{n} labels came with features of shape {self.features.shape} and {len(self.images)} pictures: give "
                "one of each for every example."
            )
        if len(self.names) != len(self.images):
            raise DesiderataError(f"{len(self.images)} pictures came with {len(self.names)} names: give as many.")

    def __len__(self) -> int:
        return len(self.labels)

    def held(self, part: str, classes: Sequence[str]) -> list[Held]:
        """Return the rows as records of a campaign; none when the set has no picture names."""
        return [
            Held(part, name, classes[int(label)], image, feature)
            for name, label, image, feature in zip(self.names, self.labels, self.images, self.features)
        ]

    @classmethod
    def of(cls, held: Sequence[Held], part: str, classes: Sequence[str]) -> "LabelledSet | None":
        """Return the rows of one part as `held` gave them; None when it has none."""
        rows = [one for one in held if one.part == part]
        if not rows:
            return None
        labels = np.array([classes.index(one.label) for one in rows], dtype=np.int64)
        return cls(np.stack([one.feature for one in rows]), labels, [r.image for r in rows], [r.name for r in rows])

"""What a scene shows as targets for a network, and the losses that teach it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from desiderata.worlds.moji.catalogue import CONCEPTS
from desiderata.worlds.moji.scene import BACKGROUNDS, MOST_OBJECTS, RELATIONS, STYLES, Scene

_CONCEPT = {name: index for index, name in enumerate(CONCEPTS)}
_BACKGROUND = {name: index for index, name in enumerate(BACKGROUNDS)}
_STYLE = {name: index for index, name in enumerate(STYLES)}
_RELATION = {name: index for index, name in enumerate(RELATIONS)}
_NONE = -100  # what cross_entropy ignores


@dataclass(frozen=True)
class Targets:
    """Attributes of n scenes.

    Attributes:
        counts: Shape (n, concepts), how many of each concept, 0 to `MOST_OBJECTS`.
        subject: Shape (n,), index of the first group's concept.
        background: Shape (n,).
        style: Shape (n,).
        relation: Shape (n,), -100 where there is none.
    """

    counts: Tensor
    subject: Tensor
    background: Tensor
    style: Tensor
    relation: Tensor

    @classmethod
    def of(cls, scenes: Sequence[Scene]) -> "Targets":
        """Return the targets that scenes set."""
        counts = torch.zeros(len(scenes), len(CONCEPTS), dtype=torch.long)
        for row, scene in enumerate(scenes):
            for group in scene.groups:
                counts[row, _CONCEPT[group.concept]] = group.count
        return cls(
            counts,
            torch.tensor([_CONCEPT[scene.groups[0].concept] for scene in scenes]),
            torch.tensor([_BACKGROUND[scene.background] for scene in scenes]),
            torch.tensor([_STYLE[scene.style] for scene in scenes]),
            torch.tensor([_RELATION[scene.relation] if scene.relation else _NONE for scene in scenes]),
        )


class AttributeHeads(nn.Module):
    """Linear read-outs of every attribute from one vector.

    Args:
        dim: Length of the vector.
    """

    _SIZES: ClassVar[dict[str, int]] = {
        "counts": len(CONCEPTS) * (MOST_OBJECTS + 1),
        "subject": len(CONCEPTS),
        "background": len(BACKGROUNDS),
        "style": len(STYLES),
        "relation": len(RELATIONS),
    }

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.read = nn.Linear(dim, sum(self._SIZES.values()))

    def forward(self, vectors: Tensor) -> dict[str, Tensor]:
        """Return logits by attribute for (n, dim) vectors; `counts` has shape (n, concepts, `MOST_OBJECTS` + 1)."""
        parts = self.read(vectors).split(list(self._SIZES.values()), dim=-1)
        logits = dict(zip(self._SIZES, parts, strict=True))
        logits["counts"] = logits["counts"].unflatten(-1, (len(CONCEPTS), MOST_OBJECTS + 1))
        return logits

    def loss(self, vectors: Tensor, targets: Targets) -> Tensor:
        """Return the mean cross-entropy, summed over attributes.

        The counts of concepts that are absent, nearly all of them, weigh as much together as those present.
        """
        logits = {key: value.float() for key, value in self(vectors).items()}
        counts = F.cross_entropy(logits["counts"].flatten(0, 1), targets.counts.flatten(), reduction="none")
        counts = counts.view_as(targets.counts)
        present = targets.counts > 0
        absent = counts[~present].sum() / len(counts)
        total = counts[present].mean() + 0.5 * absent
        for name in ("subject", "background", "style"):
            total = total + F.cross_entropy(logits[name], getattr(targets, name))
        related = targets.relation != _NONE
        if related.any():
            total = total + F.cross_entropy(logits["relation"][related], targets.relation[related])
        return total

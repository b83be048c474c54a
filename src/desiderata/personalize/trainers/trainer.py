"""What every trainer does, whatever it moves."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor

from desiderata.errors import DesiderataError
from desiderata.foundation.generator import Generator
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.loop import Progress
from desiderata.personalize.trainers.recipe import Recipe


class Trainer(Protocol):
    """Teaches a generator a subject.

    Attributes:
        name: What people call it, such as "dreambooth".
    """

    name: str

    def train(
        self,
        base: Generator,
        images: Sequence[TrainingImage],
        seed: int,
        *,
        prior: Sequence[TrainingImage] = (),
        checkpoint: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Tensor]:
        """Learn from pictures; the generator given is left as it is.

        Args:
            base: What to start from.
            images: Pictures of the subject, with captions and weights.
            seed: Seeds everything that is drawn.
            prior: Class pictures, which keep the generator from forgetting what else there is.
            checkpoint: A file for the state of this call; the same call after a kill goes on from it, on a CPU to the
                same weights to the last bit. It stays there at the end, for the caller to remove.
            progress: Told of every step.

        Returns:
            What was learnt, by name, float32 on the CPU.

        Raises:
            DesiderataError: The pictures, the generator and the trainer do not fit together.
        """
        ...

    def apply(self, base: Generator, learnt: Mapping[str, Tensor]) -> Generator:
        """Return a generator that has learnt; the one given is left as it is.

        Args:
            base: What `train` started from.
            learnt: What it returned.

        Returns:
            The personalised generator.

        Raises:
            DesiderataError: `learnt` was not learnt by such a trainer from such a generator.
        """
        ...

    def key(self) -> str:
        """Return a key of everything that makes its result what it is, given the arguments of `train`."""
        ...


def key_of(name: str, **settings: Any) -> str:
    """Return a key of a trainer's settings.

    Args:
        name: Its name.
        **settings: What its result depends on, as JSON knows it.

    Returns:
        SHA-256 in hexadecimal.
    """
    return hashlib.sha256(json.dumps({"trainer": name, **settings}, sort_keys=True).encode()).hexdigest()


def check_pace(trainer: Trainer) -> Recipe:
    """Make sure that a trainer's learning rate can be lowered.

    Args:
        trainer: The trainer.

    Returns:
        Its recipe.

    Raises:
        DesiderataError: It takes no steps.
    """
    recipe: Recipe | None = getattr(trainer, "recipe", None)
    if recipe is None:
        raise DesiderataError(
            f"The trainer {trainer.name} takes no steps, so that its learning rate cannot be lowered: take another "
            "strategy or trainer."
        )
    return recipe


def at_pace(trainer: Trainer, pace: float) -> Trainer:
    """Return a trainer that learns at another rate.

    Args:
        trainer: The trainer.
        pace: Factor of its learning rate; at 1 it stays as it is.

    Returns:
        The trainer.

    Raises:
        DesiderataError: It takes no steps.
    """
    if pace == 1:
        return trainer
    recipe = check_pace(trainer)
    slower = replace(recipe, learning_rate=pace * recipe.learning_rate)
    return replace(cast(Any, trainer), recipe=slower)


def check_learnt(trainer: str, learnt: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Make sure that what was learnt is what a trainer learns from a generator.

    Args:
        trainer: Its name.
        learnt: Tensors by name.
        expected: Their names and shapes.

    Raises:
        DesiderataError: They are others.
    """
    shapes = {name: tuple(value.shape) for name, value in learnt.items()}
    if shapes == dict(expected):
        return
    name = min(shapes.items() ^ expected.items())[0]
    have, want = (table.get(name, "missing") for table in (shapes, expected))
    raise DesiderataError(
        f"These weights were not learnt by {trainer} with these settings from this generator ({name} is {have}, and "
        f"{want} belongs there): give the generator and the settings that they were learnt with."
    )

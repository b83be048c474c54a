"""DreamBooth (Ruiz et al., 2023): the whole U-Net learns, and the subject is called by a rare word of plain text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from desiderata.foundation.generator import Generator
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.lesson import Lesson, unet_predicts
from desiderata.personalize.trainers.loop import Progress
from desiderata.personalize.trainers.recipe import AS_USUAL, PUBLISHED_OBJECT, Recipe, Running
from desiderata.personalize.trainers.trainer import check_learnt, key_of


@dataclass(frozen=True)
class DreamBooth:
    """Fine-tunes every weight of the U-Net; the text encoder and the autoencoder stay as they are.

    The placeholder in the captions is read as plain text, as in the authors' code: no token is added. Class pictures
    keep their full weight unless `Recipe.prior` says otherwise.

    Attributes:
        recipe: What makes the result what it is.
        running: How it is run.
    """

    recipe: Recipe = PUBLISHED_OBJECT
    running: Running = AS_USUAL
    name = "dreambooth"

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
        """Learn all weights of the U-Net; see `Trainer.train`.

        Returns:
            Every weight of the U-Net, as "unet." and its name.
        """
        lesson = Lesson.of(base, images, prior, seed, self.recipe, self.running)
        pupil = lesson.pupil()
        pupil.unet.requires_grad_(True)
        parameters = {f"unet.{name}": value for name, value in pupil.unet.named_parameters()}
        return lesson.run(
            parameters,
            unet_predicts(pupil, lesson.kept_words()),
            self.key(),
            checkpoint=checkpoint,
            progress=progress,
            preview=lambda learnt: self.apply(base, learnt),
        )

    def apply(self, base: Generator, learnt: Mapping[str, Tensor]) -> Generator:
        """Put the weights in place; see `Trainer.apply`.

        Returns:
            The personalised generator.
        """
        return with_unet_weights(self.name, base, learnt, dict(base.unet.named_parameters()))

    def key(self) -> str:
        """Return a key of the recipe."""
        return key_of(self.name, recipe=asdict(self.recipe))


def with_unet_weights(
    trainer: str, base: Generator, learnt: Mapping[str, Tensor], expected: Mapping[str, nn.Parameter]
) -> Generator:
    """Return a copy of a generator with weights of its U-Net replaced.

    Args:
        trainer: Name of the trainer that learnt them.
        base: The generator.
        learnt: "unet." and the name of each weight.
        expected: The weights that there should be, by name.

    Returns:
        The copy.
    """
    check_learnt(trainer, learnt, {f"unet.{name}": tuple(value.shape) for name, value in expected.items()})
    made = base.copy()
    weights = cast("dict[str, nn.Parameter]", dict(made.unet.named_parameters()))
    with torch.no_grad():
        for name, value in learnt.items():
            weights[name.removeprefix("unet.")].copy_(value)
    return made

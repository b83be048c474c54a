"""The pictures of one call of a trainer, ready to be learnt from."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from desiderata.foundation.generator import Generator
from desiderata.foundation.pipelines import quiet
from desiderata.personalize.references import TrainingImage, check_images
from desiderata.personalize.trainers.loop import Batch, Loop, Progress, Task
from desiderata.personalize.trainers.recipe import Recipe, Running
from desiderata.personalize.trainers.schedule import Schedule

Words = Callable[[NDArray[np.int64]], Tensor]
"""What the U-Net reads of the captions of some pictures: shape (b,) to shape (b, L, d)."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """Pictures of a subject and class pictures, with all else that a trainer was called with.

    Attributes:
        base: What to start from.
        images: Pictures of the subject, then class pictures.
        subjects: How many are of the subject.
        seed: Seeds everything that is drawn.
        recipe: What makes the result what it is.
        running: How it is run.
    """

    base: Generator
    images: Sequence[TrainingImage]
    subjects: int
    seed: int
    recipe: Recipe
    running: Running

    @classmethod
    def of(
        cls,
        base: Generator,
        images: Sequence[TrainingImage],
        prior: Sequence[TrainingImage],
        seed: int,
        recipe: Recipe,
        running: Running,
    ) -> "Lesson":
        """Check what a trainer was called with.

        Returns:
            The lesson.

        Raises:
            DesiderataError: There is no picture, or none with a weight above 0.
        """
        check_images(images)
        return cls(base, [*images, *prior], len(images), seed, recipe, running)

    def pupil(self) -> Generator:
        """Return a copy of the generator to teach, in float32, of which nothing learns yet."""
        pupil = self.base.copy()
        with quiet():
            for module in cast("tuple[nn.Module, ...]", (pupil.unet, pupil.text_encoder)):
                module.to(torch.float32)
        pupil.unet.train()
        if self.running.gradient_checkpointing:
            pupil.unet.enable_gradient_checkpointing()
        return pupil

    def kept_words(self) -> Words:
        """Return the captions as the generator reads them, each distinct one encoded once."""
        distinct = {caption: row for row, caption in enumerate(dict.fromkeys(image.caption for image in self.images))}
        states = self.base.texts(list(distinct))
        rows = np.array([distinct[image.caption] for image in self.images])
        return lambda pictures: states[rows[pictures]]

    def fresh_words(self, pupil: Generator) -> Words:
        """Return the captions as `pupil` reads them at the time, with gradients."""

        def words(pictures: NDArray[np.int64]) -> Tensor:
            captions = [self.images[row].caption for row in pictures]
            with quiet(), torch.autocast(pupil.device.type, enabled=False):  # as it is read when pictures are drawn
                return pupil.pipeline.encode_prompt(captions, pupil.device, 1, False)[0]

        return words

    def run(
        self,
        parameters: Mapping[str, nn.Parameter],
        predict: Callable[[Batch], Tensor],
        key: str,
        *,
        checkpoint: Path | None = None,
        progress: Progress | None = None,
        preview: Callable[[dict[str, Tensor]], Generator] | None = None,
    ) -> dict[str, Tensor]:
        """Run the loop.

        Args:
            parameters: What moves.
            predict: The network.
            key: Of the trainer.
            checkpoint: As for `Trainer.train`.
            progress: As for `Trainer.train`.
            preview: Makes a generator of what has been learnt so far.

        Returns:
            What was learnt.
        """
        own = self.images[: self.subjects]
        schedule = Schedule([image.weight for image in own], len(self.images) - len(own), self.recipe, self.seed)
        latents = self.base.latents([image.image for image in self.images])
        about = self._about(key) if checkpoint else ""
        task = Task(parameters, predict, latents, self.base.noise_schedule(), schedule)
        shows = self._shows(preview)
        with nullcontext() if shows else self.base.set_aside():
            loop = Loop(task, self.recipe, self.running, self.seed)
            try:
                return loop.run(checkpoint=checkpoint, about=about, progress=progress, preview=shows)
            finally:
                loop.let_go()  # the base model comes back into its place

    def _shows(
        self, preview: Callable[[dict[str, Tensor]], Generator] | None
    ) -> Callable[[int, dict[str, Tensor]], None] | None:
        """Return what shows what has been learnt so far, which is put into a copy of the base; None for nothing."""
        show = self.running.preview
        return (lambda done, learnt: show(done, preview(learnt))) if show and preview else None

    def _about(self, key: str) -> str:
        digest = hashlib.sha256(repr((key, self.seed, self.subjects)).encode())
        for part in self._parts():
            digest.update(part)
        return digest.hexdigest()

    def _parts(self) -> Iterator[bytes]:
        for image in self.images:
            yield repr((image.caption, float(image.weight), image.image.shape)).encode()
            yield np.ascontiguousarray(image.image).tobytes()
        for module in (self.base.unet, self.base.text_encoder, self.base.vae):
            for name, value in module.state_dict().items():
                yield name.encode()
                yield value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes()


def unet_predicts(pupil: Generator, words: Words) -> Callable[[Batch], Tensor]:
    """Return the network as the loop calls it: the U-Net of `pupil`, told by `words`."""

    def predict(batch: Batch) -> Tensor:
        return pupil.unet(batch.noisy, batch.timesteps, encoder_hidden_states=words(batch.rows)).sample

    return predict

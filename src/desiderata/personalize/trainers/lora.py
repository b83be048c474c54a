"""DreamBooth by low-rank changes (LoRA; Hu et al., 2022), through peft."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from desiderata.errors import DesiderataError
from desiderata.files import staged
from desiderata.foundation.generator import Generator
from desiderata.foundation.pipelines import quiet
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.lesson import Lesson, unet_predicts
from desiderata.personalize.trainers.loop import Progress
from desiderata.personalize.trainers.recipe import AS_USUAL, PUBLISHED_OBJECT, Recipe, Running
from desiderata.personalize.trainers.trainer import check_learnt, key_of
from desiderata.randomness import stream

if TYPE_CHECKING:
    from peft import LoraConfig

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut")
LORA_FILE = "pytorch_lora_weights.safetensors"
"""The name under which `diffusers` looks for it."""


@dataclass(frozen=True)
class DreamBoothLora:
    """Adds to each attention projection of the U-Net a product of two thin matrices, and learns these alone.

    Captions, class pictures and weights as in `DreamBooth`.

    Attributes:
        recipe: What makes the result what it is; LoRA wants a higher learning rate than the whole U-Net.
        running: How it is run.
        rank: Rank r of each change.
        alpha: Each change is scaled by alpha / r; r itself by default.
        convolutions: Whether the residual blocks' convolutions learn, too.

    Raises:
        DesiderataError: The rank is below 1, or alpha not above 0.
    """

    recipe: Recipe = PUBLISHED_OBJECT
    running: Running = AS_USUAL
    rank: int = 16
    alpha: float | None = None
    convolutions: bool = False
    name = "dreambooth-lora"

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise DesiderataError(f"The rank is {self.rank}: give at least 1, such as 16.")
        if self.alpha is not None and not self.alpha > 0:
            raise DesiderataError(f"alpha is {self.alpha}: give a number above 0, or nothing for the rank.")

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
        """Learn the thin matrices; see `Trainer.train`.

        Returns:
            Two matrices for each layer, as "unet." and the name that they have in a LoRA file of `diffusers`.
        """
        lesson = Lesson.of(base, images, prior, seed, self.recipe, self.running)
        pupil = lesson.pupil()
        parameters = self._adapted(pupil)
        rng = stream(seed, "train", "start")
        with torch.no_grad():
            for name, value in parameters.items():  # peft draws from torch, whose numbers differ between devices
                fresh = rng.normal(0, 1 / self.rank, value.shape) if ".lora_A." in name else 0 * value.cpu().numpy()
                value.copy_(torch.from_numpy(fresh))
        return lesson.run(
            parameters,
            unet_predicts(pupil, lesson.kept_words()),
            self.key(),
            checkpoint=checkpoint,
            progress=progress,
            preview=lambda learnt: self.apply(base, learnt),
        )

    def apply(self, base: Generator, learnt: Mapping[str, Tensor]) -> Generator:
        """Add the changes to the weights, so that the U-Net is a plain one again; see `Trainer.apply`.

        Returns:
            The personalised generator.
        """
        made = base.copy()
        parameters = self._adapted(made)
        check_learnt(self.name, learnt, {name: tuple(value.shape) for name, value in parameters.items()})
        with torch.no_grad():
            for name, value in learnt.items():
                parameters[name].copy_(value)
        made.unet.fuse_lora()
        made.unet.unload_lora()
        made.unet.eval().requires_grad_(False)
        return made

    def save(self, learnt: Mapping[str, Tensor], folder: Path) -> Path:
        """Write a LoRA file that `pipeline.load_lora_weights(folder)` of plain `diffusers` loads.

        Args:
            learnt: What `train` returned.
            folder: Where; made if missing.

        Returns:
            The file.
        """
        from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

        layers: dict[str, nn.Module | Tensor] = {name.removeprefix("unet."): value for name, value in learnt.items()}
        with staged(folder / LORA_FILE) as temporary, quiet():
            StableDiffusionPipeline.save_lora_weights(
                str(temporary.parent),
                unet_lora_layers=layers,
                weight_name=temporary.name,
                unet_lora_adapter_metadata=self._config().to_dict(),
            )
        return folder / LORA_FILE

    def key(self) -> str:
        """Return a key of the recipe and the shape of the changes."""
        return key_of(
            self.name,
            recipe=asdict(self.recipe),
            rank=self.rank,
            alpha=self.alpha or self.rank,
            convolutions=self.convolutions,
        )

    def _config(self) -> "LoraConfig":
        try:
            from peft import LoraConfig
        except ImportError:
            raise DesiderataError("LoRA needs the package peft: install desiderata[personalize].") from None

        return LoraConfig(
            r=self.rank,
            lora_alpha=cast(Any, self.alpha or self.rank),
            target_modules=sorted((*ATTENTION, *(CONVOLUTIONS if self.convolutions else ()))),
        )

    def _adapted(self, pupil: Generator) -> dict[str, nn.Parameter]:
        """Put the thin matrices into a U-Net.

        Returns:
            They, learning, by the names of a LoRA file.
        """
        with quiet(), torch.random.fork_rng([]):
            pupil.unet.add_adapter(self._config())
        return {
            f"unet.{name.replace('.default.', '.')}": value
            for name, value in pupil.unet.named_parameters()
            if ".lora_" in name
        }

"""Text-to-image generators: Stable Diffusion pipelines (Rombach et al., 2022), small and large ones alike."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from desiderata.errors import DesiderataError
from desiderata.foundation.device import memory_for, on
from desiderata.foundation.encoder import ImageLike
from desiderata.foundation.pipelines import load_pipeline, quiet, save_pipeline
from desiderata.foundation.sampling import (
    Generation,
    Sampling,
    padded_batches,
    set_for,
    to_pixels,
    with_own_scheduler,
)
from desiderata.foundation.side_by_side import side_by_side

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from transformers import CLIPTextModel, CLIPTokenizer

TEXTS = 16
"""Sentences that the text encoder reads at a time."""

ENCODED = 16
"""Pictures that the autoencoder takes at a time, fewer where they are larger than 128 pixels."""

SMALL_LATENTS = 16
"""Up to so many latents on a side, attention written out learns faster on a processor than the fused kernel."""

SMALL = 128
"""Up to so many pixels on a side, batches are drawn side by side on a processor; one of larger pictures fills it, and
the autoencoder takes larger ones one by one: a batch of eight of 512 pixels would want more than 6 GB."""

FEWER = "fewer at a time (--batch; of a run that is there, batch in its table generator)"
"""What needs less memory to draw. A picture is the same but for rounding, since each has noise of its own."""

OWN = ("unet", "text_encoder", "tokenizer")
"""What a copy has of its own."""


class Generator:
    """A `diffusers` pipeline that turns sentences into pictures.

    A picture depends on its sentence, its seed, the settings and the weights, and not on what is drawn beside it.

    Args:
        pipeline: A Stable Diffusion 1.x or 2.x pipeline. Its modules are moved to `device` and frozen.
        name: What it was loaded from.
        sampling: How it is sampled where `sample` is not told.
        device: Where it runs, such as "cpu" or "cuda".
        dtype: Of weights and of computation.

    Attributes:
        pipeline: The pipeline.
        name: As given.
        sampling: As given; may be replaced.
        dtype: As given.

    Raises:
        DesiderataError: `device` does not exist on this machine.
    """

    def __init__(
        self,
        pipeline: "StableDiffusionPipeline",
        name: str,
        sampling: Sampling | None = None,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.name = name
        self.sampling = sampling or Sampling()
        self.dtype = dtype
        self.pipeline = _moved(pipeline, device, dtype)
        self.pipeline.set_progress_bar_config(disable=True)
        for module in self.pipeline.components.values():
            if isinstance(module, torch.nn.Module):
                module.eval().requires_grad_(False)
        if self.size > SMALL:
            self.vae.enable_slicing()
        self._texts: dict[str, Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.unet.device

    @property
    def tokenizer(self) -> "CLIPTokenizer":
        """The pipeline's tokenizer."""
        return cast(Any, self.pipeline).tokenizer

    @property
    def text_encoder(self) -> "CLIPTextModel":
        """The pipeline's text encoder."""
        return cast(Any, self.pipeline).text_encoder

    @property
    def vae(self) -> Any:
        """The pipeline's autoencoder: an `AutoencoderKL` or an `AutoencoderTiny`."""
        return cast(Any, self.pipeline).vae

    @property
    def unet(self) -> "UNet2DConditionModel":
        """The pipeline's U-Net."""
        return cast(Any, self.pipeline).unet

    @property
    def size(self) -> int:
        """Pixels on a side of its pictures."""
        return self._latents_on_a_side * self.pipeline.vae_scale_factor

    @property
    def _latents_on_a_side(self) -> int:
        return cast(Any, self.unet.config).sample_size

    def noise_schedule(self) -> "DDPMScheduler":
        """Return how noise is added in training: by the pipeline's own betas, for its own kind of prediction.

        Returns:
            A fresh schedule.
        """
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        with quiet():
            return cast(DDPMScheduler, DDPMScheduler.from_config(self._scheduler.config))

    @property
    def _scheduler(self) -> Any:
        return cast(Any, self.pipeline).scheduler

    @torch.no_grad()
    def texts(self, prompts: Sequence[str]) -> Tensor:
        """Return what the U-Net reads of sentences; each distinct one is encoded once.

        Args:
            prompts: Sentences, a single one counting as a list of one; longer ones than the encoder takes are cut.

        Returns:
            The last hidden states, shape (n, L, d), float32, on `device`.
        """
        prompts = [prompts] if isinstance(prompts, str) else prompts
        fresh = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._texts]
        with quiet(), torch.autocast(self.device.type, enabled=False):
            for batch, n in padded_batches(fresh, TEXTS):
                states, _ = self.pipeline.encode_prompt(batch, self.device, 1, False)
                self._texts.update(zip(batch[:n], states.float()))
        if not prompts:
            length, width = self.tokenizer.model_max_length, self.text_encoder.config.hidden_size
            return torch.empty(0, length, cast(int, width), device=self.device)
        return torch.stack([self._texts[prompt] for prompt in prompts])

    def forget_texts(self) -> None:
        """Encode every sentence anew; to be called after the text encoder or its embeddings have changed."""
        self._texts.clear()

    @torch.no_grad()
    def latents(self, images: Sequence[ImageLike]) -> Tensor:
        """Return the latents of pictures as the U-Net sees them: the most likely ones, times the scaling factor.

        Args:
            images: RGB pictures. Those of another size are scaled until they just cover a square of `size`, and cut
                to its middle.

        Returns:
            Shape (n, c, h, w), float32, on `device`; the same for the same picture, whatever it comes with.
        """
        side = self._latents_on_a_side
        rows = [torch.empty(0, cast(Any, self.unet.config).in_channels, side, side, device=self.device)]
        at_a_time = max(1, min(ENCODED, ENCODED * 128**2 // self.size**2))
        for batch, n in padded_batches(images, at_a_time):
            pixels = np.stack([_square(image, self.size) for image in batch])
            signal = torch.from_numpy(pixels).to(self.device, self.dtype).permute(0, 3, 1, 2) / 127.5 - 1
            with torch.autocast(self.device.type, enabled=False):
                encoded = self.vae.encode(signal)
            latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
            rows.append((latents[:n] * self.vae.config.scaling_factor).float())
        return torch.cat(rows)

    def through_autoencoder(self, images: Sequence[ImageLike]) -> list[NDArray[np.uint8]]:
        """Return pictures as the autoencoder gives them back: nothing that this generator draws can be finer.

        Args:
            images: As for `latents`.

        Returns:
            As many pictures, shape (size, size, 3).
        """
        made = []
        for latents in self.latents(images).split(ENCODED) if len(images) else ():
            with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
                signal = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.dtype)).sample
            made.append((signal.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy())
        return list(to_pixels(np.concatenate(made))) if made else []

    def sample(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        guidance: float | None = None,
        batch: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        keep: Callable[[Sequence[Generation]], None] | None = None,
        **conditioning: Any,
    ) -> list[Generation]:
        """Draw one picture for each sentence.

        Args:
            prompts: The sentences.
            seeds: One for each, 0 to 2^63 - 1; the noise of a picture is drawn from its seed alone, and on the
                processor, so that it is the same for every device.
            steps: Of denoising; this, `guidance` and `batch` are as `sampling` says by default.
            guidance: Scale of classifier-free guidance, none at 1 or less.
            batch: Pictures at a time.
            progress: Called with the number of pictures drawn and of all.
            keep: Called with the pictures of every batch, in their order, as soon as they and those before are there.
            **conditioning: Passed on to the pipeline, such as `ip_adapter_image`; the same for every picture.

        Returns:
            The pictures in the order of `prompts`. Those that the pipeline's safety checker blacked out are marked.

        Raises:
            DesiderataError: There are not as many seeds as sentences, a setting makes no sense, what is drawn is no
                picture, or the device has not the memory for it.
        """
        if len(prompts) != len(seeds):
            raise DesiderataError(f"{len(prompts)} prompts and {len(seeds)} seeds do not pair up: give one for each.")
        for seed in seeds:
            if not 0 <= seed < 2**63:
                raise DesiderataError(f"The seed {seed} is out of range: give whole numbers from 0 to 2^63 - 1.")
        said = {"steps": steps, "guidance": guidance, "batch": batch}
        used = replace(self.sampling, **{name: value for name, value in said.items() if value is not None})
        report = progress or (lambda _done, _all: None)
        drawn: list[Generation] = []
        report(0, len(prompts))
        self.texts([*prompts, ""])  # read once, before several batches ask for them at once
        batches = list(padded_batches(list(zip(prompts, map(int, seeds), strict=True)), used.batch))

        def draw(padded: tuple[list[tuple[str, int]], int]) -> list[Generation]:
            batch, n = padded
            return self._draw(batch, used, conditioning)[:n]

        with quiet(), set_for(self.pipeline, used), self._memory_for(used.batch):
            for some in side_by_side(draw, batches) if self._is_small else map(draw, batches):
                drawn += some
                if keep:
                    keep(some)
                report(len(drawn), len(prompts))
        return drawn

    def _memory_for(self, batch: int) -> AbstractContextManager[None]:
        """Return what says how to draw with less memory, so many pictures at a time."""
        ways = [FEWER] if batch > 1 else []
        ways += ["in half precision (float16)"] if self.dtype == torch.float32 else []
        what = f"draw {batch} picture{'s' * (batch != 1)} of {self.size} pixels at a time"
        return memory_for(what, self.device, [f"draw {', or '.join(ways) or 'on one with more'}"])

    @property
    def _is_small(self) -> bool:
        return self.device.type == "cpu" and self.size <= SMALL

    def _draw(self, batch: list[tuple[str, int]], used: Sampling, conditioning: dict[str, Any]) -> list[Generation]:
        output = with_own_scheduler(self.pipeline)(
            prompt_embeds=self.texts([prompt for prompt, _ in batch]),
            negative_prompt_embeds=self.texts([""] * len(batch)),
            num_inference_steps=used.steps,
            guidance_scale=used.guidance,
            generator=[torch.Generator().manual_seed(seed) for _, seed in batch],
            output_type="np",
            **conditioning,
        )
        if not np.isfinite(output.images).all():
            raise DesiderataError(
                f"What {self.name} draws are no finite numbers, because it was trained at too high a rate or half "
                "precision is too coarse for it: train it anew at a lower rate, or load it in full precision."
            )
        blanked = output.nsfw_content_detected or [False] * len(batch)
        return [
            Generation(image, prompt, seed, bool(blank))
            for image, (prompt, seed), blank in zip(to_pixels(output.images), batch, blanked, strict=True)
        ]

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Leave the device to a copy: what that has of its own waits in the processor's memory while the block runs.

        Yields:
            Nothing; nothing is drawn or read with this one meanwhile.
        """
        device, own = self.device, (self.unet, self.text_encoder)
        if device.type == "cpu":
            yield
            return
        try:
            for module in own:
                cast(Any, module).to("cpu")
            yield
        finally:
            for module in own:
                cast(Any, module).to(device)

    def copy(self) -> "Generator":
        """Return one with a U-Net, a text encoder and a tokenizer of its own; all else is shared, and frozen."""
        parts: dict[str, Any] = dict(self.pipeline.components)
        parts |= {name: copy.deepcopy(parts[name]) for name in OWN}
        parts["scheduler"] = copy.deepcopy(self._scheduler)
        checked = cast(Any, self.pipeline.config).requires_safety_checker
        with quiet():
            pipeline = type(self.pipeline)(**parts, requires_safety_checker=checked)
        made = Generator(pipeline, self.name, self.sampling, device=self.device, dtype=self.dtype)
        made._texts = dict(self._texts)
        return made

    def save(self, folder: Path) -> None:
        """Write a directory that plain `diffusers` loads, and `load_generator`, in one step.

        Args:
            folder: Where; there must be nothing yet, or an empty folder.

        Raises:
            DesiderataError: There is something, or it cannot be written.
        """
        save_pipeline(self.pipeline, folder, self.sampling.save)


def load_generator(
    name: str = "moji-diffusion", *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Generator:
    """Load a Stable Diffusion 1.x or 2.x pipeline.

    Args:
        name: A registered name, the path of a model directory, or a hub id; see `registry.locate`.
        device: Where it runs.
        dtype: Of weights and of computation; half precision is for graphics processors.

    Returns:
        The generator, sampled as its `sampling.json` says, or else as Stable Diffusion is.

    Raises:
        DesiderataError: The model cannot be found, reached or read, is no whole Stable Diffusion pipeline, cannot
            run on `device`, or the packages of the extra `personalize` are not installed.
    """
    pipeline, folder = load_pipeline(name)
    made = Generator(pipeline, name, Sampling.of(folder), device=device, dtype=dtype)
    if made.device.type == "cpu" and made._latents_on_a_side <= SMALL_LATENTS:
        from diffusers.models.attention_processor import AttnProcessor

        made.unet.set_attn_processor(AttnProcessor())
    return made


def _moved(
    pipeline: "StableDiffusionPipeline", device: str | torch.device, dtype: torch.dtype
) -> "StableDiffusionPipeline":
    with on(device), quiet():
        return pipeline.to(device, dtype)


def _square(image: ImageLike, size: int) -> NDArray[np.uint8]:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture.convert("RGB"))

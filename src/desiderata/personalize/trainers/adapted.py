"""A generator with an IP-Adapter (Ye et al., 2023): cross-attention reads a picture's embedding beside the words."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from desiderata.errors import DesiderataError
from desiderata.foundation.generator import Generator
from desiderata.foundation.pipelines import quiet, save_pipeline
from desiderata.foundation.registry import first_line
from desiderata.foundation.sampling import Generation

ADAPTER_FILE = "ip_adapter.safetensors"
EMBEDS_FILE = "ip_adapter_embeds.safetensors"
EMBEDS = "image_embeds"

TOKENS = 4
"""Tokens that a picture is turned into; `diffusers` takes no other number."""


class AdaptedGenerator(Generator):
    """Draws every picture with the same reference in mind.

    Args:
        plain: A generator of one's own (a copy), which is given up: its U-Net gets the adapter.
        adapter: The adapter's tensors under the names that they have in its file.
        embeds: Shape (2, 1, …): what the adapter reads without a reference, and of the reference.
        scale: How much the reference counts; 0 is not at all.

    Raises:
        DesiderataError: The adapter does not fit the generator.
    """

    def __init__(self, plain: Generator, adapter: Mapping[str, Tensor], embeds: Tensor, scale: float = 1.0) -> None:
        attach(plain, adapter)
        with quiet():
            plain.pipeline.set_ip_adapter_scale(scale)
        super().__init__(plain.pipeline, plain.name, plain.sampling, device=plain.device, dtype=plain.dtype)
        self._adapter = adapter
        self._embeds = embeds
        self._scale = scale

    def sample(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        guidance: float | None = None,
        batch: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        **conditioning: Any,
    ) -> list[Generation]:
        """Draw one picture for each sentence, with the reference in mind; see `Generator.sample`.

        Returns:
            The pictures in the order of `prompts`.
        """
        scale = self.sampling.guidance if guidance is None else guidance
        kinds = [0, 1] if scale > 1 else [1]  # classifier-free guidance also asks for the picture without a reference
        embeds = torch.cat(
            [self._embeds[kind].expand(batch or self.sampling.batch, *self._embeds.shape[1:]) for kind in kinds]
        )
        conditioning["ip_adapter_image_embeds"] = [embeds.to(self.device, self.dtype)]
        return super().sample(
            prompts, seeds, steps=steps, guidance=guidance, batch=batch, progress=progress, **conditioning
        )

    def copy(self) -> "AdaptedGenerator":
        """Return one with a U-Net, a text encoder and a tokenizer of its own."""
        return AdaptedGenerator(super().copy(), self._adapter, self._embeds, self._scale)

    def save(self, folder: Path) -> None:
        """Write the plain pipeline with two more files: the adapter, and the embedding of the reference.

        In plain `diffusers`, `pipeline.load_ip_adapter(folder, subfolder="", weight_name="ip_adapter.safetensors",
        image_encoder_folder=None)` loads the first; the tensor in the second is `ip_adapter_image_embeds`.

        Args:
            folder: Where; it must not be there yet, or be empty.

        Raises:
            DesiderataError: There is something, or it cannot be written.
        """
        plain = super().copy()
        with quiet():
            plain.pipeline.unload_ip_adapter()

        def add(stage: Path) -> None:
            self.sampling.save(stage)
            save_file({name: value.contiguous() for name, value in self._adapter.items()}, stage / ADAPTER_FILE)
            save_file({EMBEDS: self._embeds.contiguous()}, stage / EMBEDS_FILE)

        save_pipeline(plain.pipeline, folder, add)


def attach(generator: Generator, adapter: Mapping[str, Tensor]) -> None:
    """Put an adapter into a generator's U-Net, in place.

    Args:
        generator: One whose U-Net is its own.
        adapter: Tensors under the names that they have in the adapter's file.

    Raises:
        DesiderataError: It does not fit.
    """
    parts: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in adapter.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value
    try:
        with quiet(), torch.random.fork_rng([]):
            generator.unet._load_ip_adapter_weights([parts], low_cpu_mem_usage=False)
    except (KeyError, RuntimeError, IndexError) as error:
        raise DesiderataError(
            f"The adapter does not fit {generator.name} ({first_line(error)}): give one that was trained for it."
        ) from error


def adapter_parameters(generator: Generator) -> dict[str, nn.Parameter]:
    """Return the weights of the adapter that is in a generator, by the names that they have in an adapter's file."""
    unet = generator.unet
    (projection,) = cast(Any, unet.encoder_hid_proj).image_projection_layers
    found = {f"image_proj.{_filed(name)}": value for name, value in projection.named_parameters()}
    for number, name in cross_attention(generator):
        processor = cast(Any, unet.attn_processors[name])
        found[f"ip_adapter.{number}.to_k_ip.weight"] = processor.to_k_ip[0].weight
        found[f"ip_adapter.{number}.to_v_ip.weight"] = processor.to_v_ip[0].weight
    return found


def cross_attention(generator: Generator) -> list[tuple[int, str]]:
    """Return the U-Net's attention to words, each with its number in an adapter's file and its processor's name."""
    names = [name for name in generator.unet.attn_processors if not name.endswith("attn1.processor")]
    return [(2 * index + 1, name) for index, name in enumerate(names)]


def _filed(name: str) -> str:
    return name.replace("image_embeds", "proj")

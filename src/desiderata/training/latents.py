"""Scenes for moji-diffusion: rendered once, encoded once, kept as latents."""

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from safetensors.torch import load_file, save_file
from torch import Tensor

from desiderata.files import staged, write_text
from desiderata.randomness import stream
from desiderata.training.autoencoder import as_pixels
from desiderata.training.corpus import draw_map, scene_of
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.sampler import AT_LARGE, sample_scene
from desiderata.worlds.moji.scene import STYLES, Scene

SHARD = 4096
"""Scenes in a shard."""

_TAUGHT = replace(
    AT_LARGE,
    groups={1: 0.55, 2: 0.35, 3: 0.1},
    counts={1: 0.75, 2: 0.15, 3: 0.1},
    styles={style: 0.4 if style == "photo" else 0.12 for style in STYLES},
)
MIXTURE = (_TAUGHT, replace(_TAUGHT, classes="any"))
"""What the generator learns: mostly one or two things; every other scene shows one of the ten classes."""


@dataclass(frozen=True)
class Latents:
    """Encoded scenes.

    Attributes:
        latents: Shape (n, channels, side, side), of unit variance, half precision.
        maps: Shape (n, 8, 8): 0 where nothing stands, else 1 + the index of the concept.
        objects: Shape (n, 1, side, side), 1 where something stands and 0 elsewhere.
        scenes: Length n.
    """

    latents: Tensor
    maps: Tensor
    objects: Tensor
    scenes: list[Scene]


def latents_shard(folder: Path, index: int, autoencoder: AutoencoderTiny, seed: int, size: int = 64) -> Latents:
    """Return a shard, rendering and encoding it first unless the folder holds it.

    Args:
        folder: Where shards are kept; they belong to one autoencoder.
        index: Of the shard.
        autoencoder: Encodes.
        seed: Shard i is the same for the same seed.
        size: Pixels on a side.
    """
    tensors, scenes = folder / f"{index:04d}.safetensors", folder / f"{index:04d}.json"
    if not scenes.exists():
        rng = stream(seed, "latents", index)
        drawn = [sample_scene(rng, MIXTURE[place % 2]) for place in range(SHARD)]
        maps, images = [], []
        for scene in drawn:
            maps.append(draw_map(scene, copy.deepcopy(rng), size))
            images.append(render(scene, rng, size))
        with staged(tensors) as temporary:
            save_file(
                {"latents": encode(autoencoder, np.stack(images)), "maps": torch.from_numpy(np.stack(maps))},
                temporary,
            )
        write_text(scenes, json.dumps([asdict(scene) for scene in drawn]))
    kept = load_file(tensors)
    side = kept["latents"].shape[-1]
    objects = torch.nn.functional.interpolate((kept["maps"] > 0).half().unsqueeze(1), size=(side, side))
    shown = [scene_of(record) for record in json.loads(scenes.read_text())]
    return Latents(kept["latents"], kept["maps"].long(), objects, shown)


@torch.inference_mode()
def encode(autoencoder: AutoencoderTiny, images: np.ndarray, batch: int = 32) -> Tensor:
    """Return the latents of (n, size, size, 3) bytes, scaled to unit variance, in half precision."""
    parts: list[Tensor] = []
    for chunk in _chunks(images, batch):
        pixels = as_pixels(chunk).to(device=autoencoder.device, memory_format=torch.channels_last)
        with torch.autocast(autoencoder.device.type, torch.bfloat16):
            parts.append(autoencoder.encode(pixels).latents.float().cpu())  # pyright: ignore
    return (torch.cat(parts) * autoencoder.config["scaling_factor"]).half().contiguous()


def _chunks(images: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(images), size):
        yield images[start : start + size]

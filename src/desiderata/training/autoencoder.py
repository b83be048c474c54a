"""Train the autoencoder of moji-diffusion: 64 x 64 pictures to 16 x 16 latents and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from numpy.typing import NDArray
from torch import Tensor

from desiderata.randomness import stream
from desiderata.training.checkpoint import key_of
from desiderata.training.loop import Loop


@dataclass(frozen=True)
class AutoencoderRecipe:
    """How the autoencoder is trained.

    Attributes:
        pictures: How many are seen in all, repeats counted.
        batch: Pictures a step.
        learning_rate: The highest; it falls to 0 along a cosine.
        channels: Of the latents.
        width: Of every convolution.
        noise: Standard deviation of the noise put on latents, so that the decoder forgives what a sampler gets wrong.
        spread: Weight of the latents' mean square, which keeps them near unit variance.
        edges: Weight of the error of differences between neighbouring pixels: outlines are what objects are known by.
        seed: Of weights, order and noise.
    """

    pictures: int = 64_000
    batch: int = 32
    learning_rate: float = 2e-3
    channels: int = 6
    width: int = 48
    noise: float = 0.1
    spread: float = 2e-4
    edges: float = 1.0
    seed: int = 0


def new_autoencoder(recipe: AutoencoderRecipe) -> AutoencoderTiny:
    """Return the autoencoder with random weights; a quarter of the picture's side is the latents' side."""
    width = (recipe.width,) * 3
    return AutoencoderTiny(
        encoder_block_out_channels=width,
        decoder_block_out_channels=width,
        num_encoder_blocks=(0, 2, 3),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=recipe.channels,
    )


def train_autoencoder(
    images: Sequence[NDArray[np.uint8]],
    recipe: AutoencoderRecipe,
    checkpoint: Path,
    device: str = "cpu",
    report: Callable[[str], None] = print,
) -> AutoencoderTiny:
    """Train, going on from a checkpoint where there is one.

    Args:
        images: Shards of pictures, each of shape (n, size, size, 3).
        recipe: How to train.
        checkpoint: The file that an interrupted run goes on from.
        device: "cpu" or "cuda".
        report: Takes a line of progress.

    Returns:
        The autoencoder, whose `scaling_factor` brings latents to unit variance.
    """
    torch.manual_seed(recipe.seed)
    model = new_autoencoder(recipe).to(device=device, memory_format=torch.channels_last)  # pyright: ignore
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=1e-4)
    about = key_of(recipe, len(images), np.asarray(images[0][:8]).tobytes())
    total = recipe.pictures // recipe.batch
    lines = np.cumsum([len(shard) for shard in images])

    def take(step: int) -> dict[str, float]:
        draws = stream(recipe.seed, "autoencoder", step)
        places = draws.integers(lines[-1], size=recipe.batch)
        shards = np.searchsorted(lines, places, side="right")
        batch = np.stack([images[s][p - lines[s]] for s, p in zip(shards, places)])
        wanted = as_pixels(batch).to(device=device, memory_format=torch.channels_last)
        noise = torch.from_numpy(draws.standard_normal((recipe.batch, recipe.channels, *_side(wanted)), np.float32))
        with torch.autocast(device, torch.bfloat16):
            latents = model.encode(wanted).latents  # pyright: ignore[reportAttributeAccessIssue]
            made = model.decode(latents + recipe.noise * noise.to(device)).sample  # pyright: ignore
        loss = (
            reconstruction_loss(made.float(), wanted, recipe.edges) + recipe.spread * latents.float().square().mean()
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        error = (made.detach().float().clamp(-1, 1) - wanted).square().mean() / 4
        return {"dB": -10 * torch.log10(error).item(), "latents": latents.detach().float().std().item()}

    def rate(step: int) -> float:
        return recipe.learning_rate * float(min((step + 1) / 100, 0.5 + 0.5 * np.cos(np.pi * step / total)))

    Loop(checkpoint, {"model": model}, optimizer, about, total, rate, "autoencoder step", report=report).run(
        take, lambda _step: recipe.batch
    )
    model = model.eval().requires_grad_(False)
    sample = np.concatenate([shard[:128] for shard in images[:4]])
    with torch.inference_mode():
        latents = model.encode(as_pixels(sample).to(device)).latents  # pyright: ignore[reportAttributeAccessIssue]
    model.register_to_config(scaling_factor=float(1 / latents.std()))
    return model


def as_pixels(images: NDArray[np.uint8]) -> Tensor:
    """Return (n, size, size, 3) bytes as (n, 3, size, size) numbers from -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def reconstruction_loss(made: Tensor, wanted: Tensor, edges: float) -> Tensor:
    """Return squared and absolute error, and `edges` times the error of differences between neighbouring pixels."""
    across = (made.diff(dim=-1) - wanted.diff(dim=-1)).abs().mean()
    down = (made.diff(dim=-2) - wanted.diff(dim=-2)).abs().mean()
    return F.mse_loss(made, wanted) + 0.5 * F.l1_loss(made, wanted) + edges * 0.5 * (across + down)


def _side(pixels: Tensor) -> tuple[int, int]:
    return pixels.shape[-2] // 4, pixels.shape[-1] // 4

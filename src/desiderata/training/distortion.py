"""What generators do wrong, done to rendered pictures, so that a judge which learns from them stands it.

Most pictures are only made softer, noisier or blotchy, as an autoencoder and a short denoising leave them, and still
show what they showed. In some the objects are destroyed and their colours kept: smeared to blobs or cut into small
pieces and shuffled. These show nothing, so that nothing is ever recognised by its colour alone.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT = 4
"""The most pixels that a picture is moved."""

_PARTS = 4
"""A batch is cut into so many parts, each softened in its own way."""


def distorted(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures flipped, moved, softened, tinted and made noisy at random; they still show the same.

    Args:
        pixels: Shape (n, 3, size, size), 0 to 1.
        generator: Where every draw comes from.

    Returns:
        The same shape, 0 to 1.
    """
    parts = [_moved(_softened(part, generator), generator) for part in pixels.chunk(_PARTS)]
    changed = torch.cat(parts)
    n = len(changed)

    def spread(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    contrast, light = spread(0.85, 1.15, 1, 1, 1), spread(-0.05, 0.05, 3, 1, 1)
    blotches = F.interpolate(torch.randn(n, 3, 6, 6, generator=generator), pixels.shape[-2:], mode="bilinear")
    noise = torch.randn(n, 1, *pixels.shape[-2:], generator=generator)
    changed = (changed - 0.5) * contrast + 0.5 + light
    changed = changed + spread(0, 0.05, 1, 1, 1) * blotches + spread(0, 0.05, 1, 1, 1) * noise
    return changed.clamp(0, 1)


def destroyed(pixels: Tensor, maps: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures whose objects nobody would recognise, though their colours are where they were.

    Args:
        pixels: Shape (n, 3, size, size), 0 to 1.
        maps: Shape (n, cells, cells), above 0 where something stands.
        generator: Where every draw comes from.

    Returns:
        The same shape, 0 to 1: the first half smeared, the other half shuffled.
    """
    half = len(pixels) // 2
    size = pixels.shape[-2:]
    there = F.interpolate((maps > 0).float().unsqueeze(1), size, mode="bilinear") > 0.25
    blobs = F.interpolate(F.avg_pool2d(pixels[:half], pixels.shape[-1] // 8), size, mode="bicubic").clamp(0, 1)
    pieces = torch.stack([_shuffled(*each, generator) for each in zip(pixels[half:], maps[half:], strict=True)])
    return torch.where(there, torch.cat([blobs, pieces]), pixels)


def _shuffled(picture: Tensor, cells: Tensor, generator: torch.Generator) -> Tensor:
    """Return (3, size, size) with the small squares where something stands in another order."""
    side = 4
    fine = F.interpolate(cells[None, None].float(), scale_factor=picture.shape[-1] / side / len(cells))
    places = fine.flatten().nonzero().squeeze(1)
    squares = F.unfold(picture[None], side, stride=side)
    mixed = squares.clone()
    mixed[:, :, places] = squares[:, :, places[torch.randperm(len(places), generator=generator)]]
    return F.fold(mixed, (picture.shape[-2], picture.shape[-1]), side, stride=side)[0]


def _moved(pixels: Tensor, generator: torch.Generator) -> Tensor:
    right, down = torch.randint(2 * SHIFT + 1, (2,), generator=generator).tolist()
    height, width = pixels.shape[-2:]
    moved = F.pad(pixels, (SHIFT,) * 4, mode="replicate")[:, :, down : down + height, right : right + width]
    return moved.flip(3) if torch.rand((), generator=generator) < 0.5 else moved


def _softened(pixels: Tensor, generator: torch.Generator) -> Tensor:
    way = int(torch.randint(len(_WAYS), (), generator=generator))
    return _WAYS[way](pixels, float(torch.rand((), generator=generator)))


def _sharp(pixels: Tensor, _strength: float) -> Tensor:
    return pixels


def _coarser(pixels: Tensor, strength: float) -> Tensor:
    """Return pictures as they look after they were made smaller, down to two fifths, and larger again."""
    size = pixels.shape[-1]
    small = F.interpolate(pixels, size=round(size * (0.9 - 0.5 * strength)), mode="bilinear", antialias=True)
    return F.interpolate(small, size=size, mode="bicubic").clamp(0, 1)


def _blurred(pixels: Tensor, strength: float) -> Tensor:
    around = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return pixels + (0.3 + 0.7 * strength) * (around - pixels)


def _compressed(pixels: Tensor, strength: float) -> Tensor:
    """Return pictures as JPEG leaves them: cosine coefficients of blocks of 8 rounded, fine ones more coarsely."""
    n, channels, height, width = pixels.shape
    basis = _cosines(8)
    blocks = pixels.view(n, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = (0.02 + 0.08 * strength) * (1 + torch.arange(8)[:, None] + torch.arange(8)[None, :]) / 2
    kept = ((basis @ blocks @ basis.T) / steps).round() * steps
    return (basis.T @ kept @ basis).transpose(3, 4).reshape(pixels.shape).clamp(0, 1)


def _cosines(n: int) -> Tensor:
    """Return the orthonormal cosine transform of n values as an (n, n) matrix."""
    waves = torch.cos(math.pi / n * (torch.arange(n) + 0.5)[None, :] * torch.arange(n)[:, None])
    waves[0] /= math.sqrt(2)
    return waves * math.sqrt(2 / n)


_WAYS: tuple[Callable[[Tensor, float], Tensor], ...] = (_sharp, _sharp, _coarser, _coarser, _blurred, _compressed)

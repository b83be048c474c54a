"""Styles of the whole picture: each redraws a finished picture."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Picture = NDArray[np.uint8]
"""(height, width, 3), RGB."""

Style = Callable[[Picture, np.random.Generator], Picture]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""How bright red, green and blue look."""


def photo(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture as drawn, a little brighter or darker, with a trace of grain."""
    return as_bytes(picture * np.float32(rng.uniform(0.93, 1.07)) + grain(picture, rng, 5))


def pencil(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return grey strokes and light hatching on paper; a faint wash of the colours stays."""
    grey = picture @ LUMA
    tone = 168 + 0.32 * grey - 2.6 * strokes(grey)
    tone += _hatching(*grey.shape, int(rng.integers(3, 5))) * (255 - grey) * 0.09
    wash = 0.16 * (picture - grey[:, :, None])
    paper = np.array([1.02, 1.0, 0.95], np.float32)
    return as_bytes(np.maximum(tone, 40)[:, :, None] * paper + wash + grain(picture, rng, 8))


def blueprint(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return white and cyan lines on blue paper with a faint grid."""
    grey = picture @ LUMA
    paper = np.array([20, 66, 150], np.float32) * np.float32(rng.uniform(0.85, 1.15))
    # Tone and hue shine through a little, or a plain red could not be told from a plain green.
    paper = paper + 0.24 * (grey[:, :, None] - 128) + 0.2 * (picture - grey[:, :, None])
    step = max(4, picture.shape[0] // 8)
    offset = int(rng.integers(step))
    paper[offset::step] += 12
    paper[:, offset::step] += 12
    ink = np.minimum(strokes(grey) / 42, 1)[:, :, None]
    return as_bytes(paper + ink * (np.array([215, 245, 255], np.float32) - paper))


def pixel_art(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return coarse blocks in twelve to sixteen strong colours."""
    height, width, _ = picture.shape
    block = max(2, round(min(height, width) / 32))
    image = Image.fromarray(picture).resize((width // block, height // block), Image.Resampling.HAMMING)
    vivid = (np.asarray(image, np.float32) - 128) * 1.3 + 128
    image = Image.fromarray(as_bytes(vivid)).quantize(int(rng.integers(12, 17)), Image.Quantize.FASTOCTREE)
    return np.array(image.convert("RGB").resize((width, height), Image.Resampling.NEAREST))


def night_photo(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return it dark and blue, darker still in the corners, with coarse noise."""
    light = np.array([0.50, 0.57, 0.82], np.float32) * np.float32(rng.uniform(0.9, 1.1))
    dark = picture * (light * _vignette(*picture.shape[:2]))
    return as_bytes(dark + np.array([6, 8, 22], np.float32) + grain(picture, rng, 16))


def sepia(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return brown tones of an old print, its colours all but gone."""
    grey = (picture @ LUMA)[:, :, None]
    brown = grey * np.array([0.95, 0.8, 0.58], np.float32) + np.array([26, 14, 0], np.float32)
    faded = brown + 0.14 * (picture - grey)
    return as_bytes(faded * np.float32(rng.uniform(0.94, 1.06)) + grain(picture, rng, 10))


STYLE: Mapping[str, Style] = MappingProxyType(
    {
        "photo": photo,
        "pencil": pencil,
        "blueprint": blueprint,
        "pixel art": pixel_art,
        "night photo": night_photo,
        "sepia": sepia,
    }
)
"""Each name in `STYLES` with what draws it: (height, width, 3) uint8 and a generator -> the same shape."""


def as_bytes(picture: NDArray[np.floating]) -> Picture:
    """Return a picture of numbers from 0 to 255, whatever leaves that range cut off."""
    return np.clip(picture, 0, 255).astype(np.uint8)


def strokes(grey: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return how much darker each pixel is than those around it, so that an outline gives one line."""
    radius = grey.shape[0] / 32
    around = Image.fromarray(grey.astype(np.uint8)).filter(ImageFilter.BoxBlur(radius))
    return np.maximum(np.asarray(around, np.float32) - grey - 3, 0)


def grain(picture: Picture, rng: np.random.Generator, strength: int) -> NDArray[np.float32]:
    """Return (height, width, 1) grey noise, evenly spread from -strength to +strength."""
    noise = np.frombuffer(rng.bytes(picture.shape[0] * picture.shape[1]), np.uint8).astype(np.float32)
    return (noise.reshape(*picture.shape[:2], 1) - 127.5) * np.float32(strength / 127.5)


@lru_cache(maxsize=8)
def _vignette(height: int, width: int) -> NDArray[np.float32]:
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    return 1.1 - 0.35 * (rows**2 + columns**2)


@lru_cache(maxsize=8)
def _hatching(height: int, width: int, period: int) -> NDArray[np.float32]:
    rows, columns = np.ogrid[:height, :width]
    return np.where((rows + columns) % period == 0, -1, 0).astype(np.float32)

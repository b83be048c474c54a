"""Whole-picture styles that no model of the Moji world is trained on, for teaching a generator a style.

Each changes a picture visibly and leaves what it shows to be recognised: of pictures that are exactly what a sentence
asks for, drawn in the style, moji-clip takes at most one in twenty for a picture of something else (`desiderata bench
personalize` measures it), since what it is blind to in a style would look as if it had been overfitted.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desiderata.worlds.moji.styles import LUMA, Picture, Style, as_bytes, grain, strokes


def halftone(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return dots of a few flat colours on pale paper with black outlines, as comics are printed."""
    height, width, _ = picture.shape
    flat = (np.floor(picture / np.float32(64)) * 64 - 96) * 1.25 + 128
    pitch = max(4, height // 16)
    rows, columns = _offset_grid(height, width, pitch, rng)
    aside = np.hypot(rows - pitch / 2 + 0.5, columns - pitch / 2 + 0.5)
    printed = np.where((aside < 0.36 * pitch)[:, :, None], 0.72 * flat, 0.3 * flat + 178)
    inked = printed * (1 - np.minimum(strokes(picture @ LUMA) / 60, 1))[:, :, None]
    return as_bytes(0.8 * np.clip(inked, 0, 255) + 0.2 * picture)


def embroidery(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return crosses of yarn on pale cloth that shows between them."""
    height, width, _ = picture.shape
    half = Image.fromarray(picture).resize((width // 2, height // 2), Image.Resampling.BOX)
    yarn = np.asarray(half.resize((width, height), Image.Resampling.NEAREST), np.float32)
    pitch = max(4, height // 16)
    rows, columns = _offset_grid(height, width, pitch, rng)
    cross = (rows == columns) | (rows + columns == pitch - 1)
    return as_bytes(np.where(cross[:, :, None], 0.9 * yarn + 20, 0.55 * yarn + 105))


def television(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture on an old screen: greenish, with dark lines across."""
    height = picture.shape[0]
    pitch = max(3, height // 16)
    dark = (np.arange(height) + int(rng.integers(pitch))) % pitch == 0
    screen = picture * np.array([0.85, 1.04, 0.9], np.float32) + np.array([0, 8, 4], np.float32)
    return as_bytes(np.where(dark[:, None, None], 0.55 * screen, screen))


def night_vision(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return shades of a pale green with grain, as a light amplifier shows the dark."""
    grey = (picture @ LUMA)[:, :, None]
    lit = grey * np.float32(rng.uniform(0.95, 1.05))
    glow = np.array([0, 30, 10], np.float32) + lit * np.array([0.75, 0.88, 0.63], np.float32)
    # As in a blueprint, hue shines through a little, or a plain red could not be told from a plain blue.
    return as_bytes(glow + 0.25 * (picture - grey) + grain(picture, rng, 10))


def crayon(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return slanting strokes of wax, paper between them."""
    height, width, _ = picture.shape
    stroke = (np.add.outer(np.arange(height), np.arange(width)) % 5 < 2)[:, :, None]
    drawn = np.where(stroke, 0.6 * picture + 100, 0.95 * picture + 10)
    return as_bytes(drawn + grain(picture, rng, 14))


def sunset(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture in a light that is violet above and orange below."""
    down = np.linspace(0, 1, picture.shape[0])[:, None, None]
    light = (1 - down) * np.array([150, 40, 160], np.float32) + down * np.array([255, 120, 30], np.float32)
    lit = light * np.float32(rng.uniform(0.92, 1.08)) * (picture @ LUMA)[:, :, None] / 160
    return as_bytes(0.55 * picture + 0.45 * lit)


HELD_OUT_STYLE: Mapping[str, Style] = MappingProxyType(
    {
        "halftone": halftone,
        "embroidery": embroidery,
        "television": television,
        "night vision": night_vision,
        "crayon": crayon,
        "sunset": sunset,
    }
)
"""Each held-out style with what draws it, as in `STYLE`."""


def _offset_grid(
    height: int, width: int, pitch: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row and the column of every pixel within its square of a grid that begins anywhere."""
    rows, columns = np.mgrid[:height, :width]
    return (rows + int(rng.integers(pitch))) % pitch, (columns + int(rng.integers(pitch))) % pitch

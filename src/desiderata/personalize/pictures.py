"""Pictures of the subject that the user gave: read safely, never written to, brought to the generator's size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from desiderata.campaign.blobs import Blobs
from desiderata.campaign.images import ImageLike, as_list, digest_of, read_image, to_png
from desiderata.errors import DesiderataError
from desiderata.formats import ONE_OF
from desiderata.personalize.drawing import PASSED, kept, kept_picture
from desiderata.worlds.folder import image_files

Pixels = NDArray[np.uint8]

GIVEN = "class/given.txt"
"""What a run keeps that has copies of class pictures: how many."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A picture of the subject.

    Attributes:
        name: Where it came from.
        image: Shape (size, size, 3), the middle of the picture at the generator's size.
    """

    name: str
    image: Pixels

    @property
    def digest(self) -> str:
        """SHA-256 of its pixels, as in `Answer.image`."""
        return digest_of(Image.fromarray(self.image))


def square(image: Image.Image, size: int) -> Pixels:
    """Return the middle of a picture at the size of a generator.

    Args:
        image: RGB, of any size and shape.
        size: Pixels on a side.

    Returns:
        Shape (size, size, 3), bilinearly scaled.
    """
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))


def reference_files(folder: Path) -> list[Path]:
    """Return the files of the pictures in a folder, in order of their names.

    Raises:
        DesiderataError: It is no folder, or there are none.
    """
    if not folder.is_dir():
        raise DesiderataError(f"{folder} is not a folder: give the one that holds the pictures of the subject.")
    if not (files := image_files(folder)):
        raise DesiderataError(f"{folder} has no {ONE_OF} images: put pictures of the subject there.")
    return files


def read_references(source: str | Path | Sequence[ImageLike], size: int) -> list[Reference]:
    """Read the pictures of the subject; nothing is written.

    Args:
        source: A folder, or pictures.
        size: Pixels on a side of what is returned.

    Returns:
        The pictures, upright; those of a folder in order of their names.

    Raises:
        DesiderataError: There are none, or one cannot be read.
    """
    if isinstance(source, str | Path):
        files: Sequence[ImageLike] = reference_files(Path(source))
    elif not (files := as_list(source)):
        raise DesiderataError("No picture of the subject was given: give one at least.")
    names = [str(one) if isinstance(one, str | Path) else f"picture {i}" for i, one in enumerate(files, start=1)]
    return [Reference(name, square(read_image(one, name), size)) for one, name in zip(files, names, strict=True)]


def keep_references(shelf: Blobs, references: Sequence[Reference]) -> None:
    """Put copies of the pictures into the run, which needs them again in every round."""
    for one in references:
        if kept(shelf, f"{_name(one.digest)}.png") is None:
            shelf.put(f"{_name(one.digest)}.png", to_png(Image.fromarray(one.image)))


def kept_reference(shelf: Blobs, digest: str) -> Pixels | None:
    """Return the copy of a reference by the SHA-256 of its pixels; None where the run has none."""
    return kept_picture(shelf, _name(digest))


def keep_class(shelf: Blobs, given: Sequence[Reference]) -> None:
    """Put copies of pictures of the subject's class into the run, too, where those lie that others have drawn."""
    if kept(shelf, GIVEN) is None:
        for number, one in enumerate(given):
            shelf.put(_of_class(number), to_png(Image.fromarray(one.image)))
        shelf.put(GIVEN, f"{len(given)}\n".encode())


def find_class(shelf: Blobs, folder: Path, size: int) -> list[Reference]:
    """Return pictures of the class that the user gave, from the run or, until it has them, from where they lay.

    Raises:
        DesiderataError: They are in neither place.
    """
    if (number := kept(shelf, GIVEN)) is None:
        return read_references(folder, size)
    made: list[Reference] = []
    for name in map(_of_class, range(int(number))):
        if (image := kept_picture(shelf, name.removesuffix(PASSED))) is None:
            raise DesiderataError(f"The picture {name} is gone from the run: put it back from a copy.")
        made.append(Reference(name, image))
    return made


def find_references(shelf: Blobs, wanted: Mapping[str, str], folder: str | Path, size: int) -> list[Reference]:
    """Return the pictures that a run began with, from the run or, where it was killed early, from where they lay.

    Args:
        shelf: The files of the run.
        wanted: Their names by the SHA-256 of their pixels, in order.
        folder: Where the user had them.
        size: Pixels on a side.

    Returns:
        The pictures in order.

    Raises:
        DesiderataError: One is in neither place, or is another picture now.
    """
    copies = {digest: kept_reference(shelf, digest) for digest in wanted}
    found = {digest: Reference(wanted[digest], image) for digest, image in copies.items() if image is not None}
    if len(found) < len(wanted):
        there = read_references(folder, size) if Path(folder).is_dir() else []
        found |= {one.digest: one for one in there if one.digest in wanted}
    for digest, name in wanted.items():
        if digest not in found:
            raise DesiderataError(
                f"The reference picture {name} is gone or has been changed, and the campaign has no copy of it yet: "
                "put it back."
            )
    return [found[digest] for digest in wanted]


def _of_class(number: int) -> str:
    return f"class/{number:03d}{PASSED}"


def _name(digest: str) -> str:
    return f"references/{digest}"

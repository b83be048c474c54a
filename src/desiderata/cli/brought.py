"""What `desiderata tell` is given: files, folders and standard input, and what each image is said to show."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from desiderata.campaign.answers import listed
from desiderata.campaign.images import MOST_BYTES
from desiderata.campaign.records import Answer
from desiderata.cli.output import count
from desiderata.errors import DesiderataError
from desiderata.worlds.folder import class_meant, files_among

Brought = tuple[Path | bytes, str | None]
"""An image, and the class that it was brought as; None stands for the one that was asked for."""


def named(files: Sequence[str]) -> list[Path]:
    """Return names as paths.

    Raises:
        DesiderataError: One is empty, which would stand for the current folder with all that is in it.
    """
    if "" in files:
        raise DesiderataError("An empty name was given: name image files or folders (is a variable not set?).")
    return [Path(name) for name in files]


def images_brought(files: Sequence[str], label: str | None, classes: Sequence[str]) -> list[Brought]:
    """Find the images, and what they are said to show.

    Sub-folders that are called like classes say so, as those of `desiderata new --images` do, and so does a folder
    that is given and is called like one itself, or in which a file lies that is given; for a single file, `label`
    says it before its folder does.

    Args:
        files: Image files, folders, or "-" for one image on standard input.
        label: The class of all of them, as somebody spelt it; None where nobody said so.
        classes: Of the campaign.

    Returns:
        The images in the order given; those of a folder in the order of their names.

    Raises:
        DesiderataError: A name is empty, a folder has no images, or sub-folders that are called like no class, or
            like another one than `label`.
    """
    told = None if label is None else class_meant(label, classes) or label
    found: list[Brought] = []
    for path in named(files):
        if str(path) == "-":
            found.append((_standard_input(), told))
        elif os.path.isdir(path):
            found += [(file, _label(file, path, told, classes)) for file in files_among([path])]
        else:
            found.append((path, told or class_meant(path.absolute().parent.name, classes)))
    return found


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise DesiderataError("- stands for an image on standard input, and there is none: name a file.")
    return sys.stdin.buffer.read(MOST_BYTES + 1)


def in_words(answers: Sequence[Answer], asked_for: str) -> str:
    """Return how many images were recorded for which class: "2 images of cat", "3 images (2 of cat, 1 of dog)".

    Where none is of the class asked for, that is said, too.
    """
    counts = Counter(answer.label for answer in answers)
    images = count(len(answers), "image")
    beside = "" if asked_for in counts else f", where {asked_for} was asked for,"
    if len(counts) == 1:
        return f"{images} of {answers[0].label}{beside}"
    return f"{images} ({', '.join(f'{n} of {label}' for label, n in sorted(counts.items()))}){beside}"


def _label(file: Path, folder: Path, told: str | None, classes: Sequence[str]) -> str | None:
    """Return the class of a file below a folder.

    Raises:
        DesiderataError: Its sub-folder is called like no class, or like another one than the class told.
    """
    room, named = folder, class_meant(os.path.basename(os.path.abspath(folder)), classes)
    inside = file.relative_to(folder).parts[:-1]
    if named is None and inside:
        room = folder / inside[0]
        named = class_meant(inside[0], classes)
        if named is None and told is None:
            raise DesiderataError(
                f"{room} is called like none of the classes, {listed(classes)}: rename it, or say with --label what "
                "all the images show."
            )
    if told in classes and named not in (None, told):  # of a label that is no class the campaign says so itself
        raise DesiderataError(
            f"{room} is called like the class {named}, and --label says {told}: leave one of them out."
        )
    return told or named

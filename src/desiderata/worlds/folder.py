"""The user's own pictures: a folder with one sub-folder per class."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from desiderata.errors import DesiderataError
from desiderata.files import readable
from desiderata.formats import ONE_OF, SUFFIXES
from desiderata.randomness import stream

SHADOWS = "__MACOSX"
"""A folder that the Mac's archiver packs beside what it was given, with a shadow of each file."""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A picture that somebody put into the folder of a class.

    Attributes:
        path: Where it is.
        label: The class.
    """

    path: Path
    label: str


@dataclass(frozen=True)
class FolderWorld:
    """Labelled files, divided.

    Attributes:
        classes: Names, sorted. An underscore in the name of a sub-folder is read as a space, because classes
            stand in sentences.
        initial: What the classifier starts from.
        validation: What its questions are meant to improve it on.
        test: What it is measured on; may be empty.
    """

    classes: tuple[str, ...]
    initial: tuple[LabelledFile, ...]
    validation: tuple[LabelledFile, ...]
    test: tuple[LabelledFile, ...] = ()


def read_folders(
    images: Path,
    *,
    validation: Path | None = None,
    validation_share: float = 0.3,
    test: Path | None = None,
    seed: int = 0,
) -> FolderWorld:
    """Find labelled pictures, and set some aside for validation if they have no folder of their own.

    Nothing is decoded here; a file counts by its name (`formats.SUFFIXES`).

    Args:
        images: A folder with one sub-folder per class.
        validation: Another one, with the same classes; None draws `validation_share` of every class.
        validation_share: Between 0 and 1; at least one picture of each class is drawn and one is left.
        test: Another one, with the same classes, or None.
        seed: Decides the draw, together with the names of the files.

    Returns:
        The files of each part, class after class, in the order of their names.

    Raises:
        DesiderataError: A folder is missing or has no sub-folders, classes differ between folders, or a class has
            too few pictures.
    """
    found = _labelled(images)
    classes = tuple(found)
    if len(classes) < 2:
        raise DesiderataError(f"{images} has one class only ({', '.join(classes)}): a classifier needs two or more.")
    if validation is None:
        if not 0 < validation_share < 1:
            raise DesiderataError(f"A validation share of {validation_share:g} is not between 0 and 1: try 0.3.")
        initial, checked = _divided(images, found, validation_share, seed)
    else:
        initial, checked = found, _matching(validation, images, classes)
    tested = {} if test is None else _matching(test, images, classes)
    return FolderWorld(classes, _flat(initial), _flat(checked), _flat(tested))


def image_files(folder: Path) -> list[Path]:
    """Return the files below `folder` that are named like images, hidden ones left out, in order of their names."""
    return [path for path in _files(folder) if path.suffix.lower() in SUFFIXES]


def files_among(paths: Sequence[Path]) -> list[Path]:
    """Return paths as they are given, but in place of each folder the image files below it.

    Raises:
        DesiderataError: A folder has none.
    """
    found: list[Path] = []
    for path in paths:
        inside = image_files(path) if os.path.isdir(path) else [path]  # who opens it says what is wrong
        if not inside:
            raise DesiderataError(f"{path} has no {ONE_OF} images: give another folder, or files.")
        found += inside
    return found


def other_files(folder: Path) -> list[Path]:
    """Return the files below `folder` that are named like no image, hidden ones left out, in order of their names."""
    return [path for path in _files(folder) if path.suffix.lower() not in SUFFIXES]


def class_name(spelt: str) -> str:
    """Return the class that a sub-folder stands for, as it stands in sentences: "tabby_cat" is "tabby cat"."""
    return " ".join(readable(spelt).replace("_", " ").split())


def class_meant(spelt: str, classes: Sequence[str]) -> str | None:
    """Return the class that somebody means who writes `spelt`.

    Args:
        spelt: The class itself, or the name of its sub-folder, in large or small letters.
        classes: Those that there are.

    Returns:
        One of the classes; None where none is meant, or, but for large and small letters, more than one.
    """
    for exactly in (spelt, class_name(spelt)):
        if exactly in classes:
            return exactly
    alike = [label for label in classes if label.casefold() == class_name(spelt).casefold()]
    return alike[0] if len(alike) == 1 else None


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """Return what the sub-folder of each class may be called, so that `class_name` reads the class back.

    No name is hidden, leads out of its folder or, where large and small letters are one, is that of another class;
    a class whose name holds a slash comes back with a dash in its place.
    """
    found: dict[str, str] = {}
    for label in classes:
        name = re.sub(r"[/\\\0]", "-", label)
        if not name.strip() or _hidden(name):
            name = f"_{name}"
        while name.casefold() in {other.casefold() for other in found.values()}:
            name += "-"
        found[label] = name
    return found


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for root, rooms, names in os.walk(folder, onerror=_refused):
        rooms[:] = [name for name in rooms if not _hidden(name)]
        found += [Path(root, name) for name in names if not _hidden(name)]
    return sorted(path for path in found if os.path.isfile(path))


def _refused(error: OSError) -> NoReturn:
    """Say which folder cannot be looked into; pictures in it would be left out without a word.

    Raises:
        DesiderataError: Always.
    """
    raise DesiderataError(
        f"{readable(os.fsdecode(error.filename))} cannot be read ({error.strerror}): let yourself read it, or leave "
        "it out."
    ) from None


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == SHADOWS


def _labelled(folder: Path) -> dict[str, list[LabelledFile]]:
    if not os.path.isdir(folder):
        raise DesiderataError(f"{folder} is not a folder: give one that has a sub-folder for each class.")
    try:
        rooms = sorted(room for room in folder.iterdir() if os.path.isdir(room) and not _hidden(room.name))
    except OSError as error:
        _refused(error)
    if not rooms:
        raise DesiderataError(f"{folder} has no sub-folders: make one for each class and sort the images into them.")
    found: dict[str, list[LabelledFile]] = {}
    for room in rooms:
        label = class_name(room.name)
        if label in found:
            raise DesiderataError(f"{folder} has two sub-folders for the class {label!r}: put them together.")
        files = image_files(room)
        if not files:
            raise DesiderataError(f"{room} has no {ONE_OF} images: add some, or remove the sub-folder.")
        found[label] = [LabelledFile(path, label) for path in files]
    return dict(sorted(found.items()))


def _matching(folder: Path, images: Path, classes: Sequence[str]) -> dict[str, list[LabelledFile]]:
    found = _labelled(folder)
    if difference := sorted(set(found) ^ set(classes)):
        which, there = (images, classes) if difference[0] in found else (folder, found)
        for spelt in there:
            if spelt.casefold() == difference[0].casefold():
                raise DesiderataError(
                    f"{which} has a sub-folder for {spelt!r} and none for {difference[0]!r}: spell both alike."
                )
        raise DesiderataError(f"{which} has no sub-folder for {difference[0]!r}: both folders need the same classes.")
    return found


def _divided(
    images: Path, found: dict[str, list[LabelledFile]], share: float, seed: int
) -> tuple[dict[str, list[LabelledFile]], dict[str, list[LabelledFile]]]:
    short = [f"{label} ({len(files)})" for label, files in found.items() if len(files) < 2]
    if short:
        raise DesiderataError(
            f"{images} has too few images of {', '.join(short)}: each class needs two or more, one to learn from and "
            "one to validate on."
        )
    kept: dict[str, list[LabelledFile]] = {}
    drawn: dict[str, list[LabelledFile]] = {}
    for label, files in found.items():
        n = min(max(1, round(share * len(files))), len(files) - 1)
        chosen = set(stream(seed, "validation", label).permutation(len(files))[:n].tolist())
        drawn[label] = [file for i, file in enumerate(files) if i in chosen]
        kept[label] = [file for i, file in enumerate(files) if i not in chosen]
    return kept, drawn


def _flat(found: dict[str, list[LabelledFile]]) -> tuple[LabelledFile, ...]:
    return tuple(file for files in found.values() for file in files)

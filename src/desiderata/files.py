"""Staged writes: a reader sees the old file or the new one, a whole folder or none, never half of either."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from desiderata.errors import DesiderataError

_NO_CHARACTERS = re.compile("[\ud800-\udfff]")


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it becomes `path` in one step.

    Args:
        path: Where the finished file belongs. Missing parent folders are made.

    Yields:
        The temporary path. It is removed when the block raises, and `path` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path` to fill; on success it becomes `path` in one step.

    Args:
        path: Where the finished folder belongs; nothing may be there. Missing parent folders are made.

    Yields:
        The temporary folder. It is removed when the block raises.

    Raises:
        DesiderataError: Something is at `path`, or it cannot be written.
    """
    place = Path(os.path.realpath(path))  # of a link, where it points
    stage = None
    try:
        _check_nothing_at(place, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name[:40]}."))
        yield stage
        sync_files(stage)
        for_everybody(stage)
        _check_nothing_at(place, path)  # an empty folder would be replaced
        stage.replace(place)
        _sync(place.parent)
    except OSError as error:
        raise DesiderataError(f"{path} cannot be written ({error.strerror}): choose another place.") from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)


def sync_files(folder: Path) -> None:
    """Make what was written below a folder outlast a power cut."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())


def for_everybody(folder: Path) -> None:
    """Let everybody read a folder and all below it: safetensors writes for the owner alone."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _check_nothing_at(place: Path, path: Path) -> None:
    if place.exists():
        raise DesiderataError(f"{path} is there already: choose another name.")


def _sync(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut, on systems that can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step."""
    with staged(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` in one step, as UTF-8."""
    write_bytes(path, content.encode())


def check_writable(path: Path) -> None:
    """Make sure that a file can be written to `path`, before somebody waits for what is to go there.

    Raises:
        DesiderataError: It is a folder, or the folder that it belongs into cannot be made or written to.
    """
    try:
        if path.is_dir():
            raise DesiderataError(f"{path} is a folder: give the name of a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:99]}."):
            pass
    except FileExistsError:
        raise DesiderataError(f"{path} cannot be written (its folder is a file): choose another place.") from None
    except OSError as error:
        raise DesiderataError(f"{path} cannot be written ({error.strerror}): choose another place.") from None


def check_outside(path: Path, folder: Path, what: str) -> None:
    """Make sure that nothing is written into a folder that is only read.

    Args:
        path: What is to be written.
        folder: The folder.
        what: Whose it is, such as "your pictures".

    Raises:
        DesiderataError: It would lie there.
    """
    if path.resolve().is_relative_to(folder.resolve()):
        raise DesiderataError(
            f"{path} lies in the folder of {what}, {folder}, which is left as it is: choose another place."
        )


def readable(name: str) -> str:
    """Return the name of a file as text that can be stored and shown.

    Names of files are bytes. Those that are not UTF-8 reach Python with characters that no database and no page
    takes; each of these becomes U+FFFD, the replacement character.
    """
    return _NO_CHARACTERS.sub("\ufffd", name)


def in_its_folder(path: str | Path) -> str:
    """Return the name of a file behind that of the folder that it lies in: "cat/003.png" is one of many "003.png"."""
    return "/".join(readable(part) for part in Path(path).absolute().parts[-2:])

"""Staged writes: a reader sees the old file or the new one, a whole folder or none, never half of either."""

import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from desiderata.errors import DesiderataError

_NO_CHARACTERS = re.compile("[\ud800-\udfff]")
LONGEST_NAME = 255
"""Bytes, on the file systems that are usual."""
_TOKEN = re.compile("[0-9a-f]{8}")


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it becomes `path` in one step.

    Args:
        path: Where the finished file belongs. Missing parent folders are made.

    Yields:
        The temporary path. It is removed when the block raises, and `path` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _stage(path, path.parent)
    temporary.touch(exist_ok=False)  # with what the umask leaves of its mode
    mode = temporary.stat().st_mode
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)  # safetensors writes for the owner alone
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def prepared(path: Path, content: bytes) -> Iterator[Callable[[], None]]:
    """Write `content` beside `path`, which takes its time; it becomes `path` in no time, or not at all.

    Args:
        path: Where the file belongs. Missing parent folders are made.
        content: Of the file.

    Yields:
        What makes it `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _stage(path, path.parent)

    def place() -> None:
        temporary.replace(path)
        _sync(path.parent)

    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield place
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
        stage = stage_folder(place, place.parent)
        yield stage
        sync_files(stage)
        as_umask_says(stage)
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


def stage_folder(place: Path, folder: Path) -> Path:
    """Make the folder on which something is made ready.

    Args:
        place: What it is to become, or to fill.
        folder: Where it is made.

    Returns:
        The new folder, hidden, and with what the umask leaves of its mode.

    Raises:
        OSError: It cannot be made.
    """
    stage = _stage(place, folder)
    stage.mkdir()
    return stage


def is_stage(name: str, place: Path) -> bool:
    """Return whether something of this name was made by `stage_folder` for `place`, and left behind by a kill."""
    head, _, token = name.rpartition(".")
    return head == _hidden_name(place) and _TOKEN.fullmatch(token) is not None


def as_umask_says(stage: Path) -> None:
    """Give all below a new folder the mode that it has itself: safetensors writes for the owner alone.

    A file that has another name elsewhere is left as it is there.
    """
    mode = stage.stat().st_mode & 0o777
    for path in stage.rglob("*"):
        if path.is_dir() or path.stat().st_nlink == 1:
            path.chmod(mode if path.is_dir() else mode & 0o666)


def _stage(place: Path, folder: Path) -> Path:
    return folder / f"{_hidden_name(place)}.{secrets.token_hex(4)}"


def _hidden_name(place: Path) -> str:
    return f".{place.name[:40]}"  # which leaves room for what follows, in letters of four bytes, too


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
    with prepared(path, content) as place:
        place()


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` in one step, as UTF-8."""
    write_bytes(path, content.encode())


def check_writable(path: Path, suffixes: Sequence[str]) -> None:
    """Make sure that a file can be written to `path`, before somebody waits for what is to go there.

    Args:
        path: Where it is to go.
        suffixes: How a file that is there already must be called to be replaced, such as (".csv",): what is called
            otherwise is something else, a picture that the shell named last or the record of a run.

    Raises:
        DesiderataError: It is a folder, or no file at all, or a file of another kind; or the folder that it belongs
            into cannot be made or written to.
    """
    try:
        if path.is_dir():
            raise DesiderataError(f"{path} is a folder: give the name of a file.")
        if path.exists() and not (path.is_file() and path.suffix.lower() in suffixes):
            raise DesiderataError(
                f"{path} is there already and not called {' or '.join(suffixes)}, so that it may be something else: "
                "choose another name, or remove it first."
            )
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            too_long = os.strerror(errno.ENAMETOOLONG)
            raise DesiderataError(f"{path} cannot be written ({too_long}): choose another place.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_hidden_name(path)):
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

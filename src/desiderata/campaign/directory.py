"""The directory of a run, made in one step: it is there whole, or not at all."""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from desiderata.campaign.config import FILE, Config
from desiderata.campaign.recorded import DATABASE, StoreError
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError
from desiderata.files import as_umask_says, is_stage, stage_folder, sync_files, write_text


def check_free(path: Path) -> None:
    """Make sure that a run can be made at `path`.

    Raises:
        DesiderataError: There is something already, or nobody can tell.
    """
    try:
        if (path / FILE).exists():
            raise DesiderataError(
                f"{path} is a campaign already: go on with it (in Python, Campaign.open), or choose another name."
            )
        if path.is_file() or (path.is_dir() and not _is_free(path, os.listdir(path))):
            raise DesiderataError(f"{path} is there already and not empty: choose another name.")
    except OSError as error:
        raise DesiderataError(_cannot_be_made(path, error)) from None


def make_run(path: Path, config: Config, start: Callable[[Store], None]) -> Store:
    """Return the store of a new run, whose directory is made with what it starts from.

    An empty directory that is there is filled and not replaced: somebody may stand in it, or it may be a mount. Then
    `campaign.toml`, which makes a directory a run, comes last.

    Args:
        path: Of the directory.
        config: What is asked for.
        start: Records what the campaign starts from in the store that it is given.

    Raises:
        DesiderataError: There is something at `path`, it cannot be written, or two pictures held are the same.
    """
    check_free(path)
    try:
        _make(Path(os.path.realpath(path)), config, start)  # of a link, where it points; of ".", what has a name
    except OSError as error:
        check_free(path)  # another process may have made it in the meantime
        raise DesiderataError(_cannot_be_made(path, error)) from None
    return Store(path)


def _make(place: Path, config: Config, start: Callable[[Store], None]) -> None:
    beside = not place.exists()
    if beside:
        place.parent.mkdir(parents=True, exist_ok=True)
    stage = stage_folder(place, place.parent if beside else place)
    try:
        store = Store(stage)
        start(store)
        store.close()
        sync_files(stage)
        as_umask_says(stage)
        write_text(stage / FILE, config.to_toml())
        if beside:
            stage.replace(place)
        else:
            _fill(place, stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def open_store(path: Path) -> Store:
    """Return the store of the run at `path`.

    Raises:
        StoreError: It has no database, or a damaged one.
    """
    if not (path / DATABASE).is_file():
        raise StoreError(
            f"{path} has lost its {DATABASE}, which holds everything that was said: put it back from a copy."
        )
    return Store(path)


def _fill(place: Path, stage: Path) -> None:
    """Move what is on the stage into `place`, or nothing of it.

    Raises:
        FileExistsError: Something else has come there.
        OSError: The system refuses.
    """
    if not _is_free(place, os.listdir(place)):
        raise FileExistsError(errno.EEXIST, "it is not empty any more")
    moved: list[Path] = []
    try:
        for name in sorted(os.listdir(stage), key=lambda name: name == FILE):  # what makes it a run comes last
            (stage / name).replace(place / name)
            moved.append(place / name)
    except OSError:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def _is_free(place: Path, inside: Sequence[str]) -> bool:
    """Return whether there is nothing in a directory but hidden stages of runs.

    A kill has left them behind, or another process is at work on one: whoever is done first has the directory.
    """
    real = Path(os.path.realpath(place))
    return all(is_stage(name, real) for name in inside)


def _cannot_be_made(path: Path, error: OSError) -> str:
    return f"{path} cannot be made ({error.strerror}): choose another place."

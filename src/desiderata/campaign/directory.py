"""The directory of a run, made in one step: it is there whole, or not at all."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from desiderata.campaign.config import FILE, Config
from desiderata.campaign.learner import Held
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError
from desiderata.files import write_text


def check_free(path: Path) -> None:
    """Make sure that a run can be made at `path`.

    Raises:
        DesiderataError: There is something already.
    """
    if (path / FILE).exists():
        raise DesiderataError(f"{path} is a campaign already: open it, or choose another name.")
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise DesiderataError(f"{path} is there already and not empty: choose another name.")


def make_run(path: Path, config: Config, classes: Sequence[str], embedding: str, held: Sequence[Held]) -> Store:
    """Return the store of a new run, whose directory is made with what it starts from.

    Raises:
        DesiderataError: There is something at `path`, it cannot be written, or two pictures held are the same.
    """
    check_free(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise DesiderataError(f"{path} cannot be made ({error.strerror}): choose another place.") from None
    try:
        stage.chmod(0o755)
        store = Store(stage)
        store.start(classes, embedding, held)
        store.close()
        write_text(stage / FILE, config.to_toml())
        stage.replace(path)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return Store(path)

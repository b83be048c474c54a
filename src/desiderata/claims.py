"""One process at a time at a piece of work, which a locked file stands for."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


def is_claimed(path: Path) -> bool:
    """Return whether a process has the piece of work that a file stands for."""
    if not path.exists():  # nothing is made where somebody only asks
        return False
    try:
        with claimed(path) as mine:
            return not mine
    except OSError:  # the folder is only read
        return False


@contextmanager
def claimed(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Claim a piece of work, so that no other process takes it up at the same time.

    The system drops the claim of a process that ends, however it ends.

    Args:
        path: The file that stands for it, which is removed in the end. Missing parent folders are made.
        wait: Whether to wait while another process has it.

    Yields:
        Whether it is claimed; False only without `wait`, where another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):  # some systems keep a file that is open
            path.unlink()  # before it is let go of: those who wait see that it is gone, and make a new one
        lock.release()

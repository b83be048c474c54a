"""One process at a time at a piece of work, which a locked file stands for."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

MOMENT = 0.2
"""Seconds in which somebody who only asks whether a piece of work is claimed has gone again."""


@contextmanager
def claimed(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Claim a piece of work, so that no other process takes it up at the same time.

    The system drops the claim of a process that ends, however it ends. Between machines this is as good as the locks
    of the file system that they share; where it has none, nobody is kept from anything.

    Args:
        path: The file that stands for it, which is removed in the end. Missing parent folders are made.
        wait: Whether to wait while another process has it.

    Yields:
        Whether it is claimed; False only without `wait`, where another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if wait else MOMENT)
    if not _acquired(lock):
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):  # some systems keep a file that is open
            path.unlink()  # before it is let go of: those who wait see that it is gone, and make a new one
        lock.release()


def is_claimed(path: Path) -> bool:
    """Return whether a process has the piece of work that a file stands for; nothing is made or removed."""
    try:
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except ImportError:  # there it cannot be asked; the file is there while it is claimed
        return path.exists()
    except OSError:
        return False
    return False


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout:
        return False
    except OSError:  # a file system without locks; whoever cannot write there at all will hear of it
        return True
    return True

"""Being stopped from outside: SIGTERM ends a command as Ctrl-C does, so that nothing half made is left behind."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130
TERMINATED = 143
"""Exit statuses after Ctrl-C and after SIGTERM, as shells count them."""


@contextmanager
def sigterm_as_interrupt() -> Iterator[list[int]]:
    """Raise `KeyboardInterrupt` in the block when SIGTERM comes, which `kill`, containers and batch systems send.

    A second SIGTERM ends the process at once. Outside the main thread, where no signal can be heard, nothing changes.

    Yields:
        The signals that came, none at first.
    """
    came: list[int] = []

    def stop(number: int, _frame: object) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:
        yield came
        return
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)

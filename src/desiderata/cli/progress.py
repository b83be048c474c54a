"""Progress bars and spinners, on stderr, so that results on stdout stay clean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(what: str, quiet: bool = False) -> Iterator[Callable[..., None]]:
    """Show a bar while the block runs.

    Args:
        what: What is being done.
        quiet: Show nothing.

    Yields:
        A function to call with how much is done, how much there is in all, and, where that changes, what.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def advance(done: int, total: int, what: str | None = None) -> None:
            progress.update(task, completed=done, total=total, description=what)

        yield advance


@contextmanager
def spinner(what: str, quiet: bool = False) -> Iterator[None]:
    """Show that something is being worked on while the block runs, for steps whose length nobody knows.

    Args:
        what: What is being done.
        quiet: Show nothing.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
    else:
        with console.status(f"{what} …"):
            yield

"""Progress bars and spinners, on stderr, so that results on stdout stay clean."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

HOUR = 3600.0
"""Seconds over which speed is averaged where a step may take minutes."""


@contextmanager
def bar(what: str, quiet: bool = False, lines: bool = False) -> Iterator[Callable[..., None]]:
    """Show a bar while the block runs.

    Args:
        what: What is being done.
        quiet: Show nothing.
        lines: Where there is no terminal for a bar, print a line for each thing that is being done.

    Yields:
        A function to call with how much is done, how much there is in all, and, where that changes, what.
    """
    with _shown(quiet) as progress:
        task = progress.add_task(what, total=None)
        say = _said_once(lines and not quiet)

        def advance(done: int, total: int, what: str | None = None) -> None:
            progress.update(task, completed=done, total=total, description=what)
            say(what)

        yield advance


@contextmanager
def stages(what: str, quiet: bool = False, lines: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for one thing after another while the block runs, with the time left for each.

    Args:
        what: What is being done at first.
        quiet: Show nothing.
        lines: As for `bar`.

    Yields:
        A function to call with what is being done, how much of it is done, and how much there is to do. Where that is
        something else than before, the bar begins anew: what was done of it earlier took no time now.
    """
    with _shown(quiet, HOUR) as progress:
        task, shown = progress.add_task(what, total=None), what
        say = _said_once(lines and not quiet)
        say(what)

        def advance(what: str, done: int, total: int) -> None:
            nonlocal task, shown
            say(what)
            if what != shown:
                progress.remove_task(task)
                task, shown = progress.add_task(what, total=total, completed=done), what
            progress.update(task, completed=done, total=total)

        yield advance


def _shown(quiet: bool, averaged: float = 30.0) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(
        *columns,
        console=console,
        transient=True,
        speed_estimate_period=averaged,
        disable=quiet or not console.is_terminal,
    )


def _said_once(wanted: bool) -> Callable[[str | None], None]:
    """Return what prints a text, on a line of its own and at once, if it is not the one of before.

    Args:
        wanted: Whether to print at all; there is nothing to print where a terminal shows a bar.
    """
    before: str | None = None
    wanted = wanted and not Console(stderr=True).is_terminal

    def say(text: str | None) -> None:
        nonlocal before
        if wanted and text is not None and text != before:
            print(text, file=sys.stderr, flush=True)
            before = text

    return say


@contextmanager
def spinner(what: str, quiet: bool = False, lines: bool = False) -> Iterator[None]:
    """Show that something is being worked on while the block runs, for steps whose length nobody knows.

    Args:
        what: What is being done.
        quiet: Show nothing.
        lines: As for `bar`.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        _said_once(lines and not quiet)(what)
        yield
    else:
        with console.status(f"{what} …"):
            yield

"""The command `desiderata`.

Each module of this package adds a group of commands with its `register(app)`. Modules import only what parsing
needs; models, databases and tables are imported inside the commands, so that `--help` answers at once.
"""

import importlib
import importlib.util
import io
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from desiderata import __version__
from desiderata.cli.output import show_json
from desiderata.cli.plain_help import as_written
from desiderata.cli.stopping import INTERRUPTED, TERMINATED, sigterm_as_interrupt
from desiderata.errors import DesiderataError
from desiderata.foundation.hub import quiet_hub
from desiderata.threads import wait_briefly

GROUPS = ("start", "converse", "run", "look", "use", "branch", "personalize", "demo", "bench", "models")
"""Modules of this package, in the order in which help lists their commands."""

app = typer.Typer(
    name="desiderata",
    help="Tells you, in plain words, which images your classifier needs next.",
    epilog='With --json a command prints one JSON object; an error is {"error": "..."} and exit status 2. '
    "After Ctrl-C or SIGTERM it prints none, and the status is 130 or 143.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after the program's name; those of the process by default.

    Returns:
        The exit status: 0, 2 for an error that the caller can put right, 130 after Ctrl-C, 143 after SIGTERM.
    """
    with sigterm_as_interrupt() as came:
        try:
            status = _run(arguments)
        except KeyboardInterrupt:  # it came before the command began, or while it said that it was stopped
            status = INTERRUPTED
    return TERMINATED if came and status == INTERRUPTED else status


def _run(arguments: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what the terminal's encoding does not
            stream.reconfigure(errors="backslashreplace")
    quiet_hub()
    wait_briefly()
    try:
        status = as_written(typer.main.get_command(app))(args=words, prog_name="desiderata", standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
    except DesiderataError as error:
        return _fail(str(error), words)
    except BrokenPipeError:  # whoever read what is printed, such as head, has enough
        _print_nothing_more()
        return 1  # as Typer says where it notices
    except (OSError, UnicodeError) as error:
        return _fail(_of_the_system(error), words)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):  # the parser's errors have it, in every version of Typer
            raise
        if "--json" in words:
            return _fail(error.format_message(), words)  # pyright: ignore[reportAttributeAccessIssue]
        error.show()  # pyright: ignore[reportAttributeAccessIssue]
        return 2
    if status == INTERRUPTED:
        again = shlex.join(["desiderata", *words])
        print(
            "\nStopped; what is recorded is kept. The same command goes on from there, or begins anew where nothing "
            f"is recorded yet: {again}",
            file=sys.stderr,
        )
        if words[:2] == ["personalize", "pick"]:
            run = next((word for word in words[2:] if not word.startswith("-")), "RUN")
            back = shlex.join(["desiderata", "personalize", "undo", run])
            print(f"What is recorded of the pick is taken back with: {back}", file=sys.stderr)
    return status if isinstance(status, int) else 0


def _fail(message: str, words: Sequence[str]) -> int:
    try:
        if "--json" in words:
            show_json({"error": message}, indent=None)
            sys.stdout.flush()
        else:
            print(message, file=sys.stderr)
    except OSError:  # it cannot be told, as on a full disk
        _print_nothing_more()
    return 2


def _of_the_system(error: OSError | UnicodeError) -> str:
    """Return what the system refused as a sentence."""
    if isinstance(error, UnicodeError):
        return f"A name or a text is not UTF-8 ({error}): rename the file, or write it otherwise."
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{where}the system refused ({reason}); what was recorded is kept. Mend that, and give the command again."


def _print_nothing_more() -> None:
    """Let what is still to be printed go nowhere, so that the interpreter does not fail at it in the end."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


for _group in GROUPS:
    if importlib.util.find_spec(f"{__name__}.{_group}"):
        importlib.import_module(f"{__name__}.{_group}").register(app)

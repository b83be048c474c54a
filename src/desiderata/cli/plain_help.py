"""Help shown as it is written: Rich, which lays it out, would take `[ids]` for markup and print nothing of it."""

from typing import Any

from rich.markup import escape


def as_written(command: Any) -> Any:
    """Let the help of a command, and of all commands within it, mean nothing but its own letters.

    Args:
        command: A command or a group of them, as Typer makes it; its help is changed in place.

    Returns:
        The command.
    """
    for part in (command, *command.params):
        for name in ("help", "short_help", "epilog"):
            if text := getattr(part, name, None):
                setattr(part, name, escape(text))
    for inner in getattr(command, "commands", {}).values():
        as_written(inner)
    return command

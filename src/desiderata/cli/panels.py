"""Options in groups: a command with two dozen of them is read a panel at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, get_type_hints

from typer.models import OptionInfo

Command = TypeVar("Command", bound=Callable[..., None])


def in_panels(panels: Mapping[str, Sequence[str]]) -> Callable[[Command], Command]:
    """Show the options of a command in panels of its help.

    Args:
        panels: For each title, the names of the parameters that stand under it; those that none names stand under
            "Options", which comes first.

    Returns:
        A decorator of the command's function, whose options are declared with `Annotated[..., typer.Option(...)]`.

    Raises:
        KeyError: The function has no option of a name.
    """

    def grouped(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        options = {
            name: info
            for name, hint in hints.items()
            for info in getattr(hint, "__metadata__", ())
            if isinstance(info, OptionInfo)
        }
        for title, names in panels.items():
            for name in names:
                options[name].rich_help_panel = title
        return command

    return grouped

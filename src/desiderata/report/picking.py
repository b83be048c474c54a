"""A page on which a person picks pictures; it writes the command that tells which."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from desiderata import __version__, files
from desiderata.errors import DesiderataError
from desiderata.report.page import asset, environment, policy_hash


class Row(NamedTuple):
    """The pictures of one sentence.

    Attributes:
        sentence: What they were to show.
        names: Of their files, in the folder that the command looks in: "02-a-sks-toy-in-the-snow/07.png".
    """

    sentence: str
    names: Sequence[str]


def write_picking(path: Path, title: str, rows: Sequence[Row], *, folder: str, most: int, command: str) -> None:
    """Write the page, which links to the pictures, so that it stays small and belongs where they are.

    Args:
        path: The file.
        title: What is picked, and for what.
        rows: What there is to pick among.
        folder: Where the pictures are, seen from the page.
        most: So many may be picked.
        command: What the names of those picked are put behind, in a shell; or `--none`, for none.

    Raises:
        DesiderataError: It cannot be written.
    """
    templates = environment()
    style = asset(templates, "page.css") + asset(templates, "picking.css")
    script = asset(templates, "picking.js")
    page = templates.get_template("picking.html.jinja").render(
        title=title,
        rows=[(row.sentence, [_linked(folder, name) for name in row.names]) for row in rows],
        most=most,
        command=command,
        version=__version__,
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
    )
    try:
        files.write_text(path, page)
    except OSError as error:
        raise DesiderataError(f"{path} cannot be written ({error.strerror}): choose another place.") from error


def _linked(folder: str, name: str) -> tuple[str, str, str]:
    """Return a name, its address, and how a shell is told it."""
    return name, quote(f"{folder}/{name}"), shlex.quote(name)

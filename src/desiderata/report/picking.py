"""A page on which a person picks pictures; it writes the command that tells which."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from desiderata.report.html import filled_in, write_page


class Row(NamedTuple):
    """The pictures of one sentence.

    Attributes:
        sentence: What they were to show.
        names: Of their files, as the command takes them: "001/candidates/02-a-sks-toy-in-the-snow/07.png".
    """

    sentence: str
    names: Sequence[str]


def write_picking(
    path: Path, title: str, lead: str, rows: Sequence[Row], *, folder: str, most: int, command: str
) -> None:
    """Write the page, which links to the pictures, so that it stays small and belongs where they are.

    Args:
        path: The file.
        title: What is picked, and for what.
        lead: By what to pick.
        rows: What there is to pick among.
        folder: Where the names lead from, seen from the page.
        most: So many may be picked.
        command: What the names of those picked are put behind, in a shell; or `--none`, for none.

    Raises:
        DesiderataError: It cannot be written.
    """
    told = [(row.sentence, [_linked(folder, name) for name in row.names]) for row in rows]
    values = {"title": title, "lead": lead, "rows": told, "most": most, "command": command}
    styles = ["page.css", "picking.css"]
    write_page(path, filled_in("picking.html.jinja", styles=styles, script="picking.js", **values))


def _linked(folder: str, name: str) -> tuple[str, str, str]:
    """Return a name, its address, and how a shell is told it."""
    return name, quote(f"{folder}/{name}"), shlex.quote(name)

"""A page on which a person picks pictures; it writes the command that tells which."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from desiderata.report.html import filled_in, write_page


class Row(NamedTuple):
    """The pictures of one sentence.

    Attributes:
        sentence: What they were to show.
        files: Where they lie, seen from the page, by the names that the command takes: "001/02/07".
    """

    sentence: str
    files: Mapping[str, str]


def write_picking(path: Path, title: str, lead: str, rows: Sequence[Row], *, most: int, command: str) -> None:
    """Write the page, which links to the pictures, so that it stays small and belongs where they are.

    Args:
        path: The file.
        title: What is picked, and for what.
        lead: By what to pick.
        rows: What there is to pick among.
        most: So many may be picked.
        command: What the names of those picked are put behind, in a shell; or `--none`, for none.

    Raises:
        DesiderataError: It cannot be written.
    """
    told = [(row.sentence, [_linked(name, file) for name, file in row.files.items()]) for row in rows]
    values = {"title": title, "lead": lead, "rows": told, "most": most, "command": command}
    styles = ["page.css", "picking.css"]
    write_page(path, filled_in("picking.html.jinja", styles=styles, script="picking.js", **values))


def _linked(name: str, file: str) -> tuple[str, str, str]:
    """Return a name, the address of its file, and how a shell is told it."""
    return name, quote(file), shlex.quote(name)

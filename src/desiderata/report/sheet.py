"""A sheet of pictures: rows of them on one page, to look at all of them at once."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TEXT = 14
"""Height of letters, in pixels."""

LINE = 20
"""What a title or the names of the columns take."""

MARGIN = 4
"""Left and right of a title."""


def sheet(
    rows: Sequence[Sequence[NDArray[np.uint8] | None]],
    side: int,
    titles: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Image.Image:
    """Return pictures in rows, each reduced or enlarged to a square.

    Args:
        rows: Of pictures, each of shape (height, width, 3), RGB; None leaves its place free. Rows may differ in
            length.
        side: Of each square, in pixels.
        titles: A line above every row. Letters that the font (DejaVu Sans) does not have become boxes. Without titles
            the pictures stand close together on black, and nothing else is there; with them, on white.
        columns: A name above each column, where there are titles.

    Returns:
        The sheet, as wide as its longest row or title.
    """
    if not titles:
        return _packed(rows, side, [side * row for row in range(len(rows))], "black")
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", TEXT)
    lines = [" ".join(title.split()) for title in titles]
    tops = [LINE + row * (side + LINE) for row in range(len(rows))]
    page = _packed(rows, side, [top + LINE for top in tops], "white", max(font.getlength(line) for line in lines))
    draw = ImageDraw.Draw(page)
    for column, name in enumerate(columns):
        draw.text((column * side + side / 2, LINE / 2), name, "dimgrey", font, "mm")
    for top, line in zip(tops, lines, strict=True):
        draw.text((MARGIN, top + LINE / 2), line, "black", font, "lm")
    return page


def _packed(
    rows: Sequence[Sequence[NDArray[np.uint8] | None]], side: int, tops: list[int], ground: str, text: float = 0
) -> Image.Image:
    width = max(side * max(map(len, rows), default=0), round(text) + 2 * MARGIN if text else 0)
    page = Image.new("RGB", (width, tops[-1] + side if tops else 0), ground)
    for top, row in zip(tops, rows, strict=True):
        for column, picture in enumerate(row):
            if picture is not None:
                square = Image.fromarray(picture).resize((side, side), Image.Resampling.BOX)
                page.paste(square, (column * side, top))
    return page

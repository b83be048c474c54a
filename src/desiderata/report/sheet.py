"""A sheet of pictures: rows of them on one page, to look at all of them at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TEXT = 14
"""Height of letters, in pixels."""

LINE = 20
"""What a title or the numbers of the columns take."""


def sheet(
    rows: Sequence[Sequence[NDArray[np.uint8] | None]],
    side: int,
    titles: Sequence[str] | None = None,
) -> Image.Image:
    """Return pictures in rows, each reduced or enlarged to a square.

    Args:
        rows: Of pictures, each of shape (height, width, 3), RGB; None leaves its place free. Rows may differ in
            length.
        side: Of each square, in pixels.
        titles: A line above every row; without them the pictures stand close together, and nothing else is there.

    Returns:
        The sheet. With titles its columns are numbered from 0.
    """
    across, line = max(map(len, rows), default=0), LINE if titles is not None else 0
    page = Image.new("RGB", (across * side, len(rows) * (side + line) + line), "white" if line else "black")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    for column in range(across if line else 0):
        draw.text((column * side + side / 2, line / 2), f"{column:02d}", "dimgrey", font, "mm")
    for number, row in enumerate(rows):
        top = line + number * (side + line)
        if titles is not None:
            draw.text((4, top + line / 2), titles[number], "black", font, "lm")
        for column, picture in enumerate(row):
            if picture is not None:
                square = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
                page.paste(square, (column * side, top + line))
    return page

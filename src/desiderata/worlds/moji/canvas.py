"""What backgrounds are drawn on: shapes in fractions of the picture, with jitter."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]


class Canvas:
    """A square picture drawn in fractions of its side: x to the right and y downwards, both from 0 to 1."""

    def __init__(self, size: int, rng: np.random.Generator, top: Colour, bottom: Colour, jitter: float = 10) -> None:
        """Start from a gradient.

        Args:
            size: Side in pixels.
            rng: Where every draw comes from.
            top: Colour of the upper edge.
            bottom: Colour of the lower edge.
            jitter: How far each channel of both colours may stray, of 255.
        """
        self.size = size
        self.rng = rng
        ramp = _ramp(size) * (np.array(bottom) - top) + top + rng.uniform(-jitter, jitter, 3)
        column = np.clip(ramp, 0, 255).astype(np.uint8)
        self.image = Image.fromarray(np.repeat(column[:, None], size, axis=1))
        self.pen = ImageDraw.Draw(self.image)

    def between(self, low: float, high: float) -> float:
        """Return a number drawn evenly from low to high."""
        return low + (high - low) * self.rng.random()

    def near(self, colour: Colour, spread: int = 8) -> Colour:
        """Return a colour close to another: the same step lighter or darker in all three channels."""
        step = round(self.between(-spread, spread))
        red, green, blue = colour
        return red + step, green + step, blue + step

    def points(self, count: int, top: float = 0.0, bottom: float = 1.0) -> list[list[float]]:
        """Return `count` points [x, y] scattered over a band of the picture."""
        return (self.rng.random((count, 2)) * (1, bottom - top) + (0, top)).tolist()

    def polygon(self, corners: list[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        self.pen.polygon([(x * self.size, y * self.size) for x, y in corners], colour)

    def block(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle; nothing when it is narrower than a pixel."""
        corners = [round(side * self.size) for side in (left, top, right, bottom)]
        if corners[0] < corners[2] and corners[1] < corners[3]:
            self.pen.rectangle((corners[0], corners[1], corners[2] - 1, corners[3] - 1), colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        x, y, radius = x * self.size, y * self.size, radius * self.size
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    def line(self, corners: list[tuple[float, float]], colour: Colour, width: float = 0.015) -> None:
        """Draw a line through points."""
        scaled = [(x * self.size, y * self.size) for x, y in corners]
        self.pen.line(scaled, colour, max(1, round(width * self.size)))


@lru_cache(maxsize=8)
def _ramp(size: int) -> NDArray[np.float64]:
    return np.linspace(0, 1, size)[:, None]

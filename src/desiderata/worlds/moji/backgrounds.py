"""Backgrounds of the Moji world: ten drawn places and eight plain colours, each with variety."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from desiderata.worlds.moji.canvas import Canvas, Colour


def background(name: str, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Draw one background.

    Args:
        name: One of `BACKGROUNDS`.
        rng: Chooses the horizon, the hues and the details.
        size: Side in pixels.

    Returns:
        (size, size, 3) RGB, writable.
    """
    return np.array(BACKGROUND[name](size, rng).image)


def _grass(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (150, 205, 245), (205, 235, 250))
    horizon = canvas.between(0.22, 0.4)
    _clouds(canvas, horizon)
    canvas.block(0, horizon, 1, 1, canvas.near((120, 190, 75)))
    canvas.block(0, horizon + canvas.between(0.15, 0.3), 1, 1, canvas.near((104, 178, 62)))
    for x, y in canvas.points(22, horizon + 0.05):
        tuft = canvas.near((62, 132, 40), 12)
        canvas.line([(x, y), (x - 0.015, y - 0.045)], tuft)
        canvas.line([(x, y), (x + 0.03, y - 0.035)], tuft)
    return canvas


def _beach(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (130, 205, 245), (190, 230, 250))
    horizon, shore = canvas.between(0.15, 0.25), canvas.between(0.4, 0.5)
    slope = canvas.between(-0.07, 0.07)
    canvas.block(0, horizon, 1, 1, canvas.near((50, 175, 200)))
    edge = [(x, shore + slope * (x - 0.5) + canvas.between(-0.015, 0.015)) for x in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    canvas.polygon([*edge, (1, 1), (0, 1)], canvas.near((243, 218, 150)))
    canvas.line(edge, (255, 255, 250), 0.04)
    for x, y in canvas.points(26, shore + 0.1):
        canvas.block(x, y, x + 0.018, y + 0.018, canvas.near((214, 182, 110), 16))
    return canvas


def _snow(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (150, 172, 200), (200, 214, 230))
    horizon = canvas.between(0.25, 0.4)
    for colour, lift in (((222, 232, 245), 0.0), ((242, 247, 253), 0.12)):
        left, middle, right = (horizon + lift + canvas.between(-0.06, 0.06) for _ in range(3))
        canvas.polygon([(0, left), (0.5, middle), (1, right), (1, 1), (0, 1)], canvas.near(colour, 3))
    for x, y in canvas.points(8, horizon + 0.2):
        canvas.line([(x - 0.06, y), (x + 0.06, y)], (205, 219, 238))
    for x, y in canvas.points(34, 0, horizon + 0.15):
        canvas.block(x, y, x + 0.03, y + 0.03, (255, 255, 255))
    return canvas


def _desert(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (250, 190, 110), (255, 228, 170))
    horizon = canvas.between(0.3, 0.42)
    canvas.disc(canvas.between(0.1, 0.9), canvas.between(0.08, 0.2), 0.08, (255, 245, 200))
    for colour, lift in (((226, 150, 80), 0.0), ((209, 128, 62), 0.2), ((220, 142, 74), 0.42)):
        peak, height = canvas.between(0.15, 0.85), horizon + lift
        dune = [(0, height + 0.06), (peak / 2, height), (peak, height - 0.08), (peak + 0.15, height + 0.04)]
        canvas.polygon([*dune, (1.3, height + 0.03), (1.3, 1), (0, 1)], canvas.near(colour))
    for x, y in canvas.points(7, horizon + 0.2):
        canvas.line([(x, y), (x + 0.07, y - 0.01), (x + 0.14, y)], (186, 108, 50))
    return canvas


def _forest(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (120, 165, 125), (150, 190, 140))
    ground = canvas.between(0.6, 0.7)
    canvas.block(0, ground, 1, 1, canvas.near((98, 112, 58)))
    for colour, count, low, high in (((62, 112, 72), 8, 0.0, 0.15), ((36, 88, 48), 6, 0.1, 0.3)):
        shift = canvas.between(0, 1 / count)
        for number in range(-1, count):
            x, top = number / count + shift + canvas.between(0, 0.06), canvas.between(low, high)
            foot, leaves = ground + canvas.between(-0.02, 0.06), canvas.near(colour)
            canvas.block(x - 0.02, foot - 0.15, x + 0.02, foot, (88, 62, 40))
            canvas.polygon([(x - 0.1, foot - 0.1), (x, top), (x + 0.1, foot - 0.1)], leaves)
    for x, y in canvas.points(12, ground + 0.06):
        canvas.line([(x, y), (x + 0.05, y)], canvas.near((74, 92, 40), 10))
    return canvas


def _street(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (195, 212, 226), (222, 230, 236))
    kerb, left = canvas.between(0.48, 0.58), canvas.between(-0.15, 0.0)
    while left < 1:
        width, top = canvas.between(0.2, 0.32), canvas.between(0.02, 0.22)
        wall = _BRICKS[int(rng.integers(len(_BRICKS)))]
        canvas.block(max(left, 0), top, min(left + width, 1), kerb, canvas.near(wall))
        for storey in np.arange(top + 0.05, kerb - 0.07, 0.11).tolist():
            for window in (0.2, 0.6):
                x = left + window * width
                canvas.block(x, storey, x + 0.05, storey + 0.06, (240, 236, 205))
        left += width
    canvas.block(0, kerb, 1, kerb + 0.07, (196, 194, 188))
    canvas.block(0, kerb + 0.07, 1, 1, canvas.near((112, 114, 120)))
    middle, shift = kerb + 0.26, canvas.between(-0.25, 0)
    for x in (0, 0.25, 0.5, 0.75, 1):
        canvas.block(x + shift, middle, x + shift + 0.14, middle + 0.035, (245, 245, 240))
    return canvas


def _sea(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (165, 215, 245), (215, 238, 250))
    horizon = canvas.between(0.14, 0.28)
    _clouds(canvas, horizon)
    canvas.block(0, horizon, 1, 1, canvas.near((58, 136, 205)))
    canvas.block(0, canvas.between(0.5, 0.65), 1, 1, canvas.near((42, 112, 186)))
    for x, y in canvas.points(18, horizon + 0.06):
        reach = 0.03 + 0.05 * y
        wave = [(x - reach, y), (x - reach / 2, y - 0.025), (x, y), (x + reach / 2, y - 0.025), (x + reach, y)]
        canvas.line(wave, canvas.near((140, 200, 240), 12))
    return canvas


def _mountains(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (150, 195, 240), (225, 235, 248))
    foot = canvas.between(0.62, 0.75)
    for x in rng.permutation([0.1, 0.5, 0.9]).tolist():
        x, top, reach = x + canvas.between(-0.12, 0.12), canvas.between(0.04, 0.24), canvas.between(0.36, 0.5)
        rock = canvas.near((128, 122, 148), 14)
        lean, shade = 0.3 * (foot - top), (rock[0] - 26, rock[1] - 26, rock[2] - 22)
        canvas.polygon([(x - reach, foot), (x, top), (x + reach, foot)], rock)
        canvas.polygon([(x, top), (x + reach, foot), (x + 0.1, foot)], shade)
        side = reach * 0.3
        cap = [(x - side, top + lean), (x, top), (x + side, top + lean)]
        canvas.polygon([*cap, (x + side / 3, top + 0.7 * lean), (x - side / 3, top + 1.1 * lean)], (250, 252, 255))
    canvas.polygon([(0, foot), (0.5, foot - 0.04), (1, foot), (1, 1), (0, 1)], canvas.near((128, 160, 108)))
    return canvas


def _room(size: int, rng: np.random.Generator) -> Canvas:
    wall = _WALLS[int(rng.integers(len(_WALLS)))]
    canvas = Canvas(size, rng, wall, wall)
    floor = canvas.between(0.6, 0.7)
    if rng.random() < 0.5:
        for x in np.arange(canvas.between(0, 0.12), 1, 0.14).tolist():
            canvas.block(x, 0, x + 0.05, floor, (wall[0] - 14, wall[1] - 14, wall[2] - 14))
    left, top = canvas.between(0.05, 0.6), canvas.between(0.08, 0.16)
    canvas.block(left, top, left + 0.34, top + 0.32, (252, 250, 245))
    for x in (left + 0.035, left + 0.185):
        canvas.block(x, top + 0.035, x + 0.12, top + 0.285, (170, 212, 240))
    canvas.block(0, floor, 1, 1, canvas.near((186, 128, 76)))
    vanishing = canvas.between(0.35, 0.65)
    for x in np.arange(-1, 2, 0.22).tolist():
        canvas.line([(vanishing + (x - vanishing) * 0.55, floor), (x, 1)], (146, 94, 50))
    canvas.block(0, floor - 0.05, 1, floor, (250, 246, 238))
    return canvas


def _space(size: int, rng: np.random.Generator) -> Canvas:
    canvas = Canvas(size, rng, (34, 26, 74), (60, 40, 104))
    x, y, radius = canvas.between(0.1, 0.9), canvas.between(0.08, 0.92), canvas.between(0.09, 0.15)
    planet = _PLANETS[int(rng.integers(len(_PLANETS)))]
    canvas.disc(x, y, radius, canvas.near(planet))
    canvas.line([(x - 1.7 * radius, y + 0.4 * radius), (x + 1.7 * radius, y - 0.4 * radius)], (225, 210, 190), 0.02)
    for x, y in canvas.points(44):
        side = 0.016 if rng.random() < 0.7 else 0.031
        canvas.block(x, y, x + side, y + side, canvas.near((240, 238, 225), 15))
    return canvas


def _plain(colour: Colour) -> Callable[[int, np.random.Generator], Canvas]:
    def draw(size: int, rng: np.random.Generator) -> Canvas:
        fade = round(12 * (rng.random() - 0.5))
        red, green, blue = colour
        light, dark = (red + fade, green + fade, blue + fade), (red - fade, green - fade, blue - fade)
        # A grey or a white that strays far is a pale colour.
        return Canvas(size, rng, light, dark, jitter=10 if max(colour) - min(colour) > 20 else 3)

    return draw


def _clouds(canvas: Canvas, horizon: float) -> None:
    for x, y in canvas.points(int(canvas.rng.integers(3)), 0.05, horizon - 0.06):
        for shift, radius in ((-0.07, 0.035), (0, 0.05), (0.07, 0.035)):
            canvas.disc(x + shift, y, radius, (250, 252, 255))


_BRICKS: tuple[Colour, ...] = ((172, 112, 92), (150, 140, 132), (190, 160, 120), (128, 138, 156))
_WALLS: tuple[Colour, ...] = ((236, 220, 196), (214, 222, 204), (222, 208, 222), (204, 218, 228))
_PLANETS: tuple[Colour, ...] = ((214, 140, 96), (120, 170, 210), (200, 180, 120), (190, 110, 140))

BACKGROUND: Mapping[str, Callable[[int, np.random.Generator], Canvas]] = MappingProxyType(
    {
        "grass": _grass,
        "beach": _beach,
        "snow": _snow,
        "desert": _desert,
        "forest": _forest,
        "street": _street,
        "sea": _sea,
        "mountains": _mountains,
        "room": _room,
        "space": _space,
        "white": _plain((249, 249, 249)),
        "grey": _plain((150, 150, 150)),
        "red": _plain((214, 50, 50)),
        "orange": _plain((245, 148, 40)),
        "yellow": _plain((250, 224, 70)),
        "green": _plain((70, 170, 80)),
        "blue": _plain((60, 110, 215)),
        "pink": _plain((248, 165, 200)),
    }
)
"""Each name in `BACKGROUNDS` with what draws it."""

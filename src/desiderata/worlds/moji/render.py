"""Scenes drawn as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from desiderata.errors import DesiderataError
from desiderata.worlds.moji.artwork import sprite
from desiderata.worlds.moji.backgrounds import BACKGROUND, background
from desiderata.worlds.moji.catalogue import ARTWORKS
from desiderata.worlds.moji.layout import layout
from desiderata.worlds.moji.placement import Placement
from desiderata.worlds.moji.scene import Scene
from desiderata.worlds.moji.styles import STYLE, Style

__all__ = ["layout", "render"]


def render(
    scene: Scene,
    rng: np.random.Generator,
    size: int = 64,
    *,
    artworks: Mapping[str, Sequence[str]] = ARTWORKS,
    styles: Mapping[str, Style] = STYLE,
) -> NDArray[np.uint8]:
    """Draw a scene: its background, its objects, then its style over the whole.

    The same scene and the same state of the generator give the same bytes, and the objects stand where `layout`
    puts them from that state.

    Args:
        scene: What the picture shows.
        rng: Chooses everything that the scene leaves open.
        size: Side of the picture in pixels, 32 or more.
        artworks: Concept -> what shows it.
        styles: Style -> what draws it.

    Returns:
        (size, size, 3) RGB.

    Raises:
        DesiderataError: The scene names something that the Moji world lacks, holds too few or too many objects,
            or the picture would be too small.
    """
    for what, name, known in (("background", scene.background, BACKGROUND), ("style", scene.style, styles)):
        if name not in known:
            raise DesiderataError(f"The Moji world has no {what} {name!r}: choose one of {', '.join(known)}.")
    placements = layout(scene, rng, size, artworks)
    picture = background(scene.background, rng, size)
    for placement in reversed(placements):  # the subject last, so that nothing covers it
        _paste(picture, placement)
    return styles[scene.style](picture, rng)


def _paste(picture: NDArray[np.uint8], placement: Placement) -> None:
    look = placement.look
    ink = sprite(look.stem, placement.side, look.angle)
    if look.flipped:
        ink = ink[:, ::-1]
    rows = slice(placement.top, placement.top + placement.height)
    columns = slice(placement.left, placement.left + placement.width)
    under = picture[rows, columns].astype(np.uint16)
    picture[rows, columns] = ink[:, :, :3] + (under * (255 - ink[:, :, 3:]) + 127) // 255

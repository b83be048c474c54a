"""The three situations in which the Moji world asks who is best at saying what to collect."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desiderata.errors import DesiderataError
from desiderata.randomness import stream
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.sampler import CORNER, CROWDED, HABITUAL, PLAIN_SINGLE, Distribution, sample_scene
from desiderata.worlds.moji.scene import CLASSES, Scene


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a classifier's data come from.

    Attributes:
        name: As typed on the command line.
        initial: What the first labelled pictures are drawn from.
        target: What validation and test pictures are drawn from: the world that the classifier will meet.
        about: One line for people.
    """

    name: str
    initial: Distribution
    target: Distribution
    about: str


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            "iid", CROWDED, CROWDED, "initial, validation and test pictures alike: crowded, of every place and style"
        ),
        Setting(
            "narrow",
            PLAIN_SINGLE,
            CROWDED,
            "initial pictures hold one object, each class on its colour; the test is broad and crowded",
        ),
        Setting(
            "shifted", HABITUAL, CORNER, "initial pictures are broad, each class in its habitat; the test is a corner"
        ),
    )
}
"""The settings by name."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Labelled pictures.

    Attributes:
        images: Shape (n, size, size, 3), uint8.
        labels: Shape (n,), indices into `CLASSES`.
        scenes: Length n.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    scenes: list[Scene]


def setting_named(name: str) -> Setting:
    """Look a setting up.

    Returns:
        The setting.

    Raises:
        DesiderataError: There is none of that name.
    """
    if name not in SETTINGS:
        raise DesiderataError(f"No setting of the Moji world is called {name!r}; choose from {', '.join(SETTINGS)}.")
    return SETTINGS[name]


def draw_pictures(distribution: Distribution, per_class: int, seed: int, purpose: str, size: int = 64) -> Pictures:
    """Draw as many pictures of every class.

    Args:
        distribution: Where the scenes are drawn from.
        per_class: How many of each class.
        seed: With `purpose`, decides every draw.
        purpose: What the pictures are for, such as "validation".
        size: Pixels on a side.

    Returns:
        `per_class` times ten pictures, class after class.
    """
    rng = stream(seed, "pictures", purpose)
    scenes = [sample_scene(rng, distribution, label=label) for label in CLASSES for _ in range(per_class)]
    images = np.stack([render(scene, rng, size) for scene in scenes])
    return Pictures(images, np.repeat(np.arange(len(CLASSES)), per_class), scenes)

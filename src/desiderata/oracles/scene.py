"""The oracle of the Moji world, which answers a description exactly, or says which word it does not understand."""

from dataclasses import dataclass

import numpy as np

from desiderata.oracles.by_text import ByText
from desiderata.worlds.moji.grammar import CannotParse, parse
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.sampler import TYPICAL, Distribution, complete
from desiderata.worlds.moji.scene import Scene


@dataclass(frozen=True, slots=True, eq=False)
class SceneAnswer:
    """One picture that was asked for.

    Attributes:
        image: uint8 array of shape (size, size, 3), RGB.
        label: The class that the picture shows; None if it shows none of the ten.
        scene: What was drawn.
    """

    image: np.ndarray
    label: str | None
    scene: Scene


@dataclass(frozen=True, slots=True)
class SceneOracle:
    """Draws what a sentence asks for, and fills in what it leaves open as people's pictures would.

    Attributes:
        size: Side of the pictures, in pixels.
        prior: How often each completion comes up; `TYPICAL` is what people bring.
    """

    size: int = 64
    prior: Distribution = TYPICAL

    def answer(self, text: str, n: int, rng: np.random.Generator) -> list[SceneAnswer]:
        """Answer a description with pictures.

        Args:
            text: One sentence that `parse` understands.
            n: How many pictures, each completed and drawn afresh.
            rng: Every draw is made from it.

        Returns:
            `n` answers. Each scene fulfils the sentence, and each label is what the picture shows, whatever class
            the sentence was meant for.

        Raises:
            CannotParse: If the sentence is not understood; nothing has been drawn from `rng` then.
        """
        request = parse(text)
        scenes = [complete(request, rng, self.prior) for _ in range(n)]
        return [SceneAnswer(render(scene, rng, self.size), scene.label, scene) for scene in scenes]


def scene_oracle(pictures: int = 1) -> ByText:
    """Return what answers the queries of a campaign on the Moji world, for `Campaign.run`.

    Args:
        pictures: How many for each query.

    Returns:
        The oracle "scene". What it cannot parse, it cannot answer; labels are what the pictures show.
    """
    return ByText(SceneOracle(), "scene", CannotParse, pictures)

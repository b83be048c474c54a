"""Scenes that only the judge is trained on: held-out subjects and styles among everything else of the Moji world."""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from desiderata.files import staged, write_text
from desiderata.randomness import stream
from desiderata.training.corpus import GRID
from desiderata.worlds.moji.held_out import EVERY_ARTWORK, EVERY_STYLE, HELD_OUT_STYLES, SUBJECTS, draw
from desiderata.worlds.moji.layout import layout
from desiderata.worlds.moji.sampler import AT_LARGE, sample_scene
from desiderata.worlds.moji.scene import BACKGROUNDS, Group, Scene

SHARD = 4096
"""Scenes in a shard."""

CONCEPTS = tuple(EVERY_ARTWORK)
"""What the judge tells apart: the catalogue, numbered as there, then the held-out subjects."""

STYLES = tuple(EVERY_STYLE)
"""The styles of the world, numbered as there, then the held-out ones."""

_CONCEPT = {name: index for index, name in enumerate(CONCEPTS)}
_BACKGROUND = {name: index for index, name in enumerate(BACKGROUNDS)}
_STYLE = {name: index for index, name in enumerate(STYLES)}
_MIXTURE = (AT_LARGE, replace(AT_LARGE, classes="any"))


@dataclass(frozen=True)
class JudgeTargets:
    """What n pictures show.

    Attributes:
        counts: Shape (n, concepts), how many of each.
        background: Shape (n,).
        style: Shape (n,).
        maps: Shape (n, `GRID`, `GRID`): 0 where there is nothing, else 1 + the index of the concept.
    """

    counts: Tensor
    background: Tensor
    style: Tensor
    maps: Tensor

    @classmethod
    def of(cls, scenes: list[Scene], maps: NDArray[np.uint8]) -> "JudgeTargets":
        """Return the targets that scenes and the maps of their pictures set."""
        counts = torch.zeros(len(scenes), len(CONCEPTS), dtype=torch.long)
        for row, scene in enumerate(scenes):
            for group in scene.groups:
                counts[row, _CONCEPT[group.concept]] = group.count
        return cls(
            counts,
            torch.tensor([_BACKGROUND[scene.background] for scene in scenes]),
            torch.tensor([_STYLE[scene.style] for scene in scenes]),
            torch.from_numpy(maps.astype(np.int64)),
        )


def draw_scenes(n: int, rng: np.random.Generator) -> list[Scene]:
    """Return n random scenes, each with a held-out subject, a held-out style, or, one in ten, both."""
    return [_with_held_out(sample_scene(rng, _MIXTURE[index % 2]), rng) for index in range(n)]


def _with_held_out(scene: Scene, rng: np.random.Generator) -> Scene:
    share = rng.random()
    if share < 0.55:
        place = int(rng.integers(len(scene.groups)))
        groups = list(scene.groups)
        groups[place] = Group(str(rng.choice(list(SUBJECTS))), groups[place].count)
        scene = replace(scene, groups=tuple(groups))
    if share > 0.45:
        scene = replace(scene, style=str(rng.choice(list(HELD_OUT_STYLES))))
    return scene


def draw_map(scene: Scene, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Tell which concept is where in the picture that `draw` would draw from the same state of `rng`.

    Returns:
        Shape (`GRID`, `GRID`); see `JudgeTargets.maps`.
    """
    cells = np.zeros((GRID, GRID), np.uint8)
    centres = (np.arange(GRID) + 0.5) * size / GRID
    for placed in reversed(layout(scene, rng, size, EVERY_ARTWORK)):
        rows = (centres > placed.top) & (centres < placed.top + placed.height)
        columns = (centres > placed.left) & (centres < placed.left + placed.width)
        cells[np.ix_(rows, columns)] = 1 + _CONCEPT[scene.groups[placed.look.group].concept]
    return cells


def make_shards(folder: Path, shards: int, seed: int, size: int, report: Callable[[str], None] = print) -> None:
    """Render shards that `corpus.load_shard` reads; those that are there are kept.

    Args:
        folder: Where they go.
        shards: How many, of `SHARD` scenes each.
        seed: Shard i is the same for the same seed.
        size: Pixels on a side.
        report: Takes a line of progress.
    """
    for index in range(shards):
        finished = folder / f"{index:04d}.json"  # written last
        if finished.exists():
            continue
        rng = stream(seed, "judge scenes", index)
        scenes = draw_scenes(SHARD, rng)
        maps, images = [], []
        for scene in scenes:
            maps.append(draw_map(scene, copy.deepcopy(rng), size))
            images.append(draw(scene, rng, size))
        for name, arrays in (("images", images), ("maps", maps)):
            with staged(folder / f"{index:04d}-{name}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, np.stack(arrays), allow_pickle=False)
        write_text(finished, json.dumps([asdict(scene) for scene in scenes]))
        report(f"held-out scenes {index + 1}/{shards}")

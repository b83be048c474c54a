"""Pre-rendered scenes of the Moji world to train on, kept in shards on disk.

Half of a shard is families of four scenes that differ from their first member in one attribute each, so that a batch
holds pairs that only the background, the style, a count or a relation tells apart.
"""

import copy
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desiderata.files import staged, write_text
from desiderata.randomness import stream
from desiderata.worlds.moji.catalogue import CONCEPTS
from desiderata.worlds.moji.layout import layout
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.sampler import AT_LARGE, sample_scene
from desiderata.worlds.moji.scene import BACKGROUNDS, MOST_OBJECTS, RELATIONS, STYLES, Group, Scene

SHARD = 4096
"""Scenes in a shard."""

FAMILY = 4
"""Scenes in a family."""

GRID = 8
"""Cells on a side of the map that tells which concept is where."""

_MIXTURE = (AT_LARGE, replace(AT_LARGE, classes="any"))
_CONCEPT = {name: index for index, name in enumerate(CONCEPTS)}


@dataclass(frozen=True)
class Shard:
    """Scenes with their pictures.

    Attributes:
        images: Shape (n, size, size, 3), uint8.
        maps: Shape (n, `GRID`, `GRID`), uint8: 0 where there is no object, else 1 + the concept's index.
        scenes: Length n.
    """

    images: NDArray[np.uint8]
    maps: NDArray[np.uint8]
    scenes: list[Scene]


def family(scene: Scene, rng: np.random.Generator) -> list[Scene]:
    """Return `scene` and three relatives that differ from it in one attribute each: background, style, and a count
    or a relation.
    """  # noqa: D205
    background = rng.choice([name for name in BACKGROUNDS if name != scene.background])
    style = rng.choice([name for name in STYLES if name != scene.style])
    return [
        scene,
        replace(scene, background=str(background)),
        replace(scene, style=str(style)),
        _recount(scene, rng) if scene.relation is None or rng.random() < 0.5 else _relate(scene, rng),
    ]


def _relate(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, relation=str(rng.choice([name for name in RELATIONS if name != scene.relation])))


def _recount(scene: Scene, rng: np.random.Generator) -> Scene:
    first, *others = scene.groups
    most = MOST_OBJECTS - sum(group.count for group in others)
    counts = [count for count in range(1, most + 1) if count != first.count]
    if not counts:
        return _relate(scene, rng) if scene.relation else scene
    return replace(scene, groups=(Group(first.concept, int(rng.choice(counts))), *others))


def draw_scenes(n: int, rng: np.random.Generator) -> list[Scene]:
    """Return n random scenes, half of them in families of `FAMILY`; every other one shows one of the ten classes."""
    related = [
        kin for index in range(n // 2 // FAMILY) for kin in family(sample_scene(rng, _MIXTURE[index % 2]), rng)
    ]
    return related + [sample_scene(rng, _MIXTURE[index % 2]) for index in range(n - len(related))]


def draw_map(scene: Scene, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Tell which concept is where in the picture that `render` would draw from the same state of `rng`.

    Returns:
        Shape (`GRID`, `GRID`); see `Shard.maps`.
    """
    cells = np.zeros((GRID, GRID), np.uint8)
    centres = (np.arange(GRID) + 0.5) * size / GRID
    for placed in reversed(layout(scene, rng, size)):
        rows = (centres > placed.top) & (centres < placed.top + placed.height)
        columns = (centres > placed.left) & (centres < placed.left + placed.width)
        cells[np.ix_(rows, columns)] = 1 + _CONCEPT[scene.groups[placed.look.group].concept]
    return cells


def make_shard(folder: Path, index: int, seed: int, size: int) -> None:
    """Render one shard into `folder` unless it is there already."""
    scenes_path = _scenes_file(folder, index)
    if scenes_path.exists():
        return
    rng = stream(seed, "corpus", index)
    scenes = draw_scenes(SHARD, rng)
    maps, images = [], []
    for scene in scenes:
        maps.append(draw_map(scene, copy.deepcopy(rng), size))
        images.append(render(scene, rng, size))
    for name, arrays in (("images", images), ("maps", maps)):
        with staged(folder / f"{index:04d}-{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, np.stack(arrays), allow_pickle=False)
    write_text(scenes_path, json.dumps([asdict(scene) for scene in scenes]))


def make_corpus(folder: Path, shards: int, *, seed: int = 0, size: int = 64, processes: int = 2) -> None:
    """Render a corpus; shards that exist are kept, so an interrupted call is resumed by the same call.

    Args:
        folder: Where the shards go.
        shards: How many, of `SHARD` scenes each.
        seed: Shard i is the same for the same seed.
        size: Pixels on a side.
        processes: Renderers at a time.
    """
    missing = [index for index in range(shards) if not _scenes_file(folder, index).exists()]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for job in [pool.submit(make_shard, folder, index, seed, size) for index in missing]:
            job.result()


def _scenes_file(folder: Path, index: int) -> Path:
    """Return the file that is written last, so that a shard which has it is complete."""
    return folder / f"{index:04d}.json"


def load_shard(folder: Path, index: int) -> Shard:
    """Return a shard; its pictures stay on disk until they are used."""
    images = np.load(folder / f"{index:04d}-images.npy", mmap_mode="r", allow_pickle=False)
    maps = np.load(folder / f"{index:04d}-maps.npy", allow_pickle=False)
    records = json.loads(_scenes_file(folder, index).read_text())
    return Shard(images, maps, [_scene(record) for record in records])


def _scene(record: dict) -> Scene:
    return Scene(
        tuple(Group(**group) for group in record["groups"]), record["relation"], record["background"], record["style"]
    )


def batches(shard_sizes: list[int], size: int, rng: np.random.Generator) -> Iterator[list[tuple[int, int]]]:
    """Yield batches of (shard, row) pairs for ever, a new order each epoch; families stay together.

    Args:
        shard_sizes: Length of each shard.
        size: Length of a batch, a multiple of `FAMILY`.
        rng: Orders the blocks.

    Yields:
        `size` pairs.
    """
    blocks = np.array([(shard, row) for shard, n in enumerate(shard_sizes) for row in range(0, n, FAMILY)])
    per_batch = size // FAMILY
    while True:
        order = rng.permutation(len(blocks))
        for start in range(0, len(order) - per_batch + 1, per_batch):
            chosen = blocks[order[start : start + per_batch]]
            yield [(int(s), int(row) + offset) for s, row in chosen for offset in range(FAMILY)]

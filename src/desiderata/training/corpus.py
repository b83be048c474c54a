"""Pre-rendered scenes of the Moji world to train on, kept in shards on disk.

Half of a shard is families of four scenes that differ from their first member in one attribute each, so that a batch
holds pairs that only one object, the background, the style, a count or a relation tells apart.
"""

import copy
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desiderata.errors import DesiderataError
from desiderata.files import staged, write_text
from desiderata.randomness import stream
from desiderata.worlds.moji.catalogue import CONCEPTS, DISTRACTORS
from desiderata.worlds.moji.layout import layout
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.sampler import AT_LARGE, sample_scene
from desiderata.worlds.moji.scene import BACKGROUNDS, CLASSES, MOST_OBJECTS, RELATIONS, STYLES, Group, Scene

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
    """Return `scene` and three relatives that differ from it in one attribute each.

    The first shows another concept in one place, the second has another background or style, the third another count
    or relation.
    """
    if rng.random() < 0.5:
        elsewhere = replace(scene, background=str(_another(rng, BACKGROUNDS, scene.background)))
    else:
        elsewhere = replace(scene, style=str(_another(rng, STYLES, scene.style)))
    recount = scene.relation is None or rng.random() < 0.5
    return [scene, _exchange(scene, rng), elsewhere, _recount(scene, rng) if recount else _relate(scene, rng)]


def _another(rng: np.random.Generator, names: Sequence[str], than: str) -> str:
    return str(rng.choice([name for name in names if name != than]))


def _exchange(scene: Scene, rng: np.random.Generator) -> Scene:
    place = int(rng.integers(len(scene.groups)))
    shown = {group.concept for group in scene.groups}
    # A class gives way to a class and a distractor to a distractor, so that what a scene is labelled stays one thing.
    pool = CLASSES if scene.groups[place].concept in CLASSES else DISTRACTORS
    concept = str(rng.choice([name for name in pool if name not in shown]))
    groups = list(scene.groups)
    groups[place] = Group(concept, groups[place].count)
    return replace(scene, groups=tuple(groups))


def _relate(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, relation=_another(rng, RELATIONS, scene.relation or ""))


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
        processes: Renderers at a time; a single one is this process.

    Raises:
        DesiderataError: The folder holds a corpus of another seed, size or kind of scenes.
    """
    _claim(folder, {"seed": seed, "size": size, "shard": SHARD, "sample": _sample(seed)})
    missing = [index for index in range(shards) if not _scenes_file(folder, index).exists()]
    if processes == 1:
        for index in missing:
            make_shard(folder, index, seed, size)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for job in [pool.submit(make_shard, folder, index, seed, size) for index in missing]:
            job.result()


def _sample(seed: int) -> str:
    """Return a key of what `draw_scenes` draws, which changes when the world or its families do."""
    return hashlib.sha256(repr(draw_scenes(64, stream(seed, "corpus", 0))).encode()).hexdigest()[:16]


def _claim(folder: Path, about: dict[str, int | str]) -> None:
    path = folder / "corpus.json"
    if not path.exists():
        write_text(path, json.dumps(about))
    elif json.loads(path.read_text()) != about:
        raise DesiderataError(f"{folder} holds scenes of another kind, seed or size: give an empty --work folder.")


def _scenes_file(folder: Path, index: int) -> Path:
    """Return the file that is written last, so that a shard which has it is complete."""
    return folder / f"{index:04d}.json"


def load_shard(folder: Path, index: int) -> Shard:
    """Return a shard; its pictures stay on disk until they are used."""
    images = np.load(folder / f"{index:04d}-images.npy", mmap_mode="r", allow_pickle=False)
    maps = np.load(folder / f"{index:04d}-maps.npy", allow_pickle=False)
    records = json.loads(_scenes_file(folder, index).read_text())
    return Shard(images, maps, [scene_of(record) for record in records])


def scene_of(record: dict) -> Scene:
    """Return the scene that `dataclasses.asdict` turned into `record`."""
    return Scene(
        tuple(Group(**group) for group in record["groups"]), record["relation"], record["background"], record["style"]
    )


class Batches:
    """Batches of (shard, row) pairs for ever, a new order each epoch; families stay together.

    Args:
        shard_sizes: Length of each shard.
        size: Length of a batch, a multiple of `FAMILY`.
        rng: Orders the blocks.

    Raises:
        DesiderataError: `size` is no such multiple, or there are fewer scenes.
    """

    def __init__(self, shard_sizes: Sequence[int], size: int, rng: np.random.Generator) -> None:
        if size % FAMILY or not 0 < size <= sum(shard_sizes):
            raise DesiderataError(
                f"Batches of {size} cannot be cut from {sum(shard_sizes)} scenes in families of {FAMILY}: "
                f"give a multiple of {FAMILY} that is no larger than the corpus."
            )
        self._blocks = np.array([(shard, row) for shard, n in enumerate(shard_sizes) for row in range(0, n, FAMILY)])
        self._blocks_in_batch = size // FAMILY
        self._rng = rng
        self._orders: list[NDArray[np.int64]] = []

    def __getitem__(self, number: int) -> list[tuple[int, int]]:
        """Return the batch of that number, from 0 on."""
        epoch, place = divmod(number, len(self._blocks) // self._blocks_in_batch)
        while len(self._orders) <= epoch:
            self._orders.append(self._rng.permutation(len(self._blocks)))
        start = place * self._blocks_in_batch
        chosen = self._blocks[self._orders[epoch][start : start + self._blocks_in_batch]]
        return [(int(s), int(row) + offset) for s, row in chosen for offset in range(FAMILY)]

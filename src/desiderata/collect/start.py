"""What a classifier starts from, embedded: the user's folders, or pictures of the Moji world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desiderata.campaign.answers import listed
from desiderata.campaign.features import FeatureCache
from desiderata.campaign.images import digest_of
from desiderata.collect.data import LabelledSet
from desiderata.errors import DesiderataError
from desiderata.worlds.folder import read_folders
from desiderata.worlds.moji.scene import CLASSES
from desiderata.worlds.moji.settings import draw_pictures, setting_named

if TYPE_CHECKING:
    from desiderata.foundation.encoder import Encoder

Progress = Callable[[int, int], None]
"""Called with the number of pictures embedded and of all pictures."""

PER_CLASS = {"initial": 10, "validation": 10, "test": 100}
"""How many pictures of each class the Moji world gives, unless the configuration says otherwise."""


@dataclass(frozen=True, eq=False)
class Start:
    """Everything that is labelled before the first query.

    Attributes:
        classes: Names, in the order of the label indices.
        initial: What the classifier starts from.
        validation: What strategies may look at.
        test: What only the figures look at; None for none.
        copies: How many pictures were left out because the same picture had come before, in the order initial,
            validation, test. So no picture is both learnt from and measured on.
    """

    classes: tuple[str, ...]
    initial: LabelledSet
    validation: LabelledSet
    test: LabelledSet | None
    copies: int


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    label: str
    image: str
    feature: NDArray[np.float64]


def start_from(world: Mapping[str, Any], seed: int, encoder: "Encoder", progress: Progress | None = None) -> Start:
    """Gather and embed what `world` names.

    Args:
        world: The table `world` of the configuration. `kind` "folder" goes with `images`, `validation`,
            `validation_share` and `test` (see `worlds.folder.read_folders`); `kind` "moji" with `setting` and,
            per class, `initial`, `validation` and `test`.
        seed: Decides every draw.
        encoder: Embeds the pictures.
        progress: Called now and then.

    Returns:
        The labelled sets.

    Raises:
        DesiderataError: The world is unknown, or its pictures cannot be used.
    """
    kinds = {"folder": _folder, "moji": _moji}
    if world.get("kind") not in kinds:
        raise DesiderataError(f"There is no world of the kind {world.get('kind')!r}: choose from {', '.join(kinds)}.")
    classes, parts = kinds[world["kind"]](world, seed, encoder, progress or (lambda _done, _all: None))
    kept, copies = _without_copies(parts)
    for part in ("initial", "validation"):
        if missing := [label for label in classes if label not in {row.label for row in kept[part]}]:
            raise DesiderataError(
                f"No {part} picture of {missing[0]} is left once copies are left out: add different ones."
            )
    sets = {part: _set(rows, classes) for part, rows in kept.items() if rows}
    return Start(classes, sets["initial"], sets["validation"], sets.get("test"), copies)


def _folder(
    world: Mapping[str, Any], seed: int, encoder: "Encoder", progress: Progress
) -> tuple[tuple[str, ...], dict[str, list[_Row]]]:
    found = read_folders(
        Path(world["images"]),
        validation=Path(world["validation"]) if world.get("validation") else None,
        validation_share=world.get("validation_share", 0.3),
        test=Path(world["test"]) if world.get("test") else None,
        seed=seed,
    )
    parts = {"initial": found.initial, "validation": found.validation, "test": found.test}
    files = [file for part in parts.values() for file in part]
    embedded, unreadable = FeatureCache().embed(
        encoder, [file.path for file in files], lambda done: progress(done, len(files))
    )
    if len(unreadable) == 1:
        raise next(iter(unreadable.values()))
    if unreadable:
        raise DesiderataError(
            f"{len(unreadable)} of {len(files)} images cannot be read ({listed(list(map(str, unreadable)), 3)}): "
            "remove them, or give other copies."
        )
    rows = iter(embedded)
    return found.classes, {
        part: [_Row(str(file.path), file.label, one.image, one.feature) for file, one in zip(labelled, rows)]
        for part, labelled in parts.items()
    }


def _moji(
    world: Mapping[str, Any], seed: int, encoder: "Encoder", progress: Progress
) -> tuple[tuple[str, ...], dict[str, list[_Row]]]:
    setting = setting_named(world.get("setting", "iid"))
    sizes = {part: int(world.get(part, n)) for part, n in PER_CLASS.items()}
    total, done = sum(sizes.values()) * len(CLASSES), 0
    parts: dict[str, list[_Row]] = {}
    for part, per_class in sizes.items():
        parts[part] = []
        if not per_class:
            continue
        distribution = setting.initial if part == "initial" else setting.target
        pictures = draw_pictures(distribution, per_class, seed, part)
        features = encoder.images(list(pictures.images))
        for i, (image, label) in enumerate(zip(pictures.images, pictures.labels.tolist())):
            digest = digest_of(Image.fromarray(image))
            parts[part].append(_Row(f"scene {i + 1}", CLASSES[label], digest, features[i]))
        done += len(features)
        progress(done, total)
    return CLASSES, parts


def _without_copies(parts: Mapping[str, Sequence[_Row]]) -> tuple[dict[str, list[_Row]], int]:
    first: dict[str, _Row] = {}
    kept: dict[str, list[_Row]] = {}
    copies = 0
    for part, rows in parts.items():
        kept[part] = []
        for row in rows:
            other = first.setdefault(row.image, row)
            if other is row:
                kept[part].append(row)
            elif other.label != row.label:
                raise DesiderataError(
                    f"{other.name} and {row.name} are the same picture, as {other.label} and as {row.label}: "
                    "remove the wrong one."
                )
            else:
                copies += 1
    return kept, copies


def _set(rows: Sequence[_Row], classes: Sequence[str]) -> LabelledSet:
    labels = np.array([classes.index(row.label) for row in rows], dtype=np.int64)
    features = np.stack([row.feature for row in rows])
    return LabelledSet(features, labels, [row.image for row in rows], [row.name for row in rows])

"""What a classifier starts from, embedded: the user's folders, or pictures of the Moji world."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desiderata.campaign.answers import listed
from desiderata.campaign.features import FeatureCache
from desiderata.campaign.images import UnreadableImage, digest_of
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


EARLIER = {"validation": "learn from", "test": "learn from or validate on"}
"""What the pictures are there for that come before those of a part."""


@dataclass(frozen=True)
class LeftOut:
    """What was found and is not used.

    Attributes:
        copies: The files of pictures that had come before, in the order initial, validation, test. So no picture is
            both learnt from and measured on.
        shared: For a part with a folder of its own, how many of these copies are of a picture of an earlier part,
            and how many pictures it has left. Parts without such copies are not in it.
        unreadable: The files that are damaged or cannot be used, where that is no error.
    """

    copies: Sequence[str] = ()
    shared: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unreadable: Sequence[Path] = ()


@dataclass(frozen=True, eq=False)
class Start:
    """Everything that is labelled before the first query.

    Attributes:
        classes: Names, in the order of the label indices.
        initial: What the classifier starts from.
        validation: What strategies may look at.
        test: What only the figures look at; None for none.
        left_out: What was found besides.
    """

    classes: tuple[str, ...]
    initial: LabelledSet
    validation: LabelledSet
    test: LabelledSet | None
    left_out: LeftOut


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
            `validation_share` and `test` (see `worlds.folder.read_folders`), and `skip_unreadable`; `kind` "moji"
            with `setting` and, per class, `initial`, `validation` and `test`.
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
    gather = kinds[world["kind"]]
    classes, parts, unreadable = gather(world, seed, encoder, progress or (lambda _done, _all: None))
    kept, copies, shared = _without_copies(parts)
    for part, asked_for in {"initial": True, "validation": True, "test": bool(world.get("test"))}.items():
        missing = [label for label in classes if label not in {row.label for row in kept[part]}]
        if asked_for and missing:
            raise DesiderataError(_nothing_left(part, missing, parts[part], shared, unreadable))
    sets = {part: _set(rows, classes) for part, rows in kept.items() if rows}
    own = {part: (n, len(kept[part])) for part, n in shared.items() if world.get(part)}
    left_out = LeftOut(tuple(copies), own, tuple(unreadable))
    return Start(classes, sets["initial"], sets["validation"], sets.get("test"), left_out)


def _nothing_left(
    part: str, missing: Sequence[str], found: Sequence[_Row], shared: Mapping[str, int], unreadable: Sequence[Path]
) -> str:
    """Return the sentence that says why a part of the pictures lacks a class."""
    if found and shared.get(part) == len(found):
        return (
            f"All {len(found)} {part} pictures, such as {found[0].name}, are among those to {EARLIER[part]} as well, "
            f"and accuracy on known pictures tells nothing: give --{part} other pictures, or leave it out."
        )
    damaged = " and damaged ones" if unreadable else ""
    return f"No {part} picture of {missing[0]} is left once copies{damaged} are left out: add different ones."


def _folder(
    world: Mapping[str, Any], seed: int, encoder: "Encoder", progress: Progress
) -> tuple[tuple[str, ...], dict[str, list[_Row]], list[Path]]:
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
    if unreadable and not world.get("skip_unreadable"):
        raise DesiderataError(_damaged(unreadable, len(files)))
    known = {one.path: one for one in embedded}
    rows = {
        part: [
            _Row(str(file.path), file.label, one.image, one.feature)
            for file in labelled
            if (one := known.get(file.path))
        ]
        for part, labelled in parts.items()
    }
    return found.classes, rows, list(unreadable)


def _damaged(unreadable: Mapping[Path, UnreadableImage], found: int) -> str:
    """Return the sentence that names all files that cannot be used, or the first and how many there are."""
    n, first = len(unreadable), str(next(iter(unreadable.values()))).rstrip(".")
    names = first if n == 1 else listed(list(map(str, unreadable)), 3)
    are, them = ("is", "it") if n == 1 else ("are", "them")
    return (
        f"{n} of {found} images {are} damaged or cannot be used ({names}): give other copies, remove {them}, or "
        f"leave {them} out with --skip-unreadable."
    )


def _moji(
    world: Mapping[str, Any], seed: int, encoder: "Encoder", progress: Progress
) -> tuple[tuple[str, ...], dict[str, list[_Row]], list[Path]]:
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
    return CLASSES, parts, []


def _without_copies(parts: Mapping[str, Sequence[_Row]]) -> tuple[dict[str, list[_Row]], list[str], Counter[str]]:
    """Keep each picture where it comes first.

    Returns:
        The rows of each part, what was left out, and how much of that, by part, is of an earlier part.

    Raises:
        DesiderataError: One picture has two classes.
    """
    first: dict[str, _Row] = {}
    kept: dict[str, list[_Row]] = {}
    copies: list[str] = []
    shared: Counter[str] = Counter()
    for part, rows in parts.items():
        kept[part] = []
        earlier = set(first)
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
                copies.append(row.name)
                shared[part] += row.image in earlier
    return kept, copies, +shared


def _set(rows: Sequence[_Row], classes: Sequence[str]) -> LabelledSet:
    labels = np.array([classes.index(row.label) for row in rows], dtype=np.int64)
    features = np.stack([row.feature for row in rows])
    return LabelledSet(features, labels, [row.image for row in rows], [row.name for row in rows])

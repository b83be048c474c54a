"""Where the objects of a scene stand: the picture is cut into cells, and each object gets one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from desiderata.errors import DesiderataError
from desiderata.worlds.moji.artwork import sprite
from desiderata.worlds.moji.catalogue import ARTWORKS
from desiderata.worlds.moji.placement import Look, Placement, centre, gap, holds, uncovered
from desiderata.worlds.moji.scene import MOST_OBJECTS, RELATIONS, Scene

SMALLEST = 32
"""Side in pixels of the smallest picture in which objects can be told apart."""

_ANGLES = (-8, -4, 0, 4, 8)
_LARGEST = 0.64  # of the picture's side: the longest side of an object
_SUBJECT_SHARE = 0.57  # of the space of two groups: what the first one gets
_PAIR_SHARE = 0.62  # of the picture: what the first two of three groups get
_LESSER = 0.85  # of the subject's longest side: the most that other objects get
_SPILL = 0.025  # of the picture's side: how far an object may leave its cell


@dataclass(frozen=True, slots=True)
class _Cell:
    """A part of the picture, in fractions of its side."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def split(self, share: float, across: bool) -> "tuple[_Cell, _Cell]":
        """Return `share` of it, cut from its left when `across`, else from its top; and the rest."""
        if across:
            cut = share * self.width
            rest = _Cell(self.left + cut, self.top, self.width - cut, self.height)
            return _Cell(self.left, self.top, cut, self.height), rest
        cut = share * self.height
        rest = _Cell(self.left, self.top + cut, self.width, self.height - cut)
        return _Cell(self.left, self.top, self.width, cut), rest


def layout(
    scene: Scene, rng: np.random.Generator, size: int = 64, artworks: Mapping[str, Sequence[str]] = ARTWORKS
) -> list[Placement]:
    """Choose the artworks of a scene and where they stand.

    The first group stands to the second as `scene.relation` says (see `holds`), its objects have the longest
    sides, and none has more than `MOST_COVERED` of its box covered by another.

    Args:
        scene: What the picture shows.
        rng: Chooses artworks, sizes, turns and places.
        size: Side of the picture in pixels, at least `SMALLEST`.
        artworks: Concept -> what shows it.

    Returns:
        One placement per object, in the order of the groups, every box inside the picture.

    Raises:
        DesiderataError: The scene has an unknown concept or relation, too few or too many objects, or the picture
            would be too small.
    """
    _check(scene, size, artworks)
    looks = [
        _look(n, artworks[group.concept], rng) for n, group in enumerate(scene.groups) for _ in range(group.count)
    ]
    cells = _cells(scene, rng)
    sides = _sides(looks, cells, rng)
    placements: list[Placement] = []
    # Wide draws first; in the last every object stands in the middle of its cell, which always does.
    for spread in (1.0, 1.0, 1.0, 0.7, 0.4, 0.0):
        placements = [_placed(*each, spread, rng, size) for each in zip(looks, sides, cells)]
        if scene.relation == "next to":
            _pull_together(placements, rng, size)
        if holds(scene.relation, placements, size) and uncovered(placements):
            break
    return placements


def _check(scene: Scene, size: int, artworks: Mapping[str, Sequence[str]]) -> None:
    if size < SMALLEST:
        raise DesiderataError(
            f"A picture of {size} pixels is too small to tell objects apart: ask for {SMALLEST} or more."
        )
    for group in scene.groups:
        if group.concept not in artworks:
            raise DesiderataError(
                f"The Moji world has no {group.concept!r}: choose a concept of desiderata.worlds.moji.catalogue."
            )
    counts = [group.count for group in scene.groups]
    if not counts or min(counts) < 1 or sum(counts) > MOST_OBJECTS:
        raise DesiderataError(
            f"The scene's groups count {counts}: give each one or more, and {MOST_OBJECTS} objects at most in all."
        )
    if len(counts) > 1 and scene.relation not in RELATIONS:
        raise DesiderataError(
            f"The scene's relation is {scene.relation!r}, which says nothing about where its groups stand: "
            f"choose one of {', '.join(RELATIONS)}."
        )
    if len(counts) == 1 and scene.relation is not None:
        raise DesiderataError(
            f"A scene of one group has nothing to be {scene.relation!r}: give a second group, or None as relation."
        )


def _look(group: int, stems: Sequence[str], rng: np.random.Generator) -> Look:
    stem, angle = stems[int(rng.integers(len(stems)))], _ANGLES[int(rng.integers(len(_ANGLES)))]
    height, width, _ = sprite(stem, 32, angle).shape
    return Look(group, stem, angle, rng.random() < 0.5, width / 32, height / 32)


def _cells(scene: Scene, rng: np.random.Generator) -> list[_Cell]:
    """Return one cell per object, in the order of the groups."""
    first, *others = (group.count for group in scene.groups)
    if not others:
        return _divided(_Cell(), first, rng)
    across, rest = scene.relation not in {"above", "below"}, []
    room = _Cell()
    if len(others) == 2:
        room, third = _ordered(room, _PAIR_SHARE, not across, rng.random() < 0.5)
        rest = _divided(third, others[1], rng)
    leads = rng.random() < 0.5 if scene.relation == "next to" else scene.relation in {"left of", "above"}
    subject, object_ = _ordered(room, _SUBJECT_SHARE, across, leads)
    return _divided(subject, first, rng) + _divided(object_, others[0], rng) + rest


def _ordered(cell: _Cell, share: float, across: bool, leads: bool) -> tuple[_Cell, _Cell]:
    """Return `share` of a cell, and the rest; the first is left or upper when it `leads`."""
    if leads:
        return cell.split(share, across)
    other, part = cell.split(1 - share, across)
    return part, other


def _divided(cell: _Cell, count: int, rng: np.random.Generator) -> list[_Cell]:
    """Return cells for the objects of one group."""
    if count == 1:
        return [cell]
    # Along the longer side, or either way when there is none; three objects stand two and one.
    across = rng.random() < 0.5 if 0.8 < cell.width / cell.height < 1.25 else cell.width > cell.height
    one, two = _ordered(cell, 0.5, across, rng.random() < 0.5)
    return [one, *_divided(two, count - 1, rng)]


def _sides(looks: list[Look], cells: list[_Cell], rng: np.random.Generator) -> list[float]:
    """Return longest sides in fractions of the picture's: one for each group, the subject's the longest."""
    fits = [min(cell.width / look.width, cell.height / look.height) for look, cell in zip(looks, cells)]
    sides: dict[int, float] = {}
    for group in dict.fromkeys(look.group for look in looks):
        most = _LESSER * sides[0] if group else _LARGEST
        fit = min(fit for fit, look in zip(fits, looks) if look.group == group)
        sides[group] = min(fit, most) * (0.86 + 0.14 * rng.random())
    return [sides[look.group] for look in looks]


def _placed(look: Look, side: float, cell: _Cell, spread: float, rng: np.random.Generator, size: int) -> Placement:
    step = max(1, size // 32)  # sprites of few sizes, so that they are found ready in memory
    pixels = max(step, int(side * size) // step * step)
    height, width, _ = sprite(look.stem, pixels, look.angle).shape
    left = _drawn(cell.left, cell.width, width / size, spread, rng)
    top = _drawn(cell.top, cell.height, height / size, spread, rng)
    left, top = (min(max(round(edge * size), 0), size - box) for edge, box in ((left, width), (top, height)))
    return Placement(look, pixels, left, top, width, height)


def _drawn(start: float, length: float, box: float, spread: float, rng: np.random.Generator) -> float:
    """Return the edge of a box somewhere in a span, at most `_SPILL` outside it; its middle when `spread` is 0."""
    free = length - box
    return start + free / 2 + spread * (rng.random() - 0.5) * (max(free, 0) + 2 * _SPILL)


def _pull_together(placements: list[Placement], rng: np.random.Generator, size: int) -> None:
    """Move the first two groups towards each other until at most a little space is between them."""
    excess = gap(placements, False) - round(0.08 * rng.random() * size)
    if excess <= 0:
        return
    rightwards = 1 if centre(placements, 0)[0] < centre(placements, 1)[0] else -1
    half = int(rng.integers(excess + 1))
    for placement in placements:
        if placement.look.group == 0:
            placement.left += rightwards * half
        elif placement.look.group == 1:
            placement.left -= rightwards * (excess - half)

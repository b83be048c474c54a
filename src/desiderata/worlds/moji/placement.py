"""Objects at their places in a picture, and how groups of them stand to each other."""

from dataclasses import dataclass

MOST_COVERED = 0.15
"""The largest share of an object's box that another box may cover."""


@dataclass(frozen=True, slots=True)
class Look:
    """How an object looks.

    Attributes:
        group: Index of its group in the scene.
        stem: The artwork that shows it.
        angle: Degrees anticlockwise by which it is turned.
        flipped: Whether it is mirrored left to right.
        width: Width of its box when the longest side is 1.
        height: Height of its box when the longest side is 1.
    """

    group: int
    stem: str
    angle: int
    flipped: bool
    width: float
    height: float


@dataclass(slots=True)
class Placement:
    """An object in the picture. Lengths are pixels, from the picture's upper left corner.

    Attributes:
        look: How it looks.
        side: Longest side of its box.
        left: Left edge of its box.
        top: Upper edge of its box.
        width: Width of its box.
        height: Height of its box.
    """

    look: Look
    side: int
    left: int
    top: int
    width: int
    height: int


def holds(relation: str | None, placements: list[Placement], size: int) -> bool:
    """Whether the first group clearly stands to the second as `relation` says.

    A group stands where the mean of its boxes' centres is. The two must be further apart along the relation's
    direction than across it, and their boxes at most slightly overlap in that direction. For "next to" they must
    be near: less than a fifth of the picture between their boxes.

    Args:
        relation: One of `RELATIONS`, or None, which always holds.
        placements: The objects of a picture.
        size: Side of the picture in pixels.

    Returns:
        True or False.
    """
    if relation is None:
        return True
    across = relation in {"above", "below"}
    (x, y), (other_x, other_y) = centre(placements, 0), centre(placements, 1)
    apart, aside = (other_y - y, other_x - x) if across else (other_x - x, other_y - y)
    if relation in {"right of", "below"} or (relation == "next to" and apart < 0):
        apart = -apart
    between = gap(placements, across)
    return apart >= 1.5 * abs(aside) and -0.06 * size <= between and (relation != "next to" or between < 0.2 * size)


def centre(placements: list[Placement], group: int) -> tuple[float, float]:
    """Return x and y of the mean of a group's box centres, in pixels."""
    members = [each for each in placements if each.look.group == group]
    x = sum(each.left + each.width / 2 for each in members) / len(members)
    return x, sum(each.top + each.height / 2 for each in members) / len(members)


def gap(placements: list[Placement], vertical: bool) -> int:
    """Return the pixels between the first two groups along one direction; negative where they overlap in it."""
    spans: list[tuple[int, int]] = []
    for group in (0, 1):
        boxes = [(p.top, p.height) if vertical else (p.left, p.width) for p in placements if p.look.group == group]
        spans.append((min(start for start, _ in boxes), max(start + length for start, length in boxes)))
    (start, end), (other_start, other_end) = spans
    return max(other_start - end, start - other_end)


def uncovered(placements: list[Placement]) -> bool:
    """Return whether no box has more than `MOST_COVERED` of it covered by another."""
    for number, one in enumerate(placements):
        for two in placements[:number]:
            width = min(one.left + one.width, two.left + two.width) - max(one.left, two.left)
            height = min(one.top + one.height, two.top + two.height) - max(one.top, two.top)
            smaller = min(one.width * one.height, two.width * two.height)
            if width > 0 and height > 0 and width * height > MOST_COVERED * smaller:
                return False
    return True

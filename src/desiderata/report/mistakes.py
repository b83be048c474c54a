"""Who was taken for whom: the two heatmaps of a report, and what changed between them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from desiderata.report.data import Confusion

MOST_CLASSES = 60
"""With more, a heatmap would be a page of millions of cells that nobody can read."""


class Cell(NamedTuple):
    """A cell of a heatmap.

    Attributes:
        percent: Of its row, as text; empty for none.
        level: How strongly it is coloured, 0 to 20.
    """

    percent: str
    level: int


class Heatmap(NamedTuple):
    """One confusion matrix.

    Attributes:
        title: Such as "Before".
        accuracy: Share of all pictures that were recognised.
        rows: Class name and cells; none where there are more than `MOST_CLASSES`.
    """

    title: str
    accuracy: float
    rows: Sequence[tuple[str, Sequence[Cell]]]


def heatmaps(confusion: Confusion) -> list[Heatmap]:
    """Return the matrices before and after, ready to be shown; one of them where both are the same."""
    maps = []
    both = (("Before", confusion.counts_before), ("After", confusion.counts_after))
    for title, counts in (("So far", confusion.counts_after),) if unchanged(confusion) else both:
        named = zip(confusion.classes, rates(counts), strict=True)
        few = len(confusion.classes) <= MOST_CLASSES
        rows = [(name, [_cell(float(rate)) for rate in row]) for name, row in named] if few else []
        maps.append(Heatmap(title, float(np.trace(counts)) / max(int(counts.sum()), 1), rows))
    return maps


def unchanged(confusion: Confusion) -> bool:
    """Return whether the classifier said the same before and after."""
    return np.array_equal(confusion.counts_before, confusion.counts_after)


def _cell(rate: float) -> Cell:
    if np.isnan(rate) or rate == 0:
        return Cell("", 0)
    return Cell(f"{100 * rate:.0f}" if rate >= 0.005 else "", round(20 * rate))


class Change(NamedTuple):
    """A mistake that became rarer or more frequent.

    Attributes:
        shows: What the pictures show.
        said: What the classifier said.
        before: Share of those pictures, before.
        after: Share of them, at the end.
        pictures: How many such pictures there are.
    """

    shows: str
    said: str
    before: float
    after: float
    pictures: int


def changes(confusion: Confusion, most: int = 5) -> tuple[Sequence[Change], Sequence[Change]]:
    """The mistakes that changed most.

    Args:
        confusion: Counts before and after.
        most: How many of each kind.

    Returns:
        Those that became rarer and those that became more frequent, greatest change first.
    """
    before, after = rates(confusion.counts_before), rates(confusion.counts_after)
    totals = confusion.counts_after.sum(axis=1)
    found = [
        Change(shows, said, float(before[i, j]), float(after[i, j]), int(totals[i]))
        for i, shows in enumerate(confusion.classes)
        for j, said in enumerate(confusion.classes)
        if i != j and before[i, j] != after[i, j] and np.isfinite(before[i, j] - after[i, j])
    ]
    found.sort(key=lambda change: change.after - change.before)
    better = [change for change in found if change.after < change.before]
    worse = [change for change in reversed(found) if change.after > change.before]
    return better[:most], worse[:most]


def rates(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the shares of each row, shape (C, C); NaN in rows without a picture."""
    totals = counts.sum(axis=1, keepdims=True).astype(np.float64)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)

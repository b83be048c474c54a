"""Figures of several subjects and seeds, put together with their intervals.

Pictures of one run share their generator, so they are no independent witnesses: a run counts once, by its means,
however many pictures it has.
"""

from collections.abc import Hashable, Mapping
from typing import Literal

import numpy as np

from desiderata.errors import DesiderataError
from desiderata.measure.intervals import Estimate, difference, estimate

Cell = tuple[str, int]
"""A subject and a seed: one run."""

Cells = Mapping[Cell, Mapping[str, float]]
"""Named figures of each run."""

By = Literal["cell", "subject"]
"""What counts as independent: subjects, averaged over their seeds first, so that the interval tells what other
subjects would bring; or runs, whose interval is too narrow for that where runs of one subject are alike."""


def summarise(measured: Cells, *, by: By = "cell", level: float = 0.95) -> dict[str, Estimate]:
    """Estimate the mean of each figure.

    Args:
        measured: Figures by subject and seed.
        by: See `By`.
        level: Coverage of the intervals (Student's t).

    Returns:
        By name of the figure.

    Raises:
        DesiderataError: Nothing was measured, or not the same figures everywhere.
    """
    return {name: estimate(values, level) for name, values in _columns(measured, by).items()}


def compare(a: Cells, b: Cells, *, by: By = "cell", level: float = 0.95) -> dict[str, Estimate]:
    """Estimate by how much the figures of `a` lie above those of `b`; what subjects and seeds do to both cancels.

    Args:
        a: Figures by subject and seed.
        b: The same, measured under something else.
        by: See `By`.
        level: Coverage of the intervals.

    Returns:
        The mean of a - b, by name of the figure.

    Raises:
        DesiderataError: The runs or their figures are not the same on both sides, or there are none.
    """
    if odd := sorted(set(a) ^ set(b)):
        subject, seed = odd[0]
        raise DesiderataError(
            f"{subject} with seed {seed} is on one side only: compare runs of the same subjects and seeds."
        )
    left, right = _columns(a, by), _columns(b, by)
    if odd := sorted(set(left) ^ set(right)):
        raise DesiderataError(f"{odd[0]} was measured on one side only: compare figures that both sides have.")
    return {name: difference(values, right[name], level) for name, values in left.items()}


def _columns(measured: Cells, by: By) -> dict[str, list[float]]:
    names = list(next(iter(measured.values()), {}))
    if not names:
        raise DesiderataError("Nothing was measured: give the figures of one run at least.")
    groups: dict[Hashable, list[Mapping[str, float]]] = {}
    for cell in sorted(measured):
        if set(measured[cell]) != set(names):
            raise DesiderataError(f"{cell[0]} with seed {cell[1]} has other figures than the rest: measure it anew.")
        groups.setdefault(cell if by == "cell" else cell[0], []).append(measured[cell])
    return {name: [float(np.mean([one[name] for one in group])) for group in groups.values()] for name in names}

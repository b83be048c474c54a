"""Means of a few runs with their 95 % intervals, and differences of runs that share their seeds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from desiderata.errors import DesiderataError


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its interval.

    Attributes:
        mean: Of the values.
        low: Lower end of the interval; nan for a single value.
        high: Upper end.
        n: How many values.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the interval's length."""
        return (self.high - self.low) / 2


def estimate(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Estimate a mean by Student's t.

    Args:
        values: Shape (n,), one for each independent run; n at least 1.
        level: Coverage of the interval.

    Returns:
        The mean and its interval.

    Raises:
        DesiderataError: There are no values, or they are not in one row.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x):
        raise DesiderataError(
            f"Values of shape {x.shape} have no mean: give a list of one or more, one for each run."
        )
    mean = float(x.mean())
    if len(x) < 2:
        return Estimate(mean, float("nan"), float("nan"), len(x))
    reach = float(stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Estimate(mean, mean - reach, mean + reach, len(x))


def difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Estimate:
    """Estimate the mean of a - b over runs that share their seeds, so that what seeds do to both cancels.

    Args:
        a: Shape (n,).
        b: Shape (n,), in the same order of seeds.
        level: Coverage of the interval.

    Returns:
        The mean difference and its interval.

    Raises:
        DesiderataError: There are no values, or not as many of one as of the other.
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if x.shape != y.shape:
        raise DesiderataError(
            f"Values of shape {x.shape} and {y.shape} do not pair up: give one of each for every seed, in the same "
            "order."
        )
    return estimate(x - y, level)

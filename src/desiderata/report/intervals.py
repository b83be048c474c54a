"""How sure the figures of a report are: 95 % intervals for means, differences, shares and rank agreement."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from desiderata.measure.intervals import estimate

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An estimate between two bounds; the bounds are NaN where nothing can be said about them.

    Attributes:
        value: The estimate.
        low: Lower 95 % bound.
        high: Upper 95 % bound.
    """

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval at all."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def of_mean(values: NDArray[np.float64]) -> Interval:
    """Student's t interval of a mean.

    Args:
        values: Shape (n,), independent runs.

    Returns:
        The mean with its bounds, which are NaN for a single value.
    """
    found = estimate(values, CONFIDENCE)
    return Interval(found.mean, found.low, found.high)


def of_difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Interval:
    """Interval of the difference of two means.

    Paired by seed when both have equally many runs, for then both saw the same data; Welch's otherwise.

    Args:
        ours: Shape (n,).
        theirs: Shape (m,).

    Returns:
        mean(ours) − mean(theirs) with its bounds, NaN where one side has a single run.
    """
    if len(ours) == len(theirs):
        return of_mean(ours - theirs)
    value = float(np.mean(ours) - np.mean(theirs))
    if min(len(ours), len(theirs)) < 2:
        return Interval(value, math.nan, math.nan)
    a, b = np.var(ours, ddof=1) / len(ours), np.var(theirs, ddof=1) / len(theirs)
    if a + b == 0:
        return Interval(value, value, value)
    freedom = float((a + b) ** 2 / (a**2 / (len(ours) - 1) + b**2 / (len(theirs) - 1)))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(float(a + b))
    return Interval(value, value - half, value + half)


def of_share(share: float, n: int) -> Interval:
    """Wilson's interval of a share.

    Args:
        share: Between 0 and 1.
        n: How many were counted, at least 1.

    Returns:
        The share with its bounds.
    """
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(share, centre - half, centre + half)


def of_change(before: float, after: float, n: int) -> Interval:
    """Newcombe's interval of the difference of two shares.

    It takes both to be counted independently. Where both were counted on the same pictures, which mostly fare alike,
    it is wider than it need be, and so errs on the careful side.

    Args:
        before: Between 0 and 1.
        after: Between 0 and 1.
        n: How many were counted each time, at least 1.

    Returns:
        after − before with its bounds.
    """
    first, second = of_share(before, n), of_share(after, n)
    down = math.hypot(after - second.low, first.high - before)
    up = math.hypot(second.high - after, before - first.low)
    return Interval(after - before, after - before - down, after - before + up)


def of_rank_agreement(x: NDArray[np.float64], y: NDArray[np.float64]) -> Interval:
    """Spearman's rank correlation, with Bonett and Wright's interval.

    Args:
        x: Shape (n,).
        y: Shape (n,).

    Returns:
        The correlation with its bounds; all NaN for fewer than three pairs or when one side is constant, the bounds
        alone for fewer than ten pairs, where the approximation is poor.
    """
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Interval(math.nan, math.nan, math.nan)
    rho = float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])
    if len(x) < 10 or abs(rho) >= 1:
        return Interval(rho, math.nan, math.nan)
    z, error = math.atanh(rho), math.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error
    return Interval(rho, math.tanh(z - half), math.tanh(z + half))


def of_rank_agreement_within(x: NDArray[np.float64], y: NDArray[np.float64], groups: NDArray[np.int64]) -> Interval:
    """Spearman's rank correlation within groups, averaged: what x and y have in common by group alone counts nothing.

    Args:
        x: Shape (n,).
        y: Shape (n,).
        groups: Shape (n,), the group of each pair.

    Returns:
        The mean of the groups' correlations with Student's t interval; of a single group as `of_rank_agreement`
        tells. All NaN where no group has three pairs that differ.
    """
    each = [of_rank_agreement(x[groups == group], y[groups == group]) for group in np.unique(groups)]
    known = [one for one in each if not math.isnan(one.value)]
    if len(known) < 2:
        return known[0] if known else Interval(math.nan, math.nan, math.nan)
    mean = of_mean(np.array([one.value for one in known]))
    return Interval(mean.value, max(-1.0, mean.low), min(1.0, mean.high))

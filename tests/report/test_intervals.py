import math

import numpy as np
import pytest
from scipy import stats

from desiderata.report import intervals


def test_mean_agrees_with_scipy():
    values = np.random.default_rng(0).normal(size=7)
    low, high = stats.t.interval(0.95, 6, loc=values.mean(), scale=stats.sem(values))
    assert intervals.of_mean(values) == pytest.approx((values.mean(), low, high))
    assert not intervals.of_mean(values[:1]).known


def test_difference_is_paired_where_it_can_be():
    rng = np.random.default_rng(0)
    luck = rng.normal(0, 1, 8)
    ours, theirs = luck + 0.1 + rng.normal(0, 0.01, 8), luck
    paired = stats.ttest_rel(ours, theirs).confidence_interval()
    assert intervals.of_difference(ours, theirs)[1:] == pytest.approx((paired.low, paired.high))
    apart = stats.ttest_ind(ours, theirs[:5], equal_var=False).confidence_interval()
    assert intervals.of_difference(ours, theirs[:5])[1:] == pytest.approx((apart.low, apart.high))
    assert not intervals.of_difference(ours, theirs[:1]).known
    assert intervals.of_difference(np.ones(3), np.zeros(2)) == (1, 1, 1)


def test_share_agrees_with_scipy():
    wilson = stats.binomtest(83, 100).proportion_ci(method="wilson")
    assert intervals.of_share(0.83, 100)[1:] == pytest.approx((wilson.low, wilson.high))


def test_change_is_newcombes():
    found = intervals.of_change(0.5, 0.6, 100)
    assert found.value == pytest.approx(0.1)
    assert found.low < 0 < found.high
    assert intervals.of_change(0.5, 0.6, 1000).low > 0
    forth, back = intervals.of_change(0.3, 0.7, 50), intervals.of_change(0.7, 0.3, 50)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))
    assert intervals.of_change(1.0, 1.0, 20).low < 0, "all right twice leaves room on either side"


def test_rank_agreement_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    rho = 0.6
    truth = 6 / math.pi * math.asin(rho / 2)  # Spearman's correlation of a normal pair
    hits = 0
    for _ in range(400):
        x, noise = rng.normal(size=(2, 60))
        found = intervals.of_rank_agreement(x, rho * x + math.sqrt(1 - rho**2) * noise)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_rank_agreement_within_groups_is_their_mean():
    x = np.array([1.0, 2, 3, 11, 12, 13, 21, 22, 23, 31])
    y = np.array([1.0, 2, 3, 11, 12, 13, 22, 21, 23, 31])
    groups = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3])  # the last group is a single pair
    found = intervals.of_rank_agreement_within(x, y, groups)
    assert found.value == pytest.approx((1 + 1 + 0.5) / 3)
    assert found.low < found.value < found.high == 1
    alone = intervals.of_rank_agreement_within(x[:3], y[:3], groups[:3])
    assert (alone.value, alone.known) == (pytest.approx(1), False)
    assert math.isnan(intervals.of_rank_agreement_within(x[9:], y[9:], groups[9:]).value)


def test_rank_agreement_knows_when_it_knows_nothing():
    x = np.arange(12.0)
    assert math.isnan(intervals.of_rank_agreement(x, np.ones(12)).value)
    assert math.isnan(intervals.of_rank_agreement(x[:2], x[:2]).value)
    assert intervals.of_rank_agreement(x[:5], x[:5] ** 2).value == pytest.approx(1)
    assert not intervals.of_rank_agreement(x[:5], x[:5] ** 2).known
    assert intervals.of_rank_agreement(x, -x).value == pytest.approx(-1)

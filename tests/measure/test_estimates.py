import numpy as np
import pytest
from scipy import stats

from desiderata.errors import DesiderataError
from desiderata.measure.intervals import difference, estimate


def test_the_interval_is_students():
    x = np.random.default_rng(0).normal(size=10)
    low, high = stats.t.interval(0.95, 9, x.mean(), stats.sem(x))
    found = estimate(x)
    np.testing.assert_allclose([found.mean, found.low, found.high, found.n], [x.mean(), low, high, 10])


def test_one_value_has_no_interval():
    assert np.isnan(estimate([0.5]).low)


def test_what_seeds_do_to_both_cancels():
    luck = np.random.default_rng(0).normal(size=8)
    found = difference(luck + 2, luck)
    np.testing.assert_allclose([found.mean, found.half_width], [2, 0], atol=1e-12)


@pytest.mark.parametrize("pair", [([1.0, 2.0, 3.0], [1.0]), ([1.0, 2.0], 1.0), ([[1.0], [2.0]], [1.0, 2.0])])
def test_what_does_not_pair_up_is_not_stretched_until_it_does(pair):
    with pytest.raises(DesiderataError, match="do not pair up"):
        difference(*pair)


@pytest.mark.parametrize("nothing", [[], 1.0, [[1.0, 2.0]]])
def test_no_row_of_values_has_no_mean(nothing):
    with pytest.raises(DesiderataError, match="have no mean"):
        estimate(nothing)
    with pytest.raises(DesiderataError, match="have no mean"):
        difference(nothing, nothing)

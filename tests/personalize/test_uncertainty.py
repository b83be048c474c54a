"""Eq. 6 to 10 of GAL against an oracle that knows nothing of arrays, and the tie rule."""

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desiderata.personalize.uncertainty import (
    appraise,
    authors_ranking,
    best_of,
    entropies,
    finished,
    margins,
    openness,
    overfitted,
    ranking,
    shares,
    what_ties_decide,
)

SIX = [0, 0.3251, 0.5004, 0.6109, 0.6730, 0.6931]


def dense_oracle(to_anchor, to_plain, usable, rate):
    """Return (share, entropy, margin, best) of every direction, their order, and the openness."""
    rows = []
    for sims, plain, ok in zip(to_anchor.tolist(), to_plain.tolist(), usable.tolist()):
        kept = [j for j, good in enumerate(ok) if good]
        flags = [not sims[j] > max(plain[j]) for j in kept]
        beta = sum(flags) / len(flags) if flags else 0
        entropy = -sum(p * log(p) for p in (beta, 1 - beta) if p > 0)
        margin = sum(sims[j] - max(plain[j]) for j in kept) / len(kept) if kept else 0
        rows.append((beta, entropy, margin, max(kept, key=lambda j: (sims[j], -j), default=-1)))
    order = sorted(range(len(rows)), key=lambda i: (-round(rows[i][1], 12), abs(rows[i][2]), i))
    return rows, order, rate * sum(row[1] for row in rows) / len(rows)


@st.composite
def rounds(draw: st.DrawFn):
    n, m, s = draw(st.integers(1, 7)), draw(st.integers(1, 10)), draw(st.integers(1, 3))
    grid = draw(st.sampled_from([3, 1000]))  # a coarse one makes ties between similarities the rule
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    to_anchor, to_plain = rng.integers(grid, size=(n, m)) / grid, rng.integers(grid, size=(n, m, s)) / grid
    return to_anchor, to_plain, rng.random((n, m)) < draw(st.sampled_from([1.0, 0.6]))


@settings(max_examples=300, deadline=None)
@given(rounds(), st.floats(0, 1))
def test_a_round_is_judged_as_the_equations_say(case, rate: float):
    found = appraise(*case, rate)
    rows, order, open_score = dense_oracle(*case, rate)
    np.testing.assert_allclose(found.shares, [row[0] for row in rows], atol=1e-12)
    np.testing.assert_allclose(found.entropies, [row[1] for row in rows], atol=1e-11)
    np.testing.assert_allclose(found.margins, [row[2] for row in rows], atol=1e-12)
    assert found.best.tolist() == [row[3] for row in rows]
    assert found.openness == pytest.approx(open_score, abs=1e-11)
    gaps = [(found.entropies[i], round(abs(found.margins[i]), 9)) for i in found.order]
    assert gaps == [(found.entropies[i], round(abs(found.margins[i]), 9)) for i in order]
    for k in range(1, 6):
        assert finished(found.entropies, k) == (sum(row[1] > 1e-12 for row in rows) < k)


@settings(max_examples=200, deadline=None)
@given(rounds(), st.randoms(use_true_random=False))
def test_the_order_of_directions_does_not_change_what_is_said_of_each(case, random):
    to_anchor, to_plain, usable = case
    places = list(range(len(to_anchor)))
    random.shuffle(places)
    first, second = appraise(*case, 0.005), appraise(to_anchor[places], to_plain[places], usable[places], 0.005)
    np.testing.assert_array_equal(first.entropies[places], second.entropies)
    np.testing.assert_array_equal(first.best[places], second.best)
    assert first.openness == pytest.approx(second.openness)
    assert first.entropies[first.order].tolist() == second.entropies[second.order].tolist()


def test_at_ten_pictures_there_are_six_entropies_and_no_seventh_by_rounding():
    found = entropies(np.arange(11) / 10)
    assert len(set(found.tolist())) == 6
    assert sorted({round(value, 4) for value in found.tolist()}) == SIX
    assert found[0] == found[10] == 0
    assert str(found[0]) == "0.0", "no minus before nothing"


@pytest.mark.parametrize("m", range(1, 60))
def test_a_share_and_its_complement_tie(m: int):
    found = entropies(np.arange(m + 1) / m)
    assert found.tolist() == found[::-1].tolist()
    assert len(set(found.tolist())) == m // 2 + 1


def test_a_tie_counts_as_overfitted_and_the_nearest_of_several_non_subjects_counts():
    to_anchor = np.array([[0.3, 0.3, 0.3]])
    to_plain = np.array([[[0.3, 0.1], [0.1, 0.29], [0.1, 0.31]]])
    assert overfitted(to_anchor, to_plain).tolist() == [[True, False, True]]
    np.testing.assert_allclose(margins(to_anchor, to_plain), [0.0], atol=1e-12)


def test_what_was_blanked_counts_nowhere():
    to_anchor, to_plain = np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.5]]), np.full((2, 3, 1), 0.15)
    usable = np.array([[False, True, True], [False, False, False]])
    found = appraise(to_anchor, to_plain, usable, 1.0)
    assert found.shares.tolist() == [0.5, 0]
    assert found.best.tolist() == [2, -1]
    assert found.flags.tolist() == [[False, True, False], [False] * 3]
    assert found.openness == pytest.approx(np.log(2) / 2)
    assert shares(np.ones((1, 2), bool)).tolist() == [1]
    assert best_of(to_anchor).tolist() == [0, 0]


def test_among_equal_entropies_the_most_undecided_direction_comes_first_and_then_the_pool_decides():
    entropy = np.array([0.5, 0.6, 0.6, 0.0, 0.6, 0.6])
    margin = np.array([0.0, 0.2, -0.1, 0.0, 0.1, -0.3])
    assert ranking(entropy, margin).tolist() == [2, 4, 1, 5, 0, 3]
    found = what_ties_decide(entropy, margin, 3)
    assert found.chosen.tolist() == [2, 4, 1]
    assert found.by_authors.tolist() == authors_ranking(entropy)[:3].tolist()
    assert (found.decided, found.candidates) == (3, 4)
    assert found.changed == 1
    settled = what_ties_decide(entropy, margin, 4)
    assert (settled.decided, settled.candidates, settled.changed) == (0, 4, 0)
    nothing = what_ties_decide(np.zeros(0), np.zeros(0), 3)
    assert (nothing.decided, nothing.candidates, nothing.changed) == (0, 0, 0)


def test_the_openness_of_nothing_is_nothing_and_never_above_its_bound():
    assert openness(np.zeros(0), 0.005) == 0
    assert openness(np.full(18, np.log(2)), 0.005) == pytest.approx(0.00347, abs=1e-5)
    assert openness(np.array([np.log(2), 0.0]), 1.0) == pytest.approx(np.log(2) / 2)

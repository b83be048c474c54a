"""Which direction is a generator uncertain about? GAL's Eq. 6 to 10 and its stated tie rule, in plain NumPy.

Everywhere n is the number of directions, m that of pictures drawn for each, s that of non-subject prompts. A picture
that cannot be judged, because the safety checker blacked it out, is not `usable` and counts nowhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Figures = NDArray[np.float64]
Indices = NDArray[np.int64]

DECIMALS = 12
"""Entropies are rounded to so many: those of shares b and 1 - b are equal, and must compare so."""


def overfitted(to_anchor: Figures, to_plain: Figures) -> Flags:
    """Tell which pictures show the references' surroundings rather than the anchor (Φ, Eq. 8).

    Args:
        to_anchor: Shape (n, m), cosine of each picture to its anchor prompt.
        to_plain: Shape (n, m, s), cosines to the non-subject prompts, the largest of which counts.

    Returns:
        Shape (n, m). A tie counts as overfitted, as in the authors' selection.
    """
    return ~(to_anchor > to_plain.max(axis=-1))


def shares(flags: Flags, usable: Flags | None = None) -> Figures:
    """Return the overfitted share of every direction (β, Eq. 7).

    Args:
        flags: Shape (n, m), of `overfitted`.
        usable: Shape (n, m), which pictures count; all by default.

    Returns:
        Shape (n,), 0 to 1; 0 for a direction without a picture that counts.
    """
    counted = np.ones_like(flags) if usable is None else usable
    return (flags & counted).sum(1) / np.maximum(counted.sum(1), 1)


def entropies(shares: Figures) -> Figures:
    """Return how undecided every direction is (Ω, Eq. 6).

    Args:
        shares: Shape (n,), overfitted shares.

    Returns:
        Shape (n,), nats, 0 to ln 2; 0 where all or none are overfitted.
    """
    parts = np.stack([shares, 1 - shares])
    logs = np.log(np.where(parts > 0, parts, 1.0))
    return np.round(-(parts * logs).sum(0), DECIMALS) + 0.0


def margins(to_anchor: Figures, to_plain: Figures, usable: Flags | None = None) -> Figures:
    """Return by how much pictures are nearer to their anchor than to any non-subject prompt, on average.

    Args:
        to_anchor: Shape (n, m).
        to_plain: Shape (n, m, s).
        usable: Shape (n, m), which pictures count; all by default.

    Returns:
        Shape (n,), differences of cosines; 0 for a direction without a picture that counts.
    """
    counted = np.ones(to_anchor.shape, dtype=bool) if usable is None else usable
    gaps = np.where(counted, to_anchor - to_plain.max(axis=-1), 0.0)
    return gaps.sum(1) / np.maximum(counted.sum(1), 1)


def ranking(entropies: Figures, margins: Figures) -> Indices:
    """Order directions, the most uncertain first.

    With ten pictures a direction has one of six entropies only, so that ties decide most of the top k. Among equal
    entropies comes first the direction whose mean margin is nearest to 0: its pictures lie closest to the border
    between anchor and non-subject, which the count of overfitted ones has no eye for. What is equal even then keeps
    the order of the pool.

    Args:
        entropies: Shape (n,), of `entropies`.
        margins: Shape (n,), of `margins`.

    Returns:
        Shape (n,), the directions in order.
    """
    return np.lexsort((np.arange(len(entropies)), np.abs(margins), -entropies))


def authors_ranking(entropies: Figures) -> Indices:
    """Return the order of the authors' code, `argsort(entropies)[::-1]`; among ties it is nobody's choice.

    Args:
        entropies: Shape (n,).

    Returns:
        Shape (n,), the directions in order.
    """
    return np.argsort(entropies)[::-1]


def best_of(to_anchor: Figures, usable: Flags | None = None) -> Indices:
    """Return the picture of every direction that is nearest to its anchor, overfitted or not.

    Args:
        to_anchor: Shape (n, m).
        usable: Shape (n, m), which pictures count; all by default.

    Returns:
        Shape (n,), the first of equals; -1 for a direction without a picture that counts.
    """
    counted = np.ones(to_anchor.shape, dtype=bool) if usable is None else usable
    nearest = np.where(counted, to_anchor, -np.inf).argmax(1)
    return np.where(counted.any(1), nearest, -1)


def openness(entropies: Figures, rate: float) -> float:
    """Return how much a round's pictures count in the next training (Δ, Eq. 9).

    Args:
        entropies: Shape (n,), of all directions that remain, those of 0 included.
        rate: λ.

    Returns:
        `rate` times their mean; 0 when none remain. At most `rate` times ln 2.
    """
    return rate * float(np.mean(entropies)) if len(entropies) else 0.0


def finished(entropies: Figures, k: int) -> bool:
    """Tell whether fewer than k directions are left to explore (Eq. 10).

    Args:
        entropies: Shape (n,), of all directions that remain.
        k: Directions asked in a round.

    Returns:
        Whether to stop.
    """
    return int((entropies > 0).sum()) < k


@dataclass(frozen=True, eq=False)
class Ties:
    """What the tie rule decides in one round.

    Attributes:
        chosen: Shape (k,), the first k directions by `ranking`.
        by_authors: Shape (k,), the first k by `authors_ranking`.
        decided: How many of the k places were given by the rule, since more directions had the entropy of the k-th
            place than there was room for; 0 where entropies alone decided.
        candidates: How many directions had that entropy.
    """

    chosen: Indices
    by_authors: Indices
    decided: int
    candidates: int

    @property
    def changed(self) -> int:
        """How many of the chosen directions the authors' order would not have chosen."""
        return len(set(self.chosen.tolist()) - set(self.by_authors.tolist()))


def what_ties_decide(entropies: Figures, margins: Figures, k: int) -> Ties:
    """Show what the tie rule changes against the authors' code.

    Args:
        entropies: Shape (n,).
        margins: Shape (n,).
        k: Directions asked in a round.

    Returns:
        Both choices, and how many places the rule gave away.
    """
    chosen, by_authors = ranking(entropies, margins)[:k], authors_ranking(entropies)[:k]
    if not len(chosen):
        return Ties(chosen, by_authors, 0, 0)
    last = entropies[chosen[-1]]
    candidates, places = int((entropies == last).sum()), int((entropies[chosen] == last).sum())
    return Ties(chosen, by_authors, places if candidates > places else 0, candidates)


@dataclass(frozen=True, eq=False)
class Appraisal:
    """Everything that Eq. 6 to 10 say about one round.

    Attributes:
        flags: Shape (n, m), which pictures are overfitted.
        usable: Shape (n, m), which pictures counted.
        shares: Shape (n,), β.
        entropies: Shape (n,), Ω.
        margins: Shape (n,).
        order: Shape (n,), the directions by `ranking`.
        best: Shape (n,), of `best_of`.
        openness: Δ.
    """

    flags: Flags
    usable: Flags
    shares: Figures
    entropies: Figures
    margins: Figures
    order: Indices
    best: Indices
    openness: float


def appraise(to_anchor: Figures, to_plain: Figures, usable: Flags, rate: float) -> Appraisal:
    """Judge all directions of a round.

    Args:
        to_anchor: Shape (n, m).
        to_plain: Shape (n, m, s).
        usable: Shape (n, m).
        rate: λ of Eq. 9.

    Returns:
        The figures of Eq. 6 to 9 and the order of the directions.
    """
    flags = overfitted(to_anchor, to_plain) & usable
    share = shares(flags, usable)
    entropy, margin = entropies(share), margins(to_anchor, to_plain, usable)
    order, best = ranking(entropy, margin), best_of(to_anchor, usable)
    return Appraisal(flags, usable, share, entropy, margin, order, best, openness(entropy, rate))

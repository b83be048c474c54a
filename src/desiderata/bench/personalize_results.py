"""Results of the personalising experiment, lined up by subject and seed, with intervals."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.bench.personalize_task import ANSWERED, COMPARATORS, METHODS, PERFECT
from desiderata.measure.intervals import Estimate, estimate

Results = Sequence[Mapping[str, Any]]
"""Cells as `bench.personalize.run_plan` returns them."""

KINDS = ("object", "style")
BASELINE = "dreambooth"
"""What all others are compared with."""

FIRST = ("txt_aln", "img_aln", "ovf")
"""Figures of the first round by which runs are told to begin alike."""

SIMULATED = "simulated by the judge"

_NAMES = {
    "dreambooth": "DreamBooth",
    "random": "Random",
    "human": f"Human ({SIMULATED})",
    "clip-feedback": "CLIP feedback",
    "uncertainty": "Uncertainty",
    "uncertainty-balance-steady": "Uncertainty + Balance, steady",
    "dreambooth-equal-steps": "DreamBooth, equal steps",
    "dreambooth-lower-rate": "DreamBooth, lower rate",
    "random-equal-weight": "Random, equal weights",
    "textual-inversion": "Textual Inversion",
    "custom-diffusion": "Custom Diffusion",
    "ip-adapter": "IP-Adapter",
    "perfect": "perfect pictures",
    "perfect-decoded": "perfect pictures, decoded",
}


def name_of(strategy: str) -> str:
    """Return a strategy's name as people read it: "Uncertainty + Balance"."""
    if strategy in ANSWERED:
        return f"{name_of(ANSWERED[strategy])}, answered as asked"
    plain = strategy.removesuffix("-balance")
    return _NAMES.get(plain, plain) + (" + Balance" if plain != strategy else "")


class Table:
    """Figures of strategies, each a matrix over cells.

    A campaign that stopped by itself stays as it was in its last round.

    Args:
        results: Cells of one variant.
        kind: "object" or "style".
    """

    def __init__(self, results: Results, kind: str) -> None:
        self._cells: dict[str, dict[tuple[str, int], Mapping[str, Any]]] = {}
        for result in results:
            if result["kind"] == kind:
                self._cells.setdefault(result["strategy"], {})[result["subject"], result["seed"]] = result
        self.kind = kind

    @property
    def strategies(self) -> list[str]:
        """Those that there are cells of, in the usual order."""
        return sorted(self._cells, key=lambda name: METHODS.index(name) if name in METHODS else len(METHODS))

    @property
    def subjects(self) -> list[str]:
        """Names of the subjects."""
        return list(dict.fromkeys(subject for cells in self._cells.values() for subject, _ in cells))

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return sorted({seed for cells in self._cells.values() for _, seed in cells})

    def rounds(self, strategy: str) -> int:
        """Return how many rounds the longest campaign of a strategy had."""
        return max(len(cell["rounds"]) for cell in self._cells[strategy].values())

    def runs(self, strategy: str, other: str | None = None) -> int:
        """Return how many runs of a strategy there are; with another, how many of them have one to compare with."""
        return len(self._both(strategy, strategy if other is None else other))

    def begun_alike(self, strategy: str, other: str) -> int:
        """Return how many of these begin as the other does, to the last digit, in their first round.

        Processors of different kinds round otherwise, so that runs of one subject and seed may part before anything
        was chosen.
        """
        both = self._both(strategy, other)
        if self._is_within(strategy, other):
            return len(both)
        firsts = [[self.values(name, figure, 0, both) for figure in FIRST] for name in (strategy, other)]
        return int((np.array(firsts[0]) == np.array(firsts[1])).all(0).sum())

    def _both(self, strategy: str, other: str) -> list[tuple[str, int]]:
        if self._is_within(strategy, other):
            return sorted(self._cells.get(strategy, ()))
        return sorted(set(self._cells.get(strategy, ())) & set(self._cells.get(other, ())))

    @staticmethod
    def _is_within(strategy: str, other: str) -> bool:
        """Return whether every run of a strategy has what it is compared with in itself, as its first round."""
        return other == BASELINE and strategy not in {*COMPARATORS, *PERFECT}

    def cells(self, strategy: str) -> list[Mapping[str, Any]]:
        """Return the cells of a strategy, by subject and seed."""
        found = self._cells.get(strategy, {})
        return [found[key] for key in sorted(found)]

    def values(
        self, strategy: str, figure: str, round: int = -1, only: Sequence[tuple[str, int]] | None = None
    ) -> NDArray[np.float64]:
        """Return a figure of every cell, in the order of subjects and seeds.

        Args:
            strategy: Which.
            figure: A key of the rounds.
            round: Counted from 0; -1 for the last.
            only: The subjects and seeds that are wanted; all by default.

        Returns:
            Shape (cells,); nan where it was not measured.
        """
        found = []
        cells = self._cells.get(strategy, {})
        for key in sorted(cells) if only is None else only:
            rounds = cells[key]["rounds"]
            value = rounds[min(round, len(rounds) - 1) if round >= 0 else -1].get(figure)
            found.append(float("nan") if value is None else float(value))
        return np.array(found)

    def estimate(self, strategy: str, figure: str, round: int = -1) -> Estimate | None:
        """Return the mean of a figure with its interval over subjects; None where nobody measured it.

        See `over_subjects`.
        """
        return over_subjects(sorted(self._cells.get(strategy, {})), self.values(strategy, figure, round))

    def change(
        self,
        strategy: str,
        figure: str,
        against: str,
        round: int = -1,
        *,
        by_subject: bool = False,
        when_stopped: bool = False,
    ) -> Estimate | None:
        """Return the relative change of a figure against another strategy, over the runs that both have.

        Args:
            strategy: Which.
            figure: A key of the rounds.
            against: The other, in its last round. DreamBooth is the first round of a strategy's own runs, which a
                run of DreamBooth on another kind of processor would not be; of comparators it is a run of its own.
            round: Of the first.
            by_subject: Whether subjects, each averaged over its seeds, count as independent, in place of runs: then
                the interval tells what other subjects would bring, and not only what other seeds would.
            when_stopped: Whether each run of the other counts as it was in the round in which the first stopped.

        Returns:
            See `relative_change`; None where there is no such pair, or the change has no meaning.
        """
        if not (both := self._both(strategy, against)):
            return None
        within = self._is_within(strategy, against)
        other = self.values(strategy, figure, 0, both) if within else self.values(against, figure, -1, both)
        values = self.values(strategy, figure, round, both), other
        if when_stopped:
            ends = [len(self._cells[strategy][run]["rounds"]) - 1 for run in both]
            then = [self.values(against, figure, end, [run]) for run, end in zip(both, ends, strict=True)]
            values = values[0], np.concatenate(then)
        if by_subject:
            values = _means(both, values[0]), _means(both, values[1])
        return relative_change(*values)

    def difference(self, other: "Table", strategy: str, figure: str) -> Estimate | None:
        """Return by how much a figure of a strategy's last round is above that in another table.

        Args:
            other: Of the same kind, with other settings.
            strategy: Which.
            figure: A key of the rounds.

        Returns:
            The mean over the runs that both have, with its interval over subjects; None where there is no such run.
        """
        both = sorted(set(self._cells.get(strategy, ())) & set(other._cells.get(strategy, ())))
        change = self.values(strategy, figure, -1, both) - other.values(strategy, figure, -1, both)
        return over_subjects(both, change)


def over_subjects(runs: Sequence[tuple[str, int]], values: NDArray[np.float64]) -> Estimate | None:
    """Estimate a mean over subjects, each averaged over its seeds.

    Runs of one subject are more alike than those of others (of DreamBooth's OVF on the experiment's objects, 0.7 of
    the variance lies between subjects), so that an interval over runs would be far too narrow.

    Args:
        runs: Subject and seed of each.
        values: Shape (runs,); those that are not finite were not measured.

    Returns:
        The mean and its interval; of one subject alone, over its seeds. None where nothing was measured.
    """
    known = np.isfinite(values)
    runs, values = [run for run, there in zip(runs, known, strict=True) if there], values[known]
    if not runs:
        return None
    return estimate(_means(runs, values) if len({subject for subject, _ in runs}) > 1 else values)


def _means(runs: Sequence[tuple[str, int]], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each subject."""
    owners = np.array([subject for subject, _ in runs])
    return np.array([values[owners == name].mean() for name in dict.fromkeys(owners)])


def relative_change(a: NDArray[np.float64], b: NDArray[np.float64]) -> Estimate | None:
    """Estimate by which share the mean of `a` lies above that of `b`.

    Args:
        a: Shape (n,).
        b: Shape (n,), of the same subjects and seeds.

    Returns:
        The ratio of the means less 1, as the paper's percentages are, with the interval of its linearisation in both
        means (the delta method), so that what a subject or a seed does to both cancels. Without an interval where
        all of `a` is 0 or that of the mean of `b` reaches 0, where linearising does not hold. None where a value is
        missing, or the mean of `b` is less than two standard errors above 0: a share of hardly anything says nothing.
    """
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    deviation = b.std(ddof=1) / np.sqrt(len(b)) if len(b) > 1 else 0.0
    if not b.mean() > 2 * deviation:
        return None
    ratio = a.mean() / b.mean()
    change = estimate(ratio - 1 + (a - ratio * b) / b.mean())
    if not a.any() or estimate(b).low <= 0:
        return Estimate(change.mean, float("nan"), float("nan"), change.n)
    return change


def by_variant(results: Results) -> dict[str, list[Mapping[str, Any]]]:
    """Return the cells of every variant."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        found.setdefault(result.get("variant", ""), []).append(result)
    return found


def raw_csv(results: Results) -> str:
    """Return every round of every cell: variant, strategy, subject, kind, seed, round from 1 on, and its figures."""
    figures = list(dict.fromkeys(name for result in results for row in result["rounds"] for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["variant", "strategy", "subject", "kind", "seed", "round", *figures])
    for result, number, row in _rows(results):
        about = [result.get("variant", ""), *(result[key] for key in ("strategy", "subject", "kind", "seed"))]
        writer.writerow([*about, number, *(_plain(row.get(figure)) for figure in figures)])
    return text.getvalue()


def _rows(results: Results) -> Iterator[tuple[Mapping[str, Any], int, Mapping[str, Any]]]:
    for result in results:
        for number, row in enumerate(result["rounds"], start=1):
            yield result, number, row


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

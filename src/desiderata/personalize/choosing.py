"""What all strategies share that let a generator learn from its own pictures."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isfinite

import numpy as np

from desiderata.campaign.records import Proposal
from desiderata.errors import DesiderataError
from desiderata.personalize.candidates import Candidates
from desiderata.personalize.selection import Direction, Selection
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.uncertainty import Appraisal, appraise, authors_ranking, finished, what_ties_decide

Pick = tuple[int, int | None]
"""A row of the candidates and one of its pictures; None leaves the picture to a person."""

TOP_K = 3
SAMPLES = 10
RATE = 0.005
"""k, m and λ as published (GAL, section 4)."""

ALL_LEARNT = "Every direction has been learnt from, or was skipped."
ALL_BLANKED = "The safety checker blacked out every picture that could have been chosen."


class Choosing(ABC):
    """Draws pictures for every direction that is left, judges them, and chooses some to learn from.

    Args:
        k: Directions learnt from in a round.
        samples: m, pictures drawn for each direction.
        rate: λ of Eq. 9.
        balance: Whether pictures count by the round's openness (Eq. 9) instead of 1.
        placeholder: Whether pictures are compared with the anchor prompt as it was asked, placeholder included, which
            is what the authors do. Without it they are compared with both kinds of prompt alike.

    Raises:
        DesiderataError: A number is out of range.
    """

    name = ""

    def __init__(
        self,
        *,
        k: int = TOP_K,
        samples: int = SAMPLES,
        rate: float = RATE,
        balance: bool = False,
        placeholder: bool = True,
    ) -> None:
        check_count("k", k)
        check_count("samples", samples)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not isfinite(rate) or rate < 0:
            raise DesiderataError(f"rate is {rate!r}, but must be a number of at least 0: try {RATE}.")
        self.k, self.samples, self.rate, self.balance, self.placeholder = k, samples, rate, balance, placeholder
        self.name = type(self).name + "-balance" * balance

    @property
    def drawn(self) -> int:
        """How many pictures are drawn for each direction."""
        return self.samples

    def propose(self, state: PersonalizeState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal for each direction chosen, none when there is nothing more to learn."""
        if not state.anchors:
            state.note(Selection(state.round, self.name, self.k, stopped=ALL_LEARNT))
            return []
        if ended := self.ends(state):
            state.note(Selection(state.round, self.name, self.k, stopped=ended))
            return []
        candidates = state.candidates(self.drawn)
        found = appraise(candidates.to_anchor(self.placeholder), candidates.to_plain(), candidates.usable, self.rate)
        stopped = self.stops(state, found) if found.usable.any() else ALL_BLANKED
        weights = [] if stopped else self.weights(state.round, found)
        picks = self.choose(candidates, found, rng)[: len(weights)]
        stopped = stopped or ("" if picks else ALL_BLANKED)
        weight = weights[0] if picks else 0.0
        state.note(self._selection(state, candidates, found, picks, weight, stopped))
        return [
            Proposal(
                state.subject.word,
                candidates.anchors[row].prompt,
                evidence=self._evidence(candidates, found, row, candidate),
                weight=weight,
            )
            for (row, candidate), weight in zip(picks, weights)
        ]

    # What a strategy says for itself

    def ends(self, state: PersonalizeState) -> str:
        """Return why nothing is to be drawn any more; empty to go on."""
        return ""

    def stops(self, state: PersonalizeState, found: Appraisal) -> str:
        """Return why nothing is to be asked any more; empty to go on."""
        return ""

    def weights(self, round: int, found: Appraisal) -> list[float]:
        """Return how much each picture counts, and by its length how many may be chosen."""
        return [found.openness if self.balance else 1.0] * self.k

    @abstractmethod
    def choose(self, candidates: Candidates, found: Appraisal, rng: np.random.Generator) -> list[Pick]:
        """Return directions and their pictures, the most wanted first; as many are taken as there are weights."""

    # What is recorded

    def _evidence(
        self, candidates: Candidates, found: Appraisal, row: int, candidate: int | None
    ) -> dict[str, float]:
        shown = int(found.best[row]) if candidate is None else candidate
        figures = {
            "anchor": candidates.anchors[row].index,
            "similarity": candidates.to_anchor(self.placeholder)[row, shown],
            "candidates": int(candidates.usable[row].sum()),
            "blanked": int((~candidates.usable[row]).sum()),
            "blanked_in_round": candidates.blanked,
        }
        if candidate is not None:
            figures["candidate"] = candidate
            figures["overfitted"] = found.flags[row, candidate]
        if self.drawn > 1:  # of one picture there is no share
            figures |= {
                "entropy": found.entropies[row],
                "overfitted_share": found.shares[row],
                "margin": found.margins[row],
                "rank": found.order.tolist().index(row) + 1,
                "authors_rank": authors_ranking(found.entropies).tolist().index(row) + 1,
                "mean_entropy": found.entropies.mean(),
                "openness": found.openness,
                "undecided_directions": int((found.entropies > 0).sum()),
            }
        return {name: float(value) for name, value in figures.items()}

    def _selection(
        self,
        state: PersonalizeState,
        candidates: Candidates,
        found: Appraisal,
        picks: Sequence[Pick],
        weight: float,
        stopped: str,
    ) -> Selection:
        ranks, authors = (
            np.argsort(order).tolist() for order in (found.order, authors_ranking(found.entropies))
        )  # the place of each row
        nearest = np.where(candidates.usable, candidates.to_anchor(self.placeholder), -np.inf).max(1)
        picked = dict(picks)
        ties = what_ties_decide(found.entropies, found.margins, self.k)
        return Selection(
            round=state.round,
            strategy=self.name,
            k=self.k,
            openness=found.openness if self.drawn > 1 else None,
            weight=weight,
            blanked=candidates.blanked,
            stopped=stopped,
            tie_places=ties.decided,
            tie_changed=ties.changed,
            directions=[
                Direction(
                    prompt=anchor.prompt,
                    share=float(found.shares[row]),
                    entropy=float(found.entropies[row]),
                    margin=float(found.margins[row]),
                    usable=int(candidates.usable[row].sum()),
                    best=int(found.best[row]),
                    similarity=float(nearest[row]) if found.best[row] >= 0 else 0.0,
                    rank=ranks[row] + 1,
                    authors_rank=authors[row] + 1,
                    picked=picked.get(row),
                    asked=row in picked,
                )
                for row, anchor in enumerate(candidates.anchors)
            ],
        )


def by_entropy(found: Appraisal, k: int) -> str:
    """Return why to stop by Eq. 10, empty to go on."""
    if not finished(found.entropies, k):
        return ""
    undecided = int((found.entropies > 0).sum())
    about = f"about {undecided} of {len(found.entropies)} sentences" if undecided else "about no sentence"
    seen = found.usable.any(1)
    asked, copied = (int(((found.shares == share) & seen).sum()) for share in (0, 1))
    blanked = int((~found.usable).sum())
    left_out = f" The safety checker blacked out {blanked} of {found.usable.size} pictures, which count nowhere."
    return (
        f"It is undecided {about} whether to draw what is asked or what surrounds the references, draws {asked} "
        f"as asked and {copied} as in the references, and a round learns from {k} (GAL, Eq. 10)."
    ) + left_out * bool(blanked)


def check_count(name: str, value: object) -> None:
    """Refuse what is no whole number of at least 1.

    Raises:
        DesiderataError: It is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise DesiderataError(f"{name} is {value!r}, but must be a whole number of at least 1: correct it.")

"""Controls: what numbers, weights and steps bring without anything being chosen."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from desiderata.campaign.records import Proposal
from desiderata.errors import DesiderataError
from desiderata.personalize.candidates import Candidates
from desiderata.personalize.choosing import TOP_K, Choosing, Pick, by_entropy, check_count
from desiderata.personalize.selection import Selection
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.uncertainty import Appraisal

FOLLOWED = "The run that is followed stopped here."


class DreamBooth:
    """Learns from the references alone and asks for nothing: the first round of every strategy, and the last."""

    name = "dreambooth"

    def propose(self, state: PersonalizeState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return nothing."""
        state.note(Selection(state.round, self.name, stopped="It learns from the references alone."))
        return []


class DreamBoothEqualSteps:
    """Learns from the references alone, as often as an uncertainty-balance run draws them.

    The pictures that such a run adds weigh next to nothing, but take the place of references: with 5 references and 9
    added pictures hardly more than a third of what is drawn has full weight. Here as many pictures of no weight take
    that place, and a step in which nothing has any weight is not taken at all: in batches of one this is DreamBooth,
    with the same order of pictures, for as many steps as that run has of full weight. Where class pictures have a
    weight of their own (`Recipe.prior` "full"), every step has some, and all are taken. Nothing is asked; every round
    records its number of additions and answers itself.

    Args:
        k: Pictures that each round of such a run adds.
        additions: How many pictures a run that is followed had added by each round (`answers.additions_of` tells);
            by default k more in every round, without end.

    Raises:
        DesiderataError: A number is out of range.
    """

    name = "dreambooth-equal-steps"

    def __init__(self, *, k: int = TOP_K, additions: Sequence[int] | None = None) -> None:
        check_count("k", k)
        for number in additions or ():
            check_count("additions", number)
        self.k, self.additions = k, additions

    def propose(self, state: PersonalizeState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal that answers itself with the references' mean, and names the additions of no weight."""
        if self.additions is not None and state.round > len(self.additions):
            state.note(Selection(state.round, self.name, stopped=FOLLOWED))
            return []
        added = self.k * state.round if self.additions is None else self.additions[state.round - 1]
        state.note(Selection(state.round, self.name, weight=0.0))
        return [Proposal(state.subject.word, "", state.centre, {"additions": float(added)}, weight=0.0)]


class RandomEqualWeight(Choosing):
    """As many pictures as uncertainty with balance would add, with the same weights, chosen at random.

    Args:
        weights: What a run that is followed gave its pictures, round by round (`answers.weights_of` tells). By
            default what uncertainty with balance would give here: the openness for k pictures, until Eq. 10.
        **common: See `Choosing`.

    Raises:
        DesiderataError: A weight is out of range.
    """

    name = "random-equal-weight"

    def __init__(self, *, weights: Sequence[Sequence[float]] | None = None, **common: Any) -> None:
        super().__init__(**common)
        for weight in [weight for row in weights or () for weight in row]:
            if not isinstance(weight, int | float) or not isfinite(weight) or weight < 0:
                raise DesiderataError(f"weights has {weight!r}, where a number of at least 0 belongs: correct it.")
        self.followed = weights

    def stops(self, state: PersonalizeState, found: Appraisal) -> str:
        """Return why to stop: the run that is followed did, or Eq. 10 says so."""
        if self.followed is None:
            return by_entropy(found, self.k)
        return FOLLOWED if state.round > len(self.followed) else ""

    def weights(self, round: int, found: Appraisal) -> list[float]:
        """Return the weights of the run that is followed, or the openness."""
        return [found.openness] * self.k if self.followed is None else [float(w) for w in self.followed[round - 1]]

    def choose(self, candidates: Candidates, found: Appraisal, rng: np.random.Generator) -> list[Pick]:
        """Return directions at random, with a random picture of each."""
        rows = [row for row in rng.permutation(len(candidates.anchors)).tolist() if found.best[row] >= 0]
        return [(row, int(rng.choice(np.flatnonzero(candidates.usable[row])))) for row in rows]

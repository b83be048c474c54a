"""DreamBooth at a lower and lower learning rate, until GAL's test finds next to nothing overfitted."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from desiderata.campaign.records import Proposal
from desiderata.errors import DesiderataError
from desiderata.personalize.choosing import Choosing
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.uncertainty import appraise

PACE = 0.5
"""What the learning rate is multiplied by from round to round."""


class LowerRate(Choosing):
    """Learns from the references alone, each round at a lower learning rate, while k directions or more overfit.

    How much DreamBooth overfits is first of all a matter of its learning rate (`results/personalize-recipes`). So
    GAL's test (Eq. 8) chooses the rate here instead of pictures: some are drawn for every anchor, and where fewer
    than k directions have an overfitted one, it stops. Unlike the entropies of Eq. 10 this does not take a direction
    whose pictures are all overfitted for one that is learnt.

    Nothing of its own is learnt from; every round records its rate and answers itself.

    Args:
        pace: What the learning rate is multiplied by in each round, more than 0 and less than 1.
        **common: See `Choosing`; weights mean nothing here.

    Raises:
        DesiderataError: A number is out of range.
    """

    name = "dreambooth-lower-rate"

    def __init__(self, *, pace: float = PACE, **common: Any) -> None:
        super().__init__(**common)
        if isinstance(pace, bool) or not isinstance(pace, int | float) or not isfinite(pace) or not 0 < pace < 1:
            raise DesiderataError(f"pace is {pace!r}, but must be a number between 0 and 1: try {PACE}.")
        self.pace = pace

    def propose(self, state: PersonalizeState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal that answers itself with the references' mean, and names the next round's rate."""
        candidates = state.candidates(self.drawn)
        found = appraise(candidates.to_anchor(self.placeholder), candidates.to_plain(), candidates.usable, self.rate)
        overfitting, directions = int((found.shares > 0).sum()), len(found.shares)
        stopped = (
            ""
            if overfitting >= self.k
            else f"Of the pictures of {overfitting} of {directions} sentences some show what surrounds the "
            f"references, fewer than the {self.k} that call for a lower learning rate."
        )
        state.note(self._selection(state, candidates, found, [], 0.0, stopped))
        if stopped:
            return []
        evidence = {
            "pace": self.pace**state.round,
            "overfitting_directions": float(overfitting),
            "mean_entropy": float(found.entropies.mean()),
            "openness": found.openness,
        }
        return [Proposal(state.subject.word, "", state.centre, evidence, weight=0.0)]

"""DreamBooth at a lower and lower learning rate, until GAL's test finds few pictures overfitted."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from desiderata.campaign.records import Proposal
from desiderata.errors import DesiderataError
from desiderata.personalize.candidates import Candidates
from desiderata.personalize.choosing import ALL_BLANKED, Choosing, Pick
from desiderata.personalize.selection import Selection
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.uncertainty import Appraisal, appraise

PACE = 0.5
"""What the learning rate is multiplied by from round to round."""

SHARE = 0.2
"""Overfitted share of all pictures at which a rate is low enough; chosen on two development objects."""


NOTHING_LEFT = "No sentence is left by which the learning rate could be judged."


class LowerRate(Choosing):
    """Learns from the references alone, each round at a lower learning rate, while too many pictures are overfitted.

    How much DreamBooth overfits is first of all a matter of its learning rate (`results/personalize-recipes`). So
    GAL's test (Eq. 8) chooses the rate here instead of pictures: some are drawn for every anchor, and it stops where
    few of them are overfitted. Unlike the entropies of Eq. 10 this does not take a direction whose pictures are all
    overfitted for one that is learnt.

    Nothing of its own is learnt from; every round records its rate and answers itself. A run that was branched from
    one at a lower rate goes on from that.

    Args:
        pace: What the learning rate is multiplied by in each round, more than 0 and less than 1.
        share: It stops at this mean of the overfitted shares (β of Eq. 7) of all directions, 0 to less than 1. One
            of which every picture was blacked out counts nowhere.
        **common: See `Choosing`; weights mean nothing here.

    Raises:
        DesiderataError: A number is out of range.
    """

    name = "dreambooth-lower-rate"

    def __init__(self, *, pace: float = PACE, share: float = SHARE, **common: Any) -> None:
        super().__init__(**common)
        if not _is_number(pace) or not 0 < pace < 1:
            raise DesiderataError(f"pace is {pace!r}, but must be a number between 0 and 1: try {PACE}.")
        if not _is_number(share) or not 0 <= share < 1:
            raise DesiderataError(f"share is {share!r}, but must be a number from 0 to below 1: try {SHARE}.")
        self.pace, self.share = pace, share

    def propose(self, state: PersonalizeState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal that answers itself with the references' mean, and names the next round's rate."""
        if not state.anchors:
            state.note(Selection(state.round, self.name, self.k, stopped=NOTHING_LEFT))
            return []
        candidates = state.candidates(self.drawn)
        found = appraise(candidates.to_anchor(self.placeholder), candidates.to_plain(), candidates.usable, self.rate)
        seen = candidates.usable.any(1)
        share = float(found.shares[seen].mean()) if seen.any() else 0.0
        low = (
            f"{share:.0%} of the pictures drawn to judge the rate by show what surrounds the references instead of "
            f"what is asked, and at {self.share:.0%} the learning rate is low enough."
        )
        stopped = "" if share > self.share else low if seen.any() else ALL_BLANKED
        state.note(self._selection(state, candidates, found, self.choose(candidates, found, rng), 0.0, stopped))
        if stopped:
            return []
        before = sum("pace" in one.query.proposal.evidence for one in state.exchanges)  # rounds of others left out
        evidence = {
            "pace": self.pace ** (before + 1),
            "mean_share": share,
            "mean_entropy": float(found.entropies.mean()),
            "openness": found.openness,
        }
        return [Proposal(state.subject.word, "", state.centre, evidence, weight=0.0)]

    def choose(self, candidates: Candidates, found: Appraisal, rng: np.random.Generator) -> list[Pick]:
        """Return nothing: no picture of its own is learnt from."""
        return []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)

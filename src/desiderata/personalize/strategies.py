"""Which of its own pictures a generator learns from next: every strategy of the personalize half, by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from desiderata.campaign.records import Strategy
from desiderata.errors import DesiderataError, cannot_be_made
from desiderata.personalize.candidates import Candidates
from desiderata.personalize.choosing import Choosing, Pick, by_entropy
from desiderata.personalize.controls import DreamBooth, DreamBoothEqualSteps, RandomEqualWeight
from desiderata.personalize.pacing import LowerRate
from desiderata.personalize.selection import NONE_PICKED
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.uncertainty import Appraisal


class Random(Choosing):
    """Directions at random, and of each the first picture.

    Without balance one picture is drawn for every direction, as in the authors' code. With balance that code would
    give every picture the weight 0, since the entropy of one picture is 0; here m are drawn to measure the openness,
    and the first of them, which is the same picture, is learnt from. It does not stop by itself.
    """

    name = "random"

    @property
    def drawn(self) -> int:
        """How many pictures are drawn for each direction."""
        return self.samples if self.balance else 1

    def choose(self, candidates: Candidates, found: Appraisal, rng: np.random.Generator) -> list[Pick]:
        """Return directions in random order, those left out whose first picture was blacked out."""
        rows = rng.permutation(len(candidates.anchors)).tolist()
        return [(row, 0) for row in rows if candidates.usable[row, 0]]


class Human(Choosing):
    """A person looks at all pictures of all directions and picks some.

    Every direction becomes a query. `answers.pick` takes the pictures that were picked, k at most, and skips the
    other queries; a round in which none was picked is the last.
    """

    name = "human"

    def ends(self, state: PersonalizeState) -> str:
        """Return that nothing was picked in the round before, if so."""
        asked = [one.query for one in state.exchanges if one.query.round == state.round - 1]
        before = [query.status for query in asked if "candidate" not in query.proposal.evidence]
        return "" if not before or "answered" in before else NONE_PICKED

    def weights(self, round: int, found: Appraisal) -> list[float]:
        """Return the same weight for every direction."""
        return super().weights(round, found)[:1] * len(found.best)

    def choose(self, candidates: Candidates, found: Appraisal, rng: np.random.Generator) -> list[Pick]:
        """Return every direction that has pictures to choose from, in the order of the pool."""
        return [(row, None) for row in np.flatnonzero(found.best >= 0).tolist()]


class ClipFeedback(Choosing):
    """The directions whose best picture CLIP finds nearest to its prompt, after StyleDrop (Sohn et al., 2023).

    One picture of each direction at most, so that directions leave the pool as with every other strategy.
    """

    name = "clip-feedback"

    def choose(self, candidates: Candidates, found: Appraisal, rng: np.random.Generator) -> list[Pick]:
        """Return directions with their best pictures, the best of all first."""
        nearest = np.where(candidates.usable, candidates.to_anchor(self.placeholder), -np.inf).max(1)
        rows = np.argsort(-nearest, kind="stable").tolist()
        return [(row, int(found.best[row])) for row in rows if found.best[row] >= 0]


class Uncertainty(Choosing):
    """The directions whose pictures are most undecided between anchor and references (GAL, section 3.2).

    Among equal entropies `uncertainty.ranking` decides. It stops when fewer than k directions are undecided (Eq. 10).
    """

    name = "uncertainty"

    def stops(self, state: PersonalizeState, found: Appraisal) -> str:
        """Return why to stop by Eq. 10."""
        return by_entropy(found, self.k)

    def choose(self, candidates: Candidates, found: Appraisal, rng: np.random.Generator) -> list[Pick]:
        """Return directions with their best pictures, the most undecided first."""
        return [(row, int(found.best[row])) for row in found.order.tolist() if found.best[row] >= 0]


class Steady(Uncertainty):
    """Uncertainty with balance, at a learning rate at which what is added makes no step longer.

    Pictures of weight 0.001 teach nothing themselves, but thin out the squared gradients by which AdamW divides, so
    that references are learnt in fewer steps, each of them longer (docs/architecture.md). Here the rate is lowered by
    as much: see `Teacher.steady_pace`.

    Args:
        **common: See `Choosing`; `balance` is always on.
    """

    name = "uncertainty-balance-steady"

    def __init__(self, **common: Any) -> None:
        super().__init__(balance=True, **common)
        self.name = type(self).name

    def _evidence(
        self, candidates: Candidates, found: Appraisal, row: int, candidate: int | None
    ) -> dict[str, float]:
        return super()._evidence(candidates, found, row, candidate) | {"steady": 1.0}


STRATEGIES: dict[str, Callable[..., Strategy[PersonalizeState]]] = {
    "dreambooth": DreamBooth,
    "random": Random,
    "human": Human,
    "clip-feedback": ClipFeedback,
    "uncertainty": Uncertainty,
    **{f"{kind.name}-balance": partial(kind, balance=True) for kind in (Random, Human, ClipFeedback, Uncertainty)},
    Steady.name: Steady,
    "random-equal-weight": RandomEqualWeight,
    "dreambooth-equal-steps": DreamBoothEqualSteps,
    "dreambooth-lower-rate": LowerRate,
}
"""All strategies by the name that the command line knows them by."""


def make_strategy(name: str, **parameters: Any) -> Strategy[PersonalizeState]:
    """Make a strategy by its name.

    Args:
        name: A key of `STRATEGIES`.
        **parameters: Of that strategy; see its class.

    Returns:
        The strategy.

    Raises:
        DesiderataError: There is none of that name, or it has no such parameter.
    """
    if name not in STRATEGIES:
        raise DesiderataError(f"No strategy is called {name!r}; choose from {', '.join(STRATEGIES)}.")
    try:
        return STRATEGIES[name](**parameters)
    except TypeError as error:
        raise DesiderataError(cannot_be_made(f"The strategy {name}", error)) from None

"""A campaign's learner and strategy: built when first needed, and put where a round left them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign import holding, recall
from desiderata.campaign.config import Config, build
from desiderata.campaign.known import Known
from desiderata.campaign.learner import Learner
from desiderata.campaign.recorded import StoreError, weights_name
from desiderata.campaign.records import Strategy
from desiderata.campaign.store import Store
from desiderata.errors import Damaged, DesiderataError
from desiderata.randomness import stream

UNFINISHED = -2
"""Where a learner stands that was fitted on a round that is not closed."""


class Standing(Known):
    """What a campaign has on record, and who learns and asks in it.

    Attributes:
        config: Names the parts.
    """

    def __init__(self, store: Store, config: Config, learner: Learner[Any] | None, strategy: Strategy[Any] | None):
        super().__init__(store)
        self.config = config
        self._parts = (learner, strategy) if learner and strategy else None
        self._checked = False
        self._at: int | None = None  # the round that the learner's weights belong to, `UNFINISHED` after `fit`

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path or 'in memory'}, {self.config.half}>"

    @property
    def learner(self) -> Learner[Any]:
        """What learns, where the last closed round left it unless `fit` or `learner_at` moved it since."""
        return self._learner_at(self._closed() if self._at is None else self._at)

    @property
    def strategy(self) -> Strategy[Any]:
        """What decides on the queries."""
        return self._built()[1]

    def learner_at(self, number: int) -> Learner[Any]:
        """Return the learner, put where the closed round `number` left it. Asking moves it on again.

        Raises:
            DesiderataError: That round is not closed.
        """
        if not 0 <= number <= self._closed():
            raise DesiderataError(f"Round {number} is not closed: the last closed one is {self._closed()}.")
        return self._learner_at(number)

    def _closed(self) -> int:
        return self.store.last_round()

    def _stream(self, *key: int | str) -> np.random.Generator:
        return stream(self.config.seed, *key)

    def _vectors(self) -> dict[str, NDArray[np.float64]]:
        return self.store.features(self.store.fact("embedding"))

    def _vectors_of(self, said: recall.Said) -> dict[str, NDArray[np.float64]]:
        """Return embeddings with those of an unfinished round's answers, which are kept when it is closed."""
        known = self._vectors()
        if new := recall.unembedded(said, known):
            return known | recall.embed(self.store, self._built()[0], new)
        return known

    def _dim(self) -> int | None:
        known = self.store.probe()
        return None if known is None else known.size

    def _built(self) -> tuple[Learner[Any], Strategy[Any]]:
        if self._parts is None:
            self._parts = build(self.config, self.store)
        if not self._checked:
            holding.check_learner(self.store, self._parts[0])
            holding.hold(self._parts[0], self)
            self._checked = True
        return self._parts

    def _learner_at(self, number: int) -> Learner[Any]:
        learner = self._built()[0]
        if not holding.hold(learner, self):  # another object of this run has moved it since
            self._at = None
            number = self._closed() if number == UNFINISHED else number
        if number not in {self._at, UNFINISHED} and number >= 0:
            said = recall.Said.of(self.store, number)
            weights, examples = self.store.weights(number), recall.examples(self.store, said, self._vectors())
            try:
                learner.load(weights, examples)
            except Damaged as error:
                raise StoreError(
                    f"The weights of round {number} in the run at {self.path} are damaged: put "
                    f"{weights_name(number)} back from a copy, or use another round. To go on, those of the last "
                    "round are needed."
                ) from error
            self._at = number
        return learner

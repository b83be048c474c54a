"""What each answer was worth on its own, measured by learning it alone."""

import copy
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Exchange
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.learner import CollectLearner
from desiderata.collect.state import CollectState


def realised_gains(campaign: Campaign, progress: Callable[[int, int], None] | None = None) -> dict[str, float]:
    """Measure by how much the validation loss fell through each answer.

    The head of the round before is fitted on from where it stands to all it knew then and this one answer; so the
    figure is what `predicted_gain` predicts, and not the share of an answer in the fall over a whole round, which
    nobody could single out.

    Args:
        campaign: A collecting campaign. Its learner is left where the last closed round left it.
        progress: Called with the number of rounds done and of all rounds; a round of ten takes seconds.

    Returns:
        Falls of the mean cross-entropy in nats, above 0 where the answer helped, by the id of the query. Queries
        without an answer are left out, and so are those of a round that is not closed.
    """
    exchanges, gains = campaign.exchanges(), {}
    weights: dict[str, list[float]] = {}
    for answer in campaign.answers:
        weights.setdefault(answer.query_id, []).append(answer.weight)
    last = campaign.rounds[-1].number if campaign.rounds else 0
    for number in range(1, last + 1):
        answered = [one for one in exchanges if one.query.round == number and len(one.labels)]
        if answered:
            learner = campaign.learner_at(number - 1)
            if not isinstance(learner, CollectLearner):
                return {}
            gains |= _of_round(learner.state([], number), answered, weights)
        if progress:
            progress(number, last)
    campaign.learner_at(last)
    return gains


def _of_round(state: CollectState, answered: Sequence[Exchange], weights: dict[str, list[float]]) -> dict[str, float]:
    before, gains = _loss(state.head, state), {}
    for exchange in answered:
        head = copy.deepcopy(state.head).set_params(warm_start=True)
        with warnings.catch_warnings():
            # A fit that stops early was no worse when the campaign made it, and said so then.
            warnings.simplefilter("ignore", ConvergenceWarning)
            head.fit(
                np.vstack([state.features, exchange.features]),
                np.concatenate([state.labels, exchange.labels]),
                np.concatenate([state.weights, weights[exchange.query.id]]),
                classes=np.arange(len(state.classes)),
            )
        gains[exchange.query.id] = before - _loss(head, state)
    return gains


def _loss(head: HeadClassifier, state: CollectState) -> float:
    likelihood: NDArray[np.float64] = head.predict_proba(state.validation_features)
    given = likelihood[np.arange(len(state.validation_labels)), state.validation_labels]
    return float(-np.log(np.maximum(given, 1e-12)).mean())

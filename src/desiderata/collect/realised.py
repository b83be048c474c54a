"""What each answer was worth on its own, measured by learning it alone."""

import copy
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Exchange
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.learner import CollectLearner, mean_loss
from desiderata.collect.lookahead import predicted_gain_proximal


@dataclass(frozen=True, slots=True)
class Worth:
    """What learning one answer, and nothing else of its round, did. Above 0 where it helped.

    Attributes:
        validation: Fall of the mean cross-entropy on the validation examples, in nats.
        test: The same on the test examples; None without any.
        foreseen: The first of these as `predicted_gain_proximal` foresees it from what came, not from the sentence;
            summed where several pictures came.
    """

    validation: float
    test: float | None
    foreseen: float


def realised_gains(
    campaign: Campaign,
    progress: Callable[[int, int], None] | None = None,
    rounds: Container[int] | None = None,
) -> dict[str, Worth]:
    """Measure by how much the loss fell through each answer.

    The head of the round before is fitted on from where it stands to all it knew then and this one answer; so the
    figure is what `predicted_gain` predicts, and not the share of an answer in the fall over a whole round, which
    nobody could single out.

    Args:
        campaign: A collecting campaign. Its learner is left where the last closed round left it.
        progress: Called with the number of rounds done and of all rounds; a round of ten takes seconds.
        rounds: Numbers of the rounds to look at; None for all.

    Returns:
        Worths by the id of the query. Queries without an answer are left out, and so are those of a round that is
        not closed.
    """
    exchanges, gains = campaign.exchanges(), {}
    weights: dict[str, list[float]] = {}
    for answer in campaign.answers:
        weights.setdefault(answer.query_id, []).append(answer.weight)
    last = campaign.rounds[-1].number if campaign.rounds else 0
    for number in range(1, last + 1):
        answered = [one for one in exchanges if one.query.round == number and len(one.labels)]
        if answered and (rounds is None or number in rounds):
            learner = campaign.learner_at(number - 1)
            if not isinstance(learner, CollectLearner):
                return {}
            gains |= _of_round(learner, answered, weights)
        if progress:
            progress(number, last)
    campaign.learner_at(last)
    return gains


def _of_round(
    learner: CollectLearner, answered: Sequence[Exchange], weights: Mapping[str, list[float]]
) -> dict[str, Worth]:
    validation, test = learner.validation, learner.test
    before = mean_loss(learner.head, validation)
    before_test = 0.0 if test is None else mean_loss(learner.head, test)
    foreseen = iter(_foreseen(learner, answered))
    worths = {}
    for exchange in answered:
        head = _learnt(learner, exchange, weights[exchange.query.id])
        worths[exchange.query.id] = Worth(
            before - mean_loss(head, validation),
            None if test is None else before_test - mean_loss(head, test),
            sum(next(foreseen) for _ in exchange.labels),
        )
    return worths


def _learnt(learner: CollectLearner, exchange: Exchange, weights: Sequence[float]) -> HeadClassifier:
    head = copy.deepcopy(learner.head).set_params(warm_start=True)
    with warnings.catch_warnings():
        # A fit that stops early was no worse when the campaign made it, and said so then.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return head.fit(
            np.vstack([learner.features, exchange.features]),
            np.concatenate([learner.labels, exchange.labels]),
            np.concatenate([learner.weights, weights]),
            classes=np.arange(len(learner.classes)),
        )


def _foreseen(learner: CollectLearner, answered: Sequence[Exchange]) -> list[float]:
    return predicted_gain_proximal(
        learner.head,
        learner.features,
        learner.labels,
        learner.validation.features,
        learner.validation.labels,
        np.vstack([exchange.features for exchange in answered]),
        np.concatenate([exchange.labels for exchange in answered]),
        sample_weight=learner.weights,
    ).tolist()

"""A campaign, told as a report: what was asked, what came, and what it was worth."""

import copy
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.config import Config
from desiderata.campaign.images import read_image
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Answer, Exchange, Query
from desiderata.collect.learner import CollectLearner, mean_loss
from desiderata.describe.template import described
from desiderata.errors import DesiderataError
from desiderata.report import Asked, Confusion, Curve, FeatureMap, Report
from desiderata.report.layout import Points, feature_map

PICTURE_SIDE = 256
MOST_REFITS = 600
"""Beyond so many queries the gains realised are left out: each needs a refit."""


def account_of(campaign: Campaign, title: str = "") -> Report:
    """Return the report of a collecting campaign.

    Args:
        campaign: With at least one closed round.
        title: The name of the run's directory by default.

    Returns:
        The report. Accuracy is that on the test pictures, or, where there are none, on the validation pictures.

    Raises:
        DesiderataError: The campaign does not collect for a classifier.
    """
    learner = campaign.learner
    if not isinstance(learner, CollectLearner):
        raise DesiderataError("Only campaigns that collect pictures for a classifier have a report as yet.")
    part, measured = ("validation", learner.validation) if learner.test is None else ("test", learner.test)
    rounds = campaign.rounds
    method = campaign.strategy.name
    curve = Curve(
        method,
        np.array([one.examples for one in rounds], dtype=np.int64),
        np.array([[one.metrics[f"{part}_accuracy"] for one in rounds]]),
    )
    before = _at(campaign, 0).confusion(part)
    after = _at(campaign, rounds[-1].number).confusion(part)
    tools = getattr(campaign.strategy, "tools", None)
    notes = []
    if part == "validation":
        notes.append(
            "Accuracy is that on the validation pictures, which the queries were chosen on: a test set is lacking."
        )
    decided = campaign.exchanges()
    gains: dict[str, float] = {}
    if len(decided) <= MOST_REFITS:
        gains = realised_gains(campaign)
    else:
        notes.append(f"Realised gains are left out: {len(decided)} queries would need as many refits.")
    return Report(
        title=title or (campaign.path.name if campaign.path else method),
        curves=[curve],
        asked=_asked(campaign, gains),
        confusion=Confusion(learner.classes, before, after),
        feature_map=_map(campaign, learner, decided, tools),
        reproduce=_reproduce(campaign),
        zero_shot=None
        if tools is None
        else float(np.mean((measured.features @ tools.class_names.T).argmax(1) == measured.labels)),
        test_examples=len(measured),
        notes=notes,
    )


def realised_gains(campaign: Campaign) -> dict[str, float]:
    """Return by how much each query's answer alone made the validation loss fall, by the id of the query.

    The head of the round before is refitted with that one answer added, starting from its own weights; the loss is
    the mean cross-entropy in nats, as in `predicted_gain`. The learner is left where the last round left it.
    """
    gains: dict[str, float] = {}
    last = campaign.rounds[-1].number
    for exchange in campaign.exchanges():
        query = exchange.query
        if query.round > last or not len(exchange.labels):
            continue
        learner = _at(campaign, query.round - 1)
        head = copy.copy(learner.head)
        head.set_params(warm_start=True)
        head.fit(
            np.vstack([learner.features, exchange.features]),
            np.concatenate([learner.labels, exchange.labels]),
            np.concatenate([learner.weights, np.full(len(exchange.labels), query.proposal.weight)]),
            classes=np.arange(len(learner.classes)),
        )
        gains[query.id] = mean_loss(learner.head, learner.validation) - mean_loss(head, learner.validation)
    _at(campaign, last)
    return gains


def _at(campaign: Campaign, number: int) -> CollectLearner:
    learner: Any = campaign.learner_at(number)
    return learner


def _asked(campaign: Campaign, gains: dict[str, float]) -> list[Asked]:
    brought: dict[str, list[Answer]] = {}
    for answer in campaign.answers:
        if answer.image:
            brought.setdefault(answer.query_id, []).append(answer)
    return [_one(campaign, query, brought.get(query.id, []), gains.get(query.id)) for query in campaign.queries]


def _one(campaign: Campaign, query: Query, answers: Sequence[Answer], gain: float | None) -> Asked:
    return Asked(
        round=query.round,
        label=query.label,
        text=query.text,
        evidence=query.proposal.evidence,
        images=[_picture(campaign, answer.image) for answer in answers],
        shown=[answer.label for answer in answers],
        realised_gain=gain,
        skipped=query.reason,
        id=query.id,
    )


def _picture(campaign: Campaign, name: str) -> NDArray[np.uint8]:
    image = read_image(campaign.store.image(name))
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    return np.asarray(image)


def _map(campaign: Campaign, learner: CollectLearner, exchanges: Sequence[Exchange], tools: Any) -> FeatureMap | None:
    def points(features: NDArray[np.float64], labels: NDArray[np.int64]) -> Points:
        return Points(features, [learner.classes[int(label)] for label in labels])

    n = len(learner.initial)
    nowhere = points(learner.features[:0], learner.labels[:0])
    told = [exchange.query for exchange in exchanges if exchange.query.text]
    aimed = nowhere
    if tools is not None and told:
        bridge = tools.bridge(learner.state(exchanges, campaign.rounds[-1].number + 1))
        embedded = bridge(tools.encoder.texts([described(query.text) for query in told]))
        aimed = Points(embedded, [query.label for query in told])
    return feature_map(
        points(learner.initial.features, learner.initial.labels),
        points(learner.features[n:], learner.labels[n:]),
        points(learner.validation.features, learner.validation.labels),
        aimed,
    )


def _reproduce(campaign: Campaign) -> dict[str, str]:
    config = campaign.config
    known = {"Seed": str(config.seed), "Encoder": config.encoder, "Strategy": campaign.strategy.name}
    if config.half == "collect":
        known = {"Command": _command(config, campaign.path.name if campaign.path else "run")} | known
    return {name: value for name, value in known.items() if value}


def _command(config: Config, run: str) -> str:
    words = ["desiderata", "new", run]
    for name, value in config.world.items():
        if name != "kind":
            words += [f"--{name.replace('_', '-')}", str(value)]
        elif value != "folder":
            words += ["--world", str(value)]
    words += ["--encoder", config.encoder, "--strategy", str(config.strategy["name"]), "--seed", str(config.seed)]
    return shlex.join(words)

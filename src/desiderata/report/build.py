"""From a campaign to its report."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desiderata.campaign.branching import asked_by
from desiderata.campaign.images import read_image
from desiderata.campaign.learner import Held
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import THEN, Answer, Exchange
from desiderata.collect.learner import CollectLearner
from desiderata.collect.realised import Worth, realised_gains
from desiderata.describe.bridge import Bridge
from desiderata.describe.template import described, plain
from desiderata.files import readable
from desiderata.report.data import MOST_PICTURES, Asked, Confusion, Curve, FeatureMap, Report
from desiderata.report.layout import Points, feature_map
from desiderata.report.words import branched

NAMES = {
    "genmqd": "GenMQD",
    "genmqd-closed": "GenMQD, closed loop",
    "genmqd-fea": "GenMQD-Fea",
    "text-influence": "TextInfluence",
    "random-text": "RandomText",
    "random-description": "RandomDescription",
}
"""Strategies as people read them; others keep their own name."""

LARGEST_SIDE = 288
"""Of a picture kept in a report, in pixels: photographs would fill the memory to no purpose."""


def of_campaign(
    campaign: Campaign,
    controls: Sequence[Campaign] = (),
    *,
    title: str = "",
    command: str = "",
    ceiling: float | None = None,
    notes: Sequence[str] = (),
    gains: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Gather what the report of a campaign shows; nothing is recorded.

    Args:
        campaign: The campaign whose queries are shown. Its learner is left where the last closed round left it.
        controls: Campaigns with the same start and other strategies, to compare with; the headline uses the first.
        title: The run's name; that of its directory by default.
        command: What to type to do it again.
        ceiling: Accuracy with far more labelled pictures, where it was measured.
        notes: More sentences on what was left out and why.
        gains: Whether to measure what each answer was worth on its own, which takes one short fit for each.
        progress: Called while that is measured, with the number of rounds done and of all rounds.

    Returns:
        The report. What the campaign does not know is left out of it, with a note.
    """
    last = campaign.rounds[-1].number if campaign.rounds else -1
    learner = campaign.learner_at(last) if last >= 0 else None
    held = campaign.store.held()
    figure = "test_accuracy" if any(one.part == "test" for one in held) else "validation_accuracy"
    curves = [curve for one in (campaign, *controls) if (curve := _curve(one, figure))]
    exchanges = campaign.exchanges()
    remarks = [*notes]
    if figure == "validation_accuracy":
        remarks.append(
            "There are no test pictures, so accuracy is that on the validation pictures. Requests were chosen with "
            "them in view, which flatters it."
        )
    if undone := len(campaign.withdrawals):
        were = "answer or skip was" if undone == 1 else "answers or skips were"
        remarks.append(
            f"{undone} {were} taken back before anything was learnt from it; what is shown is what came instead."
        )
    collecting = isinstance(learner, CollectLearner)
    if not collecting:
        remarks.append("Mistakes, the map and measured gains are shown for classifiers on frozen features only.")
    elif not gains:
        remarks.append("What each answer was worth on its own was not measured.")
    return Report(
        title=title or (readable(campaign.path.resolve().name) if campaign.path else "a campaign in memory"),
        curves=curves,
        control=curves[1].method if len(curves) > 1 else "",
        asked=_asked(campaign, realised_gains(campaign, progress) if collecting and gains else {}),
        askers=_askers(campaign),
        confusion=_confusion(campaign, learner, last) if collecting else None,
        feature_map=_map(learner, held, exchanges, campaign) if collecting else None,
        reproduce=_reproduce(campaign, held, command),
        zero_shot=_zero_shot(learner, held) if collecting else None,
        ceiling=ceiling,
        unit=_unit(campaign, *controls),
        validated=figure == "validation_accuracy",
        test_examples=sum(one.part == figure.split("_")[0] for one in held),
        notes=remarks,
    )


def _unit(*campaigns: Campaign) -> str:
    pictured = all(answer.image for campaign in campaigns for answer in campaign.answers)
    return "picture" if pictured else "example"


def _curve(campaign: Campaign, figure: str) -> Curve | None:
    rounds = [round for round in campaign.rounds if figure in round.metrics]
    if not rounds:
        return None
    name = THEN.join(_askers(campaign, campaign.store.last_round()))
    examples = np.array([round.examples for round in rounds])
    return Curve(name, examples, np.array([[round.metrics[figure] for round in rounds]]))


def _askers(campaign: Campaign, number: int | None = None) -> list[str]:
    return [NAMES.get(name, name) for _, name in asked_by(campaign, number)]


def _asked(campaign: Campaign, gains: Mapping[str, Worth]) -> list[Asked]:
    came: dict[str, list[Answer]] = {}
    decisions = campaign.decisions
    for answer in campaign.answers:
        if answer.image:
            came.setdefault(answer.query_id, []).append(answer)
    return [
        Asked(
            round=query.round,
            label=query.label,
            text=query.text,
            evidence=query.proposal.evidence,
            images=[
                _small(read_image(campaign.store.image(answer.image)))
                for answer in came.get(query.id, [])[:MOST_PICTURES]
            ],
            shown=[answer.label for answer in came.get(query.id, [])],
            realised_gain=gains[query.id].validation if query.id in gains else None,
            skipped=query.reason,
            id=query.id,
            source=came[query.id][0].source if query.id in came else "",
            checked=bool(decisions[query.id].settings.get("check_class", True)) if query.id in decisions else True,
        )
        for query in campaign.queries
    ]


def _small(image: Image.Image) -> NDArray[np.uint8]:
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _confusion(campaign: Campaign, learner: CollectLearner, last: int) -> Confusion:
    part = "validation" if learner.test is None else "test"
    campaign.learner_at(0)
    before = learner.confusion(part)
    campaign.learner_at(last)
    return Confusion(learner.classes, before, learner.confusion(part))


def _zero_shot(learner: CollectLearner, held: Sequence[Held]) -> float | None:
    """Return the accuracy on test pictures of the nearest class sentence; None without test pictures."""
    rows = [one for one in held if one.part == "test"]
    if not rows:
        return None
    sentences = learner.encoder.texts([plain(label) for label in learner.classes])
    nearest = np.argmax(np.stack([one.feature for one in rows]) @ sentences.T, axis=1)
    return float(np.mean([learner.classes[i] == one.label for i, one in zip(nearest.tolist(), rows, strict=True)]))


def _map(
    learner: CollectLearner, held: Sequence[Held], exchanges: Sequence[Exchange], campaign: Campaign
) -> FeatureMap | None:
    def part(name: str) -> Points:
        rows = [one for one in held if one.part == name]
        return Points(np.array([one.feature for one in rows]), [one.label for one in rows])

    collected = [one for one in exchanges if one.query.proposal.feature is None and len(one.labels)]
    labels = [learner.classes[label] for one in collected for label in one.labels.tolist()]
    features = [one.features for one in collected]
    return feature_map(
        part("initial"),
        Points(np.concatenate(features) if features else np.zeros((0, 0)), labels),
        part("validation"),
        _aims(learner, collected, campaign),
        seed=campaign.config.seed,
    )


def _aims(learner: CollectLearner, collected: Sequence[Exchange], campaign: Campaign) -> Points:
    """Return where queries aimed, on the image side.

    A sentence lies where pictures of it would: texts and images have different cones in the joint space, and the
    bridge between them is learnt from all answers.
    """
    made = [query for query in campaign.queries if query.proposal.feature is not None]
    points = [query.proposal.feature for query in made if query.proposal.feature is not None]
    labels = [query.label for query in made]
    if collected:
        texts = learner.encoder.texts([described(one.query.text) for one in collected])
        images = np.stack([one.features.mean(axis=0) for one in collected])
        points += list(Bridge.fit(texts, images)(texts))
        labels += [one.query.label for one in collected]
    return Points(np.array(points), labels)


def _reproduce(campaign: Campaign, held: Sequence[Held], command: str) -> dict[str, str]:
    config = campaign.config
    counts = [(part, sum(one.part == part for one in held)) for part in ("initial", "validation", "test")]
    told = {
        "Command": readable(command),
        "Branched": branched(campaign.store.origin()),
        "Seed": str(config.seed),
        "Encoder": config.encoder or campaign.store.fact("embedding"),
        "Strategy": _settings(config.strategy),
        "World": _settings(config.world),
        "Classifier": _settings(config.head),
        "Pictures at the start": ", ".join(f"{number:,} {part}" for part, number in counts if number),
        "Versions": ", ".join(f"{name} {version(name)}" for name in ("desiderata", "torch", "transformers", "numpy"))
        + f", Python {platform.python_version()}",
    }
    return {name: value for name, value in told.items() if value}


def _settings(table: Mapping[str, Any]) -> str:
    return ", ".join(str(value) if key in ("name", "kind") else f"{key} {value}" for key, value in table.items())

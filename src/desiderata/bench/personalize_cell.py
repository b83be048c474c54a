"""One cell of the personalising experiment: a whole campaign, and what it is worth after every round."""

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.bench.personalize_ground import Ground
from desiderata.bench.personalize_keeping import keep_pictures
from desiderata.bench.personalize_perfect import DrawnAsAsked, perfect_result
from desiderata.bench.personalize_sight import Eye
from desiderata.bench.personalize_task import ANSWERED, PERFECT, Task
from desiderata.campaign.config import FILE
from desiderata.campaign.loop import Campaign
from desiderata.campaign.oracle import Oracle
from desiderata.personalize.anchors import anchors_of
from desiderata.personalize.answers import OwnSamples, Picker, additions_of, weights_of
from desiderata.personalize.build import create, open_run
from desiderata.personalize.looking import choices, measured_pictures, stopped
from desiderata.personalize.pacing import LowerRate
from desiderata.personalize.strategies import Steady
from desiderata.personalize.teaching import Progress


def run_task(
    task: Task,
    folder: Path,
    *,
    memo: Path | None = None,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run one campaign, or go on with it where an earlier call was killed, and measure every round.

    Args:
        task: What to do.
        folder: Where the campaign works; whoever has kept the result removes it.
        memo: A folder in which campaigns of the same subject and seed share what they learn and draw.
        keep: A file name without its ending for what figures show of this campaign; None keeps nothing.
        progress: Told what takes time.

    Returns:
        `rounds`, the figures of each round (see `figures`), with `seconds`, this process's time, in which what
        campaigns share is counted once, and which is None for a round closed by a call that was killed; `measured`,
        the sentences measured by; `asked`,
        what was learnt from, with the reasons; `chosen`, what each round's choice rested on; `stopped`, why it
        stopped by itself, or ""; `trainer`, every setting of it; `additions` and `weights`, for controls to follow.
    """
    ground = Ground.of(task.settings)
    if task.method in PERFECT:
        return perfect_result(task, ground)
    started = time.monotonic()
    campaign = _campaign(task, folder, ground, memo, progress)
    seconds: list[float | None] = [None] * (len(campaign.rounds) - 1)
    seconds.append(time.monotonic() - started)
    oracle = _oracle(task, campaign, ground)
    while len(campaign.rounds) < task.rounds:
        closed, started = len(campaign.rounds), time.monotonic()
        campaign.run(oracle, closed)
        if len(campaign.rounds) == closed:
            break
        seconds.append(time.monotonic() - started)
    measured = figures(campaign, task, ground)
    if keep is not None:
        keep_pictures(campaign, keep, ground.models.encoder)
    end = stopped(campaign)
    result = {
        "rounds": [{**row, "seconds": took} for row, took in zip(measured, seconds, strict=True)],
        "measured": [prompt.unedited for prompt in anchors_of(task.case.subject, task.prompts)],
        "asked": _asked(campaign),
        "chosen": [_chosen(one) for one in choices(campaign)],
        "stopped": end.stopped if end else "",
        "trainer": dict(campaign.config.trainer),
        "additions": additions_of(campaign),
        "weights": weights_of(campaign),
    }
    campaign.store.close()
    return result


def figures(campaign: Campaign, task: Task, ground: Ground) -> list[dict[str, Any]]:
    """Measure every round of a campaign.

    Args:
        campaign: On disk.
        task: What it did.
        ground: Judges.

    Returns:
        For each round what it recorded, `txt_aln`, `img_aln`, `ovf`, `full_weight_steps` and so on; what the judge
        sees in the same pictures (`Eye.figures`); `held_out`, mean cosine to pictures of the subject in other
        settings; `steps` of its training; and `added`, how many pictures it learnt from beside the references.
    """
    subject, encoder = task.case.subject, ground.models.encoder
    wishes = [task.case.wish(prompt.template) for prompt in anchors_of(subject, task.prompts)]
    eye = Eye(ground.judge, task.case)
    elsewhere = encoder.images(task.case.elsewhere(ground.models.generator.size))
    images = {answer.query_id for answer in campaign.answers if answer.image}
    rounds: list[dict[str, Any]] = []
    for done in campaign.rounds:
        shown = [
            (picture, wish)
            for (_, pictures), wish in zip(measured_pictures(campaign, done.number), wishes, strict=True)
            for picture in pictures
            if picture is not None
        ]
        row: dict[str, Any] = dict(done.metrics)
        if shown:
            pictures, asked = zip(*shown, strict=True)
            row |= eye.figures(pictures, asked)
            row["held_out"] = _mean_cosine(encoder.images(pictures), elsewhere)
        before = [query for query in campaign.queries if query.round <= done.number]
        if task.method in {LowerRate.name, Steady.name}:
            row.setdefault("pace", 1.0)  # no query led to the first round
        row["steps"] = int(campaign.config.trainer.get("steps", 0))
        row["added"] = sum(query.id in images for query in before)
        rounds.append(row)
    return rounds


def _campaign(task: Task, folder: Path, ground: Ground, memo: Path | None, progress: Progress | None) -> Campaign:
    run, small = folder / "run", ground.small
    if (run / FILE).exists():
        return _settled(open_run(run, models=ground.models, memo=memo, progress=progress))
    shutil.rmtree(folder, ignore_errors=True)
    images = task.case.write(folder / "references", ground.models.generator.size)
    return create(run, task.config(images.absolute(), small), models=ground.models, memo=memo, progress=progress)


def _settled(campaign: Campaign) -> Campaign:
    campaign.settle()  # it may have been killed while it learnt from the references
    return campaign


def _oracle(task: Task, campaign: Campaign, ground: Ground) -> Oracle:
    if task.method in ANSWERED:
        return DrawnAsAsked(task.case, task.anchors, ground.models.generator.size)
    if not task.method.startswith("human"):
        return OwnSamples(campaign)
    wishes = {
        anchor.prompt: task.case.wish(anchor.template) for anchor in anchors_of(task.case.subject, task.anchors)
    }
    return Picker(campaign, Eye(ground.judge, task.case).person(wishes, task.settings.k))


def _asked(campaign: Campaign) -> list[dict[str, Any]]:
    answered = [query for query in campaign.queries if query.status == "answered" and query.text]
    return [
        {"round": query.round, "text": query.text, "weight": query.proposal.weight, **query.proposal.evidence}
        for query in answered
    ]


def _chosen(selection: Any) -> dict[str, Any]:
    told = asdict(selection)
    names = ("round", "openness", "weight", "blanked", "tie_places", "tie_changed", "stopped")
    shares = [direction["share"] for direction in told["directions"]]
    return {name: told[name] for name in names} | {"shares": shares}


def _mean_cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float((a @ b.T).mean())

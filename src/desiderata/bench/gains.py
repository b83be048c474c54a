"""How well predicted gains of whole points agree with what real refits bring, and with how many data."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.data import LabelledSet
from desiderata.collect.fitting import Objective, minimise
from desiderata.collect.influence import predicted_gain
from desiderata.collect.lookahead import predicted_gain_proximal
from desiderata.collect.toolbox import RANK as STRATEGIES_RANK
from desiderata.errors import DesiderataError
from desiderata.files import write_text
from desiderata.foundation.encoder import Encoder
from desiderata.randomness import stream
from desiderata.worlds.moji.sampler import AT_LARGE, Distribution
from desiderata.worlds.moji.scene import CLASSES
from desiderata.worlds.moji.settings import SETTINGS, draw_pictures

PREDICTIONS: Mapping[str, Callable[..., NDArray[np.float64]]] = {
    "first order": predicted_gain,
    "proximal refit": predicted_gain_proximal,
    "proximal refit, as strategies compute it": partial(predicted_gain_proximal, rank=STRATEGIES_RANK),
}
"""What is compared with refits."""


@dataclass(frozen=True)
class Situation:
    """Data to learn from, and how they are learnt.

    Attributes:
        data: "random", points about random centres, a third of the candidates labelled at random; or a setting of the
            Moji world.
        n: Training points.
        l2: Of the head.
        candidates: Points that are added, one at a time.
        validation: Validation points.
    """

    data: str
    n: int
    l2: float
    candidates: int = 40
    validation: int = 100


SITUATIONS = (
    Situation("random", 100, 1e-2),
    Situation("random", 100, 3e-2),
    Situation("random", 400, 1e-2),
    Situation("random", 400, 3e-2),
    *(Situation(setting, n, 1e-2) for setting in SETTINGS for n in (100, 600)),
)
"""Random heads, and heads on initial pictures of each setting: as many as a campaign has, and six times as many.
(A campaign ends with 600, too, but most of those answer its queries.)"""


@dataclass(frozen=True)
class Agreement:
    """Predictions against refits, in one situation with one seed.

    Attributes:
        situation: The data.
        seed: Of data and head.
        realised: What every candidate brought, in nats of validation loss, after a refit from the old optimum.
        predicted: What each of `PREDICTIONS` foresaw, likewise.
    """

    situation: Situation
    seed: int
    realised: tuple[float, ...]
    predicted: Mapping[str, tuple[float, ...]] = field(hash=False)

    def spearman(self, name: str) -> float:
        """Return the rank correlation of a prediction with the refits."""
        return float(cast(Any, spearmanr(self.predicted[name], self.realised)).statistic)

    def error(self, name: str) -> float:
        """Return a prediction's mean absolute error over the mean absolute gain."""
        realised = np.array(self.realised)
        return float(np.abs(np.array(self.predicted[name]) - realised).mean() / np.abs(realised).mean())

    def table(self) -> dict[str, Any]:
        """Return it as plain values, with both measures of each prediction."""
        measures = {"spearman": self.spearman, "error": self.error}
        return {**asdict(self), **{key: {name: of(name) for name in PREDICTIONS} for key, of in measures.items()}}


def compare(situation: Situation, seed: int, encoder: Encoder, tolerance: float = 1e-7) -> Agreement:
    """Fit a head, predict what each candidate would bring, and refit with each.

    Args:
        situation: The data.
        seed: Of data and head.
        encoder: Embeds pictures of the Moji world.
        tolerance: Gradient norm to which every fit goes.

    Returns:
        Both.

    Raises:
        DesiderataError: A refit does not converge.
    """
    random = situation.data == "random"
    train, validation, new = _random(situation, seed) if random else _moji(situation, seed, encoder)
    head = HeadClassifier(l2=situation.l2, tolerance=tolerance, max_iterations=2000, seed=seed)
    head.fit(train.features, train.labels)
    learnt = head.objective(train.features, train.labels)
    met = head.objective(validation.features, validation.labels)
    before, realised = _loss(met, head.theta_), list[float]()
    for point, label in zip(*head.points(new.features, new.labels), strict=True):
        theta, norm, _ = minimise(learnt.with_point(point, label), head.theta_, tolerance, 2000)
        if norm > tolerance:
            raise DesiderataError(
                f"A refit stopped at a gradient norm of {norm:.1e}, above {tolerance:.0e}: give a larger tolerance."
            )
        realised.append(before - _loss(met, theta))
    data = (train.features, train.labels, validation.features, validation.labels, new.features, new.labels)
    predicted = {name: tuple(predict(head, *data).tolist()) for name, predict in PREDICTIONS.items()}
    return Agreement(situation, seed, tuple(realised), predicted)


def write_agreements(agreements: Sequence[Agreement], out: Path) -> str:
    """Return the table in Markdown, written to `gains.md`, and the raw figures to `gains.json`.

    Args:
        agreements: Results, seeds of one situation after each other.
        out: The folder.
    """
    header = [f"{name}: {what}" for name in PREDICTIONS for what in ("Spearman, mean (least)", "error")]
    lines = [
        "Gains predicted for whole points against those of real refits; *error* is the mean absolute error over the "
        "mean absolute gain.",
        "",
        "| data | n | l2 | " + " | ".join(header) + " |",
        "|---" * (3 + len(header)) + "|",
    ]
    for situation in dict.fromkeys(one.situation for one in agreements):
        mine = [one for one in agreements if one.situation == situation]
        cells: list[str] = []
        for name in PREDICTIONS:
            rho = [one.spearman(name) for one in mine]
            cells += [f"{np.mean(rho):.3f} ({min(rho):.3f})", f"{np.mean([one.error(name) for one in mine]):.0%}"]
        lines.append(f"| {situation.data} | {situation.n} | {situation.l2:g} | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    write_text(out / "gains.md", text)
    write_text(out / "gains.json", json.dumps([one.table() for one in agreements], indent=1) + "\n")
    return text


def _loss(objective: Objective, theta: Tensor) -> float:
    return objective.mean_loss(objective.linearise(theta)).item()


def _random(situation: Situation, seed: int) -> tuple[LabelledSet, LabelledSet, LabelledSet]:
    rng = stream(seed, "gains")
    centres = rng.normal(size=(4, 16))

    def about(n: int, noise: float) -> LabelledSet:
        labels = np.arange(n) % len(centres)
        points = centres[labels] + noise * rng.normal(size=(n, centres.shape[1]))
        return LabelledSet(points / np.linalg.norm(points, axis=1, keepdims=True), labels)

    train, validation = about(situation.n, 0.7), about(situation.validation, 0.7)
    new = about(situation.candidates, 1.4)
    flipped = np.where(rng.random(len(new.labels)) < 0.3, rng.integers(4, size=len(new.labels)), new.labels)
    return train, validation, LabelledSet(new.features, flipped)


def _moji(situation: Situation, seed: int, encoder: Encoder) -> tuple[LabelledSet, LabelledSet, LabelledSet]:
    setting = SETTINGS[situation.data]

    def drawn(distribution: Distribution, n: int, purpose: str) -> LabelledSet:
        pictures = draw_pictures(distribution, n // len(CLASSES), seed, purpose)
        return LabelledSet(encoder.images(list(pictures.images)), pictures.labels)

    return (
        drawn(setting.initial, situation.n, "initial"),
        drawn(setting.target, situation.validation, "validation"),
        drawn(AT_LARGE, situation.candidates, "gains"),
    )

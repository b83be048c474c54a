"""GenMQD's experiment on the Moji world: every method, setting and seed is a cell with a file of its own."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from desiderata.bench.pool import finished
from desiderata.bench.world import CEILING_L2, CEILING_PER_CLASS, MojiBench, Sizes
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Query
from desiderata.collect.build import BANK_SIZE, DECODERS
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.data import LabelledSet
from desiderata.collect.learner import CollectLearner
from desiderata.collect.realised import Worth, realised_gains
from desiderata.collect.strategies import STRATEGIES, make_strategy
from desiderata.errors import DesiderataError
from desiderata.files import write_text
from desiderata.foundation.registry import content_key
from desiderata.measure.intervals import estimate
from desiderata.oracles.scene import scene_oracle
from desiderata.worlds.moji.sampler import AT_LARGE, TYPICAL
from desiderata.worlds.moji.scene import CLASSES
from desiderata.worlds.moji.settings import SETTINGS

FIRST_SEED = 100
"""Seeds below were used to develop the strategies; what is reported comes from other initial and validation pictures,
heads and draws. The test pictures are the same for all."""

DECODED = ("genmqd", "genmqd-closed")
"""Methods whose sentences come from a decoder."""

EXAMINED = (1, 2, 5, 10, 20, 30, 40, 50)
"""Rounds in which the worth of every answer is measured: what was foreseen against what came of it."""


@dataclass(frozen=True, order=True)
class Cell:
    """One run of one method.

    Attributes:
        setting: Name of the setting.
        seed: Of the initial and validation pictures, the head, the strategy and the oracle.
        method: Name of the strategy.
        rounds: How many rounds.
        encoder: Name of the encoder.
        initial: Labelled pictures of each class at the start.
        validation: Validation pictures of each class.
        test: Test pictures of each class.
        made_of: `ingredients` of the world.
    """

    setting: str
    seed: int
    method: str
    rounds: int = 50
    encoder: str = "moji-clip"
    initial: int = 10
    validation: int = 10
    test: int = 500
    made_of: str = ""

    def path(self, out: Path) -> Path:
        """Return where its result is kept; cells that differ in anything have different files."""
        key = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]
        return out / "cells" / f"{self.setting}-{self.method}-{self.seed}-{key}.json"


@dataclass(frozen=True)
class Plan:
    """An experiment.

    Attributes:
        settings: Names of settings.
        methods: Names of strategies.
        seeds: How many seeds, counted from `FIRST_SEED`.
        rounds: Rounds of each cell.
        encoder: Name of the encoder.
        sizes: Pictures of each class.

    Raises:
        DesiderataError: A name is unknown, or a number is not positive.
    """

    settings: Sequence[str] = tuple(SETTINGS)
    methods: Sequence[str] = tuple(STRATEGIES)
    seeds: int = 10
    rounds: int = 50
    encoder: str = "moji-clip"
    sizes: Sizes = field(default_factory=Sizes)

    def __post_init__(self) -> None:
        for what, names, known in (("setting", self.settings, SETTINGS), ("method", self.methods, STRATEGIES)):
            if unknown := [name for name in names if name not in known]:
                raise DesiderataError(f"There is no {what} called {unknown[0]!r}; choose from {', '.join(known)}.")
        if min(self.seeds, self.rounds) < 1:
            raise DesiderataError("An experiment needs at least one seed and one round; give larger numbers.")

    @property
    def drawn(self) -> range:
        """The seeds."""
        return range(FIRST_SEED, FIRST_SEED + self.seeds)

    def cells(self) -> Iterator[Cell]:
        """Yield every cell, all methods of a seed together."""
        made_of = {
            (setting, method): ingredients(setting, self.encoder, method)
            for setting in self.settings
            for method in self.methods
        }
        for seed in self.drawn:
            for setting in self.settings:
                for method in self.methods:
                    yield Cell(
                        setting,
                        seed,
                        method,
                        self.rounds,
                        self.encoder,
                        self.sizes.initial,
                        self.sizes.validation,
                        self.sizes.test,
                        made_of[setting, method],
                    )


def ingredients(setting: str, encoder: str, method: str = "") -> str:
    """Return a short key of what results come from: change any of it, and they start anew.

    Args:
        setting: Name of the setting; its distributions, the bank's and the oracle's count, the bank's size, and what
            head and strategy are made with.
        encoder: Name of the encoder, whose files count.
        method: Name of the strategy; where a decoder writes its sentences, the decoder's files count too.

    Returns:
        Twelve hexadecimal digits.
    """
    decoder = DECODERS.get(encoder) if method in DECODED else None
    parts = [repr(SETTINGS[setting]), repr(AT_LARGE), repr(TYPICAL), content_key(encoder)]
    parts += [
        repr(HeadClassifier().get_params()),
        str(BANK_SIZE),
        repr(_settings(STRATEGIES[method]) if method else {}),
    ]
    parts += [content_key(decoder)] if decoder else []
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _settings(strategy: Callable[..., Any]) -> dict[str, Any]:
    """Return what a strategy is made with unless it is told otherwise."""
    return {name: one.default for name, one in signature(strategy).parameters.items() if one.default is not one.empty}


def run_cell(cell: Cell, world: MojiBench) -> dict[str, Any]:
    """Run one method once.

    Args:
        cell: What to run.
        world: Of the cell's setting.

    Returns:
        The cell's own fields; `curve`, pairs of examples collected and test accuracy; `queries`, what was asked in
        each round with its evidence and, in the rounds `EXAMINED`, its `Worth`; `validation_loss` and
        `gradient_norm` of the fit after each round; `skipped`, how many queries the oracle could not answer;
        `with_validation`, the test accuracy at the end once the validation pictures are learnt, too.
    """
    initial, validation, test = world.data(cell.seed)
    learner = CollectLearner(world.encoder, CLASSES, initial, validation, test, seed=cell.seed)
    strategy = make_strategy(cell.method, world.tools)
    campaign = Campaign.create(None, learner=learner, strategy=strategy, seed=cell.seed)
    campaign.run(scene_oracle(), cell.rounds)
    queries, worths = campaign.queries, realised_gains(campaign, rounds=EXAMINED)
    labelled = LabelledSet(learner.features, learner.labels)
    return {
        **asdict(cell),
        "curve": [[done.examples, done.metrics["test_accuracy"]] for done in campaign.rounds],
        "validation_loss": [done.metrics["validation_loss"] for done in campaign.rounds],
        "gradient_norm": [done.metrics["gradient_norm"] for done in campaign.rounds],
        "queries": [_row(query, worths.get(query.id)) for query in queries],
        "skipped": sum(query.status == "skipped" for query in queries),
        "with_validation": world.learnt(cell.seed, labelled, validation),
    }


def _row(query: Query, worth: Worth | None) -> dict[str, Any]:
    row = {"round": query.round, "label": query.label, "text": query.text, **query.proposal.evidence}
    return row if worth is None else row | {f"realised_{name}": value for name, value in asdict(worth).items()}


def run_plan(
    plan: Plan, out: Path, processes: int = 1, progress: Callable[[int, int, str], None] | None = None
) -> list[dict[str, Any]]:
    """Run every cell that has no result yet.

    Args:
        plan: The experiment.
        out: Where results go; the same call again goes on after a kill.
        processes: Cells at a time, each on one core.
        progress: Called with the number of cells done, of all cells, and the one just done.

    Returns:
        The results of all cells, in the plan's order.
    """
    cells = list(plan.cells())
    todo = [cell for cell in cells if not cell.path(out).exists()]
    report = progress or (lambda _done, _all, _name: None)
    done = len(cells) - len(todo)
    report(done, len(cells), "")
    if processes == 1:
        for cell in todo:
            _keep(cell, out)
            done += 1
            report(done, len(cells), f"{cell.setting} {cell.method} {cell.seed}")
    else:
        for cell in finished(partial(_keep, out=out), todo, processes):
            done += 1
            report(done, len(cells), f"{cell.setting} {cell.method} {cell.seed}")
    return [json.loads(cell.path(out).read_text()) for cell in cells]


def results_beside(plan: Plan, out: Path) -> int:
    """Return how many results there are in `out` that a plan does not name, and so has no part in its tables."""
    named = {cell.path(out) for cell in plan.cells()}
    return sum(path not in named for path in (out / "cells").glob("*.json"))


def lines_of_reference(plan: Plan, out: Path) -> dict[str, dict[str, float]]:
    """Return what needs no method, and keep it in `out`.

    Args:
        plan: The experiment.
        out: Where results go.

    Returns:
        For every setting, test accuracies: `zero_shot`, of the nearest class name; `ceiling`, see
        `MojiBench.ceiling`; `alike`, the mean over the plan's seeds of `MojiBench.alike`, with as many pictures as
        the plan's rounds bring; `with_validation`, likewise of `MojiBench.with_validation`, and
        `with_validation_half_width`, that of its 95 % interval, nan for a single seed.
    """
    path = out / "reference.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    lines: dict[str, dict[str, float]] = {}
    for name in plan.settings:
        about = {
            "made_of": ingredients(name, plan.encoder),
            "initial": plan.sizes.initial,
            "test": plan.sizes.test,
            "ceiling_pictures": CEILING_PER_CLASS * len(CLASSES),
            "ceiling_l2": list(CEILING_L2),
        }
        world = world_of(name, out, plan.encoder, plan.sizes)
        if not known.get(name, {}).items() >= about.items():
            known[name] = {**about, "zero_shot": world.zero_shot, "ceiling": world.ceiling(), "alike": {}}
            write_text(path, json.dumps(known, indent=1))
        alike = known[name]["alike"].setdefault(str(plan.rounds), {})
        for seed in (str(seed) for seed in plan.drawn if str(seed) not in alike):
            alike[seed] = world.alike(plan.rounds, int(seed))
            write_text(path, json.dumps(known, indent=1))
        both = known[name].setdefault("with_validation", {}).setdefault(str(plan.sizes.validation), {})
        for seed in (str(seed) for seed in plan.drawn if str(seed) not in both):
            both[seed] = world.with_validation(int(seed))
            write_text(path, json.dumps(known, indent=1))
        lines[name] = {line: known[name][line] for line in ("zero_shot", "ceiling")}
        lines[name]["alike"] = float(np.mean([alike[str(seed)] for seed in plan.drawn]))
        spread = estimate([both[str(seed)] for seed in plan.drawn])
        lines[name] |= {"with_validation": spread.mean, "with_validation_half_width": spread.half_width}
    return lines


_worlds: dict[tuple[str, Path, str, Sizes], MojiBench] = {}


def world_of(setting: str, out: Path, encoder: str, sizes: Sizes) -> MojiBench:
    """Return the world of a setting, which cells of one process share."""
    key = (setting, out, encoder, sizes)
    if key not in _worlds:
        world = MojiBench(setting, out / "features", encoder, sizes)
        for other in _worlds.values():  # one encoder and one bank serve every setting
            if other._encoder == encoder:
                world.__dict__["encoder"], world.__dict__["tools"] = other.encoder, other.tools
        _worlds[key] = world
    return _worlds[key]


def _keep(cell: Cell, out: Path) -> None:
    sizes = Sizes(cell.initial, cell.validation, cell.test)
    result = run_cell(cell, world_of(cell.setting, out, cell.encoder, sizes))
    write_text(cell.path(out), json.dumps(result))

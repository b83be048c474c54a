"""GAL's experiment on the Moji world: every strategy, subject and seed is a cell with a file of its own."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from desiderata.bench.collect import FIRST_SEED
from desiderata.bench.personalize_cell import run_task
from desiderata.bench.personalize_subjects import Case
from desiderata.bench.personalize_task import FOLLOWED, FOLLOWING, METHODS, Task, check_method
from desiderata.bench.personalize_variants import Settings
from desiderata.bench.pool import finished
from desiderata.claims import claimed
from desiderata.errors import DesiderataError
from desiderata.files import write_text
from desiderata.foundation.registry import content_key
from desiderata.worlds.moji.held_out import HELD_OUT_STYLES, SUBJECTS

PICTURED = (FOLLOWED,)
"""Strategies of whose first seed pictures are kept, for the figures."""

MODELS = ("model", "encoder", "judge", "adapter")
"""Settings that name files, by whose content a cell is known."""

Report = Callable[[int, int, str], None]
"""Called with the number of cells done, of all cells, and what is being done."""


@dataclass(frozen=True)
class Cell:
    """One run of one strategy.

    Attributes:
        strategy: One of `METHODS`.
        subject: A held-out subject or style.
        seed: Of its pictures and of the campaign.
        rounds: How many at most; the first learns from the references alone.
        settings: All else.
        made_of: `ingredients` of the settings.
    """

    strategy: str
    subject: str
    seed: int
    rounds: int
    settings: Settings
    made_of: str

    @property
    def case(self) -> Case:
        """The subject with its pictures."""
        return Case(self.subject, self.seed)

    @property
    def task(self) -> Task:
        """What it is to do."""
        return Task(self.strategy, self.case, self.rounds, self.settings)

    @property
    def follows(self) -> "Cell | None":
        """The cell that a control follows, which has to be there first; None for all others."""
        if self.strategy not in FOLLOWING:
            return None
        return Cell(FOLLOWED, self.subject, self.seed, self.rounds, self.settings, self.made_of)

    def about(self) -> dict[str, Any]:
        """Return what it is, as plain values; models by the names of their folders, and no place on this machine."""
        settings = {
            name: Path(value).name if name in MODELS else value
            for name, value in asdict(self.settings).items()
            if name != "device" and (name != "adapter" or self.strategy == "ip-adapter")
        }
        for name in ("pace", "recipe", "scale"):
            settings.pop(name)  # what comes of them is among the trainer's settings
        task = self.task
        return {
            "strategy": self.strategy,
            "subject": self.subject,
            "kind": self.case.kind,
            "seed": self.seed,
            "max_rounds": self.rounds,
            **settings,
            "made_of": self.made_of,
            "made_with": _digest([task.trainer(True), task.trainer(False), task.strategy]),
            "anchor_prompts": [*task.anchors],
            "test_prompts": [*task.prompts],
        }

    @cached_property
    def stem(self) -> str:
        """Its file name without an ending; cells that differ in anything have different ones."""
        return f"{self.subject.replace(' ', '-')}-{self.strategy}-{self.seed}-{_digest(self.about())[:8]}"

    def path(self, out: Path) -> Path:
        """Return where its result is kept."""
        return out / "cells" / f"{self.stem}.json"


@dataclass(frozen=True)
class Plan:
    """An experiment.

    Attributes:
        subjects: Names of held-out subjects and styles.
        strategies: Of `METHODS`.
        seeds: How many seeds.
        rounds: Rounds of each cell, the first included.
        variants: Settings by what is turned in them, as `personalize_variants.variants` returns them.
        first_seed: The first of the seeds. Those below `FIRST_SEED` are for development.

    Raises:
        DesiderataError: A name is unknown, or a number is not positive.
    """

    subjects: Sequence[str]
    strategies: Sequence[str] = METHODS
    seeds: int = 5
    rounds: int = 4
    variants: Mapping[str, Settings] = field(default_factory=lambda: {"": Settings()})
    first_seed: int = FIRST_SEED

    def __post_init__(self) -> None:
        for subject in self.subjects:
            Case(subject, 0)
        for strategy in self.strategies:
            for settings in self.variants.values():
                check_method(strategy, settings)
        if min(self.seeds, self.rounds, len(self.subjects), len(self.strategies)) < 1 or self.first_seed < 0:
            raise DesiderataError(
                "An experiment needs at least one subject, strategy, seed and round, and seeds from 0 on: give more."
            )

    def groups(self) -> Iterator[list[tuple[str, Cell]]]:
        """Yield the cells of each seed and subject, which share what they learn at first, with their variants."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for subject in self.subjects:
                yield [
                    (label, Cell(strategy, subject, seed, self.rounds, settings, ingredients(settings, strategy)))
                    for label, settings in self.variants.items()
                    for strategy in self.strategies
                ]


def ingredients(settings: Settings, strategy: str = "") -> str:
    """Return a short key of the models and of the world: change any of them, and results start anew.

    What a strategy and its trainer are told, defaults included, is in the key of a cell besides.

    Args:
        settings: Names the models.
        strategy: The adapter's files count where it applies one.

    Returns:
        Twelve hexadecimal digits.
    """
    names = [settings.model, settings.encoder, settings.judge]
    names += [settings.adapter] if strategy == "ip-adapter" else []
    return _key_of(tuple(names))


@cache
def _key_of(names: tuple[str, ...]) -> str:
    parts = [content_key(name) for name in names]
    parts += [repr([*SUBJECTS.values()]), repr([*HELD_OUT_STYLES.values()])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _digest(plain: object) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


def run_cell(cell: Cell, out: Path, *, pictured: bool = False, progress: Report | None = None) -> None:
    """Run one cell and keep its result, unless it is there already.

    Args:
        cell: What to run. A cell that it follows is run first.
        out: Where results go. A call that was killed is gone on with.
        pictured: Whether to keep pictures for figures.
        progress: Called with how much of what is done, of how much, and what it is.
    """
    work = out / "work" / cell.stem
    if cell.path(out).exists():
        shutil.rmtree(work, ignore_errors=True)  # of a call that was killed when the result was kept
        return
    followed = None
    if cell.follows is not None:
        run_cell(cell.follows, out, pictured=pictured, progress=progress)
        followed = json.loads(cell.follows.path(out).read_text())
    report = progress or (lambda _done, _all, _what: None)
    task = Task(cell.strategy, cell.case, cell.rounds, cell.settings, followed)
    keep = out / "pictures" / cell.stem if pictured and cell.strategy in PICTURED else None
    name = f"{cell.subject}, {cell.strategy}, {cell.seed}"
    result = run_task(
        task,
        work,
        memo=_memo(out, cell),
        keep=keep,
        progress=lambda what, done, of: report(done, of, f"{name}: {what.lower()}"),
    )
    write_text(cell.path(out), json.dumps({**cell.about(), **result}))
    shutil.rmtree(work, ignore_errors=True)


def run_plan(plan: Plan, out: Path, processes: int = 1, progress: Report | None = None) -> list[dict[str, Any]]:
    """Run every cell that has no result yet.

    Cells of one subject and seed run one after the other, since what they learn from the references alone is learnt
    once for all of them. Several calls may share a folder, also of several machines where its file system has locks:
    each takes up subjects and seeds that no other is at work on, and waits for those that are left.

    Args:
        plan: The experiment.
        out: Where results go; the same call again goes on after a kill.
        processes: Subjects and seeds at a time, each on one core.
        progress: Told how far it is.

    Returns:
        The results of all cells, in the plan's order, each with its `variant`.
    """
    groups = [[cell for _, cell in group] for group in plan.groups()]
    cells = [cell for group in groups for cell in group]
    report = progress or (lambda _done, _all, _what: None)
    report(_there(cells, out), len(cells), "")
    for wait in (False, True):  # first what no other call is at work on, then what those have left
        run = partial(_run_group, out=out, first_seed=plan.first_seed, wait=wait)
        todo = [group for group in groups if not all(cell.path(out).exists() for cell in group)]
        if processes == 1:
            for group in todo:
                others = _there(cells, out) - _there(group, out)
                run(group, lambda more, what, others=others: report(others + more, len(cells), what))
        else:
            for group in finished(run, todo, processes):
                subject, seed = group[0].subject, group[0].seed
                report(_there(cells, out), len(cells), f"{subject}, {seed}")
    return _results([pair for group in plan.groups() for pair in group], out)


def found_cells(plan: Plan, out: Path) -> list[dict[str, Any]]:
    """Return the results of the cells of a plan that are there, strategy by strategy for whole seeds.

    A strategy keeps, of objects and of styles, the seeds of which it has every subject of the plan, so that each
    subject counts as much as any other.

    Args:
        plan: The experiment.
        out: Where results are kept.

    Returns:
        As `run_plan`, without the others.

    Raises:
        DesiderataError: There are none.
    """
    pairs = [pair for group in plan.groups() for pair in group]
    lacking = {_whole(label, cell) for label, cell in pairs if not cell.path(out).exists()}
    there = [(label, cell) for label, cell in pairs if _whole(label, cell) not in lacking]
    if not there:
        raise DesiderataError(f"{out} has none of these runs for all of the subjects: run them first.")
    return _results(there, out)


def results_beside(plan: Plan, out: Path) -> int:
    """Return how many results there are in `out` that a plan does not name, and so has no part in its tables."""
    cells = [cell for group in plan.groups() for _, cell in group]
    named = {cell.stem for one in cells for cell in (one, one.follows) if cell}
    return sum(path.stem not in named for path in (out / "cells").glob("*.json"))


def _whole(label: str, cell: Cell) -> tuple[str, str, str, int]:
    return label, cell.strategy, cell.case.kind, cell.seed


def _results(pairs: Sequence[tuple[str, Cell]], out: Path) -> list[dict[str, Any]]:
    return [{"variant": label, **json.loads(cell.path(out).read_text()), "stem": cell.stem} for label, cell in pairs]


def _run_group(
    group: Sequence[Cell],
    report: Callable[[int, str], None] | None = None,
    *,
    out: Path,
    first_seed: int,
    wait: bool,
) -> None:
    """Run the cells of a subject and seed, unless another process does and this one is not to wait for it."""
    tell = report or (lambda _done, _what: None)
    memo = _memo(out, group[0])
    if wait:
        tell(
            _there(group, out), f"{group[0].subject}, {group[0].seed}: waiting for another call that is at work on it"
        )
    with claimed(out / "cells" / f".{memo.name}.lock", wait=wait) as alone:
        if alone:
            for cell in group:
                done = _there(group, out)
                tell(done, f"{cell.subject}, {cell.strategy}, {cell.seed}")
                run_cell(
                    cell,
                    out,
                    pictured=cell.seed == first_seed,
                    progress=lambda step, of, what, done=done: tell(done, f"{what} {step}/{of}"),
                )
            tell(len(group), "")
            shutil.rmtree(memo, ignore_errors=True)
    with suppress(OSError):  # another group is at work there
        (out / "work").rmdir()


def _there(cells: Sequence[Cell], out: Path) -> int:
    return sum(cell.path(out).exists() for cell in cells)


def _memo(out: Path, cell: Cell) -> Path:
    return out / "work" / f"memo-{cell.subject.replace(' ', '-')}-{cell.seed}"

"""What of a personalising campaign goes with its rounds when another begins as it did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from desiderata.campaign.config import Config
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError
from desiderata.personalize.anchors import used_up
from desiderata.personalize.asked import Asked, check_sentences
from desiderata.personalize.choosing import SAMPLES
from desiderata.personalize.controls import DreamBoothEqualSteps
from desiderata.personalize.pacing import LowerRate
from desiderata.personalize.strategies import STRATEGIES, make_strategy

SHARED = ("references", "class")
"""Folders of a run with what every round learns from."""


ALONE = (LowerRate.name, DreamBoothEqualSteps.name)
"""Strategies that learn from the references alone, and go on learning nothing else."""


def going_on(config: Config, strategy: str | None, settings: Mapping[str, Any], asked: Sequence[Query]) -> Config:
    """Return the configuration with another strategy, which has those settings of the one before that it takes.

    Args:
        config: That of the other run.
        strategy: A name; None for the same strategy.
        settings: Of that strategy, those that are to be others.
        asked: The queries of the rounds that both share.

    Raises:
        DesiderataError: There is none of that name, it has no such setting, or it cannot go on with this trainer,
            what was learnt from, and the sentences that are left.
    """
    if not settings and strategy in {None, config.strategy.get("name")}:
        return config
    name = config.strategy.get("name") if strategy is None else strategy
    if name not in STRATEGIES:
        raise DesiderataError(f"No strategy is called {name!r}; choose from {', '.join(STRATEGIES)}.")
    before = {key: value for key, value in config.strategy.items() if key != "name"}
    taken = {key: value for key, value in before.items() if _takes(name, key, value)}
    config = replace(config, strategy={"name": name, **taken, **settings})
    if name in ALONE and any(query.status == "answered" and query.text for query in asked):
        raise DesiderataError(
            f"{name} learns from the references alone, and other pictures had been learnt from by that round: branch "
            "from an earlier one, such as --round 0."
        )
    check_sentences(Asked.of(config), used_up(asked))
    return config


def files(run: Path, number: int, config: Config) -> Iterator[str]:
    """Yield what a run keeps beside its record: references, and what was drawn for rounds and chosen in them.

    What is drawn for the next round to choose from is among it, as far as it is there and a strategy of the new
    configuration chooses from as many, and what was chosen is not.
    """
    upcoming, samples = run / "rounds" / f"{number + 1:03d}", config.strategy.get("samples", SAMPLES)
    folders = [run / name for name in SHARED]
    folders += [run / "rounds" / f"{one:03d}" for one in range(number + 1)]
    folders += [upcoming / "candidates"]
    for path in (found for folder in folders for found in sorted(folder.rglob("*"))):
        staged = path.name.startswith(".")  # by another process, which is about to rename it
        number_of = path.name.partition(".")[0]
        beyond = upcoming in path.parents and number_of.isdecimal() and int(number_of) >= samples
        page = path.suffix == ".html"  # it tells to pick for the other run
        if path.is_file() and not (staged or beyond or page):
            yield path.relative_to(run).as_posix()


def _takes(strategy: str, key: str, value: Any) -> bool:
    try:
        make_strategy(strategy, **{key: value})
    except DesiderataError:
        return False
    return True

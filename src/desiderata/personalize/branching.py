"""What of a personalising campaign goes with its rounds when another begins as it did."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from desiderata.campaign.config import Config
from desiderata.errors import DesiderataError
from desiderata.personalize.asked import Asked, check_sentences
from desiderata.personalize.strategies import STRATEGIES, make_strategy

SHARED = ("references", "class")
"""Folders of a run with what every round learns from."""


def going_on(config: Config, strategy: str | None) -> Config:
    """Return the configuration with another strategy, which has those settings of the one before that it takes.

    Args:
        config: That of the other run.
        strategy: A name; None for the same strategy.

    Raises:
        DesiderataError: There is none of that name, or it cannot go on with this trainer and these sentences.
    """
    if strategy is None or strategy == config.strategy.get("name"):
        return config
    if strategy not in STRATEGIES:
        raise DesiderataError(f"No strategy is called {strategy!r}; choose from {', '.join(STRATEGIES)}.")
    settings = {key: value for key, value in config.strategy.items() if key != "name"}
    taken = {key: value for key, value in settings.items() if _takes(strategy, key, value)}
    config = replace(config, strategy={"name": strategy, **taken})
    check_sentences(Asked.of(config))
    return config


def files(run: Path, number: int) -> Iterator[str]:
    """Yield what a run keeps beside its record: references, and what was drawn for rounds and chosen in them.

    What is drawn for the next round to choose from is among it, as far as it is there, and what was chosen is not.
    """
    folders = [run / name for name in SHARED]
    folders += [run / "rounds" / f"{one:03d}" for one in range(number + 1)]
    folders += [run / "rounds" / f"{number + 1:03d}" / "candidates"]
    for path in (found for folder in folders for found in sorted(folder.rglob("*"))):
        staged = path.name.startswith(".")  # by another process, which is about to rename it
        if path.is_file() and not staged and path.suffix != ".html":  # a page tells to pick for the other run
            yield path.relative_to(run).as_posix()


def _takes(strategy: str, key: str, value: Any) -> bool:
    try:
        make_strategy(strategy, **{key: value})
    except DesiderataError:
        return False
    return True

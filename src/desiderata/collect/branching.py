"""What of a collecting campaign goes with its rounds when another begins as it did."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from desiderata.campaign.config import Config
from desiderata.campaign.records import Query
from desiderata.collect.strategies import STRATEGIES
from desiderata.errors import DesiderataError


def going_on(config: Config, strategy: str | None, settings: Mapping[str, Any], asked: Sequence[Query]) -> Config:
    """Return the configuration with another strategy, whose settings are the usual ones, or those given.

    Args:
        config: That of the other run.
        strategy: A name; None for the same strategy with the same settings, apart from those given.
        settings: Of that strategy, by name.
        asked: The queries of the rounds that both share.

    Raises:
        DesiderataError: There is none of that name, or it has no such setting.
    """
    before = config.strategy
    if not settings and strategy in {None, before.get("name")}:
        return config
    name = before.get("name") if strategy is None else strategy
    if name not in STRATEGIES:
        raise DesiderataError(f"There is no strategy called {name!r}: choose from {', '.join(STRATEGIES)}.")
    known = list(signature(STRATEGIES[name]).parameters)[1:]  # the first are the models that it works with
    if unknown := [one for one in settings if one not in known]:
        raise DesiderataError(
            f"The strategy {name} has no setting {unknown[0]!r}: it has {', '.join(known) or 'none'}."
        )
    return replace(config, strategy={**(before if name == before.get("name") else {"name": name}), **settings})


def files(run: Path, number: int, config: Config) -> Iterable[str]:
    """Return nothing: all that a round has is on record."""
    return ()

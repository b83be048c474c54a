"""What of a collecting campaign goes with its rounds when another begins as it did."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from desiderata.campaign.config import Config
from desiderata.collect.strategies import STRATEGIES
from desiderata.errors import DesiderataError


def going_on(config: Config, strategy: str | None) -> Config:
    """Return the configuration with another strategy, whose settings are the usual ones.

    Args:
        config: That of the other run.
        strategy: A name; None for the same strategy with the same settings.

    Raises:
        DesiderataError: There is none of that name.
    """
    if strategy is None or strategy == config.strategy.get("name"):
        return config
    if strategy not in STRATEGIES:
        raise DesiderataError(f"There is no strategy called {strategy!r}: choose from {', '.join(STRATEGIES)}.")
    return replace(config, strategy={"name": strategy})


def files(run: Path, number: int) -> Iterable[str]:
    """Return nothing: all that a round has is on record."""
    return ()

"""A run that begins as another did, and goes on otherwise: after a wrong click, or with another strategy."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from desiderata.campaign import branching
from desiderata.campaign.config import Config
from desiderata.campaign.directory import open_store
from desiderata.personalize.asked import Asked
from desiderata.personalize.pictures import check_apart

SHARED = ("references", "class")
"""Folders of a run with what every round learns from."""


def branch(run: str | Path, path: str | Path, *, round: int | None = None, strategy: str | None = None) -> None:
    """Make a run that shares the first rounds of another, which is left as it is.

    Nothing is learnt or drawn anew for it. What the other run drew for its next round to choose from is taken over,
    too, and what it chose is not. Weights get a second name rather than a copy, where the file system can.

    Args:
        run: The directory of a personalising campaign.
        path: The directory of the new run, which must not exist or be empty.
        round: The last round that both share; the last closed one by default.
        strategy: What decides from there on, with the other run's `k`, `samples` and `rate`; as there by default.

    Raises:
        DesiderataError: There is no campaign, the round is not closed, files of it are gone, there is something at
            `path`, or the strategy cannot go on from there.
    """
    source, place = Path(run), Path(path)
    config = Config.read(source)
    table = None if strategy is None else dict(config.strategy) | {"name": strategy}
    asked = Asked.of(config if table is None else replace(config, strategy=table))
    check_apart(place, asked.images)
    store = open_store(source)
    number = branching.last_shared(store, round)
    store.close()
    branching.branch(source, place, round=number, strategy=table, files=[*_files(source, number)])


def _files(run: Path, number: int) -> Iterator[str]:
    """Yield what a run keeps beside its record, as far as it belongs to a round or to what comes of it."""
    folders = [run / name for name in SHARED]
    folders += [run / "rounds" / f"{one:03d}" for one in range(number + 1)]
    after = run / "rounds" / f"{number + 1:03d}"
    folders += [after / "candidates"]
    for path in (found for folder in folders for found in sorted(folder.rglob("*"))):
        if path.is_file() and path.suffix != ".html":  # a page to pick from tells to pick for the other run
            yield path.relative_to(run).as_posix()
    yield (after / "candidates.safetensors").relative_to(run).as_posix()

"""A new run that begins with everything of another up to a closed round, and goes on otherwise."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, Table, insert, inspect, select

from desiderata.campaign import schema
from desiderata.campaign.config import Config
from desiderata.campaign.directory import check_free, make_run, open_store
from desiderata.campaign.recorded import image_name, weights_name
from desiderata.campaign.rows import to_json
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError

ORIGIN = "origin"
"""The fact that tells where a run was branched from."""


def branch(
    run: str | Path,
    path: str | Path,
    *,
    round: int | None = None,
    strategy: Mapping[str, Any] | None = None,
    files: Sequence[str] = (),
) -> None:
    """Make a run that shares the beginning of another, which is left as it is.

    `Campaign.open` opens it; a campaign that was made from Python objects with a learner and a strategy of its own.
    Draws of later rounds are those of the other run, so that the same answers lead to the same figures.

    Args:
        run: The directory of a campaign.
        path: The directory of the new run, which must not exist or be empty.
        round: The last closed round that both share; the last one that is closed by default.
        strategy: Its table `strategy`; that of the other run by default.
        files: What else of the run's directory is taken over, as far as it is there, by names with slashes.

    Raises:
        DesiderataError: There is no campaign, the round is not closed, its weights or a picture are gone, there is
            something at `path`, or a strategy is named for a campaign that is made from Python objects.
    """
    source, place = Path(run), Path(path)
    config = Config.read(source)
    if strategy is not None:
        if config.half == "python":
            raise DesiderataError(f"{source} was made from Python objects: pass the strategy when you open {place}.")
        config = replace(config, strategy=strategy)
    check_free(place)
    store = open_store(source)
    number = last_shared(store, round)
    with store.reading_weights(number):
        pass  # they are there

    def start(new: Store) -> None:
        assert new.path is not None
        images = _copy_rows(store, new, number, source)
        for name in map(image_name, sorted(images)):
            _copy(source, new.path, name)
        for name in map(weights_name, range(number + 1)):
            if (source / name).exists():  # those of earlier rounds may have been deleted
                _link(source / name, new.path / name)
        for name in files:
            if (source / name).is_file():
                _copy(source, new.path, name)

    make_run(place, config, start).close()
    store.close()


def last_shared(store: Store, round: int | None) -> int:
    """Return the round after which a run can be branched off.

    Args:
        store: Of the run that there is.
        round: The round that is asked for; None for the last.

    Raises:
        DesiderataError: It is not closed.
    """
    last = store.last_round()
    number = last if round is None else round
    if last < 0:
        raise DesiderataError(f"{store.path} has no closed round yet: go on with it first.")
    if not 0 <= number <= last:
        raise DesiderataError(f"Round {number} of {store.path} is not closed: give one from 0 to {last}.")
    return number


def _copy_rows(store: Store, new: Store, number: int, source: Path) -> set[str]:
    """Copy what is on record up to a round, as it stands at one moment.

    Returns:
        The names of the pictures of answers.
    """
    asked = select(schema.queries.c.id).where(schema.queries.c.round <= number)
    told = select(schema.answers.c.image).where(schema.answers.c.query.in_(asked))
    known = told.union(select(schema.held.c.image))
    wanted: dict[Table, Select[Any]] = {
        schema.facts: select(schema.facts).where(schema.facts.c.name != ORIGIN),
        schema.held: select(schema.held),
        schema.queries: select(schema.queries).where(schema.queries.c.round <= number),
        schema.answers: select(schema.answers).where(schema.answers.c.query.in_(asked)),
        schema.withdrawals: select(schema.withdrawals).where(schema.withdrawals.c.query.in_(asked)),
        schema.originals: select(schema.originals).where(schema.originals.c.image.in_(told)),
        schema.decisions: select(schema.decisions).where(schema.decisions.c.query.in_(asked)),
        schema.rounds: select(schema.rounds).where(schema.rounds.c.number <= number),
        schema.features: select(schema.features).where(schema.features.c.image.in_(known)),
    }
    with store.reading() as reading, new.writing() as writing:
        for table, rows in wanted.items():
            _copy_table(reading, writing, table, rows)
        origin = {"run": source.resolve().name, "round": number}
        writing.execute(insert(schema.facts).values(name=ORIGIN, value=to_json(origin)))
        return {row.image for row in reading.execute(told) if row.image}


def _copy_table(reading: Connection, writing: Connection, table: Table, rows: Select[Any]) -> None:
    if not inspect(reading).has_table(table.name):  # of a database from before there was such a table
        return
    if found := [dict(row) for row in reading.execute(rows).mappings()]:
        writing.execute(insert(table), found)


def _copy(source: Path, place: Path, name: str) -> None:
    target = place / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source / name, target)
    except FileNotFoundError:
        raise DesiderataError(f"{name} is gone from {source}: put it back from a copy.") from None


def _link(file: Path, target: Path) -> None:
    """Give large files, which are never written to once they are there, a second name; copy them where that fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)

"""A new run that begins with everything of another up to a closed round, and goes on otherwise."""

import importlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from sqlalchemy import Connection, Select, Table, insert, inspect, select

from desiderata.campaign import schema
from desiderata.campaign.config import Config
from desiderata.campaign.directory import check_free, make_run, open_store
from desiderata.campaign.recorded import ORIGIN, Recorded, check_picture, image_name, weights_name
from desiderata.campaign.records import Query
from desiderata.campaign.rows import to_json
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError
from desiderata.files import check_outside, readable

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign

HALVES = {"collect": "desiderata.collect.branching", "personalize": "desiderata.personalize.branching"}
"""The module of each half that is a `Half`."""

ADDED_LATER = (schema.withdrawals, schema.originals, schema.decisions)
"""Tables that databases of before lack."""

Rows = Sequence[Mapping[str, Any]]


class Half(Protocol):
    """What a half of the library knows of its runs that a campaign does not."""

    def going_on(
        self, config: Config, strategy: str | None, settings: Mapping[str, Any], asked: Sequence[Query]
    ) -> Config:
        """Return the configuration with another strategy or other settings of it, or say why it cannot go on.

        Args:
            config: That of the other run.
            strategy: A name; None for the same.
            settings: Of that strategy, those that are to be others.
            asked: The queries of the rounds that both share.
        """
        ...

    def files(self, run: Path, number: int, config: Config) -> Iterable[str]:
        """Return what a run keeps beside its record that goes with its rounds up to one, by names with slashes."""
        ...


def branch(
    run: str | Path,
    path: str | Path,
    *,
    round: int | None = None,
    strategy: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Make a run that shares the beginning of another, which is left as it is.

    `Campaign.open` opens it; a campaign that was made from Python objects with a learner and a strategy of its own.
    Nothing is learnt anew. Later rounds draw from the same random streams as those of the other run, so that the same
    answers lead to the same figures.

    Args:
        run: The directory of a campaign.
        path: The directory of the new run, which must not exist or be empty.
        round: The last closed round that both share; the last one that is closed by default. Answers that are not
            learnt yet stay behind.
        strategy: The name of what decides from there on, with those settings of the other run's that it takes; as
            there by default.
        settings: Of that strategy, such as k, where they are to be others.

    Raises:
        DesiderataError: There is no campaign, the round is not closed, its weights or a picture are gone, there is
            something at `path`, it lies in the other run or among the user's pictures, there is no such strategy, or
            it has no such setting.
    """
    source, place = Path(run), Path(path)
    config = Config.read(source)
    if (strategy is not None or settings) and config.half not in HALVES:
        raise DesiderataError(f"{source} was made from Python objects: pass the strategy when you open {place}.")
    check_free(place)
    check_outside(place, source, "the run")
    for folder in config.given:
        check_outside(place, folder, "your pictures")
    store = open_store(source)
    number = _last_shared(store, round)
    half = _half(config)
    shared = [query for query in store.queries() if query.round <= number]
    new_config = half.going_on(config, strategy, settings or {}, shared) if half else config
    with store.reading_weights(number):
        pass  # they are there
    rows = _rows(store, number)

    def start(new: Store) -> None:
        assert new.path is not None
        _record(new, rows, _origin(store, config, source, number, strategy or "", settings or {}))
        for image in sorted({row["image"] for row in rows[schema.answers]} - {""}):
            _copy(source, new.path, image_name(image), check=check_picture)
        for name in map(weights_name, range(number + 1)):
            if (source / name).exists():  # those of earlier rounds may have been deleted
                _link(source / name, new.path / name)
        for name in half.files(source, number, new_config) if half else ():
            with suppress(FileNotFoundError):  # somebody has drawn or removed it in the meantime
                _copy(source, new.path, name, needed=False)

    make_run(place, new_config, start).close()
    store.close()


def asked_by(campaign: "Campaign", number: int | None = None) -> list[tuple[int, str]]:
    """Return who decided on the queries of a campaign, those of the run that it was branched from included.

    Args:
        campaign: The campaign.
        number: The last round that counts; by default the last one that was asked, closed or not.

    Returns:
        Strategies by name, each with the last round that it asked, in order; at least one.
    """
    own = str(campaign.config.strategy.get("name") or campaign.strategy.name)
    last = max((query.round for query in campaign.queries), default=0) if number is None else number
    return _upto(last, [*_earlier(campaign.store), (last, own)]) or [(last, own)]


def _half(config: Config) -> Half | None:
    return cast(Half, importlib.import_module(HALVES[config.half])) if config.half in HALVES else None


def _last_shared(store: Store, round: int | None) -> int:
    last = store.last_round()
    number = last if round is None else round
    if last < 0:
        raise DesiderataError(f"{store.path} has no closed round yet: go on with it first.")
    if not 0 <= number <= last:
        known = f"give one from 0 to {last}" if last else "give 0, the only one"
        raise DesiderataError(f"Round {number} of {store.path} is not closed: {known}, or go on with it first.")
    return number


def _earlier(store: Recorded) -> Sequence[tuple[int, str]]:
    origin = store.origin()
    return origin.asked if origin else ()


def _upto(number: int, parts: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return who asked the rounds up to one: each name once in a row, none that asked no round."""
    found: list[tuple[int, str]] = []
    for through, name in parts:
        last = found[-1][0] if found else 0
        if min(through, number) > last:
            same = bool(found) and found[-1][1] == name
            found[len(found) - same :] = [(min(through, number), name)]
    return found


def _origin(
    store: Store, config: Config, source: Path, number: int, strategy: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    own = str(config.strategy.get("name", ""))  # empty for one that was made from Python
    asked = _upto(number, [*_earlier(store), (number, own)])
    about = {"run": readable(source.resolve().name), "round": number, "asked": asked}
    return about | {"strategy": strategy, "settings": dict(settings)}


def _rows(store: Store, number: int) -> dict[Table, Rows]:
    """Return what is on record up to a round, as it stands at one moment."""
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
    with store.reading() as connection:
        return {
            table: [dict(row) for row in connection.execute(rows).mappings()]
            for table, rows in wanted.items()
            if _is_there(connection, table)
        }


def _is_there(connection: Connection, table: Table) -> bool:
    return table not in ADDED_LATER or inspect(connection).has_table(table.name)


def _record(new: Store, rows: Mapping[Table, Rows], origin: Mapping[str, Any]) -> None:
    with new.writing() as connection:
        for table, found in rows.items():
            if found:
                connection.execute(insert(table), found)
        connection.execute(insert(schema.facts).values(name=ORIGIN, value=to_json(origin)))


def _copy(
    source: Path,
    place: Path,
    name: str,
    needed: bool = True,
    check: Callable[[bytes, Path], None] = lambda _content, _file: None,
) -> None:
    try:
        content = (source / name).read_bytes()
    except OSError as error:
        if not needed and isinstance(error, FileNotFoundError):
            raise
        reason = "is gone" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise DesiderataError(f"{source / name} {reason}: put it back from a copy.") from None
    check(content, source / name)
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(content)


def _link(file: Path, target: Path) -> None:
    """Give a large file, which is never written to once it is there, a second name; copy it where that fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(os.path.realpath(file), target)  # of a link, where it points
    except OSError:
        shutil.copyfile(file, target)

"""The tables of `campaign.db`, and how the database is opened."""

from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.pool import StaticPool

VERSION = 1

metadata = MetaData()

facts = Table(
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),  # JSON
)

held = Table(
    "held",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("part", String, nullable=False),
    Column("name", String, nullable=False),
    Column("label", String, nullable=False),
    Column("image", String, nullable=False, unique=True),
)

queries = Table(
    "queries",
    metadata,
    Column("id", String, primary_key=True),
    Column("round", Integer, nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("label", String, nullable=False),
    Column("text", String, nullable=False),
    Column("feature", LargeBinary),  # little-endian float64
    Column("evidence", String, nullable=False),  # JSON
    Column("weight", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("query", String, ForeignKey("queries.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("image", String, nullable=False),
    Column("label", String, nullable=False),
    Column("weight", Float, nullable=False),
    Column("source", String, nullable=False),
)
Index("one_answer_per_image", answers.c.image, unique=True, sqlite_where=answers.c.image != "")

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("query", String, ForeignKey("queries.id"), nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("answers", String, nullable=False),  # JSON
)
"""Databases from before there was `undo` lack this table; they get it with the first withdrawal, and until then are
read as they are. What else is recorded means the same with it and without, so that it takes no version of its own."""

originals = Table(
    "originals",
    metadata,
    Column("image", String, primary_key=True),
    Column("name", String, nullable=False),
)
"""What the files were called that pictures of answers came from. Databases of before lack this table, too, and get it
with the next such picture."""

decisions = Table(
    "decisions",
    metadata,
    Column("query", String, ForeignKey("queries.id"), primary_key=True),
    Column("source", String, nullable=False),
    Column("settings", String, nullable=False),  # JSON
)
"""Who answered or skipped. Databases of before lack this table, too, and get it with the next such query."""

rounds = Table(
    "rounds",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("examples", Integer, nullable=False),
    Column("metrics", String, nullable=False),  # JSON
)

features = Table(
    "features",
    metadata,
    Column("image", String, primary_key=True),
    Column("embedding", String, primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # little-endian float64
)


def open_engine(path: Path | None) -> Engine:
    """Return an engine for the database at `path`, or for one in memory.

    The journal is SQLite's default, DELETE, and not WAL: between transactions the one file is the whole state, so
    that a run can be copied while nobody writes, and it works on network folders. Writes are few; WAL's
    concurrency would buy nothing.

    Each connection starts its transactions itself, because the driver of Python 3.11 leaves schema changes
    outside of them; `execution_options(begin="IMMEDIATE")` takes the write lock at the start, so that what a
    transaction has checked still holds when it writes.
    """
    if path is None:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        # not as the text of an address, in which ? and # of a folder's name would mean something
        engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine

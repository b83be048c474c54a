"""What a campaign has on record, to be read: queries, answers, rounds, pictures and weights."""

import json
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Executable, Row, func, literal_column, select
from sqlalchemy.exc import DatabaseError

from desiderata.campaign import decisions, originals, schema, withdrawals
from desiderata.campaign.blobs import FolderBlobs, MemoryBlobs
from desiderata.campaign.learner import Held
from desiderata.campaign.records import Answer, Decision, Origin, Query, Round, Withdrawal
from desiderata.campaign.rows import answer_of, check_digest, from_blob, query_of, round_of, to_json
from desiderata.errors import DesiderataError

DATABASE = "campaign.db"
"""The file of a run that holds everything but pictures and weights."""


_PNG = b"\x89PNG\r\n\x1a\n"

ORIGIN = "origin"
"""The fact that tells where a run was branched from."""


class StoreError(DesiderataError):
    """The run's files cannot be read or written."""


class WeightsGone(StoreError):
    """The file of a round's weights is not there."""


class Recorded:
    """What was recorded, every reading as it stood at one moment.

    Args:
        path: The directory of the run, which must exist; None for one in memory.

    Raises:
        StoreError: The database is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path | None):
        self.path = path
        self.blobs = FolderBlobs(path) if path else MemoryBlobs()
        self._facts: dict[str, Any] = {}  # never change once recorded
        self._engine = schema.open_engine(path / DATABASE if path else None)
        self._closer = weakref.finalize(self, self._engine.dispose)
        with self.reading() as connection:
            self._version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if self._version not in {0, schema.VERSION}:
            raise StoreError(
                f"{path} has a database of version {self._version}, and this desiderata reads version "
                f"{schema.VERSION}: use the desiderata that wrote it, or a newer one."
            )

    def close(self) -> None:
        """Let go of the database file; the store cannot be used afterwards. Garbage collection does the same."""
        self._closer()

    def fact(self, name: str) -> Any:
        """Return what was recorded at the start under `name`: "classes" or "embedding".

        Raises:
            StoreError: The start was never recorded.
        """
        facts = self._known_facts()
        if name not in facts:
            raise StoreError(f"{self.path} was never finished being made: make the campaign again.")
        return facts[name]

    def origin(self) -> Origin | None:
        """Return where the run was branched from; None for one that was not."""
        found = self._known_facts().get(ORIGIN)
        if found is None:
            return None
        asked = tuple((through, name) for through, name in found["asked"] if name)
        return Origin(found["run"], found["round"], asked, found.get("strategy"), found.get("settings", {}))

    def probe(self) -> NDArray[np.float64] | None:
        """Return the embedding, shape (d,), by which the encoder is known again; None where none was recorded."""
        found = self._known_facts().get("probe")
        return None if found is None else np.array(found, dtype=np.float64)

    def _known_facts(self) -> dict[str, Any]:
        if not self._facts:
            self._facts = {row.name: json.loads(row.value) for row in self._read(select(schema.facts))}
        return self._facts

    def held(self) -> list[Held]:
        """Return the pictures that the learner was given at the start, in the order given."""
        rows = self._read(
            select(schema.held, schema.features.c.vector)
            .join(schema.features, schema.features.c.image == schema.held.c.image)
            .where(schema.features.c.embedding == self.fact("embedding"))
            .order_by(schema.held.c.position)
        )
        return [Held(row.part, row.name, row.label, row.image, from_blob(row.vector)) for row in rows]

    # What is known

    def queries(self, round: int | None = None) -> list[Query]:
        """Return the queries of one round, or all, in the order asked."""
        wanted = select(schema.queries).order_by(schema.queries.c.round, schema.queries.c.position)
        return [query_of(row) for row in self._read(wanted if round is None else wanted.filter_by(round=round))]

    def query(self, query_id: str) -> Query | None:
        """Return one query, or None when there is none of that name."""
        rows = self._read(select(schema.queries).filter_by(id=query_id))
        return query_of(rows[0]) if rows else None

    def answers(self) -> list[Answer]:
        """Return all answers in the order in which they were asked for, whenever they came."""
        rows = self._read(
            select(schema.answers)
            .join(schema.queries)
            .order_by(schema.queries.c.round, schema.queries.c.position, schema.answers.c.position)
        )
        return [answer_of(row) for row in rows]

    def withdrawals(self) -> Sequence[Withdrawal]:
        """Return what was told and taken back, in the order in which it was taken back."""
        with self.reading() as connection:
            return withdrawals.withdrawn(connection)

    def rounds(self) -> list[Round]:
        """Return the closed rounds, the one before the first query (number 0) included."""
        rows = self._read(select(schema.rounds).order_by(schema.rounds.c.number))
        return [round_of(row) for row in rows]

    def last_round(self) -> int:
        """Return the number of the last closed round, -1 before there is one."""
        return self._read(select(func.coalesce(func.max(schema.rounds.c.number), -1)))[0][0]

    def features(self, embedding: str) -> dict[str, NDArray[np.float64]]:
        """Return the embeddings of answers that are kept, by the name of the picture."""
        rows = self._read(
            select(schema.features.c.image, schema.features.c.vector)
            .join(schema.answers, schema.answers.c.image == schema.features.c.image)
            .where(schema.features.c.embedding == embedding)
        )
        return {row.image: from_blob(row.vector) for row in rows}

    def owner(self, image: str) -> str | None:
        """Return where a picture is known from: the id of a query, or "part, name"; None for a new one."""
        pictured = schema.answers.c.image != literal_column("''")  # as in the index, which is not used otherwise
        told = select(schema.answers.c.query).where(pictured)
        for row in self._read(told.filter_by(image=image)):
            return f"the answer to {row.query}"
        for row in self._read(select(schema.held.c.part, schema.held.c.name).filter_by(image=image)):
            return f"the {row.part} image {row.name}"
        return None

    def known_images(self) -> set[str]:
        """Return the names of all pictures of the campaign, those held from the start included."""
        told = self._read(select(schema.answers.c.image).where(schema.answers.c.image != ""))
        return {row.image for row in (*told, *self._read(select(schema.held.c.image)))}

    def image(self, name: str) -> Path | bytes:
        """Return the stored picture of an answer, as a path or, in memory, as bytes."""
        return self.blobs.where(image_name(name))

    def originals(self) -> dict[str, str]:
        """Return what the files were called that answers came from, by the name of the picture: "cat/003.png"."""
        with self.reading() as connection:
            return originals.known(connection)

    def decisions(self) -> Mapping[str, Decision]:
        """Return who decided each query, by its id, as far as that is recorded."""
        with self.reading() as connection:
            return decisions.known(connection)

    def weights(self, number: int) -> bytes:
        """Return the learner's weights as they were when a round was closed.

        Raises:
            WeightsGone: There are none any more.
            StoreError: They cannot be read.
        """
        with self.reading_weights(number) as file:
            return file.read()

    @contextmanager
    def reading_weights(self, number: int) -> Iterator[BinaryIO]:
        """Open the learner's weights for a reader of a part.

        Yields:
            The file.

        Raises:
            WeightsGone: There is none any more.
            StoreError: It cannot be read.
        """
        name = weights_name(number)
        with self._one_sentence():
            try:
                where = self.blobs.where(name)
                file = BytesIO(where) if isinstance(where, bytes) else where.open("rb")
            except FileNotFoundError as error:
                raise WeightsGone(
                    f"The weights of round {number} are gone from the run at {self.path}: put {name} back from a "
                    "copy, or use another round. To go on, those of the last round are needed."
                ) from error
            with file:
                yield file

    def history(self) -> str:
        """Return everything that was said and measured as canonical JSON: equal runs give equal bytes.

        What was taken back is in it under "withdrawals", where there is any.
        """
        said = {
            "version": schema.VERSION,
            "classes": self.fact("classes"),
            "queries": [asdict(query) for query in self.queries()],
            "answers": [asdict(answer) for answer in self.answers()],
            "rounds": [asdict(round) for round in self.rounds()],
        }
        if taken_back := self.withdrawals():
            said["withdrawals"] = [asdict(withdrawal) for withdrawal in taken_back]
        return to_json(said)

    # How

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one transaction, in which everything is as it stood at one moment.

        Yields:
            Its connection.

        Raises:
            StoreError: Nothing could be read.
        """
        with self._one_sentence(), self._engine.connect() as connection:
            yield connection

    def _read(self, wanted: Executable) -> Sequence[Row[Any]]:
        with self.reading() as connection:
            return connection.execute(wanted).all()

    @contextmanager
    def _one_sentence(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, OSError) as error:
            reason = str(error.orig) if isinstance(error, DatabaseError) else error.strerror or str(error)
            raise StoreError(
                f"The run at {self.path} cannot be read or written ({reason}): nothing of this step was recorded, "
                "what was recorded before is kept."
            ) from error


def image_name(image: str) -> str:
    """Return the file of a picture by its name, below the directory of the run.

    Raises:
        DesiderataError: It is no name of a picture, and might lead out of the run.
    """
    check_digest(image)
    return f"images/{image[:2]}/{image}.png"


def check_picture(content: bytes, where: Path | bytes) -> None:
    """Make sure that a stored file is a picture before it is handed on: a run from elsewhere may link to others.

    Raises:
        StoreError: It is not.
    """
    if not content.startswith(_PNG):
        raise StoreError(f"{where if isinstance(where, Path) else 'A file'} is no PNG file: put it back from a copy.")


def weights_name(number: int) -> str:
    """Return the file of the weights of a round."""
    return f"rounds/{number:03d}.safetensors"

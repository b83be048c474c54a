"""The memory of a campaign: SQLite for what was said, one file per picture, every step all or nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from desiderata.campaign import decisions, originals, schema, withdrawals
from desiderata.campaign.learner import Held
from desiderata.campaign.recorded import Recorded, StoreError, image_name, weights_name
from desiderata.campaign.records import Answer, Decision, Proposal, Query, Round, Withdrawal
from desiderata.campaign.rows import answer_row, query_of, query_row, round_row, to_blob, to_json
from desiderata.errors import DesiderataError
from desiderata.files import readable


class Refused(DesiderataError):
    """An answer or a skip does not fit; nothing was recorded."""


class QueryDecided(Refused):
    """The query has been answered or skipped already."""


class Store(Recorded):
    """What a campaign has recorded, and records.

    Nothing recorded is ever changed, except that an open query becomes answered or skipped, and until its round is
    closed may become open again; what had been said is then kept as withdrawn. Files are staged first and then one
    transaction says that they count, so that a kill at any moment leaves either all of a step or nothing of it (at
    worst a picture that no record names).

    Args:
        path: The directory of the run, which must exist; None keeps everything in memory, by the same code.

    Raises:
        StoreError: The database is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path | None):
        super().__init__(path)
        self._writing_engine = self._engine.execution_options(begin="IMMEDIATE")
        if self._version == 0:
            with self.writing() as connection:
                schema.metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")

    # The start

    def start(
        self, classes: Sequence[str], embedding: str, held: Sequence[Held], probe: NDArray[np.float64] | None = None
    ) -> None:
        """Record what the campaign starts from, once.

        Args:
            classes: The labels that an answer may have.
            embedding: The name under which embeddings are kept.
            held: What the learner was given at the start.
            probe: Shape (d,), the embedding of `features.probe_picture()`, by which the encoder is known again.

        Raises:
            StoreError: Two of the pictures held are the same, or nothing could be written.
        """
        first: dict[str, Held] = {}
        for one in held:
            if other := first.get(one.image):
                raise StoreError(
                    f"{other.name} ({other.part}) and {one.name} ({one.part}) are the same picture: keep one of "
                    "them, or the figures would mislead."
                )
            first[one.image] = one
        facts: dict[str, Any] = {"classes": list(classes), "embedding": embedding}
        if probe is not None:
            facts["probe"] = probe.tolist()
        with self.writing() as connection:
            connection.execute(
                insert(schema.facts), [{"name": name, "value": to_json(value)} for name, value in facts.items()]
            )
            if held:
                connection.execute(
                    insert(schema.held),
                    [
                        {
                            "position": i,
                            "part": one.part,
                            "name": readable(one.name),
                            "label": one.label,
                            "image": one.image,
                        }
                        for i, one in enumerate(held)
                    ],
                )
                _insert_features(connection, embedding, {one.image: one.feature for one in held})

    # What was said

    def add_queries(self, round: int, proposals: Sequence[Proposal]) -> None:
        """Record the queries of a round; does nothing when the round has been asked already.

        A proposal with a feature is recorded as answered by it.
        """
        with self.writing() as connection:
            asked = select(func.count()).where(schema.queries.c.round == round)
            if connection.execute(asked).scalar_one():
                return
            for position, proposal in enumerate(proposals, start=1):
                status = "open" if proposal.feature is None else "answered"
                query = Query(f"r{round:03d}-q{position:02d}", round, proposal, status)
                connection.execute(insert(schema.queries).values(query_row(position, query)))
                if proposal.feature is not None:
                    answer = Answer(query.id, "", proposal.label, proposal.weight, "synthesis")
                    connection.execute(insert(schema.answers), [answer_row(0, answer)])

    def add_answers(
        self,
        query: Query,
        answers: Sequence[Answer],
        files: Iterable[bytes],
        names: Sequence[str] = (),
        decision: Decision | None = None,
    ) -> None:
        """Record what came back for an open query, pictures first.

        Args:
            query: The query.
            answers: What came.
            files: The picture of each answer, as the content of a PNG file.
            names: What the file of each answer was called, empty where it came from none; or nothing at all.
            decision: Who brought it, where that is to be recorded.

        Raises:
            QueryDecided: The query is open no longer.
            Refused: Another query has been answered with one of the pictures in the meantime.
            StoreError: Nothing could be written.
        """
        with self._one_sentence():
            for answer, file in zip(answers, files, strict=True):
                self.blobs.put(image_name(answer.image), file)
        try:
            with self.writing() as connection:
                _decide(connection, query.id, "answered", "")
                connection.execute(insert(schema.answers), [answer_row(i, one) for i, one in enumerate(answers)])
                originals.keep(connection, {one.image: name for one, name in zip(answers, names) if name})
                if decision:
                    decisions.keep(connection, query.id, decision)
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise Refused(
                    f"Another query has just been answered with a picture that came for {query.id}: give a new one."
                ) from error
            raise

    def skip(self, query: Query, reason: str, decision: Decision | None = None) -> None:
        """Record that an open query will not be answered.

        Raises:
            QueryDecided: The query is open no longer.
        """
        with self.writing() as connection:
            _decide(connection, query.id, "skipped", readable(reason))
            if decision:
                decisions.keep(connection, query.id, decision)

    def undo(self, query_id: str) -> Withdrawal:
        """Make a decided query of the round that is not closed yet open again.

        Returns:
            What is withdrawn by that. The files of its pictures are kept.

        Raises:
            CannotUndo: The query is open, answered itself, or its round is closed.
        """
        with self.writing() as connection:
            row = connection.execute(select(schema.queries).filter_by(id=query_id)).one()
            return withdrawals.withdraw(connection, query_of(row))

    def add_round(self, round: Round, weights: bytes, withdrawn: int) -> bool:
        """Record what the learner is worth after a round, its weights first, unless that is recorded.

        Args:
            round: What it is worth.
            weights: Its weights.
            withdrawn: How many withdrawals there had been before the answers that it has learnt from were read.

        Returns:
            Whether it was recorded now. If not, another process was quicker, and the weights are those that it kept;
            or an answer has been withdrawn since.
        """
        with self._one_sentence(), self.blobs.prepared(weights_name(round.number), weights) as keep:
            return self._add_round(round, keep, withdrawn)  # others may write until then: it can be gigabytes

    def _add_round(self, round: Round, keep: Callable[[], None], withdrawn: int) -> bool:
        with self.writing() as connection:
            known = select(func.count()).where(schema.rounds.c.number == round.number)
            if connection.execute(known).scalar_one() or withdrawals.count(connection) != withdrawn:
                return False
            keep()
            connection.execute(insert(schema.rounds).values(round_row(round)))
        return True

    def add_features(self, embedding: str, features: Mapping[str, NDArray[np.float64]]) -> None:
        """Keep embeddings by the name of the picture."""
        with self.writing() as connection:
            _insert_features(connection, embedding, features)

    # How

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open one transaction that nobody else writes beside.

        Yields:
            Its connection.

        Raises:
            StoreError: Nothing could be written.
        """
        with self._one_sentence(), self._writing_engine.begin() as connection:
            yield connection


def _decide(connection: Connection, query_id: str, status: str, reason: str) -> None:
    changed = connection.execute(
        update(schema.queries)
        .where(schema.queries.c.id == query_id, schema.queries.c.status == "open")
        .values(status=status, reason=reason)
    )
    if changed.rowcount != 1:
        raise QueryDecided(f"Query {query_id} is open no longer: ask again for the open ones.")


def _insert_features(connection: Connection, embedding: str, features: Mapping[str, NDArray[np.float64]]) -> None:
    if features:
        connection.execute(
            insert(schema.features).prefix_with("OR IGNORE"),
            [{"image": image, "embedding": embedding, "vector": to_blob(row)} for image, row in features.items()],
        )

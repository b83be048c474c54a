"""Taking back what was told: the query is open again, and what had been said is kept as withdrawn.

Every function works on a connection, so that what it does is part of somebody's transaction.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, inspect, select, update

from desiderata.campaign import decisions, schema
from desiderata.campaign.records import Query, Withdrawal
from desiderata.campaign.rows import answer_of, withdrawal_of, withdrawal_row
from desiderata.errors import DesiderataError


class CannotUndo(DesiderataError):
    """There is nothing to take back, or it is too late for it; nothing was changed."""


def withdraw(connection: Connection, query: Query) -> Withdrawal:
    """Record that a query is open again. The connection must hold the write lock.

    Args:
        connection: In a transaction.
        query: As it stands in this transaction.

    Returns:
        What it had been.

    Raises:
        CannotUndo: The query is open, answered itself, or its round is closed.
    """
    if query.status == "open":
        raise CannotUndo(f"Query {query.id} is open, so that there is nothing to undo.")
    last = connection.execute(select(func.max(schema.rounds.c.number))).scalar_one()
    if last is not None and query.round <= last:
        raise CannotUndo(
            f"Query {query.id} cannot be undone any more, because its round {query.round} is closed and what follows "
            "rests on it: go on with other pictures, or make a run without it with `desiderata branch RUN NEW "
            f"--round {query.round - 1}`."
        )
    if query.proposal.feature is not None:
        raise CannotUndo(f"Query {query.id} was answered by its own point, which nobody told: leave it.")
    its = schema.answers.c.query == query.id
    rows = connection.execute(select(schema.answers).where(its).order_by(schema.answers.c.position)).all()
    withdrawal = Withdrawal(query.id, query.status, query.reason, tuple(map(answer_of, rows)))
    schema.withdrawals.create(connection, checkfirst=True)
    connection.execute(insert(schema.withdrawals).values(withdrawal_row(withdrawal)))
    connection.execute(delete(schema.answers).where(its))
    decisions.forget(connection, query.id)
    connection.execute(update(schema.queries).where(schema.queries.c.id == query.id).values(status="open", reason=""))
    return withdrawal


def withdrawn(connection: Connection) -> Sequence[Withdrawal]:
    """Return everything that was taken back, in the order in which it was."""
    if not inspect(connection).has_table(schema.withdrawals.name):
        return ()
    rows = connection.execute(select(schema.withdrawals).order_by(schema.withdrawals.c.number)).all()
    return tuple(map(withdrawal_of, rows))


def count(connection: Connection) -> int:
    """Return how many times something was taken back."""
    if not inspect(connection).has_table(schema.withdrawals.name):
        return 0
    return connection.execute(select(func.count()).select_from(schema.withdrawals)).scalar_one()

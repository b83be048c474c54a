"""Who decided a query, and what that oracle had been told: for people who make the campaign again.

Nothing is learnt from it, so that it is no part of a campaign's history, which holds the source of each answer. All
functions work on a connection, as those of `withdrawals` do.
"""

import json

from sqlalchemy import Connection, delete, insert, inspect, select

from desiderata.campaign import schema
from desiderata.campaign.records import Decision
from desiderata.campaign.rows import to_json
from desiderata.files import readable


def keep(connection: Connection, query_id: str, decision: Decision) -> None:
    """Record who has answered or skipped a query."""
    schema.decisions.create(connection, checkfirst=True)
    row = {"query": query_id, "source": readable(decision.source), "settings": to_json(dict(decision.settings))}
    connection.execute(insert(schema.decisions).prefix_with("OR REPLACE").values(row))


def forget(connection: Connection, query_id: str) -> None:
    """Forget who had decided a query that is open again."""
    if inspect(connection).has_table(schema.decisions.name):
        connection.execute(delete(schema.decisions).where(schema.decisions.c.query == query_id))


def known(connection: Connection) -> dict[str, Decision]:
    """Return what is recorded, by the id of the query; those decided before this was recorded are not in it."""
    if not inspect(connection).has_table(schema.decisions.name):
        return {}
    rows = connection.execute(select(schema.decisions))
    return {row.query: Decision(row.source, json.loads(row.settings)) for row in rows}

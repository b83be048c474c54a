"""What the files were called that pictures came from, each in its folder: for people who look for them again.

Nothing is learnt from a name, so that it is no part of a campaign's history. Both functions work on a connection, as
those of `withdrawals` do.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, insert, inspect, select

from desiderata.campaign import schema
from desiderata.files import readable


def keep(connection: Connection, names: Mapping[str, str]) -> None:
    """Record the name of each picture's file; a picture that is told anew has the name that it came under last.

    Args:
        connection: In a transaction.
        names: By the name of the picture (SHA-256 of its pixels).
    """
    if names:
        schema.originals.create(connection, checkfirst=True)
        connection.execute(
            insert(schema.originals).prefix_with("OR REPLACE"),
            [{"image": image, "name": readable(name)} for image, name in names.items()],
        )


def known(connection: Connection) -> dict[str, str]:
    """Return the names that are recorded, by the name of the picture."""
    if not inspect(connection).has_table(schema.originals.name):
        return {}
    return {row.image: row.name for row in connection.execute(select(schema.originals))}

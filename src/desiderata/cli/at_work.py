"""One command at a time goes on with a run in which a generator is taught."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from desiderata.cli.output import command
from desiderata.cli.taught import Told, opened
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign

AT_WORK = "work.lock"
"""The file of a run that is there while `new`, `run`, `pick` or `ask` goes on with it."""

OTHER_AT_WORK = "Another command is at work in {} at this moment."


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Keep other commands from going on with a run.

    Yields:
        Nothing.

    Raises:
        DesiderataError: One is at work.
    """
    from desiderata.claims import claimed

    with claimed(run / AT_WORK) as mine:
        if not mine:
            raise DesiderataError(
                f"{OTHER_AT_WORK.format(run)} Wait until it is done (`{command('personalize', 'status', run)}` "
                "tells), or stop it."
            )
        yield


@contextmanager
def at_work(run: Path, quiet: bool) -> Iterator[tuple["Campaign", Told]]:
    """Open a run as `opened` does, for a command that goes on with it, and say what is taken back meanwhile.

    Yields:
        As `opened`.

    Raises:
        DesiderataError: Another one is at work, or the run cannot be opened.
    """
    from desiderata.campaign.config import Config

    Config.read(run)  # nothing is made where there is no run
    with alone(run):
        with opened(run, quiet, lines=True) as (campaign, told):
            before = len(campaign.withdrawals)
            yield campaign, told
        late = dict.fromkeys(one.query_id for one in campaign.withdrawals[before:])
        if late and not quiet:
            print(f"Taken back meanwhile, and not learnt as it was: {', '.join(late)}.", file=sys.stderr)


def is_at_work(run: Path) -> bool:
    """Return whether a command goes on with a run at this moment."""
    from desiderata.claims import is_claimed

    return is_claimed(run / AT_WORK)

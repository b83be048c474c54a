"""Where a person picks pictures: a page in a browser, a sheet, and the pictures themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from desiderata.cli.output import called, command, count
from desiderata.cli.taught import write_picture

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query

SIDE = 128
"""Of the pictures on the sheet, in pixels."""


def write_candidates(campaign: "Campaign", run: Path) -> None:
    """Put all pictures that a person may pick among on a page and on a sheet, named as their folders and files are.

    Args:
        campaign: It has asked.
        run: Its directory, as it was given.
    """
    from desiderata.personalize.answers import candidate_files, candidate_row, most_picked
    from desiderata.report.picking import Row, write_picking
    from desiderata.report.sheet import sheet

    queries = [query for query in campaign.queries if query.status == "open"]
    pictures = [candidate_row(campaign, query) for query in queries]
    if not any(picture is not None for row in pictures for picture in row):
        return
    assert campaign.path is not None
    folder = _folder(campaign.path, queries)
    rows = [
        Row(query.text, [path.relative_to(folder).as_posix() for path in candidate_files(campaign, query)])
        for query in queries
    ]
    write_picking(
        folder.with_suffix(".html"),
        f"Round {queries[0].round}: pick what the generator learns from next",
        rows,
        folder=folder.name,
        most=most_picked(campaign),
        command=called("personalize", "pick", run),
    )
    titles = [f"{query.proposal.evidence['anchor']:02.0f}  {query.text}" for query in queries]
    page = sheet(pictures, SIDE, titles, [f"{column:02d}" for column in range(max(map(len, pictures)))])
    write_picture(folder.with_suffix(".png"), page)


def how_to_pick(campaign: "Campaign", run: Path) -> list[str]:
    """Return how the pictures of the open round are picked, line by line."""
    from desiderata.personalize.answers import most_picked

    folder = _folder(run, campaign.queries)
    said = f"Round {max(query.round for query in campaign.queries)}:"
    if (page := folder.with_suffix(".html")).is_file():
        most = count(most_picked(campaign), "picture")
        said += f" open {page} in a browser and click up to {most}; it writes the command. Or"
    sheet = folder.with_suffix(".png")
    look = f"{sheet} and " if sheet.is_file() else ""
    return [
        f"{said} look at {look}the pictures in {folder}, one folder for each sentence, and pick yourself:",
        f"  {command('personalize', 'pick', run)} PICTURES  (or a folder of copies; --none ends the run)",
    ]


def files_picked(campaign: "Campaign", pictures: Sequence[Path]) -> list[Path]:
    """Return the files that are meant, those in folders included; a name may be one in the folder of the round.

    Raises:
        DesiderataError: There is no such file.
    """
    from desiderata.worlds.folder import files_among

    assert campaign.path is not None
    folder = _folder(campaign.path, campaign.queries)
    return files_among([path if path.exists() else _there(folder / path, path) for path in pictures])


def _there(inside: Path, said: Path) -> Path:
    return inside if inside.exists() else said


def _folder(run: Path, queries: "Sequence[Query]") -> Path:
    """Return where the candidates of the last round lie."""
    number = max((query.round for query in queries), default=0)
    return run / "rounds" / f"{number:03d}" / "candidates"

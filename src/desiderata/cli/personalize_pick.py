"""Where a person picks pictures: a page in a browser, a sheet, and the pictures themselves."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desiderata.cli.output import called, command, count
from desiderata.cli.taught import why_stopped, write_picture
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query

SIDE = 128
"""Of the pictures on the sheet, in pixels."""

EXAMPLE = "04/07"
"""What a picture is called, where there is none that could be named."""

LEADS = {
    "object": "Pick those that show the subject as it is, and what their sentence says.",
    "style": "Pick those that look like your pictures, and show what their sentence says.",
}
"""By what to pick, by the kind of the subject."""


def write_candidates(campaign: "Campaign", run: Path) -> None:
    """Put all pictures that a person may pick among on a sheet and on a page, named as their folders and files are.

    Args:
        campaign: It has asked.
        run: Its directory.
    """
    from desiderata.files import readable
    from desiderata.personalize.answers import candidate_files, candidate_row
    from desiderata.personalize.picking import most_picked
    from desiderata.report.picking import Row, write_picking
    from desiderata.report.sheet import sheet

    number = _round(campaign)
    queries = [query for query in campaign.queries if query.round == number]
    pictures = [candidate_row(campaign, query) for query in queries]
    if not any(picture is not None for row in pictures for picture in row):
        return
    titles = [f"{query.proposal.evidence['anchor']:02.0f}  {query.text}" for query in queries]
    columns = [f"{column:02d}" for column in range(max(map(len, pictures)))]
    write_picture(_candidates(run, number, ".png"), sheet(pictures, SIDE, titles, columns))
    told = called("personalize", "pick", run.resolve())
    if told != readable(told):  # no page can say the name of this run
        return
    files = [candidate_files(campaign, query) for query in queries]
    write_picking(
        _candidates(run, number, ".html"),
        f"Round {number}: pick what the generator learns from next",
        LEADS[campaign.config.subject["kind"]],
        [Row(query.text, _named(row, number)) for query, row in zip(queries, files, strict=True)],
        most=most_picked(campaign),
        command=told,
    )


def how_to_pick(campaign: "Campaign", run: Path) -> list[str]:
    """Return how the pictures of the open round are picked, line by line."""
    from desiderata.personalize.picking import most_picked

    number, most = _round(campaign), count(most_picked(campaign), "picture")
    page, sheet = (_candidates(run, number, suffix) for suffix in (".html", ".png"))
    click = f" Open {page} in a browser and click: it writes the command. Or look" if page.is_file() else " Look"
    whole = f"{sheet} and " if sheet.is_file() else ""
    return [
        f"Round {number}: pick up to {most}.{click} at {whole}the pictures in {sheet.with_suffix('')}, one folder "
        "for each sentence:",
        f"  {command('personalize', 'pick', run)} PICTURES  (such as {_example(campaign)} on the sheet, or a folder "
        "of copies; --none ends the run)",
    ]


def files_picked(campaign: "Campaign", pictures: Sequence[Path]) -> list[Path]:
    """Return the files that are meant, those in folders included.

    Args:
        campaign: It has asked.
        pictures: Paths, or the row and the column of the sheet ("04/07"), with the round before them as the page
            writes them ("001/04/07"), or names below the folder `rounds`.

    Returns:
        The files.

    Raises:
        DesiderataError: A picture is not there, or a folder has none.
    """
    from desiderata.worlds.folder import files_among

    return files_among([_meant(campaign, path) for path in pictures])


def cells_picked(campaign: "Campaign", query: "Query") -> list[str]:
    """Return where on the sheet the pictures are that were picked for a query: "04/07"."""
    from PIL import Image

    from desiderata.campaign.images import digest_of
    from desiderata.personalize.answers import candidates

    picked = {answer.image for answer in campaign.answers if answer.query_id == query.id}
    row = round(query.proposal.evidence["anchor"])
    drawn = candidates(campaign, query).items()
    return [f"{row:02d}/{column:02d}" for column, one in drawn if digest_of(Image.fromarray(one)) in picked]


def open_queries(campaign: "Campaign") -> list[dict[str, Any]]:
    """Return the open queries with the files of their pictures, as JSON has them."""
    from desiderata.personalize.answers import candidate_files

    def told(query: "Query") -> dict[str, Any]:
        files = [str(path) for path in candidate_files(campaign, query)] if query.text else []
        return {"id": query.id, "text": query.text, "pictures": files}

    return [told(query) for query in campaign.queries if query.status == "open"]


def _meant(campaign: "Campaign", path: Path) -> Path:
    rounds = _rounds(campaign)
    places = [path, rounds / path]
    if campaign.queries and (cell := re.fullmatch(r"(?:(\d+)[/\\])?(\d+)[/\\](\d+)(\.png)?", str(path), re.ASCII)):
        folder = rounds / f"{int(cell[1] or _round(campaign)):03d}" / "candidates"
        places[:0] = folder.glob(f"{int(cell[2]):02d}-*/{int(cell[3]):02d}.png")
    for place in places:
        if place.exists():
            return place
    check_drawn(campaign, f"{path} is not there, and nothing")
    raise DesiderataError(
        f"{path} is not there: give a picture's row and column on the sheet, such as {_example(campaign)}, or what "
        "the page writes."
    )


def check_drawn(campaign: "Campaign", nothing: str = "Nothing") -> None:
    """Refuse to pick before anything was drawn.

    Args:
        campaign: The campaign.
        nothing: How the sentence begins.

    Raises:
        DesiderataError: Nothing is drawn, and the run has not ended.
    """
    drawn = any(query.round > campaign.store.last_round() for query in campaign.queries)
    if not drawn and not why_stopped(campaign):
        draws = command("personalize", "run", campaign.path)
        raise DesiderataError(f"{nothing} is drawn to pick from yet: `{draws}` draws.")


def _named(files: Sequence[Path], number: int) -> dict[str, str]:
    """Return files by their places on the sheet, and the round, so that an earlier page picks nothing in this."""
    places = {path: f"{number:03d}/{path.parent.name.partition('-')[0]}/{path.stem}" for path in files}
    return {name: f"candidates/{path.parent.name}/{path.name}" for path, name in places.items()}


def _example(campaign: "Campaign") -> str:
    """Return row and column of a picture on the sheet of the last round, one in the midst of it."""
    if not campaign.queries:
        return EXAMPLE
    drawn = sorted((_rounds(campaign) / f"{_round(campaign):03d}" / "candidates").glob("*/*.png"))
    files = [path for path in drawn if "." not in path.stem]  # a blanked one cannot be picked
    if not files:
        return EXAMPLE
    middle = files[len(files) // 2]
    return f"{middle.parent.name.partition('-')[0]}/{middle.stem}"


def _rounds(campaign: "Campaign") -> Path:
    assert campaign.path is not None
    return campaign.path / "rounds"


def _round(campaign: "Campaign") -> int:
    """Return the round that was asked last."""
    return max(query.round for query in campaign.queries)


def _candidates(run: Path, number: int, suffix: str) -> Path:
    return run / "rounds" / f"{number:03d}" / f"candidates{suffix}"

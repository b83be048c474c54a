"""`desiderata ask | tell | skip | run`: the conversation."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desiderata.cli.output import (
    AsJson,
    Run,
    after_json,
    after_words,
    collected,
    command,
    count,
    decided,
    figures,
    query_json,
    round_json,
    show_json,
)
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query

DOUBTFUL = 0.5
"""Below this class agreement a sentence rather names another class than the one that it is meant for."""

QueryId = Annotated[str, typer.Argument(help="The id of the query, as `ask` prints it.", metavar="QUERY")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for one in (ask, tell, skip):
        app.command()(one)
    app.command(name="run")(run_)


def ask(run: Run, json: AsJson = False) -> None:
    """Print the open queries: which images the classifier needs next.

    The same ones again until each is answered or skipped.

    JSON: run, round, queries [{id, round, label, text, status, reason, evidence}].
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.progress import spinner

    campaign = Campaign.open(run)
    before = len(campaign.rounds)
    with spinner("Working out what to ask", quiet=json):
        queries = campaign.ask()
    number = queries[0].round if queries else campaign.rounds[-1].number
    if json:
        show_json({"run": str(run), "round": number, "queries": [query_json(query) for query in queries]})
    elif not queries and len(campaign.rounds) > before and _synthesised(campaign, number):
        print(f"Round {number} is closed: its points were synthesised, so that nobody has to bring anything.")
    elif not queries:
        print(f"Nothing is asked after round {number}: the strategy sees nothing more to gain.")
    else:
        print(f"Round {number}. Please bring:")
        for query in queries:
            print(f"  {query.id}  {query.text}")
            if why := reasons(query):
                typer.secho(f"  {'':{len(query.id)}}  {why}", dim=True)
        first = queries[0].id
        bring = f"{command('tell', run)} ID FILES"
        print(f"Bring one or more pictures for each with `{bring}`; the first tell closes a query.")
        print(f"Such as: {command('tell', run, first)} IMAGE, or: {command('skip', run, first)} --reason …")


def reasons(query: "Query") -> str:
    """Return why a query is asked, in words; empty where nothing is known."""
    from desiderata.describe.template import with_article

    evidence, said = query.proposal.evidence, []
    if (gain := evidence.get("predicted_gain")) is not None:
        what = "help" if gain > 0 else "harm" if gain < 0 else "change nothing"
        thousandths = 1000 * gain
        digits = 0 if abs(thousandths) >= 10 else 1 if abs(thousandths) >= 1 else 2
        said.append(f"predicted to {what} ({thousandths:+.{digits}f} thousandths of a nat)")
    if evidence.get("class_agreement", 1.0) < DOUBTFUL:
        said.append(f"may not show {with_article(query.label)}: skip it if it makes no sense")
    return "; ".join(said)


def _synthesised(campaign: "Campaign", number: int) -> bool:
    made = [query.proposal.feature is not None for query in campaign.queries if query.round == number]
    return bool(made) and all(made)


def tell(
    run: Run,
    query: QueryId,
    files: Annotated[
        list[str], typer.Argument(help="Image files, folders of them, or - for one image on stdin.", metavar="FILES…")
    ],
    label: Annotated[
        str | None,
        typer.Option(help="What the images show, where that is not the class asked for; spelt as its folder, too."),
    ] = None,
    source: Annotated[str, typer.Option(help="Who brought them.")] = "person",
    json: AsJson = False,
) -> None:
    """Answer a query with images: all of them are recorded, or none.

    JSON: run, query, answers [{image, label, weight, source}], open [ids], closed {number, examples, metrics} or
    null.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.progress import spinner

    campaign, images = Campaign.open(run), _images(files)
    with spinner("Recording", quiet=json):
        told = campaign.tell(query, images, _class(label, campaign.classes), source)
    after = after_json(campaign, query)
    if json:
        answers = [{"image": a.image, "label": a.label, "weight": a.weight, "source": a.source} for a in told]
        show_json(after | {"answers": answers})
    else:
        labels = ", ".join(sorted({answer.label for answer in told}))
        print(f"{query}: {count(len(told), 'image')} of {labels} recorded. {after_words(after)}")


def skip(
    run: Run,
    query: QueryId,
    reason: Annotated[str, typer.Option(help="Why: “cannot find this”, “I don't understand this”.")],
    json: AsJson = False,
) -> None:
    """Say that a query will not be answered. It costs nothing.

    JSON: run, query, reason, open [ids], closed {number, examples, metrics} or null.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.progress import spinner

    campaign = Campaign.open(run)
    with spinner("Recording", quiet=json):
        campaign.skip(query, reason)
    after = after_json(campaign, query)
    if json:
        show_json(after | {"reason": reason})
    else:
        print(f"{query}: skipped. {after_words(after)}")


def run_(
    run: Run,
    oracle: Annotated[str, typer.Option(help="Who answers: scene (the Moji world) or archive.")],
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds the campaign has at the end.")],
    archive: Annotated[Path | None, typer.Option(help="The folder that the archive oracle searches.")] = None,
    least_similarity: Annotated[
        float | None,
        typer.Option(help="Of an archive: the least similarity of image and sentence that counts (0.2)."),
    ] = None,
    class_check: Annotated[
        bool | None,
        typer.Option(
            "--class-check/--no-class-check",
            help="Of an archive: whether an image must look like the class asked for (it must).",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Let an oracle answer, round after round. After a kill or Ctrl-C the same command goes on.

    JSON: run, rounds [{number, examples, metrics}], answered, skipped, skipped_because {reason: count}, accepted
    [{query, file or null, label}] (the pictures that came with this call).
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query, Round
    from desiderata.cli.accepted import Noted, show_accepted, show_skipped, skipped_because
    from desiderata.cli.progress import bar, spinner
    from desiderata.collect.build import make_oracle

    options = _archive_options(oracle, archive, least_similarity, class_check)
    campaign = Campaign.open(run)
    with spinner("Opening the campaign", quiet=json):
        campaign.settle()  # a campaign that was stopped while it was made is measured now
    with bar("Reading the archive", quiet=json or oracle != "archive") as reading:
        answering = make_oracle(oracle, campaign, archive=archive, progress=reading, **options)
    if unreadable := getattr(answering, "unreadable", []):
        were = f"{count(len(unreadable), 'file')} of the archive {'was' if len(unreadable) == 1 else 'were'}"
        print(f"{were} left out; the first: {unreadable[0]}", file=sys.stderr)
    noted = Noted(answering)
    with bar("Rounds", quiet=json) as advance:
        done = campaign.rounds[-1].number
        advance(done, rounds)

        def progress(event: Query | Round) -> None:
            if isinstance(event, Round):
                advance(event.number, rounds, figures(event.metrics))

        campaign.run(noted, rounds, progress)
    closed = campaign.rounds
    statuses = [query.status for query in campaign.queries]
    answered, skipped = statuses.count("answered"), statuses.count("skipped")
    accepted, because = noted.accepted(campaign), skipped_because(campaign)
    if json:
        show_json(
            {
                "run": str(run),
                "rounds": [round_json(one) for one in closed],
                "answered": answered,
                "skipped": skipped,
                "skipped_because": because,
                "accepted": accepted,
            }
        )
        return
    show_accepted(accepted)
    if done >= rounds:
        print(f"Nothing to do: {run} has {done} rounds already.")
    elif closed[-1].number < rounds:
        print(f"Nothing is asked after round {closed[-1].number}: the strategy sees nothing more to gain.")
    print(f"{decided(answered, skipped)}, {collected(campaign.answers)} collected.")
    show_skipped(because)
    print(f"Before: {figures(closed[0].metrics)}.\nNow:    {figures(closed[-1].metrics)}.")


def _class(label: str | None, classes: Sequence[str]) -> str | None:
    """Return the class that is meant by `label`: itself, or the one whose folder is spelt so."""
    from desiderata.worlds.folder import class_name

    if label is None or label in classes or (read := class_name(label)) not in classes:
        return label
    return read


def _archive_options(
    oracle: str, archive: Path | None, least_similarity: float | None, class_check: bool | None
) -> dict[str, Any]:
    given = {"least_similarity": least_similarity, "check_class": class_check}
    flags = {
        "--archive": archive,
        "--least-similarity": least_similarity,
        "--class-check" if class_check else "--no-class-check": class_check,
    }
    named = [flag for flag, value in flags.items() if value is not None]
    if oracle != "archive" and named:
        raise DesiderataError(f"{named[0]} goes with --oracle archive, and the oracle is {oracle}: leave it out.")
    return {name: value for name, value in given.items() if value is not None}


def _images(files: list[str]) -> list[Path | bytes]:
    from desiderata.campaign.images import MOST_BYTES
    from desiderata.worlds.folder import image_files

    found: list[Path | bytes] = []
    for name in files:
        path = Path(name)
        if name == "-":
            found.append(sys.stdin.buffer.read(MOST_BYTES + 1))
        elif path.is_dir():
            inside = image_files(path)
            if not inside:
                raise DesiderataError(f"{path} has no JPEG, PNG or WebP images: give another folder, or files.")
            found += inside
        else:
            found.append(path)
    return found

"""`desiderata ask | tell | skip | run`: the conversation."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from desiderata.cli.output import AsJson, Run, after_json, after_words, figures, query_json, round_json, show_json
from desiderata.errors import DesiderataError

QueryId = Annotated[str, typer.Argument(help="The id of the query, as `ask` prints it.", metavar="QUERY")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (ask, tell, skip):
        app.command()(command)
    app.command(name="run")(run_)


def ask(run: Run, json: AsJson = False) -> None:
    """Print the open queries: which images the classifier needs next.

    The same ones again until each is answered or skipped.

    JSON: run, round, queries [{id, round, label, text, status, reason, evidence}].
    """
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    before = len(campaign.rounds)
    queries = campaign.ask()
    number = queries[0].round if queries else campaign.rounds[-1].number
    if json:
        show_json({"run": str(run), "round": number, "queries": [query_json(query) for query in queries]})
    elif not queries and len(campaign.rounds) > before:
        print(f"Round {number} is closed: its points were synthesised, so that nobody has to bring anything.")
    elif not queries:
        print(f"Nothing is asked after round {number}: the strategy sees nothing more to gain.")
    else:
        print(f"Round {number}. Please bring:")
        for query in queries:
            print(f"  {query.id}  {query.text}")
        print(
            f"Then: desiderata tell {run} {queries[0].id} IMAGE, or: desiderata skip {run} {queries[0].id} --reason …"
        )


def tell(
    run: Run,
    query: QueryId,
    files: Annotated[
        list[str], typer.Argument(help="Image files, folders of them, or - for one image on stdin.", metavar="FILES…")
    ],
    label: Annotated[
        str | None, typer.Option(help="What the images show, where that is not the class asked for.")
    ] = None,
    source: Annotated[str, typer.Option(help="Who brought them.")] = "person",
    json: AsJson = False,
) -> None:
    """Answer a query with images: all of them are recorded, or none.

    JSON: run, query, answers [{image, label, weight, source}], open [ids], closed {number, examples, metrics} or
    null.
    """
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    told = campaign.tell(query, _images(files), label, source)
    after = after_json(campaign, query)
    if json:
        answers = [{"image": a.image, "label": a.label, "weight": a.weight, "source": a.source} for a in told]
        show_json(after | {"answers": answers})
    else:
        labels = ", ".join(sorted({answer.label for answer in told}))
        print(f"{query}: {len(told)} image{'s' * (len(told) > 1)} of {labels} recorded. {after_words(after)}")


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

    campaign = Campaign.open(run)
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
        float, typer.Option(help="Of an archive: the least similarity of image and sentence that counts.")
    ] = 0.2,
    class_check: Annotated[
        bool, typer.Option(help="Of an archive: whether an image must look like the class asked for.")
    ] = True,
    json: AsJson = False,
) -> None:
    """Let an oracle answer, round after round. After a kill or Ctrl-C the same command goes on.

    JSON: run, rounds [{number, examples, metrics}], answered, skipped.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query, Round
    from desiderata.cli.progress import bar
    from desiderata.collect.build import make_oracle

    campaign = Campaign.open(run)
    options = {"least_similarity": least_similarity, "check_class": class_check} if oracle == "archive" else {}
    with bar("Reading the archive", quiet=json or oracle != "archive") as reading:
        answering = make_oracle(oracle, campaign, archive=archive, progress=reading, **options)
    if unreadable := getattr(answering, "unreadable", []):
        print(f"{len(unreadable)} files of the archive were left out; the first: {unreadable[0]}", file=sys.stderr)
    with bar("Rounds", quiet=json) as advance:
        done = campaign.rounds[-1].number
        advance(done, rounds)

        def progress(event: Query | Round) -> None:
            if isinstance(event, Round):
                advance(event.number, rounds, figures(event.metrics))

        campaign.run(answering, rounds, progress)
    closed = campaign.rounds
    statuses = [query.status for query in campaign.queries]
    answered, skipped = statuses.count("answered"), statuses.count("skipped")
    if json:
        show_json(
            {
                "run": str(run),
                "rounds": [round_json(one) for one in closed],
                "answered": answered,
                "skipped": skipped,
            }
        )
        return
    if closed[-1].number == done:
        print(f"Nothing to do: {run} has {done} rounds already.")
    print(f"{answered} queries answered, {skipped} skipped, {closed[-1].examples} images collected.")
    print(f"Before: {figures(closed[0].metrics)}.\nNow:    {figures(closed[-1].metrics)}.")


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

"""`desiderata ask | tell | skip | undo`: the conversation."""

from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.output import (
    AsJson,
    Run,
    after_json,
    after_words,
    answer_json,
    closed_words,
    command,
    count,
    query_json,
    round_json,
    show_json,
)

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query

DOUBTFUL = 0.5
"""Below this class agreement a sentence rather names another class than the one that it is meant for."""

CLOSES = " (run, report, predict and export do, too)"

QueryId = Annotated[str, typer.Argument(help="The id of the query, as `ask` prints it.", metavar="QUERY")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for one in (ask, tell, skip, undo):
        app.command()(one)


def ask(run: Run, json: AsJson = False) -> None:
    """Print the open queries: which images the classifier needs next.

    The same ones again until each is answered or skipped. Then the round is closed: its answers are learnt, and
    cannot be undone any more.

    JSON: run, round, queries [{id, round, label, text, status, reason, evidence}], closed {number, examples,
    metrics} (the last round that this call closed) or null.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.progress import spinner

    campaign = Campaign.open(run)
    before = len(campaign.rounds)
    with spinner("Working out what to ask", quiet=json):
        queries = campaign.ask()
    closed = campaign.rounds[before:]
    number = queries[0].round if queries else campaign.rounds[-1].number
    if json:
        asked = [query_json(query) for query in queries]
        last = round_json(closed[-1]) if closed else None
        show_json({"run": str(run), "round": number, "queries": asked, "closed": last})
        return
    made = not queries and bool(closed) and _synthesised(campaign, number)
    for one in closed[:-1] if made else closed:
        if one.number:
            print(closed_words(one))
    if made:
        print(f"Round {number} is closed: its points were synthesised, so that nobody has to bring anything.")
    elif not queries:
        print(f"Nothing is asked after round {number}: the strategy sees nothing more to gain.")
    else:
        print(f"Round {number}. Please bring:")
        for query in queries:
            print(f"  {query.id}  {query.text}")
            if why := reasons(query):
                typer.secho(f"  {'':{len(query.id)}}  {why}", dim=True)
        if any(query.proposal.evidence.get("predicted_gain", 0.0) < 0 for query in queries):
            print("Of a class that is predicted to harm, nothing better is known to ask for; a skip costs nothing.")
        first = queries[0].id
        bring = f"{command('tell', run)} ID FILES"
        print(f"Bring one or more pictures for each with `{bring}`; the first tell closes a query.")
        print(f"Such as: {command('tell', run, first)} IMAGE, or: {command('skip', run, first)} --reason …")
        if campaign.config.world.get("kind") == "moji":
            answered = command("run", run, "--oracle", "scene", "--rounds", number)
            print(f"This world is drawn, so that no photograph will fit; to let it answer itself: {answered}")


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
        list[str],
        typer.Argument(
            help="Image files, folders of them, or - for one image on stdin. The folder that an image lies in, where "
            "it is called like a class, says what the image shows; otherwise it is taken for the class asked for.",
            metavar="FILES…",
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(help="What the images show, where that is not the class asked for; spelt as its folder, too."),
    ] = None,
    source: Annotated[str, typer.Option(help="Who brought them.")] = "person",
    json: AsJson = False,
) -> None:
    """Answer a query with images: all of them are recorded, or none.

    Nothing is learnt from them before the round is closed, which `ask`, `run`, `report`, `predict` and `export` do
    once nothing of it is open; until then `undo` takes them back.

    JSON: run, query, answers [{image, label, weight, source}], open [ids].
    """
    from desiderata.campaign.answers import find_open
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.brought import images_brought, in_words
    from desiderata.cli.progress import spinner

    campaign = Campaign.open(run)
    find_open(campaign.store, query)  # said before files are read
    brought = images_brought(files, label, campaign.classes)
    images, labels = [image for image, _ in brought], [shown for _, shown in brought]
    with spinner("Recording", quiet=json):
        told = campaign.tell(query, images, labels, source, close=False)
    after = after_json(campaign, query)
    if json:
        show_json(after | {"answers": [answer_json(answer) for answer in told]})
    else:
        wanted = next(one.label for one in campaign.queries if one.id == query)
        print(f"{query}: {in_words(told, wanted)} recorded. {after_words(after, others=CLOSES)}")


def skip(
    run: Run,
    query: QueryId,
    reason: Annotated[str, typer.Option(help="Why: “cannot find this”, “I don't understand this”.")],
    json: AsJson = False,
) -> None:
    """Say that a query will not be answered. It costs nothing.

    JSON: run, query, reason, open [ids].
    """
    from desiderata.campaign.loop import Campaign

    record_skip(Campaign.open(run), query, reason, json, others=CLOSES)


def record_skip(campaign: "Campaign", query: str, reason: str, json: bool, *group: str, others: str = "") -> None:
    """Skip a query, and print what is open then.

    Args:
        campaign: On disk.
        query: The id of the query.
        reason: Why.
        json: Whether to print one JSON object.
        group: As for `after_words`.
        others: As for `after_words`.
    """
    campaign.skip(query, reason, close=False)
    after = after_json(campaign, query)
    if json:
        show_json(after | {"reason": reason})
    else:
        print(f"{query}: skipped. {after_words(after, *group, others=others)}")


def undo(run: Run, query: QueryId, json: AsJson = False) -> None:
    """Take back what was told for a query, or its skip, while its round is not closed. The record keeps that it was.

    A round of which nothing is open is closed by the next `ask`, `run`, `report`, `predict` or `export`.

    JSON: run, query, withdrawn {status, reason, answers [{image, label, weight, source}]}, open [ids].
    """
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    withdrawn = campaign.undo(query)
    after = after_json(campaign, query)
    if json:
        answers = [answer_json(answer) for answer in withdrawn.answers]
        was = {"status": withdrawn.status, "reason": withdrawn.reason, "answers": answers}
        show_json({"run": after["run"], "query": query, "withdrawn": was, "open": after["open"]})
    else:
        images = len(withdrawn.answers)
        what = count(images, "image") if withdrawn.status == "answered" else "the skip"
        print(f"{query}: {what} taken back; it is open again. {after_words(after, others=CLOSES)}")

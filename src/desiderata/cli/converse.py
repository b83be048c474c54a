"""`desiderata ask | tell | skip | undo | run`: the conversation."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desiderata.cli.output import (
    AsJson,
    Run,
    after_json,
    after_words,
    answer_json,
    closed_words,
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

ORACLES = ("scene", "archive", "generator")
"""Who can answer by itself; another name is refused where the oracle is made."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for one in (ask, tell, skip, undo):
        app.command()(one)
    app.command(name="run")(run_)


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
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.brought import images_brought, in_words
    from desiderata.cli.progress import spinner

    campaign = Campaign.open(run)
    brought = images_brought(files, label, campaign.classes)
    images, labels = [image for image, _ in brought], [shown for _, shown in brought]
    with spinner("Recording", quiet=json):
        told = campaign.tell(query, images, labels, source, close=False)
    after = after_json(campaign, query)
    if json:
        show_json(after | {"answers": [answer_json(answer) for answer in told]})
    else:
        wanted = next(one.label for one in campaign.queries if one.id == query)
        print(f"{query}: {in_words(told, wanted)} recorded. {after_words(after)}")


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
    from desiderata.cli.progress import spinner

    campaign = Campaign.open(run)
    with spinner("Recording", quiet=json):
        campaign.skip(query, reason, close=False)
    after = after_json(campaign, query)
    if json:
        show_json(after | {"reason": reason})
    else:
        print(f"{query}: skipped. {after_words(after)}")


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
        print(f"{query}: {what} taken back; it is open again. {after_words(after)}")


def run_(
    run: Run,
    oracle: Annotated[str, typer.Option(help="Who answers: scene (the Moji world), archive or generator.")],
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds the campaign has at the end.")],
    archive: Annotated[Path | None, typer.Option(help="The folder that the archive oracle searches.")] = None,
    least_similarity: Annotated[
        float | None,
        typer.Option(
            min=-1, max=1, help="Of an archive: the least similarity of image and sentence that counts (0.2)."
        ),
    ] = None,
    any_class: Annotated[
        bool,
        typer.Option(
            "--any-class", help="Of an archive or a generator: also what does not look like the class asked for."
        ),
    ] = False,
    generator: Annotated[
        str | None,
        typer.Option(help="Of a generator: its name, a Stable Diffusion directory or hub id (moji-diffusion)."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="Of a generator: cpu or cuda (cpu).")] = None,
    review: Annotated[
        bool,
        typer.Option("--review", help="Answer one round and stop before it is learnt, so that `undo` can mend it."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Let an oracle answer, round after round. After a kill or Ctrl-C the same command goes on.

    With `--review` it answers what is open of one round and stops before that is learnt. Look at the pictures
    (`status` lists them), `undo` what is wrong, and `skip` or `tell` it, or let the same command bring another; where
    nothing is open, the same command learns the round and answers the next.

    JSON: run, rounds [{number, examples, metrics}], answered, skipped, skipped_because {reason: count}, accepted
    [{query, file or null, label}] (the pictures that came with this call), review (the round that waits to be looked
    at) or null, generated {asked, drawn, failed, blanked} (queries, and pictures that a generator drew in this call)
    or null.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query, Round
    from desiderata.cli.accepted import Noted, show_accepted, show_skipped, skipped_because
    from desiderata.cli.progress import bar, spinner
    from desiderata.collect.build import make_oracle

    options = _oracle_options(oracle, archive, least_similarity, any_class, generator, device)
    campaign = Campaign.open(run)
    before = campaign.store.last_round()
    with spinner("Opening the campaign", quiet=json):
        campaign.settle()  # a campaign that was stopped while it was made is measured now
    with bar("Reading the archive", quiet=json or oracle != "archive") as reading:
        answering = make_oracle(oracle, campaign, progress=reading, **options)
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

        campaign.run(noted, rounds, progress, close=not review)
    closed = campaign.rounds
    statuses = [query.status for query in campaign.queries]
    answered, skipped = statuses.count("answered"), statuses.count("skipped")
    accepted, because = noted.accepted(campaign), skipped_because(campaign)
    waits = review and campaign.queries and campaign.queries[-1].round > closed[-1].number
    to_review = campaign.queries[-1].round if waits else None
    generated: dict[str, int] | None = getattr(answering, "counts", None)
    if json:
        show_json(
            {
                "run": str(run),
                "rounds": [round_json(one) for one in closed],
                "answered": answered,
                "skipped": skipped,
                "skipped_because": because,
                "accepted": accepted,
                "review": to_review,
                "generated": generated,
            }
        )
        return
    show_accepted(accepted)
    if done >= rounds:
        learnt = f"Round {done} is learnt now, and {run}" if done > before else f"Nothing to do: {run}"
        print(f"{learnt} has {count(done, 'round')}.")
    elif to_review:
        print(
            f"Round {to_review} is not learnt yet. Look at what came; `{command('undo', run, 'QUERY')}` takes back,"
        )
        print(f"and `{command('skip', run, 'QUERY')} --reason …` leaves out. The same command then goes on.")
    elif closed[-1].number < rounds:
        print(f"Nothing is asked after round {closed[-1].number}: the strategy sees nothing more to gain.")
    print(f"{decided(answered, skipped)}, {collected(campaign.answers)} collected.")
    show_skipped(because)
    if generated:
        print(_generated(generated, left_out=not any_class))
    if closed[-1].number:
        print(f"Before: {figures(closed[0].metrics)}.\nNow:    {figures(closed[-1].metrics)}.")


def _oracle_options(
    oracle: str,
    archive: Path | None,
    least_similarity: float | None,
    any_class: bool,
    generator: str | None,
    device: str | None,
) -> dict[str, Any]:
    options = {
        "archive": ("--archive", archive, ("archive",)),
        "least_similarity": ("--least-similarity", least_similarity, ("archive",)),
        "check_class": ("--any-class", False if any_class else None, ("archive", "generator")),
        "generator": ("--generator", generator, ("generator",)),
        "device": ("--device", device, ("generator",)),
    }
    given = {name: option for name, option in options.items() if option[1] is not None}
    for flag, _, oracles in given.values():
        if oracle in ORACLES and oracle not in oracles:
            wanted = " or ".join(oracles)
            raise DesiderataError(f"{flag} goes with --oracle {wanted}, and the oracle is {oracle}: leave it out.")
    return {name: value for name, (_, value, _) in given.items()}


def _generated(counts: Mapping[str, int], *, left_out: bool) -> str:
    drew = f"The generator drew {count(counts['drawn'], 'picture')} for {count(counts['asked'], 'query', 'queries')}"
    unlike = (
        f"{counts['failed']} did not look like the class asked for and {'stayed out' if left_out else 'were kept'}"
    )
    return f"{drew}: {unlike}, {counts['blanked']} were blanked by its safety checker."

"""`desiderata personalize ask | tell | skip | undo`: a person answers what a generator that is taught asks about."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.at_work import OTHER_AT_WORK, at_work, is_at_work
from desiderata.cli.converse import QueryId, record_skip
from desiderata.cli.output import (
    AsJson,
    after_json,
    after_words,
    answer_json,
    command,
    count,
    query_json,
    round_json,
    show_json,
)
from desiderata.cli.taught import TaughtRun, after_all, by_hand, figures, run_words, why_stopped
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query, Round
    from desiderata.personalize.subject import Subject

LEADS = {
    "object": "Please bring a picture of each, with your {} in it:",
    "style": "Please bring a picture of each, in your {}:",
}
"""What is asked for, by the kind of the subject."""

INSTEAD = {
    "object": "of the {} that it drew show what surrounds it in your pictures instead",
    "style": "of the {} that it drew show what your pictures show instead",
}
"""What is wrong with some of its own pictures, by the kind of the subject."""


def ask(run: TaughtRun, json: AsJson = False) -> None:
    """Print the sentences that the generator asks about: of which it lacks a picture.

    The same ones again until each is answered or skipped; then what was brought is learnt, and the next are asked.
    `run` lets it learn pictures of its own for those that are left.

    JSON: run, round, queries [{id, round, label, text, status, reason, evidence, sentence (the text without the
    placeholder)}], closed {number, examples, metrics} (the last round that this call closed) or null, stopped (a
    sentence or null).
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.personalize.subject import Subject

    campaign = Campaign.open(run)
    _check_asks(campaign)
    before = campaign.store.last_round()
    queries = [query for query in campaign.queries if query.status == "open"]
    if not queries:
        with at_work(run, json) as (campaign, told):
            campaign.settle()
            told.round = campaign.store.last_round() + 1
            queries = campaign.ask()
    closed = [one for one in campaign.rounds if one.number > before]
    why, subject = why_stopped(campaign), Subject.read(campaign.config.subject)
    if json:
        asked = [query_json(query) | {"sentence": subject.plain(query.text)} for query in queries]
        last = round_json(closed[-1]) if closed else None
        number = queries[0].round if queries else campaign.rounds[-1].number
        show_json({"run": str(run), "round": number, "queries": asked, "closed": last, "stopped": why or None})
        return
    for one in closed:
        print(_closed_words(campaign, one))
    if queries:
        _show_asked(queries, subject, run)
    else:
        print(f"Nothing is asked after round {campaign.rounds[-1].number}. {why}".rstrip())
        print(f"Next: {command('personalize', 'report', run)}")
        for line in after_all(campaign, run):
            print(line)


def tell(
    run: TaughtRun,
    query: QueryId,
    files: Annotated[
        list[str],
        typer.Argument(help="Image files, folders of them, or - for one image on stdin.", metavar="FILES…"),
    ],
    json: AsJson = False,
) -> None:
    """Answer a query with pictures of your own: all of them are recorded, or none. Each counts as a reference does.

    They are learnt when nothing of the round is open any more, by the next `ask` or `run`; until then `undo` takes
    them back.

    JSON: run, query, answers [{image, label, weight, source}], open [ids].
    """
    from desiderata.campaign.answers import find_open
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.brought import images_brought
    from desiderata.personalize.bringing import bring
    from desiderata.personalize.subject import Subject

    campaign = Campaign.open(run)
    _check_asks(campaign)
    _check_goes_on(campaign, query)
    find_open(campaign.store, query)  # said before files are read
    images = [image for image, _ in images_brought(files, campaign.classes[0], campaign.classes)]
    told = bring(campaign, query, images, close=False)
    after = after_json(campaign, query)
    if json:
        show_json(after | {"answers": [answer_json(answer) for answer in told]})
    else:
        text = next(one.text for one in campaign.queries if one.id == query)
        sentence = Subject.read(campaign.config.subject).plain(text)
        recorded = f"{count(len(told), 'picture')} recorded as “{sentence}”"
        print(f"{query}: {recorded}. {after_words(after, 'personalize')}")


def skip(
    run: TaughtRun,
    query: QueryId,
    reason: Annotated[str, typer.Option(help="Why: “no snow here”.")],
    json: AsJson = False,
) -> None:
    """Say that a query will not be answered. It costs nothing, and its sentence is not asked about again.

    JSON: run, query, reason, open [ids].
    """
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    _check_asks(campaign)
    _check_goes_on(campaign, query)
    record_skip(campaign, query, reason, json, "personalize")


def undo(
    run: TaughtRun,
    query: Annotated[
        str,
        typer.Argument(
            help="The id of the query, which may be left out where there is one only; where pictures are picked, all "
            "of the round is meant."
        ),
    ] = "",
    json: AsJson = False,
) -> None:
    """Take back what was told or picked while it is not learnt. The record keeps that it was.

    What was told or skipped is not learnt before the next `ask` or `run`; what was picked is learnt at once, so stop
    `pick` with Ctrl-C.

    JSON: run, withdrawn [{id, text}], open [{id, text, pictures}].
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.personalize_pick import how_to_pick, open_queries
    from desiderata.personalize.bringing import take_back
    from desiderata.personalize.picking import unpick

    campaign = Campaign.open(run)
    picked = by_hand(campaign)
    withdrawn = unpick(campaign) if picked else [take_back(campaign, query)]
    if json:
        told = [{"id": one.id, "text": one.text} for one in withdrawn]
        show_json({"run": str(run), "withdrawn": told, "open": open_queries(campaign)})
        return
    for one in withdrawn:
        print(f"  {one.id}  {one.text}")
    if is_at_work(run):
        print(f"{OTHER_AT_WORK.format(run)} Where it is learning this, it does that round again.")
    if not picked:
        print("Taken back: it is open again.")
        return
    what = count(len(withdrawn), "sentence")
    print(f"Taken back: the pictures of {what}." if withdrawn else "Taken back: that none was picked.")
    for line in how_to_pick(campaign, run):
        print(line)


def bring_words(run: Path) -> str:
    """Return that a person may answer in place of the generator."""
    return f"Or bring pictures of your own: `{command('personalize', 'ask', run)}` tells of what."


def told_words(campaign: "Campaign", run: Path) -> str:
    """Return how much a person has told that is not learnt yet, and how it is taken back; empty for nothing."""
    from desiderata.personalize.bringing import unlearnt_of_others

    queries = unlearnt_of_others(campaign)
    ids = {query.id for query in queries}
    pictures = sum(answer.query_id in ids for answer in campaign.answers)
    skipped = sum(query.status == "skipped" for query in queries)
    said = [f"{count(pictures, 'picture')} recorded"] if pictures else []
    said += [f"{count(skipped, 'sentence')} skipped"] if skipped else []
    back = command("personalize", "undo", run)
    return f"{', '.join(said)}, not learnt yet; `{back} ID` takes back." if said else ""


def _show_asked(queries: "Sequence[Query]", subject: "Subject", run: Path) -> None:
    print(f"Round {queries[0].round}. {LEADS[subject.kind].format(subject.word)}")
    for query in queries:
        print(f"  {query.id}  {subject.plain(query.text)}")
        found = query.proposal.evidence
        drawn = round(found.get("candidates", 0))
        if wrong := round(found.get("overfitted_share", 0) * drawn):
            typer.secho(f"  {'':{len(query.id)}}  {wrong} {INSTEAD[subject.kind].format(drawn)}", dim=True)
    print(f"One or more for each: {command('personalize', 'tell', run)} ID FILES")
    print(f"What you cannot bring: {command('personalize', 'skip', run)} ID --reason …")
    print(f"Or let it learn pictures of its own for those that are left: {run_words(run, queries[0].round, True)}")


def _closed_words(campaign: "Campaign", closed: "Round") -> str:
    learnt = {query.id for query in campaign.queries if query.round == closed.number and query.status == "answered"}
    nothing = "" if learnt else ", without anything to learn from"
    return f"Round {closed.number} is closed{nothing}: {figures(closed.metrics)}."


def _check_asks(campaign: "Campaign") -> None:
    """Refuse a run in which a person chooses among pictures that were drawn, or which asks for none.

    Raises:
        DesiderataError: It is one.
    """
    name = campaign.config.strategy.get("name")
    if by_hand(campaign):
        drawn = any(query.status == "open" for query in campaign.queries)
        raise DesiderataError(
            f"In {campaign.path} pictures are picked among those that it draws (strategy {name}): go on with "
            f"`{command('personalize', 'pick' if drawn else 'run', campaign.path)}`."
        )
    if str(name).startswith("dreambooth"):
        raise DesiderataError(
            f"{campaign.path} learns from its references alone and asks for nothing (strategy {name}): "
            f"`{command('personalize', 'branch', campaign.path)} NEW --round 0 --strategy uncertainty` makes a run "
            "that asks."
        )


def _check_goes_on(campaign: "Campaign", query: str) -> None:
    """Tell who answers what was never asked that nothing will be.

    Raises:
        DesiderataError: The run has stopped.
    """
    assert campaign.path is not None
    if (why := why_stopped(campaign)) and query not in {one.id for one in campaign.queries}:
        said = " ".join([why, *after_all(campaign, campaign.path)])
        raise DesiderataError(f"{campaign.path} asks for nothing any more. {said}")

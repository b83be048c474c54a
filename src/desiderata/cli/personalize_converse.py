"""`desiderata personalize ask | tell | skip | undo`: a person answers what a generator that is taught asks about."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desiderata.cli.converse import QueryId
from desiderata.cli.output import AsJson, after_json, answer_json, command, count, query_json, round_json, show_json
from desiderata.cli.taught import TaughtRun, by_hand, figures, opened, why_stopped
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query

FULL = 1.0
"""How much a picture counts that a person brings, as one of the references does: a strategy that gives little weight
to the generator's own pictures does so because these may be wrong."""


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

    _check_asks(Campaign.open(run))
    with opened(run, json, lines=True) as (campaign, told):
        before = len(campaign.rounds)
        told.round = campaign.store.last_round() + 1
        queries = campaign.ask()
    closed, why, subject = campaign.rounds[before:], why_stopped(campaign), Subject.read(campaign.config.subject)
    sentences = {query.id: subject.plain(query.text) for query in queries}
    if json:
        show_json(
            {
                "run": str(run),
                "round": queries[0].round if queries else campaign.rounds[-1].number,
                "queries": [query_json(query) | {"sentence": sentences[query.id]} for query in queries],
                "closed": round_json(closed[-1]) if closed else None,
                "stopped": why or None,
            }
        )
        return
    for one in closed:
        print(f"Round {one.number} is closed: {figures(one.metrics)}.")
    if not queries:
        print(f"Nothing is asked after round {campaign.rounds[-1].number}. {why}".rstrip())
        print(f"Next: {command('personalize', 'report', run)}")
        return
    print(f"Round {queries[0].round}. Please bring a picture of each:")
    for query in queries:
        print(f"  {query.id}  {sentences[query.id]}")
        if why := _reason(query):
            typer.secho(f"  {'':{len(query.id)}}  {why}", dim=True)
    print(f"One or more for each: {command('personalize', 'tell', run)} ID FILES")
    print(f"What you cannot bring: {command('personalize', 'skip', run)} ID --reason …")
    own = command("personalize", "run", run, "--rounds", queries[0].round)
    print(f"Or let it learn pictures of its own for those that are left: {own}")


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
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.brought import images_brought

    campaign = Campaign.open(run)
    _check_asks(campaign)
    images = [image for image, _ in images_brought(files, campaign.classes[0], campaign.classes)]
    told = campaign.tell(query, images, weight=FULL, close=False)
    after = after_json(campaign, query)
    if json:
        show_json(after | {"answers": [answer_json(answer) for answer in told]})
    else:
        print(f"{query}: {count(len(told), 'picture')} recorded. {_after(after)}")


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
    campaign.skip(query, reason, close=False)
    after = after_json(campaign, query)
    if json:
        show_json(after | {"reason": reason})
    else:
        print(f"{query}: skipped. {_after(after)}")


def undo(
    run: TaughtRun,
    query: Annotated[
        str, typer.Argument(help="The id of the query; where pictures are picked, all of the round is meant.")
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
    from desiderata.personalize.picking import unpick

    campaign = Campaign.open(run)
    withdrawn = _told_back(campaign, query) if not by_hand(campaign) else unpick(campaign)
    if json:
        told = [{"id": one.id, "text": one.text} for one in withdrawn]
        show_json({"run": str(run), "withdrawn": told, "open": open_queries(campaign)})
        return
    for one in withdrawn:
        print(f"  {one.id}  {one.text}")
    if not by_hand(campaign):
        print("Taken back: it is open again.")
        return
    what = count(len(withdrawn), "sentence")
    print(f"Taken back: the pictures of {what}." if withdrawn else "Taken back: that none was picked.")
    for line in how_to_pick(campaign, run):
        print(line)


def bring_words(run: Path) -> str:
    """Return that a person may answer in place of the generator."""
    return f"Or bring pictures of your own: `{command('personalize', 'ask', run)}` tells of what."


def _told_back(campaign: "Campaign", query: str) -> "list[Query]":
    from desiderata.personalize.looking import unlearnt

    if not query:
        known = ", ".join(one.id for one in unlearnt(campaign)) or "there is none that is not learnt yet"
        raise DesiderataError(f"Which query is to be taken back was not said: give its id ({known}).")
    campaign.undo(query)
    return [one for one in campaign.queries if one.id == query]


def _check_asks(campaign: "Campaign") -> None:
    """Refuse a run in which a person chooses among pictures that were drawn, or which asks for none.

    Raises:
        DesiderataError: It is one.
    """
    name = campaign.config.strategy.get("name")
    if by_hand(campaign):
        raise DesiderataError(
            f"In {campaign.path} pictures are picked among those that it draws (strategy {name}): go on with "
            f"`{command('personalize', 'pick', campaign.path)}`."
        )
    if str(name).startswith("dreambooth"):
        raise DesiderataError(
            f"{campaign.path} learns from its references alone and asks for nothing (strategy {name}): "
            f"`{command('personalize', 'branch', campaign.path)} NEW --round 0 --strategy uncertainty` makes a run "
            "that asks."
        )


def _reason(query: "Query") -> str:
    """Return why a query is asked, in words; empty where nothing was measured."""
    found: dict[str, Any] = dict(query.proposal.evidence)
    if "overfitted_share" not in found:
        return ""
    drawn = int(found["candidates"])
    wrong = round(found["overfitted_share"] * drawn)
    return f"{wrong} of the {drawn} that it drew show what surrounds it in your pictures instead"


def _after(after: dict[str, Any]) -> str:
    if after["open"]:
        return f"{len(after['open'])} still open in this round."
    return (
        f"That was the last of its round, which `{command('personalize', 'ask', after['run'])}` learns; until then "
        f"`{command('personalize', 'undo', after['run'], after['query'])}` takes it back."
    )

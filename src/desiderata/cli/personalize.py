"""`desiderata personalize run | pick | status`: a generator that is taught chooses what else to learn from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desiderata.cli.at_work import OTHER_AT_WORK, at_work, is_at_work
from desiderata.cli.branch import branch_taught, origin_json, origin_words
from desiderata.cli.output import AsJson, command, count, round_json, show_json
from desiderata.cli.personalize_converse import ask, bring_words, skip, tell, told_words, undo
from desiderata.cli.personalize_new import NAMES, new
from desiderata.cli.personalize_pick import (
    cells_picked,
    check_drawn,
    files_picked,
    how_to_pick,
    open_queries,
    write_candidates,
)
from desiderata.cli.personalize_use import export, report, sample
from desiderata.cli.remarks import remarks
from desiderata.cli.taught import (
    ROUNDS,
    TaughtRun,
    after_all,
    by_hand,
    ended,
    figures,
    next_words,
    run_words,
    show_rounds,
    why_stopped,
)
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Teach a generator a subject, and let it choose what else to learn from."
    )
    group.command(epilog=NAMES)(new)
    group.command(name="run")(run_)
    for one in (pick, ask, tell, skip, undo, status, sample, export, report):
        group.command()(one)
    group.command(name="branch")(branch_taught)
    app.add_typer(group, name="personalize")


def run_(
    run: TaughtRun,
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds the campaign has at the end.")] = ROUNDS,
    json: AsJson = False,
) -> None:
    """Let the generator draw, choose among its pictures, and learn them, round after round, until it stops by itself.

    With a strategy that leaves the choice to a person, it draws, writes a page to click on, and waits for `pick`.
    After a kill or Ctrl-C the same command goes on.

    JSON: run, rounds [{number, examples, metrics}], stopped (why it asked for nothing more, or null), open
    [{id, text, pictures}] (for a person to pick from).
    """
    with at_work(run, json) as (campaign, told):
        from desiderata.personalize.answers import OwnSamples

        before = campaign.store.last_round()
        campaign.settle()  # a campaign that was stopped while it learnt
        done = campaign.rounds[-1].number
        told.round = done + 1
        if not by_hand(campaign):
            campaign.run(OwnSamples(campaign), rounds, told.decided)
        elif done < rounds and campaign.ask():
            write_candidates(campaign, run)
    closed, still_open, why = campaign.rounds, open_queries(campaign), why_stopped(campaign)
    if json:
        show_json(
            {
                "run": str(run),
                "rounds": [round_json(one) for one in closed],
                "stopped": why or None,
                "open": still_open,
            }
        )
        return
    show_rounds(campaign)
    for line in remarks(campaign):
        print(line)
    if still_open:
        _show_open(campaign, run, still_open)
    elif why:
        print(ended(campaign))
    elif before >= rounds:
        print(f"Nothing to do: {run} has {count(done, 'round')} already; another one with --rounds {done + 1}.")
    if not still_open:
        print(f"Next: {command('personalize', 'report', run)}")
        for line in after_all(campaign, run):
            print(line)


def pick(
    run: TaughtRun,
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Names from the page or the sheet (04/07), pictures of the round, or copies in a folder.",
            metavar="PICTURES…",
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Pick none, which ends the run.")] = False,
    json: AsJson = False,
) -> None:
    """Pick the pictures that are learnt from next, among those that `run` has drawn. All are taken, or none.

    Then they are learnt, which may be stopped with Ctrl-C: `undo` takes them back, the same command goes on.

    JSON: run, picked [{id, text}], round {number, examples, metrics}, stopped (with --none, or null).
    """
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    _check_by_hand(campaign)
    if not pictures:
        check_drawn(campaign)
    _check_given(pictures, none)
    files = files_picked(campaign, pictures or [])  # what is wrong with them is said before models are loaded
    with at_work(run, json) as (campaign, _):
        from desiderata.personalize import picking

        picked = picking.pick(campaign, files)
        if none:
            campaign.ask()  # there is nothing to ask any more, which is recorded
    last, why = campaign.rounds[-1], why_stopped(campaign)
    if json:
        told = [{"id": query.id, "text": query.text} for query in picked]
        show_json({"run": str(run), "picked": told, "round": round_json(last), "stopped": why or None})
        return
    for query in picked:
        print(f"  {query.id}  {query.text}  ({', '.join(cells_picked(campaign, query))})")
    print(f"Round {last.number} is closed: {figures(last.metrics)}.")
    if why:
        print(ended(campaign))
    print(next_words(campaign, run))


def status(run: TaughtRun, json: AsJson = False) -> None:
    """Print how far a run has come. Loads no model.

    TXT-ALN is the mean CLIP cosine of test pictures to their sentences, IMG-ALN that to the references, OVF the share
    of test pictures that are nearer to what surrounds the references than to their sentence; DINO-ALN is IMG-ALN by a
    second encoder, where the run has one.

    JSON: run, seed, model, encoder, second_encoder (or null), strategy, trainer, subject {kind, word, settings,
    placeholder}, references, rounds [{number, examples, metrics}], stopped (a sentence or null), open [{id, text,
    pictures}], waiting [{id, text}] (pictures chosen and not learnt yet), undone (pictures that were taken back),
    origin {run, round} (or null), at_work (whether another command goes on with it at this moment).
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.personalize.looking import taken_back, unlearnt

    campaign = Campaign.open(run)
    busy = is_at_work(run)
    config, rounds, references = campaign.config, campaign.rounds, len(campaign.store.held())
    still_open, why = open_queries(campaign), why_stopped(campaign)
    if json:
        show_json(
            {
                "run": str(run),
                "seed": config.seed,
                "model": config.generator.get("name", ""),
                "encoder": config.encoder,
                "second_encoder": config.prompts.get("second_encoder"),
                "strategy": config.strategy.get("name", ""),
                "trainer": config.trainer.get("name", ""),
                "subject": dict(config.subject),
                "references": references,
                "rounds": [round_json(one) for one in rounds],
                "stopped": why or None,
                "open": still_open,
                "waiting": _waiting(campaign),
                "undone": taken_back(campaign),
                "origin": origin_json(campaign.store),
                "at_work": busy,
            }
        )
        return
    if rounds:
        show_rounds(campaign)
        if origin := origin_words(campaign):
            print(origin)
        for line in remarks(campaign):
            print(line)
        if undone := taken_back(campaign):
            print(f"Taken back before it was learnt: {count(undone, 'picture')}.")
    else:
        print("Nothing is learnt yet: the campaign is still being made, or was stopped while it was.")
    if busy:
        print(OTHER_AT_WORK.format(run))
        return
    if still_open:
        _show_open(campaign, run, still_open)
        return
    if why:
        print(ended(campaign))
    waiting = _waiting(campaign)
    if told := told_words(campaign, run):
        print(told)
    elif waiting or (by_hand(campaign) and unlearnt(campaign)):
        back = f"; `{command('personalize', 'undo', run)}` takes that back" if by_hand(campaign) else ""
        print(f"{count(len(waiting), 'picture') if waiting else 'None'} chosen and not learnt yet{back}.")
    print(next_words(campaign, run))


def _check_given(pictures: list[Path] | None, none: bool) -> None:
    if none == bool(pictures):
        raise DesiderataError("Give the pictures that you picked, or --none alone to end the run.")


def _check_by_hand(campaign: "Campaign") -> None:
    if not by_hand(campaign):
        raise DesiderataError(
            f"{campaign.path} chooses by itself (strategy {campaign.config.strategy.get('name')}): go on with "
            f"`{command('personalize', 'run', campaign.path)}`."
        )


def _waiting(campaign: "Campaign") -> list[dict[str, str]]:
    """Return what was chosen for the round that is not closed yet, a row for each picture."""
    from desiderata.personalize.looking import unlearnt

    texts = {query.id: query.text for query in unlearnt(campaign)}
    chosen = [answer.query_id for answer in campaign.answers if answer.image and answer.query_id in texts]
    return [{"id": one, "text": texts[one]} for one in chosen]


def _show_open(campaign: "Campaign", run: Path, still_open: list[dict[str, Any]]) -> None:
    from desiderata.personalize.looking import gathered

    if not by_hand(campaign):
        ids = ", ".join(one["id"] for one in still_open)
        print(f"{count(len(still_open), 'picture')} of its own chosen and not learnt yet ({ids}).")
        if told := told_words(campaign, run):
            print(told)
        brings = any(one.brought for one in gathered(campaign))  # who has brought some is asked for more
        own = run_words(run, campaign.store.last_round() + 1, only=bool(told) or brings)
        if brings:
            print(f"Next: {command('personalize', 'ask', run)}")
            print(f"It tells of what to bring pictures; or let it learn its own of this round: `{own}`")
            return
        print(f"Next: {own}")
        print(bring_words(run))
        return
    for line in how_to_pick(campaign, run):
        print(line)

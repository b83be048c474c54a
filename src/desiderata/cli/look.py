"""`desiderata status | report`: looking at a run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.branch import origin_json, origin_words
from desiderata.cli.output import AsJson, Run, collected, command, decided, query_json, round_json, show_json

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Round


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(report)


def status(run: Run, json: AsJson = False) -> None:
    """Print how far a campaign has come. Loads no model.

    JSON: run, seed, encoder, strategy, classes, rounds [{number, examples, metrics}], answered, skipped, undone,
    images, open [{id, round, label, text, status, reason, evidence}], waiting [{query, label, source, original}]
    (what came and is not learnt yet), origin {run, round} (what it was branched from, or null).
    """
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    queries, rounds = campaign.queries, campaign.rounds
    statuses = [query.status for query in queries]
    still_open = [query for query in queries if query.status == "open"]
    answers, undone = campaign.answers, len(campaign.withdrawals)
    waiting = _waiting(campaign)
    if json:
        show_json(
            {
                "run": str(run),
                "seed": campaign.config.seed,
                "encoder": campaign.config.encoder,
                "strategy": campaign.config.strategy.get("name", ""),
                "classes": campaign.classes,
                "rounds": [round_json(one) for one in rounds],
                "answered": statuses.count("answered"),
                "skipped": statuses.count("skipped"),
                "undone": undone,
                "images": sum(bool(answer.image) for answer in answers),
                "open": [query_json(query) for query in still_open],
                "waiting": waiting,
                "origin": origin_json(campaign.store),
            }
        )
        return
    if rounds:
        _show_rounds(rounds)
        if origin := origin_words(campaign):
            print(origin)
    else:
        print("Nothing is measured yet, because the campaign was stopped while it was made.")
    taken_back = f"; {undone} taken back" if undone else ""
    print(f"{decided(statuses.count('answered'), statuses.count('skipped'))}, {collected(answers)}{taken_back}.")
    for one in waiting:
        print(f"  {one['query']}  {one['original'] or 'a picture'}  {one['label']} ({one['source']})")
    if still_open:
        print(f"{len(still_open)} open: {', '.join(q.id for q in still_open)}")
        return
    if queries and (not rounds or queries[-1].round > rounds[-1].number):
        print(
            f"Round {queries[-1].round} is answered and not learnt yet: `ask`, `run`, `report`, `predict` and "
            "`export` learn it; until then `undo` takes back."
        )
    print(f"Next: {command('ask', run)}")


def _waiting(campaign: "Campaign") -> list[dict[str, str]]:
    """Return what came for the round that is not closed yet, in the order asked."""
    last, originals = campaign.store.last_round(), campaign.store.originals()
    rounds = {query.id: query.round for query in campaign.queries}
    return [
        {
            "query": answer.query_id,
            "label": answer.label,
            "source": answer.source,
            "original": originals.get(answer.image, ""),
        }
        for answer in campaign.answers
        if answer.image and rounds[answer.query_id] > last
    ]


def _show_rounds(rounds: "Sequence[Round]") -> None:
    from rich.console import Console
    from rich.table import Table

    shown = [
        name for name in ("validation_accuracy", "test_accuracy", "validation_loss") if name in rounds[0].metrics
    ]
    table = Table("round", "collected", *(name.replace("_", " ") for name in shown), box=None)
    for one in rounds:
        values = [one.metrics[name] for name in shown]
        words = [f"{v:.1%}" if "accuracy" in name else f"{v:.4f}" for name, v in zip(shown, values)]
        table.add_row(str(one.number), str(one.examples), *words)
    Console().print(table)


def report(
    run: Run,
    out: Annotated[Path | None, typer.Option(help="Where to write it; RUN/report.html by default.")] = None,
    json: AsJson = False,
) -> None:
    """Write the report of a campaign: one HTML file that needs nothing else.

    A round of which nothing is open is learnt first, and cannot be undone any more; `status` lists what waits.

    JSON: run, report.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.progress import bar
    from desiderata.files import check_writable

    path = out or run / "report.html"
    campaign = Campaign.open(run)
    check_writable(path, (".html",))
    with bar("Measuring what each answer was worth", quiet=json) as progress:
        _write(campaign, path, progress)
    if json:
        show_json({"run": str(run), "report": str(path)})
    else:
        print(f"Written: {path}")


def _write(campaign: "Campaign", path: Path, progress: "Callable[[int, int], None] | None" = None) -> None:
    from desiderata.cli.again import commands
    from desiderata.report import write_report
    from desiderata.report.build import of_campaign

    campaign.settle()
    write_report(of_campaign(campaign, command=commands(campaign), progress=progress), path)

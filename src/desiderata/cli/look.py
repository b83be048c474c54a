"""`desiderata status | report`: looking at a run."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.output import AsJson, Run, query_json, round_json, show_json

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(report)


def status(run: Run, json: AsJson = False) -> None:
    """Print how far a campaign has come. Loads no model.

    JSON: run, seed, encoder, strategy, classes, rounds [{number, examples, metrics}], answered, skipped, images,
    open [{id, round, label, text, status, reason, evidence}].
    """
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    queries, rounds = campaign.queries, campaign.rounds
    statuses = [query.status for query in queries]
    still_open = [query for query in queries if query.status == "open"]
    images = sum(1 for answer in campaign.answers if answer.image)
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
                "images": images,
                "open": [query_json(query) for query in still_open],
            }
        )
        return
    from rich.console import Console
    from rich.table import Table

    shown = [
        name for name in ("validation_accuracy", "test_accuracy", "validation_loss") if name in rounds[0].metrics
    ]
    table = Table("round", "images", *(name.replace("_", " ") for name in shown), box=None)
    for one in rounds:
        values = [one.metrics[name] for name in shown]
        words = [f"{v:.1%}" if "accuracy" in name else f"{v:.4f}" for name, v in zip(shown, values)]
        table.add_row(str(one.number), str(one.examples), *words)
    Console().print(table)
    print(f"{statuses.count('answered')} queries answered, {statuses.count('skipped')} skipped, {images} images.")
    print(
        f"{len(still_open)} open: {', '.join(q.id for q in still_open)}"
        if still_open
        else f"Next: desiderata ask {run}"
    )


def report(
    run: Run,
    out: Annotated[Path | None, typer.Option(help="Where to write it; RUN/report.html by default.")] = None,
    json: AsJson = False,
) -> None:
    """Write the report of a campaign: one HTML file that needs nothing else.

    JSON: run, report.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.progress import bar

    path = out or run / "report.html"
    with bar("Measuring what each answer was worth", quiet=json) as progress:
        _write(Campaign.open(run), path, progress)
    if json:
        show_json({"run": str(run), "report": str(path)})
    else:
        print(f"Written: {path}")


def _write(campaign: "Campaign", path: Path, progress: "Callable[[int, int], None] | None" = None) -> None:
    from desiderata.report import write_report
    from desiderata.report.build import of_campaign

    campaign.settle()
    write_report(of_campaign(campaign, command=_command(campaign), progress=progress), path)


def _command(campaign: "Campaign") -> str:
    """Return what to type to make this campaign again; empty for one that was made from Python."""
    config = campaign.config
    if config.half != "collect":
        return ""
    words = ["desiderata", "new", campaign.path.name if campaign.path else "RUN"]
    for name, value in config.world.items():
        if name != "kind":
            words += [f"--{name.replace('_', '-')}", str(value)]
        elif value != "folder":
            words += ["--world", str(value)]
    words += ["--encoder", config.encoder, "--strategy", str(config.strategy["name"]), "--seed", str(config.seed)]
    return shlex.join(words + ["--warm-start"] * bool(config.head.get("warm_start")))

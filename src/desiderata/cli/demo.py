"""`desiderata demo`: the main job, start to end, in three minutes."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.output import AsJson, called, command, round_json, show_json
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.config import Config
    from desiderata.campaign.loop import Campaign

METHODS = ("text-influence", "random-text", "genmqd")
"""What the demonstration compares; the first is the one whose queries the report shows in full."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    out: Annotated[Path, typer.Argument(help="Folder of the campaigns and the report.")] = Path("demo"),
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of ten queries.")] = 5,
    setting: Annotated[str, typer.Option(help="Of the Moji world: iid, narrow or shifted.")] = "shifted",
    seed: Annotated[int, typer.Option(min=0, help="Seeds everything.")] = 0,
    json: AsJson = False,
) -> None:
    """Let a classifier say what it lacks, bring it, and write a report. Everything needed is bundled.

    At the end a generator is taught something that it has never seen, where one is bundled.

    JSON: report, rounds [{strategy, examples, test_accuracy}], generator {run, rounds [{number, examples, metrics}]}
    (null without one).
    """
    from desiderata.campaign.config import Config
    from desiderata.campaign.loop import Campaign
    from desiderata.cli import demo_generator
    from desiderata.cli.progress import bar, spinner, stages
    from desiderata.collect.build import create, make_oracle
    from desiderata.files import check_writable
    from desiderata.report import write_report
    from desiderata.report.build import NAMES, of_campaign

    path = out / "report.html"
    check_writable(path, (".html",))
    campaigns: list[Campaign] = []
    with bar("Starting", quiet=json, lines=True) as progress:
        done, steps = 0, len(METHODS) * (rounds + 1)
        for method in METHODS:
            progress(done, steps, f"{NAMES.get(method, method)}: looking at the first pictures")
            run = out / method
            config = Config(seed, "collect", {"kind": "moji", "setting": setting}, "moji-clip", {"name": method})
            campaign = _reopened(run, config) if run.exists() else create(run, config)[0]
            for number in range(1, rounds + 1):
                done += 1
                progress(done, steps, f"{NAMES.get(method, method)}: round {number} of {rounds}")
                campaign.run(make_oracle("scene", campaign), number)
            done += 1
            campaigns.append(campaign)
    generator = None
    if demo_generator.is_there():
        with stages("Teaching a generator", quiet=json, lines=True) as show:
            generator = demo_generator.taught(out, seed, show)
    with spinner("Writing the report", quiet=json, lines=True):
        options = ["--rounds", str(rounds), "--setting", setting, "--seed", str(seed)]
        again = command("demo", out, *options)
        report = of_campaign(campaigns[0], campaigns[1:], title="Demonstration", command=again)
        if generator:
            report = replace(report, sections=[demo_generator.section(generator)])
        write_report(report, path)
    _close(campaigns, generator, path, report.zero_shot, json)


def _reopened(run: Path, config: "Config") -> "Campaign":
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    if campaign.config != config:
        made = campaign.config
        raise DesiderataError(
            f"{run} holds another demonstration (setting {made.world.get('setting')}, seed {made.seed}): choose "
            "another folder, or give its setting and seed."
        )
    return campaign


def _close(
    campaigns: "list[Campaign]", generator: "Campaign | None", path: Path, zero_shot: float | None, json: bool
) -> None:
    rows = [
        (campaign.config.strategy["name"], [(one.examples, one.metrics["test_accuracy"]) for one in campaign.rounds])
        for campaign in campaigns
    ]
    if json:
        listed = [
            {"strategy": name, "examples": n, "test_accuracy": accuracy}
            for name, points in rows
            for n, accuracy in points
        ]
        taught = generator and {"run": str(generator.path), "rounds": [round_json(one) for one in generator.rounds]}
        show_json({"report": str(path), "rounds": listed, "generator": taught})
        return
    from rich.console import Console
    from rich.table import Column, Table

    from desiderata.report.build import NAMES

    table = Table(Column("test accuracy", no_wrap=True), "start", *map(str, range(1, len(rows[0][1]))), box=None)
    for name, points in rows:
        table.add_row(NAMES.get(name, name), *(f"{accuracy:.1%}" for _, accuracy in points))
    Console().print(table)
    if zero_shot is not None:
        print(f"The pretrained encoder alone, told the class names and no picture: {zero_shot:.1%}")
    print("\nAsked last:")
    for query in campaigns[0].queries[-3:]:
        print(f"  {query.text}")
    if generator:
        print(f"\nThe generator's pictures, round by round: {called('personalize', 'report', generator.path)}")
    print(f"\nThe whole story, with pictures: {path}")

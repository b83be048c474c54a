"""`desiderata branch` and `desiderata personalize branch`: a new run that begins as another did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.output import AsJson, Run, command, show_json
from desiderata.cli.taught import TaughtRun, check_installed

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.store import Store

NewRun = Annotated[Path, typer.Argument(help="The directory of the new run.", metavar="NEW")]
Shared = Annotated[
    int | None,
    typer.Option("--round", min=0, help="The last round that both share; without it the last one that is closed."),
]
Strategy = Annotated[str | None, typer.Option(help="What decides from there on; without it as in the other run.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(branch)


def branch(run: Run, new: NewRun, round: Shared = None, strategy: Strategy = None, json: AsJson = False) -> None:
    """Make a new run with all that another has recorded up to a round, to go on from there otherwise.

    The other run is left as it is. Loads no model.

    JSON: run, origin {run, round}, strategy.
    """
    from desiderata.campaign.branching import branch as made
    from desiderata.cli.start import strategy_called

    made(run, new, round=round, strategy=None if strategy is None else {"name": strategy_called(strategy)})
    _show(new, json, "ask")


def branch_taught(
    run: TaughtRun, new: NewRun, round: Shared = None, strategy: Strategy = None, json: AsJson = False
) -> None:
    """Make a new run with all that another has learnt up to a round, to go on from there otherwise.

    The other run is left as it is. Nothing is learnt again, and pictures that are drawn to choose from stay.

    JSON: run, origin {run, round}, strategy.
    """
    check_installed()
    from desiderata.personalize.branching import branch as made

    made(run, new, round=round, strategy=strategy)
    _show(new, json, "personalize", "run")


def origin_json(store: "Store") -> dict[str, object] | None:
    """Return what a run was branched from under its documented keys, run and round; None for one that was not."""
    found = store.origin()
    return None if found is None else {"run": found[0], "round": found[1]}


def origin_words(store: "Store") -> str:
    """Return the same for people; nothing for a run that was not."""
    found = store.origin()
    return "" if found is None else f"Branched from {found[0]} after round {found[1]}."


def shared_rounds(campaign: "Campaign") -> int:
    """Return the last round that a campaign shares with what it was branched from; 0 for one that was not."""
    found = campaign.store.origin()
    return found[1] if found else 0


def branched(campaign: "Campaign", *group: str) -> str:
    """Return the command that branches a campaign off once more; empty for one that was not.

    Args:
        campaign: One on disk.
        group: The group of commands that it belongs to.
    """
    found = campaign.store.origin()
    if found is None or campaign.path is None:
        return ""
    words = [*group, "branch", found[0], campaign.path.resolve().name, "--round", found[1]]
    again = command(*words, "--strategy", campaign.config.strategy["name"])
    return f"{again}  # the report of {found[0]} tells how that was made"


def _show(new: Path, json: bool, *then: str) -> None:
    from desiderata.campaign.config import Config
    from desiderata.campaign.directory import open_store

    store, strategy = open_store(new), Config.read(new).strategy.get("name", "")
    if json:
        show_json({"run": str(new), "origin": origin_json(store), "strategy": strategy})
        return
    who = strategy or "the strategy that it is opened with"
    print(f"{new}: {origin_words(store)[:-1]}; {who} decides from there on.")
    print(f"Next: {command(*then, new)}")

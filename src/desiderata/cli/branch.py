"""`desiderata branch` and `desiderata personalize branch`: a new run that begins as another did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desiderata.cli.output import AsJson, Run, command, count, show_json
from desiderata.cli.personalize_options import check_chooses, settings_said, table
from desiderata.cli.taught import TaughtRun, asks, by_hand, check_installed, next_words

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Answer
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

    JSON: run, origin {run, round}, strategy, left_behind (answers that are not learnt yet).
    """
    from desiderata.cli.start import strategy_called

    _make(run, new, round, None if strategy is None else strategy_called(strategy), {}, json)


def branch_taught(
    run: TaughtRun,
    new: NewRun,
    round: Shared = None,
    strategy: Strategy = None,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Sentences learnt from in a round.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Pictures drawn for each to choose from.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.0, help="λ of balance, no learning rate: how much its own pictures count.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Make a new run with all that another has learnt up to a round, to go on from there otherwise.

    The other run is left as it is. Nothing is learnt again, and pictures that are drawn to choose from stay. What is
    not said stays as it is there.

    JSON: run, origin {run, round}, strategy, left_behind (pictures that are chosen and not learnt yet).
    """
    check_installed()
    from desiderata.campaign.config import Config

    settings = table(k=k, samples=samples, rate=rate)
    name = Config.read(run).strategy.get("name") if strategy is None else strategy
    check_chooses(name or "", **settings)
    _make(run, new, round, strategy, settings, json)


def origin_json(store: "Store") -> dict[str, object] | None:
    """Return what a run was branched from under its documented keys, run and round; None for one that was not."""
    origin = store.origin()
    return origin and {"run": origin.run, "round": origin.round}


def origin_words(campaign: "Campaign") -> str:
    """Return the same for people, and what decides since, where it has a name; nothing for a run that was not."""
    origin, name = campaign.store.origin(), campaign.config.strategy.get("name")
    since = f"; {name} decides from there on" if name else ""
    return f"Branched from {origin.run} after round {origin.round}{since}." if origin else ""


def shared_rounds(campaign: "Campaign") -> int:
    """Return the last round that a campaign shares with what it was branched from; 0 for one that was not."""
    origin = campaign.store.origin()
    return origin.round if origin else 0


def own_name(campaign: "Campaign") -> str:
    """Return what a campaign is called in commands that make it again: as its directory, but not as its origin."""
    name = campaign.path.resolve().name if campaign.path else "RUN"
    origin = campaign.store.origin()
    return f"{name}-branch" if origin and origin.run == name else name


def branched(campaign: "Campaign", *group: str) -> str:
    """Return the command that branches a campaign off once more; empty for one that was not.

    Args:
        campaign: One that was made from the command line.
        group: The group of commands that it belongs to.
    """
    origin = campaign.store.origin()
    if origin is None:
        return ""
    strategy = campaign.config.strategy["name"]
    words = [*group, "branch", origin.run, own_name(campaign), "--round", origin.round]
    same = origin.asked and origin.asked[-1][1] == strategy
    said = ("" if same else strategy) if origin.strategy is None else origin.strategy
    words += ["--strategy", said] * bool(said)
    words += settings_said(strategy, origin.settings)
    called = " ".join(origin.run.split())  # a line that it broke would be a command of its own
    unsaid = {name: value for name, value in origin.settings.items() if f"--{name}" not in words}
    python = f"; with the settings {unsaid!r}, which Python takes" if unsaid else ""
    return f"{command(*words)}  # the report of {called} tells how that was made{python}"


def _make(
    run: Path, new: Path, round: int | None, strategy: str | None, settings: dict[str, Any], json: bool
) -> None:
    from desiderata.campaign.branching import branch as made
    from desiderata.campaign.loop import Campaign

    made(run, new, round=round, strategy=strategy, settings=settings)
    campaign, other = Campaign.open(new), Campaign.open(run)
    name, left = campaign.config.strategy.get("name", ""), _left_behind(other, campaign.rounds[-1].number)
    if json:
        show_json(
            {"run": str(new), "origin": origin_json(campaign.store), "strategy": name, "left_behind": len(left)}
        )
        return
    print(f"{new}: {origin_words(campaign)}")
    if left:
        learns = _learns(other, run)
        what = count(len(left), "answer")
        print(f"{what} of {run} not learnt yet, and not in {new}: `{learns}` learns such, before a branch.")
    if _chooses_the_same(campaign, other):
        print(f"It chooses the same pictures as {run}, unless others are brought, or an option says otherwise.")
    print(_next(campaign, new))


def _chooses_the_same(campaign: "Campaign", other: "Campaign") -> bool:
    """Return whether a branch that is let run does what the other run did: the same strategy chose, and it alone."""
    if campaign.config.half != "personalize" or by_hand(campaign) or not asks(campaign):
        return False
    from desiderata.personalize.looking import decided_by_others

    number = campaign.store.last_round()
    later = shared_rounds(other) <= number < other.store.last_round()
    same = _decides(campaign) == _decides(other)
    return same and later and not any(query.round > number for query in decided_by_others(other))


def _decides(campaign: "Campaign") -> tuple[str, dict[str, Any]]:
    """Return what decides in a personalising campaign, with all its settings, those that nobody gave included."""
    from desiderata.personalize.strategies import make_strategy

    made = make_strategy(**campaign.config.strategy)
    return made.name, vars(made)


def _learns(campaign: "Campaign", run: Path) -> str:
    """Return the command that learns what is recorded, and adds nothing to what somebody brought."""
    if campaign.config.half != "personalize":
        return command("ask", run)
    from desiderata.personalize.bringing import unlearnt_of_others

    return command("personalize", "ask" if unlearnt_of_others(campaign) else "run", run)


def _left_behind(campaign: "Campaign", number: int) -> list["Answer"]:
    """Return the answers that would be in a branch of the last round if they were learnt."""
    if number < (last := campaign.store.last_round()):
        return []
    rounds = {query.id: query.round for query in campaign.queries}
    return [answer for answer in campaign.answers if rounds[answer.query_id] > last]


def _next(campaign: "Campaign", new: Path) -> str:
    if campaign.config.half == "personalize":
        return next_words(campaign, new)
    if campaign.config.half == "python":
        return f"Next, in Python: Campaign.open({str(new)!r}, learner=..., strategy=...)"
    return f"Next: {command('ask', new)}"

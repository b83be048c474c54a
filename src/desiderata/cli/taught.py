"""What the commands of `desiderata personalize` share."""

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.halves import teaching
from desiderata.cli.output import command, count
from desiderata.cli.progress import stages
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from PIL import Image

    from desiderata.campaign.config import Config
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query, Round
    from desiderata.personalize.selection import Selection

TaughtRun = Annotated[Path, typer.Argument(help="The directory of the run.", metavar="RUN", callback=teaching)]
AtRound = Annotated[int | None, typer.Option("--round", min=0, help="After which round; the last one without it.")]

NEEDED = ("accelerate", "diffusers", "peft")
"""The packages of the extra `personalize`."""

ROUNDS = 3
"""After the first, which is plain DreamBooth: four in all, as published."""

FIGURES = {"txt_aln": "TXT-ALN", "img_aln": "IMG-ALN", "dino_aln": "DINO-ALN", "ovf": "OVF"}
"""Figures of a round as both papers' tables call them."""


def check_installed() -> None:
    """Say at once that the extra is missing, before anything is looked at.

    Raises:
        DesiderataError: A package of it is, or this is one of several processes, which would make one run each.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise DesiderataError(
            f"Teaching generators needs packages that are not installed ({', '.join(missing)}): install them with "
            "pip install 'desiderata[personalize]'."
        )
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise DesiderataError(
            "A run is made by one process, and this is one of several (accelerate launch, torchrun): start it alone, "
            "or train on several devices from Python, with a trainer of desiderata.personalize.trainers."
        )


class Told:
    """Shows what a campaign is busy with.

    Attributes:
        round: Which round it is working on.
    """

    def __init__(self, show: Callable[[str, int, int], None]) -> None:
        self._show = show
        self.round = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show a step of a campaign's `Progress`."""
        self._show(f"Round {self.round}: {what[:1].lower()}{what[1:]}" if self.round else what, done, total)

    def decided(self, event: "Query | Round") -> None:
        """Note a step of `Campaign.run`."""
        self.round = getattr(event, "number", self.round - 1) + 1


@contextmanager
def opened(run: Path, quiet: bool, lines: bool = False) -> "Iterator[tuple[Campaign, Told]]":
    """Open a run with its models, and show what it is busy with while the block runs.

    Args:
        run: Its directory.
        quiet: Show nothing.
        lines: Where there is no terminal for a bar, print a line for each thing that is being done.

    Yields:
        The campaign, and what shows its steps.
    """
    check_installed()
    with stages("Opening the campaign", quiet, lines) as show:
        from desiderata.campaign.config import Config
        from desiderata.personalize.build import open_run

        Config.read(run)  # what is wrong with it is said before models are loaded
        told = Told(show)
        campaign = open_run(run, progress=told)
        told.round = campaign.store.last_round() + 1
        yield campaign, told


def check_learnt(campaign: "Campaign", round: int | None) -> int:
    """Return the round that is meant.

    Raises:
        DesiderataError: It is not closed, or none is.
    """
    last = campaign.store.last_round()
    if last < 0:
        raise DesiderataError(
            f"{campaign.path} has learnt nothing yet, because it was stopped while it was made: "
            f"`{command('personalize', 'run', campaign.path)}` goes on."
        )
    if round is not None and round > last:
        raise DesiderataError(f"Round {round} is not closed: the last closed one is {last}.")
    return last if round is None else round


def check_apart(config: "Config", run: Path, path: Path) -> None:
    """Make sure that nothing is written among the pictures that the user gave, unless the run itself lies there.

    Raises:
        DesiderataError: `path` lies there.
    """
    from desiderata.files import check_outside

    for folder in config.given:
        if not run.resolve().is_relative_to(folder.resolve()):
            check_outside(path, folder, "your pictures")


def write_picture(path: Path, page: "Image.Image") -> None:
    """Write a PNG.

    Raises:
        DesiderataError: It cannot be written.
    """
    from desiderata.campaign.images import to_png
    from desiderata.files import write_bytes

    try:
        write_bytes(path, to_png(page))
    except OSError as error:
        raise DesiderataError(f"{path} cannot be written ({error.strerror}): choose another place.") from error


def asks(campaign: "Campaign") -> bool:
    """Return whether its strategy ever asks for a picture: DreamBooth learns from the references alone."""
    return campaign.config.strategy.get("name") != "dreambooth"


def by_hand(campaign: "Campaign") -> bool:
    """Return whether a person picks the pictures."""
    return str(campaign.config.strategy.get("name", "")).startswith("human")


def why_stopped(campaign: "Campaign") -> str:
    """Return why a run asks for nothing more; empty where it does, or was ended from outside."""
    from desiderata.personalize.looking import stopped

    found = stopped(campaign)
    return found.stopped if found else ""


def ended(campaign: "Campaign") -> str:
    """Return when and why a run ended; empty where it goes on."""
    from desiderata.personalize.selection import end_words

    why = why_stopped(campaign)
    return end_words(campaign.rounds[-1].number, why) if why else ""


def next_words(campaign: "Campaign", run: Path) -> str:
    """Return what to type next; a run that is as long as one usually is may have another round."""
    from desiderata.personalize.bringing import unlearnt_of_others

    last = campaign.store.last_round()
    if unlearnt_of_others(campaign):
        return f"Next: {command('personalize', 'ask', run)}"
    if why_stopped(campaign):
        return "\n".join([f"Next: {command('personalize', 'report', run)}", *after_all(campaign, run)])
    if last >= 0 and not asks(campaign):
        return f"Next: {command('personalize', 'report', run)}"
    if last < ROUNDS or any(query.round > last for query in campaign.queries):
        return f"Next: {run_words(run, last + 1)}"
    more = command("personalize", "run", run, "--rounds", last + 1)
    return f"Next: {command('personalize', 'report', run)}, or another round: {more}"


def after_all(campaign: "Campaign", run: Path) -> list[str]:
    """Return what to make of it that Eq. 10 has ended a run of uncertainty; nothing where nothing is left to do."""
    from desiderata.personalize.looking import stopped

    name, end = str(campaign.config.strategy.get("name", "")), stopped(campaign)
    if not name.startswith("uncertainty") or end is None or not any(one.usable for one in end.directions):
        return []
    branch = command("personalize", "branch", run, "NEW", "--round", campaign.store.last_round(), "--strategy")
    return [
        *_what_it_means(campaign, run, end),
        f"To go on all the same: {_with_fewer(campaign, run, end)}`{branch} human` lets you pick, and "
        f"`{branch} random` asks for sentences at random.",
    ]


def _with_fewer(campaign: "Campaign", run: Path, end: "Selection") -> str:
    """Return how the strategy itself goes on, where it is undecided about anything."""
    undecided = sum(one.entropy > 0 for one in end.directions)
    if not 0 < undecided < end.k:
        return ""
    fewer = command("personalize", "branch", run, "NEW", "--round", campaign.store.last_round(), "--k", undecided)
    return f"`{fewer}` asks about what it is undecided about, "


def _what_it_means(campaign: "Campaign", run: Path, end: "Selection") -> list[str]:
    """Return what may be wrong where hardly anything is undecided: the entropies of Eq. 6 are 0 at both ends."""
    from desiderata.personalize.looking import choices
    from desiderata.personalize.pacing import SHARE

    trains = campaign.config.trainer.get("name") != "ip-adapter"
    if _copied(end) > SHARE and trains:
        if _copied(choices(campaign)[0]) <= SHARE:  # by what it had learnt in round 0
            return [
                "It copies the references much, and did less in the beginning: an earlier --round may draw better."
            ]
        gently = command("personalize", "branch", run, "NEW", "--round", 0, "--strategy", "dreambooth-lower-rate")
        return [f"It copies the references much: `{gently}` makes a run that learns them more gently."]
    if not _copied(end):
        there = "a <subject>" if campaign.config.subject.get("kind") == "object" else "a dog in <subject>"
        look = command("personalize", "sample", run, there)
        more = "a higher --learning-rate or more --steps" if trains else "another --trainer, such as dreambooth"
        return [
            "That none of what it drew to choose from is copied may also mean that the subject was not learnt: look "
            f"with `{look}`. If it is not there, make a new run with {more}."
        ]
    return []


def _copied(selection: "Selection") -> float:
    """Return the mean overfitted share of the sentences that had pictures to judge; 0 where none had."""
    shares = [one.share for one in selection.directions if one.usable]
    return sum(shares) / max(len(shares), 1)


def run_words(run: Path, round: int, only: bool = False) -> str:
    """Return the command that lets the generator close a round, and no further one where that `only` is meant."""
    return command("personalize", "run", run, *(["--rounds", round] if only or round > ROUNDS else []))


def figures(metrics: Mapping[str, float]) -> str:
    """Return what a round was measured by, in words."""
    known = [f"{name} {shown(key, metrics[key])}" for key, name in FIGURES.items() if key in metrics]
    if "ovf" in metrics and "pictures" in metrics:  # a share of few says little
        known[-1] += f" of {count(int(metrics['pictures']), 'picture')}"
    return ", ".join(known) or "not measured, since no test pictures are drawn (--pictures 0); look with `sample`"


def shown(key: str, value: float) -> str:
    """Return a figure as it is printed: shares in per cent."""
    return f"{value:.1%}" if key == "ovf" else f"{value:.3f}"


def show_rounds(campaign: "Campaign") -> None:
    """Print a row for each closed round."""
    from rich.console import Console
    from rich.table import Table

    from desiderata.personalize.looking import gathered

    rounds, given = campaign.rounds, count(len(campaign.store.held()), "reference")
    known = [key for key in FIGURES if any(key in one.metrics for one in rounds)]
    table = Table("round", "learnt from", *(FIGURES[key] for key in known), box=None)
    for one, learnt in zip(rounds, gathered(campaign), strict=True):
        values = [shown(key, one.metrics[key]) if key in one.metrics else "–" for key in known]
        more = f" + {learnt.own} of its own" if learnt.own else ""
        more += f" + {learnt.brought} brought" if learnt.brought else ""
        slower = f" at {one.metrics['pace']:.3g} × the rate" if "pace" in one.metrics else ""
        table.add_row(str(one.number), given + more + slower, *values)
    Console().print(table)

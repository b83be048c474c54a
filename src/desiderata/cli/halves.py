"""Runs of one half that are given to a command of the other: one sentence says which command is meant."""

import os
import shlex
import tomllib
from pathlib import Path

import typer

from desiderata.errors import DesiderataError

FILE = "campaign.toml"
"""As `campaign.config.FILE`, which is not imported here, since help is to answer at once."""

TEACHING = {"new": "run"}
"""What a command is called where a generator is taught, if not the same."""

COLLECTING = {"sample": "predict", "pick": "tell"}
"""What it is called where a classifier collects, if not the same."""


def collecting(context: typer.Context, run: Path) -> Path:
    """Let no run pass that teaches a generator; a callback for the argument RUN.

    Returns:
        The run.

    Raises:
        DesiderataError: It does.
    """
    if half_of(run) == "personalize":
        name = str(context.command.name)
        raise DesiderataError(
            f"{run} teaches a generator, which has commands of its own: give "
            f"`{_command('personalize', TEACHING.get(name, name), run)}`."
        )
    return run


def teaching(context: typer.Context, run: Path) -> Path:
    """Let nothing pass but a run that teaches a generator; a callback for the argument RUN.

    Returns:
        The run.

    Raises:
        DesiderataError: There is no run, or one that collects for a classifier.
    """
    half = half_of(run)
    if half == "collect":
        name = str(context.command.name)
        raise DesiderataError(
            f"{run} collects pictures for a classifier, which has commands of its own: give "
            f"`{_command(COLLECTING.get(name, name), run)}`."
        )
    if half is None and not os.path.exists(run / FILE):
        raise DesiderataError(
            f"{run} is not a campaign: check the name, or make one with `{_command('personalize', 'new', run)} "
            "--images FOLDER --subject WORD --setting WORDS`."
        )
    return run


def half_of(run: Path) -> str | None:
    """Return what a run says that it belongs to, without a word about what is wrong with it otherwise."""
    try:
        return tomllib.loads((run / FILE).read_text("utf-8")).get("half")
    except (OSError, ValueError):
        return None


def _command(*words: object) -> str:
    return shlex.join(["desiderata", *map(str, words)])

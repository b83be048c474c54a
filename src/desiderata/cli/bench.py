"""`desiderata bench`: the papers' experiments."""

from pathlib import Path
from typing import Annotated

import typer

from desiderata.cli.output import AsJson, show_json
from desiderata.errors import DesiderataError
from desiderata.threads import use_physical_cores


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Run the papers' experiments.")
    group.command("collect")(collect)
    group.callback()(lambda: None)  # keeps "collect" a word of its own while it is the only command
    app.add_typer(group, name="bench")


def collect(
    out: Annotated[Path, typer.Option(help="Folder of the results; the same command goes on where it stopped.")],
    world: Annotated[str, typer.Option(help="Where the data come from: moji.")] = "moji",
    setting: Annotated[str, typer.Option(help="iid, narrow or shifted; several with commas; all.")] = "all",
    methods: Annotated[str, typer.Option(help="Strategies, with commas between; all.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="How many runs of each.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of ten queries in each run.")] = 50,
    test: Annotated[int, typer.Option(min=1, help="Test pictures of each class.")] = 500,
    encoder: Annotated[str, typer.Option(help="A model's name, directory or hub id.")] = "moji-clip",
    processes: Annotated[int, typer.Option(min=1, help="Runs at a time, each on one core.")] = 1,
    json: AsJson = False,
) -> None:
    """Compare strategies on learning curves, with intervals over seeds.

    JSON: cells [{method, setting, seed, curve [[examples, test accuracy], ...]}, ...], zero_shot, ceiling and
    alike (as many pictures like the test's, added at random) by setting.
    """
    _check_world(world)
    from desiderata.bench.collect import Plan, lines_of_reference, run_plan
    from desiderata.bench.summary import write_summary
    from desiderata.bench.world import Sizes
    from desiderata.cli.progress import bar, spinner
    from desiderata.collect.strategies import STRATEGIES
    from desiderata.worlds.moji.settings import SETTINGS

    use_physical_cores()
    plan = Plan(
        _listed(setting, tuple(SETTINGS)),
        _listed(methods, tuple(STRATEGIES)),
        seeds,
        rounds,
        encoder,
        Sizes(test=test),
    )
    with spinner("Measuring zero-shot and ceiling", quiet=json):
        reference = lines_of_reference(plan, out)
    with bar("Running", quiet=json) as progress:
        results = run_plan(plan, out, processes, progress)
    text = write_summary(results, reference, out)
    if json:
        keys = ("method", "setting", "seed", "curve")
        show_json(
            {
                "cells": [{key: result[key] for key in keys} for result in results],
                "zero_shot": {name: lines["zero_shot"] for name, lines in reference.items()},
                "ceiling": {name: lines["ceiling"] for name, lines in reference.items()},
                "alike": {name: lines["alike"] for name, lines in reference.items()},
            }
        )
        return
    print(text)
    print(f"Raw figures, table and curves are in {out}.")


def _check_world(name: str) -> None:
    if name != "moji":
        raise DesiderataError(f"There is no benchmark on the world {name!r}: the one there is, is moji.")


def _listed(names: str, every: tuple[str, ...]) -> tuple[str, ...]:
    return every if names == "all" else tuple(name.strip() for name in names.split(",") if name.strip())

"""`desiderata new`."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from desiderata.cli.output import AsJson, Run, figures, round_json, show_json
from desiderata.errors import DesiderataError

STRATEGY = "genmqd"
ENCODERS = {"folder": "clip-vit-b32", "moji": "moji-clip"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(new)


def new(
    run: Run,
    images: Annotated[
        Path | None, typer.Option(help="Your labelled images: a folder with one sub-folder for each class.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="A folder like --images, to improve on; without it, a share of --images.")
    ] = None,
    validation_share: Annotated[
        float | None, typer.Option(help="The share of each class that is set aside for validation (0.3).")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="A folder like --images, only to measure on.")] = None,
    captions: Annotated[
        Path | None, typer.Option(help="Sentences that may be asked for, one a line; general ones without it.")
    ] = None,
    world: Annotated[str | None, typer.Option(help="A world to try things in, instead of --images: moji.")] = None,
    setting: Annotated[str, typer.Option(help="Of the moji world: iid, narrow or shifted.")] = "iid",
    encoder: Annotated[
        str | None, typer.Option(help="A model's name, directory or hub id (clip-vit-b32; moji-clip for moji).")
    ] = None,
    strategy: Annotated[str, typer.Option(help="What decides on the queries.")] = STRATEGY,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Go on from the last round's weights; anew every round without it.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seeds everything.")] = 0,
    json: AsJson = False,
) -> None:
    """Make a campaign and measure what the classifier is worth before it asks anything.

    JSON: run, classes, encoder, strategy, seed, examples {initial, validation, test}, copies_left_out, round.
    """
    place = _world(locals())
    from desiderata.campaign.config import Config
    from desiderata.cli.progress import bar
    from desiderata.collect.build import create

    config = Config(
        seed=seed,
        half="collect",
        world=place,
        encoder=_absolute(encoder or ENCODERS[place["kind"]]),
        strategy={"name": strategy},
        head={"warm_start": True} if warm_start else {},
    )
    with bar("Embedding images", quiet=json) as progress:
        campaign, copies = create(run, config, progress)
    parts = Counter(one.part for one in campaign.store.held())
    first = campaign.rounds[0]
    if json:
        show_json(
            {
                "run": str(run),
                "classes": campaign.classes,
                "encoder": config.encoder,
                "strategy": strategy,
                "seed": seed,
                "examples": {part: parts[part] for part in ("initial", "validation", "test")},
                "copies_left_out": copies,
                "round": round_json(first),
            }
        )
        return
    counts = ", ".join(f"{n} {part}" for part, n in parts.items())
    print(f"{run}: {len(campaign.classes)} classes, {counts} images; {figures(first.metrics)}.")
    if copies:
        print(f"{copies} images were left out because they are copies of others.")
    print(f"Next: desiderata ask {run}")


def _absolute(encoder: str) -> str:
    return str(Path(encoder).resolve()) if Path(encoder).is_dir() else encoder


def _world(options: dict[str, Any]) -> dict[str, Any]:
    if (options["images"] is None) == (options["world"] is None):
        raise DesiderataError("A campaign starts from your images or from a world: give either --images or --world.")
    if options["world"] is not None:
        extra = [name for name in ("validation", "validation_share", "test", "captions") if options[name] is not None]
        if extra:
            flag = "--" + extra[0].replace("_", "-")
            raise DesiderataError(f"{flag} goes with --images, and a world brings its own: leave one of them out.")
        if options["world"] not in ENCODERS or options["world"] == "folder":
            raise DesiderataError(f"There is no world called {options['world']!r}: the one there is, is moji.")
        return {"kind": "moji", "setting": options["setting"]}
    if options["validation"] is not None and options["validation_share"] is not None:
        raise DesiderataError("--validation and --validation-share exclude each other: leave one of them out.")
    paths = {name: options[name] for name in ("images", "validation", "test", "captions")}
    world: dict[str, Any] = {"kind": "folder"}
    world |= {name: str(path.resolve()) for name, path in paths.items() if path is not None}
    if options["validation"] is None:
        world["validation_share"] = 0.3 if options["validation_share"] is None else options["validation_share"]
    return world

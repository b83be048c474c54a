"""`desiderata new`."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desiderata.cli.output import AsJson, Run, command, count, figures, round_json, show_json
from desiderata.errors import DesiderataError
from desiderata.formats import ALL_OF

if TYPE_CHECKING:
    from desiderata.campaign.config import Config
    from desiderata.campaign.loop import Campaign

STRATEGIES = ("text-influence", "genmqd", "genmqd-closed", "genmqd-fea", "random-text", "random-description")
"""The names of `collect.strategies.STRATEGIES`, which help lists without importing it; the first is the default."""
SETTING = "iid"
DRAWN = "moji-clip"
"""The bundled encoder, which has seen nothing but drawings."""
ENCODERS = {"folder": "clip-vit-b32", "moji": DRAWN}


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
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave damaged images out; they are an error without it.")
    ] = False,
    captions: Annotated[
        Path | None, typer.Option(help="Sentences that may be asked for, one a line; general ones without it.")
    ] = None,
    world: Annotated[str | None, typer.Option(help="A world to try things in, instead of --images: moji.")] = None,
    setting: Annotated[
        str | None, typer.Option(help="Of the moji world: iid (which it is without this), narrow or shifted.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="A model's name, directory or hub id (clip-vit-b32; moji-clip for moji).")
    ] = None,
    strategy: Annotated[
        str, typer.Option(help=f"What decides on the queries: {', '.join(STRATEGIES)}.")
    ] = STRATEGIES[0],
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Go on from the last round's weights; anew every round without it.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seeds everything.")] = 0,
    json: AsJson = False,
) -> None:
    """Make a campaign and measure what the classifier is worth before it asks anything.

    JSON: run, classes, encoder, strategy, seed, examples {initial, validation, test}, copies_left_out [file],
    files_left_out [file] (no images by their names), unreadable_left_out [file], round, warning (null where there is
    none).
    """
    place = _world(locals())
    strategy = strategy_called(strategy)
    from desiderata.campaign.config import Config

    config = Config(
        seed=seed,
        half="collect",
        world=place,
        encoder=_absolute(encoder or ENCODERS[place["kind"]]),
        strategy={"name": strategy},
        head={"warm_start": True} if warm_start else {},
    )
    begun = _begun(run, config)
    from desiderata.cli.progress import bar
    from desiderata.collect.build import create
    from desiderata.collect.start import LeftOut

    drawn = _drawn(place["kind"], config.encoder)
    with bar("Embedding images", quiet=json) as progress:

        def embedded(done: int, total: int) -> None:
            progress(done, total, "Fitting the classifier" if done == total else None)

        campaign, unused = (begun, LeftOut()) if begun else create(run, config, embedded)
        campaign.settle()
    left_out = _left_out(place)
    shared = [_shared(part, n, rest) for part, (n, rest) in unused.shared.items()]
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
                "copies_left_out": list(unused.copies),
                "files_left_out": list(map(str, left_out)),
                "unreadable_left_out": list(map(str, unused.unreadable)),
                "round": round_json(first),
                "warning": " ".join([drawn or "", *shared]).strip() or None,
            }
        )
        return
    counts = ", ".join(f"{n} {part}" for part, n in parts.items())
    print(f"{run}: {len(campaign.classes)} classes, {counts} images; {figures(first.metrics)}.")
    if not parts["test"]:
        print(
            f"Accuracy is measured on {count(parts['validation'], 'validation picture')}; give --test FOLDER for a "
            "figure that no question was aimed at."
        )
    for sentence in (*([drawn] if drawn else []), *shared):
        print(sentence, file=sys.stderr)
    if unused.copies:
        are = "is a copy of another and was" if len(unused.copies) == 1 else "are copies of others and were"
        print(f"{count(len(unused.copies), 'image')} in all {are} left out ({_named(unused.copies)}).")
    if unused.unreadable:
        print(f"{count(len(unused.unreadable), 'damaged image')} left out ({_named(unused.unreadable)}).")
    if left_out:
        print(f"{count(len(left_out), 'file')} left out ({_named(left_out)}): only {ALL_OF} images are read.")
    print(f"Next: {command('ask', run)}")


def _named(files: Sequence[str | Path]) -> str:
    """Return the first names of a list of files."""
    from desiderata.campaign.answers import listed
    from desiderata.files import in_its_folder

    return listed([in_its_folder(file) for file in files], 3)


def _absolute(encoder: str) -> str:
    """Return a directory's absolute path, and everything else, names of models first, as it is."""
    from desiderata.foundation.registry import MODELS

    if encoder in MODELS:
        return encoder
    return str(Path(encoder).resolve()) if Path(encoder).is_dir() else encoder


def strategy_called(name: str) -> str:
    """Return the strategy that is meant, also where it is written as reports write it: "TextInfluence".

    Raises:
        DesiderataError: There is none of that name.
    """
    letters = {one.replace("-", ""): one for one in STRATEGIES}
    found = letters.get("".join(filter(str.isalpha, name.lower())))
    if found is None:
        raise DesiderataError(f"There is no strategy called {name!r}: choose from {', '.join(STRATEGIES)}.")
    return found


def _begun(run: Path, config: "Config") -> "Campaign | None":
    """Return the campaign that the same command was stopped at while it made it, before its first round was closed.

    Raises:
        DesiderataError: There is a whole campaign, or one that was begun otherwise; that is said at once, before
            pictures are embedded.
    """
    from desiderata.campaign.config import FILE, Config
    from desiderata.campaign.loop import Campaign

    try:
        if not (run / FILE).exists():
            return None
    except OSError:
        return None  # what is wrong with the path is said where the run is made
    other = f"{run} is a campaign already: go on with `{command('ask', run)}`, or choose another name."
    if Config.read(run).to_toml() != config.to_toml():
        raise DesiderataError(other)
    campaign = Campaign.open(run)
    if campaign.rounds:
        raise DesiderataError(other)
    return campaign


def _shared(part: str, n: int, rest: int) -> str:
    """Return the warning that pictures of one folder are in another as well."""
    from desiderata.collect.start import EARLIER

    are, they_were = ("is", "it was") if n == 1 else ("are", "they were")
    return (
        f"{n} of {n + rest} {part} pictures {are} among those to {EARLIER[part]} as well: {they_were} left out, so "
        f"that accuracy is measured on the {rest} that the classifier has not seen."
    )


def _drawn(kind: str, encoder: str) -> str | None:
    """Return the warning that an encoder knows no photographs, where it does not."""
    from desiderata.foundation.registry import BUNDLED_ROOT

    if kind == "folder" and encoder in (DRAWN, str((BUNDLED_ROOT / DRAWN).resolve())):
        return (
            f"{DRAWN} knows drawn scenes only; on photographs its embeddings mean nothing: use it to try things out."
        )
    return None


def _left_out(world: dict[str, Any]) -> list[Path]:
    """Return the files in the folders of a world that are no images by their names."""
    from desiderata.worlds.folder import other_files

    folders = [Path(world[part]) for part in ("images", "validation", "test") if part in world]
    return [path for folder in folders for path in other_files(folder)]


def _world(options: dict[str, Any]) -> dict[str, Any]:
    if (options["images"] is None) == (options["world"] is None):
        raise DesiderataError("A campaign starts from your images or from a world: give either --images or --world.")
    if options["world"] is not None:
        mine = ("validation", "validation_share", "test", "captions", "skip_unreadable")
        extra = [name for name in mine if options[name] not in (None, False)]
        if extra:
            flag = "--" + extra[0].replace("_", "-")
            raise DesiderataError(f"{flag} goes with --images, and a world brings its own: leave one of them out.")
        if options["world"] not in ENCODERS or options["world"] == "folder":
            raise DesiderataError(f"There is no world called {options['world']!r}: the one there is, is moji.")
        return {"kind": "moji", "setting": options["setting"] or SETTING}
    if options["setting"] is not None:
        raise DesiderataError("--setting goes with --world moji, and your images bring their own: leave it out.")
    if options["validation"] is not None and options["validation_share"] is not None:
        raise DesiderataError("--validation and --validation-share exclude each other: leave one of them out.")
    if options["captions"] is not None and not options["captions"].is_file():
        raise DesiderataError(f"{options['captions']} is not a file: give --captions a text file, a sentence a line.")
    paths = {name: options[name] for name in ("images", "validation", "test", "captions")}
    world: dict[str, Any] = {"kind": "folder"}
    world |= {name: str(path.resolve()) for name, path in paths.items() if path is not None}
    if options["skip_unreadable"]:
        world["skip_unreadable"] = True
    if options["validation"] is None:
        world["validation_share"] = 0.3 if options["validation_share"] is None else options["validation_share"]
    return world

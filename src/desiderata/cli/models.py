"""`desiderata models`: which pretrained models there are, and how the bundled ones are made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.output import AsJson, show_json
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.foundation.registry import ModelEntry


DOWNLOADS = {
    "clip-vit-b32": "about 600 MB",
    "clip-vit-l14": "about 1.7 GB",
    "dinov2-base": "about 350 MB",
    "sd-1.4": "about 5.5 GB",
    "sd-1.5": "about 5.5 GB",
    "sd-2-base": "about 5.2 GB",
}
"""What fetching a model from the hub takes."""


TRAINABLE = ("moji-clip", "moji-decap", "moji-judge", "moji-diffusion", "moji-adapter")
"""The bundled models."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="List, describe and train pretrained models.")
    group.command("list")(list_models)
    group.command()(info)
    group.command()(words)
    group.command()(train)
    group.command()(evaluate)
    app.add_typer(group, name="models")


def list_models(json: AsJson = False) -> None:
    """List the models that have a short name.

    JSON: models [{name, kind, bundled, source, about}].
    """
    from desiderata.foundation.registry import MODELS

    if json:
        rows = [
            {"name": m.name, "kind": m.kind, "bundled": m.bundled, "source": m.source, "about": m.about}
            for m in MODELS.values()
        ]
        show_json({"models": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "kind", "where", "about", box=None)
    for model in MODELS.values():
        size = f" ({DOWNLOADS[model.name]})" if model.name in DOWNLOADS else ""
        where = _bundled(model) if model.bundled else model.source + size
        table.add_row(model.name, model.kind, where, model.about)
    Console().print(table)


def _bundled(model: "ModelEntry") -> str:
    from desiderata.foundation.registry import bundled_folder

    return "bundled" if bundled_folder(model).is_dir() else "not in this installation"


def info(
    name: Annotated[str, typer.Argument(help="A name of the list.")],
    json: AsJson = False,
) -> None:
    """Show a model's card.

    JSON: name, kind, bundled, source, about, path, bytes, card.
    """
    from desiderata.foundation.registry import bundled_folder

    model = _entry(name)
    folder = bundled_folder(model) if model.bundled else None
    card = (folder / "README.md").read_text("utf-8") if folder and (folder / "README.md").exists() else ""
    size = (
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        if folder and folder.is_dir()
        else None
    )
    if json:
        show_json(
            {
                "name": name,
                "kind": model.kind,
                "bundled": model.bundled,
                "source": model.source,
                "about": model.about,
                "path": str(folder) if folder else None,
                "bytes": size,
                "card": card,
            }
        )
        return
    if folder is None:
        size = f", {DOWNLOADS[name]}" if name in DOWNLOADS else ""
        print(f"{name}: {model.about}. Fetched from the hub ({model.source}{size}) when it is first used.")
        return
    if not folder.is_dir():
        print(f"{name}: {model.about}. It is not in this installation ({folder} is missing).")
        return
    print(f"{folder} ({(size or 0) / 1e6:.1f} MB)\n\n{card.split('---', 2)[-1].strip()}")


def words(json: AsJson = False) -> None:
    """List what the bundled models have words for: they know drawn scenes of these, and nothing else.

    JSON: things, places, styles, relations.
    """
    from desiderata.worlds.moji.reader import vocabulary

    known = vocabulary()
    if json:
        show_json(dict(known))
        return
    for kind, names in known.items():
        print(f"{kind}: {', '.join(names)}\n")
    print('As in "two cats next to a dog on the beach, in sepia"; at most three things in a picture.')


def _entry(name: str) -> "ModelEntry":
    from desiderata.foundation.registry import MODELS

    if name not in MODELS:
        raise DesiderataError(f"No model is called {name!r}; choose from {', '.join(MODELS)}.")
    return MODELS[name]


def train(
    name: Annotated[str, typer.Argument(help=f"{', '.join(TRAINABLE)}.")],
    work: Annotated[Path, typer.Option(help="Folder of scenes and checkpoints; the same command goes on from it.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the finished model; WORK/NAME by default.")] = None,
    encoder: Annotated[
        str, typer.Option(help="For moji-decap, moji-diffusion, moji-adapter: the encoder that they read from.")
    ] = "moji-clip",
    generator: Annotated[str, typer.Option(help="For moji-adapter: what it is for.")] = "moji-diffusion",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0 for torch's choice.")] = 0,
    json: AsJson = False,
) -> None:
    """Train a bundled model as it was trained for shipping. An interrupted call is resumed by the same call.

    JSON: model, path.
    """
    _check_trainable(name)
    import torch

    if threads:
        torch.set_num_threads(threads)
    folder = out or work / name
    if name == "moji-clip":
        from desiderata.training.moji_clip import Recipe, Trainer
        from desiderata.training.refine import Refinement, Refiner

        trainer = Trainer(work, Recipe(), device)
        trainer.run()
        refiner = Refiner(trainer, work, Refinement())
        trainer.save(folder, refiner.run())
    elif name == "moji-judge":
        from desiderata.foundation.judge_network import save_network
        from desiderata.training.judge import JudgeRecipe, JudgeTrainer

        save_network(JudgeTrainer(work, JudgeRecipe()).run(), folder)
    elif name == "moji-diffusion":
        _train_generator(work, encoder, device, folder)
    elif name == "moji-adapter":
        from desiderata.training.moji_adapter import train_moji_adapter

        train_moji_adapter(work, folder, generator=generator, encoder=encoder, device=device)
    else:
        from desiderata.training.moji_decap import train_moji_decap

        train_moji_decap(work, encoder).save(folder)
    if json:
        show_json({"model": name, "path": str(folder)})
    else:
        print(f"Written: {folder}")


def _train_generator(work: Path, encoder: str, device: str, folder: Path) -> None:
    from desiderata.training.moji_diffusion import DiffusionRecipe, DiffusionTrainer

    trainer = DiffusionTrainer(work, DiffusionRecipe(), device, encoder)
    trainer.run()
    trainer.save(folder)


def _check_trainable(name: str) -> None:
    if name not in TRAINABLE:
        raise DesiderataError(f"{name!r} cannot be trained here: choose from {', '.join(TRAINABLE)}.")


def evaluate(
    name: Annotated[str, typer.Argument(help="A bundled model, or a directory of the same kind.")],
    encoder: Annotated[str, typer.Option(help="For a decoder: the encoder whose embeddings it reads.")] = "moji-clip",
    generator: Annotated[str, typer.Option(help="For an adapter: what it is for.")] = "moji-diffusion",
    judge: Annotated[
        str, typer.Option(help="For a generator or an adapter: who looks at the pictures.")
    ] = "moji-judge",
    sheet: Annotated[Path | None, typer.Option(help="For a generator: a PNG of the first 48 pictures.")] = None,
    device: Annotated[str, typer.Option(help="For a generator or an adapter: cpu or cuda.")] = "cpu",
    n: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Held-out scenes: for an encoder or a decoder a multiple of 1,000, 5,000 by default; "
            "for a judge 1,000, for a generator 500, for an adapter 200.",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Measure a model on held-out scenes of the Moji world.

    JSON: model, scenes, and one key for each figure; see the model cards.
    """
    from desiderata.cli.progress import spinner
    from desiderata.describe.decap import EXTRAS, load_decoder
    from desiderata.foundation.encoder import load_encoder
    from desiderata.foundation.registry import locate
    from desiderata.personalize.trainers.adapted import ADAPTER_FILE
    from desiderata.training.evaluate import evaluate_decoder, evaluate_descriptions, evaluate_encoder

    folder = Path(locate(name))
    if (folder / "model_index.json").exists():
        n = n or 500
        figures = _evaluate_generator(name, judge, n, sheet, device, json)
    elif (folder / ADAPTER_FILE).exists():
        n = n or 200
        figures = _evaluate_adapter(name, generator, judge, n, device, json)
    elif _is_judge(folder):
        from desiderata.foundation.judge import load_judge
        from desiderata.training.evaluate_judge import evaluate_judge

        n = n or 1000
        with spinner("Measuring on held-out scenes", quiet=json):
            figures = evaluate_judge(load_judge(name), n)
    else:
        n = n or 5000
        _check_thousands(n)
        with spinner("Measuring on held-out scenes", quiet=json):
            if (folder / EXTRAS).exists():
                decoder, reads = load_decoder(name), load_encoder(encoder)
                figures = evaluate_decoder(decoder, reads, n) | evaluate_descriptions(decoder, reads, n)
            else:
                figures = evaluate_encoder(load_encoder(name), n)
    if json:
        show_json({"model": name, "scenes": n, **figures})
        return
    for title, value in figures.items():
        print(f"{title:32} {value:.4f}")


def _check_thousands(n: int) -> None:
    if n % 1000:
        raise DesiderataError(f"{n} held-out scenes cannot be cut into thousands: give a multiple of 1,000.")


def _is_judge(folder: Path) -> bool:
    from desiderata.foundation.registry import BUNDLED_ROOT

    config = folder / "config.json"
    return folder == BUNDLED_ROOT / "moji-judge" or (config.is_file() and '"concepts"' in config.read_text("utf-8"))


def _evaluate_adapter(name: str, generator: str, judge: str, n: int, device: str, quiet: bool) -> dict[str, float]:
    from desiderata.cli.progress import bar
    from desiderata.foundation.generator import load_generator
    from desiderata.foundation.judge import load_judge
    from desiderata.personalize.trainers.ip_adapter import IPAdapter
    from desiderata.training.evaluate_adapter import evaluate_adapter

    looks, base = load_judge(judge), load_generator(generator, device=device)
    with bar("Drawing after held-out scenes", quiet=quiet) as progress:
        return evaluate_adapter(IPAdapter(name), base, looks, n, progress)


def _evaluate_generator(
    name: str, judge: str, n: int, sheet: Path | None, device: str, quiet: bool
) -> dict[str, float]:
    from desiderata.cli.progress import bar
    from desiderata.files import check_writable
    from desiderata.foundation.generator import load_generator
    from desiderata.foundation.judge import load_judge
    from desiderata.training.evaluate_generator import evaluate_generator

    if sheet is not None:
        check_writable(sheet, (".png",))
    looks, generator = load_judge(judge), load_generator(name, device=device)
    with bar("Drawing held-out captions", quiet=quiet) as progress:
        made = evaluate_generator(generator, looks, n, progress=progress)
    if sheet is not None:
        made.sheet(sheet)
    return made.figures

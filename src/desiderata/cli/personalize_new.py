"""`desiderata personalize new`: a generator is taught a subject."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desiderata.cli.at_work import alone, at_work
from desiderata.cli.expectations import BUNDLED, before_learning
from desiderata.cli.output import AsJson, command, count, round_json, show_json
from desiderata.cli.panels import in_panels
from desiderata.cli.personalize_options import (
    adapter_for,
    check_chooses,
    check_class_pictures,
    check_learns,
    check_measured,
    check_named,
    sentences,
    table,
    unless,
)
from desiderata.cli.progress import stages
from desiderata.cli.taught import Told, asks, check_installed, figures
from desiderata.cli.unfinished import unfinished

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign

STRATEGIES = (
    "uncertainty-balance",
    "uncertainty-balance-steady",
    "uncertainty",
    "human",
    "human-balance",
    "clip-feedback",
    "clip-feedback-balance",
    "random",
    "random-balance",
    "dreambooth",
    "dreambooth-lower-rate",
    "dreambooth-equal-steps",
    "random-equal-weight",
)
"""The names of `personalize.strategies.STRATEGIES`, which help lists without importing it; the usual one first, and
last those that are controls of experiments."""
TRAINERS = ("dreambooth", "dreambooth-lora", "textual-inversion", "custom-diffusion", "ip-adapter")
"""The names of `personalize.recipes.TRAINERS`, likewise."""

NAMES = (
    f"Strategies: {', '.join(STRATEGIES[:-2])}; and for experiments {' and '.join(STRATEGIES[-2:])}. Where it copies "
    "your pictures whatever is asked, take dreambooth-lower-rate; where you want a say in it, human. Trainers: "
    f"{', '.join(TRAINERS)}."
)
"""Stands below the options, where there is room for whole names."""

PANELS = {
    "The generator": ("model", "device", "precision", "batch"),
    "What it chooses": ("strategy", "anchors", "k", "samples", "rate"),
    "How it learns": (
        "trainer",
        "steps",
        "learning_rate",
        "class_pictures",
        "class_images",
        "prior",
        "adapter",
        "gradient_checkpointing",
    ),
    "How it is measured": ("test", "pictures", "encoder", "second_encoder"),
}
"""Options by what they are about; "Options" has what every run says: pictures, words, seed."""


@in_panels(PANELS)
def new(
    run: Annotated[Path, typer.Argument(help="The directory of the run.", metavar="RUN")],
    images: Annotated[Path, typer.Option(help="A folder with a few pictures of the subject; it is only read.")],
    subject: Annotated[str, typer.Option(help="Its class noun, such as toy; of a style: watercolor painting style.")],
    setting: Annotated[
        list[str],
        typer.Option(
            help="What else the pictures show, such as “on a wooden table”, or of a style “a cat”; once for all "
            "pictures, or once for each in the order of their names."
        ),
    ],
    kind: Annotated[str, typer.Option(help="object or style.")] = "object",
    placeholder: Annotated[str, typer.Option(help="The word that the subject is called by.")] = "sks",
    model: Annotated[str, typer.Option(help="A generator's name, directory or hub id, such as sd-1.4.")] = BUNDLED,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32, float16 (to draw; it learns in float32) or bfloat16 (for both); float32 without it, but "
            f"{BUNDLED} computes in bfloat16 where that is faster."
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Pictures drawn at a time; 8, of {BUNDLED} 16. Fewer need less memory, and more time."
        ),
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="What decides on what to learn from; the names are listed below.")
    ] = STRATEGIES[0],
    anchors: Annotated[
        str | None,
        typer.Option(
            help="What it may learn: moji, authors, or a file with a sentence a line and {} for the subject."
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Sentences learnt from in a round (3).")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Pictures drawn for each to choose from (10).")] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.0, help="λ of balance, no learning rate: how much its own pictures count (0.005)."),
    ] = None,
    trainer: Annotated[str, typer.Option(help="How it learns; the names are listed below.")] = TRAINERS[0],
    steps: Annotated[
        int | None,
        typer.Option(min=1, help=f"Training steps of each round; as published, or as suits {BUNDLED} (200)."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Of the trainer; too high a one draws the pictures again, whatever is asked. As published (5e-6), "
            f"or as suits {BUNDLED} (2e-4, of a style 1e-4)."
        ),
    ] = None,
    class_pictures: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of an object: how many others of its class are drawn and learnt, so that it does not forget them "
            f"(200; of {BUNDLED} 48; 0 for none).",
        ),
    ] = None,
    class_images: Annotated[
        Path | None, typer.Option(help="A folder with such pictures, which are learnt in place of drawn ones.")
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(help="Their weight: full (1), or published, that of the picture that each is paired with."),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="Of ip-adapter: its directory, hub id or .safetensors file (on the hub owner/model/FILE), beside "
            "which its image_encoder lies; the bundled model has its own."
        ),
    ] = None,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option("--gradient-checkpointing", help="Learn the same in less memory and a third more time."),
    ] = False,
    test: Annotated[
        str | None, typer.Option(help="What it is measured by: moji, everyday, or a file like that of --anchors.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=0, help="Pictures drawn for each of these in each round; 0 measures nothing.")
    ] = 4,
    encoder: Annotated[
        str | None,
        typer.Option(help="The CLIP model that judges: name, directory or hub id; the one that goes with the model."),
    ] = None,
    second_encoder: Annotated[
        str | None,
        typer.Option(
            help="A DINOv2 model that measures likeness to the pictures besides (DINO-ALN): dinov2-base, or its "
            "directory or hub id; none without it."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seeds everything.")] = 0,
    json: AsJson = False,
) -> None:
    """Teach a generator a subject from a few pictures, and measure what came of it.

    It has then learnt the pictures as they are (DreamBooth); `run` lets it choose what else to learn from. After
    Ctrl-C the same command goes on.

    JSON: run, model, encoder, second_encoder (or null), strategy, trainer, subject {kind, word, settings,
    placeholder}, references, seed, round {number, examples, metrics}, warning (null where there is none).
    """
    check_installed()
    check_named("strategy", strategy, STRATEGIES)
    check_named("trainer", trainer, TRAINERS)
    from desiderata.personalize.pictures import reference_files
    from desiderata.personalize.subject import Subject

    wanted: dict[str, Any] = {
        "subject": subject,
        "setting": setting,
        "kind": kind,
        "placeholder": placeholder,
        "generator": table(name=model, device=unless(device, "auto"), precision=precision, batch=batch),
        "encoder": encoder,
        "second_encoder": second_encoder,
        "strategy": table(name=strategy, k=k, samples=samples, rate=rate),
        "trainer": table(
            name=trainer,
            steps=steps,
            learning_rate=learning_rate,
            class_pictures=class_pictures,
            prior=prior,
            gradient_checkpointing=gradient_checkpointing or None,
            adapter=adapter_for(trainer, adapter, model),
        ),
        "anchors": sentences(anchors, kind),
        "test": sentences(test, kind),
        "pictures": pictures,
        "class_images": class_images,
        "seed": seed,
    }
    check_learns(
        trainer,
        steps=steps,
        learning_rate=learning_rate,
        prior=prior,
        gradient_checkpointing=gradient_checkpointing or None,
    )
    resumed = unfinished(run, images, wanted)
    if not resumed:
        check_class_pictures(kind, trainer, class_pictures, class_images, prior)
        check_measured(pictures, test=test, second_encoder=second_encoder)
        check_chooses(strategy, k=k, samples=samples, rate=rate)
        reference_files(images)  # what is wrong with them is said before the models are loaded
        Subject.of(subject, kind=kind, setting=setting, placeholder=placeholder)  # it says what is wrong with them
    warning = before_learning(
        images, subject, setting, kind, placeholder, bundled=model == BUNDLED, device=device, precision=precision
    )

    def warn() -> None:
        if warning and not json:
            print(warning, file=sys.stderr)

    if resumed:
        warn()
        with at_work(run, json) as (campaign, _):
            campaign.settle()
    else:
        campaign = _made(run, images, wanted, quiet=json, checked=warn)  # before minutes are spent on it
    config, first = campaign.config, campaign.rounds[0]
    references = len(campaign.store.held())
    if json:
        show_json(
            {
                "run": str(run),
                "model": config.generator["name"],
                "encoder": config.encoder,
                "second_encoder": config.prompts.get("second_encoder"),
                "strategy": config.strategy["name"],
                "trainer": config.trainer["name"],
                "subject": dict(config.subject),
                "references": references,
                "seed": seed,
                "round": round_json(first),
                "warning": warning or None,
            }
        )
        return
    named = f"{placeholder} {subject}".strip()
    print(f"{run}: {named} learnt from {count(references, 'picture')}; {figures(first.metrics)}.")
    then = "run" if asks(campaign) else "report"
    print(f"Next: {command('personalize', then, run)}")


def _made(run: Path, images: Path, wanted: dict[str, Any], quiet: bool, checked: Callable[[], None]) -> "Campaign":
    with stages("Getting ready", quiet, lines=True) as show:
        from desiderata.personalize.quickstart import new_campaign

        campaign = new_campaign(run, images, **wanted, progress=Told(show), checked=checked, settle=False)
        with alone(run):
            campaign.settle()
        return campaign

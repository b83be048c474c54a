"""How long one round of GAL takes by this library's schedule and by the authors', in one run."""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from PIL import Image

from desiderata.bench.personalize_authors import Job, Taken, authors_round
from desiderata.bench.personalize_subjects import Case
from desiderata.bench.personalize_task import SMALL
from desiderata.campaign.loop import Campaign
from desiderata.errors import DesiderataError
from desiderata.files import write_text
from desiderata.foundation.encoder import ClipEncoder, load_encoder
from desiderata.foundation.generator import Generator, load_generator
from desiderata.foundation.sampling import Sampling
from desiderata.personalize.anchors import anchor_templates, anchors_of
from desiderata.personalize.learner import PersonalizeLearner
from desiderata.personalize.pictures import Reference, square
from desiderata.personalize.recipes import default_trainer, make_trainer
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.strategies import make_strategy
from desiderata.personalize.teaching import Progress
from desiderata.personalize.trainers.dreambooth import DreamBooth
from desiderata.personalize.trainers.recipe import Recipe
from desiderata.randomness import stream
from desiderata.worlds.moji.held_out import draw
from desiderata.worlds.moji.scene import BACKGROUNDS, Group, Scene

CASE = Case("roller skate", 0)
"""What is learnt; the yellow wall behind it is none of the directions."""

PRECISIONS = ("bfloat16", "float32")


@dataclass(frozen=True)
class Speed:
    """Both times, and what was timed.

    Attributes:
        model: Name of the generator.
        device: What it ran on.
        threads: Processor threads.
        steps: Optimiser steps.
        learnt: Pictures that went through the network in training, class pictures included.
        drawn: Candidates.
        denoising: Steps for each of them.
        size: Pixels on a side.
        precision: Of this library's schedule.
        autocast: Whether the authors' candidates were drawn in half precision, too.
        ours: Seconds of this library's schedule.
        authors: Seconds of the authors' schedule, in full precision.
    """

    model: str
    device: str
    threads: int
    steps: int
    learnt: int
    drawn: int
    denoising: int
    size: int
    precision: str
    autocast: bool
    ours: Taken
    authors: Taken

    @property
    def ratio(self) -> float:
        """How many times as long the authors' schedule takes."""
        return self.authors.total / self.ours.total

    def table(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "ratio": self.ratio}

    def text(self) -> str:
        """Return it as Markdown."""
        autocast = " (candidates under autocast)" if self.autocast else ""
        rows = ((f"authors', float32{autocast}", self.authors), (f"ours, {self.precision}", self.ours))
        lines = [f"| {name} | {t.learning:.1f} | {t.asking:.1f} | {t.total:.1f} |" for name, t in rows]
        one, two = self.authors.learning / self.ours.learning, self.authors.asking / self.ours.asking
        return "\n".join(
            (
                f"One round of GAL with {self.model} at {self.size} px on {self.device}, {self.threads} threads: "
                f"{self.steps} steps of DreamBooth ({self.learnt} pictures), then {self.drawn} candidates of "
                f"{self.denoising} denoising steps, judged by CLIP.",
                "",
                "| schedule | learning, s | drawing and judging, s | round, s |",
                "|---|---|---|---|",
                *lines,
                f"| times as fast | {one:.1f} | {two:.1f} | **{self.ratio:.1f}** |",
                "",
            )
        )


def make_job(
    generator: Generator,
    encoder: ClipEncoder,
    *,
    steps: int | None = None,
    samples: int = 10,
    anchors: int = 18,
    seed: int = 0,
) -> Job:
    """Return a round on a subject of the Moji world.

    Args:
        generator: Any Stable Diffusion 1.x or 2.x model, float32.
        encoder: CLIP.
        steps: Optimiser steps; as many as suit the model by default.
        samples: m, pictures for each direction.
        anchors: How many directions.
        seed: Of everything.

    Returns:
        The job: its class pictures are rendered, as many as a round would draw, and no more than are learnt from.

    Raises:
        DesiderataError: A number is below 1.
    """
    if min(samples, anchors, 1 if steps is None else steps) < 1:
        raise DesiderataError("steps, samples and anchors must be at least 1: give more.")
    small = generator.size <= SMALL
    table = default_trainer("dreambooth", "object", "moji-diffusion" if small else "")
    size, subject = generator.size, CASE.subject
    recipe: Recipe = cast(DreamBooth, make_trainer(table, subject)).recipe
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    references = [square(Image.fromarray(image), size) for image in CASE.references(size)]
    captions = subject.captions(len(references))
    classes = min(table["class_pictures"], recipe.steps * recipe.batch * recipe.accumulation)
    words = subject.class_prompt or ""
    return Job(
        generator,
        encoder,
        subject,
        [TrainingImage(image, caption) for image, caption in zip(references, captions, strict=True)],
        [TrainingImage(_class_picture(number, seed, size), words) for number in range(classes)],
        recipe,
        anchors_of(subject, CASE.templates(anchor_templates("moji", "object")))[:anchors],
        samples,
        seed,
    )


def our_round(
    job: Job, *, precision: str = "bfloat16", batch: int | None = None, progress: Progress | None = None
) -> Taken:
    """Take one round as every campaign does: learn from the references, and ask.

    Args:
        job: What to do.
        precision: "bfloat16" or "float32", of the network.
        batch: Pictures drawn at a time; as the model says by default.
        progress: Told what takes time.

    Returns:
        How long it took.
    """
    generator = job.generator
    before, half = generator.sampling, precision == "bfloat16"
    trainer = DreamBooth(replace(job.recipe, precision="bfloat16" if half else "float32"))
    given = [Reference(f"{number}.png", one.image) for number, one in enumerate(job.references)]
    classes = [Reference(f"class {number}", one.image) for number, one in enumerate(job.prior)]
    try:
        generator.sampling = replace(before, half=half, batch=batch or before.batch)
        learner = PersonalizeLearner(
            generator,
            job.encoder,
            trainer,
            job.subject,
            given,
            anchors=[anchor.template for anchor in job.anchors],
            class_pictures=classes,
            seed=job.seed,
            progress=progress,
        )
        strategy = make_strategy("uncertainty-balance", samples=job.samples)
        started = time.monotonic()
        campaign = Campaign.create(None, learner=learner, strategy=strategy, seed=job.seed)
        learnt = time.monotonic()
        campaign.ask()
        return Taken(learnt - started, time.monotonic() - learnt)
    finally:
        generator.sampling = before


def measure(
    generator: Generator,
    encoder: ClipEncoder,
    *,
    steps: int | None = None,
    samples: int = 10,
    anchors: int = 18,
    precision: str = "bfloat16",
    batch: int | None = None,
    autocast: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Speed:
    """Time one round by both schedules, after a step and a picture of each that are not timed.

    Args:
        generator: The model, float32.
        encoder: CLIP.
        steps: As for `make_job`.
        samples: As for `make_job`.
        anchors: As for `make_job`.
        precision: As for `our_round`.
        batch: As for `our_round`.
        autocast: As for `authors_round`.
        progress: Called with how much of what is done, of how much, and what it is.

    Returns:
        Both times.

    Raises:
        DesiderataError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise DesiderataError(f"precision is {precision!r}: give {' or '.join(PRECISIONS)}.")
    report = progress or (lambda _done, _all, _what: None)
    job = make_job(generator, encoder, steps=steps, samples=samples, anchors=anchors)
    first = replace(job, recipe=replace(job.recipe, steps=1), anchors=job.anchors[:1], samples=1)
    with TemporaryDirectory() as folder:
        our_round(first, precision=precision, batch=batch)
        ours = our_round(
            job, precision=precision, batch=batch, progress=lambda what, done, of: report(done, of, f"ours: {what}")
        )
        authors_round(first, Path(folder), autocast=autocast)
        theirs = authors_round(
            job, Path(folder), autocast=autocast, progress=lambda done, of: report(done, of, "the authors'")
        )
    passes = job.recipe.steps * job.recipe.batch * job.recipe.accumulation
    device = generator.device
    return Speed(
        model=Path(generator.name).name,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        threads=torch.get_num_threads(),
        steps=job.recipe.steps,
        learnt=passes * (2 if job.prior else 1),
        drawn=job.pictures,
        denoising=generator.sampling.steps,
        size=generator.size,
        precision=precision,
        autocast=autocast,
        ours=ours,
        authors=theirs,
    )


def models(model: str, encoder: str, device: str, *, random_sd14: bool = False) -> tuple[Generator, ClipEncoder]:
    """Return what is timed.

    Args:
        model: Name or directory of a generator.
        encoder: Of a CLIP model.
        device: "cpu" or "cuda".
        random_sd14: Take random models of Stable Diffusion 1.4's and CLIP ViT-B/32's shapes in their stead.

    Returns:
        The generator, float32, and the encoder.
    """
    if not random_sd14:
        return load_generator(model, device=device), load_encoder(encoder, device=device)
    from desiderata.bench.personalize_shapes import random_clip
    from desiderata.bench.personalize_shapes import random_sd14 as make

    return make(device, Sampling(solver="dpm-solver++")), random_clip(device)


def write_speed(speed: Speed, out: Path) -> Mapping[str, Any]:
    """Return the table, written to `speed-MODEL-DEVICE.json`, and as text to the same name in `.md`."""
    name = "-".join(f"speed {speed.model} {speed.device}".lower().replace("/", " ").split())
    write_text(out / f"{name}.json", json.dumps(speed.table(), indent=1) + "\n")
    write_text(out / f"{name}.md", speed.text())
    return speed.table()


def _class_picture(number: int, seed: int, size: int) -> Any:
    rng = stream(seed, "class picture", number)
    scene = Scene((Group(CASE.content),), None, str(rng.choice(BACKGROUNDS)), "photo")
    return square(Image.fromarray(draw(scene, rng, max(size, 64))), size)


def _processor() -> str:
    return platform.processor() or platform.machine()

"""One round of GAL by the authors' schedule, written from what their code does, to be timed against.

The same pictures, steps and model as in this library, but one picture at a time, in full precision, with nothing
kept: every step opens the file of its picture, encodes it and its caption anew; every candidate is drawn alone from
its sentence; and CLIP looks at every candidate alone, with its sentences.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from desiderata.campaign.images import to_png
from desiderata.files import write_bytes
from desiderata.foundation.encoder import ClipEncoder
from desiderata.foundation.generator import Generator
from desiderata.foundation.pipelines import quiet
from desiderata.foundation.sampling import set_for, to_pixels
from desiderata.personalize.anchors import Anchor
from desiderata.personalize.candidates import candidate_seeds
from desiderata.personalize.drawing import Report
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.subject import Subject
from desiderata.personalize.trainers.objective import target, weighted_loss
from desiderata.personalize.trainers.recipe import Recipe
from desiderata.personalize.trainers.schedule import Schedule


@dataclass(frozen=True, eq=False)
class Job:
    """One round: what is learnt and drawn, by whichever schedule.

    Attributes:
        generator: The base model, float32.
        encoder: CLIP.
        subject: In words.
        references: Pictures of it with captions.
        prior: Class pictures with captions; none for a style.
        recipe: Steps, sizes and rates.
        anchors: The directions.
        samples: m, pictures drawn for each.
        seed: Of everything.
    """

    generator: Generator
    encoder: ClipEncoder
    subject: Subject
    references: Sequence[TrainingImage]
    prior: Sequence[TrainingImage]
    recipe: Recipe
    anchors: Sequence[Anchor]
    samples: int
    seed: int

    @property
    def pictures(self) -> int:
        """How many candidates there are."""
        return len(self.anchors) * self.samples


@dataclass(frozen=True)
class Taken:
    """Seconds.

    Attributes:
        learning: From the references alone, to the last step.
        asking: Drawing candidates, judging them and choosing.
    """

    learning: float
    asking: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.learning + self.asking


def authors_round(job: Job, folder: Path, *, autocast: bool = False, progress: Report | None = None) -> Taken:
    """Take one round of the authors' schedule.

    Args:
        job: What to do.
        folder: Where the pictures to learn from are put as files.
        autocast: Whether candidates are drawn in half precision all the same, as the authors' code does on CUDA.
        progress: Called with the steps and pictures done, and all of them.

    Returns:
        How long it took.
    """
    lesson = [*job.references, *job.prior]
    files = [folder / f"{number:04d}.png" for number in range(len(lesson))]
    for file, one in zip(files, lesson, strict=True):
        write_bytes(file, to_png(Image.fromarray(one.image)))
    report = progress or (lambda _done, _all: None)
    total = job.recipe.steps + job.pictures
    pupil = job.generator.copy()
    pupil.unet.set_default_attn_processor()
    started = time.monotonic()
    _learn(job, pupil, files, lambda done: report(done, total))
    _finish(pupil)
    learnt = time.monotonic()
    with torch.autocast(pupil.device.type) if autocast else nullcontext():
        _ask(job, pupil, lambda done: report(job.recipe.steps + done, total))
    _finish(pupil)
    return Taken(learnt - started, time.monotonic() - learnt)


def _learn(job: Job, pupil: Generator, files: Sequence[Path], report: Callable[[int], None]) -> None:
    recipe, captions = job.recipe, [one.caption for one in (*job.references, *job.prior)]
    alone = replace(recipe, batch=1, accumulation=recipe.accumulation * recipe.batch)
    schedule = Schedule([one.weight for one in job.references], len(job.prior), alone, job.seed)
    unet = pupil.unet.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(
        unet.parameters(), recipe.learning_rate, recipe.betas, recipe.epsilon, recipe.weight_decay
    )
    noise_schedule = pupil.noise_schedule()
    for step in range(recipe.steps):
        optimizer.zero_grad()
        for draw in schedule.step(step):
            latents = torch.cat([_encoded(pupil, files[row]) for row in draw.rows])
            words = torch.cat([_words(pupil, captions[row]) for row in draw.rows])
            noise = torch.randn_like(latents)
            timesteps = torch.randint(noise_schedule.config["num_train_timesteps"], latents.shape[:1])
            timesteps = timesteps.to(latents.device)
            noisy = noise_schedule.add_noise(latents, noise, cast(Any, timesteps))
            wanted = target(noise_schedule, latents, noise, timesteps)
            made = unet(noisy, timesteps, encoder_hidden_states=words).sample
            weighted_loss(made, wanted, torch.from_numpy(draw.factors)).backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), recipe.clip)
        optimizer.step()
        report(step + 1)
    unet.eval().requires_grad_(False)


@torch.no_grad()
def _encoded(pupil: Generator, file: Path) -> torch.Tensor:
    with Image.open(file) as image:
        pixels = np.asarray(ImageOps.fit(image.convert("RGB"), (pupil.size, pupil.size), Image.Resampling.BILINEAR))
    signal = torch.from_numpy(pixels[None].copy()).to(pupil.device).permute(0, 3, 1, 2) / 127.5 - 1
    encoded = pupil.vae.encode(signal)
    latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample()
    return latents * pupil.vae.config.scaling_factor


@torch.no_grad()
def _words(pupil: Generator, caption: str) -> torch.Tensor:
    with quiet():
        return pupil.pipeline.encode_prompt(caption, pupil.device, 1, False)[0]


def _ask(job: Job, pupil: Generator, report: Callable[[int], None]) -> list[float]:
    used = replace(pupil.sampling, batch=1, half=False)
    plain, figures = job.subject.non_subjects, []
    with set_for(pupil.pipeline, used), torch.no_grad():
        for anchor in job.anchors:
            for seed in candidate_seeds(job.seed, 1, anchor, job.samples):
                with quiet():
                    output = cast(Any, pupil.pipeline)(
                        anchor.prompt,
                        num_inference_steps=used.steps,
                        guidance_scale=used.guidance,
                        generator=torch.Generator().manual_seed(seed),
                        output_type="np",
                    )
                figures.append(_margin(job.encoder, to_pixels(output.images)[0], anchor.prompt, plain))
                report(len(figures))
    return figures


def _margin(encoder: ClipEncoder, image: NDArray[np.uint8], prompt: str, plain: Sequence[str]) -> float:
    # a new one around the same model each time: it has kept no sentence, and fills no batch up
    alone = ClipEncoder(encoder.model, encoder._tokenizer, encoder._processor, encoder.name, encoder._device, 1)
    cosines = alone.texts([prompt, *plain]) @ alone.images([image])[0]
    return float(cosines[0] - cosines[1:].max())


def _finish(pupil: Generator) -> None:
    if pupil.device.type == "cuda":
        torch.cuda.synchronize()

"""How an IP-Adapter is made for a generator: from many pictures with captions, once for all subjects."""

import copy
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import sqrt
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPModel, CLIPVisionModelWithProjection

from desiderata.errors import DesiderataError
from desiderata.files import as_umask_says
from desiderata.foundation.generator import Generator
from desiderata.foundation.pipelines import quiet
from desiderata.foundation.weights import load_model
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.adapted import (
    ADAPTER_FILE,
    TOKENS,
    adapter_parameters,
    attach,
    cross_attention,
)
from desiderata.personalize.trainers.ip_adapter import TOWER, embed
from desiderata.personalize.trainers.lesson import Lesson
from desiderata.personalize.trainers.loop import Batch, Progress
from desiderata.personalize.trainers.recipe import AS_USUAL, MOJI_ADAPTER, Recipe, Running
from desiderata.personalize.trainers.trainer import key_of
from desiderata.randomness import stream

DROP = 0.05
"""Share of pictures shown without their reference, without their caption, and without both, as published."""

MOJI_SILENT = 0.5
"""Share of pictures shown without their caption where that leaves nothing to be told by the picture, as in the Moji
world: its captions name every thing that is there, and what a sentence says anyway is not learnt from a picture."""


def train_adapter(
    base: Generator,
    tower: CLIPVisionModelWithProjection,
    images: Sequence[TrainingImage],
    seed: int,
    *,
    silent: float,
    recipe: Recipe = MOJI_ADAPTER,
    running: Running = AS_USUAL,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Tensor]:
    """Train an adapter: each picture is denoised with its own embedding as its reference.

    Args:
        base: What it is for; left as it is.
        tower: The picture tower that it reads; see `picture_tower`.
        images: Pictures with captions, many and various; latents and embeddings are computed once.
        seed: Seeds everything that is drawn.
        silent: Share of pictures shown with their reference and without their caption, at most 1 - 2 `DROP`; `DROP`
            as published, `MOJI_SILENT` where captions say all that there is.
        recipe: What makes the result what it is.
        running: How it is run; previews are not made.
        checkpoint: As for `Trainer.train`.
        progress: As for `Trainer.train`.

    Returns:
        The adapter's tensors under the names that they have in its file.

    Raises:
        DesiderataError: `silent` is no such share.
    """
    if not 0 <= silent <= 1 - 2 * DROP:
        raise DesiderataError(
            f"A share of {silent:g} cannot be shown without its caption: give 0 to {1 - 2 * DROP:g}."
        )
    lesson = Lesson.of(base, images, (), seed, recipe, running)
    pupil = lesson.pupil()
    attach(pupil, _fresh(pupil, tower.config.projection_dim, seed))
    pupil.unet.train().requires_grad_(False)
    parameters = adapter_parameters(pupil)
    for value in parameters.values():
        value.requires_grad_(True)
    seen = embed(tower, [image.image for image in images])

    def predict(batch: Batch) -> Tensor:
        said, shown = told(batch.chance, silent)
        captions = [images[row].caption if words else "" for row, words in zip(batch.rows, said, strict=True)]
        shown = torch.from_numpy(shown).unsqueeze(1)
        references = torch.where(shown, seen[batch.rows], 0).unsqueeze(1).to(pupil.device)
        with quiet(), torch.no_grad(), torch.autocast(pupil.device.type, enabled=False):
            words = pupil.pipeline.encode_prompt(captions, pupil.device, 1, False)[0]
        beside: Any = {"image_embeds": [references]}
        return pupil.unet(batch.noisy, batch.timesteps, encoder_hidden_states=words, added_cond_kwargs=beside).sample

    digest = hashlib.sha256(seen.numpy().tobytes()).hexdigest()
    key = key_of("adapter", recipe=asdict(recipe), silent=silent, tower=digest)
    return lesson.run(parameters, predict, key, checkpoint=checkpoint, progress=progress)


def told(chance: NDArray[np.float64], silent: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw what the pictures of a batch are shown with.

    Args:
        chance: Shape (n,), uniform in [0, 1).
        silent: As for `train_adapter`.

    Returns:
        Which have their caption, and which have their reference; shape (n,) each. `DROP` have none of the two.
    """
    without_caption, without_reference = chance < silent + DROP, (chance < DROP) | (chance >= 1 - DROP)
    return ~without_caption, ~without_reference


def picture_tower(name: str = "moji-clip") -> CLIPVisionModelWithProjection:
    """Return the picture half of a CLIP model, by itself.

    Args:
        name: As for `registry.locate`.

    Returns:
        The tower with its projection, frozen, float32.
    """
    whole = load_model(CLIPModel, name)
    settings = copy.deepcopy(whole.config.vision_config)
    cast(Any, settings).projection_dim = whole.config.projection_dim
    with torch.random.fork_rng([]):
        tower = CLIPVisionModelWithProjection(cast(Any, settings))
    tower.vision_model.load_state_dict(whole.vision_model.state_dict())
    tower.visual_projection.load_state_dict(whole.visual_projection.state_dict())
    return tower.eval().requires_grad_(False)


def save_adapter(adapter: Mapping[str, Tensor], tower: CLIPVisionModelWithProjection, folder: Path) -> None:
    """Write an adapter with its picture tower, in one step.

    `pipeline.load_ip_adapter(folder, subfolder="", weight_name="ip_adapter.safetensors")` of plain `diffusers` loads
    both, and so does `IPAdapter(str(folder))`.

    Args:
        adapter: What `train_adapter` returned.
        tower: The tower that it was trained with.
        folder: Where; it must not be there yet, or be empty.

    Raises:
        DesiderataError: There is something, or it cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise DesiderataError(f"{folder} is there already and not empty: choose another name.")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name[:40]}.") as stage:
            made = Path(stage) / "adapter"
            with quiet():
                tower.save_pretrained(made / TOWER)
            save_file({name: value.contiguous() for name, value in adapter.items()}, made / ADAPTER_FILE)
            as_umask_says(made)
            os.replace(made, folder)
    except OSError as error:
        raise DesiderataError(f"{folder} cannot be written ({error.strerror}): choose another place.") from None


def _fresh(pupil: Generator, dim: int, seed: int) -> dict[str, Tensor]:
    """Return an adapter to start from: keys and values are those for words, as published; the rest is drawn."""
    width, weights = cast(int, pupil.unet.config["cross_attention_dim"]), pupil.unet.state_dict()
    rng, bound = stream(seed, "train", "start"), 1 / sqrt(dim)
    drawn = rng.uniform(-bound, bound, (TOKENS * width, dim)).astype(np.float32)
    adapter = {
        "image_proj.proj.weight": torch.from_numpy(drawn),
        "image_proj.proj.bias": torch.zeros(TOKENS * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    for number, name in cross_attention(pupil):
        layer = name.removesuffix(".processor")
        adapter[f"ip_adapter.{number}.to_k_ip.weight"] = weights[f"{layer}.to_k.weight"].clone()
        adapter[f"ip_adapter.{number}.to_v_ip.weight"] = weights[f"{layer}.to_v.weight"].clone()
    return adapter

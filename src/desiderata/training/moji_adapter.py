"""Train moji-adapter: the IP-Adapter (Ye et al., 2023) of moji-diffusion, which draws after a picture it is shown."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from desiderata.foundation.generator import load_generator
from desiderata.foundation.sampling import bfloat16_is_fast
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.adapter_training import MOJI_SILENT, picture_tower, save_adapter, train_adapter
from desiderata.personalize.trainers.recipe import MOJI_ADAPTER, Recipe
from desiderata.randomness import stream
from desiderata.training.corpus import load_shard, make_corpus
from desiderata.worlds.moji.grammar import caption

SHARDS = 3
"""Shards of scenes that it is trained on, of those that moji-diffusion's autoencoder learns from."""


def captioned(folder: Path, shards: int = SHARDS, seed: int = 0) -> list[TrainingImage]:
    """Return scenes with captions.

    Args:
        folder: Where the scenes are kept; they are rendered first unless they are there.
        shards: How many shards of them.
        seed: Of scenes and captions.
    """
    make_corpus(folder, shards, seed=seed, processes=1)
    said = stream(seed, "adapter captions")
    return [
        TrainingImage(image, caption(scene, said))
        for shard in (load_shard(folder, index) for index in range(shards))
        for image, scene in zip(shard.images, shard.scenes, strict=True)
    ]


def train_moji_adapter(
    work: Path,
    out: Path,
    *,
    generator: str = "moji-diffusion",
    encoder: str = "moji-clip",
    device: str = "cpu",
    recipe: Recipe | None = None,
    images: list[TrainingImage] | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """Train an adapter and write it with its picture tower, in half precision.

    Args:
        work: Where scenes and checkpoints are kept; an interrupted run goes on from here.
        out: Folder of the finished adapter; nothing may be there.
        generator: What it is for.
        encoder: Whose picture tower it reads.
        device: "cpu" or "cuda".
        recipe: How to train; `MOJI_ADAPTER` by default, in bfloat16 where the device has units for it.
        images: What to train on; scenes of the Moji world by default.
        report: Takes a line of progress.
    """
    precision = "bfloat16" if bfloat16_is_fast(device) else "float32"
    base, tower = load_generator(generator, device=device), picture_tower(encoder).to(device)  # pyright: ignore
    learnt = train_adapter(
        base,
        tower,
        images if images is not None else captioned(work / "scenes"),
        0,
        recipe=recipe or replace(MOJI_ADAPTER, precision=precision),
        silent=MOJI_SILENT,
        checkpoint=work / "moji-adapter.safetensors",
        progress=lambda done, total: report(f"step {done}/{total}") if done % 100 == 0 else None,
    )
    save_adapter({name: value.half() for name, value in learnt.items()}, tower.cpu().half(), out)

"""A generator that is taught in no time: it draws noise, learns a hash, and is judged by its first pixels."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from desiderata.foundation.sampling import Generation, Sampling
from desiderata.personalize import asked, build
from desiderata.personalize.models import Models
from desiderata.personalize.trainers.recipe import Recipe

SIZE = 16
DIM = 8
ANCHORS = ("{} in the snow", "{} on the beach", "a sepia photo of {}", "{} in space")
TEST = ("{} in a room", "a blueprint of {}")


def number_of(*parts: Any) -> list[int]:
    return list(hashlib.sha256(repr(parts).encode()).digest())


class Judge:
    """Sees the first pixels of a picture, and a sentence as a direction that depends on its words."""

    name, dim = "judge", DIM

    def images(self, images):
        return self._unit([np.asarray(image, float)[0, :DIM, 0] - 127.5 for image in images])

    def texts(self, texts):
        return self._unit([np.random.default_rng(number_of(text)).normal(size=DIM) for text in texts])

    def _unit(self, rows):
        array = np.array(rows, float).reshape(-1, DIM) + 1e-6
        return array / np.linalg.norm(array, axis=1, keepdims=True)


@dataclass
class Painter:
    """Its pictures are noise that depends on weights, prompt and seed; those with a word in `blanks` are black."""

    weights: bytes = b""
    blanks: tuple[str, ...] = ()
    name: str = "painter"
    size: int = SIZE
    sampling: Sampling = field(default_factory=lambda: Sampling(steps=2, batch=4))
    dtype: Any = torch.float32
    device: Any = field(default_factory=lambda: torch.device("cpu"))

    def sample(self, prompts: Sequence[str], seeds: Sequence[int], *, progress=None, keep=None, **_: Any):
        made = [self._one(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        if keep:
            keep(made)
        if progress:
            progress(len(made), len(made))
        return made

    def _one(self, prompt: str, seed: int) -> Generation:
        rng = np.random.default_rng(number_of(self.weights, prompt, seed))
        image = rng.integers(1, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        blanked = any(word in prompt for word in self.blanks)
        return Generation(0 * image if blanked else image, prompt, seed, blanked)


@dataclass(frozen=True)
class Drill:
    """Learns a hash of what it sees."""

    recipe: Recipe = field(default_factory=lambda: Recipe(steps=2))
    name = "dreambooth"

    def train(self, base, images, seed, *, prior=(), checkpoint=None, progress=None) -> dict[str, Tensor]:
        if progress:
            progress(2, 2)
        lesson = [(one.image.tobytes(), one.caption, one.weight) for one in images]
        return {"weight": torch.tensor(number_of(seed, lesson), dtype=torch.float32)}

    def apply(self, base: Painter, learnt: Mapping[str, Tensor]) -> Painter:
        return replace(base, weights=learnt["weight"].numpy().tobytes())

    def key(self) -> str:
        return repr(self.recipe)


def instant(patched: pytest.MonkeyPatch, generator: Any = None, trainer: Any = None) -> None:
    """Let every campaign that is made or opened use these parts."""
    models = Models(generator or Painter(), Judge())
    patched.setattr(build.Models, "of", classmethod(lambda cls, config: models))
    if trainer or generator is None or isinstance(generator, Painter):
        patched.setattr(asked, "make_trainer", lambda *_: trainer or Drill())


def photos(folder: Path, n: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def lines(path: Path, sentences: Sequence[str]) -> Path:
    path.write_text("\n".join(sentences), "utf-8")
    return path

"""A generator, a trainer and an encoder that take no time, and are sensitive to everything that they depend on."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from desiderata.campaign.blobs import Blobs, FolderBlobs, MemoryBlobs
from desiderata.campaign.images import digest_of, to_png
from desiderata.campaign.learner import Example
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Answer, Proposal, Query
from desiderata.foundation.sampling import Generation, Sampling
from desiderata.personalize.learner import PersonalizeLearner
from desiderata.personalize.measurement import Measurement
from desiderata.personalize.pictures import Reference
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.strategies import make_strategy
from desiderata.personalize.subject import Subject
from desiderata.personalize.tensors import about, pack, unpack
from desiderata.personalize.trainers.recipe import Recipe

SIZE = 8
DIM = 8
TOY = Subject.of("toy", setting="on a wooden table")
ANCHORS = ("{} in the snow", "{} on the beach", "a sepia photo of {}", "{} in space")
TEST = ("{} in a room", "a blueprint of {}")


def number_of(*parts: Any) -> list[int]:
    return list(hashlib.sha256(repr(parts).encode()).digest())


class Judge:
    """Sees a picture through its first pixels, and a sentence as a direction that depends on its words."""

    name, dim = "judge", DIM

    def __init__(self) -> None:
        self.embedded = 0

    def images(self, images):
        self.embedded += len(images)
        return self._unit([np.asarray(image, float)[0, :DIM, 0] - 127.5 for image in images])

    def texts(self, texts):
        return self._unit([np.random.default_rng(number_of(text)).normal(size=DIM) for text in texts])

    def _unit(self, rows):
        array = np.array(rows, float).reshape(-1, DIM)
        return array / np.linalg.norm(array, axis=1, keepdims=True)


@dataclass
class Painter:
    """Its pictures are noise that depends on its weights, on the prompt and on the seed.

    Attributes:
        weights: What it has learnt.
        blanks: Words whose pictures are blacked out.
        drawn: What every generator made of this one has drawn, in order.
    """

    weights: bytes = b""
    blanks: tuple[str, ...] = ()
    drawn: list[tuple[str, int]] | None = None
    name: str = "painter"
    size: int = SIZE
    sampling: Sampling = Sampling(batch=4)  # noqa: RUF009 - frozen
    dtype: Any = torch.float32
    device: Any = torch.device("cpu")  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if self.drawn is None:
            self.drawn = []

    def sample(self, prompts: Sequence[str], seeds: Sequence[int], *, keep=None, **_: Any) -> list[Generation]:
        assert self.drawn is not None
        made: list[Generation] = []
        wanted = list(zip(prompts, seeds, strict=True))
        for start in range(0, len(wanted), self.sampling.batch):
            batch = wanted[start : start + self.sampling.batch]
            made += [self._one(prompt, seed) for prompt, seed in batch]
            self.drawn += batch
            if keep:
                keep(made[start:])
        return made

    def _one(self, prompt: str, seed: int) -> Generation:
        rng = np.random.default_rng(number_of(self.weights, prompt, seed))
        image = rng.integers(1, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        blanked = any(word in prompt for word in self.blanks)
        return Generation(0 * image if blanked else image, prompt, seed, blanked)


@dataclass(frozen=True)
class Drill:
    """Adds up what it sees, step by step, with a checkpoint after each."""

    recipe: Recipe = Recipe(steps=2)  # noqa: RUF009 - frozen
    name = "drill"
    lessons: ClassVar[list[int]] = []

    def train(
        self, base: Any, images: Sequence[TrainingImage], seed: int, *, prior=(), checkpoint=None, progress=None
    ) -> dict[str, Tensor]:
        lesson = number_of(seed, self.recipe, [(one.image.tobytes(), one.caption, one.weight) for one in images])
        classes = number_of([(one.image.tobytes(), one.caption) for one in prior])
        done, weight = 0, torch.zeros(32)
        if checkpoint is not None and checkpoint.exists():
            tensors, said = unpack(checkpoint.read_bytes())
            done, weight = said["done"], tensors["weight"]
        while done < self.recipe.steps:
            weight = 0.9 * weight + torch.tensor(lesson) / 256 + torch.tensor(classes) / 512 + done
            done += 1
            Drill.lessons.append(done)
            if checkpoint is not None:
                FolderBlobs(checkpoint.parent).put(checkpoint.name, pack({"weight": weight}, {"done": done}))
            if progress:
                progress(done, self.recipe.steps)
        return {"weight": weight}

    def apply(self, base: Painter, learnt: Mapping[str, Tensor]) -> Painter:
        return replace(base, weights=learnt["weight"].numpy().tobytes())

    def key(self) -> str:
        return repr(self.recipe)


def references(n: int = 2, first: int = 0) -> list[Reference]:
    rows = [np.random.default_rng(first + i).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for i in range(n)]
    return [Reference(f"{i}.png", row) for i, row in enumerate(rows)]


def learner(shelf: Blobs | None = None, **changes: Any) -> PersonalizeLearner:
    given: dict[str, Any] = {
        "generator": Painter(),
        "encoder": Judge(),
        "trainer": Drill(),
        "subject": TOY,
        "references": references(),
        "anchors": ANCHORS,
        "measurement": Measurement(TOY, TEST, 2, 3),
        "class_pictures": 2,
        "seed": 3,
        "shelf": shelf or MemoryBlobs(),
    }
    return PersonalizeLearner(**{**given, **changes})


def campaign(path: Path | None, strategy: str = "uncertainty-balance", parameters: Any = None, **changes: Any):
    """Make a campaign, or open the one that is there."""
    options = {"k": 1, "samples": 3} if parameters is None else parameters
    parts: Any = {
        "learner": learner(None if path is None else FolderBlobs(path), **changes),
        "strategy": make_strategy(strategy, **options),
    }
    if path is not None and (path / "campaign.toml").exists():
        return Campaign.open(path, **parts)
    return Campaign.create(path, seed=3, **parts)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a run but the database, whose bytes depend on the order of writes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "campaign.db" and not path.name.startswith(".")
    }


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 20, 3), dtype=np.uint8))


def example(seed: int, prompt: str = "a sks toy in the snow", weight: float = 0.003, **evidence: float) -> Example:
    query = Query(f"r001-q{seed:02d}", 1, Proposal("toy", prompt, evidence=evidence, weight=weight), "answered")
    image = picture(seed)
    return Example(query, Answer(query.id, digest_of(image), "toy", weight, "self"), np.ones(8), to_png(image))


__all__ = [
    "ANCHORS",
    "TEST",
    "TOY",
    "Drill",
    "Judge",
    "Painter",
    "about",
    "campaign",
    "contents",
    "example",
    "learner",
]

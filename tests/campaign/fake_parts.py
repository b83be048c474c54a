"""A learner, a strategy and an oracle that are quick, deterministic, and sensitive to every wrong order of things."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load, save

from desiderata.campaign.images import digest_of, read_image
from desiderata.campaign.learner import Example, Held
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Exchange, Proposal, Query

CLASSES = ("cat", "dog", "ship")


def picture(rng: np.random.Generator, size: int = 16) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))


def embed(images: Sequence[Image.Image]) -> NDArray[np.float64]:
    rows = np.array([np.bincount(np.asarray(image).ravel() // 32, minlength=8) for image in images], float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class RunningMean:
    """Its weights depend on all earlier fits, on the order of the examples, and on the random stream."""

    classes = CLASSES
    embedding = "histogram"

    def __init__(self) -> None:
        self.weights = np.zeros(8)
        self.seen: list[str] = []
        rng = np.random.default_rng(7)
        images = [picture(rng) for _ in CLASSES]
        self._held = [
            Held("initial", f"{label}.png", label, digest_of(image), embed([image])[0])
            for label, image in zip(CLASSES, images)
        ]
        self.held_images = images

    def held(self) -> Sequence[Held]:
        return self._held

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        return embed(images)

    def fit(self, examples: Sequence[Example], rng: np.random.Generator) -> None:
        self.weights = 0.9 * self.weights + rng.normal(size=8)
        for example in examples:
            self.weights = 0.99 * self.weights + example.answer.weight * example.feature
        self.seen = [example.answer.image for example in examples]

    def evaluate(self) -> dict[str, float]:
        return {"norm": float(np.linalg.norm(self.weights)), "examples": len(self.seen)}

    def state(self, exchanges: Sequence[Exchange], round: int) -> dict[str, Any]:
        return {"weights": self.weights, "exchanges": exchanges, "round": round}

    def save(self) -> bytes:
        return save({"weights": self.weights})

    def load(self, weights: bytes, examples: Sequence[Example]) -> None:
        self.weights = load(weights)["weights"]
        self.seen = [example.answer.image for example in examples]


class AskInTurn:
    """Asks for each class but the one it had most of; what it says depends on all that it may look at."""

    name = "in-turn"

    def __init__(self, per_round: int = 2, synthesise: bool = False, last: int = 100):
        self.per_round, self.synthesise, self.last = per_round, synthesise, last

    def propose(self, state: dict[str, Any], rng: np.random.Generator) -> Sequence[Proposal]:
        if state["round"] > self.last:
            return []
        total = float(sum(exchange.features.sum() for exchange in state["exchanges"]))
        found = []
        for label in rng.permutation(CLASSES)[: self.per_round].tolist():
            evidence = {"predicted_gain": float(state["weights"].sum()), "total": total, "draw": rng.random()}
            feature = rng.normal(size=8) if self.synthesise else None
            found.append(Proposal(label, f"a photo of a {label}", feature, evidence, weight=0.5))
        return found


class Noise:
    """Answers with noise; now and then it cannot, or mistakes the label."""

    name = "noise"

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[Image.Image, str | None]]:
        if rng.random() < 0.2:
            raise CannotAnswer("Nothing like that here.")
        return [(picture(rng), None), (picture(rng), str(rng.choice(CLASSES)))]


def same_pixels(a: Any, b: Image.Image) -> bool:
    return digest_of(read_image(a)) == digest_of(b)

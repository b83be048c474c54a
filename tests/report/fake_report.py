"""A made-up report that uses every part of the page."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from desiderata.report import Asked, Confusion, Curve, Report
from desiderata.report.layout import Points, feature_map

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
Draw = Callable[[str, str, np.random.Generator], NDArray[np.uint8]]
Write = Callable[[str, np.random.Generator], str]


def blocks(sentence: str, label: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of 64 × 64 with a square on a ramp."""
    low, high, colour = rng.integers(0, 256, (3, 3))
    ramp = np.linspace(low, high, 64).astype(np.uint8)
    image = np.repeat(ramp[:, None], 64, axis=1)
    image[16:48, 20:44] = colour
    return image


def sentence(label: str, rng: np.random.Generator) -> str:
    other = rng.choice(["guitar", "pizza", "snowman", "bicycle", "castle", "umbrella"])
    place = rng.choice(["in space", "on the sea", "in the snow", "at night", "in the forest"])
    relation = rng.choice(["next to", "above", "to the left of"])
    return f"An image associated with {label}, which illustrates that a {label} is {relation} a {other} {place}"


def asked(
    rounds: int,
    rng: np.random.Generator,
    draw: Draw = blocks,
    write: Write = sentence,
    images: int = 1,
) -> list[Asked]:
    queries = []
    for number in range(1, rounds + 1):
        for index, label in enumerate(CLASSES):
            text = write(label, rng)
            gain = float(rng.gamma(2, 0.012)) / number
            skipped = "I do not have anything like that." if rng.random() < 0.03 else ""
            shown = [] if skipped else [str(rng.choice(CLASSES)) if rng.random() < 0.06 else label] * images
            queries.append(
                Asked(
                    round=number,
                    label=label,
                    text=text,
                    evidence={
                        "predicted_gain": gain,
                        "cosine": float(rng.uniform(0.55, 0.95)),
                        "class_agreement": float(rng.uniform(0.8, 1)),
                        "displacement": float(rng.uniform(0.1, 0.6)),
                    },
                    images=[draw(text, name, rng) for name in shown],
                    shown=shown,
                    realised_gain=None if skipped else float(0.7 * gain + rng.normal(0, 0.008)),
                    skipped=skipped,
                    id=f"r{number:03d}-q{index + 1:02d}",
                )
            )
    return queries


def curve(method: str, start: float, end: float, seeds: int, k: int, rng: np.random.Generator) -> Curve:
    examples = np.arange(k + 1) * 10
    rise = 1 - np.exp(-3 * examples / max(int(examples[-1]), 1))
    runs = start + (end - start) * rise / max(float(rise[-1]), 1e-9) + rng.normal(0, 0.012, (seeds, 1))
    return Curve(method, examples, np.clip(runs + rng.normal(0, 0.006, (seeds, k + 1)), 0, 1))


def confusion(rng: np.random.Generator, classes: Sequence[str] = CLASSES) -> Confusion:
    count = len(classes)

    def counts(right: float) -> NDArray[np.int64]:
        rows = [
            rng.multinomial(500, right * np.eye(count)[i] + (1 - right) * rng.dirichlet(np.full(count, 0.5)))
            for i in range(count)
        ]
        return np.array(rows, dtype=np.int64)

    return Confusion(classes, counts(0.55), counts(0.82))


def points(rng: np.random.Generator, n: int, spread: float = 0.5) -> Points:
    centres = np.random.default_rng(1).normal(size=(len(CLASSES), 32))
    index = rng.integers(0, len(CLASSES), n)
    features = centres[index] + rng.normal(0, spread, (n, 32))
    return Points(features / np.linalg.norm(features, axis=1, keepdims=True), [CLASSES[i] for i in index])


def full(
    draw: Draw = blocks, write: Callable[[str, np.random.Generator], str] = sentence, rounds: int = 10
) -> Report:
    """A run of one seed with 100 queries."""
    rng = np.random.default_rng(0)
    return Report(
        title="moji, narrow start",
        curves=[
            curve("GenMQD", 0.612, 0.871, 1, rounds, rng),
            curve("RandomText", 0.612, 0.785, 1, rounds, rng),
        ],
        control="RandomText",
        asked=asked(rounds, rng, draw, write),
        confusion=confusion(rng),
        feature_map=feature_map(
            points(rng, 100, 0.9), points(rng, 10 * rounds, 1.1), points(rng, 100, 0.9), points(rng, 90, 1.1)
        ),
        reproduce={
            "Command": "desiderata demo --seed 0 --rounds 10 --strategy genmqd --control random-text --out demo",
            "Seed": "0",
            "Encoder": "moji-clip",
            "Strategy": "GenMQD, step 0.02, at most 200 steps",
            "Versions": "desiderata 0.1.0, torch 2.13.0, Python 3.11",
        },
        zero_shot=0.842,
        ceiling=0.957,
        test_examples=5000,
        notes=["Confusions are measured on the 5,000 test pictures, which nothing was learnt from."],
    )


def bench(seeds: int = 10) -> Report:
    """Seven methods over several seeds, without queries."""
    rng = np.random.default_rng(0)
    ends = {
        "TextInfluence": 0.902,
        "GenMQD, closed loop": 0.893,
        "GenMQD": 0.871,
        "GenMQD-Fea": 0.80,
        "RandomDescription": 0.868,
        "RandomText": 0.785,
        "A method with a very long name indeed": 0.83,
    }
    curves = [curve(name, 0.61, end, seeds, 50, rng) for name, end in ends.items()]
    return Report(
        title="bench, narrow",
        curves=curves,
        control="RandomText",
        zero_shot=0.842,
        ceiling=0.957,
        test_examples=5000,
        reproduce={"Command": "desiderata bench collect --world moji --setting narrow --seeds 10 --rounds 50"},
    )

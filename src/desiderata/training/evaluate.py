"""How good the bundled models are, measured on pictures and captions that no model was trained on.

Pictures are drawn and captions worded anew. What a scene is made of may recur: of single objects every combination
has been seen in training, of larger scenes about three in ten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from desiderata.describe.decap import DecapDecoder
from desiderata.describe.pictures import describe_pictures
from desiderata.describe.template import plain
from desiderata.foundation.encoder import Encoder
from desiderata.randomness import stream
from desiderata.worlds.moji.grammar import caption
from desiderata.worlds.moji.reader import CannotParse, parse
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.sampler import AT_LARGE, BROAD, sample_scene
from desiderata.worlds.moji.scene import CLASSES, STYLES, Scene

HELD_OUT = 7_919
"""Seed of the evaluation; training draws from other seeds and streams."""


_SINGLE = replace(AT_LARGE, groups={1: 1.0}, counts={1: 1.0})


def held_out(
    n: int, purpose: str, *, single: bool = False, classes: str = "any"
) -> tuple[list[Scene], NDArray[np.uint8]]:
    """Return n random scenes and their pictures; scenes of several objects are all different."""
    rng = stream(HELD_OUT, "held out", purpose)
    distribution = replace(AT_LARGE, classes=classes)  # pyright: ignore[reportArgumentType]
    if single:
        distribution = replace(_SINGLE, classes=classes)  # pyright: ignore[reportArgumentType]
    scenes: list[Scene] = []
    known: set[Scene] = set()
    while len(scenes) < n:
        scene = sample_scene(rng, distribution)
        if single or scene not in known:
            scenes.append(scene)
            known.add(scene)
    return scenes, np.stack([render(scene, rng) for scene in scenes])


def evaluate_encoder(encoder: Encoder, n: int = 5000) -> dict[str, float]:
    """Measure retrieval and zero-shot classification.

    Args:
        encoder: What to judge.
        n: Held-out scenes for retrieval, a multiple of 1,000; as many single-object scenes for zero-shot.

    Returns:
        `top1_of_100` and `top1_of_1000`: share of pictures whose own caption is the nearest of as many captions of
        different scenes; `zero_shot_single`: share of single-object pictures, all styles alike, whose class name
        is the nearest of ten, and the same for each style; `zero_shot_large`: the same for scenes at large;
        `modality_gap`: distance between the mean image and the mean text embedding.
    """
    scenes, pictures = held_out(n, "retrieval")
    rng = stream(HELD_OUT, "captions")
    texts = encoder.texts([caption(scene, rng) for scene in scenes])
    images = encoder.images(list(pictures))
    figures = {f"top1_of_{k}": _retrieval(images, texts, k) for k in (100, 1000)}
    figures["modality_gap"] = float(np.linalg.norm(images.mean(0) - texts.mean(0)))
    names = encoder.texts([plain(label) for label in CLASSES])
    for title, single in (("zero_shot_single", True), ("zero_shot_large", False)):
        scenes, pictures = held_out(n, title, single=single, classes="one")
        guesses = (encoder.images(list(pictures)) @ names.T).argmax(1)
        right = np.array([CLASSES[guess] == scene.label for guess, scene in zip(guesses, scenes, strict=True)])
        figures[title] = float(right.mean())
        for style in STYLES if single else ():
            figures[f"{title}_{style}"] = float(right[[scene.style == style for scene in scenes]].mean())
    return figures


def evaluate_decoder(decoder: DecapDecoder, encoder: Encoder, n: int = 1000) -> dict[str, float]:
    """Measure what decoding keeps, from embeddings of sentences and from embeddings of pictures.

    Args:
        decoder: What to judge.
        encoder: The encoder whose embeddings it reads.
        n: Held-out scenes, each showing one of the ten classes.

    Returns:
        For `text` and `image` each: `class_kept`, share of decoded sentences that name the scene's class;
        `objects_exact`, share that name just the scene's objects; `parsed`, share that the grammar reads; `cosine`,
        mean cosine of the decoded sentence's embedding to the embedding decoded (the projected one, for `image`;
        `image_cosine_to_image` is to the picture's own). Also `image_class_kept_single` and `_subject`: the same for
        pictures of one object, and for pictures at large whose subject is the class.
    """
    scenes, pictures = held_out(n, "decoding", classes="one")
    rng = stream(HELD_OUT, "decoding captions")
    texts = encoder.texts([caption(scene, rng) for scene in scenes])
    images = encoder.images(list(pictures))
    figures: dict[str, float] = {}
    for source, vectors in (("text", texts), ("image", decoder.project(images))):
        sentences = decoder.decode(vectors)
        figures |= {f"{source}_{key}": value for key, value in _kept(sentences, scenes).items()}
        again = encoder.texts(sentences)
        figures[f"{source}_cosine"] = float((again * vectors).sum(1).mean())
        if source == "image":
            figures["image_cosine_to_image"] = float((again * images).sum(1).mean())
    for title, distribution in (("single", _SINGLE), ("subject", BROAD)):
        scenes = [sample_scene(stream(HELD_OUT, title, index), distribution) for index in range(n)]
        pictures = [render(scene, stream(HELD_OUT, title, "drawn", index)) for index, scene in enumerate(scenes)]
        sentences = decoder.decode(decoder.project(encoder.images(pictures)))
        figures[f"image_class_kept_{title}"] = _kept(sentences, scenes)["class_kept"]
    return figures


def evaluate_descriptions(decoder: DecapDecoder, encoder: Encoder, n: int = 1000) -> dict[str, float]:
    """Measure descriptions of pictures at large that are asked to name the class that zero-shot sees.

    Args:
        decoder: What to judge.
        encoder: The encoder whose embeddings it reads.
        n: Held-out scenes, each showing one of the ten classes; those of `evaluate_decoder`.

    Returns:
        `described_class_kept`, `described_objects_exact` and `described_parsed` as in `evaluate_decoder`;
        `described_agrees`: share of sentences that name the class which zero-shot sees; `described_cosine`: mean
        cosine of sentence and picture; `described_zero_shot`: share of pictures in which zero-shot is right, the most
        that `described_class_kept` can be.
    """
    scenes, pictures = held_out(n, "decoding", classes="one")
    made = describe_pictures(decoder, encoder, encoder.images(list(pictures)), CLASSES, names=_classes_in)
    right = [one.label == scene.label for one, scene in zip(made, scenes, strict=True)]
    figures = {f"described_{key}": value for key, value in _kept([one.text for one in made], scenes).items()}
    return figures | {
        "described_agrees": float(np.mean([one.agrees for one in made])),
        "described_cosine": float(np.mean([one.cosine for one in made])),
        "described_zero_shot": float(np.mean(right)),
    }


def _classes_in(sentence: str) -> set[str]:
    try:
        return {group.concept for group in parse(sentence).groups} & set(CLASSES)
    except CannotParse:
        return set()


def _retrieval(images: NDArray[np.float64], texts: NDArray[np.float64], k: int) -> float:
    hits = [
        (images[start : start + k] @ texts[start : start + k].T).argmax(1) == np.arange(k)
        for start in range(0, len(images) - k + 1, k)
    ]
    return float(np.concatenate(hits).mean())


def _kept(sentences: Sequence[str], scenes: Sequence[Scene]) -> Mapping[str, float]:
    parsed = label = exact = 0
    for sentence, scene in zip(sentences, scenes, strict=True):
        try:
            concepts = {group.concept for group in parse(sentence).groups}
        except CannotParse:
            continue
        parsed += 1
        label += concepts & set(CLASSES) == {scene.label}
        exact += concepts == {group.concept for group in scene.groups}
    n = len(scenes)
    return {"parsed": parsed / n, "class_kept": label / n, "objects_exact": exact / n}

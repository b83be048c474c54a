"""Sentences for pictures that keep the class: several are written, and one that names what the picture shows is kept.

A decoder that reads picture embeddings gets most of a scene right and now and then forgets the thing that matters.
The embedding knows it: zero-shot classification reads the class from it. So sentences are asked to agree with that.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desiderata.describe.decap import DecapDecoder
from desiderata.describe.template import plain
from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import Encoder

Vectors = NDArray[np.float64]

_AT_ONCE = 32
"""Pictures whose sentences are drawn together; more take memory and gain nothing."""

Named = Callable[[str], Collection[str]]
"""Returns the classes that a sentence names."""


@dataclass(frozen=True, slots=True)
class Description:
    """What was written about a picture.

    Attributes:
        text: The sentence.
        label: The class that the picture shows by zero-shot.
        agrees: Whether the sentence names that class and no other; the nearest sentence is kept when none does.
        cosine: Of the sentence's embedding and the picture's, -1 to 1.
    """

    text: str
    label: str
    agrees: bool
    cosine: float


def describe_pictures(
    decoder: DecapDecoder,
    encoder: Encoder,
    pictures: Vectors,
    classes: Sequence[str],
    *,
    names: Named | None = None,
    n: int = 16,
    seed: int = 0,
) -> list[Description]:
    """Describe pictures by their embeddings.

    Args:
        decoder: Writes. It reads the embeddings as they are: projection on its memory loses what stands beside the
            subject.
        encoder: Of the embeddings; tells sentences and classes.
        pictures: Shape (k, d), image embeddings, rows of unit length.
        classes: What pictures may show.
        names: Finds the classes that a sentence names; by default, whole words in the singular or with -s or -es.
        n: Sentences drawn for each picture, beside the likeliest one; >= 0.
        seed: Of these draws.

    Returns:
        k descriptions.

    Raises:
        DesiderataError: There are no classes, or `n` is below 0.
    """
    if not classes:
        raise DesiderataError("Pictures cannot be described without classes: name what they may show.")
    if not len(pictures):
        return []
    find = names or whole_words(classes)
    shown = (pictures @ encoder.texts([plain(label) for label in classes]).T).argmax(1)
    kept: list[Description] = []
    for start in range(0, len(pictures), _AT_ONCE):
        rows = pictures[start : start + _AT_ONCE]
        likeliest, drawn = decoder.decode(rows), decoder.sample(rows, n, seed + start, temperature=0.8)
        for row, first, others, best in zip(rows, likeliest, drawn, shown[start:]):
            sentences = list(dict.fromkeys([first, *others]))
            cosines = encoder.texts(sentences) @ row
            agree = np.array([set(find(sentence)) == {classes[int(best)]} for sentence in sentences])
            choice = int(np.where(agree, cosines, cosines - 4.0).argmax())
            label = classes[int(best)]
            kept.append(Description(sentences[choice], label, bool(agree[choice]), float(cosines[choice])))
    return kept


def whole_words(classes: Sequence[str]) -> Named:
    """Return a function that finds class names in sentences, whole words in the singular or with -s or -es."""
    patterns = {label: re.compile(rf"\b{re.escape(label)}(?:e?s)?\b", re.IGNORECASE) for label in classes}
    return lambda sentence: {label for label, pattern in patterns.items() if pattern.search(sentence)}

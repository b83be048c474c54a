"""A bank of sentences to ask for: many for each class, with their embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desiderata.describe.template import plain, with_article
from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import Encoder


@dataclass(frozen=True)
class SentenceBank:
    """Sentences that could be asked for, class by class.

    Attributes:
        classes: Names of the classes.
        sentences: For each class, its sentences.
        embeddings: For each class, shape (sentences, d), rows of unit length, on the text side.
    """

    classes: tuple[str, ...]
    sentences: Mapping[str, Sequence[str]]
    embeddings: Mapping[str, NDArray[np.float64]] = field(repr=False)

    @classmethod
    def of(cls, sentences: Mapping[str, Sequence[str]], encoder: Encoder) -> "SentenceBank":
        """Embed sentences.

        Args:
            sentences: For each class, at least one sentence.
            encoder: What to embed them with.

        Returns:
            The bank.

        Raises:
            DesiderataError: A class has no sentence.
        """
        for label, lines in sentences.items():
            if not lines:
                raise DesiderataError(
                    f"The sentence bank has nothing to say about {label!r}: give it a sentence or more."
                )
        return cls(
            tuple(sentences), dict(sentences), {label: encoder.texts(lines) for label, lines in sentences.items()}
        )


def sort_captions(captions: Sequence[str], classes: Sequence[str], encoder: Encoder) -> dict[str, list[str]]:
    """Sort a file's captions into classes by what they say, nearest class name first (zero-shot on text).

    Args:
        captions: Any sentences.
        classes: Names of the classes.
        encoder: Whose text embeddings decide.

    Returns:
        For each class its captions, in their order; a class may get none.
    """
    names = encoder.texts([plain(label) for label in classes])
    nearest = (encoder.texts(captions) @ names.T).argmax(1)
    return {
        label: [caption for caption, index in zip(captions, nearest, strict=True) if index == place]
        for place, label in enumerate(classes)
    }


_PLACES = (
    "on grass", "on a beach", "in the snow", "in a desert", "in a forest", "on a street", "on water",
    "in the mountains", "indoors", "against the sky", "in front of a plain wall", "in a city", "in a garden",
)  # fmt: skip
_COMPANY = (
    "", "with another {label} beside it", "in a group", "next to a person", "among other things", "partly hidden",
    "behind a fence", "seen very close", "small in the distance",
)  # fmt: skip
_LOOKS = (
    "a photo", "a night photo", "a blurry photo", "a black and white photo", "a drawing", "a painting",
    "a photo in bright sunlight", "a photo in fog", "a photo from above", "a photo from the side",
    "a photo from behind",
)  # fmt: skip


def phrase_bank(classes: Sequence[str]) -> dict[str, list[str]]:
    """Write general sentences about any classes: what it looks like, where it is, what is with it.

    Args:
        classes: Names of the classes.

    Returns:
        For each class the same 1,287 phrases around its name.
    """
    return {
        label: [
            " ".join(f"{look} of {with_article(label)} {company.format(label=label)} {place}".split())
            for look in _LOOKS
            for company in _COMPANY
            for place in _PLACES
        ]
        for label in classes
    }


def read_captions(path: Path) -> list[str]:
    """Read one caption a line.

    Args:
        path: A UTF-8 text file.

    Returns:
        Its distinct lines that are not blank, in order.

    Raises:
        DesiderataError: It cannot be read or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DesiderataError(
            f"The captions file {path} cannot be read ({error}); give a UTF-8 text file."
        ) from error
    captions = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not captions:
        raise DesiderataError(f"The captions file {path} holds no captions; write one on each line.")
    return captions

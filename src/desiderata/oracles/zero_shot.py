"""What a picture looks like, by the sentences that it is nearest to (zero-shot; Radford et al., 2021)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from desiderata.campaign.records import Features
from desiderata.describe.template import plain

if TYPE_CHECKING:
    from desiderata.foundation.encoder import Encoder

NONE_OF_THESE = ("a photo of something else", "a photo")
"""Sentences that a picture of no class is nearest to."""
SOMETHING_ELSE = "something else"
"""What such a picture is said to look like."""


def looks_like(features: Features, classes: Sequence[str], encoder: "Encoder") -> list[str]:
    """Return the class whose sentence "a photo of a ..." is nearest to each picture.

    Sentences about nothing in particular take part; a picture of none of the classes is nearest to one of them.

    Args:
        features: Shape (n, d), embeddings of pictures.
        classes: The names of the classes.
        encoder: What the pictures were embedded with.

    Returns:
        A class for each picture, or `SOMETHING_ELSE`.
    """
    names = [*classes, *[SOMETHING_ELSE] * len(NONE_OF_THESE)]
    sentences = encoder.texts([*map(plain, classes), *NONE_OF_THESE])
    return [names[index] for index in (features @ sentences.T).argmax(axis=1)]

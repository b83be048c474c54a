"""Pictures that a generator learns from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desiderata.errors import DesiderataError


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """One picture to learn from.

    Attributes:
        image: Shape (height, width, 3), RGB, 0 to 255. Of a picture that is not square, the middle is learnt from.
        caption: What it shows, with the subject's placeholder in it; "" for a picture without words.
        weight: Factor of its loss (the Δ of GAL, Eq. 9), 0 or more; pictures given by the user have 1.

    Raises:
        DesiderataError: One of them is not of that kind.
    """

    image: NDArray[np.uint8]
    caption: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        image = np.asarray(self.image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise DesiderataError(
                f"A picture to learn from was given as an array of {image.dtype} of shape {image.shape}: give RGB "
                "pixels of uint8, 0 to 255, of shape (height, width, 3)."
            )
        if not isinstance(self.caption, str):
            raise DesiderataError(f"A caption was given as a {type(self.caption).__name__}: give it as a string.")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise DesiderataError(
                f"A picture to learn from has the weight {self.weight}: give 0 or more, 1 for what the user gave."
            )


def check_images(images: Sequence[TrainingImage]) -> None:
    """Make sure that there is something to learn from.

    Raises:
        DesiderataError: There is no picture, or none with a weight above 0.
    """
    if not images:
        raise DesiderataError("There is no picture to learn from: give at least one of the subject.")
    if not any(image.weight > 0 for image in images):
        raise DesiderataError("Every picture to learn from has the weight 0: give at least one a weight above it.")

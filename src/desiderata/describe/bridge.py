"""Bringing text embeddings to the image side.

CLIP's images and sentences lie in different cones (the modality gap, Liang et al., 2022). A classifier fitted on
images has to be asked about a sentence at the point where the sentence's *images* would lie.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class Bridge:
    """An affine map from text embeddings to image embeddings.

    Attributes:
        text_mean: Shape (d,).
        image_mean: Shape (d,).
        matrix: Shape (d, d), acts on centred text embeddings.
    """

    text_mean: Vectors
    image_mean: Vectors
    matrix: Vectors

    def __call__(self, texts: Vectors) -> Vectors:
        """Return (k, d) points on the image side for (k, d) text embeddings, rows of unit length."""
        return _unit((texts - self.text_mean) @ self.matrix + self.image_mean)

    @classmethod
    def fit(cls, texts: Vectors, images: Vectors, ridge: float = 3.0) -> "Bridge":
        """Fit to sentences and the images that they brought.

        The matrix is the ridge regression of centred images on centred texts, drawn towards the identity: with few
        pairs the map is a mere shift of means, with many it learns which words show in pictures and how much.

        Args:
            texts: Shape (n, d), n at least 1.
            images: Shape (n, d).
            ridge: Weight of the identity, in mean squared lengths of a centred text embedding. A pair has on average
                1/d of that in each direction, so the identity counts for about ridge * d pairs there.

        Returns:
            The map.
        """
        text_mean, image_mean = texts.mean(0), images.mean(0)
        x, y = texts - text_mean, images - image_mean
        identity = np.eye(texts.shape[1])
        scale = ridge * max(float((x**2).sum() / max(len(x), 1)), 1e-12)
        matrix = np.linalg.solve(x.T @ x + scale * identity, x.T @ y + scale * identity)
        return cls(text_mean, image_mean, matrix)


def _unit(rows: Vectors) -> Vectors:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

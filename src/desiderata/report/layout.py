"""From features to a map: PCA, then t-SNE where there are enough points for it to mean something."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from desiderata.report.data import FeatureMap

FEWEST_FOR_TSNE = 40
"""With fewer points, neighbourhoods are so small that t-SNE draws noise; PCA is honest about them."""
MOST_POINTS = 900
"""More would neither be legible nor quick."""


class Points(NamedTuple):
    """Features with their classes.

    Attributes:
        features: Shape (n, d).
        labels: Shape (n,), class names.
    """

    features: NDArray[np.float64]
    labels: Sequence[str]


def feature_map(
    initial: Points, collected: Points, validation: Points, queries: Points, seed: int = 0
) -> FeatureMap | None:
    """Lay out four groups of points in one plane.

    Queries are never thinned; the other groups lose points evenly, in proportion, when there are too many.

    Args:
        initial: The labelled pictures the run began with.
        collected: The pictures that came back.
        validation: The pictures set aside for checking.
        queries: The points aimed at, brought to the image side.
        seed: Fixes thinning and layout.

    Returns:
        The map, or None for fewer than three points, which span no plane.
    """
    rng = np.random.default_rng(seed)
    groups = [initial, collected, validation]
    total = sum(len(group.labels) for group in groups)
    room = max(MOST_POINTS - len(queries.labels), 0)
    kept = [_thinned(group, min(1.0, room / max(total, 1)), rng) for group in groups] + [queries]
    filled = [np.asarray(group.features, dtype=np.float64) for group in kept if len(group.labels)]
    count = sum(map(len, filled))
    if count < 3:
        return None
    plane, method = _plane(np.concatenate(filled), seed)
    ends = np.cumsum([len(group.labels) for group in kept])[:-1]
    parts = np.split(plane, ends)
    return FeatureMap(
        initial=parts[0],
        collected=parts[1],
        validation=parts[2],
        queries=parts[3],
        initial_labels=kept[0].labels,
        collected_labels=kept[1].labels,
        validation_labels=kept[2].labels,
        query_labels=kept[3].labels,
        method=method,
        left_out=total + len(queries.labels) - count,
    )


def _plane(features: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], str]:
    n, d = features.shape
    if n < FEWEST_FOR_TSNE or d < 3:
        flat = PCA(n_components=min(2, d), random_state=seed).fit_transform(features)
        return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))), "principal components (PCA)"
    reduced = PCA(n_components=min(50, d, n - 1), random_state=seed).fit_transform(features)
    # Started from the first two components at a small scale, t-SNE keeps the large-scale order of classes.
    start = reduced[:, :2] / max(float(np.std(reduced[:, 0])), 1e-12) * 1e-4
    perplexity = min(30.0, (n - 1) / 3)
    # So few points are quicker on one thread, and many times so where others keep the cores busy.
    with threadpool_limits(limits=1):
        flat = TSNE(perplexity=perplexity, init=start.astype(np.float32), random_state=seed).fit_transform(reduced)
    return np.asarray(flat, dtype=np.float64), "principal components, then t-SNE"


def _thinned(group: Points, share: float, rng: np.random.Generator) -> Points:
    if share >= 1:
        return group
    keep = np.sort(rng.choice(len(group.labels), size=int(share * len(group.labels)), replace=False))
    return Points(group.features[keep], [group.labels[int(i)] for i in keep])

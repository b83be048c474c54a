"""What a strategy of the collect half may look at when it decides what to ask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.records import Exchange, Features
from desiderata.collect.classifier import HeadClassifier


@dataclass(frozen=True)
class CollectState:
    """A fitted head, the data it was fitted on, and the conversation so far.

    Attributes:
        round: The round about to be asked, counted from 1.
        classes: Names of the classes, in the order of the label indices.
        head: Fitted on `features`, `labels` and `weights`.
        features: Shape (n, d), everything labelled so far, initial and collected, rows of unit length.
        labels: Shape (n,), indices into `classes`.
        weights: Shape (n,), weights in the training loss.
        validation_features: Shape (n_v, d).
        validation_labels: Shape (n_v,).
        exchanges: All earlier questions with what they brought, oldest first.
    """

    round: int
    classes: tuple[str, ...]
    head: HeadClassifier
    features: Features
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    validation_features: Features
    validation_labels: NDArray[np.int64]
    exchanges: Sequence[Exchange]

"""A classifier head as the learner of a campaign."""

import json
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load, save

from desiderata.campaign.learner import Example, Held
from desiderata.campaign.records import Exchange, Features
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.data import LabelledSet
from desiderata.collect.state import CollectState
from desiderata.errors import Damaged, DesiderataError

if TYPE_CHECKING:
    from desiderata.foundation.encoder import Encoder

PARTS = ("initial", "validation", "test")


class CollectLearner:
    """A head on the frozen features of `encoder`, fitted to the initial examples and everything collected.

    Every round fits it anew from the initial draw of `seed`. With `warm_start` it goes on from the weights of the
    round before; the objective is the same, so that this saves time and may end in another minimum.

    Args:
        encoder: Embeds pictures. Its `name` is the name under which embeddings are kept.
        classes: Names, in the order of the label indices.
        initial: What it starts from; every class must occur.
        validation: What strategies may look at.
        test: What only the figures look at; None for none.
        hidden: Widths of the hidden layers.
        l2: See `HeadClassifier`.
        tolerance: See `HeadClassifier`.
        max_iterations: See `HeadClassifier`.
        activation: See `HeadClassifier`.
        warm_start: As above.
        seed: Of the initial draw. Rounds share it, so that they differ by their data alone.

    Attributes:
        head: The classifier, as the last `fit` or `load` left it.

    Raises:
        DesiderataError: A class has no initial example, or there is nothing to validate on.
    """

    def __init__(
        self,
        encoder: "Encoder",
        classes: Sequence[str],
        initial: LabelledSet,
        validation: LabelledSet,
        test: LabelledSet | None = None,
        *,
        hidden: Sequence[int] = (64, 64),
        l2: float = 1e-2,
        tolerance: float = 1e-5,
        max_iterations: int = 500,
        activation: str = "tanh",
        warm_start: bool = False,
        seed: int = 0,
    ):
        missing = sorted(set(range(len(classes))) - set(initial.labels.tolist()))
        if missing:
            raise DesiderataError(f"There is no initial example of {classes[missing[0]]}: add one at least.")
        if not len(validation):
            raise DesiderataError("There are no validation examples: give some of each class.")
        self.encoder = encoder
        self.classes = tuple(classes)
        self.initial = initial
        self.validation = validation
        self.test = test
        self.head = HeadClassifier(
            hidden=tuple(hidden),
            l2=l2,
            tolerance=tolerance,
            max_iterations=max_iterations,
            seed=seed,
            warm_start=warm_start,
            activation=activation,
        )
        self._take([])

    @property
    def embedding(self) -> str:
        """The name of the encoder."""
        return self.encoder.name

    def held(self) -> Sequence[Held]:
        """Return the examples of all parts that have picture names."""
        parts = zip(PARTS, (self.initial, self.validation, self.test))
        return [held for part, rows in parts if rows is not None for held in rows.held(part, self.classes)]

    def embed(self, images: Sequence[Image.Image]) -> Features:
        """Return the embeddings of `images`, shape (n, d)."""
        return self.encoder.images(images)

    def fit(self, examples: Sequence[Example], rng: np.random.Generator) -> None:
        """Fit on the initial examples and on `examples`; draws nothing from `rng`, since `seed` fixes the start."""
        self._take(examples)
        self.head.fit(self.features, self.labels, self.weights, classes=np.arange(len(self.classes)))

    def with_validation(self) -> "CollectLearner":
        """Return a learner like this one whose head is fitted on the validation examples, too.

        Strategies only measure by these; when nothing more is asked, they are labelled examples like all others. What
        `evaluate` of it says of validation is then a figure of training.
        """
        other = copy(self)
        other.features = np.vstack([self.features, self.validation.features])
        other.labels = np.concatenate([self.labels, self.validation.labels])
        other.weights = np.concatenate([self.weights, np.ones(len(self.validation))])
        other.head = HeadClassifier(**self.head.get_params())
        other.head.fit(other.features, other.labels, other.weights, classes=np.arange(len(self.classes)))
        return other

    def evaluate(self) -> dict[str, float]:
        """Return accuracies and mean cross-entropies (nats), and how well the fit converged.

        Returns:
            `train_accuracy` over everything labelled, `validation_accuracy`, `validation_loss`, `gradient_norm`, and,
            with a test set, `test_accuracy` and `test_loss`.
        """
        figures = {
            "train_accuracy": self._accuracy(self.features, self.labels),
            "validation_accuracy": self._accuracy(self.validation.features, self.validation.labels),
            "validation_loss": mean_loss(self.head, self.validation),
            "gradient_norm": float(self.head.gradient_norm_),
        }
        if self.test is not None:
            figures["test_accuracy"] = self._accuracy(self.test.features, self.test.labels)
            figures["test_loss"] = mean_loss(self.head, self.test)
        return figures

    def confusion(self, part: str = "test") -> NDArray[np.int64]:
        """Return how often each class was taken for which.

        Args:
            part: "initial", "validation" or "test".

        Returns:
            Shape (C, C); row: what the picture shows, column: what the head says.

        Raises:
            DesiderataError: There are no examples of that part.
        """
        rows = {"initial": self.initial, "validation": self.validation, "test": self.test}.get(part)
        if rows is None:
            raise DesiderataError(f"There are no {part} examples: choose another part.")
        counts = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        np.add.at(counts, (rows.labels, self.head.predict(rows.features)), 1)
        return counts

    def state(self, exchanges: Sequence[Exchange], round: int) -> CollectState:
        """Return the fitted head, the data it was fitted on, and the conversation so far."""
        return CollectState(
            round=round,
            classes=self.classes,
            head=self.head,
            features=self.features,
            labels=self.labels,
            weights=self.weights,
            validation_features=self.validation.features,
            validation_labels=self.validation.labels,
            exchanges=exchanges,
        )

    def save(self) -> bytes:
        """Return the head as the content of a safetensors file; `theta` holds weights and biases layer by layer."""
        about = {"classes": self.classes, "encoder": self.encoder.name, "head": self.head.get_params()}
        tensors = {
            "theta": self.head.theta_.numpy(),
            "gradient_norm": np.array([self.head.gradient_norm_], dtype=np.float64),
            "steps": np.array([self.head.n_iter_], dtype=np.int64),
        }
        # one entry only: safetensors writes several in no fixed order
        return save(tensors, metadata={"desiderata": json.dumps(about, sort_keys=True, default=np.generic.item)})

    def load(self, weights: bytes, examples: Sequence[Example]) -> None:
        """Stand where `fit` on the same `examples` stood when `save` returned `weights`, to the last bit.

        Raises:
            Damaged: The weights are not whole.
            DesiderataError: They are those of another head.
        """
        try:
            restore_head(self.head, weights, self.initial.features.shape[1], len(self.classes))
        except Damaged:
            raise
        except DesiderataError as error:
            raise DesiderataError(
                "The weights of this campaign are those of another head: put campaign.toml back."
            ) from error
        self._take(examples)

    def _take(self, examples: Sequence[Example]) -> None:
        number = {name: index for index, name in enumerate(self.classes)}
        labels = np.array([number[one.answer.label] for one in examples], dtype=np.int64)
        weights = np.array([one.answer.weight for one in examples], dtype=np.float64)
        self.features = np.vstack([self.initial.features, *(one.feature for one in examples)])
        self.labels = np.concatenate([self.initial.labels, labels])
        self.weights = np.concatenate([np.ones(len(self.initial)), weights])

    def _accuracy(self, features: Features, labels: NDArray[np.int64]) -> float:
        return float(np.mean(self.head.predict(features) == labels))


def restore_head(head: HeadClassifier, weights: bytes, dim: int, n_classes: int) -> None:
    """Put a head where `CollectLearner.save` found it.

    Args:
        head: With the parameters that it had then; left as it is where this fails.
        weights: The content of the safetensors file.
        dim: Length of an embedding.
        n_classes: How many classes there are.

    Raises:
        Damaged: They are no weights.
        DesiderataError: They are those of another head.
    """
    try:
        tensors = load(weights)
        theta = tensors["theta"]
        gradient_norm, n_iter = float(tensors["gradient_norm"][0]), int(tensors["steps"][0])
    except (SafetensorError, KeyError, IndexError, TypeError, ValueError) as error:
        raise Damaged("The weights are damaged: put them back from a copy.") from error
    if not np.isfinite(theta).all():
        raise Damaged("Weights are damaged, because not all of them are numbers: put them back from a copy.")
    head.restore(theta, dim, np.arange(n_classes), gradient_norm=gradient_norm, n_iter=n_iter)


def mean_loss(head: HeadClassifier, rows: LabelledSet) -> float:
    """Return the mean cross-entropy of a fitted head on labelled points, in nats."""
    given = head.predict_proba(rows.features)[np.arange(len(rows)), rows.labels]
    return float(-np.log(np.maximum(given, 1e-12)).mean())

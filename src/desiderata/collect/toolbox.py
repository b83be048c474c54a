"""What strategies share: words for points, points for words, and the figures that every query carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from desiderata.collect.linearised import LinearisedHead
from desiderata.collect.lookahead import predicted_gain_proximal
from desiderata.collect.state import CollectState
from desiderata.describe.bank import SentenceBank
from desiderata.describe.bridge import Bridge
from desiderata.describe.decap import DecapDecoder
from desiderata.describe.template import described, plain
from desiderata.foundation.encoder import Encoder

Vectors = NDArray[np.float64]

RANK = 128
"""Eigenpairs of the curvature that strategies keep: half of `predicted_gain_proximal`'s own, since they only rank."""

LOGIT_SCALE = 100.0
"""CLIP's own factor from cosines to logits (Radford et al., 2021)."""


class Describer(Protocol):
    """Puts points of the joint space into words."""

    def describe(self, points: Vectors, labels: Sequence[str]) -> list[str]:
        """Return a sentence for each of (k, d) points of the image side, wanted for as many classes."""
        ...

    def propose(self, points: Vectors, labels: Sequence[str], n: int, seed: int) -> list[list[str]]:
        """Return up to n different sentences for each point, the most fitting first."""
        ...


@dataclass(frozen=True)
class DecapDescriber:
    """Writes sentences with a DeCap decoder, as the paper does (section 3.3)."""

    decoder: DecapDecoder

    def describe(self, points: Vectors, labels: Sequence[str]) -> list[str]:
        """Return the projected points decoded greedily; the classes play no part."""
        return self.decoder.decode(self.decoder.project(points))

    def propose(self, points: Vectors, labels: Sequence[str], n: int, seed: int) -> list[list[str]]:
        """Return the greedy sentence first, then sampled ones, repeats dropped."""
        projected = self.decoder.project(points)
        samples = self.decoder.sample(projected, n - 1, seed)
        return [list(dict.fromkeys([first, *more])) for first, more in zip(self.decoder.decode(projected), samples)]


@dataclass(frozen=True)
class RetrievalDescriber:
    """Finds sentences in a bank; needs no decoder, so it works with any encoder."""

    bank: SentenceBank

    def describe(self, points: Vectors, labels: Sequence[str]) -> list[str]:
        """Return the class's sentence nearest to each point."""
        return [found[0] for found in self.propose(points, labels, 1, 0)]

    def propose(self, points: Vectors, labels: Sequence[str], n: int, seed: int) -> list[list[str]]:
        """Return the class's n sentences nearest to each point."""
        found = []
        for point, label in zip(points, labels, strict=True):
            order = np.argsort(-(self.bank.embeddings[label] @ point), kind="stable")[:n]
            found.append([self.bank.sentences[label][index] for index in order])
        return found


@dataclass(frozen=True)
class Toolbox:
    """The frozen models behind a strategy.

    Attributes:
        encoder: Of the joint space.
        classes: Names of the classes, as in `CollectState.classes`.
        bank: Sentences that could be asked for.
        describer: Puts x* into words.
    """

    encoder: Encoder
    classes: tuple[str, ...]
    bank: SentenceBank
    describer: Describer

    @cached_property
    def class_names(self) -> Vectors:
        """Text embeddings of the class prompts, shape (C, d)."""
        return self.encoder.texts([plain(label) for label in self.classes])

    @cached_property
    def class_means(self) -> Vectors:
        """Mean text embedding of each class's bank, shape (C, d)."""
        return np.stack([self.bank.embeddings[label].mean(0) for label in self.classes])

    def agreement(self, embeddings: Vectors, labels: NDArray[np.int64]) -> Vectors:
        """Probability, by zero-shot on the text side, that sentences speak of given classes.

        Args:
            embeddings: Shape (m, d), text embeddings.
            labels: Shape (m,), indices into `classes`.

        Returns:
            Shape (m,), between 0 and 1.
        """
        logits = LOGIT_SCALE * embeddings @ self.class_names.T
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return weights[np.arange(len(labels)), labels] / weights.sum(1)

    def bridge(self, state: CollectState) -> Bridge:
        """Learn where sentences' images lie from every sentence that has been answered so far.

        Before the first answer, each class's bank stands for its labelled images.

        Args:
            state: The conversation so far.

        Returns:
            The map from text embeddings to the image side.
        """
        texts, images = [self.class_means], []
        for index in range(len(self.classes)):
            images.append(state.features[state.labels == index].mean(0, keepdims=True))
        told = [exchange for exchange in state.exchanges if exchange.query.text and len(exchange.features)]
        if told:
            texts.append(self.encoder.texts([described(exchange.query.text) for exchange in told]))
            images += [exchange.features.mean(0, keepdims=True) for exchange in told]
        return Bridge.fit(np.concatenate(texts), np.concatenate(images))


class Appraiser:
    """Predicts, for one state, what sentences would bring.

    Args:
        tools: The frozen models.
        state: The fitted head and its data.
        damping: Of the inverse Hessian, beyond the head's own L2.
        rank: Eigenpairs kept of the curvature; see `predicted_gain_proximal`.
    """

    def __init__(self, tools: Toolbox, state: CollectState, damping: float = 0.0, rank: int = RANK) -> None:
        self.tools, self.state, self.damping, self.rank = tools, state, damping, rank
        self.bridge = tools.bridge(state)

    @cached_property
    def linearised(self) -> LinearisedHead:
        """The one factorisation that prices every candidate."""
        state = self.state
        return LinearisedHead.of(
            state.head,
            state.features,
            state.labels,
            sample_weight=state.weights,
            newcomers=1,
            damping=self.damping,
            rank=self.rank,
        )

    def gains(self, points: Vectors, labels: NDArray[np.int64], rows: NDArray[np.int64] | None = None) -> Vectors:
        """Predict by how much points would lower the validation loss, each of them learnt alone.

        Args:
            points: Shape (m, d), on the image side.
            labels: Shape (m,), indices into the classes.
            rows: Which validation examples count, repeats allowed; each once by default.

        Returns:
            Gains in nats, shape (m,); see `predicted_gain_proximal`.
        """
        state = self.state
        chosen = slice(None) if rows is None else rows
        return predicted_gain_proximal(
            state.head,
            state.features,
            state.labels,
            state.validation_features[chosen],
            state.validation_labels[chosen],
            points,
            labels,
            sample_weight=state.weights,
            linearised=self.linearised,
        )

    def evidence(self, texts: Sequence[str], labels: NDArray[np.int64]) -> list[dict[str, float]]:
        """Return the figures that queries carry: predicted gain and class agreement."""
        embeddings = self.tools.encoder.texts([described(text) for text in texts])
        gains = self.gains(self.bridge(embeddings), labels)
        agreements = self.tools.agreement(embeddings, labels)
        return [
            {"predicted_gain": float(gain), "class_agreement": float(agreement)}
            for gain, agreement in zip(gains, agreements, strict=True)
        ]


def merged(*evidence: Mapping[str, float]) -> dict[str, float]:
    """Return all figures in one mapping."""
    return {name: value for figures in evidence for name, value in figures.items()}

"""What a campaign remembers: what was asked, what came back, what it was worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]
"""Rows of unit length in the joint image-text space, shape (n, d)."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a strategy wants next, before the campaign gives it a number.

    Attributes:
        label: The class that is asked for.
        text: The sentence that a person reads, such as "An image associated with cat, which illustrates that a
            cat is next to a guitar". Empty only for a proposal that answers itself.
        feature: Shape (d,). A synthesised point that joins the training set as it is, without any oracle
            (GenMQD-Fea); None for everything that is to be answered with images.
        evidence: Why this is asked: named figures such as `predicted_gain`, `cosine` (of the sentence to x*),
            `class_agreement` (probability that the sentence names the class), `displacement` (of x* from its
            start). A figure that a strategy does not have is left out, never invented.
        weight: The weight in the training loss of whatever answers it.
    """

    label: str
    text: str
    feature: NDArray[np.float64] | None = None
    evidence: Mapping[str, float] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Query:
    """A numbered question of a campaign.

    Attributes:
        id: Unique within the campaign, such as "r003-q07".
        round: The round that asked it, counted from 1.
        proposal: What is asked and why.
        status: "open", "answered" or "skipped".
        reason: Why it was skipped; empty otherwise.
    """

    id: str
    round: int
    proposal: Proposal
    status: str = "open"
    reason: str = ""

    @property
    def label(self) -> str:
        """The class that is asked for."""
        return self.proposal.label

    @property
    def text(self) -> str:
        """The sentence that a person reads."""
        return self.proposal.text


@dataclass(frozen=True, slots=True)
class Answer:
    """One image that came back.

    Attributes:
        query_id: The question it answers.
        image: SHA-256 of the pixels (see `images.digest_of`), the name under which the store keeps the file; empty
            for a synthesised feature.
        label: The class that the image shows, which need not be the one asked for.
        weight: Its weight in the training loss.
        source: Who answered, such as "scene", "person" or "archive".
    """

    query_id: str
    image: str
    label: str
    weight: float = 1.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answered or skipped a query.

    Attributes:
        source: As in `Answer`.
        settings: What an oracle had been told besides the query, such as the folder that it searched; values are
            such as JSON has.
    """

    source: str
    settings: Mapping[str, Any] = field(default_factory=dict)


THEN = ", then "
"""Between the names of strategies that asked one after the other in a run, for people."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run was branched from.

    Attributes:
        run: The name of the other run's directory.
        round: The last round that both share.
        asked: Strategies that asked the rounds up to there, by name, each with the last round that it asked.
        strategy: What was named to decide from there on; empty for the same strategy, None where nobody noted it.
        settings: Those of the strategy that were changed from there on.
    """

    run: str
    round: int
    asked: Sequence[tuple[int, str]]
    strategy: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What was taken back before its round was closed.

    Attributes:
        query_id: The question, which is open again since.
        status: What it had been: "answered" or "skipped".
        reason: Why it had been skipped; empty otherwise.
        answers: What had been told, in that order; their pictures may be told again.
    """

    query_id: str
    status: str
    reason: str = ""
    answers: Sequence[Answer] = ()


@dataclass(frozen=True, slots=True)
class Round:
    """What the learner was worth after a round.

    Attributes:
        number: 0 before anything was asked.
        examples: How many examples had been collected, the initial ones not counted.
        metrics: Named figures, such as `test_accuracy` and `validation_loss`.
    """

    number: int
    examples: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A past question together with what it brought, as strategies see it.

    Attributes:
        query: The question.
        features: Shape (k, d), the embeddings of the images received; k is 0 for a skipped question.
        labels: Shape (k,), indices into the learner's classes.
    """

    query: Query
    features: Features
    labels: NDArray[np.int64]


State_contra = TypeVar("State_contra", contravariant=True)


class Strategy(Protocol[State_contra]):
    """Decides what to ask."""

    name: str

    def propose(self, state: State_contra, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return the proposals of the next round, given all that is known."""
        ...

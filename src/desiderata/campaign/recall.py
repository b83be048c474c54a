"""What is recorded, as the learner and the strategy want to see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.features import BATCH
from desiderata.campaign.images import read_image
from desiderata.campaign.learner import Example, Learner
from desiderata.campaign.records import Answer, Exchange, Query
from desiderata.campaign.store import Store

Vectors = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Said:
    """The conversation as it stood at one moment, whoever goes on with it in the meantime.

    Attributes:
        queries: Of the rounds looked at, in the order asked.
        answers: Those of the queries that were open no longer, in the order asked for.
    """

    queries: Sequence[Query]
    answers: Sequence[Answer]

    @classmethod
    def of(cls, store: Store, through: int | None = None) -> "Said":
        """Return what was said in the rounds up to `through`, in all without it."""
        queries = [query for query in store.queries() if through is None or query.round <= through]
        # An answer is recorded together with its query's status, so that these, read later, are complete.
        decided = {query.id for query in queries if query.status != "open"}
        return cls(queries, [answer for answer in store.answers() if answer.query_id in decided])


def unembedded(said: Said, known: Vectors) -> list[str]:
    """Return the names of those pictures of answers whose embedding is not among the known ones."""
    return [answer.image for answer in said.answers if answer.image and answer.image not in known]


def embed(store: Store, learner: Learner[Any], names: Sequence[str]) -> Vectors:
    """Return the embeddings of stored pictures, of which few are in memory at a time."""
    vectors: Vectors = {}
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        vectors |= zip(batch, learner.embed([read_image(store.image(name)) for name in batch]), strict=True)
    return vectors


def examples(store: Store, said: Said, vectors: Vectors) -> list[Example]:
    """Return the answers, ready to be learnt from."""
    queries = {query.id: query for query in said.queries}
    found = []
    for answer in said.answers:
        query = queries[answer.query_id]
        synthesised = query.proposal.feature
        feature = vectors[answer.image] if synthesised is None else synthesised
        found.append(Example(query, answer, feature, store.image(answer.image) if answer.image else b""))
    return found


def exchanges(store: Store, said: Said, vectors: Vectors, classes: Sequence[str]) -> list[Exchange]:
    """Return every query that is open no longer with what it brought, in the order asked."""
    brought: dict[str, list[Example]] = {}
    for example in examples(store, said, vectors):
        brought.setdefault(example.query.id, []).append(example)
    dimension = next((vector.size for vector in vectors.values()), 0)
    number = {name: index for index, name in enumerate(classes)}
    found = []
    for query in said.queries:
        if query.status != "open":
            came = brought.get(query.id, [])
            labels = np.array([number[one.answer.label] for one in came], dtype=np.int64)
            features = np.array([one.feature for one in came]) if came else np.empty((0, dimension))
            found.append(Exchange(query, features, labels))
    return found

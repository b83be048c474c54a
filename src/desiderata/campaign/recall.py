"""What is recorded, as the learner and the strategy want to see it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.images import read_image
from desiderata.campaign.learner import Example, Learner
from desiderata.campaign.records import Exchange
from desiderata.campaign.store import Store

Vectors = dict[str, NDArray[np.float64]]


def embed_new(store: Store, learner: Learner[Any]) -> Vectors:
    """Return the embeddings of those answers of which none is stored yet, by the name of the picture."""
    known = store.features(learner.embedding)
    new = [answer.image for answer in store.answers() if answer.image and answer.image not in known]
    if not new:
        return {}
    return dict(zip(new, learner.embed([read_image(store.image(name)) for name in new]), strict=True))


def examples(store: Store, vectors: Vectors, through: int | None = None) -> list[Example]:
    """Return the answers to the queries of the rounds up to `through` (to all), in the order asked for."""
    queries = {query.id: query for query in store.queries()}
    found = []
    for answer in store.answers():
        query = queries[answer.query_id]
        if through is None or query.round <= through:
            synthesised = query.proposal.feature
            feature = vectors[answer.image] if synthesised is None else synthesised
            found.append(Example(query, answer, feature, store.image(answer.image) if answer.image else b""))
    return found


def exchanges(store: Store, vectors: Vectors, classes: Sequence[str]) -> list[Exchange]:
    """Return every query that is open no longer with what it brought, in the order asked."""
    brought: dict[str, list[Example]] = {}
    for example in examples(store, vectors):
        brought.setdefault(example.query.id, []).append(example)
    dimension = next((vector.size for vector in vectors.values()), 0)
    number = {name: index for index, name in enumerate(classes)}
    found = []
    for query in store.queries():
        if query.status != "open":
            came = brought.get(query.id, [])
            labels = np.array([number[one.answer.label] for one in came], dtype=np.int64)
            features = np.array([one.feature for one in came]) if came else np.empty((0, dimension))
            found.append(Exchange(query, features, labels))
    return found

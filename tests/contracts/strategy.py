"""What every strategy of the collect half must do, on a small made-up joint space."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from desiderata.campaign.records import Exchange, Proposal, Query, Strategy
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.state import CollectState
from desiderata.collect.toolbox import RetrievalDescriber, Toolbox
from desiderata.describe.bank import SentenceBank
from desiderata.describe.template import plain

CLASSES = ("cat", "dog", "ship")
PLACES = ("grass", "snow", "beach", "street", "room", "forest", "desert", "sea")
DIM = 12


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class Words:
    """A sentence is the sum of its known words' directions; what a picture shows is told as a sentence."""

    name, dim = "words", DIM

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        known = (*CLASSES, *PLACES)
        self.directions = dict(zip(known, unit(rng.normal(size=(len(known), DIM)))))

    def texts(self, texts):
        rows = [sum((self.directions.get(word, 0.0) for word in text.lower().split()), start=0.05) for text in texts]
        return unit(np.stack([np.broadcast_to(row, (DIM,)) for row in rows]))

    def images(self, images):
        raise AssertionError("strategies look at no images")


def toolbox() -> Toolbox:
    encoder = Words()
    sentences = {
        label: [f"a {label} in the {place} and {other}" for place in PLACES for other in PLACES] for label in CLASSES
    }
    bank = SentenceBank.of(sentences, encoder)
    return Toolbox(encoder, CLASSES, bank, RetrievalDescriber(bank))


def state(tools: Toolbox, seed: int = 0) -> CollectState:
    """Cats and dogs are known from the grass alone, and are met everywhere."""
    rng = np.random.default_rng(seed)

    def draw(places, n):
        labels = np.repeat(np.arange(len(CLASSES)), n)
        texts = [f"{CLASSES[label]} {rng.choice(places)}" for label in labels]
        return unit(tools.encoder.texts(texts) + 0.1 * rng.normal(size=(len(texts), DIM))), labels

    features, labels = draw(PLACES[:1], 6)
    validation_features, validation_labels = draw(PLACES, 6)
    head = HeadClassifier(hidden=(8, 8), seed=0).fit(features, labels)
    return CollectState(
        1, CLASSES, head, features, labels, np.ones(len(labels)), validation_features, validation_labels, ()
    )


def told(start: CollectState, proposals, rng: np.random.Generator) -> CollectState:
    """The state after the first proposal was skipped and the others were answered."""
    exchanges = []
    for number, proposal in enumerate(proposals):
        query = Query(f"r001-q{number:02}", 1, proposal, "answered")
        k = 0 if number == 0 else 1
        features = unit(rng.normal(size=(k, DIM)))
        exchanges.append(Exchange(query, features, np.full(k, start.classes.index(proposal.label))))
    return replace(start, round=2, exchanges=tuple(exchanges))


def check_strategy(make: Callable[[Toolbox], Strategy[CollectState]]) -> None:
    """Hold a strategy to the contract."""
    tools = toolbox()
    first = state(tools)
    before = first.features.copy(), first.head.theta_.clone()
    proposals = list(make(tools).propose(first, np.random.default_rng(3)))
    _check_proposals(proposals)
    assert _same(proposals, make(tools).propose(first, np.random.default_rng(3))), "the same draws, other proposals"
    np.testing.assert_array_equal(first.features, before[0])
    assert (first.head.theta_ == before[1]).all(), "the head was left changed"
    second = told(first, proposals, np.random.default_rng(4))
    _check_proposals(list(make(tools).propose(second, np.random.default_rng(5))))


def _check_proposals(proposals: list[Proposal]) -> None:
    assert sorted(proposal.label for proposal in proposals) == sorted(CLASSES), "one proposal for each class"
    for proposal in proposals:
        assert all(np.isfinite(value) for value in proposal.evidence.values())
        assert "predicted_gain" in proposal.evidence
        if proposal.feature is None:
            assert proposal.text
            assert 0 <= proposal.evidence["class_agreement"] <= 1
            assert proposal.text == plain(proposal.label) or proposal.label in proposal.text
        else:
            assert proposal.feature.shape == (DIM,)
            np.testing.assert_allclose(np.linalg.norm(proposal.feature), 1)


def _same(a, b) -> bool:
    return all(
        (x.label, x.text, dict(x.evidence)) == (y.label, y.text, dict(y.evidence))
        and ((x.feature is None and y.feature is None) or np.array_equal(x.feature, y.feature))
        for x, y in zip(a, b, strict=True)
    )

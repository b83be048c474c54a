from dataclasses import dataclass, replace

import numpy as np
import pytest

from contracts.decoder import tiny_decoder
from contracts.strategy import CLASSES, DIM, PLACES, check_strategy, state, told, toolbox, unit
from desiderata.collect.lookahead import predicted_gain_proximal
from desiderata.collect.state import CollectState
from desiderata.collect.strategies import STRATEGIES, make_strategy
from desiderata.collect.toolbox import Appraiser, DecapDescriber, Describer, Toolbox
from desiderata.describe.template import described, plain
from desiderata.errors import DesiderataError


@pytest.mark.parametrize("name", STRATEGIES)
def test_contract(name: str):
    check_strategy(lambda tools: make_strategy(name, tools))


def test_random_text_never_changes():
    tools = toolbox()
    asked = make_strategy("random-text", tools).propose(state(tools), np.random.default_rng(0))
    assert [proposal.text for proposal in asked] == [plain(label) for label in CLASSES]


def test_random_descriptions_come_from_the_bank_of_their_class():
    tools = toolbox()
    for proposal in make_strategy("random-description", tools).propose(state(tools), np.random.default_rng(0)):
        assert described(proposal.text) in tools.bank.sentences[proposal.label]


@pytest.mark.parametrize("name", ["genmqd-closed", "text-influence"])
def test_what_was_asked_is_not_asked_again(name: str):
    tools = toolbox()
    start = state(tools)
    first = make_strategy(name, tools).propose(start, np.random.default_rng(0))
    second = make_strategy(name, tools).propose(
        told(start, first, np.random.default_rng(1)), np.random.default_rng(0)
    )
    assert not {proposal.text for proposal in first} & {proposal.text for proposal in second}


def test_the_papers_steps_hardly_move_and_set_steps_do():
    tools = toolbox()
    start = state(tools)
    paper, closed = (
        make_strategy(name, tools).propose(start, np.random.default_rng(0)) for name in ("genmqd", "genmqd-closed")
    )
    assert max(p.evidence["displacement"] for p in paper) < min(p.evidence["displacement"] for p in closed)


def priced(tools: Toolbox, start: CollectState, seed: int) -> list[dict[str, float]]:
    """The predicted gain of each class's sentences, worked out beside the strategy's own machinery."""
    rng, n = np.random.default_rng(seed), len(start.validation_labels)
    for label in CLASSES:
        rng.permutation(len(tools.bank.sentences[label]))
    rows = rng.integers(n, size=n)
    found = []
    for index, label in enumerate(CLASSES):
        points = tools.bridge(start)(tools.bank.embeddings[label])
        gains = predicted_gain_proximal(
            start.head,
            start.features,
            start.labels,
            start.validation_features[rows],
            start.validation_labels[rows],
            points,
            np.full(len(points), index),
            sample_weight=start.weights,
            rank=128,
        )
        found.append(dict(zip(tools.bank.sentences[label], gains.tolist(), strict=True)))
    return found


@pytest.mark.parametrize("best", [1, 6])
def test_text_influence_asks_for_one_of_the_dearest_sentences_of_each_class(best: int):
    tools = toolbox()
    start = state(tools)
    strategy = make_strategy("text-influence", tools, candidates=10_000, best=best)
    below = 0
    for seed in range(6):
        asked = [described(one.text) for one in strategy.propose(start, np.random.default_rng(seed))]
        for gains, text in zip(priced(tools, start, seed), asked, strict=True):
            ranked = sorted(gains.values(), reverse=True)
            assert gains[text] >= ranked[best - 1] - 1e-6  # sentences that differ in order alone are worth the same
            below += gains[text] < ranked[0] - 1e-6
    assert (below > 0) == (best > 1)


def test_what_answers_showed_moves_the_points_that_sentences_stand_for():
    tools = toolbox()
    start = state(tools)
    asked = make_strategy("random-description", tools).propose(start, np.random.default_rng(0))
    later = told(start, asked, np.random.default_rng(1))
    for exchange in later.exchanges:
        text = tools.encoder.texts([described(exchange.query.text)])
        for picture in exchange.features:
            assert tools.bridge(later)(text)[0] @ picture > tools.bridge(start)(text)[0] @ picture


def test_names_and_parameters_that_do_not_exist():
    with pytest.raises(DesiderataError, match="choose from random-text"):
        make_strategy("random", toolbox())
    with pytest.raises(DesiderataError, match="genmqd has no setting 'speed': take it out"):
        make_strategy("genmqd", toolbox(), speed=3)


@pytest.mark.parametrize("name", ["genmqd", "genmqd-closed"])
def test_contract_with_a_decoder(name: str):
    describer = DecapDescriber(tiny_decoder(DIM))
    check_strategy(lambda tools: make_strategy(name, replace(tools, describer=describer)))


def test_a_decoder_describes_points_on_the_text_side_and_proposes_that_first():
    decoder = tiny_decoder(DIM)
    describer: Describer = DecapDescriber(decoder)
    points = unit(np.random.default_rng(0).normal(size=(3, DIM)))
    said = describer.describe(points, CLASSES)
    assert said == decoder.decode(decoder.project(points))
    proposed = describer.propose(points, CLASSES, 6, seed=1)
    assert [sentences[0] for sentences in proposed] == said
    assert all(len(set(sentences)) == len(sentences) <= 6 for sentences in proposed)
    assert max(len(sentences) for sentences in proposed) > 1
    assert describer.propose(points, CLASSES, 6, seed=1) == proposed
    assert describer.propose(points, CLASSES, 6, seed=2) != proposed
    assert describer.propose(points, CLASSES, 1, seed=1) == [[sentence] for sentence in said]


@dataclass(frozen=True)
class Babbler:
    """Proposes everything that can be said about any class, whatever it is asked for."""

    sentences: tuple[str, ...]

    def describe(self, points, labels):
        return [self.sentences[0]] * len(points)

    def propose(self, points, labels, n, seed):
        return [list(self.sentences) for _ in points]


def test_the_closed_loop_drops_the_dearest_sentence_when_it_names_another_class():
    sentences = tuple(f"{label} {place}" for label in CLASSES for place in PLACES)
    tools = replace(toolbox(), describer=Babbler(sentences))
    start = state(tools)
    texts = [
        described(one.text) for one in make_strategy("genmqd-closed", tools).propose(start, np.random.default_rng(0))
    ]
    appraiser, strayed = Appraiser(tools, start), 0
    for index, (label, text) in enumerate(zip(CLASSES, texts, strict=True)):
        gains = appraiser.gains(appraiser.bridge(tools.encoder.texts(sentences)), np.full(len(sentences), index))
        ranked = [sentences[row] for row in np.argsort(-gains)]
        strayed += not ranked[0].startswith(label)
        assert text == next(sentence for sentence in ranked if sentence.startswith(label))
    assert strayed, "no class had a dearer sentence about another, so that nothing was dropped"


def test_agreement_is_the_zero_shot_probability_of_the_class():
    tools = toolbox()
    embeddings = tools.encoder.texts(["a cat in the snow", "a dog", "snow", "a cat dog"])
    names = tools.encoder.texts([plain(label) for label in CLASSES])
    every = np.stack([tools.agreement(embeddings, np.full(4, label)) for label in range(3)], axis=1)
    np.testing.assert_allclose(every.sum(axis=1), 1)
    odds = np.exp(100 * (embeddings @ names.T - (embeddings @ names.T).max(axis=1, keepdims=True)))
    np.testing.assert_allclose(every, odds / odds.sum(axis=1, keepdims=True))
    assert every[0, 0] > 0.99
    assert every[1, 1] > 0.99
    assert tools.agreement(embeddings, np.array([0, 1, 2, 2])).tolist() == [*every[[0, 1, 2, 3], [0, 1, 2, 2]]]


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("genmqd", {"steps": -1}, "steps is -1"),
        ("genmqd", {"step_size": 0}, "step_size is 0"),
        ("genmqd", {"tolerance": -1e-4}, "tolerance is -0.0001"),
        ("genmqd-fea", {"step_size": -0.1}, "step_size is -0.1"),
        ("genmqd-closed", {"proposals": 0}, "proposals is 0, but must be a whole number of at least 1"),
        ("genmqd-closed", {"proposals": 2.5}, "proposals is 2.5"),
        ("genmqd-closed", {"agreement": 50}, "agreement is 50, but must be a number at least 0 and at most 1"),
        ("genmqd-closed", {"steps": "8"}, "steps is '8'"),
        ("text-influence", {"best": 0}, "best is 0"),
        ("text-influence", {"candidates": 0}, "candidates is 0"),
        ("text-influence", {"rank": 0}, "rank is 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_anything_is_asked(name: str, settings: dict, says: str):
    with pytest.raises(DesiderataError, match=says) as error:
        make_strategy(name, toolbox(), **settings)
    assert str(error.value).endswith(".")


def test_one_proposal_is_the_greedy_one():
    decoder = tiny_decoder(DIM)
    tools = replace(toolbox(), describer=DecapDescriber(decoder))
    start = state(tools)
    asked = make_strategy("genmqd-closed", tools, proposals=1).propose(start, np.random.default_rng(0))
    greedy = make_strategy(
        "genmqd", tools, steps=8, step_size=0.05, normalised=True, tolerance=1e-3, solve_tolerance=1e-2
    ).propose(start, np.random.default_rng(0))
    assert [one.text for one in asked] == [one.text for one in greedy]

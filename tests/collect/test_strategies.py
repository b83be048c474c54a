import numpy as np
import pytest

from contracts.strategy import CLASSES, check_strategy, state, told, toolbox
from desiderata.collect.strategies import STRATEGIES, make_strategy
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


def test_names_and_parameters_that_do_not_exist():
    with pytest.raises(DesiderataError, match="choose from random-text"):
        make_strategy("random", toolbox())
    with pytest.raises(DesiderataError, match="cannot be made"):
        make_strategy("genmqd", toolbox(), speed=3)

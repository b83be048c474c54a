"""Controls: strategies that do not look at the classifier."""

from collections.abc import Sequence

import numpy as np

from desiderata.campaign.records import Proposal
from desiderata.collect.state import CollectState
from desiderata.collect.toolbox import Appraiser, Toolbox
from desiderata.describe.template import ask_for, plain


class RandomText:
    """Ask for "a photo of a {class}" for every class, round after round (GenMQD, section 4.1)."""

    name = "random-text"

    def __init__(self, tools: Toolbox) -> None:
        self.tools = tools

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal for each class."""
        texts = [plain(label) for label in state.classes]
        return _proposals(self.tools, state, texts)


class RandomDescription:
    """Ask for a random description of the right class from the bank, without looking at the classifier.

    It has the diversity of GenMQD without the influence; a gain over RandomText that it matches is diversity.
    """

    name = "random-description"

    def __init__(self, tools: Toolbox) -> None:
        self.tools = tools

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal for each class; a sentence asked before may come again."""
        bank = self.tools.bank.sentences
        texts = [ask_for(label, bank[label][int(rng.integers(len(bank[label])))]) for label in state.classes]
        return _proposals(self.tools, state, texts)


def _proposals(tools: Toolbox, state: CollectState, texts: Sequence[str]) -> list[Proposal]:
    evidence = Appraiser(tools, state).evidence(texts, np.arange(len(state.classes)))
    return [
        Proposal(label, text, evidence=figures)
        for label, text, figures in zip(state.classes, texts, evidence, strict=True)
    ]

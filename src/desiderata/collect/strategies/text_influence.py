"""Influence in text space: price every sentence of a bank by what its images would bring, and ask for the best."""

from collections.abc import Sequence

import numpy as np

from desiderata.campaign.records import Proposal
from desiderata.collect.lookahead import predicted_gain_proximal
from desiderata.collect.state import CollectState
from desiderata.collect.toolbox import Appraiser, Toolbox
from desiderata.describe.template import ask_for, described


class TextInfluence:
    """Ask for the sentence whose images are predicted to lower the validation loss most.

    Args:
        tools: The frozen models.
        candidates: Sentences priced for each class in each round, drawn at random from the bank.
    """

    name = "text-influence"

    def __init__(self, tools: Toolbox, *, candidates: int = 300) -> None:
        self.tools, self.candidates = tools, candidates

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal for each class."""
        appraiser = Appraiser(self.tools, state)
        asked = {described(exchange.query.text) for exchange in state.exchanges}
        chosen = []
        for index, label in enumerate(state.classes):
            sentences, embeddings = self.tools.bank.sentences[label], self.tools.bank.embeddings[label]
            fresh = np.array([row for row, text in enumerate(sentences) if text not in asked] or range(len(sentences)))
            rows = rng.permutation(fresh)[: self.candidates]
            gains = predicted_gain_proximal(
                state.head,
                state.features,
                state.labels,
                state.validation_features,
                state.validation_labels,
                appraiser.bridge(embeddings[rows]),
                np.full(len(rows), index),
                sample_weight=state.weights,
            )
            chosen.append(ask_for(label, sentences[rows[int(gains.argmax())]]))
        evidence = appraiser.evidence(chosen, np.arange(len(state.classes)))
        return [
            Proposal(label, text, evidence=figures)
            for label, text, figures in zip(state.classes, chosen, evidence, strict=True)
        ]

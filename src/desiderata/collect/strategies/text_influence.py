"""Influence in text space: price every sentence by what its picture would be worth, and ask for the dearest."""

from collections.abc import Sequence

import numpy as np

from desiderata.campaign.records import Proposal
from desiderata.collect.checks import check_whole
from desiderata.collect.state import CollectState
from desiderata.collect.toolbox import RANK, Appraiser, Toolbox
from desiderata.describe.template import ask_for, described


class TextInfluence:
    """Ask for the sentence whose picture is predicted to lower the validation loss most.

    No x* is synthesised and nothing is decoded: the sentence is chosen for the gain that it is predicted to bring,
    not for its nearness to a point. Four things keep it from asking for the same outlier again and again. Gains are
    those of a refit with the newcomer's own loss kept exact (`predicted_gain_proximal`), which does not overrate what
    the head cannot fit; every round prices a fresh random share of the bank, against a fresh resample of the
    validation set, so that no round serves the same few hard pictures; one of the best few is asked; and no sentence
    twice while others are left.

    Gains are not additive, and the method as first planned therefore updates s after each pick. This does not: a
    round prices the sentences of all classes once, against one head, one inverse curvature and one resample (as many
    rows as there are validation examples, drawn with replacement). For each class it takes `candidates` sentences at
    random from those not asked before, and draws one, each as likely, from the `best` of them. A pick changes nothing
    for the other classes: chance makes a round diverse, and what came of it counts from the next round on. No
    comparison with an update after each pick is on record.

    Args:
        tools: The frozen models.
        candidates: Sentences priced for each class in each round.
        best: Of how many of the dearest sentences one is drawn.
        rank: Eigenpairs kept of the curvature; see `predicted_gain_proximal`.

    Raises:
        DesiderataError: One of these is below 1.
    """

    name = "text-influence"

    def __init__(self, tools: Toolbox, *, candidates: int = 150, best: int = 5, rank: int = RANK) -> None:
        check_whole("candidates", candidates, 1, "try 150")
        check_whole("best", best, 1, "try 5")
        check_whole("rank", rank, 1, "try 128")
        self.tools, self.candidates, self.best, self.rank = tools, candidates, best, rank

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal for each class."""
        tools, appraiser = self.tools, Appraiser(self.tools, state, rank=self.rank)
        asked = {described(exchange.query.text) for exchange in state.exchanges}
        rows = [self._candidates(tools.bank.sentences[label], asked, rng) for label in state.classes]
        embeddings = [tools.bank.embeddings[label][some] for label, some in zip(state.classes, rows, strict=True)]
        sizes = [len(some) for some in rows]
        resampled = rng.integers(len(state.validation_labels), size=len(state.validation_labels))
        gains = appraiser.gains(
            appraiser.bridge(np.concatenate(embeddings)), np.repeat(np.arange(len(rows)), sizes), resampled
        )
        by_class = np.split(gains, np.cumsum(sizes)[:-1])
        picks = [int(rng.choice(np.argsort(-worth, kind="stable")[: self.best])) for worth in by_class]
        texts = [
            ask_for(label, tools.bank.sentences[label][some[pick]])
            for label, some, pick in zip(state.classes, rows, picks, strict=True)
        ]
        # The gain that a sentence was chosen for is too good to be true, being the best of many on one resample; told
        # is that on the whole validation set, which is less flattered, and still not independent of the choice.
        evidence = appraiser.evidence(texts, np.arange(len(texts)))
        return [
            Proposal(label, text, evidence=figures)
            for label, text, figures in zip(state.classes, texts, evidence, strict=True)
        ]

    def _candidates(self, sentences: Sequence[str], asked: set[str], rng: np.random.Generator) -> list[int]:
        order = rng.permutation(len(sentences)).tolist()
        fresh = [row for row in order if sentences[row] not in asked]
        return (fresh or order)[: self.candidates]

"""GenMQD: synthesise the point that the classifier lacks, then say it in words (Algorithms 1 and 2)."""

from collections.abc import Sequence

import numpy as np

from desiderata.campaign.records import Proposal
from desiderata.collect.checks import check_number, check_whole
from desiderata.collect.state import CollectState
from desiderata.collect.synthesis import Synthesis, check_descent, synthesise
from desiderata.collect.toolbox import Appraiser, Toolbox, merged
from desiderata.describe.template import ask_for, described

STEPS = 200
"""Steps T of the paper (section 4.1)."""

STEP_SIZE = 1e-4
"""Step size alpha of the paper (section 4.1)."""


class GenMQD:
    """Algorithm 1 with the paper's constants: one sentence for every class, decoded from x*.

    Args:
        tools: The frozen models.
        steps: Descent steps for x*.
        step_size: Length of the step; see `synthesise`.
        normalised: Whether every step has the length `step_size`, whatever the gradient's. Not in the paper.
        tolerance: Gradient norm above which a head is refitted on the way; see `synthesise`.
        solve_tolerance: Relative residual above which an inverse is solved anew; see `synthesise`.

    Raises:
        DesiderataError: One of these is out of range.
    """

    name = "genmqd"

    def __init__(
        self,
        tools: Toolbox,
        *,
        steps: int = STEPS,
        step_size: float = STEP_SIZE,
        normalised: bool = False,
        tolerance: float = 1e-4,
        solve_tolerance: float = 1e-3,
    ) -> None:
        check_descent(steps, step_size, tolerance, solve_tolerance)
        self.tools, self.steps, self.step_size, self.normalised = tools, steps, step_size, normalised
        self.tolerance, self.solve_tolerance = tolerance, solve_tolerance

    def synthesise(self, state: CollectState) -> Synthesis:
        """Return x* of all classes at once (lines 4 to 9), from the class means of everything labelled so far."""
        return synthesise(
            state.head,
            state.features,
            state.labels,
            state.validation_features,
            state.validation_labels,
            sample_weight=state.weights,
            steps=self.steps,
            step_size=self.step_size,
            normalised=self.normalised,
            tolerance=self.tolerance,
            solve_tolerance=self.solve_tolerance,
        )

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one proposal for each class."""
        found = self.synthesise(state)
        appraiser = Appraiser(self.tools, state)
        descriptions = self.choose(found, appraiser, rng)
        embeddings = self.tools.encoder.texts(descriptions)
        evidence = appraiser.evidence(descriptions, np.arange(len(state.classes)))
        point_gains = appraiser.gains(found.points, np.arange(len(state.classes)))
        cosines = (embeddings * found.points).sum(1)
        return [
            Proposal(
                label,
                ask_for(label, description),
                evidence=merged(
                    figures,
                    {"cosine": float(cosine), "displacement": float(moved), "point_gain": float(point_gain)},
                ),
            )
            for label, description, figures, cosine, moved, point_gain in zip(
                state.classes, descriptions, evidence, cosines, found.displacement, point_gains, strict=True
            )
        ]

    def choose(self, found: Synthesis, appraiser: Appraiser, rng: np.random.Generator) -> list[str]:
        """Return x* of every class in words (section 3.3)."""
        return self.tools.describer.describe(found.points, self.tools.classes)


class ClosedLoopGenMQD(GenMQD):
    """GenMQD that reads its own sentences before it asks them.

    For every x* many sentences are proposed and embedded again. Those that no longer name the class, and those asked
    before, are dropped; of the rest the one with the highest predicted gain is asked. The decoder's slips (a giraffe
    for a deer, Table 2) and the influence lost in decoding are caught here. x* moves by steps of a set length, since
    the paper's steps leave it where it starts.

    Args:
        tools: The frozen models.
        proposals: Sentences proposed for each class.
        agreement: The least probability, by zero-shot, that a sentence names its class.
        steps: Descent steps for x*.
        step_size: Length of each step, on the unit sphere.

    Raises:
        DesiderataError: One of these is out of range.
    """

    name = "genmqd-closed"

    def __init__(
        self,
        tools: Toolbox,
        *,
        proposals: int = 24,
        agreement: float = 0.5,
        steps: int = 8,
        step_size: float = 0.05,
    ) -> None:
        super().__init__(
            tools, steps=steps, step_size=step_size, normalised=True, tolerance=1e-3, solve_tolerance=1e-2
        )
        check_whole("proposals", proposals, 1, "try 24")
        check_number("agreement", agreement, "try 0.5", least=0, most=1)
        self.proposals, self.agreement = proposals, agreement

    def choose(self, found: Synthesis, appraiser: Appraiser, rng: np.random.Generator) -> list[str]:
        """Return of proposed sentences that still name the class those with the highest predicted gain."""
        tools = self.tools
        asked = {described(exchange.query.text) for exchange in appraiser.state.exchanges}
        proposed = tools.describer.propose(found.points, tools.classes, self.proposals, int(rng.integers(2**31)))
        fresh = [[one for one in sentences if one not in asked] or sentences for sentences in proposed]
        labels = np.repeat(np.arange(len(fresh)), [len(sentences) for sentences in fresh])
        embeddings = tools.encoder.texts([sentence for sentences in fresh for sentence in sentences])
        gains = appraiser.gains(appraiser.bridge(embeddings), labels)
        agreeing = tools.agreement(embeddings, labels)
        chosen = []
        for index, sentences in enumerate(fresh):
            mine = labels == index
            # When no sentence names the class, the one that comes nearest to naming it is asked.
            trusted = agreeing[mine] >= min(self.agreement, agreeing[mine].max())
            chosen.append(sentences[int(np.where(trusted, gains[mine], -np.inf).argmax())])
        return chosen


class GenMQDFea(GenMQD):
    """Algorithm 2: x* itself joins the training set; nobody is asked."""

    name = "genmqd-fea"

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        """Return one synthesised point for each class."""
        found = self.synthesise(state)
        gains = Appraiser(self.tools, state).gains(found.points, np.arange(len(state.classes)))
        return [
            Proposal(
                label,
                "",
                point,
                {"predicted_gain": float(gain), "point_gain": float(gain), "displacement": float(moved)},
            )
            for label, point, gain, moved in zip(state.classes, found.points, gains, found.displacement, strict=True)
        ]

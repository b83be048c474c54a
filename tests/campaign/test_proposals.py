"""What a strategy must not propose is refused before it is recorded."""

from typing import Any

import numpy as np
import pytest
from fake_parts import AskInTurn, RunningMean

from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Proposal
from desiderata.errors import DesiderataError

NAN = float("nan")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Proposal("giraffe", "a"), r"is for 'giraffe', which is none of the classes \(cat, dog, ship\)"),
        (Proposal("cat", " "), "has neither a sentence nor a point"),
        (Proposal("cat", "a", evidence={"predicted_gain": NAN}), "has the figure predicted_gain = nan"),
        (Proposal("cat", "a", evidence={"predicted_gain": "high"}), "has the figure predicted_gain = high"),  # pyright: ignore[reportArgumentType]
        (Proposal("cat", "a", weight=NAN), "has the weight nan"),
        (Proposal("cat", "a", weight=-1.0), r"has the weight -1\.0, where a number of at least 0 belongs"),
        (Proposal("cat", "", np.full(8, np.inf)), "has a point that is not finite"),
        (Proposal("cat", "", np.ones(3)), r"has a point of shape \(3,\), where \(8,\) belongs"),
    ],
)
def test_a_proposal_that_cannot_be_learnt_from_is_not_asked(wrong: Proposal, says: str):
    strategy = AskInTurn()
    campaign = Campaign.create(None, learner=RunningMean(), strategy=strategy)
    proposed = strategy.propose

    def propose(state: dict[str, Any], rng: np.random.Generator) -> list[Proposal]:
        return [*proposed(state, rng)[:1], wrong]

    strategy.propose = propose
    with pytest.raises(DesiderataError, match=rf"^Proposal 2 of the strategy in-turn {says}.*nothing was asked\.$"):
        campaign.ask()
    assert campaign.queries == []
    strategy.propose = proposed
    assert len(campaign.ask()) == 2


def test_figures_of_other_number_types_are_fine():
    campaign = Campaign.create(None, learner=RunningMean(), strategy=AskInTurn())
    evidence = {"predicted_gain": np.float32(0.5), "count": np.int64(3)}
    proposal = Proposal("cat", "a", evidence=evidence, weight=np.float64(2))  # pyright: ignore[reportArgumentType]
    campaign._parts[1].propose = lambda *_: [proposal]  # pyright: ignore
    assert campaign.ask()[0].proposal.evidence == {"predicted_gain": 0.5, "count": 3.0}

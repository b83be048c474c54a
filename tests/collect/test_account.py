"""The account of a campaign says what happened in it."""

from pathlib import Path

import numpy as np
import pytest
from test_learner import CLASSES, AskForOne, Paint, learner

from desiderata.campaign.loop import Campaign
from desiderata.collect.account import account_of, realised_gains
from desiderata.collect.learner import mean_loss
from desiderata.report import write_report


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    campaign = Campaign.create(tmp_path / "run", learner=learner(), strategy=AskForOne(), seed=2)
    campaign.run(Paint(), 2)
    campaign.skip(campaign.ask()[0], "cannot find this")
    campaign.ask()
    return campaign


def test_everything_asked_is_told_with_what_came(campaign: Campaign):
    report = account_of(campaign)
    assert [one.id for one in report.asked] == ["r001-q01", "r002-q01", "r003-q01", "r004-q01"]
    assert [len(one.images) for one in report.asked] == [1, 1, 0, 0]
    assert report.asked[0].images[0].shape == (8, 8, 3)
    assert report.asked[2].skipped == "cannot find this"
    assert [one.realised_gain is None for one in report.asked] == [False, False, True, True]
    curve = report.curves[0]
    assert curve.examples.tolist() == [0, 1, 2, 2]
    assert curve.accuracy.tolist() == [[one.metrics["test_accuracy"] for one in campaign.rounds]]
    assert report.confusion is not None
    assert report.confusion.classes == CLASSES
    assert report.test_examples == 12
    assert report.feature_map is not None
    assert report.feature_map.collected.shape == (2, 2)


def test_a_realised_gain_is_that_of_a_round_with_this_one_answer(campaign: Campaign):
    gains = realised_gains(campaign)
    for number in (1, 2):  # one query a round: the round itself is the refit
        before, after = (mean_loss(campaign.learner_at(i).head, campaign.learner.validation) for i in (number - 1, number))
        assert gains[f"r00{number}-q01"] == pytest.approx(before - after, abs=1e-4)


def test_the_campaign_is_left_as_it_was(campaign: Campaign, tmp_path: Path):
    before = campaign.history()
    weights = campaign.learner.save()
    write_report(account_of(campaign), tmp_path / "report.html")
    assert campaign.history() == before
    assert campaign.learner.save() == weights
    assert np.isfinite(campaign.evaluate()["validation_loss"])
    assert "cannot find this" in (tmp_path / "report.html").read_text("utf-8")

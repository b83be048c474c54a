"""With the bundled encoder, a campaign that is opened anew for every step has the history of one left alone."""

from pathlib import Path

import pytest

from desiderata.campaign.config import Config
from desiderata.campaign.loop import Campaign
from desiderata.collect import build

ROUNDS = 2


def test_a_campaign_reopened_after_every_round_has_the_history_of_one_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(build, "BANK_SIZE", 60)
    world = {"kind": "moji", "setting": "narrow", "initial": 3, "validation": 3, "test": 2}
    config = Config(4, "collect", world, "moji-clip", {"name": "text-influence"})
    whole, _ = build.create(tmp_path / "whole", config)
    whole.run(build.make_oracle("scene", whole), ROUNDS)

    build.create(tmp_path / "parts", config)
    for number in range(1, ROUNDS + 1):
        Campaign.open(tmp_path / "parts").ask()
        campaign = Campaign.open(tmp_path / "parts")
        campaign.run(build.make_oracle("scene", campaign), number)
    assert len(whole.rounds) == 1 + ROUNDS
    assert sum(query.status == "answered" for query in whole.queries) >= 10
    assert Campaign.open(tmp_path / "parts").history() == whole.history()

"""The README's Python, as it stands there but for the encoder."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.colours import CLASSES, Colours
from desiderata import Campaign, DesiderataError, new_campaign
from desiderata.collect import build


@pytest.fixture(autouse=True)
def photos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(build, "load_encoder", lambda name: Colours())
    for index, label in enumerate(CLASSES):
        for number in range(4):
            save(tmp_path / "photos" / label / f"{number}.png", index, number)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def save(path: Path, channel: int, seed: int) -> Path:
    pixels = np.random.default_rng([seed, channel]).integers(0, 120, (8, 8, 3))
    pixels[..., channel] += 100
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def test_a_campaign_of_ones_own_asks_and_is_told(tmp_path: Path):
    campaign = new_campaign("runs/pets", images="photos", encoder="colours", strategy="text-influence")
    for query in campaign.ask():
        campaign.tell(query, save(tmp_path / f"{query.label}.png", CLASSES.index(query.label), 9))
    assert [done.examples for done in campaign.rounds] == [0, 3]
    assert repr(campaign) == "<Campaign runs/pets, collect>"
    assert campaign.learner.head.predict(Colours().images([Image.new("RGB", (8, 8), "red")])).tolist() == [2]
    again = Campaign.open("runs/pets")
    assert again.history() == campaign.history()
    assert again.config.world["images"] == str((tmp_path / "photos").resolve())


def test_damaged_pictures_are_left_out_where_that_is_wanted(photos: Path):
    (photos / "red" / "0.png").write_bytes(b"")
    with pytest.raises(DesiderataError, match=r"1 of 12 images is damaged or cannot be used \(.*0\.png is empty"):
        new_campaign("runs/pets", images="photos", encoder="colours")
    campaign = new_campaign("runs/pets", images="photos", encoder="colours", skip_unreadable=True)
    assert len(campaign.store.held()) == 11


def test_nothing_is_left_where_a_strategy_does_not_exist(tmp_path: Path):
    with pytest.raises(DesiderataError, match="choose"):
        new_campaign("runs/pets", images="photos", encoder="colours", strategy="psychic")
    assert not (tmp_path / "runs" / "pets").exists()

"""What the files were called that answers came from: kept for people, and no part of what was said."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fake_parts import AskInTurn, Noise, RunningMean, picture
from PIL import Image

from desiderata.campaign.loop import Campaign

NOT_UTF_8 = os.fsdecode(b"caf\xe9.png")


def make(path: Path | None) -> Campaign:
    return Campaign.create(path, learner=RunningMean(), strategy=AskInTurn(), seed=3)


def saved(path: Path, seed: int) -> Path:
    image(seed).save(path)
    return path


def image(seed: int) -> Image.Image:
    return picture(np.random.default_rng([11, 1 + seed]))


@pytest.mark.parametrize("kept", ["directory", "memory"])
def test_names_of_files_are_kept_and_are_not_said(kept: str, tmp_path: Path):
    named, nameless = make(tmp_path / "run" if kept == "directory" else None), make(None)
    one, two = named.ask()
    told = named.tell(one, [saved(tmp_path / "a.png", 0), image(1), str(saved(tmp_path / NOT_UTF_8, 2))])
    named.tell(two, image(3))
    assert named.store.originals() == {
        told[0].image: f"{tmp_path.name}/a.png",
        told[2].image: f"{tmp_path.name}/caf\ufffd.png",
    }
    one, two = nameless.ask()
    nameless.tell(one, [image(0), image(1), image(2)])
    nameless.tell(two, image(3))
    assert nameless.store.originals() == {}
    assert named.history() == nameless.history()


def test_a_picture_that_is_told_anew_has_its_last_name(tmp_path: Path):
    campaign = make(tmp_path / "run")
    one = campaign.ask()[0]
    for name in ("a.png", "b.png"):
        told = campaign.tell(one, saved(tmp_path / name, 0))
        assert campaign.store.originals() == {told[0].image: f"{tmp_path.name}/{name}"}
        campaign.undo(one)


def test_a_database_of_before_has_no_names_until_there_is_one(tmp_path: Path):
    campaign = make(tmp_path / "run")
    campaign.run(Noise(), 1)
    campaign.store.close()
    with closing(sqlite3.connect(tmp_path / "run" / "campaign.db")) as connection:
        connection.execute("DROP TABLE originals")
    again = Campaign.open(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn())
    assert again.store.originals() == {}
    told = again.tell(again.ask()[0], saved(tmp_path / "a.png", 0))
    assert again.store.originals() == {told[0].image: f"{tmp_path.name}/a.png"}

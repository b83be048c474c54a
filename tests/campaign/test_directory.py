"""Where a run can be made, whatever the place is called and whoever else is there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_parts import AskInTurn, Noise, RunningMean

from desiderata.campaign import directory
from desiderata.campaign.config import Config, ConfigError
from desiderata.campaign.learner import Held
from desiderata.campaign.loop import Campaign
from desiderata.campaign.recorded import StoreError
from desiderata.errors import DesiderataError

NOT_UTF_8 = os.fsdecode(b"caf\xe9")


def make(path: Path | str, learner: RunningMean | None = None) -> Campaign:
    return Campaign.create(path, learner=learner or RunningMean(), strategy=AskInTurn())


def reopened(path: Path | str) -> Campaign:
    return Campaign.open(path, learner=RunningMean(), strategy=AskInTurn())


@pytest.mark.parametrize(
    "name", ["what?", "a?mode=ro", "no#1", "50%25", "file:x", "don't", "a b", "naïve", NOT_UTF_8]
)
def test_a_run_may_have_any_name(name: str, tmp_path: Path):
    make(tmp_path / name).run(Noise(), 1)
    assert (tmp_path / name / "campaign.db").is_file()
    assert os.listdir(tmp_path) == [name]
    again = reopened(tmp_path / name)
    again.run(Noise(), 2)
    assert [one.number for one in again.rounds] == [0, 1, 2]


def test_the_directory_that_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    before = (tmp_path / "run").stat().st_ino
    make(".").run(Noise(), 1)
    assert (tmp_path / "run").stat().st_ino == before, "a shell that stands there would stand nowhere"
    assert sorted(os.listdir()) == ["campaign.db", "campaign.toml", "images", "rounds"]
    assert os.listdir(tmp_path) == ["run"]
    assert len(reopened(tmp_path / "run").rounds) == 2


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed(there: bool, tmp_path: Path):
    if there:
        (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    made = make(tmp_path / "link")
    assert made.path == tmp_path / "link"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "campaign.toml").is_file()
    assert len(reopened(tmp_path / "link").rounds) == 1


class Slow(RunningMean):
    """Lets something happen while its run is made."""

    def __init__(self, meanwhile: Callable[[], object]):
        super().__init__()
        self.meanwhile = meanwhile

    def held(self):
        self.meanwhile()
        return super().held()


def test_two_processes_make_one_run_once(tmp_path: Path):
    path = tmp_path / "run"
    with pytest.raises(DesiderataError, match="run is a campaign already"):
        make(path, Slow(lambda: make(path)))
    assert len(reopened(path).rounds) == 1
    assert os.listdir(tmp_path) == ["run"]


def test_who_is_done_first_has_an_empty_directory(tmp_path: Path):
    path = tmp_path / "run"
    path.mkdir()
    with pytest.raises(DesiderataError, match="run is a campaign already"):
        make(path, Slow(lambda: make(path)))
    assert sorted(os.listdir(path)) == ["campaign.db", "campaign.toml", "rounds"]
    assert len(reopened(path).rounds) == 1

    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(DesiderataError, match="other is there already and not empty"):
        make(other, Slow((other / "mine.txt").touch))
    assert os.listdir(other) == ["mine.txt"]


def test_what_a_kill_left_in_an_empty_directory_is_in_nobodys_way(tmp_path: Path):
    path = tmp_path / "run"
    (path / ".run.0123abcd" / "images").mkdir(parents=True)
    make(path)
    assert len(reopened(path).rounds) == 1
    (tmp_path / "mine" / ".run.0123abcd").mkdir(parents=True)
    with pytest.raises(DesiderataError, match="mine is there already and not empty"):
        make(tmp_path / "mine")


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_who_may_read_a_run_is_up_to_the_umask(mask: int, tmp_path: Path):
    before = os.umask(mask)
    try:
        make(tmp_path / "run").run(Noise(), 1)
    finally:
        os.umask(before)
    inside = [tmp_path / "run", *(tmp_path / "run").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in inside if path.is_dir()} == {0o777 & ~mask}
    assert {path.stat().st_mode & 0o777 for path in inside if path.is_file()} == {0o666 & ~mask}


def test_places_that_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("circle", "x" * 300):
        with pytest.raises(DesiderataError, match=r"cannot be made \(.*\): choose another place\.$"):
            make(tmp_path / name)
    (tmp_path / "empty").mkdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directory, "write_text", full)
    for name in ("empty", "new"):
        with pytest.raises(DesiderataError, match=r"cannot be made \(No space left on device\)"):
            make(tmp_path / name)
    assert os.listdir(tmp_path / "empty") == []
    assert sorted(os.listdir(tmp_path)) == ["circle", "empty"]


def test_a_run_that_lost_its_database_gets_no_empty_one(tmp_path: Path):
    make(tmp_path / "run")
    (tmp_path / "run" / "campaign.db").unlink()
    with pytest.raises(StoreError, match=r"has lost its campaign\.db"):
        reopened(tmp_path / "run")
    assert not (tmp_path / "run" / "campaign.db").exists()


def test_a_configuration_that_is_a_directory(tmp_path: Path):
    (tmp_path / "campaign.toml").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        Campaign.open(tmp_path)


def test_names_of_pictures_need_not_be_utf_8(tmp_path: Path):
    learner = RunningMean()
    one = learner._held[0]
    learner._held[0] = Held(one.part, f"{NOT_UTF_8}.png", one.label, one.image, one.feature)
    campaign = make(tmp_path / "run", learner)
    assert campaign.store.held()[0].name == "caf\ufffd.png"
    campaign.skip(campaign.ask()[0], f"{NOT_UTF_8}.png looks like dog")
    assert campaign.queries[0].reason == "caf\ufffd.png looks like dog"


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_have_a_range(seed: int, tmp_path: Path):
    with pytest.raises(ConfigError, match=rf"seed {seed} is out of range: give a number from 0 to 4294967295\.$"):
        Campaign.create(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn(), seed=seed)
    assert os.listdir(tmp_path) == []
    assert Config(seed=2**32 - 1).seed == 2**32 - 1


def test_a_folder_that_the_configuration_cannot_name():
    with pytest.raises(ConfigError, match=r"/data/caf\ufffd is not UTF-8, .*: rename the folder\.$"):
        Config(world={"kind": "folder", "images": f"/data/{NOT_UTF_8}"})

"""A run that begins as another did: what both share, what neither takes from the other, and what cannot be shared."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fake_parts import AskInTurn, Noise, RunningMean

from desiderata.campaign import branching
from desiderata.campaign.branching import branch
from desiderata.campaign.loop import Campaign
from desiderata.campaign.recorded import StoreError, WeightsGone
from desiderata.campaign.records import Origin
from desiderata.errors import DesiderataError


def opened(path: Path) -> Campaign:
    return Campaign.open(path, learner=RunningMean(), strategy=AskInTurn())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three rounds, with a decision that was taken back in each."""
    campaign = Campaign.create(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn(), seed=5)
    for number in range(1, 4):
        one, _ = campaign.ask()
        campaign.skip(one, "by mistake")
        campaign.undo(one)
        campaign.run(Noise(), number)
    return tmp_path / "run"


def files(path: Path) -> set[str]:
    return {found.relative_to(path).as_posix() for found in path.rglob("*") if found.is_file()}


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_branch_has_what_was_recorded_up_to_a_round(number: int, run: Path, tmp_path: Path):
    before = Campaign.open(run).history(), files(run)
    branch(run, tmp_path / "new", round=number)
    whole, part = (json.loads(Campaign.open(path).history()) for path in (run, tmp_path / "new"))
    asked = {query["id"] for query in whole["queries"] if query["round"] <= number}
    assert part["queries"] == [query for query in whole["queries"] if query["round"] <= number]
    assert part["answers"] == [answer for answer in whole["answers"] if answer["query_id"] in asked]
    assert part["rounds"] == whole["rounds"][: number + 1]
    assert part.get("withdrawals", []) == [one for one in whole["withdrawals"] if one["query_id"] in asked]
    there = {f"rounds/{one:03d}.safetensors" for one in range(number + 1)}
    there |= {f"images/{one['image'][:2]}/{one['image']}.png" for one in part["answers"]}
    assert files(tmp_path / "new") == there | {"campaign.db", "campaign.toml"}
    decided = Campaign.open(run).decisions
    assert Campaign.open(tmp_path / "new").decisions == {query: decided[query] for query in asked}
    assert (Campaign.open(run).history(), files(run)) == before


def test_a_branch_with_the_same_answers_comes_to_the_same(run: Path, tmp_path: Path):
    branch(run, tmp_path / "new", round=1)
    again = opened(tmp_path / "new")
    for number in (2, 3):
        one, _ = again.ask()
        again.skip(one, "by mistake")
        again.undo(one)
        again.run(Noise(), number)
    assert again.history() == Campaign.open(run).history()


def test_runs_go_their_own_ways(run: Path, tmp_path: Path):
    before = Campaign.open(run).history()
    branch(run, tmp_path / "new", round=2)
    other = opened(tmp_path / "new")
    for query in other.ask():
        other.skip(query, "not this time")
    assert other.rounds[3] != Campaign.open(run).rounds[3]
    assert Campaign.open(run).history() == before
    (run / "rounds" / "002.safetensors").unlink()
    assert opened(tmp_path / "new").learner_at(2), "weights outlast those of the run that they came from"


def test_the_last_round_is_meant_where_none_is_given(run: Path, tmp_path: Path):
    campaign = opened(run)
    campaign.tell(campaign.ask()[0], Noise().answer(campaign.ask()[0], campaign._stream(4, "answer"))[0][0])
    branch(run, tmp_path / "new")
    new = opened(tmp_path / "new")
    assert new.rounds == campaign.rounds
    assert [query.status for query in new.ask()] == ["open", "open"]
    assert (new.store.origin(), campaign.store.origin()) == (Origin("run", 3, (), ""), None)


def test_a_branch_of_a_branch_tells_where_it_came_from(run: Path, tmp_path: Path):
    branch(run, tmp_path / "one", round=2)
    branch(tmp_path / "one", tmp_path / "two", round=1)
    assert opened(tmp_path / "two").store.origin() == Origin("one", 1, (), "")


def test_a_run_from_before_there_was_undo_is_branched(run: Path, tmp_path: Path):
    with closing(sqlite3.connect(run / "campaign.db")) as database:
        for table in ("withdrawals", "originals", "decisions"):
            database.execute(f"DROP TABLE {table}")
        database.commit()
    branch(run, tmp_path / "new", round=2)
    assert opened(tmp_path / "new").rounds == Campaign.open(run).rounds[:3]


def test_an_empty_directory_is_filled(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    branch(run, ".", round=2)
    assert len(opened(tmp_path / "here").rounds) == 3
    assert not [name for name in os.listdir() if name.startswith(".")]


def test_where_nothing_can_have_two_names_weights_are_copied(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(branching.os, "link", refused)
    branch(run, tmp_path / "new", round=1)
    weights = [path / "rounds" / "001.safetensors" for path in (run, tmp_path / "new")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_weights_of_earlier_rounds_may_have_been_deleted(run: Path, tmp_path: Path):
    (run / "rounds" / "001.safetensors").unlink()
    branch(run, tmp_path / "new", round=2)
    assert "rounds/001.safetensors" not in files(tmp_path / "new")
    opened(tmp_path / "new").run(Noise(), 3)
    with pytest.raises(WeightsGone, match=r"weights of round 1 are gone .* put rounds/001.safetensors back"):
        branch(run, tmp_path / "other", round=1)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"round": 4}, "Round 4 of .* is not closed: give one from 0 to 3."),
        ({"round": -1}, "Round -1 of .* is not closed"),
        ({"strategy": "genmqd"}, "made from Python objects: pass the strategy when you open"),
    ],
)
def test_what_cannot_be_shared_is_said_in_one_sentence(options: dict, says: str, run: Path, tmp_path: Path):
    with pytest.raises(DesiderataError, match=says):
        branch(run, tmp_path / "new", **options)
    assert os.listdir(tmp_path) == ["run"]


def test_nothing_is_overwritten(run: Path, tmp_path: Path):
    with pytest.raises(DesiderataError, match="is a campaign already"):
        branch(run, run)
    with pytest.raises(DesiderataError, match="is not a campaign"):
        branch(tmp_path / "nothing", tmp_path / "new")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(DesiderataError, match="not empty"):
        branch(run, tmp_path / "full")


def test_a_picture_that_is_gone_is_named(run: Path, tmp_path: Path):
    picture = next((run / "images").rglob("*.png"))
    picture.unlink()
    with pytest.raises(DesiderataError, match=f"{picture.name} is gone: put it back from a copy"):
        branch(run, tmp_path / "new")
    picture.mkdir()
    with pytest.raises(DesiderataError, match=rf"{picture.name} cannot be read \(Is a directory\): put it back"):
        branch(run, tmp_path / "new")
    assert os.listdir(tmp_path) == ["run"]


def test_what_is_wrong_with_a_run_is_said_of_it_and_not_of_the_new_one(run: Path, tmp_path: Path):
    with closing(sqlite3.connect(run / "campaign.db")) as database:
        database.execute("ALTER TABLE answers RENAME TO gone")
        database.commit()
    with pytest.raises(StoreError, match=f"^The run at {run} cannot be read"):
        branch(run, tmp_path / "new")
    assert os.listdir(tmp_path) == ["run"]


def test_a_run_may_be_called_anything(run: Path, tmp_path: Path):
    run.rename(tmp_path / os.fsdecode(b"caf\xe9"))
    branch(tmp_path / os.fsdecode(b"caf\xe9"), tmp_path / "new")
    origin = opened(tmp_path / "new").store.origin()
    assert origin is not None
    assert origin.run == "caf\ufffd"


def test_weights_that_lie_elsewhere_are_found_there(run: Path, tmp_path: Path):
    (tmp_path / "disk").mkdir()
    for file in (run / "rounds").iterdir():
        file.rename(tmp_path / "disk" / file.name)
        file.symlink_to(Path("../../disk", file.name))
    branch(run, tmp_path / "deep" / "er" / "new")
    assert opened(tmp_path / "deep" / "er" / "new").learner_at(3)


def test_a_run_is_not_made_within_another(run: Path, tmp_path: Path):
    with pytest.raises(DesiderataError, match="lies in the folder of the run"):
        branch(run, run / "rounds" / "new")
    assert not (run / "rounds" / "new").exists()


@pytest.mark.parametrize(
    ("parts", "number", "found"),
    [
        ([(3, "a")], 3, [(3, "a")]),
        ([(3, "a")], 0, []),
        ([(2, "a"), (5, "b")], 1, [(1, "a")]),
        ([(2, "a"), (5, "b")], 4, [(2, "a"), (4, "b")]),
        ([(2, "a"), (2, "b"), (3, "a")], 3, [(3, "a")]),
        ([(2, "a"), (4, "a")], 4, [(4, "a")]),
    ],
)
def test_who_asked_which_rounds(parts: list, number: int, found: list):
    assert branching._upto(number, parts) == found

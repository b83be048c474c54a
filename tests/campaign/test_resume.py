"""A run that is killed, or whose disk fails, at any point goes on to the bytes of one that was left alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fake_parts import AskInTurn, Noise, RunningMean, picture
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from desiderata.campaign.loop import Campaign, RoundNotClosed
from desiderata.campaign.recorded import StoreError
from desiderata.errors import DesiderataError


def test_kill_9_at_every_write_and_at_random(tmp_path: Path):
    script = Path(__file__).with_name("killed_run.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["points"] > 30
    assert found["random"] > 0
    assert found["queries"] == 4


@contextmanager
def failing_write(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Let the write of that number fail: a rename, a statement or a commit, counted from 1."""
    count = {"writes": 0}

    def step() -> bool:
        count["writes"] += 1
        return count["writes"] == number

    def full(*_):
        if step():
            raise OperationalError("", {}, Exception("database or disk is full"))

    def before_statement(_connection, _cursor, statement, *_):
        if statement.split()[0] in {"INSERT", "UPDATE"}:
            full()

    rename = Path.replace

    def replace(self, target):
        if step():
            raise OSError(28, "No space left on device")
        return rename(self, target)

    event.listen(Engine, "before_cursor_execute", before_statement)
    event.listen(Engine, "commit", full)
    monkeypatch.setattr(Path, "replace", replace)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", before_statement)
        event.remove(Engine, "commit", full)
        monkeypatch.setattr(Path, "replace", rename)


def fresh(path: Path) -> Campaign:
    return Campaign.create(path, learner=RunningMean(), strategy=AskInTurn(), seed=3)


def test_a_failing_disk_is_one_sentence_and_the_same_campaign_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = fresh(tmp_path / "whole")
    with failing_write(0, monkeypatch) as count:
        whole.run(Noise(), rounds=1)
    assert count["writes"] >= 10
    for number in range(1, count["writes"] + 1):
        campaign = fresh(tmp_path / str(number))
        with failing_write(number, monkeypatch), pytest.raises(DesiderataError, match=r"full|No space") as failed:
            campaign.run(Noise(), rounds=1)
        if isinstance(failed.value, RoundNotClosed):
            assert str(failed.value).startswith("r001-q02 is recorded, but its round could not be closed")
        else:
            assert isinstance(failed.value, StoreError)
            assert str(failed.value).endswith("what was recorded before is kept.")
        assert not list(campaign.store.path.rglob(".*")), "a staged file was left behind"
        campaign.run(Noise(), rounds=1)
        assert campaign.history() == whole.history()


def test_a_failing_tell_leaves_the_history_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    campaign = fresh(tmp_path / "run")
    query = campaign.ask()[0]
    before = campaign.history()
    image = picture(np.random.default_rng(1))
    for number in (1, 2, 3, 4):
        with failing_write(number, monkeypatch), pytest.raises(StoreError):
            campaign.tell(query, [image])
        assert campaign.history() == before
    campaign.tell(query, [image])
    assert campaign.history() != before

"""The database: what it refuses, and what it keeps exactly."""

import json
import os
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from fake_parts import AskInTurn, Noise, RunningMean, picture
from sqlalchemy import event

from desiderata.campaign import blobs
from desiderata.campaign.answers import Refused
from desiderata.campaign.blobs import Pile
from desiderata.campaign.config import Config, ConfigError
from desiderata.campaign.loop import Campaign
from desiderata.campaign.recorded import StoreError
from desiderata.campaign.records import Proposal, Round
from desiderata.campaign.store import QueryDecided, Store
from desiderata.errors import DesiderataError


def started(path: Path | None) -> Store:
    store = Store(path)
    learner = RunningMean()
    store.start(learner.classes, learner.embedding, learner.held())
    return store


@pytest.mark.parametrize("where", ["directory", "memory"])
def test_everything_comes_back_to_the_last_bit(where: str, tmp_path: Path):
    store = started(tmp_path if where == "directory" else None)
    rng = np.random.default_rng(0)
    proposals = [
        Proposal("cat", "a “cat” 🐈", None, {"predicted_gain": 0.1 + 0.2, "cosine": np.float32(0.1)}, 1 / 3),
        Proposal("dog", "", rng.normal(size=8)),
    ]
    store.add_queries(1, proposals)
    first, second = Store(tmp_path).queries() if where == "directory" else store.queries()
    assert first.proposal == Proposal(
        "cat", "a “cat” 🐈", None, {"predicted_gain": 0.1 + 0.2, "cosine": float(np.float32(0.1))}, 1 / 3
    )
    assert (first.status, second.status) == ("open", "answered")
    np.testing.assert_array_equal(second.proposal.feature, proposals[1].feature)
    for kept, held in zip(store.held(), RunningMean().held(), strict=True):
        assert (kept.part, kept.name, kept.label, kept.image) == (held.part, held.name, held.label, held.image)
        np.testing.assert_array_equal(kept.feature, held.feature)


def test_a_round_is_asked_once():
    store = started(None)
    store.add_queries(1, [Proposal("cat", "a")])
    store.add_queries(1, [Proposal("dog", "b"), Proposal("dog", "c")])
    assert [query.text for query in store.queries()] == ["a"]


def test_a_query_is_decided_once():
    store = started(None)
    store.add_queries(1, [Proposal("cat", "a")])
    store.skip(store.queries()[0], "no")
    with pytest.raises(QueryDecided):
        store.skip(store.queries()[0], "again")
    assert store.queries()[0].reason == "no"


def test_figures_that_are_not_finite_are_a_mistake_of_the_strategy():
    store = started(None)
    with pytest.raises(ValueError, match="Out of range"):
        store.add_queries(1, [Proposal("cat", "a", evidence={"predicted_gain": float("nan")})])
    assert store.queries() == []


def test_two_processes_tell_one_query_once(tmp_path: Path):
    campaign = Campaign.create(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn())
    campaign.ask()
    outcomes: list[str] = []

    def tell(seed: int) -> None:
        other = Campaign.open(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn())
        try:
            other.tell("r001-q01", [picture(np.random.default_rng(seed))])
            outcomes.append("told")
        except (Refused, QueryDecided):
            outcomes.append("refused")

    threads = [threading.Thread(target=tell, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 3 + ["told"]
    assert len(campaign.answers) == 1


def test_a_newer_database_is_left_alone(tmp_path: Path):
    started(tmp_path)
    with sqlite3.connect(tmp_path / "campaign.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="version 99"):
        Store(tmp_path)


def test_a_damaged_database_is_one_sentence(tmp_path: Path):
    (tmp_path / "campaign.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(tmp_path)


def test_a_campaign_can_be_read_while_another_process_writes(tmp_path: Path):
    campaign = Campaign.create(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn())
    with campaign.store.writing():
        other = Campaign.open(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn())
        assert len(other.rounds) == 1


def test_history_is_canonical_json():
    campaign = Campaign.create(None, learner=RunningMean(), strategy=AskInTurn())
    campaign.run(Noise(), 2)
    text = campaign.history()
    said = json.loads(text)
    assert set(said) == {"answers", "classes", "queries", "rounds", "version"}
    assert text == json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


CONFIG = Config(
    seed=5,
    half="collect",
    world={"kind": "folder", "images": "/data/pets", "validation_share": 0.3, "test": None},
    encoder="moji-clip",
    strategy={"name": "genmqd", "steps": 200},
    head={"hidden": [64, 64]},
)


def test_the_configuration_comes_back(tmp_path: Path):
    (tmp_path / "campaign.toml").write_text(CONFIG.to_toml())
    read = Config.read(tmp_path)
    assert read.world == {"kind": "folder", "images": "/data/pets", "validation_share": 0.3}
    assert (read.seed, read.half, read.encoder) == (5, "collect", "moji-clip")
    assert read.strategy == CONFIG.strategy
    assert read.to_toml() == CONFIG.to_toml()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, r"is not a campaign: check the name, or make one with `desiderata new \S+ --images FOLDER`\.$"),
        ("version = 1\nseed =", "cannot be read"),
        ("version = 2", "version 2"),
        ("seed = 2", "version None"),
        ("version = 1\ncolour = 3", "unknown key 'colour'"),
        ("version = 1\nseed = -1", "seed -1 is out of range"),
        ('version = 1\nseed = "a"', "has a str as 'seed'"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(text: str | None, says: str, tmp_path: Path):
    if text is not None:
        (tmp_path / "campaign.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        Config.read(tmp_path)


def test_a_campaign_of_python_objects_asks_for_them(tmp_path: Path):
    Campaign.create(tmp_path / "run", learner=RunningMean(), strategy=AskInTurn())
    opened = Campaign.open(tmp_path / "run")
    assert len(opened.rounds) == 1
    with pytest.raises(DesiderataError, match="same learner and strategy"):
        opened.ask()


def _answers(statement: str) -> bool:
    return "FROM answers" in statement


def test_a_picture_is_looked_up_by_the_index():
    store = started(None)
    asked: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda _c, _u, statement, *_: asked.append(statement))
    assert store.owner("0" * 64) is None
    with store.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {next(filter(_answers, asked))}", ("0" * 64,)).all()
    assert "USING INDEX one_answer_per_image" in plan[0][-1]


def test_others_may_write_while_the_weights_of_a_round_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store, other = started(tmp_path), Store(tmp_path)
    store.add_queries(1, [Proposal("cat", "a")])
    fsync, done = os.fsync, []

    def slow(handle: int) -> None:
        if not done:
            done.append(True)
            other.skip(other.queries()[0], "no")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", slow)
    assert store.add_round(Round(0, 0, {}), b"weights", 0)
    assert store.weights(0) == b"weights"
    assert not store.add_round(Round(0, 0, {}), b"others", 0)
    assert store.weights(0) == b"weights"
    assert [path.name for path in (tmp_path / "rounds").iterdir()] == ["000.safetensors"]


def test_a_folder_of_pictures_waits_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blobs, "IN_MEMORY", 1000)
    pile = Pile(tmp_path)
    contents = [bytes([i]) * 300 for i in range(9)]
    for content in contents:
        pile.add(content)
    assert len(pile) == 9
    assert [list(pile), list(pile)] == [contents] * 2
    assert os.listdir(tmp_path) == [], "it has no name, so that nothing is left of it after a kill"

"""The experiment on a tiny scale, with an encoder that knows colours and words."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from desiderata.bench import collect as bench
from desiderata.bench.collect import Cell, Plan, run_cell, run_plan
from desiderata.bench.replay import replay
from desiderata.bench.summary import table, write_summary
from desiderata.bench.world import CEILING_L2, MojiBench, Sizes
from desiderata.bench.worths import worths_table
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.toolbox import RetrievalDescriber, Toolbox
from desiderata.describe.bank import SentenceBank
from desiderata.errors import DesiderataError
from desiderata.measure.intervals import estimate
from desiderata.oracles.scene import SceneOracle
from desiderata.randomness import stream
from desiderata.worlds.moji.sampler import sentence_bank
from desiderata.worlds.moji.scene import CLASSES
from desiderata.worlds.moji.settings import draw_pictures

SIZES = Sizes(initial=2, validation=2, test=3)

BOTH = {"with_validation": 0.8, "with_validation_half_width": 0.01}


class Crude:
    """Pictures by their mean colours in four quarters, sentences by their letters."""

    name, dim = "crude", 12

    def images(self, images):
        rows = [np.asarray(image, float).reshape(2, 32, 2, 32, 3).mean((1, 3)).ravel() - 127.3 for image in images]
        return np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)

    def texts(self, texts):
        rows = np.array([[text.count(letter) + 0.1 for letter in "aeiourstnlgd"] for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MojiBench:
    encoder = Crude()
    bank = SentenceBank.of({c: sentence_bank(c, 12, stream(0, "bank", c)) for c in CLASSES}, encoder)
    made = MojiBench("narrow", tmp_path / "features", sizes=SIZES)
    made.__dict__["encoder"] = encoder
    made.__dict__["tools"] = Toolbox(encoder, CLASSES, bank, RetrievalDescriber(bank))
    monkeypatch.setattr(bench, "world_of", lambda *_: made)
    monkeypatch.setattr("desiderata.bench.replay.world_of", lambda *_: made)
    monkeypatch.setattr("desiderata.bench.world.fingerprint", lambda encoder: encoder.name)
    return made


def plan(**changes) -> Plan:
    options = {"settings": ("narrow",), "methods": ("random-text", "random-description"), "seeds": 2, "rounds": 2}
    return Plan(**{**options, "sizes": SIZES, **changes})


def test_a_cell_counts_what_it_collected(world: MojiBench):
    result = run_cell(Cell("narrow", 0, "random-text", 2, initial=2, validation=2, test=3), world)
    assert [examples for examples, _ in result["curve"]] == [0, 10, 20]
    assert all(0 <= accuracy <= 1 for _, accuracy in result["curve"])
    assert len(result["validation_loss"]) == 3
    assert {query["text"] for query in result["queries"]} >= {"a photo of a cat", "a photo of an airplane"}
    assert result["skipped"] == 0


def test_a_cell_is_the_same_again(world: MojiBench):
    cell = Cell("narrow", 1, "random-description", 2, initial=2, validation=2, test=3)
    assert json.dumps(run_cell(cell, world)) == json.dumps(run_cell(cell, world))


def test_an_interrupted_plan_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ran: list[Cell] = []
    whole = run_cell

    def counted(cell, world):
        ran.append(cell)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return whole(cell, world)

    monkeypatch.setattr(bench, "run_cell", counted)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan(), tmp_path)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "cells").iterdir()}
    assert len(kept) == 2
    results = run_plan(plan(), tmp_path)
    assert len(ran) == 5  # the third was tried again, none of the first two
    assert len(results) == 4
    assert all((tmp_path / "cells" / name).read_bytes() == content for name, content in kept.items())


def test_cells_that_differ_in_anything_have_files_of_their_own(tmp_path: Path):
    cell = Cell("narrow", 0, "random-text", 2)
    changed: dict = {"setting": "iid", "seed": 1, "method": "genmqd", "rounds": 3, "encoder": "a/b", "initial": 11}
    changed |= {"validation": 11, "test": 501, "made_of": "else"}
    assert set(changed) == {one.name for one in fields(Cell)}
    paths = {replace(cell, **{name: value}).path(tmp_path) for name, value in changed.items()}
    assert len(paths | {cell.path(tmp_path)}) == 1 + len(changed)


def test_the_summary_says_what_the_cells_say(tmp_path: Path):
    results = run_plan(plan(), tmp_path)
    reference = {"narrow": {"zero_shot": 0.5, "ceiling": 0.96, "alike": 0.9, **BOTH}}
    text = write_summary(results, reference, tmp_path)
    final = [100 * result["curve"][-1][1] for result in results if result["method"] == "random-text"]
    assert f"{np.mean(final):.1f} ±" in text
    assert "zero-shot 50.0%, ceiling 96.0%, as many pictures like the test's 90.0%, initial and" in text
    assert "initial and validation pictures with no query 80.0 ± 1.0%, 2 seeds)" in text
    learnt = np.mean([100 * one["with_validation"] for one in results if one["method"] == "random-text"])
    assert f"{learnt:.1f} ±" in next(line for line in text.splitlines() if "| RandomText" in line).split(" | ")[-1]
    rows = (tmp_path / "raw.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 * 3
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert table(results, reference) == (tmp_path / "table.md").read_text()


def cell(method: str, curve, queries, skipped=0) -> dict:
    return {
        "setting": "narrow",
        "method": method,
        "seed": 100,
        "curve": curve,
        "validation_loss": [1.0] * len(curve),
        "queries": queries,
        "skipped": skipped,
    }


def test_the_table_says_how_much_was_collected():
    results = [
        cell("random-text", [[0, 0.5], [10, 0.6], [20, 0.7]], [{}] * 20),
        cell("genmqd", [[0, 0.5], [7, 0.6], [13, 0.65]], [{}] * 20, skipped=7),
    ]
    text = table(results, {"narrow": {"zero_shot": 0.5, "ceiling": 0.9, "alike": 0.8, **BOTH}})
    assert "| round 0 | round 1 | round 2 |" in text
    assert "| RandomText | 50.0 | 60.0 | 70.0 | 20 (0) |" in text
    assert "| GenMQD | 50.0 | 60.0 | 65.0 | 13 (7) | -5.0 |" in text
    assert text.count("not reached") == 1
    assert all(line.endswith("|  |") for line in text.splitlines() if line.startswith(("| R", "| G")))  # not measured


def test_gains_are_followed_from_the_ideal_example_to_the_realised_one():
    asked = [
        {"round": 1, "text": "a", "predicted_gain": g, "point_gain": 2 * g, "realised_validation": g - 0.0015}
        for g in (0.001, 0.002, 0.003)
    ]
    later = [{"round": 2, "text": "a", "predicted_gain": 9.0}]  # not examined
    silent = [{**query, "text": ""} for query in asked]
    results = [
        cell("genmqd", [[0, 0.5]], asked + later, skipped=1),
        cell("genmqd-fea", [[0, 0.5]], silent),
    ]
    rows = {line.split(" | ")[0]: line.split(" | ") for line in worths_table(results).splitlines() if "|" in line}
    names = [name.strip(" |") for name in rows["| method"]]
    said = dict(zip(names, (cell.strip(" |") for cell in rows["| GenMQD"])))
    assert (said["x*"], said["sentence"], said["realised"]) == ("4.00", "2.00", "0.50")
    assert (said["helped"], said["rho sentence"], said["unanswered"]) == ("67%", "1.00", "25%")
    assert dict(zip(names, (cell.strip(" |") for cell in rows["| GenMQD-Fea"])))["sentence"] == ""


def test_what_a_world_is_made_of_tells_worlds_apart():
    keys = {bench.ingredients(setting, encoder) for setting in ("iid", "narrow") for encoder in ("moji-clip", "a/b")}
    assert len(keys) == 4
    decoded, random = (bench.ingredients("iid", "moji-clip", method) for method in ("genmqd", "random-text"))
    assert decoded != random == bench.ingredients("iid", "moji-clip")


def test_lines_of_reference_are_drawn_anew_when_the_sizes_change(
    tmp_path: Path, world: MojiBench, monkeypatch: pytest.MonkeyPatch
):
    world.__dict__.update(zero_shot=0.25)
    world.ceiling = lambda seed=0: 0.5
    first = bench.lines_of_reference(plan(), tmp_path)["narrow"]
    assert (first["zero_shot"], first["ceiling"]) == (0.25, 0.5)
    assert first["alike"] == np.mean([world.alike(2, seed) for seed in (100, 101)])
    world.__dict__.update(zero_shot=0.75)
    both = [world.with_validation(seed) for seed in (100, 101)]
    assert (first["with_validation"], first["with_validation_half_width"]) == (
        np.mean(both),
        estimate(both).half_width,
    )
    with monkeypatch.context() as known:
        known.setattr(MojiBench, "with_validation", lambda *_: pytest.fail("It is known."))
        assert bench.lines_of_reference(plan(), tmp_path)["narrow"] == first
    fewer = bench.lines_of_reference(plan(seeds=1, rounds=1), tmp_path)["narrow"]  # goes on from what is known
    assert (fewer["zero_shot"], fewer["alike"]) == (0.25, world.alike(1, 100))
    assert bench.lines_of_reference(plan(sizes=Sizes(test=4)), tmp_path)["narrow"]["zero_shot"] == 0.75


def test_pictures_like_the_tests_are_added_to_the_initial_ones(world: MojiBench):
    initial, _, test = world.data(0)
    like = draw_pictures(world.setting.target, 3, 0, "alike")
    head = HeadClassifier(seed=0).fit(
        np.vstack([initial.features, Crude().images(like.images)]), np.concatenate([initial.labels, like.labels])
    )
    assert world.alike(3, 0) == np.mean(head.predict(test.features) == test.labels)


def test_validation_pictures_are_learnt_with_the_initial_ones_and_with_what_was_collected(world: MojiBench):
    initial, validation, test = world.data(0)

    def learnt(features, labels):
        head = HeadClassifier(seed=0).fit(np.vstack(features), np.concatenate(labels))
        return np.mean(head.predict(test.features) == test.labels)

    features, labels = [initial.features, validation.features], [initial.labels, validation.labels]
    assert world.with_validation(0) == learnt(features, labels)
    cell = Cell("narrow", 0, "random-text", 1, initial=2, validation=2, test=3)
    result, oracle = run_cell(cell, world), SceneOracle()
    came = [
        oracle.answer(query["text"], 1, stream(0, 1, "answer", f"r001-q{number:02d}"))[0]
        for number, query in enumerate(result["queries"], 1)
    ]
    more = world.encoder.images([one.image for one in came])
    classes = np.array([CLASSES.index(one.label) for one in came])
    # The order of the rows makes no difference but for rounding.
    assert result["with_validation"] == learnt([*features, more], [*labels, classes])


def test_the_ceilings_regularisation_is_chosen_without_the_test_pictures(
    world: MojiBench, monkeypatch: pytest.MonkeyPatch
):
    seen: list[tuple[float, np.ndarray]] = []

    class Watched(HeadClassifier):
        def predict(self, X):
            seen.append((self.l2, X))
            return super().predict(X)

    monkeypatch.setattr("desiderata.bench.world.HeadClassifier", Watched)
    monkeypatch.setattr("desiderata.bench.world.CEILING_PER_CLASS", 5)
    value = world.ceiling()
    *tried, (chosen, last) = seen
    assert [l2 for l2, _ in tried] == list(CEILING_L2)
    assert chosen in CEILING_L2
    np.testing.assert_array_equal(last, world.test.features)
    met = {row.tobytes() for row in world.test.features}
    assert not any(row.tobytes() in met for _, X in tried for row in X)
    assert 0 <= value <= 1


def test_what_results_come_from_names_the_settings_of_head_strategy_and_bank(monkeypatch: pytest.MonkeyPatch):
    before = bench.ingredients("iid", "moji-clip", "text-influence")
    monkeypatch.setattr(bench, "BANK_SIZE", 7)
    bank = bench.ingredients("iid", "moji-clip", "text-influence")
    monkeypatch.undo()

    class Other(bench.STRATEGIES["text-influence"]):
        def __init__(self, tools, *, candidates: int = 3) -> None:
            super().__init__(tools, candidates=candidates)

    monkeypatch.setitem(bench.STRATEGIES, "text-influence", Other)
    strategy = bench.ingredients("iid", "moji-clip", "text-influence")
    monkeypatch.undo()
    monkeypatch.setattr(HeadClassifier, "get_params", lambda self: {"l2": 1.0})
    assert len({before, bank, strategy, bench.ingredients("iid", "moji-clip", "text-influence")}) == 4


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(DesiderataError, match="setting called 'wide'"):
        plan(settings=("wide",))
    with pytest.raises(DesiderataError, match="at least one seed"):
        plan(seeds=0)


def test_recorded_sentences_are_answered_again_for_what_earlier_results_lack(tmp_path: Path):
    whole = run_plan(plan(), tmp_path)
    lacking = [cell.path(tmp_path) for cell in plan().cells()][1:]
    for path in lacking:
        older = json.loads(path.read_text())
        del older["with_validation"]
        path.write_text(json.dumps(older))
    told: list[tuple[int, int, str]] = []
    replay(plan(), tmp_path, lambda *what: told.append(what))
    assert run_plan(plan(), tmp_path) == whole
    assert [done for done, _, _ in told] == [1, 2, 3]
    rows = json.loads((tmp_path / "replayed.json").read_text())
    assert (
        [row["again"] for row in rows]
        == [row["recorded"] for row in rows]
        == [one["curve"][-1][1] for one in whole[1:]]
    )
    replay(plan(), tmp_path)
    assert json.loads((tmp_path / "replayed.json").read_text()) == rows, "nothing lacks anything any more"


def test_what_cannot_come_again_is_said(tmp_path: Path):
    with pytest.raises(DesiderataError, match="has no result of narrow random-text 100: run it first"):
        replay(plan(), tmp_path)
    run_plan(plan(), tmp_path)
    path = next(plan().cells()).path(tmp_path)
    older = json.loads(path.read_text())
    del older["with_validation"]
    path.write_text(json.dumps({**older, "queries": older["queries"][1:]}))
    with pytest.raises(DesiderataError, match="collected 20 examples, and 19 pictures come again"):
        replay(plan(), tmp_path)


def test_a_part_of_the_results_is_told_from_all(tmp_path: Path):
    run_plan(plan(), tmp_path)
    assert bench.results_beside(plan(), tmp_path) == 0
    assert bench.results_beside(plan(methods=("random-text",)), tmp_path) == 2

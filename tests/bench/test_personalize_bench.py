"""The personalising experiment on a tiny scale: random weights, two steps, six directions."""

import json
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contracts.tiny_clip import tiny_clip
from contracts.tiny_pipeline import tiny_pipeline
from desiderata.bench import personalize as bench
from desiderata.bench.personalize import Cell, Plan, run_cell, run_plan
from desiderata.bench.personalize_cell import run_task
from desiderata.bench.personalize_ground import Ground
from desiderata.bench.personalize_keeping import candidates_kept, sheet_rows
from desiderata.bench.personalize_perfect import DrawnAsAsked
from desiderata.bench.personalize_results import Table, name_of, relative_change
from desiderata.bench.personalize_shapes import sd14_modules
from desiderata.bench.personalize_sight import Eye
from desiderata.bench.personalize_speed import measure, models, write_speed
from desiderata.bench.personalize_subjects import EVERY, Case, Wish, named
from desiderata.bench.personalize_summary import write_summary
from desiderata.bench.personalize_tables import ablation_table, tables
from desiderata.bench.personalize_task import Task
from desiderata.bench.personalize_variants import ANCHORS, Settings, anchors_named, usual_value, variants
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Proposal, Query
from desiderata.claims import claimed
from desiderata.cli import main
from desiderata.errors import DesiderataError
from desiderata.files import write_text
from desiderata.foundation.generator import Generator
from desiderata.foundation.judge import Chances
from desiderata.foundation.judge_network import JudgeConfig, JudgeNetwork, save_network
from desiderata.foundation.sampling import Sampling
from desiderata.measure.intervals import estimate
from desiderata.personalize import anchors as pools
from desiderata.personalize.anchors import anchors_of
from desiderata.personalize.trainers import recipe as recipes
from desiderata.training.judge_scenes import CONCEPTS, STYLES
from desiderata.worlds.moji.scene import BACKGROUNDS

MODEL = Sampling(steps=2, guidance=1.5, batch=12)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("models")
    tiny_pipeline(folder / "tiny", size=16, sampling=MODEL)
    tiny_clip(folder / "clip", spread=4.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = JudgeNetwork(
            JudgeConfig(CONCEPTS, BACKGROUNDS, STYLES, size=32, widths=(8, 8, 8), blocks=(0, 0), hidden=16)
        )
    save_network(network, folder / "judge")
    return Settings(
        model=str(folder / "tiny"),
        encoder=str(folder / "clip"),
        judge=str(folder / "judge"),
        steps=2,
        learning_rate=1e-3,
        class_pictures=2,
        k=1,
        samples=3,
        anchors="moji-6",
        prompts=3,
        pictures=2,
        device="cpu",
    )


FEW = ("dreambooth", "uncertainty-balance")
MANY = (
    *FEW,
    "human-balance",
    "dreambooth-equal-steps",
    "random-equal-weight",
    "dreambooth-lower-rate",
    "uncertainty-balance-steady",
    "textual-inversion",
    "random-answered",
)


@pytest.fixture(scope="module")
def whole(tiny: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    out = tmp_path_factory.mktemp("whole")
    plans = (Plan(("crab",), MANY, 1, 2, {"": tiny}), Plan(("crayon",), FEW, 1, 2, {"": tiny}))
    return out, [result for plan in plans for result in run_plan(plan, out)]


def test_every_strategy_is_measured_round_by_round(whole):
    _, results = whole
    assert [(one["subject"], one["kind"], one["strategy"]) for one in results] == [
        *(("crab", "object", strategy) for strategy in MANY),
        *(("crayon", "style", strategy) for strategy in FEW),
    ]
    for one in results:
        assert len(one["rounds"]) == (1 if one["strategy"] in {"dreambooth", "textual-inversion"} else 2)
        for row in one["rounds"]:
            judged = {"background"} if one["kind"] == "object" else {"things"}
            assert {"txt_aln", "img_aln", "ovf", "identity", "held_out", "leak", "right", *judged} <= set(row)
            assert 0 <= row["ovf"] <= 1
            assert 0 <= row["identity"] <= 1
            assert row["pictures"] == 6
            assert row["steps"] in {1, 2}
            assert row["seconds"] > 0
        assert len(one["measured"]) == 3
        assert one["seed"] == 100


def test_all_strategies_of_a_subject_begin_alike(whole):
    _, results = whole
    first = {row["img_aln"] for one in results[:7] for row in one["rounds"][:1]}
    assert len(first) == 1
    assert results[7]["rounds"][0]["img_aln"] not in first, "Textual Inversion learns otherwise"


def test_controls_follow_uncertainty_with_balance(whole):
    _, results = whole
    cells = {one["strategy"]: one for one in results[:8]}
    leader = cells["uncertainty-balance"]
    assert [row["added"] for row in leader["rounds"]] == [0, *leader["additions"]] == [0, 1]
    assert cells["random-equal-weight"]["weights"] == leader["weights"]
    assert [row["pace"] for row in cells["dreambooth-lower-rate"]["rounds"]] == [1.0, 0.5]
    first, second = (row["pace"] for row in cells["uncertainty-balance-steady"]["rounds"])
    assert first == 1 > second > 0
    equal = cells["dreambooth-equal-steps"]["rounds"]
    assert [row["added"] for row in equal] == [0, 0]
    for figure in ("steps", "full_weight_steps"):
        assert [row[figure] for row in equal] == [row[figure] for row in leader["rounds"]]


def test_nothing_but_results_is_left(whole):
    out, results = whole
    assert not (out / "work").exists()
    assert {path.stem for path in (out / "cells").iterdir()} == {one["stem"] for one in results}
    pictured = {path.name for path in (out / "pictures").iterdir()}
    stems = [one["stem"] for one in results if one["strategy"] == "uncertainty-balance"]
    assert (
        {f"{stem}.png" for stem in stems}
        <= pictured
        <= {f"{s}.{end}" for s in stems for end in ("png", "safetensors")}
    )
    assert not any(str(out.parent.parent) in path.read_text() for path in (out / "cells").iterdir())


def test_what_figures_show_is_kept(whole):
    out, results = whole
    one = next(one for one in results if one["strategy"] == "uncertainty-balance")
    rows = sheet_rows(out / "pictures" / f"{one['stem']}.png", len(one["rounds"]))
    assert len(rows) == 1 + len(one["rounds"])
    assert {picture.shape for row in rows for picture in row} == {(16, 16, 3)}
    drawn = candidates_kept(out / "pictures" / f"{one['stem']}.safetensors")
    assert drawn.features.shape == (3 * len(drawn.directions), 24)
    assert drawn.references.shape == (4, 24)
    shares = drawn.overfitted.reshape(len(drawn.directions), 3).mean(1)
    assert np.allclose(shares, one["chosen"][drawn.round - 1]["shares"])


def test_the_summary_says_what_the_cells_say(whole, tmp_path: Path):
    out, results = whole
    shutil.copytree(out / "pictures", tmp_path / "pictures")
    text = write_summary(results, tmp_path)
    assert text == (tmp_path / "table.md").read_text()
    assert "Human (simulated by the judge) + Balance" in text
    assert f"| DreamBooth | 1 | {results[0]['rounds'][0]['txt_aln']:.3f} | " in text
    lines = (tmp_path / "raw.csv").read_text().splitlines()
    assert len(lines) == 1 + sum(len(one["rounds"]) for one in results)
    for name in ("rounds.png", "grid.png", "map.png"):
        assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.parametrize(("strategies", "call", "done"), [(FEW[:1], 2, 0), (FEW, 4, 1)], ids=["first round", "later"])
def test_an_interrupted_plan_goes_on(
    whole, tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategies, call: int, done: int
):
    drawn, sample = [0], Generator.sample

    def until_killed(self, *arguments, **settings):
        drawn[0] += 1
        if drawn[0] == call:
            raise KeyboardInterrupt
        return sample(self, *arguments, **settings)

    monkeypatch.setattr(Generator, "sample", until_killed)
    plan = Plan(("crab",), strategies, 1, 2, {"": tiny})
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, tmp_path)
    assert len(list((tmp_path / "cells").glob("*"))) == done
    assert (tmp_path / "work").exists()
    said: list[tuple[int, int, str]] = []
    results = run_plan(plan, tmp_path, progress=lambda *report: said.append(report))
    assert (said[0][0], said[-1][0]) == (done, len(strategies))
    assert not (tmp_path / "work").exists()
    assert [_timeless(one) for one in results] == [_timeless(one) for one in whole[1][: len(strategies)]]
    again = [path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()]
    assert run_plan(plan, tmp_path) == results
    assert [path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()] == again


def test_calls_that_share_a_folder_leave_each_other_alone(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ran, elsewhere = [], ExitStack()
    elsewhere.enter_context(claimed(tmp_path / "cells" / ".memo-crab-100.lock"))  # as another process would

    def run(cell: Cell, out: Path, **_: object) -> None:
        ran.append(cell.subject)
        write_text(cell.path(out), "{}")
        if cell.subject == "unicorn":
            elsewhere.close()

    monkeypatch.setattr(bench, "run_cell", run)
    plan = Plan(("crab", "invader", "unicorn"), ("random",), 1, 2, {"": tiny})
    said: list[tuple[int, int, str]] = []
    assert len(run_plan(plan, tmp_path, progress=lambda *report: said.append(report))) == 3
    assert ran == ["invader", "unicorn", "crab"]
    assert [done for done, _, _ in said] == [0, 0, 1, 1, 2, 2, 2, 3]
    assert said[-3][2] == "crab, 100: waiting for another call that is at work on it"
    assert [path.name for path in tmp_path.iterdir()] == ["cells"]


def _timeless(result: dict) -> dict:
    return {**result, "rounds": [{**row, "seconds": None} for row in result["rounds"]]}


def test_cells_are_known_by_what_they_are_made_of(tiny: Settings):
    def stem(**changes) -> str:
        plan = Plan(("crab",), ("uncertainty",), 1, 3, {"": replace(tiny, **changes)})
        return next(plan.groups())[0][1].stem

    usual = stem()
    assert usual == stem(device="cuda") == stem(adapter="some/where")
    assert len({usual, stem(samples=4), stem(steps=9), stem(rate=0.5), stem(anchors="moji-b")}) == 5
    assert stem(judge=tiny.model) != usual


def test_cells_are_known_by_their_recipe(tiny: Settings, monkeypatch: pytest.MonkeyPatch):
    def stem() -> str:
        return next(Plan(("crab",), ("uncertainty",), 1, 3, {"": tiny}).groups())[0][1].stem

    usual = stem()
    monkeypatch.setattr(recipes, "MOJI_OBJECT", replace(recipes.MOJI_OBJECT, batch=3))
    assert stem() != usual
    monkeypatch.undo()
    assert stem() == usual


def test_a_kept_result_outlives_a_kill_while_its_work_is_removed(whole, tmp_path: Path, tiny: Settings):
    out, _ = whole
    cell = next(Plan(("crayon",), FEW[:1], 1, 2, {"": tiny}).groups())[0][1]
    shutil.copytree(out / "cells", tmp_path / "cells")
    (tmp_path / "work" / cell.stem / "run").mkdir(parents=True)
    (tmp_path / "work" / cell.stem / "run" / "campaign.toml").write_text("half of it is gone")
    run_cell(cell, tmp_path)
    assert not (tmp_path / "work" / cell.stem).exists()


def test_the_recipe_itself_can_be_turned(tiny: Settings):
    turned = {label: Task("dreambooth", Case("crab", 0), 1, one) for label, one in variants("prior", tiny).items()}
    assert [task.trainer(True)["prior"] for task in turned.values()] == ["full", "published"] == [*turned]
    rates = [
        Task("dreambooth", Case("crab", 0), 1, one).trainer(True)["learning_rate"]
        for one in variants("learning-rate", tiny).values()
    ]
    assert rates == sorted(set(rates))
    assert len(rates) > 3
    assert [*variants("learning-rate", tiny, ("0.00045", "0.0001"))] == ["0.0001", "0.00045"]
    with pytest.raises(DesiderataError, match=r"does not turn to 0\.5: choose from 0\.0001, 0\.0002"):
        variants("learning-rate", tiny, ("0.5",))
    with pytest.raises(DesiderataError, match="name one, or leave them out"):
        variants("", tiny, ("0.5",))
    published = replace(tiny, recipe="published", steps=None)
    table = Task("dreambooth", Case("crab", 0), 1, published).trainer(True)
    assert (table["steps"], table["batch"], table["prior"]) == (400, 1, "published")
    assert Task("dreambooth", Case("crab", 0), 1, published).trainer(False)["steps"] == recipes.PUBLISHED_OBJECT.steps
    table = Task("dreambooth", Case("sunset", 0), 1, published).trainer(True)
    assert (table["steps"], table["batch"], table["shared_timestep"]) == (250, 2, True)
    with pytest.raises(DesiderataError, match="No recipe is called 'best'"):
        replace(tiny, recipe="best")
    stems = {next(Plan(("crab",), FEW[:1], 1, 1, {"": one}).groups())[0][1].stem for one in (tiny, published)}
    assert len(stems) == 2
    for name in ("dreambooth", "textual-inversion", "custom-diffusion"):
        tasks = {label: Task(name, Case("crab", 0), 1, one) for label, one in variants("pace", tiny).items()}
        usual = tasks["1"].trainer(True)["learning_rate"]
        assert tasks["2"].trainer(True)["learning_rate"] == pytest.approx(2 * usual)
        plan = Plan(("crab",), (name,), 1, 1, variants("pace", tiny))
        stems = {label: cell.stem for label, cell in next(plan.groups())}
        assert len(set(stems.values())) == len(stems)
        assert stems["1"] == next(Plan(("crab",), (name,), 1, 1, {"": tiny}).groups())[0][1].stem
    scales = variants("scale", replace(tiny, adapter="moji-adapter"))
    assert [Task("ip-adapter", Case("crab", 0), 1, one).trainer(True)["scale"] for one in scales.values()] == [
        float(label) for label in scales
    ]
    assert len({cell.stem for _, cell in next(Plan(("crab",), ("dreambooth",), 1, 1, scales).groups())}) == 1


def test_a_variant_that_turns_nothing_is_the_usual_cell(tiny: Settings):
    usual = replace(tiny, samples=10)
    plan = Plan(("crab",), ("uncertainty",), 1, 3, variants("m", usual))
    stems = {label: cell.stem for label, cell in next(plan.groups())}
    assert list(stems) == ["5", "10", "20"]
    assert stems["10"] == next(Plan(("crab",), ("uncertainty",), 1, 3, {"": usual}).groups())[0][1].stem


def result(
    strategy: str, seed: int, *rows: tuple[float, float, float], variant: str = "", kind: str = "object"
) -> dict:
    names = ("txt_aln", "img_aln", "ovf")
    return {
        "variant": "",
        "strategy": strategy,
        "subject": "crab",
        "kind": "object",
        "seed": seed,
        "rounds": [dict(zip(names, row, strict=True)) for row in rows],
        "stopped": "",
        "stem": f"{strategy}-{seed}",
    }


CELLS = [
    result("dreambooth", 100, (0.20, 0.80, 0.4)),
    result("dreambooth", 101, (0.30, 0.70, 0.2)),
    result("uncertainty-balance", 100, (0.20, 0.80, 0.4), (0.22, 0.79, 0.3), (0.24, 0.78, 0.2)),
    result("uncertainty-balance", 101, (0.30, 0.70, 0.2), (0.36, 0.69, 0.1)),  # stopped by itself
]


def test_a_campaign_that_stopped_stays_as_it_was():
    table = Table(CELLS, "object")
    assert table.values("uncertainty-balance", "ovf").tolist() == [0.2, 0.1]
    assert table.values("uncertainty-balance", "ovf", 2).tolist() == [0.2, 0.1]
    assert table.values("uncertainty-balance", "ovf", 1).tolist() == [0.3, 0.1]
    assert np.isnan(table.values("dreambooth", "identity")).all()
    assert (table.rounds("uncertainty-balance"), table.seeds) == (3, [100, 101])


def test_the_tables_tell_changes_against_dreambooth():
    text = tables(CELLS)
    assert "| DreamBooth | 2 | 0.250 ± 0.635 | 0.750 ± 0.635 | 0.300 ± 1.271 |" in text
    assert "| Uncertainty + Balance | 2 | 0.300 ± 0.762 (+20.0 %) |" in text
    assert "(-50.0 %)" in text, "one subject has no interval over subjects"
    assert "+ Uncertainty + Balance (R2)" in text
    assert "1 object (crab), 2 seeds." in text


def test_what_ties_decide_is_counted():
    def chosen(places: int, changed: int, stopped: str = "") -> dict:
        return {"tie_places": places, "tie_changed": changed, "stopped": stopped}

    rounds = ([chosen(2, 1), chosen(3, 0)], [chosen(0, 0), chosen(3, 3, "It is undecided about no sentence.")])
    cells = [{**cell, "chosen": one} for cell, one in zip(CELLS[2:], rounds, strict=True)]
    assert "| object | Uncertainty + Balance | 3 | 2 (5) | 1 (1) |" in tables([*CELLS[:2], *cells])
    assert "What ties decide" not in tables(CELLS)


def test_what_has_fewer_runs_is_compared_over_these():
    text = tables([*CELLS, result("random", 101, (0.30, 0.70, 0.2), (0.33, 0.63, 0.1))])
    assert "| Random | 1 | 0.330 (+10.0 %) | 0.630 (-10.0 %) | 0.100 (-50.0 %) |" in text
    assert "1 object (crab), 1 to 2 seeds." in text
    both = tables([*CELLS, *({**one, "strategy": "uncertainty-balance-steady"} for one in CELLS[2:3])])
    assert "| object | Uncertainty + Balance | DreamBooth | 2 | 2 | runs |" in both
    assert "| object | Uncertainty + Balance, steady | DreamBooth | 1 | 1 | runs |" in both
    foxes = [{**one, "subject": "fox"} for one in CELLS if one["seed"] == 100]
    assert "2 objects (crab, fox), 1 to 2 seeds." in tables([*CELLS, *foxes])
    alone = Table([*CELLS[:1], *CELLS[3:], result("ip-adapter", 101, (0.1, 0.1, 0.1))], "object")
    assert alone.change("ip-adapter", "ovf", "dreambooth") is None
    within = alone.change("uncertainty-balance", "ovf", "dreambooth")
    assert within is not None
    assert within.mean == pytest.approx(-0.5), "it begins as DreamBooth"


def test_changes_are_within_a_run_that_began_otherwise():
    """As on a processor that rounds otherwise."""
    table = Table([*CELLS, result("random", 100, (0.1, 0.8, 0.6), (0.1, 0.8, 0.3))], "object")
    assert (table.runs("random", "dreambooth"), table.begun_alike("random", "dreambooth")) == (1, 1)
    assert (table.runs("uncertainty-balance", "random"), table.begun_alike("uncertainty-balance", "random")) == (1, 0)
    change = table.change("random", "ovf", "dreambooth")
    assert change is not None
    assert change.mean == pytest.approx(-0.5)
    assert table.begun_alike("uncertainty-balance", "dreambooth") == 2


def test_a_steady_rate_is_compared_with_the_controls_too():
    steady = [{**one, "strategy": "uncertainty-balance-steady"} for one in CELLS[2:]]
    text = tables([*CELLS, *steady])
    assert "| + Uncertainty + Balance, steady (R3) | 2 | 0.300 ± 0.762 (+20.0 %) |" in text
    assert "| object | Uncertainty + Balance | DreamBooth | 2 | 2 | runs | +20.0 % | " in text
    assert (
        "| object | Uncertainty + Balance, steady | Uncertainty + Balance | 2 | 2 | runs | +0.0 % | +0.0 ± 0.0 % |"
        in text
    )


def test_who_chooses_is_compared_at_the_same_weight():
    others = [{**one, "strategy": name} for name in ("uncertainty", "random", "random-balance") for one in CELLS[:2]]
    text = tables([*CELLS, *others])
    assert "| object | Uncertainty | Random | 2 | 2 | runs | +0.0 % | +0.0 ± 0.0 % |" in text
    assert "| object | Uncertainty + Balance | Random + Balance | 2 | 2 | runs | +20.0 % | " in text
    assert "| object | Uncertainty + Balance | Random + Balance, as many rounds | 2 | 2 | runs | +20.0 % | " in text
    assert "| Uncertainty | Random + Balance |" not in text
    assert "| Uncertainty | CLIP feedback |" not in text, "which nobody ran"


def test_changes_are_told_over_subjects():
    other = [
        {**one, "subject": name, "rounds": [{**row, "ovf": row["ovf"] / by} for row in one["rounds"]]}
        for name, by in (("fox", 2), ("whale", 1))
        for one in CELLS
    ]
    assert "(-50.0 ± 0.0 %)" in tables([*CELLS, *other])


def test_perfect_pictures_are_measured_as_all_others(tmp_path: Path):
    plan = Plan(("fox", "sunset"), ("perfect", "perfect-decoded"), 1, 4, {"": Settings(pictures=1)})
    results = run_plan(plan, tmp_path)
    assert results[0]["rounds"][0]["txt_aln"] > results[1]["rounds"][0]["txt_aln"], "the autoencoder blurs"
    for one in results:
        (row,) = one["rounds"]
        assert row["pictures"] == 20
        assert row["ovf"] <= 0.1
        assert row["identity"] > 0.9
        assert row["leak"] <= 0.1
        assert row["held_out"] > 0.3


@pytest.mark.parametrize("name", ["fox", "sunset"])
def test_answers_that_are_drawn_show_what_was_asked(name: str):
    case = Case(name, 3)
    settings = Settings()
    task = Task("uncertainty-answered", case, 4, settings)
    ground, oracle = Ground.of(settings), DrawnAsAsked(case, task.anchors, 48)
    anchors = anchors_of(case.subject, task.anchors)
    queries = [Query(f"q{n}", 1, Proposal(case.subject.word, one.prompt), "open") for n, one in enumerate(anchors)]
    pictures = [picture for query in queries for picture, _ in oracle.answer(query, np.random.default_rng(0))]
    assert len({np.asarray(picture).tobytes() for picture in pictures}) == len(anchors)
    wishes = [case.wish(one.template) for one in anchors]
    seen = Eye(ground.judge, case).figures([np.asarray(picture) for picture in pictures], wishes)
    assert seen["identity"] > 0.9
    assert seen["right"] > 0.9


def test_a_run_learns_from_the_answers_that_are_drawn(tiny: Settings, tmp_path: Path):
    result = run_task(Task("random-answered", Case("crab", 100), 2, tiny), tmp_path)
    assert [row["added"] for row in result["rounds"]] == [0, 1]
    answers = [one for one in Campaign.open(tmp_path / "run").answers if one.image]
    assert [one.source for one in answers] == ["drawn-as-asked"]


def test_answers_that_are_drawn_are_named_so():
    assert name_of("uncertainty-balance-answered") == "Uncertainty + Balance, answered as asked"
    assert name_of("random-answered") == "Random, answered as asked"


def test_a_relative_change_is_that_of_the_means_and_paired():
    a, b = np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.9, 0.7])
    change = relative_change(a, b)
    assert change is not None
    assert change.mean == pytest.approx(a.sum() / b.sum() - 1)
    exact = relative_change(0.7 * b, b)
    assert exact is not None
    assert (exact.mean, exact.half_width) == (pytest.approx(-0.3), pytest.approx(0, abs=1e-12))
    assert relative_change(a, 0 * b) is None
    two = relative_change(a[:2], b[:2])
    assert two is not None
    assert (two.mean, np.isnan(two.half_width)) == (pytest.approx(0.7 / 1.3 - 1), True), "Student's t of two is wide"
    assert relative_change(np.array([np.nan, 1, 1]), b) is None


def test_an_ablation_has_a_table_and_a_drawing(tmp_path: Path):
    cells = [{**one, "variant": label} for label in ("0.005", "0.5") for one in CELLS]
    text = write_summary(cells, tmp_path, "lambda")
    assert "| 0.5 | Uncertainty + Balance | 0.300 (+0.000) |" in text, "two runs have no interval worth a name"
    assert "the difference to λ = 0.005, paired." in text
    usual = [{**result("uncertainty-balance", seed, (seed / 1000, 0.8, 0.4)), "variant": "0.005"}
             for seed in range(100, 105)]  # fmt: skip
    moved = [{**one, "variant": "0.5", "rounds": [{**row, "txt_aln": row["txt_aln"] - 0.1} for row in one["rounds"]]}
             for one in usual]  # fmt: skip
    text = ablation_table([*usual, *moved], "λ", "0.005")
    assert "| 0.005 | Uncertainty + Balance | 0.102 ± 0.002 |" in text
    assert "| 0.5 | Uncertainty + Balance | 0.002 ± 0.002 (-0.100 ± 0.000) |" in text, "the runs' spread cancels"
    assert {path.name for path in tmp_path.iterdir()} == {f"ablation-lambda.{end}" for end in ("csv", "md", "png")}


def test_the_usual_value_of_an_ablation_is_known():
    names = ("lambda", "anchors", "k", "sets", "m", "pace", "scale", "learning-rate")
    assert [usual_value(name) for name in names] == ["0.005", "18", "3", "A", "10", "1", "1", ""]


def test_anchors_come_in_several_sets():
    sets = {name: anchors_named(name, kind) for kind in ("object", "style") for name in ANCHORS}
    assert [len(sets[name]) for name in ANCHORS] == [18, 6, 12, 36, 18, 18]
    for kind in ("object", "style"):
        own, b, c = (set(anchors_named(name, kind)) for name in ("moji", "moji-b", "moji-c"))
        assert (len(own & b), len(own & c), len(b & c)) == (9, 9, 0)
        every = anchors_named("moji-36", kind)
        assert len(set(every)) == 36
        assert not set(every) & set(pools.test_prompts(kind))


@pytest.mark.parametrize("name", EVERY)
def test_the_judge_can_be_asked_about_every_sentence(name: str):
    case = Case(name, 0)
    for template in case.templates((*pools.test_prompts(case.kind), *anchors_named("moji-36", case.kind))):
        wish = case.wish(template)
        assert case.content not in wish.things
        assert wish.things or wish.background or wish.style
    assert case.subject.kind == case.kind


def test_what_cannot_be_told_from_the_subject_is_not_asked_for():
    bear = Case("teddy bear", 0)
    assert bear.templates(["{} next to a dog on the beach"]) == ("{} next to a chair on the beach",)
    assert bear.templates(["{} on a lawn", "a blueprint of {} on the grass"]) == ("a blueprint of {} on the grass",)
    assert bear.wish("{} next to a chair on the beach") == Wish(("chair",), "beach")
    assert Case("television", 0).templates(["an elephant {}", "a dog {}"]) == ("a chair {}", "a dog {}")
    assert Case("embroidery", 0).wish("two bananas in space {}") == Wish(("banana",), "space")


class Fixed:
    """A judge that says what it is told to."""

    config = JudgeConfig(CONCEPTS, BACKGROUNDS, STYLES)

    def __init__(self, *rows: dict) -> None:
        self.rows = rows

    def chances(self, images):
        rows = [self.rows[int(image[0, 0, 0])] for image in images]
        counts = np.array([[[1 - row.get(name, 0), row.get(name, 0)] for name in CONCEPTS] for row in rows])
        ground = np.array([[row.get(name, 0.001) for name in BACKGROUNDS] for row in rows])
        style = np.array([[row.get(name, 0.001) for name in STYLES] for row in rows])
        return Chances(counts, ground, style)


def pixels(number: int) -> np.ndarray:
    return np.full((4, 4, 3), number, np.uint8)


def eye(name: str, *rows: dict) -> Eye:
    judge: Any = Fixed(*rows)
    return Eye(judge, Case(name, 0))


CRABS = (
    {"crab": 0.9, "dog": 0.8, "snow": 0.7},
    {"crab": 0.9, "dog": 0.2, "beach": 0.9},
    {"crab": 0.4, "dog": 0.9, "snow": 0.9},
    {"crab": 0.8, "dog": 0.7, "snow": 0.6},
)


def test_the_judge_measures_the_subject_and_what_was_asked_for():
    wish = Wish(("dog",), "snow")
    figures = eye("crab", *CRABS).figures([pixels(i) for i in range(4)], [wish] * 4)
    assert figures == pytest.approx(
        {"identity": 0.75, "things": 0.75, "background": 0.75, "leak": 0.25, "right": 0.5}
    )
    plain = eye("crab", *CRABS).figures([pixels(1)], [Wish((), "beach")])
    assert plain == pytest.approx({"identity": 0.9, "background": 1, "right": 1}), "its own background is no leak"


def test_the_judge_measures_a_style():
    rows = ({"crayon": 0.9, "dog": 0.9, "butterfly": 0.1}, {"crayon": 0.2, "dog": 0.1, "butterfly": 0.8})
    figures = eye("crayon", *rows).figures([pixels(0), pixels(1)], [Wish(("dog",))] * 2)
    assert figures == pytest.approx({"identity": 0.55, "things": 0.5, "leak": 0.5, "right": 0.5})


def test_a_simulated_person_picks_what_is_right_and_clearest():
    shown = {"a": {0: pixels(2), 4: pixels(3)}, "b": {0: pixels(0), 1: pixels(3)}, "c": {0: pixels(1)}}
    wishes = dict.fromkeys("abc", Wish(("dog",), "snow"))
    assert eye("crab", *CRABS).person(wishes, 3)(shown) == {"b": 0, "a": 4}
    assert eye("crab", *CRABS).person(wishes, 1)(shown) == {"b": 0}


def test_one_round_is_timed_by_both_schedules(tiny: Settings, tmp_path: Path):
    generator, encoder = models(tiny.model, tiny.encoder, "cpu")
    before = generator.sampling
    speed = measure(generator, encoder, steps=2, samples=2, anchors=2, precision="float32")
    assert (speed.steps, speed.learnt, speed.drawn, speed.size, speed.denoising) == (2, 16, 4, 16, 2)
    assert min(speed.ours.learning, speed.ours.asking, speed.authors.learning, speed.authors.asking) > 0
    assert speed.ratio == speed.authors.total / speed.ours.total
    assert generator.sampling == before
    table = write_speed(speed, tmp_path)
    (file,) = tmp_path.glob("*.json")
    assert json.loads(file.read_text()) == table
    assert f"**{speed.ratio:.1f}**" in file.with_suffix(".md").read_text()
    with pytest.raises(DesiderataError, match="give bfloat16 or float32"):
        measure(generator, encoder, precision="float8")


def test_random_models_have_the_shapes_of_stable_diffusion():
    with torch.device("meta"):
        sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in sd14_modules().items()}
    assert sizes == {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}


def test_what_cannot_be_meant_is_refused(tiny: Settings):
    with pytest.raises(DesiderataError, match="held-out subject or style called 'toy'"):
        named(["toy"])
    with pytest.raises(DesiderataError, match="No subject is named"):
        named([])
    with pytest.raises(DesiderataError, match="strategy called 'clever'"):
        Plan(("crab",), ("clever",))
    with pytest.raises(DesiderataError, match="needs an adapter"):
        Plan(("crab",), ("ip-adapter",))
    with pytest.raises(DesiderataError, match="at least one subject"):
        Plan(("crab",), seeds=0, strategies=FEW)
    with pytest.raises(DesiderataError, match="no ablation 'mood'"):
        variants("mood", tiny)
    with pytest.raises(DesiderataError, match="No anchors are called"):
        Settings(anchors="martian")
    assert named(["styles", "teddy-bear"])[-1] == "teddy bear"
    assert len(named(["all"])) == 16


def test_the_command_prints_the_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    plans: list[Plan] = []

    def known(plan, out, processes, progress):
        plans.append(plan)
        return CELLS

    monkeypatch.setattr(bench, "run_plan", known)
    words = ["bench", "personalize", "--out", str(tmp_path), "--subjects", "crab,crayon", "--json", "--strategies"]
    assert main([*words, "random,uncertainty", "--steps", "7", "--rounds", "3", "--seeds", "2"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert set(cells[0]) == {"strategy", "subject", "kind", "seed", "variant", "rounds"}
    assert {"txt_aln", "img_aln", "ovf"} <= set(cells[0]["rounds"][0])
    (plan,) = plans
    assert (plan.subjects, plan.strategies) == (("crab", "crayon"), ("random", "uncertainty"))
    assert (plan.seeds, plan.rounds) == (2, 3)
    assert (plan.variants[""].steps, plan.first_seed) == (7, 100)
    assert main([*words, "clever"]) == 2
    assert "clever" in json.loads(capsys.readouterr().out)["error"]


def test_tables_of_many_runs_are_not_replaced_by_those_of_a_few(
    whole, tmp_path: Path, tiny: Settings, monkeypatch: pytest.MonkeyPatch, capsys
):
    out, results = whole
    shutil.copytree(out, tmp_path, dirs_exist_ok=True)
    plan = Plan(("crab", "crayon"), MANY, 1, 2, {"": tiny})
    assert bench.results_beside(plan, tmp_path) == 0
    followed = Plan(("crab",), ("dreambooth-equal-steps",), 1, 2, {"": tiny})
    assert bench.results_beside(followed, tmp_path) == len(results) - 2, "what a control follows is run with it"
    (tmp_path / "table.md").write_text("of all")
    monkeypatch.setattr(bench, "run_plan", lambda *_: results[:1])
    words = ["bench", "personalize", "--out", str(tmp_path), "--subjects", "crab", "--strategies", "random"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"has {len(results)} results more; its tables and drawings are as they were" in said
    assert "## Objects (Table 2)" in said
    assert (tmp_path / "table.md").read_text() == "of all"
    (tmp_path / "cells").rename(tmp_path / "others")
    assert main(words) == 0
    assert (tmp_path / "table.md").read_text() != "of all"


def test_a_run_is_compared_with_another_at_the_time_when_it_stopped():
    def cell(strategy: str, *values: float) -> dict:
        about = {"strategy": strategy, "subject": "crab", "kind": "object", "seed": 100}
        return {**about, "rounds": [{"ovf": value} for value in values], "stopped": ""}

    table = Table([cell("uncertainty", 0.4, 0.3), cell("random", 0.4, 0.6, 0.1)], "object")
    in_the_end = table.change("uncertainty", "ovf", "random")
    then = table.change("uncertainty", "ovf", "random", when_stopped=True)
    assert in_the_end is not None
    assert then is not None
    assert (in_the_end.mean, then.mean) == (pytest.approx(2.0), pytest.approx(-0.5))


def test_means_have_intervals_over_subjects():
    def cell(subject: str, seed: int, value: float) -> dict:
        about = {"strategy": "random", "subject": subject, "kind": "object", "seed": seed}
        return {**about, "rounds": [{"ovf": value}], "stopped": ""}

    values = {("a", 0): 0.1, ("a", 1): 0.2, ("b", 0): 0.5, ("b", 1): 0.6, ("c", 0): 0.9, ("c", 1): 0.8}
    found = Table([cell(*run, value) for run, value in values.items()], "object").estimate("random", "ovf")
    wanted = estimate([0.15, 0.55, 0.85])
    assert found is not None
    assert (found.mean, found.low, found.n) == (pytest.approx(wanted.mean), pytest.approx(wanted.low), 3)
    one = Table([cell(*run, value) for run, value in values.items() if run[0] == "a"], "object")
    assert one.estimate("random", "ovf") == estimate([0.1, 0.2]), "of one subject, over its seeds"
    assert one.estimate("random", "leak") is None


def test_a_share_of_hardly_anything_is_not_told():
    b = np.array([0.0, 0.1, 0.0, 0.05])
    assert relative_change(np.array([0.1, 0.2, 0.1, 0.3]), b) is None
    nothing = relative_change(np.zeros(4), np.array([0.4, 0.5, 0.6, 0.5]))
    assert nothing is not None
    assert (nothing.mean, np.isnan(nothing.half_width)) == (-1.0, True)


def test_tables_of_a_part_of_the_runs(whole, tmp_path: Path, tiny: Settings, monkeypatch: pytest.MonkeyPatch, capsys):
    out, results = whole
    shutil.copytree(out, tmp_path, dirs_exist_ok=True)
    plan = Plan(("crab", "crayon"), MANY, 1, 2, {"": tiny})
    assert bench.found_cells(plan, tmp_path) == results
    (tmp_path / "cells" / f"{results[1]['stem']}.json").unlink()
    assert bench.found_cells(plan, tmp_path) == [results[0], *results[2:]]
    wider = Plan(("crab", "fox", "crayon"), MANY, 1, 2, {"": tiny})
    assert bench.found_cells(wider, tmp_path) == results[-2:], "no fox of this seed, and so no object"
    monkeypatch.setattr(bench, "run_plan", lambda *_: pytest.fail("nothing is to run"))
    words = [
        "bench",
        "personalize",
        "--out",
        str(tmp_path),
        "--subjects",
        "crab",
        "--strategies",
        "random",
        "--found",
    ]
    assert main([*words, "--json"]) == 2
    assert "has none of these runs" in json.loads(capsys.readouterr().out)["error"]
    assert main([*words, "--ablation", "lambda", "--json"]) == 2
    assert "--found does not go with --ablation" in json.loads(capsys.readouterr().out)["error"]
    monkeypatch.setattr(bench, "found_cells", lambda *_: results)
    assert main([*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cells"]) == len(results)
    assert (tmp_path / "table.md").is_file()

"""A whole campaign of a generator: asked, answered by itself or by a person, killed, resumed, stopped."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from quick_parts import Drill, Judge, Painter, campaign, contents, example, learner, picture, references

from contracts.oracle import OracleContract, ask
from contracts.tiny_dino import tiny_dino
from contracts.tiny_pipeline import tiny_pipeline
from desiderata.campaign.blobs import FolderBlobs
from desiderata.campaign.config import Config
from desiderata.campaign.loop import Campaign
from desiderata.errors import DesiderataError
from desiderata.foundation.picture_encoder import load_picture_encoder
from desiderata.foundation.sampling import Sampling
from desiderata.personalize import asked, build, models
from desiderata.personalize.answers import (
    NOT_PICKED,
    OwnSamples,
    Picker,
    additions_of,
    candidate_files,
    candidates,
    weights_of,
)
from desiderata.personalize.build import create, open_run
from desiderata.personalize.looking import choices, measured_pictures, stopped
from desiderata.personalize.models import Models
from desiderata.personalize.picking import pick, unpick
from desiderata.personalize.pictures import find_class
from desiderata.personalize.quickstart import new_campaign
from desiderata.personalize.recipes import TRAINERS, default_trainer, make_trainer
from desiderata.personalize.strategies import make_strategy
from desiderata.personalize.subject import Subject
from desiderata.personalize.tensors import unpack
from desiderata.personalize.trainers.recipe import Recipe
from desiderata.personalize.trainers.trainer import at_pace
from desiderata.report.page import render
from desiderata.report.personalize import of_campaign

RATE = Recipe().learning_rate
ANCHORS = ["{} in the snow", "{} on the beach", "a sepia photo of {}"]


@pytest.fixture(autouse=True)
def lessons():
    Drill.lessons = []
    return Drill.lessons


# With parts that take no time


def test_a_generator_learns_from_its_own_pictures_until_it_is_decided(tmp_path: Path):
    made = campaign(tmp_path / "run")
    made.run(OwnSamples(made), rounds=9)
    last = stopped(made)
    assert last is not None
    assert last.stopped.startswith("It is undecided about") or last.stopped.startswith("Every direction")
    assert last.round == len(made.rounds) == len(choices(made))
    assert all(answer.source == "self" for answer in made.answers)
    texts = [query.text for query in made.queries]
    assert len(set(texts)) == len(texts), "a direction was asked twice"
    for query, answer in zip(made.queries, made.answers):
        number = int(query.proposal.evidence["candidate"])
        shown = np.asarray(Image.open(made.path / "images" / answer.image[:2] / f"{answer.image}.png"))
        np.testing.assert_array_equal(shown, candidates(made, query)[number])
        assert answer.weight == pytest.approx(0.005 * query.proposal.evidence["mean_entropy"])
    assert [done.metrics.get("openness") for done in made.rounds[1:]] == [row[0] for row in weights_of(made)]


def test_kill_9_where_it_writes(tmp_path: Path):
    script = Path(__file__).with_name("killed_drawing.py")
    done = subprocess.run([sys.executable, script, tmp_path, "29"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["points"] >= 4
    assert found["lessons"] == 24, "eight steps in each of three rounds"
    assert "rounds/001/candidates/02-a-sepia-photo-of-a-sks-toy/00.png" in found["files"]


def test_a_campaign_in_memory_is_the_same(tmp_path: Path):
    kept, passing = campaign(tmp_path / "run"), campaign(None)
    for made in (kept, passing):
        made.run(OwnSamples(made), rounds=2)
    assert kept.history() == passing.history()
    with pytest.raises(DesiderataError, match="in memory and has no files"):
        candidate_files(passing, passing.queries[0])


def test_strategies_begin_alike_and_part_then(tmp_path: Path):
    first, second = campaign(None, "uncertainty"), campaign(None, "random")
    for made in (first, second):
        made.run(OwnSamples(made), rounds=1)
    assert first.rounds[0] == second.rounds[0]
    assert first.store.weights(0) == second.store.weights(0)
    assert first.queries[0].text != second.queries[0].text


def test_controls_follow_a_run():
    made = campaign(None)
    made.run(OwnSamples(made), rounds=9)
    weights, additions = weights_of(made), additions_of(made)
    assert additions == list(range(1, len(weights) + 1))
    equal = campaign(None, "random-equal-weight", {"k": 1, "samples": 3, "weights": weights})
    equal.run(OwnSamples(equal), rounds=9)
    assert weights_of(equal) == weights
    steps = campaign(None, "dreambooth-equal-steps", {"k": 1, "additions": additions})
    steps.run(OwnSamples(steps), rounds=9)
    full = [done.metrics["full_weight_steps"] for done in made.rounds]
    assert [done.metrics["full_weight_steps"] for done in steps.rounds] == full
    assert len(set(full)) > 1
    assert len(steps.rounds) == len(made.rounds)
    assert stopped(steps).stopped == "The run that is followed stopped here."
    assert stopped(equal).round == stopped(steps).round == len(weights) + 1
    plain = campaign(None, "dreambooth", {})
    plain.run(OwnSamples(plain), rounds=9)
    assert len(plain.rounds) == 1
    assert stopped(plain).round == 1


def test_a_lower_rate_is_what_later_rounds_learn_at(tmp_path: Path):
    made = campaign(tmp_path / "run", "dreambooth-lower-rate", {"samples": 3, "share": 0})
    made.run(OwnSamples(made), rounds=2)
    assert [done.metrics.get("pace") for done in made.rounds] == [None, 0.5, 0.25]
    assert [done.examples for done in made.rounds] == [0, 1, 2]
    assert additions_of(made) == [], "nothing of its own is learnt from"
    rate = Drill().recipe.learning_rate
    for number, pace in enumerate([1.0, 0.5, 0.25]):
        lone = learner(trainer=Drill(replace(Drill().recipe, learning_rate=pace * rate)))
        lone.fit([], np.random.default_rng(0))
        assert unpack(made.store.weights(number))[0]["weight"].equal(unpack(lone.save())[0]["weight"]), number
    again = campaign(tmp_path / "run", "dreambooth-lower-rate", {"samples": 3, "share": 0})
    Drill.lessons.clear()
    again.run(OwnSamples(again), rounds=3)
    assert Drill.lessons == [1, 2], "what was learnt at a lower rate was learnt again"
    assert again.rounds[-1].metrics["pace"] == 0.125


def test_who_goes_on_at_a_lower_rate_stays_there():
    made = campaign(None, "dreambooth-lower-rate", {"samples": 3, "share": 0})
    made.run(OwnSamples(made), rounds=2)
    taught = made.learner
    taught.fit([example(1, pace=0.25), example(2)], np.random.default_rng(0))
    lone = learner(trainer=Drill(replace(Drill().recipe, learning_rate=0.25 * RATE)))
    lone.teacher.teach(taught.images)
    assert taught.save() == lone.save()
    assert taught.evaluate()["pace"] == 0.25


def test_a_round_of_which_nothing_came_has_no_figures_of_an_earlier_choice():
    made = campaign(None, "uncertainty", {"k": 1, "samples": 3})
    made.run(OwnSamples(made), rounds=1)
    (query,) = made.ask()
    made.skip(query, "nothing there")
    chosen, skipped = made.rounds[1:]
    assert {"openness", "mean_entropy"} <= set(chosen.metrics)
    assert not {"openness", "mean_entropy"} & set(skipped.metrics)
    assert made.learner_at(1).evaluate() == chosen.metrics


def test_the_memory_is_not_enough_to_learn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def train(*_: Any, **__: Any):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    made = campaign(tmp_path / "run", "random", {"k": 1})
    (query,) = made.ask()
    with monkeypatch.context() as patched:
        patched.setattr(Drill, "train", train)
        with pytest.raises(DesiderataError, match="memory to teach painter by drill: begin a run with --precision"):
            made.tell(query, picture(1), source="self")
    with monkeypatch.context() as patched:
        patched.setattr(Drill, "apply", train)
        with pytest.raises(DesiderataError, match="memory to hold a second painter: begin a run with --precision"):
            made.ask()
    assert [query.status for query in campaign(tmp_path / "run", "random", {"k": 1}).queries] == ["answered"]


def test_where_another_device_stands_in_a_lesson_is_left_until_the_round_is_recorded(tmp_path: Path):
    made = campaign(tmp_path / "run", "random", {"k": 1})
    other = tmp_path / "run" / "training" / "0123.safetensors"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(b"on a card")
    taught = made.learner
    taught.fit([example(1)], np.random.default_rng(0))
    assert other.exists()
    taught.tidy()
    assert not other.exists()


def test_pictures_of_the_class_that_were_given_are_kept(tmp_path: Path):
    given = references(3, first=50)
    shelf = FolderBlobs(tmp_path)
    taught = learner(shelf, class_pictures=given)
    taught.fit([], np.random.default_rng(0))
    found = find_class(shelf, tmp_path / "nowhere", given[0].image.shape[0])
    assert [one.digest for one in found] == [one.digest for one in given]
    again = learner(shelf, class_pictures=found)
    again.fit([], np.random.default_rng(0))
    assert again.save() == taught.save()
    (tmp_path / "class" / "001.png").unlink()
    with pytest.raises(DesiderataError, match=r"class/001\.png is gone from the run: put it back"):
        find_class(shelf, tmp_path / "nowhere", 8)


def test_a_steady_rate_makes_up_for_what_is_added(tmp_path: Path):
    trainer = Drill(Recipe(steps=40, batch=1, prior="published"))
    made = campaign(tmp_path / "run", "uncertainty-balance-steady", trainer=trainer)
    plain = campaign(None, trainer=trainer)
    for one in (made, plain):
        one.run(OwnSamples(one), rounds=1)
    assert made.queries[0].text == plain.queries[0].text, "the first choice is the same"
    assert weights_of(made) == weights_of(plain)
    assert "pace" not in made.rounds[0].metrics
    pace = made.rounds[1].metrics["pace"]
    assert pace == pytest.approx(math.sqrt(2 / 3), abs=0.05)
    lone = learner(trainer=replace(trainer, recipe=replace(trainer.recipe, learning_rate=pace * RATE)))
    lone.teacher.teach(made.learner.images)
    assert unpack(made.store.weights(1))[0]["weight"].equal(unpack(lone.save())[0]["weight"])
    again = campaign(tmp_path / "run", "uncertainty-balance-steady", trainer=trainer)
    whole = campaign(tmp_path / "whole", "uncertainty-balance-steady", trainer=trainer)
    for one in (again, whole):
        one.run(OwnSamples(one), rounds=2)
    assert again.rounds == whole.rounds
    assert again.rounds[2].metrics["pace"] == pytest.approx(math.sqrt(2 / 4), abs=0.05)
    assert again.store.weights(2) == whole.store.weights(2)


def test_what_takes_no_steps_has_no_rate(tiny: Path, photos: Path, tmp_path: Path):
    options = settings(tiny) | {
        "strategy": "dreambooth-lower-rate",
        "trainer": {"name": "ip-adapter", "adapter": "x"},
    }
    with pytest.raises(DesiderataError, match="ip-adapter takes no steps"):
        new_campaign(tmp_path / "run", photos, **options)
    with pytest.raises(DesiderataError, match="ip-adapter takes no steps"):
        new_campaign(tmp_path / "run", photos, **options | {"strategy": "uncertainty-balance-steady"})
    assert not (tmp_path / "run").exists(), "it would have been asked what nobody can learn"
    assert at_pace(Drill(), 1.0) == Drill()
    with pytest.raises(DesiderataError, match="takes no steps, so that its learning rate cannot be lowered"):
        at_pace(make_trainer({"name": "ip-adapter", "adapter": "somewhere"}, Subject.of("toy", setting="x")), 0.5)


def test_a_person_picks_from_a_folder_of_copies(tmp_path: Path):
    made = campaign(tmp_path / "run", "human-balance", {"k": 2, "samples": 3})
    queries = made.ask()
    assert len(queries) == 4
    files = candidate_files(made, queries[2])
    assert [file.name for file in files] == ["00.png", "01.png", "02.png"]
    copies = tmp_path / "picked"
    copies.mkdir()
    Image.open(files[1]).save(copies / "nice.png")
    Image.open(candidate_files(made, queries[0])[2]).save(copies / "nicer.png")
    Image.open(candidate_files(made, queries[0])[2]).save(copies / "nicer (1).png")  # counts once
    picture(1).save(copies / "notes.png")
    with pytest.raises(DesiderataError, match=r"notes\.png is none of the pictures"):
        pick(made, copies)
    (copies / "notes.png").unlink()
    with pytest.raises(DesiderataError, match="3 pictures were picked, and a round learns from 2"):
        pick(made, candidate_files(made, queries[0]))
    assert {query.status for query in made.ask()} == {"open"}
    assert [query.id for query in pick(made, copies)] == ["r001-q01", "r001-q03"]
    assert [query.status for query in made.queries] == ["answered", "skipped", "answered", "skipped"]
    assert made.queries[1].reason == NOT_PICKED
    assert [query.id for query in pick(made, copies)] == ["r001-q01", "r001-q03"], "a second time nothing is wrong"
    assert len(made.rounds) == 2
    with pytest.raises(DesiderataError, match="Nothing waits to be picked from"):
        pick(made, [])
    assert [query.text for query in made.ask()] == [queries[1].text, queries[3].text]
    told = candidate_files(made, made.ask()[1])[0]
    made.tell(made.ask()[1], told)
    with pytest.raises(DesiderataError, match="Others were picked for round 2 before"):
        pick(made, [])
    pick(made, told)
    assert [len(row) for row in weights_of(made)] == [2, 1]
    made.ask()
    pick(made, [])
    assert made.ask() == []
    assert stopped(made).stopped == "No picture was picked in the round before."


def test_what_was_picked_is_taken_back_while_it_is_not_learnt(monkeypatch: pytest.MonkeyPatch):
    made = campaign(None, "human", {"k": 2, "samples": 2})
    first, _, third, _ = made.ask()
    with pytest.raises(DesiderataError, match="There is nothing to take back"):
        unpick(made)
    wrong, right = ([candidates(made, query)[0]] for query in (first, third))
    with monkeypatch.context() as patched:
        patched.setattr(made.learner, "fit", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            pick(made, wrong)
    withdrawn = unpick(made)
    assert [(query.id, query.status) for query in withdrawn] == [(first.id, "open")]
    assert {query.status for query in made.queries} == {"open"}
    assert [query.id for query in pick(made, right)] == [third.id]
    assert [len(row) for row in weights_of(made)] == [1]
    assert [(one.query_id, one.status) for one in made.withdrawals] == [
        (first.id, "answered"),
        *((query.id, "skipped") for query in made.queries if query.id != first.id),
    ]
    alone = campaign(None, "human", {"k": 2, "samples": 2})
    alone.ask()
    pick(alone, right)
    assert made.rounds == alone.rounds
    assert made.store.weights(1) == alone.store.weights(1)
    with pytest.raises(DesiderataError, match="There is nothing to take back"):
        unpick(made)
    with monkeypatch.context() as patched:
        second = made.ask()[0]
        patched.setattr(made.learner, "fit", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            pick(made, [])
    assert unpick(made) == [], "that none was picked is taken back, too"
    fit, again = made.learner.fit, [candidates(made, second)[0]]

    def taken_back_meanwhile(*given) -> None:
        unpick(made)
        fit(*given)

    with monkeypatch.context() as patched:
        patched.setattr(made.learner, "fit", taken_back_meanwhile)
        with pytest.raises(DesiderataError, match="for r002-q01 was taken back while it was learnt"):
            pick(made, again)
    assert len(made.rounds) == 2
    assert {query.status for query in made.queries if query.round == 2} == {"open"}


def _cut_off(*_: object) -> None:
    raise KeyboardInterrupt


def test_nobody_learns_what_a_round_without_picks_would_repeat(lessons: list[int]):
    made = campaign(None, "human", {"k": 1, "samples": 2})
    made.ask()
    pick(made, [])
    assert len(made.rounds) == 2
    assert lessons == [1, 2]
    assert made.rounds[0].metrics == made.rounds[1].metrics


def test_somebody_picks_for_an_experiment():
    def first_two(shown):
        return {text: max(pictures) for text, pictures in list(shown.items())[:2]}

    made = campaign(None, "human", {"k": 2, "samples": 3})
    made.run(Picker(made, first_two), rounds=2)
    assert [query.status for query in made.queries] == ["answered"] * 2 + ["skipped"] * 2 + ["answered"] * 2
    assert {answer.source for answer in made.answers} == {"picker"}


class TestOwnSamples(OracleContract):
    @pytest.fixture
    def made(self):
        return campaign(None)

    @pytest.fixture
    def make(self, made):
        return lambda: OwnSamples(made)

    @pytest.fixture
    def query(self, made):
        return made.ask()[0]

    @pytest.fixture
    def unanswerable(self):
        return ask("a photo of a cat", "cat")

    def test_it_does_not_choose_for_a_person(self):
        made = campaign(None, "human", {"samples": 1})
        with pytest.raises(DesiderataError, match="waits for a person to pick"):
            made.run(OwnSamples(made), rounds=1)
        assert {query.status for query in made.queries} == {"open"}


def test_a_picture_that_was_removed_is_no_reason_to_skip(tmp_path: Path):
    made = campaign(tmp_path / "run")
    (query,) = made.ask()
    for file in candidate_files(made, query):
        file.unlink()
    with pytest.raises(DesiderataError, match="is gone from the run"):
        made.run(OwnSamples(made), rounds=1)
    assert made.queries[0].status == "open"


def test_blanked_pictures_are_counted_with_the_choice(tmp_path: Path):
    made = campaign(tmp_path / "run", "clip-feedback", generator=Painter(blanks=("snow",)))
    made.run(OwnSamples(made), rounds=1)
    assert choices(made)[0].blanked == 3
    assert [direction.usable for direction in choices(made)[0].directions] == [0, 3, 3, 3]
    assert made.queries[0].proposal.evidence["blanked_in_round"] == 3
    assert not candidate_files(made, made.queries[0])[0].name.endswith("blanked.png")


# With a pipeline of random weights


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    return tiny_pipeline(folder / "model", size=16, vae="tiny", sampling=Sampling(steps=2, guidance=1.5, batch=4))


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(models, "load_encoder", lambda _name, **_: Judge())
    monkeypatch.setattr(models, "locate", lambda name, _kind: name)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed in (1, 2):
        picture(seed).save(tmp_path / "photos" / f"{seed}.png")
    return tmp_path / "photos"


def settings(tiny: Path) -> dict:
    return {
        "subject": "toy",
        "setting": "on a wooden table",
        "generator": str(tiny),
        "encoder": "judge",
        "trainer": {"name": "dreambooth", "steps": 2, "learning_rate": 1e-3, "class_pictures": 1},
        "strategy": {"name": "clip-feedback-balance", "k": 1, "samples": 2},
        "anchors": ANCHORS,
        "test": ["{} in a room"],
        "pictures": 1,
    }


def test_a_pipeline_is_taught_in_one_call_and_opened_from_its_directory(tiny: Path, photos: Path, tmp_path: Path):
    made = new_campaign(tmp_path / "run", photos, **settings(tiny))
    made.run(OwnSamples(made), rounds=1)
    assert [set(done.metrics) >= {"txt_aln", "img_aln", "ovf", "blanked"} for done in made.rounds] == [True, True]
    config = Config.read(tmp_path / "run")
    assert (config.half, config.generator["name"]) == ("personalize", str(tiny))
    assert (config.trainer["steps"], config.trainer["clip"]) == (2, 1.0)
    assert "solver" not in config.generator, "its directory says how it is sampled"
    assert sorted(file.name for file in photos.iterdir()) == ["1.png", "2.png"]
    for file in photos.iterdir():
        file.unlink()  # the run has what it needs
    opened = Campaign.open(tmp_path / "run")
    assert opened.learner.save() == made.learner.save()
    assert [query.id for query in opened.ask()] == ["r002-q01"]
    ((prompt, (image,)),) = measured_pictures(opened, 1)
    assert prompt == "a sks toy in a room"
    drawn = opened.learner_at(1).personalised.sample([prompt], [opened.learner.measurement.wanted("")[0].seed])
    np.testing.assert_array_equal(image, drawn[0].image)
    with pytest.raises(DesiderataError, match="Round 2 is not closed"):
        measured_pictures(opened, 2)
    files = contents(opened.path)
    for file in (candidate_files(opened, opened.queries[1])[1], opened.path / "rounds/002/candidates.safetensors"):
        file.unlink()
    opened.learner_at(1).state(opened.exchanges(), 2).candidates(2)
    assert contents(opened.path) == files, "drawn in another company, a picture came out another"


def test_a_second_encoder_measures_besides(tiny: Path, photos: Path, tmp_path: Path):
    dino = tiny_dino(tmp_path / "dino")
    options = settings(tiny) | {"second_encoder": str(dino), "pictures": 2}
    made = new_campaign(tmp_path / "run", photos, **options)
    ((_, pictures),) = measured_pictures(made, 0)
    second = load_picture_encoder(str(dino))
    shown = [one.image for one in made.learner.references]
    expected = float((second.images(pictures) @ second.images(shown).T).mean())
    assert made.rounds[0].metrics["dino_aln"] == pytest.approx(expected)
    plain = new_campaign(tmp_path / "plain", photos, **settings(tiny) | {"pictures": 2})
    assert made.rounds[0].metrics == {**plain.rounds[0].metrics, "dino_aln": made.rounds[0].metrics["dino_aln"]}
    away = dino.rename(tmp_path / "away")
    Campaign.open(tmp_path / "run").learner.personalised.sample(["a cat"], [0])  # which needs no second encoder
    away.rename(dino)
    opened = Campaign.open(tmp_path / "run")
    opened.run(OwnSamples(opened), rounds=1)
    assert "dino_aln" in opened.rounds[1].metrics
    page = render(of_campaign(opened))
    assert "DINO-ALN" in page
    assert "DINO-ALN" not in render(of_campaign(plain))
    with pytest.raises(DesiderataError, match="There is no directory"):
        new_campaign(tmp_path / "other", photos, **options | {"second_encoder": str(tmp_path / "nowhere")})
    assert not (tmp_path / "other").exists()


def test_a_pipeline_that_says_nothing_is_sampled_as_the_authors_do(tiny: Path, photos: Path, tmp_path: Path):
    silent = shutil.copytree(tiny, tmp_path / "silent", ignore=shutil.ignore_patterns("sampling.json"))
    tables = settings(tiny) | {"generator": {"name": str(silent), "steps": 2, "batch": 2}}
    made = new_campaign(tmp_path / "run", photos, **tables)
    assert made.config.generator["solver"] == "dpm-solver++"
    assert made.learner.teacher.base.sampling.solver == "dpm-solver++"


def test_a_pipeline_that_was_killed_while_it_learnt_goes_on(tiny: Path, photos: Path, tmp_path: Path):
    class Stopped(Exception):
        pass

    def stop(what: str, done: int, _all: int) -> None:
        if (what, done) == ("Learning", 1):
            raise Stopped

    options = settings(tiny) | {"trainer": {"steps": 2, "checkpoint_every": 1, "class_pictures": 1}}
    models = Models.of(Config(generator={"name": str(tiny)}, encoder="judge"))
    whole = new_campaign(tmp_path / "whole", photos, **options, models=models)
    with pytest.raises(Stopped):
        new_campaign(tmp_path / "killed", photos, **options, models=models, progress=stop)
    steps = []
    again = open_run(tmp_path / "killed", models=models, progress=lambda what, done, _all: steps.append((what, done)))
    again.settle()
    assert [done for what, done in steps if what == "Learning"] == [1, 2], "it was told where it stood, and one step"
    assert again.history() == whole.history()
    assert contents(tmp_path / "killed") | {"campaign.toml": b""} == contents(tmp_path / "whole") | {
        "campaign.toml": b""
    }


# Names that mean nothing


def config(photos: Path, **changes) -> Config:
    tables = {
        "half": "personalize",
        "world": {"kind": "references", "images": str(photos)},
        "encoder": "judge",
        "generator": {"name": "painter"},
        "subject": Subject.of("toy", setting="here").table(),
        "trainer": {"name": "dreambooth"},
        "strategy": {"name": "uncertainty"},
        "prompts": {"anchors": ANCHORS, "pictures": 0},
    }
    return Config(**{**tables, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"strategy": {"name": "psychic"}}, "No strategy is called 'psychic'"),
        ({"strategy": {}}, "does not say which"),
        ({"subject": {"kind": "object"}}, "does not say what is to be learnt: it has no word"),
        ({"world": {"kind": "folder"}}, "does not say where the pictures"),
        ({"world": {"kind": "references", "images": "nowhere"}}, "nowhere is not a folder"),
        ({"trainer": {"name": "hypnosis"}}, "No trainer is called 'hypnosis'"),
        ({"trainer": {"name": "dreambooth", "colour": 1}}, "trainer dreambooth has no setting 'colour'"),
        ({"trainer": {"name": "dreambooth", "steps": 0}}, "steps is 0"),
        ({"trainer": {"name": "dreambooth", "class_pictures": -1}}, "class_pictures is -1"),
        (
            {"trainer": {"name": "textual-inversion", "class_pictures": 2}},
            "textual-inversion learns from no class pic",
        ),
        ({"trainer": {"name": "dreambooth", "prior": "later"}}, "prior is 'later'"),
        ({"prompts": {"anchors": "martian"}}, "no pool of anchors called 'martian'"),
        ({"prompts": {"test": ["no slot"]}}, "where the subject belongs"),
        ({"prompts": {"pictures": 1.5}}, "pictures is 1.5"),
    ],
)
def test_nothing_is_left_where_a_name_means_nothing(changes: dict, says: str, photos: Path, tmp_path: Path):
    models = Models(Painter(), learner().encoder)
    with pytest.raises(DesiderataError, match=says):
        create(tmp_path / "run", config(photos, **changes), models=models)
    assert not (tmp_path / "run").exists()


def test_an_encoder_that_there_is_not_is_known_before_the_generator_is_loaded(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.undo()
    monkeypatch.setattr(models, "load_generator", lambda *_, **__: pytest.fail("gigabytes are fetched"))
    with pytest.raises(DesiderataError, match="No model is called 'psychic'"):
        create(tmp_path / "run", config(photos, encoder="psychic"))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"name": "moji-diffusion", "colour": 1}, "unknown key 'colour'"),
        ({"precision": "float8"}, "precision is 'float8'"),
    ],
)
def test_generators_that_mean_nothing(table: dict, says: str):
    with pytest.raises(DesiderataError, match=says):
        Models.of(Config(generator=table, encoder="judge"))


def test_in_bfloat16_nothing_that_is_learnt_is_rounded_away(tiny: Path, photos: Path, tmp_path: Path):
    tables = settings(tiny) | {"generator": {"name": str(tiny), "precision": "bfloat16"}}
    made = new_campaign(tmp_path / "run", photos, **tables)
    teacher = made.learner.teacher
    assert (teacher.base.dtype, teacher.base.sampling.half) == (torch.float32, True)
    for name, value in made.learner.personalised.unet.named_parameters():
        assert torch.equal(value, teacher.learnt[f"unet.{name}"])


def test_a_run_of_coarse_weights_is_opened_and_goes_on(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tables = settings(tiny) | {"generator": {"name": str(tiny), "precision": "bfloat16"}}
    with monkeypatch.context() as before:
        before.setitem(asked.PRECISIONS, "bfloat16", torch.bfloat16)
        made = new_campaign(tmp_path / "run", photos, **tables)
    assert made.learner.teacher.base.dtype == torch.bfloat16
    opened = Campaign.open(tmp_path / "run")
    assert opened.learner.teacher.base.dtype == torch.float32
    opened.run(OwnSamples(opened), rounds=1)
    assert len(opened.rounds) == 2
    assert len(measured_pictures(opened, 0)) == 1


def test_a_precision_that_is_asked_for_is_not_that_of_the_directory(tiny: Path, tmp_path: Path):
    coarse = shutil.copytree(tiny, tmp_path / "coarse")
    Sampling(half=True).save(coarse)
    for told, half in (({}, True), ({"precision": "float32"}, False), ({"precision": "bfloat16"}, True)):
        made = Models.of(Config(generator={"name": str(coarse), **told}, encoder="judge"))
        assert (made.generator.dtype, made.generator.sampling.half) == (torch.float32, half)
    made = Models.of(Config(generator={"name": str(coarse), "precision": "float16"}, encoder="judge"))
    assert made.generator.dtype == torch.float16
    table = {"name": str(coarse), "precision": "bfloat16", "half": False}
    assert not Models.of(Config(generator=table, encoder="judge")).generator.sampling.half


def test_a_second_encoder_goes_to_the_same_card(photos: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(build, "load_picture_encoder", lambda _name, *, device: seen.append(device))
    parts = Models(Painter(device=torch.device("cuda:1")), Judge())
    load = build._second(asked.Asked.of(config(photos, prompts={"second_encoder": "dino"})), parts)
    assert load is not None
    load()
    assert seen == ["cuda:1"]


def test_a_run_does_not_lie_among_the_references(photos: Path):
    with pytest.raises(DesiderataError, match="left as it is"):
        create(photos / "run", config(photos), models=Models(Painter(), learner().encoder))
    assert not (photos / "run").exists()


def test_two_references_that_are_the_same_picture_are_refused(photos: Path, tmp_path: Path):
    picture(1).save(photos / "again.png")
    with pytest.raises(DesiderataError, match="are the same picture"):
        create(tmp_path / "run", config(photos), models=Models(Painter(), learner().encoder))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fast", [True, False])
def test_the_bundled_generator_computes_in_bfloat16_where_that_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool
):
    made: list[Config] = []
    monkeypatch.setattr("desiderata.personalize.quickstart.bfloat16_is_fast", lambda _: fast)
    monkeypatch.setattr("desiderata.personalize.quickstart.create", lambda _path, config, **_: made.append(config))
    words = {"subject": "horse", "setting": "in the forest"}
    new_campaign(tmp_path / "run", tmp_path, **words)
    new_campaign(tmp_path / "run", tmp_path, **words, trainer="ip-adapter")
    new_campaign(tmp_path / "run", tmp_path, **words, generator="sd-1.4")
    said = {"name": "moji-diffusion", "half": False}
    new_campaign(tmp_path / "run", tmp_path, **words, generator=said, trainer={"precision": "float32"})
    for precision in ("float32", "bfloat16"):
        table = {"name": "moji-diffusion", "precision": precision}
        new_campaign(tmp_path / "run", tmp_path, **words, generator=table)
    for precision in ("bfloat16", "float16"):
        new_campaign(tmp_path / "run", tmp_path, **words, generator={"name": "sd-1.4", "precision": precision})
    plain, adapter, large, told, precise, coarse, mixed, drawn = made
    assert (mixed.trainer["precision"], drawn.trainer["precision"]) == ("bfloat16", "float32")
    assert not {"half"} & {*precise.generator, *coarse.generator}, "a precision was asked for"
    assert precise.trainer["precision"] == "float32"
    assert plain.generator.get("half", False) == adapter.generator.get("half", False) == fast
    assert plain.trainer["precision"] == ("bfloat16" if fast else "float32")
    assert "precision" not in adapter.trainer
    assert "half" not in large.generator
    assert large.trainer["precision"] == told.trainer["precision"] == "float32"
    assert told.generator == said


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("kind", ["object", "style"])
def test_every_trainer_is_made_from_what_is_written_down(name: str, kind: str):
    subject = Subject.of("toy", kind=kind, setting="here")
    for generator in ("sd-1.4", "moji-diffusion"):
        table = default_trainer(name, kind, generator)
        own = {"adapter": "nowhere"} if name == "ip-adapter" else {}
        assert make_trainer({**table, **own}, subject).name == name
        with pytest.raises(DesiderataError, match=f"The trainer {name} has no setting 'step'"):
            make_trainer({**table, **own, "step": 1}, subject)
        make_trainer({**table, **own, "steps": 1}, subject)  # nothing to an IP-Adapter; runs may have it on record
    assert ("class_pictures" in table) == (kind == "object" and name not in {"textual-inversion", "ip-adapter"})


def test_a_list_of_no_sentences_is_not_the_usual_one(photos: Path, tmp_path: Path):
    for given in ({"anchors": []}, {"test": []}):
        with pytest.raises(DesiderataError, match="is empty: give at least one sentence"):
            new_campaign(tmp_path / "run", photos, subject="toy", setting="here", **given)


def test_the_published_settings():
    table = default_trainer("dreambooth", "object", "sd-1.4")
    assert (table["steps"], table["batch"], table["learning_rate"], table["class_pictures"]) == (800, 1, 5e-6, 200)
    table = default_trainer("dreambooth", "style", "sd-1.4")
    assert (table["steps"], table["batch"]) == (500, 2)
    strategy = make_strategy("uncertainty-balance")
    assert (strategy.k, strategy.samples, strategy.rate) == (3, 10, 0.005)

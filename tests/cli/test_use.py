"""Mending an answer, classifying new pictures, taking the classifier away: what the commands say, keep and refuse."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import desiderata
from conftest import CLASSES, EachClass, save, square
from contracts.colours import Colours
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Proposal
from desiderata.cli import main
from desiderata.collect import build, trained
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.learner import CollectLearner
from desiderata.collect.state import CollectState
from desiderata.errors import DesiderataError
from desiderata.worlds.folder import read_folders

Call = Callable[..., tuple[int, dict]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "load_encoder", lambda name: build.load_encoder(name))


# Undo


def test_undo_opens_the_query_again_and_says_what_it_took_back(run: Path, tmp_path: Path, call: Call):
    call("ask", run)
    picture = save(tmp_path / "a.png", "red", 70)
    told = call("tell", run, "r001-q01", picture, "--label", "red")[1]
    status, undone = call("undo", run, "r001-q01")
    assert status == 0
    assert undone == {
        "run": str(run),
        "query": "r001-q01",
        "withdrawn": {"status": "answered", "reason": "", "answers": told["answers"]},
        "open": ["r001-q01", "r001-q02", "r001-q03"],
    }
    assert call("status", run)[1]["undone"] == 1
    assert call("tell", run, "r001-q03", picture)[0] == 0, "the picture may be told again"
    call("skip", run, "r001-q01", "--reason", "no such thing")
    assert call("undo", run, "r001-q01")[1]["withdrawn"] == {
        "status": "skipped",
        "reason": "no such thing",
        "answers": [],
    }


def test_undo_in_words(run: Path, tmp_path: Path, capsys: Capture):
    assert main(["ask", str(run)]) == 0
    assert main(["tell", str(run), "r001-q01", str(save(tmp_path / "a.png", "red", 70))]) == 0
    capsys.readouterr()
    assert main(["undo", str(run), "r001-q01"]) == 0
    assert capsys.readouterr().out == "r001-q01: 1 image taken back; it is open again. 3 still open in this round.\n"
    assert main(["status", str(run)]) == 0
    assert "0 images; 1 taken back." in capsys.readouterr().out
    for query in ("r001-q01", "r001-q02", "r001-q03"):
        assert main(["undo", str(run), query]) == 2
        assert capsys.readouterr().err == f"Query {query} is open, so that there is nothing to undo.\n"
        assert main(["skip", str(run), query, "--reason", "no"]) == 0
    assert "desiderata ask" in (out := capsys.readouterr().out)
    assert out.endswith(f"until then `desiderata undo {run} r001-q03` takes it back.\n")
    assert main(["undo", str(run), "r001-q03"]) == 0, "the last answer of a round, too"
    assert main(["skip", str(run), "r001-q03", "--reason", "no"]) == 0
    capsys.readouterr()
    assert main(["ask", str(run)]) == 0
    assert capsys.readouterr().out.startswith("Round 1 is closed: ")
    assert main(["undo", str(run), "r001-q03"]) == 2
    assert "any more, because its round 1 is closed" in capsys.readouterr().err
    assert main(["undo", str(run), "r007-q01"]) == 2
    assert "There is no query r007-q01" in capsys.readouterr().err


# Predict


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    for label in CLASSES:
        save(tmp_path / "inbox" / f"{label}.png", label, 300)
    square("red", 301).save(tmp_path / "inbox" / "deep red.bmp")
    (tmp_path / "inbox" / "broken.gif").write_bytes(b"GIF89a")
    (tmp_path / "inbox" / "notes.txt").touch()
    return tmp_path / "inbox"


def test_predict_goes_on_where_a_file_cannot_be_read(run: Path, inbox: Path, call: Call, tmp_path: Path):
    status, said = call("predict", run, inbox, save(tmp_path / "one.png", "green", 302), tmp_path / "gone.png")
    assert status == 0
    assert set(said) == {"run", "classes", "predictions", "unreadable", "out"}
    assert [Path(one["file"]).name for one in said["predictions"]] == [
        "blue.png",
        "deep red.bmp",
        "green.png",
        "red.png",
        "one.png",
    ]
    for one in said["predictions"]:
        assert set(one) == {"file", "label", "probabilities"}
        assert set(one["probabilities"]) == set(CLASSES)
        assert sum(one["probabilities"].values()) == pytest.approx(1)
        assert one["label"] == max(one["probabilities"], key=one["probabilities"].__getitem__)
    assert [Path(one["file"]).name for one in said["unreadable"]] == ["broken.gif", "gone.png"]
    assert said["unreadable"][1]["error"].endswith("gone.png does not exist: check the path.")
    assert said["out"] is None
    campaign = Campaign.open(run)
    head, encoder = campaign.learner.head, campaign.learner.encoder  # pyright: ignore[reportAttributeAccessIssue]
    expected = head.predict_proba(encoder.images([square("green", 302)]))[0]
    assert list(said["predictions"][-1]["probabilities"].values()) == pytest.approx(expected.tolist())


def test_predict_in_words_and_as_a_table(run: Path, inbox: Path, tmp_path: Path, capsys: Capture):
    before = Campaign.open(run).history()
    assert main(["predict", str(run), str(inbox)]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 4
    assert out.splitlines()[0].startswith(f"{inbox / 'blue.png'}  ")
    assert out.splitlines()[0].endswith("%")
    assert err.count("\n") == 1
    assert "broken.gif is not a JPEG, PNG, WebP, GIF or BMP image" in err
    assert main(["predict", str(run), str(inbox), "--out", "table.csv"]) == 0
    out, err = capsys.readouterr()
    assert out == "Written: table.csv with 4 images, and 1 file that cannot be read.\n"
    with (tmp_path / "table.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "label", "p(blue)", "p(green)", "p(red)", "error"]
    assert len(rows) == 5
    assert rows[-1][1:5] == [""] * 4
    assert "broken.gif is not" in rows[-1][-1]
    assert sum(map(float, rows[0][2:5])) == pytest.approx(1, abs=1e-5)
    assert Campaign.open(run).history() == before


def test_what_predict_cannot_do_is_one_sentence(run: Path, tmp_path: Path, capsys: Capture):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_text("<svg/>")
    for words, says in (
        (["predict", "run", "empty"], "empty has no JPEG, PNG, WebP, GIF or BMP images: give another folder"),
        (["predict", "run", "a.png"], "a.png is not a JPEG, PNG, WebP, GIF or BMP image"),
        (["predict", "run", "a.png", "b.png"], "None of 2 images can be read; the first: a.png is not"),
        (["predict", "run", "/dev/zero"], "/dev/zero is not a file"),
        (["predict", "gone", "a.png"], "gone is not a campaign"),
        (["predict", "empty", "a.png"], "empty is not a campaign"),
        (["predict", "run", "a.png", "--out", "empty"], "empty is a folder: give the name of a file."),
    ):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert says in err
        assert err.count("\n") == 1


def test_a_campaign_without_a_classifier(run: Path, tmp_path: Path, capsys: Capture):
    path = run / "campaign.toml"
    path.write_text(path.read_text().replace('half = "collect"', 'half = "another"'))
    for words in (["predict", "run", "images"], ["export", "run", "out"]):
        assert main(words) == 2
        assert capsys.readouterr().err.startswith("run has no classifier of pictures: give a campaign that collects")
    assert not [path for path in tmp_path.iterdir() if path.name not in ("images", "run")]


# Export


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "run"


@pytest.fixture
def collected(kept: Path, tmp_path: Path, call: Call, request: pytest.FixtureRequest) -> Path:
    """A run of two rounds, whose archive answered, and half a third one; made once."""
    if not kept.exists():
        run, archive = request.getfixturevalue("run"), request.getfixturevalue("archive")
        call("run", run, "--oracle", "archive", "--archive", archive, "--rounds", "2")
        call("ask", run)
        call("tell", run, "r003-q01", save(tmp_path / "late.png", "blue", 400))
        run.rename(kept)
    return shutil.copytree(kept, tmp_path / "run")


def test_export_writes_weights_a_card_and_an_image_folder(collected: Path, tmp_path: Path, call: Call):
    status, said = call("export", collected, "deep/out")
    assert status == 0
    assert set(said) == {"run", "folder", "classes", "encoder", "round", "figures", "without_validation", "examples"}
    assert said["without_validation"] is None
    assert (said["classes"], said["encoder"], said["round"]) == (list(CLASSES), "colours", 2)
    campaign = Campaign.open(collected)
    assert said["figures"] == campaign.rounds[2].metrics
    assert said["examples"] == {"initial": 12, "validation": 6, "test": 0, "collected": 6, "images": 6}
    out = tmp_path / "deep" / "out"
    assert sorted(os.listdir(out)) == ["card.json", "collected.csv", "head.safetensors", "images"]
    assert os.listdir(tmp_path / "deep") == ["out"]
    assert (out / "head.safetensors").read_bytes() == campaign.store.weights(2)
    card = json.loads((out / "card.json").read_text("utf-8"))
    assert set(card) == {"version", "desiderata", "classes", "encoder", "head", "figures", "campaign", "probe"}
    assert card["campaign"]["strategy"] == "text-influence"
    with (out / "collected.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == [answer.query_id for answer in campaign.answers[:6]]
    assert rows[0] == {
        "file": "images/blue/r001-q01-1.png",
        "label": "blue",
        "query": "r001-q01",
        "round": "1",
        "asked_for": "blue",
        "sentence": "a photo of a blue",
        "source": "archive",
        "weight": "1.0",
        "original": rows[0]["original"],
    }
    assert Path(rows[0]["original"]).name.startswith("blue")
    assert len({row["original"] for row in rows}) == len(rows)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.png")) == sorted(row["file"] for row in rows)
    world = read_folders(out / "images")
    assert world.classes == CLASSES
    status, made = call("new", "again", "--images", out / "images", "--encoder", "colours")
    assert (status, made["examples"]["initial"]) == (0, 3)


def test_an_export_may_learn_the_validation_images_too(collected: Path, inbox: Path, tmp_path: Path, call: Call):
    before = Campaign.open(collected).history()
    said = call("export", collected, "all", "--learn-validation")[1]
    assert Campaign.open(collected).history() == before
    campaign = Campaign.open(collected)
    learner = campaign.learner_at(2)
    assert isinstance(learner, CollectLearner)
    assert set(said["figures"]) == {"train_accuracy", "gradient_norm"}, "nothing is left to measure it by"
    assert said["without_validation"] == campaign.rounds[2].metrics
    rows = np.vstack([learner.features, learner.validation.features])
    labels = np.concatenate([learner.labels, learner.validation.labels])
    weights = np.concatenate([learner.weights, np.ones(6)])
    head = HeadClassifier(**learner.head.get_params()).fit(rows, labels, weights)
    loaded = desiderata.load_classifier("all")
    paths = sorted(inbox.glob("*.png"))
    points = loaded.encoder.images([Image.open(path) for path in paths])
    np.testing.assert_allclose(loaded.predict_proba(paths), head.predict_proba(points), atol=1e-9)
    assert not np.allclose(loaded.predict_proba(paths), learner.head.predict_proba(points), atol=1e-5)


def test_what_an_export_says_of_validation_images(collected: Path, tmp_path: Path, capsys: Capture):
    assert main(["export", "run", "some"]) == 0
    assert "\nIt has not learnt 6 validation images: with --learn-validation it does.\n" in capsys.readouterr().out
    assert main(["export", "run", "all", "--learn-validation"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "Written: all, with 6 collected images and 6 validation images learnt, too; no test images tell how good it "
        "is now. Before that, "
    )
    assert " right on the validation images.\n" in out
    for label in CLASSES:
        for seed in range(6):
            save(tmp_path / "photos" / label / f"{seed}.png", label, seed)
        save(tmp_path / "held" / label / "0.png", label, 50)
    assert main(["new", "tested", "--images", "photos", "--test", "held", "--encoder", "colours"]) == 0
    capsys.readouterr()
    assert main(["export", "tested", "measured", "--learn-validation"]) == 0
    assert " right on the test images. Before that, " in capsys.readouterr().out


def test_an_exported_classifier_says_what_the_campaign_says(collected: Path, inbox: Path, call: Call):
    before = Campaign.open(collected).history()
    assert call("export", collected, "out")[0] == 0
    assert Campaign.open(collected).history() == before
    shutil.move(collected, "away")
    loaded = desiderata.load_classifier("out")
    paths = sorted(inbox.glob("*.png"))
    assert loaded.classes == CLASSES
    assert loaded.figures == Campaign.open("away").rounds[2].metrics
    here, there = call("predict", "out", *paths)[1], call("predict", "away", *paths)[1]
    assert here["predictions"] == there["predictions"]
    rows = loaded.predict_proba([str(path) for path in paths])
    np.testing.assert_allclose(rows, [list(one["probabilities"].values()) for one in here["predictions"]])
    assert loaded.predict(paths) == [one["label"] for one in here["predictions"]]
    np.testing.assert_allclose(loaded.predict_proba(Image.open(paths[0])), rows[:1])
    np.testing.assert_allclose(loaded.predict_proba(paths[0].read_bytes()), rows[:1])
    np.testing.assert_allclose(loaded.predict_proba(np.asarray(Image.open(paths[0]))), rows[:1])
    assert loaded.predict_proba([]).shape == (0, 3)
    assert loaded.predict([]) == []
    with pytest.raises(DesiderataError, match=r"Image 2 of 2 is empty"):
        loaded.predict([paths[0].read_bytes(), b""])
    with pytest.raises(DesiderataError, match="is a folder: give an image file"):
        loaded.predict(inbox)
    named, unreadable = loaded.classify(inbox)
    assert set(paths) < {one.path for one in named}
    assert [one.label for one in named if one.path in paths] == loaded.predict(paths)
    assert len(unreadable) == 1


def test_many_pictures_are_taken_in_parts(collected: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    call("export", collected, "out")
    monkeypatch.setattr(trained, "BATCH", 2)
    loaded = desiderata.load_classifier("out", encoder=Colours())
    pictures = [square(label, seed) for seed in range(3) for label in CLASSES]
    together = loaded.predict_proba(pictures)
    assert together.shape == (9, 3)
    np.testing.assert_allclose(together[4:5], loaded.predict_proba(pictures[4]))


def test_export_in_words_and_what_it_refuses(collected: Path, tmp_path: Path, capsys: Capture):
    assert main(["export", "run", "out"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Written: out, with 6 collected images; ")
    assert "desiderata.load_classifier('out').predict(FILES)" in out
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for folder, says in (
        ("out", "out is there already: choose another name."),
        ("empty", "empty is there already: choose another name."),
        ("link", "link is there already: choose another name."),
        ("out/card.json/x", "out/card.json/x cannot be written ("),
    ):
        assert main(["export", "run", folder]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_an_export_that_fails_leaves_nothing(
    collected: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        assert main(["export", "run", "out"]) == 2
    assert capsys.readouterr().err == "out cannot be written (No space left on device): choose another place.\n"
    campaign = Campaign.open(collected)
    Path(str(campaign.store.image(campaign.answers[2].image))).unlink()
    assert main(["export", "run", "out"]) == 2
    err = capsys.readouterr().err
    assert ", which came for r001-q03, cannot be read (No such file or directory): put it back from a copy." in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_an_export_before_anything_was_collected(run: Path, tmp_path: Path, call: Call):
    assert call("export", run, "out")[1]["examples"]["collected"] == 0
    assert sorted(os.listdir("out")) == ["card.json", "collected.csv", "head.safetensors"]
    assert len((tmp_path / "out" / "collected.csv").read_text().splitlines()) == 1
    assert len(desiderata.load_classifier("out").predict([square("red", 1)])) == 1


def test_an_export_says_that_answers_of_an_open_round_are_not_in_it(run: Path, tmp_path: Path, capsys: Capture):
    assert main(["ask", str(run)]) == 0
    assert main(["tell", str(run), "r001-q01", str(save(tmp_path / "a.png", "red", 70))]) == 0
    capsys.readouterr()
    assert main(["export", str(run), "out"]) == 0
    assert "Left out: 1 answer of the round that is open, not learnt from so far." in capsys.readouterr().out


class Points(EachClass):
    """Asks nobody."""

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        return [Proposal(label, "", point) for label, point in zip(state.classes, np.eye(3))]


def test_points_are_listed_without_a_file(run: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "_strategy", lambda *_: Points())
    call("ask", run)
    assert call("export", run, "out")[1]["examples"]["collected"] == 3
    with Path("out/collected.csv").open(newline="") as file:
        assert [(row["file"], row["label"]) for row in csv.DictReader(file)] == [("", label) for label in CLASSES]
    assert not Path("out/images").exists()


def damaged(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        card = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps({**card, **changes}))

    return change


def moved(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["encoder"]["name"] = "gone"
    (folder / "card.json").write_text(json.dumps(card))


def lacking(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    del card["probe"]
    (folder / "card.json").write_text(json.dumps(card))


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "no card": (lambda out: (out / "card.json").unlink(), "is no exported classifier: give a folder that"),
    "no text": (lambda out: (out / "card.json").write_bytes(b"\xff"), "card.json is damaged"),
    "no json": (lambda out: (out / "card.json").write_text("{"), "card.json is damaged"),
    "deep": (lambda out: (out / "card.json").write_text("[" * 10**5), "card.json is damaged"),
    "a list": (lambda out: (out / "card.json").write_text("[]"), "is not of version 1"),
    "newer": (damaged(version=2), "is not of version 1"),
    "lacking": (lacking, "card.json lacks 'probe'"),
    "no table": (damaged(encoder=None), "card.json is damaged"),
    "no figures": (damaged(figures={"test_accuracy": "high"}), "says 'high' for a figure"),
    "one class twice": (damaged(classes=["a", "a", "b"]), "needs names, each once"),
    "other classes": (damaged(classes=["a", "b"]), "holds no classifier that is whole (The weights are those of"),
    "another head": (damaged(head={"hidden": [10**6, 10**6]}), "holds no classifier that is whole (The weights are"),
    "a wrong head": (damaged(head={"hidden": ["a"]}), "holds no classifier that is whole ("),
    "an odd head": (damaged(head={"layers": 3}), "holds no classifier that is whole ("),
    "no weights": (lambda out: (out / "head.safetensors").unlink(), "head.safetensors cannot be read"),
    "half the weights": (lambda out: (out / "head.safetensors").write_bytes(b"\0" * 9), "(The weights are damaged)"),
    "no such encoder": (moved, "where it has moved, pass it as `encoder`."),
    "another encoder": (damaged(probe=[1, 0, 0]), "stands on another encoder"),
}


def test_a_classifier_that_is_not_whole_is_one_sentence(collected: Path, tmp_path: Path, call: Call):
    call("export", collected, "out")
    for name, (harm, says) in HARM.items():
        folder = shutil.copytree("out", tmp_path / name)
        harm(folder)
        with pytest.raises(DesiderataError) as refused:
            desiderata.load_classifier(folder)
        message = str(refused.value)
        assert says in message
        assert message.endswith(".")
        assert "\n" not in message
    with pytest.raises(DesiderataError, match="stands on another encoder: colours does not embed"):
        desiderata.load_classifier("out", encoder=Colours(tint=50.0))
    assert desiderata.load_classifier(tmp_path / "no such encoder", encoder="colours").classes == CLASSES


def test_classes_with_odd_names_have_folders_of_their_own(images: Path, archive: Path, tmp_path: Path, call: Call):
    odd = {"red": "Über_rot", "green": "a $\\frac$ b", "blue": "<b>"}
    for old, name in odd.items():
        (images / old).rename(images / name)
    assert call("new", "run", "--images", images, "--encoder", "colours")[0] == 0
    words = ["run", "run", "--oracle", "archive", "--archive", archive, "--rounds", "1", "--any-class"]
    assert call(*words)[0] == 0
    assert call("export", "run", "out")[0] == 0
    pictures = tmp_path / "out" / "images"
    assert read_folders(pictures, validation=pictures).classes == ("<b>", "a $-frac$ b", "Über rot")
    assert desiderata.load_classifier("out").classes == ("<b>", "a $\\frac$ b", "Über rot")

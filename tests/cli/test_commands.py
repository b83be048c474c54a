"""The commands: the keys of their JSON, their words, and their errors."""

import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import CLASSES, save, square
from contracts.colours import Colours
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Proposal, Query
from desiderata.cli import main, start
from desiderata.cli.accepted import show_accepted, show_skipped
from desiderata.cli.converse import reasons
from desiderata.cli.progress import spinner
from desiderata.collect.strategies import STRATEGIES
from desiderata.foundation.registry import BUNDLED_ROOT
from desiderata.oracles.archive import OTHER_CLASS
from desiderata.worlds.moji.reader import parse

Call = Callable[..., tuple[int, dict]]
Capture = pytest.CaptureFixture[str]

ROUND_KEYS = {"number", "examples", "metrics"}
QUERY_KEYS = {"id", "round", "label", "text", "status", "reason", "evidence"}


def test_new_counts_what_it_found(images: Path, call: Call):
    shutil.copy(images / "red" / "0.png", images / "red" / "copy.png")
    status, made = call("new", "run", "--images", images, "--encoder", "colours", "--seed", 4)
    assert status == 0
    assert set(made) == {
        "run",
        "classes",
        "encoder",
        "strategy",
        "seed",
        "examples",
        "copies_left_out",
        "files_left_out",
        "unreadable_left_out",
        "round",
        "warning",
    }
    assert (made["strategy"], made["warning"], made["files_left_out"]) == ("text-influence", None, [])
    assert made["classes"] == list(CLASSES)
    assert sum(made["examples"].values()) == 18
    assert made["examples"]["test"] == 0
    assert [Path(file).parent.name for file in made["copies_left_out"]] == ["red"]
    assert set(made["round"]) == ROUND_KEYS
    assert "validation_accuracy" in made["round"]["metrics"]


def test_a_run_needs_neither_its_images_nor_its_folder_again(images: Path, run: Path, call: Call, tmp_path: Path):
    shutil.rmtree(images)
    run.rename(tmp_path / "moved")
    status, asked = call("ask", tmp_path / "moved")
    assert status == 0
    assert len(asked["queries"]) == 3


def test_folders_of_their_own_for_validation_and_test(images: Path, tmp_path: Path, call: Call):
    for part in ("check", "measure"):
        for label in CLASSES:
            save(tmp_path / part / label / "a.png", label, 50 if part == "check" else 60)
    status, made = call(
        "new", "run", "--images", images, "--validation", "check", "--test", "measure", "--encoder", "colours"
    )
    assert status == 0
    assert made["examples"] == {"initial": 18, "validation": 3, "test": 3}
    assert "test_accuracy" in made["round"]["metrics"]


def test_a_picture_in_two_parts_is_only_learnt_from(images: Path, tmp_path: Path, call: Call):
    for label in CLASSES:
        save(tmp_path / "measure" / label / "seen.png", label, 0)
        save(tmp_path / "measure" / label / "new.png", label, 60)
    _, made = call("new", "run", "--images", images, "--test", "measure", "--encoder", "colours")
    assert made["examples"]["test"] == 3
    assert [Path(file).name for file in made["copies_left_out"]] == ["seen.png"] * 3


def test_ask_tell_and_skip(run: Path, call: Call, tmp_path: Path):
    status, asked = call("ask", run)
    assert status == 0
    assert set(asked) == {"run", "round", "queries", "closed"}
    assert (asked["round"], asked["closed"]) == (1, None)
    assert [set(query) for query in asked["queries"]] == [QUERY_KEYS] * 3
    assert call("ask", run)[1] == asked
    status, told = call("tell", run, "r001-q01", save(tmp_path / "a.png", "red", 70), "--label", "red")
    assert status == 0
    assert set(told) == {"run", "query", "answers", "open"}
    assert [set(answer) for answer in told["answers"]] == [{"image", "label", "weight", "source"}]
    assert told["answers"][0]["label"] == "red"
    assert told["open"] == ["r001-q02", "r001-q03"]
    status, skipped = call("skip", run, "r001-q02", "--reason", "cannot find this")
    assert status == 0
    assert set(skipped) == {"run", "query", "reason", "open"}
    _, last = call("skip", run, "r001-q03", "--reason", "no")
    assert last["open"] == []
    assert len(Campaign.open(run).rounds) == 1, "whoever asks next closes it"
    _, asked = call("ask", run)
    assert set(asked["closed"]) == ROUND_KEYS
    assert (asked["closed"]["number"], asked["round"]) == (1, 2)
    assert call("ask", run)[1] == asked | {"closed": None}


def test_tell_takes_folders_and_stdin(run: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    call("ask", run)
    save(tmp_path / "found" / "Blue" / "deep" / "a.png", "blue", 80)
    save(tmp_path / "found" / "b.png", "blue", 81)
    (tmp_path / "found" / "notes.txt").touch()
    buffer = io.BytesIO()
    square("blue", 82).save(buffer, "PNG")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(buffer.getvalue())))
    status, told = call("tell", run, "r001-q01", tmp_path / "found", "-")
    assert status == 0
    assert len(told["answers"]) == 3


def labels_told(told: dict) -> list[str]:
    return [answer["label"] for answer in told["answers"]]


def test_folders_that_are_called_like_classes_say_what_is_in_them(
    run: Path, call: Call, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    call("ask", run)
    for label in ("red", "green"):
        for i in (80, 81):
            save(tmp_path / "found" / label / "deep" / f"{i}.png", label, i)
    save(tmp_path / "found" / "b.png", "blue", 80)
    told = call("tell", run, "r001-q01", "found")[1]
    assert labels_told(told) == ["blue", "green", "green", "red", "red"], "the one in no sub-folder is what was asked"
    call("undo", run, "r001-q01")
    assert labels_told(call("tell", run, "r001-q01", "found/red", "found/green")[1]) == ["red"] * 2 + ["green"] * 2
    call("undo", run, "r001-q01")
    with monkeypatch.context() as patched:
        patched.chdir("found/red")
        assert labels_told(call("tell", run, "r001-q01", ".")[1]) == ["red", "red"]
    call("undo", run, "r001-q01")
    assert main(["tell", str(run), "r001-q01", "found"]) == 0
    assert "r001-q01: 5 images (1 of blue, 2 of green, 2 of red) recorded." in capsys.readouterr().out


def test_the_folder_of_a_single_file_says_the_same(run: Path, call: Call, tmp_path: Path, capsys: Capture):
    call("ask", run)
    first, second = (save(tmp_path / "found" / "Red" / f"{i}.png", "red", i) for i in (80, 81))
    assert main(["tell", str(run), "r001-q01", str(first), str(second)]) == 0
    out = capsys.readouterr().out
    assert "r001-q01: 2 images of red, where blue was asked for, recorded." in out
    call("undo", run, "r001-q01")
    assert labels_told(call("tell", run, "r001-q01", first, "--label", "blue")[1]) == ["blue"]


def test_status_tells_of_a_round_that_can_still_be_undone(run: Path, call: Call, capsys: Capture):
    for query in call("ask", run)[1]["queries"]:
        call("skip", run, query["id"], "--reason", "none")
    capsys.readouterr()
    assert main(["status", str(run)]) == 0
    assert "Round 1 is answered and not learnt yet" in capsys.readouterr().out
    call("ask", run)
    capsys.readouterr()
    assert main(["status", str(run)]) == 0
    assert "not learnt yet" not in capsys.readouterr().out


def test_folders_that_are_called_otherwise_are_refused_unless_somebody_says_what_they_show(
    run: Path, call: Call, tmp_path: Path
):
    call("ask", run)
    save(tmp_path / "found" / "sky" / "a.png", "blue", 80)
    status, refused = call("tell", run, "r001-q01", "found")
    assert status == 2
    assert refused["error"] == (
        "found/sky is called like none of the classes, blue, green, red: rename it, or say with --label what all the "
        "images show."
    )
    assert call("tell", run, "r001-q01", "found/sky")[0] == 0, "a folder of one's own may have any name"
    call("undo", run, "r001-q01")
    assert labels_told(call("tell", run, "r001-q01", "found", "--label", "blue")[1]) == ["blue"]
    call("undo", run, "r001-q01")
    save(tmp_path / "found" / "red" / "a.png", "red", 80)
    error = call("tell", run, "r001-q01", "found", "--label", "blue")[1]["error"]
    assert error == "found/red is called like the class red, and --label says blue: leave one of them out."


def test_run_with_an_archive_and_status(run: Path, archive: Path, call: Call):
    words = ["run", run, "--oracle", "archive", "--archive", archive, "--rounds", "2"]
    status, ran = call(*words)
    assert status == 0
    assert set(ran) == {"run", "rounds", "answered", "skipped", "skipped_because", "accepted", "review", "generated"}
    assert ran["generated"] is None
    assert [set(one) for one in ran["accepted"]] == [{"query", "file", "label"}] * 6
    assert Path(ran["accepted"][0]["file"]).name.startswith("blue")
    assert ran["accepted"][0]["label"] == "blue"
    assert [one["number"] for one in ran["rounds"]] == [0, 1, 2]
    assert ran["answered"] == 6
    assert call(*words)[1] == ran | {"accepted": []}
    status, seen = call("status", run)
    assert status == 0
    assert set(seen) == {
        "run",
        "seed",
        "encoder",
        "strategy",
        "classes",
        "rounds",
        "answered",
        "skipped",
        "undone",
        "origin",
        "images",
        "open",
        "waiting",
    }
    assert seen["rounds"] == ran["rounds"]
    assert (seen["answered"], seen["images"], seen["open"]) == (6, 6, [])


def test_what_an_archive_brought_is_looked_at_before_it_is_learnt(
    run: Path, archive: Path, call: Call, capsys: Capture
):
    words = ["run", run, "--oracle", "archive", "--archive", archive, "--rounds", "2", "--review"]
    _, first = call(*words)
    assert [one["number"] for one in first["rounds"]] == [0], "nothing is learnt yet"
    assert first["review"] == 1
    brought = {one["query"]: one["file"] for one in first["accepted"]}
    assert list(brought) == ["r001-q01", "r001-q02", "r001-q03"]
    assert call("undo", run, "r001-q02")[0] == 0
    _, again = call(*words)
    assert [one["query"] for one in again["accepted"]] == ["r001-q02"]
    assert again["accepted"][0]["file"] != brought["r001-q02"], "what was taken back is not brought again"
    _, second = call(*words)
    assert [one["number"] for one in second["rounds"]] == [0, 1]
    assert {one["query"] for one in second["accepted"]} == {"r002-q01", "r002-q02", "r002-q03"}
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    assert "Round 2 is learnt now, and" in capsys.readouterr().out
    assert main([str(word) for word in words]) == 0
    assert f"Nothing to do: {run} has 2 rounds already; another one with --rounds 3." in capsys.readouterr().out


def test_an_empty_name_is_not_the_current_folder(
    run: Path, images: Path, call: Call, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(images)
    for words in (["tell", run, "r001-q01", "", "--label", "red"], ["predict", run, ""]):
        call("ask", run)
        status, said = call(*words)
        assert status == 2
        assert said["error"].startswith("An empty name was given")


def test_a_review_says_how_to_go_on(run: Path, archive: Path, capsys: Capture):
    words = ["run", run, "--oracle", "archive", "--archive", archive, "--rounds", "2", "--review"]
    assert main([str(word) for word in words]) == 0
    out = capsys.readouterr().out
    assert "Round 1 is not learnt yet" in out
    assert f"`desiderata undo {run} QUERY`" in out
    assert "Now:" not in out, "nothing is learnt yet"
    assert main(["status", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "r001-q01  archive/blue" in shown
    assert "blue (archive)" in shown


def test_an_archive_that_runs_dry_is_skipped_with_its_reason(run: Path, archive: Path, call: Call, capsys: Capture):
    _, ran = call("run", run, "--oracle", "archive", "--archive", archive, "--rounds", "6")
    assert (ran["answered"], ran["skipped"]) == (15, 3)
    assert "are in the campaign already" in Campaign.open(run).queries[-1].reason
    assert ran["skipped_because"] == {"All 15 pictures of the archive are in the campaign already": 3}
    queries = [query for query in Campaign.open(run).queries if query.status == "skipped"]
    capsys.readouterr()
    show_skipped({"Nothing in the archive": queries[:1], f"{OTHER_CLASS} blue": queries * 3})
    shown = capsys.readouterr().out
    assert f"  1 query ({queries[0].id}): All 15 pictures of the archive are in the campaign already\n" in shown
    assert f"  9 queries ({', '.join(one.id for one in (queries * 3)[:5])} and 4 more): {OTHER_CLASS} blue\n" in shown
    assert "With --any-class" in shown
    show_skipped({f"{OTHER_CLASS} blue": queries}, but=[one.id for one in queries])
    assert capsys.readouterr().out == "", "it was said when it happened"


def test_the_moji_world_with_its_own_oracle(call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("desiderata.collect.start.PER_CLASS", {"initial": 2, "validation": 2, "test": 1})
    status, made = call("new", "run", "--world", "moji", "--setting", "narrow", "--encoder", "colours")
    assert status == 0
    assert made["examples"] == {"initial": 20, "validation": 20, "test": 10}
    status, ran = call("run", "run", "--oracle", "scene", "--rounds", "1")
    assert status == 0
    assert (ran["answered"], ran["skipped"], ran["skipped_because"]) == (10, 0, {})
    assert {one["file"] for one in ran["accepted"]} == {None}
    campaign = Campaign.open("run")
    capsys.readouterr()
    assert main(["ask", "run"]) == 0
    assert "no photograph will fit; to let it answer itself: desiderata run run --oracle scene --rounds 2\n" in (
        capsys.readouterr().out
    )
    assert [answer.label for answer in campaign.answers] == [query.label for query in campaign.queries[:10]]
    assert {answer.source for answer in campaign.answers} == {"scene"}


def test_the_report_of_a_run_says_how_to_make_it_again(run: Path, archive: Path, call: Call):
    call("run", run, "--oracle", "archive", "--archive", archive, "--rounds", "1")
    before = Campaign.open(run).history()
    status, made = call("report", run)
    assert (status, made) == (0, {"run": str(run), "report": str(run / "report.html")})
    page = (run / "report.html").read_text("utf-8")
    assert "a photo of a green" in page
    assert "desiderata new run --images" in page
    assert f"\ndesiderata run run --oracle archive --archive {archive} --rounds 1</code>" in page
    assert Campaign.open(run).history() == before
    assert call("report", run, "--out", run.parent / "other.html")[1]["report"] == str(run.parent / "other.html")


def test_words_for_people(run: Path, archive: Path, tmp_path: Path, capsys: Capture):
    assert main(["ask", str(run)]) == 0
    out = capsys.readouterr().out
    assert "r001-q01  a photo of a blue\n            predicted to help (+" in out
    assert "with `desiderata tell" in out
    assert "the first tell closes a query" in out
    assert main(["tell", str(run), "r001-q01", str(save(tmp_path / "a.png", "blue", 70))]) == 0
    assert "1 image of blue recorded. 2 still open in this round." in capsys.readouterr().out
    assert main(["run", str(run), "--oracle", "archive", "--archive", str(archive), "--rounds", "1"]) == 0
    assert "3 queries answered, 0 skipped, 3 images collected." in capsys.readouterr().out
    assert main(["status", str(run)]) == 0
    assert "Next: desiderata ask" in capsys.readouterr().out


WRONG: dict[str, tuple[list[str], str]] = {
    "no campaign": (["ask", "gone"], "check the name, or make one with `desiderata new gone --images FOLDER`."),
    "no campaign with spaces": (["ask", "not here"], "make one with `desiderata new 'not here' --images FOLDER`."),
    "another folder": (["ask", "images"], "images is not a campaign: give the directory of one."),
    "unknown query": (["tell", "run", "r9", "a.png"], "There is no query r9 in this campaign"),
    "unknown query and file": (["tell", "run", "r9", "nosuch.png"], "There is no query r9 in this campaign"),
    "unknown label": (["tell", "run", "r001-q01", "a.png", "--label", "giraffe"], "'giraffe' is none of the classes"),
    "missing file": (["tell", "run", "r001-q01", "gone.png"], "gone.png does not exist"),
    "empty folder": (["tell", "run", "r001-q01", "nothing"], "nothing has no JPEG, PNG, WebP, GIF or BMP images"),
    "no picture": (["tell", "run", "r001-q01", "notes.txt"], "notes.txt is not a JPEG, PNG, WebP, GIF or BMP image"),
    "a picture held": (["tell", "run", "r001-q01", "images/red/0.png"], "shows the same picture as the"),
    "no reason": (["skip", "run", "r001-q01", "--reason", ""], "cannot be skipped without a reason"),
    "unknown oracle": (["run", "run", "--oracle", "delphi", "--rounds", "1"], "no oracle called 'delphi'"),
    "archive without folder": (["run", "run", "--oracle", "archive", "--rounds", "1"], "needs a folder to search"),
    "scenes for the user's own": (["run", "run", "--oracle", "scene", "--rounds", "1"], "--world moji only"),
    "scenes from an archive": (
        ["run", "run", "--oracle", "scene", "--rounds", "1", "--archive", "images"],
        "--archive goes with --oracle archive",
    ),
    "similarity of scenes": (
        ["run", "run", "--oracle", "scene", "--rounds", "1", "--least-similarity", "0.3"],
        "--least-similarity goes with --oracle archive",
    ),
    "scenes unchecked": (
        ["run", "run", "--oracle", "scene", "--rounds", "1", "--any-class"],
        "--any-class goes with --oracle archive",
    ),
    "report to a folder": (["report", "run", "--out", "images"], "images is a folder: give the name of a file."),
    "report below a file": (
        ["report", "run", "--out", "notes.txt/a.html"],
        "cannot be written (its folder is a file)",
    ),
    "run exists": (
        ["new", "run", "--images", "images", "--encoder", "colours"],
        "go on with `desiderata ask run`, or choose",
    ),
    "captions": (
        ["new", "x", "--images", "images", "--encoder", "colours", "--captions", "nope.txt"],
        "nope.txt is not a file: give --captions a text file",
    ),
    "neither": (["new", "x"], "give either --images or --world"),
    "both": (["new", "x", "--images", "images", "--world", "moji"], "give either --images or --world"),
    "world": (["new", "x", "--world", "mars"], "no world called 'mars'"),
    "setting": (["new", "x", "--world", "moji", "--encoder", "colours", "--setting", "odd"], "setting"),
    "setting of a folder": (
        ["new", "x", "--images", "images", "--encoder", "colours", "--setting", "iid"],
        "--setting goes with --world moji",
    ),
    "seed": (["new", "x", "--images", "images", "--encoder", "colours", "--seed", str(2**32)], "out of range"),
    "extra": (["new", "x", "--world", "moji", "--test", "images"], "--test goes with --images"),
    "encoder": (["new", "x", "--images", "images", "--encoder", "none"], "No model is called 'none'"),
    "strategy": (
        ["new", "x", "--images", "images", "--encoder", "colours", "--strategy", "s"],
        "no strategy called 's'",
    ),
    "no classes": (["new", "x", "--images", "nothing", "--encoder", "colours"], "nothing has no sub-folders"),
}


@pytest.mark.parametrize(("words", "says"), WRONG.values(), ids=WRONG)
def test_errors_are_one_sentence_and_change_nothing(
    words: list[str], says: str, run: Path, tmp_path: Path, capsys: Capture
):
    save(tmp_path / "a.png", "red", 70)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "notes.txt").write_text("<svg/>")
    Campaign.open(run).ask()
    before = Campaign.open(run).history()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    assert err == ""
    assert set(json.loads(out)) == {"error"}
    assert Campaign.open(run).history() == before
    assert not (tmp_path / "x").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_unreadable_images_are_counted_and_named(images: Path, tmp_path: Path, capsys: Capture):
    (images / "red" / "broken.jpg").write_bytes(b"GIF89a")
    assert main(["new", "x", "--images", str(images), "--encoder", "colours"]) == 2
    assert "broken.jpg is not a JPEG, PNG, WebP, GIF or BMP image" in capsys.readouterr().err
    for i in range(4):
        (images / "green" / f"empty{i}.png").touch()
    assert main(["new", "x", "--images", str(images), "--encoder", "colours"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("5 of 23 images are damaged or cannot be used (")
    assert "empty0.png, " in err
    assert " and 2 more): give other copies, remove them, or leave them out with --skip-unreadable." in err
    assert not (tmp_path / "x").exists()


def test_damaged_images_are_left_out_where_that_is_wanted(images: Path, call: Call, capsys: Capture):
    (images / "red" / "3.png").write_bytes(b"GIF89a")
    (images / "green" / "2.png").write_bytes((images / "green" / "1.png").read_bytes()[:-40])
    words = ["--images", images, "--encoder", "colours", "--skip-unreadable"]
    status, made = call("new", "run", *words)
    assert status == 0
    assert sum(made["examples"].values()) == 16
    assert [Path(file).name for file in made["unreadable_left_out"]] == ["2.png", "3.png"]
    assert main(["new", "other", *map(str, words)]) == 0
    assert "2 damaged images left out (green/2.png, red/3.png)." in capsys.readouterr().out
    assert call("ask", "run")[0] == 0, "it is opened again as any other"
    call("report", "run")
    assert "--skip-unreadable --" in Path("run/report.html").read_text("utf-8")
    for i in range(6):
        (images / "blue" / f"{i}.png").write_bytes(b"")
    refused = call("new", "x", *words)[1]["error"]
    assert (
        refused == "No initial picture of blue is left once copies and damaged ones are left out: add different ones."
    )
    assert call("new", "x", "--world", "moji", "--skip-unreadable")[1]["error"].startswith("--skip-unreadable goes")


def test_test_pictures_that_are_learnt_from_are_no_test(images: Path, tmp_path: Path, call: Call, capsys: Capture):
    words = ["new", "x", "--images", images, "--encoder", "colours"]
    for part, seen in (("test", "learn from or validate on"), ("validation", "learn from")):
        refused = call(*words, f"--{part}", images)[1]["error"]
        assert refused.startswith(f"All 18 {part} pictures, such as ")
        assert f"are among those to {seen} as well, and accuracy on known pictures tells nothing: give" in refused
    assert not (tmp_path / "x").exists()
    for label in CLASSES:
        save(tmp_path / "measure" / label / "new.png", label, 60)
    save(tmp_path / "measure" / "red" / "seen.png", "red", 0)
    made = call("new", "a", *words[2:], "--test", "measure")[1]
    assert made["warning"] == (
        "1 of 4 test pictures is among those to learn from or validate on as well: it was left out, so that accuracy "
        "is measured on the 3 that the classifier has not seen."
    )
    assert main(["new", "b", *map(str, words[2:]), "--test", "measure"]) == 0
    assert capsys.readouterr().err == f"{made['warning']}\n"
    save(tmp_path / "measure" / "red" / "new.png", "red", 1)
    error = call(*words, "--test", "measure")[1]["error"]
    assert error == "No test picture of red is left once copies are left out: add different ones."


def test_one_picture_under_two_classes_is_an_error(images: Path, capsys: Capture):
    shutil.copy(images / "red" / "0.png", images / "green" / "same.png")
    assert main(["new", "x", "--images", str(images), "--encoder", "colours"]) == 2
    assert "are the same picture, as " in capsys.readouterr().err


def test_usage_errors_are_json_too(capsys: Capture):
    assert main(["tell", "--json"]) == 2
    assert set(json.loads(capsys.readouterr().out)) == {"error"}
    assert main(["tell"]) == 2
    assert "RUN" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(run: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    from desiderata.oracles.archive import ArchiveOracle

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ArchiveOracle, "answer", stop)
        words = ["run", str(run), "--oracle", "archive", "--archive", str(archive), "--rounds", "1"]
        assert main(words) == 130
    err = capsys.readouterr().err
    assert "desiderata run" in err
    assert "The same command goes on from there" in err
    assert main(words) == 0


def test_new_says_what_its_figures_rest_on(images: Path, tmp_path: Path, capsys: Capture):
    shutil.copy(images / "red" / "0.png", images / "red" / "copy.png")
    (images / "red" / "a.tiff").touch()
    (images / "__MACOSX" / "red").mkdir(parents=True)
    (images / "__MACOSX" / "red" / "._0.png").touch()
    assert main(["new", "run", "--images", str(images), "--encoder", "colours"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"Accuracy is measured on \d validation pictures; give --test FOLDER for a figure that no", out)
    assert re.search(r"1 image in all is a copy of another and was left out \(red/(0|copy)\.png\)\.", out)
    assert "1 file left out (red/a.tiff): only JPEG, PNG, WebP, GIF and BMP images are read." in out
    for label in CLASSES:
        save(tmp_path / "test" / label / "a.png", label, 60)
    assert main(["new", "other", "--images", str(images), "--test", "test", "--encoder", "colours"]) == 0
    assert "Accuracy is measured" not in capsys.readouterr().out


@pytest.mark.parametrize("given", ["moji-clip", str(BUNDLED_ROOT / "moji-clip")])
def test_the_drawn_encoder_is_warned_of_for_photographs(
    given: str, images: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("desiderata.collect.build.load_encoder", lambda _: Colours())
    assert main(["new", "run", "--images", str(images), "--encoder", given]) == 0
    err = capsys.readouterr().err
    assert err.startswith("moji-clip knows drawn scenes only")
    assert err.count("\n") == 1
    assert call("new", "other", "--images", images, "--encoder", given)[1]["warning"] == err.strip()
    monkeypatch.setattr("desiderata.collect.start.PER_CLASS", {"initial": 2, "validation": 2, "test": 1})
    assert call("new", "drawn", "--world", "moji")[1]["warning"] is None


def test_strategies_are_those_there_are_and_are_found_as_reports_spell_them(images: Path, call: Call):
    assert set(start.STRATEGIES) == set(STRATEGIES)
    words = ["--images", images, "--encoder", "colours", "--strategy"]
    assert call("new", "a", *words, "GenMQD-Fea")[1]["strategy"] == "genmqd-fea"
    assert call("new", "b", *words, "RandomText")[1]["strategy"] == "random-text"


def test_doubtful_sentences_are_marked():
    def said(**evidence: float) -> str:
        return reasons(Query("r001-q01", 1, Proposal("otter", "an otter", evidence=evidence)))

    assert said(predicted_gain=-0.0021, class_agreement=0.5) == "predicted to harm (-2.1 thousandths of a nat)"
    assert [said(predicted_gain=gain).split("(")[1].split()[0] for gain in (0.1942, 4e-5)] == ["+194", "+0.04"]
    assert said(class_agreement=0.2) == "may not show an otter: skip it if it makes no sense"
    assert said() == ""


@pytest.mark.parametrize("spelt", ["dark_red", "Dark Red", "DARK_red"])
def test_a_class_may_be_spelt_as_its_folder_and_in_large_letters(
    spelt: str, images: Path, call: Call, tmp_path: Path
):
    (images / "red").rename(images / "dark_red")
    call("new", "run", "--images", images, "--encoder", "colours")
    call("ask", "run")
    told = call("tell", "run", "r001-q01", save(tmp_path / "a.png", "red", 70), "--label", spelt)[1]
    assert told["answers"][0]["label"] == "dark red"


def test_a_class_that_is_nearly_spelt_is_suggested(run: Path, call: Call, tmp_path: Path):
    call("ask", run)
    words = ["tell", run, "r001-q01", save(tmp_path / "a.png", "red", 70), "--label"]
    near, far = (call(*words, label)[1]["error"] for label in ("Gren", "giraffe"))
    assert near == (
        "'Gren' is none of the classes of this campaign (did you mean green?): they are blue, green, red."
    )
    assert far == "'giraffe' is none of the classes of this campaign: they are blue, green, red."
    save(tmp_path / "green" / "a.png", "green", 70)
    assert call("tell", run, "r001-q01", "green", "--label", "Gren")[1]["error"] == near


def test_a_run_names_what_it_took_and_why_it_skipped(run: Path, archive: Path, capsys: Capture):
    words = ["run", str(run), "--oracle", "archive", "--archive", str(archive), "--rounds"]
    assert main([*words, "1"]) == 0
    out = capsys.readouterr().out
    assert f"Accepted:\n  r001-q01  {archive.name}/blue" in out
    assert ".png  blue\n" in out
    assert "Skipped:" not in out
    assert main([*words, "2", "--least-similarity", "0.999"]) == 0
    out = capsys.readouterr().out
    assert "Accepted:" not in out
    ids = "r002-q01, r002-q02, r002-q03"
    assert f"  3 queries ({ids}): Nothing in the archive is near enough\n  A lower --least-similarity" in out


def test_the_report_lists_what_was_typed_to_answer(run: Path, tmp_path: Path, call: Call):
    call("ask", run)
    call("tell", run, "r001-q02", save(tmp_path / "a.png", "green", 70))
    call("report", run)
    page = (run / "report.html").read_text("utf-8")
    assert "\ndesiderata ask run\ndesiderata tell run r001-q02 FILES</code>" in page
    assert "--strategy text-influence" in page


def test_a_spinner_is_for_terminals(capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    with spinner("Waiting"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    with spinner("Waiting", quiet=True):
        pass
    assert capsys.readouterr().err == ""
    with spinner("Waiting"):
        pass
    assert "Waiting" in capsys.readouterr().err


def test_long_lists_of_files_are_cut(capsys: Capture):
    show_accepted([{"query": "q", "file": f"{i}.png", "label": "cat"} for i in range(23)])
    assert capsys.readouterr().out.count("\n") == 1 + 20 + 1
    show_accepted([{"query": "q", "file": None, "label": "cat"}])
    assert capsys.readouterr().out == ""


def test_the_list_of_models_names_the_size_of_a_download(capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["models", "list"]) == 0
    assert "(about 600 MB)" in capsys.readouterr().out


def test_the_words_of_the_bundled_models_are_listed(call: Call, capsys: Capture):
    assert main(["models", "words"]) == 0
    out = capsys.readouterr().out
    assert "\nplaces: on the grass, on the beach, " in out
    told = call("models", "words")[1]
    assert [*told] == ["things", "places", "styles", "relations"]
    assert parse(out.rpartition("As in ")[2].split('"')[1]).style == "sepia"


def test_retries_of_the_hub_are_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_HUB_VERBOSITY", raising=False)
    assert main(["--version"]) == 0
    assert os.environ["HF_HUB_VERBOSITY"] == "error"
    monkeypatch.setenv("HF_HUB_VERBOSITY", "info")
    assert main(["--version"]) == 0
    assert os.environ["HF_HUB_VERBOSITY"] == "info"


def test_version(capsys: Capture):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()

"""Kills, disks that go away, odd names and other people: what the commands do then, and what they say."""

import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from conftest import CLASSES, EachClass, save
from contracts.colours import Colours
from desiderata.campaign import branching
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Proposal
from desiderata.cli import main
from desiderata.collect import build
from desiderata.collect.state import CollectState
from desiderata.oracles.archive import ArchiveOracle

Call = Callable[..., tuple[int, dict]]
Capture = pytest.CaptureFixture[str]
NOT_UTF_8 = os.fsdecode(b"caf\xe9")
REAL_STRATEGY = build._strategy  # the fixture puts an instant one in its place


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def another(_name: str) -> Colours:
    """Load another encoder of the same name."""
    return Colours(tint=50.0)


def history(run: Path | str) -> str:
    return Campaign.open(run).history()


def test_a_batch_system_that_ends_a_command_leaves_nothing_half_made(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    def terminated(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    there = sorted(os.listdir())
    with monkeypatch.context() as patched:
        patched.setattr(branching, "_record", terminated)
        assert main(["branch", "run", "new"]) == 143
    assert "The same command goes on from there" in capsys.readouterr().err
    assert sorted(os.listdir()) == there
    assert signal.getsignal(signal.SIGTERM) == before
    assert main(["branch", "run", "new"]) == 0


@pytest.mark.parametrize("first", ["status", "run", "report", "ask"])
def test_a_kill_before_round_0_is_made_up_for(
    first: str, images: Path, archive: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    new = ["--images", str(images), "--encoder", "colours"]
    with monkeypatch.context() as patched:
        patched.setattr(Campaign, "settle", killed)
        assert main(["new", "run", *new]) == 130
    assert main(["new", "whole", *new]) == 0
    capsys.readouterr()
    rest = {
        "status": ["status", "run"],
        "run": ["run", "run", "--oracle", "archive", "--archive", str(archive), "--rounds", "2"],
        "report": ["report", "run"],
        "ask": ["ask", "run"],
    }
    if first == "status":
        assert call("status", "run")[1]["rounds"] == []
        assert main(["status", "run"]) == 0
        assert "Nothing is measured yet" in capsys.readouterr().out
    for words in (rest[first], rest["run"]):
        assert main(words) == 0
    assert main([*rest["run"][:1], "whole", *rest["run"][2:]]) == 0
    assert history("run") == history("whole")


@pytest.mark.parametrize("part", ["images", "validation", "test"])
def test_a_run_is_not_made_among_the_images(images: Path, tmp_path: Path, call: Call, part: str):
    folder = images
    if part != "images":
        folder = shutil.copytree(images, tmp_path / part)
    before = sorted(folder.rglob("*"))
    words = ["--images", images, *([f"--{part}", folder] if part != "images" else []), "--encoder", "moji-clip"]
    status, said = call("new", folder / "run", *words)
    assert (status, "lies in the folder of your images" in said["error"]) == (2, True)
    assert sorted(folder.rglob("*")) == before


def test_a_report_of_half_a_round(run: Path, archive: Path, tmp_path: Path, call: Call):
    call("run", run, "--oracle", "archive", "--archive", archive, "--rounds", "1")
    call("ask", run)
    assert call("tell", run, "r002-q01", save(tmp_path / "a.png", "blue", 70))[0] == 0
    before = history(run)
    assert call("report", run)[0] == 0
    page = (run / "report.html").read_text("utf-8")
    assert page.count("no answer yet") == 2
    assert history(run) == before


def test_the_target_of_a_report_is_checked_before_anything_is_measured(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("desiderata.report.build.of_campaign", None)
    assert main(["report", str(run), "--out", str(run)]) == 2
    assert capsys.readouterr().err == f"{run} is a folder: give the name of a file.\n"


def test_an_archive_that_disappears_stops_the_run_and_costs_nothing(
    run: Path, archive: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    words = ["run", str(run), "--oracle", "archive", "--archive", str(archive), "--rounds", "3"]
    answer = ArchiveOracle.answer

    def unplugged(self: ArchiveOracle, query, rng):
        if query.id == "r002-q02" and archive.exists():
            archive.rename(archive.parent / "away")
        return answer(self, query, rng)

    with monkeypatch.context() as patched:
        patched.setattr(ArchiveOracle, "answer", unplugged)
        assert main(words) == 2
    assert "archive is gone: put it back" in capsys.readouterr().err
    assert [query.status for query in Campaign.open(run).queries] == ["answered"] * 4 + ["open"] * 2
    (archive.parent / "away").rename(archive)
    assert main(words) == 0
    assert {query.status for query in Campaign.open(run).queries} == {"answered"}


def test_a_round_that_cannot_be_closed_keeps_what_was_told(
    run: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
):
    call("ask", run)
    for query in ("r001-q01", "r001-q02"):
        call("skip", run, query, "--reason", "no")
    with monkeypatch.context() as patched:
        patched.setattr(build, "load_encoder", another)
        assert call("tell", run, "r001-q03", save(tmp_path / "a.png", "red", 70))[0] == 0, "no encoder is needed"
        status, said = call("ask", run)
    assert status == 2
    assert "was made with another encoder" in said["error"]
    assert call("ask", run)[1]["round"] == 2
    assert Campaign.open(run).rounds[1].examples == 1


def test_another_encoder_of_the_same_name_is_not_mixed_in(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(build, "load_encoder", another)
    assert main(["ask", str(run)]) == 2
    assert "was made with another encoder: colours does not embed" in capsys.readouterr().err
    assert Campaign.open(run).queries == []


@pytest.mark.parametrize("name", ["what?", "my run", NOT_UTF_8, "-"])
def test_commands_that_are_printed_can_be_pasted(name: str, images: Path, tmp_path: Path, capsys: Capture):
    assert main(["new", name, "--images", str(images), "--encoder", "colours"]) == 0
    printed = [capsys.readouterr().out]
    for _ in range(3):
        line = next(line for line in printed[-1].splitlines() if line.startswith(("Next: ", "Such as: ")))
        words = shlex.split(line.split(": ", 1)[1].split(" IMAGE")[0].encode().decode("unicode_escape"))
        assert words[0] == "desiderata"
        assert words[2] == name
        if words[1] == "tell":
            break
        assert main(words[1:]) == 0
        printed.append(capsys.readouterr().out)
    assert [path.name for path in tmp_path.iterdir() if path.name != "images"] == [name]


def test_file_names_that_are_not_utf_8(images: Path, archive: Path, call: Call, capsys: Capture):
    (images / "red" / "0.png").rename(images / "red" / f"{NOT_UTF_8}.png")
    (images / "red").rename(images / NOT_UTF_8)
    made = call("new", "run", "--images", images, "--encoder", "colours")[1]
    assert made["classes"] == ["blue", "caf\ufffd", "green"]
    held = {one.name for one in Campaign.open("run").store.held()}
    assert str(images / "caf\ufffd" / "caf\ufffd.png") in held
    shutil.copy(archive / "red0.png", archive / f"{NOT_UTF_8}.png")
    assert call("run", "run", "--oracle", "archive", "--archive", archive, "--rounds", "1")[0] == 0
    assert call("report", "run")[0] == 0
    call("ask", "run")
    assert call("tell", "run", "r002-q01", f"{NOT_UTF_8}.jpg") == (
        2,
        {"error": f"{NOT_UTF_8}.jpg does not exist: check the path."},
    )
    assert main(["new", "other", "--images", NOT_UTF_8, "--encoder", "colours"]) == 2
    assert "is not UTF-8" in capsys.readouterr().err


def test_a_strategy_without_a_name_and_a_half_that_is_not_there(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    path = run / "campaign.toml"
    written = path.read_text()
    path.write_text(written.replace('half = "collect"', 'half = "psychic"'))
    assert main(["ask", str(run)]) == 2
    assert "'psychic' is no half of this library: it must be one of collect, personalize." in capsys.readouterr().err
    path.write_text(written.replace("[strategy]\nname =", "[strategy]\nsteps ="))
    assert main(["status", str(run)]) == 0
    capsys.readouterr()
    monkeypatch.setattr(build, "_strategy", REAL_STRATEGY)
    assert main(["ask", str(run)]) == 2
    assert capsys.readouterr().err.endswith("give it a name, such as genmqd, in campaign.toml.\n")


class Once(EachClass):
    """Asks in one round only."""

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        return super().propose(state, rng) if state.round == 1 else []


class Points(EachClass):
    """Asks nobody."""

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        return [Proposal(label, "", point) for label, point in zip(state.classes, np.eye(3))]


def test_a_round_of_answers_is_not_said_to_be_synthesised(
    run: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(build, "_strategy", lambda *_: Once())
    call("ask", run)
    for query in ("r001-q01", "r001-q02", "r001-q03"):
        call("skip", run, query, "--reason", "no")
    with monkeypatch.context() as patched:
        patched.setattr(Campaign, "settle", killed)
        assert main(["ask", str(run)]) == 130
    capsys.readouterr()
    said = "Nothing is asked after round 1: the strategy sees nothing more to gain.\n"
    for closes in (True, False):
        assert main(["ask", str(run)]) == 0
        out = capsys.readouterr().out
        assert out.startswith("Round 1 is closed: ") is closes
        assert out.endswith(said)
        assert "synthesised" not in out
    assert main(["run", str(run), "--oracle", "archive", "--archive", "images", "--rounds", "5"]) == 0
    out = capsys.readouterr().out
    assert said in out
    assert "0 queries answered, 3 skipped, 0 images collected." in out


def test_points_are_not_called_images(run: Path, archive: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "_strategy", lambda *_: Points())
    assert main(["ask", str(run)]) == 0
    assert "Round 1 is closed: its points were synthesised" in capsys.readouterr().out
    assert main(["run", str(run), "--oracle", "archive", "--archive", str(archive), "--rounds", "2"]) == 0
    assert "6 queries answered, 0 skipped, 6 points collected." in capsys.readouterr().out
    assert main(["status", str(run)]) == 0
    assert "6 queries answered, 0 skipped, 6 points." in capsys.readouterr().out
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text("utf-8")
    assert "6\u00a0examples" in page
    assert "examples collected" in page
    assert "pictures collected" not in page


def test_a_demonstration_is_not_passed_off_as_another(call: Call, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("desiderata.collect.start.PER_CLASS", {"initial": 2, "validation": 2, "test": 1})
    monkeypatch.setattr("desiderata.collect.build.load_encoder", lambda _: Colours())
    monkeypatch.setattr(build, "_strategy", lambda *_: EachClass())
    monkeypatch.setattr("desiderata.cli.demo_generator.is_there", lambda: False)
    status, made = call("demo", "show", "--rounds", "1")
    assert status == 0
    assert len(made["rounds"]) == 6
    assert Path(made["report"]).is_file()
    assert call("demo", "show", "--rounds", "1") == (0, made)
    for words, says in ((["--seed", "1"], "seed 0"), (["--setting", "iid"], "setting shifted")):
        status, refused = call("demo", "show", "--rounds", "1", *words)
        assert status == 2
        assert says in refused["error"]
        assert refused["error"].endswith("choose another folder, or give its setting and seed.")


def test_a_demonstration_says_what_it_does_where_there_is_no_terminal(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("desiderata.collect.start.PER_CLASS", {"initial": 2, "validation": 2, "test": 1})
    monkeypatch.setattr("desiderata.collect.build.load_encoder", lambda _: Colours())
    monkeypatch.setattr("desiderata.cli.demo_generator.is_there", lambda: False)
    assert main(["demo", "show", "--rounds", "2"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        f"{method}: {stage}"
        for method in ("TextInfluence", "RandomText", "GenMQD")
        for stage in ("looking at the first pictures", "round 1 of 2", "round 2 of 2")
    ] + ["Writing the report"]
    assert "The whole story" in out
    assert main(["demo", "show", "--rounds", "2", "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_classes_with_names_that_mean_something_elsewhere(images: Path, archive: Path, call: Call):
    odd = {"red": "a $\\frac$ b", "green": "tab\x01bed", "blue": "<b>&amp;"}
    for old, name in odd.items():
        (images / old).rename(images / name)
    assert call("new", "run", "--images", images, "--encoder", "colours")[0] == 0
    words = ["run", "run", "--oracle", "archive", "--archive", archive, "--rounds", "1", "--any-class"]
    assert call(*words)[1]["answered"] == len(CLASSES)
    assert call("report", "run")[0] == 0
    page = Path("run/report.html").read_text("utf-8")
    assert "a $\\frac$ b</text>" in page
    assert "tab\ufffdbed</text>" in page
    assert "&lt;b&gt;&amp;amp;</text>" in page


def test_errors_are_json_that_can_be_read_back(capsys: Capture):
    assert main(["ask", NOT_UTF_8, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"].startswith(f"{NOT_UTF_8} is not a campaign")


def test_nothing_needs_a_cache(images: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "_strategy", REAL_STRATEGY)
    words = ["--images", images, "--encoder", "colours", "--strategy", "random-description"]
    asked = []
    for name in ("with", "without"):
        assert call("new", name, *words)[0] == 0
        asked.append([query["text"] for query in call("ask", name)[1]["queries"]])
        monkeypatch.setenv("DESIDERATA_CACHE", str(images / "red" / "0.png"))
    assert asked[0] == asked[1]

"""The commands by which a report says that a campaign can be made again."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from conftest import save
from desiderata.campaign.loop import Campaign
from desiderata.cli import again
from desiderata.cli.again import BY_HAND, UNDONE, commands
from desiderata.cli.output import command

Call = Callable[..., tuple[int, dict]]


def said(run: Path) -> list[str]:
    """Return what comes after the making of the campaign."""
    first, *rest = commands(Campaign.open(run)).split("\n")
    assert first.startswith("desiderata new run --images ")
    return rest


def archived(archive: Path, rounds: int) -> list[str]:
    return ["run", "run", "--oracle", "archive", "--archive", str(archive), "--rounds", str(rounds)]


def by_hand(call: Call, number: int, tmp_path: Path, *answers: str) -> None:
    call("ask", "run")
    for place, label in enumerate(answers, start=1):
        picture = save(tmp_path / f"{number}-{place}.png", label, 200 + 10 * number + place)
        assert call("tell", "run", f"r{number:03d}-q{place:02d}", picture, "--label", label)[0] == 0


def through(archive: Path, rounds: int, *options: str) -> str:
    return command("run", "run", "--oracle", "archive", "--archive", archive, *options, "--rounds", rounds)


def test_a_person_and_then_an_oracle(run: Path, archive: Path, tmp_path: Path, call: Call):
    by_hand(call, 1, tmp_path, "red", "green")
    call("skip", run, "r001-q03", "--reason", "there is none")
    by_hand(call, 2, tmp_path, "blue")
    assert call(*archived(archive, 4))[0] == 0
    assert said(run) == [
        BY_HAND,
        "desiderata ask run",
        "desiderata tell run r001-q01 FILES --label red",
        "desiderata tell run r001-q02 FILES",
        "desiderata skip run r001-q03 --reason 'there is none'",
        "desiderata ask run",
        "desiderata tell run r002-q01 FILES",
        through(archive, 2),
        through(archive, 4),
    ]


def test_an_oracle_and_then_a_person(run: Path, archive: Path, tmp_path: Path, call: Call):
    assert call(*archived(archive, 2))[0] == 0
    by_hand(call, 3, tmp_path, "blue")
    assert said(run) == [
        through(archive, 2),
        BY_HAND,
        "desiderata ask run",
        "desiderata tell run r003-q01 FILES",
    ]


def test_what_an_oracle_skipped_is_its_own(run: Path, archive: Path, call: Call):
    assert call(*archived(archive, 6))[0] == 0
    assert said(run) == [through(archive, 6)]


def test_an_oracle_is_told_again_what_it_was_told(run: Path, archive: Path, call: Call):
    assert call(*archived(archive, 1))[0] == 0
    assert call(*archived(archive, 2), "--any-class", "--least-similarity", "0.1")[0] == 0
    assert said(run) == [through(archive, 1), through(archive, 2, "--least-similarity", "0.1", "--any-class")]


def test_what_was_taken_back_is_not_said_to_be_repeated(run: Path, archive: Path, call: Call):
    assert call(*archived(archive, 1), "--review")[0] == 0
    assert call("undo", run, "r001-q01")[0] == 0
    assert call(*archived(archive, 1))[0] == 0
    assert said(run) == [UNDONE, through(archive, 1)]
    assert call("report", run)[0] == 0
    assert "1 answer or skip was taken back" in (run / "report.html").read_text()


def test_a_person_who_skips_everything_is_no_oracle(run: Path, archive: Path, call: Call):
    assert call(*archived(archive, 1))[0] == 0
    call("ask", run)
    for place in (1, 2, 3):
        assert call("skip", run, f"r002-q0{place}", "--reason", "none")[0] == 0
    assert said(run)[1:] == [
        BY_HAND,
        "desiderata ask run",
        *[f"desiderata skip run r002-q0{place} --reason none" for place in (1, 2, 3)],
    ]


def test_runs_from_before_decisions_were_recorded(run: Path, archive: Path, call: Call):
    assert call(*archived(archive, 6))[0] == 0
    with closing(sqlite3.connect(run / "campaign.db")) as database:
        database.execute("DROP TABLE decisions")
    assert Campaign.open(run).decisions == {}
    assert said(run) == ["desiderata run run --oracle archive --archive FOLDER --rounds 6"]


def test_folders_of_several_classes_and_other_sources(run: Path, tmp_path: Path, call: Call):
    call("ask", run)
    for label in ("blue", "red"):
        save(tmp_path / "found" / label / "a.png", label, 90)
    assert call("tell", run, "r001-q01", "found", "--source", "a friend")[0] == 0
    assert said(run)[1:] == [
        "desiderata ask run",
        "desiderata tell run r001-q01 FILES --source 'a friend'  # blue, red",
    ]


def test_long_conversations_are_cut(
    run: Path, archive: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(again, "MOST_BY_HAND", 2)
    for number in (1, 2):
        by_hand(call, number, tmp_path, "blue", "green", "red")
    assert call(*archived(archive, 3))[0] == 0
    assert said(run) == [
        BY_HAND,
        "desiderata ask run",
        "desiderata tell run r001-q01 FILES",
        "desiderata tell run r001-q02 FILES",
        "# and 4 more answers of a person",
        through(archive, 3),
    ]


def test_before_anything_was_asked(run: Path):
    assert said(run) == ["desiderata ask run"]

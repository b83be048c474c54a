"""What would be lost or handed on by mistake, and what the system refuses: a sentence says it."""

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import save
from desiderata.campaign.loop import Campaign
from desiderata.cli import look, main

Call = Callable[..., tuple[int, dict]]
Capture = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What is there already


@pytest.mark.parametrize("name", ["campaign.db", "campaign.toml", "rounds/000.safetensors"])
def test_a_report_replaces_nothing_of_a_run(name: str, run: Path, call: Call):
    before = contents(run)
    status, said = call("report", run, "--out", run / name)
    assert (status, "is there already and not called .html" in said["error"]) == (2, True)
    assert contents(run) == before


def test_predictions_replace_no_picture(run: Path, archive: Path, call: Call):
    before = contents(archive)
    status, said = call("predict", run, "--out", *sorted(archive.iterdir()))
    assert (status, "blue0.png is there already and not called .csv" in said["error"]) == (2, True)
    assert contents(archive) == before
    for _ in range(2):
        assert call("predict", run, archive, "--out", "labels.csv")[0] == 0


def test_what_is_no_file_is_not_replaced(run: Path, archive: Path, tmp_path: Path, call: Call):
    os.mkfifo(tmp_path / "pipe.csv")
    assert call("predict", run, archive, "--out", "pipe.csv")[0] == 2
    assert (tmp_path / "pipe.csv").is_fifo()


# A run from elsewhere


@pytest.fixture
def told(run: Path, call: Call, tmp_path: Path) -> Path:
    call("ask", run)
    for number, label in enumerate(("blue", "green", "red"), start=1):
        assert call("tell", run, f"r001-q0{number}", save(tmp_path / "brought" / f"{label}.png", label, 70))[0] == 0
    assert call("ask", run)[0] == 0
    return run


def changed(run: Path, statement: str, *values: str) -> None:
    with sqlite3.connect(run / "campaign.db") as record:
        record.execute(statement, values)
    record.close()


@pytest.mark.parametrize("words", [("branch", "run", "taken"), ("export", "run", "taken")])
def test_names_that_lead_out_of_a_run_are_refused(words: tuple[str, ...], told: Path, tmp_path: Path, call: Call):
    (told / "images" / "aa").symlink_to(".")
    changed(told, "UPDATE answers SET image = ? WHERE query = 'r001-q01'", "aa/../../../planted")
    before = sorted(os.listdir(tmp_path))
    status, said = call(*words)
    assert (status, "is no SHA-256" in said["error"]) == (2, True)
    assert sorted(os.listdir(tmp_path)) == before


def test_ids_that_lead_out_of_an_export_are_refused(told: Path, tmp_path: Path, call: Call):
    for table, column in (("answers", "query"), ("queries", "id"), ("decisions", "query")):
        changed(told, f"UPDATE {table} SET {column} = ? WHERE {column} = 'r001-q01'", "../../../planted")
    status, said = call("export", "run", "taken")
    assert (status, "which is no id" in said["error"]) == (2, True)
    assert not list(tmp_path.rglob("planted*"))


@pytest.mark.parametrize("words", [("branch", "run", "taken"), ("export", "run", "taken")])
def test_a_link_to_something_else_is_not_handed_on_as_a_picture(
    words: tuple[str, ...], told: Path, tmp_path: Path, call: Call
):
    (tmp_path / "secret").write_text("a private key")
    picture = next(told.glob("images/*/*.png"))
    picture.unlink()
    picture.symlink_to(tmp_path / "secret")
    status, said = call(*words)
    assert (status, "is no PNG file" in said["error"]) == (2, True)
    assert not (tmp_path / "taken").exists()


def test_a_command_to_be_pasted_stays_on_its_line(told: Path, call: Call):
    assert call("branch", "run", "new")[0] == 0
    changed(
        Path("new"), "UPDATE facts SET value = ? WHERE name = 'origin'", '{"run":"a\\nrm x","round":1,"asked":[]}'
    )
    from desiderata.cli.branch import branched

    assert branched(Campaign.open("new")).count("\n") == 1, "that of the quoted name, which a shell takes for a name"
    assert branched(Campaign.open("new")).endswith("# the report of a rm x tells how that was made")


# What the system refuses


def refused(*_: object) -> None:
    raise PermissionError(13, "Permission denied", "/somewhere/campaign.db")


def test_what_the_system_refuses_is_a_sentence(
    run: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(look, "_waiting", refused)
    says = (
        "/somewhere/campaign.db: the system refused (Permission denied); what was recorded is kept. Mend that, and "
        "give the command again."
    )
    assert call("status", run) == (2, {"error": says})
    assert main(["status", str(run)]) == 2
    assert capsys.readouterr().err == f"{says}\n"


def test_names_that_no_file_system_takes_are_named(run: Path, archive: Path, call: Call):
    call("ask", run)
    status, said = call("tell", run, "r001-q01", f"{'x' * 300}.jpg")
    assert (status, "File name too long" in said["error"]) == (2, True)
    status, said = call("predict", run, archive, f"{'x' * 300}.jpg")
    assert (status, len(said["predictions"]), len(said["unreadable"])) == (0, 15, 1)
    assert call("predict", run, archive, "--out", "x" * 300)[0] == 2
    assert call("predict", run, archive, "--out", f"{'x' * 246}.csv")[0] == 0, "names may be that long"


def test_an_id_that_is_not_utf_8_is_no_id(run: Path, archive: Path, call: Call):
    status, said = call("tell", run, os.fsdecode(b"caf\xe9"), archive / "red0.png")
    assert (status, "There is no query" in said["error"] or "not UTF-8" in said["error"]) == (2, True)


def test_no_standard_input_is_no_picture(run: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    call("ask", run)
    monkeypatch.setattr(sys, "stdin", None)
    status, said = call("tell", run, "r001-q01", "-")
    assert (status, "there is none: name a file" in said["error"]) == (2, True)


def test_a_folder_that_cannot_be_read_is_named(run: Path, archive: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    scandir = os.scandir

    def guarded(path: str) -> object:
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    (archive / "locked").mkdir()
    monkeypatch.setattr(os, "scandir", guarded)
    status, said = call("predict", run, archive)
    assert status == 2
    assert said["error"].endswith("locked cannot be read (Permission denied): let yourself read it, or leave it out.")


def test_json_is_json_where_the_output_is_not_utf_8(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with (tmp_path / "out.json").open("w", encoding="ascii") as out, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        assert main(["skip", str(run), "nö", "--reason", "so", "--json"]) == 2
    assert "There is no query nö" in json.loads((tmp_path / "out.json").read_text("ascii"))["error"]


def test_a_reader_that_has_enough_ends_a_command_quietly(run: Path, capsys: Capture):
    reading, writing = os.pipe()
    os.close(reading)
    before = sys.stdout
    try:
        with os.fdopen(writing, "w") as sys.stdout:  # what is printed waits in its buffer
            closed = sys.stdout
            assert main(["status", str(run), "--json"]) == 1
            assert sys.stdout is not closed
            sys.stdout.close()
            with pytest.raises(BrokenPipeError):
                closed.flush()
            os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
    finally:
        sys.stdout = before
    assert capsys.readouterr().err == ""


# Stopped while it was made


def test_new_goes_on_with_what_it_was_stopped_at(images: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    new = ("--images", str(images), "--encoder", "colours")
    with monkeypatch.context() as patched:
        patched.setattr(Campaign, "settle", killed)
        assert main(["new", "run", *new]) == 130
    status, said = call("new", "run", *new, "--seed", "1")
    assert (status, "is a campaign already" in said["error"]) == (2, True)
    status, said = call("new", "run", *new)
    assert (status, said["round"]["number"], said["examples"]) == (0, 0, {"initial": 12, "validation": 6, "test": 0})
    assert call("new", "whole", *new)[0] == 0
    assert Campaign.open("run").history() == Campaign.open("whole").history()
    assert call("new", "run", *new)[0] == 2

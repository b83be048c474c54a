"""What holds for every command: it speaks JSON, and its figures do not depend on which of them came before."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import joblib
import pytest
import torch
import typer

from desiderata.cli import app, main
from desiderata.cli.panels import in_panels
from desiderata.training import moji_decap


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, one in inner.items():
        yield from leaves(one, (*words, name))


COMMANDS = dict(leaves(typer.main.get_command(app)))


def test_all_commands_are_found():
    assert {("ask",), ("demo",), ("models", "train"), ("bench", "collect")} <= set(COMMANDS)
    assert len(COMMANDS) >= 13


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_json_and_documents_its_keys(words: tuple[str, ...]):
    command = COMMANDS[words]
    assert any("--json" in parameter.opts for parameter in command.params)
    assert "JSON: " in (command.help or "")


def test_training_says_where_the_model_is(tmp_path: Path, call: Callable, monkeypatch: pytest.MonkeyPatch):
    class Made:
        def save(self, folder: Path) -> None:
            folder.mkdir()

    monkeypatch.setattr(moji_decap, "train_moji_decap", lambda *_, **__: Made())
    status, made = call("models", "train", "moji-decap", "--work", tmp_path)
    assert (status, made) == (0, {"model": "moji-decap", "path": str(tmp_path / "moji-decap")})
    assert call("models", "train", "nothing", "--work", tmp_path)[0] == 2


def test_the_help_shows_json_as_it_is(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    assert '{"error": "..."}' in " ".join(capsys.readouterr().out.split())


GROUPS = {words[:-1] for words in COMMANDS}


def letters(text: str) -> str:
    """Return what is left of a text without blanks and frames, so that it may have been wrapped anywhere."""
    return re.sub(r"[\s│]", "", text)


@pytest.mark.parametrize("words", [*sorted(GROUPS), *COMMANDS], ids=" ".join)
def test_the_help_of_every_command_shows_its_brackets(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*words, "--help"]) == 0
    shown = letters(capsys.readouterr().out)
    command = COMMANDS.get(words)
    texts = [command.help, *(getattr(one, "help", None) for one in command.params)] if command else []
    for bracket in re.findall(r"\[[^][]*\]", " ".join(text for text in texts if text)):
        assert letters(bracket) in shown


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_option_is_cut_on_a_narrow_terminal(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--help"]) == 0
    shown = set(re.split(r"[\s│,]+", capsys.readouterr().out))
    assert {name for one in COMMANDS[words].params for name in one.opts if name.startswith("--")} <= shown


def test_options_stand_in_the_panels_that_say_what_they_are_about():
    new = {one.name: getattr(one, "rich_help_panel", None) for one in COMMANDS["personalize", "new"].params}
    assert new["strategy"] == "What it chooses"
    assert new["steps"] == new["gradient_checkpointing"] == "How it learns"
    assert new["images"] is None


def test_a_panel_of_an_option_that_does_not_exist_is_an_error():
    def command(number: Annotated[int, typer.Option()] = 0) -> None:
        assert number == 0

    with pytest.raises(KeyError):
        in_panels({"Numbers": ("nombre",)})(command)


def test_the_help_of_tell_shows_ids_in_brackets(capsys: pytest.CaptureFixture[str]):
    assert main(["tell", "--help"]) == 0
    assert "open [ids]." in " ".join(capsys.readouterr().out.split())


def test_all_commands_that_fit_use_as_many_threads(
    images: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(joblib, "cpu_count", lambda only_physical_cores: 2)
    known, used = torch.get_num_threads(), {}
    try:
        for name, words in {
            "new": ["new", "run", "--images", str(images), "--encoder", "colours"],
            "ask": ["ask", "run"],
            "skip one": ["skip", "run", "r001-q01", "--reason", "no"],
            "skip two": ["skip", "run", "r001-q02", "--reason", "no"],
            "skip last": ["skip", "run", "r001-q03", "--reason", "no"],
            "run": ["run", "run", "--oracle", "archive", "--archive", str(archive), "--rounds", "2"],
            "report": ["report", "run"],
        }.items():
            torch.set_num_threads(4)
            assert main([*words, "--json"]) == 0
            assert "error" not in json.loads(capsys.readouterr().out)
            used[name] = torch.get_num_threads()
    finally:
        torch.set_num_threads(known)
    idle = dict.fromkeys(("skip one", "skip two", "skip last"), 4)
    assert used == dict.fromkeys(used, 2) | idle, "and those that fit nothing load nothing"

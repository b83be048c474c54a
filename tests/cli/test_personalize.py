"""`desiderata personalize`: a generator is taught from the command line, stopped, resumed, used and reported on."""

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from contracts.taught import ANCHORS, TEST, Drill, Painter, instant, lines, photos
from contracts.tiny_pipeline import tiny_pipeline
from desiderata.campaign.images import digest_of
from desiderata.campaign.loop import Campaign
from desiderata.claims import claimed
from desiderata.cli import at_work, demo_generator, main, personalize_again, personalize_new, taught
from desiderata.cli.expectations import before_learning
from desiderata.cli.progress import stages
from desiderata.errors import DesiderataError
from desiderata.foundation.generator import load_generator
from desiderata.foundation.sampling import Sampling
from desiderata.personalize import build, looking
from desiderata.personalize.choosing import ALL_LEARNT
from desiderata.personalize.learner import PersonalizeLearner
from desiderata.personalize.looking import measured_pictures
from desiderata.personalize.recipes import TRAINERS
from desiderata.personalize.strategies import STRATEGIES
from desiderata.personalize.uncertainty import appraise

Call = Callable[..., tuple[int, dict]]
Capture = pytest.CaptureFixture[str]
NEW = ("personalize", "new", "run", "--images", "photos", "--subject", "toy", "--setting", "on a wooden table")
QUICK = (
    "--anchors",
    "anchors.txt",
    "--test",
    "test.txt",
    "--pictures",
    "2",
    "--k",
    "1",
    "--samples",
    "3",
    "--class-pictures",
    "1",
)


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Parts that take no time, and what the commands of these tests name."""
    instant(monkeypatch)
    photos(tmp_path / "photos")
    lines(tmp_path / "anchors.txt", ANCHORS)
    lines(tmp_path / "test.txt", [*(sentence.replace("{}", "a <subject>") for sentence in TEST), ""])


def made(*more: str) -> list[str]:
    quick = list(QUICK)
    if "random" in more:  # which draws one picture of each
        at = quick.index("--samples")
        del quick[at : at + 2]
    return [*NEW, *quick, "--model", "painter", "--encoder", "judge", *more]


def without(words: list[str], option: str) -> list[str]:
    """Return words without an option and its value."""
    at = words.index(option) if option else len(words)
    return words[:at] + words[at + 2 :]


def history(run: str = "run") -> str:
    return Campaign.open(run).history()


# From the first picture to the end


def test_a_generator_is_taught_and_goes_on_by_itself(call: Call, capsys: Capture):
    status, said = call(*made("--seed", "3"))
    assert status == 0
    assert said == {
        "run": "run",
        "model": "painter",
        "encoder": "judge",
        "second_encoder": None,
        "strategy": "uncertainty-balance",
        "trainer": "dreambooth",
        "subject": {"kind": "object", "word": "toy", "settings": ["on a wooden table"], "placeholder": "sks"},
        "references": 2,
        "seed": 3,
        "round": said["round"],
        "warning": "Not square, and learnt without what is beyond the middle: 2 of 2 pictures.",
    }
    assert said["round"]["number"] == 0
    assert {"txt_aln", "img_aln", "ovf"} <= set(said["round"]["metrics"])
    assert Campaign.open("run").config.prompts == {"anchors": list(ANCHORS), "test": list(TEST), "pictures": 2}
    assert call("personalize", "run", "run", "--rounds", "1")[1]["stopped"] is None
    assert main(["personalize", "status", "run"]) == 0
    out = capsys.readouterr().out
    assert "2 references + 1 of its own" in out
    assert "TXT-ALN" in out
    assert out.endswith("Next: desiderata personalize run run\n")
    status, said = call("personalize", "run", "run", "--rounds", "9")
    assert status == 0
    assert len(said["rounds"]) < 9
    assert said["stopped"].endswith(".")
    told = call("personalize", "status", "run")[1]
    assert (told["stopped"], told["rounds"], told["references"], told["open"]) == (
        said["stopped"],
        said["rounds"],
        2,
        [],
    )
    assert main(["personalize", "run", "run", "--rounds", "1"]) == 0
    assert "It stopped by itself after round" in capsys.readouterr().out
    assert {file.name for file in Path("photos").iterdir()} == {"0.png", "1.png"}


def test_a_share_is_told_with_what_it_is_a_share_of():
    assert taught.figures({"txt_aln": 0.5, "ovf": 0.0, "pictures": 2.0}) == "TXT-ALN 0.500, OVF 0.0% of 2 pictures"
    assert taught.figures({"img_aln": 0.25}) == "IMG-ALN 0.250"


def test_help_tells_whole_names_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["personalize", "new", "--help"]) == 0
    words = re.split(r"[\s,.;]+", capsys.readouterr().out)
    assert {*STRATEGIES, *TRAINERS} <= {*words}


def test_the_names_that_help_lists_are_all_there_are():
    assert set(personalize_new.STRATEGIES) == set(STRATEGIES)
    assert list(personalize_new.TRAINERS) == list(TRAINERS)


def test_people_are_told_the_same(capsys: Capture):
    assert main(made()) == 0
    out = capsys.readouterr().out
    assert out.startswith("run: sks toy learnt from 2 pictures; TXT-ALN ")
    assert main(["personalize", "run", "run", "--rounds", "1"]) == 0
    assert capsys.readouterr().out.endswith("Next: desiderata personalize report run\n")
    assert main(["personalize", "run", "run", "--rounds", "1"]) == 0
    assert "Nothing to do: run has 1 round already; another one with --rounds 2." in capsys.readouterr().out


# Stopped


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_new_run_that_is_stopped_goes_on_with_the_same_command(
    call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        patched.setattr(PersonalizeLearner, "evaluate", stop)
        assert main(made()) == 130
    assert "is recorded yet: desiderata personalize new run" in capsys.readouterr().err
    assert call("personalize", "status", "run")[1]["rounds"] == []
    assert main(["personalize", "status", "run"]) == 0
    assert "Nothing is learnt yet" in capsys.readouterr().out
    status, said = call("personalize", "report", "run")
    assert (status, "`desiderata personalize run run` goes on" in said["error"]) == (2, True)
    for flag, value, named in (
        ("--seed", "1", "--seed"),
        ("--steps", "7", "--steps"),
        ("--trainer", "textual-inversion", "--trainer"),
        ("--kind", "style", "--kind"),
        ("--precision", "float16", "--precision"),
        ("--class-images", "photos", "--class-images"),
    ):
        status, said = call(*without(made(flag, value), "--class-pictures" if "class" in flag else ""))
        assert (status, f"with another {named}:" in said["error"]) == (2, True), flag
    for flag in ("--class-pictures", "--anchors", "--test", "--k", "--encoder"):
        status, said = call(*without(made(), flag))
        named = "--strategy" if flag == "--k" else flag
        assert (status, f"with another {named}:" in said["error"]) == (2, True), f"{flag} is left out"
    assert call(*made("--gradient-checkpointing", "--batch", "2"))[0] == 0, "which changes nothing of what is learnt"
    begun = Campaign.open("run")
    assert (begun.config.trainer["gradient_checkpointing"], begun.config.generator["batch"]) == (True, 2)
    assert " --gradient-checkpointing --batch 2 " in personalize_again.commands(begun)
    status, said = call(*made())
    assert status == 2
    assert said["error"].startswith("run is a campaign already: go on with `desiderata personalize run run`")


def test_a_round_that_is_stopped_goes_on_to_the_same_end(call: Call, monkeypatch: pytest.MonkeyPatch):
    assert call(*made())[0] == 0
    shutil.copytree("run", "whole")
    with monkeypatch.context() as patched:
        patched.setattr(PersonalizeLearner, "evaluate", stop)
        assert main(["personalize", "run", "run", "--rounds", "2"]) == 130
    assert [query.status for query in Campaign.open("run").queries] == ["answered"]
    for run in ("run", "whole"):
        assert call("personalize", "run", run, "--rounds", "2")[0] == 0
    assert history("run") == history("whole")


# Two commands at a time


def test_one_command_at_a_time_goes_on_with_a_run(call: Call, capsys: Capture):
    assert call(*made("--strategy", "human"))[0] == 0
    drawn = call("personalize", "run", "run")[1]["open"]
    assert call("personalize", "status", "run")[1]["at_work"] is False
    with claimed(Path("run") / at_work.AT_WORK):  # as another process would
        assert call("personalize", "status", "run")[1]["at_work"] is True
        capsys.readouterr()
        assert main(["personalize", "status", "run"]) == 0
        assert capsys.readouterr().out.endswith("\nAnother command is at work in run at this moment.\n")
        for words in (["run", "run"], ["pick", "run", drawn[0]["pictures"][0]]):
            status, said = call("personalize", *words)
            assert (status, said["error"]) == (
                2,
                "Another command is at work in run at this moment. Wait until it is done (`desiderata personalize "
                "status run` tells), or stop it.",
            )
        assert call("personalize", "sample", "run", "a <subject>", "-n", "1")[0] == 0, "what only reads goes on"
    capsys.readouterr()
    assert main(["personalize", "pick", "run", "00/01"]) == 0
    assert capsys.readouterr().out.startswith("  r001-q01  a sks toy in the snow  (00/01)\n")
    assert not (Path("run") / at_work.AT_WORK).exists()


def test_who_takes_back_what_is_learnt_at_the_moment_is_told_so(call: Call, capsys: Capture):
    assert call(*made("--strategy", "random", "--k", "2"))[0] == 0
    query = call("personalize", "ask", "run")[1]["queries"][0]["id"]
    assert call("personalize", "skip", "run", query, "--reason", "none")[0] == 0
    capsys.readouterr()
    with claimed(Path("run") / at_work.AT_WORK):
        assert main(["personalize", "undo", "run"]) == 0
    out = capsys.readouterr().out
    assert (
        "Another command is at work in run at this moment. Where it is learning this, it does that round again."
        in out
    )
    assert out.endswith("Taken back: it is open again.\n")


def test_a_run_that_is_made_is_at_work(call: Call, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[bool, int]] = []
    fit = PersonalizeLearner.fit

    def look(self, *arguments) -> None:
        seen.append((at_work.is_at_work(Path("run")), call("personalize", "run", "run")[0]))
        fit(self, *arguments)

    monkeypatch.setattr(PersonalizeLearner, "fit", look)
    assert call(*made())[0] == 0
    assert seen == [(True, 2)]
    assert not at_work.is_at_work(Path("run"))


@pytest.mark.parametrize("words", [("run", "run", "--rounds", "1"), ("ask", "run")])
def test_what_is_taken_back_while_it_is_learnt_is_said(
    words: tuple[str, ...], call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    assert call(*made("--strategy", "random", "--k", "2"))[0] == 0
    first, second = [one["id"] for one in call("personalize", "ask", "run")[1]["queries"]]
    Image.fromarray(np.full((9, 9, 3), 7, np.uint8)).save("mine.png")
    assert call("personalize", "tell", "run", first, "mine.png")[0] == 0
    assert call("personalize", "skip", "run", second, "--reason", "none")[0] == 0
    fit, taken = PersonalizeLearner.fit, []

    def meanwhile(self, *arguments) -> None:
        fit(self, *arguments)
        if not taken:
            taken.append(Campaign.open("run").undo(first))

    monkeypatch.setattr(PersonalizeLearner, "fit", meanwhile)
    capsys.readouterr()
    assert main(["personalize", *words]) == 0
    assert f"Taken back meanwhile, and not learnt as it was: {first}.\n" in capsys.readouterr().err


def test_a_run_that_eq_10_has_ended_says_how_to_go_on(call: Call, capsys: Capture):
    assert call(*made("--k", "4"))[0] == 0
    assert "(GAL, Eq. 10)" in call("personalize", "run", "run")[1]["stopped"]
    end = looking.stopped(Campaign.open("run"))
    assert end is not None
    undecided = sum(one.entropy > 0 for one in end.directions)
    assert 0 < undecided < 4
    branch = "`desiderata personalize branch run NEW --round 0 --strategy"
    fewer = (
        f"`desiderata personalize branch run NEW --round 0 --k {undecided}` asks about what it is undecided about, "
    )
    ways = f"To go on all the same: {fewer}{branch} human` lets you pick, and {branch} random` asks for sentences "
    ways += "at random."
    capsys.readouterr()
    for words in (["run", "run"], ["status", "run"], ["ask", "run"]):
        assert main(["personalize", *words]) == 0
        out = capsys.readouterr().out
        assert "\nNext: desiderata personalize report run\n" in out
        assert out.endswith(f"{ways}\n")
    for told in (["tell", "run", "r001-q01", "photos/0.png"], ["skip", "run", "r001-q01", "--reason", "none"]):
        status, said = call("personalize", *told)
        assert (status, said["error"].startswith("run asks for nothing any more. ")) == (2, True)
        assert said["error"].endswith(ways)
    assert call("personalize", "branch", "run", "other", "--round", "0", "--strategy", "random")[0] == 0
    assert len(call("personalize", "ask", "other")[1]["queries"]) == 4
    assert call("personalize", "branch", "run", "few", "--round", "0", "--k", str(undecided))[0] == 0
    assert len(call("personalize", "ask", "few")[1]["queries"]) == undecided


@pytest.mark.parametrize(
    ("shares", "trainer", "says"),
    [
        (
            (1.0, 1.0, 0.0, 0.0),
            "dreambooth",
            "branch run NEW --round 0 --strategy dreambooth-lower-rate` makes a run that",
        ),
        ((0.0, 0.0, 0.0, 0.5), "dreambooth", ""),
        ((1.0, 1.0, 0.0, 0.0), "ip-adapter", ""),
        (
            (0.0, 0.0, 0.0, 0.0),
            "dreambooth",
            "`desiderata personalize sample run 'a <subject>'`. If it is not there, make",
        ),
        ((0.0, 0.0, 0.0, 0.0), "ip-adapter", "make a new run with another --trainer, such as dreambooth."),
    ],
)
def test_what_eq_10_has_no_eye_for_is_said(
    shares: tuple[float, ...], trainer: str, says: str, call: Call, monkeypatch: pytest.MonkeyPatch
):
    """All pictures copied, and a subject that nobody finds, leave as little undecided as one that is learnt."""
    assert call(*made("--k", "4"))[0] == 0
    call("personalize", "run", "run")
    campaign = Campaign.open("run")
    end = looking.stopped(campaign)
    assert end is not None
    directions = [replace(one, share=share) for one, share in zip(end.directions, shares, strict=True)]
    monkeypatch.setattr(looking, "stopped", lambda _: replace(end, directions=directions))
    monkeypatch.setattr(looking, "choices", lambda _: [replace(end, directions=directions)])
    campaign.config = replace(campaign.config, trainer={**campaign.config.trainer, "name": trainer})
    told = taught.after_all(campaign, Path("run"))
    assert "To go on all the same" in told[-1]
    assert [says in line for line in told[:-1]] == [True] * bool(says)
    begun = replace(end, directions=[replace(one, share=0.1) for one in end.directions])
    monkeypatch.setattr(looking, "choices", lambda _: [begun, replace(end, directions=directions)])
    later = taught.after_all(campaign, Path("run"))
    assert ("did less in the beginning" in later[0]) == (shares[0] == 1 and trainer == "dreambooth")
    campaign.config = replace(campaign.config, subject={**campaign.config.subject, "kind": "style"})
    assert ("'a dog in <subject>'" in taught.after_all(campaign, Path("run"))[0]) == (not any(shares))


def test_a_report_tells_no_command_that_is_refused(call: Call):
    assert call(*made("--strategy", "human"))[0] == 0
    path = Path("run/campaign.toml")
    path.write_text(path.read_text().replace('name = "human"', 'name = "human"\nrate = 0.01'))  # as Python allows
    told = personalize_again.commands(Campaign.open("run"))
    assert "--strategy human --k 1 --samples 3 --trainer" in told


def test_what_was_picked_is_told_again(call: Call):
    assert call(*made("--strategy", "human", "--k", "2"))[0] == 0

    def told() -> list[str]:
        return personalize_again.commands(Campaign.open("run")).split("\n")[1:]

    one, two = (open_["pictures"][1] for open_ in call("personalize", "run", "run")[1]["open"][:2])
    run, pick = "desiderata personalize run run", "desiderata personalize pick run"
    assert told() == [run], "the round is open"
    assert call("personalize", "pick", "run", one, two)[0] == 0
    cells = " ".join(f"{Path(file).parent.name[:2]}/01" for file in (one, two))
    assert told() == [run, f"{pick} {cells}"]
    assert call("personalize", "run", "run")[0] == 0
    assert call("personalize", "pick", "run", "--none")[0] == 0
    assert told() == [run, f"{pick} {cells}", run, f"{pick} --none"]
    shutil.rmtree(Path(one).parent)  # to have room
    assert told()[1] == f"{pick} PICTURES"
    assert call("personalize", "report", "run")[0] == 0
    report = Path("run/report.html").read_text()
    assert "It was ended after round 2. No picture was picked" in report
    assert "stopped by itself" not in report


def test_a_pool_that_is_used_up_ends_what_is_told_again(call: Call):
    assert call(*made("--strategy", "human", "--k", str(len(ANCHORS))))[0] == 0
    pictures = [one["pictures"][0] for one in call("personalize", "run", "run")[1]["open"]]
    assert call("personalize", "pick", "run", *pictures)[0] == 0
    assert call("personalize", "run", "run")[1]["stopped"] == ALL_LEARNT
    told = personalize_again.commands(Campaign.open("run")).split("\n")
    assert (len(told), told[-1]) == (4, "desiderata personalize run run"), "by which it stopped"


@pytest.mark.parametrize("more", [["--kind", "style"], ["--class-pictures", "0"]])
def test_the_commands_of_a_run_that_weighs_and_measures_nothing(call: Call, more: list[str]):
    made_as = [*NEW, "--model", "painter", "--encoder", "judge", "--pictures", "0", *more]
    assert call(*made_as)[0] == 0
    again = shlex.split(personalize_again.commands(Campaign.open("run")).split("\n")[0])
    again[again.index("run")] = "twin"
    assert not {"--prior", "--test"} & set(again)
    assert call(*again[1:])[0] == 0
    assert Campaign.open("twin").config == Campaign.open("run").config


@pytest.mark.parametrize(
    ("strategy", "option", "says"),
    [
        ("dreambooth", "--k", "--k makes no difference to the strategy dreambooth: leave it out."),
        (
            "dreambooth-lower-rate",
            "--rate",
            "--rate makes no difference to the strategy dreambooth-lower-rate: leave",
        ),
        ("random", "--samples", "--samples makes no difference to the strategy random: leave it out."),
        ("human", "--rate", "--rate is that of balance, which human is without: take human-balance."),
        (
            "uncertainty",
            "--rate",
            "--rate is that of balance, which uncertainty is without: take uncertainty-balance.",
        ),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(call: Call, strategy: str, option: str, says: str):
    status, said = call(*NEW, "--strategy", strategy, option, "1", "--model", "painter", "--encoder", "judge")
    assert (status, said["error"].startswith(says)) == (2, True)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--prior", "full", "--class-pictures", "0"], "--prior is the weight of class pictures, and there are none"),
        (["--class-images", "photos", "--class-pictures", "3"], "--class-pictures is a number to draw, and"),
        (["--prior", "full", "--kind", "style"], "--prior is the weight of class pictures, and there are none"),
        (["--prior", "full", "--trainer", "textual-inversion"], "--prior is the weight of class pictures, and there"),
        (["--test", "moji", "--pictures", "0"], "--test is of measuring, and --pictures 0 measures nothing"),
        (["--second-encoder", "dino", "--pictures", "0"], "--second-encoder is of measuring, and --pictures 0"),
    ],
)
def test_what_would_weigh_or_measure_nothing_is_refused(call: Call, words: list[str], says: str):
    status, said = call(*NEW, "--model", "painter", "--encoder", "judge", *words)
    assert (status, said["error"].startswith(says)) == (2, True), said
    assert not Path("run").exists()


# A person picks


def test_a_person_may_pick_more_pictures_than_there_are_sentences(call: Call):
    assert call(*made("--strategy", "human", "--k", "9"))[0] == 0


def test_a_person_picks(call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    assert call(*made("--strategy", "human"))[0] == 0
    status, said = call("personalize", "run", "run")
    assert status == 0
    assert (len(said["rounds"]), len(said["open"])) == (1, len(ANCHORS))
    assert call("personalize", "run", "run")[1] == said, "it waits"
    first, second = said["open"][:2]
    assert len(first["pictures"]) == 3
    assert main(["personalize", "status", "run"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "Round 1: pick up to 1 picture. Open run/rounds/001/candidates.html in a browser and click: it writes" in out
    )
    assert (
        "look at run/rounds/001/candidates.png and the pictures in run/rounds/001/candidates, one folder for" in out
    )
    page = Path("run/rounds/001/candidates.html").read_text()
    assert page.count("<img ") == 3 * len(ANCHORS)
    assert f'data-command="desiderata personalize pick {Path("run").resolve()}"' in page
    with Image.open("run/rounds/001/candidates.png") as page:
        assert page.size == (3 * 128, 20 + len(ANCHORS) * (128 + 20))
    assert call("personalize", "pick", "run")[0] == 2
    with monkeypatch.context() as patched:  # nothing is learnt before the pictures are looked at
        patched.setattr(Campaign, "settle", lambda _: pytest.fail("it would learn for minutes"))
        patched.setattr(build, "open_run", lambda *_, **__: pytest.fail("models are loaded, which takes long"))
        for name in ("nosuch.png", "99/00", "00/99", "a/b"):
            assert f"{name} is not there: give a pic" in call("personalize", "pick", "run", name)[1]["error"]
    assert call("personalize", "pick", "run", "--none", first["pictures"][0])[0] == 2
    assert call("personalize", "branch", "run", "other", "--round", "0")[0] == 0
    status, refused = call("personalize", "pick", "other", "00/01")
    assert (status, refused["error"]) == (
        2,
        "00/01 is not there, and nothing is drawn to pick from yet: `desiderata personalize run other` draws.",
    )
    status, refused = call("personalize", "pick", "run", first["pictures"][0], second["pictures"][0])
    assert (status, "a round learns from 1" in refused["error"]) == (2, True)
    Path("picked").mkdir()
    shutil.copy(second["pictures"][1], "picked/nice.png")
    status, told = call("personalize", "pick", "run", "picked")
    assert (status, told["picked"]) == (0, [{"id": second["id"], "text": second["text"]}])
    assert told["round"]["number"] == 1
    assert len(call("personalize", "run", "run")[1]["open"]) == len(ANCHORS) - 1
    capsys.readouterr()
    assert main(["personalize", "pick", "run", "--none"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Round 2 is closed: TXT-ALN ")
    assert "It was ended after round 2. No picture was picked" in out
    assert out.endswith("No picture was picked in the round before.\nNext: desiderata personalize report run\n")
    said = call("personalize", "run", "run", "--rounds", "9")[1]
    assert (said["open"], said["stopped"]) == ([], "No picture was picked in the round before.")
    assert "nosuch.png is not there: give" in call("personalize", "pick", "run", "nosuch.png")[1]["error"]


def clicked(page: Path) -> list[str]:
    """Return the names that a page writes, one for each of its pictures."""
    return re.findall(r'value="([^"]+)"', page.read_text())


def test_names_from_the_page_are_picked_from_anywhere(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert call(*made("--strategy", "human", "--k", "2"))[0] == 0
    said = call("personalize", "run", "run")[1]["open"]
    names = clicked(Path("run/rounds/001/candidates.html"))
    shown = re.findall(r'src="([^"]+)"', Path("run/rounds/001/candidates.html").read_text())
    files = [path for query in said for path in query["pictures"]]
    assert [f"run/rounds/001/{unquote(address)}" for address in shown] == files
    places = [(Path(path).parent.name.split("-")[0], Path(path).stem) for path in files]
    assert names == [f"001/{row}/{column}" for row, column in places], "as on the sheet"
    run = str(Path("run").resolve())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(call("personalize", "pick", run, names[0], Path(files[4]).relative_to("run/rounds"))[1]["picked"]) == 2


def test_what_is_picked_and_could_not_be_learnt_is_learnt_next(call: Call, monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object, **__: object) -> None:
        raise DesiderataError("The moon is too bright.")

    assert call(*made("--strategy", "human"))[0] == 0
    first = call("personalize", "run", "run")[1]["open"][0]
    with monkeypatch.context() as patched:
        patched.setattr(Drill, "train", fails)
        status, said = call("personalize", "pick", "run", first["pictures"][0])
    assert (
        status,
        "The moon is too bright): the next `desiderata personalize ask` or `run` closes it" in said["error"],
    ) == (
        2,
        True,
    )
    assert [one["number"] for one in call("personalize", "run", "run")[1]["rounds"]] == [0, 1]


def test_pictures_are_named_by_their_places_on_the_sheet(call: Call):
    assert call(*made("--strategy", "human", "--k", "2"))[0] == 0
    said = call("personalize", "run", "run")[1]["open"]
    row = Path(said[1]["pictures"][0]).parent.name.split("-")[0]
    photos(Path(row, "02"))  # of somebody who sorts by month and day
    status, told = call("personalize", "pick", "run", f"{row}/02", f"{int(row)}/1.png")
    assert (status, [query["id"] for query in told["picked"]]) == (0, [said[1]["id"]])
    kept = Campaign.open("run")
    wanted = {digest_of(Image.open(said[1]["pictures"][number])) for number in (1, 2)}
    assert {answer.image for answer in kept.answers if answer.image} == wanted


def test_a_page_of_an_earlier_round_picks_nothing(call: Call):
    assert call(*made("--strategy", "human"))[0] == 0
    call("personalize", "run", "run")
    names = clicked(Path("run/rounds/001/candidates.html"))
    assert call("personalize", "pick", "run", names[0])[0] == 0
    call("personalize", "run", "run")
    same = names[-1].replace("001/", "002/", 1)
    assert same in clicked(Path("run/rounds/002/candidates.html"))
    status, said = call("personalize", "pick", "run", names[-1])
    assert (status, "is none of the pictures that were drawn in this round" in said["error"]) == (2, True)


def test_the_page_shows_all_of_a_round_of_which_a_part_is_recorded(call: Call, monkeypatch: pytest.MonkeyPatch):
    assert call(*made("--strategy", "human", "--k", "2"))[0] == 0
    call("personalize", "run", "run")
    names = clicked(Path("run/rounds/001/candidates.html"))
    tell, told = Campaign.tell, []

    def once(campaign: Campaign, *given, **more):
        if told:
            raise KeyboardInterrupt
        told.append(given)
        return tell(campaign, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Campaign, "tell", once)
        assert main(["personalize", "pick", "run", names[0], names[4]]) == 130
    assert call("personalize", "run", "run")[0] == 0
    assert clicked(Path("run/rounds/001/candidates.html")) == names
    assert len(call("personalize", "pick", "run", names[0], names[4])[1]["picked"]) == 2


@pytest.mark.skipif(os.name == "nt", reason="names of files are text there")
def test_a_run_whose_name_no_page_can_say_has_a_sheet_only(call: Call):
    assert call(*made("--strategy", "human"))[0] == 0
    run = os.fsdecode(b"run\xff")
    os.rename("run", run)
    assert call("personalize", "run", run)[0] == 0
    assert Path(run, "rounds/001/candidates.png").is_file()
    assert not Path(run, "rounds/001/candidates.html").exists()


def test_a_pick_that_is_stopped_is_finished_and_not_changed(
    call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    assert call(*made("--strategy", "human", "--k", "2"))[0] == 0
    first, second = (one["pictures"] for one in call("personalize", "run", "run")[1]["open"][:2])
    with monkeypatch.context() as patched:
        patched.setattr(PersonalizeLearner, "evaluate", stop)
        assert main(["personalize", "pick", "run", first[0], second[0]]) == 130
    capsys.readouterr()
    assert main(["personalize", "status", "run"]) == 0
    out = capsys.readouterr().out
    assert out.endswith(
        "2 pictures chosen and not learnt yet; `desiderata personalize undo run` takes that back.\n"
        "Next: desiderata personalize run run\n"
    )
    for others in ([first[0]], [first[0], second[1]], ["--none"]):
        status, said = call("personalize", "pick", "run", *others)
        assert (status, "Others were picked for round 1 before" in said["error"]) == (2, True), others
    assert len(call("personalize", "pick", "run", first[0], second[0])[1]["picked"]) == 2
    status, said = call("personalize", "pick", "run", first[1])
    assert (status, said["error"].startswith("Nothing waits to be picked from: `desiderata personalize run`")) == (
        2,
        True,
    )


def test_a_pick_is_taken_back_while_it_is_not_learnt(call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    assert call(*made("--strategy", "human", "--k", "2"))[0] == 0
    drawn = call("personalize", "run", "run")[1]["open"]
    (wrong, *_), (right, *_) = (one["pictures"] for one in drawn[:2])
    assert "There is nothing to take back" in call("personalize", "undo", "run")[1]["error"]
    for picked, said in (([wrong], "Taken back: the pictures of 1 sentence."), (["--none"], "that none was picked.")):
        with monkeypatch.context() as patched:
            patched.setattr(PersonalizeLearner, "evaluate", stop)
            assert main(["personalize", "pick", "run", *picked]) == 130
        assert capsys.readouterr().err.endswith("is taken back with: desiderata personalize undo run\n")
        assert main(["personalize", "status", "run"]) == 0
        how_many = "None" if picked == ["--none"] else "1 picture"
        waits = f"{how_many} chosen and not learnt yet; `desiderata personalize undo run` takes that back.\n"
        assert waits in capsys.readouterr().out
        assert main(["personalize", "undo", "run"]) == 0
        out = capsys.readouterr().out
        assert said in out
        assert "Round 1: pick up to 2 pictures. Open run/rounds/001/candidates.html" in " ".join(out.split())
    with monkeypatch.context() as patched:
        patched.setattr(PersonalizeLearner, "evaluate", stop)
        assert main(["personalize", "pick", "run", wrong]) == 130
    first = {"id": drawn[0]["id"], "text": drawn[0]["text"]}
    told = call("personalize", "status", "run")[1]
    assert (told["waiting"], told["undone"]) == ([first], 1)
    assert call("personalize", "undo", "run")[1] == {"run": "run", "withdrawn": [first], "open": drawn}
    told = call("personalize", "status", "run")[1]
    assert (told["waiting"], told["undone"]) == ([], 2)
    assert len(call("personalize", "pick", "run", right)[1]["picked"]) == 1
    assert call("personalize", "report", "run")[0] == 0
    assert "Taken back before it was learnt: " in Path("run/report.html").read_text()
    assert [answer.query_id for answer in Campaign.open("run").answers] == [drawn[1]["id"]]
    assert call(*(word.replace("run", "own") for word in made()))[0] == 0
    assert "nothing was told that is not learnt yet" in call("personalize", "undo", "own")[1]["error"]


def same_pictures(one: list, other: list) -> bool:
    return all(
        prompt == said and np.array_equal(np.stack(drawn), np.stack(shown))
        for (prompt, drawn), (said, shown) in zip(one, other, strict=True)
    )


def test_weights_of_rounds_that_nobody_wants_may_be_deleted(call: Call):
    assert call(*made("--strategy", "random"))[0] == 0
    assert len(call("personalize", "run", "run", "--rounds", "2")[1]["rounds"]) == 3
    kept = Campaign.open("run")
    before = [measured_pictures(kept, number) for number in range(3)]
    Path("run/rounds/000.safetensors").unlink()
    Path("run/rounds/001.safetensors").unlink()
    assert all(same_pictures(measured_pictures(kept, number), shown) for number, shown in enumerate(before))
    assert call("personalize", "sample", "run", "a <subject>")[0] == 0
    status, said = call("personalize", "sample", "run", "a <subject>", "--round", "1")
    assert (status, "The weights of round 1 are gone from the run" in said["error"]) == (2, True)
    assert len(call("personalize", "run", "run", "--rounds", "3")[1]["rounds"]) == 4
    assert call("personalize", "report", "run")[0] == 0
    measured = next(path for path in Path("run/rounds/001").glob("test-*") if path.is_dir())
    shutil.copytree(measured, "run/rounds/001/test-of a pick that was stopped")
    assert same_pictures(measured_pictures(kept, 1), before[1])
    shutil.copy(f"{measured}.safetensors", "run/rounds/001/test-of a whole one.safetensors")
    assert {str(pictures) for _, pictures in measured_pictures(kept, 1)} == {"[None, None]"}, "nobody can tell which"
    assert call("personalize", "report", "run")[0] == 0


def test_damaged_weights_are_named_and_nothing_else_needs_them(call: Call):
    assert call(*made("--strategy", "random"))[0] == 0
    assert call("personalize", "run", "run", "--rounds", "1")[0] == 0
    last = Path("run/rounds/001.safetensors")
    last.write_bytes(last.read_bytes()[:-8])
    for line in (["sample", "run", "a <subject>"], ["export", "run", "out"], ["run", "run", "--rounds", "2"]):
        status, said = call("personalize", *line)
        assert status == 2
        assert re.search(r"round 1 in .*run are damaged: put rounds/001.safetensors back", said["error"]), line
    assert call("personalize", "report", "run")[0] == 0
    assert call("personalize", "status", "run")[0] == 0
    assert call("personalize", "sample", "run", "a <subject>", "--round", "0")[0] == 0


def test_picking_none_may_be_stopped_too(call: Call, monkeypatch: pytest.MonkeyPatch):
    assert call(*made("--strategy", "human"))[0] == 0
    first = call("personalize", "run", "run")[1]["open"][0]["pictures"][0]
    with monkeypatch.context() as patched:
        patched.setattr(PersonalizeLearner, "evaluate", stop)
        assert main(["personalize", "pick", "run", "--none"]) == 130
    status, said = call("personalize", "pick", "run", first)
    assert (status, "are not learnt yet: none. Give the same again" in said["error"]) == (2, True)
    status, said = call("personalize", "pick", "run", "--none")
    assert (status, said["round"]["number"], said["stopped"]) == (0, 1, "No picture was picked in the round before.")


def test_after_the_usual_rounds_another_one_is_offered(call: Call, capsys: Capture):
    assert call(*made("--strategy", "random"))[0] == 0
    assert len(call("personalize", "run", "run")[1]["rounds"]) == 4
    capsys.readouterr()
    assert main(["personalize", "status", "run"]) == 0
    assert capsys.readouterr().out.endswith(
        "Next: desiderata personalize report run, or another round: desiderata personalize run run --rounds 4\n"
    )


def test_what_asks_for_nothing_is_reported_on_next(call: Call, capsys: Capture):
    words = [*NEW, "--model", "painter", "--encoder", "judge", "--pictures", "0", "--class-pictures", "1"]
    assert call(*words, "--strategy", "dreambooth")[0] == 0
    capsys.readouterr()
    assert main(["personalize", "status", "run"]) == 0
    assert capsys.readouterr().out.endswith("Next: desiderata personalize report run\n")


def test_what_chooses_by_itself_is_not_picked_for(call: Call):
    assert call(*made())[0] == 0
    status, said = call("personalize", "pick", "run", "photos/0.png")
    assert status == 2
    assert "run chooses by itself (strategy uncertainty-balance)" in said["error"]


# What comes of it


def test_pictures_are_drawn_and_never_overwritten(call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    assert call(*made())[0] == 0
    words = ["personalize", "sample", "run", "a <subject> in the snow", "-n", "2", "--seed", "5"]
    status, said = call(*words)
    assert (status, said["round"]) == (0, 0)
    files = [Path(one["file"]) for one in said["pictures"]]
    assert [file.name for file in files] == ["r00-a-sks-toy-in-the-snow-5.png", "r00-a-sks-toy-in-the-snow-6.png"]
    assert {one["prompt"] for one in said["pictures"]} == {"a sks toy in the snow"}
    assert call(*words)[1] == said
    before = files[0].read_bytes()
    other = call("personalize", "sample", "run", "a <subject> in the snow!", "-n", "1", "--seed", "5")[1]
    assert other["pictures"][0]["file"].endswith("-5-2.png")
    assert files[0].read_bytes() == before
    words = ["personalize", "sample", "run", "a <subject> in the snow", "-n", "1", "--seed", "6"]
    assert call(*words)[1]["pictures"] == said["pictures"][1:]  # the same, however many are asked for
    assert np.asarray(Image.open(files[0])).shape == (16, 16, 3)
    assert main(["personalize", "sample", "run", "a toy", "--out", "elsewhere", "-n", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "'a toy' was drawn without the subject: write <subject> where it belongs.\n"
    assert captured.out == "elsewhere/r00-a-toy-0.png\n"
    Path("file").touch()
    assert call("personalize", "sample", "run", "x", "--out", "file") == (
        2,
        {"error": "file is a file: give a folder."},
    )
    words = ["personalize", "sample", "run", "a <subject>", "<subject>", "-n", "3", "--sheet", "all.png"]
    status, said = call(*words)
    assert (status, said["sheet"], len(said["pictures"])) == (0, "all.png", 6)
    with Image.open("all.png") as page:
        assert page.size == (3 * 128, 20 + 2 * (128 + 20))
    capsys.readouterr()
    assert main([*words, "-n", "2"]) == 0
    assert capsys.readouterr().out.endswith("\nAll of them: all.png\n")
    status, said = call(*words[:-1], f"{'long' * 63}.png")
    assert (status, "cannot be written (File name too long)" in said["error"]) == (2, True)
    with Image.open("all.png") as page:
        assert page.size == (2 * 128, 20 + 2 * (128 + 20)), "written anew"
    Path("run/all.png").touch()
    for there, why in (
        ("run/all.png", "is there already"),
        (files[0], "is there already"),
        ("run/campaign.db", "is not called .png"),
        ("sheet.jpg", "is not called .png"),
    ):
        status, said = call(*words[:-1], str(there))
        assert (status, why in said["error"]) == (2, True), there
    for words in (
        ["sample", "run", "x", "--out", "photos/new"],
        ["sample", "run", "x", "--sheet", "photos/all.png"],
        ["export", "run", "photos/new"],
    ):
        status, said = call("personalize", *words)
        assert (status, "which is left as it is" in said["error"]) == (2, True)
    assert call("personalize", "sample", "run", "x", "--round", "1")[0] == 2


def test_pictures_are_drawn_as_they_are_asked_for(call: Call, monkeypatch: pytest.MonkeyPatch):
    assert call(*made())[0] == 0
    said, draw = {}, Painter.sample

    def sample(painter: Painter, prompts: list[str], seeds: list[int], **more):
        said.update(more)
        return draw(painter, prompts, seeds, **more)

    monkeypatch.setattr(Painter, "sample", sample)
    assert call("personalize", "sample", "run", "<subject>", "-n", "1")[0] == 0
    assert (said["steps"], said["guidance"]) == (None, None)
    assert call("personalize", "sample", "run", "<subject>", "-n", "1", "--steps", "7", "--guidance", "3")[0] == 0
    assert (said["steps"], said["guidance"]) == (7, 3.0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("a", "<subject>", "in", "the", "snow"), "“a” alone is no sentence: put each sentence in quotes"),
        (("a <subject>", "--out", "sheet.png"), "--out is a folder, and sheet.png is called as a picture"),
    ],
)
def test_what_is_typed_otherwise_than_meant_draws_nothing(words: tuple[str, ...], says: str, call: Call):
    assert call(*made())[0] == 0
    status, said = call("personalize", "sample", "run", *words)
    assert (status, says in said["error"], Path("sheet.png").exists()) == (2, True, False)


def test_pictures_that_are_blacked_out_are_counted(call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    assert call(*made())[0] == 0
    instant(monkeypatch, Painter(blanks=("snow",)))
    status, said = call("personalize", "sample", "run", "a <subject> in the snow", "-n", "1")
    assert (status, said["pictures"][0]["file"], said["pictures"][0]["blanked"]) == (0, None, True)
    assert main(["personalize", "sample", "run", "a <subject> in the snow", "-n", "1"]) == 0
    assert capsys.readouterr().out.startswith("1 picture left out: the safety checker")
    assert call("personalize", "sample", "run", "a <subject> in the snow", "-n", "1", "--sheet", "none.png")[0] == 0
    with Image.open("none.png") as page:
        assert np.asarray(page)[40:].min() == 255, "the place of a picture that was blacked out is free"


def test_blacked_out_pictures_of_every_kind_are_told(call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    instant(monkeypatch, Painter(blanks=("photo of a toy", "snow", TEST[0].format("sks toy"))))
    assert call(*made("--strategy", "clip-feedback"))[0] == 0
    assert call("personalize", "run", "run", "--rounds", "1")[0] == 0
    told = "left out: 1 class picture, 4 test pictures, 3 pictures to choose from.\n"
    for line in (["status", "run"], ["run", "run", "--rounds", "1"]):
        assert main(["personalize", *line]) == 0
        assert told in capsys.readouterr().out, line
    assert call("personalize", "report", "run")[0] == 0
    assert "class picture blacked out by the safety checker, and not learnt" in Path("run/report.html").read_text()


@pytest.mark.parametrize(("strategy", "plain"), [("human-balance", "human"), ("random-balance", "random")])
def test_that_choices_weigh_nothing_is_told(
    strategy: str, plain: str, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("desiderata.personalize.choosing.appraise", lambda *a: replace(appraise(*a), openness=0.0))
    assert call(*made("--strategy", strategy))[0] == 0
    assert main(["personalize", "run", "run", "--rounds", "1"]) == 0
    told = "In round 1 no sentence was undecided, so that what is chosen there counts 0 and teaches nothing (balance)"
    out = capsys.readouterr().out
    assert (told in out, f"--strategy {plain} counts it fully" in out) == (True, True)


def test_a_report_is_written(call: Call):
    assert call(*made("--learning-rate", "0.0005", "--gradient-checkpointing"))[0] == 0
    assert Campaign.open("run").config.trainer["learning_rate"] == 0.0005
    assert call("personalize", "run", "run", "--rounds", "1")[0] == 0
    assert call("personalize", "report", "run") == (0, {"run": "run", "report": "run/report.html"})
    page = Path("run/report.html").read_text("utf-8")
    assert "desiderata personalize new run --images" in page
    assert "--anchors anchors.txt" in page
    assert "--class-pictures 1" in page
    assert "--learning-rate 0.0005" in page
    assert " --gradient-checkpointing " in page
    assert "desiderata personalize run run --rounds 1" in page
    assert call("personalize", "report", "run", "--out", "photos/report.html")[0] == 2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    return tiny_pipeline(folder, size=16, vae="tiny", sampling=Sampling(steps=1, guidance=1.0, batch=1))


def test_what_was_learnt_is_exported(tiny: Path, call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    from diffusers import StableDiffusionPipeline

    monkeypatch.undo()
    monkeypatch.chdir(Path(str(tiny)).parent)
    photos(Path("photos"), 1)
    instant(monkeypatch, load_generator(str(tiny)))
    words = [*NEW, "--model", str(tiny), "--encoder", "judge", "--trainer", "dreambooth-lora", "--steps", "1"]
    assert call(*words, "--pictures", "0", "--class-images", "photos")[0] == 0
    status, said = call("personalize", "export", "run", "whole")
    assert (status, said["form"], said["base"], said["license"], said["references"]) == (
        0,
        "pipeline",
        "model",
        None,
        1,
    )
    learner = Campaign.open("run").learner
    pipeline = StableDiffusionPipeline.from_pretrained("whole")
    for name, value in learner.personalised.unet.state_dict().items():
        np.testing.assert_array_equal(pipeline.unet.state_dict()[name], value)
    card = Path("whole/README.md").read_text("utf-8")
    assert card.startswith('---\nlibrary_name: "diffusers"')
    assert "# sks toy" in card
    assert "1 reference picture." in card
    assert "None was measured." in card
    assert str(tiny.parent) not in card
    assert call("personalize", "export", "run", "lora", "--lora")[1]["form"] == "lora"
    assert {file.name for file in Path("lora").iterdir()} == {"README.md", "pytorch_lora_weights.safetensors"}
    for written in (*Path("lora").iterdir(), *(path for path in Path("whole").rglob("*") if path.is_file())):
        assert written.stat().st_mode & 0o777 == 0o644, "safetensors writes for the owner alone"
    base = StableDiffusionPipeline.from_pretrained(str(tiny))
    base.load_lora_weights("lora")
    assert "pipeline.load_lora_weights" in Path("lora/README.md").read_text("utf-8")
    status, said = call("personalize", "export", "run", "whole")
    assert (status, said["error"]) == (2, "whole is there already: choose another name.")


def test_what_is_no_file_of_its_own_is_exported_as_a_whole(call: Call):
    assert call(*made())[0] == 0
    status, said = call("personalize", "export", "run", "folder", "--lora")
    assert (status, "part of the model: export the whole of it" in said["error"]) == (2, True)
    assert not Path("folder").exists()


# What is wrong


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--images", "nowhere"], "nowhere is not a folder"),
        (["--images", "empty"], "empty has no JPEG"),
        (["--images", "run.d", "--kind", "thing"], "no kind of subject called 'thing'"),
        (["--strategy", "psychic"], "No strategy is called 'psychic'"),
        (["--trainer", "hypnosis"], "No trainer is called 'hypnosis'"),
        (["--trainer", "ip-adapter"], "needs an adapter that was trained for"),
        (["--placeholder", ""], "An object without a placeholder would be learnt as every toy"),
        (["--placeholder", "table"], "is a word of the subject or of what surrounds it"),
        (["--k", "9"], "A round goes on while 9 sentences are undecided (Eq. 10), and there are 4"),
        (["--setting", "in the snow", "--setting", "on the grass"], "3 settings came with 2 reference pictures"),
        (["--class-images", "nowhere"], "nowhere is not a folder: give one with other things of the class"),
        (["--kind", "style"], "Class pictures go with an object"),
        (["--trainer", "ip-adapter", "--adapter", "x", "--steps", "5"], "--steps is of training"),
        (["--trainer", "ip-adapter", "--adapter", "x", "--gradient-checkpointing"], "--gradient-checkpointing is of"),
        (["--test", "empty.txt"], "empty.txt is empty"),
        (["--test", "nofile.txt"], "nofile.txt is not a file"),
        (["--second-encoder", "moji-clip"], "moji-clip is no picture encoder"),
        (["--trainer", "textual-inversion", "--class-pictures", "5"], "learns from no class pictures"),
        (["--device", "gpu"], "No device is called 'gpu'"),
        (["--precision", "half"], "precision is 'half'"),
        (["--adapter", "x"], "--adapter goes with --trainer ip-adapter"),
        (["--anchors", "martian"], "no pool of anchors called 'martian'"),
        (["--anchors", "plain.txt"], "where the subject belongs"),
        (["--anchors", "bytes.txt"], "bytes.txt cannot be read"),
        (["--seed", str(2**32)], "out of range"),
    ],
)
def test_names_that_mean_nothing(
    more: list[str], says: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(build.Models, "of", lambda config: pytest.fail("models are loaded, which takes long"))
    (tmp_path / "empty").mkdir()
    photos(tmp_path / "run.d")
    lines(tmp_path / "plain.txt", ["a toy in the snow"])
    lines(tmp_path / "empty.txt", [""])
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xfa")
    status, said = call(*made(*more))
    assert status == 2
    assert says in said["error"]
    assert not Path("run").exists()


def test_without_the_extra_one_sentence_says_so(call: Call, monkeypatch: pytest.MonkeyPatch):
    assert call(*made())[0] == 0
    monkeypatch.setattr(taught, "NEEDED", ("accelerate", "no_such_package"))
    says = (
        "Teaching generators needs packages that are not installed (no_such_package): install them with "
        "pip install 'desiderata[personalize]'."
    )
    for words in (made(), ["personalize", "run", "run"], ["personalize", "sample", "run", "x"]):
        assert call(*words) == (2, {"error": says})
    assert call("personalize", "status", "run")[0] == 0


def test_a_run_is_made_by_one_process(call: Call, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, said = call(*made())
    assert (status, "this is one of several (accelerate launch, torchrun)" in said["error"]) == (2, True)
    assert not Path("run").exists()


def test_each_half_points_to_the_other(run: Path, call: Call, tmp_path: Path):
    run.rename(tmp_path / "collects")
    assert call(*made())[0] == 0
    for words, meant in (
        (["status", "run"], "personalize status run"),
        (["report", "run"], "personalize report run"),
        (["ask", "run"], "personalize ask run"),
        (["export", "run", "x"], "personalize export run"),
        (["tell", "run", "r001-q01", "x.png"], "personalize tell run"),
        (["personalize", "status", "collects"], "status collects"),
        (["personalize", "run", "collects"], "run collects"),
        (["personalize", "sample", "collects", "x"], "predict collects"),
        (["personalize", "pick", "collects", "x"], "tell collects"),
    ):
        status, said = call(*words)
        assert status == 2
        assert said["error"].endswith(f"give `desiderata {meant}`."), said
    status, said = call("personalize", "new", "collects", *made()[3:])
    assert (status, "which collects pictures" in said["error"]) == (2, True)
    status, said = call("personalize", "run", "nowhere")
    assert (status, said["error"].startswith("nowhere is not a campaign")) == (2, True)
    assert call("personalize", "run", os.fsdecode(b"caf\xe9"))[0] == 2


def test_the_bundled_generator_says_what_it_knows(call: Call, capsys: Capture):
    words = [*NEW, *QUICK]
    for photo in Path("photos").iterdir():
        Image.open(photo).resize((24, 24)).save(photo)
    assert call(*words)[1]["warning"].startswith("moji-diffusion knows drawn scenes")
    shutil.rmtree("run")
    capsys.readouterr()
    assert main([*words, "--strategy", "foo"]) == 2
    assert "knows drawn scenes" not in capsys.readouterr().err, "what is wrong is all that is said"
    assert main(words) == 0
    warning = capsys.readouterr().err.removeprefix("Getting ready\n").splitlines()[0]
    assert warning.startswith("moji-diffusion knows drawn scenes")
    assert "It goes on without understanding 'toy', 'wooden' and 'table'; `desiderata models words` lists" in warning
    assert warning.endswith("Only a --setting in words that it has lets it tell the subject from what surrounds it.")
    shutil.rmtree("run")
    few = ["on the beach" if word == "on a wooden table" else word for word in words]
    warning = call(*few)[1]["warning"]
    assert "It goes on without understanding 'toy': the Moji world cannot tell what it means" in warning
    assert warning.endswith("(`desiderata models words`).")
    shutil.rmtree("run")
    assert "'cat' is one of its words" in call(*words, "--placeholder", "cat")[1]["warning"]
    shutil.rmtree("run")
    first = sorted(Path("photos").iterdir())[0]
    Image.new("RGB", (40, 20)).save(first)
    given = len([*Path("photos").iterdir()])
    Path("photos/0.txt").write_text("a sks toy")
    told = call(*words)[1]["warning"]
    assert told.startswith(
        f"Not square, and learnt without what is beyond the middle: 1 of {given} pictures. Not read"
    )
    assert "Not read: 0.txt; what a picture shows is said with --setting. moji-diffusion knows" in told
    warning = call("personalize", "sample", "run", "a <subject> in a quasar", "-n", "1")[1]["warning"]
    assert warning.startswith("moji-diffusion draws what it can. Cannot understand 'quasar'")
    assert "in 'a <subject> in a quasar'" in warning, "the sentence as it was typed"
    for sentence in ("a <Subject> in the snow", "a <subject> next to a kitten", "a <subject> and a <subject>"):
        assert call("personalize", "sample", "run", sentence, "-n", "1")[1]["warning"] is None
    status, said = call("personalize", "sample", "run", " ")
    assert (status, said["error"].startswith("A sentence is empty")) == (2, True)
    warning = call("personalize", "sample", "run", "a <toy> in the snow", "-n", "1")[1]["warning"]
    assert warning.startswith(
        "'a <toy> in the snow' was drawn without the subject: write <subject> where it belongs."
    )


@pytest.mark.parametrize(
    ("precision", "device", "cards", "slow"),
    [
        ("float16", "cpu", True, True),
        ("float16", "auto", False, True),
        ("float16", "auto", True, False),
        ("bfloat16", "cpu", False, False),
    ],
)
def test_half_precision_on_a_processor_is_warned_of(
    precision: str, device: str, cards: bool, slow: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cards)
    said = before_learning(
        Path("photos"), "toy", ["outdoors"], "object", "sks", bundled=False, device=device, precision=precision
    )
    assert ("A processor draws in float16" in said) == slow


def test_a_style_may_be_said_with_and_without_in(call: Call):
    words = list(NEW)
    words[words.index("toy")], words[words.index("on a wooden table")] = "poster style", "a cat"
    few = QUICK[: QUICK.index("--class-pictures")]
    assert call(*words, *few, "--kind", "style", "--anchors", "moji", "--test", "moji")[0] == 0
    for sentence in ("a dog in <subject>", "a dog {}"):
        assert call("personalize", "sample", "run", sentence, "-n", "1")[1]["warning"] is None, sentence


# Progress


def test_a_bar_begins_anew_with_every_stage(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with stages("Loading") as show:
        show("Learning", 300, 800)
        show("Learning", 301, 800)
        show("Drawing", 8, 180)
    shown = capsys.readouterr().err
    assert "Drawing" in shown
    assert "8/180" in shown


def test_what_is_shown_names_the_round():
    seen = []
    told = taught.Told(lambda what, done, total: seen.append((what, done, total)))
    told("Learning", 1, 2)
    told.round = 2
    told("Drawing candidates", 3, 4)
    assert seen == [("Learning", 1, 2), ("Round 2: drawing candidates", 3, 4)]


# The demonstration


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tiny: Path) -> None:
    """A demonstration of a moment."""
    monkeypatch.setattr(demo_generator, "GENERATOR", str(tiny))
    instant(monkeypatch, Painter(), Drill())


def test_the_end_of_a_demonstration(short: None, tmp_path: Path):
    told = []
    assert demo_generator.is_there()
    campaign = demo_generator.taught(tmp_path / "show", 0, lambda *step: told.append(step))
    assert len(campaign.rounds) == 1 + demo_generator.ROUNDS
    assert len(campaign.store.held()) == 4
    again = demo_generator.taught(tmp_path / "show", 0, lambda *step: told.append(step))
    assert again.history() == campaign.history()
    part = demo_generator.section(campaign)
    columns = 1 + demo_generator.ROUNDS
    assert part.html.count("<img") >= 4 + columns * len(demo_generator.TEST) * demo_generator.PICTURES
    with pytest.raises(Exception, match="another demonstration"):
        demo_generator.taught(tmp_path / "show", 1, lambda *step: None)


def test_without_a_bundled_generator_the_demonstration_leaves_that_out(monkeypatch: pytest.MonkeyPatch, tiny: Path):
    monkeypatch.setattr(demo_generator, "GENERATOR", str(tiny))
    monkeypatch.setattr(demo_generator, "NEEDED", ("no_such_package",))
    assert not demo_generator.is_there()
    monkeypatch.undo()
    monkeypatch.setattr(demo_generator, "GENERATOR", str(tiny.parent))
    assert not demo_generator.is_there()


def test_a_demonstration_shows_it_in_its_report(short: None, call: Call, monkeypatch: pytest.MonkeyPatch):
    from contracts.colours import Colours

    monkeypatch.setattr("desiderata.collect.start.PER_CLASS", {"initial": 2, "validation": 2, "test": 1})
    monkeypatch.setattr("desiderata.collect.build.load_encoder", lambda _: Colours())
    monkeypatch.setattr("desiderata.cli.demo.METHODS", ("text-influence",))
    monkeypatch.setattr("desiderata.report.build.realised_gains", lambda *_: {})
    monkeypatch.setattr("desiderata.report.build._map", lambda *_: None)
    status, said = call("demo", "show", "--rounds", "1")
    assert status == 0
    assert [one["number"] for one in said["generator"]["rounds"]] == [*range(1 + demo_generator.ROUNDS)]
    page = Path(said["report"]).read_text("utf-8")
    assert '<section id="generator">' in page
    assert "A generator learns something that it has never seen" in page
    assert json.dumps("sks horse")[1:-1] in page

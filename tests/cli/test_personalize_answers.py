"""`desiderata personalize ask | tell | skip | undo`: a person brings pictures of what a generator asks about."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.taught import ANCHORS, TEST, instant, lines, photos
from desiderata.campaign.loop import Campaign
from desiderata.cli import main
from desiderata.cli.personalize_again import commands
from desiderata.personalize import bring, build
from desiderata.personalize.looking import Gathered, gathered

Call = Callable[..., tuple[int, dict]]
Capture = pytest.CaptureFixture[str]
THINGS = ("guitar", "house", "kite", "drum")


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Parts that take no time, the user's pictures, and two that were taken later."""
    instant(monkeypatch)
    photos(tmp_path / "photos")
    lines(tmp_path / "test.txt", TEST)
    for number in (7, 8, 9):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"new-{number}.png")


def made(call: Call, strategy: str = "uncertainty-balance", k: int = 2, kind: str = "object") -> None:
    word, setting = ("toy", "on a wooden table") if kind == "object" else ("ink style", "a cat")
    lines(Path("anchors.txt"), ANCHORS if kind == "object" else [f"a {thing} {{}}" for thing in THINGS])
    words = [
        "--images",
        "photos",
        "--subject",
        word,
        "--setting",
        setting,
        "--kind",
        kind,
        "--anchors",
        "anchors.txt",
    ]
    words += ["--test", "test.txt", "--pictures", "2", "--samples", "3", "--seed", "3"]
    words += ["--class-pictures", "1"] if kind == "object" else []
    words += ["--model", "painter", "--encoder", "judge", "--strategy", strategy]
    words += [] if strategy.startswith("dreambooth") else ["--k", str(k)]
    assert call("personalize", "new", "run", *words)[0] == 0


def test_a_person_answers_what_it_asks(call: Call, capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    made(call, "clip-feedback-balance")  # which does not stop by itself
    status, said = call("personalize", "ask", "run")
    assert status == 0
    first, second = said["queries"]
    assert (said["round"], said["closed"], said["stopped"]) == (1, None, None)
    assert first["sentence"] == first["text"].replace("a sks toy", "a toy")
    assert call("personalize", "ask", "run")[1] == said, "the same again"
    with monkeypatch.context() as patched:
        patched.setattr(build, "open_run", lambda *_, **__: pytest.fail("models are loaded, which takes long"))
        status, told = call("personalize", "tell", "run", first["id"], "new-7.png", "new-8.png")
        assert (status, told["open"]) == (0, [second["id"]])
        assert [(one["weight"], one["source"]) for one in told["answers"]] == [(1.0, "person")] * 2
        assert call("personalize", "skip", "run", second["id"], "--reason", "no snow here")[1]["open"] == []
    status, said = call("personalize", "ask", "run")
    assert (said["closed"]["number"], said["round"]) == (1, 2)
    assert {one["text"] for one in said["queries"]}.isdisjoint({first["text"], second["text"]}), "both leave the pool"
    assert main(["personalize", "status", "run"]) == 0
    out = capsys.readouterr().out
    assert "Next: desiderata personalize ask run\n" in out, "not what it would choose"
    assert "or let it learn its own of this round: `desiderata personalize run run --rounds 2`" in out
    campaign = Campaign.open("run")
    assert gathered(campaign) == [Gathered(0, 0), Gathered(0, 2)]
    assert campaign.rounds[1].metrics["full_weight_steps"] == 2, "they count as references do"


def test_pictures_of_its_own_stand_in_for_what_nobody_brought(call: Call, capsys: Capture):
    made(call)
    first, second = call("personalize", "ask", "run")[1]["queries"]
    assert call("personalize", "tell", "run", first["id"], "new-7.png")[0] == 0
    told = call("personalize", "status", "run")[1]
    assert ([one["id"] for one in told["open"]], [one["id"] for one in told["waiting"]]) == (
        [second["id"]],
        [first["id"]],
    )
    assert main(["personalize", "status", "run"]) == 0
    out = capsys.readouterr().out
    assert (
        f"1 picture of its own chosen and not learnt yet ({second['id']}).\n1 picture recorded, not learnt yet; "
        in out
    )
    assert "Or bring pictures of your own: `desiderata personalize ask run` tells of what." in out
    assert call("personalize", "run", "run", "--rounds", "1")[0] == 0
    assert gathered(Campaign.open("run"))[-1] == Gathered(1, 1)
    assert {one.query_id: one.weight == 1 for one in Campaign.open("run").answers} == {
        first["id"]: True,
        second["id"]: False,
    }
    assert main(["personalize", "status", "run"]) == 0
    assert "2 references + 1 of its own + 1 brought" in " ".join(capsys.readouterr().out.split())


def test_people_are_told_what_to_do(call: Call, capsys: Capture):
    made(call)
    capsys.readouterr()
    assert main(["personalize", "ask", "run"]) == 0
    out = capsys.readouterr().out
    assert "Round 1. Please bring a picture of each, with your toy in it:\n  r001-q01  " in out
    assert "that it drew show what surrounds it in your pictures instead" in out
    assert "sks" not in out
    assert "desiderata personalize tell run ID FILES" in out
    assert "desiderata personalize run run --rounds 1" in out
    assert main(["personalize", "tell", "run", "r001-q01", "new-7.png"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("r001-q01: 1 picture recorded as “")
    assert told.endswith("”. 1 still open in this round.\n")
    assert "sks" not in told
    assert main(["personalize", "skip", "run", "r001-q02", "--reason", "no snow here"]) == 0
    out = capsys.readouterr().out
    assert "`desiderata personalize ask run` closes; until then `desiderata personalize undo run r001-q02`" in out
    assert main(["personalize", "status", "run"]) == 0
    out = capsys.readouterr().out
    assert "1 picture recorded, 1 sentence skipped, not learnt yet; `desiderata personalize undo run ID` takes" in out
    assert out.endswith("Next: desiderata personalize ask run\n")
    assert main(["personalize", "undo", "run", "r001-q02"]) == 0
    assert capsys.readouterr().out.endswith("Taken back: it is open again.\n")
    assert main(["personalize", "skip", "run", "r001-q02", "--reason", "still none"]) == 0
    capsys.readouterr()
    assert main(["personalize", "ask", "run"]) == 0
    assert "Round 1 is closed: TXT-ALN " in capsys.readouterr().out


def test_what_was_told_is_taken_back_by_its_name(call: Call):
    made(call)
    assert "nothing was told that is not learnt yet" in call("personalize", "undo", "run")[1]["error"]
    query = call("personalize", "ask", "run")[1]["queries"][0]
    assert call("personalize", "tell", "run", query["id"], "new-7.png")[0] == 0
    other = call("personalize", "ask", "run")[1]["queries"][0]
    assert call("personalize", "skip", "run", other["id"], "--reason", "none here")[0] == 0
    assert (
        f"Something was told for {query['id']}, {other['id']}: say which of these is meant."
        in call("personalize", "undo", "run")[1]["error"]
    )
    assert call("personalize", "undo", "run", other["id"])[0] == 0
    status, said = call("personalize", "undo", "run")
    assert (status, said["withdrawn"]) == (0, [{"id": query["id"], "text": query["text"]}]), "there is one only"
    assert query["id"] in [one["id"] for one in said["open"]]
    assert call("personalize", "status", "run")[1]["undone"] == 1
    assert call("personalize", "tell", "run", query["id"], "new-7.png")[0] == 0, "it is new to the run again"
    assert "For r001-q09 nothing was told" in call("personalize", "undo", "run", "r001-q09")[1]["error"]
    assert call("personalize", "run", "run", "--rounds", "1")[0] == 0
    late = call("personalize", "undo", "run", query["id"])[1]["error"]
    assert "`desiderata personalize branch RUN NEW --round 0` makes a run that asks it anew" in late


def test_it_says_when_nothing_more_is_asked(call: Call, capsys: Capture):
    made(call, k=1)
    assert call("personalize", "run", "run", "--rounds", "9")[1]["stopped"]
    status, said = call("personalize", "ask", "run")
    assert (status, said["queries"], said["stopped"][-1]) == (0, [], ".")
    capsys.readouterr()
    assert main(["personalize", "ask", "run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Nothing is asked after round ")
    assert out.endswith("Next: desiderata personalize report run\n")


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        ("human", "`desiderata personalize run run`"),
        ("dreambooth-lower-rate", "--strategy uncertainty` makes"),
    ],
)
def test_a_run_that_asks_nobody_says_so(call: Call, strategy: str, says: str):
    made(call, strategy)
    before = Campaign.open("run").history()
    for words in (["ask", "run"], ["tell", "run", "r001-q01", "new-7.png"], ["skip", "run", "x", "--reason", "y"]):
        status, said = call("personalize", *words)
        assert (status, says in said["error"]) == (2, True)
    assert Campaign.open("run").history() == before


def test_who_picks_is_told_to_once_there_is_something_to_pick_from(call: Call):
    made(call, "human")
    for words in (["pick", "run"], ["pick", "run", "--none"]):
        status, said = call("personalize", *words)
        assert (status, said["error"]) == (
            2,
            "Nothing is drawn to pick from yet: `desiderata personalize run run` draws.",
        )
    picture = Path(call("personalize", "run", "run")[1]["open"][-1]["pictures"][0])
    status, said = call("personalize", "tell", "run", "r001-q01", "new-7.png")
    assert (status, "`desiderata personalize pick run`" in said["error"]) == (2, True)
    status, said = call("personalize", "pick", "run", "99/99")
    named = re.search(r"such as (\d\d)/(\d\d),", said["error"])
    assert status == 2
    assert named
    assert [*picture.parent.parent.glob(f"{named[1]}-*/{named[2]}.png")], "one that there is"


def test_pictures_that_are_known_are_not_told_again(call: Call):
    made(call)
    query = call("personalize", "ask", "run")[1]["queries"][0]["id"]
    before = Campaign.open("run").history()
    drawn, *_ = sorted(Path("run").glob("rounds/001/candidates/*/01.png"))
    tested, *_ = sorted(Path("run").glob("rounds/*/test-*/*/*.png"))
    for files, says in (
        (["new-7.png", "new-7.png"], "the same picture as another of these images"),
        (["new-7.png", "photos/1.png"], "photos/1.png is one of the pictures that it learns from anyway"),
        ([str(drawn)], "01.png was drawn by the generator"),
        ([str(tested)], "was drawn by the generator"),
        (["nosuch.png"], "nosuch.png"),
    ):
        status, said = call("personalize", "tell", "run", query, *files)
        assert (status, says in said["error"]) == (2, True)
    assert Campaign.open("run").history() == before
    status, said = call("personalize", "tell", "run", "r9", "nosuch.png")
    assert (status, said["error"].startswith("There is no query r9")) == (2, True)


def test_the_report_tells_who_brought_what(call: Call):
    made(call)
    first = call("personalize", "ask", "run")[1]["queries"][0]
    assert call("personalize", "tell", "run", first["id"], "new-7.png")[0] == 0
    assert call("personalize", "run", "run", "--rounds", "1")[0] == 0
    assert call("personalize", "report", "run")[0] == 0
    page = Path("run/report.html").read_text().replace("\xa0", " ")
    said = "<em>1 picture</em> of its own and <em>1 picture</em> brought for sentences that it asked about"
    assert said in page
    assert page.count("<b>brought</b>") == page.count("<b>chosen</b>") == 1
    assert "personalize ask run\ndesiderata personalize tell run r001-q01 FILES\n" in page
    assert "desiderata personalize run run --rounds 1" in page
    assert "1 picture chosen, 1 brought" in page
    card = page[page.index("<b>brought</b>") :]
    card = card[: card.index("</li>")]
    assert "similarity" not in card
    assert "the chosen one outlined" not in card
    assert first["text"] in card


def test_the_commands_that_make_a_run_again_tell_who_answered_what(call: Call):
    made(call, "clip-feedback-balance", k=1)
    assert call("personalize", "run", "run", "--rounds", "1")[0] == 0
    query = call("personalize", "ask", "run")[1]["queries"][0]["id"]
    assert call("personalize", "tell", "run", query, "new-7.png")[0] == 0
    query = call("personalize", "ask", "run")[1]["queries"][0]["id"]
    assert call("personalize", "skip", "run", query, "--reason", "no snow here")[0] == 0
    assert call("personalize", "ask", "run")[1]["round"] == 4
    assert commands(Campaign.open("run")).splitlines()[1:] == [
        "desiderata personalize run run --rounds 1",
        "desiderata personalize ask run",
        "desiderata personalize tell run r002-q01 FILES",
        "desiderata personalize ask run",
        "desiderata personalize skip run r003-q01 --reason 'no snow here'",
        "desiderata personalize ask run",
    ], "and nothing of a round that is only asked"


def test_open_questions_are_shown_without_models(call: Call, monkeypatch: pytest.MonkeyPatch):
    made(call)
    said = call("personalize", "ask", "run")[1]
    monkeypatch.setattr(build, "open_run", lambda *_, **__: pytest.fail("models are loaded, which takes long"))
    assert call("personalize", "ask", "run")[1] == said


def test_a_round_of_which_nothing_was_brought_says_so(call: Call, capsys: Capture):
    made(call, "clip-feedback", k=1)
    for number in (1, 2):
        query = call("personalize", "ask", "run")[1]["queries"][0]["id"]
        assert call("personalize", "skip", "run", query, "--reason", "none here")[0] == 0
        capsys.readouterr()
        assert main(["personalize", "ask", "run"]) == 0
        assert f"Round {number} is closed, without anything to learn from: TXT-ALN" in capsys.readouterr().out
    rounds = Campaign.open("run").rounds
    assert rounds[1].metrics["txt_aln"] == rounds[0].metrics["txt_aln"]


def test_a_round_beyond_the_usual_ones_is_gone_on_with_by_its_number(call: Call, capsys: Capture):
    made(call, "clip-feedback", k=1)
    assert call("personalize", "run", "run", "--rounds", "3")[0] == 0
    assert call("personalize", "ask", "run")[1]["round"] == 4
    capsys.readouterr()
    assert main(["personalize", "status", "run"]) == 0
    assert "Next: desiderata personalize run run --rounds 4\n" in capsys.readouterr().out


def test_of_a_style_it_asks_in_other_words(call: Call, capsys: Capture):
    made(call, kind="style")
    capsys.readouterr()
    assert main(["personalize", "ask", "run"]) == 0
    out = capsys.readouterr().out
    assert "Please bring a picture of each, in your ink style:\n  r001-q01  a " in out
    assert "that it drew show what your pictures show instead" in out
    assert "sks" not in out


def test_a_branch_says_how_what_was_brought_is_learnt(call: Call, capsys: Capture):
    made(call, k=1)
    query = call("personalize", "ask", "run")[1]["queries"][0]["id"]
    assert call("personalize", "tell", "run", query, "new-7.png")[0] == 0
    capsys.readouterr()
    assert main(["personalize", "branch", "run", "other"]) == 0
    assert "1 answer of run not learnt yet, and not in other: `desiderata personalize ask run`" in (
        capsys.readouterr().out
    )


def test_pictures_are_brought_from_python(call: Call):
    made(call, k=1)
    query = call("personalize", "ask", "run")[1]["queries"][0]["id"]
    campaign = build.open_run(Path("run"))
    (answer,) = bring(campaign, query, "new-7.png")
    assert (answer.weight, len(campaign.rounds)) == (1.0, 2), "it is learnt at once"

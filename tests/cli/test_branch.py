"""`branch`, in both halves: a run that begins as another did, with other answers or another strategy then."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.taught import ANCHORS, TEST, Drill, Painter, instant, lines, photos
from desiderata.campaign.branching import branch
from desiderata.campaign.loop import Campaign
from desiderata.cli import again, main, personalize_again

Call = Callable[..., tuple[int, dict]]
Capture = pytest.CaptureFixture[str]


# Of a classifier


@pytest.fixture
def answered(run: Path, archive: Path, call: Call) -> Path:
    """Two rounds, answered from an archive."""
    assert call("run", run, "--oracle", "archive", "--archive", archive, "--rounds", "2")[0] == 0
    return run


def test_a_campaign_goes_on_otherwise(answered: Path, archive: Path, call: Call):
    status, said = call("branch", "run", "new", "--round", "1")
    assert (status, said) == (0, {"run": "new", "origin": {"run": "run", "round": 1}, "strategy": "text-influence"})
    told = call("status", "new")[1]
    assert told["rounds"] == call("status", "run")[1]["rounds"][:2]
    assert (told["origin"], call("status", "run")[1]["origin"]) == (said["origin"], None)
    for query in call("ask", "new")[1]["queries"]:
        assert call("skip", "new", query["id"], "--reason", "none here")[0] == 0
    assert call("run", "new", "--oracle", "archive", "--archive", archive, "--rounds", "3")[0] == 0
    assert again.commands(Campaign.open("new")).split("\n")[:3] == [
        "desiderata branch run new --round 1 --strategy text-influence  # the report of run tells how that was made",
        again.BY_HAND,
        "desiderata ask new",
    ]
    assert call("report", "new")[0] == 0
    assert "desiderata branch run new" in Path("new/report.html").read_text()


def test_people_are_told_where_it_came_from(answered: Path, capsys: Capture):
    assert main(["branch", "run", "new", "--strategy", "GenMQD"]) == 0
    assert capsys.readouterr().out == (
        "new: Branched from run after round 2; genmqd decides from there on.\nNext: desiderata ask new\n"
    )
    assert Campaign.open("new").config.strategy == {"name": "genmqd"}
    assert main(["status", "new"]) == 0
    assert "Branched from run after round 2." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "new", "--round", "3"], "Round 3 of run is not closed: give one from 0 to 2."),
        (["run", "new", "--strategy", "human"], "There is no strategy called 'human'"),
        (["run", "run"], "run is a campaign already"),
        (["nowhere", "new"], "nowhere is not a campaign"),
    ],
)
def test_what_cannot_be_branched(words: list[str], says: str, answered: Path, call: Call):
    status, said = call("branch", *words)
    assert (status, said["error"].startswith(says)) == (2, True), said
    assert not Path("new").exists()


# Of a generator


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Call) -> Path:
    """Two rounds that a person picked."""
    instant(monkeypatch)
    photos(tmp_path / "photos")
    lines(tmp_path / "anchors.txt", ANCHORS)
    lines(tmp_path / "test.txt", TEST)
    words = "personalize new toy --images photos --subject toy --setting outdoors --anchors anchors.txt --test"
    more = "test.txt --pictures 2 --k 1 --samples 3 --model painter --encoder judge --strategy human"
    assert call(*words.split(), *more.split(), "--class-pictures", "1")[0] == 0
    for number in (1, 2):
        first = call("personalize", "run", "toy")[1]["open"][0]
        assert call("personalize", "pick", "toy", first["pictures"][number])[0] == 0
    return tmp_path / "toy"


def files(run: str, below: str) -> dict[str, bytes]:
    folder = Path(run, below)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".html"
    }


def test_a_wrong_click_is_mended(taught: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patched:
        patched.setattr(Drill, "train", lambda *_, **__: pytest.fail("what was learnt is learnt again"))
        patched.setattr(Painter, "sample", lambda *_, **__: pytest.fail("what was drawn is drawn again"))
        status, said = call("personalize", "branch", "toy", "better", "--round", "1")
        assert (status, said) == (0, {"run": "better", "origin": {"run": "toy", "round": 1}, "strategy": "human"})
        asked = call("personalize", "run", "better")[1]
    assert [one["number"] for one in asked["rounds"]] == [0, 1]
    for below in ("references", "class", "rounds/000", "rounds/001", "rounds/002/candidates"):
        assert files("better", below) == files("toy", below)
    assert "personalize pick" in Path("better/rounds/002/candidates.html").read_text()
    assert str(taught) not in Path("better/rounds/002/candidates.html").read_text()
    assert not Path("better/rounds/001/candidates.html").exists(), "it tells to pick for the other run"
    other = asked["open"][1]["pictures"][0]
    assert call("personalize", "pick", "better", other)[0] == 0
    assert {one.query_id for one in Campaign.open("better").answers if one.image} == {
        Campaign.open("toy").answers[0].query_id,
        asked["open"][1]["id"],
    }
    assert call("personalize", "report", "better")[0] == 0
    assert personalize_again.commands(Campaign.open("better")).split("\n") == [
        "desiderata personalize branch toy better --round 1 --strategy human  # the report of toy tells how that was "
        "made",
        "desiderata personalize run better --rounds 2",
        "desiderata personalize pick better PICTURES  # after each round",
    ]


def test_another_strategy_goes_on(taught: Path, call: Call, capsys: Capture):
    before = Campaign.open("toy").history()
    assert main(["personalize", "branch", "toy", "new", "--round", "0", "--strategy", "clip-feedback-balance"]) == 0
    assert capsys.readouterr().out == (
        "new: Branched from toy after round 0; clip-feedback-balance decides from there on.\n"
        "Next: desiderata personalize run new\n"
    )
    assert Campaign.open("new").config.strategy == {"name": "clip-feedback-balance", "k": 1, "samples": 3}
    status, said = call("personalize", "run", "new", "--rounds", "2")
    assert (status, [one["number"] for one in said["rounds"]]) == (0, [0, 1, 2])
    assert said["rounds"][0] == call("personalize", "status", "toy")[1]["rounds"][0]
    assert all(0 < one.weight < 0.01 for one in Campaign.open("new").answers)
    assert call("personalize", "status", "new")[1]["origin"] == {"run": "toy", "round": 0}
    assert main(["personalize", "status", "new"]) == 0
    assert "Branched from toy after round 0." in capsys.readouterr().out
    assert Campaign.open("toy").history() == before
    assert personalize_again.commands(Campaign.open("new")).count("\n") == 1, "nobody picked since"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["toy", "new", "--round", "3"], "Round 3 of toy is not closed: give one from 0 to 2."),
        (["toy", "new", "--strategy", "genmqd"], "No strategy is called 'genmqd'"),
        (["toy", "new", "--strategy", "dreambooth"], "The strategy dreambooth cannot be made"),
        (["toy", "photos/new"], "photos/new lies in the folder of your pictures"),
        (["toy", "toy"], "toy is a campaign already"),
    ],
)
def test_what_a_generator_cannot_branch(words: list[str], says: str, taught: Path, call: Call):
    status, said = call("personalize", "branch", *words)
    assert (status, said["error"].startswith(says)) == (2, True), said
    assert not Path("new").exists()


def test_a_run_that_has_learnt_nothing_is_not_branched(taught: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    branch("toy", "stopped", round=0)
    store = Campaign.open("stopped").store
    with store.writing() as connection:
        connection.exec_driver_sql("DELETE FROM rounds")
    status, said = call("personalize", "branch", "stopped", "new")
    assert (status, said["error"]) == (2, "stopped has no closed round yet: go on with it first.")

"""`branch`, in both halves: a run that begins as another did, with other answers or another strategy then."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import save
from contracts.taught import ANCHORS, TEST, Drill, Painter, instant, lines, photos
from desiderata import branch
from desiderata.campaign import branching as campaign_branching
from desiderata.campaign.branching import asked_by
from desiderata.campaign.config import Config
from desiderata.campaign.loop import Campaign
from desiderata.cli import again, main, personalize_again
from desiderata.errors import DesiderataError
from desiderata.personalize import branching
from desiderata.report.personalize_words import method

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
    origin = {"run": "run", "round": 1}
    assert (status, said) == (
        0,
        {"run": "new", "origin": origin, "strategy": "text-influence", "left_behind": 0},
    )
    told = call("status", "new")[1]
    assert told["rounds"] == call("status", "run")[1]["rounds"][:2]
    assert (told["origin"], call("status", "run")[1]["origin"]) == (said["origin"], None)
    for query in call("ask", "new")[1]["queries"]:
        assert call("skip", "new", query["id"], "--reason", "none here")[0] == 0
    assert call("run", "new", "--oracle", "archive", "--archive", archive, "--rounds", "3")[0] == 0
    assert again.commands(Campaign.open("new")).split("\n")[:3] == [
        "desiderata branch run new --round 1  # the report of run tells how that was made",
        again.BY_HAND,
        "desiderata ask new",
    ]
    assert call("report", "new")[0] == 0
    assert "desiderata branch run new" in Path("new/report.html").read_text()
    assert "from run, whose rounds up to 1 are this run" in Path("new/report.html").read_text()


def test_who_asked_stays_known(answered: Path, archive: Path, call: Call):
    assert call("branch", "run", "new", "--strategy", "random-text")[0] == 0
    assert asked_by(Campaign.open("new")) == [(2, "text-influence")]
    assert call("ask", "new")[0] == call("report", "new")[0] == 0
    page = Path("new/report.html").read_text()
    assert all(f">{name}</dt>" in page for name in ("TextInfluence", "RandomText")), "one asked what is open"
    assert "TextInfluence, then RandomText" not in page, "nothing that it asked is learnt yet"
    assert call("run", "new", "--oracle", "archive", "--archive", archive, "--rounds", "3")[0] == 0
    assert asked_by(Campaign.open("new")) == [(2, "text-influence"), (3, "random-text")]
    assert call("branch", "new", "back", "--strategy", "text-influence")[0] == 0
    assert asked_by(Campaign.open("back")) == [(2, "text-influence"), (3, "random-text")]
    assert call("report", "new")[0] == 0
    page = Path("new/report.html").read_text()
    assert "TextInfluence, then RandomText" in page
    assert all(f">{name}</dt>" in page for name in ("TextInfluence", "RandomText")), "each is explained"
    assert call("export", "new", "classifier")[0] == 0
    assert '"strategy": "text-influence, then random-text"' in Path("classifier/card.json").read_text()
    assert (
        again.commands(Campaign.open("new"))
        .split("\n")[0]
        .startswith("desiderata branch run new --round 2 --strategy random-text  #")
    )


def test_a_run_of_the_same_name_elsewhere(answered: Path, call: Call, tmp_path: Path):
    assert call("branch", "run", tmp_path / "other" / "run", "--round", "1")[0] == 0
    made = again.commands(Campaign.open(tmp_path / "other" / "run"))
    assert made.split("\n")[0].startswith("desiderata branch run run-branch --round 1  #")


def test_what_is_taken_back_in_rounds_that_are_shared_comes_along(run: Path, archive: Path, call: Call):
    call("ask", run)
    call("skip", run, "r001-q01", "--reason", "by mistake")
    call("undo", run, "r001-q01")
    assert call("run", run, "--oracle", "archive", "--archive", archive, "--rounds", "1")[0] == 0
    assert call("branch", "run", "new")[0] == 0
    assert call("status", "new")[1]["undone"] == 1
    assert again.UNDONE not in again.commands(Campaign.open("new"))


def test_settings_go_on_with_the_strategy_that_they_are_of(answered: Path, call: Call):
    file = answered / "campaign.toml"
    file.write_text(file.read_text().replace('name = "text-influence"', 'name = "text-influence"\nbest = 1'))
    for number, (more, kept) in enumerate(
        [
            ([], {"name": "text-influence", "best": 1}),
            (["--strategy", "text-influence"], {"name": "text-influence", "best": 1}),
            (["--strategy", "genmqd"], {"name": "genmqd"}),
        ]
    ):
        assert call("branch", "run", f"new{number}", *more)[0] == 0
        assert Campaign.open(f"new{number}").config.strategy == kept


def test_settings_are_given_in_python(answered: Path):
    branch("run", "new", settings={"best": 1})
    assert Campaign.open("new").config.strategy == {"name": "text-influence", "best": 1}
    assert (
        again.commands(Campaign.open("new"))
        .split("\n")[0]
        .endswith("with the settings {'best': 1}, which Python takes")
    )
    for strategy, known in (("genmqd", "it has "), (None, "it has ")):
        with pytest.raises(DesiderataError, match=f"has no setting 'k': {known}"):
            branch("run", "other", strategy=strategy, settings={"k": 2})
    assert not Path("other").exists()


def test_answers_that_are_not_learnt_stay_behind_and_it_is_said(
    answered: Path, archive: Path, call: Call, capsys: Capture
):
    first = call("ask", "run")[1]["queries"][0]
    picture = save(answered.parent / "picture.png", first["label"], 500)
    assert call("tell", "run", first["id"], picture)[0] == 0
    assert call("branch", "run", "new")[1]["left_behind"] == 1
    assert main(["branch", "run", "again"]) == 0
    assert (
        "1 answer of run not learnt yet, and not in again: `desiderata ask run` learns such, before a branch.\n"
        in capsys.readouterr().out
    )
    assert call("branch", "run", "earlier", "--round", "1")[1]["left_behind"] == 0


def test_one_that_was_made_in_python_is_opened_there(answered: Path, capsys: Capture):
    (answered / "campaign.toml").write_text(Config().to_toml())
    assert main(["branch", "run", "new"]) == 0
    assert capsys.readouterr().out == (
        "new: Branched from run after round 2.\nNext, in Python: Campaign.open('new', learner=..., strategy=...)\n"
    )


def test_people_are_told_where_it_came_from(answered: Path, capsys: Capture):
    assert main(["branch", "run", "new", "--strategy", "GenMQD"]) == 0
    assert capsys.readouterr().out == (
        "new: Branched from run after round 2; genmqd decides from there on.\nNext: desiderata ask new\n"
    )
    assert Campaign.open("new").config.strategy == {"name": "genmqd"}
    assert main(["status", "new"]) == 0
    assert "Branched from run after round 2; genmqd decides from there on." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "new", "--round", "3"], "Round 3 of run is not closed: give one from 0 to 2"),
        (["run", "new", "--strategy", "human"], "There is no strategy called 'human'"),
        (["run", "run"], "run is a campaign already"),
        (["run", "images/new"], "images/new lies in the folder of your pictures"),
        (["run", "run/new"], "run/new lies in the folder of the run"),
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
        assert (status, said) == (
            0,
            {"run": "better", "origin": {"run": "toy", "round": 1}, "strategy": "human", "left_behind": 0},
        )
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
    cell = f"{Path(other).parent.name[:2]}/{Path(other).stem}"
    assert personalize_again.commands(Campaign.open("better")).split("\n") == [
        "desiderata personalize branch toy better --round 1  # the report of toy tells how that was made",
        "desiderata personalize run better",
        f"desiderata personalize pick better {cell}",
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
    assert "Branched from toy after round 0; clip-feedback-balance decides from there" in capsys.readouterr().out
    assert Campaign.open("toy").history() == before
    assert personalize_again.commands(Campaign.open("new")).count("\n") == 1, "nobody picked since"


def test_one_that_would_choose_the_same_again_says_so(taught: Path, call: Call, capsys: Capture):
    same = "It chooses the same pictures as chooses, unless others are brought, or an option says otherwise."
    assert call("personalize", "branch", "toy", "chooses", "--round", "0", "--strategy", "clip-feedback")[0] == 0
    assert call("personalize", "run", "chooses", "--rounds", "2")[0] == 0
    for words, said in (
        (["--round", "1"], True),
        ([], False),  # it goes on where the other one has not been yet
        (["--round", "1", "--strategy", "random"], False),
        (["--round", "1", "--strategy", "human"], False),
    ):
        capsys.readouterr()
        assert main(["personalize", "branch", "chooses", f"new-{len(words)}-{words[-1:]}", *words]) == 0
        assert (same in capsys.readouterr().out) == said, words


def test_one_that_would_choose_otherwise_does_not_say_so(taught: Path, call: Call, capsys: Capture):
    assert call("personalize", "branch", "toy", "one", "--round", "0", "--strategy", "random")[0] == 0
    assert call("personalize", "run", "one", "--rounds", "1")[0] == 0
    assert call("personalize", "branch", "one", "two", "--strategy", "clip-feedback")[0] == 0
    assert call("personalize", "ask", "two")[0] == call("personalize", "report", "two")[0] == 0
    page = Path("two/report.html").read_text()
    assert all(method(name) in page for name in ("random", "clip-feedback")), "one chose what is open"
    assert call("personalize", "run", "two", "--rounds", "2")[0] == 0
    three = ["personalize", "branch", "two", "three", "--round", "0"]  # round 1 was chosen at random
    assert call("personalize", "branch", "one", "told", "--round", "0")[0] == 0
    save(Path("photo.png"), "red", 7)
    query = call("personalize", "ask", "told")[1]["queries"][0]["id"]
    assert call("personalize", "tell", "told", query, "photo.png")[0] == 0
    assert call("personalize", "run", "told", "--rounds", "1")[0] == 0
    four = ["personalize", "branch", "told", "four", "--round", "0"]  # round 1 was answered by somebody
    for words in (three, four):
        capsys.readouterr()
        assert main(words) == 0
        assert "It chooses the same" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["toy", "new", "--round", "3"], "Round 3 of toy is not closed: give one from 0 to 2"),
        (["toy", "new", "--strategy", "genmqd"], "No strategy is called 'genmqd'"),
        (["toy", "photos/new"], "photos/new lies in the folder of your pictures"),
        (["toy", "others/new"], "others/new lies in the folder of your pictures"),
        (["toy", "toy"], "toy is a campaign already"),
    ],
)
def test_what_a_generator_cannot_branch(words: list[str], says: str, taught: Path, call: Call):
    file = taught / "campaign.toml"
    others = photos(Path("others")).resolve()
    file.write_text(
        file.read_text().replace('kind = "references"', f'kind = "references"\nclass_images = "{others}"')
    )
    status, said = call("personalize", "branch", *words)
    assert (status, said["error"].startswith(says)) == (2, True), said
    assert not Path("new").exists()


def test_a_strategy_has_what_it_takes_of_the_settings(taught: Path, call: Call):
    for strategy, kept in (
        ("dreambooth", {}),
        ("dreambooth-equal-steps", {"k": 1}),
        ("dreambooth-lower-rate", {"k": 1, "samples": 3}),
    ):
        assert call("personalize", "branch", "toy", strategy, "--round", "0", "--strategy", strategy)[0] == 0
        assert Campaign.open(strategy).config.strategy == {"name": strategy, **kept}


def test_settings_are_changed_from_there_on(taught: Path, call: Call):
    call("personalize", "run", "toy")  # draws three for each sentence, of which two are enough for the branch
    words = ["--strategy", "clip-feedback-balance", "--k", "2", "--samples", "2", "--rate", "0.02"]
    assert call("personalize", "branch", "toy", "new", *words)[0] == 0
    changed = {"name": "clip-feedback-balance", "k": 2, "samples": 2, "rate": 0.02}
    assert Campaign.open("new").config.strategy == changed
    assert Campaign.open("toy").config.strategy == {"name": "human", "k": 1, "samples": 3}
    drawn = [path.name for path in Path("new/rounds/003/candidates").rglob("*.png")]
    assert set(drawn) == {"00.png", "01.png"}
    said = call("personalize", "run", "new", "--rounds", "3")[1]
    assert (said["rounds"][3]["examples"], said["rounds"][2]["examples"]) == (4, 2)
    assert personalize_again.commands(Campaign.open("new")).split("\n")[0] == (
        "desiderata personalize branch toy new --round 2 --strategy clip-feedback-balance --k 2 --samples 2 --rate "
        "0.02  # the report of toy tells how that was made"
    )
    assert call("personalize", "branch", "new", "same", "--k", "1")[0] == 0
    assert Campaign.open("same").config.strategy == changed | {"k": 1}


def test_a_setting_that_the_strategy_has_not_is_refused(taught: Path, call: Call):
    for words, says in (
        (["--rate", "0.1"], "--rate is that of balance, which human is without: take human-balance."),
        (["--strategy", "dreambooth", "--k", "2"], "--k makes no difference to the strategy dreambooth"),
    ):
        status, said = call("personalize", "branch", "toy", "new", *words)
        assert (status, said["error"].startswith(says)) == (2, True), said
    with pytest.raises(DesiderataError, match="k is 0, but must be a whole number"):
        branch("toy", "new", settings={"k": 0})
    assert not Path("new").exists()


def test_more_sentences_are_asked_for_than_there_are(taught: Path, call: Call):
    file = taught / "campaign.toml"
    file.write_text(file.read_text().replace("k = 1", "k = 9"))
    status, said = call("personalize", "branch", "toy", "new", "--strategy", "uncertainty")
    assert (status, "while 9 sentences are undecided (Eq. 10), and there are 2 left" in said["error"]) == (2, True)


def test_what_learns_from_the_references_alone_begins_where_nothing_else_was_learnt(taught: Path, call: Call):
    for strategy in ("dreambooth-lower-rate", "dreambooth-equal-steps"):
        status, said = call("personalize", "branch", "toy", "new", "--strategy", strategy)
        assert (status, "learns from the references alone, and other pictures had" in said["error"]) == (2, True)
    assert not Path("new").exists()


def test_a_branch_of_a_branch_names_what_was_named(taught: Path, call: Call):
    assert call("personalize", "branch", "toy", "one", "--strategy", "clip-feedback")[0] == 0
    assert call("personalize", "branch", "one", "two", "--strategy", "human")[0] == 0
    assert call("personalize", "branch", "two", "three")[0] == 0
    made = [personalize_again.commands(Campaign.open(run)).split("  #")[0] for run in ("one", "two", "three")]
    assert made == [
        "desiderata personalize branch toy one --round 2 --strategy clip-feedback",
        "desiderata personalize branch one two --round 2 --strategy human",
        "desiderata personalize branch two three --round 2",
    ]


def test_a_usual_setting_that_is_said_changes_nothing(taught: Path, call: Call, capsys: Capture):
    assert call("personalize", "branch", "toy", "by-itself", "--round", "0", "--strategy", "clip-feedback")[0] == 0
    file = Path("by-itself/campaign.toml")
    file.write_text(file.read_text().replace("k = 1\n", ""))  # so that it is 3
    assert call("personalize", "run", "by-itself", "--rounds", "1")[0] == 0
    for k, said in (("3", True), ("2", False)):
        capsys.readouterr()
        assert main(["personalize", "branch", "by-itself", f"new{k}", "--round", "0", "--k", k]) == 0
        assert ("It chooses the same pictures as" in capsys.readouterr().out) == said


def test_what_nobody_was_to_pick_from_does_not_end_a_run(taught: Path, call: Call):
    assert call("personalize", "branch", "toy", "one", "--round", "0", "--strategy", "clip-feedback")[0] == 0
    for query in call("personalize", "ask", "one")[1]["queries"]:
        assert call("personalize", "skip", "one", query["id"], "--reason", "none")[0] == 0
    assert call("personalize", "ask", "one")[0] == 0  # closes round 1
    assert call("personalize", "branch", "one", "two", "--round", "1", "--strategy", "human")[0] == 0
    said = call("personalize", "run", "two")[1]
    assert (said["stopped"], len(said["open"])) == (None, len(ANCHORS) - 1)


@pytest.mark.skipif(os.name == "nt", reason="modes are not kept there")
def test_what_is_shared_with_the_other_run_keeps_its_mode(taught: Path, call: Call):
    weights = sorted(taught.rglob("*.safetensors"))
    for file in weights:
        file.chmod(0o444)
    assert call("personalize", "branch", "toy", "new")[0] == 0
    assert {file.stat().st_mode & 0o777 for file in weights} == {0o444}


def test_next_is_another_round_where_there_were_as_many_as_usual(taught: Path, call: Call, capsys: Capture):
    first = call("personalize", "run", "toy")[1]["open"][0]
    assert call("personalize", "pick", "toy", first["pictures"][0])[0] == 0
    assert main(["personalize", "branch", "toy", "new"]) == 0
    assert capsys.readouterr().out.endswith("or another round: desiderata personalize run new --rounds 4\n")


def test_a_run_that_draws_meanwhile_is_branched_with_what_there_is(
    taught: Path, call: Call, monkeypatch: pytest.MonkeyPatch
):
    """Files come and go while they are copied; what is lacking is drawn anew."""
    link = os.link

    def draws(source: str, target: Path) -> None:
        asked = call("personalize", "run", "toy")[1]["open"]
        Path(asked[0]["pictures"][0]).with_name(".00.png.abcd").touch()
        link(source, target)

    listed = branching.files

    def vanishing(run: Path, number: int, config: Config) -> Iterator[str]:
        yield from listed(run, number, config)
        yield "rounds/003/candidates/00-gone/00.png"

    monkeypatch.setattr(campaign_branching.os, "link", draws)
    monkeypatch.setattr(branching, "files", vanishing)
    assert call("personalize", "branch", "toy", "new", "--round", "2")[0] == 0
    monkeypatch.undo()
    monkeypatch.chdir(taught.parent)
    instant(monkeypatch)
    assert not list(Path("new").rglob(".*"))
    asked = call("personalize", "run", "new")[1]["open"]
    assert [len(one["pictures"]) for one in asked] == [3] * (len(ANCHORS) - 2)
    assert call("personalize", "pick", "new", asked[1]["pictures"][2])[0] == 0


def test_a_picture_that_is_missing_among_the_next_is_drawn_anew(taught: Path, call: Call):
    asked = call("personalize", "run", "toy")[1]["open"]
    Path(asked[0]["pictures"][1]).unlink()
    assert call("personalize", "branch", "toy", "new")[0] == 0
    there = call("personalize", "run", "new")[1]["open"]
    assert [len(one["pictures"]) for one in there] == [3] * len(there)


def test_the_report_and_the_card_tell_who_chose(taught: Path, call: Call, tmp_path: Path):
    assert call("personalize", "branch", "toy", "new", "--round", "1", "--strategy", "clip-feedback")[0] == 0
    assert call("personalize", "run", "new", "--rounds", "2")[0] == 0
    assert call("personalize", "report", "new")[0] == 0
    page = Path("new/report.html").read_text()
    assert "Up to round 1 it leaves it to a person to pick" in page
    assert "After that it takes the sentences whose best picture CLIP finds nearest" in page
    assert "from toy, whose rounds up to 1 are this run" in page


def test_a_run_that_has_learnt_nothing_is_not_branched(taught: Path, call: Call, monkeypatch: pytest.MonkeyPatch):
    branch("toy", "stopped", round=0)
    store = Campaign.open("stopped").store
    with store.writing() as connection:
        connection.exec_driver_sql("DELETE FROM rounds")
    status, said = call("personalize", "branch", "stopped", "new")
    assert (status, said["error"]) == (2, "stopped has no closed round yet: go on with it first.")

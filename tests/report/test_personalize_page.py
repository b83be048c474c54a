"""From a run that teaches a generator to its report, for every way of choosing, and in a browser."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from contracts.taught import ANCHORS, TEST, Painter, instant, photos
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Round
from desiderata.errors import DesiderataError
from desiderata.personalize.answers import OwnSamples, candidate_files
from desiderata.personalize.learner import PersonalizeLearner
from desiderata.personalize.picking import pick
from desiderata.personalize.quickstart import new_campaign
from desiderata.personalize.subject import Subject
from desiderata.report import Report, personalize, personalize_words, write_report
from desiderata.report.page import render
from desiderata.report.personalize import of_campaign, overview
from desiderata.report.words import SPACE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def taught(folder: Path, strategy: str = "uncertainty-balance", rounds: int = 2, **changes) -> Campaign:
    """Make a run of parts that take no time."""
    with pytest.MonkeyPatch.context() as patched:
        instant(patched, changes.pop("generator", None))
        own = {} if strategy == "dreambooth" else {"k": 1} if "steps" in strategy else {"k": 1, "samples": 3}
        settings = {
            "subject": "toy",
            "setting": "on a wooden table",
            "generator": "painter",
            "encoder": "judge",
            "strategy": {"name": strategy, **own},
            "anchors": ANCHORS,
            "test": TEST,
            "trainer": {"name": "dreambooth", "class_pictures": 1},
            "pictures": 2,
        }
        made = new_campaign(folder / "run", photos(folder / "photos"), **{**settings, **changes})
        if not strategy.startswith("human"):
            made.run(OwnSamples(made), rounds=rounds)
    return made


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return taught(tmp_path_factory.mktemp("usual"))


@pytest.fixture(scope="module")
def report(usual: Campaign) -> Report:
    return of_campaign(Campaign.open(usual.path), command="desiderata personalize new run")  # no model is loaded


def html(report: Report, name: str) -> str:
    return next(part.html for part in report.sections if part.name == name)


def test_what_a_run_shows(report: Report):
    assert [part.name for part in report.sections] == ["references", "grid", "curves", "choices", "end"]
    assert html(report, "references").count('alt="A reference: a sks toy on a wooden table"') == 2
    grid = html(report, "grid")
    assert grid.count("<img") == len(TEST) * 3 * 2
    assert grid.count('alt="Round 2: a sks toy in a room"') == 2
    assert grid.count('alt="Start: a blueprint of a sks toy"') == 2
    assert grid.count('scope="col">round ') == 4
    curves = html(report, "curves")
    assert 'class="figure three-wide"' in curves
    assert 'class="figure three-narrow"' in curves
    assert all(f"{name} (" in curves for name in ("TXT-ALN", "IMG-ALN", "OVF"))
    assert curves.count("<tr><th scope=") == 1 + 3


def test_what_was_chosen_and_why(usual: Campaign, report: Report):
    choices = html(report, "choices")
    assert "takes the sentences about which it is most undecided" in choices
    for query, answer in zip(usual.queries, usual.answers):
        assert f"“{query.text}”" in choices
        assert f"<dd>{answer.weight:.3g}</dd>" in choices
    for name in ("overfitted", "entropy", "margin", "similarity", "rank", "weight"):
        assert choices.count(f"<div><dt>{name}</dt>") >= 2
    assert choices.count('class="taken"') == 2
    assert choices.count('class="leading"') == 2
    assert "It was undecided about " in choices
    assert "it was left after round 2, with 2" in html(report, "end")


def test_the_page_needs_nothing_else_and_tells_how_to_do_it_again(report: Report):
    page = render(report)
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "").replace(
        "http://www.w3.org/1999/xlink", ""
    )
    assert '<a href="#choices">What it chose</a>' in page
    assert report.reproduce["Command"] == "desiderata personalize new run"
    assert report.reproduce["Strategy"] == "uncertainty-balance, k 1, samples 3"
    assert report.reproduce["Subject"] == "object, “sks toy”, shown on a wooden table"
    assert "learning rate" in report.reproduce["Trainer"]


def test_a_run_as_a_section_of_another_report(usual: Campaign):
    part = overview(usual, "A <new> thing")
    assert part.html.count("<h2>") == 1
    assert "A &lt;new&gt; thing" in part.html
    assert part.html.count("<h3>") == 2
    page = render(Report(title="t", sections=[part]))
    assert page.count('<section id="generator">') == 1


def test_names_that_are_markup_are_words(tmp_path: Path):
    made = taught(tmp_path, rounds=0, subject='"><script>alert(1)</script>')
    page = render(of_campaign(made))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        ("dreambooth", "It learns from the references alone."),
        ("random", "takes sentences at random"),
        ("clip-feedback", "CLIP finds nearest"),
        ("dreambooth-equal-steps", "Nothing was drawn: the references were learnt beside 1"),
        ("dreambooth-lower-rate", "so that it learns anew at 0.5 times its learning rate."),
        ("uncertainty-balance-steady", "times its learning rate, with which what is added makes no step longer."),
    ],
)
def test_every_way_of_choosing(strategy: str, says: str, tmp_path: Path):
    report = of_campaign(taught(tmp_path, strategy, 1))
    assert says in html(report, "choices")
    assert ('class="card"' in html(report, "choices")) == (not strategy.startswith("dreambooth"))
    assert "Do it again" in render(report)
    if strategy == "random":
        assert "entropy</dt>" not in html(report, "choices").split("</details>")[1]
    if strategy == "dreambooth-lower-rate":
        assert f"with 4{SPACE}sentences of its pool not learnt from" in html(report, "end")
    if strategy == "dreambooth":
        assert "It stopped by itself after round 0. It learns" in html(report, "end")


def test_a_person_who_picks(tmp_path: Path):
    made = taught(tmp_path, "human")
    report = of_campaign(made)
    assert "It has not chosen anything yet." in html(report, "choices")
    queries = made.ask()
    assert f"round 1 is open, with 4{SPACE}sentences to decide on" in html(of_campaign(made), "end")
    pick(made, candidate_files(made, queries[1])[2])
    choices = html(of_campaign(made), "choices")
    assert f"1{SPACE}picture chosen, 3{SPACE}sentences passed over" in choices
    assert f"“{queries[1].text}”" in choices
    assert "<dt>similarity</dt>" not in choices.split("</details>")[1], "it would be that of another picture"
    assert of_campaign(made).notes == [], "what was passed over was not left out"


def test_what_is_chosen_and_not_learnt_yet(tmp_path: Path):
    made = taught(tmp_path, rounds=0)
    with pytest.MonkeyPatch.context() as patched:
        instant(patched)
        (query,) = made.ask()
    assert "chosen, not learnt yet" in html(of_campaign(made), "choices")
    made.skip(query, "no")
    assert any("no" in note for note in of_campaign(made).notes)


def test_nothing_measured(tmp_path: Path):
    report = of_campaign(taught(tmp_path, rounds=1, pictures=0))
    assert [part.name for part in report.sections] == ["references", "choices", "end"]
    assert "Nothing was measured" in report.notes[0]
    assert (
        report.summary
        == f"A generator was taught “sks toy” from 2{SPACE}pictures. Then it learnt from 1{SPACE}picture of its own."
    )


def test_pictures_that_were_blacked_out(tmp_path: Path):
    report = of_campaign(taught(tmp_path, rounds=1, generator=Painter(blanks=("blueprint", "snow"))))
    assert html(report, "grid").count("no picture") == 4
    assert "blacked out by the safety checker could not be chosen" in html(report, "choices")
    assert report.notes[0].startswith(f"Round 0: 2{SPACE}test pictures blacked out")


def test_of_many_rounds_and_sentences_not_all_are_shown_at_once(usual: Campaign, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(personalize, "MOST_ROUNDS", 2)
    monkeypatch.setattr(personalize, "MOST_ROWS", 1)
    grid = html(of_campaign(usual), "grid")
    assert f"1{SPACE}round in between left out" in grid
    assert grid.count("<img") == len(TEST) * 2 * 2
    assert f"<summary>1{SPACE}more sentence</summary>" in grid


def test_a_run_that_has_learnt_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PersonalizeLearner, "evaluate", stop)
    with pytest.raises(KeyboardInterrupt):
        taught(tmp_path)
    with pytest.raises(DesiderataError, match="has learnt nothing yet"):
        of_campaign(Campaign.open(tmp_path / "run"))


def test_the_headline_claims_no_more_than_its_interval():
    toy = Subject.of("toy", setting="here")

    def said(*ovf: float, pictures: int = 80, more: dict | None = None, **told) -> str:
        rounds = [Round(i, i, {"ovf": one, "pictures": pictures, **(more or {})}) for i, one in enumerate(ovf)]
        told = {"added": 3 * (len(ovf) - 1)} | told
        return personalize_words.headline(toy, 1, rounds, **told).replace(SPACE, " ")

    shows = "of test pictures show the references' surroundings instead of what was asked"
    begins = "A generator was taught “sks toy” from 1 picture."
    assert said(0.4) == f"{begins} So far, 40.0 % {shows}."
    halt = "Then it stopped by itself, and chose none of its own to learn from"
    assert said(0.4, stopped=True) == f"{begins} {halt}: 40.0 % {shows}."
    style, rounds = (
        Subject.of("mosaic style", kind="style", setting="a cat"),
        [Round(0, 0, {"ovf": 0.4, "pictures": 9})],
    )
    assert "show what is in the references instead" in personalize_words.headline(style, 1, rounds)
    assert (
        said(0.4, 0.1) == f"{begins} Then it learnt from 3 pictures of its own: 10.0 % {shows}, after 40.0 % before."
    )
    again = "Then it learnt them anew, 2 times"
    assert said(0.4, 0.3, 0.1, added=0, again=2) == f"{begins} {again}: 10.0 % {shows}, after 40.0 % before."
    slower = "Then it learnt them anew at 0.25 times the learning rate"
    assert said(0.4, 0.1, added=0, again=2, more={"pace": 0.25}).startswith(f"{begins} {slower}: 10.0 %")
    own = "Then it learnt from 3 pictures of its own, at 0.65 times the learning rate"
    assert said(0.4, 0.1, more={"pace": 0.65}).startswith(f"{begins} {own}: 10.0 %")
    assert said(0.4, 0.4, added=0) == f"{begins} So far, 40.0 % {shows}.", "nothing was picked, nothing learnt"
    assert said(0.4, 0.35).endswith("after 40.0 % before, which is no clear change.")
    assert said(0.4, 0.4).endswith(f"40.0 % {shows}, as before.")


def test_below_the_headline_stand_the_other_two_figures():
    rounds = [Round(i, i, {"ovf": 0.4 - 0.1 * i, "txt_aln": 0.7, "img_aln": 0.5 + 0.1 * i}) for i in range(2)]
    both = "TXT-ALN went from 0.700 to 0.700 and IMG-ALN went from 0.500 to 0.600."
    assert personalize_words.alignments(rounds) == both
    assert personalize_words.alignments(rounds[:1]) == "", "nothing went anywhere yet"
    assert personalize_words.alignments([Round(i, i, {"ovf": 0.4}) for i in range(2)]) == ""
    assert both in render(Report("run", summary="What came of it.", beneath=both))


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed, so pages cannot be looked at")
def test_it_fits_a_phone_and_a_desktop(report: Report, tmp_path: Path):
    write_report(report, tmp_path / "report.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for width in (320, 375, 1280):
            page = browser.new_page(viewport={"width": width, "height": 800})
            complaints: list[str] = []
            page.on("console", lambda message: complaints.append(message.text))  # noqa: B023
            page.goto((tmp_path / "report.html").as_uri())
            assert complaints == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            sizes = page.evaluate(
                "[...document.querySelectorAll('.grid img')].filter(one => one.checkVisibility())"
                ".map(one => one.getBoundingClientRect().width)"
            )
            assert len(sizes) == len(TEST) * 3
            assert max(sizes) <= 128
            assert min(sizes) >= 60
            assert page.locator("svg.figure:visible").count() == 1
            assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
            assert page.get_by_role("columnheader", name="round 2").first.is_visible()
            assert page.get_by_role("rowheader", name="“a sks toy in a room”").first.is_visible()
            page.close()
        browser.close()

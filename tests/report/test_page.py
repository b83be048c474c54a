import base64
import hashlib
import re
import time
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import fake_report
import numpy as np
import pytest

from desiderata.errors import DesiderataError
from desiderata.report import Asked, Confusion, Curve, FeatureMap, Report, words, write_report
from desiderata.report.build import NAMES
from desiderata.report.page import render

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects elements and insists that they nest."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.text, self._open, self.raw = [], "", [], {}
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in ("style", "script"):
            self.raw[self._open[-1]] = self.raw.get(self._open[-1], "") + data
        else:
            self.text += data

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def full():
    return fake_report.full()


@pytest.fixture(scope="module")
def html(full):
    return render(full)


def one(**changes):
    given = {"round": 1, "label": "cat", "text": "a cat next to a guitar"} | changes
    return Asked(**given)


def test_every_part_is_there_in_order(html):
    order = ["curves", "asked", "gains", "confusion", "map", "reproduce", "notes"]
    places = [html.index(f'<section id="{name}">') for name in order]
    assert places == sorted(places)
    page = Page(html)
    assert len([a for a in page.named("li") if "card" in a.get("class", "").split()]) == 100


def test_nothing_is_fetched(html):
    for tag, attributes in Page(html).elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "#").startswith(("data:", "#")), (tag, attributes[name][:80])
    assert not re.search(r"https?:|url\((?!#)|@import|<iframe|<object", html)


def test_policy_allows_this_style_and_script_alone(html):
    page = Page(html)
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        assert len(page.named(tag)) == 1
        digest = base64.b64encode(hashlib.sha256(page.raw[tag].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    for _, attributes in page.elements:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)


def test_ids_are_unique_and_references_resolve(html):
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    referred = {a["href"][1:] for _, a in page.elements if a.get("href", "").startswith("#")}
    referred |= {match for _, a in page.elements for match in re.findall(r"url\(#(.+?)\)", a.get("clip-path", ""))}
    assert referred <= set(ids)


def test_the_same_report_gives_the_same_bytes(full, html):
    assert render(full) == html


EVIL = '<script>alert("1")</script>'


def test_everything_written_by_others_is_escaped():
    image = np.zeros((8, 8, 3), np.uint8)
    counts = np.array([[3, 1], [2, 2]])
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    none = np.zeros((0, 2))
    report = Report(
        title=EVIL,
        curves=[
            Curve(EVIL, np.array([0, 1]), np.array([[0.4, 0.5]])),
            Curve("b", np.array([0, 1]), np.array([[0.4, 0.5]])),
        ],
        control="b",
        asked=[
            one(label=EVIL, text=EVIL, evidence={EVIL: 0.5}, images=[image], shown=["cat" + EVIL], id=EVIL),
            one(label=EVIL, text=EVIL, skipped=EVIL),
        ],
        confusion=Confusion((EVIL, '" onload="x'), counts, counts[::-1]),
        feature_map=FeatureMap(points, none, none, none, (EVIL, EVIL), (), (), (), method=EVIL),
        reproduce={"Command": EVIL, EVIL: EVIL},
        notes=[EVIL],
    )
    html = render(report)
    page = Page(html)
    assert len(page.named("script")) == 1
    assert "alert" not in page.raw["script"]
    assert EVIL not in html
    assert EVIL in page.text
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_an_empty_report_says_so():
    page = Page(render(Report(title="nothing yet")))
    assert "has not been measured yet" in page.text
    assert not page.named("form")
    assert not page.named("img")


def test_before_the_first_round():
    page = Page(render(Report(title="new", curves=[Curve("GenMQD", np.array([0]), np.array([[0.5]]))])))
    assert "Nothing has come back yet. The classifier recognises 50.0\u00a0% of new pictures." in page.text
    assert "There is no curve yet" in page.text
    assert not [a for a in page.named("svg") if "figure" in a.get("class", "")]


def test_too_little_is_said_in_a_sentence_and_not_drawn():
    counts = np.array([[3, 1], [2, 2]])
    image = np.zeros((8, 8, 3), np.uint8)
    few = [one(evidence={"predicted_gain": 0.1}, images=[image], shown=["cat"], realised_gain=0.1)] * 2
    early = Page(
        render(
            Report(
                title="skipped",
                curves=[Curve("GenMQD", np.array([0, 0]), np.array([[0.5, 0.5]]))],
                asked=few,
                confusion=Confusion(("cat", "dog"), counts, counts),
            )
        )
    )
    assert "There is no curve yet" in early.text
    assert "once three requests or more are answered" in early.text
    assert "Nothing was learnt yet" in early.text
    assert len([a for a in early.named("table") if a.get("class") == "heat"]) == 1
    assert not [a for a in early.named("svg") if "figure" in a.get("class", "")]
    assert "helped most" not in early.text
    assert "#gains" in [a.get("href") for a in early.named("a")]


def test_the_best_request_is_one_of_those_answered():
    image = np.zeros((8, 8, 3), np.uint8)
    answered = [one(images=[image], shown=["cat"], realised_gain=0.01 * i) for i in range(5)]
    assert "of 5 answered" in render(Report(title="r", asked=[*answered, one(), one(skipped="no")]))
    assert "helped most" not in render(Report(title="r", asked=[*answered[:4], one(), one(skipped="no")]))


def test_pictures_of_an_archive_are_not_said_to_show_anything():
    image = np.zeros((8, 8, 3), np.uint8)
    archived = one(images=[image], shown=["cat"], source="archive")
    assert "Nobody labelled the pictures" in (alone := render(Report(title="r", asked=[archived])))
    assert "learnt as what it shows" not in alone
    assert "without a check" not in alone
    both = render(Report(title="r", asked=[archived, one(images=[image], shown=["cat"], source="person")]))
    assert "came with a label is learnt as what it shows" in both
    assert "Nobody labelled the pictures from an archive" in both


def test_pictures_that_nothing_checked_are_said_to_be_so():
    image = np.zeros((8, 8, 3), np.uint8)
    drawn = one(images=[image], shown=["cat"], source="generator", checked=False)
    page = render(Report(title="r", asked=[drawn]))
    assert "Pictures from a generator that were taken without a check" in page
    assert "Nobody labelled" not in page
    assert "From the generator, without a look" in page


def test_names_and_units_are_explained(html):
    page = Page(html)
    assert words.METHODS["RandomText"] in page.text
    assert words.METHODS["GenMQD-Fea"] not in page.text, "only those that appear"
    assert page.text.count(words.NATS) == 2
    assert set(words.METHODS) == set(NAMES.values())
    assert "#notes" in [a.get("href") for a in page.named("a")]


def test_open_skipped_and_wordless_queries():
    asked = [
        one(),
        one(skipped="I cannot find that."),
        one(text="", evidence={"predicted_gain": 0.0}),
        one(round=2, images=[np.zeros((9, 5, 3), np.uint8)] * 12, shown=["cat"] * 11 + ["dog"]),
    ]
    page = Page(render(Report(title="odd", asked=asked)))
    assert "no answer yet" in page.text
    assert page.text.count("I cannot find that.") == 2, "on its card and among what was left out"
    assert "joined the training set as it is" in page.text
    assert "and 4 more" in page.text
    assert "Round 2" in page.text


def test_a_picture_of_another_class_is_named():
    image = np.zeros((8, 8, 3), np.uint8)
    page = Page(render(Report(title="r", asked=[one(images=[image, image], shown=["cat", "giraffe"])])))
    assert page.text.count("shows giraffe") == 1
    assert "shows cat" not in page.text


def test_of_many_pictures_the_first_are_shown_and_all_are_counted():
    image = np.zeros((8, 8, 3), np.uint8)
    page = Page(render(Report(title="r", asked=[one(images=[image] * 8, shown=["cat"] * 30)])))
    said = " ".join(page.text.split())
    assert "22 more" in said
    assert "30 pictures" in said


def test_very_many_classes_have_no_heatmap():
    counts = np.diag(np.arange(100)).astype(np.int64) + 1
    names = tuple(f"class {i}" for i in range(100))
    page = Page(render(Report(title="r", confusion=Confusion(names, counts, counts + np.eye(100, dtype=np.int64)))))
    assert not [table for table in page.named("table") if table.get("class") == "heat"]
    assert "of 100 classes, which are too many to show who was taken for whom" in " ".join(page.text.split())
    assert "recognised before, and " in " ".join(page.text.split())


def test_many_rounds_are_folded_but_complete(html):
    rounds = [a for a in Page(html).named("details") if a.get("class") == "round"]
    assert [("open" in a) for a in rounds] == [True] + [False] * 8 + [True]
    few = Page(render(Report(title="few", asked=[one(round=r) for r in (1, 2, 3)])))
    assert all("open" in a for a in few.named("details") if a.get("class") == "round")


def test_a_hundred_photographs_stay_small_and_quick(full, tmp_path):
    rng = np.random.default_rng(0)
    photographs = [
        np.clip(rng.normal(128, 40, (480, 640, 3)), 0, 255).astype(np.uint8) for _ in range(4)
    ]  # noise is the worst that can happen to the compression
    asked = [replace(q, images=[photographs[i % 4]] * len(q.images)) for i, q in enumerate(full.asked)]
    started = time.process_time()  # what it costs, however busy the machine
    write_report(replace(full, asked=asked), tmp_path / "report.html")
    assert time.process_time() - started < 10
    assert (tmp_path / "report.html").stat().st_size < 3_000_000


def test_a_report_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DesiderataError, match=r"report\.html cannot be written \(.*\): choose another place\.$"):
        write_report(Report(title="r"), tmp_path / "notes.txt" / "report.html")


def test_a_report_that_fails_leaves_the_last_one(full, tmp_path, monkeypatch):
    path = tmp_path / "deep" / "report.html"
    write_report(Report(title="first"), path)
    before = path.read_bytes()

    def fail(*_):
        raise RuntimeError("no paper")

    monkeypatch.setattr("desiderata.report.page.render", fail)
    with pytest.raises(RuntimeError):
        write_report(full, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Curve("m", np.array([0, 1]), np.array([0.5, 0.6])), "one row per seed"),
        (lambda: Curve("m", np.array([0, 1]), np.array([[0.5, np.nan]])), "missing or not between 0 and 1"),
        (lambda: Curve("m", np.array([0]), np.zeros((0, 1))), "one row per seed"),
        (lambda: one(images=[np.zeros((4, 4, 3), np.uint8)]), "1 pictures and 0 labels"),
        (lambda: one(images=[np.zeros((4, 4, 3), np.uint8)] * 3, shown=["cat"] * 4), "3 pictures and 4 labels"),
        (lambda: one(images=[np.zeros((4, 4, 3))], shown=["cat"]), "unsigned bytes"),
        (lambda: Confusion(("a",), np.eye(2, dtype=int), np.eye(1, dtype=int)), "one row and one column per class"),
        (lambda: Report(title="r", control="RandomText"), "has no curve"),
        (
            lambda: FeatureMap(np.zeros((2, 3)), *[np.zeros((0, 2))] * 3, ("a", "b"), (), (), ()),
            "two coordinates",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, said):
    with pytest.raises(DesiderataError, match=said):
        make()


def test_what_the_page_is_made_of_is_packaged():
    root = Path(__file__).parents[2]
    setuptools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setuptools["package-data"]["desiderata"]
    package = root / "src" / "desiderata"
    packaged = {path for pattern in patterns for path in package.glob(pattern)}
    parts = {path for path in (package / "report").iterdir() if path.suffix in {".css", ".js", ".jinja"}}
    assert len(parts) == 7
    assert parts <= packaged, "pyproject.toml leaves them out of package-data"

import fake_report
import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desiderata.report import Curve, Report, figures, layout, svg
from desiderata.report.data import FeatureMap
from desiderata.report.layout import Points


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12), st.floats(1, 30))
def test_labels_keep_apart_and_in_order(wanted, gap):
    places = figures.apart(wanted, gap, 300)
    gap = min(gap, 300 / max(len(wanted) - 1, 1))
    order = np.argsort(wanted, kind="stable")
    assert np.all(np.diff(np.array(places)[order]) >= gap - 1e-6)
    assert min(places) >= -1e-6
    assert max(places) <= 300 + 1e-6


def test_labels_that_have_room_stay():
    assert figures.apart([10, 50, 200], 17, 300) == [10, 50, 200]


@pytest.mark.parametrize("width", [343, 720])
def test_figures_carry_classes_and_text_and_no_styles(width):
    report = fake_report.bench(3)
    text = svg.inline(figures.curves(report, width), "curves", "A & B")
    assert 'aria-label="A &amp; B"' in text
    assert "style=" not in text
    assert "http" not in text
    assert "stroke-series0" in text
    assert "pictures collected" in text, "text stays text"
    assert ("RandomDescription" in text) == (width == 720), "narrow drawings leave names to the table"


@pytest.mark.parametrize(
    "curve",
    [
        Curve("one point", np.array([0]), np.array([[0.5]])),
        Curve("one point of several runs", np.array([0]), np.array([[0.5], [0.6]])),
        Curve("flat at the top", np.array([0, 5]), np.ones((2, 2))),
        Curve("flat at the bottom", np.array([0, 5]), np.zeros((1, 2))),
        Curve("long", np.arange(500), np.full((1, 500), 0.5)),
    ],
)
def test_odd_curves_can_be_drawn(curve):
    for width in (343, 720):
        assert svg.inline(figures.curves(Report(title="t", curves=[curve]), width), "c", "d").startswith("<svg")


@pytest.mark.parametrize("gains", [([0.1, 0.1], [0.1, 0.1]), ([0, 0], [0, 0]), ([-1e-6, 2e-6], [1e-3, -1e-3])])
def test_odd_gains_can_be_drawn(gains):
    predicted, realised = np.array(gains, dtype=float)
    assert svg.inline(figures.gains(predicted, realised, 343), "g", "d").startswith("<svg")


def test_drawing_leaves_the_settings_of_the_process_alone():
    before = dict(matplotlib.rcParams)
    svg.inline(figures.curves(fake_report.bench(2), 720), "c", "d")
    assert dict(matplotlib.rcParams) == before


def none():
    return Points(np.zeros((0, 32)), [])


@pytest.mark.parametrize("n", [3, 30, 120])
def test_maps_of_any_size(n):
    points = layout.feature_map(fake_report.points(np.random.default_rng(0), n), none(), none(), none())
    assert points is not None
    assert points.initial.shape == (n, 2)
    assert np.isfinite(points.initial).all()
    assert ("t-SNE" in points.method) == (n >= layout.FEWEST_FOR_TSNE)
    assert svg.inline(figures.feature_map(points, 343), "m", "d").startswith("<svg")


def test_no_plane_through_two_points():
    assert layout.feature_map(fake_report.points(np.random.default_rng(0), 2), none(), none(), none()) is None


def test_large_maps_are_thinned_but_keep_their_queries(monkeypatch):
    monkeypatch.setattr(layout, "MOST_POINTS", 120)
    rng = np.random.default_rng(0)
    many = fake_report.points(rng, 2 * layout.MOST_POINTS)
    queries = fake_report.points(rng, 20)
    points = layout.feature_map(many, fake_report.points(rng, 50), none(), queries)
    assert points is not None
    assert len(points.queries) == 20
    shown = len(points.initial) + len(points.collected) + len(points.queries)
    assert shown <= layout.MOST_POINTS
    assert shown + points.left_out == 2 * layout.MOST_POINTS + 70
    again = layout.feature_map(many, fake_report.points(np.random.default_rng(1), 50), none(), queries)
    assert again is not None
    assert again.initial_labels == points.initial_labels


def test_the_same_seed_gives_the_same_map():
    made = [
        layout.feature_map(fake_report.points(np.random.default_rng(0), 60), none(), none(), none(), seed=3)
        for _ in range(2)
    ]
    assert np.array_equal(made[0].initial, made[1].initial)


@pytest.mark.parametrize("width", [343, 720])
def test_names_are_drawn_as_they_are_written(width):
    names = ("a $\\frac$ b", "5 $ and 6 $", "bell\x07", "two\nlines", "猫")
    drawn = ("a $\\frac$ b", "5 $ and 6 $", "bell\ufffd", "two lines", "猫")
    features = np.random.default_rng(0).normal(size=(15, 8))
    points = layout.feature_map(Points(features, names * 3), none(), none(), none())
    assert points is not None
    text = svg.inline(figures.feature_map(points, width), "m", "d")
    assert all(f">{name}</text>" in text for name in drawn)
    curves = [Curve(name, np.array([0, 5]), np.full((1, 2), 0.5)) for name in names]
    text = svg.inline(figures.curves(Report(title="t", curves=curves), width), "c", "d")
    assert all((f">{name}  50.0</text>" in text) == (width == 720) for name in drawn)


def test_what_was_collected_is_named():
    curve = Curve("m", np.array([0, 5]), np.full((1, 2), 0.5))
    text = svg.inline(figures.curves(Report(title="t", curves=[curve], unit="example"), 720), "c", "d")
    assert "examples collected" in text


def test_names_of_classes_stand_among_their_own_pictures():
    rng = np.random.default_rng(0)
    # "ring" lies around "core", so that the middle of the one is in the midst of the other; "two" in two places
    angles = rng.uniform(0, 2 * np.pi, 60)
    places = {
        "core": rng.normal(0, 0.3, (40, 2)),
        "ring": 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1),
        "two": np.concatenate([rng.normal((20, 0), 0.3, (21, 2)), rng.normal((20, 30), 0.3, (20, 2))]),
        "between": rng.normal((20, 15), 0.3, (30, 2)),
    }
    xy = np.concatenate(list(places.values()))
    labels = [name for name, of in places.items() for _ in of]
    none = np.zeros((0, 2))
    points = FeatureMap(xy[::2], xy[1::2], none, none, labels[::2], labels[1::2], [], [])
    centres = figures.class_centres(points)
    assert set(centres) == set(places)
    for name, centre in centres.items():
        assert np.abs(places[name] - centre).sum(axis=1).min() == 0
        nearest = np.argsort(np.linalg.norm(xy - centre, axis=1))[:5]
        assert [labels[i] for i in nearest] == [name] * 5
    for width in (343, 720):
        drawn = figures.feature_map(points, width).axes[0]
        texts = {text.get_text(): text for text in drawn.texts}
        assert {name: texts[name].get_position() for name in places} == centres
        assert {text.get_verticalalignment() for text in texts.values()} == {"center"}

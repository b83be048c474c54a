"""Puts a report together and writes it as one file that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from desiderata.report import cards, figures, intervals, mistakes, svg, words
from desiderata.report.data import Asked, Confusion, Curve, Report
from desiderata.report.html import filled_in, write_page

FEWEST_POINTS = 3
"""With fewer answers, a drawing of their gains shows nothing."""
MOST_NAMES = 12
"""With more classes, only the map itself names them."""

WIDTHS = {"wide": 720, "narrow": 343}
"""Each figure is drawn twice; the style sheet shows the one that fits, so that its text keeps a legible size."""


def write_report(report: Report, path: Path) -> None:
    """Write the report as one self-contained HTML file, in one step.

    Args:
        report: What to show.
        path: The file, whose folder is made if missing.

    Raises:
        DesiderataError: It cannot be written.
    """
    write_page(path, render(report))


def render(report: Report) -> str:
    """Return the report as HTML that asks nothing of the network and forbids itself to try."""
    digits = words.gain_digits(report.asked)
    return filled_in(
        "page.html.jinja",
        styles=["page.css"],
        script="page.js",
        report=report,
        headline=words.pieces(words.headline(report)),
        confidence=words.confidence(report),
        example=cards.example(report.asked),
        certainty=words.certainty(report),
        asks=words.methods(report),
        learnt=words.learnt(report.asked),
        methods=_methods(report),
        rounds=cards.rounds(report.asked, digits),
        meanings=words.meanings(report.asked),
        classes=sorted({query.label for query in report.asked}),
        skipped=[query for query in report.asked if query.skipped],
        gains=_gains(report.asked, digits),
        awaited=_awaited(report.asked),
        nats=words.NATS,
        places=_places(report),
        mistakes=_mistakes(report.confusion) if report.confusion else None,
        figures=_figures(report),
    )


class _Method(NamedTuple):
    """A row of the table beside the curves."""

    number: int
    curve: Curve
    final: intervals.Interval
    interval: str
    reached: str


def _methods(report: Report) -> list[_Method]:
    rows = []
    for index, curve in enumerate(report.curves):
        final = intervals.of_mean(curve.accuracy[:, -1])
        rows.append(_Method(index, curve, final, words.between(final), _reached(curve, report.compared)))
    return rows


def _reached(curve: Curve, control: Curve | None) -> str:
    """Return with how many pictures the mean curve first reaches the control's final mean."""
    if control is None or curve is control:
        return ""
    enough = np.flatnonzero(curve.accuracy.mean(axis=0) >= control.accuracy[:, -1].mean())
    return f"{int(curve.examples[enough[0]]):,}" if len(enough) else "not reached"


class _Gains(NamedTuple):
    """What the drawing of predicted against measured gains says, with the best and the worst answer."""

    predicted: np.ndarray
    realised: np.ndarray
    said: Sequence[str]
    best: Asked
    worst: Asked
    digits: int


def _pairs(asked: Sequence[Asked]) -> list[Asked]:
    return [query for query in asked if query.realised_gain is not None and "predicted_gain" in query.evidence]


def _awaited(asked: Sequence[Asked]) -> bool:
    """Return whether predictions were made that too few answers have come for yet."""
    predicted = any("predicted_gain" in query.evidence for query in asked)
    answered = sum(bool(query.images) or query.realised_gain is not None for query in asked)
    return predicted and answered < FEWEST_POINTS


def _gains(asked: Sequence[Asked], digits: int) -> _Gains | None:
    pairs = _pairs(asked)
    if len(pairs) < FEWEST_POINTS:
        return None
    predicted = np.array([query.evidence["predicted_gain"] for query in pairs])
    realised = np.array([query.realised_gain for query in pairs], dtype=np.float64)
    best, worst = pairs[int(np.argmax(realised))], pairs[int(np.argmin(realised))]
    said = words.agreement(predicted, realised, np.array([query.round for query in pairs]))
    if any(len(query.shown) > 1 for query in pairs):
        said.append(
            "A predicted gain is that of one picture; where several came back, the measured gain is that of all of "
            "them together."
        )
    return _Gains(predicted, realised, said, best, worst, digits)


class _Mistakes(NamedTuple):
    """Two heatmaps and the changes in words."""

    classes: Sequence[str]
    heatmaps: Sequence[mistakes.Heatmap]
    rarer: Sequence[mistakes.Change]
    more_frequent: Sequence[mistakes.Change]
    pictures: int
    unchanged: bool


def _mistakes(confusion: Confusion) -> _Mistakes:
    rarer, more_frequent = mistakes.changes(confusion)
    pictures = int(confusion.counts_after.sum())
    drawn, same = mistakes.heatmaps(confusion), mistakes.unchanged(confusion)
    return _Mistakes(confusion.classes, drawn, rarer, more_frequent[:3], pictures, same)


def _places(report: Report) -> Sequence[str]:
    """Return the classes of the map, in the order of their colours; none where they are too many for a list."""
    names = figures.map_classes(report.feature_map) if report.feature_map else []
    return names if len(names) <= MOST_NAMES else []


def _figures(report: Report) -> Mapping[str, Sequence[Markup]]:
    drawn: dict[str, list[Markup]] = {}
    gains = _gains(report.asked, 3)
    for size, width in WIDTHS.items():
        made = {}
        if report.grown:
            said = f"Accuracy against {report.unit}s collected; values in the table"
            made["curves"] = figures.curves(report, width), said
        if gains:
            drawing = figures.gains(gains.predicted, gains.realised, min(width, 480))
            made["gains"] = drawing, "Predicted against measured gain, a point per query"
        if report.feature_map:
            made["map"] = figures.feature_map(report.feature_map, width), "Pictures and queries, laid out by likeness"
        for name, (figure, description) in made.items():
            text = svg.inline(figure, f"{name}-{size}", description)
            drawn.setdefault(name, []).append(Markup(text))
    return drawn

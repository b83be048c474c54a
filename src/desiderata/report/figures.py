"""The three drawings of a report. Each takes the width it will be seen at, so that text keeps its size on a phone."""

import re
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from desiderata.report import intervals
from desiderata.report.data import Curve, FeatureMap, Report
from desiderata.report.svg import CLASSES, GRID, INK, MUTED, PAPER, SERIES

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NARROW = 480
"""Below this width, names move from the drawing into the table beside it."""
_TEXT = 12.5
_LETTER = 6.6
"""Mean width of a letter at the size of `_TEXT`, in pixels."""
_LONGEST_NAME = 24
_EDGE = 0.2
"""The share of a map's width, on either side, in which a name in the middle of its points might be cut off."""
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Control characters and the like, which XML 1.0 excludes however they are written."""


def curves(report: Report, width: int) -> Figure:
    """Accuracy against pictures collected, a line per method, shaded where several runs allow an interval.

    Args:
        report: With at least one curve.
        width: In pixels.

    Returns:
        The figure.
    """
    narrow = width < NARROW
    ends = [f"{_short(c.method)}  {100 * c.accuracy[:, -1].mean():.1f}" for c in report.curves]
    margin = 44 if narrow else 30 + _LETTER * max([len(end) for end in ends] + [16])
    figure, axes = _axes(
        width, 280 if narrow else 380 + 12 * max(0, len(ends) - 4), left=44, right=margin, bottom=42, top=14
    )
    lines = [("zero-shot", report.zero_shot), ("ceiling", report.ceiling)]
    levels = [(name, 100 * value) for name, value in lines if value is not None]
    for _, level in levels:
        axes.axhline(level, color=MUTED, linewidth=1.2, dashes=(4, 3), zorder=1)
    for index, curve in reversed(list(enumerate(report.curves))):
        _curve(axes, curve, index, leading=curve is report.main)
    axes.set_ylim(*_accuracy_range(report))
    axes.set_xlim(0, max(1, *(int(curve.examples[-1]) for curve in report.curves)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel(f"{report.unit}s collected", color=MUTED, fontsize=_TEXT)
    finals = [100 * float(curve.accuracy[:, -1].mean()) for curve in report.curves]
    if narrow:
        _end_labels(axes, [(f"{v:.1f}", v, i) for i, v in enumerate(finals)], report)
        for name, level in levels:
            _halo(
                axes,
                0.01,
                level,
                f"{name} {level:.1f}",
                transform=axes.get_yaxis_transform(),
                va="bottom",
                color=MUTED,
            )
    else:
        marks = [(end, v, i) for i, (end, v) in enumerate(zip(ends, finals, strict=True))]
        marks += [(f"{name}  {level:.1f}", level, None) for name, level in levels]
        _end_labels(axes, marks, report)
    return figure


def gains(predicted: NDArray[np.float64], realised: NDArray[np.float64], width: int) -> Figure:
    """Predicted against realised gain, a point per query; the dashed line is where both agree.

    Args:
        predicted: Shape (n,), fall of validation loss that was predicted.
        realised: Shape (n,), fall that was measured.
        width: In pixels.

    Returns:
        The figure.
    """
    figure, axes = _axes(width, min(width, 400), left=78, right=28, bottom=44, top=14)
    axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
    axes.axvline(0, color=GRID, linewidth=1, zorder=1)
    low, high = min(predicted.min(), realised.min(), 0), max(predicted.max(), realised.max(), 0)
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1.2, dashes=(4, 3), zorder=1)
    for helped, colour, marker in ((realised > 0, SERIES[0], "o"), (realised <= 0, SERIES[1], "X")):
        style = {"markersize": 7, "markeredgecolor": PAPER, "markeredgewidth": 0.6, "alpha": 0.85}
        axes.plot(predicted[helped], realised[helped], marker, color=colour, linestyle="", **style)
    _span(axes.set_xlim, predicted)
    _span(axes.set_ylim, realised)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.4g}".replace("-", "−") if value else "0"))
    axes.set_xlabel("gain predicted (nats)", color=MUTED, fontsize=_TEXT)
    axes.set_ylabel("gain measured (nats)", color=MUTED, fontsize=_TEXT)
    return figure


def feature_map(points: FeatureMap, width: int) -> Figure:
    """Pictures and queries in the plane, in the colours of their classes, which are named where their pictures lie.

    Args:
        points: At least one of them.
        width: In pixels.

    Returns:
        The figure.
    """
    figure, axes = _axes(width, min(width, 560), left=4, right=4, bottom=4, top=4)
    axes.axis("off")
    scale = 0.75 if width < NARROW else 1.0
    names = map_classes(points)
    for xy, labels, marker, size, alpha in (
        (points.validation, points.validation_labels, "o", 5, 0.3),
        (points.collected, points.collected_labels, "o", 6.5, 0.8),
        (points.initial, points.initial_labels, "s", 6, 0.9),
        (points.queries, points.query_labels, "*", 11, 1.0),
    ):
        for index, name in enumerate(names):
            colour, hollow = CLASSES[index % len(CLASSES)], marker == "*"
            of = xy[[label == name for label in labels]] if len(labels) else xy
            if not len(of):
                continue
            axes.plot(
                of[:, 0],
                of[:, 1],
                marker,
                linestyle="",
                color="none" if hollow else colour,
                alpha=alpha,
                markersize=size * scale,
                markeredgecolor=colour if hollow else PAPER,
                markeredgewidth=1.3 if hollow else 0.6 if marker == "s" else 0,
            )
    axes.margins(0.06)
    left, right = axes.get_xlim()
    for name, (x, y) in class_centres(points).items():
        # near an edge, a name is written towards the middle, where it is not cut off
        across = (x - left) / (right - left)
        side = "left" if across < _EDGE else "right" if across > 1 - _EDGE else "center"
        _halo(axes, x, y, _short(name), ha=side, va="center", fontsize=_TEXT, fontweight="bold")
    return figure


def map_classes(points: FeatureMap) -> list[str]:
    """Return the classes of a map in the order of their colours."""
    return sorted({*points.initial_labels, *points.collected_labels, *points.validation_labels, *points.query_labels})


def class_centres(points: FeatureMap) -> dict[str, tuple[float, float]]:
    """Return where to write each class: at the one of its pictures that is nearest to all of them together.

    The middle of a class that lies in two places may be in the midst of another; a picture of its own is not.
    """
    xy = np.concatenate([points.initial, points.collected, points.validation])
    labels = np.array([*points.initial_labels, *points.collected_labels, *points.validation_labels])
    groups = {str(name): xy[labels == name] for name in np.unique(labels)}
    nearest = {name: np.linalg.norm(of[:, None] - of, axis=2).sum(axis=1).argmin() for name, of in groups.items()}
    return {name: (float(of[nearest[name], 0]), float(of[nearest[name], 1])) for name, of in groups.items()}


def _axes(width: int, height: int, *, left: float, right: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box)
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=_TEXT, length=0, pad=6)
    return figure, axes


def _curve(axes: Axes, curve: Curve, index: int, *, leading: bool) -> None:
    colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
    estimates = [intervals.of_mean(column) for column in curve.accuracy.T]
    mean, low, high = 100 * np.array(estimates).T
    order = 3 if leading else 2
    if curve.seeds > 1:
        axes.fill_between(curve.examples, low, high, color=colour, alpha=0.16, linewidth=0, zorder=order)
    every = max(1, len(mean) // 8)
    axes.plot(
        curve.examples,
        mean,
        color=colour,
        linewidth=2.6 if leading else 1.7,
        marker=marker,
        markersize=7 if leading else 6,
        markeredgecolor=PAPER,
        markeredgewidth=0.8,
        markevery=((len(mean) - 1) % every, every),
        zorder=order + 2,
        clip_on=False,
    )


def _accuracy_range(report: Report) -> tuple[float, float]:
    seen = [line for line in (report.zero_shot, report.ceiling) if line is not None]
    for curve in report.curves:
        for estimate in map(intervals.of_mean, curve.accuracy.T):
            seen += [estimate.low, estimate.high] if estimate.known else [estimate.value]
    low, high = max(0.0, min(seen)), min(1.0, max(seen))
    pad = max(0.06 * (high - low), 0.01)
    return 100 * max(0.0, low - pad), 100 * min(1.0, high + pad)


def _end_labels(axes: Axes, marks: Sequence[tuple[str, float, int | None]], report: Report) -> None:
    """Write labels right of the axes, as near to the ends of their lines as they get without touching."""
    box = axes.get_window_extent()
    low, high = axes.get_ylim()
    scale = box.height / (high - low)
    ends = [(value - low) * scale for _, value, _ in marks]
    for (text, _, index), end, place in zip(marks, ends, apart(ends, 17, box.height), strict=True):
        if index is not None:
            last = report.curves[index].examples[-1] / axes.get_xlim()[1]
            axes.plot(
                [last, 1.0, 1 + 8 / box.width],
                [end / box.height, end / box.height, place / box.height],
                color=SERIES[index % len(SERIES)],
                linewidth=1,
                alpha=0.6,
                transform=axes.transAxes,
                clip_on=False,
            )
        leading = index is not None and report.curves[index] is report.main
        axes.annotate(
            text,
            (1, place / box.height),
            xycoords="axes fraction",
            xytext=(12, 0),
            textcoords="offset points",
            va="center",
            color=MUTED if index is None else INK,
            fontsize=_TEXT,
            fontweight="bold" if leading else "normal",
            parse_math=False,
        )


def apart(wanted: Sequence[float], gap: float, room: float) -> list[float]:
    """Move positions on a line as little as needed for neighbours to keep a distance.

    Args:
        wanted: Where each would like to be, between 0 and `room`.
        gap: Smallest distance between two of them; made smaller where the room does not suffice.
        room: The length of the line.

    Returns:
        The positions, in the order given.
    """
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, room / max(len(wanted) - 1, 1))
    # Least-squares isotonic fit of wanted − i·gap: pooled neighbours share their mean, all others stay in place.
    pools: list[list[float]] = []
    for i, index in enumerate(order):
        pools.append([wanted[index] - i * gap, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    flat = np.repeat([mean for mean, _ in pools], [int(count) for _, count in pools])
    flat = np.clip(flat, 0, room - gap * max(len(wanted) - 1, 0))
    places = [0.0] * len(wanted)
    for i, index in enumerate(order):
        places[index] = float(flat[i] + i * gap)
    return places


def _halo(axes: Axes, x: float, y: float, text: str, **style: object) -> None:
    """Text with a rim in the colour of the paper, legible on top of points; the rim is the style sheet's work."""
    style = {"color": INK, "fontsize": _TEXT - 1} | style
    axes.text(x, y, text, gid="halo", zorder=9, clip_on=False, parse_math=False, **style)  # pyright: ignore[reportArgumentType]


def _span(set_limits: Callable[[float, float], object], values: NDArray[np.float64]) -> None:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    pad = 0.08 * (high - low) or 1.0
    set_limits(low - pad, high + pad)


def _short(name: str) -> str:
    """Return a name as it is drawn: no longer than there is room, and without what SVG cannot hold."""
    name = _NOT_IN_XML.sub("\ufffd", " ".join(name.split()))
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"

"""The three curves of a run that teaches a generator, side by side, or below each other on a phone."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from desiderata.campaign.records import Round
from desiderata.report import intervals
from desiderata.report.figures import NARROW
from desiderata.report.personalize_words import CURVES, in_figure
from desiderata.report.svg import GRID, INK, MUTED, PAPER, SERIES

HEIGHT = {True: 158, False: 236}
"""Of one drawing, in pixels, on a phone and elsewhere."""
LEAST_SPAN = 0.02
"""Of an axis: what changes less is not drawn as if it were much."""
_TEXT = 12.5
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 46, 30, 34


def curves(rounds: Sequence[Round], width: int) -> Figure:
    """Draw text alignment, image alignment and overfitting by round.

    Args:
        rounds: At least two that were measured.
        width: Of all three together, in pixels.

    Returns:
        The figure. Overfitting, which is a share of pictures, has its 95 % interval as a shade.
    """
    narrow = width < NARROW
    known = [key for key in CURVES if all(key in one.metrics for one in rounds)]
    columns, each = (1 if narrow else len(known)), HEIGHT[narrow]
    room, height = width / columns, each * (len(known) if narrow else 1)
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    for index, key in enumerate(known):
        left = (0 if narrow else index * room) + _LEFT
        bottom = (height - each * (index + 1) if narrow else 0) + _BOTTOM
        box = (left / width, bottom / height, (room - _LEFT - _RIGHT) / width, (each - _TOP - _BOTTOM) / height)
        _panel(figure.add_axes(box), rounds, key, last=not narrow or index == len(known) - 1)
    return figure


def _panel(axes: Axes, rounds: Sequence[Round], key: str, *, last: bool) -> None:
    numbers = np.array([one.number for one in rounds])
    values = np.array([one.metrics[key] for one in rounds])
    low, high = float(values.min()), float(values.max())
    if key == "ovf" and all(one.metrics.get("pictures") for one in rounds):
        found = [intervals.of_share(one.metrics[key], int(one.metrics["pictures"])) for one in rounds]
        lower, upper = np.array([one.low for one in found]), np.array([one.high for one in found])
        axes.fill_between(numbers, lower, upper, color=SERIES[0], alpha=0.16, linewidth=0, zorder=1)
        low, high = float(lower.min()), float(upper.max())
    axes.plot(
        numbers,
        values,
        color=SERIES[0],
        linewidth=2.2,
        marker="o",
        markersize=7,
        markeredgecolor=PAPER,
        markeredgewidth=0.8,
        zorder=3,
        clip_on=False,
    )
    pad = max(0.08 * (high - low), (LEAST_SPAN - high + low) / 2)
    axes.set_ylim(max(low - pad, 0) if key == "ovf" else low - pad, high + pad)
    axes.set_xlim(numbers[0], numbers[-1])
    axes.xaxis.set_major_locator(MaxNLocator(min(5, len(numbers)), integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: in_figure(key, value, short=True)))
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=_TEXT - 0.5, length=0, pad=6)
    if last:
        axes.set_xlabel("round", color=MUTED, fontsize=_TEXT)
    style = {"xycoords": "axes fraction", "textcoords": "offset points", "parse_math": False}
    axes.annotate(
        f"{CURVES[key].name} ({CURVES[key].better} is better)",
        (0, 1),
        xytext=(-_LEFT + 4, 12),
        color=INK,
        fontsize=_TEXT,
        fontweight="bold",
        **style,
    )
    height = (values[-1] - axes.get_ylim()[0]) / (axes.get_ylim()[1] - axes.get_ylim()[0])
    end = in_figure(key, float(values[-1]))
    axes.annotate(end, (1, height), xytext=(8, 0), va="center", color=INK, fontsize=_TEXT, fontweight="bold", **style)

"""The paper's Figures 3, 4, 5 and 7 from the cells of the experiment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from desiderata.bench.personalize_keeping import Drawn, candidates_kept, sheet_rows, shown_prompts
from desiderata.bench.personalize_results import BASELINE, KINDS, Results, Table, by_variant, name_of
from desiderata.bench.personalize_task import ANSWERED, COMPARATORS, FOLLOWED, METHODS, PERFECT
from desiderata.bench.summary import FEWEST
from desiderata.files import staged

FIGURES = (("txt_aln", "TXT-ALN"), ("img_aln", "IMG-ALN"), ("ovf", "OVF"))

_COLOURS = {
    "dreambooth": "#000000",
    "random": "#777777",
    "human": "#cc79a7",
    "clip-feedback": "#e69f00",
    "uncertainty": "#0072b2",
    "uncertainty-balance-steady": "#8c6d1f",
    "dreambooth-equal-steps": "#d55e00",
    "dreambooth-lower-rate": "#7f3c8d",
    "random-equal-weight": "#56b4e9",
}  # Okabe and Ito's palette
_OTHER = "#009e73"
_MARKERS = {BASELINE: "*", **dict(zip((*COMPARATORS, *PERFECT), "^DPsX", strict=True))}
"""Of what shares a colour; all others have a circle."""
_MUTED = "#bbbbbb"
_HIGHLIGHTED = ("#0072b2", "#d55e00", "#009e73")
"""Of the directions with the highest entropies on the map."""


def rounds_figure(results: Results, path: Path) -> None:
    """Draw every round of every strategy (Fig. 5): TXT-ALN over IMG-ALN, and OVF by round with its interval.

    A strategy that has fewer runs than others begins where DreamBooth is in these; the legend tells how many it has.
    """
    tables = [table for kind in KINDS if (table := Table(results, kind)).strategies]
    runs = [{table.runs(strategy) for strategy in table.strategies} for table in tables]
    canvas = Figure(figsize=(5.2 * len(tables), 8.4), layout="constrained")
    axes = canvas.subplots(2, len(tables), squeeze=False)
    names: dict[str, Any] = {}
    for column, table in enumerate(tables):
        plane, course = axes[0, column], axes[1, column]
        for strategy in table.strategies:
            handle = _arm(plane, table, strategy)
            names.setdefault(_named(strategy, tables if any(len(one) > 1 for one in runs) else []), handle)
            if strategy not in {*COMPARATORS, *PERFECT}:
                _course(course, table, strategy)
        plane.set(title=f"{table.kind}s", xlabel="IMG-ALN", ylabel="TXT-ALN")
        course.set(xlabel="round", ylabel="OVF")
        course.xaxis.get_major_locator().set_params(integer=True)
    _plain(axes)
    handles = list(names.values())
    canvas.legend(handles, list(names), loc="outside lower center", ncols=1 + len(tables), frameon=False, fontsize=8,
                  handlelength=4)  # fmt: skip
    _save(canvas, path)


def grid_figure(results: Results, out: Path, path: Path) -> bool:
    """Draw one test prompt of every subject round by round, beside a reference (Fig. 4).

    Subject i shows the i-th of the prompts that are kept, whatever came of it, in its first run with pictures.

    Args:
        results: Cells.
        out: Where they are kept.
        path: Of the figure.

    Returns:
        Whether there was anything to show.
    """
    firsts: dict[str, Mapping[str, Any]] = {}
    for one in results:
        if one["strategy"] == FOLLOWED and (out / "pictures" / f"{one['stem']}.png").exists():
            firsts.setdefault(one["subject"], one)
    if not (shown := list(firsts.values())):
        return False
    across = 1 + max(len(one["rounds"]) for one in shown)
    canvas = Figure(figsize=(1.5 * across, 1.75 * len(shown) + 0.3))
    axes = canvas.subplots(len(shown), across, squeeze=False)
    for line, one in enumerate(shown):
        rows = sheet_rows(out / "pictures" / f"{one['stem']}.png", len(one["rounds"]))
        number = line % len(rows[1])
        prompt = one["measured"][shown_prompts(len(one["measured"]))[number]]
        pictures = [rows[0][0], *(row[number] for row in rows[1:])]
        for column in range(across):
            axis = axes[line, column]
            axis.axis("off")
            axis.set_box_aspect(1)  # of those without a picture, too
            if column < len(pictures):
                axis.imshow(pictures[column], interpolation="nearest")
            elif column == len(pictures):
                axis.text(0.5, 0.5, "stopped", ha="center", va="center", fontsize=8, color="#666666")
            if line == 0:
                axis.set_title("reference" if not column else f"round {column}", fontsize=9)
        axes[line, 0].text(0.02, -0.04, f"{one['subject']}: {prompt}", transform=axes[line, 0].transAxes,
                           va="top", fontsize=6.5)  # fmt: skip
    canvas.subplots_adjust(0.01, 0.3 / (1.75 * len(shown)), 0.99, 1 - 0.25 / (1.75 * len(shown)), 0.04, 0.16)
    _save(canvas, path)
    return True


def map_figure(results: Results, out: Path, path: Path) -> bool:
    """Draw the pictures of all directions of one round as CLIP sees them, by t-SNE (Fig. 3), one panel a subject.

    Of each kind it is the first subject in whose round something was undecided, so that there is something to see.

    Args:
        results: Cells.
        out: Where they are kept.
        path: Of the figure.

    Returns:
        Whether there was anything to show.
    """
    firsts: dict[str, tuple[str, Drawn]] = {}
    for one in results:
        file = out / "pictures" / f"{one['stem']}.safetensors"
        if one["strategy"] == FOLLOWED and file.exists():
            drawn, first = candidates_kept(file), firsts.get(one["kind"])
            if first is None or _undecided(first[1]) < len(_HIGHLIGHTED) <= _undecided(drawn):
                firsts[one["kind"]] = one["subject"], drawn
    if not firsts:
        return False
    canvas = Figure(figsize=(5.6 * len(firsts), 5.8), layout="constrained")
    for axis, (subject, drawn) in zip(
        canvas.subplots(1, len(firsts), squeeze=False)[0], firsts.values(), strict=True
    ):
        _map(axis, drawn)
        axis.set_title(f"{subject}, asked for round {drawn.round + 1}", fontsize=10)
    _save(canvas, path)
    return True


def ablation_figure(results: Results, what: str, path: Path, usual: str = "") -> None:
    """Draw the paper's figures over the values of a setting for objects and styles (Fig. 7), intervals where of use.

    Args:
        results: Cells of the ablation; the strategy drawn is `FOLLOWED`, or the first where that is not among them.
        what: Is turned.
        path: Of the figure.
        usual: The variant that others are compared with: intervals are those of the paired difference to it, and it
            has none. Where it is empty or not there they are those of the means, in which subjects differ.
    """
    variants = by_variant(results)
    strategies = list(dict.fromkeys(result["strategy"] for result in results))
    strategy = FOLLOWED if FOLLOWED in strategies else strategies[0]
    canvas = Figure(figsize=(3.6 * len(FIGURES), 3.4), layout="constrained")
    axes = canvas.subplots(1, len(FIGURES), squeeze=False)
    bars = False
    for axis, (figure, name) in zip(axes[0], FIGURES, strict=True):
        for kind, colour, marker in zip(KINDS, ("#0072b2", "#d55e00"), ("o", "s"), strict=True):
            tables = {label: Table(cells, kind) for label, cells in variants.items()}
            spread = [table.estimate(strategy, figure) for table in tables.values()]
            other = tables.get(usual)
            apart = [table.difference(other, strategy, figure) for table in tables.values()] if other else spread
            wide = min(len(table.cells(strategy)) for table in tables.values()) < FEWEST
            known = [(place, one) for place, one in enumerate(spread) if one is not None]
            if known:
                bars |= not wide
                aside = 0.05 if kind == "style" else -0.05  # so that intervals do not cover each other
                places, means = [place + aside for place, _ in known], [one.mean for _, one in known]
                reach = np.nan_to_num([0.0 if wide or (one := apart[place]) is None else one.half_width
                                       for place, _ in known])  # fmt: skip
                style = {"color": colour, "marker": marker, "ms": 5, "lw": 1.6, "capsize": 3}
                axis.errorbar(places, means, yerr=reach, label=f"{kind}s", **style)
        axis.set(
            title=f"{name}, {name_of(strategy)}",
            xlabel=f"{what} (bars: of the difference to {usual})" if bars and usual in variants else what,
            xticks=range(len(variants)),
            xticklabels=list(variants),
        )
    _plain(axes)
    axes[0, 0].legend(frameon=False, fontsize=8)
    _save(canvas, path)


def _named(strategy: str, tables: Sequence[Table]) -> str:
    """Return what the legend says; with tables, how many runs it has in each."""
    counts = " + ".join(str(table.runs(strategy)) for table in tables)
    return f"{name_of(strategy)} ({counts} runs)" if counts else name_of(strategy)


def _arm(axis: Axes, table: Table, strategy: str) -> Any:
    """Draw the rounds of a strategy as a path that begins at DreamBooth.

    Returns:
        The line, for the legend.
    """
    rounds = range(table.rounds(strategy))
    x, y = ([_mean(table, strategy, figure, number) for number in rounds] for figure in ("img_aln", "txt_aln"))
    marker = _MARKERS.get(strategy, "o")
    (line,) = axis.plot(x, y, marker=marker, ms=9 if strategy == BASELINE else 4.5, **_line(strategy))
    for number in list(rounds)[1:]:
        axis.annotate(f"{number + 1}", (x[number], y[number]), (3, 3), textcoords="offset points", fontsize=7,
                      color=line.get_color())  # fmt: skip
    return line


def _course(axis: Axes, table: Table, strategy: str) -> None:
    spread = [table.estimate(strategy, "ovf", number) for number in range(table.rounds(strategy))]
    known = [(number + 1, one) for number, one in enumerate(spread) if one is not None]
    if not known:
        return
    style = _line(strategy)
    if strategy == BASELINE:
        axis.axhline(known[0][1].mean, color=style["color"], ls=":", lw=1)
    places, means = [place for place, _ in known], [one.mean for _, one in known]
    axis.plot(places, means, marker="o", ms=4, **style)


def _line(strategy: str) -> dict[str, Any]:
    asking = ANSWERED.get(strategy, strategy)
    dashed = f"{asking}-balance" in METHODS  # the same with balance has the line
    known = {"color": _COLOURS.get(asking.removesuffix("-balance"), _OTHER), "ls": "--" if dashed else "-", "lw": 1.6}
    return known | ({"ls": "-." if dashed else ":", "mfc": "white"} if asking != strategy else {})


def _undecided(drawn: Drawn) -> int:
    return int((drawn.entropies > 0).sum())


def _map(axis: Axes, drawn: Drawn) -> None:
    points = np.vstack([drawn.features[drawn.usable], drawn.references])
    places = _plane(points)
    pictures, references = places[: -len(drawn.references)], places[-len(drawn.references) :]
    per = len(drawn.features) // len(drawn.directions)
    owner = np.repeat(np.arange(len(drawn.directions)), per)[drawn.usable]
    flags = drawn.overfitted[drawn.usable]
    order = np.argsort(-drawn.entropies, kind="stable")
    leading = dict(zip(order.tolist()[: len(_HIGHLIGHTED)], _HIGHLIGHTED, strict=False))
    for direction, sentence in enumerate(drawn.directions):
        colour = leading.get(direction, _MUTED)
        label = f"{sentence} ({drawn.entropies[direction]:.2f})" if direction in leading else None
        for over, marker in ((False, "o"), (True, "X")):
            mine = (owner == direction) & (flags == over)
            axis.scatter(*pictures[mine].T, color=colour, marker=marker, s=26 if direction in leading else 12,
                         lw=0, label=None if over else label, zorder=2 + (direction in leading))  # fmt: skip
    axis.scatter(*references.T, color="#000000", marker="*", s=130, label="references", zorder=4)
    axis.scatter([], [], color=_MUTED, marker="X", s=26, lw=0, label="overfitted")
    axis.set(xticks=[], yticks=[])
    axis.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 0.0))


def _plane(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points in the plane, (n, 2), with the same neighbours; the same for the same points."""
    near = TSNE(2, perplexity=max(1.0, min(30.0, (len(points) - 1) / 4)), init="pca", random_state=0)
    return near.fit_transform(points)


def _mean(table: Table, strategy: str, figure: str, round: int) -> float:
    one = table.estimate(strategy, figure, round)
    return float("nan") if one is None else one.mean


def _plain(axes: NDArray[Any]) -> None:
    for axis in axes.ravel():
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)


def _save(canvas: Figure, path: Path) -> None:
    with staged(path) as temporary:
        canvas.savefig(temporary, format="png", dpi=150)

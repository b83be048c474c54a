"""What an experiment says: raw figures as CSV, a table with intervals, and learning curves."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from desiderata.bench.worths import worths_table
from desiderata.files import staged, write_text
from desiderata.measure.intervals import difference, estimate
from desiderata.report.build import NAMES

Results = Sequence[Mapping[str, Any]]

FEWEST = 4
"""Seeds below which the figure shows each of them: Student's interval for two or three is wider than the picture."""

CONTROLS = ("random-text", "random-description")
"""The methods that every other is held against."""

_COLOURS = {
    "random-text": "#777777",
    "random-description": "#000000",
    "genmqd": "#0072b2",
    "genmqd-closed": "#56b4e9",
    "genmqd-fea": "#cc79a7",
    "text-influence": "#d55e00",
}  # Okabe and Ito's palette


def curves(results: Results, setting: str) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return examples (k,) and test accuracies (seeds, k) of each method of a setting, in the order of seeds."""
    found: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
    for method in dict.fromkeys(result["method"] for result in results):
        mine = sorted(
            (r for r in results if r["method"] == method and r["setting"] == setting), key=lambda r: r["seed"]
        )
        if mine:
            # A query that was skipped brings nothing, so cells are lined up by round, not by examples.
            examples = np.mean([[point[0] for point in r["curve"]] for r in mine], axis=0).round().astype(int)
            found[method] = examples, np.array([[point[1] for point in r["curve"]] for r in mine])
    return found


def raw_csv(results: Results) -> str:
    """Return every measurement: setting, method, seed, round, examples, test_accuracy, validation_loss."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["setting", "method", "seed", "round", "examples", "test_accuracy", "validation_loss"])
    for result in results:
        for number, ((examples, accuracy), loss) in enumerate(
            zip(result["curve"], result["validation_loss"], strict=True)
        ):
            row = [result[key] for key in ("setting", "method", "seed")]
            writer.writerow([*row, number, examples, f"{accuracy:.4f}", f"{loss:.5f}"])
    return text.getvalue()


def table(results: Results, reference: Mapping[str, Mapping[str, float]]) -> str:
    """Write a Markdown table for each setting.

    Args:
        results: Cells.
        reference: For each setting, what `bench.collect.lines_of_reference` returns.

    Returns:
        Test accuracy in per cent after every fifth of the rounds, the last with its 95 % interval; the pictures
        collected by then, and how many queries went unanswered, means over seeds; differences to the two controls
        after the last round, paired by seed, with their intervals; after how many pictures the mean curve reached
        RandomText's final accuracy; and the final accuracy once the validation pictures are learnt, too, where all
        cells of the method have measured that.
    """
    parts = []
    for setting in dict.fromkeys(result["setting"] for result in results):
        found = curves(results, setting)
        rounds = next(iter(found.values()))[1].shape[1] - 1
        seeds = {
            method: sorted(r["seed"] for r in results if (r["method"], r["setting"]) == (method, setting))
            for method in found
        }
        marks = sorted({round(rounds * part / 5) for part in range(6)})
        head, lines_of = [f"round {mark}" for mark in marks], reference[setting]
        lines = [
            f"**{setting}** (zero-shot {lines_of['zero_shot']:.1%}, ceiling {lines_of['ceiling']:.1%}, as many "
            f"pictures like the test's {lines_of['alike']:.1%}, initial and validation pictures with no query "
            f"{100 * lines_of['with_validation']:.1f}{_reach(100 * lines_of['with_validation_half_width'])}%, "
            f"{next(iter(found.values()))[1].shape[0]} seeds)",
            "",
            f"| method | {' | '.join(head)} | pictures (unanswered) | minus RandomText | minus RandomDescription "
            "| reaches RandomText's end at | validation learnt, too |",
            "|---" * (len(head) + 6) + "|",
        ]
        for method, (collected, accuracy) in found.items():
            mine = [r for r in results if (r["method"], r["setting"]) == (method, setting)]
            cells = [f"{100 * accuracy[:, mark].mean():.1f}" for mark in marks[:-1]]
            last = estimate(100 * accuracy[:, -1])
            cells.append(f"{last.mean:.1f}{_reach(last.half_width)}")
            unanswered = np.mean([r["skipped"] for r in mine])
            cells.append(f"{collected[-1]} ({unanswered:.0f})")
            for control in CONTROLS:
                if control not in found or control == method or seeds[control] != seeds[method]:
                    cells.append("")
                    continue
                gap = difference(100 * accuracy[:, -1], 100 * found[control][1][:, -1])
                cells.append(f"{gap.mean:+.1f}{_reach(gap.half_width)}")
            cells.append(_reaches(found, method, collected, accuracy))
            more = estimate([100 * r.get("with_validation", np.nan) for r in mine])
            cells.append("" if np.isnan(more.mean) else f"{more.mean:.1f}{_reach(more.half_width)}")
            lines.append(f"| {NAMES.get(method, method)} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _reach(half_width: float) -> str:
    return "" if np.isnan(half_width) else f" ± {half_width:.1f}"


def _reaches(
    found: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]],
    method: str,
    collected: NDArray[np.int64],
    accuracy: NDArray[np.float64],
) -> str:
    if method == "random-text" or "random-text" not in found:
        return ""
    goal = found["random-text"][1][:, -1].mean()
    above = accuracy.mean(0) >= goal
    return f"{collected[int(above.argmax())]} pictures" if above.any() else "not reached"


def figure(results: Results, reference: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw the learning curves of every setting as a PNG: mean and 95 % interval, or each of a few seeds."""
    settings = list(dict.fromkeys(result["setting"] for result in results))
    canvas = Figure(figsize=(4.6 * len(settings), 4.2), layout="constrained")
    axes = canvas.subplots(1, len(settings), squeeze=False)[0]
    for axis, setting in zip(axes, settings, strict=True):
        for method, (examples, accuracy) in curves(results, setting).items():
            spread = [estimate(100 * column) for column in accuracy.T]
            colour = _COLOURS.get(method, "#009e73")
            mean = [one.mean for one in spread]
            axis.plot(examples, mean, color=colour, lw=1.8, label=NAMES.get(method, method))
            if len(accuracy) < FEWEST:
                axis.plot(examples, 100 * accuracy.T, color=colour, lw=0.6, alpha=0.5)
            else:
                low, high = [one.low for one in spread], [one.high for one in spread]
                axis.fill_between(examples, low, high, color=colour, alpha=0.15, lw=0)
        # In the legend, since its line runs among the curves.
        both = 100 * reference[setting]["with_validation"]
        axis.axhline(both, color="#444444", ls="-.", lw=1, label="no query: initial and validation pictures")
        # Above its line and below its line, so that neither name is struck through where the lines are close.
        for name, style, side, edge in (("zero_shot", ":", "left", "top"), ("ceiling", "--", "right", "bottom")):
            axis.axhline(100 * reference[setting][name], color="#444444", ls=style, lw=1)
            axis.annotate(
                name.replace("_", "-"),
                (float(side == "right"), 100 * reference[setting][name]),
                xycoords=("axes fraction", "data"),
                ha=side,
                va=edge,
                fontsize=8,
                color="#444444",
            )
        axis.set(title=setting, xlabel="pictures collected")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test accuracy, %")
    handles, names = axes[0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside lower center", ncols=min(len(names), 4), frameon=False)
    with staged(path) as temporary:
        canvas.savefig(temporary, format="png", dpi=150)


def write_summary(results: Results, reference: Mapping[str, Mapping[str, float]], out: Path) -> str:
    """Return the table, and write it with `raw.csv`, `curves.png` and `worths.md` into `out`."""
    write_text(out / "raw.csv", raw_csv(results))
    text = table(results, reference)
    write_text(out / "table.md", text)
    write_text(out / "worths.md", worths_table(results))
    figure(results, reference, out / "curves.png")
    return text

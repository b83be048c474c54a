"""What the personalising experiment says, written beside its cells."""

from pathlib import Path

from desiderata.bench.personalize_figures import ablation_figure, grid_figure, map_figure, rounds_figure
from desiderata.bench.personalize_results import Results, raw_csv
from desiderata.bench.personalize_tables import ablation_table, tables
from desiderata.bench.personalize_variants import usual_value
from desiderata.files import write_text

WHAT = {
    "lambda": "λ",
    "anchors": "anchors",
    "k": "k",
    "m": "m",
    "sets": "set of anchors",
    "prior": "weight of class pictures",
    "learning-rate": "learning rate",
    "pace": "factor of the learning rate",
    "scale": "scale of the adapter",
}
"""What ablations turn, as figures name it."""


def summary(results: Results, ablation: str = "") -> str:
    """Return the tables of an experiment, or of an ablation, as Markdown."""
    if ablation:
        return ablation_table(results, WHAT.get(ablation, ablation), usual_value(ablation))
    return tables(results)


def write_summary(results: Results, out: Path, ablation: str = "") -> str:
    """Write tables and figures.

    Args:
        results: Cells of `bench.personalize.run_plan`.
        out: Where they are kept. An experiment adds `raw.csv`, `table.md`, `rounds.png` and, where pictures were
            kept, `grid.png` and `map.png`; an ablation `ablation-NAME.csv`, `.md` and `.png`.
        ablation: Which; empty for none.

    Returns:
        The tables as Markdown, as `summary` returns them.
    """
    text = summary(results, ablation)
    if ablation:
        name, what = f"ablation-{ablation}", WHAT.get(ablation, ablation)
        usual = usual_value(ablation)
        write_text(out / f"{name}.csv", raw_csv(results))
        write_text(out / f"{name}.md", text)
        ablation_figure(results, what, out / f"{name}.png", usual)
        return text
    write_text(out / "raw.csv", raw_csv(results))
    write_text(out / "table.md", text)
    rounds_figure(results, out / "rounds.png")
    grid_figure(results, out, out / "grid.png")
    map_figure(results, out, out / "map.png")
    return text

"""Where gains get lost on the way from an ideal example to a better classifier, query by query."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from scipy.stats import spearmanr

from desiderata.report.build import NAMES

Results = Sequence[Mapping[str, Any]]

MILLI = 1e3
"""Gains are printed in thousandths of a nat."""

_CHAIN = {
    "displacement": ("moved", 1.0),
    "point_gain": ("x*", MILLI),
    "predicted_gain": ("sentence", MILLI),
    "realised_foreseen": ("picture", MILLI),
    "realised_validation": ("realised", MILLI),
    "realised_test": ("on test", MILLI),
    "class_agreement": ("right class", 1.0),
}

ABOUT = """\
Mean over the queries of the examined rounds, gains in thousandths of a nat. *moved*: how far x* went. *x\\**: the
predicted gain of x* itself; *sentence*: of the sentence it became; *picture*: of the picture that came, seen
beforehand; *realised*: fall of the validation loss when that one picture was learnt; *on test*: fall of the test
loss. *helped*: share of pictures whose realised gain is above 0. *rho*: Spearman's correlation of the sentence's and
of the picture's prediction with the realised gain, over the ten queries of a round, averaged over rounds and seeds.
*unanswered*: share of all queries. Predictions are those of a proximal refit.
"""


def worths_table(results: Results) -> str:
    """Write a Markdown table for each setting: a row for each method, a column for each link of the chain.

    Args:
        results: Cells of `bench.collect.run_cell`.

    Returns:
        The tables, after an explanation.
    """
    parts = [ABOUT]
    for setting in dict.fromkeys(result["setting"] for result in results):
        names = [*(name for name, _ in _CHAIN.values()), "helped", "rho sentence", "rho picture", "unanswered"]
        lines = [f"**{setting}**", "", "| method | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        for method in dict.fromkeys(result["method"] for result in results):
            mine = [r for r in results if r["setting"] == setting and r["method"] == method]
            examined = [query for r in mine for query in _examined(r)]
            cells = [_mean(examined, key, unit) for key, (_, unit) in _CHAIN.items()]
            realised = np.array([query["realised_validation"] for query in examined])
            cells.append(f"{np.mean(realised > 0):.0%}" if len(realised) else "")
            cells += [_rho(mine, key) for key in ("predicted_gain", "realised_foreseen")]
            asked = sum(len(r["queries"]) for r in mine)
            cells.append(f"{sum(r['skipped'] for r in mine) / asked:.0%}" if asked else "")
            lines.append(f"| {NAMES.get(method, method)} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _examined(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the queries whose worth was measured; of a query without words the sentence's gain is unknown."""
    queries = [query for query in result["queries"] if "realised_validation" in query]
    return [query if query["text"] else {**query, "predicted_gain": None} for query in queries]


def _mean(queries: Sequence[Mapping[str, Any]], key: str, unit: float) -> str:
    known = [query[key] for query in queries if query.get(key) is not None]
    return f"{unit * np.mean(known):.2f}" if known else ""


def _rho(results: Results, key: str) -> str:
    found = []
    for result in results:
        examined = _examined(result)
        for number in dict.fromkeys(query["round"] for query in examined):
            known = [q for q in examined if q["round"] == number and q.get(key) is not None]
            pairs = np.array([(query[key], query["realised_validation"]) for query in known])
            if len(pairs) >= 3 and np.ptp(pairs[:, 0]) > 0 and np.ptp(pairs[:, 1]) > 0:
                found.append(cast(Any, spearmanr(pairs[:, 0], pairs[:, 1])).statistic)
    return f"{np.mean(found):.2f}" if found else ""

"""What the rule for ties decides when uncertainty chooses, counted over all rounds of an experiment."""

from desiderata.bench.personalize_results import KINDS, Results, Table, name_of

ABOUT = """\
With ten pictures a sentence there are six entropies, so that ties decide many of the k places. Among equals comes
first the sentence whose pictures are nearest to the border on average (mean margin); the authors' code leaves it to
the sorting routine. *By the rule*: rounds, and places in them, that it gave away, of all in which something was
chosen; *otherwise*: those in which the authors' code would have chosen other sentences, and how many of them.
"""


def ties_rows(results: Results) -> list[list[str]]:
    """Return a row for each kind and strategy that chooses by entropy: what `uncertainty.what_ties_decide` counted.

    Args:
        results: Cells of an experiment.

    Returns:
        Kind, strategy, rounds, "N (n)" of rounds and places by the rule, and likewise what would be otherwise.
    """
    lines = []
    for kind in KINDS:
        table = Table(results, kind)
        for strategy in table.strategies:
            if not strategy.startswith("uncertainty"):
                continue
            rounds = [one for cell in table.cells(strategy) for one in cell.get("chosen", ()) if not one["stopped"]]
            if not rounds:
                continue
            counts = [[one[figure] for one in rounds] for figure in ("tie_places", "tie_changed")]
            told = [f"{sum(n > 0 for n in found)} ({sum(found)})" for found in counts]
            lines.append([kind, name_of(strategy), str(len(rounds)), *told])
    return lines

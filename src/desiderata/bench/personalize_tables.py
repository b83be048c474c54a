"""The paper's Tables 1 to 3 with intervals, what it lacks beside them, and the ablations of its Fig. 7."""

from collections.abc import Callable, Mapping, Sequence

from desiderata.bench import personalize_ties
from desiderata.bench.personalize_results import BASELINE, KINDS, SIMULATED, Results, Table, by_variant, name_of
from desiderata.bench.personalize_task import COMPARATORS, FOLLOWED, FOLLOWING
from desiderata.bench.summary import FEWEST
from desiderata.measure.intervals import Estimate
from desiderata.personalize.pacing import LowerRate
from desiderata.personalize.strategies import Steady

ALIGNMENT = {"txt_aln": ("TXT-ALN ↑", 3), "img_aln": ("IMG-ALN ↑", 3), "ovf": ("OVF ↓", 3)}
"""The paper's figures: their names and how many digits they get."""

SEEN = {
    "identity": ("identity ↑", 3),
    "held_out": ("held-out ↑", 3),
    "right": ("all right ↑", 3),
    "things": ("things ↑", 3),
    "background": ("background ↑", 3),
    "style": ("style ↑", 3),
    "leak": ("leak ↓", 3),
    "added": ("added", 1),
    "pace": ("rate ×", 2),
    "steps": ("steps", 0),
    "full_weight_steps": ("full-weight", 0),
    "seconds": ("seconds", 0),
}
"""What is measured beside them."""

LEGEND = f"""\
Every figure is a mean over subjects × seeds with its 95 % interval (Student's t) over subjects, each averaged over
its seeds: runs of one subject are too much alike to count as so many witnesses. Percentages are changes against
DreamBooth, which is round 1 of a strategy's own runs (of comparators and perfect pictures: runs of its own), with
intervals over subjects, too; there is none where what they are a share of is not told from 0. All subjects of a seed
share the order of training and the noise that pictures are drawn from. A campaign that stopped by itself counts as it
was then. A change is taken over the runs (subjects × seeds) that a strategy has, and is not the ratio of the means
that are printed, where DreamBooth has more.
TXT-ALN is the cosine of CLIP embeddings; the authors' code prints 2.5 times as much. *Perfect pictures* are not
generated, but drawn: exactly what the sentences ask for, and how far each figure can go; *decoded*, after the
generator's autoencoder. *Answered as asked*: such drawn pictures were learnt from, with full weight, in place of the
generator's own, as if somebody had brought photographs. Nobody sat at a screen: *human* is {SIMULATED}, a network
that picks the pictures in which it recognises the subject and sees everything that was asked for.
"""

ABOUT_SEEN = """\
By the judge network, which shares nothing with CLIP, in the same test pictures; it also picks for *human*, whose rows
it flatters here. *identity*: mean probability that the subject is shown, or that the style is the one learnt;
*held-out*: mean CLIP cosine to pictures of the subject in other settings, none of which was learnt from; *things*,
*background*, *style*: share of pictures in which what the sentence asks for is there; *all right*: the subject is
recognised and all of it is there; *leak*: the references' background is there though another was asked for, or,
with a style, what its reference shows. *added*: pictures learnt from beside the references; *rate ×*:
what a lower learning rate ended at, as a factor; *steps*: of the last training;
*full-weight*: steps' worth of it from pictures of weight 1; *seconds*: of the last round, in which what cells share
is counted for the one that came first.
"""

ABOUT_ABLATION = f"""\
The last round of every run: a mean over subjects × seeds with its 95 % interval over subjects, each averaged over its
seeds (Student's t; none for fewer than {FEWEST}, where it would be wider than anything it could tell). All runs of a
subject and seed share the order of training and the noise that pictures are drawn from.
*identity*: a judge network's probability that the subject is
shown, or that the style is the one learnt; *leak*: the references' background, or what a style's reference shows, is
there though it was not asked for; *added*: generated pictures learnt from; *stopped*: runs that stopped by
themselves (Eq. 10).
"""

ABOUT_CONTROLS = """\
*Equal steps* and *equal weights* are those of Uncertainty + Balance, beside the steady rate, too. Then, whether it
matters who chooses: Uncertainty against the other strategies, at full weight and with balance, in the end and after
*as many rounds*, as each was when Uncertainty had stopped. *Begun alike* are runs whose first round is the same in
both; the others come from processors of two kinds, which round otherwise, and part before anything is chosen, half as
far as two seeds do (OVF of objects by 0.05, one standard deviation). An interval over subjects tells what other
subjects would bring. One over runs, each as if it were independent of the others of its subject, says how firm a
difference is on these; what only one of the two tells from 0 is not settled. Of so many comparisons, one in twenty is
told from 0 by chance.
"""

CHOOSING = ("random", "clip-feedback", "human")
"""Who else may choose the pictures."""

_STYLE_ROWS = ("random", "human", "clip-feedback")


def tables(results: Results) -> str:
    """Return all tables as Markdown."""
    parts = [LEGEND, "## Strategies (Table 1)", strategies_table(results)]
    for kind, number in zip(KINDS, (2, 3), strict=True):
        table = Table(results, kind)
        if table.strategies:
            parts += [f"## {kind.capitalize()}s (Table {number})", methods_table(table)]
            parts += [f"{_count(len(table.subjects), kind)} ({', '.join(table.subjects)}), {_seeds(table)}."]
    if controls := controls_table(results):
        parts += ["## Against the controls", ABOUT_CONTROLS, controls]
    if ties := personalize_ties.ties_rows(results):
        head = ["kind", "strategy", "rounds", "by the rule (places)", "otherwise (sentences)"]
        parts += ["## What ties decide", personalize_ties.ABOUT, markdown(head, ties)]
    parts += ["## What the judge sees, and what it took", ABOUT_SEEN]
    for kind in KINDS:
        table = Table(results, kind)
        if table.strategies:
            parts += [f"**{kind}s**", _seen_table(table)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def strategies_table(results: Results) -> str:
    """Return Table 1: the last round of every strategy, for objects and styles, with changes against DreamBooth."""
    kinds = [table for kind in KINDS if (table := Table(results, kind)).strategies]
    names = ("runs", *(name for name, _ in ALIGNMENT.values()))
    head = [f"{table.kind} {name}" for table in kinds for name in names]
    rows = dict.fromkeys(s for table in kinds for s in table.strategies if s not in COMPARATORS)
    lines = []
    for strategy in rows:
        cells = []
        for table in kinds:
            known = strategy in table.strategies
            cells.append(str(table.runs(strategy)) if known else "")
            for figure, (_, digits) in ALIGNMENT.items():
                cells.append(_with_change(table, strategy, figure, digits, -1) if known else "")
        lines.append([name_of(strategy), *cells])
    return markdown(["strategy", *head], lines)


def methods_table(table: Table) -> str:
    """Return Table 2 or 3: other ways to learn a subject, and uncertainty with balance, plain and steady."""
    first = COMPARATORS if table.kind == "object" else _STYLE_ROWS
    rows = [(name, -1, name_of(name)) for name in (*first, BASELINE) if name in table.strategies]
    for name in (FOLLOWED, Steady.name):
        rounds = range(1, table.rounds(name)) if name in table.strategies else ()
        rows += [(name, number, f"+ {name_of(name)} (R{number + 1})") for number in rounds]
    if "human-balance" in table.strategies:
        rows.append(("human-balance", -1, f"+ {name_of('human-balance')} (R{table.rounds('human-balance')})"))
    others = [name for name in table.strategies if name not in {row[0] for row in rows} and name in COMPARATORS]
    rows += [(name, -1, name_of(name)) for name in others]
    lines = [
        [
            label,
            str(table.runs(name)),
            *(_with_change(table, name, figure, digits, at) for figure, (_, digits) in ALIGNMENT.items()),
        ]
        for name, at, label in rows
    ]
    return markdown(["method", "runs", *(name for name, _ in ALIGNMENT.values())], lines)


def controls_table(results: Results) -> str:
    """Return by how much uncertainty, with balance also at a steady rate, differs from others; "" for none.

    The others are DreamBooth, the controls, and a learning rate chosen by the same test: whoever has overfitting to
    mend may as well do that. The steady rate is compared with uncertainty with balance, too, and uncertainty with who
    else may choose, at the same weight.
    """
    lines = []
    others = (BASELINE, *FOLLOWING, LowerRate.name)
    for kind in KINDS:
        table = Table(results, kind)
        pairs = [(FOLLOWED, other) for other in others] + [(Steady.name, other) for other in (*others, FOLLOWED)]
        choosers = [(f"uncertainty{end}", f"{other}{end}") for end in ("", "-balance") for other in CHOOSING]
        compared = [(*pair, False) for pair in (*pairs, *choosers)] + [(*pair, True) for pair in choosers]
        for strategy, other, when_stopped in compared:
            if {strategy, other} <= {*table.strategies}:
                for by_subject, over in ((False, "runs"), (True, "subjects")):
                    changes = [
                        table.change(strategy, name, other, by_subject=by_subject, when_stopped=when_stopped)
                        for name in (*ALIGNMENT, "identity", "leak")
                    ]
                    against = f"{name_of(other)}{', as many rounds' if when_stopped else ''}"
                    alike = str(table.begun_alike(strategy, other))
                    about = [kind, name_of(strategy), against, str(table.runs(strategy, other)), alike, over]
                    lines.append([*about, *map(_percent, changes)])
    names = (*(name for name, _ in ALIGNMENT.values()), "identity ↑", "leak ↓")
    head = ["kind", "strategy", "against", "runs", "begun alike", "interval over", *names]
    return markdown(head, lines) if lines else ""


def ablation_table(results: Results, what: str, usual: str = "") -> str:
    """Return the last round of every variant, for objects and styles.

    Args:
        results: Cells of an ablation.
        what: Is turned.
        usual: The variant that the others are compared with; empty for none.

    Returns:
        Markdown.
    """
    variants = by_variant(results)
    against = f" In parentheses: the difference to {what} = {usual}, paired." if usual in variants else ""
    parts = [ABOUT_ABLATION.strip() + against]
    for kind in KINDS:
        found = {label: Table(cells, kind) for label, cells in variants.items()}
        lines = [
            _ablation_row(label, table, strategy, found.get(usual, table))
            for label, table in found.items()
            for strategy in table.strategies
        ]
        if lines:
            names = (*(name for name, _ in ALIGNMENT.values()), "identity ↑", "leak ↓")
            parts += [f"**{kind}s**", markdown([what, "strategy", *names, "added", "runs", "stopped"], lines)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _ablation_row(label: str, table: Table, strategy: str, usual: Table) -> list[str]:
    cells, figures = table.cells(strategy), []
    for figure in (*ALIGNMENT, "identity", "leak"):
        said = _of_several(table.estimate(strategy, figure), lambda value: f"{value:.3f}")
        if table is not usual:
            apart = _of_several(table.difference(usual, strategy, figure), lambda value: f"{value:.3f}")
            said += f" ({apart if apart.startswith('-') else f'+{apart}'})" if apart else ""
        figures.append(said)
    stopped = sum(bool(cell["stopped"]) for cell in cells)
    added = _of_several(table.estimate(strategy, "added"), lambda value: f"{value:.1f}")
    return [label, name_of(strategy), *figures, added, str(len(cells)), f"{stopped}/{len(cells)}"]


def _seen_table(table: Table) -> str:
    known: Mapping[str, tuple[str, int]] = {
        figure: about
        for figure, about in SEEN.items()
        if any(table.estimate(strategy, figure) for strategy in table.strategies)
    }
    lines = [
        [
            name_of(strategy),
            str(table.runs(strategy)),
            *(_estimate(table, strategy, figure, digits, -1) for figure, (_, digits) in known.items()),
        ]
        for strategy in table.strategies
    ]
    return markdown(["strategy", "runs", *(name for name, _ in known.values())], lines)


def _with_change(table: Table, strategy: str, figure: str, digits: int, round: int) -> str:
    value = _estimate(table, strategy, figure, digits, round)
    if strategy == BASELINE:
        return value
    change = _percent(table.change(strategy, figure, BASELINE, round, by_subject=True))
    return f"{value} ({change})" if change else value


def _estimate(table: Table, strategy: str, figure: str, digits: int, round: int = -1) -> str:
    return _said(table.estimate(strategy, figure, round), lambda value: f"{value:.{digits}f}")


def _percent(change: Estimate | None) -> str:
    if change is None:
        return ""
    reach = "" if change.half_width != change.half_width else f" ± {100 * change.half_width:.1f}"
    return f"{100 * change.mean:+.1f}{reach} %"


def _said(value: Estimate | None, say: Callable[[float], str]) -> str:
    if value is None:
        return ""
    return say(value.mean) + ("" if value.half_width != value.half_width else f" ± {say(value.half_width)}")


def _of_several(value: Estimate | None, say: Callable[[float], str]) -> str:
    """Return an estimate without an interval that is as wide as that of two or so always is."""
    return say(value.mean) if value is not None and value.n < FEWEST else _said(value, say)


def _seeds(table: Table) -> str:
    """Return how many seeds there are; of which a strategy, or a subject of one, may have a part."""
    owners = [[cell["subject"] for cell in table.cells(strategy)] for strategy in table.strategies]
    least = min(one.count(subject) for one in owners for subject in table.subjects)
    most = len(table.seeds)
    return f"{least} to {most} seeds" if least < most else _count(most, "seed")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)

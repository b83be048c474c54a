"""What the figures of a report mean, in sentences. Nothing here claims more than its interval allows."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.records import THEN, Origin
from desiderata.report import intervals
from desiderata.report.data import Asked, Curve, Report
from desiderata.report.intervals import Interval

SPACE = "\u00a0"
"""Keeps a figure and its unit on one line."""


class Evidence(NamedTuple):
    """How a named figure of a query is shown.

    Attributes:
        name: A word or two for the card.
        meaning: A sentence for the reader who sees it for the first time.
    """

    name: str
    meaning: str


EVIDENCE = {
    "predicted_gain": Evidence(
        "predicted",
        "by how many nats the error score was predicted to fall if one such picture were learnt",
    ),
    "cosine": Evidence(
        "closeness",
        "how near the sentence comes to the ideal example of the class, the point among all possible pictures at "
        "which one more example was computed to help most: 1 is the same direction, 0 is unrelated",
    ),
    "class_agreement": Evidence("sentence fits", "how surely the sentence, read back, names the class asked for"),
    "displacement": Evidence(
        "moved",
        "how far the ideal example moved away from an average picture of its class; 0 would mean that nothing was "
        "learnt about what is missing",
    ),
    "point_gain": Evidence(
        "ideal",
        "by how many nats the error score was predicted to fall if the ideal example itself were learnt, the point "
        "among all possible pictures at which one more example was computed to help most, whether or not there is "
        'such a picture; what "predicted" falls short of it was lost in putting it into words',
    ),
}

NATS = (
    "the unit of the error score (validation loss): the mean, over the labelled pictures kept for checking, of minus "
    "the logarithm of the probability that the classifier gives to the right class; 0.01 nats less is about "
    f"1{SPACE}% more probability for the right class"
)

METHODS = {
    "RandomText": "asks for “a photo of a cat” again and again, whatever the classifier lacks; a control.",
    "RandomDescription": "asks for a random description of the right class; a control, varied but blind.",
    "GenMQD": "computes the ideal example of each class, the point where one more picture would help most, and asks "
    "for what a decoder reads there.",
    "GenMQD, closed loop": "as GenMQD, but reads many sentences there and asks for the one with the highest "
    "predicted gain.",
    "GenMQD-Fea": "asks nobody: the ideal example itself joins the training set.",
    "TextInfluence": "asks for the sentence of a bank with the highest predicted gain, after what was asked before.",
}
"""What each strategy does, by the name that reports give it."""

UNLABELLED = {"archive": "an archive", "generator": "a generator"}
"""The sources of pictures whose class nobody tells, in words."""


def percent(share: float, digits: int = 1) -> str:
    """Return a share of one, such as 0.843, as "84.3 %"."""
    return f"{100 * share:.{digits}f}{SPACE}%"


def points(difference: float) -> str:
    """Return a difference of shares as "5.2 points", without its sign."""
    return f"{abs(100 * difference):.1f}{SPACE}points"


def between(interval: Interval) -> str:
    """Return the bounds of a share, such as "83.1–85.5 %"; empty where they are unknown."""
    return f"{100 * interval.low:.1f}–{percent(interval.high)}" if interval.known else ""


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, such as "+0.031" or "−0.002"."""
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def gain_digits(asked: Iterable[Asked]) -> int:
    """Return the decimals that tell the gains of these queries apart, the same for all of them."""
    gains = [abs(q.realised_gain) for q in asked if q.realised_gain]
    gains += [abs(gain) for q in asked if (gain := q.evidence.get("predicted_gain"))]
    if not gains:
        return 3
    return int(np.clip(1 - math.floor(math.log10(float(np.median(gains)))), 2, 7))


def evidence(query: Asked) -> list[tuple[str, str]]:
    """Return name and value of what speaks for a query, but for its gain, which has a drawing of its own."""
    rows = []
    for key, value in query.evidence.items():
        if key == "class_agreement":
            rows.append((EVIDENCE[key].name, percent(value, 0)))
        elif key in EVIDENCE and key != "predicted_gain":
            rows.append((EVIDENCE[key].name, f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"))
        elif key != "predicted_gain":
            rows.append((key.replace("_", " "), f"{value:.3g}"))
    return rows


def meanings(asked: Iterable[Asked]) -> list[Evidence]:
    """Return the explanations of all figures that appear on the cards of these queries."""
    asked = list(asked)
    present = {key for query in asked for key in query.evidence}
    known = [meaning for key, meaning in EVIDENCE.items() if key in present]
    measured = any(query.realised_gain is not None for query in asked)
    if measured:
        known.append(Evidence("measured", "by how many nats the error score did fall once the answer was learnt"))
    if measured or present & {"predicted_gain", "point_gain"}:
        known.append(Evidence("nats", NATS))
    return known


def methods(report: Report) -> list[tuple[str, str]]:
    """Return the methods that appear in a report and what each of them does, as far as that is known."""
    names = dict.fromkeys([*(name for curve in report.curves for name in curve.method.split(THEN)), *report.askers])
    return [(name, METHODS[name]) for name in names if name in METHODS]


def branched(origin: Origin | None) -> str:
    """Return which rounds a run shares with another; empty for a run that was not branched off."""
    return f"from {origin.run}, whose rounds up to {origin.round} are this run's, too" if origin else ""


def learnt(asked: Iterable[Asked]) -> str:
    """Return as what the pictures that came back were learnt: that depends on who brought them."""
    brought = [query for query in asked if query.images]
    told = [query for query in brought if query.source not in UNLABELLED]
    which = "A picture" if len(told) == len(brought) else "A picture that came with a label"
    said = [f"{which} is learnt as what it shows, even where that is not what was asked for."] if told else []
    for source, words in UNLABELLED.items():
        its = [query for query in brought if query.source == source]
        if any(query.checked for query in its):
            said.append(
                f"Nobody labelled the pictures from {words}: each is learnt as the class asked for, which it also "
                "looked like to the encoder."
            )
        if not all(query.checked for query in its):
            said.append(
                f"Pictures from {words} that were taken without a check of their class are learnt as what was asked "
                "for, whatever they show."
            )
    return " ".join(said)


def count(number: int, one: str, many: str = "") -> str:
    """Return "1 picture" or "7 pictures"."""
    return f"{number:,}{SPACE}{one if number == 1 else many or one + 's'}"


def headline(report: Report) -> str:
    """Return the result in a sentence or two; the report's own summary where it has one."""
    curve, control = report.main, report.compared
    if report.summary:
        return report.summary
    if curve is None:
        asked = count(len(report.asked), "request")
        return f"The classifier made {asked} for pictures; its accuracy has not been measured yet."
    before, after = curve.accuracy[:, 0].mean(), curve.accuracy[:, -1].mean()
    pictures = "validation pictures" if report.validated else "new pictures"
    if not curve.examples[-1]:
        return f"Nothing has come back yet. The classifier recognises {percent(after)} of {pictures}."
    said = f"With {count(int(curve.examples[-1]), report.unit)} collected as it asked, the classifier "
    change = _change(report, curve)
    if change.known and change.low <= 0 <= change.high:
        said += f"recognises {percent(after)} of {pictures}, after {percent(before)} before: no clear change yet."
    else:
        said += f"went from recognising {percent(before)} of {pictures} to {percent(after)}."
    common = _common(report)
    if control is None or not common:
        return said
    difference, theirs = _difference(curve, control, common), _at(control, common).mean()
    if difference.known and difference.low <= 0 <= difference.high:
        gap = "which is no clear difference"
    else:
        gap = f"{points(difference.value)} {'less' if difference.value > 0 else 'more'}"
    many = "As many" if common == curve.examples[-1] else count(common, report.unit)
    return f"{said} {many} collected by {control.method} brought it to {percent(theirs)}, {gap}."


def confidence(report: Report) -> str:
    """Return how far the headline can be trusted: its intervals, or that a single run has none; empty without one.

    Below a report's own summary stands what it says itself.
    """
    curve, control = report.main, report.compared
    if report.summary:
        return report.beneath
    if curve is None or not curve.examples[-1]:
        return ""
    final = intervals.of_mean(curve.accuracy[:, -1])
    if not final.known:
        return "From a single run: part of this may be luck."
    said = f"Means of {count(curve.seeds, 'run')}; 95{SPACE}% intervals: {between(final)} at the end"
    common = _common(report)
    if control is None or not common:
        return said + "."
    difference = _difference(curve, control, common)
    if not difference.known:
        return f"{said}, unknown for the difference."
    return (
        f"{said}, {signed(100 * difference.low, 1)} to {signed(100 * difference.high, 1)} points for the difference."
    )


def _change(report: Report, curve: Curve) -> Interval:
    """Return the change of accuracy; its bounds are unknown for one run on nobody knows how many pictures."""
    before, after = curve.accuracy[:, 0], curve.accuracy[:, -1]
    if curve.seeds == 1 and report.test_examples:
        return intervals.of_change(float(before[0]), float(after[0]), report.test_examples)
    return intervals.of_mean(after - before)


def _common(report: Report) -> int:
    """Return the most pictures that both sides of the comparison collected; 0: there is nothing to compare."""
    curve, control = report.main, report.compared
    if curve is None or control is None or curve is control:
        return 0
    return int(max(np.intersect1d(curve.examples, control.examples), default=0))


def _difference(ours: Curve, theirs: Curve, examples: int) -> Interval:
    return intervals.of_difference(_at(ours, examples), _at(theirs, examples))


def _at(curve: Curve, examples: int) -> NDArray[np.float64]:
    return curve.accuracy[:, int(np.searchsorted(curve.examples, examples))]


def pieces(sentence: str) -> list[tuple[str, bool]]:
    """Return the parts of a sentence, each with whether it is a figure with its unit, to set figures bold."""
    figure = rf"([+−]?\d[\d.,]*\d?(?:{SPACE}(?:%|points|pictures?|examples?))?)"
    return [(part, index % 2 == 1) for index, part in enumerate(re.split(figure, sentence)) if part]


def certainty(report: Report) -> list[str]:
    """Return what stands beside the curves: where the intervals come from, or that there are none."""
    said = []
    runs = sorted({curve.seeds for curve in report.curves})
    if runs == [1]:
        said.append(
            "One run: no interval. Another seed would give another curve, and a small difference between methods may "
            "be luck."
        )
    elif runs:
        span = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
        alone = " (a method with one run has none)" if runs[0] == 1 else ""
        said.append(
            f"Lines are means of {span} runs with different seeds; the shade is the 95{SPACE}% interval of that "
            f"mean{alone}."
        )
    if report.test_examples and report.main is not None:
        final = float(report.main.accuracy[:, -1].mean())
        share = intervals.of_share(final, report.test_examples)
        held = "validation" if report.validated else "held-out"
        half = points((share.high - share.low) / 2)
        said.append(
            f"Accuracy is measured on {count(report.test_examples, f'{held} picture')}, which alone leaves each "
            f"value uncertain by about {half}."
        )
    if report.zero_shot is not None:
        said.append(
            "Zero-shot: the pretrained encoder on its own, given the class names and not a single labelled picture."
        )
    if report.ceiling is not None:
        said.append("Ceiling: the same classifier with far more labelled pictures than anybody would collect.")
    return said


def agreement(predicted: NDArray[np.float64], realised: NDArray[np.float64], rounds: NDArray[np.int64]) -> list[str]:
    """Return what the drawing of predicted against measured gains shows.

    Both gains shrink from round to round, which no prediction deserves credit for: ranks are compared within rounds.
    """
    n = len(predicted)
    helped = int(np.sum(realised > 0))
    said = [f"{helped} of {count(n, 'answer')} lowered the error score; {n - helped} did not."]
    rho = intervals.of_rank_agreement_within(predicted, realised, rounds)
    if math.isnan(rho.value):
        return [*said, "Too few different gains in a round to say whether predictions were any good."]
    bounds = (
        f"95{SPACE}% interval {_plain(rho.low)} to {_plain(rho.high)}" if rho.known else "too few for an interval"
    )
    said.append(
        f"Rank agreement between predicted and measured gain within a round: {_plain(rho.value)} ({bounds}), where 1 "
        "is the same order and 0 no connection (Spearman's correlation)."
    )
    if rho.known and rho.low <= 0:
        said.append("So these answers do not show that the predictions were better than chance.")
    return said


def _plain(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")

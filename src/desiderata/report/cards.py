"""The requests of a report as cards, grouped by round."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from desiderata.report import words
from desiderata.report.data import MOST_PICTURES, Asked
from desiderata.report.pictures import data_uri

ALL_OPEN = 24
"""With more queries than this, only the first and the last round are unfolded."""
FEWEST_ANSWERS = 5
"""With fewer, that one of them helped most says nothing."""


class Picture(NamedTuple):
    """A thumbnail.

    Attributes:
        uri: The picture itself, as a `data:` address.
        shows: The class it shows.
        differs: Whether that is another class than the one asked for.
        tiny: The same picture, smaller.
    """

    uri: str
    shows: str
    differs: bool
    tiny: str


class Bar(NamedTuple):
    """A horizontal bar in a drawing that is 100 wide; `x` is its left end."""

    x: float
    width: float


class Gain(NamedTuple):
    """A predicted or a measured gain.

    Attributes:
        name: "predicted" or "measured".
        value: As text, with its sign.
        bar: From zero to the value, on a scale shared by all cards.
        zero: Where zero lies.
        harm: Whether the value is below zero.
    """

    name: str
    value: str
    bar: Bar
    zero: float
    harm: bool


class Card(NamedTuple):
    """A query as the page shows it.

    Attributes:
        query: What was asked.
        pictures: What came back, as far as there is room.
        more: How many more came back.
        gains: Predicted and measured, where known.
        evidence: Name and value of all else that speaks for the query.
    """

    query: Asked
    pictures: Sequence[Picture]
    more: int
    gains: Sequence[Gain]
    evidence: Sequence[tuple[str, str]]


class Round(NamedTuple):
    """The queries of one round.

    Attributes:
        number: Counted from 1.
        cards: In the order asked.
        pictures: How many came back.
        skipped: How many queries were skipped.
        open: Whether the page shows it unfolded.
    """

    number: int
    cards: Sequence[Card]
    pictures: int
    skipped: int
    open: bool


def rounds(asked: Sequence[Asked], digits: int) -> list[Round]:
    """Group queries by round.

    Args:
        asked: In any order.
        digits: Decimals of gains.

    Returns:
        The rounds in rising order.
    """
    gains = [gain for query in asked for _, gain in _gains(query)]
    low, high = min([0.0, *gains]), max([0.0, *gains])
    ordered = sorted(asked, key=lambda query: query.round)
    grouped = [(number, list(queries)) for number, queries in groupby(ordered, key=lambda query: query.round)]
    return [
        Round(
            number=number,
            cards=[_card(query, digits, low, high) for query in queries],
            pictures=sum(len(query.shown) for query in queries),
            skipped=sum(bool(query.skipped) for query in queries),
            open=len(asked) <= ALL_OPEN or number in (grouped[0][0], grouped[-1][0]),
        )
        for number, queries in grouped
    ]


def example(asked: Sequence[Asked]) -> tuple[Asked, Picture, int] | None:
    """Find a request that shows at a glance what this is about.

    Args:
        asked: All requests.

    Returns:
        The answered request that helped most, its first picture, and how many it was chosen from, those whose help
        was measured; the first answered one and 0 where none was or nothing helped; None with few answers.
    """
    answered = sum(bool(query.images) for query in asked)
    if answered < FEWEST_ANSWERS:
        return None
    fitting = [query for query in asked if query.text and query.images and query.shown[0] == query.label]
    measured = [query for query in fitting if query.realised_gain is not None]
    known = [query for query in asked if query.images and query.realised_gain is not None]
    best = max(measured, key=lambda query: query.realised_gain or 0.0, default=next(iter(fitting), None))
    helped = best is not None and (best.realised_gain or 0.0) > 0
    return best and (best, picture(best.images[0], best.label, best.label), len(known) if helped else 0)


def picture(image: NDArray[np.uint8], shows: str, label: str) -> Picture:
    """Make the thumbnails of a picture, RGB of shape (height, width, 3), that was asked for as `label`.

    Returns:
        The picture in two sizes.
    """
    return Picture(data_uri(image, 144), shows, shows != label, data_uri(image, 56))


def _card(query: Asked, digits: int, low: float, high: float) -> Card:
    pairs = list(zip(query.images, query.shown))[:MOST_PICTURES]  # of the first, all that is known
    return Card(
        query=query,
        pictures=[picture(image, shows, query.label) for image, shows in pairs],
        more=len(query.shown) - len(pairs),
        gains=[_gain(name, value, digits, low, high) for name, value in _gains(query)],
        evidence=words.evidence(query),
    )


def _gains(query: Asked) -> list[tuple[str, float]]:
    both = ("predicted", query.evidence.get("predicted_gain")), ("measured", query.realised_gain)
    return [(name, value) for name, value in both if value is not None]


def _gain(name: str, value: float, digits: int, low: float, high: float) -> Gain:
    scale = 100 / (high - low or 1.0)
    start, end = sorted(((0 - low) * scale, (value - low) * scale))
    bar = Bar(round(start, 2), round(max(end - start, 0.8), 2))
    return Gain(name, words.signed(value, digits), bar, round((0 - low) * scale, 2), value < 0)

"""Who answers a generator that chooses what to learn from: its own pictures, or a person who picks among them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.blobs import Blobs
from desiderata.campaign.images import ImageLike
from desiderata.campaign.loop import Campaign
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError
from desiderata.personalize.candidates import candidate_name
from desiderata.personalize.drawing import BLANKED, PASSED, kept, kept_picture
from desiderata.personalize.looking import OWN, shelf_of

NOT_PICKED = "Not picked."


class OwnSamples:
    """Answers each query with the picture that its strategy chose among the generator's own.

    Args:
        campaign: A personalising campaign.
    """

    name = OWN

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[ImageLike, str | None]]:
        """Return the picture; `rng` is not drawn from.

        Raises:
            CannotAnswer: It asks for no picture of the generator's.
            DesiderataError: The choice is a person's, or the picture has been removed from the run.
        """
        evidence = query.proposal.evidence
        if "anchor" not in evidence:
            raise CannotAnswer("This query asks for no picture that the generator has drawn.")
        if "candidate" not in evidence:
            raise DesiderataError(
                f"{query.id} waits for a person to pick among its pictures, which lie in the run's folder "
                f"rounds/{query.round:03d}/candidates: pick some, or take a strategy that chooses by itself."
            )
        name = _name(query, int(evidence["candidate"]))
        picture = kept(shelf_of(self._campaign), name + PASSED)
        if picture is None:
            raise DesiderataError(
                f"The picture {name}{PASSED} that {query.id} asks for is gone from the run: put it back from a copy, "
                "or skip the query."
            )
        return [(picture, None)]


class Picker:
    """Picks as a person would who looks at all pictures of a round; for experiments.

    Args:
        campaign: A campaign with the strategy human.
        choose: Gets every query of the round, by its sentence, with its pictures by their numbers; returns which
            number of which sentence is picked. It must choose the same from the same pictures.
    """

    name = "picker"

    def __init__(
        self,
        campaign: Campaign,
        choose: Callable[[Mapping[str, Mapping[int, NDArray[np.uint8]]]], Mapping[str, int]],
    ) -> None:
        self._campaign = campaign
        self._choose = choose
        self._picked: tuple[int, Mapping[str, int]] = (0, {})

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[ImageLike, str | None]]:
        """Return the picture picked for this query; `rng` is not drawn from.

        Raises:
            CannotAnswer: None was.
        """
        if self._picked[0] != query.round:
            queries = [one for one in self._campaign.queries if one.round == query.round]
            shown = {one.text: candidates(self._campaign, one) for one in queries}
            self._picked = query.round, self._choose(shown)
        number = self._picked[1].get(query.text)
        if number is None:
            raise CannotAnswer(NOT_PICKED)
        return [(candidates(self._campaign, query)[number], None)]


def candidates(campaign: Campaign, query: Query) -> dict[int, NDArray[np.uint8]]:
    """Return the pictures drawn for a query by their numbers, without those that the safety checker blacked out."""
    row = candidate_row(campaign, query)
    return {number: picture for number, picture in enumerate(row) if picture is not None}


def candidate_files(campaign: Campaign, query: Query) -> list[Path]:
    """Return the files of the pictures drawn for a query, for a person to look at.

    Raises:
        DesiderataError: The campaign is in memory, and has no files.
    """
    if campaign.path is None:
        raise DesiderataError("This campaign is in memory and has no files: look at `candidates` instead.")
    shelf = shelf_of(campaign)
    names = [_name(query, number) + PASSED for number in _numbers(shelf, query)]
    return [campaign.path / name for name in names if kept(shelf, name)]


def candidate_row(campaign: Campaign, query: Query) -> list[NDArray[np.uint8] | None]:
    """Return the pictures drawn for a query in the order of their numbers, None for each that was blacked out."""
    shelf = shelf_of(campaign)
    return [kept_picture(shelf, _name(query, number)) for number in _numbers(shelf, query)]


def weights_of(campaign: Campaign) -> list[list[float]]:
    """Return the weights of the pictures that each round added, for `random-equal-weight` to follow."""
    rounds = {query.id: query.round for query in campaign.queries}
    told = [(rounds[answer.query_id], answer.weight) for answer in campaign.answers if answer.image]
    last = max((number for number, _ in told), default=0)
    return [[weight for number, weight in told if number == wanted] for wanted in range(1, last + 1)]


def additions_of(campaign: Campaign) -> list[int]:
    """Return how many pictures had been added by each round, for `dreambooth-equal-steps` to follow."""
    return np.cumsum([len(row) for row in weights_of(campaign)], dtype=int).tolist()


def _numbers(shelf: Blobs, query: Query) -> Sequence[int]:
    found = []
    for number in count():
        name = _name(query, number)
        if kept(shelf, name + PASSED) is None and kept(shelf, name + BLANKED) is None:
            return found
        found.append(number)
    return found


def _name(query: Query, number: int) -> str:
    return candidate_name(query.round, int(query.proposal.evidence["anchor"]), query.text, number)

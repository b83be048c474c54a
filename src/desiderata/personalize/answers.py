"""Who answers a generator that chooses what to learn from: its own pictures, or a person who picks among them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desiderata.campaign.blobs import Blobs
from desiderata.campaign.images import ImageLike, as_list, digest_of, read_image
from desiderata.campaign.loop import Campaign
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError
from desiderata.personalize.candidates import candidate_name
from desiderata.personalize.choosing import TOP_K
from desiderata.personalize.drawing import BLANKED, PASSED, kept, kept_picture
from desiderata.personalize.looking import shelf_of
from desiderata.worlds.folder import image_files

NOT_PICKED = "Not picked."


class OwnSamples:
    """Answers each query with the picture that its strategy chose among the generator's own.

    Args:
        campaign: A personalising campaign.
    """

    name = "self"

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


def pick(campaign: Campaign, pictures: str | Path | Sequence[ImageLike]) -> list[Query]:
    """Learn from the pictures that a person picked, and skip the queries of which none was.

    A picture is known by its pixels, so that it may have been copied elsewhere and renamed. The same call after a
    kill goes on where it stopped.

    Args:
        campaign: A campaign with the strategy human that has asked.
        pictures: Files among the candidates of the round, or a folder that they were copied into.

    Returns:
        The queries that were answered.

    Raises:
        DesiderataError: Nothing is asked, a picture is no candidate of this round, there are more than the strategy
            takes in a round, or others were picked before.
    """
    number = max((query.round for query in campaign.queries), default=0)
    queries = [query for query in campaign.queries if query.round == number]
    chosen = _by_query(campaign, queries, pictures) if queries else {}
    told = {answer.image for answer in campaign.answers}
    if queries and number > campaign.rounds[-1].number:
        _check_unchanged(campaign, queries, chosen)
    elif not chosen or any(digest_of(picture) not in told for came in chosen.values() for picture in came):
        raise DesiderataError(
            "Nothing waits to be picked from: `desiderata personalize run` draws pictures (in Python, `ask`)."
        )
    total, most = sum(map(len, chosen.values())), most_picked(campaign)
    if total > most:
        raise DesiderataError(f"{total} pictures were picked, and a round learns from {most}: leave some out.")
    campaign.settle()  # a round whose learning was cut off; only now, since it takes minutes
    for query in queries:
        mine = [picture for picture in chosen.get(query.id, []) if digest_of(picture) not in told]
        if mine:
            campaign.tell(query, mine)
    for query in queries:
        if query.id not in chosen and query.status == "open":
            campaign.skip(query, NOT_PICKED)
    return [query for query in queries if query.id in chosen]


def _check_unchanged(
    campaign: Campaign, queries: Sequence[Query], chosen: Mapping[str, Sequence[Image.Image]]
) -> None:
    """Refuse to pick anew in a round that is decided, at least in part, and not learnt yet.

    Raises:
        DesiderataError: Other pictures are recorded for it than those given.
    """
    texts = {query.id: query.text for query in queries}
    recorded = {answer.image: answer.query_id for answer in campaign.answers if answer.query_id in texts}
    given = {digest_of(picture): owner for owner, came in chosen.items() for picture in came}
    decided = {query.id for query in queries if query.status != "open"}
    late = [owner for digest, owner in given.items() if digest not in recorded and owner in decided]
    if late or set(recorded) - set(given):
        known = ", ".join(f"{one} ({texts[one]})" for one in sorted(set(recorded.values()))) or "none"
        raise DesiderataError(
            f"Others were picked for round {queries[0].round} before, and are not learnt yet: {known}. Give the same "
            "again, and they are learnt; what is recorded cannot be changed."
        )


def weights_of(campaign: Campaign) -> list[list[float]]:
    """Return the weights of the pictures that each round added, for `random-equal-weight` to follow."""
    rounds = {query.id: query.round for query in campaign.queries}
    told = [(rounds[answer.query_id], answer.weight) for answer in campaign.answers if answer.image]
    last = max((number for number, _ in told), default=0)
    return [[weight for number, weight in told if number == wanted] for wanted in range(1, last + 1)]


def additions_of(campaign: Campaign) -> list[int]:
    """Return how many pictures had been added by each round, for `dreambooth-equal-steps` to follow."""
    return np.cumsum([len(row) for row in weights_of(campaign)], dtype=int).tolist()


def most_picked(campaign: Campaign) -> int:
    """Return how many pictures a person may pick in a round."""
    if campaign.config.half == "python":
        strategy: Any = campaign.strategy
        return strategy.k
    return campaign.config.strategy.get("k", TOP_K)


def _by_query(
    campaign: Campaign, queries: Sequence[Query], pictures: str | Path | Sequence[ImageLike]
) -> dict[str, list[Image.Image]]:
    if isinstance(pictures, str | Path) and Path(pictures).is_dir():
        pictures = image_files(Path(pictures))
    owners = {
        digest_of(Image.fromarray(picture)): query.id
        for query in queries
        for picture in candidates(campaign, query).values()
    }
    chosen: dict[str, list[Image.Image]] = {}
    seen: set[str] = set()
    for position, source in enumerate(as_list(pictures), start=1):
        name = str(source) if isinstance(source, str | Path) else f"Picture {position}"
        picture = read_image(source, name)
        digest = digest_of(picture)
        owner = owners.get(digest)
        if owner is None:
            raise DesiderataError(
                f"{name} is none of the pictures that were drawn in this round: pick among those in the run's folder "
                f"rounds/{queries[0].round:03d}/candidates, unchanged."
            )
        if digest not in seen:  # a file and its copy are one picture
            seen.add(digest)
            chosen.setdefault(owner, []).append(picture)
    return chosen


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

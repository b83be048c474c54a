"""A person picks among what a generator has drawn, and may take that back while it is not learnt."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from desiderata.campaign.images import ImageLike, as_list, digest_of, read_image
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError
from desiderata.personalize.answers import NOT_PICKED, candidates
from desiderata.personalize.choosing import TOP_K
from desiderata.personalize.looking import unlearnt
from desiderata.worlds.folder import image_files


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
            takes in a round, others were picked before, or somebody took back what was picked while it was learnt.
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
    _check_kept(campaign, chosen)
    return [query for query in queries if query.id in chosen]


def unpick(campaign: Campaign) -> list[Query]:
    """Take back what was picked for the round that is not learnt yet, so that all of it waits to be picked from.

    The record keeps what was taken back.

    Args:
        campaign: A campaign with the strategy human, whose learning was cut off, or goes on in another process, which
            then records nothing of it.

    Returns:
        The queries of which pictures were taken back, as they stand now.

    Raises:
        DesiderataError: There is nothing to take back, or it is learnt.
    """
    if not (decided := unlearnt(campaign)):
        raise DesiderataError(
            "There is nothing to take back: nothing is picked that is not learnt yet, and what follows rests on what "
            "is learnt. `desiderata personalize branch` makes a run that picks anew from an earlier round on."
        )
    answered = [query.id for query in decided if campaign.undo(query).status == "answered"]
    return [query for query in campaign.queries if query.id in answered]


def most_picked(campaign: Campaign) -> int:
    """Return how many pictures a person may pick in a round."""
    if campaign.config.half == "python":
        strategy: Any = campaign.strategy
        return strategy.k
    return campaign.config.strategy.get("k", TOP_K)


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
            "again, and they are learnt, or take them back with `desiderata personalize undo` (in Python, `unpick`)."
        )


def _check_kept(campaign: Campaign, chosen: Mapping[str, Sequence[Image.Image]]) -> None:
    """Say so where pictures are no longer recorded.

    Raises:
        DesiderataError: Some are not.
    """
    recorded = {(answer.query_id, answer.image) for answer in campaign.answers}
    picked = {(owner, digest_of(picture)) for owner, came in chosen.items() for picture in came}
    if lost := sorted({owner for owner, _ in picked - recorded}):
        raise DesiderataError(
            f"What was picked for {', '.join(lost)} was taken back while it was learnt, and is recorded no longer: "
            "pick again."
        )


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

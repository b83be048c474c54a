"""What a personalising campaign has drawn and decided, for people and reports; no model is loaded for it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.blobs import Blobs
from desiderata.campaign.loop import Campaign
from desiderata.campaign.recorded import WeightsGone
from desiderata.campaign.records import Answer, Query
from desiderata.errors import Damaged, DesiderataError
from desiderata.personalize.measurement import Measurement, measured_folder
from desiderata.personalize.selection import Selection, selections
from desiderata.personalize.subject import Subject
from desiderata.personalize.tensors import about

OWN = "self"
"""The source of a picture that its strategy chose among the generator's own."""


class Gathered(NamedTuple):
    """What a round had learnt from beside the references.

    Attributes:
        own: Pictures of the generator's own.
        brought: Pictures that somebody brought for a sentence that it asked about.
    """

    own: int
    brought: int


def shelf_of(campaign: Campaign) -> Blobs:
    """Return the files of a run; one in memory is asked for those of its learner."""
    learner: Any = campaign.learner if campaign.path is None else None
    return campaign.store.blobs if learner is None else learner.shelf


def measured_pictures(campaign: Campaign, number: int) -> list[tuple[str, list[NDArray[np.uint8] | None]]]:
    """Return the pictures by which a closed round was measured.

    Args:
        campaign: A personalising campaign on disk.
        number: The round.

    Returns:
        Every test prompt with its pictures, None for those that the safety checker blacked out, and for all where it
        cannot be told any more which are meant; nothing where nothing is measured.

    Raises:
        DesiderataError: That round is not closed.
    """
    if not 0 <= number < len(campaign.rounds):
        raise DesiderataError(f"Round {number} is not closed: the last closed one is {len(campaign.rounds) - 1}.")
    measurement = Measurement.of(campaign.config, Subject.read(campaign.config.subject))
    if measurement is None:
        return []
    learnt = [query.round for query in campaign.queries if query.status == "answered" and query.round <= number]
    return measurement.kept(campaign.store.blobs, _measured(campaign, number, max(learnt, default=0)))


def unlearnt(campaign: Campaign) -> list[Query]:
    """Return the queries of the round that is not closed that are open no longer."""
    closed = campaign.store.last_round()
    return [query for query in campaign.queries if query.round > closed and query.status != "open"]


def taken_back(campaign: Campaign) -> int:
    """Return how many pictures were picked or brought, and taken back."""
    return sum(len(one.answers) for one in campaign.withdrawals)


def _measured(campaign: Campaign, number: int, learnt: int) -> str:
    """Return where the test pictures of a round are kept; where nobody can tell, a folder that is not there."""
    try:
        with campaign.store.reading_weights(number) as file:
            return measured_folder(learnt, about(file)["key"])
    except (WeightsGone, Damaged):  # the first, where somebody is short of room
        # Features are written once all pictures are there, which those of a pick that was taken back may not be.
        kept = campaign.path.glob(f"{measured_folder(learnt, '*')}.safetensors") if campaign.path else []
        found = list(kept)
        key = found[0].stem.removeprefix("test-") if len(found) == 1 else "unknown"
        return measured_folder(learnt, key)


def choices(campaign: Campaign) -> list[Selection]:
    """Return what every round was asked for and why, in order; the last may tell why nothing was asked any more."""
    return selections(shelf_of(campaign))


def is_brought(query: Query, answer: Answer) -> bool:
    """Return whether somebody brought a picture where the strategy had chosen one of the generator's own."""
    return bool(answer.image) and "candidate" in query.proposal.evidence and answer.source != OWN


def decided_by_others(campaign: Campaign) -> list[Query]:
    """Return the queries that somebody answered or skipped where the strategy had chosen a picture, as asked."""
    sources = {name: decision.source for name, decision in campaign.decisions.items()}
    return [
        query
        for query in campaign.queries
        if query.status != "open" and "candidate" in query.proposal.evidence and sources.get(query.id, OWN) != OWN
    ]


def gathered(campaign: Campaign) -> list[Gathered]:
    """Return how many pictures every closed round had learnt from beside the references."""
    queries = {query.id: query for query in campaign.queries}
    came = [(queries[answer.query_id], answer) for answer in campaign.answers if answer.image]
    brought = [is_brought(query, answer) for query, answer in came]
    return [
        Gathered(
            own=sum(query.round <= done.number and not mark for (query, _), mark in zip(came, brought)),
            brought=sum(query.round <= done.number and mark for (query, _), mark in zip(came, brought)),
        )
        for done in campaign.rounds
    ]


def stopped(campaign: Campaign) -> Selection | None:
    """Return when and why a campaign asked for nothing more; None for one that goes on or was just left."""
    found = choices(campaign)
    return found[-1] if found and found[-1].stopped else None

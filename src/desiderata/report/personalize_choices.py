"""What a generator chose to learn from in each round, with its reasons, as the report shows it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from desiderata.campaign.images import read_image
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Answer, Query, Round
from desiderata.personalize.answers import candidates
from desiderata.personalize.looking import choices, is_brought
from desiderata.personalize.selection import Direction, Selection
from desiderata.report import personalize_words as words
from desiderata.report.pictures import data_uri
from desiderata.report.words import count

SIDE, TINY = 192, 80
"""The longest side of a chosen picture, and of one that was drawn beside it, in pixels."""


class Chosen(NamedTuple):
    """A picture that was chosen.

    Attributes:
        query: The query whose sentence it was drawn for.
        uri: The picture; "" while it is not recorded.
        drawn: All pictures of the sentence, and whether each is the chosen one.
        evidence: Name and value of what speaks for it.
        brought: Whether somebody brought it, in place of one of those.
        learnt: Whether its round is closed.
    """

    query: Query
    uri: str
    drawn: Sequence[tuple[str, bool]]
    evidence: Sequence[tuple[str, str]]
    brought: bool = False
    learnt: bool = False


class Choice(NamedTuple):
    """What one round chose, and why.

    Attributes:
        number: Which round.
        said: Its reasons in sentences.
        chosen: What was chosen.
        unpicked: How many sentences a person passed over.
        directions: All sentences as they stood, the most wanted first; none where shares were not measured.
        stopped: Why nothing was chosen; empty if something was.
    """

    number: int
    said: Sequence[str]
    chosen: Sequence[Chosen]
    unpicked: int
    directions: Sequence[Direction]
    stopped: str

    @property
    def counted(self) -> str:
        """How many pictures were chosen and brought: "2 pictures chosen, 1 brought"."""
        brought = sum(one.brought for one in self.chosen)
        own = len(self.chosen) - brought
        said = [f"{count(own, 'picture')} chosen"] if own or not brought else []
        return ", ".join([*said, *([f"{brought if own else count(brought, 'picture')} brought"] if brought else [])])


def choices_of(campaign: Campaign) -> list[Choice]:
    """Return what every round chose, in order; the last may tell why nothing was chosen any more."""
    came: dict[str, list[Answer]] = {}
    for answer in campaign.answers:
        came.setdefault(answer.query_id, []).append(answer)
    return [_choice(campaign, selection, came) for selection in choices(campaign)]


def _choice(campaign: Campaign, selection: Selection, came: dict[str, list[Answer]]) -> Choice:
    queries = [query for query in campaign.queries if query.round == selection.round]
    told = [
        _chosen(campaign, query, answer, first=place == 0)
        for query in queries
        for place, answer in enumerate(came.get(query.id, []))
        if query.text
    ]
    told += [_awaited(campaign, query) for query in queries if query.status == "open" and "candidate" in _of(query)]
    said = words.chosen(selection, own=any(not one.brought for one in told))
    if any("additions" in _of(query) for query in queries):
        none = count(int(_of(queries[0])["additions"]), "picture")
        said.append(f"Nothing was drawn: the references were learnt beside {none} of no weight.")
    said += [words.slower(_of(query)) for query in queries if "pace" in _of(query)]
    closed = _closed(campaign, selection.round)
    if any("steady" in _of(query) for query in queries) and closed and "pace" in closed.metrics:
        said.append(words.steady(closed.metrics["pace"]))
    measured = selection.directions if selection.openness is not None else ()
    return Choice(
        number=selection.round,
        said=said,
        chosen=told,
        unpicked=sum(query.status == "skipped" and "candidate" not in _of(query) for query in queries),
        directions=sorted(measured, key=lambda one: one.rank),
        stopped=selection.stopped,
    )


def _closed(campaign: Campaign, number: int) -> Round | None:
    return next((done for done in campaign.rounds if done.number == number), None)


def _chosen(campaign: Campaign, query: Query, answer: Answer, first: bool) -> Chosen:
    picture = np.asarray(read_image(campaign.store.image(answer.image)))
    found = sorted(candidates(campaign, query).items()) if first or not is_brought(query, answer) else []
    drawn = [(data_uri(one, TINY), np.array_equal(one, picture)) for _, one in found]
    brought, learnt = is_brought(query, answer), query.round <= campaign.store.last_round()
    reasons = words.evidence(query, answer.weight, brought)
    return Chosen(query, data_uri(picture, SIDE), drawn, reasons, brought, learnt)


def _awaited(campaign: Campaign, query: Query) -> Chosen:
    number = int(_of(query)["candidate"])
    found = candidates(campaign, query)
    drawn = [(data_uri(one, TINY), place == number) for place, one in sorted(found.items())]
    uri = data_uri(found[number], SIDE) if number in found else ""
    return Chosen(query, uri, drawn, words.evidence(query, query.proposal.weight))


def _of(query: Query) -> dict[str, float]:
    return dict(query.proposal.evidence)

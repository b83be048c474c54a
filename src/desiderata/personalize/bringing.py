"""Somebody brings pictures of the subject for what a generator asks about, in place of its own."""

from collections.abc import Sequence

from PIL import Image

from desiderata.campaign.answers import Refused, listed
from desiderata.campaign.images import ImageLike, as_list, digest_of, read_images
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Answer, Query
from desiderata.errors import DesiderataError
from desiderata.personalize.looking import decided_by_others, shelf_of
from desiderata.personalize.pictures import kept_reference, square

FULL = 1.0
"""How much a picture counts that is brought: as a reference does. A strategy that gives little weight to the
generator's own pictures does so because these may be wrong."""


def bring(
    campaign: Campaign, query: Query | str, pictures: ImageLike | Sequence[ImageLike], *, close: bool = True
) -> list[Answer]:
    """Answer a query with pictures of the subject: all of them are recorded, or none.

    Args:
        campaign: A personalising campaign that has asked.
        query: One of its open queries, or its id.
        pictures: Files, bytes of files, or pixels; the middle square of each is learnt from, with full weight.
        close: As for `Campaign.tell`: whether to learn at once if nothing of the round is open any more.

    Returns:
        What was recorded.

    Raises:
        Refused: The query is not open, or a picture is known: a reference, told before, or drawn by the generator.
        UnreadableImage: A file is not a picture.
        RoundNotClosed: It is recorded, but the round that it completes could not be closed.
    """
    _check_new(campaign, as_list(pictures))
    return campaign.tell(query, pictures, weight=FULL, close=close)


def unlearnt_of_others(campaign: Campaign) -> list[Query]:
    """Return the queries of the round that is not closed that somebody answered or skipped, in the order asked."""
    last = campaign.store.last_round()
    return [query for query in decided_by_others(campaign) if query.round > last]


def take_back(campaign: Campaign, query: str) -> Query:
    """Take back what was brought for a query, or its skip, while it is not learnt.

    Args:
        campaign: A personalising campaign.
        query: The id of the query; "" where there is only one that can be meant.

    Returns:
        The query, open again.

    Raises:
        DesiderataError: There is nothing to take back.
    """
    known = [one.id for one in unlearnt_of_others(campaign)]
    asked = {one.id: one for one in campaign.queries}
    if query in asked and asked[query].round <= campaign.store.last_round():
        raise DesiderataError(
            f"{query} is learnt, and what follows rests on it: `desiderata personalize branch RUN NEW --round "
            f"{asked[query].round - 1}` makes a run that asks it anew."
        )
    if not known:
        raise DesiderataError("There is nothing to take back: nothing was told that is not learnt yet.")
    if not query and len(known) == 1:
        query = known[0]
    if query not in known:
        if not query:
            raise DesiderataError(f"Something was told for {listed(known)}: say which of these is meant.")
        raise DesiderataError(
            f"For {query} nothing was told: give the id of one for which something was ({listed(known)})."
        )
    campaign.undo(query)
    return next(one for one in campaign.queries if one.id == query)


def _check_new(campaign: Campaign, pictures: Sequence[ImageLike]) -> None:
    """Refuse references, which are known by what is learnt of them, and what the generator drew.

    Raises:
        Refused: There is one.
    """
    references = {one.image for one in campaign.store.held()}
    copies = [kept_reference(shelf_of(campaign), digest) for digest in references]
    size = next((copy.shape[0] for copy in copies if copy is not None), None)
    if size is None:  # the copies were removed by somebody
        return
    drawn: set[str] | None = None
    for name, picture in read_images(pictures):
        learnt = digest_of(Image.fromarray(square(picture, size)))
        if learnt in references:
            raise Refused(f"{name} is one of the pictures that it learns from anyway: give a new one.")
        if picture.size == (size, size):  # as it draws them
            drawn = _drawn(campaign) if drawn is None else drawn
            if learnt in drawn:
                raise Refused(
                    f"{name} was drawn by the generator: give one of your own, or let it choose among its own with "
                    "`desiderata personalize run`."
                )


def _drawn(campaign: Campaign) -> set[str]:
    files = campaign.path.glob("rounds/*/*/*/*.png") if campaign.path else ()
    return {digest_of(picture) for _, picture in read_images([*files])}

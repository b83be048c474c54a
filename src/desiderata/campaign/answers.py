"""The gate that every answer passes: what does not fit is refused whole, before anything is written."""

from collections.abc import Sequence
from difflib import get_close_matches
from math import isfinite
from numbers import Real
from pathlib import Path

from desiderata.campaign.blobs import Pile
from desiderata.campaign.images import ImageLike, as_list, digest_of, read_images, to_png
from desiderata.campaign.records import Answer, Query
from desiderata.campaign.store import Refused, Store
from desiderata.files import in_its_folder


def find(store: Store, query: Query | str) -> Query:
    """Return the query that is meant, as it stands now.

    Raises:
        Refused: There is none of that name.
    """
    name = query if isinstance(query, str) else query.id
    found = store.query(name)
    if found is None:
        open_ones = [one.id for one in store.queries() if one.status == "open"]
        known = f"the open ones are {listed(open_ones)}" if open_ones else "none is open, so ask first"
        raise Refused(f"There is no query {name} in this campaign: {known}.")
    return found


def find_open(store: Store, query: Query | str) -> Query:
    """Return the open query that is meant.

    Raises:
        Refused: There is none of that name, or it is open no longer.
    """
    found = find(store, query)
    if found.status == "open":
        return found
    was = "has been answered already" if found.status == "answered" else f"was skipped ({found.reason})"
    mend = "ask for the open ones"
    learnt = found.round <= store.last_round()
    if learnt and store.path:
        mend += f", or make a branch after round {found.round - 1}, which asks that round anew"
    elif not learnt and found.proposal.feature is None:
        mend += ", or undo it first"
    raise Refused(f"Query {found.id} {was}: {mend}.")


def check(
    store: Store,
    query: Query,
    images: ImageLike | Sequence[ImageLike],
    labels: Sequence[str | None] | str | None,
    source: str,
    weight: float | None = None,
) -> tuple[list[Answer], Pile]:
    """Look at everything and record nothing.

    Returns:
        What would be recorded for these images, and each picture as the content of a PNG file.

    Raises:
        Refused: There are no images, the labels or the weight do not fit, or a picture is in the campaign already.
        UnreadableImage: An image is not one.
    """
    images = as_list(images)
    if not len(images):
        raise Refused(f"No image was given for {query.id}: give at least one, or skip the query.")
    if labels is None or isinstance(labels, str):
        labels = [labels] * len(images)
    if len(labels) != len(images):
        raise Refused(f"{len(images)} images came with {len(labels)} labels: give one label for each image.")
    weight = query.proposal.weight if weight is None else weight
    if isinstance(weight, bool) or not isinstance(weight, Real) or not (isfinite(weight) and weight >= 0):
        raise Refused(f"The weight is {weight!r}, but must be a number of at least 0: a usual picture counts 1.")
    classes = store.fact("classes")
    for label in labels:
        if label is not None and label not in classes:
            raise Refused(
                f"{label!r} is none of the classes of this campaign{_meant(label, classes)}: they are "
                f"{listed(classes)}."
            )
    answers: dict[str, Answer] = {}
    files = Pile(store.path)
    for (name, picture), label in zip(read_images(images), labels, strict=True):
        digest = digest_of(picture)
        owner = "another of these images" if digest in answers else store.owner(digest)
        if owner:
            raise Refused(f"{name} shows the same picture as {owner}: give a new one.")
        answers[digest] = Answer(query.id, digest, label or query.label, float(weight), source)
        files.add(to_png(picture))
    return list(answers.values()), files


def names_of(images: ImageLike | Sequence[ImageLike]) -> list[str]:
    """Return the name of the file of each picture, in its folder; empty for one that came from no file."""
    return [in_its_folder(image) if isinstance(image, str | Path) else "" for image in as_list(images)]


def _meant(label: str, classes: Sequence[str]) -> str:
    spelt = {name.casefold(): name for name in classes}
    near = get_close_matches(label.casefold(), spelt, n=1)
    return f" (did you mean {spelt[near[0]]}?)" if near else ""


def listed(names: Sequence[str], most: int = 12) -> str:
    """Return `names` as words, the tail of a long list as a count."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

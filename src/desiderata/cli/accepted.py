"""What an oracle brought and what was skipped, told so that somebody can look at the files."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from desiderata.campaign.images import ImageLike
from desiderata.campaign.loop import Campaign
from desiderata.campaign.oracle import Oracle
from desiderata.campaign.records import Query
from desiderata.cli.output import count
from desiderata.files import in_its_folder
from desiderata.oracles.archive import OTHER_CLASS, TOO_FAR

MOST_LINES = 20
MOST_IDS = 5


class Noted:
    """An oracle that remembers which files it brought for which query.

    Args:
        inner: The oracle itself.
    """

    def __init__(self, inner: Oracle):
        self.inner = inner
        self.name = inner.name
        self.settings: Mapping[str, Any] = getattr(inner, "settings", {})
        self._brought: dict[str, list[str | None]] = {}

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[ImageLike, str | None]]:
        """Return what `inner` brings.

        Raises:
            CannotAnswer: As `inner` does.
        """
        came = self.inner.answer(query, rng)
        self._brought[query.id] = [str(image) if isinstance(image, str | Path) else None for image, _ in came]
        return came

    def accepted(self, campaign: Campaign) -> list[dict[str, str | None]]:
        """Return the pictures of this oracle that `campaign` recorded: query, file or None, label."""
        told: dict[str, list[str]] = {}
        for answer in campaign.answers:
            if answer.source == self.name:
                told.setdefault(answer.query_id, []).append(answer.label)
        return [
            {"query": query, "file": file, "label": label}
            for query, files in self._brought.items()
            for file, label in zip(files, told.get(query, []))  # what was refused, or came too late, is not in it
        ]


def skipped_because(campaign: Campaign) -> dict[str, list[Query]]:
    """Return the queries that were skipped for each reason, the most frequent first.

    Reasons are put together by what they say before a colon: behind it stand the figures and names of each case.
    """
    found: dict[str, list[Query]] = {}
    for query in campaign.queries:
        if query.status == "skipped":
            found.setdefault(query.reason.split(": ", 1)[0].rstrip("."), []).append(query)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def show_accepted(accepted: Sequence[Mapping[str, Any]]) -> None:
    """Print the files that came and what each was taken for; pictures without a file are left out."""
    files = [one for one in accepted if one["file"]]
    if files:
        print("Accepted:")
    for one in files[:MOST_LINES]:
        print(f"  {one['query']}  {in_its_folder(one['file'])}  {one['label']}")
    if len(files) > MOST_LINES:
        print(f"  and {len(files) - MOST_LINES} more")


def show_skipped(because: Mapping[str, Sequence[Query]], but: Collection[str] = ()) -> None:
    """Print what was skipped and why, and what helps where pictures were not near enough, or of another class.

    Args:
        because: As `skipped_because` returns it.
        but: The ids of what was skipped before.
    """
    fresh = {reason: [one for one in queries if one.id not in but] for reason, queries in because.items()}
    because = {reason: queries for reason, queries in fresh.items() if queries}
    if because:
        print("Skipped:")
    for reason, queries in because.items():
        ids = ", ".join(query.id for query in queries[:MOST_IDS])
        more = f" and {len(queries) - MOST_IDS} more" if len(queries) > MOST_IDS else ""
        said = queries[0].reason.rstrip(".") if len(queries) == 1 else reason
        print(f"  {count(len(queries), 'query', 'queries')} ({ids}{more}): {said}")
    if TOO_FAR in because:
        print("  A lower --least-similarity accepts pictures that are less like the sentence.")
    if any(reason.startswith(OTHER_CLASS) for reason in because):
        print("  With --any-class the nearest pictures count as the class asked for, whatever they look like.")

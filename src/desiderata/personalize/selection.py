"""What was chosen in a round and why, or why nothing was: kept beside the round, for people to read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from desiderata.campaign.blobs import Blobs
from desiderata.personalize.pictures import kept

NONE_PICKED = "No picture was picked in the round before."
"""Why nothing is asked where a person is to pick, and wanted none: that is no stop of the strategy's own."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction as it stood when a round was asked.

    Attributes:
        prompt: The anchor prompt.
        share: β, the overfitted share of its pictures.
        entropy: Ω, in nats.
        margin: By how much its pictures are nearer to the anchor than to a non-subject, on average.
        usable: How many pictures the safety checker let pass.
        best: Its picture nearest to the anchor, from 0; -1 for none.
        similarity: Of that one, cosine; 0 for none.
        rank: Its place by entropy and tie rule, from 1.
        authors_rank: Its place in the order of the authors' code, from 1.
        picked: Which picture was chosen, from 0; None if the direction was not, or a person is to pick.
        asked: Whether the round asks for it.
    """

    prompt: str
    share: float
    entropy: float
    margin: float
    usable: int
    best: int
    similarity: float
    rank: int
    authors_rank: int
    picked: int | None
    asked: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """What one round was asked for.

    Attributes:
        round: Which one.
        strategy: Name of the strategy.
        k: Directions asked at most.
        openness: Δ of Eq. 9; None where it was not measured.
        weight: In the training loss of the pictures chosen.
        blanked: Pictures left out because the safety checker blacked them out.
        stopped: Why nothing was asked; empty if something was.
        tie_places: How many of the k places the tie rule gave away; 0 where entropies decided.
        tie_changed: How many of the first k directions the authors' order would not have had among its own.
        directions: All that were left, in the order of the pool.
    """

    round: int
    strategy: str
    k: int = 0
    openness: float | None = None
    weight: float = 1.0
    blanked: int = 0
    stopped: str = ""
    tie_places: int = 0
    tie_changed: int = 0
    directions: Sequence[Direction] = ()

    def keep(self, shelf: Blobs) -> None:
        """Write it beside its round."""
        text = json.dumps(asdict(self), ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
        shelf.put(_name(self.round), f"{text}\n".encode())


def selection_of(shelf: Blobs, round: int) -> Selection | None:
    """Return what a round was asked for, or why it was not; None where nobody has decided on it yet."""
    content = kept(shelf, _name(round))
    if content is None:
        return None
    table = json.loads(content)
    return Selection(**{**table, "directions": tuple(Direction(**one) for one in table["directions"])})


def selections(shelf: Blobs) -> list[Selection]:
    """Return those of all rounds, in order; the last one says when and why the campaign stopped, if it did."""
    found: list[Selection] = []
    while one := selection_of(shelf, len(found) + 1):
        found.append(one)
    return found


def end_words(round: int, why: str) -> str:
    """Return after which round a campaign ended, and why.

    Args:
        round: The last one that is closed.
        why: `Selection.stopped`.
    """
    return f"It {'was ended' if why == NONE_PICKED else 'stopped by itself'} after round {round}. {why}"


def _name(round: int) -> str:
    return f"rounds/{round:03d}/selection.json"

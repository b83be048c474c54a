"""What a strategy of the personalize half may look at when it decides which pictures to learn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.records import Exchange
from desiderata.personalize.anchors import Anchor
from desiderata.personalize.candidates import Candidates
from desiderata.personalize.selection import Selection
from desiderata.personalize.subject import Subject


@dataclass(frozen=True, eq=False)
class PersonalizeState:
    """A personalised generator, the directions that are left, and the conversation so far.

    Attributes:
        round: The round about to be asked, counted from 1.
        subject: What is learnt.
        anchors: The directions that are left: those of which a picture was learnt from are gone.
        centre: Shape (d,), unit length: the mean embedding of the reference pictures.
        exchanges: All earlier questions with what they brought, oldest first.
        candidates: Draws so many pictures for every direction that is left, or takes those drawn before.
        note: Keeps what was chosen and why.
    """

    round: int
    subject: Subject
    anchors: tuple[Anchor, ...]
    centre: NDArray[np.float64]
    exchanges: Sequence[Exchange]
    candidates: Callable[[int], Candidates]
    note: Callable[[Selection], None]

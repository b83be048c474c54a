"""What a strategy proposes is checked before it is recorded: what cannot be learnt from would stop a run for good."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from desiderata.campaign.answers import listed
from desiderata.campaign.records import Proposal
from desiderata.errors import DesiderataError


def check_proposals(strategy: str, proposals: Sequence[Proposal], classes: Sequence[str], dim: int | None) -> None:
    """Make sure that proposals can be asked and learnt from.

    Args:
        strategy: The name of the strategy, for the message.
        proposals: What it proposed.
        classes: The labels that there are.
        dim: Length of an embedding; None where none is known yet.

    Raises:
        DesiderataError: One of them cannot; the message names the strategy and the first thing that is wrong.
    """
    for position, proposal in enumerate(proposals, start=1):
        if wrong := _wrong(proposal, classes, dim):
            raise DesiderataError(
                f"Proposal {position} of the strategy {strategy} {wrong}: correct the strategy; nothing was asked."
            )


def _wrong(proposal: Proposal, classes: Sequence[str], dim: int | None) -> str:
    if proposal.label not in classes:
        return f"is for {proposal.label!r}, which is none of the classes ({listed(classes)})"
    if proposal.feature is None and not proposal.text.strip():
        return "has neither a sentence nor a point"
    if not _finite(proposal.weight) or proposal.weight < 0:
        return f"has the weight {proposal.weight}, where a number of at least 0 belongs"
    for name, value in proposal.evidence.items():
        if not _finite(value):
            return f"has the figure {name} = {value}, which is not a finite number"
    return "" if proposal.feature is None else _wrong_point(np.asarray(proposal.feature), dim)


def _wrong_point(point: np.ndarray, dim: int | None) -> str:
    if point.ndim != 1 or (dim is not None and point.size != dim):
        expected = "(d,)" if dim is None else f"({dim},)"
        return f"has a point of shape {point.shape}, where {expected} belongs"
    return "" if np.isfinite(point).all() else "has a point that is not finite"


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False

"""Who stands behind a campaign: the same encoder from beginning to end, and a learner of its own."""

import os
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.answers import listed
from desiderata.campaign.features import probe_picture
from desiderata.campaign.known import Known
from desiderata.campaign.learner import Learner
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError

FARTHEST = 0.01
"""Between two embeddings of one picture by one encoder: machines and graphics cards round differently."""

_HOLDERS: WeakValueDictionary[int, Known] = WeakValueDictionary()
"""The campaign of each learner, by the learner's `id`. A campaign keeps its learner alive, so that while an entry is
there nothing else has that id; a learner need not be hashable."""


def probe(learner: Learner[Any]) -> NDArray[np.float64]:
    """Return what `learner` makes of the picture by which encoders are told apart, shape (d,)."""
    return learner.embed([probe_picture()])[0]


def alike(now: NDArray[np.float64], known: NDArray[np.float64]) -> bool:
    """Return whether two embeddings of that picture, shape (d,), are of one encoder."""
    return now.shape == known.shape and bool(np.linalg.norm(now - known) <= FARTHEST)


def check_learner(store: Store, learner: Learner[Any]) -> None:
    """Make sure that a learner goes with what a campaign has recorded.

    The encoder is known by what it computes and not by its name: a model may be moved, and one that was trained
    further under the same name is another one.

    Raises:
        DesiderataError: It has other classes, or embeds pictures otherwise.
    """
    where = store.path or "This campaign"
    if tuple(learner.classes) != (classes := tuple(store.fact("classes"))):
        raise DesiderataError(
            f"{where} has the classes {listed(classes)}, and this learner has {listed(learner.classes)}: give one "
            "with the same classes in the same order."
        )
    known = store.probe()
    if known is None:
        return
    if not alike(probe(learner), known):
        raise DesiderataError(
            f"{where} was made with another encoder: {learner.embedding} does not embed pictures as "
            f"{store.fact('embedding')} did then, so old and new ones cannot be compared; use that encoder, or make "
            "a new campaign."
        )


def check_free(learner: Learner[Any], path: Path | None) -> None:
    """Make sure that no other run uses the same learner: each would move it on behind the other's back.

    Raises:
        DesiderataError: One does.
    """
    holder = _HOLDERS.get(id(learner))
    if holder is not None and not _same_run(holder.path, path):
        raise DesiderataError(
            f"This learner belongs to the campaign {holder.path or 'in memory'} already: make one for each campaign."
        )


def hold(learner: Learner[Any], campaign: Known) -> bool:
    """Make a learner that of `campaign`. Another object of the same run hands it over.

    Returns:
        Whether it was that of `campaign` before, and so is where `campaign` left it.

    Raises:
        DesiderataError: Another run uses it.
    """
    holder = _HOLDERS.get(id(learner))
    if holder is campaign:
        return True
    if holder is not None:
        check_free(learner, campaign.path)
    _HOLDERS[id(learner)] = campaign
    return False


def _same_run(one: Path | None, other: Path | None) -> bool:
    return one is not None and other is not None and os.path.realpath(one) == os.path.realpath(other)

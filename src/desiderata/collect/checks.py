"""What is checked before anything is computed: numbers that were set, and data that were handed in.

A wrong shape would broadcast to a plausible wrong answer, and a NaN would spread or pass for a zero.
"""

from collections.abc import Iterable
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from desiderata.errors import DesiderataError


def check_whole(name: str, value: Any, least: int, hint: str, *, most: int | None = None) -> None:
    """Refuse a setting that is not a whole number in a range.

    Args:
        name: What it is called.
        value: What it was set to; numpy's whole numbers count.
        least: The smallest it may be.
        hint: How to mend it.
        most: The largest it may be.

    Raises:
        DesiderataError: It is none, or out of range.
    """
    if not _is_whole(value, least) or (most is not None and value > most):
        words = f"at least {least}" if most is None else f"{least} to {most}"
        raise DesiderataError(f"{name} is {value!r}, but must be a whole number of {words}: {hint}.")


def check_number(
    name: str, value: Any, hint: str, *, above: float = -inf, least: float = -inf, most: float = inf
) -> None:
    """Refuse a setting that is not a finite number in a range.

    Args:
        name: What it is called.
        value: What it was set to.
        hint: How to mend it.
        above: It must be above this.
        least: It must be at least this.
        most: It must be at most this.

    Raises:
        DesiderataError: It is none, or out of range.
    """
    if not (_is_number(value) and value > above and least <= value <= most):
        bounds = ((above, "above"), (least, "at least"), (most, "at most"))
        words = " and ".join(f"{word} {bound:g}" for bound, word in bounds if isfinite(bound))
        raise DesiderataError(f"{name} is {value!r}, but must be a number {words}".rstrip() + f": {hint}.")


def checked_widths(hidden: Any) -> tuple[int, ...]:
    """Return the widths of hidden layers, none included.

    Args:
        hidden: What they were set to.

    Returns:
        The widths as plain integers.

    Raises:
        DesiderataError: They are no list of whole numbers above 0.
    """
    if isinstance(hidden, str) or not isinstance(hidden, Iterable) or not all(_is_whole(one, 1) for one in hidden):
        raise DesiderataError(
            f"hidden is {hidden!r}, but lists a whole number of units for every layer, at least one unit each: "
            "try (64, 64)."
        )
    return tuple(int(one) for one in hidden)


def checked_features(X: ArrayLike, width: int, least: int = 0) -> Tensor:
    """Return points as the head takes them.

    Args:
        X: Features, shape (n, d).
        width: The d that the head was fitted on.
        least: The smallest n that makes sense.

    Returns:
        A copy, shape (n, d), float64.

    Raises:
        DesiderataError: They are of another shape, too few, or not all finite.
    """
    x = torch.tensor(_floats(X, "features"))
    if x.ndim != 2 or x.shape[1] != width:
        raise DesiderataError(
            f"The features have the shape {tuple(x.shape)}, but the head was fitted on points of {width} numbers: "
            f"give one row of {width} for each point."
        )
    if len(x) < least:
        raise DesiderataError(f"{len(x)} points were given where at least {least} is needed: add some.")
    # A sum that is finite has finite terms, and needs no second array of the size of x.
    if not (x.sum().isfinite() or x.isfinite().all()):
        row = int((~x.isfinite()).any(-1).nonzero()[0, 0])
        raise DesiderataError(
            f"Row {row} of the features is not finite: leave that point out, or compute its features again."
        )
    return x


def checked_weights(sample_weight: ArrayLike | None, n: int) -> Tensor:
    """Return the weights of n points.

    Args:
        sample_weight: Shape (n,), or None for ones.
        n: How many points there are.

    Returns:
        Shape (n,), float64, finite, non-negative and not all zero.

    Raises:
        DesiderataError: They are none of that.
    """
    if sample_weight is None:
        return torch.ones(n, dtype=torch.float64)
    weights = torch.tensor(_floats(sample_weight, "sample weights"))
    if weights.shape != (n,):
        raise DesiderataError(
            f"Sample weights of shape {tuple(weights.shape)} came with {n} points: give one weight for each point."
        )
    if not (weights.isfinite() & (weights >= 0)).all():
        raise DesiderataError("Sample weights must be finite and not negative: a weight of zero leaves a point out.")
    if not weights.any():
        raise DesiderataError("No sample weight is above zero, so nothing counts: give some point a weight.")
    return weights


def one_hot(y: ArrayLike, classes: NDArray[Any], n: int | None = None) -> Tensor:
    """Encode labels.

    Args:
        y: Labels, shape (n,).
        classes: All there are, sorted, shape (C,).
        n: How many labels there must be; any number by default.

    Returns:
        Shape (n, C), float64.

    Raises:
        DesiderataError: Their number is wrong, or one is not among `classes`.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or len(labels) != (len(labels) if n is None else n):
        wanted = "one row" if n is None else f"one for each of {n} points"
        raise DesiderataError(f"The labels have the shape {labels.shape}: give {wanted}, as a list.")
    try:
        index = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
        wrong = classes[index] != labels
    except TypeError:  # what cannot be compared with a class is none
        index, wrong = np.zeros(len(labels), dtype=int), np.ones(len(labels), dtype=bool)
    if not wrong.any():
        return torch.eye(len(classes), dtype=torch.float64)[torch.from_numpy(index)]
    raise DesiderataError(
        f"The label {labels[wrong].tolist()[0]!r} is not among the classes {classes.tolist()}: "
        "name every class when fitting, or correct the label."
    )


def checked_parameters(values: ArrayLike, shape: tuple[int, ...], name: str) -> Tensor:
    """Return parameters of a head, or directions in their space.

    Args:
        values: What was given.
        shape: What it must be.
        name: What it is called.

    Returns:
        A copy of that shape, float64.

    Raises:
        DesiderataError: It is of another shape, or not all finite.
    """
    given = torch.tensor(_floats(values, name))
    if given.shape != shape:
        raise DesiderataError(
            f"The {name} have the shape {tuple(given.shape)}, but this head has {shape}: give those of this head."
        )
    if not given.isfinite().all():
        raise DesiderataError(f"The {name} are not finite: compute them again.")
    return given


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def _floats(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DesiderataError(f"The {name} are not an array of numbers ({error}): give them as one.") from None

r"""Query synthesis: move one point per class to where, once learnt, it lowers the validation loss most.

GenMQD, Algorithm 1, lines 4 to 9, for all classes at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from desiderata.collect.checks import check_number, check_whole
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.curvature import Hessian
from desiderata.collect.heads import Heads
from desiderata.errors import DesiderataError


@dataclass(frozen=True)
class Synthesis:
    """What `synthesise` found for k points.

    Attributes:
        points: x*, unit length, shape (k, d).
        targets: Label y* of each point, shape (k,).
        displacement: ||x* - start||, between 0 and 2, shape (k,).  Near 0, x* still is the class mean.
        predicted_change: Change of the mean validation loss from start to x* that the gradients along the path add up
            to, in nats, shape (k,); negative means a fall.
        gradient_norms: Worst gradient norm at which a head was used, shape (k,).
        losses: Mean validation loss of the refitted heads along the path, in nats, shape (steps + 1, k).
        refits: How often each head had to be refitted, shape (k,).
    """

    points: NDArray[np.float64]
    targets: NDArray[Any]
    displacement: NDArray[np.float64]
    predicted_change: NDArray[np.float64]
    gradient_norms: NDArray[np.float64]
    losses: NDArray[np.float64]
    refits: NDArray[np.int64]


def synthesise(
    classifier: HeadClassifier,
    X: ArrayLike,
    y: ArrayLike,
    X_val: ArrayLike,
    y_val: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    steps: int = 200,
    step_size: float = 1e-4,
    normalised: bool = False,
    until_gain_stops: bool = False,
    targets: Sequence[Any] | None = None,
    start: ArrayLike | None = None,
    hessian: Hessian = "gauss-newton",
    damping: float = 0.0,
    tolerance: float = 1e-4,
    solve_tolerance: float = 1e-3,
) -> Synthesis:
    r"""Descend the mean validation loss of the refitted head over x*, on the unit sphere.

    x* <- (x* - alpha g) / ||x* - alpha g||,   g = -mean_V[grad_theta l(z_v)' H^-1 grad_x grad_theta l(z*)]   (Eq. 5)

    Eq. 5 is the gradient of the validation loss up to a factor 1/n, left out here as in the paper.  The paper *adds*
    it, which would raise the loss; it is subtracted.  H is the curvature of the head's objective, z* included, with
    l2 and `damping` on its diagonal.

    Args:
        classifier: Fitted on (X, y, sample_weight).
        X: Labelled features of unit length, shape (n, d).
        y: Their labels, shape (n,).
        X_val: Validation features, shape (n_v, d).
        y_val: Validation labels, shape (n_v,).
        sample_weight: Training weights, shape (n,); ones by default.  x* weighs 1.
        steps: Number T of steps, >= 0.
        step_size: alpha, > 0.  The paper has T = 200 and alpha = 1e-4 (section 4.1).
        normalised: Make every step `step_size` long, along the tangential part of -g.  Not in the paper.
        until_gain_stops: Stop a point as soon as its validation loss stops falling, and keep the best place; `steps`
            is then a limit.  Not in the paper.
        targets: Label of each point to make; one per class by default.
        start: Where to start, shape (k, d); the mean of the labelled features of each target's class by default
            (section 3.4), put on the unit sphere.
        hessian: Which curvature to invert.
        damping: Added to l2 on the diagonal of H, >= 0.
        tolerance: Gradient norm above which a head is refitted; refits go to a third of it.  The default leaves x*
            within 1 % of where 1e-7 puts it.
        solve_tolerance: Relative residual above which s is solved again.

    Returns:
        The points, with what is needed to trust them.

    Raises:
        DesiderataError: When data are not such as `HeadClassifier.objective` takes, a setting is out of range, there
            is no target, a target has no labelled example or no direction to start from, or a head cannot be
            refitted.
    """
    check_descent(steps, step_size, tolerance, solve_tolerance)
    labelled, validation = classifier.objective(X, y, sample_weight), classifier.objective(X_val, y_val)
    labels = np.asarray(classifier.classes_ if targets is None else targets)
    if not labels.size:
        raise DesiderataError("There is no target, so no point to make: name a class, or leave targets out for all.")
    wanted = classifier.one_hot(labels)
    begin = classifier.features(_class_means(X, y, labels) if start is None else start)
    if len(begin) != len(labels):
        raise DesiderataError(f"{len(begin)} starts came with {len(labels)} targets: give one start for each target.")
    if not (lengths := begin.norm(dim=-1, keepdim=True)).all():
        raise DesiderataError(
            "A point starts at zero, which lies in no direction on the unit sphere: give another start for it."
        )
    begin = begin / lengths
    heads = Heads(
        labelled,
        validation,
        classifier.theta_,
        wanted,
        hessian=hessian,
        damping=damping,
        tolerance=tolerance,
        solve_tolerance=solve_tolerance,
    )
    here = heads.at(begin)
    x, losses, worst = begin, [here.loss], here.gradient_norm
    change, moving = torch.zeros_like(here.loss), torch.ones_like(here.loss, dtype=torch.bool)
    for _ in range(steps):
        ahead = x - step_size * (_tangent(here.slope, x) if normalised else here.slope)
        ahead = torch.where(moving[:, None], ahead / ahead.norm(dim=-1, keepdim=True), x)
        there = heads.at(ahead)
        if until_gain_stops:
            moving = moving & (there.loss < here.loss)
            if not moving.any():
                break
            ahead, there = torch.where(moving[:, None], ahead, x), there.where(moving, here)
        # Trapezoidal rule along the path; Eq. 5 carries no 1/n, the loss does.
        change = change + ((here.slope + there.slope) / 2 * (ahead - x)).sum(-1) / heads.total
        x, here = ahead, there
        losses.append(here.loss)
        worst = torch.maximum(worst, here.gradient_norm)
    return Synthesis(
        points=x.numpy(),
        targets=labels,
        displacement=(x - begin).norm(dim=-1).numpy(),
        predicted_change=change.numpy(),
        gradient_norms=worst.numpy(),
        losses=torch.stack(losses).numpy(),
        refits=heads.refits.numpy(),
    )


def check_descent(steps: int, step_size: float, tolerance: float, solve_tolerance: float) -> None:
    """Refuse settings of `synthesise` that mean nothing; a negative step would ascend.

    Raises:
        DesiderataError: One is out of range.
    """
    check_whole("steps", steps, 0, "try 200")
    check_number("step_size", step_size, "try 1e-4", above=0)
    check_number("tolerance", tolerance, "try 1e-4", above=0)
    check_number("solve_tolerance", solve_tolerance, "try 1e-3", above=0)


def _tangent(slope: Tensor, x: Tensor) -> Tensor:
    """Return the direction of `slope` along the unit sphere at `x`, of length one; zero where there is none."""
    along = slope - (slope * x).sum(-1, keepdim=True) * x
    return along / along.norm(dim=-1, keepdim=True).clamp(min=1e-300)


def _class_means(X: ArrayLike, y: ArrayLike, targets: NDArray[Any]) -> NDArray[np.float64]:
    features, labels = np.asarray(X, dtype=np.float64), np.asarray(y)
    for target in targets.tolist():
        if not (labels == target).any():
            raise DesiderataError(
                f"There is no labelled example of {target!r} to start from: label one, or say where to start."
            )
    return np.stack([features[labels == target].mean(0) for target in targets])

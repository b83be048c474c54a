r"""Query synthesis: move one point per class to where, once learnt, it lowers the validation loss most.

GenMQD, Algorithm 1, lines 4 to 9, for all classes at once.  Each class c has its own head, fitted on the labelled set
and its point z_c = (x_c, y_c), so theta is a batch (k, P).  Every step checks that each head is a minimiser and each
s = H^-1 grad L_V a solution *for the point where it now is*, and works again on those that are not.

The checks are exact and cheap.  Between two refits only z_c has moved, so the gradient of the objective and the
residual of s change by terms of one point; those of the labelled set are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.curvature import GaussNewton
from desiderata.collect.fitting import Objective, minimise
from desiderata.collect.network import Linearisation, softmax_curvature
from desiderata.collect.spectrum import LeadingInverse
from desiderata.errors import DesiderataError

_REFIT_STEPS = 100
_LEADING = 64  # eigenpairs in the preconditioner that all heads share


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
    damping: float = 0.0,
    tolerance: float | None = None,
    solve_tolerance: float = 1e-3,
) -> Synthesis:
    r"""Descend the mean validation loss of the refitted head over x*, on the unit sphere.

    x* <- (x* - alpha g) / ||x* - alpha g||,   g = -mean_V[grad_theta l(z_v)' H^-1 grad_x grad_theta l(z*)]   (Eq. 5)

    Eq. 5 is the gradient of the validation loss up to a factor 1/n, left out here as in the paper.  The paper *adds*
    it, which would raise the loss; it is subtracted.  H is the Gauss-Newton matrix of the head's objective, z*
    included, with l2 and `damping` on its diagonal.

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
        damping: Added to l2 on the diagonal of H, >= 0.
        tolerance: Gradient norm above which a head is refitted; that of `classifier` by default.
        solve_tolerance: Relative residual above which s is solved again.

    Returns:
        The points, with what is needed to trust them.

    Raises:
        DesiderataError: When a target has no labelled example to start from, or a head cannot be refitted.
    """
    labels = np.asarray(classifier.classes_ if targets is None else targets)
    begin = torch.as_tensor(np.asarray(_class_means(X, y, labels) if start is None else start, dtype=np.float64))
    begin = begin / begin.norm(dim=-1, keepdim=True)
    heads = _Heads(
        classifier.objective(X, y, sample_weight),
        len(np.asarray(y)) if sample_weight is None else float(np.sum(np.asarray(sample_weight))),
        classifier.objective(X_val, y_val),
        classifier.theta_,
        classifier.one_hot(labels),
        damping=damping,
        tolerance=classifier.tolerance if tolerance is None else tolerance,
        solve_tolerance=solve_tolerance,
    )
    x = begin
    loss, gradient, worst = heads.at(x)
    change, moving = torch.zeros_like(loss), torch.ones_like(loss, dtype=torch.bool)
    losses = [loss]
    for _ in range(steps):
        step = gradient - (gradient * x).sum(-1, keepdim=True) * x if normalised else gradient
        if normalised:
            step = step / step.norm(dim=-1, keepdim=True).clamp(min=1e-300)
        ahead = x - step_size * step
        ahead = torch.where(moving[:, None], ahead / ahead.norm(dim=-1, keepdim=True), x)
        new_loss, new_gradient, norms = heads.at(ahead)
        if until_gain_stops:
            moving = moving & (new_loss < loss)
            if not moving.any():
                break
            ahead = torch.where(moving[:, None], ahead, x)
            new_loss = torch.where(moving, new_loss, loss)
            new_gradient = torch.where(moving[:, None], new_gradient, gradient)
        # Trapezoidal rule along the path; g carries no 1/n, the loss does.
        change = change + ((gradient + new_gradient) / 2 * (ahead - x)).sum(-1) / heads.total
        x, loss, gradient = ahead, new_loss, new_gradient
        losses.append(loss)
        worst = torch.maximum(worst, norms)
    return Synthesis(
        points=x.numpy(),
        targets=labels,
        displacement=(x - begin).norm(dim=-1).numpy(),
        predicted_change=change.numpy(),
        gradient_norms=worst.numpy(),
        losses=torch.stack(losses).numpy(),
        refits=heads.refits.numpy(),
    )


class _Heads:
    """One head for each point, kept fitted on the labelled set and that point, with its s.

    Args:
        labelled: The objective on the labelled set alone, whose weights sum to one.
        total: Sum W of its weights before they were made to; a point weighs 1.
        validation: Holds the validation set.
        theta: Fitted on the labelled set, shape (P,).
        targets: One-hot labels of the points, shape (k, C).
        damping: See `synthesise`.
        tolerance: See `synthesise`.
        solve_tolerance: See `synthesise`.
    """

    def __init__(
        self,
        labelled: Objective,
        total: float,
        validation: Objective,
        theta: Tensor,
        targets: Tensor,
        *,
        damping: float,
        tolerance: float,
        solve_tolerance: float,
    ) -> None:
        self.labelled, self.validation, self.targets = labelled, validation, targets
        self.total, self.share = total + 1.0, 1.0 / (total + 1.0)
        self.damping, self.tolerance, self.solve_tolerance = damping, tolerance, solve_tolerance
        single = Linearisation(labelled.network, theta.float(), labelled.x.float())
        rough = GaussNewton(single, labelled.weights.float(), labelled.l2, damping)
        self.precondition = LeadingInverse.of(rough, rank=_LEADING, sweeps=1).double().solve
        k = len(targets)
        self.theta = theta.expand(k, -1).clone()
        self.refits = torch.zeros(k, dtype=torch.int64)
        # Terms of the labelled and validation sets, kept until a head changes.
        self.rest, self.towards = torch.empty_like(self.theta), torch.empty_like(self.theta)
        self.validation_loss = torch.empty(k, dtype=torch.float64)
        for row in range(k):
            self._remember(row)
        self.s = self.precondition(self.towards[0]).expand(k, -1).clone()
        self.image = self._curvature(0).product(self.s[0]).expand(k, -1).clone()

    def at(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Refit and solve where needed for points x, shape (k, d).

        Returns:
            Mean validation losses (k,), corrected to first order for what is left of the gradient of the objective;
            g of Eq. 5, shape (k, d); and the norms of what is left, shape (k,).
        """
        point, left = self._left(x)
        stale = left.norm(dim=-1) > self.tolerance
        for row in stale.nonzero()[:, 0].tolist():
            self._refit(row, x[row])
        if stale.any():
            point, left = self._left(x)
        p = point.logits.softmax(-1)
        missing = self.towards - self.image - self._own_curvature(point, p)
        unsolved = missing.norm(dim=-1) > self.solve_tolerance * self.towards.norm(dim=-1)
        for row in unsolved.nonzero()[:, 0].tolist():
            self._solve(row, x[row])
        _, mixed = point.second_order(self.s, p - self.targets[:, None], lambda t: softmax_curvature(p, t))
        return self.validation_loss - (self.s * left).sum(-1), -mixed[:, 0], left.norm(dim=-1)

    def _left(self, x: Tensor) -> tuple[Linearisation, Tensor]:
        """The heads around their own points, and the gradient (k, P) of their objectives there."""
        point = Linearisation(self.labelled.network, self.theta, x[:, None])
        own = point.vjp(point.logits.softmax(-1) - self.targets[:, None])
        return point, self.rest + self.share * own

    def _own_curvature(self, point: Linearisation, p: Tensor) -> Tensor:
        """The part of H s that the points themselves contribute, shape (k, P)."""
        return self.share * point.vjp(softmax_curvature(p, point.jvp(self.s)))

    def _refit(self, row: int, x: Tensor) -> None:
        weights = torch.cat(
            [self.labelled.weights * (1 - self.share), torch.tensor([self.share], dtype=torch.float64)]
        )
        objective = replace(
            self.labelled,
            x=torch.cat([self.labelled.x, x[None]]),
            y=torch.cat([self.labelled.y, self.targets[row, None]]),
            weights=weights,
        )
        # Closer than the tolerance, so that the fit outlasts many small steps.
        theta, norm, _ = minimise(
            objective, self.theta[row], 0.3 * self.tolerance, _REFIT_STEPS, precondition=self.precondition
        )
        if norm > self.tolerance:
            raise DesiderataError(
                f"A head could not be refitted: its gradient norm stays at {norm:.1e}, above {self.tolerance:.1e}. "
                "Raise the tolerance or l2."
            )
        self.theta[row] = theta
        self.refits[row] += 1
        self._remember(row)
        self.image[row] = self._curvature(row).product(self.s[row])

    def _solve(self, row: int, x: Tensor) -> None:
        # As in `_refit`, closer than asked, so that it lasts.
        weights = torch.cat(
            [self.labelled.weights * (1 - self.share), torch.tensor([self.share], dtype=torch.float64)]
        )
        linear = Linearisation(self.labelled.network, self.theta[row], torch.cat([self.labelled.x, x[None]]))
        curvature = GaussNewton(linear, weights, self.labelled.l2, self.damping)
        self.s[row] = curvature.solve(
            self.towards[row],
            method="cg",
            tolerance=0.3 * self.solve_tolerance,
            start=self.s[row],
            precondition=self.precondition,
        )
        self.image[row] = self._curvature(row).product(self.s[row])

    def _curvature(self, row: int) -> GaussNewton:
        """H without the point's own part."""
        linear = self.labelled.linearise(self.theta[row])
        return GaussNewton(linear, self.labelled.weights * (1 - self.share), self.labelled.l2, self.damping)

    def _remember(self, row: int) -> None:
        """Keep what depends on the head but not on where its point is."""
        theta = self.theta[row]
        linear = self.labelled.linearise(theta)
        pull = self.labelled.l2 * (theta - self.labelled.centre)
        self.rest[row] = (1 - self.share) * linear.vjp(self.labelled.residual(linear)) + pull
        seen = self.validation.linearise(theta)
        self.towards[row] = seen.vjp(self.validation.residual(seen))
        self.validation_loss[row] = self.validation.mean_loss(seen)


def _class_means(X: ArrayLike, y: ArrayLike, targets: NDArray[Any]) -> NDArray[np.float64]:
    features, labels = np.asarray(X, dtype=np.float64), np.asarray(y)
    for target in targets:
        if not (labels == target).any():
            raise DesiderataError(
                f"There is no labelled example of {target!r} to start from: label one, or say where to start."
            )
    return np.stack([features[labels == target].mean(0) for target in targets])

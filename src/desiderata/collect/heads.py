"""A head for each of k points, kept fitted on the labelled set and that point while the point moves.

Algorithm 1 of GenMQD refits at every step (line 6).  Here every step *checks* that each head is a minimiser and each
s = H^-1 grad L_V a solution for the point where it now is, and works again on those that are not.  The checks are
exact and cheap: between two refits only the point has moved, so the gradient of the objective and the residual of s
change by terms of one point, and those of the labelled set are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from desiderata.collect.curvature import GaussNewton, Hessian, conjugate_gradients
from desiderata.collect.fitting import Objective, minimise
from desiderata.collect.network import Linearisation, softmax_curvature
from desiderata.collect.spectrum import LeadingInverse
from desiderata.errors import DesiderataError

_REFIT_STEPS = 100
_ATTEMPTS = 10
_LEADING = 64  # eigenpairs in the preconditioner that all heads share
_MARGIN = 0.3  # how much closer than asked refits and solves go, so that they outlast many small steps


@dataclass(frozen=True)
class Standing:
    """Where k heads stand once fitted on their points.

    Attributes:
        loss: Mean validation losses, corrected to first order for what is left of the gradient, shape (k,).
        slope: -s' (d/dx) grad_theta l(z): Eq. 5, the gradient of the validation loss times n, shape (k, d).
        gradient_norm: Norm of what is left of the gradient of each objective, shape (k,).
    """

    loss: Tensor
    slope: Tensor
    gradient_norm: Tensor

    def where(self, keep: Tensor, other: "Standing") -> "Standing":
        """Return this where `keep`, shape (k,), and `other` elsewhere."""
        return Standing(
            torch.where(keep, self.loss, other.loss),
            torch.where(keep[:, None], self.slope, other.slope),
            torch.where(keep, self.gradient_norm, other.gradient_norm),
        )


class Heads:
    """The heads, their parameters theta (k, P) and their directions s (k, P).

    Args:
        labelled: The objective on the labelled set alone.
        validation: Holds the validation set.
        theta: Fitted on the labelled set, shape (P,).
        targets: One-hot labels of the points, shape (k, C).
        hessian: Which H defines s.
        damping: Added to l2 on the diagonal of H, >= 0.
        tolerance: Gradient norm above which a head is refitted.
        solve_tolerance: Relative residual above which s is solved again.

    Attributes:
        total: Sum of the training weights, a head's own point included.
        refits: How often each head was refitted, shape (k,).
    """

    def __init__(
        self,
        labelled: Objective,
        validation: Objective,
        theta: Tensor,
        targets: Tensor,
        *,
        hessian: Hessian,
        damping: float,
        tolerance: float,
        solve_tolerance: float,
    ) -> None:
        self.labelled, self.validation, self.targets = labelled, validation, targets
        self.total, self.share = labelled.total + 1, 1 / (labelled.total + 1)
        self.hessian, self.damping = hessian, damping
        self.tolerance, self.solve_tolerance = tolerance, solve_tolerance
        rough = GaussNewton(
            Linearisation(labelled.network, theta.float(), labelled.x.float()),
            labelled.weights.float(),
            labelled.l2,
            damping,
        )
        self.leading = LeadingInverse.of(rough, rank=_LEADING, sweeps=1)
        k = len(targets)
        self.theta = theta.expand(k, -1).clone()
        self.refits = torch.zeros(k, dtype=torch.int64)
        self.trail: list[list[tuple[Tensor, Tensor]]] = [
            [] for _ in range(k)
        ]  # (point, theta) of the last two refits
        # What depends on a head but not on where its point is: the gradient of its objective without the point, the
        # gradient and value of the validation loss, and its curvature without the point times s.
        self.rest, self.towards = torch.empty_like(self.theta), torch.empty_like(self.theta)
        self.loss, self.image = torch.empty(k, dtype=torch.float64), torch.empty_like(self.theta)
        self.s = torch.zeros_like(self.theta)
        for row in range(k):
            self._remember(row)

    def at(self, x: Tensor) -> Standing:
        """Refit and solve where needed for points x, shape (k, d).

        Args:
            x: Where the points are.

        Returns:
            Where the heads stand.

        Raises:
            DesiderataError: When a head cannot be refitted, or s not be solved for, to the tolerances.
        """
        point, left = self._left(x)
        stale = left.norm(dim=-1) > self.tolerance
        for row in stale.nonzero()[:, 0].tolist():
            self._refit(row, x[row])
        if stale.any():
            point, left = self._left(x)
        p = point.logits.softmax(-1)
        residual = p - self.targets[:, None]

        def bend(t: Tensor) -> Tensor:
            return softmax_curvature(p, t)

        for _ in range(_ATTEMPTS):
            exact = self.hessian == "exact"
            own = point.second_order(self.s, residual, bend) if exact else point.vjp(bend(point.jvp(self.s)))
            missing = self.towards - self.image - self.share * own
            unsolved = missing.norm(dim=-1) > self.solve_tolerance * self.towards.norm(dim=-1)
            if not unsolved.any():
                break
            for row in unsolved.nonzero()[:, 0].tolist():
                self._solve(row, x[row], missing[row])
        else:
            raise DesiderataError(
                f"H s = grad L_V could not be solved to {self.solve_tolerance:g}; raise solve_tolerance or damping."
            )
        slope = -point.mixed(self.s, residual, bend)[:, 0]
        return Standing(self.loss - (self.s * left).sum(-1), slope, left.norm(dim=-1))

    def _left(self, x: Tensor) -> tuple[Linearisation, Tensor]:
        """Return the heads around their own points, and what is left of the gradients (k, P) of their objectives."""
        point = Linearisation(self.labelled.network, self.theta, x[:, None])
        own = point.vjp(point.logits.softmax(-1) - self.targets[:, None])
        return point, self.rest + self.share * own

    def _refit(self, row: int, x: Tensor) -> None:
        objective = self.labelled.with_point(x, self.targets[row])
        theta, norm, _ = minimise(
            objective,
            self._extrapolated(row, x, objective),
            _MARGIN * self.tolerance,
            _REFIT_STEPS,
            precondition=self._precondition,
        )
        if norm > self.tolerance:
            raise DesiderataError(
                f"A head could not be refitted: its gradient norm stays at {norm:.1e}, above {self.tolerance:.1e}; "
                "raise the tolerance or l2."
            )
        self.refits[row] += 1
        self.theta[row] = theta
        self.trail[row] = [*self.trail[row][-1:], (x, theta)]
        self._remember(row)

    def _extrapolated(self, row: int, x: Tensor, objective: Objective) -> Tensor:
        """Return where to start a refit: as far on as the last refit went for as long a move, if that is better."""
        theta = self.theta[row].clone()
        if len(self.trail[row]) < 2:
            return theta
        (x_0, theta_0), (x_1, theta_1) = self.trail[row]
        further = theta + (x - x_1).norm() / (x_1 - x_0).norm() * (theta_1 - theta_0)
        norms = objective.value_and_gradient(torch.stack([theta, further]))[1].norm(dim=-1)
        return further if norms[1] < norms[0] else theta

    def _solve(self, row: int, x: Tensor, missing: Tensor) -> None:
        """Add to s what solves for the residual `missing`: sought in float32, to be checked in float64."""
        product = self._curvature(self.labelled.with_point(x, self.targets[row]).single(), self.theta[row].float())
        floor = self.labelled.l2 + self.damping
        self.s[row] += conjugate_gradients(
            lambda v: product(v) + floor * v,
            missing.float(),
            tolerance=_MARGIN * self.solve_tolerance * float(self.towards[row].norm() / missing.norm()),
            precondition=self.leading.solve,
        )
        self._image(row)

    def _curvature(self, objective: Objective, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """Return v -> H v of an objective, without multiples of the identity."""
        if self.hessian == "exact":
            product = objective.hessian_product(theta)
            return lambda v: product(v) - objective.l2 * v
        curvature = GaussNewton(objective.linearise(theta), objective.weights, objective.l2)
        return lambda v: curvature.product(v, bare=True)

    def _precondition(self, residual: Tensor) -> Tensor:
        """Return about H^-1 of `residual`; float32 halves what has to be read from memory, which is what it costs."""
        return self.leading.solve(residual.float()).to(residual.dtype)

    def _image(self, row: int) -> None:
        labelled = (1 - self.share) * self._curvature(self.labelled, self.theta[row])(self.s[row])
        self.image[row] = labelled + (self.labelled.l2 + self.damping) * self.s[row]

    def _remember(self, row: int) -> None:
        theta = self.theta[row]
        linear = self.labelled.linearise(theta)
        data = linear.vjp(self.labelled.residual(linear))
        self.rest[row] = (1 - self.share) * data + self.labelled.l2 * (theta - self.labelled.centre)
        self._image(row)
        seen = self.validation.linearise(theta)
        self.towards[row] = seen.vjp(self.validation.residual(seen))
        self.loss[row] = self.validation.mean_loss(seen)

"""A head for each of k points, kept fitted on the labelled set and that point while the point moves.

Algorithm 1 of GenMQD refits at every step (line 6).  Here every step *checks* that each head is a minimiser and each
s = H^-1 grad L_V a solution for the point where it now is, and works again on those that are not.  The checks are
exact and cheap: between two refits only the point has moved, so the gradient of the objective and the residual of s
change by terms of one point, and those of the labelled set are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from desiderata.collect.curvature import GaussNewton, Hessian, check_hessian, conjugate_gradients
from desiderata.collect.fitting import Objective, minimise
from desiderata.collect.network import Linearisation, at_a_time, softmax_curvature
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

    Raises:
        DesiderataError: When `hessian` does not exist, or `damping` is below 0.
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
        check_hessian(hessian)
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
        self.theta = theta.expand(len(targets), -1).clone()
        self.s = torch.zeros_like(self.theta)
        self.refits = torch.zeros(len(targets), dtype=torch.int64)
        # Point and parameters at the last two refits; not a number until there were any.
        self.x_last = torch.full((2, len(targets), labelled.x.shape[1]), torch.nan, dtype=torch.float64)
        self.theta_last = torch.full((2, *self.theta.shape), torch.nan, dtype=torch.float64)
        # What depends on a head but not on where its point is: the gradient of its objective without the point, the
        # gradient and value of the validation loss, and its curvature without the point times s.
        self.rest, self.towards, self.image = (torch.empty_like(self.theta) for _ in range(3))
        self.loss = torch.empty(len(targets), dtype=torch.float64)
        for rows in self._few(torch.arange(len(targets))):
            self._remember(rows)

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
        stale = (left.norm(dim=-1) > self.tolerance).nonzero()[:, 0]
        if len(stale):
            for rows in self._few(stale):
                self._refit(rows, x, left)
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
            for rows in self._few(unsolved.nonzero()[:, 0]):
                self._solve(rows, x, missing)
        else:
            raise DesiderataError(
                f"H s = grad L_V could not be solved to {self.solve_tolerance:g}; raise solve_tolerance or damping."
            )
        slope = -point.mixed(self.s, residual, bend)[:, 0]
        return Standing(self.loss - (self.s * left).sum(-1), slope, left.norm(dim=-1))

    def _few(self, rows: Tensor) -> Sequence[Tensor]:
        """Return rows in parts: every head of one has a copy of the labelled set to itself (`_joined`)."""
        points = max(len(self.labelled.x), len(self.validation.x))
        return rows.split(at_a_time(points * max(self.labelled.network.sizes)))

    def _left(self, x: Tensor) -> tuple[Linearisation, Tensor]:
        """Return the heads around their own points, and what is left of the gradients (k, P) of their objectives."""
        point = Linearisation(self.labelled.network, self.theta, x[:, None])
        own = point.vjp(point.logits.softmax(-1) - self.targets[:, None])
        return point, self.rest + self.share * own

    def _refit(self, rows: Tensor, x: Tensor, left: Tensor) -> None:
        """Refit some heads: one Newton step for all at once does for most, and `minimise` for the others."""
        joined = self._joined(rows, x)
        theta, gradient = self._extrapolated(rows, x, left, joined)
        self.theta[rows] = theta + self._newton_step(joined, theta, gradient)
        self._remember(rows)
        norms = self._left(x)[1][rows].norm(dim=-1)
        for row, norm, start, before in zip(rows.tolist(), norms, theta, gradient.norm(dim=-1), strict=True):
            if norm > self.tolerance:
                self._minimise(row, x[row], self.theta[row].clone() if norm < before else start)
        self.refits[rows] += 1
        self.x_last[:, rows] = torch.stack([self.x_last[1, rows], x[rows]])
        self.theta_last[:, rows] = torch.stack([self.theta_last[1, rows], self.theta[rows]])

    def _extrapolated(self, rows: Tensor, x: Tensor, left: Tensor, joined: Objective) -> tuple[Tensor, Tensor]:
        """Return parameters to start from and the gradients there.

        They go on as far as they went at the last refit for as long a move of the point, where that is better than
        to stay.
        """
        ratio = (x[rows] - self.x_last[1, rows]).norm(dim=-1) / (self.x_last[1, rows] - self.x_last[0, rows]).norm(
            dim=-1
        )
        further = self.theta[rows] + ratio[:, None] * (self.theta_last[1, rows] - self.theta_last[0, rows])
        gradient = joined.value_and_gradient(further)[1]
        better = (gradient.norm(dim=-1) < left[rows].norm(dim=-1))[:, None]
        return torch.where(better, further, self.theta[rows]), torch.where(better, gradient, left[rows])

    def _newton_step(self, joined: Objective, theta: Tensor, gradient: Tensor) -> Tensor:
        """Return the Newton steps in float32; none where the Hessian bends the wrong way."""
        norms = gradient.norm(dim=-1)
        try:
            return -conjugate_gradients(
                joined.single().hessian_product(theta.float()),
                gradient.float(),
                tolerance=(_MARGIN * self.tolerance / norms).clamp(min=1e-4).float(),
                precondition=self.leading.solve,
            ).double()
        except DesiderataError:
            return torch.zeros_like(theta)

    def _minimise(self, row: int, x: Tensor, start: Tensor) -> None:
        objective = self.labelled.with_point(x, self.targets[row])
        self.theta[row], norm, _ = minimise(
            objective, start, _MARGIN * self.tolerance, _REFIT_STEPS, precondition=self._precondition
        )
        if norm > self.tolerance:
            raise DesiderataError(
                f"A head could not be refitted: its gradient norm stays at {norm:.1e}, above {self.tolerance:.1e}; "
                "raise the tolerance or l2."
            )
        self._remember(torch.tensor([row]))

    def _precondition(self, residual: Tensor) -> Tensor:
        return self.leading.solve(residual.float()).to(residual.dtype)

    def _solve(self, rows: Tensor, x: Tensor, missing: Tensor) -> None:
        """Add to s what solves for the residual `missing`: sought in float32, to be checked in float64."""
        product = self._curvature(self._joined(rows, x).single(), self.theta[rows].float())
        floor = self.labelled.l2 + self.damping
        share = self.towards[rows].norm(dim=-1) / missing[rows].norm(dim=-1)
        self.s[rows] += conjugate_gradients(
            lambda v: product(v) + floor * v,
            missing[rows].float(),
            tolerance=(_MARGIN * self.solve_tolerance * share).float(),
            precondition=self.leading.solve,
        )
        self._image(rows)

    def _joined(self, rows: Tensor, x: Tensor) -> Objective:
        """Return the objectives of some heads, their own points included, as one that broadcasts over heads."""
        k = len(rows)
        return replace(
            self.labelled,
            x=torch.cat([self.labelled.x.expand(k, -1, -1), x[rows, None]], 1),
            y=torch.cat([self.labelled.y.expand(k, -1, -1), self.targets[rows, None]], 1),
            weights=torch.cat([self.labelled.weights * (1 - self.share), torch.tensor([self.share]).double()]),
            total=self.total,
        )

    def _curvature(
        self, objective: Objective, theta: Tensor, linear: Linearisation | None = None
    ) -> Callable[[Tensor], Tensor]:
        """Return v -> H v of an objective, without multiples of the identity; `linear` is it at theta, if known."""
        if self.hessian == "exact":
            product = objective.hessian_product(theta)
            return lambda v: product(v) - objective.l2 * v
        curvature = GaussNewton(linear or objective.linearise(theta), objective.weights, objective.l2)
        return lambda v: curvature.product(v, bare=True)

    def _image(self, rows: Tensor, linear: Linearisation | None = None) -> None:
        labelled = (1 - self.share) * self._curvature(self.labelled, self.theta[rows], linear)(self.s[rows])
        self.image[rows] = labelled + (self.labelled.l2 + self.damping) * self.s[rows]

    def _remember(self, rows: Tensor) -> None:
        theta = self.theta[rows]
        linear = self.labelled.linearise(theta)
        data = linear.vjp(self.labelled.residual(linear))
        self.rest[rows] = (1 - self.share) * data + self.labelled.l2 * (theta - self.labelled.centre)
        seen = self.validation.linearise(theta)
        self.towards[rows] = seen.vjp(self.validation.residual(seen))
        self.loss[rows] = self.validation.mean_loss(seen)
        self._image(rows, linear)

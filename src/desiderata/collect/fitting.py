"""Fitting a head: the objective with its exact derivatives, and a minimiser that goes to a stated gradient norm."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from scipy.optimize import fmin_l_bfgs_b
from torch import Tensor

from desiderata.collect.curvature import Kronecker
from desiderata.collect.network import Linearisation, Network, softmax_curvature

_LBFGS_STEPS = 20
_REFRESH = 3  # Newton steps between two preconditioners


@dataclass(frozen=True)
class Objective:
    r"""J(theta) = sum_i w_i CE(f(x_i; theta), y_i) + l2/2 ||theta - theta_0||^2  with sum_i w_i = 1.

    The penalty pulls towards the initial draw theta_0, not towards zero.  Pulled to zero, the layers of a network
    trade norm against each other until their units merge: the Hessian becomes singular however large l2 is, and
    neither a fit nor an inverse Hessian is well defined.  Pulled to theta_0 (a Gaussian prior around the draw) units
    stay distinct and the fit converges.

    Attributes:
        network: The architecture.
        x: Points, shape (n, d), float64.
        y: One-hot labels, shape (n, C), float64.
        weights: Non-negative, summing to one, shape (n,).
        l2: Strength of the pull, > 0, biases included.
        centre: theta_0, shape (P,).
        total: What the weights summed to before they were made to sum to one; n where nobody gave weights.
    """

    network: Network
    x: Tensor
    y: Tensor
    weights: Tensor
    l2: float
    centre: Tensor
    total: float

    def with_point(self, x: Tensor, y: Tensor) -> Self:
        """Return the objective with one more point of weight 1, features `x` (d,) and one-hot label `y` (C,)."""
        share = torch.tensor([1 / (self.total + 1)], dtype=self.weights.dtype)
        return replace(
            self,
            x=torch.cat([self.x, x[None]]),
            y=torch.cat([self.y, y[None]]),
            weights=torch.cat([self.weights * (1 - share), share]),
            total=self.total + 1,
        )

    def single(self) -> Self:
        """Return the objective in float32."""
        return replace(
            self, x=self.x.float(), y=self.y.float(), weights=self.weights.float(), centre=self.centre.float()
        )

    def linearise(self, theta: Tensor) -> Linearisation:
        """Return the network linearised around `theta` at the points."""
        return Linearisation(self.network, theta, self.x)

    def residual(self, linear: Linearisation) -> Tensor:
        """Return the derivative of J with respect to the logits, w_i (p_i - y_i), shape (..., n, C)."""
        return self.weights[:, None] * (linear.logits.softmax(-1) - self.y)

    def mean_loss(self, linear: Linearisation) -> Tensor:
        """Return the weighted mean cross-entropy (...), without the penalty."""
        return (linear.logits.logsumexp(-1) - (linear.logits * self.y).sum(-1)) @ self.weights

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return J (...) and its gradient (..., P) at `theta` (..., P)."""
        linear, away = self.linearise(theta), theta - self.centre
        value = self.mean_loss(linear) + 0.5 * self.l2 * away.square().sum(-1)
        return value, linear.vjp(self.residual(linear)) + self.l2 * away

    def hessian_product(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """Return v -> (Hessian of J at `theta`) v, exact; it may be indefinite away from a minimum."""
        linear = self.linearise(theta)
        residual, p = self.residual(linear), linear.logits.softmax(-1)

        def curvature(t: Tensor) -> Tensor:
            return self.weights[:, None] * softmax_curvature(p, t)

        return lambda v: linear.second_order(v, residual, curvature) + self.l2 * v


def minimise(
    objective: Objective,
    theta: Tensor,
    tolerance: float,
    max_iterations: int,
    *,
    precondition: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, float, int]:
    """Minimise J from `theta`: trust-region Newton-CG with the exact Hessian, from theta_0 after some L-BFGS.

    Args:
        objective: What to minimise.
        theta: Where to start, shape (P,).
        tolerance: Gradient norm to reach.
        max_iterations: Limit on L-BFGS and Newton steps together.
        precondition: Approximate inverse Hessian, positive definite, for vectors of either precision; made and
            renewed on the way by default.

    Returns:
        The parameters reached, their gradient norm, and the number of steps taken.
    """
    steps = 0
    if theta is objective.centre:
        theta, steps = _lbfgs(objective, theta, min(_LBFGS_STEPS, max_iterations))
    value, gradient = objective.value_and_gradient(theta)
    radius, first, given, single = 1.0, steps, precondition, objective.single()
    while (norm := float(gradient.norm())) > tolerance and steps < max_iterations and radius > 1e-12:
        if precondition is None or (given is None and (steps - first) % _REFRESH == 0):
            precondition = Kronecker(single.linearise(theta.float()), single.weights, objective.l2)
        # Superlinear far out (Nocedal & Wright 2006, section 7.1), but no closer than the tolerance asks.
        forcing = max(min(0.1, norm**0.5), 0.3 * tolerance / norm)
        # A step that need not be accurate is sought in float32; whether it is taken, float64 decides.
        dtype = torch.float32 if forcing > 1e-3 else torch.float64
        product = (single if dtype is torch.float32 else objective).hessian_product(theta.to(dtype))
        step, predicted, at_edge = _steihaug(product, gradient.to(dtype), precondition, radius, forcing)
        step = step.double()
        new_value, new_gradient = objective.value_and_gradient(theta + step)
        # Near the minimum the fall drowns in rounding; the gradient then decides.
        resolved = predicted > 1e-13 * abs(float(value))
        ratio = float(value - new_value) / predicted if resolved else float(new_gradient.norm() < norm)
        if ratio > 0:
            theta, value, gradient = theta + step, new_value, new_gradient
        if ratio < 0.25:
            radius = float(step.norm()) / 3
        elif ratio > 0.75 and at_edge:
            radius *= 2
        steps += 1
    return theta, float(gradient.norm()), steps


def _lbfgs(objective: Objective, theta: Tensor, max_iterations: int) -> tuple[Tensor, int]:
    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective.value_and_gradient(torch.from_numpy(flat))
        return float(value), gradient.numpy()

    best, _, info = fmin_l_bfgs_b(
        value_and_gradient, theta.numpy().copy(), m=10, maxiter=max_iterations, pgtol=0.0, factr=0.0
    )
    return torch.from_numpy(best), int(info["nit"])


def _steihaug(
    product: Callable[[Tensor], Tensor],
    gradient: Tensor,
    precondition: Callable[[Tensor], Tensor],
    radius: float,
    tolerance: float,
    max_products: int = 200,
) -> tuple[Tensor, float, bool]:
    """Steihaug (1983): minimise the quadratic model within ||step|| <= radius by conjugate gradients.

    Returns:
        The step, the fall the model predicts for it, and whether it ends on the edge of the trust region.
    """
    step, residual = torch.zeros_like(gradient), -gradient
    direction = precondition(residual)
    squared, stop, at_edge = residual @ direction, tolerance * gradient.norm(), False
    for _ in range(max_products):
        image = product(direction)
        bend = direction @ image
        longer = step + squared / bend * direction
        if bend <= 0 or longer.norm() > radius:
            a, b, c = direction @ direction, step @ direction, step @ step - radius**2
            reach = (-b + (b * b - a * c).clamp(min=0).sqrt()) / a
            step, residual, at_edge = step + reach * direction, residual - reach * image, True
            break
        step, residual = longer, residual - squared / bend * image
        if residual.norm() < stop:
            break
        z = precondition(residual)
        previous, squared = squared, residual @ z
        direction = z + squared / previous * direction
    # residual = -(gradient + H step), so the model's fall is -g's - s'Hs/2 = (r - g)'s / 2.
    return step, float((residual - gradient) @ step / 2), at_edge

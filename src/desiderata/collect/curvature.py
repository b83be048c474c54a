r"""The damped Gauss-Newton matrix of a fitted head, and its inverse.

G = sum_i w_i J_i' (diag p_i - p_i p_i') J_i + (l2 + damping) I,  sum_i w_i = 1,

with J_i the (C, P) Jacobian of the logits at x_i and p_i the class probabilities (Schraudolph 2002; Martens 2020).
It is the Hessian of the fitting objective without the term that carries second derivatives of the network, so it is
positive definite with smallest eigenvalue >= l2 + damping wherever it is taken; the exact Hessian need not be.

Writing G = A'A + lambda I with A of n C rows, the Woodbury identity gives

G^-1 b = (b - A' (A A' + lambda I)^-1 A b) / lambda,

exact in a system of size n C.  A A' is a sum over layers of Gram matrices, so A itself is never formed.  Beyond
`DUAL_LIMIT` rows, conjugate gradients take over.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from desiderata.collect.checks import check_number
from desiderata.collect.network import Linearisation, at_a_time, softmax_curvature
from desiderata.errors import DesiderataError

DUAL_LIMIT = 1000
"""Largest n * C solved in the dual unless asked for otherwise: there its factor costs about as much as one solve by
conjugate gradients, and a second solve is free."""

Hessian = Literal["gauss-newton", "exact"]
"""Which curvature to invert.  Gauss-Newton is always positive definite.  "exact" is the Hessian of the fitting
objective: true to small changes, and several times slower; it may be indefinite where a fit has not converged, which
raises a `DesiderataError`."""


def check_hessian(hessian: str) -> None:
    """Refuse a curvature that there is not, which would pass for one of the others.

    Raises:
        DesiderataError: It is none of `Hessian`.
    """
    if hessian not in get_args(Hessian):
        raise DesiderataError(f"There is no hessian called {hessian!r}: choose from {', '.join(get_args(Hessian))}.")


class GaussNewton:
    """The operator G above around a linearised network with one parameter vector.

    Args:
        linear: The network around theta (P,) at the n training points.
        weights: Weights of the points, summing to one, shape (n,).
        l2: The objective's own penalty, > 0.
        damping: Further multiple of the identity, >= 0.  The default 0 leaves the penalty as the only damping.

    Raises:
        DesiderataError: When `damping` is below 0.
    """

    def __init__(self, linear: Linearisation, weights: Tensor, l2: float, damping: float = 0.0) -> None:
        check_number("damping", damping, "try 0", least=0)
        self.linear = linear
        self.weights = weights
        self.floor = l2 + damping
        self.p = linear.logits.softmax(-1)

    def product(self, v: Tensor, *, bare: bool = False) -> Tensor:
        """Return G v for directions v of shape (..., P); without lambda I when `bare`."""
        size = at_a_time(self.p.numel())
        if v.dim() == self.p.dim() == 2 and len(v) > size:  # many directions through one network
            return torch.cat([self.product(part, bare=bare) for part in v.split(size)])
        image = self.linear.vjp(self.weights[:, None] * softmax_curvature(self.p, self.linear.jvp(v)))
        return image if bare else image + self.floor * v

    def solve(
        self,
        b: Tensor,
        *,
        method: Literal["auto", "dual", "cg"] = "auto",
        tolerance: float = 1e-8,
        start: Tensor | None = None,
        precondition: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Solve G x = b for one or many right-hand sides.

        Args:
            b: Right-hand sides, shape (..., P).
            method: "dual" (exact; its factor is kept for further calls), "cg", or "auto": "dual" up to `DUAL_LIMIT`
                rows, "cg" above.
            tolerance: Relative residual that "cg" reaches for each right-hand side.
            start: First guess for "cg", shape of b.
            precondition: Approximate inverse for "cg"; see `conjugate_gradients`.

        Returns:
            x, shape of b.
        """
        if method == "cg" or (method == "auto" and self.p.numel() > DUAL_LIMIT):
            return conjugate_gradients(self.product, b, tolerance=tolerance, start=start, precondition=precondition)
        rows = self._rows(b)
        inner = torch.cholesky_solve(rows.reshape(-1, rows.shape[-1]).mT, self._factor).mT
        return (b - self._rows_t(inner.reshape(rows.shape))) / self.floor

    @cached_property
    def _factor(self) -> Tensor:
        """Return the Cholesky factor of A A' + floor I, shape (n C, n C)."""
        return torch.linalg.cholesky(
            _gram(self.linear, self._roots) + self.floor * torch.eye(self.p.numel(), dtype=self.p.dtype)
        )

    @cached_property
    def _roots(self) -> Tensor:
        """Return the roots F_i of w_i (diag p_i - p_i p_i') = F_i F_i'; columns first, shape (C, n, C)."""
        return curvature_roots(self.p, self.weights)

    def _rows(self, v: Tensor) -> Tensor:
        """Return A v, shape (..., n C)."""
        return torch.einsum("knc,...nc->...nk", self._roots, self.linear.jvp(v)).flatten(-2)

    def _rows_t(self, u: Tensor) -> Tensor:
        """Return A' u for u of shape (..., n C)."""
        u = u.unflatten(-1, tuple(self.p.shape))
        return self.linear.vjp(torch.einsum("knc,...nk->...nc", self._roots, u))


class Kronecker:
    """Inverse of a layer-wise Kronecker approximation of G (Martens & Grosse 2015), used as a preconditioner.

    Args:
        linear: The network around theta (P,) at the n training points.
        weights: Weights of the points, summing to one, shape (n,).
        floor: Multiple of the identity that is added, > 0.
    """

    def __init__(self, linear: Linearisation, weights: Tensor, floor: float) -> None:
        self.network = linear.network
        self.factors: list[tuple[Tensor, Tensor, Tensor]] = []
        p = linear.logits.softmax(-1)
        squares = [torch.zeros(size, size, dtype=p.dtype) for size in self.network.sizes[1:]]
        for columns in torch.arange(p.shape[1]).split(at_a_time(len(p) * max(self.network.sizes[1:]))):
            for square, delta in zip(squares, linear.deltas(curvature_roots(p, weights, columns)), strict=True):
                rows = delta.flatten(0, 1)
                square += rows.mT @ rows
        for square, h in zip(squares, linear.inputs, strict=True):
            h = torch.cat([h, torch.ones_like(h[:, :1])], 1)
            left, out_basis = torch.linalg.eigh(square)
            right, in_basis = torch.linalg.eigh((weights[:, None] * h).mT @ h)
            scale = left.clamp(min=0)[:, None] * right.clamp(min=0) + floor
            self.factors.append((out_basis, in_basis, scale))

    def __call__(self, v: Tensor) -> Tensor:
        """Return the inverse applied to v of shape (..., P), in the precision of v."""
        parts: list[Tensor] = []
        layers = self.network.layers(v.to(self.factors[0][0].dtype))
        for (weight, bias), (out_basis, in_basis, scale) in zip(layers, self.factors, strict=True):
            joined = torch.cat([weight, bias.unsqueeze(-1)], -1)
            joined = out_basis @ ((out_basis.mT @ joined @ in_basis) / scale) @ in_basis.mT
            parts += [joined[..., :-1].flatten(-2), joined[..., -1]]
        return torch.cat(parts, -1).to(v.dtype)


def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    b: Tensor,
    *,
    tolerance: float | Tensor,
    max_iterations: int = 2000,
    start: Tensor | None = None,
    precondition: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Solve product(x) = b for every right-hand side at once by preconditioned conjugate gradients.

    Args:
        product: A positive definite operator on (..., P).
        b: Right-hand sides, shape (..., P).
        tolerance: Relative residual ||b - product(x)|| / ||b|| to reach, one for all right-hand sides or (...).
        max_iterations: Limit on applications of `product`.
        start: First guess, shape of b.
        precondition: Approximate inverse of `product`, positive definite; the identity by default, since the spectrum
            of a Gauss-Newton matrix is a few outliers above a floor.

    Returns:
        x, shape of b.

    Raises:
        DesiderataError: When the residual is not reached, the operator is not positive definite, or either is not
            finite.
    """
    x = torch.zeros_like(b) if start is None else start.clone()
    residual = b.clone() if start is None else b - product(x)
    stop = tolerance * b.norm(dim=-1)
    direction, squared = torch.zeros_like(b), torch.ones_like(stop)
    for _ in range(max_iterations):
        open_ = residual.norm(dim=-1) > stop
        if not open_.any():
            # Nothing is below a NaN, so that a residual lost to one would pass for a small one.
            if not residual.isfinite().all():
                raise DesiderataError(
                    "The inverse curvature cannot be applied to numbers that are not finite: fit the head again, on "
                    "finite features."
                )
            return x
        z = residual if precondition is None else precondition(residual)
        previous, squared = squared, (residual * z).sum(-1)
        direction = z + (squared / previous).unsqueeze(-1) * direction
        image = product(direction)
        bend = (direction * image).sum(-1)
        if (bend[open_] <= 0).any():
            raise DesiderataError(
                "The curvature is not positive definite here, so there is no inverse: add damping or fit further."
            )
        # A finished right-hand side stands still, so that it cannot divide nothing by nothing.
        length = torch.where(open_, squared / bend, 0.0).unsqueeze(-1)
        squared = torch.where(open_, squared, 1.0)
        x, residual = x + length * direction, residual - length * image
    raise DesiderataError(
        f"Conjugate gradients did not reach the relative residual asked for in {max_iterations} steps: "
        "add damping or allow more steps."
    )


def dense(product: Callable[[Tensor], Tensor], size: int) -> Tensor:
    """Write an operator out as a matrix, for checking on small heads.

    With `Objective.hessian_product` this is the exact Hessian, which may be indefinite away from a minimum.

    Args:
        product: A symmetric linear operator on (..., size).
        size: Its dimension P; memory is P * P.

    Returns:
        Shape (size, size), float64.
    """
    return product(torch.eye(size, dtype=torch.float64))


def curvature_roots(p: Tensor, weights: Tensor, columns: Tensor | None = None) -> Tensor:
    """Factor the curvature of the losses, F_i F_i' = w_i (diag p_i - p_i p_i').

    Args:
        p: Class probabilities, shape (n, C).
        weights: Non-negative, shape (n,).
        columns: Which columns, shape (k,); all C by default.

    Returns:
        F_i = sqrt(w_i) (diag sqrt(p_i) - p_i sqrt(p_i)'), columns first, shape (k, n, C).
    """
    chosen = slice(None) if columns is None else columns
    root, unit = p.sqrt(), torch.eye(p.shape[1], dtype=p.dtype)[chosen]
    found = unit * root.unsqueeze(-2) - root[:, chosen, None] * p.unsqueeze(-2)
    return (weights.sqrt()[:, None, None] * found).movedim(1, 0)


def _gram(linear: Linearisation, cotangents: Tensor) -> Tensor:
    """Return the Gram matrix of the rows cotangents[k, i]' J_i, shape (n K, n K), layer by layer.

    A layer's rows are outer products of deltas and inputs, and <d h', e g'> = <d, e> <h, g>.
    """
    n, k = cotangents.shape[1], cotangents.shape[0]
    total = torch.zeros(n * k, n * k, dtype=cotangents.dtype)
    for delta, h in zip(linear.deltas(cotangents), linear.inputs, strict=True):
        rows = delta.movedim(0, 1).reshape(n * k, -1)
        block = (rows @ rows.mT).view(n, k, n, k)
        block *= (h @ h.mT + 1.0)[:, None, :, None]
        total += block.view(n * k, n * k)
    return total

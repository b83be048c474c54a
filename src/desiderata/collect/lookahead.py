r"""What adding a whole point would do: the refit, solved in the linearised head.

To first order a candidate moves theta by -H^-1 grad l(z) / (n+1), as if its gradient would last.  But H is small where
there are no data, candidates live there, and a few percent of that step already satisfy them: first-order gains of
misfitted points come out one to two orders of magnitude too large.  Here the candidate's loss is kept exact and only
the rest is quadratic (the proximal response of Bae et al. 2022, with the newcomer's Bregman term left as it is):

delta = argmin  (n+1)/2 delta' H delta - delta' g_mean + l(f(x) + J_z delta, y),

whose solution needs only a C-vector per candidate, the residual r = p - y *after* learning:

r = softmax(f + u) - y,   u = (J_z H^-1 g_mean - J_z H^-1 J_z' r) / (n+1).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.curvature import GaussNewton
from desiderata.collect.network import Linearisation, Network
from desiderata.collect.spectrum import LeadingInverse

_CHUNK = 500  # candidates at a time: bounds memory to a few hundred megabytes


def predicted_gain_proximal(
    classifier: HeadClassifier,
    X: ArrayLike,
    y: ArrayLike,
    X_val: ArrayLike,
    y_val: ArrayLike,
    X_new: ArrayLike,
    y_new: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    damping: float = 0.0,
    rank: int = 256,
) -> NDArray[np.float64]:
    """Predicted fall of the mean validation loss when each candidate alone joins the training set, after a refit.

    The validation loss is exact in the validation logits, which move linearly with theta.  Where `predicted_gain`
    ranks, this also measures: its gains have the size of real ones.

    Args:
        classifier: Fitted on (X, y, sample_weight).
        X: Training features, shape (n, d).
        y: Training labels, shape (n,).
        X_val: Validation features, shape (n_v, d).
        y_val: Validation labels, shape (n_v,).
        X_new: Candidate features, shape (m, d).
        y_new: Candidate labels, shape (m,).
        sample_weight: Training weights, shape (n,); ones by default.
        damping: Added to l2 on the diagonal of H, >= 0.
        rank: Eigenpairs of the Gauss-Newton matrix that are kept; see `LeadingInverse`.

    Returns:
        Gains in nats, shape (m,); positive means that the validation loss falls.
    """
    view = _View.of(classifier, X, y, sample_weight, damping, rank)
    validation = view.look(X_val)
    targets = classifier.one_hot(y_val)
    before = _cross_entropy(validation.linear.logits.double(), targets).mean()
    pull = view.mean_response(validation)
    gains: list[Tensor] = []
    for part in _chunks(len(np.asarray(X_new))):
        candidates = view.look(np.asarray(X_new)[part])
        residual = view.residual_after(candidates, classifier.one_hot(np.asarray(y_new)[part]))
        moved = (pull - view.cross_response(validation, candidates, residual)) / view.total
        after = _cross_entropy((validation.linear.logits + moved).double(), targets).mean(-1)
        gains.append(before - after)
    return torch.cat(gains).numpy()


@dataclass(frozen=True)
class _Points:
    """Points seen through the linearised head: the linearisation and its features in the leading directions."""

    linear: Linearisation
    features: Tensor


@dataclass(frozen=True)
class _View:
    """The linearised head in float32 with H^-1 of the n points as they weigh once a newcomer has joined."""

    network: Network
    theta: Tensor
    inverse: LeadingInverse
    mean_gradient: Tensor
    total: float

    @classmethod
    def of(
        cls,
        classifier: HeadClassifier,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        damping: float,
        rank: int,
    ) -> "_View":
        objective = classifier.objective(X, y, sample_weight)
        n = len(objective.x) if sample_weight is None else float(np.sum(np.asarray(sample_weight)))
        theta = classifier.theta_.float()
        linear = Linearisation(classifier.network_, theta, objective.x.float())
        weights = objective.weights.float()
        curvature = GaussNewton(linear, weights * n / (n + 1), objective.l2, damping)
        residual = weights[:, None] * (linear.logits.softmax(-1) - objective.y.float())
        return cls(classifier.network_, theta, LeadingInverse.of(curvature, rank), linear.vjp(residual), n + 1)

    def look(self, X: ArrayLike) -> _Points:
        linear = Linearisation(self.network, self.theta, torch.as_tensor(np.asarray(X, dtype=np.float32)))
        return _Points(linear, self.inverse.features(linear))

    def mean_response(self, points: _Points) -> Tensor:
        """J H^-1 g_mean, shape (n, C)."""
        return points.linear.jvp(self.inverse.solve(self.mean_gradient))

    def own_response(self, points: _Points) -> Tensor:
        """J_z H^-1 J_z' of each point, shape (n, C, C)."""
        linear, n_classes = points.linear, points.linear.logits.shape[-1]
        unit = torch.eye(n_classes)[:, None, :].expand(-1, len(linear.logits), -1)
        total = -(points.features * self.inverse.shrinkage) @ points.features.mT
        for delta, h in zip(linear.deltas(unit), linear.inputs, strict=True):
            rows = delta.movedim(0, 1)
            total += (h.square().sum(-1) + 1.0)[:, None, None] * (rows @ rows.mT)
        return total / self.inverse.floor

    def cross_response(self, points: _Points, candidates: _Points, residual: Tensor) -> Tensor:
        """J H^-1 J_z' r for every point and candidate, shape (m, n, C)."""
        n, n_classes, rank = points.features.shape
        unit = torch.eye(n_classes)[:, None, :].expand(-1, n, -1)
        seen = torch.einsum("mcr,mc->mr", candidates.features, residual) * self.inverse.shrinkage
        total = -(seen @ points.features.reshape(-1, rank).mT).view(-1, n, n_classes)
        pairs = zip(
            points.linear.deltas(unit),
            points.linear.inputs,
            candidates.linear.deltas(residual),
            candidates.linear.inputs,
            strict=True,
        )
        for delta, h, delta_z, h_z in pairs:
            rows = delta.movedim(0, 1).reshape(n * n_classes, -1)
            total += (h_z @ h.mT + 1.0)[..., None] * (delta_z @ rows.mT).view(-1, n, n_classes)
        return total / self.inverse.floor

    def residual_after(self, candidates: _Points, y: Tensor, max_iterations: int = 50) -> Tensor:
        """Solve for r, the residual p - y of each candidate once it is learnt, by damped Newton steps, shape (m, C)."""
        kernel = self.own_response(candidates).double() / self.total
        start = candidates.linear.logits.double() + self.mean_response(candidates).double() / self.total
        logits, unit = start.clone(), torch.eye(start.shape[-1], dtype=torch.float64)

        def gap(logits: Tensor) -> Tensor:
            return logits - start + torch.einsum("mcd,md->mc", kernel, logits.softmax(-1) - y)

        for _ in range(max_iterations):
            miss = gap(logits)
            size = miss.norm(dim=-1)
            if size.max() < 1e-6:
                break
            p = logits.softmax(-1)
            slope = unit + kernel * p.unsqueeze(-2) - (kernel @ p.unsqueeze(-1)) * p.unsqueeze(-2)
            step = -torch.linalg.solve(slope, miss)
            length = torch.ones_like(size)
            for _ in range(30):
                worse = gap(logits + length[:, None] * step).norm(dim=-1) > (1 - 1e-4 * length) * size
                if not worse.any():
                    break
                length = torch.where(worse, length / 2, length)
            logits = logits + length[:, None] * step
        return (logits.softmax(-1) - y).float()


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))


def _cross_entropy(logits: Tensor, one_hot: Tensor) -> Tensor:
    return logits.logsumexp(-1) - (logits * one_hot).sum(-1)

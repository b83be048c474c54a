"""Small random problems, and oracles that share no code with the fast paths."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, jacrev

from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.fitting import Objective, minimise

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A fitted head, its training and validation data, and candidates, all on the unit sphere."""

    classifier: HeadClassifier
    X: Array
    y: NDArray[np.int64]
    X_val: Array
    y_val: NDArray[np.int64]
    X_new: Array
    y_new: NDArray[np.int64]

    @property
    def data(self) -> tuple[Array, NDArray[np.int64], Array, NDArray[np.int64]]:
        return self.X, self.y, self.X_val, self.y_val

    def objective(self) -> Objective:
        return self.classifier.objective(self.X, self.y)

    def validation_loss(self, theta: Tensor) -> float:
        return float(mean_loss(self.classifier, theta, torch.from_numpy(self.X_val), torch.from_numpy(self.y_val)))

    def refit(self, X: Array, y: NDArray[np.int64], weights: Array | None = None) -> Tensor:
        """Minimise from the case's own optimum, to rounding."""
        theta, norm, _ = minimise(self.classifier.objective(X, y, weights), self.classifier.theta_, 1e-10, 300)
        assert norm < 1e-9
        return theta


def blobs(rng: np.random.Generator, n: int, centres: Array, noise: float) -> tuple[Array, NDArray[np.int64]]:
    y = np.arange(n) % len(centres)
    X = centres[y] + noise * rng.normal(size=(n, centres.shape[1]))
    return X / np.linalg.norm(X, axis=1, keepdims=True), y


def make_case(
    seed: int,
    *,
    n: int = 24,
    d: int = 6,
    n_classes: int = 3,
    n_val: int = 20,
    n_new: int = 12,
    noise: float = 0.5,
    flipped: float = 0.0,
    tolerance: float = 1e-10,
    **parameters,
) -> Case:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes, d))
    X, y = blobs(rng, n, centres, noise)
    X_val, y_val = blobs(rng, n_val, centres, noise)
    X_new, y_new = blobs(rng, n_new, centres, 2 * noise)
    y_new = np.where(rng.random(n_new) < flipped, rng.integers(n_classes, size=n_new), y_new)
    parameters = {"hidden": (5, 4), "l2": 1e-2, "seed": seed, **parameters}
    classifier = HeadClassifier(tolerance=tolerance, **parameters).fit(X, y)
    return Case(classifier, X, y, X_val, y_val, X_new, y_new)


def logits(classifier: HeadClassifier, theta: Tensor, x: Tensor) -> Tensor:
    """The network written the plain way."""
    sizes, start = classifier.network_.sizes, 0
    for i, (a, b) in enumerate(pairwise(sizes)):
        weight, bias = theta[start : start + a * b].view(b, a), theta[start + a * b : start + (a + 1) * b]
        start += (a + 1) * b
        x = x @ weight.T + bias
        if i < len(sizes) - 2:
            x = torch.tanh(x) if classifier.activation == "tanh" else torch.nn.functional.softplus(10 * x) / 10
    return x


def mean_loss(classifier: HeadClassifier, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(logits(classifier, theta, x), y)


def mean_gradient(classifier: HeadClassifier, x: Array, y: NDArray[np.int64]) -> Tensor:
    return grad(lambda t: mean_loss(classifier, t, torch.from_numpy(x), torch.from_numpy(y)))(classifier.theta_)


def jacobian(classifier: HeadClassifier, x: Array) -> Tensor:
    """J, shape (n, C, P)."""
    return jacrev(lambda t: logits(classifier, t, torch.from_numpy(x)))(classifier.theta_)


def curvature(classifier: HeadClassifier, x: Array) -> Tensor:
    """diag p - p p', shape (n, C, C)."""
    p = logits(classifier, classifier.theta_, torch.from_numpy(x)).softmax(-1)
    return torch.diag_embed(p) - p[:, :, None] * p[:, None, :]


def dense_gauss_newton(classifier: HeadClassifier, x: Array, floor: float) -> Tensor:
    j = jacobian(classifier, x)
    return torch.einsum("ncp,ncd,ndq->pq", j, curvature(classifier, x), j) / len(x) + floor * torch.eye(j.shape[-1])


def dense_hessian(classifier: HeadClassifier, x: Array, y: NDArray[np.int64]) -> Tensor:
    loss = lambda t: mean_loss(classifier, t, torch.from_numpy(x), torch.from_numpy(y))  # noqa: E731
    plain = jacrev(grad(loss))(classifier.theta_)
    return plain + classifier.l2 * torch.eye(len(plain))

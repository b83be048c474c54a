r"""The head linearised around its fit: how every logit answers to every other.

With Sigma = H^-1, H the Gauss-Newton matrix of the fit, the response of logits at a to a push at b is

K(a, b) = J_a H^-1 J_b' = (J_a J_b' - Phi_a D Phi_b') / lambda,

where J_a J_b' is exact, a sum over layers of products of Gram matrices, and Phi = J V', D = mu / (mu + lambda) come
from the leading eigenpairs of H (see `LeadingInverse`).  No Jacobian is formed.  Everything is float32.
"""

from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.curvature import GaussNewton, curvature_roots
from desiderata.collect.network import Linearisation, Network
from desiderata.collect.spectrum import LeadingInverse


@dataclass(frozen=True)
class Points:
    """Points seen through a linearised head.

    Attributes:
        linear: The network around theta at the points.
        features: Phi, shape (n, C, R).
    """

    linear: Linearisation
    features: Tensor

    @property
    def roots(self) -> Tensor:
        """F with F_i F_i' = diag p_i - p_i p_i', as (column, n, C)."""
        return curvature_roots(self.linear.logits.softmax(-1), torch.ones(len(self.features)))


@dataclass(frozen=True)
class LinearisedHead:
    """A fitted head with its inverse curvature.

    Attributes:
        network: The architecture that is linearised: the whole head, or its last layer.
        theta: Its parameters, shape (P,).
        below: What turns features into the inputs of `network`: None, or the layers below with their parameters.
        inverse: About H^-1.
        mean_gradient: Mean gradient of the training losses at theta, shape (P,); zero were there no penalty.
        total: Sum W of the training weights.
    """

    network: Network
    theta: Tensor
    below: tuple[Network, Tensor] | None
    inverse: LeadingInverse
    mean_gradient: Tensor
    total: float

    @classmethod
    def of(
        cls,
        classifier: HeadClassifier,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        newcomers: int = 0,
        damping: float = 0.0,
        rank: int = 256,
        last_layer: bool = False,
    ) -> "LinearisedHead":
        """Linearise a classifier at its fit.

        Args:
            classifier: Fitted on (X, y, sample_weight).
            X: Training features, shape (n, d).
            y: Training labels, shape (n,).
            sample_weight: Training weights, shape (n,); ones by default.
            newcomers: How many points of weight 1 are to share H with the training points, which lose as much.
            damping: Added to l2 on the diagonal of H, >= 0.
            rank: Eigenpairs of H that are kept.
            last_layer: Let the last layer alone move; all its eigenpairs are then kept when `rank` allows.

        Returns:
            The linearised head.

        Raises:
            DesiderataError: When data are not such as `HeadClassifier.objective` takes, `damping` is below 0, or
                `rank` below 1.
        """
        objective = classifier.objective(X, y, sample_weight)
        network, theta, below = classifier.network_, classifier.theta_.float(), None
        x, weights = objective.x.float(), objective.weights.float()
        if last_layer:
            below = (network, theta)
            x = Linearisation(network, theta, x).inputs[-1]
            network = Network(network.sizes[-2:], network.activation)
            theta = theta[-network.n_parameters :]
        linear = Linearisation(network, theta, x)
        inverse = LeadingInverse.of(
            GaussNewton(linear, weights * objective.total / (objective.total + newcomers), objective.l2, damping),
            rank,
        )
        residual = weights[:, None] * (linear.logits.softmax(-1) - objective.y.float())
        return cls(network, theta, below, inverse, linear.vjp(residual), objective.total)

    def look(self, x: Tensor) -> Points:
        """Return points, shape (n, d), as this head sees them."""
        x = x.float()
        if self.below is not None:
            x = Linearisation(*self.below, x).inputs[-1]
        linear = Linearisation(self.network, self.theta, x)
        return Points(linear, self.inverse.features(linear))

    def mean_response(self, points: Points) -> Tensor:
        """Return J H^-1 g, with g the mean training gradient, shape (n, C)."""
        return points.linear.jvp(self.inverse.solve(self.mean_gradient))

    def own_response(self, points: Points) -> Tensor:
        """Return K(z, z) of each point, shape (n, C, C)."""
        n, n_classes, _ = points.features.shape
        total = -(points.features * self.inverse.shrinkage) @ points.features.mT
        for delta, h in zip(points.linear.deltas(_unit(n, n_classes)), points.linear.inputs, strict=True):
            rows = delta.movedim(0, 1)
            total += (h.square().sum(-1) + 1.0)[:, None, None] * (rows @ rows.mT)
        return total / self.inverse.floor

    def response(self, points: Points, sources: Points, push: Tensor) -> Tensor:
        """Return sum_c K(a, b)[:, c] push[b, c] for every pair, shape (k, m, n, C).

        Args:
            points: The n points a whose logits answer.
            sources: The m points b.
            push: One or more pushes on the logits of each source, shape (k, m, C).

        Returns:
            Shape (k, m, n, C).
        """
        n, n_classes, rank = points.features.shape
        k, m, _ = push.shape
        seen = torch.einsum("mcr,kmc->kmr", sources.features, push) * self.inverse.shrinkage
        total = -(seen @ points.features.reshape(-1, rank).mT).view(k, m, n, n_classes)
        answers = zip(points.linear.deltas(_unit(n, n_classes)), points.linear.inputs, strict=True)
        pushes = zip(sources.linear.deltas(push), sources.linear.inputs, strict=True)
        for (delta, h), (delta_b, h_b) in zip(answers, pushes, strict=True):
            rows = delta.movedim(0, 1).reshape(n * n_classes, -1)
            total += (h_b @ h.mT + 1.0)[..., None] * (delta_b @ rows.mT).view(k, m, n, n_classes)
        return total / self.inverse.floor


def _unit(n: int, n_classes: int) -> Tensor:
    """Return the cotangents that pick each logit of n points, shape (C, n, C)."""
    return torch.eye(n_classes)[:, None, :].expand(-1, n, -1)

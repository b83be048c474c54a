r"""What a training point does to the validation loss, to first order and beyond.

Let J_n(theta) = (1/n) sum_i l(z_i; theta) + l2/2 ||theta - theta_0||^2 be minimal at theta, H its curvature there and
L_V the mean validation loss.  Everything rests on one solve per round (GenMQD, Eq. 1; Koh & Liang 2017):

s = H^-1 grad_theta L_V.

Sample weights generalise 1/n to w/W with W their sum; a candidate weighs 1.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from desiderata.collect.checks import checked_parameters
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.curvature import GaussNewton, Hessian, check_hessian, conjugate_gradients
from desiderata.collect.fitting import Objective
from desiderata.collect.network import Linearisation, Network, softmax_curvature
from desiderata.collect.spectrum import LeadingInverse

_LEADING = 64  # eigenpairs in the preconditioner of the exact Hessian


def validation_direction(
    classifier: HeadClassifier,
    X: ArrayLike,
    y: ArrayLike,
    X_val: ArrayLike,
    y_val: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    damping: float = 0.0,
    hessian: Hessian = "gauss-newton",
) -> NDArray[np.float64]:
    """Solve s = H^-1 grad_theta L_V, the one solve that every first-order score shares.

    Args:
        classifier: Fitted on (X, y, sample_weight).
        X: Training features, shape (n, d).
        y: Training labels, shape (n,).
        X_val: Validation features, shape (n_v, d).
        y_val: Validation labels, shape (n_v,).
        sample_weight: Training weights, shape (n,); ones by default.
        damping: Added to l2 on the diagonal of H, >= 0.
        hessian: Which curvature to invert.

    Returns:
        s, shape (P,); nats of mean validation loss per unit of the training gradient.

    Raises:
        DesiderataError: When data are not such as `HeadClassifier.objective` takes, `damping` is below 0, `hessian`
            does not exist, or the exact one has no inverse.
    """
    objective = classifier.objective(X, y, sample_weight)
    gradient = _mean_gradient(classifier.objective(X_val, y_val), classifier.theta_)
    return _solve(objective, classifier.theta_, gradient, damping, hessian).numpy()


def predicted_gain(
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
    hessian: Hessian = "gauss-newton",
    direction: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Predicted fall of the mean validation loss when each candidate alone joins the training set, to first order.

    The mean over n + 1 points gives the newcomer weight 1/(n+1) and takes it from the others, so that at the old
    minimum grad J_{n+1} = (grad l(z) - mean_i grad l(z_i)) / (n+1), whence

    gain(z) = s' (grad l(z) - mean_i grad l(z_i)) / (n+1).

    A candidate gains as far as its gradient serves validation better than the average training point's does.  All
    s' grad l(z) come from one forward-mode derivative d/d eps l(z; theta + eps s).

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
        hessian: Which curvature to invert.
        direction: s from `validation_direction`, to spare the solve.

    Returns:
        Gains in nats, shape (m,); positive means that the validation loss falls.

    Raises:
        DesiderataError: As `validation_direction` does, or when `direction` is not that of this head.
    """
    check_hessian(hessian)
    candidates = classifier.points(X_new, y_new)
    if direction is None:
        direction = validation_direction(
            classifier, X, y, X_val, y_val, sample_weight=sample_weight, damping=damping, hessian=hessian
        )
    network, theta = classifier.network_, classifier.theta_
    s = checked_parameters(direction, tuple(theta.shape), "direction")
    training = classifier.objective(X, y, sample_weight)
    average = training.weights @ _slopes(network, theta, training.x, training.y, s)
    return ((_slopes(network, theta, *candidates, s) - average) / (training.total + 1)).numpy()


def validation_gradient(
    classifier: HeadClassifier,
    X: ArrayLike,
    y: ArrayLike,
    X_val: ArrayLike,
    y_val: ArrayLike,
    points: ArrayLike,
    labels: ArrayLike,
    *,
    thetas: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    damping: float = 0.0,
    hessian: Hessian = "gauss-newton",
) -> NDArray[np.float64]:
    r"""Gradient of the mean validation loss, after refitting, with respect to training points of weight 1.

    d L_V / d x_j = -(1/n) s' (d/dx) grad_theta l(x_j, y_j; theta)   (GenMQD, Eq. 5, with its constant)

    The mixed derivative is taken of the scalar <s, grad_theta l>, so memory is O(P).

    Args:
        classifier: Fitted on (X, y, sample_weight).
        X: Training features, shape (n, d).
        y: Training labels, shape (n,).
        X_val: Validation features, shape (n_v, d).
        y_val: Validation labels, shape (n_v,).
        points: The points x_j, shape (k, d).  Without `thetas` they are among the rows of X, with weight 1.
        labels: Their labels, shape (k,).
        thetas: With it, each point has a head of its own: row j was fitted on (X, y, sample_weight) and (x_j, y_j),
            the point being not in X; n then counts it.  Shape (k, P).
        sample_weight: Training weights, shape (n,); ones by default.  n is their sum.
        damping: Added to l2 on the diagonal of H, >= 0.
        hessian: Which curvature to invert.

    Returns:
        Gradients in nats per unit of x, shape (k, d); a step against them lowers the validation loss.

    Raises:
        DesiderataError: As `validation_direction` does, or when `thetas` are not one head for each point.
    """
    check_hessian(hessian)
    training, validation = classifier.objective(X, y, sample_weight), classifier.objective(X_val, y_val)
    own_x, own_y = classifier.points(points, labels)
    total = training.total
    if thetas is None:
        theta = classifier.theta_
        s = _solve(training, theta, _mean_gradient(validation, theta), damping, hessian)
    else:
        theta = checked_parameters(thetas, (len(own_x), *classifier.theta_.shape), "thetas")
        total += 1
        joined = (training.with_point(own_x[j], own_y[j]) for j in range(len(theta)))
        s = torch.stack(
            [
                _solve(o, t, _mean_gradient(validation, t), damping, hessian)
                for o, t in zip(joined, theta, strict=True)
            ]
        )
    linear = Linearisation(classifier.network_, theta, own_x if thetas is None else own_x[:, None])
    p = linear.logits.softmax(-1)
    residual = p - (own_y if thetas is None else own_y[:, None])
    mixed = linear.mixed(s, residual, lambda t: softmax_curvature(p, t))
    return (-mixed.reshape(own_x.shape) / total).numpy()


def _slopes(network: Network, theta: Tensor, x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """Return s' grad_theta l(z_i) of every point, shape (n,)."""
    linear = Linearisation(network, theta, x)
    return ((linear.logits.softmax(-1) - y) * linear.jvp(s)).sum(-1)


def _mean_gradient(objective: Objective, theta: Tensor) -> Tensor:
    """Return the gradient of the weighted mean loss without the penalty, shape (P,)."""
    linear = objective.linearise(theta)
    return linear.vjp(objective.residual(linear))


def _solve(objective: Objective, theta: Tensor, b: Tensor, damping: float, hessian: Hessian) -> Tensor:
    check_hessian(hessian)
    curvature = GaussNewton(objective.linearise(theta), objective.weights, objective.l2, damping)
    if hessian == "gauss-newton":
        return curvature.solve(b)
    product = objective.hessian_product(theta)
    return conjugate_gradients(
        lambda v: product(v) + damping * v,
        b,
        tolerance=1e-8,
        precondition=LeadingInverse.of(curvature, rank=_LEADING).solve,
    )

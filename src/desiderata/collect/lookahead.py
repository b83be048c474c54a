r"""What adding a whole point would do: the refit, solved in the linearised head; and the doubt it would remove.

To first order a candidate moves theta by -H^-1 grad l(z) / (n+1), as if its gradient would last.  But H is small
where there are no data, candidates live there, and a few percent of that step already satisfy them: first-order gains
of misfitted points come out ten to a hundred times too large.  Here the candidate's loss is kept whole and only the
rest is quadratic (the proximal response of Bae et al. 2022, with a Bregman term of the newcomer's own loss):

delta = argmin  (n+1)/2 delta' H delta - delta' g + l(f(x) + J_z delta, y),

g being the mean training gradient.  Its solution needs only the newcomer's residual r = p - y *after* learning:

r = softmax(f + u) - y,   u = (J_z H^-1 g - K(z, z) r) / (n+1),   delta = H^-1 (g - J_z' r) / (n+1).
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.linearised import LinearisedHead
from desiderata.collect.network import at_a_time, softmax_curvature
from desiderata.errors import DesiderataError

_CHUNK = 250  # candidates at a time, or fewer where their responses at the validation points would not fit `ROOM`


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
    linearised: LinearisedHead | None = None,
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
        linearised: `LinearisedHead.of` the same fit with `newcomers=1`, when it is known from an earlier call; it
            depends neither on the validation examples nor on the candidates.

    Returns:
        Gains in nats, shape (m,); positive means that the validation loss falls.

    Raises:
        DesiderataError: When data are not such as `HeadClassifier.objective` takes, `damping` is below 0, or `rank`
            below 1.
    """
    head = linearised or LinearisedHead.of(
        classifier, X, y, sample_weight=sample_weight, newcomers=1, damping=damping, rank=rank
    )
    joined = head.total + 1
    candidates, one_hot = classifier.points(X_new, y_new)
    x_val, targets = classifier.points(X_val, y_val, least=1)
    validation = head.look(x_val)
    logits, pull = validation.linear.logits, head.mean_response(validation)
    before = _cross_entropy(logits, targets).mean()
    gains = [torch.empty(0, dtype=torch.float64)]
    for part in _chunks(len(candidates), logits.numel()):
        points = head.look(candidates[part])
        kernel = head.own_response(points).double() / joined
        start = points.linear.logits.double() + head.mean_response(points).double() / joined
        residual = residual_after(start, kernel, one_hot[part])
        moved = (pull - head.response(validation, points, residual.float()[None])[0]) / joined
        gains.append(before - _cross_entropy(logits + moved, targets).mean(-1))
    return torch.cat(gains).numpy()


def variance_gain(
    classifier: HeadClassifier,
    X: ArrayLike,
    y: ArrayLike,
    X_val: ArrayLike,
    X_new: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    damping: float = 0.0,
    rank: int = 256,
    last_layer: bool = False,
) -> NDArray[np.float64]:
    r"""Predicted fall of the validation loss that is due to doubt about theta, whatever the candidate's label.

    Under the Laplace posterior N(theta, S) with S = H^-1 / n, the expected mean validation loss exceeds the loss at
    theta by tr(H_V S) / 2, H_V being the Gauss-Newton matrix of the validation loss.  A point z adds its curvature
    h_z = J_z' L J_z, L = diag p - p p', to S^-1, and by the Woodbury identity

    gain(z) = tr(H_V [S - (S^-1 + h_z)^-1]) / 2 = tr[(n I + L K(z,z))^-1 L  J_z H^-1 H_V H^-1 J_z'] / (2 n) >= 0,

    V-optimality at the validation points (Cohn et al. 1996; Kirsch et al. 2023 for its use in place of mutual
    information).  To choose a batch, append what is chosen to X: labels play no part at a fixed theta.

    Args:
        classifier: Fitted on (X, y, sample_weight).
        X: Training features, shape (n, d).
        y: Training labels, shape (n,).
        X_val: Validation features, shape (n_v, d).
        X_new: Candidate features, shape (m, d).
        sample_weight: Training weights, shape (n,); ones by default.
        damping: Added to l2 on the diagonal of H, >= 0.
        rank: Eigenpairs of the Gauss-Newton matrix that are kept; see `LeadingInverse`.
        last_layer: Count the doubt about the last layer alone: ten times faster.

    Returns:
        Gains in nats, shape (m,), >= 0.

    Raises:
        DesiderataError: When data are not such as `HeadClassifier.objective` takes, `damping` is below 0, or `rank`
            below 1.
    """
    head = LinearisedHead.of(
        classifier, X, y, sample_weight=sample_weight, damping=damping, rank=rank, last_layer=last_layer
    )
    validation, n_classes = head.look(classifier.features(X_val, least=1)), len(classifier.classes_)
    roots = validation.roots.movedim(0, -1)  # (n_v, C, C), columns last
    candidates, unit = classifier.features(X_new), torch.eye(n_classes)
    gains = [torch.empty(0, dtype=torch.float64)]
    for part in _chunks(len(candidates), roots.numel()):
        points = head.look(candidates[part])
        m = len(points.features)
        cross = head.response(validation, points, unit[:, None, :].expand(-1, m, -1))
        weighed = torch.einsum("kmvc,vcf->mkvf", cross, roots).flatten(2)
        spread = (weighed @ weighed.mT).double() / len(roots)
        p = points.linear.logits.softmax(-1).double()
        kernel = head.own_response(points).double()
        # softmax_curvature works on last axes and both matrices are symmetric: L K = (K L)'.
        system = head.total * unit + softmax_curvature(p[:, None], kernel).mT
        solved = torch.linalg.solve(system, softmax_curvature(p[:, None], spread).mT)
        gains.append(solved.diagonal(dim1=-2, dim2=-1).sum(-1) / (2 * head.total))
    return torch.cat(gains).numpy()


def residual_after(start: Tensor, kernel: Tensor, y: Tensor, max_iterations: int = 50) -> Tensor:
    """Solve r = softmax(start - kernel r) - y for many newcomers at once by damped Newton steps.

    Args:
        start: Logits the newcomer would have were it not learnt, shape (m, C), float64.
        kernel: Positive semi-definite response of its logits to its own residual, shape (m, C, C).
        y: One-hot labels, shape (m, C).
        max_iterations: Limit on steps.

    Returns:
        r, shape (m, C).

    Raises:
        DesiderataError: When the logits do not settle to 1e-6, relative to 1 + their distance.
    """
    logits, unit = start.clone(), torch.eye(start.shape[-1], dtype=start.dtype)

    def miss(logits: Tensor) -> Tensor:
        return logits - start + (kernel @ (logits.softmax(-1) - y)[..., None])[..., 0]

    for _ in range(max_iterations):
        gap = miss(logits)
        size = gap.norm(dim=-1)
        if (size <= 1e-6 * (1 + (logits - start).norm(dim=-1))).all():
            return logits.softmax(-1) - y
        p = logits.softmax(-1)
        step = -torch.linalg.solve(unit + softmax_curvature(p[:, None], kernel), gap)
        length = torch.ones_like(size)
        for _ in range(30):
            worse = miss(logits + length[:, None] * step).norm(dim=-1) > (1 - 1e-4 * length) * size
            if not worse.any():
                break
            length = torch.where(worse, length / 2, length)
        logits = logits + length[:, None] * step
    raise DesiderataError("The refit of a candidate was not found in the linearised head: add damping.")


def _chunks(n: int, numbers: int) -> Iterator[slice]:
    """Return the parts of n candidates, each of which makes responses of so many numbers."""
    size = min(_CHUNK, at_a_time(numbers))
    return (slice(start, start + size) for start in range(0, n, size))


def _cross_entropy(logits: Tensor, one_hot: Tensor) -> Tensor:
    """Return the cross-entropy of float32 logits (..., n, C) in float64, shape (..., n)."""
    logits = logits.double()
    return logits.logsumexp(-1) - (logits * one_hot).sum(-1)

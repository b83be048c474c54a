r"""A small fully connected network as a pure function of one flat parameter vector, with its exact derivatives.

Influence needs derivatives of derivatives at many parameter vectors at once.  Writing them out for this one
architecture keeps every quantity a chain of matrix products: nothing of size (points x parameters) is ever held, and
leading batch dimensions broadcast, so that ten networks cost one batched product rather than ten loops.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import softplus

_SHARPNESS = 10.0  # softplus(10 a) / 10: within 0.07 of relu(a), and twice differentiable.


def _tanh(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    t = a.tanh()
    slope = 1 - t * t
    return t, slope, -2 * t * slope


def _softplus(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    s = torch.sigmoid(_SHARPNESS * a)
    return softplus(a, beta=_SHARPNESS, threshold=40.0), s, _SHARPNESS * s * (1 - s)


ACTIVATIONS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]] = {"tanh": _tanh, "softplus": _softplus}
"""Each maps pre-activations to (value, first derivative, second derivative)."""

Curvature = Callable[[Tensor], Tensor]
"""How the cotangents of the logits change when the logits do, both (..., n, C)."""


_CACHE = 2**20
"""Bytes that one layer's results may take at a time: about what a core's own cache holds."""

ROOM = 2**24
"""Numbers that the largest array of a product may have where the product can be split: 128 MiB in float64, and a few
such arrays are there at a time."""


def at_a_time(numbers: int) -> int:
    """Return how many items fit into `ROOM` together when each takes so many numbers; one at least."""
    return max(1, ROOM // max(1, numbers))


@dataclass(frozen=True)
class Network:
    """Layer sizes and activation of f(x; theta): affine maps with the activation between them.

    Attributes:
        sizes: Widths from input to output, such as ``(512, 64, 64, 10)`` for three layers.
        activation: A key of `ACTIVATIONS`.  Smooth ones only: with ReLU and weight decay the minimiser sits on kinks,
            where no gradient vanishes, so neither "fitted" nor "influence" would mean anything (Koh & Liang 2017,
            section 4.2, smooth the hinge loss for the same reason).
    """

    sizes: tuple[int, ...]
    activation: str = "tanh"

    @property
    def n_parameters(self) -> int:
        """Number P of parameters, weights and biases of every layer."""
        return sum((a + 1) * b for a, b in pairwise(self.sizes))

    def initial(self, seed: int) -> Tensor:
        """Draw initial parameters: He et al. (2015), weights ~ N(0, 2 / fan-in), biases zero.

        Args:
            seed: Non-negative integer; the draw depends on it and the sizes alone.

        Returns:
            Parameters of shape (P,), float64.
        """
        generator = torch.Generator().manual_seed(seed)
        theta = torch.zeros(self.n_parameters, dtype=torch.float64)
        for weight, _ in self.layers(theta):
            draw = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            weight.copy_(draw * (2.0 / weight.shape[-1]) ** 0.5)
        return theta

    def layers(self, theta: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Split parameters into layers without copying.

        Args:
            theta: Parameters, shape (..., P).

        Yields:
            Per layer the weight (..., out, in) and the bias (..., out), as views.
        """
        start = 0
        for a, b in pairwise(self.sizes):
            middle, end = start + a * b, start + (a + 1) * b
            yield theta[..., start:middle].unflatten(-1, (b, a)), theta[..., middle:end]
            start = end

    def logits(self, theta: Tensor, x: Tensor) -> Tensor:
        """Evaluate the network.

        Args:
            theta: Parameters, shape (..., P).
            x: Points, shape (..., n, d).  Leading dimensions of both broadcast.

        Returns:
            Logits, shape (..., n, C).
        """
        activate = ACTIVATIONS[self.activation]
        last = len(self.sizes) - 2
        for i, (weight, bias) in enumerate(self.layers(theta)):
            x = x @ weight.mT + bias.unsqueeze(-2)
            if i < last:
                x = activate(x)[0]
        return x


class Linearisation:
    """The network around fixed parameters and points: products with its Jacobian and its second derivatives.

    Writing J for the Jacobian of all logits with respect to theta, every method costs a few forward passes.

    Attributes:
        logits: f(x; theta), shape (..., n, C).
        inputs: Input of each layer, (..., n, width); the first is `x`.
    """

    def __init__(self, network: Network, theta: Tensor, x: Tensor) -> None:
        self.network = network
        self.layers = list(network.layers(theta))
        self.inputs: list[Tensor] = [x]
        self.slopes: list[Tensor] = []
        self.bends: list[Tensor] = []
        activate = ACTIVATIONS[network.activation]
        for weight, bias in self.layers[:-1]:
            value, slope, bend = activate(self.inputs[-1] @ weight.mT + bias.unsqueeze(-2))
            self.inputs.append(value)
            self.slopes.append(slope)
            self.bends.append(bend)
        weight, bias = self.layers[-1]
        self.logits = self.inputs[-1] @ weight.mT + bias.unsqueeze(-2)

    def jvp(self, v: Tensor) -> Tensor:
        """J v: derivative of the logits along parameter direction(s) v.

        Args:
            v: Directions, shape (..., P).

        Returns:
            Shape (..., n, C).
        """
        return _joined([self._tangents(part)[-1] for part in self._parts(v, v.dim() - 1)])

    def vjp(self, d: Tensor) -> Tensor:
        """J' d: gradient of sum(d * logits) with respect to theta.

        Args:
            d: Cotangents of the logits, shape (..., n, C).

        Returns:
            Shape (..., P).
        """
        return _joined([self._collect(self.deltas(part), self.inputs) for part in self._parts(d, d.dim() - 2)])

    def deltas(self, d: Tensor) -> list[Tensor]:
        """Back-propagate `d` to the pre-activations of every layer.

        Args:
            d: Cotangents of the logits, shape (..., n, C).

        Returns:
            One tensor (..., n, width) per layer, in the order of the layers.
        """
        out = [d]
        for (weight, _), slope in zip(self.layers[:0:-1], self.slopes[::-1], strict=True):
            out.append((out[-1] @ weight) * slope)
        return out[::-1]

    def second_order(self, v: Tensor, d: Tensor, curvature: Curvature) -> Tensor:
        """Derivative along v of J' d, where d moves with the logits.

        With d = softmax(f) - y and `curvature` its derivative this is the exact Hessian of the summed cross-entropy
        times v.

        Args:
            v: Directions, shape (..., P).
            d: Cotangents of the logits, shape (..., n, C).
            curvature: Maps a change of the logits to the change of d, both (..., n, C).

        Returns:
            Shape (..., P).
        """
        tangents, deltas, changes = self._perturbed(v, d, curvature)
        out = self._collect(changes, self.inputs)
        weights = [weight for weight, _ in self.network.layers(out)]
        for weight, delta, slope, tangent in zip(weights[1:], deltas[1:], self.slopes, tangents[:-1], strict=True):
            weight += delta.mT @ (slope * tangent)
        return out

    def mixed(self, v: Tensor, d: Tensor, curvature: Curvature) -> Tensor:
        """Derivative along v of the gradient of each loss with respect to its point: grad_x <v, grad_theta l>.

        Args:
            v: Directions, shape (..., P).
            d: Cotangents of the logits, shape (..., n, C).
            curvature: As in `second_order`.

        Returns:
            Shape (..., n, d).
        """
        _, deltas, changes = self._perturbed(v, d, curvature)
        direction, _ = next(self.network.layers(v))
        return changes[0] @ self.layers[0][0] + deltas[0] @ direction

    def _parts(self, many: Tensor, leading: int) -> Sequence[Tensor]:
        # Many directions through one network: a few at a time, so that what lies between stays in the cache.
        one_network = self.layers[0][0].dim() == self.inputs[0].dim() == 2
        if not one_network or leading != 1:
            return [many]
        widest = len(self.inputs[0]) * max(self.network.sizes[1:]) * many.element_size()
        return many.split(max(1, _CACHE // max(1, widest)))

    def _perturbed(
        self, v: Tensor, d: Tensor, curvature: Curvature
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return per layer the change of the pre-activations along v, the deltas, and the change of the deltas."""
        directions = [direction for direction, _ in self.network.layers(v)]
        tangents = self._tangents(v)
        deltas, changes = [d], [curvature(tangents[-1])]
        for i in range(len(self.layers) - 1, 0, -1):
            weight, slope, bend = self.layers[i][0], self.slopes[i - 1], self.bends[i - 1]
            up = deltas[-1] @ weight
            changes.append((changes[-1] @ weight + deltas[-1] @ directions[i]) * slope + up * bend * tangents[i - 1])
            deltas.append(up * slope)
        return tangents, deltas[::-1], changes[::-1]

    def _tangents(self, v: Tensor) -> list[Tensor]:
        """Return the change of every layer's pre-activation along v; the last is that of the logits."""
        out: list[Tensor] = []
        for i, (direction, shift) in enumerate(self.network.layers(v)):
            change = self.inputs[i] @ direction.mT + shift.unsqueeze(-2)
            if i:
                change = change + (self.slopes[i - 1] * out[-1]) @ self.layers[i][0].mT
            out.append(change)
        return out

    def _collect(self, deltas: list[Tensor], inputs: list[Tensor]) -> Tensor:
        """Return the outer products of deltas and inputs, summed over the points: one flat vector per batch entry."""
        parts: list[Tensor] = []
        for delta, h in zip(deltas, inputs, strict=True):
            parts += [(delta.mT @ h).flatten(-2), delta.sum(-2)]
        batch = parts[0].shape[:-1]
        if any(part.shape[:-1] != batch for part in parts):
            batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
            parts = [part.expand(*batch, part.shape[-1]) for part in parts]
        return torch.cat(parts, -1)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def softmax_curvature(p: Tensor, t: Tensor) -> Tensor:
    """(diag p - p p') t: change of the class probabilities when the logits change by t.

    Args:
        p: Class probabilities, shape (..., C).
        t: Change of the logits, shape (..., C).

    Returns:
        Shape (..., C).
    """
    pt = p * t
    return pt - p * pt.sum(-1, keepdim=True)

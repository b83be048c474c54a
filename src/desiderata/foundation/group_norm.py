"""Group normalisation (Wu & He, 2018) that is quick on a processor with channels last.

PyTorch's own kernel takes a third of the time of a small U-Net there, forwards and backwards. Sums over places, a
factor and an offset for each channel of each picture give the same in a quarter of that.
"""

from typing import Any

import torch
from torch import Tensor, nn


class ChannelsLastGroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` by sums over places; what is not a four-dimensional input on a processor goes to PyTorch's own.

    Variances are means of squares less squares of means, in float32 or better: inputs whose mean is thousands of
    times their spread would lose digits. What a network normalises is not like that.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return normalised features, (n, channels, height, width), channels last."""
        if input.dim() != 4 or input.device.type != "cpu" or not self.affine:
            return super().forward(input)
        return _GroupNorm.apply(input, self.weight, self.bias, self.num_groups, self.eps)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        n, channels, height, width = features.shape
        places = features.permute(0, 2, 3, 1).reshape(n, height * width, channels)
        size, each = height * width * channels // groups, channels // groups
        exact = torch.promote_types(features.dtype, torch.float32)
        total = places.sum(1, dtype=exact).view(n, groups, each).sum(2)
        squares = torch.linalg.vector_norm(places, dim=1, dtype=exact).square().view(n, groups, each).sum(2)
        mean = total / size
        rate = ((squares / size - mean.square()).clamp_min(0) + eps).rsqrt()
        mean, rate = (value.repeat_interleave(each, 1) for value in (mean, rate))
        factor = rate * weight
        offset = bias - mean * factor
        ctx.save_for_backward(places, weight, mean, rate)
        ctx.groups, ctx.size = groups, size
        return _pictures(_scaled(offset, places, factor), height, width)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        places, weight, mean, rate = ctx.saved_tensors
        (gradient,) = gradients
        n, channels, height, width = gradient.shape
        each = channels // ctx.groups
        gradient = gradient.permute(0, 2, 3, 1).reshape(n, height * width, channels)
        plain = gradient.sum(1, dtype=mean.dtype)
        along = ((gradient * places).sum(1, dtype=mean.dtype) - mean * plain) * rate

        def shared(sums: Tensor) -> Tensor:
            return ((sums * weight).view(n, ctx.groups, each).sum(2) / ctx.size).repeat_interleave(each, 1)

        pull = -rate.square() * shared(along)
        inputs = _scaled(-rate * shared(plain) - pull * mean, places, pull)
        inputs = inputs + gradient * (rate * weight).to(gradient.dtype)[:, None]
        return _pictures(inputs, height, width), along.sum(0), plain.sum(0), None, None


def _scaled(offset: Tensor, places: Tensor, factor: Tensor) -> Tensor:
    return torch.addcmul(offset.to(places.dtype)[:, None], places, factor.to(places.dtype)[:, None])


def _pictures(places: Tensor, height: int, width: int) -> Tensor:
    return places.view(len(places), height, width, -1).permute(0, 3, 1, 2)


def quicken(module: nn.Module) -> None:
    """Let every group normalisation in a module be a quick one; its weights and their names stay."""
    for part in module.modules():
        if type(part) is nn.GroupNorm:
            part.__class__ = ChannelsLastGroupNorm

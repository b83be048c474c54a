"""Quick group normalisation against PyTorch's own, forwards and backwards."""

import pytest
import torch
from torch import nn

from desiderata.foundation.group_norm import ChannelsLastGroupNorm, quicken


@pytest.mark.parametrize(("groups", "channels", "side"), [(1, 4, 3), (4, 4, 5), (8, 32, 8), (32, 96, 16)])
@pytest.mark.parametrize("last", [True, False])
def test_it_gives_what_pytorch_gives(groups: int, channels: int, side: int, last: bool):
    torch.manual_seed(groups)
    norm = nn.GroupNorm(groups, channels, dtype=torch.float32)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    features = 3 * torch.randn(5, channels, side, side) + 1
    features = features.to(memory_format=torch.channels_last) if last else features
    pull = torch.randn_like(features)

    def both(module: nn.Module) -> list[torch.Tensor]:
        given = features.detach().clone().requires_grad_()
        norm.zero_grad()
        (module(given) * pull).sum().backward()
        assert given.grad is not None
        assert norm.weight.grad is not None
        assert norm.bias.grad is not None
        return [module(given).detach(), given.grad, norm.weight.grad.clone(), norm.bias.grad.clone()]

    wanted = both(norm)
    quicken(norm)
    assert type(norm) is ChannelsLastGroupNorm
    for got, want in zip(both(norm), wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_half_precision_is_kept_and_close():
    torch.manual_seed(0)
    norm = nn.GroupNorm(4, 16)
    features = torch.randn(3, 16, 8, 8).to(memory_format=torch.channels_last)
    wanted = norm(features)
    quicken(norm)
    got = norm(features.bfloat16())
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), wanted, rtol=0.03, atol=0.03)


def test_other_shapes_go_to_pytorch():
    norm = nn.GroupNorm(2, 4)
    features = torch.randn(3, 4, 7)
    wanted = norm(features)
    quicken(norm)
    assert torch.equal(norm(features), wanted)

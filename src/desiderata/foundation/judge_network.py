"""The judge's network and its files: `config.json` and `model.safetensors`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from desiderata.errors import DesiderataError
from desiderata.files import staged, write_text
from desiderata.foundation.registry import first_line, locate

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True)
class JudgeConfig:
    """Shape of a judge, and the names of what it tells apart.

    Attributes:
        concepts: Things that may be shown.
        backgrounds: Backgrounds, one of which every picture has.
        styles: Styles, one of which every picture has.
        most: The most of one thing that are counted.
        size: Pixels on a side of what the network sees.
        widths: Channels at a half, a quarter and an eighth of that size.
        blocks: Residual blocks at a quarter and an eighth of it.
        hidden: Width of the layer between what is pooled over places and what is read from it.
    """

    concepts: tuple[str, ...]
    backgrounds: tuple[str, ...]
    styles: tuple[str, ...]
    most: int = 3
    size: int = 64
    widths: tuple[int, int, int] = (32, 96, 192)
    blocks: tuple[int, int] = (1, 1)
    hidden: int = 384


class _Residual(nn.Module):
    """Two convolutions beside which the input passes (He et al., 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        return F.relu(features + self.norm(self.second(self.first(features))))


class _Counting(nn.Module):
    """Counts the things of one concept on a map of where they are; the same two layers for every concept.

    Args:
        cells: Of a map.
        most: The most that is counted.
    """

    def __init__(self, cells: int, most: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * cells, 64)
        self.number = nn.Linear(64, most + 1)

    def forward(self, places: Tensor) -> Tensor:
        """Return logits (n, concepts, most + 1) from those of places, (n, 1 + concepts, height, width)."""
        chances = places.softmax(1)[:, 1:].flatten(2)
        margins = (places[:, 1:] - places.logsumexp(1, keepdim=True)).flatten(2) / 8
        return self.number(F.relu(self.hidden(torch.cat([chances, margins], 2))))


class JudgeNetwork(nn.Module):
    """The network: early strides, residual blocks, and on top of them what is where, which is then counted.

    Background and style are read from the mean and the maximum over all places. Counts are not: they would pull the
    features about long before these tell one thing from another.

    Args:
        config: Its shape.
    """

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        stem, middle, last = config.widths
        self.eye = nn.Sequential(
            _convolution(3, stem, 5, 2),
            _convolution(stem, middle, 3, 2),
            *(_Residual(middle) for _ in range(config.blocks[0])),
            _convolution(middle, last, 3, 2),
            *(_Residual(last) for _ in range(config.blocks[1])),
        )
        self.places = nn.Conv2d(last, 1 + len(config.concepts), 1)
        self.counting = _Counting((config.size // 8) ** 2, config.most)
        self.hidden = nn.Linear(2 * last, config.hidden)
        read = 2 * last + config.hidden
        self.background = nn.Linear(read, len(config.backgrounds))
        self.style = nn.Linear(read, len(config.styles))

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return logits of what pictures show.

        Args:
            pixels: Shape (n, 3, size, size), 0 to 1.

        Returns:
            `places`, shape (n, 1 + concepts, size / 8, size / 8), of nothing and each concept being there; `counts`,
            (n, concepts, most + 1); `background`, (n, backgrounds); and `style`, (n, styles).
        """
        seen = self.eye(2 * pixels - 1)
        places = self.places(seen)
        pooled = torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], 1)
        whole = torch.cat([pooled, F.relu(self.hidden(pooled))], 1)
        return {
            "places": places,
            "counts": self.counting(places),
            "background": self.background(whole),
            "style": self.style(whole),
        }


def _convolution(before: int, after: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, side, stride, side // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU())


def save_network(network: JudgeNetwork, folder: Path) -> None:
    """Write a model directory, weights in half precision."""
    tensors = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    with staged(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_text(folder / CONFIG, json.dumps(asdict(network.config), indent=2) + "\n")


def load_network(name: str) -> JudgeNetwork:
    """Read a model directory.

    Args:
        name: A registered name, or the path of a directory that `save_network` wrote.

    Returns:
        The network, in float32.

    Raises:
        DesiderataError: There is no judge, or its files are damaged.
    """
    folder = Path(locate(name, "judge"))
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        shape: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in config.items()
        }
        network = JudgeNetwork(JudgeConfig(**shape))
        network.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:  # damaged files let through whatever their parsers happen to raise
        raise DesiderataError(
            f"{folder} cannot be loaded as a judge ({first_line(error)}): give a directory that "
            "`desiderata models train moji-judge` wrote."
        ) from error
    return network

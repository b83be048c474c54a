"""A DINOv2 directory of random weights."""

from pathlib import Path

import torch
from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

WIDTH, SIDE = 32, 28


def tiny_dino(folder: Path) -> Path:
    """Write one whose embeddings have `WIDTH` figures."""
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        config = Dinov2Config(
            hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE, patch_size=14
        )
        Dinov2Model(config).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    BitImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=size).save_pretrained(folder)
    return folder

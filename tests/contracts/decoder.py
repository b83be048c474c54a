"""A decoder so small that it is made in an instant; what it writes is words, and nothing else."""

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from desiderata.describe.decap import DecapDecoder
from desiderata.training.tokenizer import train_tokenizer


def tiny_decoder(dim: int = 6) -> DecapDecoder:
    """Return a random decoder of points of length `dim`, always the same."""
    torch.manual_seed(0)
    words = train_tokenizer(["a cat on the grass", "two dogs in the snow"] * 4)
    config = GPT2Config(
        vocab_size=len(words), n_positions=32, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=1
    )
    memory = torch.nn.functional.normalize(torch.randn(20, dim), dim=-1)
    return DecapDecoder(GPT2LMHeadModel(config), nn.Linear(dim, 32), words, memory, length=8)

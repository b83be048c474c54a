"""A CLIP model of a few thousand random weights, in the format of the full-size ones."""

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from desiderata.training.tokenizer import train_tokenizer


def few_words():
    """Return a tokenizer of a few words."""
    return train_tokenizer(["a photo of a cat", "a photo of a dog on the grass"] * 3)


def tiny_clip(folder: Path, *, seed: int = 0, spread: float = 1.0) -> Path:
    """Write a random CLIP with embeddings of 24 numbers.

    Args:
        folder: Where; made if it is not there.
        seed: Of the weights.
        spread: How much larger the weights are than usual: with larger ones, embeddings differ more.

    Returns:
        `folder`.
    """
    words = few_words()
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"initializer_factor": spread}
    config = CLIPConfig(
        text_config={**small, "vocab_size": len(words), "eos_token_id": 1, "bos_token_id": 0, "pad_token_id": 1},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=24,
        initializer_factor=spread,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        CLIPModel(config).save_pretrained(folder)
    words.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder

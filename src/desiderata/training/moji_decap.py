"""Train a DeCap decoder (Li et al., 2023) over any encoder from sentences alone; moji-decap is one such."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from desiderata.describe.decap import DecapDecoder
from desiderata.foundation.encoder import Encoder, load_encoder
from desiderata.foundation.registry import locate
from desiderata.randomness import stream
from desiderata.training.checkpoint import key_of
from desiderata.training.corpus import draw_scenes
from desiderata.training.loop import Loop
from desiderata.worlds.moji.grammar import caption


@dataclass(frozen=True)
class DecapRecipe:
    """How a decoder is trained.

    Attributes:
        captions: How many sentences of the Moji world to learn from.
        memory: How many of them are remembered for the projection.
        epochs: Times that each sentence is seen.
        batch: Sentences a step.
        learning_rate: The highest; it falls to 0 along a cosine.
        noise: Standard deviation of the noise added to embeddings (CapDec, Nukrai et al., 2022), times 1/sqrt(d).
        width: Of the language model.
        layers: Of the language model.
        seed: Of sentences, weights, noise and order.
    """

    captions: int = 32_000
    memory: int = 10_000
    epochs: int = 7
    batch: int = 128
    learning_rate: float = 2e-3
    noise: float = 0.1
    width: int = 192
    layers: int = 3
    seed: int = 0


def moji_captions(n: int, seed: int) -> list[str]:
    """Return complete captions of n random scenes."""
    rng = stream(seed, "decap")
    return [caption(scene, rng) for scene in draw_scenes(n, rng)]


def train_decoder(
    encoder: Encoder,
    tokenizer: Any,
    captions: Sequence[str],
    recipe: DecapRecipe,
    checkpoint: Path,
    report: Callable[[str], None] = print,
) -> DecapDecoder:
    """Train a decoder on sentences.

    Args:
        encoder: Whose text embeddings are to be read.
        tokenizer: Splits the sentences; its vocabulary is the decoder's.
        captions: What to learn from.
        recipe: How to train.
        checkpoint: File that an interrupted run goes on from.
        report: Takes a line of progress.

    Returns:
        The trained decoder.
    """
    embeddings = torch.from_numpy(encoder.texts(captions)).float()
    tokens = tokenizer(list(captions), padding=True, return_tensors="pt")
    # The first input is the embedding, so the start marker is dropped.
    ids, mask = tokens["input_ids"][:, 1:], tokens["attention_mask"][:, 1:]
    torch.manual_seed(recipe.seed)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=ids.shape[1] + 8,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.width // 64,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    model = GPT2LMHeadModel._from_config(config, attn_implementation="eager")
    prefix = nn.Linear(embeddings.shape[1], recipe.width)
    nn.init.normal_(prefix.weight, std=1.0 / math.sqrt(recipe.width))
    modules: dict[str, nn.Module] = {"model": model, "prefix": prefix}
    parameters = [*model.parameters(), *prefix.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    about = key_of(recipe, list(captions), np.round(embeddings[:64].numpy(), 3).tobytes())
    per_epoch = len(captions) // recipe.batch
    total = per_epoch * recipe.epochs
    scale = recipe.noise / math.sqrt(embeddings.shape[1])
    order_of = cache(lambda epoch: stream(recipe.seed, "decap-order", epoch).permutation(len(captions)))

    def take(step: int) -> dict[str, float]:
        epoch, place = divmod(step, per_epoch)
        rows = torch.from_numpy(order_of(epoch)[place * recipe.batch : (place + 1) * recipe.batch])
        noise = torch.from_numpy(
            stream(recipe.seed, "decap-noise", step).standard_normal((len(rows), embeddings.shape[1]))
        )
        vectors = F.normalize(embeddings[rows] + scale * noise.float(), dim=-1)
        width = int(mask[rows].sum(1).max())
        wanted, present = ids[rows, :width], mask[rows, :width].bool()
        inputs = torch.cat([prefix(vectors).unsqueeze(1), model.transformer.wte(wanted[:, :-1])], dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs_embeds=inputs).logits
        loss = F.cross_entropy(logits[present].float(), wanted[present])
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return {"loss": loss.item()}

    def rate(step: int) -> float:
        return recipe.learning_rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / total))

    Loop(checkpoint, modules, optimizer, about, total, rate, unit="sentences", report=report).run(
        take, lambda _step: recipe.batch
    )
    return DecapDecoder(model, prefix, tokenizer, embeddings[: recipe.memory])


def train_moji_decap(work: Path, encoder_name: str = "moji-clip") -> DecapDecoder:
    """Train moji-decap in a folder, resuming what is there.

    Args:
        work: Where the checkpoint is kept.
        encoder_name: The encoder whose text embeddings it reads; its tokenizer is the decoder's.

    Returns:
        The trained decoder.
    """
    recipe = DecapRecipe()
    encoder = load_encoder(encoder_name)
    tokenizer = AutoTokenizer.from_pretrained(locate(encoder_name))
    captions = moji_captions(recipe.captions, recipe.seed)
    return train_decoder(encoder, tokenizer, captions, recipe, work / "moji-decap.safetensors")

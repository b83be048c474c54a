"""Train moji-clip: CLIP (Radford et al., 2021) on captioned scenes of the Moji world.

Beside the contrastive loss, linear heads read the scene's attributes from both embeddings (the *same* heads for
images and sentences, which also keeps the two modalities in one cone), and the image's patches are asked which
concept they cover. The heads are thrown away afterwards; what is shipped is a plain CLIP model.
"""

import copy
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from desiderata.errors import DesiderataError
from desiderata.randomness import stream
from desiderata.training.attributes import AttributeHeads, Targets
from desiderata.training.checkpoint import key_of
from desiderata.training.corpus import Batches, draw_scenes, load_shard, make_corpus
from desiderata.training.loop import Loop
from desiderata.training.tokenizer import train_tokenizer
from desiderata.worlds.moji.catalogue import CONCEPTS
from desiderata.worlds.moji.grammar import caption

SIZE = 64
"""Pixels on a side."""


@dataclass(frozen=True)
class Recipe:
    """How moji-clip is trained.

    Attributes:
        shards: Shards of training scenes.
        pictures: How many pictures are seen in all, repeats counted.
        batch: Pictures a step, over most of the run.
        large_batch: Pictures a step over the last part, where the contrast needs more negatives.
        large_share: Share of `pictures` seen in large batches.
        learning_rate: The highest, after the warm-up; it then falls to 0 along a cosine.
        warmup: Share of `pictures` over which the rate rises.
        weight_decay: Of matrices.
        attribute_weight: Of the attribute heads' losses.
        complete: Share of the single scenes' captions that leave nothing out.
        seed: Of scenes, weights and order.
    """

    shards: int = 60
    pictures: int = 520_000
    batch: int = 96
    large_batch: int = 256
    large_share: float = 0.1
    learning_rate: float = 1e-3
    warmup: float = 0.03
    weight_decay: float = 0.05
    attribute_weight: float = 0.35
    complete: float = 0.5
    seed: int = 0


def new_model(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Return moji-clip with random weights: patches of 8 of 64 pixels, 128-dimensional embeddings."""
    config = CLIPConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 192,
            "intermediate_size": 768,
            "num_hidden_layers": 4,
            "num_attention_heads": 3,
            "hidden_act": "gelu_pytorch_tanh",
            "max_position_embeddings": 48,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "hidden_act": "gelu_pytorch_tanh",
            "image_size": SIZE,
            "patch_size": 8,
        },
        projection_dim=128,
    )
    # Plain attention: the fused kernel is slow backwards on a CPU.
    model = CLIPModel._from_config(config, attn_implementation="eager")
    nn.init.constant_(model.logit_scale, math.log(1 / 0.07))
    return model


class Trainer:
    """One training run in one folder.

    Args:
        folder: Where scenes and checkpoints are kept; an interrupted run goes on from here.
        recipe: How to train.
        device: "cpu" or "cuda".
    """

    def __init__(self, folder: Path, recipe: Recipe, device: str = "cpu") -> None:
        self.recipe, self.device, self.checkpoint = recipe, device, folder / "moji-clip.safetensors"
        make_corpus(folder / "scenes", recipe.shards, seed=recipe.seed, size=SIZE)
        self.shards = [load_shard(folder / "scenes", index) for index in range(recipe.shards)]
        torch.manual_seed(recipe.seed)
        self.tokenizer = _kept_tokenizer(folder / "tokenizer", self.checkpoint)
        self.processor = CLIPImageProcessorPil(
            size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}
        )
        self.model = new_model(self.tokenizer).to(device)  # pyright: ignore[reportArgumentType]
        config: Any = self.model.config
        self.heads = AttributeHeads(config.projection_dim).to(device)
        self.patches = nn.Linear(config.vision_config.hidden_size, 1 + len(CONCEPTS)).to(device)
        self.modules: dict[str, nn.Module] = {"model": self.model, "heads": self.heads, "patches": self.patches}
        parameters = [parameter for module in self.modules.values() for parameter in module.parameters()]
        self.optimizer = torch.optim.AdamW(
            decayed(parameters, recipe.weight_decay), lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True
        )
        self.mean = torch.tensor(self.processor.image_mean, device=device).view(3, 1, 1)
        self.std = torch.tensor(self.processor.image_std, device=device).view(3, 1, 1)

    def run(self, report: Callable[[str], None] = print, every: int = 250, save_every: int = 500) -> CLIPModel:
        """Train to the end.

        Args:
            report: Takes a line of progress.
            every: Steps between lines.
            save_every: Steps between checkpoints.

        Returns:
            The trained model.
        """
        recipe, plan = self.recipe, _plan(self.recipe)
        sizes = [len(shard.scenes) for shard in self.shards]
        rows = {size: Batches(sizes, size, stream(recipe.seed, "order", size)) for size in dict(plan)}
        starts = {size: index for index, (size, _) in reversed(list(enumerate(plan)))}

        def take(step: int) -> dict[str, float]:
            size, _ = plan[step]
            return self.step(rows[size][step - starts[size]], stream(recipe.seed, "caption", step))

        Loop(
            self.checkpoint,
            self.modules,
            self.optimizer,
            key_of(recipe, json.dumps(self.tokenizer.get_vocab(), sort_keys=True)),
            len(plan),
            lambda step: recipe.learning_rate * cosine_schedule(plan[step][1], recipe.warmup),
            every=every,
            save_every=save_every,
            report=report,
        ).run(take, lambda step: plan[step][0])
        return self.model

    def step(self, rows: list[tuple[int, int]], rng: np.random.Generator) -> dict[str, float]:
        """Return the losses and the accuracy within the batch of scenes at `rows`, and take one step on it."""
        scenes = [self.shards[shard].scenes[row] for shard, row in rows]
        single = [row >= len(self.shards[shard].scenes) // 2 for shard, row in rows]
        captions = [
            caption(scene, rng, complete=not (alone and rng.random() > self.recipe.complete))
            for scene, alone in zip(scenes, single, strict=True)
        ]
        tokens = cast(Any, self.tokenizer(captions, padding=True, return_tensors="pt")).to(self.device)
        pixels = np.stack([self.shards[shard].images[row] for shard, row in rows])
        pixel_values = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float() / 255
        pixel_values = (pixel_values - self.mean) / self.std
        targets = Targets.of(scenes)
        with torch.autocast(self.device, torch.bfloat16):
            seen = self.model.vision_model(pixel_values=pixel_values)
            image = self.model.visual_projection(seen.pooler_output)
            text = cast(Any, self.model.get_text_features(**tokens)).pooler_output
            where = self.patches(seen.last_hidden_state[:, 1:])
        image, text = F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1)
        logits = self.model.logit_scale.exp() * image @ text.T
        own = torch.arange(len(rows), device=self.device)
        contrast = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        attributes = self._attributes(image, targets, slice(None))
        # A sentence that leaves something out cannot be asked for it.
        whole = torch.tensor([index for index, alone in enumerate(single) if not alone], dtype=torch.long)
        if len(whole):
            attributes = attributes + 0.5 * self._attributes(text, targets, whole)
        maps = np.stack([self.shards[shard].maps[row] for shard, row in rows])
        places = F.cross_entropy(where.flatten(0, 1).float(), torch.from_numpy(maps).long().flatten().to(self.device))
        (contrast + self.recipe.attribute_weight * attributes + places).backward()
        nn.utils.clip_grad_norm_([p for module in self.modules.values() for p in module.parameters()], 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=math.log(100))
            hits = (logits.argmax(1) == own).float().mean().item()
            guesses = self.heads(image * math.sqrt(image.shape[-1]))["subject"].argmax(1)
            subject = (guesses == targets.subject).float().mean().item()
        return {
            "contrast": contrast.item(),
            "attributes": attributes.item(),
            "places": places.item(),
            "top-1": hits,
            "subject": subject,
        }

    def _attributes(self, embedding: Tensor, targets: Targets, rows: slice | Tensor) -> Tensor:
        # Unit vectors times sqrt(d) have entries of order one, which a linear head can work with.
        chosen = Targets(*(getattr(targets, name)[rows] for name in Targets.__dataclass_fields__))
        return self.heads.loss(embedding[rows] * math.sqrt(embedding.shape[-1]), chosen)

    def save(self, folder: Path, model: CLIPModel | None = None) -> None:
        """Write a model directory, weights in half precision: of `model`, or of what this run trained."""
        copy.deepcopy(model or self.model).half().save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.processor.save_pretrained(folder)


def moji_tokenizer(seed: int = 0, captions: int = 20_000) -> CLIPTokenizer:
    """Return the tokenizer of moji-clip, learnt from captions of random scenes."""
    rng = stream(seed, "tokenizer")
    return train_tokenizer(caption(scene, rng) for scene in draw_scenes(captions, rng))


def _kept_tokenizer(folder: Path, checkpoint: Path) -> CLIPTokenizer:
    """Return the tokenizer that the run in this folder began with: weights mean nothing with another.

    Raises:
        DesiderataError: There are weights, but their tokenizer is gone.
    """
    if not folder.exists():
        if checkpoint.exists():
            raise DesiderataError(f"{checkpoint} has lost its tokenizer ({folder}): put it back, or start anew.")
        unfinished = folder.with_name(f".{folder.name}")
        moji_tokenizer().save_pretrained(unfinished)
        unfinished.rename(folder)
    return CLIPTokenizer.from_pretrained(folder)


def decayed(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Return an optimizer's parameter groups: matrices are decayed, gains and biases are not."""
    known = list(parameters)
    return [
        {"params": [p for p in known if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in known if p.ndim < 2], "weight_decay": 0.0},
    ]


def cosine_schedule(progress: float, warmup: float) -> float:
    """Return the share of the highest learning rate at a share of the run: up a line, then down a cosine to 0."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _plan(recipe: Recipe) -> list[tuple[int, float]]:
    """Return the batch size of every step, and the share of the pictures seen before it."""
    plan, seen = [], 0
    while seen < recipe.pictures:
        batch = recipe.batch if seen < recipe.pictures * (1 - recipe.large_share) else recipe.large_batch
        plan.append((batch, seen / recipe.pictures))
        seen += batch
    return plan

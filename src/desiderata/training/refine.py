"""Refine moji-clip: teach its picture tower to say everything that the sentence tower says.

After `moji_clip` has trained both towers, sentences hold every object of a scene and pictures hold the subject, but
what stands beside it weakly: the layer that recognises objects is also the last one, so nothing is left to gather
them. Here further layers are put on the picture tower and it alone is trained; the sentence tower stays as it is, and
so does every decoder of its embeddings. Locking one tower is Zhai et al., 2022 (LiT), here with the other one locked.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from desiderata.randomness import stream
from desiderata.training.attributes import Targets
from desiderata.training.checkpoint import key_of
from desiderata.training.corpus import Batches, Shard, load_shard, make_corpus
from desiderata.training.loop import Loop
from desiderata.training.moji_clip import SIZE, Trainer, cosine_schedule, decayed
from desiderata.worlds.moji.grammar import caption


@dataclass(frozen=True)
class Refinement:
    """How the picture tower is refined.

    Attributes:
        shards: Shards of scenes, others than those of the first stage.
        pictures: How many pictures are seen in each cycle, repeats counted. A cycle begins where the last one ended,
            and its rate rises and falls anew (Loshchilov & Hutter, 2017).
        batch: Pictures a step.
        layers: Further layers on the picture tower; at first they change nothing.
        learning_rate: The highest of a cycle, after the warm-up; it then falls to 0 along a cosine.
        warmup: Share of a cycle over which the rate rises.
        weight_decay: Of matrices.
        align_weight: Of 1 - cosine between a picture and its complete caption.
        attribute_weight: Of the attribute heads' losses.
        complete: Share of the single scenes' captions that leave nothing out.
        seed: Of scenes and order.
    """

    shards: int = 60
    pictures: tuple[int, ...] = (240_000, 480_000)
    batch: int = 128
    layers: int = 2
    learning_rate: float = 4e-4
    warmup: float = 0.04
    weight_decay: float = 0.05
    align_weight: float = 3.0
    attribute_weight: float = 0.35
    complete: float = 0.5
    seed: int = 1


def with_further_layers(model: CLIPModel, layers: int) -> CLIPModel:
    """Return a copy of a CLIP model whose picture tower has further layers that pass everything on unchanged.

    Args:
        model: The model, which is left as it is.
        layers: How many layers come on top; both of their residual branches end in zeros.

    Returns:
        A model that computes what `model` computes.
    """
    config = cast(Any, model.config).to_dict()
    before = config["vision_config"]["num_hidden_layers"]
    config["vision_config"]["num_hidden_layers"] = before + layers
    deeper = CLIPModel._from_config(CLIPConfig(**config), attn_implementation="eager")
    deeper.load_state_dict({**deeper.state_dict(), **model.state_dict()})
    for layer in list(cast(Any, deeper.vision_model.encoder.layers))[before:]:
        for last in (layer.self_attn.out_proj, layer.mlp.fc2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
    return deeper


class Refiner:
    """The second stage of one training run.

    Args:
        trainer: The first stage, finished; its heads are trained further.
        folder: Where scenes and checkpoints are kept; an interrupted run goes on from here.
        recipe: How to refine.
    """

    def __init__(self, trainer: Trainer, folder: Path, recipe: Refinement) -> None:
        self.recipe, self.device, self.checkpoint = recipe, trainer.device, folder / "moji-clip-refined.safetensors"
        self.tokenizer, self.mean, self.std = trainer.tokenizer, trainer.mean, trainer.std
        make_corpus(folder / "scenes-refine", recipe.shards, seed=recipe.seed, size=SIZE)
        self.shards: list[Shard] = [load_shard(folder / "scenes-refine", index) for index in range(recipe.shards)]
        torch.manual_seed(recipe.seed)
        start = trainer.model.visual_projection.weight.detach().cpu().numpy().tobytes()
        self.about = key_of(recipe, start)
        self.recognising = int(cast(Any, trainer.model.config).vision_config.num_hidden_layers)
        self.model = with_further_layers(trainer.model, recipe.layers).to(self.device)  # pyright: ignore[reportArgumentType]
        self.heads, self.patches = trainer.heads, trainer.patches
        self.eyes = nn.ModuleList([self.model.vision_model, self.model.visual_projection, self.heads, self.patches])
        self.model.requires_grad_(False)
        self.eyes.requires_grad_(True)
        self.modules: dict[str, nn.Module] = {"eyes": self.eyes}
        self.optimizer = torch.optim.AdamW(
            decayed(self.eyes.parameters(), recipe.weight_decay),
            lr=recipe.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )

    def run(self, report: Callable[[str], None] = print, every: int = 250, save_every: int = 500) -> CLIPModel:
        """Refine to the end.

        Args:
            report: Takes a line of progress.
            every: Steps between lines.
            save_every: Steps between checkpoints.

        Returns:
            The refined model.
        """
        recipe = self.recipe
        cycles = [pictures // recipe.batch for pictures in recipe.pictures]
        progress_of = [step / steps for steps in cycles for step in range(steps)]
        rows = Batches([len(shard.scenes) for shard in self.shards], recipe.batch, stream(recipe.seed, "order"))
        Loop(
            self.checkpoint,
            self.modules,
            self.optimizer,
            self.about,
            len(progress_of),
            lambda step: recipe.learning_rate * cosine_schedule(progress_of[step], recipe.warmup),
            "refine",
            every=every,
            save_every=save_every,
            report=report,
        ).run(lambda step: self.step(rows[step], stream(recipe.seed, "caption", step)), lambda _step: recipe.batch)
        return self.model

    def step(self, rows: list[tuple[int, int]], rng: np.random.Generator) -> dict[str, float]:
        """Return the losses of scenes at `rows`, and take one step on them."""
        scenes = [self.shards[shard].scenes[row] for shard, row in rows]
        single = [row >= len(self.shards[shard].scenes) // 2 for shard, row in rows]
        whole = [not alone or rng.random() < self.recipe.complete for alone in single]
        captions = [caption(scene, rng, complete=all_said) for scene, all_said in zip(scenes, whole, strict=True)]
        text = self._texts(captions)
        image, where = self._images(np.stack([self.shards[shard].images[row] for shard, row in rows]))
        logits = self.model.logit_scale.exp() * image @ text.T
        own = torch.arange(len(rows), device=self.device)
        contrast = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        apart = 1 - (image * text).sum(1)[torch.tensor(whole, device=self.device)].mean()
        attributes = self.heads.loss(image * math.sqrt(image.shape[-1]), Targets.of(scenes))
        maps = np.stack([self.shards[shard].maps[row] for shard, row in rows])
        places = F.cross_entropy(where.flatten(0, 1), torch.from_numpy(maps).long().flatten().to(self.device))
        loss = contrast + self.recipe.align_weight * apart + self.recipe.attribute_weight * attributes + places
        loss.backward()
        nn.utils.clip_grad_norm_(self.eyes.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {
            "contrast": contrast.item(),
            "apart": apart.item(),
            "attributes": attributes.item(),
            "places": places.item(),
            "top-1": (logits.argmax(1) == own).float().mean().item(),
        }

    @torch.no_grad()
    def _texts(self, captions: list[str]) -> Tensor:
        tokens = cast(Any, self.tokenizer(captions, padding=True, return_tensors="pt")).to(self.device)
        with torch.autocast(self.device, torch.bfloat16):
            text = cast(Any, self.model.get_text_features(**tokens)).pooler_output
        return F.normalize(text.float(), dim=-1)

    def _images(self, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
        values = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float() / 255
        with torch.autocast(self.device, torch.bfloat16):
            seen = self.model.vision_model(pixel_values=(values - self.mean) / self.std, output_hidden_states=True)
            image = self.model.visual_projection(seen.pooler_output)
            # Recognising stays where it was learnt, so that the layers above can gather what is there.
            where = self.patches(cast(Any, seen).hidden_states[self.recognising][:, 1:])
        return F.normalize(image.float(), dim=-1), where.float()

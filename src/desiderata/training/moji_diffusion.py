"""Train moji-diffusion: a Stable Diffusion pipeline (Rombach et al., 2022) small enough for two processor cores.

moji-clip's sentence tower is the text encoder, frozen. The U-Net learns to predict velocities (Salimans & Ho, 2022)
on a schedule that ends in pure noise (Lin et al., 2024), with sentences left out at random for classifier-free
guidance (Ho & Salimans, 2022). Errors where something stands weigh more: backgrounds are learnt soon, and outlines
of small things late. A second head, which the pipeline leaves out, says from the U-Net's features which concept
stands where: features that know what is shown make a generator learn far sooner (Yu et al., 2025, with DINOv2's).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoTokenizer, CLIPModel, CLIPTextModel

from desiderata.files import write_text
from desiderata.foundation.registry import locate
from desiderata.foundation.weights import load_model
from desiderata.randomness import stream
from desiderata.training.autoencoder import AutoencoderRecipe, train_autoencoder
from desiderata.training.checkpoint import key_of
from desiderata.training.corpus import load_shard, make_corpus
from desiderata.training.latents import Latents, latents_shard
from desiderata.training.loop import Loop
from desiderata.worlds.moji.catalogue import CONCEPTS
from desiderata.worlds.moji.grammar import caption

SAMPLING = {"steps": 12, "guidance": 4.0, "batch": 16, "solver": "dpm-solver++"}
"""How the finished pipeline is sampled unless the caller says otherwise."""

SHARDS_TO_ENCODE = 16
"""Shards of scenes that the autoencoder learns from."""


@dataclass(frozen=True)
class DiffusionRecipe:
    """How moji-diffusion is trained.

    Attributes:
        pictures: How many are seen in all, repeats counted. It plays no part in what a checkpoint belongs to: a run
            may be lengthened.
        shards: Shards of encoded scenes.
        batch: Pictures a step.
        learning_rate: Constant after the warm-up; the average of the weights is what is kept.
        warmup: Steps over which the rate rises.
        average: Decay of the moving average of the weights.
        dropped: Share of sentences left out.
        objects: How much more an error counts where something stands.
        place_weight: Of the loss of which concept stands where.
        widths: Channels of the U-Net's two levels.
        autoencoder: How the autoencoder is trained.
        seed: Of scenes, weights, order and noise.
    """

    pictures: int = 496_000
    shards: int = 32
    batch: int = 32
    learning_rate: float = 4e-4
    warmup: int = 300
    average: float = 0.9995
    dropped: float = 0.1
    objects: float = 2.0
    place_weight: float = 0.25
    widths: tuple[int, int] = (96, 192)
    autoencoder: AutoencoderRecipe = field(default_factory=AutoencoderRecipe)
    seed: int = 0


def new_unet(recipe: DiffusionRecipe, condition: int) -> UNet2DConditionModel:
    """Return the U-Net with random weights: convolutions at 16 x 16, attention to the sentence at 8 x 8.

    Args:
        recipe: Says how wide.
        condition: Width of the text encoder.
    """
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=recipe.autoencoder.channels,
        out_channels=recipe.autoencoder.channels,
        block_out_channels=recipe.widths,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=condition,
        attention_head_dim=4,
    )


def schedule() -> DDIMScheduler:
    """Return the noise schedule: cosine, ending in pure noise, velocities predicted."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,  # diffusers asks for it; trailing steps do not use it
        clip_sample=False,
    )


class PlaceHead(nn.Module):
    """Says which concept stands where from what a U-Net's last layer with attention to the sentence gave.

    Args:
        unet: The U-Net that is listened to; it must run before this does.
        width: Channels of that layer.
    """

    def __init__(self, unet: UNet2DConditionModel, width: int) -> None:
        super().__init__()
        self.heard: Tensor | None = None
        self.layers = nn.Sequential(nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, 1 + len(CONCEPTS), 1))
        unet.up_blocks[0].attentions[-1].register_forward_hook(self._hear)  # pyright: ignore

    def forward(self) -> Tensor:
        """Return logits (n, 1 + concepts, side, side) for the pictures that the U-Net saw last.

        Raises:
            RuntimeError: It has seen none since the last call.
        """
        heard, self.heard = self.heard, None
        if heard is None:
            raise RuntimeError("the U-Net has not run since places were last asked for")
        return self.layers(heard)

    def _hear(self, _layer: nn.Module, _given: Any, result: Any) -> None:
        self.heard = result[0] if isinstance(result, tuple) else result.sample


class DiffusionTrainer:
    """One training run in one folder.

    Args:
        folder: Where scenes, latents and checkpoints are kept; an interrupted run goes on from here.
        recipe: How to train.
        device: "cpu" or "cuda".
        encoder_name: The CLIP model whose sentence tower conditions the generator.
        report: Takes a line of progress.
    """

    def __init__(
        self,
        folder: Path,
        recipe: DiffusionRecipe,
        device: str = "cpu",
        encoder_name: str = "moji-clip",
        report: Callable[[str], None] = print,
    ) -> None:
        self.folder, self.recipe, self.device, self.report = folder, recipe, device, report
        self.tokenizer: Any = AutoTokenizer.from_pretrained(locate(encoder_name))
        self.text_encoder = text_tower(load_model(CLIPModel, encoder_name)).to(device).eval().requires_grad_(False)  # pyright: ignore
        self.autoencoder = self._autoencoder()
        torch.manual_seed(recipe.seed)
        width = self.text_encoder.config.hidden_size
        # Channels first: with channels last, group normalisation takes a third of a processor's time.
        self.unet = new_unet(recipe, width).to(device)  # pyright: ignore
        self.average = new_unet(recipe, width).to(device)  # pyright: ignore
        self.average.load_state_dict(self.unet.state_dict())
        self.average.requires_grad_(False)
        self.unet.set_attn_processor(AttnProcessor())  # the fused kernel is slow backwards on a processor
        self.places = PlaceHead(self.unet, recipe.widths[-1]).to(device)
        learnt = [*self.unet.parameters(), *self.places.parameters()]
        self.optimizer = torch.optim.AdamW(
            learnt, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.alphas = schedule().alphas_cumprod.to(device)

    def run(self, every: int = 100, save_every: int = 500) -> StableDiffusionPipeline:
        """Train to the end.

        Args:
            every: Steps between lines of progress.
            save_every: Steps between checkpoints.

        Returns:
            The pipeline, with the averaged weights.
        """
        recipe = self.recipe
        shards: dict[int, Latents] = {}
        Loop(
            self.folder / "moji-diffusion.safetensors",
            {"unet": self.unet, "average": self.average, "places": self.places},
            self.optimizer,
            key_of(*(getattr(recipe, name) for name in vars(recipe) if name != "pictures"), self._marks()),
            recipe.pictures // recipe.batch,
            lambda step: recipe.learning_rate * min(1.0, (step + 1) / recipe.warmup),
            every=every,
            save_every=save_every,
            report=self.report,
        ).run(lambda step: self._step(step, shards), lambda _step: recipe.batch)
        return self.pipeline()

    def pipeline(self) -> StableDiffusionPipeline:
        """Return the generator as it stands, with the averaged weights."""
        return StableDiffusionPipeline(
            vae=self.autoencoder,  # pyright: ignore[reportArgumentType]
            text_encoder=self.text_encoder,
            tokenizer=self.tokenizer,
            unet=self.average,
            scheduler=schedule(),  # pyright: ignore[reportArgumentType]
            safety_checker=None,  # pyright: ignore[reportArgumentType]
            feature_extractor=None,  # pyright: ignore[reportArgumentType]
            requires_safety_checker=False,
        )

    def save(self, folder: Path) -> None:
        """Write the pipeline in half precision, as plain diffusers loads it."""
        pipeline = self.pipeline()
        for module in (pipeline.vae, pipeline.unet, pipeline.text_encoder):
            module.half()
        pipeline.save_pretrained(folder, safe_serialization=True)
        for module in (pipeline.vae, pipeline.unet, pipeline.text_encoder):
            module.float()
        write_text(folder / "sampling.json", json.dumps(SAMPLING, indent=2) + "\n")

    def _step(self, step: int, shards: dict[int, Latents]) -> dict[str, float]:
        recipe = self.recipe
        draws = stream(recipe.seed, "diffusion", step)
        shard = self._shard(step, shards)
        rows = draws.choice(len(shard.scenes), recipe.batch, replace=False)
        clean = shard.latents[rows].to(self.device).float()
        weight = 1 + recipe.objects * shard.objects[rows].to(self.device).float()
        said = [caption(shard.scenes[row], draws) if draws.random() >= recipe.dropped else "" for row in rows]
        # More of the middle of the schedule, where what a thing is gets decided (Esser et al., 2024).
        when = 1 / (1 + np.exp(-draws.normal(0.2, 1.2, recipe.batch)))
        steps = torch.from_numpy(np.minimum((when * 1000).astype(np.int64), 999)).to(self.device)
        noise = torch.from_numpy(draws.standard_normal(clean.shape, np.float32)).to(self.device)
        signal = self.alphas[steps].view(-1, 1, 1, 1)
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
        wanted = signal.sqrt() * noise - (1 - signal).sqrt() * clean
        with torch.autocast(self.device, torch.bfloat16):
            condition = self.texts(said)
            velocity = self.unet(noisy, steps, condition).sample
            places = self.places()
        error = (velocity.float() - wanted).square()
        place_loss = F.cross_entropy(places.float(), shard.maps[rows].to(self.device))
        loss = (error * weight).mean() / weight.mean() + recipe.place_weight * place_loss
        loss.backward()
        nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(recipe.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.unet.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        return {"velocity": error.mean().item(), "places": place_loss.item()}

    @torch.no_grad()
    def texts(self, sentences: list[str]) -> Tensor:
        """Return the hidden states of sentences, shape (n, tokens, width), padded as the pipeline pads them."""
        tokens = self.tokenizer(
            sentences,
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )
        return self.text_encoder(tokens["input_ids"].to(self.device)).last_hidden_state

    def _shard(self, step: int, shards: dict[int, Latents]) -> Latents:
        """Return the shard that a step draws from: some steps each in turn, so that they are rendered on the way."""
        index = step // 16 % self.recipe.shards
        if index not in shards:
            shards[index] = latents_shard(self.folder / "latents", index, self.autoencoder, self.recipe.seed)
        return shards[index]

    def _autoencoder(self) -> AutoencoderTiny:
        recipe = self.recipe.autoencoder
        make_corpus(self.folder / "scenes", SHARDS_TO_ENCODE, seed=self.recipe.seed, processes=1)
        images = [load_shard(self.folder / "scenes", index).images for index in range(SHARDS_TO_ENCODE)]
        return train_autoencoder(images, recipe, self.folder / "autoencoder.safetensors", self.device, self.report)

    def _marks(self) -> bytes:
        """Return what tells models apart that the run depends on."""
        return b"".join(
            next(iter(module.parameters())).detach().float().cpu().numpy().tobytes()
            for module in (self.text_encoder, self.autoencoder)
        )


def text_tower(model: CLIPModel) -> CLIPTextModel:
    """Return the sentence tower of a CLIP model, as Stable Diffusion takes it."""
    tower = CLIPTextModel(model.config.text_config)  # pyright: ignore[reportArgumentType]
    source = model.text_model.state_dict()
    names = tower.state_dict().keys()
    prefix = "text_model." if all(name.startswith("text_model.") for name in names) else ""
    tower.load_state_dict({f"{prefix}{key}": value for key, value in source.items()})
    return tower

"""Models of Stable Diffusion 1.4's exact shapes with random weights: for the time of a step these do not matter."""

from typing import Any, cast

import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextConfig, CLIPTextModel

from desiderata.foundation.encoder import ClipEncoder
from desiderata.foundation.generator import Generator
from desiderata.foundation.pipelines import quiet
from desiderata.foundation.sampling import Sampling
from desiderata.foundation.weights import load_tokenizer

NAME = "random-sd-1.4"
WORDS = "moji-clip"
"""Whose tokenizer reads sentences; every sentence is filled up to `TOKENS` anyway."""

VOCABULARY, TOKENS = 49408, 77
SIDE = 64
"""Latents on a side, of pictures of 512 pixels."""


def sd14_modules() -> dict[str, Any]:
    """Return a U-Net (860 million weights), an autoencoder (84) and a text encoder (123), float32, random."""
    with quiet():
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        channels, kl = (128, 256, 512, 512), cast(Any, AutoencoderKL)
        return {
            "unet": UNet2DConditionModel(sample_size=SIDE, cross_attention_dim=768, attention_head_dim=8),
            "vae": kl(
                down_block_types=("DownEncoderBlock2D",) * len(channels),
                up_block_types=("UpDecoderBlock2D",) * len(channels),
                block_out_channels=channels,
                layers_per_block=2,
                sample_size=8 * SIDE,
            ),
            "text_encoder": CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=VOCABULARY,
                    hidden_size=768,
                    intermediate_size=3072,
                    num_hidden_layers=12,
                    num_attention_heads=12,
                    max_position_embeddings=TOKENS,
                    hidden_act="quick_gelu",
                    bos_token_id=0,
                    eos_token_id=1,
                    pad_token_id=1,
                )
            ),
        }


def random_sd14(device: str, sampling: Sampling) -> Generator:
    """Return a generator of these shapes, without a safety checker.

    Args:
        device: Where it runs; weights are drawn there.
        sampling: How it is sampled.

    Returns:
        The generator, float32.
    """
    with quiet(), torch.device(device):
        from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
        from diffusers.schedulers.scheduling_pndm import PNDMScheduler

        modules = sd14_modules()
    tokenizer = load_tokenizer(WORDS)
    tokenizer.model_max_length = TOKENS
    scheduler = PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    parts: dict[str, Any] = {**modules, "tokenizer": tokenizer, "scheduler": scheduler}
    parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    with quiet():
        pipeline = StableDiffusionPipeline(**parts)
    return Generator(pipeline, NAME, sampling, device=device)


def random_clip(device: str) -> ClipEncoder:
    """Return an encoder of CLIP ViT-B/32's shapes (151 million weights), float32, random."""
    with torch.device(device):
        model = CLIPModel(cast(Any, CLIPConfig()))
    return ClipEncoder(model, load_tokenizer(WORDS), CLIPImageProcessorPil(), "random-clip-vit-b32", device)

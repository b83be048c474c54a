"""A Stable Diffusion pipeline of a few thousand random weights, in the format of the full-size ones."""

from pathlib import Path
from typing import Literal

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
)

from desiderata.foundation.pipelines import quiet
from desiderata.foundation.registry import BUNDLED_ROOT
from desiderata.foundation.sampling import Sampling
from desiderata.foundation.weights import load_tokenizer

WIDTH = 32
"""Figures that its text encoder gives for each token."""


def tiny_pipeline(
    folder: Path,
    *,
    size: int = 32,
    seed: int = 0,
    vae: Literal["kl", "tiny"] = "kl",
    prediction: Literal["epsilon", "v_prediction"] = "epsilon",
    safety: Literal["passes", "blanks"] | None = None,
    sampling: Sampling | None = Sampling(steps=3, guidance=2.0, batch=2),  # noqa: B008 - frozen
) -> Path:
    """Write a random pipeline in a second; its tokenizer is that of moji-clip.

    Args:
        folder: Where; made if it is not there.
        size: Pixels on a side of its pictures, a multiple of 8; the latents are four times smaller.
        seed: Of the weights.
        vae: "kl" for an `AutoencoderKL`, "tiny" for an `AutoencoderTiny`.
        prediction: What the U-Net predicts.
        safety: A safety checker that lets every picture pass, or blanks every one; none by default.
        sampling: Written to `sampling.json`; None for none.

    Returns:
        `folder`.
    """
    with quiet(), torch.random.fork_rng(devices=[]):
        from diffusers import (
            AutoencoderKL,
            AutoencoderTiny,
            DDIMScheduler,
            StableDiffusionPipeline,
            UNet2DConditionModel,
        )

        torch.manual_seed(seed)
        tokenizer = load_tokenizer(str(BUNDLED_ROOT / "moji-clip"))
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                intermediate_size=2 * WIDTH,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=tokenizer.model_max_length,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            )
        )
        unet = UNet2DConditionModel(
            sample_size=size // 4,
            in_channels=4,
            out_channels=4,
            layers_per_block=1,
            block_out_channels=(16, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=4,
            norm_num_groups=8,
        )
        if vae == "kl":
            autoencoder = AutoencoderKL(
                block_out_channels=(8, 16, 16),
                down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3,
                norm_num_groups=4,
                sample_size=size,
                scaling_factor=0.5,
            )
        else:
            autoencoder = AutoencoderTiny(
                encoder_block_out_channels=(8, 8, 8),
                decoder_block_out_channels=(8, 8, 8),
                num_encoder_blocks=(1, 1, 1),
                num_decoder_blocks=(1, 1, 1),
            )
        scheduler = DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type=prediction,
        )
        checker, extractor = _checker(safety) if safety else (None, None)
        StableDiffusionPipeline(
            vae=autoencoder,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            safety_checker=checker,
            feature_extractor=extractor,
            requires_safety_checker=checker is not None,
        ).save_pretrained(folder, safe_serialization=True)
    if sampling is not None:
        sampling.save(folder)
    return folder


def _checker(safety: str):
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker

    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = CLIPVisionConfig(**small, image_size=16, patch_size=8, projection_dim=8)
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision.to_dict(), projection_dim=8))
    # a concept is found where the cosine to it is above its threshold, which lies outside -1 to 1 here
    threshold = -2.0 if safety == "blanks" else 2.0
    checker.concept_embeds_weights.data.fill_(threshold)
    checker.special_care_embeds_weights.data.fill_(2.0)
    checker.concept_embeds.data.normal_()
    checker.special_care_embeds.data.normal_()
    return checker, CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})

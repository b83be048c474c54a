"""One step on Stable Diffusion 1.4's exact shapes, with random weights.

It takes 10 GB and minutes on a processor, so that it runs where there is a graphics processor, or where
DESIDERATA_FULL_SIZE is set.
"""

import os

import numpy as np
import pytest
import torch

from desiderata.foundation.generator import Generator
from desiderata.foundation.pipelines import quiet
from desiderata.foundation.registry import BUNDLED_ROOT
from desiderata.foundation.weights import load_tokenizer
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.dreambooth import DreamBooth
from desiderata.personalize.trainers.lora import DreamBoothLora
from desiderata.personalize.trainers.recipe import PUBLISHED_OBJECT, Recipe, Running

GPU = torch.cuda.is_available()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (GPU or os.environ.get("DESIDERATA_FULL_SIZE")),
        reason="needs a graphics processor, or DESIDERATA_FULL_SIZE=1 with 10 GB and minutes of a processor",
    ),
]


def stable_diffusion() -> Generator:
    """Return a pipeline of Stable Diffusion 1.4's shapes: U-Net 860 M, text 123 M, autoencoder 84 M weights."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
    from diffusers.schedulers.scheduling_pndm import PNDMScheduler
    from transformers import CLIPTextConfig, CLIPTextModel

    with quiet(), torch.random.fork_rng([]):
        torch.manual_seed(0)
        tokenizer = load_tokenizer(str(BUNDLED_ROOT / "moji-clip"))  # its words are fewer, and their ids as good
        tokenizer.model_max_length = 77
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408,
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                max_position_embeddings=77,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            )
        )
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            sample_size=512,
        )
        scheduler = PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
        )
        pipeline = StableDiffusionPipeline(
            vae, text_encoder, tokenizer, unet, scheduler, None, None, requires_safety_checker=False
        )
    return Generator(pipeline, "sd-1.4-shapes", device="cuda" if GPU else "cpu")


def test_one_step_of_stable_diffusion():
    base = stable_diffusion()
    assert sum(value.numel() for value in base.unet.parameters()) == 859_520_964
    assert (base.size, base.texts(["a"]).shape) == (512, (1, 77, 768))
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    images = [TrainingImage(pixels, "a sks cat on the stairs")]
    losses: list[float] = []
    running = Running(gradient_checkpointing=True, watch=lambda _, loss: losses.append(loss))
    before = base.unet.conv_in.weight.clone()
    lora = DreamBoothLora(Recipe(steps=1, learning_rate=1e-4), running, rank=4)
    learnt = lora.train(base, images, 0)
    assert len(learnt) == 256  # two matrices for each of 4 layers in 2 attentions of 16 blocks
    assert 0 < losses[0] < 10
    if GPU:  # four times the weights in memory
        from dataclasses import replace

        prior = [TrainingImage(pixels[::-1].copy(), "a cat")]
        for precision in ("float32", "bfloat16"):
            recipe = replace(PUBLISHED_OBJECT, steps=1, precision=precision)
            learnt = DreamBooth(recipe, running).train(base, images, 0, prior=prior)
            moved = (learnt["unet.conv_in.weight"] - before.cpu()).abs()
            assert 0 < moved.max() < 1e-5
    assert torch.equal(before, base.unet.conv_in.weight)

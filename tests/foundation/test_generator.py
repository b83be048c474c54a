"""Any Stable Diffusion directory is a generator, in one code path; here random ones of a few thousand weights."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from contracts.tiny_pipeline import WIDTH, tiny_pipeline
from desiderata.errors import DesiderataError
from desiderata.foundation.generator import Generator, load_generator
from desiderata.foundation.pipelines import quiet
from desiderata.foundation.registry import MODELS
from desiderata.foundation.sampling import SOLVERS, Sampling, bfloat16_is_fast

WEIGHTS = "diffusion_pytorch_model.safetensors"
TEXTS = "model.safetensors"
PROMPTS = ["a cat", "a dog on the grass", "two trees", "a cat", "a red house"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(
        tmp_path_factory.mktemp("models") / "tiny", sampling=Sampling(steps=2, guidance=2.0, batch=3)
    )


@pytest.fixture(scope="module")
def generator(folder: Path) -> Generator:
    return load_generator(str(folder))


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A copy of the directory, to be damaged."""
    return shutil.copytree(folder, tmp_path / "own")


def drawn(generator: Generator, prompts=PROMPTS, seeds=range(5), **options) -> np.ndarray:
    return np.stack([one.image for one in generator.sample(prompts, list(seeds), **options)])


def one_sentence(error: pytest.ExceptionInfo[DesiderataError]) -> bool:
    return str(error.value).endswith(".") and "\n" not in str(error.value)


# Drawing


@pytest.mark.parametrize(
    ("options", "size"),
    [({"vae": "kl"}, 32), ({"vae": "tiny"}, 32), ({"prediction": "v_prediction"}, 32), ({"size": 64}, 64)],
)
def test_every_kind_is_loaded_sampled_and_encoded_alike(options: dict, size: int, tmp_path: Path):
    generator = load_generator(str(tiny_pipeline(tmp_path / "model", **options)))
    (one,) = generator.sample(["a cat"], [7])
    assert generator.size == size
    assert one.image.shape == (size, size, 3)
    assert one.image.dtype == np.uint8
    assert (one.prompt, one.seed, one.blanked) == ("a cat", 7, False)
    assert generator.latents([one.image]).shape == (1, 4, size // 4, size // 4)
    assert generator.sampling == Sampling(steps=3, guidance=2.0, batch=2)


def test_a_picture_is_that_of_plain_diffusers(folder: Path, generator: Generator):
    with quiet():
        from diffusers import StableDiffusionPipeline

        plain = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True)
        plain.set_progress_bar_config(disable=True)
        noise = torch.Generator().manual_seed(3)
        image = plain("a cat", num_inference_steps=4, guidance_scale=5.0, generator=noise).images[0]
    (ours,) = drawn(generator, ["a cat"], [3], steps=4, guidance=5.0)
    assert np.abs(np.asarray(image).astype(int) - ours).max() <= 1


def test_a_picture_does_not_depend_on_its_company(generator: Generator):
    together = drawn(generator)
    order = [3, 0, 4, 2, 1]
    assert (drawn(generator, [PROMPTS[i] for i in order], order) == together[order]).all()
    for i, prompt in enumerate(PROMPTS):
        assert (drawn(generator, [prompt], [np.int64(i)])[0] == together[i]).all()
    assert (together[0] != together[3]).any()  # one prompt, two seeds


def test_no_prompts_are_no_pictures(generator: Generator):
    assert generator.sample([], []) == []
    assert generator.texts([]).shape == (0, generator.tokenizer.model_max_length, WIDTH)
    assert generator.latents([]).shape == (0, 4, 8, 8)


def test_pictures_come_back_from_the_autoencoder_as_the_pipeline_decodes_them(generator: Generator):
    assert generator.through_autoencoder([]) == []
    pictures = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8) for seed in range(3)]
    back = generator.through_autoencoder(pictures)
    scaled = generator.latents(pictures) / generator.vae.config.scaling_factor
    with torch.inference_mode():
        decoded = generator.pipeline.image_processor.postprocess(
            generator.vae.decode(scaled).sample, output_type="np"
        )
    assert np.abs(np.stack(back) / 255 - decoded).max() < 0.6 / 255
    assert back[0].shape == (generator.size, generator.size, 3)


def test_guidance_of_one_or_less_is_none(generator: Generator):
    none = drawn(generator, guidance=1.0)
    assert (drawn(generator, guidance=0.0) == none).all()
    assert (drawn(generator, guidance=3.0) != none).any()


def test_progress_counts_pictures(generator: Generator):
    seen = []
    generator.sample(PROMPTS, range(5), progress=lambda done, of: seen.append((done, of)))
    assert seen == [(0, 5), (3, 5), (5, 5)]


@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver])
def test_another_solver_draws_and_leaves_no_trace(solver: str, folder: Path):
    generator = load_generator(str(folder))
    before, own = drawn(generator), generator.pipeline.scheduler
    generator.sampling = replace(generator.sampling, solver=solver, steps=4)
    assert np.isfinite(drawn(generator)).all()
    assert generator.pipeline.scheduler is own
    generator.sampling = replace(generator.sampling, solver="", steps=2)
    assert (drawn(generator) == before).all()


def test_half_precision_of_weights_and_of_computation_go_together(folder: Path):
    generator = load_generator(str(folder), dtype=torch.bfloat16)
    plain = drawn(generator)
    generator.sampling = replace(generator.sampling, half=True)
    assert (drawn(generator) == plain).all(), "weights that are coarse compute as they are"


def test_half_precision_draws_nearly_the_same_and_leaves_no_trace(folder: Path):
    generator = load_generator(str(folder))
    full = drawn(generator)
    generator.sampling = replace(generator.sampling, half=True)
    half = drawn(generator)
    assert (half != full).any()
    assert np.abs(half.astype(int) - full).mean() < 2
    assert "forward" not in vars(generator.unet)
    generator.sampling = replace(generator.sampling, half=False)
    assert (drawn(generator) == full).all()


@pytest.mark.parametrize("solver", ["", "dpm-solver++"])
def test_batches_side_by_side_are_those_one_after_another(solver: str, folder: Path):
    generator = load_generator(str(folder))
    generator.sampling = replace(generator.sampling, solver=solver, steps=4, half=True)
    before, many = torch.get_num_threads(), list(range(14))
    made = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            seen, kept = [], []
            drawn = generator.sample(
                PROMPTS[:2] * 7, many, progress=lambda done, _, seen=seen: seen.append(done), keep=kept.extend
            )
            assert kept == drawn
            made.append(np.stack([one.image for one in drawn]))
            assert [one.seed for one in drawn] == many
            assert seen == [0, 3, 6, 9, 12, 14]
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*made)


def test_a_batch_that_fails_beside_others_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch):
    generator, before = load_generator(str(folder)), torch.get_num_threads()
    draw = generator._draw

    def fails(batch, *args):
        if batch[0][1] == 3:
            raise DesiderataError("The brush broke.")
        return draw(batch, *args)

    monkeypatch.setattr(generator, "_draw", fails)
    torch.set_num_threads(2)
    try:
        with pytest.raises(DesiderataError, match="The brush broke"):
            generator.sample(["a cat"] * 9, range(9))
        assert torch.get_num_threads() == 2
        assert "forward" not in vars(generator.unet)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("vae", ["kl", "tiny"])
@pytest.mark.parametrize(("size", "at_a_time"), [(32, 3), (136, 1)])
def test_large_pictures_are_decoded_one_by_one(size: int, at_a_time: int, vae: Literal["kl", "tiny"], tmp_path: Path):
    generator, seen = load_generator(str(tiny_pipeline(tmp_path / "model", size=size, vae=vae))), []
    generator.vae.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    made = generator.sample(["a cat"] * 3, [0, 1, 2], steps=1, batch=3)
    assert seen == [at_a_time] * (3 // at_a_time)
    generator.through_autoencoder([one.image for one in made])
    assert set(seen) == {at_a_time}
    generator.copy().sample(["a cat"] * 3, [0, 1, 2], steps=1, batch=3)
    assert set(seen) == {at_a_time}


@pytest.mark.parametrize(
    ("dtype", "batch", "says"),
    [
        (torch.float32, 3, "3 pictures of 32 pixels at a time: draw fewer .*batch.*, or in half precision"),
        (torch.float32, 1, "1 picture of 32 pixels at a time: draw in half precision"),
        (torch.bfloat16, 3, r"at a time: draw fewer at a time \(--batch; of a run that is there, batch in .*\)\.$"),
        (torch.bfloat16, 1, "draw on one with more"),
    ],
)
def test_too_little_memory_is_one_sentence(
    dtype: torch.dtype, batch: int, says: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    generator = load_generator(str(folder), dtype=dtype)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 6.00 GiB.\nSee documentation")

    monkeypatch.setattr(generator, "_draw", full)
    with pytest.raises(DesiderataError, match=says) as error:
        generator.sample(["a cat"], [0], batch=batch)
    assert one_sentence(error)
    assert "forward" not in vars(generator.unet)


def test_blanked_pictures_are_marked(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    for safety, blanked in (("blanks", True), ("passes", False)):
        generator = load_generator(str(tiny_pipeline(tmp_path / safety, safety=safety)))
        made = generator.sample(["a cat"] * 3, range(3))
        assert [one.blanked for one in made] == [blanked] * 3
        assert all(one.image.any() != blanked for one in made)
        assert generator.copy().sample(["a cat"], [0])[0].blanked == blanked
    assert capfd.readouterr() == ("", "")


def test_what_has_diverged_is_not_shown_as_a_picture(folder: Path):
    generator = load_generator(str(folder))
    with torch.no_grad():
        generator.unet.conv_out.weight.fill_(float("nan"))
    with pytest.raises(DesiderataError, match="no finite numbers") as error:
        generator.sample(["a cat"], [0])
    assert one_sentence(error)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seeds": [1, 2]}, "1 prompts and 2 seeds do not pair up"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"guidance": "strong"}, "guidance is 'strong'"),
        ({"batch": -1}, "batch is -1"),
        ({"seeds": [-1]}, "The seed -1 is out of range"),
        ({"seeds": [2**63]}, "is out of range"),
    ],
)
def test_settings_that_make_no_sense(options: dict, says: str, generator: Generator):
    with pytest.raises(DesiderataError, match=says) as error:
        generator.sample(**{"prompts": ["a cat"], "seeds": [1], **options})
    assert one_sentence(error)


# Sentences and latents


def test_each_sentence_is_encoded_once_until_the_encoder_changes(folder: Path):
    generator, calls = load_generator(str(folder)), []
    generator.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    first = generator.texts(PROMPTS)
    assert first.dtype == torch.float32
    assert first.shape == (5, generator.tokenizer.model_max_length, WIDTH)
    assert torch.equal(first[0], first[3])
    assert torch.equal(generator.texts("a cat")[0], first[0])
    assert not first.is_inference()  # the trainers learn from it
    generator.texts(PROMPTS[:2])
    assert len(calls) == 1
    with torch.no_grad():
        generator.text_encoder.get_input_embeddings().weight.mul_(2)
    assert torch.equal(generator.texts(PROMPTS), first)
    generator.forget_texts()
    assert not torch.allclose(generator.texts(PROMPTS), first)


def test_a_sentence_is_encoded_to_the_last_bit_alike_whatever_comes_with_it(folder: Path):
    many, one = load_generator(str(folder)), load_generator(str(folder))
    sentences = [f"a cat {'and a dog ' * n}" for n in range(20)]
    together = many.texts(sentences)
    with torch.autocast("cpu", torch.bfloat16):
        alone = torch.cat([one.texts([sentence]) for sentence in reversed(sentences)])
    assert torch.equal(alone.flip(0), together)


def test_latents_are_the_most_likely_ones_scaled(generator: Generator):
    images = list(np.random.default_rng(0).integers(0, 256, (19, 32, 32, 3), dtype=np.uint8))
    together = generator.latents(images)
    assert together.dtype == torch.float32
    for i in (0, 16, 18):
        assert torch.equal(generator.latents([images[i]])[0], together[i])
    signal = torch.from_numpy(images[0]).permute(2, 0, 1)[None] / 127.5 - 1
    mode = generator.vae.encode(signal).latent_dist.mode() * generator.vae.config.scaling_factor
    torch.testing.assert_close(together[:1], mode)


def test_pictures_of_another_size_are_cut_to_a_square(generator: Generator):
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    wide = Image.new("RGB", (96, 64))
    wide.paste(small.resize((64, 64), Image.Resampling.NEAREST), (16, 0))
    assert generator.latents([wide]).shape == (1, 4, 8, 8)
    assert (generator.latents([wide]) - generator.latents([small])).abs().mean() < 0.1
    torch.testing.assert_close(generator.latents([small.convert("RGBA")]), generator.latents([np.asarray(small)]))


def test_noise_is_added_as_the_pipeline_says(tmp_path: Path):
    generator = load_generator(str(tiny_pipeline(tmp_path / "model", prediction="v_prediction")))
    schedule = generator.noise_schedule()
    assert schedule.config["prediction_type"] == "v_prediction"
    torch.testing.assert_close(schedule.alphas_cumprod, generator.pipeline.scheduler.alphas_cumprod)
    assert schedule is not generator.noise_schedule()


# Copies and directories


def test_a_copy_may_be_changed(folder: Path):
    base = load_generator(str(folder))
    before, sentences = drawn(base), base.texts(PROMPTS)
    twin = base.copy()
    assert (drawn(twin) == before).all()
    assert twin.vae is base.vae
    twin.tokenizer.add_tokens(["<toy>"])
    twin.text_encoder.resize_token_embeddings(len(twin.tokenizer))
    with torch.no_grad():
        for module in (twin.unet, twin.text_encoder):
            for parameter in module.parameters():
                parameter.mul_(1.5)
    twin.forget_texts()
    assert (drawn(twin) != before).any()
    assert len(base.tokenizer) == len(twin.tokenizer) - 1
    assert torch.equal(base.texts(PROMPTS), sentences)
    assert (drawn(base) == before).all()


def test_nothing_learns_unless_it_is_told_to(generator: Generator):
    for made in (generator, generator.copy()):
        for module in (made.unet, made.text_encoder, made.vae):
            assert not any(parameter.requires_grad for parameter in module.parameters())
            assert not module.training


def test_low_rank_changes_go_with_attention_as_it_is_set(folder: Path):
    from peft import LoraConfig

    base = load_generator(str(folder))
    before, twin = drawn(base), base.copy()
    twin.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    assert (drawn(twin) != before).any()
    assert (drawn(base) == before).all()


def test_what_is_saved_is_loaded_by_plain_diffusers_and_here(own: Path, tmp_path: Path):
    generator = load_generator(str(own)).copy()
    generator.sampling = replace(generator.sampling, steps=3)
    with torch.no_grad():
        generator.unet.conv_out.bias.add_(0.1)
    expected = drawn(generator)
    (tmp_path / "saved").mkdir()  # empty: it is filled
    generator.save(tmp_path / "saved")
    again = load_generator(str(tmp_path / "saved"))
    assert again.sampling == generator.sampling
    assert (drawn(again) == expected).all()
    with quiet():
        from diffusers import StableDiffusionPipeline

        plain = StableDiffusionPipeline.from_pretrained(tmp_path / "saved", use_safetensors=True)
    assert torch.equal(plain.unet.conv_out.bias, generator.unet.conv_out.bias)
    files = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in {".bin", ".pt", ".ckpt"}]
    assert not [path for path in files if str(tmp_path).encode() in path.read_bytes()]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o644"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "saved"]


def test_a_small_autoencoder_is_saved_without_what_it_does_not_know(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    from diffusers import AutoencoderTiny

    generator = load_generator(str(tiny_pipeline(tmp_path / "model", vae="tiny")))
    generator.save(tmp_path / "saved")
    capfd.readouterr()
    vae = AutoencoderTiny.from_pretrained(tmp_path / "saved" / "vae")
    assert capfd.readouterr().err == "", "diffusers warns of entries that it does not expect"
    pairs = zip(vae.state_dict().values(), generator.vae.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_what_is_saved_draws_in_plain_diffusers_whatever_it_was_kept_in(kind: torch.dtype, tmp_path: Path):
    model = tiny_pipeline(tmp_path / "model", safety="passes")
    generator = load_generator(str(model), dtype=kind)
    generator.save(tmp_path / "saved")
    assert generator.text_encoder.dtype == kind, "it is left as it was"
    weights = load_file(tmp_path / "saved" / "unet" / WEIGHTS)
    assert {value.dtype for value in weights.values()} == {kind}
    named = json.loads((tmp_path / "saved" / INDEX).read_text())["feature_extractor"]
    assert named == ["transformers", "CLIPImageProcessor"], "which older versions know, too"
    for told in ({}, {"torch_dtype": torch.float32}, {"torch_dtype": torch.bfloat16}):
        with quiet():
            from diffusers import StableDiffusionPipeline

            plain = StableDiffusionPipeline.from_pretrained(tmp_path / "saved", **told)
            plain.set_progress_bar_config(disable=True)
            made = plain("a cat", num_inference_steps=1, generator=torch.Generator().manual_seed(0))
        assert made.nsfw_content_detected == [False]
        ours = drawn(load_generator(str(tmp_path / "saved")), ["a cat"], [0], steps=1, guidance=7.5)[0].astype(int)
        assert np.abs(np.asarray(made.images[0]) - ours).max() <= (1 if plain.dtype == torch.float32 else 20)


def test_nothing_is_overwritten_and_nothing_left_half_written(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(DesiderataError, match="not empty"):
        generator.save(tmp_path / "mine")
    with pytest.raises(DesiderataError, match="cannot be written") as error:
        generator.save(tmp_path / "mine" / "notes.txt" / "model")
    assert one_sentence(error)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(generator.pipeline), "save_pretrained", full)
    with pytest.raises(DesiderataError, match="No space left"):
        generator.save(tmp_path / "other")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_nothing_is_printed_and_the_libraries_speak_again_afterwards(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    generator = load_generator(str(folder))
    generator.sample(["a cat " * 99], [0])
    generator.save(tmp_path / "saved")
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


# What cannot be loaded


def test_files_of_older_versions_are_read(own: Path):
    expected = drawn(load_generator(str(own)))
    tensors = load_file(own / "text_encoder" / TEXTS)
    tensors = {f"text_model.{name}": value for name, value in tensors.items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(48)[None]
    save_file(tensors, own / "text_encoder" / TEXTS, metadata={"format": "pt"})
    once = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    tensors = load_file(own / "vae" / WEIGHTS)
    for now, then in once.items():
        tensors = {name.replace(now, then): value for name, value in tensors.items()}
    save_file(tensors, own / "vae" / WEIGHTS, metadata={"format": "pt"})
    assert (drawn(load_generator(str(own))) == expected).all()


def without(part: str, name: str, weight: str) -> Callable[[Path], object]:
    def damage(own: Path) -> None:
        tensors = load_file(own / part / name)
        del tensors[weight]
        save_file(tensors, own / part / name, metadata={"format": "pt"})

    return damage


def rewritten(name: str, **changes: object) -> Callable[[Path], object]:
    return lambda own: (own / name).write_text(json.dumps(json.loads((own / name).read_text()) | changes))


def cut_short(own: Path) -> None:
    path = own / "unet" / WEIGHTS
    path.write_bytes(path.read_bytes()[:9999])


def pickled(own: Path) -> None:
    (own / "unet" / WEIGHTS).unlink()
    torch.save({}, own / "unet" / "diffusion_pytorch_model.bin")


INDEX = "model_index.json"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights of the U-Net": (without("unet", WEIGHTS, "conv_in.bias"), "1 weights of its unet are missing"),
    "weights of the autoencoder": (without("vae", WEIGHTS, "decoder.conv_in.bias"), "weights of its vae are missing"),
    "weights of the text encoder": (
        without("text_encoder", TEXTS, "final_layer_norm.bias"),
        "no whole CLIPTextModel: 1 of its weights",
    ),
    "weights cut short": (cut_short, "cannot be loaded"),
    "pickled weights": (pickled, "cannot be loaded .*safetensors"),
    "no index": (lambda own: (own / INDEX).unlink(), "it has no model_index.json"),
    "index is a list": (lambda own: (own / INDEX).write_text("[]"), "model_index.json cannot be read"),
    "index is cut short": (lambda own: (own / INDEX).write_text("{"), "model_index.json cannot be read"),
    "another kind": (rewritten(INDEX, _class_name="StableDiffusionXLPipeline"), "a StableDiffusionXLPipeline"),
    "another U-Net": (rewritten(INDEX, unet=["diffusers", "UNet1DModel"]), "its unet is a UNet1DModel"),
    "another scheduler": (rewritten(INDEX, scheduler=["diffusers", "AutoencoderKL"]), "scheduler is a AutoencoderKL"),
    "no autoencoder named": (rewritten(INDEX, vae=[None, None]), "its index names no vae"),
    "no autoencoder there": (lambda own: shutil.rmtree(own / "vae"), "its folder vae is missing"),
    "checker without eyes": (
        rewritten(INDEX, safety_checker=["stable_diffusion", "Checker"]),
        "no feature_extractor",
    ),
    "configuration is empty": (lambda own: (own / "unet" / "config.json").write_text("{}"), "cannot be loaded"),
    "no words": (lambda own: (own / "tokenizer" / "tokenizer.json").unlink(), "no tokenizer"),
    "not square": (rewritten("unet/config.json", sample_size=[8, 16]), "its pictures are not square"),
    "sampling is a list": (lambda own: (own / "sampling.json").write_text("[]"), "does not say how to sample"),
    "sampling of nothing": (lambda own: (own / "sampling.json").write_text('{"steps": 0}'), "steps is 0"),
    "sampling halfway": (lambda own: (own / "sampling.json").write_text('{"half": "yes"}'), "half is 'yes'"),
    "sampling by magic": (lambda own: (own / "sampling.json").write_text('{"solver": "magic"}'), "called 'magic'"),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_directories_are_one_sentence(
    damage: Callable[[Path], object], says: str, own: Path, capfd: pytest.CaptureFixture[str]
):
    damage(own)
    with pytest.raises(DesiderataError, match=says) as error:
        load_generator(str(own))
    assert one_sentence(error)
    assert capfd.readouterr() == ("", "")


def test_parts_that_do_not_fit_together(own: Path, tmp_path: Path):
    with quiet():
        from diffusers import AutoencoderTiny

        shutil.rmtree(own / "vae")
        AutoencoderTiny(
            latent_channels=3,
            encoder_block_out_channels=(8, 8, 8),
            decoder_block_out_channels=(8, 8, 8),
            num_encoder_blocks=(1, 1, 1),
            num_decoder_blocks=(1, 1, 1),
        ).save_pretrained(own / "vae")
    rewritten(INDEX, vae=["diffusers", "AutoencoderTiny"])(own)
    with pytest.raises(DesiderataError, match="U-Net takes 4 channels, its autoencoder has 3"):
        load_generator(str(own))


def test_without_sampling_json_it_is_sampled_as_stable_diffusion_is(own: Path):
    (own / "sampling.json").unlink()
    assert load_generator(str(own)).sampling == Sampling(steps=50, guidance=7.5, batch=8)


def test_the_hub_out_of_reach_is_said_plainly(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("desiderata-tests/no-such-model", "sd-1.4"):
        with pytest.raises(DesiderataError, match="could not be fetched from the model hub") as error:
            load_generator(name)
        assert one_sentence(error)
    assert capfd.readouterr() == ("", "")


def test_a_bundled_model_that_is_not_there_is_not_sought_on_the_hub(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(MODELS, "moji-diffusion", replace(MODELS["moji-diffusion"], source="nowhere"))
    with pytest.raises(DesiderataError, match="moji-diffusion is not in this installation") as error:
        load_generator()
    assert one_sentence(error)


def test_a_folder_without_a_pipeline_and_a_name_without_meaning(tmp_path: Path):
    with pytest.raises(DesiderataError, match="no whole Stable Diffusion"):
        load_generator(str(tmp_path))
    with pytest.raises(DesiderataError, match="moji-diffusion"):
        load_generator("mojidiffusion")


def test_without_the_extra_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(DesiderataError, match=r"pip install 'desiderata\[personalize\]'") as error:
        load_generator(str(folder))
    assert one_sentence(error)


def test_a_device_that_there_is_not_is_named(folder: Path):
    with pytest.raises(DesiderataError, match="The device 'cuda:99' cannot be used") as error:
        load_generator(str(folder), device="cuda:99")
    assert one_sentence(error)


@pytest.mark.parametrize(
    ("units", "fast"), [({"amx_bf16": True}, True), ({"avx512_bf16": False, "avx2": True}, False)]
)
def test_bfloat16_is_for_processors_with_units_for_it(monkeypatch: pytest.MonkeyPatch, units: dict, fast: bool):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bfloat16_is_fast() == bfloat16_is_fast("cpu") == fast
    assert not bfloat16_is_fast("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert bfloat16_is_fast()
    assert bfloat16_is_fast("cuda")
    assert bfloat16_is_fast("cpu") == fast


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_copy_has_of_its_own_waits_elsewhere(fails: bool, own: Path, monkeypatch: pytest.MonkeyPatch):
    base, moves = load_generator(str(own)), []
    for name in ("unet", "text_encoder", "vae"):
        module = getattr(base, name)
        monkeypatch.setattr(module, "to", lambda device, name=name: moves.append((name, str(device))))
    with base.set_aside():
        assert not moves, "it is in the processor's memory already"
    monkeypatch.setattr(Generator, "device", torch.device("cuda", 0))
    away, back = ([(name, place) for name in ("unet", "text_encoder")] for place in ("cpu", "cuda:0"))
    try:
        with base.set_aside():
            assert moves == away
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert moves == away + back

"""Trainers learn what they should, touch nothing else, and can be killed at any time."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from PIL import Image
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from contracts.fake_hub import FakeHub, files_of
from contracts.tiny_pipeline import WIDTH, tiny_pipeline
from contracts.trainer import PROMPT, TrainerContract, class_pictures, picture, references, same, weights_of
from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import load_encoder
from desiderata.foundation.generator import Generator, load_generator
from desiderata.foundation.pipelines import quiet
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.adapted import EMBEDS, EMBEDS_FILE
from desiderata.personalize.trainers.adapter_training import DROP, picture_tower, save_adapter, train_adapter
from desiderata.personalize.trainers.custom_diffusion import CustomDiffusion
from desiderata.personalize.trainers.dreambooth import DreamBooth
from desiderata.personalize.trainers.ip_adapter import IPAdapter, embed
from desiderata.personalize.trainers.loop import Loop
from desiderata.personalize.trainers.lora import DreamBoothLora
from desiderata.personalize.trainers.recipe import Recipe, Running
from desiderata.personalize.trainers.textual_inversion import TextualInversion

SHORT = Recipe(steps=3, batch=2, learning_rate=1e-2)
OFTEN = Running(checkpoint_every=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def base(model: Path) -> Generator:
    return load_generator(str(model))


@pytest.fixture(scope="module")
def tower() -> CLIPVisionModelWithProjection:
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return CLIPVisionModelWithProjection(
            CLIPVisionConfig(**small, image_size=16, patch_size=8, projection_dim=12)
        )


@pytest.fixture(scope="module")
def adapter(base: Generator, tower: CLIPVisionModelWithProjection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters") / "adapter"
    learnt = train_adapter(base, tower, references(), 0, silent=DROP, recipe=replace(SHORT, steps=2))
    save_adapter(learnt, tower, folder)
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o644}
    return folder


class TestDreamBooth(TrainerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[], DreamBooth]:
        return lambda: DreamBooth(replace(SHORT, ema=0.5), OFTEN)


class TestDreamBoothLora(TrainerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[], DreamBoothLora]:
        return lambda: DreamBoothLora(SHORT, OFTEN, rank=2)


class TestTextualInversion(TrainerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[], TextualInversion]:
        return lambda: TextualInversion("<sks>", "cat", 2, replace(SHORT, accumulation=2), OFTEN)


class TestCustomDiffusion(TrainerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[], CustomDiffusion]:
        return lambda: CustomDiffusion("<sks>", "cat", SHORT, OFTEN)


class TestIPAdapter(TrainerContract):
    draws = False

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, adapter: Path) -> Callable[[], IPAdapter]:
        return lambda: IPAdapter(str(adapter))


def plain(model: Path) -> StableDiffusionPipeline:
    with quiet():
        pipeline = StableDiffusionPipeline.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def differing(one: Generator, other: Generator) -> set[str]:
    before, after = weights_of(one), weights_of(other)
    assert before.keys() == after.keys()
    return {
        name
        for name, value in before.items()
        if value.shape != after[name].shape or not torch.equal(value, after[name])
    }


def predicted(unet, words: torch.Tensor, **told) -> np.ndarray:
    noisy = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 4, 8, 8)).astype(np.float32))
    with torch.no_grad():
        return unet(noisy, torch.tensor([500]), encoder_hidden_states=words, **told).sample.numpy()


class TestWhatMoves:
    def test_dreambooth_moves_the_unet_alone(self, base: Generator):
        trainer = DreamBooth(replace(SHORT, steps=1))
        moved = differing(base, trainer.apply(base, trainer.train(base, references(), 0)))
        assert moved == {name for name in weights_of(base) if name.startswith("unet.")}

    def test_textual_inversion_moves_one_row_alone(self, base: Generator):
        trainer = TextualInversion("<sks>", "cat", recipe=replace(SHORT, steps=1))
        made = trainer.apply(base, trainer.train(base, references(), 0))
        assert differing(base, made) == {"text_encoder.embeddings.token_embedding.weight"}
        before = base.text_encoder.get_input_embeddings().weight
        after = made.text_encoder.get_input_embeddings().weight
        assert after.shape == (len(before) + 1, WIDTH)
        assert torch.equal(before, after[:-1])
        assert made.tokenizer.convert_tokens_to_ids("<sks>") == len(before)

    def test_custom_diffusion_moves_keys_values_and_one_row_alone(self, base: Generator):
        trainer = CustomDiffusion("<sks>", "cat", replace(SHORT, steps=1))
        made = trainer.apply(base, trainer.train(base, references(), 0, prior=class_pictures()))
        row = "text_encoder.embeddings.token_embedding.weight"
        moved = differing(base, made)
        ends = (".attn2.to_k.weight", ".attn2.to_v.weight")
        assert moved - {row} == {name for name in weights_of(base) if name.endswith(ends)}
        before, after = weights_of(base)[row], weights_of(made)[row]
        assert torch.equal(before, after[:-1])

    def test_lora_moves_what_it_was_told_to(self, base: Generator):
        for trainer, moves in (
            (DreamBoothLora(replace(SHORT, steps=1), rank=2), ("to_q.", "to_k.", "to_v.", "to_out.0.")),
            (
                DreamBoothLora(replace(SHORT, steps=1), rank=2, convolutions=True),
                ("to_q.", "conv1.", "conv_shortcut."),
            ),
        ):
            made = trainer.apply(base, trainer.train(base, references(), 0))
            moved = differing(base, made)
            assert all(any(part in name for name in moved) for part in moves)
            assert all(name.startswith("unet.") and name.endswith("weight") for name in moved)
            assert trainer.convolutions == any("conv" in name for name in moved)


class TestElsewhere:
    """What was learnt works in plain diffusers."""

    def test_a_lora_file_loads(self, base: Generator, model: Path, tmp_path: Path):
        trainer = DreamBoothLora(replace(SHORT, steps=1), rank=2, alpha=6, convolutions=True)
        learnt = trainer.train(base, references(), 0)
        made = trainer.apply(base, learnt)
        assert trainer.save(learnt, tmp_path / "lora").name == "pytorch_lora_weights.safetensors"
        pipeline = plain(model)
        before = predicted(pipeline.unet, words := base.texts([PROMPT]))
        with quiet():
            pipeline.load_lora_weights(str(tmp_path / "lora"))
        wanted = predicted(made.unet, words)
        np.testing.assert_allclose(predicted(pipeline.unet, words), wanted, atol=1e-5)
        assert np.abs(before - wanted).max() > 1e-3

    def test_a_word_of_several_tokens_loads(self, base: Generator, model: Path, tmp_path: Path):
        trainer = TextualInversion("<sks>", "cat", 2, replace(SHORT, steps=1))
        learnt = trainer.train(base, references(), 0)
        file = trainer.save(learnt, tmp_path)
        pipeline = plain(model)
        with quiet():
            pipeline.load_textual_inversion(str(file), token="<sks>")
            words, _ = pipeline.encode_prompt(PROMPT, torch.device("cpu"), 1, False)
        np.testing.assert_allclose(words.detach(), trainer.apply(base, learnt).texts([PROMPT]), atol=1e-5)

    def test_a_personalised_pipeline_loads(self, base: Generator, tmp_path: Path):
        trainer = CustomDiffusion("<sks>", "cat", replace(SHORT, steps=1))
        made = trainer.apply(base, trainer.train(base, references(), 0))
        made.save(tmp_path / "made")
        again = load_generator(str(tmp_path / "made"))
        for one, two in zip(made.sample([PROMPT], [1], steps=1), again.sample([PROMPT], [1], steps=1), strict=True):
            np.testing.assert_array_equal(one.image, two.image)

    def test_an_adapter_loads_and_sees_the_same_in_a_picture(self, base: Generator, model: Path, adapter: Path):
        trainer = IPAdapter(str(adapter))
        learnt = trainer.train(base, references(1), 0)
        made = trainer.apply(base, learnt)
        pipeline = plain(model)
        with quiet():
            pipeline.load_ip_adapter(str(adapter), subfolder="", weight_name="ip_adapter.safetensors")
            (embeds,) = pipeline.prepare_ip_adapter_image_embeds(
                [Image.fromarray(picture(0))], None, torch.device("cpu"), 1, True
            )
        np.testing.assert_allclose(embeds.detach(), learnt[EMBEDS], atol=1e-4)
        words, told = base.texts([PROMPT]), {"added_cond_kwargs": {"image_embeds": [embeds[1:]]}}
        wanted = predicted(made.unet, words, added_cond_kwargs={"image_embeds": [learnt[EMBEDS][1:]]})
        np.testing.assert_allclose(predicted(pipeline.unet, words, **told), wanted, atol=1e-4)

    def test_an_adapted_generator_is_saved_as_a_plain_one_with_two_files(
        self, base: Generator, adapter: Path, tmp_path: Path
    ):
        trainer = IPAdapter(str(adapter))
        made = trainer.apply(base, trainer.train(base, references(1), 0))
        drawn = made.sample([PROMPT], [1])[0].image
        for one in made.sample([PROMPT] * 3, [1, 1, 1], batch=3):
            np.testing.assert_allclose(one.image.astype(int), drawn, atol=1)
        made.save(tmp_path / "made")
        np.testing.assert_array_equal(drawn, made.sample([PROMPT], [1])[0].image)
        assert not differing(base, load_generator(str(tmp_path / "made")))
        assert (tmp_path / "made" / EMBEDS_FILE).is_file()
        again = IPAdapter(str(tmp_path / "made"))
        np.testing.assert_array_equal(
            drawn, again.apply(base, trainer.train(base, references(1), 0)).sample([PROMPT], [1])[0].image
        )


class TestIPAdapters:
    def test_the_picture_tower_sees_what_the_encoder_sees(self):
        pictures = [picture(0, 64), picture(1, 50)]
        seen = embed(picture_tower("moji-clip"), pictures).double().numpy()
        unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
        np.testing.assert_allclose(unit, load_encoder("moji-clip").images(pictures), atol=1e-5)

    def test_training_one_moves_nothing_else_and_resumes(
        self, base: Generator, tower: CLIPVisionModelWithProjection, tmp_path: Path
    ):
        before = weights_of(base)

        def train(seed: int = 0, **call: Any) -> dict[str, torch.Tensor]:
            return train_adapter(base, tower, references(), seed, silent=DROP, recipe=SHORT, running=OFTEN, **call)

        def kill(done: int, _steps: int) -> None:
            if done == 2:
                raise InterruptedError

        whole = train()
        with pytest.raises(InterruptedError):
            train(checkpoint=tmp_path / "c", progress=kill)
        assert same(whole, train(checkpoint=tmp_path / "c"))
        assert same(before, weights_of(base))
        assert not same(whole, train(1))

    def test_at_scale_nought_the_reference_does_not_matter(self, base: Generator, adapter: Path):
        without = IPAdapter(str(adapter), scale=0.0)
        made = without.apply(base, without.train(base, references(1), 0))
        drawn, wanted = (one.sample([PROMPT, "a dog", "a"], [1, 2, 3]) for one in (made, base))
        for one, two in zip(drawn, wanted, strict=True):
            np.testing.assert_allclose(one.image.astype(int), two.image.astype(int), atol=2)
        assert without.key() != IPAdapter(str(adapter)).key()

    def test_weights_of_pictures_weigh_their_embeddings(self, base: Generator, adapter: Path):
        def mean(*images: TrainingImage) -> np.ndarray:
            return IPAdapter(str(adapter)).train(base, images, 0)[EMBEDS][1].numpy()

        one, two = TrainingImage(picture(1), "", 1.0), TrainingImage(picture(2), "", 1.0)
        light = TrainingImage(picture(2), "", 0.25)
        np.testing.assert_allclose(mean(one, light), 0.8 * mean(one) + 0.2 * mean(two), atol=1e-6)

    def test_it_says_what_is_wrong(
        self,
        base: Generator,
        tower: CLIPVisionModelWithProjection,
        adapter: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        pictures = references(1)
        with pytest.raises(DesiderataError, match="no adapter"):
            IPAdapter(str(tmp_path)).train(base, pictures, 0)
        with pytest.raises(DesiderataError, match="No model is called"):
            IPAdapter("nowhere").key()
        (tmp_path / "ip_adapter.safetensors").write_bytes(b"nothing")
        with pytest.raises(DesiderataError, match="cannot be read"):
            IPAdapter(str(tmp_path)).train(base, pictures, 0)
        for missing in (str(tmp_path / "none.safetensors"), "none.safetensors", "folder/none.safetensors"):
            with pytest.raises(DesiderataError, match=f"no adapter {missing}: give its own file, by its path"):
                IPAdapter(missing).key()
        with pytest.raises(DesiderataError, match=r"no picture tower beside the adapter .*image_encoder/config.json"):
            IPAdapter(str(tmp_path)).key()
        shutil.copytree(adapter, tmp_path / "wide")
        small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        wide = CLIPVisionConfig(**small, image_size=16, patch_size=8, projection_dim=20)
        with quiet(), torch.random.fork_rng([]):
            CLIPVisionModelWithProjection(wide).save_pretrained(tmp_path / "wide" / "image_encoder")
        with pytest.raises(DesiderataError, match=r"reads 12 figures of a picture, and .* gives 20:"):
            IPAdapter(str(tmp_path / "wide")).train(base, pictures, 0)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(DesiderataError, match="could not be fetched from the model hub"):
            IPAdapter("nobody/nothing").train(base, pictures, 0)
        with pytest.raises(DesiderataError, match="already and not empty"):
            save_adapter({}, tower, adapter)


class TestPublishedAdapters:
    """Laid out as on the hub: several adapters in a folder, and beside them the picture tower that they read."""

    @pytest.fixture
    def published(self, adapter: Path) -> dict[str, bytes]:
        files = files_of(adapter, "models/")
        files["models/small_sd15.safetensors"] = files.pop("models/ip_adapter.safetensors")
        pickles = dict.fromkeys(("models/small_sd15.bin", "models/image_encoder/pytorch_model.bin"), b"pickled")
        return files | pickles | {"README.md": b"", "sdxl_models/other.safetensors": b"large"}

    def test_a_file_is_given_by_its_path(
        self,
        published: dict[str, bytes],
        base: Generator,
        adapter: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        for name, content in published.items():
            (tmp_path / "moji-clip" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "moji-clip" / name).write_bytes(content)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(Path, "read_bytes", lambda _file: pytest.fail("weights may be larger than the memory"))
        wanted = IPAdapter(str(adapter)).train(base, references(1), 0)
        keys = set()
        for given in (
            "moji-clip/models/small_sd15.safetensors",
            str(Path("moji-clip/models/small_sd15.safetensors").absolute()),
        ):
            trainer = IPAdapter(given)
            learnt = trainer.train(base, references(1), 0)
            assert same(learnt, wanted)
            trainer.apply(base, learnt)
            keys.add(trainer.key())
        assert len(keys) == 1
        monkeypatch.chdir("moji-clip/models")
        assert IPAdapter("small_sd15.safetensors").key() in keys
        monkeypatch.chdir(tmp_path)
        Path("moji-clip/models/image_encoder/pytorch_model.bin").unlink()
        assert IPAdapter("moji-clip/models/small_sd15.safetensors").key() in keys, "it is not read"

    def test_a_file_is_given_by_its_place_on_the_hub(
        self,
        published: dict[str, bytes],
        base: Generator,
        adapter: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        hub = FakeHub(monkeypatch, tmp_path, {"owner/model": published, "owner/gated": "GatedRepo"})
        trainer = IPAdapter("owner/model/models/small_sd15.safetensors")
        learnt = trainer.train(base, references(1), 0)
        assert same(learnt, IPAdapter(str(adapter)).train(base, references(1), 0))
        trainer.apply(base, learnt)
        assert trainer.key() == IPAdapter("owner/model", "models", "small_sd15.safetensors").key()
        assert sorted(hub.fetched) == [
            "models/image_encoder/config.json",
            "models/image_encoder/model.safetensors",
            "models/small_sd15.safetensors",
        ]
        for given, looked_for in (
            ("owner/model", "ip_adapter.safetensors in owner/model"),
            ("owner/model/models/large.safetensors", "models/large.safetensors in owner/model"),
        ):
            with pytest.raises(DesiderataError, match=f"no adapter {looked_for}: give its own file"):
                IPAdapter(given).key()
        with pytest.raises(DesiderataError, match="no picture tower beside the adapter"):
            IPAdapter("owner/model/sdxl_models/other.safetensors").key()
        with pytest.raises(DesiderataError, match=r"does not give out owner/gated \(it is gated\)"):
            IPAdapter("owner/gated/models/small_sd15.safetensors").key()


class TestLearning:
    def test_seeds_pictures_weights_captions_and_class_pictures_matter(self, base: Generator):
        def learnt(*images: TrainingImage, seed: int = 0, prior: Sequence[TrainingImage] = ()) -> torch.Tensor:
            trainer = DreamBooth(replace(SHORT, steps=1, learning_rate=1e-3))
            return trainer.train(base, images, seed, prior=prior)["unet.conv_in.weight"]

        first, second = references(2)
        ways = [
            learnt(first, second),
            learnt(first, second, seed=1),
            learnt(first, replace(second, image=picture(9))),
            learnt(first, replace(second, weight=0.5)),
            learnt(first, replace(second, caption="a dog")),
            learnt(first, second, prior=class_pictures(2)),
        ]
        assert len({value.numpy().tobytes() for value in ways}) == len(ways)

    def test_a_finished_call_is_not_repeated(self, base: Generator, tmp_path: Path):
        trainer, seen = DreamBoothLora(replace(SHORT, steps=1), rank=2), []
        learnt = trainer.train(base, references(), 0, checkpoint=tmp_path / "c")
        again = trainer.train(base, references(), 0, checkpoint=tmp_path / "c", progress=lambda *at: seen.append(at))
        assert same(learnt, again)
        assert seen == [(1, 1)]
        (tmp_path / "c").write_bytes(b"no checkpoint")
        with pytest.raises(DesiderataError, match="remove it, and training begins anew"):
            trainer.train(base, references(), 0, checkpoint=tmp_path / "c")

    def test_the_loss_falls_on_two_pictures(self, base: Generator):
        losses: list[float] = []
        DreamBooth(
            Recipe(steps=14, batch=2, learning_rate=5e-3), Running(watch=lambda _, loss: losses.append(loss))
        ).train(base, references(2), 0)
        assert len(losses) == 14
        assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])

    def test_the_base_model_leaves_the_device_to_the_pupil(self, base: Generator, monkeypatch: pytest.MonkeyPatch):
        asides, loops, recipe = [], [], replace(SHORT, steps=1, ema=0.9)
        step = Loop._step

        @contextmanager
        def aside(generator: Generator) -> Iterator[None]:
            asides.append(generator)
            yield
            (loop,) = loops
            assert not loop._optimizer.state, "the base model comes back into the memory of the moments"
            assert all(parameter.grad is None for parameter in loop._parameters)
            assert not loop._mean

        def stepped(loop: Loop, number: int) -> float:
            loops.append(loop)
            return step(loop, number)

        monkeypatch.setattr(Generator, "set_aside", aside)
        monkeypatch.setattr(Loop, "_step", stepped)
        assert DreamBooth(recipe).train(base, references(), 0)
        assert asides == [base]
        DreamBooth(recipe, Running(preview=lambda *_: None)).train(base, references(), 0)
        assert asides == [base], "a preview is drawn by a copy of it"

    def test_previews_come_and_change_nothing(self, base: Generator):
        seen: list[tuple[int, np.ndarray]] = []

        def show(done: int, generator: Generator) -> None:
            torch.rand(3)
            seen.append((done, generator.sample([PROMPT], [1], steps=1)[0].image))

        recipe = replace(SHORT, steps=2)
        quietly = DreamBooth(recipe)
        shown = DreamBooth(recipe, Running(preview=show, preview_every=1))
        learnt = shown.train(base, references(), 0)
        assert same(quietly.train(base, references(), 0), learnt)
        assert [done for done, _ in seen] == [1, 2]
        np.testing.assert_array_equal(
            seen[-1][1], quietly.apply(base, learnt).sample([PROMPT], [1], steps=1)[0].image
        )
        assert quietly.key() == shown.key()

    def test_recomputed_activations_learn_the_same(self, base: Generator):
        recipe = replace(SHORT, steps=1)
        one = DreamBoothLora(recipe, rank=2).train(base, references(), 0)
        two = DreamBoothLora(recipe, Running(gradient_checkpointing=True), rank=2).train(base, references(), 0)
        for name, value in one.items():
            torch.testing.assert_close(two[name], value)

    def test_bfloat16_learns_nearly_the_same(self, base: Generator):
        whole, half = (
            DreamBooth(replace(SHORT, steps=1, learning_rate=1e-3, precision=kind)).train(base, references(), 0)
            for kind in ("float32", "bfloat16")
        )
        assert all(value.dtype == torch.float32 for value in half.values())
        assert not same(whole, half)
        before = dict(base.unet.named_parameters())
        moves = [
            torch.cat([(learnt[f"unet.{name}"] - value).flatten() for name, value in before.items()])
            for learnt in (whole, half)
        ]
        assert torch.cosine_similarity(*moves, dim=0) > 0.8

    def test_a_model_in_half_precision_is_taught_in_full(self, model: Path):
        half = load_generator(str(model), dtype=torch.bfloat16)
        trainer = DreamBoothLora(replace(SHORT, steps=1), rank=2)
        made = trainer.apply(half, trainer.train(half, references(), 0))
        assert half.unet.dtype == made.unet.dtype == torch.bfloat16

    def test_velocity_is_learnt_where_the_model_predicts_it(self, tmp_path: Path, base: Generator):
        other = load_generator(str(tiny_pipeline(tmp_path / "v", prediction="v_prediction")))
        trainer = DreamBoothLora(replace(SHORT, steps=2), rank=2)
        assert not same(trainer.train(other, references(), 0), trainer.train(base, references(), 0))


class TestWhatIsRefused:
    def test_words(self, base: Generator):
        recipe = replace(SHORT, steps=1)
        with pytest.raises(DesiderataError, match="No caption has the word"):
            TextualInversion("<toy>", "cat", recipe=recipe).train(base, references(), 0)
        part_of_wood = [TrainingImage(picture(0), "an oo toy")]
        with pytest.raises(DesiderataError, match="has a token"):
            TextualInversion("oo", "cat", recipe=recipe).train(base, part_of_wood, 0)
        with pytest.raises(DesiderataError, match="without blanks"):
            CustomDiffusion("cat on", "cat", recipe=recipe).train(base, class_pictures(), 0)
        with pytest.raises(DesiderataError, match="knows no word"):
            TextualInversion("<sks>", " ", recipe=recipe).train(base, references(), 0)
        with pytest.raises(DesiderataError, match="vectors is 0"):
            TextualInversion("<sks>", "cat", 0)
        for word in ("", " "):
            with pytest.raises(DesiderataError, match="without blanks"):
                TextualInversion(word, "cat")

    def test_ranks(self):
        with pytest.raises(DesiderataError, match="rank is 0"):
            DreamBoothLora(rank=0)
        with pytest.raises(DesiderataError, match="alpha is"):
            DreamBoothLora(alpha=-1)

    def test_another_trainers_weights(self, base: Generator):
        learnt = DreamBoothLora(replace(SHORT, steps=1), rank=2).train(base, references(), 0)
        with pytest.raises(DesiderataError, match=r"not learnt by dreambooth with .* is \(2, 16\)|missing"):
            DreamBooth().apply(base, learnt)
        with pytest.raises(DesiderataError, match="not learnt by dreambooth-lora with"):
            DreamBoothLora(rank=3).apply(base, learnt)

    def test_a_learning_rate_that_is_far_too_high(self, base: Generator):
        with pytest.raises(DesiderataError, match="no longer a number"):
            DreamBooth(replace(SHORT, steps=9, learning_rate=1e30)).train(base, references(), 0)


def test_keys_tell_settings_apart():
    keys = {
        trainer.key()
        for trainer in (
            DreamBooth(),
            DreamBooth(replace(SHORT, prior="published")),
            DreamBooth(SHORT),
            DreamBoothLora(SHORT),
            DreamBoothLora(SHORT, rank=4),
            DreamBoothLora(SHORT, rank=4, alpha=8),
            DreamBoothLora(SHORT, rank=4, convolutions=True),
            TextualInversion("<sks>", "cat", recipe=SHORT),
            TextualInversion("<sks>", "dog", recipe=SHORT),
            TextualInversion("<sks>", "cat", 2, recipe=SHORT),
            CustomDiffusion("<sks>", "cat", SHORT),
            CustomDiffusion("<toy>", "cat", SHORT),
        )
    }
    assert len(keys) == 12
    assert DreamBoothLora(SHORT, rank=4).key() == DreamBoothLora(SHORT, OFTEN, rank=4, alpha=4).key()

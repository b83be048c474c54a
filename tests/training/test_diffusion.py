"""The generator's training goes on where it stopped, and what it saves is a whole pipeline."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from desiderata.cli import main
from desiderata.errors import DesiderataError
from desiderata.foundation.generator import load_generator
from desiderata.personalize.trainers.ip_adapter import IPAdapter
from desiderata.personalize.trainers.recipe import MOJI_ADAPTER
from desiderata.training import corpus, latents, moji_adapter, moji_diffusion
from desiderata.training.autoencoder import AutoencoderRecipe, as_pixels, reconstruction_loss
from desiderata.training.moji_diffusion import DiffusionRecipe, DiffusionTrainer
from desiderata.worlds.moji.catalogue import CONCEPTS

RECIPE = DiffusionRecipe(
    pictures=24,
    shards=1,
    batch=8,
    widths=(32, 32),
    autoencoder=AutoencoderRecipe(pictures=16, batch=8, width=8, channels=4),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diffusion")


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SHARD", 16)
    monkeypatch.setattr(latents, "SHARD", 16)
    monkeypatch.setattr(moji_diffusion, "SHARDS_TO_ENCODE", 1)


def _trainer(folder: Path, recipe: DiffusionRecipe = RECIPE) -> DiffusionTrainer:
    return DiffusionTrainer(folder, recipe, report=lambda _: None)


def _weights(trainer: DiffusionTrainer) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in trainer.average.state_dict().items()}


def test_a_longer_run_goes_on_from_a_shorter_one_to_the_same_weights(folder: Path):
    whole = _trainer(folder)
    whole.run()
    path = folder / "moji-diffusion.safetensors"
    wanted = _weights(whole)
    path.unlink()
    _trainer(folder, replace(RECIPE, pictures=8)).run()
    again = _trainer(folder)
    again.run()
    for key, value in _weights(again).items():
        assert torch.equal(value, wanted[key]), key
    with pytest.raises(DesiderataError, match="another recipe"):
        _trainer(folder, replace(RECIPE, learning_rate=1e-5)).run()


def test_what_is_saved_is_a_pipeline_that_draws(folder: Path, tmp_path: Path):
    trainer = _trainer(folder)
    trainer.run()
    trainer.save(tmp_path / "made")
    assert json.loads((tmp_path / "made" / "sampling.json").read_text()) == moji_diffusion.SAMPLING
    generator = load_generator(str(tmp_path / "made"))
    (picture,) = generator.sample(["a photo of a cat"], [1], steps=2)
    assert picture.image.shape == (64, 64, 3)
    # The pipeline reads sentences as the trainer did.
    mine, theirs = trainer.texts(["a photo of a cat"]), generator.texts(["a photo of a cat"])
    torch.testing.assert_close(mine, theirs.to(mine.dtype), atol=2e-2, rtol=2e-2)


def test_outlines_count_beside_colours():
    flat = as_pixels(np.full((1, 8, 8, 3), 128, np.uint8))
    lined = flat.clone()
    lined[..., ::2] += 0.2
    shifted = flat + 0.1
    assert reconstruction_loss(flat, flat, 1.0) == 0
    assert reconstruction_loss(lined, flat, 1.0) > reconstruction_loss(shifted, flat, 1.0)


def test_the_head_for_places_hears_the_unet_once(folder: Path):
    trainer = _trainer(folder)
    with pytest.raises(RuntimeError, match="has not run"):
        trainer.places()
    noisy, when = torch.zeros(2, 4, 16, 16), torch.tensor([5, 900])
    trainer.unet(noisy, when, trainer.texts(["a photo of a cat", ""]))
    assert trainer.places().shape == (2, 1 + len(CONCEPTS), 8, 8)
    with pytest.raises(RuntimeError, match="has not run"):
        trainer.places()
    assert not any("places" in name for name in trainer.unet.state_dict())


def test_what_stands_where_is_learnt(folder: Path):
    trainer = _trainer(folder, replace(RECIPE, learning_rate=3e-3, warmup=1, place_weight=1.0))
    shards: dict[int, latents.Latents] = {}
    losses = [trainer._step(0, shards)["places"] for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]


def test_an_adapter_is_trained_and_measured_for_what_was_saved(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    trainer = _trainer(folder)
    trainer.run()
    trainer.save(tmp_path / "made")
    images = moji_adapter.captioned(folder / "scenes", shards=1)
    assert len(images) == 16
    recipe = replace(MOJI_ADAPTER, steps=2, batch=4)
    moji_adapter.train_moji_adapter(
        tmp_path, tmp_path / "adapter", generator=str(tmp_path / "made"), recipe=recipe, images=images
    )
    drawing = IPAdapter(str(tmp_path / "adapter"))
    base = load_generator(str(tmp_path / "made"))
    learnt = drawing.train(base, images[:2], 0)
    (picture,) = drawing.apply(base, learnt).sample(["a photo of a cat"], [1], steps=2)
    assert picture.image.shape == (64, 64, 3)
    capsys.readouterr()
    words = ["models", "evaluate", str(tmp_path / "adapter"), "--generator", str(tmp_path / "made"), "--n", "2"]
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["scenes"] == 2
    assert {said[name] for name in ("subject", "background", "style")} <= {0, 0.5, 1}

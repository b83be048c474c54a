"""An exported generator draws in plain diffusers, by the lines of its card, what was measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from quick_parts import Judge, picture
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from contracts.tiny_pipeline import tiny_pipeline
from contracts.trainer import references
from desiderata.campaign.loop import Campaign
from desiderata.foundation.generator import Generator, load_generator
from desiderata.foundation.pipelines import quiet
from desiderata.foundation.sampling import Sampling
from desiderata.personalize import models
from desiderata.personalize.card import GeneratorCard
from desiderata.personalize.export import export_generator, write_pipeline
from desiderata.personalize.quickstart import new_campaign
from desiderata.personalize.trainers.adapter_training import DROP, save_adapter, train_adapter
from desiderata.personalize.trainers.recipe import Recipe

SEED = 3
MEASURED = Sampling(steps=4, guidance=2.0, batch=1, solver="dpm-solver++")
"""Other than the pipeline's own scheduler, which is DDIM."""

ONE_STEP = {"steps": 1, "learning_rate": 1e-3, "class_pictures": 0}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(tmp_path_factory.mktemp("models") / "model", safety="passes", sampling=MEASURED)


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        tower = CLIPVisionModelWithProjection(
            CLIPVisionConfig(**small, image_size=16, patch_size=8, projection_dim=12)
        )
    folder = tmp_path_factory.mktemp("adapters") / "adapter"
    recipe = Recipe(steps=1, batch=2, learning_rate=1e-2)
    learnt = train_adapter(load_generator(str(model)), tower, references(), 0, silent=DROP, recipe=recipe)
    save_adapter({name: value.half() for name, value in learnt.items()}, tower, folder)
    return folder


@pytest.fixture
def run(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what makes a run that has learnt one picture, in the folder that the model is in."""
    monkeypatch.setattr(models, "load_encoder", lambda _name, **_: Judge())
    monkeypatch.setattr(models, "locate", lambda name, _kind: name)
    monkeypatch.chdir(model.parent)
    (tmp_path / "photos").mkdir()
    picture(1).save(tmp_path / "photos" / "1.png")

    def make(trainer: dict[str, Any], base: Path = model, **told: str) -> Campaign:
        return new_campaign(
            tmp_path / "run",
            tmp_path / "photos",
            subject="toy",
            setting="on a wooden table",
            generator={"name": str(base), **told},
            encoder="judge",
            trainer=trainer,
            strategy="dreambooth",
            anchors=["{} in the snow"],
            pictures=0,
        )

    return make


def by_its_card(card: GeneratorCard, folder: Path) -> tuple[np.ndarray, str]:
    """Draw as a card says, but from a seed.

    Returns:
        The picture, and its prompt.
    """
    *lines, last = card.usage(str(folder)).splitlines()
    seen: dict[str, Any] = {}
    with quiet():
        exec("\n".join(lines), seen)
        seen["pipeline"].set_progress_bar_config(disable=True)
        seen["noise"] = torch.Generator().manual_seed(SEED)
        seeded = last.replace(").images[0]", ", generator=noise).images[0]")
        exec(f"drawn = {seeded}", seen)
    return np.asarray(seen["drawn"]).astype(int), card.subject.prompt("{} in the snow")


def ours(generator: Generator, prompt: str) -> np.ndarray:
    return generator.sample([prompt], [SEED])[0].image.astype(int)


FORMS = {
    "pipeline": {"name": "dreambooth", **ONE_STEP},
    "lora": {"name": "dreambooth-lora", **ONE_STEP},
    "adapted": {"name": "ip-adapter"},
}


@pytest.mark.parametrize(("precision", "near"), [("float32", 1), ("bfloat16", 20), ("float16", 6)])
@pytest.mark.parametrize("form", FORMS)
def test_a_card_draws_what_was_measured(form: str, precision: str, near: int, run, adapter: Path, tmp_path: Path):
    table = FORMS[form] | ({"adapter": str(adapter)} if form == "adapted" else {})
    made = run(table, precision=precision)
    card = export_generator(made, tmp_path / "out", learnt_only=form == "lora")
    assert card.form == form
    drawn, prompt = by_its_card(card, tmp_path / "out")
    measured = ours(made.learner.personalised, prompt)
    assert np.abs(drawn - measured).max() <= near
    made.learner.teacher.base.sampling = Sampling(steps=4, guidance=2.0, batch=1)
    own = ours(made.learner.teacher.base, prompt)
    assert np.abs(own - measured).max() > near, "by another solver, or untaught, it is another picture"


def test_a_card_tells_how_it_was_taught(run, tmp_path: Path):
    made = run(FORMS["pipeline"])
    export_generator(made, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    recipe = made.learner.teacher.trainer.recipe
    assert f"- steps of each round: {recipe.steps}\n" in text
    assert f"- learning rate: {recipe.learning_rate:g}\n" in text
    assert f"- shown in the pictures: {made.learner.subject.settings[0]}\n" in text


def test_a_lora_goes_into_a_base_that_is_kept_in_half_precision(run, model: Path, tmp_path: Path):
    from diffusers import StableDiffusionPipeline

    with quiet():
        half = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float16)
        half.save_pretrained(model.parent / "half")
    MEASURED.save(model.parent / "half")
    made = run(FORMS["lora"], base=model.parent / "half")
    card = export_generator(made, tmp_path / "out", learnt_only=True)
    drawn, prompt = by_its_card(card, tmp_path / "out")
    assert np.abs(drawn - ours(made.learner.personalised, prompt)).max() <= 1


def test_an_export_is_loaded_here_and_learns_by_the_same_noise(run, model: Path, tmp_path: Path):
    made = run(FORMS["pipeline"])
    export_generator(made, tmp_path / "out")
    again, before = load_generator(str(tmp_path / "out")), load_generator(str(model))
    assert type(again.pipeline.scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert type(made.learner.personalised.pipeline.scheduler).__name__ == "DDIMScheduler", "it is left as it was"
    assert again.sampling == MEASURED
    drawn, expected = (ours(one, "a sks toy") for one in (again, made.learner.personalised))
    np.testing.assert_array_equal(drawn, expected)
    one, other = again.noise_schedule(), before.noise_schedule()
    assert torch.equal(one.alphas_cumprod, other.alphas_cumprod)
    for setting in ("prediction_type", "num_train_timesteps", "rescale_betas_zero_snr"):
        assert one.config[setting] == other.config[setting]


def test_the_bundled_generator_is_exported_as_it_draws(tmp_path: Path):
    bundled = load_generator("moji-diffusion")
    write_pipeline(bundled, tmp_path / "out")
    again = load_generator(str(tmp_path / "out"))
    drawn, expected = (one.sample(["a cat"], [SEED], batch=1)[0].image for one in (again, bundled))
    np.testing.assert_array_equal(drawn, expected)
    assert torch.equal(again.noise_schedule().alphas_cumprod, bundled.noise_schedule().alphas_cumprod)
    assert again.noise_schedule().config["prediction_type"] == "v_prediction"
    with quiet():
        from diffusers import StableDiffusionPipeline

        plain = StableDiffusionPipeline.from_pretrained(tmp_path / "out")
        plain.set_progress_bar_config(disable=True)
        noise = torch.Generator().manual_seed(SEED)
        image = plain("a cat", num_inference_steps=12, guidance_scale=4.0, generator=noise).images[0]
    assert np.abs(np.asarray(image).astype(int) - expected).max() <= 2

"""Which pictures an IP-Adapter is shown with their captions and references while it is trained."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from hypothesis import given
from hypothesis import strategies as st

from contracts.tiny_pipeline import tiny_pipeline
from contracts.trainer import references
from desiderata.errors import DesiderataError
from desiderata.foundation.generator import load_generator
from desiderata.personalize.trainers.adapter_training import DROP, picture_tower, told, train_adapter
from desiderata.personalize.trainers.recipe import Recipe


@given(st.floats(0, 1 - 2 * DROP))
def test_as_many_are_shown_without_as_is_said(silent: float):
    said, shown = told((np.arange(2000) + 0.5) / 2000, silent)
    shares = [np.mean(rows) for rows in (~said & ~shown, said & ~shown, ~said & shown, said & shown)]
    assert shares == pytest.approx([DROP, DROP, silent, 1 - 2 * DROP - silent], abs=0.001)


def test_as_published_unless_something_else_is_said():
    """One in twenty without each, and one without both."""
    said, shown = told(np.array([0.01, 0.07, 0.11, 0.5, 0.94, 0.96]), DROP)
    assert said.tolist() == [False, False, True, True, True, True]
    assert shown.tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize("silent", [-0.1, 0.95, float("nan")])
def test_no_more_than_there_are(silent: float, tmp_path: Path):
    base = load_generator(str(tiny_pipeline(tmp_path / "tiny")))
    with pytest.raises(DesiderataError, match=r"cannot be shown without its caption: give 0 to 0.9\.$"):
        train_adapter(base, picture_tower(), references(), 0, silent=silent)


def test_pictures_meet_the_network_with_what_they_are_told_to_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The seed's own chances decide, here of so many batches that each of the four cases occurs."""
    base, said, shown = load_generator(str(tiny_pipeline(tmp_path / "tiny"))), [], []
    encode, forward = StableDiffusionPipeline.encode_prompt, UNet2DConditionModel.forward

    def encode_prompt(pipeline: StableDiffusionPipeline, prompt: list[str], *rest: Any, **more: Any) -> Any:
        said.extend(prompt)
        return encode(pipeline, prompt, *rest, **more)

    def seen(unet: UNet2DConditionModel, *rest: Any, added_cond_kwargs: Any, **more: Any) -> Any:
        shown.extend(added_cond_kwargs["image_embeds"][0].abs().sum((1, 2)).tolist())
        return forward(unet, *rest, added_cond_kwargs=added_cond_kwargs, **more)

    monkeypatch.setattr(StableDiffusionPipeline, "encode_prompt", encode_prompt)
    monkeypatch.setattr(UNet2DConditionModel, "forward", seen)
    recipe = Recipe(steps=15, batch=8, learning_rate=1e-3, whole_batches=True)
    train_adapter(base, picture_tower(), references(8), 0, silent=0.45, recipe=recipe)
    said = said[-120:]  # nothing is encoded afterwards
    cases = Counter((bool(words), reference > 0) for words, reference in zip(said, shown, strict=True))
    assert cases[True, True] > 30
    assert cases[False, True] > 30
    assert 0 < cases[True, False] < 15
    assert 0 < cases[False, False] < 15

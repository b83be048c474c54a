"""`desiderata personalize new --trainer ip-adapter` with an adapter as it is published: a file of its own name."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from contracts.fake_hub import FakeHub, files_of
from contracts.taught import ANCHORS, instant, lines, photos
from contracts.tiny_pipeline import tiny_pipeline
from contracts.trainer import references
from desiderata.campaign.loop import Campaign
from desiderata.foundation.generator import load_generator
from desiderata.foundation.sampling import Sampling
from desiderata.personalize.trainers.adapter_training import DROP, save_adapter, train_adapter
from desiderata.personalize.trainers.recipe import Recipe

Call = Callable[..., tuple[int, dict]]
FILE = "models/ip-adapter_tiny.safetensors"


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a run needs besides, and in the folder `own` an adapter."""
    sampling = Sampling(steps=1, guidance=1.0, batch=1)
    model = tiny_pipeline(tmp_path / "tiny", size=16, vae="tiny", sampling=sampling)
    loaded = load_generator(str(model))
    instant(monkeypatch, loaded)
    with torch.random.fork_rng([]):
        settings = CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=16,
            patch_size=8,
            projection_dim=12,
        )
        tower = CLIPVisionModelWithProjection(settings)
    save_adapter(
        train_adapter(loaded, tower, references(), 0, silent=DROP, recipe=Recipe(steps=1)),
        tower,
        tmp_path / "own" / "models",
    )
    (tmp_path / "own" / "models" / "ip_adapter.safetensors").rename(tmp_path / "own" / FILE)
    photos(tmp_path / "photos")
    lines(tmp_path / "anchors.txt", ANCHORS)
    return model


def new(call: Call, model: Path, adapter: str) -> tuple[int, dict]:
    words = ["personalize", "new", "run", "--images", "photos", "--subject", "toy", "--setting", "on a wooden table"]
    words += ["--model", str(model), "--encoder", "judge", "--anchors", "anchors.txt"]
    return call(*words, "--pictures", "0", "--trainer", "ip-adapter", "--adapter", adapter)


@pytest.mark.parametrize("given", [f"own/{FILE}", f"./own/{FILE}"])
def test_a_file_is_found_again_from_anywhere(
    given: str, generator: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    status, said = new(call, generator, given)
    assert (status, said.get("error")) == (0, None)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    campaign = Campaign.open(tmp_path / "run")
    assert campaign.config.trainer == {"name": "ip-adapter", "adapter": str(tmp_path / "own" / FILE)}
    assert campaign.learner.personalised.sample(["a toy"], [1])


def test_a_file_on_the_hub_keeps_its_name(
    generator: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hub = FakeHub(monkeypatch, tmp_path / "cache", {"owner/model": files_of(tmp_path / "own")})
    status, said = new(call, generator, f"owner/model/{FILE}")
    assert (status, said.get("error")) == (0, None)
    hub.repositories = {}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    campaign = Campaign.open(tmp_path / "run")
    assert campaign.config.trainer["adapter"] == f"owner/model/{FILE}"
    assert campaign.learner.personalised.sample(["a toy"], [1])


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        ("owner/model/another.safetensors", "There is no adapter another.safetensors in owner/model: give its own"),
        ("./another.safetensors", "There is no adapter ./another.safetensors: give its own file, by its path or"),
        ("own", "There is no adapter ip_adapter.safetensors in {here}/own: give its own file, by its path or"),
        ("moji-clip", "moji-clip is no adapter (kind: encoder): give one of moji-adapter, a model directory"),
    ],
)
def test_what_is_not_there_is_said_with_what_can_be_given(
    adapter: str, says: str, generator: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    FakeHub(monkeypatch, tmp_path / "cache", {"owner/model": {"README.md": b""}})
    status, said = new(call, generator, adapter)
    assert status == 2
    assert says.format(here=tmp_path) in said["error"]
    assert not Path("run").exists()

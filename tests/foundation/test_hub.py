"""What the model hub answers is told apart, and said in one sentence."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from huggingface_hub import constants, hf_hub_download

from contracts.fake_hub import FakeHub, files_of, index
from contracts.tiny_clip import tiny_clip
from contracts.tiny_pipeline import tiny_pipeline
from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import load_encoder
from desiderata.foundation.generator import load_generator
from desiderata.foundation.pipelines import load_pipeline
from desiderata.foundation.registry import OutOfReach, load_pretrained


def said(error: pytest.ExceptionInfo[DesiderataError]) -> str:
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert ". " not in text
    return text


def weights(name: str) -> dict[str, bytes]:
    return {"model_index.json": index(), "unet/config.json": b"{}", f"unet/{name}": b"weights"}


@pytest.fixture
def clip(tmp_path: Path) -> dict[str, bytes]:
    return files_of(tiny_clip(tmp_path / "clip"))


@pytest.mark.parametrize("load", [load_encoder, load_generator])
@pytest.mark.parametrize(
    ("held", "why"),
    [("GatedRepo", "it is gated"), ("RepoNotFound", "there is none of this name, or it is private")],
)
def test_what_the_hub_does_not_give_out_is_not_put_down_to_the_network(
    load: Any, held: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    FakeHub(monkeypatch, tmp_path, {"owner/model": held})
    with pytest.raises(OutOfReach) as error:
        load("owner/model")
    text = said(error)
    assert text.startswith(f"The model hub does not give out owner/model ({why}): check the name")
    assert "log in with `hf auth login`" in text
    assert "internet" not in text


def test_a_name_that_nothing_can_have_is_no_network_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    FakeHub(monkeypatch, tmp_path, {})
    with pytest.raises(OutOfReach, match=r"owner/a model \(nothing there can have this name\)"):
        load_encoder("owner/a model")


def test_a_generator_without_safetensors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    hub = FakeHub(monkeypatch, tmp_path, {"owner/model": weights("diffusion_pytorch_model.bin")})
    with pytest.raises(
        DesiderataError, match="owner/model has no weights as safetensors in full precision, and"
    ) as error:
        load_generator("owner/model")
    assert "save_pretrained" in said(error)
    assert not isinstance(error.value, OutOfReach)
    assert set(hub.fetched) == {"model_index.json"}


def test_a_generator_in_half_precision_only_is_loaded_in_float32(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    whole = tiny_pipeline(tmp_path / "whole", safety="passes")
    pipeline, _ = load_pipeline(str(whole))
    pipeline.to(torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    held = files_of(tmp_path / "half")
    assert [name for name in held if name.endswith(".safetensors")] == [
        name for name in held if name.endswith(".fp16.safetensors")
    ]
    FakeHub(monkeypatch, tmp_path / "cache", {"owner/model": held})
    for name in ("owner/model", str(tmp_path / "half")):
        loaded, _ = load_pipeline(name)
        for part in ("unet", "vae", "text_encoder", "safety_checker"):
            model, original = getattr(loaded, part), getattr(pipeline, part)
            assert model.dtype == torch.float32
            for (key, value), kept in zip(model.state_dict().items(), original.state_dict().values(), strict=True):
                assert torch.equal(value, kept.to(value.dtype)), f"{part} {key}"


def test_a_generator_in_half_precision_is_found_again_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    pipeline, _ = load_pipeline(str(tiny_pipeline(tmp_path / "whole")))
    pipeline.to(torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    FakeHub(monkeypatch, tmp_path / "cache", {"owner/model": files_of(tmp_path / "half")})
    fetched, _ = load_pipeline("owner/model")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    again, _ = load_pipeline("owner/model")
    assert torch.equal(again.unet.conv_out.weight, fetched.unet.conv_out.weight)


def test_a_network_that_fails_on_the_way_is_not_put_down_to_the_format(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    asked: list[str | None] = []

    def download(name: str, *, use_safetensors: bool, variant: str | None = None) -> str:
        asked.append(variant)
        if variant:
            raise httpx2.ConnectError("connection reset")
        raise OSError("Could not find the necessary `safetensors` weights")

    FakeHub(monkeypatch, tmp_path / "cache", {"owner/model": {}})
    monkeypatch.setattr("diffusers.StableDiffusionPipeline.download", download)
    with pytest.raises(OutOfReach, match="owner/model could not be fetched from the model hub: connection reset"):
        load_pipeline("owner/model")
    assert asked == [None, "fp16"]


def test_an_encoder_of_pickles(clip: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    clip["pytorch_model.bin"] = clip.pop("model.safetensors")
    hub = FakeHub(monkeypatch, tmp_path / "cache", {"owner/model": clip})
    with pytest.raises(DesiderataError, match="owner/model has no weights as safetensors") as error:
        load_encoder("owner/model")
    said(error)
    assert "pytorch_model.bin" not in hub.fetched


def test_a_whole_encoder_is_fetched(clip: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    FakeHub(monkeypatch, tmp_path / "cache", {"owner/model": clip})
    assert load_encoder("owner/model").dim == 24


def test_what_a_repository_lacks_is_no_network_either(
    clip: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    del clip["preprocessor_config.json"]
    FakeHub(monkeypatch, tmp_path / "cache", {"owner/clip": clip, "owner/model": {"README.md": b""}})
    for load, name, file in (
        (load_generator, "owner/model", "model_index.json"),
        (load_encoder, "owner/clip", "preprocessor_config.json"),
    ):
        with pytest.raises(DesiderataError, match=f"The model {name} cannot be loaded .*{file}") as error:
            load(name)
        assert not isinstance(error.value, OutOfReach)
        said(error)


def test_a_hub_that_is_down_or_cut_off_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    FakeHub(monkeypatch, tmp_path, {"owner/model": "Down"})
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    for load in (load_encoder, load_generator):
        with pytest.raises(OutOfReach, match=r"owner/model could not be fetched .* connect to the internet"):
            load("owner/model")

    def cut_off(_source: str) -> None:
        raise httpx2.ReadError("connection reset")

    with pytest.raises(OutOfReach, match="could not be fetched from the model hub: connection reset; connect to"):
        load_pretrained(cut_off, "owner/model")


def test_what_was_fetched_before_needs_no_hub_that_gives_it_out(
    clip: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    FakeHub(monkeypatch, tmp_path / "cache", {"owner/model": clip})
    load_encoder("owner/model")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_encoder("owner/model").dim == 24
    with pytest.raises(OutOfReach, match="which is out of reach or switched off"):
        load_pretrained(lambda source: hf_hub_download(source, "another.json"), "owner/model")

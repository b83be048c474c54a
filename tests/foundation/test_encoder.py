"""The loaders take any CLIP directory: the bundled one, a tiny one made here, one of ViT-B/32's full size."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from contracts.tiny_clip import few_words, tiny_clip
from contracts.tiny_pipeline import tiny_pipeline
from desiderata.campaign.config import Config
from desiderata.cli import main
from desiderata.errors import DesiderataError
from desiderata.foundation import hub
from desiderata.foundation.device import check_device
from desiderata.foundation.encoder import ClipEncoder, load_encoder
from desiderata.foundation.registry import BUNDLED_ROOT, content_key, lasting, load_pretrained, locate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP directory with 24-dimensional embeddings."""
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def pictures(n: int, side: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (n, side, side + 8, 3), dtype=np.uint8))


def test_embeddings_are_unit_rows_whatever_the_batch(folder: Path):
    many, few = load_encoder(str(folder)), load_encoder(str(folder), batch_size=2)
    images = pictures(5)
    a, b = many.images(images), few.images(images)
    assert a.shape == (5, 24) == (5, many.dim)
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1)
    np.testing.assert_allclose(a, b, atol=1e-5)
    texts = many.texts(["a cat", "a dog", "a cat"])
    np.testing.assert_array_equal(texts[0], texts[2])
    assert np.abs(texts[0] - texts[1]).max() > 1e-3


def test_a_picture_has_the_same_embedding_to_the_last_bit_whatever_it_is_batched_with(folder: Path):
    encoder, images = load_encoder(str(folder)), pictures(37)
    together = encoder.images(images)
    order = np.random.default_rng(1).permutation(len(images))
    assert (encoder.images([images[i] for i in order]) == together[order]).all()
    for image, row in zip(images, together, strict=True):
        assert (encoder.images([image])[0] == row).all()


def test_a_sentence_has_the_same_embedding_to_the_last_bit_whatever_it_is_batched_with(folder: Path):
    # Every length, so that some fill up what they are padded to and some do not.
    sentences = [
        " ".join((["a", "cat", "dog", "grass"] * 20)[start : start + n]) for n in range(1, 60) for start in (0, 1)
    ]
    together = load_encoder(str(folder)).texts(sentences)
    order = np.random.default_rng(1).permutation(len(sentences))
    assert (load_encoder(str(folder)).texts([sentences[i] for i in order]) == together[order]).all()
    alone = load_encoder(str(folder))
    for sentence, row in zip(sentences, together, strict=True):
        assert (alone.texts([sentence])[0] == row).all()


def test_no_images_and_no_texts_give_no_rows(folder: Path):
    encoder = load_encoder(str(folder))
    assert encoder.images([]).shape == encoder.texts([]).shape == (0, 24)


def test_a_long_sentence_is_cut_rather_than_refused(folder: Path):
    assert load_encoder(str(folder)).texts(["a cat " * 200]).shape == (1, 24)


def test_full_size_vit_b32_embeds():
    torch.manual_seed(0)
    config = CLIPConfig()  # the defaults are ViT-B/32's: 224 px, 12 layers of 768, 512-dimensional embeddings
    assert (config.vision_config.hidden_size, config.vision_config.patch_size, config.projection_dim) == (
        768,
        32,
        512,
    )
    words = few_words()
    encoder = ClipEncoder(CLIPModel(config), words, CLIPImageProcessorPil(), "random ViT-B/32")
    assert encoder.images(pictures(2)).shape == (2, 512)
    np.testing.assert_allclose(np.linalg.norm(encoder.texts(["a cat"]), axis=1), 1)


def test_a_name_that_means_nothing_lists_what_there_is():
    with pytest.raises(DesiderataError, match="moji-clip"):
        locate("mojiclip")


def test_a_folder_without_a_model_says_what_it_needs(tmp_path: Path):
    with pytest.raises(DesiderataError, match="cannot be loaded"):
        load_encoder(str(tmp_path))


def test_the_hub_out_of_reach_is_said_plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DesiderataError, match="could not be fetched from the model hub") as error:
        load_encoder("desiderata-tests/no-such-model")
    assert str(error.value).endswith(
        "or try things out on drawn pictures with moji-clip, which comes with this package."
    )
    assert one_sentence(error)


def test_a_hub_that_does_not_answer_is_asked_once_and_quietly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    asked: list[str] = []

    def nobody(_client: object, address: str, **options: object) -> None:
        asked.append(address)
        assert options == {"timeout": constants.HF_HUB_ETAG_TIMEOUT}
        raise OSError("Name or service not known")

    def no_waiting(seconds: float) -> None:
        raise AssertionError(f"{seconds} seconds were waited for another try")

    monkeypatch.setattr(type(get_session()), "head", nobody)
    monkeypatch.setattr("time.sleep", no_waiting)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DesiderataError, match="could not be fetched from the model hub"):
        load_encoder("openai/clip-vit-base-patch32")
    assert asked == [constants.ENDPOINT]
    assert constants.HF_HUB_OFFLINE is False, "what comes later is asked for anew"
    assert capfd.readouterr() == ("", "")


def test_a_hub_that_answers_is_left_to_its_client(monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(hub, "_answers", lambda _address: True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert load_pretrained(lambda _source: constants.HF_HUB_OFFLINE, "owner/model") is False
    monkeypatch.setattr(hub, "_answers", lambda _address: False)
    assert load_pretrained(lambda _source: constants.HF_HUB_OFFLINE, "owner/model") is True
    assert load_pretrained(lambda _source: constants.HF_HUB_OFFLINE, "moji-clip") is False, "a directory needs no hub"


def test_pickled_weights_are_not_loaded(folder: Path, tmp_path: Path):
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(DesiderataError, match="safetensors"):
        load_encoder(str(tmp_path))


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A copy of the random CLIP directory, to be damaged."""
    return shutil.copytree(folder, tmp_path / "own")


def one_sentence(error: pytest.ExceptionInfo[DesiderataError]) -> bool:
    return str(error.value).endswith(".") and "\n" not in str(error.value)


def test_weights_that_are_missing_are_not_drawn_at_random(own: Path, capfd: pytest.CaptureFixture[str]):
    tensors = load_file(own / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, own / "model.safetensors", metadata={"format": "pt"})
    verbosity = logging.get_verbosity()
    with pytest.raises(DesiderataError, match=r"no whole CLIPModel: 1 of its weights .* visual_projection") as error:
        load_encoder(str(own))
    assert one_sentence(error)
    assert "LOAD REPORT" not in capfd.readouterr().err
    assert logging.get_verbosity() == verbosity


def test_a_model_of_another_kind_is_not_an_encoder(own: Path):
    torch.manual_seed(0)
    small = GPT2Config(vocab_size=9, n_positions=4, n_embd=4, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(small).save_pretrained(own)
    with pytest.raises(DesiderataError, match="no whole CLIPModel") as error:
        load_encoder(str(own))
    assert one_sentence(error)


def cut_short(own: Path) -> None:
    content = (own / "model.safetensors").read_bytes()
    (own / "model.safetensors").write_bytes(content[: len(content) // 2])


def of_another_size(own: Path) -> None:
    (own / "config.json").write_text(
        (own / "config.json").read_text().replace('"projection_dim": 24', '"projection_dim": 7')
    )


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights cut short (SafetensorError)": (cut_short, "cannot be loaded .*safetensors"),
    "another size": (of_another_size, "no whole CLIPModel: 2 of its weights"),
    "configuration is a list (TypeError)": (lambda own: (own / "config.json").write_text("[]"), "cannot be loaded"),
    "tokenizer is empty (KeyError)": (lambda own: (own / "tokenizer.json").write_text("{}"), "cannot be loaded"),
    "processor is a list (AttributeError)": (
        lambda own: (own / "preprocessor_config.json").write_text("[]"),
        "cannot be loaded",
    ),
    "no tokenizer": (
        lambda own: [(own / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")],
        "has a model but no tokenizer",
    ),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_directories_are_one_sentence(damage: Callable[[Path], object], says: str, own: Path):
    damage(own)
    with pytest.raises(DesiderataError, match=says) as error:
        load_encoder(str(own))
    assert one_sentence(error)


def test_what_goes_wrong_with_a_fetched_model_is_not_put_down_to_the_network(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "_answers", lambda _address: True)

    def broken(_source: str) -> None:
        raise KeyError("hidden_act")

    with pytest.raises(DesiderataError, match=r"The model owner/model cannot be loaded \('hidden_act'\)"):
        load_pretrained(broken, "owner/model")


def test_a_folder_called_like_a_model_does_not_stand_in_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "moji-clip").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("moji-clip") == str(BUNDLED_ROOT / "moji-clip")
    assert locate("./moji-clip") == "./moji-clip"


@pytest.mark.parametrize(("given", "kept"), [("moji-clip", "moji-clip"), ("./moji-clip", "{here}/moji-clip")])
def test_a_campaign_keeps_the_name_of_a_model_and_the_path_of_a_folder(
    given: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "moji-clip").mkdir()
    monkeypatch.chdir(tmp_path)
    asked = []

    def create(_run: Path, config: Config, _progress: object) -> None:
        asked.append(config.encoder)
        raise DesiderataError("No further.")

    monkeypatch.setattr("desiderata.collect.build.create", create)
    assert main(["new", "run", "--world", "moji", "--encoder", given, "--json"]) == 2
    assert asked == [kept.format(here=tmp_path)]


def test_the_content_of_a_model_is_its_key_and_what_is_said_about_it_is_not(own: Path):
    key = content_key(str(own))
    (own / "README.md").write_text("trained on a Tuesday")
    assert content_key(str(own)) == key
    weights = bytearray((own / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (own / "model.safetensors").write_bytes(weights)
    changed = content_key(str(own))
    (own / "merges.txt").touch()
    assert len({key, changed, content_key(str(own))}) == 3
    assert content_key("owner/model") == "owner/model"


def test_what_is_hidden_beside_a_model_is_not_its_content(own: Path):
    key = content_key(str(own))
    for hidden in (".git/FETCH_HEAD", ".cache/huggingface/download/config.json.metadata", ".DS_Store"):
        (own / hidden).parent.mkdir(parents=True, exist_ok=True)
        (own / hidden).write_text("today")
    assert content_key(str(own)) == key
    shown = own.rename(own.parent / ".models")
    assert content_key(str(shown)) == key, "what lies in a hidden folder itself counts"


def test_what_is_never_read_of_a_model_is_not_its_content(tmp_path: Path):
    folder = tiny_pipeline(tmp_path / "tiny")
    key = content_key(str(folder))
    for beside in ("note.txt", "v1-5-pruned.safetensors", "unet/diffusion_pytorch_model.bin", "onnx/config.json"):
        (folder / beside).parent.mkdir(exist_ok=True)
        (folder / beside).write_text("gigabytes")
    assert content_key(str(folder)) == key
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    changed = content_key(str(folder))
    (folder / "model_index.json").write_text("[]")  # which is said where it is loaded
    assert len({key, changed, content_key(str(folder))}) == 3


def test_runs_made_earlier_know_their_model_again(own: Path, monkeypatch: pytest.MonkeyPatch):
    digest = hashlib.sha256()
    for file in sorted(path for path in own.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(own).as_posix()} {file.stat().st_size}\n".encode() + file.read_bytes())
    monkeypatch.setattr(Path, "read_bytes", lambda _file: pytest.fail("weights may be larger than the memory"))
    assert content_key(str(own)) == content_key(str(own), everything=True) == digest.hexdigest()
    (own / "pytorch_model.bin").write_bytes(b"in another format")
    assert content_key(str(own)) == digest.hexdigest() != content_key(str(own), everything=True)


def test_the_path_of_a_file_lasts_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0f3a").touch()
    (tmp_path / "adapter.safetensors").symlink_to(tmp_path / "blobs" / "0f3a")
    monkeypatch.chdir(tmp_path)
    assert lasting("adapter.safetensors") == str(tmp_path / "adapter.safetensors")
    assert lasting("./blobs") == str(tmp_path / "blobs")
    for name in ("moji-clip", "owner/model", "owner/model/adapter.safetensors"):
        assert lasting(name) == name


def test_one_sentence_or_picture_alone_is_a_list_of_one(folder: Path):
    encoder, picture = load_encoder(str(folder)), pictures(1)[0]
    np.testing.assert_array_equal(encoder.texts("a cat"), encoder.texts(["a cat"]))
    expected = encoder.images([picture])
    assert expected.shape == (1, 24)
    for alone in (picture, Image.fromarray(picture), np.stack([picture])):
        np.testing.assert_array_equal(encoder.images(alone), expected)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.full((8, 8, 3), 0.5), r"an array of float64 of shape \(8, 8, 3\)"),
        ([np.zeros((8, 8), np.uint8)], r"an array of uint8 of shape \(8, 8\)"),
        (np.zeros((8, 8), np.uint8), r"an array of uint8 of shape \(8, 8\)"),
        ([np.zeros((3, 8, 8), np.uint8)], r"an array of uint8 of shape \(3, 8, 8\)"),
        (["cat.png"], "a str"),
        ("cat.png", "a str"),
    ],
)
def test_what_is_no_picture_is_refused(wrong, says: str, folder: Path):
    with pytest.raises(DesiderataError, match=f"A picture was given as {says}") as error:
        load_encoder(str(folder)).images(wrong)
    assert one_sentence(error)


def test_what_is_no_sentence_is_refused(folder: Path):
    with pytest.raises(DesiderataError, match="A sentence was given as a NoneType"):
        load_encoder(str(folder)).texts(["a cat", None])


@pytest.mark.parametrize(("device", "says"), [("gpu", "No device is called 'gpu'"), ("cuda:99", "'cuda:99'")])
def test_a_device_is_looked_for_without_a_model(device: str, says: str):
    with pytest.raises(DesiderataError, match=says) as error:
        check_device(device)
    assert one_sentence(error)
    check_device("cpu")


def test_a_model_of_another_kind_is_refused_by_its_name():
    with pytest.raises(DesiderataError, match="moji-diffusion is no encoder") as error:
        load_encoder("moji-diffusion")
    assert "moji-judge" not in str(error.value)
    assert one_sentence(error)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_there_is_not_is_named(device: str, folder: Path):
    with pytest.raises(DesiderataError, match=f"The device '{device}' cannot be used") as error:
        load_encoder(str(folder), device=device)
    assert one_sentence(error)


def test_batches_hold_something(folder: Path):
    with pytest.raises(DesiderataError, match="batch_size is 0"):
        load_encoder(str(folder), batch_size=0)

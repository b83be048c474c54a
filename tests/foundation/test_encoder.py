"""The loaders take any CLIP directory: the bundled one, a tiny one made here, one of ViT-B/32's full size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import ClipEncoder, load_encoder
from desiderata.foundation.registry import locate
from desiderata.training.tokenizer import train_tokenizer


def tokenizer():
    return train_tokenizer(["a photo of a cat", "a photo of a dog on the grass"] * 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP directory with 24-dimensional embeddings."""
    path = tmp_path_factory.mktemp("clip")
    words = tokenizer()
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**small, "vocab_size": len(words), "eos_token_id": 1, "bos_token_id": 0, "pad_token_id": 1},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(path)
    words.save_pretrained(path)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(path)
    return path


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
    words = tokenizer()
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
    with pytest.raises(DesiderataError, match="could not be fetched from the model hub"):
        load_encoder("desiderata-tests/no-such-model")


def test_pickled_weights_are_not_loaded(folder: Path, tmp_path: Path):
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(DesiderataError, match="safetensors"):
        load_encoder(str(tmp_path))

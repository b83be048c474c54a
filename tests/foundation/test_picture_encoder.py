"""The second encoder takes any DINOv2 directory, and says so where it is given another."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

from contracts.tiny_clip import tiny_clip
from contracts.tiny_dino import SIDE, WIDTH, tiny_dino
from desiderata.errors import DesiderataError
from desiderata.foundation.picture_encoder import PictureEncoder, load_picture_encoder
from desiderata.foundation.registry import OutOfReach


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> PictureEncoder:
    return load_picture_encoder(str(folder))


def pictures(n: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (n, 40, 48, 3), dtype=np.uint8))


def test_embeddings_are_those_of_transformers(folder: Path, encoder: PictureEncoder):
    (picture,) = pictures(1)
    pixels = AutoImageProcessor.from_pretrained(folder)(Image.fromarray(picture), return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, SIDE, SIDE)
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder).eval()(pixel_values=pixels).last_hidden_state[0, 0].numpy()
    np.testing.assert_allclose(encoder.images([picture])[0], states / np.linalg.norm(states), atol=1e-6)


def test_rows_are_of_unit_length_and_the_same_in_any_company(encoder: PictureEncoder):
    images = pictures(19)
    together = encoder.images(images)
    assert together.shape == (19, encoder.dim) == (19, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1)
    for image, row in zip(images, together, strict=True):
        assert (encoder.images(image)[0] == row).all()
    assert encoder.images([]).shape == (0, WIDTH)
    with pytest.raises(DesiderataError, match="A picture was given as a str"):
        encoder.images(["cat.jpg"])  # pyright: ignore[reportArgumentType]


def test_what_is_no_dino_is_refused(tmp_path: Path):
    with pytest.raises(DesiderataError, match="is no whole Dinov2Model"):
        load_picture_encoder(str(tiny_clip(tmp_path / "clip")))


def test_one_that_cannot_be_fetched_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OutOfReach, match="facebook/dinov2-base could not be fetched") as error:
        load_picture_encoder()
    assert str(error.value).count(". ") == 0

"""Frozen CLIP encoders: images and sentences to unit vectors of one joint space (Radford et al., 2021)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPModel, PreTrainedModel

from desiderata.errors import DesiderataError
from desiderata.foundation.device import on
from desiderata.foundation.registry import OutOfReach, load_pretrained, locate
from desiderata.foundation.weights import load_model, load_tokenizer

ImageLike = Image.Image | NDArray[np.uint8]
"""An RGB picture: a Pillow image, or an array of shape (height, width, 3)."""

Item = TypeVar("Item")
Model = TypeVar("Model", bound=PreTrainedModel)

BUNDLED = "moji-clip"
"""The encoder that is always there."""

_TOKENS = 16
"""Sentences are padded to multiples of so many tokens, each by its own length alone."""


class Encoder(Protocol):
    """Anything that puts images and sentences into one space."""

    @property
    def name(self) -> str:
        """What it was loaded from; part of the key under which embeddings are cached."""
        ...

    @property
    def dim(self) -> int:
        """Length d of an embedding."""
        ...

    def images(self, images: Sequence[ImageLike]) -> NDArray[np.float64]:
        """Embed images; shape (n, d), rows of unit length."""
        ...

    def texts(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Embed sentences; shape (n, d), rows of unit length."""
        ...


class ClipEncoder:
    """A `transformers` CLIP model with its tokenizer and image processor, frozen.

    Args:
        model: The model.
        tokenizer: Turns sentences into token ids; longer sentences are cut at the model's length.
        processor: Resizes, crops and normalises pictures to what the model takes.
        name: See `Encoder.name`.
        device: Where it runs, such as "cpu" or "cuda".
        batch_size: Pictures or sentences at a time.

    Raises:
        DesiderataError: `device` does not exist on this machine, or `batch_size` is below 1.
    """

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: Any,
        processor: CLIPImageProcessorPil,
        name: str,
        device: str = "cpu",
        batch_size: int = 16,
    ) -> None:
        if batch_size < 1:
            raise DesiderataError(f"batch_size is {batch_size}, but at least 1 goes in at a time: try 16.")
        self._model = on_device(model, device)
        self._tokenizer = tokenizer
        self._processor = processor
        self._device = device
        self._batch_size = batch_size
        self._text_cache: dict[str, NDArray[np.float64]] = {}
        self.name = name

    @property
    def dim(self) -> int:
        """Length d of an embedding."""
        return cast(int, self._model.config.projection_dim)

    @property
    def model(self) -> CLIPModel:
        """The frozen model itself."""
        return self._model

    @torch.inference_mode()
    def images(self, images: Sequence[ImageLike]) -> NDArray[np.float64]:
        """Embed pictures.

        Args:
            images: RGB pictures of any size; a single one counts as a list of one.

        Returns:
            Shape (n, d), rows of unit length.

        Raises:
            DesiderataError: Something is no picture.
        """

        def see(pixels: torch.Tensor) -> torch.Tensor:
            return _pooled(self._model.get_image_features(pixel_values=pixels))

        return embedded(images, see, self._processor, self.dim, self._batch_size, self._device)

    def texts(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Embed sentences; each distinct sentence is embedded once in the life of this object.

        Args:
            texts: Sentences; a single one counts as a list of one.

        Returns:
            Shape (n, d), rows of unit length.

        Raises:
            DesiderataError: Something is no sentence.
        """
        texts = _sentences(texts)
        by_length: dict[int, list[str]] = {}
        for text in dict.fromkeys(texts):
            if text not in self._text_cache:
                by_length.setdefault(self._padded_length(text), []).append(text)
        for length, fresh in by_length.items():
            for start in range(0, len(fresh), self._batch_size):
                batch = fresh[start : start + self._batch_size]
                self._text_cache.update(zip(batch, self._embed_texts(batch, length)))
        return np.stack([self._text_cache[text] for text in texts]) if texts else np.empty((0, self.dim))

    def _padded_length(self, text: str) -> int:
        limit = cast(Any, self._model.config.text_config).max_position_embeddings
        tokens = len(self._tokenizer(text, truncation=True, max_length=limit)["input_ids"])
        return min(-(-tokens // _TOKENS) * _TOKENS, limit)

    @torch.inference_mode()
    def _embed_texts(self, texts: list[str], length: int) -> NDArray[np.float64]:
        (batch,) = filled_batches(texts, self._batch_size)
        tokens = self._tokenizer(batch, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        tokens = {key: value.to(self._device) for key, value in tokens.items() if key != "token_type_ids"}
        return unit_rows(_pooled(self._model.get_text_features(**tokens)))


def load_encoder(name: str = "moji-clip", *, device: str = "cpu", batch_size: int = 16) -> ClipEncoder:
    """Load a CLIP model.

    Args:
        name: A registered name, the path of a model directory, or a hub id; see `registry.locate`.
        device: Where it runs.
        batch_size: Pictures or sentences at a time.

    Returns:
        The frozen encoder, in float32.

    Raises:
        OutOfReach: The model is not here, and cannot be fetched.
        DesiderataError: The model cannot be found or read, is not a whole CLIP model, or cannot run on `device`.
    """
    locate(name, "encoder")
    try:
        model, tokenizer = load_model(CLIPModel, name), load_tokenizer(name)
        processor = load_pretrained(CLIPImageProcessorPil.from_pretrained, name)
    except OutOfReach as error:
        raise OutOfReach(
            f"{str(error).rstrip('.')}, or try things out on drawn pictures with {BUNDLED}, which comes with this "
            "package."
        ) from error
    return ClipEncoder(model, tokenizer, processor, name, device, batch_size)


def on_device(model: Model, device: str) -> Model:
    """Put a model on a device, frozen.

    Args:
        model: The model.
        device: Where it is to run.

    Returns:
        The model.

    Raises:
        DesiderataError: There is no such device.
    """
    with on(device):
        return cast(Any, model).to(device).eval().requires_grad_(False)


def as_pictures(images: Sequence[ImageLike]) -> list[ImageLike]:
    """Return pictures as a list, one that stands alone as a list of one.

    Args:
        images: As for `ClipEncoder.images`.

    Returns:
        The pictures.

    Raises:
        DesiderataError: Something is no picture, or one that would be embedded wrongly.
    """
    alone = isinstance(images, Image.Image) or (isinstance(images, np.ndarray) and images.ndim in {2, 3})
    pictures = cast("list[ImageLike]", [images] if alone else list(images))
    for picture in pictures:
        if isinstance(picture, Image.Image):
            continue
        what = f"a {type(picture).__name__}"
        if isinstance(picture, np.ndarray):
            if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
                continue
            what = f"an array of {picture.dtype} of shape {picture.shape}"
        raise DesiderataError(
            f"A picture was given as {what}, which cannot be read as one: give a Pillow image, or an RGB array of "
            "uint8, 0 to 255, of shape (height, width, 3)."
        )
    return pictures


def _sentences(texts: Sequence[str]) -> list[str]:
    """Return sentences as a list, one that stands alone as a list of one.

    Args:
        texts: As for `ClipEncoder.texts`.

    Returns:
        The sentences.

    Raises:
        DesiderataError: Something is no sentence.
    """
    sentences = [texts] if isinstance(texts, str) else list(texts)
    for sentence in sentences:
        if not isinstance(sentence, str):
            raise DesiderataError(f"A sentence was given as a {type(sentence).__name__}: give it as a string.")
    return sentences


def embedded(
    images: Sequence[ImageLike],
    see: Callable[[torch.Tensor], torch.Tensor],
    processor: Any,
    dim: int,
    size: int,
    device: str,
) -> NDArray[np.float64]:
    """Embed pictures, batch by batch.

    Args:
        images: RGB pictures of any size; a single one counts as a list of one.
        see: Turns pixels, shape (size, 3, height, width), into features, shape (size, dim).
        processor: Resizes, crops and normalises pictures to what `see` takes.
        dim: Length of an embedding.
        size: Of every batch; the last is filled up.
        device: Where `see` computes.

    Returns:
        Shape (n, dim), rows of unit length.

    Raises:
        DesiderataError: Something is no picture.
    """
    pictures, rows = as_pictures(images), [np.empty((0, dim))]
    for batch in filled_batches(pictures, size):
        pixels = processor(images=batch, return_tensors="pt")["pixel_values"].to(device)
        rows.append(unit_rows(see(pixels)))
    return np.concatenate(rows)[: len(pictures)]


def filled_batches(items: list[Item], size: int) -> Iterator[list[Item]]:
    """Cut into batches of one size, the last filled up with its last item.

    A matrix product rounds differently in batches of different shapes; in batches of one shape the same item has the
    same embedding to the last bit, whatever it is embedded with.

    Yields:
        Lists of `size` items.
    """
    for start in range(0, len(items), size):
        batch = items[start : start + size]
        yield batch + batch[-1:] * (size - len(batch))


def _pooled(output: Any) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output.pooler_output


def unit_rows(features: torch.Tensor) -> NDArray[np.float64]:
    """Return rows of unit length, shape (n, d), of features of that shape."""
    rows = features.to(torch.float64).cpu().numpy()
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

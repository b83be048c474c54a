"""Frozen encoders of pictures alone, DINOv2 and its like (Oquab et al., 2024): a second opinion on likeness."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BitImageProcessorPil, Dinov2Model

from desiderata.foundation.encoder import ImageLike, embedded, on_device
from desiderata.foundation.registry import load_pretrained, locate
from desiderata.foundation.weights import load_model


class PictureEncoder:
    """A `transformers` DINOv2 model with its image processor.

    It was trained without sentences, so that it tells individuals of a class apart which CLIP, going by words, takes
    for the same (Ruiz et al., 2023, section 4.1).

    Args:
        model: The model.
        processor: Resizes, crops and normalises pictures to what the model takes.
        name: What it was loaded from.
        device: Where it runs, such as "cpu" or "cuda".
        batch_size: Pictures at a time.
    """

    def __init__(
        self,
        model: Dinov2Model,
        processor: BitImageProcessorPil,
        name: str,
        device: str = "cpu",
        batch_size: int = 16,
    ) -> None:
        self._model, self._processor = on_device(model, device), processor
        self._device, self._batch_size = device, batch_size
        self.name = name

    @property
    def dim(self) -> int:
        """Length d of an embedding."""
        return cast(int, self._model.config.hidden_size)

    @torch.inference_mode()
    def images(self, images: Sequence[ImageLike]) -> NDArray[np.float64]:
        """Embed pictures: the class token after the last layer.

        Args:
            images: RGB pictures of any size; a single one counts as a list of one.

        Returns:
            Shape (n, d), rows of unit length.

        Raises:
            DesiderataError: Something is no picture.
        """

        def see(pixels: torch.Tensor) -> torch.Tensor:
            return self._model(pixel_values=pixels).pooler_output

        return embedded(images, see, self._processor, self.dim, self._batch_size, self._device)


def load_picture_encoder(name: str = "dinov2-base", *, device: str = "cpu") -> PictureEncoder:
    """Load a DINOv2 model.

    Args:
        name: A registered name, the path of a model directory, or a hub id; see `registry.locate`.
        device: Where it runs.

    Returns:
        The frozen encoder, in float32.

    Raises:
        OutOfReach: The model is not here, and cannot be fetched.
        DesiderataError: The model cannot be found or read, is not a whole DINOv2 model, or cannot run on `device`.
    """
    locate(name, "picture encoder")
    model = load_model(Dinov2Model, name)
    processor = load_pretrained(BitImageProcessorPil.from_pretrained, name)
    return PictureEncoder(model, processor, name, device)

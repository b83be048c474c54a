"""The frozen models of a personalising campaign, and how its configuration says that they are run."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from desiderata.campaign.config import Config
from desiderata.errors import DesiderataError
from desiderata.foundation.device import check_device
from desiderata.foundation.encoder import Encoder, load_encoder
from desiderata.foundation.generator import Generator, load_generator
from desiderata.foundation.sampling import Sampling

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Drawing:
    """What the table `generator` of a configuration says.

    Attributes:
        name: Of the base model.
        device: Where it runs.
        dtype: Of its weights.
        sampling: Fields of `Sampling` that are not as the model's directory says.
    """

    name: str
    device: str
    dtype: torch.dtype
    sampling: Mapping[str, Any]

    @classmethod
    def of(cls, config: Config) -> "Drawing":
        """Read it, without a look at the model.

        Args:
            config: Of a personalising campaign.

        Returns:
            What it says; "auto" is resolved.

        Raises:
            DesiderataError: It makes no sense, or there is no such device here.
        """
        said = dict(config.generator)
        name, device, precision = said.pop("name", ""), said.pop("device", "auto"), said.pop("precision", "float32")
        if precision not in PRECISIONS:
            raise DesiderataError(f"precision is {precision!r}: give {', '.join(PRECISIONS)}.")
        known = [field.name for field in fields(Sampling)]
        if unknown := [key for key in said if key not in known]:
            raise DesiderataError(
                f"The campaign's table `generator` has the unknown key {unknown[0]!r}: it takes name, device, "
                f"precision, {', '.join(known)}."
            )
        Sampling(**said)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        check_device(device)
        return cls(name, device, PRECISIONS[precision], said)


@dataclass(frozen=True)
class Models:
    """Frozen models that several campaigns of one process may share.

    Attributes:
        generator: The base model.
        encoder: Judges pictures.
    """

    generator: Generator
    encoder: Encoder

    @classmethod
    def of(cls, config: Config) -> "Models":
        """Load what a configuration names.

        Args:
            config: Of a personalising campaign.

        Returns:
            The models.

        Raises:
            DesiderataError: A model cannot be loaded, or the table `generator` says something that makes no sense.
        """
        drawing = Drawing.of(config)
        generator = load_generator(drawing.name, device=drawing.device, dtype=drawing.dtype)
        generator.sampling = replace(generator.sampling, **drawing.sampling)
        return cls(generator, load_encoder(config.encoder, device=drawing.device))

"""Tensors with a word about where they come from, as the content of a safetensors file."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from desiderata.errors import Damaged

if TYPE_CHECKING:  # what is said of tensors is read without torch
    import torch

HEADER = 100_000_000
"""Bytes that safetensors allows for what is said of tensors."""

DAMAGED = "A file of tensors is damaged: put it back from a copy."


def pack(tensors: Mapping[str, "torch.Tensor"], said: Mapping[str, Any]) -> bytes:
    """Return the content of a file; equal arguments give equal bytes.

    Args:
        tensors: On any device.
        said: Plain values, kept as JSON.

    Returns:
        The content.
    """
    from safetensors.torch import save

    kept = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    # one entry only: safetensors writes several in no fixed order
    return save(kept, metadata={"desiderata": json.dumps(said, sort_keys=True)})


def about(file: BinaryIO) -> dict[str, Any]:
    """Return the plain values alone that `pack` was given, and read no more of a file, which may have gigabytes.

    Raises:
        Damaged: It is damaged, or was not written by `pack`.
    """
    length = int.from_bytes(file.read(8), "little")
    content = file.read(min(length, HEADER))
    try:
        return json.loads(json.loads(content)["__metadata__"]["desiderata"])
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(DAMAGED) from error


def unpack(content: bytes) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Return what `pack` was given.

    Raises:
        Damaged: The content is damaged, or was not written by `pack`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    said = about(BytesIO(content))
    try:
        return load(content), said
    except SafetensorError as error:
        raise Damaged(DAMAGED) from error

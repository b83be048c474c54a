"""Where a training run stands: tensors in one safetensors file, replaced in one step."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from desiderata.errors import DesiderataError
from desiderata.files import staged

KINDS = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.int64: "I64"}
"""What safetensors files call kinds of numbers."""


def save_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], step: int, about: str) -> None:
    """Write where a run stands.

    What is on another device comes over tensor by tensor: weights and moments of a whole U-Net take 10 GB, which the
    memory beside it may not have.

    Args:
        path: The file.
        tensors: All that changes while training.
        step: How many steps are done.
        about: What makes this run another than others.
    """
    ordered = sorted(tensors.items(), key=lambda item: -item[1].element_size())  # each begins where its kind may
    header: dict[str, Any] = {"__metadata__": {"step": json.dumps(step), "about": about}}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": KINDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with staged(path) as temporary, temporary.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for _, tensor in ordered:
            file.write(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)


def load_checkpoint(path: Path, about: str, take: Callable[[str, torch.Tensor], None]) -> int:
    """Read what `save_checkpoint` wrote, likewise tensor by tensor.

    Args:
        path: The file.
        about: As given to `save_checkpoint`.
        take: Gets the name of every tensor and the tensor.

    Returns:
        The number of steps done; 0 when there is no file.

    Raises:
        DesiderataError: The file is that of another run, or cannot be read.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("about") == about:
                for name in file.keys():  # noqa: SIM118 (not a dict)
                    take(name, file.get_tensor(name))
    except (SafetensorError, OSError) as error:
        raise DesiderataError(
            f"The checkpoint {path} cannot be read ({error}): remove it, and training begins anew."
        ) from error
    if metadata.get("about") != about:
        raise DesiderataError(
            f"The checkpoint {path} is that of another training (other pictures, settings, seed or model): remove "
            "it, or give another file."
        )
    return json.loads(metadata["step"])

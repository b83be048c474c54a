"""Where a training run stands: tensors in one safetensors file, replaced in one step."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from desiderata.errors import DesiderataError
from desiderata.files import staged


def save_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], step: int, about: str) -> None:
    """Write where a run stands.

    Args:
        path: The file.
        tensors: All that changes while training.
        step: How many steps are done.
        about: What makes this run another than others.
    """
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with staged(path) as temporary:
        save_file(kept, temporary, metadata={"step": json.dumps(step), "about": about})


def load_checkpoint(path: Path, about: str) -> tuple[int, dict[str, torch.Tensor]]:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.
        about: As given to `save_checkpoint`.

    Returns:
        The number of steps done and the tensors; 0 and none when there is no file.

    Raises:
        DesiderataError: The file is that of another run, or cannot be read.
    """
    if not path.exists():
        return 0, {}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise DesiderataError(
            f"The checkpoint {path} cannot be read ({error}): remove it, and training begins anew."
        ) from error
    if metadata.get("about") != about:
        raise DesiderataError(
            f"The checkpoint {path} is that of another training (other pictures, settings, seed or model): remove "
            "it, or give another file."
        )
    return json.loads(metadata["step"]), tensors

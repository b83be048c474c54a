"""Checkpoints of a training run: tensors as safetensors, progress as metadata, written in one step."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from desiderata.errors import DesiderataError
from desiderata.files import staged


def save_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, step: int, about: str = ""
) -> None:
    """Write everything that a run needs to go on.

    Args:
        path: The file; replaced in one step.
        modules: Modules by name.
        optimizer: Its per-parameter tensors are kept; its hyperparameters belong to the caller.
        step: How many steps are done.
        about: What makes this run another than others: recipe, data, models.
    """
    tensors = {
        # A clone, since tied weights share storage, which the format refuses.
        f"{name}.{key}": value.clone().contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value).contiguous() for key, value in state.items()}
    with staged(path) as temporary:
        save_file(tensors, temporary, metadata={"step": json.dumps(step), "about": about})


def load_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, about: str = ""
) -> int:
    """Restore what `save_checkpoint` wrote.

    Args:
        path: The file.
        modules: The same modules, freshly made.
        optimizer: Freshly made over the same parameters.
        about: As given to `save_checkpoint`.

    Returns:
        The number of steps done; 0 when there is no checkpoint.

    Raises:
        DesiderataError: The checkpoint is that of another run.
    """
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("about", "") != about:
            raise DesiderataError(
                f"{path} was left by another recipe, other data or another model: give an empty --work folder."
            )
        step = json.loads(metadata["step"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    for name, module in modules.items():
        prefix = f"{name}."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, entry = key.split(".", 2)
            own = parameters[int(index)]
            # Laid out in memory as the parameter is: fused optimisers go by position and not by index.
            alike = torch.empty_like(own, dtype=value.dtype).copy_(value) if value.shape == own.shape else value
            state.setdefault(int(index), {})[entry] = alike
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return step


def key_of(*parts: object) -> str:
    """Return a key of everything that makes a run what it is: bytes as they are, the rest by `repr`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()

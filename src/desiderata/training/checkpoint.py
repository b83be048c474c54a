"""Checkpoints of a training run: tensors as safetensors, progress as metadata, written in one step."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from desiderata.files import staged


def save_checkpoint(path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write everything that a run needs to go on.

    Args:
        path: The file; replaced in one step.
        modules: Modules by name.
        optimizer: Its per-parameter tensors are kept; its hyperparameters belong to the caller.
        step: How many steps are done.
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
        save_file(tensors, temporary, metadata={"step": json.dumps(step)})


def load_checkpoint(path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> int:
    """Restore what `save_checkpoint` wrote.

    Args:
        path: The file.
        modules: The same modules, freshly made.
        optimizer: Freshly made over the same parameters.

    Returns:
        The number of steps done; 0 when there is no checkpoint.
    """
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        step = json.loads((file.metadata() or {})["step"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    for name, module in modules.items():
        prefix = f"{name}."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, entry = key.split(".", 2)
            state.setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return step

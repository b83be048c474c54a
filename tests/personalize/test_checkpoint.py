"""A checkpoint comes back as it went, and does not take the memory for a second copy of everything."""

import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from desiderata.errors import DesiderataError
from desiderata.personalize.trainers.checkpoint import load_checkpoint, save_checkpoint


def test_it_comes_back_bit_by_bit_and_is_a_safetensors_file(tmp_path: Path):
    tensors = {
        "step": torch.tensor(7.0),
        "half": torch.arange(3).bfloat16(),
        "turned": torch.arange(12.0).reshape(3, 4).T,
        "none": torch.zeros(0, 2),
        "long": torch.arange(5, dtype=torch.float64),
        "ünicode": torch.nn.Parameter(torch.randn(2, 3, 1)),
    }
    save_checkpoint(tmp_path / "c.safetensors", tensors, 12, "a run")
    found: dict[str, torch.Tensor] = {}
    assert load_checkpoint(tmp_path / "c.safetensors", "a run", found.__setitem__) == 12
    for read in (found, load_file(tmp_path / "c.safetensors")):
        assert read.keys() == tensors.keys()
        for name, value in tensors.items():
            assert (read[name].dtype, read[name].shape) == (value.dtype, value.shape)
            assert torch.equal(read[name], value)
    with pytest.raises(DesiderataError, match="is that of another training"):
        load_checkpoint(tmp_path / "c.safetensors", "another run", lambda *_: pytest.fail("it is taken over"))


def test_tensors_come_over_from_a_device_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copies: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def over(value: torch.Tensor) -> torch.Tensor:
        nonlocal most
        copy = value.clone()
        copies.append(weakref.ref(copy))
        most = max(most, sum(one() is not None for one in copies))
        return copy

    monkeypatch.setattr(torch.Tensor, "cpu", over)
    save_checkpoint(tmp_path / "c", {str(number): torch.full((9,), number) for number in range(6)}, 1, "")
    assert len(copies) == 6
    assert most == 1

import os
import subprocess
import sys

import joblib
import pytest
import torch

from desiderata.threads import SPINS, use_physical_cores, wait_briefly


@pytest.mark.parametrize(("before", "cores", "after"), [(8, 3, 3), (1, 3, 1)])
def test_threads_are_at_most_the_physical_cores(before: int, cores: int, after: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda only_physical_cores: cores)
    known = torch.get_num_threads()
    torch.set_num_threads(before)
    try:
        use_physical_cores()
        assert torch.get_num_threads() == after
    finally:
        torch.set_num_threads(known)


@pytest.mark.parametrize(
    ("said", "count"), [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_threads_wait_briefly_unless_the_user_says_how(
    said: dict[str, str], count: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "environ", dict(said))
    wait_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == count


def test_a_command_says_so_before_torch_is_imported():
    code = """
import os, sys
from desiderata.cli import main
main(["--help"])
assert "torch" not in sys.modules
print(os.environ["GOMP_SPINCOUNT"])
"""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_WAIT", "GOMP_"))}
    told = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)
    assert told.stdout.split()[-1] == SPINS

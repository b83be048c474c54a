import joblib
import pytest
import torch

from desiderata.threads import use_physical_cores


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

"""What all tests share: one thread each, and a cache of their own."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices; more threads than cores make them slower by far


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the user's cache to an empty folder."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DESIDERATA_CACHE", str(folder))
    return folder

"""What a newcomer waits for: the measurement itself."""

import json
import sys
from pathlib import Path

import pytest

from desiderata.bench import product
from desiderata.errors import DesiderataError


def test_scenes_are_counted_with_and_without_the_artwork():
    rates = product.scene_rates(20)
    assert set(rates) == {"first_a_second", "then_a_second"}
    assert min(rates.values()) > 0


def test_a_programs_memory_and_time_are_its_own():
    call = (sys.executable, "-c", "x = b'x' * (200 * 2**20); print(len(x))", "", "")
    run = product._child(call)
    assert run["said"].strip() == str(200 * 2**20)
    assert 200 < run["resident_mebibytes"] < 300
    assert 0 < run["processor_seconds"] <= 2 * run["seconds"] + 1


def test_a_program_that_fails_is_named():
    with pytest.raises(DesiderataError, match="`desiderata demo` ended with status 3"):
        product._child((sys.executable, "-c", "raise SystemExit(3)", "demo"))


def test_figures_are_written_raw_and_as_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(product, "HELP_RUNS", 1)
    monkeypatch.setattr(product, "SCENES", 20)
    told = []
    table = product.measure(demonstration=False, progress=lambda done, _all, what: told.append((done, what)))
    text = product.write_product(table, tmp_path)
    assert json.loads((tmp_path / "product.json").read_text()) == table
    assert f"| help: seconds median | {table['help']['seconds_median']:.3g} |" in text
    assert "demo" not in table
    assert told[0] == (0, "desiderata --help")
    assert table["help"]["seconds_median"] > 0

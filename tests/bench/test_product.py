"""What a newcomer waits for: the measurement itself."""

import json
import subprocess
import sys
import time
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


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes where Linux shows them")
def test_what_a_program_started_ends_with_the_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inner = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"

    def stopped(*_: object) -> None:
        while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", stopped)
    with pytest.raises(KeyboardInterrupt):
        product._said([sys.executable, "-c", outer])
    state = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    for _ in range(500):
        if not state.exists() or state.read_text().split()[2] == "Z":  # ended, and nobody has asked how
            return
        time.sleep(0.01)
    pytest.fail("it goes on alone")


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

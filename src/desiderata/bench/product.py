"""What a newcomer waits for and what it takes: help, the demonstration, scenes, pictures embedded (POSIX only)."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from desiderata.campaign.config import FILE
from desiderata.errors import DesiderataError
from desiderata.files import write_text
from desiderata.foundation.encoder import load_encoder
from desiderata.randomness import stream
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.sampler import sample_scene

HELP_RUNS = 9
SCENES = 2000

CALL = (sys.executable, "-c", "from desiderata.cli import main; raise SystemExit(main())")
"""The command line program of this very installation."""


def measure(*, demonstration: bool = True, progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Measure all of it, one after the other.

    Args:
        demonstration: Run the demonstration, which takes a minute or two.
        progress: Called with how much of what is done, of how much, and what it is.

    Returns:
        Seconds, mebibytes, and scenes and pictures a second, with what they were measured on.

    Raises:
        DesiderataError: The demonstration fails.
    """
    report = progress or (lambda _done, _all, _what: None)
    report(0, 4, "desiderata --help")
    table: dict[str, Any] = {"machine": machine(), "help": _help()}
    report(1, 4, "scenes")
    table["scenes"] = _scenes()
    report(2, 4, "embedding")
    table["embedding"] = _embedding()
    if demonstration:
        report(3, 4, "desiderata demo")
        table["demo"] = _demo()
    report(4, 4, "done")
    return table


def machine() -> dict[str, Any]:
    """Return what it was measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
    }


def write_product(table: Mapping[str, Any], out: Path) -> str:
    """Return the figures as Markdown, written to `product.md`, and as they are to `product.json`."""
    lines = ["| what | figure |", "|---|---|"]
    for part, figures in table.items():
        lines += [f"| {part}: {name.replace('_', ' ')} | {_figure(value)} |" for name, value in figures.items()]
    text = "\n".join(lines) + "\n"
    write_text(out / "product.json", json.dumps(table, indent=1) + "\n")
    write_text(out / "product.md", text)
    return text


def _help() -> dict[str, float]:
    _child([*CALL, "--help"])  # writes what Python compiles
    runs = [_child([*CALL, "--help"]) for _ in range(HELP_RUNS)]
    return {
        "seconds_median": float(np.median([run["seconds"] for run in runs])),
        "seconds_most": max(run["seconds"] for run in runs),
        "processor_seconds_median": float(np.median([run["processor_seconds"] for run in runs])),
    }


def _scenes() -> dict[str, float]:
    # In a program of its own, so that the first scenes pay for the artwork.
    code = "import json; from desiderata.bench.product import scene_rates; print(json.dumps(scene_rates()))"
    return json.loads(_said([sys.executable, "-c", code]))


def scene_rates(n: int = SCENES) -> dict[str, float]:
    """Return scenes of 64 x 64 drawn and rendered a second, on one core: artwork included, and without it.

    Args:
        n: How many of each.
    """
    rates = dict[str, float]()
    for name in ("first_a_second", "then_a_second"):
        rng, started = stream(0, "product", name), time.perf_counter()
        for _ in range(n):
            render(sample_scene(rng), rng)
        rates[name] = n / (time.perf_counter() - started)
    return rates


def _embedding() -> dict[str, float]:
    encoder = load_encoder("moji-clip")
    rng = stream(0, "product", "embedding")
    pictures = [render(sample_scene(rng), rng) for _ in range(SCENES // 2)]
    encoder.images(pictures[:64])
    started = time.perf_counter()
    encoder.images(pictures)
    return {"pictures_a_second": len(pictures) / (time.perf_counter() - started)}


def _demo() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        started = time.time()
        run = _child([*CALL, "demo", str(Path(folder) / "demo"), "--json"])
        said = json.loads(run.pop("said"))
        if said["generator"]:  # its configuration is written before anything is taught, and never again
            run["seconds_before_the_generator"] = (Path(said["generator"]["run"]) / FILE).stat().st_mtime - started
    ends = {entry["strategy"]: entry["test_accuracy"] for entry in said["rounds"]}
    return {**run, **{f"{strategy}_test_accuracy": accuracy for strategy, accuracy in ends.items()}}


_WATCH = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
run = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([run.returncode, run.stdout, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
"""Runs a program from a small one: from a large one it would inherit the largest memory so far."""


def _child(call: Sequence[str]) -> dict[str, Any]:
    # What a program said and took; the memory is that of its largest process.
    watched = _said([sys.executable, "-c", _WATCH, *call])
    status, said, seconds, processor_seconds, memory = json.loads(watched)
    if status:
        raise DesiderataError(f"`desiderata {call[3]}` ended with status {status}: run it by itself.")
    return {
        "said": said,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "resident_mebibytes": memory / (2**20 if sys.platform == "darwin" else 2**10),
    }


def _said(call: Sequence[str]) -> str:
    """Return what a program printed; whatever ends this one meanwhile ends all that that has started, too.

    Raises:
        CalledProcessError: It failed.
    """
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            said = process.communicate()[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, call)
    return said


def _figure(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

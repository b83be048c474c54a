"""Runs in processes of their own."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from desiderata.bench.pool import finished


def touch(path: Path) -> None:
    if path.parent.name == "gone":
        raise DesiredError("no such place")
    time.sleep(0.05)
    path.touch()


class DesiredError(Exception):
    pass


def test_every_job_is_done(tmp_path: Path):
    jobs = [tmp_path / str(number) for number in range(4)]
    assert sorted(finished(touch, jobs, 2)) == jobs
    assert sorted(tmp_path.iterdir()) == jobs


def test_after_an_error_the_rest_is_left(tmp_path: Path):
    jobs = [tmp_path / "gone" / "x", *(tmp_path / str(number) for number in range(200))]
    with pytest.raises(DesiredError, match="no such place"):
        list(finished(touch, jobs, 1))
    assert len(list(tmp_path.iterdir())) < 100


def wait_for_ever(path: Path) -> None:
    path.touch()
    time.sleep(600)


def test_an_interrupt_of_this_process_alone_ends_those_at_work(tmp_path: Path):
    def interrupt() -> None:
        while not (tmp_path / "0").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    started = time.monotonic()
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        list(finished(wait_for_ever, [tmp_path / "0", tmp_path / "1"], 1))
    assert time.monotonic() - started < 300
    assert not (tmp_path / "1").exists()

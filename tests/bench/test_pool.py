"""Runs in processes of their own."""

import os
import signal
import threading
import time
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
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


def touch_or_wait(path: Path) -> None:
    (wait_for_ever if path.name == "waits" else touch)(path)


def children_end(before: set[BaseProcess]) -> bool:
    """Return whether those that were started since end by themselves within a minute."""
    until = time.monotonic() + 60
    while (new := {*active_children()} - before) and time.monotonic() < until:
        time.sleep(0.05)
    return not new


def test_an_interrupt_of_this_process_alone_ends_those_at_work(tmp_path: Path):
    def interrupt() -> None:
        until = time.monotonic() + 120
        while not (tmp_path / "0").exists() and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    others, before = {*active_children()}, signal.signal(signal.SIGINT, signal.default_int_handler)
    elsewhere = threading.Thread(target=interrupt)
    elsewhere.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(finished(wait_for_ever, [tmp_path / "0", tmp_path / "1"], 1))
    finally:
        elsewhere.join()
        signal.signal(signal.SIGINT, before)
    assert children_end(others)
    assert not (tmp_path / "1").exists()


def test_whoever_asks_for_no_further_job_leaves_none_at_work(tmp_path: Path):
    others = {*active_children()}
    jobs = finished(touch_or_wait, [tmp_path / "0", tmp_path / "waits"], 2)
    assert next(jobs) == tmp_path / "0"
    jobs.close()
    assert children_end(others)

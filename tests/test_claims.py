"""What a claim keeps others from, and how it ends."""

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from desiderata.claims import claimed, is_claimed

HOLDS = """
import sys, time
from pathlib import Path
from desiderata.claims import claimed
with claimed(Path(sys.argv[1])) as alone:
    print(alone, flush=True)
    time.sleep(60)
"""


def test_one_at_a_time(tmp_path: Path):
    path = tmp_path / "deep" / "work.lock"
    with claimed(path) as first:
        with claimed(path) as second, claimed(tmp_path / "other.lock") as other:
            assert (first, second, other) == (True, False, True)
        assert path.exists(), "who does not have it leaves it alone"
    assert not path.exists()
    with claimed(path) as again:
        assert again


def test_one_that_waits_has_it_in_the_end(tmp_path: Path):
    path, order = tmp_path / "work.lock", []

    def wait() -> None:
        with claimed(path, wait=True) as alone:
            order.append(("waited", alone))
            time.sleep(0.1)
            order.append(("done", alone))

    others = [threading.Thread(target=wait) for _ in range(3)]
    with claimed(path):
        for one in others:
            one.start()
        time.sleep(0.2)
        order.append(("first", True))
    for one in others:
        one.join()
    assert order == [("first", True), *[("waited", True), ("done", True)] * 3]
    assert not path.exists()


HURRIES = """
import sys, time
from pathlib import Path
from desiderata.claims import claimed
place, end, done = Path(sys.argv[1]), time.monotonic() + 60, 0
while done < 300 and time.monotonic() < end:  # nobody is owed the next turn, but those who had theirs go away
    with claimed(place / "work.lock", wait=done % 2 == 0) as alone:
        if alone:
            (place / "inside").mkdir()  # fails where another one is
            time.sleep(0.001)
            (place / "inside").rmdir()
            done += 1
print(done)
"""


def test_several_processes_never_have_it_at_once(tmp_path: Path):
    words = [sys.executable, "-c", HURRIES, str(tmp_path)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [(*one.communicate(), one.returncode) for one in running]
    assert said == [("300\n", "", 0)] * 3
    assert list(tmp_path.iterdir()) == []


def test_whether_it_is_claimed_is_asked_without_a_trace(tmp_path: Path):
    path = tmp_path / "work.lock"
    assert not is_claimed(path)
    assert not is_claimed(tmp_path / "nowhere" / "work.lock")
    assert list(tmp_path.iterdir()) == []
    with claimed(path):
        assert is_claimed(path)
        assert is_claimed(path), "it is asked and not taken"
    path.touch()  # as a kill leaves it
    assert not is_claimed(path)
    assert path.exists()


def test_where_a_file_system_has_no_locks_nobody_is_kept_from_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuses(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuses)
    with claimed(tmp_path / "work.lock") as first, claimed(tmp_path / "work.lock", wait=True) as second:
        assert (first, second) == (True, True)
        assert not is_claimed(tmp_path / "work.lock")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_work_is_raised_as_it_is(tmp_path: Path):
    with (
        pytest.raises(ValueError, match="of the work") as error,
        claimed(tmp_path / "work.lock"),
        claimed(tmp_path / "work.lock"),
    ):
        raise ValueError("of the work")
    assert error.value.__context__ is None
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_killed_holds_nothing_any_more(tmp_path: Path):
    path = tmp_path / "work.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with claimed(path) as alone:
            assert not alone
        other.kill()
    with claimed(path) as alone:
        assert alone
    assert not path.exists()

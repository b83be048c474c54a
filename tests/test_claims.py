"""What a claim keeps others from, and how it ends."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from desiderata.claims import claimed

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

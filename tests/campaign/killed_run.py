"""Kills a campaign at every point at which it writes, resumes it, and tells whether the history came out the same.

Run as a script, because each run is a forked child: `python killed_run.py FOLDER` prints one line of JSON.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fake_parts import AskInTurn, Noise, RunningMean
from sqlalchemy import Engine, event

from desiderata.campaign.loop import Campaign

ROUNDS = 2


def watch_writes(at_point: Callable[[], None]) -> None:
    """Call `at_point` before and after every rename and commit, and before every statement that writes."""

    @event.listens_for(Engine, "before_cursor_execute")
    def before_statement(_connection, _cursor, statement, *_):
        if statement.split()[0] in {"INSERT", "UPDATE"}:
            at_point()

    @event.listens_for(Engine, "commit")
    def before_commit(_connection):
        at_point()

    rename = Path.replace

    def replace(self, target):
        at_point()
        result = rename(self, target)
        at_point()
        return result

    Path.replace = replace


def play(path: Path) -> None:
    parts = {"learner": RunningMean(), "strategy": AskInTurn()}
    exists = (path / "campaign.toml").exists()
    campaign = Campaign.open(path, **parts) if exists else Campaign.create(path, seed=3, **parts)
    campaign.run(Noise(), ROUNDS)


def kill_at(point: int) -> None:
    left = point

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    watch_writes(count)


def child(path: Path, before: Callable[[], None] = lambda: None) -> int:
    """Play in a fork and return its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            before()
            play(path)
            code = 0
        finally:
            os._exit(code)
    return pid


def killed(pid: int) -> bool:
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise RuntimeError("the run failed")
    return False


def what_is_wrong(path: Path) -> list[str]:
    """Break none of these at any time, also before the run is resumed."""
    if not (path / "campaign.toml").exists():
        return ["half a directory"] if path.exists() else []
    campaign = Campaign.open(path, learner=RunningMean(), strategy=AskInTurn())
    wrong = []
    told = {answer.query_id for answer in campaign.answers}
    if told != {query.id for query in campaign.queries if query.status == "answered"}:
        wrong.append("answers and statuses disagree")
    if [r.number for r in campaign.rounds] != list(range(len(campaign.rounds))):
        wrong.append("a round is missing")
    for answer in campaign.answers:
        if not (path / "images" / answer.image[:2] / f"{answer.image}.png").exists():
            wrong.append("a picture is missing")
    for number in range(len(campaign.rounds)):
        if not (path / "rounds" / f"{number:03d}.safetensors").exists():
            wrong.append("weights are missing")
    campaign.store.close()
    return wrong


def history(path: Path) -> str:
    campaign = Campaign.open(path, learner=RunningMean(), strategy=AskInTurn())
    text = campaign.history()
    campaign.store.close()
    return text


def main(folder: Path) -> dict[str, object]:
    os.fsync = lambda _: None  # a killed process loses nothing that the system has
    event.listen(Engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    killed(child(folder / "whole"))
    whole = history(folder / "whole")
    wrong: list[str] = []
    point = 1
    while True:
        path = folder / str(point)
        if not killed(child(path, partial(kill_at, point))):
            break
        wrong += [f"point {point}: {one}" for one in what_is_wrong(path)]
        killed(child(path))
        if history(path) != whole:
            wrong.append(f"point {point}: another history")
        point += 1
    draw = random.Random(0)
    kills = 0
    path = folder / "random"
    while True:
        pid = child(path)
        time.sleep(draw.uniform(0.001, 0.05))
        os.kill(pid, signal.SIGKILL)
        if not killed(pid):
            break
        kills += 1
        wrong += [f"random kill {kills}: {one}" for one in what_is_wrong(path)]
        if kills == 12:
            killed(child(path))
            break
    if history(path) != whole:
        wrong.append("random kills: another history")
    return {"points": point - 1, "random": kills, "wrong": wrong, "queries": whole.count('"status"')}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))

"""Kills a personalising campaign wherever it writes, resumes it, and tells whether everything came out the same.

Run as a script, because each run is a forked child: `python killed_drawing.py FOLDER STRIDE` prints a line of JSON.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "campaign")]

from killed_run import kill_at, killed  # noqa: E402
from quick_parts import Drill, Painter, campaign, contents  # noqa: E402
from sqlalchemy import event  # noqa: E402
from sqlalchemy.engine import Engine  # noqa: E402

from desiderata.personalize.answers import OwnSamples  # noqa: E402
from desiderata.personalize.teaching import TRAINING  # noqa: E402
from desiderata.personalize.trainers.recipe import Recipe  # noqa: E402

ROUNDS = 2
BATCH = 4
STEPS = 8
"""Of a lesson; far more than a kill may cost."""


class Logged(list):
    """A list that outlives its process."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def __iadd__(self, rows):
        return self.extend(rows) or self

    def extend(self, rows):
        with self.path.open("a") as file:
            file.writelines(f"{row}\n" for row in rows)

    def append(self, row):
        self.extend([row])


def log_of(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}-{what}.log")


def play(path: Path) -> None:
    Drill.lessons = Logged(log_of(path, "lessons"))
    painter = Painter(drawn=Logged(log_of(path, "drawn")))
    made = campaign(path, generator=painter, trainer=Drill(Recipe(steps=STEPS)))
    made.run(OwnSamples(made), ROUNDS)
    (path / "history.json").write_text(made.history())


def child(path: Path, before: Callable[[], None] = lambda: None) -> int:
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


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def kept(path: Path) -> dict[str, bytes]:
    """Return what a run is made of; a kill right after its last record leaves where training stood behind."""
    return {name: content for name, content in contents(path).items() if not name.startswith(TRAINING)}


def main(folder: Path, stride: int) -> dict[str, object]:
    os.fsync = lambda _: None  # a killed process loses nothing that the system has
    event.listen(Engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    killed(child(folder / "whole"))
    whole, drawn = kept(folder / "whole"), lines(log_of(folder / "whole", "drawn"))
    lessons = len(lines(log_of(folder / "whole", "lessons")))
    wrong: list[str] = []
    points = 0
    while True:
        point = 1 + points * stride
        path = folder / str(point)
        if not killed(child(path, partial(kill_at, point))):
            break
        killed(child(path))
        points += 1
        came = kept(path)
        if came != whole:
            other = sorted(name for name in came.keys() | whole.keys() if came.get(name) != whole.get(name))
            wrong.append(f"point {point}: {other} are not the same")
        again = len(lines(log_of(path, "drawn"))) - len(drawn)
        if set(lines(log_of(path, "drawn"))) != set(drawn) or again > BATCH:
            wrong.append(f"point {point}: {again} pictures were drawn again")
        if (again := len(lines(log_of(path, "lessons"))) - lessons) > 2:
            wrong.append(f"point {point}: {again} steps were learnt again")
    return {"points": points, "wrong": wrong, "drawn": len(drawn), "lessons": lessons, "files": sorted(whole)}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))

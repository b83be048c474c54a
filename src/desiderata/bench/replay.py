"""What results of earlier versions lack, measured by answering their recorded sentences again.

A scene oracle draws from random streams that the seed, the round and the query name, so that the same sentences bring
the same pictures. (Only points that answered themselves cannot come again: GenMQD-Fea records none.)
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from desiderata.bench.collect import Cell, Plan, world_of
from desiderata.bench.world import MojiBench
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Proposal, Query
from desiderata.collect.data import LabelledSet
from desiderata.errors import DesiderataError
from desiderata.files import write_text
from desiderata.oracles.scene import scene_oracle
from desiderata.randomness import stream
from desiderata.worlds.moji.scene import CLASSES

FILE = "replayed.json"


def replay(plan: Plan, out: Path, progress: Callable[[int, int, str], None] | None = None) -> None:
    """Add `with_validation` to the results of a plan that lack it, as `bench.collect.run_cell` measures it.

    `replayed.json` gets a row for each: the accuracy recorded, that of the same head on the pictures that came again,
    and that with the validation pictures, too.

    Args:
        plan: The experiment, of methods that ask in words.
        out: Where its results are.
        progress: Called with the number of results done, of all, and the one just done.

    Raises:
        DesiderataError: A result is not there, or its method records no sentences.
    """
    cells = [cell for cell in plan.cells() if "with_validation" not in _read(cell, out)]
    known = json.loads((out / FILE).read_text()) if (out / FILE).exists() else []
    report = progress or (lambda _done, _all, _name: None)
    for done, cell in enumerate(cells, start=1):
        result, world = _read(cell, out), world_of(cell.setting, out, plan.encoder, plan.sizes)
        again, more = measured_again(result, cell, world)
        about = {"setting": cell.setting, "method": cell.method, "seed": cell.seed}
        known.append({**about, "recorded": result["curve"][-1][1], "again": again, "with_validation": more})
        write_text(out / FILE, json.dumps(known, indent=1))
        write_text(cell.path(out), json.dumps({**result, "with_validation": more}))
        report(done, len(cells), f"{cell.setting} {cell.method} {cell.seed}")


def measured_again(result: Mapping[str, Any], cell: Cell, world: MojiBench) -> tuple[float, float]:
    """Return the test accuracy of a head on what a result collected, and with the validation pictures, too.

    Args:
        result: As `run_cell` returned it.
        cell: Its cell.
        world: Of the cell's setting.

    Returns:
        Both accuracies. The first is the recorded one, but for the last digits of embeddings.

    Raises:
        DesiderataError: There are no sentences to be answered.
    """
    initial, validation, _ = world.data(cell.seed)
    oracle, pictures, labels = scene_oracle(), [], []
    for query in _queries(result):
        try:
            came = oracle.answer(query, stream(cell.seed, query.round, "answer", query.id))
        except CannotAnswer:
            continue
        pictures += [picture for picture, _ in came]
        labels += [CLASSES.index(label or query.label) for _, label in came]
    if len(pictures) != result["curve"][-1][0]:
        raise DesiderataError(
            f"{cell.setting} {cell.method} {cell.seed} collected {result['curve'][-1][0]} examples, and "
            f"{len(pictures)} pictures come again: run it anew."
        )
    features = [world.encoder.images(pictures[start : start + 10]) for start in range(0, len(pictures), 10)]
    collected = LabelledSet(np.vstack(features), np.array(labels))
    return world.learnt(cell.seed, initial, collected), world.learnt(cell.seed, initial, collected, validation)


def _queries(result: Mapping[str, Any]) -> Iterator[Query]:
    """Yield the queries of a result with the ids that they had."""
    number, position = 0, 0
    for row in result["queries"]:
        position = position + 1 if row["round"] == number else 1
        number = row["round"]
        proposal = Proposal(row["label"], row["text"])
        yield Query(f"r{number:03d}-q{position:02d}", number, proposal, "open")


def _read(cell: Cell, out: Path) -> dict[str, Any]:
    path = cell.path(out)
    if not path.exists():
        raise DesiderataError(f"{out} has no result of {cell.setting} {cell.method} {cell.seed}: run it first.")
    return json.loads(path.read_text())

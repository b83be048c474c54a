"""How results are printed: one JSON object, or lines for people."""

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desiderata.cli.halves import collecting

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Answer, Query, Round

Run = Annotated[Path, typer.Argument(help="The directory of the run.", metavar="RUN", callback=collecting)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def show_json(value: Mapping[str, Any], indent: int | None = 2) -> None:
    """Print one JSON object, with letters as they are where the output can hold them."""
    plain = (sys.stdout.encoding or "").replace("-", "").lower() != "utf8"
    print(json.dumps(value, ensure_ascii=plain, indent=indent, default=str))


def command(*words: object) -> str:
    """Return a command of this program as it can be pasted into a shell."""
    return shlex.join(["desiderata", *map(str, words)])


def called(*words: object) -> str:
    """Return a command as `command` does, by the path that this program was called by where its name is not found."""
    own = sys.argv[0]
    found = shutil.which("desiderata") or Path(own).name != "desiderata"
    return command(*words) if found else shlex.join([own, *map(str, words)])


def count(number: int, one: str, many: str = "") -> str:
    """Return "1 query" or "7 queries"; `many` is `one` with an s where it is not given."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def decided(answered: int, skipped: int) -> str:
    """Return how many queries were answered and skipped: "1 query answered, 0 skipped"."""
    return f"{count(answered, 'query', 'queries')} answered, {skipped} skipped"


def collected(answers: "Sequence[Answer]") -> str:
    """Return how many images were collected, and how many points that have none: "3 images", "2 points"."""
    images = sum(bool(answer.image) for answer in answers)
    points = len(answers) - images
    counts = [count(n, what) for n, what in ((images, "image"), (points, "point")) if n]
    return " and ".join(counts) or "0 images"


def query_json(query: "Query") -> dict[str, Any]:
    """Return a query under its documented keys: id, round, label, text, status, reason, evidence."""
    return {
        "id": query.id,
        "round": query.round,
        "label": query.label,
        "text": query.text,
        "status": query.status,
        "reason": query.reason,
        "evidence": dict(query.proposal.evidence),
    }


def answer_json(answer: "Answer") -> dict[str, Any]:
    """Return an answer under its documented keys: image, label, weight, source."""
    return {"image": answer.image, "label": answer.label, "weight": answer.weight, "source": answer.source}


def round_json(round: "Round") -> dict[str, Any]:
    """Return a round under its documented keys: number, examples, metrics."""
    return {"number": round.number, "examples": round.examples, "metrics": dict(round.metrics)}


def after_json(campaign: "Campaign", query_id: str) -> dict[str, Any]:
    """Return what tell, skip and undo have in common: run, query, open (the queries that are still open)."""
    still_open = [query.id for query in campaign.queries if query.status == "open"]
    return {"run": str(campaign.path), "query": query_id, "open": still_open}


def after_words(after: Mapping[str, Any], *group: str, others: str = "") -> str:
    """Return the same for people.

    Args:
        after: From `after_json`.
        group: The group of commands that the run belongs to.
        others: Which commands close the round besides `ask`, as words in parentheses.
    """
    if after["open"]:
        return f"{len(after['open'])} still open in this round."
    ask, undo = command(*group, "ask", after["run"]), command(*group, "undo", after["run"], after["query"])
    return f"That was the last of its round, which `{ask}` closes{others}; until then `{undo}` takes it back."


def closed_words(round: "Round") -> str:
    """Return that a round is closed, and what the classifier is worth after it."""
    return f"Round {round.number} is closed: {figures(round.metrics)}."


def figures(metrics: Mapping[str, float]) -> str:
    """Return the accuracies among `metrics` as words."""
    named = {"test_accuracy": "on the test images", "validation_accuracy": "on the validation images"}
    known = [f"{metrics[name]:.1%} right {where}" for name, where in named.items() if name in metrics]
    return ", ".join(known) or ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())

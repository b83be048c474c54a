"""Records as rows of the database, and back."""

import base64
import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from desiderata.campaign.records import Answer, Proposal, Query, Round, Withdrawal
from desiderata.errors import DesiderataError
from desiderata.files import readable

_DIGEST = re.compile("[0-9a-f]{64}")
_ID = re.compile(r"r\d+-q\d+")


def check_digest(image: str) -> None:
    """Make sure that a picture is called by a SHA-256, which as the name of a file leads nowhere else.

    Raises:
        DesiderataError: It is not: somebody has changed the record.
    """
    if not _DIGEST.fullmatch(image):
        raise DesiderataError(
            f"The record calls a picture {image!r}, which is no SHA-256: put the database back from a copy."
        )


def query_row(position: int, query: Query) -> dict[str, Any]:
    """Return the row of a query, the `position`-th of its round."""
    proposal = query.proposal
    return {
        "id": query.id,
        "round": query.round,
        "position": position,
        "label": proposal.label,
        "text": proposal.text,
        "feature": None if proposal.feature is None else to_blob(proposal.feature),
        "evidence": to_json({name: float(value) for name, value in proposal.evidence.items()}),
        "weight": float(proposal.weight),
        "status": query.status,
        "reason": query.reason,
    }


def query_of(row: Row[Any]) -> Query:
    """Return the query of a row.

    Raises:
        DesiderataError: Its id is none that this library gives; files are called by them.
    """
    if not _ID.fullmatch(row.id):
        raise DesiderataError(f"The record calls a query {row.id!r}, which is no id: put it back from a copy.")
    feature = None if row.feature is None else from_blob(row.feature)
    proposal = Proposal(row.label, row.text, feature, json.loads(row.evidence), row.weight)
    return Query(row.id, row.round, proposal, row.status, row.reason)


def answer_row(position: int, answer: Answer) -> dict[str, Any]:
    """Return the row of an answer, the `position`-th of its query."""
    return {
        "query": answer.query_id,
        "position": position,
        "image": answer.image,
        "label": answer.label,
        "weight": float(answer.weight),
        "source": readable(answer.source),
    }


def answer_of(row: Row[Any]) -> Answer:
    """Return the answer of a row.

    Raises:
        DesiderataError: What it calls its picture is no name of one.
    """
    if row.image:
        check_digest(row.image)
    return Answer(row.query, row.image, row.label, row.weight, row.source)


def withdrawal_row(withdrawal: Withdrawal) -> dict[str, Any]:
    """Return the row of a withdrawal; they are numbered as they come."""
    answers = [answer_row(position, answer) for position, answer in enumerate(withdrawal.answers)]
    return {
        "query": withdrawal.query_id,
        "status": withdrawal.status,
        "reason": withdrawal.reason,
        "answers": to_json(answers),
    }


def withdrawal_of(row: Row[Any]) -> Withdrawal:
    """Return the withdrawal of a row."""
    answers = [
        Answer(one["query"], one["image"], one["label"], one["weight"], one["source"])
        for one in json.loads(row.answers)
    ]
    return Withdrawal(row.query, row.status, row.reason, tuple(answers))


def round_row(round: Round) -> dict[str, Any]:
    """Return the row of a round."""
    metrics = to_json({name: float(value) for name, value in round.metrics.items()})
    return {"number": round.number, "examples": round.examples, "metrics": metrics}


def round_of(row: Row[Any]) -> Round:
    """Return the round of a row."""
    return Round(row.number, row.examples, json.loads(row.metrics))


def to_json(value: Any) -> str:
    """Return canonical JSON: equal values give equal text. Arrays become base64 of their float64 bytes.

    Raises:
        ValueError: A figure is not finite.
    """
    return json.dumps(
        value,
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
        default=lambda vector: base64.b64encode(to_blob(vector)).decode(),
    )


def to_blob(vector: NDArray[np.float64]) -> bytes:
    """Return the bytes of a vector, little-endian float64."""
    return np.asarray(vector, dtype="<f8").tobytes()


def from_blob(blob: bytes) -> NDArray[np.float64]:
    """Return the vector of `to_blob`."""
    return np.frombuffer(blob, dtype="<f8").astype(np.float64)

"""What the figures of the personalising experiment show of a campaign, kept in two small files beside its result."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from desiderata.campaign.images import to_png
from desiderata.campaign.loop import Campaign
from desiderata.files import staged, write_bytes
from desiderata.foundation.encoder import Encoder
from desiderata.personalize.answers import shelf_of
from desiderata.personalize.looking import measured_pictures
from desiderata.personalize.pictures import read_references
from desiderata.personalize.selection import selections
from desiderata.personalize.subject import Subject
from desiderata.personalize.tensors import unpack
from desiderata.personalize.uncertainty import overfitted
from desiderata.report.sheet import sheet

SHOWN = 6
"""How many test prompts, evenly spread, the first picture of every round is kept of."""

SIDE = 128
"""Pictures are kept at this size at most, in pixels on a side."""

MAPPED = 2
"""The round whose candidates are mapped, or the last one asked where there were fewer (Fig. 3)."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pictures drawn for the directions of one round, as CLIP sees them.

    Attributes:
        round: Which one.
        directions: n sentences.
        entropies: Shape (n,), nats.
        features: Shape (n * m, d), direction after direction.
        usable: Shape (n * m,), which of them were not blacked out.
        overfitted: Shape (n * m,), which of them are nearer to a non-subject prompt than to their own (Eq. 8).
        references: Shape (r, d), of the pictures of the subject.
    """

    round: int
    directions: Sequence[str]
    entropies: NDArray[np.float64]
    features: NDArray[np.float64]
    usable: NDArray[np.bool_]
    overfitted: NDArray[np.bool_]
    references: NDArray[np.float64]


def keep_pictures(campaign: Campaign, name: Path, encoder: Encoder) -> None:
    """Keep a sheet of pictures, and the embeddings of one round's candidates.

    Args:
        campaign: On disk.
        name: Of the files, without endings: the sheet is a PNG with a column for each of `shown_prompts` and
            a row for each round, below a row of references.
        encoder: Embeds the references.
    """
    given = read_references(campaign.config.world["images"], SIDE)
    rows = [[one.image for one in given]]
    for done in campaign.rounds:
        measured = measured_pictures(campaign, done.number)
        shown = [measured[place] for place in shown_prompts(len(measured))]
        rows.append([np.zeros_like(given[0].image) if not images or images[0] is None else images[0]
                     for _, images in shown])  # fmt: skip
    side = min(SIDE, max(image.shape[0] for row in rows[1:] for image in row))
    write_bytes(name.with_name(f"{name.name}.png"), to_png(sheet(rows, side)))
    _keep_candidates(campaign, name, encoder, encoder.images([one.image for one in given]))


def _keep_candidates(campaign: Campaign, name: Path, encoder: Encoder, references: NDArray[np.float64]) -> None:
    asked = [one for one in selections(shelf_of(campaign)) if one.directions]
    if not asked:
        return
    mapped = asked[min(MAPPED, len(asked)) - 1]
    content = shelf_of(campaign).get(f"rounds/{mapped.round:03d}/candidates.safetensors")
    tensors, _ = unpack(content)
    features, n = tensors["features"].numpy(), len(mapped.directions)
    named = encoder.texts([one.prompt for one in mapped.directions])
    plain = encoder.texts(Subject.read(campaign.config.subject).non_subjects)
    by_direction = features.reshape(n, -1, features.shape[1])
    flags = overfitted(np.einsum("nmd,nd->nm", by_direction, named), by_direction @ plain.T)
    about = {
        "round": mapped.round,
        "directions": [one.prompt for one in mapped.directions],
        "entropies": [one.entropy for one in mapped.directions],
    }
    kept = {
        "features": features.astype(np.float32),
        "usable": tensors["usable"].numpy(),
        "overfitted": flags.ravel(),
        "references": references.astype(np.float32),
    }
    with staged(name.with_name(f"{name.name}.safetensors")) as temporary:
        save_file(kept, temporary, metadata={"about": json.dumps(about)})


def shown_prompts(prompts: int) -> list[int]:
    """Return which of so many test prompts are shown, by their places: `SHOWN` at most, evenly spread."""
    number = min(SHOWN, prompts)
    return [place * prompts // number for place in range(number)]


def sheet_rows(path: Path, rounds: int) -> list[list[NDArray[np.uint8]]]:
    """Return the pictures of a sheet, references first, then round after round."""
    with Image.open(path) as page:
        pixels = np.asarray(page.convert("RGB"))
    side = pixels.shape[0] // (rounds + 1)
    return [
        [pixels[down : down + side, across : across + side] for across in range(0, pixels.shape[1], side)]
        for down in range(0, pixels.shape[0], side)
    ]


def candidates_kept(path: Path) -> Drawn:
    """Return the embeddings that `keep_pictures` wrote."""
    with safe_open(path, framework="numpy") as file:
        about: Mapping[str, Any] = json.loads((file.metadata() or {})["about"])
        names = ("features", "usable", "overfitted", "references")
        features, usable, flags, references = (file.get_tensor(name) for name in names)
    return Drawn(
        about["round"],
        about["directions"],
        np.asarray(about["entropies"]),
        features.astype(float),
        usable,
        flags,
        references.astype(float),
    )

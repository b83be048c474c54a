"""What an exported classifier says about itself: `card.json`."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from desiderata import __version__
from desiderata.errors import DesiderataError

FILE = "card.json"
"""What makes a folder an exported classifier."""

VERSION = 1
"""Of the layout."""


@dataclass(frozen=True)
class Card:
    """The card of a classifier.

    Attributes:
        classes: Names, in the order of the head's outputs.
        encoder: Name, directory or hub id of the encoder that the head stands on.
        probe: Length d, what that makes of `features.probe_picture()`, by which it is known again.
        head: Parameters of `HeadClassifier`.
        figures: What the classifier was worth when it was fitted.
        campaign: Where it comes from: round, strategy, seed, and how many examples of which part; where it has
            learnt the validation examples, too, as `without_validation` the figures of the one that had not.

    Raises:
        DesiderataError: Something of it cannot be meant.
    """

    classes: Sequence[str]
    encoder: str
    probe: Sequence[float]
    head: Mapping[str, Any]
    figures: Mapping[str, float]
    campaign: Mapping[str, Any]

    def __post_init__(self) -> None:
        named = all(isinstance(name, str) for name in (*self.classes, self.encoder))
        tables = all(isinstance(table, dict) for table in (self.head, self.figures, self.campaign))
        if not named or not tables or len(set(self.classes)) != len(self.classes) or not self.classes:
            raise DesiderataError("The card of a classifier needs names, each once, and tables: export it again.")
        for value in (*self.probe, *self.figures.values()):
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise DesiderataError(f"The card of a classifier says {value!r} for a figure: export it again.")

    def to_json(self) -> str:
        """Return the text of the file."""
        said = {
            "version": VERSION,
            "desiderata": __version__,
            "classes": list(self.classes),
            "encoder": {"name": self.encoder, "dim": len(self.probe)},
            "head": dict(self.head),
            "figures": dict(self.figures),
            "campaign": dict(self.campaign),
            "probe": list(self.probe),  # last, since it is long and not for people
        }
        return json.dumps(said, ensure_ascii=False, indent=2, allow_nan=False, default=np.generic.item) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """Return the card of the classifier in `folder`.

        Raises:
            DesiderataError: There is none, it is damaged, or of another version.
        """
        path = folder / FILE
        try:
            said = json.loads(path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise DesiderataError(
                f"{folder} is no exported classifier: give a folder that `desiderata export` wrote."
            ) from None
        except OSError as error:
            raise DesiderataError(f"{path} cannot be read ({error.strerror}): check the file.") from None
        except (ValueError, RecursionError) as error:
            raise DesiderataError(f"{path} is damaged ({error}): export the classifier again.") from None
        if not isinstance(said, dict) or said.get("version") != VERSION:
            raise DesiderataError(
                f"{path} is not of version {VERSION}, which this desiderata reads: use the desiderata that wrote it, "
                "or a newer one."
            )
        try:
            tables = said["head"], said["figures"], said["campaign"]
            return cls(tuple(said["classes"]), said["encoder"]["name"], tuple(said["probe"]), *tables)
        except KeyError as error:
            raise DesiderataError(f"{path} lacks {error}: export the classifier again.") from None
        except TypeError:
            raise DesiderataError(f"{path} is damaged: export the classifier again.") from None

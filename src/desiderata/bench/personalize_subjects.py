"""The held-out subjects and styles of the Moji world, as a generator is taught them in the experiment."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from desiderata.campaign.images import to_png
from desiderata.errors import DesiderataError
from desiderata.files import write_bytes
from desiderata.personalize.subject import SLOT, Subject
from desiderata.worlds.moji.held_out import HELD_OUT_STYLES, SUBJECTS, held_out_pictures, references
from desiderata.worlds.moji.lexicon import singulars, with_article
from desiderata.worlds.moji.reader import parse

EVERY = (*SUBJECTS, *HELD_OUT_STYLES)
"""Names of all subjects, then of all styles."""

DEVELOPMENT = ("roller skate", "fox", "whale", "steam engine", "halftone", "crayon")
"""On these recipes were chosen. The styles are the two whose texture the bundled generator's autoencoder blurs."""

GROUPS = {
    "all": EVERY,
    "objects": tuple(SUBJECTS),
    "styles": tuple(HELD_OUT_STYLES),
    "experiment": tuple(name for name in EVERY if name not in DEVELOPMENT),
    "development": DEVELOPMENT,
}
"""Names that stand for several."""

ELSEWHERE = 16
"""Pictures of a subject in other settings, with which generated ones are compared."""

STAND_IN = "chair"
"""What sentences name in place of a thing that could not be told from the subject; none of them names it itself."""

SMALLEST = 64
"""Pictures of the world are drawn at this size at least, in pixels on a side, and scaled down for smaller models."""


@dataclass(frozen=True)
class Wish:
    """What a sentence asks for beside the subject.

    Attributes:
        things: Concepts of the catalogue.
        background: One of `BACKGROUNDS`, or None where any will do.
        style: One of `STYLES`, or None where none is named, as with every sentence in a held-out style.
    """

    things: tuple[str, ...] = ()
    background: str | None = None
    style: str | None = None


@dataclass(frozen=True)
class Case:
    """One subject or style, with the pictures that one seed draws of it.

    Attributes:
        name: One of `EVERY`.
        seed: Of its pictures.

    Raises:
        DesiderataError: There is no such subject.
    """

    name: str
    seed: int

    def __post_init__(self) -> None:
        if self.name not in EVERY:
            raise DesiderataError(
                f"There is no held-out subject or style called {self.name!r}; choose from {', '.join(EVERY)}, or "
                f"say {', '.join(GROUPS)}."
            )

    @property
    def kind(self) -> str:
        """Return "object" or "style"."""
        return "object" if self.name in SUBJECTS else "style"

    @property
    def background(self) -> str:
        """The background of all its references."""
        return (SUBJECTS[self.name] if self.kind == "object" else HELD_OUT_STYLES[self.name]).background

    @property
    def content(self) -> str:
        """The concept that is no longer free: the class word of a subject, or what a style's reference shows."""
        return SUBJECTS[self.name].word if self.kind == "object" else HELD_OUT_STYLES[self.name].concept

    @property
    def subject(self) -> Subject:
        """The subject in words."""
        if self.kind == "object":
            known = SUBJECTS[self.name]
            return Subject.of(known.word, setting=known.setting)
        style = HELD_OUT_STYLES[self.name]
        return Subject.of(style.word, kind="style", setting=style.content)

    def templates(self, templates: Sequence[str]) -> tuple[str, ...]:
        """Return sentences in which nothing is named that could not be told from the subject or its references.

        "{} next to a dog" asks twice for a dog where the subject's class is dog, and "a clock {}" names what the
        reference of a style shows: a `STAND_IN` takes their place. "{} before a yellow wall" asks for what the
        references show if they have a yellow background, in whatever words, and is left out.
        """
        names = "|".join(re.escape(name) for name in singulars(self.content))
        told = [re.sub(rf"\ban? (?:{names})\b", with_article(STAND_IN), template) for template in templates]
        known = Wish(background=self.background)
        return tuple(template for template in told if self.kind == "style" or self.wish(template) != known)

    def wish(self, template: str) -> Wish:
        """Return what a sentence of the Moji world's grammar asks for beside the subject."""
        filling = with_article(self.content) if self.kind == "object" else ""
        request = parse(template.replace(SLOT, filling).strip())
        skipped = {self.content} if self.kind == "object" else set()
        things = tuple(group.concept for group in request.groups if group.concept not in skipped)
        return Wish(things, request.background, request.style)

    def references(self, size: int) -> list[NDArray[np.uint8]]:
        """Return the pictures to learn it from: four of a subject, one of a style."""
        return [drawing.image for drawing in references(self.name, self.seed, size=max(size, SMALLEST))]

    def elsewhere(self, size: int) -> list[NDArray[np.uint8]]:
        """Return `ELSEWHERE` other pictures of it, in other settings."""
        drawings = held_out_pictures(self.name, self.seed, ELSEWHERE, max(size, SMALLEST))
        return [drawing.image for drawing in drawings]

    def write(self, folder: Path, size: int) -> Path:
        """Return a folder, with the pictures to learn it from written into it, as a user has them."""
        for number, image in enumerate(self.references(size)):
            write_bytes(folder / f"{number}.png", to_png(Image.fromarray(image)))
        return folder


def named(names: Sequence[str]) -> tuple[str, ...]:
    """Return the subjects and styles that names stand for.

    Args:
        names: Of subjects and styles, where hyphens may stand for blanks, and of `GROUPS`.

    Returns:
        Names in `EVERY`, each once.

    Raises:
        DesiderataError: There is none.
    """
    plain = [name if name in GROUPS else name.replace("-", " ") for name in names]
    found = dict.fromkeys(one for name in plain for one in GROUPS.get(name, (name,)))
    if not found:
        raise DesiderataError(f"No subject is named: choose from {', '.join(EVERY)}, or say {', '.join(GROUPS)}.")
    return tuple(Case(name, 0).name for name in found)

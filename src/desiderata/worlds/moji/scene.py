"""What a picture of the Moji world shows: the words that the grammar, the renderer and the oracle share."""

from dataclasses import dataclass

CLASSES: tuple[str, ...] = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""The ten classes, named and ordered as in CIFAR-10."""

RELATIONS: tuple[str, ...] = ("next to", "left of", "right of", "above", "below")
"""How the first group of objects stands to the second."""

PLACES: tuple[str, ...] = (
    "grass",
    "beach",
    "snow",
    "desert",
    "forest",
    "street",
    "sea",
    "mountains",
    "room",
    "space",
)
"""Drawn backgrounds."""

COLOURS: tuple[str, ...] = ("white", "grey", "red", "orange", "yellow", "green", "blue", "pink")
"""Plain backgrounds."""

BACKGROUNDS: tuple[str, ...] = PLACES + COLOURS

STYLES: tuple[str, ...] = ("photo", "pencil", "blueprint", "pixel art", "night photo", "sepia")
"""Styles of the whole picture; `photo` is the picture as drawn, and the one a sentence may leave unsaid."""

MOST_OBJECTS = 3
"""The most objects that one scene holds, all groups counted."""


@dataclass(frozen=True, slots=True)
class Group:
    """One to three objects of one concept, such as two cats.

    Attributes:
        concept: A name in the catalogue.
        count: 1, 2 or 3.
    """

    concept: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything about a picture that words can say; where things stand exactly is left to the renderer's draws.

    Attributes:
        groups: One to three groups of different concepts, at most `MOST_OBJECTS` objects together. The first is
            the subject of the sentence and is drawn largest.
        relation: How the first group stands to the second, one of `RELATIONS`; None when there is one group.
        background: One of `BACKGROUNDS`.
        style: One of `STYLES`.
    """

    groups: tuple[Group, ...]
    relation: str | None
    background: str
    style: str

    @property
    def label(self) -> str | None:
        """The class that the picture shows: that of its first group whose concept is a class; None without one."""
        return next((group.concept for group in self.groups if group.concept in CLASSES), None)

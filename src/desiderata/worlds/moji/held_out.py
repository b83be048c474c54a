"""Subjects and styles that the Moji world keeps back: no model is trained on them, so a generator can be taught them.

A subject is one OpenMoji artwork that the catalogue does not have. It goes by a class word, as every subject does in
DreamBooth (Ruiz et al., 2023): "a sks horse" for the unicorn. The words are concepts of the catalogue, since the
bundled generator and moji-clip know no other nouns, and of these the one that is nearest in kind or in shape: a
horse for the unicorn, a cat for the fox, a sneaker for the roller skate, a snowman for the nesting doll, which is two
rounds one above the other as well. So the class is something that the generator draws well and that is visibly not
the subject. No two subjects share a word. A style goes by words that follow "in", as in "a cat in sks pixel art":
those of the style of the world that is nearest to it.

The pictures to learn a subject from show it alone and always before the same background, so that there is something
else in them to overfit to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from desiderata.errors import DesiderataError
from desiderata.randomness import stream
from desiderata.worlds.moji.catalogue import ARTWORKS, CONCEPTS
from desiderata.worlds.moji.held_out_styles import HELD_OUT_STYLE
from desiderata.worlds.moji.lexicon import BACKGROUND_PHRASES, with_article
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.scene import BACKGROUNDS, RELATIONS, STYLES, Group, Scene
from desiderata.worlds.moji.styles import STYLE, Style


@dataclass(frozen=True, slots=True)
class HeldOutSubject:
    """A thing that the catalogue does not have.

    Attributes:
        name: What people would call it.
        artwork: The file stem of its artwork in OpenMoji.
        word: Its class word, a concept of the catalogue.
        background: One of `BACKGROUNDS`: where all pictures to learn it from show it.
    """

    name: str
    artwork: str
    word: str
    background: str

    @property
    def setting(self) -> str:
        """The background in words that follow the subject, such as "on the beach"."""
        return BACKGROUND_PHRASES[self.background][0]


@dataclass(frozen=True, slots=True)
class HeldOutStyle:
    """A style that the world does not have.

    Attributes:
        name: What people would call it.
        word: Its class words, those of the nearest style of the world, as they follow "in".
        concept: What the picture to learn it from shows, one of it.
        background: One of `BACKGROUNDS`: before what it shows it.
    """

    name: str
    word: str
    concept: str
    background: str

    @property
    def content(self) -> str:
        """What the picture to learn it from shows, in words, such as "a cat on the grass"."""
        return f"{with_article(self.concept)} {BACKGROUND_PHRASES[self.background][0]}"


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture and the scene that it shows, in which held-out names may stand.

    Attributes:
        image: Shape (size, size, 3), uint8.
        scene: What it shows.
    """

    image: NDArray[np.uint8]
    scene: Scene


SUBJECTS: Mapping[str, HeldOutSubject] = MappingProxyType(
    {
        subject.name: subject
        for subject in (
            HeldOutSubject("nesting doll", "1FA86", "snowman", "room"),
            HeldOutSubject("teddy bear", "1F9F8", "dog", "grass"),
            HeldOutSubject("crab", "1F980", "frog", "beach"),
            HeldOutSubject("unicorn", "1F984", "horse", "forest"),
            HeldOutSubject("invader", "1F47E", "robot", "mountains"),
            HeldOutSubject("paper lantern", "1F3EE", "candle", "street"),
            HeldOutSubject("roller skate", "1F6FC", "sneaker", "yellow"),
            HeldOutSubject("fox", "1F98A", "cat", "snow"),
            HeldOutSubject("whale", "1F433", "fish", "sea"),
            HeldOutSubject("steam engine", "1F682", "truck", "desert"),
        )
    }
)
"""The held-out subjects by name."""

HELD_OUT_STYLES: Mapping[str, HeldOutStyle] = MappingProxyType(
    {
        style.name: style
        for style in (
            HeldOutStyle("halftone", "pencil drawing", "cat", "grass"),
            HeldOutStyle("embroidery", "pixel art", "rocket", "blue"),
            HeldOutStyle("television", "night photo", "elephant", "beach"),
            HeldOutStyle("night vision", "night photo", "clock", "room"),
            HeldOutStyle("crayon", "pencil drawing", "butterfly", "forest"),
            HeldOutStyle("sunset", "sepia photo", "house", "mountains"),
        )
    }
)
"""The held-out styles by name."""

EVERY_ARTWORK: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {**ARTWORKS, **{subject.name: (subject.artwork,) for subject in SUBJECTS.values()}}
)
"""Concepts of the catalogue, then the held-out subjects, with the artworks that show them."""

EVERY_STYLE: Mapping[str, Style] = MappingProxyType({**STYLE, **HELD_OUT_STYLE})
"""Styles of the world, then the held-out ones, with what draws them."""


def draw(scene: Scene, rng: np.random.Generator, size: int = 64) -> NDArray[np.uint8]:
    """Draw a scene in which held-out subjects may stand for concepts, and held-out styles for styles.

    Args:
        scene: What the picture shows.
        rng: Chooses everything that the scene leaves open.
        size: Side of the picture in pixels, 32 or more.

    Returns:
        Shape (size, size, 3), uint8; the same as `render` where nothing in the scene is held out.
    """
    return render(scene, rng, size, artworks=EVERY_ARTWORK, styles=EVERY_STYLE)


def draw_subject(
    subject: str,
    rng: np.random.Generator,
    *,
    background: str,
    style: str = "photo",
    beside: str | None = None,
    relation: str = "next to",
    size: int = 64,
) -> Drawing:
    """Draw a held-out subject anywhere in the world.

    Args:
        subject: A name in `SUBJECTS`.
        rng: Chooses size, place and turn.
        background: One of `BACKGROUNDS`.
        style: One of `STYLES`, or a held-out one.
        beside: A concept of the catalogue that is shown with it; None for the subject alone.
        relation: How the subject stands to it, one of `RELATIONS`.
        size: Side of the picture in pixels, 32 or more.

    Returns:
        The drawing.
    """
    groups = (Group(subject_named(subject).name), *([Group(beside)] if beside else []))
    scene = Scene(groups, relation if beside else None, background, style)
    return Drawing(draw(scene, rng, size), scene)


def draw_style(style: str, scene: Scene, rng: np.random.Generator, size: int = 64) -> Drawing:
    """Draw a scene in a held-out style.

    Args:
        style: A name in `HELD_OUT_STYLES`.
        scene: What to draw; its own style is passed over.
        rng: Chooses everything that the scene leaves open.
        size: Side of the picture in pixels, 32 or more.

    Returns:
        The drawing.
    """
    shown = Scene(scene.groups, scene.relation, scene.background, style_named(style).name)
    return Drawing(draw(shown, rng, size), shown)


def references(name: str, seed: int, n: int | None = None, size: int = 64) -> list[Drawing]:
    """Draw the pictures to learn a subject or a style from.

    A subject is shown alone, as a photo and always before its own background; size, place and turn vary. A style is
    shown by what it names as its content.

    Args:
        name: A name in `SUBJECTS` or `HELD_OUT_STYLES`.
        seed: Picture i is the same for the same seed.
        n: How many; 4 for a subject and 1 for a style where it is None.
        size: Side of the pictures in pixels, 32 or more.

    Returns:
        The drawings.
    """
    if name in SUBJECTS:
        scene = Scene((Group(name),), None, SUBJECTS[name].background, "photo")
    else:
        style = style_named(name)
        scene = Scene((Group(style.concept),), None, style.background, name)
    count = n if n is not None else 4 if name in SUBJECTS else 1
    rngs = [stream(seed, "references", name, index) for index in range(count)]
    return [Drawing(draw(scene, rng, size), scene) for rng in rngs]


def held_out_pictures(name: str, seed: int, n: int, size: int = 64) -> list[Drawing]:
    """Draw other pictures of a subject or a style than those to learn it from, to compare generated ones with.

    A subject is shown before any other background than that of its references, in any style of the world, and in
    every other picture with something of the catalogue. A style is shown on other things before other backgrounds.

    Args:
        name: A name in `SUBJECTS` or `HELD_OUT_STYLES`.
        seed: Picture i is the same for the same seed.
        n: How many.
        size: Side of the pictures in pixels, 32 or more.

    Returns:
        The drawings.
    """
    return [_elsewhere(name, index, stream(seed, "held-out pictures", name, index), size) for index in range(n)]


def _elsewhere(name: str, index: int, rng: np.random.Generator, size: int) -> Drawing:
    if name in SUBJECTS:
        place = _one_but(BACKGROUNDS, SUBJECTS[name].background, rng)
        beside = _one_but(CONCEPTS, SUBJECTS[name].word, rng) if index % 2 else None
        style, relation = str(rng.choice(STYLES)), str(rng.choice(RELATIONS))
        return draw_subject(name, rng, background=place, style=style, beside=beside, relation=relation, size=size)
    style = style_named(name)
    place = _one_but(BACKGROUNDS, style.background, rng)
    scene = Scene((Group(_one_but(CONCEPTS, style.concept, rng)),), None, place, name)
    return draw_style(name, scene, rng, size)


def _one_but(names: tuple[str, ...], excluded: str, rng: np.random.Generator) -> str:
    return str(rng.choice([name for name in names if name != excluded]))


def subject_named(name: str) -> HeldOutSubject:
    """Look a held-out subject up.

    Args:
        name: A name in `SUBJECTS`.

    Returns:
        The subject.

    Raises:
        DesiderataError: There is none of that name.
    """
    if name not in SUBJECTS:
        raise DesiderataError(f"No held-out subject is called {name!r}; choose from {', '.join(SUBJECTS)}.")
    return SUBJECTS[name]


def style_named(name: str) -> HeldOutStyle:
    """Look a held-out style up.

    Args:
        name: A name in `HELD_OUT_STYLES`.

    Returns:
        The style.

    Raises:
        DesiderataError: There is none of that name.
    """
    if name not in HELD_OUT_STYLES:
        raise DesiderataError(f"No held-out style is called {name!r}; choose from {', '.join(HELD_OUT_STYLES)}.")
    return HELD_OUT_STYLES[name]

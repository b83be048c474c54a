"""The English of the Moji world: which words stand for which concept, place, style and relation.

Only data and spelling live here. `grammar` writes sentences with these phrases and reads them back: every phrase
that it may write it also understands, and those in `ALSO_UNDERSTOOD` it understands without writing them.
"""

from collections.abc import Mapping
from functools import cache

from desiderata.worlds.moji.catalogue import CONCEPTS
from desiderata.worlds.moji.scene import COLOURS

NUMBERS: dict[int, str] = {1: "one", 2: "two", 3: "three"}

SYNONYMS: dict[str, tuple[str, ...]] = {
    "airplane": ("plane", "aeroplane"),
    "automobile": ("car",),
    "cat": ("kitten",),
    "dog": ("puppy",),
    "ship": ("boat",),
    "truck": ("lorry",),
    "bicycle": ("bike",),
    "gift": ("present",),
    "hamburger": ("burger",),
    "laptop": ("computer",),
    "lock": ("padlock",),
    "soccer ball": ("football",),
    "telephone": ("phone",),
    "television": ("tv",),
}
"""Other names of a concept, each of which belongs to that concept alone."""

PLURALS: dict[str, str] = {
    "cactus": "cacti",
    "deer": "deer",
    "fish": "fish",
    "knife": "knives",
    "leaf": "leaves",
    "mouse": "mice",
    "pair of scissors": "pairs of scissors",
    "potato": "potatoes",
    "sheep": "sheep",
    "tomato": "tomatoes",
}
"""Plurals that the rule in `plural` would get wrong."""

PAIRS: tuple[str, ...] = ("scissors",)
"""Concepts that English counts in pairs."""

POSTURES: Mapping[str, tuple[str, ...]] = (
    dict.fromkeys(("cat", "dog", "deer", "horse", "frog", "elephant"), ("sitting", "standing", "lying"))
    | dict.fromkeys(("airplane", "rocket", "kite", "balloon"), ("flying",))
    | dict.fromkeys(("bird", "butterfly"), ("sitting", "flying"))
    | dict.fromkeys(("automobile", "truck", "bicycle"), ("standing", "parked"))
    | {"fish": ("swimming",), "ship": ("floating",)}
)
"""What a thing may be said to do; it changes nothing in the picture. Any other thing stands or lies."""

BACKGROUND_PHRASES: dict[str, tuple[str, ...]] = {
    "grass": ("on the grass", "in a meadow", "on a lawn"),
    "beach": ("on the beach", "at the beach", "on a sandy beach"),
    "snow": ("in the snow", "on the snow", "on a snowy field"),
    "desert": ("in the desert", "among the dunes"),
    "forest": ("in the forest", "in the woods"),
    "street": ("on the street", "in the street", "on a road"),
    "sea": ("on the sea", "at sea", "on the water"),
    "mountains": ("in the mountains", "in front of the mountains"),
    "room": ("in a room", "indoors", "in a living room"),
    "space": ("in space", "in outer space", "among the stars"),
}

STYLE_PREFIXES: dict[str, tuple[str, ...]] = {
    "photo": ("a photo of", "a photograph of"),
    "pencil": ("a pencil drawing of", "a pencil sketch of"),
    "blueprint": ("a blueprint of", "a blueprint drawing of"),
    "pixel art": ("pixel art of", "a pixel art picture of"),
    "night photo": ("a night photo of", "a photo at night of"),
    "sepia": ("a sepia photo of", "an old sepia photograph of"),
}
"""Styles said before the things shown."""

STYLE_SUFFIXES: dict[str, tuple[str, ...]] = {
    "photo": ("in a photo", "photographed by day"),
    "pencil": ("drawn in pencil", "in a pencil drawing"),
    "blueprint": ("drawn as a blueprint", "in a blueprint"),
    "pixel art": ("in pixel art", "drawn as pixel art"),
    "night photo": ("photographed at night", "in a night photo"),
    "sepia": ("in sepia", "in a sepia photo"),
}
"""Styles said after the things shown."""

RELATION_PHRASES: dict[str, tuple[str, ...]] = {
    "next to": ("next to", "beside"),
    "left of": ("to the left of", "on the left of", "left of"),
    "right of": ("to the right of", "on the right of", "right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}

ASIDES: tuple[tuple[str, str], ...] = (
    ("with", "nearby"),
    ("with", "in view"),
    ("and", "in the picture"),
    ("and also", ""),
)
"""What stands before and after a group that stands in no relation."""

ALSO_UNDERSTOOD: dict[str, tuple[str, ...]] = {
    "grass": ("on grass", "in the grass", "in the meadow", "on a meadow", "on the lawn", "in a field", "in a garden"),
    "beach": ("at a beach", "on a beach", "on the sand"),
    "snow": ("in a snowy field", "on the snowy field", "in winter"),
    "desert": ("in a desert",),
    "forest": ("in a forest", "in a wood"),
    "street": ("on a street", "in a street", "on the road", "in the city", "in a city"),
    "sea": ("in the sea", "on the ocean", "in the ocean", "in the water"),
    "mountains": ("on a mountain", "on the mountain", "in front of a mountain"),
    "room": ("in the room", "inside a room", "inside"),
    "space": ("in the universe", "in the stars", "under the stars"),
    "photo": ("in a photograph", "by day"),
    "pencil": ("in pencil", "drawn with a pencil", "a drawing of", "a sketch of", "in a pencil sketch"),
    "blueprint": ("as a blueprint",),
    "pixel art": ("as pixel art", "a pixel art of", "a pixel art image of"),
    "night photo": ("at night", "a night photograph of", "a photograph at night of", "in a night photograph"),
    "sepia": ("a sepia photograph of", "an old sepia photo of", "a sepia picture of", "photographed in sepia"),
    "next to": ("near", "close to", "alongside"),
    "left of": ("at the left of",),
    "right of": ("at the right of",),
    "above": ("on top of",),
    "below": ("beneath", "underneath"),
}
"""Further phrases for a background, a style or a relation, by the name that they stand for."""

PASSED_OVER: tuple[str, ...] = (
    *("the", "and", "with", "also", "is", "are", "there", "there is", "there are", "that", "it", "its"),
    *("sitting", "standing", "lying", "flying", "parked", "swimming", "floating", "shown", "seen", "showing"),
    *("nearby", "in view", "in the picture", "in the photo", "in the image", "in the background", "close by"),
    *("an image of", "a picture of", "an image", "a picture"),
)
"""Phrases that change nothing in the picture."""

for _colour in COLOURS:
    _a = "an" if _colour == "orange" else "a"
    BACKGROUND_PHRASES[_colour] = (
        f"on {_a} {_colour} background",
        f"against {_a} {_colour} background",
        f"in front of a plain {_colour} wall",
    )
    ALSO_UNDERSTOOD[_colour] = tuple(
        f"{before} {article} {colour} {ground}".lstrip()
        for colour in ((_colour, "gray") if _colour == "grey" else (_colour,))
        for before in ("on", "against", "in front of", "")
        for article in (_a, "the", "a plain")
        for ground in ("background", "wall")
    )


def with_article(name: str) -> str:
    """Return `name` after "a" or "an", as in "an apple"."""
    return f"{'an' if name[0] in 'aeiou' and not name.startswith(('uni', 'one')) else 'a'} {name}"


def plural(name: str) -> str:
    """Return the plural of a noun in the singular, "ice creams" for "ice cream"."""
    if name in PLURALS:
        return PLURALS[name]
    if name.endswith("man"):
        return f"{name[:-3]}men"
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"


@cache
def singulars(concept: str) -> tuple[str, ...]:
    """Return the names of one such thing, the catalogue's own first.

    A synonym that the catalogue uses for a concept of its own is left out, so that no name means two things.
    """
    own = f"pair of {concept}" if concept in PAIRS else concept
    return (own, *(name for name in SYNONYMS.get(concept, ()) if name not in CONCEPTS))


def postures(concept: str) -> tuple[str, ...]:
    """Return what `concept` may be said to do, such as "sitting"."""
    return POSTURES.get(concept, ("standing", "lying"))

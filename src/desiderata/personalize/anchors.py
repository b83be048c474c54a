"""Anchor directions: sentences with a slot for the subject (GAL, section 3.2), and those that only measure."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError
from desiderata.personalize.subject import KINDS, SLOT, Subject

AUTHORS_OBJECT = (
    "{} in a workshop",
    "{} in a museum",
    "{} on a plane",
    "{} on a boat",
    "{} in a laboratory",
    "{} at an aquarium",
    "{} on a subway",
    "{} in a pet store",
    "{} at a cafe",
    "{} in a gym",
    "{} at a bus stop",
    "{} in a garden",
    "{} at a train station",
    "{} in a junkyard",
    "{} in an alleyway",
    "{} in a schoolyard",
    "{} in a bank",
    "{} under a tree",
)
"""The authors' eighteen anchors for objects, in their order."""

AUTHORS_STYLE = (
    "A tie {}",
    "candy {}",
    "A drum {}",
    "A koala {}",
    "Beach scene {}",
    "A shoe {}",
    "A pencil {}",
    "A kite {}",
    "A cheese {}",
    "A backpack {}",
    "A donut {}",
    "A leaf {}",
    "Moon {}",
    "A jacket {}",
    "A parrot {}",
    "A lantern {}",
    "A cluster of grapes {}",
    "A knife {}",
)
"""The authors' eighteen anchors for styles, in their order."""

MOJI_OBJECT = (
    "{} on the grass",
    "{} on the beach",
    "{} in the snow",
    "{} in the desert",
    "{} in the forest",
    "{} on the street",
    "{} on the sea",
    "{} in the mountains",
    "{} in a room",
    "{} in space",
    "a pencil drawing of {} on the beach",
    "a blueprint of {} in space",
    "pixel art of {} on the grass",
    "a sepia photo of {} on the street",
    "a night photo of {} in the forest",
    "{} next to a guitar in the snow",
    "{} to the left of a horse on the grass",
    "{} next to a cactus in the desert",
)
"""Eighteen anchors for objects, of words that the Moji world's grammar knows."""

MOJI_STYLE = (
    "a guitar {}",
    "an umbrella {}",
    "a drum {}",
    "a horse {}",
    "a castle {}",
    "a sneaker {}",
    "a key {}",
    "a kite {}",
    "a pizza {}",
    "a backpack {}",
    "a cake {}",
    "a sunflower {}",
    "a bicycle {}",
    "a top hat {}",
    "a bird {}",
    "a candle {}",
    "two apples {}",
    "a ship on the sea {}",
)
"""Eighteen anchors for styles, of words that the Moji world's grammar knows."""

MOJI_OBJECT_TEST = (
    "a photo of {} on a red background",
    "{} against a blue background",
    "{} in front of a plain yellow wall",
    "{} on a green background, in pixel art",
    "{} next to a dog on the beach",
    "{} beside a castle in the mountains",
    "{} next to a ship on the sea",
    "{} to the right of a snowman in the snow",
    "{} above a house in space",
    "{} below a balloon on the grass",
    "{} beside a truck on the street",
    "{} in the forest with a bird nearby",
    "{} in a room with a candle nearby",
    "{} in the desert next to a tent",
    "a pencil drawing of {} in the forest",
    "a blueprint of {} on the street",
    "pixel art of {} in the snow",
    "a sepia photo of {} in the desert",
    "a night photo of {} on the beach",
    "a pencil drawing of {} next to a frog in the mountains",
)
"""Twenty sentences that measure what was learnt about an object of the Moji world; no anchor is among them."""

MOJI_STYLE_TEST = (
    "a dog {}",
    "a frog {}",
    "a truck {}",
    "a house {}",
    "an elephant {}",
    "a giraffe {}",
    "a butterfly {}",
    "a violin {}",
    "a clock {}",
    "a camera {}",
    "a robot {}",
    "a pumpkin {}",
    "a fish {}",
    "a crown {}",
    "two bananas {}",
    "a rocket in space {}",
    "a cactus in the desert {}",
    "a snowman in the snow {}",
    "a tent in the forest {}",
    "a deer in the mountains {}",
)
"""Twenty sentences that measure what was learnt about a style in the Moji world; no anchor is among them."""

EVERYDAY_OBJECT_TEST = (
    "a photo of {}",
    "{} on a beach with the sea behind it",
    "{} in deep snow",
    "{} on top of a mountain at sunrise",
    "{} in a busy street at night",
    "{} floating in a swimming pool",
    "{} in front of a medieval castle",
    "{} in a field of flowers",
    "{} next to a cup of coffee",
    "{} beside a sleeping dog",
    "{} with a city skyline behind it",
    "{} in the rain",
    "an oil painting of {}",
    "a watercolor painting of {} in a forest",
    "a pencil sketch of {}",
    "a digital illustration of {}",
    "a stone sculpture of {}",
    "{} made of crochet",
    "{} in bright red",
    "a close-up of {} seen from above",
)
"""Twenty sentences for objects and generators that know the world at large."""

EVERYDAY_STYLE_TEST = (
    "a fox {}",
    "an owl {}",
    "a zebra {}",
    "a motorcycle {}",
    "a sailing boat {}",
    "a lighthouse {}",
    "a city street {}",
    "a bowl of fruit {}",
    "a piano {}",
    "a teapot {}",
    "a portrait of an old man {}",
    "two children playing {}",
    "a mountain lake {}",
    "a tree in autumn {}",
    "a robot {}",
    "a chair {}",
    "a bouquet of roses {}",
    "an airplane {}",
    "a wooden bridge {}",
    "a slice of cake {}",
)
"""Twenty sentences for styles and generators that know the world at large."""

POOLS = {
    "authors": {"object": AUTHORS_OBJECT, "style": AUTHORS_STYLE},
    "moji": {"object": MOJI_OBJECT, "style": MOJI_STYLE},
}
"""Anchors by the name of their pool and the kind of subject."""

TESTS = {
    "moji": {"object": MOJI_OBJECT_TEST, "style": MOJI_STYLE_TEST},
    "everyday": {"object": EVERYDAY_OBJECT_TEST, "style": EVERYDAY_STYLE_TEST},
}
"""Sentences that only measure, by name and kind; none of them is an anchor of any pool."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """One direction in which a subject can be asked for (e* ⊕ a_i, Eq. 3).

    Attributes:
        index: Its place in the pool, from 0.
        template: The sentence with a slot.
        prompt: The sentence with the subject in it, as the generator is asked and as a chosen picture is captioned.
        unedited: The same without the placeholder.
    """

    index: int
    template: str
    prompt: str
    unedited: str


def anchor_templates(pool: str | Sequence[str], kind: str, word: str = "") -> tuple[str, ...]:
    """Return the templates of a pool by its name, or those given as they are.

    Args:
        pool: A name, or templates.
        kind: Of the subject.
        word: The subject's. Of a named pool, what names it besides is left out: "a sks dog next to a dog" asks for a
            dog twice, and either would do.

    Returns:
        The templates.

    Raises:
        DesiderataError: There is no such pool, or a template has no slot or occurs twice.
    """
    return _templates(pool, kind, POOLS, "pool of anchors", word)


def measuring_templates(prompts: str | Sequence[str], kind: str, word: str = "") -> tuple[str, ...]:
    """Return the templates that measure what was learnt, by name, or those given as they are.

    Args:
        prompts: A name, or templates.
        kind: Of the subject.
        word: As for `anchor_templates`.

    Returns:
        The templates.

    Raises:
        DesiderataError: There are none of that name, or a template has no slot or occurs twice.
    """
    return _templates(prompts, kind, TESTS, "set of test prompts", word)


def test_prompts(kind: str) -> tuple[str, ...]:
    """Return the twenty templates that measure what was learnt in the Moji world; none of them is an anchor."""
    return measuring_templates("moji", kind)


def anchors_of(subject: Subject, templates: Sequence[str]) -> tuple[Anchor, ...]:
    """Return the anchor prompts of a subject.

    A template that says the same as the references themselves is left out: it leads nowhere, and no picture could be
    told from an overfitted one by it.
    """
    known = set(subject.non_subjects)
    found = (
        Anchor(index, template, subject.prompt(template), subject.unedited(template))
        for index, template in enumerate(templates)
    )
    return tuple(anchor for anchor in found if anchor.unedited not in known)


def used_up(queries: Iterable[Query]) -> set[str]:
    """Return the prompts that are not asked again: what was learnt from, and what was chosen and skipped.

    What a person did not pick may be picked yet.
    """
    return {one.text for one in queries if one.status == "answered" or "candidate" in one.proposal.evidence}


def remaining(anchors: Sequence[Anchor], used: Collection[str]) -> tuple[Anchor, ...]:
    """Return the anchors whose prompts are not among those `used`: a chosen anchor leaves the pool."""
    return tuple(anchor for anchor in anchors if anchor.prompt not in used)


def _templates(
    name: str | Sequence[str], kind: str, known: dict[str, dict[str, tuple[str, ...]]], what: str, word: str
) -> tuple[str, ...]:
    if kind not in KINDS:
        raise DesiderataError(f"There is no kind of subject called {kind!r}: it is an object or a style.")
    if isinstance(name, str):
        if name not in known:
            raise DesiderataError(
                f"There is no {what} called {name!r}: choose from {', '.join(known)}, or list sentences with {SLOT} "
                "where the subject belongs."
            )
        besides = re.compile(rf"\b{re.escape(word)}\b", re.IGNORECASE) if word else None
        return tuple(one for one in known[name][kind] if not (besides and besides.search(one)))
    templates = tuple(name)
    for template in templates:
        if not isinstance(template, str) or template.count(SLOT) != 1:
            raise DesiderataError(
                f"{template!r} does not say where the subject belongs: write {SLOT} there once, as in '{SLOT} in the "
                "snow'."
            )
        if templates.count(template) > 1:
            raise DesiderataError(f"{template!r} is in the {what} twice: leave one of them out.")
    if not templates:
        raise DesiderataError(f"The {what} is empty: give at least one sentence with {SLOT} in it.")
    return templates

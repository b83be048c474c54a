"""Writing one sentence for a scene; `reader` reads it back.

A sentence is a phrase, "a pencil drawing of two cats next to a guitar on the beach", or a clause, "two cats are
sitting next to a guitar on the beach, drawn in pencil".
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from desiderata.worlds.moji import lexicon
from desiderata.worlds.moji.reader import CannotParse, parse
from desiderata.worlds.moji.request import GroupRequest, Request, fulfils
from desiderata.worlds.moji.scene import Scene

__all__ = ["LONGEST", "CannotParse", "GroupRequest", "Request", "caption", "fulfils", "parse"]

T = TypeVar("T")

LONGEST = 24
"""The most words in a caption."""


def caption(scene: Scene, rng: np.random.Generator, *, complete: bool = True) -> str:
    """Describe a scene in one sentence, worded at random.

    Args:
        scene: What to describe.
        rng: Every draw is made from it.
        complete: Whether everything is said. Otherwise the style, the background or both go unsaid, the relation
            sometimes, and sometimes the groups after the first; never the one that gives the scene its label.

    Returns:
        A sentence in lower case without a full stop, at most `LONGEST` words, which `parse` understands.
    """
    while True:
        said = _whole(scene) if complete else _in_part(scene, rng)
        words = _noun_phrase(said, rng) if rng.random() < 0.5 else _clause(said, rng)
        sentence = " ".join(filter(None, words)).replace(" ,", ",")
        if sentence.count(" ") < LONGEST:
            return sentence


def _whole(scene: Scene) -> Request:
    groups = tuple(GroupRequest(group.concept, (group.count,)) for group in scene.groups)
    return Request(groups, scene.relation, scene.background, scene.style)


def _in_part(scene: Scene, rng: np.random.Generator) -> Request:
    unsaid = _one_of(rng, ("style", "style", "background", "both"))
    first, *others = _whole(scene).groups
    kept = [group for group in others if group.concept == scene.label or rng.random() < 0.75]
    related = kept[:1] == others[:1] and rng.random() < 0.85
    return Request(
        (first, *kept),
        scene.relation if related else None,
        scene.background if unsaid == "style" else None,
        scene.style if unsaid == "background" else None,
    )


def _noun_phrase(said: Request, rng: np.random.Generator) -> list[str]:
    doing = _posture(said, rng) if said.relation and rng.random() < 0.3 else ""
    shown = [_noun(said.groups[0], rng), doing, *_object(said, rng), _background(said, rng), *_asides(said, rng)]
    if said.style and rng.random() < 0.8:
        return [_one_of(rng, lexicon.STYLE_PREFIXES[said.style]), *shown]
    return shown + _suffix(said, rng)


def _clause(said: Request, rng: np.random.Generator) -> list[str]:
    subject, where = _noun(said.groups[0], rng), _background(said, rng)
    verb = "is" if said.groups[0].counts == (1,) else "are"
    rest = [*_asides(said, rng), *_suffix(said, rng)]
    if where and rng.random() < 0.2:
        return [where, ",", "there", verb, subject, *_object(said, rng), *rest]
    if rng.random() < 0.3:
        return ["there", verb, subject, *_object(said, rng), where, *rest]
    stands_bare = bool(said.relation or where) and rng.random() < 0.5
    return [subject, verb, "" if stands_bare else _posture(said, rng), *_object(said, rng), where, *rest]


def _noun(group: GroupRequest, rng: np.random.Generator) -> str:
    own, *others = lexicon.singulars(group.concept)
    name = _one_of(rng, others) if others and rng.random() < 0.35 else own
    if group.counts != (1,):
        return f"{lexicon.NUMBERS[group.counts[0]]} {lexicon.plural(name)}"
    return f"one {name}" if rng.random() < 0.1 else lexicon.with_article(name)


def _posture(said: Request, rng: np.random.Generator) -> str:
    return _one_of(rng, lexicon.postures(said.groups[0].concept))


def _object(said: Request, rng: np.random.Generator) -> list[str]:
    if not said.relation:
        return []
    return [_one_of(rng, lexicon.RELATION_PHRASES[said.relation]), _noun(said.groups[1], rng)]


def _background(said: Request, rng: np.random.Generator) -> str:
    return _one_of(rng, lexicon.BACKGROUND_PHRASES[said.background]) if said.background else ""


def _asides(said: Request, rng: np.random.Generator) -> list[str]:
    words: list[str] = []
    for group in said.groups[2 if said.relation else 1 :]:
        before, after = _one_of(rng, lexicon.ASIDES)
        words += [before, _noun(group, rng), after]
    return words


def _suffix(said: Request, rng: np.random.Generator) -> list[str]:
    return [",", _one_of(rng, lexicon.STYLE_SUFFIXES[said.style])] if said.style else []


def _one_of(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]

"""Scenes are drawn as the distributions state, and completions keep what was asked."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from desiderata.errors import DesiderataError
from desiderata.worlds.moji.catalogue import CLASSES
from desiderata.worlds.moji.grammar import caption, fulfils, parse
from desiderata.worlds.moji.sampler import (
    AT_LARGE,
    BROAD,
    CORNER,
    CROWDED,
    HABITUAL,
    PLAIN_SINGLE,
    TYPICAL,
    Distribution,
    complete,
    sample_scene,
    sentence_bank,
)
from desiderata.worlds.moji.scene import BACKGROUNDS, MOST_OBJECTS, RELATIONS, STYLES, Scene

NAMED = [AT_LARGE, BROAD, HABITUAL, TYPICAL, PLAIN_SINGLE, CROWDED, CORNER]
seeds = st.integers(0, 2**32)


def follows(scenes: list[Scene], weights: Mapping, value: Callable[[Scene], Any]) -> bool:
    seen = Counter(map(value, scenes))
    names = [name for name, weight in weights.items() if weight > 0]
    assert set(seen) <= set(names)
    if len(names) == 1:
        return True
    shares = np.array([weights[name] for name in names])
    return chisquare([seen[name] for name in names], shares / shares.sum() * len(scenes)).pvalue > 1e-6


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMED), st.sampled_from(["one", "none", "any"]), st.none() | st.sampled_from(CLASSES), seeds)
def test_every_scene_is_sound(distribution: Distribution, classes: Any, label: str | None, seed: int):
    if classes == "none":
        label = None
    scene = sample_scene(np.random.default_rng(seed), replace(distribution, classes=classes), label=label)
    concepts = [group.concept for group in scene.groups]
    shown = [concept for concept in concepts if concept in CLASSES]
    assert len(set(concepts)) == len(concepts)
    assert sum(group.count for group in scene.groups) <= MOST_OBJECTS
    assert (scene.relation in RELATIONS) if len(concepts) > 1 else (scene.relation is None)
    assert scene.background in BACKGROUNDS
    assert scene.style in STYLES
    if label:
        assert shown == [label]
    elif classes != "any":
        assert len(shown) == (classes == "one")


@pytest.mark.parametrize("distribution", NAMED)
def test_scenes_follow_their_distribution(distribution: Distribution):
    rng = np.random.default_rng(1)
    scenes = [sample_scene(rng, distribution) for _ in range(3000)]
    crowded = [scene for scene in scenes if len(scene.groups) > 1]
    alone = [scene for scene in scenes if len(scene.groups) == 1]
    assert follows(scenes, distribution.groups, lambda scene: len(scene.groups))
    for label in CLASSES:
        of_class = [scene for scene in scenes if scene.label == label]
        expected = distribution.habitats.get(label, distribution.backgrounds)
        assert follows(of_class, expected, lambda scene: scene.background)
    if not distribution.habitats:
        assert follows(scenes, distribution.backgrounds, lambda scene: scene.background)
    assert follows(scenes, distribution.styles, lambda scene: scene.style)
    assert follows(scenes, dict.fromkeys(CLASSES, 1), lambda scene: scene.label)
    if crowded:
        first = {True: distribution.class_first, False: 1 - distribution.class_first}
        assert follows(crowded, distribution.relations, lambda scene: scene.relation)
        assert follows(crowded, first, lambda scene: scene.groups[0].concept in CLASSES)
    if alone:
        assert follows(alone, distribution.counts, lambda scene: scene.groups[0].count)


def test_any_class_may_be_absent_or_in_company():
    rng = np.random.default_rng(2)
    scenes = [sample_scene(rng, replace(AT_LARGE, classes="any")) for _ in range(500)]
    assert {sum(group.concept in CLASSES for group in scene.groups) for scene in scenes} >= {0, 1, 2}


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_the_same_seed_draws_the_same(seed: int):
    def draws() -> list:
        rng = np.random.default_rng(seed)
        return [sample_scene(rng), complete(parse("cats"), rng), sentence_bank("frog", 5, rng)]

    assert draws() == draws()


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(NAMED), st.sampled_from(NAMED), st.none() | st.sampled_from(CLASSES), seeds)
def test_a_completion_keeps_what_was_asked(source: Distribution, prior: Distribution, subject: str | None, seed: int):
    rng = np.random.default_rng(seed)
    inner = caption(sample_scene(rng, source), rng, complete=False)
    request = parse(f"An image associated with {subject}, which illustrates that {inner}" if subject else inner)
    scene = complete(request, rng, prior)
    assert fulfils(scene, request)
    assert sum(group.count for group in scene.groups) <= MOST_OBJECTS
    if subject:
        assert scene.label == subject


def test_what_is_left_open_follows_the_prior():
    rng = np.random.default_rng(3)
    scenes = [complete(parse("a cat"), rng) for _ in range(3000)]
    assert {scene.label for scene in scenes} == {"cat"}
    assert follows(scenes, TYPICAL.groups, lambda scene: len(scene.groups))
    assert follows(scenes, TYPICAL.habitats["cat"], lambda scene: scene.background)
    things = [complete(parse("a clock"), rng) for _ in range(3000)]
    assert follows(things, TYPICAL.backgrounds, lambda scene: scene.background)
    assert follows(scenes, TYPICAL.styles, lambda scene: scene.style)
    crowded = [scene for scene in scenes if scene.relation]
    assert follows(crowded, TYPICAL.relations, lambda scene: scene.relation)


def test_a_number_that_the_prior_never_draws_is_kept():
    scene = complete(parse("three cats in space, drawn as a blueprint"), np.random.default_rng(0), PLAIN_SINGLE)
    assert scene.groups[0].count == 3
    assert (scene.background, scene.style) == ("space", "blueprint")


@pytest.mark.parametrize("label", CLASSES)
def test_a_sentence_bank_is_about_its_class(label: str):
    bank = sentence_bank(label, 40, np.random.default_rng(4))
    assert len(set(bank)) == len(bank) == 40
    for sentence in bank:
        request = parse(sentence)
        assert label in {group.concept for group in request.groups}
        assert request.style is not None
        assert request.background is not None


def test_wrong_wishes_are_refused():
    rng = np.random.default_rng(5)
    with pytest.raises(DesiderataError, match="unicorn"):
        sample_scene(rng, label="unicorn")
    with pytest.raises(DesiderataError, match="without classes"):
        sample_scene(rng, replace(AT_LARGE, classes="none"), label="cat")
    with pytest.raises(DesiderataError, match=r"'moon'.*choose from"):
        replace(AT_LARGE, backgrounds={"moon": 1.0})
    with pytest.raises(DesiderataError, match="styles"):
        replace(AT_LARGE, styles={"photo": 0.0})
    with pytest.raises(DesiderataError, match="counts"):
        replace(AT_LARGE, counts={1: 1.0, 2: -0.5})
    with pytest.raises(DesiderataError, match=r"Only .* different sentences"):
        sentence_bank("cat", 10**4, rng, replace(PLAIN_SINGLE, backgrounds={"red": 1.0}))

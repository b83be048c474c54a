"""Held-out subjects and styles are unknown to the world, drawn by it, and shown in one setting to be learnt from."""

import itertools

import numpy as np
import pytest

from desiderata.errors import DesiderataError
from desiderata.randomness import stream
from desiderata.worlds.moji.artwork import sprite
from desiderata.worlds.moji.catalogue import ARTWORKS, CONCEPTS
from desiderata.worlds.moji.grammar import parse
from desiderata.worlds.moji.held_out import (
    HELD_OUT_STYLES,
    SUBJECTS,
    draw,
    draw_style,
    draw_subject,
    held_out_pictures,
    references,
)
from desiderata.worlds.moji.held_out_styles import HELD_OUT_STYLE
from desiderata.worlds.moji.render import render
from desiderata.worlds.moji.sampler import sample_scene
from desiderata.worlds.moji.scene import BACKGROUNDS, STYLES, Group, Scene

CAT = Scene((Group("cat"),), None, "room", "photo")


def test_what_is_held_out_is_new():
    known = set(itertools.chain.from_iterable(ARTWORKS.values()))
    assert len(SUBJECTS) >= 8
    assert len(HELD_OUT_STYLES) >= 5
    assert not known & {subject.artwork for subject in SUBJECTS.values()}
    assert not set(SUBJECTS) & set(CONCEPTS)
    assert not set(HELD_OUT_STYLES) & set(STYLES)
    assert tuple(HELD_OUT_STYLE) == tuple(HELD_OUT_STYLES)


def test_class_words_and_settings_are_words_that_the_world_knows():
    words = [subject.word for subject in SUBJECTS.values()]
    assert len(set(words)) == len(words)
    for subject in SUBJECTS.values():
        read = parse(f"a {subject.word} {subject.setting}")
        assert read.groups[0].concept == subject.word
        assert read.background == subject.background
    for style in HELD_OUT_STYLES.values():
        read = parse(f"{style.content} in {style.word if style.word == 'pixel art' else 'a ' + style.word}")
        assert (read.groups[0].concept, read.background) == (style.concept, style.background)
        assert read.style in STYLES


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_is_learnt_from_one_setting_and_judged_in_others(name: str):
    shown = references(name, seed=3)
    assert len(shown) == 4
    assert {drawing.scene for drawing in shown} == {Scene((Group(name),), None, SUBJECTS[name].background, "photo")}
    assert len({drawing.image.tobytes() for drawing in shown}) == 4
    others = held_out_pictures(name, seed=3, n=8)
    assert all(drawing.scene.groups[0].concept == name for drawing in others)
    assert SUBJECTS[name].background not in {drawing.scene.background for drawing in others}
    assert [len(drawing.scene.groups) for drawing in others] == [1, 2] * 4
    assert all(np.array_equal(one.image, two.image) for one, two in zip(shown, references(name, seed=3)))
    assert not np.array_equal(shown[0].image, references(name, seed=4)[0].image)


@pytest.mark.parametrize("name", HELD_OUT_STYLES)
def test_a_style_is_learnt_from_one_picture_and_judged_on_other_things(name: str):
    (shown,) = references(name, seed=0)
    style = HELD_OUT_STYLES[name]
    assert shown.scene == Scene((Group(style.concept),), None, style.background, name)
    for drawing in held_out_pictures(name, seed=0, n=6):
        assert drawing.scene.style == name
        assert drawing.scene.groups[0].concept != style.concept
        assert drawing.scene.background != style.background


def test_more_references_go_on_where_fewer_end():
    few, more = references("crab", 0), references("crab", 0, n=6)
    assert all(np.array_equal(one.image, two.image) for one, two in zip(few, more))


def test_subjects_are_drawn_anywhere_beside_anything():
    drawing = draw_subject(
        "fox", stream(0), background="beach", style="pixel art", beside="clock", relation="above", size=48
    )
    assert drawing.image.shape == (48, 48, 3)
    assert drawing.scene == Scene((Group("fox"), Group("clock")), "above", "beach", "pixel art")
    assert draw_subject("fox", stream(0), background="red", style="crayon").scene.style == "crayon"


def test_what_is_not_held_out_is_drawn_as_ever():
    for index in range(12):
        scene = sample_scene(stream(1, index))
        assert np.array_equal(draw(scene, stream(2, index)), render(scene, stream(2, index)))


def test_styles_differ_from_those_of_the_world_and_from_each_other():
    pictures = [draw(Scene(CAT.groups, None, "room", style), stream(5)) for style in (*STYLES, *HELD_OUT_STYLES)]
    for one, two in itertools.combinations(pictures, 2):
        assert np.abs(one.astype(int) - two.astype(int)).mean() > 8


@pytest.mark.parametrize("style", HELD_OUT_STYLES)
def test_styles_keep_backgrounds_apart_and_take_any_size(style: str):
    def mean(background: str) -> np.ndarray:
        scene = Scene(CAT.groups, None, background, style)
        return np.mean([draw(scene, stream(index)).astype(float) for index in range(4)], axis=0)

    means = {name: mean(name) for name in BACKGROUNDS}
    for one, two in itertools.combinations(BACKGROUNDS, 2):
        assert np.abs(means[one] - means[two]).mean() > 5, (one, two)
    for size in (32, 50, 100):
        assert draw_style(style, CAT, stream(0), size).image.shape == (size, size, 3)


def test_a_style_is_drawn_whatever_style_the_scene_names():
    assert draw_style("crayon", CAT, stream(0)).scene == Scene(CAT.groups, None, "room", "crayon")


def test_subjects_are_readable_sprites():
    for subject in SUBJECTS.values():
        ink = sprite(subject.artwork, 40)
        assert (ink[:, :, 3] > 128).mean() > 0.2


@pytest.mark.parametrize(
    "call",
    [
        lambda: references("dragon", 0),
        lambda: held_out_pictures("photo", 0, 1),
        lambda: draw_subject("cat", stream(0), background="room"),
        lambda: draw_style("sepia", CAT, stream(0)),
    ],
)
def test_unknown_names_are_told(call):
    with pytest.raises(DesiderataError, match="choose from"):
        call()


def test_a_held_out_subject_is_no_concept_of_the_world():
    with pytest.raises(DesiderataError, match="crab"):
        render(Scene((Group("crab"),), None, "beach", "photo"), stream(0))

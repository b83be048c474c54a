"""Pictures of the Moji world show what their scenes say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desiderata.errors import DesiderataError
from desiderata.worlds.moji import artwork
from desiderata.worlds.moji.backgrounds import BACKGROUND, background
from desiderata.worlds.moji.catalogue import ARTWORKS, CONCEPTS, DISTRACTORS
from desiderata.worlds.moji.placement import MOST_COVERED, Placement, holds
from desiderata.worlds.moji.render import layout, render
from desiderata.worlds.moji.scene import BACKGROUNDS, CLASSES, RELATIONS, STYLES, Group, Scene
from desiderata.worlds.moji.styles import STYLE

COUNTS = [(1,), (2,), (3,), (1, 1), (1, 2), (2, 1), (1, 1, 1)]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    counts = draw(st.sampled_from(COUNTS))
    concepts = draw(st.lists(st.sampled_from(CONCEPTS), min_size=len(counts), max_size=len(counts), unique=True))
    groups = tuple(Group(concept, count) for concept, count in zip(concepts, counts))
    relation = draw(st.sampled_from(RELATIONS)) if len(groups) > 1 else None
    return Scene(groups, relation, draw(st.sampled_from(BACKGROUNDS)), draw(st.sampled_from(STYLES)))


def middle(placements: list[Placement], group: int) -> np.ndarray:
    members = [each for each in placements if each.look.group == group]
    return np.mean([(each.left + each.width / 2, each.top + each.height / 2) for each in members], axis=0)


def test_the_vocabulary_is_complete():
    assert CONCEPTS[:10] == CLASSES
    assert len(DISTRACTORS) >= 52
    assert tuple(BACKGROUND) == BACKGROUNDS
    assert tuple(STYLE) == STYLES
    stems = list(itertools.chain.from_iterable(ARTWORKS.values()))
    assert len(stems) == len(set(stems)), "an artwork shows one concept only"


@settings(max_examples=300, deadline=None)
@given(scenes(), st.integers(0, 2**32 - 1), st.sampled_from([32, 48, 64, 100, 128]))
def test_objects_stand_as_the_scene_says(scene: Scene, seed: int, size: int):
    placements = layout(scene, np.random.default_rng(seed), size)

    assert [each.look.group for each in placements] == [
        number for number, group in enumerate(scene.groups) for _ in range(group.count)
    ]
    assert all(each.look.stem in ARTWORKS[scene.groups[each.look.group].concept] for each in placements)
    for each in placements:
        assert 0 <= each.left <= each.left + each.width <= size
        assert 0 <= each.top <= each.top + each.height <= size
        assert max(each.width, each.height) == each.side >= 0.25 * size
        assert each.side <= placements[0].side
    for one, two in itertools.combinations(placements, 2):
        width = min(one.left + one.width, two.left + two.width) - max(one.left, two.left)
        height = min(one.top + one.height, two.top + two.height) - max(one.top, two.top)
        covered = max(width, 0) * max(height, 0)
        assert covered <= MOST_COVERED * min(one.width * one.height, two.width * two.height)

    assert holds(scene.relation, placements, size)
    if scene.relation is not None:
        right, down = middle(placements, 0) - middle(placements, 1)
        margin = 0.15 * size
        assert {
            "left of": right < -margin,
            "right of": right > margin,
            "above": down < -margin,
            "below": down > margin,
            "next to": abs(right) > abs(down),
        }[scene.relation]


def test_holds_refuses_the_opposite():
    scene = Scene((Group("cat"), Group("dog")), "above", "white", "photo")
    placements = layout(scene, np.random.default_rng(0))
    assert holds("above", placements, 64)
    assert not any(holds(other, placements, 64) for other in RELATIONS if other != "above")


@settings(max_examples=30, deadline=None)
@given(scenes(), st.integers(0, 2**32 - 1), st.integers(32, 100))
def test_the_same_draws_give_the_same_bytes(scene: Scene, seed: int, size: int):
    first, again = (render(scene, np.random.default_rng(seed), size) for _ in range(2))
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("style", STYLES)
def test_every_concept_shows_in_every_style(style: str):
    for concept in CONCEPTS:
        scene = Scene((Group(concept),), None, "white", style)
        placement = layout(scene, np.random.default_rng(3))[0]
        picture = render(scene, np.random.default_rng(3)).astype(int)
        rows = slice(placement.top, placement.top + placement.height)
        columns = slice(placement.left, placement.left + placement.width)
        inside = picture[rows, columns].reshape(-1, 3)
        assert inside.std(axis=0).max() > 12, concept


def test_backgrounds_differ_from_each_other_and_from_themselves():
    def mean_picture(name: str) -> np.ndarray:
        return np.mean([background(name, np.random.default_rng(seed), 64) for seed in range(12)], axis=0)

    means = {name: mean_picture(name) for name in BACKGROUNDS}
    for one, two in itertools.combinations(BACKGROUNDS, 2):
        assert np.abs(means[one] - means[two]).mean() > 12, (one, two)
    for name in BACKGROUNDS:
        one, two = (background(name, np.random.default_rng(seed), 64) for seed in (1, 2))
        assert not np.array_equal(one, two)


def test_a_damaged_cache_file_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIDERATA_CACHE", str(tmp_path))
    artwork.forget()
    fresh = artwork.sprite("1F431", 40)
    (file,) = tmp_path.rglob("*.png")
    sound = file.read_bytes()
    for damaged in (b"", sound[:-200], b"not a picture", sound[:40] + b"\0\0\0\0" + sound[44:]):
        file.write_bytes(damaged)
        artwork.forget()
        assert np.array_equal(artwork.sprite("1F431", 40), fresh)
        assert file.read_bytes() == sound
    artwork.forget()


def test_a_cache_that_cannot_be_written_still_gives_pictures(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DESIDERATA_CACHE", str(tmp_path / "file"))
    artwork.forget()
    assert artwork.sprite("1F431", 40).shape[2] == 4
    artwork.forget()


CAT, DOG = Group("cat"), Group("dog")


@pytest.mark.parametrize(
    ("scene", "size", "word"),
    [
        (Scene((Group("unicorn"),), None, "grass", "photo"), 64, "unicorn"),
        (Scene((), None, "grass", "photo"), 64, "count"),
        (Scene((Group("cat", 0),), None, "grass", "photo"), 64, "count"),
        (Scene((Group("cat", 4),), None, "grass", "photo"), 64, "count"),
        (Scene((Group("cat", 2), Group("dog", 2)), "next to", "grass", "photo"), 64, "count"),
        (Scene((CAT, DOG), None, "grass", "photo"), 64, "relation"),
        (Scene((CAT, DOG), "behind", "grass", "photo"), 64, "behind"),
        (Scene((CAT,), "above", "grass", "photo"), 64, "above"),
        (Scene((CAT,), None, "moon", "photo"), 64, "moon"),
        (Scene((CAT,), None, "grass", "cubist"), 64, "cubist"),
        (Scene((CAT,), None, "grass", "photo"), 31, "31"),
    ],
)
def test_mistakes_are_told_in_a_sentence(scene: Scene, size: int, word: str):
    with pytest.raises(DesiderataError, match=word):
        render(scene, np.random.default_rng(0), size)


def test_an_artwork_that_openmoji_lacks_is_told():
    with pytest.raises(DesiderataError, match="no artwork"):
        artwork.sprite("FFFFF", 40)

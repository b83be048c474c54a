"""The scene oracle shows what a sentence asks for."""

import numpy as np
import pytest

from desiderata.oracles.scene import SceneOracle
from desiderata.worlds.moji.grammar import CannotParse, fulfils, parse
from desiderata.worlds.moji.sampler import CORNER

ORACLE = SceneOracle()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a photo of a lorry", "truck"),
        ("An image associated with deer, which illustrates that a giraffe is on the grass", "deer"),
        ("An image associated with deer, which illustrates that a cat is left of a deer", "deer"),
        ("an image associated with deer, which illustrates that a deer is in the snow", "deer"),
        ("two guitars on a red background, drawn in pencil", None),
    ],
)
def test_answers_show_what_was_asked_and_are_labelled_by_it(text: str, label: str | None):
    answers = ORACLE.answer(text, 3, np.random.default_rng(0))
    assert len(answers) == 3
    for answer in answers:
        assert answer.image.shape == (64, 64, 3)
        assert answer.image.dtype == np.uint8
        assert answer.label == answer.scene.label == label
        assert fulfils(answer.scene, parse(text))


def test_the_same_seed_gives_the_same_pictures_and_another_gives_others():
    first, again, other = (ORACLE.answer("a cat", 2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for one, two, three in zip(first, again, other, strict=True):
        assert one.scene == two.scene
        assert np.array_equal(one.image, two.image)
        assert not np.array_equal(one.image, three.image)


def test_size_and_prior_are_the_callers():
    answers = SceneOracle(size=32, prior=CORNER).answer("a cat", 4, np.random.default_rng(0))
    assert {answer.image.shape for answer in answers} == {(32, 32, 3)}
    assert {answer.scene.style for answer in answers} <= set(CORNER.styles)


def test_a_refusal_names_the_word_and_draws_nothing():
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    with pytest.raises(CannotParse, match="jungle"):
        ORACLE.answer("a cat in the jungle", 1, rng)
    assert rng.random() == untouched.random()

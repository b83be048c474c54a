"""Alignments agree with what a few dense lines of float64 say, whatever the numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desiderata.errors import DesiderataError
from desiderata.measure.alignment import CODE_SCALE, align, image_alignment, overfitting, text_alignment


class Vectors:
    """Embeds a picture of one row of figures as that row, and a sentence as figures drawn from its letters."""

    name, dim = "vectors", 7

    def images(self, images):
        return self._unit(np.array([np.asarray(image, float).ravel() for image in images]).reshape(-1, self.dim))

    def texts(self, texts):
        return self._unit(
            np.array([np.random.default_rng(list(text.encode())).normal(size=7) for text in texts]).reshape(-1, 7)
        )

    def _unit(self, rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


ENCODER = Vectors()
SENTENCES = st.text("abc ", min_size=1, max_size=4)


def pictures(n: int, seed: int = 0) -> list:
    return list(np.random.default_rng(seed).normal(size=(n, 7)))


def cosine(a, b) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b))


@st.composite
def runs(draw):
    n = draw(st.integers(1, 6))
    prompts = draw(st.lists(SENTENCES, min_size=n, max_size=n))
    plain = draw(st.lists(SENTENCES, min_size=1, max_size=4))
    return pictures(n, draw(st.integers(0, 99))), prompts, pictures(draw(st.integers(1, 5)), 100), plain


@settings(max_examples=25, deadline=None)
@given(runs())
def test_the_measures_are_those_of_a_few_dense_lines(run):
    images, prompts, references, plain = run
    found = align(images, prompts, references, plain, ENCODER)
    text = [cosine(i, ENCODER.texts([p])[0]) for i, p in zip(images, prompts)]
    pairs = [[cosine(i, r) for r in references] for i in images]
    nearest = [max(cosine(i, ENCODER.texts([p])[0]) for p in plain) for i in images]
    np.testing.assert_allclose(found.text, text, atol=1e-12)
    np.testing.assert_allclose(found.image, np.mean(pairs, axis=1), atol=1e-12)
    clear = np.abs(np.subtract(text, nearest)) > 1e-9
    assert (found.overfitted[clear] == np.less(text, nearest)[clear]).all()
    figures = found.figures()
    np.testing.assert_allclose(figures["txt_aln"], np.mean(text), atol=1e-12)
    np.testing.assert_allclose(figures["txt_aln_2.5x"], 2.5 * np.mean(text), atol=1e-12)
    np.testing.assert_allclose(figures["img_aln"], np.mean(pairs), atol=1e-12)
    assert figures["ovf"] == found.overfitted.mean()
    assert CODE_SCALE == 2.5


@settings(max_examples=25, deadline=None)
@given(runs())
def test_single_measures_are_the_same_to_the_last_bit(run):
    images, prompts, references, plain = run
    found = align(images, prompts, references, plain, ENCODER)
    np.testing.assert_array_equal(found.text, text_alignment(images, prompts, ENCODER))
    np.testing.assert_array_equal(found.image, image_alignment(images, references, ENCODER))
    np.testing.assert_array_equal(found.overfitted, overfitting(images, prompts, plain, ENCODER))


@settings(max_examples=25, deadline=None)
@given(runs(), st.randoms(use_true_random=False))
def test_neither_order_nor_company_matters(run, random):
    images, prompts, references, plain = run
    whole = align(images, prompts, references, plain, ENCODER)
    order = list(range(len(images)))
    random.shuffle(order)
    for place, i in enumerate(order):
        alone = align([images[i]], [prompts[i]], references[::-1], plain[::-1], ENCODER)
        mixed = align([images[j] for j in order], [prompts[j] for j in order], references, plain, ENCODER)
        for one, at in ((alone, 0), (mixed, place)):
            assert one.text[at] == whole.text[i]
            assert one.overfitted[at] == whole.overfitted[i]
            np.testing.assert_allclose(one.image[at], whole.image[i], atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(runs(), SENTENCES)
def test_more_to_overfit_to_never_overfits_less(run, another):
    images, prompts, _, plain = run
    less, more = (overfitting(images, prompts, some, ENCODER) for some in (plain, [*plain, another]))
    assert (less <= more).all()


@settings(max_examples=25, deadline=None)
@given(runs())
def test_ties_are_exact_and_go_where_they_are_sent(run):
    images, prompts, _, _ = run
    for image, prompt in zip(images, prompts):
        assert not overfitting([image], [prompt], [prompt], ENCODER)[0]
        assert overfitting([image], [prompt], [prompt], ENCODER, ties=True)[0]
    strict, lenient = (overfitting(images, prompts, prompts, ENCODER, ties=ties) for ties in (False, True))
    assert (strict <= lenient).all()
    assert lenient.all()  # each picture's own prompt is among the non-subject ones


def test_copies_of_the_reference_are_as_like_it_as_can_be():
    (reference,) = pictures(1)
    assert image_alignment([reference, -reference], [reference], ENCODER) == pytest.approx([1, -1])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: text_alignment(pictures(2), ["a"], ENCODER), "2 pictures and 1 prompts do not pair up"),
        (lambda: text_alignment(pictures(2), "ab", ENCODER), "2 pictures and 1 prompts do not pair up"),
        (lambda: image_alignment(pictures(2), [], ENCODER), "no references"),
        (lambda: overfitting(pictures(1), ["a"], [], ENCODER), "no non-subject prompt"),
        (lambda: align([], [], pictures(1), ["a"], ENCODER).figures(), "No pictures have no alignment"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, says: str):
    with pytest.raises(DesiderataError, match=says) as error:
        call()
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_one_non_subject_prompt_alone_is_a_list_of_one():
    images = pictures(5)
    prompts = ["a"] * 5
    np.testing.assert_array_equal(
        overfitting(images, prompts, "bc", ENCODER), overfitting(images, prompts, ["bc"], ENCODER)
    )

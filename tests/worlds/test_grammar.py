"""The law of the grammar, which is that whatever `caption` writes `parse` reads back, and what else is understood."""

import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desiderata.errors import DesiderataError
from desiderata.worlds.moji import lexicon
from desiderata.worlds.moji.catalogue import CLASSES, CONCEPTS
from desiderata.worlds.moji.grammar import LONGEST, CannotParse, GroupRequest, Request, caption, fulfils, parse
from desiderata.worlds.moji.reader import _spoken, knows, unknown_words, vocabulary
from desiderata.worlds.moji.scene import BACKGROUNDS, MOST_OBJECTS, RELATIONS, STYLES, Group, Scene

COUNTS = [(1,), (2,), (3,), (1, 1), (2, 1), (1, 2), (1, 1, 1)]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    counts = draw(st.sampled_from(COUNTS))
    concepts = draw(st.lists(st.sampled_from(CONCEPTS), min_size=len(counts), max_size=len(counts), unique=True))
    return Scene(
        tuple(map(Group, concepts, counts)),
        draw(st.sampled_from(RELATIONS)) if len(counts) > 1 else None,
        draw(st.sampled_from(BACKGROUNDS)),
        draw(st.sampled_from(STYLES)),
    )


def one(concept: str) -> GroupRequest:
    return GroupRequest(concept, (1,))


def spelled_out(scene: Scene) -> Request:
    groups = tuple(GroupRequest(group.concept, (group.count,)) for group in scene.groups)
    return Request(groups, scene.relation, scene.background, scene.style)


@settings(max_examples=400, deadline=None)
@given(scenes(), st.integers(0, 2**32))
def test_a_complete_caption_says_the_scene_and_nothing_else(scene: Scene, seed: int):
    sentence = caption(scene, np.random.default_rng(seed))
    assert parse(sentence) == spelled_out(scene)
    assert fulfils(scene, parse(sentence))


@settings(max_examples=400, deadline=None)
@given(scenes(), st.integers(0, 2**32))
def test_a_partial_caption_is_true_and_leaves_something_open(scene: Scene, seed: int):
    request = parse(caption(scene, np.random.default_rng(seed), complete=False))
    assert fulfils(scene, request)
    assert request.style is None or request.background is None
    assert scene.label is None or scene.label in {group.concept for group in request.groups}


@settings(max_examples=200, deadline=None)
@given(scenes(), st.integers(0, 2**32), st.booleans())
def test_captions_are_plain_short_and_reproducible(scene: Scene, seed: int, complete: bool):
    sentence = caption(scene, np.random.default_rng(seed), complete=complete)
    assert sentence == sentence.lower()
    assert not sentence.endswith(".")
    assert "  " not in sentence
    assert " ," not in sentence
    assert len(sentence.split()) <= LONGEST
    assert sentence == caption(scene, np.random.default_rng(seed), complete=complete)


@settings(max_examples=100, deadline=None)
@given(scenes(), st.integers(0, 2**32), st.sampled_from(CLASSES))
def test_the_template_keeps_the_class_and_reads_the_sentence_inside(scene: Scene, seed: int, label: str):
    inner = caption(scene, np.random.default_rng(seed))
    request = parse(f"An image associated with {label}, which illustrates that {inner}.")
    expected = spelled_out(scene)
    assert request == Request(
        expected.groups, expected.relation, expected.background, expected.style, subject_class=label
    )


@pytest.mark.parametrize(
    ("sentence", "request_"),
    [
        ("cats", Request((GroupRequest("cat", (2, 3)),))),
        ("cat", Request((one("cat"),))),
        ("deer", Request((GroupRequest("deer", (1, 2, 3)),))),
        ("Three deer.", Request((GroupRequest("deer", (3,)),))),
        ("some birds", Request((GroupRequest("bird", (2, 3)),))),
        ("two cat", Request((GroupRequest("cat", (2,)),))),
        ("a a cat", Request((one("cat"),))),
        ("a pair of scissors", Request((one("scissors"),))),
        ("a pair of cats", Request((GroupRequest("cat", (2,)),))),
        ("two pairs of scissors", Request((GroupRequest("scissors", (2,)),))),
        ("a photo of a truck", Request((one("truck"),), style="photo")),
        ("an image of a truck", Request((one("truck"),))),
        ("a picture of a lorry", Request((one("truck"),))),
        ("a photo of a dog at night", Request((one("dog"),), style="night photo")),
        ("A Photo of a dog, in sepia!", Request((one("dog"),), style="sepia")),
        ("dog in photo", Request((one("dog"),), style="photo")),
        ("dog on beach", Request((one("dog"),), background="beach")),
        ("a dog with a gray background", Request((one("dog"),), background="grey")),
        ("The car is to left of the plane", Request((one("automobile"), one("airplane")), "left of")),
        ("a cat and a guitar", Request((one("cat"), one("guitar")))),
        ("a cat, with 2 guitars", Request((one("cat"), GroupRequest("guitar", (2,))))),
        ("a ship under a rocket among the stars", Request((one("ship"), one("rocket")), "below", "space")),
        (
            "On the grass, there's a kitten near a boat with a bird in the background",
            Request((one("cat"), one("ship"), one("bird")), "next to", "grass"),
        ),
    ],
)
def test_sentences_that_no_caption_writes(sentence: str, request_: Request):
    assert parse(sentence) == request_


@pytest.mark.parametrize("concept", CONCEPTS)
def test_every_name_of_a_concept_means_it_in_both_numbers(concept: str):
    for name in lexicon.singulars(concept):
        assert parse(f"one {name}").groups == (one(concept),)
        assert parse(f"two {lexicon.plural(name)}").groups == (GroupRequest(concept, (2,)),)


def test_no_phrase_means_two_things():
    meanings: dict[str, set] = {}
    for words, phrase in _spoken():
        meanings.setdefault(words, set()).add(phrase)
    assert {words: phrases for words, phrases in meanings.items() if len(phrases) > 1} == {}


@pytest.mark.parametrize(
    ("sentence", "word", "hint"),
    [
        ("", "", "names nothing"),
        ("a picture on the beach", "", "names nothing"),
        ("a cat in the jungle", "jungle", "on the beach"),
        ("a zebra on the grass", "zebra", "two cats next to a dog"),
        ("a girafe on the grass", "girafe", "'giraffe'"),
        ("a toy on the grass", "toy", "two cats next to a dog"),
        ("a red cat", "red", "on a red background"),
        ("four cats", "four", "one, two or three"),
        ("7 cats", "7", "one, two or three"),
        ("cats and dogs", "dogs", "at most 3"),
        ("two on the grass", "two", "a thing must follow"),
        ("a cat next to", "next to", "a thing must follow"),
        ("a cat next to on the beach a dog", "next to", "a thing must follow"),
        ("next to a cat", "next to", "between the first thing and the second"),
        ("a cat left of a dog above a bird", "above", "between the first thing and the second"),
        ("a ship's anchor", "s", "means"),
        ("a cat without a dog", "without", "means"),
        ("a cats", "cats", "after 'a'"),
        ("a one two cats", "one", "a thing must follow"),
        ("a cat and another cat", "cat", "two cats"),
        ("a cat in the snow on the beach", "on the beach", "'snow'"),
        ("a pencil drawing of a cat in sepia", "in sepia", "'pencil'"),
        ("an image associated with fun, which illustrates that a cat", "fun", "means"),
        ("an image associated with a cat and a dog, which shows a cat", "a cat and a dog", "one thing"),
        ("кошка", "кошка", "means"),
    ],
)
def test_a_refusal_names_the_word_and_says_how_to_write_it(sentence: str, word: str, hint: str):
    with pytest.raises(CannotParse) as refusal:
        parse(sentence)
    assert refusal.value.word == word
    assert hint in str(refusal.value)
    assert repr(sentence) in str(refusal.value)
    assert isinstance(refusal.value, DesiderataError)


def test_a_word_is_only_suggested_where_it_would_be_understood():
    with pytest.raises(CannotParse, match="write 'forest' if you meant that"):
        parse("a cat in the forrest")
    for sentence, meant in (("a houes", "house"), ("two houes", "houses"), ("a catt and two houes", "cat")):
        with pytest.raises(CannotParse, match=f"write '{meant}' if you meant that"):
            parse(sentence)  # "a houses" would be refused, too
    with pytest.raises(CannotParse) as refusal:
        parse("a cat on a wooden table")  # "wood" is a word of this world, and not one that has a table
    assert "if you meant that" not in str(refusal.value)
    assert unknown_words("A wooden table, a wooden chair and a cat") == ["wooden", "table"]


JUMBLE = (
    "a",
    "two",
    "cats",
    "dog",
    "next to",
    "left",
    "of",
    "on the beach",
    "in",
    "snow",
    "photo",
    "pair",
    "scissors",
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(JUMBLE)))
def test_any_jumble_of_known_words_is_read_or_refused(words: list[str]):
    try:
        request = parse(" ".join(words))
    except CannotParse:
        return
    assert 1 <= sum(min(group.counts) for group in request.groups) <= MOST_OBJECTS


def test_what_is_listed_is_understood():
    listed = vocabulary()
    for thing in listed["things"]:
        assert len(parse(f"a {thing}").groups) == 1
    for place in listed["places"]:
        assert parse(f"a cat {place}").background
    for style in listed["styles"]:
        assert parse(f"a cat {style}").style
    for relation in listed["relations"]:
        assert parse(f"a cat {relation} a dog").relation
    assert [knows(word) for word in ("Cats", "snow", "red", "two", "sks")] == [True, True, True, True, False]


def test_a_refusal_survives_pickling():
    error = CannotParse("zebra", "a zebra", "it is unknown")
    again = pickle.loads(pickle.dumps(error))
    assert (again.word, str(again)) == (error.word, str(error))


def test_a_class_left_out_of_its_description_becomes_the_subject():
    request = parse("An image associated with deer, which illustrates that a giraffe is left of a house in the snow")
    assert request.subject_class == "deer"
    assert request.groups == (one("giraffe"), one("house"))
    arranged = request.arranged()
    assert arranged == Request((one("deer"), one("giraffe"), one("house")), "next to", "snow")


def test_described_objects_make_room_for_the_class():
    three = parse("an image associated with deer, which illustrates that three giraffes are on the grass")
    assert three.arranged().groups == (one("deer"), GroupRequest("giraffe", (2,)))
    full = parse("an image associated with deer, which illustrates that two giraffes are next to a house")
    assert full.arranged().groups == (one("deer"), GroupRequest("giraffe", (2,)))


def test_a_class_named_after_another_moves_to_the_front():
    turned = parse("an image associated with deer, which illustrates that a cat is left of a deer").arranged()
    assert turned == Request((one("deer"), one("cat")), "right of")
    kept = parse("an image associated with deer, which illustrates that a house is left of a deer").arranged()
    assert kept == Request((one("house"), one("deer")), "left of")
    third = parse("an image associated with deer, which shows that a cat is above a house with a deer nearby")
    assert third.arranged() == Request((one("deer"), one("cat"), one("house")))


def test_a_class_alone_is_enough():
    assert parse("An image associated with frogs") == Request((), subject_class="frog")
    assert parse("An image associated with frog, which illustrates that it is in the snow").arranged() == (
        Request((GroupRequest("frog"),), background="snow")
    )


def test_fulfils_sees_every_difference():
    scene = Scene((Group("cat"), Group("dog", 2)), "left of", "snow", "photo")
    for true in ("a cat", "dogs", "a cat left of dogs", "two dogs right of a cat in the snow", "a photo of a cat"):
        assert fulfils(scene, parse(true)), true
    for false in (
        "cats",
        "a dog",
        "a bird",
        "a dog left of a cat",
        "a cat above dogs",
        "a cat at sea",
        "a cat in pencil",
    ):
        assert not fulfils(scene, parse(false)), false
    assert not fulfils(Scene((Group("cat"),), None, "snow", "photo"), parse("a cat left of a dog"))


def test_reading_is_fast():
    rng = np.random.default_rng(0)
    scene = Scene((Group("cat"), Group("dog"), Group("bird")), "left of", "red", "night photo")
    sentences = [caption(scene, rng) for _ in range(2000)]
    parse(sentences[0])
    start = time.process_time()
    for sentence in sentences:
        parse(sentence)
    assert len(sentences) / (time.process_time() - start) > 5000

"""Sentences about a subject: pools as published, pools that the Moji world understands, and what cannot be meant."""

import subprocess
import sys

import pytest

from desiderata.errors import DesiderataError
from desiderata.personalize import anchors as pools
from desiderata.personalize.anchors import anchor_templates, anchors_of, remaining
from desiderata.personalize.subject import Subject, as_template
from desiderata.worlds.moji.catalogue import CONCEPTS
from desiderata.worlds.moji.grammar import parse
from desiderata.worlds.moji.lexicon import STYLE_SUFFIXES, singulars, with_article
from desiderata.worlds.moji.scene import STYLES

TOY = Subject.of("toy", setting="on a wooden table")
WATERCOLOR = Subject.of("watercolor painting style", kind="style", setting="a cat")
OBJECT_POOLS = [pools.MOJI_OBJECT, pools.MOJI_OBJECT_TEST]
STYLE_POOLS = [pools.MOJI_STYLE, pools.MOJI_STYLE_TEST]


def test_an_object_is_written_with_its_placeholder_and_without():
    assert TOY.captions(2) == ["a sks toy on a wooden table"] * 2
    assert TOY.non_subjects == ("a toy on a wooden table",)
    assert TOY.prompt("{} in the snow") == "a sks toy in the snow"
    assert TOY.unedited("a pencil drawing of {}") == "a pencil drawing of a toy"
    assert TOY.class_prompt == "a photo of a toy"
    assert TOY.said("two dogs beside a <subject>") == "two dogs beside a sks toy"
    umbrella = Subject.of("umbrella", setting="in the rain", placeholder="<old-one>")
    assert umbrella.prompt("{} in a garden") == "a <old-one> umbrella in a garden"
    assert umbrella.unedited("{} in a garden") == "an umbrella in a garden"


def test_a_style_is_written_with_its_placeholder_and_without():
    assert WATERCOLOR.captions(1) == ["a cat in sks watercolor painting style"]
    assert WATERCOLOR.non_subjects == ("a cat in watercolor painting style",)
    assert WATERCOLOR.prompt("a guitar {}") == "a guitar in sks watercolor painting style"
    assert WATERCOLOR.unedited("a guitar {}") == "a guitar in watercolor painting style"
    assert WATERCOLOR.class_prompt is None
    assert WATERCOLOR.said("a house in <subject>") == "a house in sks watercolor painting style"
    assert (
        WATERCOLOR.said("a house in {}") == WATERCOLOR.said("a house {}") == WATERCOLOR.said("a house in <subject>")
    )
    authors = Subject.of("watercolor painting style", kind="style", setting="A cat", placeholder="")
    assert authors.captions(1) == ["A cat in watercolor painting style"] == list(authors.non_subjects)


@pytest.mark.parametrize(
    ("said", "kind", "template"),
    [
        ("a <subject> in the snow", "object", "{} in the snow"),
        ("A {} in the snow", "object", "{} in the snow"),
        ("a photo of the <Subject>", "object", "a photo of {}"),
        ("a sepia {}", "object", "a sepia {}"),
        ("banana {}", "object", "banana {}"),
        ("a dog in <subject>", "style", "a dog {}"),
        ("a dog in {}", "style", "a dog {}"),
        ("a dog in the  {}", "style", "a dog {}"),
        ("another {} by your {}", "object", "{} by {}"),
        ("a dog by a cabin {}", "style", "a dog by a cabin {}"),
        ("no slot", "object", "no slot"),
    ],
)
def test_what_somebody_typed_is_a_template_without_the_article(said: str, kind: str, template: str):
    assert as_template(said, kind) == template
    assert as_template(template, kind) == template


@pytest.mark.parametrize("sentence", ["a {} in the snow", "My {} in the snow", "two apples and the  {}", "{}"])
def test_both_ways_to_write_the_subject_say_the_same_where_a_word_precedes_it(sentence: str):
    same = TOY.said(sentence.replace("{}", "<subject>"))
    assert TOY.said(sentence) == (same if sentence != "{}" else f"a {same}")


def test_every_different_setting_makes_one_non_subject():
    dog = Subject.of("dog", setting=["in room", "on the grass", "in room"])
    assert dog.captions(3) == ["a sks dog in room", "a sks dog on the grass", "a sks dog in room"]
    assert dog.non_subjects == ("a dog in room", "a dog on the grass")
    with pytest.raises(DesiderataError, match="3 settings came with 2"):
        dog.captions(2)
    assert Subject.read(dog.table()) == dog


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "mood"}, "no kind of subject called 'mood'"),
        ({"word": " "}, "no word"),
        ({"settings": ()}, "without settings"),
        ({"settings": ("",)}, "no setting"),
        ({"settings": ("on a\ntable",)}, "on one line"),
        ({"word": "{}"}, "without braces"),
        ({"placeholder": "two words"}, "not one word"),
        ({"colour": 1}, "it has the unknown key 'colour', and takes kind, word, settings, placeholder"),
        ({"settings": "on the grass"}, "it has no list of settings"),
    ],
)
def test_subjects_that_mean_nothing(change: dict, says: str):
    with pytest.raises(DesiderataError, match=says):
        Subject.read({**TOY.table(), **change})


@pytest.mark.parametrize("placeholder", ["toy", "Red"])
def test_a_placeholder_that_the_references_say_already_is_refused(placeholder: str):
    with pytest.raises(DesiderataError, match=f"'{placeholder}' is a word of the subject or of what surrounds it"):
        Subject.of("toy", setting="on a red, wooden table", placeholder=placeholder)


@pytest.mark.parametrize("word", ["a horse", "An owl", "the horse"])
def test_an_article_is_no_part_of_a_subject(word: str):
    with pytest.raises(DesiderataError, match=f"give the noun alone, '{word.split()[1]}'"):
        Subject.of(word, setting="in the forest")
    assert Subject.of("theremin", setting="in the forest").word == "theremin"
    assert Subject.of("a mosaic style", kind="style", setting="a cat").word == "a mosaic style"


def test_there_are_as_many_as_published_and_none_twice():
    for kinds in (*pools.POOLS.values(), *pools.TESTS.values()):
        for templates in kinds.values():
            assert len(set(templates)) == len(templates)
            assert all(template.count("{}") == 1 for template in templates)
    assert all(len(templates) == 18 for kinds in pools.POOLS.values() for templates in kinds.values())
    assert all(len(templates) == 20 for kinds in pools.TESTS.values() for templates in kinds.values())
    assert pools.AUTHORS_OBJECT[0] == "{} in a workshop"
    assert pools.AUTHORS_STYLE[-1] == "A knife {}"


@pytest.mark.parametrize("kind", ["object", "style"])
def test_what_measures_is_not_asked(kind: str):
    asked = {template for kinds in pools.POOLS.values() for template in kinds[kind]}
    assert not asked & {template for kinds in pools.TESTS.values() for template in kinds[kind]}


@pytest.mark.parametrize("template", [template for pool in OBJECT_POOLS for template in pool])
def test_the_moji_world_understands_every_sentence_about_an_object(template: str):
    others = [name for concept in CONCEPTS for name in singulars(concept) if f" {name}" in template]
    for concept in CONCEPTS:
        noun = singulars(concept)[0]
        if noun not in others:
            request = parse(template.replace("{}", with_article(noun)))
            assert concept in {group.concept for group in request.groups}
            assert request.background or request.style, "an anchor says more than the subject's name"


@pytest.mark.parametrize("template", [template for pool in STYLE_POOLS for template in pool])
def test_the_moji_world_understands_every_sentence_in_a_style(template: str):
    for style in STYLES:
        for words in STYLE_SUFFIXES[style]:
            request = parse(template.replace("{}", words))
            assert request.style == style
            assert len(request.groups) == 1


def test_the_sentences_need_no_moji_world():
    code = (
        "import sys, desiderata.personalize.anchors; print([m for m in sys.modules if 'worlds' in m or m == 'torch'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_direction_that_is_the_references_own_is_left_out():
    found = anchors_of(Subject.of("toy", setting="in the snow"), pools.MOJI_OBJECT)
    assert len(found) == 17
    assert [anchor.index for anchor in found] == [0, 1, *range(3, 18)]


def test_a_chosen_direction_leaves_the_pool():
    found = anchors_of(TOY, ("{} in a gym", "{} in a bank"))
    assert [anchor.template for anchor in remaining(found, {"a sks toy in a gym"})] == ["{} in a bank"]


def test_pools_by_name_or_sentence_by_sentence():
    assert anchor_templates("authors", "style") == pools.AUTHORS_STYLE
    assert anchor_templates(["{} here"], "object") == ("{} here",)
    apart = anchor_templates("moji", "object", "Horse")
    assert set(pools.MOJI_OBJECT) - set(apart) == {"{} to the left of a horse on the grass"}
    assert anchor_templates(["{} next to a horse"], "object", "horse") == ("{} next to a horse",)
    assert len(pools.measuring_templates("moji", "object", "hip")) == 20  # a part of a word is another one
    assert pools.test_prompts("object") == pools.MOJI_OBJECT_TEST
    assert pools.measuring_templates("everyday", "style") == pools.EVERYDAY_STYLE_TEST


@pytest.mark.parametrize(
    ("pool", "kind", "says"),
    [
        ("martian", "object", "no pool of anchors called 'martian'"),
        ("moji", "mood", "no kind of subject"),
        (["a toy"], "object", "where the subject belongs"),
        (["{} and {}"], "object", "where the subject belongs"),
        (["{} here", "{} here"], "object", "twice"),
        ([], "object", "is empty"),
    ],
)
def test_pools_that_mean_nothing(pool, kind: str, says: str):
    with pytest.raises(DesiderataError, match=says):
        anchor_templates(pool, kind)

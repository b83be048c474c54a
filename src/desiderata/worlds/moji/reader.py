"""Reading a sentence: which scene it asks for, and a helpful refusal where that cannot be told.

The reader looks up the longest phrase it knows at every word, and what the phrases mean together follows from their
order alone. So it forgives a missing article or comma, and refuses a word that it does not know.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from desiderata.errors import DesiderataError
from desiderata.worlds.moji import lexicon
from desiderata.worlds.moji.catalogue import CONCEPTS
from desiderata.worlds.moji.request import ANY_COUNT, GroupRequest, Request
from desiderata.worlds.moji.scene import BACKGROUNDS, COLOURS, MOST_OBJECTS, RELATIONS, STYLES

NUMBERS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("a", "an", "one", "1", "another", "a single"), (1,)),
    **dict.fromkeys(("two", "2", "a couple of", "a pair of"), (2,)),
    **dict.fromkeys(("three", "3"), (3,)),
    **dict.fromkeys(("some", "several", "a few", "a group of"), (2, 3)),
}
"""Number words; a plural without one means two or three."""

TOO_MANY = ("four", "five", "six", "seven", "eight", "nine", "ten", "dozen", "many", "hundred")

PHOTOGRAPHS = ("photo", "night photo", "sepia")
"""Styles that are photographs, so that "a photo of a cat at night" says one thing and not two."""

_FRAME = re.compile(
    r"\W*(?:an?\s+|the\s+)?(?:image|picture)\s+associated\s+with\s+(?P<subject>.+?)"
    r"(?:\W+(?:which|that)\s+(?:illustrates|shows|depicts)\b(?:\s+that\b)?(?P<description>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_WORD = re.compile(r"[^\W_]+")


class CannotParse(DesiderataError):
    """A sentence that the grammar does not understand.

    Attributes:
        word: The first word or phrase that was not understood; empty when the sentence names nothing at all.
        sentence: The sentence as given.
        reason: Why it was not understood, and how to write it instead.
    """

    def __init__(self, word: str, sentence: str, reason: str):
        super().__init__(word, sentence, reason)  # all three, so that the error survives pickling
        self.word = word
        self.sentence = sentence
        self.reason = reason

    def __str__(self) -> str:
        where = f"{self.word!r} in {self.sentence!r}" if self.word else f"{self.sentence!r}"
        return f"Cannot understand {where}: {self.reason}."


class _Phrase(NamedTuple):
    kind: str  # "noun", "number", "relation", "background", "style" or "nothing"
    value: str
    counts: tuple[int, ...] = ()


def parse(sentence: str) -> Request:
    """Read what a sentence asks for.

    Every sentence that `caption` writes is understood, and beyond those: capitals and punctuation; synonyms;
    plurals without a number; missing articles; things joined by "and" or "with", which leaves their relation open;
    "an image of"; and "An image associated with {class}, which illustrates that {sentence}". A relation holds
    between the first thing and the second alone: in "a cat left of a dog and a bird" the bird may be anywhere.

    Args:
        sentence: One sentence in English.

    Returns:
        The request, with None for whatever the sentence leaves open. "a photo of" asks for the style `photo`;
        "an image of" and "a picture of" leave the style open.

    Raises:
        CannotParse: If a word is unknown, nothing is named that could be shown, more than `MOST_OBJECTS` objects
            are, or the sentence asks for what no scene holds, such as two backgrounds.
    """
    return _parse(sentence, suggests=True)


def _parse(sentence: str, suggests: bool) -> Request:
    framed = _FRAME.fullmatch(sentence)
    if framed is None:
        return _Reading(sentence).request(_phrases(sentence, sentence, suggests))
    subject = _Reading(sentence).request(_phrases(framed["subject"], sentence, suggests))
    if subject != Request(subject.groups[:1]):
        raise CannotParse(framed["subject"], sentence, "a picture is associated with one thing; name that alone")
    described = _phrases(framed["description"] or "", sentence, suggests)
    return _Reading(sentence, subject.groups[0].concept).request(described)


class _Reading:
    """The request so far, and the word that still waits for the thing it speaks of."""

    def __init__(self, sentence: str, subject_class: str | None = None):
        self.sentence = sentence
        self.subject_class = subject_class
        self.groups: list[GroupRequest] = []
        self.said: dict[str, str] = {}
        self.number: tuple[str, tuple[int, ...]] | None = None
        self.waiting = ""

    def request(self, phrases: Iterator[tuple[str, _Phrase]]) -> Request:
        for words, phrase in phrases:
            if phrase.kind == "noun":
                self._name(words, phrase)
            elif phrase.kind != "nothing":
                follows_number = self.number is not None and self.number[1] != phrase.counts
                if follows_number or (self.waiting and phrase.kind != "number"):
                    self._refuse(self.waiting, f"a thing must follow it, not {words!r}")
                if phrase.kind == "number":
                    self.number = words, phrase.counts
                    self.waiting = words
                else:
                    self._say(words, phrase)
        if self.waiting:
            self._refuse(self.waiting, "a thing must follow it")
        if not self.groups and not self.subject_class:
            self._refuse("", "it names nothing that can be shown; name a thing, as in 'a cat on the beach'")
        return Request(tuple(self.groups), **self.said, subject_class=self.subject_class)

    def _name(self, words: str, phrase: _Phrase) -> None:
        number, counts = self.number or ("", phrase.counts)
        fitting = tuple(count for count in counts if count in phrase.counts)
        if not fitting and (number in ("a", "an") or len(counts) > 1):
            self._refuse(words, f"the number of things is unclear after {number!r}; write 'one', 'two' or 'three'")
        if any(group.concept == phrase.value for group in self.groups):
            several = lexicon.plural(lexicon.singulars(phrase.value)[0])
            self._refuse(words, f"it is named twice; write 'two {several}' for two of them")
        self.groups.append(GroupRequest(phrase.value, fitting or counts))
        if sum(min(group.counts) for group in self.groups) > MOST_OBJECTS:
            self._refuse(words, f"a picture holds at most {MOST_OBJECTS} objects; leave some out")
        self.number, self.waiting = None, ""

    def _say(self, words: str, phrase: _Phrase) -> None:
        kind, value = phrase.kind, phrase.value
        if kind == "relation":
            if len(self.groups) != 1 or kind in self.said:
                self._refuse(
                    words,
                    "it must stand between the first thing and the second; add a third as in 'with a dog nearby'",
                )
            self.waiting = words
        earlier = self.said.get(kind, value)
        if kind == "style" and earlier in PHOTOGRAPHS and value in PHOTOGRAPHS and "photo" in (earlier, value):
            value = earlier = value if earlier == "photo" else earlier
        if earlier != value:
            self._refuse(words, f"the sentence has asked for the {kind} {earlier!r} already; keep one of the two")
        self.said[kind] = value

    def _refuse(self, words: str, reason: str) -> None:
        raise CannotParse(words, self.sentence, reason)


def _phrases(text: str, sentence: str, suggests: bool) -> Iterator[tuple[str, _Phrase]]:
    words = _words(text)
    at = 0
    while at < len(words):
        if (found := _phrase_at(words, at)) is None:
            raise _unknown(words, at, sentence, suggests)
        yield found
        at += len(found[0].split())


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("there's", "there is"))


def _phrase_at(words: list[str], at: int) -> tuple[str, _Phrase] | None:
    """Return the longest phrase that begins at a word, and None where none does."""
    table, longest = _table()
    for length in range(longest.get(words[at], 0), 0, -1):
        candidate = " ".join(words[at : at + length])
        if (phrase := table.get(candidate)) is not None:
            return candidate, phrase
    return None


@cache
def _table() -> tuple[dict[str, _Phrase], dict[str, int]]:
    """Return what every phrase means, and by first word the length in words of the longest phrase."""
    table = dict(_spoken())
    for words, phrase in list(table.items()):
        if phrase.kind not in ("noun", "number"):
            bare = " ".join(word for word in words.split() if word not in ("a", "an", "the"))
            table.setdefault(bare or words, phrase)
    longest: dict[str, int] = {}
    for words in table:
        first, *others = words.split()
        longest[first] = max(longest.get(first, 0), 1 + len(others))
    return table, longest


def _spoken() -> Iterator[tuple[str, _Phrase]]:
    """Yield every phrase as written, no two of them alike."""
    for words, counts in NUMBERS.items():
        yield words, _Phrase("number", "", counts)
    for kind, names, sources in (
        ("relation", RELATIONS, [lexicon.RELATION_PHRASES]),
        ("background", BACKGROUNDS, [lexicon.BACKGROUND_PHRASES]),
        ("style", STYLES, [lexicon.STYLE_PREFIXES, lexicon.STYLE_SUFFIXES]),
    ):
        for name in names:
            for source in (*sources, lexicon.ALSO_UNDERSTOOD):
                for words in source.get(name, ()):
                    yield words, _Phrase(kind, name)
    for concept in CONCEPTS:
        for one in lexicon.singulars(concept):
            several = lexicon.plural(one)
            if one == several:
                yield _spaced(one), _Phrase("noun", concept, ANY_COUNT)
            else:
                yield _spaced(one), _Phrase("noun", concept, ANY_COUNT[:1])
                yield _spaced(several), _Phrase("noun", concept, ANY_COUNT[1:])
        if concept in lexicon.PAIRS:
            yield f"a {lexicon.singulars(concept)[0]}", _Phrase("noun", concept, ANY_COUNT[:1])  # not "a pair of" two
            yield concept, _Phrase("noun", concept, ANY_COUNT)
    for words in lexicon.PASSED_OVER:
        yield words, _Phrase("nothing", "")


def _spaced(name: str) -> str:
    return " ".join(_WORD.findall(name.lower()))


def vocabulary() -> dict[str, tuple[str, ...]]:
    """Return how everything that a scene may hold is called, for people to choose from.

    Returns:
        "things" in the singular, each with its synonyms; "places", "styles" and "relations", each in one phrase that
        the sentence may hold.
    """
    return {
        "things": tuple(name for concept in CONCEPTS for name in lexicon.singulars(concept)),
        "places": tuple(lexicon.BACKGROUND_PHRASES[name][0] for name in BACKGROUNDS),
        "styles": tuple(lexicon.STYLE_SUFFIXES[name][0] for name in STYLES),
        "relations": tuple(lexicon.RELATION_PHRASES[name][0] for name in RELATIONS),
    }


def knows(word: str) -> bool:
    """Return whether a word has a meaning in any sentence of this world."""
    return word.lower() in _vocabulary()


def unknown_words(sentence: str) -> list[str]:
    """Return the words of a sentence that have a meaning in no sentence of this world, in their order."""
    return [word for word in dict.fromkeys(_words(sentence)) if not knows(word)]


@cache
def _vocabulary() -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for words in _table()[0] for word in words.split()))


def _is_taken(sentence: str, word: str, near: str) -> bool:
    """Return whether a sentence takes a word in place of another, as "a" does not take "houses"."""
    try:
        _parse(re.sub(rf"\b{re.escape(word)}\b", near, sentence, count=1, flags=re.IGNORECASE), suggests=False)
    except CannotParse as error:
        return near not in error.word.split()
    return True


def _unknown(words: list[str], at: int, sentence: str, suggests: bool) -> CannotParse:
    # The first word that no phrase has is to blame: "in the jungle" is refused for the jungle and not for "in".
    place = next((i for i in range(at, min(at + 4, len(words))) if words[i] not in _vocabulary()), at)
    word = words[place]
    if word in TOO_MANY or word.isdecimal():
        return CannotParse(word, sentence, f"a picture holds at most {MOST_OBJECTS} objects; write one, two or three")
    if word in COLOURS:
        return CannotParse(word, sentence, f"only a background has a colour; write 'on a {word} background'")
    telling = [known for known in _vocabulary() if len(known) > 2]  # "to" is no help with "toy"
    if suggests and word not in _vocabulary():
        phrases = {}
        for near in get_close_matches(word, telling, 3, 0.75):
            found = _phrase_at([*words[:place], near, *words[place + 1 :]], at)
            if found and near in found[0].split() and _is_taken(sentence, word, near):
                phrases[near] = len(found[0].split())
        if phrases:
            near = max(phrases, key=lambda one: phrases[one])  # "next" of "enxt to", and not "tent"
            return CannotParse(word, sentence, f"the Moji world has no such word; write {near!r} if you meant that")
    return CannotParse(
        word,
        sentence,
        "the Moji world cannot tell what it means here; write things, relations and places as in "
        "'two cats next to a dog on the beach'",
    )

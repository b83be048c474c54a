"""The sentences around a description, as GenMQD words them (Table 2)."""

import re

TEMPLATE = "An image associated with {label}, which illustrates that {description}"
"""A query of GenMQD around a statement: "... that a cat is sitting next to a guitar"."""

PHRASE_TEMPLATE = TEMPLATE.replace(" that ", " ")
"""The same around a phrase without a verb: "... a photo of a cat next to a guitar"."""

PLAIN = "a photo of {noun}"
"""A query of RandomText (section 4.1)."""


def ask_for(label: str, description: str) -> str:
    """Return a query for a class, worded so that statements and phrases both make a sentence."""
    template = TEMPLATE if _VERB.search(description) else PHRASE_TEMPLATE
    return template.format(label=label, description=description)


def plain(label: str) -> str:
    """Return the fixed query for a class."""
    return PLAIN.format(noun=with_article(label))


def with_article(noun: str) -> str:
    """Return "an airplane", "a cat", "a unicorn": "an" before a vowel that is heard as one."""
    return f"{'an' if _VOWEL.match(noun) else 'a'} {noun}"


def described(query: str) -> str:
    """Return the description in a query; a query that is not in GenMQD's words is its own description."""
    found = _QUERY.match(query)
    if found is None:
        return query
    phrase, statement = found["said"], found["said"].removeprefix("that ")
    return statement if _VERB.search(statement) else phrase


_VOWEL = re.compile(r"(?!uni(?!n|m)|us[aeiu]|ufo\b|uk|eu|one\b)[aeiou]|hour|honest", re.IGNORECASE)
_VERB = re.compile(r"\b(is|are|was|were|has|have|can|does|do)\b")
_QUERY = re.compile(r"An image associated with .+?, which illustrates (?P<said>.*)", re.DOTALL)

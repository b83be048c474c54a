"""The sentences around a description, as GenMQD words them (Table 2)."""

TEMPLATE = "An image associated with {label}, which illustrates that {description}"
"""A query of GenMQD."""

PLAIN = "a photo of a {label}"
"""A query of RandomText (section 4.1)."""


def ask_for(label: str, description: str) -> str:
    """Return a query for a class."""
    return TEMPLATE.format(label=label, description=description)


def plain(label: str) -> str:
    """Return the fixed query for a class; "an" before a vowel."""
    sentence = PLAIN.format(label=label)
    return sentence.replace(" of a ", " of an ") if label[:1].lower() in "aeio" else sentence


def described(query: str) -> str:
    """Return the description in a query; a query that is not in GenMQD's words is its own description."""
    opening, middle = TEMPLATE.split("{label}")[0], TEMPLATE.split("{label}")[1].removesuffix("{description}")
    if query.startswith(opening) and middle in query:
        return query.split(middle, 1)[1]
    return query

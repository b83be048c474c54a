"""The subject of interest, and every sentence that is made with it (GAL, section 3.1).

A sentence is written in two ways: with the placeholder, which the generator learns to draw, and without it, as people
would write it, which is what pictures are measured against.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from desiderata.describe.template import with_article
from desiderata.errors import DesiderataError

KINDS = ("object", "style")
PLACEHOLDER = "sks"
"""A short word without a meaning of its own (DreamBooth, section 3.2)."""

SLOT = "{}"
"""Where a template takes the subject."""

DETERMINERS = "an?|the|this|that|one|another|my|your|our|his|her|their"
"""With which a sentence may have its subject already, so that it wants no article besides."""

SAID = "<subject>"
"""What stands for the subject in a sentence that somebody types."""


@dataclass(frozen=True)
class Subject:
    """What a generator is to learn, and what else its pictures show.

    For an object, "toy" with the placeholder "sks" and the setting "on a wooden table": the reference is "a sks toy
    on a wooden table", the non-subject "a toy on a wooden table", and an anchor "{} in the snow" becomes "a sks toy
    in the snow". For a style, "watercolor painting style" and the setting "a cat", which is what the reference shows:
    the reference is "a cat in sks watercolor painting style", the non-subject the same without "sks", and an anchor
    "a guitar {}" becomes "a guitar in sks watercolor painting style".

    Attributes:
        kind: "object" or "style".
        word: The class noun, or the words for the style.
        settings: What the references show beside the subject: one for all of them, or one for each. Every different
            one makes a non-subject prompt.
        placeholder: Stands for this one subject; "" leaves a style to its words alone, as the authors do.

    Raises:
        DesiderataError: A part is missing, or the kind does not exist.
    """

    kind: str
    word: str
    settings: tuple[str, ...]
    placeholder: str = PLACEHOLDER

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DesiderataError(f"There is no kind of subject called {self.kind!r}: it is an object or a style.")
        if isinstance(self.settings, str) or not self.settings:
            raise DesiderataError("A subject was given without settings: list what its pictures show beside it.")
        for name, text in (("word", self.word), *(("setting", setting) for setting in self.settings)):
            if not isinstance(text, str) or not text.strip():
                example = "'toy', 'on a wooden table'" if self.kind == "object" else "'watercolor style', 'a cat'"
                raise DesiderataError(
                    f"The subject has no {name}, and what is learnt cannot be told from what surrounds it without "
                    f"one: give both, such as {example}."
                )
            if text != " ".join(text.split()) or "{" in text or "}" in text:
                raise DesiderataError(
                    f"The subject's {name} is {text!r}, which does not fit into a sentence: write it on one line, "
                    "with single spaces and without braces."
                )
        if self.placeholder != "".join(self.placeholder.split()) or {"{", "}"} & set(self.placeholder):
            raise DesiderataError(
                f"The placeholder {self.placeholder!r} is not one word: take one without a meaning, such as sks."
            )

    @classmethod
    def of(
        cls, word: str, *, kind: str = "object", setting: str | Sequence[str], placeholder: str = PLACEHOLDER
    ) -> "Subject":
        """Return a new subject whose references share one setting, or have one each.

        Raises:
            DesiderataError: A part is missing, an object has an article or no placeholder, or that is a word of the
                subject or of a setting.
        """
        if kind == "object" and not placeholder:
            raise DesiderataError(
                f"An object without a placeholder would be learnt as every {word}: give a word without a meaning, "
                "such as sks."
            )
        if kind == "object" and (found := re.match(r"(an?|the)\s+(?=\S)", word, re.IGNORECASE)):
            raise DesiderataError(
                f"The subject is {word!r}, and its article would stand in every sentence: give the noun alone, "
                f"{word[found.end() :]!r}."
            )
        made = cls(kind, word, (setting,) if isinstance(setting, str) else tuple(setting), placeholder)
        if placeholder.lower() in re.findall(r"\w+", " ".join((word, *made.settings)).lower()):
            raise DesiderataError(
                f"The placeholder {placeholder!r} is a word of the subject or of what surrounds it: leave it out "
                "there, or take another word without a meaning."
            )
        return made

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Subject":
        """Return the subject that `table` wrote down.

        Raises:
            DesiderataError: The table lacks something, or has something else.
        """
        known = [field.name for field in fields(cls)]
        wrong = [f"no {key}" for key in known[:3] if key not in table]
        wrong += [f"the unknown key {key!r}" for key in table if key not in known]
        if wrong or not isinstance(table["settings"], list | tuple):
            raise DesiderataError(
                "The campaign's table `subject` does not say what is to be learnt: it has "
                f"{wrong[0] if wrong else 'no list of settings'}, and takes {', '.join(known)}."
            )
        return cls(**{**table, "settings": tuple(table["settings"])})

    def table(self) -> dict[str, Any]:
        """Return it as plain values, for `campaign.toml`."""
        return {
            "kind": self.kind,
            "word": self.word,
            "settings": list(self.settings),
            "placeholder": self.placeholder,
        }

    # Words

    def named(self) -> str:
        """Return what the generator knows it by: "sks toy"."""
        return f"{self.placeholder} {self.word}".strip()

    def prompt(self, template: str) -> str:
        """Return the sentence of a template as the generator is asked: "a sks toy in the snow"."""
        return template.replace(SLOT, self._filling(self.named()))

    def unedited(self, template: str) -> str:
        """Return it without the placeholder, as pictures are measured: "a toy in the snow"."""
        return template.replace(SLOT, self._filling(self.word))

    def plain(self, sentence: str) -> str:
        """Return a sentence that `prompt` made as `unedited` makes it, for a person to read."""
        return sentence.replace(self._filling(self.named()), self._filling(self.word))

    def said(self, sentence: str) -> str:
        """Return what somebody typed with the subject's own words in place of "<subject>" or "{}"."""
        spelt = re.sub(f"({_before(self.kind)}){re.escape(SLOT)}", rf"\1{SAID}", sentence, flags=re.IGNORECASE)
        return self.prompt(re.sub(SAID, lambda _: self.named(), spelt, flags=re.IGNORECASE))

    def captions(self, references: int) -> list[str]:
        """Return the caption of every reference picture, in their order.

        Raises:
            DesiderataError: There are several settings, and not one for each picture.
        """
        if len(self.settings) not in {1, references}:
            raise DesiderataError(
                f"{len(self.settings)} settings came with {references} reference pictures: give one for all of them, "
                "or one for each in the order of their names."
            )
        captions = [self.prompt(self._around(setting)) for setting in self.settings]
        return captions * references if len(captions) == 1 else captions

    @property
    def non_subjects(self) -> tuple[str, ...]:
        """What the references show beside the subject, one sentence for each different setting (ê of Eq. 8)."""
        return tuple(dict.fromkeys(self.unedited(self._around(setting)) for setting in self.settings))

    @property
    def class_prompt(self) -> str | None:
        """What prior preservation keeps alive: "a photo of a toy"; None for a style, where there is none."""
        return f"a photo of {with_article(self.word)}" if self.kind == "object" else None

    def _around(self, setting: str) -> str:
        return f"{SLOT} {setting}" if self.kind == "object" else f"{setting} {SLOT}"

    def _filling(self, name: str) -> str:
        return with_article(name) if self.kind == "object" else f"in {name}"


def as_template(sentence: str, kind: str) -> str:
    """Return a sentence that somebody typed as a template, whose slot takes the subject with its article or "in".

    Args:
        sentence: Such as "a <subject> in the snow", "{} in the snow" or "a {} in the snow", which are one template.
        kind: Of the subject.
    """
    return re.sub(f"(?:{_before(kind)})?(?:{re.escape(SLOT)}|{SAID})", lambda _: SLOT, sentence, flags=re.IGNORECASE)


def _before(kind: str) -> str:
    """Return a pattern of what a typed sentence has before its subject, which a slot brings itself."""
    words = r"in(?:\s+the)?" if kind == "style" else f"(?:{DETERMINERS})"
    return rf"\b{words}\s+"

"""What people are told before a generator learns or draws for minutes: what is left out, which words it never saw."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from desiderata.cli.output import command, count

if TYPE_CHECKING:
    from desiderata.personalize.subject import Subject

BUNDLED = "moji-diffusion"
"""The bundled generator, which has seen nothing but drawings."""

CAPTIONS = (".txt", ".caption")
"""What files end in that other programs read beside pictures."""

STAND_INS = ("cat", "guitar", "boat")
"""Things that the bundled generator knows, one of which takes the subject's place where its words are looked up."""


def before_learning(
    images: Path,
    subject: str,
    settings: list[str],
    kind: str,
    placeholder: str,
    *,
    bundled: bool,
    device: str,
    precision: str | None,
) -> str:
    """Return what to expect of the pictures of a subject, of the words for it, and of the machine; or nothing."""
    beyond = _beyond_the_bundled(subject, settings, kind, placeholder) if bundled else ""
    return " ".join(filter(None, (_cropped(images), _captions(images), beyond, _slow(device, precision))))


def not_understood(subject: "Subject", prompts: Sequence[str]) -> str:
    """Return which words of a sentence the bundled generator has never seen, the subject's own left out."""
    from desiderata.worlds.moji.reader import CannotParse, parse, unknown_words

    def refusal(sentence: str) -> CannotParse | None:
        try:
            parse(sentence)
        except CannotParse as error:
            return error
        return None

    for prompt in prompts:
        said, named = subject.said(prompt), subject.named()
        if subject.kind == "object":
            sentences = [said.replace(named, thing) for thing in STAND_INS]
        else:
            sentences = [said.replace(f"in {named}", "").replace(named, "").strip()]
        refusals = [error for one in sentences if (error := refusal(one))]
        typed = [error for error in refusals if error.word not in STAND_INS]
        if typed and len(refusals) == len(sentences):  # otherwise it is what stood in for the subject
            if len(unknown := unknown_words(sentences[0])) > 1:
                return f"{BUNDLED} draws what it can of {prompt!r}, {_without(unknown)}."
            return f"{BUNDLED} draws what it can. {CannotParse(typed[0].word, prompt, typed[0].reason)}"
    return ""


def _cropped(images: Path) -> str:
    """Return how many pictures of the subject lose their edges; empty for none."""
    from PIL import Image, UnidentifiedImageError

    from desiderata.worlds.folder import image_files

    files, oblong = image_files(images), 0
    for path in files:
        with suppress(OSError, UnidentifiedImageError, Image.DecompressionBombError), Image.open(path) as picture:
            oblong += picture.width != picture.height  # what cannot be read is refused elsewhere
    if not oblong:
        return ""
    return f"Not square, and learnt without what is beyond the middle: {oblong} of {count(len(files), 'picture')}."


def _captions(images: Path) -> str:
    """Return that captions beside the pictures are not read, which other programs do; empty where there are none."""
    from desiderata.worlds.folder import other_files

    files = [path.name for path in other_files(images) if path.suffix.lower() in CAPTIONS]
    if not files:
        return ""
    return f"Not read: {', '.join(files[:3])}{', …' * (len(files) > 3)}; what a picture shows is said with --setting."


def _slow(device: str, precision: str | None) -> str:
    """Return that processors are slow in half precision, where it is asked of one; empty otherwise."""
    if precision != "float16":
        return ""
    import torch

    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "A processor draws in float16 many times more slowly than in float32 or bfloat16."
    return ""


def _without(unknown: Sequence[str]) -> str:
    """Return that several words mean nothing to the bundled generator, and where those are that do."""
    words = f"{', '.join(map(repr, unknown[:-1]))} and {unknown[-1]!r}"
    return f"without understanding {words}; `{command('models', 'words')}` lists the words that it has"


def _beyond_the_bundled(subject: str, settings: list[str], kind: str, placeholder: str) -> str:
    """Return what to expect of the bundled generator, and which words it has never seen, or knows already."""
    from desiderata.worlds.moji.reader import CannotParse, knows, parse, unknown_words

    said = [f"{BUNDLED} knows drawn scenes and few words only: for photographs give another --model."]
    sentences = [f"a {subject} {setting}" if kind == "object" else setting for setting in settings]
    listed = command("models", "words")
    if len(unknown := list(dict.fromkeys(word for one in sentences for word in unknown_words(one)))) > 1:
        said.append(f"It goes on {_without(unknown)}.")
    else:
        try:
            for sentence in sentences:
                parse(sentence)
        except CannotParse as error:
            said.append(f"It goes on without understanding {error.word!r}: {error.reason} (`{listed}`).")
    if any(word in unknown for setting in settings for word in unknown_words(setting)):
        said.append("Only a --setting in words that it has lets it tell the subject from what surrounds it.")
    if knows(placeholder):
        said.append(f"{placeholder!r} is one of its words: take a --placeholder without a meaning, such as sks.")
    return " ".join(said)

"""Which options of `desiderata personalize new` go together, and what they stand for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from desiderata.cli.expectations import BUNDLED
from desiderata.errors import DesiderataError

IDLE = {
    "dreambooth": ("k", "samples", "rate"),
    "dreambooth-equal-steps": ("samples", "rate"),
    "dreambooth-lower-rate": ("k", "rate"),
    "random": ("samples", "rate"),
    **dict.fromkeys(("human", "clip-feedback", "uncertainty"), ("rate",)),
}
"""Options of choosing that a strategy has no use for."""


def check_named(what: str, name: str, names: Sequence[str]) -> None:
    """Refuse a name that means nothing, before anything is imported that could say so.

    Raises:
        DesiderataError: It is none of the names.
    """
    if name not in names:
        raise DesiderataError(f"No {what} is called {name!r}; choose from {', '.join(names)}.")


def check_chooses(strategy: str, **said: Any) -> None:
    """Refuse an option of choosing that would do nothing.

    Args:
        strategy: Its name.
        **said: The options, None for what was not said.

    Raises:
        DesiderataError: There is one.
    """
    idle = next((name for name in table(**said) if name in IDLE.get(strategy, ())), "")
    if idle == "rate" and not strategy.startswith("dreambooth"):
        raise DesiderataError(f"--rate is that of balance, which {strategy} is without: take {strategy}-balance.")
    if idle:
        raise DesiderataError(f"--{idle} makes no difference to the strategy {strategy}: leave it out.")


def settings_said(strategy: str, settings: Mapping[str, Any]) -> list[Any]:
    """Return the options that give a strategy its settings, but those that would do nothing."""
    idle = IDLE.get(strategy, ())
    said = [(key, settings[key]) for key in ("k", "samples", "rate") if key in settings and key not in idle]
    return [word for key, value in said for word in (f"--{key}", value)]


def check_class_pictures(kind: str, trainer: str, number: int | None, folder: Path | None, prior: str | None) -> None:
    """Refuse class pictures that are not there, or that a style would have, and a weight of none.

    Raises:
        DesiderataError: There are some, or is one.
    """
    if folder is not None and not folder.is_dir():
        raise DesiderataError(f"--class-images: {folder} is not a folder: give one with other things of the class.")
    if kind == "style" and (number or folder):
        raise DesiderataError("Class pictures go with an object, and a style has none: leave them out.")
    if number is not None and folder is not None:
        raise DesiderataError("--class-pictures is a number to draw, and --class-images are there: give one of them.")
    none = kind == "style" or trainer == "textual-inversion" or (number == 0 and folder is None)
    if prior is not None and none:
        raise DesiderataError("--prior is the weight of class pictures, and there are none here: leave it out.")


def check_measured(pictures: int, **said: Any) -> None:
    """Refuse what rounds are measured by where none is.

    Args:
        pictures: Drawn for each test sentence.
        **said: The options, None for what was not said.

    Raises:
        DesiderataError: There is one.
    """
    if pictures == 0 and (given := next(iter(table(**said)), "")):
        option = given.replace("_", "-")
        raise DesiderataError(
            f"--{option} is of measuring, and --pictures 0 measures nothing: leave one of them out."
        )


def check_learns(trainer: str, **said: Any) -> None:
    """Refuse an option of training for what trains nothing.

    Args:
        trainer: Its name.
        **said: The options, None for what was not said.

    Raises:
        DesiderataError: There is one.
    """
    if trainer == "ip-adapter" and (given := next(iter(table(**said)), "")):
        raise DesiderataError(
            f"--{given.replace('_', '-')} is of training, and ip-adapter trains nothing: leave it out."
        )


def table(**said: Any) -> dict[str, Any]:
    """Return what was said, for `campaign.toml`; what was not has its usual value."""
    return {name: value for name, value in said.items() if value is not None}


def unless(value: str, usual: str) -> str | None:
    """Return a value, and None for the usual one."""
    return None if value == usual else value


def adapter_for(trainer: str, adapter: str | None, model: str) -> str | None:
    """Return where the adapter lies that a trainer applies, found from anywhere; None for that of the bundled model.

    Raises:
        DesiderataError: One is lacking, or nobody asked for it.
    """
    if adapter is not None and trainer != "ip-adapter":
        raise DesiderataError("--adapter goes with --trainer ip-adapter: give both, or neither.")
    if adapter is None and trainer == "ip-adapter" and model != BUNDLED:
        raise DesiderataError(
            f"--trainer ip-adapter needs an adapter that was trained for {model}: give its directory, hub id or file "
            "with --adapter, such as h94/IP-Adapter/models/ip-adapter_sd15.safetensors for Stable Diffusion 1.x."
        )
    from desiderata.foundation.registry import lasting

    return adapter and lasting(adapter)


def sentences(given: str | None, kind: str) -> str | list[str] | None:
    """Return a name as it is, and the lines of a file as templates, in which <subject> stands for the slot, too.

    Raises:
        DesiderataError: The file cannot be read, is empty, or is not there.
    """
    if given is None or not Path(given).is_file():
        if given and Path(given).suffix:
            raise DesiderataError(f"{given} is not a file: give one with a sentence a line.")
        return given
    try:
        lines = Path(given).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DesiderataError(f"{given} cannot be read ({error}): give a text file, a sentence a line.") from None
    from desiderata.personalize.subject import as_template

    if not (templates := [as_template(line.strip(), kind) for line in lines if line.strip()]):
        raise DesiderataError(f"{given} is empty: write a sentence a line, with {{}} for the subject.")
    return templates

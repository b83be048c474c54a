"""From a trainer's name to the trainer, set up as published or as suits the bundled model."""

import importlib
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from desiderata.errors import DesiderataError
from desiderata.foundation.registry import MODELS
from desiderata.personalize.subject import Subject
from desiderata.personalize.trainers import recipe as recipes
from desiderata.personalize.trainers.recipe import Recipe, Running
from desiderata.personalize.trainers.trainer import Trainer

TRAINERS = {
    "dreambooth": ("dreambooth", "DreamBooth"),
    "dreambooth-lora": ("lora", "DreamBoothLora"),
    "textual-inversion": ("textual_inversion", "TextualInversion"),
    "custom-diffusion": ("custom_diffusion", "CustomDiffusion"),
    "ip-adapter": ("ip_adapter", "IPAdapter"),
}
"""The module and the class of every trainer, by the name that the command line knows it by."""

OF_LEARNER = ("name", "class_pictures", "half")
"""What the campaign's table `trainer` says that is not the trainer's own."""

ADAPTERS = {"moji-diffusion": "moji-adapter"}
"""The IP-Adapters that are bundled, by the name of their generator."""

MOJI_CLASS_PICTURES = 48
"""Class pictures for objects on the bundled generator, which draws fewer kinds of them."""


def default_trainer(name: str, kind: str, generator: str) -> dict[str, Any]:
    """Return the table `trainer` of a campaign for which nothing else is said, every setting spelled out.

    Args:
        name: A key of `TRAINERS`.
        kind: Of the subject, "object" or "style".
        generator: Name of the base model.

    Returns:
        The table: as published, or, on a bundled generator, as suits it.

    Raises:
        DesiderataError: There is no such trainer.
    """
    if name not in TRAINERS:
        raise DesiderataError(f"No trainer is called {name!r}; choose from {', '.join(TRAINERS)}.")
    entry = MODELS.get(generator)
    small = entry is not None and entry.bundled
    table: dict[str, Any] = {"name": name}
    if name == "ip-adapter":
        return table | ({"adapter": ADAPTERS[generator]} if generator in ADAPTERS else {})
    if kind == "object" and name != "textual-inversion":
        table["class_pictures"] = MOJI_CLASS_PICTURES if small else recipes.CLASS_PICTURES
    plain = asdict(_recipe(name, kind, small))
    return table | {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


def make_trainer(table: Mapping[str, Any], subject: Subject) -> Trainer:
    """Make the trainer that a table names.

    Args:
        table: The campaign's table `trainer`: `name`, fields of `Recipe` and `Running`, and what the trainer's class
            takes besides.
        subject: What it is to learn.

    Returns:
        The trainer.

    Raises:
        DesiderataError: There is no such trainer, or a setting cannot be meant.
    """
    settings = {key: value for key, value in table.items() if key not in OF_LEARNER}
    name = table.get("name")
    if name not in TRAINERS:
        raise DesiderataError(f"No trainer is called {name!r}; choose from {', '.join(TRAINERS)}.")
    module, kind = TRAINERS[name]
    make = getattr(importlib.import_module(f"desiderata.personalize.trainers.{module}"), kind)
    takes = {field.name for field in fields(make)}
    words = {key: getattr(subject, key) for key in ("placeholder", "word") if key in takes}
    try:
        parts = {part: _part(of, settings) for part, of in (("recipe", Recipe), ("running", Running))}
        if unknown := [key for key in settings if key not in takes]:
            raise DesiderataError(
                f"The trainer {name} has no setting {unknown[0]!r}: take it out of table `trainer`."
            )
        return make(**{**words, **{part: one for part, one in parts.items() if part in takes}, **settings})
    except TypeError as error:
        raise DesiderataError(
            f"The trainer {name} cannot be made of its settings ({error}): correct the table `trainer`."
        ) from None


def _part(of: Any, settings: dict[str, Any]) -> Any:
    """Return a part of a trainer, made of those of the settings that are its own, which are taken out."""
    known = {field.name for field in fields(of)}
    said = {key: settings.pop(key) for key in list(settings) if key in known}
    return of(**{key: tuple(value) if isinstance(value, list) else value for key, value in said.items()})


def _recipe(name: str, kind: str, small: bool) -> Recipe:
    if name == "textual-inversion":
        return recipes.MOJI_WORD if small else recipes.PUBLISHED_WORD
    if name == "custom-diffusion":
        return recipes.MOJI_CUSTOM if small else recipes.PUBLISHED_CUSTOM
    if small:
        found = recipes.MOJI_OBJECT if kind == "object" else recipes.MOJI_STYLE
    else:
        found = recipes.PUBLISHED_OBJECT if kind == "object" else recipes.PUBLISHED_STYLE
    # thin matrices want a higher rate than the whole U-Net; in the examples of diffusers it is twenty times as high
    higher = 5 if small else 20
    return replace(found, learning_rate=higher * found.learning_rate) if name == "dreambooth-lora" else found

"""Settings of the experiment that can be turned, one at a time: the ablations of GAL's Fig. 7."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from desiderata.errors import DesiderataError
from desiderata.personalize.anchors import MOJI_OBJECT, MOJI_STYLE
from desiderata.personalize.choosing import RATE, SAMPLES, TOP_K

MORE_OBJECT = (
    "{} on a white background",
    "{} on a pink background",
    "{} against an orange background",
    "{} in front of a plain grey wall",
    "{} next to an apple on the beach",
    "{} beside a violin in a room",
    "{} below a kite in the mountains",
    "{} to the right of a bicycle in the forest",
    "{} next to a rose in the desert",
    "{} on the sea with an anchor nearby",
    "{} next to a rocket in space",
    "{} above a book on the street",
    "{} next to a pumpkin on the grass",
    "a pencil drawing of {} in the snow",
    "a blueprint of {} in a room",
    "pixel art of {} in the desert",
    "a sepia photo of {} in the mountains",
    "a night photo of {} on the sea",
)
"""Eighteen further anchors for objects; no test prompt is among them."""

MORE_STYLE = (
    "a rose {}",
    "a mushroom {}",
    "a telephone {}",
    "a hammer {}",
    "a bell {}",
    "a book {}",
    "a trumpet {}",
    "an airplane {}",
    "a carrot {}",
    "a bed {}",
    "a door {}",
    "a gift {}",
    "a lock {}",
    "a strawberry {}",
    "an axe {}",
    "three balloons {}",
    "an automobile on the street {}",
    "a pineapple on the beach {}",
)
"""Eighteen further anchors for styles; no test prompt is among them."""

ANCHORS = ("moji", "moji-6", "moji-12", "moji-36", "moji-b", "moji-c")
"""Sets of anchors: the eighteen, so many of them evenly spread, all with the further ones, and two other eighteens,
each half of the first and half further ones, which share nothing with each other."""

RECIPES = ("usual", "published")
"""What a step of training is: what suits the model, or what the authors' code does."""


@dataclass(frozen=True)
class Settings:
    """What a run is made with, beside its strategy, subject and seed.

    Attributes:
        model: Name or directory of the generator.
        encoder: Of the CLIP model that chooses and measures.
        judge: Of the judge network, which measures, and picks in place of a person.
        adapter: Directory of the IP-Adapter that belongs to the generator; only its comparator needs one.
        trainer: How strategies teach: "dreambooth" or "dreambooth-lora".
        steps: Optimiser steps of every training; None for those of each trainer.
        recipe: What a step of the strategies' trainer is, one of `RECIPES`. As published, an object's step is one
            picture with one of the class, which takes its weight, and a step that draws a picture of next to no
            weight is hardly one; in larger batches such a picture only takes the room of a reference, since AdamW
            makes up for small gradients.
        learning_rate: Of the strategies' trainer; None for the recipe's in `personalize_task.OVERFITTING` on a small
            generator, where that is DreamBooth, and for the trainer's own otherwise.
        pace: Factor of the learning rate of every trainer, those of comparators included.
        scale: How much the references count with an IP-Adapter.
        prior: How class pictures are weighed, see `Recipe.prior`; None for the recipe's.
        class_pictures: Pictures of the class for prior preservation; None for as many as suit the model.
        k: Directions learnt from in a round.
        samples: m, pictures drawn for each direction.
        rate: λ of Eq. 9.
        anchors: One of `ANCHORS`.
        prompts: How many of the twenty test prompts are drawn.
        pictures: Pictures for each of them.
        half: Whether the network computes in bfloat16, in training and in drawing.
        device: "cpu", "cuda", or "auto" for the latter where there is one.

    Raises:
        DesiderataError: A number makes no sense, or there are no such anchors.
    """

    model: str = "moji-diffusion"
    encoder: str = "moji-clip"
    judge: str = "moji-judge"
    adapter: str = ""
    trainer: str = "dreambooth"
    steps: int | None = None
    recipe: str = "usual"
    learning_rate: float | None = None
    pace: float = 1.0
    scale: float = 1.0
    class_pictures: int | None = None
    prior: str | None = None
    k: int = TOP_K
    samples: int = SAMPLES
    rate: float = RATE
    anchors: str = "moji"
    prompts: int = 20
    pictures: int = 4
    half: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("k", "samples", "prompts", "pictures"):
            if getattr(self, name) < 1:
                raise DesiderataError(f"{name} is {getattr(self, name)}, but must be at least 1: give more.")
        if self.anchors not in ANCHORS:
            raise DesiderataError(f"No anchors are called {self.anchors!r}: choose from {', '.join(ANCHORS)}.")
        if self.recipe not in RECIPES:
            raise DesiderataError(f"No recipe is called {self.recipe!r}: choose from {', '.join(RECIPES)}.")

    @property
    def generator(self) -> dict[str, Any]:
        """A campaign's table `generator`."""
        return {"name": self.model, "device": self.device} | ({"half": True} if self.half else {})


def anchors_named(name: str, kind: str) -> tuple[str, ...]:
    """Return the templates of one of `ANCHORS` for a kind of subject."""
    own, more = (MOJI_OBJECT, MORE_OBJECT) if kind == "object" else (MOJI_STYLE, MORE_STYLE)
    if name in {"moji-b", "moji-c"}:
        first = int(name == "moji-c")
        return (*own[first::2], *more[first::2])
    number = int(name.partition("-")[2] or len(own))
    return (*own, *more)[:number] if number > len(own) else tuple(_spread(own, number))


def _spread(templates: Sequence[str], number: int) -> Sequence[str]:
    return [templates[place * len(templates) // number] for place in range(number)]


ABLATIONS = {
    "lambda": ("rate", (0.0005, 0.005, 0.05, 0.5)),
    "anchors": ("anchors", ("moji-6", "moji-12", "moji", "moji-36")),
    "k": ("k", (1, 2, 3, 5)),
    "sets": ("anchors", ("moji", "moji-b", "moji-c")),
    "m": ("samples", (5, 10, 20)),
    "prior": ("prior", ("full", "published")),
    "learning-rate": ("learning_rate", (1e-4, 2e-4, 3e-4, 4.5e-4, 6e-4, 9e-4)),
    "pace": ("pace", (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)),
    "scale": ("scale", (0.4, 0.6, 0.8, 1.0)),
}
"""Which setting each ablation turns, and its values. The first four are the paper's; the others show how far what is
found depends on the pictures drawn, on the recipe of DreamBooth, on which it rests, and on those of comparators."""


def variants(ablation: str, settings: Settings, only: Sequence[str] = ()) -> dict[str, Settings]:
    """Return the settings of an ablation.

    Args:
        ablation: One of `ABLATIONS`; empty for none.
        settings: All other settings.
        only: Values to turn it to, as people read them; all where none is given.

    Returns:
        By the value that is turned, as people read it; under "" alone where nothing is.

    Raises:
        DesiderataError: There is no such ablation, or it has no such value.
    """
    every = _every(ablation, settings)
    if only and not ablation:
        raise DesiderataError("Values belong to an ablation: name one, or leave them out.")
    if unknown := [value for value in only if value not in every]:
        raise DesiderataError(
            f"The ablation {ablation} does not turn to {', '.join(unknown)}: choose from {', '.join(every)}."
        )
    return {label: one for label, one in every.items() if not only or label in only}


def usual_value(ablation: str) -> str:
    """Return the value of an ablation that is the usual one, as people read it; empty where none is."""
    return next((label for label, settings in _every(ablation, Settings()).items() if settings == Settings()), "")


def _every(ablation: str, settings: Settings) -> dict[str, Settings]:
    if not ablation:
        return {"": settings}
    if ablation not in ABLATIONS:
        raise DesiderataError(f"There is no ablation {ablation!r}: choose from {', '.join(ABLATIONS)}.")
    name, values = ABLATIONS[ablation]
    if ablation == "anchors":
        return {str(len(anchors_named(str(value), "object"))): replace(settings, anchors=value) for value in values}
    if ablation == "sets":
        return {letter: replace(settings, anchors=value) for letter, value in zip("ABC", values, strict=True)}
    named = ((value if isinstance(value, str) else f"{value:g}", value) for value in values)
    return {label: replace(settings, **{name: value}) for label, value in named}

"""The settings of a training run: those that make its result what it is, and those of how it is run."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from desiderata.errors import DesiderataError
from desiderata.foundation.generator import Generator


@dataclass(frozen=True)
class Recipe:
    """What the weights learnt depend on. AdamW with a constant learning rate, as published for both papers' runs.

    Attributes:
        steps: Optimiser steps.
        batch: Pictures of the subject in a forward pass, at most; with class pictures there are as many of these too.
        accumulation: Forward passes whose gradients make up one step.
        learning_rate: Of AdamW.
        betas: Of AdamW.
        weight_decay: Of AdamW.
        epsilon: Of AdamW.
        clip: Gradients are scaled down to this norm at most, over all that is learnt; infinity is off.
        prior_weight: Factor of the class pictures' loss (prior preservation); without class pictures it does nothing.
        prior: "full" lets a class picture count with `prior_weight` alone. "published" also multiplies it by the
            weight of the picture it is paired with, as the authors' code for objects does, so that on a step which
            draws a generated picture (weight at most 0.0035) hardly anything is learnt from either.
        whole_batches: False ends a batch where an epoch ends, as published: one reference means batches of one.
            True goes on into the next epoch, so that every batch is full.
        shared_timestep: One timestep for all pictures of a pass, as the authors' code for styles draws it, instead of
            one for each.
        ema: Decay of a running mean of what is learnt, which is returned in its place; 0 is off.
        precision: "bfloat16" computes the network under autocast; weights and loss stay in float32.

    Raises:
        DesiderataError: A number makes no sense.
    """

    steps: int = 800
    batch: int = 1
    accumulation: int = 1
    learning_rate: float = 5e-6
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-2
    epsilon: float = 1e-8
    clip: float = 1.0
    prior_weight: float = 1.0
    prior: Literal["full", "published"] = "full"
    whole_batches: bool = False
    shared_timestep: bool = False
    ema: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulation"):
            if getattr(self, name) < 1:
                raise DesiderataError(f"{name} is {getattr(self, name)}: give at least 1.")
        for name in ("learning_rate", "epsilon"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise DesiderataError(f"{name} is {getattr(self, name)}: give a number above 0.")
        if not self.clip > 0:
            raise DesiderataError(f"clip is {self.clip}: give a number above 0, or infinity for none.")
        for name in ("prior_weight", "weight_decay"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise DesiderataError(f"{name} is {getattr(self, name)}: give 0 or more.")
        if not all(0 <= value < 1 for value in (*self.betas, self.ema)):
            raise DesiderataError(f"betas are {self.betas} and ema is {self.ema}: give numbers from 0 to below 1.")
        if self.prior not in {"full", "published"}:
            raise DesiderataError(f"prior is {self.prior!r}: give full or published.")
        if self.precision not in {"float32", "bfloat16"}:
            raise DesiderataError(f"precision is {self.precision!r}: give float32 or bfloat16.")


@dataclass(frozen=True)
class Running:
    """How training is run; nothing here changes what is learnt.

    Attributes:
        checkpoint_every: Steps between two checkpoints, where a file for them is given; the last step writes one too.
            Those that take seconds are written more rarely.
        gradient_checkpointing: Recompute activations instead of keeping them: less memory, a third more time.
        preview: Called with the number of steps done and the generator as it would be if training ended there.
        preview_every: Steps between two previews.
        watch: Called after every step with the number of steps done and the weighted loss of that step.

    Raises:
        DesiderataError: A number of steps is below 1.
    """

    checkpoint_every: int = 100
    gradient_checkpointing: bool = False
    preview: Callable[[int, Generator], None] | None = None
    preview_every: int = 100
    watch: Callable[[int, float], None] | None = None

    def __post_init__(self) -> None:
        for name in ("checkpoint_every", "preview_every"):
            if getattr(self, name) < 1:
                raise DesiderataError(f"{name} is {getattr(self, name)}: give at least 1.")


AS_USUAL = Running()
"""A checkpoint every hundred steps, where they are wanted, and nothing else."""

PUBLISHED_OBJECT = Recipe()
"""The authors' runs on objects: 800 steps of one picture and one of `CLASS_PICTURES` class pictures.

Class pictures keep their full weight here; `prior="published"` weighs them as the authors' code does.
"""

PUBLISHED_STYLE = Recipe(steps=500, batch=2, shared_timestep=True)
"""The authors' runs on styles: 500 steps of two pictures, no class pictures."""

MOJI_OBJECT = Recipe(steps=200, batch=4, learning_rate=2e-4, whole_batches=True)
"""For objects on the bundled generator: of several rates that at which most pictures show the subject and all that is
asked for besides (`results/personalize-recipes`). The experiment takes another: `personalize_task.OVERFITTING`."""

MOJI_STYLE = Recipe(steps=200, batch=4, learning_rate=1e-4, whole_batches=True)
"""For styles on the bundled generator, chosen likewise; it is the experiment's, too."""

PUBLISHED_WORD = Recipe(steps=3000, accumulation=4, learning_rate=2e-3, clip=math.inf)
"""Textual Inversion as in the example of `diffusers`: 5e-4 scaled by four pictures a step, gradients not clipped."""

PUBLISHED_CUSTOM = Recipe(steps=250, batch=2, learning_rate=4e-5)
"""Custom Diffusion as in the example of `diffusers`: 1e-5 scaled by two pictures and two class pictures a step."""

PUBLISHED_ADAPTER = Recipe(steps=1_000_000, batch=64, learning_rate=1e-4, whole_batches=True)
"""An IP-Adapter as in its paper, section 4.1: a million steps of 8 × 8 pictures."""

MOJI_WORD = Recipe(steps=300, batch=4, learning_rate=5e-3, whole_batches=True)
"""Textual Inversion on the bundled generator, to which a single word can say next to nothing new, at any rate."""

MOJI_CUSTOM = Recipe(steps=250, batch=4, learning_rate=8e-4, whole_batches=True)
"""Custom Diffusion on the bundled generator, at a rate chosen likewise (`results/personalize-comparators`)."""

MOJI_ADAPTER = Recipe(steps=3000, batch=32, learning_rate=1e-3, whole_batches=True, ema=0.995)
"""An IP-Adapter for the bundled generator; `adapter_training.MOJI_SILENT` belongs to it."""

CLASS_PICTURES = 200
"""How many class pictures the authors give for objects (`--num_class_images`)."""

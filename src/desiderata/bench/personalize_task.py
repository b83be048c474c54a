"""What one campaign of the personalising experiment is to do, and its configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desiderata.bench.personalize_subjects import Case
from desiderata.bench.personalize_variants import Settings, anchors_named
from desiderata.campaign.config import Config
from desiderata.errors import DesiderataError
from desiderata.personalize.anchors import test_prompts
from desiderata.personalize.pacing import PACE, SHARE, LowerRate
from desiderata.personalize.recipes import default_trainer
from desiderata.personalize.strategies import STRATEGIES

COMPARATORS = ("textual-inversion", "custom-diffusion", "ip-adapter")
"""Trainers that learn from the references alone, in one round."""

PERFECT = ("perfect", "perfect-decoded")
"""No strategies: pictures that are exactly what the test prompts ask for, measured as all others are, as they are and
as the generator's autoencoder gives them back."""

ANSWERED = {f"{name}-answered": name for name in ("random", "uncertainty", "uncertainty-balance")}
"""No strategies either: the same questions, answered with drawn pictures that are exactly what was asked for, as by
somebody who has them. They tell what asking is worth from what the generator's own answers are worth."""

METHODS = (*STRATEGIES, *COMPARATORS, *ANSWERED, *PERFECT)
"""Everything that a cell may run, by name."""

FOLLOWING = {"dreambooth-equal-steps": "additions", "random-equal-weight": "weights"}
"""Controls, and what of the run that they follow decides on theirs."""

FOLLOWED = "uncertainty-balance"
"""The strategy that controls follow."""

OVERFITTING = {
    "usual": {"object": 6e-4, "style": 1e-4},
    "published": {"object": 4.5e-4, "style": 1e-4},
}
"""Learning rates by the recipe and the kind of the subject: of those tried, that at which DreamBooth alone overfits
most nearly as much as the authors' (OVF 0.36 for objects, 0.17 for styles); at lower ones there is hardly anything to
mend. For the usual recipe it was chosen on other subjects than the experiment's, which turned out to overfit half as
much (`results/personalize-recipes`); for the published one on the experiment's own, at a seed that it does not use
(`results/personalize-rates`)."""

AS_PUBLISHED = {
    "object": {"steps": 400, "batch": 1, "whole_batches": False, "prior": "published"},
    "style": {"steps": 250, "batch": 2, "whole_batches": False, "shared_timestep": True},
}
"""What the authors' code does in a step, by the kind of the subject, on the bundled generator, which takes half as
many of them: 800 and 500 are published."""

SMALL = 128
"""Models of pictures up to so many pixels on a side are taught as the bundled one is, larger ones as published."""


@dataclass(frozen=True)
class Task:
    """What one campaign is to do.

    Attributes:
        method: One of `METHODS`.
        case: The subject and the seed.
        rounds: How many rounds it has at most, the one that learns from the references alone counted as the first.
        settings: All else.
        followed: What the run that a control follows came to, as `run_task` returned it.
    """

    method: str
    case: Case
    rounds: int
    settings: Settings
    followed: Mapping[str, Any] | None = None

    @property
    def anchors(self) -> tuple[str, ...]:
        """Templates of the directions that may be asked."""
        return self.case.templates(anchors_named(self.settings.anchors, self.case.kind))

    @property
    def prompts(self) -> tuple[str, ...]:
        """Templates that measure."""
        return self.case.templates(test_prompts(self.case.kind)[: self.settings.prompts])

    def trainer(self, small: bool) -> dict[str, Any]:
        """Return the campaign's table `trainer`.

        Args:
            small: Whether the model is as small as the bundled one.

        Returns:
            The table, every setting spelled out.
        """
        settings = self.settings
        name = self.method if self.method in COMPARATORS else settings.trainer
        table = default_trainer(name, self.case.kind, "moji-diffusion" if small else "")
        if name == "ip-adapter":
            return table | {"adapter": settings.adapter, "scale": settings.scale}
        said: dict[str, Any] = {"steps": settings.steps}
        said |= {"precision": "bfloat16" if settings.half else None}
        said |= {"class_pictures": settings.class_pictures} if "class_pictures" in table else {}
        if name == settings.trainer:
            kind, recipe = self.case.kind, settings.recipe
            if recipe == "published":
                table |= AS_PUBLISHED[kind] | ({} if small else {"steps": table["steps"]})
            usual = OVERFITTING[recipe][kind] if small and name == "dreambooth" else None
            said |= {"learning_rate": settings.learning_rate or usual, "prior": settings.prior}
        table |= {key: value for key, value in said.items() if value is not None}
        return table | {"learning_rate": settings.pace * table["learning_rate"]}

    @property
    def strategy(self) -> dict[str, Any]:
        """The campaign's table `strategy`."""
        settings, method = self.settings, ANSWERED.get(self.method, self.method)
        if method in {*COMPARATORS, *PERFECT, "dreambooth"}:
            return {"name": "dreambooth"}
        table: dict[str, Any] = {"name": method, "k": settings.k}
        if method != "dreambooth-equal-steps":
            table |= {"samples": settings.samples, "rate": settings.rate}
        if method == LowerRate.name:
            table |= {"pace": PACE, "share": SHARE}  # spelled out, since a cell is known by what it was told
        if method == "random-equal-weight":
            table["samples"] = 1  # a random picture of several is drawn no otherwise than a single one
        if method in FOLLOWING and self.followed is not None:
            name = FOLLOWING[method]
            table[name] = self.followed[name]
        return table

    def config(self, images: Path, small: bool) -> Config:
        """Return the campaign's configuration.

        Args:
            images: The folder of the references.
            small: Whether the model is as small as the bundled one.

        Returns:
            The configuration.
        """
        settings = self.settings
        return Config(
            seed=self.case.seed,
            half="personalize",
            world={"kind": "references", "images": str(images)},
            encoder=settings.encoder,
            generator=settings.generator,
            subject=self.case.subject.table(),
            trainer=self.trainer(small),
            strategy=self.strategy,
            prompts={"anchors": [*self.anchors], "test": [*self.prompts], "pictures": settings.pictures},
        )


def check_method(method: str, settings: Settings) -> None:
    """Refuse what cannot be run.

    Args:
        method: A name.
        settings: What it would be run with.

    Raises:
        DesiderataError: There is no such method, or it lacks something.
    """
    if method not in METHODS:
        raise DesiderataError(f"There is no strategy called {method!r}; choose from {', '.join(METHODS)}.")
    if method == "ip-adapter" and not settings.adapter:
        raise DesiderataError(
            "ip-adapter needs an adapter that was trained for the model: give its directory, or leave it out."
        )

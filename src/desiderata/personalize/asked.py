"""What the tables of a personalising campaign ask for; no model is looked into for it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from desiderata.campaign.config import Config
from desiderata.campaign.records import Strategy
from desiderata.errors import DesiderataError
from desiderata.foundation.device import check_device
from desiderata.foundation.registry import locate
from desiderata.foundation.sampling import Sampling
from desiderata.personalize.anchors import anchor_templates, anchors_of, remaining
from desiderata.personalize.measurement import Measurement
from desiderata.personalize.pacing import LowerRate
from desiderata.personalize.pictures import reference_files
from desiderata.personalize.recipes import make_trainer
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.strategies import Steady, Uncertainty, make_strategy
from desiderata.personalize.subject import Subject
from desiderata.personalize.trainers.trainer import Trainer, check_pace

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.float32}
"""What weights are kept in. In "bfloat16" the U-Net computes alone: weights of so few digits would lose most of what
DreamBooth changes in them."""

WITHOUT_CLASS = ("textual-inversion", "ip-adapter")
"""Trainers that class pictures would be lost on: none of the generator's own weights moves."""


@dataclass(frozen=True)
class GeneratorTable:
    """What the table `generator` says.

    Attributes:
        name: Of the base model.
        device: Where it runs.
        dtype: Of its weights.
        sampling: Fields of `Sampling` that are not as the model's directory says; a precision that is given
            decides on `half`.
    """

    name: str
    device: str
    dtype: torch.dtype
    sampling: Mapping[str, Any]

    @classmethod
    def of(cls, config: Config) -> "GeneratorTable":
        """Read it.

        Args:
            config: Of a personalising campaign.

        Returns:
            What it says; "auto" is resolved.

        Raises:
            DesiderataError: It makes no sense, or there is no such device here.
        """
        said = dict(config.generator)
        name, device, precision = said.pop("name", ""), said.pop("device", "auto"), said.pop("precision", "float32")
        if precision not in PRECISIONS:
            raise DesiderataError(f"precision is {precision!r}: give {', '.join(PRECISIONS)}.")
        known = [field.name for field in fields(Sampling)]
        if unknown := [key for key in said if key not in known]:
            raise DesiderataError(
                f"The campaign's table `generator` has the unknown key {unknown[0]!r}: it takes name, device, "
                f"precision, {', '.join(known)}."
            )
        if "precision" in config.generator:
            said = {"half": precision == "bfloat16", **said}
        Sampling(**said)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        check_device(device)
        return cls(name, device, PRECISIONS[precision], said)


@dataclass(frozen=True, eq=False)
class Asked:
    """What all other tables say.

    Attributes:
        subject: What is to be learnt.
        images: The folder with its pictures.
        strategy: Decides on the pictures to learn from.
        trainer: Teaches.
        templates: Directions, sentences with a slot.
        measurement: What every round is measured by; None where nothing is.
        second: Name, directory or hub id of the second encoder; None for none.
        class_pictures: How many are drawn, or the folder that they are in.
    """

    subject: Subject
    images: Path
    strategy: Strategy[PersonalizeState]
    trainer: Trainer
    templates: tuple[str, ...]
    measurement: Measurement | None
    second: str | None
    class_pictures: int | Path

    @classmethod
    def of(cls, config: Config) -> "Asked":
        """Read them.

        Args:
            config: Of a personalising campaign.

        Returns:
            What they say.

        Raises:
            DesiderataError: Something named does not exist, or cannot be meant.
        """
        subject, strategy = Subject.read(config.subject), _strategy(config)
        trainer = make_trainer(config.trainer, subject)
        if config.strategy.get("name") in {LowerRate.name, Steady.name}:
            check_pace(trainer)
        return cls(
            subject,
            Path(_images(config)),
            strategy,
            trainer,
            anchor_templates(config.prompts.get("anchors", "authors"), subject.kind, subject.word),
            Measurement.of(config, subject),
            _second(config),
            _class_pictures(config),
        )


def check_before_loading(config: Config, asked: Asked) -> None:
    """Say what is wrong with a campaign that is to be made before its models are fetched, which may take long.

    Args:
        config: What is asked for.
        asked: What its tables say.

    Raises:
        DesiderataError: A folder, a model or a device is not there, or numbers do not fit together.
    """
    GeneratorTable.of(config)
    if asked.second is not None:
        locate(asked.second, "picture encoder")
    asked.subject.captions(len(reference_files(asked.images)))
    if isinstance(asked.class_pictures, Path):
        reference_files(asked.class_pictures)
    check_sentences(asked, ())
    asked.trainer.key()  # at last, since it fetches an adapter where there is one


def check_sentences(asked: Asked, used: Collection[str]) -> None:
    """Make sure that there are enough sentences for the strategy to ask one round.

    Args:
        asked: What is asked for.
        used: Prompts that are not asked again.

    Raises:
        DesiderataError: There are not.
    """
    left, strategy = len(remaining(anchors_of(asked.subject, asked.templates), used)), asked.strategy
    if isinstance(strategy, Uncertainty) and strategy.k > left:
        there = f"{'is' if left == 1 else 'are'} {left}{' left' if used else ''}"
        raise DesiderataError(
            f"A round goes on while {strategy.k} sentences are undecided (Eq. 10), and there {there}: give more "
            "anchors, or a smaller k."
        )


def _strategy(config: Config) -> Strategy[PersonalizeState]:
    parameters = dict(config.strategy)
    name = parameters.pop("name", None)
    if not isinstance(name, str):
        raise DesiderataError(
            "The campaign's table `strategy` does not say which: give it a name, such as uncertainty-balance, in "
            "campaign.toml."
        )
    return make_strategy(name, **parameters)


def _images(config: Config) -> str:
    if config.world.get("kind") != "references" or not isinstance(config.world.get("images"), str):
        raise DesiderataError(
            "The campaign's table `world` does not say where the pictures of the subject are: it needs kind = "
            '"references" and images.'
        )
    return config.world["images"]


def _second(config: Config) -> str | None:
    name = config.prompts.get("second_encoder")
    if name is not None and not isinstance(name, str):
        raise DesiderataError(f"second_encoder is {name!r}: give a name, a directory or a hub id.")
    return name


def _class_pictures(config: Config) -> int | Path:
    folder, number = config.world.get("class_images"), config.trainer.get("class_pictures", 0)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise DesiderataError(f"class_pictures is {number!r}: give a whole number, or 0 for none.")
    if (folder or number) and config.trainer.get("name") in WITHOUT_CLASS:
        raise DesiderataError(f"The trainer {config.trainer['name']} learns from no class pictures: leave them out.")
    return Path(folder) if folder else number

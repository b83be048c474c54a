"""From names to parts: the one place that knows how a personalising campaign is put together."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import torch

from desiderata.campaign.blobs import Blobs, FolderBlobs
from desiderata.campaign.config import Config
from desiderata.campaign.directory import check_free, open_store
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Strategy
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import Encoder, load_encoder
from desiderata.foundation.generator import Generator, load_generator
from desiderata.foundation.picture_encoder import PictureEncoder, load_picture_encoder
from desiderata.foundation.sampling import Sampling
from desiderata.personalize.anchors import anchor_templates
from desiderata.personalize.learner import PART, PersonalizeLearner
from desiderata.personalize.measurement import Measurement
from desiderata.personalize.pacing import LowerRate
from desiderata.personalize.pictures import Reference, find_references, read_references
from desiderata.personalize.recipes import make_trainer
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.strategies import make_strategy
from desiderata.personalize.subject import Subject
from desiderata.personalize.teaching import Progress
from desiderata.personalize.trainers.trainer import check_pace
from desiderata.threads import use_physical_cores

WITHOUT_CLASS = ("textual-inversion", "ip-adapter")
"""Trainers that class pictures would be lost on: none of the generator's own weights moves."""

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Models:
    """Frozen models that several campaigns of one process may share.

    Attributes:
        generator: The base model.
        encoder: Judges pictures.
    """

    generator: Generator
    encoder: Encoder

    @classmethod
    def of(cls, config: Config) -> "Models":
        """Load what a configuration names.

        Args:
            config: Of a personalising campaign.

        Returns:
            The models.

        Raises:
            DesiderataError: A model cannot be loaded, or the table `generator` says something that makes no sense.
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
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        generator = load_generator(name, device=device, dtype=PRECISIONS[precision])
        generator.sampling = replace(generator.sampling, **said)
        return cls(generator, load_encoder(config.encoder, device=device))


def create(
    path: Path,
    config: Config,
    *,
    models: Models | None = None,
    memo: Path | None = None,
    progress: Progress | None = None,
) -> Campaign:
    """Make the campaign that `config` names: read the references, learn them, measure, record.

    Where it is killed while it learns, opening the run goes on with it. Like `build`, it sets the number of threads
    of the whole process, because sums over more or fewer threads round otherwise.

    Args:
        path: The directory of the run.
        config: What is asked for.
        models: Loaded already; they must be those that `config` names.
        memo: A folder for weights and pictures by what they come from, which campaigns share; none by default.
        progress: Told what takes time.

    Returns:
        The campaign.

    Raises:
        DesiderataError: Something named does not exist or cannot be used. Nothing is left at `path` then.
    """
    check_free(path)
    _check_apart(path, Path(_images(config)))
    use_physical_cores()
    subject = Subject.read(config.subject)
    strategy = _strategy(config)
    models = models or Models.of(config)
    references = read_references(_images(config), models.generator.size)
    shelf = FolderBlobs(path.absolute())
    learner = _learner(config, subject, references, models, shelf, memo, progress)
    if learner.second:
        learner.second()  # one that cannot be loaded is better known now than after the first lesson
    return Campaign.create(path, learner=learner, strategy=strategy, config=config)


def open_run(
    path: str | Path,
    *,
    models: Models | None = None,
    memo: Path | None = None,
    progress: Progress | None = None,
) -> Campaign:
    """Open a personalising campaign with models that are loaded already, a memo, or somebody to tell.

    Without these, `Campaign.open` does the same.

    Args:
        path: The directory of the run.
        models: As for `create`.
        memo: As for `create`.
        progress: As for `create`.

    Returns:
        The campaign.
    """
    config, store = Config.read(Path(path)), open_store(Path(path))
    return Campaign(store, config, *build(config, store, models=models, memo=memo, progress=progress))


def build(
    config: Config,
    store: Store,
    *,
    models: Models | None = None,
    memo: Path | None = None,
    progress: Progress | None = None,
) -> tuple[PersonalizeLearner, Strategy[PersonalizeState]]:
    """Return the learner and the strategy of a recorded campaign; its references are kept in the run.

    Args:
        config: What was asked for.
        store: What was recorded.
        models: As for `create`.
        memo: As for `create`.
        progress: As for `create`.

    Returns:
        Both.

    Raises:
        DesiderataError: A model or a picture that the campaign needs is gone.
    """
    use_physical_cores()
    subject = Subject.read(config.subject)
    strategy = _strategy(config)
    models = models or Models.of(config)
    held = {one.image: one.name for one in store.held() if one.part == PART}
    references = find_references(store.blobs, held, _images(config), models.generator.size)
    return _learner(config, subject, references, models, store.blobs, memo, progress), strategy


def _learner(
    config: Config,
    subject: Subject,
    references: list[Reference],
    models: Models,
    shelf: Blobs,
    memo: Path | None,
    progress: Progress | None,
) -> PersonalizeLearner:
    trainer = make_trainer(config.trainer, subject)
    if config.strategy.get("name") == LowerRate.name:
        check_pace(trainer)  # before anything is asked
    return PersonalizeLearner(
        models.generator,
        models.encoder,
        trainer,
        subject,
        references,
        anchors=anchor_templates(config.prompts.get("anchors", "authors"), subject.kind, subject.word),
        measurement=Measurement.of(config, subject),
        second=_second(config, models),
        class_pictures=_class_pictures(config, models.generator.size),
        seed=config.seed,
        shelf=shelf,
        memo=FolderBlobs(memo) if memo else None,
        half=bool(config.trainer.get("half", False)),
        progress=progress,
    )


def _second(config: Config, models: Models) -> Callable[[], PictureEncoder] | None:
    """Return what loads the second encoder, once it is needed; None where there is none.

    Raises:
        DesiderataError: Its name is none.
    """
    name = config.prompts.get("second_encoder")
    if name is None:
        return None
    if not isinstance(name, str):
        raise DesiderataError(f"second_encoder is {name!r}: give a name, a directory or a hub id.")
    return cache(lambda: load_picture_encoder(name, device=models.generator.device.type))


def _check_apart(path: Path, images: Path) -> None:
    """Make sure that nothing is written into the folder of the references.

    Raises:
        DesiderataError: The run would lie in it.
    """
    if path.resolve().is_relative_to(images.resolve()):
        raise DesiderataError(
            f"{path} lies in the folder of your pictures, {images}, which is never written to: choose another place."
        )


def _images(config: Config) -> str:
    if config.world.get("kind") != "references" or not isinstance(config.world.get("images"), str):
        raise DesiderataError(
            "The campaign's table `world` does not say where the pictures of the subject are: it needs kind = "
            '"references" and images.'
        )
    return config.world["images"]


def _class_pictures(config: Config, size: int) -> int | list[Reference]:
    folder, number = config.world.get("class_images"), config.trainer.get("class_pictures", 0)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise DesiderataError(f"class_pictures is {number!r}: give a whole number, or 0 for none.")
    if (folder or number) and config.trainer.get("name") in WITHOUT_CLASS:
        raise DesiderataError(f"The trainer {config.trainer['name']} learns from no class pictures: leave them out.")
    return read_references(folder, size) if folder else number


def _strategy(config: Config) -> Strategy[PersonalizeState]:
    parameters = dict(config.strategy)
    name = parameters.pop("name", None)
    if not isinstance(name, str):
        raise DesiderataError(
            "The campaign's table `strategy` does not say which: give it a name, such as uncertainty-balance, in "
            "campaign.toml."
        )
    return make_strategy(name, **parameters)

"""From names to parts: the one place that knows how a personalising campaign is put together."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from desiderata.campaign.blobs import Blobs, FolderBlobs
from desiderata.campaign.config import Config
from desiderata.campaign.directory import check_free, open_store
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Strategy
from desiderata.campaign.store import Store
from desiderata.errors import DesiderataError
from desiderata.foundation.picture_encoder import PictureEncoder, load_picture_encoder
from desiderata.personalize.anchors import anchor_templates, anchors_of
from desiderata.personalize.learner import PART, PersonalizeLearner
from desiderata.personalize.measurement import Measurement
from desiderata.personalize.models import Drawing, Models
from desiderata.personalize.pacing import LowerRate
from desiderata.personalize.pictures import Reference, find_references, read_references
from desiderata.personalize.recipes import make_trainer
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.strategies import make_strategy
from desiderata.personalize.subject import Subject
from desiderata.personalize.teaching import Progress
from desiderata.personalize.trainers.trainer import Trainer, check_pace
from desiderata.threads import use_physical_cores

WITHOUT_CLASS = ("textual-inversion", "ip-adapter")
"""Trainers that class pictures would be lost on: none of the generator's own weights moves."""


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
    _check_before_loading(config, subject, strategy)
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


def _check_before_loading(config: Config, subject: Subject, strategy: Strategy[PersonalizeState]) -> None:
    """Say what is wrong with a configuration before models are fetched, which may take long.

    Raises:
        DesiderataError: Something named does not exist or cannot be meant.
    """
    Drawing.of(config)
    _trainer(config, subject).key()  # reads an adapter, where there is one
    Measurement.of(config, subject)
    sentences, k = len(anchors_of(subject, _templates(config, subject))), getattr(strategy, "k", 0)
    if k > sentences:
        raise DesiderataError(
            f"A round is to learn from {k} sentences, and there are {sentences} to choose from: give more anchors, "
            "or a smaller k."
        )


def _trainer(config: Config, subject: Subject) -> Trainer:
    trainer = make_trainer(config.trainer, subject)
    if config.strategy.get("name") == LowerRate.name:
        check_pace(trainer)  # before anything is asked
    return trainer


def _templates(config: Config, subject: Subject) -> tuple[str, ...]:
    return anchor_templates(config.prompts.get("anchors", "authors"), subject.kind, subject.word)


def _learner(
    config: Config,
    subject: Subject,
    references: list[Reference],
    models: Models,
    shelf: Blobs,
    memo: Path | None,
    progress: Progress | None,
) -> PersonalizeLearner:
    return PersonalizeLearner(
        models.generator,
        models.encoder,
        _trainer(config, subject),
        subject,
        references,
        anchors=_templates(config, subject),
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

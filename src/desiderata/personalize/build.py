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
from desiderata.files import check_outside
from desiderata.foundation.picture_encoder import PictureEncoder, load_picture_encoder
from desiderata.personalize.asked import Asked, check_before_loading
from desiderata.personalize.learner import PART, PersonalizeLearner
from desiderata.personalize.models import Models
from desiderata.personalize.pictures import Reference, find_class, find_references, read_references
from desiderata.personalize.state import PersonalizeState
from desiderata.personalize.teaching import Progress
from desiderata.personalize.trainers.words import check_new
from desiderata.threads import use_physical_cores


def create(
    path: Path,
    config: Config,
    *,
    models: Models | None = None,
    memo: Path | None = None,
    progress: Progress | None = None,
    checked: Callable[[], None] | None = None,
    settle: bool = True,
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
        checked: Called when nothing wrong was found in what is asked for, before models are loaded.
        settle: Whether to learn at once; otherwise the first `settle`, `ask` or `run` does.

    Returns:
        The campaign.

    Raises:
        DesiderataError: Something named does not exist or cannot be used, and nothing is left at `path`; or learning
            failed, and opening the run goes on with it.
    """
    check_free(path)
    asked = Asked.of(config)
    for folder in config.given:
        check_outside(path, folder, "your pictures")
    check_before_loading(config, asked)
    if checked:
        checked()
    use_physical_cores()
    models = models or Models.of(config)
    references = read_references(asked.images, models.generator.size)
    learner = _learner(config, asked, references, models, FolderBlobs(path.absolute()), memo, progress)
    if (word := getattr(asked.trainer, "placeholder", "")) and isinstance(word, str):
        check_new(models.generator, word, getattr(asked.trainer, "vectors", 1))
    if learner.second:
        learner.second()  # one that cannot be loaded is better known now than after the first lesson
    return Campaign.create(path, learner=learner, strategy=asked.strategy, config=config, settle=settle)


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
    asked = Asked.of(config)
    models = models or Models.of(config)
    held = {one.image: one.name for one in store.held() if one.part == PART}
    references = find_references(store.blobs, held, asked.images, models.generator.size)
    return _learner(config, asked, references, models, store.blobs, memo, progress), asked.strategy


def _learner(
    config: Config,
    asked: Asked,
    references: list[Reference],
    models: Models,
    shelf: Blobs,
    memo: Path | None,
    progress: Progress | None,
) -> PersonalizeLearner:
    return PersonalizeLearner(
        models.generator,
        models.encoder,
        asked.trainer,
        asked.subject,
        references,
        anchors=asked.templates,
        measurement=asked.measurement,
        second=_second(asked, models),
        class_pictures=asked.class_pictures
        if isinstance(asked.class_pictures, int)
        else find_class(shelf, asked.class_pictures, models.generator.size),
        seed=config.seed,
        shelf=shelf,
        memo=FolderBlobs(memo) if memo else None,
        half=bool(config.trainer.get("half", False)),
        progress=progress,
    )


def _second(asked: Asked, models: Models) -> Callable[[], PictureEncoder] | None:
    """Return what loads the second encoder, once it is needed; None where there is none."""
    name = asked.second
    return cache(lambda: load_picture_encoder(name, device=str(models.generator.device))) if name else None

"""What a campaign was for: a classifier of pictures, in a campaign or on its own."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.campaign.features import BATCH, FeatureCache, probe_picture
from desiderata.campaign.holding import alike
from desiderata.campaign.images import ImageLike, UnreadableImage, as_list, read_images
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import Round
from desiderata.collect.card import Card
from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.learner import CollectLearner, restore_head
from desiderata.errors import DesiderataError
from desiderata.foundation.encoder import Encoder, load_encoder
from desiderata.worlds.folder import files_among

WEIGHTS = "head.safetensors"
"""The file of an exported classifier that holds its head."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a classifier makes of a file.

    Attributes:
        path: The file.
        label: The most probable class.
        probabilities: Shape (C,), in the order of the classes, with sum 1.
    """

    path: Path
    label: str
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A fitted head on a frozen encoder: pictures in, classes out.

    Attributes:
        encoder: Embeds pictures.
        head: The classifier of embeddings; its labels are indices into `classes`.
        classes: Names.
        figures: What it was worth when it was fitted, such as `test_accuracy`.
    """

    encoder: Encoder
    head: HeadClassifier
    classes: tuple[str, ...]
    figures: Mapping[str, float] = field(default_factory=dict)

    def predict_proba(self, images: ImageLike | Sequence[ImageLike]) -> NDArray[np.float64]:
        """Return the probabilities of the classes.

        Args:
            images: Files, bytes of files, or pixels; a single one counts as a list of one.

        Returns:
            Shape (n, C), columns in the order of `classes`, rows with sum 1.

        Raises:
            UnreadableImage: One of them is no picture.
        """
        images = as_list(images)
        rows = [np.empty((0, len(self.classes)))]
        pictures = (picture for _, picture in read_images(images))
        while batch := list(islice(pictures, BATCH)):
            rows.append(self.head.predict_proba(self.encoder.images(batch)))
        return np.concatenate(rows)

    def predict(self, images: ImageLike | Sequence[ImageLike]) -> list[str]:
        """Return the most probable class of each picture; see `predict_proba`, and `classify` for folders."""
        return [self.classes[index] for index in self.predict_proba(images).argmax(axis=1)]

    def classify(
        self, paths: str | Path | Sequence[str | Path], progress: Callable[[int], None] | None = None
    ) -> tuple[list[Prediction], dict[Path, UnreadableImage]]:
        """Classify files, and go on where one cannot be read. What was embedded before is not embedded again.

        Args:
            paths: Files, and folders that are searched for images with all below them; one may stand alone.
            progress: Called with the number of files that have been dealt with.

        Returns:
            The files that could be read, in the order given, and for each of the others why it could not.

        Raises:
            DesiderataError: A folder has no images.
        """
        given = [paths] if isinstance(paths, str | Path) else paths
        found, unreadable = FeatureCache().embed(self.encoder, files_among([Path(one) for one in given]), progress)
        if not found:
            return [], unreadable
        rows = self.head.predict_proba(np.stack([one.feature for one in found]))
        return [Prediction(one.path, self.classes[row.argmax()], row) for one, row in zip(found, rows)], unreadable


def last_fitted(campaign: Campaign) -> tuple[CollectLearner, Round]:
    """Return the learner of a campaign, put where its last closed round left it, and that round.

    Raises:
        DesiderataError: The campaign has no classifier.
    """
    if campaign.config.half in ("collect", "python"):
        campaign.settle()  # a campaign that was stopped while it was made is measured now
        last = campaign.rounds[-1]
        learner = campaign.learner_at(last.number)
        if isinstance(learner, CollectLearner):
            return learner, last
    raise DesiderataError(
        f"{campaign.path or 'This campaign'} has no classifier of pictures: give a campaign that collects pictures "
        "for one."
    )


def trained_classifier(campaign: Campaign) -> TrainedClassifier:
    """Return the classifier of a campaign as its last closed round left it; the campaign may go on without it."""
    learner, last = last_fitted(campaign)
    return TrainedClassifier(learner.encoder, deepcopy(learner.head), learner.classes, dict(last.metrics))


def load_classifier(folder: str | Path, *, encoder: str | Encoder | None = None) -> TrainedClassifier:
    """Load a classifier that `desiderata export` wrote.

    Args:
        folder: Where it was written.
        encoder: The encoder that it stands on, or that one's name, directory or hub id; without it, what the card
            says. It is known again by what it makes of one fixed picture.

    Returns:
        The classifier.

    Raises:
        DesiderataError: There is none, it is damaged, or the encoder cannot be loaded or is another one.
    """
    folder = Path(folder)
    card = Card.read(folder)
    head = _head(folder, card)
    embeds = _encoder(folder, encoder or card.encoder) if encoder is None or isinstance(encoder, str) else encoder
    if not alike(embeds.images([probe_picture()])[0], np.array(card.probe, dtype=np.float64)):
        raise DesiderataError(
            f"{folder} stands on another encoder: {embeds.name} does not embed pictures as {card.encoder} did then; "
            "pass that one as `encoder`."
        )
    return TrainedClassifier(embeds, head, tuple(card.classes), card.figures)


def _head(folder: Path, card: Card) -> HeadClassifier:
    try:
        weights = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise DesiderataError(f"{folder / WEIGHTS} cannot be read ({error.strerror}): export it again.") from None
    parameters: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in card.head.items()}
    try:
        head = HeadClassifier(**parameters)
        restore_head(head, weights, len(card.probe), len(card.classes))
    except (DesiderataError, TypeError) as error:
        reason = str(error).split(":")[0]
        raise DesiderataError(f"{folder} holds no classifier that is whole ({reason}): export it again.") from error
    return head


def _encoder(folder: Path, name: str) -> Encoder:
    try:
        return load_encoder(name)
    except DesiderataError as error:
        reason = str(error).rstrip(".")
        raise DesiderataError(
            f"The encoder of {folder} cannot be loaded ({reason}): where it has moved, pass it as `encoder`."
        ) from error

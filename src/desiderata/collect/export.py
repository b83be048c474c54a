"""A campaign's classifier as a folder of its own, with everything that was collected for it."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from desiderata.campaign import holding, recall
from desiderata.campaign.branching import asked_by
from desiderata.campaign.loop import Campaign
from desiderata.campaign.recorded import check_picture
from desiderata.campaign.records import THEN, Answer, Round
from desiderata.collect import card
from desiderata.collect.learner import CollectLearner
from desiderata.collect.trained import WEIGHTS, last_fitted
from desiderata.errors import DesiderataError
from desiderata.files import staged_folder
from desiderata.worlds.folder import folder_names

COLLECTED = "collected.csv"
IMAGES = "images"
COLUMNS = ("file", "label", "query", "round", "asked_for", "sentence", "source", "weight", "original")


def export_classifier(campaign: Campaign, folder: str | Path, *, learn_validation: bool = False) -> card.Card:
    """Write the classifier of a campaign, as its last closed round left it, to a new folder in one step.

    The folder holds `head.safetensors` (the weights), `card.json` (classes, encoder, figures), `collected.csv` (a
    line for each example that was collected, with the name of the file that it came from) and `images`, which has a
    sub-folder of pictures for each class of which some were collected. `load_classifier` reads it.

    Args:
        campaign: A campaign that collects pictures.
        folder: Where nothing is yet.
        learn_validation: Fit the classifier once more, on the validation examples, too, by which strategies only
            measured. Its figures are then those of the training and test examples alone; the card has those of
            the classifier without them besides, as `campaign["without_validation"]`.

    Returns:
        The card.

    Raises:
        DesiderataError: The campaign has no classifier, a picture of it is gone, something is at `folder`, or it
            cannot be written.
    """
    folder = Path(folder)
    with staged_folder(folder) as stage:
        learner, last = last_fitted(campaign)
        said = recall.Said.of(campaign.store, last.number)
        about = _card(campaign, learner, last, said.answers)
        weights = campaign.store.weights(last.number)
        if learn_validation:
            learner = learner.with_validation()
            about, weights = _with_validation(about, learner), learner.save()
        (stage / WEIGHTS).write_bytes(weights)
        (stage / card.FILE).write_text(about.to_json(), "utf-8")
        files = _write_images(campaign, said.answers, learner.classes, stage)
        (stage / COLLECTED).write_text(_table(said, files, campaign.store.originals()), "utf-8", newline="")
    return about


def _card(campaign: Campaign, learner: CollectLearner, last: Round, answers: Sequence[Answer]) -> card.Card:
    parts = {"initial": learner.initial, "validation": learner.validation, "test": learner.test}
    examples = {part: 0 if rows is None else len(rows) for part, rows in parts.items()}
    examples |= {"collected": len(answers), "images": sum(bool(answer.image) for answer in answers)}
    origin = {
        "round": last.number,
        "strategy": THEN.join(name for _, name in asked_by(campaign, last.number)),
        "seed": campaign.config.seed,
        "examples": examples,
    }
    parameters = learner.head.get_params() | {"hidden": list(learner.head.hidden)}
    probe = holding.probe(learner).tolist()
    return card.Card(learner.classes, learner.encoder.name, probe, parameters, dict(last.metrics), origin)


def _with_validation(about: card.Card, learner: CollectLearner) -> card.Card:
    kept = {name: value for name, value in learner.evaluate().items() if not name.startswith("validation")}
    origin = {**about.campaign, "without_validation": dict(about.figures)}
    return replace(about, figures=kept, campaign=origin)


def _write_images(campaign: Campaign, answers: Sequence[Answer], classes: Sequence[str], stage: Path) -> list[str]:
    """Write the pictures of answers, class by class.

    Returns:
        Where each was written, below the stage; empty for an example without a picture.

    Raises:
        DesiderataError: The stored picture is gone.
    """
    rooms = folder_names(classes)
    seen: Counter[str] = Counter()
    files = []
    for answer in answers:
        seen[answer.query_id] += 1
        if not answer.image:
            files.append("")
            continue
        place = Path(IMAGES) / rooms[answer.label] / f"{answer.query_id}-{seen[answer.query_id]}.png"
        stored = campaign.store.image(answer.image)
        try:
            content = stored if isinstance(stored, bytes) else stored.read_bytes()
        except OSError as error:
            raise DesiderataError(
                f"{stored}, which came for {answer.query_id}, cannot be read ({error.strerror}): put it back from a "
                "copy."
            ) from error
        check_picture(content, stored)
        (stage / place).parent.mkdir(parents=True, exist_ok=True)
        (stage / place).write_bytes(content)
        files.append(place.as_posix())
    return files


def _table(said: recall.Said, files: Sequence[str], originals: Mapping[str, str]) -> str:
    queries = {query.id: query for query in said.queries}
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for answer, file in zip(said.answers, files, strict=True):
        query = queries[answer.query_id]
        asked = (query.id, query.round, query.label, query.text)
        original = originals.get(answer.image, "")
        rows.writerow((file, answer.label, *asked, answer.source, answer.weight, original))
    return text.getvalue()

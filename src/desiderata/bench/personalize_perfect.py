"""Pictures that are exactly what was asked for: how far every figure can go, and what they teach as answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desiderata.bench.personalize_ground import Ground
from desiderata.bench.personalize_sight import Eye
from desiderata.bench.personalize_subjects import SMALLEST, Case
from desiderata.bench.personalize_task import Task
from desiderata.campaign.images import ImageLike
from desiderata.campaign.records import Query
from desiderata.measure.alignment import align_embedded
from desiderata.personalize.anchors import Anchor, anchors_of
from desiderata.personalize.subject import SLOT
from desiderata.randomness import stream
from desiderata.worlds.moji.held_out import draw
from desiderata.worlds.moji.lexicon import with_article
from desiderata.worlds.moji.reader import parse
from desiderata.worlds.moji.sampler import complete


def perfect_result(task: Task, ground: Ground) -> dict[str, Any]:
    """Measure drawn pictures of the subject, as many for each test prompt as a generator draws.

    Args:
        task: Its case and its settings, and which of `PERFECT`; no generator is taught anything.
        ground: The judges.

    Returns:
        As `personalize_cell.run_task`, with one round.
    """
    case, size, encoder = task.case, ground.models.generator.size, ground.models.encoder
    prompts = anchors_of(case.subject, task.prompts)
    asked = [prompt for prompt in prompts for _ in range(task.settings.pictures)]
    pictures = [_drawn(case, prompt, number, size) for prompt in prompts for number in range(task.settings.pictures)]
    if task.method == "perfect-decoded":
        pictures = ground.models.generator.through_autoencoder(pictures)
    features, references = encoder.images(pictures), encoder.images(case.references(size))
    sentences = encoder.texts([prompt.unedited for prompt in asked])
    aligned = align_embedded(features, sentences, references, encoder.texts(case.subject.non_subjects))
    seen = Eye(ground.judge, case).figures(pictures, [case.wish(prompt.template) for prompt in asked])
    held_out = float((features @ encoder.images(case.elsewhere(size)).T).mean())
    return {
        "rounds": [{**aligned.figures(), "pictures": float(len(pictures)), **seen, "held_out": held_out}],
        "measured": [prompt.unedited for prompt in prompts],
        **{name: [] for name in ("asked", "chosen", "additions", "weights")},
        "stopped": "",
        "trainer": {},
    }


class DrawnAsAsked:
    """Answers each query with a drawn picture of what its sentence says, in place of the generator's own.

    Args:
        case: The subject and the seed of its pictures.
        templates: All directions that may be asked.
        size: Of the generator's pictures.
    """

    name = "drawn-as-asked"

    def __init__(self, case: Case, templates: Sequence[str], size: int) -> None:
        self._case, self._size = case, size
        self._directions = {anchor.prompt: anchor for anchor in anchors_of(case.subject, templates)}

    def answer(self, query: Query, rng: np.random.Generator) -> Sequence[tuple[ImageLike, str | None]]:
        """Return the picture, the same for the same sentence; `rng` is not drawn from."""
        return [(_drawn(self._case, self._directions[query.text], 0, self._size), None)]


def _drawn(case: Case, prompt: Anchor, number: int, size: int) -> NDArray[np.uint8]:
    """Draw what a sentence asks for, with the subject in place of its class, or in the style that is learnt.

    Returns:
        The picture.
    """
    rng = stream(case.seed, "perfect", case.name, prompt.template, number)
    filling = with_article(case.content) if case.kind == "object" else ""
    scene = complete(parse(prompt.template.replace(SLOT, filling).strip()), rng)
    if case.kind == "style":
        scene = replace(scene, style=case.name)
    else:
        groups = [replace(one, concept=case.name) if one.concept == case.content else one for one in scene.groups]
        scene = replace(scene, groups=tuple(groups))
    return draw(scene, rng, max(size, SMALLEST))

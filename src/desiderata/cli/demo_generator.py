"""The end of the demonstration: the bundled generator is taught a thing that it has never seen."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desiderata.cli.taught import NEEDED
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.report.data import Section

GENERATOR = "moji-diffusion"
SUBJECT = "unicorn"
"""A held-out subject of the Moji world."""
ROUNDS = 1
"""After the first. With what follows it takes less than a minute on two cores."""

TRAINER: dict[str, Any] = {"name": "dreambooth", "steps": 120, "class_pictures": 0, "learning_rate": 6e-4}
"""At a lower rate there would be hardly anything for the generator to be undecided about."""
STRATEGY: dict[str, Any] = {"name": "uncertainty-balance", "k": 2, "samples": 8}
BATCH = 8
PICTURES = 2
ANCHORS = (
    "{} on the beach",
    "{} in the snow",
    "{} in space",
    "{} on the street",
    "{} in a room",
    "{} in the desert",
    "{} on a yellow background",
    "a pencil drawing of {} on the beach",
    "a night photo of {} in the snow",
    "a blueprint of {} in space",
)
TEST = (
    "{} against a blue background",
    "{} on a red background",
    "{} next to a ship on the sea",
    "pixel art of {} in the snow",
)


def is_there() -> bool:
    """Return whether the generator is in this installation, with all that teaching it takes."""
    from desiderata.foundation.registry import locate

    try:
        folder = Path(locate(GENERATOR))
    except DesiderataError:
        return False
    installed = all(importlib.util.find_spec(name) for name in NEEDED)
    return installed and (folder / "model_index.json").is_file()


def taught(out: Path, seed: int, progress: Callable[[str, int, int], None]) -> "Campaign":
    """Draw the subject, teach it, and let the generator choose what else to learn from; or go on with that.

    Args:
        out: Folder of the demonstration.
        seed: Seeds everything.
        progress: Told what takes time.

    Returns:
        The campaign.

    Raises:
        DesiderataError: There is another one.
    """
    from desiderata.personalize.answers import OwnSamples
    from desiderata.personalize.build import open_run

    run = out / "generator"
    campaign = open_run(run, progress=progress) if run.exists() else _begun(run, out, seed, progress)
    if campaign.config.seed != seed:
        raise DesiderataError(
            f"{run} holds another demonstration (seed {campaign.config.seed}): choose another folder, or give its "
            "seed."
        )
    campaign.run(OwnSamples(campaign), ROUNDS)
    return campaign


def section(campaign: "Campaign") -> "Section":
    """Return what the report of the demonstration says about it."""
    from desiderata.report.personalize import overview

    return overview(campaign, "A generator learns something that it has never seen")


def _begun(run: Path, out: Path, seed: int, progress: Callable[[str, int, int], None]) -> "Campaign":
    from PIL import Image

    from desiderata.campaign.images import to_png
    from desiderata.files import write_bytes
    from desiderata.personalize.quickstart import new_campaign
    from desiderata.worlds.moji.held_out import SUBJECTS, references

    photos, subject = out / "references", SUBJECTS[SUBJECT]
    for index, drawing in enumerate(references(SUBJECT, seed)):
        write_bytes(photos / f"{SUBJECT}-{index + 1}.png", to_png(Image.fromarray(drawing.image)))
    return new_campaign(
        run,
        photos,
        subject=subject.word,
        setting=subject.setting,
        generator={"name": GENERATOR, "batch": BATCH},
        encoder="moji-clip",
        strategy=STRATEGY,
        trainer=TRAINER,
        anchors=ANCHORS,
        test=TEST,
        pictures=PICTURES,
        seed=seed,
        progress=progress,
    )

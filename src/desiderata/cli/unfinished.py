"""A run of `desiderata personalize new` that was stopped while it was made."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desiderata.cli.halves import half_of
from desiderata.cli.output import command
from desiderata.errors import DesiderataError

RUNNING = "gradient_checkpointing"
"""The setting of a trainer that changes what it takes, and nothing of what is learnt."""

TURNED = ("steps", "learning_rate", "class_pictures", "prior", "adapter")
"""Settings of a trainer that options give."""

AT_A_TIME = "batch"
"""That of a generator, which changes nothing of what is drawn but by rounding."""

if TYPE_CHECKING:
    from desiderata.campaign.config import Config


def unfinished(run: Path, images: Path, wanted: dict[str, Any]) -> bool:
    """Return whether the same command was stopped while it made the run.

    Args:
        run: Its directory.
        images: The folder of the subject's pictures.
        wanted: What `new` was given besides.

    Returns:
        False where there is nothing yet.

    Raises:
        DesiderataError: There is another run, or a whole one.
    """
    half = half_of(run)
    if half is None:
        return False  # what else is wrong with the place is said where the run is made
    if half != "personalize":
        raise DesiderataError(f"{run} is a campaign already, which collects pictures: choose another name.")
    from desiderata.campaign.loop import Campaign

    campaign = Campaign.open(run)
    if campaign.rounds:
        raise DesiderataError(
            f"{run} is a campaign already: go on with `{command('personalize', 'run', run)}`, or choose another name."
        )
    if changed := _changed(campaign.config, images, wanted):
        raise DesiderataError(
            f"{run} was stopped while it was made, with another {changed}: give the same command again, remove "
            "the folder, or choose another name."
        )
    _with_less_memory(run, campaign.config, wanted)
    return True


def _with_less_memory(run: Path, config: "Config", wanted: dict[str, Any]) -> None:
    """Let a run that ran out of memory while it was made go on with less; what it learns is the same."""
    from desiderata.campaign.config import FILE
    from desiderata.files import write_text

    trainer = {key: value for key, value in wanted["trainer"].items() if key == RUNNING}
    generator = {key: value for key, value in wanted["generator"].items() if key == AT_A_TIME}
    saving = replace(config, trainer={**config.trainer, **trainer}, generator={**config.generator, **generator})
    if saving != config:
        write_text(run / FILE, saving.to_toml())


def _changed(config: "Config", images: Path, wanted: dict[str, Any]) -> str:
    """Return what was asked for otherwise when a run was begun; empty if nothing was.

    An option that is not said stands for its usual value: leaving one out is a change, too.
    """
    from desiderata.foundation.registry import lasting
    from desiderata.personalize.quickstart import usual
    from desiderata.personalize.recipes import default_trainer

    model, classes = lasting(wanted["generator"]["name"]), wanted["class_images"]
    unsaid = usual(model)
    taught = {**default_trainer(wanted["trainer"]["name"], wanted["kind"], model), **wanted["trainer"]}
    if classes:
        taught.pop("class_pictures", None)
    second = wanted["second_encoder"]
    begun = {
        "--images": (config.world.get("images"), str(images.resolve())),
        "--subject": (config.subject.get("word"), wanted["subject"]),
        "--setting": (config.subject.get("settings"), wanted["setting"]),
        "--kind": (config.subject.get("kind"), wanted["kind"]),
        "--placeholder": (config.subject.get("placeholder"), wanted["placeholder"]),
        "--model": (config.generator.get("name"), model),
        "--device": (config.generator.get("device"), wanted["generator"].get("device")),
        "--precision": (config.generator.get("precision"), wanted["generator"].get("precision")),
        "--class-images": (config.world.get("class_images"), classes and str(classes.resolve())),
        "--encoder": (config.encoder, lasting(wanted["encoder"] or unsaid["encoder"])),
        "--second-encoder": (config.prompts.get("second_encoder"), second and lasting(second)),
        "--strategy": (dict(config.strategy), wanted["strategy"]),
        "--trainer": (config.trainer.get("name"), taught["name"]),
        **{f"--{key.replace('_', '-')}": (config.trainer.get(key), taught.get(key)) for key in TURNED},
        "--anchors": (config.prompts.get("anchors"), wanted["anchors"] or unsaid["anchors"]),
        "--test": (config.prompts.get("test"), wanted["test"] or unsaid["test"]),
        "--pictures": (config.prompts.get("pictures"), wanted["pictures"]),
        "--seed": (config.seed, wanted["seed"]),
    }
    return next((flag for flag, (was, now) in begun.items() if was != now), "")

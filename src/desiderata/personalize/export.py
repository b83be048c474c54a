"""A generator that was taught, as a folder of its own that plain diffusers loads."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from desiderata.campaign.branching import asked_by
from desiderata.campaign.loop import Campaign
from desiderata.campaign.records import THEN
from desiderata.errors import DesiderataError
from desiderata.files import staged_folder
from desiderata.foundation.generator import Generator
from desiderata.foundation.sampling import SOLVERS, set_for
from desiderata.personalize.card import FILE, GeneratorCard, base_of, licence_of
from desiderata.personalize.learner import PersonalizeLearner
from desiderata.personalize.looking import gathered

SMALL = {"dreambooth-lora": "lora", "textual-inversion": "embedding"}
"""Trainers of which what was learnt is a file of its own, and what that is."""


def export_generator(
    campaign: Campaign, folder: str | Path, *, round: int | None = None, learnt_only: bool = False
) -> GeneratorCard:
    """Write a generator, as a closed round left it, to a new folder in one step.

    The folder holds a pipeline and a card, `README.md`; or, in place of the pipeline, the LoRA or the word alone. The
    pipeline's scheduler is the solver that its figures were measured with.

    Args:
        campaign: A personalising campaign.
        folder: Where nothing is yet.
        round: Which round; the last one by default.
        learnt_only: Leave out all that the base model has anyway.

    Returns:
        The card.

    Raises:
        DesiderataError: The campaign has no generator, what was learnt is no file of its own, something is at
            `folder`, or it cannot be written.
    """
    with staged_folder(Path(folder)) as stage:
        number = campaign.store.last_round() if round is None else round
        learner = campaign.learner_at(number)
        if not isinstance(learner, PersonalizeLearner):
            raise DesiderataError(
                f"{campaign.path or 'This campaign'} has no generator: give a campaign that teaches one."
            )
        trainer: Any = learner.teacher.trainer
        if learnt_only and trainer.name not in SMALL:
            raise DesiderataError(
                f"What {trainer.name} learns is no LoRA and no word, but part of the model: export the whole of it."
            )
        card = _card(campaign, learner, number, learnt_only)
        if learnt_only:
            trainer.save(learner.teacher.learnt, stage)
        else:
            write_pipeline(learner.personalised, stage)
        (stage / FILE).write_text(card.to_markdown(), "utf-8")
    return card


def write_pipeline(generator: Generator, folder: Path) -> None:
    """Write a generator so that plain diffusers draws as it does: with the solver that it is sampled by.

    Args:
        generator: Left as it is.
        folder: As for `Generator.save`.

    Raises:
        DesiderataError: There is something, or it cannot be written.
    """
    with set_for(generator.pipeline, replace(generator.sampling, half=False)):
        generator.save(folder)


def _trained(table: Mapping[str, Any]) -> dict[str, str]:
    """Return by which settings a trainer learns, as far as it has them."""
    known = {"steps": "steps of each round", "batch": "pictures in a step", "learning_rate": "learning rate"}
    return {words: f"{table[name]:g}" for name, words in known.items() if name in table}


def _card(campaign: Campaign, learner: PersonalizeLearner, number: int, learnt_only: bool) -> GeneratorCard:
    closed, base = campaign.rounds[number], learner.teacher.base
    name = learner.teacher.trainer.name
    pace = closed.metrics.get("pace", 1.0)
    judges = filter(None, (learner.encoder.name, campaign.config.prompts.get("second_encoder")))
    usual = "adapted" if name == "ip-adapter" else "pipeline"
    learnt = gathered(campaign)[number]
    return GeneratorCard(
        form=SMALL[name] if learnt_only else usual,
        subject=learner.subject,
        base=base_of(base.name),
        licence=licence_of(base.name),
        references=len(learner.references),
        own=learnt.own,
        brought=learnt.brought,
        figures=closed.metrics,
        origin={
            "base model": base_of(base.name),
            "trainer": name,
            "strategy": THEN.join(name for _, name in asked_by(campaign, number)),
            "round": number,
            "seed": campaign.config.seed,
            **_trained(campaign.config.trainer),
            "shown in the pictures": "; ".join(learner.subject.settings),
            "judged by": ", ".join(map(base_of, judges)),
            **({"learning rate in this round": f"{pace:.3g} times as much"} if pace != 1 else {}),
        },
        sampling={"num_inference_steps": base.sampling.steps, "guidance_scale": base.sampling.guidance},
        solver=SOLVERS[base.sampling.solver] or "",
    )

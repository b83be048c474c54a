"""The commands that teach a generator again, as a run has them on record."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desiderata.cli.branch import branched, own_name, shared_rounds
from desiderata.cli.output import command
from desiderata.cli.personalize_options import settings_said
from desiderata.cli.personalize_pick import cells_picked
from desiderata.cli.taught import by_hand, run_words

if TYPE_CHECKING:
    from desiderata.campaign.config import Config
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query


def commands(campaign: "Campaign") -> str:
    """Return what to type to make this run again, a command a line; empty for one that was made from Python."""
    if campaign.config.half != "personalize" or campaign.path is None:
        return ""
    name = own_name(campaign)
    lines = [branched(campaign, "personalize") or _new(campaign.config, name)]
    shared = shared_rounds(campaign)
    if by_hand(campaign):
        return "\n".join([*lines, *_picking(campaign, name, shared)])
    return "\n".join([*lines, *_answering(campaign, name, shared)])


def _picking(campaign: "Campaign", name: str, shared: int) -> list[str]:
    """Return the commands of a run in which a person picks: each round is drawn, and then picked from."""
    from desiderata.personalize.looking import choices

    pick, lines = command("personalize", "pick", name), []
    end = max([campaign.rounds[-1].number, *[one.round for one in choices(campaign)]])
    for number in range(shared + 1, end + 1):
        queries = [query for query in campaign.queries if query.round == number]
        picked = [cells_picked(campaign, query) for query in queries if query.status == "answered"]
        lines.append(run_words(Path(name), number))
        if not all(picked):
            lines.append(f"{pick} PICTURES")  # where they are, nobody can tell any more
        elif picked:
            lines.append(command("personalize", "pick", name, *chain(*picked)))
        elif queries and all(query.status == "skipped" for query in queries):
            return [*lines, f"{pick} --none"]  # which ends it
    return lines


def _answering(campaign: "Campaign", name: str, shared: int) -> list[str]:
    """Return the commands of a run that chooses by itself, and in which a person may have answered.

    `ask` closes a round in which a person decided everything, and `run` one of which something was left.
    """
    from desiderata.personalize.looking import choices, decided_by_others

    others = {query.id for query in decided_by_others(campaign)}
    last, found = campaign.rounds[-1].number, choices(campaign)
    end = max([last, *[one.round for one in found if one.stopped or not others]])
    ask, lines, asked, own = command("personalize", "ask", name), [], True, 0
    for number in range(shared + 1, end + 1):
        queries = [query for query in campaign.queries if query.round == number]
        told = [query for query in queries if query.id in others]
        if told:
            lines += [command("personalize", "run", name, "--rounds", own)] if own else []
            lines += [ask, *(_told(query, name) for query in told)]
        asked, own = (False, 0) if queries and len(told) == len(queries) else (True, number)
    lines += [command("personalize", "run", name, "--rounds", own)] if own else []
    return lines if asked else [*lines, ask]


def _told(query: "Query", name: str) -> str:
    if query.status == "skipped":
        return command("personalize", "skip", name, query.id, "--reason", query.reason)
    return f"{command('personalize', 'tell', name, query.id)} FILES"


def _new(config: "Config", name: str) -> str:
    subject, prompts = config.subject, config.prompts
    words: list[Any] = ["personalize", "new", name, "--images", config.world["images"], "--subject", subject["word"]]
    for setting in subject["settings"]:
        words += ["--setting", setting]
    words += ["--kind", subject["kind"], "--placeholder", subject["placeholder"]]
    words += ["--model", config.generator["name"], "--encoder", config.encoder]
    measured = prompts.get("pictures") != 0
    words += ["--second-encoder", prompts["second_encoder"]] if measured and "second_encoder" in prompts else []
    strategy = config.strategy["name"]
    words += ["--strategy", strategy, *settings_said(strategy, config.strategy)]
    words += ["--trainer", (trainer := config.trainer)["name"]]
    given = "class_images" in config.world
    weighed, drawn = given or trainer.get("class_pictures"), not given
    keys = ["steps", "learning_rate", *["prior"] * bool(weighed), *["class_pictures"] * drawn, "adapter"]
    for key in keys:
        words += [f"--{key.replace('_', '-')}", trainer[key]] if key in trainer else []
    for key in ("anchors", *(["test"] if measured else [])):
        sentences = prompts.get(key)
        words += [f"--{key}", sentences if isinstance(sentences, str) else f"{key}.txt"] if sentences else []
    words += ["--pictures", prompts["pictures"]] if "pictures" in prompts else []
    words += ["--class-images", config.world["class_images"]] if "class_images" in config.world else []
    words += ["--gradient-checkpointing"] if config.trainer.get("gradient_checkpointing") else []
    for key in ("device", "precision", "batch"):
        words += [f"--{key}", config.generator[key]] if key in config.generator else []
    return command(*words, "--seed", config.seed)

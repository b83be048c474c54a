"""The commands that teach a generator again, as a run has them on record."""

from typing import TYPE_CHECKING, Any

from desiderata.cli.branch import branched, own_name, shared_rounds
from desiderata.cli.output import command

if TYPE_CHECKING:
    from desiderata.campaign.config import Config
    from desiderata.campaign.loop import Campaign


def commands(campaign: "Campaign") -> str:
    """Return what to type to make this run again, a command a line; empty for one that was made from Python."""
    if campaign.config.half != "personalize" or campaign.path is None:
        return ""
    name = own_name(campaign)
    lines = [branched(campaign, "personalize") or _new(campaign.config, name)]
    from desiderata.personalize.looking import choices, is_brought

    shared = shared_rounds(campaign)
    rounds = max([campaign.rounds[-1].number, *[one.round for one in choices(campaign)]])
    later = {query.id: query for query in campaign.queries if query.round > shared}
    told = [(later[one.query_id], one) for one in campaign.answers if one.image and one.query_id in later]
    if any(is_brought(query, answer) for query, answer in told):
        asked = command("personalize", "ask", name)
        lines += [asked, f"{command('personalize', 'tell', name)} ID PICTURES  # and ask again, round after round"]
    if rounds > shared:
        lines.append(command("personalize", "run", name, "--rounds", rounds))
    if any(answer.source == "person" and not is_brought(query, answer) for query, answer in told):
        lines.append(f"{command('personalize', 'pick', name)} PICTURES  # after each round")
    return "\n".join(lines)


def _new(config: "Config", name: str) -> str:
    subject, prompts = config.subject, config.prompts
    words: list[Any] = ["personalize", "new", name, "--images", config.world["images"], "--subject", subject["word"]]
    for setting in subject["settings"]:
        words += ["--setting", setting]
    words += ["--kind", subject["kind"], "--placeholder", subject["placeholder"]]
    words += ["--model", config.generator["name"], "--encoder", config.encoder]
    words += ["--second-encoder", prompts["second_encoder"]] if "second_encoder" in prompts else []
    for table, own in ((config.strategy, "strategy"), (config.trainer, "trainer")):
        words += [f"--{own}", table["name"]]
        for key in ("k", "samples", "rate", "steps", "learning_rate", "prior", "class_pictures", "adapter"):
            words += [f"--{key.replace('_', '-')}", table[key]] if key in table else []
    for key in ("anchors", "test"):
        given = prompts.get(key)
        words += [f"--{key}", given if isinstance(given, str) else f"{key}.txt"] if given else []
    words += ["--pictures", prompts["pictures"]] if "pictures" in prompts else []
    words += ["--class-images", config.world["class_images"]] if "class_images" in config.world else []
    words += ["--gradient-checkpointing"] if config.trainer.get("gradient_checkpointing") else []
    for key in ("device", "precision"):
        words += [f"--{key}", config.generator[key]] if key in config.generator else []
    return command(*words, "--seed", config.seed)

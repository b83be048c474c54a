"""The commands that make a campaign again, as far as it has recorded who answered what."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from desiderata.campaign.records import Decision
from desiderata.cli.branch import branched, own_name, shared_rounds
from desiderata.cli.output import command, count
from desiderata.cli.run import ORACLES
from desiderata.collect.build import GENERATOR
from desiderata.oracles.archive import LEAST_SIMILARITY

if TYPE_CHECKING:
    from desiderata.campaign.config import Config
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Answer, Query

MOST_BY_HAND = 10
"""Answers of a person that have a line each; the rest is counted."""

BY_HAND = "# a person answered these, and FILES stands for what they brought"


UNDONE = "# what was taken back on the way is not told again, and an oracle may bring other pictures for it"


class _Round(NamedTuple):
    """Who decided the queries of a round: commands of a person, then oracles; neither where all was synthesised."""

    number: int
    by_hand: Sequence[str]
    oracles: Sequence[tuple[str, ...]]


def commands(campaign: "Campaign") -> str:
    """Return what to type to make this campaign again, a command a line; empty for one that was made from Python.

    A person answers before an oracle does, which leaves nothing open; the order within a round makes no difference.
    """
    config = campaign.config
    if config.half != "collect":
        return ""
    name, shared = own_name(campaign), shared_rounds(campaign)
    later = {query.id for query in campaign.queries if query.round > shared}
    undone = [UNDONE] * any(one.query_id in later for one in campaign.withdrawals)
    return "\n".join([branched(campaign) or _new(config, name), *undone, *_answering(_rounds(campaign, name), name)])


def _rounds(campaign: "Campaign", name: str) -> list[_Round]:
    brought: dict[str, list[Answer]] = {}
    for answer in campaign.answers:
        brought.setdefault(answer.query_id, []).append(answer)
    told = {query: Decision(answers[0].source) for query, answers in brought.items() if answers[0].image}
    told |= campaign.decisions
    used = list(dict.fromkeys(_oracle(one) for one in told.values() if one.source in ORACLES))
    found: list[_Round] = []
    shared = shared_rounds(campaign)
    later = [query for query in campaign.queries if query.round > shared]
    for number, asked in groupby(later, key=lambda query: query.round):
        queries = list(asked)
        mine = [(query, told[query.id]) for query in queries if query.id in told]
        oracles = list(dict.fromkeys(_oracle(one) for _, one in mine if one.source in ORACLES))
        answers = [
            _tell(query, brought[query.id], name)
            for query, one in mine
            if one.source not in ORACLES and query.status == "answered"
        ]
        skips = [_skip(query, name) for query, one in mine if one.source not in ORACLES and query.status == "skipped"]
        whose = [_skip(query, name) for query in queries if query.status == "skipped" and query.id not in told]
        if whose and not answers and not oracles:  # nobody recorded it; an oracle that cannot answer skips
            oracles = found[-1].oracles if found and found[-1].oracles else used[:1]
        found.append(_Round(number, [*answers, *skips, *([] if oracles else whose)], oracles))
    return found


def _oracle(decision: "Decision") -> tuple[str, ...]:
    """Return the options of `run` that name an oracle as it was told, those that are its defaults left out."""
    told = decision.settings
    words = ["--oracle", decision.source]
    if decision.source == "archive":
        words += ["--archive", str(told.get("archive", "FOLDER"))]
        if told.get("least_similarity", LEAST_SIMILARITY) != LEAST_SIMILARITY:
            words += ["--least-similarity", str(told["least_similarity"])]
    if told.get("generator", GENERATOR) != GENERATOR:
        words += ["--generator", str(told["generator"])]
    return (*words, *["--any-class"] * (not told.get("check_class", True)))


def _skip(query: "Query", name: str) -> str:
    return command("skip", name, query.id, "--reason", query.reason)


def _tell(query: "Query", answers: "Sequence[Answer]", name: str) -> str:
    labels, source = sorted({answer.label for answer in answers}), answers[0].source
    options = ["--label", *labels] * (len(labels) == 1 and labels != [query.label])
    options += ["--source", source] * (source != "person")
    of_each = f"  # {', '.join(labels)}" if len(labels) > 1 else ""
    return " ".join([command("tell", name, query.id), "FILES", *_quoted(options)]) + of_each


def _quoted(options: Sequence[str]) -> list[str]:
    return [command(*options).removeprefix("desiderata ")] if options else []


def _answering(rounds: Sequence[_Round], name: str) -> list[str]:
    """Return the commands by which the queries were answered."""
    lines: list[str] = []
    ask, room = command("ask", name), MOST_BY_HAND
    for (by_hand, oracles), group in groupby(rounds, key=lambda one: (bool(one.by_hand), tuple(one.oracles))):
        several = list(group)
        # an oracle leaves nothing open, so that whoever answers beside one does so anew in every round
        for part in [[one] for one in several] if by_hand and oracles else [several]:
            unseen = 0
            for one in part:
                shown = one.by_hand[:room]
                room, unseen = room - len(shown), unseen + len(one.by_hand) - len(shown)
                if shown:
                    lines += [BY_HAND] * (BY_HAND not in lines) + [ask, *shown]
            if unseen:
                lines.append(f"# and {count(unseen, 'more answer')} of a person")
            lines += [_run(name, oracle, part[-1].number) for oracle in oracles]
            if not by_hand and not oracles:
                lines.append(ask if len(part) == 1 else f"{ask}  # {len(part)} times")
    return lines or [ask]


def _run(name: str, oracle: Sequence[str], rounds: int) -> str:
    return command("run", name, *oracle, "--rounds", rounds)


def _new(config: "Config", name: str) -> str:
    words = ["new", name]
    for key, value in config.world.items():
        flag = f"--{key.replace('_', '-')}"
        if key == "kind":
            words += ["--world", str(value)] * (value != "folder")
        elif isinstance(value, bool):
            words += [flag] * value
        else:
            words += [flag, str(value)]
    words += ["--encoder", config.encoder, "--strategy", str(config.strategy["name"]), "--seed", str(config.seed)]
    return command(*words, *["--warm-start"] * bool(config.head.get("warm_start")))

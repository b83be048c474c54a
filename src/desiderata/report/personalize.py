"""From a run that teaches a generator to its report; no model is loaded for it."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from markupsafe import Markup

from desiderata.campaign.branching import asked_by
from desiderata.campaign.loop import Campaign
from desiderata.errors import DesiderataError
from desiderata.files import readable
from desiderata.personalize.answers import shelf_of
from desiderata.personalize.looking import choices, gathered, measured_pictures, stopped, taken_back
from desiderata.personalize.pictures import find_references
from desiderata.personalize.selection import NONE_PICKED
from desiderata.personalize.subject import Subject
from desiderata.report import personalize_figures, svg
from desiderata.report import personalize_words as words
from desiderata.report.data import Report, Section
from desiderata.report.html import environment
from desiderata.report.page import WIDTHS
from desiderata.report.personalize_choices import choices_of
from desiderata.report.pictures import data_uri
from desiderata.report.words import branched

MOST_ROUNDS = 6
"""Shown beside each other; of more, the first and the last ones."""
MOST_ROWS = 8
"""Sentences of a grid that are shown at once; the others are a click away."""
SIDES = (256, 128)
"""The longest side of the first picture of a cell and of the others, in pixels: twice of what they are shown at."""
REFERENCE = 256
"""The size at which references are read where the run has no copies yet."""


class Row(NamedTuple):
    """A sentence with its pictures.

    Attributes:
        prompt: The sentence.
        cells: For each round shown, the pictures as `data:` addresses, "" for one that is missing.
    """

    prompt: str
    cells: Sequence[Sequence[str]]


def of_campaign(campaign: Campaign, *, title: str = "", command: str = "", notes: Sequence[str] = ()) -> Report:
    """Gather what the report of a run shows; nothing is recorded.

    Args:
        campaign: A personalising campaign on disk.
        title: The run's name; that of its directory by default.
        command: What to type to do it again.
        notes: More sentences on what was left out and why.

    Returns:
        The report.

    Raises:
        DesiderataError: Nothing is learnt yet, or a file of the run is gone or damaged.
    """
    if not campaign.rounds:
        raise DesiderataError(f"{campaign.path} has learnt nothing yet: there is nothing to report.")
    path = campaign.path
    return Report(
        title=title or (readable(path.resolve().name) if path else "a run in memory"),
        summary=_headline(campaign),
        beneath=words.alignments(campaign.rounds),
        sections=[_references(campaign), *_grid(campaign), *_curves(campaign), _choices(campaign), _end(campaign)],
        reproduce=_reproduce(campaign, command),
        notes=[*notes, *_left_out(campaign)],
    )


def overview(campaign: Campaign, title: str) -> Section:
    """Return a run as one section of another report: what was taught, and the grid of rounds.

    Args:
        campaign: As for `of_campaign`.
        title: Its heading.

    Returns:
        The section.
    """
    parts = [_references(campaign, level=3), *_grid(campaign, level=3)]
    inner = [Markup(part.html) for part in parts]
    lead = f"{_headline(campaign)} {words.alignments(campaign.rounds)}".strip()
    return Section("generator", title, _html("overview", lead=lead, title=title, parts=inner))


def _headline(campaign: Campaign) -> str:
    halted = (end := stopped(campaign)) is not None and end.stopped != NONE_PICKED
    subject, references = Subject.read(campaign.config.subject), len(campaign.store.held())
    again = {query.round for query in campaign.queries if query.status == "answered" and not query.text}
    learnt = gathered(campaign)[-1]
    return words.headline(
        subject,
        references,
        campaign.rounds,
        added=learnt.own,
        brought=learnt.brought,
        again=len(again),
        stopped=halted,
    )


def _references(campaign: Campaign, level: int = 2) -> Section:
    subject, held = Subject.read(campaign.config.subject), campaign.store.held()
    wanted = {one.image: one.name for one in held}
    found = find_references(shelf_of(campaign), wanted, str(campaign.config.world.get("images", "")), REFERENCE)
    shown = [(data_uri(one.image, SIDES[0]), caption) for one, caption in zip(found, subject.captions(len(found)))]
    html = _html("references", level, shown=shown, non_subjects=subject.non_subjects)
    return Section("references", "What it was taught", html)


def _grid(campaign: Campaign, level: int = 2) -> list[Section]:
    closed = [one.number for one in campaign.rounds]
    numbers = closed if len(closed) <= MOST_ROUNDS else [closed[0], *closed[1 - MOST_ROUNDS :]]
    by_round = [measured_pictures(campaign, number) for number in numbers]
    if not by_round[0]:
        return []
    rows = [
        Row(
            prompt,
            [
                [
                    "" if picture is None else data_uri(picture, SIDES[min(place, 1)])
                    for place, picture in enumerate(measured[index][1])
                ]
                for measured in by_round
            ],
        )
        for index, (prompt, _) in enumerate(by_round[0])
    ]
    others = max(len(cell) for row in rows for cell in row.cells) - 1
    skipped = len(closed) - len(numbers)
    html = _html("grid", level, rows=rows, most=MOST_ROWS, numbers=numbers, others=others, skipped=skipped)
    return [Section("grid", "Round by round", html)]


def _curves(campaign: Campaign) -> list[Section]:
    rounds = campaign.rounds
    measured = [one for one in rounds if set(words.CURVES) <= set(one.metrics)]
    if not measured:
        return []
    drawings = [
        Markup(
            svg.inline(
                personalize_figures.curves(measured, width), f"three-{size}", "Three figures by round; see the table"
            )
        )
        for size, width in WIDTHS.items()
        if len(measured) > 1
    ]
    beside = {key: curve for key, curve in words.BESIDE.items() if any(key in one.metrics for one in rounds)}
    listed = {**words.CURVES, **beside}
    rows = [
        (one.number, [words.in_figure(key, one.metrics[key]) if key in one.metrics else "–" for key in listed])
        for one in rounds
    ]
    meanings = [(curve.name, curve.meaning) for curve in listed.values()]
    html = _html("curves", drawings=drawings, rows=rows, meanings=meanings, certainty=words.certainty(measured))
    return [Section("curves", "Figures", html)]


def _choices(campaign: Campaign) -> Section:
    told = choices_of(campaign)
    asked = asked_by(campaign)
    methods = [(through, sentence) for through, name in asked if (sentence := words.method(name))]
    html = _html("choices", choices=told, methods=methods, meanings=list(words.EVIDENCE.values()))
    return Section("choices", "What it chose", html)


def _end(campaign: Campaign) -> Section:
    found, queries = choices(campaign), campaign.queries
    last, halt = (found[-1] if found else None), stopped(campaign)
    still_open = sum(query.status == "open" for query in queries)
    left = None
    if last is not None and last.directions:
        answered = sum(
            query.round == last.round and query.status == "answered" and bool(query.text) for query in queries
        )
        left = len(last.directions) - answered
    sentence = words.end(campaign.rounds, halt.stopped if halt else "", still_open, left)
    return Section("end", "When it stopped", _html("end", sentence=sentence))


def _html(section: str, level: int = 2, **values: Any) -> str:
    return environment().get_template("personalize.html.jinja").render(section=section, level=level, **values)


def _left_out(campaign: Campaign) -> list[str]:
    tests = {one.number: int(one.metrics.get("blanked", 0)) for one in campaign.rounds}
    said = [
        f"Round {number}: {words.count(n, 'test picture')} blacked out by the safety checker, counted in no figure."
        for number, n in tests.items()
        if n
    ]
    if blanked := int(campaign.rounds[0].metrics.get("class_blanked", 0)):
        said.insert(0, f"{words.count(blanked, 'class picture')} blacked out by the safety checker, and not learnt.")
    if undone := taken_back(campaign):
        said.append(f"Taken back before it was learnt: {words.count(undone, 'picture')}.")
    if not any("ovf" in one.metrics for one in campaign.rounds):
        said.append("Nothing was measured, as the run was asked to draw no test pictures.")
    refused = [query for query in campaign.queries if query.status == "skipped" and query.proposal.evidence]
    said += [
        f"Round {query.round}, “{query.text}”: {query.reason}"
        for query in refused
        if "candidate" in query.proposal.evidence
    ]
    return said


def _reproduce(campaign: Campaign, command: str) -> dict[str, str]:
    config, subject = campaign.config, Subject.read(campaign.config.subject)
    second = str(config.prompts.get("second_encoder", ""))
    told = {
        "Command": readable(command),
        "Branched": branched(campaign.store.origin()),
        "Seed": str(config.seed),
        "Base model": _settings(config.generator),
        "Judged by": ", ".join(filter(None, (config.encoder or campaign.store.fact("embedding"), second))),
        "Subject": f"{subject.kind}, “{subject.named()}”, shown {' / '.join(subject.settings)}",
        "Strategy": _settings(config.strategy),
        "Trainer": _settings(config.trainer),
        "Sentences": _settings(
            {
                key: value if isinstance(value, int | str) else " | ".join(value)
                for key, value in config.prompts.items()
                if key != "second_encoder"
            }
        ),
        "Versions": ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))
        + f", Python {platform.python_version()}",
    }
    return {name: value for name, value in told.items() if value}


_PACKAGES = ("desiderata", "torch", "diffusers", "transformers", "peft", "numpy")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _settings(table: Mapping[str, Any]) -> str:
    said = {key: value for key, value in table.items() if value is not False}
    return ", ".join(
        str(value) if key == "name" else key.replace("_", " ") + ("" if value is True else f" {value}")
        for key, value in sorted(said.items(), key=lambda pair: pair[0] != "name")
    )

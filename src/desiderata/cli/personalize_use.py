"""`desiderata personalize sample | export | report`: using and looking at a generator that was taught."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from desiderata.cli.expectations import BUNDLED, not_understood
from desiderata.cli.output import AsJson, count, show_json
from desiderata.cli.personalize_again import commands
from desiderata.cli.taught import AtRound, TaughtRun, check_apart, check_learnt, figures, opened, write_picture
from desiderata.errors import DesiderataError

SIDES = (128, 256)
"""Least and greatest side of the pictures on a sheet, in pixels."""

NO_SENTENCES = {"a", "an", "the", "of", "in", "on", "at", "with", "next", "to", "and"}
"""What a sentence that was typed without quotes falls into."""

AT_A_TIME = 4
"""Pictures drawn at a time, whatever their number, so that a picture is the same however many are asked for; more
would be drawn in vain where a few are wanted."""


def sample(
    run: TaughtRun,
    prompts: Annotated[
        list[str],
        typer.Argument(
            help="Sentences with <subject> where it belongs: “a <subject> in the snow”.", metavar="PROMPT…"
        ),
    ],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Pictures for each sentence.")] = 4,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the pictures, named by round, sentence and seed; RUN/samples by default."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the first picture of a sentence; the next has the next.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Of denoising; the model's usual.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Scale of classifier-free guidance, 1 for none; the model's usual.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="A PNG of all of them, a row for each sentence; one outside of RUN is replaced."),
    ] = None,
    round: AtRound = None,
    json: AsJson = False,
) -> None:
    """Draw pictures of the subject with what was learnt. The same sentence and seed give the same picture.

    JSON: run, round, pictures [{file (null where the safety checker blacked it out), prompt, seed, blanked}], sheet
    (null without one), warning (null where there is none).
    """
    _check_said(prompts)
    folder = out or run / "samples"
    _check_places(run, folder, sheet)
    with opened(run, json) as (campaign, told):
        from desiderata.personalize.subject import Subject

        closed, subject = check_learnt(campaign, round), Subject.read(campaign.config.subject)
        said = [subject.said(prompt) for prompt in prompts for _ in range(number)]
        seeds = [seed + i for _ in prompts for i in range(number)]
        told.round = 0
        learner: Any = campaign.learner_at(closed)
        generator = learner.personalised
        at_a_time = min(AT_A_TIME, generator.sampling.batch)
        drawn = generator.sample(
            said,
            seeds,
            steps=steps,
            guidance=guidance,
            batch=at_a_time,
            progress=lambda done, total: told("Drawing", done, total),
        )
    pictures = [_kept(folder, closed, one) for one in drawn]
    if sheet is not None:
        _write_sheet(sheet, prompts, drawn, number)
    nameless = next((prompt for prompt in prompts if subject.named() not in subject.said(prompt)), None)
    warning = f"{nameless!r} was drawn without the subject: write <subject> where it belongs." if nameless else ""
    if campaign.config.generator["name"] == BUNDLED:
        warning = f"{warning} {not_understood(subject, prompts)}".strip()
    warning = warning or None
    if json:
        show_json(
            {
                "run": str(run),
                "round": closed,
                "pictures": pictures,
                "sheet": sheet and str(sheet),
                "warning": warning,
            }
        )
        return
    if warning:
        print(warning, file=sys.stderr)
    for one in pictures:
        if one["file"]:
            print(one["file"])
    if sheet is not None:
        print(f"All of them: {sheet}")
    if blanked := sum(one["blanked"] for one in pictures):
        print(f"{count(blanked, 'picture')} left out: the safety checker of the model blacked out what it drew.")


def export(
    run: TaughtRun,
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.", metavar="FOLDER")],
    lora: Annotated[
        bool,
        typer.Option("--lora", help="Only what was learnt, where that is a LoRA or a word; not the whole model."),
    ] = False,
    round: AtRound = None,
    json: AsJson = False,
) -> None:
    """Write the generator to a folder that plain diffusers loads, with a card: figures, references, base, licence.

    JSON: run, folder, form (pipeline, lora or embedding), round, base, license (null where nobody knows),
    references, figures.
    """
    with opened(run, json) as (campaign, told):
        from desiderata.personalize.export import export_generator

        closed = check_learnt(campaign, round)
        check_apart(campaign.config, run, folder)
        told.round = 0
        told("Writing the generator", 0, 1)
        card = export_generator(campaign, folder, round=closed, learnt_only=lora)
    if json:
        show_json(
            {
                "run": str(run),
                "folder": str(folder),
                "form": card.form,
                "round": closed,
                "base": card.base,
                "license": card.licence,
                "references": card.references,
                "figures": dict(card.figures),
            }
        )
        return
    print(f"Written: {folder} ({card.form}); {figures(card.figures)}.")
    print(f"In Python:\n\n{card.usage('FOLDER').replace('FOLDER', str(folder))}")


def report(
    run: TaughtRun,
    out: Annotated[Path | None, typer.Option(help="Where to write it; RUN/report.html by default.")] = None,
    json: AsJson = False,
) -> None:
    """Write the report of a run: one HTML file that needs nothing else. Loads no model.

    JSON: run, report.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.progress import spinner
    from desiderata.files import check_writable
    from desiderata.report import write_report
    from desiderata.report.personalize import of_campaign

    path = out or run / "report.html"
    campaign = Campaign.open(run)
    check_learnt(campaign, None)
    check_apart(campaign.config, run, path)
    check_writable(path, (".html",))
    with spinner("Writing the report", quiet=json):
        write_report(of_campaign(campaign, command=commands(campaign)), path)
    if json:
        show_json({"run": str(run), "report": str(path)})
    else:
        print(f"Written: {path}")


def _check_said(prompts: Sequence[str]) -> None:
    """Refuse to draw what nobody asked for.

    Raises:
        DesiderataError: A sentence is empty, or falls into words.
    """
    if not all(prompt.strip() for prompt in prompts):
        raise DesiderataError('A sentence is empty: say what to draw, such as "a <subject> in the snow".')
    if len(prompts) > 1 and (alone := next((one for one in prompts if one.strip().lower() in NO_SENTENCES), "")):
        raise DesiderataError(
            f'“{alone}” alone is no sentence: put each sentence in quotes, such as "a <subject> in the snow".'
        )


def _kept(folder: Path, round: int, drawn: Any) -> dict[str, Any]:
    """Write a picture under a name that tells where it comes from; never over another picture.

    Returns:
        What is printed of it.

    Raises:
        DesiderataError: It cannot be written.
    """
    from PIL import Image

    from desiderata.campaign.images import to_png
    from desiderata.files import write_bytes
    from desiderata.personalize.candidates import slug

    told = {"file": None, "prompt": drawn.prompt, "seed": drawn.seed, "blanked": drawn.blanked}
    if drawn.blanked:
        return told
    png, stem, again = to_png(Image.fromarray(drawn.image)), f"r{slug(round, drawn.prompt)}-{drawn.seed}", 1
    path = folder / f"{stem}.png"
    try:
        while path.exists() and path.read_bytes() != png:
            again += 1
            path = folder / f"{stem}-{again}.png"
        write_bytes(path, png)
    except OSError as error:
        raise DesiderataError(f"{path} cannot be written ({error.strerror}): choose another place.") from error
    return told | {"file": str(path)}


def _check_places(run: Path, folder: Path, sheet: Path | None) -> None:
    """Make sure that pictures can be written into a folder, and a page of them, before models are loaded.

    Raises:
        DesiderataError: They cannot.
    """
    from desiderata.campaign.config import Config
    from desiderata.files import check_writable

    config = Config.read(run)
    check_apart(config, run, folder)
    if folder.exists() and not folder.is_dir():
        raise DesiderataError(f"{folder} is a file: give a folder.")
    if folder.suffix.lower() == ".png" and not folder.exists():
        raise DesiderataError(f"--out is a folder, and {folder} is called as a picture: give a folder, or --sheet.")
    check_writable(folder / "picture.png", (".png",))
    if sheet is not None:
        if sheet.suffix.lower() != ".png":
            raise DesiderataError(f"--sheet writes a PNG, and {sheet} is not called .png: choose another name.")
        check_apart(config, run, sheet)
        check_writable(sheet, (".png",))
        inside = any(sheet.resolve().is_relative_to(place.resolve()) for place in (run, folder))
        if sheet.exists() and inside:
            raise DesiderataError(
                f"{sheet} is there already, and only a PNG outside of the run is replaced: choose another name."
            )


def _write_sheet(path: Path, prompts: Sequence[str], drawn: Sequence[Any], number: int) -> None:
    from desiderata.report.sheet import sheet

    images = [None if one.blanked else one.image for one in drawn]
    rows = [images[start : start + number] for start in range(0, len(images), number)]
    least, most = SIDES
    side = min(max([least, *(image.shape[0] for image in images if image is not None)]), most)
    write_picture(path, sheet(rows, side, prompts, [str(one.seed) for one in drawn[:number]]))

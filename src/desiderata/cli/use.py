"""`desiderata predict | export`: using the classifier that came of a campaign."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desiderata.cli.output import AsJson, Run, count, figures, show_json
from desiderata.errors import DesiderataError

if TYPE_CHECKING:
    from desiderata.campaign.images import UnreadableImage
    from desiderata.collect.trained import Prediction, TrainedClassifier


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(predict)
    app.command()(export)


def predict(
    run: Annotated[
        Path, typer.Argument(help="The directory of the run, or of an exported classifier.", metavar="RUN")
    ],
    files: Annotated[list[str], typer.Argument(help="Image files, or folders of them.", metavar="FILES…")],
    out: Annotated[Path | None, typer.Option(help="A CSV file to write, with all probabilities.")] = None,
    json: AsJson = False,
) -> None:
    """Say what new images show. Those that cannot be read are named, and the others go on; none at all is an error.

    A round of which nothing is open is learnt first, and cannot be undone any more.

    JSON: run, classes, predictions [{file, label, probabilities {class: probability}}], unreadable [{file, error}],
    out (null without --out).
    """
    from desiderata.cli.brought import named
    from desiderata.cli.progress import bar, spinner
    from desiderata.files import check_writable
    from desiderata.worlds.folder import files_among

    if out is not None:
        check_writable(out, (".csv",))
    paths = files_among(named(files))
    with spinner("Loading the classifier", quiet=json):
        classifier = _classifier(run)
    with bar("Looking at the images", quiet=json) as advance:
        found, unreadable = classifier.classify(paths, lambda done: advance(done, len(paths)))
    _check_some(found, unreadable)
    if out is not None:
        _write(out, classifier.classes, found, unreadable)
    if json:
        show_json(
            {
                "run": str(run),
                "classes": classifier.classes,
                "predictions": [
                    {
                        "file": str(one.path),
                        "label": one.label,
                        "probabilities": dict(zip(classifier.classes, one.probabilities.tolist())),
                    }
                    for one in found
                ],
                "unreadable": [{"file": str(path), "error": str(error)} for path, error in unreadable.items()],
                "out": None if out is None else str(out),
            }
        )
        return
    for error in unreadable.values():
        print(error, file=sys.stderr)
    if out is None:
        for one in found:
            print(f"{one.path}  {one.label}  {one.probabilities.max():.1%}")
    else:
        left_out = f", and {count(len(unreadable), 'file')} that cannot be read" if unreadable else ""
        print(f"Written: {out} with {count(len(found), 'image')}{left_out}.")


def export(
    run: Run,
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.", metavar="FOLDER")],
    learn_validation: Annotated[
        bool,
        typer.Option(
            "--learn-validation",
            help="Learn the validation images, too. Usually it gets better; only test images can tell how much.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Write the classifier to a folder of its own: weights, a card, and the collected images class by class.

    A round of which nothing is open is learnt first, and cannot be undone any more.

    FOLDER/images can be given to `new` as --images, where every class has some.

    JSON: run, folder, classes, encoder, round, figures, without_validation (figures of the classifier that has not
    learnt them; null without --learn-validation), examples {initial, validation, test, collected, images}.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.cli.progress import spinner
    from desiderata.collect.export import export_classifier

    campaign = Campaign.open(run)
    with spinner("Writing the classifier", quiet=json):
        card = export_classifier(campaign, folder, learn_validation=learn_validation)
    before = card.campaign.get("without_validation")
    if json:
        show_json(
            {
                "run": str(run),
                "folder": str(folder),
                "classes": card.classes,
                "encoder": card.encoder,
                "round": card.campaign["round"],
                "figures": dict(card.figures),
                "without_validation": before,
                "examples": card.campaign["examples"],
            }
        )
        return
    images = count(card.campaign["examples"]["images"], "collected image")
    shown = count(card.campaign["examples"]["validation"], "validation image")
    if before is None:
        print(f"Written: {folder}, with {images}; {figures(card.figures)}.")
        print(f"It has not learnt {shown}: with --learn-validation it does.")
    else:
        now = figures(card.figures) if "test_accuracy" in card.figures else "no test images tell how good it is now"
        print(f"Written: {folder}, with {images} and {shown} learnt, too; {now}. Before that, {figures(before)}.")
    closed = {query.id for query in campaign.queries if query.round <= card.campaign["round"]}
    if waiting := [answer for answer in campaign.answers if answer.query_id not in closed]:
        print(f"Left out: {count(len(waiting), 'answer')} of the round that is open, not learnt from so far.")
    print(f"In Python: desiderata.load_classifier({str(folder)!r}).predict(FILES)")


def _classifier(run: Path) -> "TrainedClassifier":
    from desiderata.collect import card
    from desiderata.collect.trained import load_classifier, trained_classifier

    if (run / card.FILE).is_file():
        return load_classifier(run)
    from desiderata.campaign.loop import Campaign

    return trained_classifier(Campaign.open(run))


def _check_some(found: "Sequence[Prediction]", unreadable: "dict[Path, UnreadableImage]") -> None:
    if not found:
        first = next(iter(unreadable.values()))
        if len(unreadable) == 1:
            raise first
        raise DesiderataError(f"None of {len(unreadable)} images can be read; the first: {first}")


def _write(
    out: Path,
    classes: Sequence[str],
    found: "Sequence[Prediction]",
    unreadable: "dict[Path, UnreadableImage]",
) -> None:
    """Write a line for each file: those that could be read first, then why the others could not."""
    import csv
    import io

    from desiderata.files import readable, write_text

    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("file", "label", *(f"p({name})" for name in classes), "error"))
    for one in found:
        rows.writerow((readable(str(one.path)), one.label, *map("{:.6f}".format, one.probabilities), ""))
    for path, error in unreadable.items():
        rows.writerow((readable(str(path)), "", *[""] * len(classes), readable(str(error))))
    write_text(out, text.getvalue())

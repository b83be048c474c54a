"""`desiderata run`: an oracle answers, round after round."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from desiderata.cli.output import (
    AsJson,
    Run,
    collected,
    command,
    count,
    decided,
    figures,
    round_json,
    show_json,
)
from desiderata.errors import DesiderataError

ORACLES = ("scene", "archive", "generator")
"""Who can answer by itself; another name is refused where the oracle is made."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="run")(run_)


def run_(
    run: Run,
    oracle: Annotated[str, typer.Option(help="Who answers: scene (the Moji world), archive or generator.")],
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds the campaign has at the end.")],
    archive: Annotated[Path | None, typer.Option(help="The folder that the archive oracle searches.")] = None,
    least_similarity: Annotated[
        float | None,
        typer.Option(
            min=-1, max=1, help="Of an archive: the least similarity of image and sentence that counts (0.2)."
        ),
    ] = None,
    any_class: Annotated[
        bool,
        typer.Option(
            "--any-class", help="Of an archive or a generator: also what does not look like the class asked for."
        ),
    ] = False,
    generator: Annotated[
        str | None,
        typer.Option(help="Of a generator: its name, a Stable Diffusion directory or hub id (moji-diffusion)."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="Of a generator: cpu or cuda (cpu).")] = None,
    review: Annotated[
        bool,
        typer.Option("--review", help="Answer one round and stop before it is learnt, so that `undo` can mend it."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Let an oracle answer, round after round. After a kill or Ctrl-C the same command goes on.

    With `--review` it answers what is open of one round and stops before that is learnt. Look at the pictures
    (`status` lists them), `undo` what is wrong, and `skip` or `tell` it, or let the same command bring another; where
    nothing is open, the same command learns the round and answers the next.

    JSON: run, rounds [{number, examples, metrics}], answered, skipped, skipped_because {reason: count}, accepted
    [{query, file or null, label}] (the pictures that came with this call), review (the round that waits to be looked
    at) or null, generated {asked, drawn, failed, blanked} (queries, and pictures that a generator drew in this call)
    or null.
    """
    from desiderata.campaign.loop import Campaign
    from desiderata.campaign.records import Query, Round
    from desiderata.cli.accepted import Noted, show_accepted, show_skipped, skipped_because
    from desiderata.cli.progress import bar, spinner
    from desiderata.collect.build import make_oracle

    options = _oracle_options(oracle, archive, least_similarity, any_class, generator, device)
    campaign = Campaign.open(run)
    before, skips = campaign.store.last_round(), {one.id for one in campaign.queries if one.status == "skipped"}
    with spinner("Opening the campaign", quiet=json):
        campaign.settle()  # a campaign that was stopped while it was made is measured now
    with bar("Reading the archive", quiet=json or oracle != "archive") as reading:
        answering = make_oracle(oracle, campaign, progress=reading, **options)
    if unreadable := getattr(answering, "unreadable", []):
        were = f"{count(len(unreadable), 'file')} of the archive {'was' if len(unreadable) == 1 else 'were'}"
        print(f"{were} left out; the first: {unreadable[0]}", file=sys.stderr)
    noted = Noted(answering)
    with bar("Rounds", quiet=json) as advance:
        done = campaign.rounds[-1].number
        advance(done, rounds)

        def progress(event: Query | Round) -> None:
            if isinstance(event, Round):
                advance(event.number, rounds, figures(event.metrics))

        campaign.run(noted, rounds, progress, close=not review)
    closed = campaign.rounds
    statuses = [query.status for query in campaign.queries]
    answered, skipped = statuses.count("answered"), statuses.count("skipped")
    accepted, because = noted.accepted(campaign), skipped_because(campaign)
    waits = review and campaign.queries and campaign.queries[-1].round > closed[-1].number
    to_review = campaign.queries[-1].round if waits else None
    generated: dict[str, int] | None = getattr(answering, "counts", None)
    if json:
        show_json(
            {
                "run": str(run),
                "rounds": [round_json(one) for one in closed],
                "answered": answered,
                "skipped": skipped,
                "skipped_because": {reason: len(queries) for reason, queries in because.items()},
                "accepted": accepted,
                "review": to_review,
                "generated": generated,
            }
        )
        return
    show_accepted(accepted)
    if done >= rounds:
        learnt = f"Round {done} is learnt now, and {run}" if done > before else f"Nothing to do: {run}"
        more = "" if done > before else f" already; another one with --rounds {done + 1}"
        print(f"{learnt} has {count(done, 'round')}{more}.")
    elif to_review:
        print(
            f"Round {to_review} is not learnt yet. Look at what came; `{command('undo', run, 'QUERY')}` takes back,"
        )
        print(f"and `{command('skip', run, 'QUERY')} --reason …` leaves out. The same command then goes on.")
    elif closed[-1].number < rounds:
        print(f"Nothing is asked after round {closed[-1].number}: the strategy sees nothing more to gain.")
    print(f"{decided(answered, skipped)}, {collected(campaign.answers)} collected.")
    show_skipped(because, but=skips)
    if generated:
        print(_generated(generated, left_out=not any_class))
    if closed[-1].number:
        print(f"Before: {figures(closed[0].metrics)}.\nNow:    {figures(closed[-1].metrics)}.")


def _oracle_options(
    oracle: str,
    archive: Path | None,
    least_similarity: float | None,
    any_class: bool,
    generator: str | None,
    device: str | None,
) -> dict[str, Any]:
    options = {
        "archive": ("--archive", archive, ("archive",)),
        "least_similarity": ("--least-similarity", least_similarity, ("archive",)),
        "check_class": ("--any-class", False if any_class else None, ("archive", "generator")),
        "generator": ("--generator", generator, ("generator",)),
        "device": ("--device", device, ("generator",)),
    }
    given = {name: option for name, option in options.items() if option[1] is not None}
    for flag, _, oracles in given.values():
        if oracle in ORACLES and oracle not in oracles:
            wanted = " or ".join(oracles)
            raise DesiderataError(f"{flag} goes with --oracle {wanted}, and the oracle is {oracle}: leave it out.")
    return {name: value for name, (_, value, _) in given.items()}


def _generated(counts: Mapping[str, int], *, left_out: bool) -> str:
    drew = f"The generator drew {count(counts['drawn'], 'picture')} for {count(counts['asked'], 'query', 'queries')}"
    unlike = (
        f"{counts['failed']} did not look like the class asked for and {'stayed out' if left_out else 'were kept'}"
    )
    return f"{drew}: {unlike}, {counts['blanked']} were blanked by its safety checker."

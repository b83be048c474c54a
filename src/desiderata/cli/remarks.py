"""What a user of a taught generator has to know of its rounds beside their figures."""

from typing import TYPE_CHECKING

from desiderata.cli.output import count

if TYPE_CHECKING:
    from desiderata.campaign.loop import Campaign
    from desiderata.personalize.selection import Selection

NOTHING = (
    "no sentence was undecided, so that what is chosen there counts 0 and teaches nothing (balance): a branch with "
    "--strategy {} counts it fully."
)
"""Where a strategy with balance has a weight of 0; names the one without."""


def remarks(campaign: "Campaign") -> list[str]:
    """Return what was left out, and what was learnt at no weight, in sentences; nothing for most runs."""
    from desiderata.personalize.looking import choices

    asked = choices(campaign)
    rounds = [one.metrics for one in campaign.rounds]
    blanked = {
        "class picture": int(rounds[0].get("class_blanked", 0)) if rounds else 0,
        "test picture": int(sum(metrics.get("blanked", 0) for metrics in rounds)),
        "picture to choose from": sum(one.blanked for one in asked),
    }
    told = [count(n, what, what.replace("picture", "pictures")) for what, n in blanked.items() if n]
    said = [f"Blacked out by the safety checker, and left out: {', '.join(told)}."] if told else []
    idle = [one for one in asked if counts_nothing(one)]
    if idle:
        numbers = ", ".join(str(one.round) for one in idle)
        plain = idle[-1].strategy.removesuffix("-balance")
        said.append(f"In round{'s' * (len(idle) > 1)} {numbers} {NOTHING.format(plain)}")
    return said


def counts_nothing(selection: "Selection") -> bool:
    """Return whether pictures are chosen in a round that teach nothing."""
    return selection.weight == 0 and any(one.asked for one in selection.directions)

"""What the report of a generator says, in sentences. Nothing here claims more than its interval allows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from desiderata.campaign.records import Query, Round
from desiderata.personalize.selection import Selection, end_words
from desiderata.personalize.subject import Subject
from desiderata.report import intervals
from desiderata.report.words import SPACE, count, percent, signed


class Curve(NamedTuple):
    """A figure that is followed from round to round.

    Attributes:
        name: As both papers' tables call it.
        better: "more" or "less".
        meaning: A sentence for the reader who sees it for the first time.
    """

    name: str
    better: str
    meaning: str


CURVES = {
    "txt_aln": Curve(
        "TXT-ALN", "more", "how well test pictures show what their sentence asks for: mean CLIP cosine of the two"
    ),
    "img_aln": Curve(
        "IMG-ALN",
        "more",
        "how much test pictures look like the references: mean CLIP cosine; copying them would bring it to the top, "
        "so that it means something only beside the other two",
    ),
    "ovf": Curve(
        "OVF",
        "less",
        "share of test pictures that are overfitted: nearer to what surrounds the subject in its references than to "
        "what their sentence asks for",
    ),
}
"""The three figures, of which none may be read without the others."""

BESIDE = {
    "dino_aln": Curve(
        "DINO-ALN", "more", "the same as IMG-ALN by an encoder that never read a word: mean DINOv2 cosine"
    ),
}
"""What may have been measured besides, and is listed but not drawn."""

EVIDENCE = {
    "overfitted_share": (
        "overfitted",
        "how many of the pictures drawn for a sentence show the references' surroundings instead of what it asks for",
    ),
    "entropy": (
        "entropy",
        "how undecided the generator is about a sentence: 0 where all or none of its pictures are overfitted, 0.693 "
        "(the logarithm of 2) where half of them are",
    ),
    "margin": (
        "margin",
        "by how much its pictures are nearer to the sentence than to the references' surroundings, on average; among "
        "sentences of equal entropy, the one nearest to 0 comes first",
    ),
    "similarity": ("similarity", "CLIP cosine of the chosen picture to its sentence"),
    "rank": ("rank", "the place of the sentence when all are ordered by entropy and margin"),
    "weight": ("weight", "how much the picture counts in training; a reference counts 1"),
}
"""Why a picture was chosen: name and meaning of each figure."""

METHODS = {
    "dreambooth": "learns from the references alone",
    "random": "takes sentences at random, and the first picture of each",
    "human": "leaves it to a person to pick among all pictures",
    "clip-feedback": "takes the sentences whose best picture CLIP finds nearest to what was asked",
    "uncertainty": "takes the sentences about which it is most undecided: some of their pictures show what was "
    "asked, and others the references' surroundings; of each, the picture nearest to the sentence",
    "uncertainty-balance-steady": "takes the sentences about which it is most undecided, as uncertainty with balance "
    "does, and learns at a rate at which what is added makes no step longer",
    "random-equal-weight": "a control: takes pictures at random, as many and with the same weights as uncertainty "
    "with balance would",
    "dreambooth-equal-steps": "a control: learns from the references alone, as often as uncertainty with balance "
    "would draw them: in place of what that adds stand pictures of no weight",
    "dreambooth-lower-rate": "learns from the references alone, each round at a lower learning rate, until few of "
    "its pictures show the references' surroundings instead of what was asked",
}
"""What each strategy does when it chooses."""

BALANCED = "what is chosen counts by how undecided the generator is about all sentences on average, instead of fully"


def method(strategy: str) -> str:
    """Return what a strategy does; empty for one that is not known here."""
    if strategy in METHODS:
        return METHODS[strategy] + "."
    plain = strategy.removesuffix("-balance")
    return f"{METHODS[plain]}; {BALANCED}." if plain in METHODS else ""


def in_figure(key: str, value: float, short: bool = False) -> str:
    """Return a figure of a round as it is drawn and listed: shares in per cent, cosines with three decimals."""
    if key == "ovf":
        return percent(value, 0 if short else 1)
    return f"{value:.2f}".replace("-", "−") if short else f"{value:.3f}".replace("-", "−")


def headline(
    subject: Subject,
    references: int,
    rounds: Sequence[Round],
    *,
    added: int = 0,
    brought: int = 0,
    again: int = 0,
    stopped: bool = False,
) -> str:
    """Return what came of it.

    Args:
        subject: What was taught.
        references: How many pictures of it were given.
        rounds: Those that are closed.
        added: How many of its own pictures it has learnt from.
        brought: How many that were brought for sentences it asked about.
        again: In how many rounds it learnt the references anew, and nothing else.
        stopped: Whether it has asked for nothing more by itself.

    Returns:
        Two sentences.
    """
    given = count(references, "picture")
    first, last = rounds[0].metrics, rounds[-1]
    pace = last.metrics.get("pace", 1.0)
    slower = f"at {pace:.3g} times the learning rate" if pace != 1 else ""
    own = ""
    if added or brought:
        more = [f"{count(added, 'picture')} of its own"] if added else []
        more += [f"{count(brought, 'picture')} brought for sentences that it asked about"] if brought else []
        own = f"Then it learnt from {' and '.join(more)}" + (slower and f", {slower}")
    elif again:
        own = "Then it learnt them anew" + (f" {slower}" if slower else f", {count(again, 'time')}")
    taught = f"A generator was taught “{subject.named()}” from {given}."
    if "ovf" not in first or "ovf" not in last.metrics:
        return f"{taught} {own}." if own else taught
    before, after = first["ovf"], last.metrics["ovf"]
    instead = "the references' surroundings" if subject.kind == "object" else "what is in the references"
    shows = f"of test pictures show {instead} instead of what was asked"
    if not own:
        halt = "Then it stopped by itself, and chose none of its own to learn from" if stopped else "So far"
        return f"{taught} {halt}{':' if stopped else ','} {percent(before)} {shows}."
    n = int(min(first["pictures"], last.metrics["pictures"]))
    change = intervals.of_change(before, after, n)
    unclear = ", which is no clear change" if change.low <= 0 <= change.high else ""
    compared = "as before" if before == after else f"after {percent(before)} before{unclear}"
    return f"{taught} {own}: {percent(after)} {shows}, {compared}."


def alignments(rounds: Sequence[Round]) -> str:
    """Return how the other two figures changed, without which the overfitted share can be low for bad reasons.

    Args:
        rounds: Those that are closed.

    Returns:
        A sentence; empty with one round, or where neither was measured.
    """
    first, last = rounds[0].metrics, rounds[-1].metrics
    if len(rounds) < 2:
        return ""
    told = [
        f"{name} went from {in_figure(key, first[key])} to {in_figure(key, last[key])}"
        for key, name in (("txt_aln", "TXT-ALN"), ("img_aln", "IMG-ALN"))
        if key in first and key in last
    ]
    return f"{' and '.join(told)}." if told else ""


def certainty(rounds: Sequence[Round]) -> list[str]:
    """Return how far the figures can be trusted."""
    said = ["One run: another seed would give other figures, and a small difference may be luck."]
    if n := int(rounds[-1].metrics.get("pictures", 0)):
        half = intervals.of_share(rounds[-1].metrics.get("ovf", 0.5), n)
        points = f"{50 * (half.high - half.low):.0f}{SPACE}points"
        said.append(
            f"Each round is measured on {count(n, 'picture')}, drawn from the same sentences and seeds every time; "
            f"taken as independent, they leave OVF uncertain by about {points} (the shade)."
        )
    return said


def evidence(query: Query, weight: float, brought: bool = False) -> list[tuple[str, str]]:
    """Return name and value of what speaks for a choice, as far as it was measured.

    Args:
        query: What was asked.
        weight: How much the picture counts.
        brought: Whether somebody brought it, so that it is not the one whose similarity was measured.
    """
    found, rows = query.proposal.evidence, []
    if "overfitted_share" in found:
        drawn = int(found.get("candidates", 0))
        rows.append(("overfitted_share", f"{round(found['overfitted_share'] * drawn)} of {drawn}"))
    picked = brought or "candidate" not in found  # by a person: the similarity is that of another picture
    for key, digits in (("entropy", 3), ("margin", 3), *([] if picked else [("similarity", 3)])):
        if key in found:
            rows.append((key, signed(found[key], digits) if key == "margin" else in_figure(key, found[key])))
    if "rank" in found:
        rows.append(("rank", f"{found['rank']:.0f}"))
    rows.append(("weight", f"{weight:.3g}"))
    return [(EVIDENCE[key][0], value) for key, value in rows]


def chosen(selection: Selection, own: bool = True) -> list[str]:
    """Return what a round chose and why, in sentences.

    Args:
        selection: What it rested on.
        own: Whether anything is learnt from that was chosen among the generator's own pictures.
    """
    if selection.stopped or not selection.directions:
        return []
    sentences, said = len(selection.directions), []
    if selection.openness is not None:
        undecided = sum(one.entropy > 0 for one in selection.directions)
        mean = sum(one.entropy for one in selection.directions) / sentences
        said.append(
            f"It was undecided about {undecided} of {count(sentences, 'sentence')}; mean entropy "
            f"{mean:.3f}{SPACE}nats."
        )
    if own and selection.weight != 1 and any(one.asked for one in selection.directions):
        said.append(f"What is chosen of its own counts {selection.weight:.2g} in training (a reference: 1).")
    if selection.tie_places and selection.strategy.startswith("uncertainty"):
        other = count(selection.tie_changed, "other sentence") if selection.tie_changed else "no other sentence"
        said.append(
            f"{selection.tie_places} of {count(selection.k, 'place')} went by the margin, since entropies were "
            f"equal; the authors' code would have taken {other}."
        )
    if selection.blanked:
        said.append(f"{count(selection.blanked, 'picture')} blacked out by the safety checker could not be chosen.")
    return said


def slower(evidence: Mapping[str, float]) -> str:
    """Return why and how a round learns at a lower rate, given what its query recorded."""
    return (
        f"{percent(evidence['mean_share'], 0)} of the pictures drawn to judge the rate by show the references' "
        f"surroundings, so that it learns anew at {evidence['pace']:.3g} times its learning rate."
    )


def steady(pace: float) -> str:
    """Return at which rate a round learns that makes up for what is added."""
    return f"It learns at {pace:.3g} times its learning rate, with which what is added makes no step longer."


def end(rounds: Sequence[Round], why: str, still_open: int, left: int | None) -> str:
    """Return when and why it stopped, or that it did not.

    Args:
        rounds: Those that are closed.
        why: Why it asked for nothing more; empty if it would have.
        still_open: Sentences that are not decided on.
        left: Sentences of the pool that it has not learnt from; None where nobody knows.

    Returns:
        A sentence or two.
    """
    number = rounds[-1].number
    if why:
        return end_words(number, why)
    if still_open:
        return f"It has not stopped: round {number + 1} is open, with {count(still_open, 'sentence')} to decide on."
    more = "" if left is None else f", with {count(left, 'sentence')} of its pool not learnt from"
    return f"It has not stopped by itself; it was left after round {number}{more}."

"""What the judge network sees in generated pictures: the subject, and what was asked for beside it.

The judge was trained on scenes alone and shares nothing with CLIP, by which the strategies choose.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desiderata.bench.personalize_subjects import Case, Wish
from desiderata.errors import DesiderataError
from desiderata.foundation.judge import Judge

Pixels = NDArray[np.uint8]
Choice = Callable[[Mapping[str, Mapping[int, Pixels]]], dict[str, int]]
"""Gets numbered pictures by sentence, and picks a number for some of the sentences."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen in one picture; None for what its sentence does not ask about.

    Attributes:
        identity: Probability that the subject is shown, or that the style is the one learnt.
        likelihood: Probability that all is there that was asked for, parts taken as independent.
        things: All things asked for beside the subject are shown.
        background: The background is the one asked for.
        style: The style is the one asked for.
        leak: The references' background is there though another was asked for; with a style, what its reference
            shows is shown.
    """

    identity: float
    likelihood: float
    things: bool | None
    background: bool | None
    style: bool | None
    leak: bool | None

    @property
    def right(self) -> bool:
        """Whether the subject is recognised and everything asked for is there."""
        return self.identity > 0.5 and False not in (self.things, self.background, self.style)


class Eye:
    """A judge that knows the subject.

    Args:
        judge: The judge.
        case: The subject.

    Raises:
        DesiderataError: The judge was not trained to see the subject.
    """

    def __init__(self, judge: Judge, case: Case) -> None:
        if case.name not in (*judge.config.concepts, *judge.config.styles):
            raise DesiderataError(
                f"The judge was not trained to see {case.name!r}: train it with `desiderata models train moji-judge`."
            )
        self._judge, self._case = judge, case

    def look(self, images: Sequence[Pixels], wishes: Sequence[Wish]) -> list[Sight]:
        """Return what is seen in pictures.

        Args:
            images: RGB pictures.
            wishes: What each was asked to show.

        Returns:
            One for each.
        """
        config, chances = self._judge.config, self._judge.chances(images)
        concept = {name: place for place, name in enumerate(config.concepts)}
        background = {name: place for place, name in enumerate(config.backgrounds)}
        style = {name: place for place, name in enumerate(config.styles)}
        case, sights = self._case, []
        for shown, ground, look, wish in zip(chances.shown, chances.background, chances.style, wishes, strict=True):
            identity = float(shown[concept[case.name]] if case.kind == "object" else look[style[case.name]])
            things = [float(shown[concept[name]]) for name in wish.things]
            asked = [*things]
            asked += [] if wish.background is None else [float(ground[background[wish.background]])]
            asked += [] if wish.style is None else [float(look[style[wish.style]])]
            if case.kind == "style":
                leak: bool | None = bool(shown[concept[case.content]] > 0.5)
            elif wish.background in {None, case.background}:
                leak = None
            else:
                leak = bool(ground.argmax() == background[case.background])
            sights.append(
                Sight(
                    identity,
                    identity * float(np.prod(asked)),
                    all(chance > 0.5 for chance in things) if things else None,
                    None if wish.background is None else bool(ground.argmax() == background[wish.background]),
                    None if wish.style is None else bool(look.argmax() == style[wish.style]),
                    leak,
                )
            )
        return sights

    def figures(self, images: Sequence[Pixels], wishes: Sequence[Wish]) -> dict[str, float]:
        """Measure pictures.

        Args:
            images: RGB pictures.
            wishes: What each was asked to show.

        Returns:
            Means over the pictures whose sentence asks about it: `identity`, a probability; and as shares `things`,
            `background`, `style` and `leak`, and `right`, of all pictures. What no sentence asks about is left out.
        """
        sights = self.look(images, wishes)
        columns = {
            name: [getattr(sight, name) for sight in sights]
            for name in ("identity", "things", "background", "style", "leak", "right")
        }
        known = {name: [float(one) for one in column if one is not None] for name, column in columns.items()}
        return {name: float(np.mean(column)) for name, column in known.items() if column}

    def person(self, wishes: Mapping[str, Wish], k: int) -> Choice:
        """Return a stand-in for a person who looks at all pictures of a round.

        It picks pictures in which the subject is recognised and everything asked for is there, one of a sentence at
        most, the clearest first.

        Args:
            wishes: What every sentence asks for.
            k: How many it picks at most.

        Returns:
            What picks, always the same from the same pictures.
        """

        def choose(shown: Mapping[str, Mapping[int, Pixels]]) -> dict[str, int]:
            rows = [(sentence, number) for sentence, pictures in shown.items() for number in pictures]
            images = [shown[sentence][number] for sentence, number in rows]
            sights = self.look(images, [wishes[sentence] for sentence, _ in rows])
            good = [place for place, sight in enumerate(sights) if sight.right]
            picked: dict[str, int] = {}
            for place in sorted(good, key=lambda place: -sights[place].likelihood):
                sentence, number = rows[place]
                if sentence not in picked and len(picked) < k:
                    picked[sentence] = number
            return picked

        return choose

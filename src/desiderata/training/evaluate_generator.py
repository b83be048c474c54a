"""How well a generator draws what it is asked for, measured by the judge, and a sheet of its pictures to look at."""

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from desiderata.errors import DesiderataError
from desiderata.files import write_bytes
from desiderata.foundation.judge import Judge, Score
from desiderata.randomness import stream
from desiderata.training.evaluate import HELD_OUT
from desiderata.training.evaluate_judge import means, one_and_two
from desiderata.worlds.moji import grammar
from desiderata.worlds.moji.scene import STYLES, Scene

_WRAP = 30
"""Letters in a line below a picture."""


class Drawn(Protocol):
    """A picture that a generator drew, such as `foundation.sampling.Generation`."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """Shape (height, width, 3)."""
        ...

    @property
    def blanked(self) -> bool:
        """Whether a safety checker blacked it out."""
        ...


class Samples(Protocol):
    """What draws pictures, such as `foundation.generator.Generator`."""

    def sample(
        self, prompts: Sequence[str], seeds: Sequence[int], *, progress: Callable[[int, int], None] | None = None
    ) -> Sequence[Drawn]:
        """Draw one picture for each sentence."""
        ...


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a generator drew, and what the judge said.

    Attributes:
        figures: See `evaluate_generator`.
        scenes: What was asked for, in turn one thing and two things.
        captions: The same in words.
        images: What was drawn; those that were blanked are black.
        scores: What is right in them.
    """

    figures: dict[str, float]
    scenes: list[Scene]
    captions: list[str]
    images: list[NDArray[np.uint8]]
    scores: list[Score]

    def sheet(self, path: Path, n: int = 48, across: int = 8) -> None:
        """Write a picture of pictures, each above its caption and below what the judge finds wrong with it.

        Args:
            path: A PNG file.
            n: How many, the first ones; no choice is made among them.
            across: How many in a row.
        """
        shown = range(min(n, len(self.images)))
        down = -(-len(shown) // across)
        figure = Figure(figsize=(1.5 * across, 2.15 * down), dpi=128)
        FigureCanvasAgg(figure)
        for place in shown:
            axes = figure.add_subplot(down, across, place + 1)
            axes.imshow(self.images[place], interpolation="nearest")
            axes.axis("off")
            wrong = [name for name in ("objects", "background", "style") if not getattr(self.scores[place], name)]
            caption = textwrap.fill(self.captions[place], _WRAP)
            about = {"transform": axes.transAxes, "ha": "center", "fontsize": 5.5}
            axes.text(0.5, -0.05, caption, va="top", color="0.1", **about)
            axes.text(0.5, 1.03, f"not {', '.join(wrong)}" if wrong else "", va="bottom", color="#b02020", **about)
        figure.subplots_adjust(0.01, 0.06, 0.99, 0.97, 0.08, 0.5)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        write_bytes(path, buffer.getvalue())


def evaluate_generator(
    generator: Samples,
    judge: Judge,
    n: int = 500,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Ask a generator for scenes of one thing and of two things, and have the judge look at what it draws.

    The captions say everything: what is shown, how two things stand to each other, the background and the style.

    Args:
        generator: What is measured.
        judge: Says what is shown.
        n: How many captions, worded anew for the purpose; every other one names two things.
        seed: Picture i is drawn from the seed `seed * n + i`.
        progress: Called with the number of pictures drawn and of all.

    Returns:
        The pictures and scores, with these figures, shares unless said otherwise: `subject`, the first thing asked
        for is shown; `subject_one`, the same where only one was asked for; `both_objects`, of the captions of two;
        `counts`, everything asked for is shown just once; `nothing_else`, nothing is shown beside it; `background`;
        `style`, and `style_NAME` for each style; `all_right`, everything asked for is shown, in its style, on its
        background; `blanked`, number of pictures that a safety checker blacked out, which count as wrong.

    Raises:
        DesiderataError: There are fewer than two captions.
    """
    if n < 2:
        raise DesiderataError(f"A generator cannot be measured by {n} pictures: ask for 2 or more.")
    scenes = one_and_two(n, "generator")
    captions = [
        grammar.caption(scene, stream(HELD_OUT, "generator captions", index)) for index, scene in enumerate(scenes)
    ]
    drawn = generator.sample(captions, [seed * n + index for index in range(n)], progress=progress)
    images = [one.image for one in drawn]
    scores = [
        score if not one.blanked else Score(False, False, False, False, False, False)
        for one, score in zip(drawn, judge.score(images, scenes), strict=True)
    ]
    figures = means(scores)
    figures.pop("objects")
    figures["subject_one"] = float(np.mean([score.subject for score in scores[::2]]))
    figures["both_objects"] = float(np.mean([score.objects for score in scores[1::2]]))
    figures["all_right"] = float(np.mean([score.objects and score.background and score.style for score in scores]))
    for style in STYLES:
        of_style = [score.style for score, scene in zip(scores, scenes) if scene.style == style]
        if of_style:
            figures[f"style_{style.replace(' ', '_')}"] = float(np.mean(of_style))
    figures["blanked"] = float(sum(one.blanked for one in drawn))
    return Evaluation(figures, scenes, captions, images, scores)

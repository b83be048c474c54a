"""What an adapter carries over from a picture that it is shown, measured by the judge."""

from collections.abc import Callable

from desiderata.errors import DesiderataError
from desiderata.foundation.generator import Generator
from desiderata.foundation.judge import Judge
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.ip_adapter import IPAdapter
from desiderata.randomness import stream
from desiderata.training.evaluate import HELD_OUT
from desiderata.training.evaluate_judge import means, one_and_two
from desiderata.worlds.moji.render import render


def evaluate_adapter(
    adapter: IPAdapter,
    base: Generator,
    judge: Judge,
    n: int = 200,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Show an adapter scenes of one thing and of two things, say nothing, and have the judge look at what is drawn.

    Args:
        adapter: What is measured.
        base: The generator that it is for.
        judge: Says what is shown.
        n: How many scenes, drawn for the purpose; every other one holds two things.
        progress: Called with the number of pictures drawn and of all.

    Returns:
        Shares of the pictures: `subject`, the scene's first thing is there; `objects`, all of them are; `counts`,
        each just once; `nothing_else`, nothing is beside them; `background`; `style`.

    Raises:
        DesiderataError: There are fewer than two scenes, or the adapter does not fit the generator.
    """
    if n < 2:
        raise DesiderataError(f"An adapter cannot be measured by {n} pictures: ask for 2 or more.")
    scenes, images = one_and_two(n, "adapter"), []
    for index, scene in enumerate(scenes):
        shown = render(scene, stream(HELD_OUT, "adapter", index))
        generator = adapter.apply(base, adapter.train(base, [TrainingImage(shown, "")], 0))
        images.append(generator.sample([""], [index], batch=1)[0].image)
        if progress:
            progress(index + 1, n)
    return means(judge.score(images, scenes))

"""How far the judge can be trusted, measured on pictures that it was not trained on."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from desiderata.foundation.judge import Judge, Score
from desiderata.randomness import stream
from desiderata.training.distortion import destroyed, distorted
from desiderata.training.evaluate import HELD_OUT
from desiderata.training.judge_scenes import draw_map, draw_scenes
from desiderata.worlds.moji.held_out import HELD_OUT_STYLES, SUBJECTS, draw, held_out_pictures
from desiderata.worlds.moji.sampler import AT_LARGE, sample_scene
from desiderata.worlds.moji.scene import Group, Scene

_ONE = replace(AT_LARGE, groups={1: 1.0}, counts={1: 1.0}, classes="any")
_TWO = replace(AT_LARGE, groups={2: 1.0}, counts={1: 1.0}, classes="any")


def one_and_two(n: int, purpose: str) -> list[Scene]:
    """Return n scenes for measuring, all different: one thing and two things in turn, one of each."""
    scenes: dict[Scene, None] = {}
    index = 0
    while len(scenes) < n:
        rng = stream(HELD_OUT, "one and two", purpose, index)
        scenes[sample_scene(rng, (_ONE, _TWO)[len(scenes) % 2])] = None
        index += 1
    return list(scenes)


def evaluate_judge(judge: Judge, n: int = 1000) -> dict[str, float]:
    """Measure what a judge says of pictures whose scenes are known.

    Args:
        judge: What to judge.
        n: Pictures of each kind.

    Returns:
        For scenes of one and two things: the mean of each part of `Score`, `both_objects` of the scenes of two, and
        the same as generators might leave them (`distorted_`). For scenes at large, of one to three kinds of things:
        the same (`large_`), and for scenes with a held-out subject or style (`held_out_`). `fooled`: share of
        pictures whose object was destroyed, only its colours kept, that count as showing it. `identity`: mean
        probability of a held-out subject in pictures that show it, `identity_found` the share above a half,
        `identity_false` the share above a half where its class word is shown in its stead.
        `identity_style`: share of pictures in a held-out style that are taken for it.
    """
    scenes = one_and_two(n, "judge")
    images, maps = _drawn(scenes, "one and two")
    scores = judge.score(images, scenes)
    figures = means(scores)
    figures["both_objects"] = _mean(score.objects for score in scores[1::2])
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    generator = torch.Generator().manual_seed(HELD_OUT)
    order = torch.randperm(n, generator=generator)
    soft = distorted(pixels[order], generator)[order.argsort()]
    figures |= means(judge.score(_bytes(soft), scenes), "distorted_")
    gone = destroyed(pixels, torch.from_numpy(maps.astype(np.int64)), generator)
    figures["fooled"] = _mean(score.subject for score in judge.score(_bytes(gone), scenes))

    large = [sample_scene(stream(HELD_OUT, "judge", index), replace(AT_LARGE, classes="any")) for index in range(n)]
    figures |= means(judge.score(_drawn(large, "large")[0], large), "large_")
    unseen = draw_scenes(n, stream(HELD_OUT, "judge", "held out"))
    figures |= means(judge.score(_drawn(unseen, "held out")[0], unseen), "held_out_")
    return figures | _held_out(judge, max(2, n // len(SUBJECTS)))


def means(scores: Sequence[Score], prefix: str = "") -> dict[str, float]:
    """Return the share of pictures in which each part of a score is right."""
    return {f"{prefix}{field.name}": _mean(getattr(score, field.name) for score in scores) for field in fields(Score)}


def _held_out(judge: Judge, n: int) -> dict[str, float]:
    found, false, styled = [], [], []
    for name, subject in SUBJECTS.items():
        pictures = held_out_pictures(name, HELD_OUT, n)
        found.append(judge.identity([picture.image for picture in pictures], name))
        # The same pictures with its class in its stead.
        other = [
            replace(drawing.scene, groups=(Group(subject.word), *drawing.scene.groups[1:])) for drawing in pictures
        ]
        false.append(judge.identity(_drawn(other, name)[0], name))
    for style in HELD_OUT_STYLES:
        drawings = held_out_pictures(style, HELD_OUT, n)
        scores = judge.score([drawing.image for drawing in drawings], [drawing.scene for drawing in drawings])
        styled += [score.style for score in scores]
    return {
        "identity": float(np.mean(found)),
        "identity_found": float(np.mean(np.array(found) > 0.5)),
        "identity_false": float(np.mean(np.array(false) > 0.5)),
        "identity_style": float(np.mean(styled)),
    }


def _drawn(scenes: Sequence[Scene], purpose: str) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Return pictures of scenes, and what is where in them."""
    keys = [(HELD_OUT, "judge", purpose, index) for index in range(len(scenes))]
    maps = [draw_map(scene, stream(*key), 64) for scene, key in zip(scenes, keys)]
    return [draw(scene, stream(*key)) for scene, key in zip(scenes, keys)], np.stack(maps)


def _bytes(pixels: torch.Tensor) -> list[NDArray[np.uint8]]:
    return list((pixels * 255).round().byte().permute(0, 2, 3, 1).numpy())


def _mean(values: Iterable[bool]) -> float:
    return float(np.mean(list(values)))

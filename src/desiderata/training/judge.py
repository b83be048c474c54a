"""Train moji-judge on scenes of the Moji world, held-out subjects and styles among them.

The judge is asked which concept is in which place, too: that teaches it what things look like far sooner than how
many there are would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from desiderata.foundation.judge_network import JudgeConfig, JudgeNetwork
from desiderata.randomness import stream
from desiderata.training.checkpoint import key_of
from desiderata.training.corpus import Batches, Shard, load_shard, make_corpus
from desiderata.training.distortion import destroyed, distorted
from desiderata.training.judge_scenes import CONCEPTS, STYLES, JudgeTargets, make_shards
from desiderata.training.loop import Loop
from desiderata.training.moji_clip import SIZE, cosine_schedule, decayed
from desiderata.worlds.moji.scene import BACKGROUNDS, Scene


@dataclass(frozen=True)
class JudgeRecipe:
    """How moji-judge is trained.

    Attributes:
        shards: Shards of scenes of the world; those of moji-clip's second stage where they are in the work folder.
        held_out_shards: Shards of scenes with a held-out subject or style.
        pictures: How many pictures are seen in all, repeats counted; half of them are of either kind.
        batch: Pictures a step.
        learning_rate: The highest, after the warm-up; it then falls to 0 along a cosine.
        warmup: Share of `pictures` over which the rate rises.
        weight_decay: Of matrices.
        place_weight: Of the loss of what is where.
        whole_weight: Of the losses of background and style.
        destroyed: Share of pictures whose objects are destroyed, so that nothing is shown.
        ramp: Share of `pictures` over which distortion and destruction rise from none: what things look like is
            learnt sooner from pictures as they should be.
        seed: Of weights, held-out scenes, order and distortion.
    """

    shards: int = 24
    held_out_shards: int = 16
    pictures: int = 400_000
    batch: int = 32
    learning_rate: float = 3e-3
    warmup: float = 0.01
    weight_decay: float = 0.02
    place_weight: float = 4.0
    whole_weight: float = 1.0
    destroyed: float = 0.125
    ramp: float = 0.3
    seed: int = 0


SCENES = ("scenes-refine", 1)
"""Folder below the work folder, and seed, of the scenes of the world: those that moji-clip is refined with."""


def new_network() -> JudgeNetwork:
    """Return moji-judge with random weights; at first it holds everything for absent, as nearly everything is."""
    network = JudgeNetwork(JudgeConfig(CONCEPTS, BACKGROUNDS, STYLES, size=SIZE))
    with torch.no_grad():
        network.counting.number.bias[0] = 4.0
    return network


class JudgeTrainer:
    """One training run in one folder.

    Args:
        folder: Where scenes and checkpoints are kept; an interrupted run goes on from here.
        recipe: How to train.
        report: Takes a line of progress.
    """

    def __init__(self, folder: Path, recipe: JudgeRecipe, report: Callable[[str], None] = print) -> None:
        self.recipe, self.report, self.checkpoint = recipe, report, folder / "moji-judge.safetensors"
        name, seed = SCENES
        make_corpus(folder / name, recipe.shards, seed=seed, size=SIZE)
        make_shards(folder / "scenes-judge", recipe.held_out_shards, recipe.seed, SIZE, report)
        self.plain = [load_shard(folder / name, index) for index in range(recipe.shards)]
        self.held_out = [load_shard(folder / "scenes-judge", index) for index in range(recipe.held_out_shards)]
        torch.manual_seed(recipe.seed)
        self.network = new_network()
        self.optimizer = torch.optim.AdamW(
            decayed(self.network.parameters(), recipe.weight_decay),
            lr=recipe.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )

    def run(self, every: int = 250, save_every: int = 1000) -> JudgeNetwork:
        """Train to the end.

        Args:
            every: Steps between lines of progress.
            save_every: Steps between checkpoints.

        Returns:
            The trained network.
        """
        recipe = self.recipe
        steps = recipe.pictures // recipe.batch
        plain, held_out = (
            Batches([len(shard.scenes) for shard in shards], recipe.batch // 2, stream(recipe.seed, "judge", kind))
            for kind, shards in (("plain", self.plain), ("held out", self.held_out))
        )
        self.network.train()
        Loop(
            self.checkpoint,
            {"network": self.network},
            self.optimizer,
            key_of(recipe, self.network.config),
            steps,
            lambda step: recipe.learning_rate * cosine_schedule(step / steps, recipe.warmup),
            every=every,
            save_every=save_every,
            report=self.report,
        ).run(lambda step: self.step(plain[step], held_out[step], step), lambda _step: recipe.batch)
        return self.network

    def step(self, plain: list[tuple[int, int]], held_out: list[tuple[int, int]], step: int) -> dict[str, float]:
        """Return the losses of pictures at rows of both kinds of shards, and take one step on them."""
        pixels, targets = self._batch(plain, held_out, step)
        with torch.autocast("cpu", torch.bfloat16):
            logits = {name: value.float() for name, value in self.network(pixels).items()}
        losses = {
            "counts": F.cross_entropy(logits["counts"].flatten(0, 1), targets.counts.flatten()) * len(CONCEPTS),
            "background": F.cross_entropy(logits["background"], targets.background),
            "style": F.cross_entropy(logits["style"], targets.style),
            "places": F.cross_entropy(logits["places"], targets.maps),
        }
        whole = self.recipe.whole_weight * (losses["background"] + losses["style"])
        (losses["counts"] + whole + self.recipe.place_weight * losses["places"]).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _batch(
        self, plain: list[tuple[int, int]], held_out: list[tuple[int, int]], step: int
    ) -> tuple[Tensor, JudgeTargets]:
        rng = stream(self.recipe.seed, "distortion", step)
        rows = [(self.plain, *row) for row in plain] + [(self.held_out, *row) for row in held_out]
        # Mixed, so that relatives are distorted in different ways.
        drawn = [_picked(*rows[place]) for place in rng.permutation(len(rows)).tolist()]
        images, maps, scenes = zip(*drawn, strict=True)
        targets = JudgeTargets.of(list(scenes), np.stack(maps))
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().contiguous() / 255
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        risen = min(1.0, step * self.recipe.batch / (self.recipe.ramp * self.recipe.pictures))
        gone, mild = round(risen * self.recipe.destroyed * len(rows)), round(risen * len(rows))
        if gone:
            pixels[:gone] = destroyed(pixels[:gone], targets.maps[:gone], generator)
            targets.counts[:gone] = 0
            targets.maps[:gone] = 0
        order = torch.randperm(len(rows), generator=generator)
        pixels = pixels[order]
        if mild:
            pixels[:mild] = distorted(pixels[:mild], generator)
        shuffled = JudgeTargets(*(getattr(targets, name)[order] for name in JudgeTargets.__dataclass_fields__))
        return pixels.contiguous(memory_format=torch.channels_last), shuffled


def _picked(shards: list[Shard], shard: int, row: int) -> tuple[np.ndarray, np.ndarray, Scene]:
    chosen = shards[shard]
    return chosen.images[row], chosen.maps[row], chosen.scenes[row]

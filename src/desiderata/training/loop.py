"""The loop that the training of every bundled model goes through; it is exact again after a kill."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from desiderata.training.checkpoint import load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Loop:
    """A training run: where it is kept, how long it is, and what it tells.

    Attributes:
        path: The checkpoint, which an interrupted run goes on from.
        modules: What is kept in it, by name.
        optimizer: Over their parameters.
        about: What makes this run another than others; see `checkpoint.key_of`.
        total: Steps of the whole run.
        rate: The learning rate of a step.
        name: What lines of progress begin with.
        unit: What a batch is made of.
        every: Steps between lines of progress.
        save_every: Steps between checkpoints.
        report: Takes a line of progress.
    """

    path: Path
    modules: dict[str, nn.Module]
    optimizer: torch.optim.Optimizer
    about: str
    total: int
    rate: Callable[[int], float]
    name: str = "step"
    unit: str = "pictures"
    every: int = 100
    save_every: int = 500
    report: Callable[[str], None] = print

    def run(self, take: Callable[[int], Mapping[str, float]], batch: Callable[[int], int]) -> None:
        """Take the steps that are left.

        Args:
            take: Takes the step of that number, which everything it draws must follow from, and returns what it
                measured; lines of progress tell the means.
            batch: Says how many pictures, or sentences, that step sees.
        """
        done = load_checkpoint(self.path, self.modules, self.optimizer, self.about)
        measured: list[Mapping[str, float]] = []
        clock, seen = time.monotonic(), 0
        for step in range(done, self.total):
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(step)
            measured.append(take(step))
            seen += batch(step)
            number = step + 1
            if number % self.every == 0:
                means = [f"{key} {np.mean([one[key] for one in measured]):.3f}" for key in measured[-1]]
                speed = seen / (time.monotonic() - clock)
                self.report(" ".join([f"{self.name} {number}/{self.total}", *means, f"{speed:.0f} {self.unit}/s"]))
                measured.clear()
                clock, seen = time.monotonic(), 0
            if number % self.save_every == 0 or number == self.total:
                save_checkpoint(self.path, self.modules, self.optimizer, number, self.about)

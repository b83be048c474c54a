"""The loop that all trainers share: draw, predict, weigh, step; exact again after a kill."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from desiderata.errors import DesiderataError
from desiderata.personalize.trainers.checkpoint import load_checkpoint, save_checkpoint
from desiderata.personalize.trainers.crew import Crew
from desiderata.personalize.trainers.objective import target, weighted_loss
from desiderata.personalize.trainers.recipe import Recipe, Running
from desiderata.personalize.trainers.schedule import Draw, Schedule
from desiderata.randomness import stream

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

QUICK = 2.0
"""Seconds that a checkpoint may take and still be written whenever `Running.checkpoint_every` says."""
REST = 20
"""One that takes longer is followed by so many times as long without one."""

Progress = Callable[[int, int], None]
"""Called with the number of steps done and the number of all steps."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What goes through the network at once.

    Attributes:
        rows: Shape (b,), which pictures these are.
        noisy: Shape (b, c, h, w), their latents with noise, float32.
        timesteps: Shape (b,).
        chance: Shape (b,), a uniform number from 0 to 1 for each picture, for a trainer that draws something itself.
    """

    rows: NDArray[np.int64]
    noisy: Tensor
    timesteps: Tensor
    chance: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be learnt, and from what.

    Attributes:
        parameters: What moves, by name, float32 and all on one device.
        predict: The network: what it makes of a batch, shape (b, c, h, w).
        latents: Shape (n, c, h, w), all pictures once, float32.
        noise: How pictures and noise are mixed.
        schedule: Which pictures a step draws.
    """

    parameters: Mapping[str, nn.Parameter]
    predict: Callable[[Batch], Tensor]
    latents: Tensor
    noise: "DDPMScheduler"
    schedule: Schedule


class Loop:
    """A training run.

    Every step draws from a random stream of its own, so that a run which is killed and goes on from its checkpoint
    learns, on the same processor, the same weights to the last bit as one left alone. (Not on a graphics processor,
    whose kernels may add up in another order each time.)

    Args:
        task: What is to be learnt.
        recipe: What makes the result what it is.
        running: How it is run.
        seed: Seeds every step.
    """

    def __init__(self, task: Task, recipe: Recipe, running: Running, seed: int) -> None:
        self._task = task
        self._recipe = recipe
        self._running = running
        self._seed = seed
        self._parameters = list(task.parameters.values())
        self._device = self._parameters[0].device
        self._crew = Crew()
        self._optimizer = torch.optim.AdamW(
            self._parameters, recipe.learning_rate, recipe.betas, recipe.epsilon, recipe.weight_decay, fused=True
        )
        self._mean = {name: value.detach().clone() for name, value in task.parameters.items()} if recipe.ema else {}

    def let_go(self) -> None:
        """Give back the memory of gradients, moments and means; it has run."""
        self._optimizer.state.clear()
        self._optimizer.zero_grad(set_to_none=True)
        self._mean.clear()

    def learnt(self) -> dict[str, Tensor]:
        """Return what has been learnt so far, by name, float32 on the CPU."""
        kept: Mapping[str, Tensor] = self._mean or self._task.parameters
        return {name: value.detach().cpu().clone() for name, value in kept.items()}

    def run(
        self,
        *,
        checkpoint: Path | None = None,
        about: str = "",
        progress: Progress | None = None,
        preview: Callable[[int, dict[str, Tensor]], None] | None = None,
    ) -> dict[str, Tensor]:
        """Take all steps, or those that a run killed earlier had not taken.

        Args:
            checkpoint: Where this run's state is kept; it stays there when the run is done.
            about: What makes this run another than others, so that a checkpoint of another run is refused.
            progress: Told of every step.
            preview: Told every `Running.preview_every` steps what has been learnt.

        Returns:
            What was learnt.

        Raises:
            DesiderataError: The checkpoint is not one of this run, or the loss is no longer a number.
        """
        steps, running, writing = self._recipe.steps, self._running, _Writing()
        done = self._resume(checkpoint, about) if checkpoint else 0
        if done and progress and self._crew.first:
            progress(done, steps)
        with _own_random_numbers(self._device):
            for number in range(done, steps):
                loss, done = self._step(number), number + 1
                if not self._crew.first:
                    continue
                if checkpoint and (done == steps or (done % running.checkpoint_every == 0 and writing.is_due())):
                    with writing:
                        save_checkpoint(checkpoint, self._state(), done, about)
                if running.watch:
                    running.watch(done, loss)
                if preview and done % running.preview_every == 0:
                    preview(done, self.learnt())
                if progress:
                    progress(done, steps)
        return self.learnt()

    def _step(self, number: int) -> float:
        draws = self._task.schedule.step(number)
        if not any(draw.factors.any() for draw in draws):
            return 0.0  # of pictures of no weight alone: not even momentum moves
        rng = stream(self._seed, "train", number)
        torch.manual_seed(int(rng.integers(2**62)))  # for a network with dropout
        self._optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self._device)
        for draw in draws:
            loss += self._pass(draw, rng)
        self._crew.add_up(self._gradients())
        self._crew.add_up([loss])
        if not torch.isfinite(loss):
            raise DesiderataError(
                f"The loss is no longer a number at step {number + 1}: lower the learning rate "
                f"({self._recipe.learning_rate:g}), or use float32."
            )
        nn.utils.clip_grad_norm_(self._parameters, self._recipe.clip)
        self._optimizer.step()
        for name, mean in self._mean.items():
            mean.lerp_(self._task.parameters[name].detach(), 1 - self._recipe.ema)
        return float(loss)

    def _pass(self, draw: Draw, rng: np.random.Generator) -> Tensor:
        """Add the gradient of a draw to what the parameters have.

        Returns:
            Its loss, a scalar.
        """
        task, shape = self._task, (len(draw.rows), *self._task.latents.shape[1:])
        # Drawn for all pictures, whichever process works on them, and on the CPU: the same numbers on every device.
        drawn = rng.integers(
            task.noise.config["num_train_timesteps"], size=1 if self._recipe.shared_timestep else shape[0]
        )
        timesteps = torch.from_numpy(np.broadcast_to(drawn, shape[:1]).copy())
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        chance = rng.random(shape[0])
        mine = np.flatnonzero(draw.factors)[self._crew.index :: self._crew.size]  # of no weight: no gradient
        if not len(mine):
            return torch.zeros((), device=self._device)
        latents = task.latents[draw.rows[mine]].to(self._device)
        noise, timesteps = noise[mine].to(self._device), timesteps[mine].to(self._device)
        noisy = task.noise.add_noise(latents, noise, cast(Any, timesteps))
        wanted = target(task.noise, latents, noise, timesteps)
        factors = torch.from_numpy(draw.factors[mine]).to(self._device, torch.float32)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._recipe.precision == "bfloat16"):
            prediction = task.predict(Batch(draw.rows[mine], noisy, timesteps, chance[mine]))
        loss = weighted_loss(prediction, wanted, factors)
        loss.backward()
        return loss.detach()

    def _gradients(self) -> Iterator[Tensor]:
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            yield parameter.grad

    def _state(self) -> dict[str, Tensor]:
        state = {f"now.{name}": value for name, value in self._task.parameters.items()}
        state |= {f"mean.{name}": value for name, value in self._mean.items()}
        for name, value in zip(self._task.parameters, self._parameters):
            moments = self._optimizer.state.get(value, {})  # none for what has had no gradient yet
            state |= {f"optimizer.{key}.{name}": entry for key, entry in moments.items()}
        return state

    def _resume(self, path: Path, about: str) -> int:
        moments: dict[str, dict[str, Tensor]] = {}

        @torch.no_grad()
        def take(entry: str, value: Tensor) -> None:
            kind, name = entry.split(".", 1)
            if kind == "now":
                self._task.parameters[name].copy_(value)
            elif kind == "mean":
                self._mean[name].copy_(value)
            else:
                key, name = name.split(".", 1)
                moments.setdefault(name, {})[key] = value.to(self._device)

        done = load_checkpoint(path, about, take)
        if not done:
            return 0
        numbered = {number: moments[name] for number, name in enumerate(self._task.parameters) if name in moments}
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": numbered})
        return done


class _Writing:
    """Lets checkpoints wait where each takes long: gigabytes are written for a twentieth of the time."""

    def __init__(self) -> None:
        self._took, self._ended = 0.0, 0.0

    def is_due(self) -> bool:
        return self._took < QUICK or time.monotonic() - self._ended >= REST * self._took

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._ended = time.monotonic()
        self._took = self._ended - self._began


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Leave torch's own random numbers as they were.

    Yields:
        Nothing.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield

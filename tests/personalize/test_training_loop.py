"""The loop draws what it says, weighs it as it says, and divides it among processes without changing the sum."""

import math
import os
import socket
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from safetensors.torch import load_file
from torch import nn

from contracts.tiny_pipeline import tiny_pipeline
from desiderata.errors import DesiderataError
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers import loop
from desiderata.personalize.trainers.loop import Batch, Loop, Task
from desiderata.personalize.trainers.objective import target, weighted_loss
from desiderata.personalize.trainers.recipe import PUBLISHED_OBJECT, PUBLISHED_STYLE, Recipe, Running
from desiderata.personalize.trainers.schedule import Schedule
from desiderata.randomness import stream


def moved(schedule: Schedule, recipe: Recipe, references: int) -> float:
    """Return how far AdamW goes in the direction of the references, with a tenth of their gradients signal."""
    noise, value = torch.Generator().manual_seed(0), torch.nn.Parameter(torch.zeros(4000))
    optimizer = torch.optim.AdamW([value], 1.0, weight_decay=0)
    for number in range(recipe.steps):
        value.grad = torch.zeros(4000)
        for draw in schedule.step(number):
            for row, factor in zip(draw.rows, draw.factors, strict=True):
                value.grad += factor * (0.1 * (row < references) + torch.randn(4000, generator=noise))
        optimizer.step()
    return -float(value.detach().mean())


class TestSchedule:
    def test_an_epoch_shows_every_item_once_with_its_class_picture(self):
        schedule = Schedule([1.0] * 3, 9, Recipe(), seed=0)
        draws = [schedule.step(number)[0].rows for number in range(18)]
        for epoch in (draws[:9], draws[9:]):
            assert sorted(row[1] for row in epoch) == list(range(3, 12))
            assert sorted(row[0] for row in epoch) == sorted([0, 1, 2] * 3)
            assert all((row[1] - 3) % 3 == row[0] for row in epoch)
        assert [tuple(row) for row in draws[:9]] != [tuple(row) for row in draws[9:]]

    def test_any_step_can_be_asked_for_alone(self):
        whole = Schedule([1.0] * 5, 7, Recipe(batch=2), seed=3)
        draws = [whole.step(number)[0].rows for number in range(12)]
        for number in (11, 2, 7):
            np.testing.assert_array_equal(
                Schedule([1.0] * 5, 7, Recipe(batch=2), 3).step(number)[0].rows, draws[number]
            )

    def test_batches_end_with_an_epoch_as_published_or_go_on(self):
        ragged = Schedule([1.0] * 7, 0, PUBLISHED_STYLE, seed=0)
        assert [len(ragged.step(number)[0].rows) for number in range(8)] == [2, 2, 2, 1] * 2
        assert len(Schedule([1.0], 0, PUBLISHED_STYLE, seed=0).step(0)[0].rows) == 1
        full = Schedule([1.0] * 3, 0, replace(PUBLISHED_STYLE, batch=2, whole_batches=True), seed=0)
        rows = np.concatenate([full.step(number)[0].rows for number in range(3)])
        assert sorted(rows[:3]) == sorted(rows[3:]) == [0, 1, 2]

    def test_factors_are_weights_over_the_batch(self):
        weights = [1.0, 0.25]
        recipe = Recipe(batch=2, accumulation=2, prior_weight=0.5)
        for draw in Schedule(weights, 2, recipe, seed=0).step(0):
            own = draw.rows[:2]
            np.testing.assert_allclose(draw.factors[:2], np.take(weights, own) / 4)
            np.testing.assert_allclose(draw.factors[2:], [0.5 / 4] * 2)
        for draw in Schedule(weights, 2, replace(recipe, prior="published"), seed=0).step(0):
            np.testing.assert_allclose(draw.factors[2:], 0.5 * np.take(weights, draw.rows[:2]) / 4)

    def test_steps_of_full_weight_are_those_of_the_published_rounds(self):
        for added, wanted in ((0, 800), (3, 500), (6, 368), (9, 296)):  # 200 items modulo 5, 8, 11, 14 pictures
            weights = [1.0] * 5 + [0.003] * added
            assert Schedule(weights, 200, PUBLISHED_OBJECT, seed=0).full_weight_steps() == wanted
        style = Schedule([1.0, 0.003, 0.003, 0.003], 0, PUBLISHED_STYLE, seed=0).full_weight_steps()
        assert style == pytest.approx(500 / 4)

    @pytest.mark.parametrize(
        ("recipe", "priors"),
        [
            (Recipe(batch=1), 0),
            (Recipe(batch=1, prior="published"), 28),
            (Recipe(batch=1), 28),
            (Recipe(batch=4, whole_batches=True), 0),
            (Recipe(batch=4, whole_batches=True, prior_weight=0.5), 28),
            (Recipe(batch=2, accumulation=2, whole_batches=True), 28),
        ],
    )
    def test_at_a_steady_pace_a_reference_moves_as_far_as_alone(self, recipe: Recipe, priors: int):
        """Where gradients are mostly noise, AdamW goes as far as the share of the references, and no more."""
        recipe = replace(recipe, steps=800)
        many, alone = (Schedule(weights, priors, recipe, 0) for weights in ([1.0] * 5 + [0.001] * 9, [1.0] * 5))
        assert alone.thinned() == pytest.approx(1)
        assert moved(many, recipe, 5) > 0.42 * moved(alone, recipe, 5), "at the same rate it goes too far"
        steady = math.sqrt(many.thinned()) * moved(many, recipe, 5)
        assert steady / moved(alone, recipe, 5) == pytest.approx(5 / 14, rel=0.1)

    def test_accumulated_steps_count_by_their_share(self):
        recipe = Recipe(steps=10, accumulation=2, whole_batches=True)
        assert Schedule([1.0, 0.0], 0, recipe, seed=0).full_weight_steps() == pytest.approx(5)


class TestObjective:
    def test_weights_of_pictures_weigh_their_gradients(self):
        """One linear map over latents in float64; by hand: dL/dW = Σ factor · 2/D · (W x − y) xᵀ."""
        rng = np.random.default_rng(0)
        x, y, w = rng.normal(size=(3, 8)), rng.normal(size=(3, 8)), rng.normal(size=(8, 8))
        factors = np.array([1.0, 0.003, 0.0])
        by_hand = sum(f * 2 / 8 * np.outer(w @ a - b, a) for f, a, b in zip(factors, x, y, strict=True))
        weight = torch.from_numpy(w).requires_grad_()
        prediction = torch.from_numpy(x) @ weight.T
        loss = weighted_loss(
            prediction.reshape(3, 2, 2, 2), torch.from_numpy(y).reshape(3, 2, 2, 2), torch.from_numpy(factors)
        )
        loss.backward()
        assert weight.grad is not None
        np.testing.assert_allclose(weight.grad, by_hand, rtol=1e-12)
        np.testing.assert_allclose(
            loss.detach(), sum(f * np.mean((w @ a - b) ** 2) for f, a, b in zip(factors, x, y, strict=True))
        )

    def test_targets(self):
        latents, noise = torch.randn(2, 2, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double()
        steps = torch.tensor([3, 900])
        schedule = DDPMScheduler(prediction_type="epsilon")
        assert torch.equal(target(schedule, latents, noise, steps), noise)
        schedule = DDPMScheduler(prediction_type="v_prediction")
        kept = schedule.alphas_cumprod[steps].double().reshape(2, 1, 1, 1)
        velocity = kept.sqrt() * noise - (1 - kept).sqrt() * latents
        torch.testing.assert_close(target(schedule, latents, noise, steps), velocity, rtol=1e-6, atol=1e-6)
        assert torch.equal(target(DDPMScheduler(prediction_type="sample"), latents, noise, steps), latents)
        with pytest.raises(DesiderataError, match="predicts 'else'"):
            target(DDPMScheduler(prediction_type="else"), latents, noise, steps)


class Scale(nn.Module):
    """The smallest network: it predicts its input, times a number, plus a number."""

    def __init__(self) -> None:
        super().__init__()
        self.times, self.plus = nn.Parameter(torch.tensor(0.3)), nn.Parameter(torch.tensor(0.1))
        self.seen: list[Batch] = []

    def predict(self, batch: Batch) -> torch.Tensor:
        self.seen.append(batch)
        return self.times * batch.noisy + self.plus


def task(net: Scale, recipe: Recipe, weights: list[float], priors: int = 0, seed: int = 0) -> Task:
    latents = torch.from_numpy(np.random.default_rng(1).normal(size=(len(weights) + priors, 2, 3, 3))).float()
    schedule = Schedule(weights, priors, recipe, seed)
    return Task(dict(net.named_parameters()), net.predict, latents, DDPMScheduler(), schedule)


class TestLoop:
    def test_a_step_follows_the_gradient_written_by_hand(self):
        recipe = Recipe(steps=1, batch=3, accumulation=2, clip=float("inf"), learning_rate=0.01, weight_decay=0.0)
        net, weights = Scale(), [1.0, 0.003, 0.0]
        work = task(net, recipe, weights, priors=3)
        learnt = Loop(work, recipe, Running(), 0).run()
        rng, by_hand = stream(0, "train", 0), np.zeros(2)
        rng.integers(2**62)
        for draw, seen in zip(work.schedule.step(0), net.seen, strict=True):
            n = len(draw.rows)
            assert n == 6
            steps = rng.integers(1000, size=n)
            noise = rng.standard_normal((n, 2, 3, 3), dtype=np.float32).astype(float)
            rng.random(n)
            np.testing.assert_array_equal(seen.timesteps, steps[draw.factors > 0])
            kept = work.noise.alphas_cumprod.double().numpy()[steps].reshape(n, 1, 1, 1)
            noisy = np.sqrt(kept) * work.latents[draw.rows].double().numpy() + np.sqrt(1 - kept) * noise
            error = np.float32(0.3) * noisy + np.float32(0.1) - noise
            by_hand[0] += (draw.factors * (2 * error * noisy).mean((1, 2, 3))).sum()
            by_hand[1] += (draw.factors * (2 * error).mean((1, 2, 3))).sum()
        grads = [float(value.grad) for value in net.parameters() if value.grad is not None]
        np.testing.assert_allclose(grads, by_hand, rtol=2e-5)
        step = 0.01 * np.sign(by_hand)  # of AdamW, the first time
        np.testing.assert_allclose([float(v) for v in learnt.values()], np.array([0.3, 0.1]) - step, rtol=1e-4)

    def test_pictures_of_no_weight_take_their_room_and_do_nothing(self):
        recipe = Recipe(steps=8, batch=1)
        net = Scale()
        seen: list[tuple[float, float]] = [(1.0, net.times.item())]
        running = Running(watch=lambda _step, loss: seen.append((loss, net.times.item())))
        learnt = Loop(task(net, recipe, [1.0, 0.0]), recipe, running, 0).run()
        assert [row for batch in net.seen for row in batch.rows] == [0] * 4
        assert sum(loss == 0 for loss, _ in seen) == 4
        for (_, before), (loss, after) in pairwise(seen):
            assert (before != after) == (loss != 0), "not even momentum may move it"
        other = task(Scale(), recipe, [1.0, 0.0])
        other.latents[1] += 1
        again = Loop(other, recipe, Running(), 0).run()
        assert all(torch.equal(learnt[name], again[name]) for name in learnt)
        with pytest.raises(DesiderataError, match="no longer a number"):
            Loop(task(Scale(), recipe, [float("nan")]), recipe, Running(), 0).run()

    def test_all_pictures_of_a_pass_share_a_timestep_where_told(self):
        recipe = Recipe(steps=4, batch=4, shared_timestep=True)
        net = Scale()
        Loop(task(net, recipe, [1.0] * 4), recipe, Running(), 0).run()
        assert all(len(set(batch.timesteps.tolist())) == 1 for batch in net.seen)
        assert len({batch.timesteps[0].item() for batch in net.seen}) > 1

    def test_a_running_mean_is_returned_where_asked_for(self):
        recipe = Recipe(steps=1, learning_rate=0.01, weight_decay=0.0)
        last = Loop(task(Scale(), recipe, [1.0]), recipe, Running(), 0).run()
        recipe = replace(recipe, ema=0.75)
        mean = Loop(task(Scale(), recipe, [1.0]), recipe, Running(), 0).run()
        torch.testing.assert_close(mean["times"], torch.tensor(0.3) * 0.75 + last["times"] * 0.25)

    def test_gradients_are_clipped(self):
        recipe = Recipe(steps=1, clip=1e-3)
        net = Scale()
        Loop(task(net, recipe, [1.0]), recipe, Running(), 0).run()
        norm = torch.stack([value.grad for value in net.parameters() if value.grad is not None]).norm()
        assert float(norm) == pytest.approx(1e-3, rel=1e-3)

    def test_what_has_no_gradient_does_not_hinder_a_resumption(self, tmp_path: Path):
        recipe = Recipe(steps=2)
        net = Scale()
        net.unused = nn.Parameter(torch.ones(2))
        work = task(net, recipe, [1.0])
        Loop(work, replace(recipe, steps=1), Running(), 0).run(checkpoint=tmp_path / "c")
        fresh = Scale()
        fresh.unused = nn.Parameter(torch.zeros(2))
        learnt = Loop(task(fresh, recipe, [1.0]), recipe, Running(), 0).run(checkpoint=tmp_path / "c")
        assert torch.equal(learnt["unused"], torch.ones(2))

    @pytest.mark.parametrize(("seconds", "at"), [(1.0, [2, 4, 6, 8, 9]), (10.0, [2, 6, 9])])
    def test_checkpoints_that_take_long_are_written_rarely(
        self, seconds: float, at: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        clock, written = [0.0], []

        def save(_path: Path, _tensors: object, step: int, _about: str) -> None:
            clock[0] += seconds
            written.append(step)

        monkeypatch.setattr(loop, "save_checkpoint", save)
        monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])

        def passes(*_: object) -> None:
            clock[0] += 60.0

        Loop(task(Scale(), Recipe(steps=9), [1.0]), Recipe(steps=9), Running(checkpoint_every=2), 0).run(
            checkpoint=tmp_path / "c", progress=passes
        )
        assert written == at, "the second waits for twenty times as long as the first took"


def test_settings_that_make_no_sense_are_refused():
    for wrong, said in (
        ({"steps": 0}, "steps is 0"),
        ({"batch": -1}, "batch is -1"),
        ({"accumulation": 0}, "accumulation is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"clip": 0.0}, "clip is 0"),
        ({"prior_weight": -1.0}, "prior_weight is -1"),
        ({"ema": 1.0}, "ema is 1"),
        ({"prior": "half"}, "prior is 'half'"),
        ({"precision": "float8"}, "precision is 'float8'"),
    ):
        with pytest.raises(DesiderataError, match=said):
            Recipe(**wrong)
    with pytest.raises(DesiderataError, match="checkpoint_every is 0"):
        Running(checkpoint_every=0)


def test_pictures_that_are_none_are_refused():
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    for wrong in (pixels.astype(float), pixels[:, :, 0], np.zeros((4, 4, 4), dtype=np.uint8), pixels[:0]):
        with pytest.raises(DesiderataError, match="given as an array of"):
            TrainingImage(wrong, "a toy")
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(DesiderataError, match="has the weight"):
            TrainingImage(pixels, "a toy", weight)
    with pytest.raises(DesiderataError, match="caption"):
        TrainingImage(pixels, 3)  # pyright: ignore[reportArgumentType]


TOGETHER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from contracts.trainer import class_pictures, references
from desiderata.foundation.generator import load_generator
from desiderata.personalize.trainers.dreambooth import DreamBooth
from desiderata.personalize.trainers.recipe import Recipe
from safetensors.torch import save_file
import os

recipe = Recipe(steps=2, batch=3, learning_rate=1e-3)
learnt = DreamBooth(recipe).train(load_generator(sys.argv[2]), references(), 0, prior=class_pictures())
save_file(learnt, Path(sys.argv[3]) / f"{os.environ.get('RANK', 'alone')}.safetensors")
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path):
    model = tiny_pipeline(tmp_path / "tiny")
    (tmp_path / "together.py").write_text(TOGETHER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    command = [
        sys.executable,
        str(tmp_path / "together.py"),
        str(Path(__file__).parents[1]),
        str(model),
        str(tmp_path),
    ]
    calls = [{}, *({**shared, "RANK": rank, "LOCAL_RANK": rank} for rank in "01")]
    processes = [subprocess.Popen(command, env={**os.environ, **call}) for call in calls]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    alone, first, second = (load_file(tmp_path / f"{name}.safetensors") for name in ("alone", "0", "1"))
    for name, value in alone.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, atol=2e-4, rtol=1e-3)

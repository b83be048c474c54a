"""What every trainer owes whoever calls it. Subclass `TrainerContract` and give it the fixtures `make` and `base`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from desiderata.errors import DesiderataError
from desiderata.foundation.generator import Generator
from desiderata.personalize.references import TrainingImage
from desiderata.personalize.trainers.trainer import Trainer

PROMPT = "a <sks> cat on grass"
SEED = 5


class Killed(Exception):
    """Stands for a kill."""


def picture(index: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (size, size, 3), dtype=np.uint8)


def references(count: int = 3) -> list[TrainingImage]:
    return [TrainingImage(picture(index), PROMPT, 1.0 if index < 2 else 0.5) for index in range(count)]


def class_pictures(count: int = 3) -> list[TrainingImage]:
    return [TrainingImage(picture(100 + index), "a cat on grass") for index in range(count)]


def weights_of(generator: Generator) -> dict[str, Tensor]:
    return {
        f"{part}.{name}": value.clone()
        for part in ("unet", "text_encoder", "vae")
        for name, value in getattr(generator, part).state_dict().items()
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class TrainerContract:
    """The suite."""

    draws = True
    """Whether it takes steps: its result depends on the seed, and it keeps a checkpoint."""

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[], Trainer]:
        """Return what makes a trainer: always the same, of three steps with a checkpoint after two of them."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def learnt(cls, make: Callable[[], Trainer], base: Generator) -> dict[str, Tensor]:
        return make().train(base, references(), SEED, prior=class_pictures())

    def test_the_generator_given_is_left_untouched(self, make: Callable[[], Trainer], base: Generator):
        before, words = weights_of(base), len(base.tokenizer)
        drawn = base.sample([PROMPT], [3], steps=1)[0].image
        state = torch.random.get_rng_state()
        trainer = make()
        trainer.apply(base, trainer.train(base, references(1), 0))
        assert same(before, weights_of(base))
        assert len(base.tokenizer) == words
        assert torch.equal(state, torch.random.get_rng_state()), "it draws from torch's own random numbers"
        assert not any(value.requires_grad for value in base.unet.parameters())
        np.testing.assert_array_equal(drawn, base.sample([PROMPT], [3], steps=1)[0].image)

    def test_what_was_learnt_applies_and_changes_what_is_drawn(
        self, make: Callable[[], Trainer], base: Generator, learnt: dict[str, Tensor]
    ):
        assert all(value.dtype == torch.float32 and value.device.type == "cpu" for value in learnt.values())
        made = make().apply(base, learnt)
        assert made is not base
        assert not any(value.requires_grad for value in made.unet.parameters())
        call = {"prompts": [PROMPT, "a dog", PROMPT], "seeds": [3, 4, 5], "steps": 1}
        drawn = made.sample(**call)
        assert (drawn[0].image != base.sample(**call)[0].image).any()
        for other in (make().apply(base, learnt), made.copy()):
            for one, two in zip(drawn, other.sample(**call), strict=True):
                np.testing.assert_array_equal(one.image, two.image)
        assert len(made.sample(**call, guidance=1.0)) == 3

    def test_the_same_call_learns_the_same(
        self, make: Callable[[], Trainer], base: Generator, learnt: dict[str, Tensor]
    ):
        torch.manual_seed(99)
        assert same(learnt, make().train(base, references(), SEED, prior=class_pictures()))

    def test_a_picture_of_weight_nought_teaches_nothing(self, make: Callable[[], Trainer], base: Generator):
        one, other = (
            make().train(base, [*references(1), TrainingImage(picture(index), PROMPT, 0.0)], 0) for index in (50, 60)
        )
        assert same(one, other)

    def test_a_killed_call_goes_on_to_the_same_bits(
        self, make: Callable[[], Trainer], base: Generator, learnt: dict[str, Tensor], tmp_path: Path
    ):
        if not self.draws:
            pytest.skip("it is done in a moment, and keeps no checkpoint")
        file = tmp_path / "deep" / "checkpoint.safetensors"

        def kill(done: int, _steps: int) -> None:
            if done == 2:
                raise Killed

        with pytest.raises(Killed):
            make().train(base, references(), SEED, prior=class_pictures(), checkpoint=file, progress=kill)
        torch.manual_seed(1)
        seen: list[tuple[int, int]] = []
        resumed = make().train(
            base, references(), SEED, prior=class_pictures(), checkpoint=file, progress=lambda *at: seen.append(at)
        )
        assert same(learnt, resumed)
        assert seen == [(2, 3), (3, 3)], "it began anew"
        with pytest.raises(DesiderataError, match="another training"):
            make().train(base, references(), SEED + 1, prior=class_pictures(), checkpoint=file)

    def test_equal_trainers_have_equal_keys(self, make: Callable[[], Trainer]):
        assert make().key() == make().key()
        assert make().name.strip()

    def test_it_says_what_is_wrong(self, make: Callable[[], Trainer], base: Generator):
        with pytest.raises(DesiderataError, match="no picture to learn from"):
            make().train(base, [], 0)
        with pytest.raises(DesiderataError, match="the weight 0"):
            make().train(base, [TrainingImage(picture(0), PROMPT, 0.0)], 0)
        with pytest.raises(DesiderataError, match="not learnt by"):
            make().apply(base, {"unet.nothing": torch.zeros(3)})

"""A generator draws what a query says; what does not show the class asked for is counted, and not slipped in."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from contracts.colours import CLASSES, Colours
from contracts.oracle import OracleContract, ask
from contracts.tiny_pipeline import tiny_pipeline
from desiderata.campaign.oracle import CannotAnswer
from desiderata.campaign.records import Query
from desiderata.errors import DesiderataError
from desiderata.foundation.generator import Generator, load_generator
from desiderata.foundation.sampling import Generation, Sampling
from desiderata.oracles.generator import GeneratorOracle, prompt_of
from desiderata.oracles.zero_shot import looks_like

RED = ask("a photo of a red", "red")
PAINTS = {"r": (250, 10, 10), "g": (20, 200, 30), "b": (10, 10, 250), "x": (140, 130, 130), "#": (0, 0, 0)}


class Painter:
    """Paints in turn what it is told to: red, green, blue, x for nothing in particular, # for a blanked picture."""

    sampling = Sampling()

    def __init__(self, plan: str) -> None:
        self.plan = iter(plan)
        self.prompts: list[str] = []
        self.seeds: list[int] = []

    def sample(self, prompts: Sequence[str], seeds: Sequence[int], *, batch: int) -> list[Generation]:
        assert len(prompts) == len(seeds) == batch
        self.prompts += prompts
        self.seeds += seeds
        made = []
        for prompt, seed in zip(prompts, seeds):
            paint = next(self.plan)
            made.append(Generation(np.full((8, 8, 3), PAINTS[paint], np.uint8), prompt, seed, paint == "#"))
        return made


def oracle(plan: str, **options) -> GeneratorOracle:
    return GeneratorOracle(Painter(plan), Colours(), CLASSES, **options)  # pyright: ignore[reportArgumentType]


def colours(came) -> list[tuple[int, ...]]:
    return [tuple(image[0, 0].tolist()) for image, label in came if label is None]


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return load_generator(str(tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny")))


class TestContract(OracleContract):
    @pytest.fixture
    def make(self, generator: Generator) -> Callable[[], GeneratorOracle]:
        class Seeing(Colours):  # whatever the random weights draw looks red
            def images(self, images):
                return self._unit(np.array([[1.0, 0.0, 0.0]] * len(images)), 0.0)

        return lambda: GeneratorOracle(generator, Seeing(), CLASSES, n=2, tries=2)

    @pytest.fixture
    def query(self) -> Query:
        return RED

    @pytest.fixture
    def unanswerable(self) -> Query:
        return ask("a photo of a blue", "blue")


def test_what_fails_is_drawn_again_and_counted():
    asked = oracle("gxrb")
    assert colours(asked.answer(RED, np.random.default_rng(0))) == [PAINTS["r"]]
    assert asked.counts == {"asked": 1, "drawn": 3, "failed": 2, "blanked": 0}
    assert asked.answer(ask("blue", "blue"), np.random.default_rng(0))
    assert asked.counts == {"asked": 2, "drawn": 4, "failed": 2, "blanked": 0}


def test_several_pictures_come_and_fewer_where_fewer_pass():
    asked = oracle("rgrr", n=2, tries=2)
    assert len(asked.answer(RED, np.random.default_rng(0))) == 2
    assert asked.counts == {"asked": 1, "drawn": 4, "failed": 1, "blanked": 0}
    asked = oracle("rg#x", n=2, tries=2)
    assert len(asked.answer(RED, np.random.default_rng(0))) == 1
    assert asked.counts == {"asked": 1, "drawn": 4, "failed": 2, "blanked": 1}


@pytest.mark.parametrize(
    ("plan", "says", "counts"),
    [
        (
            "ggxb",
            "what was asked for: 4 of 4 failed; they look like green (2), something else (1), blue (1).",
            (4, 0),
        ),
        ("#g#g", "what was asked for: 2 of 4 failed, 2 were blanked; they look like green (2).", (2, 2)),
        ("####", "blanked every picture: 4 of 4.", (0, 4)),
    ],
)
def test_the_reason_says_how_many_of_how_many(plan: str, says: str, counts: tuple[int, int]):
    asked = oracle(plan)
    with pytest.raises(CannotAnswer) as refused:
        asked.answer(RED, np.random.default_rng(0))
    assert says in str(refused.value)
    assert asked.counts == {"asked": 1, "drawn": 4, "failed": counts[0], "blanked": counts[1]}


def test_what_fails_may_be_kept_and_is_counted_all_the_same():
    asked = oracle("#g", check_class=False)
    assert colours(asked.answer(RED, np.random.default_rng(0))) == [PAINTS["g"]]
    assert asked.counts == {"asked": 1, "drawn": 2, "failed": 1, "blanked": 1}


def test_seeds_come_from_the_stream_alone():
    first, again, other = oracle("rr", n=2), oracle("grrr", n=2), oracle("rr", n=2)
    for one, seed in ((first, 5), (again, 5), (other, 6)):
        one.answer(RED, np.random.default_rng(seed))
    assert again.generator.seeds[:2] == first.generator.seeds != other.generator.seeds
    assert len(set(again.generator.seeds)) == 4


def test_the_generator_is_told_the_description_where_it_names_the_class():
    within = "An image associated with Red, which illustrates that a red door is open"
    assert prompt_of(ask(within, "Red")) == "a red door is open"
    assert prompt_of(ask(within, "blue")) == within
    assert prompt_of(RED) == RED.text
    asked = oracle("r")
    asked.answer(ask(within, "red"), np.random.default_rng(0))
    assert asked.generator.prompts == ["a red door is open"]


def test_a_picture_looks_like_the_class_whose_sentence_is_nearest():
    encoder = Colours()
    features = encoder.images([np.full((2, 2, 3), PAINTS[paint]) for paint in "rgbx"])
    assert looks_like(features, CLASSES, encoder) == [*CLASSES, "something else"]


@pytest.mark.parametrize("wrong", [{"n": 0}, {"tries": 0}])
def test_at_least_one_picture_is_drawn(wrong: dict):
    with pytest.raises(DesiderataError, match="each is at least 1"):
        oracle("r", **wrong)


def test_it_is_made_by_its_name(tmp_path: Path):
    from types import SimpleNamespace

    from desiderata.collect.build import make_oracle

    folder = str(tiny_pipeline(tmp_path / "tiny"))
    campaign = SimpleNamespace(learner=SimpleNamespace(encoder=Colours()), classes=CLASSES)
    made = make_oracle("generator", campaign, generator=folder, check_class=False)  # pyright: ignore
    assert isinstance(made, GeneratorOracle)
    assert len(made.answer(RED, np.random.default_rng(0))) == 1
    with pytest.raises(DesiderataError, match="no encoder of its own: make the generator oracle in Python"):
        make_oracle("generator", SimpleNamespace(learner=None), generator=folder)  # pyright: ignore
    with pytest.raises(DesiderataError, match="choose scene, archive or generator"):
        make_oracle("psychic", campaign)  # pyright: ignore

"""A folder of coloured squares, and a strategy that is instant."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.colours import Colours
from desiderata.campaign.config import Config
from desiderata.campaign.records import Proposal
from desiderata.cli import main
from desiderata.collect import build
from desiderata.collect.learner import CollectLearner
from desiderata.collect.state import CollectState
from desiderata.errors import DesiderataError

CLASSES = ("blue", "green", "red")
CHANNEL = {"red": 0, "green": 1, "blue": 2}


class EachClass:
    """Asks for every class."""

    name = "each-class"

    def propose(self, state: CollectState, rng: np.random.Generator) -> Sequence[Proposal]:
        return [
            Proposal(label, f"a photo of a {label}", evidence={"predicted_gain": float(rng.random())})
            for label in state.classes
        ]


def square(label: str, seed: int) -> Image.Image:
    pixels = np.random.default_rng([seed, CHANNEL[label]]).integers(
        0, 60, (16, 16, 3)
    )  # nearer to its own colour than to grey
    pixels[..., CHANNEL[label]] += 100
    return Image.fromarray(pixels.astype(np.uint8))


def save(path: Path, label: str, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    square(label, seed).save(path)
    return path


@pytest.fixture(autouse=True)
def instant_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def load(name: str) -> Colours:
        if name != "colours":
            raise DesiderataError(f"No model is called {name!r}: give one of colours.")
        return Colours()

    def strategy(config: Config, encoder: object, classes: object) -> EachClass:
        return EachClass()

    monkeypatch.setitem(CollectLearner.__init__.__kwdefaults__, "tolerance", 10.0)  # any head will do
    monkeypatch.setattr(build, "load_encoder", load)
    monkeypatch.setattr(build, "_strategy", strategy)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for label in CLASSES:
        for i in range(6):
            save(tmp_path / "images" / label / f"{i}.png", label, i)
    return tmp_path / "images"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for label in CLASSES:
        for i in range(5):
            save(tmp_path / "archive" / f"{label}{i}.png", label, 100 + i)
    return tmp_path / "archive"


@pytest.fixture
def run(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["new", "run", "--images", str(images), "--encoder", "colours"]) == 0
    capsys.readouterr()
    return tmp_path / "run"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict]]:
    """Run a command with --json and return its status and what it printed."""

    def run(*words: str | Path) -> tuple[int, dict]:
        status = main([*map(str, words), "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run

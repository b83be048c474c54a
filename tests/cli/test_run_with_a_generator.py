"""`desiderata run --oracle generator`: a text-to-image model answers, and what it got wrong is told."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import CLASSES, square
from desiderata.cli import main
from desiderata.foundation.sampling import Generation, Sampling

Call = Callable[..., tuple[int, dict]]
RUN = ["--oracle", "generator", "--generator", "painter", "--device", "cuda", "--rounds", "1"]


class Painter:
    """Draws the class that the prompt names; green as if it were red, and blue blanked."""

    sampling = Sampling()

    def sample(self, prompts, seeds, *, batch):
        made = []
        for prompt, seed in zip(prompts, seeds):
            (label,) = (label for label in CLASSES if label in prompt)
            image = np.asarray(square("red" if label == "green" else label, seed % 2**32))
            made.append(Generation(image, prompt, seed, label == "blue"))
        return made


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list:
    calls = []

    def load(name: str, device: str) -> Painter:
        calls.append((name, device))
        return Painter()

    monkeypatch.setattr("desiderata.foundation.generator.load_generator", load)
    return calls


def test_what_passes_is_learnt_and_what_does_not_is_told(run: Path, call: Call, loaded: list):
    status, ran = call("run", run, *RUN)
    assert (status, loaded) == (0, [("painter", "cuda")])
    assert (ran["answered"], ran["skipped"]) == (1, 2)
    assert ran["generated"] == {"asked": 3, "drawn": 9, "failed": 4, "blanked": 4}
    assert ran["skipped_because"] == {
        "The safety checker of the generator blanked every picture": 1,
        "No picture that the generator drew looks like what was asked for": 1,
    }
    assert [one["label"] for one in ran["accepted"]] == ["red"]


def test_words_for_people(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["run", str(run), *RUN]) == 0
    assert (
        "The generator drew 9 pictures for 3 queries: 4 did not look like the class asked for and stayed out, 4 were "
        "blanked by its safety checker."
    ) in capsys.readouterr().out


def test_what_fails_may_be_kept(run: Path, call: Call):
    status, ran = call("run", run, *RUN, "--any-class")
    assert status == 0
    assert sorted(one["label"] for one in ran["accepted"]) == ["green", "red"]
    assert ran["generated"]["failed"] == 1


@pytest.mark.parametrize("options", [["--generator", "painter"], ["--device", "cuda"]])
def test_its_options_go_with_no_other_oracle(options: list[str], run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["run", str(run), "--oracle", "scene", "--rounds", "1", *options]) == 2
    assert f"{options[0]} goes with --oracle generator, and the oracle is scene" in capsys.readouterr().err

"""Which pictures an IP-Adapter is shown with their captions and references while it is trained."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.tiny_pipeline import tiny_pipeline
from contracts.trainer import references
from desiderata.errors import DesiderataError
from desiderata.foundation.generator import load_generator
from desiderata.personalize.trainers.adapter_training import DROP, picture_tower, told, train_adapter


@given(st.floats(0, 1 - 2 * DROP))
def test_as_many_are_shown_without_as_is_said(silent: float):
    said, shown = told((np.arange(2000) + 0.5) / 2000, silent)
    shares = [np.mean(rows) for rows in (~said & ~shown, said & ~shown, ~said & shown, said & shown)]
    assert shares == pytest.approx([DROP, DROP, silent, 1 - 2 * DROP - silent], abs=0.001)


def test_as_published_unless_something_else_is_said():
    """One in twenty without each, and one without both."""
    said, shown = told(np.array([0.01, 0.07, 0.11, 0.5, 0.94, 0.96]), DROP)
    assert said.tolist() == [False, False, True, True, True, True]
    assert shown.tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize("silent", [-0.1, 0.95, float("nan")])
def test_no_more_than_there_are(silent: float, tmp_path: Path):
    base = load_generator(str(tiny_pipeline(tmp_path / "tiny")))
    with pytest.raises(DesiderataError, match=r"cannot be shown without its caption: give 0 to 0.9\.$"):
        train_adapter(base, picture_tower(), references(), 0, silent=silent)

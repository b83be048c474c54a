"""Runs count once each, and what they share cancels."""

import numpy as np
import pytest

from desiderata.errors import DesiderataError
from desiderata.measure.cells import compare, summarise
from desiderata.measure.intervals import estimate

RNG = np.random.default_rng(0)
SUBJECTS = {subject: RNG.normal() for subject in ("doll", "kettle", "robot")}
A = {
    (subject, seed): {"ovf": level + RNG.normal() / 9, "txt_aln": 0.3}
    for subject, level in SUBJECTS.items()
    for seed in range(4)
}
B = {cell: {"ovf": figures["ovf"] - 0.5, "txt_aln": 0.2} for cell, figures in A.items()}


def test_each_run_counts_once():
    found = summarise(A)["ovf"]
    expected = estimate([figures["ovf"] for figures in A.values()])
    np.testing.assert_allclose([found.mean, found.low, found.n], [expected.mean, expected.low, 12])


def test_other_subjects_are_less_certain_than_other_seeds():
    by_cell, by_subject = summarise(A)["ovf"], summarise(A, by="subject")["ovf"]
    np.testing.assert_allclose(by_cell.mean, by_subject.mean)
    assert by_subject.n == 3
    assert by_subject.half_width > by_cell.half_width


@pytest.mark.parametrize("by", ["cell", "subject"])
def test_what_subjects_and_seeds_do_to_both_cancels(by):
    found = compare(A, dict(reversed(B.items())), by=by)
    np.testing.assert_allclose([found["ovf"].mean, found["ovf"].half_width], [0.5, 0], atol=1e-12)
    np.testing.assert_allclose(found["txt_aln"].mean, 0.1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: summarise({}), "Nothing was measured"),
        (lambda: compare({}, {}), "Nothing was measured"),
        (lambda: compare(A, {("doll", 0): {"ovf": 1.0}}), "doll with seed 1 is on one side only"),
        (lambda: compare({("doll", 0): {"ovf": 1.0}}, {("doll", 0): {"txt_aln": 1.0}}), "ovf was measured on one"),
        (lambda: summarise({**A, ("robot", 9): {"ovf": 1.0}}), "robot with seed 9 has other figures"),
    ],
)
def test_what_does_not_fit_together_is_refused(call, says: str):
    with pytest.raises(DesiderataError, match=says) as error:
        call()
    assert str(error.value).endswith(".")

"""Predicted gains against refits: the comparison itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from desiderata.bench.gains import PREDICTIONS, Agreement, Situation, compare, write_agreements
from desiderata.collect.classifier import HeadClassifier


class Colours:
    """Pictures by the mean colours of their quarters."""

    name, dim = "colours", 12

    def images(self, images):
        rows = np.stack(
            [np.asarray(image, float).reshape(2, 32, 2, 32, 3).mean((1, 3)).ravel() - 127.3 for image in images]
        )
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


SMALL = Situation("random", 24, 0.1, candidates=4, validation=12)


def test_predictions_are_compared_with_what_a_refit_from_scratch_brings(monkeypatch: pytest.MonkeyPatch):
    from desiderata.bench import gains

    one = compare(SMALL, 3, Colours(), tolerance=1e-9)
    train, validation, new = gains._random(SMALL, 3)

    def loss(X, y):
        head = HeadClassifier(l2=0.1, tolerance=1e-9, max_iterations=2000, seed=3).fit(X, y)
        return -np.log(head.predict_proba(validation.features)[np.arange(12), validation.labels]).mean()

    before = loss(train.features, train.labels)
    for point, label, realised in zip(new.features, new.labels, one.realised, strict=True):
        after = loss(np.vstack([train.features, point]), np.append(train.labels, label))
        assert realised == pytest.approx(before - after, abs=1e-7)
    assert set(one.predicted) == set(PREDICTIONS)
    assert all(len(gains) == 4 for gains in one.predicted.values())


def test_a_setting_of_the_world_is_compared_too():
    one = compare(Situation("narrow", 20, 0.1, candidates=10, validation=10), 0, Colours())
    assert len(one.realised) == 10
    assert one.error("proximal refit") < one.error("first order")


def test_measures_know_a_perfect_prediction_and_its_reverse(tmp_path: Path):
    realised = (0.1, 0.3, -0.2, 0.4)
    reverse = tuple(-gain for gain in realised)
    predicted = dict.fromkeys(PREDICTIONS, realised) | {"first order": reverse}
    one = Agreement(SMALL, 0, realised, predicted)
    assert one.spearman("proximal refit") == pytest.approx(1)
    assert one.spearman("first order") == pytest.approx(-1)
    assert one.error("proximal refit") == 0
    assert one.error("first order") == pytest.approx(2)
    text = write_agreements([one], tmp_path)
    assert "| random | 24 | 0.1 | -1.000 (-1.000) | 200% | 1.000 (1.000) | 0% | 1.000 (1.000) | 0% |" in text
    [kept] = json.loads((tmp_path / "gains.json").read_text())
    assert kept["realised"] == list(realised)
    assert kept["situation"]["n"] == 24

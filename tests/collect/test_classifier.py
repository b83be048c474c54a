import warnings

import numpy as np
import pytest
import torch
from head_cases import blobs, dense_hessian, make_case, mean_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from desiderata.collect.classifier import HeadClassifier
from desiderata.errors import DesiderataError


@parametrize_with_checks([HeadClassifier(hidden=(4, 4), tolerance=1e-9)])
def test_keeps_scikit_learns_contract(estimator, check):
    # Checks on unscaled data stop short of the tolerance and say so, as they should.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
@pytest.mark.parametrize("seed", range(3))
def test_goes_to_the_stated_gradient_norm_of_the_stated_objective(activation, seed):
    case = make_case(seed, activation=activation, tolerance=1e-9)
    head = case.classifier
    gradient = mean_gradient(head, case.X, case.y) + head.l2 * (head.theta_ - head.centre_)
    assert gradient.norm() < 1e-9
    assert head.gradient_norm_ == pytest.approx(float(gradient.norm()), abs=1e-11)
    assert torch.linalg.eigvalsh(dense_hessian(head, case.X, case.y))[0] > 0  # a minimum, not a saddle


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(3, 40),
    d=st.integers(1, 9),
    n_classes=st.integers(2, 5),
    hidden=st.lists(st.integers(1, 6), min_size=0, max_size=3),
    seed=st.integers(0, 1000),
)
def test_fits_any_shape(n, d, n_classes, hidden, seed):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, n, rng.normal(size=(n_classes, d)), 0.5)
    head = HeadClassifier(hidden=tuple(hidden), seed=seed, l2=1e-2).fit(X, y, classes=np.arange(n_classes))
    assert head.gradient_norm_ <= head.tolerance
    assert head.predict_proba(X).shape == (n, n_classes)
    np.testing.assert_allclose(head.predict_proba(X).sum(1), 1)


def test_warns_when_it_stops_short():
    with pytest.warns(ConvergenceWarning, match="raise max_iterations or l2"):
        make_case(0, max_iterations=2)


def test_depends_on_the_seed_and_nothing_else():
    first = make_case(3).classifier.theta_
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(make_case(3).classifier.theta_, first)
    assert not torch.equal(HeadClassifier(hidden=(5, 4), seed=4).fit(*make_case(3).data[:2]).theta_[:5], first[:5])


def test_a_warm_start_reaches_the_same_objective_in_fewer_steps():
    case = make_case(0, n=60, hidden=(16, 16), tolerance=1e-8)
    X, y = np.concatenate([case.X, case.X_new[:3]]), np.concatenate([case.y, case.y_new[:3]])
    cold = HeadClassifier(hidden=(16, 16), l2=1e-2, tolerance=1e-8).fit(X, y)
    warm = case.classifier.set_params(warm_start=True)
    warm.fit(X, y)
    assert warm.n_iter_ < cold.n_iter_ / 2
    assert warm.gradient_norm_ <= 1e-8
    value, _ = warm.objective(X, y).value_and_gradient(warm.theta_)
    other, _ = cold.objective(X, y).value_and_gradient(cold.theta_)
    assert float(value) == pytest.approx(float(other), rel=1e-6)


def test_weights_count_as_repetitions():
    case = make_case(1)
    weights = np.random.default_rng(0).integers(0, 4, len(case.y))
    repeated = np.repeat(np.arange(len(case.y)), weights)
    head = HeadClassifier(hidden=(5, 4), l2=1e-2, tolerance=1e-9)
    weighted = head.fit(case.X, case.y, sample_weight=weights).predict_proba(case.X_val)
    np.testing.assert_allclose(
        weighted, head.fit(case.X[repeated], case.y[repeated]).predict_proba(case.X_val), atol=1e-6
    )


def test_knows_classes_that_it_has_not_seen():
    case = make_case(2)
    head = HeadClassifier(hidden=(5,)).fit(case.X, case.y, classes=[0, 1, 2, 7])
    assert head.classes_.tolist() == [0, 1, 2, 7]
    assert head.predict_proba(case.X).shape == (len(case.X), 4)
    assert set(head.predict(case.X)) <= {0, 1, 2, 7}


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        ({"l2": 0}, {}, "l2 is 0"),
        ({"tolerance": 0}, {}, "tolerance is 0"),
        ({"hidden": (5, 0)}, {}, "at least one unit"),
        ({"activation": "relu"}, {}, "must be one of"),
        ({}, {"classes": [0, 1]}, "label 2 is not among the classes"),
    ],
)
def test_says_what_is_wrong(parameters, arguments, message):
    case = make_case(0)
    with pytest.raises(DesiderataError, match=message):
        HeadClassifier(**parameters).fit(case.X, case.y, **arguments)
    with pytest.raises(DesiderataError, match="No sample weight is above zero"):
        case.classifier.objective(case.X, case.y, np.zeros(len(case.y)))

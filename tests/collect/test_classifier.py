import warnings

import numpy as np
import pytest
import torch
from head_cases import blobs, dense_hessian, make_case, mean_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning, NotFittedError
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
        ({"l2": "0.1"}, {}, "l2 is '0.1', but must be a number above 0"),
        ({"l2": None}, {}, "l2 is None"),
        ({"l2": True}, {}, "l2 is True"),
        ({"l2": float("inf")}, {}, "l2 is inf"),
        ({"tolerance": 0}, {}, "tolerance is 0"),
        ({"tolerance": "tight"}, {}, "tolerance is 'tight'"),
        ({"hidden": (5, 0)}, {}, "at least one unit"),
        ({"hidden": (5, 4.5)}, {}, "at least one unit"),
        ({"hidden": 64}, {}, "hidden is 64"),
        ({"hidden": "64"}, {}, "hidden is '64'"),
        ({"max_iterations": 0}, {}, "max_iterations is 0, but must be a whole number of at least 1"),
        ({"max_iterations": 2.5}, {}, "max_iterations is 2.5"),
        ({"seed": None}, {}, "seed is None"),
        ({"seed": -1}, {}, "seed is -1"),
        ({"seed": 2**64}, {}, "seed is 18446744073709551616"),
        ({"activation": "relu"}, {}, "must be one of"),
        ({"activation": ["tanh"]}, {}, "must be one of"),
        ({}, {"classes": [0, 1]}, "label 2 is not among the classes"),
    ],
)
def test_says_what_is_wrong(parameters, arguments, message):
    case = make_case(0)
    with pytest.raises(DesiderataError, match=message):
        HeadClassifier(**parameters).fit(case.X, case.y, **arguments)
    with pytest.raises(DesiderataError, match="No sample weight is above zero"):
        case.classifier.objective(case.X, case.y, np.zeros(len(case.y)))


def test_numpys_numbers_are_numbers():
    case = make_case(0)
    plain = HeadClassifier(hidden=(5, 4), l2=0.125, seed=3).fit(case.X, case.y)
    numpys = HeadClassifier(
        hidden=np.array([5, 4]), l2=np.float32(0.125), seed=np.int64(3), max_iterations=np.int32(500)
    )
    assert torch.equal(numpys.fit(case.X, case.y).theta_, plain.theta_)


def attributes(head):
    return {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in vars(head).items()}


def same(head, before):
    return vars(head).keys() == before.keys() and all(
        torch.equal(value, before[name]) if isinstance(value, torch.Tensor) else value is before[name]
        for name, value in vars(head).items()
    )


def refused_calls(case):
    """Calls that are refused at every stage of checking, on data of another width and with another set of classes."""
    wide = np.hstack([case.X, case.X])
    return {
        "label": lambda head: head.fit(wide, case.y, classes=[0, 1]),
        "target": lambda head: head.fit(wide, case.y + 0.5),
        "weights": lambda head: head.fit(wide, case.y, sample_weight=-np.ones(len(case.y)), classes=range(5)),
        "hollow": lambda head: head.fit(np.full_like(wide, np.nan), case.y),
        "restore": lambda head: head.restore(np.zeros(7), 12, range(5)),
    }


@pytest.mark.parametrize("name", refused_calls(make_case(0)))
def test_a_call_that_is_refused_leaves_the_head_as_it_was(name):
    case = make_case(0)
    refused, fitted, fresh = refused_calls(case)[name], case.classifier, HeadClassifier(hidden=(5, 4))
    before, said = attributes(fitted), fitted.predict_proba(case.X_val)
    for head in (fitted, fresh):
        with pytest.raises((DesiderataError, ValueError)):
            refused(head)
    assert same(fitted, before)
    np.testing.assert_array_equal(fitted.predict_proba(case.X_val), said)
    assert vars(fresh) == vars(HeadClassifier(hidden=(5, 4)))
    for ask in (lambda: fresh.predict(case.X), lambda: fresh.objective(case.X, case.y), lambda: fresh.one_hot([0])):
        with pytest.raises(NotFittedError):
            ask()


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "fitted before"])
def test_a_restored_head_is_the_fitted_one_to_the_bit(used):
    case = make_case(0, activation="softplus")
    fitted = case.classifier
    head = HeadClassifier(**fitted.get_params())
    if used:
        head.fit(np.hstack([case.X, case.X]), case.y, classes=range(5))
    given = fitted.theta_.numpy().copy()
    restored = head.restore(given, 6, fitted.classes_, gradient_norm=fitted.gradient_norm_, n_iter=fitted.n_iter_)
    assert restored is head
    given[:] = 0  # it keeps a copy
    assert torch.equal(head.theta_, fitted.theta_)
    assert torch.equal(head.centre_, fitted.centre_)
    assert (head.network_, head.n_features_in_) == (fitted.network_, 6)
    assert (head.gradient_norm_, head.n_iter_) == (fitted.gradient_norm_, fitted.n_iter_)
    np.testing.assert_array_equal(head.predict_proba(case.X_val), fitted.predict_proba(case.X_val))
    again = [one.set_params(warm_start=True).fit(case.X_new, case.y_new).theta_ for one in (head, fitted)]
    assert torch.equal(*again)


def test_nobody_knows_how_well_weights_of_unknown_origin_were_fitted():
    case = make_case(0)
    head = HeadClassifier(hidden=(5, 4)).restore(case.classifier.theta_, 6, range(3))
    assert np.isnan(head.gradient_norm_)
    assert head.n_iter_ == 0


def test_weights_of_another_head_are_not_restored():
    case = make_case(0)
    with pytest.raises(DesiderataError, match=r"those of another head: \(74,\) of them where 77 belong"):
        HeadClassifier(hidden=(5, 5)).restore(case.classifier.theta_, 6, range(2))

from functools import cache

import numpy as np
import pytest
import torch
from head_cases import (
    curvature,
    dense_gauss_newton,
    dense_hessian,
    jacobian,
    logits,
    make_case,
    mean_gradient,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.exceptions import NotFittedError
from torch.func import grad, jacrev

from desiderata.collect.classifier import HeadClassifier
from desiderata.collect.fitting import minimise
from desiderata.collect.influence import predicted_gain, validation_direction, validation_gradient
from desiderata.collect.linearised import LinearisedHead
from desiderata.collect.lookahead import predicted_gain_proximal, residual_after, variance_gain
from desiderata.collect.synthesis import synthesise
from desiderata.errors import DesiderataError


def joined(case, i):
    """The training set with candidate i."""
    return np.concatenate([case.X, case.X_new[i : i + 1]]), np.append(case.y, case.y_new[i])


def realised_gains(case, tolerance):
    """What every candidate brings when the head is really refitted."""
    before, gains = case.validation_loss(case.classifier.theta_), []
    for i in range(len(case.y_new)):
        objective = case.classifier.objective(*joined(case, i))
        theta, norm, _ = minimise(objective, case.classifier.theta_, tolerance, 300)
        assert norm <= tolerance
        gains.append(before - case.validation_loss(theta))
    return np.array(gains)


@settings(max_examples=10, deadline=None)
@given(
    n=st.integers(4, 30),
    d=st.integers(2, 8),
    n_classes=st.integers(2, 4),
    n_new=st.integers(1, 5),
    damping=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 100),
)
def test_first_order_scores_are_the_formulas_written_out(n, d, n_classes, n_new, damping, seed):
    case = make_case(seed, n=n, d=d, n_classes=n_classes, n_new=n_new)
    head = case.classifier
    matrix = dense_gauss_newton(head, case.X, head.l2 + damping)
    s = torch.linalg.solve(matrix, mean_gradient(head, case.X_val, case.y_val))
    # Entries of one vector of length up to about ten, so that the small ones carry the rounding of the large ones.
    np.testing.assert_allclose(validation_direction(head, *case.data, damping=damping), s, rtol=1e-6, atol=1e-7)

    gains = predicted_gain(head, *case.data, case.X_new, case.y_new, damping=damping)
    average = mean_gradient(head, case.X, case.y)
    expected = [
        s @ (mean_gradient(head, case.X_new[i : i + 1], case.y_new[i : i + 1]) - average) / (n + 1)
        for i in range(n_new)
    ]
    np.testing.assert_allclose(gains, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        predicted_gain(head, *case.data, case.X_new, case.y_new, direction=s.numpy()), expected, rtol=1e-6, atol=1e-9
    )

    def pull(x):
        loss = lambda t: torch.nn.functional.cross_entropy(logits(head, t, x), torch.from_numpy(case.y[:3]))  # noqa: E731
        return -3 * grad(loss)(head.theta_) @ s / n

    slopes = validation_gradient(head, *case.data, case.X[:3], case.y[:3], damping=damping)
    np.testing.assert_allclose(slopes, jacrev(pull)(torch.from_numpy(case.X[:3])), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_moving_a_training_point_changes_the_validation_loss_as_predicted(seed):
    case, j, h = make_case(seed), 3, 1e-4
    push = np.random.default_rng(seed).normal(size=case.X.shape[1])
    slope = validation_gradient(case.classifier, *case.data, case.X[[j]], case.y[[j]], hessian="exact")[0] @ push
    losses = []
    for sign in (1, -1):
        X = case.X.copy()
        X[j] += sign * h * push
        losses.append(case.validation_loss(case.refit(X, case.y)))
    assert slope == pytest.approx((losses[0] - losses[1]) / (2 * h), rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_moving_a_point_with_a_head_of_its_own_changes_the_validation_loss_as_predicted(seed):
    case, h = make_case(seed), 1e-4
    points, labels = case.X_new[:3], case.y_new[:3]
    thetas = torch.stack([case.refit(*joined(case, i)) for i in range(3)])
    slopes = validation_gradient(case.classifier, *case.data, points, labels, thetas=thetas, hessian="exact")
    push = np.random.default_rng(seed).normal(size=points.shape)
    for i in range(3):
        losses = []
        for sign in (1, -1):
            X, y = joined(case, i)
            X[-1] += sign * h * push[i]
            theta, _, _ = minimise(case.classifier.objective(X, y), thetas[i], 1e-10, 300)
            losses.append(case.validation_loss(theta))
        assert slopes[i] @ push[i] == pytest.approx((losses[0] - losses[1]) / (2 * h), rel=0.01)


def test_a_small_step_against_the_gradient_descends_and_the_papers_plus_sign_ascends():
    for seed in range(3):
        case = make_case(seed)
        slopes = validation_gradient(case.classifier, *case.data, case.X, case.y, hessian="exact")
        before = case.validation_loss(case.classifier.theta_)
        alpha = 1e-2 / np.linalg.norm(slopes)
        descended = case.validation_loss(case.refit(case.X - alpha * slopes, case.y))
        ascended = case.validation_loss(case.refit(case.X + alpha * slopes, case.y))
        predicted = alpha * (slopes**2).sum()
        assert before - descended == pytest.approx(predicted, rel=0.1)
        assert ascended - before == pytest.approx(predicted, rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_a_point_of_small_weight_brings_what_is_predicted(seed):
    case, h, n = make_case(seed), 1e-4, 24
    gains = predicted_gain(case.classifier, *case.data, case.X_new[:4], case.y_new[:4], hessian="exact")
    for i in range(4):
        X, y = joined(case, i)
        theta = case.refit(X, y, np.append(np.ones(n), h))
        realised = case.validation_loss(case.classifier.theta_) - case.validation_loss(theta)
        # Weight h of n + h, where `predicted_gain` has weight 1 of n + 1.
        assert gains[i] * (n + 1) * h / (n + h) == pytest.approx(realised, rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_gains_of_whole_points_are_ranked_as_they_are_realised(seed):
    case = make_case(
        seed,
        n=400,
        d=16,
        n_classes=4,
        n_val=100,
        n_new=30,
        hidden=(64, 64),
        l2=0.03,
        noise=0.7,
        flipped=0.3,
        tolerance=1e-7,
    )
    realised = realised_gains(case, 1e-7)
    for hessian in ("gauss-newton", "exact"):
        predicted = predicted_gain(case.classifier, *case.data, case.X_new, case.y_new, hessian=hessian)
        assert spearmanr(predicted, realised).statistic >= 0.95


def test_gains_of_few_data_have_the_right_size_only_after_a_refit():
    case = make_case(0, n=40, d=16, n_val=60, n_new=20, hidden=(32, 32), l2=1e-3, flipped=0.3, tolerance=1e-6)
    realised = realised_gains(case, 1e-6)
    first = predicted_gain(case.classifier, *case.data, case.X_new, case.y_new)
    proximal = predicted_gain_proximal(case.classifier, *case.data, case.X_new, case.y_new)
    assert np.abs(proximal - realised).mean() < np.abs(first - realised).mean() / 5
    assert np.corrcoef(proximal, realised)[0, 1] > 0.8


def test_weights_count_as_repetitions():
    case = make_case(1)
    weights = np.random.default_rng(0).integers(1, 4, len(case.y))
    repeated = np.repeat(np.arange(len(case.y)), weights)
    head = case.classifier.fit(case.X, case.y, weights)
    thin = (case.X, case.y, case.X_val)
    thick = (case.X[repeated], case.y[repeated], case.X_val)
    new = (case.X_new, case.y_new)
    for score in (predicted_gain, predicted_gain_proximal, validation_gradient):
        np.testing.assert_allclose(
            score(head, *thin, case.y_val, *new, sample_weight=weights),
            score(head, *thick, case.y_val, *new),
            rtol=1e-3,
            atol=1e-5,
        )
    np.testing.assert_allclose(
        variance_gain(head, *thin, case.X_new, sample_weight=weights),
        variance_gain(head, *thick, case.X_new),
        rtol=1e-3,
    )


def brute_proximal(case, damping):
    """Minimise the proximal objective over all of theta, in the head linearised by automatic differentiation."""
    head, n = case.classifier, len(case.X)
    size = len(head.theta_)
    curved = dense_gauss_newton(head, case.X, 0.0) * n / (n + 1) + (head.l2 + damping) * torch.eye(size)
    average = mean_gradient(head, case.X, case.y)
    j_new, f_new = jacobian(head, case.X_new), logits(head, head.theta_, torch.from_numpy(case.X_new))
    j_val, f_val = jacobian(head, case.X_val), logits(head, head.theta_, torch.from_numpy(case.X_val))
    y_val, gains = torch.from_numpy(case.y_val), []
    for j, f, y in zip(j_new, f_new, torch.from_numpy(case.y_new), strict=True):
        delta = torch.zeros(size, dtype=torch.float64)
        for _ in range(200):
            p = (f + j @ delta).softmax(-1)
            slope = (n + 1) * curved @ delta - average + j.T @ (p - torch.eye(len(p))[y])
            bend = (n + 1) * curved + j.T @ (torch.diag(p) - torch.outer(p, p)) @ j
            delta = delta - min(1.0, 0.3 / slope.norm() ** 0.5) * torch.linalg.solve(bend, slope)
        assert slope.norm() < 1e-8
        moved = torch.nn.functional.cross_entropy(f_val + j_val @ delta, y_val)
        gains.append(float(torch.nn.functional.cross_entropy(f_val, y_val) - moved))
    return gains


@pytest.mark.parametrize(("seed", "damping"), [(0, 0.0), (1, 0.1)])
def test_the_proximal_gain_is_that_of_the_minimiser_over_all_parameters(seed, damping):
    case = make_case(seed, n_new=5, flipped=0.5)
    gains = predicted_gain_proximal(case.classifier, *case.data, case.X_new, case.y_new, damping=damping)
    np.testing.assert_allclose(gains, brute_proximal(case, damping), rtol=1e-3, atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(n_classes=st.integers(2, 4), hidden=st.lists(st.integers(2, 6), max_size=2), seed=st.integers(0, 100))
def test_the_variance_gain_is_the_fall_of_the_trace(n_classes, hidden, seed):
    case = make_case(seed, n_classes=n_classes, hidden=tuple(hidden), n_new=4)
    head, n = case.classifier, len(case.X)
    precision = n * dense_gauss_newton(head, case.X, head.l2)
    validation = dense_gauss_newton(head, case.X_val, 0.0)
    j, bend = jacobian(head, case.X_new), curvature(head, case.X_new)
    expected = [
        torch.trace(
            validation @ (torch.linalg.inv(precision) - torch.linalg.inv(precision + j[i].T @ bend[i] @ j[i]))
        )
        / 2
        for i in range(4)
    ]
    gains = variance_gain(head, case.X, case.y, case.X_val, case.X_new)
    np.testing.assert_allclose(gains, expected, rtol=1e-2, atol=1e-7)
    if not hidden:
        last = variance_gain(head, case.X, case.y, case.X_val, case.X_new, last_layer=True)
        np.testing.assert_allclose(last, gains, rtol=1e-3, atol=1e-8)


def test_the_last_layer_alone_leaves_less_doubt_to_remove():
    case = make_case(0, n_new=8)
    whole = variance_gain(case.classifier, case.X, case.y, case.X_val, case.X_new)
    last = variance_gain(case.classifier, case.X, case.y, case.X_val, case.X_new, last_layer=True)
    assert (last > 0).all()
    assert last.sum() < whole.sum()


@pytest.mark.parametrize(("room", "most"), [(1, 1), (200, 3)])
def test_candidates_are_priced_as_many_at_a_time_as_there_is_room_for(room, most, monkeypatch: pytest.MonkeyPatch):
    case, pushed = make_case(0), []  # 20 validation points, 3 classes

    def respond(head, points, sources, push):
        pushed.append(push.shape[1])
        return response(head, points, sources, push)

    response = LinearisedHead.response
    monkeypatch.setattr(LinearisedHead, "response", respond)
    whole = predicted_gain_proximal(case.classifier, *case.data, case.X_new, case.y_new)
    doubt = variance_gain(case.classifier, case.X, case.y, case.X_val, case.X_new)
    assert pushed == [12, 12]
    monkeypatch.setattr("desiderata.collect.network.ROOM", room)
    few = predicted_gain_proximal(case.classifier, *case.data, case.X_new, case.y_new)
    assert pushed[2:] == [most] * (12 // most)
    np.testing.assert_allclose(few, whole, rtol=1e-4, atol=1e-7)
    few = variance_gain(case.classifier, case.X, case.y, case.X_val, case.X_new)
    np.testing.assert_allclose(few, doubt, rtol=1e-4, atol=1e-8)


def test_no_candidates_bring_nothing():
    case = make_case(0)
    nothing = case.X_new[:0], case.y_new[:0]
    assert predicted_gain(case.classifier, *case.data, *nothing).shape == (0,)
    assert predicted_gain_proximal(case.classifier, *case.data, *nothing).shape == (0,)
    assert variance_gain(case.classifier, case.X, case.y, case.X_val, case.X_new[:0]).shape == (0,)
    assert validation_gradient(case.classifier, *case.data, *nothing).shape == (0, 6)


def test_the_exact_hessian_is_refused_where_it_is_indefinite():
    case = make_case(0, n=60, hidden=(16, 16), l2=1e-3)
    head = case.classifier
    head.theta_ = head.centre_.clone()  # far from any minimum
    matrix = dense_hessian(head, case.X, case.y)
    assert torch.linalg.eigvalsh(matrix)[0] < 0
    with pytest.raises(DesiderataError, match="not positive definite"):
        validation_direction(head, *case.data, hessian="exact")
    assert np.isfinite(validation_direction(head, *case.data)).all()


def test_unknown_labels_and_hopeless_kernels_are_named():
    case = make_case(0)
    with pytest.raises(DesiderataError, match="label 9 is not among"):
        predicted_gain(case.classifier, *case.data, case.X_new[:1], [9])
    wild = torch.full((1, 3, 3), float("nan"), dtype=torch.float64)
    with pytest.raises(DesiderataError, match="add damping"):
        residual_after(torch.zeros(1, 3, dtype=torch.float64), wild, torch.eye(3, dtype=torch.float64)[:1], 3)


@cache
def small_case():
    """A case that nobody changes."""
    return make_case(0)


def hollow(rows):
    """The rows, with one number missing."""
    rows = rows.copy()
    rows[1, 2] = np.nan
    return rows


def scores(**changed):
    """Every public prediction on the data of the small case with some of them changed, ready to be called."""
    case = small_case()
    given = {
        "head": case.classifier,
        "X": case.X,
        "y": case.y,
        "X_val": case.X_val,
        "y_val": case.y_val,
        "X_new": case.X_new,
        "y_new": case.y_new,
        **changed,
    }
    head, X, y, X_val, y_val, X_new, y_new = (
        given.pop(name) for name in ("head", "X", "y", "X_val", "y_val", "X_new", "y_new")
    )
    return {
        "direction": lambda: validation_direction(head, X, y, X_val, y_val, **given),
        "gain": lambda: predicted_gain(head, X, y, X_val, y_val, X_new, y_new, **given),
        "gradient": lambda: validation_gradient(head, X, y, X_val, y_val, X_new, y_new, **given),
        "proximal": lambda: predicted_gain_proximal(head, X, y, X_val, y_val, X_new, y_new, **given),
        "variance": lambda: variance_gain(head, X, y, X_val, X_new, **given),
        "synthesis": lambda: synthesise(head, X, y, X_val, y_val, steps=1, **given),
    }


ALL = ("direction", "gain", "gradient", "proximal", "variance", "synthesis")
CANDIDATES = ("gain", "gradient", "proximal")
MISUSE = {
    "too few labels": (ALL, lambda c: {"y": c.y[:1]}, r"shape \(1,\): give one for each of 24 points"),
    "labels in a column": (ALL, lambda c: {"y": c.y[:, None]}, r"shape \(24, 1\): give one for each"),
    "too many validation labels": (
        ("direction", "gain", "gradient", "proximal", "synthesis"),
        lambda c: {"y_val": np.append(c.y_val, 0)},
        "one for each of 20 points",
    ),
    "too few candidate labels": (CANDIDATES, lambda c: {"y_new": c.y_new[:1]}, "one for each of 12 points"),
    "hollow training": (ALL, lambda c: {"X": hollow(c.X)}, "Row 1 of the features is not finite"),
    "hollow validation": (ALL, lambda c: {"X_val": hollow(c.X_val)}, "Row 1 of the features is not finite"),
    "hollow candidates": (
        (*CANDIDATES, "variance"),
        lambda c: {"X_new": hollow(c.X_new)},
        "Row 1 of the features is not finite",
    ),
    "no validation": (
        ALL,
        lambda c: {"X_val": c.X_val[:0], "y_val": c.y_val[:0]},
        "0 points were given where at least 1 is needed",
    ),
    "no training": (ALL, lambda c: {"X": c.X[:0], "y": c.y[:0]}, "0 points were given where at least 1 is needed"),
    "narrow training": (ALL, lambda c: {"X": c.X[:, :5]}, r"shape \(24, 5\), but the head was fitted on points of 6"),
    "narrow validation": (ALL, lambda c: {"X_val": c.X_val[:, :5]}, "fitted on points of 6 numbers"),
    "narrow candidates": ((*CANDIDATES, "variance"), lambda c: {"X_new": c.X_new[:, :5]}, "fitted on points of 6"),
    "one point alone": ((*CANDIDATES, "variance"), lambda c: {"X_new": c.X_new[0]}, r"shape \(6,\)"),
    "words": (ALL, lambda c: {"X": [["a"]]}, "not an array of numbers"),
    "negative weights": (ALL, lambda c: {"sample_weight": np.r_[-1.0, np.ones(23)]}, "not negative"),
    "hollow weights": (ALL, lambda c: {"sample_weight": np.r_[np.nan, np.ones(23)]}, "must be finite"),
    "too few weights": (ALL, lambda c: {"sample_weight": [1.0]}, r"shape \(1,\) came with 24 points"),
    "negative damping": (ALL, lambda c: {"damping": -1.0}, "damping is -1.0, but must be a number at least 0"),
    "no damping": (ALL, lambda c: {"damping": None}, "damping is None"),
    "misspelt hessian": (
        ("direction", "gain", "gradient", "synthesis"),
        lambda c: {"hessian": "gauss_newton"},
        "no hessian called 'gauss_newton': choose from gauss-newton, exact",
    ),
    "another direction": (("gain",), lambda c: {"direction": np.zeros(3)}, r"direction have the shape \(3,\)"),
    "hollow direction": (("gain",), lambda c: {"direction": np.full(74, np.nan)}, "direction are not finite"),
    "too few heads": (("gradient",), lambda c: {"thetas": np.zeros((1, 74))}, r"thetas have the shape \(1, 74\)"),
}


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [(name, change, says) for names, change, says in MISUSE.values() for name in names],
    ids=[f"{misuse}-{name}" for misuse, (names, _, _) in MISUSE.items() for name in names],
)
def test_data_that_do_not_fit_are_refused_rather_than_stretched(name, change, says):
    with pytest.raises(DesiderataError, match=says) as error:
        scores(**change(small_case()))[name]()
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ALL)
def test_a_head_that_is_not_fitted_says_so(name):
    with pytest.raises(NotFittedError):
        scores(head=HeadClassifier())[name]()


def test_labels_of_another_kind_are_no_classes():
    case = make_case(0)
    for label in ("cat", None):
        with pytest.raises(DesiderataError, match=f"label {label!r} is not among the classes"):
            case.classifier.one_hot([label])

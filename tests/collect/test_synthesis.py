import dataclasses

import numpy as np
import pytest
import torch
from head_cases import make_case

from desiderata.collect.curvature import GaussNewton
from desiderata.collect.fitting import minimise
from desiderata.collect.heads import Heads
from desiderata.collect.influence import validation_gradient
from desiderata.collect.synthesis import synthesise
from desiderata.errors import DesiderataError

EXACT = {"hessian": "exact", "tolerance": 1e-8, "solve_tolerance": 1e-6}


def class_means(case):
    means = np.stack([case.X[case.y == label].mean(0) for label in case.classifier.classes_])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def refitted_losses(case, points):
    """Validation losses of heads refitted on the training set and one point each, from the case's own optimum."""
    losses = []
    for point, label in zip(points, case.classifier.classes_, strict=True):
        theta = case.refit(np.concatenate([case.X, point[None]]), np.append(case.y, label))
        losses.append(case.validation_loss(theta))
    return np.array(losses)


@pytest.mark.parametrize("seed", range(3))
def test_the_path_descends_by_what_it_predicts(seed):
    case = make_case(seed, hidden=(12, 10))
    found = synthesise(case.classifier, *case.data, steps=20, step_size=0.01, **EXACT)
    change = refitted_losses(case, found.points) - refitted_losses(case, class_means(case))
    assert (change < 0).all()
    np.testing.assert_allclose(found.predicted_change, change, rtol=0.01)
    np.testing.assert_allclose(found.losses[-1] - found.losses[0], change, rtol=0.01)
    assert (np.diff(found.losses, axis=0) < 0).all()


def test_the_papers_plus_sign_ascends():
    for seed in range(3):
        case = make_case(seed)
        points, losses = class_means(case), [refitted_losses(case, class_means(case))]
        for _ in range(3):
            thetas = torch.stack(
                [
                    case.refit(np.concatenate([case.X, x[None]]), np.append(case.y, label))
                    for x, label in zip(points, case.classifier.classes_, strict=True)
                ]
            )
            slopes = validation_gradient(
                case.classifier, *case.data, points, case.classifier.classes_, thetas=thetas, hessian="exact"
            )
            points = points + 1e-2 * slopes * len(case.X)  # x* <- x* + alpha delta, as printed
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            losses.append(refitted_losses(case, points))
        assert (np.diff(losses, axis=0) > 0).all()


def test_every_head_in_use_is_a_minimiser_and_every_s_a_solution():
    case = make_case(1, hidden=(12, 10))
    objective = case.objective()
    y = case.classifier.one_hot(case.classifier.classes_)
    heads = Heads(
        objective,
        case.classifier.objective(case.X_val, case.y_val),
        case.classifier.theta_,
        y,
        hessian="gauss-newton",
        damping=0.01,
        tolerance=1e-6,
        solve_tolerance=1e-5,
    )
    x, rng = torch.from_numpy(class_means(case)), np.random.default_rng(0)
    for size in (0.0, 1e-7, 1e-3, 0.3):
        x = x + size * torch.from_numpy(rng.normal(size=x.shape))
        standing = heads.at(x)
        for row in range(len(x)):
            own = objective.with_point(x[row], y[row])
            gradient = own.value_and_gradient(heads.theta[row])[1].norm()
            assert float(standing.gradient_norm[row]) == pytest.approx(float(gradient), abs=1e-12)
            assert gradient <= 1e-6
            curved = GaussNewton(own.linearise(heads.theta[row]), own.weights, own.l2, 0.01)
            missing = heads.towards[row] - curved.product(heads.s[row])
            assert missing.norm() <= 1e-5 * heads.towards[row].norm()
        expected = validation_gradient(
            case.classifier, *case.data, x, case.classifier.classes_, thetas=heads.theta, damping=0.01
        )
        np.testing.assert_allclose(standing.slope / heads.total, expected, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("hessian", ["gauss-newton", "exact"])
def test_heads_taken_one_at_a_time_are_those_taken_together(hessian, monkeypatch: pytest.MonkeyPatch):
    case = make_case(1, hidden=(12, 10))
    options = {"steps": 3, "step_size": 0.05, "normalised": True, "tolerance": 1e-6, "solve_tolerance": 1e-5}
    together = synthesise(case.classifier, *case.data, hessian=hessian, damping=0.01, **options)
    monkeypatch.setattr("desiderata.collect.network.ROOM", 1)
    alone = synthesise(case.classifier, *case.data, hessian=hessian, damping=0.01, **options)
    np.testing.assert_allclose(alone.points, together.points, atol=1e-5)
    np.testing.assert_allclose(alone.losses, together.losses, atol=1e-5)
    np.testing.assert_array_equal(alone.refits, together.refits)


def test_small_steps_need_few_refits():
    case = make_case(0, n=90, hidden=(12, 10), tolerance=1e-6)
    found = synthesise(case.classifier, *case.data, steps=200, step_size=1e-4)
    assert found.refits.max() < 50
    assert found.gradient_norms.max() <= 1e-4
    tight = synthesise(case.classifier, *case.data, steps=200, step_size=1e-4, tolerance=1e-7, solve_tolerance=1e-5)
    np.testing.assert_allclose(found.displacement, tight.displacement, rtol=0.02)


def test_says_where_it_went():
    case = make_case(0)
    found = synthesise(case.classifier, *case.data, steps=5)
    assert found.targets.tolist() == case.classifier.classes_.tolist()
    assert found.losses.shape == (6, 3)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 1)
    np.testing.assert_allclose(found.displacement, np.linalg.norm(found.points - class_means(case), axis=1))


def test_no_steps_stay_at_the_class_means():
    case = make_case(0)
    found = synthesise(case.classifier, *case.data, steps=0)
    np.testing.assert_allclose(found.points, class_means(case))
    assert not found.displacement.any()
    assert not found.predicted_change.any()


def test_normalised_steps_are_as_long_as_asked():
    case = make_case(0)
    found = synthesise(case.classifier, *case.data, steps=1, step_size=0.05, normalised=True)
    np.testing.assert_allclose(found.displacement, 2 * np.sin(np.arctan(0.05) / 2), rtol=1e-9)
    raw = synthesise(case.classifier, *case.data, steps=1, step_size=1e-4)
    straight = (found.points - class_means(case)) * (raw.points - class_means(case))
    np.testing.assert_allclose(straight.sum(1), found.displacement * raw.displacement, rtol=1e-2)


def test_each_point_stops_when_its_gain_does():
    case = make_case(1)
    arguments = {"steps": 30, "step_size": 0.1, "normalised": True, "tolerance": 1e-7}
    free = synthesise(case.classifier, *case.data, **arguments)
    found = synthesise(case.classifier, *case.data, **arguments, until_gain_stops=True)
    assert (np.diff(found.losses, axis=0) <= 0).all()
    for point in range(3):
        rises = np.flatnonzero(np.diff(free.losses[:, point]) >= 0)
        stop = rises[0] if len(rises) else 30
        at = min(stop, len(found.losses) - 1)
        assert found.losses[-1, point] == pytest.approx(free.losses[at, point], rel=1e-4)
    assert len(found.losses) < len(free.losses)


def test_takes_targets_and_starts():
    case = make_case(0)
    found = synthesise(case.classifier, *case.data, targets=[2, 2], start=2 * case.X_new[:2], steps=2, step_size=1e-6)
    np.testing.assert_allclose(found.points, case.X_new[:2], atol=1e-4)
    assert found.targets.tolist() == [2, 2]


def test_weights_count_as_repetitions():
    case = make_case(1)
    weights = np.random.default_rng(0).integers(1, 4, len(case.y))
    repeated = np.repeat(np.arange(len(case.y)), weights)
    head = case.classifier.fit(case.X, case.y, weights)
    settings = {"start": class_means(case), "steps": 5, "step_size": 0.02, "tolerance": 1e-8, "solve_tolerance": 1e-6}
    weighted = synthesise(head, *case.data, sample_weight=weights, **settings)
    plain = synthesise(head, case.X[repeated], case.y[repeated], case.X_val, case.y_val, **settings)
    for field in dataclasses.fields(weighted):
        if field.name in {"points", "displacement", "predicted_change", "losses"}:
            np.testing.assert_allclose(
                getattr(weighted, field.name), getattr(plain, field.name), rtol=1e-3, atol=1e-7
            )


def test_a_class_without_examples_needs_a_start():
    case = make_case(0)
    head = case.classifier.fit(case.X, case.y, classes=[0, 1, 2, 3])
    with pytest.raises(DesiderataError, match="no labelled example of 3"):
        synthesise(head, *case.data, steps=1)


def test_a_tolerance_out_of_reach_is_named():
    case = make_case(0)
    with pytest.raises(DesiderataError, match="could not be refitted"):
        synthesise(case.classifier, *case.data, steps=1, tolerance=1e-25)
    with pytest.raises(DesiderataError, match="could not be solved"):
        synthesise(case.classifier, *case.data, steps=1, solve_tolerance=1e-19)


def test_a_given_preconditioner_is_kept():
    case, calls = make_case(0, n=40), []
    objective = case.objective()

    def scaled(v):
        calls.append(v)
        return v / 2

    theta, norm, _ = minimise(objective, objective.centre + 0.1, 1e-9, 300, precondition=scaled)
    assert norm <= 1e-9
    assert calls
    assert len(theta) == len(case.classifier.theta_)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": -1}, "steps is -1, but must be a whole number of at least 0"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"step_size": 0.0}, "step_size is 0.0, but must be a number above 0"),
        ({"step_size": -1e-4}, "step_size is -0.0001"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"tolerance": 0}, "tolerance is 0"),
        ({"solve_tolerance": "small"}, "solve_tolerance is 'small'"),
        ({"targets": []}, "There is no target"),
        ({"targets": [7]}, "label 7 is not among the classes"),
        ({"start": np.zeros((3, 6))}, "starts at zero"),
        ({"start": np.full((3, 6), np.nan)}, "Row 0 of the features is not finite"),
        ({"start": np.ones((2, 6))}, "2 starts came with 3 targets"),
        ({"start": np.ones((3, 5))}, r"shape \(3, 5\), but the head was fitted on points of 6"),
        ({"start": np.ones(6)}, r"shape \(6,\)"),
    ],
)
def test_settings_and_starts_that_mean_nothing(settings, says):
    case = make_case(0)
    with pytest.raises(DesiderataError, match=says) as error:
        synthesise(case.classifier, *case.data, **{"steps": 1, **settings})
    assert str(error.value).endswith(".")


def test_class_means_that_cancel_are_no_start():
    case = make_case(0)
    X = case.X.copy()
    X[case.y == 1] = np.resize([[1.0], [-1.0]], (8, 1)) * np.eye(6)[0]
    with pytest.raises(DesiderataError, match="starts at zero"):
        synthesise(case.classifier, X, case.y, case.X_val, case.y_val, steps=1)

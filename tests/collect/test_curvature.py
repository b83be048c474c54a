import numpy as np
import pytest
import torch
from head_cases import curvature, dense_gauss_newton, dense_hessian, jacobian, make_case
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad, jacrev

from desiderata.collect.curvature import GaussNewton, Kronecker, conjugate_gradients, curvature_roots, dense
from desiderata.collect.network import ACTIVATIONS, Linearisation, Network, softmax_curvature
from desiderata.collect.spectrum import LeadingInverse
from desiderata.errors import DesiderataError

F64 = torch.float64
N_PARAMETERS = 74  # of the default case


def operator(case, damping=0.0):
    objective = case.objective()
    linear = objective.linearise(case.classifier.theta_)
    return GaussNewton(linear, objective.weights, objective.l2, damping)


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    n=st.integers(1, 4),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    seed=st.integers(0, 1000),
)
def test_the_networks_derivatives_are_those_of_automatic_differentiation(sizes, n, activation, seed):
    network, generator = Network(tuple(sizes), activation), torch.Generator().manual_seed(seed)
    theta = network.initial(seed) + 0.1
    x = torch.randn(n, sizes[0], generator=generator, dtype=F64)
    y = torch.eye(sizes[-1], dtype=F64)[torch.randint(sizes[-1], (n,), generator=generator)]
    v = torch.randn(network.n_parameters, generator=generator, dtype=F64)
    linear = Linearisation(network, theta, x)

    def loss(theta, x):
        logits = network.logits(theta, x)
        return (logits.logsumexp(-1) - (logits * y).sum(-1)).sum()

    p = linear.logits.softmax(-1)
    torch.testing.assert_close(linear.jvp(v), jacrev(lambda t: network.logits(t, x))(theta) @ v)
    torch.testing.assert_close(linear.vjp(p - y), grad(loss)(theta, x))
    hessian_v = linear.second_order(v, p - y, lambda t: softmax_curvature(p, t))
    torch.testing.assert_close(hessian_v, jacrev(grad(loss))(theta, x) @ v)
    mixed = linear.mixed(v, p - y, lambda t: softmax_curvature(p, t))
    torch.testing.assert_close(mixed, grad(lambda x: grad(loss)(theta, x) @ v)(x))


def test_batches_of_parameters_are_loops():
    network = Network((4, 3, 2))
    thetas = torch.stack([network.initial(seed) for seed in range(5)])
    x = torch.randn(5, 7, 4, dtype=F64)
    d, v = torch.randn(5, 7, 2, dtype=F64), torch.randn(5, network.n_parameters, dtype=F64)
    together = Linearisation(network, thetas, x)
    for i in range(5):
        alone = Linearisation(network, thetas[i], x[i])
        torch.testing.assert_close(together.logits[i], alone.logits)
        torch.testing.assert_close(together.vjp(d)[i], alone.vjp(d[i]))
        torch.testing.assert_close(together.jvp(v)[i], alone.jvp(v[i]))
        torch.testing.assert_close(
            together.second_order(v, d, lambda t: t)[i], alone.second_order(v[i], d[i], lambda t: t)
        )
        torch.testing.assert_close(together.mixed(v, d, lambda t: t)[i], alone.mixed(v[i], d[i], lambda t: t))


@settings(max_examples=10, deadline=None)
@given(
    n=st.integers(1, 20),
    n_classes=st.integers(2, 4),
    hidden=st.lists(st.integers(1, 6), max_size=2),
    damping=st.sampled_from([0.0, 1e-3, 1.0]),
    seed=st.integers(0, 100),
)
def test_dual_and_conjugate_gradients_are_the_dense_solve(n, n_classes, hidden, damping, seed):
    case = make_case(seed, n=n * n_classes, n_classes=n_classes, hidden=tuple(hidden), tolerance=1e-4)
    matrix = dense_gauss_newton(case.classifier, case.X, case.classifier.l2 + damping)
    ours = operator(case, damping)
    b = torch.randn(2, 3, len(matrix), generator=torch.Generator().manual_seed(seed), dtype=F64)
    torch.testing.assert_close(ours.product(b), b @ matrix)
    expected = torch.linalg.solve(matrix, b.reshape(6, -1).T).T.reshape(b.shape)
    torch.testing.assert_close(ours.solve(b, method="dual"), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.solve(b, method="cg", tolerance=1e-11), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.solve(b[0, 0]), expected[0, 0], rtol=1e-6, atol=1e-6)
    near = ours.solve(b, method="cg", tolerance=1e-11, start=expected, precondition=lambda r: r / 2)
    torch.testing.assert_close(near, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_the_exact_hessian_is_that_of_automatic_differentiation(seed):
    case = make_case(seed)
    ours = dense(case.objective().hessian_product(case.classifier.theta_), len(case.classifier.theta_))
    torch.testing.assert_close(ours, dense_hessian(case.classifier, case.X, case.y))


def test_weights_enter_the_curvature():
    case = make_case(0)
    weights = torch.linspace(0, 1, len(case.X), dtype=F64)
    weights /= weights.sum()
    linear = case.objective().linearise(case.classifier.theta_)
    j = jacobian(case.classifier, case.X)
    expected = torch.einsum("n,ncp,ncd,ndq->pq", weights, j, curvature(case.classifier, case.X), j)
    torch.testing.assert_close(dense(GaussNewton(linear, weights, 1e-9).product, j.shape[-1]), expected)
    roots = curvature_roots(linear.logits.softmax(-1), weights)
    torch.testing.assert_close(
        torch.einsum("knc,knd->ncd", roots, roots), weights[:, None, None] * curvature(case.classifier, case.X)
    )


def test_the_kronecker_factors_are_exact_for_one_layer_and_one_point():
    network = Network((4, 3))
    linear = Linearisation(network, network.initial(0), torch.randn(1, 4, dtype=F64))
    one = torch.ones(1, dtype=F64)
    v = torch.randn(5, network.n_parameters, dtype=F64)
    torch.testing.assert_close(Kronecker(linear, one, 0.1)(GaussNewton(linear, one, 0.1).product(v)), v)


def test_the_kronecker_inverse_is_symmetric_and_positive():
    case = make_case(1)
    objective = case.objective()
    matrix = dense(Kronecker(objective.linearise(case.classifier.theta_), objective.weights, 1e-2), N_PARAMETERS)
    torch.testing.assert_close(matrix, matrix.T)
    assert torch.linalg.eigvalsh(matrix)[0] > 0


@pytest.mark.parametrize("room", [1, 150])
def test_few_directions_or_columns_at_a_time_make_the_same(room, monkeypatch: pytest.MonkeyPatch):
    case = make_case(1)
    ours, v = operator(case), torch.eye(N_PARAMETERS, dtype=F64)
    product = ours.product(v)
    kronecker = Kronecker(ours.linear, ours.weights, 1e-2)(v)
    monkeypatch.setattr("desiderata.collect.network.ROOM", room)
    torch.testing.assert_close(ours.product(v), product)
    torch.testing.assert_close(ours.product(v, bare=True), product - ours.floor * v)
    torch.testing.assert_close(Kronecker(ours.linear, ours.weights, 1e-2)(v), kronecker)


def test_all_eigenpairs_make_the_exact_inverse_and_few_an_upper_bound():
    case = make_case(0)
    ours = operator(case)
    exact = torch.linalg.inv(dense(ours.product, N_PARAMETERS))
    everything = LeadingInverse.of(ours, rank=1000)
    torch.testing.assert_close(dense(everything.solve, N_PARAMETERS), exact)
    few = LeadingInverse.of(ours, rank=5, sweeps=8)
    torch.testing.assert_close(few.eigenvalues, everything.eigenvalues[:5])
    excess = torch.linalg.eigvalsh(dense(few.solve, N_PARAMETERS) - exact)
    assert excess[0] > -1e-8
    assert excess[-1] <= 1 / few.floor - 1 / (few.floor + few.eigenvalues[-1])
    features = few.features(ours.linear)
    torch.testing.assert_close(features, jacobian(case.classifier, case.X) @ few.basis.T)


def test_few_eigenpairs_hasten_conjugate_gradients():
    case = make_case(0, n=60, hidden=(16, 16), l2=1e-3, tolerance=1e-4)
    ours, calls = operator(case), []
    b = torch.ones(case.classifier.network_.n_parameters, dtype=F64)

    def counted(v):
        calls.append(v)
        return ours.product(v)

    conjugate_gradients(counted, b, tolerance=1e-6)
    plain = len(calls)
    conjugate_gradients(counted, b, tolerance=1e-6, precondition=LeadingInverse.of(ours, rank=32).solve)
    assert len(calls) - plain < plain / 2


def test_says_when_there_is_no_solution():
    b = torch.ones(3, dtype=F64)
    with pytest.raises(DesiderataError, match="not positive definite"):
        conjugate_gradients(lambda v: -v, b, tolerance=1e-6)
    slow = torch.logspace(0, 8, 3, dtype=F64)
    with pytest.raises(DesiderataError, match="did not reach"):
        conjugate_gradients(lambda v: slow * v, b, tolerance=1e-12, max_iterations=2)
    with pytest.raises(DesiderataError, match="rank is 0"):
        LeadingInverse.of(operator(make_case(0)), rank=0)
    assert not conjugate_gradients(lambda v: v, torch.zeros(3, dtype=F64), tolerance=1e-6).any()


def test_single_precision_serves():
    case = make_case(0)
    objective, theta = case.objective(), case.classifier.theta_
    linear = Linearisation(objective.network, theta.float(), objective.x.float())
    single = GaussNewton(linear, objective.weights.float(), objective.l2)
    b = torch.ones(len(theta))
    np.testing.assert_allclose(single.solve(b), operator(case).solve(b.double()), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("wrong", ["right-hand side", "operator", "start"])
def test_what_is_not_finite_does_not_pass_for_solved(wrong):
    b, hollow = torch.ones(2, 3, dtype=F64), torch.tensor([[1.0, 1.0, 1.0], [1.0, torch.nan, 1.0]], dtype=F64)
    with pytest.raises(DesiderataError, match="not finite"):
        conjugate_gradients(
            lambda v: 2 * v * (hollow if wrong == "operator" else 1.0),
            hollow if wrong == "right-hand side" else b,
            tolerance=1e-6,
            start=hollow if wrong == "start" else None,
        )


def test_an_image_that_overflows_does_not_pass_for_solved():
    with pytest.raises(DesiderataError, match="not finite"):
        conjugate_gradients(lambda v: v * torch.inf, torch.ones(3, dtype=F64), tolerance=1e-6)

"""Derivatives of eigenvalues, singular values and their vectors, against finite differences."""

import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse.linalg import eigs, eigsh, funm_multiply_krylov, lanczos, svds

from .systems import general, hermitian, indefinite, ours, square, vector


def slopes(loss, A, seed=0, step=1e-6):
    """(gradient, jvp, finite difference) along a symmetric direction."""
    x, rng = A.data, np.random.default_rng(seed)
    coo = A.to_scipy().tocoo()
    D = scipy.sparse.coo_array((rng.standard_normal(coo.nnz), (coo.row, coo.col)), shape=A.shape).toarray()
    if x.dtype == mx.complex64:
        D = D + 1j * rng.standard_normal(D.shape) * (coo.toarray() != 0)
    d = ((D + D.conj().T) / 2)[coo.row, coo.col]
    along = mx.array(d, dtype=x.dtype) if x.dtype == mx.float64 else mx.array(d.astype(np.asarray(x).dtype))
    g = mx.grad(loss)(x)
    product = mx.sum(mx.real(mx.conj(g) * along) if x.dtype == mx.complex64 else g * along)
    pushed = mx.jvp(loss, [x], [along])[1][0]
    difference = (loss(x + step * along) - loss(x - step * along)) / (2 * step)
    return float(product), float(pushed), float(difference)


def weight(*shape):
    return mx.array(np.random.default_rng(5).standard_normal(shape), dtype=mx.float64)


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
@pytest.mark.parametrize("part", ["values", "projector", "squares"])
def test_gradient_of_eigenpairs(which, part, double):
    A = ours(indefinite(20, "d"))

    def loss(values):
        w, X = eigsh(A.with_data(values), 3, which=which, rng=0)
        if part == "values":
            return mx.sum(weight(3) * w)
        return mx.sum(weight(20, 20) * (X @ X.T)) if part == "projector" else mx.sum(weight(20, 3) * X * X)

    gradient, pushed, difference = slopes(loss, A)
    assert gradient == pytest.approx(difference, rel=1e-5, abs=1e-7)
    assert pushed == pytest.approx(gradient, rel=1e-8)


def test_gradient_of_complex_eigenvalues():
    A = ours(hermitian(15, "F"))
    loss = lambda values: mx.sum(eigsh(A.with_data(values), 2, which="LA", v0=mx.array(vector(15, "F")))[0])  # noqa: E731
    gradient, pushed, difference = slopes(loss, A, step=1e-2)
    assert gradient == pytest.approx(difference, rel=1e-2) and pushed == pytest.approx(gradient, rel=1e-4)


@pytest.mark.parametrize("of", ["A", "M"])
def test_gradient_with_mass(of, double):
    A, M = ours(indefinite(20, "d")), ours(hermitian(20, "d", seed=3))

    def loss(values):
        pair = (A.with_data(values), M) if of == "A" else (A, M.with_data(values))
        w, X = eigsh(pair[0], 3, pair[1], which="LA", rng=0)
        return mx.sum(weight(3) * w) + mx.sum(weight(20, 3) * X * X)

    gradient, pushed, difference = slopes(loss, A if of == "A" else M)
    assert gradient == pytest.approx(difference, rel=1e-5) and pushed == pytest.approx(gradient, rel=1e-8)


def test_gradient_of_multiple_eigenvalues(double):
    """The sum over a cluster and its projector have derivatives; single vectors of it have none: there is a warning."""
    A = ours(square(6))
    W = weight(36, 36)

    def loss(values):
        w, X = eigsh(A.with_data(values), 3, which="LA", v0=mx.array(vector(36, "d"), dtype=mx.float64))
        pair = X[:, :2]  # below the largest one stand two that are the same
        return w[0] + w[1] + mx.sum(W * (pair @ pair.T))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradient, pushed, difference = slopes(loss, A)
    assert gradient == pytest.approx(difference, rel=1e-4) and pushed == pytest.approx(gradient, rel=1e-8)
    with pytest.warns(UserWarning, match="choice of eigenvectors"):
        mx.grad(lambda v: mx.sum(weight(36) * eigsh(A.with_data(v), 3, which="LA", rng=0)[1][:, 0]))(A.data)


def test_second_derivative(double):
    A = ours(indefinite(12, "d"))
    top = lambda values: eigsh(A.with_data(values), 2, which="LA", rng=0)[0][1]  # noqa: E731
    D = weight(A.nnz)
    once = lambda values: mx.sum(mx.grad(top)(values) * D)  # noqa: E731
    gradient, _, difference = slopes(once, A)
    assert gradient == pytest.approx(difference, rel=1e-4)
    squares = lambda values: mx.sum(weight(12, 2) * eigsh(A.with_data(values), 2, rng=0)[1] ** 2)  # noqa: E731
    with pytest.raises(ValueError, match="first derivatives"):
        mx.grad(lambda values: mx.sum(mx.grad(squares)(values) * D))(A.data)


@pytest.mark.parametrize("shape", [(14, 9), (9, 14)])
def test_gradient_of_singular_triplets(shape, double):
    A = ours(general(14, "d")[: shape[0], : shape[1]].tocsr())
    x, d = A.data, weight(A.nnz)

    def loss(values):
        u, s, vh = svds(A.with_data(values), 3, rng=0)
        return mx.sum(weight(3) * s) + mx.sum(weight(*shape) * (u @ vh))

    gradient = float(mx.sum(mx.grad(loss)(x) * d))
    difference = float(loss(x + 1e-6 * d) - loss(x - 1e-6 * d)) / 2e-6
    assert gradient == pytest.approx(difference, rel=1e-5)
    top = np.asarray(mx.grad(lambda values: sp.linalg.norm(A.with_data(values), 2))(x))
    u, _, vh = np.linalg.svd(A.toarray())
    coo = A.to_scipy().tocoo()
    np.testing.assert_allclose(top, np.outer(u[:, 0], vh[0])[coo.row, coo.col], atol=1e-10)


def test_no_silent_gradient():
    A = sp.diags_array(np.arange(1.0, 9.0), format="csr")
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda v: mx.sum(svds(A.with_data(v), 2, solver="propack")[1]))(A.data)
    with sp.runtime.context(dense_namespace="numpy"), pytest.raises(ValueError):
        mx.grad(lambda v: mx.sum(mx.array(eigsh(A.with_data(v), 2)[0])))(A.data)

    def closed(v):
        operator = sp.linalg.LinearOperator((8, 8), lambda x: v * x, dtype=np.float64, xp=mx)
        return mx.sum(eigsh(operator, 2, v0=mx.ones(8, dtype=mx.float64))[0])

    with pytest.raises(ValueError):
        mx.grad(closed)(mx.array(np.arange(1.0, 9.0), dtype=mx.float64))


# ---- what is not Hermitian -----------------------------------------------------------------------------------------


def random_general(dtype, n=20):
    rng = np.random.default_rng(5)
    D = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype in "FD" else 0)
    return scipy.sparse.csr_array(D.astype(dtype))


def check_slopes(loss, x, seed=0, step=1e-3, tolerance=5e-3):
    """grad and jvp of `loss`, of complex64 results, along a direction, against its finite difference."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal(x.shape) + (1j * rng.standard_normal(x.shape) if x.dtype == mx.complex64 else 0)
    d = mx.array(D, dtype=x.dtype) if x.dtype == mx.float64 else mx.array(D.astype(np.asarray(x).dtype))
    pulled = float(mx.sum(mx.real(mx.conj(mx.grad(loss)(x)) * d) if x.dtype == mx.complex64 else mx.grad(loss)(x) * d))
    pushed = float(mx.jvp(loss, [x], [d])[1][0])
    difference = float(loss(x + step * d) - loss(x - step * d)) / (2 * step)
    assert pulled == pytest.approx(difference, rel=tolerance, abs=tolerance)
    assert pushed == pytest.approx(pulled, rel=1e-4, abs=1e-5)


PARTS = {
    "values": lambda w, X: mx.sum(numbers(3) * (mx.real(w) + 0.5 * mx.imag(w))),
    "squares": lambda w, X: mx.sum(numbers(20, 3) * mx.abs(X) ** 2),
    "projector": lambda w, X: mx.sum(mx.real(numbers(20, 20) * (X @ mx.conj(X).T)) * numbers(20, 20)),
}


def numbers(*shape):
    return mx.array(np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32))


def pairs_of(A, k=3, M=None, **options):
    """Of `eigs`, as complex64: complex128 results are ndarrays where nothing is traced."""
    found = eigs(A, k, M, rng=0, **options)
    return [x if isinstance(x, mx.array) else mx.array(x.astype(np.complex64)) for x in found]


@pytest.mark.parametrize("kind", ["d", "f", "F"])
@pytest.mark.parametrize("part", PARTS)
def test_gradient_of_general_eigenpairs(kind, part, device):
    """Of a real matrix some are complex; of `eigs` with a shift they are real and complex ones."""
    if device == "gpu" and kind == "d":
        pytest.skip("no float64")
    A = ours(random_general(kind))
    accuracy = {} if kind == "d" else {"step": 3e-3, "tolerance": 2e-2}  # pairs are off by rounding over the step
    for options in ({}, {"sigma": 0.3}):
        check_slopes(lambda v, o=options: PARTS[part](*pairs_of(A.with_data(v), **o)), A.data, **accuracy)


@pytest.mark.parametrize("of", ["A", "M"])
def test_gradient_of_general_eigenpairs_with_mass(of, double):
    A, M = ours(random_general("d")), ours(hermitian(20, "d", seed=3))

    def loss(values, both=False):
        pair = (A.with_data(values), M) if of == "A" else (A, M.with_data(values))
        w, X = pairs_of(pair[0], 3, pair[1])
        return PARTS["values"](w, X) + PARTS["squares"](w, X)

    if of == "A":
        check_slopes(loss, A.data)
        return
    x = M.data  # which stays symmetric
    coo = M.to_scipy().tocoo()
    D = scipy.sparse.coo_array((np.random.default_rng(0).standard_normal(coo.nnz), (coo.row, coo.col))).toarray()
    d = mx.array((D + D.T)[coo.row, coo.col], dtype=x.dtype)
    difference = float(loss(x + 1e-3 * d) - loss(x - 1e-3 * d)) / 2e-3
    assert float(mx.sum(mx.grad(loss)(x) * d)) == pytest.approx(difference, rel=5e-3)
    assert float(mx.jvp(loss, [x], [d])[1][0]) == pytest.approx(difference, rel=5e-3)


def test_gradient_of_general_eigenpairs_by_products_alone(double):
    D = mx.array(random_general("d").toarray(), dtype=mx.float64)

    def loss(x):
        A = sp.linalg.aslinearoperator(x)
        return sum(PARTS[part](*pairs_of(A)) for part in ("values", "squares"))

    check_slopes(loss, D)


def test_where_general_eigenpairs_have_no_derivative(double):
    top = lambda A: lambda v: mx.sum(mx.real(pairs_of(A.with_data(v), 2)[0]))  # noqa: E731
    jordan = np.diag(np.arange(8.0)) + np.diag(np.r_[np.zeros(6), 1.0], 1)
    jordan[6, 6] = 7.0
    for D, words in ((jordan, "nearly defective"), (np.diag([*np.arange(6.0), 7.0, 7.0]), "multiple")):
        A = sp.csr_array(D)
        for rule in (lambda f, x: mx.grad(f)(x), lambda f, x: mx.jvp(f, [x], [mx.ones_like(x)])[1][0].item()):
            with pytest.raises(ValueError, match=words):
                rule(top(A), A.data)
    A = ours(random_general("d"))
    with pytest.warns(UserWarning, match="phases"):
        mx.grad(lambda v: mx.sum(mx.imag(pairs_of(A.with_data(v))[1])))(A.data)
    once = lambda v: mx.sum(mx.grad(lambda u: mx.sum(mx.real(pairs_of(A.with_data(u))[0])))(v) * v)  # noqa: E731
    with pytest.raises(ValueError, match="first derivatives"):
        mx.grad(once)(A.data)
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda v: mx.sum(mx.real(pairs_of(A.with_data(v), 19)[0])))(A.data)


# ---- Lanczos -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("k", [5, 12])
def test_gradient_of_lanczos(k, again, double):
    A, v0 = ours(hermitian(12, "d")), mx.array(vector(12, "d"), dtype=mx.float64)

    def loss(values, start=v0):
        alphas, betas, Q = lanczos(A.with_data(values), k, v0=start, reorthogonalize=again)
        return mx.sum(weight(k) * (alphas - 2 * betas)) + mx.sum(weight(12, k) * Q)

    tolerance = 1e-5 if again or k < 12 else 1e-2  # of what has lost its orthogonality
    gradient, pushed, difference = slopes(loss, A)
    assert gradient == pytest.approx(difference, rel=tolerance) and pushed == pytest.approx(gradient, rel=1e-8)
    of_start, d = lambda x: loss(A.data, x), weight(12)
    difference = float(of_start(v0 + 1e-6 * d) - of_start(v0 - 1e-6 * d)) / 2e-6
    assert float(mx.sum(mx.grad(of_start)(v0) * d)) == pytest.approx(difference, rel=tolerance)
    once = lambda values: mx.sum(mx.grad(loss)(values) * weight(A.nnz))  # noqa: E731
    if again and k < 12:
        gradient, _, difference = slopes(once, A)
        assert gradient == pytest.approx(difference, rel=1e-4)


def test_lanczos_in_an_invariant_space_has_no_derivative():
    A = sp.eye_array(10, format="csr")
    with pytest.raises(ValueError, match="no derivative"):
        mx.grad(lambda v: mx.sum(lanczos(A.with_data(v), 4)[1]))(A.data)


@pytest.mark.parametrize("f", ["exp", np.asarray])
@pytest.mark.parametrize("values", [np.float32, np.complex64])
def test_functions_of_matrices_times_a_vector(f, values):
    rng = np.random.default_rng(0)
    D = (rng.standard_normal((12, 12)) / 4).astype(values)
    if values == np.complex64:
        D = D + np.array(0.3j, values) * D.T
    F = scipy.linalg.expm(0.5 * D) if f == "exp" else 0.5 * D
    b, g = (rng.standard_normal(12).astype(values) for _ in range(2))
    A = sp.csr_array(D)

    def action(x):
        return funm_multiply_krylov(f, A, x, t=0.5)

    (y,), (pulled,) = mx.vjp(action, [mx.array(b)], [mx.array(g)])
    np.testing.assert_allclose(np.asarray(y), F @ b, atol=1e-4)
    np.testing.assert_allclose(np.asarray(pulled), F.conj().T @ g, atol=1e-4)
    _, (pushed,) = mx.jvp(action, [mx.array(b)], [mx.array(g)])
    np.testing.assert_allclose(np.asarray(pushed), F @ g, atol=1e-4)
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda v: funm_multiply_krylov(f, A.with_data(v), mx.array(b)).real().sum())(A.data)

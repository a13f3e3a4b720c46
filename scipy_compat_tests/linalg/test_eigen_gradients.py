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
    for f in (lambda B: eigs(B, 2)[0], lambda B: lanczos(B, 2)[0], lambda B: svds(B, 2, solver="propack")[1]):
        with pytest.raises(ValueError, match="traced"):
            mx.grad(lambda v, f=f: mx.sum(mx.real(f(A.with_data(v)))))(A.data)
    with sp.runtime.context(dense_namespace="numpy"), pytest.raises(ValueError):
        mx.grad(lambda v: mx.sum(mx.array(eigsh(A.with_data(v), 2)[0])))(A.data)

    def closed(v):
        operator = sp.linalg.LinearOperator((8, 8), lambda x: v * x, dtype=np.float64, xp=mx)
        return mx.sum(eigsh(operator, 2, v0=mx.ones(8, dtype=mx.float64))[0])

    with pytest.raises(ValueError):
        mx.grad(closed)(mx.array(np.arange(1.0, 9.0), dtype=mx.float64))


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

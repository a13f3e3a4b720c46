"""Gradients of the product family against dense MLX, finite differences, and each other."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp

FORMATS = ["csr", "csc", "coo"]
SHAPES = [(9,), (9, 3), (2, 9, 3)]


def make(fmt, dtype=mx.float32, m=7, n=9, seed=1):
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((m, n)) < 0.35, rng.standard_normal((m, n)), 0)
    if dtype == mx.complex64:
        dense = dense * (1 + 0.5j)
    return getattr(sp, f"{fmt}_array")(dense, dtype=dtype)


def operand(shape, dtype=mx.float32, seed=2):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if dtype == mx.complex64:
        x = x + 1j * rng.standard_normal(shape)
    return mx.array(x.astype(np.complex64 if dtype == mx.complex64 else np.float32))


def dense_of(A, v):
    """Dense MLX form of A with values v as R^T diag(v) C with one-hot R and C: plain MLX matmuls."""
    coo = A.tocoo()
    R, C = (mx.eye(n)[c].astype(v.dtype) for n, c in zip(A.shape, coo._coords, strict=True))
    return R.T @ (v[:, None] * C)


def close(a, b, tol=2e-5):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [mx.float32, mx.complex64], ids=str)
def test_vjp_and_jvp_match_dense(fmt, shape, dtype):
    A = make(fmt, dtype)
    x = operand(shape, dtype)

    def ours(v, x):
        return A.with_data(v) @ x

    def dense(v, x):
        return dense_of(A, v) @ x

    y = dense(A.data, x)
    g = operand(y.shape, dtype, 5)
    for f, h in zip(mx.vjp(ours, [A.data, x], [g])[1], mx.vjp(dense, [A.data, x], [g])[1], strict=True):
        close(f, h, 1e-4)
    tangents = [operand(A.data.shape, dtype, 6), operand(shape, dtype, 7)]
    close(mx.jvp(ours, [A.data, x], tangents)[1][0], mx.jvp(dense, [A.data, x], tangents)[1][0], 1e-4)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("side", ["left", "transposed"])
def test_gradient_against_finite_differences(fmt, side):
    A = make(fmt, mx.float32)
    x = operand((7,) if side == "left" else (7, 2))

    def loss(v, x):
        B = A.with_data(v)
        y = x @ B if side == "left" else B.T @ x
        return mx.sum(mx.sin(y) * y)

    grads = mx.grad(loss, argnums=(0, 1))(A.data, x)
    args = [np.array(A.data, dtype=np.float64), np.array(x, dtype=np.float64)]
    D = A.toarray().astype(np.float64)
    row, col = (np.asarray(c) for c in A.tocoo()._coords)

    def loss64(v, x):
        E = np.zeros_like(D)
        np.add.at(E, (row, col), v)
        y = x @ E if side == "left" else E.T @ x
        return np.sum(np.sin(y) * y)

    for which, grad in enumerate(grads):
        expected = np.zeros(args[which].shape)
        for at in np.ndindex(expected.shape):
            hi, lo = [a.copy() for a in args], [a.copy() for a in args]
            hi[which][at] += 1e-6
            lo[which][at] -= 1e-6
            expected[at] = (loss64(*hi) - loss64(*lo)) / 2e-6
        np.testing.assert_allclose(np.asarray(grad), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fmt", FORMATS)
def test_second_derivatives_match_dense(fmt):
    A = make(fmt)
    x, u = operand((9,)), operand((9,), seed=8)

    def second(matvec):
        def loss(v, x):
            return mx.sum(matvec(v, x) ** 3)

        def directional(v, x):
            return mx.sum(mx.grad(loss, argnums=1)(v, x) * u)

        return mx.grad(directional, argnums=(0, 1))(A.data, x)

    ours = second(lambda v, x: A.with_data(v) @ x)
    dense = second(lambda v, x: dense_of(A, v) @ x)
    for a, b in zip(ours, dense, strict=True):
        close(a, b, 1e-3)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_vmap_over_dense_operand(fmt, axis):
    A = make(fmt)
    x = operand((4, 9) if axis == 0 else (9, 4))
    close(mx.vmap(lambda v: A @ v, in_axes=axis)(x), mx.vmap(lambda v: dense_of(A, A.data) @ v, in_axes=axis)(x))
    X = operand((9, 4, 3))
    close(mx.vmap(lambda v: A @ v, in_axes=1)(X), mx.stack([A @ X[:, i] for i in range(4)]))


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_vmap_over_values(fmt, shape):
    A = make(fmt)
    values, x = operand((4, A.nnz)), operand(shape)
    mapped = mx.vmap(lambda v: A.with_data(v) @ x)(values)
    close(mapped, mx.stack([dense_of(A, v) @ x for v in values]))
    both = mx.vmap(lambda v, x: A.with_data(v) @ x)(values, mx.stack([x, 2 * x, -x, x]))
    close(both, mx.stack([dense_of(A, v) @ (s * x) for v, s in zip(values, (1, 2, -1, 1), strict=True)]))


@pytest.mark.parametrize("fmt", FORMATS)
def test_vmap_of_grad(fmt):
    A = make(fmt)
    values = operand((3, A.nnz))
    x = operand((9,))

    def grad(v):
        return mx.grad(lambda v: mx.sum((A.with_data(v) @ x) ** 2))(v)

    close(mx.vmap(grad)(values), mx.stack([grad(v) for v in values]), 1e-4)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("shapeless", [False, True])
def test_compile(fmt, shapeless):
    A = make(fmt)

    def f(v, x):
        y = A.with_data(v) @ x
        return mx.grad(lambda x: mx.sum(mx.tanh(A.with_data(v) @ x)))(x) + mx.sum(y)

    g = mx.compile(f, shapeless=shapeless)
    for seed in (1, 2):
        x = operand((9,), seed=seed)
        close(g(A.data, x), f(A.data, x))


def test_structure_gradient_is_refused():
    A = make("csr")
    x = operand((9,))

    def f(p):
        B = sp.csr_array._from_parts(A.data, A.indices, p, A.shape)
        return mx.sum(B @ x)

    with pytest.raises(ValueError, match="not differentiable|integer|float"):
        mx.grad(f)(A.indptr)


@pytest.mark.parametrize("fmt", FORMATS)
def test_gradients_of_other_lazy_operations(fmt):
    A = make(fmt)
    w = operand(A.shape, seed=9)
    cases = {
        "todense": (lambda B: mx.sum(B.todense() ** 2 * w), lambda D: mx.sum(D**2 * w)),
        "sum0": (lambda B: mx.sum(B.sum(axis=0) ** 2), lambda D: mx.sum(D.sum(0) ** 2)),
        "sum1": (lambda B: mx.sum(B.sum(axis=1) ** 2), lambda D: mx.sum(D.sum(1) ** 2)),
        "diagonal": (lambda B: mx.sum(B.diagonal(1) ** 3), lambda D: mx.sum(mx.diagonal(D, 1) ** 3)),
        "tocsc": (lambda B: mx.sum(B.tocsc() @ w[0] ** 2), lambda D: mx.sum(D @ w[0] ** 2)),
        "multiply": (lambda B: mx.sum(B.multiply(w).todense() ** 2), lambda D: mx.sum((D * w) ** 2)),
        "sin": (lambda B: mx.sum(B.sin().todense() * w), lambda D: mx.sum(mx.sin(D) * w)),
    }
    for name, (sparse_f, dense_f) in cases.items():
        ours = mx.grad(lambda v, f=sparse_f: f(A.with_data(v)))(A.data)
        theirs = mx.grad(lambda v, f=dense_f: f(dense_of(A, v)))(A.data)
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-4, err_msg=name)


def test_with_data_checks_length():
    A = make("csr")
    with pytest.raises(ValueError, match="shape"):
        A.with_data(mx.zeros(A.nnz + 1))


def test_what_reads_values_refuses_traced_ones():
    A = make("csr")
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda v: mx.sum(A.with_data(v).max(axis=0).todense()))(A.data)


def test_transposed_products_follow_their_values():
    """Values that come again may be kept in transposed order; others must not be taken for them."""
    A = make("csr", mx.float32)
    x = operand((A.shape[0],))
    for values in (A.data, A.data, A.data, 2 * A.data, A.data, 3 * A.data, A.data):
        mx.eval(values)
        B = A.with_data(values)
        for _ in range(3):
            close(B.T @ x, mx.array(B.toarray().T) @ x, 1e-4)

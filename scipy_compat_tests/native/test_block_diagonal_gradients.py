"""Gradients, vmap and laziness of dia and bsr products and conversions, against dense MLX."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp

SHAPES = [(12,), (12, 3), (2, 12, 3)]


def make(kind, dtype=mx.float32, m=8, n=12):
    rng = np.random.default_rng(4)

    def draw(*shape):
        x = rng.standard_normal(shape)
        return x * (1 + 0.5j) if dtype == mx.complex64 else x

    if kind == "dia":
        offsets = [0, 3, -2, 11, -7]
        return sp.dia_array((draw(5, 10), offsets), shape=(m, n), dtype=dtype)
    R, C = kind
    indptr = np.round(np.linspace(0, 5, m // R + 1)).astype(np.int32)
    indices = rng.integers(0, n // C, 5).astype(np.int32)  # unsorted, may repeat
    return sp.bsr_array((draw(5, R, C), indices, indptr), shape=(m, n), dtype=dtype)


KINDS = ["dia", (2, 2), (4, 3), (1, 1), (8, 6)]


def operand(shape, dtype=mx.float32, seed=2):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if dtype == mx.complex64:
        x = x + 1j * rng.standard_normal(shape)
    return mx.array(x.astype(np.complex64 if dtype == mx.complex64 else np.float32))


def selectors(A):
    """One-hot R (values, rows) and C (values, columns), zero for values outside the array."""
    M, N = A.shape
    if A.format == "dia":
        k, L = np.asarray(A.offsets), A.data.shape[1]
        col = np.broadcast_to(np.arange(L), (len(k), L)).ravel()
        row = (np.arange(L) - k[:, None]).ravel()
    else:
        coo = A.tocoo()
        row, col = np.asarray(coo.row), np.asarray(coo.col)
    inside = (row >= 0) & (row < M) & (col < N)
    R, C = np.zeros((len(row), M), np.float32), np.zeros((len(col), N), np.float32)
    R[np.flatnonzero(inside), row[inside]] = 1
    C[np.flatnonzero(inside), col[inside]] = 1
    return mx.array(R), mx.array(C)


def dense_of(A, v, parts):
    R, C = (p.astype(v.dtype) for p in parts)
    return R.T @ (mx.reshape(v, (-1, 1)) * C)


def close(a, b, tol=1e-4):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [mx.float32, mx.complex64], ids=str)
@pytest.mark.parametrize("back", [False, True], ids=["forward", "transposed"])
def test_vjp_and_jvp_match_dense(kind, shape, dtype, back):
    A = make(kind, dtype)
    parts = selectors(A)
    n = A.shape[0] if back else A.shape[1]
    x = operand((*shape[:-2], n, *shape[-1:]) if len(shape) > 1 else (n,), dtype)

    def ours(v, x):
        B = A.with_data(v)
        return B._product(v, x, True) if back else B @ x

    def dense(v, x):
        D = dense_of(A, v, parts)
        return (D.T if back else D) @ x

    y = dense(A.data, x)
    close(ours(A.data, x), y)
    g = operand(y.shape, dtype, 5)
    for f, h in zip(mx.vjp(ours, [A.data, x], [g])[1], mx.vjp(dense, [A.data, x], [g])[1], strict=True):
        close(f, h)
    tangents = [operand(A.data.shape, dtype, 6), operand(x.shape, dtype, 7)]
    close(mx.jvp(ours, [A.data, x], tangents)[1][0], mx.jvp(dense, [A.data, x], tangents)[1][0])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_second_derivatives_match_dense(kind):
    A = make(kind)
    parts = selectors(A)
    x, u = operand((12,)), operand((12,), seed=8)

    def second(matvec):
        def loss(v, x):
            return mx.sum(matvec(v, x) ** 3)

        def directional(v, x):
            return mx.sum(mx.grad(loss, argnums=1)(v, x) * u)

        return mx.grad(directional, argnums=(0, 1))(A.data, x)

    ours = second(lambda v, x: A.with_data(v) @ x)
    dense = second(lambda v, x: dense_of(A, v, parts) @ x)
    for a, b in zip(ours, dense, strict=True):
        close(a, b, 1e-3)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("axis", [0, 1])
def test_vmap(kind, axis):
    A = make(kind)
    parts = selectors(A)
    D = dense_of(A, A.data, parts)
    x = operand((4, 12) if axis == 0 else (12, 4))
    close(mx.vmap(lambda v: A @ v, in_axes=axis)(x), mx.vmap(lambda v: D @ v, in_axes=axis)(x))
    V = operand((3, *A.data.shape))
    X = operand((3, 12, 2))
    stacked = mx.stack([dense_of(A, v, parts) for v in V])
    close(
        mx.vmap(lambda v: A.with_data(v) @ x[0 if axis == 0 else slice(None), 0 if axis else slice(None)])(V),
        mx.stack([D_ @ (x[0] if axis == 0 else x[:, 0]) for D_ in stacked]),
    )
    close(mx.vmap(lambda v, x: A.with_data(v) @ x)(V, X), stacked @ X)
    close(
        mx.vmap(lambda x: mx.grad(lambda v: mx.sum(mx.sin(A.with_data(v) @ x)))(A.data))(X),
        mx.stack([mx.grad(lambda v, x=x: mx.sum(mx.sin(dense_of(A, v, parts) @ x)))(A.data) for x in X]),
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gradients_through_other_members(kind):
    A = make(kind)
    parts = selectors(A)
    w = operand(A.shape)

    for ours, dense in (
        (lambda B: mx.sum(B.todense() * w), lambda D: mx.sum(D * w)),
        (lambda B: mx.sum(mx.sin(B.sum(0))), lambda D: mx.sum(mx.sin(D.sum(0)))),
        (lambda B: mx.sum(mx.sin(B.sum(1))), lambda D: mx.sum(mx.sin(D.sum(1)))),
        (lambda B: mx.sum(B.diagonal(1) ** 2), lambda D: mx.sum(mx.diagonal(D, 1) ** 2)),
        (lambda B: mx.sum(mx.sin(B.T @ w[:, 0])), lambda D: mx.sum(mx.sin(D.T @ w[:, 0]))),
        (lambda B: mx.sum(mx.sin(B.tocsr() @ w[0])), lambda D: mx.sum(mx.sin(D @ w[0]))),
        (lambda B: mx.sum(mx.sin(B.tocsc() @ w[0])), lambda D: mx.sum(mx.sin(D @ w[0]))),
        (lambda B: mx.sum(mx.sin((B + B.multiply(2.0)).todense())), lambda D: mx.sum(mx.sin(3 * D)))
        if kind == "dia"
        else (lambda B: B.sum(), lambda D: D.sum()),
    ):
        close(
            mx.grad(lambda v, f=ours: f(A.with_data(v)))(A.data),
            mx.grad(lambda v, f=dense: f(dense_of(A, v, parts)))(A.data),
        )


def test_gradients_through_conversions_to_blocks_and_diagonals():
    dense = np.where(np.random.default_rng(3).random((8, 12)) < 0.3, 1.5, 0)
    A = sp.csr_array(dense, dtype=mx.float32)
    x = operand((12,))
    plain = mx.grad(lambda v: mx.sum(mx.sin(A.with_data(v) @ x)))(A.data)
    for convert in (lambda B: B.tobsr(blocksize=(2, 3)), lambda B: B.todia()):
        close(mx.grad(lambda v, c=convert: mx.sum(mx.sin(c(A.with_data(v)) @ x)))(A.data), plain)


def test_gradient_of_a_product_of_diagonals():
    A, B = (
        sp.dia_array(np.eye(4) + np.eye(4, k=1), dtype=mx.float32),
        sp.dia_array(np.eye(4, k=-1) * 3, dtype=mx.float32),
    )
    x = operand((4,))
    close(
        mx.grad(lambda v: mx.sum(mx.sin((A.with_data(v) @ B) @ x)))(A.data),
        mx.grad(lambda v: mx.sum(mx.sin(A.with_data(v) @ (B @ x))))(A.data),
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_compiled_and_lazy(kind):
    A = make(kind)
    x = operand((12,))
    f = mx.compile(lambda v, x: A.with_data(v) @ x)
    close(f(A.data, x), A @ x)
    y = A @ (x + 1)
    assert not sp._native.is_available(y)
    close(y, A @ np.asarray(x + 1))


def test_sixteen_bit_sums_are_wide():
    n = 4000
    for A in (
        sp.dia_array((np.ones((n, 2)), -np.arange(n)), shape=(n, 2), dtype=mx.float16),
        sp.bsr_array(np.ones((n, 2)), dtype=mx.float16, blocksize=(2, 2)),
    ):
        assert (mx.array([1.0, 1.0], dtype=mx.float16) @ A.T).dtype == mx.float16
        got = A._product(A.data, mx.full((n,), 0.5, dtype=mx.float16), True)
        np.testing.assert_array_equal(np.asarray(got), np.float16([n / 2, n / 2 - (0.5 if A.format == "dia" else 0)]))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_dtypes_must_agree_and_structure_has_no_gradient(kind):
    A = make(kind)
    with pytest.raises(TypeError, match="float16"):
        A @ mx.ones(12, dtype=mx.float16)
    with pytest.raises(ValueError, match="dimension mismatch"):
        A @ mx.ones(5)
    index = A._offsets if kind == "dia" else A._indices
    Structure, matmul = sp._native.Structure, sp._native.ProductKind.matmul

    def loss(s):
        if kind == "dia":
            structure = Structure.diagonal(*A.shape, A._data.shape[1], s)
        else:
            structure = Structure.block(A.shape, A.blocksize, s, A._indptr)
        return sp._native.product(matmul, structure, A._data, mx.ones(12), None).sum()

    with pytest.raises(ValueError, match="not differentiable"):
        mx.eval(mx.grad(loss)(index))

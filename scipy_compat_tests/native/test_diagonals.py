"""Diagonals of every format against dense MLX: values, derivatives, batches, duplicates, indices that lie outside."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp

FORMATS = ["csr", "csc", "coo", "bsr"]
OFFSETS = [-5, -2, 0, 1, 7]


def make(fmt, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((6, 9)) < 0.5, rng.integers(-4, 5, (6, 9)), 0).astype(dtype)
    coo = sp.coo_array(dense)
    return coo.tobsr(blocksize=(2, 3)) if fmt == "bsr" else coo.asformat(fmt)


def dense_diagonal(A, v, k):
    """The diagonal by way of the dense form, which other tests compare."""
    return mx.diagonal(A.with_data(v).todense(), k)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("k", OFFSETS)
@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.float16, np.float32, np.complex64])
def test_values(fmt, k, dtype):
    A = make(fmt, dtype)
    np.testing.assert_array_equal(np.asarray(A.diagonal(k)), np.diagonal(A.toarray(), k))


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("k", OFFSETS)
def test_derivatives(fmt, k):
    A = make(fmt)
    v = A.data + 0.5

    def ours(v):
        return mx.sum(A.with_data(v).diagonal(k) ** 3)

    def dense(v):
        return mx.sum(dense_diagonal(A, v, k) ** 3)

    t = mx.cos(mx.arange(v.size, dtype=mx.float32)).reshape(v.shape)
    # Cubes of numbers below 5: exact to a few units in the last place of float32.
    close = {"rtol": 1e-5, "atol": 1e-4}
    np.testing.assert_allclose(mx.grad(ours)(v), mx.grad(dense)(v), **close)
    np.testing.assert_allclose(mx.jvp(ours, [v], [t])[1][0], mx.jvp(dense, [v], [t])[1][0], **close)
    second = [mx.grad(lambda v, f=f: mx.sum(mx.grad(f)(v) * t))(v) for f in (ours, dense)]
    np.testing.assert_allclose(*second, **close)


@pytest.mark.parametrize("fmt", FORMATS)
def test_batches_and_compiled(fmt):
    A = make(fmt)
    many = mx.stack([A.data, 2 * A.data, A.data - 1])
    f = lambda v: A.with_data(v).diagonal(1)  # noqa: E731
    for found, v in zip(mx.vmap(f)(many), many, strict=True):
        np.testing.assert_array_equal(found, f(v))
    compiled = mx.compile(f)
    for v in many:
        np.testing.assert_array_equal(compiled(v), dense_diagonal(A, v, 1))


@pytest.mark.parametrize("fmt", ["csr", "csc", "coo"])
def test_duplicates_add(fmt):
    coo = sp.coo_array((np.array([1.0, 2.0, 4.0]), ([1, 1, 2], [1, 1, 2])), shape=(3, 3))
    if fmt != "coo":
        cls = getattr(sp, f"{fmt}_array")
        coo = cls((np.array([1.0, 2.0, 4.0]), [1, 1, 2], [0, 0, 2, 3]), shape=(3, 3))
    np.testing.assert_array_equal(np.asarray(coo.diagonal()), [0, 3, 4])


@pytest.mark.parametrize("fmt", ["csr", "csc", "bsr"])
def test_indices_outside_are_passed_over(fmt):
    values = np.ones((2, 1, 1)) if fmt == "bsr" else np.ones(2)
    A = getattr(sp, f"{fmt}_array")((values, [0, 7], [0, 1, 2]), shape=(2, 2), validate=False)
    np.testing.assert_array_equal(np.asarray(A.diagonal()), [1, 0])


def test_large_arrays_are_cut_into_parts():
    n = 50_000
    rng = np.random.default_rng(3)
    A = sp.coo_array((rng.random(5 * n), (rng.integers(0, n, 5 * n), rng.integers(0, n, 5 * n))), shape=(n, n))
    A = (A + sp.eye_array(n)).tocsr()
    coo = A.tocoo()
    row, col, x = (np.asarray(a) for a in (*coo.coords, coo.data))
    for k in (-3, 0, 4):
        on = col - row == k
        expected = np.bincount(row[on] - max(-k, 0), x[on], n - abs(k))
        for B in (A, A.tocsc(), coo, A.tobsr(blocksize=(5, 5))):
            np.testing.assert_array_equal(np.asarray(B.diagonal(k)), expected)

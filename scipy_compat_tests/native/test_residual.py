"""Residuals of float32 systems, computed in twice that precision."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from mlx_sparse import _native

WIDE = np.longdouble


def in_two_parts(v):
    """`v` as the sum of two float32 arrays, and that sum."""
    high = v.astype(np.float32)
    low = (v - high).astype(np.float32)
    return (mx.array(high), mx.array(low)), high.astype(WIDE) + low


def problem(m, n, density, columns=2, index=np.int32, seed=0):
    rng = np.random.default_rng(seed)
    A = sp.random_array((m, n), density=density, rng=rng, dtype=np.float32).tocsr()
    A = sp.csr_array((A.data, *(np.asarray(p).astype(index) for p in (A.indices, A.indptr))), shape=A.shape)
    x = rng.standard_normal((columns, n))
    D = A.toarray().astype(np.float64)
    b = x @ D.T + 1e-8 * rng.standard_normal((columns, m))
    return A, D, x, b


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("m, n, density", [(1, 1, 1), (31, 33, 0.2), (257, 300, 0.01), (40, 900, 0.5), (5, 3, 0)])
def test_what_cancels_leaves_the_digits_behind(m, n, density, index, device):
    A, D, x, b = problem(m, n, density, index=index)
    (x, exact_x), (b, exact_b) = in_two_parts(x), in_two_parts(b)
    expected = exact_b - exact_x @ D.T.astype(WIDE)
    found = np.asarray(_native.residual(A._structure, A._data, x, b, None))
    assert found.dtype == np.float32
    # Two parts hold 2^-48 of x and b; each term is rounded by as much of itself, and the result once more.
    size = np.abs(exact_b) + np.abs(exact_x) @ np.abs(D.T)
    assert np.all(np.abs(found - expected) <= 8 * 2.0**-48 * size + 2.0**-24 * np.abs(expected))


def test_a_slice_that_holds_almost_everything(device):
    D = np.zeros((300, 2000), np.float32)
    D[7] = np.random.default_rng(1).standard_normal(2000)
    D[299, 5] = 3
    A = sp.csr_array(D)
    x = np.random.default_rng(2).standard_normal((1, 2000))
    (x, exact), zero = in_two_parts(x), (mx.zeros((1, 300)), mx.zeros((1, 300)))
    found = np.asarray(_native.residual(A._structure, A._data, x, zero, None))
    np.testing.assert_allclose(found, -exact @ D.T.astype(WIDE), rtol=1e-6)


def test_bad_operands():
    A, _, x, b = problem(4, 3, 1.0)
    x, b = in_two_parts(x)[0], in_two_parts(b)[0]
    with pytest.raises(ValueError, match="shapes"):
        _native.residual(A._structure, A._data, b, x, None)
    with pytest.raises(ValueError, match="float32"):
        _native.residual(A._structure, A._data.astype(mx.float16), x, b, None)
    with pytest.raises(ValueError, match="no derivative"):
        mx.eval(mx.grad(lambda v: _native.residual(A._structure, v, x, b, None).sum())(A._data))

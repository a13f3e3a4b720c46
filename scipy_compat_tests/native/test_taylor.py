"""One term of a Taylor series, natively: against NumPy, and what it refuses."""

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse import _native


def parts(dtype, n=2000):
    rng = np.random.default_rng(1)
    S = scipy.sparse.random_array((n, n), density=0.01, rng=rng, dtype=np.float64).tocsr().astype(dtype)
    if np.dtype(dtype).kind == "c":
        S.data += np.array(1j * rng.standard_normal(S.nnz), dtype)
    A = sp.from_scipy(S)
    return S.toarray(), (A._data, A._indices, A._indptr), rng


@pytest.mark.parametrize("columns", [None, 1, 2, 7, 40])
@pytest.mark.parametrize("dtype", "fdFD")
def test_a_term_and_the_sum(dtype, columns):
    dense, A, rng = parts(dtype)
    shape = (2000,) if columns is None else (2000, columns)
    x, total = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    if x.dtype.kind == "c":
        x = x + np.array(1j, dtype) * total[::-1]
    y, before = np.empty_like(x), total.copy()
    shift = 0.5 + 0.25j if x.dtype.kind == "c" else 0.5
    size, sum_ = _native.taylor_term(A, x, y, total, 0.3, shift)
    expected = 0.3 * (dense @ x - np.array(shift, dtype) * x)
    atol = 200 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(y, expected, rtol=0, atol=atol)
    np.testing.assert_allclose(total, before + expected, rtol=0, atol=atol)
    rows = [np.abs(z).reshape(2000, -1).sum(axis=1).max() for z in (y, total)]
    assert rows[0] * 0.999 <= size <= rows[0] * 1.42
    assert rows[1] / 1.42 <= sum_ <= rows[1] * 1.001
    again = np.empty_like(x)
    _native.taylor_term(A, x, again, None, 0.3, shift)
    assert np.array_equal(again, y)


def test_no_rows_and_no_columns():
    A = sp.csr_array((0, 0))
    assert _native.taylor_term((A._data, A._indices, A._indptr), np.zeros(0), np.zeros(0), None, 1, 0) == (0, 0)
    _, A, _ = parts("d")
    assert _native.taylor_term(A, np.zeros((2000, 0)), np.zeros((2000, 0)), None, 1, 0) == (0, 0)


def test_bad_operands():
    _, A, _ = parts("d")
    x = np.zeros(2000)
    for y in (np.zeros(1999), np.zeros(2000, np.float32), np.zeros(4000)[::2], np.zeros((2000, 1))):
        with pytest.raises(ValueError, match="contiguous"):
            _native.taylor_term(A, x, y, None, 1, 0)
    with pytest.raises(ValueError, match="dtype"):
        _native.taylor_term(A, np.zeros(2000, np.float32), np.zeros(2000, np.float32), None, 1, 0)
    with pytest.raises(ValueError, match="number of rows"):
        _native.taylor_term(A, np.zeros(1000), np.zeros(1000), None, 1, 0)

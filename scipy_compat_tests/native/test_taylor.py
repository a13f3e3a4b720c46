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
    return S.toarray(), _native.TaylorRows((A._data, A._indices, A._indptr)), rng


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
    size, sum_ = A.term(x, y, total, 0.3, shift)
    expected = 0.3 * (dense @ x - np.array(shift, dtype) * x)
    atol = 200 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(y, expected, rtol=0, atol=atol)
    np.testing.assert_allclose(total, before + expected, rtol=0, atol=atol)
    rows = [np.abs(z).reshape(2000, -1).sum(axis=1).max() for z in (y, total)]
    assert rows[0] * 0.999 <= size <= rows[0] * 1.42
    assert rows[1] / 1.42 <= sum_ <= rows[1] * 1.001
    again = np.empty_like(x)
    A.term(x, again, None, 0.3, shift)
    assert np.array_equal(again, y)


def test_no_rows_and_no_columns():
    A = sp.csr_array((0, 0))
    assert _native.TaylorRows((A._data, A._indices, A._indptr)).term(np.zeros(0), np.zeros(0), None, 1, 0) == (0, 0)
    _, A, _ = parts("d")
    assert A.term(np.zeros((2000, 0)), np.zeros((2000, 0)), None, 1, 0) == (0, 0)


def test_bad_operands():
    _, A, _ = parts("d")
    x = np.zeros(2000)
    for y in (np.zeros(1999), np.zeros(2000, np.float32), np.zeros(4000)[::2], np.zeros((2000, 1))):
        with pytest.raises(ValueError, match="contiguous"):
            A.term(x, y, None, 1, 0)
    with pytest.raises(ValueError, match="dtype"):
        A.term(np.zeros(2000, np.float32), np.zeros(2000, np.float32), None, 1, 0)
    with pytest.raises(ValueError, match="number of rows"):
        A.term(np.zeros(1000), np.zeros(1000), None, 1, 0)


@pytest.mark.parametrize("dtype", "fdFD")
def test_terms_by_diagonals(dtype):
    """From some term on a band is held by its diagonals: of one column, and with several between."""
    n = 5000
    S = scipy.sparse.diags_array([1.0, -2.5, 0.5, 3.0], offsets=[-70, -1, 0, 2], shape=(n, n)).tocsr().astype(dtype)
    A = sp.from_scipy(S)
    rows = _native.TaylorRows((A._data, A._indices, A._indptr))
    x, rng = np.empty(n, dtype), np.random.default_rng(0)
    for step in range(12):
        x[:] = rng.standard_normal(n)
        y, total = np.empty_like(x), np.ones_like(x)
        rows.term(x, y, total, 0.5, 0.25)
        expected = 0.5 * (S @ x - np.array(0.25, dtype) * x)
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e2 * np.finfo(dtype).eps)
        np.testing.assert_allclose(total, 1 + expected, rtol=0, atol=1e2 * np.finfo(dtype).eps)
        if step == 10:
            X, Y = np.stack([x, -x], axis=1), np.empty((n, 2), dtype)
            rows.term(X, Y, None, 0.5, 0.25)
            np.testing.assert_allclose(Y[:, 1], -expected, rtol=0, atol=1e2 * np.finfo(dtype).eps)

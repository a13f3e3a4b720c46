"""Writing elements of csr, csc and coo arrays, against SciPy."""

import warnings

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse
from scipy_compat_tests.oracle.harness import CASES, build, numpy_mode, sweep, twin

FORMATS = ("csr", "csc", "coo")
CASES_3X4 = [case for case in CASES if CASES[case][3] == (3, 4)]
S = np.s_
GRID = np.arange(12.0).reshape(3, 4) - 4

# (key, right-hand side), in range for shape (3, 4)
WRITES = [
    (S[0, 0], 5), (S[-1, -1], 0), (S[1, 1], np.float32(2.5)), (S[np.int8(2), 3], np.array([[7]])), (S[1], 3),
    (S[1], GRID[0]), (S[1], [[1, 0, 2, 0]]), (S[:, 2], GRID[:, 0]), (S[:, 2], GRID[:, :1]), (S[..., 0], 1), (S[1:], 2),
    (S[1:, ::2], GRID[:2, :2]), (S[::-1, 1:3], GRID[:, :2]), (S[:], GRID), (S[:, 1:], GRID[:1, 1:]), (S[2:2], 5),
    (S[[2, 0]], GRID[:2]), (S[:, [3, 0]], GRID[:, :2]), (S[[0, 2], [1, 1]], [8, 9]), (S[[0, 2], [1, 1]], 4),
    (S[[[0], [2]], [3, 1]], GRID[:2, :2]), (S[[0, 2], 1], [5, 6]), (S[1, [0, 3]], [5, 6]), (S[GRID > 2], -1),
    (S[GRID > 2], GRID[GRID > 2]), (S[[True, False, True]], 1), (S[[], :], 3), (S[[], []], 3), (S[1, [2, 2]], 7),
]  # fmt: skip
REFUSED = [
    (S[0, 0], [1, 2]), (S[0, 0], []), (S[1], [1, 2, 3]), (S[:2], GRID), (S[3, 0], 1), (S[[3]], 1), (S[0, 0, 0], 1),
    (S[[0, 1], [0, 1, 2]], 1), (S[1, 1], "a"),
]  # fmt: skip


def written(sp, A, key, x):
    A[key] = x
    return A


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("n", range(len(WRITES)))
def test_dense_values(fmt, n):
    key, x = WRITES[n]
    if fmt == "coo" and np.shape(x) == (3, 1):
        pytest.skip("SciPy's coo takes a column for a row where both fit")
    if fmt == "coo" and isinstance(key, tuple) and any(isinstance(k, list) and not k for k in key):
        pytest.skip("SciPy's coo is left with coordinates of two dtypes")
    sweep(
        lambda sp, case, dtype: written(sp, build(sp, fmt, case, dtype), key, x),
        CASES_3X4,
        ("float32", "float64", "int32", "complex64"),
        index_dtype=False,
    )


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("n", range(len(REFUSED)))
def test_refused(fmt, n):
    key, x = REFUSED[n]
    twin(lambda sp: written(sp, build(sp, fmt, "plain"), key, x))


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("other", FORMATS)
@pytest.mark.parametrize(
    ("key", "rows", "cols"),
    [
        (S[:2, 1:3], 2, 2), (S[1], 1, 4), (S[:, 2], 3, 1), (S[:], 1, 4), (S[:], 3, 1), (S[:], 1, 1), (S[[2, 0]], 2, 4),
        (S[[[0], [2]], [3, 1]], 2, 2), (S[0, 0], 1, 1), (S[2:2], 0, 4), (S[1:], 3, 4), (S[:, ::2], 3, 3),
    ],
    ids=str,
)  # fmt: skip
def test_sparse_values(fmt, other, key, rows, cols):
    def make(sp):
        return getattr(sp, f"{other}_array")(GRID[:rows, :cols] * (np.indices((rows, cols)).sum(0) % 2))

    sweep(lambda sp, case: written(sp, build(sp, fmt, case), key, make(sp)), CASES_3X4, index_dtype=False)


@pytest.mark.parametrize("fmt", ("csr1", "coo1"))
def test_one_dimension(fmt):
    block = np.array([4.0, 0, -1])
    for key, x in [(2, 5), (-1, 0), (S[1:4], block), (S[::-3], block), (S[:], 2), ([6, 1, 0], block), (S[5:5], 1)]:
        for case in ("plain", "unsorted", "duplicates", "no_entries"):
            twin(lambda sp, k=key, x=x, c=case: written(sp, build(sp, fmt, c), k, x), index_dtype=False)
    twin(lambda sp: written(sp, build(sp, fmt, "plain"), S[1:4], sp.coo_array(block)), index_dtype=False)
    twin(lambda sp: written(sp, build(sp, fmt, "plain"), S[1:4], [1, 2]))


def warned(A, key, x):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        A[key] = x
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("fmt", ("csr", "csc"))
def test_a_change_of_structure_warns(fmt):
    A = build(mlx_sparse, fmt, "plain")
    assert warned(A, (0, 0), 9) == []
    found = warned(A, (0, 1), 9)
    assert len(found) == 1
    assert f"Changing the sparsity structure of a {fmt}_array is expensive" in found[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(mlx_sparse.SparseEfficiencyWarning):
            A[2, 1] = 4
    assert float(A[2, 1]) == 0  # refused whole


@pytest.mark.parametrize("fmt", FORMATS)
def test_nothing_else_sees_a_write(fmt):
    """Not a view of the values, a transpose, a slice, a lazy product, nor another array over the same buffer."""
    for mode in ("numpy", "mlx"):
        before, mlx_sparse.runtime.dense_namespace = mlx_sparse.runtime.dense_namespace, mode
        try:
            for hold in (
                lambda A: A.data, lambda A: A.T, lambda A: A[0:2], lambda A: A @ mx.ones(4), lambda A: A.copy(),
                lambda A: A.with_data(A.data), lambda A: np.asarray(A.data), lambda A: mx.reshape(A._data, (2, 3)),
            ):  # fmt: skip
                A = build(mlx_sparse, fmt, "plain")
                held, dense = hold(A), A.toarray()
                seen = held.toarray() if isinstance(held, mlx_sparse.sparray) else np.array(hold(A))
                i, j = np.argwhere(dense)[0]
                A[int(i), int(j)] = 100
                dense[i, j] = 100
                np.testing.assert_array_equal(A.toarray(), dense)
                now = held.toarray() if isinstance(held, mlx_sparse.sparray) else np.array(held)
                np.testing.assert_array_equal(now, seen)
        finally:
            mlx_sparse.runtime.dense_namespace = before


def test_a_write_in_place_and_products_after_it():
    with numpy_mode():
        A = build(mlx_sparse, "csr", "plain")
        x = np.ones(4, np.float32)
        for value in (3, 4, 5):
            A[0, 3] = value
            np.testing.assert_array_equal(A @ x, A.toarray() @ x)
            np.testing.assert_array_equal(A.T @ np.ones(3, np.float32), A.toarray().sum(0))


@pytest.mark.parametrize("fmt", FORMATS)
def test_values_come_from_anywhere(fmt):
    A = build(mlx_sparse, fmt, "plain")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        A[0, :] = mx.array([1.0, 2.0, 3.0, 4.0])
        A[mx.array([1, 2]), 0] = [7, 8]
        A[1, 1] = mx.array(0.5)
    np.testing.assert_array_equal(A.toarray()[0], [1, 2, 3, 4])
    np.testing.assert_array_equal(A.toarray()[1:, 0], [7, 8])
    assert A.toarray()[1, 1] == 0.5


@pytest.mark.parametrize("fmt", FORMATS)
def test_bfloat16(fmt):
    A = build(mlx_sparse, fmt, "plain").astype(mx.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        A[0, 1] = 1.5
        A[2, :] = -2
    assert A.dtype == mx.bfloat16
    assert float(A[0, 1]) == 1.5
    np.testing.assert_array_equal(A.toarray()[2], [-2] * 4)

"""Reading elements of csr, csc and coo arrays: every kind of key, against SciPy, and against NumPy where SciPy errs."""

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.oracle.harness import CASES, CASES_1D, build, numpy_mode, sweep, twin

COMPRESSED = ("csr", "csc")
FORMATS = ("csr", "csc", "coo")
REPRESENTATIONS = ("plain", "unsorted", "duplicates", "zeros", "empty_rows", "no_entries", "int64")
S = np.s_

SLICES = [
    S[1:3],
    S[:],
    S[::2],
    S[::-1],
    S[2:0:-2],
    S[2:2],
    S[:, 1:3],
    S[:, ::2],
    S[:, ::-1],
    S[1:, 1:],
    S[::-2, 3:0:-1],
]
LINES = [S[1], S[-1], S[:, 2], S[..., -1], S[1, 1:3], S[1, ::-1], S[::2, 0], S[None, 1], S[:, 1, None], S[1, None, ::2]]
ARRAYS = [
    [2, 0],
    [0, 0, -1],
    [],
    S[:, [3, 0]],
    S[:, [1, 1, -4, 2]],
    S[:, np.array([], np.int64)],
    S[[0, 2], 1:],
    S[[2, 1], 1],
    S[1, [3, 3, 0]],
    S[1, [[0, 1], [3, 3]]],
    S[[[0], [2]], [3, 1, 1]],
    S[[True, False, True]],
    S[:, [True, False, False, True]],
    S[[0, 2], [1, 3]],
    S[[[0, 1], [2, 2]], [[1, 1], [0, 3]]],
    S[[], []],
]
WRONG = [3, -4, S[0, 4], [3], S[:, [-5]], S[0, 0, 0], S[..., ...], 1.0, "a", S[[0, 1], [0, 1, 2]], [True, False]]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("key", SLICES, ids=str)
def test_slices(fmt, key):
    sweep(
        lambda sp, case, dtype: build(sp, fmt, case, dtype)[key],
        REPRESENTATIONS,
        ("float32", "complex64", "int32", "bool"),
        index_dtype=False,
    )


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("key", LINES, ids=str)
def test_rows_and_columns(fmt, key):
    sweep(lambda sp, case: build(sp, fmt, case)[key], REPRESENTATIONS, index_dtype=False)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("key", ARRAYS, ids=str)
def test_arrays(fmt, key):
    cases = [case for case in REPRESENTATIONS if CASES[case][3] == (3, 4)]
    sweep(
        lambda sp, case, dtype: build(sp, fmt, case, dtype)[key], cases, ("float32", "int32", "bool"), index_dtype=False
    )


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("key", WRONG, ids=str)
def test_what_cannot_be_an_index(fmt, key):
    twin(lambda sp: build(sp, fmt, "plain")[key])


@pytest.mark.parametrize("fmt", FORMATS)
def test_elements(fmt):
    for case in REPRESENTATIONS:
        M, N = CASES[case][3]
        at = [(i, j) for i in range(-M, M) for j in range(-N, N)]
        for dtype in ("float32", "float64", "complex64", "int8", "bool"):
            twin(lambda sp, c=case, d=dtype, at=at: [build(sp, fmt, c, d)[i, j] for i, j in at])
        twin(lambda sp, c=case: build(sp, fmt, c)[np.int8(1), np.array(-1)])


@pytest.mark.parametrize("fmt", FORMATS)
def test_masks(fmt):
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1]], bool)
    cases = [case for case in REPRESENTATIONS if CASES[case][3] == (3, 4)]
    sweep(lambda sp, case: build(sp, fmt, case)[mask], cases, index_dtype=False)
    sweep(
        lambda sp, case, other: build(sp, fmt, case)[getattr(sp, f"{other}_array")(mask)],
        cases,
        FORMATS,
        index_dtype=False,
    )
    twin(lambda sp: build(sp, fmt, "plain")[sp.csr_array(mask.astype(float))])
    twin(lambda sp: build(sp, fmt, "plain")[sp.csr_array(mask[:2])])


@pytest.mark.parametrize("fmt", ("csr1", "coo1"))
@pytest.mark.parametrize(
    "key",
    [
        S[1:5],
        S[::-2],
        S[:],
        S[...],
        S[2],
        S[-1],
        [5, 0, 0, -2],
        [],
        S[[True] * 3 + [False] * 4],
        S[3, None],
        S[1:4, None],
    ],
    ids=str,
)
def test_one_dimension(fmt, key):
    cases = [case for case in CASES_1D if CASES_1D[case][2] == (7,)]
    if isinstance(key, int):
        cases = [case for case in cases if case != "duplicates"]  # SciPy gives the first of them, not the sum
    sweep(lambda sp, case: build(sp, fmt, case)[key], cases, index_dtype=False)


def test_element_of_one_dimension_sums_duplicates():
    a = mlx_sparse.csr_array((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), shape=(3,))
    with numpy_mode():
        assert a[1] == 3


@pytest.mark.parametrize("fmt", COMPRESSED)
def test_rows_by_array_and_columns_by_step(fmt):
    """SciPy's csr pairs these up; NumPy takes every row with every column."""
    with numpy_mode():
        A = build(mlx_sparse, fmt, "plain")
        found = A[[2, 0], ::-2]
        assert found.format == fmt
        np.testing.assert_array_equal(found.toarray(), A.toarray()[[2, 0], ::-2])


@pytest.mark.parametrize("fmt", FORMATS)
def test_new_axis_before_arrays(fmt):
    """SciPy puts the array's axis before the new one; NumPy after it."""
    with numpy_mode():
        A = build(mlx_sparse, fmt, "plain")
        found = A[None, [0, 2], [1, 3]]
        assert found.shape == (1, 2)


@pytest.mark.parametrize("fmt", FORMATS)
def test_iteration(fmt):
    twin(lambda sp: list(build(sp, fmt, "plain")), index_dtype=False)


def test_iteration_without_indexing():
    """A dia array cannot be indexed: its first row is a TypeError, and asking for an iterator is none."""
    for sp in (scipy.sparse, mlx_sparse):
        rows = iter(sp.dia_array(np.eye(3)))
        with pytest.raises(TypeError, match="not subscriptable"):
            next(rows)


def random_array(sp, fmt, shape, density, seed):
    rng = np.random.default_rng(seed)
    D = rng.integers(1, 9, shape) * (rng.random(shape) < density)
    return getattr(sp, f"{fmt}_array")(D.astype(np.float32))


@pytest.mark.parametrize("fmt", FORMATS)
def test_large_enough_for_threads(fmt):
    rng = np.random.default_rng(3)
    M, N = (700, 900) if fmt in COMPRESSED else (100, 150)  # SciPy's coo compares every entry with every index
    rows, cols = rng.integers(0, M, 900), rng.integers(-N, N, 1200)
    keys = [
        S[10 : M - 10], S[::3], S[::-1], S[rows], S[:, 30 : N - 100], S[:, 5:9], S[:, ::7], S[:, ::-2], S[:, cols],
        S[:, np.unique(cols)], S[:, rng.permutation(N)], S[20 : M - 20, 20 : N - 20], S[rows[:500], cols[:500]],
        S[np.ix_(rows[:50], cols[:60])], S[rng.random(M) < 0.5], S[:, rng.random(N) < 0.5],
    ]  # fmt: skip
    for key in keys:
        twin(lambda sp, key=key: random_array(sp, fmt, (M, N), 0.2, 1)[key], index_dtype=False)


@pytest.mark.parametrize("fmt", COMPRESSED)
def test_an_axis_too_long_for_tables(fmt):
    def make(sp):
        A = sp.coo_array((np.arange(1.0, 5), ([0, 1, 1, 2], [7, 10**6, 5, 10**6])), shape=(3, 10**6 + 1))
        return A.tocsr() if fmt == "csr" else A.T.tocsc()

    at = [10**6, 5, 10**6, 3]
    twin(lambda sp: make(sp)[(S[:, at] if fmt == "csr" else S[at])])
    twin(lambda sp: make(sp)[(S[:, 5:100:5] if fmt == "csr" else S[5:100:5])])


@pytest.mark.parametrize("fmt", COMPRESSED)
def test_order_flags_tell_the_truth(fmt):
    for case in ("plain", "unsorted", "duplicates"):
        for key in [*SLICES, S[[2, 0]], S[:, [3, 0]], S[:, [0, 1, 1]]]:
            with numpy_mode():
                A = build(mlx_sparse, fmt, case)
                _ = A.has_canonical_format
                found = A[key]
                fresh = type(A)((found.data, found.indices, found.indptr), shape=found.shape)
                assert found.has_sorted_indices == fresh.has_sorted_indices
                assert found.has_canonical_format == fresh.has_canonical_format


def test_structure_assigned_in_two_dtypes():
    with numpy_mode():
        A = build(mlx_sparse, "csr", "plain")
        expected = A.toarray()
        A.indptr = A.indptr.astype(np.int64)
        assert A.indices.dtype == A.indptr.dtype == np.int64
        np.testing.assert_array_equal(A[[1, 2]].toarray(), expected[[1, 2]])
        np.testing.assert_array_equal(A @ np.eye(4, dtype=np.float32), expected)
        A.indices, A.indptr = A.indices.astype(np.int32), A.indptr.astype(np.int32)
        assert A.indices.dtype == A.indptr.dtype == np.int32
        np.testing.assert_array_equal(A.toarray(), expected)


def test_selections_are_copies_in_numpy_mode():
    with numpy_mode():
        for fmt in COMPRESSED:
            A = build(mlx_sparse, fmt, "plain")
            before = A.toarray()
            for key in (S[1:3], S[:], S[:, 1:3], S[1]):
                A[key].data[...] = 99
            np.testing.assert_array_equal(A.toarray(), before)

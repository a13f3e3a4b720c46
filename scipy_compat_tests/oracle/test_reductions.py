"""Sums, means, extremes over all entries, diagonals and traces."""

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse

from .harness import ALL_DTYPES, CASES, CASES_1D, DTYPES, FORMATS, build, dense, frozen, narrow, sweep, twin

formats = pytest.mark.parametrize("fmt", FORMATS)
AXES = (None, 0, 1, -1, -2, (0, 1), 2, (0, 0), 1.5)


@formats
@pytest.mark.parametrize("name", ["sum", "mean"])
def test_sum_and_mean(fmt, name):
    sweep(lambda sp, case, axis: getattr(build(sp, fmt, case), name)(axis=axis), CASES, AXES)
    sweep(
        lambda sp, dtype, axis: getattr(build(sp, fmt, "duplicates", dtype), name)(axis=axis), ALL_DTYPES, (None, 0, 1)
    )
    sweep(
        lambda sp, dtype, axis: getattr(build(sp, fmt, "plain", "int32"), name)(axis=axis, dtype=dtype),
        ("float32", "complex64", "int64"),
        (None, 0, 1),
    )

    def into(sp, axis, shape):
        out = narrow().value(np.zeros(shape))
        return getattr(build(sp, fmt, "plain"), name)(axis=axis, out=out), out

    sweep(into, (0, 1), ((4,), (3,), (1, 4)))


@pytest.mark.parametrize("fmt", ["coo1", "csr1"])
@pytest.mark.parametrize("name", ["sum", "mean"])
def test_1d(fmt, name):
    sweep(lambda sp, case, axis: getattr(build(sp, fmt, case), name)(axis=axis), CASES_1D, (None, 0, -1, 1, (0,)))
    sweep(lambda sp, dtype: getattr(build(sp, fmt, "plain", dtype), name)(), DTYPES)


@formats
def test_keyword_and_position(fmt):
    twin(lambda sp: build(sp, fmt, "plain").sum(0))
    twin(lambda sp: np.sum(build(sp, fmt, "plain"), axis=1))
    twin(lambda sp: np.mean(build(sp, fmt, "plain")))


@formats
@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_of_all(fmt, name):
    if not hasattr(mlx_sparse.csr_array, name):
        pytest.skip(f"{name}: a later release")
    sweep(
        lambda sp, case, dtype: getattr(build(sp, fmt, case, dtype), name)(),
        CASES,
        ("float32", "int32", "float64", "bool"),
    )


@formats
def test_diagonal(fmt):
    sweep(lambda sp, case, k: build(sp, fmt, case).diagonal(k), CASES, (-7, -2, -1, 0, 1, 3, 9))
    sweep(lambda sp, dtype: build(sp, fmt, "square", dtype).diagonal(), ALL_DTYPES)


@formats
def test_trace(fmt):
    sweep(lambda sp, case, offset: build(sp, fmt, case).trace(offset=offset), CASES, (-2, 0, 1))
    sweep(lambda sp, dtype: build(sp, fmt, "duplicates", dtype).trace(), ALL_DTYPES)


@formats
def test_setdiag(fmt):
    def apply(sp, case, values, k):
        A = build(sp, fmt, case)
        A.setdiag(values, k=k)
        assert sp is scipy.sparse or A.dtype == np.float32  # SciPy's dtype depends on the format and on what is there
        return A.toarray().astype("float32")

    cases = [c for c in CASES if c not in ("no_rows", "no_columns")]
    sweep(apply, cases, (5, [1.0, 2.0], [1.0, 2.0, 3.0, 4.0], []), (-1, 0, 1))
    sweep(apply, ("plain", "no_rows", "no_columns"), (5,), (-9, 9))


@formats
@pytest.mark.parametrize("case", CASES)
def test_operands_stay(fmt, case):
    A = build(mlx_sparse, fmt, case)
    with frozen(A):
        A.sum(), A.sum(axis=0), A.sum(axis=1), A.diagonal(), A.trace(), A.count_nonzero()
    x = dense(case)
    with frozen(x):
        mlx_sparse.csr_array(x).sum(axis=0)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "int32", "uint32", "int64"])
@pytest.mark.parametrize("fmt", ["coo", "csr", "csc", "bsr", "coo 3-d"])
def test_duplicates_of_integers_wrap_before_they_widen(fmt, dtype):
    greatest = True if dtype == "bool" else np.iinfo(dtype).max
    v, i, ends = np.array([greatest] * 4, dtype), np.array([0, 0, 0, 1]), np.array([0, 2, 4])

    def make(sp):
        if fmt == "coo 3-d":
            return sp.coo_array((v, (i, i, i)), shape=(2, 2, 2))
        if fmt == "coo":
            return sp.coo_array((v, (i, i)), shape=(2, 2))
        values = v.reshape(4, 1, 1) if fmt == "bsr" else v
        return getattr(sp, f"{fmt}_array")((values, i, ends), shape=(2, 2))

    twin(lambda sp: make(sp).sum())
    twin(lambda sp: make(sp).mean())
    for axis in (0, 1):
        twin(lambda sp, axis=axis: make(sp).sum(axis))
    A = make(mlx_sparse)
    assert np.asarray(A.sum()) == np.asarray(A.toarray()).sum()


@pytest.mark.parametrize("fmt", ["csr", "csc"])
def test_diagonals_of_duplicates_in_any_order(fmt):
    """Places of entries whose sum is the place of another, at the beginning, too."""
    slices = [[0, 0, 5, 1], [1, 0, 1, 1], [5, 2, 0, 2], [3], [], [5, 5, 5, 5]]
    ends, indices = np.cumsum([0, *map(len, slices)]), np.concatenate(slices).astype(np.int32)
    values = 2.0 ** np.arange(indices.size)
    for k in range(-5, 6):
        twin(lambda sp, k=k: getattr(sp, f"{fmt}_array")((values, indices, ends), shape=(6, 6)).diagonal(k))

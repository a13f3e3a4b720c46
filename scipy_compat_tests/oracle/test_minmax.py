"""Minima, maxima and their positions: all elements and along axes, with NaN, ties, implicit zeros and empty shapes."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse
from mlx_sparse import _compressed
from scipy_compat_tests.oracle.harness import ALL_DTYPES, CASES, CASES_1D, FORMATS, build, frozen, sweep, twin

EXTREMES = ("min", "max", "nanmin", "nanmax")
WHERE = ("argmin", "argmax")
AXES = (None, 0, 1, -1, -2, (0,), (1, 0))


def call(A, name, axis, explicit):
    return getattr(A, name)(axis=axis, explicit=explicit)


@pytest.mark.parametrize("name", EXTREMES + WHERE)
def test_every_case_and_axis(name):
    sweep(
        lambda sp, fmt, case, axis, explicit: call(build(sp, fmt, case), name, axis, explicit),
        FORMATS, CASES, AXES, (False, True),
    )  # fmt: skip


PIECEWISE = {
    **{f"{name} {axis}": lambda A, name=name, axis=axis: getattr(A, name)(axis=axis)
       for name in (*EXTREMES, *WHERE) for axis in (None, 0, 1)},
    **{f"max {axis} of entries": lambda A, axis=axis: A.max(axis=axis, explicit=True) for axis in (None, 0, 1)},
    **{f"count {axis}": lambda A, axis=axis: A.count_nonzero(axis=axis) for axis in (None, 0, 1)},
    ">": lambda A: A > 0.5,
    "!=": lambda A: A != 1,
    "minimum": lambda A: A.minimum(0),
    "astype": lambda A: A.astype(np.int8),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECEWISE)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "bool"])
def test_duplicates_are_summed_some_slices_at_a_time(name, dtype, monkeypatch):
    monkeypatch.setattr(_compressed, "_PIECE", 6)
    rng = np.random.default_rng(5)
    for lengths in ([4, 0, 9, 1, 0, 3], [0, 0, 20], [1] * 9, [13], [2, 2, 2, 0]):
        indices, indptr = rng.integers(0, 5, sum(lengths)), np.append(0, np.cumsum(lengths))
        data = rng.integers(-2, 3, sum(lengths)).astype(dtype)
        if dtype == "float64" and name != "astype":
            data[::7] = np.nan

        for fmt, shape in (("csr", (len(lengths), 5)), ("csc", (5, len(lengths)))):
            given = [tuple(x.copy() for x in (data, indices, indptr)) for _ in range(2)]  # SciPy sums them in place
            with mlx_sparse.runtime.context(dense_namespace="numpy"):
                ours, theirs = (
                    PIECEWISE[name](getattr(sp, f"{fmt}_array")(x, shape=shape))
                    for sp, x in zip((mlx_sparse, scipy.sparse), given, strict=True)
                )
            ours, theirs = (x.toarray() if hasattr(x, "toarray") else np.array(x) for x in (ours, theirs))
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", EXTREMES + WHERE)
def test_every_dtype(name):
    sweep(
        lambda sp, fmt, dtype, axis: call(build(sp, fmt, "plain", dtype), name, axis, False),
        FORMATS, ALL_DTYPES, (None, 0, 1),
    )  # fmt: skip


@pytest.mark.parametrize("name", EXTREMES + WHERE)
def test_one_dimension(name):
    sweep(
        lambda sp, fmt, case, axis, explicit: call(build(sp, fmt, case), name, axis, explicit),
        ("coo1", "csr1"), CASES_1D, (None, 0, -1, 1), (False, True),
    )  # fmt: skip


NAN = np.nan
SPECIAL = {
    "one": [[1.0, NAN, 0.0], [-1.0, 2.0, 3.0]],
    "slice": [[NAN, NAN, NAN], [0.0, 1.0, 2.0]],
    "alone": [[NAN, 0.0, 0.0], [0.0, 0.0, 0.0]],
    "negative": [[-1.0, -2.0, -3.0], [-4.0, NAN, -6.0]],
    "infinite": [[np.inf, -np.inf, 0.0], [NAN, np.inf, 1.0]],
    "everywhere": [[NAN, NAN], [NAN, NAN]],
    "ties": [[2.0, 2.0, 0.0], [-2.0, 0.0, -2.0]],
}


@pytest.mark.parametrize("name", EXTREMES + WHERE)
@pytest.mark.parametrize("dtype", ("float64", "float32", "complex64"))
def test_nan_and_ties(name, dtype):
    def run(sp, fmt, case, axis, explicit):
        x = np.array(SPECIAL[case]).astype(dtype)
        return call(getattr(sp, f"{fmt}_array")(x), name, axis, explicit)

    sweep(run, FORMATS, SPECIAL, (None, 0, 1), (False, True))


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("special", (None, NAN))
def test_long_slices(name, special):
    """Slices long enough for vectors, remainders and several threads."""

    def run(sp, fmt, dtype, n, axis):
        x = np.random.default_rng(n).integers(1, 100, (5, n)).astype(dtype)
        x[2, : n // 2] = 0
        if special is not None and np.dtype(dtype).kind == "f":
            x[3, n - 1] = x[4, 0] = special
        return call(getattr(sp, f"{fmt}_array")(x), name, axis, False)

    sweep(run, ("csr", "csc"), ("float32", "float64", "int8", "int32"), (15, 16, 33, 129, 40_001), (0, 1))


def test_positions_of_explicit_zeros():
    """A stored zero is as good as an implicit one: the first of them counts."""
    for data, indices in (([-1, 0], [0, 2]), ([0, -1], [0, 2]), ([-1, 0, -2], [0, 1, 3]), ([0, 0], [1, 2])):
        indptr = [0, len(data)]

        def make(sp, data=data, indices=indices, indptr=indptr):
            A = sp.csr_array((np.array(data, "float32"), np.array(indices), np.array(indptr)), shape=(1, 5))
            return [f(axis) for f in (A.argmax, A.argmin, A.tocsc().argmax, A.tocoo().argmin) for axis in (None, 0, 1)]

        twin(make)


@pytest.mark.parametrize("name", EXTREMES + WHERE)
def test_misuse(name):
    for arguments in ({"axis": 3}, {"axis": 1.5}, {"axis": ()}, {"axis": (0, 0)}, {"axis": "x"}, {"axis": True},
                      {"axis": 1, "out": 1}, {"out": np.zeros(3)}):  # fmt: skip
        sweep(lambda sp, fmt, arguments=arguments: getattr(build(sp, fmt, "plain"), name)(**arguments), FORMATS)


@pytest.mark.parametrize("name", ("min", "max", "argmin", "argmax"))
def test_numpy_functions(name):
    sweep(lambda sp, fmt: getattr(np, name)(build(sp, fmt, "duplicates")), FORMATS)


def test_operands_stay():
    A = build(mlx_sparse, "csr", "duplicates")
    with frozen(A):
        A.max()
        A.argmax()
        A.min(axis=0)
        A.argmin(axis=1)


def test_mlx_namespace():
    """Scalars and positions are `mx.array`; the maximum of all elements is a graph node with a gradient."""
    A = build(mlx_sparse, "csr", "plain", "float32")
    assert isinstance(A.max(), mx.array) and A.max().item() == 1.5
    assert isinstance(A.argmin(axis=0), mx.array) and A.argmin(axis=0).tolist() == [1, 0, 2, 0]
    assert isinstance(A.argmin(), int)
    assert isinstance(A.max(axis=0), mlx_sparse.coo_array)
    gradient = mx.grad(lambda v: A.with_data(v).max())(mx.array(A.data))
    assert gradient.tolist() == [0, 0, 0, 0, 0, 1]
    holes = mlx_sparse.csr_array(np.array([[np.nan, -1.0], [0.0, -3.0]], "float32"))
    assert holes.nanmax().item() == 0 and holes.nanmin().item() == -3 and np.isnan(holes.max().item())
    assert np.isnan(mlx_sparse.csr_array(np.array([[np.nan]], "float32")).nanmax().item())
    for dtype in (mx.float16, mx.bfloat16, mx.bool_, mx.uint8, mx.int64, mx.complex64):
        B = A.astype(dtype)
        assert B.max().dtype == dtype and B.min(axis=1).toarray().shape == (3,)

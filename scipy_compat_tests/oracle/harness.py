"""Twin runs: one expression over scipy.sparse and over mlx_sparse, and everything visible of the results compared.

Dense results are ndarrays here (numpy mode). On a GPU SciPy's float64 corresponds to float32 and its complex128 to
complex64: the table of `upstream.narrow` says so for all tests.
"""

import contextlib
import itertools
import warnings

import mlx.core as mx
import numpy as np
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.upstream.narrow import Narrow

FORMATS = ("coo", "csr", "csc")
DTYPES = ("float32", "complex64", "int32", "float64", "complex128", "bool")
ALL_DTYPES = tuple(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()
)
RTOL = {"float16": 2e-3, "float32": 2e-6, "complex64": 4e-6, "float64": 1e-12, "complex128": 2e-12}

# case -> (rows, columns, values, shape, index dtype)
CASES = {
    "plain": ([0, 0, 1, 2, 2, 2], [0, 3, 1, 0, 2, 3], [1, -2, 3, 4, -5, 6], (3, 4), "int32"),
    "square": ([0, 1, 1, 3, 3], [1, 1, 2, 0, 3], [2, -1, 3, 1, 4], (4, 4), "int32"),
    "unsorted": ([2, 0, 1, 0, 2, 2], [3, 3, 1, 0, 0, 2], [6, -2, 3, 1, 4, -5], (3, 4), "int32"),
    "duplicates": ([0, 0, 0, 2, 2, 1], [1, 1, 0, 3, 3, 2], [1, 2, 3, -4, 4, 5], (3, 4), "int32"),
    "zeros": ([0, 0, 1, 2], [0, 2, 1, 3], [0, 3, 0, -1], (3, 4), "int32"),
    "empty_rows": ([3, 3], [0, 2], [1, 7], (6, 4), "int32"),
    "no_entries": ([], [], [], (3, 4), "int32"),
    "no_rows": ([], [], [], (0, 4), "int32"),
    "no_columns": ([], [], [], (3, 0), "int32"),
    "one": ([0], [0], [5], (1, 1), "int32"),
    "int64": ([0, 0, 1, 2], [3, 0, 1, 2], [2, 1, -3, 4], (3, 4), "int64"),
}
CASES_1D = {
    "plain": ([0, 2, 5], [1, -2, 3], (7,), "int32"),
    "unsorted": ([5, 0, 2], [3, 1, -2], (7,), "int32"),
    "duplicates": ([1, 1, 4, 1], [1, 2, -3, 4], (7,), "int32"),
    "zeros": ([0, 3], [0, 2], (7,), "int32"),
    "no_entries": ([], [], (7,), "int32"),
    "no_length": ([], [], (0,), "int32"),
    "int64": ([1, 3], [2, -1], (7,), "int64"),
}


def narrow():
    """The rule for types that the executor lacks."""
    return Narrow(gpu=mx.default_device().type == mx.DeviceType.gpu)


def values(raw, dtype):
    """`raw` small integers as `dtype`: fractions where it has them, an imaginary part where it has one."""
    v = np.asarray(raw, dtype=np.int64)
    kind = np.dtype(dtype).kind
    if kind == "u":
        v = abs(v)
    if kind == "c":
        return (v / 4 + 1j * (v % 3)).astype(dtype)
    return (v / 4 if kind == "f" else v).astype(dtype)


def build(sp, fmt, case, dtype="float32"):
    """The sparse array of a case, in a format, from `sp` (either package), its representation kept as written."""
    if case in CASES_1D and fmt.endswith("1"):
        return _build_1d(sp, fmt[:-1], case, dtype)
    rows, columns, raw, shape, index = CASES[case]
    rows, columns, data = np.asarray(rows, index), np.asarray(columns, index), values(raw, dtype)
    if fmt == "coo":
        return sp.coo_array((data, (rows, columns)), shape=shape)
    major, minor = (rows, columns) if fmt == "csr" else (columns, rows)
    order = np.argsort(major, kind="stable")
    counts = np.bincount(major, minlength=shape[fmt == "csc"])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(index)
    return getattr(sp, f"{fmt}_array")((data[order], minor[order], indptr), shape=shape)


def _build_1d(sp, fmt, case, dtype):
    where, raw, shape, index = CASES_1D[case]
    where, data = np.asarray(where, index), values(raw, dtype)
    if fmt == "coo":
        return sp.coo_array((data, (where,)), shape=shape)
    return sp.csr_array((data, where, np.array([0, len(where)], index)), shape=shape)


def dense(case, dtype="float32"):
    """A dense operand of the case's shape, with zeros and without special values."""
    shape = CASES[case][3] if case in CASES else CASES_1D[case][2]
    size = int(np.prod(shape))
    return values((np.arange(size) * 7) % 5 - 2, dtype).reshape(shape)


def is_sparse(x):
    return mlx_sparse.issparse(x)


def buffers(A):
    """The arrays that represent a sparse or dense operand, by name."""
    if not is_sparse(A):
        return {"array": np.asarray(A)}
    if A.format == "coo":
        return {"data": np.asarray(A.data), **{f"coords[{k}]": np.asarray(c) for k, c in enumerate(A.coords)}}
    if A.format in ("lil", "dok"):
        return buffers(A.tocoo())
    names = ("data", "offsets") if A.format == "dia" else ("data", "indices", "indptr")
    return {name: np.asarray(getattr(A, name)) for name in names}


@contextlib.contextmanager
def frozen(*operands):
    """Check that the block leaves every operand bit for bit as it was."""
    with numpy_mode():
        before = [{k: (v.dtype, v.shape, v.tobytes()) for k, v in buffers(A).items()} for A in operands]
    yield
    with numpy_mode():
        for n, (A, saved) in enumerate(zip(operands, before, strict=True)):
            for name, v in buffers(A).items():
                assert saved[name] == (v.dtype, v.shape, v.tobytes()), f"operand {n}: {name} was changed"


@contextlib.contextmanager
def numpy_mode():
    before = mlx_sparse.runtime.dense_namespace
    mlx_sparse.runtime.dense_namespace = "numpy"
    try:
        yield
    finally:
        mlx_sparse.runtime.dense_namespace = before


def outcome(expr, sp):
    """`expr(sp)`, or the exception that it raised; warnings are silenced."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), numpy_mode():
        warnings.simplefilter("ignore")
        try:
            return expr(sp)
        except Exception as error:
            return error


def twin(expr, *, rtol=None, index_dtype=True, nnz=True):
    """Run `expr` over both packages and compare the results.

    Parameters
    ----------
    expr : callable
        Takes the package, returns a sparse array, a dense array, a scalar, a plain object, or a tuple or list of these.
    rtol : float, optional
        Relative tolerance; by default that of the result's dtype, and exact for integers and booleans.
    index_dtype, nnz : bool
        Whether the index dtypes and the numbers of stored entries must agree; ``index_dtype="stored"`` asks it only
        where there are entries.

    Returns
    -------
    object
        What mlx_sparse gave.

    Raises
    ------
    AssertionError
        Naming what differs: type, format, shape, dtype, index dtype, stored entries, values, or the exception's type.
    """
    reference, got = outcome(expr, scipy.sparse), outcome(expr, mlx_sparse)
    with numpy_mode():
        _compare(reference, got, rtol, index_dtype, nnz, narrow())
    return got


def _compare(ref, got, rtol, index_dtype, nnz, rule, where="result"):
    if isinstance(ref, Exception) or isinstance(got, Exception):
        if _public_type(got) is not _public_type(ref):
            cause = got if isinstance(got, Exception) else None
            raise AssertionError(f"{where}: SciPy gives {_short(ref)}, mlx_sparse {_short(got)}") from cause
        return
    if isinstance(ref, (tuple, list)):
        assert type(ref) is type(got) and len(ref) == len(got), f"{where}: {_short(ref)} against {_short(got)}"
        for n, (a, b) in enumerate(zip(ref, got, strict=True)):
            _compare(a, b, rtol, index_dtype, nnz, rule, f"{where}[{n}]")
        return
    if isinstance(ref, str):  # a dtype's name in a repr
        for wide, kept in rule.words.items():
            ref = ref.replace(wide, kept)
    name = type(rule.value(ref) if isinstance(ref, (np.generic, np.dtype)) else ref).__name__
    assert name == type(got).__name__, f"{where}: type {name} against {type(got).__name__}"
    if is_sparse(ref):
        _compare_sparse(ref, got, rtol, index_dtype, nnz, rule, where)
    elif isinstance(ref, (np.ndarray, np.generic)):
        _compare_dense(ref, got, rtol, rule, where)
    else:
        same = rule.value(ref) == got or (isinstance(ref, complex) and np.isclose(ref, got, rtol=1e-6))
        assert same or ref != ref and got != got, f"{where}: {ref!r} against {got!r}"


def _public_type(x):
    """Type of `x`; for an exception that NumPy keeps private, the public class that users catch."""
    return next(t for t in type(x).__mro__ if not t.__module__.startswith("numpy._core"))


def _compare_sparse(ref, got, rtol, index_dtype, nnz, rule, where):
    assert ref.format == got.format, f"{where}: format {ref.format} against {got.format}"
    assert ref.shape == got.shape, f"{where}: shape {ref.shape} against {got.shape}"
    if nnz:
        assert ref.nnz == got.nnz, f"{where}: nnz {ref.nnz} against {got.nnz}"
    if index_dtype and (ref.nnz or index_dtype != "stored"):
        mine, theirs = _index_dtypes(got), _index_dtypes(ref)
        assert mine == theirs, f"{where}: index dtypes {theirs} against {mine}"
    valid(got)
    _compare_dense(ref.toarray(), got.toarray(), rtol, rule, where)
    assert got.dtype == rule.value(ref.dtype), f"{where}: dtype {ref.dtype} against {got.dtype}"


def valid(A):
    """`A`, after a full check of its format: lengths, dtypes, bounds and pointers."""
    if hasattr(A, "check_format"):
        A.check_format(full_check=True)
    if A.format == "coo":
        parts = buffers(A)
        assert len({v.dtype for name, v in parts.items() if name != "data"}) == 1, "coordinates of two dtypes"
        for axis, size in enumerate(A.shape):
            c = parts[f"coords[{axis}]"]
            assert c.shape == parts["data"].shape, "coordinates and values differ in length"
            assert c.size == 0 or (c.min() >= 0 and c.max() < size), "coordinate outside the shape"
    return A


def _index_dtypes(A):
    return [v.dtype.name for name, v in buffers(A).items() if name != "data"]


def _compare_dense(ref, got, rtol, rule, where):
    expected = rule.value(ref)
    assert got.dtype == expected.dtype, f"{where}: dtype {expected.dtype} against {got.dtype}"
    assert ref.shape == got.shape, f"{where}: shape {ref.shape} against {got.shape}"
    ref, got, expected = (np.asarray(x) if isinstance(x, np.matrix) else x for x in (ref, got, expected))
    if expected.dtype.kind in "fc" or rtol is not None:
        tol = RTOL[expected.dtype.name] if rtol is None else rtol
        finite = ref[np.isfinite(ref)] if ref.ndim else ref
        scale = float(np.max(np.abs(finite), initial=1.0))
        np.testing.assert_allclose(got, ref, rtol=tol, atol=tol * scale, err_msg=where)
    else:
        np.testing.assert_array_equal(got, expected, err_msg=where)


def _short(x):
    return f"{type(x).__name__}: {x}"[:150].replace("\n", " ")


def sweep(expr, *axes, **options):
    """`twin(lambda sp: expr(sp, *point))` at every point of the product of `axes`; all differences in one error."""
    found = []
    for point in itertools.product(*axes):
        try:
            twin(lambda sp, point=point: expr(sp, *point), **options)
        except AssertionError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            found.append(f"{', '.join(map(str, point))}: {' | '.join(lines[:6])[:300]}")
    assert not found, f"{len(found)} points differ\n" + "\n".join(found[:12])

"""Sums of many values: how far they are from exact ones, by operation, dtype and format.

Bounds count roundings. On the CPU float32, complex64 and 16-bit floats are held in float64, so a sum is rounded once,
and a second time where values are squared or divided first. float64 sums of values alone are taken in blocks of 256 in
eight running sums, which are joined in pairs: 32 + 3 + log2(n / 256) roundings. What is added up by places is summed
over at most 4096 entries, and over the blocks of a sixteenth of all. Shaders take chunks of at most 2048 entries by 64
threads or more, which are joined in pairs, and chunks by as many.
"""

import math

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from mlx_sparse._reduce import totals_along

N = {"cpu": 200_000, "shader": 60_000, "gpu": 200_000}
DTYPES = ["float32", "float64", "complex64", "float16", "bfloat16"]
EPS = {"float32": 2.0**-24, "float64": 2.0**-53, "complex64": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@pytest.fixture
def n(device):
    return N[device]


def roundings(dtype, device, by_place, n):
    """How many of them, one after the other, a sum of n values may have gone through."""
    if device != "cpu":
        return 3 if dtype in ("float16", "bfloat16") else 32 + 6 + math.ceil(n / 2048 / 64) + 16
    if dtype != "float64":
        return 3
    return 4096 + n / 16 / 4096 + 32 if by_place else 64


def values(kind, dtype, n):
    """(n values of that dtype, the same in float64 or complex128)."""
    rng = np.random.default_rng(0)
    v = {"ones": np.ones(n), "tenths": np.full(n, 0.1), "random": rng.random(n) - 0.25}[kind]
    if dtype in ("float16", "bfloat16"):
        v = v / 64  # or float16 sums would overflow
    if dtype == "complex64":
        v = v + 0.5j * v[::-1]
    made = mx.array(
        v.astype(np.complex64 if dtype == "complex64" else np.float64 if dtype == "float64" else np.float32)
    )
    made = mx.array(v, dtype=mx.float64) if dtype == "float64" else made.astype(getattr(mx, dtype))
    return made, wide(made)


def wide(x):
    if isinstance(x, mx.array):
        x = np.asarray(x.astype(mx.float32) if x.dtype in (mx.bfloat16, mx.float16) else x)
    return np.asarray(x).astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def exact(v, axis=None):
    """The exact sums of float64 or complex128 values, rounded once."""
    if axis is not None:
        return np.apply_along_axis(exact, axis, v)
    return math.fsum(v.real) + 1j * math.fsum(v.imag) if np.iscomplexobj(v) else math.fsum(v)


def close(found, expected, magnitude, dtype, count):
    """|found - expected| within `count` roundings of a sum whose terms have this sum of magnitudes."""
    error = np.abs(wide(found) - expected)
    bound = EPS[dtype] * (np.abs(expected) if dtype in ("float16", "bfloat16") else magnitude) * count
    assert (error <= bound).all(), (np.max(error), np.min(bound), found, expected)


def skip_float64(dtype, device):
    if dtype == "float64" and device == "gpu":
        pytest.skip("MLX has no float64 on GPUs")


# How n values can all belong to one sum, and the array of them: (format, shape, axis of the sum, places).
def one_sum(fmt, v):
    n = v.size
    zero, ids = np.zeros(n, np.int32), np.arange(n, dtype=np.int32)
    whole = np.array([0, n], np.int32)
    if fmt == "csr row":
        return sp.csr_array((v, ids, whole), shape=(1, n)), 1
    if fmt == "csc column":
        return sp.csc_array((v, ids, whole), shape=(n, 1)), 0
    if fmt == "csr column":
        return sp.csr_array((v, zero, np.arange(n + 1, dtype=np.int32)), shape=(n, 1)), 0
    if fmt == "coo row":
        return sp.coo_array((v, (zero, ids[::-1].copy())), shape=(1, n)), 1
    if fmt == "coo cell":
        return sp.coo_array((v, (zero, zero)), shape=(1, 1)), 0
    if fmt == "csr cell":
        return sp.csr_array((v, zero, whole), shape=(1, 1)), 0
    if fmt == "bsr column":
        return sp.bsr_array((mx.reshape(v, (n // 4, 4, 1)), zero[: n // 4], np.arange(n // 4 + 1)), shape=(n, 1)), 0
    if fmt == "dia row":
        m = 1200
        return sp.dia_array((mx.broadcast_to(v[:m, None], (m, m)), ids[:m]), shape=(1, m)), 1
    return sp.coo_array((v, (zero, zero, ids)), shape=(1, 1, n)), (0, 2)  # "coo 3-d"


FORMATS = [
    "csr row", "csc column", "csr column", "coo row", "coo cell", "csr cell", "bsr column", "dia row", "coo 3-d",
]  # fmt: skip


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["tenths", "random"])
def test_sums_and_means(kind, dtype, fmt, device, n):
    skip_float64(dtype, device)
    v, w = values(kind, dtype, n)
    A, axis = one_sum(fmt, v)
    if fmt == "dia row":
        w = w[: A.shape[1]]
    total, magnitude = exact(w), np.abs(w).sum()
    size = math.prod(A.shape)
    plain = roundings(dtype, device, False, n)
    by_place = roundings(dtype, device, True, n)
    close(A.sum(), total, magnitude, dtype, plain)
    close(wide(A.sum(axis)).ravel(), total, magnitude, dtype, by_place)
    close(A.mean(), total / size, magnitude / size, dtype, plain + 2)
    if fmt != "coo 3-d":
        close(wide(A.mean(axis)).ravel(), total / A.shape[axis], magnitude / A.shape[axis], dtype, by_place + 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["tenths", "random"])
def test_duplicates(kind, dtype, device, n):
    """However they are added up: 7 places, in order and not."""
    skip_float64(dtype, device)
    v, w = values(kind, dtype, n)
    place = np.random.default_rng(1).integers(0, 7, n).astype(np.int32)
    expected = np.array([exact(w[place == p]) for p in range(7)])
    magnitude = np.array([np.abs(w[place == p]).sum() for p in range(7)])
    count = roundings(dtype, "cpu", False, n)
    row = np.zeros(n, np.int32)
    coo = sp.coo_array((v, (row, place)), shape=(1, 7))
    csr = sp.csr_array((v, place, np.array([0, n], np.int32)), shape=(1, 7))
    order = np.argsort(place, kind="stable")
    ordered = sp.csr_array((v[mx.array(order)], place[order], np.array([0, n], np.int32)), shape=(1, 7))
    for A in (coo, csr, ordered):
        B = A.copy()
        B.sum_duplicates()
        close(B.data, expected, magnitude, dtype, count)
        close([wide(A[0, p]) for p in range(7)], expected, magnitude, dtype, max(count, 32))  # pairwise, by NumPy
    for A in (coo.tocsr(), coo.tocsc(), csr.tobsr((1, 7)), coo.reshape((7, 1)).reshape((1, 7))):
        B = A.copy()
        B.sum_duplicates()
        close(wide(B.data).ravel(), expected, magnitude, dtype, count)
    if device == "cpu":  # shaders and GPUs add duplicates to the dense array in order: docs/deviations.md
        for A in (coo, csr, ordered):
            close(A.todense()[0], expected, magnitude, dtype, count)
    at = [0, 3]
    close(wide(csr[[0, 0], at]).ravel(), expected[at], magnitude[at], dtype, count)


@pytest.mark.parametrize("dtype", DTYPES)
def test_diagonal_and_trace(dtype, device, n):
    skip_float64(dtype, device)
    v, w = values("tenths", dtype, n)
    ids = np.arange(n, dtype=np.int32)
    A = sp.csr_array((v, ids, np.arange(n + 1, dtype=np.int32)), shape=(n, n))
    close(A.trace(), exact(w), np.abs(w).sum(), dtype, roundings(dtype, device, False, n))
    cell = sp.csr_array((v, ids % 1, np.array([0, n], np.int32)), shape=(1, 1))
    close(
        cell.trace(),
        exact(w),
        np.abs(w).sum(),
        dtype,
        roundings(dtype, device, True, n) + (n if dtype == "float64" else 0),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["tenths", "random"])
def test_norms(kind, dtype, device, n):
    skip_float64(dtype, device)
    v, w = values(kind, dtype, n)
    k = 1000
    A = sp.csr_array((v, np.arange(n, dtype=np.int32) % k, np.arange(0, n + 1, k, dtype=np.int32)), shape=(n // k, k))
    D = np.abs(w).reshape(n // k, k)
    count = roundings(dtype, device, True, n) + 4
    norm = sp.linalg.norm
    for found, expected in (
        (norm(A), math.sqrt(math.fsum(D.ravel() ** 2))),
        (norm(A, 1), max(map(math.fsum, D.T))),
        (norm(A, math.inf), max(map(math.fsum, D))),
        (norm(A, axis=0), np.sqrt(exact(D**2, 0))),
        (norm(A, axis=1), np.sqrt(exact(D**2, 1))),
        (norm(A, 1, axis=1), exact(D, 1)),
    ):
        close(found, expected, expected, "float32" if dtype == "complex64" else dtype, count)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 3, 40])
def test_segments(k, dtype, device, n):
    """Sums and means of few segments, in order and by ids in any order; exact products; log-sum-exp."""
    skip_float64(dtype, device)
    rows = max(n // (8 * k), 4000)
    v, w = values("random", dtype, rows * k)
    x, w = mx.reshape(v, (rows, k)), w.reshape(rows, k)
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 3, rows).astype(np.int32)
    count = roundings(dtype, device, True, rows)
    for which, given in ((ids, False), (np.sort(ids), True)):
        expected = np.stack([exact(w[which == s], 0) for s in range(3)])
        magnitude = np.stack([np.abs(w[which == s]).sum(0) for s in range(3)])
        length = np.bincount(which)[:, None]
        segments = {"segment_ids": which, "num_segments": 3, "indices_are_sorted": given}
        found = {op: sp.indexed.segment_reduce(x, operation=op, **segments) for op in ("sum", "mean")}
        close(found["sum"], expected, magnitude, dtype, count)
        close(found["mean"], expected / length, magnitude / length, dtype, count + 2)
        if dtype == "complex64":
            continue
        logs = wide(sp.indexed.segment_reduce(x, operation="logsumexp", **segments))
        expected = np.stack([np.log(exact(np.exp(w[which == s]), 0)) for s in range(3)])
        assert np.abs(logs - expected).max() <= EPS[dtype] * (count + 8) * np.abs(expected).max() + 4e-7 * (
            dtype != "float64"
        )


def test_products_of_segments(device):
    x = mx.array(1 + 1e-3 * np.random.default_rng(0).standard_normal((40_000, 1)).astype(np.float32))
    found = sp.indexed.segment_reduce(x, np.array([40_000]), "prod").item()
    expected = math.exp(math.fsum(np.log(np.asarray(x, np.float64)).ravel()))
    assert abs(found / expected - 1) <= (1e-6 if device == "cpu" else 40_000 * 2.0**-24)


def test_products_picked_by_indices(device):
    """All of them for one row of the result: blocks of 256 in order, joined in pairs."""
    t = N[device] // 10
    a, b = mx.full((1, 1, 4, 4), 0.1), mx.full((1, 1, 4), 0.7)
    zero = np.zeros(t, np.int32)
    out = sp.indexed.sparse_matrix_vector_multiplication_reduction(a, zero, b, zero, zero, 1)
    expected = t * 4 * float(np.float32(0.1)) * float(np.float32(0.7))
    assert np.abs(wide(out) / expected - 1).max() <= (256 + 32 + t / 2048 / 8) * 2.0**-24


def test_long_rows_of_products(device, n):
    """Blocks of 4096 entries, in four running sums for one column, joined in pairs."""
    v, w = values("tenths", "float32", n)
    A, _ = one_sum("csr row", v)
    for x in (mx.ones(n), mx.ones((n, 3))):
        assert np.abs(wide(A @ x) / exact(w) - 1).max() <= (1024 if x.ndim == 1 else 4096) * 2.0**-24
    B, _ = one_sum("csr column", v)
    for x in (mx.ones(n), mx.ones((n, 3))):
        assert np.abs(wide(B.T @ x) / exact(w) - 1).max() <= (4096 + n / 16 / 4096 + 32) * 2.0**-24


def test_sums_along_an_axis_of_dense_arrays(device):
    x = np.full((6, 30_000, 2), 0.1, np.float32)
    for axis in range(3):
        found = wide(totals_along(mx.array(x), axis))
        assert found.shape == x.sum(axis).shape
        expected = x.astype(np.float64).sum(axis)
        assert np.abs(found / expected - 1).max() <= roundings("float32", device, False, 30_000) * 2.0**-24
    grad = mx.grad(lambda y: (totals_along(y, 1) ** 2).sum())(mx.array(x))
    np.testing.assert_allclose(np.asarray(grad), 2 * 3000.0, rtol=1e-5)


@pytest.mark.parametrize("namespace", ["mlx", "numpy"])
@pytest.mark.parametrize("columns", [0, 3])
def test_dot_products_of_solvers(namespace, columns, device, n):
    from mlx_sparse.linalg._spaces import space

    if namespace == "numpy" and device == "gpu":
        pytest.skip("ndarrays are solved for on the CPU")
    x = np.full((n, columns) if columns else n, 0.1, np.float32)
    like = mx.array(x) if namespace == "mlx" else x
    V = space(like, {"A": lambda p: p, "M": None})
    v = V.vector(like)
    expected = n * float(np.float32(0.1)) ** 2
    found = V.dot(v, v)
    assert np.asarray(found).dtype == np.float32
    # Blocks of 10,000 by BLAS, or of 8,000 in 16 parts.
    assert np.abs(wide(found) / expected - 1).max() <= 200 * 2.0**-24
    squared = V.sweep((V.zeros(), 1, 1, v), squared=True)[-1]
    assert np.abs(wide(squared) / expected - 1).max() <= 200 * 2.0**-24


@pytest.mark.heavy
def test_twenty_million_ones(device):
    n = 20_000_000 if device != "shader" else 1_000_000
    ones = mx.ones(n)
    for fmt in ("csr row", "csr column", "coo cell"):
        A, axis = one_sum(fmt, ones)
        for found in (
            A.sum(),
            A.mean() * math.prod(A.shape),
            A.sum(axis),
            sp.linalg.norm(A) ** 2 / (n if "cell" in fmt else 1),
        ):
            assert abs(wide(found).ravel()[0] / n - 1) <= 1e-6

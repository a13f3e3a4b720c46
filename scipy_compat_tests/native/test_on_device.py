"""What has forms of its own where shaders run: element-wise operations, selections and reductions of one structure."""

import operator

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse import runtime
from scipy_compat_tests.oracle.harness import ALL_DTYPES

# Entries around the borders of a group of 256 threads, and of a chunk of 2048 that one group adds up.
SIZES = (0, 1, 2, 255, 256, 257, 2047, 2048, 2049, 6000)
MERGES = {
    "+": operator.add,
    "-": operator.sub,
    "multiply": lambda a, b: a.multiply(b),
    "maximum": lambda a, b: a.maximum(b),
    "minimum": lambda a, b: a.minimum(b),
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


@pytest.fixture(autouse=True, params=["mlx", "numpy"])
def namespace(request):
    previous, runtime.dense_namespace = runtime.dense_namespace, request.param
    yield request.param
    runtime.dense_namespace = previous


def random(nnz, seed, shape=(97, 131), dtype="float32", index="int32", format="csr"):
    """The same canonical array in both packages. Values are small integers: some are zero, and many cancel."""
    rng = np.random.default_rng(seed)
    flat = np.sort(rng.choice(shape[0] * shape[1], nnz, replace=False))
    raw = rng.integers(0 if np.dtype(dtype).kind in "ub" else -2, 3, nnz)
    values = raw.astype(dtype) if np.dtype(dtype).kind != "c" else (raw + 1j * rng.integers(-1, 2, nnz)).astype(dtype)
    rows, columns = (x.astype(index) for x in np.divmod(flat, shape[1]))
    S = getattr(scipy.sparse, f"{format}_array")((values, (rows, columns)), shape=shape)
    return S, made(S, index)


def made(S, index="int32"):
    return getattr(sp, f"{S.format}_array")((S.data, S.indices.astype(index), S.indptr.astype(index)), shape=S.shape)


def same(A, S):
    """Equal entry by entry, and canonical."""
    assert A.shape == S.shape
    S.sum_duplicates()
    for ours, theirs in ((A.indptr, S.indptr), (A.indices, S.indices), (A.data, S.data)):
        np.testing.assert_array_equal(np.asarray(ours), theirs)
    assert A.has_canonical_format


@pytest.mark.parametrize("nnz", SIZES)
@pytest.mark.parametrize("name", MERGES)
def test_operations_of_two_structures(name, nnz):
    (S, A), (T, B) = random(nnz, 1), random(max(0, 4000 - nnz), 2)
    same(MERGES[name](A, B), MERGES[name](S, T))
    same(MERGES[name](B, A), MERGES[name](T, S))


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("name", MERGES)
def test_operations_of_every_dtype(name, dtype):
    if np.dtype(dtype).kind == "c" and name in ("<", ">", "maximum", "minimum"):
        return  # NumPy's order of complex numbers: the tests of arithmetic have it
    (S, A), (T, B) = random(700, 3, dtype=dtype, index="int64"), random(900, 4, dtype=dtype)
    same(MERGES[name](A, B), MERGES[name](S, T))
    other = A.with_data(np.asarray(A.data)[::-1].copy())
    same(MERGES[name](A, other), MERGES[name](S, scipy.sparse.csr_array((S.data[::-1], S.indices, S.indptr), S.shape)))


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("name", MERGES)
def test_operations_of_one_structure(name, format):
    S, A = random(3000, 6, format=format)
    B = A.with_data(np.roll(np.asarray(A.data), 1))
    T = getattr(scipy.sparse, f"{format}_array")((np.roll(S.data, 1), S.indices, S.indptr), shape=S.shape)
    same(MERGES[name](A, B), MERGES[name](S, T))
    same(MERGES[name](A, A), MERGES[name](S, S))


def test_what_stands_behind_the_last_slice_takes_no_part():
    S, A = random(2050, 7)
    T, B = random(300, 8)
    longer = [np.append(x, x[:40]) for x in (S.data, S.indices)]
    padded = sp.csr_array((*longer, S.indptr), shape=S.shape, validate=False)
    for name in ("+", "multiply"):
        same(MERGES[name](padded, B), MERGES[name](S, T))
        same(MERGES[name](B, padded), MERGES[name](T, S))
    same(padded[::3], S[::3])
    assert padded.has_canonical_format


@pytest.mark.parametrize("nnz", SIZES)
def test_selections_of_slices(nnz):
    S, A = random(nnz, 9)
    rng = np.random.default_rng(10)
    chosen, mask = rng.integers(-97, 97, 300), rng.random(97) < 0.5
    for rows in (slice(None, None, 2), slice(90, 3, -7), slice(5, 60), slice(50, 50), chosen, mask, [], 13):
        ours, theirs = A[rows], S[rows]
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("nnz", SIZES)
def test_reductions_and_diagonals(nnz, format):
    S, A = random(nnz, 11, format=format)
    for axis in (0, 1):
        for name in ("sum", "mean", "argmax", "argmin"):
            found = np.asarray(getattr(A, name)(axis=axis))
            np.testing.assert_allclose(found, getattr(S, name)(axis=axis), rtol=1e-6, atol=1e-7)
        for name in ("max", "min", "nanmax"):
            found, wanted = getattr(A, name)(axis=axis), getattr(S, name)(axis=axis)
            np.testing.assert_array_equal(found.toarray(), wanted.toarray())
            assert found.nnz == wanted.nnz
    for k in (0, 1, -5, 130, -96, 200):
        np.testing.assert_array_equal(np.asarray(A.diagonal(k)), S.diagonal(k))
    np.testing.assert_array_equal(np.asarray(A.trace()), S.trace())


@pytest.mark.parametrize("start", [0, 96, 40, -1])
@pytest.mark.parametrize("step", [2, 96, 97, 1000, -1, -3, -1000, 2**31 + 5, -(2**40)])
def test_slices_by_steps(start, step):
    S, A = random(2049, 3)
    for stop in (None, 50, 0, -97, 96):
        np.testing.assert_array_equal(A[start:stop:step].toarray(), S.toarray()[start:stop:step])


def test_selections_of_pending_values_stay_pending(namespace, device):
    """On the shader executor the values of a selection are no part of what is computed for its structure."""
    if device not in ("shader", "shader-reversed") or namespace == "numpy":
        pytest.skip("elsewhere selections move evaluated buffers")
    S, A = random(2049, 4)
    mask = np.arange(97) % 3 == 0
    for way in (slice(None, None, 2), slice(None, None, -5), mask, np.array([4, 90, 4])):
        values = mx.array(S.data) * 2
        found = A.with_data(values)[way]
        assert not sp._native.is_available(values) and not sp._native.is_available(found._data)
        same(found, (2 * S).tocsr()[way])


@pytest.mark.parametrize("of", [lambda A: A.tocsc(), lambda A: A + A, lambda A: A[3:70], lambda A: A.T.tocsr()])
def test_results_never_share_what_can_be_written_to(of, namespace):
    S, A = random(2000, 12)
    kept = of(A).toarray()
    for name in ("data", "indices", "indptr"):
        B = of(A)
        buffer = getattr(B, name)
        buffer[0:2] = buffer[1:3]
        np.testing.assert_array_equal(A.toarray(), S.toarray())
        np.testing.assert_array_equal(of(A).toarray(), kept)
        np.testing.assert_array_equal(np.asarray(A.T @ mx.ones(97)), S.T @ np.ones(97, np.float32))


def test_gradients_of_operations_on_other_structures():
    (S, A), (_, B) = random(900, 13), random(800, 14)
    empty = sp.csr_array(A.shape, dtype=mx.float32)
    x = mx.array(np.random.default_rng(15).random(131, dtype=np.float32))

    def of(operation, other):
        return lambda v: (operation(A.with_data(v), other) @ x).sum()

    data, rows, slopes = mx.array(S.data), np.repeat(np.arange(97), np.diff(S.indptr)), np.asarray(x)[S.indices]
    for other in (B, empty):
        np.testing.assert_allclose(np.asarray(mx.grad(of(operator.add, other))(data)), slopes, rtol=1e-6)
        product = slopes * other.toarray()[rows, S.indices]
        np.testing.assert_allclose(np.asarray(mx.grad(of(MERGES["multiply"], other))(data)), product, rtol=1e-6)


def keys_of(name):
    """Keys of 70,000 entries: few of each, one of many, many of each, and one entry of each."""
    rng = np.random.default_rng(16)
    n = 70_001
    if name == "crowded":
        return np.where(rng.random(n) < 0.02, 7, rng.integers(0, 5000, n)), 5000
    if name == "permutation":
        return rng.permutation(n), n
    columns = {"few": 9, "short": 3000, "long": 2_000_000}[name]
    return rng.integers(0, columns, n), columns


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("name", ["few", "crowded", "short", "long", "permutation"])
def test_long_arrays_are_sorted_stably(name, index):
    column, columns = keys_of(name)
    n = column.size
    row = np.sort(np.random.default_rng(17).integers(0, 300, n)).astype(index)
    indptr = np.searchsorted(row, np.arange(301)).astype(index)
    A = sp.csr_array((np.arange(n, dtype=np.float32), column.astype(index), indptr), shape=(300, columns))
    B, order = A.tocsc(), np.argsort(column, kind="stable")
    np.testing.assert_array_equal(np.asarray(B.data), order)
    np.testing.assert_array_equal(np.asarray(B.indices), row[order])
    np.testing.assert_array_equal(np.asarray(B.indptr), np.searchsorted(column[order], np.arange(columns + 1)))
    assert B.indices.dtype == A.indices.dtype


@pytest.mark.parametrize("as_array", [np.asarray, mx.array])
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_selections_by_arrays_of_either_kind(format, as_array):
    S, A = random(3000, 19, format=format)
    n = S.shape[0 if format == "csr" else 1]
    rng = np.random.default_rng(20)
    some, none, every = rng.random(n) < 0.4, np.zeros(n, bool), np.ones(n, bool)
    for key in (
        rng.integers(-n, n, 200),
        rng.integers(0, n, 1),
        rng.permutation(n).astype(np.int32),
        some,
        none,
        every,
    ):
        chosen = as_array(key)
        keys = (key, chosen) if format == "csr" else ((slice(None), key), (slice(None), chosen))
        ours, theirs = A[keys[1]], S[keys[0]]
        assert ours.shape == theirs.shape and ours.format == format
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())
        assert ours.indptr.size == ours.shape[0 if format == "csr" else 1] + 1


@pytest.mark.parametrize("as_array", [np.asarray, mx.array])
@pytest.mark.parametrize("wrong", [[97], [0, -98], [5, 2**40], [-(2**40)]])
def test_positions_out_of_range(wrong, as_array):
    _, A = random(3000, 21)
    with pytest.raises(IndexError, match=r"index \(.*\) out of range"):
        A[as_array(np.array(wrong))]
    with pytest.raises(IndexError):
        A[as_array(np.ones(96, bool))]


def slices_with(lengths, columns, rng, sort):
    """A square array of such slices: minor indices repeat, and every slice has its diagonal element several times."""
    parts = [np.append(rng.integers(0, columns, max(0, n - 2)), [m, m])[:n] for m, n in enumerate(lengths)]
    parts = [np.sort(p) if sort else rng.permutation(p) for p in parts]
    indices = np.concatenate(parts).astype(np.int32)
    indptr = np.append(0, np.cumsum(lengths)).astype(np.int32)
    return indices, indptr, rng.integers(-3, 4, indices.size)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool", "complex64"])
@pytest.mark.parametrize("order", ["sorted", "found", "any"])
def test_diagonals_of_long_slices_and_duplicates(order, dtype):
    rng = np.random.default_rng(22)
    lengths = rng.choice([0, 1, 5, 63, 64, 65, 257, 5000], 300, p=[0.2, 0.2, 0.3, 0.1, 0.07, 0.06, 0.05, 0.02])
    lengths[7], lengths[40] = 9000, 64
    indices, indptr, raw = slices_with(lengths, 40 if order == "any" else 300, rng, order != "any")
    values = raw.astype(dtype)
    shape = (300, 300)
    A = sp.csr_array((values, indices, indptr), shape=shape)
    if order == "found":
        assert A.has_sorted_indices
    row = np.repeat(np.arange(300), lengths)
    for k in (0, 3, -8):
        on = indices == row + k
        first, count = max(-k, 0), 300 - abs(k)
        wanted = np.zeros(300, "complex128" if dtype == "complex64" else "float64")
        np.add.at(wanted, row[on], values[on])
        np.testing.assert_array_equal(np.asarray(A.diagonal(k)), wanted[first : first + count].astype(dtype))


def test_gradients_of_complex_values(namespace):
    rng = np.random.default_rng(23)
    (S, A), (T, B) = (random(900, seed, dtype="complex64") for seed in (24, 25))
    data = mx.array((rng.standard_normal(900) + 1j * rng.standard_normal(900)).astype(np.complex64))
    rows = mx.array(rng.integers(0, 97, 150))
    row = np.repeat(np.arange(97), np.diff(S.indptr))

    every = mx.eye(131).astype(mx.complex64)

    def slope(of):
        return np.asarray(mx.grad(lambda v: mx.abs(of(A.with_data(v)) @ every).square().sum())(data))

    x = np.asarray(data)
    times = np.bincount(np.asarray(rows), minlength=97)[row]
    np.testing.assert_allclose(slope(lambda A: A[rows]), 2 * x * times, rtol=1e-5)
    np.testing.assert_allclose(slope(lambda A: A[3:50]), 2 * x * ((row >= 3) & (row < 50)), rtol=1e-5)
    other = T.toarray()[row, S.indices]
    np.testing.assert_allclose(slope(lambda A: A + B), 2 * (x + other), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope(lambda A: A.multiply(B)), 2 * x * np.abs(other) ** 2, rtol=1e-5, atol=1e-6)
    if namespace == "numpy":  # there the diagonal is an ndarray, which has no gradient
        return
    on = mx.array(S.indices == row)
    of_array = mx.grad(lambda v: mx.abs(A.with_data(v).diagonal()).square().sum())
    of_values = mx.grad(lambda v: mx.abs(v * on).square().sum())
    for times in (lambda f: f, lambda f: mx.grad(lambda v: mx.real(f(v)).square().sum())):
        found, wanted = (np.asarray(times(f)(data)) for f in (of_array, of_values))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def product(S, T):
    """Without the zeros that SciPy keeps."""
    found = S @ T
    found.sum_duplicates()
    found.eliminate_zeros()
    return found


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("nnz", [0, 1, 3, 300, 1100, 2300])
def test_products_of_two_arrays(nnz, format):
    S, A = random(nnz, 28, format=format)
    T, B = random(900, 29, (131, 61), format=format)
    same(A @ B, product(S, T))


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_products_of_every_dtype(dtype):
    (S, A), (T, B) = random(700, 30, dtype=dtype, index="int64"), random(600, 31, (131, 61), dtype=dtype)
    wide = "complex128" if np.dtype(dtype).kind == "c" else "int64"
    found = A @ B
    np.testing.assert_array_equal(found.toarray(), (S.toarray().astype(wide) @ T.toarray().astype(wide)).astype(dtype))
    assert found.has_canonical_format


@pytest.mark.parametrize("products", [511, 512, 513, 5000])
def test_products_of_slices_around_the_longest_that_a_group_takes(products):
    rng = np.random.default_rng(32)
    lengths = rng.multinomial(products, np.ones(40) / 40)
    indptr = np.append(0, np.cumsum(lengths))
    entries = rng.integers(-2, 3, products).astype(np.float32), rng.integers(0, 300, products), indptr
    T = scipy.sparse.csr_array(entries, (40, 300))
    S = scipy.sparse.csr_array(np.ones((5, 40), np.float32) * np.array([[1], [0], [-1], [2], [0]], np.float32))
    A, B = made(S), sp.csr_array((T.data, T.indices, T.indptr), shape=T.shape)
    same(A @ B, product(S, T))


def test_products_of_what_is_not_canonical():
    rng = np.random.default_rng(33)
    parts = []
    for rows, columns in ((700, 500), (500, 90)):
        indptr = np.append(0, np.cumsum(rng.integers(0, 9, rows)))
        n = indptr[-1]
        parts.append(
            ((rng.integers(-3, 4, n).astype(np.float32), rng.integers(0, columns, n), indptr), (rows, columns))
        )
    (S, T), (A, B) = ([cls(x, shape=shape) for x, shape in parts] for cls in (scipy.sparse.csr_array, sp.csr_array))
    same(A @ B, product(S, T))

"""Peak memory beyond the operands, compared with SciPy's. Every measurement is a process of its own."""

import json
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse

counted = pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads Linux's counters")

CHILD = """
import copy, ctypes, gc, json, sys, tempfile, warnings
import numpy as np
import {library} as sp
warnings.simplefilter("ignore")
try:
    from mlx.core import clear_cache
    getattr(sp, "use_cpu", int)()  # the host's memory is counted
except ImportError:
    def clear_cache(): pass

def megabytes(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key + ":"))

def random(n, seed, ordered):
    rng = np.random.default_rng(seed)
    block = n // 5
    indices = np.arange(5, dtype=np.int32) * block + rng.integers(0, block, (n, 5), dtype=np.int32)
    indices = indices if ordered else rng.permuted(indices, axis=1)
    indptr = np.arange(0, 5 * n + 1, 5, dtype=np.int32)
    A = sp.csr_array((rng.standard_normal(5 * n), indices.ravel(), indptr), shape=(n, n))
    assert not ordered or A.has_canonical_format
    return A

def operands(n):
    A, B, U, r = random(n, 0, True), random(n, 1, True), random(n, 2, False), np.arange(n // 50)
    twice = np.random.default_rng(4).permuted(np.repeat(B.indices.reshape(n, 5)[:, :3], 2, axis=1)[:, :5], axis=1)
    V = sp.csr_array((B.data.copy(), twice.ravel(), B.indptr.copy()), shape=B.shape)
    Z = sp.csr_array((B.data > 0, B.indices.copy(), B.indptr.copy()), shape=B.shape, dtype=np.float64)
    t = np.ones(5 * n), tuple(np.random.default_rng(3).integers(0, n, (2, 5 * n), dtype=np.int32))
    L = getattr(sp, "{format}_array")((r.size + 10, r.size + 10))
    L[r, r] = 1.0
    m, D = sp.csr_array(A[: r.size, : r.size]), np.ones((r.size // 5,) * 2)
    C, K, file = B.tocoo(), A[: n // 5].tolil(), tempfile.TemporaryFile()
    at = tuple(c[::2] for c in C.coords)
    w = np.ones(at[0].size)
    return {{**locals(), "sp": sp, "np": np, "copy": copy}}

found = []
for statement in json.loads(sys.argv[1]):
    exec(statement, operands(500))
    names = operands(100_000)
    gc.collect()
    clear_cache()
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as counters:
        counters.write("5")
    before = megabytes("VmRSS")
    exec(statement, names)
    found.append(megabytes("VmHWM") - before)
print(json.dumps(found))
"""


@cache
def peaks(library, statements, format="lil"):
    """MB by which each of the statements raises a process's peak."""
    environment = {**os.environ, "MLX_SPARSE_DENSE_NAMESPACE": "numpy", "MLX_SPARSE_EXECUTOR": "native"}
    environment["MALLOC_MMAP_THRESHOLD_"] = "65536"  # what is freed goes back: no statement finds what others left
    environment["MLX_SPARSE_CPU_THREADS"] = "2"  # each has a piece of its own
    environment["PYTHONPATH"] = os.path.dirname(os.path.dirname(mlx_sparse.__file__))
    command = [sys.executable, "-P", "-c", CHILD.format(library=library, format=format), json.dumps(statements)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(statements, json.loads(done.stdout), strict=True))


OPERATIONS = (
    "A.multiply(B)", "A.maximum(B)", "A > B", "A - A", "A + B", "A.max(axis=1)", "A > 0.5", "A.power(2)",
    "U.multiply(B)", "U + B", "U.max(axis=1)", "U > 0.5", "U.power(2)", "abs(U)", "sp.csr_array(t, shape=A.shape)",
    "V.max()", "V.max(axis=0)", "V.max(axis=1)", "V.argmax(axis=1)", "U.argmax(axis=1)", "V.count_nonzero()",
    "V.count_nonzero(axis=1)", "V > 0.5", "V.power(2)", "abs(V)", "V + B", "V.astype(np.float32)",
    "U.astype(np.float32)", "A.astype(np.float32)", "A.T.tocsr()", "A @ B", "copy.deepcopy(A)", "A *= 2.0", "A /= 2.0",
    "A.eliminate_zeros()", "A.sum_duplicates()", "B[at] = w", "K.tocsr()", "sp.save_npz(file, A, compressed=False)",
)  # fmt: skip
IN_PLACE = ("V.sum_duplicates()", "U.sum_duplicates()", "U.sort_indices()", "Z.eliminate_zeros()")
BLOCKS = ("L[np.ix_(r, r)]", "L[np.ix_(r[::-1], r)]", "L[1 : r.size + 1, 10 : r.size + 10] = m", "L[np.ix_(r, r)] = m")
DENSE = ("L[: D.shape[0], : D.shape[1]] = D",)


@counted
@pytest.mark.parametrize("statement", OPERATIONS)
def test_operations_take_no_more_than_half_as_much_again_as_in_scipy(statement):
    theirs = peaks("scipy.sparse", OPERATIONS)[statement]
    assert peaks("mlx_sparse", OPERATIONS)[statement] < 1.5 * theirs + 2


@counted
@pytest.mark.parametrize("statement", IN_PLACE)
def test_what_scipy_does_in_place_takes_no_more_than_a_copy(statement):
    theirs = peaks("scipy.sparse", IN_PLACE)[statement]
    assert peaks("mlx_sparse", IN_PLACE)[statement] < theirs + 6.2 + 2  # 5e5 entries of 12 bytes, 1e5 of indptr's


@counted
@pytest.mark.parametrize("format", ["lil", "dok", "coo", "csr"])
def test_blocks_take_memory_for_their_entries_and_not_for_their_cells(format):
    found = peaks("mlx_sparse", BLOCKS, format)
    assert max(found.values()) < 4, found  # of 4e6 cells, one byte of each would be 4


@counted
@pytest.mark.parametrize("format", ["lil", "dok", "csr"])
def test_a_dense_block_is_written_piece_by_piece(format):
    ours, theirs = (peaks(library, DENSE, format)[DENSE[0]] for library in ("mlx_sparse", "scipy.sparse"))
    assert ours < 2 * theirs + 4


# ---- what such operations give ------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["csr", "csc", "lil", "dok", "coo"])
def test_blocks_by_index_arrays_are_those_of_a_dense_array(format):
    rng = np.random.default_rng(0)
    D = rng.integers(1, 9, (7, 6)) * (rng.random((7, 6)) < 0.5) * 1.0
    for rows, cols in (([3, 1, 3], [5, 0]), (np.arange(7), np.arange(6)), ([-1, 2], [0, 0, -2]), ([], [1])):
        key = np.ix_(np.array(rows, np.int64), np.array(cols, np.int64))
        A = getattr(mlx_sparse, f"{format}_array")(D)
        np.testing.assert_array_equal(A[key].toarray(), D[key])


@pytest.mark.parametrize("format", ["csr", "csc", "lil", "dok"])
@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (3, 1), (1, 1)])
def test_of_rows_and_columns_named_twice_the_last_counts(format, shape):
    rng = np.random.default_rng(1)
    D = rng.integers(1, 9, (6, 5)) * 1.0
    x = rng.integers(1, 9, shape) * (rng.random(shape) < 0.6) * 1.0
    A, key = getattr(mlx_sparse, f"{format}_array")(D), np.ix_([4, 0, 4], [1, 3, 1, 0])
    A[key] = mlx_sparse.coo_array(x)
    D[key] = x
    np.testing.assert_array_equal(A.toarray(), D)


def test_coo_of_three_dimensions_by_an_open_mesh():
    rng = np.random.default_rng(2)
    D = rng.integers(1, 9, (4, 5, 6)) * (rng.random((4, 5, 6)) < 0.4)
    A = mlx_sparse.coo_array(D)
    for key in (np.ix_([3, 0], [4, 4, 1], [5, 2]), (np.array([[1], [2]]), slice(None), np.array([[0, 3]]))):
        np.testing.assert_array_equal(A[key].toarray(), D[key])


@pytest.mark.parametrize("op", ["multiply", "maximum", "minimum", "__add__", "__sub__", "__gt__", "__ne__"])
@pytest.mark.parametrize("kind", ["many short rows", "one long row", "rows of every length", "nothing"])
@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.complex64])
def test_operands_in_any_order_and_with_duplicates(op, kind, dtype):
    if dtype == np.complex64 and op in ("maximum", "minimum", "__gt__"):
        pytest.skip("complex numbers have no order")
    rng = np.random.default_rng(4)
    shape, lengths = {
        "many short rows": ((30_000, 500), rng.integers(0, 7, 30_000)),
        "one long row": ((1, 90_000), np.array([60_000])),
        "rows of every length": ((40, 50_000), np.array([0, 30_000, 1, 0, 9000] * 8)),
        "nothing": ((5, 4), np.zeros(5, int)),
    }[kind]

    def make(seed, ordered):
        rng = np.random.default_rng(seed)
        indptr = np.append(0, np.cumsum(lengths))
        indices = rng.integers(0, shape[1], indptr[-1])
        A = mlx_sparse.csr_array((rng.integers(-2, 3, indptr[-1]).astype(dtype), indices, indptr), shape=shape)
        if ordered:
            A.sum_duplicates()
        return A

    for first, second in ((True, True), (False, True), (True, False), (False, False)):
        A, B = make(5, first), make(6, second)
        S, T = (
            scipy.sparse.csr_array(tuple(np.array(x) for x in (X.data, X.indices, X.indptr)), shape=shape)
            for X in (A, B)
        )
        S.sum_duplicates()
        T.sum_duplicates()
        want, found = getattr(S, op)(T), getattr(A, op)(B)
        assert found.has_canonical_format
        np.testing.assert_array_equal(np.asarray(found.indptr), want.indptr)
        np.testing.assert_array_equal(np.asarray(found.indices), want.indices)
        np.testing.assert_array_equal(np.asarray(found.data), want.data)

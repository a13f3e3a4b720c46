"""Results have the same bits for every number of workers."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp
from mlx_sparse import runtime

SIZE = {"cpu": 1, "shader": 8, "gpu": 1}  # by how much structures are smaller
DTYPES = ["float32", "float64", "float16", "complex64"]
STRUCTURES = ["band", "few a column", "many a column", "long rows", "one row", "one column", "arrow"]


def structure(name, scale):
    """(rows, columns, shape)"""
    rng = np.random.default_rng(0)
    n, m = 24_000 // scale, 120_000 // scale
    if name == "band":
        row = np.repeat(np.arange(n), 9)
        return row, np.clip(row + np.tile([-300, -17, -2, -1, 0, 1, 2, 17, 300], n), 0, n - 1), (n, n)
    if name == "few a column":
        return np.sort(rng.integers(0, n, 3 * n)), rng.integers(0, n, 3 * n), (n, n)
    if name == "many a column":
        return np.sort(rng.integers(0, n, m)), rng.integers(0, 1500, m), (n, 1500)
    if name == "long rows":  # several above what stays whole, among short ones and empty ones
        row = np.concatenate([np.full(23_001 // scale, 3), np.full(70_000 // scale, 11), rng.integers(12, 900, m // 2)])
        return np.sort(row), rng.integers(0, n, row.size), (901, n)
    if name == "one row":
        return np.zeros(m, int), rng.integers(0, m, m), (1, m)
    if name == "one column":
        return np.arange(m), np.zeros(m, int), (m, 1)
    row = np.repeat(np.arange(n), 2)
    return row, np.where(np.arange(2 * n) % 2, row, 0), (n, n)


def numbers(rng, dtype, *shape):
    x = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 1, shape)
    if dtype == "complex64":
        return mx.array((x + 1j * x[..., ::-1]).astype(np.complex64))
    return (
        mx.array(x, dtype=mx.float64)
        if dtype == "float64"
        else mx.array(x.astype(np.float32)).astype(getattr(mx, dtype))
    )


def bits(x):
    a = np.array(x)
    return a.shape, a.dtype, a.tobytes()


def differing(results):
    """Names of the results that are not the same for 1, 2, 3 and 7 workers."""
    found = {}
    for threads in (1, 2, 3, 7):
        with runtime.context(N_THREADS=threads):
            for name, value in results():
                found.setdefault(name, set()).add(bits(value))
    return [name for name, seen in found.items() if len(seen) > 1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STRUCTURES)
def test_sums_and_products(name, dtype, device):
    if dtype == "float64" and device == "gpu":
        pytest.skip("MLX has no float64 on GPUs")
    row, col, shape = structure(name, SIZE[device])
    rng = np.random.default_rng(1)
    coo = sp.coo_array((numbers(rng, dtype, row.size), (row.astype(np.int32), col.astype(np.int32))), shape=shape)
    wide = {k: (numbers(rng, dtype, shape[1], k), numbers(rng, dtype, shape[0], k)) for k in (1, 3, 20)}

    def results():
        csr, csc = coo.tocsr(), coo.tocsc()
        duplicated = sp.csr_array((coo.data, coo.coords[1] % 5, csr.indptr), shape=(shape[0], 5))
        for label, A in (("coo", coo), ("csr", csr), ("csc", csc)):
            yield f"{label} sum", A.sum()
            yield f"{label} mean", A.mean()
            for axis in (0, 1):
                yield f"{label} sum {axis}", A.sum(axis)
            yield f"{label} diagonal", A.diagonal()
            for k, (x, y) in wide.items():
                yield f"{label} A @ x, {k}", A @ (x[:, 0] if k == 1 else x)
                yield f"{label} A.T @ y, {k}", A.T @ (y[:, 0] if k == 1 else y)
        for order in ("fro", 1, np.inf):
            yield f"norm {order}", sp.linalg.norm(csr, order)
        yield "norms of columns", sp.linalg.norm(csr, axis=0)
        yield "duplicates", duplicated._unique().data
        yield "canonical", coo._unique().data
        if shape[0] * 5 < 10_000_000:
            yield "dense", duplicated.toarray()
        yield "gradient", mx.grad(lambda v: mx.abs((csr.with_data(v) @ wide[3][0]).sum()))(csr.data)

    assert differing(results) == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 5, 70])
def test_segments(k, dtype, device):
    if dtype == "float64" and device == "gpu":
        pytest.skip("MLX has no float64 on GPUs")
    rng = np.random.default_rng(3)
    rows = 80_000 // k // SIZE[device] + 9000
    x = numbers(rng, dtype, rows, k)
    few, many = rng.integers(0, 4, rows).astype(np.int32), rng.integers(0, rows // 3, rows).astype(np.int32)
    operations = ("sum", "mean", "prod") if dtype == "complex64" else ("sum", "mean", "prod", "max", "logsumexp")

    def results():
        for label, ids, count in (("few", few, 4), ("many", many, rows // 3), ("in order", np.sort(few), 4)):
            for op in operations:
                yield f"{label} {op}", sp.indexed.segment_reduce(x, operation=op, segment_ids=ids, num_segments=count)

    assert differing(results) == []


def test_products_picked_by_indices(device):
    rng = np.random.default_rng(4)
    t = 40_000 // SIZE[device]
    a, b = numbers(rng, "float32", 50, 2, 3, 9), numbers(rng, "float32", 70, 2, 9)
    x = numbers(rng, "float32", 60, 2, 3)
    ai, bi, xi = (rng.integers(0, n, t).astype(np.int32) for n in (50, 70, 60))
    out = np.sort(np.where(rng.random(t) < 0.5, 0, rng.integers(0, 300, t))).astype(np.int32)

    def results():
        products = sp.indexed
        yield "matrix", products.sparse_matrix_vector_multiplication_reduction(a, ai, b, bi, out, 300)
        yield "outer", products.sparse_vector_vector_outer_product_reduction(x, xi, b, bi, out, 300)

    assert differing(results) == []


@pytest.mark.parametrize("fmt", ["bsr", "dia"])
def test_blocks_and_diagonals(fmt, device):
    rng = np.random.default_rng(5)
    row, col, shape = structure("band", SIZE[device])
    n = shape[0]
    x, X = numbers(rng, "float32", n), numbers(rng, "float32", n, 3)
    if fmt == "bsr":
        A = sp.coo_array((numbers(rng, "float32", row.size), (row, col)), shape=shape).tobsr((2, 2))
    else:
        offsets = [-300, -17, -2, -1, 0, 1, 2, 17, 300]
        A = sp.dia_array((numbers(rng, "float32", 9, n), offsets), shape=shape)
    blocks = 12_000 // SIZE[device]  # one long block row
    parts = numbers(rng, "float32", blocks, 2, 3), np.arange(blocks), np.array([0, blocks])
    L = sp.bsr_array(parts, shape=(2, 3 * blocks))
    z = numbers(rng, "float32", 3 * blocks)

    def results():
        yield "A @ x", A @ x
        yield "A @ X", A @ X
        yield "A.T @ x", A.T @ x
        yield "sum", A.sum()
        yield "sums", A.sum(0)
        yield "long", L @ z

    assert differing(results) == []


@pytest.mark.parametrize("namespace", ["mlx", "numpy"])
def test_solutions(namespace, device):
    n = 60_000 // SIZE[device]
    A = sp.diags_array([-1.0, 2.001, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csr", dtype=np.float32)
    b = np.random.default_rng(6).standard_normal(n).astype(np.float32)
    B = np.stack([b, 2 * b, b**2], axis=1)
    if namespace == "mlx":
        b, B = mx.array(b), mx.array(B)

    def results():
        yield "cg", sp.linalg.cg(A, b, maxiter=8)[0]
        yield "gmres", sp.linalg.gmres(A, b, maxiter=2)[0]
        yield "columns", sp.linalg.cg(A, B, maxiter=5)[0]

    assert differing(results) == []

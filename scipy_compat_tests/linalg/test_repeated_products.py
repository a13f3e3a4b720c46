"""After some products a matrix is held by diagonals or by slices of rows: the course of a solution stays the same."""

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp

STEPS = 24  # more than the products after which another form is worth while


def banded(n, offsets):
    rng = np.random.default_rng(1)
    A = scipy.sparse.diags_array([rng.uniform(0.1, 1, n) for _ in offsets], offsets=offsets, shape=(n, n))
    return (A + A.T + 2 * len(offsets) * scipy.sparse.eye_array(n)).tocsr()


def scattered(n, each=5):
    """With rows of different lengths, some that hold their diagonal entry only."""
    rng = np.random.default_rng(2)
    rows, columns = rng.integers(0, n, (2, each * n))
    kept = rows % 7 != 3
    A = scipy.sparse.coo_array((rng.uniform(-1, 1, kept.sum()), (rows[kept], columns[kept])), shape=(n, n))
    return (A + 6 * each * scipy.sparse.eye_array(n)).tocsr()


def uneven(n):
    """With one row that holds every column."""
    A = scattered(n).tolil()
    A[5] = 0.01
    A[5, 5] = n
    return A.tocsr()


def twice(n):
    """Entries in no order, every one of them as two halves."""
    S = scattered(n).tocoo()
    order = np.random.default_rng(3).permutation(2 * S.nnz)
    rows, columns, data = (np.concatenate([part, part])[order] for part in (*S.coords, S.data / 2))
    by_row = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=n)
    return scipy.sparse.csr_array((data[by_row], columns[by_row], np.append(0, np.cumsum(counts))), shape=(n, n))


MATRICES = {
    "tridiagonal": lambda n: banded(n, [1]),
    "band": lambda n: banded(n, [1, 2, n // 2]),
    "corner": lambda n: banded(n, [n - 1]),
    "scattered": scattered,
    "uneven": uneven,
    "twice": twice,
}


@pytest.mark.parametrize("n", [3, 9, 1021, 4100])
@pytest.mark.parametrize("number", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("kind", MATRICES)
def test_bicgstab(kind, n, number, device):
    if device != "cpu":
        pytest.skip("programs are replayed by CPU kernels")
    S = MATRICES[kind](max(n, 6)).astype(number)
    if number == "complex128":
        S = S * (1 + 0.1j)
    b = np.random.default_rng(0).standard_normal(S.shape[0]).astype(number)
    A = sp.csr_array((S.data, S.indices, S.indptr), shape=S.shape)
    rtol = 1e-4 if number == "float32" else 1e-10
    x, info = sp.linalg.bicgstab(A, b, rtol=rtol, maxiter=STEPS)
    assert info in (0, STEPS)
    y, told = sp.linalg.bicgstab(A, b, rtol=rtol, maxiter=STEPS, callback=lambda xk: None)
    assert told == info
    size = np.linalg.norm(b)
    assert np.linalg.norm(b - S @ x) <= (
        2 * rtol * size if info == 0 else 1.01 * np.linalg.norm(b - S @ y) + rtol * size
    )


@pytest.mark.parametrize("kind", ["diagonals", "slices"])
@pytest.mark.parametrize("shape", [(1500, 1200), (1200, 1500), (40, 2100), (2100, 40)])
@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_least_squares(name, shape, kind, device):
    if device != "cpu":
        pytest.skip("programs are replayed by CPU kernels")
    rng = np.random.default_rng(4)
    if kind == "diagonals":
        last = shape[1] - 1
        offsets = [0, 1, -1, last, 1 - shape[0]]
        diagonals = [rng.uniform(0.5, 1, max(shape)) for _ in offsets]
        S = scipy.sparse.dia_array((np.array(diagonals), offsets), shape=shape).tocsr()
    else:
        S = scipy.sparse.random_array(shape, density=6 / shape[1], rng=rng).tocsr()
    b = rng.standard_normal(shape[0])
    limit = {"lsqr": "iter_lim", "lsmr": "maxiter"}[name]
    options = {"atol": 0.0, "btol": 0.0, limit: STEPS}
    x, *_ = getattr(sp.linalg, name)(sp.from_scipy(S), b, **options)
    y, *_ = getattr(scipy.sparse.linalg, name)(S, b, **options)
    assert np.linalg.norm(b - S @ x) <= 1.0001 * np.linalg.norm(b - S @ y)
    assert np.linalg.norm(x - y) <= 1e-3 * np.linalg.norm(y)


def test_numbers_that_overflow(device):
    """Filling has no part in them: infinity times zero would be nan, and both end a solution."""
    if device != "cpu":
        pytest.skip("programs are replayed by CPU kernels")
    S = scattered(500)
    S.data[7] = 1e308
    b = np.full(500, 1e300)
    x, info = sp.linalg.cg(sp.from_scipy(S), b, maxiter=30)
    assert info == 30 and x.shape == b.shape

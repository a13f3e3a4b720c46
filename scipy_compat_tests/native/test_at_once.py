"""What is small and evaluated may be computed at once; what is traced, pending or large stays in the graph."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse as ss

import mlx_sparse as sp
from mlx_sparse import _native

SMALL, LARGE = 30, 30_000  # rows of three entries: below and above what is computed at once


def pair(n, seed=0):
    rng = np.random.default_rng(seed)
    row, col = np.repeat(np.arange(n), 3), rng.integers(0, n, 3 * n)
    theirs = ss.coo_array((rng.integers(1, 9, 3 * n).astype(float), (row, col)), shape=(n, n)).tocsr()
    return sp.from_scipy(theirs), theirs


def same(found, expected):
    if ss.issparse(expected):
        assert found.shape == expected.shape
        a, b = found.tocoo(), expected.tocoo()
        a.sum_duplicates()
        b.sum_duplicates()
        for x, y in zip((*a.coords, a.data), (*b.coords, b.data), strict=True):
            np.testing.assert_array_equal(np.asarray(x), y)
    else:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def diagonals(lib, n, ones=1.0):
    return lib.dia_array((np.arange(3.0 * n).reshape(3, n) * ones, [-2, 0, 5]), shape=(n, n))


def wide(lib, A):
    index = (np.asarray(x).astype(np.int64) for x in (A.indices, A.indptr))
    return lib.csr_array((np.asarray(A.data), *index), shape=A.shape)


# Sums of small integers in float64: exact in any order.
CASES = {
    "sum": lambda lib, A, n: A.sum(),
    "sum-0": lambda lib, A, n: A.sum(axis=0),
    "sum-1": lambda lib, A, n: A.sum(axis=1),
    "trace": lambda lib, A, n: A.trace(),
    "diagonal": lambda lib, A, n: A.diagonal(1),
    "min": lambda lib, A, n: A.min(),
    "max": lambda lib, A, n: A.max(),
    "scaled": lambda lib, A, n: A * 3.0,
    "negated": lambda lib, A, n: -A,
    "absolute": lambda lib, A, n: abs(A - 2 * A),
    "square": lambda lib, A, n: A.power(2),
    "float32": lambda lib, A, n: A.astype(np.float32),
    "times-row": lambda lib, A, n: A.multiply(np.arange(1.0, n + 1)),
    "times-column": lambda lib, A, n: A.multiply(np.arange(1.0, n + 1)[:, None]),
    "csc-times-row": lambda lib, A, n: A.tocsc().multiply(np.arange(1.0, n + 1)),
    "tocsc": lambda lib, A, n: A.tocsc(),
    "eye": lambda lib, A, n: lib.eye_array(n, k=2, format="csr"),
    "eye-csc": lambda lib, A, n: lib.eye_array(n, n + 3, k=-1, format="csc"),
    "diags": lambda lib, A, n: lib.diags_array([np.arange(1.0, n), np.ones(n)], offsets=[1, 0]),
    "block-diag": lambda lib, A, n: lib.block_diag([A, A.tocoo(), A]),
    "block-array": lambda lib, A, n: lib.block_array([[A, None], [A.tocoo(), A]]),
    "dia-sum": lambda lib, A, n: diagonals(lib, n) + lib.eye_array(n, k=1),
    "dia-difference": lambda lib, A, n: diagonals(lib, n) - lib.eye_array(n, k=1) * 2.0,
    "dia-same": lambda lib, A, n: diagonals(lib, n) - diagonals(lib, n, 3.0),
    "dia-product": lambda lib, A, n: diagonals(lib, n).multiply(lib.eye_array(n) * 5.0),
    "dia-transpose": lambda lib, A, n: diagonals(lib, n).T,
    "dia-diagonal": lambda lib, A, n: diagonals(lib, n).diagonal(5),
    "dia-wide": lambda lib, A, n: lib.dia_array((np.ones((2, n + 4)), [1, -1]), shape=(n, n + 2)).T,
    "bsr-sum": lambda lib, A, n: A.tobsr(blocksize=(3, 3)).sum(axis=0),
    "bsr-tocoo": lambda lib, A, n: A.tobsr(blocksize=(3, 2)).tocoo(),
    "bsr-plus": lambda lib, A, n: A.tobsr(blocksize=(3, 3)) + A.T.tobsr(blocksize=(3, 3)),
    "bsr-minus": lambda lib, A, n: A.tobsr(blocksize=(2, 2)) - A.tobsr(blocksize=(2, 2)),
    "bsr-times": lambda lib, A, n: A.tobsr(blocksize=(1, 5)) * A.T.tobsr(blocksize=(1, 5)),
    "bsr-of-ones": lambda lib, A, n: A.tobsr(blocksize=(1, 1)) + A.T.tobsr(blocksize=(1, 1)),
    "promoted-product": lambda lib, A, n: A @ (np.arange(n) * 1j),
    "promoted-product-from-the-left": lambda lib, A, n: np.arange(2 * n).reshape(2, n) * 1j @ A,
    "product-of-both-widths": lambda lib, A, n: wide(lib, A) @ A + A @ wide(lib, A),
    "product-of-empty-rows": lambda lib, A, n: lib.eye_array(n, k=n - 3, format="csr") @ A,
    "tall": lambda lib, A, n: A.tocsc()[:, :2].tocsr(),
}


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("name", CASES)
def test_sizes_on_both_sides_agree_with_scipy(name, n):
    ours, theirs = pair(n)
    same(CASES[name](sp, ours, n), CASES[name](ss, theirs, n))


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("fmt", ["csr", "csc", "coo", "dia"])
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
def test_changes_in_place(fmt, n):
    if fmt == "dia":
        ours, theirs = diagonals(sp, n), diagonals(ss, n)
    else:
        ours, theirs = (A.asformat(fmt) for A in pair(n))
    for A in (ours, theirs):
        A.setdiag(np.arange(n) % 3 - 1.0, k=1)
    same(ours, theirs)
    if fmt != "dia":
        ours.eliminate_zeros()
        theirs.eliminate_zeros()
        assert ours.nnz == theirs.nnz
        same(ours, theirs)


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_coordinates_outside_are_found(n):
    for value, message in ((n, f"index {n} exceeds"), (-1, "negative axis 1 index: -1")):
        col = np.zeros(n, np.int32)
        col[-1] = value
        with pytest.raises(ValueError, match=message):
            sp.coo_array((np.ones(n), (np.arange(n), col)), shape=(n, n))


LIST_KEYS = {
    "columns": lambda n: (slice(None), [3, 1, 3, n - 1]),
    "none": lambda n: (slice(None), np.zeros(0, int)),
    "rows-and-columns": lambda n: (slice(2, 9), np.arange(n)[::-2]),
    "slice": lambda n: (slice(1, n - 3), slice(2, n - 1)),
    "step": lambda n: (slice(None, None, 2), slice(1, None, 3)),
    "backwards": lambda n: (slice(None, None, -1), slice(n - 2, 0, -2)),
    "empty": lambda n: (slice(None), slice(4, 4)),
    "listed-rows": lambda n: ([4, 4, 0], slice(3, None)),
    "one-row": lambda n: (2, [5, 0, 5]),
    "one-column": lambda n: (slice(None), 4),
    "outer": lambda n: (np.array([[1], [3]]), np.array([0, 2, n - 1])),
    "mask": lambda n: (slice(None), np.arange(n) % 3 == 1),
}


@pytest.mark.parametrize("name", LIST_KEYS)
@pytest.mark.parametrize("n", [30, 400])
def test_lists_are_cut_as_scipy_does(name, n):
    ours, theirs = (A.tolil() for A in pair(n))
    key = LIST_KEYS[name](n)
    found, expected = ours[key], theirs[key]
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    if found.format == "lil":
        assert [list(r) for r in found.rows] == [list(r) for r in expected.rows]
        found.rows[0].append(-1)  # lists of its own
        assert -1 not in [j for r in ours.rows for j in r]


def test_traced_values_stay_in_the_graph():
    A = sp.csr_array(np.diag([1.0, 2.0, 3.0]).astype(np.float32))
    B = A.with_data(A.data + 1)  # MLX does not compile what takes an array both as an argument and as a constant
    mx.eval(B.data)
    row = mx.array([1.0, 2.0, 4.0])
    cases = [
        lambda v: A.with_data(v).sum(),
        lambda v: A.with_data(v).trace(),
        lambda v: A.with_data(v).sum(axis=0).sum(),
        lambda v: A.with_data(v).multiply(row).sum(),
        lambda v: (A.with_data(v) * 2.0).power(2).sum(),
        lambda v: abs(-A.with_data(v)).sqrt().max(),
        lambda v: sp.block_diag([A.with_data(v), B]).sum(),
        lambda v: (A.with_data(v).todia() + sp.eye_array(3, dtype=mx.float32)).sum(),
    ]
    for f in cases:
        compiled, first, second = mx.compile(f), A.data, 2 * A.data
        assert compiled(first).item() == pytest.approx(f(first).item(), rel=1e-6)
        assert compiled(second).item() == pytest.approx(f(second).item(), rel=1e-6)
        h, gradient = 1e-2, mx.grad(f)(first)
        for p in range(3):
            step = h * mx.eye(3)[p]
            slope = (f(first + step).item() - f(first - step).item()) / (2 * h)
            assert gradient[p].item() == pytest.approx(slope, rel=1e-3, abs=1e-3)  # h squared, and float32 over h


def test_pending_values_stay_pending():
    A = sp.csr_array(np.eye(4, dtype=np.float32))
    B = A.with_data(A.data + 1)
    for make in (lambda: B.sum(axis=0), lambda: B.diagonal(), lambda: B.todense(), lambda: B.sum(), lambda: (-B).data):
        assert not sp._native.is_available(make())


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "u8", "f2", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 4), (3, 4)])
def test_ndarrays_come_back_as_they_went_in(dtype, shape):
    x = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    held = _native.from_numpy(x)
    seen = _native.view(held)
    assert seen.dtype == x.dtype and seen.shape == x.shape and not np.shares_memory(seen, x)
    np.testing.assert_array_equal(seen, x)


def test_what_ndarrays_are_not_copied_byte_for_byte():
    x = np.arange(12.0).reshape(3, 4)
    for other in (x.T, x[:, ::2], x.astype(">f8"), x.astype(np.longdouble), x.astype("m8[s]"), x.astype(object)):
        assert _native.from_numpy(other) is None
    assert _native.view(mx.zeros(3, dtype=mx.bfloat16)) is None


def test_a_view_keeps_its_memory():
    a = mx.arange(1000)
    seen, turned = _native.view(a), _native.view(mx.arange(6).reshape(2, 3).T)
    a[:] = 7  # another array in the same Python object
    del a
    mx.eval([mx.full((1000,), 3) for _ in range(20)])
    np.testing.assert_array_equal(seen, np.arange(1000))
    np.testing.assert_array_equal(turned, np.arange(6).reshape(2, 3).T)
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda v: (_native.view(v), v.sum())[1])(mx.ones(3))

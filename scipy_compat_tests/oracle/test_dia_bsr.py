"""dia and bsr arrays in both packages: construction, conversion, arithmetic, products, changes in place, printing."""

import numpy as np
import pytest

import mlx_sparse
from scipy_compat_tests.oracle.harness import ALL_DTYPES, CASES, DTYPES, build, numpy_mode, sweep, twin, values

BLOCKS = ((1, 1), (2, 2), (3, 2), (2, 3), (4, 4), (6, 6), (1, 4), (8, 8))
# offsets, length of data, shape
DIAGONALS = (
    ([0, 1, -1], 5, (5, 5)),
    ([2, -3, 0], 4, (6, 4)),
    ([1, -2], 7, (4, 7)),
    ([4, -4], 3, (5, 5)),
    ([0], 2, (5, 6)),
    ([7, -9, 0], 6, (5, 6)),
    ([], 0, (3, 4)),
    ([1], 4, (0, 4)),
)


def dia(sp, offsets, length, shape, dtype="float64"):
    data = values(np.arange(len(offsets) * length) % 7 - 3, dtype).reshape(len(offsets), length)
    return sp.dia_array((data, np.array(offsets, np.int32)), shape=shape)


def bsr(sp, blocksize, dtype="float64", rows=3, columns=4, seed=0, unsorted=False):
    """A few blocks, one block row empty; `unsorted` also repeats one."""
    rng = np.random.default_rng(seed)
    R, C = blocksize
    held = [sorted(rng.choice(columns, n, replace=False)) for n in (2, 0, 3)][:rows]
    if unsorted:
        held[2] = [3, 0, 3]
    indptr = np.cumsum([0] + [len(h) for h in held]).astype(np.int32)
    indices = np.concatenate([np.array(h, np.int32) for h in held])
    data = values(rng.integers(-4, 5, len(indices) * R * C), dtype).reshape(-1, R, C)
    return sp.bsr_array((data, indices, indptr), shape=(rows * R, columns * C))


def operand(n, k, dtype):
    return values((np.arange(n * max(k, 1)) * 5) % 7 - 3, dtype).reshape((n,) if k == 0 else (n, k))


def test_dia_construction():
    sweep(dia, [d[0] for d in DIAGONALS[:1]], [5], [(5, 5)], ALL_DTYPES)
    sweep(lambda sp, d: dia(sp, *d), DIAGONALS)
    twin(lambda sp: sp.dia_array((3, 4), dtype=np.int8))
    twin(lambda sp: sp.dia_array((np.arange(4.0), 1), shape=(4, 4)))
    twin(lambda sp: sp.dia_array(np.array([[1, 0, 2], [0, 3, 0]])))
    twin(lambda sp: sp.dia_array(dia(sp, *DIAGONALS[0]), dtype=np.float32))
    twin(lambda sp: [sp.dia_array(np.zeros((3, 4))).data, sp.dia_array((3, 4)).data, sp.dia_array(np.eye(3)).offsets])


@pytest.mark.parametrize(
    "make",
    [
        lambda sp: sp.dia_array((np.ones((2, 4)), [0, 0]), shape=(4, 4)),
        lambda sp: sp.dia_array((np.ones((2, 4)), [0, 1])),
        lambda sp: sp.dia_array((np.ones((2, 4)), [0]), shape=(4, 4)),
        lambda sp: sp.dia_array((np.ones((2, 4)), [[0]]), shape=(4, 4)),
        lambda sp: sp.dia_array((np.ones((2, 4, 2)), [0, 1]), shape=(4, 4)),
        lambda sp: sp.dia_array((1, 2, 3)),
        lambda sp: sp.dia_array(np.ones(4)),
        lambda sp: sp.dia_array(np.eye(3), shape=(4, 4)),
        lambda sp: sp.csr_array(np.ones(3)).todia(),
        lambda sp: sp.bsr_array((np.ones((2, 2)), [0, 1], [0, 1, 2])),
        lambda sp: sp.bsr_array((np.ones((2, 2, 2)), [0, 1], [0, 1, 2]), blocksize=(3, 3)),
        lambda sp: sp.bsr_array((np.ones((2, 2, 2)), [0, 1], [0, 1, 2]), shape=(8, 4)),
        lambda sp: sp.bsr_array((np.ones((2, 2, 2)), [0, 1, 1], [0, 1, 2]), shape=(4, 4)),
        lambda sp: sp.bsr_array((4, 4), blocksize=(3, 3)),
        lambda sp: sp.bsr_array((4, 4), blocksize=3),
        lambda sp: sp.bsr_array(np.ones((4, 4)), blocksize=(3, 3)),
        lambda sp: sp.bsr_array((1, 2, 3, 4)),
        lambda sp: sp.bsr_array(np.ones(3)),
        lambda sp: sp.csr_array((4, 4)).tobsr((0, 2)),
        lambda sp: sp.csr_array(np.ones(3)).tobsr(),
        lambda sp: bsr(sp, (2, 2))[0, 0],
        lambda sp: dia(sp, *DIAGONALS[0])[0, 0],
        lambda sp: bsr(sp, (2, 2)).resize(3, 3),
        lambda sp: dia(sp, *DIAGONALS[0]).count_nonzero(0),
        lambda sp: dia(sp, *DIAGONALS[0]).setdiag(1, 9),
        lambda sp: dia(sp, *DIAGONALS[0]) * np.ones((2, 5)),
        lambda sp: dia(sp, *DIAGONALS[0], "bool") - dia(sp, *DIAGONALS[0], "bool"),
        lambda sp: bsr(sp, (2, 2)) + bsr(sp, (3, 2)),
        lambda sp: bsr(sp, (2, 2)) @ np.ones(3),
        lambda sp: dia(sp, *DIAGONALS[1]) @ np.ones(3),
    ],
)
def test_misuse_raises_as_scipy_does(make):
    twin(make)
    with numpy_mode(), pytest.raises((ValueError, TypeError, NotImplementedError)):
        make(mlx_sparse)


def test_bsr_counts_along_an_axis_where_scipys_does():
    sweep(lambda sp, b, axis: bsr(sp, b).count_nonzero(axis), BLOCKS, (None, 0, 1, -1, -2, 2))


def test_bsr_construction():
    sweep(lambda sp, b, d: bsr(sp, b, d), BLOCKS, DTYPES)
    sweep(lambda sp, b: sp.bsr_array(np.kron(np.eye(3), np.ones((4, 4)))[:, :8], blocksize=b), [None, (2, 2), (3, 4)])
    twin(lambda sp: sp.bsr_array(([1, 2, 3, 4], ([0, 1, 3, 3], [0, 2, 3, 3])), shape=(4, 4), blocksize=(2, 2)))
    twin(lambda sp: sp.bsr_array((4, 6), blocksize=(2, 3), dtype=np.int8))
    twin(lambda sp: sp.bsr_array((np.ones((2, 2, 3)), np.array([0, 1], np.int32), np.array([0, 1, 2], np.int32))))


@pytest.mark.parametrize("size", [2, 3, 4, 6, 5, 12])
def test_estimated_blocksize(size):
    dense = np.kron(np.eye(60 // size // 2, 60 // size), np.ones((size, size)))
    twin(lambda sp: [sp.csr_array(dense).tobsr().blocksize, sp.csr_array(dense).tobsr().nnz])
    dense[::3, ::5] = 0
    twin(lambda sp: sp.coo_array(dense).tobsr().blocksize)


@pytest.mark.parametrize("target", ["todia", "tobsr", "tocsr", "tocsc", "tocoo", "toarray"])
def test_conversions(target):
    sweep(lambda sp, d, t: getattr(dia(sp, *d, t), target)(), DIAGONALS, ("float64", "int32"))
    sweep(lambda sp, b, t: getattr(bsr(sp, b, t), target)(), BLOCKS, ("float64", "bool"))
    sweep(lambda sp, b: getattr(bsr(sp, b, unsorted=True), target)(), BLOCKS)
    sweep(lambda sp, f, c: getattr(build(sp, f, c), target)(), ("coo", "csr", "csc"), CASES)


def test_block_sizes_from_entries():
    sweep(lambda sp, f, b: build(sp, f, "square").tobsr(blocksize=b), ("coo", "csr", "csc"), [(2, 2), (4, 1), (1, 4)])
    sweep(lambda sp, b: bsr(sp, (2, 2)).tobsr(blocksize=b), [(2, 2), (1, 1), (3, 4), (6, 8)])


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int32", "int8", "uint16", "bool"])
@pytest.mark.parametrize("k", [0, 1, 2, 5, 19])
def test_products_with_dense(dtype, k):
    def both(A):
        M, N = A.shape
        return [A @ operand(N, k, dtype), operand(M, k, dtype).T @ A, A.T @ operand(M, k, dtype)]

    sweep(lambda sp, d: both(dia(sp, *d, dtype)), DIAGONALS)
    sweep(lambda sp, b, u: both(bsr(sp, b, dtype, unsorted=u)), BLOCKS, (False, True))


def test_products_with_other_dtypes_and_layouts():
    for x in (np.arange(4), np.arange(4, dtype=np.float32), np.arange(8.0)[::2], [1, 2, 3, 4], np.ones((4, 3))[:, ::2]):
        twin(lambda sp, x=x: [dia(sp, [0, 1], 4, (5, 4)) @ x, bsr(sp, (3, 1)) @ x])


def test_data_longer_than_the_array():
    """SciPy transposes and sums such arrays wrongly, so the dense form is the reference."""
    with numpy_mode():
        A = dia(mlx_sparse, [1, -2], 9, (4, 7))
        D = A.toarray()
        for k in (0, 3):
            np.testing.assert_array_equal(A @ operand(7, k, "float64"), D @ operand(7, k, "float64"))
            np.testing.assert_array_equal(operand(4, k, "float64").T @ A, operand(4, k, "float64").T @ D)
        np.testing.assert_array_equal(A.T.toarray(), D.T)
        for axis in (None, 0, 1):
            np.testing.assert_array_equal(A.sum(axis), D.sum(axis))
        np.testing.assert_array_equal((A @ A.T).toarray(), D @ D.T)


def test_large_products_use_every_worker():
    n = 40000
    offsets, rng = [-3000, -1, 0, 2, 3000, 39999], np.random.default_rng(1)
    data, x = rng.random((6, n)), rng.random((n, 2))
    indices = np.sort(rng.integers(0, n // 2, (n // 2, 3)), axis=1).astype(np.int32).ravel()
    blocks, indptr = rng.random((3 * n // 2, 2, 2)), (3 * np.arange(n // 2 + 1)).astype(np.int32)
    for x_ in (x[:, 0].copy(), x):
        twin(lambda sp, x=x_: [f(sp.dia_array((data, offsets), shape=(n, n)), x) for f in (_forward, _back)])
        twin(lambda sp, x=x_: [f(sp.bsr_array((blocks, indices, indptr), shape=(n, n)), x) for f in (_forward, _back)])


def _forward(A, x):
    return A @ x


def _back(A, x):
    return x.T @ A


def test_one_long_block_row():
    indices, indptr = np.arange(20000, dtype=np.int32), np.array([0, 20000, 20000], np.int32)
    data, x = np.random.default_rng(2).random((20000, 2, 3)), np.random.default_rng(3).random(60000)
    twin(lambda sp: sp.bsr_array((data, indices, indptr), shape=(4, 60000)) @ x)


def test_sparse_products():
    sweep(lambda sp, a, b: bsr(sp, a) @ bsr(sp, b).T, BLOCKS[:4], BLOCKS[:4])
    sweep(lambda sp, f: bsr(sp, (2, 3)) @ bsr(sp, (2, 3)).T.asformat(f), ["csr", "csc", "coo", "dia"])
    sweep(lambda sp, f: bsr(sp, (2, 3)).asformat(f) @ bsr(sp, (2, 3)).T, ["csr", "csc", "coo", "dia"])
    sweep(lambda sp, d: bsr(sp, (2, 2), d, unsorted=True) @ bsr(sp, (2, 2), d).T, ["bool", "int8", "complex64"])
    for d in DIAGONALS[:6]:
        twin(lambda sp, d=d: [dia(sp, *d) @ dia(sp, *d).T, dia(sp, *d).T @ dia(sp, *d)])
    twin(lambda sp: (dia(sp, [1, -2], 3, (5, 5)) @ dia(sp, [-1, 2], 3, (5, 5))).data)
    twin(lambda sp: dia(sp, *DIAGONALS[0]) @ dia(sp, *DIAGONALS[0]).tocsr())


@pytest.mark.parametrize(
    "op", ["__add__", "__sub__", "multiply", "__truediv__", "maximum", "minimum", "__ne__", "__gt__"]
)
def test_element_wise_with_sparse(op):
    sweep(
        lambda sp, b, c, d: getattr(bsr(sp, b, d), op)(bsr(sp, b, d, seed=c)), BLOCKS[:4], (0, 5), ("float64", "int32")
    )
    sweep(lambda sp, f: getattr(bsr(sp, (2, 2)), op)(bsr(sp, (2, 2), seed=3).asformat(f)), ("csr", "csc", "dia"))
    sweep(lambda sp, f: getattr(bsr(sp, (2, 2)).asformat(f), op)(bsr(sp, (2, 2), seed=3)), ("csr", "csc", "dia"))
    twin(lambda sp: getattr(bsr(sp, (2, 2), unsorted=True), op)(bsr(sp, (2, 2), seed=4, unsorted=True)))
    pairs = [([0, 1], 5, (5, 5)), ([1, 0], 5, (5, 5)), ([-2, 3], 5, (5, 5)), ([0], 3, (5, 5))]
    sweep(lambda sp, a, b: getattr(dia(sp, *a), op)(dia(sp, *b)), pairs, pairs[:3])
    sweep(lambda sp, f: getattr(dia(sp, *pairs[0]), op)(dia(sp, *pairs[2]).asformat(f)), ("csr", "csc", "bsr"))


def test_boolean_and_unsigned_sums():
    twin(lambda sp: dia(sp, *DIAGONALS[0], "uint16") - dia(sp, [3, 1], 5, (5, 5), "uint16"))
    twin(lambda sp: bsr(sp, (2, 2), "uint8") - bsr(sp, (2, 2), "uint8", seed=5))
    sweep(lambda sp, op: getattr(bsr(sp, (2, 2), "bool"), op)(bsr(sp, (2, 2), "bool", seed=5)), ("__add__", "__sub__"))
    twin(lambda sp: dia(sp, *DIAGONALS[0], "bool") + dia(sp, [1, 3], 5, (5, 5), "bool"))


def test_multiply_with_dense_and_broadcasting():
    square = DIAGONALS[0]
    for x in (np.arange(25.0).reshape(5, 5), np.arange(5.0), np.arange(5.0)[:, None], np.ones((1, 1)), 3, 2.5, [1] * 5):
        twin(lambda sp, x=x: [dia(sp, *square) * x, dia(sp, *square) / 2])
    twin(lambda sp: (dia(sp, *square) * np.arange(25.0).reshape(5, 5)).data)
    for x in (np.arange(48.0).reshape(6, 8), np.arange(8.0), np.arange(6.0)[:, None], 3, 1j):
        twin(lambda sp, x=x: bsr(sp, (2, 2)) * x)
    twin(lambda sp: bsr(sp, (2, 2)).multiply(sp.csr_array([[1, 0, 2, 3, 0, 1, 1, 1]])), nnz=False)
    twin(lambda sp: [dia(sp, *square) + np.ones((5, 5)), bsr(sp, (2, 2)) - np.ones((6, 8))])


def test_values_functions():
    for name in ("sqrt", "sin", "conj", "astype", "power", "copy"):
        args = {"astype": ("int32",), "power": (2,)}.get(name, ())
        sweep(lambda sp, d, n=name, a=args: getattr(abs(dia(sp, *d)), n)(*a), DIAGONALS)
        sweep(lambda sp, b, n=name, a=args: getattr(abs(bsr(sp, b, unsorted=True)), n)(*a), BLOCKS)
    twin(
        lambda sp: [-dia(sp, *DIAGONALS[0]), round(bsr(sp, (2, 2))), bsr(sp, (2, 2)).real, dia(sp, *DIAGONALS[1]).imag]
    )


def test_reductions_and_diagonals():
    for axis in (None, 0, 1, -1):
        sweep(lambda sp, d, t, a=axis: [dia(sp, *d, t).sum(a), dia(sp, *d, t).mean(a)], DIAGONALS[:7], DTYPES)
        sweep(lambda sp, b, t, a=axis: [bsr(sp, b, t).sum(a), bsr(sp, b, t).mean(a)], BLOCKS, DTYPES)
    sweep(lambda sp, d, k: dia(sp, *d).diagonal(k), DIAGONALS, range(-6, 7))
    sweep(lambda sp, b, k: bsr(sp, b, unsorted=True).diagonal(k), BLOCKS, range(-4, 5))
    sweep(lambda sp, d: [dia(sp, *d).trace(), dia(sp, *d).count_nonzero(), dia(sp, *d).nnz], DIAGONALS)
    sweep(lambda sp, b: [bsr(sp, b, unsorted=True).count_nonzero(), bsr(sp, b).nonzero()], BLOCKS)


def test_transpose_and_reshape():
    sweep(lambda sp, d: [dia(sp, *d).T, dia(sp, *d).T.offsets, dia(sp, *d).T.T], DIAGONALS)
    sweep(lambda sp, b: [bsr(sp, b, "complex64").T.conj(), bsr(sp, b, unsorted=True).T, bsr(sp, b).T.blocksize], BLOCKS)
    twin(lambda sp: [bsr(sp, (2, 2)).reshape(8, 6), dia(sp, *DIAGONALS[0]).reshape(25, 1)], index_dtype=False)


def changed(A, change):
    change(A)
    return A


@pytest.mark.parametrize("k", [0, 1, -2, 4])
def test_dia_setdiag(k):
    for v in (7, [1, 2], [1, 2, 3, 4, 5, 6]):
        sweep(lambda sp, d, v=v: changed(dia(sp, *d), lambda A: A.setdiag(v, k)), DIAGONALS[:1] + DIAGONALS[3:6])
        twin(lambda sp, v=v: changed(dia(sp, *DIAGONALS[0]), lambda A: A.setdiag(v, k)).data)


def test_resize():
    for shape in ((5, 5), (3, 9), (8, 2), (8, 8), (2, 2)):
        sweep(lambda sp, d, s=shape: changed(dia(sp, *d), lambda A: A.resize(*s)), DIAGONALS[:6])
    for shape in ((6, 8), (4, 8), (6, 2), (10, 12), (2, 2), (0, 0)):
        twin(lambda sp, s=shape: changed(bsr(sp, (2, 2)), lambda A: A.resize(*s)))


def test_bsr_canonical_form():
    def steps(sp, b):
        A = bsr(sp, b, unsorted=True)
        flags = [A.has_sorted_indices, A.has_canonical_format]
        A.sort_indices()
        B = A.copy()
        B.sum_duplicates()
        C = B.copy()
        C.data[0] = 0
        C.eliminate_zeros()
        return flags + [A, A.indices, B, B.data, C, B.has_canonical_format]

    sweep(steps, BLOCKS)


def test_replaced_buffers():
    def replaced(sp):
        A = bsr(sp, (2, 2))
        A.data = A.data * 2
        A.data[0, 0, 0] = 99
        D = dia(sp, *DIAGONALS[0])
        D.data[0, 0] = 5
        D.data = np.vstack([D.data, D.data[:1]])
        D.offsets = np.append(D.offsets, 3)
        return [A, D, A @ np.ones(8), D @ np.ones(5)]

    twin(replaced)
    with numpy_mode():
        D = dia(mlx_sparse, *DIAGONALS[0])
        D.data = D.data[:2]
        with pytest.raises(ValueError, match="do not agree"):
            D @ np.ones(5)


def test_conversions_share_nothing_writable():
    def written(sp):
        A = build(sp, "csr", "square", "float64")
        B = A.tobsr(blocksize=(1, 1))
        B.data[0] = 99
        D = dia(sp, *DIAGONALS[0])
        E = D.copy()
        E.data[0] = 7
        return [A, B, D, E]

    twin(written)


def test_text():
    twin(
        lambda sp: [
            repr(dia(sp, *DIAGONALS[0])),
            str(dia(sp, *DIAGONALS[0])),
            repr(bsr(sp, (2, 3))),
            str(bsr(sp, (2, 2))),
        ]
    )


def test_from_scipy_keeps_the_format():
    import scipy.sparse

    with numpy_mode():
        for A in (dia(scipy.sparse, *DIAGONALS[1]), bsr(scipy.sparse, (2, 3))):
            B = mlx_sparse.from_scipy(A)
            assert B.format == A.format
            np.testing.assert_array_equal(B.toarray(), A.toarray())

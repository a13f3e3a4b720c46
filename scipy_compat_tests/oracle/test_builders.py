"""lil and dok against SciPy: construction, entries, slices, assignment, arithmetic, conversions, dict methods."""

import pickle

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse
from scipy_compat_tests.oracle.harness import numpy_mode, sweep, twin

DENSE = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 3.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
FORMATS = ("lil", "dok")
KINDS = ("array", "matrix")
KEYS = {
    "element": (1, 2),
    "negative": (-2, -1),
    "numpy": (np.int64(1), np.int32(2)),
    "row": 1,
    "row slice": slice(1, None),
    "every other": (slice(None, None, 2), slice(None, None, -1)),
    "column": (slice(None), 2),
    "block": (slice(0, 2), slice(1, 4)),
    "back": (slice(None, None, -1), slice(3, 0, -2)),
    "rows": [2, 0, 0],
    "column list": (slice(None), [3, 0, 3]),
    "row list, column": ([0, 1, 1], 2),
    "row, column list": (1, [2, 3, 0]),
    "pairs": ([0, 1, 1], [2, 3, 2]),
    "grid": ([[0], [1]], [2, 0, 3]),
    "negative list": ([-1, -3], [-1, -2]),
    "2-D pairs": ([[0, 1], [1, 0]], [[2, 3], [2, 0]]),
    "mask": DENSE > 1,
    "row mask": np.array([True, False, True]),
    "new axis": (None, 1),
    "new axis last": (1, slice(None), None),
    "ellipsis": (..., 2),
    "empty list": ([], [1]),
    "empty slice": (slice(2, 2), slice(None)),
    "too far": (3, 0),
    "three": (0, 1, 2),
    "two masks": (DENSE > 1, 0),
}


def make(sp, fmt, kind, x=DENSE, **options):
    return getattr(sp, f"{fmt}_{kind}")(x, **options)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_getitem(key):
    sweep(lambda sp, fmt, kind: make(sp, fmt, kind)[key], FORMATS, KINDS, index_dtype=False)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_setitem(key):
    try:
        shape = np.shape(DENSE[key])
    except IndexError:
        shape = ()
    block = np.arange(int(np.prod(shape)), dtype=float).reshape(shape)
    repeated = isinstance(key, (list, tuple)) and any(isinstance(k, list) and len(k) == 3 for k in [key, *key])
    right = {"scalar": 5, "zero": 0.0, "block": block, "sparse": None}

    def expr(sp, fmt, kind, what):
        A, x = make(sp, fmt, kind), right[what]
        if fmt == "dok" and what == "zero" and repeated:
            return None
        A[key] = sp.coo_array(np.atleast_2d(block)) if what == "sparse" else x
        return A

    sweep(expr, FORMATS, KINDS, right, index_dtype=False)


@pytest.mark.parametrize("key", [([0, 3], 1), ([-4], [0]), (0, [4])])
def test_list_out_of_range(key):
    """SciPy's lil raises ValueError, every other format IndexError."""
    for fmt in FORMATS:
        with pytest.raises(IndexError):
            make(mlx_sparse, fmt, "array")[key]


def test_zero_at_repeated_places():
    """SciPy's dok raises KeyError."""
    for fmt in FORMATS:
        A = make(mlx_sparse, fmt, "array")
        A[[0, 1, 1], 2] = 0
        np.testing.assert_array_equal(A.toarray()[:, 2], np.zeros(3))
        assert A.nnz == 2


@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "float32", "float64", "complex64"])
def test_entries_are_cast(dtype):
    def expr(sp, fmt, x):
        A = make(sp, fmt, "array", (3, 4), dtype=dtype)
        A[0, 1] = x
        A[2, 3] = x
        A[2, 3] = 0
        A[1, :] = [x, 0, x, 0]
        return A[0, 1], A, A.tocsr(), A.tocoo(), A.tocsc(), A.T

    sweep(expr, FORMATS, [1, 1.0, True, np.float32(1), np.int8(1), np.array([[1.0]])], index_dtype=False)


@pytest.mark.parametrize("x", [[1.0, 2.0], np.ones(2), "a", 1j])
def test_no_scalar(x):
    def expr(sp, fmt):
        A = make(sp, fmt, "array")
        A[0, 1] = x
        return A

    for fmt in FORMATS:
        with pytest.raises((ValueError, TypeError)):
            expr(mlx_sparse, fmt)


ARITHMETIC = {
    "A + A": lambda A, B: A + A,
    "A + csr": lambda A, B: A + B,
    "csr + A": lambda A, B: B + A,
    "A - A": lambda A, B: A - A,
    "A + 0": lambda A, B: A + 0,
    "A + dense": lambda A, B: A + DENSE,
    "dense - A": lambda A, B: DENSE - A,
    "A * 2": lambda A, B: A * 2,
    "2.5 * A": lambda A, B: 2.5 * A,
    "A * 0": lambda A, B: A * 0,
    "A / 2": lambda A, B: A / 2,
    "A * A.T": lambda A, B: A @ A.T,
    "A @ csr": lambda A, B: A @ B.T,
    "A @ x": lambda A, B: A @ np.arange(4.0),
    "x @ A": lambda A, B: np.arange(3.0) @ A,
    "A @ X": lambda A, B: A @ np.ones((4, 2)),
    "A.multiply(csr)": lambda A, B: A.multiply(B),
    "A.multiply(dense)": lambda A, B: A.multiply(DENSE),
    "A > 1": lambda A, B: A > 1,
    "A != csr": lambda A, B: A != B,
    "A == dense": lambda A, B: A == DENSE,
    "A.maximum(csr)": lambda A, B: A.maximum(B),
    "abs": lambda A, B: abs(A),
    "-A": lambda A, B: -A,
    "round": lambda A, B: round(A),
    "power": lambda A, B: A.power(2),
    "sum": lambda A, B: (A.sum(), A.sum(0), A.sum(1), A.mean(1), A.trace()),
    "count": lambda A, B: A.count_nonzero(),
    "diagonal": lambda A, B: (A.diagonal(), A.diagonal(1)),
    "nonzero": lambda A, B: A.nonzero(),
    "conj": lambda A, B: (A.conj(), A.real, A.imag),
    "forms": lambda A, B: (A.tolil(), A.todok(), A.tocsr(), A.tocsc(), A.tocoo(), A.toarray(), A.todense()),
    "copy": lambda A, B: (A.copy(), A.astype(np.float32), A.T, A.reshape((4, 3)), A.reshape(2, 6, order="F")),
    "dtype": lambda A, B: (A.dtype, A.nnz, A.size, A.ndim, A.shape, A.format, repr(A)),
    "str": lambda A, B: str(A.tolil()),
    "rows": lambda A, B: list(A),
}


@pytest.mark.parametrize("operation", ARITHMETIC.values(), ids=ARITHMETIC)
def test_arithmetic(operation):
    sweep(
        lambda sp, fmt, kind, dtype: operation(make(sp, fmt, kind, dtype=dtype), sp.csr_array(DENSE[:, ::-1])),
        FORMATS,
        KINDS,
        ["float64", "float32", "int64"],
        index_dtype=False,
    )


def _in_place(sp, fmt, kind, what):
    A = make(sp, fmt, kind)
    if what == "+=":
        A += sp.csr_array(DENSE)
    elif what == "-=":
        A -= sp.csr_array(DENSE) * 2
    elif what == "*=":
        A *= 3
    elif what == "/=":
        A /= 4
    elif what == "setdiag":
        A.setdiag([7, 0], k=1)
    elif what == "setdiag scalar":
        A.setdiag(4, k=-1)
    elif what == "setdiag far":
        A.setdiag(4, k=9)
    elif what == "grow":
        A.resize(5, 6)
    elif what == "shrink":
        A.resize((2, 3))
    elif what == "whole":
        A[:, :] = sp.coo_array(DENSE[::-1])
    else:
        A[1] = A[0]
    return A


def test_in_place():
    whats = ("+=", "-=", "*=", "/=", "setdiag", "setdiag scalar", "setdiag far", "grow", "shrink", "whole", "row of it")
    sweep(_in_place, FORMATS, KINDS, whats, index_dtype=False)


INPUTS = {
    "shape": lambda sp: ((2, 3),),
    "1-D shape": lambda sp: ((4,),),
    "negative": lambda sp: ((-1, 3),),
    "buffers": lambda sp: (([1.0], ([0], [1])),),
    "list": lambda sp: ([[1, 2], [0, 3]],),
    "row": lambda sp: ([1, 0, 2],),
    "3-D": lambda sp: (np.ones((2, 2, 2)),),
    "csc": lambda sp: (sp.csc_array(DENSE),),
    "1-D coo": lambda sp: (sp.coo_array([1, 0, 3]),),
    "lil": lambda sp: (sp.lil_array(DENSE),),
    "dok": lambda sp: (sp.dok_array(DENSE),),
    "duplicates": lambda sp: (sp.coo_array(([1.0, 2.0, 3.0], ([0, 0, 1], [1, 1, 0]))),),
    "none": lambda sp: (None,),
}


@pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS)
def test_construction(given):
    def expr(sp, fmt, dtype):
        try:
            return make(sp, fmt, "array", *given(sp), dtype=dtype)
        except (TypeError, ValueError) as error:
            return type(error).__mro__[-4].__name__  # which of the two says what is wrong does not matter

    sweep(expr, FORMATS, [None, "float32", "int64"], index_dtype=False)


def test_views_and_copies():
    def expr(sp):
        A = sp.lil_matrix(DENSE)
        view = A.getrowview(1)
        view[0, 0] = 9
        row = A.getrow(0)
        row[0, 0] = 8
        return A, view, row, A.getcol(2), A.rows[1], A.data[1], sp.lil_array(DENSE).getrow(-3)

    twin(expr, index_dtype=False)


def test_one_dimensional_dok():
    def expr(sp):
        A = sp.dok_array((6,), dtype=float)
        A[1], A[-1], A[2:4] = 2.0, 3.0, [0.0, 4.0]
        A[[0, 1]] = 5
        return (
            A,
            A[1],
            A[0],
            A[1:],
            A[[3, 3, 0]],
            A[[[3], [0]]],
            A.tocoo(),
            A.tocsr(),
            A @ np.arange(6.0),
            A.sum(),
            A * 2,
        )

    twin(expr, index_dtype=False)


def test_dict_methods():
    def expr(sp, kind):
        A = make(sp, "dok", kind, (3, 3))
        A.update({(0, 1): 1.0, (2, 2): 2.0})
        A.update([((1, 1), 4.0)])
        found = [A.get((0, 1)), A.get((-1, -1)), A.get((0, 0)), A.get((0, 0), 7), (0, 1) in A, (0, 0) in A, len(A)]
        found += [A.pop((0, 1)), A.pop((0, 1), None), A.setdefault((1, 0), 5.0), sorted(A.keys()), sorted(A.values())]
        del A[1, 1]
        found += [sorted(A.items()), A.popitem()[0] in {(2, 2), (1, 0)}, A]
        A.clear()
        return [*found, A.nnz]

    sweep(expr, KINDS, index_dtype=False)


@pytest.mark.parametrize(
    "call",
    [
        lambda A: A.get((0, 1, 2)),
        lambda A: A.get((0, 9)),
        lambda A: A.get("ab"),
        lambda A: A.get((0.5, 1)),
        lambda A: A.update({(0, 9): 1.0}),
        lambda A: A.update({(0, -1): 1.0}),
        lambda A: A.update({(0.5, 1): 1.0}),
        lambda A: A.update({3: 1.0}),
        lambda A: A.__delitem__((0, 1)),
        lambda A: A.pop((2, 0)),
        lambda A: reversed(A),
        lambda A: A | {},
        lambda A: {} | A,
        lambda A: A.resize(3),
        lambda A: A.count_nonzero(axis=0),
        lambda A: hash(A),
    ],
)
def test_dict_misuse(call):
    twin(lambda sp: call(sp.dok_array(DENSE)))


def test_fromkeys():
    twin(lambda sp: (sp.dok_array.fromkeys([(0, 2), (1, 1)], 3.0), sp.dok_array.fromkeys([4, 1], 2)), index_dtype=False)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.complex64, mx.bool_])
def test_pickle_keeps_dtype(fmt, dtype):
    A = make(mlx_sparse, fmt, "array", DENSE.astype(bool), dtype=dtype)
    B = pickle.loads(pickle.dumps(A))
    assert type(B) is type(A) and B.dtype == A.dtype == dtype
    np.testing.assert_array_equal(B.toarray(), A.toarray())
    B[2, 0] = 1
    assert A[2, 0] == 0 and B.nnz == A.nnz + 1


def test_lists_that_are_wrong():
    """What the user put into the lists is checked before the native layer trusts it."""
    A = mlx_sparse.lil_array(DENSE)
    A.rows[0][0] = 99
    with pytest.raises(ValueError):
        A.tocsr()
    A = mlx_sparse.lil_array(DENSE)
    A.rows[0].append(3)
    with pytest.raises(ValueError):
        A.tocsr()
    A = mlx_sparse.lil_array(DENSE)
    A.rows[1] = None
    with pytest.raises(TypeError):
        A.tocsr()
    A = mlx_sparse.lil_array(DENSE)
    A.rows[0][0] = "x"
    with pytest.raises(TypeError):
        A.tocsr()
    B = mlx_sparse.dok_array(DENSE)
    B.setdefault((7, 7), 1.0)
    with pytest.raises(ValueError):
        B.tocsr()


def test_long_rows_against_dense():
    rng = np.random.default_rng(5)
    D = np.zeros((7, 500))
    A, B = mlx_sparse.lil_array(D.shape), mlx_sparse.dok_array(D.shape)
    for _ in range(20):
        i, j = rng.integers(0, 7, 200), rng.integers(0, 500, 200)
        v = rng.integers(-1, 3, 200).astype(float)
        D[i, j] = v
        A[i, j] = v
        B[i, j] = v
        np.testing.assert_array_equal(A.toarray(), D)
        np.testing.assert_array_equal(B.toarray(), D)
        assert A.nnz == B.nnz == np.count_nonzero(D)
    with numpy_mode():
        np.testing.assert_array_equal(A[i, j].toarray(), D[i, j])
        np.testing.assert_array_equal(B[i, j].toarray(), D[i, j])


def test_mlx_values():
    for fmt in FORMATS:
        A = make(mlx_sparse, fmt, "array", (2, 3), dtype=mx.float32)
        A[0, 1] = mx.array(2.5)
        A[1, :] = mx.array([1.0, 0.0, 3.0])
        assert isinstance(A @ mx.ones(3), mx.array)
        np.testing.assert_array_equal(A.toarray(), np.array([[0, 2.5, 0], [1, 0, 3]], np.float32))
        assert A.dtype == mx.float32 and A.tocsr().dtype == mx.float32

"""The `*_matrix` classes against SciPy's: kinds and formats of results, matrix products and powers, 2-D reductions."""

import pickle

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.oracle.harness import narrow, numpy_mode, sweep, twin

DENSE = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, -3.0], [4.0, 0.0, 0.0]])
FORMATS = tuple(f for f in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr") if hasattr(mlx_sparse, f"{f}_matrix"))
SUMMING = tuple(f for f in FORMATS if f not in ("lil", "dok"))
INDEXED = tuple(f for f in ("csr", "csc", "lil", "dok") if hasattr(getattr(mlx_sparse, f"{f}_array"), "__getitem__"))


def make(sp, fmt, kind="matrix", x=DENSE, **options):
    return getattr(sp, f"{fmt}_{kind}")(x, **options)


def kind_of(A):
    return type(A).__name__


RESULTS = {
    "A * A": lambda A, B: A * A,
    "A * array": lambda A, B: A * B,
    "array * A": lambda A, B: B * A,
    "A @ array": lambda A, B: A @ B,
    "array @ A": lambda A, B: B @ A,
    "A + array": lambda A, B: A + B,
    "array + A": lambda A, B: B + A,
    "A - array": lambda A, B: A - B,
    "A * x": lambda A, B: A * np.arange(3.0),
    "A * X": lambda A, B: A * np.ones((3, 2)),
    "A * matrix": lambda A, B: A * np.asmatrix(np.ones((3, 1))),
    "array @ matrix": lambda A, B: B @ np.asmatrix(np.ones((3, 1))),
    "x * A": lambda A, B: np.arange(3.0) * A,
    "matrix * A": lambda A, B: np.asmatrix(np.ones((1, 3))) * A,
    "A * 2": lambda A, B: A * 2,
    "3 * A": lambda A, B: 3 * A,
    "A / 2": lambda A, B: A / 2,
    "A / A": lambda A, B: A / A,
    "A ** 1": lambda A, B: A**1,
    "A ** 2": lambda A, B: A**2,
    "A ** 5": lambda A, B: A**5,
    "A ** 0": lambda A, B: (A**0).toarray(),
    "A.dot(A)": lambda A, B: A.dot(A),
    "A.dot(2)": lambda A, B: A.dot(2),
    "A.multiply(A)": lambda A, B: A.multiply(A),
    "A.multiply(array)": lambda A, B: A.multiply(B),
    "A.multiply(dense)": lambda A, B: A.multiply(DENSE),
    "A.multiply(row)": lambda A, B: A.multiply(A.getrow(0)),
    "A.multiply(column)": lambda A, B: A.multiply(A.getcol(0)),
    "A.power(2)": lambda A, B: A.power(2),
    "A + dense": lambda A, B: A + DENSE,
    "dense - A": lambda A, B: DENSE - A,
    "-A": lambda A, B: -A,
    "abs": lambda A, B: abs(A),
    "A > 1": lambda A, B: A > 1,
    "A == array": lambda A, B: A == B,
    "A < dense": lambda A, B: A < DENSE,
    "A.maximum(dense)": lambda A, B: A.maximum(DENSE),
    "A.minimum(array)": lambda A, B: A.minimum(B),
    "sum": lambda A, B: (A.sum(), A.sum(0), A.sum(1), A.sum(-1), A.sum(axis=1, dtype=np.float32)),
    "mean": lambda A, B: (A.mean(), A.mean(0), A.mean(1)),
    "sum out": lambda A, B: A.sum(axis=0, out=np.asmatrix(narrow().value(np.zeros((1, 3))))),
    "sum out shape": lambda A, B: A.sum(axis=0, out=np.asmatrix(np.zeros((3, 1)))),
    "dense forms": lambda A, B: (A.toarray(), A.todense(), A.todense(order="F")),
    "conj": lambda A, B: (A.conj(), A.real, A.imag, A.getH()),
    "T": lambda A, B: (A.T, A.transpose(copy=True)),
    "copy": lambda A, B: (A.copy(), A.astype(np.float32)),
    "diagonal": lambda A, B: (A.diagonal(), A.trace()),
    "nnz": lambda A, B: (A.getnnz(), A.nnz, A.getformat(), A.get_shape(), A.getmaxprint()),
    "asfptype": lambda A, B: (A.asfptype(), A.astype(np.int8).asfptype(), A.astype(np.int64).asfptype()),
    "rows": lambda A, B: (A.getrow(1), A.getrow(-1), A.getcol(0), A.getcol(-1)),
    "private rows": lambda A, B: (A._getrow(1), A._getcol(-1)),
    "formats": lambda A, B: (A.asformat("array"), A.asformat(None), A.asformat("csc"), A.asformat("nothing")),
    "row too far": lambda A, B: A.getrow(3),
    "column too far": lambda A, B: A.getcol(-4),
    "repr": lambda A, B: repr(A),
    "power of a rectangle": lambda A, B: (
        make(mlx_sparse, A.format, x=DENSE[:2]) ** 2
        if isinstance(A, mlx_sparse.spmatrix)
        else make(scipy.sparse, A.format, x=DENSE[:2]) ** 2
    ),
    "negative power": lambda A, B: A**-1,
    "fractional power": lambda A, B: A**0.5,
    "1-D reshape": lambda A, B: A.reshape(9),
}


@pytest.mark.parametrize("operation", RESULTS.values(), ids=RESULTS)
def test_results(operation):
    """Every result of a matrix is of the kind and the format that SciPy's is, with the same values."""
    # SciPy's dia leaves the sum to the other operand.
    formats = [f for f in FORMATS if f != "dia" or operation is not RESULTS["A + array"]]
    sweep(lambda sp, fmt: operation(make(sp, fmt), sp.csr_array(DENSE.T)), formats, index_dtype=False, nnz=False)


@pytest.mark.parametrize("operation", ["max", "min", "nanmax", "argmax", "argmin"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_extrema(operation, axis):
    if not hasattr(mlx_sparse.csr_array, operation):
        pytest.skip("extrema are not there")
    formats = [f for f in SUMMING if hasattr(getattr(scipy.sparse, f"{f}_matrix"), operation)]
    sweep(lambda sp, fmt: getattr(make(sp, fmt), operation)(axis=axis), formats, index_dtype=False)


def test_conversions_keep_the_kind():
    for fmt in FORMATS:
        for to in FORMATS:
            for kind in ("array", "matrix"):
                A = make(mlx_sparse, fmt, kind)
                B = A.asformat(to)
                assert kind_of(B) == f"{to}_{kind}", (kind_of(A), kind_of(B))
                np.testing.assert_array_equal(B.toarray(), DENSE)
                other = "matrix" if kind == "array" else "array"
                C = make(mlx_sparse, to, other, A)
                assert kind_of(C) == f"{to}_{other}"
                np.testing.assert_array_equal(C.toarray(), DENSE)


def test_kinds_are_apart():
    A, B = mlx_sparse.csr_array(DENSE), mlx_sparse.csr_matrix(DENSE)
    assert isinstance(A, mlx_sparse.sparray) and not isinstance(A, mlx_sparse.spmatrix)
    assert isinstance(B, mlx_sparse.spmatrix) and not isinstance(B, mlx_sparse.sparray)
    assert not isinstance(B, mlx_sparse.csr_array) and not issubclass(mlx_sparse.csr_matrix, mlx_sparse.csr_array)
    assert mlx_sparse.issparse(A) and mlx_sparse.issparse(B)
    assert str(mlx_sparse.csr_matrix[np.int8]).endswith("csr_matrix[numpy.int8]")


def test_subclasses_do_not_take_over():
    class mine(mlx_sparse.csr_array):
        pass

    assert type(mine(DENSE).tocsc().tocsr()) is mlx_sparse.csr_array
    assert type(mine(DENSE) * 2) is mine


@pytest.mark.parametrize("fmt", FORMATS)
def test_from_scipy_keeps_the_kind(fmt):
    for kind in ("array", "matrix"):
        A = mlx_sparse.from_scipy(make(scipy.sparse, fmt, kind))
        assert kind_of(A) == f"{fmt}_{kind}"
        np.testing.assert_array_equal(A.toarray(), DENSE)
    assert kind_of(make(mlx_sparse, fmt) @ scipy.sparse.csr_array(DENSE)).endswith("matrix")


def test_construction():
    inputs = [[1, 0, 2], [[1], [2]], np.ones(3), np.ones((2, 2)), 5, np.ones((2, 2, 3)), np.float32(2)]
    formats = [f for f in FORMATS if f != "dok"]  # which takes neither scalars nor vectors

    def expr(sp, fmt, n):
        try:
            return make(sp, fmt, x=inputs[n])
        except (TypeError, ValueError):
            return "refused"

    sweep(expr, formats, range(len(inputs)), index_dtype=False)
    for fmt in FORMATS:
        with pytest.raises(ValueError):
            make(mlx_sparse, fmt, x=mlx_sparse.coo_array([1, 2, 3]))
    with pytest.raises(ValueError):
        mlx_sparse.csr_matrix((3,))


def test_shape_is_assigned():
    def expr(sp, fmt):
        A = make(sp, fmt, x=np.arange(6.0).reshape(2, 3))
        A.shape = (3, 2)
        B = A.copy()
        B.set_shape((1, -1))
        return A, B, A.shape, B.get_shape()

    sweep(expr, FORMATS, index_dtype=False, nnz=False)


def test_counts_along_axes():
    formats = ("csr", "csc", "coo", "lil")  # SciPy's others refuse
    sweep(lambda sp, fmt, axis: np.asarray(make(sp, fmt).getnnz(axis)), formats, [0, 1, -1])
    sweep(lambda sp, fmt: make(sp, fmt).getnnz(2), formats)


KEYS = {
    "row": 1,
    "column": (slice(None), 2),
    "element": (0, 2),
    "block": (slice(0, 2), slice(1, 3)),
    "pairs": ([0, 1], [2, 2]),
    "rows": [2, 0],
    "row list, column": ([0, 2], 0),
    "row, column list": (0, [2, 0]),
    "2-D rows, column": ([[0, 2]], 0),
    "grid": ([[0], [2]], [0, 2]),
    "mask": DENSE > 1,
    "new axis": (None, 1),
    "new axis last": (0, slice(None), None),
    "new axes": (1, None, 2),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_indexing_stays_2d(key):
    sweep(lambda sp, fmt: make(sp, fmt)[key], INDEXED, index_dtype=False)


def test_coo_is_not_indexed():
    for call in (lambda A: A[0], lambda A: iter(A), lambda A: A.__setitem__(0, 1)):
        with pytest.raises(TypeError):
            call(mlx_sparse.coo_matrix(DENSE))


def test_in_mlx_mode():
    """Without a dense operand results are 2-D `mx.array`s; with one, they are what it is."""
    A = mlx_sparse.csr_matrix(DENSE, dtype=mx.float32)
    assert isinstance(A.sum(axis=0), mx.array) and A.sum(axis=0).shape == (1, 3) and A.mean(axis=1).shape == (3, 1)
    assert isinstance(A.todense(), mx.array) and A.todense().shape == (3, 3)
    x = mx.array([1.0, 2.0, 3.0])
    for y in (A * x, x * A, A @ x):
        assert isinstance(y, mx.array)
    np.testing.assert_allclose(np.array(A * x), DENSE @ [1, 2, 3])
    np.testing.assert_allclose(np.array(x * A), [1, 2, 3] @ DENSE)
    g = mx.grad(lambda v: (A.with_data(v) * x).sum())(mx.array(A.data))
    np.testing.assert_allclose(np.array(g), [1, 3, 3, 1])


@pytest.mark.parametrize("fmt", FORMATS)
def test_pickle(fmt):
    A = make(mlx_sparse, fmt)
    B = pickle.loads(pickle.dumps(A))
    assert type(B) is type(A)
    np.testing.assert_array_equal(B.toarray(), DENSE)


def test_dict_operators_of_dok_matrix():
    def expr(sp):
        A = sp.dok_matrix(DENSE)
        merged, other = A | {(1, 1): 7.0}, {(1, 1): 7.0} | A
        A |= sp.dok_matrix(np.eye(3))
        items = [[(int(i), int(j), float(x)) for (i, j), x in sorted(d.items())] for d in (merged, other)]
        return items, A, len(list(reversed(A)))

    twin(expr, index_dtype=False)


def test_numpy_operands_and_reductions_warn_of_nothing(recwarn):
    with numpy_mode():
        A = mlx_sparse.csr_matrix(DENSE)
        A.sum(axis=0), A.todense(), A + DENSE, A @ np.ones(3)
    assert not [w for w in recwarn if w.category is PendingDeprecationWarning]


MADE = {
    "copy": lambda A: A.copy(),
    "2 * A": lambda A: 2 * A,
    "abs": lambda A: abs(A),
    "astype": lambda A: A.astype(np.float32),
    "A @ A": lambda A: A @ A,
    "A > 1": lambda A: A > 1,
    "T": lambda A: A.T,
    "rows": lambda A: A.tocsr()[[0, 2]],
    "tocoo": lambda A: A.tocsr().tocoo(),
    "tocsc": lambda A: (2 * A).tocsc(),
    "scaled sum": lambda A: 0.5 * (A + A.T),
    "vstack": lambda s, A: s.vstack([A, A], format="csr"),
    "tril": lambda s, A: s.tril(A, format="csr"),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("fmt", ("csr", "csc", "bsr", "coo"))
def test_what_is_made_of_a_matrix_has_narrow_indices(fmt, name):
    """As in SciPy, where the constructor decides: compiled clients refuse int64."""

    def dtypes(s):
        A = make(s, fmt)
        for buffer in ("row", "col") if fmt == "coo" else ("indices", "indptr"):
            setattr(A, buffer, getattr(A, buffer).astype(np.int64))
        B = MADE[name](A) if MADE[name].__code__.co_argcount == 1 else MADE[name](s, A)
        return [getattr(B, x).dtype for x in ("indices", "indptr", "row", "col") if hasattr(B, x)]

    with numpy_mode():
        assert dtypes(mlx_sparse) == dtypes(scipy.sparse) == [np.int32] * 2

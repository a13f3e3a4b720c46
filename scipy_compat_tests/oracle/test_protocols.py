"""NumPy's and Python's protocols: every operator against every kind of operand, NumPy functions, copies, printing."""

import copy
import math
import operator
import pickle
from fractions import Fraction

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.oracle.harness import CASES, FORMATS, build, narrow, numpy_mode, sweep

D = np.arange(12, dtype="float32").reshape(3, 4)
OPERANDS = {
    "int": 2,
    "float": 2.5,
    "zero": 0,
    "bool": True,
    "complex": 1j,
    "nan": np.nan,
    "big": 2**70,
    "fraction": Fraction(1, 2),
    "0-d": np.array(2.0),
    "float32": np.float32(2),
    "int64": np.int64(3),
    "ndarray": D,
    "transposed": D.T.copy(),
    "row": np.ones((1, 4), "float32"),
    "column": np.ones((3, 1), "float32"),
    "one": np.ones((1, 1), "float32"),
    "vector": np.arange(4, dtype="float32"),
    "short vector": np.arange(3, dtype="float32"),
    "empty": np.array([]),
    "square": np.ones((4, 4)),
    "3-d": np.ones((2, 3, 4), "float32"),
    "boolean": D > 3,
    "integers": D.astype(int),
    "matrix": np.asmatrix(D),
    "matrix transposed": np.asmatrix(D.T),
    "list": [1, 2, 3, 4],
    "nested list": D.tolist(),
    "tuple": (1, 2, 3, 4),
    "None": None,
    "string": "x",
    "set": {1},
    "dict": {},
}
OPERATORS = tuple(
    "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift eq ne lt le gt ge iadd isub imul itruediv".split()
)
UNARY = {
    "neg": operator.neg,
    "pos": operator.pos,
    "invert": operator.invert,
    "abs": abs,
    "round": round,
    "round 1": lambda A: round(A, 1),
    "round -1": lambda A: round(A, -1),
    "trunc": math.trunc,
    "floor": math.floor,
    "int": int,
    "float": float,
    "bool": bool,
    "len": len,
    "hash": hash,
    "index": operator.index,
    "divmod": lambda A: divmod(A, 2),
    "pow 3": lambda A: pow(A, 2, 3),
    "rpow": lambda A: 2**A,
    "repr": repr,
    "str": str,
    "format": lambda A: f"{A}",
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda A: pickle.loads(pickle.dumps(A)),
    "priority": lambda A: A.__array_priority__,
    "attribute": lambda A: A.no_such_attribute,
    "set dtype": lambda A: (setattr(A, "dtype", "int32"), A)[1] if A.dtype == "float32" else None,
    "set format": lambda A: setattr(A, "format", "csc"),
    "order": lambda A: A.toarray(order="K"),
    "maxprint": lambda A: (setattr(A, "maxprint", 2), str(A))[1],
}
SUMS = {
    "out": {"axis": 0, "out": np.zeros(4)},
    "out, another dtype": {"axis": 1, "out": np.zeros(3, "float32")},
    "out, wrong shape": {"axis": 1, "out": np.zeros(4)},
    "out of all": {"out": np.zeros(())},
    "out of all, wrong shape": {"out": np.zeros(1)},
    "empty axis": {"axis": ()},
    "all axes": {"axis": (0, 1)},
    "one twice": {"axis": (1, 1)},
    "far": {"axis": 3},
    "fraction": {"axis": 1.5},
    "whole": {"axis": (1.0,)},
    "word": {"axis": "x"},
    "list": {"axis": [0]},
    "dtype": {"axis": 0, "dtype": "float64"},
}


def operand(name):
    x = OPERANDS[name]
    return x.copy() if isinstance(x, np.ndarray) else x


def case(sp, fmt, dtype="float32"):
    return build(sp, fmt, "plain", dtype)


@pytest.mark.parametrize("name", OPERATORS)
def test_operator(name):
    """A op x. Fractions and other objects make SciPy keep object arrays, which MLX has not."""
    op = getattr(operator, name)
    rest = [k for k in OPERANDS if k not in ("big", "fraction") or name not in ("imul", "itruediv")]
    rest = [k for k in rest if (k, name) not in (("fraction", "mul"), ("fraction", "truediv"), ("big", "mul"))]
    sweep(lambda sp, fmt, x: op(case(sp, fmt), operand(x)), FORMATS, rest, index_dtype="stored")


@pytest.mark.parametrize("name", OPERATORS)
def test_reflected_operator(name):
    """x op A; for an ndarray in place too. Where SciPy's arrays act as sequences or mappings, indexing decides."""
    op = getattr(operator, name)
    skipped = {"mod": ("string",), "iadd": ("list", "nested list"), "mul": ("fraction", "big")}.get(name, ())
    if name == "imul":
        skipped = ("fraction", "big", "list", "nested list", "matrix")
    sweep(
        lambda sp, fmt, x: op(operand(x), case(sp, fmt)),
        FORMATS, [k for k in OPERANDS if k not in skipped], index_dtype="stored",
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ("float32", "int32", "complex64"))
def test_unary(dtype):
    sweep(lambda sp, fmt, name: UNARY[name](case(sp, fmt, dtype)), FORMATS, UNARY)


def test_numpy_functions():
    ufuncs = "absolute negative positive conjugate square exp sin sqrt isnan isfinite invert logical_not floor".split()
    functions = "round around sum mean min max argmax diagonal trace transpose shape ndim size real imag".split()
    sweep(lambda sp, fmt, name: getattr(np, name)(case(sp, fmt)), FORMATS, ufuncs + functions)
    sweep(lambda sp, fmt, axis: np.sum(case(sp, fmt), axis=axis), FORMATS, (0, 1, -1, 2))
    sweep(lambda sp, fmt: np.sum(case(sp, fmt), axis=0, keepdims=True), FORMATS)


@pytest.mark.parametrize("method", ("sum", "mean"))
def test_arguments_of_sums(method):
    def run(sp, fmt, name):
        given = {k: narrow().value(v.copy()) if k == "out" else v for k, v in SUMS[name].items()}
        result = getattr(case(sp, fmt), method)(**given)
        return result, "out" in given and result is given["out"]

    sweep(run, FORMATS, SUMS)


def test_counts():
    sweep(
        lambda sp, fmt, name, axis: build(sp, fmt, name).count_nonzero(axis=axis),
        FORMATS, ("plain", "zeros", "duplicates"), (None, 0, 1, -1, -2, 2, -3),
    )  # fmt: skip
    sweep(lambda sp, name: build(sp, "csc", name).nonzero(), ("plain", "zeros", "empty_rows", "no_entries"))


def test_one_view_while_it_is_held():
    with numpy_mode():
        for fmt in FORMATS:
            A = case(mlx_sparse, fmt)
            held = A.data
            assert A.data is held
            held[0] = 9
            assert A.toarray().ravel()[0] == 9
            A.data = np.arange(6, dtype="float32")
            assert A.data is not held and A.data[0] == 0


def test_views_that_nobody_holds_reach_what_they_reach_in_scipy():
    """Transposes and what a constructor made without a copy; nothing else that was made of A."""
    shares = {
        "constructor": lambda A: type(A)(A),
        "transpose": lambda A: A.T,
        "copy": lambda A: type(A)(A, copy=True),
        "copied transpose": lambda A: A.transpose(copy=True),
        "matrix": lambda A: mlx_sparse._matrix.as_matrix(A),
        "scaled": lambda A: 1 * A,
        "product": lambda A: A @ mx.ones(4, dtype=mx.float32),
    }
    with numpy_mode():
        for fmt in FORMATS:
            for how, share in shares.items():
                A = case(mlx_sparse, fmt)
                assert not (A.data == 9).all()  # by a view that A may hand out again
                B, kept = share(A), share(case(mlx_sparse, fmt))
                A.data[...] = 9
                assert (A.data == 9).all() and (A.toarray() == 9).sum() == 6
                got, expected = (np.array(x._data if mlx_sparse.issparse(x) else x) for x in (B, kept))
                if how in ("constructor", "transpose"):
                    S = case(scipy.sparse, fmt)
                    shared = share(S)
                    S.data[...] = 9
                    assert (shared.data == 9).all()
                    expected = np.full_like(expected, 9)
                assert np.array_equal(got, expected), (fmt, how)


def test_canonical_coordinates():
    """sum_duplicates leaves coordinates by row, wherever they came from."""

    def run(sp, fmt, name):
        coo = build(sp, fmt, name).tocoo()
        before = coo.has_canonical_format
        coo.sum_duplicates()
        return before, coo.row, coo.col, coo.data

    sweep(run, FORMATS, CASES)


class Exporter:
    """An array of a library that shares memory through DLPack alone."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **options):
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


@pytest.mark.parametrize("fmt", FORMATS)
def test_array_api_operands(fmt):
    A = case(mlx_sparse, fmt)
    x, y = Exporter(np.ones(4, "float32")), Exporter(D)
    np.testing.assert_array_equal(A @ x, A @ np.ones(4, "float32"))
    np.testing.assert_array_equal(A + y, A + D)
    np.testing.assert_array_equal(A.multiply(y).toarray(), A.multiply(D).toarray())
    np.testing.assert_array_equal((A == y), A.toarray() == D)
    made = getattr(mlx_sparse, f"{fmt}_array")(y)
    np.testing.assert_array_equal(made.toarray(), D)
    where, indptr = Exporter(np.array([0, 1])), Exporter(np.array([0, 1, 2]))
    B = mlx_sparse.csr_array((Exporter(np.ones(2)), where, indptr), shape=(2, 2))
    np.testing.assert_array_equal(B.toarray(), np.eye(2))
    C = mlx_sparse.coo_array((Exporter(np.ones(2)), (where, where)))
    np.testing.assert_array_equal(C.toarray(), np.eye(2))

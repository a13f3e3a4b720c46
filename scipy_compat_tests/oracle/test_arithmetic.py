"""Operators, element-wise methods and products over sparse, dense and scalar operands on both sides."""

import itertools
import operator

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse

from .harness import (
    ALL_DTYPES,
    CASES,
    CASES_1D,
    DTYPES,
    FORMATS,
    RTOL,
    build,
    dense,
    frozen,
    narrow,
    outcome,
    sweep,
    twin,
)

formats = pytest.mark.parametrize("fmt", FORMATS)
BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "multiply": lambda a, b: a.multiply(b),
    "maximum": lambda a, b: a.maximum(b),
    "minimum": lambda a, b: a.minimum(b),
}
COMPARE = {name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}
UNARY = "sin tan arcsin arctan sinh tanh arcsinh arctanh rint sign expm1 log1p deg2rad rad2deg floor ceil trunc sqrt"
SCALARS = (2, 0, -1.5, True, 1 + 2j, np.float32(3), np.int64(2), np.nan, np.inf)
every = {**BINARY, **COMPARE}


@formats
@pytest.mark.parametrize("name", every)
@pytest.mark.parametrize("other", FORMATS)
def test_sparse_sparse(fmt, other, name):
    def apply(sp, case, dtype):
        return every[name](build(sp, fmt, case, dtype), build(sp, other, case, dtype))

    if name == "truediv" and (fmt == "coo") != (other == "coo"):  # SciPy counts one True twice for these formats
        sweep(apply, [c for c in CASES if c != "duplicates"], DTYPES)
        sweep(apply, ("duplicates",), [t for t in DTYPES if t != "bool"])
    else:
        sweep(apply, CASES, DTYPES)
    pairs = ("duplicates", "zeros")
    sweep(
        lambda sp, a, b: every[name](build(sp, fmt, a), build(sp, other, b)),
        pairs,
        ("plain", "unsorted", "no_entries", "int64"),
    )


@pytest.mark.parametrize("name", every)
def test_every_pair_of_dtypes(name):
    def apply(sp, a, b):
        return every[name](build(sp, "csr", "plain", a), build(sp, "csr", "unsorted", b))

    if name != "truediv":
        sweep(apply, ALL_DTYPES, ALL_DTYPES)
        return
    real = [t for t in ALL_DTYPES if not t.startswith("complex")]
    pairs = [t for t in ALL_DTYPES if t not in real]
    sweep(apply, ALL_DTYPES, real)
    sweep(apply, pairs, pairs)
    for a, b in itertools.product(real, pairs):  # SciPy drops the imaginary part of real / complex
        quotient = outcome(lambda sp, a=a, b=b: apply(sp, a, b), mlx_sparse)
        x, y = (build(mlx_sparse, "csr", c, t).toarray() for c, t in (("plain", a), ("unsorted", b)))
        dtype = narrow().type(np.result_type(np.float64 if np.can_cast(x.dtype, np.float64) else x.dtype, b))
        with np.errstate(all="ignore"):
            expected = x.astype(np.complex128) / y
        assert quotient.dtype == dtype
        np.testing.assert_allclose(quotient[y != 0], expected[y != 0], rtol=RTOL[np.dtype(dtype).name])


@formats
@pytest.mark.parametrize("name", every)
def test_with_scalar(fmt, name):
    kept = name == "truediv"  # a quotient keeps duplicates, which SciPy sums
    sweep(lambda sp, s, dtype: every[name](build(sp, fmt, "duplicates", dtype), s), SCALARS, DTYPES, nnz=not kept)
    if name not in ("multiply", "maximum", "minimum"):
        sweep(lambda sp, s, dtype: every[name](s, build(sp, fmt, "duplicates", dtype)), SCALARS, DTYPES)


@formats
@pytest.mark.parametrize("name", every)
def test_with_dense(fmt, name):
    dtypes = [t for t in DTYPES if name != "truediv" or not t.startswith("complex")]
    sweep(lambda sp, case, dtype: every[name](build(sp, fmt, case, dtype), dense(case, dtype)), CASES, dtypes)
    if name == "truediv":  # which parts of z / 0 are inf and which nan differs
        sweep(lambda sp, case, t: build(sp, fmt, case, t) / (dense(case, t) + 1), CASES, ("complex64", "complex128"))
    sweep(lambda sp, case: every[name](build(sp, fmt, case, "float32"), dense(case, "float64")), CASES)
    if name not in ("multiply", "maximum", "minimum"):
        sweep(
            lambda sp, case, dtype: every[name](dense(case, dtype), build(sp, fmt, case, dtype)),
            CASES,
            ("float32", "int32"),
        )


@formats
@pytest.mark.parametrize("name", ["add", "mul", "multiply", "truediv", "maximum", "eq", "lt"])
def test_broadcast(fmt, name):
    for shape in ((1, 4), (3, 1), (1, 1), (4,), (2, 4), (1, 3)):
        other = np.arange(1, 1 + int(np.prod(shape)), dtype="float32").reshape(shape)
        twin(lambda sp, other=other: every[name](build(sp, fmt, "plain"), other))
        if len(shape) == 2:
            twin(lambda sp, other=other: every[name](build(sp, fmt, "plain"), sp.csr_array(other)))


@formats
@pytest.mark.parametrize("name", ["add", "mul", "eq"])
def test_foreign_operands(fmt, name):
    for foreign in ("csr_array", "bsr_array", "dia_array", "lil_array", "dok_array"):
        B = getattr(scipy.sparse, foreign)(dense("plain"))
        twin(lambda sp, B=B: every[name](build(sp, fmt, "plain"), B).toarray())
    twin(lambda sp: every[name](build(sp, fmt, "plain"), dense("plain").tolist()))
    twin(lambda sp: every[name](build(sp, fmt, "plain"), "text"))
    twin(lambda sp: every[name](build(sp, fmt, "plain"), None))


@pytest.mark.parametrize("fmt", ["coo1", "csr1"])
@pytest.mark.parametrize("name", every)
def test_1d(fmt, name):
    def apply(sp, case, dtype):
        return every[name](build(sp, fmt, case, dtype), build(sp, fmt, "plain" if case == "unsorted" else case, dtype))

    sweep(apply, CASES_1D, DTYPES)
    sweep(lambda sp, case: every[name](build(sp, fmt, case), 2), CASES_1D, nnz=name != "truediv")


@formats
def test_unary(fmt):
    sweep(lambda sp, case, dtype: -build(sp, fmt, case, dtype), CASES, DTYPES)
    sweep(lambda sp, case, dtype: +build(sp, fmt, case, dtype), CASES, DTYPES)
    sweep(lambda sp, case, dtype: abs(build(sp, fmt, case, dtype)), CASES, DTYPES)
    sweep(lambda sp, case, digits: round(build(sp, fmt, case), digits), CASES, (0, 1))


def _gives_half(ufunc, dtype):
    try:
        return ufunc(np.zeros(1, dtype)).dtype == np.float16
    except TypeError:
        return False


@formats
@pytest.mark.parametrize("name", UNARY.split())
def test_ufunc_methods(fmt, name):
    sweep(
        lambda sp, case, dtype: getattr(build(sp, fmt, case, dtype), name)(),
        CASES,
        ("float32", "float64", "int32"),
        rtol=3e-6,
    )
    sweep(lambda sp, case: getattr(build(sp, fmt, case, "complex64"), name)(), ("plain", "duplicates"), rtol=3e-5)
    half = [t for t in ALL_DTYPES if _gives_half(getattr(np, name), t)]
    rest = [t for t in ALL_DTYPES if t not in half]
    sweep(lambda sp, dtype: getattr(build(sp, fmt, "plain", dtype), name)(), rest, rtol=2e-3)
    for dtype in half:  # SciPy has no float16
        got = outcome(lambda sp, t=dtype: getattr(build(sp, fmt, "plain", t), name)().toarray(), mlx_sparse)
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(build(scipy.sparse, fmt, "plain", dtype).toarray())
        assert got.dtype == np.float16
        np.testing.assert_allclose(got, expected, rtol=2e-3)
    sweep(lambda sp, case: getattr(np, name)(build(sp, fmt, case)), ("plain", "duplicates"), rtol=3e-6)


@formats
def test_power(fmt):
    sweep(lambda sp, case, dtype, n: build(sp, fmt, case, dtype).power(n), CASES, DTYPES, (1, 2, 3), rtol=1e-5)
    sweep(lambda sp, n: build(sp, fmt, "plain").power(n), (0, -1, 0.5, 2.5), rtol=1e-5)
    sweep(lambda sp, n: build(sp, fmt, "plain") ** n, (0, 1, 2, 0.5, -1), rtol=1e-5)
    sweep(lambda sp, dtype: build(sp, fmt, "plain", "int32").power(2, dtype=dtype), (None, "float32", "complex64"))
    twin(lambda sp: build(sp, fmt, "plain").power([1, 2]))
    twin(lambda sp: build(sp, fmt, "plain") ** build(sp, fmt, "plain"))


@formats
@pytest.mark.parametrize("other", FORMATS)
def test_product_of_sparse(fmt, other):
    def apply(sp, case, dtype):
        return build(sp, fmt, case, dtype) @ build(sp, other, case, dtype).T

    sweep(apply, CASES, DTYPES)
    sweep(lambda sp, case: build(sp, fmt, case).dot(build(sp, other, case).T), ("plain", "duplicates"))
    twin(lambda sp: build(sp, fmt, "plain") @ build(sp, other, "plain"))


@pytest.mark.parametrize("kind", ["sparse", "matrix", "vector"])
def test_product_dtypes(kind):
    def apply(sp, a, b):
        A = build(sp, "csr", "square", a)
        if kind == "sparse":
            return A @ build(sp, "csr", "square", b)
        x = dense("square", b)
        return A @ (x if kind == "matrix" else x[:, 0])

    sweep(apply, ALL_DTYPES, ALL_DTYPES)


@formats
def test_product_with_dense(fmt):
    def right(sp, case, dtype, shape):
        A = build(sp, fmt, case, dtype)
        n = A.shape[1]
        tail = {"vector": (n,), "column": (n, 1), "matrix": (n, 3), "none": (n, 0), "wrong": (n + 1,)}[shape]
        return A @ (np.arange(int(np.prod(tail))) % 5).astype(dtype).reshape(tail)

    shapes = ("vector", "column", "matrix", "none", "wrong")
    sweep(right, [c for c in CASES if c != "one"], DTYPES, shapes)
    sweep(right, ("one",), DTYPES, shapes if fmt != "coo" else shapes[1:])  # SciPy's 1 x 1 coo @ vector is a scalar

    def left(sp, case, dtype, shape):
        A = build(sp, fmt, case, dtype)
        m = A.shape[0]
        head = {"vector": (m,), "row": (1, m), "matrix": (3, m), "none": (0, m), "wrong": (m + 1,)}[shape]
        return (np.arange(int(np.prod(head))) % 5).astype(dtype).reshape(head) @ A

    shapes = ("vector", "row", "matrix", "none", "wrong")
    sweep(left, [c for c in CASES if c != "one"], DTYPES, shapes)
    sweep(left, ("one",), DTYPES, shapes if fmt != "coo" else shapes[1:])
    twin(lambda sp: build(sp, fmt, "plain") @ [1, 2, 3, 4])
    twin(lambda sp: build(sp, fmt, "plain") @ 2)
    twin(lambda sp: 2 @ build(sp, fmt, "plain"))
    twin(lambda sp: build(sp, fmt, "plain").dot(2))
    sweep(lambda sp, case: build(sp, fmt, case).dot(dense(case).T), CASES)
    twin(lambda sp: build(sp, fmt, "plain") @ np.asfortranarray(dense("plain").T))
    twin(lambda sp: build(sp, fmt, "plain") @ dense("plain").T[:, ::2])


@formats
def test_product_with_batches(fmt):
    """SciPy gives no product of rank 3 here; it is NumPy's batched matmul of the dense array."""
    for case in ("plain", "duplicates", "empty_rows"):
        A, reference = build(mlx_sparse, fmt, case), build(scipy.sparse, fmt, case).toarray()
        n = A.shape[1]
        X = (np.arange(2 * n * 3) % 5).astype("float32").reshape(2, n, 3)
        np.testing.assert_allclose(outcome(lambda sp, A=A, X=X: A @ X, mlx_sparse), reference @ X, rtol=1e-6)


@pytest.mark.parametrize("fmt", ["coo1", "csr1"])
def test_product_1d(fmt):
    sweep(lambda sp, case, dtype: build(sp, fmt, case, dtype) @ build(sp, fmt, case, dtype), CASES_1D, DTYPES)
    sweep(
        lambda sp, dtype: build(sp, fmt, "plain", dtype) @ np.arange(7, dtype=dtype), ("float32", "int32", "complex64")
    )
    sweep(lambda sp, dtype: build(sp, fmt, "plain", dtype) @ np.ones((7, 2), dtype), ("float32", "int32"))
    sweep(
        lambda sp, other: build(sp, fmt, "plain") @ getattr(sp, f"{other}_array")(np.eye(7, 3, dtype="float32")),
        FORMATS,
    )
    sweep(
        lambda sp, other: getattr(sp, f"{other}_array")(np.eye(3, 7, dtype="float32")) @ build(sp, fmt, "plain"),
        FORMATS,
    )


@formats
@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv"])
def test_in_place(fmt, name):
    def apply(sp, case, other):
        A = build(sp, fmt, case)
        B = {"scalar": 3, "sparse": build(sp, fmt, case), "dense": dense(case), "zero": 0}[other]
        before = A
        A = getattr(operator, name)(A, B)
        return A, A is before

    sweep(apply, CASES, ("scalar", "sparse", "dense", "zero"))
    sweep(lambda sp, dtype: getattr(operator, name)(build(sp, fmt, "plain", dtype), 1.5), DTYPES)


@formats
@pytest.mark.parametrize("case", CASES)
def test_operands_stay(fmt, case):
    A, B, x = build(mlx_sparse, fmt, case), build(mlx_sparse, fmt, case), dense(case)
    with frozen(A, B, x):
        for operation in every.values():
            for other in (B, x, 2):
                outcome(lambda sp, f=operation, o=other: f(A, o), mlx_sparse)
        for operation in (
            lambda: A @ B.T,
            lambda: A @ x.T,
            lambda: x.T @ A,
            lambda: A.power(2),
            lambda: abs(A),
            lambda: -A,
        ):
            outcome(lambda sp, f=operation: f(), mlx_sparse)

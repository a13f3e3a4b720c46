"""Constructors of the three formats, and the functions that build arrays."""

import numpy as np
import pytest
import scipy.sparse

import mlx_sparse

from .harness import ALL_DTYPES, CASES, CASES_1D, DTYPES, FORMATS, build, dense, outcome, sweep, twin

formats = pytest.mark.parametrize("fmt", FORMATS)


def make(sp, fmt):
    return getattr(sp, f"{fmt}_array")


@formats
def test_representation_is_kept(fmt):
    sweep(lambda sp, case, dtype: build(sp, fmt, case, dtype), CASES, DTYPES)


@pytest.mark.parametrize("fmt", ["coo1", "csr1"])
def test_representation_is_kept_1d(fmt):
    sweep(lambda sp, case, dtype: build(sp, fmt, case, dtype), CASES_1D, DTYPES)


@formats
def test_every_dtype(fmt):
    sweep(lambda sp, dtype: build(sp, fmt, "duplicates", dtype), ALL_DTYPES)
    sweep(lambda sp, dtype: make(sp, fmt)(dense("plain", dtype)), ALL_DTYPES)


@formats
def test_from_dense(fmt):
    sweep(lambda sp, case, dtype: make(sp, fmt)(dense(case, dtype)), CASES, DTYPES)
    sweep(lambda sp, dtype: make(sp, fmt)(dense("plain", "float64"), dtype=dtype), ("float32", "complex64", "int32"))


@formats
@pytest.mark.parametrize(
    "given",
    [
        [[1, 0, 2], [0, 0, 3]],
        [[1.5, 0]],
        [[True, False]],
        [[1j, 0], [2, 0]],
        [[]],
        [],
        5,
        [1, 0, 2],
        np.zeros((2, 3, 4)),
        np.ones((2, 2), order="F"),
        np.arange(12).reshape(3, 4)[:, ::2],
        "text",
        [[1, 2], [3]],
        np.array([[object()]], dtype=object),
    ],
    ids=lambda x: f"{type(x).__name__}-{str(x)[:24]}".replace("\n", " ").partition(" at 0x")[0],
)
def test_from_array_like(fmt, given):
    if fmt == "coo" and getattr(given, "ndim", 0) > 2:
        pytest.skip("n-D coo: a later release")
    twin(lambda sp: make(sp, fmt)(given))


@formats
def test_from_swapped_bytes(fmt):
    """SciPy refuses them."""
    A = make(mlx_sparse, fmt)(np.array([[1, 2]], dtype=">i4"))
    np.testing.assert_array_equal(A.toarray(), [[1, 2]])
    assert A.toarray().dtype == np.int32


@formats
@pytest.mark.parametrize(
    "shape", [(3, 4), (0, 0), (0, 5), (np.int64(2), 3), (5,), (2, 3, 4), (-1, 2), (2.5, 1), (2**31, 2)], ids=str
)
def test_from_shape(fmt, shape):
    if fmt == "coo" and len(shape) > 2:
        pytest.skip("n-D coo: a later release")
    twin(lambda sp: make(sp, fmt)(shape) if max(map(abs, shape)) < 2**30 else make(sp, "coo")(shape).nnz)
    twin(lambda sp: make(sp, fmt)(shape, dtype="int32").dtype if max(map(abs, shape)) < 2**30 else None)


@formats
def test_from_coordinates(fmt):
    rows, columns, data = [0, 2, 0], [1, 3, 1], [1.0, 2.0, 3.0]
    twin(lambda sp: make(sp, fmt)((data, (rows, columns))))
    twin(lambda sp: make(sp, fmt)((data, (rows, columns)), shape=(5, 6)))
    twin(lambda sp: make(sp, fmt)((data, (rows, columns)), shape=(5, 6), dtype="float32"))
    twin(
        lambda sp: make(sp, fmt)((np.array(data), (np.array(rows, "int64"), np.array(columns, "int64"))), shape=(5, 6))
    )
    twin(lambda sp: make(sp, fmt)((np.array(data), (np.array(rows, "uint8"), np.array(columns, "int16")))))
    twin(lambda sp: make(sp, fmt)(([], ([], [])), shape=(2, 2)), index_dtype="stored")


@formats
def test_from_sparse(fmt):
    for other in FORMATS:
        sweep(lambda sp, case, other=other: make(sp, fmt)(build(sp, other, case)), CASES)
        sweep(lambda sp, case, other=other: make(sp, fmt)(build(scipy.sparse, other, case)), CASES)
        twin(lambda sp, other=other: make(sp, fmt)(build(sp, other, "plain"), dtype="complex64"))
        twin(lambda sp, other=other: make(sp, fmt)(build(sp, other, "plain"), shape=(3, 4)))
    for name in ("dia_array", "bsr_array", "lil_array", "dok_array", "csr_matrix"):
        foreign = getattr(scipy.sparse, name)(dense("plain"))
        twin(lambda sp, foreign=foreign: make(sp, fmt)(foreign))


@formats
@pytest.mark.parametrize("copy", [False, True])
def test_the_source_of_a_copy_stays(fmt, copy):
    def change(sp):
        source = build(sp, fmt, "plain")
        made = make(sp, fmt)(source, copy=True) if copy else make(sp, fmt)(source.copy())
        made *= 2
        return source, made

    twin(change)


def test_eye_array():
    sweep(
        lambda sp, m, n, k, fmt: sp.eye_array(m, n, k=k, format=fmt),
        (0, 3, 4),
        (None, 3),
        (-2, 0, 1, 9),
        ("coo", "csr", "csc"),
    )
    sweep(lambda sp, dtype: sp.eye_array(3, dtype=dtype, format="csr"), DTYPES)


def test_diags_array():
    for fmt in ("coo", "csr", "csc"):
        twin(lambda sp, fmt=fmt: sp.diags_array([1.0, 2.0, 3.0], format=fmt))
        twin(lambda sp, fmt=fmt: sp.diags_array([[1, 2], [3, 4, 5], [6, 7]], offsets=[-1, 0, 1], format=fmt))
        twin(lambda sp, fmt=fmt: sp.diags_array([1, -2, 1], offsets=[-1, 0, 1], shape=(4, 5), format=fmt))
        twin(lambda sp, fmt=fmt: sp.diags_array([[1, 2, 3]], offsets=[2], shape=(3, 5), format=fmt, dtype="float32"))
    twin(lambda sp: sp.diags_array([[1, 2], [3]], offsets=[0, 0], format="csr"))
    twin(lambda sp: sp.diags_array([[1, 2, 3]], offsets=[0], shape=(2, 2), format="csr"))
    twin(lambda sp: sp.diags_array([[1, 2, 3], [4]], offsets=[0], format="csr"))


def test_random_array():
    def facts(sp, shape, density, fmt):
        A = sp.random_array(shape, density=density, format=fmt, rng=np.random.default_rng(3))
        return A.shape, A.nnz, A.format, A.dtype

    sweep(facts, ((3, 4), (10, 1), (0, 3)), (0, 0.3, 1.0), ("coo", "csr", "csc"))
    twin(lambda sp: sp.random_array((3, 3), density=1.5))
    twin(lambda sp: sp.random_array((3, 3), density=0.5, dtype="int32", rng=np.random.default_rng(1)).dtype)


@pytest.mark.parametrize("name", ["vstack", "hstack"])
@pytest.mark.parametrize("fmt", [None, "coo", "csr", "csc"])
def test_stack(name, fmt):
    def stack(sp, first, second, case, dtype):
        return getattr(sp, name)([build(sp, first, case), build(sp, second, case, dtype)], format=fmt)

    sweep(
        stack,
        FORMATS,
        FORMATS,
        ("plain", "unsorted", "duplicates", "no_entries", "int64", "no_rows"),
        ("float32", "int32"),
    )
    twin(lambda sp: getattr(sp, name)([build(sp, "csr", "plain"), build(sp, "csr", "square")], format=fmt))
    twin(lambda sp: getattr(sp, name)([build(sp, "csr", "plain")], format=fmt, dtype="float64"))
    with pytest.raises(ValueError):  # SciPy's error depends on the format
        getattr(mlx_sparse, name)([], format=fmt)


@pytest.mark.parametrize("fmt", [None, "coo", "csr", "csc"])
def test_block_array(fmt):
    def block(sp, *rows):
        named = {
            "A": build(sp, "csr", "plain"),
            "B": build(sp, "coo", "square"),
            "C": build(sp, "csc", "unsorted"),
            None: None,
        }
        return sp.block_array([[named[x] for x in row] for row in rows], format=fmt)

    for rows in (
        (["A", None], [None, "B"]),
        (["A"], ["C"]),
        (["A", "C"],),
        ([None, None],),
        (["A", "B"],),
        (["A", None], [None, None]),
    ):
        twin(lambda sp, rows=rows: block(sp, *rows))


@pytest.mark.skipif(not hasattr(mlx_sparse, "block_diag"), reason="block_diag: a later release")
def test_block_diag():
    twin(lambda sp: sp.block_diag([build(sp, "csr", "plain"), build(sp, "coo", "square")], format="csr"))
    twin(lambda sp: sp.block_diag([sp.coo_array([[1, 2]]), [[3], [4]]], format="csc"))


@pytest.mark.parametrize("name", ["kron", "kronsum"])
def test_kronecker(name):
    if not hasattr(mlx_sparse, name):
        pytest.skip(f"{name}: a later release")

    def product(sp, first, second, case, fmt):
        return getattr(sp, name)(build(sp, first, case), build(sp, second, "square"), format=fmt)

    cases = ("square", "one") if name == "kronsum" else ("plain", "duplicates", "int64")
    sweep(product, FORMATS, FORMATS, cases, ("coo", "csr"))
    # SciPy's empty product is float64 whatever its factors.
    for case in ("no_entries", "no_rows") if name == "kron" else ():
        A = outcome(lambda sp, case=case: product(sp, "csr", "csr", case, "csr"), mlx_sparse)
        assert A.nnz == 0 and A.data.dtype == mlx_sparse.csr_array((1, 1), dtype="float32").data.dtype
    twin(lambda sp: getattr(sp, name)(dense("plain"), build(sp, "csr", "square"), format="csr"))


@pytest.mark.parametrize("name", ["tril", "triu"])
def test_triangles(name):
    def triangle(sp, fmt, case, k, out):
        return getattr(sp, name)(build(sp, fmt, case), k=k, format=out)

    sweep(triangle, FORMATS, CASES, (-1, 0, 2, 9), (None, "csr"), index_dtype="stored")


def test_find():
    def found(sp, fmt, case, dtype):
        rows, columns, data = sp.find(build(sp, fmt, case, dtype))
        order = np.lexsort((rows, columns))
        return rows[order], columns[order], data[order]

    sweep(found, FORMATS, CASES, ("float32", "int32", "bool"))


@formats
def test_issparse(fmt):
    assert mlx_sparse.issparse(build(mlx_sparse, fmt, "plain"))
    assert not mlx_sparse.issparse(np.eye(2))
    assert isinstance(build(mlx_sparse, fmt, "plain"), mlx_sparse.sparray)


@pytest.mark.parametrize("fmt", ["csr", "csc"])
@pytest.mark.parametrize("k", [0, 80_000, -80_000])
def test_one_long_diagonal(fmt, k):
    """So long that workers share its slices, some of which it does not cross."""
    n = 90_000
    values = np.arange(1, n - abs(k) + 1, dtype=np.float32)
    with mlx_sparse.runtime.context(n_threads=4):
        for make in (
            lambda sp: sp.eye_array(n, k=k, format=fmt, dtype=np.float32),
            lambda sp: sp.diags_array(values, offsets=k, shape=(n, n), format=fmt),
        ):
            found, expected = make(mlx_sparse), make(scipy.sparse)
            for name in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(np.asarray(getattr(found, name)), getattr(expected, name))

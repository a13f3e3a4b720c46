"""Stacking, blocks, Kronecker products, triangles and diagonals against SciPy; index-dtype utilities."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse
from scipy_compat_tests.oracle.harness import CASES, FORMATS, build, outcome, sweep, twin

STACK = ("plain", "duplicates", "no_entries", "int64")


def array_of(A):
    """A matrix as an array: which of the two comes back is tested elsewhere."""
    if not hasattr(A, "format"):
        return A
    module = mlx_sparse if isinstance(A, mlx_sparse.sparray) else scipy.sparse
    return getattr(module, f"{A.format}_array")(A)


@pytest.mark.parametrize("name", ["vstack", "hstack"])
def test_stacks(name):
    def stacked(sp, first, second, case, fmt):
        return getattr(sp, name)(
            [build(sp, first, case), build(sp, second, "plain"), build(sp, first, case)], format=fmt
        )

    sweep(stacked, FORMATS, FORMATS, STACK, (None, "csr", "csc", "coo"))
    for fmt in FORMATS:
        twin(lambda sp: getattr(sp, name)([build(sp, fmt, "plain")]))  # noqa: B023
        twin(lambda sp: getattr(sp, name)([build(sp, fmt, "plain"), build(sp, fmt, "plain", "int32")]))  # noqa: B023
        twin(lambda sp: getattr(sp, name)([build(sp, fmt, "plain")] * 2, dtype="complex64"))  # noqa: B023
        bad = "square" if name == "hstack" else "one"
        twin(lambda sp: getattr(sp, name)([build(sp, fmt, "plain"), build(sp, fmt, bad)]))  # noqa: B023
    twin(lambda sp: getattr(sp, name)([build(sp, "coo1", "plain"), build(sp, "csr1", "duplicates")]))
    twin(lambda sp: getattr(sp, name)([build(sp, "csr1", "plain"), build(sp, "csr1", "duplicates")]))


def test_stacks_share_nothing_with_their_blocks():
    A = mlx_sparse.csr_array(np.eye(3))
    B = mlx_sparse.vstack([A])
    A *= 2
    np.testing.assert_array_equal(B.toarray(), np.eye(3))


def test_stacks_are_differentiable():
    A = mlx_sparse.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]], dtype="float32"))
    x = mx.array([1.0, 2.0])
    for stacked, count in (
        (lambda B: mlx_sparse.vstack([B, A, B]) @ x, 2),
        (lambda B: mlx_sparse.hstack([B, B]).T @ x, 2),
    ):
        gradient = mx.grad(lambda v, f=stacked: f(A.with_data(v)).sum())(A.data)
        rows, cols = A.tocoo().coords
        weight = x[cols] if stacked(A).shape == (6,) else x[rows]
        np.testing.assert_allclose(np.array(gradient), count * np.array(weight))


def test_blocks():
    def grid(sp, fmt, out):
        A, B = build(sp, fmt, "plain"), build(sp, fmt, "square")
        return sp.block_array([[A, None], [None, B], [A, build(sp, fmt, "duplicates")]], format=out)

    sweep(grid, FORMATS, (None, *FORMATS))
    sweep(lambda sp, f: sp.block_array([[build(sp, f, "plain"), build(sp, f, "zeros")]] * 2), FORMATS)
    twin(lambda sp: sp.block_array([[None, None]]))
    twin(lambda sp: sp.block_array([build(sp, "csr", "plain")]))
    twin(lambda sp: array_of(sp.bmat([[build(sp, "csr", "plain"), None], [None, build(sp, "csr", "one")]])))


def test_block_diagonals():
    def diagonal(sp, first, second, case):
        return sp.block_diag(
            [build(sp, first, case), build(sp, second, "square"), np.ones((2, 1), "float32"), 3, [4, 0]]
        )

    sweep(diagonal, FORMATS, ("coo1", *FORMATS), ("plain", "duplicates", "no_entries", "no_columns", "int64"))
    sweep(lambda sp, f, out: sp.block_diag([build(sp, f, "plain")] * 3, format=out), FORMATS, FORMATS)
    twin(lambda sp: sp.block_diag([]))


def test_kronecker_of_any_rank():
    def product(sp, a, b):
        x, y = ((np.arange(np.prod(s)) % 3).astype("float32").reshape(s) for s in (a, b))
        return sp.kron(sp.coo_array(x), sp.coo_array(y), format="coo")

    shapes = ((3,), (2, 3), (2, 1, 3), (1, 2, 2, 1))
    sweep(product, shapes, shapes, index_dtype=False)
    sweep(lambda sp, a: sp.kronsum(sp.coo_array(np.ones(a)), sp.coo_array(np.ones((2, 2)))), ((2,), (2, 3), (3, 3)))


def test_triangles_of_compressed_arrays():
    for name in ("tril", "triu"):
        sweep(
            lambda sp, f, case, k, out, n=name: getattr(sp, n)(build(sp, f, case), k=k, format=out),
            FORMATS,
            tuple(CASES),
            (-2, 0, 1, 9),
            (None, "csr", "csc"),
            index_dtype="stored",
        )


def test_diagonals_in_compressed_formats():
    values = [np.array([1.0, 2.0, 3.0]), np.array([4.0]), np.array([0.0, 5.0, 6.0, 7.0])]
    for some in (values, values[:2], [[0.0], [1.0]]):
        sweep(
            lambda sp, shape, out, some=some: sp.diags_array(
                some, offsets=[1, -1, 0][: len(some)], shape=shape, format=out
            ),
            ((3, 3), (4, 4), (3, 5), (5, 3)),
            ("csr", "csc", "coo"),
        )
    lazy = mlx_sparse.diags_array([mx.ones(3) * 2, mx.arange(4.0)], offsets=[1, 0], shape=(4, 4), format="csr")
    np.testing.assert_array_equal(lazy.toarray(), np.diag([2.0] * 3, 1) + np.diag(np.arange(4.0)))
    assert lazy.has_canonical_format


def test_index_dtypes():
    for args in (
        {"maxval": 5},
        {"maxval": 2**31},
        {"arrays": np.zeros(2, np.int64)},
        {"arrays": (np.zeros(2, np.int32), np.zeros(2, np.int64))},
        {"arrays": (np.zeros(2, np.int64),), "check_contents": True},
        {"arrays": (np.array([2**40]),), "check_contents": True},
        {"arrays": (np.zeros(2, np.uint32),)},
    ):
        assert mlx_sparse.get_index_dtype(**args) is scipy.sparse.get_index_dtype(**args), args
    assert mlx_sparse.get_index_dtype(mx.zeros(2, dtype=mx.int64)) is np.int64
    for fmt in FORMATS:
        twin(lambda sp: sp.safely_cast_index_arrays(build(sp, fmt, "int64"), np.int32))  # noqa: B023
        twin(lambda sp: sp.safely_cast_index_arrays(build(sp, fmt, "plain"), np.int64))  # noqa: B023
    far = (np.ones(1), (np.array([2**33]), np.array([1])))
    twin(lambda sp: sp.safely_cast_index_arrays(sp.coo_array(far, shape=(2**34, 2)), np.int32))
    assert isinstance(
        outcome(lambda sp: sp.safely_cast_index_arrays(sp.coo_array(far, shape=(2**34, 2))), mlx_sparse), ValueError
    )


def test_matrix_checks():
    A = mlx_sparse.csr_array(np.eye(2))
    assert not mlx_sparse.isspmatrix(A) and not mlx_sparse.isspmatrix_csr(A)
    M = scipy.sparse.coo_matrix(np.eye(2))
    assert mlx_sparse.isspmatrix(M) and mlx_sparse.isspmatrix_coo(M) and not mlx_sparse.isspmatrix_csr(M)

"""spsolve: judged by its residual, and against SciPy's on the same system."""

import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse.linalg import MatrixRankWarning, spsolve

from .systems import NAMESPACES, TOLERANCE, as_namespace, check_namespace, general, ours, residual, vector

N = 90


def right_hand_side(dtype, columns):
    if columns is None:
        return vector(N, dtype)
    return np.stack([vector(N, dtype, seed) for seed in range(columns)], axis=1)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("columns", [None, 1, 3])
def test_well_posed(dtype, format, namespace, columns):
    S, b = general(N, dtype), right_hand_side(dtype, columns)
    x = spsolve(ours(S, format), as_namespace(b, namespace))
    expected = scipy.sparse.linalg.spsolve(S.asformat(format), b)
    check_namespace(x, namespace)
    assert tuple(x.shape) == expected.shape and np.asarray(x).dtype == expected.dtype
    assert residual(S, np.asarray(x).reshape(b.shape), b) < TOLERANCE[dtype]
    np.testing.assert_allclose(np.asarray(x), expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("columns", [2, 40])
def test_sparse_b(dtype, format, columns):
    S = general(N, dtype)
    B = scipy.sparse.random_array((N, columns), density=0.05, rng=np.random.default_rng(2)).tocsc().astype(dtype)
    X = spsolve(ours(S, format), sp.from_scipy(B))
    assert isinstance(X, getattr(sp, f"{format}_array")) and X.shape == B.shape
    assert np.asarray(X.data).dtype == np.dtype(dtype)
    np.testing.assert_allclose((S @ X.toarray()), B.toarray(), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_sparse_vector_b_gives_a_dense_vector(dtype, shape):
    S, b = general(N, dtype), vector(N, dtype)
    for namespace in NAMESPACES:  # the default one: no dense operand decides
        with sp.runtime.context(dense_namespace=namespace):
            x = spsolve(ours(S), sp.coo_array(b.reshape(shape)))
        check_namespace(x, namespace)
        assert x.shape == (N,)
    assert residual(S, x, b) < TOLERANCE[dtype]


@pytest.mark.parametrize("permc_spec", [None, "NATURAL", "MMD_ATA", "MMD_AT_PLUS_A", "COLAMD"])
def test_orderings(dtype, permc_spec):
    S, b = general(N, dtype), vector(N, dtype)
    assert residual(S, spsolve(ours(S), b, permc_spec=permc_spec, use_umfpack=False), b) < TOLERANCE[dtype]


def test_unsorted_duplicates_are_summed_in_a_copy(dtype):
    data = np.array([1, 2, 1, 4], dtype)
    indices, indptr = np.array([1, 0, 0, 1]), np.array([0, 3, 4])
    A = sp.csr_array((data, indices, indptr), shape=(2, 2))
    x = spsolve(A, np.array([4, 4], dtype))
    np.testing.assert_allclose(x, [1, 1], rtol=1e-6)
    assert A.nnz == 4
    np.testing.assert_array_equal(np.asarray(A.indices), indices)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 3])
def test_singular_warns_and_gives_nan(dtype, namespace, columns):
    S = general(N, dtype).tolil()
    S[3] = 0
    A, b = ours(S.tocsr()), right_hand_side(dtype, columns)
    with pytest.warns(MatrixRankWarning):
        x = spsolve(A, as_namespace(b, namespace))
    check_namespace(x, namespace)
    assert np.isnan(np.asarray(x)).all() and tuple(x.shape) == b.shape


def test_singular_with_sparse_b(dtype):
    with pytest.raises(RuntimeError):
        spsolve(sp.csc_array((4, 4), dtype=np.dtype(dtype)), sp.eye_array(4, 2, format="csc", dtype=np.dtype(dtype)))


@pytest.mark.parametrize("kind", ["coo", "dense"])
def test_other_formats_warn(dtype, kind):
    S, b = general(N, dtype), vector(N, dtype)
    A = ours(S, "coo") if kind == "coo" else S.toarray()
    with pytest.warns(sp.SparseEfficiencyWarning):
        x = spsolve(A, b)
    assert residual(S, x, b) < TOLERANCE[dtype]


def test_scipy_operand(dtype):
    S, b = general(N, dtype), vector(N, dtype)
    np.testing.assert_array_equal(spsolve(S, b), spsolve(ours(S), b))


@pytest.mark.parametrize(("matrix", "rhs"), [("b", "h"), ("h", "b"), ("i", "f"), ("f", "i"), ("f", "d"), ("d", "D")])
def test_numpy_dtypes_promote_as_scipys(matrix, rhs, device):
    if device == "gpu" and "d" in matrix:
        pytest.skip("float64 does not exist on the GPU")
    A, b = np.array([[3, 1], [1, 2]], matrix), np.array([5, 5], rhs)
    x = spsolve(sp.csc_array(A), b)
    expected = scipy.sparse.linalg.spsolve(scipy.sparse.csc_array(A), b)
    assert x.dtype == expected.dtype
    np.testing.assert_allclose(x, expected, rtol=1e-6)


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
def test_half_precision_is_solved_in_float32(half):
    x = spsolve(sp.csc_array(np.array([[3.0, 1.0], [1.0, 2.0]])).astype(half), mx.array([5.0, 5.0]).astype(half))
    assert x.dtype == mx.float32
    np.testing.assert_allclose(np.asarray(x), [1, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("matrix", "b", "error"),
    [
        (sp.csr_array((3, 4)), np.ones(3), ValueError),
        (sp.eye_array(3), np.ones(4), ValueError),
        (sp.eye_array(3), np.ones((4, 2)), ValueError),
        (sp.eye_array(3, dtype=np.float32), mx.ones(3, dtype=mx.complex64), TypeError),
        (sp.eye_array(3, format="csc"), sp.eye_array(4, 2, format="csc"), ValueError),
    ],
)
def test_bad_operands(matrix, b, error):
    with pytest.raises(error):
        spsolve(matrix, b)


def test_no_warning_in_the_good_case(dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spsolve(ours(general(N, dtype)), vector(N, dtype))

"""norm and onenormest: against SciPy's and NumPy's, their gradients and their refusals."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse.linalg import norm, onenormest

from .systems import ALL_FORMATS, NAMESPACES, check_namespace, general, held

MATRIX_ORDERS = (None, "fro", "f", 1, -1, np.inf, -np.inf)
VECTOR_ORDERS = (None, 0, 1, 2, 3, 0.5, -1, np.inf, -np.inf)
N = 12


def rtol(dtype):
    """Sums of N terms, and a power of a rounded value."""
    real = np.float32 if np.dtype(dtype).char in "fF" else np.float64
    return 4 * N * np.finfo(real).eps


def matrix(dtype, m=N, n=9):
    S = scipy.sparse.random_array((m, n), density=0.4, rng=np.random.default_rng(3), dtype=np.float64).tocsr()
    S.data = S.data * 4 - 2
    if dtype in "FD":
        S = S + 1j * scipy.sparse.random_array((m, n), density=0.4, rng=np.random.default_rng(4)).tocsr()
    return S.astype(dtype)


def twin(S, format, ord, axis, tolerance):
    A, S = sp.from_scipy(S).asformat(format), S.asformat(format)
    expected = scipy.sparse.linalg.norm(S, ord, axis)
    for namespace in NAMESPACES:
        with sp.runtime.context(dense_namespace=namespace):
            mine = norm(A, ord, axis)
        if namespace == "mlx":
            check_namespace(mine, namespace)
        mine = np.asarray(mine)
        assert mine.shape == np.shape(expected)
        # Which dtype depends on SciPy's release in numpy mode; in mlx mode it is that of the array, or counts.
        kept = S.dtype.char.lower() if ord != 0 or axis in (None, (0, 1), (-1, 0)) else "l"
        assert mine.dtype == (held(expected.dtype) if namespace == "numpy" else kept)
        np.testing.assert_allclose(mine, expected, rtol=tolerance)


@pytest.mark.parametrize("format", ALL_FORMATS)
@pytest.mark.parametrize("ord", MATRIX_ORDERS)
@pytest.mark.parametrize("axis", [None, (0, 1), (-1, 0)])
def test_of_a_matrix(dtype, format, ord, axis):
    twin(matrix(dtype), format, ord, axis, rtol(dtype))


@pytest.mark.parametrize("format", ALL_FORMATS)
@pytest.mark.parametrize("ord", VECTOR_ORDERS)
@pytest.mark.parametrize("axis", [0, -1, (1,)])
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_of_rows_and_columns(dtype, format, ord, axis):
    twin(matrix(dtype), format, ord, axis, rtol(dtype))


@pytest.mark.parametrize("ord", [None, 1, -np.inf])
@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("kind", ["int32", "uint8", "bool"])
def test_integers(ord, axis, kind, device):
    S = scipy.sparse.csr_array(np.array([[1, 0, 3], [2, 2, 0], [0, 7, 1]]).astype(kind))
    mine = np.asarray(norm(sp.from_scipy(S), ord, axis))
    expected = scipy.sparse.linalg.norm(S.astype(np.int64), ord, axis)
    np.testing.assert_allclose(mine, expected, rtol=1e-6)
    if ord == 1:
        assert mine.dtype.kind in "iu"


@pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
def test_spectral(dtype, shape):
    S = matrix(dtype, *shape)
    expected = np.linalg.norm(S.toarray().astype(np.complex128), 2)
    first, again = (float(np.asarray(norm(sp.from_scipy(S), 2))) for _ in range(2))
    assert first == again
    np.testing.assert_allclose(first, expected, rtol=100 * rtol(dtype))


@pytest.mark.parametrize("ord", [None, "fro", 1, 2, np.inf, -np.inf, 0, 3])
def test_of_a_vector_is_a_scalar(ord):
    x = np.array([1.0, 0.0, -2.0, 4.0], np.float32)
    mine = np.asarray(norm(sp.coo_array(x), ord))
    assert mine.shape == ()
    np.testing.assert_allclose(mine, np.linalg.norm(x, None if ord == "fro" else ord), rtol=1e-6)


def test_duplicates_are_summed():
    A = sp.coo_array((np.array([1.0, 2.0, -4.0], np.float32), ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert float(norm(A)) == 5.0 and float(norm(A, 1)) == 4.0


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
def test_half_precision_accumulates_in_float32(half):
    A = sp.csr_array(np.full((64, 64), 0.125, np.float32)).astype(half)
    # the sum of 4096 squares would stall in half precision, and every value here is exact in it
    assert norm(A).dtype == half and float(norm(A)) == 8.0
    assert float(norm(A, 1)) == 8.0


def _dense_norm(X, ord, axis):
    size = mx.sqrt(mx.square(mx.real(X)) + mx.square(mx.imag(X))) if X.dtype == mx.complex64 else mx.abs(X)
    if axis is not None:
        return mx.sqrt(mx.sum(size * size, axis)) if ord in (None, 2) else mx.sum(size**ord, axis) ** (1 / ord)
    if ord in (None, "fro"):
        return mx.sqrt(mx.sum(size * size))
    return mx.max(mx.sum(size, 0 if ord == 1 else 1))


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize(
    ("ord", "axis"), [(None, None), (1, None), (np.inf, None), (None, 0), (None, 1), (1, 0), (3, 1)]
)
def test_gradient(format, ord, axis):
    dense = np.random.default_rng(5).standard_normal((6, 6)).astype(np.float32) + 3 * np.eye(6, dtype=np.float32)
    A = sp.csr_array(dense).asformat(format)

    def loss(values):
        return mx.sum(norm(A.with_data(values), ord, axis) ** 2)

    expected = mx.grad(lambda X: mx.sum(_dense_norm(X, ord, axis) ** 2))(mx.array(dense))
    mine = A.with_data(mx.grad(loss)(A.data)).toarray()
    np.testing.assert_allclose(mine, np.asarray(expected), rtol=1e-4, atol=1e-5)


def test_gradient_of_complex_values():
    S = matrix("F")
    A = sp.from_scipy(S)
    mine = mx.grad(lambda v: norm(A.with_data(v)))(A.data)
    expected = mx.grad(lambda v: mx.sqrt(mx.sum(mx.square(mx.abs(v)))))(A.data)
    np.testing.assert_allclose(np.asarray(mine), np.asarray(expected), rtol=1e-5, atol=1e-6)


def test_lazy_under_compile():
    A = sp.csr_array(np.array([[3.0, 0.0], [4.0, 1.0]], np.float32))
    mx.eval(A.data)
    assert A.has_canonical_format
    for ord, expected in ((None, 26.0**0.5), (1, 7.0), (np.inf, 5.0)):
        compiled = mx.compile(lambda v, ord=ord: norm(A.with_data(v), ord))
        np.testing.assert_allclose(float(compiled(A.data)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("ord", "axis", "error"),
    [
        ("nuc", None, ValueError),
        (3, None, ValueError),
        (0, None, ValueError),
        (-2, None, NotImplementedError),
        ("fro", 0, ValueError),
        ("x", 0, ValueError),
        ([1], 0, ValueError),
        (None, 2, ValueError),
        (None, (0, 0), ValueError),
        (None, (0, 1, 2), ValueError),
        (None, (), ValueError),
        (None, 1.5, TypeError),
        (None, [1], TypeError),
        (None, "0", TypeError),
    ],
)
def test_refused(ord, axis, error):
    with pytest.raises(error):
        norm(sp.eye_array(3), ord, axis)


@pytest.mark.parametrize("x", [np.eye(3), mx.eye(3), [[1.0]]])
def test_dense_is_refused(x):
    with pytest.raises(TypeError, match="sparse"):
        norm(x)


def test_scipy_operand(dtype):
    S = matrix(dtype)
    np.testing.assert_allclose(np.asarray(norm(S, 1)), scipy.sparse.linalg.norm(S, 1), rtol=rtol(dtype))


def test_empty():
    assert float(norm(sp.csr_array((0, 3)))) == 0 and float(norm(sp.csr_array((0, 3)), 1)) == 0
    with pytest.raises(ValueError):
        norm(sp.csr_array((0, 3)), np.inf)


# ---- onenormest ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("n", [1, 2, 5, 120])
def test_onenormest_bounds_the_norm(dtype, format, n):
    S = general(n, dtype)
    exact = abs(S).sum(axis=0).max()
    est = float(np.asarray(onenormest(sp.from_scipy(S).asformat(format))))
    slack = 1 + 4 * n * np.finfo(np.float32).eps
    assert exact / 3 <= est <= exact * slack


def test_onenormest_vectors(dtype):
    S = general(50, dtype)
    for A in (sp.from_scipy(S), S.toarray(), scipy.sparse.linalg.aslinearoperator(S)):
        est, v, w = map(np.asarray, onenormest(A, compute_v=True, compute_w=True))
        np.testing.assert_allclose(np.abs(v).sum(), 1, rtol=1e-5)
        np.testing.assert_allclose(w, S @ v, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(np.abs(w).sum(), est, rtol=1e-5)
        assert est == np.asarray(onenormest(A))


def test_onenormest_namespaces():
    A = sp.csc_array(np.eye(3, dtype=np.float32))
    assert isinstance(onenormest(A), mx.array) and isinstance(onenormest(np.eye(3)), float)
    with sp.runtime.context(dense_namespace="numpy"):
        assert isinstance(onenormest(A), np.floating)


@pytest.mark.parametrize("options", [{"t": 0}, {"itmax": 1}])
def test_onenormest_refuses(options):
    with pytest.raises(ValueError):
        onenormest(sp.eye_array(4), **options)
    with pytest.raises(ValueError):
        onenormest(sp.csr_array((3, 4)))
    with pytest.raises(ValueError):
        onenormest(sp.csr_array((0, 0)))

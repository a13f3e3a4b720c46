"""inv, matrix_power, expm and expm_multiply: against dense references in double precision."""

import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
from scipy.sparse.linalg import aslinearoperator

import mlx_sparse as sp
from mlx_sparse.linalg import expm, expm_multiply, inv, matrix_power
from mlx_sparse.linalg._functions import thresholds

from .systems import ALL_FORMATS, NAMESPACES, as_namespace, check_namespace, general, held, ours, vector

# Multiples of the unit roundoff that the squarings and sums of the sizes below may lose.
LOSS = 2000


def eps(dtype):
    return np.finfo(dtype).eps


def sample(n, dtype, scale=1.0, density=0.3, seed=7):
    """SciPy csr array without symmetry, of 1-norm about `scale`."""
    rng = np.random.default_rng(seed)
    S = scipy.sparse.random_array((n, n), density=min(1.0, density + 1 / n), rng=rng).tocsr()
    S.data -= 0.5
    if dtype in "FD":
        S = S + 1j * scipy.sparse.random_array((n, n), density=0.2, rng=rng).tocsr()
    return (S * (scale / max(abs(S).sum(axis=0).max(), 1e-3))).astype(dtype).tocsr()


def close(mine, expected, dtype, loss=LOSS):
    mine = mine.toarray() if sp.issparse(mine) else np.asarray(mine)
    assert mine.shape == expected.shape
    np.testing.assert_allclose(mine, expected, rtol=0, atol=loss * eps(dtype) * np.abs(expected).max(initial=1e-300))


def double(S):
    return S.toarray().astype(np.complex128 if S.dtype.kind == "c" else np.float64)


# ---- inv, matrix_power --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ALL_FORMATS)
@pytest.mark.parametrize("n", [1, 40])
def test_inv(dtype, format, n):
    S = general(n, dtype)
    A = ours(S, format)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        X = inv(A)
    assert [w.category for w in seen] == ([] if format in ("csr", "csc") else [sp.SparseEfficiencyWarning])
    assert isinstance(X, sp.csr_array if format == "csr" else sp.csc_array)
    assert np.asarray(X.data).dtype == np.dtype(dtype)
    close(X, np.linalg.inv(double(S)), dtype)


def test_matrices_give_matrices():
    A = sp.csr_matrix(np.array([[1.0, 2.0], [0.5, 4.0]], np.float32))
    for made in (inv(A), expm(A), matrix_power(A, 3)):
        assert type(made) is sp.csr_matrix


def test_inv_refuses():
    with pytest.raises(TypeError):
        inv(np.eye(3))
    with pytest.raises(ValueError, match="square"):
        inv(sp.csr_array((2, 3)))
    with pytest.raises(RuntimeError, match="singular"):
        inv(sp.csc_array((3, 3)))
    assert inv(sp.csr_array((0, 0))).shape == (0, 0)


@pytest.mark.parametrize("format", ALL_FORMATS)
@pytest.mark.parametrize("power", [0, 1, 2, 7])
def test_matrix_power(dtype, format, power):
    S = sample(9, dtype)
    mine = matrix_power(ours(S, format), power)
    twin = scipy.sparse.linalg.matrix_power(S.asformat(format), power)
    assert mine.format == twin.format and isinstance(mine, sp.sparray)
    close(mine, np.linalg.matrix_power(double(S), power), dtype)


def test_matrix_power_refuses():
    for A in (sp.csr_array((2, 3)), [[1.0, 0.0], [0.0, 1.0]]):
        with pytest.raises(TypeError):
            matrix_power(A, 2)
    for power in (-1, 1.5, "2"):
        with pytest.raises(ValueError):
            matrix_power(sp.eye_array(3), power)


# ---- expm ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 31, 80])
@pytest.mark.parametrize("scale", [1e-3, 0.1, 0.7, 2.0, 5.0, 40.0])
@pytest.mark.parametrize("shape", ["general", "upper", "lower"])
def test_expm(dtype, n, scale, shape):
    S = sample(n, dtype, scale)
    S = {"general": lambda X: X, "upper": scipy.sparse.triu, "lower": scipy.sparse.tril}[shape](S).tocsr()
    expected = scipy.linalg.expm(double(S))
    E = expm(ours(S))
    assert np.asarray(E.data).dtype == np.dtype(dtype)
    close(E, expected, dtype)
    dense = expm(S.toarray())
    assert type(dense) is np.ndarray and dense.dtype == np.dtype(dtype)
    close(dense, expected, dtype)
    made = expm(as_namespace(S.toarray(), "mlx"))
    check_namespace(made, "mlx")
    np.testing.assert_array_equal(np.asarray(made), dense)


@pytest.mark.parametrize("format", ALL_FORMATS)
def test_expm_formats(format):
    S = sample(6, "f")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        E = expm(ours(S, format))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = scipy.sparse.linalg.expm(S.asformat(format))
    assert E.format == twin.format
    close(E, twin.toarray(), "f")


def test_expm_of_a_diagonal_stays_sparse():
    d = np.array([-1.0, 0.0, 2.0, 30.0], np.float32)
    E = expm(sp.csr_array(np.diag(d)))
    assert E.nnz == 4
    np.testing.assert_allclose(np.diag(E.toarray()), np.exp(d), rtol=1e-6)


def test_expm_of_nilpotent_and_badly_scaled_triangles():
    """Norms of powers decide, and exact diagonals are kept: what makes this algorithm better than its predecessors."""
    n = 12
    pascal = np.diag(np.arange(1.0, n), -1)
    exact = scipy.linalg.pascal(n, kind="lower")
    np.testing.assert_allclose(expm(pascal), exact, rtol=1e-12)
    T = np.array([[-1.0, 1e6, 0.0], [0.0, -1.0 + 1e-9, 1e6], [0.0, 0.0, -2.0]])
    np.testing.assert_allclose(np.diag(expm(T)), np.exp(np.diag(T)), rtol=1e-15)
    np.testing.assert_allclose(expm(T)[0, 1], 1e6 * np.exp(-1.0 + 5e-10), rtol=1e-12)


def test_expm_of_integers_and_halves(device):
    Q = np.array([[-3, 1, 2], [0, -1, 1], [4, 0, -4]], np.int16)
    expected = scipy.linalg.expm(Q.astype(np.float64))
    for A in (sp.csc_array(Q), Q):
        close(expm(A), expected, "f" if device == "gpu" else "d")
    for half in (mx.float16, mx.bfloat16):
        E = expm(sp.csr_array(Q.astype(np.float32)).astype(half))
        assert E._data.dtype == mx.float32
        close(E, expected, "f")


def test_expm_refuses():
    for A in (sp.csr_array((2, 3)), np.ones(3), np.ones((2, 2, 2)), 5.0):
        with pytest.raises(ValueError, match="square"):
            expm(A)
    with pytest.raises(ValueError, match="finite"):
        expm(sp.csr_array([[np.nan, 1.0], [0.0, 1.0]]))
    with pytest.raises(OverflowError, match="float32"), np.errstate(over="ignore", invalid="ignore"):
        expm(np.full((2, 2), 1e30, np.float32))
    assert expm(sp.csr_array((0, 0))).shape == (0, 0) and expm(np.ones((0, 0))).shape == (0, 0)


def test_thresholds_are_the_published_ones():
    """Higham and Al-Mohy print them to three digits (Taylor) and sixteen (Pade)."""
    from scipy.sparse.linalg._expm_multiply import _theta

    double_precision, single = 2.0**-53, 2.0**-24
    for m, printed in _theta.items():
        if m > 1:  # the one of degree 1 is printed as a multiple of the roundoff
            np.testing.assert_allclose(thresholds.taylor(m, double_precision), printed, rtol=1e-2)
    pade = {3: 1.495585217958292e-2, 5: 2.539398330063230e-1, 7: 9.504178996162932e-1, 9: 2.097847961257068}
    for m, printed in pade.items():
        np.testing.assert_allclose(thresholds.pade(m, double_precision), printed, rtol=1e-9)
    for m, printed in {3: 4.258730016922831e-1, 5: 1.880152677804762, 7: 3.925724783138660}.items():
        np.testing.assert_allclose(thresholds.pade(m, single), printed, rtol=1e-6)


# ---- expm_multiply ------------------------------------------------------------------------------------------------


def operands(S, namespace):
    yield ours(S, "csc")
    yield ours(S, "bsr")
    yield as_namespace(S.toarray(), namespace)
    yield aslinearoperator(S)
    yield S


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.filterwarnings("ignore:Trace of LinearOperator")
def test_action(dtype, namespace, scale, columns):
    n = 40
    S = sample(n, dtype, scale)
    b = vector(n, dtype) if columns is None else np.stack([vector(n, dtype, k) for k in range(columns)], axis=1)
    expected = scipy.linalg.expm(double(S)) @ b
    for A in operands(S, namespace):
        x = expm_multiply(A, as_namespace(b, namespace))
        check_namespace(x, namespace)
        assert np.asarray(x).dtype == np.dtype(dtype)
        close(x, expected, dtype)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize(
    ("start", "stop", "num", "endpoint"),
    [(0, 1, 3, None), (0.1, 2, 40, True), (0, 1, 7, False), (-1, 1, 9, True), (1.5, -0.5, 12, False), (2, 2, 2, None)],
)
@pytest.mark.parametrize("columns", [None, 2])
def test_action_over_time(dtype, namespace, start, stop, num, endpoint, columns):
    n = 25
    S = sample(n, dtype, 6.0)
    b = vector(n, dtype) if columns is None else np.stack([vector(n, dtype, k) for k in range(columns)], axis=1)
    times = np.linspace(start, stop, num, endpoint=endpoint is not False)
    expected = np.stack([scipy.linalg.expm(t * double(S)) @ b for t in times])
    x = expm_multiply(ours(S), as_namespace(b, namespace), start, stop, num, endpoint)
    check_namespace(x, namespace)
    close(x, expected, dtype)


def test_defaults_of_time_points():
    S, b = sample(5, "f"), vector(5, "f")
    assert expm_multiply(ours(S), b, 0, 1).shape == (50, 5)
    assert expm_multiply(ours(S), b, num=4).shape == (4, 5)
    assert expm_multiply(ours(S), b[:, None], 0, 1, 2).shape == (2, 5, 1)


@pytest.mark.parametrize("columns", [None, 3, 12])
@pytest.mark.parametrize("t", [1.0, 1e3, 1e6])
def test_powers_that_vanish_late(columns, t):
    """The first powers are no smaller than the norm says, and the fourth is zero."""
    n = 4 * 60
    S = scipy.sparse.diags_array(np.where(np.arange(1, n) % 4, t, 0.0), offsets=1, shape=(n, n)).tocsr()
    b = np.random.default_rng(0).standard_normal(n if columns is None else (n, columns))
    expected, term = b.copy(), b
    for k in range(1, 4):
        term = S @ term / k
        expected += term
    close(expm_multiply(ours(S), b), expected, "d" if mx.default_device() == mx.cpu else "f")


def test_sparse_b(dtype):
    S = sample(20, dtype, 2.0)
    B = scipy.sparse.random_array((20, 6), density=0.2, rng=np.random.default_rng(1)).tocsr().astype(dtype)
    exact = scipy.linalg.expm(double(S)) @ double(B)
    X = expm_multiply(ours(S), sp.from_scipy(B))
    assert isinstance(X, sp.sparray) and X.format == "csr"
    close(X, exact, dtype)
    several = expm_multiply(ours(S), sp.from_scipy(B), 0, 1, 3)
    check_namespace(several, "mlx")
    close(several[-1], exact, dtype)
    close(expm_multiply(S.toarray(), sp.from_scipy(B)), exact, dtype)


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
def test_action_in_half_precision_is_in_float32(half):
    S, b = sample(8, "f"), vector(8, "f")
    x = expm_multiply(ours(S).astype(half), mx.array(b).astype(half))
    assert x.dtype == mx.float32
    close(x, scipy.linalg.expm(double(S)) @ b, "float16", loss=50)


def test_integers_and_dtypes():
    A = sp.csr_array(np.diag(np.arange(4)))
    np.testing.assert_allclose(expm_multiply(A, np.ones(4, int)), np.exp(np.arange(4)), rtol=1e-5)
    A = sp.csr_array(np.diag(np.arange(4)).astype(np.float32))
    assert expm_multiply(A, np.full(4, np.complex64(1j))).dtype == np.complex64
    assert expm_multiply(A, np.full(4, 1j)).dtype == held(np.complex128)


def test_trace(dtype):
    S, b = sample(30, dtype, 8.0) + 3 * scipy.sparse.eye_array(30, dtype=dtype), vector(30, dtype)
    expected = scipy.linalg.expm(double(S)) @ b
    operator = aslinearoperator(S)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for trace in (S.trace(), 1.1 * S.trace()):
            close(expm_multiply(operator, b, traceA=trace), expected, dtype)
            close(expm_multiply(ours(S), b, traceA=trace), expected, dtype)
    with pytest.warns(UserWarning, match="Trace of LinearOperator not available") as seen:
        close(expm_multiply(operator, b), expected, dtype)
    assert seen[0].filename == __file__


@pytest.mark.filterwarnings("ignore:overflow")  # exp(100) does not fit float32
def test_the_shift_saves_products():
    counted = []

    class Counting(scipy.sparse.linalg.LinearOperator):
        def _matmat(self, X):
            counted.append(1)
            return S @ X

        def _rmatmat(self, X):
            return S.T @ X

        _matvec = _matmat

    S = sample(30, "f") + 100 * scipy.sparse.eye_array(30, dtype=np.float32)
    A = Counting(np.float32, S.shape)
    used = []
    for trace in (0.0, S.trace()):
        counted.clear()
        expm_multiply(A, vector(30, "f") * np.float32(1e-20), traceA=trace)
        used.append(len(counted))
    assert used[1] < used[0] / 4


def test_gradient_of_b_and_of_the_values():
    S = sample(9, "f", 2.0)
    A, b = ours(S), mx.array(vector(9, "f"))
    weights = mx.array(vector(9, "f", 5))

    def loss(values, b):
        return mx.sum(weights * expm_multiply(A.with_data(values), b))

    dvalues, db = mx.grad(loss, argnums=(0, 1))(A.data, b)
    E = scipy.linalg.expm(double(S))
    close(db, E.T @ np.asarray(weights, np.float64), "f")
    coo = S.tocoo()
    for e in range(0, coo.nnz, 5):
        bump = np.zeros((9, 9))
        bump[coo.coords[0][e], coo.coords[1][e]] = 1
        _, slope = scipy.linalg.expm_frechet(double(S), bump)
        exact = np.asarray(weights, np.float64) @ slope @ np.asarray(b, np.float64)
        assert abs(float(dvalues[e]) - exact) < 1e-4 * max(1, abs(exact))


def test_second_derivative_and_compile():
    A, b = ours(sample(6, "f")), mx.array(vector(6, "f"))

    def f(b):
        return mx.sum(expm_multiply(A, b) ** 2)

    E = scipy.linalg.expm(A.toarray().astype(np.float64))
    product = mx.jvp(mx.grad(f), [b], [mx.ones(6)])[1][0]
    close(product, 2 * E.T @ E @ np.ones(6), "f")
    close(mx.compile(f)(b), np.asarray(f(b)), "f")


def test_action_refuses():
    A = sp.eye_array(3, format="csr", dtype=np.float32)
    b = np.ones(3, np.float32)
    for matrix, right in (
        (sp.csr_array((2, 3)), b),
        (A, np.ones(4)),
        (A, np.ones((3, 2, 2))),
        (A, np.float32(1)),
        (sp.csr_array([[np.inf]]), np.ones(1)),
    ):
        with pytest.raises(ValueError):
            expm_multiply(matrix, right)
    for num in (0, 1, -3):
        with pytest.raises(ValueError):
            expm_multiply(A, b, 0, 1, num)
    for options in ({"start": 0}, {"stop": 1}, {"start": 0, "stop": 1, "num": 2.5}):
        with pytest.raises(TypeError):
            expm_multiply(A, b, **options)
    for matrix, right in ((A, mx.ones(3, dtype=mx.complex64)), ("A", b)):
        with pytest.raises(TypeError):
            expm_multiply(matrix, right)
    assert expm_multiply(sp.csr_array((0, 0)), np.ones(0)).shape == (0,)


@pytest.mark.parametrize("power", [0, 1, 2, 5])
def test_powers_of_dense_arrays(power):
    A = np.array([[1.0, 2.0], [3.0, 4.0]])
    for given, kind in ((A, np.ndarray), (mx.array(A), mx.array)):
        found = matrix_power(given, power)
        assert found is not given
        assert isinstance(found, kind if power else sp.dia_array)
        close(found, np.linalg.matrix_power(A, power), "d")
    for wrong in ([[1.0, 0.0], [0.0, 1.0]], np.ones(2), np.ones((2, 3))):
        with pytest.raises(TypeError):
            matrix_power(wrong, 2)
    for wrong in (-1, 0.5):
        with pytest.raises(ValueError):
            matrix_power(A, wrong)

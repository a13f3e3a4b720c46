"""Linear operators: their algebra against dense arrays, in both namespaces; derivatives; SciPy's and our solvers."""

import operator
import pickle

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg as scipy_linalg

import mlx_sparse as sp
from mlx_sparse import linalg
from mlx_sparse.linalg import LaplacianNd, LinearOperator, aslinearoperator

from . import systems
from .systems import ALL_FORMATS, NAMESPACES, as_namespace, check_namespace, hermitian, ours, vector, vectors

N = 12
PRODUCTS = ("matvec", "rmatvec", "matmat", "rmatmat")


def general(n, dtype, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n))
    return (X + 1j * rng.standard_normal((n, n)) if dtype in "FD" else X).astype(dtype)


class ByVectors(LinearOperator):
    def __init__(self, X):
        super().__init__(X.dtype, X.shape)
        self.X = X

    def product(self, X, x):
        return as_namespace(X, "mlx" if isinstance(x, mx.array) else "numpy") @ x

    def _matvec(self, x):
        assert x.ndim == 1
        return self.product(self.X, x)

    def _rmatvec(self, x):
        return self.product(self.X.conj().T, x)


class ByBlocks(ByVectors):
    def _matmat(self, X):
        return self.product(self.X, X)

    _matvec = LinearOperator._matvec
    _rmatvec = LinearOperator._rmatvec

    def _rmatmat(self, X):
        return self.product(self.X.conj().T, X)


class ByAdjoint(ByVectors):
    _rmatvec = LinearOperator._rmatvec

    def _adjoint(self):
        return ByVectors(self.X.conj().T)


def functions(X, **options):
    def product(Y):
        return lambda x: as_namespace(Y, "mlx" if isinstance(x, mx.array) else "numpy") @ x

    return LinearOperator(X.shape, product(X), product(X.conj().T), dtype=X.dtype, **options)


class Foreign:
    """An object with products of its own."""

    def __init__(self, X):
        A = functions(X)
        self.shape, self.matvec, self.rmatvec = X.shape, A.matvec, A.rmatvec


KINDS = {
    "functions": functions,
    "vectors": ByVectors,
    "blocks": ByBlocks,
    "adjoint": ByAdjoint,
    "ndarray": aslinearoperator,
    "mlx": lambda X: aslinearoperator(as_namespace(X, "mlx")),
    "ours": lambda X: aslinearoperator(sp.csr_array(X)),
    "scipy": lambda X: aslinearoperator(scipy.sparse.csr_array(X)),
    "operator": lambda X: aslinearoperator(scipy_linalg.aslinearoperator(X)),
    "object": lambda X: aslinearoperator(Foreign(X)),
}
kinds = pytest.mark.parametrize("kind", KINDS)
namespaces = pytest.mark.parametrize("namespace", NAMESPACES)


def check(A, X, dtype, namespace):
    """Every product of A is that of the matrix X."""
    m, n = X.shape
    bound = 200 * np.finfo(dtype).eps * max(1, abs(X).max())
    assert isinstance(A, LinearOperator) and isinstance(A, scipy_linalg.LinearOperator)
    assert A.shape == X.shape and A.ndim == 2 and A.dtype == X.dtype
    for B, Y, size in ((A, X, n), (A.T, X.T, m), (A.H, X.conj().T, m), (A.adjoint().H, X, n), (A.transpose().T, X, n)):
        v, V = vector(size, dtype), vectors(size, dtype, 3)
        w, W = vector(Y.shape[0], dtype, 4), vectors(Y.shape[0], dtype, 2)
        for name, given, expected in (
            *((name, v, Y @ v) for name in ("matvec", "dot", "__matmul__", "__mul__", "__call__")),
            *((name, V, Y @ V) for name in ("matmat", "dot", "__matmul__", "__call__")),
            ("matvec", v[:, None], Y @ v[:, None]),
            ("rmatvec", w, Y.conj().T @ w),
            ("rmatmat", W, Y.conj().T @ W),
            ("rdot", w, w @ Y),
            ("rdot", W.T, W.T @ Y),
            ("matmat", V[:, :0], Y @ V[:, :0]),
        ):
            found = getattr(B, name)(as_namespace(given, namespace))
            check_namespace(found, namespace)
            assert found.shape == expected.shape, name
            if expected.size:  # MLX's CUDA build has no memory for NumPy to look at otherwise
                assert found.dtype == as_namespace(expected, namespace).dtype, name
                np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=bound, err_msg=name)


@namespaces
@kinds
@pytest.mark.filterwarnings("ignore:Calling")
def test_products(kind, dtype, namespace):
    for shape in ((N, N), (N, N - 3), (1, 2), (1, 1)):
        X = general(N, dtype)[: shape[0], : shape[1]]
        check(KINDS[kind](X), X, dtype, namespace)


@namespaces
@kinds
@pytest.mark.filterwarnings("ignore:Calling")
def test_algebra(kind, dtype, namespace):
    X = general(4, dtype) / 4
    A, B, Y = KINDS[kind](X), aslinearoperator(sp.csc_array(X.T)), X.T
    t = X.dtype.type
    for found, expected in (
        (A + B, X + Y),
        (A - B, X - Y),
        (B - A, Y - X),
        (A @ B, X @ Y),
        (B * A, Y @ X),
        (A(B), X @ Y),
        (A.rdot(B), Y @ X),
        (-A, -X),
        (3 * A, 3 * X),
        (A * t(0.5), X * t(0.5)),
        (t(2) * A / 4, X / 2),
        (A / t(3), X / t(3)),
        (A**3, X @ X @ X),
        ((A + B) @ (A - 2 * B) ** 2, (X + Y) @ (X - 2 * Y) @ (X - 2 * Y)),
    ):
        check(found, expected, dtype, namespace)
    power = A**0
    v = as_namespace(vector(4, dtype), namespace)
    np.testing.assert_array_equal(np.asarray(power @ v), np.asarray(v))
    assert (2 * A).args == (A, 2) and (A + B).args == (A, B) and (A @ B).args == (A, B) and (A**2).args == (A, 2)
    assert (3 * (2 * A)).args == (A, 6)


@namespaces
def test_complex_parts_of_real_operators(namespace, device):
    X = general(4, "d").astype("f" if device == "gpu" else "d")
    A, v = aslinearoperator(sp.csr_array(X)), as_namespace(vector(4, X.dtype.char), namespace)
    for B, Y in ((2j * A, 2j * X), (A + 1j * A, X + 1j * X), ((1j * A) @ (A / 1j), X @ X + 0j)):
        assert B.dtype == Y.dtype if device != "gpu" else B.dtype.kind == "c"
        np.testing.assert_allclose(np.asarray(B @ v), Y @ np.asarray(v), rtol=1e-5 if device == "gpu" else 1e-13)


def test_scalars_and_dtypes():
    A = aslinearoperator(np.ones((2, 2), "f"))
    assert (2.0 * A).dtype == np.float32 and (2j * A).dtype == np.complex64
    assert (np.float64(2) * A).dtype == np.float64 and (A * mx.array(2.0)).dtype == np.float32
    np.testing.assert_array_equal((A * mx.array(2.0)) @ np.ones(2, "f"), [4, 4])
    assert aslinearoperator(sp.csr_array(mx.ones((2, 2), dtype=mx.bfloat16))).dtype == np.float32
    assert (A @ np.ones(2)).dtype == np.float64 and (A @ [1, 2]).dtype == np.float64


def test_scipy_operators_combine_with_ours():
    X = general(4, "d")
    mine, theirs = aslinearoperator(X), scipy_linalg.aslinearoperator(X)
    v = vector(4, "d")
    for found, expected in (
        (mine + theirs, 2 * X),
        (mine - theirs, 0 * X),
        (mine @ theirs, X @ X),
        (theirs + mine, 2 * X),
        (theirs @ mine, X @ X),
    ):
        np.testing.assert_allclose(found @ v, expected @ v, atol=1e-12)
    assert isinstance(mine + theirs, LinearOperator)


# ---- what an operator is made of -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ALL_FORMATS)
def test_matrix_operators(format, dtype):
    S = scipy.sparse.csr_array(general(N, dtype)).asformat(format)
    for A in (S, ours(S, format)):
        op = aslinearoperator(A)
        assert op.A is A and op.args == (A,) and aslinearoperator(op) is op
        np.testing.assert_allclose(np.asarray(op.H.A.toarray()), S.toarray().conj().T)
        np.testing.assert_allclose(np.asarray(op.T.A.toarray()), S.toarray().T)
        other = scipy.sparse.csr_array(general(N, dtype, 1))
        for B in (other, sp.csr_array(other)):
            assert sp.issparse(op @ B) or scipy.sparse.issparse(op @ B)
            np.testing.assert_allclose((op @ B).toarray(), S.toarray() @ other.toarray(), rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose((B @ op).toarray(), other.toarray() @ S.toarray(), rtol=1e-4, atol=1e-4)
    assert repr(op) == f"<{N}x{N} MatrixLinearOperator with dtype={np.dtype(dtype)}>"


def test_vectors_and_lists_are_rows():
    assert aslinearoperator(np.ones(3)).shape == aslinearoperator(mx.ones(3)).shape == (1, 3)
    assert aslinearoperator(mx.ones(3)).A.shape == (1, 3)


def test_singleis_found_by_one_product():
    calls = []

    def function(dtype):
        def product(x):
            calls.append(x)
            return np.asarray(x) * dtype(1)

        return product

    for dtype in (np.int8, np.int64, np.float32, np.float64, np.complex64, np.complex128, np.longdouble):
        assert LinearOperator((2, 2), function(dtype)).dtype == dtype
    assert len(calls) == 7
    assert LinearOperator((2, 2), lambda x: np.array([128 * x[0], 10**30 * x[1]])).dtype.kind == "i"
    W = mx.ones((2, 2))
    for options in ({}, {"xp": mx}):  # which no ndarray can be multiplied with
        A = LinearOperator((2, 2), lambda x: W @ x, **options)
        assert A.dtype == np.float32
        np.testing.assert_array_equal(A @ np.ones(2, "f"), [2, 2])
        assert type(A @ np.ones(2, "f")) is np.ndarray and type(A @ mx.ones(2)) is mx.array

    def fails(x):
        raise ValueError("of the user's own")

    with pytest.raises(ValueError, match="of the user's own"):
        LinearOperator((2, 2), fails)


def test_functions_of_ndarrays():
    def product(x):
        assert type(x) is np.ndarray
        return 2 * x

    A = LinearOperator((2, 2), product, xp=np)
    y = A @ mx.ones(2)
    assert type(y) is mx.array and y.tolist() == [2, 2]
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda x: mx.sum(A @ x))(mx.ones(2))
    B = LinearOperator((2, 2), lambda x: 2 * np.asarray(x), dtype=np.float32)
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda x: mx.sum(B @ x))(mx.ones(2))


def test_pickle():
    for A in (aslinearoperator(mx.ones((2, 2))), aslinearoperator(sp.csr_array(np.eye(2))), LaplacianNd((2, 3))):
        B = pickle.loads(pickle.dumps(A))
        v = np.ones(A.shape[0], "f")
        np.testing.assert_array_equal(B @ v, A @ v)
        assert B.dtype == A.dtype and type(B) is type(A)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_np_matrix():
    X = np.arange(6).reshape(2, 3)
    A = aslinearoperator(np.asmatrix(X))
    assert type(A.A) is np.ndarray
    assert type(A @ np.asmatrix([[1], [1], [1]])) is np.ndarray
    for found in (A.matvec(np.asmatrix([[1], [1], [1]])), A.matmat(np.asmatrix(X.T)), A.rmatmat(np.asmatrix(X))):
        assert type(found) is np.matrix


# ---- derivatives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["functions", "vectors", "blocks", "adjoint", "ndarray", "mlx", "ours", "scipy"])
def test_products_are_lazy_and_differentiable(kind):
    X = general(4, "f")
    A, x = KINDS[kind](X), as_namespace(vector(4, "f"), "mlx")
    for B, Y in ((A, X), (A.H @ A, X.T @ X), (A.T + 2 * A, X.T + 2 * X), (A**2, X @ X)):
        found = mx.grad(lambda x, B=B: mx.sum(mx.sin(B @ x)))(x)
        expected = mx.grad(lambda x, Y=Y: mx.sum(mx.sin(mx.array(Y) @ x)))(x)
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-3, atol=1e-4)
        compiled = mx.compile(lambda x, B=B: B @ x)(x)
        np.testing.assert_allclose(np.asarray(compiled), Y @ np.asarray(x), rtol=1e-3, atol=1e-4)


def test_values_and_scalars_are_differentiable():
    S, x = ours(hermitian(6, "f")), mx.array(vector(6, "f"))

    def loss(values, scale, form):
        A = aslinearoperator(S.with_data(values))
        return mx.sum(form(A, scale) @ x * x)

    forms = (
        lambda A, s: A * s,
        lambda A, s: A.H + A * s,
        lambda A, s: (A.T * s) @ A,
        lambda A, s: np.float32(2) * (A * s),
        lambda A, s: (A / np.float32(2)) * s,
    )
    dense = (
        lambda A, s: A * s,
        lambda A, s: A.T + A * s,
        lambda A, s: (A.T * s) @ A,
        lambda A, s: 2 * A * s,
        lambda A, s: A / 2 * s,
    )
    for form, plain in zip(forms, dense, strict=True):

        def theirs(values, scale, plain=plain):
            return mx.sum(plain(S.with_data(values).todense(), scale) @ x * x)

        at = (S.data, mx.array(0.7))
        found = mx.grad(lambda *p, form=form: loss(*p, form), argnums=(0, 1))(*at)
        for mine, expected in zip(found, mx.grad(theirs, argnums=(0, 1))(*at), strict=True):
            np.testing.assert_allclose(np.asarray(mine), np.asarray(expected), rtol=1e-3, atol=1e-4)


def test_operators_of_scipy_refuse_tracing():
    A = KINDS["operator"](general(4, "f"))
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda x: mx.sum(A @ x))(mx.ones(4))


def test_traced_values_with_an_ndarray_are_refused():
    S = ours(hermitian(6, "f"))
    for make in (lambda v: aslinearoperator(S.with_data(v)), lambda v: aslinearoperator(v.reshape(1, -1))):
        with pytest.raises(ValueError, match="traced|derivative"):
            mx.grad(lambda v, make=make: mx.sum(mx.array(make(v) @ np.ones(make(v).shape[1], "f"))))(S.data)


# ---- solvers -------------------------------------------------------------------------------------------------------


def spd(dtype):
    return hermitian(40, dtype)


def forms(S):
    A = ours(S)
    yield aslinearoperator(A)
    yield aslinearoperator(A).H.H
    yield 2 * aslinearoperator(A) - aslinearoperator(S)
    yield aslinearoperator(scipy_linalg.aslinearoperator(S))
    yield LinearOperator(S.shape, A.__matmul__, dtype=S.dtype)


@pytest.mark.parametrize("columns", [None, 2])
@namespaces
def test_our_solvers(dtype, namespace, columns):
    S = spd(dtype)
    b = vectors(40, dtype, columns)
    for A in forms(S):
        x, info = linalg.cg(
            A, as_namespace(b, namespace), rtol=1e-5, M=aslinearoperator(sp.diags_array(1 / S.diagonal()))
        )
        assert info == 0
        check_namespace(x, namespace)
        assert np.linalg.norm(S @ np.asarray(x) - b) < 1e-4 * np.linalg.norm(b)


def test_solutions_are_differentiable_in_the_values_of_a_matrix_operator():
    A, b = ours(spd("f")), mx.array(vector(40, "f"))

    def loss(make):
        return lambda v, b: mx.sum(mx.sin(linalg.cg(make(A.with_data(v)), b, rtol=1e-7)[0]))

    expected = mx.grad(loss(lambda A: A), argnums=(0, 1))(A.data, b)
    for made in (
        aslinearoperator,
        lambda A: 2 * aslinearoperator(A) - aslinearoperator(A),
        lambda A: aslinearoperator(A).H.T,
        lambda A: (aslinearoperator(A) ** 1) @ LinearOperator(A.shape, lambda x: x, dtype=np.float32),
    ):
        found = mx.grad(loss(made), argnums=(0, 1))(A.data, b)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="closes over"):
        mx.grad(loss(lambda A: LinearOperator(A.shape, A.matvec, dtype=np.float32)))(A.data, b)


@pytest.mark.parametrize("adjoint", [False, True])
def test_products_from_the_left_of_an_mlx_array(adjoint):
    """As of an ndarray: `mx.array` leaves them to the operator."""
    S = systems.general(6, "f")[:4]
    A = aslinearoperator(ours(S.conj().T.tocsr())).H if adjoint else aslinearoperator(ours(S))
    v, X = mx.array(vector(4, "f")), mx.array(np.stack([vector(4, "f"), vector(4, "f", 2)]))
    for x in (v, X):
        for y in (x @ A, x * A):
            assert type(y) is mx.array
            np.testing.assert_allclose(np.asarray(y), np.asarray(x) @ S.toarray(), rtol=1e-5, atol=1e-6)
    scaled = mx.array(3.0) * A
    np.testing.assert_allclose(scaled @ np.ones(6, "f"), 3 * (S @ np.ones(6, "f")), rtol=1e-5)
    slope = mx.grad(lambda v: mx.sum(mx.sin(v @ A)))(v)
    expected = S @ np.cos(np.asarray(v) @ S.toarray())
    np.testing.assert_allclose(np.asarray(slope), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="Scalar"):
        mx.array(3.0) @ A
    with pytest.raises(ValueError, match="mismatch"):
        mx.ones(5) @ A
    with pytest.raises(TypeError):
        mx.ones(4) + A


@pytest.mark.parametrize("single", "fF")
def test_solutions_are_differentiable_in_b(single):
    S, b = spd(single), as_namespace(vector(40, single), "mlx")

    def loss(A):
        return lambda b: mx.sum(mx.sin(mx.real(linalg.cg(A, b, rtol=1e-6)[0])))

    expected = np.asarray(mx.grad(loss(ours(S)))(b))
    for A in (*forms(S), 3 * aslinearoperator(scipy_linalg.aslinearoperator(S)) - 2 * aslinearoperator(S)):
        np.testing.assert_allclose(np.asarray(mx.grad(loss(A))(b)), expected, rtol=1e-3, atol=1e-5)


def test_solvers_bind_mlx_products():
    """No product of a solver over `mx.array` goes through ndarrays."""
    S = ours(spd("f"))

    def product(x):
        assert type(x) is mx.array
        return S @ x

    A = LinearOperator(S.shape, product, product, dtype=np.float32)
    for B in (A, 2 * A, A.H + A, A @ A):
        _, info = linalg.cg(B, mx.ones(40))
        assert info == 0
    y = mx.vjp(lambda b: linalg.expm_multiply(aslinearoperator(S), b, traceA=1.0), [mx.ones(40)], [mx.ones(40)])[1][0]
    expected = scipy_linalg.expm_multiply(S.to_scipy().T, np.ones(40, "f"))
    np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-3)


@pytest.mark.parametrize("mode", ["mlx", "numpy"])
def test_functions_of_scipy(mode, device):
    S, b = spd("f" if device == "gpu" else "d"), vector(40, "d")
    rtol = 1e-3 if device == "gpu" else 1e-6
    with sp.runtime.context(dense_namespace=mode):
        for A in forms(S):
            for solve in (scipy_linalg.cg, scipy_linalg.gmres, scipy_linalg.bicgstab, scipy_linalg.minres):
                x, info = solve(A, b, rtol=rtol)
                assert info == 0 and np.linalg.norm(S @ x - b) < 10 * rtol * np.linalg.norm(b)
            found = scipy_linalg.eigsh(A, 2, return_eigenvectors=False)
            np.testing.assert_allclose(found, np.linalg.eigvalsh(S.toarray())[-2:], rtol=1e-4)
            assert scipy_linalg.aslinearoperator(A) is A
        for A in list(forms(S))[:4]:
            x = scipy_linalg.lsqr(A, b, atol=1e-6, btol=1e-6)[0]
            assert np.linalg.norm(S @ x - b) < 1e-3 * np.linalg.norm(b)
            np.testing.assert_allclose(scipy_linalg.onenormest(A), abs(S).sum(axis=0).max(), rtol=1e-5)
            found = scipy_linalg.svds(A, 2, return_singular_vectors=False)
            np.testing.assert_allclose(np.sort(found), np.linalg.svd(S.toarray())[1][1::-1], rtol=1e-4)


# ---- bad input -----------------------------------------------------------------------------------------------------


@kinds
@namespaces
def test_shapes(kind, namespace):
    A = KINDS[kind](general(4, "f")[:3])
    for name, given in (
        *((name, shape) for name in ("matvec", "__matmul__", "dot") for shape in ((3,), (5,), (3, 1), ())),
        ("rmatvec", (4,)),
        ("rdot", (4,)),
        ("matmat", (3, 2)),
        ("matmat", (4,)),
        ("rmatmat", (4, 2)),
        ("rdot", (2, 4)),
    ):
        if name == "dot" and given == ():  # a scalar
            continue
        with pytest.raises(ValueError):
            getattr(A, name)(as_namespace(np.ones(given, "f"), namespace))
    for wrong in (lambda: A + A.T, lambda: A @ A, lambda: A**2, lambda: A / np.ones(2), lambda: A @ 2, lambda: 2 @ A):
        with pytest.raises(ValueError):
            wrong()
    B = A.T @ A
    for p in (-1, 1.5, "2"):
        with pytest.raises(ValueError):
            B**p
    for op in (operator.add, operator.sub):
        for other in (np.ones((3, 4)), sp.csr_array(np.ones((3, 4))), 1, None):
            with pytest.raises(TypeError):
                op(A, other)
    with pytest.raises(TypeError):
        A ** np.ones(2)


def test_results_of_wrong_shape():
    for A in (
        LinearOperator((2, 2), lambda x: np.ones(3), dtype=float),
        LinearOperator((2, 2), lambda x: np.ones(2), matmat=lambda X: X.T[:, :1], dtype=float),
        LinearOperator((3, 2), lambda x: np.ones(3), matmat=lambda X: np.ones(X.shape[::-1]), dtype=float),
    ):
        with pytest.raises(ValueError, match="shape"):
            A.matvec(np.ones(2))
            A.matmat(np.ones((2, 3)))


def test_constructors():
    for shape in ((2,), (2, -1), (2.5, 2), "ab", (2, None)):
        with pytest.raises((ValueError, TypeError)):
            LinearOperator(shape, lambda x: x)
    with pytest.raises(TypeError, match="matvec or matmat"):
        LinearOperator((2, 2), None)
    for wrong in (object(), None, "text", 3):
        with pytest.raises(TypeError):
            aslinearoperator(wrong)
    with pytest.warns(RuntimeWarning, match="at least one of _matvec and _matmat"):
        type("Empty", (LinearOperator,), {})(np.float64, (2, 2))
    A = LinearOperator((2, 2), lambda x: x)
    for product in (A.rmatvec, A.H.matvec, A.T.matvec):
        with pytest.raises(NotImplementedError):
            product(np.ones(2))
    for B in (sp.eye_array(2), scipy.sparse.eye_array(2)):
        for wrong in (lambda B=B: A @ B, lambda B=B: B @ A):
            with pytest.raises(TypeError, match="aslinearoperator"):
                wrong()


def test_exceptions_and_empty_operators():
    class Stop(Exception):
        pass

    def product(x):
        raise Stop

    A = LinearOperator((2, 2), product, dtype=np.float32)
    for call in (lambda: A @ np.ones(2), lambda: (A + A) @ mx.ones(2), lambda: linalg.cg(A, np.ones(2))):
        with pytest.raises(Stop):
            call()
    Z = aslinearoperator(np.zeros((0, 0)))
    assert (Z @ np.zeros(0)).shape == (0,) and (Z @ Z + Z).matmat(np.zeros((0, 2))).shape == (0, 2)
    assert LinearOperator((0, 3), lambda x: x[:0]).matvec(np.ones(3)).shape == (0,)


# ---- the Laplacian of a grid ---------------------------------------------------------------------------------------

CONDITIONS = pytest.mark.parametrize("conditions", ["neumann", "dirichlet", "periodic"])
GRIDS = ((6,), (2,), (1,), (2, 3), (1, 3), (5, 4, 3), (6, 2, 1), (0, 3))


@CONDITIONS
def test_laplacian_is_one_matrix(conditions):
    for grid in GRIDS:
        L, R = (c(grid, boundary_conditions=conditions) for c in (LaplacianNd, scipy_linalg.LaplacianNd))
        n, X = L.shape[0], L.toarray()
        assert X.dtype == np.int8 and L.shape == (np.prod(grid),) * 2 and L.H is L and L.T is L
        if min(grid) > 1:  # along axes of one point SciPy's forms differ
            np.testing.assert_array_equal(X, R.toarray())
            assert L.tosparse().format == R.tosparse().format and L.tosparse().nnz == R.tosparse().nnz
        for dtype in ("f", "b", "B", "?"):
            V = np.eye(n).astype(dtype)
            np.testing.assert_array_equal(L @ V, np.asarray(X.astype((L @ V).dtype)))
        y = L @ mx.eye(n)
        assert type(y) is mx.array and y.dtype == mx.float32
        np.testing.assert_array_equal(np.asarray(y), X)
        values, V = L.eigenvalues(), L.eigenvectors()
        assert type(values) is type(V) is mx.array
        values, V = np.asarray(values), np.asarray(V)
        bound = 1e-4 if values.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(V.T @ V, np.eye(n), atol=bound)
        np.testing.assert_allclose(X @ V, V * values, atol=bound)
        assert (np.diff(values) >= 0).all()
        for m in (0, 1, 3, n, n + 1):
            np.testing.assert_array_equal(np.asarray(L.eigenvalues(m)), values[max(n - m, 0) :])
            np.testing.assert_array_equal(np.asarray(L.eigenvectors(m)), V[:, max(n - m, 0) :])


def test_laplacian_derivatives_and_arguments():
    L = LaplacianNd((3, 4), dtype=np.float32)
    found = mx.grad(lambda x: mx.sum(mx.sin(L @ x)))(mx.arange(12).astype(mx.float32))
    X = mx.array(L.toarray())
    expected = mx.grad(lambda x: mx.sum(mx.sin(X @ x)))(mx.arange(12).astype(mx.float32))
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-5)
    assert L.tosparse().dtype == mx.float32 and L.grid_shape == (3, 4)
    with sp.runtime.context(dense_namespace="numpy"):
        assert type(L.eigenvalues()) is np.ndarray
    for wrong in (
        lambda: LaplacianNd((2,), boundary_conditions="robin"),
        lambda: LaplacianNd(()),
        lambda: LaplacianNd((-1,)),
    ):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(ValueError, match="m must not be negative"):
        L.eigenvalues(-1)
    with pytest.raises(TypeError):
        L.eigenvectors(1.5)

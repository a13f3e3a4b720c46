"""Preconditioners: what they are, in every solver that takes them, in both namespaces; their adjoints; bad input."""

import pickle
import threading

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from numpy.linalg import LinAlgError

import mlx_sparse as sp
from mlx_sparse import linalg
from mlx_sparse.linalg import preconditioners as P
from mlx_sparse.linalg._direct import substitution
from mlx_sparse.linalg._krylov.bicg import _METHOD as BICG
from mlx_sparse.linalg._problem import make_system
from mlx_sparse.linalg._recorded import recorded

from .systems import as_namespace, bound_of, check_namespace, general, held, hermitian, ours, residual, vector, vectors

N = 40
both = pytest.mark.parametrize("namespace", ["numpy", "mlx"])
# name -> (A, SciPy's form of A) -> preconditioner of a Hermitian positive definite A
MAKERS = {
    "identity": lambda A, S: P.identity(A),
    "diagonal": lambda A, S: P.diagonal(S.diagonal()),
    "jacobi": lambda A, S: P.jacobi(A, omega=0.9),
    "block_jacobi": lambda A, S: P.block_jacobi(A, 4),
    "block_jacobi-uneven": lambda A, S: P.block_jacobi(A, 7),
    "ssor": lambda A, S: P.ssor(A, 1.1),
    "chebyshev": lambda A, S: P.chebyshev(A),
    "chebyshev-discs": lambda A, S: P.chebyshev(A, degree=3, estimate=False),
    "ilu0": lambda A, S: P.ilu0(A),
    "ichol0": lambda A, S: P.ichol0(A),
    "spilu": lambda A, S: P.spilu(A, drop_tol=1e-2),
    "exact": lambda A, S: P.exact(A),
    "aspreconditioner": lambda A, S: P.aspreconditioner(np.linalg.inv(S.toarray())),
    "from_factorized": lambda A, S: P.from_factorized(scipy.sparse.linalg.splu(S.tocsc()), dtype=S.dtype),
}
HERMITIAN = {
    *("identity", "diagonal", "jacobi", "block_jacobi", "block_jacobi-uneven", "ssor", "chebyshev", "chebyshev-discs"),
    "ichol0",
}
ON_HOST = {"spilu", "exact", "from_factorized"}
each = pytest.mark.parametrize("name", list(MAKERS))


def made(name, dtype, build=hermitian):
    S = build(N, dtype)
    return MAKERS[name](ours(S), S), S


def bound(dtype):
    return 1000 * np.finfo(dtype).eps


# ---- operators ------------------------------------------------------------------------------------------------------


@both
@each
def test_products(name, dtype, namespace):
    M, _ = made(name, dtype)
    X = vectors(N, dtype, 3)
    full = np.stack([np.asarray(M @ column) for column in np.eye(N, dtype=dtype).T], axis=1)
    for operator, matrix in ((M, full), (M.H, full.conj().T), (M.T, full.T)):
        for x in (X, X[:, 0]):
            y = operator @ as_namespace(x, namespace)
            check_namespace(y, namespace)
            assert np.asarray(y).dtype == np.dtype(dtype) and y.shape == x.shape
            np.testing.assert_allclose(np.asarray(y), matrix @ x, rtol=0, atol=bound(dtype) * abs(matrix @ x).max())


@each
def test_what_it_says(name):
    M, S = made(name, "d")
    assert isinstance(M, P.Preconditioner) and isinstance(M, scipy.sparse.linalg.LinearOperator)
    of_numpy = {"diagonal", "aspreconditioner", "from_factorized"}  # whose entries stay where they are
    assert (M.shape, M.dtype) == ((N, N), np.float64 if name in of_numpy else held(np.float64))
    assert M.is_hermitian == (name in HERMITIAN) and (M.H is M) == (name in HERMITIAN)
    assert M.on_device != (name in ON_HOST)
    np.testing.assert_array_equal(M.solve(np.ones(N)), M @ np.ones(N))


@pytest.mark.parametrize("name", [n for n in MAKERS if not n.startswith(("cheb", "ichol"))])
def test_adjoints_of_those_that_are_not_hermitian(name, dtype):
    M, _ = made(name, dtype, general)
    x, y = vector(N, dtype, 1), vector(N, dtype, 2)
    assert abs(np.vdot(y, M @ x) - np.vdot(M.H @ y, x)) < bound(dtype) * np.linalg.norm(M @ x) * np.linalg.norm(y)


@each
def test_operands_of_other_dtypes(name):
    M, _ = made(name, "d")
    x = vector(N, "F")
    full = np.stack([M @ column for column in np.eye(N).T], axis=1)
    for dtype in ("f", "F"):
        y = M @ as_namespace(x.real.astype("f") if dtype == "f" else x, "mlx")
        assert np.asarray(y).dtype == np.dtype(dtype)
        expected = full @ (x.real if dtype == "f" else x)
        np.testing.assert_allclose(np.asarray(y), expected, rtol=0, atol=bound("f") * abs(expected).max())
    assert (M @ np.arange(N)).dtype == held(np.float64)
    assert (M @ mx.ones(N, dtype=mx.float16)).dtype == mx.float32


@each
def test_any_thread_may_use_them(name):
    M, _ = made(name, "d")
    x = mx.array(vector(N, "f"))
    found = []

    def begin():
        M @ x  # which stays pending
        found.append(np.array(M.H @ x))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    np.testing.assert_allclose(np.array(M.H @ x), found[0], rtol=1e-5, atol=1e-6)
    assert np.isfinite(np.array(M @ x)).all()


@each
def test_formats_and_dense_arrays(name):
    S = hermitian(N, "d")
    expected = MAKERS[name](ours(S), S) @ np.ones(N)
    for A in (ours(S, "csc"), ours(S, "coo"), S, S.tocsc(), S.toarray()):
        np.testing.assert_allclose(MAKERS[name](A, S) @ np.ones(N), expected, rtol=bound_of(1e-9, 1e-4))


@pytest.mark.parametrize("name", ["identity", "jacobi", "block_jacobi", "ssor", "chebyshev"])
def test_copies_through_pickle(name):
    M, _ = made(name, "d")
    M @ np.ones(N)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(M)) @ np.ones(N), M @ np.ones(N))


# ---- what they approximate ------------------------------------------------------------------------------------------


def test_values_by_the_definitions():
    S = general(N, "d")
    A, x, F = ours(S), vector(N, "d"), S.toarray()
    D, L, U = np.diag(np.diag(F)), np.tril(F, -1), np.triu(F, 1)
    np.testing.assert_array_equal(P.identity(A) @ x, x.astype(held(x.dtype)))
    np.testing.assert_allclose(
        P.diagonal(1 / S.diagonal(), inverse=True) @ x, P.jacobi(A) @ x, rtol=bound_of(1e-7, 1e-6)
    )
    np.testing.assert_allclose(
        P.jacobi(A, omega=0.5, shift=2.0) @ x, 0.5 * x / (S.diagonal() + 2), rtol=bound_of(1e-7, 1e-6)
    )
    w = 1.3
    expected = w * (2 - w) * np.linalg.solve(D + w * U, D @ np.linalg.solve(D + w * L, x))
    np.testing.assert_allclose(P.ssor(A, w) @ x, expected, rtol=bound_of(1e-10, 1e-4))
    for size in (1, 5, 8, 39, 40, 100):
        blocks = [F[i : i + size, i : i + size] for i in range(0, N, size)]
        inverse = scipy.sparse.block_diag([np.linalg.inv(b) for b in blocks])
        np.testing.assert_allclose(
            P.block_jacobi(A, size) @ x, inverse @ x, rtol=bound_of(1e-9, 1e-4), atol=bound_of(1e-12, 1e-6)
        )
    B = ours(S).tobsr((5, 5))
    np.testing.assert_allclose(P.block_jacobi(B) @ x, P.block_jacobi(A, 5) @ x)
    for M in (
        P.exact(A),
        P.from_factorized(linalg.factorized(A.tocsc()), A.shape),
        P.aspreconditioner(A, assume_inverse=False),
    ):
        np.testing.assert_allclose(F @ (M @ x), x, atol=bound_of(1e-10, 1e-5))
    np.testing.assert_allclose(
        P.ilu0(A, shift=1.0) @ x,
        linalg.ilu0(ours((S + scipy.sparse.eye_array(N)).tocsr())).solve(x),
        rtol=bound_of(1e-7, 1e-5),
    )
    np.testing.assert_allclose(P.from_factorized(linalg.ilu0(A)) @ x, linalg.ilu0(A).solve(x))


def test_chebyshev_converges_to_the_inverse():
    S = hermitian(N, "d")
    eigenvalues, x = np.linalg.eigvalsh(S.toarray()), vector(N, "d")
    low, high = eigenvalues[0], eigenvalues[-1]
    rate = (np.sqrt(high / low) - 1) / (np.sqrt(high / low) + 1)
    for degree in (0, 1, 4, 16):
        M = P.chebyshev(ours(S), degree=degree, lambda_min=low, lambda_max=high)
        left = np.linalg.norm(x - S @ (M @ x)) / np.linalg.norm(x)
        assert left <= 2 * rate ** (degree + 1) * 1.001
    one = P.chebyshev(sp.eye_array(N, format="csr") * 3.0, lambda_min=3.0, lambda_max=3.0)
    np.testing.assert_allclose(one @ x, x / 3, rtol=bound_of(1e-7, 1e-6))


def test_bounds_of_the_spectrum():
    S = hermitian(N, "d")
    largest = np.linalg.eigvalsh(S.toarray())[-1]
    for options in ({}, {"estimate": False}):
        M = P.chebyshev(ours(S), **options)
        assert largest <= M.lambda_max < 3 * largest and 0 < M.lambda_min < M.lambda_max
    assert P.chebyshev(ours(S), lambda_max=99.0).lambda_max == 99.0
    L = linalg.LaplacianNd((N,), boundary_conditions="dirichlet") * -1.0
    assert P.chebyshev(L).lambda_max >= 3.9
    with pytest.raises(ValueError, match="Gershgorin"):
        P.chebyshev(L, estimate=False)


# ---- solvers --------------------------------------------------------------------------------------------------------

HERMITIAN_SOLVERS = ("cg", "minres")
EFFECTIVE = [n for n in MAKERS if n not in ("identity", "aspreconditioner", "chebyshev-discs")]
SOLVERS = ("cgs", "bicg", "bicgstab", "gmres", "lgmres", "gcrotmk", "qmr", "tfqmr")


PAIRS = [(s, n) for s in HERMITIAN_SOLVERS for n in EFFECTIVE if n in HERMITIAN | {"exact", "from_factorized"}]
PAIRS += [(s, n) for s in SOLVERS for n in EFFECTIVE]


def convection(side, dtype="d"):
    """Convection and diffusion on a square, by upwind differences; the diffusion alone where Hermitian."""
    line = scipy.sparse.diags_array([-1.6, 2.6, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    eye = scipy.sparse.eye_array(side)
    return (scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line)).tocsr().astype(dtype)


def poisson(side, dtype="d"):
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    scale = scipy.sparse.diags_array(np.tile([1.0, 3.0, 2.0], side * side)[: side * side])
    eye = scipy.sparse.eye_array(side)
    return (scale @ (scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line)) @ scale).tocsr().astype(dtype)


def solved(solver, A, b, M):
    """(x, iterations)"""
    rtol = bound_of(1e-8, 1e-6 if solver == "minres" else 1e-4)
    method, steps = getattr(linalg, solver), []
    given = {"M1": M} if solver == "qmr" else {"M": M}
    if solver == "gmres":
        given |= {"restart": 20, "callback_type": "pr_norm"}
    x, info = method(A, b, rtol=rtol, maxiter=2000, callback=lambda _: steps.append(None), **given)
    assert info == 0
    return x, len(steps)


@both
@pytest.mark.parametrize(("solver", "name"), PAIRS)
def test_fewer_iterations(solver, name, namespace):
    S = (poisson if solver in HERMITIAN_SOLVERS or name in ("chebyshev", "ichol0") else convection)(bound_of(20, 11))
    A, b = ours(S), as_namespace(vector(S.shape[0], "d"), namespace)
    x, steps = solved(solver, A, b, MAKERS[name](A, S))
    check_namespace(x, namespace)
    assert residual(S, x, b) < (10 if solver == "minres" else 1) * bound_of(1e-6, 2e-3)
    _, plain = solved(solver, A, b, None)
    scales = {"diagonal", "jacobi", "block_jacobi", "block_jacobi-uneven"}
    alike = name in scales and S[0, 0] == S[1, 1]  # a constant diagonal, which does nothing
    # Cycles are counted as iterations by some, and smoothing ones are irregular.
    assert (
        steps <= plain + 5 if alike or solver in ("lgmres", "gcrotmk", "tfqmr", "cgs", "qmr", "bicg") else steps < plain
    )


@both
@pytest.mark.parametrize("name", ["jacobi", "ilu0", "ichol0", "ssor", "chebyshev", "spilu"])
@pytest.mark.parametrize("solver", ["cg", "bicgstab"])
def test_several_right_hand_sides(solver, name, namespace, dtype):
    S = hermitian(N, dtype)
    A, B = ours(S), as_namespace(vectors(N, dtype, 3), namespace)
    X, info = getattr(linalg, solver)(A, B, rtol=1e-5, M=MAKERS[name](A, S))
    check_namespace(X, namespace)
    assert info == 0 and residual(S, X, B) < 1e-3


def test_scipys_solvers_take_them():
    S = poisson(12)
    b = vector(144, "d")
    x, info = scipy.sparse.linalg.cg(S, b, rtol=1e-8, M=P.ichol0(S))
    assert info == 0 and residual(S, x, b) < bound_of(1e-7, 1e-3)


@pytest.mark.parametrize("name", ["jacobi", "ilu0", "chebyshev", "exact"])
def test_derivatives_through_a_solver_do_not_miss_them(name):
    S = hermitian(N, "f")
    A, b = ours(S), mx.array(vector(N, "f"))
    M = MAKERS[name](A, S)

    def loss(v, b, M):
        return mx.sum(mx.sin(linalg.bicgstab(A.with_data(v), b, rtol=1e-6, M=M)[0]))

    for mine, plain in zip(*(mx.grad(loss, argnums=(0, 1))(A.data, b, m) for m in (M, None)), strict=True):
        np.testing.assert_allclose(np.array(mine), np.array(plain), atol=1e-4)


@pytest.mark.parametrize("name", [n for n in MAKERS if n not in ON_HOST])
def test_products_are_differentiable(name):
    M, _ = made(name, "f")
    x, w = (mx.array(vector(N, "f", k)) for k in (1, 2))
    found = mx.grad(lambda x: mx.sum(w * (M @ x)))(x)
    np.testing.assert_allclose(np.array(found), np.array(M.H @ w), rtol=1e-4, atol=1e-5)


# ---- what others have made ------------------------------------------------------------------------------------------


def test_aspreconditioner():
    S = hermitian(N, "d")
    A, x = ours(S), vector(N, "d")
    M = P.jacobi(A)
    assert P.aspreconditioner(M) is M
    d = S.diagonal()
    lu = scipy.sparse.linalg.splu(S.tocsc())
    for given, expected in (
        (lambda r: r / d, x / d),
        (sp.diags_array(1 / d), x / d),
        (scipy.sparse.linalg.aslinearoperator(scipy.sparse.diags_array(1 / d)), x / d),
        (linalg.LinearOperator((N, N), matvec=lambda r: r / d, rmatvec=lambda r: r / d, dtype=float), x / d),
        (lu, lu.solve(x)),
        (linalg.ilu0(A), linalg.ilu0(A).solve(x)),
        (linalg.splu(A.tocsc()), lu.solve(x)),
    ):
        np.testing.assert_allclose(
            P.aspreconditioner(given, A) @ x, expected, rtol=bound_of(1e-9, 1e-4), atol=bound_of(1e-12, 1e-6)
        )
        np.testing.assert_allclose(np.array(P.aspreconditioner(given, A) @ mx.array(x)), expected, rtol=1e-3, atol=1e-4)


class Level:
    def __init__(self, A, P=None):
        self.A, self.P, self.R = A, P, None if P is None else P.T


class Hierarchy:
    """As pyamg's: two grids of a line, halved each time."""

    symmetric_smoothing = True

    def __init__(self, A):
        self.levels = []
        while A.shape[0] > 8:
            Q = scipy.sparse.kron(scipy.sparse.eye_array(A.shape[0] // 2), np.ones((2, 1)), format="csr")
            self.levels.append(Level(A, Q))
            A = (Q.T @ A @ Q).tocsr()
        self.levels.append(Level(A))

    def aspreconditioner(self, cycle):
        d = self.levels[0].A.diagonal()
        return scipy.sparse.linalg.LinearOperator(self.levels[0].A.shape, matvec=lambda r: r / d, dtype=float)


@both
def test_multigrid(namespace):
    S = poisson(16)
    hierarchy, b = Hierarchy(S), as_namespace(vector(256, "d"), namespace)
    M = P.from_pyamg(hierarchy, smoother="chebyshev")
    full = M @ np.eye(256)
    np.testing.assert_allclose(full, full.T, atol=bound_of(1e-12, 1e-6))
    assert np.linalg.eigvalsh(full)[0] > 0 and M.H is M and M.on_device
    x, steps = solved("cg", ours(S), b, M)
    check_namespace(x, namespace)
    assert residual(S, x, b) < bound_of(1e-7, 1e-3) and steps < 0.5 * solved("cg", ours(S), b, None)[1]
    own = P.from_pyamg(hierarchy)
    assert own.is_hermitian and not own.on_device
    np.testing.assert_allclose(np.asarray(own @ b), np.asarray(b) / S.diagonal(), rtol=bound_of(1e-12, 1e-6))
    np.testing.assert_allclose(
        own @ np.ones((256, 2)), np.ones((256, 2)) / S.diagonal()[:, None], rtol=bound_of(1e-12, 1e-6)
    )
    hierarchy.symmetric_smoothing = False
    with pytest.raises(NotImplementedError, match="adjoint"):
        P.from_pyamg(hierarchy).H @ np.ones(256)


def test_pyamg():
    pyamg = pytest.importorskip("pyamg")
    S = poisson(40)
    hierarchy = pyamg.smoothed_aggregation_solver(S)
    b = vector(1600, "d")
    plain = solved("cg", ours(S), b, None)[1]
    for smoother in (None, "chebyshev"):
        x, steps = solved("cg", ours(S), b, P.from_pyamg(hierarchy, smoother=smoother))
        assert residual(S, x, b) < bound_of(1e-7, 1e-3) and steps < 0.4 * plain


# ---- bad input ------------------------------------------------------------------------------------------------------

A3 = sp.csr_array(np.array([[2.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 2.0]]))
GOOD = sp.csr_array(np.array([[2.0, 1.0], [1.0, 2.0]]))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: P.jacobi(A3), LinAlgError, "row 1 is 0"),
        (lambda: P.jacobi(sp.csr_array([[np.nan]])), LinAlgError, "row 0 is nan"),
        (lambda: P.jacobi(A3, zero_policy="skip"), ValueError, "zero_policy"),
        (lambda: P.jacobi(GOOD, omega=0), ValueError, "omega"),
        (lambda: P.jacobi(GOOD, omega="1"), TypeError, "omega"),
        (lambda: P.jacobi(GOOD, omega=np.complex64(1 + 1j)), TypeError, "omega"),
        (lambda: P.jacobi(GOOD, shift=np.inf), ValueError, "shift"),
        (lambda: P.diagonal([1.0, 0.0]), LinAlgError, "row 1"),
        (lambda: P.diagonal([[1.0]]), ValueError, "shape"),
        (lambda: P.diagonal(GOOD), TypeError, "dense"),
        (lambda: P.diagonal([1.0, np.inf], inverse=True), LinAlgError, "row 1"),
        (lambda: P.identity((2, 3)), ValueError, "square"),
        (lambda: P.block_jacobi(GOOD, 0), ValueError, "block_size"),
        (lambda: P.block_jacobi(sp.csr_array(np.ones((4, 4))), 2), LinAlgError, "row 0 on is singular"),
        (lambda: P.block_jacobi(sp.csr_array([[np.nan, 1.0], [1.0, 1.0]]), 2), LinAlgError, "not finite"),
        (lambda: P.ssor(A3), LinAlgError, "row 1"),
        (lambda: P.ssor(GOOD, 2.0), ValueError, "omega"),
        (lambda: P.chebyshev(GOOD, degree=-1), ValueError, "degree"),
        (lambda: P.chebyshev(GOOD, degree=1.5), TypeError, None),
        (lambda: P.chebyshev(GOOD, lambda_min=3.0, lambda_max=1.0), ValueError, "lambda_min"),
        (lambda: P.chebyshev(GOOD * -1.0), LinAlgError, "positive definite"),
        (lambda: P.chebyshev(A3), LinAlgError, "positive definite"),
        (lambda: P.chebyshev(sp.csr_array([[np.nan, 1.0], [1.0, 1.0]])), LinAlgError, "finite"),
        (lambda: P.ilu0(A3), LinAlgError, None),
        (lambda: P.ichol0(A3), LinAlgError, "row 1"),
        (lambda: P.exact(GOOD, method="magic"), ValueError, "method"),
        (lambda: P.exact(sp.csr_array((2, 2))), RuntimeError, "singular"),
        (lambda: P.from_factorized(3), TypeError, "solve"),
        (lambda: P.from_factorized(lambda b: b), ValueError, "shape"),
        (lambda: P.from_factorized(lambda b: b, (2, 3)), ValueError, "square"),
        (lambda: P.from_factorized(lambda b: b, (2, 2), xp=pickle), ValueError, "xp"),
        (lambda: P.from_factorized(lambda b: b, (2, 2)).H @ np.ones(2), NotImplementedError, "adjoint"),
        (lambda: P.aspreconditioner(3), TypeError, "expected"),
        (lambda: P.aspreconditioner(lambda r: r), ValueError, "give A"),
        (lambda: P.aspreconditioner(np.eye(3), GOOD), ValueError, "differ"),
        (lambda: P.aspreconditioner(np.ones((2, 3))), ValueError, "square"),
        (lambda: P.aspreconditioner(lambda r: r, GOOD, assume_inverse=False), TypeError, "inverted"),
        (lambda: P.from_pyamg(3), TypeError, "hierarchy"),
        (lambda: P.from_pyamg(Hierarchy(poisson(4)), smoother="magic"), ValueError, "smoother"),
        (lambda: P.from_pyamg(Hierarchy(poisson(4)), smoother="chebyshev", cycle="W"), ValueError, "cycle"),
        (lambda: linalg.cg(GOOD, np.ones(2), M=P.jacobi(GOOD.astype(complex) * (1 + 1j))), TypeError, "complex"),
        (lambda: linalg.cg(GOOD, np.ones(2), M=P.identity(3)), ValueError, "shapes"),
        (lambda: P.jacobi(GOOD) @ np.ones(3), ValueError, "imension"),
        (lambda: P.jacobi(GOOD) @ GOOD, TypeError, None),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", ["jacobi", "block_jacobi", "ssor", "chebyshev", "ilu0", "ichol0", "spilu", "exact"])
def test_bad_matrices(name):
    make = getattr(P, name)
    with pytest.raises(ValueError, match="square"):
        make(sp.csr_array((3, 4)))
    A = ours(hermitian(N, "f"))
    with pytest.raises(ValueError, match="traced"):
        mx.grad(lambda v: mx.sum(make(A.with_data(v)) @ mx.ones(N)))(A.data)


@pytest.mark.parametrize("name", ["identity", "jacobi", "block_jacobi", "ssor", "chebyshev", "ilu0", "ichol0"])
def test_an_empty_system(name):
    M = getattr(P, name)(sp.csr_array((0, 0)))
    assert (M @ np.ones(0)).shape == (0,) and (M @ np.ones((0, 3))).shape == (0, 3)


def test_zero_diagonals_as_ones():
    assert (P.jacobi(A3, zero_policy="unit") @ np.array([2.0, 3.0, 2.0])).tolist() == [1.0, 3.0, 1.0]


NATIVE = ("identity", "diagonal", "jacobi", "block_jacobi", "ssor", "ilu0", "ichol0", "chebyshev", "chebyshev-discs")


@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("kind, namespace", [("d", "numpy"), ("d", "mlx"), ("D", "numpy")])
def test_solvers_take_them_natively(name, kind, columns, namespace, device):
    if device != "cpu":
        pytest.skip("programs are replayed on the CPU")
    M, S = made(name, kind, general if name in ("ssor", "ilu0") else hermitian)
    A, b = ours(S), as_namespace(vectors(N, kind, columns), namespace)
    given = sp.linalg.LinearOperator(M.shape, M.matvec, rmatvec=M.rmatvec, dtype=M.dtype)  # which needs Python
    for wrapped in (M, P.aspreconditioner(M)):
        assert recorded(BICG, make_system(A, wrapped, None, b)) is not None
    assert recorded(BICG, make_system(A, given, None, b)) is None
    for solver in (linalg.bicg, linalg.bicgstab):
        x, native = solver(A, b, M=M, rtol=1e-10, return_info=True)
        y, python = solver(A, b, M=M, rtol=1e-10, return_info=True, callback=lambda _: None)
        assert native.converged and abs(native.iterations - python.iterations) <= 1
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-7)


@pytest.mark.parametrize("name", NATIVE)
def test_inside_transformations(name, device):
    with sp.runtime.context(executor="native" if device == "cpu" else "shader"):  # on a GPU though it is small
        stands_inside_transformations(name)


def stands_inside_transformations(name):
    M, S = made(name, "f", general if name in ("ssor", "ilu0") else hermitian)
    A, B = ours(S), mx.array(vectors(N, "f", 3))

    def solve(b):
        return linalg.bicgstab(A, b, M=M, rtol=1e-5)

    expected = np.linalg.solve(S.toarray().astype("d"), np.asarray(B))
    x, info = mx.compile(solve)(B[:, 0])
    assert info.item() == 0
    np.testing.assert_allclose(np.asarray(x), expected[:, 0], rtol=0, atol=1e-3)
    X, infos = mx.vmap(solve, in_axes=1, out_axes=(1, 0))(B)
    assert not np.asarray(infos).any()
    np.testing.assert_allclose(np.asarray(X), expected, rtol=0, atol=1e-3)
    slope = mx.compile(mx.grad(lambda b: mx.sum(solve(b)[0])))(B[:, 0])
    np.testing.assert_allclose(
        np.asarray(slope), np.linalg.solve(S.toarray().T.astype("d"), np.ones(N)), rtol=0, atol=1e-3
    )


def test_triangles_that_are_ordered_by_levels(monkeypatch, device):
    """Factors whose slices are in the order of their levels, in programs."""
    if device != "cpu":
        pytest.skip("programs are replayed on the CPU")
    monkeypatch.setattr(substitution, "_LEVEL", 1)
    S = poisson(20)
    A, b = ours(S), vector(400, "d")
    with sp.runtime.context(n_threads=3):
        M = P.ilu0(A)
        assert M._stages(mx.float64, False)[0][1][3:]
        for solver in (linalg.bicgstab, linalg.bicg):
            x, info = solver(A, b, M=M, rtol=1e-10)
            assert info == 0 and residual(S, x, b) < 1e-9


def test_values_that_are_not_finite(device):
    """In what is solved with: the end, and no claim."""
    if device != "cpu":
        pytest.skip("programs are replayed on the CPU")
    S = poisson(5)
    A = ours(S)
    for name in ("ilu0", "ichol0", "ssor", "chebyshev"):
        M = MAKERS[name](A, S)
        for b in (np.full(25, np.nan), np.full(25, np.inf)):
            with np.errstate(all="ignore"):
                _, info = linalg.bicgstab(A, b, M=M)
            assert info != 0

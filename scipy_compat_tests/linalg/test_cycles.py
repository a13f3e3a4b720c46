"""What solvers that work in cycles have of their own: callbacks, vectors that are passed on, and the basis."""

import warnings

import numpy as np
import pytest
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse import linalg
from mlx_sparse.linalg._spaces import space

from .systems import NAMESPACES, as_namespace, bound_of, check_namespace, general, ours, residual, vector, vectors
from .table import eps

N = 60
SOLVERS = (linalg.gmres, linalg.lgmres, linalg.gcrotmk)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("kind", ["pr_norm", "legacy", None])
def test_norms_are_scipys(dtype, namespace, kind):
    S, b = general(N, dtype), vector(N, dtype)
    options = {"restart": 3, "maxiter": 5, "rtol": 1e-3, "callback_type": kind}
    mine, theirs = [], []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        _, info = linalg.gmres(ours(S), as_namespace(b, namespace), callback=mine.append, **options)
    assert [(w.category, w.filename) for w in seen] == [(DeprecationWarning, __file__)] * (kind is None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        _, expected = scipy.sparse.linalg.gmres(S, b, callback=theirs.append, **options)
    assert info == expected and all(isinstance(norm, float) for norm in mine)
    np.testing.assert_allclose(mine, theirs, rtol=1e4 * eps(dtype))


def test_norms_of_columns():
    S, B = general(N, "d"), vectors(N, "d", 3)
    B[:, 1] = 0
    seen = []
    X, info = linalg.gmres(ours(S), B, rtol=bound_of(1e-8, 1e-5), callback=seen.append, callback_type="pr_norm")
    assert info == 0 and residual(S, X, B) < bound_of(1e-8, 2e-5)
    assert all(norms.shape == (3,) and norms[1] == 0 for norms in seen) and max(seen[-1]) < bound_of(1e-7, 1e-4)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("name", ["outer_v", "CU"])
def test_vectors_are_passed_on(dtype, namespace, name):
    """The next system with A needs fewer products, and those of several columns at once have nothing to pass on."""
    solve, options = {"outer_v": (linalg.lgmres, {"inner_m": 4}), "CU": (linalg.gcrotmk, {"m": 4})}[name]
    S, b, kept, counts = general(N, dtype), vector(N, dtype), [], []
    for _ in range(2):
        seen = []
        x, info = solve(ours(S), as_namespace(b, namespace), rtol=1e-4, callback=seen.append, **options, **{name: kept})
        assert info == 0 and residual(S, x, b) < 2e-4
        counts.append(len(seen))
        for pair in kept:
            for v in filter(lambda v: v is not None, pair):
                check_namespace(v, namespace)
                assert v.shape == (N,) and np.asarray(v).dtype == np.dtype(dtype)
    assert counts[1] < counts[0]
    with pytest.raises(ValueError, match="several"):
        solve(ours(S), np.stack([b, b], axis=1), **{name: kept})


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_shortest_systems(solve, namespace):
    for n in (0, 1):
        b = as_namespace(np.full(n, 4.0), namespace)
        x, info = solve(sp.csr_array(np.full((n, n), 2.0)), b)
        check_namespace(x, namespace)
        assert info == 0 and np.asarray(x).tolist() == [2.0] * n


@pytest.mark.parametrize("solve", SOLVERS)
def test_errors_of_users_reach_the_caller(solve):
    class Mine(Exception):
        pass

    def fail(*args):
        raise Mine

    A, b = ours(general(N, "d")), vector(N, "d")
    product = scipy.sparse.linalg.LinearOperator((N, N), matvec=fail, dtype=np.float64)
    options = {"callback_type": "x"} if solve is linalg.gmres else {}
    for call in (
        lambda: solve(product, b),
        lambda: solve(A, b, M=product),
        lambda: solve(A, b, callback=fail, **options),
    ):
        with pytest.raises(Mine):
            call()


def test_options_that_are_refused():
    A, b = ours(general(N, "d")), vector(N, "d")
    with pytest.raises(ValueError, match="callback_type"):
        linalg.gmres(A, b, callback_type="r")
    with pytest.raises(ValueError, match="restart"):
        linalg.gmres(A, b, restart=0)
    with pytest.raises(ValueError, match="truncate"):
        linalg.gcrotmk(A, b, truncate="newest")
    with pytest.raises(RuntimeError, match="zero"):
        linalg.lgmres(A, b, M=np.zeros((N, N)))
    x, info = linalg.gmres(A, b, M=np.zeros((N, N)), maxiter=3)
    assert info == 3 and not x.any()


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
def test_products_that_are_not_finite(solve):
    """The last iterate, which is finite, and a code."""
    for bad in (np.nan, np.inf):
        A = np.eye(5)
        A[1, 1] = bad
        x, info = solve(A, np.ones(5), maxiter=4)
        assert info > 0 and np.isfinite(x).all()


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("n", [80, 25_000])
def test_the_basis_is_orthonormal(dtype, namespace, n):
    """Also of vectors that are nearly the same, and of one that is in their span."""
    rng = np.random.default_rng(0)
    start = vector(n, dtype)
    nearby = [start + 1e3 * eps(dtype) * vector(n, dtype, seed) for seed in range(2, 8)]
    given = [as_namespace(v, namespace) for v in (start, *nearby)]
    V = space(given[0], {"A": None, "M": None})
    basis, made = V.basis(len(given) + 1), []
    for w in given:
        v, (*_, length) = V.extend(basis, V.vector(w))
        assert length > 0
        made.append(np.array(V.array(v)))
    Q = np.stack(made).astype(np.complex128)
    slack = 10 * eps(dtype) ** (2 / 3) if n > 10_000 and namespace == "numpy" else 50 * eps(dtype)
    np.testing.assert_allclose(Q.conj() @ Q.T, np.eye(len(Q)), rtol=0, atol=slack)
    weights = rng.standard_normal(len(Q))
    w = V.combine(basis, weights)
    np.testing.assert_allclose(np.array(V.array(w)), weights @ Q, rtol=0, atol=100 * eps(dtype))
    _, (*found, length) = V.extend(basis, w)
    np.testing.assert_allclose(found, weights, rtol=0, atol=10 * slack)
    assert length < 100 * eps(dtype)

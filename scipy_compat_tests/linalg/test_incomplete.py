"""Incomplete factorisations against dense ones by the definition, and solves with their factors."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
from numpy.linalg import LinAlgError

import mlx_sparse as sp
from mlx_sparse import linalg
from mlx_sparse.linalg._direct import substitution

from .systems import as_namespace, bound_of, check_namespace, general, held, hermitian, ours, vector, vectors

N = 40
both = pytest.mark.parametrize("namespace", ["numpy", "mlx"])


def dense_ilu0(A):
    """(L, U) by rows of a dense array, where it is not zero."""
    A, kept = A.copy(), A != 0
    for i in range(1, len(A)):
        for k in range(i):
            if kept[i, k]:
                A[i, k] /= A[k, k]
                A[i, k + 1 :] -= np.where(kept[i, k + 1 :], A[i, k] * A[k, k + 1 :], 0)
    return np.tril(A, -1) + np.eye(len(A)), np.triu(A)


def dense_ichol0(A):
    """L by columns of a dense array, where it is not zero."""
    L = np.tril(A).copy()
    kept = L != 0
    for k in range(len(A)):
        L[k, k] = np.sqrt(L[k, k].real)
        L[k + 1 :, k] /= L[k, k]
        for j in range(k + 1, len(A)):
            L[j:, j] -= np.where(kept[j:, j], L[j:, k] * L[j, k].conj(), 0)
    return L


def dense(A):
    return A.to_scipy().toarray()


def bound(dtype):
    return 300 * np.finfo(dtype).eps


def made(kind, dtype, format="csr"):
    S = general(N, dtype) if kind == "ilu0" else hermitian(N, dtype)
    factors = getattr(linalg, kind)(ours(S, format))
    return S.toarray(), factors, dense(factors.L) @ (dense(factors.U) if kind == "ilu0" else dense(factors.L).conj().T)


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "lil"])
def test_factors_of_ilu0(dtype, format):
    A, lu, M = made("ilu0", dtype, format)
    assert abs(M - A)[A != 0].max() < bound(dtype) * abs(A).max()
    L, U = dense_ilu0(A)
    np.testing.assert_allclose(dense(lu.L), L, atol=bound(dtype) * abs(L).max())
    np.testing.assert_allclose(dense(lu.U), U, atol=bound(dtype) * abs(U).max())
    assert (lu.shape, lu.dtype) == ((N, N), np.dtype(dtype))
    assert lu.nnz == np.count_nonzero(A) and "IncompleteLU" in repr(lu)


@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_factor_of_ichol0(dtype, format):
    A, cholesky, M = made("ichol0", dtype, format)
    assert abs(M - A)[A != 0].max() < bound(dtype) * abs(A).max()
    L = dense_ichol0(A)
    np.testing.assert_allclose(dense(cholesky.L), L, atol=bound(dtype) * abs(L).max())
    assert cholesky.nnz == np.count_nonzero(np.tril(A)) and "IncompleteCholesky" in repr(cholesky)


def test_only_the_lower_triangle_is_read_by_ichol0():
    A = hermitian(N, "d")
    above = scipy.sparse.triu(A, 1) * 7
    found = linalg.ichol0(ours((scipy.sparse.tril(A) + above).tocsr())).L
    np.testing.assert_array_equal(dense(found), dense(linalg.ichol0(ours(A)).L))


def test_a_tridiagonal_array_is_factored_completely():
    A = scipy.sparse.diags_array([-1.0, 2.5, -1.2], offsets=[-1, 0, 1], shape=(N, N)).tocsr()
    b = vector(N, "d")
    np.testing.assert_allclose(A @ linalg.ilu0(ours(A)).solve(b), b, atol=bound_of(1e-12, 1e-5))


def test_duplicates_and_order_do_not_matter():
    A = general(N, "d").tocoo()
    rng = np.random.default_rng(0)
    order = rng.permutation(2 * A.nnz)
    row, column = (np.tile(c, 2)[order] for c in A.coords)
    twice = sp.coo_array((np.tile(A.data, 2)[order] / 2, (row, column)), shape=A.shape)
    expected = linalg.ilu0(ours(A.tocsr()))
    np.testing.assert_allclose(dense(linalg.ilu0(twice).U), dense(expected.U), atol=1e-12)


@both
@pytest.mark.parametrize("kind", ["ilu0", "ichol0"])
@pytest.mark.parametrize("columns", [None, 1, 4, 13])
def test_solves(kind, dtype, columns, namespace):
    _, factors, M = made(kind, dtype)
    b = vectors(N, dtype, columns)
    for trans, op in (("N", M), ("T", M.T), ("H", M.conj().T)):
        x = factors.solve(as_namespace(b, namespace), trans)
        check_namespace(x, namespace)
        assert x.shape == b.shape and np.asarray(x).dtype == b.dtype
        assert abs(op @ np.asarray(x) - b).max() < bound(dtype) * abs(b).max()


@pytest.mark.parametrize("kind", ["ilu0", "ichol0"])
def test_solves_follow_wider_right_hand_sides(kind):
    A, factors, M = made(kind, "f")
    for dtype in ("d", "F", "D"):
        b = vector(N, dtype)
        x = factors.solve(b)
        assert x.dtype == held(np.promote_types(np.float32, dtype))
        assert abs(M @ x - b).max() < bound("f") * abs(b).max()
    assert factors.solve(np.arange(N)).dtype == held(np.float64)


def test_solves_are_nodes_of_the_graph():
    _, lu, M = made("ilu0", "f")
    w = mx.array(vector(N, "f", 3))
    b = mx.array(vector(N, "f"))
    expected = np.linalg.solve(M.T.astype("d"), np.asarray(w))
    for f in (lu.solve, mx.compile(lu.solve)):
        np.testing.assert_allclose(
            np.array(mx.grad(lambda b, f=f: mx.sum(w * f(b)))(b)), expected, rtol=1e-4, atol=1e-5
        )
    rows = mx.vmap(lu.solve)(mx.stack([b, w]))
    np.testing.assert_allclose(np.array(rows[1]), np.array(lu.solve(w)), rtol=1e-5, atol=1e-6)


# ---- levels ---------------------------------------------------------------------------------------------------------


def grid(side, dtype="d"):
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.3], offsets=[-1, 0, 1], shape=(side, side))
    eye = scipy.sparse.eye_array(side)
    return (scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line)).tocsr().astype(dtype)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_levels_change_nothing(monkeypatch, dtype, lower, unit):
    monkeypatch.setattr(substitution, "worth_levels", lambda n, levels: True)
    S = grid(30, dtype)
    T = ours((scipy.sparse.tril if lower else scipy.sparse.triu)(S, format="csr"))
    plain, ordered = (substitution.Substitution(T, lower, unit, kept=kept) for kept in (False, True))
    assert ordered._levels is not None and ordered._levels[1].size - 1 == 59
    for columns in (None, 5):
        b = vectors(S.shape[0], dtype, columns)
        for threads in (1, 2, 5):
            with sp.runtime.context(n_threads=threads):
                np.testing.assert_array_equal(ordered.host(b), plain.host(b))
        for form in "THC":
            expected = plain.host(b, form)
            np.testing.assert_allclose(ordered.host(b, form), expected, rtol=0, atol=bound(dtype) * abs(expected).max())


# ---- bad input ------------------------------------------------------------------------------------------------------


def of_rows(*rows):
    return sp.csr_array(np.array(rows, dtype=float))


@pytest.mark.parametrize(
    ("A", "message"),
    [
        (of_rows([1, 1, 0], [1, 1, 1], [0, 1, 1]), "row 1 is zero"),
        (of_rows([1, 1, 0], [1, 1 + 1e-16, 1], [0, 1, 1]), "row 1 is zero"),
        (of_rows([2, 1, 0], [1, 2, 1], [0, 1, 0]), "row 2 has no entry on the diagonal"),
        (of_rows([0, 1], [1, 2]), "row 0 has no entry on the diagonal"),
        (of_rows([1, 1], [1, np.nan]), "row 1 is not finite"),
        (of_rows([np.inf, 1], [1, 1]), "row 0 is not finite"),
    ],
)
def test_pivots_of_ilu0_that_do_not_do(A, message):
    with pytest.raises(LinAlgError, match=message):
        linalg.ilu0(A)


@pytest.mark.parametrize(
    ("A", "message"),
    [
        (of_rows([1, 2], [2, 1]), "row 1 is not positive"),
        (of_rows([1, 1], [1, 1]), "row 1 is not positive"),
        (of_rows([-1, 0], [0, 1]), "row 0 is not positive"),
        (of_rows([1, 0], [1, 0]), "row 1 has no entry on the diagonal"),
        (of_rows([1, 0], [np.nan, 1]), "row 1 is not finite"),
    ],
)
def test_pivots_of_ichol0_that_do_not_do(A, message):
    with pytest.raises(LinAlgError, match=message):
        linalg.ichol0(A)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_pivots_are_judged_relative_to_their_rows(scale):
    A = hermitian(N, "f") * np.float32(scale)
    assert np.isfinite(np.asarray(linalg.ilu0(ours(A)).U.data)).all()
    if scale < 1:
        assert np.isfinite(np.asarray(linalg.ichol0(ours(A)).L.data)).all()


@pytest.mark.parametrize("factor", [linalg.ilu0, linalg.ichol0])
def test_bad_arrays(factor):
    with pytest.raises(ValueError, match="square"):
        factor(sp.csr_array((3, 4)))
    with pytest.raises(ValueError, match="traced"):
        A = ours(hermitian(N, "f"))
        mx.grad(lambda v: mx.sum(factor(A.with_data(v)).solve(mx.ones(N))))(A.data)
    assert factor(sp.csr_array((0, 0))).solve(np.ones(0)).shape == (0,)
    assert factor(np.array([[4.0]])).solve(np.array([8.0])) == [2.0]
    assert factor(sp.csr_array(np.array([[4]]))).dtype == held(np.float64)


@pytest.mark.parametrize("kind", ["ilu0", "ichol0"])
def test_bad_right_hand_sides(kind):
    _, factors, _ = made(kind, "f")
    with pytest.raises(ValueError, match="must have shape"):
        factors.solve(np.ones(N + 1))
    with pytest.raises(ValueError, match="must have shape"):
        factors.solve(np.ones((N, 1, 1)))
    with pytest.raises(ValueError, match="trans"):
        factors.solve(np.ones(N), "X")
    with pytest.raises(TypeError, match="sparse|dense"):
        factors.solve(sp.csr_array((N, 1)))
    with pytest.raises(TypeError, match="dtype"):
        factors.solve(mx.ones(N, dtype=mx.complex64))
    with pytest.raises(TypeError, match="cannot create"):
        type(factors)()


def test_native_operations_check_lengths():
    form = sp._native.TriangleForm(True, False)
    A = sp.csr_array(np.eye(3))
    with pytest.raises(ValueError, match="fit"):
        sp._native.solve_triangular_numpy(form, A._trio, np.ones(4, held(np.float64)), None)
    with pytest.raises(ValueError, match="fit"):
        sp._native.solve_triangular(form, A._trio, mx.ones(4, dtype=A._data.dtype), None, None)
    with pytest.raises(ValueError, match="dtype"):
        sp._native.solve_triangular_numpy(form, A._trio, np.ones(3, np.complex64), None)
    with pytest.raises(ValueError, match="float32, float64"):
        sp._native.ilu0(A.astype(np.int32)._trio)

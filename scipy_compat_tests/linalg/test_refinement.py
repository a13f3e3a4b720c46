"""Answers in float64 from solves in float32."""

from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse.linalg import _problem
from mlx_sparse.linalg._refine import refine_solution

from .systems import as_namespace, line

SOLVERS = ("cg", "bicg", "bicgstab", "gmres", "lgmres", "gcrotmk", "qmr")


def problem(n, symmetric):
    S = line(n, "f")
    if not symmetric:
        S = S + scipy.sparse.diags_array([0.25], offsets=[1], shape=S.shape)
    return S.tocsr().astype(np.float32)


def left(S, x, b):
    """Relative residuals, in float64."""
    b = np.asarray(b, np.float64)
    return np.linalg.norm(b - S.astype(np.float64) @ np.asarray(x), axis=0) / np.linalg.norm(b, axis=0)


@pytest.mark.parametrize("namespace", ["mlx", "numpy"])
@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("name", SOLVERS)
def test_relative_residuals_that_float32_cannot_tell(name, columns, namespace):
    S = problem(144, name == "cg")
    shape = (144,) if columns is None else (144, columns)
    b = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    A, solve = sp.csc_array(S), getattr(sp.linalg, name)
    x, info = solve(A, as_namespace(b, namespace), rtol=1e-12, refine=True, return_info=True)
    assert str(x.dtype).endswith("float64") and isinstance(x, mx.array if namespace == "mlx" else np.ndarray)
    assert np.all(left(S, x, b) <= 1.01e-12)  # they are measured in another arithmetic
    assert info.converged and np.all(info.residual_norms[-1] <= 1e-12 * np.linalg.norm(b, axis=0))
    single = solve(A, as_namespace(b, namespace), rtol=1e-12, maxiter=300)[0]
    if namespace == "mlx" or name == "cg":
        assert str(single.dtype).endswith("float32") and np.all(left(S, single, b) > 1e-9)


def test_poisson_in_three_dimensions(device):
    n = 12 if device == "shader" else 40
    T = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    eye = scipy.sparse.eye_array(n)
    S = sum(scipy.sparse.kron(scipy.sparse.kron(a, b), c) for a, b, c in ((T, eye, eye), (eye, T, eye), (eye, eye, T)))
    S = S.tocsr().astype(np.float32)
    b = np.ones(n**3, np.float32)
    x, info = sp.linalg.cg(sp.csr_array(S), mx.array(b), rtol=1e-12, refine=True)
    assert info == 0
    assert left(S, x, b) <= 1.1e-12


@pytest.mark.parametrize("rtol, kind", [(1e-10, np.float64), (1e-5, np.float32)])
def test_by_default_on_a_gpu_where_float32_does_not_do(monkeypatch, rtol, kind):
    monkeypatch.setattr(_problem, "on_gpu", lambda: True)
    monkeypatch.setattr(_problem._dtypes, "result_type", lambda *dtypes: mx.float32)
    S = problem(64, True)
    x, info = sp.linalg.cg(sp.csr_array(S), np.ones(64), rtol=rtol)
    assert info == 0 and x.dtype == kind and isinstance(x, np.ndarray)
    assert left(S, x, np.ones(64)) <= 1.01 * rtol


def test_first_guess_callback_and_limit():
    S = problem(100, True)
    A, b = sp.csr_array(S), mx.ones(100)
    exact = np.linalg.solve(S.toarray().astype(np.float64), np.ones(100))
    seen = []
    x, info = sp.linalg.cg(A, b, exact, rtol=1e-11, refine=True, callback=seen.append, return_info=True)
    assert info.converged and info.iterations <= 1 and len(seen) == info.iterations
    assert np.abs(np.asarray(x) - exact).max() <= 1e-11 * np.abs(exact).max()
    x, info = sp.linalg.cg(A, b, rtol=1e-12, refine=True, maxiter=5)
    assert info == 5


def test_a_correction_that_makes_it_worse_is_taken_back():
    """Of a matrix that float32 cannot tell from a singular one."""
    n = 14
    S = scipy.sparse.csr_array(1.0 / (np.arange(n)[:, None] + np.arange(n) + 1)).astype(np.float32)
    b = np.ones(n, np.float32)
    x, info = sp.linalg.bicgstab(sp.csr_array(S), mx.array(b), rtol=1e-12, refine=True, maxiter=200)
    assert info > 0
    assert left(S, x, b) <= 1


def test_a_solve_that_is_thrown_off_does_not_take_all_iterations():
    S = problem(64, True)
    b, given = np.random.default_rng(0).standard_normal(64), []

    def solve(r, rtol, maxiter):
        given.append(maxiter)
        d = scipy.sparse.linalg.spsolve(S.astype(np.float64).tocsc(), np.asarray(r, np.float64))
        lost = len(given) == 2
        return mx.array((0.9 if lost else 1) * d, dtype=mx.float32), maxiter if lost else 20

    limits = SimpleNamespace(rtol=1e-12, atol=0.0, maxiter=10_000)
    found = refine_solution(solve, sp.csr_array(S), b, None, limits)
    assert found.info == 0 and left(S, found.x, b) <= 1.01e-12
    assert given[0] == 10_000 and given[1] < 200


def test_no_right_hand_side_to_speak_of():
    A = sp.csr_array(problem(9, True))
    x, info = sp.linalg.cg(A, mx.zeros(9), refine=True)
    assert info == 0 and not np.asarray(x).any()
    B = np.zeros((9, 2), np.float32)
    B[:, 1] = 1
    x, info = sp.linalg.cg(A, mx.array(B), rtol=1e-12, refine=True)
    assert info == 0 and not np.asarray(x)[:, 0].any()
    assert left(A.toarray(), np.asarray(x)[:, 1], B[:, 1]) <= 1.01e-12
    x, info = sp.linalg.cg(A, mx.full((9,), float("nan")), refine=True)
    assert info != 0


@pytest.mark.parametrize("namespace", ["mlx", "numpy"])
def test_without_effect_in_double_precision_and_refused_for_others(namespace, double):
    S = problem(64, True)
    A = sp.csr_array(S.astype(np.float64))
    b = as_namespace(np.ones(64), namespace)
    plain, refined = (sp.linalg.cg(A, b, rtol=1e-8, refine=refine)[0] for refine in (False, True))
    np.testing.assert_array_equal(np.asarray(plain), np.asarray(refined))
    b = as_namespace(np.ones(64, np.float32), namespace)
    with pytest.raises(ValueError, match="sparse arrays of real numbers"):
        sp.linalg.cg(as_namespace(S.toarray(), namespace), b, refine=True)
    with pytest.raises(ValueError, match="sparse arrays of real numbers"):
        sp.linalg.cg(
            sp.csr_array(S.astype(np.complex64)), as_namespace(np.ones(64, np.complex64), namespace), refine=True
        )
    with pytest.raises(ValueError, match="no derivative"):
        A = sp.csr_array(S)
        mx.grad(lambda b: sp.linalg.cg(A, b, refine=True)[0].sum())(mx.ones(64))

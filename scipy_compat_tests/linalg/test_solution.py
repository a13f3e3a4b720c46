"""Every solver solves: judged by residuals, and against SciPy's direct solution."""

import warnings

import numpy as np
import pytest
import scipy.sparse

from .systems import NAMESPACES, as_namespace, check_namespace, ours, residual, solution, vector
from .table import each, iterative, tolerance

N = 90


@each(every=True)
def test_solution(solver, problem, dtype):
    S, tol = problem.matrix(N, dtype), tolerance(solver, problem, N, dtype)
    b, T = vector(S.shape[0], dtype), solver.inverted(S)
    expected = solution(T, b)
    for format in solver.formats:
        for namespace in NAMESPACES:
            A, given = ours(S, format), as_namespace(b, namespace)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                x = solver(A, given, tol / solver.asks)
            check_namespace(x, namespace)
            assert tuple(x.shape) == expected.shape == (N,)
            assert np.asarray(x).dtype == expected.dtype == np.dtype(dtype)
            assert residual(T, x, b) < tol
            np.testing.assert_allclose(np.asarray(x), expected, rtol=0, atol=tol * abs(expected).max())
            np.testing.assert_array_equal(A.toarray(), S.toarray())  # no solver writes to what it is given
            np.testing.assert_array_equal(np.asarray(given), b)


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(iterative)
def test_preconditioner_helps(solver, problem, namespace, device):
    dtype = "f" if device == "gpu" else "d"
    scale = scipy.sparse.diags_array(np.logspace(0, 3, N))
    S = (scale @ problem.matrix(N, "d") @ scale).tocsr().astype(dtype)
    b = as_namespace(vector(N, dtype), namespace)
    M = ours(scipy.sparse.diags_array(1 / S.diagonal()).tocsr().astype(dtype))
    counts = []
    for preconditioner in (None, M):
        steps = []
        solver.iterate(ours(S), b, M=preconditioner, maxiter=400, callback=steps.append)
        counts.append(len(steps))
    assert counts[1] < counts[0] / 2


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(kinds=("semidefinite",))
def test_consistent_singular_system(solver, problem, dtype, namespace):
    """A b in the range of A: the residual converges to zero, and x to one of the solutions."""
    S, b = problem.matrix(40, dtype), vector(40, dtype)
    b -= b.mean()
    x = solver(ours(S), as_namespace(b, namespace), 1e-3)
    assert residual(S, x, b) < 5e-3

"""Several right-hand sides at once, as columns."""

import numpy as np
import pytest
import scipy.sparse

from .systems import NAMESPACES, as_namespace, check_namespace, ours, residual, solution, vector, vectors
from .table import each, iterative, lost, tolerance

N = 74
LONG = 9000  # more rows than one block of vectors


@each(every=True)
def test_columns(solver, problem, dtype):
    S, tol = problem.matrix(N, dtype), tolerance(solver, problem, N, dtype)
    T = solver.inverted(S)
    for columns in (1, 3, 4):
        B = vectors(S.shape[0], dtype, columns)
        expected = solution(T, B).reshape(N, columns)
        shape = (N,) if columns == 1 and not solver.one_column else (N, columns)
        for format in solver.formats[-2:]:
            for namespace in NAMESPACES:
                given = as_namespace(B, namespace)
                X = solver(ours(S, format), given, tol / solver.asks)
                check_namespace(X, namespace)
                assert tuple(X.shape) == shape and np.asarray(X).dtype == np.dtype(dtype)
                X = np.asarray(X).reshape(N, columns)
                assert residual(T, X, B) < tol
                np.testing.assert_allclose(X, expected, rtol=0, atol=tol * abs(expected).max())
                np.testing.assert_array_equal(np.asarray(given), vectors(S.shape[0], dtype, columns))


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("n", [N, LONG])
@each(iterative)
def test_a_column_stops_by_itself(solver, problem, dtype, namespace, n):
    """Each column takes the steps that it takes alone, and is left as it is while the others go on.

    Of methods for general systems the number of steps depends on rounding, in single precision by one or a few.
    """
    near = (3 if solver.lost > 1 else 1) * (dtype in "fF" and "general" in solver.takes)
    S = problem.build(n, dtype)
    B = vectors(n, dtype, 5)
    B[:, 1] = 0
    B[:, 2] = S @ np.ones(n)  # solved by a first guess of ones
    guess = np.ones_like(B)
    alone, steps = [], []
    for b in B.T:
        count = []
        alone.append(solver.iterate(ours(S), b.copy(), np.ones(n, dtype), rtol=1e-4, callback=count.append)[0])
        steps.append(len(count))
    iterates = []
    X, info = solver.iterate(
        ours(S),
        as_namespace(B, namespace),
        as_namespace(guess, namespace),
        rtol=1e-4,
        callback=lambda xk: iterates.append(np.array(xk)),
    )
    assert info == 0 and abs(len(iterates) - max(steps)) <= near
    scale = abs(np.asarray(X)).max()
    np.testing.assert_allclose(np.asarray(X), np.stack(alone, axis=1), rtol=0, atol=2e-5 * scale * lost(solver, dtype))
    for j, count in enumerate(steps):
        for xk in iterates[max(count + near - (not solver.halves), 0) :]:
            np.testing.assert_array_equal(xk[:, j], np.asarray(X)[:, j])
    assert not np.asarray(X)[:, 1].any()
    np.testing.assert_array_equal(guess, 1)


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(iterative)
def test_first_guesses_and_preconditioners_of_columns(solver, problem, dtype, namespace):
    S, B = problem.matrix(N, dtype), vectors(N, dtype, 3)
    M = ours(scipy.sparse.diags_array(1 / S.diagonal()).tocsr().astype(dtype))
    for x0 in (None, "Mb", as_namespace(vectors(N, dtype, 3), namespace)):
        rtol = {"rtol": 1e-5 * lost(solver, dtype)} if lost(solver, dtype) > 1 else {}
        X, info = solver.iterate(ours(S), as_namespace(B, namespace), x0, M=M, **rtol)
        assert info == 0 and residual(S, X, B) < 1e-4 * lost(solver, dtype)
        check_namespace(X, namespace)


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(iterative)
def test_unfinished_columns_are_reported(solver, problem, dtype, namespace):
    S, B = problem.matrix(N, dtype), np.zeros((N, 2), dtype)
    B[:, 1] = vector(N, dtype)
    X, info = solver.iterate(ours(S), as_namespace(B, namespace), maxiter=2, rtol=1e-12)
    assert info == 2 and not np.asarray(X)[:, 0].any() and np.asarray(X)[:, 1].any()
    X, info = solver.iterate(ours(S), as_namespace(B[:, :1], namespace), maxiter=2)
    assert info == 0 and X.shape == (N,)
    X, info = solver.iterate(ours(S), as_namespace(np.zeros((N, 0), dtype), namespace))
    assert info == 0 and tuple(X.shape) == (N, 0)

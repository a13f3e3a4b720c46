"""What solvers refuse, and how they fail."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_sparse as sp

from .systems import NAMESPACES, as_namespace, ours, vector
from .table import direct, each, informs, iterative, takes_atol

N = 12


@each()
def test_shapes(solver, problem):
    format = solver.formats[-1] if "csc" not in solver.formats else "csc"
    A = ours(problem.matrix(N, "f"), format)
    m = A.shape[0]
    for wrong in (np.ones(m - 1, "f"), np.ones((m - 1, 2), "f"), np.ones((m, 2, 2), "f"), np.float32(1)):
        for namespace in NAMESPACES:
            with pytest.raises(ValueError):
                solver(A, as_namespace(np.asarray(wrong), namespace))
    for shape in ((3, 4), (4, 3)) if "tall" not in solver.takes else ():
        with pytest.raises(ValueError, match="square"):
            solver(sp.csr_array(shape, dtype="f").asformat(format), np.ones(shape[0], "f"))


@each()
def test_dtypes_of_mlx_arrays_must_agree(solver, problem):
    A = ours(problem.matrix(N, "f"), "csc")
    for dtype in (mx.complex64, mx.int32):
        with pytest.raises(TypeError, match="dtype"):
            solver(A, mx.ones(A.shape[0], dtype=dtype))


@each(lambda solver: direct(solver) and not solver.name.endswith("unit"))
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_singular(solver, problem, namespace):
    """An error, or nan with a warning."""
    S = problem.matrix(N, "f").tolil()
    S[3] = 0
    if "general" not in solver.takes:
        S[:, 3] = 0
    A, b = ours(S.tocsc(), "csc"), as_namespace(vector(N, "f"), namespace)
    if solver.name in ("spsolve", "spsolve-lu", "spsolve-banded"):
        with pytest.warns(sp.linalg.MatrixRankWarning):
            assert np.isnan(np.asarray(solver(A, b))).all()
    else:
        with pytest.raises((RuntimeError, np.linalg.LinAlgError), match="singular|zero|not positive definite"):
            solver(A, b)


@pytest.mark.parametrize("columns", [None, 2])
@each(informs)
def test_complex_operators_of_a_real_mlx_array(solver, problem, columns):
    """No imaginary part is dropped, of whatever kind A or M is."""
    S = problem.matrix(N, "F")
    m, n = S.shape
    b = mx.ones(m if columns is None else (m, columns))

    class Object:
        shape = S.shape
        matvec = lambda self, x: ours(S) @ x.astype(mx.complex64)  # noqa: E731
        rmatvec = lambda self, x: ours(S.conj().T) @ x.astype(mx.complex64)  # noqa: E731

    known = sp.linalg.aslinearoperator(S)
    undeclared = sp.linalg.LinearOperator(S.shape, Object().matvec, Object().rmatvec, dtype=np.float32, xp=mx)
    for A in (S, S.toarray(), ours(S), mx.array(S.toarray()), known, 1j * known, Object(), undeclared, S.todok()):
        with pytest.raises(TypeError, match="dtype|complex"):
            solver.informed(A, b)
        if iterative(solver) and A is not undeclared and not isinstance(A, Object):
            with pytest.raises(TypeError, match="dtype|complex"):
                solver.informed(ours(problem.matrix(N, "f")), b, M=A)
    x, _ = solver.informed(S, np.ones(b.shape, "f"))
    assert x.dtype == np.complex64


@each(iterative)
def test_operators(solver, problem):
    A, b = ours(problem.matrix(N, "f")), vector(N, "f")
    for wrong, error in ((object(), TypeError), (None, TypeError), (np.ones((2, 2, 2)), ValueError)):
        with pytest.raises(error):
            solver.iterate(wrong, b)
    for M, error in ((np.eye(3), ValueError), (object(), TypeError)):
        with pytest.raises(error):
            solver.iterate(A, b, M=M)


@each(iterative)
def test_first_guesses(solver, problem):
    A, b = ours(problem.matrix(N, "f")), vector(N, "f")
    B = np.stack([b, b], axis=1)
    for right, x0 in ((b, b[:-1]), (b, B), (b, "b"), (B, b), (B, B[:, :1]), (B, B[:-1])):
        for namespace in NAMESPACES:
            with pytest.raises(ValueError, match="x0"):
                solver.iterate(A, as_namespace(right, namespace), x0)


@pytest.mark.parametrize("options", [{"atol": None}, {"atol": "legacy"}, {"atol": -1.0}])
@each(takes_atol)
def test_tolerances(solver, problem, options):
    with pytest.raises(ValueError, match="atol"):
        solver.iterate(ours(problem.matrix(N, "f")), vector(N, "f"), **options)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 2])
@each(iterative)
@pytest.mark.filterwarnings("error")
def test_breakdown(solver, problem, dtype, namespace, columns):
    """A zero matrix: the last iterate, which is finite, and no convergence but in the sense of least squares."""
    A = sp.csr_array((8, 8), dtype=np.dtype(dtype))
    b = np.ones(8 if columns is None else (8, columns), dtype)
    expected = 0 if solver.least else 5
    if solver.codes:
        with np.errstate(all="ignore"):
            _, expected = solver.twin(A.to_scipy(), np.ones(8, dtype), maxiter=5)
    x, info = solver.iterate(A, as_namespace(b, namespace), maxiter=5)
    assert info == expected and (solver.least or info != 0) and not np.asarray(x).any()


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(iterative)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_does_not_converge(solver, problem, dtype, namespace):
    A, b = ours(problem.matrix(N, dtype)), vector(N, dtype)
    b[2] = np.nan
    if solver.finite:
        with pytest.raises(ValueError, match="finite"):
            solver.iterate(A, as_namespace(b, namespace))
        return
    _, info = solver.iterate(A, as_namespace(b, namespace), maxiter=5)
    assert info == 5
    B = np.stack([vector(N, dtype), b], axis=1)
    X, info = solver.iterate(A, as_namespace(B, namespace), maxiter=50)
    assert info == 50 and np.isfinite(np.asarray(X)[:, 0]).all()

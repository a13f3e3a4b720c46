"""What solvers take and give: namespaces, dtypes, kinds of operand, and the options that iterative ones share."""

import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp

from . import table
from .systems import ALL_FORMATS, NAMESPACES, as_namespace, bound_of, check_namespace, ours, residual, vector
from .table import direct, each, iterative, takes_atol, tolerance

N = 80
SMALL = {
    "definite": [[4, 1], [1, 3]],
    "general": [[3, 1], [1, 2]],
    "lower": [[2, 0], [1, 4]],
    "upper": [[2, 1], [0, 4]],
    "tall": [[2], [1]],
}


# ---- dtypes -------------------------------------------------------------------------------------------------------


@each()
def test_integers_and_lists(solver, problem):
    S = np.array(SMALL[solver.takes[0]])
    A = sp.csc_array(S) if "csc" in solver.formats else sp.csr_array(S)
    inverted = solver.inverted(scipy.sparse.csr_array(S.astype(float))).toarray()
    expected = np.linalg.lstsq(inverted, [1, 5], rcond=None)[0]
    for b, kind in (([1, 5], np.ndarray), (np.array([1, 5]), np.ndarray), (mx.array([1, 5], dtype=mx.int64), mx.array)):
        x = solver(A, b, bound_of(1e-7, 1e-5))
        assert type(x) is kind
        assert np.asarray(x).dtype.kind == "f"
        np.testing.assert_allclose(np.asarray(x), expected, rtol=1e-6)


@pytest.mark.parametrize("half", [mx.float16, mx.bfloat16])
@each()
def test_half_precision_is_solved_in_float32(solver, problem, half):
    A = ours(problem.matrix(N, "f"), solver.formats[0]).astype(half)
    b = mx.array(vector(A.shape[0], "f")).astype(half)
    rounded = scipy.sparse.csr_array(A.astype(mx.float32).toarray())
    x = solver(A, b, 1e-6)
    assert x.dtype == mx.float32
    assert residual(solver.inverted(rounded), x, b.astype(mx.float32)) < 2 * tolerance(solver, problem, N, "f")


@each(iterative)
def test_mixed_numpy_dtypes_promote(solver, problem, device):
    x, info = solver.iterate(ours(problem.matrix(N, "f")), vector(N, "d"), rtol=1e-6)
    assert info == 0
    assert x.dtype == (np.float32 if device == "gpu" else np.float64)
    for given, expected in ((np.float16, "f"), (np.longdouble, "d"), (np.int8, "d")):
        x, info = solver.iterate(problem.matrix(N, "f"), np.arange(N).astype(given))
        assert info == 0 and x.dtype == np.dtype(expected)


# ---- kinds of operand ---------------------------------------------------------------------------------------------


@each(direct)
def test_other_formats_are_converted(solver, problem, dtype):
    S, b = problem.matrix(N, dtype), vector(N, dtype)
    for format in ALL_FORMATS:
        A = ours(S, format)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            if solver.make is None:
                x, where = solver(A, b), table.__file__
            else:
                made, where = solver.make(A), __file__
                x = getattr(made, "solve", made)(b)
        assert [w.category for w in seen] == [sp.SparseEfficiencyWarning] * (format not in solver.formats)
        assert all(w.filename == where for w in seen)
        bound = tolerance(solver, problem, N, dtype) if solver.make is None else 1e-2  # incomplete factors are some
        assert residual(solver.inverted(S), x, b) < bound


@each(direct)
def test_dense_and_scipy_operands(solver, problem, dtype):
    S, b = problem.matrix(N, dtype), vector(N, dtype)
    for format in solver.formats:
        np.testing.assert_array_equal(solver(S.asformat(format), b), solver(ours(S, format), b))
    for namespace in NAMESPACES:
        with pytest.warns(sp.SparseEfficiencyWarning):
            x = solver(as_namespace(S.toarray(), namespace), b)
        np.testing.assert_array_equal(x, solver(ours(S, "csc"), b))


class Operator:
    """Neither array nor LinearOperator: shape and one product, and that with the adjoint where it is asked for."""

    def __init__(self, A, name, adjoint):
        self.shape = A.shape
        setattr(type(self) if name == "__matmul__" else self, name, lambda *args: A @ args[-1])
        if adjoint:
            self.rmatvec = lambda x: A.conj().T @ x


def operators(S, namespace, adjoint):
    A = ours(S)
    yield S
    yield S.todok()
    yield as_namespace(S.toarray(), namespace)
    yield as_namespace(S.toarray(), "mlx")
    yield np.asmatrix(S.toarray())
    yield scipy.sparse.linalg.aslinearoperator(S)
    yield sp.linalg.aslinearoperator(A)
    yield 2 * sp.linalg.aslinearoperator(A) - sp.linalg.aslinearoperator(S)
    yield type("Matvec", (Operator,), {})(A, "matvec", adjoint)
    yield type("Matmul", (Operator,), {})(A, "__matmul__", adjoint)


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(iterative)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_kinds_of_operator(solver, problem, dtype, namespace):
    S, b = problem.matrix(N, dtype), vector(N, dtype)
    D = scipy.sparse.diags_array(1 / S.diagonal()).tocsr().astype(dtype)
    several = np.stack([b, 2 * b[::-1]], axis=1)
    kinds = (operators(X, namespace, solver.adjoint) for X in (S, D))
    for A, M in zip(*kinds, strict=True):
        for right in (b, several):
            x, info = solver.iterate(A, as_namespace(right, namespace), M=M)
            assert info == 0 and residual(S, x, right) < 1e-4
            check_namespace(x, namespace)
            assert np.asarray(x).dtype == np.dtype(dtype)


# ---- what iterative solvers share ---------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("preconditioned", [False, True])
@each(iterative)
def test_iterates_are_scipys(solver, problem, dtype, namespace, preconditioned):
    S, b = problem.matrix(N, dtype), vector(N, dtype)
    if dtype not in solver.twin_takes:
        return
    D = scipy.sparse.diags_array(1 / S.diagonal()).tocsr().astype(dtype)
    M = D if preconditioned else None
    iterates, reference = [], []
    x, info = solver.iterate(
        ours(S),
        as_namespace(b, namespace),
        M=ours(D) if preconditioned else None,
        callback=lambda xk: iterates.append(np.array(xk)),
    )
    y, expected = solver.twin(S, b, M=M, callback=lambda xk: reference.append(xk.copy()))
    assert info == expected == 0
    assert len(iterates) == len(reference)
    atol = 10 * tolerance(solver, problem, N, dtype) * abs(reference[-1]).max()
    for mine, theirs in zip(iterates, reference, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=atol)
    np.testing.assert_allclose(np.asarray(x), y, rtol=0, atol=atol)
    if not solver.halves:
        np.testing.assert_array_equal(np.asarray(x), iterates[-1])


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("guess", ["zero", "good", "column", "Mb"])
@each(iterative)
def test_first_guess(solver, problem, dtype, namespace, guess):
    S, b = problem.matrix(N, dtype), vector(N, dtype)
    exact = scipy.sparse.linalg.spsolve(S.tocsc(), b)
    x0 = {"zero": np.zeros(N, dtype), "good": exact, "column": exact[:, None], "Mb": "Mb"}[guess]
    steps = []
    given = x0 if guess == "Mb" else as_namespace(x0.astype(dtype), namespace)
    x, info = solver.iterate(ours(S), as_namespace(b, namespace), given, callback=steps.append)
    assert info == 0 and residual(S, x, b) < 1e-4
    if guess in ("good", "column"):
        assert solver.calls <= len(steps) <= solver.calls + solver.guessed
        np.testing.assert_array_equal(np.asarray(given).ravel(), x0.astype(dtype).ravel())


@each(iterative)
def test_the_guess_and_b_are_not_written(solver, problem, dtype):
    S, b = problem.matrix(N, dtype), vector(N, dtype)
    x0 = np.ones(N, dtype)
    solver.iterate(ours(S), b, x0)
    np.testing.assert_array_equal(x0, 1)
    np.testing.assert_array_equal(b, vector(N, dtype))


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(iterative)
def test_zero_b(solver, problem, dtype, namespace):
    b = as_namespace(np.zeros(N, dtype), namespace)
    x, info = solver.iterate(ours(problem.matrix(N, dtype)), b, np.ones(N, dtype))
    assert info == 0 and not np.asarray(x).any()
    check_namespace(x, namespace)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("maxiter", [0, 1, 3])
@each(iterative)
def test_maxiter_exhausted(solver, problem, dtype, namespace, maxiter):
    S, b = problem.matrix(N, dtype), vector(N, dtype)
    steps = []
    x, info = solver.iterate(ours(S), as_namespace(b, namespace), maxiter=maxiter, rtol=1e-12, callback=steps.append)
    assert info == maxiter == len(steps)
    if dtype not in solver.twin_takes:
        return
    y, expected = solver.twin(S, b, maxiter=maxiter, rtol=1e-12)
    assert info == expected
    np.testing.assert_allclose(np.asarray(x), y, rtol=0, atol=tolerance(solver, problem, N, dtype))


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(takes_atol)
def test_atol_alone_decides(solver, problem, dtype, namespace):
    S, b = problem.matrix(N, dtype), vector(N, dtype)
    x, info = solver.iterate(ours(S), as_namespace(b, namespace), rtol=0.0, atol=0.5)
    assert info == 0 and 1e-4 < residual(S, x, b) * np.linalg.norm(b) < 0.6

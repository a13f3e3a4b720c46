"""What iterative solvers tell of their course: breakdown codes, SolverInfo, bars; and what interrupts them."""

import sys
import types

import matplotlib
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse import linalg

from .systems import NAMESPACES, as_namespace, ours, residual, vector, vectors
from .table import each, informs, iterative

N = 40
# Integer systems in which a method breaks down: (solver, A, b, the code)
BREAKDOWNS = (
    ("cgs", [[0, -1, 0], [1, 0, 0], [1, 1, 1]], [0, 1, 1], -11),
    ("cgs", [[-1, 0], [1, 0]], [1, 0], -10),
    ("bicg", [[0, 0, 0], [0, 0, -2], [0, -2, 0]], [1, 0, 1], -11),
    ("bicg", [[0, -1], [0, 1]], [0, 1], -10),
    ("bicgstab", [[-1, 1], [-1, 0]], [0, 1], -11),
    ("bicgstab", [[-1, -1, 1], [1, 1, 1], [-1, 1, 0]], [0, 1, 0], -10),
    ("qmr", [[0, -2, 2], [-2, 0, -1], [2, -1, -2]], [1, 0, 0], -14),
    ("qmr", [[2, 0], [1, 1]], [1, 0], -15),
    ("qmr", [[1, -1, 0], [0, -1, -1], [1, 0, -1]], [0, 1, 0], -13),
    ("tfqmr", [[0, -1, 1], [-1, 0, -1], [1, -1, 2]], [0, 1, 1], -1),
)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize(("name", "A", "b", "code"), BREAKDOWNS)
@pytest.mark.filterwarnings("error")
def test_codes(name, A, b, code, namespace):
    """SciPy's codes, at any scale of b, with a finite iterate; a column that breaks down leaves the others alone."""
    solve, twin = getattr(linalg, name), getattr(scipy.sparse.linalg, name)
    A, b = np.array(A, np.float32), np.array(b, np.float32)
    assert twin(A.astype(float), b.astype(float))[1] == code
    for scale in (1, 2.0**-30, 2.0**20):
        x, info = solve(sp.csr_array(A), as_namespace(scale * b, namespace), return_info=True)
        assert int(info) == code and info.reason == "breakdown" and not info.converged
        assert np.isfinite(np.asarray(x)).all()
    B = np.stack([b, 0 * b, b], axis=1)
    X, info = solve(sp.csr_array(A), as_namespace(B, namespace), return_info=True)
    assert int(info) == code and info.codes.tolist() == [code, 0, code]
    np.testing.assert_allclose(np.asarray(X)[:, 0], np.asarray(solve(sp.csr_array(A), b)[0]), atol=1e-6)


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(informs)
def test_a_broken_column_leaves_the_others(solver, problem, namespace):
    """Two systems as one: in the half where A is zero the first column breaks down, the second has nothing to do."""
    S = problem.matrix(N, "f")
    A = np.zeros((2 * N, 2 * N), np.float32)
    A[:N, :N] = S.toarray()
    B = np.zeros((2 * N, 2), np.float32)
    B[N:, 0], B[:N, 1] = 1, vector(N, "f")
    _, expected = solver.twin(A, B[:, 0], maxiter=60)
    X, info = solver.iterate(ours(sp.csr_array(A).to_scipy()), as_namespace(B, namespace), maxiter=60, return_info=True)
    assert info.codes.tolist() == [expected, 0] and int(info) == expected != 0
    assert not np.asarray(X)[:, 0].any() and residual(S, np.asarray(X)[:N, 1], B[:N, 1]) < 1e-4


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(informs)
def test_info(solver, problem, namespace):
    S, b = problem.matrix(N, "f"), vector(N, "f")
    steps = []
    x, info = solver.iterate(ours(S), as_namespace(b, namespace), return_info=True, callback=steps.append)
    assert (int(info), info.info, info.codes.item(), info.reason, info.converged) == (0, 0, 0, "converged", True)
    assert len(steps) <= info.iterations <= len(steps) + solver.halves
    assert info.residual_norms.shape == (info.iterations + 1,)
    np.testing.assert_allclose(info.residual_norms[0], np.linalg.norm(b), rtol=1e-5)
    assert info.residual_norms[-1] < 1e-5 * np.linalg.norm(b)
    _, info = solver.iterate(ours(S), as_namespace(b, namespace), maxiter=2, rtol=1e-6, return_info=True)
    assert (int(info), info.reason, info.iterations, info.converged) == (2, "maxiter", 2, False)
    _, info = solver.iterate(ours(S), as_namespace(0 * b, namespace), return_info=True)
    assert (int(info), info.iterations, info.residual_norms.tolist()) == (0, 0, [0])
    X, info = solver.iterate(ours(S), as_namespace(vectors(N, "f", 3), namespace), return_info=True)
    assert info.codes.tolist() == [0, 0, 0] and info.residual_norms.shape == (info.iterations + 1, 3)
    assert (info.residual_norms[-1] < 1e-5 * info.residual_norms[0]).all()


def test_plot():
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(N, N))
    for columns in (None, 3):
        _, info = linalg.cg(A, vectors(N, "d", columns), return_info=True)
        figure, axes = plt.subplots()
        assert info.plot(axes) is axes and info.plot() is axes
        assert len(axes.lines) == 2 * (columns or 1) and axes.get_yscale() == "log"
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), info.residual_norms.reshape(-1, columns or 1)[:, 0])
        plt.close(figure)


@each(informs)
def test_progress(solver, problem, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, unit):
            self.total, self.steps, self.closed = total, 0, False
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            self.closed = True

        def update(self):
            self.steps += 1

    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Bar))
    A, b, steps = ours(problem.matrix(N, "f")), vector(N, "f"), []
    solver.iterate(A, b, maxiter=30, progress=True, callback=steps.append)
    assert (bars[0].total, bars[0].steps, bars[0].closed) == (30, len(steps), True)

    def stop(xk):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        solver.iterate(A, b, progress=True, callback=stop)
    assert bars[1].closed
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="needs tqdm"):
        solver.iterate(A, b, progress=True)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, ZeroDivisionError, ArithmeticError])
@each(iterative)
def test_exceptions_reach_the_caller(solver, problem, namespace, error):
    """Of an operator, a preconditioner and a callback; also those that look like a breakdown."""
    S, b = problem.matrix(N, "f"), as_namespace(vector(N, "f"), namespace)

    class Failing:
        shape, dtype = S.shape, S.dtype

        def matvec(self, x):
            raise error

        rmatvec = matvec

    def fail(xk):
        raise error

    for options in ({"A": Failing()}, {"A": ours(S), "M": Failing()}, {"A": ours(S), "callback": fail}):
        A = options.pop("A")
        with pytest.raises(error):
            solver.iterate(A, b, **options)


@pytest.mark.parametrize("name", ["bicg", "qmr"])
def test_products_with_the_adjoint_are_asked_for(name):
    S = ours(sp.eye_array(N).to_scipy())
    A = types.SimpleNamespace(shape=S.shape, matvec=lambda x: S @ x)
    solve = getattr(linalg, name)
    word = "M1" if name == "qmr" else "M"
    for operands in ({"A": A}, {"A": S, word: A}):
        with pytest.raises(TypeError, match="rmatvec"):
            solve(b=np.ones(N), **operands)


@pytest.mark.parametrize("namespace", NAMESPACES)
@each(iterative)
def test_orders_zero_and_one(solver, problem, namespace):
    for b in (np.zeros(0, "f"), np.zeros((0, 3), "f")):
        x, info = solver.iterate(sp.csr_array((0, 0), dtype="f"), as_namespace(b, namespace))
        assert info == 0 and tuple(x.shape) == b.shape
    x, info = solver.iterate(sp.csr_array(np.array([[2.0]], "f")), as_namespace(np.array([3.0], "f"), namespace))
    assert info == 0 and np.asarray(x) == 1.5


def test_show(capsys):
    A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(N, N))
    for maxiter, words in ((None, "converged due to reach TOL"), (1, "not converged due to reach MAXIT")):
        linalg.tfqmr(A, np.ones(N), maxiter=maxiter, show=True)
        assert words in capsys.readouterr().out


def test_preconditioned_tfqmr_solves_the_system_that_is_given():
    """Also where the preconditioner does not commute with the matrix."""
    rng = np.random.default_rng(0)
    S = scipy.sparse.random_array((N, N), density=0.1, rng=rng)
    S = (S + sp.diags_array(np.linspace(5, 50, N)).to_scipy()).tocsr()
    x, info = linalg.tfqmr(ours(S), vector(N, "d"), M=sp.diags_array(1 / S.diagonal()), rtol=1e-8)
    assert info == 0 and residual(S, x, vector(N, "d")) < 1e-8

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

from .systems import (
    NAMESPACES,
    as_namespace,
    bound_of,
    check_namespace,
    laplacian,
    ours,
    residual,
    tall,
    vector,
    vectors,
)
from .table import each, has_codes, informs, iterative

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
@each(has_codes)
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
    S = problem.matrix(N, "f")
    A, b, B = ours(S), vector(S.shape[0], "f"), vectors(S.shape[0], "f", 3)
    steps = []
    observed = {"callback": steps.append} if iterative(solver) else {}
    x, info = solver.informed(A, as_namespace(b, namespace), **observed)
    check_namespace(x, namespace)
    assert (int(info), info.info, info.codes.item(), info.reason, info.converged) == (0, 0, 0, "converged", True)
    if observed:
        assert len(steps) - solver.calls <= info.iterations <= len(steps) - solver.calls + solver.halves
    assert info.residual_norms.shape == (info.iterations + 1,) and info.iterations
    np.testing.assert_allclose(info.residual_norms[0], np.linalg.norm(b), rtol=1e-5)
    left = np.linalg.norm(b - S @ np.asarray(x)) if "tall" in problem.kinds else 0
    np.testing.assert_allclose(info.residual_norms[-1], left, rtol=1e-4, atol=1e-5 * np.linalg.norm(b))
    _, info = solver.informed(A, as_namespace(b, namespace), maxiter=2, rtol=1e-12)
    found = int(info), info.codes.tolist(), info.reason, info.iterations, info.converged
    limit = solver.limit or 2
    assert found == (limit, limit, "maxiter", 2, False)
    _, info = solver.informed(A, as_namespace(b, namespace), maxiter=0)
    assert (info.reason, info.iterations, info.converged) == ("maxiter", 0, False)
    _, info = solver.informed(A, as_namespace(0 * b, namespace))
    assert (int(info), info.iterations, info.residual_norms.tolist(), info.converged) == (0, 0, [0], True)
    X, info = solver.informed(A, as_namespace(B, namespace))
    assert info.codes.tolist() == [0, 0, 0] and info.residual_norms.shape == (info.iterations + 1, 3)
    np.testing.assert_allclose(info.residual_norms[0], np.linalg.norm(B, axis=0), rtol=1e-5)
    left = np.linalg.norm(B - S @ np.asarray(X), axis=0) * ("tall" in problem.kinds)
    np.testing.assert_allclose(info.residual_norms[-1], left, rtol=1e-4, atol=1e-5 * np.linalg.norm(B))
    _, info = solver.informed(A, as_namespace(B[:, :0], namespace))
    assert (int(info), info.codes.tolist(), info.converged) == (0, [], True)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 3])
@each(informs)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_is_a_breakdown(solver, problem, namespace, columns):
    S = problem.matrix(N, "f")
    b = vectors(S.shape[0], "f", columns)
    b[2] = np.nan
    if solver.finite:
        return
    _, info = solver.informed(ours(S), as_namespace(b, namespace), maxiter=5)
    assert info.reason == "breakdown" and not info.converged and info.info == (solver.limit or 5)
    assert info.codes.shape == b.shape[1:] and len(info.residual_norms) == info.iterations + 1 >= 1


def test_reasons():
    """Of methods that stop by more than the norm of the residual."""
    for namespace in NAMESPACES:
        b = as_namespace(np.array([1.0, 1, 2], "f"), namespace)
        _, info = linalg.minres(np.diag([1.0, 1, 0]).astype("f"), b, return_info=True)
        assert (info.reason, int(info), info.converged) == ("least squares", 0, False)
        assert info.residual_norms[-1] == pytest.approx(2, rel=1e-6)
    for name in ("lsqr", "lsmr"):
        solve, S = getattr(linalg, name), tall(N, "d")
        b = np.stack([vector(len(vector(S.shape[0], "d")), "d"), S @ np.ones(N)], axis=1)
        results = solve(ours(S), b, conlim=2.0)
        x, info = solve(ours(S), b, conlim=2.0, return_info=True)
        assert (info.reason, int(info), info.codes.tolist()) == ("conlim", 3, [3, 3])
        assert list(info.estimates)[:2] == ["istop", "itn"]
        for mine, expected in zip((x, *info.estimates.values()), results, strict=True):
            np.testing.assert_array_equal(mine, expected)
        assert info.iterations == max(results[2])
        _, info = solve(ours(laplacian(N, "d")), vector(N, "d"), atol=0.0, btol=0.0, conlim=0.0, return_info=True)
        assert (info.reason, int(info)) == ("maxiter", 7)


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
    S, steps = problem.matrix(N, "f"), []
    A, b = ours(S), vector(S.shape[0], "f")
    observed = {"callback": steps.append} if iterative(solver) else {}
    _, info = solver.informed(A, b, maxiter=30, progress=True, **observed)
    taken = len(steps) - solver.calls if observed else info.iterations
    assert (bars[0].total, bars[0].steps, bars[0].closed) == (30, taken, True)
    several = vectors(S.shape[0], "f", 2)
    _, info = solver.informed(A, several, maxiter=30, progress=True)
    assert info.iterations - solver.halves <= bars[1].steps <= bars[1].total and bars[1].closed

    class Failing:
        shape, dtype = S.shape, S.dtype

        def matvec(self, x):
            raise RuntimeError("stop")

        rmatvec = matvec

    with pytest.raises(RuntimeError, match="stop"):
        solver.informed(Failing(), b, progress=True)
    assert bars[2].closed
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="needs tqdm"):
        solver.informed(A, b, progress=True)


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
    A = sp.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(N, N))
    for maxiter, words in ((None, "converged due to reach TOL"), (1, "not converged due to reach MAXIT")):
        linalg.tfqmr(A, np.ones(N), maxiter=maxiter, show=True)
        assert words in capsys.readouterr().out


def test_preconditioned_tfqmr_solves_the_system_that_is_given():
    """Also where the preconditioner does not commute with the matrix."""
    rng = np.random.default_rng(0)
    S = scipy.sparse.random_array((N, N), density=0.1, rng=rng)
    S = (S + sp.diags_array(np.linspace(5, 50, N)).to_scipy()).tocsr()
    x, info = linalg.tfqmr(ours(S), vector(N, "d"), M=sp.diags_array(1 / S.diagonal()), rtol=bound_of(1e-8, 1e-5))
    assert info == 0 and residual(S, x, vector(N, "d")) < bound_of(1e-8, 2e-5)

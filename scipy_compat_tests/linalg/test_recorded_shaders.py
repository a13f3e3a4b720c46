"""Recorded recurrences as shaders: they do what the CPU's interpreter does. What the host plays is what GPUs run."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp
from mlx_sparse import linalg
from mlx_sparse.linalg import _recorded, _solve

from . import systems
from .systems import ours, residual, vector, vectors
from .table import each, lost, recorded, tolerance

N = 90
LONG = 5_000  # rows of more blocks than one

single = pytest.mark.parametrize("kind", ["f", "F"])


@pytest.fixture(autouse=True)
def on_shaders(device):
    if device == "cpu":
        with sp.runtime.context(executor="shader"):
            yield
    else:
        yield


in_both_ways = pytest.mark.usefixtures("launches")


@pytest.fixture
def launched(monkeypatch):
    """The programs that were replayed by shaders."""
    programs = []

    def spy(program, *args):
        programs.append(program)
        return _recorded.replay_on_device(program, *args)

    monkeypatch.setattr(_solve, "replay_on_device", spy)
    return programs


def natively(solve):
    """What the interpreter of the CPU finds."""
    with mx.stream(mx.cpu), sp.runtime.context(executor="native"):
        default = mx.default_device()
        mx.set_default_device(mx.cpu)
        try:
            return solve()
        finally:
            mx.set_default_device(default)


def same(one, other, near=1e-4):
    (x, info), (y, told) = one, other
    assert info.codes.tolist() == told.codes.tolist() and info.reason == told.reason
    assert abs(info.iterations - told.iterations) <= max(1, told.iterations // 10)  # rounding moves the end
    first = min(4, info.iterations)
    scale = told.residual_norms[0].max()
    np.testing.assert_allclose(info.residual_norms[:first], told.residual_norms[:first], rtol=1e-3, atol=1e-3 * scale)
    x, y = np.array(x), np.array(y)
    np.testing.assert_allclose(x, y, rtol=0, atol=near * max(1e-30, abs(y).max()))


@in_both_ways
@single
@pytest.mark.parametrize("columns", [None, 3])
@each(recorded)
def test_as_the_interpreter(solver, problem, kind, columns, launched):
    S, B = problem.matrix(N, kind), vectors(N, kind, columns)
    b, guess, tol = mx.array(B), mx.ones(B.shape), tolerance(solver, problem, N, kind)
    M = ours(scipy.sparse.diags_array(1 / S.diagonal()).astype(kind).tocsr())
    for format, preconditioner, x0 in (("csr", None, None), ("csc", M, None), ("dia", M.todia(), guess)):
        launched.clear()

        A = ours(S, format)

        def solve(A=A, M=preconditioner, x0=x0):
            return solver.iterate(A, b, x0, M=M, rtol=tol, return_info=True)

        x, info = solve()
        assert len(launched) == 1 and int(info) == 0
        assert isinstance(x, mx.array) and residual(S, np.array(x), B) < 10 * tol * lost(solver, kind)
        same((x, info), natively(solve), 1e-2 * lost(solver, kind))


@in_both_ways
@single
@pytest.mark.parametrize("columns", [None, 5])
@each(recorded)
def test_large(solver, problem, kind, columns):
    """Many blocks; twice the same bits."""
    S = problem.build(LONG, kind)
    b = mx.array(vectors(LONG, kind, columns))

    def solve():
        return solver.iterate(ours(S), b, rtol=1e-3, maxiter=40, return_info=True)

    found, again = solve(), solve()
    assert found[1].codes.tolist() == natively(solve)[1].codes.tolist()
    np.testing.assert_array_equal(np.array(found[0]), np.array(again[0]))
    np.testing.assert_array_equal(found[1].residual_norms, again[1].residual_norms)


@in_both_ways
@pytest.mark.parametrize("columns", [1, 2, 7, 255, 256, 300])
@pytest.mark.parametrize("n", [1, 2, 9, 600])
def test_sizes(n, columns):
    S = (scipy.sparse.random_array((n, n), density=min(1, 4 / n), rng=1) + 20 * scipy.sparse.eye_array(n)).tocsr()
    S = (S + S.T).astype("f")
    B = vectors(n, "f", columns)
    x, info = linalg.cg(ours(S), mx.array(B), rtol=1e-5)
    assert info == 0 and residual(S, np.array(x).reshape(B.shape), B) < 1e-4


@in_both_ways
@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize("wide", [False, True])
def test_long_rows(columns, wide):
    """Rows of a few and of thousands of entries; 64-bit indices."""
    S = scipy.sparse.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(LONG, LONG)).tolil()
    S[7, ::2] = 1e-3
    S[::2, 7] = 1e-3
    S[100:104] = 1e-5
    S.setdiag(40)
    S = S.tocsr().astype("f")
    A = ours(S)
    if wide:
        A = sp.csr_array((A.data, A.indices.astype(mx.int64), A.indptr.astype(mx.int64)), shape=A.shape)
    B = vectors(LONG, "f", columns)
    x, info = linalg.bicgstab(A, mx.array(B), rtol=1e-5)
    assert info == 0 and residual(S, np.array(x), B) < 1e-4


@pytest.mark.parametrize("mean", [30, 100, 400])
def test_rows_of_many_entries(mean):
    n = 500
    S = scipy.sparse.random_array((n, n), density=mean / n, rng=2, dtype="f")
    S = (S + S.T + 2 * mean * scipy.sparse.eye_array(n, dtype="f")).tocsr()
    b = vector(n, "f")
    x, info = linalg.cg(ours(S), mx.array(b), rtol=1e-5)
    assert info == 0 and residual(S, np.array(x), b) < 1e-4


@in_both_ways
def test_columns_end_by_themselves():
    """At different times; a column of zeros is exact at once, whatever its guess."""
    S = scipy.sparse.diags_array([-1.0, 2.001, -1.0], offsets=[-1, 0, 1], shape=(N, N)).tocsr().astype("f")
    values, V = np.linalg.eigh(S.toarray().astype("d"))
    B = np.stack([V[:, 3], V[:, 5:15].sum(1), np.zeros(N), vector(N, "d")], 1).astype("f")
    x, info = linalg.cg(ours(S), mx.array(B), mx.ones(B.shape), rtol=1e-4, return_info=True)
    assert info.codes.tolist() == [0] * 4 and not np.array(x)[:, 2].any()
    x, info = linalg.cg(ours(S), mx.array(B), rtol=1e-4, return_info=True)
    ends = (info.residual_norms < 1e-4 * np.linalg.norm(B, axis=0) + 1e-30).argmax(0)
    assert ends[0] < ends[1] < ends[3] and info.codes.tolist() == [0] * 4
    for j in (0, 1, 3):
        alone, _ = linalg.cg(ours(S), mx.array(B[:, j]), rtol=1e-4)
        np.testing.assert_allclose(np.array(x)[:, j], np.array(alone), atol=1e-3 * abs(np.array(alone)).max())


@in_both_ways
@pytest.mark.parametrize("columns", [None, 2])
@each(recorded)
def test_limits(solver, problem, columns):
    S, B = problem.matrix(N, "f"), vectors(N, "f", columns)
    for maxiter in (0, 1, 2, 3, 9):

        def solve(maxiter=maxiter):
            return solver.iterate(ours(S), mx.array(B), maxiter=maxiter, rtol=1e-12, return_info=True)

        one, other = solve(), natively(solve)
        assert int(one[1]) == int(other[1]) and one[1].residual_norms.shape == other[1].residual_norms.shape
        same(one, other, 1e-2)


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow", "ignore:divide")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("columns", [None, 2])
@each(recorded)
def test_numbers_that_are_not_finite(solver, problem, columns, bad):
    S, B = problem.matrix(N, "f"), vectors(N, "f", columns)
    A, C = S.copy(), B.copy()
    A.data[7], C[3] = bad, bad
    for matrix, b in ((A, B), (S, C)):

        def solve(matrix=matrix, b=b):
            return solver.iterate(ours(matrix), mx.array(b), maxiter=30, return_info=True)

        assert int(solve()[1]) == int(natively(solve)[1]) != 0


@in_both_ways
@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize("name", ["cgs", "bicg", "bicgstab", "qmr", "tfqmr"])
def test_breakdown(name, columns):
    """A skew-symmetric matrix, which most methods break down with at once."""
    S = scipy.sparse.csr_array(np.array([[0.0, 1.0], [-1.0, 0.0]], "f"))
    B = np.ones((2,) if columns is None else (2, columns), "f")

    def solve():
        return getattr(linalg, name)(ours(S), mx.array(B), return_info=True)

    one, other = solve()[1], natively(solve)[1]
    assert one.codes.tolist() == other.codes.tolist() and one.reason == other.reason


@pytest.mark.parametrize("columns", [None, 3])
@each(recorded)
def test_inside_compile_and_vmap(solver, problem, columns):
    S, B = problem.matrix(N, "f"), vectors(N, "f", columns)
    A, b = ours(S), mx.array(B)
    expected, _ = solver.iterate(A, b, rtol=1e-4)
    x, info = mx.compile(lambda data, b: solver.iterate(A.with_data(data), b, rtol=1e-4))(A.data, b)
    assert info.item() == 0
    np.testing.assert_allclose(np.array(x), np.array(expected), rtol=1e-4, atol=1e-5)
    strided = mx.array(np.stack([B, 2 * B], 1))
    x, info = mx.vmap(lambda b: solver.iterate(A, b, rtol=1e-4), in_axes=1, out_axes=(1, 0))(strided)
    assert info.tolist() == [0, 0]
    for i in (0, 1):
        assert residual(S, np.array(x)[:, i], (1 + i) * B) < 1e-3 * solver.lost
    x, info = mx.vmap(lambda d: solver.iterate(A.with_data(d), b, rtol=1e-4))(mx.stack([A.data, 2 * A.data]))
    assert info.tolist() == [0, 0] and residual(2 * S, np.array(x)[1], B) < 1e-3 * solver.lost


@each(recorded)
def test_bits_of_both_ways(solver, problem):
    S = problem.build(LONG, "f")
    found = []
    for separate in (False, True):
        sp._native.set_separate_launches(separate)
        try:
            x, info = solver.iterate(ours(S), mx.array(vectors(LONG, "f", 2)), maxiter=20, return_info=True)
        finally:
            sp._native.set_separate_launches(False)
        found.append((np.array(x), info.residual_norms))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_operators_that_do_not_fit_are_refused():
    A = ours(scipy.sparse.eye_array(4, dtype="f").tocsr())
    with pytest.raises((TypeError, ValueError)):
        linalg.cg(A, mx.ones(5))
    with pytest.raises((TypeError, ValueError)):
        linalg.cg(A, mx.ones(4).astype(mx.complex64))


# ---- steps that the host decides on: the device runs ahead of it -------------------------------------------------

JUDGED = {  # name -> (the system, the solver)
    "minres": ("hermitian", lambda A, b, **more: linalg.minres(A, b, return_info=True, **more)),
    "minres shifted": ("hermitian", lambda A, b, **more: linalg.minres(A, b, shift=0.25, return_info=True, **more)),
    "lsqr": ("tall", lambda A, b, **more: linalg.lsqr(A, b, return_info=True, **bounds("iter_lim", **more))),
    "lsqr damped": (
        "tall",
        lambda A, b, **more: linalg.lsqr(A, b, 0.3, return_info=True, **bounds("iter_lim", **more)),
    ),
    "lsmr": ("wide", lambda A, b, **more: linalg.lsmr(A, b, return_info=True, **bounds("maxiter", **more))),
}

judged = pytest.mark.parametrize("name", JUDGED)


def bounds(limit, rtol, maxiter=None, x0=None):
    return {"atol": rtol, "btol": rtol, limit: 2 * LONG if maxiter is None else maxiter, "x0": x0}


def judged_system(name, kind, n=N):
    family, solve = JUDGED[name]
    if family == "hermitian":
        return scipy.sparse.csr_array(systems.hermitian(n, kind)), solve
    S = systems.tall(n, kind)
    return (S if family == "tall" else S.T.conj().tocsr()), solve


@pytest.fixture
def stepped(monkeypatch):
    """The steppers that were made for devices."""
    made = []

    def spy(*args, by=sp._native.KrylovDeviceSteps):
        made.append(by(*args))
        return made[-1]

    monkeypatch.setattr(sp._native, "KrylovDeviceSteps", spy)
    return made


@in_both_ways
@single
@pytest.mark.parametrize("columns", [None, 1, 3])
@judged
def test_judged_steps(name, columns, kind, stepped):
    """At every limit, so that the device has to go back to any step of what it has done ahead."""
    S, solve = judged_system(name, kind)
    b = mx.array(vectors(S.shape[0], kind, columns))
    for maxiter in (0, 1, 2, 7, 8, 9, 17, 40):
        stepped.clear()
        same(
            solve(ours(S), b, rtol=1e-12, maxiter=maxiter),
            natively(lambda m=maxiter: solve(ours(S), b, rtol=1e-12, maxiter=m)),
            1e-2,
        )
        assert len(stepped) == 1


@in_both_ways
@judged
def test_a_device_goes_back_to_the_last_step(name, stepped):
    """x is that of the step that a judge has found good enough, as it is where this step is the limit."""
    S, solve = judged_system(name, "f")
    b = mx.array(vector(S.shape[0], "f"))
    for rtol in (1e-1, 1e-2, 1e-3, 1e-4):
        x, info = solve(ours(S), b, rtol=rtol)
        last, told = solve(ours(S), b, rtol=rtol, maxiter=info.iterations)
        np.testing.assert_array_equal(np.array(x), np.array(last))
        np.testing.assert_array_equal(info.residual_norms, told.residual_norms)
    assert len(stepped) == 8


@in_both_ways
@judged
def test_judged_columns_end_by_themselves(name, stepped):
    """What a column is when it is done it stays, while the others go on: the same to rounding as alone."""
    S, solve = judged_system(name, "f")
    near = S @ vectors(S.shape[1], "f", 1)[:, 0] * 1e-6
    B = np.stack([vector(S.shape[0], "f"), near + np.eye(S.shape[0], dtype="f")[0], vector(S.shape[0], "f")[::-1]], 1)
    x, info = solve(ours(S), mx.array(B), rtol=1e-4)
    for j in range(3):
        alone, told = solve(ours(S), mx.array(B[:, j]), rtol=1e-4)
        norms = info.residual_norms[:, j]
        steps = len(norms) - np.argmax(norms[::-1] != norms[-1]) if (norms != norms[-1]).any() else 1
        assert abs(steps - len(told.residual_norms)) <= 1
        np.testing.assert_allclose(np.array(x)[:, j], np.array(alone), rtol=0, atol=1e-3 * abs(np.array(alone)).max())
    assert len(stepped) == 4


@judged
def test_judged_in_many_blocks(name):
    """Twice the same bits, of more blocks than one; from a first guess."""
    S, solve = judged_system(name, "f", LONG)
    b, x0 = mx.array(vector(S.shape[0], "f")), mx.ones(S.shape[1])
    runs = [solve(ours(S), b, rtol=1e-5, x0=x0) for _ in range(2)]
    assert int(runs[0][1]) == 0
    np.testing.assert_array_equal(np.array(runs[0][0]), np.array(runs[1][0]))
    same(runs[0], natively(lambda: solve(ours(S), b, rtol=1e-5, x0=x0)), 1e-3)


@pytest.mark.parametrize("solve", [linalg.cg, linalg.minres], ids=["cg", "minres"])
def test_derivatives_take_many_launches(solve):
    """More than are handed over at once, inside of a transformation."""
    S = scipy.sparse.diags_array([-1.0, 2.2, -1.0], offsets=[-1, 0, 1], shape=(LONG, LONG)).tocsr().astype("f")
    b = mx.array(vector(LONG, "f"))
    w = mx.grad(lambda b: mx.sum(solve(ours(S), b, rtol=1e-5)[0]))(b)  # S w = 1, to rtol; minres: times norm(S) norm(w)
    assert (
        residual(S, np.array(w), np.ones(LONG))
        < 1e-5 * scipy.sparse.linalg.norm(S) * np.linalg.norm(np.array(w)) / LONG**0.5
    )

"""Recorded recurrences: replayed natively they do what they do step by step in Python, and are nodes of MLX's graph."""

import importlib

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

import mlx_sparse as sp
from mlx_sparse import linalg
from mlx_sparse.linalg import _recorded, _solve
from mlx_sparse.linalg._krylov import _judged

from .systems import NAMESPACES, as_namespace, ours, residual, vector, vectors
from .table import each, eps, lost, recorded, tolerance

N = 90
LONG = 30_000  # rows of more blocks than one, for more threads than one


def both(solver, A, b, x0=None, **options):
    """(x, SolverInfo) of the recorded and of the other way."""
    one = solver.iterate(A, b, x0, return_info=True, **options)
    return one, solver.iterate(A, b, x0, return_info=True, callback=lambda xk: None, **options)


@pytest.fixture
def replayed(monkeypatch):
    """The programs that were replayed."""
    programs = []

    def spy(program, *args):
        programs.append(program)
        return _recorded.replay(program, *args)

    monkeypatch.setattr(_solve, "replay", spy)
    return programs


@pytest.fixture(autouse=True)
def on_kernels(device):
    if device != "cpu":
        pytest.skip("programs are replayed by CPU kernels")


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("columns", [None, 3])
@each(recorded, every=True)
def test_the_same_course(solver, problem, dtype, namespace, columns, replayed):
    """Formats, preconditioners and guesses; residual norms agree until rounding tells."""
    S, B = problem.matrix(N, dtype), vectors(N, dtype, columns)
    b, tol = as_namespace(B, namespace), tolerance(solver, problem, N, dtype)
    diagonal = scipy.sparse.diags_array(1 / S.diagonal()).astype(dtype)
    M = ours(diagonal.tocsr())
    guess = as_namespace(np.ones_like(B), namespace)
    ways = [
        ("csr", None, None),
        ("csc", M, None),
        ("bsr", M.todia(), guess),
        ("dia", None, guess),
        ("coo", M.todia(), "Mb"),
    ]
    for format, preconditioner, x0 in ways:
        replayed.clear()
        options = {"M": preconditioner, "rtol": tol}
        (x, info), (y, other) = both(solver, ours(S, format), b, x0, **options)
        assert len(replayed) == 1
        assert int(info) == int(other) == 0 and info.codes.tolist() == other.codes.tolist()
        assert abs(info.iterations - other.iterations) <= max(2, other.iterations // 10)  # rounding moves the end
        first, near = min(4, info.iterations), 1e3 * eps(dtype)
        scale = near * other.residual_norms[0].max()
        np.testing.assert_allclose(
            info.residual_norms[:first],
            other.residual_norms[:first],
            rtol=near,
            atol=scale,
        )
        x, y = np.asarray(x), np.asarray(y)
        assert type(x) is type(y) and x.dtype == y.dtype == np.dtype(dtype) and x.shape == B.shape
        assert residual(S, x, B) < 10 * tol * lost(solver, dtype)


@each(recorded)
def test_large_and_short(solver, problem, dtype, replayed):
    """Many blocks and threads, one row, no rows."""
    S = problem.build(LONG, dtype)
    for columns in (None, 5):
        B = vectors(LONG, dtype, columns)
        (x, info), (y, other) = both(solver, ours(S), B, rtol=1e-4)
        assert int(info) == int(other) == 0 and abs(info.iterations - other.iterations) <= 2
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-3 * lost(solver, dtype) * abs(y).max())
    x, info = solver.iterate(sp.csr_array(np.array([[2.0]], dtype)), np.array([3.0], dtype))
    assert info == 0 and x == 1.5
    x, info = solver.iterate(sp.csr_array((0, 0), dtype=dtype), np.zeros(0, dtype))
    assert info == 0 and x.shape == (0,)
    assert len(replayed) == 3


@each(recorded)
def test_results_do_not_depend_on_threads(solver, problem, dtype):
    S = problem.build(LONG, dtype).tolil()
    S[5, ::3] = 1e-4  # a row that is cut
    S = S.tocsr()
    for columns in (None, 3):
        found = []
        for n in (1, 2, 3, 7):
            with sp.runtime.context(n_threads=n):
                found.append(solver.iterate(ours(S), vectors(LONG, dtype, columns), rtol=1e-4, maxiter=20)[0])
        for x in found[1:]:
            np.testing.assert_array_equal(x, found[0])


@pytest.mark.parametrize("columns", [None, 2])
@each(recorded)
def test_limits(solver, problem, columns):
    """maxiter, with and without a guess that is exact; rtol of 0."""
    S, B = problem.matrix(N, "d"), vectors(N, "d", columns)
    exact = np.ones_like(B)
    for x0 in (None, exact):
        for maxiter in (0, 1, 2, 3):
            (x, info), (y, other) = both(solver, ours(S), S @ exact, x0, maxiter=maxiter, rtol=1e-12)
            assert int(info) == int(other) and info.codes.tolist() == other.codes.tolist()
            assert info.residual_norms.shape == other.residual_norms.shape
            np.testing.assert_allclose(x, y, rtol=1e-9)
    _, info = solver.iterate(ours(S), B, rtol=0, maxiter=4, return_info=True)
    assert int(info) == 4


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow", "ignore:divide")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("columns", [None, 2])
@each(recorded)
def test_numbers_that_are_not_finite(solver, problem, columns, bad):
    """In A or in b: the end, and the code of the way in Python."""
    S, B = problem.matrix(N, "d"), vectors(N, "d", columns)
    A = S.copy()
    A.data[7] = bad
    C = B.copy()
    C[3] = bad
    for matrix, b in ((A, B), (S, C), (A, C)):
        (_, info), (_, other) = both(solver, ours(matrix), b, maxiter=30)
        assert int(info) == int(other) != 0


def test_values_that_change_are_read_anew():
    """No program keeps values."""
    S = scipy.sparse.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)).tocsr()
    A, b = ours(S), vector(N, "d")
    for scale in (1.0, 2.0):
        x, info = linalg.cg(A.with_data(scale * A.data), b, rtol=1e-10)
        assert info == 0 and residual(scale * S, x, b) < 1e-9


# ---- methods that stop by norms which they estimate, and so are taken step by step ---------------------------------


@pytest.fixture
def stepped(monkeypatch):
    """both(solve): what `solve` gives by its program, and by the way in Python."""
    modules = [importlib.import_module(f"mlx_sparse.linalg._krylov.{name}") for name in ("minres", "_least_squares")]
    taken = []

    class Spy(_judged.Stepped):
        def __init__(self, *args):
            taken.append(1)
            super().__init__(*args)

    def both(solve):
        taken.clear()
        for module in modules:
            monkeypatch.setattr(module, "Stepped", Spy)
            monkeypatch.setattr(module, "recorded", _recorded.recorded)
        one = solve()
        assert len(taken) == 1
        for module in modules:
            monkeypatch.setattr(module, "recorded", lambda *args: None)
        other = solve()
        assert len(taken) == 1
        return one, other

    return both


def same_course(found, kind, near):
    (x, info), (y, other) = found
    assert type(x) is type(y) and x.dtype == y.dtype and info.reason == other.reason
    assert abs(info.iterations - other.iterations) <= (kind in "fF")  # rounding moves the end
    x, y = np.asarray(x), np.asarray(y)
    np.testing.assert_allclose(x, y, rtol=0, atol=near * abs(y).max())
    return info, other


@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize(
    "kind, namespace", [(kind, space) for kind in "fdFD" for space in NAMESPACES if (kind, space) != ("D", "mlx")]
)
def test_minres_takes_the_same_steps(stepped, kind, columns, namespace):
    S = scipy.sparse.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)).astype(kind).tocsr()
    b, M = as_namespace(vectors(N, kind, columns), namespace), scipy.sparse.diags_array(1 / S.diagonal())
    M = ours(M.astype(kind).tocsr())
    guess = as_namespace(np.ones(b.shape, kind), namespace)
    for format, preconditioner, x0, shift in (
        ("csr", None, None, 0),
        ("csc", M, guess, 0.5),
        ("dia", M.todia(), None, 0.5),
        ("coo", None, "Mb", 0),
    ):
        A = ours(S, format)
        found = stepped(
            lambda A=A, M=preconditioner, x0=x0, shift=shift: linalg.minres(
                A, b, x0, M=M, shift=shift, rtol=1e-5, return_info=True
            )
        )
        info, other = same_course(found, kind, 1e-4 if kind in "fF" else 1e-8)
        np.testing.assert_allclose(info.residual_norms[:3], other.residual_norms[:3], rtol=1e4 * eps(kind))


@pytest.mark.parametrize("kind", "fdFD")
@pytest.mark.parametrize("columns", [None, 3])
@pytest.mark.parametrize("shape", [(N, N // 2), (N // 2, N)])
@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_least_squares_take_the_same_steps(stepped, kind, columns, shape, name):
    rng = np.random.default_rng(3)
    S = scipy.sparse.random_array(shape, density=0.1, rng=rng) + scipy.sparse.eye_array(*shape) * 4
    S = (S * (1 + 0.5j) if kind in "FD" else S).astype(kind).tocsr()
    b = vectors(shape[0], kind, columns)
    guess = np.ones((shape[1], *b.shape[1:]), kind)
    more = {"calc_var": True} if name == "lsqr" else {}
    for format, damp, x0 in (("csr", 0, None), ("csc", 0.5, None), ("coo", 0, guess), ("bsr", 0.5, guess)):
        A = ours(S, format)
        options = {"damp": damp, "x0": x0, "return_info": True, **more}
        info, other = same_course(
            stepped(lambda A=A, options=options: getattr(linalg, name)(A, b, **options)),
            kind,
            1e-4 if kind in "fF" else 1e-8,
        )
        if kind in "dD":
            for key, value in info.estimates.items():
                np.testing.assert_allclose(value, other.estimates[key], rtol=1e-5, atol=1e-9)


def test_steps_of_long_vectors(stepped):
    """Many blocks and threads, of which results do not depend."""
    S = scipy.sparse.diags_array([-1.0, 4.0, -2.0], offsets=[-1, 0, 3], shape=(LONG, LONG // 2)).tocsr()
    b = vector(LONG, "d")
    for solve in (linalg.lsqr, linalg.lsmr):
        same_course(stepped(lambda solve=solve: solve(ours(S), b, return_info=True)), "d", 1e-8)
        found = []
        for n in (1, 3):
            with sp.runtime.context(n_threads=n):
                found.append(solve(ours(S), b)[0])
        np.testing.assert_array_equal(*found)


# ---- nodes of the graph --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [None, 3])
@each(recorded)
def test_inside_compile(solver, problem, columns):
    S, B = problem.matrix(N, "f"), vectors(N, "f", columns)
    A, M = ours(S), ours(scipy.sparse.diags_array(1 / S.diagonal()).astype("f").tocsr())
    solve = mx.compile(lambda data, b, x0: solver.iterate(A.with_data(data), b, x0, M=M, rtol=1e-4))
    for scale in (1, 3):
        x, info = solve(A.data, mx.array(scale * B), mx.ones(B.shape))
        expected, code = solver.iterate(A, mx.array(scale * B), mx.ones(B.shape), M=M, rtol=1e-4)
        assert isinstance(info, mx.array) and info.dtype == mx.int32 and info.item() == code == 0
        np.testing.assert_allclose(np.array(x), np.array(expected), rtol=1e-4, atol=1e-5)
    x, info = mx.compile(lambda b: solver.iterate(A, b, rtol=1e-9, maxiter=2))(mx.array(B))
    assert info.item() == solver.iterate(A, mx.array(B), rtol=1e-9, maxiter=2)[1] != 0
    x, info = solve(A.data, mx.zeros(B.shape), mx.ones(B.shape))
    assert info.item() == 0 and not np.array(x).any()


@each(recorded)
def test_inside_vmap(solver, problem):
    """Over b, over b and guesses of columns, over the stored values."""
    S, B = problem.matrix(N, "f"), vectors(N, "f", 4)
    A, scales = ours(S), np.array([1, 2, 4], "f")
    x, info = mx.vmap(lambda b: solver.iterate(A, b, rtol=1e-4), in_axes=1, out_axes=(1, 0))(mx.array(B))
    assert info.tolist() == [0] * 4 and residual(S, np.array(x), B) < 1e-3 * solver.lost
    blocks = mx.array(B.reshape(N, 2, 2))
    x, info = mx.vmap(lambda b, x0: solver.iterate(A, b, x0, rtol=1e-4), in_axes=(1, 1), out_axes=(1, 0))(
        blocks, 0 * blocks
    )
    assert info.tolist() == [0] * 2 and residual(S, np.array(x).reshape(N, 4), B) < 1e-3 * solver.lost
    data = mx.array(scales)[:, None] * A.data
    x, info = mx.vmap(lambda d: solver.iterate(A.with_data(d), mx.array(B[:, 0]), rtol=1e-4))(data)
    assert info.tolist() == [0] * 3
    np.testing.assert_allclose(np.array(x) * scales[:, None], np.array(x)[:1].repeat(3, 0), rtol=1e-2, atol=1e-3)


@each(recorded)
def test_derivatives_inside_compile_and_vmap(solver, problem):
    S, B = problem.matrix(N, "f"), vectors(N, "f", 3)
    A, w = ours(S), mx.array(vector(N, "f", 9))

    def loss(data, b):
        return (w * mx.square(solver.iterate(A.with_data(data), b, rtol=1e-5)[0])).sum()

    b = mx.array(B[:, 0])
    expected = mx.grad(loss, argnums=(0, 1))(A.data, b)

    def close(found, expected):
        found, expected = np.array(found), np.array(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3 * abs(expected).max())

    for found in (
        mx.compile(mx.grad(loss, argnums=(0, 1)))(A.data, b),
        mx.grad(mx.compile(loss), argnums=(0, 1))(A.data, b),
    ):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(
                np.array(one), np.array(other), rtol=1e-2, atol=1e-3 * abs(np.array(other)).max()
            )
    rows = mx.vmap(mx.grad(loss, argnums=1), in_axes=(None, 1))(A.data, mx.array(B))
    np.testing.assert_allclose(
        np.array(rows)[0], np.array(expected[1]), rtol=1e-2, atol=1e-3 * abs(np.array(expected[1])).max()
    )
    _, (rate,) = mx.jvp(mx.compile(lambda b: loss(A.data, b)), [b], [mx.ones(N)])
    close(rate, expected[1].sum())


@each(recorded)
def test_what_has_no_node(solver, problem):
    """Operators and callbacks in Python."""
    S, b = problem.matrix(N, "f"), mx.array(vector(N, "f"))
    A = ours(S)
    dense = mx.array(S.toarray())
    for options in ({"A": dense}, {"A": A, "callback": print}, {"A": A, "progress": True}, {"A": A, "M": dense}):
        with pytest.raises(ValueError, match="inside mx.compile"):
            mx.compile(lambda b, options=options: solver.iterate(b=b, **options)[0])(b)

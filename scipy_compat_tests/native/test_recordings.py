"""The interpreter of recorded recurrences by itself: what it computes, and programs that it refuses."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse

from mlx_sparse import _native
from mlx_sparse.linalg._recording import OPERATIONS

N = 40
PASS, PLUS, DOT, RATIO, NEGATE, ADD, SOLVE = (
    OPERATIONS.index(name) for name in ("pass", "plus", "dot", "ratio", "negate", "add", "solve")
)
NOTHING = ([], [], [])


def steepest_descent(**changes):
    """x <- x + (r, r) / (r, A r) r, in vectors x, r, b, A r and scalars (r, r), (r, A r), their ratio, 1, -ratio."""
    residual = [(PASS, 1, 0, 1, 0, 0), (OPERATIONS.index("combine"), 1, 5, 3, 2, 0)]
    step = [
        (PASS, 1, 0, 3, 1, 0),
        (DOT, 1, 1, 3, 0, 0),
        (RATIO, 2, 0, 1, 0, 0),
        (NEGATE, 4, 2, 2, 0, 0),
        (PASS, 3, -1, 0, 0, 0),
        (PLUS, 0, 3, 2, 1, 0),
        (PLUS, 1, 3, 4, 3, 0),
        (DOT, 0, 1, 1, 0, 0),
    ]
    parts = {
        "vectors": 4,
        "scalars": 6,
        "operators": 1,
        "square": 0,
        "constants": [(3, 1.0), (5, -1.0)],
        "guess": (residual, [], []),
        "start": ([(PASS, 1, -1, 0, 0, 0), (DOT, 0, 1, 1, 0, 0)], [], []),
        "steps": [(step, [], [])],
        "halves": 1,
        "tests_last": False,
    }
    parts |= changes
    counts, segments = (
        tuple(parts.pop(name) for name in names)
        for names in (("vectors", "scalars", "operators"), ("guess", "start", "steps"))
    )
    return _native.Recording(counts=counts, segments=segments, **parts)


def system():
    S = scipy.sparse.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)).tocsr()
    parts = [mx.array(S.data, dtype=mx.float64), *(mx.array(a.astype(np.int32)) for a in (S.indices, S.indptr))]
    return S, [parts]


@pytest.mark.parametrize("guess", [False, True])
def test_steepest_descent(guess):
    S, operators = system()
    for b in (np.arange(1.0, N + 1), np.arange(2.0 * N).reshape(N, 2)):
        x, tolerance = np.ones_like(b), [1e-9] * (1 if b.ndim == 1 else 2)
        codes, norms = _native.krylov_numpy(steepest_descent(), operators, b, x, guess, tolerance, 200)
        assert codes == [0] * len(tolerance)
        assert np.linalg.norm(b - S @ x, axis=0).max() < 1e-8
        np.testing.assert_allclose(norms[0], np.linalg.norm(b - S @ (guess * np.ones_like(b)), axis=0))


CHANGES = (
    {"square": 6},
    {"square": -1},
    {"vectors": 2},
    {"vectors": 3},  # r is multiplied into a fourth
    {"scalars": 4},
    {"operators": 0},
    {"halves": 0},
    {"steps": []},
    {"constants": [(6, 1.0)]},
    {"start": ([(99, 0, 0, 0, 0, 0)], [], [])},
    {"start": ([(-1, 0, 0, 0, 0, 0)], [], [])},
    {"start": ([(DOT, 0, 1, 1, 0, 0)], [], [])},  # outside a pass
    {"start": ([(PASS, 2, -1, 0, 0, 0), (DOT, 0, 1, 1, 0, 0)], [], [])},  # a pass that is cut off
    {"start": ([(PASS, 1, -1, 0, 0, 0), (ADD, 0, 1, 1, 0, 0)], [], [])},  # a scalar within it
    {"start": ([(PASS, 1, -1, 0, 0, 0), (PLUS, 2, 3, 3, 1, 0)], [], [])},  # writes to b
    {"start": ([(PASS, 0, 0, 1, 1, 0)], [], [])},  # a product in place
    {"start": ([(SOLVE, 3, 1, 1, 0, 0)], [], [])},  # with an operator that is none
    {"start": ([(SOLVE, 2, 0, 1, 0, 0)], [], [])},  # writes to b
    {"start": ([(SOLVE, 4, 0, 1, 0, 0)], [], [])},
    {"start": ([(SOLVE, 3, 0, -1, 0, 0)], [], [])},
    {"start": ([(SOLVE, 3, 0, 1, 16, 0)], [], [])},
    {"start": ([(SOLVE, 3, 0, 1, 1, 0)], [], [])},  # with what is multiplied by
    {"start": ([(PASS, 1, -1, 0, 0, 0), (SOLVE, 3, 0, 1, 1, 0)], [], [])},  # within a pass
    {"start": ([], [0, 1, 2, 2], [])},
    {"start": ([], [0, 2, 1, 3], [])},
    {"start": ([], [0, 1, 2], [])},
    {"start": ([], [], [(0, 6)])},
    {"spaces": [0, 0, 0]},
    {"spaces": [0, 0, 0, 2]},
    {"spaces": [0, 0, 1, 0]},  # b and its residual apart
    {"spaces": [1, 0, 0, 0]},  # operands that differ in length
    {"spaces": [0, 0, 0, 1]},
    {"start": ([], [3, 1, 2, 0], []), "spaces": [1, 0, 0, 0]},
)


@pytest.mark.parametrize("change", CHANGES)
def test_programs_that_would_leave_their_memory(change):
    with pytest.raises(ValueError):
        steepest_descent(**change)


def test_operands_that_do_not_fit():
    _, operators = system()
    recording, b = steepest_descent(), np.ones(N)
    good = {"operators": operators, "b": b, "x": b.copy(), "tolerance": [1e-9]}
    narrow = [[operators[0][0].astype(mx.float32), *operators[0][1:]]]
    for change in (
        {"operators": []},
        {"operators": [operators[0][:2]]},
        {"operators": narrow},
        {"operators": [[operators[0][0][:-1]]]},
        {"operators": [[mx.zeros(N, dtype=mx.float64)]]},  # a diagonal where a product is asked for
        {"b": np.ones(N + 1), "x": np.ones(N + 1)},
        {"x": np.ones(N + 1)},
        {"x": np.ones(N, np.float32)},
        {"b": np.ones(2 * N)[::2]},
        {"b": np.ones((N, 1, 1)), "x": np.ones((N, 1, 1))},
        {"b": np.ones(N, int), "x": np.ones(N, int)},
        {"tolerance": []},
    ):
        given = good | change
        with pytest.raises((ValueError, RuntimeError)):
            _native.krylov_numpy(recording, guess=False, maxiter=5, **given)


def test_triangles_that_do_not_fit():
    """y <- T^-1 b at the start, over vectors x, r, b, y."""
    S, operators = system()
    T = scipy.sparse.tril(S, format="csr")
    triangle = [mx.array(T.data, dtype=mx.float64), *(mx.array(a.astype(np.int32)) for a in (T.indices, T.indptr))]
    start = [(SOLVE, 1, 1, 2, 1, 0), (PASS, 1, -1, 0, 0, 0), (DOT, 0, 1, 1, 0, 0)]
    recording = steepest_descent(operators=2, start=(start, [], []))

    def norm(triangle, b):
        return _native.krylov_numpy(recording, [*operators, triangle], b, b.copy(), False, [0.0], 0)[1][0]

    b = np.arange(1.0, N + 1)
    expected = np.linalg.norm(scipy.sparse.linalg.spsolve_triangular(T, b))
    assert abs(norm(triangle, b) - expected) < 1e-12 * expected
    for bad in (triangle[:1], triangle[:2], [triangle[0][:-1], *triangle[1:]], [*triangle[:2], triangle[2][:-1]]):
        with pytest.raises((ValueError, RuntimeError)):
            norm(bad, b)
    with pytest.raises(ValueError):
        norm([*triangle, triangle[1][:3], triangle[2]], b)
    with pytest.raises(ValueError):
        norm([triangle[0].astype(mx.float32), *triangle[1:]], b)


# ---- step by step --------------------------------------------------------------------------------------------------


def landweber(spaces=(1, 0, 0, 1)):
    """x <- x + A^H r / 2, r <- r - A A^H r / 2 over vectors x, r, b, A^H r, and one of A A^H r; scalars (r, r), 1/2."""
    step = [
        (PASS, 1, 1, 3, 1, 0),
        (PLUS, 0, 1, 1, 3, 0),
        (PASS, 2, 0, 4, 3, 0),
        (PLUS, 1, 2, 2, 4, 0),
        (DOT, 0, 1, 1, 0, 0),
    ]
    parts = {"start": ([(PASS, 1, -1, 0, 0, 0), (DOT, 0, 1, 1, 0, 0)], [], []), "steps": [(step, [], [])]}
    constants = [(1, 0.5), (2, -0.5)]
    changes = {"vectors": 5, "scalars": 3, "operators": 2, "constants": constants, "guess": NOTHING}
    return steepest_descent(**parts, **changes, spaces=[*spaces, 0])


def rectangle():
    """A and A^H, of norms below 1."""
    S = scipy.sparse.random_array((60, N), density=0.1, rng=np.random.default_rng(0)).tocsr()
    S /= scipy.sparse.linalg.norm(S)
    parts = [
        [mx.array(B.data, dtype=mx.float64), *(mx.array(a.astype(np.int32)) for a in (B.indices, B.indptr))]
        for B in (S, S.T.tocsr())
    ]
    return S, parts


@pytest.mark.parametrize("columns", [None, 2])
def test_steps_between_two_spaces(columns):
    S, operators = rectangle()
    rows, shape = (60, N) if columns is None else ((60, columns), (N, columns))
    r, x = np.random.default_rng(1).standard_normal(rows), np.zeros(shape)
    steps = _native.KrylovSteps(landweber(), operators, x, r)
    y, s = x.copy(), r.copy()
    found = steps.start(1)
    for _ in range(4):
        np.testing.assert_allclose(np.ravel(found), np.atleast_1d((s * s).sum(axis=0)))
        np.testing.assert_allclose(steps.vector(1), s)
        found = steps.step(1)
        g = S.T @ s
        y, s = y + g / 2, s - S @ g / 2
    np.testing.assert_allclose(x, y)
    np.testing.assert_allclose(steps.vector(0), y)


def test_steps_refuse_what_does_not_fit():
    _, operators = rectangle()
    r, x = np.ones(60), np.zeros(N)
    good = {"recording": landweber(), "operators": operators, "x": x, "r": r}
    for change in (
        {"operators": operators[::-1]},
        {"operators": operators[:1]},
        {"x": r},
        {"r": x},
        {"x": np.zeros((N, 2))},
        {"r": np.ones((60, 1))},
        {"x": x.astype(np.float32)},
        {"x": np.zeros(2 * N)[::2]},
        {"x": x.astype(int), "r": r.astype(int)},
        {"x": np.zeros((N, 0)), "r": np.ones((60, 0))},
        {"recording": steepest_descent()},
    ):
        with pytest.raises((ValueError, RuntimeError)):
            _native.KrylovSteps(**(good | change))
    for spaces in ((0, 0, 0, 1), (1, 0, 0, 0)):
        with pytest.raises(ValueError):
            landweber(spaces)
    steps = _native.KrylovSteps(**good)
    for wrong in (
        lambda: steps.start(4),
        lambda: steps.step(-1),
        lambda: steps.freeze([]),
        lambda: steps.vector(5),
        lambda: steps.vector(-1),
    ):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(ValueError):  # whose vectors differ in length
        _native.krylov_numpy(landweber(), operators, np.ones(N), np.ones(N), False, [0.0], 3)

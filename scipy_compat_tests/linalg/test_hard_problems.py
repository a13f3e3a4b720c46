"""Every iterative method on problems that it may not be able to solve, natively, step by step and of several columns.

A method ends soon, claims no solution that is none, solves what SciPy's solves, and refuses what SciPy's refuses.
"""

import time
import warnings

import mlx.core as mx
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp

N, RTOL = 30, 1e-8
SYSTEMS = ("cg", "cgs", "bicg", "bicgstab", "gmres", "lgmres", "gcrotmk", "minres", "qmr", "tfqmr")
LEAST_SQUARES = ("lsqr", "lsmr")
IN_CYCLES = ("gmres", "lgmres", "gcrotmk")
WAYS = ("ndarray", "mx.array", "columns", "products")


def line(n, data):
    A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsr()
    A.data[4] = A.data[4] if data is None else data
    return A


def singular(n):
    A = line(n, None).tolil()
    A[0, 0] = A[n - 1, n - 1] = 1.0
    return A.tocsr()


def cycle(n):
    return scipy.sparse.coo_array((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n)).tocsr()


MATRICES = {
    "definite": line(N, None),
    "singular": singular(N),
    "indefinite": scipy.sparse.diags_array(np.where(np.arange(N) % 2, 1.0, -2.0)).tocsr(),
    "skew": scipy.sparse.diags_array([-1.0, 1.0], offsets=[-1, 1], shape=(N, N)).tocsr(),
    "nilpotent": scipy.sparse.diags_array([1.0], offsets=[1], shape=(N, N)).tocsr(),
    "cyclic": cycle(N),
    "zero": scipy.sparse.csr_array((N, N)),
    "nan": line(N, np.nan),
    "inf": line(N, np.inf),
    "huge": line(N, None) * 1e300,
    "number": scipy.sparse.csr_array([[3.0]]),
    "zero number": scipy.sparse.csr_array((1, 1)),
}
SOLVED = ("definite", "indefinite", "number")  # by whatever method solves them in SciPy, rounding or not


P = sp.linalg.preconditioners
GIVEN = {  # made of another matrix, which is definite
    "ilu0": P.ilu0,
    "ichol0": P.ichol0,
    "ssor": P.ssor,
    "chebyshev": P.chebyshev,
    "jacobi": P.jacobi,
}
TRACED = ("cg", "cgs", "bicg", "bicgstab", "qmr", "tfqmr")  # inside mx.compile


def right_hand_sides(S):
    n = S.shape[0]
    b = np.random.default_rng(0).standard_normal(n)
    with np.errstate(all="ignore"):
        return {
            "any": b,
            "zero": np.zeros(n),
            "nan": np.append(np.nan, b[1:]),
            "inf": np.append(np.inf, b[1:]),
            "unit": np.append(1.0, np.zeros(n - 1)),
            "range": S @ np.ones(n),
        }


def solved(module, name, A, b, x0, **given):
    """(x, info), or the type of the error."""
    limits = {"lsqr": {"iter_lim": 60}, "gmres": {"maxiter": 8, "restart": 10}}
    options = limits.get(name, {"maxiter": 8 if name in IN_CYCLES else 60}) | given
    if name not in LEAST_SQUARES:
        options["rtol"] = RTOL
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return getattr(module, name)(A, b, x0=x0, **options)[:2]
        except (ValueError, RuntimeError) as error:
            return type(error)


def given(way, S, b, x0):
    if way == "mx.array":
        return sp.from_scipy(S), mx.array(b, mx.float64), None if x0 is None else mx.array(x0, mx.float64)
    if way == "columns":
        return sp.from_scipy(S), np.stack([b, b], axis=1), None if x0 is None else np.stack([x0, x0], axis=1)
    return scipy.sparse.linalg.aslinearoperator(S) if way == "products" else sp.from_scipy(S), b, x0


@pytest.mark.parametrize("guess", [None, "ones"])  # which are the solution of "range"
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", SYSTEMS + LEAST_SQUARES)
def test_hard_problems(name, matrix, way, guess, double):
    S = MATRICES[matrix]
    x0 = None if guess is None else np.ones(S.shape[0])
    for kind, b in right_hand_sides(S).items():
        theirs = solved(scipy.sparse.linalg, name, S, b, x0)
        start = time.perf_counter()
        ours = solved(sp.linalg, name, *given(way, S, b, x0))
        assert time.perf_counter() - start < 20, kind  # on a machine however busy
        if isinstance(ours, type):
            overflows = not np.isfinite(b @ b)
            assert ours is theirs or (ours is ValueError and overflows), (kind, theirs)
            continue
        assert not isinstance(theirs, type), kind
        x = np.asarray(ours[0]).reshape(len(b), -1)
        infos = np.atleast_1d(ours[1])
        with np.errstate(all="ignore"):
            left = np.linalg.norm(b[:, None] - S @ x, axis=0)
            known = np.linalg.norm(b - S @ theirs[0])
        if not np.isfinite(b).all():
            assert (infos != 0).all(), kind
        elif not b.any():  # of which nothing depends on A
            assert not x.any() and (name in LEAST_SQUARES or not infos.any()), kind
        elif name in LEAST_SQUARES:
            if np.isfinite(known) and matrix != "huge":  # they stop at 1e-6, of estimates
                assert (left <= known + 1e-3 * np.linalg.norm(b)).all(), kind
        else:
            claimed = infos == 0 if x.shape[1] == 1 or infos.size > 1 else np.repeat(infos == 0, x.shape[1])
            if name != "minres":  # which stops at least squares, too
                assert (left[claimed] <= 2 * RTOL * np.linalg.norm(b)).all(), kind
            if matrix in SOLVED and theirs[1] == 0:
                assert claimed.all(), kind


def check_claims(S, b, x, infos, kind):
    """Of x (n, k): where info is 0 it is a solution, and what is not finite has none."""
    with np.errstate(all="ignore"):
        left = np.linalg.norm(b[:, None] - S @ x, axis=0)
    if not np.isfinite(b).all():
        assert (infos != 0).all(), kind
    elif not b.any():
        assert not x.any() and not infos.any(), kind
    else:
        assert (left[np.broadcast_to(infos == 0, left.shape)] <= 2 * RTOL * np.linalg.norm(b)).all(), kind


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("preconditioner", GIVEN)
@pytest.mark.parametrize("name", SYSTEMS)
def test_preconditioned(name, preconditioner, matrix, way, device):
    if device == "gpu":
        pytest.skip("MLX has no float64 on a GPU")
    S = MATRICES[matrix]
    n = S.shape[0]
    M = GIVEN[preconditioner](sp.from_scipy(line(n, None) if n > 1 else scipy.sparse.csr_array([[2.0]])))
    word, split = ("M1", {"M2": P.identity(n)}) if name == "qmr" else ("M", {})  # SciPy's qmr asks for both
    for kind, b in right_hand_sides(S).items():
        start = time.perf_counter()
        ours = solved(sp.linalg, name, *given(way, S, b, None), **{word: M})
        assert time.perf_counter() - start < 20, kind
        if isinstance(ours, type):  # as minres and those in cycles say of what is not finite or definite
            with np.errstate(all="ignore"):
                assert not np.isfinite(b @ b) or name in ("minres", *IN_CYCLES), kind
            continue
        if name != "minres" or not b.any():
            check_claims(S, b, np.asarray(ours[0]).reshape(n, -1), np.atleast_1d(ours[1]), kind)
        if matrix == "definite" and kind in ("any", "range"):  # two-sided methods break down on units
            theirs = solved(scipy.sparse.linalg, name, S, b, None, **{word: M} | split)
            assert theirs[1] != 0 or not np.any(ours[1]), kind


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("preconditioner", [None, *GIVEN])
@pytest.mark.parametrize("name", TRACED)
def test_inside_compile(name, preconditioner, matrix, device):
    if device != "cpu":
        pytest.skip("MLX has no float64 on a GPU")
    S = MATRICES[matrix]
    n, A = S.shape[0], sp.from_scipy(S)
    definite = sp.from_scipy(line(n, None) if n > 1 else scipy.sparse.csr_array([[2.0]]))
    M = {} if preconditioner is None else {"M1" if name == "qmr" else "M": GIVEN[preconditioner](definite)}
    solve = mx.compile(lambda b: getattr(sp.linalg, name)(A, b, rtol=RTOL, maxiter=60, **M))
    for kind, b in right_hand_sides(S).items():
        x, info = solve(mx.array(b, mx.float64))
        check_claims(S, b, np.asarray(x).reshape(n, 1), np.atleast_1d(np.asarray(info)), kind)
        expected = solved(sp.linalg, name, A, b, None, **M)
        if not isinstance(expected, type):
            assert info.item() == expected[1], kind


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SYSTEMS + LEAST_SQUARES)
def test_nothing(name, way, double):
    A, b, _ = given(way, scipy.sparse.csr_array((0, 0)), np.zeros(0), None)
    x, info = solved(sp.linalg, name, A, b, None)
    assert x.shape == b.shape and not np.any(info)

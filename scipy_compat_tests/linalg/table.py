"""The table of solvers and problems that the property files read: a new solver or problem is one row.

test_solution     residuals and SciPy's solution        test_conventions  namespaces, dtypes, options, callbacks
test_batches      several right-hand sides              test_bad_input    refusals and failures
test_gradients    derivatives and what has none         test_iteration    codes, SolverInfo, what interrupts
test_recorded     programs that are replayed natively
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from scipy.sparse.linalg import LinearOperator

import mlx_sparse as sp
from mlx_sparse import linalg

from . import systems


@dataclass(frozen=True)
class Problem:
    name: str
    kinds: frozenset[str]  # what a solver may ask for
    build: Callable[[int, str], Any]  # (n, dtype) -> SciPy csr array

    @cache  # noqa: B019
    def matrix(self, n, dtype):
        return self.build(n, dtype)


PROBLEMS = (
    Problem("general", frozenset({"general"}), systems.general),
    Problem("hermitian", frozenset({"definite", "general"}), systems.hermitian),
    Problem("line", frozenset({"definite", "general"}), systems.line),
    Problem("lower", frozenset({"lower"}), partial(systems.triangle, lower=True)),
    Problem("upper", frozenset({"upper"}), partial(systems.triangle, lower=False)),
    Problem("indefinite", frozenset({"indefinite"}), systems.indefinite),
    Problem("tall", frozenset({"tall"}), systems.tall),
    Problem("laplacian", frozenset({"semidefinite"}), systems.laplacian),
)


@dataclass(frozen=True)
class Solver:
    name: str
    takes: tuple[str, ...]  # kinds of problem
    solve: Callable[..., Any]  # (A, b, rtol) -> x, accurate to rtol
    formats: tuple[str, ...] = ("csr", "csc")  # what A may be without a warning
    gradients: tuple[str, ...] = ("b", "values")  # what x is differentiable in
    inverted: Callable[[Any], Any] = lambda S: S  # what is inverted, of the matrix that is given
    one_column: bool = False  # whether b of shape (n, 1) gives x of that shape, or else of (n,)
    iterate: Callable[..., Any] | None = None  # (A, b, x0, rtol=, atol=, maxiter=, M=, callback=) -> (x, info)
    atol: bool = True  # whether `iterate` takes it
    guessed: int = 0  # the steps that it takes from a first guess which is the solution
    least: bool = False  # whether it solves an inconsistent system too, in the sense of least squares
    twin: Callable[..., Any] | None = None  # SciPy's `iterate`, whose callback takes xk
    calls: int = 0  # of the callback before the first step
    finite: bool = False  # whether b with nan is an error
    twin_takes: str = "fdFD"  # dtypes
    make: Callable[..., Any] | None = None  # A -> what solves, where that is made beforehand
    direct: bool = True  # whether it solves without iterating
    adjoint: bool = False  # whether it asks for products with the adjoint
    halves: bool = False  # whether it may end within an iteration, of which `callback` then learns nothing
    codes: bool = True  # whether it tells of a breakdown by SciPy's codes, or else by `maxiter`
    inform: Callable[..., Any] | None = None  # (A, b, rtol=, maxiter=, progress=) -> (x, SolverInfo), if not `iterate`
    limit: int | None = None  # what its `info` is after maxiter iterations, if not so many
    recorded: bool = False  # whether it is replayed natively, and is a node inside mx.compile and mx.vmap
    asks: int = 10  # how many times as accurate a solution it is asked for as is looked for
    traceable: bool = False  # whether it works inside mx.compile and mx.vmap
    nodes: bool = False  # whether it does so where only b is traced
    lost: int = 1  # how many times as much as for others rounding may leave

    def __call__(self, A, b, rtol=1e-6):
        return self.solve(A, b, rtol)

    def informed(self, A, b, **options):
        return (self.inform or partial(self.iterate, return_info=True))(A, b, **options)


def _iterative(iterate, preconditioner=None):
    def solve(A, b, rtol):
        x, info = iterate(A, b, rtol=rtol, M=preconditioner and preconditioner(A))
        assert info == 0
        return x

    return solve


def _in_cycles(name, long, calls=0, finite=False, **options):
    """A row whose steps are cycles as short as `options` say, so that there are some; solutions take `long` ones."""
    twin = getattr(scipy.sparse.linalg, name)

    def of_scipy(A, b, *args, maxiter=None, **others):
        if maxiter == 0:  # of which SciPy's fail
            return np.zeros_like(b), 0
        limit = {} if maxiter is None else {"maxiter": maxiter}
        return twin(A, b, *args, **limit, **options, **others)

    solver = getattr(linalg, name)
    kinds = ("general", "semidefinite")
    cycles = {"iterate": partial(solver, **options), "twin": of_scipy, "calls": calls, "finite": finite}
    return Solver(
        name, kinds, _iterative(partial(solver, **long)), systems.ALL_FORMATS, direct=False, codes=False, **cycles
    )


def _least_squares(solve):
    def found(A, b, rtol):
        x, istop, *_ = solve(A, b, 0.0, 1e-3 * rtol, 1e-3 * rtol, 0.0, 1000)
        assert np.isin(istop, (1, 2, 4, 5)).all()
        return x

    return found


def _informed_least_squares(solve, limit):
    def inform(A, b, rtol=1e-6, maxiter=None, **options):
        return solve(A, b, atol=rtol, btol=rtol, **{limit: maxiter}, return_info=True, **options)

    return inform


def _jacobi(A):
    return sp.diags_array(1 / A.diagonal())


def _one_sided(A, b, x0=None, M=None, **options):
    return linalg.qmr(A, b, x0, M1=M, **options)


def _scipys_one_sided(A, b, x0=None, M=None, **options):
    M1, M2 = (
        (None, None) if M is None else map(scipy.sparse.linalg.aslinearoperator, (M, scipy.sparse.eye_array(len(b))))
    )
    return scipy.sparse.linalg.qmr(A, b, x0, M1=M1, M2=M2, **options)


def _two_sided(A, b, M=None, **options):
    return linalg.qmr(A, b, M1=M, M2=None if M is None else 2 * M, **options)


def _preconditioned_on_the_right(A, b, x0=None, M=None, callback=None, **options):
    """SciPy's tfqmr of A M, where it is given M: its own use of M solves another system unless they commute."""
    M = scipy.sparse.eye_array(A.shape[0], dtype=A.dtype) if M is None else M
    observe = callback and (lambda y: callback(M @ y))
    y, info = scipy.sparse.linalg.tfqmr(A @ M, b, x0, callback=observe, **options)
    return M @ y, info


def _incomplete(A):
    lu = linalg.spilu(A.tocsc())
    return LinearOperator(A.shape, matvec=lu.solve, dtype=np.asarray(lu.L.data).dtype)


def _factored(make, trans="N"):
    return lambda A, b, rtol: make(A).solve(b, trans)


def _substitution(lower, unit):
    def solve(A, b, rtol):
        return linalg.spsolve_triangular(A, b, lower, overwrite_A=True, overwrite_b=True, unit_diagonal=unit)

    return solve


def _with_unit_diagonal(S):
    S = S.tolil()
    S.setdiag(1)
    return S.tocsr()


_complete = partial(linalg.spilu, drop_tol=0, fill_factor=50)
_twin = scipy.sparse.linalg
_krylov = partial(Solver, formats=systems.ALL_FORMATS, direct=False, recorded=True)
_judged = partial(_krylov, recorded=False)
_exact = partial(_krylov, lost=10, asks=100)  # the residuals that they know are not quite those of their iterates
_drifting = partial(_krylov, lost=50)  # their residuals rise before they fall, or are known by a bound only
_any = ("general", "semidefinite")
_lu = partial(Solver, takes=("general",), formats=("csc",), one_column=True)
_lower = partial(Solver, takes=("lower",), one_column=True, traceable=True)
_upper = partial(Solver, takes=("upper",), one_column=True, traceable=True)
_spd = ("definite",)

SOLVERS = (
    _krylov("cg", ("definite", "semidefinite"), _iterative(linalg.cg), iterate=linalg.cg, twin=_twin.cg),
    _krylov("cg-jacobi", _spd, _iterative(linalg.cg, _jacobi)),
    Solver("cg-spilu", _spd, _iterative(linalg.cg, _incomplete), ("csc",), ("b",), direct=False),
    _drifting("cgs", _any, _iterative(linalg.cgs), iterate=linalg.cgs, twin=_twin.cgs),
    _krylov("bicg", _any, _iterative(linalg.bicg), iterate=linalg.bicg, twin=_twin.bicg, adjoint=True),
    _krylov("bicg-jacobi", ("general",), _iterative(linalg.bicg, _jacobi), adjoint=True),
    _exact("bicgstab", _any, _iterative(linalg.bicgstab), iterate=linalg.bicgstab, twin=_twin.bicgstab, halves=True),
    _exact("bicgstab-jacobi", ("general",), _iterative(linalg.bicgstab, _jacobi)),
    _exact("qmr", _any, _iterative(_one_sided), iterate=_one_sided, twin=_scipys_one_sided, adjoint=True),
    _exact("qmr-two", ("general",), _iterative(_two_sided, _jacobi), adjoint=True),
    _drifting("tfqmr", _any, _iterative(linalg.tfqmr), iterate=linalg.tfqmr, twin=_preconditioned_on_the_right),
    _drifting("tfqmr-jacobi", ("general",), _iterative(linalg.tfqmr, _jacobi)),
    _in_cycles("gmres", {"restart": 100}, restart=4, callback_type="x"),
    _in_cycles("lgmres", {"inner_m": 100}, calls=1, finite=True, inner_m=2, outer_k=1),
    _in_cycles("gcrotmk", {"m": 100}, calls=1, finite=True, m=2, k=2),
    _judged(
        "minres",
        ("definite", "indefinite", "semidefinite"),
        lambda A, b, rtol: linalg.minres(A, b, rtol=1e-4 * rtol)[0],
        iterate=lambda *args, rtol=1e-7, **options: linalg.minres(*args, rtol=rtol, **options),
        twin=lambda *args, rtol=1e-7, **options: _twin.minres(*args, rtol=rtol, **options),
        twin_takes="fd",
        codes=False,
        atol=False,
        guessed=1,
        least=True,
    ),
    _judged(
        "lsqr",
        ("tall",),
        _least_squares(linalg.lsqr),
        inform=_informed_least_squares(linalg.lsqr, "iter_lim"),
        limit=7,
    ),
    _judged(
        "lsmr",
        ("tall",),
        _least_squares(linalg.lsmr),
        inform=_informed_least_squares(linalg.lsmr, "maxiter"),
        limit=7,
    ),
    Solver("spsolve", ("general",), lambda A, b, rtol: linalg.spsolve(A, b)),
    Solver("spsolve-lu", ("general",), lambda A, b, rtol: linalg.spsolve(A, b, method="lu")),
    Solver("spsolve-cholesky", _spd, lambda A, b, rtol: linalg.spsolve(A, b, method="cholesky"), nodes=True),
    Solver("spsolve-banded", _spd, lambda A, b, rtol: linalg.spsolve(A, b, method="banded")),
    Solver("cholesky", _spd, lambda A, b, rtol: linalg.cholesky(A).solve(b), one_column=True, nodes=True),
    Solver(
        "ldl",
        ("definite", "indefinite"),
        lambda A, b, rtol: linalg.cholesky(A, method="ldl").solve(b),
        one_column=True,
        nodes=True,
    ),
    _lu("sparse_lu", solve=_factored(linalg.sparse_lu), make=linalg.sparse_lu),
    _lu("splu", solve=_factored(linalg.splu), make=linalg.splu),
    _lu("splu-T", solve=_factored(linalg.splu, "T"), inverted=lambda S: S.T),
    _lu("splu-H", solve=_factored(linalg.splu, "H"), inverted=lambda S: S.conj().T),
    _lu("factorized", solve=lambda A, b, rtol: linalg.factorized(A)(b), make=linalg.factorized),
    _lu("spilu", solve=_factored(_complete), make=linalg.spilu, gradients=("b",)),
    _lower("lower", solve=_substitution(True, False)),
    _upper("upper", solve=_substitution(False, False)),
    _lower("lower-unit", solve=_substitution(True, True), inverted=_with_unit_diagonal),
    _upper("upper-unit", solve=_substitution(False, True), inverted=_with_unit_diagonal),
)


def rows(
    condition=lambda solver: True, every=False, kinds=("definite", "general", "lower", "upper", "indefinite", "tall")
):
    """Parameters (solver, problem): with `every` problem of these kinds that a solver takes, or with the first."""
    found = []
    for solver in filter(condition, SOLVERS):
        fitting = [p for p in PROBLEMS if any(kind in p.kinds for kind in solver.takes if kind in kinds)]
        pairs = fitting if every else fitting[:1]
        found += [pytest.param(solver, p, id=f"{solver.name}-{p.name}") for p in pairs]
    return found


def each(condition=lambda solver: True, **options):
    """A parametrisation over `rows`."""
    return pytest.mark.parametrize(("solver", "problem"), rows(condition, **options))


def direct(solver):
    return solver.direct


def informs(solver):
    return iterative(solver) or solver.inform is not None


def has_codes(solver):
    return iterative(solver) and solver.codes


def iterative(solver):
    return solver.iterate is not None


def recorded(solver):
    return iterative(solver) and solver.recorded


def takes_atol(solver):
    return iterative(solver) and solver.atol


def eps(dtype):
    return float(np.finfo(dtype).eps)


@cache
def tolerance(solver, problem, n, dtype):
    """What rounding may leave of the residual and of the solution, relative to b and to x."""
    condition = np.linalg.cond(solver.inverted(problem.matrix(n, dtype)).toarray())
    power = 2 if "tall" in problem.kinds else 1  # of least squares, by perturbation theory
    return 100 * eps(dtype) * condition**power * lost(solver, dtype, 10)


def lost(solver, dtype, in_double=1):
    """How many times as much as for others rounding may leave of this row's solutions."""
    return solver.lost if dtype in "fF" else min(solver.lost, in_double)

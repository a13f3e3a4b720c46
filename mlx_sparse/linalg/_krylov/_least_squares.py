"""What lsqr and lsmr share: the bidiagonalisation, when it stops, and the derivative of a least-squares solution."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from warnings import warn

import mlx.core as mx
import numpy as np

from .._info import SolverInfo, worst
from .._operator import Operator, Product, constant, is_traced, refusing, surely_traced
from .._problem import NOT_DIFFERENTIABLE, System, host_dtype, workers
from .._recorded import recorded
from .._solve import Inverse, norms, tangents_of
from .._spaces import space
from ._judged import InSpaces, Judge, Method, Stepped, judged, quotient, residuals

_ENDS = (  # by SciPy's codes: in words, and the word of `SolverInfo`
    ("x, or the first guess, is the solution", "converged"),
    ("norm(r) is small enough", "converged"),
    ("norm(A^H r) is small enough: x solves the least-squares problem", "converged"),
    ("cond(A) has exceeded conlim", "conlim"),
    ("norm(r) is as small as rounding lets it be", "converged"),
    ("norm(A^H r) is as small as rounding lets it be", "converged"),
    ("A is singular to working precision", "singular"),
    ("the iteration limit was reached", "maxiter"),
)
_CONDITION, _SINGULAR, _LIMIT = 3, 6, 7


class Options(NamedTuple):
    damp: float
    atol: float
    btol: float
    conlim: float
    limit: int  # most steps
    show: bool
    progress: bool


def options(
    damp: Any, atol: float | None, btol: float | None, conlim: float | None, limit: int, show: bool, progress: bool
) -> Options:
    """With defaults in place of None."""
    if surely_traced(damp):
        raise ValueError("x has no derivative with respect to damp; give a number")
    atol, btol = (1e-6 if given is None else float(given) for given in (atol, btol))
    return Options(abs(float(damp or 0)), atol, btol, 1e8 if conlim is None else float(conlim), limit, show, progress)


# ---- the bidiagonalisation -----------------------------------------------------------------------------------------
# beta u = A v - alpha u and alpha v = A^H u - beta v, where u and v are kept as beta u and alpha v


class Bidiagonal(NamedTuple):
    u: Any
    v: Any
    alpha: Any
    beta: Any
    by_alpha: Any  # 1 / alpha
    by_beta: Any


def first(U: Any, V: Any, r: Any) -> Bidiagonal:
    beta = U.root(U.dot(r, r))
    return _right(U, V, r, beta, V.zeros(), 1)


def following(U: Any, V: Any, at: Bidiagonal) -> Bidiagonal:
    u, square = U.sweep((at.u, -(at.alpha * at.by_beta), at.by_alpha, V.A(at.v)), squared=True)
    beta = U.root(square)
    return _right(U, V, u, beta, at.v, -(beta * at.by_alpha))


def _right(U: Any, V: Any, u: Any, beta: Any, v: Any, weight: Any) -> Bidiagonal:
    by_beta = V.reciprocal(beta)
    v, square = V.sweep((v, weight, by_beta, U.A(u)), squared=True)
    alpha = V.root(square)
    return Bidiagonal(u, v, alpha, beta, V.reciprocal(alpha), by_beta)


# ---- when it stops -------------------------------------------------------------------------------------------------


class LeastSquaresJudge(Judge):
    """The rules of both methods, over the norms that each estimates: of r, A^H r, A, x; and the condition of A."""

    def __init__(self, given: Options, size: float, eps: float) -> None:
        self.given, self.size, self._eps, self.last = given, size, eps, given.limit
        self.alpha = self.beta = 0.0
        self.gradient = self.norm = self.condition = self.x = 0.0

    def begin(self, given: list[float]) -> None:
        self.alpha, self.beta = alpha, beta = given[:2]
        self.size = self.size or beta  # where b is 0 and damp draws x to a first guess
        self.residual, self.gradient = beta, alpha * beta
        finite = math.isfinite(alpha + beta)
        if beta == 0 or (alpha == 0 and finite):
            self.code = 0
        elif self.last <= 0 or not finite:
            self.code, self.broke = _LIMIT, not finite

    @property
    def istop(self) -> int | None:
        """The code that SciPy gives: 0 where no step was asked for."""
        return 0 if self.last <= 0 and not self.broke else self.code

    def decide(self) -> None:
        atol, btol, conlim, eps = self.given.atol, self.given.btol, self.given.conlim, self._eps
        relative = self.residual / self.size
        growth = self.norm * self.x / self.size
        gradient = quotient(self.gradient, self.norm * self.residual)
        condition = quotient(1, self.condition)
        self._seen = relative, gradient
        met = (
            relative <= btol + atol * growth,
            gradient <= atol,
            conlim > 0 and condition <= 1 / conlim,
            relative <= (1 + growth) * eps / 2,
            gradient <= eps / 2,
            condition <= eps / 2,
            self.steps >= self.last,
        )
        if not math.isfinite(self.residual + self.norm + self.x):
            self.code, self.broke = _LIMIT, True
        elif any(met):
            self.code = met.index(True) + 1

    def line(self) -> str:
        numbers = self.residual, self.gradient, *self._seen, self.norm, self.condition, self.x
        return " ".join(f"{number:11.3e}" for number in numbers)


# ---- the whole -----------------------------------------------------------------------------------------------------


class Solver(NamedTuple):
    method: Callable[[float], Method]  # damp -> recurrence
    judge: Callable[[Options, float, float], LeastSquaresJudge]  # (options, norm of b, eps) -> judge


class Found(NamedTuple):
    x: Any
    judges: Sequence[Any]
    history: list[Any]  # norms of the residuals, first and after each step
    run: Any  # with the state of the recurrence; None if it had nothing to do
    sources: Sequence[mx.array] = ()  # as of a `System`

    def shown(self, x: Any) -> Any:
        return x if isinstance(x, int) else refusing(x, self.sources, NOT_DIFFERENTIABLE)

    def results(self, names: dict[str, str]) -> dict[str, Any]:
        """Numbers that the judges hold under these `names`; of several columns, an array for each."""
        found = {key: [getattr(judge, name) for judge in self.judges] for key, name in names.items()}
        several = self.x.ndim == 2
        return {key: self.shown(np.array(values) if several else values[0]) for key, values in found.items()}

    def told(self, estimates: dict[str, Any]) -> SolverInfo:
        ends = ["breakdown" if judge.broke else _ENDS[judge.code][1] for judge in self.judges]
        codes = [judge.code * (end != "converged") for judge, end in zip(self.judges, ends, strict=True)]
        shaped = np.array(codes, int).reshape(self.x.shape[1:])
        norms = self.shown(np.array(self.history))
        return SolverInfo(max(codes, default=0), shaped, norms, worst(ends), estimates)


def least_squares(solver: Solver, system: System, given: Options) -> Found:
    """x of least ``norm(b - A x)^2 + damp^2 norm(x - x0)^2``; an `mx.array` is differentiable in b, x0 and A's values.

    Derivatives are those of x0 + P (b - A x0), where P is the pseudoinverse of A, or with `damp` of A over damp * I.
    """
    A, b, x0, dtype = system.A, system.b, system.x, system.dtype
    fixed = system.constant() if system.lazy else system
    if not system.lazy or not is_traced(b, x0, *A.values):
        return _run(solver, fixed, given)
    found = _run(solver, fixed, given)
    codes = {judge.code for judge in found.judges}
    if codes & {_CONDITION, _SINGULAR} or (not given.damp and A.shape[0] <= A.shape[1] and codes & {2, 5}):
        warn("a derivative is inaccurate: A seems not to have full rank", stacklevel=4)
    r = b if x0 is None else b - A.device(dtype)(x0)
    if given.damp:
        A, r = _Damped(A, given.damp), mx.concatenate([r, mx.zeros((A.shape[1], *r.shape[1:]), r.dtype)])
    limit = max(given.limit, 2 * min(A.shape))
    operator, undamped = A.constant(), given._replace(damp=0.0, limit=limit, show=False, progress=False)

    def solved(b: mx.array, adjoint: bool) -> mx.array:
        found = _run(solver, replace(fixed, A=operator.H if adjoint else operator, b=b, x=None), undamped)
        if any(judge.code in (_CONDITION, _SINGULAR, _LIMIT) for judge in found.judges):
            warn(f"a derivative is inaccurate: its linear system takes more than {limit} steps", stacklevel=2)
        return found.x

    change = _pseudoinverse_product(A, r, solved, found.x if x0 is None else found.x - fixed.x)
    return found._replace(x=change if x0 is None else x0 + change, sources=fixed.sources)


def _run(solver: Solver, system: System, given: Options) -> Found:
    A, b, x = system.A, system.b, system.x
    sizes, zeros = np.atleast_1d(norms(b)), system.zeros()
    judges = [solver.judge(given, float(size), float(np.finfo(host_dtype(b)).eps)) for size in sizes]
    if b.size == 0 or zeros.size == 0:
        for judge in judges:
            judge.begin([0.0, judge.size])
        return Found(zeros if x is None or not given.damp else x, judges, [residuals(judges)], None)
    x, r = system.first(1 if given.damp else sizes)
    if given.show:
        print(f"A: {A.shape[0]} rows, {A.shape[1]} columns; {given}")
        names = "norm(r)", "norm(A^H r)", "|r|/|b|", "..../|A||r|", "norm(A)", "cond(A)", "norm(x)"
        print(f"{'':5s}" * (len(judges) > 1) + "  step " + " ".join(f"{name:>11s}" for name in names))
    method = solver.method(given.damp)
    with workers():
        program = recorded(method.recurrence, system)
        run = Stepped(method, program, x, r, given.limit) if program else _in_spaces(method, system, x, r)
        history = judged(run, judges, None, given.progress, given.show)
    if given.show:
        print("\n".join(f"stopped after {judge.steps} steps: {_ENDS[judge.code or 0][0]}" for judge in judges))
    return Found(run.vector(0), judges, history, run)


def _in_spaces(method: Method, system: System, x: Any, r: Any) -> InSpaces:
    U, V = (space(v, {"A": _same, "M": None}) for v in (system.b, system.zeros()))
    product, adjoint = system.product(system.A), system.product(system.A.H)
    V.A = lambda v: U.vector(product(V.array(v)))
    U.A = lambda u: V.vector(adjoint(U.array(u)))
    return InSpaces(method, (U, V), V.vector(x), U.vector(r))


def _same(x: Any) -> Any:
    return x


# ---- the derivative ------------------------------------------------------------------------------------------------


class _Damped(Operator):
    """An operator over damp * I, for products over `mx.array`."""

    def __init__(self, A: Operator, damp: float, adjoint: bool = False) -> None:
        self._A, self._damp, self._adjoint = A, damp, adjoint  # A itself, not its adjoint
        m, n = A.shape
        self.shape = (n, m + n) if adjoint else (m + n, n)
        self.dtype, self.values = A.dtype, A.values

    def device(self, dtype: mx.Dtype) -> Product:
        A, damp, m = (self._A.H if self._adjoint else self._A).device(dtype), self._damp, self._A.shape[0]
        if self._adjoint:
            return lambda x: A(x[:m]) + damp * x[m:]
        return lambda x: mx.concatenate([A(x), damp * x])

    @property
    def H(self) -> Operator:
        return _Damped(self._A, self._damp, not self._adjoint)

    def constant(self) -> Operator:
        return _Damped(self._A.constant(), self._damp, self._adjoint)

    def with_values(self, values: Sequence[mx.array]) -> Operator:
        return _Damped(self._A.with_values(values), self._damp, self._adjoint)


def _pseudoinverse_product(A: Operator, b: mx.array, solved: Inverse, x: Any = None, adjoint: bool = False) -> mx.array:
    """P b for the pseudoinverse P of `A`, or of A^H, of full rank, as `inverse_product` gives A^-1 b.

    With y = P^H g for the cotangent g of x = P b, the cotangents of b and A are y and -y x^H + r w^H + u q^H, at the
    stored places, where r = b - A x and w = P y, q = g - A^H y and u = P^H x; the values get their part of the latter.
    Of full rank, r is 0 unless A has more rows than columns, q unless it has more columns.
    """
    x = solved(constant(b), adjoint) if x is None else x
    if not is_traced(b, *A.values):
        return x
    rows, columns = A.shape[::-1] if adjoint else A.shape

    def operator(values: Sequence[mx.array]) -> Operator:
        B = A.with_values(values)
        return B.H if adjoint else B

    def inverse(values: Sequence[mx.array], b: mx.array, x: Any = None, H: bool = False) -> mx.array:
        return _pseudoinverse_product(A.with_values(values), b, solved, x, adjoint != H)

    def product(B: Operator, x: mx.array) -> mx.array:
        return B.device(x.dtype)(x)

    def pull(primals: Any, g: mx.array, x: mx.array) -> tuple[mx.array, ...]:
        b, nothing, *values = primals
        y = inverse(values, g, H=True)
        if not values:
            return y, nothing
        B, pairs = operator(values), [(x, -y)]
        if rows > columns:
            pairs.append((inverse(values, y), b - product(B, x)))
        if rows < columns:
            pairs.append((g - product(B.H, y), inverse(values, known(b, nothing, *values), H=True)))
        at, cotangents = zip(*pairs, strict=True)
        return y, nothing, *mx.vjp(lambda *v: [product(operator(v), z) for z in at], values, list(cotangents))[1]

    def push(primals: Any, tangents: Any) -> mx.array:
        (b, nothing, *values), (db, _, *changes) = primals, tangents
        change = mx.zeros_like(b) if db is None else db
        changes = tangents_of(values, changes)
        if not changes:
            return inverse(values, change)
        x, B = inverse(values, b, known(b, nothing, *values)), operator(values)

        def moved(H: bool, z: mx.array) -> mx.array:  # dA z, or dA^H z
            along = lambda *v: product(operator(v).H if H else operator(v), z)  # noqa: E731
            return mx.jvp(along, values, changes)[1][0]

        change = change - moved(False, x)
        if rows > columns:
            change = change + inverse(values, moved(True, b - product(B, x)), H=True)
        if rows < columns:
            q = moved(True, inverse(values, x, H=True))
            change = change - product(B, q)
            return q + inverse(values, change)
        return inverse(values, change)

    known: Any = mx.custom_function(lambda b, nothing, *values: x)
    known.vjp(pull)
    known.jvp(push)
    return known(b, mx.zeros(0), *A.values)

"""Minimal residuals, for Hermitian systems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense
from .._docstrings import documented
from .._info import worst
from .._operator import Operator, Product, constant
from .._problem import System, host_dtype, refuse_traced, workers
from .._recorded import recorded
from .._solve import Callback, Limits, Options, OwnLoop, Recurrence, Solution, norms, solve_system
from .._spaces import space
from ._judged import InSpaces, Judge, Method, Stepped, judged, quotient

_ENDS = {  # by SciPy's codes: in words, and the word of `SolverInfo`
    -1: ("b is an eigenvector", "converged"),
    0: ("the first guess is the solution", "converged"),
    1: ("norm(r) is small enough", "converged"),
    2: ("norm(A r) is small enough: x solves the least-squares problem", "least squares"),
    3: ("norm(r) is as small as rounding lets it be", "converged"),
    4: ("A is singular to working precision", "singular"),
    6: ("the iteration limit was reached", "maxiter"),
}
_LIMIT = 6


@documented
def minres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    shift: Any = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callback = None,
    show: bool = False,
    check: bool = False,
    return_info: bool = False,
    progress: bool = False,
) -> tuple[Any, Any]:
    """Solve ``(A - shift I) x = b`` for a Hermitian `A`, which may be indefinite or singular, by minimal residuals.

    Parameters
    ----------
    {A}
        Hermitian.
    {b}
    {x0}
    rtol : float
        Iteration stops once ``norm(r) <= rtol * norm(A) * norm(x)``, or ``norm(A r) <= rtol * norm(A) * norm(r)`` in
        the step before, for estimates of these norms. A column that has got there stays as it is while the others go
        on.
    shift : float, or mx.array with one floating-point number
        A real number.
    maxiter : int, optional
        Most iterations. Default: ``5 * n``.
    M : same kinds as `A`, optional
        Approximate inverse of ``A - shift I``, Hermitian positive definite.
    {callback}
    show : bool
        Print the estimates as they go, and why iteration stops.
    check : bool
        Look beforehand whether `A` and `M` are Hermitian, at the cost of three products.
    {told}

    Returns
    -------
    x : ndarray or mx.array, shape (n,), or (n, k) for k > 1 columns
        In the namespace of `b`. Where the system has no solution, one of least squares.
    info : int
        0 if a rule stopped the iteration of every column, else `maxiter`. The rules are those of `rtol`; that rounding
        lets the residual become no smaller; and that `A` is singular to working precision.

    Raises
    ------
    {TypeError}
    ValueError
        `A` is not square, or another shape does not match it. `M` turns out to be indefinite; with `check`, `A` or `M`
        not to be Hermitian. `shift` is an `mx.array` of another kind, or traced, and `b` an ndarray; for the rest as in
        `cg`.

    Notes
    -----
    C. C. Paige and M. A. Saunders, Solution of sparse indefinite systems of linear equations, SIAM J. Numer. Anal. 12
    (1975). An `mx.array` x is differentiable with respect to `b`, the values of `A` and an `mx.array` `shift`, as that
    of `cg` is, where ``A - shift I`` is not singular. There `M` and `x0` do not change the solution: their derivatives
    are zero.

    As in SciPy, the estimate of norm(A) holds norm(b), too (unless that is a million times as large), and the tolerance
    with it: where A is small beside b, ask for a smaller `rtol`. Where the system has no solution and `rtol` is near
    working precision, x may grow along the null space of A until ``norm(r)`` is small relative to it.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([1.0, 0.0, 1.0], offsets=[-1, 0, 1], shape=(4, 4))
    >>> x, info = sp.linalg.minres(A, np.ones(4))
    >>> x.round(6) + 0.0, info
    (array([0., 1., 1., 0.]), 0)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once, and complex Hermitian systems. The residual of `x0` is that of the
    shifted system. What is small is so relative to `A`, not to 1 or `b`. What is not finite ends the iteration at once,
    with info `maxiter`. float16 and bfloat16 systems are solved in float32.
    """
    if _dense.is_mlx(shift) and (shift.size != 1 or not mx.issubdtype(shift.dtype, mx.floating)):
        raise ValueError(f"shift must be one floating-point number; got shape {shift.shape} of {shift.dtype}")
    if not _dense.is_mlx(b):
        refuse_traced(shift, "x of an ndarray b")
    method, options = _Minres(shift, show, check), Options(rtol, 0.0, maxiter, callback, return_info, progress)
    return solve_system(method, A, b, x0, (M,), options, per_row=5)


class _Minres(OwnLoop):
    hermitian = True

    def __init__(self, shift: Any, show: bool = False, check: bool = False) -> None:
        self._shift, self._show, self._check = shift, show, check

    def fresh(self) -> OwnLoop:
        return _Minres(self._shift)

    def inverted(self, A: Operator) -> Operator:
        return _Shifted(A, self._shift) if _dense.is_mlx(self._shift) or self._shift else A

    def iterate(self, system: System, limits: Limits, callback: Callback, progress: bool) -> Solution:
        b, given = system.b, self._shift
        sizes = np.atleast_1d(norms(b))
        shift = float(_dense.view(constant(given)).item() if _dense.is_mlx(given) else given)
        x, r = system.first(sizes)
        r = r + shift * x if shift and system.x is not None else r
        eps = float(np.finfo(host_dtype(b)).eps)
        if self._check:
            V = _space(system)
            _check(V, V.vector(r), eps)
        judges = [_Judge(eps, float(rtol), limits.maxiter) for rtol in np.broadcast_to(limits.rtol, sizes.shape)]
        method = _method(shift, eps)
        if self._show:
            limit = f"rtol {limits.rtol:g}, at most {limits.maxiter} iterations"
            print(f"minres: {len(b)} unknowns, shift {shift:g}, {limit}")
            print(f"{'':5s}" * (len(judges) > 1) + "  step     norm(r) |r|/|A||x| |Ar|/|A||r|     norm(A)     cond(A)")
        told = callback and (lambda x: callback(system.shown(system.finish(x))))
        with workers():
            program = None if callback else recorded(method.recurrence, system)
            if program:
                run: Stepped | InSpaces = Stepped(method, program, x, r, limits.maxiter)
            else:
                V = _space(system)
                run = InSpaces(method, (V,), V.vector(x), V.vector(r))
            history = judged(run, judges, told, progress, self._show)
        ends = [_LIMIT if judge.code is None else judge.code for judge in judges]
        if self._show:
            for judge, code in zip(judges, ends, strict=True):
                print(f"stopped after {judge.steps} steps: {_ENDS[code][0]}")
        codes = np.array([limits.maxiter * (code == _LIMIT) for code in ends]).reshape(b.shape[1:])
        reason = worst("breakdown" if judge.broke else _ENDS[code][1] for judge, code in zip(judges, ends, strict=True))
        return Solution(run.vector(0), int(codes.max()), codes, history, reason)


def _space(system: System) -> Any:
    M = None
    if system.M:
        apply = system.product(system.M)  # whose result outlives the next, which some put into the same array
        M = apply if system.lazy else lambda r: apply(r).copy()
    return space(system.b, {"A": system.product(system.A), "M": M})


class _Shifted(Operator):
    """A - shift I, for products over `mx.array`."""

    def __init__(self, A: Operator, shift: Any) -> None:
        self._A, self._shift = A, shift
        self.shape, self.dtype = A.shape, A.dtype
        self.values = (*A.values, shift) if _dense.is_mlx(shift) else A.values

    def device(self, dtype: mx.Dtype) -> Product:
        A, shift = self._A.device(dtype), self._shift
        if _dense.is_mlx(shift):
            shift = shift.reshape(()).astype(mx.float32 if dtype == mx.complex64 else dtype)
        return lambda x: A(x) - shift * x

    @property
    def H(self) -> Operator:
        return _Shifted(self._A.H, self._shift)

    def with_values(self, values: Sequence[mx.array]) -> Operator:
        known = len(self._A.values)
        return _Shifted(self._A.with_values(values[:known]), values[known] if values[known:] else self._shift)


def _check(V: Any, r: Any, eps: float) -> None:
    for name, x, product in (("matrix", V.M(r), V.A), ("preconditioner", r, V.M)):
        z = product(x)
        found = V.settle((V.real(V.dot(z, z)), V.real(V.dot(x, product(z)))))
        for s, t in V.numbers(found):
            if abs(s - t) > s * eps ** (1 / 3):
                raise ValueError(f"non-symmetric {name}: products with it differ from those with its adjoint")


# ---- the recurrence ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)  # of which programs are kept
def _method(shift: float, eps: float) -> Method:
    return Method(Recurrence(_start, partial(_step, shift=shift, least=10 * eps), hermitian=True), 7)


def _start(V: Any, x: Any, r: Any) -> tuple[Any, ...]:
    y = V.M(r)
    square = V.real(V.dot(r, y))
    beta = V.root(square)
    none, one = 0 * beta, V.reciprocal(beta) * beta
    lanczos = V.zeros(), r, y, beta, none
    rotations = V.zeros(), V.zeros(), -one, none, none
    return x, square, none, none, none, none, beta, none, *lanczos, *rotations


def _step(V: Any, state: tuple[Any, ...], shift: float, least: float) -> tuple[Any, ...]:
    x, _, _, _, dbar, _, phibar, _, before, r, y, beta, growth, w1, w2, c, s, epsilon = state
    # Lanczos: beta' v' = A v - shift v - alpha v - beta v_before, of vectors that stay unscaled: r = beta v without M
    inverse = V.reciprocal(beta)
    updates = [(before, -growth, inverse, V.A(y))]
    if shift:
        updates.append((before, 1, V.minus(shift * inverse), y))
    q = V.sweep(*updates)[-1]
    alpha = V.real(V.dot(y, q)) * inverse
    q, square = V.sweep((q, 1, V.minus(alpha * inverse), r), squared=True)
    z = V.M(q)
    square = V.real(square if z is q else V.dot(q, z))
    new = V.root(square)
    # a column of the tridiagonal matrix, by the two rotations before and a new one
    delta, gbar = c * dbar + s * alpha, s * dbar - c * alpha
    epsilon_before, epsilon, dbar = epsilon, s * new, -(c * new)
    _, _, size = V.rotation(delta, epsilon_before)
    c, s, gamma = V.rotation(gbar, new, least * size)  # 0 where A is singular: then x solves the least-squares problem
    phi, phibar = c * phibar, s * phibar
    pivot = V.reciprocal(gamma)
    w = V.sweep((w1, -(epsilon_before * pivot), inverse * pivot, y), (w1, 1, V.minus(delta * pivot), w2))[-1]
    x, xx = V.sweep((x, 1, phi, w), squared=True)
    given = square, alpha, gbar, dbar, gamma, phibar, V.real(xx)
    return x, *given, r, q, z, new, new * inverse, w2, w, c, s, epsilon


class _Judge(Judge):
    """The rules of the paper, and those of working precision."""

    def __init__(self, eps: float, rtol: float, last: int) -> None:
        self._eps, self._rtol, self.last = eps, rtol, last
        self._first = self._beta = self._squares = self._largest = 0.0
        self._smallest = math.inf

    def begin(self, given: list[float]) -> None:
        square = given[0]
        if square < 0:
            raise ValueError("indefinite preconditioner: M must be Hermitian positive definite")
        self._first = self._beta = self.residual = math.sqrt(square) if square >= 0 else square
        if square == 0:
            self.code = 0
        elif self.last <= 0 or square != square:
            self.code, self.broke = _LIMIT, square != square

    def look(self, given: list[float]) -> None:
        square, alpha, gbar, dbar, gamma, phibar, xx = given
        if square < 0:
            raise ValueError(
                "non-symmetric matrix, or indefinite preconditioner: A must be Hermitian, M positive definite too"
            )
        before, self._beta = self._beta, math.sqrt(square)
        self._squares += alpha * alpha + square
        if self.steps > 1 or before * before <= 1e12 * self._squares:
            self._squares += before * before
        self._largest, self._smallest = max(self._largest, gamma), min(self._smallest, gamma)
        eps, norm, size = self._eps, math.sqrt(self._squares), math.sqrt(xx)
        residual, gradient = quotient(phibar, norm * size), quotient(math.hypot(gbar, dbar), norm)
        condition = quotient(self._largest, self._smallest)
        self.residual = phibar if gamma else self.residual  # which stays as it is along with x
        self._seen = self.residual, residual, gradient, norm, condition
        if not math.isfinite(phibar + norm + size):
            self.code, self.broke = _LIMIT, True
        elif gamma == 0:
            self.code = 2
        elif residual <= max(self._rtol, eps / 2):
            self.code = 1
        elif gradient <= max(self._rtol, eps / 2):
            self.code = 2
        elif norm * size * eps >= self._first:
            self.code = 3
        elif condition >= 0.1 / eps:
            self.code = 4
        elif self.steps == 1 and self._beta <= 10 * eps * abs(alpha):
            self.code = -1
        elif self.steps >= self.last:
            self.code = _LIMIT

    def line(self) -> str:
        return " ".join(f"{number:11.3e}" for number in self._seen)

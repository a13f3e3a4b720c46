"""Minimal residuals, for Hermitian systems."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np

from .._operator import is_traced, surely_traced
from .._problem import System, host_dtype, make_system
from .._solve import Callback, inverse_product, norms
from .._spaces import space
from ._judged import Judge, Method, judged, quotient

_REASONS = {
    -1: "b is an eigenvector",
    0: "the first guess is the solution",
    1: "norm(r) is small enough",
    2: "norm(A r) is small enough: x solves the least-squares problem",
    3: "norm(r) is as small as rounding lets it be",
    4: "A is singular to working precision",
    6: "the iteration limit was reached",
}
_LIMIT = 6
_SOLVED = {-1, 0, 1, 3}


def minres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    shift: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callback = None,
    show: bool = False,
    check: bool = False,
) -> tuple[Any, int]:
    """Solve ``(A - shift I) x = b`` for a Hermitian `A`, which may be indefinite or singular, by minimal residuals.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array, LinearOperator or any object with `shape` and `matvec` or ``@``, shape (n, n)
        Hermitian.
    b : ndarray or mx.array, shape (n,), (n, 1) or (n, k)
        Right-hand side, or several as columns. Integers become the default float dtype.
    x0 : array_like, of the shape of `b`, or "Mb", optional
        First guess; "Mb" means ``M @ b``. Default: zero.
    rtol : float
        Iteration stops once ``norm(r) <= rtol * norm(A) * norm(x)``, or ``norm(A r) <= rtol * norm(A) * norm(r)`` in
        the step before, for estimates of these norms. A column that has got there stays as it is while the others go
        on.
    shift : float
        A real number.
    maxiter : int, optional
        Most iterations. Default: ``5 * n``.
    M : same kinds as `A`, optional
        Approximate inverse of ``A - shift I``, Hermitian positive definite.
    callback : callable, optional
        ``callback(xk)`` after each iteration. With an ndarray `b`, xk is the array being iterated: copy it to keep it.
    show : bool
        Print the estimates as they go, and why iteration stops.
    check : bool
        Look beforehand whether `A` and `M` are Hermitian, at the cost of three products.

    Returns
    -------
    x : ndarray or mx.array, shape (n,), or (n, k) for k > 1 columns
        In the namespace of `b`. Where the system has no solution, one of least squares.
    info : int
        0 if a rule stopped the iteration of every column, else `maxiter`. The rules are those of `rtol`; that rounding
        lets the residual become no smaller; and that `A` is singular to working precision.

    Raises
    ------
    TypeError
        `A` or `M` is no operator, or `A` and an `mx.array` `b` differ in dtype.
    ValueError
        `A` is not square, or another shape does not match it. `M` turns out to be indefinite; with `check`, `A` or `M`
        not to be Hermitian. `shift` is traced by `mx.grad`; for the rest as in `cg`.

    Notes
    -----
    C. C. Paige and M. A. Saunders, Solution of sparse indefinite systems of linear equations, SIAM J. Numer. Anal. 12
    (1975). An `mx.array` x is differentiable with respect to `b` and the values of `A` as that of `cg` is, where
    ``A - shift I`` is not singular. `shift` is a constant.

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
    if surely_traced(shift):
        raise ValueError("x has no derivative with respect to shift; give a number")
    system = make_system(A, M, x0, b)
    maxiter = 5 * system.A.shape[0] if maxiter is None else maxiter
    run = partial(_run, rtol=float(rtol), shift=float(shift), maxiter=maxiter)
    A, M, b = system.A, system.M, system.b
    traced = system.lazy and is_traced(b, system.x, A.values, M and M.values)
    fixed = system.constant() if traced else system
    x, codes = run(fixed, callback=callback, show=show, check=check)
    if traced:

        def solved(b: mx.array, adjoint: bool) -> mx.array:
            x, codes = run(replace(fixed, b=b, x=None))
            if not codes <= _SOLVED:
                why = ", ".join(_REASONS[code] for code in codes - _SOLVED)
                warn(f"a derivative is inaccurate, for the solution of its linear system is: {why}", stacklevel=2)
            return x

        x = inverse_product(A, b, solved, x)
    return system.finish(x), maxiter if _LIMIT in codes else 0


def _run(
    system: System,
    rtol: float,
    shift: float,
    maxiter: int,
    callback: Callback = None,
    show: bool = False,
    check: bool = False,
) -> tuple[Any, set[int]]:
    """x, and why iteration stopped, of all columns."""
    A, M, b, x = system.product(system.A), None, system.b, system.x
    if system.M:
        apply = system.product(system.M)  # whose result outlives the next, which some put into the same array
        M = apply if system.lazy else lambda r: apply(r).copy()
    sizes = np.atleast_1d(norms(b))
    if b.size == 0 or not sizes.any():
        return (mx if system.lazy else np).zeros_like(b), {0}
    if x is not None and not sizes.all():  # x is exact where b is zero
        x = mx.where(mx.array(sizes == 0), 0, x) if system.lazy else np.where(sizes == 0, 0, x)
    V = space(b, {"A": A, "M": M})
    if x is None:
        x, r = V.zeros(), V.vector(b if system.lazy else b.copy())
    else:
        r = b - A(x)
        x, r = V.vector(x), V.vector(r + shift * x if shift else r)
    eps = float(np.finfo(host_dtype(b)).eps)
    if check:
        _check(V, r, eps)
    judges = [_Judge(eps, rtol, maxiter) for _ in sizes]
    method = Method(_start, partial(_step, shift=shift, least=10 * eps), 7)
    if show:
        print(f"minres: {len(b)} unknowns, shift {shift:g}, rtol {rtol:g}, at most {maxiter} iterations")
        print(f"{'':5s}" * (len(judges) > 1) + "  step     norm(r) |r|/|A||x| |Ar|/|A||r|     norm(A)     cond(A)")
    told = callback and (lambda x: callback(system.finish(x)))
    state = judged(method, (V,), x, r, judges, told, show)
    codes = {_LIMIT if judge.code is None else judge.code for judge in judges}
    if show:
        print("\n".join(f"stopped after {judge.steps} steps: {_REASONS[judge.code or 0]}" for judge in judges))
    return V.array(state[0]), codes


def _check(V: Any, r: Any, eps: float) -> None:
    for name, x, product in (("matrix", V.M(r), V.A), ("preconditioner", r, V.M)):
        z = product(x)
        found = V.settle((V.real(V.dot(z, z)), V.real(V.dot(x, product(z)))))
        for s, t in V.numbers(found):
            if abs(s - t) > s * eps ** (1 / 3):
                raise ValueError(f"non-symmetric {name}")


# ---- the recurrence ------------------------------------------------------------------------------------------------


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
            raise ValueError("indefinite preconditioner")
        self._first = self._beta = math.sqrt(square)
        if square == 0:
            self.code = 0
        elif self.last <= 0 or square != square:
            self.code = _LIMIT

    def look(self, given: list[float]) -> None:
        square, alpha, gbar, dbar, gamma, phibar, xx = given
        if square < 0:
            raise ValueError("non-symmetric matrix")
        before, self._beta = self._beta, math.sqrt(square)
        self._squares += alpha * alpha + square
        if self.steps > 1 or before * before <= 1e12 * self._squares:
            self._squares += before * before
        self._largest, self._smallest = max(self._largest, gamma), min(self._smallest, gamma)
        eps, norm, size = self._eps, math.sqrt(self._squares), math.sqrt(xx)
        residual, gradient = quotient(phibar, norm * size), quotient(math.hypot(gbar, dbar), norm)
        condition = quotient(self._largest, self._smallest)
        self._seen = phibar, residual, gradient, norm, condition
        if not math.isfinite(phibar + norm + size):
            self.code = _LIMIT
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

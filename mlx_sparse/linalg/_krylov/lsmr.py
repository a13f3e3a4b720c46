"""Least squares by bidiagonalisation, as minimal residuals on the normal equations."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any

from .._docstrings import documented
from .._problem import make_least_squares
from .._solve import Recurrence
from ._judged import Method, quotient
from ._least_squares import Bidiagonal, LeastSquaresJudge, Options, Solver, first, following, least_squares, options

_RESULTS = {  # by SciPy's names
    **{"istop": "istop", "itn": "steps", "normr": "residual", "normar": "gradient", "norma": "norm"},
    **{"conda": "condition", "normx": "x"},
}


@documented
def lsmr(
    A: Any,
    b: Any,
    damp: float = 0.0,
    atol: float | None = 1e-6,
    btol: float | None = 1e-6,
    conlim: float | None = 1e8,
    maxiter: int | None = None,
    show: bool = False,
    x0: Any = None,
    *,
    return_info: bool = False,
    progress: bool = False,
) -> tuple[Any, ...]:
    """The x of least ``norm(b - A x)^2 + damp^2 norm(x - x0)^2``, for an `A` of any shape and rank, by LSMR.

    In each step ``norm(A^H r)`` becomes smaller, so that stopping early is safer than with `lsqr`.

    Parameters
    ----------
    {least squares}
    atol, btol, conlim : float
        As in `lsqr`.
    maxiter : int, optional
        Most iterations. Default: ``min(m, n)``.
    show : bool
        Print the estimates as they go, and why iteration stops.
    {first guess and telling}

    Returns
    -------
    {closest x}
    istop : int
        Why iteration stopped, as in `lsqr`.
    itn : int
        Iterations.
    normr, normar : float
        ``norm(r)``, with `damp` of what is minimised, and ``norm(A^H r - damp^2 (x - x0))``; estimates.
    norma, conda : float
        Estimates of the Frobenius norm of `A`, and of its condition, which with `damp` stands over damp * I.
    normx : float
        ``norm(x)``.

    With several columns, `istop` to `normx` are ndarrays of shape (k,).

    Raises
    ------
    TypeError, ValueError
        As `lsqr`.

    Notes
    -----
    D. C.-L. Fong and M. A. Saunders, LSMR: An iterative algorithm for sparse least-squares problems, SIAM J. Sci.
    Comput. 33 (2011), 2950-2971. What is differentiable, and at which cost, is said of `lsqr`.

    Examples
    --------
    A line through four points:

    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]))
    >>> x, istop, itn, normr = sp.linalg.lsmr(A, np.array([-1.0, 0.2, 0.9, 2.1]))[:4]
    >>> x.round(6), istop, itn, round(normr, 6)
    (array([-0.95,  1.  ]), 2, 2, 0.223607)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once. float32 stays float32, and its working precision counts; float16 and
    bfloat16 are solved in float32. A zero `b` with `x0` and `damp` is a problem like others. `conda` does not depend on
    the scale of `A`.
    """
    system = make_least_squares(A, x0, b)
    limit = min(system.A.shape) if maxiter is None else maxiter
    given = options(damp, atol, btol, conlim, limit, show, progress)
    found = least_squares(_SOLVER, system, given)
    x, results = system.finish(found.x), found.results(_RESULTS)
    return (x, found.told(results)) if return_info else (x, *results.values())


def _start(U: Any, V: Any, x: Any, r: Any) -> tuple[Any, ...]:
    at = first(U, V, r)
    none, one = 0 * at.beta, at.by_beta * at.beta
    (h,) = V.sweep((V.zeros(), 1, at.by_alpha, at.v))
    given = at.alpha, at.beta, one, none, none, none, none, none, one, none, at.alpha * at.beta, none
    return x, *given, at.alpha, one, none, one, *at, h, V.zeros()


def _step(U: Any, V: Any, state: tuple[Any, ...], damp: float) -> tuple[Any, ...]:
    x, _, _, chat, shat, _, _, _, _, _, _, zetabar, _, alphabar, cbar, sbar, by_pivots, *before, h, hbar = state
    at = following(U, V, Bidiagonal(*before))
    if damp:  # a rotation that takes damp out of the matrix
        chat, shat, alphabar = V.rotation(alphabar, damp)
    c, s, rho = V.rotation(alphabar, at.beta)  # one that makes it upper bidiagonal
    theta, alphabar = s * at.alpha, c * at.alpha
    thetabar, rhotemp = sbar * rho, cbar * rho
    cbar, sbar, rhobar = V.rotation(rhotemp, theta)  # and one that makes the transpose of that upper bidiagonal
    zeta, zetabar = cbar * zetabar, -(sbar * zetabar)
    pivot = V.reciprocal(rho)
    weight, by_pivots = -(thetabar * rho * by_pivots), pivot * V.reciprocal(rhobar)
    hbar, h = V.sweep((hbar, weight, 1, h), (h, -(theta * pivot), at.by_alpha, at.v))
    x, xx = V.sweep((x, 1, zeta * by_pivots, hbar), squared=True)
    given = at.alpha, at.beta, chat, shat, c, s, thetabar, rhotemp, rhobar, zeta, zetabar, V.real(xx)
    return x, *given, alphabar, cbar, sbar, by_pivots, *at, h, hbar


class _Judge(LeastSquaresJudge):
    def __init__(self, given: Options, size: float, eps: float) -> None:
        super().__init__(given, size, eps)
        self.condition = 1.0

    def begin(self, given: list[float]) -> None:
        super().begin(given)
        self.norm, self._norms = self.alpha, self.alpha * self.alpha
        self._largest, self._smallest, self._rhobar = 0.0, math.inf, 1.0
        self._rest, self._beta, self._damped = self.beta, 0.0, 0.0  # of b, under the rotations that give norm(r)
        self._rho, self._theta, self._tau, self._zeta = 1.0, 0.0, 0.0, 0.0

    def look(self, given: list[float]) -> None:
        alpha, beta, chat, shat, c, s, thetabar, rhotemp, rhobar, zeta, zetabar, xx = given
        self.alpha, self.beta = alpha, beta
        # norm(r), by the rotations of a step, and those that make the matrix of their results lower bidiagonal
        damped, rest = -shat * self._rest, chat * self._rest
        self._damped += damped * damped
        self._rest = -s * rest
        size = math.hypot(self._rho, thetabar)
        ctilde, stilde = quotient(self._rho, size), quotient(thetabar, size)
        self._beta = ctilde * c * rest - stilde * self._beta
        self._tau = quotient(self._zeta - self._theta * self._tau, size)
        self._theta, self._rho, self._zeta = stilde * rhobar, ctilde * rhobar, zeta
        tau = quotient(zeta - self._theta * self._tau, self._rho)
        self.residual = math.hypot(math.sqrt(self._damped), self._beta - tau, self._rest)
        self._norms += beta * beta
        self.norm = math.sqrt(self._norms)
        self._norms += alpha * alpha
        if self.steps > 1:
            self._largest, self._smallest = max(self._largest, self._rhobar), min(self._smallest, self._rhobar)
        self.condition = quotient(max(self._largest, rhotemp), min(self._smallest, rhotemp))
        self._rhobar = rhobar
        self.gradient, self.x = abs(zetabar), math.sqrt(xx)
        self.decide()


@lru_cache(maxsize=64)  # of which programs are kept
def _method(damp: float) -> Method:
    return Method(Recurrence(_start, partial(_step, damp=damp), adjoint=True, two=True), 12)


_SOLVER = Solver(_method, _Judge)

"""Least squares by bidiagonalisation, as conjugate gradients on the normal equations."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any

import mlx.core as mx
import numpy as np

from .._docstrings import documented
from .._problem import make_least_squares
from .._solve import Recurrence
from ._judged import Method, quotient
from ._least_squares import Bidiagonal, LeastSquaresJudge, Options, Solver, first, following, least_squares, options

_RESULTS = {  # by SciPy's names
    **{"istop": "istop", "itn": "steps", "r1norm": "r1", "r2norm": "residual", "anorm": "norm"},
    **{"acond": "condition", "arnorm": "gradient", "xnorm": "x"},
}


@documented
def lsqr(
    A: Any,
    b: Any,
    damp: float = 0.0,
    atol: float | None = 1e-6,
    btol: float | None = 1e-6,
    conlim: float | None = 1e8,
    iter_lim: int | None = None,
    show: bool = False,
    calc_var: bool = False,
    x0: Any = None,
    *,
    return_info: bool = False,
    progress: bool = False,
) -> tuple[Any, ...]:
    """The x of least ``norm(b - A x)^2 + damp^2 norm(x - x0)^2``, for an `A` of any shape and rank, by LSQR.

    Parameters
    ----------
    {least squares}
    atol, btol : float
        Iteration stops once ``norm(r) <= btol * norm(b) + atol * norm(A) * norm(x)``, or
        ``norm(A^H r) <= atol * norm(A) * norm(r)``, for estimates of these norms. A column that has got there stays as
        it is while the others go on. None is 1e-6.
    conlim : float
        It stops also once an estimate of cond(A) reaches this. 0: never. None is 1e8.
    iter_lim : int, optional
        Most iterations. Default: ``2 * n``.
    show : bool
        Print the estimates as they go, and why iteration stops.
    calc_var : bool
        Whether to estimate the diagonal of ``(A^H A + damp^2 I)^-1``.
    {first guess and telling}

    Returns
    -------
    {closest x}
    istop : int
        Why iteration stopped. 0: the first guess is the solution. 1: ``A x = b``, by `atol` and `btol`. 2: x solves the
        least-squares problem, by `atol`. 3: `conlim` was reached. 4, 5, 6: as 1, 2, 3, to working precision. 7:
        `iter_lim` was reached, or numbers were not finite.
    itn : int
        Iterations.
    r1norm, r2norm : float
        ``norm(r)``, and the root of what is minimised; estimates. `r1norm` is negative where nothing is left of it.
    anorm, acond : float
        Estimates of the Frobenius norm and of the condition of `A`, which with `damp` stands over damp * I.
    arnorm : float
        ``norm(A^H r - damp^2 (x - x0))``; an estimate.
    xnorm : float
        ``norm(x - x0)``; an estimate.
    var : ndarray or mx.array, of the shape of x
        With `calc_var`, else zeros. It grows with every iteration, and is exact after n of them but for rounding.

    With several columns, `istop` to `xnorm` are ndarrays of shape (k,).

    Raises
    ------
    TypeError
        `A` is no operator or has no `rmatvec`, or `A` and an `mx.array` `b` differ in dtype.
    ValueError
        Shapes do not match. Inside `mx.compile` and `mx.vmap`, where values cannot be read; inside `mx.grad`, if
        derivatives would be lost: `damp` is traced; the values of `A` are and `b` is an ndarray; or `A` is an object
        that closes over traced arrays.

    Notes
    -----
    C. C. Paige and M. A. Saunders, LSQR: An algorithm for sparse linear equations and sparse least squares, ACM TOMS 8
    (1982), 43-71.

    An `mx.array` x is differentiable with respect to `b`, `x0` and the values of `A`, where A has full rank or `damp`
    is not 0: else there is a warning if iteration shows it. A gradient in `b` costs one more solve with the same
    tolerances, one in the values of an `A` that is not square, or with `damp`, two. Other results have none: inside
    `mx.grad` their numbers are `mx.array`, whose derivative is a ValueError.

    Examples
    --------
    A line through four points:

    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]))
    >>> x, istop, itn, r1norm = sp.linalg.lsqr(A, np.array([-1.0, 0.2, 0.9, 2.1]))[:4]
    >>> x.round(6), istop, itn, round(r1norm, 6)
    (array([-0.95,  1.  ]), 2, 2, 0.223607)
    >>> x, info = sp.linalg.lsqr(A, np.array([-1.0, 0.2, 0.9, 2.1]), return_info=True)
    >>> info.reason, info.residual_norms.round(6), info.estimates["istop"]
    ('converged', array([2.501999, 1.319461, 0.223607]), 2)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once. float32 stays float32, and its working precision counts; float16 and
    bfloat16 are solved in float32. x is zero where `b` is, whatever `x0` is, unless `damp` is given. `var` of complex
    systems is real. Estimates have no absolute bound in their denominators, so that small numbers are solved as well.
    """
    system = make_least_squares(A, x0, b)
    limit = 2 * system.A.shape[1] if iter_lim is None else iter_lim
    given = options(damp, atol, btol, conlim, limit, show, progress)
    found = least_squares(_solver(calc_var), system, given)
    x = system.finish(found.x)
    var = found.run.vector(-1) if calc_var and found.run else (mx if system.lazy else np).zeros_like(found.x)
    var = found.shown(system.finish(mx.real(var) if system.lazy else var.real))
    results = found.results(_RESULTS) | {"var": var}
    return (x, found.told(results)) if return_info else (x, *results.values())


def _solver(calc_var: bool) -> Solver:
    return Solver(partial(_method, calc_var=calc_var), _Judge)


@lru_cache(maxsize=64)  # of which programs are kept
def _method(damp: float, calc_var: bool) -> Method:
    start, step = partial(_start, calc_var=calc_var), partial(_step, damp=damp, calc_var=calc_var)
    return Method(Recurrence(start, step, adjoint=True, two=True), 7)


def _start(U: Any, V: Any, x: Any, r: Any, calc_var: bool) -> tuple[Any, ...]:
    at = first(U, V, r)
    none = 0 * at.beta
    w, ww = V.sweep((V.zeros(), 1, at.by_alpha, at.v), squared=True)
    given = at.alpha, at.beta, none, none, at.beta, none, none
    return x, *given, V.real(ww), at.alpha, *at, w, V.zeros() if calc_var else none


def _step(U: Any, V: Any, state: tuple[Any, ...], damp: float, calc_var: bool) -> tuple[Any, ...]:
    x, _, _, _, _, phibar, psi, _, ww, rhobar, *before, w, var = state
    at = following(U, V, Bidiagonal(*before))
    if damp:  # a rotation that takes damp out of the matrix
        c, s, rhobar = V.rotation(rhobar, damp)
        psi, phibar = s * phibar, c * phibar
    c, s, rho = V.rotation(rhobar, at.beta)
    theta, rhobar = s * at.alpha, -(c * at.alpha)
    phi, phibar = c * phibar, s * phibar
    pivot = V.reciprocal(rho)
    if calc_var:
        (var,) = V.sweep((var, 1, pivot * pivot, V.squares(w)))
    given = at.alpha, at.beta, rho, phi, phibar, psi, ww
    x, w, ww = V.sweep((x, 1, phi * pivot, w), (w, -(theta * pivot), at.by_alpha, at.v), squared=True)
    return x, *given, V.real(ww), rhobar, *at, w, var


class _Judge(LeastSquaresJudge):
    def __init__(self, given: Options, size: float, eps: float) -> None:
        super().__init__(given, size, eps)
        self.r1 = size  # estimate of norm(r)
        self._norms = self._inverses = self._psis = self._xs = self._z = self._sine = 0.0  # sums of squares; a rotation
        self._cosine = -1.0

    def begin(self, given: list[float]) -> None:
        super().begin(given)
        self.r1 = self.beta

    def look(self, given: list[float]) -> None:
        alpha, beta, rho, phi, phibar, psi, ww = given
        damp, before = self.given.damp, self.alpha
        self.alpha, self.beta, s = alpha, beta, quotient(beta, rho)
        if beta:
            self._norms += before * before + beta * beta + damp * damp
        self._inverses += quotient(ww, rho * rho)
        # norm(x), by a rotation from the right that makes the bidiagonal matrix a lower one
        diagonal, above = -self._cosine * rho, s * alpha
        rest = phi - self._sine * rho * self._z
        self.x = math.hypot(math.sqrt(self._xs), quotient(rest, diagonal))
        size = math.hypot(diagonal, above)
        self._cosine, self._sine, self._z = quotient(diagonal, size), quotient(above, size), quotient(rest, size)
        self._xs += self._z * self._z
        self._psis += psi * psi
        self.norm = math.sqrt(self._norms)
        self.condition = self.norm * math.sqrt(self._inverses)
        self.residual = math.hypot(phibar, math.sqrt(self._psis))
        self.gradient = alpha * abs(s * phi)
        rest = self.residual * self.residual - damp * damp * self._xs
        self.r1 = math.copysign(math.sqrt(abs(rest)), rest) if damp else self.residual
        self.decide()

"""Conjugate gradients squared."""

from __future__ import annotations

import math
from typing import Any

from .._docstrings import documented
from .._solve import CYCLE, Callback, Options, Recurrence, solve_system
from .gmres import restarted


@documented
def cgs(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callback = None,
    return_info: bool = False,
    progress: bool = False,
    refine: bool | None = None,
) -> tuple[Any, Any]:
    """Solve ``A x = b`` for a square `A` by the method of conjugate gradients squared.

    Parameters
    ----------
    {A}
    {b}
    {x0}
    rtol, atol : float
        Iteration stops once ``norm(r) < max(rtol * norm(b), atol)`` for the residual ``r = b - A @ x``. A column that
        has got there stays as it is while the others go on.
    {maxiter}
    M : same kinds as `A`, optional
        Approximate inverse of `A`.
    {callback}
    {told}
    {refine}

    Returns
    -------
    {last x}
    {codes}
        -10 where the residual became orthogonal to the first one, -11 where the image of the direction did.

    Raises
    ------
    {TypeError}
    ValueError
    {some traces}

    Notes
    -----
    P. Sonneveld, CGS, a fast Lanczos-type solver for nonsymmetric linear systems, SIAM J. Sci. Stat. Comput. 10 (1989).
    Each iteration takes two products with `A` and two with `M`. The residual is computed anew in each, as its norm may
    vary by many orders of magnitude, and errors would stay in an updated one.

    {derivatives} Where the method breaks down or diverges in the system of a derivative, which has another right-hand
    side or the adjoint of `A`, restarted GMRES solves it.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]]))
    >>> x, info = sp.linalg.cgs(A, A @ np.array([1.0, 2.0, 3.0]))
    >>> x.round(4), info
    (array([1., 2., 3.]), 0)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once. float16 and bfloat16 systems are solved in float32. Whether a method
    has broken down is judged relative to the first residual, so that it does not depend on the scale of `b`.
    """
    return solve_system(_METHOD, A, b, x0, (M,), Options(rtol, atol, maxiter, callback, return_info, progress, refine))


def _start(V: Any, x: Any, r: Any) -> tuple[Any, ...]:
    square = V.dot(r, r)
    (shadow,) = V.sweep((V.zeros(), 1, 1, r))
    return x, square, r, shadow, V.zeros(), V.zeros(), math.inf, V.eps**2 * abs(square)


def _step(V: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    x, _, r, shadow, p, q, rho_before, least = state
    rho = V.above(V.dot(shadow, r), least, -10)
    beta = V.ratio(rho, rho_before)
    *_, p, u = V.sweep((p, beta, 1, q), (p, beta, 1, r), (p, 1, beta, q), (r, 1, beta, q))  # u = r + beta q
    v = V.A(V.M(p))
    alpha = V.ratio(rho, V.above(V.dot(shadow, v), 0, -11))
    _, q, both = V.sweep((q, 0, 1, u), (q, 1, V.minus(alpha), v), (u, 1, 1, q))  # u - alpha v, and with u added
    (x,) = V.sweep((x, 1, alpha, V.M(both)))
    r = V.residual(x)
    return x, V.dot(r, r), r, shadow, p, q, rho, least


_METHOD = Recurrence(_start, _step, sturdier=restarted(CYCLE))

"""Stabilised biconjugate gradients."""

from __future__ import annotations

import math
from typing import Any

from .._docstrings import documented
from .._solve import Callback, Options, Recurrence, solve_system


@documented
def bicgstab(
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
    """Solve ``A x = b`` for a square `A` by the stabilised method of biconjugate gradients.

    Parameters
    ----------
    {A}
    {b}
    {x0}
    {tolerance}
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
        -10 where the residual became orthogonal to the first one, -11 where the image of the direction did or where the
        residual cannot be reduced along its own image.

    Raises
    ------
    {TypeError}
    ValueError
    {some traces}

    Notes
    -----
    Algorithm 7.7 of Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003, with `M` on the right of
    `A`. Each iteration takes two products with `A` and two with `M`. Convergence is tested after the first of
    them, too; what ends there is no iteration for `callback`.

    {derivatives}

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]]))
    >>> x, info = sp.linalg.bicgstab(A, A @ np.array([1.0, 2.0, 3.0]))
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
    return x, square, r, shadow, V.zeros(), V.zeros(), math.inf, 1.0, 1.0, V.eps**2 * abs(square)


def _along_p(V: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    x, _, r, shadow, p, v, rho_before, alpha, omega, least = state
    rho = V.above(V.dot(shadow, r), least, -10)
    beta = V.ratio(rho * alpha, rho_before * V.above(omega, 0, -11))
    _, p = V.sweep((p, 1, V.minus(omega), v), (p, beta, 1, r))
    z = V.M(p)
    v = V.A(z)
    alpha = V.ratio(rho, V.above(V.dot(shadow, v), 0, -11))
    x, r, square = V.sweep((x, 1, alpha, z), (r, 1, V.minus(alpha), v), squared=True)
    return x, square, r, shadow, p, v, rho, alpha, omega, least


def _along_r(V: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    x, _, r, *rest, _, least = state
    z = V.M(r)
    t = V.A(z)
    omega = V.ratio(V.dot(t, r), V.above(V.dot(t, t), 0, -11))
    x, r, square = V.sweep((x, 1, omega, z), (r, 1, V.minus(omega), t), squared=True)
    return x, square, r, *rest, omega, least


_METHOD = Recurrence(_start, _along_p, second=_along_r, halves=True)

"""Biconjugate gradients."""

from __future__ import annotations

import math
from typing import Any

from .._docstrings import documented
from .._solve import Callback, Options, Recurrence, solve_system


@documented
def bicg(
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
    """Solve ``A x = b`` for a square `A` by the method of biconjugate gradients.

    Parameters
    ----------
    {A}
        Products with its adjoint are needed too: `rmatvec` of an operator.
    {b}
    {x0}
    {tolerance}
    {maxiter}
    M : same kinds as `A`, optional
        Approximate inverse of `A`, whose adjoint is needed too.
    {callback}
    {told}
    {refine}

    Returns
    -------
    {last x}
    {codes}
        -10 where the two residuals became orthogonal to each other, -11 where the images of the directions did.

    Raises
    ------
    TypeError
        `A` or `M` is no operator or lacks products with its adjoint, or `A` and an `mx.array` `b` differ in dtype.
    ValueError
    {some traces}

    Notes
    -----
    Algorithm 7.3 of Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003, with `M` on the right of
    `A`. Each iteration takes one product with each of `A`, `M` and their adjoints.

    {derivatives}

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]]))
    >>> x, info = sp.linalg.bicg(A, A @ np.array([1.0, 2.0, 3.0]))
    >>> x.round(4), info
    (array([1., 2., 3.]), 0)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once. float16 and bfloat16 systems are solved in float32. Whether a method
    has broken down is judged relative to the first residual, so that it does not depend on the scale of `b`.
    """
    return solve_system(_METHOD, A, b, x0, (M,), Options(rtol, atol, maxiter, callback, return_info, progress, refine))


def _start(V: Any, x: Any, r: Any) -> tuple[Any, ...]:
    square, z = V.dot(r, r), V.M(r)
    (shadow,) = V.sweep((V.zeros(), 1, 1, r))
    rho = square if z is r else V.dot(r, z)
    return x, square, r, shadow, V.zeros(), V.zeros(), math.inf, V.eps**4 * abs(rho)


def _step(V: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    x, _, r, shadow, p, p_shadow, rho_before, least = state
    z, z_shadow = V.M(r), V.MH(shadow)
    rho = V.above(V.dot(shadow, z), least, -10)
    beta = V.ratio(rho, rho_before)
    p, p_shadow = V.sweep((p, beta, 1, z), (p_shadow, V.conj(beta), 1, z_shadow))
    q, q_shadow = V.A(p), V.AH(p_shadow)
    alpha = V.ratio(rho, V.above(V.dot(p_shadow, q), 0, -11))
    x, shadow, r, square = V.sweep(
        (x, 1, alpha, p),
        (shadow, 1, V.minus(V.conj(alpha)), q_shadow),
        (r, 1, V.minus(alpha), q),
        squared=True,
    )
    return x, square, r, shadow, p, p_shadow, rho, least


_METHOD = Recurrence(_start, _step, adjoint=True)

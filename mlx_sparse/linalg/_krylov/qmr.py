"""Quasi-minimal residuals."""

from __future__ import annotations

import math
from typing import Any

from .._docstrings import documented
from .._solve import Callback, Options, Recurrence, solve_system


@documented
def qmr(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M1: Any = None,
    M2: Any = None,
    callback: Callback = None,
    return_info: bool = False,
    progress: bool = False,
    refine: bool | None = None,
) -> tuple[Any, Any]:
    """Solve ``A x = b`` for a square `A` by the method of quasi-minimal residuals.

    Parameters
    ----------
    {A}
        Products with its adjoint are needed too: `rmatvec` of an operator.
    {b}
    x0 : array_like, of the shape of `b`, or "Mb", optional
        First guess; "Mb" means ``M2 @ (M1 @ b)``. Default: zero.
    {tolerance}
    {maxiter}
    M1, M2 : same kinds as `A`, optional
        Approximate inverses of the factors of A = L U: of L on the left and of U on the right. Their adjoints are
        needed too.
    {callback}
    {told}
    {refine}

    Returns
    -------
    {last x}
    {codes}
        -10, -15 where one of the Lanczos vectors vanished, of `A` or of its adjoint; -13, -14 where the two, or the two
        directions with `A` between them, became orthogonal; -12 where the residual is reduced no more.

    Raises
    ------
    TypeError
        `A`, `M1` or `M2` is no operator or lacks products with its adjoint, or `A` and an `mx.array` `b` differ in
        dtype.
    ValueError
    {some traces}

    Notes
    -----
    The method without look-ahead of R. W. Freund and N. M. Nachtigal, An implementation of the QMR method based on
    coupled two-term recurrences, SIAM J. Sci. Comput. 15 (1994), as in R. Barrett et al., Templates for the Solution of
    Linear Systems, SIAM 1994. Each iteration takes one product with each of `A`, `M1`, `M2` and their adjoints.

    {derivatives}

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]]))
    >>> x, info = sp.linalg.qmr(A, A @ np.array([1.0, 2.0, 3.0]))
    >>> x.round(4), info
    (array([1., 2., 3.]), 0)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once. float16 and bfloat16 systems are solved in float32. Breakdowns
    are judged relative to the sizes of `A` and `b`.
    """
    return solve_system(
        _METHOD, A, b, x0, (M1, M2), Options(rtol, atol, maxiter, callback, return_info, progress, refine)
    )


def _start(V: Any, x: Any, r: Any) -> tuple[Any, ...]:
    square, zeros = V.dot(r, r), V.zeros
    (v,), (w,) = V.sweep((zeros(), 1, 1, r)), V.sweep((zeros(), 1, 1, r))
    y, z = V.M(v), V.M2H(w)
    rho, xi = _norm(V, y, v, square), _norm(V, z, w, square)
    return x, square, r, v, y, rho, w, z, xi, zeros(), zeros(), zeros(), zeros(), math.inf, 0.0, 0.0, 1.0, -1.0


def _norm(V: Any, y: Any, v: Any, square: Any) -> Any:
    """That of y, which is v where there is no preconditioner; `square` is that of v."""
    return V.root(square if y is v else V.dot(y, y))


def _step(V: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    x, _, r, v, y, rho, w, z, xi, p, q, d, s, epsilon, beta, theta2, gamma2, eta = state
    # v and w are kept as they are made: they would be unit vectors after division by rho and xi
    V.above(rho, V.eps * abs(beta), -10)
    V.above(xi, V.eps * abs(beta), -15)
    delta = V.above(V.ratio(V.dot(z, y), rho * xi), V.eps, -13)
    y, z = V.M2(y), V.MH(z)
    p, q = V.sweep(
        (p, -V.ratio(xi * delta, epsilon), V.ratio(1, rho), y),
        (q, -V.conj(V.ratio(rho * delta, epsilon)), V.ratio(1, xi), z),
    )
    t = V.A(p)
    epsilon = V.dot(q, t)
    beta = V.ratio(epsilon, delta)
    v, v_square = V.sweep((v, -V.ratio(beta, rho), 1, t), squared=True)
    w, w_square = V.sweep((w, -V.conj(V.ratio(beta, xi)), 1, V.AH(q)), squared=True)
    y, z = V.M(v), V.M2H(w)
    rho_before, rho, xi = rho, _norm(V, y, v, v_square), _norm(V, z, w, w_square)
    V.above(beta, V.eps * rho, -14)
    theta2_before, ratio = theta2, V.ratio(rho, abs(beta))
    theta2 = V.ratio(ratio * ratio, gamma2)
    gamma2_before, gamma2 = gamma2, V.above(V.ratio(1, 1 + theta2), V.eps**2, -12)
    eta = -V.ratio(eta * rho_before, beta) * V.ratio(gamma2, gamma2_before)
    keep = V.ratio(theta2_before, 1 + theta2)
    d, s, x, r, square = V.sweep(
        (d, keep, eta, p), (s, keep, V.minus(eta), t), (x, 1, 1, d), (r, 1, 1, s), squared=True
    )
    return x, square, r, v, y, rho, w, z, xi, p, q, d, s, epsilon, beta, theta2, gamma2, eta


_METHOD = Recurrence(_start, _step, adjoint=True)

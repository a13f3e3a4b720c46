"""Quasi-minimal residuals without the adjoint."""

from __future__ import annotations

from typing import Any

from .._docstrings import documented
from .._operator import as_operator
from .._solve import Callback, Options, Recurrence, solve_system


@documented
def tfqmr(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callback = None,
    show: bool = False,
    return_info: bool = False,
    progress: bool = False,
    refine: bool | None = None,
) -> tuple[Any, Any]:
    """Solve ``A x = b`` for a square `A` by the transpose-free method of quasi-minimal residuals.

    Parameters
    ----------
    {A}
    {b}
    {x0}
    rtol, atol : float
        Iteration stops once ``norm(r) < max(rtol * norm(b), atol)`` for a bound of the residual r. A column that
        has got there stays as it is while the others go on.
    maxiter : int, optional
        Most iterations. Default: ``min(10_000, 10 * n)``.
    M : same kinds as `A`, optional
        Approximate inverse of `A`.
    {callback}
    show : bool
        Print how the iteration ended.
    {told}
    {refine}

    Returns
    -------
    {last x}
    {codes}
        -1 where the residual or the image of the direction became orthogonal to the first residual.

    Raises
    ------
    {TypeError}
    ValueError
    {some traces}

    Notes
    -----
    R. W. Freund, A transpose-free quasi-minimal residual algorithm for non-Hermitian linear systems, SIAM J. Sci.
    Comput. 14 (1993), with `M` on the right of `A`. Each iteration takes one product with `A` and one with `M`, half of
    what an iteration of `cgs` takes. The bound is the norm of the quasi-residual times the root of their number.

    {derivatives}

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]]))
    >>> x, info = sp.linalg.tfqmr(A, A @ np.array([1.0, 2.0, 3.0]))
    >>> x.round(4), info
    (array([1., 2., 3.]), 0)

    Differences from SciPy
    ----------------------
    {differences}
    `M` is applied on the right, and convergence is judged relative to `b`. SciPy's is judged relative to the first
    residual, and solves ``A x = b`` only where `A` and `M` commute.
    """
    A = as_operator(A)
    limit = min(10_000, 10 * A.shape[0]) if maxiter is None else maxiter
    told = return_info or show
    x, found = solve_system(_METHOD, A, b, x0, (M,), Options(rtol, atol, limit, callback, told, progress, refine))
    if not show:
        return x, found
    if found.info >= 0:
        how = "converged due to reach TOL" if found.converged else "not converged due to reach MAXIT"
        print(f"TFQMR: Linear solve {how} iterations {found.iterations}")
    return x, found if return_info else found.info


def _start(V: Any, x: Any, r: Any) -> tuple[Any, ...]:
    square = V.dot(r, r)
    (w,), (u,) = V.sweep((V.zeros(), 1, 1, r)), V.sweep((V.zeros(), 1, 1, r))
    z = V.M(u)
    az = V.A(z)
    (v,) = V.sweep((V.zeros(), 1, 1, az))
    return x, square, 0, r, w, u, z, az, v, V.zeros(), square, 1.0, square, 0.0, 0.0


def _even(V: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    x, _, steps, shadow, w, u, z, az, v, d, rho, _, *quasi = state
    alpha = V.ratio(V.above(rho, 0, -1), V.above(V.dot(shadow, v), 0, -1))
    x, w, d, steps, bound, quasi = _advance(V, x, w, d, z, az, alpha, steps, *quasi)
    (u,) = V.sweep((u, 1, V.minus(alpha), v))
    z = V.M(u)
    return x, bound, steps, shadow, w, u, z, V.A(z), v, d, rho, alpha, *quasi


def _odd(V: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    x, _, steps, shadow, w, u, z, az, v, d, rho_before, alpha, *quasi = state
    x, w, d, steps, bound, quasi = _advance(V, x, w, d, z, az, alpha, steps, *quasi)
    rho = V.dot(shadow, w)
    beta = V.ratio(rho, rho_before)
    (v,) = V.sweep((v, beta, 1, az))
    (u,) = V.sweep((u, beta, 1, w))
    z = V.M(u)
    az = V.A(z)
    (v,) = V.sweep((v, beta, 1, az))
    return x, bound, steps, shadow, w, u, z, az, v, d, rho, alpha, *quasi


def _advance(V: Any, x: Any, w: Any, d: Any, z: Any, az: Any, alpha: Any, steps: Any, *quasi: Any) -> Any:
    """The part that both steps share: new x, w, d, number of steps, square of the bound, and what goes into these."""
    tau2, theta2, eta = quasi
    d, w, w_square = V.sweep((d, V.ratio(theta2 * eta, alpha), 1, z), (w, 1, V.minus(alpha), az), squared=True)
    theta2, cosine2 = V.ratio(w_square, V.above(tau2, 0, -1)), V.ratio(tau2, tau2 + w_square)
    tau2, eta, steps = w_square * cosine2, cosine2 * alpha, steps + 1
    (x,) = V.sweep((x, 1, eta, d))
    return x, w, d, steps, tau2 * steps, (tau2, theta2, eta)


_METHOD = Recurrence(_start, _even, second=_odd, tests_last=True)

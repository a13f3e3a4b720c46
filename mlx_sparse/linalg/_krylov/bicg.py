"""Biconjugate gradients."""

from __future__ import annotations

import math
from typing import Any

from .._solve import Callback, Recurrence, solve_system


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
) -> tuple[Any, Any]:
    """Solve ``A x = b`` for a square `A` by the method of biconjugate gradients.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array, LinearOperator or any object with `shape` and `matvec` or ``@``, shape (n, n)
        Products with its adjoint are needed too: `rmatvec` of an operator.
    b : ndarray or mx.array, shape (n,), (n, 1) or (n, k)
        Right-hand side, or several as columns. Integers become the default float dtype.
    x0 : array_like, of the shape of `b`, or "Mb", optional
        First guess; "Mb" means ``M @ b``. Default: zero.
    rtol, atol : float
        Iteration stops once ``norm(r) < max(rtol * norm(b), atol)`` for the residual r of the recurrence. A column that
        has got there stays as it is while the others go on.
    maxiter : int, optional
        Most iterations. Default: ``10 * n``.
    M : same kinds as `A`, optional
        Approximate inverse of `A`, whose adjoint is needed too.
    callback : callable, optional
        ``callback(xk)`` after each iteration. With an ndarray `b`, xk is the array being iterated: copy it to keep it.
    return_info : bool
        Give a `SolverInfo` in place of `info`.
    progress : bool
        Show a bar while iterating; needs tqdm.

    Returns
    -------
    x : ndarray or mx.array, shape (n,), or (n, k) for k > 1 columns
        In the namespace of `b`. After a breakdown, the last iterate.
    info : int
        0 on convergence of every column; else the least code of a column that broke down, if one did; else `maxiter`:
        the tolerance was not reached in so many iterations. The codes:
        -10 where the two residuals became orthogonal to each other, -11 where the images of the directions did.
        Inside `mx.compile` and `mx.vmap` a lazy int32 `mx.array`.

    Raises
    ------
    TypeError
        `A` or `M` is no operator or lacks products with its adjoint, or `A` and an `mx.array` `b` differ in dtype.
    ValueError
        `A` is not square, another shape does not match it, or `atol` is negative. Inside `mx.compile` and `mx.vmap`,
        unless `A` and preconditioners are sparse arrays on the CPU, as values cannot be read;
        inside `mx.grad`, if derivatives of `A` would be lost.

    Notes
    -----
    Algorithm 7.3 of Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003, with `M` on the right of
    `A`. Each iteration takes one product with each of `A`, `M` and their adjoints.

    An `mx.array` x is differentiable with respect to `b` and the values of `A`, as that of `cg` is.

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
    return solve_system(
        _METHOD,
        A,
        b,
        x0,
        rtol=rtol,
        atol=atol,
        maxiter=maxiter,
        M=M,
        callback=callback,
        return_info=return_info,
        progress=progress,
    )


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

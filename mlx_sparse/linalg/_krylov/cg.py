"""Conjugate gradients."""

from __future__ import annotations

import math
from typing import Any

from .._docstrings import documented
from .._solve import Callback, Options, Recurrence, solve_system


@documented
def cg(
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
    """Solve ``A x = b`` for a Hermitian positive definite `A` by the method of conjugate gradients.

    Parameters
    ----------
    {A}
        Hermitian positive definite; this is not checked.
    {b}
    {x0}
    {tolerance}
    {maxiter}
    M : same kinds as `A`, optional
        Approximate inverse of `A`, Hermitian positive definite.
    {callback}
    {told}
    {refine}

    Returns
    -------
    {x}
    info : int
        0 on convergence of every column, else `maxiter`: the tolerance was not reached in so many iterations.

    Raises
    ------
    {TypeError}
    ValueError
        `A` is not square, another shape does not match it, or `atol` is negative. Inside `mx.compile` and `mx.vmap`,
        where values cannot be read, unless `A` is a sparse array and `M` is one or, on the CPU, of those of
        `preconditioners` that run natively; `info` is a lazy int32 `mx.array` there. Inside `mx.grad`, if derivatives
        of `A` would be lost: its values are traced and `b` is an ndarray, or it is an object that closes over traced
        arrays.

    Notes
    -----
    Algorithm 9.1 of Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003. With an ndarray `b` on
    the CPU, vectors are updated in place and no graph is built. With an `mx.array` `b` they stay on the device and
    every iteration is evaluated once, to test convergence.

    An `mx.array` x is differentiable with respect to `b` and the values of `A`: its derivatives are those of the
    solution, not of the iteration, and each costs one more solve to the same relative tolerance. `M` and `x0` do not
    change the solution: their derivatives are zero.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4))
    >>> x, info = sp.linalg.cg(A, np.ones(4))
    >>> x.round(6), info
    (array([2., 3., 3., 2.]), 0)

    The gradient with respect to the right-hand side of one element of x is a column of the inverse:

    >>> import mlx.core as mx
    >>> A = A.astype(mx.float32)
    >>> mx.grad(lambda b: sp.linalg.cg(A, b)[0][0])(mx.ones(4))
    array([0.8, 0.6, 0.4, 0.2], dtype=float32)

    Differences from SciPy
    ----------------------
    {differences}
    """
    return solve_system(_METHOD, A, b, x0, (M,), Options(rtol, atol, maxiter, callback, return_info, progress, refine))


def _start(V: Any, x: Any, r: Any) -> tuple[Any, ...]:
    return x, V.dot(r, r), r, V.zeros(), math.inf  # a first direction of zero, with weight zero


def _step(V: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    x, square, r, p, rho_before = state
    z = V.M(r)
    rho = square if z is r else V.dot(r, z)
    (p,) = V.sweep((p, V.ratio(rho, rho_before), 1, z))
    q = V.A(p)
    alpha = V.ratio(rho, V.dot(p, q))
    x, r, square = V.sweep((x, 1, alpha, p), (r, 1, V.minus(alpha), q), squared=True)
    return x, square, r, p, rho


_METHOD = Recurrence(_start, _step, hermitian=True)

"""Generalised minimal residuals, restarted."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any
from warnings import warn

import numpy as np

from .._docstrings import documented
from .._solve import Options, solve_system
from .._vectors import Breakdown
from ._arnoldi import Column, Cycle, Restarted


@documented
def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    callback_type: str | None = None,
    return_info: bool = False,
    progress: bool = False,
    refine: bool | None = None,
) -> tuple[Any, Any]:
    """Solve ``A x = b`` by restarted generalised minimal residuals, GMRES(restart).

    Parameters
    ----------
    {A}
    {b in cycles}
    {x0}
    rtol, atol : float
        Iteration stops once ``norm(b - A @ x) <= max(rtol * norm(b), atol)``, which is tested after each cycle.
    restart : int, optional
        Inner iterations, and so products with `A`, of a cycle, for which as many vectors are kept. Default and most:
        ``min(20, n)`` and n.
    maxiter : int, optional
        Most cycles, or inner iterations where `callback_type` is "legacy". Default: ``10 * n``.
    M : same kinds as `A`, optional
        Approximate inverse of `A`, applied from the left: what is minimised is ``norm(M @ (b - A @ x))``.
    callback : callable, optional
        Called with what `callback_type` says.
    callback_type : {"x", "pr_norm", "legacy"}, optional
        "x": ``callback(xk)`` after each cycle; with an ndarray `b`, xk is the array being iterated. "pr_norm":
        ``callback(norm)`` after each inner iteration, with the norm of the preconditioned residual relative to that of
        `b`; of several right-hand sides an array of them. "legacy", the default, which warns: as "pr_norm", and
        `maxiter` counts inner iterations. Without a callback this has no effect.
    {told in cycles}
    {refine}

    Returns
    -------
    {x}
    info : int
        0 on convergence of every column, else `maxiter`, also where `M` hides what is left of a residual.

    Raises
    ------
    {TypeError}
    ValueError
        `A` is not square, another shape does not match it, `atol` is negative, `restart` is not positive, or
        `callback_type` is another word. Inside `mx.compile` and `mx.vmap`, where values cannot be read; inside
        `mx.grad`, if derivatives of `A` would be lost: its values are traced and `b` is an ndarray, or it is an object
        that closes over traced arrays.

    Warns
    -----
    DeprecationWarning
        A `callback` without `callback_type`.

    Notes
    -----
    Algorithm 6.9 of Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003, with the preconditioner
    of section 9.3.1. The basis of a cycle is made orthogonal by two passes of classical Gram-Schmidt, each a product
    with a matrix; of long ndarrays, and on a GPU, the second is left out where the first turns out to have done. With
    an `mx.array` `b` every inner iteration is evaluated once, on a GPU up to sixteen together. As for `cg`, an
    `mx.array` x is differentiable with respect to `b` and the values of `A`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]])
    >>> x, info = sp.linalg.gmres(A, np.array([2.0, 4.0, -1.0]))
    >>> x.round(6), info
    (array([ 2., -2.,  9.]), 0)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once. float16 and bfloat16 systems are solved in float32. Where a product is
    not finite, the iterate of the last cycle is returned, not nan.
    """
    if callback is not None and callback_type is None:
        warn(
            "gmres called without specifying `callback_type`: say callback_type='legacy', its default, which counts "
            "inner iterations by maxiter, or 'pr_norm' or 'x'; the default will be another one in a later release",
            DeprecationWarning,
            stacklevel=2,
        )
    kind = "legacy" if callback_type is None else callback_type
    if kind not in ("x", "pr_norm", "legacy"):
        raise ValueError(f"callback_type must be 'x', 'pr_norm' or 'legacy'; got {callback_type!r}")
    if restart is not None and restart < 1:
        raise ValueError(f"restart must be positive; got {restart}")
    method = restarted(20 if restart is None else restart, callback and kind)
    return solve_system(method, A, b, x0, (M,), Options(rtol, atol, maxiter, callback, return_info, progress, refine))


def restarted(steps: int, kind: Any = None) -> Restarted:
    """The method, which begins anew after so many steps."""
    return Restarted(partial(_cycles, steps=steps, kind=kind))


def _cycles(problem: Column, steps: int, kind: Any) -> Generator[Any, None, tuple[Any, int, str]]:
    V, tolerance, maxiter = problem.V, problem.tolerance, problem.maxiter
    x, cycle, taken, factor, reason = problem.guess(), Cycle(V), 0, 1.0, "breakdown"
    steps = min(steps, len(problem.b))
    with suppress(Breakdown):
        x, r, norm = problem.first(x)
        if maxiter and norm < tolerance:
            return x, 0, "converged"
        z = V.M(V.vector(problem.b))
        bound = V.norm(V.dot(z, z)) * min(
            1.0, tolerance / problem.size
        )  # of the norm that ends a cycle, which is M r's
        for _ in range(maxiter):
            cycle.begin(V.M(r), steps)
            if cycle.broken:
                break
            for least in cycle.steps(lambda v: V.M(V.A(v)), steps):
                taken += 1
                if kind in ("pr_norm", "legacy"):
                    yield np.float64(least / problem.size)
                spent = kind == "legacy" and taken == maxiter
                if least <= bound or cycle.broken or spent:
                    break
            (x,) = V.sweep((x, 1, 1, cycle.combine(cycle.solution())))
            x, r, norm = problem.residual(x)
            if kind == "x":
                yield V.array(x)
            if norm <= tolerance:
                return x, 0, "converged"
            if spent:
                reason = "maxiter"
            if cycle.broken or spent:  # where it is broken, M has hidden the residual
                break
            factor = max(V.eps, 0.25 * factor) if least <= bound else min(1.0, 1.5 * factor)
            bound = least * min(factor, tolerance / norm)
        else:
            reason = "maxiter"
    return x, maxiter, reason

"""Generalised minimal residuals, restarted, with the steps of earlier cycles in each search space."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from .._docstrings import documented
from .._solve import Callback, Options, solve_system
from .._vectors import Breakdown
from ._arnoldi import Column, Cycle, Restarted, check_finite


@documented
def lgmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int = 1000,
    M: Any = None,
    callback: Callback = None,
    inner_m: int = 30,
    outer_k: int = 3,
    outer_v: list[Any] | None = None,
    store_outer_Av: bool = True,
    prepend_outer_v: bool = False,
    return_info: bool = False,
    progress: bool = False,
    refine: bool | None = None,
) -> tuple[Any, Any]:
    """Solve ``A x = b`` by LGMRES: restarted GMRES whose cycles also search along the steps of the last ones.

    Parameters
    ----------
    {A}
    {b in cycles}
    {x0}
    rtol, atol : float
        Iteration stops once ``norm(b - A @ x) <= max(rtol * norm(b), atol)``, which is tested before each cycle.
    maxiter : int
        Most cycles.
    M : same kinds as `A`, optional
        Approximate inverse of `A`, applied from the left.
    callback : callable, optional
        ``callback(xk)`` before each test. With an ndarray `b`, xk is the array being iterated: copy it to keep it.
    inner_m : int
        Krylov vectors of a cycle.
    outer_k : int
        Steps of earlier cycles that are kept.
    outer_v : list of tuples (v, Av), optional
        Vectors of norm 1 to search along from the first cycle on, with ``M @ A @ v`` or None. It ends with what the
        last cycle would search along, so it can be given to the next system that is like this one. For one right-hand
        side.
    store_outer_Av : bool
        Whether steps are kept with their products, which saves one product each in every cycle.
    prepend_outer_v : bool
        Whether the kept vectors come before the Krylov vectors, not after them.
    {told in cycles}
    {refine}

    Returns
    -------
    {x}
    info : int
        0 on convergence of every column, else the cycles that did not suffice, or after which a product was not finite.

    Raises
    ------
    RuntimeError
        `M` maps a residual to zero.
    {TypeError}
    ValueError
        `A` is not square, another shape does not match it, `atol` is negative, `b` is not finite, or has several
        columns beside `outer_v`. Inside `mx.compile` and `mx.vmap`, where values cannot be read; inside `mx.grad`, if
        derivatives of `A` would be lost: its values are traced and `b` is an ndarray, or it is an object that closes
        over traced arrays.

    Notes
    -----
    A. H. Baker, E. R. Jessup and T. Manteuffel, A Technique for Accelerating the Convergence of Restarted GMRES, SIAM
    J. Matrix Anal. Appl. 26 (2005), 962-984. The basis of a cycle is made orthogonal by two passes of classical
    Gram-Schmidt, each a product with a matrix; of long ndarrays the second is left out where the first turns out to
    have done. With an `mx.array` `b` every inner iteration is evaluated once. As for `cg`, an `mx.array` x is
    differentiable with respect to `b` and the values of `A`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]])
    >>> x, info = sp.linalg.lgmres(A, np.array([2.0, 4.0, -1.0]))
    >>> x.round(6), info
    (array([ 2., -2.,  9.]), 0)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once. float16 and bfloat16 systems are solved in float32. `outer_v` is
    written once, at the end.
    """
    method = partial(_cycles, steps=inner_m, keep=outer_k, products=store_outer_Av, before=prepend_outer_v)
    options = Options(rtol, atol, maxiter, callback, return_info, progress, refine)
    return solve_system(Restarted(method, outer_v), A, b, x0, (M,), options)


def _cycles(
    problem: Column, steps: int, keep: int, products: bool, before: bool
) -> Generator[Any, None, tuple[Any, int, str]]:
    check_finite(problem.size)
    V, tolerance = problem.V, problem.tolerance
    known = problem.known  # pairs (z, w = M A z or None) of steps of earlier cycles, of norm 1
    x, cycle, factor = problem.guess(), Cycle(V), 1.0
    for count in range(problem.maxiter):
        yield V.array(x)
        try:
            x, r, norm = problem.residual(x)
            if norm <= tolerance:
                return x, 0, "converged"
            cycle.begin(V.M(r), steps + len(known))
            if cycle.broken:
                raise RuntimeError(f"the preconditioner M maps the residual, of norm {norm:.1e}, to zero")
            share = min(factor, tolerance / norm)
            bound, start = share * cycle.residual, cycle.last
            directions = _directions(known, steps, before)
            for row, pair in directions:
                z, w = (cycle.last if row else start, None) if pair is None else pair
                if cycle.step(V.M(V.A(z)) if w is None else w) < bound or cycle.broken:
                    break
            y = cycle.solution()
            factor = max(1e-16, 0.25 * factor) if cycle.residual <= bound else min(1.0, 1.5 * factor)
            dx = _combined(V, cycle, directions, y)
            dx, square = V.settle((dx, V.dot(dx, dx)))
            if size := V.norm(square):
                (z,) = V.sweep((V.zeros(), 1, 1 / size, dx))
                z, w = V.settle((z, cycle.combine(cycle.products(y / size)) if products else z))
                known.append((z, w if products else None))
                del known[: max(0, len(known) - keep)]
            (x,) = V.sweep((x, 1, 1, dx))
        except Breakdown:
            return x, count + 1, "breakdown"
    with suppress(Breakdown):
        problem.residual(x)  # to tell of it
    return x, problem.maxiter, "maxiter"


def _combined(V: Any, cycle: Cycle, directions: list[tuple[int, Any]], y: np.ndarray) -> Any:
    """The sum of y[j] times the direction j."""
    along, others = np.zeros(len(y), y.dtype), []
    for (row, pair), weight in zip(directions, y.tolist(), strict=False):
        if pair is None:
            along[row] = weight
        else:
            others.append((pair[0], weight))
    made = cycle.combine(along)
    return V.sweep(*((made, 1, weight, z) for z, weight in others))[-1] if others else made


def _directions(known: list[Any], steps: int, before: bool) -> list[tuple[int, Any]]:
    """What a cycle gives to A in turn: vectors of the basis, as (number, None), and those of `known`, as (-1, pair).

    A number other than 0 is that of the basis vector made last.
    """
    pairs = [(-1, pair) for pair in known]
    if not before:
        return [(j, None) for j in range(steps)] + pairs
    return pairs + [(j and len(known) + j, None) for j in range(steps)]

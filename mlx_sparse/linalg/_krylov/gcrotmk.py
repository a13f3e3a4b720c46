"""Generalised conjugate residuals with inner orthogonalisation, truncated: GCROT(m, k), flexible."""

from __future__ import annotations

import math
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
def gcrotmk(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int = 1000,
    M: Any = None,
    callback: Callback = None,
    m: int = 20,
    k: int | None = None,
    CU: list[Any] | None = None,
    discard_C: bool = False,
    truncate: str = "oldest",
    return_info: bool = False,
    progress: bool = False,
    refine: bool | None = None,
) -> tuple[Any, Any]:
    """Solve ``A x = b`` by flexible GCROT(m, k): GMRES cycles orthogonal to what the last ones have minimised already.

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
        Approximate inverse of `A`, applied from the right; it may be another one in each product.
    callback : callable, optional
        ``callback(xk)`` before each test. With an ndarray `b`, xk is the array being iterated: copy it to keep it.
    m : int
        Inner iterations of a cycle, to which come as many as the pairs kept fall short of `k`.
    k : int, optional
        Pairs that are kept between cycles. Default: `m`.
    CU : list of tuples (c, u), optional
        Pairs with ``c = A @ u``, or None in the place of c, to begin with. It ends with what the last cycle has kept
        and the pair (None, x), so it can be given to the next system with `A`. For one right-hand side.
    discard_C : bool
        Forget the c in the end, and those of a given `CU`: for a next system with another matrix.
    truncate : {"oldest", "smallest"}
        Which pairs go when there are too many: the oldest, or by their singular values those that a cycle needed least.
    {told in cycles}
    {refine}

    Returns
    -------
    {x}
    info : int
        0 on convergence of every column, else the cycles that did not suffice, or after which a product was not finite.

    Raises
    ------
    {TypeError}
    ValueError
        `A` is not square, another shape does not match it, `atol` is negative, `truncate` is another word, `b` is not
        finite, or has several columns beside `CU`. Inside `mx.compile` and `mx.vmap`, where values cannot be read;
        inside `mx.grad`, if derivatives of `A` would be lost: its values are traced and `b` is an ndarray, or it is an
        object that closes over traced arrays.

    Notes
    -----
    J. E. Hicken and D. W. Zingg, A Simplified and Flexible Variant of GCROT for Solving Nonsymmetric Linear Systems,
    SIAM J. Sci. Comput. 32 (2010), 1672-1694; E. de Sturler, Truncation Strategies for Optimal Krylov Subspace Methods,
    SIAM J. Numer. Anal. 36 (1999), 864-889. The basis of a cycle is made orthogonal by two passes of classical
    Gram-Schmidt, each a product with a matrix; of long ndarrays the second is left out where the first turns out to
    have done. With an `mx.array` `b` every inner iteration is evaluated once. As for `cg`, an `mx.array` x is
    differentiable with respect to `b` and the values of `A`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]])
    >>> x, info = sp.linalg.gcrotmk(A, np.array([2.0, 4.0, -1.0]))
    >>> x.round(6), info
    (array([ 2., -2.,  9.]), 0)

    Differences from SciPy
    ----------------------
    Several right-hand sides are solved at once. float16 and bfloat16 systems are solved in float32. `CU` is written
    once, at the end; given pairs are made orthonormal in their order, those with a c first, without pivoting.
    """
    if truncate not in ("oldest", "smallest"):
        raise ValueError(f"truncate must be 'oldest' or 'smallest'; got {truncate!r}")
    method = partial(
        _cycles,
        steps=m,
        keep=m if k is None else k,
        guessed=x0 is not None,
        discard=discard_C,
        smallest=truncate == "smallest",
    )
    options = Options(rtol, atol, maxiter, callback, return_info, progress, refine)
    return solve_system(Restarted(method, CU), A, b, x0, (M,), options)


def _cycles(
    problem: Column, steps: int, keep: int, guessed: bool, discard: bool, smallest: bool
) -> Generator[Any, None, tuple[Any, int, str]]:
    check_finite(problem.size)
    V, tolerance, maxiter = problem.V, problem.tolerance, problem.maxiter
    x, cycle, info, reason, room = problem.guess(), Cycle(V), maxiter, "maxiter", None
    (r,) = V.sweep((V.zeros(), 1, 1, V.vector(problem.b)))
    if guessed:
        (r,) = V.sweep((r, 1, -1, V.A(x)))
    known = problem.known  # pairs (c, u) with c = A u, of which the c are orthonormal, and orthogonal to r
    known.sort(key=lambda pair: pair[0] is None or discard)
    known[:] = _orthonormal(V, [(V.A(u) if c is None or discard else c, u) for c, u in known])
    for c, u in known:
        weight = V.dot(c, r)
        x, r = V.sweep((x, 1, weight, u), (r, 1, V.minus(weight), c))
    for count in range(maxiter):
        yield V.array(x)
        try:
            x, r, norm = problem.tested(x, r)
            if norm <= tolerance and (count or known):  # by the r of the recurrence
                x, r, norm = problem.residual(x, again=True)
            if norm <= tolerance:
                info, reason = 0, "converged"
                break
            length = steps + max(keep - len(known), 0)
            cycle.begin(r, length, [c for c, _ in known])
            Z = None  # a basis of the directions, where they are not those of the cycle
            for _ in range(length):
                v = cycle.last
                z = V.M(v)
                if z is not v:
                    room = room or V.basis(steps + keep)
                    if Z is None:
                        Z = room
                        Z.clear()
                    V.put(Z, z)
                if cycle.step(V.A(z)) < tolerance or cycle.broken:
                    break
            y = cycle.solution()
            hy = cycle.products(y)
            size = float(np.linalg.norm(hy))
            if not size or math.isinf(1 / size):  # a cycle without effect
                continue
            y, hy = y / size, hy / size
            u = cycle.combine(y) if Z is None else V.combine(Z, y)
            weights = (-(cycle.B @ y)).tolist()
            if known:
                *_, u = V.sweep(*((u, 1, weight, before) for weight, (_, before) in zip(weights, known, strict=True)))
            u, c = V.settle((u, cycle.combine(hy)))
            weight = V.dot(c, r)
            x, r = V.sweep((x, 1, weight, u), (r, 1, V.minus(weight), c))
            if len(known) >= keep:
                rest = max(keep - 1, 0)
                known[:] = _truncated(V, cycle, known, rest) if smallest else known[len(known) - rest :]
            known.append((c, u))
        except Breakdown:
            info, reason = count + 1, "breakdown"
            break
    else:
        with suppress(Breakdown):
            problem.tested(x, r)  # to tell of it
    (copy,) = V.sweep((V.zeros(), 1, 1, x))
    known.append((None, copy))
    if discard:
        known[:] = [(None, u) for _, u in known]
    return x, info, reason


def _orthonormal(V: Any, pairs: list[Any]) -> list[Any]:
    """Combinations of the pairs (c, u) with orthonormal c; leaves out those whose c the ones before make."""
    basis = V.basis(len(pairs))
    made: list[Any] = []
    for c, u in pairs:
        c, (*h, length) = V.extend(basis, c)
        if length > 1e-12 * math.hypot(length, *map(abs, h)):
            changes = [(-weight / length, before) for weight, (_, before) in zip(h, made, strict=True)]
            new = V.zeros()
            *_, u = V.sweep((new, 1, 1 / length, u), *((new, 1, weight, before) for weight, before in changes))
            made.append(V.settle((c, u)))
        else:
            basis.count -= 1
    return made


def _truncated(V: Any, cycle: Cycle, known: list[Any], number: int) -> list[Any]:
    """The `number` combinations of the known pairs that this cycle has needed most."""
    D = np.linalg.lstsq(cycle.R.T, cycle.B.T, rcond=None)[0].T
    kept = []
    for weights in np.linalg.svd(D)[0][:, :number].T:
        u = V.zeros()
        *_, u = V.sweep(*((u, 1, weight, before) for weight, (_, before) in zip(weights.tolist(), known, strict=True)))
        kept.append((cycle.combine_c(weights), u))
    return _orthonormal(V, kept)

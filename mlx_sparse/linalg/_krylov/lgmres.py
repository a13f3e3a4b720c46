"""Generalised minimal residuals, restarted, with the steps of earlier cycles in each search space."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

import numpy as np

from .._problem import make_system
from .._solve import Callback, Limits, solve
from .._vectors import Breakdown
from ._arnoldi import Column, Cycle, Restarted, check_atol, check_finite


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
) -> tuple[Any, int]:
    system = make_system(A, M, x0, b)
    limits = Limits(float(rtol), check_atol(atol), maxiter)
    method = partial(_cycles, steps=inner_m, keep=outer_k, products=store_outer_Av, before=prepend_outer_v)
    found = solve(Restarted(method, outer_v), system, limits, callback)
    return system.finish(found.x), found.info


def _cycles(
    problem: Column, steps: int, keep: int, products: bool, before: bool
) -> Generator[Any, None, tuple[Any, int]]:
    check_finite(problem.size)
    V, tolerance = problem.V, problem.tolerance
    known = problem.known  # pairs (z, w = M A z or None) of steps of earlier cycles, of norm 1
    x, cycle, factor = problem.guess(), Cycle(V), 1.0
    for count in range(problem.maxiter):
        yield V.array(x)
        try:
            x, r, norm = problem.residual(x)
            if norm <= tolerance:
                return x, 0
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
            return x, count + 1
    return x, problem.maxiter


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

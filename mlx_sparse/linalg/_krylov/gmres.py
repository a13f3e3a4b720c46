"""Generalised minimal residuals, restarted."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any
from warnings import warn

import numpy as np

from .._problem import make_system
from .._solve import Limits, solve
from .._vectors import Breakdown
from ._arnoldi import Column, Cycle, Restarted, check_atol


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
) -> tuple[Any, int]:
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
    system = make_system(A, M, x0, b)
    n = system.A.shape[0]
    cycles = partial(_cycles, steps=min(20 if restart is None else restart, n), kind=callback and kind)
    limits = Limits(float(rtol), check_atol(atol), 10 * n if maxiter is None else maxiter)
    found = solve(Restarted(cycles), system, limits, callback)
    return system.finish(found.x), found.info


def _cycles(problem: Column, steps: int, kind: Any) -> Generator[Any, None, tuple[Any, int]]:
    V, tolerance, maxiter = problem.V, problem.tolerance, problem.maxiter
    x, cycle, taken, factor = problem.guess(), Cycle(V), 0, 1.0
    with suppress(Breakdown):
        x, r, norm = problem.first(x)
        if maxiter and norm < tolerance:
            return x, 0
        z = V.M(V.vector(problem.b))
        bound = V.norm(V.dot(z, z)) * min(
            1.0, tolerance / problem.size
        )  # of the norm that ends a cycle, which is M r's
        for _ in range(maxiter):
            cycle.begin(V.M(r), steps)
            if cycle.broken:
                break
            for _ in range(steps):
                least = cycle.step(V.M(V.A(cycle.last)))
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
                return x, 0
            if cycle.broken or spent:  # where it is broken, M has hidden the residual
                break
            factor = max(V.eps, 0.25 * factor) if least <= bound else min(1.0, 1.5 * factor)
            bound = least * min(factor, tolerance / norm)
    return x, maxiter

"""The loop that every iterative solver runs in, and the derivative of the solution of a linear system."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from warnings import warn

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes
from .._reduce import totals_along
from ._info import SolverInfo, progress_bar
from ._operator import Operator, constant, is_traced
from ._problem import System, make_system, workers
from ._recorded import Recorded, norm_lazily, recorded, replay, replay_lazily
from ._vectors import Breakdown, space

Callback = Callable[[Any], Any] | None
Step = Callable[[Any, tuple[Any, ...]], tuple[Any, ...]]  # (V, state) -> state


class Recurrence(NamedTuple):
    """A method, written over a space V of `_vectors`. Of its state, a tuple, the loop knows the first two elements:
    the iterate and the squared norm of its residual.
    """

    start: Callable[[Any, Any, Any], tuple[Any, ...]]  # (V, x, residual of x) -> state
    step: Step
    hermitian: bool = False  # it takes Hermitian operators only, which are their own adjoints
    adjoint: bool = False  # it asks for products with adjoints
    second: Step | None = None  # taken in turn with `step`
    halves: bool = False  # whether these two together are one iteration, whose middle is tested too
    tests_last: bool = False  # whether the iterate that `maxiter` allows as the last one may be found to be converged


class OwnLoop:
    """A method that is no sequence of steps, since it decides in between: it solves systems by itself."""

    hermitian = False

    def iterate(self, system: System, limits: Limits, callback: Callback) -> Solution:
        raise NotImplementedError

    def fresh(self) -> OwnLoop:
        """The method without what the user gave it for one solution."""
        return self


Method = Recurrence | OwnLoop


class Limits(NamedTuple):
    """Stop once ``norm(r) < max(rtol * norm(b), atol)``, or after `maxiter` steps."""

    rtol: Any
    atol: float
    maxiter: int


@dataclass
class Solution:
    x: Any
    info: Any  # 0 on convergence; else the least code of a breakdown, or the number of iterations that did not suffice
    codes: Any  # the same for each column; both are lazy in a trace that has no values
    history: list[Any]  # norms of the recurrence's residuals, first and after each iteration: a number, or by column


def check_atol(atol: Any) -> float:
    if atol is None or isinstance(atol, str) or atol < 0:
        raise ValueError(f"atol must be a real, non-negative number; got {atol!r}")
    return float(atol)


def solve_system(
    method: Recurrence,
    A: Any,
    b: Any,
    x0: Any,
    *,
    rtol: float,
    atol: float,
    maxiter: int | None,
    M: Any,
    M2: Any = None,
    callback: Callback,
    return_info: bool,
    progress: bool,
) -> tuple[Any, Any]:
    """What the public functions of methods for square systems do: (x, info)."""
    absolute = check_atol(atol)
    system = make_system(A, M, x0, b, M2)
    limits = Limits(float(rtol), absolute, 10 * system.A.shape[0] if maxiter is None else maxiter)
    found = solve(method, system, limits, callback, progress)
    if return_info and _dense.is_mlx(found.info):
        raise ValueError("return_info=True reads values, and inside mx.compile and mx.vmap there are none yet")
    info = SolverInfo(found.info, found.codes, np.array(found.history)) if return_info else found.info
    return system.finish(found.x), info


def solve(
    method: Method, system: System, limits: Limits, callback: Callback = None, progress: bool = False
) -> Solution:
    """Iterate until every column has converged. An `mx.array` x is differentiable in b and in the values of A.

    Inside `mx.compile` and `mx.vmap`, where there are no values yet, the solution is a node of the graph for operators
    that are sparse arrays of this package, and `info` and `codes` are lazy too; there is no history.

    Raises
    ------
    ValueError
        Inside `mx.compile` and `mx.vmap` for other operators; and where derivatives with respect to what A closes over
        would be lost.
    """
    A, M, M2, b, x = system.A, system.M, system.M2, system.b, system.x
    if not system.lazy or not is_traced(b, x, A.values, M and M.values, M2 and M2.values):
        return _iterate(method, system, limits, callback, progress)
    try:
        fixed = system.constant()
    except ValueError:  # there are no values: inside mx.compile or mx.vmap
        if callback or progress or isinstance(method, OwnLoop) or (program := recorded(method, system)) is None:
            raise
        return _pending(program, method, system, limits)
    found = _iterate(method, fixed, limits, callback, progress)
    found.x = inverse_product(A, b, _inverse(method, fixed, limits), found.x)
    return found


def _iterate(
    method: Method, system: System, limits: Limits, callback: Callback = None, progress: bool = False
) -> Solution:
    if isinstance(method, OwnLoop):
        return method.iterate(system, limits, callback)
    b, x, size = system.b, system.x, norms(system.b)
    if not (size if b.ndim == 1 else size.any()):
        return Solution((mx if system.lazy else np).zeros_like(b), 0, np.zeros(b.shape[1:], int), [size])
    tolerance: Any
    if b.ndim == 1:
        tolerance = max(limits.atol, float(limits.rtol) * size)
    else:
        tolerance = np.where(size == 0, math.inf, np.maximum(limits.atol, limits.rtol * size))
        if x is not None:  # which is exact where b is zero
            x = mx.where(mx.array(size == 0), 0, x) if system.lazy else np.where(size == 0, 0, x)
    if callback is None and not progress and (program := recorded(method, system)) is not None:
        return _replayed(program, method, system, x, tolerance, limits.maxiter)
    V = space(b, system.products(method.adjoint))
    settle, norm_of, done = V.settle, V.norm, V.done
    steps = method.step, method.second or method.step
    halves = 2 if method.halves else 1
    tested: list[Any] = []
    with workers(), progress_bar(limits.maxiter) if progress else nullcontext() as bar:
        if x is None:
            x = V.zeros()
            state = method.start(V, x, V.vector(b if system.lazy else b.copy()))
        else:
            r, x = V.vector(b - system.product(system.A)(x)), V.vector(x)
            state = settle(method.start(V, x, r))
        try:
            for k in range(halves * limits.maxiter):
                norm, x = norm_of(state[1]), state[0]
                tested.append(norm)
                if done(norm < tolerance):
                    break
                state = steps[k % 2](V, state)
                state = settle(state)  # by itself: MLX writes into buffers of the state before, which is gone by now
                if halves == 1 or k % 2:
                    if callback:
                        callback(system.finish(V.array(state[0])))
                    if bar is not None:
                        bar.update()
            else:
                x = state[0]
                tested.append(norm_of(state[1]))
                if method.tests_last:
                    done(tested[-1] < tolerance)
        except Breakdown as broken:
            V.code = broken.code
    return _solution(V.array(x), V.codes(limits.maxiter), tested, halves)


def _replayed(program: Recorded, method: Recurrence, system: System, x: Any, tolerance: Any, maxiter: int) -> Solution:
    """As `_iterate`, by the native interpreter."""
    b = system.b
    if system.lazy:
        b, x = _dense.view(b), None if x is None else np.array(_dense.view(x))
    with workers():
        x, codes, norms = replay(program, b, x, tolerance, maxiter)
    codes = np.where(codes > 0, maxiter, codes).reshape(b.shape[1:])
    return _solution(_dense.to_mlx(x) if system.lazy else x, codes, list(norms), 2 if method.halves else 1)


def _solution(x: Any, codes: np.ndarray, tested: list[Any], halves: int) -> Solution:
    info = min(codes.min(), 0) or codes.max()
    history = tested if halves == 1 else tested[::2] + (tested[-1:] if len(tested) % 2 == 0 else [])
    return Solution(x, int(info), codes, history)


def _pending(program: Recorded, method: Recurrence, system: System, limits: Limits) -> Solution:
    """As `solve`, lazily: with `info` and `codes` that are `mx.array`."""
    A, b, (rtol, atol, maxiter) = system.A, mx.stop_gradient(system.b), limits
    x0 = None if system.x is None else mx.stop_gradient(system.x)
    size = norm_lazily(b)
    relative = mx.maximum(rtol, atol / mx.where(size == 0, math.inf, size))

    def solved(g: mx.array, adjoint: bool) -> mx.array:
        same = replace(system, x=None) if method.hermitian or not adjoint else system.H
        again = recorded(method, same)
        assert again is not None
        return replay_lazily(again, g, None, relative, 0.0, maxiter)[0]

    x, codes = replay_lazily(program, b, x0, rtol, atol, maxiter)
    info = mx.where(codes.min() < 0, codes.min(), codes.max()) if codes.size else mx.array(0)
    return Solution(inverse_product(A, system.b, solved, x), info, codes, [])


def norms(b: Any) -> Any:
    """The norm of the vector `b`, a number, or of each of its columns."""
    if b.size == 0:
        return 0.0 if b.ndim == 1 else np.zeros(b.shape[1])
    axis = None if b.ndim == 1 else 0
    found: Any
    if _dense.is_mlx(b):
        found = _dense.view(mx.sqrt(totals_along(mx.square(mx.abs(b)), 0)))
    else:  # along columns NumPy adds one after the other
        found = np.linalg.norm(b if axis is None else b.astype(np.promote_types(b.dtype, np.float64)), axis=axis)
    return float(found) if axis is None else found


# ---- derivatives ---------------------------------------------------------------------------------------------------

Inverse = Callable[[mx.array, bool], mx.array]  # (b, adjoint) -> A^-1 b, or A^-H b, as constants


def _inverse(method: Method, system: System, limits: Limits) -> Inverse:
    """Solves as accurate, relative to their right-hand sides, as that of `system`."""
    method = method.fresh() if isinstance(method, OwnLoop) else method

    def solved(b: mx.array, adjoint: bool) -> mx.array:
        b, size = constant(b), norms(system.b)
        rtol = np.maximum(limits.rtol, limits.atol / np.where(size == 0, math.inf, size))
        same = replace(system, x=None) if method.hermitian or not adjoint else system.H
        found = _iterate(method, replace(same, b=b), Limits(rtol, 0.0, limits.maxiter))
        if found.info:
            why = "broke down" if found.info < 0 else f"takes more than {found.info} steps"
            warn(f"a derivative is inaccurate: the method for its linear system {why}", stacklevel=2)
        return found.x

    return solved


def inverse_product(A: Operator, b: mx.array, solved: Inverse, x: Any = None, adjoint: bool = False) -> mx.array:
    """A^-1 b, or A^-H b, as a function that can be differentiated in `b` and the values of `A`, any number of times.

    It costs one solve, which a known `x` spares. With w = A^-H g for the cotangent g of x, the cotangents of b and A
    are w and -w x^H, the latter at the stored places: what the product A x pulls back from -w.
    """
    x = mx.stop_gradient(solved(b, adjoint) if x is None else x)
    if not is_traced(b, A.values):
        return x
    values = mx.zeros(0) if A.values is None else A.values

    def product(values: mx.array, x: mx.array) -> mx.array:
        B = A.with_values(values)
        return (B.H if adjoint else B).device(x.dtype)(x)

    def pull(primals: Any, g: mx.array, x: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        values, nothing = primals[1], mx.zeros_like(x)
        w = inverse_product(A.with_values(values), g, solved, adjoint=not adjoint)
        if A.values is None:
            return w, values, nothing
        return w, mx.vjp(lambda v: product(v, x), [values], [-w])[1][0], nothing

    def push(primals: Any, tangents: Any) -> mx.array:
        (b, values, x), (db, dvalues, _) = primals, tangents
        B = A.with_values(values)
        change = mx.zeros_like(x) if db is None else db
        if A.values is not None and dvalues is not None:  # in which the product is linear
            change = change - product(dvalues, inverse_product(B, b, solved, x, adjoint))
        return inverse_product(B, change, solved, adjoint=adjoint)

    known: Any = mx.custom_function(lambda b, values, x: x)
    known.vjp(pull)
    known.jvp(push)
    return known(b, values, x)


def host_inverse_product(A: Operator, b: mx.array, solve: Callable[..., np.ndarray], dtype: np.dtype) -> mx.array:
    """`inverse_product` by a solver over ndarrays of `dtype`, (b, adjoint) -> x."""

    def solved(b: mx.array, adjoint: bool) -> mx.array:
        return _dense.to_mlx(solve(_dense.view(constant(b)).astype(dtype, copy=False), adjoint))

    return inverse_product(A, _dense.to_mlx(b, _dtypes.mlx_dtype(dtype)), solved)

"""The loop that every iterative solver runs in, and the derivative of the solution of a linear system."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from warnings import warn

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes
from .._reduce import totals_along
from ._info import Course, SolverInfo, progress_bar
from ._operator import Operator, constant, is_traced, refusing
from ._problem import NOT_DIFFERENTIABLE, System, make_system, workers
from ._recorded import Recorded, norm_lazily, on_device, recorded, replay, replay_lazily, replay_on_device
from ._refine import is_refined, refine_solution
from ._spaces import space
from ._vectors import BLOCK, Breakdown

CYCLE = 10  # products, and vectors that are kept
Callback = Callable[[Any], Any] | None
Step = Callable[..., tuple[Any, ...]]  # (V, state) -> state


class Recurrence(NamedTuple):
    """A method, written over a space V of `_vectors`. Of its state, a tuple, the loop knows the first two elements:
    the iterate and the squared norm of its residual.
    """

    start: Callable[..., tuple[Any, ...]]  # (V, x, residual of x) -> state
    step: Step
    hermitian: bool = False  # it takes Hermitian operators only, which are their own adjoints
    adjoint: bool = False  # it asks for products with adjoints
    second: Step | None = None  # taken in turn with `step`
    halves: bool = False  # whether these two together are one iteration, whose middle is tested too
    tests_last: bool = False  # whether the iterate that `maxiter` allows as the last one may be found to be converged
    two: bool = False  # it goes between two spaces: `start` and `step` are given both, that of the iterate last
    sturdier: Any = None  # a method of `CYCLE` products a step, for what this one does not solve of derivatives


class OwnLoop:
    """A method that is no sequence of steps, since it decides in between: it solves systems, with b != 0, by itself."""

    hermitian = False

    def iterate(self, system: System, limits: Limits, callback: Callback, progress: bool) -> Solution:
        raise NotImplementedError

    def fresh(self) -> OwnLoop:
        """The method without what the user gave it for one solution."""
        return self

    def inverted(self, A: Operator) -> Operator:
        """What the method solves a system with, given `A`."""
        return A


Method = Recurrence | OwnLoop


class Options(NamedTuple):
    """What users say of an iteration."""

    rtol: float
    atol: float
    maxiter: int | None
    callback: Callback
    return_info: bool
    progress: bool
    refine: bool | None = False


class Limits(NamedTuple):
    """Stop once ``norm(r) < max(rtol * norm(b), atol)``, or after `maxiter` steps."""

    rtol: Any
    atol: float
    maxiter: int

    def of_columns(self, sizes: np.ndarray) -> np.ndarray:
        """Norms of residuals to get below, for right-hand sides of these norms; infinity for those that are zero."""
        return np.where(sizes == 0, math.inf, np.maximum(self.atol, self.rtol * sizes))


@dataclass
class Solution:
    x: Any
    info: Any  # 0 on convergence; else the least code of a breakdown, or the number of iterations that did not suffice
    codes: Any  # the same for each column; both are lazy in a trace that has no values
    history: list[Any]  # norms of the recurrence's residuals, first and after each iteration: a number, or by column
    reason: str  # a word of `_info.REASONS`
    sources: Sequence[mx.array] = ()  # as of a `System`

    def told(self) -> SolverInfo:
        norms = refusing(np.array(self.history), self.sources, NOT_DIFFERENTIABLE)
        return SolverInfo(self.info, self.codes, norms, self.reason)


def check_atol(atol: Any) -> float:
    if atol is None or isinstance(atol, str) or atol < 0:
        raise ValueError(f"atol must be a real, non-negative number; got {atol!r}")
    return float(atol)


def solve_system(
    method: Method, A: Any, b: Any, x0: Any, preconditioners: tuple[Any, ...], options: Options, per_row: int = 10
) -> tuple[Any, Any]:
    """What the public functions of methods for square systems do: (x, info). By default, n rows may take n * `per_row`
    iterations.
    """
    rtol, atol, maxiter, callback, return_info, progress, refine = options
    atol = check_atol(atol)
    M, M2 = (*preconditioners, None)[:2]
    system = make_system(A, M, x0, b, M2)
    limits = Limits(float(rtol), atol, per_row * system.A.shape[0] if maxiter is None else maxiter)
    if is_refined(refine, system, b, limits.rtol):
        found = _refined(method, system, b, x0, limits, callback, progress)
        x = mx.array(found.x, dtype=mx.float64) if _dense.is_mlx(b) else found.x
    else:
        found = solve(method, system, limits, callback, progress)
        x = system.finish(found.x)
    if return_info and _dense.is_mlx(found.info):
        raise ValueError("return_info=True reads values, and inside mx.compile and mx.vmap there are none yet")
    return x, found.told() if return_info else found.info


def _refined(
    method: Method, system: System, b: Any, x0: Any, limits: Limits, callback: Callback, progress: bool
) -> Solution:
    """The float64 solution as an ndarray, by solves in float32."""
    if is_traced(system.b, system.x, *system.A.values):
        raise ValueError("a refined solution has no derivative: solve without refine, or stop the gradient of b and A")

    def corrected(r: mx.array, rtol: float, maxiter: int) -> tuple[mx.array, int]:
        b = r if system.lazy else _dense.view(r)
        found = _iterate(method, replace(system, b=b, x=None), Limits(rtol, 0.0, maxiter), None, progress)
        return _dense.to_mlx(found.x), len(found.history) - 1

    def wide(x: Any) -> np.ndarray:
        return (_dense.view(x) if _dense.is_mlx(x) else np.asarray(x)).astype(np.float64).reshape(system.b.shape)

    guess = None if system.x is None else wide(system.x if isinstance(x0, str) else x0)
    found = refine_solution(corrected, system.A.operand, wide(b), guess, limits, callback)
    reason = "maxiter" if found.info else "converged"
    return Solution(found.x, found.info, found.codes, found.history, reason)


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
    A = method.inverted(system.A) if isinstance(method, OwnLoop) else system.A
    try:
        fixed = system.constant() if system.lazy else system
    except ValueError:  # there are no values: inside mx.compile or mx.vmap
        if callback or progress or isinstance(method, OwnLoop) or (program := recorded(method, system)) is None:
            raise
        return _pending(program, method, system, limits)
    others = [value for B in (system.M, system.M2) if B is not None for value in B.values]
    if not system.lazy or not is_traced(system.b, system.x, *A.values, *others):
        return _iterate(method, fixed, limits, callback, progress)
    fixed = replace(fixed, sources=(*fixed.sources, *A.values))
    found = _iterate(method, fixed, limits, callback, progress)
    found.x, found.sources = inverse_product(A, system.b, _inverse(method, fixed, limits), found.x), fixed.sources
    return found


def _iterate(
    method: Method, system: System, limits: Limits, callback: Callback = None, progress: bool = False
) -> Solution:
    b, size = system.b, norms(system.b)
    if not (size if b.ndim == 1 else size.any()):
        return Solution(system.zeros(), 0, np.zeros(b.shape[1:], int), [size], "converged")
    if isinstance(method, OwnLoop):
        return method.iterate(system, limits, callback, progress)
    tolerance: Any = max(limits.atol, float(limits.rtol) * size) if b.ndim == 1 else limits.of_columns(size)
    if callback is None and not progress and (program := recorded(method, system)) is not None:
        return _replayed(program, method, system, size, tolerance, limits.maxiter)
    V = space(b, system.products(method.adjoint))
    settle, norm_of, done = V.settle, V.norm, V.done
    steps = method.step, method.second or method.step
    halves = 2 if method.halves else 1
    norm, broke = None, False
    with workers(), progress_bar(limits.maxiter, progress) as bar:
        course = Course(bar)
        x, r = map(V.vector, system.first(size))
        state = method.start(V, x, r)
        if system.x is not None:
            state = settle(state)
        try:
            for k in range(halves * limits.maxiter):
                norm, x = norm_of(state[1]), state[0]
                if halves == 1 or k % 2 == 0:
                    course.add(norm)
                if done(norm < tolerance):
                    break
                state = steps[k % 2](V, state)
                state = settle(state)  # by itself: MLX writes into buffers of the state before, which is gone by now
                if callback and (halves == 1 or k % 2):
                    callback(system.shown(system.finish(V.array(state[0]))))
            else:
                x, norm = state[0], norm_of(state[1])
                course.add(norm)
                if method.tests_last:
                    done(norm < tolerance)
        except Breakdown as broken:
            V.code, broke = broken.code, True
    if norm is None or norm is not course.norms[-1]:  # of what is not finite, or of half an iteration
        course.norms.append(size if norm is None else norm)
    return _solution(V.array(x), V.codes(1), limits.maxiter, course.norms, broke)


def _replayed(
    program: Recorded, method: Recurrence, system: System, size: Any, tolerance: Any, maxiter: int
) -> Solution:
    """As `_iterate`, by the native interpreter."""
    b, halves = system.b, 2 if method.halves else 1
    x = None if system.x is None else system.first(size)[0]
    if shaders := on_device():
        x, codes, tested = replay_on_device(program, b, x, tolerance, maxiter)
    else:
        if system.lazy:
            b, x = _dense.view(b), None if x is None else np.array(_dense.view(x))
        with workers():
            x, codes, tested = replay(program, b, x, tolerance, maxiter)
    history = list(tested) if halves == 1 else [*tested[::2], *(tested[-1:] if len(tested) % 2 == 0 else [])]
    broke = len(tested) <= halves * maxiter
    return _solution(
        _dense.to_mlx(x) if system.lazy and not shaders else x,
        codes.reshape(b.shape[1:]),
        maxiter,
        history or [size],
        broke,
    )


def _solution(x: Any, codes: np.ndarray, maxiter: int, history: list[Any], ended: bool) -> Solution:
    """What has been found, with codes that are 1 where there is none; `ended`: before `maxiter` steps."""
    found = np.where(codes > 0, maxiter, codes)
    info = min(found.min(), 0) or found.max()
    reason = "converged" if not codes.any() else "breakdown" if info < 0 or ended else "maxiter"
    return Solution(x, int(info), found, history, reason)


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
    return Solution(inverse_product(A, system.b, solved, x), info, codes, [], "")


def norms(b: Any) -> Any:
    """The norm of the vector `b`, a number, or of each of its columns."""
    if b.size == 0:
        return 0.0 if b.ndim == 1 else np.zeros(b.shape[1])
    axis = None if b.ndim == 1 else 0
    found: Any
    if _dense.is_mlx(b):
        found = _dense.view(mx.sqrt(totals_along(mx.square(mx.abs(b)), 0)))
    elif axis is None:  # in parts, as BLAS would wake threads for a long vector, which then spin
        parts = (b[at : at + BLOCK] for at in range(0, len(b), BLOCK))
        found = np.linalg.norm(b) if len(b) <= BLOCK else math.sqrt(sum(float(np.vdot(p, p).real) for p in parts))
    else:  # along columns NumPy adds one after the other; of complex numbers the parts stand side by side
        parts = np.ascontiguousarray(b).view(b.real.dtype)
        squares = np.einsum("ij,ij->j", parts, parts, dtype=np.promote_types(parts.dtype, np.float64))
        found = np.sqrt(squares.reshape(b.shape[1], -1).sum(axis=1))
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
        same, cycles = replace(same, b=b), 2 * limits.maxiter // CYCLE  # for as many products
        found = _iterate(method, same, Limits(rtol, 0.0, limits.maxiter))
        if found.reason != "converged" and cycles and isinstance(method, Recurrence) and method.sturdier is not None:
            again = _iterate(method.sturdier, same, Limits(rtol, 0.0, cycles))
            found = again if again.reason == "converged" else found
        if found.reason != "converged":
            how = f"the solution of its linear system ends, after {len(found.history) - 1} steps, by: {found.reason}"
            warn(f"a derivative is inaccurate: {how}", stacklevel=2)
        return found.x

    return solved


def inverse_product(A: Operator, b: mx.array, solved: Inverse, x: Any = None, adjoint: bool = False) -> mx.array:
    """A^-1 b, or A^-H b, as a function that can be differentiated in `b` and the values of `A`, any number of times.

    It costs one solve, which a known `x` spares. With w = A^-H g for the cotangent g of x, the cotangents of b and A
    are w and -w x^H, of which the values get what the product A x pulls back from -w.
    """
    x = mx.stop_gradient(solved(b, adjoint) if x is None else x)
    if not is_traced(b, *A.values):
        return x

    def product(values: Sequence[mx.array], x: mx.array) -> mx.array:
        B = A.with_values(values)
        return (B.H if adjoint else B).device(x.dtype)(x)

    def pull(primals: Any, g: mx.array, x: mx.array) -> tuple[mx.array, ...]:
        values = primals[2:]
        w = inverse_product(A.with_values(values), g, solved, adjoint=not adjoint)
        return w, mx.zeros_like(x), *(mx.vjp(lambda *v: product(v, x), [*values], [-w])[1] if values else ())

    def push(primals: Any, tangents: Any) -> mx.array:
        (b, x, *values), (db, _, *changes) = primals, tangents
        B = A.with_values(values)
        change = mx.zeros_like(x) if db is None else db
        if changes := tangents_of(values, changes):
            y = inverse_product(B, b, solved, x, adjoint)
            change = change - mx.jvp(lambda *v: product(v, y), values, changes)[1][0]
        return inverse_product(B, change, solved, adjoint=adjoint)

    known: Any = mx.custom_function(lambda b, x, *values: x)
    known.vjp(pull)
    known.jvp(push)
    return known(b, x, *A.values)


def tangents_of(values: Sequence[mx.array], tangents: Sequence[mx.array | None]) -> list[mx.array]:
    """The tangents of all `values`; none if none has one."""
    if all(tangent is None for tangent in tangents):
        return []
    return [mx.zeros_like(v) if tangent is None else tangent for v, tangent in zip(values, tangents, strict=True)]


def host_inverse_product(A: Operator, b: mx.array, solve: Callable[..., np.ndarray], dtype: np.dtype) -> mx.array:
    """`inverse_product` by a solver over ndarrays of `dtype`, (b, adjoint) -> x."""

    def solved(b: mx.array, adjoint: bool) -> mx.array:
        try:
            known = _dense.view(constant(b))
        except ValueError as error:
            raise ValueError(
                "this factorisation solves outside the graph, and inside mx.compile and mx.vmap b has no values yet: "
                "solve outside, or use `cholesky`, `ilu0`, `ichol0` or `spsolve_triangular`, whose solutions are nodes"
            ) from error
        return _dense.to_mlx(solve(known.astype(dtype, copy=False), adjoint))

    return inverse_product(A, _dense.to_mlx(b, _dtypes.mlx_dtype(dtype)), solved)

"""Iterative refinement: answers in double precision out of solves in single precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, _native
from ._problem import System

# What a solve in single precision gains of its residual before rounding decides; less would be asked too often.
_GAIN = 1e-4
# Relative residuals that single precision comes to by itself.
_ENOUGH = 1e-6
# How many times as long as the longest before it a solve may take, and at least so many iterations: one that is still
# going has been thrown off its way by rounding, and does better from the residual that it has come to.
_PATIENCE, _FEW = 4, 100


class Refined(NamedTuple):
    x: np.ndarray  # float64
    info: int
    codes: np.ndarray  # 0 where a column has converged, else the iterations that did not suffice
    history: list[Any]  # norms of b - A x after each solve: a number, or by column


class TwoParts:
    """Rows of numbers that are sums of two float32 parts, which together hold 48 bits at least."""

    def __init__(self, rows: np.ndarray) -> None:
        high = rows.astype(np.float32)
        self.parts = mx.array(high), mx.array((rows - high).astype(np.float32))

    def add(self, d: mx.array) -> None:
        """Without the rounding errors of float32 (D. E. Knuth's sum with its error, and its two parts renormalised)."""
        high, low = self.parts
        total = high + d
        part = total - high
        low = low + ((high - (total - part)) + (d - part))
        high = total + low
        self.parts = high, low - (high - total)
        mx.eval(*self.parts)

    def restore(self, which: np.ndarray, earlier: tuple[mx.array, mx.array]) -> None:
        """Make the rows `which` again what they were."""
        if which.any():
            rows = mx.array(which)[:, None]
            self.parts = mx.where(rows, earlier[0], self.parts[0]), mx.where(rows, earlier[1], self.parts[1])

    def rows(self) -> np.ndarray:
        high, low = (_dense.view(p).astype(np.float64) for p in self.parts)
        return high + low


def is_refined(wanted: bool | None, system: System, b: Any, rtol: float) -> bool:
    """Whether the solution of `system`, for the right-hand side `b` as it was given, is to be refined.

    By default (None): where `b` is an ndarray of float64 and the device has no more than float32, unless that does.

    Raises
    ------
    ValueError
        It was asked for, but `A` is not a sparse array of real numbers.
    """
    if wanted is None:
        double = not _dense.is_mlx(b) and np.asarray(b).dtype == np.float64
        wanted = system.lazy and double and rtol < _ENOUGH and system.A.sparse
    dtype = _dtypes.numpy_dtype(system.dtype) if system.lazy else system.dtype
    if not wanted or dtype.char in "dD":  # double precision already
        return False
    if not system.A.sparse or dtype.kind == "c":
        raise ValueError("refine=True is for sparse arrays of real numbers: residuals are taken with more digits")
    return True


def refine_solution(
    solve: Callable[[mx.array, float, int], tuple[mx.array, int]],
    A: Any,
    b: np.ndarray,
    x0: np.ndarray | None,
    limits: Any,
    callback: Callable[[Any], None] | None = None,
) -> Refined:
    """Solve ``A x = b`` to more digits than `solve` works with.

    Residuals are taken of x and b as sums of two float32 parts, and a correction is solved for each, until
    ``norm(b - A x) <= max(rtol * norm(b), atol)`` or no digit is gained any more.

    Parameters
    ----------
    solve : callable
        ``solve(r, rtol, maxiter) -> (d, iterations)``, of float32 shaped like `b`, in so many iterations.
    A : sparse array of real numbers of at most 32 bits
    b, x0 : float64 ndarrays, shape (n,) or (n, k)

    Notes
    -----
    J. H. Wilkinson, Rounding Errors in Algebraic Processes, 1963, chapter 3. It converges where the condition number of
    A is below what single precision tells apart, about 1e6. With 49 bits in x it comes to relative residuals of
    2^-49 norm(A) norm(x) / norm(b).
    """
    A = A.tocsr().astype(np.float32, copy=False)
    columns = b.reshape(len(b), -1).T
    right, x = TwoParts(columns), TwoParts(np.zeros_like(columns) if x0 is None else x0.reshape(len(b), -1).T)
    size = np.linalg.norm(columns, axis=1)
    tolerance = np.maximum(limits.atol, limits.rtol * size)
    spent, longest, history, before, earlier = 0, 0, [], np.full(len(columns), np.inf), x.parts
    while True:
        r = _native.residual(A._structure, A._data, x.parts, right.parts, None)
        greatest = _dense.view(mx.max(mx.abs(r), axis=1)) if r.size else np.zeros(len(columns), np.float32)
        scale = np.where(greatest > 0, greatest, 1)
        scaled = r / mx.array(scale)[:, None]  # or squares of what is left would not be numbers of float32
        norms = scale.astype(np.float64) * np.sqrt(_dense.view(mx.sum(mx.square(scaled), axis=1)))
        history.append(norms if b.ndim == 2 else float(norms[0]))
        x.restore(~(norms <= before), earlier)
        met = norms <= tolerance
        going = ~met & (norms < 0.5 * before)  # False where they are nan
        if spent >= limits.maxiter or not going.any():
            break
        before, earlier = np.where(going, norms, before), x.parts
        scaled = mx.where(mx.array(going)[:, None], scaled, 0)
        gain = max(_GAIN, 0.5 * float(np.min(tolerance[going] / norms[going])))
        most = limits.maxiter - spent
        if longest:
            most = min(most, max(_PATIENCE * longest, _FEW))
        d, taken = solve(mx.reshape(scaled.T, b.shape), gain, most)
        if taken < most:
            longest = max(longest, taken)
        spent += max(taken, 1)
        x.add(mx.reshape(d, (len(b), -1)).T * mx.array(scale)[:, None])
        if callback:
            callback(x.rows().T.reshape(b.shape))
    codes = np.where(met, 0, max(spent, 1))
    return Refined(x.rows().T.reshape(b.shape), int(codes.max(initial=0)), codes.reshape(b.shape[1:]), history)

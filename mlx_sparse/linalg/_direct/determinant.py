"""Determinants by their logarithms, and the derivative: the inverse at the places of the entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense
from .._operator import Operator, constant
from .._solve import inverse_product
from .methods import Solve

_BLOCK = 64  # columns of the inverse that are dense at a time


def parity(order: np.ndarray) -> int:
    """Sign of a permutation."""
    seen, odd = np.zeros(order.size, bool), 0
    after = order.tolist()
    for first in range(order.size):
        if seen[first]:
            continue
        i = after[first]
        seen[first] = True
        while i != first:
            seen[i] = True
            odd ^= 1
            i = after[i]
    return -1 if odd else 1


Selected = Callable[[], np.ndarray]  # A^-H at the stored places of A


def slogdet(
    A: Operator, sign: Any, logabsdet: Any, dtype: np.dtype, solve: Solve, selected: Selected
) -> tuple[Any, Any]:
    """Both as 0-d dense arrays, differentiable in the values of a csc array `A` where it has any.

    log det is holomorphic: its imaginary part is the angle of the sign.
    """
    real = np.dtype(dtype.char.lower())
    if not A.values:
        found = (np.asarray(sign, dtype), np.asarray(logabsdet, real))
        sign, logabsdet = (_dense.in_namespace(_dense.to_mlx(x)) for x in found)
        return sign, logabsdet
    if dtype.kind != "c":
        return _dense.to_mlx(np.asarray(sign, dtype)), _logarithm(A, np.asarray(logabsdet, dtype), solve, selected)
    both = _logarithm(A, np.asarray(logabsdet + 1j * np.angle(sign), dtype), solve, selected)
    angle = mx.imag(both)
    return mx.cos(angle) + 1j * mx.sin(angle), mx.real(both)


def _logarithm(A: Operator, value: np.ndarray, solve: Solve, selected: Selected) -> mx.array:
    """log det as a function of the values, with the derivative A^-T at their places."""
    known = _dense.to_mlx(value)

    def pull(values: Any, g: mx.array, _: Any) -> mx.array:
        return (_gradient(A.with_values([values]), value.dtype, solve, selected) * g).astype(values.dtype)

    def push(values: Any, tangent: Any) -> mx.array:
        return mx.sum(mx.conj(_gradient(A.with_values([values]), value.dtype, solve, selected)) * tangent)

    function: Any = mx.custom_function(lambda values: known)
    function.vjp(pull)
    function.jvp(push)
    return function(*A.values)


def _gradient(A: Operator, dtype: np.dtype, solve: Solve, selected: Selected) -> mx.array:
    """A^-H at the stored places. Its own derivatives come from columns of the inverse, a block of them at a time."""
    cs = A.operand
    n = cs.shape[0]
    indptr = _dense.view(cs._indptr).astype(np.intp)
    cols = np.repeat(np.arange(n), np.diff(indptr))
    rows = _dense.view(cs._indices)[: cols.size]
    known = _dense.to_mlx(selected())

    def solved(b: mx.array, adjoint: bool) -> mx.array:
        return _dense.to_mlx(solve(_dense.view(constant(b)), adjoint))

    def block(values: mx.array, first: int) -> mx.array:
        last = min(n, first + _BLOCK)
        unit = mx.array((np.arange(n)[:, None] == np.arange(first, last)).astype(dtype.char.lower()))
        X = inverse_product(A.with_values([values]), unit.astype(known.dtype), solved, adjoint=True)
        here = slice(int(indptr[first]), int(indptr[last]))
        return X[mx.array(rows[here]), mx.array(cols[here] - first)]

    def pull(values: Any, g: mx.array, _: Any) -> mx.array:
        found = mx.zeros_like(values)
        for first in range(0, n, _BLOCK):
            part = g[int(indptr[first]) : int(indptr[min(n, first + _BLOCK)])]
            found = found + mx.vjp(lambda v, first=first: block(v, first), [values], [part])[1][0]
        return found

    def push(values: Any, tangent: Any) -> mx.array:
        parts = [
            mx.jvp(lambda v, first=first: block(v, first), [values], [tangent])[1][0] for first in range(0, n, _BLOCK)
        ]
        return mx.concatenate(parts) if parts else mx.zeros_like(known)

    function: Any = mx.custom_function(lambda values: known)
    function.vjp(pull)
    function.jvp(push)
    return function(*A.values)

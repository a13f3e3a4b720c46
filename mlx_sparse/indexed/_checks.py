"""Checks of index arrays, made once on the way in."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _native
from .._dtypes import INT32_MAX


def is_traced(a: mx.array) -> bool:
    """True for an array without values yet: an argument inside `mx.grad`, `mx.vmap` or `mx.compile`."""
    return _native.is_tracer(a)


def to_mlx(x: Any, stream: Any = None) -> mx.array:
    """`x` as an `mx.array`. Complex numbers are in single precision, as MLX holds them."""
    x = _dense.as_dense(x)
    narrow = isinstance(x, np.ndarray) and x.dtype.kind == "c"
    return _dense.to_mlx(x, mx.complex64 if narrow else None, stream)


def index_array(name: str, value: Any, length: int | None = None) -> mx.array:
    """`value` as a rank-1 array of int32 or int64, of `length` elements if given; ValueError names `name` otherwise."""
    if not _dense.is_mlx(value):
        value = np.asarray(_dense.as_dense(value))
        if value.size == 0 and value.ndim == 1 and value.dtype.kind == "f":  # what NumPy makes of []
            value = value.astype(np.int32)
        if value.dtype.kind not in "iu":
            raise ValueError(f"{name} must hold integers; got dtype {value.dtype}")
        if value.ndim == 1:
            value = _dense.to_mlx(value)
    if value.ndim != 1:
        raise ValueError(f"{name} must have 1 dimension; got shape {tuple(value.shape)}")
    if not mx.issubdtype(value.dtype, mx.integer):
        raise ValueError(f"{name} must hold integers; got dtype {value.dtype}")
    if length is not None and value.shape[0] != length:
        raise ValueError(f"{name} must have length {length}; got {value.shape[0]}")
    if value.dtype in (mx.int32, mx.int64):
        return value
    return value.astype(mx.int64 if value.dtype in (mx.uint32, mx.uint64) else mx.int32)


def check_range(name: str, idx: mx.array, n: int) -> mx.array:
    """`idx`, as int32 where `n` allows; ValueError if an element lies outside [0, n).

    Synchronises. A traced array cannot be read: it comes back unchanged.
    """
    return inspected(name, idx, n)[0]


def inspected(name: str, idx: mx.array, n: int) -> tuple[mx.array, bool]:
    """As `check_range`, and whether `idx` is known never to decrease: one look at it answers both."""
    if is_traced(idx) or idx.shape[0] == 0:
        return idx, False
    least, most, ordered = _summary(idx)
    if least < 0 or most >= n:
        values = _dense.view(idx)
        where = int(np.flatnonzero((values < 0) | (values >= n))[0])
        raise ValueError(f"{name}[{where}] is {values[where]}; it must be in [0, {n})")
    return idx.astype(mx.int32) if n <= INT32_MAX else idx, ordered


def common_dtype(*arrays: mx.array | None) -> list[Any]:
    """The arrays in one index dtype (int64 if one of them has it); None stays None."""
    wide = any(a is not None and a.dtype == mx.int64 for a in arrays)
    dtype = mx.int64 if wide else mx.int32
    return [a if a is None or a.dtype == dtype else a.astype(dtype) for a in arrays]


def is_sorted(idx: mx.array) -> bool:
    """True if `idx` never decreases. Synchronises; `idx` must not be traced."""
    return idx.shape[0] < 2 or _summary(idx)[2]


def _summary(idx: mx.array) -> tuple[int, int, bool]:
    """Least and greatest element of a non-empty array, and whether it never decreases."""
    if mx.default_device().type == mx.DeviceType.cpu:
        return _native.index_summary(idx)
    found = mx.min(idx), mx.max(idx), mx.all(idx[1:] >= idx[:-1])
    _native.settle(found)
    least, most, ordered = (f.item() for f in found)
    return least, most, ordered  # type: ignore[return-value]

"""Sums, means and diagonals for every format, and the rules for their `axis` and `out` arguments."""

from __future__ import annotations

import math
import operator
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _scipy_release, _values

_SHORT_SUM = 1024  # values that MLX may add up one after the other


class _reduced:
    """Reductions, over the few operations that a format provides."""

    ndim: Any
    format: Any
    shape: Any
    tocoo: Any
    _data: mx.array
    _axis_sum: Any
    _diagonal: Any
    _entries: Any
    _setdiag: Any
    _unique: Any
    _with_data: Any

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, *, stream: Any = None) -> Any:
        """Sum over `axis` (None: all). Lazy; integers widen to 64 bits.

        Floats are added up in float64 or in blocks, as accurately as NumPy does it. In a sum over everything, integers
        add up with their duplicates before they widen, as in `toarray`; those that may overflow are looked at for that
        (synchronises).

        Parameters
        ----------
        axis : None, int or tuple of int
        dtype : dtype, optional
            Of the result.
        out : ndarray, optional
            Filled and returned (with SciPy 1.18, in numpy mode, a copy if `dtype` is another one, as there).

        Returns
        -------
        0-d or 1-d dense array in the namespace of `runtime.dense_namespace`.
        """
        axes = check_axis(axis, self.ndim)
        A: Any = self._addends() if len(axes) == self.ndim else self
        if dtype is None:
            return store(A._sum(axes, None, stream), out)
        target = _dtypes.mlx_dtype(dtype)
        if _scipy_release.SUMS_ARE_CAST_FIRST:
            A = (A._unique() if _dtypes.is_integral(target) else A).astype(target, copy=False)
        found = store(A._sum(axes, target, stream), out)
        return found if out is None else _scipy_release.filled(found, _dtypes.numpy_dtype(target))

    def _addends(self) -> Any:
        """This array, with duplicates summed where their sums could wrap before they are widened."""
        dtype = self._data.dtype
        if not _dtypes.is_integral(dtype) or dtype.size == 8 or self.format in ("dia", "lil", "dok"):
            return self
        if dtype != mx.bool_ and _native.is_available(self._data) and not _native.is_tracer(self._data):
            v = _dense.view(self._data)
            greatest = max(int(v.max(initial=0)), -int(v.min(initial=0)))
            if greatest * v.size <= np.iinfo(v.dtype).max:
                return self
        return self._unique()

    def _sum(self, axes: tuple[int, ...], dtype: mx.Dtype | None, stream: Any) -> mx.array:
        wide = _dtypes.sum_dtype(self._data.dtype)
        data = _dense.cast(self._entries(), wide, stream)
        if len(axes) < self.ndim:
            total = self._axis_sum(data, axes[0], stream)
        else:
            total = total_of(data, stream)
        return total if dtype is None or dtype == total.dtype else _dense.cast(total, dtype, stream)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, *, stream: Any = None) -> Any:
        """Mean over `axis` (None: all), zeros included. Lazy; integers give the default float dtype."""
        axes = check_axis(axis, self.ndim)
        count = math.prod(self.shape[a] for a in axes)
        given = self._data.dtype
        inner = _dtypes.default_float() if _dtypes.is_integral(given) else _dtypes.accumulator(given)
        data = _dense.cast(self._entries(), inner, stream)
        if stream is None and _dense.numpy_is_quicker(data):
            data = _dense.to_mlx(_dense.view(data) * _dtypes.numpy_dtype(inner).type(1.0 / count), inner)
        else:
            data = data * mx.array(1.0 / count, dtype=inner)
        total = self._with_data(data, padded=False)._sum(axes, None, stream)
        own = _dtypes.default_float() if _dtypes.is_integral(given) else given
        wanted = own if dtype is None else _dtypes.mlx_dtype(dtype)
        total = total if wanted == total.dtype else _dense.cast(total, wanted, stream)
        found = store(total, out)
        return found if out is None else _scipy_release.filled(found, _dtypes.numpy_dtype(own))

    def trace(self, offset: int = 0) -> Any:
        """Sum of the diagonal `offset`. Lazy."""
        d = self._diagonal(offset)
        target = _dtypes.sum_dtype(d.dtype)
        if _dense.numpy_is_quicker(d):
            total = np.add.reduce(_dense.view(d), dtype=_dtypes.numpy_dtype(target))
            return total if _dense.numpy_mode() or _dtypes.is_wide(target) else _dense.scalar(total, target)
        return _dense.in_namespace(total_of(_dense.cast(d, target), None))

    def diagonal(self, k: int = 0) -> Any:
        """The `k`-th diagonal (k > 0 above the main one), duplicates summed. Lazy."""
        if self.ndim != 2:
            raise ValueError("diagonal requires two dimensions")
        return _dense.in_namespace(self._diagonal(operator.index(k)))

    def nonzero(self) -> tuple[Any, ...]:
        """Coordinates of the entries whose value is not zero."""
        A = self.tocoo()
        keep = _dense.view(A._data) != 0
        return tuple(_dense.in_namespace(_dense.to_mlx(_dense.view(c)[keep])) for c in A._coords)

    def setdiag(self, values: Any, k: int = 0) -> None:
        """Set the `k`-th diagonal to `values` (a scalar or a sequence), rebinding this array's buffers.

        Raises
        ------
        ValueError
            `k` lies outside the array, or `values` is neither a scalar nor 1-D nor a column.
        """
        self._setdiag(*diagonal_values(self.shape, values, k, self._data.dtype))


def total_of(data: mx.array, stream: Any) -> mx.array:
    """Sum of all values, in their dtype."""
    if stream is None and _dense.numpy_is_quicker(data):
        total = np.add.reduce(_dense.view(data), axis=None, dtype=_dtypes.numpy_dtype(data.dtype))
        return _dense.scalar(total, data.dtype)
    return _native.total(data, stream)


def sums_by_product(A: Any, data: mx.array, axis: int, stream: Any) -> mx.array:
    """Sums over `axis` of the values `data` on A's structure, as products with ones."""
    n = A._shape[axis]
    if stream is None and _dense.numpy_is_quicker(data):
        kind = _native.ProductKind.matmul if axis else _native.ProductKind.rmatmul
        y = _native.product_direct(kind, A._structure, data, np.ones(n, _dtypes.numpy_dtype(data.dtype)))
        if y is not None:
            return _dense.to_mlx(y)
    return A._product(data, _dense.full(n, 1, data.dtype), axis == 0, stream)


def totals_along(x: mx.array, axis: int) -> mx.array:
    """Sums of the dense floats `x` along one axis; on the CPU by segments, where MLX adds one after the other."""
    n = x.shape[axis]
    if n <= _SHORT_SUM or x.size > _dtypes.INT32_MAX or mx.default_device().type != mx.DeviceType.cpu:
        return mx.sum(x, axis)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    count = math.prod(before)
    segments = _native.Segments(count, mx.arange(0, (count + 1) * n, n, dtype=mx.int32))
    rows = mx.reshape(x, (count * n, math.prod(after)))
    return mx.reshape(_native.segment_reduce(_native.SegmentKind.sum, rows, segments, None), (*before, *after))


def store(total: mx.array, out: Any) -> Any:
    if out is None:
        return _dense.in_namespace(total)
    if out.shape != tuple(total.shape):
        raise ValueError(
            f"output parameter has wrong dimensions: {out.shape} does not match shape {tuple(total.shape)}"
        )
    out[...] = _dense.view(total)
    return out


def diagonal_values(shape: tuple[int, ...], values: Any, k: Any, dtype: mx.Dtype) -> tuple[mx.array, int]:
    """What `setdiag` puts on the `k`-th diagonal from its beginning on, no longer than that, and `k` as an integer.

    Raises
    ------
    TypeError, ValueError
        `k` is no integer or lies outside the array, or `values` is neither a scalar nor 1-D nor a column.
    """
    if not math.isfinite(k):
        raise ValueError(f"k must be an integer; got {k}")
    k = int(k) if k == int(k) else operator.index(k)
    count = diagonal_length(shape, k)
    _native.refuse_traced_within(values)
    x = values if _dense.is_mlx(values) else np.asarray(values)
    if x.ndim == 0:
        return _values.broadcast_to(_dense.to_mlx(x, dtype), (count,)), k
    if x.size != x.shape[0]:
        raise ValueError(f"values must be a scalar, 1-D or a column; got shape {np.shape(values)}")
    x = _dense.to_mlx(x if x.size <= count else x[:count], dtype)
    return (x if x.ndim == 1 else _values.reshape(x, (-1,))), k


def diagonal_length(shape: tuple[int, ...], k: int) -> int:
    """Length of the `k`-th diagonal, which is to be set."""
    if len(shape) == 1:
        raise NotImplementedError("diagonals cannot be set in 1-D arrays")
    M, N = shape
    if (k > 0 and k >= N) or (k < 0 and -k >= M):
        raise ValueError(f"k exceeds array dimensions; got {k} for shape {shape}")
    return min(M + min(k, 0), N - max(k, 0))


def check_axis(axis: Any, ndim: int) -> tuple[int, ...]:
    """Sorted non-negative axes; None means all."""
    return tuple(range(ndim)) if axis is None else tuple(sorted(ordered_axes(axis, ndim)))


def ordered_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Non-negative axes in the order given.

    Raises
    ------
    TypeError
        `axis` is not made of integers.
    ValueError
        An empty tuple, an axis out of range, one given twice, or a whole number in floating point.
    """
    if isinstance(axis, tuple) and not axis:
        raise ValueError("axis must not be an empty tuple: nothing would be reduced; use toarray or copy")
    found = []
    for a in axis if isinstance(axis, tuple) else (axis,):
        if isinstance(axis, tuple) and isinstance(a, float) and a.is_integer():
            raise ValueError(f"axis must be made of integers; got {a}")
        try:
            n = operator.index(a)
            if isinstance(a, bool):
                raise TypeError
        except TypeError:
            raise TypeError(f"axis must be an integer/tuple of ints, not {type(a)}") from None
        if not -ndim <= n < ndim:
            raise ValueError(f"axis out of range for ndim={ndim}; got {n}")
        found.append(n % ndim)
    if len(set(found)) != len(found):
        raise ValueError(f"duplicate value in axis; got {axis}")
    return tuple(found)

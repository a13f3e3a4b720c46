"""Reductions of the rows of an array over segments of rows."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from .. import _dtypes, _native
from ._checks import to_mlx
from ._segment_forms import counts, segments_of

__all__ = ["segment_argmax", "segment_argmin", "segment_reduce", "segment_softmax"]

_OPERATIONS = ("sum", "mean", "prod", "max", "min", "logsumexp")


def segment_reduce(
    x: Any,
    lengths: Any = None,
    operation: str = "sum",
    *,
    offsets: Any = None,
    segment_ids: Any = None,
    num_segments: int | None = None,
    indices_are_sorted: bool | None = None,
    validate: bool = True,
    stream: Any = None,
) -> mx.array:
    """Reduce the rows of `x` over segments. Lazy, differentiable, and deterministic on every device.

    Exactly one of `lengths`, `offsets` and `segment_ids` says which rows belong to which segment.

    Parameters
    ----------
    x : array_like, shape (T, ...)
        One row per element of a segment.
    lengths : array_like of int, shape (S,), optional
        Numbers of rows: the first ``lengths[0]`` rows are segment 0, and so on. They sum to T.
    operation : {"sum", "mean", "prod", "max", "min", "logsumexp"}
        A NaN in a segment is its maximum and minimum. Of complex `x` there are sum, mean and prod.
    offsets : array_like of int, shape (S + 1,), optional
        Segment s is rows ``offsets[s]`` to ``offsets[s + 1] - 1``; starts at 0, never falls, ends at T.
    segment_ids : array_like of int, shape (T,), optional
        Segment of each row, in any order. Needs `num_segments`.
    num_segments : int, optional
        Number of segments S.
    indices_are_sorted : bool, optional
        Whether `segment_ids` never fall. None: they are read to find out, or sorted where they cannot be (`validate`
        is False, or they are traced). True is the caller's promise. False: they are sorted, stably, and `x` is read in
        that order. Sums and means on the CPU take ids in any order.
    validate : bool
        Check the values of `lengths`, `offsets` or `segment_ids`, which synchronises. Without, and for traced arrays,
        which have no values yet, rows outside every segment are left out and nothing is read out of bounds.
    stream : mx.Stream or mx.Device, optional

    Returns
    -------
    mx.array, shape (S, ...)
        Of the dtype that MLX's reduction of the same name gives: sums and products of small integers are int32 or
        uint32, means and log-sum-exps of integers float32. Segments without rows give 0 (sum, mean), 1 (prod),
        -inf or the least integer (max), inf or the greatest integer (min), -inf (logsumexp).

    Raises
    ------
    ValueError
        An unknown operation; not exactly one way of naming segments; lengths, offsets or ids of the wrong rank, dtype,
        length or values; `num_segments` missing.
    TypeError
        An operation that complex numbers do not have.

    Notes
    -----
    float16 and bfloat16 accumulate in float32 and are rounded once. One pass over `x`; ids that are not sorted are
    sorted first, except for sums, means, maxima and minima on the CPU. Long segments are divided among threads.

    Gradients: rows that tie for a maximum or minimum share its cotangent equally, NaNs among themselves. The gradient
    of a product multiplies each row's predecessors and successors and never divides, so it is right with zeros in a
    segment; it takes time proportional to the longest segment on a GPU. Entries of -inf get no gradient from logsumexp.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import segment_reduce
    >>> x = mx.array([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> segment_reduce(x, [2, 3])
    array([3, 12], dtype=float32)
    >>> segment_reduce(x, operation="max", segment_ids=[1, 0, 1, 0, 0], num_segments=3)
    array([5, 3, -inf], dtype=float32)
    """
    if operation not in _OPERATIONS:
        raise ValueError(f"operation must be one of {', '.join(_OPERATIONS)}; got {operation!r}")
    x = _rows(x, stream)
    by_ids = operation in ("sum", "max", "min") or (operation == "mean" and x.dtype not in (mx.float16, mx.bfloat16))
    segments = segments_of(x, lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream, by_ids)
    return _reduce(x, segments, operation, stream)


def segment_softmax(
    x: Any,
    lengths: Any = None,
    *,
    offsets: Any = None,
    segment_ids: Any = None,
    num_segments: int | None = None,
    indices_are_sorted: bool | None = None,
    validate: bool = True,
    stream: Any = None,
) -> mx.array:
    """Softmax of the rows of `x` over each segment and column. Lazy, differentiable, deterministic.

    Parameters
    ----------
    x : array_like, shape (T, ...)
        Real; integers become float32.
    lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream
        As for `segment_reduce`.

    Returns
    -------
    mx.array, shape (T, ...)
        exp(x - m) over its sum within the segment, for the segment's maximum m. Where x is -inf the result is 0, in a
        segment of nothing but -inf too; rows in no segment give 0.

    Raises
    ------
    ValueError
        As `segment_reduce`.
    TypeError
        Complex `x`.

    Notes
    -----
    Two passes over `x`. 16-bit floats are computed in float32 and rounded once.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import segment_softmax
    >>> segment_softmax(mx.zeros((3,)), lengths=[1, 2])
    array([1, 0.5, 0.5], dtype=float32)
    """
    x = _rows(x, stream)
    segments = segments_of(x, lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream)
    flat = _flat(_of_dtype(x, "logsumexp", stream), stream)
    if flat.shape[0]:
        segments = segments.with_ids(flat.shape[0], stream)
    y = _native.segment_reduce(_native.SegmentKind.logsumexp, flat, segments, stream)
    p = _native.segment_weight(_native.SegmentWeight.exp, flat, y, segments, stream)
    return mx.reshape(p, x.shape, stream=stream)


def segment_argmax(
    x: Any,
    lengths: Any = None,
    *,
    offsets: Any = None,
    segment_ids: Any = None,
    num_segments: int | None = None,
    indices_are_sorted: bool | None = None,
    validate: bool = True,
    stream: Any = None,
) -> mx.array:
    """Row of `x` that holds the maximum of each segment and column. Lazy; its gradient is zero.

    Parameters
    ----------
    x : array_like, shape (T, ...)
        Real.
    lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream
        As for `segment_reduce`.

    Returns
    -------
    mx.array of int32, shape (S, ...)
        Positions along the first axis of `x`, the first one where several tie, the first NaN where there is one; -1
        for segments without rows.

    Raises
    ------
    ValueError, TypeError
        As `segment_reduce`.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import segment_argmax
    >>> segment_argmax(mx.array([1.0, 3.0, 5.0, 4.0]), lengths=[2, 0, 2])
    array([1, -1, 2], dtype=int32)
    """
    x = _rows(x, stream)
    segments = segments_of(x, lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream)
    return _reduce(x, segments, "argmax", stream)


def segment_argmin(
    x: Any,
    lengths: Any = None,
    *,
    offsets: Any = None,
    segment_ids: Any = None,
    num_segments: int | None = None,
    indices_are_sorted: bool | None = None,
    validate: bool = True,
    stream: Any = None,
) -> mx.array:
    """Row of `x` that holds the minimum of each segment and column; see `segment_argmax`.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import segment_argmin
    >>> segment_argmin(mx.array([1.0, 3.0, 5.0, 4.0]), lengths=[2, 0, 2])
    array([0, -1, 3], dtype=int32)
    """
    x = _rows(x, stream)
    segments = segments_of(x, lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream)
    return _reduce(x, segments, "argmin", stream)


def _rows(x: Any, stream: Any) -> mx.array:
    x = to_mlx(x, stream)
    if x.ndim == 0:
        raise ValueError("x must have at least 1 dimension; got a scalar")
    return x


def _flat(x: mx.array, stream: Any) -> mx.array:
    return mx.reshape(x, (x.shape[0], math.prod(x.shape[1:])), stream=stream)


def _of_dtype(x: mx.array, operation: str, stream: Any) -> mx.array:
    """`x` in the dtype that `operation` works in."""
    if x.dtype == mx.complex64 and operation not in ("sum", "mean", "prod"):
        raise TypeError(f"operation {operation} needs real numbers; got x of dtype complex64")
    if not _dtypes.is_integral(x.dtype):
        return x
    if operation in ("mean", "logsumexp"):
        return x.astype(mx.float32, stream=stream)
    if operation in ("sum", "prod") and x.dtype.size < 4:
        unsigned = mx.issubdtype(x.dtype, mx.unsignedinteger)
        return x.astype(mx.uint32 if unsigned else mx.int32, stream=stream)
    return x


def _reduce(x: mx.array, segments: Any, operation: str, stream: Any) -> mx.array:
    wide = _of_dtype(x, operation, stream)
    if segments.by_ids and operation == "mean":
        total = _reduce(wide, segments, "sum", stream)
        count = mx.maximum(counts(segments.ids, segments.count, stream), 1, stream=stream).astype(wide.dtype)
        return mx.divide(total, mx.reshape(count, (-1, *[1] * (x.ndim - 1)), stream=stream), stream=stream)
    y = _native.segment_reduce(getattr(_native.SegmentKind, operation), _flat(wide, stream), segments, stream)
    if operation == "logsumexp":
        y = mx.add(y[:, 0], y[:, 1], stream=stream).astype(wide.dtype, stream=stream)
    return mx.reshape(y, (y.shape[0], *x.shape[1:]), stream=stream)

"""Reductions of the rows of an array over segments of rows, and the ways to name segments."""

from __future__ import annotations

import math
import operator
from typing import Any

import mlx.core as mx

from .. import _dense, _dtypes, _native
from ._checks import _summary, check_range, index_array, is_traced

# In the order of the native kinds.
_OPERATIONS = ("sum", "mean", "prod", "max", "min", "logsumexp", "argmax", "argmin")
_PUBLIC = _OPERATIONS[:6]
_INT32_MAX = 2**31 - 1
_LONG_SCAN = 4096


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
    float16 and bfloat16 accumulate in float32 and are rounded once. One pass over `x`, plus a sort of T ids where those
    are not sorted. Long segments are divided among threads.

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
    if operation not in _PUBLIC:
        raise ValueError(f"operation must be one of {', '.join(_PUBLIC)}; got {operation!r}")
    x = _rows(x, stream)
    by_ids = operation == "sum" or (operation == "mean" and x.dtype not in (mx.float16, mx.bfloat16))
    segments = _segments(x, lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream, by_ids)
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
    segments = _segments(x, lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream)
    flat = _flat(_of_dtype(x, "logsumexp", stream), stream)
    if flat.shape[0]:
        segments = segments.with_ids(flat.shape[0], stream)
    y = _native.segment_reduce(_OPERATIONS.index("logsumexp"), flat, segments, stream)
    return mx.reshape(_native.segment_exp(flat, y, segments, stream), x.shape, stream=stream)


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
    segments = _segments(x, lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream)
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
    segments = _segments(x, lengths, offsets, segment_ids, num_segments, indices_are_sorted, validate, stream)
    return _reduce(x, segments, "argmin", stream)


# ---- from one naming to another ----------------------------------------------------------------------------------


def lengths_to_offsets(lengths: Any, *, stream: Any = None) -> mx.array:
    """Where segments of these lengths begin, and where the last one ends. Lazy; values are not checked.

    Parameters
    ----------
    lengths : array_like of int, shape (S,)

    Returns
    -------
    mx.array of int32, shape (S + 1,)

    Examples
    --------
    >>> from mlx_sparse.indexed import lengths_to_offsets
    >>> lengths_to_offsets([2, 0, 3])
    array([0, 2, 2, 5], dtype=int32)
    """
    n = index_array("lengths", lengths).astype(mx.int32, stream=stream)
    return _after_zero(_scan(mx.cumsum, mx.add, n, stream), stream)


def offsets_to_lengths(offsets: Any, *, stream: Any = None) -> mx.array:
    """Numbers of rows between offsets: int32, shape (S,) for S + 1 offsets. Lazy; values are not checked.

    Examples
    --------
    >>> from mlx_sparse.indexed import offsets_to_lengths
    >>> offsets_to_lengths([0, 2, 2, 5])
    array([2, 0, 3], dtype=int32)
    """
    o = _offsets_array(offsets).astype(mx.int32, stream=stream)
    return mx.subtract(o[1:], o[:-1], stream=stream)


def lengths_to_segment_ids(lengths: Any, total: int | None = None, *, stream: Any = None) -> mx.array:
    """Segment of each row, for segments of these lengths.

    Parameters
    ----------
    lengths : array_like of int, shape (S,)
    total : int, optional
        Sum of the lengths. With it the result is lazy and values are not checked (rows past the last segment get S);
        without, the lengths are read (synchronises).

    Returns
    -------
    mx.array of int32, shape (total,)

    Raises
    ------
    ValueError
        Lengths of the wrong rank or dtype; negative ones or a sum above 2**31 - 1 where they are read.

    Examples
    --------
    >>> from mlx_sparse.indexed import lengths_to_segment_ids
    >>> lengths_to_segment_ids([2, 0, 3])
    array([0, 0, 2, 2, 2], dtype=int32)
    """
    n = index_array("lengths", lengths)
    if total is None:
        least, total = _read_lengths(n)
        if least < 0 or total > _INT32_MAX:
            raise ValueError(f"lengths must not be negative nor sum to more than {_INT32_MAX}")
    return _expand(_clamped_lengths(n, total, stream), _count("total", total), stream)


def offsets_to_segment_ids(offsets: Any, total: int | None = None, *, stream: Any = None) -> mx.array:
    """Segment of each row, for these offsets.

    Parameters
    ----------
    offsets : array_like of int, shape (S + 1,)
    total : int, optional
        The last offset. With it the result is lazy and values are not checked (rows past the last segment get S);
        without, the last offset is read (synchronises).

    Returns
    -------
    mx.array of int32, shape (total,)

    Raises
    ------
    ValueError
        Offsets of the wrong rank or dtype, or none; where they are read, a last offset below 0 or above 2**31 - 1.

    Examples
    --------
    >>> from mlx_sparse.indexed import offsets_to_segment_ids
    >>> offsets_to_segment_ids([0, 2, 2, 5])
    array([0, 0, 2, 2, 2], dtype=int32)
    """
    o = _offsets_array(offsets)
    if total is None:
        total = _item(o[-1])
        if not 0 <= total <= _INT32_MAX:
            raise ValueError(f"offsets must end between 0 and {_INT32_MAX}; got {total}")
    return _expand(_clamped_offsets(o, total, stream), _count("total", total), stream)


def segment_ids_to_lengths(ids: Any, num_segments: int, *, stream: Any = None) -> mx.array:
    """How often each of 0 to `num_segments` - 1 occurs in `ids`, which may stand in any order: int32. Lazy.

    Ids out of range are not counted.

    Examples
    --------
    >>> from mlx_sparse.indexed import segment_ids_to_lengths
    >>> segment_ids_to_lengths([2, 0, 2, 0, 2], 3)
    array([2, 0, 3], dtype=int32)
    """
    n = _count("num_segments", num_segments)
    return _counts(_clamped_ids(index_array("ids", ids), n, stream), n, stream)


def segment_ids_to_offsets(ids: Any, num_segments: int, *, stream: Any = None) -> mx.array:
    """Where each segment begins in `ids`, which must be sorted, and where the last one ends: int32. Lazy, unchecked.

    Examples
    --------
    >>> from mlx_sparse.indexed import segment_ids_to_offsets
    >>> segment_ids_to_offsets([0, 0, 2, 2, 2], 3)
    array([0, 2, 2, 5], dtype=int32)
    """
    n = _count("num_segments", num_segments)
    i = _clamped_ids(index_array("ids", ids), n, stream)
    return _compressed(i, n, stream)


# ---- one form for all --------------------------------------------------------------------------------------------


def _rows(x: Any, stream: Any) -> mx.array:
    x = _dense.to_mlx(x, stream=stream)
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
        count = mx.maximum(_counts(segments.ids, segments.count, stream), 1, stream=stream).astype(wide.dtype)
        return mx.divide(total, mx.reshape(count, (-1, *[1] * (x.ndim - 1)), stream=stream), stream=stream)
    y = _native.segment_reduce(_OPERATIONS.index(operation), _flat(wide, stream), segments, stream)
    if operation == "logsumexp":
        y = mx.add(y[:, 0], y[:, 1], stream=stream).astype(wide.dtype, stream=stream)
    return mx.reshape(y, (y.shape[0], *x.shape[1:]), stream=stream)


def _segments(
    x: mx.array,
    lengths: Any,
    offsets: Any,
    ids: Any,
    n: int | None,
    ordered: bool | None,
    validate: bool,
    stream: Any,
    by_ids: bool = False,
) -> Any:
    """What the caller said of the segments of the rows of `x`, checked, in the native form.

    by_ids: for sums, which CPU kernels take in any order without a sort.
    """
    given = [name for name, a in (("lengths", lengths), ("offsets", offsets), ("segment_ids", ids)) if a is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of lengths, offsets and segment_ids must be given; got {given or 'none'}")
    rows = x.shape[0]
    if ids is not None:
        if n is None:
            raise ValueError("num_segments must be given with segment_ids")
        return _from_ids(ids, _count("num_segments", n), rows, ordered, validate, stream, by_ids)
    found = (
        _from_lengths(lengths, rows, validate, stream)
        if offsets is None
        else _from_offsets(offsets, rows, validate, stream)
    )
    if n is not None and found.shape[0] - 1 != _count("num_segments", n):
        raise ValueError(f"num_segments is {n}, but {given[0]} names {found.shape[0] - 1} segments")
    return _native.Segments(found.shape[0] - 1, found, None, None)


def _from_lengths(lengths: Any, rows: int, validate: bool, stream: Any) -> mx.array:
    n = _constant(index_array("lengths", lengths), stream)
    if not validate or is_traced(n):
        return _clamped_lengths(n, rows, stream)
    least, total = _read_lengths(n)
    if least < 0:
        raise ValueError(f"lengths must not be negative; got {least}")
    if total != rows:
        raise ValueError(f"lengths must sum to the {rows} rows of x; got {total}")
    return _after_zero(_scan(mx.cumsum, mx.add, n.astype(mx.int32, stream=stream), stream), stream)


def _from_offsets(offsets: Any, rows: int, validate: bool, stream: Any) -> mx.array:
    o = _constant(_offsets_array(offsets), stream)
    if not validate or is_traced(o):
        return _clamped_offsets(o, rows, stream)
    first, last = o[0], o[-1]
    falls = mx.any(o[1:] < o[:-1])
    mx.eval(first, last, falls)
    if first.item() != 0 or last.item() != rows:
        raise ValueError(f"offsets must go from 0 to the {rows} rows of x; got {first.item()} to {last.item()}")
    if falls.item():
        raise ValueError("offsets must never fall")
    return o.astype(mx.int32, stream=stream)


def _from_ids(ids: Any, n: int, rows: int, ordered: bool | None, validate: bool, stream: Any, by_ids: bool) -> Any:
    i = _constant(index_array("segment_ids", ids, rows), stream)
    if rows == 0:
        return _native.Segments(n, mx.zeros((n + 1,), dtype=mx.int32, stream=stream), None, None)
    checked = validate and not is_traced(i)
    if checked:
        least, most, rises = _summary(i)
        if least < 0 or most >= n:
            check_range("segment_ids", i, n)  # names the first offender
        if ordered and not rises:
            raise ValueError("segment_ids must be sorted when indices_are_sorted is True")
        ordered = rises if ordered is None else ordered
    i = i.astype(mx.int32, stream=stream) if checked else _clamped_ids(i, n, stream)
    if ordered:
        return _native.Segments(n, _compressed(i, n, stream, exact=checked), i, None)
    if by_ids and not _native.uses_shaders(stream):
        return _native.Segments(n, None, i, None)
    positions = mx.arange(rows, dtype=mx.int32, stream=stream)
    order, _, found = _native.coo_to_cs(positions, i, i, n + 1, stream)
    return _native.Segments(n, found[: n + 1], i, order)


def _constant(a: mx.array, stream: Any) -> mx.array:
    """Segments are not differentiable: nothing asks traced ones for a derivative."""
    return mx.stop_gradient(a, stream=stream) if is_traced(a) else a


def _count(name: str, n: Any) -> int:
    try:
        found = operator.index(n)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {type(n).__name__}") from None
    if not 0 <= found < _INT32_MAX:
        raise ValueError(f"{name} must be at least 0 and below {_INT32_MAX}; got {found}")
    return found


def _offsets_array(offsets: Any) -> mx.array:
    o = index_array("offsets", offsets)
    if o.shape[0] == 0:
        raise ValueError("offsets must have at least 1 element; got none")
    return o


def _read_lengths(n: mx.array) -> tuple[int, int]:
    """Least length and their sum."""
    if n.shape[0] == 0:
        return 0, 0
    least, total = mx.min(n), mx.sum(n.astype(mx.int64))
    mx.eval(least, total)
    return _item(least), _item(total)


def _item(a: mx.array) -> int:
    return a.item()  # type: ignore[return-value]


def _after_zero(a: mx.array, stream: Any) -> mx.array:
    return mx.concatenate([mx.zeros((1,), dtype=mx.int32, stream=stream), a], stream=stream)


# What has not been read is brought into range, so that kernels need not look.


def _scan(scan: Any, join: Any, x: mx.array, stream: Any) -> mx.array:
    """`mx.cumsum` or `mx.cummax` of non-negative integers.

    On a GPU long ones go by rows, since MLX's scan leaves each row to one group of threads.
    """
    n = x.shape[0]
    if n < _LONG_SCAN or mx.default_device().type == mx.DeviceType.cpu:
        return scan(x, stream=stream)
    side = math.isqrt(n - 1) + 1
    rows = mx.reshape(mx.pad(x, (0, side * side - n), stream=stream), (side, side), stream=stream)
    within = scan(rows, axis=1, stream=stream)
    before = scan(within[:, -1], inclusive=False, stream=stream)
    return mx.reshape(join(within, before[:, None], stream=stream), (-1,), stream=stream)[:n]


def _clamped_offsets(o: mx.array, rows: int, stream: Any) -> mx.array:
    if o.shape[0] == 1:
        return mx.zeros((1,), dtype=mx.int32, stream=stream)
    inside = mx.clip(o[1:], 0, rows, stream=stream).astype(mx.int32, stream=stream)
    return _after_zero(_scan(mx.cummax, mx.maximum, inside, stream), stream)


def _clamped_lengths(n: mx.array, rows: int, stream: Any) -> mx.array:
    if n.shape[0] == 0:
        return mx.zeros((1,), dtype=mx.int32, stream=stream)
    n = mx.clip(n, 0, rows, stream=stream).astype(mx.int64, stream=stream)
    ends = mx.clip(_scan(mx.cumsum, mx.add, n, stream), 0, rows, stream=stream)
    return _after_zero(ends.astype(mx.int32, stream=stream), stream)


def _clamped_ids(i: mx.array, n: int, stream: Any) -> mx.array:
    """`i`, but `n` for what is none of n segments."""
    wrong = mx.logical_or(i < 0, i >= n, stream=stream)
    return mx.where(wrong, mx.array(n, dtype=mx.int32), i.astype(mx.int32, stream=stream), stream=stream)


def _compressed(i: mx.array, n: int, stream: Any, exact: bool = False) -> mx.array:
    """Offsets of sorted ids; if they are not known to be sorted, at least offsets that kernels can use."""
    if i.shape[0] == 0:
        return mx.zeros((n + 1,), dtype=mx.int32, stream=stream)
    if exact:
        return _native.compress(i, n, stream)
    return _clamped_offsets(_native.compress(i, n + 1, stream)[: n + 1], i.shape[0], stream)


def _counts(i: mx.array, n: int, stream: Any) -> mx.array:
    """How often each of n ids occurs in `i`, where n stands for none."""
    if i.shape[0] == 0:
        return mx.zeros((n,), dtype=mx.int32, stream=stream)
    return _native.minor_sum(mx.ones(i.shape, dtype=mx.int32, stream=stream), i, n + 1, stream)[:n]


def _expand(offsets: mx.array, total: int, stream: Any) -> mx.array:
    if total == 0:
        return mx.zeros((0,), dtype=mx.int32, stream=stream)
    end = mx.full((1,), total, dtype=mx.int32, stream=stream)
    return _native.expand(mx.concatenate([offsets, end], stream=stream), total, stream)

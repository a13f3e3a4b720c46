"""The ways to name segments of rows, and the one form that kernels take."""

from __future__ import annotations

import operator
from typing import Any

import mlx.core as mx

from .. import _dense, _native
from .._dtypes import INT32_MAX
from ._checks import _summary, check_range, index_array, is_traced

__all__ = [
    "lengths_to_offsets",
    "lengths_to_segment_ids",
    "offsets_to_lengths",
    "offsets_to_segment_ids",
    "segment_ids_to_lengths",
    "segment_ids_to_offsets",
]


def lengths_to_offsets(lengths: Any, *, stream: Any = None) -> mx.array:
    """Where segments of these lengths begin, and where the last one ends. Lazy.

    Lengths are not checked: a negative one counts as 0, and offsets stop at 2**31 - 1.

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
    return _native.segment_offsets(index_array("lengths", lengths), lengths=True, rows=INT32_MAX, stream=stream)


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
        if least < 0 or total > INT32_MAX:
            raise ValueError(f"lengths must not be negative nor sum to more than {INT32_MAX}; got {least} and {total}")
    return _expand(n, True, _count("total", total), stream)


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
        if not 0 <= total <= INT32_MAX:
            raise ValueError(f"offsets must end between 0 and {INT32_MAX}; got {total}")
    return _expand(o, False, _count("total", total), stream)


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
    return counts(_clamped_ids(index_array("ids", ids), n, stream), n, stream)


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


def segments_of(
    x: mx.array,
    lengths: Any,
    offsets: Any,
    ids: Any,
    n: int | None,
    ordered: bool | None,
    validate: bool,
    stream: Any,
    by_ids: bool = False,
) -> _native.Segments:
    """What the caller said of the segments of the rows of `x`, checked, in the native form.

    by_ids: for reductions that CPU kernels make in any order of the rows, without a sort.
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
    return _native.Segments(found.shape[0] - 1, found)


def _from_lengths(lengths: Any, rows: int, validate: bool, stream: Any) -> mx.array:
    n = _constant(index_array("lengths", lengths), stream)
    if validate and not is_traced(n):
        least, total = _read_lengths(n)
        if least < 0:
            raise ValueError(f"lengths must not be negative; got {least}")
        if total != rows:
            raise ValueError(f"lengths must sum to the {rows} rows of x; got {total}")
    return _native.segment_offsets(n, lengths=True, rows=rows, stream=stream)


def _from_offsets(offsets: Any, rows: int, validate: bool, stream: Any) -> mx.array:
    o = _constant(_offsets_array(offsets), stream)
    if not validate or is_traced(o):
        return _native.segment_offsets(o, lengths=False, rows=rows, stream=stream)
    first, last = o[0], o[-1]
    falls = mx.any(o[1:] < o[:-1])
    _native.settle([first, last, falls])
    if first.item() != 0 or last.item() != rows:
        raise ValueError(f"offsets must go from 0 to the {rows} rows of x; got {first.item()} to {last.item()}")
    if falls.item():
        raise ValueError("offsets must never fall")
    return o.astype(mx.int32, stream=stream)


def _from_ids(
    ids: Any, n: int, rows: int, ordered: bool | None, validate: bool, stream: Any, by_ids: bool
) -> _native.Segments:
    i = _constant(index_array("segment_ids", ids, rows), stream)
    if rows == 0:
        return _native.Segments(n, mx.zeros((n + 1,), dtype=mx.int32, stream=stream))
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
        return _native.Segments(n, _compressed(i, n, stream, exact=checked), i)
    if by_ids and not _native.uses_shaders(stream):
        return _native.Segments(n, ids=i)
    return _native.Segments.sort_by_ids(i, n, stream)


def _constant(a: mx.array, stream: Any) -> mx.array:
    """Segments are not differentiable: nothing asks traced ones for a derivative."""
    return mx.stop_gradient(a, stream=stream) if is_traced(a) else a


def _count(name: str, n: Any) -> int:
    try:
        found = operator.index(n)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {type(n).__name__}") from None
    if not 0 <= found < INT32_MAX:
        raise ValueError(f"{name} must be at least 0 and below {INT32_MAX}; got {found}")
    _dense.expect((found,), mx.int32)
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
    _native.settle([least, total])
    return _item(least), _item(total)


def _item(a: mx.array) -> int:
    return a.item()  # type: ignore[return-value]


# What has not been read is brought into range, so that kernels need not look.


def _clamped_ids(i: mx.array, n: int, stream: Any) -> mx.array:
    """`i`, but `n` for what is none of n segments."""
    wrong = mx.logical_or(i < 0, i >= n, stream=stream)
    return mx.where(wrong, mx.array(n, dtype=mx.int32), i.astype(mx.int32, stream=stream), stream=stream)


def _compressed(i: mx.array, n: int, stream: Any, exact: bool = False) -> mx.array:
    """Offsets of sorted ids; if they are not known to be sorted, at least offsets that kernels can use."""
    if i.shape[0] == 0:
        return mx.zeros((n + 1,), dtype=mx.int32, stream=stream)
    if exact:
        return _native.offsets_of_sorted(i, n, stream)
    found = _native.offsets_of_sorted(i, n + 1, stream)[: n + 1]
    return _native.segment_offsets(found, lengths=False, rows=i.shape[0], stream=stream)


def counts(i: mx.array, n: int, stream: Any) -> mx.array:
    """How often each of n ids occurs in `i`, where n stands for none."""
    if i.shape[0] == 0:
        return mx.zeros((n,), dtype=mx.int32, stream=stream)
    return _native.minor_sum(mx.ones(i.shape, dtype=mx.int32, stream=stream), i, n + 1, stream)[:n]


def _expand(given: mx.array, lengths: bool, total: int, stream: Any) -> mx.array:
    """Segment of each of `total` rows, of any lengths or offsets; the rows past the last segment get their number."""
    if total == 0:
        return mx.zeros((0,), dtype=mx.int32, stream=stream)
    offsets = _native.segment_offsets(given, lengths=lengths, rows=total, stream=stream)
    end = mx.full((1,), total, dtype=mx.int32, stream=stream)
    return _native.expand(mx.concatenate([offsets, end], stream=stream), total, stream)

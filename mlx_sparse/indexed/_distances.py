"""Distances between rows of two arrays, all pairs or listed ones, by differences: close points keep their digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mlx.core as mx

from .. import _dense, _dtypes
from .._reduce import totals_along
from ._checks import index_array, inspected, is_traced
from ._segments import segment_reduce

__all__ = ["indexed_distance"]

METRICS = {
    "euclidean": "euclidean",
    "sqeuclidean": "sqeuclidean",
    "squared_euclidean": "sqeuclidean",
    "cosine": "cosine",
    "manhattan": "manhattan",
    "cityblock": "manhattan",
}
_SCRATCH = 1 << 20  # elements of one intermediate of a block, when the caller does not choose


def indexed_distance(
    a: Any,
    b: Any,
    a_indices: Any = None,
    b_indices: Any = None,
    metric: str = "euclidean",
    *,
    pairs: bool = False,
    block_size: int | None = None,
    validate: bool = True,
    stream: Any = None,
) -> mx.array:
    """Distances between rows of `a` and rows of `b`, chosen by index. Lazy and differentiable.

    Parameters
    ----------
    a : array_like, shape (N, D)
        Points. Integers become the default float.
    b : array_like, shape (M, D)
        Points. An `mx.array` must have the dtype of `a` if that is one too; other arrays promote.
    a_indices, b_indices : array_like of int, shape (R,) and (S,), optional
        Rows of `a` and `b` to use, in this order and repeated as often as they stand here. None: all of them.
    metric : str
        "euclidean"; "sqeuclidean" (or "squared_euclidean"); "manhattan" (or "cityblock"); "cosine", which is
        ``1 - a.b / (norm(a) norm(b))``, and 1 where either vector is zero.
    pairs : bool
        False: every row of `a` with every row of `b`. True: row t of `a` with row t of `b` after indexing, R = S.
    block_size : int, optional
        Rows of `a` done at a time when `pairs` is False. None: as many as keep an intermediate near a million elements.
    validate : bool
        Check that indices are in range. It reads them once; those that `mx.compile` or `mx.vmap` traces are not
        checked. An unchecked index out of range gives an unspecified distance, never a read outside the array.
    stream : mx.Stream or mx.Device, optional
        Where to run.

    Returns
    -------
    mx.array, shape (R, S), or (R,) for `pairs`
        In the dtype of the points. float16 and bfloat16 are computed in float32 and rounded once.

    Raises
    ------
    ValueError
        `a` or `b` is not 2-D or their widths differ, an index is out of range, `pairs` with R != S, an unknown metric,
        a `block_size` below 1.
    TypeError
        Complex points, or two `mx.array` of different dtypes.

    Notes
    -----
    Coordinates are subtracted before anything is squared, and the cosine is half the squared distance of unit vectors:
    the relative error of a distance is a few roundings however far the points are from the origin and however close to
    each other. The price is R * S * D element-wise operations instead of a matrix product.

    Besides the result, all pairs take a few intermediates of (block_size, S) and (D, R + S), forward and in the
    gradient, which computes the differences again instead of keeping them. Gradients of any order are finite: where a
    distance is zero its derivative is taken as 0 (a subgradient), and so it is for a zero vector's cosine.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import indexed_distance
    >>> a = mx.array([[0.0, 0.0], [3.0, 4.0]])
    >>> indexed_distance(a, a)
    array([[0, 5],
           [5, 0]], dtype=float32)
    >>> indexed_distance(a, a, [0, 1], [1, 1], metric="manhattan", pairs=True)
    array([7, 0], dtype=float32)
    """
    kind = check_metric(metric)
    if block_size is not None and (isinstance(block_size, bool) or int(block_size) != block_size or block_size < 1):
        raise ValueError(f"block_size must be a positive integer; got {block_size!r}")
    with on(stream):
        a, b = check_points(a, b)
        rows, rows_ordered = _indices("a_indices", a_indices, a.shape[0], validate)
        columns, columns_ordered = _indices("b_indices", b_indices, b.shape[0], validate)
        count = [x.shape[0] if i is None else i.shape[0] for x, i in ((a, rows), (b, columns))]
        if pairs and count[0] != count[1]:
            raise ValueError(f"pairs needs as many rows of a as of b; got {count[0]} and {count[1]}")
        shape = (count[0],) if pairs else tuple(count)
        dtype = a.dtype
        if dtype in (mx.float16, mx.bfloat16):
            a, b = a.astype(mx.float32), b.astype(mx.float32)
        if 0 in shape or 0 in a.shape or 0 in b.shape:  # no points, or no coordinates: all points are one, and zero
            return mx.full(shape, 1.0 if kind == "cosine" else 0.0, dtype=dtype)
        if kind == "cosine":
            a, b = _directions(a, 0), _directions(b, 1)
        a = a if rows is None else gather(a, rows, stream, rows_ordered)
        b = b if columns is None else gather(b, columns, stream, columns_ordered)
        distances = _paired(a, b, kind) if pairs else _all_pairs(kind, block_size, stream)(a, b)
        if kind == "cosine":
            distances = 0.5 * distances
        return distances.astype(dtype)


def check_metric(metric: Any) -> str:
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(map(repr, METRICS))}; got {metric!r}")
    return METRICS[metric]


def check_points(a: Any, b: Any) -> tuple[mx.array, mx.array]:
    """Both as float arrays (N, D) and (M, D) of one dtype."""
    a, b = _dense.as_dense(a), _dense.as_dense(b)
    if _dense.is_mlx(a) and _dense.is_mlx(b) and a.dtype != b.dtype:
        raise TypeError(f"a and b must have one dtype; got {a.dtype} and {b.dtype}; cast one of them with astype")
    dtype = _dtypes.result_type(a.dtype, b.dtype)
    if _dtypes.is_complex(dtype):
        raise TypeError("points must be real; got complex64")
    if _dtypes.is_integral(dtype):
        dtype = _dtypes.default_float()
    for name, x in (("a", a), ("b", b)):
        if x.ndim != 2:
            raise ValueError(f"{name} must have shape (points, coordinates); got {tuple(x.shape)}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"a and b must have as many coordinates as each other; got {a.shape[1]} and {b.shape[1]}")
    return _dense.to_mlx(a, dtype), _dense.to_mlx(b, dtype)


def on(stream: Any) -> AbstractContextManager:
    return nullcontext() if stream is None else mx.stream(stream)


def _indices(name: str, indices: Any, n: int, validate: bool) -> tuple[mx.array | None, bool]:
    """Indices in range, and whether they are known never to decrease."""
    if indices is None:
        return None, False
    indices = index_array(name, indices)
    if validate and not is_traced(indices):
        return inspected(name, indices, n)
    return mx.clip(indices, 0, max(n - 1, 0)), False


def gather(x: mx.array, indices: mx.array, stream: Any = None, ordered: bool = False) -> mx.array:
    """Rows of `x`; the gradient adds them back segment by segment, in a fixed order.

    `ordered`: `indices` are known never to decrease, so a GPU need not sort them for that.
    """
    n = x.shape[0]

    def take(x: mx.array, indices: mx.array) -> mx.array:
        with on(stream):
            return mx.take(x, mx.stop_gradient(indices), axis=0)

    rows: Any = mx.custom_function(take)

    @rows.vjp
    def vjp(primals: Any, cotangent: mx.array, _: Any) -> tuple[mx.array, mx.array]:
        ids = primals[1]
        dx = segment_reduce(
            cotangent, segment_ids=ids, num_segments=n, indices_are_sorted=ordered, validate=False, stream=stream
        )
        return dx, mx.zeros_like(ids)

    return rows(x, indices)


def _directions(x: mx.array, side: int) -> mx.array:
    """Unit vectors with two coordinates more, which put a zero vector at squared distance 2 from all of the other side.

    So half the squared distance is the cosine's distance for every pair.
    """
    largest = mx.max(mx.abs(mx.stop_gradient(x)), axis=1, keepdims=True)
    zero = largest == 0
    x = x / mx.where(zero, 1.0, largest).astype(x.dtype)  # a direction does not depend on it, and squares stay in range
    unit = x / mx.sqrt(mx.where(zero, 1.0, mx.sum(x * x, axis=1, keepdims=True))).astype(x.dtype)
    flag, none = zero.astype(x.dtype), mx.zeros(zero.shape, dtype=x.dtype)
    return mx.concatenate([unit, none, flag] if side else [unit, flag, none], axis=1)


def root(squared: mx.array) -> mx.array:
    """Square root whose derivatives at 0 are 0."""
    positive = squared > 0
    return mx.where(positive, mx.sqrt(mx.where(positive, squared, 1.0).astype(squared.dtype)), squared)


def _paired(a: mx.array, b: mx.array, kind: str) -> mx.array:
    difference = a - b
    if kind == "manhattan":
        return mx.sum(mx.abs(difference), axis=1)
    squared = mx.sum(difference * difference, axis=1)
    return root(squared) if kind == "euclidean" else squared


def _all_pairs(kind: str, block_size: int | None, stream: Any) -> Callable[[mx.array, mx.array], mx.array]:
    """(R, D), (S, D) -> (R, S), block by block, with a gradient that keeps no differences."""

    def blocks(a: mx.array, b: mx.array) -> list[slice]:
        step = block_size or max(1, _SCRATCH // b.shape[0])
        return [slice(i, min(i + step, a.shape[0])) for i in range(0, a.shape[0], step)]

    def forward(a: mx.array, b: mx.array) -> mx.array:
        with on(stream):
            parts: list[mx.array] = []
            for rows in blocks(a, b):
                total: Any = None
                for d in _differences(_after(a[rows], parts[-1:]), b):
                    terms = mx.abs(d) if kind == "manhattan" else d * d
                    part = terms[0] if terms.shape[0] == 1 else mx.sum(terms, axis=0)
                    total = part if total is None else total + part
                parts.append(root(total) if kind == "euclidean" else total)
            return parts[0] if len(parts) == 1 else mx.concatenate(parts)

    def backward(a: mx.array, b: mx.array, cotangent: mx.array, distances: mx.array) -> tuple[mx.array, mx.array]:
        with on(stream):
            da: list[mx.array] = []
            db = mx.zeros_like(b)
            for rows in blocks(a, b):
                weight = cotangent[rows]
                if kind == "euclidean":
                    length = distances[rows]
                    some = length > 0
                    weight = mx.where(some, weight, 0.0).astype(a.dtype) / mx.where(some, length, 1.0).astype(a.dtype)
                elif kind != "manhattan":
                    weight = 2 * weight
                by_row, by_column = [], []
                for d in _differences(_after(a[rows], [*da[-1:], db] if da else []), b):
                    d = weight * (mx.sign(d) if kind == "manhattan" else d)
                    by_row.append(totals_along(d, 2))
                    by_column.append(totals_along(d, 1))
                da.append(mx.concatenate(by_row).T)
                db = db - mx.concatenate(by_column).T
            return mx.concatenate(da), db

    pull: Any = mx.custom_function(backward)
    measure: Any = mx.custom_function(forward)

    @measure.vjp
    def vjp(primals: Any, cotangent: mx.array, distances: mx.array) -> tuple[mx.array, mx.array]:
        return pull(*primals, cotangent, distances)

    return measure


def _differences(a: mx.array, b: mx.array) -> Iterator[mx.array]:
    """(some, n, m) differences of some coordinates at a time."""
    a, b = mx.contiguous(a.T), mx.contiguous(b.T)
    step = max(1, _SCRATCH // 4 // (a.shape[1] * b.shape[1]))
    for i in range(0, a.shape[0], step):
        yield a[i : i + step, :, None] - b[i : i + step, None, :]


def _after(x: mx.array, done: list[mx.array]) -> mx.array:
    """`x`, but only once `done` is: otherwise MLX works on many blocks at a time and holds the scratch of all.

    Selecting never takes the other operand, but the graph cannot know (`mx.depends` has no rule for `mx.vmap`).
    """
    for y in done:
        x = mx.where(mx.array(False), mx.stop_gradient(y[:1, :1]), x)
    return x

"""The lengths of shortest paths as sums of weights, which have derivatives."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _native


def constant(A: Any) -> Any:
    """`A` with values that can be read: where they are traced, the numbers that they stand for."""
    if isinstance(A._data, mx.array) and _native.is_tracer(A._data):
        return A._with_data(mx.stop_gradient(A._data))
    return A


def summed(A: Any, B: Any, lengths: mx.array, before: mx.array, directed: bool) -> mx.array:
    """`lengths` of paths in B, of shape (..., N), as sums of the traced values of A along the paths.

    Each length is the sum over its path's edges, so its derivative is 1 with respect to each of their weights: where
    several paths are shortest, those of the one that `before` tells of.
    """
    n = A.shape[0]
    known, previous = _dense.view(lengths), _dense.view(before).reshape(-1, n)
    row, to = np.nonzero(previous >= 0)
    if not row.size:
        return lengths
    above = np.arange(previous.size)  # of each node the one before it, itself at the beginning
    above[row * n + to] = row * n + previous[row, to]
    values = _dense.cast(A._entries(), lengths.dtype)
    edges = np.full(previous.size, values.size)
    edges[row * n + to] = _edges(B, previous[row, to], to, directed)
    part = mx.take(mx.concatenate([values, mx.zeros(1, dtype=values.dtype)]), _dense.to_mlx(edges))
    while True:  # paths of twice as many edges each time
        further = above[above]
        part = part + mx.take(part, _dense.to_mlx(above))  # zero at the beginning
        if np.array_equal(further, above):
            break
        above = further
    part = mx.reshape(part, known.shape)
    exact = _dense.to_mlx(np.where(np.isfinite(known), known, 0))
    made = part + mx.stop_gradient(exact - part)  # the very lengths that are found without a derivative
    return mx.where(_dense.to_mlx(np.isfinite(known)), made, lengths)


def _edges(B: Any, tail: np.ndarray, head: np.ndarray, directed: bool) -> np.ndarray:
    """Which stored entry is the shortest edge from each tail to its head."""
    n, weights = B.shape[0], _dense.view(B._entries())
    rows = np.repeat(np.arange(n), np.diff(_dense.view(B._indptr)))
    columns = _dense.view(B._indices)[: rows.size].astype(np.int64)
    ends = [rows * n + columns] if directed else [rows * n + columns, columns * n + rows]
    keys, entries = np.concatenate(ends), np.tile(np.arange(rows.size), len(ends))
    order = np.lexsort((weights[entries], keys))
    return entries[order][np.searchsorted(keys[order], tail.astype(np.int64) * n + head)]

"""Ragged batches of point clouds: what can be done cloud by cloud, and the two classes."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, _native
from .._csr import csr_array
from ._checks import check_range, index_array, is_traced, to_mlx
from ._distances import gather, root
from ._neighbors import k_nearest_neighbors, radius_neighbors, read_lengths, read_points
from ._ragged import _Ragged, row_index
from ._segment_forms import lengths_to_offsets
from ._segments import segment_reduce

__all__ = ["OffsetPointCloudBatch", "PointCloudBatch"]


class _Clouds(_Ragged):
    """What both batches can do; `_Ragged` holds the points."""

    # ---- padding -----------------------------------------------------------------------------------------------

    def to_dense(self, max_len: int | None = None, values: Any = None, fill_value: float = 0.0) -> mx.array:
        """Positions padded to one length, shape (B, max_len, D). Differentiable.

        Parameters
        ----------
        max_len : int, optional
            Points of each cloud; more are left out. None: those of the largest cloud, for which lengths are read.
        values : array_like, shape (T, ...), optional
            What to pad instead of the positions, for example `features`.
        fill_value : scalar
            Where a cloud has no point; `dense_mask` says where.

        Examples
        --------
        >>> import mlx.core as mx
        >>> from mlx_sparse.indexed import PointCloudBatch
        >>> clouds = PointCloudBatch(mx.arange(3.0).reshape(3, 1), lengths=[1, 2])
        >>> clouds.to_dense(fill_value=-1.0).squeeze(-1)
        array([[0, -1],
               [1, 2]], dtype=float32)
        """
        values = self._positions if values is None else self._per_point("values", values)
        mask = self.dense_mask(max_len)
        shape, rest = mask.shape, values.shape[1:]
        _dense.expect((*shape, *rest), values.dtype)
        if 0 in (*shape, self.total_points):
            return mx.full((*shape, *rest), fill_value, dtype=values.dtype)
        rows = self._offsets[:-1, None] + mx.arange(shape[1], dtype=self._offsets.dtype)
        rows = mx.minimum(rows, mx.maximum(self._offsets[1:, None] - 1, self._offsets[:-1, None]))  # so they ascend
        rows = mx.clip(rows, 0, self.total_points - 1).reshape(-1)
        dense = gather(values, rows, ordered=True).reshape(*shape, *rest)
        mask = mask.reshape(*shape, *[1] * len(rest))
        return mx.where(mask, dense, mx.array(fill_value, dtype=values.dtype))

    def dense_mask(self, max_len: int | None = None) -> mx.array:
        """Which slots of `to_dense` hold a point: boolean, shape (B, max_len)."""
        if max_len is None:
            max_len = int(np.diff(self._host()).max(initial=0))
        if isinstance(max_len, bool) or int(max_len) != max_len or max_len < 0:
            raise ValueError(f"max_len must be a number of points; got {max_len!r}")
        _dense.expect((self._offsets.size, int(max_len)), mx.bool_)
        return mx.arange(int(max_len), dtype=self._offsets.dtype) < self.lengths[:, None]

    # ---- per cloud ---------------------------------------------------------------------------------------------

    def segment_reduce(self, values: Any, operation: str = "sum") -> mx.array:
        """`values` (T, ...) reduced over the points of each cloud, shape (B, ...): see `segment_reduce`."""
        values = self._per_point("values", values)
        return segment_reduce(values, operation=operation, offsets=self._offsets, validate=False)

    def expand(self, values: Any) -> mx.array:
        """For every point the row of its cloud in `values` (B, ...), shape (T, ...)."""
        values = to_mlx(values)
        if values.ndim == 0 or values.shape[0] != self.batch_size:
            raise ValueError(f"values must have a row for each of {self.batch_size} clouds; got {values.shape}")
        return gather(values, self.indices, ordered=True)

    def pool(self, operation: str = "max") -> mx.array:
        """Features reduced over each cloud, shape (B, ...)."""
        if self._features is None:
            raise ValueError("the batch has no features to pool")
        return self.segment_reduce(self._features, operation)

    def centroid(self) -> mx.array:
        """Mean position of each cloud, shape (B, D); 0 for an empty one."""
        return self.segment_reduce(self._positions, "mean")

    def bounding_box(self) -> tuple[mx.array, mx.array]:
        """Least and greatest coordinates of each cloud, shapes (B, D); inf and -inf for an empty one."""
        return self.segment_reduce(self._positions, "min"), self.segment_reduce(self._positions, "max")

    def normalize(self, scale: bool = True) -> Any:
        """Every cloud moved to its centroid and, if `scale`, shrunk or grown until its farthest point is at distance 1.

        A cloud whose points coincide keeps its size. Differentiable.
        """
        dtype = self._positions.dtype
        x = self._positions.astype(mx.float32) if dtype in (mx.float16, mx.bfloat16) else self._positions
        x = x - self.expand(self.segment_reduce(x, "mean"))
        if scale and self.total_points:
            radius = root(self.segment_reduce(mx.sum(x * x, axis=1, keepdims=True), "max"))
            x = x / self.expand(mx.where(radius > 0, radius, mx.ones_like(radius)))
        return self._replace(x.astype(dtype), self._features)

    def voxel_downsample(self, size: Any, origin: Any = 0.0) -> tuple[Any, mx.array]:
        """One point for every occupied cell of a grid: the mean of the points in it, cloud by cloud. Synchronises.

        Parameters
        ----------
        size : float or array_like, shape (D,)
            Edge of a cell, in units of the positions.
        origin : float or array_like, shape (D,)
            A corner of the grid.

        Returns
        -------
        batch : batch of this class
            Mean positions and mean features, by cloud and within a cloud by cell, the last dimension fastest.
        mapping : mx.array of int, shape (T,)
            The point of `batch` that each point went into.

        Raises
        ------
        ValueError
            A `size` that is not positive, or so small that cells cannot be numbered in 64 bits; positions that are not
            finite or are traced by `mx.compile` or `mx.vmap`.

        Notes
        -----
        Which cell a point is in is decided in float64 on the host and is a constant for derivatives; the means are
        differentiable.

        Examples
        --------
        >>> import mlx.core as mx
        >>> from mlx_sparse.indexed import PointCloudBatch
        >>> small, mapping = PointCloudBatch(mx.array([[0.1], [2.5], [0.3]])).voxel_downsample(1.0)
        >>> small.positions.tolist(), mapping.tolist()
        ([[0.20000000298023224], [2.5]], [0, 1, 0])
        """
        D = self._positions.shape[1]
        edge, corner = (np.broadcast_to(np.asarray(v, np.float64), (D,)) for v in (size, origin))
        if not (np.isfinite(edge) & (edge > 0)).all():
            raise ValueError(f"size must be positive; got {size!r}")
        cells = np.floor((read_points("positions", self._positions) - corner) / edge)
        if not (np.abs(cells) < 2.0**62).all():
            raise ValueError(f"size {size!r} is too small: the number of a cell does not fit 64 bits")
        clouds = np.repeat(np.arange(self.batch_size), np.diff(self._host()))
        found, mapping = _unique_rows(np.column_stack([clouds, cells.astype(np.int64)]))
        n = len(found)
        ids = _dense.to_index(mapping, _dtypes.index_dtype(maxval=max(n, self.total_points)), "mapping")

        def mean(values: mx.array) -> mx.array:
            return segment_reduce(values, operation="mean", segment_ids=ids, num_segments=n, validate=False)

        features = None if self._features is None else mean(self._features)
        lengths = np.bincount(found[:, 0], minlength=self.batch_size)
        return self._from_parts(mean(self._positions), features, lengths), ids

    def neighbors(
        self,
        k: int | None = None,
        radius: float | None = None,
        *,
        other: Any = None,
        metric: str = "euclidean",
        include_self: bool = True,
        max_neighbors: int | None = None,
    ) -> csr_array:
        """Neighbours of every point in its own cloud, or in the same cloud of `other`. Synchronises.

        Give `k` or `radius`: see `k_nearest_neighbors` and `radius_neighbors` for them, the rest and the result.
        """
        if (k is None) == (radius is None):
            raise ValueError("give k or radius, one of them")
        if other is not None and len(other) != len(self):
            raise ValueError(f"other must have as many clouds, {len(self)}; got {len(other)}")
        common: dict[str, Any] = {
            "a_lengths": np.diff(self._host()),
            "b_lengths": None if other is None else np.diff(other._host()),
            "metric": metric,
            "include_self": include_self,
        }
        b = None if other is None else other.positions
        if radius is not None:
            return radius_neighbors(self._positions, b, radius, max_neighbors=max_neighbors, **common)
        if max_neighbors is not None:
            raise ValueError("max_neighbors goes with radius; k is the number of neighbours already")
        return k_nearest_neighbors(self._positions, b, k, **common)


class PointCloudBatch(_Clouds):
    """Point clouds of different sizes in one array, told apart by their lengths or by the cloud of each point.

    Parameters
    ----------
    positions : array_like, shape (T, D)
        Points of all clouds. May be traced.
    features : array_like, shape (T, ...), optional
        Anything else that belongs to the points.
    lengths : array_like of int, shape (B,), optional
        Points in each cloud; the clouds follow one another.
    indices : array_like of int, shape (T,), optional
        Cloud of each point instead, or as well, in any order: points are then sorted by cloud once, stably, and
        `order` says how. Without `lengths` there are as many clouds as the greatest index demands. Synchronises.
    validate : bool
        Read `lengths` and check them. Traced lengths are not checked.

    Attributes
    ----------
    positions, features, lengths, indices, offsets : mx.array
    batch_size, total_points : int
    order : mx.array of int, shape (T,), or None
        Row of the arguments that each point came from, if `indices` were not sorted.

    Raises
    ------
    ValueError
        Shapes that do not fit, lengths that are negative or do not sum to T, an index outside the clouds, `lengths`
        and `indices` that disagree.

    Notes
    -----
    With neither `lengths` nor `indices` all points are one cloud. Integer positions become the default float.
    Methods are lazy and differentiable in positions and features unless they say that they synchronise.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import PointCloudBatch
    >>> clouds = PointCloudBatch(mx.array([[0.0, 0.0], [2.0, 2.0], [5.0, 1.0]]), lengths=[2, 1])
    >>> clouds.centroid()
    array([[1, 1],
           [5, 1]], dtype=float32)
    """

    def __init__(
        self, positions: Any, features: Any = None, lengths: Any = None, indices: Any = None, *, validate: bool = True
    ) -> None:
        self._set(positions, features)
        T = self.total_points
        if indices is not None:
            self._sort(indices, lengths)
        elif lengths is None:
            self._set_lengths(np.array([T]))
        else:
            given = index_array("lengths", lengths)
            if validate and not is_traced(given):
                self._set_lengths(read_lengths("lengths", given, T))
            else:
                self._ends, self._offsets = None, lengths_to_offsets(given)
        self._bind()

    def _sort(self, indices: Any, lengths: Any) -> None:
        ids = index_array("indices", indices, self.total_points)
        if is_traced(ids):
            raise ValueError("indices are traced and have no values to sort by; give lengths")
        of = _dense.view(ids).astype(np.int64)
        count = int(of.max(initial=-1)) + 1
        if lengths is not None:
            expected = read_lengths("lengths", lengths, self.total_points)
            count = len(expected)
        check_range("indices", ids, count)
        counts = np.bincount(of, minlength=count)
        if lengths is not None and not np.array_equal(counts, expected):
            raise ValueError("lengths and indices disagree about the number of points in a cloud")
        if (np.diff(of) < 0).any():
            rows = np.argsort(of, kind="stable")
            self._order = row_index(rows)
            self._positions = gather(self._positions, self._order)
            self._features = None if self._features is None else gather(self._features, self._order)
        self._set_lengths(counts)

    @property
    def order(self) -> mx.array | None:
        """Row of the arguments that each point came from, shape (T,); None if they stood in order."""
        return None if self._order is None else _native.handle(self._order)


class OffsetPointCloudBatch(_Clouds):
    """Point clouds of different sizes in one array, told apart by where each begins.

    Parameters
    ----------
    positions : array_like, shape (T, D)
        Points of all clouds. May be traced.
    features : array_like, shape (T, ...), optional
        Anything else that belongs to the points.
    offsets : array_like of int, shape (B + 1,), optional
        Points of cloud i are rows ``offsets[i]:offsets[i + 1]``: from 0 to T, never falling. None: one cloud.
    validate : bool
        Read `offsets` and check them. Traced offsets are not checked.

    Attributes
    ----------
    positions, features, lengths, indices, offsets : mx.array
    batch_size, total_points : int

    Raises
    ------
    ValueError
        Shapes that do not fit; offsets that do not start at 0, decrease, or do not end at T.

    Notes
    -----
    The offsets are used as they are, which saves the sum over lengths; otherwise a `PointCloudBatch`.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import OffsetPointCloudBatch
    >>> OffsetPointCloudBatch(mx.zeros((5, 3)), offsets=[0, 2, 5]).as_lengths()
    array([2, 3], dtype=int32)
    """

    def __init__(self, positions: Any, features: Any = None, offsets: Any = None, *, validate: bool = True) -> None:
        self._set(positions, features)
        T = self.total_points
        if offsets is None:
            self._set_lengths(np.array([T]))
            self._bind()
            return
        given = index_array("offsets", offsets)
        if given.shape[0] == 0:
            raise ValueError("offsets must have an element more than there are clouds; got none")
        self._ends, self._offsets = None, given
        if validate and not is_traced(given):
            ends = _dense.view(given).astype(np.int64)
            if ends[0] != 0 or ends[-1] != T:
                raise ValueError(f"offsets must go from 0 to the number of points, {T}; got {ends[0]} to {ends[-1]}")
            if (np.diff(ends) < 0).any():
                raise ValueError(f"offsets must not decrease; they do at {int(np.argmax(np.diff(ends) < 0)) + 1}")
            self._ends = ends
            self._offsets = _dense.to_index(given, _dtypes.index_dtype(maxval=T), "offsets")
        self._bind()


def _unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in ascending order, and which of them each row is."""
    if len(rows) == 0:
        return rows, np.zeros(0, np.int64)
    low = rows.min(axis=0)
    spans = [int(s) + 1 for s in rows.max(axis=0).astype(object) - low.astype(object)]
    if np.prod(np.array(spans, dtype=object)) < 2**62:  # one integer a row sorts much faster
        codes = np.zeros(len(rows), np.int64)
        for column, least, span in zip(rows.T, low, spans, strict=True):
            codes = codes * span + (column - least)
        _, first, mapping = np.unique(codes, return_index=True, return_inverse=True)
        return rows[first], mapping
    found, mapping = np.unique(rows, axis=0, return_inverse=True)
    return found, mapping.reshape(-1)

"""Neighbours of points within segments: the structure is found on the host, the distances are lazy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
import scipy  # whose `spatial`, which takes long to import, comes with its first use

from .. import _dense, _dtypes, runtime
from .._csr import csr_array
from ._checks import index_array, is_traced
from ._distances import check_metric, check_points, indexed_distance

__all__ = ["k_nearest_neighbors", "radius_neighbors"]

_TREE_DIMENSIONS = 16  # a tree of more coordinates looks at nearly every point
_SCRATCH = 1 << 22  # distances held at once without a tree
_PART = 4096  # points whose neighbours one worker seeks before the next look for Ctrl-C
_TREE_PART = 1 << 16  # the same where a tree is made of them


def k_nearest_neighbors(
    a: Any,
    b: Any = None,
    k: int | None = None,
    *,
    a_lengths: Any = None,
    b_lengths: Any = None,
    metric: str = "euclidean",
    include_self: bool = True,
    stream: Any = None,
) -> csr_array:
    """The `k` points of `b` nearest to every point of `a`, segment by segment. Synchronises.

    Parameters
    ----------
    a : array_like, shape (N, D)
        Points whose neighbours are sought.
    b : array_like, shape (M, D), optional
        Points that can be neighbours. None: `a` itself.
    k : int
        Neighbours of each point; a point of a segment that has fewer gets those.
    a_lengths, b_lengths : array_like of int, shape (S,), optional
        Points in each segment, which follow one another. Neighbours of a point in segment s of `a` are points in
        segment s of `b`. None: all points are one segment; without `b`, `a_lengths` is for both.
    metric : str
        As in `indexed_distance`.
    include_self : bool
        Without `b`: whether a point is a neighbour of itself.
    stream : mx.Stream or mx.Device, optional
        Where the distances are computed.

    Returns
    -------
    csr_array, shape (N, M)
        Row i holds the distances from point i of `a` to its neighbours, sorted by column. A distance of zero is stored.

    Raises
    ------
    ValueError
        Shapes that do not fit, lengths that do not sum to the number of points, k < 1, positions that are not finite,
        or positions traced by `mx.compile` or `mx.vmap`, which have no values to read.
    TypeError
        `k` is missing; complex points or two `mx.array` of different dtypes.

    Notes
    -----
    Which points are neighbours is decided on the host in float64, ties in favour of the lower index, and is a
    constant for derivatives. The distances are those of `indexed_distance` and differentiable in `a` and `b`.
    Up to 16 coordinates a k-d tree (`scipy.spatial.cKDTree`; Maneewongvatana and Mount 1999) takes about
    O((N + M) log M); beyond, all distances within a segment are computed, block by block: O(N * D * segment).

    Row i by distance: ``s = slice(p[i], p[i + 1]); j = A.indices[s][mx.argsort(A.data[s])]`` with ``p`` the values of
    ``A.indptr``.

    Inside `mx.grad` positions can be read. Inside `mx.compile` or `mx.vmap`, find the neighbours outside and use
    ``indexed_distance(a, b, rows, columns, pairs=True)`` inside.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import k_nearest_neighbors
    >>> x = mx.array([[0.0], [1.0], [3.0], [3.5]])
    >>> A = k_nearest_neighbors(x, k=1, a_lengths=[2, 2], include_self=False)
    >>> A.indices, A.data
    (array([1, 0, 3, 2], dtype=int32), array([1, 1, 0.5, 0.5], dtype=float32))
    """
    if k is None:
        raise TypeError("k is missing: how many neighbours of each point")
    if isinstance(k, bool) or int(k) != k or k < 1:
        raise ValueError(f"k must be a positive integer; got {k!r}")
    search = _Search(a, b, a_lengths, b_lengths, metric, include_self)
    return search.distances(*search.nearest(int(k)), stream)


def radius_neighbors(
    a: Any,
    b: Any = None,
    radius: float | None = None,
    *,
    a_lengths: Any = None,
    b_lengths: Any = None,
    metric: str = "euclidean",
    include_self: bool = True,
    max_neighbors: int | None = None,
    stream: Any = None,
) -> csr_array:
    """The points of `b` within `radius` of every point of `a`, segment by segment. Synchronises.

    Parameters
    ----------
    a, b, a_lengths, b_lengths, metric, include_self, stream
        As in `k_nearest_neighbors`.
    radius : float
        Greatest distance of a neighbour, in units of the metric (a square for "sqeuclidean"), itself included.
    max_neighbors : int, optional
        Keep the nearest so many of each point, ties in favour of the lower index. None: all.

    Returns
    -------
    csr_array, shape (N, M)
        As in `k_nearest_neighbors`. Distances are compared with `radius` in float64, before they are rounded to the
        dtype of the points.

    Raises
    ------
    ValueError
        As in `k_nearest_neighbors`; a negative `radius`, `max_neighbors` below 1.
    TypeError
        `radius` is missing; complex points or two `mx.array` of different dtypes.

    Notes
    -----
    Search, derivatives, and what can be traced: see `k_nearest_neighbors`. All pairs within the radius are held in
    memory before `max_neighbors` applies.

    Examples
    --------
    >>> import mlx.core as mx
    >>> from mlx_sparse.indexed import radius_neighbors
    >>> x = mx.array([[0.0], [1.0], [3.0]])
    >>> radius_neighbors(x, radius=1.0).toarray().shape, radius_neighbors(x, radius=1.0).indices
    ((3, 3), array([0, 1, 0, 1, 2], dtype=int32))
    """
    if radius is None:
        raise TypeError("radius is missing: the greatest distance of a neighbour")
    if not radius >= 0:
        raise ValueError(f"radius must not be negative; got {radius!r}")
    if max_neighbors is not None and (isinstance(max_neighbors, bool) or max_neighbors < 1):
        raise ValueError(f"max_neighbors must be a positive integer; got {max_neighbors!r}")
    search = _Search(a, b, a_lengths, b_lengths, metric, include_self)
    return search.distances(*search.within(float(radius), max_neighbors), stream)


class _Search:
    """Points on the host in float64, in coordinates in which the metric is a Minkowski distance."""

    def __init__(self, a: Any, b: Any, a_lengths: Any, b_lengths: Any, metric: str, include_self: bool) -> None:
        self.metric = check_metric(metric)
        same = b is None
        if same and b_lengths is not None:
            raise ValueError("b_lengths is given without b; a_lengths is for both then")
        if not same and not include_self:
            raise ValueError("include_self=False is for neighbours among the points of a; b must be None then")
        self.a, self.b = check_points(a, a if same else b)
        self.exclude = not include_self
        x = read_points("a", self.a)
        y = x if same else read_points("b", self.b)
        given = a_lengths is not None
        if not same and given != (b_lengths is not None):
            raise ValueError(f"{'b' if given else 'a'}_lengths is missing: both have segments or neither")
        self.x_lengths = read_lengths("a_lengths", a_lengths, len(x))
        self.y_lengths = self.x_lengths if same else read_lengths("b_lengths", b_lengths, len(y))
        if len(self.x_lengths) != len(self.y_lengths):
            raise ValueError(
                "a_lengths and b_lengths must have as many segments as each other; "
                f"got {len(self.x_lengths)} and {len(self.y_lengths)}"
            )
        self.p = 1 if self.metric == "manhattan" else 2
        if self.metric == "cosine":
            x, y = _directions(x, 0), _directions(y, 1)
        if x.shape[1] == 0:  # all points are one
            x, y = np.zeros((len(x), 1)), np.zeros((len(y), 1))
        self.x, self.y = x, y

    def nearest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the neighbours, in order."""
        n, m = len(self.x), len(self.y)
        k = min(k, int(max(self.y_lengths, default=0)))
        if n == 0 or k == 0:
            return _none()
        if self.x.shape[1] > _TREE_DIMENSIONS:
            return _joined((r, *_nearest_in(d, k, columns)) for r, columns, d in self._blocks())
        x, y, limit = self._apart()
        seek = k + self.exclude
        tree = scipy.spatial.cKDTree(y)
        ranks = range(1, seek + 2)
        parts = _shared(lambda x: tree.query(x, k=ranks, p=self.p, distance_upper_bound=limit), x)
        distance, found = (np.concatenate(each) for each in zip(*parts, strict=True))
        # The next one as near as the last: which of them was found is the tree's affair, so look at all of them.
        tied = np.flatnonzero((found[:, seek] < m) & (distance[:, seek] <= distance[:, seek - 1] * (1 + 1e-12)))
        keep = found[:, :seek] < m
        if self.exclude:
            keep &= found[:, :seek] != np.arange(n)[:, None]
            keep &= np.cumsum(keep, axis=1) <= k
        keep[tied] = False
        columns = np.sort(np.where(keep, found[:, :seek], m), axis=1)[:, :k]
        for rows, others in self._balls(tree, x, tied, distance[tied, seek - 1] * (1 + 1e-9)):
            if self.exclude:
                rows, others = rows[rows != others], others[rows != others]
            rows, others, rank = _closest(rows, others, _minkowski(x[rows] - y[others], self.p), k)
            columns[rows, rank] = others
        if len(tied):
            columns = np.sort(columns, axis=1)
        rows, slots = np.nonzero(columns < m)
        return rows, columns[rows, slots]

    def within(self, radius: float, most: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the neighbours, in order."""
        if len(self.x) == 0 or len(self.y) == 0:
            return _none()
        if self.metric in ("sqeuclidean", "cosine"):
            factor = 2.0 if self.metric == "cosine" else 1.0
            radius = float(np.nextafter(np.sqrt(factor * radius), np.inf))
        beyond = float(np.nextafter(radius, np.inf))  # a square of the radius may be rounded below that of a distance
        if self.x.shape[1] > _TREE_DIMENSIONS:
            bound = radius if self.p == 1 else radius * radius
            while self.p == 2 and np.sqrt(np.nextafter(bound, np.inf)) <= radius < np.inf:
                bound = float(np.nextafter(bound, np.inf))
            return _joined((r, *_within_in(d, bound, most, columns)) for r, columns, d in self._blocks())
        x, y, limit = self._apart()
        tree, reach = scipy.spatial.cKDTree(y), min(beyond, limit)
        seek = partial(
            scipy.spatial.cKDTree.sparse_distance_matrix,
            other=tree,
            max_distance=reach,
            p=self.p,
            output_type="ndarray",
        )
        parts = _shared(lambda x: seek(scipy.spatial.cKDTree(x)), x, size=_TREE_PART)
        starts = range(0, len(x), _TREE_PART)
        rows = np.concatenate([part["i"] + start for part, start in zip(parts, starts, strict=True)])
        columns, distance = (np.concatenate([part[name] for part in parts]) for name in ("j", "v"))
        near = distance <= radius
        rows, columns, distance = rows[near], columns[near], distance[near]
        if self.exclude:
            other = rows != columns
            rows, columns, distance = rows[other], columns[other], distance[other]
        if most is not None:
            rows, columns, _ = _closest(rows, columns, distance, int(most))
        order = np.lexsort((columns, rows))
        return rows[order], columns[order]

    def _apart(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Points with their segment as one coordinate more, so far apart that no distance reaches another segment.

        Within a segment the difference of that coordinate is exactly zero. Also a distance that is greater than any
        within a segment and less than any between segments.
        """
        x, y = self.x, self.y
        low, high = np.minimum(x.min(0), y.min(0, initial=np.inf)), np.maximum(x.max(0), y.max(0, initial=-np.inf))
        reach = float(np.linalg.norm(high - low, ord=self.p))
        if len(self.x_lengths) == 1:
            return x, y, np.inf
        gap = 2.0 ** np.ceil(np.log2(4 * reach)) if reach > 0 else 1.0
        far = [np.repeat(gap * np.arange(len(n)), n)[:, None] for n in (self.x_lengths, self.y_lengths)]
        return np.hstack([x, far[0]]), np.hstack([y, far[1]]), gap / 2

    def _balls(
        self, tree: scipy.spatial.cKDTree, x: np.ndarray, rows: np.ndarray, radii: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs of `rows` and all points within their radius, some rows at a time."""
        if len(rows) == 0:
            return
        ball = partial(tree.query_ball_point, p=self.p)
        counts = np.concatenate(_shared(partial(ball, return_length=True), x[rows], radii))
        part = np.cumsum(counts) // _SCRATCH
        for chosen in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(part)) + 1):
            found = np.concatenate(_shared(ball, x[rows[chosen]], radii[chosen]))
            yield np.repeat(rows[chosen], counts[chosen]), np.concatenate(found).astype(np.int64)

    def _blocks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """First row, first column and distances (squared Euclidean, or Manhattan) of rows with their segments' columns.

        Elsewhere in the block, and for a point with itself if that is excluded, they are infinite.
        """
        n = len(self.x)
        x_segment = np.repeat(np.arange(len(self.x_lengths)), self.x_lengths)
        y_segment = np.repeat(np.arange(len(self.y_lengths)), self.y_lengths)
        ends = np.concatenate([[0], np.cumsum(self.y_lengths)])
        # Blocks of about a segment waste little; long segments are cut.
        step = max(64, n // max(1, len(self.x_lengths)))
        step = max(1, min(step, _SCRATCH // max(1, int(self.y_lengths.max()))))
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            segment = x_segment[rows]
            low, high = ends[segment[0]], ends[segment[-1] + 1]
            if low == high:
                continue
            distance = scipy.spatial.distance.cdist(
                self.x[rows], self.y[low:high], "cityblock" if self.p == 1 else "sqeuclidean"
            )
            if segment[0] != segment[-1]:
                distance[segment[:, None] != y_segment[None, low:high]] = np.inf
            if self.exclude:
                own = np.arange(rows.start, rows.stop)
                distance[own - start, own - low] = np.inf
            yield start, low, distance

    def distances(self, rows: np.ndarray, columns: np.ndarray, stream: Any) -> csr_array:
        """The csr array over these pairs, which are sorted."""
        shape = (len(self.x), len(self.y))
        index = _dtypes.index_dtype(maxval=max(*shape, len(rows)))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
        i, j, ends = (_dense.to_index(v, index, "indices") for v in (rows, columns, indptr))
        data = indexed_distance(self.a, self.b, i, j, self.metric, pairs=True, stream=stream)
        return csr_array._from_parts(data, j, ends, shape, canonical=True)


def _shared(call: Callable[..., Any], *arrays: np.ndarray, size: int = _PART) -> list[Any]:
    """`call` of every `size` rows of the arrays, in order, on the workers.

    SciPy's own threads (``workers=``) end the process when Ctrl-C meets them. Here the caller waits, and Ctrl-C ends
    the wait; parts that have begun are waited for.
    """
    parts = [[x[start : start + size] for x in arrays] for start in range(0, len(arrays[0]), size)]
    if len(parts) == 1 or runtime.N_THREADS == 1:
        return [call(*part) for part in parts]
    with ThreadPoolExecutor(min(runtime.N_THREADS, len(parts))) as pool:
        try:
            return [done.result() for done in [pool.submit(call, *part) for part in parts]]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def read_points(name: str, x: mx.array) -> np.ndarray:
    try:
        values = _dense.view(mx.stop_gradient(x)).astype(np.float64)
    except ValueError as error:
        raise ValueError(
            f"{name} is traced by mx.compile or mx.vmap and has no values yet: find the neighbours outside, and use "
            "indexed_distance(..., pairs=True) inside"
        ) from error
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite: it holds nan or inf")
    return values


def read_lengths(name: str, lengths: Any, n: int) -> np.ndarray:
    if lengths is None:
        return np.array([n])
    given = index_array(name, lengths)
    if is_traced(given):
        raise ValueError(f"{name} is traced by mx.compile or mx.vmap and has no values yet")
    values = _dense.view(given).astype(np.int64)
    if (values < 0).any():
        raise ValueError(f"{name} must not be negative; got {values.min()}")
    if values.sum() != n:
        raise ValueError(f"{name} must sum to the number of points, {n}; got {values.sum()}")
    return values


def _directions(x: np.ndarray, side: int) -> np.ndarray:
    """Unit vectors; a zero vector is put at squared distance 2 from everything of the other side: cosine distance 1."""
    x = x / np.maximum(np.abs(x).max(axis=1, keepdims=True, initial=0), np.finfo(np.float64).tiny)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    zero = length == 0
    flags = np.hstack([~zero & zero, zero] if side else [zero, ~zero & zero])
    return np.hstack([x / np.where(zero, 1.0, length), flags.astype(np.float64)])


def _minkowski(difference: np.ndarray, p: int) -> np.ndarray:
    return np.abs(difference).sum(axis=1) if p == 1 else np.square(difference).sum(axis=1)


def _closest(
    rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the pairs of each row the nearest `k`, the lower column first at equal distance, and their rank there."""
    order = np.lexsort((columns, distance, rows))
    rows, columns = rows[order], columns[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    keep = rank < k
    return rows[keep], columns[keep], rank[keep]


def _nearest_in(distance: np.ndarray, k: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the least `k` finite elements of each row."""
    k = min(k, distance.shape[1])
    last = np.partition(distance, k - 1, axis=1)[:, k - 1 : k]
    keep = distance < last
    equal = (distance == last) & np.isfinite(distance)
    keep |= equal & (np.cumsum(equal, axis=1) <= k - keep.sum(axis=1, keepdims=True))
    rows, columns = np.nonzero(keep)
    return rows, columns + first


def _within_in(distance: np.ndarray, bound: float, most: int | None, first: int) -> tuple[np.ndarray, np.ndarray]:
    keep = (distance <= bound) & np.isfinite(distance)
    if most is not None:
        return _nearest_in(np.where(keep, distance, np.inf), int(most), first)
    rows, columns = np.nonzero(keep)
    return rows, columns + first


def _joined(parts: Any) -> tuple[np.ndarray, np.ndarray]:
    parts = [(rows + start, columns) for start, rows, columns in parts]
    if not parts:
        return _none()
    return np.concatenate([r for r, _ in parts]), np.concatenate([c for _, c in parts])


def _none() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)

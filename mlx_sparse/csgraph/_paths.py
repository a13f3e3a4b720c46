"""Shortest paths."""

from __future__ import annotations

from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.sparse.csgraph as _scipy

from .. import _dense, _dtypes, _native
from .._base import issparse
from .._classes import from_scipy
from ._docstrings import documented
from ._graph import both_ways, by_rows, delegate, entries, host, host_array, numbered, weighted, whole
from ._lengths import constant, summed
from ._signed_paths import any_negative, bellman_ford, floyd_warshall, heights_of, lifted

_BLOCK = 1 << 22  # lengths that are held as a dense array on the way to a sparse one


@documented
def shortest_path(
    csgraph: Any,
    method: str = "auto",
    directed: bool = True,
    return_predecessors: bool = False,
    unweighted: bool = False,
    overwrite: bool = False,
    indices: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The lengths of shortest paths between nodes.

    Parameters
    ----------
    {lengths of edges}
    method : {"auto", "FW", "D", "BF", "J"}
        `floyd_warshall`, `dijkstra`, `bellman_ford` or `johnson`; "auto" looks at the number of edges and their signs.
    {shorter way}
    {unweighted}
    overwrite : bool
        Allows "FW" to use the memory of a dense float64 ndarray.
    {indices}
    dtype : {float64, float32}, optional
        Of lengths, by "D" in sparse graphs: float32 takes half the memory. Default: float64, as in SciPy.

    Returns
    -------
    {lengths}
    {predecessors}

    Raises
    ------
    ValueError
        `csgraph` is not square, `method` is unknown, or `indices` is given with "FW" or out of range.
    {negative cycle}

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 5], [0, 0, 2], [0, 0, 0]])
    >>> sp.csgraph.shortest_path(A, indices=0)
    array([0, 1, 3], dtype=float64)
    """
    if method == "auto":
        method = _suitable(csgraph, indices)
    if method == "D" and (issparse(csgraph) or _is_negative(csgraph)):
        return dijkstra(csgraph, directed, indices, return_predecessors, unweighted, dtype=dtype)
    if not _is_of_scipys(dtype, csgraph):
        raise ValueError(
            f"dtype {dtype} is for sparse graphs without edges of negative length, by Dijkstra's algorithm"
        )
    if method == "FW" and indices is None:
        return floyd_warshall(csgraph, directed, return_predecessors, unweighted, overwrite)
    if method == "J":
        return johnson(csgraph, directed, indices, return_predecessors, unweighted)
    if method == "BF":
        return bellman_ford(csgraph, directed, indices, return_predecessors, unweighted)
    return delegate(
        _scipy.shortest_path, csgraph, method, directed, return_predecessors, unweighted, overwrite, whole(indices)
    )


def _suitable(graph: Any, indices: Any) -> str:
    """The method that "auto" stands for."""
    if issparse(graph):
        if indices is None and graph.nnz >= graph.shape[0] ** 2 / 4:
            return "FW"
        edges = weighted(constant(by_rows(graph)), _dtypes.default_float())[1]
    else:
        given = host_array(graph)
        masked = np.ma.isMaskedArray(given)
        x = given.compressed() if masked else np.asarray(given)
        edges = x if masked else x[np.isfinite(x) & (x != 0)]
        if indices is None and len(given) and edges.size >= len(given) ** 2 / 4:
            return "FW"
    return "J" if (edges < 0).any() else "D"


@documented
def dijkstra(
    csgraph: Any,
    directed: bool = True,
    indices: Any = None,
    return_predecessors: bool = False,
    unweighted: bool = False,
    limit: float = np.inf,
    min_only: bool = False,
    *,
    dtype: Any = None,
    sparse: bool = False,
) -> Any:
    """The lengths of shortest paths, where no edge is of negative length.

    Parameters
    ----------
    {lengths of edges}
    {shorter way}
    {indices}
    {unweighted}
    limit : float
        Paths longer than that are not looked for. Not negative.
    min_only : bool
        From the nearest of `indices` only.
    dtype : {float64, float32}, optional
        Of lengths, for sparse graphs: float32 takes half the memory. Default: float64, as in SciPy.
    sparse : bool
        Lengths as a csr array of those that are not infinite, for sparse graphs: with `limit`, memory for what is near
        only. Each source has an entry of zero. No derivatives, and no predecessors.

    Returns
    -------
    dist_matrix : dense float64 array (float32 on a GPU), shape (..., N), or (N,) if `min_only`; csr array if `sparse`
        From each of `indices` to each node; infinite where no path leads.
    {predecessors}
    sources : dense int32 array, shape (N,), if `return_predecessors` and `min_only`
        The nearest of `indices`; -9999 where there is none.

    Raises
    ------
    ValueError
        `csgraph` is not square, `indices` is out of range, `limit` is negative, or options do not go together.

    Warns
    -----
    UserWarning
        An edge is of negative length: then the results are wrong if there is a cycle of negative length. See
        `bellman_ford` and `johnson`.

    Notes
    -----
    E. W. Dijkstra, Numerische Mathematik 1 (1959): O((E + N) log N) from each node. Of a sparse graph with a heap of
    four children a node (D. B. Johnson, Information Processing Letters 4, 1975), the sources shared by all cores. Of
    several shortest paths any may be the one that the predecessors tell of.

    Within `mx.grad` and its kind, lengths in a sparse graph have derivatives with respect to the weights: 1 for the
    edges of the path, of several shortest paths those of the one that the predecessors tell of.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 5], [0, 0, 2], [0, 0, 0]])
    >>> sp.csgraph.dijkstra(A, indices=0, return_predecessors=True)
    (array([0, 1, 3], dtype=float64), array([-9999, 0, 1], dtype=int32))
    """
    if sparse and (return_predecessors or min_only):
        raise ValueError("sparse goes with neither return_predecessors nor min_only")
    A = _with_edges(csgraph) if _is_negative(csgraph) else by_rows(csgraph, directed)
    if A is not None:
        search = _search(A, directed, bool(unweighted), limit, bool(min_only), dtype)
        if search is not None and sparse:
            return _near(A, search, *numbered(indices, A.shape[0]))
        if search is not None:
            found = search(*numbered(indices, A.shape[0]), bool(return_predecessors))
            found = tuple(map(_dense.in_namespace, found))
            return found if return_predecessors else found[0]
    if sparse or not _is_of_scipys(dtype, csgraph):
        raise ValueError("dtype and sparse are for sparse graphs without edges of negative length")
    given = whole(indices)
    return delegate(_scipy.dijkstra, csgraph, directed, given, return_predecessors, unweighted, limit, min_only)


@documented
def johnson(
    csgraph: Any,
    directed: bool = True,
    indices: Any = None,
    return_predecessors: bool = False,
    unweighted: bool = False,
) -> Any:
    """The lengths of shortest paths, where edges may be of negative length; from many nodes, `bellman_ford` is slower.

    Parameters
    ----------
    {lengths of edges}
    {shorter way}
    {indices}
    {unweighted}

    Returns
    -------
    {lengths}
    {predecessors}

    Raises
    ------
    {indices out of range}
    {negative cycle}

    Notes
    -----
    D. B. Johnson, Journal of the ACM 24 (1977): edges are made non-negative by one pass of `bellman_ford`, and
    `dijkstra` follows. Native for sparse graphs of float64, but for edges of negative length that go both ways.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 3, 1], [0, 0, 0], [0, -1, 0]])
    >>> sp.csgraph.johnson(A, indices=0)
    array([0, 0, 1], dtype=float64)
    """
    A = None if _dtypes.default_float() != mx.float64 else by_rows(csgraph, directed)
    if A is None:
        return delegate(_scipy.johnson, csgraph, directed, whole(indices), return_predecessors, unweighted)
    trio, weights = weighted(A, mx.float64)
    if unweighted or not any_negative(weights):
        return dijkstra(csgraph, directed, indices, return_predecessors, unweighted)
    if not directed:
        return delegate(_scipy.johnson, host(A), directed, whole(indices), return_predecessors, unweighted)
    above, heights = lifted(entries(A))
    sources, shape = numbered(indices, A.shape[0])
    edges = _dense.to_mlx(above), *trio[1:]
    lengths, before, _ = _native.dijkstra([edges], sources, False, np.inf, False, bool(return_predecessors))
    lengths = _dense.to_mlx(_dense.view(lengths) + heights - heights[sources, None])
    found = (_dense.in_namespace(mx.reshape(x, (*shape, len(heights)))) for x in (lengths, before) if x is not None)
    return tuple(found) if return_predecessors else next(found)


def _search(A: Any, directed: bool, unweighted: bool, limit: float, nearest: bool, dtype: Any) -> Any:
    """(sources, their shape, whether to tell predecessors) -> results, by the native layer; None for negative edges."""
    target = _dtypes.default_float() if dtype is None else _dtypes.mlx_dtype(dtype)
    if target not in (mx.float32, mx.float64):
        raise ValueError(f"dtype must be float32 or float64; got {dtype}")
    B, n, limit = constant(A), A.shape[0], float(limit)
    trio, weights = weighted(B, target)
    if not unweighted and any_negative(weights):
        if directed and heights_of(entries(B)) is not None:
            return None  # SciPy's comes back to nodes that it was done with, and so to the right lengths: or never ends
        warn(
            "Graph has negative weights: dijkstra will give inaccurate results if the graph contains negative cycles. "
            "Consider johnson or bellman_ford.",
            UserWarning,
            stacklevel=3,
        )
    if limit < 0:
        raise ValueError(f"limit must be >= 0; got {limit}")
    graphs, traced = both_ways(trio, directed, not unweighted), B is not A and not unweighted

    def search(sources: np.ndarray, shape: tuple[int, ...], before: bool) -> tuple[mx.array, ...]:
        found = _native.dijkstra(graphs, sources, unweighted, limit, nearest, before or traced)
        whole = (n,) if nearest else (*shape, n)
        lengths, *rest = (mx.reshape(x, whole) for x in found if x is not None)
        if traced:
            lengths = summed(A, B, lengths, rest[0], directed)
        return lengths, *rest

    return search


def _near(A: Any, search: Any, sources: np.ndarray, shape: tuple[int, ...]) -> Any:
    """The finite lengths as a csr array, found for some sources at a time."""
    if len(shape) > 1:
        raise ValueError(f"sparse needs indices of at most one dimension; got shape {shape}")
    n, parts, counts = A.shape[0], [], []
    block = max(1, _BLOCK // max(n, 1))
    for low in range(0, max(len(sources), 1), block):
        some = sources[low : low + block]
        lengths = _dense.view(search(some, some.shape, False)[0])
        row, column = np.nonzero(np.isfinite(lengths))
        parts.append((lengths[row, column], column))
        counts.append(np.bincount(row, minlength=len(some)))
    data, columns = (np.concatenate(x) for x in zip(*parts, strict=True))
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    index = _dtypes.index_dtype(maxval=max(n, int(indptr[-1])))
    arrays = _dense.to_mlx(data), *(_dense.to_index(x, index, "indices") for x in (columns, indptr))
    return A._classes["csr"]._from_parts(*arrays, (len(sources), n), canonical=True)


def _is_of_scipys(dtype: Any, graph: Any) -> bool:
    """Whether lengths are of `dtype`, if one is asked for, when SciPy's routine finds them in `graph`."""
    if dtype is None:
        return True
    if isinstance(graph, mx.array) or issparse(graph):
        return _dtypes.mlx_dtype(dtype) == _dtypes.default_float()
    return _dtypes.numpy_dtype(dtype) == np.float64


def _is_negative(graph: Any) -> bool:
    """Of a dense graph: whether an edge has a negative length."""
    if issparse(graph):
        return False
    x = np.ma.asarray(host_array(graph))
    return x.ndim == 2 and x.dtype.kind in "if" and any_negative(x.filled(0))


def _with_edges(graph: Any) -> Any:
    """A dense graph as a csr array."""
    return from_scipy(_scipy.csgraph_from_dense(host_array(graph)))

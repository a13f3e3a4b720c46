"""Shortest paths."""

from __future__ import annotations

from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.sparse as _scipy_sparse
import scipy.sparse.csgraph as _scipy

from .. import _dense, _dtypes, _native
from .._base import issparse
from .._classes import from_scipy
from ._graph import both_ways, by_rows, delegate, host, host_array, result, weighted
from ._lengths import constant, summed

_BLOCK = 1 << 22  # lengths that are held as a dense array on the way to a sparse one


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
    csgraph : sparse or dense array, shape (N, N)
        Lengths of edges from node i to node j.
    method : {"auto", "FW", "D", "BF", "J"}
        `floyd_warshall`, `dijkstra`, `bellman_ford` or `johnson`; "auto" looks at the number of edges and their signs.
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.
    return_predecessors : bool
    unweighted : bool
        Every edge has length 1.
    overwrite : bool
        Allows "FW" to use the memory of a dense float64 ndarray.
    indices : int or array of int, optional
        Nodes from which paths start; default: all.
    dtype : {float64, float32}, optional
        Of lengths, by "D" in sparse graphs: float32 takes half the memory. Default: float64, as in SciPy.

    Returns
    -------
    dist_matrix : dense float64 array (float32 on a GPU), shape (..., N)
        From each of `indices` to each node; infinite where no path leads.
    predecessors : dense int32 array of the same shape, if `return_predecessors`
        The node before the last one of each path; -9999 where there is none.

    Raises
    ------
    ValueError
        `csgraph` is not square, `method` is unknown, or `indices` is given with "FW" or out of range.
    NegativeCycleError
        A cycle of negative length.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 5], [0, 0, 2], [0, 0, 0]])
    >>> sp.csgraph.shortest_path(A, indices=0)
    array([0, 1, 3], dtype=float64)
    """
    if issparse(csgraph) and method == "auto" and (indices is not None or csgraph.nnz < csgraph.shape[0] ** 2 / 4):
        A = constant(by_rows(csgraph))
        method = "J" if (weighted(A, _dtypes.default_float())[1] < 0).any() else "D"
    if method == "D" and (issparse(csgraph) or _is_negative(csgraph)):
        return dijkstra(csgraph, directed, indices, return_predecessors, unweighted, dtype=dtype)
    if not _is_of_scipys(dtype, csgraph):
        raise ValueError(
            f"dtype {dtype} is for sparse graphs without edges of negative length, by Dijkstra's algorithm"
        )
    return delegate(
        _scipy.shortest_path, csgraph, method, directed, return_predecessors, unweighted, overwrite, _whole(indices)
    )


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
    csgraph : sparse or dense array, shape (N, N)
        Lengths of edges from node i to node j.
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.
    indices : int or array of int, optional
        Nodes from which paths start; default: all.
    return_predecessors : bool
    unweighted : bool
        Every edge has length 1.
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
    predecessors : dense int32 array of the same shape, if `return_predecessors`
        The node before the last one of each path; -9999 where there is none.
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
            return _near(A, search, *_sources(indices, A.shape[0]))
        if search is not None:
            found = search(*_sources(indices, A.shape[0]), bool(return_predecessors))
            found = tuple(map(_dense.in_namespace, found))
            return found if return_predecessors else found[0]
    if sparse or not _is_of_scipys(dtype, csgraph):
        raise ValueError("dtype and sparse are for sparse graphs without edges of negative length")
    given = _whole(indices)
    return delegate(_scipy.dijkstra, csgraph, directed, given, return_predecessors, unweighted, limit, min_only)


def _search(A: Any, directed: bool, unweighted: bool, limit: float, nearest: bool, dtype: Any) -> Any:
    """(sources, their shape, whether to tell predecessors) -> results, by the native layer; None for negative edges."""
    target = _dtypes.default_float() if dtype is None else _dtypes.mlx_dtype(dtype)
    if target not in (mx.float32, mx.float64):
        raise ValueError(f"dtype must be float32 or float64; got {dtype}")
    B, n, limit = constant(A), A.shape[0], float(limit)
    trio, weights = weighted(B, target)
    if not unweighted and _any_negative(weights):
        if directed and not _has_negative_cycle(host(B)):
            return None  # SciPy's comes back to nodes that it was done with, and so to the right lengths: or never ends
        warn(
            "Graph has negative weights: dijkstra will give inaccurate results if the graph contains negative cycles. "
            "Consider johnson or bellman_ford.",
            UserWarning,
            stacklevel=3,
        )
    if limit < 0:
        raise ValueError(f"limit must be >= 0; got {limit}")
    graphs, traced = both_ways(trio, directed), B is not A and not unweighted

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
    return x.ndim == 2 and x.dtype.kind in "if" and _any_negative(x.filled(0))


def _with_edges(graph: Any) -> Any:
    """A dense graph as a csr array."""
    return from_scipy(_scipy.csgraph_from_dense(host_array(graph)))


def _has_negative_cycle(graph: Any) -> bool:
    """Whether there is a way round in a sparse graph of SciPy's form that is shorter than nothing."""
    n, entries = graph.shape[0], graph.indptr[-1]
    parts = (  # and edges of no length from one more node to all others
        np.concatenate([graph.data[:entries], np.zeros(n)]),
        np.concatenate([graph.indices[:entries], np.arange(n, dtype=np.int32)]),
        np.concatenate([graph.indptr, [entries + n]]).astype(np.int32),
    )
    whole = _scipy_sparse.csr_array(parts, shape=(n + 1, n + 1), dtype=float)
    try:
        _scipy.bellman_ford(whole, indices=n)
    except _scipy.NegativeCycleError:
        return True
    return False


def _any_negative(weights: np.ndarray) -> bool:
    least = weights.min(initial=0)
    return bool(least < 0) or bool(np.isnan(least) and (weights < 0).any())


def _whole(indices: Any) -> Any:
    """Numbers of nodes as integers of SciPy's width, which would cut fractions off; None as it is."""
    if indices is None:
        return None
    given = np.asarray(host_array(indices))
    whole = given.astype(np.int32) if given.size == 0 or given.dtype.kind == "b" else _dense.as_integers(given)
    if whole is None:
        raise ValueError(f"indices must be integers; got {given.dtype}, not all of them whole")
    if whole.size and (whole.max() > _dtypes.INT32_MAX or whole.min() < -_dtypes.INT32_MAX):
        raise ValueError(f"indices out of range: they go from {whole.min()} to {whole.max()}")
    return whole.astype(np.int32)


def _sources(indices: Any, n: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Nodes from which paths start, counted from the end where they are negative, and the shape they are given in."""
    if indices is None:
        return np.arange(n), (n,)
    given = _whole(indices)
    sources = np.atleast_1d(given).reshape(-1).astype(np.int64)
    sources[sources < 0] += n
    if ((sources < 0) | (sources >= n)).any():
        raise ValueError(f"indices out of range 0...{n}")
    return sources, given.shape


def bellman_ford(
    csgraph: Any,
    directed: bool = True,
    indices: Any = None,
    return_predecessors: bool = False,
    unweighted: bool = False,
) -> Any:
    """The lengths of shortest paths, where edges may be of negative length.

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
        Lengths of edges from node i to node j.
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.
    indices : int or array of int, optional
        Nodes from which paths start; default: all.
    return_predecessors : bool
    unweighted : bool
        Every edge has length 1.

    Returns
    -------
    dist_matrix : dense float64 array (float32 on a GPU), shape (..., N)
        From each of `indices` to each node; infinite where no path leads.
    predecessors : dense int32 array of the same shape, if `return_predecessors`
        The node before the last one of each path; -9999 where there is none.

    Raises
    ------
    ValueError
        `csgraph` is not square, or `indices` is out of range.
    NegativeCycleError
        A cycle of negative length.

    Notes
    -----
    R. Bellman, Quarterly of Applied Mathematics 16 (1958): O(N E) from each node. Computed by SciPy's routine.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 3, 1], [0, 0, 0], [0, -1, 0]])
    >>> sp.csgraph.bellman_ford(A, indices=0)
    array([0, 0, 1], dtype=float64)
    """
    return delegate(_scipy.bellman_ford, csgraph, directed, _whole(indices), return_predecessors, unweighted)


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
    csgraph : sparse or dense array, shape (N, N)
        Lengths of edges from node i to node j.
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.
    indices : int or array of int, optional
        Nodes from which paths start; default: all.
    return_predecessors : bool
    unweighted : bool
        Every edge has length 1.

    Returns
    -------
    dist_matrix : dense float64 array (float32 on a GPU), shape (..., N)
        From each of `indices` to each node; infinite where no path leads.
    predecessors : dense int32 array of the same shape, if `return_predecessors`
        The node before the last one of each path; -9999 where there is none.

    Raises
    ------
    ValueError
        `csgraph` is not square, or `indices` is out of range.
    NegativeCycleError
        A cycle of negative length.

    Notes
    -----
    D. B. Johnson, Journal of the ACM 24 (1977): edges are made non-negative by one pass of `bellman_ford`, and
    `dijkstra` follows. Computed by SciPy's routine.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 3, 1], [0, 0, 0], [0, -1, 0]])
    >>> sp.csgraph.johnson(A, indices=0)
    array([0, 0, 1], dtype=float64)
    """
    return delegate(_scipy.johnson, csgraph, directed, _whole(indices), return_predecessors, unweighted)


def floyd_warshall(
    csgraph: Any,
    directed: bool = True,
    return_predecessors: bool = False,
    unweighted: bool = False,
    overwrite: bool = False,
) -> Any:
    """The lengths of shortest paths between all pairs of nodes, where edges may be of negative length.

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
        Lengths of edges from node i to node j.
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.
    return_predecessors : bool
    unweighted : bool
        Every edge has length 1.
    overwrite : bool
        Allows to use the memory of a dense float64 ndarray.

    Returns
    -------
    dist_matrix : dense float64 array (float32 on a GPU), shape (N, N)
        Infinite where no path leads.
    predecessors : dense int32 array, shape (N, N), if `return_predecessors`
        The node before the last one of each path; -9999 where there is none.

    Raises
    ------
    ValueError
        `csgraph` is not square.
    NegativeCycleError
        A cycle of negative length.

    Notes
    -----
    R. W. Floyd, Communications of the ACM 5 (1962): O(N**3). Computed by SciPy's routine.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 3, 1], [0, 0, 0], [0, -1, 0]])
    >>> sp.csgraph.floyd_warshall(A).tolist()
    [[0.0, 0.0, 1.0], [inf, 0.0, inf], [inf, -1.0, 0.0]]
    """
    return delegate(_scipy.floyd_warshall, csgraph, directed, return_predecessors, unweighted, overwrite)


def yen(
    csgraph: Any,
    source: int,
    sink: int,
    K: int,
    *,
    directed: bool = True,
    return_predecessors: bool = False,
    unweighted: bool = False,
) -> Any:
    """The lengths of the K shortest paths without loops from one node to another.

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
        Lengths of edges from node i to node j.
    source, sink : int
    K : int
        Not negative.
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.
    return_predecessors : bool
    unweighted : bool
        Every edge has length 1.

    Returns
    -------
    dist_array : dense float64 array (float32 on a GPU), shape (M,)
        In ascending order; M <= K of them, since there may be fewer paths.
    predecessors : dense int32 array, shape (M, N), if `return_predecessors`
        The node before each node of each path; -9999 where there is none.

    Raises
    ------
    ValueError
        `csgraph` is not square, or a node or K is out of range.
    NegativeCycleError
        A cycle of negative length.

    Notes
    -----
    J. Y. Yen, Management Science 17 (1971): O(K N) shortest paths. Computed by SciPy's routine.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 5], [0, 0, 2], [0, 0, 0]])
    >>> sp.csgraph.yen(A, 0, 2, 2)
    array([3, 5], dtype=float64)
    """
    return delegate(
        _scipy.yen,
        csgraph,
        source,
        sink,
        K,
        directed=directed,
        return_predecessors=return_predecessors,
        unweighted=unweighted,
    )


def reconstruct_path(csgraph: Any, predecessors: Any, directed: bool = True) -> Any:
    """The tree of the paths that predecessors tell of.

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
    predecessors : array of int, shape (N,)
        The node before each one; negative for none.
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.

    Returns
    -------
    csr_array (csr_matrix for a matrix), shape (N, N), float64 (float32 on a GPU)
        The edges from each node's predecessor to it, with their weights.

    Raises
    ------
    ValueError
        `csgraph` is not square, or `predecessors` has another length or names nodes that are none.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 5], [0, 0, 2], [0, 0, 0]])
    >>> sp.csgraph.reconstruct_path(A, [-9999, 0, 1]).toarray()
    array([[0., 1., 0.],
           [0., 0., 2.],
           [0., 0., 0.]])
    """
    return delegate(_scipy.reconstruct_path, csgraph, _checked(predecessors, np.shape(csgraph)[0]), directed)


def construct_dist_matrix(graph: Any, predecessors: Any, directed: bool = True, null_value: float = np.inf) -> Any:
    """The lengths of the paths that predecessors tell of.

    Parameters
    ----------
    graph : sparse or dense array, shape (N, N)
    predecessors : array of int32, shape (N, N)
        For each pair (i, j) the node before j on the path from i; negative for none.
    directed : bool
        False: edges go both ways, the shorter of (i, j) and (j, i) counts.
    null_value : float
        The length where no path leads.

    Returns
    -------
    dense float64 array (float32 on a GPU), shape (N, N)

    Raises
    ------
    TypeError
        `predecessors` is not of int32.
    ValueError
        `graph` is not square, or `predecessors` has another shape, names nodes that are none, or leads in a circle.

    Examples
    --------
    >>> import mlx.core as mx, mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 5], [0, 0, 2], [0, 0, 0]])
    >>> before = mx.array([[-9999, 0, 1], [-9999, -9999, 1], [-9999, -9999, -9999]])
    >>> sp.csgraph.construct_dist_matrix(A, before).tolist()
    [[0.0, 1.0, 3.0], [inf, 0.0, 2.0], [inf, inf, 0.0]]
    """
    given = np.asarray(host_array(predecessors))
    if given.dtype != np.int32:
        raise TypeError(f"predecessors must be of int32; got {given.dtype}")
    weights, before = _weights(graph, directed), _checked(given, None)
    if weights.shape != before.shape:
        raise ValueError(f"graph and predecessors must have the same shape; got {weights.shape} and {before.shape}")
    lengths = np.full(weights.shape, float(null_value))
    np.fill_diagonal(lengths, 0)
    source, target = np.nonzero((before >= 0) & ~np.eye(len(weights), dtype=bool))
    lengths[source, target] = 0
    at = target
    for _ in range(len(weights)):
        previous = before[source, at]
        go = (previous >= 0) & (at != source)
        source, target, at, previous = source[go], target[go], at[go], previous[go]
        if not source.size:
            return result(lengths, graph)
        lengths[source, target] += weights[previous, at]
        at = previous
    raise ValueError(f"predecessors of node {target[0]} on the path from node {source[0]} go in a circle")


def _weights(graph: Any, directed: bool) -> np.ndarray:
    """The dense form of a graph, infinite where there is no edge."""
    found = host(graph)
    if not issparse(found):
        found = _scipy.csgraph_from_masked(found) if np.ma.isMaskedArray(found) else _scipy.csgraph_from_dense(found)
    made = _scipy.csgraph_to_dense(found, null_value=np.inf)
    if made.shape[0] != made.shape[1]:
        raise ValueError(f"compressed-sparse graph must be shape (N, N); got {made.shape}")
    return made if directed else np.minimum(made, made.T)


def _checked(predecessors: Any, n: int | None) -> np.ndarray:
    """Predecessors, of n nodes, as SciPy's routines take them, which read wherever they point."""
    given = np.asarray(host_array(predecessors))
    before = _dense.as_integers(given)
    if before is None:
        raise ValueError(f"predecessors must be integral; got {given.dtype}, not all of them whole")
    if n is not None and before.shape != (n,):
        raise ValueError(f"predecessors must have shape ({n},); got {before.shape}")
    if before.size and before.max() >= before.shape[-1]:
        raise ValueError(f"predecessors must be less than {before.shape[-1]}, the number of nodes; got {before.max()}")
    return np.where(before < 0, -9999, before).astype(np.int32)

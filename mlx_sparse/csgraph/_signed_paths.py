"""Shortest paths where edges may be of negative length, and those that are longer."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from .. import _dense, _native
from .._base import issparse
from ._docstrings import documented
from ._graph import NegativeCycleError, compressed, dense, numbered, result, to_be_dense, written


@documented
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
    R. Bellman, Quarterly of Applied Mathematics 16 (1958): at most O(N E) from each node. Runs on the host, the nodes
    shared by all cores; it ends when nothing changes any more. Lengths and predecessors are SciPy's.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 3, 1], [0, 0, 0], [0, -1, 0]])
    >>> sp.csgraph.bellman_ford(A, indices=0)
    array([0, 0, 1], dtype=float64)
    """
    edges = compressed(csgraph, directed)
    n = edges[2].size - 1
    sources, shape = numbered(indices, n)
    _dense.expect_on_host(len(sources) * n * (12 if return_predecessors else 8))
    lengths = np.empty((len(sources), n))
    before = np.empty(lengths.shape, np.int32) if return_predecessors else None
    met = _native.bellman_ford(edges, sources, bool(directed), bool(unweighted), lengths, before)
    if met >= 0:
        raise NegativeCycleError(f"Negative cycle detected on node {met}")
    found = tuple(result(x.reshape(*shape, n), csgraph) for x in (lengths, before) if x is not None)
    return found if return_predecessors else found[0]


@documented
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
    {lengths of edges}
    {shorter way}
    {unweighted}
    {overwrite}

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
    {negative cycle}

    Notes
    -----
    R. W. Floyd, Communications of the ACM 5 (1962): O(N**3), on all cores of the host. Lengths and predecessors are
    SciPy's.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 3, 1], [0, 0, 0], [0, -1, 0]])
    >>> sp.csgraph.floyd_warshall(A).tolist()
    [[0.0, 0.0, 1.0], [inf, 0.0, inf], [inf, -1.0, 0.0]]
    """
    before: list[np.ndarray] = []

    def find(lengths: np.ndarray) -> None:
        if unweighted:
            lengths[~np.isinf(lengths)] = 1
        if return_predecessors:
            _dense.expect_on_host(4 * lengths.size)
            before.append(np.empty(lengths.shape, np.int32))
        _native.floyd_warshall(bool(directed), lengths, before[0] if before else None)
        below = np.flatnonzero(lengths.diagonal() < 0)
        if below.size:
            raise NegativeCycleError(f"Negative cycle in nodes {below}")

    if issparse(csgraph):
        edges, n = to_be_dense(csgraph, directed)

        def fill(lengths: np.ndarray) -> None:
            _native.dense_edges(edges, np.inf, lengths)
            find(lengths)

        lengths, _ = written((n, n), csgraph, fill)
    else:
        made = dense(csgraph, directed, overwrite)
        find(made)
        lengths = result(made, csgraph)
    return (lengths, result(before[0], csgraph)) if before else lengths


@documented
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
    {lengths of edges}
    source, sink : int
    K : int
        Not negative.
    {shorter way}
    {unweighted}

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
    {negative cycle}

    Notes
    -----
    J. Y. Yen, Management Science 17 (1971), with the rule of E. L. Lawler, Management Science 18 (1972): O(K N)
    searches, each led by the lengths from all nodes to `sink`, so that most of them meet few nodes. Runs on one core of
    the host. Of several paths of one length any may come first.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 5], [0, 0, 2], [0, 0, 0]])
    >>> sp.csgraph.yen(A, 0, 2, 2)
    array([3, 5], dtype=float64)
    """
    edges = compressed(csgraph, directed)
    n, count = edges[2].size - 1, index(K)
    source, sink = index(source), index(sink)
    if not (0 <= source < n and 0 <= sink < n):
        raise ValueError(
            f"a graph of {n} nodes must have 0 <= source < {n} and 0 <= sink < {n}; got {source} and {sink}"
        )
    if count < 0:
        raise ValueError(f"K must not be negative; got {K}")
    rise = 0.0
    if not unweighted and any_negative(edges[0]):
        if not directed:  # there and back again
            raise NegativeCycleError("Negative cycle detected")
        above, heights = lifted(edges)
        edges, rise = (above, *edges[1:]), heights[sink] - heights[source]
    options = bool(directed), bool(unweighted), source, sink, count, bool(return_predecessors)
    lengths, before = _native.yen(edges, *options)
    found = result(_dense.view(lengths) + rise, csgraph)
    return found if before is None else (found, result(_dense.view(before), csgraph))


# ---- edges of negative length -----------------------------------------------------------------------------------

Edges = tuple[np.ndarray, np.ndarray, np.ndarray]


def heights_of(edges: Edges) -> np.ndarray | None:
    """The length of the shortest path that ends at each node, at most 0.

    None if there is a way round that is shorter than nothing.
    """
    data, indices, indptr = edges
    n, count = indptr.size - 1, indptr[-1]
    parts = (  # and edges of no length from one more node to all others
        np.concatenate([data[:count], np.zeros(n)]),
        np.concatenate([indices[:count], np.arange(n, dtype=np.int32)]),
        np.concatenate([indptr, [count + n]]).astype(np.int32),
    )
    lengths = np.empty((1, n + 1))
    met = _native.bellman_ford(parts, np.array([n]), True, False, lengths, None)
    return lengths[0, :n] if met < 0 else None


def lifted(edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of edges that are not negative, by which the same paths are shortest, and the heights that were added."""
    heights = heights_of(edges)
    if heights is None:
        raise NegativeCycleError("Negative cycle detected")
    data, indices, indptr = edges
    count = indptr[-1]
    return data[:count] + np.repeat(heights, np.diff(indptr)) - heights[indices[:count]], heights


def any_negative(weights: np.ndarray) -> bool:
    """Whether a weight is below zero, NaN or not among them."""
    least = weights.min(initial=0)
    return bool(least < 0) or bool(np.isnan(least) and (weights < 0).any())

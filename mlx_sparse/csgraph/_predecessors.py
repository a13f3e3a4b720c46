"""What predecessors tell: trees of paths and their lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse.csgraph as _scipy

from .. import _dense
from .._base import issparse
from ._docstrings import documented
from ._graph import delegate, host, host_array, result


@documented
def reconstruct_path(csgraph: Any, predecessors: Any, directed: bool = True) -> Any:
    """The tree of the paths that predecessors tell of.

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
    predecessors : array of int, shape (N,)
        The node before each one; negative for none.
    {shorter way}

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


@documented
def construct_dist_matrix(graph: Any, predecessors: Any, directed: bool = True, null_value: float = np.inf) -> Any:
    """The lengths of the paths that predecessors tell of.

    Parameters
    ----------
    graph : sparse or dense array, shape (N, N)
    predecessors : array of int32, shape (N, N)
        For each pair (i, j) the node before j on the path from i; negative for none.
    {shorter way}
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
    for _ in range(len(weights) + 1):
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
    if directed:
        return made
    made[made == 0] = np.inf  # as in SciPy: the shorter one of two ways is one that has a length
    return np.minimum(made, made.T)


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

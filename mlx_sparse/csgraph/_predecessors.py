"""What predecessors tell: trees of paths and their lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _dense, _dtypes, _native
from .._base import issparse
from .._classes import made_by_scipy
from ._docstrings import documented
from ._graph import by_rows, dense, from_dense, host, host_array, written


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
    before = _checked(predecessors, np.shape(csgraph)[0])
    return tree(csgraph, before, directed)


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
    before = np.ascontiguousarray(_checked(given, None))
    weights = _weights(graph, directed)
    if weights.shape != before.shape:
        raise ValueError(f"graph and predecessors must have the same shape; got {weights.shape} and {before.shape}")
    no_path = float(null_value)
    lengths, circle = written(before.shape, graph, lambda out: _native.path_lengths(weights, before, no_path, out))
    if circle >= 0:
        source, target = divmod(circle, len(before))
        raise ValueError(f"predecessors of node {target} on the path from node {source} go in a circle")
    return lengths


def tree(graph: Any, before: np.ndarray, directed: bool) -> Any:
    """The edges of `graph` from the node before each node to it, as a csr array.

    As in SciPy, where edges go both ways the shorter one counts that has a length.
    """
    A = by_rows(graph, directed)
    if A is None:
        A = made_by_scipy(from_dense(graph))
    node = np.flatnonzero(before >= 0)
    above = before[node]
    weights = _lengths(A, above, node)
    if not directed:
        back = _lengths(A, node, above)
        weights, back = (np.where(x == 0, np.inf, x) for x in (weights, back))
        weights = np.minimum(weights, back)
    weights = weights.astype(_dtypes.numpy_dtype(_dtypes.default_float()), copy=False)
    made: Any = _native.numpy_to_canonical(weights, above, node.astype(np.int32), before.size)
    return A._classes["csr"]._from_parts(*made, A.shape, canonical=True)


def _lengths(A: Any, tail: np.ndarray, head: np.ndarray) -> np.ndarray:
    return _dense.view(A._sampled(tail, head)).astype(np.float64, copy=False)


def _weights(graph: Any, directed: bool) -> np.ndarray:
    """The dense form of a graph, infinite where there is no edge."""
    if issparse(graph):
        made = dense(graph, True, False)
    else:
        given = host(graph)
        made = np.array(given, np.float64)
        if made.ndim != 2 or made.shape[0] != made.shape[1]:
            raise ValueError(f"compressed-sparse graph must be shape (N, N); got {made.shape}")
        masked = np.ma.isMaskedArray(given)
        made[np.ma.getmaskarray(given) | np.isnan(made) if masked else (made == 0) | ~np.isfinite(made)] = np.inf
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

"""Matchings of bipartite graphs: rows are nodes of one side, columns those of the other."""

from __future__ import annotations

from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np

from .. import _dense, _native
from .._base import as_sparse, issparse
from ._graph import entries, pattern


def maximum_bipartite_matching(graph: Any, perm_type: str = "row") -> Any:
    """A largest set of edges of a bipartite graph no two of which share a node.

    Parameters
    ----------
    graph : csr, csc or coo array, shape (M, N)
        Stored entries are edges between rows and columns, zeros included.
    perm_type : {"row", "column"}
        Which side's partners are returned.

    Returns
    -------
    perm : dense int32 array, shape (N,) for "row", (M,) for "column"
        The row that each column is matched with, or the column of each row; -1 for none.

    Raises
    ------
    TypeError
        `graph` is not of one of these formats.
    ValueError
        `perm_type` is neither.

    Notes
    -----
    The algorithm of J. E. Hopcroft and R. M. Karp, SIAM Journal on Computing 2 (1973): O(E sqrt(M + N)). Of several
    largest matchings any may be given.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.csgraph.maximum_bipartite_matching(sp.csr_array([[1, 1], [1, 0]]), perm_type="column")
    array([1, 0], dtype=int32)
    """
    if perm_type not in ("row", "column"):
        raise ValueError(f"perm_type must be 'row' or 'column'; got {perm_type!r}")
    return _dense.in_namespace(_largest(_bipartite(graph))[perm_type == "row"])


def min_weight_full_bipartite_matching(biadjacency: Any, maximize: bool = False) -> Any:
    """A matching of all nodes of the smaller side of a bipartite graph whose weights have the least sum.

    Parameters
    ----------
    biadjacency : csr, csc or coo array, shape (M, N)
        Weights of edges between rows and columns.
    maximize : bool
        Look for the largest sum.

    Returns
    -------
    row_ind, col_ind : dense integer arrays, shape (min(M, N),)
        The rows and columns that are matched; `row_ind` ascends.

    Raises
    ------
    TypeError
        `biadjacency` is not of one of these formats.
    ValueError
        There is no such matching, or a weight would make the best sum infinite.

    Warns
    -----
    UserWarning
        Zeros are stored: they are no edges here. Nor are weights of infinity in the other direction, and NaN.

    Notes
    -----
    Shortest augmenting paths, as by R. Jonker and A. Volgenant, Computing 38 (1987), searched as by I. S. Duff and
    J. Koster, SIAM Journal on Matrix Analysis and Applications 22 (2001): O(M (E + N log N)) for M <= N, usually far
    less. Of several matchings of one sum any may be given.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.csgraph.min_weight_full_bipartite_matching(sp.csr_array([[3.0, 1.0], [1.0, 2.0]]))
    (array([0, 1], dtype=int64), array([1, 0], dtype=int32))
    """
    A = _bipartite(biadjacency)._canonical()
    wide = A.shape[0] <= A.shape[1]
    edges = entries(A if wide else A.T.tocsr(copy=False))
    weights, sign = edges[0], -1.0 if maximize else 1.0
    if not weights.all():
        warn("explicit zero weights are removed before matching", UserWarning, stacklevel=2)
    if (weights.max(initial=0) if maximize else weights.min(initial=0)) == -sign * np.inf:
        raise ValueError(f"a weight is {-sign * np.inf}, so that there is no best sum: no full matching exists")
    found = _native.least_matching(edges, max(A.shape), sign)
    if found is None:
        raise ValueError("no full matching exists")
    partners = _dense.view(found)
    order = np.arange(len(partners)) if wide else np.argsort(partners)
    ends = (order, partners) if wide else (partners[order], order)
    return tuple(_dense.in_namespace(_dense.to_mlx(x)) for x in ends)


def structural_rank(graph: Any) -> int:
    """The largest rank that an array with entries at these places can have.

    Parameters
    ----------
    graph : sparse array, shape (M, N)

    Returns
    -------
    int

    Raises
    ------
    TypeError
        `graph` is not sparse.

    Notes
    -----
    The size of a maximum matching of rows and columns: see `maximum_bipartite_matching`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.csgraph.structural_rank(sp.csr_array([[1, 1], [0, 0]]))
    1
    """
    if not issparse(graph):
        raise TypeError(f"graph must be sparse; got {type(graph).__name__}")
    return int((_dense.view(_largest(_by_rows(graph))[0]) >= 0).sum())


def _bipartite(graph: Any) -> Any:
    """`graph`, in one of the formats that SciPy takes, as a csr array of this package."""
    if not issparse(graph) or graph.format not in ("csr", "csc", "coo"):
        given = f"{graph.format} format" if issparse(graph) else type(graph).__name__
        raise TypeError(f"graph must be a sparse array in csr, csc or coo format; got {given}")
    return _by_rows(graph)


def _by_rows(graph: Any) -> Any:
    if graph.ndim != 2:
        raise ValueError(f"graph must have two dimensions; got shape {graph.shape}")
    return as_sparse(graph).tocsr(copy=False)


def _largest(A: Any) -> tuple[mx.array, mx.array]:
    """The columns that rows of a csr array are matched with, and the rows of columns."""
    return _native.largest_matching(pattern(A), A.shape[1])

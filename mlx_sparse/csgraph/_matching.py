"""Matchings of bipartite graphs: rows are nodes of one side, columns those of the other."""

from __future__ import annotations

from typing import Any

import scipy.sparse.csgraph as _scipy

from .._base import as_sparse, issparse
from ._graph import delegate


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
    The algorithm of J. E. Hopcroft and R. M. Karp, SIAM Journal on Computing 2 (1973): O(E sqrt(M + N)). Computed by
    SciPy's routine.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.csgraph.maximum_bipartite_matching(sp.csr_array([[1, 1], [1, 0]]), perm_type="column")
    array([1, 0], dtype=int32)
    """
    if perm_type not in ("row", "column"):
        raise ValueError(f"perm_type must be 'row' or 'column'; got {perm_type!r}")
    return delegate(_scipy.maximum_bipartite_matching, _simple(graph), perm_type)


def min_weight_full_bipartite_matching(biadjacency: Any, maximize: bool = False) -> Any:
    """A matching of all nodes of the smaller side of a bipartite graph whose weights have the least sum.

    Parameters
    ----------
    biadjacency : csr, csc or coo array, shape (M, N)
        Weights of edges between rows and columns; no stored zeros.
    maximize : bool
        Look for the largest sum.

    Returns
    -------
    row_ind, col_ind : dense integer arrays, shape (min(M, N),)
        The rows and columns that are matched; `row_ind` ascends.

    Raises
    ------
    TypeError
        `biadjacency` is not sparse, or its values are no numbers.
    ValueError
        A stored zero, or no such matching.

    Notes
    -----
    The algorithm of R. Jonker and A. Volgenant, Computing 38 (1987), for sparse arrays (LAPJVsp). Computed by SciPy's
    routine.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.csgraph.min_weight_full_bipartite_matching(sp.csr_array([[3.0, 1.0], [1.0, 2.0]]))
    (array([0, 1], dtype=int64), array([1, 0], dtype=int32))
    """
    return delegate(_scipy.min_weight_full_bipartite_matching, _simple(biadjacency), maximize)


def structural_rank(graph: Any) -> int:
    """The largest rank that an array with entries at these places can have.

    Parameters
    ----------
    graph : csr or csc array, shape (M, N)

    Returns
    -------
    int

    Raises
    ------
    TypeError
        `graph` is of another format.

    Notes
    -----
    The size of a maximum matching of rows and columns: see `maximum_bipartite_matching`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.csgraph.structural_rank(sp.csr_array([[1, 1], [0, 0]]))
    1
    """
    return int(delegate(_scipy.structural_rank, _simple(graph)))


def _simple(graph: Any) -> Any:
    """A sparse `graph` without parallel edges: SciPy's routine queues each of them, beyond the memory that it has."""
    return as_sparse(graph)._canonical() if issparse(graph) and graph.format in ("csr", "csc") else graph

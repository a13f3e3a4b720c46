"""Spanning trees."""

from __future__ import annotations

from typing import Any

import scipy.sparse.csgraph as _scipy

from ._graph import delegate


def minimum_spanning_tree(csgraph: Any, overwrite: bool = False) -> Any:
    """Edges of the least total weight that connect all nodes of an undirected graph that it connects.

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
        Each entry, (i, j) as well as (j, i), is an edge between nodes i and j.
    overwrite : bool
        Allows to use the memory of an ndarray of float64, or of a SciPy array.

    Returns
    -------
    csr_array (csr_matrix for a matrix), shape (N, N), float64 (float32 on a GPU)
        The tree, or the forest of a graph that is not connected. Edges of weight zero are left out.

    Raises
    ------
    ValueError
        `csgraph` is not square.

    Notes
    -----
    The algorithm of J. B. Kruskal, Proceedings of the American Mathematical Society 7 (1956): O(E log E).

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0.0, 2.0, 1.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    >>> sp.csgraph.minimum_spanning_tree(A).toarray()
    array([[0., 2., 1.],
           [0., 0., 0.],
           [0., 0., 0.]])
    """
    return delegate(_scipy.minimum_spanning_tree, csgraph, overwrite)

"""Spanning trees."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse.csgraph as _scipy

from .. import _dtypes, _native
from ._graph import by_rows, delegate, weighted


def minimum_spanning_tree(csgraph: Any, overwrite: bool = False) -> Any:
    """Edges of the least total weight that connect all nodes of an undirected graph that it connects.

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
        Each entry, (i, j) as well as (j, i), is an edge between nodes i and j.
    overwrite : bool
        Allows to use the memory of an ndarray of float64.

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
    Of a sparse graph by the algorithm of O. Boruvka (1926), each component joined by its lightest edge in every round,
    on all cores: O(E log N). Of equal weights the edge that is stored first comes first; which one does in SciPy
    depends on its sort. Dense graphs, and those with weights that are nan, are left to SciPy's routine.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0.0, 2.0, 1.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    >>> sp.csgraph.minimum_spanning_tree(A).toarray()
    array([[0., 2., 1.],
           [0., 0., 0.],
           [0., 0., 0.]])
    """
    A = by_rows(csgraph)
    if A is not None:
        trio, weights = weighted(A, _dtypes.default_float())
        if not (weights.size and np.isnan(weights.max())):
            return A._classes["csr"]._from_parts(*_native.spanning_forest(trio), A.shape)
    return delegate(_scipy.minimum_spanning_tree, csgraph, overwrite)

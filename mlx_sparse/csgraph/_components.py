"""Connected components."""

from __future__ import annotations

from typing import Any

import scipy.sparse.csgraph as _scipy

from ._graph import delegate


def connected_components(
    csgraph: Any, directed: bool = True, connection: str = "weak", return_labels: bool = True
) -> Any:
    """The connected components of a graph.

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
        Stored entries of a sparse array are edges, zeros included.
    directed : bool
        False: edges go both ways, and `connection` does not matter.
    connection : {"weak", "strong"}
        Of a directed graph: nodes are connected when a path leads from one to the other along edges in any direction
        (weak), or when paths along edges lead both ways (strong).
    return_labels : bool

    Returns
    -------
    n_components : int
    labels : dense int32 array, shape (N,), if `return_labels`
        Number of each node's component.

    Raises
    ------
    ValueError
        `csgraph` is not square, or `connection` is neither.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    >>> sp.csgraph.connected_components(A)
    (2, array([0, 0, 1], dtype=int32))
    """
    return delegate(_scipy.connected_components, csgraph, directed, connection, return_labels)

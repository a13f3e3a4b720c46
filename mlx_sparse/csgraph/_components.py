"""Connected components."""

from __future__ import annotations

from typing import Any

import scipy.sparse.csgraph as _scipy

from .. import _dense, _native
from .._scipy_release import COMPONENTS_GO_FORWARD
from ._graph import by_rows, delegate, pattern


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

    Notes
    -----
    O(N + E). Weak components by sets that are joined on all cores (Afforest: M. Sutton, T. Ben-Nun, A. Barak, IPDPS
    2018), numbered by their least nodes; so are strong ones where nearly every edge has one back. Other strong ones by
    R. Tarjan's algorithm (SIAM Journal on Computing 1, 1972) in the form of D. J. Pearce, numbered in topological order
    from the last; a component with a good part of all nodes is found first, on a second core. All as in SciPy.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    >>> sp.csgraph.connected_components(A)
    (2, array([0, 0, 1], dtype=int32))
    """
    A = by_rows(csgraph)
    if A is None:
        return delegate(_scipy.connected_components, csgraph, directed, connection, return_labels)
    if connection.lower() not in ("weak", "strong"):
        raise ValueError(f"connection must be 'weak' or 'strong'; got {connection!r}")
    strong = bool(directed) and connection.lower() == "strong"
    n, labels = _native.connected_components(pattern(A), strong, COMPONENTS_GO_FORWARD)
    return (n, _dense.in_namespace(labels)) if return_labels else n

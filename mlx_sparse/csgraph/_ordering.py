"""Orders of nodes for the sake of a narrow band."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse.csgraph as _scipy

from .. import _dense, _native
from .._base import as_sparse, issparse
from ._graph import delegate, pattern


def reverse_cuthill_mckee(graph: Any, symmetric_mode: bool = False) -> Any:
    """An order of rows and columns that brings the entries of a sparse array close to its diagonal.

    Parameters
    ----------
    graph : csr or csc array, shape (N, N)
    symmetric_mode : bool
        The structure is known to be symmetric. Otherwise that of A + A.T is used.

    Returns
    -------
    perm : dense array, shape (N,), of the dtype of indices: int32, or int64 where `graph` has it
        ``A[perm][:, perm]`` has the narrow band.

    Raises
    ------
    TypeError
        `graph` is of another format.
    ValueError
        `graph` is not square.

    Notes
    -----
    E. Cuthill and J. McKee, Proceedings of the 24th National Conference of the ACM (1969): O(N log N + E), one thread.
    Nodes of equal degree come as in SciPy. An array that is not canonical is left to SciPy's routine.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]])
    >>> perm = np.array(sp.csgraph.reverse_cuthill_mckee(A, symmetric_mode=True))
    >>> A[perm][:, perm].toarray()
    array([[1, 1, 0, 0],
           [1, 1, 1, 0],
           [0, 1, 1, 1],
           [0, 0, 1, 1]])
    """
    if not issparse(graph) or graph.format not in ("csr", "csc"):
        raise TypeError("Input must be in CSC or CSR sparse array/matrix format.")
    A = as_sparse(graph)
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"graph must be shape (N, N); got {tuple(A.shape)}")
    if not symmetric_mode:
        if not A.has_canonical_format:  # the order of entries in SciPy's sum is its own
            return delegate(_scipy.reverse_cuthill_mckee, graph, symmetric_mode)
        A = A + A.T
    trio = pattern(A)
    degrees = _native.node_degrees(trio)
    seeds = np.argsort(_dense.view(degrees))  # the sort that SciPy's routine uses: it decides between equal degrees
    return _dense.in_namespace(_native.reverse_cuthill_mckee(trio, degrees, seeds))

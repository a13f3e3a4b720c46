"""Orders of nodes for the sake of a narrow band."""

from __future__ import annotations

from typing import Any

import scipy.sparse.csgraph as _scipy

from ._graph import delegate


def reverse_cuthill_mckee(graph: Any, symmetric_mode: bool = False) -> Any:
    """An order of rows and columns that brings the entries of a sparse array close to its diagonal.

    Parameters
    ----------
    graph : csr or csc array, shape (N, N)
    symmetric_mode : bool
        The structure is known to be symmetric. Otherwise that of A + A.T is used.

    Returns
    -------
    perm : dense int32 array, shape (N,)
        ``A[perm][:, perm]`` has the narrow band.

    Raises
    ------
    TypeError
        `graph` is of another format.

    Notes
    -----
    E. Cuthill and J. McKee, Proceedings of the 24th National Conference of the ACM (1969). Computed by SciPy's routine.

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
    return delegate(_scipy.reverse_cuthill_mckee, graph, symmetric_mode)

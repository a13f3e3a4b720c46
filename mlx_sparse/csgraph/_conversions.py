"""Sparse graphs from dense ones, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse.csgraph as _scipy

from .. import _dense, _dtypes, _native
from .._base import _spbase
from .._classes import ARRAYS
from ._graph import compressed, delegate, host_array, written


def csgraph_from_dense(graph: Any, null_value: Any = 0, nan_null: bool = True, infinity_null: bool = True) -> Any:
    """A sparse graph from a dense array.

    Parameters
    ----------
    graph : dense array, shape (N, N)
    null_value : float or None
        What stands for no edge; None: nothing does.
    nan_null, infinity_null : bool
        Whether nan and infinity stand for no edge, too.

    Returns
    -------
    csr_array, shape (N, N), float64 (float32 on a GPU)

    Raises
    ------
    ValueError
        `graph` is not square.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csgraph.csgraph_from_dense(np.array([[-1.0, 0.0], [2.0, -1.0]]), null_value=-1)
    >>> A.nnz, A.toarray().tolist()
    (2, [[0.0, 0.0], [2.0, 0.0]])
    """
    return delegate(_scipy.csgraph_from_dense, graph, null_value, nan_null, infinity_null)


def csgraph_from_masked(graph: Any) -> Any:
    """A sparse graph from a masked array of NumPy's, whose masked elements are no edges.

    Parameters
    ----------
    graph : numpy.ma.MaskedArray, shape (N, N)

    Returns
    -------
    csr_array, shape (N, N), float64 (float32 on a GPU)

    Raises
    ------
    ValueError
        `graph` is not square.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> G = np.ma.masked_array([[1.0, 0.0], [2.0, 0.0]], mask=[[True, False], [False, True]])
    >>> A = sp.csgraph.csgraph_from_masked(G)
    >>> A.nnz, A.toarray().tolist()
    (2, [[0.0, 0.0], [2.0, 0.0]])
    """
    given = host_array(graph)
    mask: Any = getattr(given, "mask", np.False_)
    if mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        return delegate(_scipy.csgraph_from_masked, graph)  # which says what is wrong
    edges = ~mask
    counts = np.concatenate([[0], np.cumsum(np.count_nonzero(edges, axis=1))])
    index = _dtypes.numpy_dtype(_dtypes.index_dtype(maxval=max(len(mask), int(counts[-1]))))
    indices, indptr = (_dense.to_mlx(x.astype(index)) for x in (np.nonzero(edges)[1], counts))
    data = _dense.to_mlx(given.data[edges].astype(np.float64, copy=False))
    return ARRAYS["csr"]._from_parts(data, indices, indptr, mask.shape, canonical=True)


def csgraph_masked_from_dense(
    graph: Any, null_value: Any = 0, nan_null: bool = True, infinity_null: bool = True, copy: bool = True
) -> np.ma.MaskedArray:
    """A masked graph from a dense array.

    Parameters
    ----------
    graph : dense array, shape (N, N)
    null_value : float or None
        What stands for no edge; None: nothing does.
    nan_null, infinity_null : bool
        Whether nan and infinity stand for no edge, too.
    copy : bool
        False: the result shares the memory of an ndarray of float64.

    Returns
    -------
    numpy.ma.MaskedArray, shape (N, N), float64
        In mlx mode, too: MLX has no masked arrays.

    Raises
    ------
    ValueError
        `graph` is not square.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> sp.csgraph.csgraph_masked_from_dense(np.array([[0.0, 3.0], [0.0, 0.0]])).tolist()
    [[None, 3.0], [None, None]]
    """
    return delegate(_scipy.csgraph_masked_from_dense, graph, null_value, nan_null, infinity_null, bool(copy))


def csgraph_to_dense(csgraph: Any, null_value: Any = 0) -> Any:
    """The dense form of a sparse graph. Of parallel edges the shortest counts.

    Parameters
    ----------
    csgraph : sparse array, shape (N, N)
    null_value : float
        What stands for no edge.

    Returns
    -------
    dense array, shape (N, N), float64 (float32 on a GPU)

    Raises
    ------
    ValueError
        `csgraph` is not sparse.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(([2.0, 0.0], ([0, 1], [1, 0])), shape=(2, 2))
    >>> sp.csgraph.csgraph_to_dense(A, null_value=np.inf).tolist()
    [[inf, 2.0], [0.0, inf]]
    """
    if not isinstance(csgraph, _spbase) or csgraph.format not in ("csr", "csc") or len(set(csgraph.shape)) != 1:
        return delegate(_scipy.csgraph_to_dense, csgraph, null_value)
    edges, n, no_edge = compressed(csgraph, True), csgraph.shape[0], float(null_value)
    _dense.expect_on_host(8 * n * n)
    return written((n, n), csgraph, lambda out: _native.dense_edges(edges, no_edge, out))[0]


def csgraph_to_masked(csgraph: Any) -> np.ma.MaskedArray:
    """The masked form of a sparse graph, in which what is no edge is masked.

    Parameters
    ----------
    csgraph : sparse array, shape (N, N)

    Returns
    -------
    numpy.ma.MaskedArray, shape (N, N), float64
        In mlx mode, too: MLX has no masked arrays.

    Raises
    ------
    ValueError
        `csgraph` is not sparse.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array(([2.0, 0.0], ([0, 1], [1, 0])), shape=(2, 2))
    >>> sp.csgraph.csgraph_to_masked(A).tolist()
    [[None, 2.0], [0.0, None]]
    """
    return delegate(_scipy.csgraph_to_masked, csgraph)

"""Graphs on their way to the native layer or to SciPy's compiled routines, and results on their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.sparse as _scipy_sparse
import scipy.sparse.csgraph as _scipy

from .. import _dense, _dtypes, _native
from .._base import _spbase, as_sparse, check_structure, issparse
from .._classes import made_by_scipy
from .._interop import to_read
from .._scipy_release import BLOCKS_OF_GRAPHS_LOSE_ZEROS


class NegativeCycleError(_scipy.NegativeCycleError):
    """The graph has a cycle whose weights sum to less than zero, so that shortest paths do not exist.

    A subclass of SciPy's exception: whoever catches that one catches this one too.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> try:
    ...     sp.csgraph.bellman_ford(sp.csr_array([[0.0, -1.0], [0.5, 0.0]]))
    ... except sp.csgraph.NegativeCycleError as error:
    ...     print(error)
    Negative cycle detected on node 0
    """

    def __init__(self, message: str = "") -> None:
        Exception.__init__(self, message)


def host(graph: Any) -> Any:
    """`graph` as SciPy's routines take it: SciPy's sparse form, or an ndarray. It shares what memory it can.

    Raises
    ------
    ValueError
        The values are traced, or more than 2**31 - 1 entries are stored: SciPy's routines count in int32.
    """
    if not isinstance(graph, _spbase):
        if issparse(graph):
            check_structure(graph)
        x = host_array(graph)
        if isinstance(x, np.ndarray) and x.ndim == 2 and not x.flags.c_contiguous:
            return x.copy("C")  # SciPy's floyd_warshall gives nonsense for any other order
        return x
    made = to_read(graph)
    if made is not None:
        return made
    made = graph.to_scipy()
    if made.format in ("csr", "csc", "bsr") and made.indices.dtype != np.int32:
        made = type(made)((made.data, *_narrowed(made)), shape=made.shape, copy=False)
    return made


def host_array(x: Any) -> Any:
    """A dense argument as NumPy sees it; anything that is no `mx.array` as it is."""
    if x is None or type(x) in (bool, int, float, str):
        return x
    return _dense.view(x) if _dense.is_mlx(x) else _dense.imported(x)


def _narrowed(made: Any) -> tuple[np.ndarray, np.ndarray]:
    if max(*made.shape, made.nnz) > _dtypes.INT32_MAX:
        raise ValueError(f"a graph of shape {made.shape} with {made.nnz} entries is too large for int32 indices")
    return made.indices.astype(np.int32), made.indptr.astype(np.int32)


def result(x: Any, graph: Any) -> Any:
    """A result of SciPy's as the user gets it: dense ones in the namespace of a dense `graph`, or the default one."""
    if type(x) is not np.ndarray:
        if isinstance(x, tuple):
            return tuple(result(part, graph) for part in x)
        return made_by_scipy(x) if _scipy_sparse.issparse(x) else x
    if not isinstance(graph, (_spbase, mx.array)) and not _scipy_sparse.issparse(graph):
        return np.ascontiguousarray(x)  # an order may be a view from the last to the first
    if _dense.numpy_mode() and not isinstance(graph, mx.array):
        # SciPy's float64 goes where the device has none.
        return np.ascontiguousarray(x) if _dtypes.is_shared(x.dtype) else _dense.view(_dense.to_mlx(x))
    return _dense.to_mlx(x)


def written(shape: tuple[int, ...], graph: Any, write: Callable[[np.ndarray], Any]) -> tuple[Any, Any]:
    """What `write` puts into a float64 ndarray, as `result` gives it (in memory of MLX where it ends there), and
    what `write` returns.
    """
    if _dense.numpy_mode() or not issparse(graph) or _dtypes.default_float() != mx.float64:
        x = np.empty(shape)
        told = write(x)
        return result(x, graph), told
    made = _dense.uninitialized(shape, mx.float64)
    return made, write(_dense.view(made))


def delegate(f: Callable[..., Any], graph: Any, *args: Any, **options: Any) -> Any:
    """What SciPy's routine `f` gives for `graph`; its other arguments may be dense arrays."""
    given = _in_float64(graph)
    try:
        found = f(given, *map(host_array, args), **{name: host_array(x) for name, x in options.items()})
    except _scipy.NegativeCycleError as error:
        raise NegativeCycleError(str(error)) from None
    return result(found, graph)


def _in_float64(graph: Any) -> Any:
    """`host(graph)`, its weights in the dtype that SciPy's routines compute in: what they must cast they add up,
    parallel edges.
    """
    given = host(graph)
    if isinstance(graph, _spbase) and given.format in ("csr", "csc"):
        if given.data.dtype != np.float64 and given.data.dtype.kind in "biuf":
            given.data = given.data.astype(np.float64)
    return given


def compressed(graph: Any, directed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(weights of float64, indices, indptr of int32) of `graph` by rows, as ndarrays to be read.

    Raises
    ------
    ValueError
        The graph is not square, its values are traced, or it is too large for int32.
    """
    A = by_rows(graph, directed)
    if A is not None:
        return entries(A)
    made = from_dense(graph)
    return made.data, made.indices, made.indptr


def entries(A: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(values as float64, indices, indptr of int32) of a csr array, as ndarrays to be read; see `compressed`."""
    values, indices, indptr = map(_dense.view, (A._entries(), A._indices, A._indptr))
    if indices.dtype != np.int32:
        if max(*A.shape, values.size) > _dtypes.INT32_MAX:
            raise ValueError(f"a graph of shape {A.shape} with {A.nnz} entries is too large for int32 indices")
        indices, indptr = indices.astype(np.int32), indptr.astype(np.int32)
    return values.astype(np.float64, copy=False), indices, indptr


def from_dense(graph: Any) -> Any:
    """The edges of a dense or masked graph as a csr array of SciPy's."""
    given = host(graph)
    made = (_scipy.csgraph_from_masked if np.ma.isMaskedArray(given) else _scipy.csgraph_from_dense)(given)
    if made.shape[0] != made.shape[1]:
        raise ValueError(f"compressed-sparse graph must be shape (N, N); got {made.shape}")
    return made


def to_be_dense(graph: Any, directed: bool) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int]:
    """`compressed(graph, directed)` of a sparse graph whose dense form fits the memory, and its size."""
    if graph.format not in ("csr", "csc", "lil"):
        raise ValueError(f"csgraph must be a dense array, or sparse in csr, csc or lil format; got {graph.format}")
    edges = compressed(graph, directed)
    n = edges[2].size - 1
    _dense.expect_on_host(8 * n * n)
    return edges, n


def dense(graph: Any, directed: bool, overwrite: bool) -> np.ndarray:
    """`graph` as a float64 ndarray, infinite where there is no edge; in the memory of `graph` if it may be overwritten.

    Raises
    ------
    ValueError
        The graph is not square, or of another format than SciPy takes here.
    """
    if issparse(graph):
        edges, n = to_be_dense(graph, directed)
        made = np.empty((n, n))
        _native.dense_edges(edges, np.inf, made)
        return made
    given = host(graph)
    if len(given.shape) != 2 or given.shape[0] != given.shape[1]:
        raise ValueError(f"compressed-sparse graph must be shape (N, N); got {given.shape}")
    _dense.expect_on_host(8 * given.shape[0] ** 2)
    if not np.ma.isMaskedArray(given):
        given = _scipy.csgraph_masked_from_dense(given, copy=not overwrite)
    made = np.array(given.data, np.float64, order="C", copy=None if overwrite else True)
    made[np.ma.getmaskarray(given)] = np.inf
    made[made == 0] = np.inf
    return made


def numbered(indices: Any, n: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Nodes from which paths start, counted from the end where they are negative, and the shape they are given in."""
    if indices is None:
        return np.arange(n), (n,)
    given = whole(indices)
    sources = np.atleast_1d(given).reshape(-1).astype(np.int64)
    sources[sources < 0] += n
    if ((sources < 0) | (sources >= n)).any():
        raise ValueError(f"indices out of range 0...{n - 1}; got {given.min()} to {given.max()}")
    return sources, given.shape


# ---- the native layer -------------------------------------------------------------------------------------------

Trio = tuple[Any, Any, Any]


def by_rows(graph: Any, directed: bool = True) -> Any:
    """A sparse graph as a csr array of this package, None for a dense one.

    Where edges go both ways, a csc array stands for its transpose, as in SciPy.

    Raises
    ------
    ValueError
        The graph is not square.
    """
    if not issparse(graph):
        return None
    A = as_sparse(graph)
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"compressed-sparse graph must be shape (N, N); got {tuple(A.shape)}")
    if not directed and A.format == "csc":
        return A.T
    rows = A.tocsr(copy=False)
    if BLOCKS_OF_GRAPHS_LOSE_ZEROS and A.format == "bsr" and not _native.is_tracer(rows._data):
        rows.eliminate_zeros()
    return rows


def weighted(A: Any, dtype: mx.Dtype) -> tuple[Trio, np.ndarray]:
    """A csr array with weights of `dtype`, and a view of these.

    Raises
    ------
    ValueError
        The values are traced.
    """
    data = _dense.cast(A._entries(), dtype)
    return (data, A._indices, A._indptr), _dense.view(data)


def pattern(A: Any) -> Trio:
    """A csr array whose values do not matter, which may be traced."""
    return A._indices, A._indices, A._indptr


def both_ways(trio: Trio, directed: bool, weights: bool = False) -> list[Trio]:
    """A graph, and its transpose too where edges go both ways, unless that has the same edges, or edges and weights."""
    if directed or _native.is_symmetric(trio, weights):
        return [trio]
    return [trio, _native.transpose(trio, trio[2].size - 1, None)]


def whole(indices: Any) -> Any:
    """Numbers of nodes as integers of SciPy's width, which would cut fractions off; None as it is."""
    if indices is None:
        return None
    given = np.asarray(host_array(indices))
    whole = given.astype(np.int32) if given.size == 0 or given.dtype.kind == "b" else _dense.as_integers(given)
    if whole is None:
        raise ValueError(f"indices must be integers; got {given.dtype}, not all of them whole")
    if whole.size and (whole.max() > _dtypes.INT32_MAX or whole.min() < -_dtypes.INT32_MAX):
        raise ValueError(f"indices out of range: they go from {whole.min()} to {whole.max()}")
    return whole.astype(np.int32)

"""The Laplacian of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, _native, _values
from .._base import as_sparse, issparse
from ..linalg._interface import LinearOperator
from ..linalg._operator import kept


def laplacian(
    csgraph: Any,
    normed: bool = False,
    return_diag: bool = False,
    use_out_degree: bool = False,
    *,
    copy: bool = True,
    form: str = "array",
    dtype: Any = None,
    symmetrized: bool = False,
) -> Any:
    """The Laplacian D - A of a graph with weights A: D has the degrees of its nodes on the diagonal.

    Loops, which are entries on the diagonal of A, do not count. Lazy in the weights and differentiable with respect to
    them (``A.data``, or a dense `mx.array`).

    Parameters
    ----------
    csgraph : sparse or dense array, shape (N, N)
    normed : bool
        ``D**-0.5 (D - A) D**-0.5``, with ones in the place of degrees that are zero.
    return_diag : bool
    use_out_degree : bool
        Degrees are sums of rows, not of columns.
    copy : bool
        False: a coo array, or an ndarray, becomes its Laplacian itself, where its dtype allows.
    form : {"array", "function", "lo"}
        A sparse or dense array; a function of v, of shape (N,) or (N, K), that gives L v; or a `LinearOperator`. The
        last two copy an ndarray, and with ``copy=False`` not even that.
    dtype : dtype, optional
        Of the result. Default: that of `csgraph`, or float64 (float32 on a GPU) for integers and `normed`.
    symmetrized : bool
        Of the graph A + A^H.

    Returns
    -------
    lap : dense array for a dense `csgraph`; coo array, or dia array of a dia array without `normed`; function; operator
        Of shape (N, N).
    diag : dense array, shape (N,), if `return_diag`
        The degrees, or with `normed` their square roots, ones for zeros.

    Raises
    ------
    ValueError
        `csgraph` is not square, or `form` is unknown.
    TypeError
        The values are booleans or unsigned integers, which have no negatives, and neither `normed` nor another `dtype`
        is asked for.

    Notes
    -----
    O(N + E). Degrees that are negative have no real square root: their rows and columns are nan with `normed`.

    Examples
    --------
    >>> import mlx.core as mx, mlx_sparse as sp
    >>> A = sp.csr_array([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]], dtype=mx.float32)
    >>> sp.csgraph.laplacian(A).toarray()
    array([[ 3., -1., -2.],
           [-1.,  1.,  0.],
           [-2.,  0.,  2.]], dtype=float32)
    >>> x = mx.array([1.0, 0.0, -1.0])
    >>> energy = lambda v: x @ (sp.csgraph.laplacian(A.with_data(v)) @ x)
    >>> mx.grad(energy)(A.data)  # (x_i - x_j)**2 / 2 where the degree is a sum over columns
    array([0, 2, 1, 2], dtype=float32)

    Differences from SciPy
    ----------------------
    Degrees are sums that leave loops out, not sums less the loops: as an array, the Laplacian does not depend on a loop
    of weight infinity or nan. With `normed` every integer dtype and booleans become floats. Functions take vectors,
    too, and operators have adjoints. With `symmetrized`, the functions of a complex graph agree with the array.
    """
    if not issparse(csgraph):
        csgraph = _dense.as_dense(csgraph)
        if type(csgraph) is not np.ndarray and isinstance(csgraph, np.ndarray):
            csgraph = np.asarray(csgraph)
    else:
        csgraph = as_sparse(csgraph)
    if csgraph.ndim != 2 or csgraph.shape[0] != csgraph.shape[1]:
        raise ValueError(f"csgraph must be a square matrix or array; got shape {tuple(csgraph.shape)}")
    if form not in ("array", "function", "lo"):
        raise ValueError(f"Invalid form: {form!r}; it is 'array', 'function' or 'lo'")
    csgraph, copy = _negatable(csgraph, normed, dtype, copy)
    axis = 1 if use_out_degree else 0
    made = _array if form == "array" else _products
    lap, diag = made(csgraph, normed, axis, symmetrized, copy)
    if dtype is None:
        dtype = csgraph.dtype if isinstance(csgraph, np.ndarray) else _dtype(csgraph)
    if form == "array":
        lap = _as(lap, dtype)
    elif form == "lo":
        product, adjoint = lap
        options = {"rmatvec": adjoint, "rmatmat": adjoint, "dtype": _dtypes.numpy_dtype(dtype)}
        lap = LinearOperator(csgraph.shape, product, matmat=product, **options)
    else:
        lap = lap[0]
    if not return_diag:
        return lap
    return lap, _as(diag if _dense.is_dense(csgraph) else _dense.in_namespace(diag), dtype)


def _dtype(graph: Any) -> mx.Dtype:
    """MLX's dtype of a graph: in numpy mode, arrays of bfloat16 name another one."""
    return _dtypes.mlx_dtype(graph.dtype if _dense.is_dense(graph) else graph._data.dtype)


def _negatable(graph: Any, normed: bool, dtype: Any, copy: bool) -> tuple[Any, bool]:
    """`graph` in a dtype that its Laplacian can be computed in, and whether what it was must be kept."""
    own = _dtype(graph)
    if not _dtypes.is_integral(own):
        return graph, copy
    if normed:
        return _as(graph, _dtypes.default_float()), False
    if mx.issubdtype(own, mx.signedinteger):
        return graph, copy
    if dtype is None or not np.can_cast(_dtypes.numpy_dtype(own), _dtypes.numpy_dtype(dtype)):
        raise TypeError(f"a Laplacian has negative entries, which {_dtypes.name(own)} has not; ask for another dtype")
    return _as(graph, dtype), False


def _as(x: Any, dtype: Any) -> Any:
    """`x`, dense or sparse, as `dtype`: itself if it has that already. ndarrays may have any dtype on any device."""
    if isinstance(x, np.ndarray):
        return x.astype(_dtypes.numpy_dtype(dtype), copy=False)
    target = _dtypes.mlx_dtype(dtype)
    return _dense.cast(x, target) if isinstance(x, mx.array) else x.astype(target, copy=False)


# ---- as an array ------------------------------------------------------------------------------------------------


def _array(graph: Any, normed: bool, axis: int, symmetrized: bool, copy: bool) -> tuple[Any, Any]:
    if isinstance(graph, np.ndarray):
        return _of_ndarray(graph, normed, axis, symmetrized, copy)
    if isinstance(graph, mx.array):
        return _of_mlx(graph, normed, axis, symmetrized)
    return _of_sparse(graph, normed, axis, symmetrized, copy)


def _of_sparse(A: Any, normed: bool, axis: int, symmetrized: bool, copy: bool) -> tuple[Any, Any]:
    if symmetrized:
        A = A + A.T.conj()
    if A.format == "dia" and not normed:
        degrees = _degrees(A, axis)
        L = -A
        L._setdiag(_dense.cast(degrees, L._data.dtype), 0)
        return L, degrees
    L = A.tocoo(copy=False)
    at_once = L._data.dtype in (mx.float32, mx.float64) and _dense.ready(L._data)
    made, degrees = (_at_once if at_once else _in_graph)(L, normed, axis)
    if not copy and L is A and not symmetrized:
        A._adopt(made)
        return A, degrees
    return made, degrees


def _at_once(A: Any, normed: bool, axis: int) -> tuple[Any, Any]:
    """The Laplacian of a coo array whose values are there, without a copy of its edges; and the degrees."""
    data, (row, col) = A._data, A._coords
    off = _dense.view(row) != _dense.view(col)
    weights = data if off.all() else _dense.to_mlx(np.where(off, _dense.view(data), 0))
    del off  # of the size of the graph, as the weights without loops: not beside the Laplacian
    degrees = A._axis_sum(weights, axis, None)
    del weights
    factors, diagonal = _scaled(degrees) if normed else (None, degrees)
    made, *coords = _native.laplacian(
        [data, row, col], None if factors is None else _dense.to_mlx(factors), _dense.to_mlx(diagonal)
    )
    return type(A)._from_parts(made, tuple(coords), A.shape), degrees if factors is None else factors


def _in_graph(A: Any, normed: bool, axis: int) -> tuple[Any, Any]:
    """The same in MLX's graph, in which derivatives are found."""
    data, (row, col) = A._data, A._coords
    off = _dense.view(row) != _dense.view(col)
    if not off.all():
        if _dense.ready(data):
            data, row, col = _native.keep([data, row, col], off)
        else:
            data = _values.take(data, _dense.to_mlx(np.flatnonzero(off)))
            row, col = _native.keep([row, col], off)
    n = A.shape[0]
    wide = _dense.cast(data, _dtypes.sum_dtype(data.dtype))
    edges = type(A)._from_parts(wide, (row, col), A.shape)
    degrees = edges._axis_sum(wide, axis, None)
    if normed:
        degrees, diagonal = _scaled(degrees)
        ones = _values.ones(n, degrees.dtype)
        for pair in ((degrees, ones), (ones, degrees)):  # two roundings, as in SciPy: whole numbers stay whole
            data = data / _native.sddmm(edges._structure, *pair, None)
    else:
        diagonal = _dense.cast(degrees, data.dtype)
    at = mx.arange(n, dtype=row.dtype)
    coords = mx.concatenate([row, at]), mx.concatenate([col, at])
    return type(A)._from_parts(_values.concatenate([-data, diagonal]), coords, A.shape), degrees


def _degrees(A: Any, axis: int) -> Any:
    """Sums of the rows or columns of A without its diagonal."""
    total = A._sum((axis,), None, None)
    return total - _dense.cast(A._diagonal(0), total.dtype)


def _scaled(degrees: Any) -> tuple[Any, Any]:
    """The square roots of degrees, ones for zeros, and the diagonal of the normalised Laplacian."""
    if not isinstance(degrees, mx.array):
        w = _dense.view(degrees) if _dense.is_mlx(degrees) else degrees
        isolated = w == 0
        with np.errstate(invalid="ignore"):
            roots, diagonal = np.where(isolated, 1, np.sqrt(w)), (~isolated).astype(w.dtype)
        roots = roots.astype(w.dtype, copy=False)
        return (_dense.to_mlx(roots), _dense.to_mlx(diagonal)) if _dense.is_wide(degrees) else (roots, diagonal)
    isolated = degrees == 0
    ones = mx.ones_like(degrees)  # put in before the root, whose derivative at zero is infinite
    return mx.sqrt(mx.where(isolated, ones, degrees)), mx.where(isolated, mx.zeros_like(degrees), ones)


def _sum(x: mx.array, axis: int) -> mx.array:
    """Sums along an axis, held in what sparse arrays' are held in."""
    inner = _dtypes.accumulator(_dtypes.sum_dtype(x.dtype))
    return _dense.cast(mx.sum(_dense.cast(x, inner), axis), _dtypes.sum_dtype(x.dtype))


def _of_mlx(graph: mx.array, normed: bool, axis: int, symmetrized: bool) -> tuple[mx.array, mx.array]:
    m = graph + mx.conj(graph.T) if symmetrized else graph
    diagonal = mx.eye(m.shape[0], dtype=mx.bool_)
    m = mx.where(diagonal, mx.zeros(1, dtype=m.dtype), m)
    degrees = _sum(m, axis)
    if normed:
        degrees, ends = _scaled(degrees)
        m = m / degrees / degrees[:, None]
    else:
        ends = _dense.cast(degrees, m.dtype)
    return mx.where(diagonal, ends[:, None], -m), degrees


def _of_ndarray(graph: np.ndarray, normed: bool, axis: int, symmetrized: bool, copy: bool) -> tuple[Any, Any]:
    m = graph + graph.T.conj() if symmetrized else graph.copy() if copy else graph
    np.fill_diagonal(m, 0)
    degrees = m.sum(axis)
    if normed:
        degrees, ends = _scaled(degrees)
        m /= degrees
        m /= degrees[:, None]
    else:
        ends = degrees
    np.negative(m, out=m)
    np.fill_diagonal(m, ends)
    return m, degrees


# ---- as products ------------------------------------------------------------------------------------------------

Product = Callable[[Any], Any]


def _products(
    graph: Any, normed: bool, axis: int, symmetrized: bool, copy: bool
) -> tuple[tuple[Product, Product], Any]:
    """(v -> L v, v -> L^H v), and the diagonal."""
    adjoint: Any
    if isinstance(graph, np.ndarray):
        graph = graph.copy() if copy else graph
        total, second, own, adjoint = graph.sum(axis), graph.sum(1 - axis), graph.diagonal(), graph.T.conj()
    elif isinstance(graph, mx.array):
        graph = _dense.to_mlx(graph)
        total, second, own, adjoint = _sum(graph, axis), _sum(graph, 1 - axis), mx.diagonal(graph), mx.conj(graph.T)
    else:
        graph = graph.tocsr() if graph.format in ("lil", "dok") else kept(graph) if copy else graph
        total, second, own = graph._sum((axis,), None, None), graph._sum((1 - axis,), None, None), graph._diagonal(0)
        adjoint = graph.T.conj(copy=False)
    own = own if isinstance(own, np.ndarray) else _dense.cast(own, total.dtype)
    if symmetrized:
        conj = np.conj if isinstance(total, np.ndarray) else _values.conj
        total, own = total + conj(second), own + conj(own)
    degrees, scale = total - own, None
    if normed:
        degrees, _ = _scaled(degrees)
        scale = 1.0 / degrees

    def product(v: Any, parts: tuple[Any, ...], conjugate: bool) -> Any:
        weights, factor = (None if x is None else _beside(x, v, conjugate) for x in (total, scale))
        u = v if factor is None else factor * v
        made = weights * u
        for part in parts:
            made = made - _times(part, u)
        return made if factor is None else factor * made

    forward = (graph, adjoint) if symmetrized else (graph,)
    backward = (adjoint, graph) if symmetrized else (adjoint,)
    return (lambda v: product(v, forward, False), lambda v: product(v, backward, True)), degrees


def _times(part: Any, u: Any) -> Any:
    """part @ u, in the namespace of u."""
    if isinstance(part, mx.array) and not _dense.is_mlx(u):
        part = _dense.view(part)
    elif isinstance(part, np.ndarray) and _dense.is_mlx(u):
        part = _dense.to_mlx(part, u.dtype)
    return part @ u


def _beside(x: Any, v: Any, conjugate: bool) -> Any:
    """A diagonal as a factor of v, in its namespace."""
    if _dense.is_mlx(v):
        x = _dense.cast(_dense.to_mlx(x), v.dtype)
        x = mx.conj(x) if conjugate else x
    else:
        x = _dense.view(x) if _dense.is_mlx(x) else x
        x = x.conj() if conjugate else x
    return x if v.ndim == 1 else x[:, None]

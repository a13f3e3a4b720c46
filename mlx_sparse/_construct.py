"""Functions that build sparse arrays."""

from __future__ import annotations

import operator
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import as_sparse, issparse
from ._classes import container, from_scipy
from ._coo import coo_array
from ._kinds import as_matrix


def fromdense(array: Any, *, threshold: float = 0.0, dtype: Any = None, format: str = "csr") -> Any:
    """Sparse form of a dense array: the entries with ``abs(value) > threshold``. Synchronises.

    All elements of a traced array are stored, those that the threshold leaves out as zeros.

    Parameters
    ----------
    array : array_like
    threshold : float
        Non-negative.
    dtype : dtype, optional
    format : str

    Raises
    ------
    ValueError
        `threshold` is negative or `array` has another rank.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.fromdense([[0.0, 1e-9], [2.0, 0.0]], threshold=1e-6)
    >>> A.format, A.nnz
    ('csr', 1)
    """
    if threshold < 0:
        raise ValueError(f"threshold must not be negative; got {threshold}")
    if issparse(array):
        return as_sparse(array).asformat(format)
    x = _dense.as_dense(array)
    if threshold:
        library: Any = mx if _dense.is_mlx(x) else np
        x = library.where(library.abs(x) > threshold, x, library.zeros_like(x))
    return container(format)(x, dtype=dtype)


from_dense = fromdense
from_numpy = fromdense


def asarray(x: Any, *, dtype: Any = None, format: str | None = None) -> Any:
    """`x` as a sparse array: kept if it is one, converted from SciPy, or built from a dense array (csr).

    Examples
    --------
    >>> import scipy.sparse, mlx_sparse as sp
    >>> A = sp.asarray(scipy.sparse.coo_array([[0, 1]]))
    >>> A.format, sp.asarray(A) is A, sp.asarray([[0, 1]]).format
    ('coo', True, 'csr')
    """
    if not issparse(x):
        return fromdense(x, dtype=dtype, format=format or "csr")
    A = as_sparse(x).asformat(format)
    return A if dtype is None else A.astype(dtype, copy=False)


def todense(A: Any, *, stream: Any = None) -> Any:
    """Dense form of a sparse array; see the method of the same name.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.todense(sp.coo_array([[0, 1], [2, 0]]))
    array([[0, 1],
           [2, 0]], dtype=int64)
    """
    if not issparse(A):
        raise TypeError(f"todense takes a sparse array; got {type(A).__name__}")
    return as_sparse(A).todense(stream=stream)


def eye_array(
    m: int, n: int | None = None, *, k: int = 0, dtype: Any = float, format: str | None = None, stream: Any = None
) -> Any:
    """Array of shape (m, n) with ones on diagonal `k`, in dia format unless told otherwise.

    Raises
    ------
    ValueError
        A dimension that is negative or not whole, or a diagonal outside the array.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.eye_array(2, 3, k=1).toarray()
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    m, n, k = _count(m, "m"), _count(m if n is None else n, "n"), operator.index(k)
    dtype = _dtypes.mlx_dtype(dtype)
    count = min(m + k, n - k, m, n)
    if count < 0:
        raise ValueError(f"Offset {k} (index 0) out of bounds")
    index = _dtypes.index_dtype(maxval=max(m, n))
    if _is_dia(format):
        if k > 0 or count == 0:
            return diags_array([_dense.full(1, 1, dtype, stream)], offsets=[k], shape=(m, n), dtype=dtype)
        return container("dia")._from_parts(_dense.full((1, count), 1, dtype, stream), _dense.full(1, k, index), (m, n))
    if count == 0:
        return container(format or "csr")((m, n), dtype=dtype)
    _dense.expect((count,), mx.int64)
    compressed, whole = format in ("csr", "csc", None), m == n and k == 0
    if compressed and whole and not (stream is None and _dtypes.on_cpu()):
        first, pointers = (mx.arange(size, dtype=index, stream=stream) for size in (n, n + 1))
        ones = _dense.full(n, 1, dtype, stream)
        return container(format or "csr")._from_parts(ones, first, pointers, (n, n), canonical=True)
    if compressed and stream is None:
        cls, one = container(format or "csr"), _dense.full(1, 1, dtype)
        new = _compressed_diagonals(cls, [one], [k], [count], (m, n), dtype)
        if new is not None:
            return new
    first = mx.arange(count, dtype=index, stream=stream)
    coords = (first + max(-k, 0), first + max(k, 0))
    coo = coo_array._from_parts(_values.ones(count, dtype, stream), coords, (m, n), canonical=True)
    return coo.asformat(format or "csr")


def eye(m: int, n: int | None = None, k: int = 0, dtype: Any = float, format: str | None = None) -> Any:
    """Matrix of shape (m, n) with ones on diagonal `k`; `eye_array` makes arrays.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.eye(2, 3, k=1).toarray()
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    return as_matrix(eye_array(m, n, k=k, dtype=dtype, format=format))


def identity(n: int, dtype: Any = "d", format: str | None = None) -> Any:
    """Identity matrix of shape (n, n).

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.identity(2, dtype=int).toarray()
    array([[1, 0],
           [0, 1]])
    """
    return eye(n, n, dtype=dtype, format=format)


def _is_dia(format: str | None) -> bool:
    return format in (None, "dia")


def diags_array(
    diagonals: Any, /, *, offsets: Any = 0, shape: Any = None, format: str | None = None, dtype: Any = ...
) -> Any:
    """Array with the given diagonals. Lazy and differentiable in values given as `mx.array`.

    Parameters
    ----------
    diagonals : sequence of array_like
        One per offset: at least as long as the offset's diagonal (the rest is not used), or of length 1, which
        fills it. For a scalar offset, one flat sequence.
    offsets : int or sequence of int
        0 is the main diagonal, k > 0 above it.
    shape : tuple of int, optional
        Default: square, just large enough.
    format : str, optional
        Default dia. In other formats the zeros of diagonals given as NumPy arrays or lists are not stored.
    dtype : dtype, optional
        Default: what the diagonals promote to, but the default float dtype for integers; None keeps integers.

    Raises
    ------
    ValueError
        Numbers of diagonals and offsets differ, a diagonal is too short, or an offset repeats or lies outside `shape`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(3, 3)).toarray()
    array([[ 2., -1.,  0.],
           [-1.,  2., -1.],
           [ 0., -1.,  2.]])
    """
    if np.ndim(offsets) == 0:
        if len(diagonals) > 0 and np.ndim(diagonals[0]) > 0:
            raise ValueError("Different number of diagonals and offsets: one offset takes one flat diagonal")
        diagonals = [diagonals]
    offsets = [operator.index(k) for k in np.atleast_1d(offsets)]
    values: list[Any] = [_dense.as_dense(d) for d in diagonals]
    values = [d.reshape(1) if d.ndim == 0 else d for d in values]
    if len(values) != len(offsets):
        raise ValueError(f"Different number of diagonals and offsets: {len(values)} and {len(offsets)}")
    if len(set(offsets)) != len(offsets):
        raise ValueError(f"offset array contains duplicate values: {offsets}")
    if shape is None:
        n = len(values[0]) + abs(offsets[0])
        shape = (n, n)
    m, n = (_count(s, "shape") for s in shape)
    target = _diagonals_dtype(values, dtype)
    counts = [min(m + k, n - k, m, n) for k in offsets]
    if _is_dia(format):
        for j, k in enumerate(offsets):
            _check_diagonal(values[j], k, counts[j], j, (m, n))
        width = max((count + max(k, 0) for count, k in zip(counts, offsets, strict=True)), default=0)
        ready = target != mx.bfloat16 and all(_dense.numpy_is_quicker(v) if _dense.is_mlx(v) else True for v in values)
        dense = (_filled if ready else _stacked)(values, offsets, counts, width, target)
        index = _dtypes.index_dtype(maxval=max(m, n))
        held = _dense.to_index(np.array(offsets, _dtypes.numpy_dtype(index)), index, "offsets")
        return container("dia")._from_parts(dense, held, (m, n))
    if format in ("csr", "csc", None):
        new = _compressed_diagonals(container(format or "csr"), values, offsets, counts, (m, n), target)
        if new is not None:
            return new
    parts = [_diagonal(values[j], offsets[j], counts[j], j, (m, n), target) for j in np.argsort(offsets)]
    if not parts:
        return coo_array((m, n), dtype=target).asformat(format or "csr")
    # By ascending offset, so a stable compression leaves rows sorted; no position twice.
    data, rows, cols = (_values.concatenate(list(p)) for p in zip(*parts, strict=True))
    if format in ("csr", "csc", None):
        cls = container(format or "csr")
        major, minor = cls._swap((rows, cols))
        return cls._from_parts(*_native.coo_to_cs(data, major, minor, cls._swap((m, n))[0], None), (m, n))
    return coo_array._from_parts(data, (rows, cols), (m, n)).asformat(format)


def _compressed_diagonals(
    cls: Any, values: list[Any], offsets: list[int], counts: list[int], shape: tuple[int, int], dtype: mx.Dtype
) -> Any:
    """csr or csc form in one pass over evaluated diagonals; None where they are not, or have zeros to leave out."""
    for j, (v, k, count) in enumerate(zip(values, offsets, counts, strict=True)):
        _check_diagonal(v, k, count, j, shape)
        if not (_native.is_available(v) if _dense.is_mlx(v) else np.all(v if v.size == 1 else v[:count])):
            return None
    if not values:
        return None
    major, minor = cls._swap(shape)
    diagonals = [
        _dense.to_mlx(v if v.size == 1 else v[: max(c, 0)], dtype) for v, c in zip(values, counts, strict=True)
    ]
    steps = [cls._swap((k, -k))[0] for k in offsets]
    wide = _dtypes.index_dtype(maxval=max(shape)) == mx.int64
    return cls._from_parts(*_native.from_diagonals(diagonals, steps, major, minor, wide), shape, canonical=True)


def _stacked(values: list[Any], offsets: list[int], counts: list[int], width: int, dtype: mx.Dtype) -> mx.array:
    """Rows of the dia form: the entry in column c stands at position c. Lazy and differentiable."""
    rows = []
    _dense.expect((len(values), width), dtype)
    for v, k, count in zip(values, offsets, counts, strict=True):
        x = _dense.to_mlx(v, dtype)
        x = _values.broadcast_to(x, (count,)) if x.size == 1 else x[:count]
        rows.append(_values.pad(x, (max(k, 0), width - max(k, 0) - count)))
    return _values.stack(rows)


def _filled(values: list[Any], offsets: list[int], counts: list[int], width: int, dtype: mx.Dtype) -> mx.array:
    """`_stacked` of ndarrays and small arrays, written once into a buffer that nothing else sees yet."""
    data = _dense.uninitialized((len(values), width), dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for row, x, k, count in zip(_dense.view(data), values, offsets, counts, strict=True):
            v, first = _dense.view(x) if _dense.is_mlx(x) else x, max(k, 0)
            row[:first], row[first + count :] = 0, 0
            row[first : first + count] = v if v.size == 1 else v[:count]
    return data


def _diagonals_dtype(values: list[Any], dtype: Any) -> mx.Dtype:
    if dtype is not None and dtype is not ...:
        return _dtypes.mlx_dtype(dtype)
    if any(v.dtype == np.object_ for v in values if isinstance(v, np.ndarray)):
        raise TypeError("diagonals must be numeric; got dtype object")
    common = _dtypes.result_type(*(v.dtype for v in values))
    if dtype is None or not _dtypes.is_integral(common):
        return common
    if _dense.numpy_mode():
        warn(
            f"the diagonals are {_dtypes.numpy_dtype(common)}, but the output has been cast to the default float "
            "dtype, which SciPy is going to stop doing; dtype=None keeps theirs",
            FutureWarning,
            stacklevel=4,
        )
    return _dtypes.default_float()


def _diagonal(
    values: Any, k: int, count: int, j: int, shape: tuple[int, int], dtype: mx.Dtype
) -> tuple[mx.array, mx.array, mx.array]:
    """Entries of diagonal `k`, which takes the first `count` of `values`, or its only one `count` times."""
    _check_diagonal(values, k, count, j, shape)
    index = _dtypes.index_dtype(maxval=max(shape))
    if isinstance(values, np.ndarray):
        v = np.broadcast_to(values, (count,)) if values.size == 1 else values[:count]
        where = np.flatnonzero(v)
        if where.size < count:
            first = _dense.to_index(where, index, "diagonal")
            return _dense.to_mlx(v[where], dtype), first + max(-k, 0), first + max(k, 0)
    x = _dense.to_mlx(values, dtype)
    _dense.expect((count,), mx.int64)
    x = _values.broadcast_to(x, (count,)) if x.size == 1 else x[:count]
    first = mx.arange(count, dtype=index)
    return x, first + max(-k, 0), first + max(k, 0)


def _check_diagonal(values: Any, k: int, count: int, j: int, shape: tuple[int, int]) -> None:
    if count < 0:
        raise ValueError(f"Offset {k} (index {j}) out of bounds")
    if len(values) != 1 and len(values) < count:
        raise ValueError(
            f"Diagonal length (index {j}: {len(values)} at offset {k}) does not agree with array size {shape}."
        )


def diags(diagonals: Any, offsets: Any = 0, shape: Any = None, format: str | None = None, dtype: Any = ...) -> Any:
    """Matrix with the given diagonals; `diags_array` makes arrays and has the parameters.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.diags([[1.0, 2.0], 3.0], [0, 1]).toarray()
    array([[1., 3.],
           [0., 2.]])
    """
    return as_matrix(diags_array(diagonals, offsets=offsets, shape=shape, format=format, dtype=dtype))


def spdiags(data: Any, diags: Any, m: Any = None, n: Any = None, format: str | None = None) -> Any:
    """Matrix from diagonals stored as in the dia format.

    Parameters
    ----------
    data : array_like, shape (k, length)
        ``data[i, j]`` stands in column j of diagonal ``diags[i]``.
    diags : sequence of int, length k
    m, n : int, optional
        Shape; `m` may be the pair. Default: square, as large as a row of `data` is long.
    format : str, optional
        Default dia.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.spdiags([[1, 2, 3], [4, 5, 6]], [0, 1], 3, 3).toarray()
    array([[1, 5, 0],
           [0, 2, 6],
           [0, 0, 3]])
    """
    if m is None and n is None:
        m = n = len(data[0])
    elif n is None:
        m, n = m
    return as_matrix(container("dia")((data, diags), shape=(m, n)).asformat(format))


def _count(n: Any, name: str) -> int:
    value = int(n)
    if value != n or value < 0:
        raise ValueError(f"{name} must be a non-negative integer; got {n!r}")
    return value


__all__ = [
    "asarray",
    "diags",
    "diags_array",
    "eye",
    "eye_array",
    "from_dense",
    "from_numpy",
    "from_scipy",
    "fromdense",
    "identity",
    "spdiags",
    "todense",
]

"""Element-wise multiplication with broadcasting, shared by the compressed formats."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import _as_operand, as_sparse, issparse
from ._data import traced


def multiply(a: Any, other: Any) -> Any:
    """a * other for a csr or csc array `a`."""
    if _dense.is_scalar(other):
        return a._mul_scalar(other)
    if issparse(other):
        return _multiply_sparse(a, as_sparse(other))
    x = _as_operand(other)
    if x is NotImplemented:
        return NotImplemented
    if not _dense.is_mlx(x):
        x = _dense.to_mlx(x)
        a = a.astype(_dtypes.result_type(a._data.dtype, x.dtype), copy=False)
        x = _dense.cast(x, a._data.dtype)
    elif x.dtype != a._data.dtype:
        raise TypeError(
            f"the dense operand's dtype {x.dtype} differs from the sparse array's dtype {a._data.dtype}; "
            "cast one of them with astype"
        )
    shape = _broadcast_shape(a.shape, tuple(x.shape))
    if x.ndim > 2 or a.shape in ((1,), (1, 1)) and x.size != 1:
        return _dense.like(a._todense(None) * x, other)
    if 0 in shape and x.size != 1:
        return a._classes["coo"](shape, dtype=a._data.dtype)
    found = _multiply_dense(a, x)
    return found if found.shape == shape else found.reshape(shape)


def _multiply_sparse(a: Any, b: Any) -> Any:
    if a.shape == b.shape:
        return a._merge_sparse(b, "multiply")
    shape = _broadcast_shape(a.shape, b.shape)
    found = _multiply_2d(*(x if x.ndim == 2 else x.reshape((1, -1)).tocsr() for x in (a, b)))
    return found if found.shape == shape else found.reshape(shape)


def _multiply_2d(a: Any, b: Any) -> Any:
    (m, n), (p, q) = a.shape, b.shape
    if (p, q) == (1, 1):
        return _scaled(a, b) if traced(b._data) else a._mul_scalar(b.toarray()[0, 0])
    if (m, n) == (1, 1):
        # A sum as in SciPy: integers widen.
        return _scaled(b, a) if traced(a._data) else b._mul_scalar(a.toarray().sum())
    if m == 1 and q == 1:
        return b._matmul_sparse(a)
    if n == 1 and p == 1:
        return a._matmul_sparse(b)
    if (m, n) == (p, q):
        return a._merge_sparse(b, "multiply")
    large, vector = (a, b) if p == 1 or q == 1 else (b, a)
    D = _diagonal_of(vector, a._classes["coo"])
    if vector.shape[0] == 1:
        return (large if large.format != "coo" else large.tocsr())._matmul_sparse(D)
    return D._matmul_sparse(large)


def _broadcast_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ValueError(f"inconsistent shapes {a} and {b}") from None


def _flat(x: mx.array) -> mx.array:
    if x.ndim == 1:
        return x
    return _dense.to_mlx(_dense.view(x).ravel(), x.dtype) if _dense.numpy_is_quicker(x) else _values.reshape(x, (-1,))


def _times(data: mx.array, factor: mx.array) -> mx.array:
    if _dense.numpy_is_quicker(data, factor):
        return _dense.to_mlx(_dense.view(data) * _dense.view(factor), data.dtype)
    return data * factor


def _diagonal_of(vector: Any, coo: Any) -> Any:
    """diag(vector) in csr, without entries for its zeros; `coo` is the class that says of which kind."""
    axis = int(vector.shape[0] == 1)
    n, entries = vector.shape[axis], vector.tocoo(copy=False)
    D = coo._from_parts(entries._data, (entries._coords[axis],) * 2, (n, n)).tocsr()
    if not traced(D._data):
        D.eliminate_zeros()
    return D


def _scaled(a: Any, one: Any) -> Any:
    """`a` times the only element of `one`, in the graph."""
    dtype = _dtypes.result_type(a._data.dtype, one._data.dtype)
    return a.astype(dtype, copy=False)._mul_scalar(_dense.cast(_values.reshape(one._todense(None), ()), dtype))


def _multiply_dense(a: Any, x: mx.array) -> Any:
    """Sparse (coo) product with a dense array of rank <= 2. Lazy in the values."""
    if x.size == 1:
        return a._mul_scalar(_values.reshape(x, ()))
    coo = a.tocoo(copy=False)
    if a.ndim == 1 and coo.shape == x.shape:
        return coo._with_data(coo._data * _values.take(x, coo._coords[0]))
    x2 = x if x.ndim == 2 else _values.reshape(x, (1, -1))
    (m, n), (p, q) = a._shape_as_2d, (x2.shape[0], x2.shape[1])
    row, col = coo._row, coo._coords[-1]
    if (m, n) == (p, q) and a.ndim == 2:
        return coo._with_data(_times(coo._data, _native.sample(coo._structure, x2, None)))
    if m > 1 and (p, q) == (1, n) or n > 1 and (p, q) == (m, 1):  # one factor for each column or row
        factors = _dense.full(m if p == 1 else n, 1, x.dtype), _flat(x)
        u, v = factors if p == 1 else factors[::-1]
        return coo._with_data(_times(coo._data, _native.sddmm(coo._structure, u, v, None)))
    _dense.expect((max(p, q) * coo.nnz,), a._data.dtype)
    if m == 1 and q in (1, n):  # one sparse row against every row of x
        values = x2 * coo._data if q == 1 else _values.take(x2, col, axis=1) * coo._data
        rows = mx.repeat(mx.arange(p, dtype=row.dtype), coo.nnz)
        return coo._from_parts(_values.reshape(values, (-1,)), (rows, mx.tile(col, p)), (p, n))
    # one sparse column against every column of x
    values = coo._data[:, None] * (x2 if p == 1 else _values.take(x2, row, axis=0))
    cols = mx.tile(mx.arange(q, dtype=row.dtype), coo.nnz)
    return coo._from_parts(_values.reshape(values, (-1,)), (mx.repeat(row, q), cols), (m, q))

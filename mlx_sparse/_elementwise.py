"""Element-wise multiplication with broadcasting, shared by the compressed formats."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes
from ._base import _as_operand, as_sparse, issparse


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
        x = x.astype(a._data.dtype)
    elif x.dtype != a._data.dtype:
        raise TypeError(
            f"the dense operand's dtype {x.dtype} differs from the sparse array's dtype {a._data.dtype}; "
            "cast one of them with astype"
        )
    if x.ndim > 2:
        return _dense.like(a._todense(None) * x, other)
    return _multiply_dense(a, x)


def _multiply_sparse(a: Any, b: Any) -> Any:
    if a.shape == b.shape:
        return a._merge_sparse(b, "multiply")
    if b.shape in ((1, 1), (1,)):
        scaled = a._mul_scalar(b.toarray().ravel()[0])
        return scaled.reshape((1, a.shape[0])) if a.ndim == 1 and b.ndim == 2 else scaled
    if a.shape in ((1, 1), (1,)):
        return b._mul_scalar(_dense.view(mx.sum(a._entries())).item())
    (m, n), (p, q) = a._shape_as_2d, b._shape_as_2d
    if m == 1 and q == 1:
        return b.tocsr()._matmul_sparse(a.reshape((m, n)))
    if n == 1 and p == 1:
        return a._matmul_sparse(b.reshape((p, q)))
    if p == 1 and n == q:
        return _scale(a, b, "minor").reshape((m, n))
    if m == 1 and n == q:
        return _scale(b, a, "minor").reshape((p, q))
    if q == 1 and m == p:
        return _scale(a, b, "major")
    if n == 1 and m == p:
        return _scale(b, a, "major")
    raise ValueError(f"inconsistent shapes {a.shape} and {b.shape}")


def _scale(a: Any, vector: Any, side: str) -> Any:
    """a @ diag(vector) or diag(vector) @ a, stored entries at zeros of the vector dropped."""
    from ._construct import diags_array

    flat = vector.reshape((vector._shape_as_2d[0] * vector._shape_as_2d[1],)).toarray()
    D = diags_array(flat, offsets=0, format="csr", dtype=flat.dtype)
    A = a.tocsr()
    if A.ndim == 1:
        A = A.reshape((1, A.shape[0]))
    return A._matmul_sparse(D) if side == "minor" else D._matmul_sparse(A)


def _multiply_dense(a: Any, x: mx.array) -> Any:
    """Sparse (coo) product with a dense array of rank <= 2. Lazy in the values."""
    from ._coo import coo_array

    if x.size == 1:
        scaled = a._mul_scalar(mx.reshape(x, ()))
        shape = np.broadcast_shapes(a.shape, x.shape)
        return scaled if shape == a.shape else scaled.reshape(shape)
    coo = a.tocoo(copy=False)
    if coo.shape == x.shape:
        if a.ndim == 1:
            return coo._with_data(coo._data * mx.take(x, coo._coords[0]))
        row, col = coo._coords
        flat = row.astype(mx.int64) * x.shape[1] + col
        return coo._with_data(coo._data * mx.take(mx.reshape(x, (-1,)), flat))
    x2 = x if x.ndim == 2 else mx.reshape(x, (1, -1))
    (m, n), (p, q) = a._shape_as_2d, (x2.shape[0], x2.shape[1])
    row, col = coo._row, coo._coords[-1]
    if p == 1 and q == n and m > 1:
        return coo._with_data(coo._data * mx.take(x2[0], col))
    if q == 1 and p == m and n > 1:
        return coo._with_data(coo._data * mx.take(x2[:, 0], row))
    if m == 1 and q in (1, n):  # one sparse row against every row of x
        values = x2 * coo._data if q == 1 else mx.take(x2, col, axis=1) * coo._data
        rows = mx.repeat(mx.arange(p, dtype=row.dtype), coo.nnz)
        return coo_array._from_parts(mx.reshape(values, (-1,)), (rows, mx.tile(col, p)), (p, n))
    if n == 1 and p in (1, m):  # one sparse column against every column of x
        values = coo._data[:, None] * (x2 if p == 1 else mx.take(x2, row, axis=0))
        cols = mx.tile(mx.arange(q, dtype=row.dtype), coo.nnz)
        return coo_array._from_parts(mx.reshape(values, (-1,)), (mx.repeat(row, q), cols), (m, q))
    if coo.shape == (1, 1) or coo.shape == (1,):
        return _dense.out(mx.sum(coo._data) * x)
    raise ValueError(f"inconsistent shapes {a.shape} and {tuple(x.shape)}")

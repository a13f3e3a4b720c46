"""Function forms of the products and reductions, one set per format: ``csr_matvec(A, x)``, ``coo_row_sums(A)``, ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from . import _dense, _values
from ._base import _spbase
from ._coo import coo_array
from ._csc import csc_array
from ._csr import csr_array

__all__ = ["add", "subtract"]


def add(A: Any, B: Any) -> Any:
    """A + B.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.add(A, A).toarray()
    array([[6, 0],
           [8, 2]])
    """
    return A + B


def subtract(A: Any, B: Any) -> Any:
    """A - B.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.subtract(A, A).toarray()
    array([[0, 0],
           [0, 0]])
    """
    return A - B


def _matvec(A: Any, x: Any) -> Any:
    """A @ x for a csr_array `A` and a vector `x` of shape (n,).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_matvec(A, np.array([1, 2]))
    array([3, 6])
    """
    _rank(x, 1, 1)
    return A @ x


def _matmul(A: Any, X: Any) -> Any:
    """A @ X for a csr_array `A` and `X` of shape (..., n, k).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_matmul(A, np.array([[1, 0], [2, 1]]))
    array([[3, 0],
           [6, 1]])
    """
    _rank(X, 2, 64)
    return A @ X


def _matmat(A: Any, B: Any) -> Any:
    """A @ B for two csr_array, as a csr_array.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_matmat(A, A).toarray()
    array([[ 9,  0],
           [16,  1]])
    """
    if not isinstance(B, type(A)):
        raise TypeError(f"expected a {type(A).__name__}; got {type(B).__name__}")
    return (A @ B).asformat(A.format)


def _batched_matvec(A: Any, X: Any) -> Any:
    """A @ x for a csr_array `A` and every vector x of `X`, shape (..., n) -> (..., m).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_batched_matvec(A, np.array([[1, 2], [0, 1], [1, 0]]))
    array([[3, 6],
           [0, 1],
           [3, 4]])
    """
    X = _dense.as_dense(X)
    _rank(X, 1, 64)
    y = A @ X[..., None] if X.ndim > 1 else A @ X
    return y[..., 0] if X.ndim > 1 else y


def _batched_matmul(A: Any, X: Any) -> Any:
    """A @ X for a csr_array `A` and every matrix of `X`, shape (..., n, k) -> (..., m, k).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_batched_matmul(A, np.ones((5, 2, 3))).shape
    (5, 2, 3)
    """
    _rank(X, 3, 64)
    return A @ X


def _row_sums(A: Any) -> Any:
    """Sum of every row of a csr_array `A`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_row_sums(A)
    array([3, 5], dtype=int64)
    """
    return A.sum(axis=1)


def _col_sums(A: Any) -> Any:
    """Sum of every column of a csr_array `A`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_col_sums(A)
    array([7, 1], dtype=int64)
    """
    return A.sum(axis=0)


def _norms(A: Any, axis: int) -> Any:
    cs = A.tocsr()._canonical()
    magnitude = _values.abs(cs._data)
    return _dense.in_namespace(mx.sqrt(cs._axis_sum(mx.square(magnitude), axis, None)))


def _row_norms(A: Any) -> Any:
    """Euclidean norm of every row of a csr_array `A`; duplicates count as their sum.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3.0, 4.0], [0.0, 1.0]])
    >>> sp.csr_row_norms(A)
    array([5, 1], dtype=float64)
    """
    return _norms(A, 1)


def _col_norms(A: Any) -> Any:
    """Euclidean norm of every column of a csr_array `A`; duplicates count as their sum.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3.0, 0.0], [4.0, 1.0]])
    >>> sp.csr_col_norms(A)
    array([5, 1], dtype=float64)
    """
    return _norms(A, 0)


def _diagonal(A: Any) -> Any:
    """Main diagonal of a csr_array `A`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_diagonal(A)
    array([3, 1], dtype=int64)
    """
    return A.diagonal()


def _trace(A: Any) -> Any:
    """Sum of the main diagonal of a csr_array `A`.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_trace(A)
    array(4, dtype=int64)
    """
    return A.trace()


def _matvec_transpose(A: Any, y: Any) -> Any:
    """A.T @ y for a csr_array `A` and a vector `y` of shape (m,).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[3, 0], [4, 1]])
    >>> sp.csr_matvec_transpose(A, np.array([1, 2]))
    array([11,  2])
    """
    _rank(y, 1, 1)
    return A.T @ y


def _rank(x: Any, low: int, high: int) -> None:
    nd = _dense.as_dense(x).ndim
    if not low <= nd <= high:
        raise ValueError(f"the dense operand must have rank {low}{'' if low == high else ' or more'}; got {nd}")


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "matvec": _matvec,
    "matvec_transpose": _matvec_transpose,
    "matmul": _matmul,
    "matmat": _matmat,
    "batched_matvec": _batched_matvec,
    "batched_matmul": _batched_matmul,
    "row_sums": _row_sums,
    "col_sums": _col_sums,
    "column_sums": _col_sums,
    "row_norms": _row_norms,
    "col_norms": _col_norms,
    "column_norms": _col_norms,
    "diagonal": _diagonal,
    "trace": _trace,
}


def _bind(cls: type[_spbase], operation: Callable[..., Any], name: str) -> Callable[..., Any]:
    def function(A: Any, *operands: Any) -> Any:
        if not isinstance(A, cls):
            raise TypeError(f"{name} takes a {cls.__name__}; got {type(A).__name__}")
        return operation(A, *operands)

    function.__name__ = function.__qualname__ = name
    text = operation.__doc__ or ""  # written for csr
    function.__doc__ = text.replace(f"csr{operation.__name__}", name).replace("csr_array", cls.__name__)
    return function


for _cls in (coo_array, csr_array, csc_array):
    for _suffix, _operation in _OPERATIONS.items():
        _name = f"{_cls._format}_{_suffix}"
        globals()[_name] = _bind(_cls, _operation, _name)
        __all__.append(_name)

"""Compressed sparse row arrays: the major axis is the rows."""

from __future__ import annotations

from typing import Any

from . import _dense, _native
from ._base import sparray
from ._compressed import _cs_array


class _csr_base(_cs_array):
    """Compressed Sparse Row array, 1-D or 2-D.

    Parameters
    ----------
    arg1 : array_like, sparse array or tuple
        A dense array; a sparse array of this package or of SciPy; ``(data, (row, col))`` coordinates, duplicates
        summed; ``(data, indices, indptr)`` buffers, column indices of row i at ``indices[indptr[i]:indptr[i + 1]]``;
        or a shape ``(m, n)`` or ``(n,)`` for an empty array.
    shape : tuple of int, optional
        Inferred from the indices when absent.
    dtype : dtype, optional
        Of the values.
    copy : bool
        Copy a sparse `arg1`'s buffers. Other inputs are always copied.
    maxprint : int, optional
        Most entries shown by ``print``.
    validate : {True, False, "metadata", "full"}
        For ``(data, indices, indptr)``: True and "full" read the index buffers and check bounds and order; False and
        "metadata" check lengths and dtypes only.

    Raises
    ------
    ValueError
        Lengths that do not agree, an index outside the shape, an `indptr` that does not start at 0 or decreases.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    >>> A @ np.array([1.0, 1.0, 1.0])
    array([3., 3.])

    Differences from SciPy
    ----------------------
    `data`, `indices` and `indptr` are `mx.array` unless ``runtime.dense_namespace`` is "numpy". Index bounds are
    checked at construction.
    """

    _format = "csr"
    _allow_nd: tuple[int, ...] = (1, 2)
    _matmul_kind, _rmatmul_kind = _native.ProductKind.matmul, _native.ProductKind.rmatmul

    @staticmethod
    def _swap(x: tuple) -> tuple:
        return x

    def _other(self) -> Any:
        return self._classes["csc"]

    def tocoo(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Coordinate form. Entries keep their order, and lazy values stay lazy."""
        coo = super().tocoo(copy=copy, stream=stream)
        if _dense.numpy_mode():
            coo.has_canonical_format = self.has_canonical_format
        return coo

    def tocsr(self, copy: bool = False, *, stream: Any = None) -> Any:
        """This array (a copy if `copy`)."""
        return self.copy() if copy else self

    def tocsc(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse column form. Indices come out sorted. Evaluates lazy values, unless traced."""
        if self.ndim == 1:
            raise ValueError("Cannot convert a 1d sparse array to csc format")
        return self._other()._from_parts(*self._flip(stream), self.shape, True, self._canonical_format)


class csr_array(_csr_base, sparray):
    __doc__ = _csr_base.__doc__

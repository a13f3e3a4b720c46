"""Compressed sparse column arrays: the major axis is the columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _dense, _native
from ._base import sparray
from ._compressed import _cs_array


class _csc_base(_cs_array):
    """Compressed Sparse Column array, 2-D.

    Parameters are those of `csr_array`; with ``(data, indices, indptr)`` the row indices of column j stand at
    ``indices[indptr[j]:indptr[j + 1]]``.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    >>> A.T @ np.array([1.0, 1.0])
    array([1., 3., 2.])

    Differences from SciPy
    ----------------------
    As for `csr_array`.
    """

    _format = "csc"
    _allow_nd: tuple[int, ...] = (2,)
    _matmul_kind, _rmatmul_kind = _native.ProductKind.rmatmul, _native.ProductKind.matmul

    @staticmethod
    def _swap(x: tuple) -> tuple:
        return x[::-1]

    def _other(self) -> Any:
        return self._classes["csr"]

    def nonzero(self) -> tuple[Any, ...]:
        """Coordinates of the entries whose value is not zero, by ascending row."""
        row, col = (_dense.view(c) for c in self.tocoo(copy=False)._coords)
        keep = np.flatnonzero(_dense.view(self._entries()))
        keep = keep[np.argsort(row[keep], kind="stable")]
        return tuple(_dense.in_namespace(_dense.to_mlx(c[keep])) for c in (row, col))

    def tocoo(self, copy: bool = True, *, stream: Any = None) -> Any:
        """Coordinate form. Entries keep their order, and lazy values stay lazy."""
        coo = super().tocoo(copy=copy, stream=stream)
        if _dense.numpy_mode():  # by column, which its sum_duplicates is to mend
            coo.has_canonical_format = False
        return coo

    def tocsc(self, copy: bool = False, *, stream: Any = None) -> Any:
        """This array (a copy if `copy`)."""
        return self.copy() if copy else self

    def tocsr(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse row form. Indices come out sorted. Evaluates lazy values, unless traced."""
        return self._other()._from_parts(*self._flip(stream), self.shape, True, self._canonical_format)


class csc_array(_csc_base, sparray):
    __doc__ = _csc_base.__doc__

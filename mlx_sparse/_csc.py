"""Compressed sparse column arrays: the major axis is the columns."""

from __future__ import annotations

from typing import Any

from ._compressed import _cs_array


class csc_array(_cs_array):
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
    _allow_nd = (2,)
    _matmul_kind, _rmatmul_kind = 1, 0

    @staticmethod
    def _swap(x: tuple) -> tuple:
        return x[::-1]

    @staticmethod
    def _other() -> Any:
        from ._csr import csr_array

        return csr_array

    def tocsc(self, copy: bool = False, *, stream: Any = None) -> Any:
        """This array (a copy if `copy`)."""
        return self.copy() if copy else self

    def tocsr(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse row form. Lazy; indices come out sorted."""
        return self._other()._from_parts(*self._flip(stream), self.shape, True, self._canonical_format)

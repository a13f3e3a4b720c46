"""What SuperLU is given, and its solves with the factored matrix, its transpose and its adjoint."""

from __future__ import annotations

from typing import Any
from warnings import warn

import numpy as np
import scipy.sparse as _scipy_sparse

from ... import _dense
from ..._base import SparseEfficiencyWarning, _spbase, as_sparse, issparse
from ..._csc import csc_array

# What a solve solves with: A, A^T, A^H, or the conjugate of A; and which of these is the adjoint of each.
ADJOINT = {"N": "H", "H": "N", "T": "C", "C": "T"}


def lu_solve(lu: Any, b: np.ndarray, form: str) -> np.ndarray:
    """The solution of ``A x = b``, or with another `form` of A, by the factors `lu` of A."""
    b = np.ascontiguousarray(b)
    return lu.solve(b.conj(), "N").conj() if form == "C" else lu.solve(b, form)


def as_columns(A: Any, caller: str) -> Any:
    """`A` as a csc array; anything else is converted with a `SparseEfficiencyWarning`."""
    if not (issparse(A) and A.format == "csc"):
        warn(f"{caller} converted its input to CSC format", SparseEfficiencyWarning, stacklevel=3)
        A = as_sparse(A).tocsc() if issparse(A) else csc_array(A)
    return A


class Parts:
    """A canonical csr or csc array by its buffers, with the members of SciPy's that factorisations read.

    SciPy's own class takes longer to make than a small system to solve.
    """

    __slots__ = ("data", "dtype", "format", "indices", "indptr", "shape")

    def __init__(self, A: Any, dtype: Any = None) -> None:
        if isinstance(A, _spbase):
            cs: Any = A
            cs = cs._canonical()
            data, indices, indptr = (_dense.view(x) for x in (cs._entries(), cs._indices, cs._indptr))
            indices = indices[: data.size]
        else:
            if not A.has_canonical_format:
                A = A.copy()
                A.sum_duplicates()
            data, indices, indptr = A.data, A.indices, A.indptr
        self.data = data if dtype is None else data.astype(dtype, copy=False)
        self.indices, self.indptr, self.dtype = indices, indptr, self.data.dtype
        self.shape, self.format = tuple(A.shape), A.format

    @property
    def nnz(self) -> int:
        return self.data.size

    def diagonal(self) -> np.ndarray:
        major, minor = self.major(), self.indices
        here = major == minor
        d = np.zeros(self.shape[0], self.dtype)
        d[minor[here]] = self.data[here]
        return d

    def major(self) -> np.ndarray:
        """The row of each entry of a csr array, the column of each of a csc one."""
        return np.repeat(np.arange(self.indptr.size - 1, dtype=self.indices.dtype), np.diff(self.indptr))

    def scipy(self, format: str | None = None) -> Any:
        """SciPy's array over these buffers; in the other `format` its transpose."""
        kind = getattr(_scipy_sparse, f"{format or self.format}_array")
        host = kind.__new__(kind)  # its constructor would take a tenth of a small factorisation to check what is known
        host.data, host.indices, host.indptr = self.data, self.indices, self.indptr
        host._shape = self.shape if format in (None, self.format) else self.shape[::-1]
        host.maxprint = 50
        host.has_canonical_format = True  # spares SciPy the search, and these buffers its in-place methods
        return host


def host_form(A: Any, dtype: Any = None) -> Any:
    """SciPy's form of a csr or csc array, canonical, of `dtype`. It shares what buffers it can."""
    return Parts(A, dtype).scipy()

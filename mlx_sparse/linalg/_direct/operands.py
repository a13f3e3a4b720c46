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


def host_form(A: Any, dtype: Any = None) -> Any:
    """SciPy's form of a csr or csc array, canonical, of `dtype`. It shares what buffers it can."""
    if isinstance(A, _spbase):
        cs: Any = A
        cs = cs._canonical()
        data, indices, indptr = (_dense.view(x) for x in (cs._entries(), cs._indices, cs._indptr))
        parts = data, indices[: data.size], indptr
    else:
        if not A.has_canonical_format:
            A = A.copy()
            A.sum_duplicates()
        parts = A.data, A.indices, A.indptr
    data = parts[0].astype(parts[0].dtype if dtype is None else dtype, copy=False)
    host = getattr(_scipy_sparse, f"{A.format}_array")((data, *parts[1:]), shape=A.shape, copy=False)
    host.has_canonical_format = True  # spares SciPy the search, and these buffers its in-place methods
    return host

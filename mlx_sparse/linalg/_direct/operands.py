"""What SuperLU is given: host forms of sparse arrays and of right-hand sides."""

from __future__ import annotations

from typing import Any
from warnings import warn

import numpy as np
import scipy.sparse as _scipy_sparse

from ... import _dense, _dtypes
from ..._base import SparseEfficiencyWarning, _spbase, as_sparse, issparse
from ..._csc import csc_array


def host_dtype(A: Any) -> np.dtype:
    return _dtypes.numpy_dtype(A._data.dtype) if isinstance(A, _spbase) else A.dtype


def float_dtype(dtype: np.dtype) -> np.dtype:
    """The first of SuperLU's dtypes that holds `dtype`."""
    return next(np.dtype(c) for c in "fdFD" if np.can_cast(dtype, c))


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


def check_dtype(b: Any, *accepted: Any) -> None:
    """Refuse an `mx.array` right-hand side whose dtype is none of `accepted`, the first of which is that of A."""
    if b.dtype not in accepted:
        raise TypeError(
            f"the dtype of b, {b.dtype}, differs from the dtype of A, {accepted[0]}; cast one of them with astype"
        )

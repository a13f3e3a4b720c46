"""Functions that take parts out of a sparse array: triangles, the non-zero entries, index arrays."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _scipy_release, _values
from ._base import as_sparse, issparse
from ._coo import coo_array
from ._kinds import array_if, as_array, is_array

__all__ = ["find", "safely_cast_index_arrays", "tril", "triu"]


def tril(A: Any, k: int = 0, format: str | None = None) -> Any:
    """Entries on and below diagonal `k`, in `format` (default coo). Reads the structure (synchronises).

    An array for a sparse array, else a matrix.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.tril(sp.csr_array([[1, 2], [3, 4]])).toarray()
    array([[1, 0],
           [3, 4]])
    """
    return _part(A, None, k, format)


def triu(A: Any, k: int = 0, format: str | None = None) -> Any:
    """Entries on and above diagonal `k`, in `format` (default coo). Reads the structure (synchronises).

    An array for a sparse array, else a matrix.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.triu(sp.csr_array([[1, 2], [3, 4]]), k=1).toarray()
    array([[0, 2],
           [0, 0]])
    """
    return _part(A, k, None, format)


def _part(A: Any, low: int | None, high: int | None, format: str | None) -> Any:
    """Entries with low <= column - row <= high."""
    array = is_array(A)
    _scipy_release.warn_of_matrix("triu" if high is None else "tril", A)
    S: Any = as_array(as_sparse(A)) if issparse(A) else coo_array(A if array else _two_d(A))
    if S.format in ("csr", "csc") and S.ndim == 2 and _native.is_available(S._data):
        most = max(S.shape)
        first, last = (-most if low is None else low), (most if high is None else high)
        if S.format == "csc":
            first, last = -last, -first
        first, last = (max(-most, min(most, int(x))) for x in (first, last))
        parts = _native.band(S._trio, first, last, S._minor)
        new = S._from_parts(*parts, S.shape, S._sorted, S._canonical_format)
        return array_if(array, new.tocoo(copy=False) if format is None else new._canonical().asformat(format))
    coo = S.tocoo(copy=False)
    row, col = (_dense.view(c) for c in (coo._row, coo._coords[-1]))
    keep = row + high >= col if low is None else row + low <= col
    where = _dense.to_mlx(np.flatnonzero(keep))
    coords = tuple(mx.take(c, where) for c in coo._coords)
    new = coo_array._from_parts(_values.take(coo._data, where), coords, coo.shape, coo.has_canonical_format)
    return array_if(array, new.asformat(format))


def _two_d(A: Any) -> Any:
    return _dense.at_least_2d(A)


def find(A: Any) -> tuple[Any, Any, Any]:
    """Rows, columns and values of the non-zero entries, duplicates summed.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> rows, columns, values = sp.find(sp.coo_array(([1, 2, 0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2)))
    >>> rows.tolist(), columns.tolist(), values.tolist()
    ([0], [1], [3])
    """
    order = issparse(A) and A.format == "dok"  # whose coordinate form is canonical in name, but not in order
    A = coo_array(A, copy=True)
    A.has_canonical_format = A.has_canonical_format and not order
    A.sum_duplicates()
    A.eliminate_zeros()
    return A.row, A.col, A.data


def safely_cast_index_arrays(A: Any, idx_dtype: Any = np.int32, msg: str = "") -> Any:
    """Index arrays of `A` as `idx_dtype`: (indices, indptr), the coordinates, or the offsets.

    Parameters
    ----------
    A : sparse array in csr, csc, bsr, coo or dia format
    idx_dtype : NumPy integer dtype
    msg : str
        What the error names in place of the dtype.

    Raises
    ------
    ValueError
        A value does not fit.
    TypeError
        `A`'s format has no index arrays.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> row, col = sp.safely_cast_index_arrays(sp.coo_array([[0, 1]]), np.int64)
    """
    A = as_sparse(A)
    host = _dtypes.numpy_dtype(idx_dtype)
    limit = np.iinfo(host).max
    block = A.blocksize if A.format == "bsr" else (1, 1)

    def cast(name: str, x: Any, scale: int, look: bool) -> Any:
        v = _dense.view(x) if _dense.is_mlx(x) else np.asarray(x)
        if look and v.size and int(v.max()) * scale > limit:
            raise ValueError(f"{name} values too large for {msg or f'dtype {idx_dtype}'}")
        return x if v.dtype == host else _dense.in_namespace(_dense.to_mlx(v.astype(host), _dtypes.mlx_dtype(host)))

    long = max(A.shape) > limit
    if A.format in ("csr", "csc", "bsr"):
        return cast("indices", A.indices, block[1], long), cast("indptr", A.indptr, block[0], True)
    if A.format == "coo":
        return tuple(cast("coords", c, 1, long) for c in A.coords)
    if A.format == "dia":
        return cast("offsets", A.offsets, 1, long)
    raise TypeError(
        f"Format {A.format} is not associated with index arrays. DOK and LIL have dict and list, not array."
    )

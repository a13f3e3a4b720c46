"""Index dtypes, casts of index arrays, and which results are arrays and which matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as _scipy_sparse

from . import _dense, _dtypes
from ._base import as_sparse, issparse, sparray
from ._matrix import as_matrix, of_kind, spmatrix

_FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")


def get_index_dtype(arrays: Any = (), maxval: Any = None, check_contents: bool = False) -> Any:
    """NumPy dtype that index arrays need: int32, or int64 when an array or `maxval` asks for it.

    Parameters
    ----------
    arrays : array or sequence of arrays
        Those whose dtype int32 cannot hold ask for int64.
    maxval : number, optional
        Largest value to be held.
    check_contents : bool
        Ask the values of wide integer arrays instead of their dtype.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> sp.get_index_dtype(np.zeros(3, np.int64))
    <class 'numpy.int64'>
    """
    narrow = np.iinfo(np.int32)
    if maxval is not None and np.int64(maxval) > narrow.max:
        return np.int64
    for x in (arrays,) if _dense.is_dense(arrays) else arrays:
        a = _dense.view(x) if _dense.is_mlx(x) else np.asarray(x)
        if np.can_cast(a.dtype, np.int32):
            continue
        fits = check_contents and (
            a.size == 0 or (a.dtype.kind in "iu" and a.min() >= narrow.min and a.max() <= narrow.max)
        )
        if not fits:
            return np.int64
    return np.int32


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


# ---- arrays and matrices ----------------------------------------------------------------------------------------


def isspmatrix(x: Any) -> bool:
    """True for a sparse matrix, of this package or of SciPy; False for a sparse array."""
    return isinstance(x, (spmatrix, _scipy_sparse.spmatrix))


def is_array(x: Any) -> bool:
    """True for a sparse array: what makes a result an array where SciPy has both."""
    return issparse(x) and not isspmatrix(x)


def array_if(array: bool, A: Any) -> Any:
    """`A` itself if the result is to be an array, else the matrix."""
    return A if array else as_matrix(A)


def as_array(x: Any) -> Any:
    """`x` as an array over the same buffers, whatever of the two it is."""
    return of_kind(x, sparray) if isinstance(x, spmatrix) else x


def _add_check(format: str) -> None:
    def check(x: Any) -> bool:
        return isspmatrix(x) and x.format == format

    check.__name__ = check.__qualname__ = f"isspmatrix_{format}"
    check.__doc__ = f"True for a sparse matrix (not array) in {format} format."
    globals()[check.__name__] = check


for _format in _FORMATS:
    _add_check(_format)

__all__ = [
    "get_index_dtype",
    "isspmatrix",
    *(f"isspmatrix_{f}" for f in _FORMATS),
    "safely_cast_index_arrays",
]

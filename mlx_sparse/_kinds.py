"""Which results are arrays and which matrices."""

from __future__ import annotations

from typing import Any

import scipy.sparse as _scipy_sparse

from ._base import issparse, sparray
from ._matrix import as_matrix, of_kind, spmatrix

_FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")


def isspmatrix(x: Any) -> bool:
    """True for a sparse matrix, of this package or of SciPy; False for a sparse array.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.isspmatrix(sp.csr_matrix((2, 2))), sp.isspmatrix(sp.csr_array((2, 2)))
    (True, False)
    """
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
    check.__doc__ = f"""True for a sparse matrix (not array) in {format} format.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.isspmatrix_{format}(sp.{format}_matrix((2, 2))), sp.isspmatrix_{format}(sp.{format}_array((2, 2)))
    (True, False)
    """
    globals()[check.__name__] = check


for _format in _FORMATS:
    _add_check(_format)

__all__ = [
    "isspmatrix",
    *(f"isspmatrix_{f}" for f in _FORMATS),
]

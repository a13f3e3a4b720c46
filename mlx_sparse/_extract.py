"""Functions that pick entries out of a sparse array."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _native
from ._base import as_sparse, issparse
from ._coo import coo_array
from ._kinds import array_if, as_array, is_array

__all__ = ["find", "tril", "triu"]


def tril(A: Any, k: int = 0, format: str | None = None) -> Any:
    """Entries on and below diagonal `k`, in `format` (default coo). Reads the structure (synchronises).

    An array for a sparse array, else a matrix.
    """
    return _part(A, None, k, format)


def triu(A: Any, k: int = 0, format: str | None = None) -> Any:
    """Entries on and above diagonal `k`, in `format` (default coo). Reads the structure (synchronises).

    An array for a sparse array, else a matrix.
    """
    return _part(A, k, None, format)


def _part(A: Any, low: int | None, high: int | None, format: str | None) -> Any:
    """Entries with low <= column - row <= high."""
    array = is_array(A)
    S: Any = as_array(as_sparse(A)) if issparse(A) else coo_array(A if array else _two_d(A))
    if S.format in ("csr", "csc") and S.ndim == 2 and _native.is_available(S._data):
        if S._assigned:
            S.prune()
        most = max(S.shape)
        first, last = (-most if low is None else low), (most if high is None else high)
        if S.format == "csc":
            first, last = -last, -first
        first, last = (max(-most, min(most, int(x))) for x in (first, last))
        parts = _native.band(S._trio, first, last, S._minor)
        new = S._from_parts(*parts, S.shape, S._sorted, S._canonical_format)
        return array_if(array, (new if format is None else new._canonical()).asformat(format or "coo"))
    coo = S.tocoo(copy=False)
    row, col = (_dense.view(c) for c in (coo._row, coo._coords[-1]))
    keep = row + high >= col if low is None else row + low <= col
    where = mx.array(np.flatnonzero(keep))
    coords = tuple(mx.take(c, where) for c in coo._coords)
    new = coo_array._from_parts(mx.take(coo._data, where), coords, coo.shape, coo.has_canonical_format)
    return array_if(array, new.asformat(format))


def _two_d(A: Any) -> Any:
    return A if _dense.is_mlx(A) and A.ndim > 1 else np.atleast_2d(A)


def find(A: Any) -> tuple[Any, Any, Any]:
    """Rows, columns and values of the non-zero entries, duplicates summed."""
    A = coo_array(A, copy=True)
    A.sum_duplicates()
    A.eliminate_zeros()
    return _dense.in_namespace(A._row), _dense.in_namespace(A._coords[-1]), _dense.in_namespace(A._data)

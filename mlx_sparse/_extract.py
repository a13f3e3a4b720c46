"""Functions that pick entries out of a sparse array."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense
from ._base import as_sparse, issparse
from ._coo import coo_array

__all__ = ["find", "tril", "triu"]


def _as_coo(A: Any) -> Any:
    return as_sparse(A).tocoo(copy=False) if issparse(A) else coo_array(A)


def _masked(A: Any, keep: np.ndarray, format: str | None) -> Any:
    where = mx.array(np.flatnonzero(keep))
    coords = tuple(mx.take(c, where) for c in A._coords)
    new = coo_array._from_parts(mx.take(A._data, where), coords, A.shape, A.has_canonical_format)
    return new.asformat(format)


def tril(A: Any, k: int = 0, format: str | None = None) -> Any:
    """Entries on and below diagonal `k`, in `format` (default coo). Reads the structure (synchronises)."""
    A = _as_coo(A)
    row, col = (_dense.view(c) for c in A._coords)
    return _masked(A, row + k >= col, format)


def triu(A: Any, k: int = 0, format: str | None = None) -> Any:
    """Entries on and above diagonal `k`, in `format` (default coo). Reads the structure (synchronises)."""
    A = _as_coo(A)
    row, col = (_dense.view(c) for c in A._coords)
    return _masked(A, row + k <= col, format)


def find(A: Any) -> tuple[Any, Any, Any]:
    """Rows, columns and values of the non-zero entries, duplicates summed."""
    A = coo_array(A, copy=True)
    A.sum_duplicates()
    A.eliminate_zeros()
    return _dense.out(A._row), _dense.out(A._coords[-1]), _dense.out(A._data)

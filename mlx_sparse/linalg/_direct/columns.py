"""Solutions for sparse right-hand sides, found some columns at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _dense, _dtypes
from ..._csc import csc_array
from .methods import Solve

_BLOCK = 32  # columns that are dense at a time, and of a sample


def solved_columns(b: Any, solve: Solve, dtype: np.dtype, copies: int = 1) -> csc_array:
    """A^-1 b for a csc array `b` of SciPy's with values of `dtype`.

    Nobody knows how sparse it is. Where there is no memory for a full one, columns that are evenly spread tell how much
    there is to expect, before all of them are solved for.

    Parameters
    ----------
    copies : int
        How often what is found must fit into memory at once.

    Raises
    ------
    MemoryError
        There is no memory for so many entries.
    """
    n, k = b.shape
    entry = copies * (dtype.itemsize + (4 if n * k <= _dtypes.INT32_MAX else 8))
    try:
        _dense.expect_on_host(n * k * entry)
    except MemoryError:
        found = np.count_nonzero(solve(b[:, np.linspace(0, k - 1, _BLOCK).astype(int)].toarray()), axis=0)
        likely = found.mean() - 2 * found.std() / math.sqrt(_BLOCK)  # by two standard errors less than it seems
        _dense.expect_on_host(math.ceil(max(likely, 0) * k * entry))
    parts, counts, total = [], [np.zeros(1, np.int64)], 0
    for first in range(0, k, _BLOCK):
        x = solve(b[:, first : first + _BLOCK].toarray()).T
        col, row = x.nonzero()
        total += row.size
        _dense.expect_on_host(total * entry)
        parts.append((x[col, row], row.astype(np.int32 if n <= _dtypes.INT32_MAX else np.int64)))
        counts.append(np.bincount(col, minlength=len(x)))
    index = _dtypes.index_dtype(maxval=max(n, k, total))
    data, indices = _dense.uninitialized(total, _dtypes.mlx_dtype(dtype)), _dense.uninitialized(total, index)
    values, rows = _dense.view(data), _dense.view(indices)
    for part in reversed(parts):  # each is let go of as soon as it is copied
        total -= part[0].size
        values[total : total + part[0].size], rows[total : total + part[0].size] = part
        parts.pop()
    indptr = _dense.to_mlx(np.cumsum(np.concatenate(counts)), index)
    return csc_array._from_parts(data, indices, indptr, (n, k), canonical=True)

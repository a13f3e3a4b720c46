"""What the releases of SciPy that this package runs with do differently. It follows the one that is installed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy

from . import _dense

_RELEASE = tuple(int(part) for part in scipy.__version__.split(".")[:2])
# sum(dtype=...) casts the entries and adds them in that dtype; before, it cast their sum.
SUMS_ARE_CAST_FIRST = _RELEASE >= (1, 18)
# dok and bsr arrays count their entries along an axis.
EVERY_FORMAT_COUNTS_ALONG_AXES = _RELEASE >= (1, 18)
# norm computes all but Frobenius norms and numbers of entries of real arrays in float64; before, in their own dtype.
_NORMS_ARE_WIDE = _RELEASE >= (1, 18)
# kron, kronsum, block_diag, tril and triu of dense operands alone warn that they will give arrays.
_WARNS_OF_MATRICES = _RELEASE >= (1, 18)
# Strong components are numbered as a search ends that goes to the first neighbour first; before, to the last.
COMPONENTS_GO_FORWARD = _RELEASE >= (1, 18)
# Zeros that a bsr array stores are no edges of a graph. Those of other formats are.
BLOCKS_OF_GRAPHS_LOSE_ZEROS = _RELEASE >= (1, 18)
# LinearOperator: axes in front of its shape and of operands are a batch, so that `matvec` of a column warns.
OPERATORS_HAVE_BATCHES = _RELEASE >= (1, 18)


def norms_are_wide() -> bool:
    """Whether norms follow SciPy into float64: in numpy mode. In mlx mode a norm keeps the dtype of its array."""
    return _NORMS_ARE_WIDE and _dense.numpy_mode()


def filled(out: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """What a sum that was asked for in `dtype` gives back for `out`, which it has filled."""
    return out.astype(dtype, copy=False) if SUMS_ARE_CAST_FIRST and _dense.numpy_mode() else out


def warn_of_matrix(name: str, *operands: Any) -> None:
    """Warn that a function of operands none of which is sparse, whose result is a matrix, will give an array."""
    if _WARNS_OF_MATRICES and _dense.numpy_mode() and not any(hasattr(x, "tocoo") for x in operands):
        warnings.warn(
            f"`{name}` is switching to the sparse array interface: of dense operands it will give an array. Make one "
            "of them a sparse array (or a matrix) to choose.",
            DeprecationWarning,
            stacklevel=4,
        )

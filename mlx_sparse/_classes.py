"""The classes of every format, for code below them, and SciPy's sparse arrays as ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as _scipy_sparse

from . import _dense, _dtypes

# format -> class of arrays and of matrices, filled in as classes are defined
ARRAYS: dict[str, Any] = {}
MATRICES: dict[str, Any] = {}


def container(format: str, matrix: bool = False) -> Any:
    """The class of that format.

    Raises
    ------
    ValueError
        There is no such format.
    """
    classes = MATRICES if matrix else ARRAYS
    if format not in classes:
        raise ValueError(f"unknown format {format!r}; the formats are {', '.join(sorted(classes))}")
    return classes[format]


def from_scipy(matrix: Any, *, format: str | None = None, dtype: Any = None) -> Any:
    """This package's form of a SciPy sparse array or matrix; the buffers are copied.

    Parameters
    ----------
    matrix : scipy sparse array or matrix
    format : str, optional
        Default: the format of `matrix`.
    dtype : dtype, optional

    Returns
    -------
    A sparse matrix for a matrix, an array for an array.

    Raises
    ------
    TypeError
        `matrix` is not a SciPy sparse array.

    Examples
    --------
    >>> import scipy.sparse, mlx_sparse as sp
    >>> sp.from_scipy(scipy.sparse.eye_array(2, format="csr")).toarray()
    array([[1., 0.],
           [0., 1.]])
    """
    if not _scipy_sparse.issparse(matrix):
        raise TypeError(f"from_scipy takes a SciPy sparse array; got {type(matrix).__name__}")
    classes = ARRAYS if isinstance(matrix, _scipy_sparse.sparray) else MATRICES
    return _copied(matrix, classes, dtype).asformat(matrix.format if format is None else format)


def made_by_scipy(matrix: Any) -> Any:
    """`from_scipy` of what one of SciPy's own routines made: a csr array needs no look at its indices."""
    plain = matrix.format == "csr" and matrix.ndim == 2 and matrix.indices.dtype == matrix.indptr.dtype == np.int32
    if not plain or matrix.indptr[-1] != len(matrix.data):
        return from_scipy(matrix)
    classes = ARRAYS if isinstance(matrix, _scipy_sparse.sparray) else MATRICES
    data, indices, indptr = map(_dense.to_mlx, (matrix.data, matrix.indices, matrix.indptr))
    return classes["csr"]._from_parts(data, indices, indptr, matrix.shape)


def _copied(matrix: Any, classes: dict[str, Any], dtype: Any) -> Any:
    """Copies of the buffers of a SciPy array; of its coo form where the format is not one of plain buffers."""
    if matrix.format in ("lil", "dok"):
        matrix = matrix.tocoo()
    cls = classes[matrix.format]
    data = _dense.to_mlx(matrix.data, _dtypes.mlx_dtype(matrix.dtype if dtype is None else dtype))
    shape = tuple(int(n) for n in matrix.shape)
    if matrix.format == "coo":
        new = cls((data, matrix.coords), shape=shape)
        new.has_canonical_format = bool(matrix.has_canonical_format)
        return new
    if matrix.format == "dia":
        return cls((data, matrix.offsets), shape=shape)
    indices, indptr = matrix.indices, matrix.indptr
    n = int(indptr[-1]) if indptr.ndim == 1 and indptr.size else 0
    if 0 <= n <= min(len(indices), len(data)):
        data, indices = data[:n], indices[:n]  # SciPy lets them be longer
    return cls((data, indices, indptr), shape=shape)

"""Triangular systems, and how a structure lies about the diagonal."""

from __future__ import annotations

from typing import Any
from warnings import warn

import numpy as np
from numpy.linalg import LinAlgError

from ... import _dense, _dtypes
from ..._base import SparseEfficiencyWarning, _spbase, as_sparse, issparse
from ..._csc import csc_array
from ..._csr import csr_array
from .._operator import constant, is_traced
from .._problem import check_dtype, float_dtype, host_dtype, refuse_traced, require_square
from .substitution import Substitution


def spsolve_triangular(
    A: Any,
    b: Any,
    lower: bool = True,
    overwrite_A: bool = False,
    overwrite_b: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """Solve ``A x = b`` for a triangular `A` by substitution. Looks at the diagonal of `A`.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        csr or csc; anything else is converted with a `SparseEfficiencyWarning`.
    b : ndarray or mx.array, shape (n,) or (n, k)
        Right-hand sides.
    lower : bool
        Whether `A` is lower or upper triangular.
    overwrite_A, overwrite_b : bool
        Accepted and ignored: nothing is overwritten.
    unit_diagonal : bool
        Take the diagonal for ones, whatever `A` stores there.

    Returns
    -------
    x : array of the shape of `b`, in its namespace

    Raises
    ------
    LinAlgError
        `A` has a zero on its diagonal, or entries on the wrong side of it that are not zero, which traced ones count
        as. Inside `mx.compile`, where there are no values to look at, zeros on the diagonal give inf or nan instead.
    TypeError
        An `mx.array` `b` whose dtype differs from that of `A`.
    ValueError
        `A` is not square, or `b` has not as many rows.

    Notes
    -----
    O(nnz) for each column of `b`. An `mx.array` x is a node of the graph, differentiable with respect to `b` and the
    values of `A`; with `unit_diagonal` those on the diagonal do not count.

    On a GPU it is computed there if the levels, in which rows depend on each other, have 64 rows or more on average;
    else on the CPU. Levels are found on the CPU in the first solve, and kept with the structure of `A`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array([[3.0, 0.0, 0.0], [1.0, -1.0, 0.0], [2.0, 0.0, 1.0]])
    >>> sp.linalg.spsolve_triangular(A, np.array([3.0, -1.0, 2.0]))
    array([1., 2., 0.])

    Differences from SciPy
    ----------------------
    An `A` that is not triangular is a `LinAlgError`, where SciPy gives the solution of no system.
    """
    if not (issparse(A) and A.format in ("csr", "csc")):
        warn("CSC or CSR matrix format is required. Converting to CSC matrix.", SparseEfficiencyWarning, stacklevel=2)
        A = csc_array(A)
    require_square(A)
    b = _dense.as_dense(b)
    if b.ndim not in (1, 2):
        raise ValueError(f"b must have 1 or 2 dims but its shape is {tuple(b.shape)}.")
    if b.shape[0] != A.shape[0]:
        raise ValueError(f"A has {A.shape[0]} rows and b has {b.shape[0]}: their shapes {A.shape}, {tuple(b.shape)}")
    is_mlx = _dense.is_mlx(b)
    if is_mlx and isinstance(A, _spbase):
        check_dtype(b, A._data.dtype)
    T = as_sparse(A)._canonical()
    if not is_mlx:
        refuse_traced(T, "x of an ndarray b")
    dtype = _dtypes.mlx_dtype(float_dtype(np.promote_types(float_dtype(host_dtype(T)), host_dtype(b))))
    form = bool(lower), bool(unit_diagonal)
    triangle = Substitution(T.astype(dtype, copy=False), *form)
    if not (is_mlx and triangle.proven()):
        if not _is_triangle(T, bool(lower)) and not is_traced(T._data):
            T = T.copy()
            T.eliminate_zeros()  # which blocks bring along, for one
            triangle = Substitution(T.astype(dtype, copy=False), *form)
        _check_triangle(T, *form)
    if is_mlx:
        return triangle.device(_dense.to_mlx(b, dtype))
    return triangle.host(np.asarray(b).astype(_dtypes.numpy_dtype(dtype), copy=False))


def _ends(T: Any, lower: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each slice: whether it has entries, where the one nearest the other side is, and how far that is beyond."""
    n, last = T.shape[0], lower == (T.format == "csr")
    indices, indptr = (_dense.view(x) for x in (T._indices, T._indptr))
    filled = indptr[1:] > indptr[:-1]
    at = np.where(filled, indptr[1:] - 1 if last else indptr[:-1], 0)
    apart = indices[at] - np.arange(n, dtype=indices.dtype) if indices.size else np.zeros(n, np.int32)
    return filled, at, apart if last else -apart


def _is_triangle(T: Any, lower: bool) -> bool:
    filled, _, beyond = _ends(T, lower)
    return not (filled & (beyond > 0)).any()


def _check_triangle(T: Any, lower: bool, unit: bool) -> None:
    """Refuse entries on the wrong side of the diagonal and zeros on it, which only the ends of slices tell."""
    filled, at, beyond = _ends(T, lower)
    if (filled & (beyond > 0)).any():
        raise LinAlgError(f"A is not {'lower' if lower else 'upper'} triangular")
    if unit or not len(filled):
        return
    try:
        data = _dense.view(constant(T._data))
    except ValueError:  # inside mx.compile and mx.vmap there are no values to look at
        data = np.ones(T._indices.size)
    good = filled & (beyond == 0)
    good[good] = data[at[good]] != 0
    if not good.all():
        raise LinAlgError(f"A is singular: zero entry on diagonal, in row {int(good.argmin())}")


def is_sptriangular(A: Any) -> tuple[bool, bool]:
    """Whether the structure of `A` is lower and whether it is upper triangular. Stored zeros count. Synchronises.

    Parameters
    ----------
    A : sparse array, shape (m, n)
        Any format but bsr, which is converted to csr with a `SparseEfficiencyWarning`, as is a dense array.

    Returns
    -------
    lower, upper : bool

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.linalg.is_sptriangular(sp.csc_array([[3, 0, 0], [1, -1, 0], [2, 0, 1]]))
    (True, False)
    """
    if not (issparse(A) and A.format != "bsr"):
        message = "is_sptriangular needs sparse and not BSR format. Converting to CSR."
        warn(message, SparseEfficiencyWarning, stacklevel=2)
        A = csr_array(A)
    below, above = _extent(A)
    return above <= 0, below <= 0


def spbandwidth(A: Any) -> tuple[int, int]:
    """How far the structure of `A` reaches below and above the main diagonal. Stored zeros count. Synchronises.

    Parameters
    ----------
    A : sparse array, shape (m, n)
        Any format but bsr and lil, which are converted to csr with a `SparseEfficiencyWarning`, as is a dense array.

    Returns
    -------
    below, above : int
        Distance of the farthest diagonal on each side; 0 where there is none.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.linalg.spbandwidth(sp.csc_array([[3, 0, 0], [1, -1, 0], [2, 0, 1]]))
    (2, 0)
    """
    if not (issparse(A) and A.format not in ("bsr", "lil")):
        message = "spbandwidth needs sparse format not LIL and BSR. Converting to CSR."
        warn(message, SparseEfficiencyWarning, stacklevel=2)
        A = csr_array(A)
    below, above = _extent(A)
    return max(below, 0), max(above, 0)


def _extent(A: Any) -> tuple[int, int]:
    """Largest row - column and column - row of the stored entries; (0, 0) if there are none."""
    A = as_sparse(A)
    if A.format == "dia":
        gaps = _dense.view(_dense.to_mlx(A.offsets))
    else:
        row, col = (_dense.view(c) for c in A.tocoo(copy=False)._coords)
        gaps = col.astype(np.int64) - row
    return (-int(gaps.min()), int(gaps.max())) if gaps.size else (0, 0)

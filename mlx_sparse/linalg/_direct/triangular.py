"""Triangular systems, and how a structure lies about the diagonal."""

from __future__ import annotations

from typing import Any
from warnings import warn

import numpy as np
import scipy.sparse.linalg as _scipy_linalg
from numpy.linalg import LinAlgError

from ... import _dense
from ..._base import SparseEfficiencyWarning, _spbase, as_sparse, issparse
from ..._csc import csc_array
from ..._csr import csr_array
from .._operator import Operator, as_operator
from .._problem import check_dtype, float_dtype, host_dtype, refuse_traced, require_square
from .._solve import host_inverse_product
from .operands import host_form


def spsolve_triangular(
    A: Any,
    b: Any,
    lower: bool = True,
    overwrite_A: bool = False,
    overwrite_b: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """Solve ``A x = b`` for a triangular `A` by substitution. Runs on the host; synchronises.

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
        `A` has a zero on its diagonal, or entries on the wrong side of it.
    TypeError
        An `mx.array` `b` whose dtype differs from that of `A`.
    ValueError
        `A` is not square, or `b` has not as many rows.

    Notes
    -----
    The substitution is SuperLU's, O(nnz) for each column of `b`. An `mx.array` x is differentiable with respect to `b`
    and, without `unit_diagonal`, the values of `A`.

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
    below, above = _extent(A)
    if (above if lower else below) > 0:
        raise LinAlgError(f"A is not {'lower' if lower else 'upper'} triangular")
    operator = as_operator(A)
    host = host_form(operator.constant().operand, float_dtype(host_dtype(A)))

    def solve(b: np.ndarray, adjoint: bool = False) -> np.ndarray:
        triangle, down = (host.conj().T, not lower) if adjoint else (host, bool(lower))
        return _scipy_linalg.spsolve_triangular(triangle, b, lower=down, unit_diagonal=bool(unit_diagonal))

    if not is_mlx:
        refuse_traced(A, "x of an ndarray b")
        return solve(np.asarray(b))
    if unit_diagonal:  # then `A` is not the operator that is inverted
        refuse_traced(A, "x for a unit diagonal")
        operator = Operator()
    return host_inverse_product(operator, b, solve, np.promote_types(host.dtype, host_dtype(b)))


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

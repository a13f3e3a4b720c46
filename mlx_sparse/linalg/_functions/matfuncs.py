"""Inverse and powers of sparse arrays."""

from __future__ import annotations

from typing import Any
from warnings import warn

import mlx.core as mx
import scipy.sparse as _scipy_sparse

from ... import _dense, _dtypes, _matrix
from ..._base import SparseEfficiencyWarning, as_sparse, issparse
from ..._csc import csc_array
from .._direct.methods import factor
from .._direct.operands import Parts
from .._direct.spsolve import solve_sparse
from .._operator import as_operator, is_traced
from .._problem import float_dtype, host_dtype, require_square
from .._solve import host_inverse_product


def inv(A: Any) -> Any:
    """The inverse of a sparse array, by LU factorisation with SuperLU. Runs on the host; synchronises.

    It is rarely sparse: to apply it, use `spsolve` or `factorized`. Differentiable in the values of `A`, with the
    structure of the result fixed: what is traced is dense meanwhile.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        csr or csc; other formats are converted to csc with a `SparseEfficiencyWarning`.

    Returns
    -------
    sparse array, shape (n, n)
        csr for a csr array, else csc.

    Raises
    ------
    MemoryError
        There is no memory for the entries of the inverse: as a sample of its columns tells, or as they are found.
    RuntimeError
        `A` is singular.
    TypeError
        `A` is not sparse.
    ValueError
        `A` is not square.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.linalg.inv(sp.csc_array([[1.0, 0.0], [1.0, 2.0]])).toarray()
    array([[ 1. ,  0. ],
           [-0.5,  0.5]])

    Differences from SciPy
    ----------------------
    The inverse of a 1 x 1 array is sparse too.
    """
    if not issparse(A):
        raise TypeError(f"A must be a sparse array; got {type(A).__name__}. Use numpy.linalg.inv or mx.linalg.inv")
    if A.format not in ("csr", "csc"):
        warn("spsolve requires A be CSC or CSR matrix format", SparseEfficiencyWarning, stacklevel=2)
        A = csc_array(A)
    require_square(A)
    dtype, n = float_dtype(host_dtype(A)), A.shape[0]
    operator = as_operator(A)
    fixed = operator.constant().operand
    solve, _ = factor(Parts(fixed, dtype))
    X = solve_sparse(fixed, _scipy_sparse.eye_array(n, dtype=dtype, format="csc"), solve, dtype)
    if not is_traced(*operator.values):
        return X
    _dense.expect_on_host(3 * n * n * dtype.itemsize)
    dense = host_inverse_product(operator, mx.eye(n).astype(_dtypes.mlx_dtype(dtype)), solve, dtype)
    return X._with_data(dense[X.tocoo(copy=False)._coords])


def matrix_power(A: Any, power: int) -> Any:
    """A @ ... @ A, by repeated squaring. Synchronises.

    Parameters
    ----------
    A : sparse array, ndarray or mx.array, shape (n, n)
    power : int
        At least 0; the power 0 is the identity as a dia array.

    Returns
    -------
    sparse array, ndarray or mx.array, shape (n, n)
        Of the kind of `A`.

    Raises
    ------
    TypeError
        `A` is neither a sparse nor a dense array, or not square.
    ValueError
        `power` is negative or no integer.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.linalg.matrix_power(sp.csc_array([[0, 1], [1, 1]]), 5).toarray()
    array([[3, 5],
           [5, 8]])
    """
    if not issparse(A) and not _dense.is_dense(A):
        raise TypeError(f"A must be a sparse or dense array; got {type(A).__name__}")
    require_square(A, TypeError)
    return _matrix.matrix_power(as_sparse(A) if issparse(A) else A, power)

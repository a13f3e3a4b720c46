"""Direct solution of sparse systems, on the host."""

from __future__ import annotations

from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.sparse as _scipy_sparse
from scipy.sparse.linalg import MatrixRankWarning

from ... import _dense, _dtypes
from ..._base import SparseEfficiencyWarning, _spbase, as_sparse, issparse, sparray
from ..._csc import csc_array
from ..._kinds import array_if
from .._operator import as_operator
from .._problem import check_dtype, float_dtype, host_dtype, refuse_traced, require_square
from .._solve import host_inverse_product
from .columns import solved_columns
from .methods import Solve, factor
from .operands import Parts, host_form
from .umfpack import umfpack_is_used


def spsolve(
    A: Any,
    b: Any,
    permc_spec: str | None = None,
    use_umfpack: bool = True,
    *,
    method: str = "auto",
    return_info: bool = False,
) -> Any:
    """Solve ``A x = b`` by a factorisation that suits `A`.

    Runs on the host whatever the default device is. Synchronises. An `mx.array` x is differentiable with respect to `b`
    and the values of `A`; derivatives use the same factors. By "triangular", "cholesky" and "ldl" it is a node of the
    graph, inside `mx.compile` and `mx.vmap` over `b` too.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        csr or csc; other formats and dense arrays are converted with a `SparseEfficiencyWarning`.
    b : ndarray, mx.array or sparse array, shape (n,), (n, 1) or (n, k)
        Right-hand sides.
    permc_spec : {"COLAMD", "NATURAL", "MMD_ATA", "MMD_AT_PLUS_A"}, optional
        Column ordering of SuperLU, which is used then. Default: COLAMD.
    use_umfpack : bool
        Whether UMFPACK may stand in SuperLU's place: for one right-hand side in float64 or complex128, if the package
        `scikits.umfpack` is installed and `use_solver` does not say otherwise.
    method : {"auto", "diagonal", "triangular", "banded", "dense", "cholesky", "ldl", "lu", "umfpack"}
        Default: the first of these that suits `A`. A diagonal or triangular `A` counts if no entry of its diagonal is
        zero; a band, solved by LAPACK, if at least a third of the numbers that LAPACK keeps are entries of `A`: for l
        diagonals below and u above the main one these are 2 l + u + 1 for each column. LAPACK factors all n^2 numbers
        ("dense") if n is below 200 and at least 2 % of them are entries of `A`. "cholesky" is tried on a Hermitian `A`
        of order 500 or more whose diagonal is positive and large enough, then "ldl" (see `cholesky`), unless `A` is
        singular. "lu" is SuperLU, "umfpack" UMFPACK.
    return_info : bool
        Whether to give the name of the method too.

    Returns
    -------
    x : ndarray, mx.array or sparse array
        In the namespace of `b`: of shape (n,) for one right-hand side and (n, k) for k of them. A sparse `b` with
        k > 1 columns gives a sparse array in the format of `A`.
    method : str
        Only with `return_info`.

    Raises
    ------
    LinAlgError
        `A` has not the structure that `method` names, or is not Hermitian or positive definite.
    RuntimeError
        `A` is singular and `b` is sparse with more than one column, or UMFPACK is to be used and not installed.
    TypeError
        An `mx.array` `b` whose dtype differs from that of `A`.
    ValueError
        `A` is not square, `b` does not have as many rows, or `method` is unknown.

    Warns
    -----
    MatrixRankWarning
        `A` is singular and `b` is dense or one column; x is nan then.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array([[3.0, 2.0, 0.0], [1.0, -1.0, 0.0], [0.0, 5.0, 1.0]])
    >>> sp.linalg.spsolve(A, np.array([5.0, 0.0, 6.0]))
    array([1., 1., 1.])

    Differences from SciPy
    ----------------------
    UMFPACK solves what SuperLU would, not what another method suits, and leaves float32 to SuperLU, which SciPy
    refuses. float16 and bfloat16 systems are solved in float32.
    """
    if not (issparse(A) and A.format in ("csr", "csc")):
        warn("spsolve requires A be CSC or CSR matrix format", SparseEfficiencyWarning, stacklevel=2)
        A = csc_array(A)
    require_square(A)
    b_is_csc = issparse(b) and b.format == "csc"
    b, kind = _right_hand_side(A, b)
    if b.shape[0] != A.shape[0]:
        raise ValueError(f"matrix - rhs dimension mismatch ({A.shape} - {b.shape[0]})")
    dtype = np.promote_types(float_dtype(host_dtype(A)), host_dtype(b))
    if kind != "mlx":
        refuse_traced(A, "x of a b that is no mx.array")
    if kind == "sparse":
        if not b_is_csc:
            warn("spsolve is more efficient when sparse b is in the CSC format", SparseEfficiencyWarning, stacklevel=2)
        solve, used = factor(Parts(A, dtype), method, permc_spec)
        x = solve_sparse(A, b.tocsc().astype(dtype, copy=False), solve, dtype)
        return (x, used) if return_info else x
    b = b.reshape(-1) if b.ndim == 2 and b.shape[1] == 1 else b
    lu = "umfpack" if use_umfpack and b.ndim == 1 and umfpack_is_used() and dtype.char in "dD" else "lu"
    operator = as_operator(A)
    try:
        solve, used = factor(Parts(operator.constant().operand, dtype), method, permc_spec, lu)
    except RuntimeError as error:
        if "singular" not in str(error):
            raise
        warn("Matrix is exactly singular", MatrixRankWarning, stacklevel=2)
        solve, used = _undefined, "lu" if method == "auto" else method
    if kind == "mlx":
        x = _device_solution(A, operator, b, solve, dtype)
    else:
        x = solve(b.astype(dtype, copy=False))
        x = _dense.in_namespace(_dense.to_mlx(x)) if kind == "vector" else x
    return (x, used) if return_info else x


def _device_solution(A: Any, operator: Any, b: mx.array, solve: Solve, dtype: np.dtype) -> mx.array:
    if (device := getattr(solve, "device", None)) is None:
        return host_inverse_product(operator, b, solve, dtype)
    held = _dtypes.mlx_dtype(dtype)
    return device(as_sparse(A)._canonical().astype(held, copy=False), b.astype(held))


def _undefined(b: np.ndarray, adjoint: bool = False) -> np.ndarray:
    return np.full_like(b, np.nan)


def _right_hand_side(A: Any, b: Any) -> tuple[Any, str]:
    """`b` and its kind: "numpy", "mlx", "sparse" (SciPy's form of it), or "vector", one sparse column made dense."""
    if issparse(b):
        b = as_sparse(b)
        refuse_traced(b, "x of a sparse b")
        if b.ndim == 1 or b.shape[1] == 1:
            return b.toarray(), "vector"
        return host_form(b if b.format in ("csr", "csc") else b.tocsc()), "sparse"
    b = _dense.as_dense(b)
    if b.ndim not in (1, 2):
        raise ValueError(f"b must have 1 or 2 dimensions; its shape is {tuple(b.shape)}")
    if not _dense.is_mlx(b):
        return np.asarray(b), "numpy"
    if isinstance(A, _spbase):
        check_dtype(b, A._data.dtype)
    return b, "mlx"


def solve_sparse(A: Any, b: Any, solve: Solve, dtype: np.dtype) -> Any:
    """A^-1 b for a csc array `b` of SciPy's with values of `dtype`: an array or matrix as `A` is, in its format."""
    x = solved_columns(b, solve, dtype, 1 if A.format == "csc" else 2).asformat(A.format)
    return array_if(isinstance(A, (sparray, _scipy_sparse.sparray)), x)

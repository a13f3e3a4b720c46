"""The inverse of A - sigma M that shift-invert methods apply: the one place where they factor anything."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.linalg

from ... import _dense
from ..._base import as_sparse
from ..._construct import eye_array
from .._direct.methods import if_hermitian
from .._direct.operands import Parts
from .._direct.superlu import splu
from .._interface import LinearOperator
from .._krylov.gmres import gmres
from .._operator import Operator, Product

# Pivots stay on the diagonal where they are not small: less fill, and solves that are as much faster.
_SYMMETRIC: dict[str, Any] = {
    "permc_spec": "MMD_AT_PLUS_A",
    "diag_pivot_thresh": 0.1,
    "options": {"SymmetricMode": True},
}


def inverse(
    A: Operator, M: Operator | None, sigma: Any, dtype: np.dtype, tol: float, hermitian: bool = False
) -> Product:
    """x -> (A - sigma M)^-1 x over ndarrays of `dtype`, with M the identity if it is None.

    Sparse arrays are factored by Cholesky's method or as L D L^H where they are `hermitian`, else by `splu`, and dense
    ones by LAPACK. What only has products is solved for by `gmres`.

    Raises
    ------
    RuntimeError
        The matrix is singular, as it is at an eigenvalue.
    ValueError
        `gmres` does not converge.
    """
    A, M = A.stored(), None if M is None else M.stored()
    if not A.explicit or M is not None and not M.explicit:
        return _iterative(A, M, sigma, dtype, tol)
    if not _is_sparse(A) or M is not None and not _is_sparse(M):
        return _dense_inverse(array(A), None if M is None else array(M), sigma, dtype)
    S: Any = as_sparse(A.operand).astype(dtype, copy=False)
    if sigma != 0:
        shift = eye_array(S.shape[0], dtype=dtype) if M is None else as_sparse(M.operand)
        S = S - (shift * dtype.type(sigma)).astype(dtype, copy=False)
    S = S.tocsc()
    if hermitian and (found := if_hermitian(Parts(S, dtype))) is not None:
        solve = found[0]
        return lambda x: solve(np.ascontiguousarray(x).astype(dtype, copy=False))
    lu = splu(S, **_SYMMETRIC) if hermitian else splu(S)
    return lambda x: lu.solve(np.ascontiguousarray(x).astype(dtype, copy=False))


def _is_sparse(A: Operator) -> bool:
    return not _dense.is_dense(A.operand)


def array(A: Operator) -> np.ndarray:
    """The entries of a dense or sparse operand."""
    X = A.operand
    return np.asarray(as_sparse(X).toarray()) if _is_sparse(A) else _dense.view(X) if _dense.is_mlx(X) else X


def _dense_inverse(A: np.ndarray, M: np.ndarray | None, sigma: Any, dtype: np.dtype) -> Product:
    shifted = A - sigma * (np.eye(len(A)) if M is None else M)
    if not np.isfinite(shifted).all():
        raise ValueError("A or M has values that are not finite")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.linalg.LinAlgWarning)  # an exception follows
        factors = scipy.linalg.lu_factor(shifted.astype(dtype), check_finite=False)
    if not np.diag(factors[0]).all():
        raise RuntimeError("A - sigma M is singular: sigma is an eigenvalue")
    return lambda x: scipy.linalg.lu_solve(factors, x, check_finite=False)


def _iterative(A: Operator, M: Operator | None, sigma: Any, dtype: np.dtype, tol: float) -> Product:
    product, mass = A.host(), None if M is None else M.host()
    n = A.shape[0]

    def shifted(x: np.ndarray) -> np.ndarray:
        y = np.asarray(product(x))
        return y if sigma == 0 else y - sigma * (x if mass is None else np.asarray(mass(x)))

    operator = LinearOperator(A.shape, shifted, dtype=dtype)
    eps = float(np.finfo(dtype).eps)
    rtol = max(tol, 1000 * np.sqrt(n) * eps) if tol > 0 else 1000 * np.sqrt(n) * eps

    def solve(b: np.ndarray) -> np.ndarray:
        if b.ndim == 2:
            return np.stack([solve(column) for column in b.T], axis=1)
        x, info = gmres(operator, b.astype(dtype, copy=False), rtol=rtol, atol=0.0)
        if info != 0:
            raise ValueError(f"gmres for A - sigma M did not converge (info = {info}); give OPinv or Minv")
        return x

    return solve

"""Incomplete factorisations without fill, and the solves with their factors."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
from numpy.linalg import LinAlgError

from ... import _dense, _dtypes, _native
from ..._base import as_sparse, issparse
from ..._construct import eye_array
from ..._csr import csr_array
from ..._extract import tril
from .._problem import check_dtype, float_dtype, host_dtype, refuse_traced, require_square
from .substitution import Substitution

_FORMS = ("N", "T", "H")


class _Factors:
    """What both factorisations share: a first and a second triangle, which solve one after the other."""

    shape: tuple[int, int]
    _given: mx.Dtype  # of the factored array
    _triangles: dict[str, tuple[Substitution, Substitution]]  # by dtype; in the order in which they solve A x = b
    _dtype: mx.Dtype

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of shape {self.shape} with {self.nnz} stored elements>"

    @property
    def nnz(self) -> int:
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of the factors' values."""
        return _dtypes.numpy_dtype(self._dtype)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(f"{type(self).__name__} objects cannot be pickled: pickle the array that was factored")

    def _in(self, dtype: mx.Dtype) -> tuple[Substitution, Substitution]:
        """The triangles in `dtype`, which are made once."""
        name = _dtypes.name(dtype)
        if name not in self._triangles:
            first, second = self._triangles[_dtypes.name(self._dtype)]
            self._triangles[name] = first.astype(dtype), second.astype(dtype)
        return self._triangles[name]

    def _course(self, trans: str, dtype: mx.Dtype) -> tuple[tuple[Substitution, str], ...]:
        """Which triangle solves first in which form, and which then, for M, M^T or M^H."""
        raise NotImplementedError

    def _solved(self, b: Any, trans: str, dtype: mx.Dtype) -> Any:
        """The solution for `b` of `dtype`, in its namespace."""
        (first, form), (second, _) = self._course(trans, dtype)
        if _dense.is_mlx(b):
            return second.device(first.device(b, form), form)
        return second.host(first.host(b, form), form, overwrite=True)

    def solve(self, b: Any, trans: str = "N") -> Any:
        """Solve ``M x = b`` for the product M of the factors.

        Parameters
        ----------
        b : ndarray or mx.array, shape (n,) or (n, k)
        trans : {"N", "T", "H"}
            Solve with M, its transpose or its conjugate transpose.

        Returns
        -------
        x : array of the shape of `b`, in its namespace
            That of an `mx.array` is lazy and differentiable in `b`.

        Raises
        ------
        TypeError
            `b` is sparse, or an `mx.array` whose dtype is neither that of the factored array nor that of the factors.
        ValueError
            `b` has another length or more than 2 dimensions, or `trans` is none of the three.
        """
        if issparse(b):
            raise TypeError(f"b must be a dense array; got {type(b).__name__}. Use toarray")
        if trans not in _FORMS:
            raise ValueError(f"trans must be N, T, or H; got {trans!r}")
        b = _dense.as_dense(b)
        if b.ndim not in (1, 2) or b.shape[0] != self.shape[0]:
            raise ValueError(f"b must have shape ({self.shape[0]},) or ({self.shape[0]}, k); got {tuple(b.shape)}")
        if _dense.is_mlx(b):
            check_dtype(b, self._given, self._dtype)
            return self._solved(b.astype(self._dtype), trans, self._dtype)
        dtype = _dtypes.mlx_dtype(float_dtype(np.promote_types(self.dtype, np.asarray(b).dtype)))
        return self._solved(np.asarray(b).astype(_dtypes.numpy_dtype(dtype), copy=False), trans, dtype)


class IncompleteLU(_Factors):
    """An incomplete factorisation M = L U of an array A without fill, made by `ilu0`.

    Attributes
    ----------
    shape : tuple of int
    nnz : int
        Number of stored entries of both factors, the ones of L's diagonal left out.
    dtype : np.dtype
    L, U : csr_array, shape (n, n)
        The factors: L with a unit diagonal.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> lu = sp.linalg.ilu0(sp.csr_array([[4.0, 1.0], [2.0, 3.0]]))
    >>> lu.solve(np.array([5.0, 5.0]))
    array([1., 1.])
    >>> lu.solve(np.array([6.0, 4.0]), trans="T")
    array([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("cannot create 'IncompleteLU' instances; use ilu0")

    @classmethod
    def _of(cls, A: Any) -> IncompleteLU:
        new = cls.__new__(cls)
        host = _factorable(A, new)
        low, high = (
            host._from_parts(*trio, host.shape, canonical=True) for trio in _factored(_native.ilu0, host._trio)
        )
        new._low, new._high = low, high
        new._triangles[_dtypes.name(new._dtype)] = (
            Substitution(low, True, unit=True, kept=True),
            Substitution(high, False, kept=True),
        )
        return new

    _low: Any  # without its diagonal
    _high: Any

    @property
    def nnz(self) -> int:
        return self._low.nnz + self._high.nnz

    @property
    def L(self) -> Any:
        return (self._low + eye_array(self.shape[0], dtype=self._low.dtype, format="csr")).tocsr()

    @property
    def U(self) -> Any:
        return self._high.copy()

    def _course(self, trans: str, dtype: mx.Dtype) -> tuple[tuple[Substitution, str], ...]:
        low, high = self._in(dtype)
        return ((low, "N"), (high, "N")) if trans == "N" else ((high, trans), (low, trans))


class IncompleteCholesky(_Factors):
    """An incomplete factorisation M = L L^H of a Hermitian array without fill, made by `ichol0`.

    Attributes
    ----------
    shape : tuple of int
    nnz : int
        Number of stored entries of L.
    dtype : np.dtype
    L : csr_array, shape (n, n)

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> sp.linalg.ichol0(sp.csr_array([[4.0, 2.0], [2.0, 5.0]])).solve(np.array([6.0, 7.0]))
    array([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("cannot create 'IncompleteCholesky' instances; use ichol0")

    @classmethod
    def _of(cls, A: Any) -> IncompleteCholesky:
        new = cls.__new__(cls)
        host = tril(_factorable(A, new), format="csr")._canonical()
        low = new._low = host._from_parts(*_factored(_native.ichol0, host._trio), host.shape, canonical=True)
        adjoint = low.transpose().conj(copy=False).tocsr()._canonical()
        new._triangles[_dtypes.name(new._dtype)] = (
            Substitution(low, True, kept=True),
            Substitution(adjoint, False, kept=True),
        )
        return new

    _low: Any

    @property
    def nnz(self) -> int:
        return self._low.nnz

    @property
    def L(self) -> Any:
        return self._low.copy()

    def _course(self, trans: str, dtype: mx.Dtype) -> tuple[tuple[Substitution, str], ...]:
        low, high = self._in(dtype)
        form = "C" if trans == "T" else "N"  # M is Hermitian
        return (low, form), (high, form)


def _factorable(A: Any, factors: _Factors) -> Any:
    """`A` as a canonical csr array of a dtype of linear systems; its shape and dtypes are noted in `factors`."""
    require_square(A)
    A = as_sparse(A) if issparse(A) else csr_array(A)
    refuse_traced(A, "an incomplete factorisation of it")
    factors.shape, factors._given, factors._triangles = tuple(A.shape), A._data.dtype, {}
    factors._dtype = _dtypes.mlx_dtype(float_dtype(host_dtype(A)))
    return A.tocsr().astype(factors._dtype, copy=False)._canonical()


def _factored(factor: Any, parts: Any) -> Any:
    try:
        return factor(parts)
    except _native.BadPivot as error:
        raise LinAlgError(str(error)) from None


def ilu0(A: Any) -> IncompleteLU:
    """Incomplete LU factorisation without fill: L and U have entries where `A` has. Runs on the host; synchronises.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        Any format, with all of its diagonal stored; it is factored in its rows' order, without pivoting.

    Returns
    -------
    IncompleteLU
        L U equals `A` wherever `A` has an entry. In the dtype that `splu` computes in.

    Raises
    ------
    LinAlgError
        A diagonal entry is missing, or a pivot is zero relative to its row, or not finite; names the row.
    ValueError
        `A` is not square, or its values are traced.

    Notes
    -----
    O(sum over entries (i, k), k < i, of the entries of row k). Algorithm 10.4 of Y. Saad, Iterative Methods for Sparse
    Linear Systems, 2nd ed. (2003). Solves run level by level on the thread pool where levels are large.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 1.0, 0.0], [2.0, 4.0, 1.0], [0.0, 2.0, 4.0]])
    >>> lu = sp.linalg.ilu0(A)
    >>> lu
    <IncompleteLU of shape (3, 3) with 7 stored elements>
    >>> bool(np.allclose((lu.L @ lu.U).toarray(), A.toarray()))
    True
    """
    return IncompleteLU._of(A)


def ichol0(A: Any) -> IncompleteCholesky:
    """Incomplete Cholesky factorisation without fill: L has entries where `A` has. Runs on the host; synchronises.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        Hermitian, of any format; only its lower triangle is read.

    Returns
    -------
    IncompleteCholesky
        L L^H equals `A` wherever `A` has an entry.

    Raises
    ------
    LinAlgError
        A diagonal entry is missing, or a pivot is not positive relative to it, or not finite; names the row. That
        happens to positive definite arrays too, unless they are M-matrices or diagonally dominant: `preconditioners`
        has a `shift` for it.
    ValueError
        `A` is not square, or its values are traced.

    Notes
    -----
    By rows: O(sum over entries (i, k), k < i, of the entries of row k in the lower triangle). Section 10.3 of Y. Saad,
    Iterative Methods for Sparse Linear Systems, 2nd ed. (2003).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 2.0, 0.0], [2.0, 5.0, 2.0], [0.0, 2.0, 5.0]])
    >>> sp.linalg.ichol0(A).L.toarray()
    array([[2., 0., 0.],
           [1., 2., 0.],
           [0., 1., 2.]])
    >>> sp.linalg.ichol0(A).solve(np.array([8.0, 14.0, 9.0]))
    array([1., 2., 1.])
    """
    return IncompleteCholesky._of(A)

"""LU factorisations with what determinants, condition numbers and new values of one structure ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as _scipy_sparse
import scipy.sparse.linalg as _scipy_linalg

from ... import _dense, _dtypes, _native
from ..._base import as_sparse
from .._estimate import estimate
from .._operator import kept
from .._problem import refuse_traced, workers
from .determinant import parity, slogdet
from .operands import as_columns, host_form, lu_solve
from .superlu import SuperLU, checked_options


class SparseLU(SuperLU):
    """An LU factorisation ``Pr A Pc = L U``, made by `sparse_lu`: a `SuperLU` with more members.

    Attributes
    ----------
    perm : dense int32 array, shape (n,)
        Order of the rows: row i of ``Pr A`` is row ``perm[i]`` of A.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> lu = sp.linalg.sparse_lu(sp.csc_array([[0.0, 2.0], [4.0, 1.0]]))
    >>> lu(np.array([2.0, 5.0]))
    array([1., 1.])
    >>> sign, logabsdet = lu.slogdet()
    >>> float(sign), float(np.exp(logabsdet).round(12))
    (-1.0, 8.0)
    """

    _A: Any  # the factored csc array, its values traced where they were
    _factor: Callable[[Any], Any]

    @classmethod
    def _made(cls, A: Any, factor: Callable[[Any], Any]) -> SparseLU:
        A = kept(A)
        new = cls._of(A, factor)
        new._A, new._factor = A, factor
        return new

    def __call__(self, rhs: Any) -> Any:
        """`solve`."""
        return self.solve(rhs)

    @property
    def perm(self) -> Any:
        refuse_traced(self._operator, "perm")
        return _dense.in_namespace(_dense.to_mlx(np.argsort(self._lu.perm_r).astype(np.int32)))

    def refactor(self, values: Any) -> SparseLU:
        """The factorisation of an array of the same structure, in csc order, with other `values`. Synchronises.

        Parameters
        ----------
        values : ndarray or mx.array, shape (nnz,)
            In the place of ``A.data`` for the csc array `A` that was factored. Solutions are differentiable in them.

        Returns
        -------
        SparseLU
            A new one: this one stays as it is.

        Raises
        ------
        RuntimeError
            The new array is singular.
        ValueError
            `values` has another shape.
        """
        values = _dense.as_dense(values)
        if tuple(values.shape) != tuple(self._A._data.shape):
            raise ValueError(f"values must have the shape {tuple(self._A._data.shape)}; got {tuple(values.shape)}")
        return SparseLU._made(self._A.with_data(values), self._factor)

    def slogdet(self) -> tuple[Any, Any]:
        """Sign and natural logarithm of the absolute value of the determinant. No overflow.

        Differentiable in the values of A: the derivative is the inverse at their places (A. M. Erisman and W. F.
        Tinney, Comm. ACM 18 (1975)), which takes about twice the multiplications of the factorisation. Of second order
        it takes two solves for each column.

        Returns
        -------
        sign, logabsdet : 0-d dense array
            In the namespace of `runtime.dense_namespace`; mx.array where the values of A are traced.
        """
        pivots = self._lu.U.diagonal()
        size = np.abs(pivots)
        sign = np.prod(pivots / size) * parity(self._lu.perm_r) * parity(self._lu.perm_c)
        logarithm = np.log(size.astype(np.float64)).sum()
        return slogdet(self._operator, sign, logarithm, pivots.dtype, self._solve_host, self._selected)

    def _selected(self) -> np.ndarray:
        """A^-H at the stored places of A."""
        lu, cs = self._lu, self._operator.operand
        n, indptr = self.shape[0], _dense.view(cs._indptr)
        cols = lu.perm_c[np.repeat(np.arange(n), np.diff(indptr))]
        rows = lu.perm_r[_dense.view(cs._indices)[: cols.size]]
        L, U = lu.L.tocsc(), lu.U.tocsr()
        B = _scipy_sparse.csr_array((np.ones(cols.size, L.dtype), (rows, cols)), shape=self.shape)  # Pr A Pc, of ones
        parts = []
        for S in (B, L, U):
            S.sort_indices()
            parts.append((S.data, S.indices.astype(np.int32), S.indptr.astype(np.int64)))
        with workers():
            found = _native.lu_inverse_entries(*parts)
        keys = np.repeat(np.arange(n), np.diff(B.indptr)) * n + B.indices
        return found[np.searchsorted(keys, rows.astype(np.int64) * n + cols)].conj()

    def _solve_host(self, b: np.ndarray, adjoint: bool = False) -> np.ndarray:
        return lu_solve(self._lu, b, "H" if adjoint else "N")

    def rcond(self) -> float:
        """An estimate of ``1 / (norm(A, 1) * norm(inv(A), 1))``, by a few solves: small where solutions are inaccurate.

        The norm of the inverse is `onenormest`'s lower bound, so this is an upper bound; rarely off by a factor of 3.
        """
        refuse_traced(self._operator, "rcond")
        host = host_form(self._A)
        norm = np.add.reduceat(np.abs(host.data).astype(np.float64), host.indptr[:-1]).max()  # no column is empty
        dtype = _dtypes.numpy_dtype(self._dtypes[-1])

        def inverse(X: np.ndarray, adjoint: bool = False) -> np.ndarray:
            return self._solve_host(X.astype(dtype), adjoint)

        est = estimate(inverse, lambda X: inverse(X, True), self.shape[0])[0]
        return float(1.0 / (norm * est))


def sparse_lu(A: Any, permc_spec: str | None = None, **options: Any) -> SparseLU:
    """LU factorisation of a square matrix by SuperLU, with determinants and an estimate of the condition number.

    Runs on the host; synchronises.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        csc; anything else is converted with a `SparseEfficiencyWarning`.
    permc_spec, **options
        As for `splu`.

    Returns
    -------
    SparseLU

    Raises
    ------
    RuntimeError
        `A` is singular.
    ValueError
        `A` is not square, or another argument is unknown or out of range.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40), format="csc")
    >>> lu = sp.linalg.sparse_lu(A)
    >>> float(np.exp(lu.slogdet()[1]).round(6)), round(lu.rcond(), 5)
    (41.0, 0.00119)
    >>> lu.refactor(2 * A.data).solve(A @ np.ones(40))[:3].round(12)
    array([0.5, 0.5, 0.5])
    """
    A = as_sparse(as_columns(A, "sparse_lu"))
    named = {"Relax": options.pop("relax", None), "PanelSize": options.pop("panel_size", None)}
    given = checked_options(options.pop("options", None), **named)
    return SparseLU._made(A, partial(_scipy_linalg.splu, permc_spec=permc_spec, options=given, **options))

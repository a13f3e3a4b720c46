"""Sparse Cholesky factorisations of this package's own, on the host."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import scipy.sparse as _scipy_sparse
from numpy.linalg import LinAlgError

from ... import _dense, _dtypes
from ..._base import as_sparse, issparse
from ..._classes import from_scipy
from .._operator import Operator, as_operator, is_traced, kept
from .._problem import check_dtype, float_dtype, host_dtype, refuse_traced, require_square
from .columns import solved_columns
from .determinant import slogdet
from .hermitian import LOWER, UPPER, Analysis, Cholesky, HermitianFactor, Simplicial, Supernodal
from .indefinite import Indefinite
from .operands import Parts, as_columns, host_form
from .orderings import Order, order_of

METHODS: dict[str, Any] = {
    "auto": Cholesky,
    "simplicial": Simplicial,
    "supernodal": Supernodal,
    "ldl": Indefinite,
}


class SparseCholesky:
    """A factorisation ``A[perm][:, perm] = L D L^H``, made by `cholesky`.

    By Cholesky's method D is the identity; by "ldl" the diagonal of L is.

    It lives on the host whatever the default device is. Solutions with an `mx.array` and determinants are
    differentiable with respect to it and to the values of the factored array, all of whose stored entries count as
    independent: derivatives use the same factor.

    Attributes
    ----------
    shape : tuple of int
    nnz : int
        Number of stored entries of L.
    method : {"simplicial", "supernodal", "ldl"}
        How it was made.
    perm : dense int32 array, shape (n,)
        Order of elimination.
    L : csc_array, shape (n, n)
        The factor, lower triangular; it may hold zeros.
    D : csc_array, shape (n, n)
        Hermitian, with blocks of order 1 and 2 on its diagonal.
    inertia : tuple of int
        How many eigenvalues of A are positive, negative and zero; zero ones as rounding tells them.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> factor = sp.linalg.cholesky(sp.csc_array([[4.0, 2.0], [2.0, 5.0]]))
    >>> factor.solve(np.array([6.0, 7.0])), float(factor.logdet().item())
    (array([1., 1.]), 2.772588722239781)
    """

    _A: Any  # the factored csc array, its values traced where they were
    _cholesky: HermitianFactor
    _operator: Operator  # the factored array, where its values are traced

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("cannot create 'SparseCholesky' instances; use cholesky")

    @classmethod
    def _of(cls, A: Any, kind: Any, analysis: Analysis | None, order: Order) -> SparseCholesky:
        """Of a canonical csc array of this package, by the `analysis` of its structure or a new one in this `order`."""
        A = kept(A)
        traced = is_traced(A._data)
        operator = as_operator(A) if traced else Operator()
        host = Parts(operator.constant().operand if traced else A, float_dtype(host_dtype(A)))
        new = cls.__new__(cls)
        new._A, new._cholesky, new._operator = A, kind(host, analysis, order), operator
        return new

    def __reduce__(self) -> Any:
        """Pickled as the array, which is factored again."""
        return SparseCholesky._of, (self._A, type(self._cholesky), None, self._cholesky.analysis.order)

    def __repr__(self) -> str:
        return f"<SparseCholesky object of shape {self.shape} with {self.nnz} stored elements>"

    @property
    def shape(self) -> tuple[int, int]:
        return tuple(self._A.shape)

    @property
    def nnz(self) -> int:
        return self._cholesky.nnz

    @property
    def method(self) -> str:
        return self._cholesky.method

    @property
    def perm(self) -> Any:
        return _dense.in_namespace(_dense.to_mlx(self._cholesky.order))

    @property
    def L(self) -> Any:
        refuse_traced(self._operator, "L")
        data, indices, indptr = self._cholesky.lower()
        host = _scipy_sparse.csc_array((data, indices, indptr.astype(_index_dtype(data.size))), shape=self.shape)
        host.sort_indices()
        host.has_canonical_format = True
        return from_scipy(host)

    @property
    def D(self) -> Any:
        refuse_traced(self._operator, "D")
        diagonal, beside = self._cholesky.diagonal()
        at = np.flatnonzero(beside)
        every = np.arange(diagonal.size)
        coords = np.concatenate([every, at + 1, at]), np.concatenate([every, at, at + 1])
        data = np.concatenate([diagonal, beside[at], beside[at].conj()])
        return from_scipy(_scipy_sparse.coo_array((data, coords), shape=self.shape).tocsc())

    @property
    def inertia(self) -> tuple[int, int, int]:
        return self._cholesky.inertia

    def __call__(self, b: Any) -> Any:
        """`solve`."""
        return self.solve(b)

    def solve(self, b: Any) -> Any:
        """Solve ``A x = b``. Many columns at once read the factor once.

        An x of an `mx.array` is a node of the graph, inside `mx.compile` and `mx.vmap` too, computed on the CPU.

        Parameters
        ----------
        b : ndarray, mx.array or sparse array, shape (n,) or (n, k)

        Returns
        -------
        x : array of the shape of `b`, in its namespace; a csc array for a sparse `b`

        Raises
        ------
        TypeError
            `b` is an `mx.array` whose dtype is neither that of A nor that of the factor.
        ValueError
            `b` has another length than A.
        LinAlgError
            A is singular.
        """
        if issparse(b):
            refuse_traced(b, "x of a sparse b")
            refuse_traced(self._operator, "x of a sparse b")
            host = host_form(as_sparse(b).tocsc())
            if host.shape[0] != self.shape[0]:
                raise ValueError(f"shapes of A {self.shape} and b {host.shape} are incompatible")
            wide = _dtypes.mlx_dtype(np.promote_types(self._cholesky.dtype, float_dtype(host.dtype)))
            return solved_columns(host, self._cholesky.solve, _dtypes.numpy_dtype(wide))
        b = self._right_hand_side(b)
        if not _dense.is_mlx(b):
            return self._cholesky.solve(b)
        dtype = _dtypes.mlx_dtype(self._cholesky.dtype)
        return self._cholesky.device(self._A.astype(dtype, copy=False), b.astype(dtype))

    def solve_L(self, b: Any) -> Any:
        """Solve ``L x = b``, in the order of elimination: x is in the namespace of `b`, not differentiable in A."""
        return self._half(b, LOWER)

    def solve_Lt(self, b: Any) -> Any:
        """Solve ``L^H x = b``, in the order of elimination: x is in the namespace of `b`, not differentiable in A."""
        return self._half(b, UPPER)

    def sample(self, z: Any) -> Any:
        """Fields with the covariance ``A^-1`` from white noise: ``P^T L^-H z``.

        Parameters
        ----------
        z : ndarray or mx.array, shape (n,) or (n, k)
            Independent standard normal numbers.

        Returns
        -------
        x : array of the shape of `z`, in its namespace

        Raises
        ------
        ValueError
            The factorisation is not Cholesky's.
        """
        if not isinstance(self._cholesky, Cholesky):
            raise ValueError('samples need a Cholesky factorisation; this one was made with method="ldl"')
        x = self.solve_Lt(z)
        back = np.argsort(self._cholesky.order)
        return x[mx.array(back)] if _dense.is_mlx(x) else x[back]

    def logdet(self) -> Any:
        """Natural logarithm of the determinant, a 0-d dense array. Differentiable in the values of A.

        Raises
        ------
        LinAlgError
            The determinant is not positive, as `slogdet` tells.
        """
        if self._cholesky.slogdet()[0] <= 0:
            raise LinAlgError("the determinant is not positive: it has no real logarithm; use slogdet")
        return self.slogdet()[1]

    def slogdet(self) -> tuple[Any, Any]:
        """Sign and natural logarithm of the absolute value of the determinant: 0 and -inf where A is singular.

        The derivative is the inverse at the places of A, which `selected_inverse` finds.

        Returns
        -------
        sign, logabsdet : 0-d dense array
            In the namespace of `runtime.dense_namespace`; mx.array where the values of A are traced.
        """
        found = self._cholesky
        sign, logarithm = found.slogdet()
        selected = lambda: found.inverse_entries()[0]  # noqa: E731
        return slogdet(self._operator, sign, logarithm, found.dtype, found.solve, selected)

    def refactor(self, values: Any) -> SparseCholesky:
        """The factorisation of an array of the same structure with other `values`, without the analysis. Synchronises.

        Parameters
        ----------
        values : ndarray or mx.array, shape (nnz,)
            In the place of ``A.data`` for the csc array `A` that was factored. Solutions are differentiable in them.

        Returns
        -------
        SparseCholesky
            A new one: this one stays as it is.

        Raises
        ------
        LinAlgError
            The new array is not positive definite, unless the method is "ldl".
        ValueError
            `values` has another shape, or the new array is not Hermitian.
        """
        values = _dense.as_dense(values)
        if tuple(values.shape) != tuple(self._A._data.shape):
            raise ValueError(f"values must have the shape {tuple(self._A._data.shape)}; got {tuple(values.shape)}")
        found = self._cholesky
        return SparseCholesky._of(self._A.with_data(values), type(found), found.analysis, found.analysis.order)

    update = refactor

    def inverse_diagonal(self) -> Any:
        """The diagonal of ``A^-1``, without the rest of it: a dense array of shape (n,)."""
        refuse_traced(self._operator, "the diagonal of the inverse")
        return _dense.in_namespace(_dense.to_mlx(self._cholesky.inverse_entries()[1]))

    def selected_inverse(self) -> Any:
        """The entries of ``A^-1`` at the stored places of A, as a csc array of its structure.

        Takahashi's equations, over the fronts of the factorisation: about twice its flops. K. Takahashi, J. Fagan and
        M. Chin, Formation of a sparse bus impedance matrix and its application to short circuit study, PICA (1973).
        """
        refuse_traced(self._operator, "the selected inverse")
        return self._A.with_data(_dense.to_mlx(self._cholesky.inverse_entries()[0]))

    def _right_hand_side(self, b: Any) -> Any:
        b = _dense.as_dense(b)
        if b.ndim not in (1, 2) or b.shape[0] != self.shape[0]:
            raise ValueError(f"shapes of A {self.shape} and b {tuple(b.shape)} are incompatible")
        if _dense.is_mlx(b):
            check_dtype(b, self._A._data.dtype, _dtypes.mlx_dtype(self._cholesky.dtype))
        else:
            refuse_traced(self._operator, "x of an ndarray")
        return b

    def _half(self, b: Any, half: Any) -> Any:
        b = self._right_hand_side(b)
        if not _dense.is_mlx(b):
            return self._cholesky.solve(b, half=half)
        refuse_traced(self._operator, "half a solution")
        refuse_traced(b, "half a solution")
        return _dense.to_mlx(self._cholesky.solve(_dense.view(b), half=half))


def cholesky(A: Any, ordering: Any = "amd", method: str = "auto") -> SparseCholesky:
    """Cholesky factorisation of a sparse Hermitian positive definite array, or L D L^H of any Hermitian one.

    Runs on the host; synchronises.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        csr or csc; anything else is converted with a `SparseEfficiencyWarning`. Both triangles must be stored.
    ordering : {"amd", "natural", "metis"} or array of int, shape (n,)
        Order of elimination: approximate minimum degree, as given, METIS's nested dissection (which fills less on
        large meshes in space, and takes longer to find), or this permutation. Then the elimination tree is brought
        into postorder, which changes neither fill nor flops.
    method : {"auto", "simplicial", "supernodal", "ldl"}
        "simplicial" makes L L^H column by column, in no memory but that of L, by one worker; "supernodal" by dense
        fronts over groups of columns, by the BLAS that SciPy brings along. "auto" is the former where there are
        fewer than 8 flops for an entry of L: trees, paths, narrow bands. "ldl" takes indefinite arrays, such as
        those of saddle points and shifted Laplacians, and singular ones. It is never chosen by itself.

    Returns
    -------
    SparseCholesky

    Raises
    ------
    ImportError
        `ordering` is "metis" and the package `pymetis` is not installed.
    LinAlgError
        `A` is not positive definite: a pivot is not positive, or below 16 units of rounding of its diagonal entry. The
        message names the row of `A`. Not with "ldl".
    MemoryError
        The factor does not fit the memory; this is known before the work begins.
    ValueError
        `A` is not square, not Hermitian, or not finite, or `ordering` or `method` is unknown.

    Notes
    -----
    The work is that of the factor: for grids of n nodes about n^(3/2) in the plane and n^2 in space. That of fronts is
    shared among `runtime.SOLVER_THREADS` workers, and the result does not depend on their number.

    "ldl" has pivots of order 1 and 2 (J. R. Bunch and L. Kaufman, Math. Comp. 31 (1977)) that are at least a tenth of
    their columns, so that no entry of L grows past 10; a column without one waits for the parent of its front, which
    costs fill. The order of elimination hence depends on the values. A pivot is zero if nothing is left of its row but
    16 units of rounding of A's row.

    Orders by P. R. Amestoy, T. A. Davis and I. S. Duff, SIAM J. Matrix Anal. Appl. 17 (1996); fronts by I. S. Duff and
    J. K. Reid, ACM Trans. Math. Softw. 9 (1983).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40), format="csc")
    >>> factor = sp.linalg.cholesky(A)
    >>> factor.solve(A @ np.ones(40))[:3].round(12)
    array([1., 1., 1.])
    >>> float(factor.refactor(2 * A.data).inverse_diagonal()[0].item())  # doctest: +ELLIPSIS
    0.4878...
    >>> sp.linalg.cholesky(sp.csc_array([[0.0, 1.0], [1.0, 0.0]]), method="ldl").inertia
    (1, 1, 0)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    A = as_sparse(A if issparse(A) and A.format == "csr" else as_columns(A, "cholesky")).tocsc()
    n = require_square(A)
    return SparseCholesky._of(A._canonical(), METHODS[method], None, order_of(ordering, n))


def _index_dtype(size: int) -> Any:
    return np.int32 if size <= np.iinfo(np.int32).max else np.int64


sparse_cholesky = cholesky

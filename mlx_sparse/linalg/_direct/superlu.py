"""LU factorisations by SciPy's SuperLU, complete and incomplete; `factorized`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.sparse.linalg as _scipy_linalg

from ... import _dense, _dtypes
from ..._base import _spbase, issparse
from ..._classes import from_scipy
from .._operator import Operator, as_operator, is_traced
from .._problem import check_dtype, float_dtype, host_dtype, refuse_traced, require_square
from .._solve import host_inverse_product
from .operands import ADJOINT, as_columns, host_form, lu_solve
from .umfpack import Umfpack, umfpack_is_used

_MOST = 20  # columns of a panel or a relaxed supernode: SuperLU counts them by size, in an array of so many


class SuperLU:
    """An LU factorisation ``Pr A Pc = L U``, made by `splu` or `spilu`.

    It lives on the host whatever the default device is. Solutions with an `mx.array` are differentiable with respect to
    it and, where `splu` made the factors, to the values of the factored array: derivatives use the same factors.

    Attributes
    ----------
    shape : tuple of int
        Shape of the factored array.
    nnz : int
        Number of stored entries of both factors.
    perm_r, perm_c : dense int32 array, shape (n,)
        Permutations of rows and columns: ``Pr[perm_r[i], i] = 1`` and ``Pc[i, perm_c[i]] = 1``.
    L, U : csc_array, shape (n, n)
        The factors: L with a unit diagonal.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> lu = sp.linalg.splu(sp.csc_array([[1.0, 0.0, 0.0], [5.0, 0.0, 2.0], [0.0, -1.0, 0.0]]))
    >>> lu.solve(np.array([1.0, 2.0, 3.0]))
    array([ 1. , -3. , -1.5])
    """

    _lu: Any
    _dtypes: tuple[mx.Dtype, ...]  # those of an mx.array that `solve` takes, that of the factored array first
    _operator: Operator  # the factored array, where its values are traced

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("cannot create 'SuperLU' instances; use splu or spilu")

    @classmethod
    def _of(cls, A: Any, factor: Callable[[Any], Any], exact: bool = True) -> Any:
        """`factor` applied to SciPy's form of `A`; with `exact` factors, solutions are differentiable in its values."""
        require_square(A, rule="can only factor square matrices")
        if not exact:
            refuse_traced(A, "its factorisation")
        front = as_operator(A)
        dtype = float_dtype(host_dtype(A))
        new = cls.__new__(cls)
        new._lu = factor(host_form(front.constant().operand, dtype))
        value = A._data.dtype if isinstance(A, _spbase) else _dtypes.mlx_dtype(A.dtype)
        new._dtypes = value, _dtypes.mlx_dtype(dtype)
        new._operator = front if exact and is_traced(*front.values) else Operator()
        return new

    def __repr__(self) -> str:
        return f"<SuperLU object of shape {self.shape} with {self.nnz} stored elements>"

    @property
    def shape(self) -> tuple[int, int]:
        return self._lu.shape

    @property
    def nnz(self) -> int:
        return self._lu.nnz

    @property
    def perm_r(self) -> Any:
        refuse_traced(self._operator, "perm_r")
        return _dense.in_namespace(_dense.to_mlx(self._lu.perm_r))

    @property
    def perm_c(self) -> Any:
        refuse_traced(self._operator, "perm_c")
        return _dense.in_namespace(_dense.to_mlx(self._lu.perm_c))

    @property
    def L(self) -> Any:
        refuse_traced(self._operator, "L")
        return from_scipy(self._lu.L)

    @property
    def U(self) -> Any:
        refuse_traced(self._operator, "U")
        return from_scipy(self._lu.U)

    def solve(self, rhs: Any, trans: str = "N") -> Any:
        """Solve ``A x = rhs`` with the factors. Synchronises.

        Parameters
        ----------
        rhs : ndarray or mx.array, shape (n,) or (n, k)
        trans : {"N", "T", "H"}
            Solve with A, its transpose or its conjugate transpose.

        Returns
        -------
        x : array of the shape of `rhs`, in its namespace

        Raises
        ------
        TypeError
            `rhs` is sparse, its values cannot be cast safely to those of the factors, or it is an `mx.array` whose
            dtype is neither that of the factored array nor that of the factors.
        ValueError
            `rhs` has another length than A, or `trans` is none of the three.
        """
        if issparse(rhs):
            raise TypeError(f"rhs must be a dense array; got {type(rhs).__name__}. Use toarray or spsolve")
        rhs = _dense.as_dense(rhs)
        if not _dense.is_mlx(rhs):
            refuse_traced(self._operator, "x of an ndarray")
            return self._lu.solve(_dense.narrow(rhs), trans)
        check_dtype(rhs, *self._dtypes)
        if trans not in ("N", "T", "H"):
            raise ValueError(f"trans must be N, T, or H; got {trans!r}")

        def solve(b: np.ndarray, adjoint: bool) -> np.ndarray:
            return lu_solve(self._lu, b, ADJOINT[trans] if adjoint else trans)

        A = self._operator
        if A.values and trans != "N":
            A = A.H if trans == "H" else as_operator(A.operand.transpose())
        return host_inverse_product(A, rhs, solve, _dtypes.numpy_dtype(self._dtypes[-1]))


def splu(
    A: Any,
    permc_spec: str | None = None,
    diag_pivot_thresh: float | None = None,
    relax: int | None = None,
    panel_size: int | None = None,
    options: dict[str, Any] | None = None,
) -> SuperLU:
    """LU factorisation of a square sparse array by SuperLU. Runs on the host; synchronises.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        csc, which SuperLU reads in place; anything else is converted with a `SparseEfficiencyWarning`.
    permc_spec : {"COLAMD", "NATURAL", "MMD_ATA", "MMD_AT_PLUS_A"}, optional
        Column ordering. Default: COLAMD.
    diag_pivot_thresh : float, optional
        From which share of the largest entry of its column on a diagonal entry is taken as the pivot, in [0, 1].
    relax, panel_size : int, optional
        Sizes of relaxed supernodes and of panels, at least 1; above 20 they count as 20.
    options : dict, optional
        Further options of SuperLU, such as ``dict(Equil=False)``.

    Returns
    -------
    SuperLU

    Raises
    ------
    RuntimeError
        `A` is singular.
    ValueError
        `A` is not square, its structure does not fit 32-bit indices, or another argument is unknown or out of range.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> lu = sp.linalg.splu(sp.csc_array([[2.0, 1.0], [0.0, 4.0]]))
    >>> lu.solve(np.array([4.0, 8.0])), lu.solve(np.array([4.0, 8.0]), "T")
    (array([1., 2.]), array([2. , 1.5]))

    Differences from SciPy
    ----------------------
    float16 and bfloat16 are factored in float32.
    """
    A = as_columns(A, "splu")
    given = checked_options(options, Relax=relax, PanelSize=panel_size)
    extra = dict(permc_spec=permc_spec, diag_pivot_thresh=diag_pivot_thresh, options=given)
    return SuperLU._of(A, partial(_scipy_linalg.splu, **extra))


def spilu(
    A: Any,
    drop_tol: float | None = None,
    fill_factor: float | None = None,
    drop_rule: Any = None,
    permc_spec: str | None = None,
    diag_pivot_thresh: float | None = None,
    relax: int | None = None,
    panel_size: int | None = None,
    options: dict[str, Any] | None = None,
) -> SuperLU:
    """Incomplete LU factorisation by SuperLU: an approximate inverse, for preconditioning. Runs on the host.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        As for `splu`, and so are the parameters not listed here.
    drop_tol : float, optional
        Entries below this share of their column's largest one are dropped, in [0, 1]. Default: 1e-4.
    fill_factor : float, optional
        Most entries of the factors, as a multiple of those of `A`; at least 1. Default: 10.
    drop_rule : str, optional
        Rules separated by commas: "basic", "prows", "column", "area", "secondary", "dynamic", "interp".
        Default: "basic,area".

    Returns
    -------
    SuperLU

    Raises
    ------
    RuntimeError
        `A` is singular.
    ValueError
        As for `splu`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50), format="csc")
    >>> b = np.ones(50)
    >>> bool(np.abs(A @ sp.linalg.spilu(A).solve(b) - b).max() < 1e-3)
    True
    """
    A = as_columns(A, "spilu")
    given = checked_options(options, Relax=relax, PanelSize=panel_size, ILU_FillFactor=fill_factor)
    factor = partial(
        _scipy_linalg.spilu,
        drop_tol=drop_tol,
        drop_rule=drop_rule,
        permc_spec=permc_spec,
        diag_pivot_thresh=diag_pivot_thresh,
        options=given,
    )
    return SuperLU._of(A, factor, exact=False)


def checked_options(options: dict[str, Any] | None, **named: Any) -> dict[str, Any]:
    """`options` with those that have names of their own. SuperLU itself hangs or crashes by some of them.

    Raises
    ------
    TypeError
        A size is no integer.
    ValueError
        A size or `fill_factor` is below 1, or factors are to be used that are not there.
    """
    given = {name: value for name, value in named.items() if value is not None} | (options or {})
    for name, word in (("Relax", "relax"), ("PanelSize", "panel_size")):
        if name in given:
            size = operator.index(given[name])
            if size < 1:
                raise ValueError(f"{word} must be at least 1; got {size}")
            given[name] = min(size, _MOST)
    if not given.get("ILU_FillFactor", 1) >= 1:
        raise ValueError(f"fill_factor must be at least 1; got {given['ILU_FillFactor']}")
    if given.get("Fact", "DOFACT") != "DOFACT":
        raise ValueError(f"options['Fact'] must be 'DOFACT', as there are no factors yet; got {given['Fact']!r}")
    return given


def factorized(A: Any) -> Callable[[Any], Any]:
    """The function b -> x that solves ``A x = b``, with `A` factored once. Runs on the host; synchronises.

    Parameters
    ----------
    A : sparse array, shape (n, n)
        csc; anything else is converted with a `SparseEfficiencyWarning`.

    Returns
    -------
    solve : callable
        Takes an ndarray or mx.array of shape (n,) or (n, k) and gives one like it: `SuperLU.solve`, or UMFPACK's solve
        for a float64 or complex128 `A` where `use_solver` says so.

    Raises
    ------
    RuntimeError
        `A` is singular, or UMFPACK is to be used and not installed.
    ValueError
        `A` is not square.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> solve = sp.linalg.factorized(sp.csc_array([[3.0, 2.0, -1.0], [2.0, -2.0, 4.0], [-1.0, 0.5, -1.0]]))
    >>> solve(np.array([1.0, -2.0, 0.0])).round(12)
    array([ 1., -2., -2.])
    """
    A = as_columns(A, "splu")
    if umfpack_is_used() and float_dtype(host_dtype(A)).char in "dD":
        return SuperLU._of(A, Umfpack).solve
    return splu(A).solve

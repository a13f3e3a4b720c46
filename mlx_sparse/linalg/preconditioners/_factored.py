"""Preconditioners that solve with factors, incomplete ones or not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes
from ..._construct import eye_array
from ..._csc import csc_array
from .._direct import incomplete, superlu
from .._direct.methods import factor
from .._direct.operands import Parts
from .._operator import Stage
from .._problem import float_dtype, host_dtype, refuse_traced, require_square
from ._base import Preconditioner, Product, every, matrix, real_number

Solve = Callable[[Any], Any]


class _Incomplete(Preconditioner):
    """Solves with the factors of `linalg.ilu0` or `linalg.ichol0`, kept as `factors`."""

    def __init__(self, kind: str, factors: Any) -> None:
        super().__init__(kind, factors.shape[0], factors.dtype, kind == "ichol0")
        self.factors = factors

    @property
    def nnz(self) -> int:
        return self.factors.nnz

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        factors, trans, dtype = self.factors, "H" if adjoint else "N", _dtypes.mlx_dtype(dtype)
        return lambda x: factors._solved(x, trans, dtype)

    def _stages(self, dtype: mx.Dtype, adjoint: bool) -> list[Stage] | None:
        return every(T.stage(form) for T, form in self.factors._course("H" if adjoint else "N", dtype))


def _shifted(A: Any, shift: float) -> Any:
    shift = real_number(shift, "shift")
    if not shift:
        return A
    A = matrix(A, "a preconditioner made of it")
    return A + eye_array(A.shape[0], dtype=A.dtype, format="csr") * shift


def ilu0(A: Any, *, shift: float = 0.0) -> Preconditioner:
    """Solves with the incomplete LU factors of `linalg.ilu0`, which have entries where `A` has.

    Parameters
    ----------
    A : sparse array or dense array, shape (n, n)
    shift : float
        Added to the diagonal before the factorisation.

    Returns
    -------
    Preconditioner
        Its attribute `factors` is the `IncompleteLU`.

    Raises
    ------
    LinAlgError
        A diagonal entry is missing, or a pivot is zero relative to its row, or not finite; names the row.
    ValueError
        `A` is not square, or its values are traced.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 1.0], [2.0, 3.0]])
    >>> x, info = sp.linalg.bicgstab(A, np.array([5.0, 5.0]), M=sp.linalg.preconditioners.ilu0(A))
    >>> x.round(6)
    array([1., 1.])
    """
    return _Incomplete("ilu0", incomplete.ilu0(_shifted(A, shift)))


def ichol0(A: Any, *, shift: float = 0.0) -> Preconditioner:
    """Solves with the incomplete Cholesky factor of `linalg.ichol0`, which has entries where `A` has.

    Parameters
    ----------
    A : sparse array or dense array, shape (n, n)
        Hermitian positive definite; only its lower triangle is read.
    shift : float
        Added to the diagonal before the factorisation, which may have no factor without it.

    Returns
    -------
    Preconditioner
        Hermitian positive definite. Its attribute `factors` is the `IncompleteCholesky`.

    Raises
    ------
    LinAlgError
        A diagonal entry is missing, or a pivot is not positive relative to it, or not finite; names the row.
    ValueError
        `A` is not square, or its values are traced.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 1.0], [1.0, 3.0]])
    >>> x, info = sp.linalg.cg(A, np.array([5.0, 4.0]), M=sp.linalg.preconditioners.ichol0(A))
    >>> x.round(6)
    array([1., 1.])
    """
    return _Incomplete("ichol0", incomplete.ichol0(_shifted(A, shift)))


class _Solver(Preconditioner):
    """Solves of functions: of ndarrays, or with `lazy_too` of `mx.array` as well. They take blocks."""

    def __init__(
        self,
        kind: str,
        n: int,
        dtype: Any,
        solve: Solve,
        adjoint: Solve | None,
        is_hermitian: bool,
        lazy_too: bool = False,
    ) -> None:
        super().__init__(kind, n, dtype, is_hermitian)
        self._solve, self._solve_adjoint, self.on_device = solve, adjoint, lazy_too

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        solve: Any = self._solve_adjoint if adjoint else self._solve
        if solve is None:
            raise NotImplementedError(f"the preconditioner {self.kind} does not tell its adjoint")
        if lazy and self.on_device:
            return lambda x: _dense.to_mlx(solve(x), dtype)
        numbers = _dtypes.numpy_dtype(dtype)
        parts = numbers.kind == "c" and not self._is_complex  # of real factors

        def product(x: np.ndarray) -> np.ndarray:
            if parts:
                found = solve(x.real.astype(self.dtype)) + 1j * solve(x.imag.astype(self.dtype))
            else:
                found = np.asarray(solve(x.astype(self.dtype, copy=False)))
            return found.astype(numbers, casting="same_kind", copy=False)

        return (lambda x: _dense.to_mlx(product(_dense.view(x)), dtype)) if lazy else product


def spilu(A: Any, drop_tol: float | None = None, fill_factor: float | None = None, **options: Any) -> Preconditioner:
    """Solves with the incomplete LU factors of `linalg.spilu`, which have fill above a tolerance.

    Parameters
    ----------
    A : sparse array or dense array, shape (n, n)
    drop_tol : float, optional
        What is smaller, relative to its column, is dropped. Default: 1e-4.
    fill_factor : float, optional
        How many times as many entries as `A` the factors may have. Default: 10.
    **options
        Others of `linalg.spilu`.

    Returns
    -------
    Preconditioner
        It computes on ndarrays.

    Raises
    ------
    RuntimeError
        `A` is singular.
    ValueError
        `A` is not square, or its values are traced.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 1.0], [2.0, 3.0]])
    >>> (sp.linalg.preconditioners.spilu(A) @ np.array([5.0, 5.0])).round(6)
    array([1., 1.])
    """
    A = csc_array(matrix(A, "a preconditioner made of it"))
    lu = superlu.spilu(A, drop_tol=drop_tol, fill_factor=fill_factor, **options)._lu
    return _Solver("spilu", A.shape[0], float_dtype(host_dtype(A)), lu.solve, lambda b: lu.solve(b, "H"), False)


def exact(A: Any, *, method: str = "auto") -> Preconditioner:
    """Solves with a complete factorisation: of the matrix of a system that is near the one to be solved.

    Parameters
    ----------
    A : sparse array or dense array, shape (n, n)
    method : {"auto", "diagonal", "triangular", "banded", "cholesky", "lu"}
        Which factorisation; "auto" chooses as `linalg.spsolve` does.

    Returns
    -------
    Preconditioner
        It computes on ndarrays.

    Raises
    ------
    LinAlgError
        `A` has not the form that `method` asks for.
    RuntimeError
        `A` is singular.
    ValueError
        `A` is not square, or its values are traced; or an unknown `method`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 1.0], [2.0, 3.0]])
    >>> (sp.linalg.preconditioners.exact(A) @ np.array([5.0, 5.0])).round(6)
    array([1., 1.])
    """
    A = csc_array(matrix(A, "a preconditioner made of it"))
    require_square(A, rule="can only factor square matrices")
    dtype = float_dtype(host_dtype(A))
    solve, made = factor(Parts(A, dtype), method)
    return _Solver("exact", A.shape[0], dtype, solve, lambda b: solve(b, True), made == "cholesky")


def from_factorized(
    solver: Any,
    shape: tuple[int, int] | None = None,
    *,
    dtype: Any = None,
    adjoint: Solve | None = None,
    is_hermitian: bool = False,
    xp: Any = None,
) -> Preconditioner:
    """Solves of a factorisation that exists already, or of any function that solves.

    Parameters
    ----------
    solver : object with `solve`, or callable
        ``solver.solve(b)``, for b of shape (n,) or (n, k), or ``solver(b)``, for b of shape (n,): as of `splu`, `ilu0`
        and `factorized`, SciPy's or this package's.
    shape : tuple of int, optional
        ``(n, n)``. Default: that of `solver`.
    dtype : dtype, optional
        NumPy's dtype of the factors, which `solver` is given. Default: that of `solver`, or of what it makes of zeros
        in double precision.
    adjoint : callable, optional
        ``adjoint(b)`` solves with the conjugate transpose. Default: ``solver.solve(b, trans="H")`` where that exists.
    is_hermitian : bool
        Whether the factored matrix is Hermitian.
    xp : module, optional
        `mlx.core` if the functions take and give `mx.array`. Default: ndarrays, except for factors of this package.

    Returns
    -------
    Preconditioner

    Raises
    ------
    TypeError
        `solver` has neither `solve` nor can be called.
    ValueError
        The shape is not known, or not square; or the values of factors of this package are traced.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> lu = sp.linalg.splu(sp.csc_array([[4.0, 1.0], [2.0, 3.0]]))
    >>> (sp.linalg.preconditioners.from_factorized(lu) @ np.array([5.0, 5.0])).round(6)
    array([1., 1.])
    """
    if isinstance(solver, incomplete._Factors):
        return _Incomplete("ilu0" if isinstance(solver, incomplete.IncompleteLU) else "ichol0", solver)
    if not (hasattr(solver, "solve") or callable(solver)):
        raise TypeError(f"solver must have solve or be callable; got {type(solver).__name__}")
    shape = getattr(solver, "shape", None) if shape is None else shape
    if shape is None:
        raise ValueError("the shape of the factored matrix is not known; give shape")
    n = require_square(_Shaped(tuple(shape)))
    if xp is not None and xp is not mx and xp is not np:
        raise ValueError(f"xp must be mlx.core or numpy; got {xp!r}")
    held = solver
    if isinstance(solver, superlu.SuperLU):
        refuse_traced(solver._operator, "a preconditioner made of it")
        held, dtype = solver._lu, solver._dtypes[-1] if dtype is None else dtype
    if hasattr(held, "solve"):
        solve = held.solve
        if adjoint is None and _takes_trans(solve):
            adjoint = lambda b: held.solve(b, trans="H")  # noqa: E731
    else:
        solve = _by_columns(held, mx if xp is mx else np)
    if adjoint is not None and not hasattr(held, "solve"):
        adjoint = _by_columns(adjoint, mx if xp is mx else np)
    given = getattr(solver, "dtype", None) if dtype is None else dtype
    if given is None:
        zeros: Any = mx.zeros(n) if xp is mx else np.zeros(n)
        given = solve(zeros).dtype
    return _Solver("factorized", n, _dtypes.numpy_dtype(given), solve, adjoint, is_hermitian, xp is mx)


class _Shaped:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


def _takes_trans(solve: Any) -> bool:
    try:
        return "trans" in inspect.signature(solve).parameters
    except ValueError:  # of a compiled class: SciPy's SuperLU
        return "trans" in (solve.__doc__ or "")


def _by_columns(solve: Solve, xp: Any) -> Solve:
    def blocks(b: Any) -> Any:
        if b.ndim == 1:
            return solve(b)
        return xp.stack([solve(b[:, j]) for j in range(b.shape[1])], axis=1) if b.shape[1] else b

    return blocks

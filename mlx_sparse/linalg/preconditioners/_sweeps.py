"""Preconditioners that are steps of a stationary or polynomial iteration."""

from __future__ import annotations

import operator
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import eigh_tridiagonal

from ... import _dense, _dtypes, _native
from ..._base import as_sparse, issparse
from ..._construct import diags_array
from ..._extract import tril, triu
from .._direct.substitution import Substitution
from .._eigen.lanczos import lanczos
from .._operator import Operator, Stage, as_operator, by_rows, kept
from .._problem import float_dtype, refuse_traced, require_square
from .._recording import Polynomial
from ._base import (
    Preconditioner,
    Product,
    bound,
    check_diagonal,
    constants,
    diagonal_of,
    every,
    matrix,
    real_number,
)

_STEPS = 20  # of Lanczos' method, which bounds a spectrum
_SEED = 20
_DEGREES = 16  # up to which programs are recorded: their length grows with the degree


class _Ssor(Preconditioner):
    def __init__(self, low: Any, high: Any, d: np.ndarray, omega: float, is_hermitian: bool) -> None:
        super().__init__("ssor", len(d), d.dtype, is_hermitian)
        self._low, self._high, self._middle = low, high, d * d.dtype.type(omega * (2 - omega))

    def _course(self, dtype: Any, adjoint: bool) -> tuple[str, Substitution, Substitution]:
        """The triangle that solves first, the one that solves then, and in which form."""
        low, high = (
            Substitution(T, lower, kept=True).astype(_dtypes.mlx_dtype(dtype))
            for T, lower in ((self._low, True), (self._high, False))
        )
        return ("H", high, low) if adjoint else ("N", low, high)

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        form, first, second = self._course(dtype, adjoint)
        middle = constants(self._middle.conj() if adjoint else self._middle, lazy, dtype)
        column = middle[:, None]
        if lazy:
            return lambda x: second.device((middle if x.ndim == 1 else column) * first.device(x, form), form)

        def product(x: np.ndarray) -> np.ndarray:
            y = first.host(x, form)
            y *= middle if x.ndim == 1 else column
            return second.host(y, form, overwrite=True)

        return product

    def _stages(self, dtype: mx.Dtype, adjoint: bool) -> list[Stage] | None:
        form, first, second = self._course(dtype, adjoint)
        middle = constants(self._middle.conj() if adjoint else self._middle, True, dtype)
        return every((first.stage(form), ("diagonal", [middle]), second.stage(form)))


def ssor(A: Any, omega: float = 1.0) -> Preconditioner:
    """A sweep of symmetric successive over-relaxation: ``omega (2 - omega) (D + omega U)^-1 D (D + omega L)^-1``.

    Parameters
    ----------
    A : sparse array or dense array, shape (n, n)
        L, D and U are its strict lower triangle, its diagonal and its strict upper triangle.
    omega : float
        Between 0 and 2, both excluded; 1 makes it a symmetric Gauss-Seidel sweep.

    Returns
    -------
    Preconditioner
        Hermitian if `A` is.

    Raises
    ------
    LinAlgError
        The diagonal holds a zero, nan or inf; names the row.
    ValueError
        `A` is not square, or its values are traced; or `omega` is out of range.

    Notes
    -----
    No factorisation: two triangular solves for each product, O(nnz). Section 4.1 of Y. Saad, Iterative Methods for
    Sparse Linear Systems, 2nd ed. (2003).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[4.0, 0.0], [2.0, 4.0]])
    >>> sp.linalg.preconditioners.ssor(A) @ np.array([4.0, 6.0])
    array([1., 1.])
    """
    omega = real_number(omega, "omega")
    if not 0 < omega < 2:
        raise ValueError(f"omega must be between 0 and 2; got {omega}")
    A = matrix(A, "a preconditioner made of it")
    d = diagonal_of(A)
    check_diagonal(d)
    D = diags_array(d, format="csr", dtype=d.dtype)
    low, high = ((D + T * d.dtype.type(omega)).tocsr()._canonical() for T in (tril(A, -1), triu(A, 1)))
    _native.evaluate(low._data, high._data)  # any thread may use them
    gap = (A - A.transpose().conj()).tocsr()
    return _Ssor(low, high, d, omega, not np.any(_dense.view(gap._entries())))


class _Chebyshev(Preconditioner):
    def __init__(self, A: Operator, dtype: np.dtype, degree: int, bounds: tuple[float, float]) -> None:
        super().__init__("chebyshev", A.shape[0], dtype, True)
        self._matrix, self.degree, (self.lambda_min, self.lambda_max) = A, degree, bounds
        self.on_device = not A.on_host

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        return polynomial(bound(self._matrix, lazy, dtype), self.lambda_min, self.lambda_max, self.degree)

    def _stages(self, dtype: mx.Dtype, adjoint: bool) -> list[Stage] | None:
        A = self._matrix.stored()
        if not A.sparse or not A.explicit or self.degree > _DEGREES:
            return None
        return [(_steps(self.lambda_min, self.lambda_max, self.degree), by_rows(A, dtype))]


def _steps(low: float, high: float, degree: int) -> Polynomial:
    middle, half = (high + low) / 2, (high - low) / 2
    steps = []
    rho = half / middle
    for _ in range(degree if half else 0):
        last, rho = rho, 1 / (2 * middle / half - rho)
        steps.append((rho * last, 2 * rho / half))
    return Polynomial(1 / middle, tuple(steps))


def polynomial(A: Product, low: float, high: float, degree: int) -> Product:
    """r -> x, which `degree` steps of Chebyshev's iteration from zero make of A x = r for a spectrum in [low, high]."""
    first, steps = _steps(low, high, degree)

    def product(r: Any) -> Any:
        x = d = r * first
        for keep, add in steps:
            r = r - A(d)
            d = d * keep + r * add
            x = x + d
        return x

    return product


def chebyshev(
    A: Any,
    *,
    degree: int = 2,
    lambda_min: float | None = None,
    lambda_max: float | None = None,
    estimate: bool = True,
) -> Preconditioner:
    """A polynomial in a Hermitian positive definite matrix that is small on its spectrum: products alone.

    Parameters
    ----------
    A : sparse array, dense array or LinearOperator, shape (n, n)
        Hermitian positive definite.
    degree : int
        Degree of the polynomial: products with `A` for each product with the preconditioner.
    lambda_min, lambda_max : float, optional
        Bounds of the spectrum of `A`, where they are known.
    estimate : bool
        Whether bounds that are not given come from 20 steps of Lanczos' method; else they come from the discs of
        Gershgorin, which need a matrix.

    Returns
    -------
    Preconditioner
        Hermitian. Its attributes `degree`, `lambda_min` and `lambda_max` tell what it was made with.

    Raises
    ------
    LinAlgError
        The estimates show that `A` is not positive definite.
    ValueError
        `A` is not square, or its values are traced; bounds that are none, or a negative `degree`.

    Notes
    -----
    Of Ritz values the largest is raised by a tenth; the lower bound is half the smallest, but at most a tenth of the
    upper one: what stands below it is left to the solver. Algorithm 12.1 of Y. Saad, Iterative Methods for Sparse
    Linear Systems, 2nd ed. (2003).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([1.0, 2.0, 3.0, 4.0], format="csr")
    >>> M = sp.linalg.preconditioners.chebyshev(A, degree=8, lambda_min=1.0, lambda_max=4.0)
    >>> (M @ np.array([1.0, 2.0, 3.0, 4.0])).round(3)
    array([1., 1., 1., 1.])
    """
    degree = operator.index(degree)
    if degree < 0:
        raise ValueError(f"degree must not be negative; got {degree}")
    require_square(A)
    front, dtype = _operand(A)
    low = None if lambda_min is None else real_number(lambda_min, "lambda_min")
    high = None if lambda_max is None else real_number(lambda_max, "lambda_max")
    if low is None or high is None:
        low, high = _bounds(front, dtype, low, high, estimate)
    if not 0 < low <= high:
        raise ValueError(f"bounds of a spectrum must satisfy 0 < lambda_min <= lambda_max; got {low}, {high}")
    return _Chebyshev(front, dtype, degree, (float(low), float(high)))


def _operand(A: Any) -> tuple[Operator, np.dtype]:
    """The front of `A` and its dtype, one of linear systems."""
    if issparse(A):
        A = as_sparse(A)
        A = A.astype(_dtypes.mlx_dtype(float_dtype(_dtypes.numpy_dtype(A._data.dtype))), copy=False)
    front = as_operator(kept(A))
    refuse_traced(front, "a preconditioner made of it")
    known = np.asarray(front.host()(np.ones(front.shape[1]))).dtype if front.dtype is None else front.dtype
    return front, float_dtype(np.dtype(known))


def _bounds(A: Operator, dtype: np.dtype, low: Any, high: Any, estimate: bool) -> tuple[float, float]:
    if A.shape[0] == 0:
        return low or 1.0, high or 1.0
    if estimate:
        ritz = ritz_values(A, dtype)
        if not np.isfinite(ritz).all():
            raise LinAlgError("A is not finite: it holds inf or nan, or its sums overflow")
        largest, smallest = ritz.max(), ritz.min()
        if largest <= 0 or smallest < -8 * np.finfo(dtype).eps * len(ritz) * largest:
            raise LinAlgError(f"A is not positive definite: it has an eigenvalue near or below {smallest:.3g}")
        high = 1.1 * largest if high is None else high
        return (max(np.finfo(dtype).tiny, min(0.5 * smallest, 0.1 * high)) if low is None else low), high
    if not A.explicit:
        raise ValueError("Gershgorin's discs need the entries of A; leave estimate=True for an operator")
    B = matrix(A.operand, "a preconditioner made of it")
    sizes = np.asarray(abs(B) @ np.ones(B.shape[1]))
    d = diagonal_of(B).real
    if not np.isfinite(sizes).all():
        raise LinAlgError("A is not finite: it holds inf or nan, or its sums overflow")
    high = float(sizes.max()) if high is None else high
    least = float((d - (sizes - np.abs(d))).min())
    return (least if least > 0 else 0.1 * high) if low is None else low, high


def ritz_values(A: Operator, dtype: np.dtype) -> np.ndarray:
    """Eigenvalues of a Hermitian A on a Krylov space of some 20 dimensions; the same in every call."""
    n = A.shape[0]
    start = np.random.default_rng(_SEED).standard_normal(n).astype(dtype)
    try:
        alphas, betas = lanczos(A, min(_STEPS, n), v0=start, return_basis=False)
    except ValueError:  # numbers that are none
        return np.array([np.nan])
    return eigh_tridiagonal(alphas, betas[:-1], eigvals_only=True)

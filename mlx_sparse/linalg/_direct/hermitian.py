"""Factorisations of Hermitian arrays of SciPy's on the host: what `SparseCholesky` and `spsolve` share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.linalg import LinAlgError

from ... import _dtypes, _native
from .._problem import float_dtype, workers
from .orderings import MINIMUM_DEGREE, Order

_ALONE = nullcontext()  # one right-hand side is one worker's
BOTH, LOWER, UPPER = _native.Half.both, _native.Half.lower, _native.Half.upper


class Analysis:
    """What the structure of a canonical csc or csr array decides: see `native/kernels/supernodes.h`."""

    def __init__(self, host: Any, order: Order = MINIMUM_DEGREE) -> None:
        self.indices, self.indptr = host.indices.astype(np.int32, copy=False), host.indptr.astype(np.int64)
        self.mirror = _native.mirror_entries(self.indptr, self.indices)  # position of (j, i) for each entry (i, j)
        if self.mirror is None:
            raise LinAlgError("A is not Hermitian: its structure is not symmetric")
        self.order = order(self.indptr, self.indices) if callable(order) else order
        self._plans: dict[Any, Any] = {}

    def plan(self, form: Any) -> Any:
        """Of a factorisation of this form. It settles `order`."""
        if form not in self._plans:
            found = _native.plan_cholesky(self.indptr, self.indices, self.order, form)
            self._plans[form], self.order = found, found.order
        return self._plans[form]

    def require_hermitian(self, data: np.ndarray) -> None:
        """As nearly as rounding in products such as B^H B allows.

        Raises
        ------
        LinAlgError
            It is not.
        ValueError
            An entry is not finite.
        """
        off, most = _native.asymmetry(self.mirror, data)
        if most != most:
            raise ValueError("A must not contain infs or NaNs")
        if off and not off <= 100 * np.finfo(data.dtype).eps * most:
            raise LinAlgError(
                f"A is not Hermitian: entries differ by {off:.3g} from the conjugate of their mirror images"
            )


class HermitianFactor(ABC):
    """The factorisation L D L^H of a canonical csc array, or of a csr array, which is the conjugate of a Hermitian one.

    Raises
    ------
    LinAlgError
        It is not Hermitian.
    ValueError
        An entry is not finite.
    """

    def __init__(self, host: Any, analysis: Analysis | None, order: Order) -> None:
        self.dtype, self._conjugate = host.dtype, host.format == "csr"
        self._held: Any = None
        self.analysis = Analysis(host, order) if analysis is None else analysis
        self.analysis.require_hermitian(np.ascontiguousarray(host.data))

    def solve(self, b: np.ndarray, adjoint: bool = False, half: Any = BOTH) -> np.ndarray:
        """A^-1 b, or half of it in the order of elimination, in the wider dtype of both that the device has."""
        wide = _dtypes.numpy_dtype(_dtypes.mlx_dtype(np.promote_types(self.dtype, float_dtype(b.dtype))))
        if wide.kind == "c" and self.dtype.kind != "c":
            real, imag = (self.solve(part, half=half) for part in (b.real, b.imag))
            return (real + 1j * imag).astype(wide, copy=False)
        b = np.ascontiguousarray(b, self.dtype)
        with workers() if b.ndim == 2 else _ALONE:
            x = self._solve(b.conj() if self._conjugate else b, half)
        return (x.conj() if self._conjugate else x).astype(wide, copy=False)

    __call__ = solve

    def device(self, A: Any, b: mx.array) -> mx.array:
        """A^-1 b for an `mx.array` of the dtype of A: lazy, differentiable in b and the values of A.

        A: the canonical csr or csc array of this package that was factored, its values traced perhaps.
        """
        if self._held is None:
            self._held = self._hold()
        op = _native.InverseForm(A.format == "csc", False)
        return _native.solve_by_factor(self._held, op, (A._entries(), A._indices, A._indptr), b, None)

    @abstractmethod
    def _hold(self) -> Any:
        """What nodes of the graph solve with.

        Raises
        ------
        LinAlgError
            A is singular.
        """

    @abstractmethod
    def _solve(self, b: np.ndarray, half: Any) -> np.ndarray:
        """Of a contiguous b of the dtype of A."""

    @property
    @abstractmethod
    def method(self) -> str:
        """The name of the method in `cholesky`."""

    @property
    @abstractmethod
    def order(self) -> np.ndarray:
        """The rows of A as they are eliminated."""

    @property
    @abstractmethod
    def nnz(self) -> int:
        """Entries of L."""

    @property
    @abstractmethod
    def inertia(self) -> tuple[int, int, int]:
        """How many eigenvalues are positive, negative and zero."""

    @abstractmethod
    def slogdet(self) -> tuple[float, float]:
        """The sign of the determinant and the logarithm of its modulus."""

    @abstractmethod
    def lower(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """L by columns: data, indices, indptr."""

    @abstractmethod
    def diagonal(self) -> tuple[np.ndarray, np.ndarray]:
        """The diagonal of D and its entries below that."""

    @abstractmethod
    def inverse_entries(self) -> tuple[np.ndarray, np.ndarray]:
        """A^-1 at the stored places of A, and its diagonal."""


class Cholesky(HermitianFactor):
    """D is the identity here.

    Raises
    ------
    LinAlgError
        It is not Hermitian or not positive definite.
    """

    form = _native.CholeskyForm.automatic

    def __init__(self, host: Any, analysis: Analysis | None = None, order: Order = MINIMUM_DEGREE) -> None:
        super().__init__(host, analysis, order)
        self.plan = self.analysis.plan(self.form)
        with workers():
            self.factor = _native.factor_cholesky(self.plan, np.ascontiguousarray(host.data))
        if self.factor.failed >= 0:
            raise LinAlgError(f"A is not positive definite: the pivot of row {self.factor.failed} is not positive")

    def _hold(self) -> Any:
        return self.factor.held()

    @property
    def method(self) -> str:
        return "simplicial" if self.plan.simplicial else "supernodal"

    def _solve(self, b: np.ndarray, half: Any) -> np.ndarray:
        return self.factor.solve(b, half)

    @property
    def order(self) -> np.ndarray:
        return self.analysis.order

    @property
    def nnz(self) -> int:
        return self.plan.entries

    @property
    def inertia(self) -> tuple[int, int, int]:
        return self.order.size, 0, 0

    def slogdet(self) -> tuple[float, float]:
        return 1.0, 2 * np.log(self.factor.pivots().astype(np.float64)).sum()

    def lower(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        data, indices, indptr = self.factor.lower()
        return data.conj() if self._conjugate else data, indices, indptr

    def diagonal(self) -> tuple[np.ndarray, np.ndarray]:
        n = self.order.size
        return np.ones(n, self.dtype), np.zeros(max(n - 1, 0), self.dtype)

    def inverse_entries(self) -> tuple[np.ndarray, np.ndarray]:
        analysis = self.analysis
        values = np.zeros(analysis.indices.size, self.dtype)
        with workers():
            diagonal = self.factor.inverse_entries(values)
        place = np.argsort(analysis.order)
        known = place[analysis.indices] >= np.repeat(place, np.diff(analysis.indptr))
        return np.where(known, values, values[analysis.mirror].conj()), diagonal[place]


class Simplicial(Cholesky):
    """Column by column, whatever the factor is like."""

    form = _native.CholeskyForm.simplicial


class Supernodal(Cholesky):
    """By fronts, whatever the factor is like."""

    form = _native.CholeskyForm.supernodal

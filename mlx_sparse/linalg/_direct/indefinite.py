"""The factorisation L D L^H of SciPy's arrays on the host, for Hermitian arrays that need not be definite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ... import _native
from .._problem import workers
from .hermitian import BOTH, LOWER, Analysis, HermitianFactor
from .orderings import MINIMUM_DEGREE, Order


class Indefinite(HermitianFactor):
    """As `Cholesky`, of an array that may be indefinite or singular.

    What is factored is S A S with powers of two S that bring the largest entry of each row near 1: pivots are compared
    with the entries of their columns then, and what is left of a row with the rounding of its entries.

    Raises
    ------
    LinAlgError
        It is not Hermitian.
    """

    def __init__(self, host: Any, analysis: Analysis | None = None, order: Order = MINIMUM_DEGREE) -> None:
        super().__init__(host, analysis, order)
        n = host.shape[0]
        self._scale = _scale(host)
        by = self._scale[np.repeat(np.arange(n), np.diff(host.indptr))] * self._scale[host.indices]
        self.plan = self.analysis.plan(_native.CholeskyForm.supernodal)
        with workers():
            self.factor = _native.factor_ldl(self.plan, np.ascontiguousarray(host.data * by))

    @property
    def singular(self) -> bool:
        return self.factor.zeros > 0

    method = "ldl"

    @property
    def order(self) -> np.ndarray:
        return self.factor.order()

    @property
    def nnz(self) -> int:
        return self.factor.entries

    @property
    def inertia(self) -> tuple[int, int, int]:
        diagonal, beside = self.factor.pivots()
        pair = np.flatnonzero(beside)
        a = diagonal[pair]
        mixed = _determinants(a, diagonal[pair + 1], beside[pair]) < 0
        diagonal[pair] = np.where(mixed, 1, a)
        diagonal[pair + 1] = np.where(mixed, -1, a)  # of one sign otherwise
        return int((diagonal > 0).sum()), int((diagonal < 0).sum()), self.factor.zeros

    def slogdet(self) -> tuple[float, float]:
        if self.singular:
            return 0.0, -np.inf
        diagonal, beside = self.factor.pivots()
        pair = np.flatnonzero(beside)
        sizes = np.abs(diagonal).astype(np.float64)
        sizes[pair] = np.abs(_determinants(diagonal[pair], diagonal[pair + 1], beside[pair]))
        sizes[pair + 1] = 1
        logarithm = np.log(sizes).sum() - 2 * np.log(self._scale.astype(np.float64)).sum()
        return -1.0 if self.inertia[1] % 2 else 1.0, float(logarithm)

    def lower(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """L with a unit diagonal, by columns whose rows are not sorted."""
        data, indices, indptr = self.factor.lower()
        scale = self._scale[self.order]
        columns = np.repeat(scale, np.diff(indptr))
        return (data.conj() if self._conjugate else data) / scale[indices] * columns, indices, indptr

    def diagonal(self) -> tuple[np.ndarray, np.ndarray]:
        """The diagonal of D and its entries below that."""
        diagonal, beside = self.factor.pivots()
        inverse = 1 / self._scale[self.order]
        beside = beside[:-1].conj() if self._conjugate else beside[:-1]
        return diagonal * inverse**2, beside * inverse[:-1] * inverse[1:]

    def inverse_entries(self) -> tuple[np.ndarray, np.ndarray]:
        self._require_regular()
        analysis, scale = self.analysis, self._scale
        values = np.zeros(analysis.indices.size, self.dtype)
        with workers():
            diagonal = self.factor.inverse_entries(analysis.indptr, analysis.indices, values)
        place = np.argsort(self.order)
        columns = np.repeat(np.arange(place.size), np.diff(analysis.indptr))
        known = place[analysis.indices] >= place[columns]
        values = np.where(known, values, values[analysis.mirror].conj())
        return values * scale[analysis.indices] * scale[columns], diagonal * scale**2

    def _hold(self) -> Any:
        self._require_regular()
        return self.factor.held(self._scale)

    def _solve(self, b: np.ndarray, half: Any) -> np.ndarray:
        self._require_regular()
        scale = self._scale if half == BOTH else self._scale[self.order]
        scale = scale if b.ndim == 1 else scale[:, None]
        if half == BOTH:
            return self.factor.solve(b * scale, half) * scale
        return (
            self.factor.solve(b * scale, half) / scale if half == LOWER else self.factor.solve(b / scale, half) * scale
        )

    def _require_regular(self) -> None:
        if self.singular:
            raise LinAlgError(f"A is singular: {self.factor.zeros} of its pivots are zero")


def _determinants(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return a * b - np.abs(c).astype(np.float64) ** 2


def _scale(host: Any) -> np.ndarray:
    """Powers of two with which the largest entry of each row of a Hermitian array comes near 1."""
    size = np.abs(host.data).astype(np.float64)
    filled = np.diff(host.indptr) > 0
    major = np.repeat(np.arange(host.shape[0]), np.diff(host.indptr))
    exponent = np.zeros(host.shape[0], np.int64)
    for _ in range(2):
        largest = np.ones(host.shape[0])
        scaled = np.ldexp(size, exponent[major] + exponent[host.indices])
        largest[filled] = np.maximum.reduceat(scaled, host.indptr[:-1][filled]) if size.size else 1
        exponent -= np.rint(np.log2(np.where(largest > 0, largest, 1)) / 2).astype(np.int64)
    return np.ldexp(1.0, exponent).astype(np.finfo(host.dtype).dtype)

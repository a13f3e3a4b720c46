"""The space of short ndarrays, and the basis of all that are made of ndarrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _native
from ._vectors import BLOCK, ONE, ZERO, Breakdown, Product, Products, Single, same


class _HostBasis:
    """The first `count` rows of an ndarray."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.count = rows, 0

    def clear(self) -> None:
        self.count = 0


class Host(Single):
    """ndarrays of shape (n,), updated in place."""

    _slack = 0.0

    def __init__(self, b: np.ndarray, products: Products) -> None:
        self._b, self.eps = b, float(np.finfo(b.dtype).eps)
        self._scratch = np.empty_like(b[:BLOCK])
        self.dot: Any = np.vdot if np.iscomplexobj(b) else np.dot
        for word, product in products.items():
            setattr(self, word, same if product is None else self._bound(product))
        self._product: Any = products["A"]

    def _bound(self, product: Product) -> Product:
        return product

    def vector(self, x: np.ndarray) -> Any:
        return x

    def array(self, v: Any) -> np.ndarray:
        return v

    def zeros(self) -> Any:
        return self.vector(np.zeros_like(self._b))

    def residual(self, x: Any) -> Any:
        return self.vector(self._b - self._product(self.array(x)))

    def ratio(self, a: Any, b: Any) -> Any:
        if not b:
            raise Breakdown
        return a / b

    def above(self, a: Any, least: Any, code: int) -> Any:
        size = abs(a)
        if not least < size < math.inf:
            raise Breakdown(code if size <= least < math.inf else None)
        return a

    def minus(self, a: Any) -> Any:
        return -a

    def conj(self, a: Any) -> Any:
        return a.conjugate()

    def real(self, a: Any) -> Any:
        return a.real

    def root(self, a: Any) -> Any:
        return math.sqrt(a.real) if a.real >= 0 else math.nan

    def reciprocal(self, b: Any) -> Any:
        return 1 / b if b else 0.0

    def rotation(self, a: Any, b: Any, least: Any = ZERO) -> tuple[Any, Any, Any]:
        r = math.hypot(a, b)
        return (a / r, b / r, r) if r > least else (0.0, 0.0, 0.0)

    def squares(self, v: Any) -> Any:
        return self.vector(np.square(abs(self.array(v))))

    def numbers(self, scalars: Any) -> list[list[float]]:
        """These real scalars as numbers; one list, or one for each column."""
        return [list(map(float, scalars))]

    def sweep(self, *updates: Any, squared: bool = False) -> list[Any]:
        t, made = self._scratch, []
        for y, a, b, x in updates:
            made.append(y)
            if a is ZERO:
                np.multiply(x, b, y)
                continue
            if a is not ONE:
                y *= a
            y += x if b is ONE else np.multiply(x, b, t)
        if squared:
            made.append(self.dot(y, y))
        return made

    def basis(self, m: int) -> _HostBasis:
        return _HostBasis(np.empty((m, len(self._b)), self._b.dtype))

    def put(self, basis: _HostBasis, v: Any) -> None:
        basis.rows[basis.count] = self.array(v)
        basis.count += 1

    def extend(self, basis: _HostBasis, w: Any) -> tuple[Any, list[Any]]:
        w = self.array(w).astype(self._b.dtype, order="C", casting="same_kind", copy=False)
        h = _native.basis_extend(basis.rows, basis.count, w, self._slack)
        basis.count += 1
        return self.vector(basis.rows[basis.count - 1]), h

    def combine(self, basis: _HostBasis, y: np.ndarray, first: int = 0) -> Any:
        made = np.empty_like(self._b)
        _native.basis_combine(basis.rows, first, np.ascontiguousarray(y, made.dtype), made)
        return self.vector(made)

    def settle(self, state: Any) -> Any:
        """`state`, with what is pending in it computed."""
        return state

    def norm(self, square: Any) -> Any:
        found = math.sqrt(square.real)
        if found != found:
            raise Breakdown
        return found

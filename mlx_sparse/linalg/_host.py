"""The space of short ndarrays, and the basis of all that are made of ndarrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

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
        self._slices = [slice(0, len(b))]
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
            raise Breakdown(code if size <= least else None)
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
        w, known, new = self.array(w), basis.rows[: basis.count], basis.rows[basis.count]
        h = self._along(known, w)
        again, square = self._removed(known, h, w, new)
        if np.linalg.norm(again) > self._slack * math.sqrt(square):  # the first pass has left so much
            h += again
            square = self._removed(known, again, new, new)[1]
        length = math.sqrt(square)
        if length:
            new *= 1 / length
        basis.count += 1
        return self.vector(new), [*h.tolist(), length]

    def _along(self, known: np.ndarray, w: np.ndarray) -> np.ndarray:
        """The dot products of the rows of `known` with w, in double precision."""
        h = np.zeros(len(known), np.promote_types(w.dtype, np.float64))
        for part in self._slices:
            h += known[:, part] @ w[part].conj()
        return h.conj()

    def _removed(self, known: np.ndarray, h: np.ndarray, w: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float]:
        """new <- w - known^T h, its dot products with the rows of `known` and its squared norm, in one pass."""
        again, square, h = np.zeros_like(h), 0.0, h.astype(w.dtype, copy=False)
        for part in self._slices:
            rows, v, t = known[:, part], new[part], self._scratch[: part.stop - part.start]
            np.subtract(w[part], np.matmul(h, rows, out=t), out=v)
            again += rows @ v.conj()
            square += float(np.vdot(v, v).real)
        return again.conj(), square

    def combine(self, basis: _HostBasis, y: np.ndarray, first: int = 0) -> Any:
        made, y = np.empty_like(self._b), y.astype(self._b.dtype, copy=False)
        for part in self._slices:
            np.matmul(y, basis.rows[first : first + len(y), part], out=made[part])
        return self.vector(made)

    def settle(self, state: Any) -> Any:
        """`state`, with what is pending in it computed."""
        return state

    def norm(self, square: Any) -> Any:
        found = math.sqrt(square.real)
        if found != found:
            raise Breakdown
        return found

"""The spaces of long ndarrays and of several columns, which go block by block over memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._host import Host
from ._vectors import BLOCK, ONE, ZERO, Product, Products, Several, by_column


class _Blocks(list[np.ndarray]):
    """Views of the blocks of an ndarray."""

    __slots__ = ("whole",)
    whole: np.ndarray


class HostBlocks(Host):
    """Long ndarrays, updated block by block: a block stays in cache while it is looked at again."""

    _block = BLOCK

    def __init__(self, b: np.ndarray, products: Products) -> None:
        super().__init__(b, products)
        rows = max(1, self._block * len(b) // b.size)
        self._slices = [slice(at, min(at + rows, len(b))) for at in range(0, len(b), rows)]
        self._inner, self.dot = self.dot, self._dot
        self._slack = self.eps ** (2 / 3)  # of orthogonality, which costs another pass over the basis
        self._wide: Any = complex if np.iscomplexobj(b) else float
        self._scratch = np.empty_like(b[:rows])
        self._scratches = [self._scratch[: part.stop - part.start] for part in self._slices]

    def vector(self, x: np.ndarray) -> Any:
        v = _Blocks([x[part] for part in self._slices])
        v.whole = x
        return v

    def array(self, v: Any) -> np.ndarray:
        return v.whole

    def _bound(self, product: Product) -> Product:
        return lambda p: self.vector(product(p.whole))

    def _dot(self, a: Any, b: Any) -> Any:
        return self._joined(map(self._inner, a, b))

    def _joined(self, parts: Any) -> Any:
        """The sum of results of `_inner`, in double precision."""
        return self._b.dtype.type(sum(map(self._wide, parts)))

    def sweep(self, *updates: Any, squared: bool = False) -> list[Any]:
        square = self._update(updates, squared, range(len(self._slices)))
        made = [update[0] for update in updates]
        if squared:
            made.append(square)
        return made

    def _update(self, updates: Any, squared: bool, blocks: range) -> Any:
        """Update these blocks; the squared norm over them of the last vector."""
        squares, inner, multiply, scratch = [], self._inner, np.multiply, self._scratches
        for k in blocks:
            for y, a, b, x in updates:
                yk = y[k]
                if a is ZERO:
                    multiply(x[k], b, yk)
                    continue
                if a is not ONE:
                    yk *= a
                yk += x[k] if b is ONE else multiply(x[k], b, scratch[k])
            if squared:
                squares.append(inner(yk, yk))
        return self._joined(squares)


class HostColumns(Several, HostBlocks):
    """ndarrays of shape (n, k), in blocks of rows; scalars have shape (k,)."""

    _block = 8_000  # a matrix-vector product of more elements would wake threads

    def __init__(self, b: np.ndarray, products: Products) -> None:
        Several.__init__(self, b.shape[1])
        HostBlocks.__init__(self, b, products)
        ones = np.ones(len(self._scratch), b.dtype)
        self._inner = lambda u, v: _column_sums(u.conj() * v, ones)
        wide = np.promote_types(b.dtype, np.float64)
        self._wide = lambda part: part.astype(wide)

    def vector(self, x: np.ndarray) -> Any:
        return super().vector(np.ascontiguousarray(x))

    def _joined(self, parts: Any) -> Any:
        return sum(map(self._wide, parts), np.zeros(self._open.shape)).astype(self._b.dtype)

    def ratio(self, a: Any, b: Any) -> Any:
        out = np.zeros(self._open.shape, np.result_type(a, b))
        return np.divide(a, b, out=out, where=self._open & (b != 0))

    def above(self, a: Any, least: Any, code: int) -> Any:
        self._break(abs(a), least, code)
        return a

    def root(self, a: Any) -> Any:
        return np.sqrt(a.real, out=np.full_like(a.real, math.nan), where=a.real >= 0)

    def reciprocal(self, b: Any) -> Any:
        return np.divide(1, b, out=np.zeros_like(b), where=self._open & (b != 0))

    def rotation(self, a: Any, b: Any, least: Any = ZERO) -> tuple[Any, Any, Any]:
        r = np.hypot(a, b)
        r = np.where(self._open & (r > least), r, 0)
        inverse = self.reciprocal(r)
        return a * inverse, b * inverse, r

    def numbers(self, scalars: Any) -> list[list[float]]:
        return by_column(scalars)

    def _update(self, updates: Any, squared: bool, blocks: range) -> Any:
        tall = [(y, self._tall(a), self._tall(b), x) for y, a, b, x in updates]
        last = len(self._scratches[-1])
        short = [(y, *(a[:last] if isinstance(a, np.ndarray) else a for a in scalars), x) for y, *scalars, x in tall]
        return super()._update(tall, squared, blocks[:-1]) + super()._update(short, squared, blocks[-1:])

    def _tall(self, a: Any) -> Any:
        """Scalars repeated along the rows of a block: NumPy runs over arrays of one shape as over one long vector."""
        return np.repeat(a[None], len(self._scratch), axis=0) if isinstance(a, np.ndarray) else a


def _column_sums(x: np.ndarray, ones: np.ndarray) -> np.ndarray:
    """By BLAS, as along short rows NumPy is slow; in 16 parts, as BLAS adds one after the other."""
    n = len(x) // 16
    if n == 0:
        return x.sum(axis=0)
    total = (ones[:n] @ x[: 16 * n].reshape(n, -1)).reshape(16, -1).sum(axis=0)
    return total + x[16 * n :].sum(axis=0) if len(x) > 16 * n else total

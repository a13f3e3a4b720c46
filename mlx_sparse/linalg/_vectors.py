"""The vector spaces that a recurrence runs in: one vocabulary over ndarrays and over `mx.array`.

A recurrence sees its vectors and scalars through these words alone and decides nothing by their values, so that it can
run in any space, and be written down once and replayed. Over a space V, for several right-hand sides column by column:

    V.A(p), V.M(r)         products with the operator, and with the preconditioner (r itself if there is none)
    V.zeros()              a new vector
    V.dot(a, b)            a^H b
    V.ratio(a, b)          a / b; where b is 0, the method has broken down and the last iterate stands. For several
                           columns: 0 in those that have broken down or converged, which so stay as they are
    V.minus(a)             -a, as a coefficient b of `sweep`
    V.real(a)              the real part of a
    V.root(a)              the square root of the real part of a; nan where that is negative
    V.reciprocal(b)        1 / b, and 0 where b is 0 or, for several columns, one has converged
    V.rotation(a, b, least=0)  (c, s, r): the plane rotation c a + s b = r, -s a + c b = 0 of real a and b, r >= 0;
                           zeros where r is at most `least`, and c and s in columns that have converged
    V.squares(v)           a vector of the squared moduli of the elements of v
    V.sweep(update, ...)   updates (y, a, b, x), each of which means y <- a y + b x, in one pass over memory; a and b
                           are results of the other words, or 1. Updates of one vector follow each other and go on from
                           one another; else none reads what one before it writes. Gives what every update made, and
                           with `squared` the squared norm of the last, taken on the way

Scalars of real vectors, and those that `real`, `root`, `reciprocal` and `rotation` give, are also added, subtracted,
multiplied and negated by Python's operators.

The loop that drives a recurrence also asks for `vector` and `array`, which wrap and unwrap, and for `settle`, `norm`,
`numbers` and `done`, which look at values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _native
from .._reduce import totals_along
from ._operator import constant, surely_traced

Product = Callable[[Any], Any]
_NONE, _ONE = 0, 1
_BLOCK = 10_000  # elements that are updated together: they stay in cache, and a dot product of them wakes no threads


class Breakdown(ArithmeticError):
    """A method cannot go on from its last iterate."""


class Host:
    """ndarrays of shape (n,), updated in place."""

    def __init__(self, like: np.ndarray, A: Product, M: Product | None) -> None:
        self._like, self.A, self._M = like, A, M
        self._scratch = np.empty_like(like[:_BLOCK])
        self.dot: Any = np.vdot if np.iscomplexobj(like) else np.dot

    def vector(self, x: np.ndarray) -> Any:
        return x

    def array(self, v: Any) -> np.ndarray:
        return v

    def zeros(self) -> Any:
        return self.vector(np.zeros_like(self._like))

    def M(self, r: Any) -> Any:
        return r if self._M is None else self._M(r)

    def ratio(self, a: Any, b: Any) -> Any:
        if not b:
            raise Breakdown
        return a / b

    def minus(self, a: Any) -> Any:
        return -a

    def real(self, a: Any) -> Any:
        return a.real

    def root(self, a: Any) -> Any:
        return math.sqrt(a.real) if a.real >= 0 else math.nan

    def reciprocal(self, b: Any) -> Any:
        return 1 / b if b else 0.0

    def rotation(self, a: Any, b: Any, least: Any = _NONE) -> tuple[Any, Any, Any]:
        r = math.hypot(a, b)
        return (a / r, b / r, r) if r > least else (0.0, 0.0, 0.0)

    def squares(self, v: Any) -> Any:
        return self.vector(np.square(abs(self.array(v))))

    def sweep(self, *updates: Any, squared: bool = False) -> list[Any]:
        t, made = self._scratch, []
        for y, a, b, x in updates:
            if a is not _ONE:
                y *= a
            y += x if b is _ONE else np.multiply(x, b, t)
            made.append(y)
        if squared:
            made.append(self.dot(y, y))
        return made

    def settle(self, state: Any) -> Any:
        """`state`, with what is pending in it computed."""
        return state

    def norm(self, square: Any) -> Any:
        found = math.sqrt(square.real)
        if found != found:
            raise Breakdown
        return found

    def numbers(self, scalars: Any) -> list[list[float]]:
        """These real scalars as numbers; one list, or one for each column."""
        return [list(map(float, scalars))]

    def done(self, met: Any) -> bool:
        """Whether the tolerance is `met` by every column; those by which it is are frozen from here on."""
        return met


class _Blocks(list[np.ndarray]):
    """Views of the blocks of an ndarray."""

    __slots__ = ("whole",)
    whole: np.ndarray


class HostBlocks(Host):
    """Long ndarrays, updated block by block: a block stays in cache while it is looked at again."""

    _block = _BLOCK

    def __init__(self, like: np.ndarray, A: Product, M: Product | None) -> None:
        super().__init__(like, A, M)
        rows = max(1, self._block * len(like) // like.size)
        self._slices = [slice(at, min(at + rows, len(like))) for at in range(0, len(like), rows)]
        self._inner, self.dot = self.dot, self._dot
        self._wide: Any = complex if np.iscomplexobj(like) else float
        self._product, self.A = A, self._applied
        self._scratch = np.empty_like(like[:rows])
        self._scratches = [self._scratch[: part.stop - part.start] for part in self._slices]

    def vector(self, x: np.ndarray) -> Any:
        v = _Blocks([x[part] for part in self._slices])
        v.whole = x
        return v

    def array(self, v: Any) -> np.ndarray:
        return v.whole

    def _applied(self, p: Any) -> Any:
        return self.vector(self._product(p.whole))

    def M(self, r: Any) -> Any:
        return r if self._M is None else self.vector(self._M(r.whole))

    def _dot(self, a: Any, b: Any) -> Any:
        return self._joined(map(self._inner, a, b))

    def _joined(self, parts: Any) -> Any:
        """The sum of results of `_inner`, in double precision."""
        return self._like.dtype.type(sum(map(self._wide, parts)))

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
                if a is not _ONE:
                    yk *= a
                yk += x[k] if b is _ONE else multiply(x[k], b, scratch[k])
            if squared:
                squares.append(inner(yk, yk))
        return self._joined(squares)


class HostColumns(HostBlocks):
    """ndarrays of shape (n, k), in blocks of rows; scalars have shape (k,)."""

    _block = 8_000  # a matrix-vector product of more elements would wake threads

    def __init__(self, like: np.ndarray, A: Product, M: Product | None) -> None:
        super().__init__(like, A, M)
        self._open = np.ones(like.shape[1], bool)
        ones = np.ones(len(self._scratch), like.dtype)
        self._inner = lambda u, v: _column_sums(u.conj() * v, ones)
        wide = np.promote_types(like.dtype, np.float64)
        self._wide = lambda part: part.astype(wide)

    def vector(self, x: np.ndarray) -> Any:
        return super().vector(np.ascontiguousarray(x))

    def _joined(self, parts: Any) -> Any:
        return sum(map(self._wide, parts), np.zeros(self._open.shape)).astype(self._like.dtype)

    def ratio(self, a: Any, b: Any) -> Any:
        return np.divide(a, b, out=np.zeros_like(a), where=self._open & (b != 0))

    def root(self, a: Any) -> Any:
        return np.sqrt(a.real, out=np.full_like(a.real, math.nan), where=a.real >= 0)

    def reciprocal(self, b: Any) -> Any:
        return np.divide(1, b, out=np.zeros_like(b), where=self._open & (b != 0))

    def rotation(self, a: Any, b: Any, least: Any = _NONE) -> tuple[Any, Any, Any]:
        r = np.hypot(a, b)
        r = np.where(self._open & (r > least), r, 0)
        inverse = self.reciprocal(r)
        return a * inverse, b * inverse, r

    def _update(self, updates: Any, squared: bool, blocks: range) -> Any:
        tall = [(y, self._tall(a), self._tall(b), x) for y, a, b, x in updates]
        last = len(self._scratches[-1])
        short = [(y, *(a if a is _ONE else a[:last] for a in scalars), x) for y, *scalars, x in tall]
        return super()._update(tall, squared, blocks[:-1]) + super()._update(short, squared, blocks[-1:])

    def _tall(self, a: Any) -> Any:
        """Scalars repeated along the rows of a block: NumPy runs over arrays of one shape as over one long vector."""
        return a if a is _ONE else np.repeat(a[None], len(self._scratch), axis=0)

    def norm(self, square: Any) -> Any:
        return _roots(square.real)

    def numbers(self, scalars: Any) -> list[list[float]]:
        return _by_column(scalars)

    def done(self, met: Any) -> bool:
        self._open = ~met
        return bool(met.all())


def _by_column(scalars: Any) -> list[list[float]]:
    return np.stack(scalars, axis=1).tolist()


def _column_sums(x: np.ndarray, ones: np.ndarray) -> np.ndarray:
    """By BLAS, as along short rows NumPy is slow; in 16 parts, as BLAS adds one after the other."""
    n = len(x) // 16
    if n == 0:
        return x.sum(axis=0)
    total = (ones[:n] @ x[: 16 * n].reshape(n, -1)).reshape(16, -1).sum(axis=0)
    return total + x[16 * n :].sum(axis=0) if len(x) > 16 * n else total


def _roots(squares: np.ndarray) -> np.ndarray:
    if np.isnan(squares).all():
        raise Breakdown
    return np.sqrt(squares)


class _Minus:
    """A scalar whose sign costs no node of the graph: `Lazy.sweep` subtracts."""

    __slots__ = ("value",)

    def __init__(self, value: mx.array) -> None:
        self.value = value


class Lazy:
    """`mx.array` of shape (n,), evaluated once in every step."""

    def __init__(self, like: mx.array, A: Product, M: Product | None) -> None:
        self._like, self.A, self._M = like, A, M
        self._complex = like.dtype == mx.complex64

    def vector(self, x: mx.array) -> mx.array:
        return x

    def array(self, v: mx.array) -> mx.array:
        return v

    def zeros(self) -> mx.array:
        return mx.zeros_like(self._like)

    def M(self, r: mx.array) -> mx.array:
        return r if self._M is None else constant(self._M(r))

    def dot(self, a: mx.array, b: mx.array) -> mx.array:
        return totals_along((mx.conj(a) if self._complex else a) * b, 0)

    def ratio(self, a: Any, b: Any) -> mx.array:
        if b is math.inf:  # the weight of what was before the first step; CUDA divides complex numbers by it into nan
            return mx.zeros_like(a)
        return a / b  # nan where b is 0, which `norm` meets: to look for it here would cost as much as the vectors

    def minus(self, a: mx.array) -> Any:
        return _Minus(a)

    def real(self, a: mx.array) -> mx.array:
        return mx.real(a) if self._complex else a

    def root(self, a: mx.array) -> mx.array:
        return mx.sqrt(self.real(a))

    def reciprocal(self, b: mx.array) -> mx.array:
        return mx.where(b == 0, 0, 1 / b)

    def rotation(self, a: mx.array, b: Any, least: Any = _NONE) -> tuple[mx.array, mx.array, mx.array]:
        r = mx.sqrt(a * a + b * b)
        if least is not _NONE:
            r = mx.where(r > least, r, 0)
        inverse = self.reciprocal(r)
        return a * inverse, b * inverse, r

    def squares(self, v: mx.array) -> mx.array:
        return mx.square(mx.abs(v))

    def sweep(self, *updates: Any, squared: bool = False) -> list[Any]:
        made: list[Any] = []
        before: Any = None
        new: Any = None
        for y, a, b, x in updates:
            if y is before:
                y = new
            else:
                before = y
            if a is not _ONE:
                y = a * y
            new = y - b.value * x if type(b) is _Minus else y + x if b is _ONE else y + b * x
            made.append(new)
        if squared:
            made.append(self.dot(new, new))
        return made

    def settle(self, state: Any) -> Any:
        mx.eval(*state)
        if not _native.is_tracer(state[1]):
            return state
        if surely_traced(state[1]):
            raise ValueError(
                "the products of A depend on traced arrays that A closes over, and x has no derivative with respect to "
                "them: give A as a sparse array (`with_data` takes traced values) or as an mx.array"
            )
        return tuple(constant(a) if _dense.is_mlx(a) else a for a in state)  # or what they are made of would be kept

    def norm(self, square: mx.array) -> Any:
        found = math.sqrt(square.item().real)
        if found != found:
            raise Breakdown
        return found

    def numbers(self, scalars: Any) -> list[list[float]]:
        return [[a.item() for a in scalars]]

    def done(self, met: Any) -> bool:
        return met


class LazyColumns(Lazy):
    """`mx.array` of shape (n, k); scalars have shape (k,)."""

    def __init__(self, like: mx.array, A: Product, M: Product | None) -> None:
        super().__init__(like, A, M)
        self._open = mx.ones(like.shape[1], dtype=mx.bool_)

    def ratio(self, a: Any, b: Any) -> mx.array:
        return mx.where(self._open & (b != 0), super().ratio(a, b), 0)

    def reciprocal(self, b: mx.array) -> mx.array:
        return mx.where(self._open & (b != 0), 1 / b, 0)

    def norm(self, square: mx.array) -> Any:
        return _roots(_dense.view(square).real)

    def numbers(self, scalars: Any) -> list[list[float]]:
        return _by_column([_dense.view(a) for a in scalars])

    def done(self, met: Any) -> bool:
        self._open = mx.array(~met)
        return bool(met.all())


def space(like: Any, A: Product, M: Product | None) -> Any:
    """The space of vectors shaped like `like`, in its namespace and dtype."""
    if _dense.is_mlx(like):
        return (Lazy if like.ndim == 1 else LazyColumns)(like, A, M)
    if like.ndim == 2:
        return HostColumns(like, A, M)
    return (Host if like.size <= _BLOCK else HostBlocks)(like, A, M)

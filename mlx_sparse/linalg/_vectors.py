"""The vector spaces that a recurrence runs in: one vocabulary over ndarrays and over `mx.array`.

A recurrence sees its vectors and scalars through these words alone and decides nothing by their values, so that it can
run in any space, and be written down once and replayed. Over a space V, for several right-hand sides column by column:

    V.A(p), V.M(r)         products with the operator, and with the preconditioner (r itself if there is none)
    V.zeros()              a new vector
    V.dot(a, b)            a^H b
    V.ratio(a, b)          a / b; where b is 0, the method has broken down and the last iterate stands. For several
                           columns: 0 in those that have broken down or converged, which so stay as they are
    V.minus(a)             -a
    V.sweep(update, ...)   updates (y, a, b, x), each of which means y <- a y + b x, in one pass over memory; a and b
                           are results of the other words, or 1. Updates of one vector follow each other and go on from
                           one another; else none reads what another writes. Gives what every update made, and with
                           `squared` the squared norm of the last, taken on the way

Methods that keep a basis, orthonormal but for what is put into it as it is, use over single vectors:

    V.basis(m)              a basis with room for m vectors, which has `clear()`
    V.put(basis, v)         adds v
    V.extend(basis, w)      adds w, made orthogonal to the others by two passes of classical Gram-Schmidt, and of norm 1
                            or 0. Gives what was added, and the coefficients of w in the basis so extended as a list of
                            numbers of the host
    V.combine(basis, y, i)  the sum of y[k] times the vector i + k, for an ndarray y
    V.eps                   the spacing of numbers at 1

The loop that drives a recurrence also asks for `vector` and `array`, which wrap and unwrap, and for `settle`, `norm`
and `done`, which look at values.
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
_ONE = 1
_BLOCK = 10_000  # elements that are updated together: they stay in cache, and a dot product of them wakes no threads


class Breakdown(ArithmeticError):
    """A method cannot go on from its last iterate."""


class _HostBasis:
    """The first `count` rows of an ndarray."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.count = rows, 0

    def clear(self) -> None:
        self.count = 0


class Host:
    """ndarrays of shape (n,), updated in place."""

    _slack = 0.0

    def __init__(self, like: np.ndarray, A: Product, M: Product | None) -> None:
        self._like, self.A, self._M = like, A, M
        self._scratch = np.empty_like(like[:_BLOCK])
        self._slices = [slice(0, len(like))]
        self.dot: Any = np.vdot if np.iscomplexobj(like) else np.dot
        self.eps = float(np.finfo(like.dtype).eps)

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

    def basis(self, m: int) -> _HostBasis:
        return _HostBasis(np.empty((m, len(self._like)), self._like.dtype))

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
        made, y = np.empty_like(self._like), y.astype(self._like.dtype, copy=False)
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
        self._slack = self.eps ** (2 / 3)  # of orthogonality, which costs another pass over the basis
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

    def done(self, met: Any) -> bool:
        self._open = ~met
        return bool(met.all())


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


class _LazyBasis:
    """The first `count` rows of an `mx.array` that is updated in place; in a trace, which would keep all its states, a
    list of vectors.
    """

    def __init__(self, rows: mx.array) -> None:
        self._rows, self.count = rows, 0
        self._vectors: list[mx.array] | None = [] if _native.is_tracer(rows) else None

    def clear(self) -> None:
        self.count = 0

    def add(self, v: mx.array) -> None:
        if self._vectors is None:
            self._rows[self.count] = v
        else:
            self._vectors[self.count :] = [v]
        self.count += 1

    def rows(self, first: int, last: int) -> mx.array:
        return self._rows[first:last] if self._vectors is None else mx.stack(self._vectors[first:last])


class Lazy:
    """`mx.array` of shape (n,), evaluated once in every step."""

    def __init__(self, like: mx.array, A: Product, M: Product | None) -> None:
        self._like, self.A, self._M = like, A, M
        self._complex = like.dtype == mx.complex64
        self.eps = float(mx.finfo(like.dtype).eps)

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

    def basis(self, m: int) -> _LazyBasis:
        _dense.expect((m, self._like.size), self._like.dtype)
        return _LazyBasis(mx.zeros((m, self._like.size), self._like.dtype))

    def put(self, basis: _LazyBasis, v: mx.array) -> None:
        basis.add(v)

    def extend(self, basis: _LazyBasis, w: mx.array) -> tuple[mx.array, list[Any]]:
        h = mx.zeros(0, dtype=w.dtype)
        if basis.count:
            known = basis.rows(0, basis.count)
            for _ in range(2):
                part = mx.conj(known @ mx.conj(w)) if self._complex else known @ w
                h, w = (part if h.size == 0 else h + part), w - part @ known
            del known, part  # or the basis could not be updated in place
        length = mx.sqrt(mx.abs(self.dot(w, w)))
        v = w * mx.where(length > 0, 1 / length, 0)
        v, numbers = self.settle((v, mx.concatenate([h, length[None].astype(w.dtype)])))
        basis.add(v)
        *found, last = numbers.tolist()
        return v, [*found, last.real]

    def combine(self, basis: _LazyBasis, y: np.ndarray, first: int = 0) -> mx.array:
        return _dense.to_mlx(y, self._like.dtype) @ basis.rows(first, first + len(y))

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

    def done(self, met: Any) -> bool:
        return met


class LazyColumns(Lazy):
    """`mx.array` of shape (n, k); scalars have shape (k,)."""

    def __init__(self, like: mx.array, A: Product, M: Product | None) -> None:
        super().__init__(like, A, M)
        self._open = mx.ones(like.shape[1], dtype=mx.bool_)

    def ratio(self, a: Any, b: Any) -> mx.array:
        return mx.where(self._open & (b != 0), super().ratio(a, b), 0)

    def norm(self, square: mx.array) -> Any:
        return _roots(_dense.view(square).real)

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

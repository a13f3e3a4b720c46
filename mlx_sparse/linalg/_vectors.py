"""The vector spaces that a recurrence runs in: one vocabulary over ndarrays and over `mx.array`.

A recurrence sees its vectors and scalars through these words alone and decides nothing by their values, so that it can
run in any space, and be written down once and replayed. Over a space V, for several right-hand sides column by column:

    V.A(p), V.M(r)         products with the operator, and with the preconditioner (r itself if there is none); V.M2 is
                           that of the right in methods that split it. V.AH, V.MH, V.M2H: with the adjoints
    V.residual(x)          b - A x, a new vector
    V.zeros()              a new vector
    V.dot(a, b)            a^H b
    V.ratio(a, b)          a / b; where b is 0, the method has broken down and the last iterate stands. For several
                           columns: 0 in those that have broken down or converged, which so stay as they are
    V.above(a, least, code)  a; unless |a| > least, the method has broken down as before, with this code
    V.minus(a), V.conj(a), V.real(a)  -a; the conjugate; the real part
    V.root(a)              the square root of the real part of a; nan where that is negative
    V.reciprocal(b)        1 / b, and 0 where b is 0 or, for several columns, one has converged
    V.rotation(a, b, least=0)  (c, s, r): the plane rotation c a + s b = r, -s a + c b = 0 of real a and b, r >= 0;
                           zeros where r is at most `least`, and c and s in columns that have converged
    V.squares(v)           a vector of the squared moduli of the elements of v
    V.eps                  the distance from 1 to the next number
    V.sweep(update, ...)   updates (y, a, b, x), each of which means y <- a y + b x, one after the other, in one pass
                           over memory; a and b are scalars, or 1; where a is 0, y is overwritten. An update reads what
                           those before it wrote. Gives what every update made, and with `squared` the squared norm of
                           the last, taken on the way

Methods that keep a basis, orthonormal but for what is put into it as it is, use over single vectors:

    V.basis(m)              a basis with room for m vectors, which has `clear()`
    V.put(basis, v)         adds v
    V.extend(basis, w)      adds w, made orthogonal to the others by two passes of classical Gram-Schmidt, and of norm 1
                            or 0. Gives what was added, and the coefficients of w in the basis so extended as a list of
                            numbers of the host
    V.combine(basis, y, i)  the sum of y[k] times the vector i + k, for an ndarray y

Scalars, but those of V.minus, also take Python's + - * and abs. What V.A and V.M give may be their operand itself or
share its memory, so no sweep writes to it.

The loop that drives a recurrence also asks for `vector` and `array`, which wrap and unwrap, for `settle`, `norm`,
`numbers` and `done`, which look at values, and for `codes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, _native
from .._reduce import totals_along
from ._operator import constant, surely_traced

Product = Callable[[Any], Any]
Products = dict[str, Product | None]  # by the words for them
_ONE, _ZERO = 1, 0
_BLOCK = 10_000  # elements that are updated together: they stay in cache, and a dot product of them wakes no threads


class Breakdown(ArithmeticError):
    """A method cannot go on from its last iterate; `code` says why, if SciPy has one for it."""

    def __init__(self, code: int | None = None) -> None:
        self.code = code


def _same(x: Any) -> Any:
    return x


class _Single:
    """One right-hand side."""

    code: int | None = None  # 0 once it has converged

    def done(self, met: Any) -> bool:
        """Whether nothing is left to do, if the tolerance is `met`; columns by which it is are frozen from here on."""
        if met:
            self.code = 0
        return met

    def codes(self, otherwise: int) -> np.ndarray:
        """0 on convergence, the code of a breakdown, or else `otherwise`; for each column."""
        return np.array(otherwise if self.code is None else self.code)


class _Several:
    """Columns, of which those that have converged or broken down are frozen."""

    def __init__(self, columns: int) -> None:
        self._open = np.ones(columns, bool)
        self._codes = np.ones(columns, int)  # 1: none yet
        self._norms = np.full(columns, np.nan)

    def _break(self, size: np.ndarray, least: Any, code: int) -> None:
        self._codes[self._open & (size <= least)] = code
        self._open &= (size > least) & (size < math.inf)

    def norm(self, square: Any) -> Any:
        square = np.asarray(_dense.view(square) if _dense.is_mlx(square) else square).real
        if np.isnan(square).all():
            raise Breakdown
        self._norms = np.where(self._open, np.sqrt(square), self._norms)
        return self._norms

    def done(self, met: Any) -> bool:
        met = met & self._open
        self._codes[met] = 0
        self._open &= ~met
        return not self._open.any()

    def codes(self, otherwise: int) -> np.ndarray:
        return np.where(self._codes > 0, otherwise, self._codes)


class _HostBasis:
    """The first `count` rows of an ndarray."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.count = rows, 0

    def clear(self) -> None:
        self.count = 0


class Host(_Single):
    """ndarrays of shape (n,), updated in place."""

    _slack = 0.0

    def __init__(self, b: np.ndarray, products: Products) -> None:
        self._b, self.eps = b, float(np.finfo(b.dtype).eps)
        self._scratch = np.empty_like(b[:_BLOCK])
        self._slices = [slice(0, len(b))]
        self.dot: Any = np.vdot if np.iscomplexobj(b) else np.dot
        for word, product in products.items():
            setattr(self, word, _same if product is None else self._bound(product))
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

    def rotation(self, a: Any, b: Any, least: Any = _ZERO) -> tuple[Any, Any, Any]:
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
            if a is _ZERO:
                np.multiply(x, b, y)
                continue
            if a is not _ONE:
                y *= a
            y += x if b is _ONE else np.multiply(x, b, t)
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


class _Blocks(list[np.ndarray]):
    """Views of the blocks of an ndarray."""

    __slots__ = ("whole",)
    whole: np.ndarray


class HostBlocks(Host):
    """Long ndarrays, updated block by block: a block stays in cache while it is looked at again."""

    _block = _BLOCK

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
                if a is _ZERO:
                    multiply(x[k], b, yk)
                    continue
                if a is not _ONE:
                    yk *= a
                yk += x[k] if b is _ONE else multiply(x[k], b, scratch[k])
            if squared:
                squares.append(inner(yk, yk))
        return self._joined(squares)


class HostColumns(_Several, HostBlocks):
    """ndarrays of shape (n, k), in blocks of rows; scalars have shape (k,)."""

    _block = 8_000  # a matrix-vector product of more elements would wake threads

    def __init__(self, b: np.ndarray, products: Products) -> None:
        _Several.__init__(self, b.shape[1])
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

    def rotation(self, a: Any, b: Any, least: Any = _ZERO) -> tuple[Any, Any, Any]:
        r = np.hypot(a, b)
        r = np.where(self._open & (r > least), r, 0)
        inverse = self.reciprocal(r)
        return a * inverse, b * inverse, r

    def numbers(self, scalars: Any) -> list[list[float]]:
        return _by_column(scalars)

    def _update(self, updates: Any, squared: bool, blocks: range) -> Any:
        tall = [(y, self._tall(a), self._tall(b), x) for y, a, b, x in updates]
        last = len(self._scratches[-1])
        short = [(y, *(a[:last] if isinstance(a, np.ndarray) else a for a in scalars), x) for y, *scalars, x in tall]
        return super()._update(tall, squared, blocks[:-1]) + super()._update(short, squared, blocks[-1:])

    def _tall(self, a: Any) -> Any:
        """Scalars repeated along the rows of a block: NumPy runs over arrays of one shape as over one long vector."""
        return np.repeat(a[None], len(self._scratch), axis=0) if isinstance(a, np.ndarray) else a


def _by_column(scalars: Any) -> list[list[float]]:
    return np.stack(scalars, axis=1).tolist()


def _column_sums(x: np.ndarray, ones: np.ndarray) -> np.ndarray:
    """By BLAS, as along short rows NumPy is slow; in 16 parts, as BLAS adds one after the other."""
    n = len(x) // 16
    if n == 0:
        return x.sum(axis=0)
    total = (ones[:n] @ x[: 16 * n].reshape(n, -1)).reshape(16, -1).sum(axis=0)
    return total + x[16 * n :].sum(axis=0) if len(x) > 16 * n else total


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


class Lazy(_Single):
    """`mx.array` of shape (n,), evaluated once in every step."""

    def __init__(self, b: mx.array, products: Products) -> None:
        self._b, self.eps = b, float(np.finfo(_dtypes.numpy_dtype(b.dtype)).eps)
        self._complex = b.dtype == mx.complex64
        self._checks: list[tuple[Any, Any, int]] = []  # what `above` is to look at once the step is evaluated
        for word, product in products.items():
            setattr(self, word, _same if product is None else self._bound(product, word))
        self._product: Any = products["A"]

    def _bound(self, product: Product, word: str) -> Product:
        return product if word.startswith("A") else lambda r: constant(product(r))

    def vector(self, x: mx.array) -> mx.array:
        return x

    def array(self, v: mx.array) -> mx.array:
        return v

    def zeros(self) -> mx.array:
        return mx.zeros_like(self._b)

    def residual(self, x: mx.array) -> mx.array:
        return self._b - self._product(x)

    def dot(self, a: mx.array, b: mx.array) -> mx.array:
        return totals_along((mx.conj(a) if self._complex else a) * b, 0)

    def ratio(self, a: Any, b: Any) -> mx.array:
        if type(b) is float and b == math.inf:  # the weight of what was before the first step; CUDA divides complex
            return mx.zeros_like(a)  # numbers by it into nan
        return a / b  # nan where b is 0, which `norm` meets: to look for it here would cost as much as the vectors

    def above(self, a: mx.array, least: Any, code: int) -> mx.array:
        self._checks.append((a, least, code))
        return a

    def minus(self, a: mx.array) -> Any:
        return _Minus(a)

    def conj(self, a: mx.array) -> mx.array:
        return mx.conj(a) if self._complex else a

    def real(self, a: mx.array) -> mx.array:
        return mx.real(a) if self._complex else a

    def root(self, a: mx.array) -> mx.array:
        return mx.sqrt(self.real(a))

    def reciprocal(self, b: mx.array) -> mx.array:
        return mx.where(b == 0, 0, 1 / b)

    def rotation(self, a: mx.array, b: Any, least: Any = _ZERO) -> tuple[mx.array, mx.array, mx.array]:
        r = mx.sqrt(a * a + b * b)
        if least is not _ZERO:
            r = mx.where(r > least, r, 0)
        inverse = self.reciprocal(r)
        return a * inverse, b * inverse, r

    def squares(self, v: mx.array) -> mx.array:
        return mx.square(mx.abs(v))

    def numbers(self, scalars: Any) -> list[list[float]]:
        return [[a.item() for a in scalars]]

    def sweep(self, *updates: Any, squared: bool = False) -> list[Any]:
        made: list[Any] = []
        now: dict[int, mx.array] = {}  # by what it was before
        new: Any = None
        for old, a, b, x in updates:
            y, x = now.get(id(old), old), now.get(id(x), x)
            if a is _ZERO:
                new = x if b is _ONE else b * x
            else:
                if a is not _ONE:
                    y = a * y
                new = y - b.value * x if type(b) is _Minus else y + x if b is _ONE else y + b * x
            now[id(old)] = new
            made.append(new)
        if squared:
            made.append(self.dot(new, new))
        return made

    def basis(self, m: int) -> _LazyBasis:
        _dense.expect((m, self._b.size), self._b.dtype)
        return _LazyBasis(mx.zeros((m, self._b.size), self._b.dtype))

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
        return _dense.to_mlx(y, self._b.dtype) @ basis.rows(first, first + len(y))

    def settle(self, state: Any) -> Any:
        mx.eval(*state)
        if _native.is_tracer(state[1]):
            if surely_traced(state[1]):
                raise ValueError(
                    "the products of A depend on traced arrays that A closes over, and x has no derivative with "
                    "respect to them: give A as a sparse array (`with_data` takes traced values) or as an mx.array"
                )
            # or what they are made of would be kept
            state = tuple(constant(a) if _dense.is_mlx(a) else a for a in state)
        if self._checks:
            checks, self._checks = self._checks, []
            self._check(checks)
        return state

    def _check(self, checks: Any) -> None:
        for a, least, code in checks:
            size, least = (abs(v.item() if _dense.is_mlx(v) else v) for v in (a, least))
            if not least < size < math.inf:
                raise Breakdown(code if size <= least else None)

    def norm(self, square: mx.array) -> Any:
        found = math.sqrt(square.item().real)
        if found != found:
            raise Breakdown
        return found


class LazyColumns(_Several, Lazy):
    """`mx.array` of shape (n, k); scalars have shape (k,)."""

    def __init__(self, b: mx.array, products: Products) -> None:
        _Several.__init__(self, b.shape[1])
        Lazy.__init__(self, b, products)
        self._live = mx.array(self._open)  # and what a step that is not evaluated yet finds

    def ratio(self, a: Any, b: Any) -> mx.array:
        return mx.where(self._live & (b != 0), super().ratio(a, b), 0)

    def reciprocal(self, b: mx.array) -> mx.array:
        return mx.where(self._live & (b != 0), 1 / b, 0)

    def numbers(self, scalars: Any) -> list[list[float]]:
        return _by_column([_dense.view(a) for a in scalars])

    def above(self, a: mx.array, least: Any, code: int) -> mx.array:
        size = abs(a)
        self._live = self._live & (size > least) & (size < math.inf)
        super().above(size, least, code)
        return a

    def _check(self, checks: Any) -> None:
        for size, least, code in checks:
            size, least = (_dense.view(v) if _dense.is_mlx(v) else v for v in (size, least))
            self._break(size, least, code)

    def done(self, met: Any) -> bool:
        finished = super().done(met)
        self._live = mx.array(self._open)
        return finished


def space(b: Any, products: Products) -> Any:
    """The space of vectors shaped like the right-hand side `b`, in its namespace and dtype."""
    if _dense.is_mlx(b):
        return (Lazy if b.ndim == 1 else LazyColumns)(b, products)
    if b.ndim == 2:
        return HostColumns(b, products)
    return (Host if b.size <= _BLOCK else HostBlocks)(b, products)

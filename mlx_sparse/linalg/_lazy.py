"""The spaces of `mx.array`, whose steps are graphs that are evaluated once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np

from .. import _dense, _dtypes, _native
from .._reduce import totals_along
from ._operator import constant, surely_traced
from ._vectors import ONE, ZERO, Breakdown, Product, Products, Several, Single, by_column, same

# Vectors of a basis between two looks at numbers, each of which takes a GPU as long as some vectors: few while a method
# may end soon, more and more as it goes on. And those that are handed to the device together, before it is waited for.
_FIRST_AHEAD, _MOST_AHEAD, _TOGETHER = 4, 32, 2


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
        self.keep(v)

    def extended(self, w: mx.array, always: bool = True) -> tuple[mx.array, mx.array]:
        """w made orthogonal and of norm 1 or 0, and its coefficients. To be followed by `keep`, of what was so made."""
        if self._vectors is None:
            return _native.extend_rows(self._rows, self.count, w, True, always)
        rows = mx.stack(self._vectors[: self.count]) if self.count else w[None]
        return _native.extend_rows(rows, self.count, w, False)

    @property
    def listed(self) -> bool:
        return self._vectors is not None

    def keep(self, v: mx.array) -> None:
        if self._vectors is not None:
            self._vectors[self.count :] = [v]
        self.count += 1

    def combined(self, y: mx.array, first: int) -> mx.array:
        """The sum of y[k] times the vector first + k."""
        if self._vectors is None:
            v = _native.combine_rows(self._rows, first, y)
            mx.async_eval(v)  # before these rows are written to again
            return v
        return y @ mx.stack(self._vectors[first : first + y.size])


def _coefficients(h: mx.array) -> list[Any]:
    """As numbers; the last is a length."""
    numbers: Any = h.tolist()
    return [*numbers[:-1], numbers[-1].real]


class Lazy(Single):
    """`mx.array` of shape (n,), evaluated once in every step."""

    def __init__(self, b: mx.array, products: Products) -> None:
        self._b, self.eps = b, float(np.finfo(_dtypes.numpy_dtype(b.dtype)).eps)
        self._complex = b.dtype == mx.complex64
        self._checks: list[tuple[Any, Any, int]] = []  # what `above` is to look at once the step is evaluated
        for word, product in products.items():
            setattr(self, word, same if product is None else self._bound(product, word))
        self._product: Any = products["A"]
        self._ahead = _FIRST_AHEAD

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

    def rotation(self, a: mx.array, b: Any, least: Any = ZERO) -> tuple[mx.array, mx.array, mx.array]:
        r = mx.sqrt(a * a + b * b)
        if least is not ZERO:
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
            if a is ZERO:
                new = x if b is ONE else b * x
            else:
                if a is not ONE:
                    y = a * y
                new = y - b.value * x if type(b) is _Minus else y + x if b is ONE else y + b * x
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
        v, h = self.settle(basis.extended(w))
        basis.keep(v)
        return v, _coefficients(h)

    def extensions(
        self, basis: _LazyBasis, product: Product, v: mx.array, count: int
    ) -> Iterator[tuple[mx.array, list[Any]]]:
        if not _dense.on_shaders(v) or basis.listed:
            yield from super().extensions(basis, product, v, count)
            return
        while count > 0:
            made: list[Any] = []
            found: list[Any] = []
            for i in range(min(self._ahead, count)):
                v, h = basis.extended(product(v), always=False)
                basis.keep(v)
                made.append(v)
                found.append(h)
                if (i + 1) % _TOGETHER == 0 and not _native.is_tracer(v):
                    mx.async_eval(v)
            together = mx.concatenate(found)  # the host waits for memory that it reads as long as for a vector
            self.settle([*made, together])
            numbers: Any = together.tolist()
            for v, h in zip(made, found, strict=True):
                yield v, [*numbers[: h.size - 1], numbers[h.size - 1].real]
                numbers = numbers[h.size :]
            count -= len(made)
            self._ahead = min(2 * self._ahead, _MOST_AHEAD)

    def combine(self, basis: _LazyBasis, y: np.ndarray, first: int = 0) -> mx.array:
        return basis.combined(_dense.to_mlx(y, self._b.dtype), first)

    def settle(self, state: Any) -> Any:
        mx.eval(*state)
        if _native.is_tracer(state[1]):
            if surely_traced(state[1]):
                raise ValueError(
                    "the products of A depend on traced arrays that A closes over, and x has no derivative with "
                    "respect to them: give A as a sparse array (`with_data` takes traced values), as an mx.array or "
                    "as a LinearOperator with `params`"
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
                raise Breakdown(code if size <= least < math.inf else None)

    def norm(self, square: mx.array) -> Any:
        found = math.sqrt(square.item().real)
        if found != found:
            raise Breakdown
        return found


class LazyColumns(Several, Lazy):
    """`mx.array` of shape (n, k); scalars have shape (k,)."""

    def __init__(self, b: mx.array, products: Products) -> None:
        Several.__init__(self, b.shape[1])
        Lazy.__init__(self, b, products)
        self._live = mx.array(self._open)  # and what a step that is not evaluated yet finds

    def ratio(self, a: Any, b: Any) -> mx.array:
        return mx.where(self._live & (b != 0), super().ratio(a, b), 0)

    def reciprocal(self, b: mx.array) -> mx.array:
        return mx.where(self._live & (b != 0), 1 / b, 0)

    def numbers(self, scalars: Any) -> list[list[float]]:
        return by_column([_dense.view(a) for a in scalars])

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

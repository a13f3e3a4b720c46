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
    V.extensions(basis, product, v, count)  what `extend` gives for product(v), then for the product of what that added,
                            and so on; where looking at numbers is dear, a few are added before the first is given
    V.combine(basis, y, i)  the sum of y[k] times the vector i + k, for an ndarray y

Scalars, but those of V.minus, also take Python's + - * and abs. What V.A and V.M give may be their operand itself or
share its memory, so no sweep writes to it.

The loop that drives a recurrence also asks for `vector` and `array`, which wrap and unwrap, for `settle`, `norm`,
`numbers` and `done`, which look at values, and for `codes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _dense

Product = Callable[[Any], Any]
Products = dict[str, Product | None]  # by the words for them
ONE, ZERO = 1, 0
BLOCK = 10_000  # elements that are updated together: they stay in cache, and a dot product of them wakes no threads


class Breakdown(ArithmeticError):
    """A method cannot go on from its last iterate; `code` says why, if SciPy has one for it."""

    def __init__(self, code: int | None = None) -> None:
        self.code = code


def same(x: Any) -> Any:
    return x


class Single:
    """One right-hand side."""

    code: int | None = None  # 0 once it has converged
    extend: Callable[[Any, Any], tuple[Any, list[Any]]]

    def done(self, met: Any) -> bool:
        """Whether nothing is left to do, if the tolerance is `met`; columns by which it is are frozen from here on."""
        if met:
            self.code = 0
        return met

    def codes(self, otherwise: int) -> np.ndarray:
        """0 on convergence, the code of a breakdown, or else `otherwise`; for each column."""
        return np.array(otherwise if self.code is None else self.code)

    def extensions(self, basis: Any, product: Product, v: Any, count: int) -> Iterator[tuple[Any, list[Any]]]:
        for _ in range(count):
            v, numbers = self.extend(basis, product(v))
            yield v, numbers


class Several:
    """Columns, of which those that have converged or broken down are frozen."""

    def __init__(self, columns: int) -> None:
        self._open = np.ones(columns, bool)
        self._codes = np.ones(columns, int)  # 1: none yet
        self._norms = np.full(columns, np.nan)

    def _break(self, size: np.ndarray, least: Any, code: int) -> None:
        self._codes[self._open & (size <= least) & (least < math.inf)] = code
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


def by_column(scalars: Any) -> list[list[float]]:
    return np.stack(scalars, axis=1).tolist()

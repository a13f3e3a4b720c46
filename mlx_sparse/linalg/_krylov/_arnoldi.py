"""What gmres, lgmres and gcrotmk share: the Arnoldi process, its least-squares problem, and their loop over cycles.

Each column of several right-hand sides has a Krylov space of its own, which stops by itself: columns are solved one
after the other, or cycle by cycle side by side where a callback wants to see them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import scipy.linalg

from ... import _dense
from .._info import Course, progress_bar, worst
from .._operator import constant
from .._problem import System, workers
from .._solve import Callback, Limits, OwnLoop, Solution, norms
from .._spaces import space
from .._vectors import Breakdown, Product


class Column(NamedTuple):
    """A system of one right-hand side, not zero."""

    V: Any
    b: Any  # an array, as is x
    x: Any  # first guess, owned by the solver; None means zero
    size: float  # norm of b
    tolerance: float  # for the norm of the residual
    maxiter: int
    known: list[Any]  # pairs of vectors or None, from earlier solutions; what it holds at the end goes to later ones
    course: Course  # that is told the norms of the residuals that are tested

    def guess(self) -> Any:
        return self.V.zeros() if self.x is None else self.V.vector(self.x)

    def residual(self, x: Any, again: bool = False) -> tuple[Any, Any, float]:
        """x and b - A x, both evaluated, and the norm of the latter."""
        return self.tested(x, self.V.residual(x), again)

    def first(self, x: Any) -> tuple[Any, Any, float]:
        """As `residual`, of the first guess, by no product where that is zero; r is the right-hand side itself then."""
        return self.tested(x, self.V.vector(self.b)) if self.x is None else self.residual(x)

    def tested(self, x: Any, r: Any, again: bool = False) -> tuple[Any, Any, float]:
        """x and its residual r, both evaluated, and the norm of the latter, kept (`again`: for the last one)."""
        x, square, r = self.V.settle((x, self.V.dot(r, r), r))
        norm = self.V.norm(square)
        if again:
            self.course.norms[-1] = norm
        else:
            self.course.add(norm)
        return x, r, norm


# A method: yields what a callback is to see, and gives the solution, the code for users, and why it ended.
Cycles = Callable[[Column], Generator[Any, None, tuple[Any, int, str]]]


class Restarted(OwnLoop):
    """A method that works in cycles; `kept` is the user's list of pairs of arrays, from one solution to the next."""

    def __init__(self, cycles: Cycles, kept: list[Any] | None = None) -> None:
        self._cycles, self._kept = cycles, kept

    def fresh(self) -> OwnLoop:
        return Restarted(self._cycles)

    def iterate(self, system: System, limits: Limits, callback: Callback, progress: bool) -> Solution:
        b, namespace, kept = system.b, mx if system.lazy else np, self._kept
        if kept is not None and b.ndim > 1:
            raise ValueError("vectors are passed on from one right-hand side to the next, not between several at once")
        sizes = np.atleast_1d(norms(b))
        tolerances = np.maximum(limits.atol, np.broadcast_to(limits.rtol, sizes.shape) * sizes)
        A, M = system.product(system.A), None if system.M is None else system.product(system.M)
        found: list[Any] = [None] * len(sizes)  # (x, info, reason) of the columns that are done
        courses: list[Course] = []

        def column(j: int) -> Generator[Any, None, None]:
            one, x = (a if a is None or b.ndim == 1 else _own(a[:, j]) for a in (b, system.x))
            if not sizes[j]:
                courses[j].add(0.0)
                found[j] = namespace.zeros_like(one), 0, "converged"
                return
            V = space(one, {"A": A, "M": M})
            known = [tuple(None if v is None else V.vector(_vector(v, system)) for v in pair) for pair in kept or ()]
            problem = Column(V, one, x, float(sizes[j]), float(tolerances[j]), limits.maxiter, known, courses[j])
            x, info, reason = yield from self._cycles(problem)
            if not courses[j].norms:  # the first was not finite
                courses[j].add(float(sizes[j]))
            found[j] = V.array(x), info, reason
            if kept is not None:
                made = lambda v: None if v is None else system.shown(system.finish(V.array(v)))  # noqa: E731
                kept[:] = [tuple(map(made, pair)) for pair in known]

        with workers(), progress_bar(limits.maxiter * len(sizes), progress) as bar:
            courses += [Course(bar) for _ in sizes]
            runs = [column(j) for j in range(len(sizes))]
            if callback is None:
                for run in runs:
                    for _ in run:
                        pass
            else:
                _side_by_side(runs, found, lambda seen: callback(_shown(seen, system)))
        if b.ndim == 1:
            x, info, reason = found[0]
            return Solution(x, info, np.array(info), courses[0].norms, reason)
        xs, codes, reasons = zip(*found, strict=True)
        history = [np.array(row) for row in zip(*_padded([course.norms for course in courses]), strict=True)]
        return Solution(namespace.stack(xs, axis=1), max(codes), np.array(codes), history, worst(reasons))


def check_finite(size: float) -> None:
    if not math.isfinite(size):
        raise ValueError("b and its norm must be finite; it holds inf or nan, or overflows")


def _vector(v: Any, system: System) -> Any:
    """A user's vector in the namespace and dtype of `system`."""
    v = constant(_dense.to_mlx(v, system.dtype)) if system.lazy else np.asarray(v, system.dtype)
    return v.reshape(system.b.shape)


def _own(x: Any) -> Any:
    return mx.contiguous(x) if _dense.is_mlx(x) else np.array(x)


def _padded(histories: list[list[float]]) -> list[list[float]]:
    """Histories as long as the longest, ended ones repeating their last norm."""
    longest = max(map(len, histories), default=0)
    return [h + h[-1:] * (longest - len(h)) for h in histories]


def _side_by_side(runs: list[Any], found: list[Any], report: Callable[[list[Any]], Any]) -> None:
    """Exhaust `runs`, whose results come to be in `found`; `report` sees what each has yielded last, or its result."""
    seen: list[Any] = [0.0] * len(runs)
    for round in zip_longest(*runs):
        numbers = any(isinstance(shown, float) for shown in round)
        for j, shown in enumerate(round):
            if shown is not None:
                seen[j] = shown
            elif not numbers:
                seen[j] = found[j][0]
        report(seen)


def _shown(seen: list[Any], system: System) -> Any:
    """What a callback gets: a norm or an iterate, of several columns together."""
    if isinstance(seen[0], float):
        return system.shown(seen[0] if system.b.ndim == 1 else np.array(seen))
    x = seen[0] if system.b.ndim == 1 else (mx if system.lazy else np).stack(seen, axis=1)
    return system.shown(system.finish(x))


class Cycle:
    """An Arnoldi process and its least-squares problem, of which cycles follow each other in the same memory.

    With the vectors c that the basis began with, their coefficients B, the orthonormal v that came after them, and what
    `step` was given, w_j = L A z_j, it holds that W = C B + V H. The residual of z = Z y is then C and V times the
    coefficients of (-B y, |r| e_1 - H y), and y is what minimises the norm of the latter.

    Attributes
    ----------
    last : vector
        That was added to the basis last.
    broken : bool
        Whether w was in the span of the basis, so that `last` means nothing.
    residual : float
        The least norm that combinations of what was given so far reach.
    """

    def __init__(self, V: Any) -> None:
        self._V, self._room = V, 0
        self._basis: Any = None

    def begin(self, r: Any, steps: int, c: Any = ()) -> None:
        """A cycle for the residual r, which is orthogonal to the orthonormal vectors `c`."""
        V, room = self._V, len(c) + steps + 1
        if self._room < room:
            self._basis, self._room = V.basis(room), room
        self._basis.clear()
        for known in c:
            V.put(self._basis, known)
        self._first = len(c)
        self.last, numbers = V.extend(self._basis, r)
        self.residual, self.broken = _finite(numbers[-1]), numbers[-1] == 0
        self._b: list[list[Any]] = []
        self._h: list[list[Any]] = []  # columns of H, and of R = Q^H H
        self._r: list[list[Any]] = []
        self._rotations: list[tuple[float, Any]] = []  # that make up Q^H
        self._g: list[Any] = [self.residual]  # Q^H |r| e_1

    def step(self, w: Any) -> float:
        """Take in one more w = L A z; gives `residual`."""
        return self._take_in(*self._V.extend(self._basis, w))

    def steps(self, product: Product, count: int) -> Iterator[float]:
        """As `step`, of w = product(last) every time; some spaces are then ahead of what was taken in."""
        for v, numbers in self._V.extensions(self._basis, product, self.last, count):
            yield self._take_in(v, numbers)

    def _take_in(self, v: Any, numbers: list[Any]) -> float:
        self.last = v
        size = _finite(math.hypot(*map(abs, numbers)))
        if numbers[-1] <= self._V.eps * size:
            self.broken, numbers[-1] = True, 0.0
        self._b.append(numbers[: self._first])
        h = numbers[self._first :]
        self._h.append(h)
        r = h[:]
        for k, (c, s) in enumerate(self._rotations):
            r[k], r[k + 1] = c * r[k] + s * r[k + 1], c * r[k + 1] - s.conjugate() * r[k]
        *_, f, g = r
        length = abs(f)
        size = math.hypot(length, g)
        sign = f / length if length else 1.0
        c, s = (length / size, sign * (g / size)) if size else (1.0, 0.0)
        r[-2:] = [sign * size]
        self._rotations.append((c, s))
        self._r.append(r)
        last = self._g[-1]
        self._g[-1:] = [c * last, -s.conjugate() * last]
        self.residual = abs(self._g[-1])
        return self.residual

    def _columns(self, columns: list[list[Any]], rows: int) -> np.ndarray:
        made = np.zeros((rows, len(columns)), np.result_type(*map(type, columns[-1][:1]), float))
        for j, column in enumerate(columns):
            made[: len(column), j] = column
        return made

    @property
    def R(self) -> np.ndarray:
        return self._columns(self._r, len(self._r))

    @property
    def B(self) -> np.ndarray:
        return self._columns(self._b, self._first)

    def solution(self) -> np.ndarray:
        """y; the least one, where there are several."""
        R, g = self.R, np.array(self._g[:-1])
        diagonal = np.abs(R.diagonal())
        if diagonal.min() > self._V.eps * diagonal.max():
            y = scipy.linalg.solve_triangular(R, g, check_finite=False)
        else:
            y = np.linalg.lstsq(R, g, rcond=self._V.eps)[0]
        _finite(float(np.abs(y).max()))
        return y

    def products(self, y: np.ndarray) -> np.ndarray:
        """H y."""
        return self._columns(self._h, len(self._h) + 1) @ y

    def combine(self, y: np.ndarray) -> Any:
        """V y."""
        return self._V.combine(self._basis, y, self._first)

    def combine_c(self, y: np.ndarray) -> Any:
        """C y."""
        return self._V.combine(self._basis, y, 0)


def _finite(size: float) -> float:
    if not math.isfinite(size):
        raise Breakdown
    return size

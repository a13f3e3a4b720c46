"""Krylov methods with thick restarts: Lanczos for Hermitian operators, Krylov-Schur for others, locked rows for both.

Sources: K. Wu and H. Simon, Thick-restart Lanczos method for large symmetric eigenvalue problems, SIAM J. Matrix Anal.
Appl. 22 (2000); G. W. Stewart, A Krylov-Schur algorithm for large eigenproblems, SIAM J. Matrix Anal. Appl. 23 (2001).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg

from ._basis import Basis

_FEW = 1000  # dimensions that a whole basis is made of where nothing else tells
Keys = Callable[[np.ndarray], np.ndarray]

# What `which` asks for is what has the largest keys. ARPACK's rule for imaginary parts of a real matrix: magnitudes.
KEYS: dict[str, Keys] = {
    "LM": np.abs,
    "SM": lambda w: -np.abs(w),
    "LA": np.real,
    "SA": lambda w: -np.real(w),
    "LR": np.real,
    "SR": lambda w: -np.real(w),
    "LI": np.imag,
    "SI": lambda w: -np.imag(w),
}


@dataclass
class Task:
    """Which eigenvalues of an operator are wanted, and how well."""

    k: int
    which: str
    ncv: int
    maxiter: int
    tol: float
    hermitian: bool
    real: bool

    @property
    def room(self) -> int:
        """Vectors that a search has, however few a user allows."""
        return max(self.ncv, 20)

    def keys(self, values: np.ndarray) -> np.ndarray:
        if self.which in ("LI", "SI") and self.real:
            return np.abs(values.imag) if self.which == "LI" else -np.abs(values.imag)
        return KEYS[self.which](values)

    def order(self, values: np.ndarray) -> np.ndarray:
        """Positions, those wanted most first."""
        if self.which != "BE":
            return np.argsort(-self.keys(values), kind="stable")
        up = np.argsort(-values, kind="stable")
        down = up[::-1]
        return np.array([up[i // 2] if i % 2 == 0 else down[i // 2] for i in range(len(up))], int)

    def allowed(self, values: Any, basis: Basis) -> Any:
        """The residuals that count as converged, of the operator that is iterated."""
        eps = basis.eps
        return np.maximum(self.tol * np.maximum(eps ** (2 / 3), np.abs(values)), 8 * eps * basis.scale)


@dataclass
class Outcome:
    """The leading Schur vectors stand in the basis from row `first` on, `size` of them."""

    values: np.ndarray
    residuals: np.ndarray
    size: int
    converged: bool
    restarts: int
    low: float = 0.0  # of the values of the last projected operator
    high: float = 0.0
    everything: bool = False  # whether that was the operator on the whole space
    near: Sequence[tuple[float, float]] = ()  # the next values with their residuals, whose vectors are the next rows


def run(
    basis: Basis,
    task: Task,
    first: int,
    wanted: int,
    window: int,
    verdict: Callable[[Any, float], bool | None] | None = None,
) -> Outcome:
    """Iterate, orthogonal to the rows before `first`, from the row `first`, until `wanted` pairs have converged.

    With `verdict` it ends, too, once that says of the best value and its residual that nothing is missing (True).
    """
    H, stop = basis.H, first + window
    j = basis.extend(first, stop)
    for restart in range(1, task.maxiter + 1):
        kept_all = H[first:j, first:j]
        last = abs(H[j, j - 1]) if j == stop else 0.0
        small = _Hermitian(kept_all, task) if task.hermitian else _General(kept_all, task)
        wanted = min(wanted, len(small.values))
        residuals = last * small.last
        done = residuals <= task.allowed(small.values, basis)
        converged = bool(done[:wanted].all())
        size, spare = small.closed(wanted), 0
        finished = verdict is not None and verdict(small.values[0], float(residuals[0])) is True
        if not (converged or finished) and restart < task.maxiter:
            # More than is wanted is kept, as the gap to what is thrown away decides how fast the rest converges.
            size = small.closed(max(1, min(j - first - 1, _kept(wanted, int(done[:wanted].sum()), j - first))))
        elif task.hermitian:
            spare = min((j - first) // 3, j - first - size)
        S, Q = small.leading(size + spare)
        basis.compress(first, j, Q)
        S, Q = S[:size, :size], Q[:, :size]
        H[:first, first : first + size] = H[:first, first:j] @ Q
        H[first:, first:] = 0
        H[first : first + size, first : first + size] = S
        if converged or finished or restart == task.maxiter:
            break
        H[first + size, first : first + size] = last * Q[-1]
        j = basis.extend(first + size, stop)
    real = small.values.real
    ends = float(real.min()), float(real.max())
    near = [(float(small.values[i]), float(residuals[i])) for i in range(size, size + spare)]
    return Outcome(small.values[:wanted], residuals[:wanted], size, converged, restart, *ends, j == basis.n, near)


def _kept(wanted: int, done: int, window: int) -> int:
    least = window // 2 if wanted == 1 else window // 3  # few alone would make slow work of a cluster
    return max(wanted + min(2 + done, (window - wanted) // 2), least)


class _Hermitian:
    """Eigenvalues of the projected operator, ordered, and the magnitudes of their vectors' last elements."""

    def __init__(self, H: np.ndarray, task: Task) -> None:
        # Of the lower triangle, by QL: it is graded.
        values, vectors = scipy.linalg.eigh(H, driver="ev", check_finite=False)
        order = task.order(values)
        self.values, self._vectors = values[order], vectors[:, order]
        self.last = np.abs(self._vectors[-1])

    def closed(self, count: int) -> int:
        return count

    def leading(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        return np.diag(self.values[:count]), self._vectors[:, :count]


class _General:
    """The same by a Schur form, which is real for a real operator: then pairs stay together."""

    def __init__(self, H: np.ndarray, task: Task) -> None:
        self._T, self._Z = scipy.linalg.schur(H, output="real" if task.real else "complex")
        values = diagonal(self._T)
        order = task.order(values)
        if task.real:
            order = _paired(order, values)
        self._order, self.values = order, values[order]
        found, vectors = np.linalg.eig(self._T)
        last = np.abs(self._Z[-1] @ vectors) / np.linalg.norm(vectors, axis=0)
        near = np.abs(self.values[:, None] - found[None]).argmin(axis=1)
        self.last = last[near]
        self._real = task.real

    def closed(self, count: int) -> int:
        """`count`, or one more where it would part a pair."""
        if self._real and count < len(self.values):
            pairs = int((self.values[:count].imag != 0).sum())
            return count + pairs % 2
        return count

    def leading(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.zeros(len(self._T), np.int32)
        chosen[self._order[:count]] = 1
        sort = scipy.linalg.get_lapack_funcs("trsen", (self._T,))
        T, Z, *_ = sort(chosen, self._T, self._Z, job=b"N")
        return T[:count, :count], Z[:, :count]


def diagonal(T: np.ndarray) -> np.ndarray:
    """The eigenvalues of a real or complex Schur form, by position."""
    values = np.diag(T).astype(complex)
    if T.dtype.kind == "c":
        return values
    for i in np.flatnonzero(np.diag(T, -1)):
        half = (T[i, i] - T[i + 1, i + 1]) / 2
        mean = (T[i, i] + T[i + 1, i + 1]) / 2
        root = math.sqrt(max(-(half * half + T[i, i + 1] * T[i + 1, i]), 0.0))
        values[i], values[i + 1] = complex(mean, root), complex(mean, -root)
    return values


def _paired(order: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`order` with every complex value directly before its conjugate, which stands next to it in `values`."""
    made: list[int] = []
    seen: set[int] = set()
    for i in map(int, order):
        if i in seen:
            continue
        pair = [i] if values[i].imag == 0 else [i, i + 1] if values[i].imag > 0 else [i - 1, i]
        made += pair
        seen.update(pair)
    return np.array(made, int)


# ---- what a single starting vector misses --------------------------------------------------------------------------


def complete(basis: Basis, task: Task, found: Outcome) -> Outcome:
    """`found`, with copies of multiple eigenvalues that one starting vector does not see.

    What is orthogonal to the vectors found is searched from a random vector for something better than the worst of
    them; that is converged and takes its place, and the search begins anew.
    """
    tries = 0
    size = found.size
    while not found.everything and size < basis.n and tries < 2 * task.k + 10:
        tries += 1
        if task.hermitian and (ends := _ends(task, found, _slack(basis, task, found))) is not None:
            side = _better_side(basis, task, size, found, *ends)
            if side is None:
                return found
            search, verdict = replace(task, which=side), None
        else:
            search, verdict = task, _Verdict(basis, task, found, 5 * found.restarts + 50)
        if basis.fill(size) == size:
            return found
        window = min(task.room, basis.m - size, basis.n - size)
        more = run(basis, search, size, 1, window, verdict)
        if verdict is not None and (not more.converged or not verdict.better(more.values[0])):
            return found
        if not more.converged:
            found.converged = False
            return found
        size, found = _merge(basis, task, size + more.size, found, more)
    return found


def _merge(basis: Basis, task: Task, total: int, found: Outcome, more: Outcome) -> tuple[int, Outcome]:
    """The best of both, as the first rows."""
    H = basis.H
    small = (_Hermitian if task.hermitian else _General)(H[:total, :total], task)
    size = small.closed(min(task.k, total))
    S, Q = small.leading(size)
    basis.compress(0, total, Q)
    H[:] = 0
    H[:size, :size] = S
    worst = max(float(found.residuals.max(initial=0)), float(more.residuals.max(initial=0)))
    values = small.values[: min(task.k, total)]
    return size, Outcome(values, np.full(len(values), worst), size, True, found.restarts, found.low, found.high)


def _slack(basis: Basis, task: Task, found: Outcome) -> float:
    """What a value must be better by: the residual of a Hermitian operator bounds the error of its value."""
    return (2 if task.hermitian else 10) * float(np.max(task.allowed(found.values, basis)))


class _Verdict:
    """Whether anything better than `found` is left, from the best value of a search and its residual."""

    def __init__(self, basis: Basis, task: Task, found: Outcome, patience: int) -> None:
        self._keys, self._patience = task.keys, patience
        self._limit = float(task.keys(found.values[-1:])[0]) + _slack(basis, task, found)
        self._near = min(1e-5, math.sqrt(basis.eps)) * basis.scale

    def better(self, value: Any) -> bool:
        return bool(self._keys(np.array([value]))[0] > self._limit)

    def __call__(self, value: Any, residual: float) -> bool | None:
        self._patience -= 1
        if self.better(value):
            return None if self._patience > 0 else True
        return residual <= self._near or self._patience <= 0 or None


def _ends(task: Task, found: Outcome, slack: float) -> tuple[float, float] | None:
    """(low, high): outside of these no eigenvalue may be left. None if that does not say it."""
    values = found.values
    if task.which == "SM" and found.low >= -slack:  # then small is low
        return float(values.max()), math.inf
    if task.which == "SM" and found.high <= slack:
        return -math.inf, float(values.min())
    if task.which == "LA":
        return -math.inf, float(values.min())
    if task.which == "SA":
        return float(values.max()), math.inf
    if task.which == "LM":
        size = float(np.abs(values).min())
        return -size, size
    if task.which == "BE":
        high = values[::2].min()
        low = values[1::2].max() if len(values) > 1 else -math.inf
        return float(low), float(high)
    return None


def _better_side(basis: Basis, task: Task, locked: int, found: Outcome, low: float, high: float) -> str | None:
    """Which of "SA" and "LA" would find an eigenvalue below `low` or above `high`; None if none is left.

    By Lanczos from a random vector orthogonal to the locked rows, without orthogonalisation against its own vectors,
    which costs least: it repeats what it found. It ends once a missing vector would have had an improbably small part
    in the start (`_Outside`), or the value next to a limit has converged. Rows after the locked ones that are nearly
    eigenvectors of values within the limits are kept out as well: it is the distance to what is left that counts.
    """
    slack = _slack(basis, task, found)
    near = 100 * basis.eps * basis.scale
    for value, residual in found.near:
        # The part of a missing vector in such a row is at most this ratio, its square what the value would change by.
        if residual > 1e-4 * min(high - value, value - low):
            break
        locked += 1
    steps = 0
    course = _course(basis, locked)
    alphas: list[float] = []
    betas: list[float] = []
    outside = [None if math.isinf(limit) else _Outside(limit, basis.n) for limit in (low - slack, high + slack)]
    most = 20 * task.ncv * (found.restarts + 10)
    while steps < most:
        count = max(8, steps // 6)
        ended = False
        for alpha, beta in course(count):
            alphas.append(alpha)
            betas.append(beta)
            ended = not beta > 8 * basis.eps * basis.scale
            if ended:
                break
            for side in outside:
                if side is not None:
                    side.step(alpha, beta)
        steps = len(alphas)
        lowest, lowest_r = _end_of(alphas, betas, 0)
        highest, highest_r = _end_of(alphas, betas, steps - 1)
        if highest > high + slack or lowest < low - slack:
            return "LA" if highest > high + slack else "SA"
        if ended:
            return None
        if steps >= 2 * (basis.n - locked) + 20 and basis.n <= _FEW:  # differences too fine for lost orthogonality
            every = basis.spectrum(locked)
            return "LA" if every[-1] > high + slack else "SA" if every[0] < low - slack else None
        ends = zip(outside, (lowest_r, highest_r), strict=True)
        if all(side is None or side.empty or residual <= near for side, residual in ends):
            return None
    return None


class _Outside:
    """Whether an operator has an eigenvalue beyond a limit that no Ritz value passes, told by a run of Lanczos.

    The part that an eigenvector has in the vectors of the run is that in the start times the orthonormal polynomials at
    its eigenvalue, which grow away from the Ritz values. It cannot exceed 1: so that in the start was smaller than the
    inverse of the polynomial at the limit, which for a random start on a sphere in n dimensions has a probability of
    less than 1e-5 from some size on.
    """

    def __init__(self, limit: float, n: int) -> None:
        self._limit, self._enough = limit, 0.8 * math.sqrt(n) / 1e-5
        self._value, self._before, self._beta = 1.0, 0.0, 0.0
        self.empty = False

    def step(self, alpha: float, beta: float) -> None:
        if not self.empty:
            value = ((self._limit - alpha) * self._value - self._beta * self._before) / beta
            self._value, self._before, self._beta = value, self._value, beta
            self.empty = abs(value) >= self._enough


def _end_of(alphas: list[float], betas: list[float], at: int) -> tuple[float, float]:
    """An eigenvalue of the tridiagonal matrix, and its residual."""
    if len(alphas) == 1:
        return alphas[0], betas[0]
    w, s = scipy.linalg.eigh_tridiagonal(alphas, betas[: len(alphas) - 1], select="i", select_range=(at, at))
    return float(w[0]), betas[-1] * abs(float(s[-1, 0]))


def _course(basis: Basis, locked: int) -> Callable[[int], list[tuple[float, float]]]:
    """Takes so many steps of the three-term recurrence, orthogonal to the locked rows; gives its coefficients."""
    if basis.fill(locked) == locked:
        return lambda count: [(0.0, 0.0)]
    return basis.recurrence(locked)

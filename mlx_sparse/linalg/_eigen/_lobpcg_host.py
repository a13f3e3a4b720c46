"""The iteration of `lobpcg` over ndarrays.

Vectors are rows. What is searched, S = [X, P, W], stands in one array, as do A S and B S. A step makes their products
with W alone: the rest of the Gram matrices follows from those of the step before, and is made anew now and then.
Directions that depend on others are left out by the eigenvalues of the Gram matrix; no vectors are orthogonalised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from warnings import warn

import numpy as np
import scipy.linalg

_CHUNK = 2048  # elements of rows that are in cache together
_FRESH = 15  # steps after which A X and B X are products again, not combinations
Rows = Callable[[Any, Any], None]  # (rows, out): the operator times each of them


class Iteration:
    """Of A x = w B x with a preconditioner M; B and M may be None. X, shape (n, k), has the dtype of results."""

    def __init__(self, A: Rows, B: Rows | None, M: Rows | None, X: np.ndarray) -> None:
        (self.n, self.k), self.dtype = X.shape, X.dtype
        self.A, self.B, self.M, self.X = A, B, M, X
        self.eps = float(np.finfo(X.dtype).eps)
        parts = 2 if B is None else 3  # S, A S, B S
        self.now, self.next = (np.empty((parts, 3 * self.k, self.n), X.dtype) for _ in range(2))
        self.R = np.empty((self.k, self.n), X.dtype)
        self.G = self.H = np.empty((0, 0))
        self.lambdas: list[np.ndarray] = []
        self.norms: list[np.ndarray] = []

    @property
    def _mass(self) -> np.ndarray:
        return self.now[0 if self.B is None else 2]

    def _put(self, first: int, V: np.ndarray) -> int:
        """Rows of S from `first` on, and what belongs to them; where they end."""
        end = first + len(V)
        S = self.now[0]
        if not np.shares_memory(V, S):
            S[first:end] = V
        self.A(S[first:end], self.now[1][first:end])
        if self.B is not None:
            self.B(S[first:end], self.now[2][first:end])
        wide = np.promote_types(self.dtype, np.float64)
        pair = np.zeros((2, end, end), wide)
        for lo in range(0, self.n, _CHUNK):
            at = slice(lo, lo + _CHUNK)
            left = S[:end, at].conj() if self.dtype.kind == "c" else S[:end, at]
            for made, right in zip(pair, (self._mass, self.now[1]), strict=True):
                made[:, first:] += left @ right[first:end, at].T
        for name, made in zip("GH", pair, strict=True):
            made[:first, :first] = getattr(self, name)[:first, :first]
            made[first:, :first] = made[:first, first:].conj().T
            made[first:, first:] = (made[first:, first:] + made[first:, first:].conj().T) / 2
            setattr(self, name, made)
        return end

    def _turn(self, C: np.ndarray) -> None:
        """X becomes S C, and P the part of it that is not of X."""
        k, (m, width) = self.k, C.shape
        both = np.concatenate([C, C], axis=1)
        both[:k, width:] = 0
        self.G, self.H = (both.conj().T @ Y @ both for Y in (self.G, self.H))
        D = C.T.astype(self.dtype)
        for now, new in zip(self.now, self.next, strict=True):
            np.matmul(D[:, :k], now[: min(k, m)], out=new[:width])
            if m > k:
                np.matmul(D[:, k:], now[k:m], out=new[width : 2 * width])
                new[:width] += new[width : 2 * width]
        self.now, self.next = self.next, self.now

    def _white(self) -> np.ndarray:
        """T with T^H G T = I, of fewer columns where some depend on others."""
        size = np.sqrt(np.maximum(np.diag(self.G).real, 0))
        size[size == 0] = 1
        values, vectors = scipy.linalg.eigh(self.G / np.outer(size, size))
        kept = values > self.eps ** (2 / 3) * values[-1]
        return vectors[:, kept] / np.sqrt(values[kept]) / size[:, None]

    def _ritz(self, largest: bool) -> tuple[np.ndarray, np.ndarray]:
        """The wanted eigenvalues on the span of S, at most k, and their coefficients."""
        if not (np.isfinite(self.G).all() and np.isfinite(self.H).all()):
            raise ValueError("the operators gave values that are not finite")
        T = self._white()
        if T.shape[1] == 0:
            raise ValueError("Linearly dependent initial approximations: X is zero")
        w, C = scipy.linalg.eigh(T.conj().T @ self.H @ T)
        at = np.arange(len(w))[::-1][: self.k] if largest else np.arange(min(self.k, len(w)))
        return w[at], T @ C[:, at]

    def _settled(self, X: np.ndarray, largest: bool) -> np.ndarray:
        """Eigenvalues on the span of the rows X, which are turned to their vectors, by fresh products."""
        for _ in range(2):  # the first makes them nearly orthonormal
            self._put(0, X)
            w, C = self._ritz(largest)
            self._turn(C)
            X = self.now[0][: len(w)].copy()
        return w

    def _residual(self, w: np.ndarray) -> np.ndarray:
        """Norms of the residuals R."""
        k, real = self.k, np.finfo(self.dtype).dtype
        np.multiply(self._mass[:k], -w.astype(real)[:, None], out=self.R)
        self.R += self.now[1][:k]
        return np.sqrt(np.einsum("ij,ij->i", self.R.conj(), self.R).real)

    def run(self, tol: float, maxiter: int, largest: bool, restart: float) -> tuple[np.ndarray, np.ndarray]:
        """(eigenvalues, vectors as columns); `restart` is how much residuals may grow by before P is dropped."""
        k = self.k
        w = self._settled(np.ascontiguousarray(self.X.T), largest)
        if len(w) < k:
            raise ValueError(f"Linearly dependent initial approximations: X has {k} columns and rank {len(w)}")
        best: tuple[float, np.ndarray] = (np.inf, self.X)
        least, p, fresh, step = np.inf, 0, True, 0
        while True:
            norms = self._residual(w)
            worst = float(norms.max())
            if worst <= tol and not fresh:  # by what has been combined, which rounding may have moved
                w, p, fresh = self._settled(self.now[0][:k].copy(), largest), 0, True
                continue
            self._note(w, norms)
            if worst <= tol or step == maxiter:
                break
            if worst < best[0] / 2:  # copies cost time
                best = worst, self.now[0][:k].copy()
            if worst > restart * least:
                p = 0
            least = min(least, worst)
            W = self.R if (norms > tol).all() else self.R[norms > tol]
            if self.M is not None:
                end = k + p + len(W)
                self.M(W, self.now[0][k + p : end])
                W = self.now[0][k + p : end]
            self._put(k + p, W)
            w, C = self._ritz(largest)
            self._turn(C)
            p, step = k, step + 1
            fresh = step % _FRESH == 0
            if fresh:
                self._put(0, self.now[0][: 2 * k].copy())
        w = self._settled(best[1] if best[0] < worst else self.now[0][:k].copy(), largest)
        norms = self._residual(w)
        for _ in range(2):  # SciPy's histories end with the last step and with what comes after it
            self._note(w, norms)
        if norms.max() > tol:
            text = f"Exited at iteration {step} with accuracies \n{norms}\nnot reaching the requested tolerance {tol}."
            warn(text, UserWarning, stacklevel=4)
        return w.astype(norms.dtype), np.ascontiguousarray(self.now[0][:k].T)

    def _note(self, w: np.ndarray, norms: np.ndarray) -> None:
        self.lambdas.append(w.astype(norms.dtype))
        self.norms.append(norms)

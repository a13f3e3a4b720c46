"""Orthonormal rows that a Krylov method works in, over ndarrays or over `mx.array`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes, _native
from .._operator import surely_traced

# (v, B v) -> the operator times v; and v -> B v of the inner product, None for that of vectors
Apply = Callable[[Any, Any], Any]
_KEPT = 0.7  # share of its length that a vector keeps where one pass of Gram-Schmidt suffices
_NOISE = 8  # units of rounding of the operator's size below which a length is none


class Basis:
    """Rows V with V B V^H = I, and H with ``OP V[j] = sum of H[i, j] V[i]`` over i <= j + 1.

    Orthogonality is by classical Gram-Schmidt in two passes, each two products of a matrix and a vector.

    Attributes
    ----------
    H : ndarray, shape (m + 1, m)
        On the host whatever the rows are.
    scale : float
        The largest magnitude that H has had: about the size of the operator.
    products : int
        How often the operator was applied.
    """

    def __init__(
        self, n: int, m: int, dtype: np.dtype, apply: Apply, inner: Any, rng: np.random.Generator, hermitian: bool
    ) -> None:
        self.n, self.m, self.dtype, self.apply, self.inner, self.rng = n, m, dtype, apply, inner, rng
        self.hermitian = hermitian
        self.eps = float(np.finfo(dtype).eps)
        _dense.expect_on_host(8 * m * m)
        self.H = np.zeros((m + 1, m), np.promote_types(dtype, np.float64))  # small, so no reason to round
        self.scale, self.products = 0.0, 0
        self.V = self._zeros((m + 1, n))
        self.BV = self.V if inner is None else self._zeros((m + 1, n))

    # ---- what differs between the two libraries --------------------------------------------------------------------

    def _zeros(self, shape: tuple[int, ...]) -> Any:
        _dense.expect_on_host(math.prod(shape) * self.dtype.itemsize)
        return np.zeros(shape, self.dtype)

    def array(self, x: np.ndarray) -> Any:
        """`x` as one of the arrays that rows are made of."""
        return np.array(x, self.dtype)

    def host(self, x: Any) -> np.ndarray:
        return x

    def _dots(self, rows: Any, w: Any) -> Any:
        return (rows @ w.conj()).conj() if self.dtype.kind == "c" else rows @ w

    def _length(self, w: Any, z: Any) -> Any:
        return math.sqrt(max(float(np.vdot(w, z).real), 0.0))

    # ---- steps -----------------------------------------------------------------------------------------------------

    def random(self) -> Any:
        x = self.rng.standard_normal(self.n)
        return self.array(x + 1j * self.rng.standard_normal(self.n) if self.dtype.kind == "c" else x)

    def put(self, j: int, w: Any) -> bool:
        """Row j from `w`, made orthogonal to those before; False if nothing of it is left."""
        z = w if self.inner is None else self.inner(w)
        before = after = float(self._length(w, z))
        for _ in range(3):
            if not math.isfinite(after) or after <= 0:
                return False
            w, z = w / after, z / after
            _, w, z = self._pass(j, w, z)
            after = float(self._length(w, z))
            if after > 0.5:
                break
        if not after > 100 * self.eps or not before > 0:
            return False
        self._set(j, w, z, after)
        return True

    def fill(self, j: int) -> int:
        """Row j from a random vector; j where the space has no further dimension, else j + 1."""
        for _ in range(3):
            if j < self.n and self.put(j, self.random() if self.inner is None else self.apply(*self._pair())):
                return j + 1
        return j

    def _pair(self) -> tuple[Any, Any]:
        """A random vector and B times it: applying the operator brings it into the range where B is definite."""
        v = self.random()
        return v, self.inner(v)

    def _pass(self, j: int, w: Any, z: Any) -> tuple[Any, Any, Any]:
        if j == 0:
            return self.array(np.zeros(0)), w, z
        h = self._dots(self.V[:j], z)
        w = w - h @ self.V[:j]
        return h, w, w if self.inner is None else z - h @ self.BV[:j]

    def _set(self, j: int, w: Any, z: Any, length: Any) -> None:
        self.V[j] = w / length
        if self.inner is not None:
            self.BV[j] = z / length

    def extend(self, j: int, stop: int) -> int:
        """Columns of H from j on, up to `stop`. The number there are: less where the space is exhausted."""
        while j < stop:
            j = self.expand(j, stop)
            if j < stop and self.fill(j) == j:  # what is spanned is invariant: go on from elsewhere
                return j
        return j

    def _local(self, c: int, w: Any, z: Any) -> tuple[Any, Any, Any]:
        """What a Hermitian operator times row c has of that row and the one before."""
        beta = self.H[c, c - 1].real
        w = w - beta * self.V[c - 1]
        z = w if self.inner is None else z - beta * self.BV[c - 1]
        alpha = self._inner(self.V[c], z)
        w = w - alpha * self.V[c]
        return alpha, w, w if self.inner is None else z - alpha * self.BV[c]

    def expand(self, j: int, stop: int) -> int:
        """Steps from column j on, until a vector vanishes."""
        for c in range(j, stop):
            w = self.apply(self.V[c], self.BV[c])
            self.products += 1
            z = w if self.inner is None else self.inner(w)
            if self.hermitian and c > j:  # nearly all that is to be taken away, at the cost of two vectors
                alpha, w, z = self._local(c, w, z)
            else:
                alpha = 0.0
            before = self._length(w, z)
            h, w, z = self._pass(c + 1, w, z)
            after = self._length(w, z)
            if after < _KEPT * before or self.inner is not None:
                if self.inner is not None:
                    z = self.inner(w)  # which would drift
                more, w, z = self._pass(c + 1, w, z)
                h, after = h + more, self._length(w, z)
            h[c] += alpha
            if not math.isfinite(after):
                raise ValueError("the operator gave values that are not finite")
            if not self._note(c, h, after):
                return c + 1
            self._set(c + 1, w, z, after)
        return stop

    def _note(self, c: int, h: np.ndarray, length: float) -> bool:
        """Column c of H; False if the vector that it leads to is none."""
        self.H[: c + 1, c] = h
        self.H[c + 1 :, c] = 0
        self.scale = max(self.scale, float(np.abs(h).max()), length)
        if length <= _NOISE * self.eps * self.scale:
            return False
        self.H[c + 1, c] = length
        return True

    def recurrence(self, locked: int, keep: bool = False) -> Any:
        """From the row `locked`, orthogonal to those before: count -> (alpha, beta) of so many steps of Lanczos.

        With `keep` the vectors become the rows that follow.
        """
        made_before = 0
        v, bv = self.V[locked] + 0, None if self.inner is None else self.BV[locked] + 0
        state = [v, bv, None, None, 0.0]  # vector, before it, and the length between

        def steps(count: int) -> list[tuple[float, float]]:
            nonlocal made_before
            made: list[Any] = []
            v, bv, before, b_before, beta = state
            for _ in range(count):
                self.products += 1
                w = self.apply(v, v if bv is None else bv)
                z = w if self.inner is None else self.inner(w)
                alpha = self._inner(v, z)
                w = w - alpha * v
                z = w if bv is None else z - alpha * bv
                if before is not None:
                    w = w - beta * before
                    z = w if bv is None else z - beta * b_before
                before, b_before = v, bv
                beta, v, bv = self._unit(locked, w, z)
                made.append((alpha, beta))
                made_before += 1
                if keep:
                    self.V[locked + made_before] = v
            state[:] = v, bv, before, b_before, beta
            return self._numbers(made, state)

        return steps

    def _unit(self, locked: int, w: Any, z: Any) -> tuple[Any, Any, Any]:
        """The length of what w has apart from the locked rows, and that as a vector of length 1 or 0."""
        if locked:
            _, w, z = self._pass(locked, w, z)
        beta = self._length(w, z)
        inverse = self._inverse(beta)
        return beta, w * inverse, None if self.inner is None else z * inverse

    def spectrum(self, locked: int) -> np.ndarray:
        """All eigenvalues of a Hermitian operator on what is orthogonal to the locked rows, ascending."""
        whole = type(self)(self.n, self.n, self.dtype, self.apply, self.inner, self.rng, True)
        for mine, other in ((whole.V, self.V), (whole.BV, self.BV)):
            mine[:locked] = other[:locked]
        whole.fill(locked)
        reached = whole.extend(locked, self.n)
        return np.linalg.eigvalsh(whole.H[locked:reached, locked:reached])

    def _inner(self, v: Any, z: Any) -> Any:
        return float(np.vdot(v, z).real)

    def _inverse(self, length: Any) -> Any:
        return 1 / length if length > 0 else 0.0

    def _numbers(self, pairs: list[Any], state: list[Any]) -> list[tuple[float, float]]:
        return pairs

    # ---- rotations -------------------------------------------------------------------------------------------------

    def compress(self, first: int, last: int, Q: np.ndarray) -> None:
        """Rows from `first` on become the columns of Q over rows `first` to `last`; the row `last` follows them."""
        kept = Q.shape[1]
        turn = self.array(np.ascontiguousarray(Q.T))
        for rows in (self.V,) if self.inner is None else (self.V, self.BV):
            residual = rows[last] + 0
            rows[first : first + kept] = turn @ rows[first:last]
            rows[first + kept] = residual

    def combine(self, first: int, Y: np.ndarray) -> Any:
        """Vectors as rows: the columns of Y over the rows from `first` on."""
        return self._combined(np.ascontiguousarray(Y.T), self.V[first : first + len(Y)])

    def _combined(self, Y: np.ndarray, rows: Any) -> Any:
        return Y @ rows


class LazyBasis(Basis):
    """Rows of an `mx.array`; steps are evaluated together, so that a restart costs one synchronisation."""

    @property
    def _dtype(self) -> mx.Dtype:
        return _dtypes.mlx_dtype(self.dtype)

    def _zeros(self, shape: tuple[int, ...]) -> Any:
        _dense.expect(shape, self._dtype)
        return mx.zeros(shape, self._dtype)

    def array(self, x: np.ndarray) -> Any:
        return _dense.to_mlx(x, self._dtype)

    def host(self, x: Any) -> np.ndarray:
        return _dense.view(x)

    def _dots(self, rows: Any, w: Any) -> Any:
        return mx.conj(rows @ mx.conj(w)) if self.dtype.kind == "c" else rows @ w

    def _length(self, w: Any, z: Any) -> Any:
        product = mx.sum(mx.real(mx.conj(w) * z) if self.dtype.kind == "c" else w * z)
        return mx.sqrt(mx.maximum(product, 0))

    def _inner(self, v: Any, z: Any) -> Any:
        return mx.sum(mx.real(mx.conj(v) * z) if self.dtype.kind == "c" else v * z)

    def _inverse(self, length: Any) -> Any:
        return mx.where(length > 0, 1 / length, 0)

    def _numbers(self, pairs: list[Any], state: list[Any]) -> list[tuple[float, float]]:
        together = mx.stack([number for pair in pairs for number in pair])
        mx.eval(together, [x for x in state if _dense.is_mlx(x)])
        return [(alpha, beta) for alpha, beta in _dense.view(together).reshape(-1, 2).tolist()]

    def _pass(self, j: int, w: Any, z: Any) -> tuple[Any, Any, Any]:
        if self.inner is not None or j == 0:
            return super()._pass(j, w, z)
        v, h = _native.extend_rows(self.V, j, w, False)
        w = mx.real(h[j]) * v
        return h[:j], w, w

    def _unit(self, locked: int, w: Any, z: Any) -> tuple[Any, Any, Any]:
        if self.inner is not None:
            return super()._unit(locked, w, z)
        v, h = _native.extend_rows(self.V, locked, w, False)
        return mx.real(h[locked]), v, None

    _ahead: int | None = None  # steps that are made before one looks whether a vector has vanished; None: all

    def expand(self, j: int, stop: int) -> int:
        first = j
        while j < stop:
            goal = stop if self._ahead is None else min(stop, j + self._ahead)
            j, ended = self._expand(j, goal)
            if ended:  # it may soon do so again, and steps beyond that are in vain
                self._ahead = j - first
                return j
            if self._ahead is not None:
                self._ahead *= 2
        return j

    def _expand(self, j: int, stop: int) -> tuple[int, bool]:
        """The number of columns there are, and whether a vector has vanished."""
        columns: list[Any] = []  # coefficients, the length last
        v = self.V[j]
        for c in range(j, stop):
            self.products += 1
            if self.inner is None:
                v, h = _native.extend_rows(self.V, c + 1, self.apply(v, v), True)
                columns.append(h)
                continue
            w = self.apply(self.V[c], self.BV[c])
            h, w, z = self._pass(c + 1, w, self.inner(w))
            more, w, z = self._pass(c + 1, w, self.inner(w))
            length = self._length(w, z)
            columns.append(mx.concatenate([h + more, length[None].astype(h.dtype)]))
            self._set(c + 1, w, z, mx.where(length > 0, length, 1))
        together = mx.concatenate(columns)  # a GPU's memory takes the host as long to read as some vectors, each time
        mx.eval(together, v, self.V, self.BV)
        if surely_traced(together):
            raise ValueError(
                "the products of the operator depend on traced arrays that it closes over, and eigenvalues have no "
                "derivative with respect to them: give a sparse array (`with_data` takes traced values) or an mx.array"
            )
        numbers = _dense.view(together)
        for c, h in enumerate(columns, j):
            *_, size = column = numbers[: h.size]
            numbers = numbers[h.size :]
            if not math.isfinite(size.real):
                raise ValueError("the operator gave values that are not finite")
            if not self._note(c, column[:-1], float(size.real)):
                return c + 1, True
        return stop, False

    def _combined(self, Y: np.ndarray, rows: Any) -> Any:
        if Y.dtype.kind == "c" and self.dtype.kind != "c":
            return self.host(rows) if Y.size == 0 else Y @ self.host(rows)
        return self.array(Y) @ rows

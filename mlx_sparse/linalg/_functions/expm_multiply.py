"""The action of the exponential of a matrix, without forming it."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes
from ..._base import _spbase, as_sparse, issparse
from ..._native import TaylorRows
from ..._reduce import total_of
from .._operator import Operator, Product, as_operator
from .._problem import check_dtype, host_dtype, inexact, on_gpu, refuse_traced, require_square, workers
from . import thresholds
from .norm import norm
from .onenormest import estimate, products

_DEGREES = (*range(1, 31), 35, 40, 45, 50, 55)  # of the Taylor polynomials
_SAMPLES = 50  # default number of points, as in SciPy


def expm_multiply(
    A: Any,
    B: Any,
    start: float | None = None,
    stop: float | None = None,
    num: int | None = None,
    endpoint: bool | None = None,
    traceA: Any = None,
) -> Any:
    """``expm(A) @ B``, or ``expm(t A) @ B`` for equally spaced t, by products of `A` with arrays shaped like `B`.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array or LinearOperator, shape (n, n)
        An operator must have products with its adjoint as well.
    B : ndarray, mx.array or sparse array, shape (n,) or (n, k)
    start, stop : float, optional
        First and last t. Given together.
    num : int, optional
        Number of points in time, at least 2. Default: 50.
    endpoint : bool, optional
        Whether `stop` is the last of the points, as in `numpy.linspace`. Default: True.
    traceA : number, optional
        Trace of `A`; a good guess saves products. It is estimated for a LinearOperator, with a `UserWarning`.

    Returns
    -------
    array of the shape of `B`, in its namespace; with `start` and `stop`, points in time stand along a new first axis
        A sparse `B` and `A` give a sparse array, and for several points a dense one in the namespace of
        `runtime.dense_namespace`. Integers give the default float dtype; several points of an ndarray `B` are at least
        float64 where `A` and the device have it, as in SciPy.

    Raises
    ------
    TypeError
        An `mx.array` `B` whose dtype differs from that of `A`, or only one of `start` and `stop`.
    ValueError
        `A` is not square, `B` does not fit it, or `num` is less than 2.

    Notes
    -----
    A. H. Al-Mohy and N. J. Higham, Computing the action of the matrix exponential, with an application to exponential
    integrators, SIAM J. Sci. Comput. 33 (2011), for single precision with thresholds of its own. Reads the values of
    `A` to find the number of products (synchronises). For an `mx.array` `B` everything after that is lazy and
    differentiable with respect to `B` and the values of `A`, and the number of products does not depend on `B`; for an
    ndarray the series end as soon as they have converged.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array([[1.0, 0.0], [0.0, 1.0]])
    >>> b = np.array([np.exp(-1.0), np.exp(-2.0)])
    >>> sp.linalg.expm_multiply(A, b).round(12)
    array([1.        , 0.36787944])
    >>> sp.linalg.expm_multiply(A, b, start=1, stop=2, num=3).shape
    (3, 2)

    Differences from SciPy
    ----------------------
    `start` may be greater than `stop`, and points on both sides of zero are reached from zero.
    """
    if (start is None) != (stop is None):
        raise TypeError("start and stop must be given together")
    once = start is None and num is None and endpoint is None
    task = _Task(A, B, traceA, wide=not once)
    with workers():
        if once:
            return task.finish(task.step(task.B, 1.0, task.parameters(1.0)))
        first, last = [0.0, 1.0] if start is None else [float(_dense.python_scalar(t)) for t in (start, stop)]
        count = _SAMPLES if num is None else operator.index(num)
        if count < 2:
            raise ValueError(f"at least two time points are required; got num={count}")
        parts = count - 1 if endpoint is None or endpoint else count
        return task.finish(_interval(task, first, (last - first) / parts, count))


def _interval(task: _Task, first: float, h: float, count: int) -> Any:
    """The results at `first`, `first + h`, ..., stacked; outwards from the time nearest to zero, to lose no digits."""
    times = [first + k * h for k in range(count)]
    origin = min(range(count), key=lambda k: abs(times[k]))
    X = task.step(task.B, times[origin], task.parameters(times[origin]))
    before = _march(task, X, -h, origin)
    return task.stack([*reversed(before), X, *_march(task, X, h, count - 1 - origin)])


def _march(task: _Task, X: Any, h: float, count: int) -> list[Any]:
    """exp(k h A) X for k = 1 ... count: algorithm 5.2 of the paper."""
    made: list[Any] = []
    m, s = task.parameters(h * count)
    if s < count:  # steps that are shorter than accuracy asks for share the terms of one series
        while len(made) < count:
            made += task.steps(made[-1] if made else X, h, m, min(count // s, count - len(made)))
        return made
    own = task.parameters(h)
    while len(made) < count:
        made.append(task.step(made[-1] if made else X, h, own))
    return made


class _Task:
    """One operator and the products, norms and dtypes that belong to it; A is shifted by its mean eigenvalue mu."""

    def __init__(self, A: Any, B: Any, trace: Any, wide: bool) -> None:
        A = as_operator(as_sparse(A) if issparse(A) else A)
        self.n = require_square(A)
        if not _dense.is_mlx(B):
            refuse_traced(A, "expm(A) @ B for a B that is no mx.array")
        B = as_sparse(B) if issparse(B) else _dense.as_dense(B)
        if B.ndim not in (1, 2):
            raise ValueError(f"expected B to be like a matrix or a vector; got {B.ndim} dimensions")
        if B.shape[0] != self.n:
            raise ValueError(f"shapes of matrices A {A.shape} and B {tuple(B.shape)} are incompatible")
        self.columns = 1 if B.ndim == 1 else B.shape[1]
        self.finish: Any = lambda x: x
        if isinstance(B, np.matrix):
            B, self.finish = np.asarray(B), lambda x: x.view(np.matrix) if x.ndim == 2 else x
        if isinstance(B, _spbase) and (wide or B.ndim == 1 or not A.sparse):
            self.finish = lambda x: _dense.in_namespace(_dense.to_mlx(x))
            B = B.toarray()
        self._bind(A, B, wide)
        self.u = thresholds.unit_roundoff(self.dtype)
        A = A.constant()
        if trace is None:
            trace = self._trace(A)
        mu = complex(trace) / self.n if self.n else 0
        self.mu = mu if self.dtype.kind == "c" else mu.real
        self._norms(A)

    def _bind(self, A: Operator, B: Any, wide: bool) -> None:
        """Settle the dtype (`wide`: at least float64 on the host), and the product X -> A X where the operand lives."""
        self.lazy = _dense.is_mlx(B)
        if self.lazy and A.required is not None:
            check_dtype(B, A.required)
        known = host_dtype(B)
        if A.dtype is not None:
            known = A.dtype
        elif not self.lazy:
            known = A.host()(B).dtype
        dtype = np.promote_types(inexact(known), inexact(host_dtype(B)))
        if wide and not self.lazy:
            dtype = np.promote_types(dtype, np.float64)
        if self.lazy or A.required is not None:
            dtype = _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))
        self.dtype = dtype
        if A.sparse and not self.lazy and not isinstance(B, _spbase) and mx.default_device().type == mx.DeviceType.gpu:
            finish = self.finish
            self.lazy, self.finish = True, lambda x: finish(_dense.view(x))
        if self.lazy:
            if A.on_host:
                refuse_traced(B, "a product with a LinearOperator, over ndarrays,")
            target = _dtypes.mlx_dtype(dtype)
            self.B, self.product = _dense.to_mlx(B, target), A.device(target)
        else:
            self.B, self.product = B.astype(dtype), A.host(dtype)
        self.rows: Any = None  # A by rows, where terms of the series are made natively
        if A.sparse and A.explicit and not self.lazy and isinstance(self.B, np.ndarray):
            self.B = np.ascontiguousarray(self.B)
            self.rows = rows_of(A, dtype)

    def _trace(self, A: Operator) -> complex:
        if A.explicit:
            return complex(_dense.view(total_of(A.operand._diagonal(0), None)) if A.sparse else np.trace(_entries(A)))
        warn(
            "Trace of LinearOperator not available, it will be estimated. Provide `traceA` to ensure performance.",
            stacklevel=4,
        )
        S = np.random.default_rng(0).integers(0, 2, (self.n, min(self.n, 8))) * 2.0 - 1  # Hutchinson's estimator
        return complex(np.vdot(S, A.host()(S)) / S.shape[1])

    # ---- how many products -------------------------------------------------------------------------------------

    def _norms(self, A: Operator) -> None:
        """Bind what is known of A - mu I: its 1-norm, and d_p = |(A - mu I)^p|^(1/p) on demand."""
        mu = self.mu
        chains: list[Any] = []
        self._powers: dict[int, float] = {}

        def d(p: int) -> float:
            if not chains:
                if A.sparse and A.explicit and not on_gpu():
                    wide = np.promote_types(self.dtype if A.dtype is None else A.dtype, "D" if np.imag(mu) else "d")
                    chains.extend([_chain(rows_of(A, wide), wide, mu), _chain(rows_of(A.H, wide), wide, np.conj(mu))])
                else:
                    chains.extend(map(_repeated, products(A), (mu, np.conj(mu))))
            if p not in self._powers:
                forward, backward = (lambda X, f=f: f(X, p) for f in chains)
                self._powers[p] = float(estimate(forward, backward, self.n)[0]) ** (1 / p)
            return self._powers[p]

        self._d = d
        if self.n == 0:
            self._norm = 0.0
        elif not A.explicit:
            self._norm = d(1)
        elif A.sparse:
            self._norm = _shifted_norm(A.operand, mu)
        else:
            self._norm = float(np.abs(_entries(A) - mu * np.eye(self.n)).sum(axis=0).max())
        if not math.isfinite(self._norm):
            raise ValueError("A must hold finite values, whose sums of magnitudes are finite too")

    def parameters(self, t: float) -> tuple[int, int]:
        """(m, s): degree and steps that take the fewest products for exp(t (A - mu I)); fragment 3.1 of the paper."""
        size, last = abs(t) * self._norm, _DEGREES[-1]
        if size == 0:
            return 0, 1
        p_max = _largest_power(last)
        limit = 4 * thresholds.taylor(last, self.u) * p_max * (p_max + 3) / (max(self.columns, 1) * last)
        best = self._fewest((m, size) for m in _DEGREES)
        if size <= limit:  # powers would cost more to estimate than they save
            return best
        before = size
        for p in range(2, p_max + 1):
            now = abs(t) * max(self._d(p), self._d(p + 1))
            powers = self._fewest((m, now) for m in _DEGREES if m >= p * (p - 1) - 1)
            best = min(best, powers, key=_products_of)
            # Powers that gain nothing are no sign that higher ones do; where those are cheap, they are looked at.
            rest = 8 * sum(range(p + 2, p_max + 2))
            if now > 0.98 * before and rest > 0.1 * _products_of(best)[0] * max(self.columns, 1):
                break
            before = now
        return best

    def _fewest(self, choices: Iterable[tuple[int, float]]) -> tuple[int, int]:
        """(m, s) with the fewest products, from degrees and what they need to be exact for."""
        needed = [(m, max(1, math.ceil(alpha / thresholds.taylor(m, self.u)))) for m, alpha in choices]
        return min(needed, key=_products_of)

    # ---- the series --------------------------------------------------------------------------------------------

    def step(self, X: Any, t: float, parameters: tuple[int, int]) -> Any:
        """exp(t A) X in s steps of a Taylor polynomial of degree m."""
        m, s = parameters
        growth = self._scalar(np.exp(t * self.mu / s))
        if self.rows is not None:
            return self._native_step(X, t, m, s, growth)
        for _ in range(s):
            total, term = X, X
            before = bound = 0.0 if self.lazy else _size(term)
            for j in range(1, m + 1):
                term = self._term(term, t / (s * j))
                total = total + term
                if not self.lazy:
                    now = _size(term)
                    bound += now  # which the size of the sum cannot exceed
                    if before + now <= self.u * bound and before + now <= self.u * _size(total):
                        break
                    before = now
            X = total * growth
        return X

    def _native_step(self, X: np.ndarray, t: float, m: int, s: int, growth: Any) -> np.ndarray:
        X, spare = X.copy(), [np.empty_like(X), np.empty_like(X)]
        size = _size(X)
        for _ in range(s):
            before = size
            np.copyto(spare[0], X)
            for j in range(1, m + 1):
                now, size = self.rows.term(spare[1 - j % 2], spare[j % 2], X, t / (s * j), self.mu)
                if before + now <= self.u * size:
                    break
                before = now
            X *= growth
            size *= abs(growth)
        return X

    def steps(self, X: Any, h: float, m: int, count: int) -> list[Any]:
        """exp(k h A) X for k = 1 ... count, from one series, that of exp(count h A)."""
        if self.rows is not None:
            return self._native_steps(X, h, m, count)
        terms, made = [X], []
        sizes = [0.0 if self.lazy else _size(X)]
        for k in range(1, count + 1):
            total, share = X, k / count
            for p in range(1, m + 1):
                if p == len(terms):
                    terms.append(self._term(terms[-1], count * h / p))
                    sizes.append(0.0 if self.lazy else _size(terms[-1]))
                total = total + terms[p] * self._scalar(share**p)
                if not self.lazy and share ** (p - 1) * (sizes[p - 1] + share * sizes[p]) <= self.u * _size(total):
                    break
            made.append(total * self._scalar(np.exp(k * h * self.mu)))
        return made

    def _native_steps(self, X: np.ndarray, h: float, m: int, count: int) -> list[np.ndarray]:
        terms = np.empty((m + 1, *X.shape), X.dtype)
        terms[0], total, before, used = X, X.copy(), _size(X), 1
        while used <= m:
            now, size = self.rows.term(terms[used - 1], terms[used], total, count * h / used, self.mu)
            used += 1
            if before + now <= self.u * size:
                break
            before = now
        k = np.arange(1, count + 1)
        shares = (k / count)[:, None] ** np.arange(used) * np.exp(k * h * self.mu)[:, None]
        made = shares.astype(self.dtype) @ terms[:used].reshape(used, -1)  # all of them at once
        return list(made.reshape(count, *X.shape))

    def _term(self, X: Any, c: float) -> Any:
        """c (A - mu I) X."""
        Y = self.product(X) * self._scalar(c)
        return Y - X * self._scalar(c * self.mu) if self.mu else Y

    def _scalar(self, c: Any) -> Any:
        """A number that leaves the dtype of what it multiplies as it is."""
        return self.dtype.type(c) if not self.lazy else mx.array(c, dtype=_dtypes.mlx_dtype(self.dtype))

    def stack(self, X: list[Any]) -> Any:
        return (mx.stack if self.lazy else np.stack)(X)


def _entries(A: Operator) -> np.ndarray:
    return _dense.view(A.operand) if _dense.is_mlx(A.operand) else A.operand


def _size(X: Any) -> float:
    """The largest row sum of magnitudes."""
    if isinstance(X, _spbase):
        return float(np.asarray(norm(X, math.inf)))
    if X.ndim == 1 and X.dtype.kind == "f":
        return float(max(X.max(initial=0), -X.min(initial=0)))
    if X.ndim == 1:
        return float(np.abs(X).max(initial=0))
    return float(np.abs(X).sum(axis=1).max(initial=0))


def _shifted_norm(A: Any, mu: complex) -> float:
    """|A - mu I|_1 without forming the difference."""
    main = _dense.view(A._diagonal(0))
    sums = np.asarray(_dense.view(abs(A)._sum((0,), None, None)), np.float64)
    with np.errstate(invalid="ignore"):
        return float((sums - np.abs(main) + np.abs(main - mu)).max())


def rows_of(A: Operator, dtype: Any) -> TaylorRows:
    """A sparse operator by rows, of `dtype`."""
    S = A.operand.tocsr().astype(dtype, copy=False)
    return TaylorRows((S._data, S._indices, S._indptr))


def _repeated(product: Product, mu: complex) -> Any:
    """(X, p) -> (A - mu I)^p X."""

    def power(X: Any, p: int) -> Any:
        for _ in range(p):
            X = product(X) - mu * X
        return X

    return power


def _chain(rows: TaylorRows, dtype: np.dtype, mu: complex) -> Any:
    """As `_repeated`, natively and column by column: vectors stay in cache."""

    def power(X: Any, p: int) -> np.ndarray:
        columns = np.array(X.T, dtype, order="C")
        spare = np.empty(columns.shape[1], dtype)
        for i, x in enumerate(columns):
            y = spare
            for _ in range(p):
                rows.term(x, y, None, 1.0, mu)
                x, y = y, x
            if x is spare:
                columns[i] = x
        return columns.T

    return power


def _products_of(parameters: tuple[int, int]) -> tuple[int, int]:
    m, s = parameters
    return m * s, s


def _largest_power(m: int) -> int:
    """The largest p with p (p - 1) <= m + 1."""
    return int((1 + math.sqrt(4 * m + 5)) / 2)

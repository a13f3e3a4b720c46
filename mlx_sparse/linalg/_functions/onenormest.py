"""An estimate of the 1-norm of a matrix that is known by its products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _dense
from ..._base import issparse
from .._operator import Product, as_operator
from .._problem import refuse_traced, require_square


def onenormest(A: Any, t: int = 2, itmax: int = 5, compute_v: bool = False, compute_w: bool = False) -> Any:
    """A lower bound of the 1-norm of `A`, rarely off by more than a factor of 3 and often exact. Synchronises.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array or LinearOperator, shape (n, n)
        An operator must have products with its adjoint as well.
    t : int
        Number of columns that are looked at together: more take more time and give a better bound. The norm is exact
        for ``t >= n``.
    itmax : int
        Most iterations, at least 2.
    compute_v, compute_w : bool
        Whether to give v and w as well.

    Returns
    -------
    est : float
    v : ndarray, shape (n,), optional
        Of 1-norm one, with ``norm(A @ v, 1) == est``.
    w : ndarray, shape (n,), optional
        ``A @ v``.
        For a sparse or `mx.array` `A` dense results are in the namespace of `runtime.dense_namespace`.

    Raises
    ------
    ValueError
        `A` is not square or has no rows, or `t` or `itmax` is too small.

    Notes
    -----
    Algorithm 2.4 of N. J. Higham and F. Tisseur, A block algorithm for matrix 1-norm estimation, SIAM J. Matrix Anal.
    Appl. 21 (2000): about 4 t products with A and its adjoint.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array([[1.0, 0.0, 0.0], [5.0, 8.0, 2.0], [0.0, -1.0, 0.0]])
    >>> float(sp.linalg.onenormest(A))
    9.0

    Differences from SciPy
    ----------------------
    The random columns are the same in every call, so that results can be repeated.
    """
    n = require_square(A)
    if n == 0:
        raise ValueError("an operator without rows has no norm to estimate")
    if t < 1:
        raise ValueError(f"t must be at least 1; got {t}")
    if itmax < 2:
        raise ValueError(f"itmax must be at least 2; got {itmax}")
    refuse_traced(A, "an estimate of its norm")
    apply, adjoint = products(A)
    est, v, w = estimate(apply, adjoint, n, t, itmax)
    results: list[Any] = [est] + [v] * bool(compute_v) + [w] * bool(compute_w)
    if issparse(A) or _dense.is_mlx(A):
        results = [_dense.in_namespace(_dense.to_mlx(x)) for x in results]
    return tuple(results) if len(results) > 1 else results[0]


def products(A: Any) -> tuple[Product, Product]:
    """X -> A X and X -> A^H X over ndarrays of shape (n, k), in double precision where `A` and the device have it."""
    A = as_operator(A)
    dtype = np.promote_types(A.dtype, np.float64) if A.explicit and A.dtype is not None else None
    return A.host(dtype), A.H.host(dtype)


def estimate(apply: Product, adjoint: Product, n: int, t: int = 2, itmax: int = 5) -> tuple[Any, Any, Any]:
    """(est, v, w) for the operator of order n with the products X -> A X and X -> A^H X."""
    if t >= n:
        Y = np.asarray(apply(np.eye(n)))
        sums = np.abs(Y).sum(axis=0)
        best = int(sums.argmax())
        return sums[best], _unit(n, best), Y[:, best]
    rng = np.random.default_rng(0)
    X = np.ones((n, t))
    _vary(X[:, 1:], X[:, :1], rng)
    X /= n
    est, best, w = 0.0, -1, np.zeros(n)
    chosen = np.zeros(0, np.intp)  # the unit vectors that are the columns of X, from the second step on
    visited = np.zeros(n, bool)
    signs = np.zeros((n, t))
    v = X[:, 0].copy()
    for step in range(itmax + 1):
        Y = np.asarray(apply(X))
        sums = np.abs(Y).sum(axis=0)
        top = int(sums.argmax())
        if step and sums[top] <= est:
            break
        est, w = sums[top], Y[:, top].copy()
        v = X[:, top].copy()
        best = int(chosen[top]) if step else -1
        if step == itmax:
            break
        before, signs = signs, _signs(Y)
        if not np.iscomplexobj(signs):
            if np.all(np.abs(before.T @ signs).max(axis=0) == n):
                break
            _vary(signs, before, rng)
        heights = np.abs(np.asarray(adjoint(signs))).max(axis=1)
        if step and heights.max() == heights[best]:
            break
        order = np.argsort(-heights, kind="stable")
        if visited[order[:t]].all():
            break
        chosen = np.concatenate([order[~visited[order]], order[visited[order]]])[:t]
        visited[chosen] = True
        X = np.zeros((n, t))
        X[chosen, np.arange(t)] = 1
    return est, v, w


def _unit(n: int, i: int) -> np.ndarray:
    e = np.zeros(n)
    e[i] = 1
    return e


def _signs(Y: np.ndarray) -> np.ndarray:
    """Y / |Y|, and 1 for 0."""
    if not np.iscomplexobj(Y):
        return np.where(Y >= 0, 1.0, -1.0)
    size = np.abs(Y)
    return np.where(size == 0, 1, Y / np.where(size == 0, 1, size))


def _vary(S: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> None:
    """Replace columns of signs in `S` that are parallel to an earlier one or to one of `others` by random ones."""
    n = S.shape[0]
    for j in range(S.shape[1]):
        for _ in range(100):  # for tiny n there may be no other column left
            known = np.concatenate([others, S[:, :j]], axis=1)
            if np.abs(known.T @ S[:, j]).max(initial=0) < n:
                break
            S[:, j] = rng.integers(0, 2, n) * 2.0 - 1

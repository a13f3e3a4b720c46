"""A lower bound of the 1-norm of what is known by its products over ndarrays: the algorithm of `onenormest`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._operator import Product


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

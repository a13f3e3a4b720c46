"""Matrices of the benchmarks as NumPy csr buffers."""

from __future__ import annotations

import numpy as np

Csr = tuple[np.ndarray, np.ndarray, np.ndarray, int]  # data, indices, indptr, n


def poisson_3d(side: int, dtype: str) -> Csr:
    """7-point Laplacian on a cube of side^3 points, indices sorted, no explicit zeros."""
    n = side**3
    point = np.arange(n, dtype=np.int32)
    x, y, z = point % side, point // side % side, point // side**2
    steps = (-(side**2), -side, -1, 0, 1, side, side**2)
    inside = (z > 0, y > 0, x > 0, np.ones(n, bool), x < side - 1, y < side - 1, z < side - 1)
    keep = np.stack(inside, axis=1)
    indices = (point[:, None] + np.array(steps, np.int32))[keep]
    data = np.broadcast_to(np.array([-1, -1, -1, 6, -1, -1, -1], dtype), keep.shape)[keep]
    indptr = np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype(np.int32)
    return data, indices, indptr, n


def random_rows(n: int, per_row: int, dtype: str, seed: int = 0) -> Csr:
    """n x n with `per_row` distinct columns in every row, indices sorted."""
    rng = np.random.default_rng(seed)
    block = n // per_row  # one column from each of per_row blocks: distinct and sorted without a search
    starts = np.arange(per_row, dtype=np.int32) * block
    indices = (starts + rng.integers(0, block, (n, per_row), dtype=np.int32)).ravel()
    indptr = np.arange(0, n * per_row + 1, per_row, dtype=np.int32)
    return rng.standard_normal(n * per_row).astype(dtype), indices, indptr, n


def power_law(n: int, draws: int, dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Coordinates (data, row, col, n) with heavy-tailed row lengths and duplicates; a few rows are very long."""
    rng = np.random.default_rng(seed)
    row = (np.floor(10 * rng.pareto(1.2, draws)) % n).astype(np.int32)
    col = rng.integers(0, n, draws, dtype=np.int32)
    return rng.standard_normal(draws).astype(dtype), row, col, n


def shuffled_coordinates(n: int, entries: int, dtype: str, seed: int = 0) -> tuple:
    """Coordinates (data, row, col, n) in random order; a fifth of the entries repeat another one's place."""
    rng = np.random.default_rng(seed)
    row, col = rng.integers(0, n, (2, entries), dtype=np.int32)
    repeats = entries // 5
    source = rng.integers(repeats, entries, repeats)
    row[:repeats], col[:repeats] = row[source], col[source]
    order = rng.permutation(entries)
    return rng.standard_normal(entries).astype(dtype), row[order], col[order], n

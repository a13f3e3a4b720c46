"""Indexing, stacking, formats and files compared with SciPy, as a table: name -> what to make, what to time, the floor.

`make(lib)` builds the operand with either library, `run(lib, operand)` is timed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import matrices
import mlx.core as mx
import numpy as np
import scipy.sparse
from measure import Side

import mlx_sparse as sp

Make = Callable[[Any], Any]
Run = Callable[[Any, Any], Any]

LARGE, TINY = 200_000, 20  # rows of 5 entries: 1e6 entries, and 100
LOOSE = 1 / 3


class Row(NamedTuple):
    make: Make
    run: Run
    speed: float  # least SciPy time / our time


@cache
def _rows(n: int, seed: int = 0) -> matrices.Csr:
    return matrices.random_rows(n, 5, "float64", seed)


@cache
def _draw(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, n, n // 2)


@cache
def _flags(n: int) -> np.ndarray:
    return np.random.default_rng(2).random(n) < 0.5


def csr(n: int, lib: Any, seed: int = 0) -> Any:
    """The same matrix of either library, its buffers ready and its order known, as they are after a first use."""
    data, indices, indptr, n = _rows(n, seed)
    A = lib.csr_array((data, indices, indptr), shape=(n, n))
    assert A.has_canonical_format
    if lib is sp:
        mx.eval(A.data, A.indices, A.indptr)
    return A


def with_mask(n: int, lib: Any) -> Any:
    A = csr(n, lib)
    return A, A > 0


def blocks(n: int, count: int, lib: Any) -> list[Any]:
    return [csr(n, lib, seed) for seed in range(count)]


def square_root(lib: Any) -> Any:
    """A matrix of 1000 entries: its Kronecker square has 1e6."""
    return csr(200, lib)


def diagonals(n: int, lib: Any) -> tuple[list[np.ndarray], list[int]]:
    offsets = [-n // 4, -1, 0, 1, n // 4]
    return [np.ones(n - abs(k)) for k in offsets], offsets


def blocked(lib: Any) -> tuple[Any, np.ndarray]:
    """7 blocks of 3 x 3 in each of 1e5 block rows, and a vector."""
    n = 100_000
    block = np.arange(n, dtype=np.int32)[:, None] + np.array([-400, -20, -1, 0, 1, 20, 400], np.int32)
    indices = np.sort(block % n, axis=1).ravel()
    indptr = np.arange(0, 7 * n + 1, 7, dtype=np.int32)
    data = np.random.default_rng(0).standard_normal((7 * n, 3, 3))
    return lib.bsr_array((data, indices, indptr), shape=(3 * n, 3 * n)), np.ones(3 * n)


def banded(lib: Any) -> tuple[Any, np.ndarray]:
    """7 diagonals of 1e6 rows, and a vector."""
    n = 1_000_000
    data = np.random.default_rng(0).standard_normal((7, n))
    return lib.dia_array((data, [-10_000, -100, -1, 0, 1, 100, 10_000]), shape=(n, n)), np.ones(n)


def built(name: str, lib: Any, _: object) -> Any:
    """1e5 entries written one by one, then csr."""
    n = 20_000
    A = getattr(lib, name)((n, n))
    for k in range(100_000):
        A[k % n, (k * 7919) % n] = 1.0
    return A.tocsr()


def through_file(lib: Any, A: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "matrix.npz")
        lib.save_npz(path, A, compressed=False)
        return lib.load_npz(path)


def _indexing(n: int) -> dict[str, Run]:
    low, high = n // 4, 3 * n // 4
    return {
        "row-slice": lambda lib, A: A[low:high],
        "rows": lambda lib, A: A[_draw(n, 0)],
        "column-slice": lambda lib, A: A[:, low:high],
        "column-step": lambda lib, A: A[:, ::2],
        "columns": lambda lib, A: A[:, _draw(n, 1)],
        "row-mask": lambda lib, A: A[_flags(n)],
        "submatrix": lambda lib, A: A[low:high, low:high],
        "pairs": lambda lib, A: A[_draw(n, 0), _draw(n, 1)],
    }


def _reshaped(n: int) -> Run:
    return lambda lib, A: A.reshape((2 * n, n // 2))


def _stacked(function: str) -> Run:
    return lambda lib, parts: getattr(lib, function)(parts)


_one = partial(csr, LARGE)
_tiny = partial(csr, TINY)

TABLE: dict[str, Row] = {
    **{f"index-{name}": Row(_one, run, 1.0) for name, run in _indexing(LARGE).items()},
    "index-element-mask": Row(partial(with_mask, LARGE), lambda lib, pair: pair[0][pair[1]], 1.0),
    "hstack-100": Row(partial(blocks, 2000, 100), _stacked("hstack"), 1.0),
    "vstack-100": Row(partial(blocks, 2000, 100), _stacked("vstack"), 1.0),
    "kron": Row(square_root, lambda lib, A: lib.kron(A, A), 1.0),
    "diags": Row(partial(diagonals, LARGE), lambda lib, d: lib.diags_array(d[0], offsets=d[1]), 1.0),
    "reshape": Row(_one, _reshaped(LARGE), 1.0),
    "max-axis-0": Row(_one, lambda lib, A: A.max(axis=0), 1.0),
    "max-axis-1": Row(_one, lambda lib, A: A.max(axis=1), 1.0),
    "argmax-axis-1": Row(partial(csr, 2000), lambda lib, A: A.argmax(axis=1), 1.0),
    "save-load": Row(_one, through_file, 1.0),
    "bsr-3x3-product": Row(blocked, lambda lib, pair: pair[0] @ pair[1], 1.8),
    "dia-7-product": Row(banded, lambda lib, pair: pair[0] @ pair[1], 1.8),
    "lil-build": Row(lambda lib: None, partial(built, "lil_array"), 1.0),
    "dok-build": Row(lambda lib: None, partial(built, "dok_array"), 1.0),
    **{f"tiny-{name}": Row(_tiny, run, LOOSE) for name, run in _indexing(TINY).items()},
    "tiny-element-mask": Row(partial(with_mask, TINY), lambda lib, pair: pair[0][pair[1]], LOOSE),
    "tiny-element": Row(_tiny, lambda lib, A: A[3, 4], LOOSE),
    "tiny-hstack": Row(partial(blocks, TINY, 2), _stacked("hstack"), LOOSE),
    "tiny-vstack": Row(partial(blocks, TINY, 2), _stacked("vstack"), LOOSE),
    "tiny-reshape": Row(_tiny, _reshaped(TINY), LOOSE),
    "tiny-max": Row(_tiny, lambda lib, A: A.max(axis=0), LOOSE),
}


def sides(row: Row) -> tuple[Side, Side]:
    """What to time: ours and SciPy's."""
    ours, theirs = row.make(sp), row.make(scipy.sparse)
    return Side(lambda _: row.run(sp, ours)), Side(lambda _: row.run(scipy.sparse, theirs))

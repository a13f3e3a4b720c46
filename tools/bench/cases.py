"""The operations that are compared with SciPy, and the least that is asked of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import matrices
import mlx.core as mx
import numpy as np
import ordinary
import scipy.sparse
import structure
from measure import Side

import mlx_sparse as sp

_ROWS = structure.TABLE | ordinary.TABLE


@dataclass(frozen=True)
class Floor:
    """`speed`: least SciPy time / our time. `bandwidth`: least share of the triad's. `memory`: most of SciPy's peak."""

    speed: float
    bandwidth: float | None = None
    memory: float | None = 1.3


@dataclass
class Case:
    ours: Side
    theirs: Side
    traffic: int | None = None  # bytes that a product must move at least once


FLOORS = {
    "spmv-float32-mlx": Floor(2.0, 0.8),
    "spmv-float64-mlx": Floor(2.0, 0.8),
    "spmv-float32-numpy": Floor(2.0, 0.8),
    "spmv-float64-numpy": Floor(2.0, 0.8),
    "spmv-complex128-numpy": Floor(1.8, 0.8),
    "spmm32-float32": Floor(3.0),
    "spmm32-float64": Floor(3.0),
    "transposed-spmv-float32": Floor(1.5),
    "transposed-spmv-float64": Floor(1.5),
    "matmul-poisson-float32": Floor(1.6),
    "matmul-poisson-float64": Floor(1.6),
    "matmul-random-float32": Floor(1.6),
    "matmul-random-float64": Floor(1.6),
    "matmul-poisson-complex128": Floor(1.8),
    "matmul-random-complex128": Floor(1.8),
    "coo-to-csr-shuffled": Floor(1.5),
    "coo-to-csr-sorted": Floor(1.5),
    "csr-to-csc": Floor(1.5),
    "sum-duplicates": Floor(1.5),
    "add": Floor(1.5),
    "tiny-product": Floor(1.0, memory=None),
    "lazy-node": Floor(0.5, memory=None),  # against an mx.add node
    **{name: Floor(row.speed, memory=None if name.startswith("tiny-") else 1.5) for name, row in _ROWS.items()},
}


def _scipy_csr(csr: matrices.Csr) -> scipy.sparse.csr_array:
    data, indices, indptr, n = csr
    return scipy.sparse.csr_array((data, indices, indptr), shape=(n, n))


def _our_csr(csr: matrices.Csr, **options: bool) -> sp.csr_array:
    data, indices, indptr, n = csr
    A = sp.csr_array((data, indices, indptr), shape=(n, n), **options)
    mx.eval([x for x in (A.data, A.indices, A.indptr) if isinstance(x, mx.array)])
    return A


@cache
def _poisson(dtype: str) -> matrices.Csr:
    return matrices.poisson_3d(100, dtype)


@cache
def _random(dtype: str) -> matrices.Csr:
    return matrices.random_rows(200_000, 10, dtype)


def _to_mlx(x: np.ndarray) -> mx.array:
    x = mx.array(x, dtype=mx.float64) if x.dtype == np.float64 else mx.array(x)
    mx.eval(x)
    return x


def _dense(csr: matrices.Csr, columns: int | None = None) -> np.ndarray:
    n = csr[-1]
    return np.random.default_rng(1).standard_normal(n if columns is None else (n, columns)).astype(csr[0].dtype)


def product(dtype: str, namespace: str, columns: int | None = None, transposed: bool = False) -> Case:
    csr = _poisson(dtype)
    A, S, x = _our_csr(csr), _scipy_csr(csr), _dense(csr, columns)
    y = _to_mlx(x) if namespace == "mlx" else x
    traffic = sum(part.nbytes for part in csr[:3]) + 2 * x.nbytes
    if transposed:
        return Case(Side(lambda _: A.T @ y), Side(lambda _: S.T @ x), traffic)
    return Case(Side(lambda _: A @ y), Side(lambda _: S @ x), traffic)


def matmul(make: Callable[[str], matrices.Csr], dtype: str) -> Case:
    A, S = _our_csr(make(dtype)), _scipy_csr(make(dtype))
    return Case(Side(lambda _: A @ A), Side(lambda _: S @ S))


def coo_to_csr(order: str) -> Case:
    data, row, col, n = matrices.shuffled_coordinates(500_000, 5_000_000, "float64")
    if order == "sorted":
        at = np.lexsort((col, row))
        data, row, col = data[at], row[at], col[at]

    def fresh(module, values, rows, cols):  # both libraries remember what they learnt about duplicates
        return lambda: module.coo_array((values, (rows, cols)), shape=(n, n))

    ours = fresh(sp, _to_mlx(data), _to_mlx(row), _to_mlx(col))
    theirs = fresh(scipy.sparse, data, row, col)
    return Case(Side(lambda A: A.tocsr(), ours), Side(lambda A: A.tocsr(), theirs))


def csr_to_csc() -> Case:
    A, S = _our_csr(_poisson("float64")), _scipy_csr(_poisson("float64"))
    return Case(Side(lambda _: A.tocsc()), Side(lambda _: S.tocsc()))


def sum_duplicates() -> Case:
    data, row, col, n = matrices.shuffled_coordinates(500_000, 5_000_000, "float64")
    at = np.argsort(row, kind="stable")
    data, indices = data[at], col[at]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).astype(np.int32)
    ours = tuple(map(_to_mlx, (data, indices, indptr)))

    def canonical(A):
        A.sum_duplicates()
        return A

    return Case(
        Side(canonical, lambda: sp.csr_array(ours, shape=(n, n), validate=False)),
        Side(canonical, lambda: scipy.sparse.csr_array((data, indices, indptr), shape=(n, n), copy=True)),
    )


def add() -> Case:
    a, b = _random("float64"), matrices.random_rows(200_000, 10, "float64", seed=1)
    A, B, S, T = _our_csr(a), _our_csr(b), _scipy_csr(a), _scipy_csr(b)
    return Case(Side(lambda _: A + B), Side(lambda _: S + T))


def tiny_product() -> Case:
    csr = matrices.random_rows(1000, 5, "float64")
    A, S, x = _our_csr(csr), _scipy_csr(csr), _dense(csr)
    return Case(Side(lambda _: A @ x), Side(lambda _: S @ x))


def lazy_node() -> Case:
    """Building a node without evaluating it; the other side is mx.add."""
    csr = matrices.random_rows(1000, 5, "float32")
    A, x = _our_csr(csr), _to_mlx(_dense(csr))

    def build(make: Callable[[], mx.array]) -> Callable[[object], None]:
        def run(_: object) -> None:
            for _ in range(1000):
                make()

        return run

    return Case(Side(build(lambda: A @ x)), Side(build(lambda: mx.add(x, x))))


CASES: dict[str, Callable[[], Case]] = {
    "spmv-float32-mlx": lambda: product("float32", "mlx"),
    "spmv-float64-mlx": lambda: product("float64", "mlx"),
    "spmv-float32-numpy": lambda: product("float32", "numpy"),
    "spmv-float64-numpy": lambda: product("float64", "numpy"),
    "spmv-complex128-numpy": lambda: product("complex128", "numpy"),
    "spmm32-float32": lambda: product("float32", "mlx", 32),
    "spmm32-float64": lambda: product("float64", "mlx", 32),
    "transposed-spmv-float32": lambda: product("float32", "mlx", transposed=True),
    "transposed-spmv-float64": lambda: product("float64", "mlx", transposed=True),
    "matmul-poisson-float32": lambda: matmul(_poisson, "float32"),
    "matmul-poisson-float64": lambda: matmul(_poisson, "float64"),
    "matmul-random-float32": lambda: matmul(_random, "float32"),
    "matmul-random-float64": lambda: matmul(_random, "float64"),
    "matmul-poisson-complex128": lambda: matmul(_poisson, "complex128"),
    "matmul-random-complex128": lambda: matmul(_random, "complex128"),
    "coo-to-csr-shuffled": lambda: coo_to_csr("shuffled"),
    "coo-to-csr-sorted": lambda: coo_to_csr("sorted"),
    "csr-to-csc": csr_to_csc,
    "sum-duplicates": sum_duplicates,
    "add": add,
    "tiny-product": tiny_product,
    "lazy-node": lazy_node,
    **{name: (lambda row=row: Case(*structure.sides(row))) for name, row in _ROWS.items()},
}

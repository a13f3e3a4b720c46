"""Sparse products and array operations on a CUDA device against its copy bandwidth and against CuPy.

    python tools/bench/gpu.py [--json FILE] [--side 200] [--draws 20000000]
                               [--what products|operations]

Ours: many products built and evaluated in one eval, its time over their number. CuPy (optional): as many between two
events.
Medians. "copy" is the bytes a product must move at least once over its time, as a share of the bandwidth at which
the device copies a large buffer (bytes read plus bytes written).

Array operations: whole public calls until their buffers are there, on arrays that keep nothing from the call before.
Their bytes are those of the buffers of operands and result. "peak MB": what the call allocates at most, the result
included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import matrices  # noqa: E402
import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402

import mlx_sparse as sp  # noqa: E402

COLUMNS = 32
ROUNDS = 9


def time_mlx(make: Callable[[], mx.array], count: int) -> float:
    """Seconds per product; `make` adds one node to the graph."""
    mx.eval([make() for _ in range(count)])
    found = []
    for _ in range(ROUNDS):
        mx.synchronize()
        start = time.perf_counter()
        nodes = [make() for _ in range(count)]
        mx.eval(nodes)
        mx.synchronize()
        found.append((time.perf_counter() - start) / count)
        del nodes
    return statistics.median(found)


def time_cupy(make: Callable[[], Any], count: int) -> float:
    import cupy

    make()
    found = []
    for _ in range(ROUNDS):
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        cupy.cuda.Device().synchronize()
        start.record()
        for _ in range(count):
            make()
        stop.record()
        stop.synchronize()
        found.append(cupy.cuda.get_elapsed_time(start, stop) / 1e3 / count)
    return statistics.median(found)


def copy_bandwidth() -> float:
    """Bytes read plus bytes written per second by a negation of 1 GiB."""
    x = mx.random.normal((1 << 28,))
    mx.eval(x)
    return 2 * x.nbytes / time_mlx(lambda: -x, 16)


def poisson(side: int) -> sp.csr_array:
    data, indices, indptr, n = matrices.poisson_3d(side, "float32")
    return sp.csr_array((data, indices, indptr), shape=(n, n), validate=False)


def power_law(n: int, draws: int) -> sp.csr_array:
    data, row, col, n = matrices.power_law(n, draws, "float32")
    return sp.coo_array((data, (row, col)), shape=(n, n)).tocsr()


def with_cupy(A: sp.csr_array) -> Any:
    try:
        import cupy
        import cupyx.scipy.sparse as cupy_sparse
    except ImportError:
        return None
    data, indices, indptr = (cupy.asarray(np.asarray(part)) for part in (A.data, A.indices, A.indptr))
    S = cupy_sparse.csr_matrix((data, indices, indptr), shape=A.shape)
    S.has_canonical_format = True
    return S


def products(label: str, A: sp.csr_array, copy: float) -> list[dict[str, Any]]:
    mx.eval(A.data, A.indices, A.indptr)
    S = with_cupy(A)
    stored = A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
    rng = np.random.default_rng(1)
    rows = []
    for name, columns, transposed, count in (
        ("A @ x", (), False, 50),
        (f"A @ X, {COLUMNS} columns", (COLUMNS,), False, 8),
        ("A.T @ x", (), True, 50),
    ):
        x = rng.standard_normal((A.shape[0], *columns), dtype=np.float32)
        row = {"matrix": label, "product": name, **compare(A, S, x, transposed, count)}
        row["copy_share"] = (stored + 2 * x.nbytes) / row["ours_s"] / copy
        print(show(row), flush=True)
        rows.append(row)
    return rows


def compare(A: sp.csr_array, S: Any, x: np.ndarray, transposed: bool, count: int) -> dict[str, Any]:
    """Seconds of both, and the relative difference of their results."""
    operand = mx.array(x)
    mx.eval(operand)

    def ours() -> mx.array:
        return A.T @ operand if transposed else A @ operand

    found: dict[str, Any] = {"ours_s": time_mlx(ours, count), "cupy_s": None, "difference": None}
    if S is not None:
        import cupy

        device = cupy.asarray(x)

        def theirs() -> Any:
            return S.T @ device if transposed else S @ device

        found["cupy_s"] = time_cupy(theirs, count)
        y, z = np.asarray(ours()), cupy.asnumpy(theirs())
        found["difference"] = float(np.linalg.norm(y - z) / np.linalg.norm(z))
    return found


def operations(label: str, A: sp.csr_array, copy: float, squares: bool) -> list[dict[str, Any]]:
    S = with_cupy(A)
    rng = np.random.default_rng(2)
    half = np.flatnonzero(rng.random(A.shape[0]) < 0.5)
    anywhere = rng.permutation(A.shape[0])[: half.size]
    mask = np.isin(np.arange(A.shape[0]), half)
    B, T = other(A, S)
    cases: list[tuple[str, tuple[Any, ...], Callable[..., Any], Callable[..., Any] | None]] = [
        ("A.tocsc()", (), lambda A: A.tocsc(), lambda S: S.tocsc()),
        ("A + A", (), lambda A: A + A, lambda S: S + S),
        ("A + B", (B, T), lambda A, B: A + B, lambda S, T: S + T),
        ("A.multiply(A)", (), lambda A: A.multiply(A), lambda S: S.multiply(S)),
        ("A.multiply(B)", (B, T), lambda A, B: A.multiply(B), lambda S, T: S.multiply(T)),
        ("A.maximum(B)", (B, T), lambda A, B: A.maximum(B), lambda S, T: S.maximum(T)),
        ("A.max(axis=1)", (), lambda A: A.max(axis=1), lambda S: S.max(axis=1)),
        ("A.max(axis=0)", (), lambda A: A.max(axis=0), lambda S: S.max(axis=0)),
        ("A.argmax(axis=1)", (), lambda A: A.argmax(axis=1), lambda S: S.argmax(axis=1)),
        ("A[::2]", (), lambda A: A[::2], lambda S: S[::2]),
        ("A[rows]", (), lambda A: A[anywhere], lambda S: S[anywhere]),
        ("A[mask]", (), lambda A: A[mask], lambda S: S[mask]),
        ("A.sum(0)", (), lambda A: A.sum(0), lambda S: S.sum(0)),
        ("A.sum(1)", (), lambda A: A.sum(1), lambda S: S.sum(1)),
        ("A.diagonal()", (), lambda A: A.diagonal(), lambda S: S.diagonal()),
    ]
    if squares:
        cases.append(("A @ A", (), lambda A: A @ A, lambda S: S @ S))
    rows = []
    for name, others, ours, theirs in cases:
        row: dict[str, Any] = {"matrix": label, "product": name, "difference": None}
        row |= whole_call(A, others[:1], ours)
        row["copy_share"] = row.pop("bytes") / row["ours_s"] / copy
        row["cupy_s"] = None if S is None else time_whole_cupy(lambda f=theirs, o=others[1:]: f(S, *o))  # type: ignore[misc]
        print(show(row), flush=True)
        rows.append(row)
    return rows


def other(A: sp.csr_array, S: Any) -> tuple[sp.csr_array, Any]:
    """An array with a third of A's entries, at the same places and at others."""
    data, indices, indptr = (np.asarray(part) for part in (A.data, A.indices, A.indptr))
    row = np.repeat(np.arange(A.shape[0], dtype=np.int32), np.diff(indptr))[::3]
    column = indices[::3].copy()
    column[::2] = (column[::2] + 7) % A.shape[1]
    B = sp.coo_array((data[::3], (row, column)), shape=A.shape).tocsr()
    B.sum_duplicates()
    return B, None if S is None else with_cupy(B)


def buffers(x: Any) -> list[mx.array]:
    if isinstance(x, mx.array):
        return [x]
    if x.format == "coo":
        return [x.data, *x.coords]
    return [x.data, x.indices, x.indptr]


def whole_call(A: sp.csr_array, others: tuple[Any, ...], make: Callable[..., Any]) -> dict[str, Any]:
    """Seconds and bytes of a call, and the memory that it takes."""
    parts = buffers(A)
    mx.eval(parts, *(buffers(B) for B in others))

    def once() -> tuple[Any, float]:
        fresh = sp.csr_array(tuple(parts), shape=A.shape, validate=False)
        fresh.has_canonical_format = True
        mx.synchronize()
        start = time.perf_counter()
        found = make(fresh, *others)
        mx.eval(buffers(found))
        mx.synchronize()
        return found, time.perf_counter() - start

    found, _ = once()
    moved = sum(x.nbytes for y in (A, *others, found) for x in buffers(y))
    del found
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    seconds = [once()[1]]
    peak = mx.get_peak_memory() - before
    seconds += [once()[1] for _ in range(ROUNDS - 1)]
    return {"ours_s": statistics.median(seconds), "bytes": moved, "peak_bytes": peak}


def time_whole_cupy(make: Callable[[], Any]) -> float | None:
    """Seconds of a call; None where CuPy lacks it."""
    import cupy

    found = []
    try:
        make()
        for _ in range(ROUNDS):
            cupy.cuda.Device().synchronize()
            start = time.perf_counter()
            make()
            cupy.cuda.Device().synchronize()
            found.append(time.perf_counter() - start)
    except (TypeError, ValueError, NotImplementedError, AttributeError, cupy.cuda.memory.OutOfMemoryError):
        return None
    finally:
        cupy.get_default_memory_pool().free_all_blocks()
    return statistics.median(found)


def show(row: dict[str, Any]) -> str:
    head = f"{row['matrix']:<16}{row['product']:<20}{1e6 * row['ours_s']:>12.1f}"
    peak = f"{row['peak_bytes'] / 1e6:>10.0f}" if "peak_bytes" in row else ""
    if row["cupy_s"] is None:
        return f"{head}{'':>12}{'':>8}{row['copy_share']:>8.0%}{peak}"
    faster = row["cupy_s"] / row["ours_s"]
    times = f"{1e6 * row['cupy_s']:>12.1f}{faster:>8.2f}{row['copy_share']:>8.0%}{peak}"
    return f"{head}{times}" + ("" if row["difference"] is None else f"  |ours - CuPy| {row['difference']:.1e}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--side", type=int, default=200, help="points along an edge of the Poisson cube")
    parser.add_argument("--size", type=int, default=1_000_000, help="rows of the power-law matrix")
    parser.add_argument("--draws", type=int, default=20_000_000, help="entries drawn for it, duplicates included")
    parser.add_argument("--what", choices=("all", "products", "operations"), default="all")
    options = parser.parse_args()

    sp.use_gpu()
    copy = copy_bandwidth()
    print(f"{mx.default_device()}, copy {copy / 1e12:.2f} TB/s")
    print(f"{'':<16}{'':<20}{'ours us':>12}{'CuPy us':>12}{'faster':>8}{'copy':>8}{'peak MB':>10}")

    def both(label: str, A: sp.csr_array, squares: bool = False) -> list[dict[str, Any]]:
        found = products(label, A, copy) if options.what != "operations" else []
        found += operations(label, A, copy, squares) if options.what != "products" else []
        mx.clear_cache()
        return found

    rows = both(f"Poisson {options.side}^3", poisson(options.side), squares=True)
    A = power_law(options.size, options.draws)
    longest = int(np.diff(np.asarray(A.indptr)).max())
    print(f"power law: {A.nnz} entries, longest row {longest}")
    rows += both("power law", A)
    if options.json:
        options.json.write_text(json.dumps({"copy_bytes_per_s": copy, "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Iterative solvers on a GPU, by iteration, against the device's copy bandwidth and against CuPy.

    python tools/bench/gpu_solvers.py [--sizes 64 128 200] [--solvers cg bicgstab minres gmres lsqr] [--steps 200]

float32, the Laplacian on a cube. Time of an iteration: what more iterations take, over how many more they are; medians.
"MB" is what an iteration reads and writes at the least: the matrix once for each product, and each vector once for each
time that it is used, with what is read again at once counted once. "copy" is that over the time, as a share of the
bandwidth at which the device copies a large buffer. Residuals are those of both after the same number of iterations.
CuPy (optional) has no bicgstab, and its lsqr does not iterate. Without a GPU the host plays the shaders: for the
numbers of iterations and the residuals, not for times.
"""

from __future__ import annotations

import argparse
import inspect
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import gpu  # noqa: E402
import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402

import mlx_sparse as sp  # noqa: E402

RESTART = 20
# Products and vectors read or written in one iteration; of gmres, half a restart's basis, read twice.
TRAFFIC = {"cg": (1, 11), "bicgstab": (2, 21), "minres": (1, 15), "gmres": (1, RESTART + 6), "lsqr": (2, 13)}


def solve(name: str, A: Any, b: mx.array, steps: int) -> mx.array:
    method = getattr(sp.linalg, name)
    if name == "gmres":
        x = method(A, b, rtol=1e-30, restart=RESTART, maxiter=max(1, steps // RESTART))[0]
    elif name == "minres":
        x = method(A, b, rtol=0.0, maxiter=steps)[0]
    elif name == "lsqr":
        x = method(A, b, atol=0.0, btol=0.0, conlim=0.0, iter_lim=steps)[0]
    else:
        x = method(A, b, rtol=1e-30, maxiter=steps)[0]
    mx.eval(x)
    return x


def solve_cupy(name: str, S: Any, b: Any, steps: int) -> Any:
    import cupy
    import cupyx.scipy.sparse.linalg as linalg

    method = getattr(linalg, name)
    more = {"restart": RESTART} if name == "gmres" else {}
    tolerance = "rtol" if "rtol" in inspect.signature(method).parameters else "tol"  # by version, and by method
    x = method(S, b, maxiter=steps, **{tolerance: 1e-30}, **more)[0]
    cupy.cuda.Device().synchronize()
    return x


def per_step(run: Callable[[int], Any], steps: int, rounds: int) -> float:
    """Seconds of one step."""

    def seconds(count: int) -> float:
        start = time.perf_counter()
        run(count)
        return time.perf_counter() - start

    few = max(RESTART, steps // 5)
    run(few)
    return statistics.median((seconds(steps) - seconds(few)) / (steps - few) for _ in range(rounds))


def beside(
    name: str, S: Any, right: Any, ours: float, residual: Callable[[Any], float], steps: int, rounds: int
) -> tuple[str, str]:
    """CuPy's time of a step and how many of ours it takes; its residual."""
    import cupy

    given = cupy.asarray(right)
    theirs = per_step(lambda count: solve_cupy(name, S, given, count), steps, rounds)
    left = residual(cupy.asnumpy(solve_cupy(name, S, given, steps)))
    return f"{1e6 * theirs:>10.1f}{theirs / ours:>8.2f}", f"{left:>11.2e}"


def row(name: str, side: int, A: Any, S: Any, copy: float | None, steps: int, rounds: int) -> str:
    n = A.shape[0]
    right = np.random.default_rng(1).standard_normal(n, dtype=np.float32)
    b = mx.array(right)

    def residual(x: Any) -> float:
        found = np.asarray(A @ mx.array(np.asarray(x, np.float32))).astype(float)
        return float(np.linalg.norm(right - found) / np.linalg.norm(right))

    products, vectors = TRAFFIC[name]
    size = products * (A.data.nbytes + A.indices.nbytes + A.indptr.nbytes) + 4 * n * vectors
    ours = per_step(lambda count: solve(name, A, b, count), steps, rounds)
    text = f"{side:>4}^3  {name:<9}{1e6 * ours:>10.1f}"
    left = f"{residual(solve(name, A, b, steps)):>11.2e}"
    theirs = f"{'-':>10}{'-':>8}", f"{'-':>11}"
    if S is not None and name in ("cg", "minres", "gmres"):
        try:
            theirs = beside(name, S, right, ours, residual, steps, rounds)
        except Exception as error:  # whatever CuPy raises: ours are still of use
            print(f"CuPy's {name}: {type(error).__name__}: {error}", file=sys.stderr)
            theirs = f"{'failed':>10}{'-':>8}", f"{'-':>11}"
    share = f"{size / ours / copy:>8.0%}{1e6 * size / copy:>10.1f}" if copy else f"{'-':>8}{'-':>10}"
    return f"{text}{theirs[0]}{size / 1e6:>9.1f}{share}{left}{theirs[1]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 200], help="points along an edge of the cube")
    parser.add_argument("--solvers", nargs="+", default=list(TRAFFIC), choices=list(TRAFFIC))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.steps <= RESTART or options.steps % RESTART:
        parser.error(f"--steps must be a multiple of {RESTART}, and larger")

    copy = None
    try:
        sp.use_gpu()
        copy = gpu.copy_bandwidth()
        print(f"{mx.default_device()}, copy {copy / 1e12:.2f} TB/s")
    except (RuntimeError, ValueError) as error:
        print(f"no GPU ({error}): the host plays the shaders, times mean nothing")
        sp.runtime.EXECUTOR = "shader"
    head = f"{'':>6}  {'us/step':<9}{'ours':>10}{'CuPy':>10}{'faster':>8}{'MB':>9}{'copy':>8}{'copy us':>10}"
    print(f"{head}{'residual':>11}{'CuPy':>11}")
    for side in options.sizes:
        A = gpu.poisson(side)
        mx.eval(A.data, A.indices, A.indptr)
        S = gpu.with_cupy(A) if copy else None
        if S is None and side == options.sizes[0]:
            print("no CuPy: its columns are left out")
        for name in options.solvers:
            print(row(name, side, A, S, copy, options.steps, options.rounds), flush=True)
        mx.clear_cache()
    return 0


if __name__ == "__main__":
    sys.exit(main())

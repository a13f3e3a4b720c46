"""Triangular solves on a GPU, of the factors of ILU(0), against CuPy's and against the phases of cuSPARSE.

    python tools/bench/gpu_triangular.py [--sizes 64 128] [--columns 1 32] [--rounds 9] [--steps 100]

float32, the Laplacian on a cube in its natural order. Times are of L^-1, then U^-1, in ms, medians: one solve with its
evaluation, or one call with its synchronisation. "analysis": what the first solve takes beyond later ones; of cuSPARSE,
its phase of that name. CuPy's `spsolve_triangular` analyses in every call; "phase" is cuSPARSE's solve phase alone.
"difference": of both results, relative. Last, an iteration of cg without and with ichol0.
CuPy is optional. Without a GPU the host plays the shaders: for the results, not for times.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import gpu  # noqa: E402
import gpu_solvers  # noqa: E402
import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402

import mlx_sparse as sp  # noqa: E402


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


class Phases:
    """cuSPARSE's analysis of one triangle for right-hand sides like B, and then solves."""

    def __init__(self, S: Any, B: Any, lower: bool, unit: bool) -> None:
        import cupy
        from cupy.cuda import device
        from cupy_backends.cuda.libs import cusparse
        from cupyx import cusparse as wrapped

        self.cusparse = cusparse
        self.B = cupy.asfortranarray(B.reshape(len(B), -1))
        self.X = cupy.zeros_like(self.B, order="F")
        self.held = wrapped.SpMatDescriptor.create(S), *map(wrapped.DnMatDescriptor.create, (self.B, self.X))
        words = ("LOWER" if lower else "UPPER"), ("UNIT" if unit else "NON_UNIT")
        self.held[0].set_attribute(
            cusparse.CUSPARSE_SPMAT_FILL_MODE, getattr(cusparse, f"CUSPARSE_FILL_MODE_{words[0]}")
        )
        self.held[0].set_attribute(
            cusparse.CUSPARSE_SPMAT_DIAG_TYPE, getattr(cusparse, f"CUSPARSE_DIAG_TYPE_{words[1]}")
        )
        self.one, self.plan = np.ones(1, np.float32), cusparse.spSM_createDescr()
        same = cusparse.CUSPARSE_OPERATION_NON_TRANSPOSE
        float32 = 0  # CUDA_R_32F
        descriptions = (d.desc for d in self.held)
        algorithm = cusparse.CUSPARSE_SPSM_ALG_DEFAULT
        handle = device.get_cusparse_handle()
        self.given = handle, same, same, self.one.ctypes.data, *descriptions, float32, algorithm, self.plan
        self.memory = cupy.empty(cusparse.spSM_bufferSize(*self.given), cupy.int8)
        self.wait = cupy.cuda.Device().synchronize

    def analyse(self) -> None:
        self.cusparse.spSM_analysis(*self.given, self.memory.data.ptr)
        self.wait()

    def solve(self) -> None:
        self.cusparse.spSM_solve(*self.given, self.memory.data.ptr)
        self.wait()


def beside(factors: Any, right: np.ndarray, ours: np.ndarray, rounds: int) -> tuple[float, float, float, float]:
    """Seconds of CuPy's calls, of the phases of cuSPARSE, solve and analysis; the relative difference."""
    import cupy
    from cupyx.scipy.sparse.linalg import spsolve_triangular

    L, U = (gpu.with_cupy(T) for T in (factors.L, factors.U))
    b = cupy.asarray(right)

    def call() -> Any:
        x = spsolve_triangular(U, spsolve_triangular(L, b, lower=True, unit_diagonal=True), lower=False)
        cupy.cuda.Device().synchronize()
        return x

    calls = math.nan
    try:
        call()
        calls = statistics.median(seconds(call) for _ in range(rounds))
    except Exception as error:  # of a release of CuPy: the phases are still of use
        print(f"CuPy's spsolve_triangular: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    lower = Phases(L, b, True, True)
    analysis = seconds(lower.analyse)
    lower.solve()
    phases = lower, Phases(U, lower.X, False, False)
    analysis += seconds(phases[1].analyse)
    for phase in phases:
        phase.solve()
    theirs = cupy.asnumpy(phases[1].X).reshape(ours.shape)
    solves = statistics.median(sum(seconds(p.solve) for p in phases) for _ in range(rounds))
    return calls, solves, analysis, float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def row(side: int, A: Any, columns: int, rounds: int, cupy: bool) -> str:
    n = A.shape[0]
    right = np.random.default_rng(1).standard_normal((n, columns), dtype=np.float32)
    right = right[:, 0].copy() if columns == 1 else right
    b = mx.array(right)
    mx.eval(b)
    factors = sp.linalg.ilu0(A)

    def solve() -> Any:
        x = factors.solve(b)
        mx.eval(x)
        mx.synchronize()
        return x

    first = seconds(solve)
    found = np.asarray(solve())
    ours = statistics.median(seconds(solve) for _ in range(rounds))
    text = f"{side:>4}^3{columns:>9}{1e3 * ours:>10.3f}{1e3 * (first - ours):>10.2f}"
    if not cupy:
        return text
    try:
        calls, solves, analysis, difference = beside(factors, right, found, rounds)
    except Exception as error:  # whatever CuPy raises: ours are still of use
        return f"{text}   CuPy: {type(error).__name__}: {error}"
    faster = f"{calls / ours:>8.2f}{1e3 * solves:>10.3f}{solves / ours:>8.2f}{1e3 * analysis:>10.2f}"
    return f"{text}{1e3 * calls:>10.3f}{faster}{difference:>12.1e}"


def steps(side: int, A: Any, count: int, rounds: int) -> str:
    b = mx.array(np.random.default_rng(1).standard_normal(A.shape[0], dtype=np.float32))

    def per_step(M: Any) -> float:
        def run(maxiter: int) -> None:
            mx.eval(sp.linalg.cg(A, b, rtol=1e-30, maxiter=maxiter, M=M)[0])

        return gpu_solvers.per_step(run, count, rounds)

    times = per_step(None), per_step(sp.linalg.preconditioners.ichol0(A))
    return f"{side:>4}^3  cg {1e6 * times[0]:.1f} us/step, with ichol0 {1e6 * times[1]:.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="points along an edge of the cube")
    parser.add_argument("--columns", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=100, help="iterations of cg; 0: none")
    options = parser.parse_args()
    on_gpu = True
    try:
        sp.use_gpu()
        print(mx.default_device())
    except (RuntimeError, ValueError) as error:
        on_gpu = False
        print(f"no GPU ({error}): the host plays the shaders, times mean nothing")
        sp.runtime.EXECUTOR = "shader"
    try:
        import cupy  # noqa: F401
    except ImportError:
        print("no CuPy: its columns are left out")
        cupy = None
    head = f"{'':>6}{'columns':>9}{'ours':>10}{'analysis':>10}"
    if cupy:
        head += f"{'CuPy':>10}{'faster':>8}{'phase':>10}{'faster':>8}{'analysis':>10}{'difference':>12}"
    print(head)
    for columns in options.columns:
        row(24 if on_gpu else 4, gpu.poisson(24 if on_gpu else 4), columns, 1, False)  # compiles
    for side in options.sizes:
        A = gpu.poisson(side)
        mx.eval(A.data, A.indices, A.indptr)
        for columns in options.columns:
            print(row(side, A, columns, options.rounds, on_gpu and cupy is not None), flush=True)
        if options.steps:
            print(steps(side, A, options.steps, options.rounds), flush=True)
        mx.clear_cache()
    return 0


if __name__ == "__main__":
    sys.exit(main())

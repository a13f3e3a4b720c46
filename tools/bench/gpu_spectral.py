"""Eigenvalues and singular values on a GPU, in float32, next to CuPy's.

    python tools/bench/gpu_spectral.py [--sizes 64 128] [--rounds 3] [--limit 240] [--only NAME]

Rows: `eigsh` (6 largest) and `lobpcg` (10 smallest, Jacobi's preconditioner, 60 steps) of the Laplacian on a cube,
`svds` (6 largest) of a random array with 10 entries a row, as large as the cube. Medians of seconds for a whole call;
residuals, of eigenpairs ``norm(A v - w v)`` and of triplets ``norm(A^T u - s v)``, the largest one over the largest
value, computed in double precision on the host. A row that fails or passes `--limit` seconds says so, and the next one
runs. Without a GPU the host plays the shaders: for residuals, not for times.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import gpu  # noqa: E402
import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402

import mlx_sparse as sp  # noqa: E402

TOL = 1e-4  # of eigenvalues, or of singular values: float32 has little more where they are close to each other
STEPS = 60


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """TimeoutError in the block after so many seconds, between two statements of Python's."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Row:
    """A problem, and both libraries' call for it: (library, arrays of it) -> what it finds, as a tuple of arrays."""

    def __init__(self, name: str, A: sp.csr_array, call: Callable[[Any, Any, Callable[[Any], Any]], Any]) -> None:
        self.name, self.A, self.call = name, A, call

    def residual(self, found: tuple[Any, ...]) -> float:
        parts = [np.asarray(x, dtype=np.float64) for x in found]
        S = self.A.to_scipy().astype(np.float64)
        if len(parts) == 3:
            u, s, vh = parts
            return float(np.linalg.norm(S.T @ u - vh.T * s, axis=0).max() / s.max())
        w, v = parts
        return float(np.linalg.norm(S @ v - v * w, axis=0).max() / abs(w).max())

    def ours(self) -> tuple[Any, ...]:
        found = self.call(sp.linalg, self.A, mx.array)
        mx.eval(found)
        return found

    def theirs(self, S: Any) -> tuple[Any, ...]:
        import cupy
        import cupyx.scipy.sparse.linalg as linalg

        found = self.call(linalg, S, cupy.asarray)
        cupy.cuda.Device().synchronize()
        return tuple(map(cupy.asnumpy, found))


def rows(sizes: list[int]) -> Iterator[Callable[[], Row]]:
    rng = np.random.default_rng(0)

    def largest(side: int) -> Row:
        A = gpu.poisson(side)
        start = rng.standard_normal(side**3).astype(np.float32)
        call = lambda lib, A, given: lib.eigsh(A, k=6, which="LA", v0=given(start), tol=TOL)  # noqa: E731
        return Row(f"eigsh {side}^3", A, call)

    def block(side: int) -> Row:
        A = gpu.poisson(side)
        X = rng.standard_normal((side**3, 10)).astype(np.float32)
        main = (1 / np.asarray(A.diagonal())).astype(np.float32)

        def call(lib: Any, A: Any, given: Callable[[Any], Any]) -> Any:
            D = given(main)[:, None]
            return lib.lobpcg(A, given(X), M=lambda R: D * R, largest=False, tol=1e-3, maxiter=STEPS)

        return Row(f"lobpcg {side}^3", A, call)

    def triplets(side: int) -> Row:
        m, n = side**3, side**3 // 2
        S = scipy.sparse.random_array((m, n), density=10 / n, rng=rng, format="csr", dtype=np.float32)

        def call(lib: Any, A: Any, given: Callable[[Any], Any]) -> Any:
            # CuPy takes no first vector here.
            more = {"v0": given(rng.standard_normal(n).astype(np.float32))} if lib is sp.linalg else {}
            return lib.svds(A, k=6, tol=TOL, **more)

        return Row(f"svds {m} x {n}", sp.from_scipy(S), call)

    for side in sizes:
        for make in (largest, block, triplets):
            yield lambda make=make, side=side: make(side)


def timed(call: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    call()  # compiles kernels
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), found


def side(call: Callable[[], Any], row: Row, rounds: int, limit: float) -> tuple[float | None, str]:
    """Seconds, or None, and the residual or what went wrong."""
    try:
        with within(limit):
            seconds, found = timed(call, rounds)
        return seconds, f"{row.residual(found):.1e}"
    except Exception as error:  # whatever it is: the other rows are still of use
        print(f"{row.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return None, type(error).__name__


def compare(row: Row, options: argparse.Namespace) -> None:
    if options.only not in row.name:
        return
    ours, left = side(row.ours, row, options.rounds, options.limit)
    S = gpu.with_cupy(row.A)
    theirs, right = (None, "-") if S is None else side(lambda: row.theirs(S), row, options.rounds, options.limit)
    times = [f"{x:>10.3f}" if x is not None else f"{'-':>10}" for x in (ours, theirs)]
    faster = f"{theirs / ours:>8.2f}" if ours and theirs else f"{'-':>8}"
    print(f"{row.name:<24}{times[0]}{times[1]}{faster}{left:>16}{right:>16}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="points along an edge of the cube")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for one side of a row")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    try:
        sp.use_gpu()
        print(mx.default_device())
    except (RuntimeError, ValueError) as error:
        print(f"no GPU ({error}): the host plays the shaders, times mean nothing")
        sp.runtime.EXECUTOR = "shader"
    print(f"{'':<24}{'ours s':>10}{'CuPy s':>10}{'faster':>8}{'residual':>16}{'CuPy':>16}")
    for make in rows(options.sizes):
        try:
            compare(make(), options)
        except Exception as error:  # of making a problem, or of CuPy's form of it
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        mx.clear_cache()
    return 0


if __name__ == "__main__":
    sys.exit(main())

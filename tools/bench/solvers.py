"""Iterative solvers compared with SciPy's at equal residuals, on the 5-point Laplacian of a square.

    python tools/bench/solvers.py [--only NAME] [--sides 32 316 1000] [--columns K]

Every row: the steps that each side takes to the tolerance, the residuals that they end with, the time of one step of
each (medians over interleaved rounds in one process), and how many times faster than SciPy the whole solution is. Of
long solutions only some steps are timed. "columns" solves K right-hand sides at once, against SciPy's one by one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402
import scipy.sparse.linalg  # noqa: E402
from measure import Side, paired  # noqa: E402

import mlx_sparse as sp  # noqa: E402

SOLVERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "cg": (sp.linalg.cg, scipy.sparse.linalg.cg),
}
RTOL = {"float64": 1e-8, "float32": 1e-4}
LONGEST = 2.0  # seconds that SciPy may take in one round; of longer solutions only as many steps are compared


def laplacian(side: int, dtype: str) -> Any:
    """SciPy csr array of order side^2."""
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    eye = scipy.sparse.eye_array(side)
    return (scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line)).tocsr().astype(dtype)


def run(solver: Callable[..., Any], A: Any, b: Any, rtol: float, maxiter: int, _: Any = None) -> Any:
    return solver(A, b, rtol=rtol, maxiter=maxiter)[0]


def one_by_one(solver: Callable[..., Any], A: Any, B: Any, rtol: float, maxiter: int, _: Any = None) -> Any:
    return np.stack([solver(A, b, rtol=rtol, maxiter=maxiter)[0] for b in B.T], axis=1)


def steps(solver: Callable[..., Any], A: Any, b: Any, rtol: float, maxiter: int) -> tuple[int, float, Any]:
    """How many steps it takes, their seconds all together, and x."""
    count = [0]

    def counting(_: Any) -> None:
        count[0] += 1

    start = time.perf_counter()
    x = solver(A, b, rtol=rtol, maxiter=maxiter, callback=counting)[0]
    return count[0], time.perf_counter() - start, np.asarray(x)


def compare(name: str, side: int, dtype: str, namespace: str, columns: int) -> str:
    ours, theirs = SOLVERS[name]
    S = laplacian(side, dtype)
    shape = (S.shape[0],) if columns == 1 else (S.shape[0], columns)
    b = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    A, given = sp.from_scipy(S), b if namespace == "numpy" else sp._dense.to_mlx(b)
    mx.eval(A.data)
    first = b if columns == 1 else b[:, 0].copy()
    rtol, maxiter = RTOL[dtype], 10 * S.shape[0]
    their_steps, seconds, y = steps(theirs, S, first, rtol, maxiter)
    our_steps, _, x = steps(ours, A, first if namespace == "numpy" else sp._dense.to_mlx(first), rtol, maxiter)
    ends = [float(np.linalg.norm(first - S @ v) / np.linalg.norm(first)) for v in (x, y)]
    if seconds * columns > LONGEST:
        maxiter = max(1, int(their_steps * LONGEST / (seconds * columns)))
    other = run if columns == 1 else one_by_one
    timing = paired(
        Side(partial(run, ours, A, given, rtol, maxiter)), Side(partial(other, theirs, S, b, rtol, maxiter))
    )
    taken = [min(n, maxiter) for n in (our_steps, their_steps)]
    return (
        f"{name:<8}{S.shape[0]:>9}{columns:>4} {dtype:<8} {namespace:<6}{our_steps:>7}{their_steps:>7}"
        f"{ends[0]:>10.1e}{ends[1]:>9.1e}{1e6 * timing.ours / taken[0]:>12.1f}"
        f"{1e6 * timing.theirs / taken[1]:>12.1f}{timing.ratio:>8.2f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", help="solvers whose name contains NAME")
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 316, 1000])
    parser.add_argument("--columns", type=int, default=4)
    options = parser.parse_args()
    sp.use_cpu()
    print(f"{sp.runtime.SOLVER_THREADS} threads")
    print(
        f"{'':<8}{'n':>9}{'k':>4} {'':<15}{'steps':>7}{'SciPy':>7}{'residual':>10}{'SciPy':>9}"
        f"{'us a step':>12}{'SciPy':>12}{'faster':>8}"
    )
    for name in SOLVERS:
        if options.only is None or options.only in name:
            for side in options.sides:
                for dtype in RTOL:
                    for namespace in ("numpy", "mlx"):
                        for columns in (1, options.columns):
                            print(compare(name, side, dtype, namespace, columns), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

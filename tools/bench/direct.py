"""The sparse Cholesky factorisation compared with SciPy's SuperLU, on grids in the plane and in space.

    python tools/bench/direct.py [--only NAME] [--small] [--orderings NAME ...]

Each case: order, stored entries of the factors of each side, residuals, seconds of factorisation and solution of each
(SuperLU with the best of its column orderings, found first), then what new values of the same structure cost, and 32
right-hand sides. Medians of a few runs, taken in turn in one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402
import scipy.sparse.linalg  # noqa: E402

import mlx_sparse as sp  # noqa: E402

ORDERINGS = ("MMD_AT_PLUS_A", "COLAMD")
COLUMNS = 32


def grid(*sides: int) -> Any:
    """SciPy csc array: the Laplacian of a grid with zeros around it."""
    A = scipy.sparse.csr_array((1, 1))
    for side in sides:
        line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
        A = scipy.sparse.kron(A, scipy.sparse.eye_array(side)) + scipy.sparse.kron(
            scipy.sparse.eye_array(A.shape[0]), line
        )
    return A.tocsc()


CASES = {"2-D 1000^2": (1000, 1000), "3-D 40^3": (40, 40, 40)}
SMALL = {"2-D 200^2": (200, 200), "3-D 16^3": (16, 16, 16)}


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def superlu(S: Any, ordering: str) -> Any:
    # symmetric mode takes pivots from the diagonal: what SuperLU's manual advises for such matrices
    return scipy.sparse.linalg.splu(S, permc_spec=ordering, diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def compare(name: str, S: Any, rounds: int, orderings: list[str]) -> None:
    rng = np.random.default_rng(0)
    n = S.shape[0]
    b, B = rng.standard_normal(n), rng.standard_normal((n, COLUMNS))
    A = sp.from_scipy(S)
    trials = {ordering: seconds(lambda o=ordering: superlu(S, o).solve(b))[0] for ordering in orderings}
    best = min(trials, key=lambda ordering: trials[ordering])
    ours, theirs, first, again, one, many = [], [], [], [], [], []
    for _ in range(rounds):
        t, factor = seconds(lambda: sp.linalg.cholesky(A))
        first.append(t)
        s, x = seconds(lambda factor=factor: factor.solve(b))
        ours.append(t + s)
        one.append(s)
        again.append(seconds(lambda factor=factor: factor.refactor(S.data))[0])
        many.append(seconds(lambda factor=factor: factor.solve(B))[0])
        t, lu = seconds(lambda: superlu(S, best))
        s, y = seconds(lambda lu=lu: lu.solve(b))
        theirs.append(t + s)
    ends = [np.linalg.norm(b - S @ v) / np.linalg.norm(b) for v in (x, y)]
    flops = 2 * factor._cholesky.analysis.plan.work
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{name:<12} n {n}, entries of A {S.nnz}")
    print(f"  Cholesky, amd: entries of L {factor.nnz}, flops {flops:.3g}, residual {ends[0]:.1e}")
    print(f"  SuperLU, {best}: entries of L + U {lu.nnz}, residual {ends[1]:.1e}")
    for ordering, t in trials.items():
        print(f"    {ordering}: {t:.2f} s")
    print(f"  factor + solve: {mine:.2f} s, SuperLU {other:.2f} s: {other / mine:.2f} times faster")
    print(
        f"  refactor: {statistics.median(again):.2f} s of {statistics.median(first):.2f} s: "
        f"{statistics.median(f / r for f, r in zip(first, again, strict=True)):.2f} times faster"
    )
    print(
        f"  {COLUMNS} right-hand sides: {statistics.median(many):.2f} s, one {statistics.median(one):.3f} s: "
        f"{statistics.median(COLUMNS * s / m for s, m in zip(one, many, strict=True)):.2f} times faster",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", help="cases whose name contains NAME")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orderings", nargs="+", choices=ORDERINGS, default=list(ORDERINGS), help="SuperLU's")
    options = parser.parse_args()
    sp.use_cpu()
    print(f"{sp.runtime.SOLVER_THREADS} threads, float64")
    for name, sides in (SMALL if options.small else CASES).items():
        if options.only is None or options.only in name:
            compare(name, grid(*sides), options.rounds, options.orderings)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Iterative solvers compared with SciPy's at equal residuals, on the 5-point Laplacian of a square.

    python tools/bench/solvers.py [--only NAME] [--sides 32 316 1000] [--columns K]

Every row: the steps that each side takes to the tolerance, the residuals that they end with, the time of one step of
each (medians over interleaved rounds in one process), and how many times faster than SciPy the whole solution is. Of
long solutions only some steps are taken. With K columns all of them are solved at once, against SciPy's solutions one
by one, or against ours ("itself").
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

Solve = Callable[..., tuple[Any, int | None]]  # (module, A, b, rtol, maxiter, callback) -> x, steps if it tells them


def square(name: str, **options: Any) -> Solve:
    def solve(module: Any, A: Any, b: Any, rtol: float, maxiter: int, callback: Any = None) -> tuple[Any, None]:
        return getattr(module, name)(A, b, rtol=rtol, maxiter=maxiter, callback=callback, **options)[0], None

    return solve


def in_cycles(name: str, **options: Any) -> Solve:
    """Whose step is a cycle."""
    return square(name, callback_type="x", **options)


def least_squares(name: str, limit: str) -> Solve:
    def solve(module: Any, A: Any, b: Any, rtol: float, maxiter: int, callback: Any = None) -> tuple[Any, int]:
        x, _, taken, *_ = getattr(module, name)(A, b, atol=rtol, btol=rtol, conlim=0.0, **{limit: maxiter})
        return x, taken

    return solve


SOLVERS: dict[str, Solve] = {
    "cg": square("cg"),
    "bicgstab": square("bicgstab"),
    "gmres": in_cycles("gmres", restart=30),
    "minres": square("minres"),
    "lsqr": least_squares("lsqr", "iter_lim"),
    "lsmr": least_squares("lsmr", "maxiter"),
}
OURS, THEIRS = sp.linalg, scipy.sparse.linalg
RTOL = {"float64": 1e-8, "float32": 1e-4}
LONGEST = 2.0  # seconds that SciPy may take in one round; of longer solutions only as many steps are compared


def laplacian(side: int, dtype: str) -> Any:
    """SciPy csr array of order side^2."""
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    eye = scipy.sparse.eye_array(side)
    return (scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line)).tocsr().astype(dtype)


def run(solve: Solve, module: Any, A: Any, b: Any, rtol: float, maxiter: int, _: Any = None) -> Any:
    return solve(module, A, b, rtol, maxiter)[0]


def one_by_one(solve: Solve, module: Any, A: Any, B: Any, rtol: float, maxiter: int, _: Any = None) -> Any:
    return [solve(module, A, b, rtol, maxiter)[0] for b in B]


def steps(solve: Solve, module: Any, A: Any, b: Any, rtol: float, maxiter: int) -> tuple[int, float, Any]:
    """How many steps it takes, their seconds all together, and x."""
    count = [0]

    def counting(_: Any) -> None:
        count[0] += 1

    start = time.perf_counter()
    x, told = solve(module, A, b, rtol, maxiter, counting)
    return count[0] if told is None else told, time.perf_counter() - start, np.asarray(x)


def compare(name: str, side: int, dtype: str, namespace: str, columns: int, against: str = "SciPy") -> str:
    solve = SOLVERS[name]
    S = laplacian(side, dtype)
    shape = (S.shape[0],) if columns == 1 else (S.shape[0], columns)
    b = np.random.default_rng(0).standard_normal(shape).astype(dtype)

    def given(b: Any) -> Any:
        return b if namespace == "numpy" else sp._dense.to_mlx(b)

    A, first = sp.from_scipy(S), b if columns == 1 else b[:, 0].copy()
    mx.eval(A.data)
    # Long solutions end before the tolerance: how many steps fit is found out with a few of them.
    rtol, maxiter, few = RTOL[dtype], 10 * S.shape[0], 3
    taken, seconds, _ = steps(solve, THEIRS, S, first, rtol, few)
    fitting = max(few, int(LONGEST * taken / (seconds * (columns if against == "SciPy" else 1))))
    maxiter = min(maxiter, fitting)
    their_steps, _, y = steps(solve, THEIRS, S, first, rtol, maxiter)
    our_steps, _, x = steps(solve, OURS, A, given(first), rtol, maxiter)
    ends = [float(np.linalg.norm(first - S @ v) / np.linalg.norm(first)) for v in (x, y)]
    apart = [given(v.copy()) if against != "SciPy" else v.copy() for v in b.T] if columns > 1 else [first]
    module, matrix = (THEIRS, S) if against == "SciPy" else (OURS, A)
    timing = paired(
        Side(partial(run, solve, OURS, A, given(b), rtol, maxiter)),
        Side(partial(one_by_one, solve, module, matrix, apart, rtol, maxiter)),
    )
    taken_by = [max(1, n) for n in (our_steps, their_steps)]
    return (
        f"{name:<8}{S.shape[0]:>9}{columns:>4} {against:<7}{dtype:<8} {namespace:<6}{our_steps:>7}{their_steps:>7}"
        f"{ends[0]:>10.1e}{ends[1]:>9.1e}{1e6 * timing.ours / taken_by[0]:>12.1f}"
        f"{1e6 * timing.theirs / taken_by[1]:>12.1f}{timing.ratio:>8.2f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", help="solvers whose name contains NAME")
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 316, 1000])
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--dtypes", nargs="+", default=list(RTOL))
    parser.add_argument("--namespaces", nargs="+", default=["numpy", "mlx"])
    options = parser.parse_args()
    sp.use_cpu()
    print(f"{sp.runtime.SOLVER_THREADS} threads")
    print(
        f"{'':<8}{'n':>9}{'k':>4} {'':<22}{'steps':>7}{'SciPy':>7}{'residual':>10}{'SciPy':>9}"
        f"{'us a step':>12}{'SciPy':>12}{'faster':>8}"
    )
    for name in SOLVERS:
        if options.only is None or options.only in name:
            for side in options.sides:
                for dtype in options.dtypes:
                    for namespace in options.namespaces:
                        print(compare(name, side, dtype, namespace, 1), flush=True)
                        if name in ("cg", "bicgstab"):
                            print(compare(name, side, dtype, namespace, options.columns, "SciPy"), flush=True)
                            print(compare(name, side, dtype, namespace, options.columns, "itself"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

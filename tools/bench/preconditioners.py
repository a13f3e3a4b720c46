"""ILU(0) here against SciPy's spilu, each with its own bicgstab, on convection and diffusion in a cube or a square.

    python tools/bench/preconditioners.py [--sides 67] [--dimensions 3] [--rtol 1e-8] [--rounds 3] [--without NAME ...]

Every row: seconds for the factorisation and for the solution (medians over interleaved rounds in one process; what
takes longer than 10 s runs once), iterations and the residual that is left. The last lines compare totals.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import mlx_sparse as sp

P = sp.linalg.preconditioners


def convection(side: int, dimensions: int, wind: float = 1.0) -> Any:
    """SciPy csr array of order side^dimensions: upwind differences."""
    line = scipy.sparse.diags_array([-1.0 - wind, 2.0 + wind, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    A = line
    for _ in range(dimensions - 1):
        eye, small = scipy.sparse.eye_array(A.shape[0]), scipy.sparse.eye_array(side)
        A = scipy.sparse.kron(A, small) + scipy.sparse.kron(eye, line)
    return A.tocsr()


def scipys(factor: Callable[[Any], Any], S: Any, b: np.ndarray, rtol: float) -> tuple[float, float, int, Any]:
    start = time.perf_counter()
    lu = factor(S)
    M = None if lu is None else scipy.sparse.linalg.LinearOperator(S.shape, lu.solve)
    return solved(scipy.sparse.linalg.bicgstab, S, b, M, rtol, start)


def ours(make: Callable[[Any], Any], A: Any, b: np.ndarray, rtol: float) -> tuple[float, float, int, Any]:
    start = time.perf_counter()
    return solved(sp.linalg.bicgstab, A, b, make(A), rtol, start)


def solved(method: Any, A: Any, b: Any, M: Any, rtol: float, start: float) -> tuple[float, float, int, Any]:
    made, steps = time.perf_counter(), [0]

    def count(_: Any) -> None:
        steps[0] += 1

    x, info = method(A, b, rtol=rtol, M=M, callback=count)
    assert info == 0
    return made - start, time.perf_counter() - made, steps[0], x


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[67])
    parser.add_argument("--dimensions", type=int, default=3)
    parser.add_argument("--rtol", type=float, default=1e-8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="+", default=[], help="rows to leave out")
    args = parser.parse_args()
    warnings.simplefilter("ignore", scipy.sparse.SparseEfficiencyWarning)
    for side in args.sides:
        S = convection(side, args.dimensions)
        A, b = sp.from_scipy(S), np.random.default_rng(0).standard_normal(S.shape[0])
        rows = {
            "ilu0": lambda A=A, b=b: ours(P.ilu0, A, b, args.rtol),
            "none": lambda A=A, b=b: ours(lambda A: None, A, b, args.rtol),
            "scipy spilu": lambda S=S, b=b: scipys(lambda S: scipy.sparse.linalg.spilu(S.tocsc()), S, b, args.rtol),
            "scipy spilu 1e-2": lambda S=S, b=b: scipys(
                lambda S: scipy.sparse.linalg.spilu(S.tocsc(), drop_tol=1e-2, fill_factor=2), S, b, args.rtol
            ),
            "scipy none": lambda S=S, b=b: scipys(lambda S: None, S, b, args.rtol),
        }
        print(f"{S.shape[0]} unknowns, {S.nnz} entries, rtol {args.rtol}")
        rows = {name: row for name, row in rows.items() if name not in args.without}
        found: dict[str, list[Any]] = {name: [] for name in rows}
        for _ in range(args.rounds):
            for name, row in rows.items():
                if not found[name] or sum(found[name][0][:2]) < 10:
                    found[name].append(row())
        totals = {}
        for name, runs in found.items():
            setup, solution = (statistics.median(run[k] for run in runs) for k in (0, 1))
            totals[name] = setup + solution
            left = np.linalg.norm(b - S @ runs[0][3]) / np.linalg.norm(b)
            steps = runs[0][2]
            print(f"  {name:17s} setup {setup:7.3f} s  solve {solution:7.3f} s  {steps:4d} steps  residual {left:.1e}")
        for name in (name for name in rows if name.startswith("scipy")):
            print(f"  ilu0 + bicgstab against {name} + bicgstab: {totals[name] / totals['ilu0']:.1f}x")


if __name__ == "__main__":
    main()

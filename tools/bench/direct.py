"""The sparse Cholesky factorisation compared with SciPy's SuperLU, on grids and, where pyamg is there, on its meshes.

    python tools/bench/direct.py [--only NAME] [--small] [--orderings NAME ...] [--ours NAME] [--cpu] [--peak]

Each case: order, stored entries of the factors of each side, residuals, seconds of factorisation and solution of each
(SuperLU with the best of its column orderings, found first), then what new values of the same structure cost, and 32
right-hand sides. Medians of a few runs, taken in turn in one process; with --cpu of the processor's seconds of one
worker, which tell something on a busy machine too. With --peak also the memory that each side adds in a process of its
own. Last, small systems by `spsolve`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
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
QUICK = 0.1  # seconds


def grid(*sides: int) -> Any:
    """SciPy csc array: the Laplacian of a grid with zeros around it."""
    A = scipy.sparse.csr_array((1, 1))
    for side in sides:
        line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
        A = scipy.sparse.kron(A, scipy.sparse.eye_array(side)) + scipy.sparse.kron(
            scipy.sparse.eye_array(A.shape[0]), line
        )
    return A.tocsc()


GRIDS = {"2-D 1000^2": (1000, 1000), "2-D 300^2": (300, 300), "3-D 40^3": (40, 40, 40)}
SMALL = {"2-D 200^2": (200, 200), "3-D 16^3": (16, 16, 16)}
MESHES = ("airfoil", "bar", "knot", "unit_cube")  # pyamg's, definite
clock = time.perf_counter


def matrix(name: str) -> Any:
    """SciPy csc array of a case."""
    if name not in MESHES:
        return grid(*(GRIDS | SMALL)[name])
    import pyamg

    return scipy.sparse.csc_array(pyamg.gallery.load_example(name)["A"])


def meshes() -> tuple[str, ...]:
    try:
        import pyamg  # noqa: F401
    except ImportError:
        return ()
    return MESHES


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    start = clock()
    found = run()
    return clock() - start, found


def held(key: str) -> int:
    """Bytes of this process's memory, from the kernel's status file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def added(side: str, name: str) -> None:
    """Prints the bytes that factorisation and solution by one `side` add at their peak."""
    S = matrix(name)
    b = np.ones(S.shape[0])
    A = sp.from_scipy(S)
    factor = (lambda: sp.linalg.cholesky(A, ordering=side.split()[1])) if "ours" in side else lambda: superlu(S, side)
    sp.linalg.cholesky(sp.eye_array(3, format="csc")).solve(np.ones(3))
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = held("VmRSS")
    factor().solve(b)
    print(held("VmHWM") - before)


def peak(side: str, name: str) -> float:
    """MiB of `added` in a process of its own."""
    command = [sys.executable, __file__, "--added", json.dumps([side, name])]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 2**20


def superlu(S: Any, ordering: str) -> Any:
    # symmetric mode takes pivots from the diagonal: what SuperLU's manual advises for such matrices
    return scipy.sparse.linalg.splu(S, permc_spec=ordering, diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def compare(name: str, rounds: int, orderings: list[str], ordering: str, peaks: bool) -> None:
    S = matrix(name)
    rng = np.random.default_rng(0)
    n = S.shape[0]
    b, B = rng.standard_normal(n), rng.standard_normal((n, COLUMNS))
    A = sp.from_scipy(S)
    trials = {o: seconds(lambda o=o: superlu(S, o).solve(b))[0] for o in orderings}
    if min(trials.values()) < QUICK:  # one trial would tell little
        trials = {o: min(seconds(lambda o=o: superlu(S, o).solve(b))[0] for _ in range(5)) for o in orderings}
    best = min(trials, key=lambda o: trials[o])
    rounds = max(rounds, min(50, int(0.5 / trials[best])))
    ours, theirs, first, again, one, many = [], [], [], [], [], []
    for _ in range(rounds):
        t, factor = seconds(lambda: sp.linalg.cholesky(A, ordering=ordering))
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
    flops = factor._cholesky.plan.work  # k^3 / 3 of a triangle of order k: half of a product is all there is
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{name:<12} n {n}, entries of A {S.nnz}")
    print(f"  Cholesky, {ordering}: entries of L {factor.nnz}, flops {flops:.3g}, residual {ends[0]:.1e}")
    print(f"  SuperLU, {best}: entries of L + U {lu.nnz}, residual {ends[1]:.1e}")
    for o, t in trials.items():
        print(f"    {o}: {t:.4g} s")
    print(f"  factor + solve: {mine:.4g} s, SuperLU {other:.4g} s: {other / mine:.2f} times faster")
    print(
        f"  refactor: {statistics.median(again):.4g} s of {statistics.median(first):.4g} s: "
        f"{statistics.median(f / r for f, r in zip(first, again, strict=True)):.2f} times faster"
    )
    print(
        f"  {COLUMNS} right-hand sides: {statistics.median(many):.4g} s, one {statistics.median(one):.4g} s: "
        f"{statistics.median(COLUMNS * s / m for s, m in zip(one, many, strict=True)):.2f} times faster",
        flush=True,
    )
    if peaks:
        ours_peak, their_peak = peak(f"ours {ordering}", name), peak(best, name)
        print(f"  peak memory: {ours_peak:.0f} MiB, SuperLU {their_peak:.0f} MiB: {ours_peak / their_peak:.2f} times")


def small_systems(n: int = 100, runs: int = 40, rounds: int = 25) -> None:
    """`spsolve` of a few structures, where Python's share counts; the least of some rounds."""
    rng = np.random.default_rng(0)
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    spread = (scipy.sparse.random_array((n, n), density=0.05, rng=rng) + 3 * scipy.sparse.eye_array(n)).tocsc()
    side = round(n**0.5)
    cases = {"tridiagonal": line.tocsc(), "grid": grid(side, side), "5 % csc": spread, "5 % csr": spread.tocsr()}
    for name, S in (cases | {"triangle": scipy.sparse.tril(spread).tocsc()}).items():
        A, b = sp.from_scipy(S), rng.standard_normal(S.shape[0])
        turns = [
            [
                seconds(lambda solve=solve, M=M, b=b: [solve(M, b) for _ in range(runs)])[0]
                for solve, M in ((sp.linalg.spsolve, A), (scipy.sparse.linalg.spsolve, S))
            ]
            for _ in range(rounds)
        ]
        mine, other = (1e6 / runs * min(turn[k] for turn in turns) for k in (0, 1))
        print(f"spsolve, n = {n}, {name}: {mine:.0f} us, SciPy {other:.0f} us: {mine / other:.2f} of its time")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", help="cases whose name contains NAME")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orderings", nargs="+", choices=ORDERINGS, default=list(ORDERINGS), help="SuperLU's")
    parser.add_argument("--ours", default="amd", help="the ordering of this side: amd, natural or metis")
    parser.add_argument("--cpu", action="store_true", help="processor time of one worker")
    parser.add_argument("--peak", action="store_true", help="memory too (Linux)")
    parser.add_argument("--added", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sp.use_cpu()
    if options.added:
        added(*json.loads(options.added))
        return 0
    if options.cpu:
        global clock
        clock, sp.runtime.N_THREADS = time.process_time, 1
    print(f"{sp.runtime.SOLVER_THREADS} threads, float64")
    for name in (*(SMALL if options.small else GRIDS), *meshes()):
        if options.only is None or options.only in name:
            compare(name, options.rounds, options.orderings, options.ours, options.peak)
    if options.only is None or options.only in "spsolve":
        small_systems()
    return 0


if __name__ == "__main__":
    sys.exit(main())

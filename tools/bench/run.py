"""Compare this package with SciPy on the CPU, operation by operation.

    python tools/bench/run.py [--only NAME] [--json FILE] [--no-memory] [--processor]

Every row: both medians over interleaved rounds in one process, how many times faster than SciPy (median over the
rounds), for products the bytes that must move at least once over the time, as a share of a triad's bandwidth on the
same threads, and the ratio of peak memory growth, each side in a process of its own. A row is "below" when it misses
its floor in cases.py; the exit status is 0 all the same unless --strict is given. lazy-node is compared with mx.add.
The triad is measured next to every product, since other work on the machine slows both. With --processor both times are
the least processor time of one worker over many samples, for machines that others use as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
import scipy  # noqa: E402
from cases import CASES, FLOORS, Case  # noqa: E402
from measure import paired, paired_by_processor, peak_growth  # noqa: E402

import mlx_sparse as sp  # noqa: E402

TRIAD_ELEMENTS = 20_000_000
NOISE = 1 << 20  # growth below this is the allocator's, not the operation's


def memory_ratio(name: str) -> float | None:
    """Our peak memory growth over SciPy's.

    Python takes objects from the system's allocator then: its own would put them into what making the operands left.
    """
    found, environment = [], {**os.environ, "PYTHONMALLOC": "malloc"}
    for side in ("ours", "theirs"):
        command = [sys.executable, __file__, "--memory-of", name, side]
        output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        value = json.loads(output.splitlines()[-1])
        if value is None:
            return None
        found.append(max(value, NOISE))
    return found[0] / found[1]


def triad_bandwidth() -> float:
    """Bytes per second, the median of a few runs."""
    return statistics.median(sp._native.triad(TRIAD_ELEMENTS) for _ in range(5))


def measure(name: str, case: Case, memory: bool, repeats: int, processor: bool) -> dict[str, Any]:
    floor = FLOORS[name]
    mx.clear_cache()  # of what earlier rows freed: MLX's cache evicts nothing by itself
    before = triad_bandwidth() if case.traffic and not processor else None
    timing = (paired_by_processor if processor else paired)(case.ours, case.theirs, repeats)
    share = None
    if case.traffic and before:
        share = case.traffic / timing.ours / statistics.mean((before, triad_bandwidth()))
    peak = memory_ratio(name) if memory and floor.memory is not None else None
    missed = []
    if timing.ratio < floor.speed:
        missed.append(f"speed < {floor.speed}")
    if floor.bandwidth is not None and share is not None and share < floor.bandwidth:
        missed.append(f"triad < {floor.bandwidth:.0%}")
    if peak is not None and floor.memory is not None and peak > floor.memory:
        missed.append(f"memory > {floor.memory}")
    return {
        "name": name,
        "ours_s": timing.ours,
        "scipy_s": timing.theirs,
        "speed": timing.ratio,
        "triad_share": share,
        "memory_ratio": peak,
        "missed": missed,
    }


def show(row: dict[str, Any]) -> str:
    share = "" if row["triad_share"] is None else f"{row['triad_share']:.0%}"
    peak = "" if row["memory_ratio"] is None else f"{row['memory_ratio']:.2f}"
    verdict = "below: " + ", ".join(row["missed"]) if row["missed"] else "ok"
    return (
        f"{row['name']:<26}{1e3 * row['ours_s']:>12.4f}{1e3 * row['scipy_s']:>12.4f}{row['speed']:>8.2f}"
        f"{share:>8}{peak:>8}  {verdict}"
    )


def environment(triad: float) -> dict[str, Any]:
    return {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": sp.runtime.N_THREADS,
        "triad_bytes_per_s": triad,
        "versions": {
            "mlx_sparse": sp.__version__,
            "mlx": mx.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", help="rows whose name contains NAME")
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--no-memory", action="store_true", help="skip the memory column")
    parser.add_argument("--processor", action="store_true", help="processor time of one worker")
    parser.add_argument("--repeats", type=int, default=9, help="rounds, at least 7")
    parser.add_argument("--strict", action="store_true", help="exit status 1 when a row is below its floor")
    parser.add_argument("--memory-of", nargs=2, metavar=("NAME", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()

    sp.use_cpu()
    if options.processor:
        sp.runtime.N_THREADS = 1
    if options.memory_of:
        name, side = options.memory_of
        print(json.dumps(peak_growth(getattr(CASES[name](), side))))
        return 0
    names = [name for name in CASES if options.only is None or options.only in name]
    if not names:
        parser.error(f"no operation is named {options.only}; the names are {', '.join(CASES)}")
    triad = triad_bandwidth()
    print(f"{sp.runtime.N_THREADS} threads, triad {triad / 1e9:.1f} GB/s")
    print(f"{'':<26}{'ours ms':>12}{'SciPy ms':>12}{'faster':>8}{'triad':>8}{'memory':>8}")
    rows = []
    for name in names:
        rows.append(measure(name, CASES[name](), not options.no_memory, options.repeats, options.processor))
        print(show(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"environment": environment(triad), "rows": rows}, indent=2) + "\n")
    return 1 if options.strict and any(row["missed"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

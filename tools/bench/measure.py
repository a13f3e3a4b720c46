"""Timing in interleaved rounds and peak memory."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

Operation = Callable[[Any], Any]


@dataclass
class Side:
    """One implementation of an operation: `run(prepare())` is timed without `prepare`."""

    run: Operation
    prepare: Callable[[], Any] = lambda: None


@dataclass
class Timing:
    ours: float  # seconds, median
    theirs: float
    ratio: float  # median over rounds of theirs / ours


def finish(result: Any) -> Any:
    """Wait until every buffer of `result` is computed."""
    if isinstance(result, mx.array):
        mx.eval(result)
    elif type(result).__module__.startswith("mlx_sparse"):
        parts = [getattr(result, name, None) for name in ("data", "indices", "indptr")]
        mx.eval([p for p in parts if isinstance(p, mx.array)], list(getattr(result, "coords", ())))
    return result


def _sample(side: Side, count: int) -> float:
    total = 0.0
    for _ in range(count):
        argument = side.prepare()
        start = time.perf_counter()
        finish(side.run(argument))
        total += time.perf_counter() - start
    return total / count


def paired(ours: Side, theirs: Side, repeats: int = 7, least: float = 2e-2) -> Timing:
    """Medians of both sides, their samples taken in turn.

    A sample lasts at least about `least` seconds: a first run after a pause also pays for waking the other cores.
    """
    counts = []
    for side in (ours, theirs):
        _sample(side, 1)  # first use: allocations, caches, threads
        counts.append(max(1, min(10_000, int(least / max(_sample(side, 1), 1e-7)))))
    rounds = []
    gc.collect()
    for _ in range(max(repeats, 7)):
        rounds.append((_sample(ours, counts[0]), _sample(theirs, counts[1])))
    mine, other = zip(*rounds, strict=True)
    ratio = statistics.median(b / a for a, b in rounds)
    return Timing(statistics.median(mine), statistics.median(other), ratio)


def paired_by_processor(ours: Side, theirs: Side, samples: int = 15, least: float = 4e-3) -> Timing:
    """The least processor time of a run, over samples in turn: what tells on a machine that others use as well."""
    sides, best = (ours, theirs), [float("inf")] * 2
    counts = [max(1, int(least / max(_processor(side, 3), 1e-7))) for side in sides]
    gc.collect()
    for _ in range(samples):
        for n, side in enumerate(sides):
            best[n] = min(best[n], _processor(side, counts[n]))
    return Timing(*best, best[1] / best[0])


def _processor(side: Side, count: int) -> float:
    arguments = [side.prepare() for _ in range(count)]
    start = time.process_time()
    for argument in arguments:
        finish(side.run(argument))
    return (time.process_time() - start) / count


def peak_growth(side: Side) -> int | None:
    """Bytes by which one run, `prepare` included, raises this process's peak memory; None where unknown.

    `prepare` counts because it is where a side copies what it is going to overwrite.
    """
    _release()
    before = _status_bytes("VmRSS")
    if before is None:
        return None
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the peak; ru_maxrss would keep that of making the operands
    result = finish(side.run(side.prepare()))
    peak = _status_bytes("VmHWM")
    del result
    return max(0, (peak or 0) - before)


def _release() -> None:
    """Give freed memory back, so that the operation cannot hide in it."""
    import ctypes

    gc.collect()
    mx.clear_cache()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # not glibc
        pass


def _status_bytes(key: str) -> int | None:
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key + ":"))
    except (OSError, StopIteration):
        return None

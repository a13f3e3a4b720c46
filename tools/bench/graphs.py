"""Compare csgraph with SciPy's on the CPU, function by function, on three graphs.

    python tools/bench/graphs.py [--only NAME] [--graph NAME] [--scale N] [--repeats N] [--memory]

The graphs: R-MAT of 2**scale nodes with 16 edges each (scale 20 by default), a road-like grid of 1e6 nodes whose edges
have random lengths, and a random geometric graph of 2e5 nodes; --scale below 20 makes all of them smaller. Every row:
both medians over interleaved rounds in one process, and how many times faster than SciPy. Results are compared once.
With --memory also the ratio of peak memory growth, each side in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

sys.path.insert(0, str(Path(__file__).parent))

import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402
import scipy.sparse.csgraph as theirs  # noqa: E402
from measure import Side, paired, peak_growth  # noqa: E402

import mlx_sparse as sp  # noqa: E402


def _graph(row: np.ndarray, col: np.ndarray, n: int, seed: int) -> Any:
    data = np.random.default_rng(seed).random(len(row)) + 0.01
    A = scipy.sparse.coo_array((data, (row.astype(np.int32), col.astype(np.int32))), shape=(n, n)).tocsr()
    A.sum_duplicates()
    return A


def rmat(scale: int) -> Any:
    """D. Chakrabarti, Y. Zhan, C. Faloutsos, SDM 2004, with the shares of the Graph500 benchmark."""
    rng = np.random.default_rng(1)
    row = col = np.zeros(16 << scale, np.int64)
    for _ in range(scale):
        drawn = rng.random(len(row))
        row = 2 * row + (drawn > 0.76)
        col = 2 * col + ((drawn > 0.57) & (drawn <= 0.76) | (drawn > 0.95))
    mixed = rng.permutation(1 << scale)
    return _graph(mixed[row], mixed[col], 1 << scale, 2)


def grid(scale: int) -> Any:
    side = int(1000 * 2 ** ((scale - 20) / 2))
    at = np.arange(side * side).reshape(side, side)
    ends = [(at[:, :-1], at[:, 1:]), (at[:-1], at[1:])]
    row, col = (np.concatenate([pair[k].ravel() for pair in ends]) for k in range(2))
    return _graph(np.concatenate([row, col]), np.concatenate([col, row]), side * side, 3)


def geometric(scale: int) -> Any:
    from scipy.spatial import cKDTree

    n = int(200_000 * 2 ** (scale - 20))
    points = np.random.default_rng(4).random((n, 2))
    pairs = cKDTree(points).query_pairs(np.sqrt(10 / (np.pi * n)), output_type="ndarray")
    return _graph(np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([pairs[:, 1], pairs[:, 0]]), n, 5)


GRAPHS: dict[str, Callable[[int], Any]] = {"rmat": rmat, "grid": grid, "geometric": geometric}


def _sources(A: Any) -> np.ndarray:
    return np.random.default_rng(6).integers(0, A.shape[0], 64)


def _hub(A: Any) -> int:
    """The node with most edges. Kept with the graph: finding it takes as long as a search."""
    if not hasattr(A, "hub"):
        A.hub = int(np.argmax(np.diff(A.indptr)))
    return A.hub


_parts: dict[tuple[int, int, str], Any] = {}


def _part(A: Any, n: int, kind: str = "") -> Any:
    """The graph of the first n nodes, for what takes longer: with "whole" weights, or a "loop" at each node."""
    key = id(A), n, kind
    if key not in _parts:
        S = (A if scipy.sparse.issparse(A) else A.to_scipy())[:n, :n]
        if kind == "whole":
            S.data = np.ceil(1000 * S.data)
            S = S.astype(np.int32)
        if kind == "loop":
            S = (S + 2 * scipy.sparse.eye_array(S.shape[0])).tocsr()
        _parts[key] = S if scipy.sparse.issparse(A) else sp.csr_array(S)
    return _parts[key]


def _ends(S: Any, n: int, met: int) -> tuple[int, int]:
    """Of the first n nodes the one with most edges, and the one that a search from there meets as number `met`."""
    key = id(S), n, f"ends {met}"
    if key not in _parts:
        part = _part(S, n)
        order = theirs.breadth_first_order(part, _hub(part), return_predecessors=False)
        _parts[key] = int(order[0]), int(order[min(met, len(order) - 1)])
    return _parts[key]


def _flow(m: Any, A: Any, S: Any, far: bool) -> Any:
    part = _part(A, 20_000, "whole")
    return m.maximum_flow(part, *(_ends(S, 20_000, 20_000) if far else (0, part.shape[0] - 1))).flow_value


# name -> (module, graph, SciPy's form of it) -> a call; and the floor of its speed
CASES: dict[str, tuple[Callable[..., Any], float]] = {
    "components-weak": (lambda m, A, S: m.connected_components(A), 2.0),
    "components-strong": (lambda m, A, S: m.connected_components(A, connection="strong"), 2.0),
    "breadth-first": (lambda m, A, S: m.breadth_first_order(A, _hub(S)), 1.5),
    "breadth-first-undirected": (lambda m, A, S: m.breadth_first_order(A, _hub(S), directed=False), 1.5),
    "dijkstra-64": (lambda m, A, S: m.dijkstra(A, indices=_sources(S)), 1.8),
    "dijkstra-64-limit": (lambda m, A, S: m.dijkstra(A, indices=_sources(S), limit=0.3), 1.8),
    "dijkstra-nearest": (lambda m, A, S: m.dijkstra(A, indices=_sources(S), min_only=True), 1.0),
    "spanning-tree": (lambda m, A, S: m.minimum_spanning_tree(A), 2.0),
    "laplacian": (lambda m, A, S: m.laplacian(A), 2.0),
    "laplacian-normed": (lambda m, A, S: m.laplacian(A, normed=True), 2.0),
    "cuthill-mckee": (lambda m, A, S: m.reverse_cuthill_mckee(A), 1.0),
    "depth-first": (lambda m, A, S: m.depth_first_order(A, _hub(S)), 1.0),
    "depth-first-tree": (lambda m, A, S: m.depth_first_tree(A, _hub(S)), 1.0),
    "matching": (lambda m, A, S: m.maximum_bipartite_matching(A), 1.0),
    "structural-rank": (lambda m, A, S: m.structural_rank(A), 1.0),
    "matching-of-weight": (lambda m, A, S: m.min_weight_full_bipartite_matching(_part(A, 2000, "loop"))[0], 1.0),
    "matching-of-weight-10000": (
        lambda m, A, S: m.min_weight_full_bipartite_matching(_part(A, 10_000, "loop"))[0],
        1.0,
    ),
    "maximum-flow": (lambda m, A, S: _flow(m, A, S, False), 1.0),
    "maximum-flow-hub": (lambda m, A, S: _flow(m, A, S, True), 1.0),
    "bellman-ford": (lambda m, A, S: m.bellman_ford(_part(A, 2000), indices=[0, 1]), 1.0),
    "johnson": (lambda m, A, S: m.johnson(_part(A, 2000), indices=[0, 1]), 1.0),
    "floyd-warshall": (lambda m, A, S: m.floyd_warshall(_part(A, 400)), 1.0),
    "yen": (lambda m, A, S: m.yen(_part(A, 2000), 0, 1, 4), 1.0),
    "yen-20": (lambda m, A, S: m.yen(_part(A, 10_000), *_ends(S, 10_000, 50), 20), 1.0),
}


def sides(name: str, graph: str, scale: int) -> tuple[Side, Side]:
    S = GRAPHS[graph](scale)
    A = sp.csr_array(S)
    call = CASES[name][0]
    for G in (A, S):
        call(MagicMock(), G, S)  # makes the part of the graph that is asked for: it is not the function's
    return Side(lambda _: call(sp.csgraph, A, S)), Side(lambda _: call(theirs, S, S))


def agree(mine: Any, other: Any) -> bool:
    """Labels, orders and lengths are equal; of trees and matchings the sums or sizes."""
    if isinstance(other, tuple):
        return all(agree(*pair) for pair in zip(mine, other, strict=True))
    if scipy.sparse.issparse(other):
        return bool(np.allclose(np.asarray(mine.data).sum(), other.data.sum(), rtol=1e-6, atol=1e-6))
    return bool(np.allclose(np.asarray(mine), other, rtol=1e-12))


def memory_ratio(name: str, graph: str, scale: int) -> float:
    found = []
    for side in ("ours", "theirs"):
        command = [sys.executable, __file__, "--memory-of", name, graph, side, "--scale", str(scale)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append(max(json.loads(output.splitlines()[-1]), 1 << 20))
    return found[0] / found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--graph", default="", help="graphs whose name contains this")
    parser.add_argument("--scale", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7, help="rounds, at least 7")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--memory-of", nargs=3, metavar=("NAME", "GRAPH", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    sp.use_cpu()
    if options.memory_of:
        name, graph, side = options.memory_of
        print(json.dumps(peak_growth(sides(name, graph, options.scale)["ours theirs".split().index(side)])))
        return
    print(f"{'':<40}{'ours ms':>12}{'SciPy ms':>12}{'faster':>8}{'memory':>8}")
    for graph in (g for g in GRAPHS if options.graph in g):
        _parts.clear()  # another graph may stand where the one before did
        mx.clear_cache()  # which, full of another graph's sizes, would take no more of this one's
        S = GRAPHS[graph](options.scale)
        A = sp.csr_array(S)
        print(f"{graph}: {S.shape[0]} nodes, {S.nnz} edges", flush=True)
        for name, (call, floor) in CASES.items():
            if options.only not in name:
                continue
            mine, other = partial(call, sp.csgraph, A, S), partial(call, theirs, S, S)
            timing = paired(Side(lambda _, f=mine: f()), Side(lambda _, f=other: f()), options.repeats)
            memory = f"{memory_ratio(name, graph, options.scale):.2f}" if options.memory else ""
            verdict = "ok" if timing.ratio >= floor else f"below: speed < {floor}"
            same = "" if "matching" in name or agree(mine(), other()) else ", results differ"
            print(
                f"  {name:<38}{1e3 * timing.ours:>12.2f}{1e3 * timing.theirs:>12.2f}{timing.ratio:>8.2f}{memory:>8}"
                f"  {verdict}{same}",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Shortest routes on a generated road network: a picture of them, lengths against SciPy's, and the roads that matter.

Junctions are scattered over a square and joined by edges of their Delaunay triangulation, rather by short ones, and by
those of a spanning tree, so that every junction can be reached; roads near the middle lines are fast. The gradient of a
travel time with respect to the times of all roads is one on the route.
Needs: pip install ".[cpu,examples]". Run: python docs/examples/road_network.py [--out FILE | --no-plot]
"""

from __future__ import annotations

import argparse

import mlx.core as mx
import numpy as np
import scipy.sparse.csgraph
import scipy.spatial

import mlx_sparse as sp

JUNCTIONS, SIDE = 3000, 20.0  # 1, km
SPEED, FAST = 50.0, 100.0  # km / h


def network(rng: np.random.Generator) -> tuple[np.ndarray, sp.csr_array]:
    """Junctions, and the minutes that each road takes, one entry for both directions."""
    at = SIDE * rng.random((JUNCTIONS, 2))
    corners = scipy.spatial.Delaunay(at).simplices
    ends = np.unique(np.sort(corners[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)), axis=0)
    length = np.hypot(*(at[ends[:, 0]] - at[ends[:, 1]]).T)
    shape = (JUNCTIONS, JUNCTIONS)
    needed = sp.csgraph.minimum_spanning_tree(sp.csr_array((length, tuple(ends.T)), shape=shape)).tocoo()
    needed = np.asarray(needed.row).astype(np.int64) * JUNCTIONS + np.asarray(needed.col)
    kept = np.isin(ends @ [JUNCTIONS, 1], needed) | (rng.random(len(ends)) < np.exp(-2 * length / length.mean()))
    ends, length = ends[kept], length[kept]
    middle = np.abs(at[ends].mean(axis=1) - SIDE / 2).min(axis=1) < 0.5
    minutes = 60 * length / np.where(middle, FAST, SPEED)
    return at, sp.csr_array((minutes, tuple(ends.T)), shape=shape)


def route(before: np.ndarray, target: int) -> np.ndarray:
    """The junctions on the way to `target`, from the last one back."""
    way = [int(target)]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return np.array(way)


def check(name: str, error: float, tolerance: float) -> None:
    print(f"  {name:<44} {error:9.2e}   (tolerance {tolerance:.0e})")
    assert error <= tolerance, f"{name}: {error:.2e} > {tolerance:.0e}"


def compare(roads: sp.csr_array, start: int, targets: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Travel times from `start` against SciPy's, and the routes that they belong to, against their roads."""
    minutes, before = sp.csgraph.dijkstra(roads, directed=False, indices=start, return_predecessors=True)
    minutes, before = np.asarray(minutes), np.asarray(before)
    exact = scipy.sparse.csgraph.dijkstra(roads.to_scipy(), directed=False, indices=start)
    check("travel times vs SciPy's", float(np.abs(minutes / np.where(exact > 0, exact, 1) - (exact > 0)).max()), 1e-12)
    routes = [route(before, target) for target in targets]
    both = (roads + roads.T).tocsr()
    sums = [float(np.asarray(both[way[1:], way[:-1]]).sum()) for way in routes]
    check("routes, road by road, vs travel times", float(np.abs(sums / minutes[targets] - 1).max()), 1e-12)
    return minutes, routes


def check_gradient(roads: sp.csr_array, start: int, way: np.ndarray) -> None:
    """Of the travel time at the end of a route: one for its roads, zero for others."""

    def minutes(times: mx.array) -> mx.array:
        lengths: mx.array = sp.csgraph.dijkstra(roads.with_data(times), directed=False, indices=start)
        return lengths[int(way[0])]

    gradient = roads.with_data(mx.grad(minutes)(roads.data)).to_scipy()
    low, high = np.minimum(way[1:], way[:-1]), np.maximum(way[1:], way[:-1])
    expected = scipy.sparse.coo_array((np.ones(len(low)), (low, high)), shape=roads.shape)
    check("gradient vs the roads of the route", float(abs(gradient - expected).max()), 0)


def draw(at: np.ndarray, roads: sp.csr_array, minutes: np.ndarray, routes: list[np.ndarray], path: str) -> None:
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed: no picture")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.collections import LineCollection

    edges = roads.tocoo()
    ends = np.stack([np.asarray(edges.row), np.asarray(edges.col)], axis=1)
    figure, axis = plt.subplots(figsize=(7, 6), layout="constrained")
    lines = LineCollection(at[ends], array=minutes[ends].mean(axis=1), cmap="viridis", linewidths=0.7)
    axis.add_collection(lines)
    for way in routes:
        axis.plot(*at[way].T, color="crimson", linewidth=1.6)
        axis.plot(*at[way[0]], "o", color="crimson", markersize=4)
    axis.plot(*at[routes[0][-1]], "*", color="black", markersize=12)
    axis.set(xlim=(0, SIDE), ylim=(0, SIDE), aspect="equal", xlabel="km", ylabel="km")
    figure.colorbar(lines, ax=axis, label="minutes from the star")
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="road_network.png", help="where the picture goes")
    parser.add_argument("--no-plot", action="store_true")
    options = parser.parse_args()
    sp.use_cpu()  # lengths in double precision, as SciPy's
    at, roads = network(np.random.default_rng(0))
    print(f"{JUNCTIONS} junctions, {roads.nnz} roads")
    points = np.array([(2, 2), (18, 18), (2, 18), (18, 4), (10, 14)])
    start, *targets = scipy.spatial.cKDTree(at).query(points)[1]
    minutes, routes = compare(roads, start, targets)
    check_gradient(roads, start, routes[0])
    near = sp.csgraph.dijkstra(roads, directed=False, indices=[start], limit=5.0, sparse=True)
    print(f"  {near.nnz} junctions are less than 5 minutes away; {minutes[targets[0]]:.1f} minutes to the far corner")
    assert near.nnz == np.count_nonzero(minutes <= 5.0)
    if not options.no_plot:
        draw(at, roads, minutes, routes, options.out)


if __name__ == "__main__":
    main()

"""Communities of a network by the eigenvectors of its Laplacian: groups that were planted are found again.

Members of a group know each other more often than others. The eigenvectors of the least eigenvalues of the normalised
Laplacian hardly change within a group, so a few of them tell groups apart (U. von Luxburg, Statistics and Computing 17,
2007). Shi and Malik's cut, which they make small, is then the same for the groups that are found as for those planted.
Needs: pip install ".[cpu,examples]". Run: python docs/examples/communities.py [--out FILE | --no-plot]
"""

from __future__ import annotations

import argparse

import numpy as np
import scipy.sparse.csgraph
import scipy.sparse.linalg

import mlx_sparse as sp

GROUPS, SIZE = 5, 300
WITHIN, BETWEEN = 20.0, 4.0  # acquaintances of a person in the own group, and in all others


def network(rng: np.random.Generator) -> tuple[sp.csr_array, np.ndarray]:
    """Who knows whom, and the group of each, in no order."""
    n = GROUPS * SIZE
    group = rng.permutation(np.repeat(np.arange(GROUPS), SIZE))
    tries = int(n * (WITHIN * GROUPS + BETWEEN))
    row, col = rng.integers(0, n, (2, tries))
    chance = np.where(group[row] == group[col], 1.0, BETWEEN / (WITHIN * (GROUPS - 1)))
    kept = (row != col) & (rng.random(tries) < chance / 2)
    A = sp.coo_array((np.ones(kept.sum()), (row[kept], col[kept])), shape=(n, n)).tocsr()
    return ((A + A.T) > 0).astype(float), group


def check(name: str, error: float, tolerance: float) -> None:
    print(f"  {name:<44} {error:9.2e}   (tolerance {tolerance:.0e})")
    assert error <= tolerance, f"{name}: {error:.2e} > {tolerance:.0e}"


def coordinates(A: sp.csr_array) -> np.ndarray:
    """Each person as a point: eigenvectors of the least eigenvalues of the Laplacian, checked against SciPy's."""
    L = sp.csgraph.laplacian(A, normed=True).tocsr()
    w, V = (np.array(x) for x in sp.linalg.eigsh(L, GROUPS, sigma=-0.1, rng=0))
    S = scipy.sparse.csgraph.laplacian(A.to_scipy(), normed=True).tocsc()
    exact = scipy.sparse.linalg.eigsh(S, GROUPS, sigma=-0.1, return_eigenvectors=False)
    check("eigenvalues vs SciPy's", float(np.abs(np.sort(w) - np.sort(exact)).max()), 1e-9)
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    return V


def clusters(points: np.ndarray, rounds: int = 50) -> np.ndarray:
    """Points by the nearest of their means, which begin far from each other."""
    middle = points[:1]
    for _ in range(GROUPS - 1):
        away = ((points[:, None] - middle) ** 2).sum(axis=2).min(axis=1)
        middle = np.concatenate([middle, points[[np.argmax(away)]]])
    for _ in range(rounds):
        nearest: np.ndarray = ((points[:, None] - middle) ** 2).sum(axis=2).argmin(axis=1)
        middle = np.array([points[nearest == k].mean(axis=0) for k in range(GROUPS)])
    return nearest


def cut(A: sp.csr_array, group: np.ndarray) -> float:
    """The sum over groups of the share of their members' acquaintances who are in another one."""
    Z = (group[:, None] == np.arange(GROUPS)).astype(float)
    within, degrees = (Z * (A @ Z)).sum(axis=0), Z.T @ np.asarray(A.sum(axis=1))
    return float((1 - within / degrees).sum())


def draw(A: sp.csr_array, found: np.ndarray, path: str) -> None:
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed: no picture")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
    order = np.argsort(found, kind="stable")
    for axis, B, title in ((axes[0], A, "as they come"), (axes[1], A[order][:, order], "by the groups that are found")):
        axis.spy(B.to_scipy(), markersize=0.3)
        axis.set(title=title, xticks=[], yticks=[])
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="communities.png", help="where the picture goes")
    parser.add_argument("--no-plot", action="store_true")
    options = parser.parse_args()
    sp.use_cpu()  # eigenvalues are compared in double precision
    A, group = network(np.random.default_rng(0))
    print(f"{A.shape[0]} people, {A.nnz // 2} acquaintances, {GROUPS} groups")
    found = clusters(coordinates(A))
    together = np.array([np.bincount(group[found == k], minlength=GROUPS) for k in range(GROUPS)])
    check("people in another group than planted", 1 - together.max(axis=1).sum() / len(group), 0.01)
    check("cut, above that of the planted groups", cut(A, found) / cut(A, group) - 1, 0.01)
    if not options.no_plot:
        draw(A, found, options.out)


if __name__ == "__main__":
    main()

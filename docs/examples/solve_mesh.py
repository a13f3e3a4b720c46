"""Solve a linear system on a finite-element mesh, check it against SciPy, and differentiate through the matrix.

The mesh is the triangulation around an airfoil that PyAMG ships as example data, each triangle split in four twice.
Needs: pip install ".[cpu,examples]". Run: python docs/examples/solve_mesh.py [--out FILE | --no-plot]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from pyamg.gallery import load_example
from pyamg.gallery.fem import refine2dtri

import mlx_sparse as sp

SHIFT = 1e-2  # the Laplacian of a graph is singular; this makes the system positive definite


def load_mesh(refinements: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 2) and triangles (m, 3)."""
    mesh = load_example("airfoil")
    vertices, triangles = mesh["vertices"], mesh["elements"].astype(np.int64)
    for _ in range(refinements):
        vertices, triangles = refine2dtri(vertices, triangles)
    return vertices, triangles


def build_matrix(sparse: Any, vertices: np.ndarray, triangles: np.ndarray) -> Any:
    """Graph Laplacian weighted by inverse edge lengths, plus a shift; `sparse` is mlx_sparse or scipy.sparse."""
    n = len(vertices)
    i = triangles.ravel()
    j = np.roll(triangles, -1, axis=1).ravel()
    weights = 1.0 / np.linalg.norm(vertices[i] - vertices[j], axis=1)
    W = sparse.coo_array((weights, (i, j)), shape=(n, n)).tocsr()
    W = 0.5 * (W + W.T)  # an edge inside the mesh belongs to two triangles
    degree = abs(W).sum(axis=1)
    return (sparse.diags_array(degree) - W + SHIFT * sparse.eye_array(n)).tocsr()


def median_ms(*functions: Callable[[], Any], repeats: int = 9) -> list[float]:
    """Median milliseconds of each function, their runs interleaved."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, found in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            found.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(found) for found in times]


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def check(name: str, error: float, tolerance: float) -> None:
    print(f"  {name:<44} {error:9.2e}   (tolerance {tolerance:.0e})")
    assert error <= tolerance, f"{name}: {error:.2e} > {tolerance:.0e}"


def solve(A: sp.csr_array, S: scipy.sparse.csr_array, b: np.ndarray, eps: float) -> tuple[list[float], float]:
    """Solve with cg and spsolve here and in SciPy; returns the residual norms of cg."""
    ours: list[np.ndarray] = []
    scipys: list[None] = []
    rtol = max(1e-8, 1000 * eps)
    x, info = sp.linalg.cg(A, b, rtol=rtol, callback=lambda xk: ours.append(xk.copy()))
    y, _ = scipy.sparse.linalg.cg(S, b, rtol=rtol, callback=lambda xk: scipys.append(None))
    residuals = [relative(S @ xk, b) for xk in ours]
    direct = sp.linalg.spsolve(A, b)
    reference = scipy.sparse.linalg.spsolve(S, b)
    print(f"cg: info {info}, {len(ours)} iterations (SciPy {len(scipys)}), rtol {rtol:.0e}")
    assert info == 0
    check("cg residual", residuals[-1], 2 * rtol)
    check("cg vs SciPy's cg", relative(x, y), 10 * rtol)
    check("cg vs SciPy's spsolve", relative(x, reference), 100 * rtol)
    check("spsolve vs SciPy's spsolve", relative(direct, reference), 1e4 * eps)
    return residuals, rtol


def differentiate(A: sp.csr_array, S: scipy.sparse.csr_array, b: np.ndarray, eps: float) -> None:
    """Gradients of f = |A x - b|^2 / 2 with respect to x and to the stored values of A."""
    x = mx.array(np.cos(np.arange(len(b))), dtype=A.data.dtype)
    target = mx.array(b, dtype=A.data.dtype)

    def loss(values: mx.array, x: mx.array) -> mx.array:
        return 0.5 * mx.sum((A.with_data(values) @ x - target) ** 2)

    grad_values, grad_x = mx.grad(loss, argnums=(0, 1))(A.data, x)
    xs = np.asarray(x)
    residual = S @ xs - b
    rows, cols = S.tocoo().coords
    check("gradient in x vs A^T r", relative(np.asarray(grad_x), S.T @ residual), 1e3 * eps)
    check("gradient in the values vs r_i x_j", relative(np.asarray(grad_values), residual[rows] * xs[cols]), 1e3 * eps)


def draw(S: scipy.sparse.csr_array, residuals: list[float], path: str) -> None:
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed: no picture")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    left.spy(S, markersize=0.3)
    left.set_title(f"{S.shape[0]} x {S.shape[1]}, {S.nnz} stored entries")
    right.semilogy(residuals)
    right.set(xlabel="iteration", ylabel="relative residual", title="conjugate gradients")
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="solve_mesh.png", help="where the picture goes")
    parser.add_argument("--no-plot", action="store_true")
    options = parser.parse_args()

    vertices, triangles = load_mesh()
    A = build_matrix(sp, vertices, triangles)
    S = build_matrix(scipy.sparse, vertices, triangles)
    eps = float(np.finfo(np.asarray(A.data).dtype).eps)  # float64 on the CPU, float32 on a GPU
    print(f"mesh: {len(vertices)} vertices, {len(triangles)} triangles; A: {A.shape}, {A.nnz} entries, {A.dtype}")
    assert np.array_equal(np.asarray(A.indptr), S.indptr) and np.array_equal(np.asarray(A.indices), S.indices)
    check("matrix vs the same code on scipy.sparse", relative(np.asarray(A.data), S.data), 10 * eps)

    b = np.random.default_rng(0).standard_normal(len(vertices))
    residuals, rtol = solve(A, S, b, eps)
    differentiate(A, S, b, eps)

    print(f"median ms      {'mlx_sparse':>11} {'SciPy':>9}")
    for name, *pair in (
        ("A @ x", lambda: A @ b, lambda: S @ b),
        ("cg", lambda: sp.linalg.cg(A, b, rtol=rtol), lambda: scipy.sparse.linalg.cg(S, b, rtol=rtol)),
        ("spsolve", lambda: sp.linalg.spsolve(A, b), lambda: scipy.sparse.linalg.spsolve(S, b)),
    ):
        ours, scipys = median_ms(*pair)
        print(f"  {name:<12} {ours:11.3f} {scipys:9.3f}")
    if not options.no_plot:
        draw(S, residuals, options.out)


if __name__ == "__main__":
    main()

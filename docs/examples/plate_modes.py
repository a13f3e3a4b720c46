"""Vibration modes of a plate: four of them as a picture, frequencies against SciPy's, and a thickness that is tuned.

A simply supported rectangular steel plate, by finite differences: with the Laplacian L, stiffness is L D L for the
bending stiffness D of each point, mass the density times the thickness. The gradient of the lowest frequency with
respect to the thickness of each point tells how to raise it.
Needs: pip install ".[cpu,examples]". Run: python docs/examples/plate_modes.py [--out FILE | --no-plot]
"""

from __future__ import annotations

import argparse
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.sparse.linalg

import mlx_sparse as sp

WIDTH, HEIGHT = 1.2, 0.8  # m
YOUNG, POISSON, DENSITY = 2.1e11, 0.3, 7850.0  # Pa, 1, kg / m^3
COLUMNS, ROWS = 47, 31  # inner points


def laplacian() -> sp.csr_array:
    """The 5-point Laplacian, with the plate held along its edges."""
    lines = []
    for points, length in ((ROWS, HEIGHT), (COLUMNS, WIDTH)):
        step = length / (points + 1)
        lines.append(sp.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(points, points)) / step**2)
    down, along = lines
    return sp.csr_array(sp.kron(down, sp.eye_array(COLUMNS)) + sp.kron(sp.eye_array(ROWS), along))


def plate(L: sp.csr_array, thickness: mx.array) -> tuple[sp.csr_array, sp.csr_array]:
    """Stiffness and mass, divided by the area of a point and scaled by the same number."""
    bending = YOUNG * thickness**3 / (12 * (1 - POISSON**2))
    scale = 1e-6
    stiffness = (L @ sp.diags_array(bending * scale, format="csr") @ L).tocsr()
    return stiffness, sp.diags_array(DENSITY * scale * thickness, format="csr")


def frequencies(L: sp.csr_array, thickness: mx.array, k: int, **options: Any) -> tuple[mx.array, mx.array]:
    """The k lowest, in Hz, and their modes."""
    K, M = plate(L, thickness)
    w, modes = sp.linalg.eigsh(K, k, M, sigma=0.0, rng=0, **options)
    return mx.sqrt(w) / (2 * np.pi), modes


def check(name: str, error: float, tolerance: float) -> None:
    print(f"  {name:<44} {error:9.2e}   (tolerance {tolerance:.0e})")
    assert error <= tolerance, f"{name}: {error:.2e} > {tolerance:.0e}"


def compare(L: sp.csr_array, thickness: mx.array, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Against SciPy, and against Navier's formula for a plate of constant thickness."""
    found, modes = frequencies(L, thickness, k)
    K, M = (A.to_scipy() for A in plate(L, thickness))
    w, _ = scipy.sparse.linalg.eigsh(K.tocsc(), k, M.tocsc(), sigma=0.0)
    check("frequencies vs SciPy's", float(np.abs(np.asarray(found) / (np.sqrt(w) / (2 * np.pi)) - 1).max()), 1e-8)
    h = float(thickness[0])
    speed = np.sqrt(YOUNG * h**2 / (12 * (1 - POISSON**2) * DENSITY))
    m, n = np.meshgrid(np.arange(1, 9), np.arange(1, 9))
    exact = np.sort((np.pi / 2 * speed * ((m / WIDTH) ** 2 + (n / HEIGHT) ** 2)).ravel())[:k]
    check("frequencies vs Navier's", float(np.abs(np.asarray(found) / exact - 1).max()), 2e-2)
    return np.asarray(found), np.asarray(modes)


def tune(L: sp.csr_array, thickness: mx.array, target: float, steps: int = 60) -> mx.array:
    """The thickness that brings the lowest frequency to `target`, by Newton's method along the gradient."""

    def lowest(h: mx.array) -> mx.array:
        return frequencies(L, h, 1)[0][0]

    made = 0
    while True:
        f, g = mx.value_and_grad(lowest)(thickness)
        gap = target - f.item()
        if abs(gap) < 1e-6 * target or made == steps:
            break
        made += 1
        move = gap * g / mx.sum(g * g)
        thickness = mx.maximum(thickness + mx.clip(move, -5e-4, 5e-4), 1e-3)
    print(f"  {made} steps bring the lowest frequency to {f.item():.4f} Hz")
    check("tuned frequency vs target", abs(gap) / target, 1e-5)
    return thickness


def draw(found: np.ndarray, modes: np.ndarray, thickness: mx.array, path: str) -> None:
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed: no picture")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 5, figsize=(15, 2.6), layout="constrained")
    for axis, f, mode in zip(axes, np.asarray(found), np.asarray(modes).T, strict=False):
        axis.imshow(mode.reshape(ROWS, COLUMNS), cmap="RdBu", extent=(0, WIDTH, 0, HEIGHT))
        axis.set_title(f"{f:.1f} Hz")
    image = axes[4].imshow(1e3 * np.asarray(thickness).reshape(ROWS, COLUMNS), extent=(0, WIDTH, 0, HEIGHT))
    axes[4].set_title("tuned thickness, mm")
    figure.colorbar(image, ax=axes[4])
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="plate_modes.png", help="where the picture goes")
    parser.add_argument("--no-plot", action="store_true")
    options = parser.parse_args()
    sp.use_cpu()  # bending stiffness and mass need double precision
    L = laplacian()
    thickness = mx.full((ROWS * COLUMNS,), 5e-3, dtype=mx.float64)
    print(f"plate of {ROWS} x {COLUMNS} points, 5 mm thick")
    found, modes = compare(L, thickness, 4)
    tuned = tune(L, thickness, 1.2 * found[0].item())
    if not options.no_plot:
        draw(found, modes, tuned, options.out)


if __name__ == "__main__":
    main()

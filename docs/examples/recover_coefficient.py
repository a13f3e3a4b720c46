"""A coefficient field of a differential equation, recovered from the solution by gradient descent through `spsolve`.

    python docs/examples/recover_coefficient.py [--side N] [--steps N] [--picture FILE]

On a square -div(c grad u) = f with u = 0 around it, c = exp(q) at the nodes. Given u for a known q, find q again: Adam
on the misfit of u plus a small penalty of the roughness of q. Every step solves two systems with one factorisation, the
second of them the adjoint. Ends with status 1 if the recovered field is too far from the true one.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import mlx.core as mx
import numpy as np

import mlx_sparse as sp


class Grid:
    """Nodes inside a unit square and the edges between them; the flux along an edge goes with its mean coefficient."""

    def __init__(self, side: int) -> None:
        node = np.arange((side + 2) ** 2).reshape(side + 2, side + 2)
        ends = [(node[:-1, 1:-1], node[1:, 1:-1]), (node[1:-1, :-1], node[1:-1, 1:])]
        first, second = (np.concatenate([pair[k].ravel() for pair in ends]) for k in (0, 1))
        inside = np.full(node.size, -1)
        inside[node[1:-1, 1:-1].ravel()] = np.arange(side * side)
        self.side, self.n, self.scale = side, side * side, float(side + 1) ** 2
        near = np.clip(np.indices((side + 2, side + 2)) - 1, 0, side - 1)  # the border has the coefficient beside it
        of = (near[0] * side + near[1]).ravel()
        self.first, self.second = mx.array(of[first]), mx.array(of[second])
        rows, edges = np.concatenate([inside[first], inside[second]]), np.tile(np.arange(first.size), 2)
        signs = np.repeat([1.0, -1.0], first.size)
        kept = rows >= 0
        self.D = sp.csr_array((signs[kept], (rows[kept], edges[kept])), shape=(self.n, first.size))

    def matrix(self, q: mx.array) -> Any:
        c = mx.exp(q)
        mean = self.scale * (c[self.first] + c[self.second]) / 2
        return (self.D @ sp.diags_array(mean) @ self.D.T).tocsc()

    def true_field(self) -> mx.array:
        x, y = np.meshgrid(*[np.linspace(0, 1, self.side)] * 2, indexing="ij")
        bumps = 0.8 * np.exp(-30 * ((x - 0.3) ** 2 + (y - 0.35) ** 2)) - 0.6 * np.exp(
            -25 * ((x - 0.7) ** 2 + (y - 0.6) ** 2)
        )
        return mx.array(bumps.ravel(), dtype=mx.float64)


def recover(grid: Grid, u: mx.array, f: mx.array, steps: int) -> mx.array:
    size = mx.mean(mx.square(u))

    def loss(q: mx.array) -> mx.array:
        found = sp.linalg.spsolve(grid.matrix(q), f)
        field = q.reshape(grid.side, grid.side)
        rough = mx.mean(mx.square(field[1:] - field[:-1])) + mx.mean(mx.square(field[:, 1:] - field[:, :-1]))
        return mx.mean(mx.square(found - u)) / size + 2e-5 * rough

    step = mx.value_and_grad(loss)
    q, mean, square = (mx.zeros(grid.n, dtype=mx.float64) for _ in range(3))
    for k in range(1, steps + 1):
        value, g = step(q)
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * mx.square(g)
        rate = 0.05 * min(1.0, 4 * (1 - k / (steps + 1)))
        q = q - rate * (mean / (1 - 0.9**k)) / (mx.sqrt(square / (1 - 0.99**k)) + 1e-12)
        mx.eval(q, mean, square)
        show_progress(k, steps, float(value))
    return q


def show_progress(step: int, steps: int, value: float) -> None:
    if sys.stderr.isatty():
        done = 40 * step // steps
        end = "\n" if step == steps else ""
        bar = f"\r[{'#' * done}{' ' * (40 - done)}] {step}/{steps}, loss {value:.2e}"
        print(bar, end=end, file=sys.stderr, flush=True)


def draw(file: str, grid: Grid, fields: dict[str, mx.array]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(fields), figsize=(4 * len(fields), 3.4))
    for axis, (name, field) in zip(axes, fields.items(), strict=True):
        drawn = axis.imshow(np.array(field).reshape(grid.side, grid.side), vmin=-0.7, vmax=0.9)
        axis.set_title(name)
        figure.colorbar(drawn, ax=axis)
    figure.tight_layout()
    figure.savefig(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=24)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--picture", metavar="FILE")
    options = parser.parse_args()
    sp.use_cpu()  # float64, which no GPU has
    grid = Grid(options.side)
    truth = grid.true_field()
    f = mx.ones(grid.n, dtype=mx.float64)
    u = sp.linalg.spsolve(grid.matrix(truth), f)
    q = recover(grid, u, f, options.steps)
    error = float(mx.linalg.norm(q - truth, stream=mx.cpu) / mx.linalg.norm(truth, stream=mx.cpu))
    print(f"{grid.n} unknowns, {options.steps} steps: relative error of the field {error:.3f}")
    if options.picture:
        draw(options.picture, grid, {"true log c": truth, "recovered": q})
    return 0 if error < 0.25 else 1


if __name__ == "__main__":
    sys.exit(main())

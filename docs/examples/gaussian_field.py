"""The range, the size and the noise of a Gaussian Markov random field, found from noisy values by gradients of log det.

    python docs/examples/gaussian_field.py [--side N] [--picture FILE]

On a grid a field x has the precision Q = tau (kappa^2 + L)^2 with the grid's Laplacian L: neighbours resemble each
other over about sqrt(8) / kappa nodes. y are its values with noise of precision s, at three nodes of four. The
likelihood of y needs log det of Q and of Q + s M, where M picks the observed nodes, and a solution with the latter; its
gradient in the logarithms of the parameters comes from the same two sparse Cholesky factorisations. L-BFGS climbs it.
Ends with status 1 if what it finds is too far from the numbers with which the field was made.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.optimize

import mlx_sparse as sp

TRUTH = {"kappa^2": 0.15, "tau": 2.0, "noise precision": 20.0}
WITHIN = 0.15  # of the logarithms


class Field:
    """A grid, with the precisions of fields on it as functions of the parameters."""

    def __init__(self, side: int) -> None:
        line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side)).tolil()
        line[0, 0] = line[-1, -1] = 1.0  # nothing leaves the grid
        eye = sp.eye_array(side)
        self.side, self.n = side, side * side
        self.laplacian = (sp.kron(line, eye) + sp.kron(eye, line)).tocsc()
        self.identity = sp.eye_array(self.n, format="csc")

    def prior(self, kappa2: Any, tau: Any) -> Any:
        K = self.identity * kappa2 + self.laplacian
        return (K @ K) * tau


def misfit(field: Field, M: Any, y: mx.array, logarithms: mx.array) -> mx.array:
    """-log p(y) up to a constant, a node; y is zero where M is, the nodes that are not observed."""
    kappa2, tau, s = mx.exp(logarithms)
    Q = field.prior(kappa2, tau)
    before, after = sp.linalg.cholesky(Q), sp.linalg.cholesky(Q + M * s)
    gap = s * mx.sum(y * y) - s * s * mx.sum(y * after.solve(y))
    logs: mx.array = (
        before.logdet() - after.logdet() + int(M.count_nonzero()) * mx.log(s)
    )  # times a NumPy number it is no node
    return (gap - logs) / (2 * field.n)


def recover(field: Field, M: Any, y: mx.array) -> np.ndarray:
    """Logarithms of the parameters that make y likeliest."""
    slope = mx.value_and_grad(lambda logarithms: misfit(field, M, y, logarithms))

    def at(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        value, g = slope(mx.array(logarithms, dtype=mx.float64))
        if sys.stderr.isatty():
            print(f"\rmisfit {float(value):.6f}", end="", file=sys.stderr, flush=True)
        return float(value), np.array(g)

    found = scipy.optimize.minimize(at, np.zeros(3), jac=True, method="L-BFGS-B", options={"ftol": 1e-10})
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"{found.nfev} likelihoods with their gradients")
    return np.asarray(found.x)


def draw(file: str, side: int, fields: dict[str, np.ndarray]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(fields), figsize=(4 * len(fields), 3.4))
    for axis, (name, values) in zip(axes, fields.items(), strict=True):
        figure.colorbar(axis.imshow(values.reshape(side, side)), ax=axis)
        axis.set_title(name)
    figure.tight_layout()
    figure.savefig(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=100)
    parser.add_argument("--picture", metavar="FILE")
    options = parser.parse_args()
    sp.use_cpu()  # float64, which no GPU has
    field, rng = Field(options.side), np.random.default_rng(0)
    kappa2, tau, s = TRUTH.values()
    x = sp.linalg.cholesky(field.prior(kappa2, tau)).sample(rng.standard_normal(field.n))
    seen = rng.random(field.n) < 0.75
    y = np.where(seen, x + rng.standard_normal(field.n) / np.sqrt(s), 0)
    start = time.perf_counter()
    logarithms = recover(field, sp.diags_array(seen.astype(float), format="csc"), mx.array(y, dtype=mx.float64))
    errors = logarithms - np.log(list(TRUTH.values()))
    for (name, truth), logarithm, error in zip(TRUTH.items(), logarithms, errors, strict=True):
        print(f"{name:<16} {truth:6.2f}, found {np.exp(logarithm):6.2f}, logarithms differ by {error:+.3f}")
    print(f"{field.n} nodes, {time.perf_counter() - start:.1f} s")
    if options.picture:
        M = sp.diags_array(seen * np.exp(logarithms[2]), format="csc")
        mean = sp.linalg.cholesky(field.prior(*np.exp(logarithms[:2])) + M).solve(np.exp(logarithms[2]) * y)
        draw(options.picture, options.side, {"field": x, "observed": np.where(seen, y, np.nan), "expected": mean})
    return 0 if abs(errors).max() < WITHIN else 1


if __name__ == "__main__":
    sys.exit(main())

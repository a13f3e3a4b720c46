"""Learn the two factions of Zachary's karate club from four labelled members, with a two-layer graph convolution.

A graph convolution (Kipf and Welling 2017) multiplies features by the normalised adjacency matrix of the graph, here a
`csr_array`, between two dense layers.
Needs: pip install ".[cpu,examples]". Run: python docs/examples/graph_convolution.py
"""

from __future__ import annotations

import argparse
import time

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import networkx
import numpy as np

import mlx_sparse as sp

LABELLED = [0, 1, 32, 33]  # the instructor, the officer, and one member beside each
REQUIRED = 0.9


def load_club() -> tuple[sp.csr_array, np.ndarray]:
    """Adjacency matrix (34, 34) with the number of shared activities as weights, and each member's faction."""
    club = networkx.karate_club_graph()
    edges = [(i, j, w) for i, j, w in club.edges(data="weight")]
    i, j, w = (np.array(column) for column in zip(*edges, strict=True))
    n = club.number_of_nodes()
    A = sp.coo_array((w.astype(np.float32), (i, j)), shape=(n, n)).tocsr()
    return A + A.T, np.array([club.nodes[v]["club"] != "Mr. Hi" for v in range(n)], np.int32)


def normalise(A: sp.csr_array) -> sp.csr_array:
    """D^-1/2 (A + I) D^-1/2 with D the row sums: a smoothing step whose eigenvalues lie in [-1, 1]."""
    A = A + sp.eye_array(A.shape[0], dtype=mx.float32)
    scale = sp.diags_array(mx.rsqrt(A.sum(axis=1)))
    return sp.csr_array(scale @ A @ scale)


class GraphConvolution(nn.Module):
    """Logits = S relu(S X W1 + b1) W2 + b2."""

    def __init__(self, smooth: sp.csr_array, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self._smooth = smooth  # the leading underscore keeps it out of the parameters
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, classes)

    def __call__(self, x: mx.array) -> mx.array:
        hidden = nn.relu(self._smooth @ self.first(x))
        logits: mx.array = self._smooth @ self.second(hidden)
        return logits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    mx.random.seed(options.seed)
    A, faction = load_club()
    S = normalise(A)
    n = A.shape[0]
    print(f"graph: {n} members, {A.nnz // 2} friendships; labelled: {len(LABELLED)}; S: {S.nnz} stored entries")

    model = GraphConvolution(S, n, 16, 2)
    optimizer = mlx.optimizers.Adam(learning_rate=0.02)
    x, labels, labelled = mx.eye(n), mx.array(faction), mx.array(LABELLED)

    def loss(model: GraphConvolution) -> mx.array:
        return nn.losses.cross_entropy(model(x)[labelled], labels[labelled], reduction="mean")

    step = nn.value_and_grad(model, loss)
    unseen = np.setdiff1d(np.arange(n), LABELLED)
    start, accuracy = time.perf_counter(), 0.0
    for epoch in range(1, options.epochs + 1):
        value, gradients = step(model)
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state)
        if epoch % max(1, options.epochs // 10) == 0 or epoch == options.epochs:
            accuracy = np.mean((np.array(mx.argmax(model(x), axis=1)) == faction)[unseen])
            print(f"  epoch {epoch:4}   loss {value.item():.4f}   accuracy on the {len(unseen)} others {accuracy:6.1%}")
    print(f"{options.epochs} epochs in {time.perf_counter() - start:.2f} s")
    if accuracy <= REQUIRED:
        raise SystemExit(f"accuracy {accuracy:.1%} is not above {REQUIRED:.0%}")


if __name__ == "__main__":
    main()

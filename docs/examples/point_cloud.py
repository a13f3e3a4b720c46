"""Classify point clouds of different sizes with a small point-convolution network.

The clouds are noisy samples of five surfaces, turned at random about the vertical axis. A point convolution multiplies
the features of each neighbour with one of K matrices, chosen by where the neighbour lies, and sums at the point: a
matrix-vector product with reduction over the list of neighbours.
Needs: pip install ".[cpu,examples]". Run: python docs/examples/point_cloud.py [--out FILE | --no-plot]
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np

from mlx_sparse.indexed import PointCloudBatch, segment_reduce
from mlx_sparse.indexed import sparse_matrix_vector_multiplication_reduction as mvmr

SHAPES = ["sphere", "cube", "torus", "cylinder", "cone"]
POINTS = (96, 192)  # fewest and most points of a cloud
NOISE = 0.03  # of the coordinates of shapes about two units across
CELLS = 27  # left, middle and right on each axis
REQUIRED = 0.9


# ---- data ----------------------------------------------------------------------------------------------------------


def sample_surface(shape: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """n points about evenly on a surface of about unit radius, shape (n, 3)."""
    angle, u, v = rng.uniform(0, 2 * np.pi, n), rng.uniform(-1, 1, n), rng.uniform(0, 1, n)
    if shape == "sphere":
        ring = np.sqrt(1 - u**2)
        return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), u])
    if shape == "cube":
        x = rng.uniform(-1, 1, (n, 3))
        x[np.arange(n), rng.integers(0, 3, n)] = rng.choice([-1.0, 1.0], n)
        return x
    if shape == "torus":
        around = rng.uniform(0, 2 * np.pi, n)
        ring = 1 + 0.4 * np.cos(around)
        return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), 0.4 * np.sin(around)])
    lid = rng.uniform(0, 1, n) < 0.4
    if shape == "cylinder":  # its side and its two lids
        ring, height = np.where(lid, np.sqrt(v), 1.0), np.where(lid, np.sign(u), u)
    else:  # a cone: its mantle and the disc below
        ring, height = np.sqrt(v), np.where(lid, -1.0, 1 - 2 * np.sqrt(v))
    return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), height])


def make_clouds(count: int, rng: np.random.Generator) -> tuple[PointCloudBatch, mx.array]:
    """`count` clouds of each shape and their labels, shuffled."""
    labels = rng.permutation(np.repeat(np.arange(len(SHAPES)), count))
    clouds = []
    for label in labels:
        x = sample_surface(SHAPES[label], int(rng.integers(*POINTS, endpoint=True)), rng)
        x = x * rng.uniform(0.8, 1.2, 3) + NOISE * rng.standard_normal(x.shape)
        clouds.append(turned(x, rng.uniform(0, 2 * np.pi)).astype(np.float32))
    return PointCloudBatch.from_list(clouds).normalize(), mx.array(labels.astype(np.int32))


def turned(x: Any, angle: float) -> Any:
    c, s = np.cos(angle), np.sin(angle)
    return x @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], x.dtype).T


# ---- model ---------------------------------------------------------------------------------------------------------


class Neighbourhood:
    """Pairs (neighbour, point) within a radius, the kernel cell of each, and one over each point's neighbours."""

    def __init__(self, clouds: PointCloudBatch, radius: float, most: int) -> None:
        A = clouds.neighbors(radius=radius, max_neighbors=most)
        degree = A.indptr[1:] - A.indptr[:-1]
        self.count = clouds.total_points
        self.source = A.indices
        self.target = A.tocoo().coords[0]
        offset = clouds.positions[self.source] - clouds.positions[self.target]
        third = (offset > radius / 4).astype(mx.int32) - (offset < -radius / 4).astype(mx.int32) + 1
        self.cell = third[:, 0] * 9 + third[:, 1] * 3 + third[:, 2]
        self.share = (1 / degree.astype(mx.float32))[:, None]


class PointConvolution(nn.Module):
    """Mean over the neighbours j of W[cell(j)] x[j], in groups of channels; then a dense layer mixes the groups."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        c, m = inputs // groups, outputs // groups
        self.weight = mx.random.normal((CELLS, groups, m, c)) * (2 / c) ** 0.5
        self.mix = nn.Linear(outputs, outputs)

    def __call__(self, x: mx.array, near: Neighbourhood) -> mx.array:
        groups, c = self.weight.shape[1], self.weight.shape[3]
        x = x.reshape(x.shape[0], groups, c)
        y = mvmr(self.weight, near.cell, x, near.source, near.target, near.count, reduction="sorted", validate=False)
        mixed: mx.array = nn.relu(self.mix(y.reshape(near.count, -1) * near.share))
        return mixed


class Classifier(nn.Module):
    """Convolution on all points, maxima over the cells of a grid, convolution on those, mean and maximum per cloud."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fine = PointConvolution(2, 32, 1)
        self.coarse = PointConvolution(32, 64, 4)
        self.head = nn.Linear(128, classes)

    def __call__(self, geometry: Geometry) -> mx.array:
        near, coarse, mapping, far = geometry.near, geometry.coarse, geometry.mapping, geometry.far
        x = self.fine(geometry.features, near)
        x = segment_reduce(x, operation="max", segment_ids=mapping, num_segments=coarse.total_points, validate=False)
        x = self.coarse(x, far)
        return self.head(mx.concatenate([coarse.segment_reduce(x, "mean"), coarse.segment_reduce(x, "max")], axis=1))


class Geometry:
    """What the model needs to know about a batch of clouds besides its weights."""

    def __init__(self, clouds: PointCloudBatch) -> None:
        height = clouds.positions[:, 2:]
        self.features = mx.concatenate([mx.ones_like(height), height], axis=1)
        self.near = Neighbourhood(clouds, 0.35, 16)
        self.coarse, self.mapping = clouds.voxel_downsample(0.25)
        self.far = Neighbourhood(self.coarse, 0.7, 24)


# ---- training ------------------------------------------------------------------------------------------------------


def progress(done: int, total: int) -> None:
    """A bar on a terminal; nothing in a log."""
    if sys.stderr.isatty():
        filled = 30 * done // total
        end = "\r\033[K" if done == total else ""
        print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total}{end}", end="", file=sys.stderr, flush=True)


def train(
    model: Classifier, clouds: PointCloudBatch, labels: mx.array, epochs: int, size: int, rng: np.random.Generator
) -> list[float]:
    """Losses of each epoch."""

    def loss(model: Classifier, geometry: Geometry, labels: mx.array) -> mx.array:
        return nn.losses.cross_entropy(model(geometry), labels, reduction="mean")

    step = nn.value_and_grad(model, loss)
    batches = max(1, len(clouds) // size)
    optimizer = mlx.optimizers.Adam(learning_rate=mlx.optimizers.cosine_decay(5e-3, epochs * batches))
    losses = []
    for epoch in range(1, epochs + 1):
        start, values = time.perf_counter(), []
        parts = np.array_split(rng.permutation(len(clouds)), batches)
        for i, part in enumerate(parts, 1):
            batch = clouds[part]
            batch = batch.with_positions(turned(np.array(batch.positions), rng.uniform(0, 2 * np.pi)))
            value, gradients = step(model, Geometry(batch), labels[mx.array(part)])
            optimizer.update(model, gradients)
            mx.eval(model.parameters(), optimizer.state)
            values.append(value.item())
            progress(i, len(parts))
        losses.append(np.mean(values))
        print(f"  epoch {epoch:3}   loss {losses[-1]:.4f}   {time.perf_counter() - start:.2f} s", flush=True)
    return losses


def predict(model: Classifier, clouds: PointCloudBatch, size: int) -> np.ndarray:
    parts = [clouds[i : i + size] for i in range(0, len(clouds), size)]
    return np.concatenate([np.array(mx.argmax(model(Geometry(part)), axis=1)) for part in parts])


def draw(clouds: PointCloudBatch, labels: np.ndarray, guesses: np.ndarray, losses: list[float], path: str) -> None:
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed: no picture")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(15, 3.2), layout="constrained")
    for i in range(len(SHAPES)):
        which = int(np.flatnonzero(labels == i)[0])
        x = np.array(clouds.get_points(which))
        axes = figure.add_subplot(1, len(SHAPES) + 1, i + 1, projection="3d")
        axes.scatter(*x.T, c=x[:, 2], s=6)
        axes.set(title=f"{SHAPES[i]}, called {SHAPES[guesses[which]]}", xticks=[], yticks=[], zticks=[], aspect="equal")
    axes = figure.add_subplot(1, len(SHAPES) + 1, len(SHAPES) + 1)
    axes.plot(np.arange(1, len(losses) + 1), losses)
    axes.set(xlabel="epoch", ylabel="cross entropy")
    figure.savefig(path, dpi=100)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--train", type=int, default=120, help="clouds of each shape to learn from")
    parser.add_argument("--test", type=int, default=40, help="clouds of each shape to be tested on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="point_cloud.png", help="where the picture goes")
    parser.add_argument("--no-plot", action="store_true")
    options = parser.parse_args()

    mx.random.seed(options.seed)
    rng = np.random.default_rng(options.seed)
    start = time.perf_counter()
    (clouds, labels), (unseen, truth) = (make_clouds(n, rng) for n in (options.train, options.test))
    print(f"train: {clouds}\ntest:  {unseen}")
    first = Geometry(clouds[:32])
    print(
        f"a batch of 32 clouds: {first.near.count} points with {first.near.source.size} neighbours, "
        f"{first.far.count} cells with {first.far.source.size}"
    )
    model = Classifier(len(SHAPES))
    losses = train(model, clouds, labels, options.epochs, 16, rng)
    guesses, true = predict(model, unseen, 32), np.array(truth)
    accuracy = np.mean(guesses == true)
    for i, shape in enumerate(SHAPES):
        print(f"  {shape:<9} {np.mean(guesses[true == i] == i):6.1%}")
    print(f"test accuracy {accuracy:.1%} after {time.perf_counter() - start:.1f} s")
    if not options.no_plot:
        draw(unseen, true, guesses, losses, options.out)
    if accuracy <= REQUIRED:
        raise SystemExit(f"accuracy {accuracy:.1%} is not above {REQUIRED:.0%}")


if __name__ == "__main__":
    main()

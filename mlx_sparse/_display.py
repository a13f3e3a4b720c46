"""Pictures of where entries are: for matplotlib and for notebooks."""

from __future__ import annotations

import html
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense

_THUMBNAIL_BINS, _THUMBNAIL_PIXELS = 24, 120


def current_axes(caller: str) -> Any:
    """matplotlib's current axes, for the method of this name."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f"{caller} needs matplotlib, which is not installed") from error
    return plt.gca()


def shares_of_bins(A: Any, bins: int) -> np.ndarray:
    """Which share of its places is stored, for each of at most `bins` x `bins` tiles of an array of two dimensions.

    Duplicates count each time, up to a share of one. Cost: O(nnz).
    """
    shape = A.shape
    counts = [min(bins, n) for n in shape]
    places = [_dense.view(c).astype(np.int64) for c in A.tocoo()._coords]
    edges = [(np.arange(k + 1) * n + k - 1) // max(k, 1) for k, n in zip(counts, shape, strict=True)]  # first of a tile
    tiles = [x * k // max(n, 1) for x, k, n in zip(places, counts, shape, strict=True)]
    stored = np.bincount(tiles[0] * counts[1] + tiles[1], minlength=counts[0] * counts[1]).reshape(counts)
    return np.minimum(stored / np.outer(*(np.diff(e) for e in edges)), 1.0)


def spy(A: Any, ax: Any, bins: int, **options: Any) -> Any:
    """`spy` of arrays and matrices."""
    if A.ndim != 2:
        raise ValueError(f"spy draws arrays of two dimensions, got {A.ndim}")
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise ValueError(f"bins must be a positive int, got {bins!r}")
    if ax is None:
        ax = current_axes("spy")
    elif not hasattr(ax, "imshow"):
        raise TypeError(f"ax must be matplotlib's Axes, got {type(ax).__name__}")
    rows, columns = A.shape
    shares = shares_of_bins(A, int(bins))
    image = np.sqrt(shares)  # few entries in a tile of many places would not be seen
    drawn = {"cmap": "Greys", "vmin": 0, "vmax": image.max(initial=0) or 1, "interpolation": "nearest", **options}
    ax.imshow(image, extent=(-0.5, columns - 0.5, rows - 0.5, -0.5), **drawn)
    ax.xaxis.tick_top()
    return ax


def html_of(A: Any) -> str:
    """What notebooks show of a sparse array: its properties and a picture of where its entries are."""
    size = float(np.prod([float(n) for n in A.shape]))
    dtype = str(A.dtype).replace("mlx.core.", "")
    rows = {
        "format": A.format,
        "shape": " × ".join(map(str, A.shape)),
        "dtype": dtype,
        "stored entries": f"{A.nnz:,}",
        "density": f"{A.nnz / size:.3g}" if size else "none",
        "memory": _bytes(A),
        "device": str(mx.default_device()),
    }
    cells = "".join(f"<tr><th style='text-align:left'>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in rows.items())
    picture = f"<td>{_thumbnail(A)}</td>" if A.ndim == 2 and size else ""
    return f"<table><tr><td><table>{cells}</table></td>{picture}</tr></table>"


def _bytes(A: Any) -> str:
    held = [x for value in vars(A).values() for x in (value if isinstance(value, tuple) else (value,))]
    used: float = sum(x.nbytes for x in held if isinstance(x, mx.array | np.ndarray))
    for unit in ("B", "kB", "MB"):
        if used < 1000:
            return f"{used:.3g} {unit}"
        used /= 1000
    return f"{used:.3g} GB"


def _thumbnail(A: Any) -> str:
    shares = shares_of_bins(A, _THUMBNAIL_BINS)
    rows, columns = A.shape
    unit = _THUMBNAIL_PIXELS / max(rows, columns)
    width, height = (max(4.0, unit * n) for n in (columns, rows))
    w, h = width / shares.shape[1], height / shares.shape[0]
    size = f"width='{w:.1f}' height='{h:.1f}'"
    tiles = "".join(
        f"<rect x='{j * w:.1f}' y='{i * h:.1f}' {size} fill-opacity='{shares[i, j] ** 0.5:.2f}'/>"
        for i, j in np.argwhere(shares)
    )
    frame = f"<rect width='{width:.1f}' height='{height:.1f}' fill='none' stroke='currentColor'/>"
    return f"<svg width='{width:.0f}' height='{height:.0f}' fill='currentColor'>{tiles}{frame}</svg>"

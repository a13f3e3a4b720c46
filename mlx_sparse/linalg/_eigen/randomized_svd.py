"""Approximate singular values and vectors from a few products with random blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from .._operator import as_operator
from .._problem import refuse_traced, workers
from ._problem import integer
from .svds import Sides, adjoint


def randomized_svd(A: Any, k: int = 6, *, oversampling: int = 10, iterations: int = 2, rng: Any = None) -> Any:
    """The largest singular values and vectors of `A`, approximately, from few products with blocks.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array or LinearOperator, shape (m, n)
        An operator must have products with its adjoint as well.
    k : int
        How many, at most ``min(m, n)``.
    oversampling : int
        Columns of the random block beyond k.
    iterations : int
        Power iterations, each a product with A^H and one with A, which make the result more accurate.
    rng : numpy.random.Generator or seed, optional
        For the random block.

    Returns
    -------
    u : array, shape (m, k)
    s : array, shape (k,)
        Ascending, as those of `svds`, and none larger than the true one.
    vh : array, shape (k, n)
        In the namespace of a dense `A`, else as the results of `svds`.

    Raises
    ------
    TypeError
        `A` is no operator.
    ValueError
        k, `oversampling` or `iterations` is out of range, or `A` is traced: `svds` has derivatives.

    Notes
    -----
    N. Halko, P.-G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review 53 (2011), algorithm 4.4
    with 5.1. ``2 (iterations + 1)`` products with blocks of k + oversampling columns and as many QR factorisations on
    the host. The error of the approximation is near the next singular value s[k + 1], for values that fall slowly by a
    factor that power iterations bring to 1; nothing tests it.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array(0.5 ** np.arange(40.0), format="csr")
    >>> u, s, vh = sp.linalg.randomized_svd(A, k=3, rng=0)
    >>> s.round(6)
    array([0.25, 0.5, 1], dtype=float64)
    """
    shape = as_operator(A).shape
    if len(shape) != 2:
        raise ValueError(f"expected a matrix; got shape {shape}")
    refuse_traced(as_operator(A), "randomized_svd")
    sides = Sides(A, None)
    k, oversampling, iterations = (
        integer("k", k),
        integer("oversampling", oversampling),
        integer("iterations", iterations),
    )
    if not 0 < k <= sides.n:
        raise ValueError(f"k must be positive and at most {sides.n}; got {k}")
    if oversampling < 0 or iterations < 0:
        raise ValueError(f"oversampling and iterations must not be negative; got {oversampling} and {iterations}")
    columns = min(k + oversampling, sides.n)
    rng = np.random.default_rng(rng)
    with workers():
        block = rng.standard_normal((sides.n, columns))
        if not sides.real:
            block = block + 1j * rng.standard_normal(block.shape)
        Q, _ = np.linalg.qr(sides.forth(block.astype(sides.dtype)))
        for _ in range(iterations):  # factored in between, or all columns would become the first vector
            P, _ = np.linalg.qr(sides.adjoint(Q))
            Q, _ = np.linalg.qr(sides.forth(P))
        projected = sides.adjoint(Q)
    if not np.isfinite(projected).all():
        raise ValueError("the operator gave values that are not finite")
    v, s, wh = scipy.linalg.svd(projected, full_matrices=False)
    u, s, v = (Q @ wh.conj().T)[:, :k][:, ::-1], s[:k][::-1], v[:, :k][:, ::-1]
    left, right = (v, u) if sides.flipped else (u, v)
    return sides.finish(left), sides.finish(s), sides.finish(adjoint(right))

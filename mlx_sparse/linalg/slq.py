"""Traces of functions of a Hermitian operator, its density of states and its determinant, by random vectors.

Stochastic Lanczos quadrature: for a random vector z with elements of modulus 1, z^H f(A) z is the trace of f(A) on
average, and some steps of Lanczos from z give a Gauss quadrature of it. S. Ubaru, J. Chen and Y. Saad, Fast estimation
of tr(f(A)) via stochastic Lanczos quadrature, SIAM J. Matrix Anal. Appl. 38 (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from .. import _dense
from ._eigen._problem import Front, integer
from ._eigen._restart import Task
from ._operator import as_operator
from ._problem import refuse_traced, require_square, workers

__all__ = ["slogdet", "spectral_density", "trace"]


def trace(
    f: Callable[[np.ndarray], np.ndarray], A: Any, *, samples: int = 30, steps: int = 40, rng: Any = None
) -> tuple[Any, Any]:
    """The trace of f(A), and the standard error of this estimate.

    Parameters
    ----------
    f : callable
        Takes an ndarray of eigenvalues and gives as many numbers.
    A : sparse array, ndarray, mx.array or LinearOperator, shape (n, n)
        Real symmetric or complex Hermitian.
    samples : int
        Random vectors, at least 2.
    steps : int
        Steps of Lanczos from each, at most n are made. A smooth f needs few.
    rng : numpy.random.Generator or seed, optional

    Returns
    -------
    estimate, error : 0-d arrays
        In the namespace of a dense `A`, else as the results of `eigsh`. The error falls with the root of `samples`; it
        is that of sampling alone, and 0 for an f(A) that is diagonal.

    Raises
    ------
    TypeError
        `A` is no operator.
    ValueError
        `A` is not square or traced, a number is out of range, or f gives something that is not finite.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(100, 100))
    >>> estimate, error = sp.linalg.slq.trace(np.exp, A, rng=0)
    >>> exact = np.exp(2 - 2 * np.cos(np.pi * np.arange(1, 101) / 101)).sum()
    >>> bool(abs(estimate.item() - exact) < 5 * error.item())
    True
    """
    front, nodes, weights = _quadrature(A, samples, steps, rng)
    values = [_values(f, w) @ tau for w, tau in zip(nodes, weights, strict=True)]
    found = front.n * np.array(values)
    error = found.std(ddof=1) / np.sqrt(len(found))
    return _scalar(front, found.mean()), _scalar(front, error)


def slogdet(A: Any, *, samples: int = 30, steps: int = 60, rng: Any = None) -> tuple[Any, Any, Any]:
    """The sign of the determinant of a positive definite `A`, which is 1, its logarithm and the standard error of that.

    Parameters
    ----------
    A, samples, steps, rng
        As for `trace`; `A` is positive definite.

    Returns
    -------
    sign, logarithm, error : 0-d arrays

    Raises
    ------
    TypeError, ValueError
        As of `trace`; also where a quadrature has a node that is not positive: then `A` is not positive definite.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(200, 200))
    >>> sign, logarithm, error = sp.linalg.slq.slogdet(A, rng=0)
    >>> bool(abs(logarithm.item() - np.linalg.slogdet(A.toarray())[1]) < 5 * error.item())
    True
    """

    def logarithm(w: np.ndarray) -> np.ndarray:
        if (w <= 0).any():
            raise ValueError(f"A is not positive definite: it has an eigenvalue near or below {w.min():.3g}")
        return np.log(w)

    found = trace(logarithm, A, samples=samples, steps=steps, rng=rng)
    return (found[0] * 0 + 1, *found)


def spectral_density(
    A: Any, points: Any, *, width: float | None = None, samples: int = 30, steps: int = 60, rng: Any = None
) -> Any:
    """The density of the eigenvalues of `A` at `points`, smoothed by Gaussians; its integral is 1.

    Parameters
    ----------
    A, samples, steps, rng
        As for `trace`.
    points : array_like, shape (m,)
        Real numbers.
    width : float, optional
        Standard deviation of the Gaussians. Default: the range of the eigenvalues over `steps`.

    Returns
    -------
    array, shape (m,)

    Raises
    ------
    TypeError, ValueError
        As of `trace`; also for a `width` that is not positive.

    Notes
    -----
    L. Lin, Y. Saad and C. Yang, Approximating spectral densities of large matrices, SIAM Review 58 (2016).

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(300, 300))
    >>> x = np.linspace(-1, 5, 601)
    >>> density = np.asarray(sp.linalg.slq.spectral_density(A, x, rng=0))
    >>> bool(abs(density.sum() * 0.01 - 1) < 1e-3)
    True
    """
    for given, name in ((points, "points"), (width, "width")):
        refuse_traced(given, f"a density with respect to {name}")
    x = np.asarray(_dense.as_dense(points), dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"points must be a vector of finite numbers; got shape {x.shape}")
    front, nodes, weights = _quadrature(A, samples, steps, rng)
    every, tau = np.concatenate(nodes), np.concatenate(weights) / len(nodes)
    if width is None:
        width = max(float(np.ptp(every)) / max(len(nodes[0]), 2), 1e-12 * max(float(np.abs(every).max()), 1.0))
    if not width > 0:
        raise ValueError(f"width must be positive; got {width!r}")
    bells = np.exp(-0.5 * ((x[:, None] - every) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return front.finish((bells @ tau).astype(np.finfo(front.dtype).dtype))


def _quadrature(A: Any, samples: Any, steps: Any, rng: Any) -> tuple[Front, list[np.ndarray], list[np.ndarray]]:
    """Nodes and weights of each sample; weights sum to 1."""
    n = require_square(as_operator(A))
    refuse_traced(as_operator(A), "stochastic Lanczos quadrature")
    samples, steps = integer("samples", samples), integer("steps", steps)
    if samples < 2 or steps < 1 or n == 0:
        raise ValueError(
            f"samples must be at least 2, steps at least 1, and A have rows; got {samples}, {steps} and {n}"
        )
    front = Front(A, None, None, host_only=False)
    steps, rng = min(steps, n), np.random.default_rng(rng)
    product = front.product(front.A)
    nodes, weights = [], []
    with workers():
        basis = front.basis(Task(0, "LM", steps, 1, 0.0, True, True), lambda v, bv: product(v), None, rng)
        for _ in range(samples):
            z = rng.choice([-1.0, 1.0], n)
            if front.dtype.kind == "c":
                z = np.exp(2j * np.pi * rng.random(n))
            basis.H[:] = 0
            basis.put(0, basis.array(z))
            m = basis.expand(0, steps)
            w, s = scipy.linalg.eigh_tridiagonal(np.diag(basis.H)[:m].real, np.diag(basis.H, -1)[: m - 1].real)
            nodes.append(w)
            weights.append(s[0] ** 2)
    return front, nodes, weights


def _values(f: Callable[[np.ndarray], np.ndarray], w: np.ndarray) -> np.ndarray:
    found = np.asarray(f(w))
    if found.shape != w.shape or not np.isfinite(found).all():
        raise ValueError("f must give as many finite numbers as it gets")
    return found


def _scalar(front: Front, x: Any) -> Any:
    real = np.finfo(front.dtype).dtype
    return front.finish(np.asarray(x).astype(np.promote_types(real, np.complex64) if np.iscomplexobj(x) else real))

"""The Lanczos factorisation itself."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes
from .._operator import as_operator, constant, is_traced
from .._problem import require_square, workers
from ._problem import Front, integer
from ._restart import Task


def lanczos(A: Any, k: int, *, v0: Any = None, reorthogonalize: bool = True, return_basis: bool = True) -> Any:
    """Orthonormal Q with ``A Q = Q T + beta q e^H``, T tridiagonal: k steps of Lanczos for a Hermitian `A`.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array or LinearOperator, shape (n, n)
        Real symmetric or complex Hermitian.
    k : int
        Steps, at most n.
    v0 : ndarray or mx.array, shape (n,), optional
        First vector. Default: one that is always the same.
    reorthogonalize : bool
        Against all vectors before. Else by the three-term recurrence alone, which loses orthogonality once an
        eigenvalue has converged, and keeps no vectors where `return_basis` is False.
    return_basis : bool

    Returns
    -------
    alphas : array, shape (m,)
        The diagonal of T, for the m <= k steps made: fewer where they span an invariant space.
    betas : array, shape (m,)
        The diagonal below, and last the length of the residual.
    Q : array, shape (n, m)
        All are in the namespace of `v0`, or else as the results of `eigsh`.

    Raises
    ------
    TypeError
        `A` is no operator, or the dtype of an `mx.array` `v0` is another one.
    ValueError
        `A` is not square, k is out of range, or `v0` is zero or of another shape. `A` or `v0` is traced, and vectors
        span an invariant space after less than n steps: the length of a residual that vanishes has no derivative.

    Notes
    -----
    C. Lanczos, J. Res. Nat. Bur. Standards 45 (1950). A step costs a product with `A`, and with orthogonalisation
    about ``4 n j`` operations for the j-th.

    Where `A` or `v0` is traced, the same steps are made again by differentiable operations: all results have
    derivatives of any order with respect to the values of `A` and to `v0`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
    >>> alphas, betas, Q = sp.linalg.lanczos(A, 3, v0=np.ones(5))
    >>> T = np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1)
    >>> bool(np.allclose(Q.T @ (A @ Q), T))
    True
    """
    n = require_square(as_operator(A))
    k = integer("k", k)
    if not 0 < k <= n:
        raise ValueError(f"k must be positive and at most {n}; got {k}")
    front = Front(A, None, v0, host_only=False)
    product = front.product(front.A)
    keep = reorthogonalize or return_basis
    task = Task(0, "LM", k if keep else 1, 1, 0.0, True, front.dtype.kind != "c")
    with workers():
        basis = front.basis(task, lambda v, bv: product(v), None, np.random.default_rng(0))
        known: Any = front.v0
        if v0 is not None and not np.any(_dense.view(constant(known)) if _dense.is_mlx(known) else known):
            raise ValueError("v0 must not be zero")
        front.start(basis)
        if reorthogonalize:
            m = basis.expand(0, k)
            alphas, betas = np.diag(basis.H)[:m].real, np.diag(basis.H, -1)[:m].real
        else:
            alphas, betas = _recurrence(basis, k, return_basis)
        if front.traced or is_traced(front.v0):
            return _traced(front, basis, k, len(alphas), betas, reorthogonalize)[: 2 + bool(return_basis)]
        real = np.finfo(front.dtype).dtype
        made = (front.finish(alphas.astype(real)), front.finish(betas.astype(real)))
        if not return_basis:
            return made
        return (*made, front.finish(basis.combine(0, np.eye(len(alphas), dtype=basis.dtype)).T))


def _traced(front: Front, basis: Any, k: int, made: int, betas: np.ndarray, again: bool) -> tuple[Any, Any, Any]:
    """The `made` steps as a graph, which no value decides anything in."""
    n, dtype = front.n, front.mlx_dtype
    if made < k or betas[-1] <= 8 * basis.eps * basis.scale and made < n:
        raise ValueError(f"lanczos spans an invariant space after {made} steps, where the last beta has no derivative")
    product = front.A.device(dtype)
    start = basis.V[0] if front.v0 is None else _dense.to_mlx(front.v0, dtype).reshape(-1)
    v = _dense.to_mlx(start, dtype)
    v = v / mx.linalg.norm(v)
    rows: list[mx.array] = []
    alphas: list[mx.array] = []
    lengths: list[mx.array] = []
    for j in range(made):
        rows.append(v)
        w = product(v)
        alphas.append(mx.sum(mx.real(mx.conj(v) * w)))
        w = w - alphas[-1].astype(dtype) * v - (lengths[-1].astype(dtype) * rows[-2] if j else 0)
        for _ in range(2 if again else 0):
            V = mx.stack(rows)
            w = w - (mx.conj(V) @ w) @ V
        # After n steps nothing is left, whatever the values are.
        lengths.append(mx.linalg.norm(w) if j + 1 < n else mx.zeros((), _dtypes.mlx_dtype(np.finfo(front.dtype).dtype)))
        v = w / lengths[-1].astype(dtype) if j + 1 < made else w
    finish = front.finish
    return finish(mx.stack(alphas)), finish(mx.stack(lengths)), finish(mx.stack(rows, axis=1))


def _recurrence(basis: Any, k: int, keep: bool) -> tuple[np.ndarray, np.ndarray]:
    step = basis.recurrence(0, keep=keep)
    pairs: list[tuple[float, float]] = []
    for _ in range(k):
        pairs += step(1)
        basis.scale = max(basis.scale, *map(abs, pairs[-1]))
        if pairs[-1][1] <= 8 * basis.eps * basis.scale:
            pairs[-1] = (pairs[-1][0], 0.0)
            break
    found = np.array(pairs)
    return found[:, 0], found[:, 1]

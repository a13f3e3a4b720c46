"""The Lanczos factorisation itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._operator import as_operator
from .._problem import refuse_traced, require_square, workers
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
        `A` is not square or traced, k is out of range, or `v0` is zero or of another shape.

    Notes
    -----
    C. Lanczos, J. Res. Nat. Bur. Standards 45 (1950). A step costs a product with `A`, and with orthogonalisation
    about ``4 n j`` operations for the j-th.

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
    refuse_traced(as_operator(A), "lanczos")
    refuse_traced(v0, "lanczos")
    k = integer("k", k)
    if not 0 < k <= n:
        raise ValueError(f"k must be positive and at most {n}; got {k}")
    front = Front(A, None, v0, host_only=False)
    product = front.product(front.A)
    keep = reorthogonalize or return_basis
    task = Task(0, "LM", k if keep else 1, 1, 0.0, True, front.dtype.kind != "c")
    with workers():
        basis = front.basis(task, lambda v, bv: product(v), None, np.random.default_rng(0))
        if v0 is not None and not np.any(np.asarray(front.v0)):
            raise ValueError("v0 must not be zero")
        front.start(basis)
        if reorthogonalize:
            m = basis.expand(0, k)
            alphas, betas = np.diag(basis.H)[:m].real, np.diag(basis.H, -1)[:m].real
        else:
            alphas, betas = _recurrence(basis, k, return_basis)
        real = np.finfo(front.dtype).dtype
        made = (front.finish(alphas.astype(real)), front.finish(betas.astype(real)))
        if not return_basis:
            return made
        return (*made, front.finish(basis.combine(0, np.eye(len(alphas), dtype=basis.dtype)).T))


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

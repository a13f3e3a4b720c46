"""An estimate of the 1-norm of a matrix that is known by its products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _dense
from ..._base import issparse
from .._estimate import estimate
from .._operator import Product, as_operator
from .._problem import refuse_traced, require_square


def onenormest(A: Any, t: int = 2, itmax: int = 5, compute_v: bool = False, compute_w: bool = False) -> Any:
    """A lower bound of the 1-norm of `A`, rarely off by more than a factor of 3 and often exact. Synchronises.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array or LinearOperator, shape (n, n)
        An operator must have products with its adjoint as well.
    t : int
        Number of columns that are looked at together: more take more time and give a better bound. The norm is exact
        for ``t >= n``.
    itmax : int
        Most iterations, at least 2.
    compute_v, compute_w : bool
        Whether to give v and w as well.

    Returns
    -------
    est : float
    v : ndarray, shape (n,), optional
        Of 1-norm one, with ``norm(A @ v, 1) == est``.
    w : ndarray, shape (n,), optional
        ``A @ v``.
        For a sparse or `mx.array` `A` dense results are in the namespace of `runtime.dense_namespace`.

    Raises
    ------
    ValueError
        `A` is not square or has no rows, or `t` or `itmax` is too small.

    Notes
    -----
    Algorithm 2.4 of N. J. Higham and F. Tisseur, A block algorithm for matrix 1-norm estimation, SIAM J. Matrix Anal.
    Appl. 21 (2000): about 4 t products with A and its adjoint.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csc_array([[1.0, 0.0, 0.0], [5.0, 8.0, 2.0], [0.0, -1.0, 0.0]])
    >>> float(sp.linalg.onenormest(A))
    9.0

    Differences from SciPy
    ----------------------
    The random columns are the same in every call, so that results can be repeated.
    """
    n = require_square(A)
    if n == 0:
        raise ValueError("an operator without rows has no norm to estimate")
    if t < 1:
        raise ValueError(f"t must be at least 1; got {t}")
    if itmax < 2:
        raise ValueError(f"itmax must be at least 2; got {itmax}")
    refuse_traced(A, "an estimate of its norm")
    apply, adjoint = products(A)
    est, v, w = estimate(apply, adjoint, n, t, itmax)
    results: list[Any] = [est] + [v] * bool(compute_v) + [w] * bool(compute_w)
    if issparse(A) or _dense.is_mlx(A):
        results = [_dense.in_namespace(_dense.to_mlx(x)) for x in results]
    return tuple(results) if len(results) > 1 else results[0]


def products(A: Any) -> tuple[Product, Product]:
    """X -> A X and X -> A^H X over ndarrays of shape (n, k), in double precision where `A` and the device have it."""
    A = as_operator(A)
    dtype = np.promote_types(A.dtype, np.float64) if A.explicit and A.dtype is not None else None
    return A.host(dtype), A.H.host(dtype)

"""Conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense
from .._interface import System, make_system, workers

_BLOCK = 8192  # vectors are updated in blocks that stay in cache, too short for BLAS to wake threads of its own
Callback = Callable[[Any], Any] | None


def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callback = None,
) -> tuple[Any, int]:
    """Solve ``A x = b`` for a Hermitian positive definite `A` by the method of conjugate gradients.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array, LinearOperator or any object with `shape` and `matvec` or ``@``, shape (n, n)
        Hermitian positive definite; this is not checked.
    b : ndarray or mx.array, shape (n,) or (n, 1)
        Right-hand side. Integers become the default float dtype.
    x0 : array_like, shape (n,) or (n, 1), or "Mb", optional
        First guess; "Mb" means ``M @ b``. Default: zero.
    rtol, atol : float
        Iteration stops once ``norm(r) < max(rtol * norm(b), atol)`` for the residual r of the recurrence.
    maxiter : int, optional
        Most iterations. Default: ``10 * n``.
    M : same kinds as `A`, optional
        Approximate inverse of `A`, Hermitian positive definite.
    callback : callable, optional
        ``callback(xk)`` after each iteration. With an ndarray `b`, xk is the array being iterated: copy it to keep it.

    Returns
    -------
    x : ndarray or mx.array, shape (n,)
        In the namespace of `b`.
    info : int
        0 on convergence, else `maxiter`: the tolerance was not reached in so many iterations.

    Raises
    ------
    TypeError
        `A` or `M` is no operator, or `A` and an `mx.array` `b` differ in dtype.
    ValueError
        `A` is not square, another shape does not match it, or `atol` is negative.

    Notes
    -----
    Algorithm 9.1 of Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003. With an ndarray `b` on
    the CPU, vectors are updated in place and no graph is built. With an `mx.array` `b` they stay on the device and
    every iteration is evaluated once, to test convergence; so `cg` cannot stand inside `mx.grad` or `mx.compile`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4))
    >>> x, info = sp.linalg.cg(A, np.ones(4))
    >>> x.round(6), info
    (array([2., 3., 3., 2.]), 0)

    Differences from SciPy
    ----------------------
    complex128 systems with an `A` of this package are solved in complex64; float16 and bfloat16 ones in float32.
    """
    if atol is None or isinstance(atol, str) or atol < 0:
        raise ValueError(f"atol must be a real, non-negative number; got {atol!r}")
    system = make_system(A, M, x0, b)
    on_device = _dense.is_mlx(system.b)
    b_norm = float(_dense.view(mx.linalg.norm(system.b)) if on_device else np.linalg.norm(system.b))
    if b_norm == 0:
        return system.finish(mx.zeros_like(system.b) if on_device else np.zeros_like(system.b)), 0
    limit = 10 * system.b.shape[0] if maxiter is None else maxiter
    solve = _iterate_on_device if on_device else _iterate_on_host
    with workers():
        x, info = solve(system, max(float(atol), float(rtol) * b_norm), limit, callback)
    return system.finish(x), info


def _iterate_on_host(system: System, tolerance: float, maxiter: int, callback: Callback) -> tuple[np.ndarray, int]:
    matvec, psolve, b, x = system.matvec, system.psolve, system.b, system.x
    r = b.copy()
    if x is None:
        x = np.zeros_like(b)
    elif x.any():
        r -= matvec(x)
    dot = np.vdot if np.iscomplexobj(r) else np.dot
    p, scratch = np.zeros_like(r), np.empty_like(r[:_BLOCK])
    rho_before: Any = None
    parts = [slice(at, at + _BLOCK) for at in range(0, len(r), _BLOCK)]
    blocks = [(part, x[part], r[part], p[part], scratch[: len(r[part])]) for part in parts]
    square = sum(dot(rk, rk) for _, _, rk, _, _ in blocks)
    for _ in range(maxiter):
        if np.sqrt(square.real) < tolerance:
            return x, 0
        z, rho = r, square
        if psolve is not None:
            z = psolve(r)
            rho = sum(dot(rk, z[part]) for part, _, rk, _, _ in blocks)
        beta = 0 if rho_before is None else rho / rho_before
        for part, _, _, pk, _ in blocks:
            pk *= beta
            pk += z[part]
        q = matvec(p)
        alpha = rho / sum(dot(pk, q[part]) for part, _, _, pk, _ in blocks)
        square = 0
        for part, xk, rk, pk, t in blocks:
            xk += np.multiply(pk, alpha, out=t)
            rk -= np.multiply(q[part], alpha, out=t)
            square += dot(rk, rk)
        rho_before = rho
        if callback:
            callback(x)
    return x, maxiter


def _iterate_on_device(system: System, tolerance: float, maxiter: int, callback: Callback) -> tuple[mx.array, int]:
    matvec, psolve, b, x = system.matvec, system.psolve, system.b, system.x
    r = b if x is None else b - matvec(x)
    x = mx.zeros_like(b) if x is None else x
    p: Any = None
    rho_before: Any = None
    square = _dot(r, r)
    for _ in range(maxiter):
        if float(_dense.view(mx.real(square))) ** 0.5 < tolerance:
            return x, 0
        z, rho = (r, square) if psolve is None else _preconditioned(psolve, r)
        p = z if p is None else z + (rho / rho_before) * p
        q = matvec(p)
        alpha = rho / _dot(p, q)
        x = x + alpha * p
        r = r - alpha * q
        square, rho_before = _dot(r, r), rho
        mx.eval(x, r, p, rho, square)
        if callback:
            callback(system.finish(x))
    return x, maxiter


def _preconditioned(psolve: Callable[[Any], Any], r: mx.array) -> tuple[mx.array, mx.array]:
    z = psolve(r)
    return z, _dot(r, z)


def _dot(a: mx.array, b: mx.array) -> mx.array:
    return mx.sum((mx.conj(a) if a.dtype == mx.complex64 else a) * b)

"""Derivatives of eigenvalues and eigenvectors with respect to the values of A and M in A x = w M x, A and M Hermitian.

With orthonormal vectors X of the eigenvalues w, in the inner product of M: dw = X^H (dA - w dM) X on the diagonal, and
dX = -R (dA - w dM) X - X (X^H dM X) / 2, where R is for each column the inverse of A - w M on what is orthogonal to the
vectors of that eigenvalue. Between vectors of one eigenvalue R is zero: what depends on the space that they span, and
not on a choice of a basis there, has this derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes
from .._interface import LinearOperator
from .._krylov.minres import minres
from .._operator import Operator, constant, is_traced, refusing
from .._solve import tangents_of

Values = Sequence[mx.array]
Product = Callable[[Values, mx.array], mx.array]  # (values, X) -> the operator with these values times X


@dataclass
class Pencil:
    """A and M as functions of their values, and linear ones of X; M is None for the identity."""

    A: Product
    values: Values
    M: Product | None = None
    mass: Values = ()

    def with_values(self, both: Values) -> Pencil:
        return Pencil(self.A, both[: len(self.values)], self.M, both[len(self.values) :])


def of_operators(A: Operator, M: Operator | None, dtype: mx.Dtype) -> Pencil:
    def product(B: Operator) -> Product:
        return lambda values, X: B.with_values(values).device(dtype)(X)

    return Pencil(product(A), A.values) if M is None else Pencil(product(A), A.values, product(M), M.values)


def differentiable(pencil: Pencil, w: mx.array, X: mx.array) -> tuple[mx.array, mx.array]:
    """`w`, shape (k,), and `X`, shape (n, k), as functions of the values of the pencil.

    A cotangent of `X` costs a solve by `minres` for each column. `w` has derivatives of any order, `X` first ones.
    """

    def pull(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, ...]:
        nothing, *both = primals
        gw, gX = cotangents
        here = pencil.with_values(both)
        w_, X_ = differentiable(here, w, X) if is_traced(*both) else (w, X)
        G = X_ * gw.astype(w.dtype)
        H = mx.zeros_like(X)
        if np.any(_dense.view(constant(gX))):
            Z, H = _solved(here, w, X, gX, check=True)
            G = G - Z
        pulled = [nothing]
        if here.values:
            pulled += mx.vjp(lambda *v: here.A(v, X_), list(here.values), [G])[1]
        if here.M is not None and here.mass:
            M = here.M
            pulled += mx.vjp(lambda *v: M(v, X_), list(here.mass), [-G * w_ - H])[1]
        return tuple(pulled)

    def push(primals: Any, tangents: Any) -> tuple[mx.array, mx.array]:
        (_, *both), (_, *changes) = primals, tangents
        here, by = pencil.with_values(both), pencil.with_values(changes)
        w_, X_ = differentiable(here, w, X) if is_traced(*both) else (w, X)
        change, shift = mx.zeros_like(X), None
        if dvalues := tangents_of(here.values, by.values):
            change = mx.jvp(lambda *v: here.A(v, X_), list(here.values), dvalues)[1][0]
        if here.M is not None and (dmass := tangents_of(here.mass, by.mass)):
            M = here.M
            dM = mx.jvp(lambda *v: M(v, X_), list(here.mass), dmass)[1][0]
            change = change - dM * w_
            shift = X @ _within(w, mx.conj(X).T @ dM) / 2
        dw = mx.sum(mx.real(mx.conj(X_) * change), axis=0).astype(w.dtype)
        dX = -_solved(here, w, X, change, check=False)[0]
        return dw, dX if shift is None else dX - shift

    known: Any = mx.custom_function(lambda nothing, *both: (w, X))  # of one argument alone, MLX passes on no tuples
    known.vjp(pull)
    known.jvp(push)
    return known(mx.zeros(0), *pencil.values, *pencil.mass)


def _near(w: mx.array) -> np.ndarray:
    """Which eigenvalues are the same up to rounding."""
    known = np.asarray(_dense.view(w), np.float64)
    eps = float(np.finfo(_dtypes.numpy_dtype(w.dtype)).eps)
    return np.abs(known[:, None] - known[None]) <= 1000 * eps * max(np.abs(known).max(initial=0), eps)


def _within(w: mx.array, S: mx.array) -> mx.array:
    """The Hermitian part of S between vectors of one eigenvalue."""
    return mx.where(mx.array(_near(w)), (S + mx.conj(S).T) / 2, 0).astype(S.dtype)


def _solved(pencil: Pencil, w: mx.array, X: mx.array, G: mx.array, check: bool) -> tuple[mx.array, mx.array]:
    """(R G, X times the Hermitian part of X^H G between vectors of one eigenvalue, halved), as constants that refuse to
    be differentiated again.
    """
    g = constant(G)
    here = pencil.with_values([constant(v) for v in (*pencil.values, *pencil.mass)])
    S = mx.conj(X).T @ g
    near = _near(w)
    if check:
        _check_gauge(near, _dense.view(S))
    gaps = np.asarray(_dense.view(w), np.float64)[:, None] - np.asarray(_dense.view(w), np.float64)[None]
    inverse = np.divide(1, gaps, out=np.zeros_like(gaps), where=~near)
    # between the vectors that are known
    Z = X @ (S * mx.array(inverse.astype(_dtypes.numpy_dtype(w.dtype)), dtype=w.dtype))
    MX = X if here.M is None else here.M(here.mass, X)
    rest = g - MX @ S
    columns = [_column(here, w[i], X, MX, rest[:, i]) for i in range(X.shape[1])]
    found = Z + mx.stack(columns, axis=1)
    shift = X @ _within(w, S) / 2
    sources = (G, *pencil.values, *pencil.mass)
    return once(found, *sources), once(shift, *sources)


def _column(pencil: Pencil, w: mx.array, X: Any, MX: Any, b: mx.array) -> mx.array:
    """y orthogonal to X, by the inner product of M, with (A - w M) y = b up to M X."""
    if not np.any(_dense.view(b)):
        return mx.zeros_like(b)
    A, M = pencil.A, pencil.M

    def aside(y: mx.array) -> mx.array:
        return y - X @ (mx.conj(MX).T @ y)

    def shifted(y: mx.array) -> mx.array:
        y = aside(y)
        z = A(pencil.values, y) - w * (y if M is None else M(pencil.mass, y))
        return z - MX @ (mx.conj(X).T @ z)

    dtype = _dtypes.numpy_dtype(b.dtype)
    operator = LinearOperator((b.size, b.size), shifted, dtype=dtype, xp=mx)
    y, info = minres(operator, b, rtol=4 * float(np.finfo(dtype).eps), maxiter=20 * b.size + 200)
    left = b - shifted(y)
    size, wanted = float(mx.linalg.norm(left)), float(mx.linalg.norm(b))
    if not size <= float(np.finfo(dtype).eps) ** 0.5 * wanted:
        message = (
            "a derivative of eigenvectors is inaccurate: its linear system was not solved, "
            f"with a relative residual of {size / wanted:.1e}; an eigenvalue that is not among the k may be as large"
        )
        warn(message, stacklevel=2)
    return aside(y)


def _check_gauge(near: np.ndarray, S: np.ndarray) -> None:
    """Warn where a cotangent depends on the choice of vectors: of a basis for one eigenvalue, or of complex phases."""
    skew = np.where(near, S - S.conj().T, 0)
    if np.abs(skew).max(initial=0) > 1e-2 * np.abs(S).max(initial=0):
        warn(
            "the function depends on the choice of eigenvectors that are determined up to a rotation only (of an "
            "eigenvalue that is multiple) or up to a phase (complex ones); its derivative ignores that part",
            stacklevel=2,
        )


def once(x: mx.array, *sources: mx.array) -> mx.array:
    """`x`, which raises where its derivative with respect to what it was made of is asked for."""
    why = (
        "eigenvectors, and eigenvalues of what is not Hermitian, have first derivatives only; eigenvalues of Hermitian "
        "operators have those of any order"
    )
    return refusing(x, sources, why)


def differentiable_triplets(
    A: Operator, u: Any, s: Any, v: Any, dtype: mx.Dtype
) -> tuple[mx.array, mx.array, mx.array]:
    """Singular values `s` and vectors, as columns of `u` and `v`, as functions of the values of `A`.

    [u, v] are eigenvectors of [[0, A], [A^H, 0]] for s, and [u, -v] for -s.
    """
    m = A.shape[0]

    def both(values: Values, X: mx.array) -> mx.array:
        B = A.with_values(values)
        return mx.concatenate([B.device(dtype)(X[m:]), B.H.device(dtype)(X[:m])])

    u, s, v = (_dense.to_mlx(x) for x in (u, s, v))
    half = 0.5**0.5
    X = mx.concatenate([mx.concatenate([u, u], axis=1), mx.concatenate([v, -v], axis=1)]) * half
    pencil = Pencil(both, A.values)
    k = s.size
    w, X = differentiable(pencil, mx.concatenate([s, -s]), X.astype(u.dtype))
    X = X[:, :k] * (1 / half)
    return X[:m].astype(u.dtype), w[:k], X[m:].astype(u.dtype)

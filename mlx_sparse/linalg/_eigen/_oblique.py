"""Derivatives of simple eigenvalues and their vectors with respect to the values of A and M in A x = w M x.

With the left vector y of a simple eigenvalue, y^H (A - w M) = 0 and y^H M x = 1: dw = y^H (dA - w dM) x, and
dx = -(I - x x^H) R (dA - w dM) x, where R is the inverse of A - w M between the spaces that y and x leave: the norm of
x is kept at 1, and its phase turns as little as can be.
"""

from __future__ import annotations

from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from ... import _dense
from ..._base import issparse
from .._interface import LinearOperator
from .._krylov.gmres import gmres
from .._operator import Operator, constant
from .._solve import tangents_of
from ._derivatives import Pencil, once
from ._inverse import array

_RESTART = 100  # vectors of gmres, where nothing can be factored


def differentiable(A: Operator, M: Operator | None, pencil: Pencil, w: np.ndarray, X: np.ndarray, real: bool) -> Any:
    """`w`, shape (k,), and `X`, shape (n, k), as complex64 functions of the values of the pencil of A and M.

    `real` says whether these are.

    Derivatives are of first order. Those of an eigenvalue cost a factorisation of a shifted A^H, or `gmres` where there
    are products alone, those of a vector by `mx.jvp` another one of A.
    """
    dtype = np.finfo(X.dtype).dtype if real else X.dtype
    maps = _Map(A), None if M is None else _Map(M)  # now, as no array counts as a constant where derivatives are made
    known = (_dense.to_mlx(w.astype(np.complex64)), _dense.to_mlx(X.astype(np.complex64)))

    def spaces(i: int) -> _Space:
        return _Space(*maps, w[i], X[:, i], dtype)

    def pull(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, ...]:
        nothing, *both = primals
        gw, gX = (_dense.view(constant(g)) for g in cotangents)
        G = np.zeros_like(X)
        for i in np.flatnonzero((gw != 0) | (gX != 0).any(axis=0)):
            space = spaces(int(i))
            g = gX[:, i].astype(X.dtype) if space.x.dtype.kind == "c" else gX[:, i].real.astype(space.x.dtype)
            turned = np.vdot(space.x, g)
            if abs(np.imag(turned)) > 1e-2 * np.linalg.norm(g):
                warn(
                    "the function depends on the phases of eigenvectors; its derivative ignores that part", stacklevel=2
                )
            G[:, i] = gw[i] * space.left
            if g.any():
                G[:, i] -= space.solve(g - space.x * turned, adjoint=True)
        pulled = [nothing]
        for product, values, C in ((pencil.A, pencil.values, G), (pencil.M, pencil.mass, -G * w.conj())):
            if product is not None and values:
                Y, C = (_held(Z, dtype) for Z in (X, C))
                pulled += mx.vjp(lambda *v, f=product, Y=Y: f(v, Y), list(values), [C])[1]
        return tuple(once(g, *both, *cotangents) for g in pulled)

    def push(primals: Any, tangents: Any) -> tuple[mx.array, mx.array]:
        (_, *both), (_, *changes) = primals, tangents
        by = pencil.with_values(changes)
        change = np.zeros_like(X)
        for product, values, moved, scale in (
            (pencil.A, pencil.values, by.values, None),
            (pencil.M, pencil.mass, by.mass, w),
        ):
            if product is not None and (along := tangents_of(values, moved)):
                Y = _held(X, dtype)
                (made,) = mx.jvp(lambda *v, f=product, Y=Y: f(v, Y), list(values), list(map(constant, along)))[1]
                part = _whole(_dense.view(constant(made)), X)
                change += part if scale is None else -part * scale
        dw, dX = np.zeros_like(w), np.zeros_like(X)
        for i in np.flatnonzero(change.any(axis=0)):
            space = spaces(int(i))
            dw[i] = np.vdot(space.left, change[:, i])
            dx = space.solve(change[:, i] if space.x.dtype.kind == "c" else _real(change[:, i]), adjoint=False)
            dX[:, i] = space.x * np.vdot(space.x, dx) - dx
        moved = [t for t in changes if t is not None]
        found = [once(_dense.to_mlx(d.astype(np.complex64)), *both, *moved) for d in (dw, dX)]
        return found[0], found[1]

    made: Any = mx.custom_function(lambda nothing, *both: known)  # of one argument alone, MLX passes on no tuples
    made.vjp(pull)
    made.jvp(push)
    return made(mx.zeros(0), *pencil.values, *pencil.mass)


def _held(Z: np.ndarray, dtype: np.dtype) -> mx.array:
    """Complex columns for products with a real operator: real parts, then imaginary ones."""
    return _dense.to_mlx((Z if dtype.kind == "c" else np.concatenate([Z.real, Z.imag], axis=1)).astype(dtype))


def _whole(Z: np.ndarray, X: np.ndarray) -> np.ndarray:
    k = X.shape[1]
    return Z.astype(X.dtype) if Z.dtype.kind == "c" else (Z[:, :k] + 1j * Z[:, k:]).astype(X.dtype)


class _Map:
    """A or M over ndarrays, as a constant: its entries where these are known, else its products."""

    def __init__(self, A: Operator) -> None:
        self._operator = A.constant().stored()
        self.entries: Any = None
        if self._operator.explicit:
            S: Any = self._operator.operand
            S = array(self._operator) if _dense.is_dense(S) else (S.to_scipy() if hasattr(S, "to_scipy") else S)
            self.entries = S.tocsc() if issparse(S) else S

    def __call__(self, x: np.ndarray, adjoint: bool = False) -> np.ndarray:
        if self.entries is not None:
            return (self.entries.conj().T if adjoint else self.entries) @ x
        product = (self._operator.H if adjoint else self._operator).host()
        if x.dtype.kind == "c" and (self._operator.dtype is None or self._operator.dtype.kind != "c"):
            return np.asarray(product(_real(x))) + 1j * np.asarray(product(np.ascontiguousarray(x.imag)))
        return np.asarray(product(np.ascontiguousarray(x)))


class _Space:
    """One simple eigenpair: its left vector, and the inverse of A - w M between what that and the right one leave.

    Raises
    ------
    ValueError
        The eigenvalue is not simple or, by its condition number, nearly defective; or `gmres` does not converge.
    """

    def __init__(self, A: _Map, M: _Map | None, w: Any, x: np.ndarray, dtype: np.dtype) -> None:
        if dtype.kind != "c" and w.imag == 0 and not x.imag.any():
            w, x = w.real, _real(x)
        self._A, self._M, self._w, self.x = A, M, w, x
        self._eps = float(np.finfo(x.dtype).eps)
        self._Mx = x if M is None else M(x)
        explicit = A.entries is not None and (M is None or M.entries is not None)
        self._solve: Any = self._factored() if explicit else self._bordered
        self.left = self._found() if explicit else self._bordered(np.zeros_like(x), adjoint=True, last=1.0)
        condition = np.linalg.norm(self.left) * np.linalg.norm(self._Mx)
        if not condition <= 0.1 / np.sqrt(self._eps):
            raise ValueError(
                f"the eigenvalue {complex(w):.6g} is nearly defective (its condition number is {condition:.1e}), or "
                "multiple, and has no derivative"
            )

    def solve(self, g: np.ndarray, adjoint: bool) -> np.ndarray:
        """R g, or R^H g; of the dtype of x."""
        x, Mx, y, My = self.x, self._Mx, self.left, self.left if self._M is None else self._M(self.left)
        before, after = ((My, x), (y, Mx)) if adjoint else ((Mx, y), (x, My))
        z = self._solve(g - before[0] * np.vdot(before[1], g), adjoint)
        return z - after[0] * np.vdot(after[1], z)

    def _factored(self) -> Any:
        """(b, adjoint) -> (A - s M)^-1 b, or of the adjoint, for an s next to w, at which the matrix is singular."""
        size = np.linalg.norm(self._A(self.x)) + abs(self._w)
        s = self._w + 8 * self._eps * (size if size else 1.0)
        n = len(self.x)
        A: Any = self._A.entries
        M: Any = None if self._M is None else self._M.entries
        if issparse(A) and (M is None or issparse(M)):
            shifted = (A - s * (scipy.sparse.eye_array(n) if M is None else M)).tocsc()
            lu = scipy.sparse.linalg.splu(shifted.astype(self.x.dtype))
            return lambda b, adjoint: lu.solve(np.ascontiguousarray(b), "H" if adjoint else "N")
        A, M = (_array(X) for X in (A, np.eye(n) if M is None else M))
        factors = scipy.linalg.lu_factor((A - s * M).astype(self.x.dtype))
        return lambda b, adjoint: scipy.linalg.lu_solve(factors, b, 2 if adjoint else 0)

    def _found(self) -> np.ndarray:
        """y with y^H (A - w M) = 0 and y^H M x = 1."""
        Y = np.random.default_rng(0).standard_normal((len(self.x), 2)).astype(self.x.dtype)
        for _ in range(3):  # of inverse iteration
            Y = self._solve(Y, adjoint=True)
            Y = Y / np.linalg.norm(Y, axis=0)
        y, other = Y.T
        if not np.linalg.norm(other - y * np.vdot(y, other)) <= 1e-3:  # they would be the same
            raise ValueError(f"the eigenvalue {complex(self._w):.6g} is multiple, and has no derivative of its own")
        along = np.vdot(self._Mx, y)
        return y / along if along else y * np.inf

    def _bordered(self, b: np.ndarray, adjoint: bool, last: float = 0.0) -> np.ndarray:
        """z with (A - w M) z + t M x = b and x^H z = last; adjoint: of the matrix of this system."""
        n = len(self.x)
        w, column, row = (np.conj(self._w), self.x, self._Mx) if adjoint else (self._w, self._Mx, self.x)

        def product(z: np.ndarray) -> np.ndarray:
            head = z[:n]
            made = self._A(head, adjoint) - w * (head if self._M is None else self._M(head)) + z[n] * column
            return np.append(made, np.vdot(row, head))

        operator = LinearOperator((n + 1, n + 1), product, dtype=self.x.dtype)
        rtol = 100 * self._eps
        z, info = gmres(
            operator,
            np.append(b, last).astype(self.x.dtype),
            rtol=rtol,
            atol=0.0,
            restart=min(n + 1, _RESTART),
            maxiter=50,
        )
        if info != 0:
            raise ValueError(
                f"gmres did not solve for the derivative at the eigenvalue {complex(self._w):.6g}; give a sparse or "
                "dense array, which can be factored, or another problem if the eigenvalue is multiple"
            )
        return z[:n]


def _array(X: Any) -> np.ndarray:
    return X.toarray() if issparse(X) else X


def _real(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.real)

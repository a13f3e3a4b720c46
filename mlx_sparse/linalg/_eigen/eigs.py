"""Eigenvalues and eigenvectors of operators that need not be Hermitian."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from ... import _dense
from .._operator import as_operator
from .._problem import refuse_traced, require_square, workers
from ._derivatives import of_operators
from ._inverse import array, inverse
from ._oblique import differentiable
from ._problem import Front, generator, integer, make_task, no_convergence, operator_norm, refuse_all
from ._restart import Outcome, complete, run

_WHICH = ("LM", "SM", "LR", "SR", "LI", "SI")


def eigs(
    A: Any,
    k: int = 6,
    M: Any = None,
    sigma: Any = None,
    which: str = "LM",
    v0: Any = None,
    ncv: int | None = None,
    maxiter: int | None = None,
    tol: float = 0,
    return_eigenvectors: bool = True,
    Minv: Any = None,
    OPinv: Any = None,
    OPpart: str | None = None,
    rng: Any = None,
) -> Any:
    """Some eigenvalues and eigenvectors of a square `A`: ``A x = w x``, or ``A x = w M x``.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array or LinearOperator, shape (n, n)
    k : int
        How many, less than n - 1.
    M : like `A`, optional
        Hermitian, positive definite; with `sigma` also semidefinite.
    sigma : number, optional
        Find eigenvalues near it, by products with ``(A - sigma M)^-1``. `which` is then about ``1 / (w - sigma)``.
    which : {"LM", "SM", "LR", "SR", "LI", "SI"}
        Largest or smallest magnitudes, real parts or imaginary parts; of a real `A` the magnitudes of the latter.
    v0 : ndarray or mx.array, shape (n,), optional
        First vector. Default: random.
    ncv : int, optional
        Vectors in the basis, more than k + 1. Default: ``max(2 k + 1, 30)``, with `sigma` 20 for 30; n up to n = 64.
    maxiter : int, optional
        Most restarts. Default: ``10 n``.
    tol : float
        Relative accuracy of the eigenvalues; 0 is that of the dtype.
    return_eigenvectors : bool
    Minv, OPinv : like `A`, optional
        As for `eigsh`.
    OPpart : {"r", "i"}, optional
        For a real `A` and a complex `sigma`: iterate the real part of the inverse (default) or the imaginary one.
    rng : numpy.random.Generator or seed, optional
        For random vectors.

    Returns
    -------
    w : array, shape (k,)
        Complex, those asked for most first; of the two of a pair that is the last one only one comes.
    v : array, shape (n, k)
        Columns of norm 1. Both are in the namespace of `v0`, or else of a dense `A`, or else of
        `runtime.dense_namespace`; complex128 is an ndarray in each.

    Raises
    ------
    ArpackNoConvergence
        With what has converged as its `eigenvalues` and `eigenvectors`.
    RuntimeError
        ``A - sigma M`` is singular.
    TypeError
        `A` is no operator; k is n - 1 or more, and `A` not a dense array; the dtype of an `mx.array` `v0` is another.
    ValueError
        Other arguments; `A` is traced and k is n - 1 or more.

    Notes
    -----
    Krylov-Schur: G. W. Stewart, SIAM J. Matrix Anal. Appl. 23 (2001), in real arithmetic for a real `A`. Where vectors
    live and what a restart costs is as for `eigsh`. Copies of multiple eigenvalues that one starting vector does not
    see are looked for as there, by a second iteration orthogonal to what was found, for at most five times as many
    restarts as that took, and 50. An eigenvalue without a full set of vectors is found with the accuracy that it has,
    the root of that of the dtype.

    Derivatives: `w` and `v` have first ones with respect to the values of `A` and `M`, where the eigenvalue is simple:
    those of a real `A` are of real and imaginary parts as functions of real values. They take a factorisation of
    ``A - w M`` for each eigenvalue that the function depends on, or `gmres` where `A` has products alone. Of a vector
    the norm is kept, and its phase turns as little as can be (``x^H dx = 0``); functions that depend on the phase get a
    `UserWarning`. A `ValueError` where an eigenvalue is multiple, or its condition number more than 0.1 over the root
    of the dtype's accuracy, as near a defective matrix. While traced, results are complex64, of float64 too, as MLX
    lacks complex128.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.diag(np.arange(1.0, 7.0)) + np.diag(np.ones(5), 1))
    >>> w, v = sp.linalg.eigs(A, k=2)
    >>> (w.round(10), bool(np.linalg.norm(A @ v - v * w) < 1e-12))
    (array([6.+0.j, 5.+0.j]), True)

    Differences from SciPy
    ----------------------
    Values are ordered as `which` asks, for complex `A` too.
    """
    require_square(as_operator(A), rule="expected square matrix")
    front = Front(A, M, v0, host_only=(M is not None and Minv is None and sigma is None) or sigma is not None)
    k = integer("k", k)
    if k <= 0:
        raise ValueError(f"k={k} must be greater than 0.")
    if k >= front.n - 1:
        for operator in (front.A, front.M):
            if operator is not None:
                refuse_traced(operator, "eigs with k >= n - 1")
        refuse_all(A, M, "eig")
        made = scipy.linalg.eig(
            array(front.A), b=None if front.M is None else array(front.M), right=bool(return_eigenvectors)
        )
        return tuple(map(front.finish, made)) if return_eigenvectors else front.finish(made)
    task = make_task(front, k, which, ncv, maxiter, tol, _WHICH, False, 30 if sigma is None else 20)
    bound = _Bound(front, sigma, Minv, OPinv, OPpart, task.tol)
    with workers():
        basis = front.basis(task, bound.apply, bound.inner, generator(rng))
        front.start(basis)
        found = run(basis, task, 0, k, task.ncv)
        if found.converged:
            found = complete(basis, task, found)
        theta, X = _vectors(basis, found, task)
        X, w, good = bound.judged(theta, X, task.tol)
        if found.converged:
            if not good.all() and bound.inverts:
                X, w, good = bound.judged(theta, bound.purified(X), task.tol)
        else:
            good = (found.residuals <= task.allowed(found.values, basis))[: len(w)]
    w, X = w.astype(_complex(front.dtype)), X.astype(_complex(front.dtype))
    if not good.all():
        raise no_convergence(front, task, found, w[good], X[:, good])
    if front.traced:
        pencil = of_operators(front.A, front.M, front.mlx_dtype)
        w, X = differentiable(front.A, front.M, pencil, w, X, task.real)
    return (front.finish(w), front.finish(X)) if return_eigenvectors else front.finish(w)


def _complex(dtype: np.dtype) -> np.dtype:
    return np.promote_types(dtype, np.complex64)


def _vectors(basis: Any, found: Outcome, task: Any) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues of the leading part of the Schur form, most wanted first, and their vectors as columns."""
    values, Y = np.linalg.eig(basis.H[: found.size, : found.size])
    order = task.order(values.astype(complex))[: task.k]
    if task.real:  # of a pair that is cut, the half with a positive imaginary part
        values, Y = values[order], Y[:, order]
        flip = values.imag[-1] < 0 and not np.isclose(values[:-1], values[-1].conj()).any()
        if flip:
            values[-1], Y[:, -1] = values[-1].conj(), Y[:, -1].conj()
    else:
        values, Y = values[order], Y[:, order]
    rows = basis.combine(0, Y.astype(np.promote_types(Y.dtype, basis.dtype)))
    return values, (_dense.view(rows) if _dense.is_mlx(rows) else rows).T


class _Bound:
    """The operator that is iterated, its inner product, and the way back to A."""

    def __init__(self, front: Front, sigma: Any, Minv: Any, OPinv: Any, OPpart: Any, tol: float) -> None:
        if sigma is None and OPinv is not None:
            raise ValueError("OPinv should not be specified with sigma = None.")
        if sigma is None and OPpart is not None:
            raise ValueError("OPpart should not be specified with sigma = None or complex A")
        if Minv is not None and (sigma is not None or front.M is None):
            raise ValueError("Minv should not be specified when sigma is, or with M = None.")
        self._front, self._sigma, self._direct = front, sigma, True
        A = front.product(front.A)
        constant = front.A.constant()
        mass = None if front.M is None else front.M.constant()
        self.inner = None if front.M is None else front.product(front.M)
        if sigma is None:
            if mass is None:
                self.apply: Any = lambda v, bv: A(v)
            else:
                undo = self._given(Minv) or inverse(mass, None, 0, front.dtype, tol)
                self.apply = lambda v, bv: undo(A(v))
            return
        if np.ndim(sigma) or not np.isfinite(sigma):
            raise ValueError(f"sigma must be a finite number; got {sigma!r}")
        real = front.dtype.kind != "c"
        if OPpart is not None:
            if not real:
                raise ValueError("OPpart should not be specified with sigma=None or complex A")
            if not isinstance(OPpart, str) or OPpart.lower() not in ("r", "i"):
                raise ValueError("OPpart must be one of ('r','i')")
            if OPpart.lower() == "i" and np.imag(sigma) == 0:
                raise ValueError("OPpart cannot be 'i' if sigma is real")
        turned = real and np.imag(sigma) != 0
        sigma = complex(sigma) if np.imag(sigma) != 0 else float(np.real(sigma))
        undo = self._given(OPinv, _complex(front.dtype) if turned else None) or inverse(
            constant, mass, sigma, _complex(front.dtype) if turned else front.dtype, tol
        )
        if turned:
            self._direct = False
            part = np.imag if OPpart is not None and OPpart.lower() == "i" else np.real
            self.apply = lambda v, bv: np.ascontiguousarray(part(undo(bv)))
        else:
            self.apply = lambda v, bv: undo(bv)

    def _given(self, undo: Any, dtype: Any = None) -> Any:
        return None if undo is None else self._front.product(as_operator(undo), dtype)

    @property
    def inverts(self) -> bool:
        """Whether what is iterated is the inverse of A - sigma M, times M."""
        return self._sigma is not None and self._direct

    def purified(self, X: np.ndarray) -> np.ndarray:
        """One step of that: it takes away parts in the null space of M, which the inner product by M does not see."""
        MX = X if self.inner is None else _of_complex(self.inner, X, self._front)
        return np.array([_of_complex(lambda v: self.apply(None, v), x, self._front) for x in MX.T]).T

    def judged(self, theta: np.ndarray, X: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(vectors of norm 1, eigenvalues of A, whether their residuals are small)."""
        front = self._front
        X = X / np.linalg.norm(X, axis=0)
        product = front.product(front.A)
        AX = _of_complex(product, X, front)
        MX = X if self.inner is None else _of_complex(self.inner, X, front)
        if self._sigma is None:
            w = theta
        elif self._direct:
            w = self._sigma + 1 / theta
        else:  # two eigenvalues of A can have one of the real part
            w = (X.conj() * AX).sum(axis=0) / (X.conj() * MX).sum(axis=0)
        scale = operator_norm(front, product) + np.abs(w) * np.linalg.norm(MX, axis=0)
        allowed = np.maximum(np.sqrt(np.finfo(front.dtype).eps) * scale, 10 * tol * np.abs(w))
        return X, w, np.linalg.norm(AX - MX * w, axis=0) <= allowed


def _of_complex(product: Any, X: np.ndarray, front: Front) -> np.ndarray:
    """A X for a complex X, of a real A too."""

    def host(Y: np.ndarray) -> np.ndarray:
        made = product(_dense.to_mlx(Y.astype(front.dtype), front.mlx_dtype) if front.lazy else np.ascontiguousarray(Y))
        return _dense.view(made) if _dense.is_mlx(made) else np.asarray(made)

    if front.dtype.kind == "c" or X.dtype.kind != "c":
        return host(X.astype(front.dtype))
    return host(X.real.astype(front.dtype)) + 1j * host(X.imag.astype(front.dtype))

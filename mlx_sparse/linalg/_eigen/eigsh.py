"""Eigenvalues and eigenvectors of Hermitian operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.linalg

from ... import _dense
from .._operator import as_operator
from .._problem import require_square, workers
from ._inverse import array, inverse
from ._problem import Front, generator, integer, make_task, no_convergence, operator_norm, refuse_all
from ._restart import Outcome, Task, complete, run

_WHICH = ("LM", "SM", "LA", "SA", "BE")
_MODES = ("normal", "buckling", "cayley")
_WHOLE = 500  # dimensions of a space that is spanned as a whole where restarts do not converge
_RESTARTS = 60  # that are waited for before


def eigsh(
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
    mode: str = "normal",
    rng: Any = None,
) -> Any:
    """Some eigenvalues and eigenvectors of a Hermitian `A`: ``A x = w x``, or ``A x = w M x``.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array or LinearOperator, shape (n, n)
        Real symmetric or complex Hermitian.
    k : int
        How many, less than n.
    M : like `A`, optional
        Hermitian, positive definite; with `sigma` also semidefinite. In buckling mode indefinite, and `A` semidefinite.
    sigma : float, optional
        Find eigenvalues near it, by products with ``(A - sigma M)^-1``. `which` is then about the shifted eigenvalues
        ``1 / (w - sigma)``, in buckling mode ``w / (w - sigma)``, in cayley mode ``(w + sigma) / (w - sigma)``.
    which : {"LM", "SM", "LA", "SA", "BE"}
        Largest or smallest magnitudes, largest or smallest values, or both ends, the upper one first ("BE", real `A`).
    v0 : ndarray or mx.array, shape (n,), optional
        First vector. Default: random.
    ncv : int, optional
        Vectors in the basis, more than k. Default: ``max(2 k + 1, 30)``, with `sigma` 20 for 30; n up to n = 64.
    maxiter : int, optional
        Most restarts. Default: ``10 n``.
    tol : float
        Relative accuracy of the eigenvalues; 0 is that of the dtype.
    return_eigenvectors : bool
    Minv, OPinv : like `A`, optional
        The inverse of `M`, without `sigma`; that of ``A - sigma M``, with it. Default: made by `splu`, or LAPACK for
        dense arrays, or `gmres` for operators.
    mode : {"normal", "buckling", "cayley"}
        How to transform the spectrum, for real `A` with `sigma`.
    rng : numpy.random.Generator or seed, optional
        For random vectors.

    Returns
    -------
    w : array, shape (k,)
        Real, ascending. Without vectors by magnitude, ascending for "LM" and "SA", descending for "SM".
    v : array, shape (n, k)
        Orthonormal columns, in the inner product of `M` if there is one (of `A` in buckling mode). Both are in the
        namespace of `v0`, or else of a dense `A`, or else of `runtime.dense_namespace`; ndarrays for what is SciPy's.

    Raises
    ------
    ArpackNoConvergence
        With what has converged as its `eigenvalues` and `eigenvectors`; also where residuals are not small, as for an
        `A` that is not Hermitian.
    RuntimeError
        ``A - sigma M`` is singular.
    TypeError
        `A` is no operator; k is n or more, and `A` not a dense array; the dtype of an `mx.array` `v0` is another one.
    ValueError
        Other arguments.

    Notes
    -----
    Thick-restart Lanczos with full orthogonalisation: K. Wu and H. Simon, SIAM J. Matrix Anal. Appl. 22 (2000). Vectors
    are `mx.array` for an `mx.array` `A` or `v0`, and on a GPU, unless something is to be factored; then a restart
    synchronises once. Else they are ndarrays, and products run on threads. A restart costs about ``ncv - k`` products
    with `A` and ``4 n ncv^2`` operations.

    One starting vector sees one copy of a multiple eigenvalue. So when k pairs have converged, what is orthogonal to
    them is searched from a random vector, without orthogonalisation: the largest value there does not reach the
    smallest returned, which is sure up to 1e-5 by the size of the run's orthonormal polynomials at that, or a copy was
    missing and the iteration goes on. That costs less than finding the pairs, often by far. For "SM" of an indefinite
    `A` without `sigma`, the search ends after five times as many restarts as the pairs took, and 50.

    Up to ``n = 500``, with `ncv` and `maxiter` left open, the basis grows to the whole space where restarts do not
    converge. Where `sigma` is so close to an eigenvalue that the residuals of other pairs are too large, `A` and `M`
    are made dense there and LAPACK finds the pairs: O(n^3).

    Derivatives: `w` and `v` can be differentiated with respect to the values of `A` and `M` where these are `mx.array`
    or sparse. The derivative of vectors is that of the projector for an eigenvalue that is multiple within the dtype's
    accuracy, and right for functions that do not depend on the choice of a basis there; others get a `UserWarning`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(100, 100))
    >>> w, v = sp.linalg.eigsh(A, k=3, which="SA", v0=np.ones(100))
    >>> (np.linalg.norm(A @ v - v * w) < 1e-12, w.round(6))
    (np.True_, array([0.000967, 0.003869, 0.008701]))

    Differences from SciPy
    ----------------------
    Multiple eigenvalues come with all their copies. Values are ascending for complex `A` too. A `sigma` that is not
    real is a ValueError.
    """
    require_square(as_operator(A), rule="expected square matrix")
    front = Front(A, M, v0, host_only=(M is not None and Minv is None and sigma is None) or sigma is not None)
    return _Solution(front, A, k, M, sigma, which, ncv, maxiter, tol, Minv, OPinv, mode, rng).result(
        bool(return_eigenvectors)
    )


class _Solution:
    """One problem, from the arguments to the result."""

    def __init__(
        self,
        front: Front,
        A: Any,
        k: Any,
        M: Any,
        sigma: Any,
        which: Any,
        ncv: Any,
        maxiter: Any,
        tol: Any,
        Minv: Any,
        OPinv: Any,
        mode: Any,
        rng: Any,
    ) -> None:
        self.front, self.mode = front, mode
        if front.dtype.kind == "c":
            if mode != "normal":
                raise ValueError(f"mode={mode} cannot be used with complex matrix A")
            if which == "BE":
                raise ValueError("which='BE' cannot be used with complex matrix A")
        k = integer("k", k)
        if k <= 0:
            raise ValueError(f"k must be greater than 0. Got {k}")
        if mode not in _MODES:
            raise ValueError(f"unrecognized mode '{mode}'; it is one of {', '.join(map(repr, _MODES))}")
        self.dense: Any = None
        if k >= front.n:
            refuse_all(A, M, "eigh")
            self.dense = array(front.A), None if front.M is None else array(front.M)
            return
        if sigma is not None:
            if np.ndim(sigma) or np.imag(sigma) != 0 or not np.isfinite(sigma):
                raise ValueError(f"sigma must be a finite real number; got {sigma!r}")
            sigma = float(np.real(sigma))
        self.sigma = sigma
        if sigma is None and OPinv is not None:
            raise ValueError("OPinv should not be specified with sigma = None.")
        if Minv is not None and (sigma is not None or M is None):
            raise ValueError(f"Minv should not be specified {'when sigma is' if M is not None else 'with M = None'}.")
        self.task = make_task(front, k, which, ncv, maxiter, tol, _WHICH, True, 30 if sigma is None else 20)
        self._may_grow = ncv is None and maxiter is None and front.n <= _WHOLE
        self.rng = generator(rng)
        self._bind(Minv, OPinv)

    def _bind(self, Minv: Any, OPinv: Any) -> None:
        """The operator that is iterated, its inner product, and the way back to eigenvalues of A."""
        front, sigma = self.front, self.sigma
        A = front.product(front.A)
        M = None if front.M is None else front.M.constant()
        mass = None if M is None else front.product(M)
        self.inner = mass
        self.back: Any = lambda theta: theta
        self.A, self.mass = A, mass
        if sigma is None:
            if M is None:
                self.apply = lambda v, bv: A(v)
            else:
                undo = self._given(Minv) or inverse(M, None, 0, front.dtype, self.task.tol, hermitian=True)
                self.apply = lambda v, bv: undo(A(v))
            return
        undo = self._given(OPinv) or inverse(
            front.A.constant(), front.M and front.M.constant(), sigma, front.dtype, self.task.tol, hermitian=True
        )
        if self.mode == "normal":
            self.apply = lambda v, bv: undo(bv)
            self.back = lambda theta: sigma + 1 / theta
        elif self.mode == "buckling":
            self.inner = A
            self.apply = lambda v, bv: undo(bv)
            self.back = lambda theta: sigma * theta / (theta - 1)
        else:
            self.apply = lambda v, bv: undo(A(v) + sigma * bv)
            self.back = lambda theta: sigma * (theta + 1) / (theta - 1)

    def _given(self, undo: Any) -> Any:
        return None if undo is None else self.front.product(as_operator(undo))

    def result(self, vectors: bool) -> Any:
        front = self.front
        if self.dense is not None:
            found = scipy.linalg.eigh(self.dense[0], b=self.dense[1], eigvals_only=not vectors)
            return tuple(map(front.finish, found)) if vectors else front.finish(found)
        task = self.task
        with workers():
            basis, found = self._run(replace(task, maxiter=_RESTARTS) if self._may_grow else task)
            if not found.converged and self._may_grow:  # clusters inside the spectrum, which restarts do not resolve
                task = replace(task, ncv=front.n)
                basis, found = self._run(task)
            w: Any
            w, X = self._pairs(basis, found)
            good = found.residuals <= task.allowed(found.values, basis) if not found.converged else None
            if good is None and not (small := self._residuals_are_small(w, X)).all():
                good = small
                if self._may_grow and self.sigma is not None and self.mode == "normal" and not front.lazy:
                    w, X = self._whole()
                    good = None if self._residuals_are_small(w, X).all() else small
        if good is not None:
            if found.converged is False:
                order = np.argsort(np.real(self.back(found.values)), kind="stable")
                good = good[order]
            at = np.flatnonzero(good)
            raise no_convergence(front, task, found, w[at], X[:, mx.array(at)] if front.lazy else X[:, at])
        if front.traced:
            w, X = front.differentiable(w, X)
        if vectors:
            return front.finish(w), front.finish(X)
        return front.finish(w[_order_of_values(task.which, w)] if not front.traced else w)

    def _run(self, task: Task) -> tuple[Any, Outcome]:
        basis = self.front.basis(task, self.apply, self.inner, self.rng)
        self.front.start(basis)
        found = run(basis, task, 0, task.k, task.ncv)
        return basis, complete(basis, task, found) if found.converged else found

    def _pairs(self, basis: Any, found: Outcome) -> tuple[np.ndarray, Any]:
        """Eigenvalues of A, ascending, and their vectors as columns."""
        w = np.real(self.back(found.values)).astype(np.finfo(self.front.dtype).dtype)
        order = np.argsort(w, kind="stable")
        rows = basis.combine(0, np.eye(len(basis.H) - 1, dtype=basis.dtype)[: found.size, order])
        return w[order], rows.T

    def _whole(self) -> tuple[np.ndarray, Any]:
        """The pairs by the operator on the whole space.

        Beside the value of an inverse at an eigenvalue near the shift, its small ones are lost in rounding.
        """
        every = np.eye(self.front.n, dtype=self.front.dtype)
        mass = None if self.mass is None else self.mass(every)
        w, X = scipy.linalg.eigh(self.A(every), mass)
        chosen = np.sort(self.task.order(1 / (w - self.sigma))[: self.task.k])
        return w[chosen], X[:, chosen]

    def _residuals_are_small(self, w: np.ndarray, X: Any) -> np.ndarray:
        """By column, whether A x = w M x up to what a lost symmetry or a wrong inverse would exceed by far."""
        front = self.front
        AX, MX = self.A(X), X if self.mass is None else self.mass(X)
        AX, MX = (_dense.view(Y) if _dense.is_mlx(Y) else Y for Y in (AX, MX))
        size = operator_norm(front, self.A)
        mass = np.linalg.norm(MX, axis=0)
        scale = size * np.linalg.norm(_dense.view(X) if front.lazy else X, axis=0) + np.abs(w) * mass
        eps = np.finfo(front.dtype).eps
        least = 1000 * eps * abs(self.sigma or 0.0) * mass  # what is lost where A is small beside the shift
        allowed = np.maximum(np.sqrt(eps) * scale, 10 * self.task.tol * np.abs(w) * mass)
        return np.linalg.norm(AX - MX * w, axis=0) <= np.maximum(allowed, least)


def _order_of_values(which: str, w: np.ndarray) -> np.ndarray:
    """SciPy's order of eigenvalues that come without vectors."""
    if which in ("LM", "SA"):
        return np.argsort(np.abs(w), kind="stable")
    return np.argsort(-np.abs(w), kind="stable") if which == "SM" else np.arange(len(w))

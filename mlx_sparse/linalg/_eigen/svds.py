"""Singular values and vectors."""

from __future__ import annotations

import contextlib
import math
import numbers
import signal
import threading
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.linalg
import scipy.sparse.linalg as _scipy

from ... import _dense
from ..._base import issparse
from ..._native import gram_numpy, settle
from .._interface import LinearOperator, aslinearoperator
from .._operator import Operator, as_operator
from .._problem import refuse_traced, workers
from ._derivatives import differentiable_triplets
from ._problem import Front, generator, no_convergence
from ._restart import Task, complete, run

_SOLVERS = ("arpack", "lobpcg", "propack")
_ENTRIES = 8  # for each element of a vector, from which on one pass is quicker than two products


def svds(
    A: Any,
    k: int = 6,
    ncv: int | None = None,
    tol: float = 0,
    which: str = "LM",
    v0: Any = None,
    maxiter: int | None = None,
    return_singular_vectors: bool | str = True,
    solver: str = "arpack",
    rng: Any = None,
    options: dict[str, Any] | None = None,
    *,
    random_state: Any = None,
) -> Any:
    """Some singular values and vectors of `A`.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array or LinearOperator, shape (m, n)
        An operator must have products with its adjoint as well.
    k : int
        How many, less than ``min(m, n)``; with "propack" also as many.
    ncv : int, optional
        Vectors in the basis, between k and ``min(m, n)``. For "arpack".
    tol : float
        Relative accuracy of the singular values; 0 is that of the dtype.
    which : {"LM", "SM"}
        The largest or the smallest.
    v0 : ndarray or mx.array, shape (min(m, n),), optional
        First vector; for "propack" of shape (m,), for "lobpcg" with k = 1 only.
    maxiter : int, optional
        Most iterations.
    return_singular_vectors : bool or {"u", "vh"}
        "u" and "vh" leave one kind out (None), where that saves work: "u" for m <= n and "vh" for m > n, or "propack".
    solver : {"arpack", "lobpcg", "propack"}
        "arpack" is the method of `eigsh`; the others are SciPy's, on the host.
    rng : numpy.random.Generator or seed, optional
        For random vectors.
    options : dict, optional
        Ignored, as by SciPy.
    random_state : seed, optional
        The former name of `rng`.

    Returns
    -------
    u : array, shape (m, k)
    s : array, shape (k,)
        Ascending.
    vh : array, shape (k, n)
        ``A ~ u @ diag(s) @ vh``. Namespaces are as for `eigsh`. Only `s` without vectors.

    Raises
    ------
    ArpackNoConvergence
        With eigenvalues and eigenvectors of A^H A, or A A^H if m < n, that have converged.
    LinAlgError
        "propack" has not converged.
    TypeError, ValueError
        Other arguments.

    Notes
    -----
    Lanczos with thick restarts (see `eigsh`) on A^H A, or on A A^H if m < n, then a singular value decomposition of A
    times the vectors found. Over ndarrays csr and csc arrays are copied once: with rows in an order in which A^H A x is
    made in one pass or, where there are few entries, transposed. Multiple singular values come with all copies.
    Residuals are near the rounding of the largest singular value s1; those of values near s are larger by s1 / s, as
    those of everything that squares A.

    With "propack", Ctrl-C or an exception in a product reaches the caller when SciPy's routine has come to the end of
    its restart, which cannot be stopped and takes some seconds where the basis is large.

    `u`, `s` and `vh` can be differentiated with respect to the values of `A`, as the results of `eigsh`, with "arpack".

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array(np.vander(np.arange(1.0, 7.0), 4))
    >>> u, s, vh = sp.linalg.svds(A, k=2, v0=np.ones(4))
    >>> s.round(6)
    array([  8.485022, 263.570482])

    Differences from SciPy
    ----------------------
    Multiple singular values come with all their copies.
    """
    solver = str(solver).lower()
    if solver not in _SOLVERS:
        raise ValueError(f"solver must be one of {set(_SOLVERS)}. Got {solver!r}")
    if not _dense.is_dense(A):
        A = A if issparse(A) else aslinearoperator(A)
    elif _dense.is_dense(A) and not _dense.is_mlx(A) and A.dtype.kind not in "biufc":
        raise ValueError(f"`A` must be of numeric data type. Got {A.dtype}")
    shape = as_operator(A).shape
    if len(shape) != 2:
        raise ValueError(f"expected a matrix; got shape {shape}")
    front = Sides(A, v0)
    k, ncv, tol, which, maxiter, rng = _checked(front, k, ncv, tol, which, maxiter, solver, rng, random_state)
    kind = return_singular_vectors
    if not isinstance(kind, (bool, np.bool_)) and kind not in ("u", "vh"):
        raise ValueError(f"`return_singular_vectors` must be in {{True, False, 'u', 'vh'}}. Got {kind!r}")
    if solver != "arpack":
        return _of_scipy(front, k, tol, which, maxiter, kind, solver, rng)
    task = Task(k, "LA" if which == "LM" else "SA", ncv, maxiter, max(tol * tol, front.eps), True, front.real)
    with workers():
        basis = front.basis(task, front.gram, None, rng)
        front.start(basis)
        found = run(basis, task, 0, k, ncv)
        if found.converged:
            found = complete(basis, task, found)
        V = basis.host(basis.combine(0, np.eye(found.size, k, dtype=basis.dtype))).T
        if not found.converged:
            good = found.residuals <= task.allowed(found.values, basis)
            raise no_convergence(front, task, found, found.values[good], V[:, good])
        V, _ = np.linalg.qr(V)
        u, s, wh = scipy.linalg.svd(front.forth(V), full_matrices=False)
        u, s, v = u[:, ::-1], s[::-1], V @ wh[::-1].conj().T
        # Left vectors of values that are zero up to rounding are arbitrary.
        least = math.sqrt(front.eps * basis.scale)
        off = np.linalg.norm(front.adjoint(u) - v * s, axis=0)
        if (off[s > 100 * least] > least).any():
            raise no_convergence(front, task, found, s[:0], v[:, :0])
    left, right = (v, u) if front.flipped else (u, v)
    if front.traced:
        left, s, right = differentiable_triplets(front.A, left, s, right, front.mlx_dtype)
    if kind is False or kind is np.False_:
        return front.finish(s)
    u_given = None if kind == "vh" else front.finish(left)
    return u_given, front.finish(s), None if kind == "u" else front.finish(adjoint(right))


def adjoint(x: Any) -> Any:
    return mx.conj(x).T if _dense.is_mlx(x) else x.conj().T


class Sides(Front):
    """`A` as a map from its shorter side to its longer one."""

    def __init__(self, A: Any, v0: Any) -> None:
        super().__init__(A, None, v0, host_only=False)
        self.flipped = self.A.shape[0] < self.A.shape[1]
        self.n = min(self.A.shape)
        self.eps, self.real = float(np.finfo(self.dtype).eps), self.dtype.kind != "c"
        B = self.A.constant()
        B = B.H if self.flipped else B
        self._rows = None if self.lazy else _dense_enough(B, self.dtype)
        self._forth, self._back = (
            self.product(C if self.lazy or self._rows is not None else _by_rows(C)) for C in (B, B.H)
        )

    def gram(self, v: Any, bv: Any) -> Any:
        if self._rows is not None:
            made = gram_numpy(self._rows._structure, self._rows._data, v)
            if made is not None:
                return made
        return self._back(self._forth(v))

    def forth(self, X: np.ndarray) -> np.ndarray:
        return self._host(self._forth, X)

    def adjoint(self, X: np.ndarray) -> np.ndarray:
        return self._host(self._back, X)

    def _host(self, product: Any, X: np.ndarray) -> np.ndarray:
        X = np.ascontiguousarray(X.astype(self.dtype, copy=False))
        made = product(_dense.to_mlx(X, self.mlx_dtype) if self.lazy else X)
        return _dense.view(made) if _dense.is_mlx(made) else np.asarray(made)


def _dense_enough(A: Operator, dtype: np.dtype) -> Any:
    """`A` as csr, its rows by length, where A^H A x pays to be made in one pass, which reads entries once.

    In that order loops over rows have lengths that a processor foresees. Copies of the result, which have to be added
    up, cost little beside several entries for each of its elements.
    """
    if not (A.sparse and A.explicit and A.operand.format in ("csr", "csc", "coo")):
        return None
    if A.operand.nnz < _ENTRIES * A.shape[1]:
        return None
    rows = A.operand.tocsr().astype(dtype, copy=False)
    order = np.argsort(np.diff(_dense.view(rows._indptr)), kind="stable")
    rows = rows if (np.diff(order) == 1).all() else rows[order]
    settle([rows._data])
    return rows


def _by_rows(A: Operator) -> Operator:
    """A csc array as csr, whose products are quicker: a copy that many of them pay for."""
    return as_operator(A.operand.tocsr()) if A.sparse and A.explicit and A.operand.format == "csc" else A


def _checked(
    front: Sides, k: Any, ncv: Any, tol: Any, which: Any, maxiter: Any, solver: str, rng: Any, random_state: Any
) -> tuple[int, int, float, str, int, np.random.Generator]:
    """The arguments, checked in SciPy's words."""
    m, n = front.A.shape
    if m * n == 0:
        raise ValueError(f"`A` must not be empty. Got shape {(m, n)}")
    least = min(m, n)
    most = least if solver == "propack" else least - 1
    if int(k) != k or not 0 < k <= most:
        raise ValueError(f"`k` must be an integer satisfying `0 < k < min(A.shape)`. Got {k} for shape {(m, n)}")
    k = int(k)
    if ncv is None:
        ncv = least if least <= 64 else min(least, max(2 * k + 1, 30))
    elif solver == "arpack" and (int(ncv) != ncv or not k < ncv < least):
        raise ValueError(f"`ncv` must be an integer satisfying `k < ncv < min(A.shape)`. Got {ncv} for shape {(m, n)}")
    if tol < 0 or not np.isfinite(tol):
        raise ValueError(f"`tol` must be a non-negative floating point value. Got {tol}")
    which = str(which).upper()
    if which not in ("LM", "SM"):
        raise ValueError(f"`which` must be in {{'LM', 'SM'}}. Got {which!r}")
    if front.v0 is not None:
        kind = "fc" if not _dense.is_mlx(front.v0) else None
        if kind is not None and np.asarray(front.v0).dtype.kind not in kind:
            raise ValueError(
                f"`v0` must be of floating or complex floating data type. Got {np.asarray(front.v0).dtype}"
            )
        shape = (m,) if solver == "propack" else (least,)
        if tuple(front.v0.shape) != shape:
            raise ValueError(f"`v0` must have shape {shape}. Got {tuple(front.v0.shape)}")
    if maxiter is None:
        maxiter = 0
    elif int(maxiter) != maxiter or maxiter <= 0:
        raise ValueError(f"`maxiter` must be a positive integer. Got {maxiter}")
    rng = random_state if rng is None else rng
    if isinstance(rng, np.random.RandomState):
        rng = rng.randint(2**31)
    if rng is not None and not isinstance(rng, (numbers.Integral, np.random.Generator, np.random.RandomState)):
        raise ValueError(
            f"'{rng}' is neither a NumPy Generator nor an integer seed to instantiate one. For future-proofing, prefer "
            "using a NumPy Generator."
        )
    maxiter = int(maxiter)
    if solver == "arpack" and maxiter == 0:
        maxiter = 10 * least
    seed: Any = rng
    return k, int(ncv), float(tol), which, maxiter, generator(seed)


class _Products:
    """Products that PROPACK calls; what ends one, Ctrl-C too, reaches the caller where the context ends.

    PROPACK goes on after an exception in its callback (SciPy 1.18), or returns with it set (1.17). A signal would raise
    in the first line of that callback, which is SciPy's: so its handler waits until one of these products runs.
    """

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._handlers: dict[int, Any] = {}
        self._waiting: list[tuple[int, Any]] = []
        self._inside = False

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # no handler runs in other threads
        for number in signal.valid_signals():
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._on_signal)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._on_signal:  # a product or a handler may have put another there
                signal.signal(number, handler)
        if self._error is not None:
            raise self._error from None
        self._handle()

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._inside:
            self._handlers[number](number, frame)
        else:
            self._waiting.append((number, frame))

    def _handle(self) -> None:
        while self._waiting:
            number, frame = self._waiting.pop(0)
            self._handlers[number](number, frame)

    def watched(self, product: Any, rows: int) -> Any:
        def run(x: np.ndarray) -> Any:
            if self._error is None:
                try:
                    self._inside = True
                    self._handle()
                    y = product(x)
                    self._inside = False
                    return y
                except BaseException as error:
                    self._inside = False
                    self._error = error
            return np.zeros((rows, *x.shape[1:]), x.dtype)  # so that it comes to an end soon

        return run


def _of_scipy(
    front: Sides, k: int, tol: float, which: str, maxiter: int, kind: Any, solver: str, rng: np.random.Generator
) -> Any:
    """By SciPy's method of that name, on products of this package."""
    refuse_traced(front.A, f"svds with solver={solver!r}")
    forth, back = front.A.host(front.dtype), front.A.H.host(front.dtype)
    products: Any = contextlib.nullcontext()
    if solver == "propack":
        m, n = front.A.shape
        products = _Products()
        forth, back = products.watched(forth, m), products.watched(back, n)
    operator = LinearOperator(front.A.shape, matvec=forth, rmatvec=back, matmat=forth, rmatmat=back, dtype=front.dtype)
    v0: Any = front.v0
    with products:
        made = _scipy.svds(
            operator,
            k,
            tol=tol,
            which=which,
            v0=_dense.view(v0) if _dense.is_mlx(v0) else v0,
            maxiter=maxiter or None,
            return_singular_vectors=kind,
            solver=solver,
            rng=rng,
        )
    if kind is False or kind is np.False_:
        return front.finish(made)
    return tuple(None if x is None else front.finish(x) for x in made)

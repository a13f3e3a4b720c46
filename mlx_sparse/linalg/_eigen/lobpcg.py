"""The locally optimal block preconditioned conjugate gradient method for extreme eigenvalues."""

from __future__ import annotations

from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.linalg
import scipy.sparse.linalg as _scipy

from ... import _dense, _dtypes
from ..._base import _spbase
from .._operator import as_operator, constant, is_traced, refusing
from .._problem import NOT_DIFFERENTIABLE, refuse_traced, workers
from ._derivatives import differentiable, of_operators
from ._lobpcg_host import Iteration
from ._problem import check_start, integer

_HALVES = (mx.float16, mx.bfloat16)
_CACHED = 1 << 20  # values


def lobpcg(
    A: Any,
    X: Any,
    B: Any = None,
    M: Any = None,
    Y: Any = None,
    tol: float | None = None,
    maxiter: int | None = None,
    largest: bool = True,
    verbosityLevel: int = 0,
    retLambdaHistory: bool = False,
    retResidualNormsHistory: bool = False,
    restartControl: int = 20,
) -> Any:
    """Extreme eigenvalues of a Hermitian `A`, from a block of approximate vectors and with a preconditioner.

    Parameters
    ----------
    A : sparse array, ndarray, mx.array, LinearOperator or callable, shape (n, n)
        Hermitian. A callable takes and gives blocks, of shape (n, k).
    X : ndarray or mx.array, shape (n, k)
        First approximations, linearly independent.
    B : like `A`, optional
        Hermitian, positive definite: solve ``A x = w B x``.
    M : like `A`, optional
        Preconditioner, an approximate inverse of `A`.
    Y : ndarray or mx.array, shape (n, m), optional
        Search among the vectors that are orthogonal to these, by the inner product of `B`.
    tol : float, optional
        Norm of residuals that ends the iteration. Default: ``n sqrt(eps)``.
    maxiter : int, optional
        Most iterations. Default: 20.
    largest : bool
        The largest eigenvalues, or the smallest.
    verbosityLevel : int
        Whether to print what happens.
    retLambdaHistory, retResidualNormsHistory : bool
        Also give eigenvalues, or norms of residuals, of each iteration.
    restartControl : int
        Search directions are dropped if residuals grow by ``2**restartControl`` over the least that there were.

    Returns
    -------
    w : array, shape (k,)
        Descending if the largest, ascending if the smallest ones are asked for.
    v : array, shape (n, k)
        Orthonormal columns, by the inner product of `B`. Both are in the namespace of `X`.
    lambdas, norms : lists of arrays, shape (k,)
        Where asked for.

    Raises
    ------
    NotImplementedError
        `Y` with a problem of n < 5 k.
    TypeError
        An `mx.array` `X` whose dtype is not that of `A`.
    ValueError
        `X` or `Y` is not a block, or has columns that depend on each other; another shape; `A` is traced and `X` an
        ndarray.

    Warns
    -----
    UserWarning
        `tol` is not reached, as norms of residuals tell; or ``n < 5 k``, where a dense solver is used.

    Notes
    -----
    A. V. Knyazev, Toward the optimal preconditioned eigensolver: locally optimal block preconditioned conjugate
    gradient method, SIAM J. Sci. Comput. 23 (2001). For an ndarray `X` a step costs a product with A and M of a block
    each, products of a matrix (3 k, n) with small ones, and what is small; it is SciPy's iteration, on products of this
    package, with `Y`, with `verbosityLevel` and for a small problem. For an `mx.array` there are some products more,
    and a synchronisation; the small problem is solved on the host. A block has all copies of eigenvalues up to its
    size. Residuals are the measure: there is no exception without convergence.

    With an `mx.array` `X`, results can be differentiated with respect to the values of `A` and `B`, as those of
    `eigsh`.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.diags_array(np.arange(1.0, 101.0), format="csr")
    >>> M = sp.diags_array(1 / np.arange(1.0, 101.0))
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> w, v = sp.linalg.lobpcg(A, X, M=M, largest=False, tol=1e-9, maxiter=60)
    >>> w.round(8)
    array([1., 2., 3.])
    """
    X = X if _dense.is_dense(X) or X is None else _dense.as_dense(X)
    if not _dense.is_mlx(X):
        for name, operator in (("A", A), ("B", B)):
            refuse_traced(operator, f"lobpcg from an ndarray X, with respect to {name},")
        with workers():
            if (host := _on_host(A, X, B, M, Y, verbosityLevel)) is not None:
                limit = float(tol) if tol is not None and tol > 0 else host.eps**0.5 * host.n
                steps = 20 if maxiter is None else integer("maxiter", maxiter)
                pair = host.run(limit, steps, bool(largest), 2.0 ** int(restartControl))
                return *pair, *(host.lambdas,) * bool(retLambdaHistory), *(host.norms,) * bool(retResidualNormsHistory)
            found = _scipy.lobpcg(
                _for_scipy(A),
                X if X is None else np.array(X),  # which SciPy writes to where there is a Y
                B=_for_scipy(B),
                M=_for_scipy(M),
                Y=_dense.view(Y) if _dense.is_mlx(Y) else Y,
                tol=tol,
                maxiter=maxiter,
                largest=largest,
                verbosityLevel=verbosityLevel,
                retLambdaHistory=retLambdaHistory,
                retResidualNormsHistory=retResidualNormsHistory,
                restartControl=restartControl,
            )
        return (np.ascontiguousarray(found[0]), np.ascontiguousarray(found[1]), *found[2:])
    if X.ndim != 2:
        raise ValueError(f"expected rank-2 array for argument X; got shape {tuple(X.shape)}")
    dtype = X.dtype
    if not mx.issubdtype(dtype, mx.inexact):
        warn(f"Data type for argument X is {dtype}, which is not inexact, so it is cast to float32.", stacklevel=2)
        X = X.astype(mx.float32)
    block = _Block(A, B, M, Y, X.astype(mx.float32) if dtype in _HALVES else X, bool(largest), int(verbosityLevel))
    maxiter = 20 if maxiter is None else integer("maxiter", maxiter)
    with workers():
        w, V = block.dense() if block.is_small else block.iterate(tol, maxiter, int(restartControl))
    values = [v for F in (block.A, block.B, block.M) if F is not None for v in F.values]
    histories = (block.lambdas,) * bool(retLambdaHistory) + (block.norms,) * bool(retResidualNormsHistory)
    if is_traced(*values):
        w, V = differentiable(of_operators(block.A, block.B, block.dtype), w, V)
    if is_traced(*values, X):
        histories = tuple([refusing(x, (*values, X), NOT_DIFFERENTIABLE) for x in history] for history in histories)
    if dtype in _HALVES:
        w, V = w.astype(dtype), V.astype(dtype)
    return (w, V, *histories)


def _on_host(A: Any, X: Any, B: Any, M: Any, Y: Any, verbose: int) -> Iteration | None:
    """The iteration over ndarrays; None for what stays SciPy's: constraints, output, small problems and bad blocks."""
    if Y is not None or verbose or not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.char not in "fdFD":
        return None
    n, k = X.shape
    if not 0 < 5 * k <= n:
        return None
    if X.dtype.kind != "c" and any(_is_complex(F, X) for F in (A, B, M)):
        X = X.astype(np.promote_types(X.dtype, np.complex64))
    return Iteration(_by_rows(A, X), _by_rows(B, X), _by_rows(M, X), X)


def _is_complex(F: Any, X: np.ndarray) -> bool:
    if F is None:
        return False
    dtype = getattr(F, "dtype", None)
    if dtype is None or callable(F) and not hasattr(F, "shape"):
        return bool(np.iscomplexobj(F(X) if callable(F) else as_operator(F).host()(X)))
    return as_operator(F).dtype.kind == "c"  # type: ignore[union-attr]


def _by_rows(F: Any, X: np.ndarray) -> Any:
    """(rows, out): F times each row, of the dtype of `out`."""
    if F is None:
        return None
    operator = None if callable(F) and not hasattr(F, "shape") else as_operator(F)
    if operator is not None and operator.shape != (len(X), len(X)):
        raise ValueError(f"the shapes of an operator {operator.shape} and X {X.shape} do not match")
    real = operator is not None and operator.dtype is not None and operator.dtype.kind != "c"
    product = F if operator is None else operator.host(X.dtype if operator.sparse and real else None)
    # A matrix that stays in cache is quickest one vector after the other.
    single = operator is not None and operator.sparse and operator.explicit and operator.values[0].size <= _CACHED

    def rows(V: np.ndarray, out: np.ndarray) -> None:
        if single:
            for v, to in zip(V, out, strict=True):
                to[:] = product(v)
        else:
            out[:] = np.asarray(product(np.ascontiguousarray(V.T))).T

    return rows


def _for_scipy(A: Any) -> Any:
    if isinstance(A, _spbase):
        return as_operator(A).host()
    return _dense.view(A) if _dense.is_mlx(A) else A


class _Callable:
    """A function of blocks as an operator."""

    values = ()
    required = None

    def __init__(self, function: Any, n: int) -> None:
        self._function, self.shape = function, (n, n)

    def device(self, dtype: Any) -> Any:
        return lambda x: _dense.to_mlx(self._function(x), dtype)

    def constant(self) -> Any:
        return self

    def with_values(self, values: Any) -> Any:
        return self


class _Block:
    """The iteration over `mx.array`: X, its residuals R and directions P span what each step searches."""

    def __init__(self, A: Any, B: Any, M: Any, Y: Any, X: mx.array, largest: bool, verbose: int) -> None:
        self.n, self.k = X.shape
        self.X, self.dtype, self.largest, self.verbose = constant(X), X.dtype, largest, verbose
        self.host_dtype = _dtypes.numpy_dtype(self.dtype)
        self.A, self.B, self.M = (self._operator(F) for F in (A, B, M))
        if self.A.required is not None:
            check_start(X, self.A.required if self.A.required not in _HALVES else X.dtype)
        self.a: Any
        self.b: Any
        self.m: Any
        self.a, self.b, self.m = (
            None if F is None else F.constant().device(self.dtype) for F in (self.A, self.B, self.M)
        )
        self.lambdas: list[Any] = []
        self.norms: list[Any] = []
        self.Y = None
        if Y is not None:
            Y = _dense.as_dense(Y)
            if Y.ndim != 2:
                warn(f"Expected rank-2 array for argument Y, instead got {Y.ndim}, so it is ignored.", UserWarning, 3)
            elif Y.shape[0] != self.n:
                raise ValueError(f"Y must have {self.n} rows, as X; got shape {tuple(Y.shape)}")
            else:
                self.Y = _dense.to_mlx(Y, self.dtype)
        m = 0 if self.Y is None else self.Y.shape[1]
        self.is_small = self.n - m < 5 * self.k
        if self.is_small:
            warn(
                f"The problem size {self.n} minus the constraints size {m} is too small relative to the block size "
                f"{self.k}. Using a dense eigensolver instead of LOBPCG iterations.No output of the history of the "
                "iterations.",
                UserWarning,
                3,
            )
            if m:
                raise NotImplementedError("The dense eigensolver does not support constraints.")
        elif self.Y is not None:
            self.Y, rank = self._orthonormal(self.Y)
            if rank < m:
                raise ValueError(f"Linearly dependent constraints: Y has {m} columns and rank {rank}")
            self.BY = self._mass(self.Y)

    def _operator(self, F: Any) -> Any:
        if F is None:
            return None
        if callable(F) and not hasattr(F, "shape"):
            return _Callable(F, self.n)
        found = as_operator(F)
        if found.shape != (self.n, self.n):
            raise ValueError(f"the shapes of an operator {found.shape} and X {(self.n, self.k)} do not match")
        return found

    def _mass(self, X: mx.array) -> mx.array:
        return X if self.b is None else self.b(X)

    def _gram(self, X: mx.array, Y: mx.array) -> np.ndarray:
        """X^H Y on the host, in double precision."""
        found = _dense.view(mx.conj(X).T @ Y)
        return found.astype(np.promote_types(found.dtype, np.float64))

    def _times(self, X: mx.array, C: np.ndarray) -> mx.array:
        return X @ _dense.to_mlx(np.ascontiguousarray(C.astype(self.host_dtype)), self.dtype)

    def _orthonormal(self, X: mx.array) -> tuple[mx.array, int]:
        """An orthonormal basis of the columns, and how many there are: what depends on others is dropped."""
        for _ in range(2):
            if X.shape[1] == 0:
                break
            G = self._gram(X, self._mass(X))
            size = np.sqrt(np.maximum(np.diag(G).real, 0))
            size[size == 0] = 1
            values, vectors = scipy.linalg.eigh(G / np.outer(size, size))
            kept = values > max(len(G), 10) * np.finfo(self.host_dtype).eps * values.max(initial=0)
            X = self._times(X, (vectors[:, kept] / np.sqrt(values[kept])) / size[:, None])
        return X, X.shape[1]

    def _aside(self, W: mx.array, *bases: tuple[mx.array, mx.array]) -> mx.array:
        for V, BV in bases:
            W = W - V @ (mx.conj(BV).T @ W)
        return W

    def dense(self) -> tuple[mx.array, mx.array]:
        eye = mx.eye(self.n, dtype=self.dtype)
        a, b = _dense.view(self.a(eye)), None if self.b is None else _dense.view(self.b(eye))
        k = min(self.k, self.n)
        ends = [self.n - k, self.n - 1] if self.largest else [0, k - 1]
        w, V = scipy.linalg.eigh(a, b, subset_by_index=ends)
        if self.largest:
            w, V = w[::-1], V[:, ::-1]
        return _dense.to_mlx(w.copy()), _dense.to_mlx(V.copy())

    def _ritz(self, S: mx.array, AS: mx.array) -> tuple[np.ndarray, np.ndarray]:
        """The k wanted eigenvalues of A on the span of orthonormal columns, and their coefficients."""
        w, C = scipy.linalg.eigh(self._gram(S, AS))
        at = np.arange(len(w))[::-1][: self.k] if self.largest else np.arange(self.k)
        return w[at], C[:, at]

    def iterate(self, tol: Any, maxiter: int, restart: int) -> tuple[mx.array, mx.array]:
        eps = float(np.finfo(self.host_dtype).eps)
        tol = float(tol) if tol is not None and tol > 0 else eps**0.5 * self.n
        fixed = () if self.Y is None else ((self.Y, self.BY),)
        X, rank = self._orthonormal(self._aside(self.X, *fixed))
        if rank < self.k:
            raise ValueError(f"Linearly dependent initial approximations: X has {self.k} columns and rank {rank}")
        w, C = self._ritz(X, self.a(X))
        X = self._times(X, C)
        P: Any = None
        best: Any = (np.inf, w, X)
        for step in range(maxiter + 1):
            AX, BX = self.a(X), self._mass(X)
            lam = _dense.to_mlx(w.astype(self.host_dtype), self.dtype)
            R = AX - BX * lam
            norms = _dense.view(mx.linalg.norm(R, axis=0))
            if not np.isfinite(norms).all():
                raise ValueError("the operators gave values that are not finite")
            self._note(w, norms, step)
            worst = float(norms.max())
            if worst < best[0]:
                best = (worst, w, X)
            if worst <= tol or step == maxiter:
                break
            if worst > 2.0**restart * best[0]:
                P = None
            active = mx.array(np.flatnonzero(norms > tol))
            W = R[:, active]
            W = W if self.m is None else self.m(W)
            W = self._aside(W, *fixed, (X, BX))
            W, _ = self._orthonormal(W)
            W, _ = self._orthonormal(self._aside(W, *fixed, (X, BX)))
            parts = [X, W]
            if P is not None:
                P = self._aside(P[:, active], *fixed, (X, BX), (W, self._mass(W)))
                P, _ = self._orthonormal(P)
                P, _ = self._orthonormal(self._aside(P, *fixed, (X, BX), (W, self._mass(W))))
                parts.append(P)
            S = mx.concatenate(parts, axis=1)
            w, C = self._ritz(S, mx.concatenate([AX, *(self.a(part) for part in parts[1:] if part.shape[1])], axis=1))
            rest = S[:, self.k :]
            P = self._times(rest, C[self.k :])
            X = self._times(X, C[: self.k]) + P
            mx.eval(X, P)
        worst, w, X = best
        if worst > tol:
            warn(
                f"Exited at iteration {step} with accuracies \n{norms}\nnot reaching the requested tolerance {tol}.",
                UserWarning,
                stacklevel=3,
            )
        return _dense.to_mlx(w.astype(np.finfo(self.host_dtype).dtype)), X

    def _note(self, w: np.ndarray, norms: np.ndarray, step: int) -> None:
        real = np.finfo(self.host_dtype).dtype
        self.lambdas.append(_dense.to_mlx(w.astype(real)))
        self.norms.append(_dense.to_mlx(norms.astype(real)))
        if self.verbose:
            print(f"iteration {step}\neigenvalues: {w}\nresidual norms: {norms}")

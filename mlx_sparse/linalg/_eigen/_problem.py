"""What eigenvalue functions share: arguments, dtype, where vectors live, and what users get."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence

from ... import _dense, _dtypes
from ..._base import _spbase, issparse
from .._operator import Operator, as_operator, is_traced
from .._problem import check_dtype
from ._basis import Basis, LazyBasis
from ._derivatives import differentiable, of_operators
from ._restart import Outcome, Task

__all__ = ["ArpackError", "ArpackNoConvergence"]


class Front:
    """The operators of an eigenvalue problem, in one dtype, over ndarrays or `mx.array`.

    Attributes
    ----------
    dtype : np.dtype
        What is computed in: single or double precision, real or complex.
    lazy : bool
        Whether vectors are `mx.array`.
    """

    def __init__(self, A: Any, M: Any, v0: Any, host_only: bool) -> None:
        self.given, self.v0 = A, None if v0 is None else _dense.as_dense(v0)
        self.A = as_operator(A)
        self.n = self.A.shape[0]
        self.M = None if M is None else as_operator(M)
        known = self._known(self.A)
        if self.M is not None:
            if self.M.shape != self.A.shape:
                raise ValueError(f"wrong M dimensions {self.M.shape}, should be {self.A.shape}")
            mass = self._known(self.M)
            if mass.char.lower() != known.char.lower():
                message = "M does not have the same type precision as A. This may adversely affect convergence"
                warn(message, stacklevel=4)
            if mass.kind == "c":
                known = np.promote_types(known, np.complex64)
        self.dtype = known
        if _dense.is_mlx(self.v0) and self.A.required is not None:
            check_start(self.v0, self.A.required)
        on_gpu = mx.default_device().type != mx.DeviceType.cpu
        wanted = on_gpu or _dense.is_mlx(self.v0) or isinstance(A, mx.array)
        self.lazy = wanted and not host_only and not self.A.on_host and not _dtypes.is_wide(_dtypes.mlx_dtype(known))

    @staticmethod
    def _known(A: Operator) -> np.dtype:
        dtype = A.dtype
        if dtype is None:
            dtype = np.asarray(A.host()(np.zeros(A.shape[1]))).dtype
        if dtype.char not in "fdFD":
            if dtype == np.float16:
                dtype = np.dtype(np.float32)
            elif np.can_cast(dtype, np.float64):
                dtype = np.dtype(np.float64)
            else:
                raise ValueError(
                    f"eigenvalues are computed in single or double precision, real or complex; got dtype {dtype}"
                )
        # a device without double precision
        return _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype)) if A.sparse else dtype

    @property
    def mlx_dtype(self) -> mx.Dtype:
        return _dtypes.mlx_dtype(self.dtype)

    def product(self, A: Operator, dtype: Any = None) -> Any:
        """x -> A x over the vectors that are iterated."""
        A = A.constant()
        return A.device(self.mlx_dtype) if self.lazy else A.host(self.dtype if dtype is None else dtype)

    def basis(self, task: Task, apply: Any, inner: Any, rng: np.random.Generator) -> Basis:
        """Room for the window of a run, and what is locked in a later one."""
        rows = min(task.room + task.k + 2, self.n + 1)
        return (LazyBasis if self.lazy else Basis)(self.n, rows, self.dtype, apply, inner, rng, task.hermitian)

    def start(self, basis: Basis, prepared: Any = None) -> None:
        """The first row: what the user gave, or a random vector."""
        if self.v0 is None:
            basis.fill(0)
            return
        if tuple(self.v0.shape) not in ((self.n,), (self.n, 1)):
            raise ValueError(f"v0 must have shape ({self.n},); got {tuple(self.v0.shape)}")
        v0 = self.v0.reshape(-1)
        host = _dense.view(mx.stop_gradient(v0)) if _dense.is_mlx(v0) else np.asarray(v0)
        if not np.isfinite(host).all():
            raise ValueError("v0 has values that are not finite")
        if self.dtype.kind != "c" and host.dtype.kind == "c" and host.imag.any():
            raise ValueError("v0 is complex, and the operator real; give a real v0, or a complex A")
        v = basis.array(host)
        if not basis.put(0, v if prepared is None else prepared(v)):
            basis.fill(0)

    def finish(self, x: Any) -> Any:
        """`x`, an ndarray or `mx.array`, in the namespace that the user gets."""
        operand = self.v0 if self.v0 is not None else self.given if _dense.is_dense(self.given) else None
        if operand is not None:
            mlx = _dense.is_mlx(operand)
        else:
            ours = isinstance(self.given, _spbase) or hasattr(self.given, "_front")
            mlx = ours and not _dense.numpy_mode()
        if not mlx:
            return np.array(_dense.view(x) if _dense.is_mlx(x) else x, order="C", copy=None)
        if _dense.is_mlx(x):
            return x
        wide = _dtypes.is_wide(_dtypes.mlx_dtype(x.dtype))
        return np.array(x, order="C", copy=None) if wide else _dense.to_mlx(x)

    def differentiable(self, w: Any, X: Any) -> tuple[mx.array, mx.array]:
        """Eigenvalues and vectors as functions of the values of A and M."""
        pencil = of_operators(self.A, self.M, self.mlx_dtype)
        return differentiable(pencil, _dense.to_mlx(w), _dense.to_mlx(X))

    @property
    def traced(self) -> bool:
        if _dtypes.is_wide(self.mlx_dtype):  # which MLX's derivatives know nothing of
            return False
        return is_traced(*self.A.values, *(() if self.M is None else self.M.values))


def check_start(v0: Any, dtype: mx.Dtype) -> None:
    try:
        check_dtype(v0, dtype)
    except TypeError:
        raise TypeError(
            f"the dtype of v0, {v0.dtype}, differs from the dtype of A, {dtype}; cast one of them"
        ) from None


def integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        if isinstance(value, (float, np.floating)) and float(value).is_integer():
            return int(value)
        raise TypeError(f"{name} must be an integer; got {value!r}") from None


def generator(rng: Any) -> np.random.Generator:
    """Random numbers by a user's seed, but not those that a first vector by the same seed is made of."""
    made = np.random.default_rng(rng)
    return made if made is rng else made.spawn(1)[0]


def make_task(
    front: Front,
    k: int,
    which: Any,
    ncv: Any,
    maxiter: Any,
    tol: Any,
    accepted: Sequence[str],
    hermitian: bool,
    room: int,
) -> Task:
    """Check the arguments that say what is wanted; `room` is how many vectors are kept at least where `ncv` is None."""
    n = front.n
    if which not in accepted:
        raise ValueError(f"which must be one of {' '.join(accepted)}; got {which!r}")
    maxiter = 10 * n if maxiter is None else integer("maxiter", maxiter)
    if maxiter <= 0:
        raise ValueError(f"maxiter must be positive, maxiter={maxiter}")
    if not (isinstance(tol, (int, float, np.number)) and math.isfinite(tol)):
        raise ValueError(f"tol must be a finite number; got {tol!r}")
    extra = 0 if hermitian else 1  # for the other half of a pair
    if ncv is None:
        ncv = n if n <= 64 else min(n, max(2 * k + 1, room))
    else:
        ncv = min(integer("ncv", ncv), n)
        if ncv <= k + extra:
            raise ValueError(f"ncv must be {'k' if hermitian else 'k+1'}<ncv<=n, ncv={ncv}")
    real = front.dtype.kind != "c"
    return Task(k, which, ncv, maxiter, max(float(tol), front_eps(front)), hermitian, real)


def front_eps(front: Front) -> float:
    return float(np.finfo(front.dtype).eps)


def refuse_all(given: Any, M: Any, words: str) -> None:
    """SciPy's refusals of as many eigenvalues as there are, of anything but dense arrays."""
    message = "k >= N for N * N square matrix." if words == "eigh" else "k >= N - 1 for N * N square matrix."
    warn(f"{message} Attempting to use scipy.linalg.{words} instead.", RuntimeWarning, stacklevel=3)
    for name, X in (("A", given), ("M", M)):
        if issparse(X):
            if name == "A":
                raise TypeError(
                    f"Cannot use scipy.linalg.{words} for sparse A with k >= N{'' if words == 'eigh' else ' - 1'}. "
                    f"Use scipy.linalg.{words}(A.toarray()) or reduce k."
                )
        elif X is not None and not _dense.is_dense(X):
            raise TypeError(f"Cannot use scipy.linalg.{words} for LinearOperator {name} with that k. Reduce k.")


def no_convergence(front: Front, task: Task, found: Outcome, values: Any, vectors: Any) -> ArpackNoConvergence:
    """What to raise, with what has converged: `values` and `vectors` as columns."""
    message = f"No convergence ({found.restarts} iterations, {len(values)}/{task.k} eigenvectors converged)"
    return ArpackNoConvergence(message, front.finish(values), front.finish(vectors))


def operator_norm(front: Front, product: Any) -> float:
    """A lower bound of about the size of the operator, by a product with a vector that no symmetry prefers."""
    x = np.random.default_rng(0).standard_normal(front.n).astype(front.dtype)
    y = product(_dense.to_mlx(x, front.mlx_dtype) if front.lazy else x)
    return float(np.linalg.norm(_dense.view(y) if _dense.is_mlx(y) else y) / np.linalg.norm(x))

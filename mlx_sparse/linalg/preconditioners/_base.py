"""What every preconditioner is: products over either namespace, bound once for each dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes, _native
from ..._base import as_sparse, issparse
from ..._csr import csr_array
from .._interface import LinearOperator
from .._operator import Operator, Stage, as_operator
from .._problem import float_dtype, host_dtype, inexact, refuse_traced, require_square

Product = Callable[[Any], Any]


class Preconditioner(LinearOperator):
    """A linear operator near the inverse of a matrix, made by the functions of this module.

    Attributes
    ----------
    kind : str
        The function that made it.
    is_hermitian : bool
        Whether it is its own adjoint. Methods for Hermitian systems need that.
    on_device : bool
        Whether products with an `mx.array` are lazy and stay in MLX; else they are computed on ndarrays.
    shape, dtype, T, H
        As of any `LinearOperator`; `dtype` is NumPy's dtype of what it is made of. Products follow their operand.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> M = sp.linalg.preconditioners.jacobi(sp.csr_array([[4.0, 1.0], [1.0, 2.0]]))
    >>> M.kind, M.is_hermitian, M.on_device
    ('jacobi', True, True)
    """

    on_device = True

    def __init__(self, kind: str, n: int, dtype: Any, is_hermitian: bool) -> None:
        super().__init__(dtype, (n, n))
        self.kind, self.is_hermitian, self.args = kind, is_hermitian, ()
        self._bound: dict[Any, Product] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_bound": {}}

    def _bind(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        """x -> M x, or M^H x, over `mx.array` (lazy; `dtype` is MLX's) or ndarrays (`dtype` is NumPy's)."""
        raise NotImplementedError

    def _product(self, lazy: bool, dtype: Any, adjoint: bool) -> Product:
        adjoint = adjoint and not self.is_hermitian
        key = lazy, str(dtype), adjoint, lazy and str(mx.default_device())
        if key not in self._bound:
            if self._is_complex and not _dtypes.is_complex(_dtypes.mlx_dtype(dtype)):
                raise TypeError(f"the preconditioner is complex, and the system has dtype {dtype}")
            made = self._bind(lazy, dtype, adjoint)
            narrows = not lazy and not _dtypes.is_shared(np.dtype(dtype))  # what a GPU has no float64 for
            self._bound[key] = (lambda x: made(x).astype(dtype, copy=False)) if narrows else made
        return self._bound[key]

    def _stages(self, dtype: mx.Dtype, adjoint: bool) -> list[Stage] | None:
        """As `Operator.stages`."""
        return None

    @property
    def _is_complex(self) -> bool:
        return self.dtype.kind == "c"

    def _followed(self, x: Any, adjoint: bool) -> Any:
        """The product in the dtype of `x`, or the next one that holds it."""
        if _dense.is_mlx(x) and not _dense.is_wide(x):
            dtype = x.dtype if mx.issubdtype(x.dtype, mx.inexact) else _dtypes.default_float()
            dtype = mx.float32 if dtype in (mx.float16, mx.bfloat16) else dtype
            dtype = mx.complex64 if self._is_complex else dtype
            return self._product(True, dtype, adjoint)(x.astype(dtype))
        x = _dense.view(x) if _dense.is_mlx(x) else x
        dtype = np.promote_types(inexact(x.dtype), np.complex64) if self._is_complex else inexact(x.dtype)
        dtype = _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))
        return self._product(False, dtype, adjoint)(x.astype(dtype, copy=False))

    def _matvec(self, x: Any) -> Any:
        return self._followed(x, False) if x.ndim == 1 else self._matmat(x[..., None])[..., 0]

    def _rmatvec(self, x: Any) -> Any:
        return self._followed(x, True) if x.ndim == 1 else self._rmatmat(x[..., None])[..., 0]

    def _matmat(self, X: Any) -> Any:
        return self._columns(X, False)

    def _rmatmat(self, X: Any) -> Any:
        return self._columns(X, True)

    def _columns(self, X: Any, adjoint: bool) -> Any:
        if issparse(X):
            raise TypeError("a preconditioner has no product with a sparse array")
        if X.ndim == 2:
            return self._followed(X, adjoint)
        xp: Any = mx if _dense.is_mlx(X) else np
        first = xp.moveaxis(X, -2, 0)  # (n, ..., k)
        Y = self._followed(first.reshape((first.shape[0], -1)), adjoint)
        return xp.moveaxis(Y.reshape(first.shape), 0, -2)

    def _adjoint(self) -> Any:
        return self if self.is_hermitian else super()._adjoint()

    def _front(self) -> Operator:
        return _Front(self)

    def solve(self, b: Any) -> Any:
        """``M @ b``: an approximate solution of A x = b."""
        return self @ b


class _Front(Operator):
    """A preconditioner, or its adjoint, as solvers bind it."""

    explicit = False

    def __init__(self, M: Preconditioner, adjoint: bool = False) -> None:
        self.operand, self._adjoint = M, adjoint
        self.shape, self.dtype, self.on_host = tuple(M.shape), M.dtype, not M.on_device

    def host(self, dtype: Any = None) -> Product:
        if dtype is None:
            return lambda x: self.operand._followed(x, self._adjoint)
        return self.operand._product(False, np.dtype(dtype), self._adjoint)

    def device(self, dtype: mx.Dtype) -> Product:
        return self.operand._product(True, dtype, self._adjoint)

    @property
    def H(self) -> Operator:
        return _Front(self.operand, not self._adjoint)

    def stages(self, dtype: mx.Dtype) -> list[Stage] | None:
        return self.operand._stages(dtype, self._adjoint and not self.operand.is_hermitian)


# ---- what the functions of this module share -------------------------------------------------------------------------


def matrix(A: Any, what: str) -> Any:
    """`A` as a canonical csr array of a dtype of linear systems, with values that are there."""
    require_square(A)
    A = (as_sparse(A) if issparse(A) else csr_array(A)).tocsr()
    refuse_traced(A, what)
    return A.astype(_dtypes.mlx_dtype(float_dtype(host_dtype(A))), copy=False)._canonical()


def diagonal_of(A: Any, shift: float = 0.0) -> np.ndarray:
    """The diagonal of a csr array, as an ndarray of its own."""
    d = A.diagonal()
    d = np.array(_dense.view(d) if _dense.is_mlx(d) else d)
    return d + np.asarray(shift, d.dtype)


def check_diagonal(d: np.ndarray, least: float = 0.0) -> None:
    """Refuse numbers that cannot be divided by, naming the first one's row."""
    bad = ~(np.abs(d) > least) | ~np.isfinite(d)
    if bad.any():
        row = int(bad.argmax())
        raise np.linalg.LinAlgError(f"the diagonal of row {row} is {d[row]}, which cannot be divided by")


def real_number(x: Any, name: str) -> float:
    is_complex = x.dtype == mx.complex64 if _dense.is_mlx(x) else np.iscomplexobj(x)
    if is_complex or isinstance(x, str) or not _dense.is_scalar(x):
        raise TypeError(f"{name} must be a real number; got {x!r}")
    refuse_traced(x, f"a preconditioner with respect to {name}")
    found = float(x)
    if not np.isfinite(found):
        raise ValueError(f"{name} must be finite; got {x!r}")
    return found


def bound(front: Operator, lazy: bool, dtype: Any) -> Product:
    """The products of an operator. What is cast for them is evaluated: they are kept, and any thread may make them."""
    if lazy and front.sparse and front.required != dtype:
        A = front.operand.astype(dtype)
        _native.settle([A._data])
        front = as_operator(A)
    return front.device(dtype) if lazy else front.host(dtype)


def every(stages: Iterable[Stage | None]) -> list[Stage] | None:
    """All stages, or None where one is missing."""
    found = list(stages)
    return None if None in found else found  # type: ignore[return-value]


def constants(x: np.ndarray, lazy: bool, dtype: Any) -> Any:
    """An ndarray in the namespace and dtype of a product, evaluated."""
    if not lazy:
        return x.astype(dtype, copy=False)
    held = _dense.to_mlx(x, dtype)
    mx.eval(held)
    return held

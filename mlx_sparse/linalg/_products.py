"""What every linear operator does with an operand: shapes, namespaces, and one product by way of another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.sparse.linalg as _scipy

from .. import _dense, _dtypes, _native, _scipy_release
from .._base import issparse
from .._interop import reflecting
from .._shape import is_shape

BATCHES = _scipy_release.OPERATORS_HAVE_BATCHES
RANKS = tuple(range(2, 64)) if BATCHES else (2,)
# Inputs from which the dtype of a product is found, the first that functions take: (namespace, dtype).
_PROBES = (
    ("numpy", mx.int8),
    ("numpy", mx.float64),
    ("mlx", mx.int8),
    ("mlx", mx.float32),
    ("mlx", mx.float64),
    ("mlx", mx.complex64),
)


class Products(reflecting, _scipy.LinearOperator):
    """SciPy's class, with the products of this package."""

    _takes: str | None = None  # the namespace of what `_matvec` and the others take
    # What SciPy 1.18 compares before it combines an operator with its own.
    _xp: Any = getattr(_scipy.aslinearoperator(np.ones((1, 1))), "_xp", None)

    def __init__(self, dtype: Any, shape: Any, xp: Any = None) -> None:
        """For subclasses: `dtype` may be None."""
        shape = tuple(shape)
        if not is_shape(shape, RANKS):
            raise ValueError(f"invalid shape {shape!r} (must be {'at least ' * BATCHES}2-d)")
        self.shape: Any = tuple(map(int, shape))
        self.dtype: Any = None if dtype is None else _dtypes.numpy_dtype(dtype)
        if xp is not None:
            self._takes = "mlx" if xp is mx else "numpy"

    @property
    def ndim(self) -> int:  # type: ignore[override]
        return len(self.shape)

    def _init_dtype(self) -> None:
        """Find the dtype, where it is not known, by a product."""
        if self.dtype is not None:
            return
        known, failed = self._takes, None
        for takes, dtype in _PROBES:
            if known not in (None, takes) or dtype == mx.float64 and takes == "mlx" and not _dtypes.on_cpu():
                continue
            try:
                self._takes = takes if takes == "mlx" else known
                self.dtype = self.matvec(np.zeros(self.shape[-1], _dtypes.numpy_dtype(dtype))).dtype
            except OverflowError:  # a Python number that the integers of `dtype` do not hold
                self.dtype = np.dtype(int)
            except (TypeError, ValueError) as error:
                failed = failed or error
                continue
            return
        self._takes = known
        assert failed is not None
        raise failed

    def _defines(self, *names: str) -> bool:
        """Whether a user's class does, of any of these methods."""
        raise NotImplementedError

    # ---- what a subclass may define ----------------------------------------------------------------------------

    def _matvec(self, x: Any) -> Any:
        return self._matmat(x[..., None])[..., 0]

    def _matmat(self, X: Any) -> Any:
        return self._by_columns(self._matvec, X, self.shape[-2])

    def _rmatvec(self, x: Any) -> Any:
        if self._defines("_adjoint"):
            return self.H.matvec(x)
        if self._defines("_rmatmat"):
            return self._rmatmat(x[..., None])[..., 0]
        raise NotImplementedError(f"{type(self).__name__} has no product with its adjoint (rmatvec)")

    def _rmatmat(self, X: Any) -> Any:
        if self._defines("_adjoint"):
            return self.H.matmat(X)
        return self._by_columns(self._rmatvec, X, self.shape[-1])

    # ---- products ----------------------------------------------------------------------------------------------

    def matvec(self, x: Any) -> Any:
        """A @ x.

        Parameters
        ----------
        x : array_like, shape (N,) or (N, 1)
            With SciPy 1.18 also (..., N), a batch of vectors.

        Returns
        -------
        ndarray or mx.array, shape (M,), (M, 1) or (..., M)
            In the namespace of `x`; an `np.matrix` for an `np.matrix`.

        Raises
        ------
        ValueError
            Another shape, of `x` or of what the function gives.
        """
        return self._vector(x, False)

    def rmatvec(self, x: Any) -> Any:
        """A^H @ x, for `x` of shape (M,) or (M, 1); as `matvec`.

        Raises
        ------
        NotImplementedError
            Nothing tells the product with the adjoint.
        """
        return self._vector(x, True)

    def matmat(self, X: Any) -> Any:
        """A @ X.

        Parameters
        ----------
        X : array_like, shape (N, K)
            With SciPy 1.18 also (..., N, K). A sparse array if the operator's own product takes one.

        Returns
        -------
        ndarray or mx.array, shape (M, K) or (..., M, K)
            In the namespace of `X`; an `np.matrix` for an `np.matrix`.

        Raises
        ------
        ValueError
            Another shape, of `X` or of what the function gives.
        TypeError
            `X` is sparse, and the operator does not take it.
        """
        return self._block(X, False)

    def rmatmat(self, X: Any) -> Any:
        """A^H @ X, for `X` of shape (M, K); as `matmat`."""
        return self._block(X, True)

    def _vector(self, x: Any, adjoint: bool) -> Any:
        given, x = x, plain(x)
        m, n = self.shape[-2:]
        if adjoint:
            m, n = n, m
        column = x.shape == (n, 1)
        if column:
            if BATCHES and _dense.numpy_mode() and not isinstance(given, np.matrix):
                name, other = ("rmatvec", "rmatmat") if adjoint else ("matvec", "matmat")
                warn(
                    f"Calling `{name}` on 'column vectors' of shape `({n}, 1)` is deprecated in SciPy: `{other}` does "
                    "the same.",
                    FutureWarning,
                    stacklevel=3,
                )
            x = x.reshape(n)
        elif x.ndim == 0 or x.shape[-1] != n or x.ndim > 1 and not BATCHES:
            raise ValueError(f"Dimension mismatch: x must have shape ({n},) or ({n}, 1); got {tuple(x.shape)}")
        y = self._call(self._rmatvec if adjoint else self._matvec, x)
        lead = self._batch(x.shape[:-1])
        shape = (*lead, m, 1) if column else (*lead, m)
        if tuple(y.shape) != shape:
            if y.size != math.prod(shape):
                raise ValueError(f"invalid shape {tuple(y.shape)} of a product with a vector; expected {shape}")
            y = y.reshape(shape)
        return np.asmatrix(y) if isinstance(given, np.matrix) else y

    def _block(self, X: Any, adjoint: bool) -> Any:
        given, X = X, X if issparse(X) else plain(X)
        m, n = self.shape[-2:]
        if adjoint:
            m, n = n, m
        if X.ndim not in RANKS:
            raise ValueError(f"Expected {'at least ' * BATCHES}2-d array or matrix, not {X.ndim}-d")
        if X.shape[-2] != n:
            raise ValueError(f"Dimension mismatch: {self.shape}, {tuple(X.shape)}")
        product = self._rmatmat if adjoint else self._matmat
        if issparse(X):
            try:
                return product(X)
            except Exception as error:
                raise TypeError(
                    "Unable to multiply a LinearOperator with a sparse matrix. Try wrapping the matrix with "
                    "`aslinearoperator` first."
                ) from error
        Y = self._call(product, X)
        shape = (*self._batch(X.shape[:-2]), m, X.shape[-1])
        if tuple(Y.shape) != shape:
            if Y.size != math.prod(shape) or X.shape[-1] != 1:
                raise ValueError(f"invalid shape {tuple(Y.shape)} of a product with a matrix; expected {shape}")
            Y = Y.reshape(shape)
        return np.asmatrix(Y) if isinstance(given, np.matrix) else Y

    def _batch(self, shape: Any) -> tuple[int, ...]:
        """The axes in front of a product with an operand that has these."""
        batch = self.shape[:-2]
        return np.broadcast_shapes(batch, tuple(shape)) if batch and shape else tuple(batch or shape)

    def _call(self, product: Callable[[Any], Any], x: Any) -> Any:
        """product(x) in the namespace of x, whatever the product takes and gives."""
        if self._takes is None:
            return following(product(x), x)
        if self._takes == "numpy":
            return following(product(_dense.view(x) if _dense.is_mlx(x) else x), x)
        operand = _dense.to_mlx(x)
        if _dense.is_wide(operand):
            raise TypeError("functions of mx.array cannot take complex128, which MLX lacks; give complex64")
        return following(product(operand), x)

    def _by_columns(self, product: Callable[[Any], Any], X: Any, m: int) -> Any:
        if issparse(X):
            raise TypeError("products with vectors do not give one with a sparse array")
        columns = [following(product(X[..., j]), X) for j in range(X.shape[-1])]
        if X.ndim == self.ndim == 2:
            columns = [y.reshape(m) for y in columns]
        xp: Any = mx if _dense.is_mlx(columns[0] if columns else X) else np
        return xp.stack(columns, axis=-1) if columns else xp.zeros((*X.shape[:-2], m, 0), dtype=X.dtype)


def plain(x: Any) -> Any:
    """`x` as an `mx.array` or an ndarray that is no `np.matrix`."""
    if type(x) is np.ndarray or type(x) is mx.array:
        return x
    x = _dense.as_dense(x)
    return x if _dense.is_mlx(x) else np.asarray(x)


def following(y: Any, x: Any) -> Any:
    """The product `y` in the namespace of the operand `x`; what MLX has no dtype for is an ndarray."""
    y = plain(y)
    if y is x:  # of a function that gives back its argument
        return _native.handle(y) if _dense.is_mlx(y) else y.copy()
    if type(x) is type(y):
        return y
    if _dense.is_mlx(y):
        return _dense.view(y)
    _native.refuse_traced(x)
    return y if _dtypes.is_wide(_dtypes.mlx_dtype(y.dtype)) else _dense.to_mlx(y)

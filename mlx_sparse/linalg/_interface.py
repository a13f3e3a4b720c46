"""What the solvers take as an operator, and the linear system in the namespace of its right-hand side."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.sparse as _scipy_sparse
from scipy.sparse.linalg import LinearOperator

from .. import _dense, _dtypes, runtime
from .._base import _spbase, as_sparse, issparse

Apply = Callable[[Any], Any]
_HALVES = (mx.float16, mx.bfloat16)


@dataclass
class System:
    """A x = b with b, x as vectors of one dtype in one namespace; `psolve` is None without a preconditioner."""

    matvec: Apply
    psolve: Apply | None
    b: Any
    x: Any  # initial guess, owned by the solver; None means zero
    finish: Apply  # solution vector -> what the user gets


def make_system(A: Any, M: Any, x0: Any, b: Any) -> System:
    """Check shapes, settle the dtype and bind the products of a square linear system.

    Raises
    ------
    TypeError
        `A` or `M` is no operator, or an `mx.array` operand's dtype differs from that of `A`.
    ValueError
        `A` is not square, or another shape does not match it.
    """
    A, M = as_operator(A), None if M is None else as_operator(M)
    n = _square(A)
    b = _dense.as_dense(b)
    if tuple(b.shape) not in ((n,), (n, 1)):
        raise ValueError(f"shapes of A {tuple(A.shape)} and b {tuple(b.shape)} are incompatible")
    if M is not None and tuple(M.shape) != (n, n):
        raise ValueError("matrix and preconditioner have different shapes")
    on_device = _dense.is_mlx(b) or (isinstance(A, _spbase) and mx.default_device() != mx.Device(mx.cpu))
    system = _on_device(A, M, b) if on_device else _on_host(A, M, np.asarray(b))
    system.x = _initial_guess(x0, system, n)
    return system


def workers() -> AbstractContextManager[None]:
    """The block in which the solvers' own worker count holds (`runtime.SOLVER_THREADS`, `SOLVER_PARALLEL`)."""
    n = runtime.SOLVER_THREADS if runtime.SOLVER_PARALLEL else 1
    return nullcontext() if n == runtime.N_THREADS else runtime.context(n_threads=n)


def as_operator(A: Any) -> Any:
    """`A` with rank 2 if it is an array; a sparse or dense array, or anything with `shape` and `matvec` or ``@``."""
    if issparse(A):
        return A
    if isinstance(A, (np.ndarray, mx.array)):
        if A.ndim > 2:
            raise ValueError("array must have ndim <= 2")
        return A if _dense.is_mlx(A) else np.atleast_2d(np.asarray(A))
    if hasattr(A, "shape") and (hasattr(A, "matvec") or hasattr(A, "__matmul__")):
        return A
    raise TypeError(
        f"expected a sparse or dense array, or an object with shape and matvec or @; got {type(A).__name__}"
    )


def _square(A: Any) -> int:
    shape = tuple(A.shape)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"expected square matrix, but got shape={shape}")
    return shape[0]


def _initial_guess(x0: Any, system: System, n: int) -> Any:
    if x0 is None:
        return None
    if isinstance(x0, str):
        if x0 != "Mb":
            raise ValueError(f"x0 must be an array or 'Mb'; got {x0!r}")
        x0 = system.b if system.psolve is None else system.psolve(system.b)
    shape = np.shape(x0) if not _dense.is_mlx(x0) else tuple(x0.shape)
    if shape not in ((n,), (n, 1)):
        raise ValueError(f"shapes of A {(n, n)} and x0 {shape} are incompatible")
    if _dense.is_mlx(system.b):
        return mx.reshape(_dense.to_mlx(x0, system.b.dtype), (-1,))
    host = _dense.view(x0) if _dense.is_mlx(x0) else x0
    return np.array(host, dtype=system.b.dtype).ravel()


# ---- on the host --------------------------------------------------------------------------------------------------


def _on_host(A: Any, M: Any, b: np.ndarray) -> System:
    dtype = np.promote_types(_inexact(_host_dtype(A, b)), _inexact(b.dtype))
    if isinstance(A, _spbase):  # whose values hold complex64 at most
        dtype = _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))
    b = b.astype(dtype, copy=False).ravel()
    psolve = None if M is None else _host_product(M, dtype)
    return System(_host_product(A, dtype), psolve, b, None, lambda x: x)


def _inexact(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.char in "fdFD" else np.dtype(np.float64)


def _host_dtype(A: Any, b: np.ndarray) -> np.dtype:
    if isinstance(A, _spbase):
        return _dtypes.numpy_dtype(A._data.dtype)
    found = getattr(A, "dtype", None)
    if found is None:
        return np.asarray(_host_product(A, None)(b.ravel())).dtype
    return _dtypes.numpy_dtype(found)


def _host_product(A: Any, dtype: Any) -> Apply:
    """x -> A x over ndarrays; conversions that the product would repeat are made once."""
    if isinstance(A, _spbase):
        cs: Any = _compressed(A).astype(dtype, copy=False)
        mx.eval(cs._data, cs._indices, cs._indptr)  # evaluated buffers spare every product the graph
        return cs.__matmul__
    if _dense.is_mlx(A):
        A = _dense.view(A)
    if isinstance(A, np.ndarray) or _scipy_sparse.issparse(A):
        return A.__matmul__
    call = A.matvec if hasattr(A, "matvec") else A.__matmul__
    return lambda x: np.asarray(_host(call(x))).reshape(-1)


def _compressed(A: Any) -> Any:
    return A if A.format in ("csr", "csc") else A.tocsr()


def _host(y: Any) -> Any:
    return _dense.view(y) if _dense.is_mlx(y) else y


# ---- on MLX's device ----------------------------------------------------------------------------------------------


def _on_device(A: Any, M: Any, b: Any) -> System:
    on_host = not _dense.is_mlx(b)
    known = _device_dtype(A)
    if on_host:
        dtype = _dtypes.result_type(known or _dtypes.default_float(), _inexact(b.dtype))
        b = _dense.to_mlx(b, dtype)
    elif (isinstance(A, _spbase) or _dense.is_mlx(A)) and known != b.dtype:
        raise TypeError(
            f"the dtype of b, {b.dtype}, differs from the dtype of A, {known}; cast one of them with astype"
        )
    else:
        dtype = b.dtype
    if dtype in _HALVES:  # a residual in half precision would stall
        dtype = mx.float32
    elif not mx.issubdtype(dtype, mx.inexact):
        dtype = _dtypes.default_float()
    b = mx.reshape(b.astype(dtype), (-1,))
    psolve = None if M is None else _device_product(M, dtype)
    return System(_device_product(A, dtype), psolve, b, None, _dense.view if on_host else lambda x: x)


def _device_dtype(A: Any) -> mx.Dtype | None:
    if isinstance(A, _spbase):
        return A._data.dtype
    return A.dtype if _dense.is_mlx(A) else None


def _device_product(A: Any, dtype: mx.Dtype) -> Apply:
    """x -> A x over `mx.array` of `dtype`."""
    if issparse(A):
        return _compressed(as_sparse(A)).astype(dtype, copy=False).__matmul__
    if isinstance(A, (np.ndarray, mx.array)):
        matrix = _dense.to_mlx(A, dtype)
        return lambda x: matrix @ x
    call = A.matvec if hasattr(A, "matvec") else A.__matmul__
    if isinstance(A, LinearOperator):  # SciPy's works on ndarrays
        return lambda x: mx.reshape(_dense.to_mlx(np.asarray(call(_dense.view(x))), dtype), (-1,))
    return lambda x: mx.reshape(_dense.to_mlx(call(x), dtype), (-1,))

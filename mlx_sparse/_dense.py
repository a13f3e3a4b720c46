"""The boundary between dense arrays and sparse ones: MLX, NumPy and array-API arrays in, MLX or NumPy out.

Buffers of sparse arrays are `mx.array` (values of a dtype that MLX lacks a `_native.WideArray`: see `_values`). NumPy
sees them through views (no copy); arrays from elsewhere are copied once on the way in, because a shared buffer could
change under a graph node.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Iterable
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dtypes, _native, runtime

_SHORT = 1 << 21
_LARGE = 1 << 24  # bytes from which on memory is asked for before MLX is
_INT32 = np.dtype(np.int32)
_PIECE = 1 << 16  # elements that NumPy computes at a time
exposing = threading.RLock()  # held while a view is handed out, or assigned buffers are taken
# A dict is read in a tenth of the time that a module of another class, which checks what is assigned, takes.
settings = vars(runtime)


def _after_fork_in_child() -> None:
    global exposing  # a thread that is not there may hold it
    exposing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def is_mlx(x: Any) -> bool:
    """Whether `x` is what buffers are."""
    return isinstance(x, (mx.array, _native.WideArray))


def is_wide(x: Any) -> bool:
    """Whether users get an ndarray for `x` in mlx mode, too, since there is no `mx.array` of it."""
    return type(x) is _native.WideArray


def is_dense(x: Any) -> bool:
    return isinstance(x, (np.ndarray, mx.array))


def is_scalar(x: Any) -> bool:
    """Python and NumPy scalars, and rank-0 dense arrays."""
    return np.isscalar(x) or (is_dense(x) and x.ndim == 0)


def python_scalar(x: Any) -> Any:
    """A scalar operand as NumPy promotes it."""
    if not is_mlx(x):
        return x
    _native.refuse_traced(x)
    _native.evaluate(x)
    return x.item()


def is_constant(a: mx.array) -> bool:
    """Whether `a` has values that may be read: it is not traced, or went through `mx.stop_gradient`."""
    try:
        _native.refuse_traced(a)
    except ValueError:
        return False
    return True


def view(a: mx.array) -> np.ndarray:
    """`a` as an ndarray over the same memory (bfloat16, which NumPy lacks, is copied to float32). Evaluates `a`.

    Raises
    ------
    ValueError
        `a` is traced: what NumPy made of it would have a gradient of zero. `mx.stop_gradient` says that this is meant.
    RuntimeError
        `a` is pending and was made in another thread: it can be evaluated there only, by `mx.eval`.
    MemoryError
        There is no memory for what is still to be computed.
    """
    v = _native.view(a)
    return _native.view(a.astype(mx.float32)) if v is None else v


def view_of_new(a: mx.array) -> np.ndarray:
    """`view` of an array that nobody else has yet, which is quicker where it is pending."""
    v = _native.view_of_new(a)
    return view(a) if v is None else v


def in_namespace(a: mx.array) -> Any:
    """What the user gets for a dense result that no dense operand decides: see `runtime.dense_namespace`."""
    if settings["dense_namespace"] == "mlx" and not is_wide(a):
        return _native.handle(a)
    v = _native.view_of_new(a)
    v = view(a) if v is None else v  # bfloat16
    return v if v.ndim else v[()]


def ready(*arrays: mx.array) -> bool:
    """Whether NumPy can compute on views of these at once: evaluated, untraced, on the CPU, of a dtype that it has."""
    if mx.default_device().type != mx.DeviceType.cpu:  # a view would move its memory to the host
        return False
    return all(a.dtype != mx.bfloat16 and _native.is_available(a) and not _native.is_tracer(a) for a in arrays)


def numpy_is_quicker(*arrays: mx.array) -> bool:
    """Whether NumPy computes on views of these at once, since a graph would cost more."""
    return _native.numpy_is_quicker(*arrays)


def on_shaders(a: mx.array) -> bool:
    """Whether shaders serve operations on values such as these: on a GPU, or in place of the CPU kernels."""
    return not is_wide(a) and _native.uses_shaders(None)


def expect(shape: Iterable[int], dtype: mx.Dtype) -> None:
    """What MLX must be able to have, asked before it is told to: it crashes where there is no memory.

    Raises
    ------
    MemoryError
        An array of this shape and dtype is too large for this process or machine.
    OverflowError
        Or for MLX, whose dimensions are below 2**31.
    """
    shape = tuple(shape)
    bytes = math.prod(shape) * dtype.size
    if bytes >= _LARGE:
        _native.expect_memory(min(bytes, 2**64 - 1))
    if max(shape, default=0) > _dtypes.INT32_MAX:
        raise OverflowError(f"MLX has no arrays of shape {shape}: dimensions must be below 2**31")


def expect_on_host(bytes: int) -> None:
    """What NumPy and LAPACK must be able to have, whatever the device is: systems promise more than there is.

    Raises
    ------
    MemoryError
        So much is more than this process or machine has.
    """
    if bytes >= _LARGE:
        _native.expect_memory(min(bytes, 2**64 - 1), True)


def uninitialized(shape: int | tuple[int, ...], dtype: mx.Dtype) -> Any:
    """Memory of this shape, to be written to through a view."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    if _dtypes.is_wide(dtype):
        return _native.wide(shape)
    return _native.uninitialized(shape, mx.zeros(0, dtype=dtype))


def full(shape: int | tuple[int, ...], value: float, dtype: mx.Dtype, stream: Any = None) -> Any:
    """`value` throughout `shape`: written at once if that is quicker than a node, else lazy."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    n = math.prod(shape)
    wide = _dtypes.is_wide(dtype)
    if wide or n < _SHORT and stream is None and mx.default_device().type == mx.DeviceType.cpu:
        if n == 0 or dtype != mx.bfloat16:
            made = uninitialized(shape, dtype)
            if n:
                view(made).fill(value)
            return made
    expect(shape, dtype)
    return mx.full(shape, mx.array(value, dtype=dtype), stream=stream)  # of a number alone it would not be bool


def mapped(f: Any, a: mx.array, dtype: Any = None, reuse: bool = False) -> mx.array:
    """f, which NumPy computes element by element, over the elements of `a`, as `dtype` (default: what f gives).

    A piece at a time: f's results would be a second copy of the whole. With `reuse` they may take the place of the
    elements, for a buffer that nothing else can see.
    """
    v = view(a)
    short = a.dtype == mx.bfloat16 or dtype is not None and dtype == mx.bfloat16
    if v.size <= _PIECE or short or not v.flags.c_contiguous:
        return to_mlx(f(v), dtype)
    target = _dtypes.mlx_dtype(f(v.flat[:1]).dtype) if dtype is None else dtype
    made = a if reuse and target == a.dtype else uninitialized(v.shape, target)
    elements, out = v.reshape(-1), view(made).reshape(-1)
    for low in range(0, v.size, _PIECE):
        at = slice(low, low + _PIECE)
        out[at] = f(elements[at])
    return made


def count_nonzero(v: np.ndarray) -> int:
    """`numpy.count_nonzero`, by pieces: of floats themselves it takes twice as long as of a comparison."""
    flat = v.reshape(-1)
    return sum(int(np.count_nonzero(flat[low : low + _PIECE] != 0)) for low in range(0, flat.size, _PIECE))


def like(a: mx.array, operand: Any) -> Any:
    """Dense result `a`, which nobody else has yet, in the namespace of the dense operand that it came from."""
    return settled(a) if is_mlx(operand) else view_of_new(a)


def settled(a: Any) -> Any:
    """`a`, evaluated if users hold views of buffers: what they write must not reach what was asked for before."""
    if is_wide(a):
        return view(a)
    if not _native.is_tracer(a) and _native.any_exposed(beside_kept=True):
        _native.evaluate(a)
    return a


def numpy_mode() -> bool:
    """True in the drop-in mode, where SciPy's conventions win over MLX's throughout."""
    return settings["dense_namespace"] == "numpy"


def out_dtype(dtype: mx.Dtype) -> Any:
    return _dtypes.numpy_dtype(dtype) if numpy_mode() or _dtypes.is_wide(dtype) else dtype


def as_dense(x: Any) -> Any:
    """An `mx.array` or an `ndarray` for any array-like (lists, and anything with DLPack or `__array__`).

    Raises
    ------
    ValueError
        A traced array stands within a list.
    """
    x = imported(x)
    if is_dense(x):
        return x
    _native.refuse_traced_within(x)
    return np.asanyarray(x)


def at_least_2d(x: Any) -> Any:
    """`as_dense(x)`, a vector as one row."""
    x = as_dense(x)
    return mx.atleast_2d(x) if is_mlx(x) else np.atleast_2d(x)


def fromdense(x: Any, by_rows: bool, dtype: Any = None) -> tuple[mx.array, mx.array, mx.array] | None:
    """(data, indices, indptr) of the elements that are not zero, by rows or by columns. Synchronises.

    None where NumPy has to find them: in an array of another rank, or of a dtype that MLX lacks; of a traced array.
    """
    if is_mlx(x) and _native.is_tracer(x):
        return None
    v = view(x) if is_mlx(x) else x
    if v.ndim != 2 or not _dtypes.is_shared(v.dtype) or any(step % v.itemsize for step in v.strides):
        return None
    wide = _dtypes.index_dtype(maxval=max(v.shape)) == mx.int64
    data, indices, indptr = _native.fromdense(v, by_rows, wide)
    if dtype is None and is_mlx(x):
        dtype = x.dtype
    if dtype is not None and dtype != data.dtype:
        data = to_mlx(view(data), dtype)
    return data, indices, indptr


def imported(x: Any) -> Any:
    """`x`, but an ndarray for an array of a library that shares memory through DLPack alone."""
    alone = not is_dense(x) and hasattr(x, "__dlpack__") and not hasattr(x, "__array__")
    return np.from_dlpack(x) if alone else x


def narrow(x: np.ndarray) -> np.ndarray:
    """A result that NumPy computed, in the dtype that an operand of its dtype has here."""
    try:
        host = _dtypes.numpy_dtype(_dtypes.mlx_dtype(x.dtype))
    except ValueError:  # a dtype of NumPy's own, such as longdouble
        return x
    return x.astype(host, copy=False)


def to_mlx(x: Any, dtype: Any = None, stream: Any = None) -> mx.array:
    """`x` as an `mx.array` of `dtype` (default: its own; NumPy float64 stays float64 on the CPU).

    An `mx.array` is held by a handle of its own, and cast lazily to another dtype; everything else is copied.
    """
    if type(x) is np.ndarray:
        as_is = dtype is None or x.dtype == _dtypes.numpy_dtype(dtype) and dtype != mx.bfloat16
        if as_is and _dtypes.is_shared(x.dtype):
            copied = _native.from_numpy(x)
            if copied is not None:
                return copied
        a = x
    elif is_mlx(x):
        made = _native.handle(x) if dtype is None or x.dtype == dtype else cast(x, dtype, stream)
        return made if is_wide(made) else settled(made)
    else:
        if isinstance(x, (list, tuple)) and dtype is not None and _dtypes.is_integral(dtype):
            x = _integers(x, _dtypes.numpy_dtype(dtype))
        a = np.asarray(as_dense(x))
    if a.size == 0:  # mx.array reads past the end of an empty buffer
        return full(a.shape, 0, _dtypes.mlx_dtype(a.dtype) if dtype is None else dtype, stream)
    target: Any = _dtypes.mlx_dtype(a.dtype) if dtype is None else dtype
    host = _dtypes.numpy_dtype(target)
    if a.dtype != host:
        with np.errstate(invalid="ignore", over="ignore"):
            if a.dtype.kind == "c" and host.kind != "c":
                if isinstance(x, (list, tuple)):
                    raise TypeError(f"complex numbers in a {type(x).__name__} cannot become {host}")
            a = a.astype(host)  # which warns of a lost imaginary part
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    if a.nbytes >= _LARGE:
        expect(a.shape, target)
    if _dtypes.is_wide(target):
        wide = uninitialized(a.shape, target)
        view(wide)[...] = a
        return wide
    if target == mx.float64:
        return mx.array(_contiguous(a), dtype=target)
    made = mx.array(_contiguous(a))
    return made if made.dtype == target else made.astype(target, stream=stream)


def scalar(x: Any, dtype: Any) -> Any:
    """A number of NumPy's as a 0-d buffer."""
    return to_mlx(np.asarray(x), dtype)


def cast(x: Any, dtype: Any, stream: Any = None) -> Any:
    """`x` as `dtype`, as NumPy casts: a lost imaginary part warns, and a complex number is True unless it is zero."""
    if x.dtype == dtype:
        return x
    if is_wide(x) or _dtypes.is_wide(dtype):
        if _native.is_tracer(x):
            raise ValueError(
                f"{_dtypes.name(dtype)} values have no derivative: MLX lacks them; complex64 values have one"
            )
        return to_mlx(view(x), dtype, stream)
    if x.dtype == mx.complex64 and dtype != mx.complex64:
        if dtype == mx.bool_:
            return mx.not_equal(x, mx.array(0, dtype=mx.complex64), stream=stream)
        warnings.warn(
            "Casting complex values to real discards the imaginary part", np.exceptions.ComplexWarning, stacklevel=3
        )
        x = mx.real(x, stream=stream)
    if stream is None and dtype != mx.bfloat16 and numpy_is_quicker(x):
        return to_mlx(view(x), dtype)
    return x.astype(dtype, stream=stream)


def _integers(x: Any, host: np.dtype) -> Any:
    """A list as an integer array, without the detour over float64 that 64-bit values do not survive."""
    try:
        return np.array(x, dtype=host)
    except (TypeError, ValueError, OverflowError):
        return x


def freeze(x: Any) -> Any:
    """`x`, with every `mx.array` in it as a (dtype name, ndarray) pair that can be pickled."""
    if is_mlx(x):
        return _Frozen((_dtypes.name(x.dtype), np.array(view(x))))
    return tuple(freeze(v) for v in x) if type(x) is tuple else x


def thaw(x: Any) -> Any:
    """What `freeze` made, as it was."""
    if isinstance(x, _Frozen):
        return to_mlx(x[1], _dtypes.named(x[0]))
    return tuple(thaw(v) for v in x) if type(x) is tuple else x


class _Frozen(tuple):
    """A pickled buffer."""


def as_integers(a: np.ndarray) -> np.ndarray | None:
    """Integers and whole numbers in floating point as integers; None for an array of anything else (NaN, strings)."""
    if a.dtype.kind in "iu":
        return a
    if a.dtype.kind != "f":
        return None
    with np.errstate(invalid="ignore"):
        whole = a.astype(np.int64)
    return whole if np.array_equal(a, whole) else None


def index_dtype_of(arrays: Any, maxval: int | None = None, contents: bool = False) -> mx.Dtype:
    """`_dtypes.index_dtype` of index arrays as the user gives them; what holds no integers asks for nothing.

    With `contents` an array whose values fit int32 asks for no more, whatever its dtype.
    """
    return _dtypes.index_dtype([_index_dtype(x, contents) for x in arrays], maxval)


def _index_dtype(x: Any, contents: bool) -> Any:
    if type(x) is np.ndarray and (not contents or x.dtype == _INT32):
        return x.dtype
    x = imported(x)
    if contents and not (is_mlx(x) and _native.is_tracer(x)) and _dtypes.fits_int32(x if is_mlx(x) else np.asarray(x)):
        return np.dtype(np.int32)
    if is_mlx(x):
        return x.dtype if x.dtype != mx.bool_ else mx.int32
    if isinstance(x, np.ndarray):
        return x.dtype
    a = np.asarray(x)
    return a.dtype if a.size and a.dtype.kind in "iu" else np.dtype(np.int32)


def to_index(x: Any, dtype: mx.Dtype, name: str) -> mx.array:
    """`x` as an index buffer of `dtype`; a narrowing that would overflow is an error."""
    host = _dtypes.numpy_dtype(dtype)
    if type(x) is np.ndarray:
        copied = _native.from_numpy(x) if x.dtype == host else None
        if copied is not None:
            return copied
    else:
        x = imported(x)
    if is_mlx(x):
        if not mx.issubdtype(x.dtype, mx.integer):
            raise ValueError(f"{name} must hold integers; got dtype {x.dtype}")
        if x.dtype == dtype:
            return _native.handle(x)
        if dtype == mx.int64 or x.dtype.size < 4:
            return as_index(x, dtype)
        x = view(x)
    a = np.asarray(x)
    if a.size == 0:
        return full(a.shape, 0, dtype)
    if a.dtype.kind not in "iub":
        whole = as_integers(a)
        if whole is None:
            raise ValueError(f"{name} must hold integers; got dtype {a.dtype}")
        a = whole
    if a.dtype != host:
        given, a = a, a.astype(host)
        if not np.can_cast(given.dtype, host) and np.not_equal(given, a).any():
            raise OverflowError(f"{name} does not fit {host}")
    if a.nbytes >= _LARGE:
        expect(a.shape, dtype)
    return mx.array(_contiguous(a))


def as_index(x: mx.array, dtype: mx.Dtype) -> mx.array:
    """An index array as `dtype`, which holds it; at once where it can be, as structure does not stay in the graph."""
    if x.dtype == dtype:
        return x
    if not ready(x):
        return x.astype(dtype)
    made = uninitialized(tuple(x.shape), dtype)
    view(made)[...] = view(x)
    return made


def _contiguous(a: np.ndarray) -> np.ndarray:
    """`a` as MLX reads it: in C order, without the negative strides that NumPy leaves to axes of length 1."""
    if not a.ndim:
        return a
    return a.copy() if min(a.strides) < 0 else np.ascontiguousarray(a)

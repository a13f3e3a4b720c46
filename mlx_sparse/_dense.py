"""The boundary between dense arrays and sparse ones: MLX, NumPy and array-API arrays in, MLX or NumPy out.

Buffers of sparse arrays are always `mx.array`. NumPy sees them through views (no copy); arrays from elsewhere are
copied once on the way in, because a shared buffer could change under a graph node.
"""

from __future__ import annotations

import weakref
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dtypes, _native, runtime

_SHORT = 1 << 18
_PIECE = 1 << 16  # elements that NumPy computes at a time
_WIDE = {"q": np.int64, "Q": np.uint64}
# Views that someone still holds, by the identity of the buffer, which each of them keeps alive.
_views: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()


def is_mlx(x: Any) -> bool:
    return isinstance(x, mx.array)


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
    return x.item()


def view(a: mx.array) -> np.ndarray:
    """`a` as an ndarray over the same memory (bfloat16, which NumPy lacks, is copied to float32). Evaluates `a`.

    Raises
    ------
    ValueError
        `a` is traced: what NumPy made of it would have a gradient of zero. `mx.stop_gradient` says that this is meant.
    """
    _native.refuse_traced(a)  # NumPy would take its values for constants
    if a.dtype == mx.bfloat16:
        a = a.astype(mx.float32)
    mx.eval(a)  # an error in a CPU task surfaces here, and only here
    if a.size == 0 and mx.default_device().type == mx.DeviceType.gpu:  # may have no buffer there, and NumPy would crash
        return np.empty(a.shape, _dtypes.numpy_dtype(a.dtype))
    v = np.asarray(a)
    # MLX exports 64-bit integers as C's long long, which NumPy tells apart from int64 where both have 64 bits.
    return v.view(_WIDE[v.dtype.char]) if v.dtype.char in _WIDE else v


def in_namespace(a: mx.array) -> Any:
    """What the user gets for a dense result that no dense operand decides: see `runtime.dense_namespace`."""
    if runtime.dense_namespace == "mlx":
        return a
    v = view(a)
    return v if v.ndim else v[()]


def attribute(a: mx.array) -> Any:
    """What the user gets for a buffer: a handle of its own, which `v[0] = 1` changes alone; in numpy mode a view, and
    the same view while it is held.
    """
    if runtime.dense_namespace == "mlx":
        return _native.handle(a)
    v = view(a)
    if a.dtype == mx.bfloat16:  # a copy
        return v
    held = _views.get(id(a))
    if held is not None and _address(held) == _address(v) and held.shape == v.shape and held.dtype == v.dtype:
        return held
    _views[id(a)] = v
    return v


def _address(v: np.ndarray) -> int:
    return v.__array_interface__["data"][0]


def ready(*arrays: mx.array) -> bool:
    """Whether NumPy can compute on views of these at once: evaluated, untraced, on the CPU, of a dtype that it has."""
    if mx.default_device().type != mx.DeviceType.cpu:  # a view would move its memory to the host
        return False
    return all(a.dtype != mx.bfloat16 and _native.is_available(a) and not _native.is_tracer(a) for a in arrays)


def numpy_is_quicker(*arrays: mx.array) -> bool:
    """Whether NumPy computes on views of these at once, since a graph would cost more."""
    return _native.numpy_is_quicker(*arrays)


def full(n: int, value: float, dtype: mx.Dtype, stream: Any = None) -> mx.array:
    """`n` times `value`: written at once if that is quicker than a node, else lazy."""
    if n < _SHORT and stream is None and dtype != mx.bfloat16 and mx.default_device().type == mx.DeviceType.cpu:
        made = _native.uninitialized((n,), mx.zeros(0, dtype=dtype))
        view(made).fill(value)
        return made
    return mx.full((n,), mx.array(value, dtype=dtype), stream=stream)  # of a number alone it would not be bool


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
    made = a if reuse and target == a.dtype else _native.uninitialized(v.shape, mx.zeros(0, dtype=target))
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
    """Dense result `a` in the namespace of the dense operand that it came from."""
    return a if is_mlx(operand) else view(a)


def numpy_mode() -> bool:
    """True in the drop-in mode, where SciPy's conventions win over MLX's throughout."""
    return runtime.dense_namespace == "numpy"


def out_dtype(dtype: mx.Dtype) -> Any:
    return _dtypes.numpy_dtype(dtype) if numpy_mode() else dtype


def as_dense(x: Any) -> Any:
    """An `mx.array` or an `ndarray` for any array-like (lists, and anything with DLPack or `__array__`)."""
    x = imported(x)
    return x if is_dense(x) else np.asanyarray(x)


def fromdense(x: Any, by_rows: bool, dtype: Any = None) -> tuple[mx.array, mx.array, mx.array] | None:
    """(data, indices, indptr) of the elements that are not zero, by rows or by columns. Synchronises.

    None where NumPy has to find them: in an array of another rank, or of a dtype that MLX lacks.
    """
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

    An `mx.array` of another dtype is cast lazily; everything else is copied.
    """
    if is_mlx(x):
        return x if dtype is None or x.dtype == dtype else x.astype(dtype, stream=stream)
    if isinstance(x, (list, tuple)) and dtype is not None and _dtypes.is_integral(dtype):
        x = _integers(x, _dtypes.numpy_dtype(dtype))
    a = np.asarray(as_dense(x))
    if a.size == 0:  # mx.array reads past the end of an empty buffer
        return mx.zeros(a.shape, dtype=_dtypes.mlx_dtype(a.dtype) if dtype is None else dtype, stream=stream)
    target = _dtypes.mlx_dtype(a.dtype) if dtype is None else dtype
    host = _dtypes.numpy_dtype(target)
    if a.dtype != host:
        with np.errstate(invalid="ignore", over="ignore"):
            if a.dtype.kind == "c" and host.kind != "c":
                if isinstance(x, (list, tuple)):
                    raise TypeError(f"complex numbers in a {type(x).__name__} cannot become {host}")
                a = a.real  # SciPy's casts drop the imaginary part the same way
            a = a.astype(host)
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    if target == mx.float64:
        return mx.array(np.ascontiguousarray(a) if a.ndim else a, dtype=target)
    made = mx.array(np.ascontiguousarray(a) if a.ndim else a)
    return made if made.dtype == target else made.astype(target, stream=stream)


def _integers(x: Any, host: np.dtype) -> Any:
    """A list as an integer array, without the detour over float64 that 64-bit values do not survive."""
    try:
        return np.array(x, dtype=host)
    except (TypeError, ValueError, OverflowError):
        return x


def freeze(x: Any) -> Any:
    """`x`, with every `mx.array` in it as a (dtype name, ndarray) pair that can be pickled."""
    if is_mlx(x):
        return _Frozen((str(x.dtype).removeprefix("mlx.core."), np.array(view(x))))
    return tuple(freeze(v) for v in x) if type(x) is tuple else x


def thaw(x: Any) -> Any:
    """What `freeze` made, as it was."""
    if isinstance(x, _Frozen):
        return to_mlx(x[1], getattr(mx, "bool_" if x[0] == "bool" else x[0]))
    return tuple(thaw(v) for v in x) if type(x) is tuple else x


class _Frozen(tuple):
    """A pickled buffer."""


def index_dtype_of(arrays: Any, maxval: int | None = None) -> mx.Dtype:
    """`_dtypes.index_dtype` of index arrays as the user gives them; what holds no integers asks for nothing."""
    return _dtypes.index_dtype(map(_index_dtype, arrays), maxval)


def _index_dtype(x: Any) -> Any:
    x = imported(x)
    if is_dense(x):
        return x.dtype if x.dtype != mx.bool_ else mx.int32
    a = np.asarray(x)
    return a.dtype if a.size and a.dtype.kind in "iu" else np.dtype(np.int32)


def to_index(x: Any, dtype: mx.Dtype, name: str) -> mx.array:
    """`x` as an index buffer of `dtype`; a narrowing that would overflow is an error."""
    x = imported(x)
    if is_mlx(x):
        if not mx.issubdtype(x.dtype, mx.integer):
            raise ValueError(f"{name} must hold integers; got dtype {x.dtype}")
        if x.dtype == dtype:
            return x
        if dtype == mx.int64 or x.dtype.size < 4:
            return x.astype(dtype)
        x = view(x)
    a = np.asarray(x)
    if a.size == 0:
        return mx.zeros(a.shape, dtype=dtype)
    if a.dtype.kind not in "iub":
        with np.errstate(invalid="ignore"):
            b = a.astype(np.int64) if a.dtype.kind == "f" else None
        if b is None or not np.array_equal(a, b):
            raise ValueError(f"{name} must hold integers; got dtype {a.dtype}")
        a = b
    host = _dtypes.numpy_dtype(dtype)
    if a.dtype != host:
        if a.size and not np.can_cast(a.dtype, host):
            info = np.iinfo(host)
            if a.max() > info.max or a.min() < info.min:
                raise OverflowError(f"{name} does not fit {host}")
        a = a.astype(host)
    return mx.array(np.ascontiguousarray(a))

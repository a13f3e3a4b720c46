"""Value-dtype promotion, the index-dtype rule, and what a device can hold. Stated here and nowhere else."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np


class WideDtype:
    """A value dtype that MLX lacks, in the place of an `mx.Dtype`: `_native.WideArray` has it."""

    size = 16  # bytes

    def __repr__(self) -> str:
        return "complex128"

    def __reduce__(self) -> str:
        return "complex128"


complex128: mx.Dtype = WideDtype()  # type: ignore[assignment]
_KINDS: Any = (mx.Dtype, WideDtype)

_PAIRS = [
    (mx.bool_, np.bool_),
    (mx.uint8, np.uint8),
    (mx.uint16, np.uint16),
    (mx.uint32, np.uint32),
    (mx.uint64, np.uint64),
    (mx.int8, np.int8),
    (mx.int16, np.int16),
    (mx.int32, np.int32),
    (mx.int64, np.int64),
    (mx.float16, np.float16),
    (mx.float32, np.float32),
    (mx.float64, np.float64),
    (mx.complex64, np.complex64),
    (complex128, np.complex128),
]
_TO_NUMPY = {m: np.dtype(n) for m, n in _PAIRS}
_SEEN = _TO_NUMPY | {mx.bfloat16: np.dtype(np.float32)}
_TO_MLX = {np.dtype(n): m for m, n in _PAIRS}
_INTEGRAL = {m for m, n in _TO_NUMPY.items() if n.kind in "biu"}
_COMPLEX = {m for m, n in _TO_NUMPY.items() if n.kind == "c"}
_SUMS = {m: mx.uint64 if _TO_NUMPY[m].kind == "u" else mx.int64 for m in _INTEGRAL}
# What becomes of a dtype that only the CPU has when it comes from NumPy and the default device is another.
_NARROW: dict[mx.Dtype, mx.Dtype] = {mx.float64: mx.float32, complex128: mx.complex64}
# By NumPy's name, which is quicker to look up than the dtype: what it is on the CPU and elsewhere.
_BY_NAME = {n.str: (m, _NARROW.get(m, m)) for m, n in _TO_NUMPY.items()}
_INT32 = np.dtype(np.int32)
INT32_MAX = 2**31 - 1


def on_cpu() -> bool:
    """Whether the default device has the dtypes that only the CPU has."""
    return mx.default_device().type == mx.DeviceType.cpu


def default_float() -> mx.Dtype:
    """float64 where the default device can hold it, else float32."""
    return mx.float64 if on_cpu() else mx.float32


def mlx_dtype(dtype: Any) -> mx.Dtype:
    """Value dtype for an MLX dtype, a NumPy dtype or anything `numpy.dtype` accepts.

    float64 becomes float32, and complex128 complex64, when the default device is a GPU.
    """
    if not isinstance(dtype, _KINDS):
        dt = np.dtype(dtype)
        here, elsewhere = _BY_NAME.get(dt.str) or _of_numpy(dt)
        return here if here is elsewhere or on_cpu() else elsewhere
    if dtype in _NARROW and not on_cpu():
        raise ValueError(f"dtype {name(dtype)} exists only on the CPU; use {name(_NARROW[dtype])}, or use_cpu()")
    return dtype


def _of_numpy(dt: np.dtype) -> tuple[mx.Dtype, mx.Dtype]:
    native = dt.newbyteorder("=").str
    if native not in _BY_NAME:
        raise ValueError(
            f"mlx_sparse does not support dtype {dt}. The supported types are: bool, (u)int8 to (u)int64, float16, "
            "bfloat16, float32, complex64, and on the CPU float64 and complex128."
        )
    return _BY_NAME[native]


def name(dtype: mx.Dtype) -> str:
    """Its name without its module's."""
    return repr(dtype).removeprefix("mlx.core.")


def named(text: str) -> mx.Dtype:
    """The dtype of that name."""
    return complex128 if text == name(complex128) else getattr(mx, "bool_" if text == "bool" else text)


def numpy_dtype(dtype: Any) -> np.dtype:
    """NumPy dtype of the same values; bfloat16, which NumPy lacks, is float32."""
    return _SEEN[dtype] if type(dtype) in _KINDS else np.dtype(dtype)


def is_shared(dtype: np.dtype) -> bool:
    """True for the NumPy dtypes that arrays of the default device can have as they are, byte for byte."""
    found = _TO_MLX.get(dtype)
    return found is not None and (found not in _NARROW or on_cpu())


def result_type(*operands: Any) -> mx.Dtype:
    """SciPy's promotion of dtypes, arrays and Python scalars (scalars are weak, as in NumPy 2)."""
    if len(operands) == 2 and type(operands[0]) is type(operands[1]) is mx.Dtype and operands[0] == operands[1]:
        return operands[0] if on_cpu() else _NARROW.get(operands[0], operands[0])
    bf16 = [o for o in operands if o == mx.bfloat16] if any(isinstance(o, mx.Dtype) for o in operands) else []
    if bf16:
        rest = [o for o in operands if not (isinstance(o, mx.Dtype) and o == mx.bfloat16)]
        weak = all(isinstance(o, (bool, int, float)) or (isinstance(o, mx.Dtype) and is_integral(o)) for o in rest)
        if weak:
            return mx.bfloat16
    return mlx_dtype(np.result_type(*(numpy_dtype(o) if isinstance(o, _KINDS) else o for o in operands)))


def is_wide(dtype: mx.Dtype) -> bool:
    """True for what MLX lacks: arrays of it are `_native.WideArray`."""
    return dtype is complex128


def is_integral(dtype: mx.Dtype) -> bool:
    """True for integers and booleans."""
    return dtype in _INTEGRAL


def is_complex(dtype: mx.Dtype) -> bool:
    """True for complex numbers."""
    return dtype in _COMPLEX


def part(dtype: mx.Dtype) -> mx.Dtype:
    """What the real and the imaginary part of a number are held in."""
    return mx.float32 if dtype == mx.complex64 else mx.float64 if dtype is complex128 else dtype


def accumulator(dtype: mx.Dtype) -> mx.Dtype:
    """What 16-bit floats are computed with."""
    return mx.float32 if dtype in (mx.float16, mx.bfloat16) else dtype


def sum_dtype(dtype: mx.Dtype) -> mx.Dtype:
    """What a sum of `dtype` is held in: integers widen to 64 bits as NumPy's do."""
    return _SUMS.get(dtype, dtype)


def index_dtype(dtypes: Any = (), maxval: int | None = None) -> mx.Dtype:
    """int32 unless an index array, a dimension or a count needs int64; never decided from contents."""
    if maxval is not None and maxval > INT32_MAX:
        return mx.int64
    for dt in dtypes:
        if dt is _INT32:
            continue
        host = numpy_dtype(dt)
        if host != _INT32 and not np.can_cast(host, _INT32):
            return mx.int64
    return mx.int32


def get_index_dtype(arrays: Any = (), maxval: Any = None, check_contents: bool = False) -> Any:
    """NumPy dtype that index arrays need: int32, or int64 when an array or `maxval` asks for it.

    Parameters
    ----------
    arrays : array or sequence of arrays
        Those whose dtype int32 cannot hold ask for int64.
    maxval : number, optional
        Largest value to be held.
    check_contents : bool
        Ask the values of wide integer arrays instead of their dtype.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> sp.get_index_dtype(np.zeros(3, np.int64))
    <class 'numpy.int64'>
    """
    single = isinstance(arrays, (np.ndarray, mx.array))
    given = [x if isinstance(x, mx.array) else np.asarray(x) for x in ((arrays,) if single else arrays)]
    deciding = (x.dtype for x in given if not (check_contents and fits_int32(x)))
    return numpy_dtype(index_dtype(deciding, None if maxval is None else int(np.int64(maxval)))).type


def fits_int32(x: Any) -> bool:
    """Whether int32 holds every value of an integer array."""
    host = numpy_dtype(x.dtype)
    if x.size == 0 or np.can_cast(host, np.int32):
        return True
    if host.kind not in "iu":
        return False
    a = np.asarray(x)
    return bool(np.minimum.reduce(a, axis=None) >= -INT32_MAX - 1 and np.maximum.reduce(a, axis=None) <= INT32_MAX)

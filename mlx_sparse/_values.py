"""Operations on stored values, whichever holds them.

Values are an `mx.array`; those of complex128, which MLX lacks, a `_native.WideArray`. The formats compute with what
stands here in place of MLX's own functions, and so need not know: NumPy computes on a view of a WideArray, at once,
and it is never traced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from . import _dense, _dtypes, _native

WideArray = _native.WideArray


def _host(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_host(v) for v in x]
    return _dense.view(x) if _dense.is_mlx(x) else x


def _either(in_mlx: Callable, in_numpy: Callable) -> Callable[..., Any]:
    """A function of values or of a list of them: MLX's, but NumPy's where the first is a WideArray."""

    def call(x: Any, *args: Any, stream: Any = None, **kwargs: Any) -> Any:
        first = x[0] if type(x) is list else x
        if type(first) is not WideArray:
            return in_mlx(x, *args, stream=stream, **kwargs)
        with np.errstate(all="ignore"):  # as MLX
            return _dense.to_mlx(in_numpy(_host(x), *map(_host, args), **kwargs))

    call.__name__ = in_mlx.__name__
    return call


abs = _either(mx.abs, np.abs)
broadcast_to = _either(mx.broadcast_to, np.broadcast_to)
concatenate = _either(mx.concatenate, np.concatenate)
conj = _either(mx.conj, np.conj)
contiguous = _either(mx.contiguous, np.ascontiguousarray)
imag = _either(mx.imag, np.imag)
pad = _either(mx.pad, np.pad)
power = _either(mx.power, np.power)
real = _either(mx.real, np.real)
round = _either(mx.round, np.round)
square = _either(mx.square, np.square)
stack = _either(mx.stack, np.stack)
sum = _either(mx.sum, np.sum)
swapaxes = _either(mx.swapaxes, np.swapaxes)
take = _either(mx.take, np.take)
transpose = _either(mx.transpose, np.transpose)
zeros_like = _either(mx.zeros_like, np.zeros_like)


def reshape(x: Any, shape: Any, stream: Any = None) -> Any:
    """The same values in another shape. Without a copy."""
    return x.reshape(tuple(shape)) if type(x) is WideArray else mx.reshape(x, shape, stream=stream)


def squeeze(x: Any, axis: int, stream: Any = None) -> Any:
    if type(x) is not WideArray:
        return mx.squeeze(x, axis, stream=stream)
    shape = list(x.shape)
    del shape[axis]
    return reshape(x, shape)


def zeros(shape: Any, dtype: mx.Dtype, stream: Any = None) -> Any:
    if _dtypes.is_wide(dtype):
        return _dense.full(shape, 0, dtype)
    return mx.zeros(shape, dtype=dtype, stream=stream)


def ones(shape: Any, dtype: mx.Dtype, stream: Any = None) -> Any:
    if _dtypes.is_wide(dtype):
        return _dense.full(shape, 1, dtype)
    return mx.ones(shape, dtype=dtype, stream=stream)


def where(x: Any, kept: Any) -> Any:
    """`x` where `kept`, zero elsewhere."""
    if type(x) is WideArray:
        return _dense.to_mlx(np.where(_host(kept), _host(x), 0))
    return mx.where(kept, x, mx.zeros(1, dtype=x.dtype))


# ---- a WideArray as an operand and as an array ------------------------------------------------------------------


def _ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    with np.errstate(all="ignore"):
        return _dense.to_mlx(getattr(ufunc, method)(*map(_host, inputs), **kwargs))


def _item(self: Any, index: Any) -> Any:
    index = tuple(map(_host, index)) if isinstance(index, tuple) else _host(index)
    return _dense.to_mlx(_dense.view(self)[index])


def _len(self: Any) -> int:
    return self.shape[0]


_OPERATORS = "add radd sub rsub mul rmul truediv rtruediv pow neg abs eq ne lt le gt ge".split()


def _prepare(cls: Any) -> None:
    for name in _OPERATORS:
        setattr(cls, f"__{name}__", getattr(NDArrayOperatorsMixin, f"__{name}__"))
    cls.__array_ufunc__, cls.__getitem__, cls.__len__, cls.__hash__ = _ufunc, _item, _len, object.__hash__
    cls.dtype = _dtypes.complex128


_prepare(WideArray)

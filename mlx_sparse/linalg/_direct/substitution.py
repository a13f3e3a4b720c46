"""Solves with a triangular array, by the native kernels, of ndarrays and `mx.array` alike."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes, _native, runtime
from .._operator import Stage, constant
from .._recorded import on_device

_LEVEL = 1000  # slices that a level must have on average, for each thread, to be worth its start
_DEVICE_LEVEL = 64  # and on a GPU, where a level costs as much as some hundred slices do on the CPU


def worth_levels(n: int, levels: int) -> bool:
    """Whether n slices in so many levels are solved sooner by the thread pool than one after the other."""
    threads = runtime.N_THREADS
    return threads > 2 and n >= _LEVEL * threads * levels


def worth_shaders(n: int, levels: int) -> bool:
    """Whether n slices in so many levels are solved sooner by a GPU than by the CPU, which may have to wait for it."""
    return runtime.EXECUTOR == "shader" or n >= _DEVICE_LEVEL * levels


class Substitution:
    """b -> op(T)^-1 b for a triangular csr or csc array T, where op is one of the forms N, T, H and C.

    Parameters
    ----------
    T : csr_array or csc_array
        Canonical, with entries on one side of the diagonal only, of a dtype of linear systems.
    lower : bool
    unit : bool
        Take the diagonal for ones, stored or not.
    kept : bool
        Whether it is made for many solves, so that an order of T's slices in which several can be computed at a time is
        worth finding. Solutions have no derivative in the values of T then.
    """

    def __init__(self, T: Any, lower: bool, unit: bool = False, kept: bool = False) -> None:
        data = T._entries()
        self.dtype = data.dtype
        self._by_columns = T.format == "csc"
        self._form = (lower != self._by_columns, unit)  # over major and minor axis
        self._parts = (data, T._indices[: data.size], T._indptr)
        self._data, self._structure = data, _planned(T, data.size)
        self._levels: tuple[mx.array, mx.array] | None = None
        if kept:  # for any thread
            _native.settle([data])
        if kept and not self._by_columns and worth_levels(T.shape[0], 1):
            self._order()

    def _order(self) -> None:
        order, starts = _native.triangular_levels(*self._parts[1:], self._form[0])
        if worth_levels(order.size, starts.size - 1):
            self._parts = _native.major_list(self._parts, _dense.view(order))
            self._levels = order, starts

    def astype(self, dtype: mx.Dtype) -> Substitution:
        """The same with values of another dtype."""
        if dtype == self.dtype:
            return self
        new = object.__new__(Substitution)
        new.__dict__.update(self.__dict__, dtype=dtype)
        new._parts = (_dense.cast(self._parts[0], dtype), *self._parts[1:])
        new._data = new._parts[0] if self._levels is None else _dense.cast(self._data, dtype)
        _native.settle([new._parts[0], new._data])
        return new

    def _bits(self, form: str) -> tuple[bool, bool, bool, bool]:
        transposed = (form in "TH") != self._by_columns
        return *self._form, transposed, form in "HC" and _dtypes.is_complex(self.dtype)

    def _as(self, form: str) -> Any:
        return _native.TriangleForm(*self._bits(form))

    def _on_shaders(self, form: str) -> bool:
        shaders = runtime.EXECUTOR == "shader" or mx.default_device().type == mx.DeviceType.gpu
        if not (shaders and self.dtype in (mx.float32, mx.complex64)):
            return False
        levels, *_ = _native.triangular_shape(self._as(form), self._structure, None)
        return worth_shaders(self._parts[2].size - 1, levels)

    def proven(self) -> bool:
        """Whether T is known, without bringing it to the host, to be a triangle without zeros on its diagonal."""
        if not self._on_shaders("N"):
            return False
        _, one_sided, has_diagonal = _native.triangular_shape(self._as("N"), self._structure, None)
        unit = self._form[1]
        if not (one_sided and (unit or has_diagonal)):
            return False
        if unit or not self._data.size:
            return True
        try:
            data = constant(self._data)
        except ValueError:  # inside mx.compile and mx.vmap there are no values to look at
            return True
        *_, diagonal, _ = _native.triangular_arrays(self._as("N"), self._structure, None)
        return not mx.any(mx.take(data, diagonal) == 0).item()

    def stage(self, form: str) -> Stage | None:
        """The solve as a stage of a recorded program; None where a device's program would have to leave the device."""
        kind = sum(bit << i for i, bit in enumerate(self._bits(form)))
        if not on_device():
            return kind, [*self._parts, *(self._levels or ())]
        if not self._on_shaders(form):
            return None
        return kind, [self._data, *_native.triangular_arrays(self._as(form), self._structure, None)]

    def host(self, b: np.ndarray, form: str = "N", overwrite: bool = False) -> np.ndarray:
        """op(T)^-1 b for an ndarray (n,) or (n, k) of the dtype of T, which `overwrite` allows to become the result."""
        held = _dtypes.numpy_dtype(self.dtype)
        if b.dtype != held and _dtypes.mlx_dtype(b.dtype) == self.dtype:  # float64 where the device has none
            return self.host(b.astype(held), form, True).astype(b.dtype)
        b = np.ascontiguousarray(b)
        return _native.solve_triangular_numpy(self._as(form), self._parts, b, self._levels, overwrite)

    def device(self, b: mx.array, form: str = "N") -> mx.array:
        """The same for an `mx.array`: lazy, differentiable in b and, where T is not kept, in the values of T.

        On a GPU it runs level by level as shaders, in single precision and where levels are wide.
        """
        if self._on_shaders(form):
            return _native.solve_by_levels(self._as(form), self._structure, self._data, b, None)
        return _native.solve_triangular(self._as(form), self._parts, b, self._levels, None)


def _planned(T: Any, entries: int) -> Any:
    """The structure of T, with which is kept what is derived from it."""
    if T._structure.planned and T._indices.size == entries:
        return T._structure
    n = T.shape[0]
    return _native.Structure.compressed(n, n, T._indices[:entries], T._indptr)

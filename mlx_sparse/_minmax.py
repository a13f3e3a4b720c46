"""Minima and maxima, of all elements or along axes, with their positions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import sparray
from ._classes import ARRAYS
from ._reduce import ordered_axes

_INT64_MAX = 2**63 - 1
_ROW = 1024
# name -> (is a maximum, ignores NaN, ufunc, reduction in MLX)
_KINDS: dict[str, tuple[bool, bool, Any, Any]] = {
    "max": (True, False, np.maximum, mx.max),
    "min": (False, False, np.minimum, mx.min),
    "nanmax": (True, True, np.fmax, mx.max),
    "nanmin": (False, True, np.fmin, mx.min),
}


class _minmax:
    """The family for formats that SciPy gives it to, over their compressed or coordinate form."""

    ndim: Any
    format: Any
    shape: Any
    _data: mx.array
    _unique: Any
    _container: Any
    tocoo: Any
    tocsr: Any
    tocsc: Any

    def max(self, axis: Any = None, out: None = None, *, explicit: bool = False) -> Any:
        """Maximum of all elements, or along `axis`; a NaN wins.

        Parameters
        ----------
        axis : None, int or tuple of int
        out : None
            NumPy passes it; nothing else is accepted.
        explicit : bool
            Look at stored entries only; slices without any give 0.

        Returns
        -------
        Scalar for all axes (lazy and differentiable in mlx mode); else a coo array of the remaining axes, which stores
        what is not zero. Synchronises, then.

        Raises
        ------
        ValueError
            `out` is given, `axis` is out of range or repeated, or the elements to compare are none.

        Examples
        --------
        >>> import mlx_sparse as sp
        >>> sp.csr_array([[1.0, 0.0], [0.0, -2.0]]).max(axis=1).toarray()
        array([1., 0.])
        """
        return self._extreme("max", axis, out, explicit)

    def min(self, axis: Any = None, out: None = None, *, explicit: bool = False) -> Any:
        """Minimum of all elements, or along `axis`; a NaN wins. See `max`."""
        return self._extreme("min", axis, out, explicit)

    def nanmax(self, axis: Any = None, out: None = None, *, explicit: bool = False) -> Any:
        """Maximum of all elements, or along `axis`, NaNs ignored. See `max`."""
        return self._extreme("nanmax", axis, out, explicit)

    def nanmin(self, axis: Any = None, out: None = None, *, explicit: bool = False) -> Any:
        """Minimum of all elements, or along `axis`, NaNs ignored. See `max`."""
        return self._extreme("nanmin", axis, out, explicit)

    def argmax(self, axis: Any = None, out: None = None, *, explicit: bool = False) -> Any:
        """Position of the first maximum of all elements, or along `axis`. Synchronises.

        Parameters
        ----------
        axis : None, int or tuple of int
        out : None
            NumPy passes it; nothing else is accepted.
        explicit : bool
            Look at stored entries only. Slices without any give 0. Without `axis` the result is then the position among
            the stored entries in row-major order, as in SciPy.

        Returns
        -------
        int (in the flattened array) for all axes; else a dense int64 array of the remaining axes.

        Raises
        ------
        ValueError
            `out` is given, `axis` is out of range or repeated, or the elements to compare are none.

        Examples
        --------
        >>> import mlx_sparse as sp
        >>> sp.csr_array([[1.0, 0.0], [0.0, -2.0]]).argmax()
        0
        """
        return self._where_extreme("argmax", axis, out, explicit)

    def argmin(self, axis: Any = None, out: None = None, *, explicit: bool = False) -> Any:
        """Position of the first minimum of all elements, or along `axis`. Synchronises. See `argmax`."""
        return self._where_extreme("argmin", axis, out, explicit)

    # ---- minima and maxima ------------------------------------------------------------------------------------

    def _extreme(self, name: str, axis: Any, out: Any, explicit: bool) -> Any:
        if out is not None:
            raise ValueError("Sparse min/max does not support an 'out' parameter. Leave it None")
        axes = _checked_axes(axis, self.ndim)
        if 0 in (self.shape if axes is None else [self.shape[a] for a in axes]):
            raise ValueError(
                f"zero-size array to reduction operation {name}, which has no identity; got shape {self.shape}"
            )
        if axes is None:
            return _extreme_of_all(self, name, explicit)
        is_max, ignore_nan, *_ = _KINDS[name]
        kept = tuple(n for a, n in enumerate(self.shape) if a not in axes)
        return self._coo_result(kept, *self._axis_extreme(axes, is_max, ignore_nan, explicit))

    def _axis_extreme(self, axes: tuple[int, ...], is_max: bool, ignore_nan: bool, explicit: bool) -> Any:
        """(keys, values): one flat position and extreme for each slice that may hold more than zero; keys None: all."""
        coo = self.tocoo(copy=False)._unique()
        kept = tuple(a for a in range(self.ndim) if a not in axes)
        slices, length = (math.prod(self.shape[a] for a in some) for some in (kept, axes))
        keys, names, length = _position(coo, kept), None, min(length, _INT64_MAX)
        if slices > 4 * coo._data.size + 4096:  # do not spread a few entries over a long axis
            names, at = np.unique(_dense.view(keys), return_inverse=True)
            keys, slices = _dense.to_index(at, keys.dtype, "keys"), names.size
        return names, _native.minor_extreme(coo._data, keys, slices, length, is_max, ignore_nan, explicit)

    def _coo_result(self, kept: tuple[int, ...], names: Any, values: mx.array) -> Any:
        """The nonzero ones of what `_axis_extreme` found. What is used up makes room for what comes."""
        if names is None and len(kept) == 1 and _dense.on_shaders(values):
            wide = _dtypes.index_dtype(maxval=max(kept)) == mx.int64
            at = _native.true_positions(values != 0, wide)
            if at is None:
                at = mx.arange(values.size, dtype=mx.int64 if wide else mx.int32)
            else:
                values = values[at]
            return ARRAYS["coo"]._from_parts(values, (at,), kept, canonical=True)
        host = _dense.view(values)
        found = np.flatnonzero(host)
        if found.size < host.size:
            dtype, host = values.dtype, host[found]
            del values
            values = _dense.to_mlx(host, dtype)
        del host
        keys = found if names is None else names[found]
        index = _dtypes.index_dtype(maxval=max(kept))
        places = np.unravel_index(keys, kept) if len(kept) > 1 else (keys,)
        made = tuple(_dense.to_index(c, index, "coords") for c in places)
        return ARRAYS["coo"]._from_parts(values, made, kept, canonical=True)  # matrices reshape it to theirs

    def _pieces(self, ordered: bool = False) -> Iterator[Any]:
        """The entries without duplicates (with `ordered` in order too): all, or those of some slices at a time."""
        yield self._unique()

    # ---- positions --------------------------------------------------------------------------------------------

    def _where_extreme(self, name: str, axis: Any, out: Any, explicit: bool) -> Any:
        if out is not None:
            raise ValueError(f"Sparse {name} does not support an 'out' parameter.")
        axes = _checked_axes(axis, self.ndim)
        if axes is None:
            return self._where_of_all(name, explicit)
        if 0 in [self.shape[a] for a in axes]:
            raise ValueError(f"Cannot apply {name} along a zero-sized dimension.")
        A, along = self, axes[0]
        if self.ndim != 2:
            A, along = _folded(self.tocoo(copy=False)._unique(), axes), 1
        cs = A.tocsc() if along == 0 else A.tocsr()
        kernel = _native.MajorWhere(name == "argmax", bool(explicit))
        found = _joined([_native.major_where(kernel, B._structure, B._data, None) for B in cs._pieces(ordered=True)])
        if self.ndim != 2:
            return _dense.in_namespace(mx.reshape(found, tuple(n for a, n in enumerate(self.shape) if a not in axes)))
        if isinstance(self, sparray):
            return _dense.in_namespace(found)
        wide = mx.reshape(found, (1, found.size) if along == 0 else (found.size, 1))
        return self._container(_dense.in_namespace(wide))

    def _where_of_all(self, name: str, explicit: bool) -> Any:
        if 0 in self.shape:
            raise ValueError(f"Cannot apply {name} to an empty matrix.")
        coo = self._unique().tocoo(copy=False)
        data = _dense.view(coo._data)
        if data.size == 0:
            if explicit:
                raise ValueError(f"Cannot apply {name} to zero matrix when explicit=True.")
            return 0
        flat = _ravel([_dense.view(c) for c in coo._coords], self.shape)
        if self.format != "csr" and np.any(flat[1:] < flat[:-1]):  # csr's entries stand in row-major order
            order = np.argsort(flat)
            data, flat = data[order], flat[order]
        at = (np.argmax if name == "argmax" else np.argmin)(data)
        if explicit:
            return at
        zero = data.dtype.type(0)
        if (np.greater if name == "argmax" else np.less)(data[at], zero) or data.size == math.prod(self.shape):
            return int(flat[at])
        gaps = np.flatnonzero(flat != np.arange(data.size))
        gap = int(gaps[0]) if gaps.size else data.size
        return min(gap, at) if data[at] == zero else gap


class _cs_minmax(_minmax):
    """The family for compressed formats."""

    _swap: Any
    _getnnz: Any
    _without_duplicates: Any

    def _axis_extreme(self, axes: tuple[int, ...], is_max: bool, ignore_nan: bool, explicit: bool) -> Any:
        if self.format not in ("csr", "csc"):  # blocks
            return super()._axis_extreme(axes, is_max, ignore_nan, explicit)
        major, minor = self._swap(self.shape)
        if max(major, minor) > 4 * self._getnnz() + 4096:
            return super()._axis_extreme(axes, is_max, ignore_nan, explicit)
        rule = is_max, ignore_nan, explicit
        if self._swap((0, 1))[1] == axes[0]:
            return None, _joined([_native.major_extreme(A._data, A._indptr, minor, *rule) for A in self._pieces()])
        A = self._without_duplicates()
        if _dense.on_shaders(A._data):  # along the other axis of the transposed structure, which is kept
            data, _, indptr = A._flip(None)
            return None, _native.major_extreme(data, indptr, major, *rule)
        return None, _native.minor_extreme(A._data, A._indices[: A._data.size], minor, major, *rule)


def _joined(found: list[mx.array]) -> mx.array:
    return found[0] if len(found) == 1 else _values.concatenate(found)


def _checked_axes(axis: Any, ndim: int) -> tuple[int, ...] | None:
    """Non-negative axes in the order given; None for all of them."""
    axes = None if axis is None else ordered_axes(axis, ndim)
    return axes if axes and len(axes) < ndim else None


def _extreme_of_all(A: Any, name: str, explicit: bool) -> Any:
    """The extreme of A's elements: of its entries, and of 0 where some are not stored."""
    is_max, ignore_nan, ufunc, _ = _KINDS[name]
    numpy_mode, stored, found = _dense.numpy_mode(), 0, []
    for B in A._pieces():
        data = B._entries()
        stored += data.size
        if data.size == 0:
            continue
        summed = B is not A and not _native.is_tracer(data)  # so it has been looked at
        if numpy_mode or summed or _numpy_is_quicker(data):
            v = _dense.view(data)
            found.append(ufunc.reduce(v if v.ndim == 1 else v.ravel()))
        else:
            found.append(_lazy_extreme(data, name))
    bare = explicit or stored == math.prod(A.shape)
    if len(found) == 1 and _dense.is_mlx(found[0]):
        m = found[0]
        if ignore_nan and not bare and mx.issubdtype(m.dtype, mx.floating):
            m = mx.where(mx.isnan(m), mx.zeros((), dtype=m.dtype), m)
        return m if bare else (mx.maximum if is_max else mx.minimum)(m, mx.zeros((), dtype=m.dtype))
    dtype = A._data.dtype
    zero = _dtypes.numpy_dtype(dtype).type(0)
    m = found[0] if len(found) == 1 else ufunc.reduce(found) if found else zero
    m = m if bare and found else ufunc(zero, m)
    return m if numpy_mode or _dtypes.is_wide(dtype) else _dense.scalar(m, dtype)


def _numpy_is_quicker(data: Any) -> bool:
    """Whether NumPy finds an extreme: of many elements that are there, too, in a quarter of the time of a node."""
    if _dense.numpy_is_quicker(data) or _dtypes.is_complex(data.dtype):
        return True
    return data.dtype.size > 2 and _dense.ready(data) and not _dense.on_shaders(data)


def _lazy_extreme(data: mx.array, name: str) -> mx.array:
    is_max, ignore_nan, _, reduce = _KINDS[name]
    if not ignore_nan or not mx.issubdtype(data.dtype, mx.floating):
        return _reduced_flat(reduce, data)
    nan, last = mx.isnan(data), -math.inf if is_max else math.inf
    found = reduce(mx.where(nan, mx.array(last, dtype=data.dtype), data))
    return mx.where(mx.all(nan), mx.array(math.nan, dtype=data.dtype), found)


def _reduced_flat(reduce: Any, data: mx.array) -> mx.array:
    """reduce(data). MLX vectorises across rows, so a long array that is not differentiated goes as rows of a matrix."""
    n = data.size // _ROW * _ROW
    if data.size < 64 * _ROW or data.ndim > 1 or _native.is_tracer(data):
        return reduce(data)
    rows = reduce(mx.reshape(data[:n], (-1, _ROW)), axis=0)
    return reduce(rows if n == data.size else mx.concatenate([rows, data[n:]]))


def _ravel(coords: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Row-major positions of `coords` in an array of `shape`: Python integers where 64 bits do not hold them."""
    flat = coords[0].astype(np.int64 if math.prod(shape) <= 2**63 else object)
    for c, n in zip(coords[1:], shape[1:], strict=True):
        flat = flat * n + c
    return flat


def _folded(coo: Any, axes: tuple[int, ...]) -> Any:
    """The n-D `coo` as a matrix: a row for each position of the other axes, columns along `axes` in the order given."""
    kept = tuple(a for a in range(len(coo.shape)) if a not in axes)
    shape = tuple(math.prod(coo.shape[a] for a in part) for part in (kept, axes))
    flat = tuple(_position(coo, part) for part in (kept, axes))
    wide = _dtypes.index_dtype(maxval=max(shape))
    return coo._from_parts(coo._data, tuple(_dense.as_index(c, wide) for c in flat), shape)


def _position(coo: Any, axes: tuple[int, ...]) -> mx.array:
    """Row-major position of every entry along `axes`.

    Raises
    ------
    OverflowError
        int64 does not hold all of them.
    """
    if len(axes) == 1:
        return coo._coords[axes[0]]
    lengths = tuple(coo.shape[a] for a in axes)
    if math.prod(lengths) > _INT64_MAX:
        raise OverflowError(f"int64 does not count the positions along axes of lengths {lengths}")
    flat = _ravel([_dense.view(coo._coords[a]) for a in axes], lengths)
    return _dense.to_index(flat, _dtypes.index_dtype(maxval=math.prod(lengths)), "coords")

"""Reading and writing elements of csr and csc arrays, over (major, minor)."""

from __future__ import annotations

import sys
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import SparseEfficiencyWarning
from ._index import Index, _indexed, is_mesh


class _cs_indexed(_indexed):
    """Indexing of compressed storage. Selections and assignments read the structure (they synchronise).

    A selection on traced values is differentiable in them.
    """

    _data: mx.array
    _indices: mx.array
    _indptr: mx.array
    _sorted: bool | None
    _canonical_format: bool | None
    has_sorted_indices: bool
    has_canonical_format: bool
    _swap: Any
    _classes: Any
    _from_parts: Any
    copy: Any
    prune: Any
    sum_duplicates: Any
    _unique: Any
    _rebind: Any
    _takes_int32 = True

    @property
    def _trio(self) -> tuple[mx.array, mx.array, mx.array]:
        """The buffers as the native layer takes and gives them."""
        return self._data, self._indices, self._indptr

    # ---- reading ----------------------------------------------------------------------------------------------

    def _get_one(self, i: int, j: int) -> Any:
        major, minor = self._swap((i, j))
        numpy = _dense.numpy_mode() or _dense.is_wide(self._data)
        x = _native.element(self._trio, major, minor, self._sorted is True, numpy)
        if x is None:
            return _dense.in_namespace(_values.reshape(self._sampled(np.array([major]), np.array([minor])), ()))
        return x[()] if numpy else x

    def _select_slices(self, key: Any) -> Any:
        rows = self._device_key(key)
        if rows is None:
            return None
        trio = _native.slices_at(self._trio, rows)
        shape = self._swap((trio[2].size - 1, self._swap(self._shape)[1]))
        return self._from_parts(*trio, shape, self._sorted or None, self._canonical_format or None)

    def _device_key(self, key: Any) -> mx.array | None:
        """The vector of positions or the mask by which a key selects whole slices, where shaders run; else None."""
        if len(self._shape) != 2:
            return None
        if type(key) is tuple:
            if len(key) != 2:
                return None
            key, other = self._swap(key)
            if type(other) is not slice or other != slice(None):
                return None
        elif self._swap((0, 1))[0] != 0:
            return None
        if not (isinstance(key, np.ndarray) or _dense.is_mlx(key)) or key.ndim != 1:
            return None
        if not _dense.on_shaders(self._data):
            return None
        n, dtype = self._swap(self._shape)[0], _dtypes.numpy_dtype(key.dtype)
        if key.size == 0 or self._indices.size == 0 or dtype not in (np.bool_, np.int32, np.int64):
            return None
        if dtype == np.bool_ and key.size != n:
            return None
        if _dense.is_mlx(key):
            return None if _native.is_tracer(key) else key
        if dtype == np.bool_:
            return _unpacked(np.packbits(key), n)
        return _native.narrowed(key) if dtype == np.int64 and n <= _dtypes.INT32_MAX else _dense.to_mlx(key)

    def __iter__(self) -> Any:
        if len(self._shape) == 1:
            yield from super().__iter__()  # type: ignore[misc]
            return
        A = self.tocsr()
        for i in range(self._shape[0]):
            trio = _native.major_range(A._trio, i, 1, 1, not _dense.numpy_mode())
            yield A._from_parts(*trio, self._shape[1:], A._sorted or None, A._canonical_format or None)

    def _select(self, index: Index) -> Any:
        if len(index.axes) == 1:
            return self._package(self._take_1d(index.axes[0], index), index)
        row, col = index.raw
        if isinstance(row, int) and isinstance(col, int):
            return self._package(self._get_one(row, col), index)
        if isinstance(row, np.ndarray) and isinstance(col, np.ndarray):
            if not is_mesh(row, col):
                return self._package(self._take_pairs(*index.axes), index)
        return self._package(self._take(*self._swap((row, col))), index)

    def _package(self, found: Any, index: Index) -> Any:
        if isinstance(found, _cs_indexed) and len(index.shape) == 1 and len(found._shape) == 2:
            axis = 1 if isinstance(index.axes[0], int) else 0
            coords = (found._indices,) if self._swap((0, 1))[1] == axis else (_expanded(found),)
            coo = self._classes["coo"]  # a row or a column: its other axis alone
            return coo._from_parts(found._data, coords, index.shape, bool(found._canonical_format))
        return super()._package(found, index)

    def _take(self, major: Any, minor: Any) -> Any:
        """The 2-D array of the slices `major` and the minor indices `minor` (an int, a range or an array each)."""
        n_major, n_minor = self._swap(self._shape)
        trio = self._trio
        in_order = self._sorted, self._canonical_format
        if isinstance(major, int):
            major = range(major, major + 1)
        if isinstance(minor, int):
            minor = range(minor, minor + 1)
        elif isinstance(minor, np.ndarray):
            minor = minor.ravel()
        if _covers(major, n_major) and _covers(minor, n_minor):
            return self.copy()
        if isinstance(major, range):
            rows = len(major)
            if not _covers(major, n_major):
                share = not _dense.numpy_mode() or not _covers(minor, n_minor)  # what follows then copies
                trio = _native.major_range(trio, major.start, rows, major.step, share)
        else:
            rows = major.size
            trio = _native.major_list(trio, major)
        columns = len(minor)
        if isinstance(minor, range):
            if not _covers(minor, n_minor):
                trio = _native.minor_range(trio, minor.start, columns, minor.step, n_minor, self.has_sorted_indices)
                in_order = self._sorted, self._canonical_format
        else:
            trio = _native.minor_list(trio, minor, n_minor)
            if columns > 1 and not (minor[1:] >= minor[:-1]).all():
                in_order = None, None
        ordered, canonical = (state or None for state in in_order)
        return self._from_parts(*trio, self._swap((rows, columns)), ordered, canonical)

    def _take_pairs(self, row: np.ndarray, col: np.ndarray) -> Any:
        """Elements at (row[k], col[k]): dense for 1-D arrays, sparse without the zeros for 2-D ones."""
        cls: Any = type(self)
        if row.size == 0:
            return cls(np.atleast_2d(row).shape, dtype=self._data.dtype)
        values = self._sampled(*self._swap((row, col)))
        if row.ndim == 1:
            return _dense.in_namespace(values)
        return self._dense_to_sparse(values, row.shape)

    def _dense_to_sparse(self, values: mx.array, shape: tuple[int, ...]) -> Any:
        cls: Any = type(self)
        if not _native.is_tracer(values):
            return cls(_values.reshape(values, shape))
        coords = np.unravel_index(np.arange(values.size), shape)  # a tracer's zeros cannot be told
        made = tuple(_dense.to_mlx(c.astype(np.int32)) for c in coords)
        coo = self._classes["coo"]._from_parts(values, made, shape, True)
        return coo.asformat(self._format)

    def _take_1d(self, a: Any, index: Index) -> Any:
        cls: Any = type(self)
        if isinstance(a, int):
            x = self._get_one(0, a)
            if index.shape == ():
                return x
            return self._dense_to_sparse(_values.reshape(_dense.to_mlx(x, self._data.dtype), (1,)), index.shape)
        if isinstance(a, range):
            if _covers(a, self._shape[0]):
                return self.copy()
            trio = _native.minor_range(self._trio, a.start, len(a), a.step, self._shape[0], self.has_sorted_indices)
            return self._from_parts(*trio, (len(a),), self._sorted or None, self._canonical_format or None)
        if a.size == 0:
            return cls(a.shape, dtype=self._data.dtype)
        return self._dense_to_sparse(self._sampled(np.zeros_like(a), a), a.shape)

    def _sampled(self, major: np.ndarray, minor: np.ndarray) -> mx.array:
        """Summed values at the pairs, flat."""
        n, nnz = major.size, self._indices.size
        ordered = self.has_sorted_indices if n * nnz > 64 * (nnz + n) else self._sorted is True
        return _native.sample_at(self._trio, major, minor, ordered)

    # ---- writing ----------------------------------------------------------------------------------------------

    def _assign(self, coords: tuple[np.ndarray, ...], values: Any) -> None:
        pair = coords if len(coords) == 2 else (np.zeros_like(coords[0]), coords[0])
        major, minor = self._swap(pair) if len(coords) == 2 else pair
        self._set_many(major, minor, values, True)

    def _clear_block(self, rows: np.ndarray, cols: np.ndarray) -> None:
        """Stored elements of the block become zeros that stay stored, as in SciPy."""
        nnz = self._indices.size
        major, minor = self._swap((rows, cols))
        if nnz == 0 or major.size * minor.size == 0:
            return
        if major.size * minor.size <= nnz or _native.is_tracer(self._data):  # cell by cell
            cells = np.broadcast_arrays(major[:, None], minor[None, :])
            self._set_many(cells[0].ravel(), cells[1].ravel(), np.zeros(1, self._values(0).dtype), False)
            return
        slices, inside = (np.zeros(n, np.bool_) for n in self._swap(self._shape))
        slices[major] = inside[minor] = True
        met = np.repeat(slices, np.diff(_dense.view(self._indptr)))
        met &= inside[_dense.view(self._indices)]
        at = np.flatnonzero(met)
        if at.size and not self.has_canonical_format:
            slice_of = np.searchsorted(_dense.view(self._indptr), at, "right").astype(np.int64)
            if np.unique(slice_of * inside.size + _dense.view(self._indices)[at]).size < at.size:
                self.sum_duplicates()
                return self._clear_block(rows, cols)
        if at.size:
            values = _dense.view(self._data).copy()
            values[at] = 0
            self._data = _dense.to_mlx(values, self._data.dtype)

    def _set_many(self, major: np.ndarray, minor: np.ndarray, values: Any, insert: bool, quiet: bool = False) -> None:
        """Replace the values at these places; with `insert`, also where nothing is stored. The last of equals counts.

        Stored duplicates are summed first where a place meets one. Sorted slices stay sorted. Entries that come in are
        warned of unless `quiet`.
        """
        x: Any = values
        if _dense.is_mlx(values):
            x = _dense.cast(values, self._data.dtype)
        elif self._data.dtype == mx.bfloat16:
            x = _dense.to_mlx(values, self._data.dtype)
        else:  # read where it stands
            x = np.ascontiguousarray(values, _dtypes.numpy_dtype(self._data.dtype))
        while True:
            ordered, alone = self.has_sorted_indices, _references(self) == _ALONE
            outcome, trio = _native.set_many(self._trio, major, minor, x, ordered, insert, alone)
            if outcome != _native.SetOutcome.stored_twice:
                break
            self.sum_duplicates()
        assert trio is not None
        if outcome == _native.SetOutcome.same_structure:
            self._data = trio[0]
            return
        if not quiet:
            warn(
                f"Changing the sparsity structure of a {type(self).__name__} is expensive. "
                "lil and dok are more efficient.",
                SparseEfficiencyWarning,
                stacklevel=5,
            )
        self._rebind(*trio)


def _unpacked(bits: np.ndarray, n: int) -> mx.array:
    """A mask of n elements from its bits: memory on its way to a GPU costs more than reading it there."""
    each = (_dense.to_mlx(bits).reshape(-1, 1) >> mx.array([7, 6, 5, 4, 3, 2, 1, 0], mx.uint8)) & mx.array(1, mx.uint8)
    return each.reshape(-1)[:n].astype(mx.bool_)


def _references(A: Any) -> int:
    return sys.getrefcount(A._data)


class _Probe:
    def __init__(self) -> None:
        self._data = mx.zeros(1)


_ALONE = _references(_Probe())  # what getrefcount says of a buffer that only its container holds


def _expanded(A: Any) -> mx.array:
    """Major index of each entry."""
    if A._indptr.size > 10_000:
        return _native.expand(A._indptr, A._indices.size, None)
    return _dense.to_mlx(
        np.repeat(np.arange(A._indptr.size - 1, dtype=np.int32), np.diff(_dense.view(A._indptr))), A._indices.dtype
    )


def _covers(a: Any, n: int) -> bool:
    return isinstance(a, range) and a.step == 1 and a.start == 0 and len(a) == n

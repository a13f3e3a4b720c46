"""Reading and writing elements of coo arrays, of any number of dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import as_sparse, issparse
from ._index import ARRAYS, NEW_AXIS, Index, _indexed, stored


class _coo_indexed(_indexed):
    """Indexing over a tuple of coordinate buffers. Reads them (synchronises); differentiable in traced values."""

    _quick_set = False
    _data: mx.array
    _coords: tuple[mx.array, ...]
    has_canonical_format: bool
    _allow_nd: tuple[int, ...]
    _from_parts: Any
    _bind: Any

    def _select(self, index: Index) -> Any:
        if index.shape and len(index.shape) not in self._allow_nd:
            raise IndexError(f"{self._format} arrays of {len(index.shape)} dimensions are not supported")
        boxed, sample = self._matches(index)
        if not index.layout:
            return boxed._distinct()
        dtype = _dtypes.index_dtype([c.dtype for c in self._coords], max(index.shape))
        coords: list[Any] = []
        for part in index.layout:
            if part == NEW_AXIS:
                coords.append(np.zeros(boxed._data.size, np.int32))
            elif part == ARRAYS:
                coords.extend(sample)
            else:
                coords.append(boxed._coords[part])
        new = tuple(
            _dense.to_index(c, dtype, "coords") if _dense.is_mlx(c) else _dense.to_mlx(c, dtype) for c in coords
        )
        canonical = self.has_canonical_format and all(
            isinstance(a, int) or isinstance(a, range) and a.step > 0 for a in index.axes
        )
        return self._from_parts(boxed._data, new, index.shape, canonical)

    def _matches(self, index: Index) -> tuple[Any, list[np.ndarray]]:
        """The entries that `index` selects, each as often as it does, and the place in the arrays that each one meets.

        The entries come with coordinates relative to the slices, in an array of no particular shape.
        """
        ranges = [
            (a, 1, 1) if isinstance(a, int) else (a.start, len(a), a.step) if isinstance(a, range) else (0, n, 1)
            for a, n in zip(index.axes, self._shape, strict=True)
        ]
        if any(r != (0, n, 1) for r, n in zip(ranges, self._shape, strict=True)):
            data, coords = _native.coo_range(self._data, self._coords, ranges, self._shape)
            boxed = self._from_parts(data, tuple(coords), self._shape)
        else:
            boxed = self
        meshes = index.meshes()
        if len(meshes) > 1:  # an entry that one of them selects many times may be none of another's
            axes, wanted = zip(*(pair for mesh in meshes for pair in zip(mesh[0], mesh[2], strict=True)), strict=True)
            held = [_dense.view(boxed._coords[axis]) for axis in axes]
            at = _candidates(held, wanted, [self._shape[axis] for axis in axes])
            boxed = boxed if at is None else boxed._rows(at)
        places: dict[int, np.ndarray] = {}
        for axes, dims, wanted in meshes:
            held = [_dense.view(boxed._coords[axis]) for axis in axes]
            at, sample = _matching(held, wanted, [self._shape[axis] for axis in axes])
            boxed = boxed._rows(at)
            places = {d: p[at] for d, p in places.items()}
            assert index.array_shape is not None
            if dims:
                lengths = [index.array_shape[d] for d in dims]
                places.update(zip(dims, np.unravel_index(sample, lengths) if dims[1:] else [sample], strict=True))
        none = np.zeros(boxed._data.size, np.int32)
        return boxed, [places.get(d, none) for d in range(len(index.array_shape or ()))]

    def _rows(self, at: np.ndarray) -> Any:
        """The entries at these positions."""
        coords = tuple(_dense.to_mlx(_dense.view(c)[at]) for c in self._coords)
        return self._from_parts(self._taken(at), coords, self._shape)

    def _taken(self, at: np.ndarray) -> mx.array:
        if _native.is_tracer(self._data):
            return _values.take(self._data, _dense.to_mlx(at.astype(np.int32)))
        return _dense.to_mlx(_dense.view(self._data)[at], self._data.dtype)

    def _distinct(self) -> Any:
        if _native.is_tracer(self._data):
            return _native.total(self._data, None)
        total = _dense.view(self._data).sum()
        if _dense.numpy_mode():
            return total.astype(_dtypes.numpy_dtype(self._data.dtype))
        return _dense.in_namespace(_dense.to_mlx(total, self._data.dtype))

    # ---- writing ----------------------------------------------------------------------------------------------

    def _set_item(self, index: Index, x: Any) -> None:
        if issparse(x):
            self._set_sparse(index, as_sparse(x))
        elif (values := self._values(x)).size:
            self._replace(index, np.full(1, self._item(values)), ())

    def _assign(self, coords: tuple[np.ndarray, ...], values: np.ndarray) -> None:
        self._replace(Index(tuple(coords), [ARRAYS]), values, (np.arange(values.size),))

    def _set_dense(self, index: Index, x: np.ndarray) -> None:
        if x.size == 0:
            return
        shape = index.selected
        while x.ndim > len(shape) and x.shape[0] == 1:  # NumPy lets leading axes of one go
            x = x[0]
        some = bool(x.any())
        if x.shape != shape:
            turned = len(shape) <= 2 and x.squeeze().shape == tuple(n for n in shape if n != 1)
            x = x.reshape(shape) if turned else np.broadcast_to(x, shape)
        if not some:
            return self._replace(index, np.zeros(0, x.dtype), ())
        _native.expect_memory(min(16 * x.size, 2**64 - 1))  # finding positions takes this, and long for very many
        where = x.nonzero()
        self._replace(index, x[where], where)

    def _set_sparse(self, index: Index, x: Any) -> None:
        if 0 in x.shape:
            return
        values, coords = stored(x, self._data.dtype)
        sizes, target = list(x.shape), index.selected
        while len(sizes) > len(target):  # a row or column stands for a vector
            drop = 0 if sizes[0] == 1 else -1
            if sizes[drop] != 1:
                raise ValueError(f"shape mismatch in assignment: {tuple(x.shape)} into {tuple(target)}")
            sizes.pop(drop)
            coords.pop(drop)
        missing = len(target) - len(sizes)
        coords = [np.zeros(values.size, np.int64)] * missing + coords
        for axis, (n, m) in enumerate(zip([1] * missing + sizes, target, strict=True)):
            if n == m:
                continue
            if n != 1:
                raise ValueError(f"shape mismatch in assignment: {tuple(x.shape)} into {tuple(target)}")
            count = values.size
            coords = [np.tile(c, m) for c in coords]
            coords[axis], values = np.repeat(np.arange(m), count), np.tile(values, m)
        self._replace(index, values, tuple(coords))

    def _replace(self, index: Index, values: np.ndarray, places: tuple[np.ndarray, ...]) -> None:
        """Drop what `index` selects, then store `values` at `places` of the selection (of equal places the first)."""
        keep = self._unmatched(index)
        rank = len(places)
        new = []
        for g in index.grid() if values.size else ():
            g = g.reshape((1,) * (rank - g.ndim) + g.shape)
            new.append(g[tuple(p if n > 1 else 0 for p, n in zip(places, g.shape, strict=True))])
        if not values.size:
            new = [np.zeros(0, np.int64)] * len(self._coords)
        new = [np.broadcast_to(c, values.shape) for c in new]
        first = np.arange(values.size)
        if values.size > 1:
            order = np.lexsort(new[::-1])
            fresh = np.ones(values.size, np.bool_)
            fresh[1:] = np.logical_or.reduce([c[order][1:] != c[order][:-1] for c in new])
            first = order[fresh]
        old = (self._data, *self._coords)
        fresh_parts = (values[first], *(n[first] for n in new))
        self._data, *coords = (_joined(a, b, keep) for a, b in zip(old, fresh_parts, strict=True))
        self._coords, self.has_canonical_format = tuple(coords), False
        self._bind()

    def _unmatched(self, index: Index) -> np.ndarray | None:
        """Which entries `index` leaves alone; None for all of them."""
        positions = _dense.to_mlx(np.arange(self._data.size, dtype=np.int32))
        at = _dense.view(self._from_parts(positions, self._coords, self._shape)._matches(index)[0]._data)
        if at.size == 0:
            return None
        keep = np.ones(self._data.size, np.bool_)
        keep[at] = False
        return keep


def _joined(old: mx.array, new: np.ndarray, keep: np.ndarray | None) -> mx.array:
    host = _dense.view(old)
    return _dense.to_mlx(
        np.concatenate([host if keep is None else host[keep], new.astype(host.dtype, copy=False)]), old.dtype
    )


def _candidates(held: Sequence[np.ndarray], wanted: Sequence[np.ndarray], lengths: Sequence[int]) -> np.ndarray | None:
    """Which entries no axis alone rules out; None for all, or where finding out takes more than it saves."""
    at = None
    for c, w, n in zip(held, wanted, lengths, strict=True):
        if n <= 4 * (c.size + w.size) + 1024 and w.size < n:
            hit = np.zeros(n, np.bool_)
            hit[w] = True
            at = np.flatnonzero(hit[c]) if at is None else at[hit[c[at]]]
    return at


def _matching(held: list[np.ndarray], wanted: list[np.ndarray], lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """All (s, w) where entry s stands at wanted place w on every axis, by s, then w."""
    at = _candidates(held, wanted, lengths) if len(held) > 1 else None
    if at is not None:
        held = [c[at] for c in held]
    which, sample = _pairs(*_keys(held, wanted, lengths), math.prod(lengths))
    return (which if at is None else at[which]), sample


def _keys(stored: list[np.ndarray], wanted: list[np.ndarray], lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """One number per place on several axes, equal where the places are."""
    if len(lengths) == 1:
        return stored[0], wanted[0]
    if math.prod(lengths) < 2**63:
        dims: Any = tuple(lengths)
        return tuple(  # type: ignore[return-value]
            np.ravel_multi_index(tuple(c.astype(np.int64) for c in group), dims) if group[0].size else group[0]
            for group in (stored, wanted)
        )
    both = np.stack([np.concatenate(pair) for pair in zip(stored, wanted, strict=True)])
    _, key = np.unique(both, axis=1, return_inverse=True)
    return key.ravel()[: stored[0].size], key.ravel()[stored[0].size :]


def _pairs(stored: np.ndarray, wanted: np.ndarray, bound: int) -> tuple[np.ndarray, np.ndarray]:
    """All (s, w) with stored[s] == wanted[w], by s, then w."""
    small = bound <= 4 * (stored.size + wanted.size) + 1024  # a table is not larger than the operands
    if small:
        number = np.arange(wanted.size, dtype=np.int32)
        place = np.full(bound, -1, np.int32)
        place[wanted] = number
        if np.array_equal(place[wanted], number):  # nothing is wanted twice
            sample = place[stored]
            which = np.flatnonzero(sample >= 0)
            return which, sample[which]
    order = np.argsort(wanted, kind="stable")
    if small:
        first = np.zeros(bound + 1, np.int64)
        np.cumsum(np.bincount(wanted, minlength=bound), out=first[1:])
        low, high = first[stored], first[stored.astype(np.int64) + 1]
    else:
        ranked = wanted[order]
        low, high = np.searchsorted(ranked, stored, "left"), np.searchsorted(ranked, stored, "right")
    counts = high - low
    which = np.repeat(np.arange(stored.size), counts)
    ends = np.cumsum(counts)
    within = np.arange(which.size) - np.repeat(ends - counts, counts)
    return which, order[np.repeat(low, counts) + within]

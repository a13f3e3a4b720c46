"""Indexing: what a key means, and the operators every indexable format shares; knows no format.

A key becomes one entry per axis of the array: an integer, a range, or an array of positions. Formats see only those.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _dense, _dtypes, _native
from ._base import as_sparse, issparse

# What a position of the result's shape comes from, besides an axis of the array (its number).
NEW_AXIS, ARRAYS = -1, -2


class Index:
    """A key, read against a shape.

    Attributes
    ----------
    axes : tuple
        One entry per axis of the array: an int in range, a `range` whose elements are in range, or an int64 array of
        non-negative positions (or int32, as given, for a format that takes both). All arrays have one shape, that of
        their broadcast.
    raw : tuple
        As `axes`, with the arrays as given, before they were broadcast against each other.
    shape : tuple of int
        Shape of what the key selects.
    layout : tuple of int
        Where each part of `shape` comes from: the number of a sliced axis, `NEW_AXIS`, or `ARRAYS` for all dimensions
        of the index arrays.
    array_shape : tuple of int or None
        The arrays' common shape; None without arrays.
    """

    __slots__ = ("array_shape", "axes", "layout", "raw", "shape")

    def __init__(self, raw: tuple, layout: list[int]) -> None:
        arrays = [a for a in raw if isinstance(a, np.ndarray)]
        self.raw = self.axes = raw
        self.array_shape: tuple[int, ...] | None = None
        if len(arrays) == 1:
            self.array_shape = arrays[0].shape
        elif arrays:
            try:
                self.array_shape = np.broadcast_shapes(*(a.shape for a in arrays))
            except ValueError:
                shapes = " ".join(str(a.shape) for a in arrays)
                raise IndexError(
                    f"shape mismatch: indexing arrays could not be broadcast together with shapes {shapes}"
                ) from None
            common = self.array_shape
            self.axes = tuple(np.broadcast_to(a, common) if isinstance(a, np.ndarray) else a for a in raw)
        self.layout = tuple(layout)
        shape: list[int] = []
        for part in layout:
            if part == ARRAYS:
                shape.extend(self.array_shape or ())
            else:
                shape.append(1 if part == NEW_AXIS else len(raw[part]))
        self.shape = tuple(shape)

    @property
    def newaxes(self) -> tuple[int, ...]:
        """Positions in `shape` that `None` put there."""
        found, at = [], 0
        for part in self.layout:
            if part == NEW_AXIS:
                found.append(at)
            at += len(self.array_shape or ()) if part == ARRAYS else 1
        return tuple(found)

    @property
    def selected(self) -> tuple[int, ...]:
        """`shape` without its new axes."""
        skipped = self.newaxes
        return tuple(n for at, n in enumerate(self.shape) if at not in skipped)

    def meshes(self) -> list[tuple[list[int], list[int], list[np.ndarray]]]:
        """The index arrays in groups that vary along dimensions of `array_shape` of their own, as those of `np.ix_` do.

        Each group has its axes, its dimensions, and for every axis the positions wanted, flat over those dimensions: an
        element is selected where each group meets it, so nobody has to look at all cells.
        """
        nd = len(self.array_shape or ())
        groups: list[tuple[list[int], list[int]]] = []
        for axis, a in enumerate(self.raw):
            if not isinstance(a, np.ndarray):
                continue
            axes, dims = [axis], [nd - a.ndim + d for d, n in enumerate(a.shape) if n != 1]
            for other in [g for g in groups if set(g[1]) & set(dims)]:
                groups.remove(other)
                axes, dims = other[0] + axes, sorted({*other[1], *dims})
            groups.append((axes, dims))
        found = []
        for axes, dims in groups:
            full = [self.raw[axis].reshape((1,) * (nd - self.raw[axis].ndim) + self.raw[axis].shape) for axis in axes]
            own = np.broadcast_arrays(*(a.reshape([a.shape[d] for d in dims]) for a in full))
            found.append((axes, dims, [a.ravel() for a in own]))
        return found

    def grid(self) -> tuple[np.ndarray, ...]:
        """int64 positions along every axis, which broadcast to `shape` without its new axes."""
        rank = len(self.shape) - len(self.newaxes)
        nd = len(self.array_shape or ())
        at, places = 0, {}
        for part in self.layout:
            if part != NEW_AXIS:
                places[part] = at
                at += nd if part == ARRAYS else 1
        out = []
        for axis, a in enumerate(self.axes):
            if isinstance(a, range):
                left = rank - places[axis] - 1
                out.append(np.arange(a.start, a.stop, a.step, dtype=np.int64).reshape((-1,) + (1,) * left))
            elif isinstance(a, np.ndarray):
                out.append(a.reshape(a.shape + (1,) * (rank - places[ARRAYS] - nd)))
            else:
                out.append(np.full((1,) * rank, a, dtype=np.int64))
        return tuple(out)


def parse(key: Any, shape: tuple[int, ...], any_rank: bool = False, both_widths: bool = False) -> Index:
    """Read `key` against `shape`.

    Parameters
    ----------
    key : int, slice, Ellipsis, None, array_like of integers or booleans, sparse array of booleans, or a tuple of these
    shape : tuple of int
        The indexed array's.
    any_rank : bool
        Accept index arrays of more than two dimensions.
    both_widths : bool
        Keep int32 index arrays as they are.

    Raises
    ------
    IndexError
        Too many indices, an index out of range, arrays that do not broadcast, a mask of another shape.
    ValueError
        A float where an integer is needed.
    """
    if key is Ellipsis:
        key = ()
    items = key if isinstance(key, tuple) else (key,)
    plain: list[Any] = []  # ints, slices, None, Ellipsis, integer arrays and boolean arrays
    needed, dots = 0, None
    for item in items:
        item = _read(item)
        if item is Ellipsis:
            if dots is not None:
                raise IndexError("an index can only have a single ellipsis")
            dots = len(plain)
            continue
        plain.append(item)
        if item is not None:
            needed += item.ndim if isinstance(item, (np.ndarray, _Mask)) and item.dtype.kind == "b" else 1
    rest = len(shape) - needed
    if rest < 0:
        raise IndexError(
            f"Too many indices for array or tuple index out of range. Key {key} needs {needed}D. Array is {len(shape)}D"
        )
    if rest:
        at = len(plain) if dots is None else dots
        plain[at:at] = [slice(None)] * rest
    axes: list[Any] = []
    layout: list[int] = []
    ints: list[int] = []  # where in layout an integer would stand, were it an array
    first_array = None
    parts: list[int] = []  # positions among the key's items of arrays and integers
    for n, item in enumerate(plain):
        axis = len(axes)
        if item is None:
            layout.append(NEW_AXIS)
        elif isinstance(item, slice):
            axes.append(range(shape[axis])[item])
            layout.append(axis)
        elif isinstance(item, int):
            axes.append(_wrapped(item, shape[axis]))
            parts.append(n)
            ints.append(len(layout))
        else:
            axes.extend(_positions(item, shape, axis, n, any_rank, both_widths))
            parts.append(n)
            ints.append(len(layout))
            first_array = n
    if first_array is not None:  # integers count as arrays then, and all that are not neighbours go to the front
        together = parts[-1] - parts[0] + 1 == len(parts)
        layout.insert(ints[0] if together else 0, ARRAYS)
    return Index(tuple(axes), layout)


class _Mask:
    """A sparse array of booleans as an index: the places where it is True, in C order."""

    dtype = np.dtype(np.bool_)

    def __init__(self, mask: Any) -> None:
        A = as_sparse(mask)
        ordered = A.ndim == 2
        A = (A.tocsr()._canonical() if ordered else A).tocoo(copy=False)
        keep = _dense.view(A._data)
        coords = [_dense.view(c) if keep.all() else _dense.view(c)[keep] for c in A._coords]
        if not ordered:
            order = np.lexsort(coords[::-1])
            coords = [c[order] for c in coords]
        self.shape, self.ndim = mask.shape, mask.ndim
        self._places = tuple(c.astype(np.int64) for c in coords)

    def nonzero(self) -> tuple[np.ndarray, ...]:
        return self._places


def _read(item: Any) -> Any:
    """One item of a key as None, Ellipsis, a slice, an int, an ndarray or a mask."""
    if type(item) is np.ndarray and item.ndim:
        return item
    if item is None or item is Ellipsis or isinstance(item, (slice, int)):
        return int(item) if isinstance(item, bool) else item
    if isinstance(item, np.integer):
        return int(item)
    if _dense.is_mlx(item):
        item = _dense.view(item)
    if issparse(item):
        if _dtypes.numpy_dtype(as_sparse(item)._data.dtype) == np.bool_:
            return _Mask(item)
        raise IndexError(
            "Indexing with sparse matrices is not supported except boolean indexing where matrix and index are equal "
            "shapes."
        )
    if not isinstance(item, (np.ndarray, list, tuple, str, bytes)):
        try:
            return operator.index(item)
        except TypeError:
            pass
    a = np.asarray(item)
    if a.ndim:
        return a
    try:
        return operator.index(a.item())
    except TypeError:
        pass
    try:
        inexact = bool(int(a) == a)
    except (TypeError, ValueError, OverflowError):
        inexact = False
    if inexact:
        raise ValueError(f"Inexact indices into sparse matrices are not allowed; got {a!r}, give an integer")
    return a


def _wrapped(i: int, n: int) -> int:
    if not -n <= i < n:
        raise IndexError(f"index ({i}) out of range for an axis of length {n}")
    return i + n if i < 0 else i


def _positions(
    a: Any, shape: tuple[int, ...], axis: int, n: int, any_rank: bool, both_widths: bool
) -> tuple[np.ndarray, ...]:
    """The non-negative positions that an index array stands for: one array per axis that it covers."""
    if a.dtype.kind == "b":
        covered = shape[axis : axis + a.ndim]
        if tuple(a.shape) != covered:
            raise IndexError(f"bool index {n} has shape {covered} instead of {tuple(a.shape)}")
        return a.nonzero()
    if a.ndim == 0 or a.ndim > 2 and not any_rank:
        raise IndexError(f"Index dimension must be 1 or 2. Got {a.ndim}")
    if a.size == 0:
        return (np.zeros(a.shape, np.int64),)
    given, a = a.dtype, _dense.as_integers(a)
    if a is None:
        raise IndexError(f"an index array must hold integers or booleans; got dtype {given}, not all of them whole")
    low, high, length = np.minimum.reduce(a, axis=None), np.maximum.reduce(a, axis=None), shape[axis]
    if high >= length:
        raise IndexError(f"index ({high}) out of range for an axis of length {length}")
    if low < -length:
        raise IndexError(f"index ({low}) out of range for an axis of length {length}")
    if not both_widths or a.dtype != np.int32 or length > _dtypes.INT32_MAX:
        a = a.astype(np.int64, copy=False)
    return (np.where(a < 0, a + length, a) if low < 0 else a,)


class _indexed:
    """`A[key]` and `A[key] = x` for a format that says how to read and write positions."""

    _format: str
    _shape: tuple[int, ...]
    _data: Any
    _quick_set = True  # A[i, j] = x is one call of _set_one
    _takes_int32 = False  # as positions: nothing is computed of them
    tocsr: Any

    def __getitem__(self, key: Any) -> Any:
        if type(key) is tuple and len(key) == 2 and type(key[0]) is int and type(key[1]) is int:
            place = self._place(key)
            if place is not None:
                return self._get_one(*place)
        slices = self._select_slices(key)
        if slices is not None:
            return slices
        index = parse(key, self._shape, self._format == "coo", self._takes_int32)
        if len(index.shape) > 2 and self._format != "coo":
            raise IndexError(
                f"Indexing that leads to >2D is not supported by {self._format} format. Try converting to COO format"
            )
        return self._select(index)

    def __setitem__(self, key: Any, x: Any) -> None:
        if type(key) is tuple and len(key) == 2 and type(key[0]) is int and type(key[1]) is int and self._quick_set:
            place = self._place(key)
            if place is not None:
                self._set_one(*place, self._item(x))
                return
        index = parse(key, self._shape, self._format == "coo", self._takes_int32)
        if all(isinstance(a, int) for a in index.axes):
            self._set_item(index, x)
        elif issparse(x) and (len(index.axes) == 2 or self._format == "coo"):
            self._set_sparse(index, as_sparse(x))
        else:
            self._set_dense(index, self._values(x))

    # ---- what formats provide ---------------------------------------------------------------------------------

    def _select_slices(self, key: Any) -> Any:
        """What a key selects that a device reads where it stands; None of other keys."""
        return None

    def _select(self, index: Index) -> Any:
        """What `index` selects: a sparse array, or a dense scalar."""
        found = self.tocsr()._select(index)
        return found.asformat(self._format) if issparse(found) and found.format == "csr" else found

    def _package(self, found: Any, index: Index) -> Any:
        """What was found, a scalar, dense or sparse, in the shape that `index` asks for (coo where it changes)."""
        shape = index.shape
        if shape == () or found.shape == shape:
            return found
        if not issparse(found):
            return _dense.in_namespace(_dense.to_mlx(found).reshape(shape))
        if len(shape) == 1:  # a row or a column: its other axis alone
            coo = found.tocoo(copy=False)
            axis = 1 if found.shape[0] == 1 and coo.shape[1] == shape[0] else 0
            return coo._from_parts(coo._data, (coo._coords[axis],), shape, coo.has_canonical_format)
        return found.tocoo(copy=False).reshape(shape)

    def _get_one(self, i: int, j: int) -> Any:
        """The element at (i, j), both in range."""
        return self._select(Index((i, j), []))

    def _set_one(self, i: int, j: int, x: Any) -> None:
        """Set the element at (i, j), both in range, to the scalar `x` of this array's dtype."""
        self._assign((np.full(1, i, np.int64), np.full(1, j, np.int64)), np.full(1, x))

    def _set_item(self, index: Index, x: Any) -> None:
        """`_set_one` for any number of axes and an `x` still to be checked."""
        if len(index.axes) == 2:
            self._set_one(*index.axes, self._item(x))
        else:
            self._assign(tuple(np.full(1, a, np.int64) for a in index.axes), np.full(1, self._item(x)))

    def _assign(self, coords: tuple[np.ndarray, ...], values: np.ndarray) -> None:
        """Set the elements at `coords` (int64, flat, in range) to `values`; of repeated places the last counts."""
        raise NotImplementedError(f"assignment is not supported by {self._format} format; use tocsr() or tolil()")

    def _assign_grid(self, grid: Sequence[np.ndarray], values: np.ndarray) -> None:
        """`_assign` for positions and values of one shape of any rank."""
        self._assign(tuple(g.reshape(-1) for g in grid), values.reshape(-1))

    def _clear_block(self, rows: np.ndarray, cols: np.ndarray) -> None:
        """Make every stored element of these rows and columns, each named once, zero."""
        raise NotImplementedError(f"assignment is not supported by {self._format} format; use tocsr() or tolil()")

    def _assign_block(self, rows: np.ndarray, cols: np.ndarray, x: Any) -> None:
        """Set the block of `rows` and `cols` to the sparse 2-D `x`, whose shape broadcasts to the block's.

        Of a row or column named twice the last counts. Costs what entries there are, not cells.
        """
        if rows.size == 0 or cols.size == 0:
            return
        values, (i, j) = stored(x, _dtypes.mlx_dtype(self._values(0).dtype))
        if x.shape[0] == 1 and rows.size != 1:
            i, j, values = np.repeat(np.arange(rows.size), j.size), np.tile(j, rows.size), np.tile(values, rows.size)
        if x.shape[1] == 1 and cols.size != 1:
            i, values = np.repeat(i, cols.size), np.repeat(values, cols.size)
            j = np.tile(np.arange(cols.size), i.size // cols.size)
        last = _last_named(rows), _last_named(cols)
        if last[0] is not None or last[1] is not None:
            keep = np.ones(values.size, np.bool_)
            for at, chosen in ((i, last[0]), (j, last[1])):
                if chosen is not None:
                    keep &= chosen[at]
            i, j, values = i[keep], j[keep], values[keep]
        self._clear_block(*(a if f is None else a[f] for a, f in zip((rows, cols), last, strict=True)))
        if values.size:
            self._assign((rows[i], cols[j]), values)

    # ---- right-hand sides -------------------------------------------------------------------------------------

    def _place(self, key: tuple[int, int]) -> tuple[int, int] | None:
        """`key` made non-negative; None when it is out of range or this array is not 2-D."""
        if len(self._shape) != 2:
            return None
        (M, N), (i, j) = self._shape, key
        if not (-M <= i < M and -N <= j < N):
            return None
        return (i + M if i < 0 else i), (j + N if j < 0 else j)

    def _values(self, x: Any) -> np.ndarray:
        """A right-hand side as an ndarray of this array's dtype."""
        host = _dtypes.numpy_dtype(self._data.dtype)
        if issparse(x):
            x = as_sparse(x).toarray()
        elif _dense.is_mlx(x):
            x = _dense.view(x)
        _native.refuse_traced_within(x)
        return np.asarray(x, dtype=host)

    def _item(self, x: Any) -> Any:
        """A right-hand side that must be a single element."""
        values = self._values(x)
        if values.size != 1:
            raise ValueError(f"Trying to assign a sequence to an item: {values.size} values to one element")
        return values.flat[0]

    def _set_dense(self, index: Index, x: np.ndarray) -> None:
        grid = np.broadcast_arrays(*_rows_and_columns(index)) if len(index.axes) == 2 else index.grid()
        if len(index.axes) != 2:
            grid = np.broadcast_arrays(*grid)
        shape = grid[0].shape
        if x.squeeze().shape != _squeezed(shape):
            x = np.broadcast_to(x, shape)
        if x.size:
            self._assign_grid(grid, x.reshape(shape))

    def _set_sparse(self, index: Index, x: Any) -> None:
        rows, cols = map(np.atleast_2d, _rows_and_columns(index))
        shape = np.broadcast_shapes(rows.shape, cols.shape)
        if 0 in x.shape:
            return
        if any(n != m and n != 1 for n, m in zip(x._shape_as_2d, shape, strict=True)):
            raise ValueError(f"shape mismatch in assignment: {tuple(x.shape)} into {shape}")
        if x.ndim != 2:
            x = x.reshape(x._shape_as_2d)
        if rows.shape[1] == 1 and cols.shape[0] == 1:
            self._assign_block(rows.ravel(), cols.ravel(), x)
        else:  # as many positions are given as there are cells
            self._assign_grid(np.broadcast_arrays(rows, cols), np.broadcast_to(self._values(x), shape))


def stored(x: Any, dtype: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Values of a sparse array in `dtype` and int64 coordinates of its entries, duplicates summed. Synchronises."""
    if x.format in ("csr", "csc"):
        x = x._canonical()
        major = np.repeat(np.arange(x._indptr.size - 1), np.diff(_dense.view(x._indptr)))
        coords = list(x._swap((major, _dense.view(x._indices).astype(np.int64))))[-x.ndim :]
    else:
        x = x.tocoo(copy=False)._unique()
        coords = [_dense.view(c).astype(np.int64) for c in x._coords]
    return _dense.view(x.astype(dtype, copy=False)._data), coords


def is_mesh(row: np.ndarray, col: np.ndarray) -> bool:
    """Whether two index arrays select all of some rows' elements in some columns, as those of `np.ix_` do."""
    return row.ndim == 2 and row.shape[1] == 1 and (col.ndim == 1 or col.shape[0] == 1)


def _last_named(places: np.ndarray) -> np.ndarray | None:
    """Where each of `places` is named for the last time; None if none is named twice."""
    if np.all(places[1:] > places[:-1]):
        return None
    names, back = np.unique(places[::-1], return_index=True)
    if names.size == places.size:
        return None
    last = np.zeros(places.size, np.bool_)
    last[places.size - 1 - back] = True
    return last


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _rows_and_columns(index: Index) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a 2-D array as arrays that broadcast: an integer is an array of one, a slice spans an axis."""
    row, col = (np.arange(a.start, a.stop, a.step, dtype=np.int64) if isinstance(a, range) else a for a in index.raw)
    sliced = [isinstance(a, range) for a in index.raw]
    rows = row[:, None] if sliced[0] else np.atleast_1d(row)
    if sliced[1]:
        if rows.ndim == 1:
            rows = rows[:, None]
        return rows, col[None, :]
    return rows, np.atleast_1d(col)


__all__ = ["ARRAYS", "NEW_AXIS", "Index", "is_mesh", "parse", "stored"]

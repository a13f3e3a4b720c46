"""Coordinate arrays of any rank."""

from __future__ import annotations

import math
import operator
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values, runtime
from ._base import as_sparse, issparse, sparray
from ._classes import ARRAYS
from ._coo_index import _coo_indexed
from ._coo_nd import _nd_array, unravelled
from ._data import handed_out, traced
from ._minmax import _minmax
from ._reduce import check_axis
from ._shape import all_integers, check_shape, given_shape, is_shape, resolve_shape


class _coo_base(_coo_indexed, _minmax, _nd_array):
    """COOrdinate array of 1 to 64 dimensions: entry p has value ``data[p]`` at ``(coords[0][p], ...)``, in any order.

    Parameters
    ----------
    arg1 : array_like, sparse array or tuple
        A dense array; a sparse array of this package or of SciPy; ``(data, coords)`` with one index array per
        dimension, ``(data, (row, col))`` in 2-D, kept as given, duplicates included (they count as their sum); or a
        shape for an empty array.
    shape : tuple of int, optional
        Inferred from the indices when absent.
    dtype : dtype, optional
        Of the values.
    copy : bool
        Copy a sparse `arg1`'s buffers. Other inputs are always copied.
    maxprint : int, optional
        Most entries shown by ``print``.
    validate : {True, False, "metadata", "full"}
        True and "full" read the coordinates and check their bounds; False and "metadata" check lengths only.

    Raises
    ------
    ValueError
        Lengths that do not agree, or an index that is negative or outside the shape.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.coo_array((np.array([1.0, 2.0]), ([0, 1], [1, 1])), shape=(2, 2))
    >>> A.toarray()
    array([[0., 1.],
           [0., 2.]])

    Differences from SciPy
    ----------------------
    As for `csr_array`. ``count_nonzero(axis)`` counts along any axes of an n-D array, and reshaping in C order keeps
    entries canonical.
    """

    _format = "coo"
    _allow_nd: tuple[int, ...] = tuple(range(1, 65))
    _buffers = ("_data", "_coords")
    _known = ("_shape", "has_canonical_format")
    _coords: tuple[mx.array, ...]
    has_canonical_format: bool

    def __init__(
        self,
        arg1: Any,
        shape: Any = None,
        dtype: Any = None,
        copy: bool = False,
        *,
        maxprint: int | None = None,
        validate: bool | str = True,
    ) -> None:
        target = self._begin(arg1, dtype, maxprint, validate)
        self.has_canonical_format = False
        if issparse(arg1):
            self._take_over(as_sparse(arg1).tocoo(copy=False), copy, target)
            # SciPy forgets what it knew, unless it copies.
            self.has_canonical_format = self.has_canonical_format and (copy or runtime.dense_namespace == "mlx")
        elif is_shape(arg1, self._allow_nd):
            self._shape = check_shape(arg1, self._allow_nd)
            self._coords = tuple(_dense.full(0, 0, self._index_dtype()) for _ in self._shape)
            self._data = _dense.full(0, 0, target or _dtypes.default_float())
            self.has_canonical_format = True
            shape = None  # SciPy looks at one shape only
        elif all_integers(arg1) and len(arg1) in self._allow_nd:
            check_shape(arg1, self._allow_nd)
        elif isinstance(arg1, tuple):
            self._from_coordinates(arg1, shape, target, validate)
        else:
            self._from_dense(arg1, target)
        if shape is not None:
            given = check_shape(shape, self._allow_nd)
            if given != self._shape and not isinstance(arg1, tuple) and not issparse(arg1):
                raise ValueError(f"inconsistent shapes: {given} != {self._shape}")
            self._shape = given
            self._check_bounds()
        self._bind()

    @classmethod
    def _from_parts(
        cls, data: mx.array, coords: tuple[mx.array, ...], shape: tuple[int, ...], canonical: bool = False
    ) -> Any:
        """An array over these buffers, unchecked; over copies of those that users can write to."""
        data, *coords = _native.unexposed(data, *coords)  # type: ignore[assignment]
        return cls._over(data, coords, shape, canonical)

    def _narrow(self) -> None:
        self._coords = self._narrowed(self._coords, self._shape)

    @classmethod
    def _over(
        cls, data: mx.array, coords: tuple[mx.array, ...], shape: tuple[int, ...], canonical: bool = False
    ) -> Any:
        """An array over these buffers, whoever else sees them."""
        new = cls.__new__(cls)
        new._coords, new._shape = cls._narrowed(tuple(coords), shape), tuple(shape)
        new._data, new.has_canonical_format = data, canonical
        new._bind()
        return new

    def _bind(self) -> None:
        """Buffers that any thread may use, whenever they have been set."""
        _native.settle(self._coords, self._data)

    def _from_coordinates(self, arg1: tuple, shape: Any, dtype: mx.Dtype | None, validate: bool | str) -> None:
        try:
            data, coords = arg1
        except (TypeError, ValueError):
            raise TypeError("invalid input format: a tuple is (data, coords) or a shape") from None
        if isinstance(coords, np.ndarray) and coords.ndim == 1 or not hasattr(coords, "__len__"):
            raise TypeError("coordinates must be a tuple of index arrays")
        coords = tuple(map(_dense.imported, coords))
        if shape is None:
            if any(len(c) == 0 for c in coords):
                raise ValueError("cannot infer dimensions from zero sized index arrays; give shape")
            index = self._index_dtype_of(coords, None)
            coords = tuple(_dense.to_index(c, index, f"coords[{i}]") for i, c in enumerate(coords))
            shape = tuple(int(_dense.view(c).max()) + 1 for c in coords)
        self._shape = check_shape(shape, self._allow_nd)
        if len(coords) != self.ndim:
            raise ValueError(f"mismatching number of index arrays for shape; got {len(coords)}, expected {self.ndim}")
        index = self._index_dtype(coords)
        self._coords = tuple(_dense.to_index(c, index, f"coords[{i}]") for i, c in enumerate(coords))
        self._data = _dense.to_mlx(data, dtype)
        for x in (self._data, *self._coords):
            if x.ndim != 1:
                raise ValueError(f"coordinates and data arrays must be 1-D; got {x.ndim}-D")
        if any(c.size != self._data.size for c in self._coords):
            sizes = [x.size for x in (*self._coords, self._data)]
            raise ValueError(f"all index and data arrays must have the same length; got {sizes}")
        if validate in (True, "full"):
            self._check_bounds()

    def _from_dense(self, arg1: Any, dtype: mx.Dtype | None) -> None:
        try:
            x = _dense.as_dense(arg1)
        except ValueError:
            raise
        except Exception as error:
            raise TypeError(f"cannot make a coo_array from {type(arg1).__name__}") from error
        if _dense.is_mlx(x) and x.ndim in self._allow_nd and not _dense.is_constant(x):
            self._from_traced(x, dtype)
            return
        values = _dense.view(x) if _dense.is_mlx(x) else np.asarray(x)
        if values.ndim not in self._allow_nd:
            raise TypeError(f"coo_array supports 1-D to 64-D input; got {values.ndim}-D ({type(arg1).__name__})")
        if values.dtype == np.object_:
            raise ValueError("object arrays are not supported; give arg1 a numeric dtype")
        self._shape = values.shape
        self.has_canonical_format = True
        compressed = _dense.fromdense(x, True, dtype)
        if compressed is not None:
            self._data, col, indptr = compressed
            self._coords = (_native.expand(indptr, col.size, None), col)
            return
        found = values.nonzero()
        index = self._index_dtype()
        self._coords = tuple(_dense.to_index(c, index, "coords") for c in found)
        kept = values[found]
        if dtype is None:
            dtype = x.dtype if _dense.is_mlx(x) else None
        self._data = _dense.to_mlx(kept, dtype)

    def _from_traced(self, x: mx.array, dtype: mx.Dtype | None) -> None:
        """All elements of `x`: zeros among traced ones cannot be told, and have derivatives too."""
        self._shape, self.has_canonical_format = tuple(x.shape), True
        index = self._index_dtype()
        grid = np.unravel_index(np.arange(x.size), self._shape)
        self._coords = tuple(_dense.to_index(c, index, "coords") for c in grid)
        self._data = _dense.to_mlx(_values.reshape(x, (-1,)), dtype)

    def _index_dtype(self, coords: Any = ()) -> mx.Dtype:
        """That of index arrays for this shape: int64 above two dimensions, as in SciPy."""
        if self.ndim > 2:
            return mx.int64
        return self._index_dtype_of(coords, max(self._shape))

    def _check_bounds(self) -> None:
        if len(self._coords) != self.ndim:
            raise ValueError(
                f"mismatching number of index arrays for shape; got {len(self._coords)}, expected {self.ndim}"
            )
        if self._data.size == 0 or traced(*self._coords):
            return
        for axis, idx in enumerate(self._coords):
            low, high = _native.extent(idx)
            if high >= self._shape[axis]:
                raise ValueError(f"axis {axis} index {high} exceeds matrix dimension {self._shape[axis]}")
            if low < 0:
                raise ValueError(f"negative axis {axis} index: {low}")

    # ---- buffers ----------------------------------------------------------------------------------------------

    def _take_coords(self, values: Any) -> None:
        values, olds = tuple(values), self._raw("_coords")
        if len(values) != self.ndim:
            raise ValueError(f"mismatching number of index arrays for shape; got {len(values)}, expected {self.ndim}")
        index = mx.int64 if self.ndim > 2 else _dense.index_dtype_of(values)
        new = tuple(_dense.to_index(self._import(v, old), index, "coords") for v, old in zip(values, olds, strict=True))
        if any(c.ndim != 1 for c in new):
            raise ValueError(f"coordinates must be 1-D; got {[c.ndim for c in new]} dimensions")
        self._take_buffer("_coords", new)
        self.has_canonical_format = False

    def _take_axis(self, axis: int, values: Any) -> None:
        """One of the index arrays, which the user assigns."""
        coords = self._raw("_coords")
        if type(values) is np.ndarray and values.ndim == 1 and values.dtype == _dtypes.numpy_dtype(coords[axis].dtype):
            new = list(coords)
            new[axis] = self._import(values, coords[axis])
            self._take_buffer("_coords", tuple(new))
            self.has_canonical_format = False
            self._settle_what_fits()
        else:
            self.coords = tuple(values if k == axis % self.ndim else c for k, c in enumerate(coords))

    def _of_assigned(self, pending: dict[str, Any]) -> Any:
        data, coords = pending.values()
        index = mx.int64 if self.ndim > 2 else _dtypes.index_dtype([c.dtype for c in coords], max(self._shape))
        if not self._fits(pending) or any(c.dtype != index for c in coords):
            return super()._of_assigned(pending)
        new = ARRAYS["coo"]._over(data, coords, self._shape)
        new._check_bounds()
        return new

    def _fits(self, pending: dict[str, Any]) -> bool:
        coords = pending["_coords"]
        return self._is_wide_enough(coords[0]) and {c.shape for c in coords} == {pending["_data"].shape}

    coords = handed_out("_coords", lambda self, values: self._take_coords(values), "Index arrays, one per dimension.")

    @property
    def row(self) -> Any:
        """Indices along the last axis but one (all zero for a 1-D array)."""
        if self.ndim > 1:
            return self.coords[-2]
        row = _dense.in_namespace(mx.zeros_like(self._raw("_coords")[0]))
        if isinstance(row, np.ndarray):
            row.flags.writeable = False
        return row

    @row.setter
    def row(self, values: Any) -> None:
        if self.ndim < 2:
            raise ValueError("cannot set row attribute of a 1-dimensional sparse array")
        self._take_axis(-2, values)

    @property
    def col(self) -> Any:
        """Indices along the last axis."""
        return self.coords[-1]

    @col.setter
    def col(self, values: Any) -> None:
        self._take_axis(-1, values)

    @property
    def _row(self) -> mx.array:
        return self._coords[-2] if self.ndim > 1 else mx.zeros_like(self._coords[0])

    @property
    def _structure(self) -> Any:
        made = _native.Structure.coordinate(*self._shape_as_2d, self._row, self._coords[-1])
        return made.unplanned() if _native.any_exposed() else made

    def _getnnz(self, axis: Any = None) -> Any:
        return int(self._data.size) if axis is None else self._count(axis, None)

    def _count(self, axis: Any, keep: Any) -> Any:
        """Number of the entries in `keep` (None: all) along `axis`."""
        axes = check_axis(axis, self.ndim)
        if len(axes) == self.ndim:
            return int(self._data.size) if keep is None else np.count_nonzero(keep)
        kept = tuple(a for a in range(self.ndim) if a not in axes)
        shape = tuple(self._shape[a] for a in kept)
        key = _dense.view(self._key(kept, math.prod(shape) > 2**31 - 1))
        counts = np.bincount(key if keep is None else key[keep], minlength=math.prod(shape))
        return _dense.in_namespace(_dense.to_mlx(counts.reshape(shape)))

    def _with_data(self, data: mx.array, padded: bool = True) -> Any:
        return self._from_parts(data, self._coords, self._shape, self.has_canonical_format)

    def check_format(self, full_check: bool = True) -> None:
        """Check lengths and, with `full_check`, the bounds of the coordinates.

        Raises
        ------
        ValueError
            What is wrong first.
        """
        if any(c.size != self._data.size for c in self._coords):
            sizes = [x.size for x in (*self._coords, self._data)]
            raise ValueError(f"all index and data arrays must have the same length; got {sizes}")
        if full_check:
            self._check_bounds()

    # ---- canonical form ---------------------------------------------------------------------------------------

    def sum_duplicates(self) -> None:
        """Sum entries with equal coordinates and sort by row, then column, rebinding the buffers. Synchronises."""
        if self.has_canonical_format:
            return
        self._data, self._coords = self._summed()
        self.has_canonical_format = True
        self._bind()

    def eliminate_zeros(self) -> None:
        """Drop stored entries whose value is zero, rebinding the buffers. Refuses traced values."""
        kept = _dense.view(self._data) != 0
        if not kept.all():
            self._keep(kept)

    def _unique(self) -> Any:
        if self.has_canonical_format or not self._has_duplicates():
            return self
        new = self._from_parts(self._data, self._coords, self._shape)
        new.sum_duplicates()
        return new

    def count_nonzero(self, axis: Any = None) -> Any:
        """Number of entries whose value is not zero, in all or along `axis` (an int or several)."""
        A = self if self.has_canonical_format else self._from_parts(self._data, self._coords, self._shape)
        A.sum_duplicates()
        return A._count(axis, _dense.view(A._data) != 0)

    # ---- products and sums ------------------------------------------------------------------------------------

    def _matmul_direct(self, x: Any) -> Any:
        if len(self._shape) != 2:
            return None
        return _native.product_direct(_native.ProductKind.matmul, self._structure, self._data, x)

    def _product(self, data: mx.array, x: mx.array, transposed: bool, stream: Any = None) -> mx.array:
        kind = _native.ProductKind.rmatmul if transposed else _native.ProductKind.matmul
        return _native.product(kind, self._structure, data, x, stream)

    def _matmul_sparse(self, other: Any) -> Any:
        return self.tocsr()._matmul_sparse(other)

    def multiply(self, other: Any) -> Any:
        """Element-wise product with a scalar, a dense or a sparse array, with broadcasting. The result is sparse."""
        if _dense.is_scalar(other):
            return self._mul_scalar(other)
        return self._multiply_nd(other) if self.ndim > 2 else self.tocsr().multiply(other)

    def _axis_sum(self, data: mx.array, axis: int, stream: Any) -> mx.array:
        kept = 1 - axis
        return _native.minor_sum(data, self._coords[kept], self.shape[kept], stream)

    def _diagonal(self, k: int) -> mx.array:
        M, N = self.shape
        if k <= -M or k >= N:
            return _values.zeros(0, self._data.dtype)
        return _native.diagonal(self._structure, self._data, k, False, None)

    def _setdiag(self, values: mx.array, k: int) -> None:
        """Drop the entries on diagonal `k` and put `values` there instead."""
        row, col, data = (_dense.view(x) for x in (*self._coords, self._data))
        first = np.arange(values.size, dtype=row.dtype)
        kept = (col.astype(np.int64) - row != k) | (np.minimum(row, col) >= values.size)
        index = self._index_dtype(self._coords)
        self._coords = tuple(
            _dense.to_index(np.concatenate([old[kept], new.astype(old.dtype)]), index, "coords")
            for old, new in ((row, first - min(k, 0)), (col, first + max(k, 0)))
        )
        self._data = _dense.to_mlx(np.concatenate([data[kept], _dense.view(values)]), self._data.dtype)
        self.has_canonical_format = False
        self._bind()

    def _todense(self, stream: Any) -> mx.array:
        if self.ndim > 2:
            d = self._grouped(range(self.ndim - 1), (self.ndim - 1,))._todense(stream)
        else:
            d = _native.todense(self._structure, self._data, stream)
        return d if self.ndim == 2 else _values.reshape(d, self.shape, stream=stream)

    # ---- formats and shapes -----------------------------------------------------------------------------------

    def tocoo(self, copy: bool = False, *, stream: Any = None) -> Any:
        """This array (a copy if `copy`)."""
        return self.copy() if copy else self

    def tocsr(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse row form, duplicates summed.

        Synchronises, unless values are traced.
        """
        if self.ndim > 2:
            raise ValueError(f"Cannot convert. CSR must be 1D or 2D. Got {self.ndim}D")
        return self._compress(self._classes["csr"], self._row, self._coords[-1], self._shape_as_2d[0], stream)

    def tocsc(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse column form, duplicates summed. Laziness as for `tocsr`."""
        if self.ndim != 2:
            raise ValueError(f"Cannot convert. CSC format must be 2D. Got {self.ndim}D")
        return self._compress(self._classes["csc"], self._coords[1], self._coords[0], self.shape[1], stream)

    def _compress(self, cls: Any, major: mx.array, minor: mx.array, n: int, stream: Any) -> Any:
        if not self.has_canonical_format and not traced(major, minor):
            parts = _native.coo_to_canonical(self._data, major, minor, n)
            return cls._from_parts(*parts, self._shape, canonical=True)
        return cls._from_parts(*_native.coo_to_cs(self._data, major, minor, n, stream), self._shape)

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        """Axes reversed, or permuted to `axes`: the coordinate arrays in another order, O(1)."""
        order = tuple(range(self.ndim)[::-1])
        if axes is not None:
            given = tuple(operator.index(a) for a in (axes if hasattr(axes, "__len__") else (axes,)))
            if len(given) != self.ndim:
                raise ValueError(f"axes don't match matrix dimensions: {axes} for {self.ndim}-D")
            if any(a >= self.ndim for a in given):
                raise IndexError(f"axes {given} out of range for {self.ndim} dimensions")
            order = tuple(a % self.ndim for a in given)
            if len(set(order)) != self.ndim:
                raise ValueError(f"repeated axis in transpose: {axes}")
        if order == tuple(range(self.ndim)):
            return self.copy() if copy else self
        A = self.copy() if copy else self
        A._give_up_views()
        new = self._over(A._data, tuple(A._coords[a] for a in order), tuple(self._shape[a] for a in order))
        A._share_with(new)
        return new

    def reshape(self, *shape: Any, order: str = "C", copy: bool = False) -> Any:
        """This array with another shape of as many elements, of any rank. Reads the structure (synchronises)."""
        target = resolve_shape(shape, self._shape, self._allow_nd)
        if order not in ("C", "F"):
            raise ValueError(f"'order' must be 'C' or 'F'; got {order!r}")
        if target == self._shape:
            return self.copy() if copy else self
        wide = len(target) > 2 or _dtypes.index_dtype([c.dtype for c in self._coords], max(target)) == mx.int64
        coords = unravelled(self._coords, self._shape, target, wide, order)
        canonical = order == "C" and self.has_canonical_format
        if copy:
            return self._from_parts(self._data, coords, target, canonical)
        self._give_up_views()
        new = self._over(self._data, coords, target, canonical)
        self._share_with(new)
        return new

    def resize(self, *shape: Any) -> None:
        """Change the shape, 1-D or 2-D, dropping the entries outside; rebinds this array's buffers. Synchronises.

        With another number of dimensions, entries keep their position in C order.
        """
        target = given_shape(shape, self._allow_nd)
        if self.ndim > 2:
            raise ValueError(f"only 1-D or 2-D input accepted; this array is {self.ndim}-D")
        if len(target) > 2:
            raise ValueError(f"shape argument must be 1-D or 2-D; got {target}")
        A = self
        if len(target) != self.ndim:  # as one row; a row past the end of a shorter shape goes below
            n = math.prod(self._shape)
            A = self.reshape((n,)) if len(target) == 1 else self._folded_rows(target[1], n)
        kept = None
        for c, old, new in zip(A._coords, A._shape, target, strict=True):
            if new < old:
                inside = _dense.view(c) < new
                kept = inside if kept is None else kept & inside
        self._data, self._coords, self._shape = A._data, A._coords, target
        if kept is not None and not kept.all():
            self._keep(kept)
        self._bind()

    def _folded_rows(self, width: int, n: int) -> Any:
        """This 1-D array of length `n` in rows of `width`."""
        shape = (-(-n // width) if width else 0, width)
        if not width:
            return type(self)(shape, dtype=self._data.dtype)
        return self._from_parts(self._data, unravelled(self._coords, (n,), shape, False), shape)

    def _keep(self, kept: np.ndarray) -> None:
        self._data, *coords = _native.keep([self._data, *self._coords], kept)
        self._coords = tuple(coords)
        self._bind()


class coo_array(_coo_base, sparray):
    __doc__ = _coo_base.__doc__

"""Coordinate arrays, 1-D and 2-D."""

from __future__ import annotations

import math
import operator
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, runtime
from ._base import as_sparse, issparse
from ._compressed import _index_input_dtype, _own, _replace_diagonal, _traced
from ._data import _data_array
from ._shape import all_integers, check_input, check_shape, is_shape


class coo_array(_data_array):
    """COOrdinate array, 1-D or 2-D: entry p has value ``data[p]`` at ``(row[p], col[p])``, in any order.

    Parameters
    ----------
    arg1 : array_like, sparse array or tuple
        A dense array; a sparse array of this package or of SciPy; ``(data, (row, col))`` or ``(data, (col,))``, kept as
        given, duplicates included (they count as their sum); or a shape for an empty array.
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
    Up to two dimensions. As for `csr_array` otherwise.
    """

    _format = "coo"
    _allow_nd = (1, 2)
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
        super().__init__(maxprint=maxprint)
        check_input(arg1, validate)
        target = None if dtype is None else _dtypes.mlx_dtype(dtype)
        self.has_canonical_format = False
        if issparse(arg1):
            coo = as_sparse(arg1).tocoo(copy=False)
            self._data, self._coords, self._shape = coo._data, coo._coords, coo._shape
            self.has_canonical_format = coo.has_canonical_format
            if copy and runtime.dense_namespace == "numpy":
                self._data, self._coords = _own(self._data), tuple(map(_own, self._coords))
            if target is not None:
                self._data = self.astype(target, copy=False)._data
        elif is_shape(arg1, self._allow_nd):
            self._shape = check_shape(arg1, self._allow_nd)
            index = _dtypes.index_dtype(maxval=max(self._shape))
            self._coords = tuple(mx.zeros(0, dtype=index) for _ in self._shape)
            self._data = mx.zeros(0, dtype=target or _dtypes.default_float())
            self.has_canonical_format = True
        elif all_integers(arg1):
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

    @classmethod
    def _from_parts(
        cls, data: mx.array, coords: tuple[mx.array, ...], shape: tuple[int, ...], canonical: bool = False
    ) -> Any:
        """An array over these buffers, unchecked."""
        new = cls.__new__(cls)
        _data_array.__init__(new, maxprint=None)
        new._data, new._coords, new._shape, new.has_canonical_format = data, tuple(coords), tuple(shape), canonical
        return new

    def _from_coordinates(self, arg1: tuple, shape: Any, dtype: mx.Dtype | None, validate: bool | str) -> None:
        try:
            data, coords = arg1
        except (TypeError, ValueError):
            raise TypeError("invalid input format") from None
        if isinstance(coords, np.ndarray) and coords.ndim == 1 or not hasattr(coords, "__len__"):
            raise TypeError("coordinates must be a tuple of index arrays")
        coords = tuple(coords)
        if shape is None:
            if any(np.size(c) == 0 for c in coords):
                raise ValueError("cannot infer dimensions from zero sized index arrays")
            sizes = tuple(int(np.max(_dense.view(c) if _dense.is_mlx(c) else c)) + 1 for c in coords)
            shape = check_shape(sizes, self._allow_nd)
        self._shape = check_shape(shape, self._allow_nd)
        if len(coords) != self.ndim:
            raise ValueError(f"{len(coords)} index arrays were given for {self.ndim} dimensions")
        index = _dtypes.index_dtype([_index_input_dtype(c) for c in coords], max(self._shape))
        self._coords = tuple(_dense.to_index(c, index, f"coords[{i}]") for i, c in enumerate(coords))
        self._data = _dense.to_mlx(data, dtype)
        for x in (self._data, *self._coords):
            if x.ndim != 1:
                raise ValueError("coordinates and data arrays must be 1-D")
        if any(c.size != self._data.size for c in self._coords):
            raise ValueError("all index and data arrays must have the same length")
        if validate in (True, "full"):
            self._check_bounds()

    def _from_dense(self, arg1: Any, dtype: mx.Dtype | None) -> None:
        try:
            x = _dense.as_dense(arg1)
        except ValueError:
            raise
        except Exception as error:
            raise TypeError(f"cannot make a coo_array from {type(arg1).__name__}") from error
        values = _dense.view(x) if _dense.is_mlx(x) else np.asarray(x)
        if values.ndim not in self._allow_nd:
            raise ValueError(f"coo_array supports 1-D and 2-D input; got {values.ndim}-D")
        if values.dtype == np.object_:
            raise ValueError("object arrays are not supported")
        self._shape = values.shape
        found = values.nonzero()
        index = _dtypes.index_dtype(maxval=max(self._shape))
        self._coords = tuple(_dense.to_index(c, index, "coords") for c in found)
        kept = values[found]
        if dtype is None:
            dtype = x.dtype if _dense.is_mlx(x) else None
        self._data = _dense.to_mlx(kept, dtype)
        self.has_canonical_format = True

    def _check_bounds(self) -> None:
        if len(self._coords) != self.ndim:
            raise ValueError(
                f"mismatching number of index arrays for shape; got {len(self._coords)}, expected {self.ndim}"
            )
        if self._data.size == 0 or _traced(*self._coords):
            return
        for axis, idx in enumerate(self._coords):
            v = _dense.view(idx)
            low, high = int(v.min()), int(v.max())
            if high >= self._shape[axis]:
                raise ValueError(f"axis {axis} index {high} exceeds matrix dimension {self._shape[axis]}")
            if low < 0:
                raise ValueError(f"negative axis {axis} index: {low}")

    # ---- buffers ----------------------------------------------------------------------------------------------

    @property
    def coords(self) -> tuple[Any, ...]:
        """Index arrays, one per dimension."""
        return tuple(_dense.out(c) for c in self._coords)

    @coords.setter
    def coords(self, values: Any) -> None:
        values = tuple(values)
        if len(values) != self.ndim:
            raise ValueError(f"{len(values)} index arrays were given for {self.ndim} dimensions")
        index = _dtypes.index_dtype([_index_input_dtype(v) for v in values])
        olds = self._coords
        self._coords = tuple(
            _dense.to_index(self._import(v, old), index, "coords") for v, old in zip(values, olds, strict=True)
        )
        self.has_canonical_format = False

    @property
    def row(self) -> Any:
        """Row indices (all zero for a 1-D array)."""
        row = _dense.out(self._row)
        if self.ndim == 1 and isinstance(row, np.ndarray):
            row.flags.writeable = False
        return row

    @row.setter
    def row(self, values: Any) -> None:
        if self.ndim < 2:
            raise ValueError("cannot set row attribute of a 1-dimensional sparse array")
        self.coords = (values, self._coords[1])

    @property
    def col(self) -> Any:
        """Column indices."""
        return _dense.out(self._coords[-1])

    @col.setter
    def col(self, values: Any) -> None:
        self.coords = (*self._coords[:-1], values)

    @property
    def _row(self) -> mx.array:
        return self._coords[0] if self.ndim > 1 else mx.zeros_like(self._coords[0])

    @property
    def _pattern(self) -> Any:
        return _native.Pattern(False, *self._shape_as_2d)

    def _getnnz(self, axis: int | None = None) -> int:
        return int(self._data.size)

    def _entries(self) -> mx.array:
        return self._data

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
            raise ValueError("all index and data arrays must have the same length")
        if full_check:
            self._check_bounds()

    # ---- canonical form ---------------------------------------------------------------------------------------

    def sum_duplicates(self) -> None:
        """Sum entries with equal coordinates and sort by row, then column, rebinding the buffers. Synchronises."""
        if self.has_canonical_format:
            return
        cs = self.tocsr()
        cs.sum_duplicates()
        coo = cs.tocoo(copy=False)
        self._data, self._coords, self.has_canonical_format = coo._data, coo._coords, True

    def eliminate_zeros(self) -> None:
        """Drop stored entries whose value is zero, rebinding the buffers. Synchronises."""
        keep = _dense.view(self._data) != 0
        if not keep.all():
            where = mx.array(np.flatnonzero(keep))
            self._data = self._data[where]
            self._coords = tuple(c[where] for c in self._coords)

    def _unique(self) -> Any:
        if self.has_canonical_format:
            return self
        n = self._shape_as_2d[0]
        probe = mx.zeros(self._data.size, dtype=mx.bool_)
        _, indices, indptr = _native.coo_to_cs(probe, self._row, self._coords[-1], n, None)
        _, indices = _native.sort_indices(probe, indices, indptr)
        if _native.is_canonical(indices, indptr):
            return self
        new = self._from_parts(self._data, self._coords, self._shape)
        new.sum_duplicates()
        return new

    def count_nonzero(self, axis: int | None = None) -> Any:
        """Number of entries whose value is not zero, in all or along `axis`."""
        A = self if self.has_canonical_format else self._from_parts(self._data, self._coords, self._shape)
        A.sum_duplicates()
        keep = _dense.view(A._data) != 0
        if axis is None or (self.ndim == 1 and axis in (0, -1)):
            return np.count_nonzero(keep)
        if not -self.ndim <= axis < self.ndim:
            raise ValueError("axis out of bounds")
        axis %= self.ndim
        kept = _dense.view(A._coords[1 - axis])[keep]
        return _dense.out(mx.array(np.bincount(kept, minlength=self.shape[1 - axis])))

    # ---- products and sums ------------------------------------------------------------------------------------

    def _matmul_direct(self, x: Any) -> Any:
        if len(self._shape) != 2:
            return None
        return _native.product_direct(0, self._pattern, self._data, self._row, self._coords[1], x)

    def _product(self, data: mx.array, x: mx.array, transposed: bool, stream: Any = None) -> mx.array:
        return _native.product(int(transposed), self._pattern, data, self._row, self._coords[-1], x, stream)

    def _matmul_sparse(self, other: Any) -> Any:
        return self.tocsr()._matmul_sparse(other)

    def multiply(self, other: Any) -> Any:
        """Element-wise product with a scalar, a dense or a sparse array, with broadcasting. The result is sparse."""
        return self._mul_scalar(other) if _dense.is_scalar(other) else self.tocsr().multiply(other)

    def _axis_sum(self, data: mx.array, axis: int, stream: Any) -> mx.array:
        kept = 1 - axis
        return _native.minor_sum(data, self._coords[kept], self.shape[kept], stream)

    def _diagonal(self, k: int) -> mx.array:
        M, N = self.shape
        if k <= -M or k >= N:
            return mx.zeros(0, dtype=self._data.dtype)
        row, col = self._coords
        on = mx.where(row + k == col, self._data, mx.zeros(1, dtype=self._data.dtype))
        first = max(-k, 0)
        return _native.minor_sum(on, row, M, None)[first : first + min(M + min(k, 0), N - max(k, 0))]

    def _setdiag(self, values: mx.array, k: int) -> None:
        new = _replace_diagonal(self, values, k)
        self._data, self._coords, self.has_canonical_format = new._data, new._coords, False

    def _todense(self, stream: Any) -> mx.array:
        d = _native.todense(self._pattern, self._data, self._row, self._coords[-1], stream)
        return mx.reshape(d, self.shape, stream=stream) if self.ndim == 1 else d

    # ---- formats and shapes -----------------------------------------------------------------------------------

    def tocoo(self, copy: bool = False, *, stream: Any = None) -> Any:
        """This array (a copy if `copy`)."""
        return self.copy() if copy else self

    def tocsr(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse row form, duplicates summed.

        Lazy when `has_canonical_format` says that there are no duplicates, and on traced values (duplicates then
        stay, which no product or sum can see); synchronises otherwise.
        """
        from ._csr import csr_array

        return self._compress(csr_array, self._row, self._coords[-1], self._shape_as_2d[0], stream)

    def tocsc(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse column form, duplicates summed. Laziness as for `tocsr`."""
        from ._csc import csc_array

        if self.ndim == 1:
            raise ValueError(f"CSC arrays must be 2D (M, N). Got {self._shape}")
        return self._compress(csc_array, self._coords[1], self._coords[0], self.shape[1], stream)

    def _compress(self, cls: Any, major: mx.array, minor: mx.array, n: int, stream: Any) -> Any:
        if not self.has_canonical_format and not _traced(self._data):
            parts = _native.coo_to_canonical(self._data, major, minor, n)
            return cls._from_parts(*parts, self._shape, canonical=True)
        return cls._from_parts(*_native.coo_to_cs(self._data, major, minor, n, stream), self._shape)

    def _to_native_format(self, format: str) -> Any:
        return self.asformat("csr" if format == "csc" and self.ndim == 1 else format)

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        """Transpose: the coordinate arrays swapped, O(1)."""
        if axes is not None:
            given = tuple(operator.index(a) for a in (axes if hasattr(axes, "__len__") else (axes,)))
            if len(given) != self.ndim:
                raise ValueError(f"axes don't match matrix dimensions: {axes} for {self.ndim}-D")
            if any(a >= self.ndim for a in given):
                raise IndexError(f"axes {given} out of range for {self.ndim} dimensions")
            if sorted(a % self.ndim for a in given) != list(range(self.ndim)):
                raise ValueError(f"repeated axis in transpose: {axes}")
            if tuple(a % self.ndim for a in given) == tuple(range(self.ndim)):
                return self.copy() if copy else self
        if self.ndim == 1:
            return self.copy() if copy else self
        source = self.copy() if copy else self
        return self._from_parts(source._data, source._coords[::-1], self._shape[::-1])

    def reshape(self, *shape: Any, order: str = "C", copy: bool = False) -> Any:
        """This array with another shape of as many elements."""
        target = _resolve_shape(shape, self._shape, self._allow_nd)
        if order not in ("C", "F"):
            raise ValueError("'order' must be 'C' or 'F'")
        if target == self._shape:
            return self.copy() if copy else self
        coords = tuple(_dense.view(c).astype(np.int64) for c in self._coords)
        kind: Any = order
        flat = np.ravel_multi_index(coords, self._shape, order=kind) if self.nnz else np.zeros(0, np.int64)
        moved = np.unravel_index(flat, target, order=kind)
        index = _dtypes.index_dtype([c.dtype for c in self._coords], max(target))
        data = _own(self._data) if copy and runtime.dense_namespace == "numpy" else self._data
        new = tuple(_dense.to_index(c, index, "coords") for c in moved)
        return self._from_parts(data, new, target)


def _resolve_shape(args: tuple, current: tuple[int, ...], allow_nd: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that reshape's arguments ask for, with one -1 filled in."""
    given = args[0] if len(args) == 1 and hasattr(args[0], "__len__") else args
    shape = [operator.index(n) for n in given]
    if shape.count(-1) > 1:
        raise ValueError("can only specify one unknown dimension")
    total = math.prod(current)
    if -1 in shape:
        rest = math.prod(n for n in shape if n != -1)
        if rest == 0 or total % rest:
            raise ValueError(f"cannot reshape array of size {total} into shape {tuple(shape)}")
        shape[shape.index(-1)] = total // rest
    found = check_shape(tuple(shape), allow_nd)
    if math.prod(found) != total:
        raise ValueError(f"cannot reshape array of size {total} into shape {found}")
    return found

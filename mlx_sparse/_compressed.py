"""csr and csc as one implementation over (major, minor) axes; the leaves say which axis is major."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import as_sparse, issparse, sparray
from ._compressed_index import _cs_indexed
from ._data import _data_array, handed_out, traced
from ._minmax import _cs_minmax
from ._multiply import multiply
from ._shape import all_integers as _all_integers
from ._shape import check_shape, given_shape, is_shape

_PIECE = 1 << 14  # entries that are put in order at a time
MERGE_OPS = dict(_native.MergeOp.__members__)  # by the names that element-wise operations have in Python


class _cs_array(_cs_indexed, _cs_minmax, _data_array):
    """Compressed storage: values and minor indices of slice m stand at ``indptr[m]:indptr[m + 1]``."""

    _buffers = ("_data", "_indices", "_indptr")
    _known = ("_shape", "_sorted", "_canonical_format")
    _indices: mx.array
    _indptr: mx.array
    _structure: Any
    _bound = True
    _sorted: bool | None = None
    _canonical_format: bool | None = None
    _matmul_kind: Any
    _rmatmul_kind: Any
    # Between (row, column) and (major, minor), and the class that compresses the other axis.
    _swap: Any
    _other: Any

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
        if arg1 is None and 1 not in self._allow_nd:
            raise ValueError(f"{self.format.upper()} arrays don't support 0D input; got None")
        target = self._begin(arg1, dtype, maxprint, validate)
        if isinstance(arg1, tuple) and len(arg1) == 3:
            self._from_buffers(arg1, shape, target, validate)
            shape = None
        elif issparse(arg1):
            self._take_over(as_sparse(arg1).asformat(self.format), copy, target)
        elif is_shape(arg1, self._allow_nd):
            self._from_shape(check_shape(arg1, self._allow_nd), target)
        elif isinstance(arg1, tuple) and len(arg1) != 2 or _all_integers(arg1):
            if arg1:
                check_shape(arg1, self._allow_nd)  # says what is wrong with a shape
            raise ValueError(
                f"unrecognized {type(self).__name__} constructor input: {arg1}; "
                "give an array, a tuple of arrays or a shape"
            )
        elif isinstance(arg1, tuple):
            if not self._from_triplets(arg1, shape, target, validate):
                self._adopt(self._coo_of(arg1, shape, target).asformat(self.format))
        else:
            self._from_dense(arg1, target)
        if shape is not None:
            given = check_shape(shape, self._allow_nd)
            if given != self._shape:
                self._reshape_in_place(given)
        self._bind()

    # ---- construction -----------------------------------------------------------------------------------------

    @classmethod
    def _from_parts(
        cls,
        data: mx.array,
        indices: mx.array,
        indptr: mx.array,
        shape: tuple[int, ...],
        sorted: bool | None = None,
        canonical: bool | None = None,
    ) -> Any:
        """An array over these buffers, unchecked; over copies of those that users can write to."""
        data, indices, indptr = _native.unexposed(data, indices, indptr)
        indices, indptr = cls._narrowed((indices, indptr), shape)
        new = cls.__new__(cls)
        new._data, new._indices, new._indptr, new._shape = data, indices, indptr, shape
        new._sorted, new._canonical_format = (True if canonical else sorted), canonical
        new._bind()
        return new

    def _narrow(self) -> None:
        index = self._narrowed((self._indices, self._indptr), self._shape)
        if index[0] is not self._indices:
            self._rebind(self._data, *index)

    def _bind(self) -> None:
        """Describe the current structure to the native layer; what it derived from an older one is dropped."""
        major, minor = self._swap(self._shape_as_2d)
        self._structure = _native.Structure.compressed(major, minor, self._indices, self._indptr, self._data)

    def _from_shape(self, shape: tuple[int, ...], dtype: mx.Dtype | None) -> None:
        self._shape = shape
        index = _dtypes.index_dtype(maxval=max(shape))
        major = self._swap(self._shape_as_2d)[0]
        self._data = _dense.full(0, 0, dtype or _dtypes.default_float())
        self._indices = _dense.full(0, 0, index)
        self._indptr = _dense.full(major + 1, 0, index)
        self._sorted = self._canonical_format = True

    def _from_dense(self, arg1: Any, dtype: mx.Dtype | None) -> None:
        x = self._dense_input(arg1)
        parts = _dense.fromdense(x, self._swap((True, False))[0], dtype)
        if parts is None:
            self._adopt(self._coo_of(x, None, dtype).asformat(self.format))
        else:
            self._shape = tuple(x.shape)
            self._rebind(*parts)
            self._sorted = self._canonical_format = True

    def _from_buffers(self, arg1: tuple, shape: Any, dtype: mx.Dtype | None, validate: bool | str) -> None:
        data, indices, indptr = arg1
        given = None if shape is None else check_shape(shape, self._allow_nd)
        maxval = max(given) if given and 0 not in given else None
        index = self._index_dtype_of((indices, indptr), maxval)
        self._indices = _dense.to_index(indices, index, "indices")
        self._indptr = _dense.to_index(indptr, index, "indptr")
        self._data = _dense.to_mlx(data, dtype)
        for name, x in (("data", self._data), ("indices", self._indices), ("indptr", self._indptr)):
            if x.ndim != 1:
                raise ValueError(f"data, indices, and indptr should be 1-D; {name} has shape {tuple(x.shape)}")
        if given is None:
            given = self._infer_shape()
        self._shape = given
        self._check_lengths()
        if validate in (True, "full") and not traced(self._indices, self._indptr):
            self._check_contents()
            self.prune()

    def _from_triplets(self, arg1: tuple, shape: Any, dtype: mx.Dtype | None, validate: bool | str) -> bool:
        """Construction from coordinates where NumPy holds them, without copies of them; False where it takes more."""
        data, coords = arg1
        if not isinstance(coords, (tuple, list)) or len(coords) != 2 or validate not in (True, "full"):
            return False
        if not all(type(x) is np.ndarray and x.size for x in (data, *coords)):
            return False
        row, col = coords
        if not isinstance(self, sparray) or mx.default_device().type != mx.DeviceType.cpu:
            return False
        if row.dtype != col.dtype or row.dtype not in (np.int32, np.int64) or row.shape != col.shape:
            return False
        if not _dtypes.is_shared(data.dtype) or (dtype is not None and dtype != _dtypes.mlx_dtype(data.dtype)):
            return False
        low, high = [x.min() for x in coords], [int(x.max()) for x in coords]
        target = tuple(n + 1 for n in high) if shape is None else check_shape(shape, self._allow_nd)
        if len(target) != 2 or min(low) < 0 or any(i >= n for i, n in zip(high, target, strict=True)):
            return False
        if _dtypes.numpy_dtype(_dense.index_dtype_of(coords, max(target))) != row.dtype:
            return False
        major, minor = self._swap(coords)
        parts = _native.numpy_to_canonical(data, major, minor, self._swap(target)[0])
        if parts is None:
            return False
        self._shape = target
        self._rebind(*parts)
        self._sorted = self._canonical_format = True
        return True

    def _infer_shape(self) -> tuple[int, ...]:
        if self._indptr.size == 0 or self._indices.size == 0:
            raise ValueError("unable to infer matrix dimensions from empty indices or indptr; give shape")
        minor = _native.extent(self._indices)[1] + 1
        return self._swap((self._indptr.size - 1, minor))

    def _reshape_in_place(self, shape: tuple[int, ...]) -> None:
        """Adopt a declared shape: the major length must agree, the minor one must hold every index."""
        self._shape = shape
        self._check_lengths()
        self._check_contents()

    def _check_lengths(self) -> None:
        major = self._swap(self._shape_as_2d)[0]
        if self._indptr.size != major + 1:
            raise ValueError(f"index pointer size {self._indptr.size} should be {major + 1}")
        if self._indices.size != self._data.size:
            raise ValueError(
                f"indices and data should have the same size; got {self._indices.size} and {self._data.size}"
            )

    def _check_contents(self) -> None:
        found = _native.check_indices(self._indices, self._indptr, self._minor)
        if found:
            raise ValueError(found)

    def check_format(self, full_check: bool = True) -> None:
        """Check lengths, and with `full_check` also the contents of the index buffers.

        Raises
        ------
        ValueError
            What is wrong first.
        """
        self._check_lengths()
        p = _dense.view(self._indptr)
        if p[0] != 0:
            raise ValueError(f"index pointer should start with 0; got {p[0]}")
        if p[-1] > self._indices.size:
            raise ValueError(
                "Last value of index pointer should be less than the size of index and data arrays or equal to it; "
                f"got {p[-1]} and {self._indices.size}"
            )
        self.prune()
        if full_check:
            self._check_contents()

    # ---- buffers ----------------------------------------------------------------------------------------------

    def _trio_as(self, dtype: mx.Dtype, index: mx.Dtype) -> tuple[mx.array, mx.array, mx.array]:
        """The buffers, cast."""
        return (
            _dense.cast(self._data, dtype),
            _dense.as_index(self._indices, index),
            _dense.as_index(self._indptr, index),
        )

    def _take_index(self, name: str, values: Any) -> None:
        new = _dense.to_index(self._import(values, self._raw(name)), _dense.index_dtype_of([values]), name[1:])
        if new.ndim != 1:
            raise ValueError(f"{name[1:]} must be 1-D; got shape {tuple(new.shape)}")
        if self._pending is None and self._fits_at_once(name, new):
            return
        self._take_buffer(name, new)
        self._sorted = self._canonical_format = None
        # Kernels need both of one dtype: the wider, until the other one has been assigned too.
        parts: Any = self._pending
        now = {n: parts[n].dtype for n in ("_indices", "_indptr")}
        index = _dtypes.index_dtype((now | self._restructured).values())
        parts.update({n: _dense.as_index(parts[n], index) for n in now})

    def _fits_at_once(self, name: str, new: mx.array) -> bool:
        """Take an index buffer that is in order beside the others; False where it is not, or takes a closer look."""
        indices, indptr = (new if n == name else getattr(self, n) for n in ("_indices", "_indptr"))
        if indices.dtype != indptr.dtype or not self._is_wide_enough(indices) or traced(indices, indptr):
            return False
        if indptr.size != self._indptr.size or indices.size != self._data.shape[0]:
            return False
        if _dense.view(indptr)[-1] != indices.size or _native.check_indices(indices, indptr, self._minor):
            return False
        with _dense.exposing:
            self._rebind(self._data, indices, indptr)
            self._sorted = self._canonical_format = None
        return True

    def _fits(self, pending: dict[str, Any]) -> bool:
        data, indices, indptr = pending.values()
        if not self._is_wide_enough(indices) or any(d != indices.dtype for d in self._restructured.values()):
            return False  # the other one may become narrower, too
        return data.shape[:1] == indices.shape and _dense.view(indptr)[-1:].tolist() == [indices.size]

    indices = handed_out(
        "_indices",
        lambda self, values: self._take_index("_indices", values),
        "Minor indices of the stored entries (column indices of csr, row indices of csc).",
    )
    indptr = handed_out(
        "_indptr",
        lambda self, values: self._take_index("_indptr", values),
        "Where each major slice begins and ends in `indices` and `data`.",
    )

    @property
    def nnz(self) -> int:
        """Number of stored entries, explicit zeros included."""
        return self._data.size

    def _getnnz(self, axis: int | None = None) -> Any:
        if axis is None:
            return int(self._indices.size)
        if not -self.ndim <= axis < self.ndim:
            raise ValueError(f"axis out of bounds; got {axis} for {self.ndim} dimensions")
        if self.ndim == 1:
            return int(self._indices.size)
        kept = 1 - axis % 2
        if self._swap((0, 1))[0] == kept:
            counts = np.diff(_dense.view(self._indptr))
        else:
            counts = np.bincount(_dense.view(self._indices), minlength=self._shape[kept])
        return _dense.in_namespace(_dense.to_mlx(counts))

    def _with_data(self, data: mx.array, padded: bool = True) -> Any:
        n = data.size
        indices = self._indices if padded or n == self._indices.size else self._indices[:n]
        new = self._from_parts(data, indices, self._indptr, self._shape, self._sorted, self._canonical_format)
        if new._indices is self._indices and new._indptr is self._indptr:
            new._structure = self._structure  # and what the native layer derived from it
        return new

    def prune(self) -> None:
        """Drop whatever the buffers hold beyond the last stored entry."""
        n = int(_dense.view(self._indptr)[-1]) if self._indptr.size else 0
        sizes = self._indices.size, self._data.size
        if min(sizes) < n:
            raise ValueError(f"indices and data have fewer entries than indptr says: {sizes[0]}, {sizes[1]} and {n}")
        if max(sizes) > n:
            self._rebind(self._data[:n], self._indices[:n], self._indptr)

    def _rebind(self, data: mx.array, indices: mx.array, indptr: mx.array) -> None:
        """Other buffers for this array, as its in-place methods make them."""
        self._give_up_views()
        self._data, self._indices, self._indptr = data, indices, indptr
        self._bind()

    # ---- canonical form ---------------------------------------------------------------------------------------

    @property
    def has_sorted_indices(self) -> bool:
        """Whether the indices within every slice are in ascending order."""
        if self._sorted is None:
            self._sorted = bool(_native.is_sorted(self._indices, self._indptr))
        return self._sorted

    @has_sorted_indices.setter
    def has_sorted_indices(self, value: bool) -> None:
        self._sorted = bool(value)

    @property
    def has_canonical_format(self) -> bool:
        """Whether the indices are sorted and free of duplicates."""
        if self._canonical_format is None:
            self._canonical_format = self._sorted is not False and bool(
                _native.is_canonical(self._indices, self._indptr)
            )
            if self._canonical_format:
                self._sorted = True
        return self._canonical_format

    @has_canonical_format.setter
    def has_canonical_format(self, value: bool) -> None:
        self._canonical_format = bool(value)
        if value:
            self._sorted = True

    def sort_indices(self) -> None:
        """Sort the indices within every slice, rebinding this array's buffers. Synchronises."""
        if not self.has_sorted_indices:
            self._rebind(*_native.sort_indices(self._trio))
            self._sorted = True

    def sorted_indices(self) -> Any:
        """A copy with sorted indices."""
        A = self.copy()
        A.sort_indices()
        return A

    def sum_duplicates(self) -> None:
        """Sort and sum entries with equal coordinates, rebinding this array's buffers. Synchronises."""
        if self.has_canonical_format:
            return
        self._rebind(*_native.sum_duplicates(self._trio))
        self._sorted = self._canonical_format = True

    def eliminate_zeros(self) -> None:
        """Drop stored entries whose value is zero, rebinding this array's buffers. Refuses traced values."""
        kept = _native.eliminate_zeros(self._trio)
        if kept is not None:
            self._rebind(*kept)

    def _canonical(self) -> Any:
        """This array if it is canonical, else a canonical copy: operators never change their operands."""
        if self.has_canonical_format:
            return self
        new = self._with_data(self._data)
        new.sum_duplicates()
        return new

    def _unique(self) -> Any:
        return self._canonical()

    def _without_duplicates(self) -> Any:
        """This array if it has no duplicates, in any order, else a canonical copy: for what looks at values alone."""
        return self._canonical() if self._has_duplicates() else self

    def _has_duplicates(self) -> bool:
        return not self.has_canonical_format and _native.has_duplicates(self._indices, self._indptr)

    def _pieces(self, ordered: bool = False) -> Iterator[Any]:
        """This array if it has no duplicates (with `ordered`: if it is canonical), else canonical copies of its slices.

        Only some of the slices at a time are copied, unless values are traced.
        """
        if self.has_canonical_format or not ordered and not self._has_duplicates():
            yield self
        elif self._is_short():
            yield self._canonical()
        else:
            for low, n in self._runs():
                trio = _native.canonical_slices(self._trio, low, n)
                yield self._from_parts(*trio, self._swap((n, self._minor)), canonical=True)

    def _is_short(self) -> bool:
        """Whether a copy is as good as pieces."""
        return self._indices.size <= _PIECE or self._indptr.size == 2 or traced(self._data) or self.format == "bsr"

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Where pieces of about `_PIECE` entries begin, and how many slices they have."""
        p, low = _dense.view(self._indptr), 0
        while low + 1 < p.size:
            end = p.dtype.type(min(int(p[low]) + _PIECE, int(p[-1])))  # of another dtype it would be a copy of p
            n = max(1, int(np.searchsorted(p, end, "right")) - 1 - low)
            yield low, n
            low += n

    def _stacked(self, pieces: list[Any]) -> Any:
        """What was made of pieces, canonical, one after the other."""
        wide = self._indices.dtype == mx.int64
        trio = _native.stack([A._trio for A in pieces], [self._minor] * len(pieces), True, wide)
        return self._from_parts(*trio, self._shape, canonical=True)

    def _unique_as(self, dtype: mx.Dtype, stream: Any) -> Any:
        if self._is_short() or self.has_canonical_format or dtype == mx.bfloat16 or stream is not None:
            return super()._unique_as(dtype, stream)
        size, index = self._indices.size, self._indices.dtype
        buffers = (size, dtype), (size, index), (self._indptr.size, index)
        made = [_dense.uninitialized(n, d) for n, d in buffers]
        values, indices, indptr = map(_dense.view, made)
        indptr[0] = count = 0
        for low, n in self._runs():
            given, columns, bounds = _native.major_range(self._trio, low, n, 1, False)
            piece = _dense.to_mlx(_dense.view(given), dtype), columns, bounds
            *found, ends = map(_dense.view, _native.canonical_slices(piece, 0, n))
            end = count + found[0].size
            values[count:end], indices[count:end] = found
            indptr[low + 1 : low + n + 1] = ends[1:] + count
            count = end
        return self._from_parts(made[0][:count], made[1][:count], made[2], self._shape, canonical=True)

    def count_nonzero(self, axis: int | None = None) -> Any:
        """Number of entries whose value is not zero, in all or along `axis`."""
        if axis is None:
            return np.intp(sum(_dense.count_nonzero(_dense.view(A._entries())) for A in self._pieces()))
        if self.ndim == 1:
            return self.tocoo().count_nonzero(axis)
        axis = axis + 2 if axis < 0 else axis
        if axis not in (0, 1):
            raise ValueError(f"axis out of bounds; got {axis} for 2 dimensions")
        along_major = self._swap((0, 1))[0] == axis
        found: list[np.ndarray] = []
        for A in self._pieces():
            stored = _dense.view(A._entries()) != 0
            every = stored.all()
            if along_major:
                indices = _dense.view(A._indices)[: stored.size]
                counts = np.bincount(indices if every else indices[stored], minlength=self._minor)
                found = [found[0] + counts] if found else [counts]
            else:
                p = _dense.view(A._indptr)
                found.append(np.diff(p if every else np.append(0, np.cumsum(stored))[p]))
        return _dense.in_namespace(_dense.to_mlx(np.concatenate(found)))

    # ---- products ---------------------------------------------------------------------------------------------

    def _matmul_direct(self, x: Any) -> Any:
        if len(self._shape) != 2:
            return None
        return _native.product_direct(self._matmul_kind, self._structure, self._data, x)

    def _product(self, data: mx.array, x: mx.array, transposed: bool, stream: Any = None) -> mx.array:
        kind = self._rmatmul_kind if transposed else self._matmul_kind
        return _native.product(kind, self._structure, data, x, stream)

    def _matmul_sparse(self, other: Any) -> Any:
        """self @ other, canonical. Reads both operands to find the result's size (synchronises).

        Entries that are zero are dropped, unless values are traced.
        """
        o_ndim = other.ndim
        if o_ndim == 1:
            other = other.reshape((other.shape[0], 1))
        other = other.asformat(self.format)
        dtype = _dtypes.result_type(self._data.dtype, other._data.dtype)
        a, b = self._swap((self, other))
        index = _dtypes.index_dtype([a._indices.dtype, b._indices.dtype])
        parts = _native.matmul_sparse(a._trio_as(dtype, index), b._trio_as(dtype, index), b._minor)
        M, N = self._shape_as_2d[0], other._shape_as_2d[1]
        res = self._from_parts(*parts, (M, N), canonical=True)
        shape = self.shape[:-1] + ((N,) if o_ndim == 2 else ())
        if shape == ():
            total = _dense.cast(_native.total(res._data, None), dtype)
            return _dense.view(total) if _dense.numpy_mode() or _dense.is_wide(total) else total
        return res if len(shape) == 2 else res.tocoo(copy=False).reshape(shape)

    @property
    def _minor(self) -> int:
        return self._swap(self._shape_as_2d)[1]

    def __rmatmul__(self, other: Any) -> Any:
        if type(other) is np.ndarray and other.ndim == 1 and self.ndim == 2:
            y = self.transpose()._matmul_direct(other)
            if y is not None:
                return y
        return super().__rmatmul__(other)

    # ---- element-wise -----------------------------------------------------------------------------------------

    def _merge_sparse(self, other: Any, op: str) -> Any:
        a, b = self, other.asformat(self.format)
        if traced(a._data, b._data):
            a, b = a._canonical(), b._canonical()
        canonical = a.has_canonical_format, b.has_canonical_format
        dtype = _dtypes.result_type(a._data.dtype, b._data.dtype)
        shared = a._indices is b._indices and a._indptr is b._indptr
        if shared and canonical[0] and _dense.on_shaders(a._data):
            values = _native.merge_shared(MERGE_OPS[op], *(_dense.cast(x._data, dtype) for x in (a, b)))
            if values is not None:
                found = a._with_data(values)
                if not traced(values):
                    found.eliminate_zeros()
                return found
        index = _dtypes.index_dtype([a._indices.dtype, b._indices.dtype], max(self.shape))
        parts = _native.merge(MERGE_OPS[op], a._trio_as(dtype, index), b._trio_as(dtype, index), *canonical)
        return self._from_parts(*parts, self.shape, canonical=True)

    def multiply(self, other: Any) -> Any:
        """Element-wise product with a scalar, a dense or a sparse array, with broadcasting. The result is sparse.

        Zeros of a product of sparse arrays are dropped, unless values are traced: then an entry is where both have one.
        """
        return multiply(self, other)

    # ---- reductions and dense parts ---------------------------------------------------------------------------

    def _axis_sum(self, data: mx.array, axis: int, stream: Any) -> mx.array:
        """Sum over `axis` of the values `data` on this structure."""
        if self._swap((0, 1))[0] == axis:
            return _native.inner_sum(self._structure, data, stream)
        return _native.major_sum(data, self._indptr, stream)

    def _diagonal(self, k: int) -> mx.array:
        M, N = self._shape
        if k <= -M or k >= N:
            return _values.zeros(0, self._data.dtype)
        along, canonical = self._swap((k, -k))[0], self._canonical_format is True
        return _native.diagonal(self._structure, self._data, along, canonical, None)

    def _setdiag(self, values: mx.array, k: int) -> None:
        first = np.arange(values.size + abs(k), dtype=_dtypes.numpy_dtype(self._indices.dtype))
        major, minor = self._swap((first[max(-k, 0) :][: values.size], first[max(k, 0) :][: values.size]))
        self._set_many(major, minor, values, True, quiet=True)

    def _todense(self, stream: Any) -> mx.array:
        d = _native.todense(self._structure, self._data, stream)
        if self._swap((0, 1))[0] == 1:
            d = _values.transpose(d, stream=stream)
        return _values.reshape(d, self._shape, stream=stream) if len(self._shape) == 1 else d

    # ---- formats ----------------------------------------------------------------------------------------------

    def _flip(self, stream: Any) -> tuple[mx.array, mx.array, mx.array]:
        """The same entries compressed along the other axis."""
        return _native.transpose_of(self._structure, self._data, stream)

    def tocoo(self, copy: bool = True, *, stream: Any = None) -> Any:
        """Coordinate form. Entries keep their order, and lazy values stay lazy."""
        coords = self._swap((_native.expand(self._indptr, self._indices.size, stream), self._indices))
        return self._classes["coo"]._from_parts(
            self._data, coords[-self.ndim :], self._shape, canonical=bool(self._canonical_format)
        )

    def resize(self, *shape: Any) -> None:
        """Change the shape, dropping the entries outside; rebinds this array's buffers. Synchronises."""
        target = given_shape(shape, self._allow_nd)
        new_major, new_minor = self._swap(target if len(target) > 1 else (1, *target))
        major, minor = self._swap(self._shape_as_2d)
        self.prune()
        p: Any = _dense.view(self._indptr)
        if new_major < major:
            p = p[: new_major + 1]
            n = int(p[-1])
            self._data, self._indices = self._data[:n], self._indices[:n]
        elif new_major > major:
            p = np.concatenate([p, np.full(new_major - major, p[-1])])
        index = self._indices.dtype
        if new_minor < minor:
            most = max(*self._shape_as_2d, new_major)
            trio = self._data, self._indices, _dense.to_index(p, index, "indptr")
            self._data, self._indices, p = _native.band(trio, -most, most, new_minor)
        index = _dtypes.index_dtype([self._indices.dtype], max(target))
        self._indptr, self._indices = _dense.to_index(p, index, "indptr"), _dense.as_index(self._indices, index)
        self._shape = target
        self._bind()

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        """Transpose: the same buffers read as the other compressed format, O(1)."""
        if axes is not None and axes not in ((1, 0), [1, 0]):
            raise ValueError(
                "Sparse arrays do not support an 'axes' parameter because swapping dimensions is the only logical "
                f"permutation; got {axes}"
            )
        if self.ndim == 1:
            return self.copy() if copy else self
        source = self.copy() if copy else self
        other = self._other()
        new = other.__new__(other)
        new._adopt(source)
        new._shape, new._structure = self._shape[::-1], source._structure
        source._share_with(new)
        new._narrow()
        return new

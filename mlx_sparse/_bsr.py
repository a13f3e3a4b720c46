"""Block sparse row arrays: compressed rows whose entries are dense blocks."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _scipy_release, _values
from ._base import as_sparse, issparse, sparray
from ._compressed import MERGE_OPS, _cs_array
from ._data import traced
from ._reduce import sums_by_product
from ._shape import check_shape, given_shape, is_shape

_BLOCK_OPS = ("plus", "minus", "multiply")
_FEW_SUMMANDS = 256  # that a product with ones may add up one after the other


class _bsr_base(_cs_array):
    """Block Sparse Row array: block p holds the R x C values ``data[p]`` at block column ``indices[p]``.

    Parameters
    ----------
    arg1 : array_like, sparse array or tuple
        A dense 2-D array; a sparse array of this package or of SciPy; ``(data, (row, col))`` coordinates, duplicates
        summed; ``(data, indices, indptr)`` with data of shape (blocks, R, C), the blocks of block row i at
        ``indptr[i]:indptr[i + 1]``; or a shape ``(m, n)`` for an empty array.
    shape : tuple of int, optional
        Inferred from the indices when absent.
    dtype : dtype, optional
        Of the values.
    copy : bool
        Copy a sparse `arg1`'s buffers. Other inputs are always copied.
    blocksize : (int, int), optional
        (R, C), which must divide the shape. Default: that of `data`, or the best of a few sizes for the entries.
    maxprint : int, optional
        Most entries shown by ``print``.
    validate : {True, False, "metadata", "full"}
        As for `csr_array`.

    Raises
    ------
    ValueError
        Lengths or block sizes that do not agree, an index outside the shape.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.bsr_array((np.ones((2, 2, 2)), [0, 1], [0, 1, 2]), shape=(4, 4))
    >>> A @ np.arange(4.0)
    array([1., 1., 5., 5.])

    Differences from SciPy
    ----------------------
    As for `csr_array`. Conversion from other formats leaves the blocks of a row in order.
    """

    _format = "bsr"
    _allow_nd: tuple[int, ...] = (2,)
    _rank = 3
    _matmul_kind, _rmatmul_kind = _native.ProductKind.matmul, _native.ProductKind.rmatmul

    def __init__(
        self,
        arg1: Any,
        shape: Any = None,
        dtype: Any = None,
        copy: bool = False,
        blocksize: Any = None,
        *,
        maxprint: int | None = None,
        validate: bool | str = True,
    ) -> None:
        if arg1 is None:
            raise ValueError("bsr_array needs an array, a tuple of arrays or a shape; got None")
        target = self._begin(arg1, dtype, maxprint, validate)
        if issparse(arg1):
            self._take_over(as_sparse(arg1).tobsr(blocksize=blocksize), copy, target)
        elif is_shape(arg1, self._allow_nd):
            self._from_shape_and_blocks(check_shape(arg1), target, (1, 1) if blocksize is None else blocksize)
        elif isinstance(arg1, tuple) and len(arg1) == 3:
            self._from_blocks(arg1, shape, target, blocksize, validate)
            shape = None
        elif isinstance(arg1, tuple) and len(arg1) != 2:
            raise ValueError(
                f"unrecognized bsr_array constructor usage: a tuple of {len(arg1)}; "
                "give (data, indices, indptr), (data, ij) or a shape"
            )
        else:
            coo = self._coo_of(arg1, shape if isinstance(arg1, tuple) else None, target)
            self._adopt(coo.tobsr(blocksize=blocksize))
        if shape is not None:
            self._shape = check_shape(shape)
            self._check_lengths()
        self._bind()

    # ---- construction -----------------------------------------------------------------------------------------

    def _bind(self) -> None:
        (M, N), (R, C) = self._shape, self.blocksize if self._data.ndim == 3 else (1, 1)
        self._structure = _native.Structure.block((M, N), (R, C), self._indices, self._indptr, self._data)

    def _from_shape_and_blocks(self, shape: tuple[int, ...], dtype: mx.Dtype | None, blocksize: Any) -> None:
        R, C = _check_blocksize(blocksize)
        if R < 1 or C < 1 or shape[0] % R or shape[1] % C:
            raise ValueError(f"shape must be multiple of blocksize; got shape {shape} and blocksize {(R, C)}")
        self._shape = shape
        index = _dtypes.index_dtype(maxval=max(*shape, R, C))
        self._data = _dense.full((0, R, C), 0, dtype or _dtypes.default_float())
        self._indices = _dense.full(0, 0, index)
        self._indptr = _dense.full(shape[0] // R + 1, 0, index)
        self._sorted = self._canonical_format = True

    def _from_blocks(self, arg1: tuple, shape: Any, dtype: mx.Dtype | None, blocksize: Any, validate: Any) -> None:
        data, indices, indptr = arg1
        given = None if shape is None else check_shape(shape)
        index = self._index_dtype_of((indices, indptr), max(given) if given else None)
        self._indices = _dense.to_index(indices, index, "indices")
        self._indptr = _dense.to_index(indptr, index, "indptr")
        self._data = _dense.to_mlx(data, dtype)
        if self._data.ndim != 3:
            raise ValueError(f"BSR data must be 3-dimensional, got shape={tuple(self._data.shape)}")
        if blocksize is not None and _check_blocksize(blocksize) != self.blocksize:
            raise ValueError(f"mismatching blocksize={blocksize} vs {self.blocksize}")
        if 0 in self.blocksize:
            raise ValueError(f"blocks must not be empty; got blocksize {self.blocksize}")
        if self._indices.ndim != 1 or self._indptr.ndim != 1:
            raise ValueError(f"indices, and indptr should be 1-D; got {self._indices.ndim}-D and {self._indptr.ndim}-D")
        self._shape = self._infer_shape() if given is None else given
        self._check_lengths()
        if validate in (True, "full") and not traced(self._indices, self._indptr):
            self._check_contents()
            self.prune()

    def _infer_shape(self) -> tuple[int, ...]:
        if self._indptr.size == 0 or self._indices.size == 0:
            raise ValueError("unable to infer matrix dimensions from empty indices or indptr; give shape")
        R, C = self.blocksize
        return (self._indptr.size - 1) * R, (_native.extent(self._indices)[1] + 1) * C

    def _check_lengths(self) -> None:
        rows = self._shape[0] // self.blocksize[0]
        if self._indptr.size != rows + 1:
            raise ValueError(f"index pointer size ({self._indptr.size}) should be ({rows + 1})")
        if self._indices.size != self._data.shape[0]:
            raise ValueError(
                f"indices and data should have the same size; got {self._indices.size} and {self._data.shape[0]}"
            )

    # ---- buffers ----------------------------------------------------------------------------------------------

    @property
    def blocksize(self) -> tuple[int, int]:
        """(R, C), the shape of a block."""
        return self._data.shape[1], self._data.shape[2]

    @property
    def _minor(self) -> int:
        return self._shape[1] // self.blocksize[1]

    @property
    def _details(self) -> str:
        return f" (blocksize={self.blocksize[0]}x{self.blocksize[1]})"

    def _getnnz(self, axis: int | None = None) -> int:
        if axis is not None:
            raise NotImplementedError("_getnnz over an axis is not implemented for BSR format")
        R, C = self.blocksize
        return int(self._indices.size) * R * C

    def _with_data(self, data: mx.array, padded: bool = True) -> Any:
        n = data.shape[0]
        indices = self._indices if padded or n == self._indices.size else self._indices[:n]
        new = self._from_parts(data, indices, self._indptr, self._shape, self._sorted, self._canonical_format)
        if new._indices is self._indices and new._indptr is self._indptr:
            new._structure = self._structure
        return new

    def prune(self) -> None:
        """Drop whatever the buffers hold beyond the last stored block."""
        if self._indptr.size != self._shape[0] // self.blocksize[0] + 1:
            rows = self._shape[0] // self.blocksize[0]
            raise ValueError(f"index pointer has invalid length {self._indptr.size}; it should be {rows + 1}")
        n = int(_dense.view(self._indptr)[-1])
        if self._indices.size < n or self._data.shape[0] < n:
            raise ValueError(
                f"indices and data have fewer blocks, {self._indices.size} and {len(self._data)}, than indptr says: {n}"
            )
        if self._indices.size > n or self._data.shape[0] > n:
            self._rebind(self._data[:n], self._indices[:n], self._indptr)

    # ---- canonical form ---------------------------------------------------------------------------------------

    def _order(self) -> mx.array:
        return mx.arange(self._indices.size, dtype=mx.int32)

    def sort_indices(self) -> None:
        """Sort the blocks within every block row, rebinding this array's buffers. Synchronises."""
        if not self.has_sorted_indices:
            order, indices, _ = _native.sort_indices((self._order(), self._indices, self._indptr))
            self._rebind(_values.take(self._data, order, axis=0), indices, self._indptr)
            self._sorted = True

    def sum_duplicates(self) -> None:
        """Sort and sum blocks at equal positions, rebinding this array's buffers. Synchronises."""
        if self.has_canonical_format:
            return
        self.sort_indices()
        x = _dense.view(self._indices)
        row = _dense.view(_native.expand(self._indptr, self._indices.size, None))
        first = np.ones(len(x), dtype=bool)
        first[1:] = (x[1:] != x[:-1]) | (row[1:] != row[:-1])
        starts = np.flatnonzero(first)
        if len(starts) < len(x):
            place = _dense.to_index(np.cumsum(first) - 1, self._indices.dtype, "place")
            values = _values.transpose(_values.reshape(self._data, (len(x), -1)))
            summed = _native.minor_sum(values, place, len(starts), None)
            self._data = _values.reshape(_values.transpose(summed), (len(starts), *self.blocksize))
            self._indices = _dense.to_mlx(x[starts])
            self._set_rows(row[starts])
        self._sorted = self._canonical_format = True
        self._bind()

    def eliminate_zeros(self) -> None:
        """Drop blocks that hold nothing but zeros, rebinding this array's buffers. Refuses traced values."""
        kept = _native.without_zero_blocks(self._trio)
        if kept is not None:
            self._rebind(*kept)

    def _keep(self, kept: np.ndarray) -> None:
        """Keep these blocks (a mask) only."""
        row = _native.expand(self._indptr, self._indices.size, None)
        self._data, self._indices, row = _native.keep([self._data, self._indices, row], kept)
        self._set_rows(_dense.view(row))
        self._bind()

    def _set_rows(self, row: np.ndarray) -> None:
        n = self._shape[0] // self.blocksize[0]
        counts = np.bincount(row, minlength=n)[:n] if n else np.zeros(0, np.int64)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        self._indptr = _dense.to_index(indptr, self._indptr.dtype, "indptr")

    def count_nonzero(self, axis: int | None = None) -> Any:
        """Number of entries whose value is not zero, in all or (with SciPy 1.18 or later) along `axis`."""
        if axis is not None:
            if not _scipy_release.EVERY_FORMAT_COUNTS_ALONG_AXES:
                raise NotImplementedError("count_nonzero over axis is not implemented for BSR format.")
            return self.tocsr().count_nonzero(axis)
        return np.count_nonzero(_dense.view(self._canonical()._entries()))

    # ---- products ---------------------------------------------------------------------------------------------

    def _matmul_sparse(self, other: Any) -> Any:
        """self @ other with blocks as high as this array's and as wide as the other's. Synchronises."""
        if other.ndim == 1:
            return self.tocsr()._matmul_sparse(other)
        R, n = self.blocksize
        C = other.blocksize[1] if other.format == "bsr" else 1
        other = other.tobsr(blocksize=(n, C))
        dtype = _dtypes.result_type(self._data.dtype, other._data.dtype)
        index = _dtypes.index_dtype([self._indices.dtype, other._indices.dtype])
        trios = self._trio_as(dtype, index), other._trio_as(dtype, index)
        if traced(self._data, other._data):
            return self.tocsr()._matmul_sparse(other.tocsr()).tobsr(blocksize=(R, C))
        parts = _native.matmul_blocks(*trios, other._minor)
        return self._from_parts(*parts, (self._shape[0], other._shape[1]), canonical=True)

    # ---- element-wise -----------------------------------------------------------------------------------------

    def _merge(self, other: Any, op: str) -> Any:
        other = as_sparse(other)
        if other.shape != self.shape:
            raise ValueError(f"inconsistent shapes {self.shape} and {other.shape}")
        return self._merge_sparse(other, op)

    def _merge_sparse(self, other: Any, op: str) -> Any:
        """Sums, differences and products are block arrays; the rest is csr. Synchronises.

        Blocks of zeros are dropped, unless values are traced.
        """
        if op not in _BLOCK_OPS:
            return self.tocsr()._merge_sparse(other, op)
        a, b = self._canonical(), other.tobsr(blocksize=self.blocksize)._canonical()
        dtype = _dtypes.result_type(a._data.dtype, b._data.dtype)
        index = _dtypes.index_dtype([a._indices.dtype, b._indices.dtype], max(self.shape))
        parts = _native.merge_blocks(MERGE_OPS[op], a._trio_as(dtype, index), b._trio_as(dtype, index))
        return self._from_parts(*parts, self._shape, canonical=True)

    # ---- reductions and dense parts ---------------------------------------------------------------------------

    def _axis_sum(self, data: mx.array, axis: int, stream: Any) -> mx.array:
        n, (R, C) = data.shape[0], self.blocksize
        if n * max(R, C) <= _FEW_SUMMANDS or axis == 1 and self._has_short_rows(stream):
            return sums_by_product(self, data, axis, stream)
        count = self._shape[1 - axis] // (R if axis else C)
        if axis:
            segments = _native.Segments(count, self._indptr.astype(mx.int32, stream=stream))
        else:
            ids = self._indices[:n].astype(mx.int32, stream=stream)
            sort = _native.uses_shaders(stream)
            segments = _native.Segments.sort_by_ids(ids, count, stream) if sort else _native.Segments(count, ids=ids)
        blocks = _values.reshape(_dense.cast(data, _dtypes.accumulator(data.dtype), stream), (n, R * C), stream=stream)
        sums = _native.segment_reduce(_native.SegmentKind.sum, blocks, segments, stream)
        lines = _values.sum(_values.reshape(sums, (count, R, C), stream=stream), 1 + axis, stream=stream)
        return _dense.cast(_values.reshape(lines, (-1,), stream=stream), data.dtype, stream)

    def _has_short_rows(self, stream: Any) -> bool:
        """Whether a product adds up few summands in each row, which takes neither its memory nor its time twice."""
        if _native.uses_shaders(stream):
            return False
        most = np.diff(_dense.view(self._indptr)).max(initial=0)
        return int(most) * self.blocksize[1] <= _FEW_SUMMANDS

    def _diagonal(self, k: int) -> mx.array:
        M, N = self.shape
        if k <= -M or k >= N:
            return _values.zeros(0, self._data.dtype)
        return _native.diagonal(self._structure, self._data, k, False, None)

    def _setdiag(self, values: mx.array, k: int) -> None:
        coo = self.tocoo()
        coo._setdiag(values, k)
        self._adopt(coo.tobsr(blocksize=self.blocksize))
        self._bind()

    def _todense(self, stream: Any) -> mx.array:
        return self.tocoo(copy=False, stream=stream)._todense(stream)

    # ---- formats and shapes -----------------------------------------------------------------------------------

    def tobsr(self, blocksize: Any = None, copy: bool = False) -> Any:
        """This array (a copy if `copy`), or the same entries in blocks of another size."""
        if blocksize is not None and tuple(blocksize) != self.blocksize:
            return self.tocsr().tobsr(blocksize=blocksize)
        return self.copy() if copy else self

    def tocoo(self, copy: bool = True, *, stream: Any = None) -> Any:
        """Coordinate form with an entry for every value of every block. Lazy in the values."""
        (R, C), n = self.blocksize, self._indices.size
        index = _dtypes.index_dtype([self._indices.dtype], max(self._shape))
        major = _native.expand(self._indptr, n, stream).astype(index, stream=stream)
        if stream is None and _dense.numpy_is_quicker(self._data, major):
            return self._small_coo(_dense.view(major), index)
        row = mx.reshape(major * R, (n, 1, 1)) + mx.arange(R, dtype=index)[:, None]
        col = mx.reshape(self._indices.astype(index) * C, (n, 1, 1)) + mx.arange(C, dtype=index)
        coords = tuple(mx.reshape(mx.broadcast_to(c, (n, R, C)), (-1,)) for c in (row, col))
        data = _values.reshape(self._data, (-1,), stream=stream)
        return self._entries_coo(data, coords)

    def _entries_coo(self, data: mx.array, coords: tuple[mx.array, ...]) -> Any:
        in_order = bool(self._canonical_format) and self.blocksize[0] == 1  # taller blocks hold row after row
        return self._classes["coo"]._from_parts(data, coords, self._shape, canonical=in_order)

    def _small_coo(self, major: np.ndarray, index: mx.Dtype) -> Any:
        """`tocoo` of a small array, for which NumPy computes the coordinates."""
        R, C = self.blocksize
        host = _dtypes.numpy_dtype(index)
        grid = np.empty((2, *self._data.shape), host)
        grid[0] = (major * R)[:, None, None] + np.arange(R, dtype=host)[:, None]
        grid[1] = (_dense.view(self._indices).astype(host) * C)[:, None, None] + np.arange(C, dtype=host)
        coords = tuple(_dense.to_index(c.ravel(), index, "coords") for c in grid)
        data = _dense.to_mlx(_dense.view(self._data).ravel(), self._data.dtype)
        return self._entries_coo(data, coords)

    def tocsr(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse row form with an entry for every value of every block. Synchronises."""
        index = _dtypes.index_dtype([self._indices.dtype], max(self._getnnz(), *self._shape))
        parts = _native.blocks_to_cs(self._trio_as(self._data.dtype, index))
        return self._classes["csr"]._from_parts(*parts, self._shape, self._sorted, self._canonical_format)

    def tocsc(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse column form with an entry for every value of every block. As `tocsr`."""
        return self.tocsr(stream=stream).tocsc(stream=stream)

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        """Transpose: the blocks in the order of the columns, each one transposed. Lazy while the values are."""
        if axes is not None and axes not in ((1, 0), [1, 0]):
            raise ValueError(
                "Sparse arrays do not support an 'axes' parameter because swapping dimensions is the only logical "
                f"permutation; got {axes}"
            )
        if all(_native.is_available(x) for x in self._trio) and not traced(*self._trio):
            parts = _native.transpose_blocks(self._trio, self._minor)
            return self._from_parts(*parts, self._shape[::-1], True, self._canonical_format)
        order, indices, indptr = _native.transpose((self._order(), self._indices, self._indptr), self._minor, None)
        data = _values.contiguous(_values.swapaxes(_values.take(self._data, order, axis=0), 1, 2))
        return self._from_parts(data, indices, indptr, self._shape[::-1], True, self._canonical_format)

    def resize(self, *shape: Any) -> None:
        """Change the shape in place, to a multiple of the block size: blocks outside are dropped."""
        new = given_shape(shape, (2,))
        R, C = self.blocksize
        if new[0] % R or new[1] % C:
            raise ValueError(f"shape must be divisible into {self.blocksize} blocks. Got {new}")
        row = _dense.view(_native.expand(self._indptr, self._indices.size, None))
        kept = (row < new[0] // R) & (_dense.view(self._indices) < new[1] // C)
        self._shape = new
        self._keep(kept)

    def __getitem__(self, key: Any) -> Any:
        raise NotImplementedError("bsr arrays cannot be indexed; use tocsr()")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise NotImplementedError("bsr arrays cannot be indexed; use tocsr()")

    @classmethod
    def _from_csr(cls, A: Any, blocksize: Any) -> Any:
        """The csr array `A` in blocks of `blocksize` (None: estimated). Reads the structure."""
        if A.ndim != 2:
            raise ValueError("Cannot convert a 1d sparse array to bsr format")
        R, C = estimate_blocksize(A) if blocksize is None else _check_blocksize(blocksize)
        M, N = A.shape
        if R < 1 or C < 1 or M % R or N % C:
            raise ValueError(f"invalid blocksize {blocksize} for shape {A.shape}")
        if (R, C) == (1, 1):
            parts = _values.reshape(A._data, (-1, 1, 1)), A._indices, A._indptr
            return cls._from_parts(*parts, A.shape, A._sorted, A._canonical_format)
        return cls._from_parts(*_native.cs_to_blocks(A._unique()._trio, N, R, C), A.shape, canonical=True)


class bsr_array(_bsr_base, sparray):
    __doc__ = _bsr_base.__doc__


def estimate_blocksize(A: Any, efficiency: float = 0.7) -> tuple[int, int]:
    """A square block size for the csr array `A`: the largest of a few whose blocks are full enough.

    Blocks of 6 are tried when those of 2 and of 3 are nearly full: at least halfway from `efficiency` to 1.
    """
    M, N = A.shape
    if A.nnz == 0:
        return 1, 1

    def fill(b: int) -> float:
        if M % b or N % b:
            return 0.0
        return A.nnz / (b * b * _native.count_blocks(A._indices, A._indptr, N, b, b))

    nearly = (1.0 + efficiency) / 2.0
    two, three = fill(2), fill(3)
    if two > nearly and three > nearly:
        return (6, 6) if fill(6) > efficiency else (3, 3)
    for b, full in ((4, fill(4)), (3, three), (2, two)):
        if full > efficiency:
            return b, b
    return 1, 1


def _check_blocksize(blocksize: Any) -> tuple[int, int]:
    R, C = blocksize
    if not is_shape((R, C), (2,)):
        raise ValueError(f"invalid blocksize={blocksize}; it is two positive integers")
    return int(R), int(C)

"""Arrays stored by diagonals."""

from __future__ import annotations

import operator
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import SparseEfficiencyWarning, _as_operand, as_sparse, issparse, sparray
from ._data import _data_array, handed_out, traced
from ._reduce import sums_by_product, total_of
from ._shape import check_shape, given_shape, is_shape

_IN_NUMPY = {operator.add: np.add, operator.sub: np.subtract, operator.or_: np.logical_or}
_MANY = 100  # diagonals above which the format wastes memory, and sums one after the other lose digits


class _dia_base(_data_array):
    """DIAgonal array: ``data[d, j]`` is the entry at ``(j - offsets[d], j)``.

    Parameters
    ----------
    arg1 : array_like, sparse array or tuple
        A dense 2-D array; a sparse array of this package or of SciPy; ``(data, offsets)`` with data of shape
        ``(number of diagonals, length)`` and distinct offsets (0 is the main diagonal, k > 0 above it); or a shape
        ``(m, n)`` for an empty array. What `data` holds for positions outside the array does not count.
    shape : tuple of int, optional
        Needed with ``(data, offsets)``.
    dtype : dtype, optional
        Of the values.
    copy : bool
        Copy a sparse `arg1`'s buffers. Other inputs are always copied.
    maxprint : int, optional
        Most entries shown by ``print``.

    Raises
    ------
    ValueError
        Numbers of diagonals and offsets that differ, repeated offsets, or a missing shape.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.dia_array((np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), [0, 1]), shape=(3, 3))
    >>> A.toarray()
    array([[1., 5., 0.],
           [0., 2., 6.],
           [0., 0., 3.]])

    Differences from SciPy
    ----------------------
    `data` and `offsets` are `mx.array` unless ``runtime.dense_namespace`` is "numpy".
    """

    _format = "dia"
    _buffers = ("_data", "_offsets")
    _rank = 2
    _offsets: mx.array
    _structure: Any
    _bound = True

    def __init__(
        self, arg1: Any, shape: Any = None, dtype: Any = None, copy: bool = False, *, maxprint: int | None = None
    ) -> None:
        if arg1 is None:
            raise ValueError("dia_array needs an array, (data, offsets) or a shape; got None")
        target = self._begin(arg1, dtype, maxprint)
        if issparse(arg1):
            self._take_over(as_sparse(arg1).todia(), copy, target)
        elif is_shape(arg1, self._allow_nd):
            self._shape = check_shape(arg1)
            self._data = _dense.full((0, 0), 0, target or _dtypes.default_float())
            self._offsets = _dense.full(0, 0, _dtypes.index_dtype(maxval=max(self._shape)))
        elif isinstance(arg1, tuple):
            self._from_diagonals(arg1, shape, target)
        else:
            self._adopt(self._coo_of(arg1, shape, target).todia())
        self._check()
        self._bind()

    def _from_diagonals(self, arg1: tuple, shape: Any, dtype: mx.Dtype | None) -> None:
        try:
            data, offsets = arg1
        except (TypeError, ValueError):
            raise ValueError(f"unrecognized form for dia_array constructor: a tuple of {len(arg1)}") from None
        if shape is None:
            raise ValueError("expected a shape argument beside (data, offsets)")
        self._shape = check_shape(shape)
        self._data = _dense.to_mlx(_dense.at_least_2d(data), dtype)
        index = _dtypes.index_dtype(maxval=max(self._shape))
        self._offsets = _dense.to_index(offsets, index, "offsets")
        if self._offsets.ndim == 0:
            self._offsets = mx.reshape(self._offsets, (1,))

    @classmethod
    def _from_parts(cls, data: mx.array, offsets: mx.array, shape: tuple[int, ...]) -> Any:
        """An array over these buffers, unchecked; over copies of those that users can write to."""
        data, offsets = _native.unexposed(data, offsets)
        new = cls.__new__(cls)
        new._data, new._offsets, new._shape = data, offsets, tuple(shape)
        new._bind()
        return new

    @classmethod
    def _from_coo(cls, coo: Any) -> Any:
        """The diagonals of a coo array that hold an entry, in ascending order. Reads the structure."""
        if coo.ndim != 2:
            raise ValueError(f"Cannot convert. DIA format must be 2D. Got {coo.ndim}D")
        coo = coo._unique()
        M, N = coo.shape
        row, col = (_dense.view(c) for c in coo._coords)
        dtype = _dtypes.index_dtype(maxval=max(M, N))
        if row.size == 0:
            return cls._from_parts(_dense.full((0, 0), 0, coo._data.dtype), _dense.full(0, 0, dtype), (M, N))
        offsets, diagonal = _ranked(col.astype(np.int64) - row, M, N)
        if len(offsets) > _MANY:
            warn(
                f"Constructing a DIA matrix with {len(offsets)} diagonals is inefficient",
                SparseEfficiencyWarning,
                stacklevel=3,
            )
        length = int(col.max()) + 1
        _dense.expect((len(offsets), length), coo._data.dtype)
        index = _dense.to_index(offsets, dtype, "offsets")
        if traced(coo._data):
            flat = _native.minor_sum(coo._data, _dense.to_mlx(diagonal * length + col), len(offsets) * length, None)
            return cls._from_parts(_values.reshape(flat, (len(offsets), length)), index, (M, N))
        values = _dense.view(coo._data)
        data = np.zeros((len(offsets), length), dtype=values.dtype)
        data[diagonal, col] = values
        return cls._from_parts(_dense.to_mlx(data, coo._data.dtype), index, (M, N))

    def _check(self) -> None:
        if self._offsets.ndim != 1:
            raise ValueError(f"offsets array must have rank 1; got {self._offsets.ndim}")
        if self._data.ndim != 2:
            raise ValueError(f"data array must have rank 2; got {self._data.ndim}")
        if self._data.shape[0] != self._offsets.size:
            raise ValueError(
                f"number of diagonals ({self._data.shape[0]}) does not match the number of offsets "
                f"({self._offsets.size})"
            )
        if len(np.unique(self._k)) != self._offsets.size:
            raise ValueError(f"offset array contains duplicate values: {self._k}")

    def _bind(self) -> None:
        length = self._data.shape[1] if self._data.ndim == 2 else 0
        M, N = self._shape
        self._structure = _native.Structure.diagonal(M, N, length, self._offsets, self._data)

    # ---- buffers ----------------------------------------------------------------------------------------------

    def _take_offsets(self, values: Any) -> None:
        index = _dense.index_dtype_of([values])
        new = _dense.to_index(self._import(values, self._raw("_offsets")), index, "offsets")
        if new.ndim != 1:
            raise ValueError(f"offsets must be 1-D; got shape {tuple(new.shape)}")
        self._take_buffer("_offsets", new)

    def _fits(self, pending: dict[str, Any]) -> bool:
        return pending["_data"].shape[:1] == pending["_offsets"].shape

    offsets = handed_out(
        "_offsets", _take_offsets, "Offset of every stored diagonal, 0 is the main one, k > 0 above it."
    )

    def _settle(self) -> None:
        index = self._restructured.get("_offsets")
        super()._settle()
        if index is not None:  # which the constructor decides from the shape
            self._offsets = _dense.as_index(self._offsets, index)
            self._bind()

    @property
    def _k(self) -> np.ndarray:
        return _dense.view(self._offsets).astype(np.int64)

    def _offsets_at(self, k: Any) -> mx.array:
        """Offsets of diagonals that this shape has, of the dtype of this array's."""
        index = self._offsets.dtype
        return _dense.to_index(np.array(k, _dtypes.numpy_dtype(index)), index, "offsets")

    @property
    def _details(self) -> str:
        return f" ({self._data.shape[0]} diagonals)"

    def _with_data(self, data: mx.array, padded: bool = True) -> Any:
        return self._from_parts(data, self._offsets, self._shape)

    def _unique(self) -> Any:
        return self

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Offsets, and where each diagonal's columns begin and end."""
        M, N = self._shape
        k = self._k
        return k, np.maximum(k, 0), np.maximum(np.minimum(M + k, min(N, self._data.shape[1])), np.maximum(k, 0))

    def _getnnz(self, axis: int | None = None) -> int:
        if axis is not None:
            raise NotImplementedError("_getnnz over an axis is not implemented for DIA format")
        _, begin, end = self._columns()
        return int((end - begin).sum())

    def count_nonzero(self, axis: int | None = None) -> Any:
        """Number of entries whose value is not zero."""
        if axis is not None:
            raise NotImplementedError("count_nonzero over an axis is not implemented for DIA format")
        return np.count_nonzero(_dense.view(self._entries()))

    def _entries(self) -> mx.array:
        """`data` with zeros for what lies outside the array."""
        M, N = self._shape
        col = mx.arange(self._data.shape[1], dtype=self._offsets.dtype)
        row = col - self._offsets[:, None]
        inside = (row >= 0) & (row < M) & (col < N)
        return _values.where(self._data, inside)

    def _stored(self) -> Any:
        """Coordinate form with an entry for every stored one, zeros included. Lazy in the values."""
        k, begin, end = self._columns()
        cols, rows, flat = ([np.zeros(0, np.int64)] for _ in range(3))
        for d in np.argsort(k, kind="stable"):
            col = np.arange(begin[d], end[d])
            cols.append(col)
            rows.append(col - k[d])
            flat.append(col + d * self._data.shape[1])
        index = self._offsets.dtype
        coords = tuple(_dense.to_index(np.concatenate(c), index, "coords") for c in (rows, cols))
        at = np.concatenate(flat)
        data = (
            _values.take(_values.reshape(self._data, (-1,)), _dense.to_mlx(at))
            if at.size
            else _values.zeros(0, self._data.dtype)
        )
        return self._classes["coo"]._from_parts(data, coords, self._shape, canonical=True)

    # ---- products ---------------------------------------------------------------------------------------------

    def _matmul_direct(self, x: Any) -> Any:
        return _native.product_direct(_native.ProductKind.matmul, self._structure, self._data, x)

    def _product(self, data: mx.array, x: mx.array, transposed: bool, stream: Any = None) -> mx.array:
        kind = _native.ProductKind.rmatmul if transposed else _native.ProductKind.matmul
        return _native.product(kind, self._structure, data, x, stream)

    def _matmul_sparse(self, other: Any) -> Any:
        """self @ other: a dia array for a dia operand. Reads the offsets."""
        if other.format != "dia":
            return self.tocsr()._matmul_sparse(other)
        (M, _), N = self._shape, other.shape[1]
        dtype = _dtypes.result_type(self._data.dtype, other._data.dtype)
        ka, kb = self._k, other._k
        sums = ka[:, None] + kb
        index = _dtypes.index_dtype([self._offsets.dtype, other._offsets.dtype])
        length = min(other._data.shape[1], N)
        offsets = np.unique(sums[(sums > -M) & (sums < length)])
        if not len(offsets) or not length or 0 in self._shape:
            return self.__class__((M, N), dtype=dtype)
        a, b, k = (
            _dense.cast(self._data, dtype),
            _dense.cast(other._data, dtype),
            _dense.to_index(offsets.astype(_dtypes.numpy_dtype(index)), index, "offsets"),
        )
        if traced(a, b):
            data = _meet_lazy(
                _dense.cast(self._entries(), dtype), _dense.cast(other._entries(), dtype), ka, kb, offsets, length
            )
        else:
            left = (a, _dense.as_index(self._offsets, index), self._shape_as_2d)
            right = (b, _dense.as_index(other._offsets, index), other._shape_as_2d)
            data = _native.matmul_diagonals(left, right, k, length)
        return self._from_parts(data, k, (M, N))

    # ---- element-wise -----------------------------------------------------------------------------------------

    def _merge(self, other: Any, op: str) -> Any:
        other = as_sparse(other)
        if op == "plus" and other.format != "dia" and other.shape == self.shape:
            return other._merge(self, op)  # in the other's format, as in SciPy
        if other.format != "dia" or op not in ("plus", "minus") or other.shape != self.shape:
            return super()._merge(other, op)
        dtype = _dtypes.result_type(self._data.dtype, other._data.dtype)
        if op == "minus" and dtype == mx.bool_:
            raise TypeError("boolean arrays cannot be subtracted; use A != B for where they differ")
        ka, kb = self._k, other._k
        a, b = _dense.cast(self._data, dtype), _dense.cast(other._data, dtype)
        join = operator.or_ if dtype == mx.bool_ else operator.sub if op == "minus" else operator.add
        if np.array_equal(ka, kb) and a.shape == b.shape:
            if not _dense.numpy_is_quicker(a, b):
                return self._from_parts(join(a, b), self._offsets, self._shape)
            same: list[tuple[Any, Any]] = [(d, d) for d in range(len(ka))]
            return self._from_parts(_joined(a, b, same, a.shape[1], _IN_NUMPY[join]), self._offsets, self._shape)
        left, right = ({v: d for d, v in enumerate(have.tolist())} for have in (ka, kb))
        k = sorted(left.keys() | right.keys())
        length = a.shape[1]
        if b.shape[1] != length or len(k) not in (len(ka), len(kb)):
            length = max(0, min(self._shape[0] + k[-1], self._shape[1])) if k else 0
        if _dense.ready(a, b):
            pairs: list[tuple[Any, Any]] = [(left.get(v), right.get(v)) for v in k]
            data = _joined(a, b, pairs, length, _IN_NUMPY[join])
            return self._from_parts(data, self._offsets_at(k), self._shape)
        rows = []
        for v in k:
            if v in left:
                row = _fitted(a[left[v]], length)
                rows.append(join(row, _fitted(b[right[v]], length)) if v in right else row)
            else:
                row = _fitted(b[right[v]], length)
                rows.append(-row if op == "minus" else row)
        data = _values.stack(rows) if rows else _values.zeros((0, length), dtype)
        return self._from_parts(data, self._offsets_at(k), self._shape)

    def multiply(self, other: Any) -> Any:
        """Element-wise product with a scalar, a dense or a sparse array, with broadcasting. The result is sparse."""
        if _dense.is_scalar(other):
            return self._mul_scalar(other)
        if issparse(other):
            other = as_sparse(other)
            if other.format != "dia" or other.shape != self.shape:
                return self.tocsr().multiply(other)
            left, right = ({v: d for d, v in enumerate(A._k.tolist())} for A in (self, other))
            both = sorted(left.keys() & right.keys())
            length = min(self._data.shape[1], other._data.shape[1])
            dtype = _dtypes.result_type(self._data.dtype, other._data.dtype)
            offsets = self._offsets_at(both)
            if _dense.ready(self._data, other._data) and dtype == self._data.dtype == other._data.dtype:
                pairs = [(left[v], right[v]) for v in both]
                return self._from_parts(
                    _joined(self._data, other._data, pairs, length, np.multiply), offsets, self._shape
                )
            mine, theirs = (_dense.to_mlx(np.array([where[v] for v in both], np.int64)) for where in (left, right))
            a = _dense.cast(_values.take(self._data[:, :length], mine, axis=0), dtype)
            b = _dense.cast(_values.take(other._data[:, :length], theirs, axis=0), dtype)
            return self._from_parts(a * b if dtype != mx.bool_ else a & b, offsets, self._shape)
        x = _as_operand(other) if _dense.is_dense(other) else NotImplemented
        if x is NotImplemented or x.ndim > 2 or 0 in self._shape or 1 in self._shape or 0 in x.shape:
            return self.tocsr().multiply(other)
        return self._multiply_dense(x)

    def _multiply_dense(self, x: Any) -> Any:
        M, N = self._shape
        if _dense.is_mlx(x):
            if x.dtype != self._data.dtype:
                raise TypeError(
                    f"the dense operand's dtype {x.dtype} differs from the sparse array's dtype {self._data.dtype}; "
                    "cast one of them with astype"
                )
            dtype = x.dtype
        else:
            dtype = _dtypes.result_type(self._data.dtype, x.dtype)
            x = _dense.to_mlx(x, dtype)
        x = _values.reshape(x, (1, -1)) if x.ndim == 1 else x
        rows, cols = x.shape
        if rows not in (1, M) or cols not in (1, N):
            raise ValueError(f"inconsistent shapes {self.shape} and {tuple(x.shape)}")
        length = min(self._data.shape[1], N)
        col = np.arange(length)
        row = (col - self._k[:, None]) % M if rows > 1 else np.zeros((len(self._k), 1), np.int64)
        at = np.broadcast_to(row * cols + (col if cols > 1 else 0), (len(self._k), length))
        factor = _values.take(_values.reshape(x, (-1,)), _dense.to_mlx(np.ascontiguousarray(at)))
        data = _dense.cast(self._data[:, :length], dtype)
        return self._with_data(data & factor if dtype == mx.bool_ else data * factor)

    # ---- reductions and dense parts ---------------------------------------------------------------------------

    def _sum(self, axes: tuple[int, ...], dtype: mx.Dtype | None, stream: Any) -> mx.array:
        if max(self._shape) > 4 * self._data.size + 4096:  # no vectors of a length that few entries fill
            return self._stored()._sum(axes, dtype, stream)
        if len(self._k) > _MANY and not traced(self._data):  # which a product adds up one after the other
            return self.tocsr()._sum(axes, dtype, stream)
        wide = _dtypes.sum_dtype(self._data.dtype)
        data = _dense.cast(self._data, _dtypes.accumulator(wide), stream)
        total = sums_by_product(self, data, 0 if axes == (0,) else 1, stream)  # which knows what lies outside
        if len(axes) == 2:
            total = total_of(total, stream)
        dtype = wide if dtype is None else dtype
        return total if dtype == total.dtype else _dense.cast(total, dtype, stream)

    def _diagonal(self, k: int) -> mx.array:
        M, N = self.shape
        if k <= -M or k >= N:
            return _values.zeros(0, self._data.dtype)
        first, last = max(0, k), min(M + k, N)
        at = np.flatnonzero(self._k == k)
        if not at.size:
            return _dense.full(last - first, 0, self._data.dtype)
        _dense.expect((last - first,), self._data.dtype)
        if _dense.numpy_is_quicker(self._data):
            held = _dense.view(self._data)[int(at[0]), first:last]
            if held.size == last - first:
                return _dense.to_mlx(held, self._data.dtype)
        found = self._data[int(at[0]), first:last]
        short = last - first - found.size
        return _values.pad(found, (0, short)) if short else found

    def _setdiag(self, values: mx.array, k: int) -> None:
        first, last = max(k, 0), max(k, 0) + values.size
        at = np.flatnonzero(self._k == k)
        height, length = self._data.shape
        grow = 0 if at.size else 1
        _dense.expect((height + grow, max(last, length)), self._data.dtype)
        data = _values.pad(self._data, [(0, grow), (0, max(0, last - length))])
        d = int(at[0]) if at.size else height
        old = data[d]
        row = _values.concatenate([old[:first], values, old[last:]])
        self._data = _values.concatenate([data[:d], row[None], data[d + 1 :]])
        if grow:
            self._offsets = mx.concatenate([self._offsets, mx.array([int(k)], dtype=self._offsets.dtype)])
        self._bind()

    def _todense(self, stream: Any) -> mx.array:
        return self._stored()._todense(stream)

    # ---- formats and shapes -----------------------------------------------------------------------------------

    def todia(self, copy: bool = False) -> Any:
        """This array (a copy if `copy`)."""
        return self.copy() if copy else self

    def tocsr(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse row form, without zeros. Synchronises; lazy, zeros included, on traced values."""
        if 0 in self._shape or self._offsets.size == 0:
            return self._classes["csr"](self._shape, dtype=self._data.dtype)
        if traced(self._data):
            return self._stored().tocsr(stream=stream)
        self._check()
        M, N = self._shape
        offsets = _dense.as_index(self._offsets, _dtypes.index_dtype([self._offsets.dtype], max(M, N, self.nnz)))
        parts = _native.dia_to_cs((self._data, offsets, self._shape_as_2d))
        return self._classes["csr"]._from_parts(*parts, self._shape, canonical=True)

    def tocsc(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Compressed sparse column form, without zeros. As `tocsr`."""
        return self.tocsr(stream=stream).tocsc(stream=stream)

    def tocoo(self, copy: bool = False, *, stream: Any = None) -> Any:
        """Coordinate form, without zeros. As `tocsr`."""
        return self.tocsr(stream=stream).tocoo(copy=False, stream=stream)

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        """Transpose: every diagonal shifted. Lazy in the values."""
        if axes is not None and axes not in ((1, 0), [1, 0]):
            raise ValueError(
                "Sparse arrays do not support an 'axes' parameter because swapping dimensions is the only logical "
                f"permutation; got {axes}"
            )
        M, N = self._shape
        if _dense.ready(self._data):
            return self._from_parts(self._moved(), self._offsets_at(-self._k), (N, M))
        width = max(M, N, self._data.shape[1])
        _dense.expect((self._offsets.size, width), self._data.dtype)
        data, pieces = self._data, []
        if data.shape[1] < width:
            data = _values.pad(data, [(0, 0), (0, width - data.shape[1])])
        for d, k in enumerate(self._k):
            shift = int(k) % width if width else 0
            first = data[d, shift : shift + M]
            pieces += [first, data[d, : M - first.size]]
        moved = (
            _values.reshape(_values.concatenate(pieces), (self._offsets.size, M))
            if pieces
            else _values.zeros((0, M), data.dtype)
        )
        return self._from_parts(moved, -self._offsets, (N, M))

    def _moved(self) -> mx.array:
        """The values of the transpose: those of row i at position i."""
        M, N = self._shape
        if M > 4 * self._data.size + 4096:  # no zeros for rows behind the last entry, if these are most
            M = int(np.clip(min(N, self._data.shape[1]) - self._k.min(initial=0), 0, M))
        moved = _native.uninitialized((self._offsets.size, M), self._data)
        for to, held, k in zip(_dense.view(moved), _dense.view(self._data), self._k.tolist(), strict=True):
            first, last = max(0, -k), max(0, -k, min(to.size, held.size - k))
            to[:first], to[last:] = 0, 0
            to[first:last] = held[first + k : last + k]
        return moved

    def resize(self, *shape: Any) -> None:
        """Change the shape in place: entries outside are dropped, new positions are zero."""
        M, N = given_shape(shape, (2,))
        old = self._shape
        data = self._entries() if M > old[0] or N > old[1] else self._data
        self._data, self._shape = data[:, :N], (M, N)
        self._bind()


class dia_array(_dia_base, sparray):
    __doc__ = _dia_base.__doc__


def _ranked(k: np.ndarray, M: int, N: int) -> tuple[np.ndarray, np.ndarray]:
    """The offsets among `k` in ascending order, and which of them each is."""
    if M + N > 4 * k.size + 4096:  # do not mark a few of very many
        return np.unique(k, return_inverse=True)
    place = k + (M - 1)
    held = np.zeros(M + N - 1, dtype=bool)
    held[place] = True
    return np.flatnonzero(held) - (M - 1), (np.cumsum(held) - 1)[place]


def _joined(a: mx.array, b: mx.array, pairs: list[tuple[Any, Any]], length: int, join: Any) -> mx.array:
    """join(row i of a, row j of b) for the `pairs` (i, j), cut or filled with zeros to `length`; None: zeros."""
    out = _native.uninitialized((len(pairs), length), a)
    x, y = _dense.view(a)[:, :length], _dense.view(b)[:, :length]
    with np.errstate(all="ignore"):
        for to, (i, j) in zip(_dense.view(out), pairs, strict=True):
            if i is not None and j is not None and x.shape[1] == y.shape[1]:
                join(x[i], y[j], out=to[: x.shape[1]])
                to[x.shape[1] :] = 0
                continue
            to[:] = 0
            if i is not None:
                to[: x.shape[1]] = x[i]
            if j is not None:
                join(to[: y.shape[1]], y[j], out=to[: y.shape[1]])
    return out


def _fitted(row: mx.array, length: int) -> mx.array:
    """`row`, cut or filled with zeros to `length`."""
    return row[:length] if row.size >= length else _values.pad(row, (0, length - row.size))


def _pairs(a: Any, b: Any, ka: np.ndarray, kb: np.ndarray, k: int, length: int) -> Any:
    """(rows of a and b, columns lo .. hi of b, shift) whose products add up to diagonal k of the product."""
    where = {int(v): n for n, v in enumerate(kb)}
    for i, left in enumerate(ka):
        j = where.get(k - int(left))
        if j is None:
            continue
        shift = int(kb[j])
        lo, hi = max(0, shift), min(length, a.shape[1] + shift, b.shape[1])
        if lo < hi:
            yield i, j, lo, hi, shift


def _meet_lazy(a: mx.array, b: mx.array, ka: Any, kb: Any, offsets: np.ndarray, length: int) -> mx.array:
    """The values of a product of diagonals as a graph of shifted products, for traced values."""
    rows = []
    for k in offsets:
        row = _values.zeros(length, a.dtype)
        for i, j, lo, hi, shift in _pairs(a, b, ka, kb, int(k), length):
            row = row + _values.pad(a[i, lo - shift : hi - shift] * b[j, lo:hi], (lo, length - hi))
        rows.append(row)
    return _values.stack(rows)

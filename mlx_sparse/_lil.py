"""List-of-lists arrays: a sorted list of columns and one of values for every row."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native
from ._base import as_sparse, issparse, sparray
from ._data import traced
from ._entrywise import Container, _entrywise
from ._index import Index, is_mesh
from ._shape import all_integers, check_input, check_shape, given_shape, is_shape, resolve_shape

_MANY = 1 << 14  # entries


class _lil_base(_entrywise):
    """Row-based LIst of Lists array, 2-D: for building entry by entry and changing parts; convert it to compute.

    Parameters
    ----------
    arg1 : array_like, sparse array or tuple
        A dense array; a sparse array of this package or of SciPy; or a shape ``(m, n)`` for an empty array.
    shape : None
        Accepted for SciPy's sake.
    dtype : dtype, optional
        Of the values.
    copy : bool
        Copy the lists of a lil `arg1`.
    maxprint : int, optional
        Most entries shown by ``print``.

    Attributes
    ----------
    rows, data : ndarray of lists, shape (m,)
        For every row the column indices, in ascending order, and the values.

    Raises
    ------
    TypeError
        `arg1` is a tuple that is no shape.
    ValueError
        `arg1` is not 2-D.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.lil_array((2, 3))
    >>> A[0, 1] = 5.0
    >>> A[1, :] = [1.0, 0.0, 2.0]
    >>> A.tocsr().toarray()
    array([[0., 5., 0.],
           [1., 0., 2.]])

    Differences from SciPy
    ----------------------
    Products, sums and element-wise operations convert to csr first.
    """

    _format = "lil"
    _allow_nd: tuple[int, ...] = (2,)
    _containers = ("rows", "data")
    rows: Any = Container()
    data: Any = Container()

    def __init__(
        self, arg1: Any, shape: Any = None, dtype: Any = None, copy: bool = False, *, maxprint: int | None = None
    ) -> None:
        if arg1 is not None:
            check_input(arg1, True)
        if issparse(arg1):
            A = as_sparse(arg1)
            A = A.copy() if copy and A.format == "lil" else A.tolil()
            A = A if dtype is None else A.astype(dtype, copy=False)
        elif isinstance(arg1, tuple):
            if all_integers(arg1) and len(arg1) == 2:
                check_shape(arg1)  # says what is wrong with a shape
            elif not is_shape(arg1, (2,)):
                raise TypeError(f"a tuple given to lil_array must be a shape (m, n); got {arg1}")
            if shape is not None:
                raise ValueError("invalid use of shape parameter")
            A = self._empty(check_shape(arg1), dtype)
        else:
            A = _from_dense(self._classes["csr"], arg1, dtype).tolil()
        self._start(A._shape, A._dtype, maxprint)
        self._share(A)

    @classmethod
    def _empty(cls, shape: tuple[int, ...], dtype: Any) -> Any:
        new = cls.__new__(cls)
        new._start(tuple(shape), dtype)
        new.rows, new.data = _lists(shape[0]), _lists(shape[0])
        return new

    @classmethod
    def _of_lists(cls, rows: Any, data: Any, shape: tuple[int, ...], dtype: mx.Dtype) -> Any:
        """An array over these iterables of lists, unchecked."""
        new = cls.__new__(cls)
        new._start(tuple(shape), dtype)
        new.rows, new.data = (x if isinstance(x, np.ndarray) else _listed(x, shape[0]) for x in (rows, data))
        return new

    @classmethod
    def _from_csr(cls, csr: Any) -> Any:
        if csr.ndim != 2:
            raise ValueError("Cannot convert a 1d sparse array to lil format")
        csr = csr._canonical()
        new = cls._of_traced(csr)
        if not traced(csr._data):
            new.rows, new.data = new._fill(csr)
            new._origin = None
        return new

    def __getstate__(self) -> dict[str, Any]:
        _native.refuse_traced_within(self.data.tolist())  # which MLX pickles as constants
        return super().__getstate__()

    def _fill(self, origin: Any) -> tuple[Any, ...]:
        indices, values = _dense.view(origin._indices).tolist(), _dense.view(origin._data).tolist()
        bounds = _dense.view(origin._indptr)
        return tuple(_listed(_split(x, bounds), self._shape[0]) for x in (indices, values))

    # ---- entries ----------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        if type(key) is tuple and len(key) == 2:
            i, j = key
            if isinstance(i, (int, np.integer)) and isinstance(j, (int, np.integer)):
                i, j = int(i), int(j)
                M, N = self._shape
                if not (-M <= i < M and -N <= j < N):
                    raise IndexError(f"index ({i}, {j}) out of range for shape {self._shape}")
                return self._get_one(i % M, j % N)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, x: Any) -> None:
        if type(key) is tuple and len(key) == 2:
            i, j = key
            if isinstance(i, (int, np.integer)) and isinstance(j, (int, np.integer)):
                i, j = int(i), int(j)
                if type(x) is not self._plain:
                    x = self._scalar(x) if isinstance(x, (int, float, np.number)) else self._cast(x)
                M, N = self._shape
                if not (-M <= i < M and -N <= j < N):
                    raise IndexError(f"index ({i}, {j}) out of range for shape {self._shape}")
                i, j = i % M, j % N
                row: list = self.rows[i]
                data: list = self.data[i]
                if x and (not row or row[-1] < j):  # most loops fill rows from left to right
                    row.append(j)
                    data.append(x)
                else:
                    _insert(row, data, j, x)
                return
            if isinstance(i, slice) and isinstance(j, slice) and i == j == slice(None):
                if issparse(x) and x.shape == self._shape:
                    self._share(type(self)(x, dtype=self._dtype, copy=True))
                    return
        super().__setitem__(key, x)

    def _get_one(self, i: int, j: int) -> Any:
        row = self.rows[i]
        at = bisect_left(row, j)
        x = self.data[i][at] if at < len(row) and row[at] == j else 0
        return self._cast(x) if _dense.is_mlx(x) else self._scalar(x)  # users fill the lists

    def _set_one(self, i: int, j: int, x: Any) -> None:
        _insert(self.rows[i], self.data[i], int(j), x)

    def _pick(self, index: Any) -> Any:
        row, col = index.axes
        if isinstance(row, np.ndarray) and isinstance(col, np.ndarray):
            if not is_mesh(*index.raw):
                return self._pick_pairs(*np.atleast_2d(row, col))
            row, col = index.raw
        if isinstance(row, range):
            taken = np.arange(row.start, row.stop, row.step)
        else:
            taken = np.array(row, dtype=np.int64).ravel()
        if isinstance(col, np.ndarray):
            columns, values = _native.list_take(self.rows, self.data, taken, col.ravel(), self._shape[1])
        else:
            col = range(col, col + 1) if isinstance(col, int) else col
            columns, values = _native.list_cut(self.rows, self.data, taken, col.start, col.step, len(col))
        width = col.size if isinstance(col, np.ndarray) else len(col)
        return self._of_lists(columns, values, (len(taken), width), self._dtype)

    def _pick_pairs(self, row: np.ndarray, col: np.ndarray) -> Any:
        """The elements at (row[k], col[k]), without the zeros among them."""
        places, values = _native.list_sample(self.rows, self.data, row.ravel(), col.ravel())
        m, n = row.shape
        bounds = np.searchsorted(places, np.arange(m + 1) * n)
        cols = (places % max(n, 1)).tolist()
        return self._of_lists(_split(cols, bounds), _split(values, bounds), (m, n), self._dtype)

    def _assign(self, coords: tuple[np.ndarray, ...], values: np.ndarray) -> None:
        row, col = coords
        _native.list_assign(self.rows, self.data, row, col, values.tolist())

    def _clear_block(self, rows: np.ndarray, cols: np.ndarray) -> None:
        if cols.size == 0:
            return
        low, high = int(cols.min()), int(cols.max()) + 1
        inside = None if high - low == cols.size else set(cols.tolist())
        for i in rows.tolist():
            row, data = self.rows[i], self.data[i]
            a, b = bisect_left(row, low), bisect_left(row, high)
            if a == b:
                continue
            keep = [] if inside is None else [k for k in range(a, b) if row[k] not in inside]
            row[a:b], data[a:b] = [row[k] for k in keep], [data[k] for k in keep]

    def getrowview(self, i: int) -> Any:
        """Row `i` as an array of shape (1, n) that shares its lists with this one."""
        new = self._empty((1, self._shape[1]), self._dtype)
        new.rows[0], new.data[0] = self.rows[i], self.data[i]
        return new

    def getrow(self, i: int) -> Any:
        """A copy of row `i`, of shape (1, n).

        Raises
        ------
        IndexError
            There is no such row.
        """
        M, N = self._shape
        if not -M <= i < M:
            raise IndexError(f"row index out of bounds; got {i} for {M} rows")
        return self._pick(Index((range(i % M, i % M + 1), range(N)), [0, 1]))

    def _getnnz(self, axis: int | None = None) -> Any:
        if axis is None:
            held = self._held()
            return sum(map(len, self.rows)) if held is None else held._getnnz()
        return self._counts(self.rows, _axis(axis))

    def count_nonzero(self, axis: int | None = None) -> Any:
        """Number of entries whose value is not zero, in all or along `axis`."""
        rows = ([j for j, x in zip(r, d, strict=True) if x] for r, d in zip(self.rows, self.data, strict=True))
        return np.intp(sum(map(len, rows))) if axis is None else self._counts(list(rows), _axis(axis))

    def _counts(self, rows: Any, axis: int) -> Any:
        if axis == 1:
            found = np.fromiter(map(len, rows), dtype=np.int64, count=self._shape[0])
        else:
            columns = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
            found = np.bincount(columns, minlength=self._shape[1])
        return _dense.in_namespace(_dense.to_mlx(found))

    # ---- in place ---------------------------------------------------------------------------------------------

    def __iadd__(self, other: Any) -> Any:
        self[:, :] = self + other
        return self

    def __isub__(self, other: Any) -> Any:
        self[:, :] = self - other
        return self

    def __imul__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return NotImplemented
        self[:, :] = self._mul_scalar(other)
        return self

    def __itruediv__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return NotImplemented
        self[:, :] = self / other
        return self

    def resize(self, *shape: Any) -> None:
        """Change the shape in place: entries keep their places, and those outside the new shape go.

        Parameters
        ----------
        shape : tuple of int, or two ints
        """
        M, N = given_shape(shape, (2,))
        self._resize_held((M, N))
        if M < self._shape[0]:
            self.rows, self.data = self.rows[:M].copy(), self.data[:M].copy()
        elif M > self._shape[0]:
            more = M - self._shape[0]
            self.rows = np.concatenate([self.rows, _lists(more)])
            self.data = np.concatenate([self.data, _lists(more)])
        if N < self._shape[1]:
            for row, data in zip(self.rows, self.data, strict=True):
                at = bisect_left(row, N)
                del row[at:]
                del data[at:]
        self._shape = (M, N)

    # ---- values and forms -------------------------------------------------------------------------------------

    def _scaled(self, dtype: mx.Dtype, f: Any) -> Any:
        host = _dtypes.numpy_dtype(dtype)
        bounds = np.append(0, np.cumsum(self._lengths()))
        with np.errstate(all="ignore"):
            flat = self._flat(self.data, int(bounds[-1]), self._host)
            values = f(_dense.view(flat) if _dense.is_mlx(flat) else flat).astype(host, copy=False).tolist()
        return self._of_lists((r[:] for r in self.rows), _split(values, bounds), self._shape, dtype)

    def _mul_scalar(self, other: Any) -> Any:
        if not _dense.is_mlx(other) and other == 0:
            return self._empty(self._shape, self._dtype)
        return super()._mul_scalar(other)

    def copy(self) -> Any:
        """A copy with lists of its own."""
        if (held := self._held()) is not None:
            return self._of_traced(held)
        rows, data = (r[:] for r in self.rows), (d[:] for d in self.data)
        return self._of_lists(rows, data, self._shape, self._dtype)

    def astype(self, dtype: Any, casting: str = "unsafe", copy: bool = True) -> Any:
        """This array with values cast to `dtype`."""
        if dtype is None:  # NumPy would read float64
            raise TypeError("dtype must be a data type; got None")
        if _dtypes.mlx_dtype(dtype) == self._dtype:
            return self.copy() if copy else self
        return self._from_csr(self.tocsr().astype(dtype, casting=casting))

    def reshape(self, *shape: Any, order: str = "C", copy: bool = False) -> Any:
        """This array with another 2-D shape of as many elements; itself for its own shape unless `copy`."""
        if order not in ("C", "F"):
            raise ValueError(f"'order' must be 'C' or 'F'; got {order!r}")
        target = resolve_shape(shape, self._shape, self._allow_nd)
        if target == self._shape:
            return self.copy() if copy else self
        coo = self.tocoo()
        if not traced(coo._data):
            coo.eliminate_zeros()
        return coo.reshape(target, order=order).tolil()

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        """Transpose."""
        return self.tocsr().transpose(axes=axes).tolil()

    def tolil(self, copy: bool = False) -> Any:
        """This array (a copy if `copy`)."""
        return self.copy() if copy else self

    def _lengths(self) -> np.ndarray:
        """Numbers of entries of the rows. Checks that there is a value for each."""
        found = _native.list_lengths(self.rows)
        if len(self.data) != len(self.rows) or not np.array_equal(_native.list_lengths(self.data), found):
            raise ValueError("the lists in rows and data differ in length")
        return found

    def _flat(self, lists: np.ndarray, count: int, dtype: np.dtype) -> Any:
        """The elements of all `lists`, one after the other: an ndarray, or of many a buffer, which is not copied."""
        found: Any = np.empty(count, dtype) if count < _MANY else _dense.uninitialized(count, _dtypes.mlx_dtype(dtype))
        if not _native.list_flatten(lists, found if count < _MANY else _dense.view(found)):
            values = list(chain.from_iterable(lists))
            _native.refuse_traced_within(values)
            found = np.fromiter(values, dtype, count)
        return found

    def tocsr(self, copy: bool = False) -> Any:
        """Compressed sparse row form, in one pass over the lists. Checks what they hold."""
        csr = self._classes["csr"]
        if (held := self._held()) is not None:
            return csr._from_parts(*held._trio, self._shape, canonical=True)
        M, N = self._shape
        if M == 0 or N == 0:
            return csr((M, N), dtype=self._dtype)
        lengths = self._lengths()
        nnz = int(lengths.sum())
        index = _dtypes.numpy_dtype(_dtypes.index_dtype(maxval=max(N, nnz)))
        indptr = np.zeros(M + 1, index)
        np.cumsum(lengths, out=indptr[1:])
        data = _dense.to_mlx(self._flat(self.data, nnz, self._host), self._dtype)
        made = csr._from_parts(data, *map(_dense.to_mlx, (self._flat(self.rows, nnz, index), indptr)), self._shape)
        made._check_contents()
        return made

    def tocoo(self, copy: bool = False) -> Any:
        """Coordinate form, by row and column."""
        return self.tocsr().tocoo(copy=False)


class lil_array(_lil_base, sparray):
    __doc__ = _lil_base.__doc__


def _from_dense(csr: Any, x: Any, dtype: Any) -> Any:
    try:
        x = _dense.as_dense(x)
    except ValueError:  # a ragged list
        raise
    except Exception as error:
        raise TypeError(f"cannot make a lil_array from {type(x).__name__}") from error
    if x.ndim != 2:
        raise ValueError(f"LIL arrays don't support {x.ndim}D input. Use 2D")
    return csr(x, dtype=dtype)


def _split(x: list, bounds: np.ndarray) -> Iterator[list]:
    """The pieces of `x` between neighbouring `bounds`."""
    return (x[a:b] for a, b in pairwise(bounds.tolist()))


def _listed(lists: Any, n: int) -> np.ndarray:
    return np.fromiter(lists, dtype=object, count=n)


def _lists(n: int) -> np.ndarray:
    return _listed(([] for _ in range(n)), n)


def _axis(axis: int) -> int:
    if axis not in (-2, -1, 0, 1):
        raise ValueError(f"axis out of bounds; got {axis!r} for 2 dimensions")
    return int(axis) % 2


def _insert(row: list, data: list, j: int, x: Any) -> None:
    """Set column j of a row to x; a zero removes what is there."""
    at = bisect_left(row, j)
    if at < len(row) and row[at] == j:
        if x:
            data[at] = x
        else:
            del row[at], data[at]
    elif x:
        row.insert(at, j)
        data.insert(at, x)

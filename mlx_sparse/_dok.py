"""Dictionary-of-keys arrays: a Python dict from positions to values."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, product
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _scipy_release
from ._base import as_sparse, issparse, sparray
from ._data import traced
from ._entrywise import Container, _entrywise, is_integer_like
from ._index import ARRAYS, Index, is_mesh
from ._shape import all_integers, check_input, check_shape, given_shape, is_shape


class _dok_base(_entrywise, dict):  # type: ignore[misc]
    """Dictionary Of Keys array, 1-D or 2-D: for building entry by entry, with the methods of a `dict`.

    Keys are ``(row, column)`` tuples, or integers in a 1-D array. Iteration and comparison are an array's, not a
    dict's.

    Parameters
    ----------
    arg1 : array_like, sparse array or tuple
        A dense array; a sparse array of this package or of SciPy; or a shape for an empty array.
    shape : tuple of int, optional
        Must agree with a dense `arg1`.
    dtype : dtype, optional
        Of the values.
    copy : bool
        Copy the dict of a dok `arg1`.
    maxprint : int, optional
        Most entries shown by ``print``.

    Raises
    ------
    ValueError
        `arg1` has more than two dimensions.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.dok_array((2, 2))
    >>> A[1, 0] = 3.0
    >>> A[0, 1] = A[1, 0] + 1.0
    >>> sorted(A.keys())
    [(0, 1), (1, 0)]

    Differences from SciPy
    ----------------------
    Products, sums and element-wise operations with arrays convert to csr first.
    """

    _format = "dok"
    _allow_nd: tuple[int, ...] = (1, 2)
    _containers = ("_dict",)
    _dict: Any = Container()

    def __init__(
        self, arg1: Any, shape: Any = None, dtype: Any = None, copy: bool = False, *, maxprint: int | None = None
    ) -> None:
        check_input(arg1, True)
        if issparse(arg1):
            A = as_sparse(arg1)
            A = A.copy() if copy and A.format == "dok" else A.todok()
            if A.ndim not in self._allow_nd:
                check_shape(A.shape, self._allow_nd)
            A = A if dtype is None else A.astype(dtype, copy=False)
        elif is_shape(arg1, self._allow_nd):
            A = self._empty(check_shape(arg1, self._allow_nd), dtype)
        elif all_integers(arg1):
            check_shape(arg1, self._allow_nd)
            raise ValueError(f"unrecognized shape {arg1}; give one or two integers that are not negative")
        else:
            _native.refuse_traced_within(arg1)
            try:
                x = _dense.as_dense(arg1)
            except Exception as error:
                raise TypeError(
                    f"Invalid input format. A dok_array needs an array or a shape; got {type(arg1).__name__}"
                ) from error
            if x.ndim == 0:
                raise TypeError(f"a dok_array needs an array or a shape; got {type(arg1).__name__}")
            if x.ndim not in self._allow_nd:
                raise ValueError(f"DOK arrays don't yet support {x.ndim}D input.")
            A = self._classes["coo"](x, shape=shape, dtype=dtype).todok()
        self._start(A._shape, A._dtype, maxprint)
        self._share(A)

    @classmethod
    def _empty(cls, shape: tuple[int, ...], dtype: Any) -> Any:
        new = cls.__new__(cls)
        new._start(tuple(shape), dtype)
        new._dict = {}
        return new

    @classmethod
    def _of_dict(cls, entries: dict, shape: tuple[int, ...], dtype: Any) -> Any:
        new = cls._empty(shape, dtype)
        new._dict = entries
        return new

    @classmethod
    def _from_coo(cls, coo: Any) -> Any:
        if coo.ndim not in cls._allow_nd:
            check_shape(coo.shape, cls._allow_nd)
        if not coo.has_canonical_format:  # keys in order, as in SciPy
            coo = coo._from_parts(coo._data, coo._coords, coo._shape)
            coo.sum_duplicates()
        new = cls._of_traced(coo)
        if not traced(coo._data):
            (new._dict,) = new._fill(coo)
            new._origin = None
        return new

    def _fill(self, origin: Any) -> tuple[Any, ...]:
        coords = [_dense.view(c).tolist() for c in origin._coords]
        keys = coords[0] if origin.ndim == 1 else zip(*coords, strict=True)
        return (dict(zip(keys, _dense.view(origin._data), strict=True)),)

    def __reduce__(self) -> tuple:
        return (_revive, (type(self), self.__getstate__()))

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return self.__reduce__()

    # ---- a dict -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._dict)

    def __contains__(self, key: Any) -> bool:
        return key in self._dict

    def __delitem__(self, key: Any, /) -> None:
        del self._dict[key]

    def __reversed__(self) -> Any:
        raise TypeError("reversed is not defined for dok_array type")

    def __or__(self, other: Any) -> Any:
        raise TypeError(f"unsupported operand type for |: {type(self).__name__} and {type(other).__name__}")

    def __ror__(self, other: Any) -> Any:
        return self.__or__(other)

    def __ior__(self, other: Any) -> Any:
        return self.__or__(other)

    def clear(self) -> None:
        """Remove every entry."""
        self._dict.clear()

    def items(self) -> Any:
        """View of the entries, as pairs of key and value."""
        return self._dict.items()

    def keys(self) -> Any:
        """View of the keys."""
        return self._dict.keys()

    def values(self) -> Any:
        """View of the values."""
        return self._dict.values()

    def pop(self, /, *args: Any, **named: Any) -> Any:
        """Remove the entry at a key and return its value; with a second argument, that where there is none."""
        if named:  # in the words of every release of SciPy
            raise TypeError(
                f"pop() got an unexpected keyword argument '{next(iter(named))}' (got some positional-only arguments "
                f"passed as keyword arguments: '{', '.join(named)}')"
            )
        return self._dict.pop(*args)

    def popitem(self) -> Any:
        """Remove and return some entry, as (key, value)."""
        return self._dict.popitem()

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """Value at `key`, which becomes `default` if there is none. The key is not checked here."""
        return self._dict.setdefault(key, default)

    def get(self, key: Any, default: Any = 0.0) -> Any:
        """Value at `key`, negative indices included; `default` if there is none.

        Raises
        ------
        IndexError
            `key` is not made of integers, has another length than the shape, or is out of range.
        """
        found = self._dict.get(key) if isinstance(key, (int, tuple)) else None
        if found is not None:
            return found
        try:
            parts = self._key_parts(key)
            integers = all(map(is_integer_like, parts))
        except (TypeError, ValueError) as error:
            raise IndexError(f"Index must be or consist of integers. Got {key!r}") from error
        if len(parts) != self.ndim:
            raise IndexError(f"Index {key} length needs to match self.shape, {self._shape}")
        if not integers:
            raise IndexError(f"Index must be or consist of integers. Got {key!r}")
        wrapped = tuple(i + n if i < 0 else i for i, n in zip(parts, self._shape, strict=True))
        if any(not 0 <= i < n for i, n in zip(wrapped, self._shape, strict=True)):
            raise IndexError(f"Index out of bounds. Got {key} for shape {self._shape}")
        return self._dict.get(wrapped[0] if self.ndim == 1 else wrapped, default)

    def update(self, val: Any) -> None:  # type: ignore[override]
        """Set entries from a dict, a dok array or pairs of key and value.

        Raises
        ------
        IndexError
            A key has another length than the shape, or is not made of integers from 0 to below the dimensions.
        """
        pairs = list(val.items() if isinstance(val, dict) else val)
        for key, _ in pairs:
            parts = self._key_parts(key)
            if len(parts) != self.ndim:
                raise IndexError(f"Index {key} length needs to match self.shape, {self._shape}")
            for i, n in zip(parts, self._shape, strict=True):
                if not is_integer_like(i):
                    raise IndexError(f"integer keys required for update. Got {key}")
                if i < 0:
                    raise IndexError(f"negative index {key} not allowed in update")
                if i >= n:
                    raise IndexError(f"index {key} is too large for self.shape")
        self._dict.update(pairs)

    @staticmethod
    def _key_parts(key: Any) -> tuple:
        return (key,) if is_integer_like(key) else tuple(key)

    @classmethod
    def fromkeys(cls, iterable: Iterable, value: Any = 1, /) -> Any:
        """Array with `value` at every key of `iterable`, just large enough for them."""
        entries = dict.fromkeys(iterable, value)
        tuples = isinstance(next(iter(entries)), tuple)
        shape = tuple(max(i) + 1 for i in zip(*entries, strict=True)) if tuples else (max(entries) + 1,)
        return cls._of_dict(entries, check_shape(shape, cls._allow_nd), type(value))

    # ---- entries ----------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        if type(key) is tuple and len(key) == 2 and type(key[0]) is type(key[1]) is int and self.ndim == 2:
            (i, j), (M, N) = key, self._shape
            if 0 <= i < M and 0 <= j < N:
                found = self._dict.get(key)
                return self._scalar(0) if found is None else found
        return super().__getitem__(key)

    def __setitem__(self, key: Any, x: Any) -> None:
        if type(key) is tuple and len(key) == 2:
            i, j = key
            shape = self._shape
            if isinstance(i, (int, np.integer)) and isinstance(j, (int, np.integer)) and len(shape) == 2:
                if type(i) is not int or type(j) is not int:
                    key = i, j = int(i), int(j)
                if 0 <= i < shape[0] and 0 <= j < shape[1]:
                    x = self._scalar(x) if isinstance(x, (int, float, np.number)) else self._cast(x)
                    if x:
                        self._dict[key] = x
                    else:
                        self._dict.pop(key, None)
                    return
        super().__setitem__(key, x)

    def _get_one(self, *place: Any) -> Any:
        found = self._dict.get(place[0] if len(place) == 1 else place)
        return self._scalar(0) if found is None else found

    def _set_one(self, i: int, j: int, x: Any) -> None:
        if x:
            self._dict[i, j] = x
        else:
            self._dict.pop((i, j), None)

    def _assign(self, coords: tuple[np.ndarray, ...], values: np.ndarray) -> None:
        keys = _keys(coords)
        self._dict.update(zip(keys, values, strict=True))
        if not values.all():
            for key, x in zip(keys, values.tolist(), strict=True):
                if not x and not self._dict.get(key, True):  # a later value may have taken its place
                    del self._dict[key]

    def _pick(self, index: Index) -> Any:
        axes = tuple(range(a, a + 1) if isinstance(a, int) else a for a in index.axes)
        arrays = [isinstance(a, np.ndarray) for a in axes]
        if self.ndim == 1:
            positions = axes[0] if isinstance(axes[0], np.ndarray) else np.array(axes[0], dtype=np.int64)
            return self._looked_up((positions,))
        if not any(arrays):
            shape = (len(axes[0]), len(axes[1]))
            if len(self._dict) < 2 * shape[0] * shape[1]:  # walk through the entries, not the positions
                inside = (((i, j), x) for (i, j), x in self._dict.items() if i in axes[0] and j in axes[1])
                entries = {(axes[0].index(i), axes[1].index(j)): x for (i, j), x in inside}
                return self._of_dict(entries, shape, self._dtype)
        if all(arrays):
            if not is_mesh(*index.raw):
                return self._looked_up(tuple(map(np.atleast_2d, axes)))
            axes = index.raw
        row, col = (np.arange(a.start, a.stop, a.step) if isinstance(a, range) else a.ravel() for a in axes)
        if row.size * col.size > len(self._dict):  # look at the entries, not at the cells
            found = self.tocoo()._select(Index((row[:, None], col[None, :]), [ARRAYS]))
            found.eliminate_zeros()
            return self._from_coo(found)
        return self._looked_up(tuple(np.broadcast_arrays(row[:, None], col[None, :])))

    def _clear_block(self, rows: np.ndarray, cols: np.ndarray) -> None:
        if rows.size * cols.size < len(self._dict):
            gone: Iterable = product(rows.tolist(), cols.tolist())
        else:
            inside = set(rows.tolist()), set(cols.tolist())
            gone = [key for key in self._dict if key[0] in inside[0] and key[1] in inside[1]]
        for key in gone:
            self._dict.pop(key, None)

    def _looked_up(self, coords: tuple[np.ndarray, ...]) -> Any:
        """The entries at `coords` that are not zero, as an array of the coordinates' shape."""
        shape = coords[0].shape
        values = list(map(self._dict.get, _keys(tuple(c.ravel() for c in coords))))
        found = [p for p, x in enumerate(values) if x]
        keys = _keys(np.unravel_index(np.array(found, np.int64), shape))
        return self._of_dict({k: values[p] for k, p in zip(keys, found, strict=True)}, shape, self._dtype)

    def _getnnz(self, axis: int | None = None) -> int:
        if axis is not None:
            raise NotImplementedError("the stored entries of a dok array are not counted along an axis")
        held = self._held()
        return len(self._dict) if held is None else held._getnnz()

    def count_nonzero(self, axis: int | None = None) -> Any:
        """Number of entries whose value is not zero, in all or (with SciPy 1.18 or later) along `axis`."""
        if axis is not None:
            if not _scipy_release.EVERY_FORMAT_COUNTS_ALONG_AXES:
                raise NotImplementedError("count_nonzero over an axis is not implemented for DOK format.")
            return self.tocoo().count_nonzero(axis)
        return sum(x != 0 for x in self._dict.values())

    # ---- arithmetic -------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if _dense.is_scalar(other):
            return self._plus_scalar(_dense.python_scalar(other))
        if not issparse(other):
            return super().__add__(other)
        if other.shape != self._shape:
            raise ValueError(f"Matrix dimensions are not equal. Got {self._shape} and {other.shape}")
        other = as_sparse(other)
        dtype = _dtypes.result_type(self._dtype, other._data.dtype if other.format != "dok" else other._dtype)
        new = self._of_dict(dict(self._dict), self._shape, dtype)
        zero = new._scalar(0)
        with np.errstate(over="ignore"):
            for key, x in other.todok()._dict.items():
                new._dict[key] = new._dict.get(key, zero) + x
        return new

    def __radd__(self, other: Any) -> Any:
        return self + other

    def _plus_scalar(self, x: Any) -> Any:
        """Every element plus `x`: dense, in a dict."""
        dtype = _dtypes.result_type(self._dtype, x)
        total = self.toarray() + x
        coords = np.nonzero(total)
        host = _dtypes.numpy_dtype(dtype)
        return self._of_dict(dict(zip(_keys(coords), total[coords].astype(host), strict=True)), self._shape, dtype)

    def _scaled(self, dtype: mx.Dtype, f: Any) -> Any:
        host = _dtypes.numpy_dtype(dtype)
        with np.errstate(all="ignore"):
            values = f(self._flat_values()).astype(host, copy=False)
        return self._of_dict(dict(zip(self._dict, values, strict=True)), self._shape, dtype)

    def __neg__(self) -> Any:
        if self._dtype == mx.bool_:
            raise NotImplementedError("Negating a sparse boolean matrix is not supported.")
        if self._held() is not None:
            return (-self.tocsr()).todok()
        return self._scaled(self._dtype, np.negative)

    def __imul__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return NotImplemented
        self._dict = self._mul_scalar(other).astype(self._dtype, copy=False)._dict
        return self

    def __itruediv__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return NotImplemented
        self._dict = self._divide(other).astype(self._dtype, copy=False)._dict
        return self

    def conjtransp(self) -> Any:
        """Conjugate transpose, in this format."""
        new = self.transpose()
        return new._scaled(new._dtype, np.conj) if self._is_complex else new

    # ---- values and forms -------------------------------------------------------------------------------------

    def copy(self) -> Any:
        """A copy with a dict of its own."""
        if (held := self._held()) is not None:
            return self._of_traced(held)
        return self._of_dict(dict(self._dict), self._shape, self._dtype)

    def astype(self, dtype: Any, casting: str = "unsafe", copy: bool = True) -> Any:
        """This array with values cast to `dtype`."""
        target = _dtypes.mlx_dtype(dtype)
        if target == self._dtype:
            return self.copy() if copy else self
        host = _dtypes.numpy_dtype(target)
        if not np.can_cast(self._host, host, casting):  # type: ignore[arg-type]
            raise TypeError(f"Cannot cast array data from {self._host!r} to {host!r} according to the rule {casting!r}")
        if self._held() is not None:
            return self.tocoo().astype(target).todok()
        return self._scaled(target, np.asarray)

    def resize(self, *shape: Any) -> None:
        """Change the shape in place: entries keep their places, and those outside the new shape go.

        Raises
        ------
        NotImplementedError
            The number of dimensions would change.
        """
        new = given_shape(shape, self._allow_nd)
        if len(new) != self.ndim:
            raise NotImplementedError("resize does not change the number of dimensions of a dok array")
        self._resize_held(new)
        if any(n < m for n, m in zip(new, self._shape, strict=True)):
            entries = self._dict.items()
            if len(new) == 1:
                self._dict = {i: x for i, x in entries if i < new[0]}
            else:
                self._dict = {(i, j): x for (i, j), x in entries if i < new[0] and j < new[1]}
        self._shape = new

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        """Transpose; a copy."""
        if self.ndim == 1:
            return self.copy()
        if axes is not None and axes not in ((1, 0), [1, 0]):
            raise ValueError(
                "Sparse arrays do not support an 'axes' parameter because swapping dimensions is the only logical "
                f"permutation; got {axes}"
            )
        if self._held() is not None:
            return self.tocoo().transpose().todok()
        return self._of_dict({(j, i): x for (i, j), x in self._dict.items()}, self._shape[::-1], self._dtype)

    def todok(self, copy: bool = False) -> Any:
        """This array (a copy if `copy`)."""
        return self.copy() if copy else self

    def _flat_values(self) -> np.ndarray:
        values = list(self._dict.values())
        _native.refuse_traced_within(values)  # `update` and other methods of a dict take what they are given
        return np.fromiter(values, dtype=self._host, count=len(values))

    def tocoo(self, copy: bool = False) -> Any:
        """Coordinate form, in the order of the dict. Checks the keys."""
        coo: Any = self._classes["coo"]
        if (held := self._held()) is not None:
            return coo._from_parts(held._data, held._coords, self._shape, True)
        nnz = len(self._dict)
        if nnz == 0:
            return coo(self._shape, dtype=self._dtype)
        index = _dtypes.numpy_dtype(_dtypes.index_dtype(maxval=max(self._shape)))
        if self.ndim == 1:
            coords: tuple[Any, ...] = (np.fromiter(self._dict, dtype=index, count=nnz),)
        elif set(map(len, self._dict)) != {2}:
            raise ValueError("keys must be pairs of integers")
        else:
            coords = tuple(np.fromiter(chain.from_iterable(self._dict), dtype=index, count=2 * nnz).reshape(-1, 2).T)
        found = coo((self._flat_values(), coords), shape=self._shape, dtype=self._dtype)
        found.has_canonical_format = True  # no position twice, which is what SciPy means by it here
        return found

    def tocsr(self, copy: bool = False) -> Any:
        """Compressed sparse row form, in canonical format."""
        return self._unsorted().tocsr()

    def _unsorted(self) -> Any:
        coo = self.tocoo()
        coo.has_canonical_format = False  # so that converting it sorts
        return coo

    def tocsc(self, copy: bool = False) -> Any:
        """Compressed sparse column form of a 2-D array."""
        if self.ndim == 1:
            raise NotImplementedError("a 1-D sparse array has no csc form")
        return self._unsorted().tocsc()


class dok_array(_dok_base, sparray):
    __doc__ = _dok_base.__doc__


def _revive(cls: Any, state: dict[str, Any]) -> Any:
    new = cls.__new__(cls)
    new.__setstate__(dict(state))
    return new


def _keys(coords: tuple[np.ndarray, ...]) -> list:
    """Python keys for index arrays."""
    parts = [c.tolist() for c in coords]
    return parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))

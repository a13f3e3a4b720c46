"""What lil and dok share: entries live in Python containers on the host, and arithmetic goes through csr."""

from __future__ import annotations

import operator
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native
from ._base import _spbase, as_sparse, issparse
from ._index import Index, _indexed
from ._reduce import diagonal_values

# Operations on the values as a whole: what csr gives is the result.
_THROUGH_CSR = (
    "power",
    "sum",
    "mean",
    "trace",
    "diagonal",
    "_canonical",
    "_diagonal",
    "_matmul_sparse",
    "_merge_sparse",
    "_product",
    "_rmatmul_dispatch",
    "_todense",
    "_unique",
    "__abs__",
    "__neg__",
    "__round__",
)
_PIECE = 1 << 16  # elements written at a time
# What a NumPy scalar type takes as it is: a Python number of the same precision.
_PLAIN = {np.dtype(np.float64): float, np.dtype(np.bool_): bool}


class Container:
    """An attribute that holds entries, made of the array's origin where it is missing. Those there are found first."""

    def __set_name__(self, owner: Any, name: str) -> None:
        self.name = name

    def __get__(self, array: Any, owner: Any) -> Any:
        if array is None:
            return self
        if array._origin is None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self.name!r}")
        for missing, made in zip(array._containers, array._fill(array._origin), strict=True):
            array.__dict__.setdefault(missing, made)
        array._origin = None
        return array.__dict__[self.name]


class _entrywise(_indexed, _spbase):
    """A format to fill entry by entry. The dtype is fixed; values are scalars of it, or equal Python numbers.

    Made of traced values, whose numbers cannot be read, an array holds what it was made of until its containers are
    asked for, which refuses them: so it converts back differentiably.
    """

    _containers: tuple[str, ...]  # the attributes that hold its entries
    _origin: Any = None  # what it was made of
    _dtype: mx.Dtype
    _host: np.dtype  # the NumPy dtype of the values
    _scalar: Any  # its scalar type
    _plain: Any  # the Python type whose values need no conversion
    # What a builder is made of and converts through.
    tocoo: Any
    tocsr: Any
    _from_coo: Any

    def _start(self, shape: tuple[int, ...], dtype: Any, maxprint: int | None = None) -> None:
        self._shape = shape
        if maxprint is not None:
            self.maxprint = maxprint
        self._set_dtype(_dtypes.default_float() if dtype is None else _dtypes.mlx_dtype(dtype))

    def _set_dtype(self, dtype: mx.Dtype) -> None:
        self._dtype, self._host = dtype, _dtypes.numpy_dtype(dtype)
        self._scalar, self._plain = self._host.type, _PLAIN.get(self._host, self._host.type)

    @classmethod
    def _of_traced(cls, origin: Any) -> Any:
        """An array that holds `origin`, without duplicates and with values that may be traced, for its containers."""
        new = cls.__new__(cls)
        new._start(origin.shape, origin._data.dtype)
        new._origin = origin
        return new

    def _held(self) -> Any:
        """What this array was made of while it has no containers, else None."""
        if self._origin is None or any(name in self.__dict__ for name in self._containers):
            return None
        return self._origin

    def _fill(self, origin: Any) -> tuple[Any, ...]:
        """The containers for the entries of `origin`."""
        raise NotImplementedError

    def _share(self, other: Any) -> None:
        """Take the entries of `other`, of this format."""
        self._origin = other._held()
        for name in self._containers:
            if self._origin is None:
                setattr(self, name, getattr(other, name))
            else:
                self.__dict__.pop(name, None)

    def _resize_held(self, shape: tuple[int, ...]) -> None:
        if (held := self._held()) is not None:
            held = held._with_data(held._data)
            held.resize(shape)
            self._origin, self._shape = held, shape

    @classmethod
    def _empty(cls, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array without entries, unchecked."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        for name in self._containers:
            getattr(self, name)  # asked for: they stand in for what the array was made of
        state = {k: v for k, v in self.__dict__.items() if k not in ("_dtype", "_host", "_scalar", "_plain", "_origin")}
        return {**state, "dtype": _dtypes.name(self._dtype)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        name = state.pop("dtype")
        self.__dict__.update(state)
        self._set_dtype(_dtypes.named(name))

    @property
    def dtype(self) -> Any:
        """Value dtype, an MLX dtype, or NumPy's in numpy mode."""
        return _dense.out_dtype(self._dtype)

    @property
    def _data(self) -> mx.array:  # type: ignore[override]
        return self.tocsr()._data

    @property
    def _is_complex(self) -> bool:
        return _dtypes.is_complex(self._dtype)

    # ---- entries ----------------------------------------------------------------------------------------------

    def _cast(self, x: Any) -> Any:
        """`x`, which must be a single element, as a scalar of this array's dtype."""
        if issparse(x):
            x = as_sparse(x).toarray()
        elif _dense.is_mlx(x):
            x = _dense.view(x)
        if isinstance(x, np.ndarray):
            if x.size != 1:
                raise ValueError(f"Trying to assign a sequence to an item: {x.size} values to one element")
            x = x.item()
        x = self._scalar(x)
        if np.ndim(x):
            raise ValueError(f"Trying to assign a sequence to an item: {np.size(x)} values to one element")
        return x

    _item = _cast

    def _values(self, x: Any) -> np.ndarray:
        if issparse(x):
            x = as_sparse(x).toarray()
        elif _dense.is_mlx(x):
            x = _dense.view(x)
        _native.refuse_traced_within(x)
        return np.asarray(x, dtype=self._host)

    def _select(self, index: Index) -> Any:
        if all(isinstance(a, int) for a in index.axes) and not index.shape:
            return self._get_one(*index.axes)
        found = self._pick(index)
        if found.shape == index.shape:
            return found
        if self._format == "lil" and len(index.shape) == 2:
            return found.reshape(index.shape)
        return found.tocoo(copy=False).reshape(index.shape)

    def _pick(self, index: Index) -> Any:
        """What `index` selects, in this format and with as many dimensions as this array."""
        raise NotImplementedError

    def _assign_grid(self, grid: Any, values: np.ndarray) -> None:
        for low in range(0, values.size, _PIECE):  # as Python objects positions and values take ten times the memory
            at = slice(low, low + _PIECE)
            self._assign(tuple(g.flat[at] for g in grid), values.flat[at])

    def setdiag(self, values: Any, k: int = 0) -> None:
        """Set the `k`-th diagonal to `values` (a scalar or a sequence) in place.

        Raises
        ------
        ValueError
            `k` lies outside the array, or `values` is neither a scalar nor 1-D nor a column.
        """
        diagonal, k = diagonal_values(self._shape, values, k, self._dtype)
        x = _dense.view(diagonal)
        first = np.arange(x.size, dtype=np.int64)
        self._assign((first - min(k, 0), first + max(k, 0)), x)

    # ---- what goes through csr --------------------------------------------------------------------------------

    def _matmul_direct(self, x: Any) -> None:
        return None

    def _matmul_dispatch(self, other: Any) -> Any:
        A = self.tocsr()
        y = A._matmul_direct(other)
        return A._matmul_dispatch(other) if y is None else y

    def _scaled(self, dtype: Any, f: Any) -> Any:
        """f over the stored values, the same places, as values of `dtype`."""
        raise NotImplementedError

    def _mul_scalar(self, other: Any) -> Any:
        if _dense.is_mlx(other) and other.dtype != self._dtype:
            raise TypeError(f"the scalar's dtype {other.dtype} differs from the sparse dtype {self._dtype}")
        if self._held() is not None:
            return self.tocsr()._mul_scalar(other).asformat(self._format)
        other = _dense.python_scalar(other[()] if isinstance(other, np.ndarray) else other)
        return self._scaled(_dtypes.result_type(self._dtype, other), lambda v: v * other)

    def _divide(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return self.tocsr() / other
        if _dense.is_mlx(other) and other.dtype != self._dtype:
            raise TypeError(f"the scalar's dtype {other.dtype} differs from the sparse dtype {self._dtype}")
        if self._held() is not None:
            dtype = self._dtype if _dense.is_mlx(other) else self._quotient_dtype(other)
            return self.tocsr()._mul_scalar(1 / other).astype(dtype, copy=False).asformat(self._format)
        other = _dense.python_scalar(other[()] if isinstance(other, np.ndarray) else other)
        return self._scaled(self._quotient_dtype(other), lambda v: v / other)

    def _quotient_dtype(self, other: Any) -> mx.Dtype:
        return _dtypes.result_type(self._dtype, other)

    def multiply(self, other: Any) -> Any:
        """Element-wise product with a scalar (this format), a dense or a sparse array (csr or coo)."""
        return self._mul_scalar(other) if _dense.is_scalar(other) else self.tocsr().multiply(other)

    def conjugate(self, copy: bool = True) -> Any:
        """Complex conjugate, in csr; a real array itself (copied if `copy`)."""
        if self._is_complex:
            return self.tocsr().conjugate(copy=False)
        return self.copy() if copy else self

    def conj(self, copy: bool = True) -> Any:
        """Complex conjugate; as `conjugate`."""
        return self.conjugate(copy=copy)

    @property
    def real(self) -> Any:
        """Real part, in csr."""
        return self.tocsr().real

    @property
    def imag(self) -> Any:
        """Imaginary part, in csr."""
        return self.tocsr().imag

    def tocsc(self, copy: bool = False) -> Any:
        """Compressed sparse column form."""
        return self.tocsr().tocsc()


def is_integer_like(x: Any) -> bool:
    """True for an integer of Python or NumPy.

    Raises
    ------
    ValueError
        `x` is a float that happens to be whole.
    """
    if np.ndim(x):
        return False
    try:
        operator.index(x)
    except TypeError:
        try:
            whole = bool(int(x) == x)
        except (TypeError, ValueError, OverflowError):
            return False
        if whole:
            raise ValueError("Inexact indices into sparse matrices are not allowed") from None
        return False
    return True


def _add_delegate(name: str) -> None:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        long = self._shape_as_2d[0] >= _dtypes.INT32_MAX  # too long to compress
        return getattr(self.tocoo() if long else self.tocsr(), name)(*args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"_entrywise.{name}"
    if not name.startswith("_"):
        method.__doc__ = f"As `csr_array.{name}`."
    setattr(_entrywise, name, method)


for _name in _THROUGH_CSR:
    _add_delegate(_name)

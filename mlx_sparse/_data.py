"""Operations that touch only the stored values; the structure is shared with the operand."""

from __future__ import annotations

import operator
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native
from ._base import _spbase
from ._shape import check_input


def _trunc(x: mx.array) -> mx.array:
    return mx.where(x >= 0, mx.floor(x), mx.ceil(x))


# NumPy ufuncs that map 0 to 0 and what MLX calls them.
_UNARY: dict[str, Any] = {
    "sin": mx.sin,
    "tan": mx.tan,
    "arcsin": mx.arcsin,
    "arctan": mx.arctan,
    "sinh": mx.sinh,
    "tanh": mx.tanh,
    "arcsinh": mx.arcsinh,
    "arctanh": mx.arctanh,
    "rint": mx.round,
    "sign": mx.sign,
    "expm1": mx.expm1,
    "log1p": mx.log1p,
    "deg2rad": mx.radians,
    "rad2deg": mx.degrees,
    "floor": mx.floor,
    "ceil": mx.ceil,
    "trunc": _trunc,
    "sqrt": mx.sqrt,
}


class _data_array(_spbase):
    """A format whose values stand in one `_data` buffer."""

    _buffers: tuple[str, ...]
    _known: tuple[str, ...] = ("_shape",)

    def _begin(self, arg1: Any, dtype: Any, maxprint: int | None, validate: bool | str = True) -> mx.Dtype | None:
        """What every constructor begins with; the MLX dtype that is asked for."""
        if maxprint is not None:
            self.maxprint = maxprint
        check_input(arg1, validate)
        return None if dtype is None else _dtypes.mlx_dtype(dtype)

    def _coo_of(self, arg1: Any, shape: Any, dtype: mx.Dtype | None) -> Any:
        """Coordinates, or an array-like, in coo form: of a number of dimensions that this format has."""
        if not isinstance(arg1, tuple):
            arg1 = self._dense_input(arg1)
        coo = self._classes["coo"](arg1, shape=shape, dtype=dtype)
        if coo.ndim not in self._allow_nd:
            raise ValueError(f"{self.format.upper()} arrays don't support {coo.ndim}-D input")
        return coo

    def _dense_input(self, arg1: Any) -> Any:
        """An array-like of a rank that this format has, as an array."""
        try:
            x = _dense.as_dense(arg1)
        except Exception as error:
            raise ValueError(f"unrecognized {type(self).__name__} constructor input: {arg1}") from error
        if x.ndim == 0 and 1 in self._allow_nd:
            raise TypeError(f"a sparse array cannot be made from {type(x).__name__} without a shape")
        if x.ndim not in self._allow_nd:
            dims = " or ".join(f"{n}-D" for n in self._allow_nd)
            raise ValueError(f"{self.format.upper()} arrays don't support {x.ndim}D input. Use {dims}")
        return x

    def _adopt(self, other: Any) -> None:
        """Become `other`, of this format: the same buffers, and what is known of them."""
        for name in (*self._buffers, *self._known):
            setattr(self, name, getattr(other, name))

    def _take_over(self, other: Any, copy: bool, dtype: mx.Dtype | None) -> None:
        """Construction from `other`, of this format: with `copy`, buffers of its own where they can be written to."""
        self._adopt(other)
        if copy and _dense.numpy_mode():
            for name in self._buffers:
                x = getattr(self, name)
                setattr(self, name, tuple(map(_own, x)) if isinstance(x, tuple) else _own(x))
        if dtype is not None:
            self._data = self.astype(dtype, copy=False)._data

    @property
    def data(self) -> Any:
        """Stored values: an `mx.array`, or in numpy mode a writable view."""
        return _dense.attribute(self._data)

    @data.setter
    def data(self, values: Any) -> None:
        self._data = self._import(values, self._data)

    @property
    def dtype(self) -> Any:
        """Value dtype: an MLX dtype, or NumPy's in numpy mode. Setting it reinterprets the bytes, as for an ndarray."""
        return _dense.out_dtype(self._data.dtype)

    @dtype.setter
    def dtype(self, dtype: Any) -> None:
        target = _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))
        self._data = _dense.to_mlx(_dense.view(self._data).view(target))

    @staticmethod
    def _import(values: Any, current: mx.array | None, dtype: Any = None) -> mx.array:
        """`values` as a buffer; a view of the buffer that it would replace stands for that buffer itself."""
        if isinstance(values, np.ndarray) and current is not None and values.dtype != np.float16:
            mine = _dense.view(current)
            same = values.ctypes.data == mine.ctypes.data and values.size
            if same and values.shape == mine.shape and values.dtype == mine.dtype and values.strides == mine.strides:
                return current
        return _dense.to_mlx(values, dtype)

    def with_data(self, values: Any) -> Any:
        """The same structure with other stored values: the way to differentiate with respect to the values.

        Parameters
        ----------
        values : array_like, shape (nnz,)
            In the order of `data`. An `mx.array` may be traced (inside `mx.grad`, `mx.vmap`, `mx.compile`).

        Returns
        -------
        sparse array of the same format; structure shared, nothing checked again but the length.

        Examples
        --------
        >>> import mlx.core as mx, mlx_sparse as sp
        >>> A = sp.csr_array([[1.0, 0.0], [0.0, 2.0]], dtype=mx.float32)
        >>> x = mx.array([1.0, 1.0])
        >>> mx.grad(lambda v: (A.with_data(v) @ x).sum())(A.data)
        array([1, 1], dtype=float32)
        """
        data = _dense.to_mlx(values)
        if data.shape != self._data.shape:
            raise ValueError(f"values must have shape {tuple(self._data.shape)}; got {tuple(data.shape)}")
        return self._with_data(data)

    def astype(self, dtype: Any, casting: str = "unsafe", copy: bool = True, *, stream: Any = None) -> Any:
        """This array with values cast to `dtype` (complex128 becomes complex64)."""
        target = _dtypes.mlx_dtype(dtype)
        if target == self._data.dtype:
            return self.copy() if copy else self
        source, host = _dtypes.numpy_dtype(self._data.dtype), _dtypes.numpy_dtype(target)
        if not np.can_cast(source, host, casting):  # type: ignore[arg-type]
            raise TypeError(f"Cannot cast array data from {source!r} to {host!r} according to the rule {casting!r}")
        if stream is None and target != mx.bfloat16 and _dense.numpy_is_quicker(self._data):
            new = self._with_data(_dense.to_mlx(_dense.view(self._data), target))
        else:
            data = mx.real(self._data, stream=stream) if self._is_complex else self._data
            new = self._with_data(data.astype(target, stream=stream))
        return new._unique() if copy and _dense.numpy_mode() else new  # SciPy sums duplicates then

    def conjugate(self, copy: bool = True, *, stream: Any = None) -> Any:
        """Complex conjugate; a real array itself (copied if `copy`)."""
        if self._is_complex:
            return self._with_data(mx.conj(self._data, stream=stream))
        return self.copy() if copy else self

    def conj(self, copy: bool = True, *, stream: Any = None) -> Any:
        """Complex conjugate; as `conjugate`."""
        return self.conjugate(copy=copy, stream=stream)

    @property
    def real(self) -> Any:
        """Real part."""
        return self._with_data(mx.real(self._data) if self._is_complex else self._data)

    @property
    def imag(self) -> Any:
        """Imaginary part."""
        return self._with_data(mx.imag(self._data) if self._is_complex else mx.zeros_like(self._data))

    def __neg__(self) -> Any:
        if self._data.dtype == mx.bool_:
            raise NotImplementedError("negating a boolean sparse array is not supported")
        return self._mapped(operator.neg, operator.neg)

    def __abs__(self) -> Any:
        A = self._unique()
        if A is not self and _dense.numpy_mode() and not traced(A._data):
            return A._with_data(_dense.mapped(np.abs, A._data, reuse=True))
        return A._mapped(np.abs, mx.abs)

    def _mapped(self, in_numpy: Any, in_mlx: Any) -> Any:
        """The same structure with a function of the values, which either library computes."""
        if not _dense.numpy_is_quicker(self._data):
            return self._with_data(in_mlx(self._data))
        with np.errstate(all="ignore"):
            return self._with_data(_dense.to_mlx(in_numpy(_dense.view(self._data))))

    def __round__(self, ndigits: int = 0) -> Any:
        if _dtypes.is_integral(self._data.dtype) and ndigits >= 0:
            return self.copy()
        A = self._unique()
        if _dense.numpy_mode():
            values = _dense.mapped(lambda v: np.around(v, ndigits), A._data, A._data.dtype, A is not self)
            return A._with_data(values)
        return A._with_data(mx.round(A._data, ndigits))

    def __imul__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return NotImplemented
        return self._set_scaled(self._mul_scalar(other))

    def __itruediv__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return NotImplemented
        return self._set_scaled(self._mul_scalar(1.0 / other))

    def _set_scaled(self, scaled: Any) -> Any:
        ours, theirs = (_dtypes.numpy_dtype(a._data.dtype) for a in (self, scaled))
        if not np.can_cast(theirs, ours, "same_kind"):
            raise TypeError(f"Cannot cast the scaled values from {theirs!r} to {ours!r} in place")
        self._data = scaled._data.astype(self._data.dtype)
        return self

    def _unique(self) -> Any:
        """This array, or a copy with duplicates summed if it has any: what a nonlinear function needs."""
        raise NotImplementedError

    def _mul_scalar(self, other: Any) -> Any:
        if _dense.is_mlx(other):
            if other.dtype != self._data.dtype:
                raise TypeError(f"the scalar's dtype {other.dtype} differs from the sparse dtype {self._data.dtype}")
            return self._with_data(self._data * other)
        if isinstance(other, np.ndarray):
            other = other[()]
        if _dense.numpy_is_quicker(self._data):
            with np.errstate(all="ignore"):
                return self._with_data(_dense.to_mlx(_dense.view(self._data) * other))
        host = _dtypes.numpy_dtype(self._data.dtype)
        if self._data.dtype == mx.bfloat16:
            dtype = _dtypes.result_type(self._data.dtype, other)
        else:
            dtype = _dtypes.mlx_dtype((np.zeros(1, host) * other).dtype)
        return self._with_data(self._data.astype(dtype) * _dense.to_mlx(other, dtype))

    def power(self, n: Any, dtype: Any = None) -> Any:
        """Element-wise power by a scalar `n` > 0; the matrix power is `linalg.matrix_power`.

        Raises
        ------
        NotImplementedError
            `n` is not a scalar, or is zero (the result would be dense).
        """
        if not _dense.is_scalar(n):
            raise NotImplementedError("input is not scalar")
        if not n:
            raise NotImplementedError(
                "zero power is not supported as it would densify the matrix.\n"
                "Use `np.ones(A.shape, dtype=A.dtype)` for this case."
            )
        base = self._unique()
        base = base if dtype is None else base.astype(dtype)
        host = _dtypes.numpy_dtype(base._data.dtype)
        target = base._data.dtype
        if target != mx.bfloat16:
            target = _dtypes.mlx_dtype((np.ones(min(1, base._data.size), host) ** _dense.python_scalar(n)).dtype)
        if _dense.numpy_mode() or _dense.numpy_is_quicker(base._data):  # to the last bit what SciPy gives
            exponent = _dense.python_scalar(n)
            return base._with_data(_dense.mapped(lambda v: v**exponent, base._data, target, base is not self))
        if _dense.python_scalar(n) == 2:  # several times quicker than a power of any kind
            return base._with_data(mx.square(base._data.astype(target)))
        return base._with_data(mx.power(base._data.astype(target), _dense.to_mlx(n, target)))

    def _unary(self, name: str) -> Any:
        A = self._unique()
        return A._unary_unique(name, A is not self)

    def _unary_unique(self, name: str, reuse: bool) -> Any:
        host = _dtypes.numpy_dtype(self._data.dtype)
        ufunc = getattr(np, name)
        target = self._data.dtype
        if target != mx.bfloat16:
            target = _dtypes.mlx_dtype(ufunc(np.zeros(1, host)).dtype)
        if (
            _dense.numpy_mode()
            or target == mx.complex64
            and name not in _COMPLEX_IN_MLX
            or _dense.numpy_is_quicker(self._data)
        ):
            quiet: Any = "warn" if _dense.numpy_mode() else "ignore"  # as NumPy, and as MLX
            with np.errstate(over="ignore", divide=quiet, invalid=quiet):
                return self._with_data(_dense.mapped(ufunc, self._data, target, reuse))
        if _dtypes.is_integral(target):
            if name == "sign":
                return self._with_data(mx.sign(self._data))
            return self._with_data(self._data)  # rounding an integer changes nothing
        return self._with_data(_UNARY[name](self._data.astype(target)))


# MLX has no complex kernel for the others: NumPy computes them on the host.
_COMPLEX_IN_MLX = {"sin", "tan", "sinh", "tanh", "sqrt"}


def _own(a: mx.array) -> mx.array:
    """A copy with a buffer of its own."""
    if a.dtype == mx.bfloat16:
        return mx.array(a)
    return _dense.to_mlx(_dense.view(a), a.dtype)


def traced(*arrays: mx.array) -> bool:
    return any(map(_native.is_tracer, arrays))


def _add_unary(name: str) -> None:
    def method(self: Any) -> Any:
        return self._unary(name)

    method.__name__ = name
    method.__qualname__ = f"_data_array.{name}"
    method.__doc__ = f"Element-wise `numpy.{name}` of the stored values (it maps 0 to 0). Lazy."
    setattr(_data_array, name, method)


for _name in _UNARY:
    _add_unary(_name)

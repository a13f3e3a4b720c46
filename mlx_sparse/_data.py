"""Operations that touch only the stored values; the structure is shared with the operand."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import mlx.core as mx
import numpy as np

from . import _dense, _dtypes, _native, _values
from ._base import _spbase
from ._classes import ARRAYS
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


_UNCHECKED: dict[type, type] = {}
_FEW = 1 << 12  # entries of which a copy costs less than to ask later who sees them


def _described(cls: Any) -> tuple[str, ...]:
    """The names of the buffers, and of what describes them to the native layer."""
    return (*cls._buffers, "_structure") if cls._bound else cls._buffers


def _unchecked(cls: Any) -> Any:
    """The class of an array of `cls` while buffers that users assigned have not been looked at: reading one checks all.

    A class of its own, so that arrays in order pay nothing for it; what is made by its methods is of `cls`.
    """

    def buffer(name: str) -> property:
        def read(A: Any) -> Any:
            A._settle()
            return getattr(A, name)

        return property(read)

    def new(_: Any, *args: Any, **kwargs: Any) -> Any:
        made = cls.__new__(cls)
        if args or kwargs:
            made.__init__(*args, **kwargs)
        return made

    def reduce(A: Any, protocol: Any) -> Any:
        A._settle()
        return A.__reduce_ex__(protocol)

    if cls not in _UNCHECKED:
        members = {name: buffer(name) for name in _described(cls)}
        same = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
        members |= {**same, "__new__": new, "__reduce_ex__": reduce, "_checked": cls}  # type: ignore[dict-item]
        _UNCHECKED[cls] = type(cls.__name__, (cls,), members)
    return _UNCHECKED[cls]


def handed_out(name: str, take: Callable[[Any, Any], None], doc: str) -> Any:
    """The attribute for the buffer `name`, or a tuple of them, which `take` assigns; kept views are found at once."""

    def put(self: Any, values: Any) -> None:
        take(self, values)
        self._settle_what_fits()

    return property(_native.reader(name), put, doc=doc)


class _data_array(_spbase):
    """A format whose values stand in one `_data` buffer.

    Who sees a buffer: arrays share buffers freely, as long as nobody can write to them. In mlx mode nobody can, since
    attributes are handles of their own. In numpy mode `A.data` is a writable view, so

    - an array that hands out a view of a buffer takes a copy first if anything else sees that buffer
      (`_native.hand_out`);
    - an array that is made over a buffer of which someone holds a view takes a copy (`_from_parts`); only transposes
      and reshaped arrays share it (`_over` of coo), as in SciPy.

    An array keeps the views of its short buffers and hands them out again, without those questions, until anything
    else is to see the buffer: who asks whether a view is held, or takes over buffers, ends that (`_give_up_views`).

    Views of a buffer reach the array that handed them out until an in-place method gives that array another one.
    Reading `_data` and its like inside the package is no exposure. What users assign is taken where it fits the other
    buffers; else it stands in `_pending` until they have been assigned too, or something reads a buffer and finds it
    checked or raises: see `_unchecked`.
    """

    _buffers: tuple[str, ...]
    _known: tuple[str, ...] = ("_shape",)
    _rank = 1  # of `data`
    _bound = False  # keeps a description of its structure for the native layer
    _structure: Any
    _checked: Any
    _pending: dict[str, Any] | None = None
    _restructured: dict[str, mx.Dtype] = {}  # the index arrays among `_pending` that were assigned, and of which dtype
    __slots__ = ("_kept",)  # the views that are handed out again; not among what is copied
    _kin: dict[int, Any] = {}  # weak references to arrays that SciPy would let share `data` with this one, and to this

    def _begin(self, arg1: Any, dtype: Any, maxprint: int | None, validate: bool | str = True) -> mx.Dtype | None:
        """What every constructor begins with; the MLX dtype that is asked for."""
        if maxprint is not None:
            self.maxprint = maxprint
        check_input(arg1, validate)
        return None if dtype is None else _dtypes.mlx_dtype(dtype)

    def _index_dtype_of(self, arrays: Any, maxval: int | None) -> mx.Dtype:
        """That of the index buffers made of `arrays`. As in SciPy, matrices look at values, arrays never do."""
        return _dense.index_dtype_of(arrays, maxval, contents=self._kind == "matrix")

    @classmethod
    def _narrowed(cls, index: tuple[mx.array, ...], shape: tuple[int, ...]) -> tuple[mx.array, ...]:
        """Index arrays of what is made of others: matrices have int32 wherever that is enough, as SciPy's have."""
        if index[0].dtype != mx.int64 or cls._kind != "matrix":
            return index
        if max(*shape, *(x.size for x in index)) > _dtypes.INT32_MAX:
            return index
        return tuple(_dense.cast(x, mx.int32) for x in index)

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
        _native.refuse_traced_within(arg1)
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
        other._give_up_views()
        for name in (*self._buffers, *self._known):
            setattr(self, name, getattr(other, name))

    def _take_over(self, other: Any, copy: bool, dtype: mx.Dtype | None) -> None:
        """Construction from `other`, of this format: with `copy`, buffers of its own where they can be written to."""
        self._adopt(other if dtype is None else other.astype(dtype, copy=False))
        if not copy:
            other._share_with(self)
        if copy and _dense.numpy_mode() and self._data.size < _FEW and _dense.numpy_is_quicker(self._data):
            for name in self._buffers:  # whose views are often asked for next, which would copy them one by one
                setattr(self, name, _each(_own, getattr(self, name)))
        elif copy and _native.any_exposed():
            for name in self._buffers:
                x = getattr(self, name)
                setattr(self, name, _native.unexposed(*x) if isinstance(x, tuple) else _native.unexposed(x)[0])
        if copy:
            self._narrow()

    def _narrow(self) -> None:
        """See `_narrowed`."""

    # ---- buffers that users read and assign -------------------------------------------------------------------

    def _raw(self, name: str) -> Any:
        """A buffer as it is, assigned ones unchecked."""
        pending = self._pending
        return getattr(self, name) if pending is None else pending[name]

    def _attribute(self, name: str) -> Any:
        """What the user gets for a buffer (or a tuple of them): a handle of its own, which `v[0] = 1` changes alone.

        In numpy mode a writable view, and the same one while it is held: see `handed_out`.
        """
        if not _dense.numpy_mode() and not (name == "_data" and _dense.is_wide(self._raw(name))):
            return _each(_native.handle, self._raw(name))
        with _dense.exposing:  # whoever asks at the same time sees the same view
            structure: Any = self._structure if self._bound and self._pending is None else None
            if self._pending is not None:
                return _native.hand_out(self._pending, name, 0, structure)
            return _native.hand_out(self, name, self._sharing(name), structure)

    def _give_up_views(self) -> None:
        """Keep no views: something else is to see the buffers."""
        _native.give_up_views(self)

    def _take_buffer(self, name: str, new: Any) -> None:
        """Another buffer `name`, which the user assigns: looked at when something next reads this array."""
        if name == "_data":
            if new.ndim > self._rank:
                raise ValueError(f"data of {self._format} have {self._rank} dimensions; got shape {tuple(new.shape)}")
            if self._pending is None and new.shape == self._data.shape:
                self._data = new
                return
        with _dense.exposing:
            if self._pending is None:
                self._give_up_views()
                self._pending, self._restructured = {n: getattr(self, n) for n in self._buffers}, {}
                self.__class__ = _unchecked(type(self))  # from here on, who reads a buffer waits for the lock
                for n in _described(self):
                    del self.__dict__[n]
            self._pending[name] = new
            if name != "_data":
                self._restructured[name] = new[0].dtype if isinstance(new, tuple) else new.dtype

    def _settle(self) -> None:
        """Check the buffers that were assigned, as the constructor checks its own.

        Raises
        ------
        ValueError
            They do not fit together or the shape. They stay as they are.
        """
        with _dense.exposing:
            if self._pending is None:
                return
            try:
                new = self._of_assigned(self._pending)
            except (ValueError, OverflowError) as error:
                raise ValueError(f"the buffers assigned to this {self._format} array do not agree: {error}") from error
            if not self._restructured:
                new.__dict__.update({n: getattr(self, n) for n in self._known})
                new._bind()
            new._give_up_views()
            self.__dict__.update({n: getattr(new, n) for n in (*_described(self), *self._known)})
            self.__class__ = self._checked  # last: other threads read on
            del self._pending, self._restructured

    def _of_assigned(self, pending: dict[str, Any]) -> Any:
        """An array over assigned buffers, checked."""
        return ARRAYS[self._format](tuple(pending.values()), shape=self._shape)

    def _settle_what_fits(self) -> None:
        """Settle buffers that look as if no other was still to be assigned: clients compare `type(A)` with a class."""
        if self._pending is None:
            return
        with _dense.exposing:
            try:
                if self._pending is not None and self._fits(self._pending):
                    self._settle()
            except ValueError:  # which is for what reads them
                pass

    def _fits(self, pending: dict[str, Any]) -> bool:
        """Whether the lengths and dtypes of these buffers agree, all of their elements being used."""
        raise NotImplementedError

    def _is_wide_enough(self, index: mx.array) -> bool:
        """Whether this dtype of an assigned buffer is what checked ones have; until then it is read as it is."""
        return index.dtype == mx.int64 or max(self._shape) <= _dtypes.INT32_MAX

    def _sharing(self, name: str) -> int:
        """How many others that views of this buffer may reach have it still."""
        if name != "_data" or not self._kin:
            return 0
        others = [A for A in (ref() for ref in list(self._kin.values())) if A is not None and A is not self]
        return sum(vars(A).get(name) is self._data for A in others)

    def _share_with(self, other: Any) -> None:
        """Let views of `data` reach `other` as well, which has the same buffer."""
        if not _dense.numpy_mode():
            return
        kin = self._kin or {id(self): weakref.ref(self)}
        if len(kin) & (len(kin) - 1) == 0:  # now and then
            for key in [key for key, ref in list(kin.items()) if ref() is None]:
                kin.pop(key, None)
        kin[id(other)] = weakref.ref(other)
        self._kin = other._kin = kin

    def _entries(self) -> mx.array:
        """The values, zero where they stand for no element."""
        return self._data

    def _bind(self) -> None:
        """Describe the structure to the native layer."""

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k not in ("_structure", "_kin")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._bind()

    def copy(self) -> Any:
        """A copy whose buffers are its own."""
        if type(self) is not self._classes[self._format]:  # a subclass may have a constructor of its own
            return super().copy()
        return self._copied()

    def _copied(self) -> Any:
        new = object.__new__(type(self))
        new._take_over(self, True, None)
        new._bind()
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        self._settle()
        memo[id(self)] = new = self._copied()
        for name, x in self.__dict__.items():  # what users keep in it
            if name not in new.__dict__ and name != "_kin":
                setattr(new, name, deepcopy(x, memo))
        return new

    def _take_data(self, values: Any) -> None:
        self._take_buffer("_data", self._import(values, self._raw("_data")))

    data = handed_out("_data", _take_data, "Stored values, an `mx.array`, or in numpy mode a writable view.")

    def _seen_dtype(self) -> Any:
        return _dense.out_dtype(self._raw("_data").dtype)

    def _take_dtype(self, dtype: Any) -> None:
        target = _dtypes.numpy_dtype(_dtypes.mlx_dtype(dtype))
        self._data = _dense.to_mlx(_dense.view(self._data).view(target))

    dtype = property(
        _native.dtype_reader(),
        _take_dtype,
        doc="Value dtype, an MLX dtype, or NumPy's in numpy mode. Setting it reinterprets the bytes, as of an ndarray.",
    )

    @staticmethod
    def _import(values: Any, current: mx.array | None, dtype: Any = None) -> mx.array:
        """`values` as a buffer; a view of the buffer that it would replace stands for that buffer itself."""
        if isinstance(values, np.ndarray) and current is not None and values.dtype != np.float16:
            if _native.is_view_of(values, current):
                return current
        made = _dense.to_mlx(values, dtype)
        _native.settle([], made)
        return made

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
        """This array with values cast to `dtype`."""
        target = _dtypes.mlx_dtype(dtype)
        if target == self._data.dtype:
            return self.copy() if copy else self
        source, host = _dtypes.numpy_dtype(self._data.dtype), _dtypes.numpy_dtype(target)
        if not np.can_cast(source, host, casting):  # type: ignore[arg-type]
            raise TypeError(f"Cannot cast array data from {source!r} to {host!r} according to the rule {casting!r}")
        if copy and _dense.numpy_mode():  # SciPy sums duplicates then
            return self._unique_as(target, stream)
        return self._with_data(_dense.cast(self._data, target, stream))

    def _unique_as(self, dtype: mx.Dtype, stream: Any) -> Any:
        """A copy of another dtype, in which duplicates are summed."""
        return self.astype(dtype, copy=False, stream=stream)._unique()

    def conjugate(self, copy: bool = True, *, stream: Any = None) -> Any:
        """Complex conjugate; a real array itself (copied if `copy`)."""
        if self._is_complex:
            return self._with_data(_values.conj(self._data, stream=stream))
        return self.copy() if copy else self

    def conj(self, copy: bool = True, *, stream: Any = None) -> Any:
        """Complex conjugate; as `conjugate`."""
        return self.conjugate(copy=copy, stream=stream)

    @property
    def real(self) -> Any:
        """Real part."""
        return self._with_data(_values.real(self._data) if self._is_complex else self._data)

    @property
    def imag(self) -> Any:
        """Imaginary part."""
        return self._with_data(_values.imag(self._data) if self._is_complex else _values.zeros_like(self._data))

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
        return A._with_data(_values.round(A._data, ndigits))

    def __imul__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return NotImplemented
        return self._scale(other)

    def __itruediv__(self, other: Any) -> Any:
        if not _dense.is_scalar(other):
            return NotImplemented
        return self._scale(1.0 / other)

    def _scale(self, factor: Any) -> Any:
        nothing: Any = None
        self._give_up_views()
        in_place = _dense.numpy_mode() and not _dense.is_mlx(factor) and _dense.ready(self._data)
        if in_place and _native.sole(self, "_data", 0, nothing):
            v = _dense.view(self._data)
            with np.errstate(all="ignore"):
                np.multiply(v, factor, out=v, casting="same_kind")
            return self
        scaled = self._mul_scalar(factor)
        ours, theirs = (_dtypes.numpy_dtype(a._data.dtype) for a in (self, scaled))
        if not np.can_cast(theirs, ours, "same_kind"):
            raise TypeError(f"Cannot cast the scaled values from {theirs!r} to {ours!r} in place")
        self._data = _dense.cast(scaled._data, self._data.dtype)
        _native.settle([], self._data)
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
        return self._with_data(_dense.cast(self._data, dtype) * _dense.to_mlx(other, dtype))

    def power(self, n: Any, dtype: Any = None) -> Any:
        """Element-wise power by a scalar `n` > 0; the matrix power is `linalg.matrix_power`.

        Raises
        ------
        NotImplementedError
            `n` is not a scalar, or is zero (the result would be dense).
        """
        if not _dense.is_scalar(n):
            raise NotImplementedError(f"input is not scalar: the exponent must be a number; got {type(n).__name__}")
        if not n:
            raise NotImplementedError(
                "zero power is not supported as it would densify the matrix.\n"
                "Use `np.ones(A.shape, dtype=A.dtype)` for this case."
            )
        base = self._unique()
        base = base if dtype is None else base.astype(dtype)
        host = _dtypes.numpy_dtype(base._data.dtype)
        target, exponent = base._data.dtype, _dense.python_scalar(n)
        short = target == mx.bfloat16
        if _dense.numpy_mode() or _dense.numpy_is_quicker(base._data):  # to the last bit what SciPy gives
            as_found = target if short else None
            return base._with_data(_dense.mapped(lambda v: v**exponent, base._data, as_found, base is not self))
        if not short:
            target = _dtypes.mlx_dtype((np.ones(min(1, base._data.size), host) ** exponent).dtype)
        if exponent == 2:  # several times quicker than a power of any kind
            return base._with_data(_values.square(_dense.cast(base._data, target)))
        return base._with_data(_values.power(_dense.cast(base._data, target), _dense.to_mlx(n, target)))

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
            or _dtypes.is_complex(target)
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
        return self._with_data(_UNARY[name](_dense.cast(self._data, target)))


# MLX has no complex kernel for the others: NumPy computes them on the host.
_COMPLEX_IN_MLX = {"sin", "tan", "sinh", "tanh", "sqrt"}


def _own(x: mx.array) -> mx.array:
    v = _native.view(x)
    made = _native.from_numpy(v)
    return _dense.to_mlx(v) if made is None else made


def _each(f: Any, held: Any) -> Any:
    """`f` of a buffer, or of each in a tuple of them."""
    return tuple(map(f, held)) if type(held) is tuple else f(held)


_native.keep_views_in(vars(_data_array)["_kept"])


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

"""Operators and operand classification for every format; knows no format and no device."""

from __future__ import annotations

import operator
from typing import Any
from warnings import warn

import mlx.core as mx
import numpy as np
import scipy.sparse as _scipy_sparse

from . import _dense, _display, _dtypes, _native, _values
from ._classes import ARRAYS, from_scipy
from ._interop import _interoperable
from ._reduce import _reduced
from ._shape import resolve_shape

SparseWarning = _scipy_sparse.SparseWarning
SparseEfficiencyWarning = _scipy_sparse.SparseEfficiencyWarning

MAXPRINT = 50
_FORMAT_NAMES = {
    "bsr": "Block Sparse Row",
    "coo": "COOrdinate",
    "csc": "Compressed Sparse Column",
    "csr": "Compressed Sparse Row",
    "dia": "DIAgonal",
    "dok": "Dictionary Of Keys",
    "lil": "List of Lists",
}
_NEGATED = {
    operator.eq: operator.ne,
    operator.le: operator.gt,
    operator.ge: operator.lt,
    operator.ne: operator.eq,
    operator.gt: operator.le,
    operator.lt: operator.ge,
}
_SYMBOLS = {
    operator.eq: "==",
    operator.ne: "!=",
    operator.lt: "<",
    operator.gt: ">",
    operator.le: "<=",
    operator.ge: ">=",
}


class sparray:
    """Base class of all sparse arrays, for ``isinstance`` checks: it sets them apart from the matrices (`spmatrix`).

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> isinstance(sp.csr_array((2, 2)), sp.sparray), isinstance(sp.csr_matrix((2, 2)), sp.sparray)
    (True, False)
    """

    _classes = ARRAYS

    @classmethod
    def __class_getitem__(cls, arg: Any, /) -> Any:
        from types import GenericAlias

        return GenericAlias(cls, arg)


class _spbase(_interoperable, _reduced):
    """What sparse arrays and sparse matrices have in common."""

    __array_priority__ = 10.1
    _format = "und"
    _allow_nd: tuple[int, ...] = (2,)
    _details: Any = ""  # what repr says of a format's own sizes
    _shape: tuple[int, ...]
    _data: mx.array
    maxprint: int = MAXPRINT
    _kind = "array"
    # What every format provides, or takes from another.
    tocoo: Any
    tocsr: Any
    transpose: Any
    multiply: Any
    power: Any
    _getnnz: Any
    _canonical: Any
    _todense: Any
    _product: Any
    _matmul_sparse: Any
    _merge_sparse: Any
    _mul_scalar: Any
    __neg__: Any
    # format -> class of this one's kind: what conversions and operators make out of arrays are arrays, out of matrices
    # matrices.
    _classes: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError("this class is not to be instantiated; use coo_array, csr_array or another format's class")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "_classes"):  # an array or a matrix, not the code that both share
            cls._classes.setdefault(cls._format, cls)

    def _container(self, x: Any) -> Any:
        """A dense result of an operator: an ndarray becomes an `np.matrix` when this is a matrix."""
        return x

    # ---- what it is -------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._shape)

    @property
    def format(self) -> str:
        """Storage format, "coo", "csr", "csc", "dia" or "bsr"."""
        return self._format

    @property
    def dtype(self) -> Any:
        """Value dtype, an MLX dtype, or NumPy's in numpy mode."""
        return _dense.out_dtype(self._data.dtype)

    @property
    def nnz(self) -> int:
        """Number of stored entries, explicit zeros included."""
        return self._getnnz()

    @property
    def size(self) -> int:
        """Number of stored entries; as `nnz`."""
        return self._getnnz()

    @property
    def T(self) -> Any:
        """Transpose."""
        return self.transpose()

    @property
    def mT(self) -> Any:
        """Matrix transpose (the last two axes)."""
        if self.ndim < 2:
            raise ValueError(f"Array must be at least 2-dimensional, but it is {self.ndim}-D")
        return self.transpose()

    @property
    def H(self) -> Any:
        """Conjugate transpose. In numpy mode only matrices have it, as in SciPy."""
        if _dense.numpy_mode() and isinstance(self, sparray):
            raise AttributeError(f"{type(self).__name__} has no attribute H; use A.conj().T")
        return self.transpose().conj(copy=_dense.numpy_mode() or _native.any_exposed())

    @property
    def _shape_as_2d(self) -> tuple[int, int]:
        s = self._shape
        return (1, s[-1]) if len(s) == 1 else (s[0], s[1])

    @property
    def _is_complex(self) -> bool:
        return _dtypes.is_complex(self._data.dtype)

    def __repr__(self) -> str:
        dtype = str(self.dtype).replace("mlx.core.", "")
        return (
            f"<{_FORMAT_NAMES[self.format]} sparse {self._kind} of dtype '{dtype}'\n"
            f"\twith {self.nnz} stored elements{self._details} and shape {self.shape}>"
        )

    def _repr_html_(self) -> str:
        return _display.html_of(self)

    def spy(self, ax: Any = None, bins: int = 512, **options: Any) -> Any:
        """Draw where entries are, with matplotlib: darker where more of the places are stored.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: the current axes.
        bins : int
            Tiles along an axis at most; a shorter axis has one for each row or column. Shades are square roots of the
            share of a tile's places that is stored, so that single entries of large arrays are seen.
        **options
            Passed on to ``Axes.imshow``.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            The array is not of two dimensions.

        Examples
        --------
        >>> import mlx_sparse as sp
        >>> from matplotlib.figure import Figure
        >>> ax = sp.eye_array(100, k=3).spy(Figure().subplots())
        >>> ax.images[0].get_array().shape
        (100, 100)
        """
        return _display.spy(self, ax, bins, **options)

    def __str__(self) -> str:
        out = repr(self)
        n, most = self.nnz, self.maxprint
        if n == 0:
            return out
        A = self.tocoo()
        coords, data = [_dense.view(c) for c in A._coords], _dense.view(A._data)

        def lines(part: slice) -> str:
            keys = zip(*(c[part].tolist() for c in coords), strict=True)
            return "\n".join(f"  {key}\t{value}" for key, value in zip(keys, data[part], strict=True))

        out += "\n  Coords\tValues\n"
        if n <= most:
            return out + lines(slice(None))
        head = most // 2
        return out + lines(slice(head)) + "\n  :\t:\n" + lines(slice(-(most - head), None))

    def __bool__(self) -> bool:
        if self.shape == (1, 1):
            return self.nnz != 0
        raise ValueError("The truth value of an array with more than one element is ambiguous. Use a.any() or a.all().")

    def __len__(self) -> int:
        raise TypeError("sparse array length is ambiguous; use nnz or shape[0]")

    def __iter__(self) -> Any:
        """Rows, or elements of a 1-D array; the first one is a `TypeError` where the format cannot be indexed."""
        A: Any = self
        for i in range(self._shape[0]):
            yield A[i]

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        """Buffers travel as NumPy arrays: `mx.array` cannot be pickled."""
        return {k: _dense.freeze(v) for k, v in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({k: _dense.thaw(v) for k, v in state.items()})

    # ---- conversions that every format can do through another --------------------------------------------------

    def asformat(self, format: str | None, copy: bool = False) -> Any:
        """This array in storage format `format` ("coo", "csr", "csc", "dia", "bsr"; None keeps it)."""
        if format is not None and not isinstance(format, str):
            raise TypeError(f"format must be a string; got {type(format).__name__}")
        if format is None or format == self.format:
            return self.copy() if copy else self
        convert = getattr(self, "to" + format, None)
        if convert is None:
            raise ValueError(f"Format {format} is unknown.")
        return convert() if format in ("array", "dense") else convert(copy=copy)

    def tolil(self, copy: bool = False) -> Any:
        """List-of-lists form, for building entry by entry. Synchronises, unless values are traced."""
        return self._classes["lil"]._from_csr(self.tocsr())

    def todok(self, copy: bool = False) -> Any:
        """Dictionary-of-keys form, for building entry by entry. Synchronises, unless values are traced."""
        return self._classes["dok"]._from_coo(self.tocoo(copy=False))

    def todia(self, copy: bool = False) -> Any:
        """Storage by diagonals, duplicates summed. Reads the structure (synchronises)."""
        return self._classes["dia"]._from_coo(self.tocoo(copy=False))

    def tobsr(self, blocksize: Any = None, copy: bool = False) -> Any:
        """Rows of dense blocks of `blocksize`; None: a size that fits the entries. Reads the structure."""
        return self._classes["bsr"]._from_csr(self.tocsr(), blocksize)

    def reshape(self, *shape: Any, order: str = "C", copy: bool = False) -> Any:
        """A coo array with another shape of as many elements; this array itself for its own shape unless `copy`."""
        target = resolve_shape(shape, self._shape, self._classes["coo"]._allow_nd)
        if order not in ("C", "F"):
            raise ValueError(f"'order' must be 'C' or 'F'; got {order!r}")
        if target == self._shape:
            return self.copy() if copy else self
        return self.tocoo(copy=copy).reshape(target, order=order)

    def copy(self) -> Any:
        """A copy whose buffers are its own."""
        return self.__class__(self, copy=True)

    def todense(self, order: str | None = None, out: Any = None, *, stream: Any = None) -> Any:
        """Dense form: a lazy `mx.array` (an `ndarray` in numpy mode). Duplicates are summed.

        `order` and `out` are NumPy matters and imply an `ndarray`.
        """
        if order is not None or out is not None or _dense.numpy_mode():
            return self.toarray(order=order, out=out)
        return _dense.settled(self._todense(stream))

    def toarray(self, order: str | None = None, out: np.ndarray | None = None) -> np.ndarray:
        """Dense form as an `ndarray`, C-contiguous unless `order` is "F". Duplicates are summed.

        Raises
        ------
        ValueError
            `out` has another shape or dtype, or is given together with `order`.
        """
        if order not in (None, "C", "F"):
            raise ValueError(f"order must be 'C' or 'F'; got {order!r}")
        if out is not None:
            if order is not None:
                raise ValueError("order cannot be specified if out is not None")
            if out.shape != self.shape or out.dtype != _dtypes.numpy_dtype(self._data.dtype):
                raise ValueError(
                    f"out array must be same dtype and shape as sparse array, {_dtypes.numpy_dtype(self._data.dtype)} "
                    f"and {self.shape}; got {out.dtype} and {out.shape}"
                )
            out[...] = _dense.view_of_new(self._todense(None))
            return out
        v = _dense.view_of_new(self._todense(None))
        if order != "F" and v.flags.c_contiguous:
            return v
        return np.array(v, order=order or "C")  # type: ignore[call-overload]

    def _getrow(self, i: int) -> Any:
        """Row `i` with shape (1, n): csr."""
        return self._line(i, 0)

    def _getcol(self, j: int) -> Any:
        """Column `j` with shape (m, 1): csc or bsr from these, csr from other formats."""
        return self._line(j, 1)

    def _line(self, i: int, axis: int) -> Any:
        if self.ndim != 2:
            raise ValueError(f"rows and columns are those of a 2-D array; got {self.ndim}-D. Use A[i]")
        i, n = int(i), self._shape[axis]
        if not -n <= i < n:
            raise IndexError(f"index ({i}) out of range for an axis of length {n}")
        line, every = slice(i % n, i % n + 1), slice(None)
        A: Any = self if self._format in ("csr", "csc", "lil", "dok") else self.tocsr()
        format = self._format if axis == 1 and self._format in ("csc", "bsr") else "csr"
        return A[(line, every) if axis == 0 else (every, line)].asformat(format)

    # ---- products ---------------------------------------------------------------------------------------------

    def __matmul__(self, other: Any) -> Any:
        y = self._matmul_direct(other)  # the common cases in one native call
        if y is not None:
            return y
        if not isinstance(other, _spbase) and _dense.is_scalar(other):
            raise ValueError("Scalar operands are not allowed, use '*' instead")
        return self._matmul_dispatch(other)

    def __rmatmul__(self, other: Any) -> Any:
        if _dense.is_scalar(other):
            raise ValueError("Scalar operands are not allowed, use '*' instead")
        return self._rmatmul_dispatch(other)

    def _matmul_direct(self, x: Any) -> Any:
        """A @ x for a vector or matrix in no need of casts or reshapes; None where the general path must look."""
        raise NotImplementedError

    def _matmul_dispatch(self, other: Any) -> Any:
        n = self._shape_as_2d[1]
        if issparse(other):
            if other.shape[0] != n:
                raise ValueError(f"matmul: dimension mismatch with signature (n,k={n}),(k={other.shape[0]},m)->(n,m)")
            return self._matmul_sparse(as_sparse(other))
        x = _as_operand(other)
        if x is NotImplemented:
            return NotImplemented
        if x.ndim == 0:
            raise ValueError("could not interpret dimensions: @ takes no operand of 0 dimensions; use * for scalars")
        contracted = x.shape[-2] if x.ndim > 1 else x.shape[0]
        if contracted != n:
            raise ValueError(f"matmul: dimension mismatch with signature (n,k={n}),(k={contracted},m)->(n,m)")
        y = self._dense_product(x, transposed=False)
        if self.ndim == 1:  # contract the only axis: the row axis of the 1 x n product goes
            y = _values.squeeze(y, -1 if x.ndim == 1 else -2)
        return self._finish(y, x)

    def _rmatmul_dispatch(self, other: Any) -> Any:
        if issparse(other):
            return as_sparse(other)._matmul_dispatch(self)
        x = _as_operand(other)
        if x is NotImplemented:
            return NotImplemented
        if x.ndim == 0:
            raise ValueError("could not interpret dimensions: @ takes no operand of 0 dimensions; use * for scalars")
        if self.ndim == 1:  # x (..., n) @ a (n,)
            if x.shape[-1] != self.shape[0]:
                raise ValueError(
                    f"matmul: dimension mismatch with signature (n,k={x.shape[-1]}),(k={self.shape[0]},m)->(n,m)"
                )
            y = self._dense_product(x if x.ndim == 1 else _swap_last(x), transposed=False)
            return self._finish(_values.squeeze(y, -1 if x.ndim == 1 else -2), x)
        m = self._shape_as_2d[0]
        if x.shape[-1] != m:
            raise ValueError(f"matmul: dimension mismatch with signature (n,k={x.shape[-1]}),(k={m},m)->(n,m)")
        if x.ndim == 1:
            return self._finish(self._dense_product(x, transposed=True), x)
        return self._finish(_values.swapaxes(self._dense_product(_swap_last(x), transposed=True), -1, -2), x)

    def _finish(self, y: mx.array, x: Any) -> Any:
        out = _dense.like(y, x)
        if isinstance(x, np.matrix):
            return self._container(out)
        return out[()] if isinstance(out, np.ndarray) and out.ndim == 0 else out

    def _dense_product(self, x: Any, transposed: bool) -> mx.array:
        """A @ x or A.T @ x as a lazy array, after promotion."""
        if _dense.is_mlx(x):
            if x.dtype != self._data.dtype:
                raise TypeError(
                    f"the dense operand's dtype {x.dtype} differs from the sparse array's dtype {self._data.dtype}; "
                    "cast one of them with astype"
                )
            if x.size == 0:
                return self._empty_product(x, transposed, x.dtype)
            return self._product(self._data, x, transposed)
        dtype = _dtypes.result_type(self._data.dtype, x.dtype)
        if x.size == 0:
            return self._empty_product(x, transposed, dtype)
        y = self._product(_dense.cast(self._data, dtype), _dense.to_mlx(x, dtype), transposed)
        _native.settle([y])  # it is to be read
        return y

    def _empty_product(self, x: Any, transposed: bool, dtype: mx.Dtype) -> mx.array:
        """Of an operand without elements: zeros, if there is anything."""
        n = self._shape_as_2d[int(transposed)]
        shape = (n,) if x.ndim == 1 else (*x.shape[:-2], n, x.shape[-1])
        _dense.expect(shape, dtype)
        return _values.zeros(shape, dtype)

    def dot(self, other: Any) -> Any:
        """``A * other`` for a scalar, ``A @ other`` otherwise."""
        if _dense.is_scalar(other):
            return self * other
        try:
            return self @ other
        except TypeError as error:
            if issparse(other) or _dense.is_dense(other):
                raise
            raise TypeError(
                f"argument not supported type: {type(other).__name__}; give an array or a number"
            ) from error

    # ---- element-wise arithmetic ------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if _dense.is_scalar(other):
            if _dense.python_scalar(other) == 0:
                return self.copy()
            raise NotImplementedError("adding a nonzero scalar to a sparse array is not supported")
        if issparse(other):
            return self._merge(other, "plus")
        if _answers(other, "__radd__"):
            return NotImplemented
        return self._with_dense(other, operator.add)

    def __sub__(self, other: Any) -> Any:
        if _dense.is_scalar(other):
            if _dense.python_scalar(other) == 0:
                return self.copy()
            raise NotImplementedError("subtracting a nonzero scalar from a sparse array is not supported")
        if issparse(other):
            return self._merge(other, "minus")
        if _answers(other, "__rsub__"):
            return NotImplemented
        return self._with_dense(other, operator.sub)

    def __radd__(self, other: Any) -> Any:
        return self.__add__(other)

    def __rsub__(self, other: Any) -> Any:
        if _dense.is_scalar(other):
            if _dense.python_scalar(other) == 0:
                return -self
            raise NotImplementedError("subtracting a sparse array from a nonzero scalar is not supported")
        if issparse(other):
            return as_sparse(other) - self
        return self._with_dense(other, lambda a, b: b - a)

    def _with_dense(self, other: Any, op: Any) -> Any:
        """op(dense form, other) in other's namespace, other broadcast to this shape."""
        x = NotImplemented if isinstance(other, (list, tuple)) else _as_operand(other)  # as in SciPy
        if x is NotImplemented:
            return NotImplemented
        if _dense.is_mlx(x):
            if x.dtype != self._data.dtype:
                raise TypeError(
                    f"the dense operand's dtype {x.dtype} differs from the sparse array's dtype {self._data.dtype}; "
                    "cast one of them with astype"
                )
            _dense.expect(self.shape, x.dtype)
            return _dense.settled(op(self._todense(None), mx.broadcast_to(x, self.shape)))
        return self._container(_dense.narrow(op(self.toarray(), np.broadcast_to(x, self.shape))))

    def __mul__(self, other: Any) -> Any:
        return self.multiply(other)

    def __rmul__(self, other: Any) -> Any:
        return self.multiply(other)

    def __truediv__(self, other: Any) -> Any:
        return self._divide(other)

    def __rtruediv__(self, other: Any) -> Any:
        return NotImplemented

    def __pow__(self, n: Any, mod: Any = None) -> Any:
        return self.power(n) if mod is None else NotImplemented

    def __iadd__(self, other: Any) -> Any:
        return NotImplemented

    def __isub__(self, other: Any) -> Any:
        return NotImplemented

    def _merge(self, other: Any, op: str) -> Any:
        other = as_sparse(other)
        if other.shape != self.shape:
            raise ValueError(f"inconsistent shapes {self.shape} and {other.shape}")
        cs = self if self.format in ("csr", "csc") else self.tocsr()
        return cs._merge_sparse(other, op)

    def _divide(self, other: Any) -> Any:
        if _dense.is_scalar(other):
            if _dense.is_mlx(other):
                return self._mul_scalar(1 / other)
            return _dividend(self)._mul_scalar(1 / other)
        if issparse(other):
            return self._container(_divide_sparse(self, as_sparse(other)))
        x = _as_operand(other)
        if x is NotImplemented:
            return NotImplemented
        return self.multiply(1 / x if _dense.is_mlx(x) else np.divide(1, x))

    def maximum(self, other: Any) -> Any:
        """Element-wise maximum with a scalar, a dense or a sparse array. Zeros are dropped unless values are traced."""
        return self._maximum_minimum(other, "maximum")

    def minimum(self, other: Any) -> Any:
        """Element-wise minimum with a scalar, a dense or a sparse array. Zeros are dropped unless values are traced."""
        return self._maximum_minimum(other, "minimum")

    def _maximum_minimum(self, other: Any, op: str) -> Any:
        np_op = getattr(np, op)
        if _dense.is_scalar(other):
            other = _dense.python_scalar(other)
            if np_op(0, other):
                sign = "positive" if op == "maximum" else "negative"
                warn(
                    f"Taking {op} with a {sign} number results in a dense matrix.",
                    SparseEfficiencyWarning,
                    stacklevel=3,
                )
                if _native.is_tracer(self._data):
                    return self.__class__(getattr(mx, op)(self._todense(None), other))
                return self.__class__(np_op(self.toarray(), other))
            return self._map_scalar(lambda data: np_op(data, other), lambda data: getattr(mx, op)(data, other))
        if issparse(other):
            return self._merge(other, op)
        x = _as_operand(other)
        if x is NotImplemented:
            raise NotImplementedError(f"{op} with {type(other).__name__} is not supported")
        if _dense.is_mlx(x):
            return _dense.settled(getattr(mx, op)(self._todense(None), x))
        return self._container(_dense.narrow(np_op(self.toarray(), x)))

    def _map_scalar(self, f: Any, traced: Any = None) -> Any:
        """f (with f(0) = 0, on NumPy values) over the stored values of the canonical form; zeros dropped.

        `traced`, where f has a derivative, is its form in MLX, which keeps the zeros of traced values.
        """
        given: Any = self if self.format in ("csr", "csc") else self.tocsr()
        if traced and _native.is_tracer(given._data):
            cs = given._canonical()
            return cs._with_data(traced(cs._data))
        found = []
        for cs in given._pieces():
            res = cs._with_data(_dense.mapped(f, cs._data, reuse=cs is not given))
            res.eliminate_zeros()
            res.sum_duplicates()  # which sorts what is left
            found.append(res)
        return found[0] if len(found) == 1 else given._stacked(found)

    # ---- comparisons ------------------------------------------------------------------------------------------

    def _comparison(self, other: Any, op: Any) -> Any:
        if _dense.is_scalar(other):
            return self._compare_scalar(_dense.python_scalar(other), op)
        if issparse(other):
            return self._compare_sparse(as_sparse(other), op)
        x = _as_operand(other)
        if x is NotImplemented:
            return NotImplemented
        if _dense.is_mlx(x):
            return _dense.settled(op(self._todense(None), x))
        return self._container(op(self.toarray(), x))

    def _compare_scalar(self, other: Any, op: Any) -> Any:
        if not op(0, other):
            if np.isnan(other):
                return self.__class__(self.shape, dtype=np.bool_)
            return self._map_scalar(lambda data: op(data, other))
        _warn_dense_comparison(other, op, "sparse matrix")
        if np.isnan(other):
            return self.__class__(np.ones(self.shape, dtype=np.bool_))
        inverse = self._map_scalar(lambda data: _NEGATED[op](data, other))
        return inverse.__class__(np.ones(self.shape, dtype=np.bool_)) - inverse

    def _compare_sparse(self, other: Any, op: Any) -> Any:
        if self.shape != other.shape:
            if op in (operator.eq, operator.ne):
                return op is operator.ne
            raise ValueError(f"inconsistent shapes {self.shape} and {other.shape}")
        if not op(0, 0):
            return self._merge(other, op.__name__)
        _warn_dense_comparison(None, op, "two sparse matrices")
        inverse = self._merge(other, _NEGATED[op].__name__)
        return inverse.__class__(np.ones(self.shape, dtype=np.bool_)) - inverse

    def __eq__(self, other: Any) -> Any:
        return self._comparison(other, operator.eq)

    def __ne__(self, other: Any) -> Any:
        return self._comparison(other, operator.ne)

    def __lt__(self, other: Any) -> Any:
        return self._comparison(other, operator.lt)

    def __gt__(self, other: Any) -> Any:
        return self._comparison(other, operator.gt)

    def __le__(self, other: Any) -> Any:
        return self._comparison(other, operator.le)

    def __ge__(self, other: Any) -> Any:
        return self._comparison(other, operator.ge)


def issparse(x: Any) -> bool:
    """True when `x` is a sparse array or matrix of this package (or of SciPy).

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> sp.issparse(sp.csr_array((2, 2))), sp.issparse([[0, 0], [0, 0]])
    (True, False)
    """
    return isinstance(x, _spbase) or _scipy_sparse.issparse(x)


def as_sparse(x: Any) -> Any:
    """`x` itself, or this package's form of a SciPy sparse array."""
    return x if isinstance(x, _spbase) else from_scipy(x)


def check_structure(x: Any) -> None:
    """Refuse an array of SciPy's with lengths or indices that its own routines would follow out of its memory."""
    from_scipy(x)


def _answers(other: Any, reflected: str) -> bool:
    """Whether `other`, no array of any library, has the operator itself; then it decides, as with SciPy."""
    return not (_dense.is_dense(other) or hasattr(other, "__dlpack__")) and hasattr(other, reflected)


def _as_operand(other: Any) -> Any:
    """A dense array for an array-like operand; NotImplemented for anything that is none."""
    if _dense.is_dense(other):
        return other
    _native.refuse_traced_within(other)
    try:
        x = _dense.as_dense(other)
    except (TypeError, ValueError):
        return NotImplemented
    return NotImplemented if x.dtype == np.object_ else x


def _swap_last(x: Any) -> Any:
    return mx.swapaxes(x, -1, -2) if _dense.is_mlx(x) else np.swapaxes(x, -1, -2)


def _warn_dense_comparison(other: Any, op: Any, what: str) -> None:
    better = _SYMBOLS[_NEGATED[op]]
    detail = f"a {what} with {other}" if other is not None else what
    warn(
        f"Comparing {detail} using {_SYMBOLS[op]} is inefficient. Try using {better} instead.",
        SparseEfficiencyWarning,
        stacklevel=5,
    )


def _divide_sparse(a: Any, b: Any) -> Any:
    """a / b, dense as in SciPy: undefined (nan) wherever neither stores an entry."""
    if a.shape != b.shape:
        raise ValueError(f"inconsistent shapes {a.shape} and {b.shape}")
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.divide(_dividend(a._unique()).toarray(), b.toarray())
    if a._is_complex:  # then the dividend's dtype is the result's, as in SciPy
        quotient = quotient.astype(_dtypes.numpy_dtype(a._data.dtype), copy=False)
    return _dense.in_namespace(_dense.to_mlx(quotient))


def _dividend(a: Any) -> Any:
    """`a` in the dtype that a quotient has: integers become float; in numpy mode SciPy's rule makes float32 float64."""
    dtype = a._data.dtype
    wide = _dense.numpy_mode() and np.can_cast(_dtypes.numpy_dtype(dtype), np.float64)
    target = _dtypes.default_float() if wide or _dtypes.is_integral(dtype) else dtype
    return a if target == dtype else a.astype(target)

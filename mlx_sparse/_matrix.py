"""The `*_matrix` classes: every format with the semantics of `numpy.matrix`. One shim over the arrays' code."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from . import _dense, _dtypes
from ._base import issparse
from ._bsr import _bsr_base
from ._classes import MATRICES
from ._coo import _coo_base
from ._csc import _csc_base
from ._csr import _csr_base
from ._dia import _dia_base, dia_array
from ._dok import _dok_base
from ._entrywise import is_integer_like
from ._index import ARRAYS, Index
from ._lil import _lil_base
from ._reduce import check_axis


class spmatrix:
    """Base class of all sparse matrices, for ``isinstance`` checks.

    Unlike arrays they are always 2-D, ``*`` is the matrix product and ``**`` the matrix power. Sums, means and extrema
    along an axis are 2-D, and where an array gives an `ndarray`, in numpy mode a matrix gives an `np.matrix`. What is
    computed from a matrix is a matrix.

    Examples
    --------
    >>> import mlx_sparse as sp
    >>> A = sp.csr_matrix([[1, 2], [0, 3]])
    >>> (A * A).toarray()
    array([[1, 8],
           [0, 9]])
    >>> isinstance(A, sp.spmatrix)
    True
    """

    _allow_nd: tuple[int, ...] = (2,)
    _kind = "matrix"
    _classes = MATRICES
    _shape: tuple[int, ...]
    _format: str

    def __init__(self, arg1: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_as_2d(arg1, self._format), *args, **kwargs)  # type: ignore[call-arg]

    @classmethod
    def __class_getitem__(cls, arg: Any, /) -> Any:
        from types import GenericAlias

        return GenericAlias(cls, arg)

    def _container(self, x: Any) -> Any:
        return x.view(np.matrix) if isinstance(x, np.ndarray) and x.ndim else x  # np.asmatrix would warn

    # ---- products ---------------------------------------------------------------------------------------------

    def __mul__(self: Any, other: Any) -> Any:
        return self._mul_scalar(other) if _dense.is_scalar(other) else self.__matmul__(other)

    def __rmul__(self: Any, other: Any) -> Any:
        return self._mul_scalar(other) if _dense.is_scalar(other) else self._rmatmul_dispatch(other)

    def __pow__(self: Any, n: Any, mod: Any = None) -> Any:
        """Matrix power; see `power` for the element-wise one."""
        return NotImplemented if mod is not None else matrix_power(self, n)

    # ---- dense results ----------------------------------------------------------------------------------------

    def todense(self: Any, order: str | None = None, out: Any = None, *, stream: Any = None) -> Any:
        """Dense form: a lazy 2-D `mx.array`; in numpy mode, or with `order` or `out`, an `np.matrix`."""
        return self._container(super().todense(order=order, out=out, stream=stream))  # type: ignore[misc]

    def sum(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, *, stream: Any = None) -> Any:
        """Sum over `axis` (None: all), of shape (1, n) or (m, 1). Lazy; integers widen to 64 bits."""
        total = super().sum(axis=axis, dtype=dtype, **_stream(stream))  # type: ignore[misc]
        return self._reduced_into(total, axis, out)

    def mean(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, *, stream: Any = None) -> Any:
        """Mean over `axis` (None: all), of shape (1, n) or (m, 1). Lazy."""
        total = super().mean(axis=axis, dtype=dtype, **_stream(stream))  # type: ignore[misc]
        return self._reduced_into(total, axis, out)

    def _reduced_into(self: Any, total: Any, axis: Any, out: Any) -> Any:
        total = self._reduced_to_2d(total, axis)
        if out is None:
            return total
        shape = np.shape(total) or (1, 1)
        if out.shape != shape:
            raise ValueError(f"output parameter has wrong dimensions: {out.shape} where the result has {shape}")
        out[...] = _dense.view(total) if _dense.is_mlx(total) else total
        return out if np.ndim(total) else total

    def _reduced_to_2d(self: Any, x: Any, axis: Any) -> Any:
        """A result of a reduction over `axis` as two-dimensional as this matrix is."""
        axes = check_axis(axis, 2)
        if len(axes) == 2:
            return x
        shape = (1, self._shape[1]) if axes == (0,) else (self._shape[0], 1)
        return as_matrix(x.reshape(shape)) if issparse(x) else self._container(x.reshape(shape))

    # ---- indexing ---------------------------------------------------------------------------------------------

    def _select(self: Any, index: Index) -> Any:
        if all(isinstance(a, int) for a in index.axes):
            x = super()._select(Index(index.axes, []))  # type: ignore[misc]
            return x.reshape((1,) * (2 - len(index.shape)) + index.shape) if index.shape else x
        found = super()._select(_spread(index))  # type: ignore[misc]
        if self._format in ("csr", "csc") and all(isinstance(a, np.ndarray) and a.ndim == 1 for a in index.axes):
            found = self._container(found.toarray()) if _dense.numpy_mode() else found.todense()
        if len(index.shape) < 2 and not index.newaxes:
            return found
        shape = index.shape if len(index.shape) == 2 else (1, *index.shape)
        if found.shape == shape:
            return found
        return (found if self._format == "lil" else found.tocoo(copy=False)).reshape(shape)

    def __iter__(self: Any) -> Any:
        rows = self.tocsr() if self._format == "csc" else self
        return (rows[i] for i in range(self._shape[0]))

    def getrow(self: Any, i: int) -> Any:
        """A copy of row `i`, of shape (1, n): csr."""
        return self._getrow(i)

    def getcol(self: Any, j: int) -> Any:
        """A copy of column `j`, of shape (m, 1): csc or bsr from these, csr from other formats."""
        return self._getcol(j)

    # ---- names that arrays do not have ------------------------------------------------------------------------

    def get_shape(self) -> tuple[int, ...]:
        """Shape of the matrix."""
        return self._shape

    def set_shape(self: Any, shape: Any) -> None:
        """Reshape in place."""
        self.__dict__ = self.reshape(shape).asformat(self.format).__dict__

    shape = property(get_shape, set_shape, doc="Shape of the matrix; assigning to it reshapes in place.")

    def asfptype(self: Any) -> Any:
        """This matrix, in the smallest float dtype that holds its values if it has none."""
        host = _dtypes.numpy_dtype(self.dtype)
        if host.char in "fdFD":
            return self
        return self.astype(np.float32 if np.can_cast(host, np.float32) else np.float64, copy=False)

    def getmaxprint(self: Any) -> int:
        """Most entries shown by ``print``."""
        return self.maxprint

    def getformat(self: Any) -> str:
        """Storage format."""
        return self.format

    def getnnz(self: Any, axis: int | None = None) -> Any:
        """Number of stored entries, explicit zeros included, in all or along `axis`."""
        if axis is None or self.format in ("csr", "csc", "lil", "dok"):
            return self._getnnz(axis)
        if not -2 <= axis < 2:
            raise ValueError(f"axis out of bounds; got {axis} for 2 dimensions")
        kept = 1 - axis % 2
        coords = _dense.view(self.tocoo(copy=False)._coords[kept])
        return _dense.in_namespace(_dense.to_mlx(np.bincount(coords, minlength=self._shape[kept])))

    def getH(self: Any) -> Any:
        """Conjugate transpose."""
        return self.conjugate().transpose()


def _add_reduction(name: str, what: str) -> None:
    def method(self: Any, axis: Any = None, out: Any = None, *, explicit: bool = False) -> Any:
        return self._reduced_to_2d(getattr(super(spmatrix, self), name)(axis=axis, out=out, explicit=explicit), axis)

    method.__name__ = name
    method.__qualname__ = f"spmatrix.{name}"
    method.__doc__ = f"{what} over `axis` (None: all), of shape (1, n) or (m, 1). See the array's method."
    setattr(_extrema, name, method)


class _extrema(spmatrix):
    """Of the formats that have minima and maxima."""


for _name, _what in (
    ("max", "Maximum"),
    ("min", "Minimum"),
    ("nanmax", "Maximum without NaN"),
    ("nanmin", "Minimum without NaN"),
    ("argmax", "Position of the maximum"),
    ("argmin", "Position of the minimum"),
):
    _add_reduction(_name, _what)


class csr_matrix(_extrema, _csr_base):
    __doc__ = _csr_base.__doc__


class csc_matrix(_extrema, _csc_base):
    __doc__ = _csc_base.__doc__


class coo_matrix(_extrema, _coo_base):
    __doc__ = _coo_base.__doc__
    # As in SciPy, only the array can be indexed.
    __getitem__: Any = None
    __setitem__: Any = None
    __iter__: Any = None


class bsr_matrix(_extrema, _bsr_base):
    __doc__ = _bsr_base.__doc__


class dia_matrix(spmatrix, _dia_base):
    __doc__ = _dia_base.__doc__


class lil_matrix(spmatrix, _lil_base):
    __doc__ = _lil_base.__doc__


class dok_matrix(spmatrix, _dok_base):
    __doc__ = _dok_base.__doc__

    def __reversed__(self) -> Any:
        return reversed(self._dict)

    def __or__(self, other: Any) -> Any:
        return self._dict | (other._dict if isinstance(other, _dok_base) else other)

    def __ror__(self, other: Any) -> Any:
        return self.__or__(other)

    def __ior__(self, other: Any) -> Any:
        self._dict |= other._dict if isinstance(other, _dok_base) else other
        return self


def as_matrix(A: Any) -> Any:
    """The matrix of the sparse array `A`: the same format over the same buffers. A matrix is itself."""
    return of_kind(A, spmatrix)


def of_kind(A: Any, kind: Any) -> Any:
    """`A` as the array or matrix (`kind`: sparray or spmatrix) of its format, over the same buffers."""
    if isinstance(A, kind):
        return A
    cls = kind._classes[A.format]
    new = cls.__new__(cls)
    if A.format not in ("lil", "dok"):
        A._settle()
        A._give_up_views()
    new.__dict__.update(A.__dict__)
    if A.format not in ("lil", "dok"):
        new._narrow()
    return new


def _as_2d(x: Any, format: str) -> Any:
    """Dense input with at least two dimensions: a vector is a row. As in SciPy, dok takes none."""
    if issparse(x) and x.ndim != 2:
        raise ValueError(f"a sparse matrix is 2-D; got {x.ndim}-D")
    if x is None or isinstance(x, tuple) or issparse(x) or format == "dok":
        return x
    if _dense.is_mlx(x):
        return x.reshape((1, -1)) if x.ndim < 2 else x
    try:
        return _dense.at_least_2d(x)
    except (TypeError, ValueError):
        return x  # for the format to refuse


def _spread(index: Index) -> Index:
    """`index` without new axes, its integers as ranges of one and its arrays 2-D, so that it selects a matrix."""
    raw = index.raw
    if all(isinstance(a, np.ndarray) for a in raw):
        return Index(tuple(np.atleast_2d(a) for a in raw), [ARRAYS])
    axes = tuple(range(a, a + 1) if isinstance(a, int) else a.ravel() if isinstance(a, np.ndarray) else a for a in raw)
    return Index(axes, [ARRAYS if isinstance(a, np.ndarray) else i for i, a in enumerate(axes)])


def _stream(stream: Any) -> dict[str, Any]:
    return {} if stream is None else {"stream": stream}


def matrix_power(A: Any, n: Any) -> Any:
    """A @ ... @ A by repeated squaring.

    Raises
    ------
    TypeError
        A is not square.
    ValueError
        `n` is not a non-negative integer.
    """
    if A.shape[0] != A.shape[1]:
        raise TypeError(f"sparse matrix is not square; got shape {A.shape}")
    if not is_integer_like(n):
        raise ValueError(f"exponent must be an integer; got {n!r}")
    n = int(n)
    if n < 0:
        raise ValueError(f"exponent must be >= 0; got {n}")
    if n == 0:
        return dia_array((np.ones((1, A.shape[0])), [0]), shape=A.shape, dtype=A.dtype)
    result: Any = None
    while True:
        if n & 1:
            result = A if result is None else result @ A
        n >>= 1
        if not n:
            if result is not A:
                return result
            return copy(result) if _dense.is_mlx(result) else result.copy()
        A = A @ A

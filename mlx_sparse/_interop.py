"""What other libraries meet when they are handed a sparse array: SciPy's form of it, operators, NumPy's protocols."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import mlx.core as mx
import numpy as np
import scipy.sparse as _scipy_sparse

from . import _dense, _dtypes, _native


@cache
def _small(made: Any) -> dict[str, Any]:
    """What a canonical array of one of SciPy's compressed classes keeps; nothing if that is not what is known here."""
    parts = np.ones(1), np.zeros(1, np.int32), np.array([0, 1], np.int32)
    S = made(parts, shape=(1, 1))
    S.has_sorted_indices = S.has_canonical_format = True
    return vars(S) if {"_shape", "data", "indices", "indptr"} < vars(S).keys() else {}


def unchecked(made: Any, shape: tuple[int, ...], data: Any, indices: Any, indptr: Any) -> Any:
    """SciPy's array over canonical parts, without its checks, which take longer than many a small problem; or None."""
    known = _small(made)
    if not known or len(shape) != 2 or indices.dtype != np.int32 or len(data) != indptr[-1]:
        return None
    S = made.__new__(made)
    vars(S).update(known, _shape=shape, data=data, indices=indices, indptr=indptr)
    return S


def to_read(A: Any) -> Any:
    """SciPy's form of a canonical csr or csc array over its buffers, for a call that only reads them; or None."""
    if A._format not in ("csr", "csc") or not A.has_canonical_format:
        return None
    data, indices, indptr = (_native.view(x, writable=False) for x in (A._data, A._indices, A._indptr))
    if data is None:  # bfloat16
        data = _dense.view(A._data)
    return unchecked(getattr(_scipy_sparse, f"{A._format}_{A._kind}"), A._shape, data, indices, indptr)


class reflecting:
    """What answers ``x OP self`` for an `mx.array` x, which by itself refuses what it does not know."""


class _interoperable(reflecting):
    """For every format, over its buffers."""

    _format: str
    _kind: str
    _shape: tuple[int, ...]
    transpose: Any
    tocoo: Any
    tocsr: Any
    __matmul__: Any

    def to_scipy(self, copy: bool = False) -> Any:
        """SciPy's array (for a matrix, SciPy's matrix) of the same format, for whatever takes only those.

        Parameters
        ----------
        copy : bool
            False: the buffers are shared, and cannot be written to through the result since others may see them.
            True: the result can be changed, as its buffers are its own.

        Returns
        -------
        scipy.sparse array or matrix
            float16 and bfloat16, which SciPy lacks, become float32: a copy. So are lil, dok, and csr, csc or bsr with
            unsorted indices or duplicates, which many functions of SciPy put in order in place.

        Raises
        ------
        ValueError
            The values are traced.

        Examples
        --------
        >>> import scipy.sparse.linalg, mlx_sparse as sp
        >>> A = sp.csr_array([[2.0, 0.0], [0.0, 4.0]])
        >>> scipy.sparse.linalg.spsolve(A.to_scipy(), [2.0, 2.0])
        array([1. , 0.5])
        """
        made = getattr(_scipy_sparse, f"{self._format}_{self._kind}")
        A: Any = self
        if A._format == "lil":
            return A.tocsr().to_scipy().tolil()
        if A._format == "dok":
            return A.tocoo().to_scipy().todok()
        copy = copy or A._format in ("csr", "csc", "bsr") and not A.has_canonical_format

        def host(x: mx.array) -> np.ndarray:
            x = x.astype(mx.float32) if x.dtype in (mx.float16, mx.bfloat16) else x
            if not copy and not _native.is_exposed(x):  # no view of x writes to what is shared
                return _native.view(x, writable=False)
            v = _dense.view(x).copy()
            v.flags.writeable = copy
            return v

        data = host(A._data)
        if A._format == "coo":
            S = made((data, tuple(map(host, A._coords))), shape=A._shape)
            S.has_canonical_format = A.has_canonical_format
        elif A._format == "dia":
            S = made((data, host(A._offsets)), shape=A._shape)
        else:
            indices, indptr = host(A._indices), host(A._indptr)
            plain = A._format != "bsr" and A.has_canonical_format
            S = unchecked(made, A._shape, data, indices, indptr) if plain else None
            if S is None:
                S = made((data, indices, indptr), shape=A._shape)
                S.has_sorted_indices, S.has_canonical_format = A.has_sorted_indices, A.has_canonical_format
        return S

    # ---- operators for SciPy's iterative solvers, eigensolvers and `aslinearoperator` ---------------------------

    def matvec(self, x: Any) -> Any:
        """A @ x. With `rmatvec`, what makes an array an operator for SciPy's iterative solvers and eigensolvers."""
        return self @ x

    def rmatvec(self, x: Any) -> Any:
        """A.H @ x; see `matvec`."""
        return self.transpose().conj(copy=False) @ x

    def matmat(self, X: Any) -> Any:
        """A @ X; see `matvec`."""
        return self @ X

    def rmatmat(self, X: Any) -> Any:
        """A.H @ X; see `matvec`."""
        return self.transpose().conj(copy=False) @ X

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """What NumPy makes of an object that is no array (and of SciPy's arrays): an array of that one object.

        Raises
        ------
        TypeError
            Numbers are asked for, or SciPy asks in order to compute with them.
        """
        if dtype is None or np.dtype(dtype) == np.object_:
            if not _read_by_scipy(sys._getframe(1)):
                made = np.empty((), dtype=object)
                made[()] = self
                return made
        raise TypeError(
            f"a {type(self).__name__} does not become dense by itself: to_scipy() gives what functions of SciPy take, "
            "toarray() an ndarray"
        )


def _read_by_scipy(caller: Any) -> bool:
    """Whether SciPy asks for elements. An operator of its sparse arrays asks too, and leaves it to ours when told that
    there are none; methods, constructors and everything else would go on with the object as if it were one element.
    """
    while (module := _module(caller)).startswith("numpy.") and caller.f_back is not None:
        caller = caller.f_back
    if not module.startswith("scipy."):
        return False
    while _module(caller).startswith("scipy.sparse._"):
        name = caller.f_code.co_name
        if name in ("__init__", "_ascontainer"):
            return True
        if name.startswith("__") or caller.f_back is None:
            return False
        caller = caller.f_back
    return True


def _module(frame: Any) -> str:
    return frame.f_globals.get("__name__") or ""


def _numpy_form(dtype: mx.Dtype) -> np.dtype:
    return _dtypes.numpy_dtype(dtype)


# `numpy.dtype(A.dtype)`, which SciPy asks of every operator, in mlx mode: NumPy 2.4 looks for the first attribute,
# older ones for the second.
_name = "__numpy_dtype__" if tuple(map(int, np.__version__.split(".")[:2])) >= (2, 4) else "dtype"
if not hasattr(mx.Dtype, _name):
    setattr(mx.Dtype, _name, property(_numpy_form))

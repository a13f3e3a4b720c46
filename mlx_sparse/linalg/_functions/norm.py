"""Norms of sparse arrays."""

from __future__ import annotations

import math
import operator
from typing import Any

import mlx.core as mx
import numpy as np

from ... import _dense, _dtypes, _scipy_release, _values
from ..._base import as_sparse, issparse
from ..._csr import csr_array
from ..._reduce import total_of
from .._eigen.svds import svds
from .._operator import is_traced
from .._problem import host_dtype, inexact

_FROBENIUS = (None, "fro", "f")
_FEW = 1000  # entries that NumPy is done with before a graph is made


def norm(x: Any, ord: Any = None, axis: Any = None) -> Any:
    """Norm of a sparse array, or of its rows or columns.

    Parameters
    ----------
    x : sparse array, shape (m, n) or (n,)
    ord : {None, "fro", inf, -inf, 0, 1, -1, 2} or float, optional
        Of a matrix: None and "fro" for Frobenius, 1 and -1 for the largest and smallest column sum of magnitudes, inf
        and -inf for those of rows, 2 for the largest singular value. Of vectors: None and 2 for Euclid, 0 for the
        number of entries that are not zero, inf and -inf for the largest and smallest magnitude, p for the p-norm of
        the stored entries.
    axis : int or 2-tuple of int, optional
        An integer takes the norm of each vector along this axis. Default: all axes.

    Returns
    -------
    0-d or 1-d dense array in the namespace of `runtime.dense_namespace`
        Real; an integer for sums and extremes of integers. With SciPy 1.18 or later, in numpy mode, all but Frobenius
        norms of a real array are float64, as there.

    Raises
    ------
    NotImplementedError
        `ord` is -2 for a matrix.
    TypeError
        `x` is not sparse, or `axis` is made of something else than integers.
    ValueError
        Any other `ord`, or `axis` is out of range or repeated.

    Notes
    -----
    Frobenius, the norms by sums of a matrix and the p-norms of vectors are lazy, and differentiable with respect to the
    values where the norm is. inf, -inf and 0 of vectors and the spectral norm synchronise. The last one is that of
    `svds`, from a starting vector that is always the same, and as differentiable: its gradient is u v^H at the stored
    places, with the singular vectors u and v.

    Examples
    --------
    >>> import numpy as np, mlx_sparse as sp
    >>> A = sp.csr_array([[3.0, 0.0], [-4.0, 1.0]])
    >>> [float(sp.linalg.norm(A, p)) for p in (1, np.inf)]
    [7.0, 5.0]

    Differences from SciPy
    ----------------------
    The norm of a 1-D array is always a scalar. float16 and bfloat16 sums accumulate in float32. Squares of integers are
    floating-point numbers, so they do not overflow.
    """
    if not issparse(x):
        raise TypeError(f"input is not sparse. use numpy.linalg.norm; got {type(x).__name__}")
    x = as_sparse(x)
    if axis is None and _is_one_of(ord, _FROBENIUS):
        few = _frobenius_of_few(x) if _dense.numpy_mode() else None
        return _dense.in_namespace(_frobenius(x)) if few is None else few
    axes = _axes(axis, x.ndim)
    wide = _scipy_release.norms_are_wide()
    A = x.tocsr() if x.format in ("lil", "dok") or wide and x.format == "dia" else x
    if wide:
        if len(axes) == 1 and ord == 0:
            counts = (A if x.format == "dia" else x).count_nonzero(axis=axes[0])
            return _dense.in_namespace(_as_result(counts, x))
        if not A._is_complex and (len(axes) == 1 or not _is_one_of(ord, _FROBENIUS)):
            A = A.astype(_dtypes.default_float(), copy=False)
    if len(axes) == 1:
        return _dense.in_namespace(_of_vectors(A, ord, axes[0]))
    return _dense.in_namespace(_of_matrix(A, ord, *axes))


def _is_one_of(ord: Any, accepted: tuple[Any, ...]) -> bool:
    return (ord is None or isinstance(ord, str)) and ord in accepted


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Non-negative axes in the order given."""
    given = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (_integer(axis),)
    if len(given) not in (1, 2):
        raise ValueError(
            f"Improper number of dimensions to norm. axis must name one or two; got {axis!r} for {ndim} dimensions"
        )
    axes = tuple(map(_integer, given))
    if not all(-ndim <= a < ndim for a in axes):
        raise ValueError(f"Invalid axis {axis!r} for an array with {ndim} dimensions")
    axes = tuple(a % ndim for a in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"Duplicate axes given. Got axis={axis!r}")
    return axes


def _integer(a: Any) -> int:
    try:
        return int(a) if isinstance(a, float) and a.is_integer() else operator.index(a)
    except TypeError:
        raise TypeError(f"'axis' must be None, an integer or a tuple of integers; got {a!r}") from None


def _of_matrix(A: Any, ord: Any, row: int, col: int) -> mx.array:
    if _is_one_of(ord, _FROBENIUS):
        return _frobenius(A)
    if isinstance(ord, str) or ord not in (1, -1, 2, -2, math.inf, -math.inf):
        raise ValueError(f"Invalid norm order for matrices: {ord!r}. It is 'fro', 1, -1, 2, inf or -inf")
    if ord == -2:
        raise NotImplementedError("the smallest singular value (ord=-2) is not available for sparse arrays")
    if ord == 2:
        return _spectral(A)
    sums = _sum(A, _magnitudes(A), row if abs(ord) == 1 else col)
    if sums.size == 0:
        raise ValueError("the norm of an array without columns or rows to compare is undefined")
    return mx.max(sums) if ord > 0 else mx.min(sums)


def _of_vectors(A: Any, ord: Any, axis: int) -> mx.array:
    if ord is None or not isinstance(ord, str) and ord == 2:
        return mx.sqrt(_sum(A, _squares(A), axis)).astype(_real(A))
    try:
        ord = float(ord)
    except (TypeError, ValueError):
        raise ValueError(f"Invalid norm order for vectors: {ord!r}. It is a number, inf and -inf included") from None
    if math.isinf(ord) or ord == 0 or A.format == "dia" and ord < 1:  # whose padding would count
        A = A if A.format in ("csr", "csc") else A.tocsr()
    if math.isinf(ord):
        found = getattr(abs(A), "max" if ord > 0 else "min")(axis=axis)
        return _as_result(found.toarray() if issparse(found) else found, A)
    if ord == 0:
        return _as_result(A.count_nonzero(axis=axis), A).astype(mx.int64)
    if ord == 1:
        return _sum(A, _magnitudes(A), axis)
    powers = mx.power(_magnitudes(A).astype(_accumulator(A)), ord)
    return mx.power(_sum(A, powers, axis), 1 / ord).astype(_real(A))


def _as_result(x: Any, A: Any) -> mx.array:
    return mx.reshape(_dense.to_mlx(x), () if A.ndim == 1 else (-1,))  # of a matrix it has two axes


def _frobenius(A: Any) -> mx.array:
    if A.format in ("lil", "dok"):
        A = A.tocsr()
    few = _frobenius_of_few(A)
    if few is not None:
        return _dense.scalar(few, _real(A))
    return mx.sqrt(total_of(_squares(A), None)).astype(_real(A))


def _frobenius_of_few(A: Any) -> Any:
    """As a number of NumPy's, which has it at once; None for more entries, and for those that have to be computed."""
    if A.format in ("lil", "dok"):
        return None
    data = A._unique()._entries()
    if data.size >= _FEW or not _dense.numpy_is_quicker(data):
        return None
    x = _dense.view(data)
    if x.dtype == np.float64:
        return np.sqrt(np.vdot(x, x))
    x = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64, copy=False)
    with np.errstate(over="ignore"):
        return np.sqrt(np.vdot(x, x).real).astype(_dtypes.numpy_dtype(_real(A)))


def _stored(A: Any) -> Any:
    """The entries of `A`, duplicates summed; booleans as integers."""
    data = A._unique()._entries()
    return data.astype(mx.int64) if data.dtype == mx.bool_ else data


def _magnitudes(A: Any) -> mx.array:
    return _values.abs(_stored(A))


def _squares(A: Any) -> mx.array:
    """|a|^2 in the dtype that their sum is held in; its derivative exists everywhere."""
    data = _stored(A)
    if A._is_complex:
        return mx.square(_values.real(data)) + mx.square(_values.imag(data))
    return mx.square(data.astype(_accumulator(A)))


def _sum(A: Any, values: mx.array, axis: int) -> mx.array:
    """Sum along `axis` of `values` at the places of A's entries."""
    with_values = A._unique()._with_data(values, padded=False)
    if A.ndim == 1:
        return with_values._sum((0,), None, None)
    return with_values._sum((axis,), None, None)


def _real(A: Any) -> mx.Dtype:
    """The dtype of a norm that is no sum of integers."""
    dtype = A._data.dtype
    if _dtypes.is_integral(dtype):
        return _dtypes.default_float()
    return _dtypes.part(dtype)


def _accumulator(A: Any) -> mx.Dtype:
    return _dtypes.accumulator(_real(A))


def _spectral(A: Any) -> mx.array:
    """The largest singular value, from a starting vector that is always the same."""
    dtype = _dtypes.mlx_dtype(inexact(host_dtype(A)))
    A = A.astype(dtype, copy=False)
    if min(A.shape) == 1:
        return _frobenius(A)
    start = np.random.default_rng(0).standard_normal(min(A.shape)).astype(_dtypes.numpy_dtype(dtype))
    A = csr_array(A) if A.format in ("lil", "dok") else A
    traced = is_traced(A._data)
    v0 = _dense.to_mlx(start) if traced and not _dtypes.is_wide(dtype) else start
    return _dense.to_mlx(svds(A, k=1, v0=v0, return_singular_vectors=False))[0]
